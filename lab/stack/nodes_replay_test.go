package stack_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/eks-gitops/reconciler/lab/stack"
)

// flags are the flags of a program that cannot be built here with the kinds of their values; the file says where they were read.
func flags(t *testing.T, program string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "flags", program+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, kind, ok := strings.Cut(strings.TrimSpace(line), " "); ok && !strings.HasPrefix(line, "#") {
			out[name] = kind
		}
	}
	return out
}

// checkFlags checks each argument against the program's list, its value too, and gives what is no flag.
func checkFlags(t *testing.T, program string, args []string) (words []string) {
	t.Helper()
	known := flags(t, program)
	for _, arg := range args {
		if !strings.HasPrefix(arg, "--") {
			words = append(words, arg)
			continue
		}
		name, value, given := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		kind, ok := known[name]
		if !ok {
			t.Errorf("%s has no flag --%s", program, name)
			continue
		}
		var err error
		switch kind {
		case "bool":
			if given {
				_, err = strconv.ParseBool(value)
			}
		case "int":
			_, err = strconv.Atoi(value)
		case "float64":
			_, err = strconv.ParseFloat(value, 64)
		case "duration":
			_, err = time.ParseDuration(value)
		default:
			if value == "" {
				err = fmt.Errorf("it needs a value")
			}
		}
		if err != nil {
			t.Errorf("%s --%s: %v", program, name, err)
		}
	}
	return words
}

// argsOf are a Deployment's arguments as they are in the cluster.
func argsOf(t *testing.T, kube kubernetes.Interface, namespace, name string) []string {
	t.Helper()
	d, err := kube.AppsV1().Deployments(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d.Spec.Template.Spec.Containers[0].Args
}

// actor is a client with the rights of a service account that stands for a program that cannot be built here.
type actor struct {
	kubernetes.Interface
	objects dynamic.Interface
}

func newActor(t *testing.T, c *stack.Cluster, account string) actor {
	t.Helper()
	config := c.Config(t, account)
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return actor{kube, objects}
}

// informs lists and watches kinds, as a cache that has to fill does.
func (a actor) informs(t *testing.T, namespace string, resources ...schema.GroupVersionResource) {
	t.Helper()
	for _, r := range resources {
		list, err := a.objects.Resource(r).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Errorf("listing %s: %v", r.Resource, err)
			continue
		}
		w, err := a.objects.Resource(r).Namespace(namespace).Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
		if err != nil {
			t.Errorf("watching %s: %v", r.Resource, err)
			continue
		}
		w.Stop()
	}
}

// records makes an Event, and counts it up.
func (a actor) records(t *testing.T, namespace string, about corev1.ObjectReference, reason string) {
	t.Helper()
	event, err := a.CoreV1().Events(namespace).Create(t.Context(), &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "replay-", Namespace: namespace}, InvolvedObject: about, Reason: reason, Type: corev1.EventTypeNormal, Count: 1,
	}, metav1.CreateOptions{})
	if err != nil {
		t.Errorf("recording %s: %v", reason, err)
		return
	}
	if _, err := a.CoreV1().Events(namespace).Patch(t.Context(), event.Name, types.MergePatchType, []byte(`{"count":2}`), metav1.PatchOptions{}); err != nil {
		t.Errorf("recording %s again: %v", reason, err)
	}
}

// victim makes a pod of a ReplicaSet that may be evicted, and waits until it runs.
func victim(t *testing.T, c *stack.Cluster, name string) corev1.Pod {
	t.Helper()
	labels := map[string]string{"app": name}
	_, err := c.Kube.CoreV1().Pods("default").Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var pod *corev1.Pod
	stack.Await(t, "the pod "+name+" to run", func(ctx context.Context) (bool, error) {
		pod, err = c.Kube.CoreV1().Pods("default").Get(ctx, name, metav1.GetOptions{})
		return err == nil && pod.Status.Phase == corev1.PodRunning, err
	})
	return *pod
}

