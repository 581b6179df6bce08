package kinds

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// TestMerge: files of several kinds become one, in which each nodegroup is once and nothing contradicts itself.
func TestMerge(t *testing.T) {
	t.Parallel()
	read := func(text string) any {
		var out any
		if err := yaml.Unmarshal([]byte(text), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	for name, tt := range map[string]struct{ a, b, want, fails string }{
		"deep":          {"iam: {withOIDC: true}", "iam: {roles: [a]}", "iam: {withOIDC: true, roles: [a]}", ""},
		"lists":         {"l: [{name: a}, {name: b}]", "l: [{name: b}, {name: c}]", "l: [{name: a}, {name: b}, {name: c}]", ""},
		"the same":      {"v: 1", "v: 1", "v: 1", ""},
		"another":       {"x: {v: 1}", "x: {v: 2}", "", "x: v: 1 and 2"},
		"another shape": {"v: [a]", "v: {a: b}", "", "v: [a] and map[a:b]"},
	} {
		got, err := merge(read(tt.a), read(tt.b))
		switch {
		case tt.fails != "":
			if err == nil || err.Error() != tt.fails {
				t.Errorf("%s: %v", name, err)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		default:
			if diff := cmp.Diff(read(tt.want), got); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", name, diff)
			}
		}
	}
}

// TestConfig: each kind says which example it is, and is not made where the account lacks what it needs.
func TestConfig(t *testing.T) {
	t.Parallel()
	names, err := Names()
	if err != nil || len(names) < 20 {
		t.Fatalf("%v, %v", names, err)
	}
	for _, name := range names {
		body, err := files.ReadFile(name + ".yaml")
		if err != nil || !strings.HasPrefix(string(body), "# ") {
			t.Errorf("%s does not say what it is: %v", name, err)
		}
	}
	got, err := Config(Ground{"Key": "k"}, "c", "r", "encryption", "logging")
	if err != nil || !strings.Contains(got, "keyARN: k\n") || !strings.Contains(got, "logRetentionInDays: 60\n") || strings.Contains(got, "$") {
		t.Errorf("%v\n%s", err, got)
	}
	if _, err := Config(Ground{}, "c", "r", "encryption"); err == nil || err.Error() != "the kind encryption: there is no Key to put into it" {
		t.Errorf("without a key: %v", err)
	}
}
