package engine

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// wait sleeps until something may have changed: an answer, a nudge of the live state, a task's time, a yield or the end
// of the run.
func (s *schedule) wait(ctx context.Context, cancel context.CancelFunc) {
	timer := time.NewTimer(s.nap())
	defer timer.Stop()
	done, yield := ctx.Done(), s.job.Yield
	if s.stopped {
		// Cancelled already: only the calls under way are waited for, and not for ever.
		done, yield = nil, nil
	}
	if !s.mayYield() {
		yield = nil
	}
	select {
	case a := <-s.answers:
		s.take(a)
	case <-s.job.Target.Infra.Changed():
		s.look(gitops.EKS)
	case <-s.job.Target.Objects.Changed():
		s.look(gitops.K8s)
	case <-yield:
		s.stopped = true
	case <-done:
		s.stopped = true
		// Calls under way get a moment to finish; then they are cut off and reported as what they are.
		time.AfterFunc(grace, cancel)
	case <-timer.C:
	}
	if s.mayYield() && s.overtaken() {
		s.stopped = true
	}
}

// overtaken reports whether the next pass may do more than this one, which only waits.
func (s *schedule) overtaken() bool {
	switch at := s.again(); {
	case s.nudged && s.job.Yield != nil:
		return true // it may be drift of something that this plan does not touch
	case !at.IsZero() && !s.Now().Before(at):
		return true // what failed need not wait for what takes its time
	}
	// What is waited for may itself wait for an overlay that the next pass can render: pods without room for the autoscaler.
	return s.learned()
}

// again is when something that failed in this run may be tried again; zero when nothing is, or no pass follows this one.
func (s *schedule) again() time.Time {
	if s.job.Yield == nil {
		return time.Time{}
	}
	return s.job.Backoff.Next(s.began)
}

// learned reports whether the infrastructure has become what git wants in this run, and overlays wait for facts of it.
func (s *schedule) learned() bool {
	waiting := false
	for _, pending := range s.pending {
		waiting = waiting || pending
	}
	if !waiting {
		return false
	}
	made := false
	for _, t := range s.tasks {
		if t.change.Ref.Domain != gitops.EKS {
			continue
		}
		switch t.result.State {
		case run.Pending, run.Applying, run.Applied:
			return false
		case run.Done:
			made = true
		case run.ChangeHeld, run.Blocked, run.Broken, run.Interrupted:
		}
	}
	return made
}

// nap is the time to the next task that is due and may be looked at: while as many calls are under way as may be, an answer comes first.
func (s *schedule) nap() time.Duration {
	nap, now := time.Minute, s.Now()
	for _, t := range s.watched {
		if t.result.State == run.Applied && !t.busy && s.busy < s.Concurrency {
			nap = min(nap, max(0, t.due.Sub(now)))
		}
	}
	if at := s.again(); !at.IsZero() && s.mayYield() {
		nap = min(nap, max(0, at.Sub(now)))
	}
	if (s.job.Yield != nil || s.learned()) && !s.mayYield() {
		nap = min(nap, max(time.Millisecond, yieldAfter-now.Sub(s.idle)))
	}
	return nap
}

// mayYield reports whether the run only waits, and has done so long enough that ending it costs nothing.
func (s *schedule) mayYield() bool {
	s.tidy()
	return s.applying == 0 && len(s.ready) == 0 && s.Now().Sub(s.idle) >= yieldAfter
}

// perLook bounds what looking costs, however much is waited for and nudges: 500 looks a second.
const perLook = 2 * time.Millisecond

// apart is how long a task that was looked at is left alone at least.
func (s *schedule) apart() time.Duration {
	const most = 5 * time.Second
	return min(time.Duration(len(s.watched))*perLook, most)
}