func (a actor) evicts(t *testing.T, pod corev1.Pod) {
	t.Helper()
	err := a.PolicyV1().Evictions(pod.Namespace).Evict(t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace}})
	if err != nil {
		t.Errorf("evicting %s: %v", pod.Name, err)
	}
}

func resources(group, version string, names ...string) []schema.GroupVersionResource {
	out := make([]schema.GroupVersionResource, 0, len(names))
	for _, name := range names {
		out = append(out, schema.GroupVersionResource{Group: group, Version: version, Resource: name})
	}
	return out
}

// TestClusterAutoscalerReplay makes the calls of cluster-autoscaler as our service account, for it cannot be built from modules: the
// caches of main.go and of the scheduler's plugins, the lock, the status, and a scale-down (utils/taints, core/scaledown/actuation). Its
// arguments are checked one by one, and its image is the release of the cluster's minor.
func TestClusterAutoscalerReplay(t *testing.T) {
	t.Parallel()
	c := stack.Start(t, stack.Options{Version: "1.34", Nodes: 2})
	c.Base(t, "addons/cluster-autoscaler", "cluster-facts", "priority-expander")
	args := argsOf(t, c.Kube, "kube-system", "cluster-autoscaler")
	if words := checkFlags(t, "cluster-autoscaler", args); len(words) > 0 {
		t.Errorf("cluster-autoscaler takes no words, but is given %q", words)
	}
	d, err := c.Kube.AppsV1().Deployments("kube-system").Get(t.Context(), "cluster-autoscaler", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if image := d.Spec.Template.Spec.Containers[0].Image; !strings.Contains(image, ":v1.34.") {
		t.Errorf("on a cluster of 1.34 the image is %s", image)
	}

	const account, ns = "kube-system/cluster-autoscaler", "kube-system"
	a := newActor(t, c, account)
	a.informs(t, "", resources("", "v1", "namespaces", "nodes", "persistentvolumeclaims", "persistentvolumes", "pods", "replicationcontrollers", "services")...)
	a.informs(t, "", resources("apps", "v1", "daemonsets", "replicasets", "statefulsets")...)
	a.informs(t, "", resources("batch", "v1", "jobs")...)
	a.informs(t, "", resources("policy", "v1", "poddisruptionbudgets")...)
	a.informs(t, "", resources("storage.k8s.io", "v1", "csidrivers", "csinodes", "csistoragecapacities", "storageclasses", "volumeattachments")...)
	a.informs(t, "", resources("resource.k8s.io", "v1", "deviceclasses", "resourceclaims", "resourceslices")...)
	a.informs(t, ns, resources("", "v1", "configmaps")...)

	leases := a.CoordinationV1().Leases(ns)
	holder := "replay"
	if _, err := leases.Create(t.Context(), &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: "cluster-autoscaler"}, Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder},
	}, metav1.CreateOptions{}); err != nil {
		t.Error(err)
	}
	lease, err := leases.Get(t.Context(), "cluster-autoscaler", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leases.Update(t.Context(), lease, metav1.UpdateOptions{}); err != nil {
		t.Error(err)
	}
	if err := a.reports(t.Context(), "Running"); err != nil {
		t.Error(err)
	}
	if err := a.CoreV1().ConfigMaps(ns).Delete(t.Context(), statusName, metav1.DeleteOptions{}); err != nil {
		t.Error(err)
	}
	if err := a.reports(t.Context(), "Initializing"); err != nil {
		t.Error(err)
	}

	pod := victim(t, c, "unneeded")
	node, err := a.CoreV1().Nodes().Get(t.Context(), pod.Spec.NodeName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: "ToBeDeletedByClusterAutoscaler", Value: "1", Effect: corev1.TaintEffectNoSchedule})
	if _, err := a.CoreV1().Nodes().Update(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Error(err)
	}
	a.evicts(t, pod)
	if _, err := a.CoreV1().Pods("default").Get(t.Context(), pod.Name, metav1.GetOptions{}); err != nil && !apierrors.IsNotFound(err) {
		t.Error(err)
	}
	a.records(t, "default", corev1.ObjectReference{Kind: "Pod", Namespace: "default", Name: pod.Name}, "ScaleDown")
	if refused := c.Refused(t, account); len(refused) > 0 {
		t.Errorf("refused: %v", refused)
	}
	c.LeastPrivilege(t, account, nil)
}

