package render

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

func decoded(t interface{ Fatal(...any) }, text string) gitops.Tree {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var out gitops.Tree
	if err := d.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestLeanShares: equal parts of objects are one, whatever they are part of; unequal ones never are.
func TestLeanShares(t *testing.T) {
	same := func(a, b any) bool { return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer() }
	like := lean{}
	long := strings.Repeat("x", short+1)
	first := like.tree(decoded(t, `{"a":{"x":1,"y":["p",true,null]},"b":{"y":["p",true,null],"x":1},"c":{"x":1.5},"long":{"text":"`+long+`","inner":{"x":1.5}}}`))
	second := like.tree(decoded(t, `{"name":"other","a":{"y":["p",true,null],"x":1},"c":{"x":"1.5"},"long":{"text":"`+long+`","inner":{"x":1.5}}}`))
	if diff := cmp.Diff(gitops.Tree{"name": "other", "a": gitops.Tree{"x": int64(1), "y": []any{"p", true, nil}}, "c": gitops.Tree{"x": "1.5"}, "long": gitops.Tree{"text": long, "inner": gitops.Tree{"x": 1.5}}}, second); diff != "" {
		t.Error(diff)
	}
	inner := func(t gitops.Tree) any { return gitops.TreeAt(t, "long")["inner"] }
	if !same(first["a"], first["b"]) || !same(first["a"], second["a"]) || !same(inner(first), inner(second)) || !same(first["c"], inner(first)) {
		t.Error("equal parts are not shared")
	}
	if same(first["c"], second["c"]) || same(first["long"], second["long"]) {
		t.Error("unequal parts are shared, or large ones looked for")
	}
}

// TestLeanIsEqual: sharing changes nothing about what the values are.
func TestLeanIsEqual(t *testing.T) {
	text := rapid.SampledFrom([]string{"", "a", "b", ",", `"`, "#1", "{", strings.Repeat("y", short+1)})
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		return rapid.Custom(func(t *rapid.T) any {
			kind := rapid.IntRange(0, 5).Draw(t, "kind")
			switch {
			case kind == 0:
				return json.Number(rapid.SampledFrom([]string{"0", "1", "1.5", "-3", "1e3", "123456789012345678901"}).Draw(t, "number"))
			case kind == 1:
				return rapid.Bool().Draw(t, "bool")
			case kind == 2 && depth > 0:
				return rapid.SliceOfN(value(depth-1), 0, 3).Draw(t, "list")
			case kind > 2 && depth > 0:
				return rapid.MapOfN(text, value(depth-1), 0, 3).Draw(t, "tree")
			}
			return text.Draw(t, "text")
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		like := lean{}
		for range 4 {
			body, err := json.Marshal(gitops.Tree{"v": value(4).Draw(t, "value")})
			if err != nil {
				t.Fatal(err)
			}
			want := lean{}.tree(decoded(t, string(body)))
			if diff := cmp.Diff(unshared(decoded(t, string(body))), any(want)); diff != "" {
				t.Fatalf("alone: %s", diff)
			}
			if diff := cmp.Diff(want, like.tree(decoded(t, string(body)))); diff != "" {
				t.Fatalf("among others: %s", diff)
			}
		}
	})
}

// unshared is what lean says numbers are, without sharing.
func unshared(v any) any {
	switch v := v.(type) {
	case gitops.Tree:
		out := gitops.Tree{}
		for name, inner := range v {
			out[name] = unshared(inner)
		}
		return out
	case []any:
		out := []any{}
		for _, inner := range v {
			out = append(out, unshared(inner))
		}
		return out
	case json.Number:
		return number(v)
	}
	return v
}
