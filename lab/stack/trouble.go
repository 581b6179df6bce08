package stack

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// tell logs what stands still in the cluster of a test that failed: pods that are not Ready, autoscalers, and warnings.
func (c *Cluster) tell(t testing.TB) {
	t.Helper()
	if !t.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
	defer cancel()
	lines, err := c.trouble(ctx)
	if err != nil {
		lines = append(lines, fmt.Sprintf("reading more: %v", err))
	}
	t.Logf("the cluster at the end of the test:\n%s", strings.Join(lines, "\n"))
}

func (c *Cluster) trouble(ctx context.Context) ([]string, error) {
	var lines []string
	pods, err := c.Kube.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return lines, err
	}
	for _, pod := range pods.Items {
		ready, said := false, ""
		for _, condition := range pod.Status.Conditions {
			ready = ready || condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue
			said += fmt.Sprintf(" %s=%s %s", condition.Type, condition.Status, condition.Message)
		}
		if !ready && pod.Status.Phase != corev1.PodSucceeded {
			lines = append(lines, fmt.Sprintf("pod %s/%s on %q is %s:%s", pod.Namespace, pod.Name, pod.Spec.NodeName, pod.Status.Phase, said))
		}
	}
	scalers, err := c.Kube.AutoscalingV2().HorizontalPodAutoscalers("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return lines, err
	}
	for _, scaler := range scalers.Items {
		said := fmt.Sprintf("autoscaler %s/%s wants %d and has %d:", scaler.Namespace, scaler.Name, scaler.Status.DesiredReplicas, scaler.Status.CurrentReplicas)
		for _, condition := range scaler.Status.Conditions {
			said += fmt.Sprintf(" %s=%s %s", condition.Type, condition.Status, condition.Message)
		}
		lines = append(lines, said)
	}
	events, err := c.Kube.CoreV1().Events("").List(ctx, metav1.ListOptions{FieldSelector: "type=" + corev1.EventTypeWarning})
	if err != nil {
		return lines, err
	}
	for _, event := range events.Items[max(0, len(events.Items)-20):] {
		of := event.InvolvedObject
		lines = append(lines, fmt.Sprintf("warning of %s %s/%s: %s: %s", of.Kind, of.Namespace, of.Name, event.Reason, event.Message))
	}
	return lines, nil
}
