package controlplane

import (
	"strings"

	node "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	heartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	pod "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
)

// writeStages writes what kwok does with nodes and pods: kwok's own stages, in which a pod is ready as soon as it is
// scheduled, and done at once if a Job owns it.
func (p *Plane) writeStages() error {
	return writeFile(p.spec.file("kwok.yaml"), strings.Join([]string{
		node.DefaultNodeInit, heartbeat.DefaultNodeHeartbeatWithLease,
		pod.DefaultPodReady, pod.DefaultPodComplete, pod.DefaultPodDelete,
	}, "\n---\n"))
}
