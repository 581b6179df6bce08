package engine_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/engine"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

func TestRunOnceAppliesInOrderOfNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b, c := configMap("a", "1"), dependsOn(configMap("b", "1"), "a"), dependsOn(configMap("c", "1"), "b")
		w.takes[a.Ref], w.takes[b.Ref] = time.Minute, time.Second
		w.push(c, b, a)
		record := once(t, w)
		if record.Outcome != run.Converged {
			t.Fatalf("outcome %s, results %+v", record.Outcome, record.Results)
		}
		if diff := cmp.Diff([]string{"create a", "create b", "create c"}, w.order()); diff != "" {
			t.Error(diff)
		}
		checkNeedsWereReady(t, w)
		if again := once(t, w); len(again.Plan.Changes) != 0 || again.Outcome != run.Converged {
			t.Errorf("the second plan is not empty: %+v", again.Plan.Changes)
		}
	})
}

func TestRunOnceFailureBlocksDependantsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b, c, d := configMap("a", "1"), dependsOn(configMap("b", "1"), "a"), dependsOn(configMap("c", "1"), "b"), configMap("d", "1")
		w.broken[a.Ref] = true
		w.push(a, b, c, d)
		record := once(t, w)
		states := map[string]run.State{}
		for _, r := range record.Results {
			states[r.Ref.Name] = r.State
		}
		want := map[string]run.State{"a": run.Broken, "b": run.Blocked, "c": run.Blocked, "d": run.Done}
		if diff := cmp.Diff(want, states); diff != "" {
			t.Error(diff)
		}
		if record.Outcome != run.Failed {
			t.Errorf("outcome %s, want failed", record.Outcome)
		}
		if _, ok := w.inventory[a.Ref]; !ok {
			t.Error("a was accepted by the server, so it must be in the inventory although it does not work")
		}
	})
}

// TestReasons: what is known closer than "not healthy" and "too late" is said instead.
func TestReasons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		broken, late := configMap("broken", "1"), configMap("late", "1")
		w.broken[broken.Ref], w.takes[late.Ref] = true, 24*time.Hour
		want := map[string]gitops.Reason{"broken": gitops.HealthFailed, "late": gitops.Deadline}
		for range 2 {
			w.push(broken, late)
			got := map[string]gitops.Reason{}
			for _, r := range once(t, w).Results {
				if r.Error != nil {
					got[r.Ref.Name] = r.Error.Reason
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			w.why = map[gitops.Ref]gitops.Reason{broken.Ref: gitops.QuotaExceeded, late.Ref: gitops.DrainBlocked}
			want = map[string]gitops.Reason{"broken": gitops.QuotaExceeded, "late": gitops.DrainBlocked}
			broken, late = configMap("broken", "2"), configMap("late", "2")
		}
	})
}

// TestFullIsNoReasonToSpin: while as many calls are under way as may be, what is due waits for an answer. (A loop without a pause would
// keep the bubble's time from going on, and the test from ending.)
func TestFullIsNoReasonToSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.concurrency, w.slow = 2, map[gitops.Ref]time.Duration{}
		waits := configMap("a-waits", "1")
		w.takes[waits.Ref] = 10 * time.Second
		items := []gitops.Item{waits}
		for _, name := range []string{"b", "c", "d"} {
			slow := configMap(name, "1")
			w.slow[slow.Ref] = 5 * time.Second
			items = append(items, slow)
		}
		w.push(items...)
		if record := once(t, w); record.Outcome != run.Converged {
			t.Errorf("%s: %v", record.Outcome, record.Plan.Problems)
		}
	})
}

