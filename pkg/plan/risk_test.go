package plan_test

import (
	"testing"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// TestRiskOfAutoMode: what takes nodes away is disruptive, what brings them is not.
func TestRiskOfAutoMode(t *testing.T) {
	t.Parallel()
	state := func(enabled bool, pools any) gitops.Tree {
		return gitops.Tree{"autoModeConfig": gitops.Tree{"enabled": enabled, "nodePools": pools}}
	}
	one, two := []any{"system"}, []any{"general-purpose", "system"}
	for name, tt := range map[string]struct {
		live, next gitops.Tree
		want       plan.Risk
	}{
		"on":            {state(false, "none"), state(true, two), plan.RiskNone},
		"off":           {state(true, "none"), state(false, "none"), plan.Destructive},
		"one pool less": {state(true, two), state(true, one), plan.Disruptive},
		"no pool":       {state(true, one), state(true, "none"), plan.Disruptive},
	} {
		r := gitops.Ref{Domain: gitops.EKS, Kind: "Cluster", Namespace: "dev", Name: "dev"}
		p := plan.Build(plan.Input{Desired: gitops.Desired{Cluster: "dev"}, Observed: gitops.Observed{r: {Live: tt.live, Next: tt.next, Spec: tt.next}}})
		if len(p.Changes) != 1 || p.Changes[0].Risk != tt.want {
			t.Errorf("%s: %+v", name, p.Changes)
		}
	}
}
