package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// remindedAt is the annotation of a pod or node of which kwok was reminded, and when.
const remindedAt = "lab.eks-gitops.dev/reminded-at"

// forgetful is how long kwok may take for a pod or node, several times what it takes on a busy machine.
const forgetful = 10 * time.Second

// settleForgotten reminds kwok of pods and nodes that it has forgotten. A kubelet looks at its pods again and again; kwok looks at one when it
// is told of a change, and does not try again when the API server answers a status or a deletion with anything but a refused
// connection or what names itself a timeout (kwok v0.8, pkg/kwok/controllers, shouldRetry): one internal error on a busy machine would
// leave the pod as it is for ever.
func (c *Cluster) settleForgotten(ctx context.Context) error {
	pods, err := c.pods.List(labels.Everything())
	if err != nil {
		return err
	}
	nodes, err := c.nodes.List(labels.Everything())
	if err != nil {
		return err
	}
	now := c.options.Now()
	var failed []error
	for _, pod := range pods {
		if since, waits := podWaits(pod); waits && forgotten(pod, since, now) {
			failed = append(failed, c.remind(ctx, "pods", pod, now))
		}
	}
	for _, node := range nodes {
		if since, waits := nodeWaits(node); waits && forgotten(node, since, now) {
			failed = append(failed, c.remind(ctx, "nodes", node, now))
		}
	}
	return errors.Join(failed...)
}

// podWaits tells since when a pod waits for what a kubelet does at once, if it does: to run, to go, or to be ready as its containers are.
func podWaits(pod *corev1.Pod) (time.Time, bool) {
	switch {
	case pod.Spec.NodeName == "":
		return time.Time{}, false
	case pod.DeletionTimestamp != nil:
		return pod.DeletionTimestamp.Time, true
	case pod.Status.Phase == corev1.PodPending:
		if at, scheduled := podIs(pod, corev1.PodScheduled, corev1.ConditionTrue); scheduled {
			return at, true
		}
		return pod.CreationTimestamp.Time, true
	}
	at, unready := podIs(pod, corev1.PodReady, corev1.ConditionFalse)
	_, contained := podIs(pod, corev1.ContainersReady, corev1.ConditionTrue)
	return at, unready && contained
}

// podIs tells since when a condition of a pod has a status, if it has it.
func podIs(pod *corev1.Pod, kind corev1.PodConditionType, status corev1.ConditionStatus) (time.Time, bool) {
	for _, one := range pod.Status.Conditions {
		if one.Type == kind && one.Status == status {
			return one.LastTransitionTime.Time, true
		}
	}
	return time.Time{}, false
}

// nodeWaits tells since when a node is not ready, if it is not.
func nodeWaits(node *corev1.Node) (time.Time, bool) {
	for _, one := range node.Status.Conditions {
		if one.Type == corev1.NodeReady {
			return one.LastTransitionTime.Time, one.Status != corev1.ConditionTrue
		}
	}
	return node.CreationTimestamp.Time, true
}

// forgotten reports whether what an object waits for is overdue, since it began to wait or since kwok was reminded.
func forgotten(object metav1.Object, since, now time.Time) bool {
	if at, err := time.Parse(time.RFC3339, object.GetAnnotations()[remindedAt]); err == nil && at.After(since) {
		since = at
	}
	return now.Sub(since) > forgetful
}

// remind changes something about a pod or node that nobody minds: kwok is told of it.
func (c *Cluster) remind(ctx context.Context, resource string, object metav1.Object, now time.Time) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": object.GetUID(), "annotations": map[string]string{remindedAt: now.Format(time.RFC3339)},
	}})
	if err != nil {
		return err
	}
	of := corev1.SchemeGroupVersion.WithResource(resource)
	_, err = c.objects.Resource(of).Namespace(object.GetNamespace()).Patch(ctx, object.GetName(), types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("reminding kwok of %s %s: %w", resource, object.GetName(), err)
	}
	return nil
}