// TestManyAreLookedAtInTurn: however many wait and whatever nudges, there are some hundred looks a second.
func TestManyAreLookedAtInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var items []gitops.Item
		for i := range 500 {
			item := configMap(fmt.Sprintf("c%d", i), "1")
			w.takes[item.Ref] = 20 * time.Second
			items = append(items, item)
		}
		w.push(items...)
		ctx, stop := context.WithCancel(t.Context())
		var nudging sync.WaitGroup
		nudging.Go(func() {
			for ctx.Err() == nil {
				w.nudge(gitops.K8s)
				time.Sleep(time.Millisecond)
			}
		})
		began, before := time.Now(), w.looks()
		record := once(t, w)
		stop()
		nudging.Wait()
		took := time.Since(began)
		if looks := w.looks() - before; float64(looks) > 600*took.Seconds()+500 || took > 22*time.Second {
			t.Errorf("%d looks in %s; %s", looks, took, record.Outcome)
		}
	})
}

// TestOutcomeOfHolds: what waits for a person, and what waits for that, is waiting; an upgrade with another round to go is not over.
func TestOutcomeOfHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b := configMap("a", "1"), dependsOn(configMap("b", "1"), "a")
		w.push(a, b)
		pass := func(policy plan.Policy) run.Outcome {
			t.Helper()
			j := w.job()
			j.Policies = append(j.Policies, policy)
			record, err := w.engine().RunOnce(t.Context(), j)
			if err != nil {
				t.Fatal(err)
			}
			return record.Outcome
		}
		tell := func(reason gitops.Reason) plan.Policy {
			return func(p plan.Plan) plan.Plan {
				p.Problems = append(slices.Clone(p.Problems), gitops.Errorf(reason, "so it is"))
				return p
			}
		}
		hold := func(p plan.Plan) plan.Plan {
			p.Changes = slices.Clone(p.Changes)
			for i := range p.Changes {
				if p.Changes[i].Ref == a.Ref {
					p.Changes[i].Hold = &plan.Hold{Reason: gitops.UpgradeBlocked, Why: "not now"}
				}
			}
			return tell(gitops.UpgradeBlocked)(p)
		}
		for _, tt := range []struct {
			policy plan.Policy
			want   run.Outcome
		}{{hold, run.Waiting}, {tell(gitops.UpgradeRound), run.Progressing}, {tell(gitops.UpgradeRound), run.Waiting}, {tell(gitops.UpgradeNote), run.Converged}} {
			if got := pass(tt.policy); got != tt.want {
				t.Errorf("it ends %s, want %s", got, tt.want)
			}
		}
	})
}

func TestStepsAreTakenAndAreNoDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.push(configMap("a", "1"))
		once(t, w)
		a := configMap("a", "2")
		w.push(a)
		w.steps[a.Ref] = 1000
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		record, err := w.engine().RunOnce(ctx, w.job())
		if err != nil {
			t.Fatal(err)
		}
		if taken := 1000 - w.steps[a.Ref]; taken < 10 || taken > 60 {
			t.Errorf("%d steps in 10 s: a step is due every fifth of a second at most, and at a twentieth of the time taken so far", taken)
		}
		if record.Outcome != run.Progressing {
			t.Errorf("outcome %s", record.Outcome)
		}
		w.steps[a.Ref] = 2
		record = once(t, w)
		if record.Outcome != run.Converged || len(record.Plan.Changes) != 1 || record.Plan.Changes[0].Drift {
			t.Errorf("a change of git that takes several passes is no drift: outcome %s, changes %+v", record.Outcome, record.Plan.Changes)
		}
	})
}

// What has finished and gone by itself stays on the books, also over a pass that only waited for it, and is made again when git
// says something else.
func TestWhatHasFinishedIsNotMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		job := configMap("job", "1")
		w.push(job)
		w.finishes[job.Ref], w.takes[job.Ref] = true, time.Minute
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, _ = w.engine().RunOnce(ctx, w.job())
		cancel()
		if w.inventory[job.Ref].Finished {
			t.Error("it is booked as finished while it runs")
		}
		once(t, w)
		for range 2 {
			delete(w.live, job.Ref)
			record := once(t, w)
			if !record.Plan.Empty() || record.Plan.Unchanged != 1 || record.Outcome != run.Converged || !w.inventory[job.Ref].Finished {
				t.Errorf("%s, %d unchanged, changes %+v, booked %+v", record.Outcome, record.Plan.Unchanged, record.Plan.Changes, w.inventory[job.Ref])
			}
		}
		w.push(configMap("job", "2"))
		if record := once(t, w); len(record.Plan.Changes) != 1 || record.Plan.Changes[0].Action != plan.Create || !w.inventory[job.Ref].Finished {
			t.Errorf("git says something else: %+v", record.Plan.Changes)
		}
		w.push()
		delete(w.live, job.Ref)
		if once(t, w); len(w.inventory) > 0 {
			t.Errorf("what left git stays on the books: %+v", w.inventory)
		}
	})
}

func TestRunOnceStopsAtPanicOfOneChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.fault = func(op string, r gitops.Ref) fault {
			if op == "apply" && r.Name == "a" {
				return panics
			}
			return none
		}
		w.push(configMap("a", "1"), configMap("b", "1"))
		record := once(t, w)
		res, _ := record.Result(record.Plan.Changes[0].ID)
		if res.Error == nil || res.Error.Reason != gitops.Internal {
			t.Errorf("the panic is not reported: %+v", res)
		}
		if diff := cmp.Diff([]string{"create b"}, w.order()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestInventoryHoldsDeletesUntilConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b := configMap("a", "1"), configMap("b", "1")
		w.push(a, b)
		once(t, w)
		w.push(a)
		w.fault = func(op string, r gitops.Ref) fault {
			if op == "apply" && r == b.Ref {
				return refused
			}
			return none
		}
		if record := once(t, w); record.Outcome != run.Failed {
			t.Fatalf("outcome %s", record.Outcome)
		}
		if _, ok := w.inventory[b.Ref]; !ok {
			t.Fatal("a refused delete was forgotten")
		}
		w.fault = func(string, gitops.Ref) fault { return none }
		once(t, w)
		if _, ok := w.inventory[b.Ref]; ok {
			t.Error("a confirmed delete is still on the books")
		}
	})
}

func TestUnreadableDomainDeletesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.push(configMap("a", "1"), configMap("b", "1"))
		once(t, w)
		w.push(configMap("a", "2"))
		w.observeErr[gitops.K8s] = errFault
		record := once(t, w)
		if record.Outcome != run.Unknown || record.Plan.Complete || len(record.Plan.Problems) == 0 {
			t.Errorf("outcome %s, complete %v, problems %v", record.Outcome, record.Plan.Complete, record.Plan.Problems)
		}
		if len(w.live) != 2 || len(w.inventory) != 2 {
			t.Errorf("something was deleted or forgotten: live %d, inventory %d", len(w.live), len(w.inventory))
		}
	})
}

func TestUnreadablePolicyHoldsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.policy = &gitops.Item{Spec: gitops.Tree{"intervall": "3m"}}
		w.push(configMap("a", "1"))
		record := once(t, w)
		if len(w.applies) != 0 || len(record.Plan.Changes) != 1 || record.Plan.Changes[0].Hold == nil || record.Plan.Changes[0].Hold.Reason != gitops.PolicyInvalid {
			t.Errorf("applied %v with a policy that cannot be read: %+v", w.order(), record.Plan.Changes)
		}
	})
}

func TestPendingOverlayWaitsForFacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.needsFacts = "shop"
		w.push(configMap("a", "1"))
		record := once(t, w)
		if record.Outcome != run.Progressing || len(w.applies) != 0 {
			t.Fatalf("outcome %s, applied %v", record.Outcome, w.order())
		}
		w.facts = gitops.Facts{"region": "eu-west-1"}
		if record = once(t, w); record.Outcome != run.Converged {
			t.Errorf("outcome %s", record.Outcome)
		}
	})
}

func TestCancelFinishesTheBooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b := configMap("a", "1"), dependsOn(configMap("b", "1"), "a")
		w.takes[a.Ref] = time.Hour
		w.push(a, b)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		record, err := w.engine().RunOnce(ctx, w.job())
		if err != nil {
			t.Fatal(err)
		}
		if record.Outcome != run.Progressing || len(w.records) != 1 {
			t.Errorf("outcome %s, %d records", record.Outcome, len(w.records))
		}
		if _, ok := w.inventory[a.Ref]; !ok {
			t.Error("what was accepted before the interrupt is not on the books")
		}
		if diff := cmp.Diff([]string{"create a"}, w.order()); diff != "" {
			t.Error(diff)
		}
	})
}

