package main

import (
	"context"
	"net"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"

	"github.com/eks-gitops/reconciler/pkg/eks"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// identities are whom this process acts as: itself, and the roles that clusters name, in each region. Clusters share them, and with them
// the connections and the credentials: a hundred clusters are no reason to log in, or to connect to each service, a hundred times.
type identities struct {
	mu    sync.Mutex
	own   map[string]aws.Config // by region
	roles map[place]aws.Config
	turns map[account]chan struct{}
}

// place is a role in a region. A session of a role is called after its cluster, unless reconcile.yaml gives it a name: CloudTrail and the
// audit log of Kubernetes tell then which cluster a call was for, and a hundred clusters assume a role a hundred times an hour, which is little.
type place struct {
	region string
	role   eks.Role
}

// account is what AWS counts calls by. That of the process itself is not known without a call, and so has no number.
type account struct{ region, number string }

// identity is who this process is in a region, and the turns that the clusters of the account take there.
type identity struct {
	config aws.Config
	turns  chan struct{}
}

// atOnce is how many clusters of an account are looked at at once in a region: at 20 ms a call, a hundred take a quarter of a minute, and
// the calls stay below the rates that EC2 refills its buckets with.
const atOnce = 2

// in gives the identity of a region: that of a role, unless its ARN is empty.
func (i *identities) in(ctx context.Context, region string, role eks.Role) (identity, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.own == nil {
		i.own, i.roles, i.turns = map[string]aws.Config{}, map[place]aws.Config{}, map[account]chan struct{}{}
	}
	cfg, ok := i.own[region]
	if !ok {
		var err error
		if cfg, err = awsConfig(ctx, region); err != nil {
			return identity{}, err
		}
		i.own[region] = cfg
	}
	by := account{region: region}
	if role.ARN != "" {
		at := place{region, role}
		if _, ok := i.roles[at]; !ok {
			i.roles[at] = role.Assume(cfg)
		}
		cfg, by.number = i.roles[at], strings.Split(role.ARN, ":")[4]
	}
	if i.turns[by] == nil {
		i.turns[by] = make(chan struct{}, atOnce)
	}
	return identity{config: cfg, turns: i.turns[by]}, nil
}

// of gives the identity that a cluster is reached under. While its reconcile.yaml cannot be read, nobody knows who that is, and each
// call of AWS fails with what is wrong with the file: another account would answer that nothing is there.
func (i *identities) of(ctx context.Context, region string, c gitops.Cluster, rules plan.Rules, problems []*gitops.Error) (identity, error) {
	if from, unread := unreadable(c, problems); unread {
		e := gitops.Errorf(gitops.Blocked, "AWS was not looked at: the policy, which says as whom, cannot be read")
		nobody := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, e })
		return identity{config: aws.Config{Region: region, Credentials: asked{nobody, from}}}, nil
	}
	id, err := i.in(ctx, region, roleOf(c.Name, rules.AWS))
	if err != nil {
		return identity{}, err
	}
	if rules.AWS.Role != "" {
		id.config.Credentials = asked{id.config.Credentials, gitops.Origin{Position: rules.AWS.From}}
	}
	return id, nil
}

// unreadable tells where a cluster's reconcile.yaml cannot be read, if it cannot.
func unreadable(c gitops.Cluster, problems []*gitops.Error) (from gitops.Origin, unread bool) {
	for _, p := range c.Problems {
		if c.Policy == nil && p.Reason == gitops.PolicyInvalid && path.Dir(p.From.File) == c.Folder {
			return p.From, true
		}
	}
	if len(problems) > 0 {
		return problems[0].From, true
	}
	return gitops.Origin{}, false
}

// roleOf is the role that a cluster's AWS is reached as.
func roleOf(cluster string, a plan.AWS) eks.Role {
	if a.Role == "" {
		return eks.Role{}
	}
	role := eks.Role{ARN: a.Role, ExternalID: a.ExternalID, Session: a.SessionName}
	if role.Session == "" {
		role.Session = eks.SessionName(cluster)
	}
	return role
}

// asked are credentials that a file asks for: trouble with them has the place where it does.
type asked struct {
	aws.CredentialsProvider
	from gitops.Origin
}

// Retrieve gives the credentials.
func (a asked) Retrieve(ctx context.Context) (aws.Credentials, error) {
	key, err := a.CredentialsProvider.Retrieve(ctx)
	if err == nil {
		return key, nil
	}
	e := *gitops.AsError(gitops.AccessDenied, err) // a copy: clusters share what tells
	return aws.Credentials{}, e.At(a.from)
}

// awsConfig is this process's identity in a region; "" is the one that the environment names.
func awsConfig(ctx context.Context, region string) (aws.Config, error) {
	// The SDK logs to stderr by itself, past every format; what matters comes back as an error.
	// Nor does it ever give up on a server that accepts and does not answer.
	patient := awshttp.NewBuildableClient().WithTimeout(awsTimeout).WithDialerOptions(func(d *net.Dialer) { d.Timeout = awsTimeout / 3 })
	options := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{}), config.WithHTTPClient(patient)}
	if region != "" {
		options = append(options, config.WithRegion(region))
	}
	return config.LoadDefaultConfig(ctx, options...)
}

// noAWS says that there is no identity for a cluster's AWS.
func noAWS(cluster string, err error) error {
	e := gitops.Errorf(gitops.AccessDenied, "reading the AWS configuration of cluster %s: %w", cluster, err)
	e.Try = "check AWS_PROFILE and ~/.aws/config: aws configure list"
	return e
}

// awsTimeout bounds one request to AWS; answers take seconds at most.
const awsTimeout = 15 * time.Second
