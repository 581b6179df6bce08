package render_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eks-gitops/reconciler/internal/sim/git"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/render"
	"github.com/eks-gitops/reconciler/pkg/source"
)

// TestARevisionIsItsContent renders two revisions that are read through one and the same file system.
func TestARevisionIsItsContent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("clusters/dev/cluster.yaml", config)
	write("clusters/dev/app/kustomization.yaml", "resources: [one.yaml]\n")
	r := render.New(render.Options{})
	for revision, word := range []string{"one", "two", "three"} {
		write("clusters/dev/app/one.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {say: "+word+"}\n")
		s := gitops.Snapshot{Revision: gitops.Revision{Hash: fmt.Sprint(revision + 1)}, Files: os.DirFS(dir)}
		found, err := r.Clusters(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		d, err := r.Render(t.Context(), s, found[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Items) != 1 || !strings.Contains(fmt.Sprint(d.Items[0].Spec["data"]), word) {
			t.Errorf("revision %d renders %v, want %s", revision+1, d.Items, word)
		}
	}
}

// TestWhatTheSnapshotRefusesIsTold renders straight from git what git may hold and a snapshot does not follow.
func TestWhatTheSnapshotRefusesIsTold(t *testing.T) {
	t.Parallel()
	repo, err := git.Init(t.Context(), filepath.Join(t.TempDir(), "fleet.git"))
	if err != nil {
		t.Fatal(err)
	}
	const cm = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"
	_, err = repo.Commit(t.Context(), git.Commit{
		Write: map[string]string{
			"clusters/dev/cluster.yaml":             config,
			"clusters/dev/good/kustomization.yaml":  "resources: [../../../base]\n",
			"clusters/dev/out/kustomization.yaml":   "# one\nresources:\n  - link.yaml\n",
			"clusters/dev/sub/kustomization.yaml":   "resources: [../../../vendor/lib]\n",
			"clusters/dev/patch/kustomization.yaml": "resources: [../../../base]\npatches: [{path: link.yaml}]\n",
			"base/kustomization.yaml":               "resources: [x.yaml]\n", "base/x.yaml": cm,
			"clusters/stage/x.yaml": "x: y\n",
		},
		Link: map[string]string{
			"clusters/dev/out/link.yaml": "../../../../../etc/passwd", "clusters/dev/patch/link.yaml": "/etc/passwd",
			"clusters/dev/top/kustomization.yaml": "../../../../x.yaml", "clusters/stage/cluster.yaml": "/etc/passwd",
		},
		Submodule: map[string]string{"vendor/lib": "1111111111111111111111111111111111111111", "clusters/dev/module": "1111111111111111111111111111111111111111"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := source.Open(source.Options{Location: repo.Path})
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := s.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := render.New(render.Options{})
	d := desired(t, r, snapshot.Files, nil)
	var b strings.Builder
	for _, p := range d.Problems {
		fmt.Fprintf(&b, "%s: %s %s\n", p.From.Overlay, p.Reason, p.From.Position)
	}
	const want = `module: SourceInvalid clusters/dev/module
out: SourceInvalid clusters/dev/out/link.yaml
patch: SourceInvalid clusters/dev/patch/link.yaml
sub: SourceInvalid vendor/lib
top: SourceInvalid clusters/dev/top/kustomization.yaml
`
	if b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
	if len(d.Items) != 1 || d.Items[0].From.Overlay != "good" {
		t.Errorf("rendered %v; want the good overlay alone", d.Items)
	}
	for _, c := range clusters(t, r, snapshot.Files) {
		if c.Folder == "clusters/stage" && (c.Config.Spec != nil || len(c.Problems) != 1 || c.Problems[0].Reason != gitops.SourceInvalid || c.Problems[0].From.File != "clusters/stage/cluster.yaml") {
			t.Errorf("stage: %v", c.Problems)
		}
	}
}
