package plan_test

import (
	"testing"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// What the server stores otherwise counts as unchanged and is noted, with the field and where git sets it, whether it was looked at anew or
// nothing moved since.
func TestOverruledFieldsAreNoted(t *testing.T) {
	ref := gitops.Ref{Domain: gitops.K8s, Kind: "ConfigMap", Namespace: "shop", Name: "flags"}
	from := gitops.Origin{Overlay: "shop", Position: gitops.Position{File: "shop/flags.yaml", Line: 3}}
	spec := gitops.Tree{"apiVersion": "v1", "kind": "ConfigMap", "data": gitops.Tree{"beta": "on"}}
	live := gitops.Tree{"apiVersion": "v1", "kind": "ConfigMap", "data": gitops.Tree{"beta": "hooked"}}
	for name, o := range map[string]gitops.Observation{
		"looked at": {Live: live, Next: live, Spec: spec, From: from, Owned: true, Overruled: []string{"data.beta"}},
		"settled":   {Settled: true, Spec: spec, From: from, Owned: true, Overruled: []string{"data.beta"}},
	} {
		p := plan.Build(plan.Input{
			Desired:  gitops.Desired{Items: []gitops.Item{{Ref: ref, Spec: spec, From: from}}, Overlays: []gitops.Overlay{{Name: "shop", Complete: true}}},
			Observed: gitops.Observed{ref: o},
		})
		if p.Left() != plan.Nothing || p.Unchanged != 1 || len(p.Changes) != 0 {
			t.Errorf("%s: left %v, unchanged %d, changes %v", name, p.Left(), p.Unchanged, p.Changes)
		}
		if len(p.Problems) != 1 || p.Problems[0].Reason != gitops.Overruled || p.Problems[0].Ref != ref || p.Problems[0].From.Line != 3 ||
			p.Problems[0].Message() != "the API server stores data.beta otherwise than git says" {
			t.Errorf("%s: %v", name, p.Problems)
		}
	}
}
