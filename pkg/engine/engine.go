package engine

import (
	"context"
	"log/slog"
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// Side is one domain of one cluster: what looks at it and what changes it.
type Side interface {
	Observer
	Actor
}

// Target is one cluster as the engine reaches it.
type Target struct {
	Infra    Side
	Facts    FactSource
	Objects  Side
	Redactor gitops.Redactor
	// Close releases what Connect made; it may be nil.
	Close func()
}

// Options wires an Engine.
type Options struct {
	Source   Source
	Renderer Renderer
	Ledger   Ledger
	// Leases are asked before the daemon works on a cluster; nil means that no other process does.
	Leases Leases
	Sink   run.Sink
	// Connect makes the Target of a cluster. It performs no slow I/O; trouble of a kind that git can mend is a *gitops.Error.
	Connect func(ctx context.Context, c gitops.Cluster) (Target, error)
	// Now is the clock; timers follow the runtime's.
	Now func() time.Time
	// Checks are what reconcile.yaml is read with.
	Checks plan.Checks
	Log    *slog.Logger
	// Interval is the longest time between two passes of a cluster in the daemon.
	Interval time.Duration
	// Jitter spreads intervals and backoffs: it returns a value in [0, 1).
	Jitter func() float64
	// Deadline is how long one change may take to become ready before it is reported as Deadline; it stays watched.
	Deadline time.Duration
	// Concurrency bounds the changes being applied at once in one cluster. How many requests that makes is the Actor's to adapt.
	Concurrency int
}

// Engine reconciles clusters. It holds no state of clusters: that is observed anew in every pass.
type Engine struct{ Options }

// New makes an Engine; zero fields of Options get defaults (Interval 3 m, Deadline 30 m, Concurrency 64, no jitter).
func New(o Options) *Engine {
	if o.Interval == 0 {
		o.Interval = 3 * time.Minute
	}
	if o.Deadline == 0 {
		o.Deadline = 30 * time.Minute
	}
	if o.Concurrency == 0 {
		o.Concurrency = 64
	}
	if o.Jitter == nil {
		o.Jitter = func() float64 { return 0 }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Engine{Options: o}
}

// Job is one pass over one cluster.
type Job struct {
	Snapshot gitops.Snapshot
	Cluster  gitops.Cluster
	Target   Target
	// Cause says why the pass runs, for history: "commit", "drift", "interval", "apply" ...
	Cause string
	// Policies are applied after those of reconcile.yaml: what the caller selected.
	Policies []plan.Policy
	// Preview plans without applying.
	Preview bool
	// Confirmed says that a person asked for the end of a cluster that is Ending: it needs no approval.
	Confirmed bool
	// Yield, when it delivers, ends a pass that has nothing left to start; nil never does.
	Yield <-chan struct{}
	// Nudged is called when the live state may have changed after this pass observed it; nil is fine.
	Nudged func()
	// Last is the record of the pass before, so that history holds what happened and not every look, and so that what is as it
	// was is not told again; nil keeps and tells all.
	Last *run.Record
	// Due says when the next pass comes, for the record of this one; nil leaves that out.
	Due func(run.Record) time.Time
	// Backoff keeps scopes that failed from being retried at once; nil retries everything.
	Backoff *Backoff
	// Contests keep what somebody else sets back every time from being corrected all the time; nil corrects everything.
	Contests *Contests
	// Lost, when closed, says that another process may work on the cluster: calls under way are cut off and the books are
	// left to it, as if this process had been killed. The context of the pass ends too. Nil is never lost.
	Lost <-chan struct{}

	// timeouts say how long one change may take, by the cluster's policy.
	timeouts plan.Timeouts
}

// firm is the context of what the end of a pass must not cut short: calls under way, and the books. Only losing the cluster does.
func (j Job) firm(ctx context.Context) (context.Context, context.CancelFunc) {
	firm, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		select {
		case <-j.Lost:
			cancel()
		case <-firm.Done():
		}
	}()
	return firm, cancel
}

// lost reports whether the cluster may be another process's by now.
func (j Job) lost() bool {
	select {
	case <-j.Lost:
		return true
	default:
		return false
	}
}

func (e *Engine) head(cluster string) run.Head { return run.Head{At: e.Now(), Cluster: cluster} }
