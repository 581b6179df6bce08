package apply

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eks-gitops/reconciler/pkg/plan"
)

const loaded = `
apiVersion: v1
kind: Namespace
metadata: {name: NS}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: NS-data}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  csi: {driver: ebs.csi.aws.com, volumeHandle: vol-1}
  claimRef: {namespace: NS, name: db-data}
  nodeAffinity:
    required:
      nodeSelectorTerms:
      - matchExpressions: [{key: topology.kubernetes.io/zone, operator: In, values: [eu-west-1c]}]
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: NS}
spec:
  nodeName: NS-one
  nodeSelector: {disk: ssd}
  affinity:
    nodeAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        nodeSelectorTerms:
        - matchExpressions: [{key: kubernetes.io/arch, operator: In, values: [arm64]}]
        - matchExpressions: [{key: gpu, operator: Exists}]
  tolerations: [{key: for, operator: Equal, value: NS, effect: NoSchedule}]
  containers:
  - {name: db, image: "db:1", resources: {requests: {cpu: 250m, memory: 1Gi, nvidia.com/gpu: 1}, limits: {nvidia.com/gpu: 1}}}
  volumes:
  - name: data
    ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: NS}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      nodeSelector: {for: NS}
      tolerations: [{key: for, operator: Equal, value: NS}]
      containers: [{name: agent, image: "agent:1", resources: {requests: {cpu: 100m}}}]
`

// TestLoad: what pods need of other nodes, and what nodes have, as a real API server tells it.
func TestLoad(t *testing.T) {
	l := newLab(t)
	one, raw := l.machine("one"), l.raw()
	l.machine("two")
	kind := "m." + l.id
	for _, name := range []string{"one", "two"} {
		patch := []byte(`{"metadata":{"labels":{"node.kubernetes.io/instance-type":"` + kind + `"}}}`)
		if _, err := raw.client.Resource(gvr("", "v1", "nodes")).Patch(t.Context(), l.id+"-"+name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		_ = raw.client.Resource(gvr("", "v1", "persistentvolumes")).Delete(l.background(), l.id+"-data", metav1.DeleteOptions{})
	})
	l.apply(desired(l.items("apps", loaded)...))
	var load plan.Load
	l.eventually("the agent to run on both nodes", func() (string, bool) {
		var err error
		if load, err = l.Preflight().Load(t.Context(), []string{one}); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%+v", load), load.Daemons["pods"] == 1
	})
	for other := range load.Nodes {
		if other != kind {
			delete(load.Nodes, other) // of other tests
		}
	}
	want := plan.Load{
		Pods: []plan.Pod{{
			Asks: plan.Amounts{"cpu": 250, "memory": 1 << 30, "nvidia.com/gpu": 1, "pods": 1},
			Needs: [][]plan.Requirement{
				{{Key: "disk", Operator: "In", Values: []string{"ssd"}}, {Key: "kubernetes.io/arch", Operator: "In", Values: []string{"arm64"}}},
				{{Key: "disk", Operator: "In", Values: []string{"ssd"}}, {Key: "gpu", Operator: "Exists"}},
			},
			Tolerates: []plan.Toleration{{Key: "for", Operator: "Equal", Value: l.id, Effect: "NoSchedule"}},
			Zones:     []string{"eu-west-1c"},
		}},
		Budgets: []string{"1 pod without a controller, which nothing would make anew, to be deleted by hand: " + l.id + "/db"},
		Daemons: plan.Amounts{"cpu": 100, "pods": 1},
		Nodes:   map[string]plan.Amounts{kind: {"cpu": 8000, "memory": 32 << 30, "pods": 50}},
	}
	ours := cmpopts.IgnoreSliceElements(func(o plan.Toleration) bool { return o.Key != "for" }) // not those of every pod
	if diff := cmp.Diff(want, load, ours); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestRequests: init containers run before the others, sidecars beside them; what a pod says for itself counts in place of its containers.
func TestRequests(t *testing.T) {
	t.Parallel()
	pods := parseAll(t, `
spec:
  containers: [{resources: {requests: {cpu: 1, memory: 1Gi}}}, {resources: {requests: {cpu: 500m}}}, {}]
---
spec:
  initContainers: [{resources: {requests: {cpu: 2}}}, {resources: {requests: {cpu: 1, memory: 1Gi}}}]
  containers: [{resources: {requests: {cpu: 1, memory: 2Gi}}}]
---
spec:
  initContainers: [{restartPolicy: Always, resources: {requests: {cpu: 500m}}}, {resources: {requests: {cpu: 2}}}]
  containers: [{resources: {requests: {cpu: 1}}}]
---
spec:
  initContainers: [{resources: {requests: {cpu: 1}}}, {restartPolicy: Always, resources: {requests: {cpu: 500m}}}]
  containers: [{resources: {requests: {cpu: 1}}}]
  overhead: {cpu: 100m, memory: 64Mi}
---
spec:
  resources: {requests: {cpu: 3}}
  containers: [{resources: {requests: {cpu: 1, memory: 1Gi}}}]
---
spec: {}
`)
	for i, want := range []plan.Amounts{
		{"cpu": 1500, "memory": 1 << 30, "pods": 1}, {"cpu": 2000, "memory": 2 << 30, "pods": 1}, {"cpu": 2500, "pods": 1},
		{"cpu": 1600, "memory": 64 << 20, "pods": 1}, {"cpu": 3000, "memory": 1 << 30, "pods": 1}, {"pods": 1},
	} {
		if diff := cmp.Diff(want, requests(specOf(pods[i]))); diff != "" {
			t.Errorf("pod %d (-want +got):\n%s", i, diff)
		}
	}
}
