package render_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/render"
	"github.com/eks-gitops/reconciler/pkg/source"
)

// perApp is how many objects a file of the benchmarks holds.
const perApp = 5

// fleet is a folder whose cluster dev has one overlay: applications of two ConfigMaps, a ServiceAccount, a Service and a
// Deployment each, a file for each, all in one kustomization that sets the namespace.
type fleet struct {
	b       *testing.B
	folder  string
	objects int
	from    source.Source
}

func newFleet(b *testing.B, objects int) *fleet {
	b.Helper()
	f := &fleet{b: b, folder: b.TempDir(), objects: objects}
	list := "namespace: apps\nresources:\n"
	for i := range objects / perApp {
		f.app(i, "1")
		list += fmt.Sprintf("- app-%d.yaml\n", i)
	}
	f.write("kustomization.yaml", list)
	var err error
	if f.from, err = source.Open(source.Options{Location: f.folder}); err != nil {
		b.Fatal(err)
	}
	return f
}

func (f *fleet) write(name, content string) {
	full := filepath.Join(f.folder, "clusters/dev/all", name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		f.b.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
		f.b.Fatal(err)
	}
}

// app writes the file of one application.
func (f *fleet) app(i int, version string) {
	f.write(fmt.Sprintf("app-%d.yaml", i), strings.NewReplacer("NAME", fmt.Sprintf("app-%d", i), "VERSION", version).Replace(`apiVersion: v1
kind: ConfigMap
metadata: {name: NAME-settings, labels: {app: NAME}}
data: {version: "VERSION", settings: "a = b\nc = d\n"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: NAME-pages, labels: {app: NAME}}
data: {index.html: "<html></html>"}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: NAME, labels: {app: NAME}}
---
apiVersion: v1
kind: Service
metadata: {name: NAME, labels: {app: NAME}}
spec:
  selector: {app: NAME}
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, labels: {app: NAME}}
spec:
  replicas: 0
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      serviceAccountName: NAME
      containers:
        - name: web
          image: example.com/web:1
          ports: [{name: http, containerPort: 8080}]
          envFrom: [{configMapRef: {name: NAME-settings}}]
          volumeMounts: [{name: pages, mountPath: /pages}]
      volumes: [{name: pages, configMap: {name: NAME-pages}}]
`))
}

func (f *fleet) snapshot() gitops.Snapshot {
	s, err := f.from.Fetch(f.b.Context())
	if err != nil {
		f.b.Fatal(err)
	}
	return s
}

// render tells how long a render of a snapshot takes.
func (f *fleet) render(r *render.Renderer, s gitops.Snapshot) time.Duration {
	began := time.Now()
	d, err := r.Render(f.b.Context(), s, gitops.Cluster{Name: "dev", Folder: "clusters/dev", Overlays: []string{"all"}}, nil)
	took := time.Since(began)
	if err != nil || len(d.Problems) > 0 || len(d.Items) != f.objects {
		f.b.Fatal(len(d.Items), err, d.Problems)
	}
	return took
}

// kustomize tells how long `kustomize build` takes.
func (f *fleet) kustomize() time.Duration {
	began := time.Now()
	out, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(f.folder, "clusters/dev/all"))
	took := time.Since(began)
	if err != nil || out.Size() != f.objects {
		f.b.Fatal(err)
	}
	return took
}

func report(b *testing.B, of map[string]float64) {
	for unit, n := range of {
		b.ReportMetric(n, unit)
	}
}

// BenchmarkRender renders from nothing. per-object-x is what an object costs, in terms of one among a fifth as many.
func BenchmarkRender(b *testing.B) {
	small, large := newFleet(b, 1000), newFleet(b, 5000)
	few, many := small.snapshot(), large.snapshot()
	var fast, slow time.Duration
	for b.Loop() {
		fast += small.render(render.New(render.Options{}), few)
		slow += large.render(render.New(render.Options{}), many)
	}
	n := float64(b.N)
	report(b, map[string]float64{"1000-s": fast.Seconds() / n, "5000-s": slow.Seconds() / n, "5000/1000": float64(slow) / float64(fast), "ns/op": 0})
}

// BenchmarkKustomize renders the same by `kustomize build` and here, by turns.
func BenchmarkKustomize(b *testing.B) {
	for _, objects := range []int{1000, 5000} {
		b.Run(fmt.Sprint(objects), func(b *testing.B) {
			f := newFleet(b, objects)
			s := f.snapshot()
			var ours, theirs time.Duration
			for b.Loop() {
				ours += f.render(render.New(render.Options{}), s)
				theirs += f.kustomize()
			}
			n := float64(b.N)
			report(b, map[string]float64{"ours-s": ours.Seconds() / n, "kustomize-s": theirs.Seconds() / n, "ratio": float64(ours) / float64(theirs), "ns/op": 0})
		})
	}
}

// BenchmarkRerender renders 5,000 objects from nothing, and again after one of a thousand files has changed.
func BenchmarkRerender(b *testing.B) {
	f := newFleet(b, 5000)
	var cold, again, same time.Duration
	for b.Loop() {
		r := render.New(render.Options{})
		f.app(7, "1")
		s := f.snapshot()
		cold += f.render(r, s)
		same += f.render(r, s)
		for version := range 5 {
			f.app(7, fmt.Sprint(version+2))
			again += f.render(r, f.snapshot()) / 5
		}
	}
	n := float64(b.N)
	report(b, map[string]float64{
		"cold-s": cold.Seconds() / n, "one-file-s": again.Seconds() / n, "ratio": float64(again) / float64(cold), "same-s": same.Seconds() / n, "ns/op": 0,
	})
}
