package apply

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// Options wires a Cluster.
type Options struct {
	// Cluster is the cluster's name; it marks the sets that are ours.
	Cluster string
	// Access says how to reach the API server. It is asked in every pass, since a cluster may come, go or move. It returns
	// ErrNoCluster while there is none.
	Access func(ctx context.Context) (Access, error)
	// Namespace holds the parents of the sets. It is created when something is first applied. Default: reconciler-system.
	Namespace string
	// Manager is the field manager of our applies. Default: reconciler.
	Manager string
	// Version is the tool's version, told in the parents' tooling annotation. Default: v0.0.0.
	Version string
	// Watch keeps watches open, so that looking costs no requests and changes nudge; without it every look lists.
	Watch bool
	// Preview says that nothing that is looked at here will be applied: every creation is then asked of the server, however many.
	Preview bool
	// Ending says that the cluster is deleted: what others made in it goes too, where AWS holds something for it.
	Ending bool
	// Timeout bounds one request; watches have no end, but must begin by then. Default: 75 s, which is more than API servers take for a
	// request themselves (60 s), so that what was given up is not carried out afterwards.
	Timeout time.Duration
	// Rules are the cluster's policy, of which conflicts, ignored fields and health concern what is in the cluster.
	Rules plan.Rules
	// Now is the clock.
	Now func() time.Time
	Log *slog.Logger
}

// Cluster is the in-cluster side of one cluster: engine.Observer and engine.Actor. It is safe for concurrent use.
type Cluster struct {
	Options
	rules []rule
	// judges are the policy's health rules.
	judges map[schema.GroupKind]healthRule
	memo   *memo
	// troubles are why pods do not run.
	troubles *troubles
	nudge    chan struct{}

	mu   sync.Mutex
	link *link
	// source reads the labelled objects; it belongs to link.
	source reader
	watch  *watcher
	// sets are the parents as last seen or written, by overlay; plans are what they should say.
	sets, plans map[string]parent
	setting     map[string]*sync.Mutex
	// fresh is what our own writes answered, until watches have caught up.
	fresh map[key]fresh
	// promised are our fields as the dry run said they would be stored.
	promised map[key]promise
	// replacing holds the UIDs of objects that are being deleted in order to be created anew.
	replacing map[key]string
	// dismissed holds the UIDs of objects that others made and that were deleted because their cluster ends.
	dismissed map[key]types.UID
	// passing are the Jobs that we made here and that go by themselves: when they are gone they have finished.
	passing map[key]bool
	// declines are what the server did not create when it was sent without a dry run.
	declines map[key]bool
	// strays are inventory entries that were looked at and found not to be ours any more.
	strays map[gitops.Ref]bool
	// still is what the next look may rest on, and moved is what was told of, or written, since the last one, with its set.
	still *still
	moved map[key]string
	// idle are the members of sets whose overlays git has nothing in, as of the last look; a set goes with its last member.
	idle map[string]map[key]bool
}

// New makes a Cluster. It performs no I/O. Close releases what it keeps open.
func New(o Options) *Cluster {
	if o.Namespace == "" {
		o.Namespace = "reconciler-system"
	}
	if o.Manager == "" {
		o.Manager = "reconciler"
	}
	if o.Version == "" {
		o.Version = "v0.0.0"
	}
	if o.Timeout == 0 {
		o.Timeout = 75 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &Cluster{Options: o, rules: rulebook(o.Rules.Conflicts), judges: healthRules(o.Rules.Health), nudge: make(chan struct{}, 1)}
	c.reset()
	return c
}

// reset forgets everything about the server.
func (c *Cluster) reset() {
	c.memo, c.troubles = newMemo(), &troubles{all: map[types.UID]saying{}}
	c.sets, c.plans, c.setting = map[string]parent{}, map[string]parent{}, map[string]*sync.Mutex{}
	c.fresh, c.promised, c.replacing = map[key]fresh{}, map[key]promise{}, map[key]string{}
	c.still, c.moved = nil, map[key]string{}
	c.passing, c.declines, c.dismissed = map[key]bool{}, map[key]bool{}, map[key]types.UID{}
	c.strays, c.idle = map[gitops.Ref]bool{}, map[string]map[key]bool{}
}

// Close ends the watches and connections. The Cluster may be used again afterwards.
func (c *Cluster) Close() {
	c.mu.Lock()
	end := c.disconnect()
	c.mu.Unlock()
	end()
}

// disconnect takes the connection away, with c.mu held. What it gives back ends it, and waits for the handlers of its watches,
// which need c.mu: it is to be called without.
func (c *Cluster) disconnect() (end func()) {
	l, w := c.link, c.watch
	c.link, c.source, c.watch = nil, nil, nil
	return func() {
		if w != nil {
			w.close()
		}
		if l != nil {
			l.close()
		}
	}
}

// Changed delivers a nudge when the live state may have changed; only with Options.Watch.
func (c *Cluster) Changed() <-chan struct{} { return c.nudge }

func (c *Cluster) nudged() {
	select {
	case c.nudge <- struct{}{}:
	default:
	}
}

// connect gives the link to the server, made anew when the way to it changed.
func (c *Cluster) connect(ctx context.Context) (*link, reader, error) {
	a, err := c.Access(ctx)
	if err != nil {
		if errors.Is(err, ErrNoCluster) {
			c.Close()
			return nil, nil, err
		}
		return nil, nil, gitops.AsError(gitops.Unreachable, err)
	}
	end := func() {}
	defer func() { end() }()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link != nil && c.link.identity == a.identity() {
		return c.link, c.source, nil
	}
	end = c.disconnect()
	l, err := dial(a, c.Options)
	if err != nil {
		return nil, nil, gitops.AsError(gitops.Unreachable, err)
	}
	c.reset()
	c.link, c.source = l, lister{l}
	if c.Watch {
		c.watch = newWatcher(ctx, l, c)
		c.source = c.watch
	}
	return c.link, c.source, nil
}
