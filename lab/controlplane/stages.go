package controlplane

import (
	"strings"

	node "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	heartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	pod "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
)

// readyAgain tells again of a pod whose containers are ready that it is. Kubernetes marks the pods of a node that it does not hear of as not
// ready, and leaves it to the kubelet to say otherwise (kubernetes, pkg/controller/nodelifecycle, MarkPodsNotReady). kwok has no stage
// for it: a machine that is busy for a minute would have such pods for ever.
const readyAgain = `apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata:
  name: pod-ready-again
spec:
  resourceRef:
    apiGroup: v1
    kind: Pod
  selector:
    matchExpressions:
    - key: '.metadata.deletionTimestamp'
      operator: 'DoesNotExist'
    - key: '.status.phase'
      operator: 'In'
      values:
      - 'Running'
    - key: '.status.conditions.[] | select( .type == "ContainersReady" ) | .status'
      operator: 'In'
      values:
      - 'True'
    - key: '.status.conditions.[] | select( .type == "Ready" ) | .status'
      operator: 'In'
      values:
      - 'False'
  delay:
    durationMilliseconds: 1000
  next:
    statusTemplate: |
      conditions:
      - lastTransitionTime: {{ Now | Quote }}
        status: "True"
        type: Ready
`

// writeStages writes what kwok does with nodes and pods: kwok's own stages, in which a pod is ready as soon as it is
// scheduled, and done at once if a Job owns it; and one for what kubelets do besides.
func (p *Plane) writeStages() error {
	return writeFile(p.spec.file("kwok.yaml"), strings.Join([]string{
		node.DefaultNodeInit, heartbeat.DefaultNodeHeartbeatWithLease,
		pod.DefaultPodReady, readyAgain, pod.DefaultPodComplete, pod.DefaultPodDelete,
	}, "\n---\n"))
}
