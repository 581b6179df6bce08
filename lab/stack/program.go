package stack

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/eks-gitops/reconciler/lab/process"
)

// Spec says which program to run in the place of which container, and what differs on this machine.
type Spec struct {
	// Path is the executable: labtest.Tool(t, NAME).
	Path string
	// Workload is whose container it is: "Deployment monitoring/exporter", or a DaemonSet, StatefulSet, Job or Pod.
	Workload string
	// Container is its name; empty means the first.
	Container string
	// Set replaces values of flags that the manifest has; Drop leaves such flags out; Add are further arguments.
	Set  map[string]string
	Drop []string
	Add  []string
	// Env are variables that differ or that only this machine needs.
	Env map[string]string
	// Root is where the container's mounts are put; empty means a folder of the test's own. A mount of the node's is
	// empty there, if Host does not give a file or folder of this machine for the mount's path.
	Root string
	Host map[string]string
	// Network lets the program reach nodes, pods and Services of the cluster through the lab's proxy.
	Network bool
}

// Running is a program under way.
type Running struct {
	// Root is where the container's mounts are: /etc/x of the container is Root/etc/x.
	Root string
	// Pod is the one in whose place it runs.
	Pod     *corev1.Pod
	process *process.Process
	log     string
	stopped bool // because the test wanted it
}

// Program runs a real program as the pod of a workload would: with its arguments, environment, files and service account, and
// KUBECONFIG in the place of the files that client-go reads inside a pod. It ends with the test, and fails it when it ended
// by itself, when its log holds "forbidden", or when the API server refused it something.
func (c *Cluster) Program(t testing.TB, s Spec) *Running {
	t.Helper()
	pod := c.Pod(t, s.Workload)
	if s.Root == "" {
		s.Root = filepath.Join(t.TempDir(), "root")
	}
	f := &files{cluster: c, pod: pod, container: containerOf(t, pod, s.Container), root: s.Root, host: s.Host}
	f.lay(t)
	env := f.environment(t)
	args := adapt(t, f.arguments(env), s)
	env["KUBECONFIG"] = c.Kubeconfig(t, f.account())
	if s.Network {
		env["HTTPS_PROXY"], env["HTTP_PROXY"] = "http://"+c.Site.Proxy(), "http://"+c.Site.Proxy()
	}
	env["PATH"], env["HOME"] = os.Getenv("PATH"), s.Root
	maps.Copy(env, s.Env)
	r := &Running{Root: s.Root, Pod: pod}
	dir := t.TempDir()
	name := filepath.Base(s.Path)
	r.log = filepath.Join(dir, name+".log")
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(env)) {
		pairs = append(pairs, key+"="+env[key])
	}
	var err error
	if r.process, err = process.Start(process.Spec{Name: name, Path: s.Path, Args: args, Env: pairs, Dir: dir, WorkDir: s.Root}); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s runs for %s: %s", name, f.describe(), strings.Join(args, " "))
	t.Cleanup(func() { c.end(t, r, f.account()) })
	return r
}

// end stops a program and judges what it leaves behind.
func (c *Cluster) end(t testing.TB, r *Running, account string) {
	t.Helper()
	select {
	case <-r.process.Done():
		if err := r.process.Err(); !r.stopped {
			t.Errorf("the program ended by itself: %v", err)
		}
	default:
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
	defer cancel()
	r.process.Stop(ctx)
	log := r.Log(t)
	for line := range strings.Lines(log) {
		if strings.Contains(strings.ToLower(line), "forbidden") {
			t.Errorf("%s was forbidden something: %s", r.process.Name(), strings.TrimSpace(line))
		}
	}
	for _, refused := range c.Refused(t, account) {
		t.Errorf("the API server refused %s: %s", account, refused)
	}
	if t.Failed() {
		t.Logf("the end of the log of %s:\n%s", r.process.Name(), process.Tail(r.log, 40))
	}
}

// Log is everything the program has said.
func (r *Running) Log(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(r.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Await waits until the program has said something; it ends the test when the program ends before.
func (r *Running) Await(t testing.TB, text string) {
	t.Helper()
	Await(t, fmt.Sprintf("%s to say %q", r.process.Name(), text), func(context.Context) (bool, error) {
		select {
		case <-r.process.Done():
			return false, fmt.Errorf("it ended: %w", r.process.Err())
		default:
		}
		return strings.Contains(r.Log(t), text), nil
	})
}

// Stop asks the program to end and waits for it; that it ended is then no fault.
func (r *Running) Stop(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
	defer cancel()
	r.process.Stop(ctx)
	r.stopped = true
}

// Pod is a scheduled pod of a workload, "KIND NAMESPACE/NAME"; it waits for one.
func (c *Cluster) Pod(t testing.TB, workload string) *corev1.Pod {
	t.Helper()
	kind, full, _ := strings.Cut(workload, " ")
	namespace, name := split(t, full)
	var found *corev1.Pod
	Await(t, "a pod of "+workload, func(ctx context.Context) (bool, error) {
		if kind == "Pod" {
			pod, err := c.Kube.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
			found = pod
			return err == nil && pod.Spec.NodeName != "", err
		}
		selector, err := c.selector(ctx, kind, namespace, name)
		if err != nil {
			return false, err
		}
		pods, err := c.Kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return false, err
		}
		for i := range pods.Items {
			if pods.Items[i].Spec.NodeName != "" && pods.Items[i].DeletionTimestamp == nil {
				found = &pods.Items[i]
				return true, nil
			}
		}
		return false, nil
	})
	return found
}

func (c *Cluster) selector(ctx context.Context, kind, namespace, name string) (string, error) {
	resources := map[string]schema.GroupVersionResource{
		"Deployment":  {Group: "apps", Version: "v1", Resource: "deployments"},
		"DaemonSet":   {Group: "apps", Version: "v1", Resource: "daemonsets"},
		"StatefulSet": {Group: "apps", Version: "v1", Resource: "statefulsets"},
		"Job":         {Group: "batch", Version: "v1", Resource: "jobs"},
	}
	gvr, ok := resources[kind]
	if !ok {
		return "", fmt.Errorf("a %s has no pods", kind)
	}
	object, err := c.Objects.Resource(gvr).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	labels, _, err := unstructured.NestedStringMap(object.Object, "spec", "selector", "matchLabels")
	return metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: labels}), err
}

func containerOf(t testing.TB, pod *corev1.Pod, name string) *corev1.Container {
	t.Helper()
	for i := range pod.Spec.Containers {
		if name == "" || pod.Spec.Containers[i].Name == name {
			return &pod.Spec.Containers[i]
		}
	}
	t.Fatalf("the pod %s has no container %s", pod.Name, name)
	return nil
}
