package render

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// seeds are all the files of the tests' repositories with a name.
func seeds(f *testing.F, matches func(name string) bool) {
	f.Helper()
	for _, pattern := range []string{"testdata/build/*.txtar", "testdata/bad/*.txtar"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			f.Fatalf("%s: %v", pattern, err)
		}
		for _, path := range paths {
			body, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			for _, file := range txtar.Parse(body).Files {
				if matches(file.Name) {
					f.Add(string(file.Data))
				}
			}
		}
	}
}

func sound(t *testing.T, problems []*gitops.Error) {
	t.Helper()
	for _, p := range problems {
		if p.Reason == gitops.Internal || p.From.File == "" || p.Message() == "" || len(p.Message()) > 4000 {
			t.Errorf("unsound problem: %v", p)
		}
	}
}

func FuzzApproval(f *testing.F) {
	seeds(f, func(name string) bool { return strings.Contains(name, "approvals/") })
	f.Fuzz(func(t *testing.T, body string) {
		a := readApproval("x.yaml", []byte(body))
		sound(t, a.problems)
		if len(a.problems) == 0 && len(a.ids) == 0 {
			t.Error("an approval of nothing")
		}
		for id := range a.ids {
			if len(id) != 16 {
				t.Errorf("the id %q", id)
			}
		}
		if e := a.ends; e != nil && len(a.problems) == 0 && (e.config.Ref.Name == "" || gitops.StringAt(e.config.Spec, "metadata", "region") == "" || e.config.From.Line == 0) {
			t.Errorf("a cluster that nobody can find ends: %v", e)
		}
	})
}

func FuzzClusterFolder(f *testing.F) {
	seeds(f, func(name string) bool { return filepath.Dir(name) == "clusters/dev" })
	f.Fuzz(func(t *testing.T, body string) {
		files := fstest.MapFS{"clusters/dev/cluster.yaml": {Data: []byte(body)}, "clusters/dev/reconcile.yaml": {Data: []byte(body)}}
		all, err := New(Options{}).Clusters(context.Background(), gitops.Snapshot{Files: files})
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		sound(t, all[0].Problems)
		var config bool
		for _, p := range all[0].Problems {
			config = config || p.Reason == gitops.ConfigInvalid
		}
		if spec := all[0].Config.Spec; config == (spec != nil) || spec != nil && all[0].Name != gitops.StringAt(spec, "metadata", "name") {
			t.Errorf("%s: %v with %v", all[0].Name, spec, all[0].Problems)
		}
	})
}

// FuzzKustomization renders any kustomization twice, once in the smallest parts: it never breaks down, tells where the trouble
// is and where fields are set, and comes to the same.
func FuzzKustomization(f *testing.F) {
	seeds(f, func(name string) bool { return strings.Contains(strings.ToLower(name), "kustomization") })
	files := fstest.MapFS{
		"web.yaml":                    {Data: []byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: web, image: 'x:1'}]}}}\n")},
		"base/kustomization.yaml":     {Data: []byte("resources: [x.yaml]\n")},
		"base/x.yaml":                 {Data: []byte("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: {a: c4n4ry}\n")},
		"clusters/dev/web/patch.yaml": {Data: []byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 2}\n")},
	}
	files["clusters/dev/web/web.yaml"] = files["web.yaml"]
	f.Fuzz(func(t *testing.T, body string) {
		files := mapsClone(files)
		files["clusters/dev/web/kustomization.yaml"] = &fstest.MapFile{Data: []byte(body)}
		c := gitops.Cluster{Name: "dev", Folder: "clusters/dev", Overlays: []string{"web"}}
		var digests [2]gitops.Digest
		for i := range digests {
			r := New(Options{})
			if i == 1 {
				r.portion = 1
			}
			d, err := r.Render(context.Background(), gitops.Snapshot{Files: files}, c, nil)
			if err != nil {
				t.Fatal(err)
			}
			sound(t, d.Problems)
			var specs []gitops.Tree
			for _, item := range d.Items {
				specs = append(specs, item.Spec)
				for field, at := range d.Fields(item.Ref) {
					if at.File == "" || at.Line < 1 {
						t.Errorf("%s: %s is set at %q", item.Ref, field, at)
					}
				}
			}
			for _, p := range d.Problems {
				if strings.Contains(p.Error(), "c4n4ry") {
					t.Errorf("a secret leaks: %v", p)
				}
			}
			digests[i] = gitops.DigestOf(specs)
		}
		if digests[0] != digests[1] {
			t.Error("two renders differ")
		}
	})
}

func mapsClone(m fstest.MapFS) fstest.MapFS {
	out := fstest.MapFS{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

// FuzzRemote: whatever would make kustomize reach out by its documented rules is refused.
func FuzzRemote(f *testing.F) {
	for _, s := range []string{"x", "../a/b", "a@b", "github.com", "x.github.com/y", "C:/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, prefix := range []string{"https://", "HTTP://", "ssh://", "file://", "git::https://", "github.com/", "GitHub.com:", "git@host:", "user@host/", "git::github.com/"} {
			if !remote(prefix + s) {
				t.Errorf("%q is not refused", prefix+s)
			}
		}
	})
}
