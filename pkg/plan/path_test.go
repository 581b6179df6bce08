package plan

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

func TestPaths(t *testing.T) {
	for _, tc := range []struct{ got, want, parent string }{
		{Field("", "spec"), "spec", ""},
		{Field("spec", "replicas"), "spec.replicas", "spec"},
		{Field("metadata.annotations", "a.b/c"), `metadata.annotations["a.b/c"]`, "metadata.annotations"},
		{Field("data", `x"]`), `data["x\"]"]`, "data"},
		{Field("data", "[a"), `data["[a"]`, "data"},
		{Field("data", ""), `data[""]`, "data"},
		{Index("spec.args", 2), "spec.args[2]", "spec.args"},
		{Keyed("spec.containers", map[string]any{"name": "web"}), "spec.containers[web]", "spec.containers"},
		{Keyed("ports", map[string]any{"protocol": "TCP", "containerPort": int64(80)}), "ports[80/TCP]", "ports"},
		{Keyed("env", map[string]any{"name": "a[0]"}), `env["a[0]"]`, "env"},
	} {
		if tc.got != tc.want || parent(tc.got) != tc.parent {
			t.Errorf("got %s with parent %q, want %s with parent %q", tc.got, parent(tc.got), tc.want, tc.parent)
		}
		if _, err := parsePath(tc.got); err != nil {
			t.Error(err)
		}
	}
}

