package cluster

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestForgotten: only what has waited for a kubelet for long is forgotten.
func TestForgotten(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	long, short := metav1.NewTime(now.Add(-time.Minute)), metav1.NewTime(now.Add(-time.Second))
	at := func(kind corev1.PodConditionType, status corev1.ConditionStatus, since metav1.Time) corev1.PodCondition {
		return corev1.PodCondition{Type: kind, Status: status, LastTransitionTime: since}
	}
	for name, test := range map[string]struct {
		change func(pod *corev1.Pod)
		want   bool
	}{
		"pending on a node for long": {func(*corev1.Pod) {}, true},
		"not on a node":              {func(p *corev1.Pod) { p.Spec.NodeName = "" }, false},
		"made a moment ago":          {func(p *corev1.Pod) { p.CreationTimestamp = short }, false},
		"scheduled a moment ago": {func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{at(corev1.PodScheduled, corev1.ConditionTrue, short)}
		}, false},
		"reminded of a moment ago": {func(p *corev1.Pod) { p.Annotations = map[string]string{remindedAt: short.Format(time.RFC3339)} }, false},
		"reminded of long ago":     {func(p *corev1.Pod) { p.Annotations = map[string]string{remindedAt: long.Format(time.RFC3339)} }, true},
		"to go since a moment":     {func(p *corev1.Pod) { p.DeletionTimestamp = &short }, false},
		"to go for long":           {func(p *corev1.Pod) { p.Status.Phase, p.DeletionTimestamp = corev1.PodRunning, &long }, true},
		"running":                  {func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning }, false},
		"succeeded":                {func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }, false},
		"not ready, though all inside is": {func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodRunning
			p.Status.Conditions = []corev1.PodCondition{at(corev1.PodReady, corev1.ConditionFalse, long), at(corev1.ContainersReady, corev1.ConditionTrue, long)}
		}, true},
		"not ready, as what is inside": {func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodRunning
			p.Status.Conditions = []corev1.PodCondition{at(corev1.PodReady, corev1.ConditionFalse, long), at(corev1.ContainersReady, corev1.ConditionFalse, long)}
		}, false},
	} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: long}, Spec: corev1.PodSpec{NodeName: "n"}}
		pod.Status.Phase = corev1.PodPending
		test.change(pod)
		since, waits := podWaits(pod)
		if got := waits && forgotten(pod, since, now); got != test.want {
			t.Errorf("%s: forgotten is %t", name, got)
		}
	}
	for name, test := range map[string]struct {
		conditions []corev1.NodeCondition
		want       bool
	}{
		"nothing said of it":       {nil, true},
		"ready":                    {[]corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: long}}, false},
		"not heard of for long":    {[]corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, LastTransitionTime: long}}, true},
		"not heard of for a while": {[]corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, LastTransitionTime: short}}, false},
	} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: long}, Status: corev1.NodeStatus{Conditions: test.conditions}}
		since, waits := nodeWaits(node)
		if got := waits && forgotten(node, since, now); got != test.want {
			t.Errorf("node, %s: forgotten is %t", name, got)
		}
	}
}
