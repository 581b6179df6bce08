package apply

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

func parse(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	body, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(body); err != nil {
		t.Fatal(err)
	}
	return u
}

func TestAssess(t *testing.T) {
	cases := []struct {
		name, object string
		want         gitops.Health
	}{
		{"config map", `{apiVersion: v1, kind: ConfigMap}`, gitops.Health{Status: gitops.Ready}},
		{"terminating", `{apiVersion: v1, kind: ConfigMap, metadata: {deletionTimestamp: "2026-11-21T08:00:00Z", finalizers: [a/b]}}`, gitops.Health{Status: gitops.Terminating, Message: "being deleted since 2026-11-21T08:00:00Z, waits for the finalizers a/b"}},
		{"terminating, with a controller", `{apiVersion: v1, kind: ConfigMap, metadata: {deletionTimestamp: "2026-11-21T08:00:00Z", finalizers: [a/b, c/d], managedFields: [{manager: keeper, operation: Update, apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {"f:metadata": {"f:finalizers": {".": {}, 'v:"a/b"': {}}}}}]}}`, gitops.Health{Status: gitops.Terminating, Message: "being deleted since 2026-11-21T08:00:00Z, waits for the finalizers a/b (of keeper), c/d"}},
		{"terminating namespace", `{apiVersion: v1, kind: Namespace, metadata: {deletionTimestamp: "2026-11-21T08:00:00Z"}, status: {conditions: [{type: NamespaceContentRemaining, status: "True", message: "Some resources are remaining: things. has 1 resource instances"}]}}`, gitops.Health{Status: gitops.Terminating, Message: "being deleted since 2026-11-21T08:00:00Z; Some resources are remaining: things. has 1 resource instances"}},
		{"terminating pod", `{apiVersion: v1, kind: Pod, metadata: {deletionTimestamp: "2026-11-21T08:00:30Z", deletionGracePeriodSeconds: 30}}`, gitops.Health{Status: gitops.Terminating, Message: "being deleted since 2026-11-21T08:00:00Z"}},
		{"new definition", `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition}`, gitops.Health{Status: gitops.Progressing, Message: "not yet Established"}},
		{"definition", `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, status: {conditions: [{type: Established, status: "True"}]}}`, gitops.Health{Status: gitops.Ready}},
		{"new api service", `{apiVersion: apiregistration.k8s.io/v1, kind: APIService}`, gitops.Health{Status: gitops.Progressing, Message: "not yet Available"}},
		{"broken api service", `{apiVersion: apiregistration.k8s.io/v1, kind: APIService, status: {conditions: [{type: Available, status: "False", reason: MissingEndpoints, message: no endpoints}]}}`, gitops.Health{Status: gitops.Progressing, Message: "not Available: MissingEndpoints: no endpoints"}},
		{"api service", `{apiVersion: apiregistration.k8s.io/v1, kind: APIService, status: {conditions: [{type: Available, status: "True"}]}}`, gitops.Health{Status: gitops.Ready}},
		{"new job", `{apiVersion: batch/v1, kind: Job}`, gitops.Health{Status: gitops.Progressing, Message: "running: 0 succeeded, 0 failed"}},
		{"running job", `{apiVersion: batch/v1, kind: Job, status: {startTime: "2026-11-21T08:00:00Z", active: 1, failed: 2}}`, gitops.Health{Status: gitops.Progressing, Message: "running: 0 succeeded, 2 failed"}},
		{"done job", `{apiVersion: batch/v1, kind: Job, status: {conditions: [{type: Complete, status: "True"}]}}`, gitops.Health{Status: gitops.Ready}},
		{"failed job", `{apiVersion: batch/v1, kind: Job, status: {conditions: [{type: Failed, status: "True", reason: BackoffLimitExceeded, message: too often}]}}`, gitops.Health{Status: gitops.Failed, Message: "BackoffLimitExceeded: too often"}},
		{"suspended job", `{apiVersion: batch/v1, kind: Job, spec: {suspend: true}}`, gitops.Health{Status: gitops.Ready}},
		{"autoscaler", `{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, status: {conditions: [{type: AbleToScale, status: "True"}, {type: ScalingActive, status: "True"}]}}`, gitops.Health{Status: gitops.Ready}},
		{"autoscaler without metrics", `{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, status: {conditions: [{type: ScalingActive, status: "False", reason: FailedGetResourceMetric, message: no metrics}]}}`, gitops.Health{Status: gitops.Progressing, Message: "FailedGetResourceMetric: no metrics"}},
		{"autoscaler of nothing", `{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, status: {conditions: [{type: ScalingActive, status: "False", reason: ScalingDisabled}]}}`, gitops.Health{Status: gitops.Ready}},
		{"autoscaler that was not looked at", `{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, status: {desiredReplicas: 0}}`, gitops.Health{Status: gitops.Progressing, Message: "its controller has not looked at it yet"}},
		{"autoscaler of a missing target", `{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, status: {conditions: [{type: AbleToScale, status: "False", reason: FailedGetScale, message: not found}]}}`, gitops.Health{Status: gitops.Progressing, Message: "FailedGetScale: not found"}},
		{"done job that goes", `{apiVersion: batch/v1, kind: Job, spec: {ttlSecondsAfterFinished: 60}, status: {conditions: [{type: Complete, status: "True"}]}}`, gitops.Health{Status: gitops.Ready, Finished: true}},
		{"failed job that goes", `{apiVersion: batch/v1, kind: Job, spec: {ttlSecondsAfterFinished: 60}, status: {conditions: [{type: Failed, status: "True", reason: DeadlineExceeded}]}}`, gitops.Health{Status: gitops.Failed, Message: "DeadlineExceeded", Finished: true}},
		{"running job that goes", `{apiVersion: batch/v1, kind: Job, spec: {ttlSecondsAfterFinished: 60}}`, gitops.Health{Status: gitops.Progressing, Message: "running: 0 succeeded, 0 failed"}},
		{"new replication controller", `{apiVersion: v1, kind: ReplicationController, metadata: {generation: 1}, spec: {replicas: 2}}`, gitops.Health{Status: gitops.Progressing, Message: "generation is 1, its controller has seen 0"}},
		{"starting replication controller", `{apiVersion: v1, kind: ReplicationController, metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, readyReplicas: 1}}`, gitops.Health{Status: gitops.Progressing, Message: "Ready: 1/2"}},
		{"replication controller", `{apiVersion: v1, kind: ReplicationController, metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, readyReplicas: 2}}`, gitops.Health{Status: gitops.Ready}},
		{"replication controller of none", `{apiVersion: v1, kind: ReplicationController, metadata: {generation: 1}, spec: {replicas: 0}, status: {observedGeneration: 1}}`, gitops.Health{Status: gitops.Ready}},
		{"service", `{apiVersion: v1, kind: Service, spec: {type: ClusterIP, clusterIP: 10.0.0.1}}`, gitops.Health{Status: gitops.Ready}},
		{"service without a balancer", `{apiVersion: v1, kind: Service, spec: {type: LoadBalancer, clusterIP: 10.0.0.1}, status: {loadBalancer: {}}}`, gitops.Health{Status: gitops.Progressing, Message: "no load balancer has given it an address yet"}},
		{"service with a balancer", `{apiVersion: v1, kind: Service, spec: {type: LoadBalancer, clusterIP: 10.0.0.1}, status: {loadBalancer: {ingress: [{hostname: a.elb.amazonaws.com}]}}}`, gitops.Health{Status: gitops.Ready}},
		{"ingress without a balancer", `{apiVersion: networking.k8s.io/v1, kind: Ingress}`, gitops.Health{Status: gitops.Progressing, Message: "no load balancer has given it an address yet"}},
		{"ingress", `{apiVersion: networking.k8s.io/v1, kind: Ingress, status: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}}`, gitops.Health{Status: gitops.Ready}},
		{"prometheus without an operator", `{apiVersion: monitoring.coreos.com/v1, kind: Prometheus, metadata: {generation: 1}}`, gitops.Health{Status: gitops.Ready}},
		{"degraded alertmanager", `{apiVersion: monitoring.coreos.com/v1, kind: Alertmanager, metadata: {generation: 1}, status: {conditions: [{type: Available, status: Degraded, reason: SomePodsNotReady, message: "shard 0: pod x-1: pending", observedGeneration: 1}, {type: Reconciled, status: "True", observedGeneration: 1}]}}`, gitops.Health{Status: gitops.Progressing, Message: "not Available: SomePodsNotReady: shard 0: pod x-1: pending"}},
		{"prometheus that cannot be made", `{apiVersion: monitoring.coreos.com/v1, kind: Prometheus, metadata: {generation: 1}, status: {conditions: [{type: Available, status: "True", observedGeneration: 1}, {type: Reconciled, status: "False", reason: ReconciliationFailed, message: no such secret, observedGeneration: 1}]}}`, gitops.Health{Status: gitops.Failed, Message: "ReconciliationFailed: no such secret"}},
		{"ruler that was not looked at again", `{apiVersion: monitoring.coreos.com/v1, kind: ThanosRuler, metadata: {generation: 2}, status: {conditions: [{type: Available, status: "True", observedGeneration: 1}]}}`, gitops.Health{Status: gitops.Progressing, Message: "generation is 2, its operator has seen 1"}},
		{"prometheus", `{apiVersion: monitoring.coreos.com/v1, kind: Prometheus, metadata: {generation: 1}, status: {conditions: [{type: Available, status: "True", observedGeneration: 1}, {type: Reconciled, status: "True", observedGeneration: 1}]}}`, gitops.Health{Status: gitops.Ready}},
		{"manual set", `{apiVersion: apps/v1, kind: StatefulSet, spec: {replicas: 2, updateStrategy: {type: OnDelete}}, status: {readyReplicas: 1}}`, gitops.Health{Status: gitops.Progressing, Message: "Ready: 1/2"}},
		{"manual set of one", `{apiVersion: apps/v1, kind: StatefulSet, spec: {updateStrategy: {type: OnDelete}}, status: {readyReplicas: 1}}`, gitops.Health{Status: gitops.Ready}},
		{"rolling deployment", `{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 2}, status: {replicas: 1}}`, gitops.Health{Status: gitops.Progressing, Message: "Replicas: 1/2"}},
		{"stuck deployment", `{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 1, progressDeadlineSeconds: 600}, status: {conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded}]}}`, gitops.Health{Status: gitops.Failed, Message: "Progress deadline exceeded"}},
		{"old status", `{apiVersion: apps/v1, kind: Deployment, metadata: {generation: 2}, status: {observedGeneration: 1}}`, gitops.Health{Status: gitops.Progressing, Message: "Deployment generation is 2, but latest observed generation is 1"}},
		{"custom resource", `{apiVersion: x.example/v1, kind: Thing, status: {conditions: [{type: Ready, status: "False", message: still baking}]}}`, gitops.Health{Status: gitops.Progressing, Message: "still baking"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := assess(parse(t, c.object)); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestTrouble(t *testing.T) {
	cases := []struct{ name, pod, want string }{
		{"starting", `{status: {containerStatuses: [{state: {waiting: {reason: ContainerCreating}}}]}}`, ""},
		{"no image", `{status: {containerStatuses: [{name: web, image: "web:1.4.2", state: {waiting: {reason: ImagePullBackOff, message: "Back-off pulling"}}}]}}`, "ImagePullBackOff: web:1.4.2"},
		{"crashing", `{status: {containerStatuses: [{name: web, restartCount: 4, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 3}}}]}}`, "CrashLoopBackOff: container web exited 3 after 4 restarts"},
		{"out of memory", `{status: {containerStatuses: [{name: web, restartCount: 2, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 137, reason: OOMKilled}}}]}}`, "CrashLoopBackOff: container web exited 137 after 2 restarts (OOMKilled)"},
		{"no config", `{status: {containerStatuses: [{name: web, state: {waiting: {reason: CreateContainerConfigError, message: "secret \"db\" not found"}}}]}}`, `CreateContainerConfigError: container web: secret "db" not found`},
		{"ended", `{status: {containerStatuses: [{name: web, state: {terminated: {exitCode: 2, reason: Error}}}]}}`, "Error: container web exited 2"},
		{"done", `{status: {containerStatuses: [{name: web, ready: false, state: {terminated: {exitCode: 0, reason: Completed}}}]}}`, ""},
		{"not ready", `{spec: {containers: [{name: side}, {name: web, readinessProbe: {}}]}, status: {containerStatuses: [{name: side, ready: true, state: {running: {}}}, {name: web, ready: false, started: true, state: {running: {}}}]}}`, "container web does not pass its readiness probe"},
		{"not started", `{spec: {containers: [{name: web, readinessProbe: {}, startupProbe: {}}]}, status: {containerStatuses: [{name: web, ready: false, started: false, state: {running: {}}}]}}`, "container web does not pass its startup probe"},
		{"init", `{status: {initContainerStatuses: [{image: "init:1", state: {waiting: {reason: ErrImagePull}}}], containerStatuses: [{state: {waiting: {reason: PodInitializing}}}]}}`, "ErrImagePull: init:1"},
		{"no node", `{status: {conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, message: "0/3 nodes are available"}]}}`, "Unschedulable: 0/3 nodes are available"},
		{"fine", `{status: {containerStatuses: [{state: {running: {}}}], conditions: [{type: PodScheduled, status: "True"}]}}`, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := trouble(parse(t, "{apiVersion: v1, kind: Pod, "+c.pod[1:]).Object); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// A workload without nodes says what its pods say.
func TestWorkloadsTellTheirPodsReason(t *testing.T) {
	l := newLab(t)
	d := desired(l.items("apps", strings.Replace(web, "      containers:", "      nodeSelector: {nowhere: to-be-found}\n      containers:", 1)+`
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: later, namespace: NS}
spec: {accessModes: [ReadWriteOnce], storageClassName: late-NS, resources: {requests: {storage: 1Gi}}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: late-NS}
provisioner: example.com/none
volumeBindingMode: WaitForFirstConsumer
`)...)
	l.apply(d)
	l.eventually("the scheduler's reason", func() (string, bool) {
		h, err := l.Ready(t.Context(), d.Items[1].Ref)
		if err != nil {
			t.Fatal(err)
		}
		return h.Message, h.Status == gitops.Progressing && contains(h.Message, "Unschedulable: 0/")
	})
	if h, err := l.Ready(t.Context(), d.Items[3].Ref); err != nil || h.Status != gitops.Ready {
		t.Errorf("a claim that waits for its consumer: %+v %v", h, err)
	}
	if o := l.observe(d)[d.Items[1].Ref]; o.Progress == nil || o.Progress.Status != gitops.Progressing {
		t.Errorf("progress: %+v", o.Progress)
	}
}

// TestTroublesAreAskedForInTurn: why pods do not run is a request each time, and asked whenever anything moves.
func TestTroublesAreAskedForInTurn(t *testing.T) {
	t.Parallel()
	u := &unstructured.Unstructured{Object: gitops.Tree{"metadata": gitops.Tree{"uid": "u"}}}
	troubles, now, asked := &troubles{all: map[types.UID]saying{}}, time.Now(), 0
	ask := func() string {
		asked++
		return fmt.Sprint("why ", asked)
	}
	for i := range 3000 {
		at := now.Add(time.Duration(i) * time.Millisecond)
		if got, want := troubles.of(u, at, ask), fmt.Sprint("why ", 1+i/1000); got != want {
			t.Fatalf("after %d ms: %q, want %q", i, got, want)
		}
	}
}

// TestPodsAreAskedForWhenThereMayBeAny: a workload that its controller has not seen has none.
func TestPodsAreAskedForWhenThereMayBeAny(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"{kind: Deployment, metadata: {generation: 2}}":                                  false,
		"{kind: Deployment, metadata: {generation: 2}, status: {observedGeneration: 1}}": false,
		"{kind: Deployment, metadata: {generation: 2}, status: {observedGeneration: 2}}": true,
		"{kind: Job, metadata: {generation: 1}}":                                         true,
	} {
		if got := met(parse(t, text).Object); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
