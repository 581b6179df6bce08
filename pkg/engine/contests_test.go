package engine_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eks-gitops/reconciler/pkg/engine"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// drift is the correction of one field that a manager has set.
func drift(manager, path string) plan.Change {
	item := configMap("a", "1")
	c := plan.Change{Ref: item.Ref, Action: plan.Update, Drift: true, Spec: item.Spec, Edits: []plan.Edit{{Path: path, Before: "theirs", After: "1"}}}
	if manager != "" {
		c.Edits[0].Owner = &gitops.Owner{Manager: manager}
	}
	return c
}

// fight corrects and lets the other one set back after a second, until that is held back; it gives the time that took.
func fight(s *engine.Contests, c plan.Change, now *time.Time, most int) (corrected int, why *gitops.Error, first bool) {
	for range most {
		if why, first = s.Wait(c, *now); why != nil {
			return corrected, why, first
		}
		s.Corrected(c, *now)
		corrected++
		*now = now.Add(time.Second)
	}
	return corrected, nil, false
}

func TestContestsAreDamped(t *testing.T) {
	s, now, c := engine.NewContests(), time.Unix(1000, 0), drift("flapper", "data.v")
	n, why, first := fight(s, c, &now, 100)
	if n != 5 || !first || why.Reason != gitops.Contested || !strings.HasPrefix(why.Message(), "flapper sets data.v back again and again") {
		t.Fatalf("%d corrections, first %v: %v", n, first, why)
	}
	// It is left alone for a pause that doubles; after each, one correction shows whether the other one still insists.
	for _, pause := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		until := s.Next(now)
		if got := until.Sub(now); got != pause*time.Minute {
			t.Fatalf("a pause of %s, want %s", got, pause*time.Minute)
		}
		now = until.Add(-time.Millisecond)
		if why, first := s.Wait(c, now); why == nil || first {
			t.Fatalf("just before the end of the pause: %v, first %v", why, first)
		}
		now = until
		if n, why, first := fight(s, c, &now, 100); n != 1 || why == nil || first {
			t.Fatalf("after a pause of %s: %d corrections, %v, first %v", pause*time.Minute, n, why, first)
		}
	}
	// The other one stops: the correction holds for a minute, and the contest is over.
	now = s.Next(now)
	s.Corrected(c, now)
	now = now.Add(61 * time.Second)
	if n, why, first := fight(s, c, &now, 100); n != 5 || !first {
		t.Errorf("long after that: %d corrections, %v, first %v", n, why, first)
	}
}

func TestWhatIsNoContest(t *testing.T) {
	for name, f := range map[string]func(s *engine.Contests, c *plan.Change, now *time.Time, i int){
		"now and then": func(_ *engine.Contests, _ *plan.Change, now *time.Time, _ int) { *now = now.Add(15 * time.Second) },
		"always another one": func(_ *engine.Contests, c *plan.Change, _ *time.Time, i int) {
			*c = drift(string(rune('a'+i)), "data.v")
		},
		"git changes": func(_ *engine.Contests, c *plan.Change, _ *time.Time, i int) {
			*c = drift("x", "data.v")
			c.Spec = configMap("a", i).Spec
		},
		"always another field": func(_ *engine.Contests, c *plan.Change, _ *time.Time, i int) {
			*c = drift("x", "data."+string(rune('a'+i)))
		},
	} {
		s, now, c := engine.NewContests(), time.Unix(1000, 0), drift("x", "data.v")
		for i := range 20 {
			f(s, &c, &now, i)
			if why, _ := s.Wait(c, now); why != nil {
				t.Errorf("%s: %v", name, why)
				break
			}
			s.Corrected(c, now)
			now = now.Add(100 * time.Millisecond)
		}
	}
	// What git does not change is counted even while the thing never becomes ready, so that it is no drift by the books.
	s, now, c := engine.NewContests(), time.Unix(1000, 0), drift("x", "data.v")
	c.Drift = false
	if n, why, _ := fight(s, c, &now, 100); n != 6 || why == nil {
		t.Errorf("without drift: %d corrections, %v", n, why)
	}
}

// TestDaemonDampsAContest: another manager sets a field back whenever it is corrected. It is told once, the difference stays
// shown, nothing else waits for it, and it is over when the other one stops.
func TestDaemonDampsAContest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a := configMap("a", "1")
		w.push(a, dependsOn(configMap("b", "1"), "a"))
		stop := start(t, w)
		time.Sleep(time.Second)
		stubborn, theirs := true, configMap("a", "theirs").Spec
		corrections := func() (n int) {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, done := range w.applies {
				if done.change.Ref == a.Ref && done.change.Drift {
					n++
				}
			}
			return n
		}
		fighting := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
				w.mu.Lock()
				v, _ := gitops.At(w.live[a.Ref], "data", "v")
				w.mu.Unlock()
				if stubborn && v == "1" {
					w.edit(a.Ref, theirs)
				}
			}
		}
		fighting(30 * time.Second)
		if n := corrections(); n != 5 {
			t.Errorf("%d corrections in half a minute, want 5", n)
		}
		last := w.lastRecord()
		c, shown := last.Plan.Change(a.Ref)
		if r, _ := last.Result(c.ID); !shown || last.Outcome != run.Failed || r.State != run.Blocked || r.Error.Reason != gitops.Contested {
			t.Errorf("%s, drift shown %v: %+v", last.Outcome, shown, r)
		}
		// What needs it goes on.
		w.push(a, dependsOn(configMap("b", "2"), "a"))
		fighting(time.Second)
		wantLive(t, w, map[string]any{"a": "theirs", "b": "2"})
		fighting(2 * time.Hour)
		if n := corrections(); n < 5+6 || n > 5+8 {
			t.Errorf("%d corrections in two hours, want about 12", n)
		}
		told := 0
		w.mu.Lock()
		for _, e := range w.events {
			if e, ok := e.(run.Settled); ok && e.Result.Error != nil && e.Result.Error.Reason == gitops.Contested {
				told++
			}
		}
		w.mu.Unlock()
		if told != 1 {
			t.Errorf("it was told %d times", told)
		}
		stubborn = false
		fighting(2 * time.Hour)
		wantLive(t, w, map[string]any{"a": "1", "b": "2"})
		if last := w.lastRecord(); last.Outcome != run.Converged {
			t.Errorf("after the end: %s", last.Outcome)
		}
		stop()
	})
}
