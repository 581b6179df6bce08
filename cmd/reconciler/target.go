package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/eks-gitops/reconciler/pkg/apply"
	"github.com/eks-gitops/reconciler/pkg/eks"
	"github.com/eks-gitops/reconciler/pkg/engine"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// connector makes the adapters of a cluster: AWS in the region that its ClusterConfig names, as whom its policy says, and its API
// server as AWS tells where it is.
func (a *app) connector(k keys) func(context.Context, gitops.Cluster) (engine.Target, error) {
	return func(ctx context.Context, c gitops.Cluster) (engine.Target, error) {
		region := gitops.StringAt(c.Config.Spec, "metadata", "region")
		rules, problems := plan.DecodeRules(c.Policy, checks())
		id, err := a.identities.of(ctx, region, c, rules, problems)
		if err != nil {
			return engine.Target{}, noAWS(c.Name, err)
		}
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
