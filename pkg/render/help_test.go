package render_test

import (
	"flag"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/render"
)

var update = flag.Bool("update", false, "write the golden files anew")

// config is a ClusterConfig that nothing is wrong with.
const config = "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: dev, region: eu-west-1}\n"

// archive makes a file system of txtar text; a cluster dev is there unless the text has a file in clusters/dev itself.
func archive(text string) fstest.MapFS {
	files := fstest.MapFS{}
	var configured bool
	for _, f := range txtar.Parse([]byte(text)).Files {
		data := f.Data
		if name, isLink := strings.CutSuffix(f.Name, " (link)"); isLink {
			files[name] = &fstest.MapFile{Data: []byte(strings.TrimSpace(string(data))), Mode: fs.ModeSymlink | 0o777}
			continue
		}
		files[f.Name] = &fstest.MapFile{Data: data}
		configured = configured || filepath.Dir(f.Name) == "clusters/dev"
	}
	if !configured {
		files["clusters/dev/cluster.yaml"] = &fstest.MapFile{Data: []byte(config)}
	}
	return files
}

var revisions atomic.Int64

// snapshot makes a revision of its own of what the files hold now.
func snapshot(files fs.FS) gitops.Snapshot {
	return gitops.Snapshot{Revision: gitops.Revision{Hash: strconv.FormatInt(revisions.Add(1), 16)}, Files: files}
}

func clusters(t *testing.T, r *render.Renderer, files fs.FS) []gitops.Cluster {
	t.Helper()
	out, err := r.Clusters(t.Context(), snapshot(files))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// dev finds the cluster dev.
func dev(t *testing.T, r *render.Renderer, files fs.FS) gitops.Cluster {
	t.Helper()
	for _, c := range clusters(t, r, files) {
		if c.Folder == "clusters/dev" {
			return c
		}
	}
	t.Fatal("there is no clusters/dev")
	return gitops.Cluster{}
}

func desired(t *testing.T, r *render.Renderer, files fs.FS, facts gitops.Facts) gitops.Desired {
	t.Helper()
	d, err := r.Render(t.Context(), snapshot(files), dev(t, r, files), facts)
	if err != nil {
		t.Fatal(err)
	}
	d.Revision = gitops.Revision{} // every render is of another one
	return d
}

// golden compares with a section of a txtar file, or writes it.
func golden(t *testing.T, path, section, got string) {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	a := txtar.Parse(body)
	for i := range a.Files {
		if a.Files[i].Name != section {
			continue
		}
		if *update {
			a.Files[i].Data = []byte(got)
			if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		if diff := cmp.Diff(string(a.Files[i].Data), got); diff != "" {
			t.Errorf("%s, %s: run with -update and read the diff\n%s", path, section, diff)
		}
		return
	}
	t.Fatalf("%s has no section %s", path, section)
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// readFiles notes whose files were read. It offers hashes, as snapshots of the source do, which count as no reading.
type readFiles struct {
	fstest.MapFS
	mu   sync.Mutex
	read map[string]bool
}

func newReadFiles(files fstest.MapFS) *readFiles {
	return &readFiles{MapFS: files, read: map[string]bool{}}
}

func (f *readFiles) Hash(name string) (string, error) {
	body, err := f.MapFS.ReadFile(name)
	return string(body), err
}

func (f *readFiles) ReadFile(name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read[name] = true
	return f.MapFS.ReadFile(name)
}

// overlaysRead are the overlays of dev whose other files than the kustomization, which tells overlays from components, were read.
func (f *readFiles) overlaysRead() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := map[string]bool{}
	for name := range f.read {
		if rest, ok := strings.CutPrefix(name, "clusters/dev/"); ok {
			if overlay, file, inside := strings.Cut(rest, "/"); inside && !strings.HasPrefix(file, "kustomization.") {
				seen[overlay] = true
			}
		}
	}
	if len(seen) == 0 {
		return nil
	}
	return sorted(seen)
}
