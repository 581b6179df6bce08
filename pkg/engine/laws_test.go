package engine_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// TestLawsUnderFaults: whatever fails, what is applied was planned, needs were ready, nothing is forgotten, and once the
// faults stop the world converges to git.
func TestLawsUnderFaults(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f := &flaky{seed: rapid.Uint64().Draw(r, "seed"), share: rapid.Float64Range(0, 0.5).Draw(r, "share")}
		edges := rapid.SliceOfN(rapid.IntRange(-1, 7), 8, 8).Draw(r, "edges")
		var failure string
		synctest.Test(t, func(t *testing.T) { failure = laws(t, f, edges) })
		if failure != "" {
			r.Fatal(failure)
		}
	})
}

// TestTenThousandFaults is the same until as many calls were refused, hung, lost their answer, or were done after the caller
// had given up. A failure names its seed.
func TestTenThousandFaults(t *testing.T) {
	const goal = 10_000
	done := 0
	for seed := uint64(1); done < goal; seed++ {
		r := rand.New(rand.NewPCG(seed, 2))
		edges := make([]int, 8)
		for i := range edges {
			edges[i] = r.IntN(9) - 1
		}
		f := &flaky{seed: seed, share: 0.2 + 0.4*r.Float64()}
		synctest.Test(t, func(t *testing.T) {
			if failure := laws(t, f, edges); failure != "" {
				t.Errorf("seed %d: %s", seed, failure)
			}
		})
		if t.Failed() {
			return
		}
		done += f.done
	}
}

func laws(t *testing.T, f *flaky, edges []int) string {
	w := newWorld()
	fleet := func(version string, skip int) []gitops.Item {
		var items []gitops.Item
		for i, e := range edges {
			if i == skip {
				continue
			}
			item := configMap(fmt.Sprint(i), version)
			// Edges point to lower numbers only, so there is no cycle; a skipped one is no need any more.
			if e >= 0 && e < i && e != skip {
				item = dependsOn(item, fmt.Sprint(e))
			}
			w.takes[item.Ref] = time.Duration(i) * time.Second
			items = append(items, item)
		}
		return items
	}
	for _, items := range [][]gitops.Item{fleet("1", -1), fleet("2", 3), fleet("2", 5)} {
		w.push(items...)
		w.fault = f.fault
		for range 5 {
			_, _ = w.engine().RunOnce(t.Context(), w.job())
			for ref := range w.live {
				if _, known := w.inventory[ref]; !known && f.share == 0 {
					return fmt.Sprintf("%s is live but not in the inventory", ref)
				}
			}
		}
	}
	w.fault = (&flaky{}).fault
	var record run.Record
	for range 4 {
		record = once(t, w)
	}
	for _, a := range w.applies {
		if !w.planned[a.change.ID] {
			return fmt.Sprintf("%s was applied but never planned", a.change.Ref)
		}
	}
	if record.Outcome != run.Converged || len(record.Plan.Changes) != 0 {
		return fmt.Sprintf("did not converge: %s %+v", record.Outcome, record.Results)
	}
	if len(w.live) != len(w.want) || len(w.inventory) != len(w.want) {
		return fmt.Sprintf("live %d, inventory %d, want %d", len(w.live), len(w.inventory), len(w.want))
	}
	return needsWereReady(w)
}
