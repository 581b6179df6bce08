package egress

import (
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// writeMetrics writes a kubelet's /metrics/resource (KEP-727). Nothing really runs, so a container is said to use a quarter of
// the CPU and half of the memory that it requests, or 2m and 16 MiB where it requests none; a node uses the sum and 5 %.
func writeMetrics(w io.Writer, pods []*corev1.Pod, now time.Time) {
	var cpu, memory float64
	at := now.UnixMilli()
	for _, pod := range pods {
		if pod.Status.Phase != corev1.PodRunning || pod.Status.StartTime == nil {
			continue
		}
		start := pod.Status.StartTime.Time
		var podCPU, podMemory float64
		for _, container := range pod.Spec.Containers {
			cores := orElse(container.Resources.Requests[corev1.ResourceCPU], "8m") / 4
			used := cores * now.Sub(start).Seconds()
			bytes := orElse(container.Resources.Requests[corev1.ResourceMemory], "32Mi") / 2
			labels := fmt.Sprintf("container=%q,namespace=%q,pod=%q", container.Name, pod.Namespace, pod.Name)
			_, _ = fmt.Fprintf(w, "container_cpu_usage_seconds_total{%s} %f %d\n", labels, used, at)
			_, _ = fmt.Fprintf(w, "container_memory_working_set_bytes{%s} %.0f %d\n", labels, bytes, at)
			_, _ = fmt.Fprintf(w, "container_start_time_seconds{%s} %d\n", labels, start.Unix())
			podCPU, podMemory = podCPU+used, podMemory+bytes
		}
		labels := fmt.Sprintf("namespace=%q,pod=%q", pod.Namespace, pod.Name)
		_, _ = fmt.Fprintf(w, "pod_cpu_usage_seconds_total{%s} %f %d\n", labels, podCPU, at)
		_, _ = fmt.Fprintf(w, "pod_memory_working_set_bytes{%s} %.0f %d\n", labels, podMemory, at)
		cpu, memory = cpu+podCPU, memory+podMemory
	}
	// A counter that only grows: pods that go take their share along, the node's own share grows with time.
	const own, ownMemory = 0.05, 300 << 20
	_, _ = fmt.Fprintf(w, "node_cpu_usage_seconds_total %f %d\n", cpu+own*float64(now.Unix()), at)
	_, _ = fmt.Fprintf(w, "node_memory_working_set_bytes %.0f %d\n", memory+ownMemory, at)
}

func orElse(q resource.Quantity, otherwise string) float64 {
	if q.IsZero() {
		q = resource.MustParse(otherwise)
	}
	return q.AsApproximateFloat64()
}
