package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

const servedByOthers = aggregated + `---
apiVersion: NS.example.com/v1beta1
kind: Shelf
metadata: {name: one, namespace: NS}
spec: {boards: 3}
---
apiVersion: v1
kind: Namespace
metadata: {name: NS}
`

// An APIService and what it will serve come in one batch: the objects are predicted, and wait for the APIService. Of another version of the
// group, git has nothing that serves it.
func TestObjectsOfAnAPIServiceArePredicted(t *testing.T) {
	l := newLab(t)
	items := l.items("apps", servedByOthers)
	service, shelf := items[0], items[1]
	p := l.plan(desired(items...))
	l.unproblematic(p)
	c, ok := p.Change(shelf.Ref)
	if !ok || c.Action != plan.Create || !c.Predicted {
		t.Errorf("planned %+v, want a predicted creation", c)
	}
	if diff := cmp.Diff([]gitops.Ref{service.Ref, {Domain: gitops.K8s, Kind: "Namespace", Name: l.id}}, c.Needs); diff != "" {
		t.Errorf("needs (-want +got):\n%s", diff)
	}
	items[1] = with(shelf, l.id+".example.com/v2", "apiVersion")
	l.reasonAt(l.observe(desired(items...)), shelf.Ref, gitops.KindMissing, "no overlay holds its CustomResourceDefinition or APIService")
	l.reasonAt(l.observe(desired(shelf)), shelf.Ref, gitops.KindMissing, "no overlay holds its CustomResourceDefinition or APIService")
}
