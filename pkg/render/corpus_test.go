package render_test

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"
)

// uncovered are the fields of a kustomization that no layout of testdata/build has, and why.
func uncovered() map[string]string {
	return map[string]string{
		"helmCharts": "Helm has tests of its own", "helmGlobals": "Helm has tests of its own",
		"helmChartInflationGenerator": "Helm has tests of its own",
	}
}

// TestEveryFieldIsInTheCorpus: whatever a kustomization may say is compared with `kustomize build`, or is refused with a reason.
// It fails when an update of kustomize brings a field: add it to a layout, or refuse it, in docs/repository.md too.
func TestEveryFieldIsInTheCorpus(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	fieldsOf(reflect.TypeFor[types.Kustomization](), "", known)
	used := map[string]bool{}
	layouts, err := filepath.Glob("testdata/build/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, layout := range layouts {
		body, err := os.ReadFile(layout)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range txtar.Parse(body).Files {
			var tree any
			if base := filepath.Base(f.Name); !strings.HasPrefix(strings.ToLower(base), "kustomization") {
				continue
			}
			if err := yaml.Unmarshal(f.Data, &tree); err != nil {
				t.Fatal(layout, f.Name, err)
			}
			keysOf(tree, "", used)
		}
	}
	for _, field := range slices.Sorted(maps.Keys(known)) {
		if _, excused := uncovered()[strings.Split(field, ".")[0]]; !used[field] && !excused {
			t.Errorf("%s is in no layout of testdata/build", field)
		}
	}
}

// fieldsOf lists the fields of a type as paths of YAML keys; what maps hold is the user's.
func fieldsOf(t reflect.Type, path string, into map[string]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		fieldsOf(t.Elem(), path, into)
	case reflect.Struct:
		for i := range t.NumField() {
			field := t.Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			switch {
			case !field.IsExported():
			case field.Anonymous && name == "":
				fieldsOf(field.Type, path, into)
			default:
				at := strings.TrimPrefix(path+"."+name, ".")
				into[at] = true
				fieldsOf(field.Type, at, into)
			}
		}
	default:
	}
}

// keysOf lists the keys of a document as paths.
func keysOf(v any, path string, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			at := strings.TrimPrefix(path+"."+key, ".")
			into[at] = true
			keysOf(inner, at, into)
		}
	case []any:
		for _, item := range v {
			keysOf(item, path, into)
		}
	}
}
