package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// task is one change on its way. All fields are owned by the scheduler's goroutine.
type task struct {
	change plan.Change
	result run.Result
	// waits are the needs that are not done yet; with none left it is queued.
	waits  map[gitops.Ref]bool
	queued bool
	// order is its place in the plan.
	order int
	// busy says that a call for it is under way.
	busy bool
	// due is when to look at its health next; looked is when that was done last.
	due, looked time.Time
	// step says that the next call is Apply again, not Ready.
	step bool
	// gate says that it only stands for what it needs (plan.Gate): there is nothing to call, to tell or to record.
	gate bool
	// quiet says that its end was told before, and is no news.
	quiet bool
	// started says that its start was told, so that its end is told too.
	started bool
}

// answer is what a call for a task came back with.
type answer struct {
	task   *task
	apply  bool
	health gitops.Health
	err    error
}

// schedule carries one plan out.
type schedule struct {
	*Engine
	job   Job
	tasks []*task
	byRef map[gitops.Ref]*task
	// needing are the tasks that wait for one.
	needing map[gitops.Ref][]*task
	// pending are the overlays whose items only predict what they will be once the cluster's facts are known.
	pending map[string]bool
	// last are the results of the pass before.
	last map[gitops.Ref]run.Result
	// ready are the tasks to start, in the plan's order, and some that came to an end before that; watched are those that were accepted
	// and are not ready yet, and some that were before.
	ready, watched []*task
	answers        chan answer
	// busy are the calls under way, applying those of them that begin a task.
	busy, applying int
	// stopped says that nothing new is started: the run was cancelled or yields.
	stopped bool
	// nudged says that the live state may have changed since it was observed.
	nudged bool
	// began is when it began, and idle when there was last something to start.
	began, idle time.Time
}

// yieldAfter is how long a pass that only waits stays before a nudge may end it, so that the changes just applied settle
// within their own run in the common case.
const yieldAfter = 2 * time.Second

// grace is how long calls under way may take after the run was cancelled.
const grace = 20 * time.Second

// carry is the scheduler: start what is unblocked, watch what was started, unblock what needs it, until nothing is left
// (or nothing is left to start and the job yields). Calls run in goroutines that it waits for; decisions are made here.
//
//	state        next
//	pending   -> applying (needs done) | blocked (a need failed, is held, or is itself blocked) | held
//	applying  -> applied (accepted) | failed
//	applied   -> done (ready) | failed | applying (Health.Step) | left as it is (yield, interrupt)
func (e *Engine) carry(ctx context.Context, j Job, p plan.Plan, overlays []gitops.Overlay) []run.Result {
	s := &schedule{Engine: e, job: j, byRef: map[gitops.Ref]*task{}, needing: map[gitops.Ref][]*task{}, pending: map[string]bool{}, answers: make(chan answer), began: e.Now(), idle: e.Now()}
	if j.Last != nil {
		s.last = make(map[gitops.Ref]run.Result, len(j.Last.Results))
		for _, res := range j.Last.Results {
			s.last[res.Ref] = res
		}
	}
	for _, o := range overlays {
		s.pending[o.Name] = o.Pending
	}
	calls, cancel := j.firm(ctx)
	defer cancel()
	s.admit(p)
	for {
		s.start(calls)
		if s.finished() {
			break
		}
		s.wait(ctx, cancel)
	}
	return s.results()
}

// admit makes the tasks and settles those that do not run at all.
func (s *schedule) admit(p plan.Plan) {
	for _, c := range p.Changes {
		s.add(&task{change: c, result: run.Result{Change: c.ID, Ref: c.Ref, State: run.Pending}})
	}
	for _, g := range p.Gates {
		s.add(&task{change: plan.Change{Ref: g.Ref, Needs: g.Needs}, result: run.Result{Ref: g.Ref, State: run.Pending}, gate: true})
	}
	for _, t := range s.tasks {
		for _, need := range t.change.Needs {
			if s.byRef[need] != nil && need != t.change.Ref && !t.waits[need] {
				t.waits[need] = true
				s.needing[need] = append(s.needing[need], t)
			}
		}
	}
	for _, t := range s.tasks {
		switch {
		case t.gate:
			s.open(t)
		case t.change.Hold != nil:
			s.settle(t, run.ChangeHeld, &gitops.Error{Reason: t.change.Hold.Reason, Err: errors.New(t.change.Hold.Why)})
		case t.change.Ref.Domain == gitops.K8s && s.pending[t.change.From.Overlay]:
			s.settle(t, run.Blocked, gitops.Errorf(gitops.FactsPending, "overlay %s needs facts of the cluster that are known after apply", t.change.From.Overlay))
		case t.change.Action == plan.Wait:
			s.resume(t)
		default:
			s.retry(t)
		}
	}
	for _, t := range s.tasks {
		s.queue(t)
	}
}

