package render_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/render"
)

// buildOnDisk is `kustomize build` of a folder of real files.
func buildOnDisk(t *testing.T, folder string) string {
	t.Helper()
	o := krusty.MakeDefaultOptions()
	// What the CLI uses when no order is asked for.
	o.Reorder = krusty.ReorderOptionUnspecified
	out, err := krusty.MakeKustomizer(o).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		t.Fatalf("kustomize build %s: %v", folder, err)
	}
	text, err := out.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// asKustomizePrints is an overlay without the comments that tell where each object is written.
func asKustomizePrints(t *testing.T, d gitops.Desired, overlay string) string {
	t.Helper()
	text, err := render.YAML(d, overlay)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(regexp.MustCompile(`(?m)^---\n# .*\n`).ReplaceAllString(string(text), "---\n"), "---\n")
}

// TestRendersAsKustomizeBuildDoes renders a corpus of layouts from a snapshot, as usual and in the smallest parts that it can be
// cut into, and compares with kustomize on files, byte for byte. The files also hold where each object is said to come from, and
// where fields were set.
func TestRendersAsKustomizeBuildDoes(t *testing.T) {
	cases, err := filepath.Glob("testdata/build/*.txtar")
	if err != nil || len(cases) < 10 {
		t.Fatalf("found %d layouts, %v", len(cases), err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			body, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			disk := t.TempDir()
			for _, f := range txtar.Parse(body).Files {
				name, isLink := strings.CutSuffix(f.Name, " (link)")
				full := filepath.Join(disk, name)
				if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
					t.Fatal(err)
				}
				if isLink {
					err = os.Symlink(strings.TrimSpace(string(f.Data)), full)
				} else {
					err = os.WriteFile(full, f.Data, 0o644)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			files := archive(string(body))
			d := desired(t, render.New(render.Options{}), files, nil)
			if len(d.Problems) > 0 {
				t.Fatal(d.Problems)
			}
			smallest := render.New(render.Options{})
			smallest.Portion(1)
			parted := desired(t, smallest, files, nil)
			for _, o := range d.Overlays {
				if !o.Complete || o.Pending {
					t.Errorf("overlay %+v", o)
				}
				want := buildOnDisk(t, filepath.Join(disk, "clusters/dev", o.Name))
				if diff := cmp.Diff(want, asKustomizePrints(t, d, o.Name)); diff != "" {
					t.Errorf("%s (-kustomize +ours):\n%s", o.Name, diff)
				}
				if diff := cmp.Diff(want, asKustomizePrints(t, parted, o.Name)); diff != "" {
					t.Errorf("%s in %d parts (-kustomize +ours):\n%s", o.Name, smallest.Parts("clusters/dev/"+o.Name), diff)
				}
			}
			golden(t, path, "want-origins", origins(d))
		})
	}
}

// origins lists where everything comes from.
func origins(d gitops.Desired) string {
	var b strings.Builder
	for _, item := range d.Items {
		b.WriteString(item.Ref.String() + " " + item.From.Position.String() + "\n")
		fields := d.Fields(item.Ref)
		for _, path := range sorted(fields) {
			b.WriteString("  " + path + " " + fields[path].String() + "\n")
		}
	}
	return b.String()
}

func TestTheSampleFleetRenders(t *testing.T) {
	files := os.DirFS("../..")
	r := render.New(render.Options{})
	for _, c := range clusters(t, r, files) {
		if len(c.Problems) > 0 {
			t.Error(c.Problems)
		}
		d, err := r.Render(t.Context(), snapshot(files), c, gitops.Facts{"clusterName": c.Name})
		if err != nil || len(d.Problems) > 0 {
			t.Error(err, d.Problems)
		}
		if len(d.Items) < 10 || len(d.Overlays) < 3 {
			t.Errorf("%s renders %d objects of %d overlays", c.Name, len(d.Items), len(d.Overlays))
		}
		for _, item := range d.Items {
			if item.From.File == "" || item.From.Line == 0 || item.From.Overlay == "" {
				t.Errorf("%s comes from %+v", item.Ref, item.From)
			}
		}
	}
}