// stopped is a domain that is being looked at when the process is told to stop.
type stopped struct {
	side
	stop context.CancelFunc
}

func (s stopped) Observe(ctx context.Context, d gitops.Desired, _ gitops.Inventory) (gitops.Observed, error) {
	s.stop()
	seen := gitops.Observed{}
	for _, item := range d.Items {
		seen[item.Ref] = gitops.Observation{Err: gitops.Errorf(gitops.Interrupted, "%w", ctx.Err()).On(item.Ref)}
	}
	return seen, nil
}

// TestStopWhileLooking: half a look is no look. It is one message, and neither planned on nor written over what was known.
func TestStopWhileLooking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.push(configMap("a", "1"), configMap("b", "1"))
		ctx, cancel := context.WithCancel(t.Context())
		job := w.job()
		job.Target.Objects = stopped{side{w, gitops.K8s}, cancel}
		record, err := w.engine().RunOnce(ctx, job)
		if e := gitops.AsError("none", err); err == nil || e.Reason != gitops.Interrupted || e.Message() != "the run was stopped while it looked at dev; nothing was changed" {
			t.Errorf("it says %v", err)
		}
		if len(record.Plan.Problems) != 0 || len(w.records) != 0 || len(w.events) != 0 {
			t.Errorf("problems %v, %d records, events %v", record.Plan.Problems, len(w.records), w.events)
		}
	})
}

func TestDaemonFollowsCommitsAndDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a := configMap("a", "1")
		w.push(a)
		stop := start(t, w)
		synctest.Wait()
		time.Sleep(time.Second)
		wantLive(t, w, map[string]any{"a": "1"})

		w.push(configMap("a", "2"), configMap("b", "1"))
		time.Sleep(time.Second)
		wantLive(t, w, map[string]any{"a": "2", "b": "1"})

		w.edit(a.Ref, nil)
		time.Sleep(time.Second)
		wantLive(t, w, map[string]any{"a": "2", "b": "1"})
		last := w.lastRecord()
		if last.Cause != "drift" || len(last.Plan.Changes) != 1 || !last.Plan.Changes[0].Drift {
			t.Errorf("drift is not attributed: cause %s, changes %+v", last.Cause, last.Plan.Changes)
		}
		stop()
	})
}

// TestDriftKeepsTheCommit: the books have the commit that last changed a thing, which one that only found its drift did not.
func TestDriftKeepsTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b := configMap("a", "1"), configMap("b", "1")
		w.push(a)
		first := w.snapshot().Revision.Hash
		once(t, w)
		w.push(a, b)
		w.edit(a.Ref, configMap("a", "drifted").Spec)
		once(t, w)
		wantLive(t, w, map[string]any{"a": "1", "b": "1"})
		if got := w.inventory[a.Ref].Revision; got != first || w.inventory[b.Ref].Revision == first {
			t.Errorf("the books have %.7s for a, want %.7s", got, first)
		}
	})
}

// TestWhatWasPredictedIsLookedAt: a pass that makes what could only be predicted (in a cluster, or of a kind, that was not there) has
// watched none of it, so that nothing would tell of what others do with it.
func TestWhatWasPredictedIsLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.predicts = true
		a := configMap("a", "1")
		w.push(a)
		stop := start(t, w)
		time.Sleep(time.Second)
		w.edit(a.Ref, nil)
		time.Sleep(time.Second)
		wantLive(t, w, map[string]any{"a": "1"})
		before, _ := w.counts()
		time.Sleep(time.Minute)
		if after, _ := w.counts(); after > before+2 {
			t.Errorf("%d looks in a minute in which nothing moved", (after-before)/2)
		}
		stop()
	})
}

