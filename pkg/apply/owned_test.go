package apply

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

const twoMaps = `
apiVersion: v1
kind: Namespace
metadata: {name: NS}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: NS}
data: {k: v}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: b, namespace: NS}
data: {k: v}
`

// reasonAt asserts that an observation is an error of a reason that says something.
func (l *lab) reasonAt(o gitops.Observed, ref gitops.Ref, reason gitops.Reason, says string) {
	l.Helper()
	got, ok := o[ref]
	if !ok || got.Err == nil {
		l.Errorf("%s: observed %+v, want %s", ref.Label(), got, reason)
		return
	}
	if got.Err.Reason != reason || !strings.Contains(got.Err.Message(), says) {
		l.Errorf("%s: %v, want %s that says %q", ref.Label(), got.Err, reason, says)
	}
}

func TestOnlyOursIsPruned(t *testing.T) {
	l := newLab(t)
	items := l.items("apps", twoMaps)
	l.apply(desired(items...))
	l.create("somebody", configMap(l.id, "theirs", nil))
	// A controller copies the labels of what it makes things for, as prometheus-operator does.
	l.create("operator", configMap(l.id, "copy", map[string]string{partOf: l.parentOf("apps").id()}))
	p := l.expect(desired(items[0], items[1]), "delete ConfigMap b")
	if p.Changes[0].From.Overlay != "apps" {
		t.Errorf("the deletion is of overlay %q", p.Changes[0].From.Overlay)
	}
	l.apply(desired(items[0], items[1]))
	l.empty(desired(items[0], items[1]))
	for _, name := range []string{"theirs", "copy", "a"} {
		l.live(configMaps(), name)
	}
}

func TestDeleteReadsTheLabelAgain(t *testing.T) {
	l := newLab(t)
	items := l.items("apps", twoMaps)
	l.apply(desired(items...))
	c := l.plan(desired(items[0], items[1])).Changes[0]
	refuses := func(reason gitops.Reason) {
		t.Helper()
		err := l.Cluster.Apply(t.Context(), c)
		if e := gitops.AsError("", err); err == nil || e.Reason != reason || e.Ref != c.Ref {
			t.Errorf("deleting: %v, want %s", err, reason)
		}
		l.live(configMaps(), "b")
	}
	l.edit("kubectl-label", configMaps(), "b", gitops.Tree{"metadata": gitops.Tree{"labels": gitops.Tree{partOf: nil}}})
	refuses(gitops.Foreign)
	l.edit("kubectl-label", configMaps(), "b", gitops.Tree{"metadata": gitops.Tree{"labels": gitops.Tree{partOf: l.parentOf("other").id()}}})
	refuses(gitops.Foreign)
	// A successor of the same name is not what was planned, even with the right label.
	if err := l.raw().client.Resource(configMaps()).Namespace(l.id).Delete(t.Context(), "b", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	l.create("somebody", configMap(l.id, "b", map[string]string{partOf: l.parentOf("apps").id()}))
	refuses(gitops.ApplyConflict)
	// Without the label nothing is planned, and the inventory's entry is not forgotten but answered for.
	l.edit("kubectl-label", configMaps(), "b", gitops.Tree{"metadata": gitops.Tree{"labels": gitops.Tree{partOf: nil}}})
	l.empty(desired(items[0], items[1]))
	if o := l.observe(desired(items[0], items[1]))[items[2].Ref]; o.Owned || o.Live == nil || o.Next != nil {
		t.Errorf("an object that is no longer ours: %+v", o)
	}
}

func configMap(namespace, name string, labels map[string]string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: gitops.Tree{"apiVersion": "v1", "kind": "ConfigMap", "data": gitops.Tree{"k": "theirs"}}}
	u.SetNamespace(namespace)
	u.SetName(name)
	u.SetLabels(labels)
	return u
}

func (l *lab) create(manager string, u *unstructured.Unstructured) {
	l.Helper()
	raw := l.raw()
	k, ok := raw.catalog.kind(u.GroupVersionKind())
	if !ok {
		l.Fatalf("no kind %s", u.GroupVersionKind())
	}
	if _, err := raw.resource(k, u.GetNamespace()).Create(l.Context(), u, metav1.CreateOptions{FieldManager: manager}); err != nil {
		l.Fatalf("creating %s as %s: %v", u.GetName(), manager, err)
	}
}