// queue has a task started in its turn, when it waits for nothing (any more).
func (s *schedule) queue(t *task) {
	if !t.gate && !t.queued && len(t.waits) == 0 && t.result.State == run.Pending {
		t.queued = true
		at, _ := slices.BinarySearchFunc(s.ready, t.order, func(other *task, order int) int { return other.order - order })
		s.ready = slices.Insert(s.ready, at, t)
	}
}

func (s *schedule) add(t *task) {
	t.waits = map[gitops.Ref]bool{}
	t.order = len(s.tasks)
	s.tasks, s.byRef[t.change.Ref] = append(s.tasks, t), t
}

// retry keeps back what failed lately, and what somebody else insists on.
func (s *schedule) retry(t *task) {
	if until, ok := s.job.Backoff.Wait(t.change, s.Now()); ok {
		s.settle(t, run.Blocked, gitops.Errorf(gitops.Backoff, "next try at %s", until.UTC().Format(time.TimeOnly+"Z")))
		return
	}
	if why, first := s.job.Contests.Wait(t.change, s.Now()); why != nil {
		t.quiet = !first
		s.settle(t, run.Blocked, why)
	}
}

// resume goes on watching what is in flight. What the pass before saw of it is where this one begins, so that its deadline
// runs on and only news is told.
func (s *schedule) resume(t *task) {
	t.result.State, t.result.Began = run.Applied, s.Now()
	s.watched = append(s.watched, t)
	last := s.last[t.change.Ref]
	late := last.Error != nil && last.Error.Reason == gitops.Deadline
	if last.State == run.Applied || late {
		t.result.Began, t.result.Health = last.Began, last.Health
	}
}

// start begins every task whose needs are done, and looks at those whose time has come, within the concurrency bound.
func (s *schedule) start(ctx context.Context) {
	if s.stopped {
		return
	}
	now := s.Now()
	s.tidy()
	for _, t := range s.watched {
		if s.busy < s.Concurrency && !t.busy && !now.Before(t.due) {
			t.looked = now
			s.call(ctx, t, t.step)
		}
	}
	for s.busy < s.Concurrency && len(s.ready) > 0 {
		t := s.ready[0]
		s.ready = s.ready[1:]
		t.result.State, t.result.Began, s.idle, t.started = run.Applying, now, now, true
		s.applying++
		s.Sink.Emit(run.Started{Head: s.head(s.job.Cluster.Name), Change: t.change})
		s.call(ctx, t, true)
		s.skip()
	}
}

// skip passes over tasks that were settled before their turn.
func (s *schedule) skip() {
	for len(s.ready) > 0 && s.ready[0].result.State != run.Pending {
		s.ready = s.ready[1:]
	}
}

// tidy takes out of the queues what is settled.
func (s *schedule) tidy() {
	s.skip()
	s.watched = slices.DeleteFunc(s.watched, func(t *task) bool { return t.result.State != run.Applied })
}

// call runs Apply or Ready of a task in a goroutine; its answer comes back through s.answers.
func (s *schedule) call(ctx context.Context, t *task, apply bool) {
	t.busy, t.step = true, false
	s.busy++
	side := s.side(t.change.Ref)
	go func() {
		a := answer{task: t, apply: apply}
		defer func() {
			if p := recover(); p != nil {
				a.err = gitops.Errorf(gitops.Internal, "panic while applying: %v", p)
			}
			s.answers <- a
		}()
		if apply {
			if a.err = side.Apply(ctx, t.change); a.err != nil {
				return
			}
		}
		a.health, a.err = side.Ready(ctx, t.change.Ref)
	}()
}

func (s *schedule) side(r gitops.Ref) Side {
	if r.Domain == gitops.EKS {
		return s.job.Target.Infra
	}
	return s.job.Target.Objects
}

// finished reports whether nothing is under way and nothing will be.
func (s *schedule) finished() bool {
	s.tidy()
	return s.busy == 0 && (s.stopped || len(s.ready) == 0 && len(s.watched) == 0)
}

// results gives what became of every change; what never started because the run ended is interrupted.
func (s *schedule) results() []run.Result {
	out := make([]run.Result, 0, len(s.tasks))
	for _, t := range s.tasks {
		if t.gate {
			continue
		}
		if t.result.State == run.Pending {
			s.settle(t, run.Interrupted, gitops.Errorf(gitops.Interrupted, "the run ended before its turn"))
		}
		out = append(out, t.result)
	}
	slices.SortStableFunc(out, func(a, b run.Result) int { return a.Ref.Compare(b.Ref) })
	return out
}
