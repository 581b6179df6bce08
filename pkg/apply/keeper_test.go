package apply

import (
	"encoding/json"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// aggregated is an APIService of the test's own group, as an addon brings it along.
const aggregated = `
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.NS.example.com}
spec:
  group: NS.example.com
  version: v1beta1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {name: metrics-server, namespace: kube-system}
`

func apiServices() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}
}

// applyAs applies an item server-side under another field manager, as EKS does its addons.
func (l *lab) applyAs(manager string, r schema.GroupVersionResource, item gitops.Item) {
	l.Helper()
	body, err := json.Marshal(item.Spec)
	if err != nil {
		l.Fatal(err)
	}
	_, err = l.raw().client.Resource(r).Patch(l.Context(), item.Ref.Name, types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: manager})
	if err != nil {
		l.Fatal(err)
	}
	// An APIService that nobody answers for would keep every namespace of the server from being deleted.
	l.Cleanup(func() { _ = l.raw().client.Resource(r).Delete(l.background(), item.Ref.Name, metav1.DeleteOptions{}) })
}

// TestTakingOverFromAnotherApplierIsHeld: an object that an EKS addon keeps is not adopted in silence, even when git says the very
// same. The plan names the addon; an approval takes the object whole, and from then on it is ours.
func TestTakingOverFromAnotherApplierIsHeld(t *testing.T) {
	l := newLab(t)
	item := l.items("addons/metrics-server", aggregated)[0]
	l.applyAs("eks", apiServices(), item)
	gitops.TreeAt(item.Spec, "spec")["versionPriority"] = int64(15)
	d := desired(item)
	changes := l.plan(d).Changes
	if len(changes) != 1 || changes[0].Action != plan.Update {
		t.Fatalf("the plan is %+v", changes)
	}
	c := changes[0]
	if c.Hold == nil || c.Hold.Reason != gitops.Foreign || !c.Hold.Approvable || !strings.Contains(c.Hold.Why, "EKS addon (field manager eks)") {
		t.Fatalf("the hold is %+v", c.Hold)
	}
	if err := l.Cluster.Apply(t.Context(), c); gitops.AsError("", err) == nil || gitops.AsError("", err).Reason != gitops.Foreign {
		t.Errorf("applied without an approval: %v", err)
	}

	a := plan.Approvals{c.ID: {}}
	for _, about := range c.Concerns {
		a[about.ID] = gitops.Approval{Most: about.Count}
	}
	approved := plan.HoldDestructive(a)(l.plan(d)).Changes[0]
	if approved.Hold != nil || approved.Approved == nil {
		t.Fatalf("an approval does not release it: %+v", approved)
	}
	if err := l.Cluster.Apply(t.Context(), approved); err != nil {
		t.Fatal(err)
	}
	live, err := l.raw().client.Resource(apiServices()).Get(t.Context(), item.Ref.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := gitops.At(live.Object, "spec", "versionPriority"); got != int64(15) {
		t.Errorf("taken over, its versionPriority is %v, want 15", got)
	}
	for _, c := range l.plan(d).Changes {
		if c.Hold != nil || c.Action != plan.Wait {
			t.Errorf("after that: %s, held %+v, %+v", c.Action, c.Hold, c.Edits)
		}
	}
}

// TestOwnFieldsBesideAnotherApplier: who sets fields of its own only is no keeper.
func TestOwnFieldsBesideAnotherApplier(t *testing.T) {
	l := newLab(t)
	items := l.items("apps", twoMaps)
	l.apply(desired(items[0]))
	theirs := l.items("apps", twoMaps)[1]
	theirs.Spec["data"] = gitops.Tree{"other": "x"}
	body, err := json.Marshal(theirs.Spec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.raw().client.Resource(configMaps()).Namespace(l.id).Patch(t.Context(), "a", types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: "other"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range l.plan(desired(items[0], items[1])).Changes {
		if c.Hold != nil {
			t.Errorf("held: %s", c.Hold.Why)
		}
	}
}
