package source

import (
	"context"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/storage/memory"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// remote is a repository somewhere.
type remote interface {
	// connect begins one exchange. The exchange lives no longer than ctx.
	connect(ctx context.Context) (exchange, error)
	// watch nudges when the references may have moved, until ctx ends. It returns at once, with false, when it cannot: then
	// the references are polled.
	watch(ctx context.Context, nudge func()) bool
}

// exchange is one conversation: the references first, then objects at most once.
type exchange interface {
	references(ctx context.Context) (references, error)
	// objects adds a commit and everything its tree holds to into. When have is not zero, into holds that commit already, and
	// only what differs needs to be added.
	objects(ctx context.Context, c choice, have plumbing.Hash, into *memory.Storage) error
	close()
}

// git follows one reference of a remote.
type git struct {
	options Options
	remote  remote
	// shown names the repository in messages, without userinfo.
	shown   string
	changed nudger
	cache   cache
	// turn holds one token: fetches take turns, and one that is waiting can still be given up.
	turn chan struct{}
	last *frozen
}

// frozen is a commit whose objects are all there.
type frozen struct {
	commit   plumbing.Hash
	store    *memory.Storage
	snapshot gitops.Snapshot
}

func newGit(o Options, shown string, r remote) *git {
	g := &git{options: o, remote: r, shown: shown, changed: make(nudger, 1), turn: make(chan struct{}, 1)}
	g.cache = cache{folder: o.Cache, repository: shown}
	g.turn <- struct{}{}
	return g
}

// Changed implements Source.
func (g *git) Changed() <-chan struct{} { return g.changed }

// Fetch implements Source.
func (g *git) Fetch(ctx context.Context) (gitops.Snapshot, error) {
	select {
	case <-ctx.Done():
		return gitops.Snapshot{}, g.trouble(ctx.Err())
	case <-g.turn:
	}
	defer func() { g.turn <- struct{}{} }()
	if g.last == nil {
		g.last = g.cache.load(g.options.Log)
	}
	if g.last != nil && fullHash(g.options.Rev) && g.last.commit.String() == strings.ToLower(g.options.Rev) {
		// A commit never moves: there is nothing to ask.
		return g.current(g.last.commit.String()), nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, g.options.Timeout, overdue{"not done", g.options.Timeout})
	defer cancel()
	snapshot, err := g.fetch(ctx)
	if err != nil {
		return gitops.Snapshot{}, g.trouble(overdueOr(ctx, err))
	}
	return snapshot, nil
}

func (g *git) fetch(ctx context.Context) (gitops.Snapshot, error) {
	x, refs, err := g.meet(ctx)
	if err != nil {
		return gitops.Snapshot{}, err
	}
	defer x.close()
	c, err := refs.pick(g.options.Rev)
	if err != nil {
		return gitops.Snapshot{}, err
	}
	if g.last != nil && g.last.commit == c.commit {
		return g.current(c.ref), nil
	}
	next, err := g.bring(ctx, x, c)
	if err != nil {
		return gitops.Snapshot{}, err
	}
	g.last = next
	g.cache.save(next, g.options.Log)
	return g.current(c.ref), nil
}

// meet begins an exchange and has the references listed. A server that is there does that within seconds, however long its
// objects take: a silent one is not waited for as long as a large fetch.
func (g *git) meet(ctx context.Context) (exchange, references, error) {
	ctx, hush := context.WithCancelCause(ctx) // ends with its parent, as the exchange does
	timer := time.AfterFunc(g.options.Answer, func() { hush(overdue{"no answer", g.options.Answer}) })
	defer timer.Stop()
	x, err := g.remote.connect(ctx)
	if err != nil {
		return nil, references{}, overdueOr(ctx, err)
	}
	refs, err := x.references(ctx)
	if !timer.Stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		x.close()
		return nil, references{}, overdueOr(ctx, err)
	}
	return x, refs, nil
}

// bring gets the objects of a commit. When that fails on top of what is there already, or does not add up (history was
// rewritten, the repository was made anew), everything is asked for once more in a new exchange.
func (g *git) bring(ctx context.Context, x exchange, c choice) (*frozen, error) {
	if g.last != nil {
		next, err := load(ctx, x, c, g.last.commit, thaw(g.last.store))
		if err == nil || ctx.Err() != nil || refused(err) {
			return next, err
		}
		if x, _, err = g.meet(ctx); err != nil {
			return nil, err
		}
		defer x.close()
	}
	return load(ctx, x, c, plumbing.ZeroHash, memory.NewStorage())
}

func load(ctx context.Context, x exchange, c choice, have plumbing.Hash, store *memory.Storage) (*frozen, error) {
	if err := x.objects(ctx, c, have, store); err != nil {
		return nil, err
	}
	return freeze(store, c.commit)
}

// current is the last snapshot under the name it was reached by now.
func (g *git) current(ref string) gitops.Snapshot {
	g.last.snapshot.Revision.Ref = ref
	return g.last.snapshot
}

// Watch implements Source.
func (g *git) Watch(ctx context.Context) error {
	if fullHash(g.options.Rev) {
		<-ctx.Done()
		return nil
	}
	if g.remote.watch(ctx, g.changed.nudge) {
		return nil
	}
	var p polled
	for sleep(ctx, g.options.Interval+g.spread()) {
		g.tick(ctx, &p)
	}
	return nil
}

// polled is what polls have seen.
type polled struct {
	at              plumbing.Hash
	known, troubled bool
}

// tick polls once and nudges when the reference moved, when trouble begins and when it ends.
func (g *git) tick(ctx context.Context, p *polled) {
	at, err := g.poll(ctx)
	if ctx.Err() != nil {
		return
	}
	if trouble := err != nil; trouble != p.troubled {
		p.troubled = trouble
		if trouble {
			g.options.Log.Warn("polling", "repository", g.shown, "error", g.trouble(err))
		}
		g.changed.nudge()
	}
	if err == nil && (!p.known || at != p.at) {
		p.at, p.known = at, true
		g.changed.nudge()
	}
}

// poll asks where the followed reference is: one request.
func (g *git) poll(ctx context.Context) (plumbing.Hash, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, g.options.Timeout, overdue{"not done", g.options.Timeout})
	defer cancel()
	x, refs, err := g.meet(ctx)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	defer x.close()
	c, err := refs.pick(g.options.Rev)
	return c.commit, err
}

// spread adds up to a tenth to the interval, so that many replicas do not poll in step.
func (g *git) spread() time.Duration {
	return time.Duration(g.options.Jitter() * float64(g.options.Interval) / 10)
}
