package render_test

import (
	"encoding/base64"
	"encoding/pem"
	"flag"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/render"
	"github.com/eks-gitops/reconciler/pkg/render/chart"
)

//go:generate ../../hack/chart-goldens.sh

// helm is how the goldens are made again; hack/chart-goldens.sh builds the program and calls this test.
var helm = flag.String("helm", "", "helm program to build the goldens with; for use with -update")

// TestRendersChartsAsHelmDoes compares with what `kustomize build --enable-helm` made with a real helm, byte for byte.
func TestRendersChartsAsHelmDoes(t *testing.T) {
	cases, err := filepath.Glob("testdata/charts/*.txtar")
	if err != nil || len(cases) < 5 {
		t.Fatalf("found %d layouts, %v", len(cases), err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			body, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files := unpacked(t, archive(string(body)))
			d := desired(t, render.New(render.Options{}), files, nil)
			if len(d.Problems) > 0 {
				t.Fatal(d.Problems)
			}
			if *helm != "" && *update {
				golden(t, path, "want", builtWithHelm(t, files, d))
			}
			// The golden is kustomize's word: -update alone must not put ours there.
			if diff := cmp.Diff(section(t, path, "want"), documentsOf(t, d)); diff != "" {
				t.Errorf("not what kustomize and helm make:\n%s", diff)
			}
			golden(t, path, "want-origins", origins(d))
		})
	}
}

// unpacked decodes the files that are no text.
func unpacked(t *testing.T, files fstest.MapFS) fstest.MapFS {
	t.Helper()
	for name, f := range files {
		plain, ok := strings.CutSuffix(name, " (base64)")
		if !ok {
			continue
		}
		body, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(f.Data), "\n", ""))
		if err != nil {
			t.Fatal(err)
		}
		files[plain] = &fstest.MapFile{Data: body}
		delete(files, name)
	}
	return files
}

// builtWithHelm is `kustomize build --enable-helm` of every overlay.
func builtWithHelm(t *testing.T, files fs.FS, d gitops.Desired) string {
	t.Helper()
	disk := t.TempDir()
	if err := os.CopyFS(disk, files); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, o := range d.Overlays {
		options := krusty.MakeDefaultOptions()
		options.Reorder = krusty.ReorderOptionUnspecified
		options.PluginConfig = types.MakePluginConfig(types.PluginRestrictionsBuiltinsOnly, types.BploUseStaticallyLinked)
		options.PluginConfig.HelmConfig.Enabled, options.PluginConfig.HelmConfig.Command = true, *helm
		// The version of the cluster; a chart's own wins over it.
		options.PluginConfig.HelmConfig.KubeVersion = "v1.34.0"
		out, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), filepath.Join(disk, "clusters/dev", o.Name))
		if err != nil {
			t.Fatalf("kustomize build %s: %v", o.Name, err)
		}
		text, err := out.AsYaml()
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString("# " + o.Name + "\n" + string(text))
	}
	return b.String()
}

// documentsOf is what was rendered, as kustomize prints it.
func documentsOf(t *testing.T, d gitops.Desired) string {
	t.Helper()
	var b strings.Builder
	for _, o := range d.Overlays {
		b.WriteString("# " + o.Name + "\n")
		first := true
		for _, item := range d.Items {
			if item.From.Overlay != o.Name {
				continue
			}
			if !first {
				b.WriteString("---\n")
			}
			first = false
			text, err := yaml.Marshal(item.Spec)
			if err != nil {
				t.Fatal(err)
			}
			b.Write(text)
		}
	}
	return b.String()
}

func section(t *testing.T, path, name string) string {
	t.Helper()
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range a.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	t.Fatalf("%s has no section %s", path, name)
	return ""
}

const oneChart = `
-- clusters/dev/cluster.yaml --
apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: dev, region: eu-west-1, version: "1.34"}
-- clusters/dev/web/kustomization.yaml --
helmCharts:
  - {name: web, releaseName: a, repo: REPO, version: 1.0.0}
-- clusters/dev/good/kustomization.yaml --
helmCharts:
  - {name: web, releaseName: b}
-- clusters/dev/good/charts/web/Chart.yaml --
apiVersion: v2
name: web
version: 1.0.0
-- clusters/dev/good/charts/web/templates/cm.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {kubernetes: {{ .Capabilities.KubeVersion.Version }}}
`

// TestAnAbsentRepositoryIsTroubleOfOneOverlay: its objects are unknown, not gone, and the next render asks again.
func TestAnAbsentRepositoryIsTroubleOfOneOverlay(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	r := render.New(render.Options{Charts: chart.Options{CAFile: ca}})
	files := archive(strings.ReplaceAll(oneChart, "REPO", server.URL))
	for want := range int64(2) {
		d := desired(t, r, files, nil)
		if len(d.Problems) != 1 || d.Problems[0].Reason != gitops.ChartUnavailable || d.Problems[0].From.Position.String() != "clusters/dev/web/kustomization.yaml:2" {
			t.Fatal(d.Problems)
		}
		if len(d.Items) != 1 || d.Items[0].From.Overlay != "good" {
			t.Errorf("rendered %v; want the good overlay alone", d.Items)
		}
		for _, o := range d.Overlays {
			if o.Complete != (o.Name == "good") {
				t.Errorf("overlay %+v", o)
			}
		}
		if asked.Load() != want+1 {
			t.Errorf("asked %d times after render %d", asked.Load(), want+1)
		}
	}
}

// TestChartsFollowTheVersionOfTheCluster, which is in a file that the overlay does not read.
func TestChartsFollowTheVersionOfTheCluster(t *testing.T) {
	t.Parallel()
	r := render.New(render.Options{})
	for _, version := range []string{"1.34", "1.35"} {
		text, _, _ := strings.Cut(strings.ReplaceAll(oneChart, `"1.34"`, `"`+version+`"`), "-- clusters/dev/web")
		_, good, _ := strings.Cut(oneChart, "-- clusters/dev/good")
		d := desired(t, r, archive(text+"-- clusters/dev/good"+good), nil)
		if len(d.Problems) > 0 || len(d.Items) != 1 {
			t.Fatal(d.Problems, d.Items)
		}
		if got := gitops.StringAt(d.Items[0].Spec, "data", "kubernetes"); got != "v"+version+".0" {
			t.Errorf("rendered for %s, want %s", got, version)
		}
	}
}
