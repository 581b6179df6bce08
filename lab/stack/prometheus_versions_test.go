package stack_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/lab/stack"
)

// TestMonitoringVersions checks that the programs that the tests run are those that the manifests name.
func TestMonitoringVersions(t *testing.T) {
	t.Parallel()
	root := stack.Root(t)
	for _, c := range []struct{ file, pattern, tool, module string }{
		{"operator/kustomization.yaml", `newTag: v(\S+)`, "prometheus-operator", "github.com/prometheus-operator/prometheus-operator"},
		{"operator/deployment.yaml", `prometheus-config-reloader:v(\S+)`, "prometheus-operator", "github.com/prometheus-operator/prometheus-operator"},
		{"operator/kustomization.yaml", `newTag: v(\S+)`, "controller-gen", "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring"},
		{"alertmanager/alertmanager.yaml", `version: (\S+)`, "alertmanager", "github.com/prometheus/alertmanager"},
		{"kube-state-metrics/kustomization.yaml", `newTag: v(\S+)`, "kube-state-metrics", "k8s.io/kube-state-metrics/v2"},
		{"node-exporter/kustomization.yaml", `newTag: v(\S+)`, "node-exporter", "github.com/prometheus/node_exporter"},
		{"prometheus-adapter/manifests/kustomization.yaml", `newTag: v(\S+)`, "prometheus-adapter", "sigs.k8s.io/prometheus-adapter"},
	} {
		deployed := match(t, monitoringFolder(t, c.file), c.pattern)
		run := required(t, root, c.tool, c.module)
		if deployed != run {
			t.Errorf("%s deploys %s, and lab/tools/%s has %s", c.file, deployed, c.tool, run)
		}
	}
	// Release 3.14.0 of Prometheus is v0.314.0 as a module.
	deployed := strings.Split(match(t, monitoringFolder(t, "prometheus/prometheus.yaml"), `version: (\S+)`), ".")
	if want := "0." + deployed[0] + deployed[1] + "." + deployed[2]; required(t, root, "prometheus", "github.com/prometheus/prometheus") != want {
		t.Errorf("prometheus.yaml deploys %v, which as a module is %s; lab/tools/prometheus has another", deployed, want)
	}
}

func match(t *testing.T, file, pattern string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(pattern).FindSubmatch(text)
	if found == nil {
		t.Fatalf("%s has no %s", file, pattern)
	}
	return string(found[1])
}

// required is the version of a module, without v, that a tool's go.mod names.
func required(t *testing.T, root, tool, module string) string {
	t.Helper()
	return match(t, filepath.Join(root, "lab", "tools", tool, "go.mod"), `(?m)^(?:require |\t)`+regexp.QuoteMeta(module)+` v(\S+)`)
}

// TestDefinitionsAreGenerated generates the definitions into another folder: what is committed has to be the same.
func TestDefinitionsAreGenerated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	command := exec.CommandContext(t.Context(), "make", "-C", stack.Root(t), "crds", "CRDS="+dir)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("make crds: %v\n%s", err, out)
	}
	generated, committed := definitions(t, dir), definitions(t, monitoringFolder(t, "crds"))
	if len(generated) != 10 {
		t.Errorf("%d definitions were generated, want 10", len(generated))
	}
	if diff := cmp.Diff(generated, committed); diff != "" {
		t.Errorf("run make generate and commit; generated (-) and committed (+) differ:\n%s", diff)
	}
}

func definitions(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "monitoring.coreos.com_*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(file)] = string(text)
	}
	return out
}
