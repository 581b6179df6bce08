package stack_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eks-gitops/reconciler/lab/labtest"
	"github.com/eks-gitops/reconciler/lab/stack"
	"github.com/eks-gitops/reconciler/lab/story"
)

const (
	scaleConfig = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: dev, region: eu-west-1, version: "1.34"}
addonsConfig: {disableDefaultAddons: true}
`
	scaleOverlay = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../../../../apps/scale-test]
components: [../../../../apps/scale-test/replicas/800]
`
)

// TestScale is the lesson of apps/scale-test: one commit with the ClusterConfig of its README and the component of eight hundred
// replicas makes a cluster whose nodes have room for them all, because the nodegroup raises what a node may hold.
func TestScale(t *testing.T) {
	t.Parallel()
	s := scaleStory(t)
	for _, part := range []string{"addons", "apps"} {
		if err := s.Fleet.Remove("clusters/dev/" + part); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(s.Fleet.Work, "clusters/dev/apps/scale-test"), 0o750); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"clusters/dev/cluster.yaml":                       scaleConfig + example(t, "apps/scale-test/README.md"),
		"clusters/dev/apps/scale-test/kustomization.yaml": scaleOverlay,
	} {
		if err := s.Fleet.Write(name, text); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Fleet.Push(t.Context(), "Run eight hundred"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*story.Patience)
	defer cancel()
	out, err := s.R.CLI(ctx, "apply", "clusters/dev", "--progress", "plain")
	if err != nil {
		t.Fatal(err)
	}
	if out.Code != 0 {
		t.Fatalf("apply exits %d:\n%s%s", out.Code, out.Stdout, out.Stderr)
	}
	dev, err := s.Lab.Cluster("dev")
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := dev.Nodes(ctx, "scale")
	if err != nil {
		t.Fatal(err)
	}
	if len(nodes) != 8 {
		t.Errorf("the nodegroup has %d ready nodes, want 8", len(nodes))
	}
	for i := range nodes {
		if got := nodes[i].Status.Allocatable.Pods().Value(); got != 110 {
			t.Errorf("%s has room for %d pods, want 110", nodes[i].Name, got)
		}
	}
	pods, err := dev.Kube.CoreV1().Pods("scale-test").List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	up := 0
	for i := range pods.Items {
		if pods.Items[i].Status.Phase == corev1.PodRunning && isReady(&pods.Items[i]) {
			up++
		}
	}
	if up != 800 {
		t.Errorf("%d pods are running, want 800", up)
	}
}

// scaleStory is a lab and a fleet in a folder of a short name: the paths of sockets below it are limited.
func scaleStory(t *testing.T) *story.Story {
	t.Helper()
	dir, err := os.MkdirTemp("", "scale") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	programs := story.Programs{Bin: filepath.Dir(labtest.Tool(t, "reconciler")), Env: append(os.Environ(), "XDG_CONFIG_HOME="+dir), Dir: dir}
	s, err := story.New(t.Context(), programs, dir, stack.Root(t), 300)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.End(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s
}

// example is the first YAML example of a page.
func example(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(stack.Root(t), page))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```yaml\n")
	body, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatalf("%s has no example", page)
	}
	return body
}
