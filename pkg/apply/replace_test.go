package apply

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// with is an item with one field set.
func with(item gitops.Item, value any, path ...string) gitops.Item {
	item.Spec = gitops.Clone(item.Spec)
	if err := unstructured.SetNestedField(item.Spec, value, path...); err != nil {
		panic(err)
	}
	return item
}

func TestImmutableFieldsReplace(t *testing.T) {
	l := newLab(t)
	items := l.items("apps", corpus)
	l.apply(desired(items...))
	byName := map[string]int{}
	for i, item := range items {
		byName[item.Ref.Kind+"/"+item.Ref.Name] = i
	}
	cases := []struct {
		object string
		value  any
		path   []string
		causes []string
	}{
		{"Deployment/web", "other", []string{"spec", "selector", "matchLabels", "app"}, nil}, // refused for another reason, too
		{"StatefulSet/db", "other", []string{"spec", "serviceName"}, []string{"spec.serviceName is immutable"}},
		{"Job/migrate", "Always", []string{"spec", "template", "spec", "restartPolicy"}, nil},
		{"Job/migrate", "OnFailure", []string{"spec", "template", "spec", "restartPolicy"}, []string{"spec.template.spec.restartPolicy is immutable"}},
		{"PersistentVolumeClaim/data", "Block", []string{"spec", "volumeMode"}, []string{"spec.volumeMode is immutable"}},
		{"RoleBinding/reader", "writer", []string{"roleRef", "name"}, []string{"roleRef is immutable"}},
		{"Secret/db", "kubernetes.io/opaque-2", []string{"type"}, []string{"type is immutable"}},
	}
	for _, c := range cases {
		changed := append([]gitops.Item{}, items...)
		i := byName[c.object]
		changed[i] = with(items[i], c.value, c.path...)
		o := l.observe(desired(changed...))[items[i].Ref]
		if c.causes == nil {
			if o.Err == nil || o.Err.Reason != gitops.ApplyInvalid {
				t.Errorf("%s %v: %v replace %v, want it refused", c.object, c.path, o.Err, o.Replace)
			}
			continue
		}
		if o.Err != nil {
			t.Errorf("%s %v: %v", c.object, c.path, o.Err)
		}
		if diff := cmp.Diff(c.causes, o.Replace); diff != "" {
			t.Errorf("%s %v (-want +got):\n%s", c.object, c.path, diff)
		}
	}
}

