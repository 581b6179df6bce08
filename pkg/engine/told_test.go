package engine_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// told is what a reader of the progress hears, a line for each event.
func (w *world) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, e := range w.events {
		switch e := e.(type) {
		case run.Fetched:
			if e.Error != nil {
				out = append(out, "trouble "+string(e.Error.Reason))
				continue
			}
			out = append(out, "fetched")
		case run.Planned:
			out = append(out, fmt.Sprintf("plan of %d", len(e.Plan.Changes)))
		case run.Started:
			out = append(out, "start "+e.Change.Ref.Name)
		case run.Progressed:
			out = append(out, fmt.Sprintf("%s is %s", e.Ref.Name, e.Health.Message))
		case run.Settled:
			out = append(out, fmt.Sprintf("%s %s", e.Result.Ref.Name, e.Result.State))
		case run.Finished:
			out = append(out, fmt.Sprintf("%s, run %d", e.Record.Outcome, e.Record.ID))
		}
	}
	w.events = nil
	return out
}

// later runs a pass that knows the one before, for a while.
func later(t *testing.T, w *world, last run.Record, during time.Duration) run.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), during)
	defer cancel()
	job := w.job()
	job.Last = &last
	record, err := w.engine().RunOnce(ctx, job)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// A pass that finds something on its way and applies nothing is no history, but whoever reads its plan reads its end.
func TestPassThatOnlyWaitsIsToldToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a := configMap("a", "1")
		w.push(a)
		first := once(t, w)
		w.told()
		w.readyAt[a.Ref] = time.Now().Add(time.Minute)
		second := later(t, w, first, time.Hour)
		want := []string{"plan of 1", "a is on its way", "a done", "converged, run 0"}
		if diff := cmp.Diff(want, w.told()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if len(w.records) != 1 {
			t.Errorf("%d records: looking on is no history", len(w.records))
		}
		later(t, w, second, time.Hour)
		if told := w.told(); len(told) > 0 {
			t.Errorf("nothing changed, and it is told: %q", told)
		}
	})
}

// What is held, on its way or waiting as in the pass before is told once, and its time runs on.
func TestPassLikeTheOneBeforeIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		old, slow := configMap("old", "1"), configMap("slow", "1")
		old.Ref.Kind = "PersistentVolumeClaim"
		w.push(old)
		once(t, w)
		w.takes[slow.Ref] = time.Hour
		w.push(slow, dependsOn(configMap("next", "1"), "slow"))
		w.told()
		began := time.Now()
		record := once10s(t, w)
		want := []string{"plan of 3", "old held", "start slow", "slow is on its way", "next interrupted", "progressing, run 2"}
		if diff := cmp.Diff(want, w.told()); diff != "" {
			t.Errorf("the first pass (-want +got):\n%s", diff)
		}
		record = later(t, w, record, 10*time.Second)
		w.told() // the creation has become a wait, which is a plan of its own
		for range 3 {
			record = later(t, w, record, 10*time.Second)
			if told := w.told(); len(told) > 0 {
				t.Errorf("nothing changed, and it is told: %q", told)
			}
		}
		for _, res := range record.Results {
			if res.Ref == slow.Ref && !res.Began.Equal(began) {
				t.Errorf("slow has been on its way since %s, not since %s", began, res.Began)
			}
		}
		record = later(t, w, record, 40*time.Minute)
		if diff := cmp.Diff([]string{"slow failed", "next blocked", "failed, run 4"}, w.told()); diff != "" || record.Outcome != run.Failed {
			t.Errorf("the deadline (-want +got):\n%s", diff)
		}
	})
}

func once10s(t *testing.T, w *world) run.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	record, err := w.engine().RunOnce(ctx, w.job())
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// Trouble that lasts is told once, and so is its end.
func TestDaemonTellsTroubleOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.push(configMap("a", "1"))
		stop := start(t, w)
		time.Sleep(time.Second)
		w.told()
		set := func(source error, books fault) {
			w.mu.Lock()
			w.fetchErr, w.fault = source, func(op string, _ gitops.Ref) fault {
				if op == "save" {
					return books
				}
				return none
			}
			w.mu.Unlock()
		}
		set(gitops.Errorf(gitops.SourceUnreachable, "no route"), none)
		time.Sleep(20 * time.Minute)
		set(nil, none)
		time.Sleep(5 * time.Minute)
		if diff := cmp.Diff([]string{"trouble SourceUnreachable", "fetched"}, w.told()); diff != "" {
			t.Errorf("the source (-want +got):\n%s", diff)
		}
		set(nil, refused)
		w.push(configMap("b", "1"))
		time.Sleep(5 * time.Minute)
		set(nil, none)
		time.Sleep(5 * time.Minute)
		told := w.told()
		count := map[string]int{}
		for _, line := range told {
			count[line]++
		}
		if count["trouble LedgerUnavailable"] != 1 || told[len(told)-1] != "converged, run 2" {
			t.Errorf("the books: %q", told)
		}
		stop()
	})
}

// The record says when the next pass comes, so that status can.
func TestRecordSaysWhatIsNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.push(configMap("a", "1"))
		stop := start(t, w)
		time.Sleep(time.Second)
		if last := w.lastRecord(); !last.Next.After(last.Ended) || last.Next.Sub(last.Ended) > 4*time.Minute {
			t.Errorf("ended %s, next %s", last.Ended, last.Next)
		}
		stop()
	})
}

// A daemon that was told to follow a folder which is not there says so.
func TestDaemonWithoutAClusterSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.push(configMap("a", "1"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := w.engine().Daemon(ctx, func(string) bool { return false }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"fetched", "trouble SourceInvalid"}, w.told()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
