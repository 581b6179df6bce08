package eks

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Role is a role of IAM that is assumed to call AWS (STS API reference, AssumeRole).
type Role struct {
	ARN, ExternalID string
	// Session is how CloudTrail calls whoever has the role.
	Session string
}

const (
	// sessionLife is the most that STS gives to who has a role already, as Pods have, and the least that a role may be limited to.
	sessionLife = time.Hour
	// sessionRest is how long before its end a session is given up: signatures made with it, in tokens for a cluster, are good for a while.
	sessionRest = 5 * time.Minute
	// sessionLength is the longest name of a session.
	sessionLength = 64
)

// SessionName is how sessions for a cluster are called.
func SessionName(cluster string) string {
	name := "reconciler-" + regexp.MustCompile(`[^A-Za-z0-9_+=,.@-]`).ReplaceAllString(cluster, "-")
	return name[:min(len(name), sessionLength)]
}

// Assume gives what reaches AWS as the role, over the same connections. The role is assumed at the region's own STS, when it is first
// needed and before a session ends; a refusal is a gitops.Error.
func (r Role) Assume(cfg aws.Config) aws.Config {
	provider := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(named(cfg)), r.ARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName, o.Duration = r.Session, sessionLife
		if r.ExternalID != "" {
			o.ExternalID = &r.ExternalID
		}
	})
	cfg.Credentials = sessions{role: r, credentials: aws.NewCredentialsCache(provider, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = sessionRest })}
	return cfg
}

// sessions are the credentials of a role.
type sessions struct {
	role        Role
	credentials *aws.CredentialsCache
}

// Retrieve gives credentials that are good for a while.
func (s sessions) Retrieve(ctx context.Context) (aws.Credentials, error) {
	key, err := s.credentials.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, s.role.refused(err)
	}
	return key, nil
}

// refused says why there is no session. STS does not tell a missing role from one that trusts others, or wants another external id.
func (r Role) refused(err error) *gitops.Error {
	e := failure(gitops.ObserveFailed, gitops.Ref{}, err)
	e.Err = fmt.Errorf("assuming the role %s: %w", r.ARN, e.Err)
	if code := errorCode(err); code == "AccessDenied" {
		e.Err = fmt.Errorf("assuming the role %s: %s: %s", r.ARN, code, apiMessage(err))
		e.Try = "let the role trust the caller (and its external id), and the caller's policy allow sts:AssumeRole; in the role's account: aws iam get-role --role-name " + r.ARN[strings.LastIndexByte(r.ARN, '/')+1:]
	}
	return e
}
