package plan_test

import (
	"testing"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// TestEditsSayWhereGitSetsThem: an edit has the place of its field, or of the next field around it that has one, unless that is
// the place of the object; only objects with edits are asked for.
func TestEditsSayWhereGitSetsThem(t *testing.T) {
	t.Parallel()
	at := func(line int) gitops.Position { return gitops.Position{File: "base/web.yaml", Line: line} }
	patch := gitops.Position{File: "clusters/dev/shop/patch.yaml", Line: 6}
	web := gitops.Ref{Domain: gitops.K8s, Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}
	same := gitops.Ref{Domain: gitops.K8s, Kind: "ConfigMap", Namespace: "shop", Name: "same"}
	tree := func(replicas, image, team string) gitops.Tree {
		return gitops.Tree{"metadata": gitops.Tree{"name": "web", "labels": gitops.Tree{"team": team}}, "spec": gitops.Tree{
			"replicas": replicas, "containers": []any{gitops.Tree{"name": "web", "image": image}},
		}}
	}
	var asked []gitops.Ref
	from := gitops.Origin{Position: at(1), Overlay: "shop"}
	p := plan.Build(plan.Input{
		Desired: gitops.Desired{Fields: func(ref gitops.Ref) map[string]gitops.Position {
			asked = append(asked, ref)
			return map[string]gitops.Position{"spec.replicas": patch, "spec.containers[web]": at(9), "metadata": at(1)}
		}},
		Observed: gitops.Observed{
			web:  {Live: tree("1", "a", "x"), Next: tree("2", "b", "y"), From: from},
			same: {Live: gitops.Tree{"data": "x"}, Next: gitops.Tree{"data": "x"}, From: from},
		},
	})
	if len(p.Changes) != 1 || len(asked) != 1 || asked[0] != web {
		t.Fatalf("changes %v, asked for %v", p.Changes, asked)
	}
	want := map[string]gitops.Position{"spec.replicas": patch, "spec.containers[web].image": at(9), "metadata.labels.team": {}}
	for _, e := range p.Changes[0].Edits {
		var got gitops.Position
		if e.From != nil {
			got = *e.From
		}
		if got != want[e.Path] {
			t.Errorf("%s comes from %q, want %q", e.Path, got, want[e.Path])
		}
		delete(want, e.Path)
	}
	if len(want) > 0 {
		t.Errorf("no edits of %v", want)
	}
}