// What a run waits for may wait for an overlay whose facts that very run has made known: it makes way for the next one.
func TestLearnedFactsEndTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.needsFacts = "shop"
		w.infra = true
		stuck := configMap("stuck", "1")
		stuck.From.Overlay = "other"
		w.takes[stuck.Ref] = 10 * time.Minute
		w.push(stuck, configMap("autoscaler", "1"))
		began := time.Now()
		if record := once(t, w); record.Outcome != run.Progressing || time.Since(began) > 10*time.Second {
			t.Fatalf("outcome %s after %s", record.Outcome, time.Since(began))
		}
		w.facts = gitops.Facts{"region": "eu-west-1"}
		if record := once(t, w); record.Outcome != run.Converged {
			t.Errorf("outcome %s", record.Outcome)
		}
		applied := w.order()
		slices.Sort(applied)
		if diff := cmp.Diff([]string{"create autoscaler", "create dev", "create stuck"}, applied); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDaemonYieldsLongWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		slow := configMap("slow", "1")
		w.takes[slow.Ref] = 11 * time.Minute
		w.push(slow)
		stop := start(t, w)
		time.Sleep(5 * time.Second)
		w.push(slow, configMap("new", "1"))
		time.Sleep(time.Second)
		wantLive(t, w, map[string]any{"slow": "1", "new": "1"})
		w.edit(configMap("new", "1").Ref, nil)
		time.Sleep(4 * time.Second)
		wantLive(t, w, map[string]any{"slow": "1", "new": "1"})
		time.Sleep(12 * time.Minute)
		if last := w.lastRecord(); last.Outcome != run.Converged {
			t.Errorf("last outcome %s", last.Outcome)
		}
		if diff := cmp.Diff([]string{"create slow", "create new", "create new"}, w.order()); diff != "" {
			t.Errorf("the slow one must be applied once only: %s", diff)
		}
		stop()
	})
}

// Ignore rules hold for the ClusterConfig, too: what an autoscaler sets is not git's.
func TestIgnoredFieldsOfTheClusterConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.infra = true
		w.policy = &gitops.Item{Spec: gitops.Tree{"ignore": []any{gitops.Tree{"kinds": []any{"ClusterConfig"}, "fields": []any{"size"}}}}}
		w.push()
		job := w.job()
		job.Cluster.Config.Spec["size"] = 3
		record, err := w.engine().RunOnce(t.Context(), job)
		if err != nil || record.Outcome != run.Converged {
			t.Fatalf("outcome %s, %v", record.Outcome, err)
		}
		if diff := cmp.Diff(gitops.Tree{"kind": "ClusterConfig"}, w.live[job.Cluster.Config.Ref]); diff != "" {
			t.Error(diff)
		}
	})
}

// What goes away while it is waited for ends the wait; the next pass makes it anew. One pass never makes what it did not plan.
func TestWhatGoesWhileItIsWaitedForIsPlannedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a := configMap("a", "1")
		w.push(a)
		w.live[a.Ref], w.readyAt[a.Ref] = a.Spec, time.Now().Add(time.Hour)
		time.AfterFunc(10*time.Second, func() { w.edit(a.Ref, nil) })
		record := once(t, w)
		if r := record.Results[0]; record.Outcome != run.Progressing || r.State != run.Interrupted || r.Error.Reason != gitops.BeingDeleted || len(w.order()) > 0 {
			t.Errorf("outcome %s, result %+v, applied %v", record.Outcome, r, w.order())
		}
		if record := once(t, w); record.Outcome != run.Converged {
			t.Errorf("outcome %s, results %+v", record.Outcome, record.Results)
		}
		if diff := cmp.Diff([]string{"create a"}, w.order()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDaemonIdleCostsOnePassAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.push(configMap("a", "1"))
		stop := start(t, w)
		time.Sleep(time.Minute)
		before, records := w.counts()
		time.Sleep(30 * time.Minute)
		after, recordsAfter := w.counts()
		if passes := (after - before) / 2; passes < 9 || passes > 11 {
			t.Errorf("%d passes in 30 minutes at an interval of 3", passes)
		}
		if recordsAfter != records {
			t.Errorf("%d records for looking and finding nothing", recordsAfter-records)
		}
		stop()
	})
}

func TestDaemonBacksOffTheBrokenOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var tries atomic.Int64
		w.fault = func(op string, r gitops.Ref) fault {
			if op == "apply" && r.Name == "bad" {
				tries.Add(1)
				return refused
			}
			return none
		}
		good := configMap("good", "1")
		w.push(configMap("bad", "1"), good)
		stop := start(t, w)
		time.Sleep(10 * time.Minute)
		if n := tries.Load(); n < 5 || n > 12 {
			t.Errorf("%d tries in ten minutes, want about 8 (2 s doubling to 5 min)", n)
		}
		w.edit(good.Ref, nil)
		time.Sleep(time.Second)
		wantLive(t, w, map[string]any{"good": "1"})
		before := tries.Load()
		w.push(configMap("bad", "2"), good)
		time.Sleep(time.Second)
		if n := tries.Load(); n != before+1 {
			t.Errorf("a new commit did not end the wait: %d tries, had %d", n, before)
		}
		stop()
	})
}

// TestDaemonTriesAgainInTime: what fails beside something that takes long is tried again after its own wait, not after the other's end
// and not at the interval.
func TestDaemonTriesAgainInTime(t *testing.T) {
	for name, takes := range map[string]time.Duration{"beside a short wait": 10 * time.Second, "beside a long wait": 10 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				var tries atomic.Int64
				w.fault = func(op string, r gitops.Ref) fault {
					if op == "apply" && r.Name == "unlucky" && tries.Add(1) == 1 {
						return refused
					}
					return none
				}
				slow := configMap("slow", "1")
				w.takes[slow.Ref] = takes
				w.push(configMap("unlucky", "1"), slow)
				stop := start(t, w)
				time.Sleep(15 * time.Second)
				if n := tries.Load(); n != 2 {
					t.Errorf("%d tries in 15 s, want 2: the first wait is 2 s", n)
				}
				wantLive(t, w, map[string]any{"unlucky": "1", "slow": "1"})
				time.Sleep(10 * time.Minute)
				if observes, _ := w.counts(); observes > 60 {
					t.Errorf("%d looks in ten minutes: the pass that waits comes to no rest", observes)
				}
				stop()
			})
		})
	}
}

func TestDaemonSurvivesTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a := configMap("a", "1")
		w.push(a)
		stop := start(t, w)
		time.Sleep(time.Second)
		w.mu.Lock()
		w.fetchErr = gitops.Errorf(gitops.SourceUnreachable, "no route")
		w.mu.Unlock()
		w.push(configMap("a", "2"))
		time.Sleep(time.Minute)
		w.edit(a.Ref, nil)
		time.Sleep(time.Second)
		wantLive(t, w, map[string]any{"a": "1"})
		w.mu.Lock()
		w.fetchErr = nil
		w.mu.Unlock()
		time.Sleep(5 * time.Minute)
		wantLive(t, w, map[string]any{"a": "2"})
		stop()
	})
}

func once(t *testing.T, w *world) run.Record {
	t.Helper()
	record, err := w.engine().RunOnce(t.Context(), w.job())
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// start runs the daemon; stop ends it and waits.
func start(t *testing.T, w *world) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.engine().Daemon(ctx, nil) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func wantLive(t *testing.T, w *world, want map[string]any) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	got := map[string]any{}
	for r, tree := range w.live {
		got[r.Name], _ = gitops.At(tree, "data", "v")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("live (-want +got):\n%s", diff)
	}
}

func checkNeedsWereReady(t *testing.T, w *world) {
	t.Helper()
	if failure := needsWereReady(w); failure != "" {
		t.Error(failure)
	}
}

func needsWereReady(w *world) string {
	for _, a := range w.applies {
		for _, need := range a.change.Needs {
			if ready, there := a.ready[need]; there && !ready {
				return fmt.Sprintf("%s was applied before %s was ready", a.change.Ref, need)
			}
		}
	}
	return ""
}

var _ engine.Ledger = (*world)(nil)
