package apply

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// TestOnlyWhatKindsReachIsDecoded: schemas of other kinds, and what only those refer to, stay text; one of them may even be broken.
func TestOnlyWhatKindsReachIsDecoded(t *testing.T) {
	t.Parallel()
	kind := func(group, version, kind, more string) json.RawMessage {
		return json.RawMessage(`{"type":"object","x-kubernetes-group-version-kind":[{"group":"` + group + `","kind":"` + kind + `","version":"` + version + `"}],"properties":{` + more + `}}`)
	}
	all := map[string]json.RawMessage{
		"Thing":       kind("example.com", "v1", "Thing", `"spec":{"default":{},"allOf":[{"$ref":"#/components/schemas/Spec"}]},"meta":{"$ref" : "#/components/schemas/Meta"}`),
		"OldThing":    kind("example.com", "v1beta1", "Thing", `"old":{"$ref":"#/components/schemas/Old"}`),
		"Other":       kind("example.com", "v1", "Other", `"spec":{"$ref":"#/components/schemas/Broken"}`),
		"Spec":        json.RawMessage(`{"properties":{"self":{"$ref":"#/components/schemas/Spec"},"items":{"type":"array","items":{"$ref":"#/components/schemas/Item"}}}}`),
		"Item":        json.RawMessage(`{"type":"string","description":"not a \"$ref\""}`),
		"Meta":        json.RawMessage(`{"properties":{"gone":{"$ref":"#/components/schemas/Nowhere"}}}`),
		"Old":         json.RawMessage(`{}`),
		"Broken":      json.RawMessage(`{"type":{"no":"type"}}`),
		"DescribesIt": json.RawMessage(`{"description":"has no x-kubernetes-group-version-kind"}`),
	}
	gv := schema.GroupVersion{Group: "example.com", Version: "v1"}
	for _, c := range []struct {
		kinds []string
		want  []string
	}{
		{[]string{"Thing"}, []string{"Item", "Meta", "Spec", "Thing"}},
		{[]string{"Nothing"}, nil},
	} {
		wanted := map[string]bool{}
		for _, k := range c.kinds {
			wanted[k] = true
		}
		got, err := reached(all, gv, wanted)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, slices.Sorted(maps.Keys(got))); diff != "" {
			t.Errorf("%v: %s", c.kinds, diff)
		}
	}
	if _, err := reached(all, gv, map[string]bool{"Other": true}); err == nil {
		t.Error("a schema that does not decode is no error")
	}
}

// TestTypesOfAKindStay: what was typed before another kind of the same version was asked for can be compared with what is typed later.
func TestTypesOfAKindStay(t *testing.T) {
	l := newLab(t)
	c := l.raw().catalog
	if err := c.refresh(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	tree := func(kind string) gitops.Tree {
		return gitops.Tree{"apiVersion": "v1", "kind": kind, "metadata": gitops.Tree{"name": "x"}}
	}
	before, err := c.typed(t.Context(), tree("ConfigMap"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.typed(t.Context(), tree("Service")); err != nil {
		t.Fatal(err)
	}
	after, err := c.typed(t.Context(), tree("ConfigMap"))
	if err != nil {
		t.Fatal(err)
	}
	if diff, err := before.Compare(after); err != nil || !diff.IsSame() {
		t.Errorf("%v, %v", diff, err)
	}
}

// TestFieldsAreReadAsTheLibraryReadsThem compares with the library's reader of FieldsV1, which takes JSON.
func TestFieldsAreReadAsTheLibraryReadsThem(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{}`, `{".":{}}`, `{"f:a":{}}`, `{"f:a":{".":{}}}`, `{"f:a":{".":{},"f:b":{}},"f:c":{"f:d":{"f:e":{}}}}`,
		`{"f:spec":{"f:containers":{"k:{\"name\":\"a\",\"port\":80}":{".":{},"f:image":{}},"k:{\"name\":\"b\"}":{"f:x":{}}},"f:finalizers":{"v:\"a/b\"":{},"v:1":{},"v:true":{}},"f:args":{"i:0":{},"i:3":{}}}}`,
		`{"x:later":{},"f:a":{"x:later":{},"f:b":{}}}`,
	} {
		var tree gitops.Tree
		if err := json.Unmarshal([]byte(text), &tree); err != nil {
			t.Fatal(err)
		}
		got, want := &fieldpath.Set{}, &fieldpath.Set{}
		if err := want.FromJSON(strings.NewReader(text)); err != nil {
			t.Fatal(text, err)
		}
		if err := fill(got, tree); err != nil || !got.Equals(want) {
			t.Errorf("%s: got\n%v\nwant\n%v\n%v", text, got, want, err)
		}
	}
	for _, text := range []string{`{"k:{":{}}`, `{"i:x":{}}`, `{"f":{}}`} {
		var tree gitops.Tree
		if err := json.Unmarshal([]byte(text), &tree); err != nil {
			t.Fatal(err)
		}
		if err := fill(&fieldpath.Set{}, tree); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}
