package eks_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
	"github.com/eks-gitops/reconciler/pkg/eks"
	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// guarded makes a role that asks for an external id.
func guarded(t *testing.T, s *simtest.Sim) string {
	t.Helper()
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"fleet-7"}}}]}`
	out, err := iam.NewFromConfig(s.Config()).CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: sdk.String("guarded"), Path: sdk.String("/teams/"), AssumeRolePolicyDocument: &trust})
	if err != nil {
		t.Fatal(err)
	}
	return *out.Role.Arn
}

func assumptions(s *simtest.Sim) int {
	n := 0
	for _, r := range s.Requests(0) {
		if r.Operation == "AssumeRole" {
			n++
		}
	}
	return n
}

// TestRoleIsAssumed: calls are made as the role, which is assumed once for as long as its credentials are good, and given up before a
// token that was signed with them could outlive them.
func TestRoleIsAssumed(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{})
	role := eks.Role{ARN: guarded(t, s), ExternalID: "fleet-7", Session: eks.SessionName("dev")}
	cfg := role.Assume(s.Config())
	for range 3 {
		me, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		if err != nil {
			t.Fatal(err)
		}
		if want := "arn:aws:sts::111122223333:assumed-role/guarded/reconciler-dev"; *me.Arn != want {
			t.Errorf("called as %s, want %s", *me.Arn, want)
		}
	}
	if n := assumptions(s); n != 1 {
		t.Errorf("assumed %d times, want once", n)
	}
	key, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if left := s.Clock.Now().Add(time.Hour).Sub(key.Expires); left < 2*eks.TokenLife || left > 10*time.Minute {
		t.Errorf("given up %s before the end of the session", left)
	}
}

// TestRoleIsRefused: a refusal names the role and the caller and what to look at, and nothing that is secret.
func TestRoleIsRefused(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{})
	arn := guarded(t, s)
	for name, role := range map[string]eks.Role{
		"wrong external id": {ARN: arn, ExternalID: "guess", Session: "reconciler-dev"},
		"no such role":      {ARN: "arn:aws:iam::444455556666:role/none", Session: "reconciler-dev"},
	} {
		_, err := sts.NewFromConfig(role.Assume(s.Config())).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		e, ok := errors.AsType[*gitops.Error](err)
		if !ok || e.Reason != gitops.AccessDenied {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := "assuming the role " + role.ARN + ": AccessDenied: User: arn:aws:iam::111122223333:user/admin is not authorized to perform: sts:AssumeRole on resource: " + role.ARN; e.Message() != want {
			t.Errorf("%s: says\n%s\nwant\n%s", name, e.Message(), want)
		}
		if want := "aws iam get-role --role-name " + role.ARN[strings.LastIndexByte(role.ARN, '/')+1:]; !strings.Contains(e.Try, want) {
			t.Errorf("%s: tries %q, want %s", name, e.Try, want)
		}
	}
}

// What is wrong with the process's own identity is not the role's trouble.
func TestRoleWithoutAnybodyToAssumeIt(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{})
	cfg := s.Config()
	cfg.Credentials = sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
		return sdk.Credentials{AccessKeyID: aws.DefaultKey().AccessKey, SecretAccessKey: "guessed"}, nil
	})
	role := eks.Role{ARN: guarded(t, s), ExternalID: "fleet-7", Session: "reconciler-dev"}
	_, err := role.Assume(cfg).Credentials.Retrieve(t.Context())
	e, ok := errors.AsType[*gitops.Error](err)
	if !ok || e.Reason != gitops.AccessDenied || !strings.Contains(e.Message(), "SignatureDoesNotMatch") || strings.Contains(e.Try, "get-role") || strings.Contains(e.Error(), "guessed") {
		t.Errorf("%v", err)
	}
}

// Names of clusters are longer than those of sessions may be.
func TestSessionName(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100)
	for cluster, want := range map[string]string{"dev": "reconciler-dev", long: "reconciler-" + long[:53], "a b/c": "reconciler-a-b-c"} {
		if got := eks.SessionName(cluster); got != want {
			t.Errorf("%s: %s, want %s", cluster, got, want)
		}
	}
}
