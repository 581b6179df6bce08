package eks

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eks-gitops/reconciler/pkg/engine"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// trial is what came of carrying on against trouble.
type trial struct {
	// said is what was told, each text once, in order.
	said []*gitops.Error
	// tries are the moments at which each ref was begun.
	tries map[gitops.Ref][]time.Time
	// looks counts the passes, and writes the calls that change something.
	looks, writes int
}

func (o *trial) tell(e *gitops.Error) {
	if !slices.ContainsFunc(o.said, func(other *gitops.Error) bool { return other.Error() == e.Error() }) {
		o.said = append(o.said, e)
	}
}

func (o *trial) String() string {
	var b strings.Builder
	for _, e := range o.said {
		fmt.Fprintln(&b, e.Error())
	}
	for r, at := range o.tries {
		fmt.Fprintf(&b, "%s was begun %d times\n", r.Label(), len(at))
	}
	fmt.Fprintf(&b, "%d looks, %d writes\n", o.looks, o.writes)
	return b.String()
}

// persist carries plans out for a while the way the daemon does, whatever fails: a pass begins what needs nothing, what is ready lets others
// begin, what failed waits as the engine's own Backoff says, and what is broken only waits for the interval.
func (r *rig) persist(d time.Duration) *trial {
	r.t.Helper()
	const interval = 3 * time.Minute
	out := &trial{tries: map[gitops.Ref][]time.Time{}}
	backoff := engine.NewBackoff(func() float64 { return 0 })
	from := r.lastRequest()
	for end := r.Clock.Now().Add(d); r.Clock.Now().Before(end); {
		began := r.Clock.Now()
		out.looks++
		want := gitops.Desired{Cluster: "dev", Items: []gitops.Item{r.item}}
		seen, err := r.cloud.Observe(r.t.Context(), want, r.inv)
		if err != nil {
			out.tell(gitops.AsError(gitops.ObserveFailed, err))
		} else {
			p := plan.Build(plan.Input{Desired: want, Observed: seen, Inventory: r.inv}, r.policies...)
			for _, e := range p.Problems {
				out.tell(e)
			}
			r.attempt(p, backoff, out)
		}
		next := began.Add(interval)
		if at := backoff.Next(began); !at.IsZero() && at.Before(next) {
			next = at
		}
		for r.Clock.Now().Before(next) {
			r.breathe(next.Sub(r.Clock.Now()))
		}
	}
	for _, q := range r.Requests(from) {
		if !q.ReadOnly {
			out.writes++
		}
	}
	return out
}

// breathe lets AWS go on for a moment.
func (r *rig) breathe(most time.Duration) {
	r.t.Helper()
	r.Clock.Move(min(most, 30*time.Second))
	r.does(r.World.Advance())
}

// attempt carries one plan out until everything has ended or failed, or two hours are over.
func (r *rig) attempt(p plan.Plan, backoff *engine.Backoff, out *trial) {
	r.t.Helper()
	const done, underway, over = 1, 2, 3
	state, open := map[gitops.Ref]int{}, map[gitops.Ref]bool{}
	for _, c := range p.Changes {
		open[c.Ref] = true
	}
	fail := func(c plan.Change, e *gitops.Error) {
		if e.From.File == "" {
			e = e.On(c.Ref).At(c.From)
		}
		state[c.Ref] = over
		out.tell(e)
		backoff.Failed(c, r.Clock.Now())
	}
	for began, again := r.Clock.Now(), map[gitops.Ref]bool{}; r.Clock.Now().Sub(began) < 2*time.Hour; r.breathe(time.Minute) {
		moving := false
		for _, c := range p.Changes {
			needs := slices.ContainsFunc(c.Needs, func(n gitops.Ref) bool { return open[n] && state[n] != done && n != c.Ref })
			if _, waits := backoff.Wait(c, r.Clock.Now()); state[c.Ref] == done || state[c.Ref] == over || needs || c.Hold != nil || waits {
				if c.Hold != nil {
					out.tell((&gitops.Error{Reason: c.Hold.Reason, Err: fmt.Errorf("%s", c.Hold.Why)}).On(c.Ref).At(c.From))
				}
				continue
			}
			if state[c.Ref] != underway && c.Action != plan.Wait {
				out.tries[c.Ref] = append(out.tries[c.Ref], r.Clock.Now())
			}
			if state[c.Ref] != underway || again[c.Ref] {
				if err := r.apply(c); err != nil {
					fail(c, gitops.AsError(gitops.ApplyFailed, err))
					continue
				}
			}
			state[c.Ref] = underway
			h, err := r.cloud.Ready(r.t.Context(), c.Ref)
			again[c.Ref] = h.Step
			switch goal := map[bool]gitops.Status{true: gitops.Absent, false: gitops.Ready}[c.Action == plan.Delete]; {
			case err != nil:
				moving = true
			case h.Status == goal:
				state[c.Ref] = done
				backoff.Forget(c)
			case h.Status == gitops.Failed:
				reason := h.Reason
				if reason == "" {
					reason = gitops.HealthFailed
				}
				fail(c, gitops.Errorf(reason, "%s", h.Message))
			default:
				moving = true
			}
		}
		if !moving && !r.startable(p, state, open, backoff) {
			return
		}
	}
	for _, c := range p.Changes {
		if state[c.Ref] == underway {
			h, err := r.cloud.Ready(r.t.Context(), c.Ref)
			if err != nil {
				h.Message = err.Error()
			}
			fail(c, gitops.Errorf(gitops.Deadline, "%s", h.Message))
		}
	}
}

// startable says that something of a plan can be begun now.
func (r *rig) startable(p plan.Plan, state map[gitops.Ref]int, open map[gitops.Ref]bool, backoff *engine.Backoff) bool {
	return slices.ContainsFunc(p.Changes, func(c plan.Change) bool {
		_, waits := backoff.Wait(c, r.Clock.Now())
		return state[c.Ref] == 0 && c.Hold == nil && !waits && !slices.ContainsFunc(c.Needs, func(n gitops.Ref) bool { return open[n] && state[n] != 1 && n != c.Ref })
	})
}

// lineOf is the line of the file that has a text, counted from 1; 0 when none has.
func lineOf(t *testing.T, body, text string) int {
	t.Helper()
	for i, line := range strings.Split(body, "\n") {
		if strings.Contains(line, text) {
			return i + 1
		}
	}
	t.Fatalf("no line has %q", text)
	return 0
}
