package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/pkg/apply"
	"github.com/eks-gitops/reconciler/pkg/apply/jq"
	"github.com/eks-gitops/reconciler/pkg/engine"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
	"github.com/eks-gitops/reconciler/pkg/source"
)

// fleet is the engine wired to the real world, and the clusters that were selected.
type fleet struct {
	engine   *engine.Engine
	source   source.Source
	policies []plan.Policy
	// leases are there when other processes may work on the same clusters.
	leases *apply.Leases
	// snapshot and clusters are set by open.
	snapshot gitops.Snapshot
	clusters []gitops.Cluster
}

// connect wires source, renderer, ledger and the clusters' adapters. Nothing is read yet.
func (a *app) connect(ctx context.Context, sink run.Sink) (*fleet, error) {
	books, err := a.openLedger()
	if err != nil {
		return nil, err
	}
	policies, err := a.flags.policies()
	if err != nil {
		return nil, err
	}
	f := &fleet{policies: policies}
	if f.source, err = a.openSource(); err != nil {
		return nil, err
	}
	if f.leases, err = a.openLeases(); err != nil {
		return nil, err
	}
	keys, err := a.openKeys(ctx)
	if err != nil {
		return nil, err
	}
	f.engine = engine.New(engine.Options{
		Source: f.source, Renderer: a.openRenderer(), Ledger: books, Sink: sink, Connect: a.connector(keys),
		Now: a.now, Checks: checks(), Log: a.log(), Jitter: rand.Float64, Interval: a.interval,
	})
	return f, nil
}

// checks are what reconcile.yaml is read with.
func checks() plan.Checks {
	return plan.Checks{Zone: time.LoadLocation, Condition: apply.Condition, Message: apply.Message, Query: jq.Compile}
}

// open connects, fetches the newest snapshot and finds the clusters that the arguments select.
func (a *app) open(ctx context.Context, sink run.Sink, args []string) (*fleet, error) {
	f, err := a.connect(ctx, sink)
	if err != nil {
		return nil, err
	}
	return f, f.read(ctx, args)
}

// read fetches and selects.
func (f *fleet) read(ctx context.Context, args []string) error {
	var err error
	if f.snapshot, err = f.engine.Source.Fetch(ctx); err != nil {
		return gitops.AsError(gitops.SourceUnreachable, err)
	}
	clusters, err := f.engine.Renderer.Clusters(ctx, f.snapshot)
	if err != nil {
		return gitops.AsError(gitops.RenderFailed, err)
	}
	var folders []string
	pick := picker(args)
	for _, c := range clusters {
		folders = append(folders, c.Folder)
		if pick == nil || pick(c.Folder) {
			f.clusters = append(f.clusters, c)
		}
	}
	if len(folders) == 0 {
		e := gitops.Errorf(gitops.SourceInvalid, "revision %s has no cluster: no folder below clusters/ holds a ClusterConfig", f.snapshot.Revision.Short())
		e.Try = "put the ClusterConfig into clusters/NAME/cluster.yaml"
		return e
	}
	// Every argument must mean something: half of a selection is not what was asked for.
	if strange := unmatched(args, folders); len(strange) > 0 {
		return fmt.Errorf("selecting clusters: nothing matches %s; there are %s", strings.Join(strange, ", "), strings.Join(folders, ", "))
	}
	return nil
}

// joined is all errors of a list as one, or nil.
func joined(errs []error) error { return errors.Join(errs...) }