// look makes every waiting task of a domain due now: a nudge said that something moved.
func (s *schedule) look(d gitops.Domain) {
	s.nudged = true
	if s.job.Nudged != nil {
		s.job.Nudged()
	}
	s.tidy()
	now, apart := s.Now(), s.apart()
	for _, t := range s.watched {
		if t.change.Ref.Domain == d && !t.step {
			t.due = earlier(t.due, later(now, t.looked.Add(apart)))
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// take books the answer of a call.
func (s *schedule) take(a answer) {
	t := a.task
	t.busy = false
	s.busy--
	if t.result.State == run.Applying {
		s.applying--
	}
	switch {
	case a.err != nil && (a.apply || t.result.State == run.Applying):
		s.fail(t, hushed(gitops.AsError(gitops.ApplyFailed, a.err), t.change))
		return
	case a.err != nil:
		// The change was accepted; not being able to look is no verdict on it.
		a.health = gitops.Health{Status: gitops.Unknown, Message: a.err.Error()}
	}
	if t.result.State == run.Applying {
		s.job.Contests.Corrected(t.change, s.Now())
	}
	a.health.Message = plan.Hush(a.health.Message, t.change.Secrets, t.change.Spec, t.change.Live)
	if t.result.State != run.Applied {
		t.result.State = run.Applied
		s.watched = append(s.watched, t)
	}
	moved := a.health != t.result.Health
	t.result.Health = a.health
	switch goal := s.goal(t.change); {
	case a.health.Status == goal:
		s.settle(t, run.Done, nil)
	case a.health.Status == gitops.Absent && t.change.Action == plan.Wait && t.change.Ref.Domain == gitops.K8s:
		s.settle(t, run.Interrupted, gitops.Errorf(gitops.BeingDeleted, "it is gone now; the next pass makes it anew"))
	case a.health.Status == gitops.Failed:
		s.fail(t, gitops.Errorf(cmp.Or(a.health.Reason, gitops.HealthFailed), "%s", a.health.Message))
	case s.Now().Sub(t.result.Began) > s.deadline(t.change.Ref):
		s.fail(t, gitops.Errorf(cmp.Or(a.health.Reason, gitops.Deadline), "not ready after %s: %s", s.deadline(t.change.Ref), a.health.Message))
	default:
		t.step = a.health.Step
		t.due = s.Now().Add(max(pause(s.Now().Sub(t.result.Began), a.health.Step), s.apart()))
		if moved {
			s.Sink.Emit(run.Progressed{Head: s.head(s.job.Cluster.Name), Change: t.change.ID, Ref: t.change.Ref, State: run.Applied, Health: a.health})
		}
	}
}

// hushed is what is told of an error of a change: paths name items of lists by their values, which may be secrets.
func hushed(e *gitops.Error, c plan.Change) *gitops.Error {
	said := e.Message()
	if clean := plan.Hush(said, c.Secrets, c.Spec, c.Live); clean != said {
		out := *e
		out.Err = errors.New(clean)
		return &out
	}
	return e
}

// deadline is how long a change may take.
func (s *schedule) deadline(r gitops.Ref) time.Duration {
	return cmp.Or(s.job.timeouts.Of(r), s.Deadline)
}

// goal is the status that ends a change.
func (s *schedule) goal(c plan.Change) gitops.Status {
	if c.Action == plan.Delete {
		return gitops.Absent
	}
	return gitops.Ready
}

// pause is how long to leave a task alone: a twentieth of the time it has taken so far, so that short things are seen at once, long ones
// cost few calls, and nothing takes a twentieth longer for being looked at. Nudges cut it short.
func pause(elapsed time.Duration, step bool) time.Duration {
	if step {
		return min(max(elapsed/20, 200*time.Millisecond), 5*time.Second)
	}
	return min(max(elapsed/20, 100*time.Millisecond), 10*time.Second)
}

func (s *schedule) fail(t *task, err *gitops.Error) {
	if err.Ref.IsZero() {
		err.Ref = t.change.Ref
	}
	if err.From.File == "" {
		err.From = t.change.From
	}
	s.settle(t, run.Broken, err)
}

// known reports whether the pass before told the same of the same change: what is still held, blocked or late is no news.
func (s *schedule) known(r run.Result) bool {
	last := s.last[r.Ref]
	return last.Change == r.Change && last.State == r.State && (last.Error == nil) == (r.Error == nil) && (r.Error == nil || last.Error.Error() == r.Error.Error())
}

// settle ends a task and passes the news on to what needs it.
func (s *schedule) settle(t *task, state run.State, err *gitops.Error) {
	if err != nil && err.Ref.IsZero() {
		err = err.On(t.change.Ref).At(t.change.From)
	}
	t.result.State, t.result.Error, t.result.Ended = state, err, s.Now()
	if !t.gate && (t.started || !t.quiet && !s.known(t.result)) {
		s.Sink.Emit(run.Settled{Head: s.head(s.job.Cluster.Name), Result: t.result})
	}
	switch {
	case t.gate:
	case state == run.Done:
		s.job.Backoff.Forget(t.change)
	case state == run.Broken:
		s.job.Backoff.Failed(t.change, s.Now())
	}
	s.pass(t, err)
}

// pass tells what needs a settled task what became of it. What somebody else insists on is there, though not as git says: that keeps
// nothing from going on.
func (s *schedule) pass(t *task, err *gitops.Error) {
	state := t.result.State
	there := state == run.Done || err != nil && err.Reason == gitops.Contested && t.change.Action == plan.Update
	for _, other := range s.needing[t.change.Ref] {
		if there {
			delete(other.waits, t.change.Ref)
			s.open(other)
			s.queue(other)
		} else if other.result.State == run.Pending && other.change.Hold == nil {
			s.settle(other, run.Blocked, gitops.Errorf(gitops.Blocked, "needs %s, which is %s", t.change.Ref.Label(), state))
		}
	}
}

// open settles a gate that waits for nothing any more.
func (s *schedule) open(t *task) {
	if t.gate && len(t.waits) == 0 && t.result.State == run.Pending {
		s.settle(t, run.Done, nil)
	}
}
