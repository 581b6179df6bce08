package apply_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eks-gitops/reconciler/internal/sim/fault"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// death is the end of a process: the nth write is carried out, and the process hears nothing of it nor of anything else. All that it leaves
// behind is in the cluster: objects, sets and books.
type death struct {
	at, writes int
	// end stops the pass: nothing of it can be heard of any more.
	end context.CancelFunc
}

func (d *death) fate(r *http.Request) fault.Effect {
	switch {
	case d.writes >= d.at:
		return fault.Break
	case !fault.Writes(r):
		return fault.None
	}
	if d.writes++; d.writes == d.at {
		d.end()
		return fault.Lost
	}
	return fault.None
}

// dead reports whether the process has died.
func (d *death) dead() bool { return d.writes >= d.at }

// TestCrashBetweenTheStepsOfAMove: the process dies after each single write of a pass that moves objects from one overlay to another. The next
// one goes on with what it finds: no object is deleted on the way, each stays the object that it was, and in the end it is in the new set, and
// the old one is gone.
func TestCrashBetweenTheStepsOfAMove(t *testing.T) {
	for _, c := range []struct {
		name string
		// moves are the things that change to the other overlay; edits say that their content changes, too.
		moves func(t thing) bool
		edits bool
		id    string
	}{
		{"one object", func(t thing) bool { return t.name == "configmap-0" }, false, "crash-one"},
		{"one object with an edit", func(t thing) bool { return t.name == "deployment-0" }, true, "crash-edit"},
		{"the whole overlay, by another name", func(t thing) bool { return t.name != "stays" }, false, "crash-all"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &history{id: c.id, policy: faultPolicy, things: map[thing]state{}, ever: map[thing]bool{}}
			h.put(thing{"Namespace", "", c.id}, "one")
			h.put(h.definition(), "one")
			for _, kind := range []string{"ConfigMap", "Secret", "Deployment", "Frozen", "Widget"} {
				h.put(thing{kind, c.id, strings.ToLower(kind) + "-0"}, "one")
			}
			h.put(thing{"ConfigMap", c.id, "stays"}, "three")
			deletions := 0
			s := newSite(t, c.id, fault.Options{Serial: true, Wrote: func(r *http.Request, _ []byte) {
				if gone, ok := thingOf(r.URL.Path); ok && r.Method == http.MethodDelete && gone.namespace != c.id+"-sets" {
					deletions++
					t.Errorf("%s %s", r.Method, r.URL.Path)
				}
			}})
			first := s.start(false, time.Minute, h.policy)
			s.settle(first, h.snapshot())
			first.stop()
			uids := map[thing]string{}
			for each := range h.things {
				uids[each] = string(s.get(each).GetUID())
			}
			from, to, at := "one", "two", 1
			for ; ; at++ {
				d := &death{at: at}
				h.moveAll(c.moves, to, c.edits)
				if !s.dies(h, d) {
					break
				}
				s.unmoved(uids)
				s.resumes(h, uids)
				if t.Failed() {
					t.Fatalf("after the death at write %d of the move from %s to %s", at, from, to)
				}
				from, to = to, from
			}
			if at < 4 {
				t.Errorf("a move takes %d writes: too few to be one", at-1)
			}
			s.retired(h)
			t.Logf("%d deaths", at-1)
		})
	}
}

// moveAll moves what is picked to an overlay.
func (h *history) moveAll(picked func(thing) bool, to string, edit bool) {
	for t, s := range h.things {
		if !picked(t) {
			continue
		}
		if s.overlay = to; edit {
			s.version = h.next()
		}
		h.things[t] = s
	}
	h.commit()
}

// dies lets a process run until it dies; false when it came to its end before.
func (s *site) dies(h *history, d *death) bool {
	s.Helper()
	p := s.start(false, time.Minute, h.policy)
	defer p.stop()
	p.engine.Concurrency = 1
	ctx, end := context.WithCancel(context.WithoutCancel(s.Context()))
	defer end()
	d.end = end
	s.proxy.Decide(d.fate)
	record, err := p.passUntil(ctx, s, h.snapshot(), false)
	s.proxy.Settle()
	s.proxy.Decide(fault.Fine)
	if d.dead() {
		return true
	}
	if err != nil || record.Outcome != run.Converged {
		s.Fatalf("a pass that nothing disturbs: %v: %s", err, tell(record))
	}
	return false
}

// unmoved checks that every object is still the one that it was.
func (s *site) unmoved(uids map[thing]string) {
	s.Helper()
	for t, uid := range uids {
		if u := s.get(t); u == nil || string(u.GetUID()) != uid || u.GetDeletionTimestamp() != nil {
			s.Errorf("%v is not the object that it was", t)
		}
	}
}

// resumes lets another process go on, with the books as they were left.
func (s *site) resumes(h *history, uids map[thing]string) {
	s.Helper()
	p := s.start(false, time.Minute, h.policy)
	defer p.stop()
	s.settle(p, h.snapshot())
	s.unmoved(uids)
	s.asGitSays(p, h)
	record, err := p.pass(s, h.snapshot(), true)
	if err != nil || !record.Plan.Empty() {
		s.Errorf("the second diff: %v: %s", err, tell(record))
	}
	inv, err := p.ledger.Inventory(s.Context(), h.id)
	if err != nil {
		s.Fatal(err)
	}
	for t, want := range h.things {
		if got := inv[t.ref()].Overlay; got != want.overlay {
			s.Errorf("by the books, %v is of overlay %q, want %q", t, got, want.overlay)
		}
	}
}

// retired checks that the sets of overlays that git does not have are gone.
func (s *site) retired(h *history) {
	s.Helper()
	configMaps := s.at(thing{"ConfigMap", h.id + "-sets", ""})
	list, err := configMaps.List(s.Context(), metav1.ListOptions{LabelSelector: "applyset.kubernetes.io/id"})
	if err != nil {
		s.Fatal(err)
	}
	var have []string
	for i := range list.Items {
		have = append(have, list.Items[i].GetAnnotations()["reconciler.eks-gitops.io/overlay"])
	}
	if slices.Sort(have); !slices.Equal(have, h.overlays()) {
		s.Errorf("there are sets of %q, and git has overlays %q", have, h.overlays())
	}
}
