package engine

import (
	"context"
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// worker runs the passes of one cluster.
type worker struct {
	*Engine
	// name is the cluster's: what its lease and its books go by.
	name string
	// todo is what the worker was told last.
	todo work
	// had is the newest work that git gave; left says that the cluster's folder left git since. They are the daemon's goroutine's alone.
	had  work
	left bool
	// mail holds the newest work only: what was superseded is never run.
	mail chan work
	// yield tells a pass that only waits to make way for newer work.
	yield   chan struct{}
	stop    context.CancelFunc
	backoff *Backoff
	// contests are who insists on other values than git's.
	contests *Contests
	// lost is closed when the cluster is not this process's any more.
	lost <-chan struct{}
	// rested is when the last pass ended.
	rested time.Time
	// again says that the live state may have moved under the last pass, so that another look is due.
	again bool
	// last is the record of the last pass.
	last *run.Record
	// trouble is what kept the last pass from being made or recorded; it is told once.
	trouble string
	target  Target
	// connected is the cluster, region and policy that the target was made for.
	connected string
}

// give replaces the worker's pending work and asks the pass under way to yield. It is called by the daemon's goroutine only.
func (w *worker) give(todo work) {
	select {
	case <-w.mail:
	default:
	}
	w.mail <- todo
	nudge(w.yield)
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// settleTime coalesces bursts of nudges: a rollout moves many objects, and one pass answers all that moved since the last one.
// The first nudge after a rest is answered at once.
const settleTime = 50 * time.Millisecond

// serve runs the loop for as long as the cluster is this process's, and again when it becomes so again.
func (w *worker) serve(ctx context.Context) {
	if w.Leases == nil {
		w.run(ctx, nil)
		return
	}
	for ctx.Err() == nil {
		if err := w.Leases.Hold(ctx, w.name, w.run); err != nil {
			w.sleep(ctx, w.stuck(w.todo, gitops.AsError(gitops.LedgerUnavailable, err)))
		}
	}
}

func (w *worker) sleep(ctx context.Context, until time.Time) {
	timer := time.NewTimer(until.Sub(w.Now()))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// run is the loop of one cluster: wait for a reason, run a pass, decide when to look again. Of the time before, in which
// another process may have had the cluster, it remembers only what git wants.
func (w *worker) run(ctx context.Context, lost <-chan struct{}) {
	defer w.close()
	w.lost, w.last, w.backoff, w.contests = lost, nil, NewBackoff(w.Jitter), NewContests()
	var next time.Time
	if w.todo.cluster.Folder != "" {
		next = w.Now()
	}
	cause := ""
	for {
		if w.todo, cause = w.await(ctx, w.todo, next); ctx.Err() != nil {
			return
		}
		next = w.pass(ctx, w.todo, cause)
		w.rested = w.Now()
	}
}

// await blocks until there is a reason for a pass: new work, a nudge of the live state, or time.
func (w *worker) await(ctx context.Context, todo work, next time.Time) (work, string) {
	wait := time.NewTimer(max(0, next.Sub(w.Now())))
	defer wait.Stop()
	due := wait.C
	if next.IsZero() {
		due = nil
	}
	var infra, objects <-chan struct{}
	if w.connected != "" {
		infra, objects = w.target.Infra.Changed(), w.target.Objects.Changed()
	}
	select {
	case <-ctx.Done():
		return todo, ""
	case todo = <-w.mail:
		return todo, "commit"
	case <-due:
		return todo, "interval"
	case <-infra:
	case <-objects:
	}
	settled := time.NewTimer(max(0, w.rested.Add(settleTime).Sub(w.Now())))
	defer settled.Stop()
	select {
	case <-ctx.Done():
	case todo = <-w.mail:
		return todo, "commit"
	case <-settled.C:
	}
	return todo, "drift"
}

// pass runs once and says when the next pass is due.
func (w *worker) pass(ctx context.Context, todo work, cause string) time.Time {
	if err := w.connect(ctx, todo.cluster); err != nil {
		return w.stuck(todo, gitops.AsError(gitops.Unreachable, err))
	}
	select {
	case <-w.yield: // what asked for it is what this pass runs
	default:
	}
	if len(w.mail) > 0 {
		nudge(w.yield)
	}
	w.again = false
	record, err := w.RunOnce(ctx, Job{
		Snapshot: todo.snapshot, Cluster: todo.cluster, Target: w.target, Cause: cause, Yield: w.yield, Backoff: w.backoff, Contests: w.contests, Last: w.last,
		Lost: w.lost, Nudged: func() { w.again = true }, Due: func(r run.Record) time.Time { return w.due(todo.cluster, r) },
	})
	if e := gitops.AsError(gitops.LedgerUnavailable, err); err != nil {
		if ctx.Err() != nil && e.Reason == gitops.Interrupted {
			w.Log.Info("stopped", "cluster", w.name, "why", e)
			return time.Time{}
		}
		return w.stuck(todo, e)
	}
	w.last, w.trouble = &record, ""
	return record.Next
}

// stuck tells what kept a pass from being made or recorded, and when to try again. The next pass that is recorded is told
// and kept whatever it finds: what this one did may not be on the books.
func (w *worker) stuck(todo work, e *gitops.Error) time.Time {
	w.Log.Error("reconciling", "cluster", w.name, "error", e)
	if said := e.Error(); said != w.trouble {
		w.Sink.Emit(run.Fetched{Head: w.head(w.name), Revision: todo.snapshot.Revision, Error: e})
		w.trouble = said
	}
	w.last = nil
	return w.Now().Add(w.spread(min(w.Interval, 10*time.Second)))
}

// due is when to look again without a nudge: soon while something moves or waits for a retry, at the interval otherwise.
func (w *worker) due(c gitops.Cluster, r run.Record) time.Time {
	interval := w.Interval
	if rules, _ := plan.DecodeRules(c.Policy, w.Checks); rules.Interval > 0 {
		interval = rules.Interval
	}
	next := w.Now().Add(w.spread(interval))
	if r.Outcome == run.Progressing || w.again || foretold(r) {
		next = w.Now().Add(settleTime)
	}
	// A wait that ended while the pass was busy with other things is over now, not at the interval.
	for _, at := range []time.Time{w.backoff.Next(r.Began), w.contests.Next(w.Now())} {
		if !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	return next
}

// foretold reports whether a pass made what it had only predicted: nothing of that is watched before it was looked at.
func foretold(r run.Record) bool {
	for c, res := range r.Each() {
		if c.Predicted && res.Reached() {
			return true
		}
	}
	return false
}

// connect makes the target, anew when what it is made from changed in git: the cluster's identity, or its policy.
func (w *worker) connect(ctx context.Context, c gitops.Cluster) error {
	var policy gitops.Tree
	if c.Policy != nil {
		policy = c.Policy.Spec
	}
	identity := string(gitops.DigestOf([]any{c.Name, c.Ending, c.LogGroups, gitops.TreeAt(c.Config.Spec, "metadata")["region"], policy}))
	if w.connected == identity {
		return nil
	}
	w.close()
	target, err := w.Connect(ctx, c)
	if err != nil {
		return err
	}
	w.target, w.connected = target, identity
	return nil
}

func (w *worker) close() {
	if w.connected != "" && w.target.Close != nil {
		w.target.Close()
	}
	w.connected = ""
}
