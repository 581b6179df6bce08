package stack_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/lab/stack"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// TestApps proves what the READMEs of apps/ teach, beyond their being applied (TestBases).
func TestApps(t *testing.T) {
	t.Parallel()
	c := stack.Start(t, stack.Options{})
	t.Run("inspector", func(t *testing.T) { inspector(t, c) })
	t.Run("influxdb", func(t *testing.T) { influxdb(t, c) })
	demo := c.Base(t, "apps/cncf-demo", "small")
	t.Run("demo order", func(t *testing.T) { demoOrder(t, demo.Items) })
	t.Run("demo benchmark", func(t *testing.T) { demoBenchmark(t, c, demo.Items) })
	t.Run("demo addresses", func(t *testing.T) { demoAddresses(t, demo.Items) })
	t.Run("demo prometheus", func(t *testing.T) { demoPrometheus(t, demo.Items) })
	t.Run("demo database", func(t *testing.T) { demoDatabase(t, demo.Items) })
	t.Run("demo background", func(t *testing.T) { demoBackground(t, c, demo.Items) })
}

// TestImagesAreTold: the pages name every image of every application with its tag.
func TestImagesAreTold(t *testing.T) {
	t.Parallel()
	apps := filepath.Join(stack.Root(t), "apps")
	overview, err := os.ReadFile(filepath.Join(apps, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(apps, "*", "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 5 {
		t.Fatalf("only %v are applications", found)
	}
	for _, file := range found {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var k struct {
			Images []struct{ Name, NewName, NewTag string }
		}
		if err := yaml.Unmarshal(text, &k); err != nil {
			t.Fatal(err)
		}
		page, err := os.ReadFile(filepath.Join(filepath.Dir(file), "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		for _, image := range k.Images {
			for name, told := range map[string][]byte{"README.md": overview, filepath.Base(filepath.Dir(file)) + "/README.md": page} {
				if !bytes.Contains(told, []byte(image.NewTag)) {
					t.Errorf("apps/%s does not tell of %s:%s", name, image.NewName, image.NewTag)
				}
			}
		}
	}
}

// inspector: a Service takes pods by label, whoever keeps them; a controller keeps those of its own, narrower selector; a pod
// whose label is changed leaves its controller, which makes another, and stays behind the Service.
func inspector(t *testing.T, c *stack.Cluster) {
	c.Base(t, "apps/inspector", "replication-controller")
	awaitPods(t, c, "inspector", "track=stable", 3)
	awaitPods(t, c, "inspector", "track=legacy", 2)
	awaitEndpoints(t, c, "inspector", "inspector", 5)
	legacy, err := c.Kube.CoreV1().Pods("inspector").List(t.Context(), metav1.ListOptions{LabelSelector: "track=legacy"})
	if err != nil {
		t.Fatal(err)
	}
	released := legacy.Items[0].Name
	patch := []byte(`{"metadata":{"labels":{"track":"released"}}}`)
	if _, err := c.Kube.CoreV1().Pods("inspector").Patch(t.Context(), released, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitPods(t, c, "inspector", "track=legacy", 2)
	awaitEndpoints(t, c, "inspector", "inspector", 6)
	pod, err := c.Kube.CoreV1().Pods("inspector").Get(t.Context(), released, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if owner := metav1.GetControllerOf(pod); owner != nil {
		t.Errorf("the relabelled pod still belongs to %s %s", owner.Kind, owner.Name)
	}
}

// influxdb: the pod may go, the volume stays and is the next pod's.
func influxdb(t *testing.T, c *stack.Cluster) {
	c.Base(t, "apps/influxdb", "setup")
	claim := func() *corev1.PersistentVolumeClaim {
		got, err := c.Kube.CoreV1().PersistentVolumeClaims("influxdb").Get(t.Context(), "data-influxdb-0", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	before := claim()
	if before.Status.Phase != corev1.ClaimBound {
		t.Errorf("the claim is %s", before.Status.Phase)
	}
	pod, err := c.Kube.CoreV1().Pods("influxdb").Get(t.Context(), "influxdb-0", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Kube.CoreV1().Pods("influxdb").Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	stack.Await(t, "the next influxdb-0 to be Ready", func(ctx context.Context) (bool, error) {
		pods, err := c.Kube.CoreV1().Pods("influxdb").List(ctx, metav1.ListOptions{})
		return err == nil && len(pods.Items) == 1 && pods.Items[0].UID != pod.UID && isReady(&pods.Items[0]), err
	})
	if after := claim(); after.UID != before.UID || after.Spec.VolumeName != before.Spec.VolumeName {
		t.Errorf("the next pod has the volume %s, want %s", after.Spec.VolumeName, before.Spec.VolumeName)
	}
}

// demoOrder asks the planner in which order the demo is applied: one thing after the other where it must be, by edges inferred or
// written as depends-on, and no circle.
func demoOrder(t *testing.T, items []gitops.Item) {
	observed := gitops.Observed{}
	for _, item := range items {
		observed[item.Ref] = gitops.Observation{Next: item.Spec, Spec: item.Spec, From: item.From}
	}
	p := plan.Build(plan.Input{Desired: gitops.Desired{Items: items}, Observed: observed})
	for _, problem := range p.Problems {
		t.Error(problem)
	}
	direct := map[string][]string{}
	for _, change := range p.Changes {
		for _, need := range change.Needs {
			direct[short(change.Ref)] = append(direct[short(change.Ref)], short(need))
		}
	}
	for _, chain := range [][]string{
		{"Job/benchmark", "Deployment/countly-api", "Job/mongodb-shards", "Deployment/mongos", "Job/mongodb-config-init", "StatefulSet/mongodb-config", "Service/mongodb-config", "Namespace/cncf-demo"},
		{"Job/mongodb-shards", "Job/mongodb-shard-a-init", "StatefulSet/mongodb-shard-a", "Service/mongodb-shard-a"},
		{"Job/mongodb-shards", "Job/mongodb-shard-b-init", "StatefulSet/mongodb-shard-b", "Service/mongodb-shard-b"},
		{"Deployment/countly-frontend", "Job/mongodb-shards"},
		{"Job/benchmark", "Deployment/countly-gateway", "Service/countly-api"},
		{"Job/benchmark", "Deployment/pushgateway"},
		{"CronJob/background", "PriorityClass/cncf-demo-background"},
	} {
		for i := 1; i < len(chain); i++ {
			if !reaches(direct, chain[i-1], chain[i]) {
				t.Errorf("%s does not wait for %s; it needs %v", chain[i-1], chain[i], direct[chain[i-1]])
			}
		}
	}
}

func short(r gitops.Ref) string { return r.Kind + "/" + r.Name }

func reaches(direct map[string][]string, from, to string) bool {
	return slices.ContainsFunc(direct[from], func(need string) bool { return need == to || reaches(direct, need, to) })
}

func awaitPods(t *testing.T, c *stack.Cluster, namespace, selector string, want int) {
	t.Helper()
	stack.Await(t, fmt.Sprintf("%d ready pods %s", want, selector), func(ctx context.Context) (bool, error) {
		pods, err := c.Kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return false, err
		}
		return len(pods.Items) == want && !slices.ContainsFunc(pods.Items, func(p corev1.Pod) bool { return !isReady(&p) }), nil
	})
}

func awaitEndpoints(t *testing.T, c *stack.Cluster, namespace, service string, want int) {
	t.Helper()
	stack.Await(t, fmt.Sprintf("Service %s to have %d endpoints", service, want), func(ctx context.Context) (bool, error) {
		slices, err := c.Kube.DiscoveryV1().EndpointSlices(namespace).List(ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=" + service})
		if err != nil {
			return false, err
		}
		ready := 0
		for _, slice := range slices.Items {
			for _, endpoint := range slice.Endpoints {
				if endpoint.Conditions.Ready != nil && *endpoint.Conditions.Ready {
					ready++
				}
			}
		}
		return ready == want, nil
	})
}

func isReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// configMapFile is a file of the generated ConfigMap whose name begins as told.
func configMapFile(t *testing.T, items []gitops.Item, name, file string) string {
	t.Helper()
	for _, item := range items {
		if item.Ref.Kind == "ConfigMap" && strings.HasPrefix(item.Ref.Name, name+"-") {
			if text := gitops.StringAt(item.Spec, "data", file); text != "" {
				return text
			}
		}
	}
	t.Fatalf("no ConfigMap %s has a file %s", name, file)
	return ""
}

// specOf is the content of one object.
func specOf(t *testing.T, items []gitops.Item, kind, name string) gitops.Tree {
	t.Helper()
	for _, item := range items {
		if item.Ref.Kind == kind && item.Ref.Name == name {
			return item.Spec
		}
	}
	t.Fatalf("no %s %s", kind, name)
	return nil
}

// program runs a program to its end with nothing but the environment given.
func program(t *testing.T, env map[string]string, path string, args ...string) (code int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stack.Patience)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = &out, &out, t.TempDir()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}
