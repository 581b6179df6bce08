package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"

	"github.com/eks-gitops/reconciler/pkg/apply"
	"github.com/eks-gitops/reconciler/pkg/eks"
	"github.com/eks-gitops/reconciler/pkg/engine"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// connector makes the adapters of a cluster: AWS in the region that its ClusterConfig names, and its API server as AWS
// tells where it is.
func (a *app) connector(k keys) func(context.Context, gitops.Cluster) (engine.Target, error) {
	return func(ctx context.Context, c gitops.Cluster) (engine.Target, error) {
		region := gitops.StringAt(c.Config.Spec, "metadata", "region")
		id, err := a.identities.in(ctx, region)
		if err != nil {
			return engine.Target{}, noAWS(c.Name, err)
		}
		rules, problems := plan.DecodeRules(c.Policy, checks())
		if len(problems) > 0 {
			rules = plan.DefaultRules() // the engine holds every change and says why
		}
		cloud := eks.New(eks.Options{AWS: id.config, Turns: id.turns, Now: a.now, Fresh: a.fresh(rules), Teardown: c.Ending, LogGroups: c.LogGroups, Log: a.log()})
		objects := apply.New(apply.Options{
			Cluster: c.Name, Version: version, Watch: a.watching, Preview: a.previewing, Ending: c.Ending && !eks.Adopted(c.Config), Now: a.now, Log: a.log(),
			Access: a.access(cloud), Rules: rules,
		})
		cloud.Nodes, cloud.ServiceAccounts, cloud.Preflight = objects.Nodes(), objects.Accounts(), objects.Preflight()
		cloud.AuthMap = objects.AuthMap()
		unfollow := a.feeds.follow(region, c.Name, cloud)
		return engine.Target{
			Infra: cloud, Facts: cloud, Objects: objects, Redactor: k.redactor(c.Name), Close: func() { unfollow(); objects.Close() },
		}, nil
	}
}

// identities are this process's identity in each region. Clusters of a region share it, and with it the connections and the credentials:
// a hundred clusters are no reason to log in, or to connect to each service, a hundred times.
type identities struct {
	mu       sync.Mutex
	byRegion map[string]identity
}

// identity is who this process is in a region, and the turns that its clusters take.
type identity struct {
	config aws.Config
	turns  chan struct{}
}

// atOnce is how many clusters of a region are looked at at once: at 20 ms a call, a hundred take a quarter of a minute, and the calls
// stay below the rates that EC2 refills its buckets with.
const atOnce = 2

func (i *identities) in(ctx context.Context, region string) (identity, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if id, ok := i.byRegion[region]; ok {
		return id, nil
	}
	cfg, err := awsConfig(ctx, region)
	if err != nil {
		return identity{}, err
	}
	if i.byRegion == nil {
		i.byRegion = map[string]identity{}
	}
	i.byRegion[region] = identity{config: cfg, turns: make(chan struct{}, atOnce)}
	return i.byRegion[region], nil
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

// fresh is how long one sweep of AWS is good for: just short of the cluster's interval, so that the pass at the interval
// sweeps and passes for other reasons do not. One-shot commands always sweep.
func (a *app) fresh(rules plan.Rules) time.Duration {
	if !a.watching {
		return 0
	}
	interval := rules.Interval
	if interval == 0 {
		interval = a.interval
	}
	return interval * 9 / 10
}

// log is where adapters tell operators what they do: stderr with --verbose, nowhere otherwise.
func (a *app) log() *slog.Logger {
	if !a.verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(a.stderr, nil))
}

// access turns what AWS says about the cluster's API server into what apply needs, and keeps tokens for as long as they
// are good.
func (a *app) access(cloud *eks.Cloud) func(context.Context) (apply.Access, error) {
	return func(context.Context) (apply.Access, error) {
		where, err := cloud.Access()
		if errors.Is(err, eks.ErrNoCluster) || err == nil && a.skipping {
			return apply.Access{}, apply.ErrNoCluster
		}
		if err != nil {
			return apply.Access{}, err
		}
		return apply.Access{Server: where.Server, CA: where.CA, Token: kept(where.Token, eks.TokenLife, a.now)}, nil
	}
}

// kept reuses a token for as long as it is good.
func kept(token func(context.Context) (string, error), life time.Duration, now func() time.Time) func(context.Context) (string, error) {
	var mu sync.Mutex
	var last string
	var made time.Time
	return func(ctx context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if last != "" && now().Sub(made) < life {
			return last, nil
		}
		fresh, err := token(ctx)
		if err != nil {
			return "", err
		}
		last, made = fresh, now()
		return last, nil
	}
}