func TestEdits(t *testing.T) {
	list := func(items ...any) []any { return items }
	deploy := gitops.Ref{Domain: gitops.K8s, Group: "apps", Kind: "Deployment", Name: "x"}
	for _, tc := range []struct {
		name          string
		before, after gitops.Tree
		want          []Edit
	}{
		{name: "numbers are what they are worth", before: gitops.Tree{"a": int64(1), "b": 2.5}, after: gitops.Tree{"a": 1.0, "b": 2.5}},
		{name: "large numbers are exact", before: gitops.Tree{"a": int64(9007199254740993)}, after: gitops.Tree{"a": int64(9007199254740992)}, want: []Edit{{Path: "a", Before: int64(9007199254740993), After: int64(9007199254740992)}}},
		{name: "a number is no text", before: gitops.Tree{"a": 1}, after: gitops.Tree{"a": "1"}, want: []Edit{{Path: "a", Before: 1, After: "1"}}},
		{name: "null is absent", before: gitops.Tree{"a": nil}, after: gitops.Tree{}},
		{name: "empty is not absent", before: gitops.Tree{}, after: gitops.Tree{"emptyDir": gitops.Tree{}}, want: []Edit{{Path: "emptyDir", After: gitops.Tree{}}}},
		{name: "status is not git's", before: gitops.Tree{"status": gitops.Tree{"a": 1}, "metadata": gitops.Tree{"generation": 1}}, after: gitops.Tree{"metadata": gitops.Tree{"generation": 2}}},
		{
			name:   "ports by number and protocol",
			before: gitops.Tree{"ports": list(gitops.Tree{"containerPort": 80, "name": "web"}, gitops.Tree{"containerPort": 80, "protocol": "UDP"})},
			after:  gitops.Tree{"ports": list(gitops.Tree{"containerPort": 80, "name": "http", "protocol": "TCP"}, gitops.Tree{"containerPort": 80, "protocol": "UDP"})},
			want:   []Edit{{Path: "ports[80/TCP].name", Before: "web", After: "http"}, {Path: "ports[80/TCP].protocol", After: "TCP"}},
		},
		{
			name:   "names that occur twice are no keys",
			before: gitops.Tree{"x": list(gitops.Tree{"name": "a", "v": 1}, gitops.Tree{"name": "a", "v": 2})},
			after:  gitops.Tree{"x": list(gitops.Tree{"name": "a", "v": 1}, gitops.Tree{"name": "a", "v": 3})},
			want:   []Edit{{Path: "x[1].v", Before: 2, After: 3}},
		},
		{
			name:   "order counts",
			before: gitops.Tree{"initContainers": list(gitops.Tree{"name": "a"}, gitops.Tree{"name": "b"})},
			after:  gitops.Tree{"initContainers": list(gitops.Tree{"name": "b"}, gitops.Tree{"name": "a"})},
			want:   []Edit{{Path: "initContainers", Before: list("[a]", "[b]"), After: list("[b]", "[a]")}},
		},
		{
			name:   "a new item between moves nothing",
			before: gitops.Tree{"c": list(gitops.Tree{"name": "a"}, gitops.Tree{"name": "b"})},
			after:  gitops.Tree{"c": list(gitops.Tree{"name": "a"}, gitops.Tree{"name": "n"}, gitops.Tree{"name": "b"})},
			want:   []Edit{{Path: "c[n]", After: gitops.Tree{"name": "n"}}},
		},
		{name: "plain lists by position", before: gitops.Tree{"args": list("a", "b")}, after: gitops.Tree{"args": list("a", "c", "d")}, want: []Edit{{Path: "args[1]", Before: "b", After: "c"}, {Path: "args[2]", After: "d"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, edits(deploy, tc.before, tc.after)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whatever differs is told, and nothing else: edits are empty exactly when the trees are the same.
func TestEditsAreComplete(t *testing.T) {
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		return rapid.Custom(func(t *rapid.T) any {
			switch kind := rapid.IntRange(0, 5).Draw(t, "kind"); {
			case kind == 0:
				return rapid.SampledFrom([]string{"", "a", "b.c", "[x]"}).Draw(t, "text")
			case kind == 1:
				return rapid.Int64Range(0, 3).Draw(t, "number")
			case kind == 2:
				return rapid.Bool().Draw(t, "truth")
			case depth == 0:
				return nil
			case kind == 3:
				return rapid.SliceOfN(value(depth-1), 0, 3).Draw(t, "list")
			case kind == 4:
				named := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3).Draw(t, "names")
				out := []any{}
				for _, name := range named {
					out = append(out, gitops.Tree{"name": name, "v": value(0).Draw(t, "v")})
				}
				return out
			}
			return gitops.Tree(rapid.MapOfN(rapid.SampledFrom([]string{"a", "b.c", "ports", "name"}), value(depth-1), 0, 3).Draw(t, "object"))
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		before, after := gitops.Tree{"x": value(3).Draw(t, "before")}, gitops.Tree{"x": value(3).Draw(t, "after")}
		found := edits(gitops.Ref{Domain: gitops.EKS}, before, after)
		if equal := same(dense(before), dense(after)); equal != (len(found) == 0) {
			t.Fatalf("equal is %v, edits are %v\n%v\n%v", equal, found, before, after)
		}
		if len(edits(gitops.Ref{Domain: gitops.EKS}, after, after)) > 0 {
			t.Fatal("a tree differs from itself")
		}
	})
}

// dense drops nulls from objects: they mean the same as nothing.
func dense(v any) any {
	switch v := v.(type) {
	case gitops.Tree:
		out := gitops.Tree{}
		for name, value := range v {
			if value != nil {
				out[name] = dense(value)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = dense(v[i])
		}
		return out
	}
	return v
}

// What a pattern covers is as it is live; what else git says stays.
func TestSettle(t *testing.T) {
	wanted := gitops.Tree{
		"metadata": gitops.Tree{"name": "x", "annotations": gitops.Tree{"a/b": "1", "*": "2", "c": "3"}},
		"spec": gitops.Tree{"n": 1, "args": []any{"a", "b"}, "containers": []any{
			gitops.Tree{"name": "web", "cpu": 1}, gitops.Tree{"name": "side", "cpu": 2}, gitops.Tree{"name": "new", "cpu": 3},
		}},
	}
	live := gitops.Tree{"spec": gitops.Tree{"args": []any{"z", "b", "c"}, "containers": []any{
		gitops.Tree{"name": "side", "cpu": 7}, gitops.Tree{"name": "web"},
	}}}
	whole := gitops.Clone(wanted)
	for _, tc := range []struct{ path, want string }{
		{"spec.containers[*].cpu", "map[args:[a b] containers:[map[name:web] map[cpu:7 name:side] map[cpu:3 name:new]] n:1]"},
		{"spec.containers[side]", "map[args:[a b] containers:[map[cpu:1 name:web] map[cpu:7 name:side] map[cpu:3 name:new]] n:1]"},
		{"spec.containers[new]", "map[args:[a b] containers:[map[cpu:1 name:web] map[cpu:2 name:side]] n:1]"},
		{"spec.containers[web].cpu", "map[args:[a b] containers:[map[name:web] map[cpu:2 name:side] map[cpu:3 name:new]] n:1]"},
		{"spec.args", "map[args:[z b c] containers:[map[cpu:1 name:web] map[cpu:2 name:side] map[cpu:3 name:new]] n:1]"},
		{"spec.args[0]", "map[args:[z b] containers:[map[cpu:1 name:web] map[cpu:2 name:side] map[cpu:3 name:new]] n:1]"},
		{"spec.n", "map[args:[a b] containers:[map[cpu:1 name:web] map[cpu:2 name:side] map[cpu:3 name:new]]]"},
		{`metadata.annotations["*"]`, "map[args:[a b] containers:[map[cpu:1 name:web] map[cpu:2 name:side] map[cpu:3 name:new]] n:1]"},
		{"spec.nothing.there", "map[args:[a b] containers:[map[cpu:1 name:web] map[cpu:2 name:side] map[cpu:3 name:new]] n:1]"},
	} {
		p, err := ParsePattern(tc.path)
		if err != nil {
			t.Fatal(err)
		}
		got := p.Settle(wanted, live)
		if text := fmt.Sprint(got["spec"]); text != tc.want {
			t.Errorf("%s: %s", tc.path, text)
		}
		if left := len(gitops.TreeAt(got, "metadata", "annotations")); tc.path[0] == 'm' && left != 2 {
			t.Errorf("%s leaves %d annotations", tc.path, left)
		}
		if again := p.Settle(got, live); !cmp.Equal(got, again) {
			t.Errorf("%s: settling again changes %v", tc.path, again)
		}
	}
	if diff := cmp.Diff(whole, wanted); diff != "" {
		t.Errorf("what was handed in changed: %s", diff)
	}
}

// Of the ClusterConfig, what is ignored is taken out; of objects nothing is, and a rule without kinds is about objects.
func TestTrimIsOfTheClusterConfig(t *testing.T) {
	config := gitops.Item{Ref: gitops.Ref{Domain: gitops.EKS, Kind: "ClusterConfig", Name: "dev"}, Spec: gitops.Tree{"nodeGroups": []any{gitops.Tree{"name": "a", "desiredCapacity": 3}}}}
	object := gitops.Item{Ref: gitops.Ref{Domain: gitops.K8s, Kind: "ConfigMap", Name: "x"}, Spec: gitops.Tree{"nodeGroups": []any{gitops.Tree{"desiredCapacity": 3}}}}
	p, err := ParsePattern("nodeGroups[*].desiredCapacity")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		kinds []string
		want  string
	}{{nil, "map[nodeGroups:[map[desiredCapacity:3 name:a]]]"}, {[]string{"ClusterConfig", "ConfigMap"}, "map[nodeGroups:[map[name:a]]]"}} {
		rules := Rules{Ignore: []Ignore{{Claim: Claim{Selector: Selector{Kinds: tc.kinds}, Fields: []Pattern{p}}}}}
		got := rules.Trim(gitops.Desired{Items: []gitops.Item{config, object}}).Items
		if text := fmt.Sprint(got[0].Spec); text != tc.want || !cmp.Equal(got[1], object) {
			t.Errorf("%v: %s, %v", tc.kinds, text, got[1].Spec)
		}
	}
}

func TestPatternsCover(t *testing.T) {
	for _, tc := range []struct {
		pattern string
		path    []string
		want    bool
	}{
		{"spec.replicas", []string{"spec", "replicas"}, true},
		{"spec", []string{"spec", "replicas"}, true},
		{"spec.replicas", []string{"spec"}, false},
		{"data[*]", []string{"data", "a.b"}, true},
		{"data[*]", []string{"data"}, false},
		{"spec.containers[web].image", []string{"spec", "containers", "web", "image"}, true},
		{"spec.containers[*].image", []string{"spec", "containers", "web", "command"}, false},
	} {
		p, err := ParsePattern(tc.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if p.Covers(tc.path) != tc.want || p.String() != tc.pattern {
			t.Errorf("%s covers %v: %v", p, tc.path, !tc.want)
		}
	}
	if (Pattern{}).Covers([]string{"spec"}) {
		t.Error("no pattern covers everything")
	}
}

func FuzzParsePath(f *testing.F) {
	for _, seed := range []string{"spec.replicas", `metadata.annotations["a.b/c"].x[*]`, "a[b", `a["\x`, "[0]", "..", "*"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		p, err := ParsePattern(path)
		if err != nil {
			return
		}
		if len(p.steps) == 0 {
			t.Error("no steps and no error")
		}
		protected(p.steps)
		p.Settle(gitops.Tree{"a": gitops.Tree{"b": []any{gitops.Tree{"name": "c"}, "d"}}}, gitops.Tree{"a": gitops.Tree{"b": []any{"d"}}})
	})
}

// What a circle needs comes before all of it, though its own order is open: a part of the plan is in order, too.
func TestACircleIsAsOne(t *testing.T) {
	ref := func(name string) gitops.Ref { return gitops.Ref{Domain: gitops.K8s, Kind: "Namespace", Name: name} }
	change := func(name string, needs ...string) Change {
		c := Change{Ref: ref(name), Action: Delete}
		for _, need := range needs {
			c.Needs = append(c.Needs, ref(need))
		}
		return c
	}
	got := ordered([]Change{change("a", "b"), change("b", "a", "c"), change("c"), change("user", "a")}, [][]gitops.Ref{{ref("a"), ref("b")}})
	var names []string
	for _, c := range got {
		names = append(names, c.Ref.Name)
	}
	if diff := cmp.Diff([]string{"c", "a", "b", "user"}, names); diff != "" {
		t.Error(diff)
	}
}