func TestForeignObjects(t *testing.T) {
	l := newLab(t)
	items := l.items("apps", twoMaps)
	l.apply(desired(items[0]))
	l.create("somebody", configMap(l.id, "a", nil))
	l.create("kubectl", configMap(l.id, "b", map[string]string{partOf: "applyset-of-another-tool-v1"}))
	o := l.observe(desired(items...))
	l.reasonAt(o, items[2].Ref, gitops.Foreign, "applyset-of-another-tool-v1")
	// Adoption is a change like any other: it shows the label, and who owns what it would overwrite.
	adopt := o[items[1].Ref]
	if adopt.Owned || len(adopt.Conflicts) != 1 || adopt.Conflicts[0] != (gitops.Conflict{Path: "data.k", Owner: "somebody"}) {
		t.Errorf("adopting: %+v", adopt)
	}
	if got := gitops.StringAt(adopt.Next, "metadata", "labels", partOf); got != l.parentOf("apps").id() {
		t.Errorf("the adopted object's label is %q", got)
	}
	err := l.Cluster.Apply(t.Context(), plan.Change{Ref: items[2].Ref, Action: plan.Update, Spec: items[2].Spec, From: items[2].From})
	if e := gitops.AsError("", err); err == nil || e.Reason != gitops.Foreign {
		t.Errorf("applying another set's object: %v", err)
	}
	err = l.Cluster.Apply(t.Context(), plan.Change{Ref: items[1].Ref, Action: plan.Create, Spec: items[1].Spec, From: items[1].From})
	if e := gitops.AsError("", err); err == nil || e.Reason != gitops.ApplyConflict {
		t.Errorf("creating what exists: %v", err)
	}
}

func TestObjectMovesBetweenOverlays(t *testing.T) {
	l := newLab(t)
	items := l.items("one", twoMaps)
	l.apply(desired(items...))
	moved := items[2]
	moved.From.Overlay = "two"
	d := desired(items[0], items[1], moved)
	l.expect(d, `update ConfigMap b: metadata.labels["applyset.kubernetes.io/part-of"] "`+l.parentOf("one").id()+`">"`+l.parentOf("two").id()+`"`)
	l.apply(d)
	l.empty(d)
	if got := l.observe(d)[moved.Ref].Overlay; got != "two" {
		t.Errorf("it is of overlay %q", got)
	}
}

func TestDuplicates(t *testing.T) {
	l := newLab(t)
	items := l.items("one", twoMaps)
	again := items[1]
	again.From = gitops.Origin{Overlay: "two", Position: gitops.Position{File: "two.yaml", Line: 7}}
	o := l.observe(desired(append(items, again)...))
	l.reasonAt(o, again.Ref, gitops.DuplicateObject, "one.yaml:2")
	if o[again.Ref].Err.From.File != "two.yaml" {
		t.Errorf("the error is at %+v", o[again.Ref].Err.From)
	}
}

func TestSetsFollowTheirMembers(t *testing.T) {
	l := newLab(t)
	both := append(l.items("apps", twoMaps), l.items("web", strings.Replace(web, "kind: Namespace\nmetadata: {name: NS}", "kind: ServiceAccount\nmetadata: {name: web, namespace: NS}", 1))...)
	d := desired(both...)
	l.apply(d)
	parentOf := func(overlay string) *unstructured.Unstructured {
		u, err := l.raw().get(t.Context(), kind{GroupVersionKind: schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, Resource: "configmaps", Namespaced: true},
			key{Namespace: l.Namespace, Name: parentName(l.id, overlay)})
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	annotations := parentOf("web").GetAnnotations()
	want := map[string]string{
		tooling: "reconciler/v1.2.3", groupKinds: "ConfigMap,Deployment.apps,ServiceAccount", namespaces: l.id, ofOverlay: "web", ofCluster: l.id,
	}
	if diff := cmp.Diff(want, annotations); diff != "" {
		t.Errorf("the parent's annotations (-want +got):\n%s", diff)
	}
	// The Deployment leaves git: while it is being deleted the parent names its kind; the next change of the set drops it.
	rest := desired(append(append([]gitops.Item{}, both[:3]...), both[3], both[5])...)
	l.apply(rest)
	if got := parentOf("web").GetAnnotations()[groupKinds]; got != "ConfigMap,Deployment.apps,ServiceAccount" {
		t.Errorf("kinds after the delete: %s", got)
	}
	rest.Items[4].Spec = gitops.Clone(rest.Items[4].Spec)
	gitops.TreeAt(rest.Items[4].Spec, "data")["beta"] = "maybe"
	l.apply(rest)
	if got := parentOf("web").GetAnnotations()[groupKinds]; got != "ConfigMap,ServiceAccount" {
		t.Errorf("kinds after the next change: %s", got)
	}
	// The overlay leaves git: its members go, then its parent.
	l.apply(desired(both[:3]...))
	if parentOf("web") != nil {
		t.Error("the parent of an overlay without members stays")
	}
	if parentOf("apps") == nil {
		t.Error("the parent of a living overlay is gone")
	}
	l.empty(desired(both[:3]...))
}

// A crash between the parent's write and the members' must leave nothing that is not found again: a member whose kind git no
// longer has is found through the parent, without any inventory.
func TestMembersAreFoundWithoutInventory(t *testing.T) {
	l := newLab(t)
	items := append(l.items("apps", twoMaps), l.items("apps", strings.Split(web, "---")[1])...)
	l.apply(desired(items...))
	fresh := newLab(t)
	fresh.Cluster = New(l.Options)
	fresh.id, fresh.inv = l.id, gitops.Inventory{}
	t.Cleanup(fresh.Close)
	fresh.expect(desired(items[:3]...), "delete Deployment web")
}