const statusName = "cluster-autoscaler-status"

// reports writes the status as cluster-autoscaler does: get, then update or create (clusterstate/utils/status.go).
func (a actor) reports(ctx context.Context, status string) error {
	maps := a.CoreV1().ConfigMaps("kube-system")
	text := map[string]string{"status": "time: " + time.Now().String() + "\nautoscalerStatus: " + status + "\n"}
	live, err := maps.Get(ctx, statusName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: statusName}, Data: text}, metav1.CreateOptions{})
	case err == nil:
		live.Data = text
		_, err = maps.Update(ctx, live, metav1.UpdateOptions{})
	}
	return err
}

// TestDrainoReplay makes the calls of draino as our service account: those of the dry run with the base, and the others with the
// component that lets it act. Without that it could not even if it tried.
func TestDrainoReplay(t *testing.T) {
	t.Parallel()
	c := stack.Start(t, stack.Options{Nodes: 2})
	const account = "draino/draino"
	c.Base(t, "addons/draino")
	args := argsOf(t, c.Kube, "draino", "draino")
	if args[0] != "--dry-run" {
		t.Errorf("the base is no dry run: %q", args)
	}
	for _, word := range checkFlags(t, "draino", args) {
		if _, err := parseCondition(word); err != nil {
			t.Error(err)
		}
	}
	a := newActor(t, c, account)
	a.informs(t, "", resources("", "v1", "nodes")...)
	locks := a.CoreV1().Endpoints("draino")
	if _, err := locks.Create(t.Context(), &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Name: "draino"}}, metav1.CreateOptions{}); err != nil { //nolint:staticcheck // its lock is one
		t.Fatal(err)
	}
	lock, err := locks.Get(t.Context(), "draino", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := locks.Update(t.Context(), lock, metav1.UpdateOptions{}); err != nil {
		t.Error(err)
	}
	pod := victim(t, c, "stranded")
	node := pod.Spec.NodeName
	a.records(t, "default", corev1.ObjectReference{Kind: "Node", Name: node, UID: types.UID(node)}, "CordonStarting")
	if refused := c.Refused(t, account); len(refused) > 0 {
		t.Errorf("the dry run is refused: %v", refused)
	}
	c.LeastPrivilege(t, account, nil)
	cordon := []byte(`{"spec":{"unschedulable":true}}`)
	if _, err := a.CoreV1().Nodes().Patch(t.Context(), node, types.MergePatchType, cordon, metav1.PatchOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("the dry run may cordon: %v", err)
	}

	c.Base(t, "addons/draino", "drain")
	if args := argsOf(t, c.Kube, "draino", "draino"); args[0] == "--dry-run" {
		t.Error("the component leaves the dry run on")
	}
	stack.Await(t, "the rights of the component to be known", func(ctx context.Context) (bool, error) {
		_, err := a.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
		return err == nil, nil
	})
	d := drainer{actor: a, speed: 1}
	if err := d.cordon(t.Context(), node, "KernelDeadlock=True,0s"); err != nil {
		t.Error(err)
	}
	if err := d.mark(t.Context(), node, corev1.ConditionTrue); err != nil {
		t.Error(err)
	}
	if _, err := d.movable(t.Context(), node); err != nil {
		t.Error(err)
	}
	for _, call := range []func() error{
		func() error {
			_, err := a.AppsV1().DaemonSets("kube-system").Get(t.Context(), "any", metav1.GetOptions{})
			return err
		},
		func() error {
			_, err := a.AppsV1().StatefulSets("kube-system").Get(t.Context(), "any", metav1.GetOptions{})
			return err
		},
		func() error {
			_, err := a.CoreV1().Pods("default").Get(t.Context(), pod.Name, metav1.GetOptions{})
			return err
		},
	} {
		if err := call(); err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	}
	a.evicts(t, pod)
	c.LeastPrivilege(t, account, nil)
}
