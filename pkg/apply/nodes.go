package apply

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Nodes is the cluster's machines as the infrastructure side sees them: by EC2 instance.
type Nodes struct{ cluster *Cluster }

// Nodes gives the port through which nodegroups are watched and drained.
func (c *Cluster) Nodes() Nodes { return Nodes{c} }

// cordonedByUs marks nodes whose cordon is ours to undo.
const cordonedByUs = "reconciler.eks-gitops.io/cordoned"

// on lists the nodes on the given instances.
func (n Nodes) on(ctx context.Context, instances []string) (*link, []unstructured.Unstructured, error) {
	l, all, err := n.all(ctx)
	return l, slices.DeleteFunc(all, func(u unstructured.Unstructured) bool { return !slices.Contains(instances, instanceOf(u)) }), err
}

// instanceOf is the instance that a node is on, which it names in spec.providerID: aws:///ZONE/INSTANCE.
func instanceOf(node unstructured.Unstructured) string {
	return path.Base(gitops.StringAt(node.Object, "spec", "providerID"))
}

// all lists the nodes of the cluster.
func (n Nodes) all(ctx context.Context) (*link, []unstructured.Unstructured, error) {
	l, _, err := n.cluster.connect(ctx)
	if err != nil {
		return nil, nil, gitops.AsError(gitops.Unreachable, err)
	}
	if err := l.catalog.refresh(ctx, catalogAge); err != nil {
		return nil, nil, failure(err, gitops.ObserveFailed, scrubber{})
	}
	all, err := l.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "nodes"}).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, nil, failure(fmt.Errorf("listing nodes: %w", err), gitops.ObserveFailed, scrubber{})
	}
	return l, all.Items, nil
}

func unschedulable(node unstructured.Unstructured) bool {
	cordoned, _ := gitops.At(node.Object, "spec", "unschedulable")
	return cordoned == true
}

// ReadyNodes counts the nodes on these instances that are Ready and schedulable.
func (n Nodes) ReadyNodes(ctx context.Context, instances []string) (int, error) {
	_, nodes, err := n.on(ctx, instances)
	if err != nil {
		return 0, err
	}
	ready := 0
	for _, node := range nodes {
		if c, ok := conditionOf(node.Object, "Ready"); ok && c.status == "True" && !unschedulable(node) {
			ready++
		}
	}
	return ready, nil
}

// DrainNodes takes one step of a drain: it cordons the nodes on these instances and evicts, through the eviction API, the pods
// that budgets allow, of so many nodes at once: while their pods stop, and start elsewhere, those of the other nodes stay. A node of which
// budgets keep every pod holds up no other. It tells how many pods are left to go (DaemonSet and mirror pods do not count) and, in words, what
// keeps them. It never waits and never overrides a budget. Like `kubectl drain` it leaves pods that nothing would make anew to somebody.
func (n Nodes) DrainNodes(ctx context.Context, instances []string, atOnce int) (left int, blocked string, err error) {
	l, nodes, err := n.on(ctx, instances)
	if err != nil {
		return 0, "", err
	}
	for _, node := range nodes {
		if !unschedulable(node) {
			if err := l.cordon(ctx, node.GetName(), true); err != nil {
				return 0, "", err
			}
		}
	}
	slices.SortFunc(nodes, func(a, b unstructured.Unstructured) int { return strings.Compare(a.GetName(), b.GetName()) })
	var pods []unstructured.Unstructured
	var refused []refusal
	var failed error
	for _, node := range nodes {
		on, err := l.drainable(ctx, node.GetName())
		if err != nil {
			return 0, "", err
		}
		pods = append(pods, on...)
		if atOnce <= 0 {
			continue
		}
		going, kept, err := l.evictAll(ctx, on)
		refused, failed = append(refused, kept...), errors.Join(failed, err)
		if going > 0 {
			atOnce--
		}
	}
	return len(pods), strings.Join(slices.Concat(unmanaged(pods), l.refusals(ctx, refused)), "; "), failed
}

// evictAll asks for the eviction of a node's pods. It tells how many are on their way, and which are kept.
func (l *link) evictAll(ctx context.Context, pods []unstructured.Unstructured) (going int, kept []refusal, err error) {
	var mu sync.Mutex
	each(len(pods), width, func(i int) {
		leaving := pods[i].GetDeletionTimestamp() != nil
		if !leaving && metav1.GetControllerOf(&pods[i]) == nil {
			return
		}
		var said string
		var failed error
		if !leaving {
			said, failed = l.evict(ctx, &pods[i])
		}
		mu.Lock()
		defer mu.Unlock()
		if said != "" {
			kept = append(kept, refusal{pod: &pods[i], said: said})
		} else {
			going++
		}
		err = errors.Join(err, failed)
	})
	return going, kept, err
}

