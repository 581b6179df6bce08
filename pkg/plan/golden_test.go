package plan_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/view"
)

// TestBuild runs every testdata/build/*.txtar: case.yaml (and policy.yaml) against plan.txt (what people see, verbose),
// order.txt (the graph) and plan.json (the document). -update rewrites them; read the diff before you commit it.
func TestBuild(t *testing.T) {
	files, err := filepath.Glob("testdata/build/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			parts := map[string][]byte{}
			for _, f := range archive.Files {
				parts[f.Name] = f.Data
			}
			s := parseScenario(t, parts["case.yaml"])
			got := render(t, s, parts["policy.yaml"])
			if *update {
				rewrite(t, file, archive, got)
				return
			}
			for name, body := range got {
				if diff := cmp.Diff(string(parts[name]), body); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

func render(t *testing.T, s scenario, policy []byte) map[string]string {
	t.Helper()
	r := rules(t, policy)
	in := s.input(t)
	in.DependsOn = r.DependsOn
	p := plan.Build(in, s.policies(t, in, r)...)
	text, err := view.Plans(view.Text, view.Options{Now: testNow, Verbose: true}, p)
	if err != nil {
		t.Fatal(err)
	}
	document, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	checkSchema(t, "plan", document)
	return map[string]string{"plan.txt": string(text), "order.txt": order(p), "plan.json": string(document) + "\n"}
}

func rewrite(t *testing.T, file string, archive *txtar.Archive, got map[string]string) {
	t.Helper()
	var inputs []txtar.File
	for _, f := range archive.Files {
		if f.Name == "case.yaml" || f.Name == "policy.yaml" {
			inputs = append(inputs, f)
		}
	}
	archive.Files = inputs
	for _, name := range []string{"plan.txt", "order.txt", "plan.json"} {
		archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(got[name])})
	}
	if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}