func TestReplaceIsCarriedOut(t *testing.T) {
	l := newLab(t)
	items := l.items("apps", corpus)
	l.apply(desired(items...))
	var d gitops.Desired
	var ref gitops.Ref
	for i, item := range items {
		if item.Ref.Kind == "StatefulSet" {
			items[i] = with(item, "other", "spec", "serviceName")
			d, ref = desired(items...), item.Ref
		}
	}
	before := l.live(gvr("apps", "v1", "statefulsets"), "db").GetUID()
	l.expect(d, `replace StatefulSet db: spec.serviceName "db">"other"`)
	for _, c := range l.plan(d).Changes {
		if c.Ref != ref || c.Action != plan.Replace {
			continue
		}
		if err := l.Cluster.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		l.eventually("the new object", func() (string, bool) {
			h, err := l.Ready(t.Context(), ref)
			if err != nil {
				return err.Error(), false
			}
			if h.Step {
				if err := l.Cluster.Apply(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
			u, err := l.raw().client.Resource(gvr("apps", "v1", "statefulsets")).Namespace(l.id).Get(t.Context(), "db", getOptions())
			return h.Message, err == nil && u.GetUID() != before && !h.Step
		})
		// Once more is no harm: what is done is done.
		if err := l.Cluster.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	l.empty(d)
}

func TestKindsAndNamespacesThatAreMissing(t *testing.T) {
	l := newLab(t)
	items := l.items("apps", `
apiVersion: nowhere.example/v1
kind: Thing
metadata: {name: x, namespace: NS}
---
apiVersion: apps/v1beta1
kind: Deployment
metadata: {name: old, namespace: NS}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: homeless}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: lost, namespace: NS-never}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: wrong, namespace: NS}
dat: {}
---
apiVersion: v1
kind: Namespace
metadata: {name: NS}
`)
	l.apply(desired(items[5]))
	o := l.observe(desired(items...))
	l.reasonAt(o, items[0].Ref, gitops.KindMissing, "no overlay holds its CustomResourceDefinition")
	l.reasonAt(o, items[1].Ref, gitops.KindMissing, "it serves apps/v1")
	l.reasonAt(o, items[2].Ref, gitops.ApplyInvalid, "metadata.namespace")
	l.reasonAt(o, items[3].Ref, gitops.ApplyInvalid, "namespace")
	l.reasonAt(o, items[4].Ref, gitops.ApplyInvalid, `dat`)
	if o[items[5].Ref].Err != nil {
		t.Errorf("an innocent object: %v", o[items[5].Ref].Err)
	}
}

func TestNoClusterYet(t *testing.T) {
	l := newLab(t, func(o *Options) { o.Access = noCluster })
	items := l.items("apps", corpus)
	o := l.observe(desired(items...))
	if len(o) != len(items) {
		t.Errorf("%d observations of %d items", len(o), len(items))
	}
	for ref, seen := range o {
		if seen.Err != nil || !seen.Predicted || seen.Live != nil || seen.Next == nil {
			t.Errorf("%s: %+v", ref.Label(), seen)
		}
	}
	if h, err := l.Ready(t.Context(), items[0].Ref); err != nil || h.Status != gitops.Absent {
		t.Errorf("ready: %v %v", h, err)
	}
}

func TestDataIsTold(t *testing.T) {
	l := newLab(t)
	items := l.items("apps", corpus)
	l.apply(desired(items...))
	l.create("somebody", configMap(l.id, "precious", nil))
	widget := &unstructured.Unstructured{Object: gitops.Tree{"apiVersion": l.id + ".example/v1", "kind": "Widget", "spec": gitops.Tree{"count": int64(1)}}}
	widget.SetNamespace(l.id)
	widget.SetName("theirs")
	l.create("somebody", widget)
	want := map[string]string{
		// The claim is of the StatefulSet's template: nothing deletes it but the end of the namespace.
		"Namespace":                "3 objects inside (1 ConfigMap, 1 PersistentVolumeClaim, 1 Widget)",
		"CustomResourceDefinition": "1 object inside (1 Widget)",
	}
	l.eventually("the data of everything", func() (string, bool) {
		data := map[string]string{}
		for _, c := range l.observe(gitops.Desired{}) {
			if c.Live != nil && c.Next == nil && c.Data != "" {
				data[gitops.StringAt(c.Live, "kind")] = c.Data
			}
		}
		diff := cmp.Diff(want, data)
		return diff, diff == ""
	})
	for _, c := range l.observe(gitops.Desired{}) {
		if gitops.StringAt(c.Live, "kind") == "Namespace" && !maps.Equal(c.Inside, map[string]int{"ConfigMap": 1, "PersistentVolumeClaim": 1, "Widget": 1}) {
			t.Errorf("an approval would be for %v", c.Inside)
		}
	}
	// Everything goes, in an order that works, once somebody says so.
	p := l.plan(gitops.Desired{})
	for _, c := range p.Changes {
		if c.Action != plan.Delete {
			t.Errorf("%s %s", c.Action, c.Ref.Label())
		}
		if !strings.Contains(c.Why, "no longer in git") {
			t.Errorf("why: %s", c.Why)
		}
	}
}

// A list that git empties is empty after one apply, whatever the server does on the way.
func TestEmptiedListsAreReachedAtOnce(t *testing.T) {
	l := newLab(t)
	d := desired(l.items("apps", gadgets+`---
apiVersion: v1
kind: Namespace
metadata: {name: NS}
---
apiVersion: NS.example/v1
kind: Gadget
metadata: {name: one, namespace: NS}
spec: {tags: [a, b], size: large}
`)...)
	l.apply(d)
	d.Items[3] = with(d.Items[3], []any{}, "spec", "tags")
	l.apply(d)
	l.empty(d)
	tags, there := gitops.At(l.live(gvr(l.id+".example", "v1", "gadgets"), "one").Object, "spec", "tags")
	if !there || len(tags.([]any)) > 0 {
		t.Errorf("tags are %v", tags)
	}
}
