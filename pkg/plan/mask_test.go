package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

func TestMask(t *testing.T) {
	t.Parallel()
	x := func(any) any { return "x" }
	tree := gitops.Tree{"data": gitops.Tree{"a": "1", "b.c": "2"}, "list": []any{gitops.Tree{"v": "3", "w": "4"}, "5"}, "nothing": nil}
	for name, c := range map[string]struct {
		patterns []string
		want     gitops.Tree
	}{
		"none":           {nil, tree},
		"a field":        {[]string{"data.a"}, gitops.Tree{"data": gitops.Tree{"a": "x", "b.c": "2"}, "list": tree["list"], "nothing": nil}},
		"a quoted field": {[]string{`data["b.c"]`, "nothing", "gone.x"}, gitops.Tree{"data": gitops.Tree{"a": "1", "b.c": "x"}, "list": tree["list"], "nothing": nil}},
		// What has another shape than what was marked may be the secret all the same.
		"items":         {[]string{"list[*].v"}, gitops.Tree{"data": tree["data"], "list": []any{gitops.Tree{"v": "x", "w": "4"}, "x"}, "nothing": nil}},
		"another shape": {[]string{"list.v", "data.a.b"}, gitops.Tree{"data": gitops.Tree{"a": "x", "b.c": "2"}, "list": "x", "nothing": nil}},
		"no pattern":    {[]string{"a..b"}, gitops.Tree{"data": "x", "list": "x", "nothing": "x"}},
	} {
		before := gitops.Clone(tree)
		if diff := cmp.Diff(c.want, plan.Mask(tree, c.patterns, x)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if diff := cmp.Diff(before, tree); diff != "" {
			t.Errorf("%s changed the tree itself: %s", name, diff)
		}
	}
	if got := plan.Hush("password 123456 refused, 3 left", []string{"a"}, gitops.Tree{"a": "3 123456"}); got != "password … refused, 3 left" {
		t.Error(got)
	}
}

func TestMaskEdit(t *testing.T) {
	t.Parallel()
	x := func(any) any { return "x" }
	whole := gitops.Tree{"env": []any{gitops.Tree{"name": "a", "value": "1"}, gitops.Tree{"name": "b", "value": "2"}}, "image": "web"}
	for name, c := range map[string]struct {
		path, pattern string
		value, want   any
	}{
		"the field":       {"data.a", "data.a", "1", "x"},
		"below it":        {"data.a.b", "data.a", "1", "x"},
		"another":         {"data.a", "data.b", "1", "1"},
		"an item":         {"spec.env[a].value", "spec.env[*].value", "1", "x"},
		"around it":       {"spec", "spec.env[*].value", whole, gitops.Tree{"env": []any{gitops.Tree{"name": "a", "value": "x"}, gitops.Tree{"name": "b", "value": "x"}}, "image": "web"}},
		"nothing there":   {"data.a", "data.a", nil, nil},
		"no path":         {"a..b", "data.a", "1", "x"},
		"no pattern":      {"data.a", "a..b", "1", "x"},
		"another's field": {`data["a.b"]`, `data["a.b"]`, "1", "x"},
	} {
		before := gitops.Clone(whole)
		got := plan.MaskEdit(plan.Edit{Path: c.path, Before: c.value, After: c.value}, []string{c.pattern}, x)
		if diff := cmp.Diff(plan.Edit{Path: c.path, Before: c.want, After: c.want}, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if diff := cmp.Diff(before, whole); diff != "" {
			t.Errorf("%s changed the value itself: %s", name, diff)
		}
	}
}

func TestWithout(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, value, want string }{
		{"wrong: hunter22!", "hunter22", "wrong: …!"},
		{"xhunter22x", "hunter22", "x…x"},
		{"pin 1234, not 12345 nor x1234: \"1234\"", "1234", "pin …, not 12345 nor x1234: \"…\""},
		{"1234", "1234", "…"},
		{"über abcü abc", "abc", "über abcü …"},
		{"3 of 33", "33", "3 of 33"},
		{"nothing", "", "nothing"},
	} {
		if got := plan.Without(c.text, []string{c.value}); got != c.want {
			t.Errorf("%q without %q: %q, want %q", c.text, c.value, got, c.want)
		}
	}
}
