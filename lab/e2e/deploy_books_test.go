package e2e

import (
	"testing"

	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// nothingTwice checks that every commit was carried out by exactly one run, and that history has no gap.
func (d *deployed) nothingTwice(t *testing.T, commits ...string) {
	t.Helper()
	records, err := d.books.Records(t.Context(), "dev", 0)
	if err != nil {
		t.Fatal(err)
	}
	done := map[string]map[string]int{}
	for i, r := range records {
		if i > 0 && r.ID != records[i-1].ID-1 {
			t.Errorf("history jumps from run %d to %d", r.ID, records[i-1].ID)
		}
		for _, c := range r.Plan.Changes {
			if res, ok := r.Result(c.ID); ok && (res.State == run.Done || res.State == run.Applied) && c.Action != plan.Wait {
				if done[r.Plan.Revision.Hash] == nil {
					done[r.Plan.Revision.Hash] = map[string]int{}
				}
				done[r.Plan.Revision.Hash][string(c.Action)+" "+c.Ref.Label()]++
			}
		}
	}
	for _, commit := range commits {
		if len(done[commit]) == 0 {
			t.Errorf("no run carried %s out", commit)
		}
		for what, times := range done[commit] {
			if times != 1 {
				t.Errorf("%s: %s %d times", commit, what, times)
			}
		}
	}
}
