package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// TestRestingIsUnchanged: what rests is planned as if it had been told of.
func TestRestingIsUnchanged(t *testing.T) {
	told, summed := fleet(40, 8), fleet(40, 8)
	rest(&summed)
	want, got := plan.Build(told), plan.Build(summed)
	if diff := cmp.Diff(want.Changes, got.Changes); diff != "" || len(got.Changes) == 0 {
		t.Errorf("%d changes: %s", len(got.Changes), diff)
	}
	if got.Unchanged != want.Unchanged || !got.Complete || got.ID != want.ID {
		t.Errorf("%d unchanged, want %d; complete %v; %s, want %s", got.Unchanged, want.Unchanged, got.Complete, got.ID, want.ID)
	}
}

// TestRestingMustAddUp: when more or fewer are said to rest than were not told of, what was not told of is unknown, and nothing is deleted.
func TestRestingMustAddUp(t *testing.T) {
	for _, off := range []int{-1, 1} {
		in := fleet(10, 1<<30)
		rest(&in)
		all := gitops.Ref{Domain: gitops.K8s}
		o := in.Observed[all]
		o.Still += off
		in.Observed[all] = o
		gone := gitops.Ref{Domain: gitops.K8s, Kind: "ConfigMap", Namespace: "shop", Name: "gone"}
		in.Observed[gone] = gitops.Observation{Live: gitops.Tree{"kind": "ConfigMap"}, Owned: true, Overlay: "a"}
		p := plan.Build(in)
		unknown := 0
		for _, problem := range p.Problems {
			if problem.Reason == gitops.ObserveFailed {
				unknown++
			}
		}
		if unknown == 0 || p.Complete {
			t.Errorf("%+d: %d things are unknown, complete %v", off, unknown, p.Complete)
		}
		for _, c := range p.Changes {
			if c.Action == plan.Delete {
				t.Errorf("%+d: %s is deleted", off, c.Ref.Label())
			}
		}
	}
}