// unmanaged says which pods no controller would make anew elsewhere: an eviction would be their end.
func unmanaged(pods []unstructured.Unstructured) []string {
	var names []string
	for i := range pods {
		if metav1.GetControllerOf(&pods[i]) == nil && pods[i].GetDeletionTimestamp() == nil {
			names = append(names, pods[i].GetNamespace()+"/"+pods[i].GetName())
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []string{plural(int64(len(names)), "pod") + " without a controller, which nothing would make anew, to be deleted by hand: " + few(names)}
}

// ReleaseNodes undoes the cordons that DrainNodes made, and only those.
func (n Nodes) ReleaseNodes(ctx context.Context, instances []string) error {
	l, nodes, err := n.on(ctx, instances)
	if err != nil {
		return err
	}
	for _, node := range nodes {
		if node.GetAnnotations()[cordonedByUs] == "true" {
			if err := l.cordon(ctx, node.GetName(), false); err != nil {
				return err
			}
		}
	}
	return nil
}

// cordon marks a node as (un)schedulable and remembers that it was us.
func (l *link) cordon(ctx context.Context, name string, on bool) error {
	change := gitops.Tree{"metadata": gitops.Tree{"annotations": gitops.Tree{cordonedByUs: "true"}}, "spec": gitops.Tree{"unschedulable": true}}
	if !on {
		change = gitops.Tree{"metadata": gitops.Tree{"annotations": gitops.Tree{cordonedByUs: nil}}, "spec": gitops.Tree{"unschedulable": nil}}
	}
	body, err := json.Marshal(change)
	if err != nil {
		return err
	}
	_, err = l.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "nodes"}).Patch(ctx, name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: l.manager})
	if err != nil && !apierrors.IsNotFound(err) {
		return failure(fmt.Errorf("cordoning node %s: %w", name, err), gitops.ApplyFailed, scrubber{})
	}
	return nil
}

// drainable lists the pods of a node that a drain is about.
func (l *link) drainable(ctx context.Context, node string) ([]unstructured.Unstructured, error) {
	pods, err := l.podsOn(ctx, node)
	return slices.DeleteFunc(pods, staying), err
}

// podsOn lists the pods of a node that are not done.
func (l *link) podsOn(ctx context.Context, node string) ([]unstructured.Unstructured, error) {
	list, err := l.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + node})
	if err != nil {
		return nil, failure(fmt.Errorf("listing the pods of node %s: %w", node, err), gitops.ObserveFailed, scrubber{})
	}
	return slices.DeleteFunc(list.Items, func(pod unstructured.Unstructured) bool {
		phase := gitops.StringAt(pod.Object, "status", "phase")
		return phase == "Succeeded" || phase == "Failed"
	}), nil
}

// staying says that no drain is about a pod: a DaemonSet would put it right back, or the kubelet runs it from a file.
func staying(pod unstructured.Unstructured) bool {
	if _, mirror := pod.GetAnnotations()["kubernetes.io/config.mirror"]; mirror {
		return true
	}
	owner := metav1.GetControllerOf(&pod)
	return owner != nil && owner.Kind == "DaemonSet"
}

// evict asks for one eviction; what the API server says when a budget keeps the pod. The request is never repeated by itself: a
// 429 here is about the budget and not about load.
func (l *link) evict(ctx context.Context, pod *unstructured.Unstructured) (string, error) {
	uid := pod.GetUID()
	body, err := json.Marshal(gitops.Tree{
		"apiVersion": "policy/v1", "kind": "Eviction",
		"metadata":      gitops.Tree{"name": pod.GetName(), "namespace": pod.GetNamespace()},
		"deleteOptions": metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}},
	})
	if err != nil {
		return "", err
	}
	err = l.catalog.client.RESTClient().Post().AbsPath("api", "v1", "namespaces", pod.GetNamespace(), "pods", pod.GetName(), "eviction").
		SetHeader("Content-Type", "application/json").Body(body).MaxRetries(0).Do(ctx).Error()
	var api apierrors.APIStatus
	switch {
	case err == nil, apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return "", nil // gone, or another pod of the same name: the next step sees
	case errors.As(err, &api) && (api.Status().Code == http.StatusTooManyRequests || api.Status().Code == http.StatusInternalServerError):
		return cmp.Or(api.Status().Message, "the API server refuses the eviction"), nil
	}
	return "", failure(fmt.Errorf("evicting %s/%s: %w", pod.GetNamespace(), pod.GetName(), err), gitops.ApplyFailed, scrubber{})
}
