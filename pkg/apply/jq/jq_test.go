package jq_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/apply/jq"
	"github.com/eks-gitops/reconciler/pkg/gitops"
)

func object() gitops.Tree {
	return gitops.Tree{
		"metadata": gitops.Tree{"name": "web", "annotations": gitops.Tree{"a/b": "x"}},
		"spec": gitops.Tree{"replicas": int64(3), "containers": []any{
			gitops.Tree{"name": "web", "image": "web:1"}, gitops.Tree{"name": "proxy", "image": "proxy:1"},
		}},
	}
}

func TestPaths(t *testing.T) {
	for program, want := range map[string][]string{
		".spec.replicas":  {"[spec replicas]"},
		".spec.absent":    {"[spec absent]"},
		".spec.volumes[]": nil,
		`.spec.containers[] | select(.name == "proxy") | .image`:             {"[spec containers 1 image]"},
		`.spec.containers[].image | select(startswith("p"))`:                 {"[spec containers 1 image]"},
		`if .spec.replicas > 2 then .spec.replicas else empty end`:           {"[spec replicas]"},
		`.spec.replicas, .metadata.annotations["a/b"]`:                       {"[spec replicas]", "[metadata annotations a/b]"},
		`.. | select(type == "string" and endswith(":1"))`:                   {"[spec containers 0 image]", "[spec containers 1 image]"},
		`.spec.containers | .[] | select(.name as $n | ["web"] | index($n))`: {"[spec containers 0]"},
		"# every image\n.spec.containers[].image # of the pods":              {"[spec containers 0 image]", "[spec containers 1 image]"},
		`.spec | select(.replicas == 4) | error("unreached")`:                nil,
	} {
		q, err := jq.Compile(program)
		if err != nil {
			t.Errorf("%s: %v", program, err)
			continue
		}
		if q.String() != program {
			t.Errorf("%s is told as %s", program, q)
		}
		paths, err := q.Paths(object())
		if err != nil {
			t.Errorf("%s: %v", program, err)
		}
		var got []string
		for _, p := range paths {
			got = append(got, fmt.Sprint(p))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", program, diff)
		}
	}
}

// What a program cannot say is told when reconcile.yaml is read.
func TestCompileRefuses(t *testing.T) {
	for program, want := range map[string]string{
		".spec.[":                   "unexpected EOF",
		".spec | nosuch":            "function not defined: nosuch/0",
		".a) | path(.b":             `unexpected token ")"`,
		"":                          "",
		"$x":                        "variable not defined: $x",
		`import "a" as a; .`:        "cannot import modules",
		".spec | select(input > 0)": "input(s)/0 is not allowed",
	} {
		_, err := jq.Compile(program)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", program, err, want)
		}
	}
}

// What is wrong with a program and an object is told, and a program ends.
func TestPathsRefuses(t *testing.T) {
	for program, want := range map[string]string{
		".spec.replicas + 1":           "invalid path",
		".spec.replicas[]":             "cannot iterate over: number (3)",
		`error("broken")`:              "broken",
		"del(.spec.replicas)":          "invalid path",
		"def f: f; f":                  "it did not end within 5s",
		"range(1e9) as $i | .a[$i]":    "it picks more than 10000 fields",
		".spec | select(now > 0)":      "a query sees the object alone, no clock",
		`.spec | select($ENV.HOME)`:    "",
		`.spec | select(env | length)`: "",
	} {
		q, err := jq.Compile(program)
		if err != nil {
			t.Errorf("%s: %v", program, err)
			continue
		}
		paths, err := q.Paths(object())
		switch {
		case want == "" && (err != nil || len(paths) > 1):
			t.Errorf("%s: %v, %v", program, paths, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", program, err, want)
		}
	}
	q, err := jq.Compile("env | keys | length | select(. > 0) | error")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Paths(object()); err != nil {
		t.Errorf("the environment can be seen: %v", err)
	}
}

func TestPathsLeavesTheObjectAlone(t *testing.T) {
	q, err := jq.Compile(".spec.containers[] | select(.image |= \"x\" | .name == \"web\")")
	if err != nil {
		t.Fatal(err)
	}
	o := object()
	if _, err := q.Paths(o); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(object(), o); diff != "" {
		t.Error(diff)
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(".spec.replicas")
	f.Add(`.a[] | select(.b == "c")`)
	f.Fuzz(func(t *testing.T, program string) {
		q, err := jq.Compile(program)
		if err != nil || len(program) > 60 || strings.ContainsAny(program, "0123456789*") || strings.Contains(program, "def") {
			return // numbers make programs that take memory
		}
		paths, err := q.Paths(object())
		if err != nil && paths != nil {
			t.Errorf("%q: %v beside %v", program, paths, err)
		}
	})
}
