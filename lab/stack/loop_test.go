package stack_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/eks-gitops/reconciler/lab/story"
)

// loopFiles are the fleet of the loop: a nodegroup between two and six nodes whose size is not git's, the addons of the loop, and a
// workload of six pods, two to a node, of which four have to be there at all times. Beside two of them a node has room for what
// is evicted with them: pods of critical priority that find none take it by preemption, which a budget does not prevent.
var loopFiles = map[string]string{
	"clusters/dev/cluster.yaml": `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: dev, region: eu-west-1, version: "1.34"}
availabilityZones: [eu-west-1a, eu-west-1b]
iam:
  withOIDC: true
  podIdentityAssociations:
    - namespace: kube-system
      serviceAccountName: cluster-autoscaler
      permissionPolicy:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Action: [autoscaling:DescribeAutoScalingGroups]
            Resource: "*"
          - Effect: Allow
            Action: [autoscaling:SetDesiredCapacity, autoscaling:TerminateInstanceInAutoScalingGroup]
            Resource: "*"
            Condition: {StringEquals: {"aws:ResourceTag/k8s.io/cluster-autoscaler/dev": owned}}
addonsConfig: {disableDefaultAddons: true}
addons: [{name: vpc-cni}, {name: kube-proxy}, {name: coredns}, {name: eks-pod-identity-agent}]
managedNodeGroups:
  - name: workers
    instanceType: m5.large
    minSize: 2
    maxSize: 6
    privateNetworking: true
    labels: {role: workers, draino-enabled: "true"}
`,
	// The autoscaler works when its status says so, and only then: the rule of its README.
	"clusters/dev/reconcile.yaml": `interval: 5s
health:
  - kind: ConfigMap
    ready: "object.metadata.name != 'cluster-autoscaler-status' || object.?data.?status.orValue('').contains('autoscalerStatus: Running')"
    message: "'cluster-autoscaler does not run: see the log of its pods'"
`,
	"clusters/dev/addons/draino/kustomization.yaml":                "resources: [../../../../addons/draino]\ncomponents: [../../../../addons/draino/drain]\n",
	"clusters/dev/addons/node-problem-detector/kustomization.yaml": "resources: [../../../../addons/node-problem-detector]\n",
	"clusters/dev/addons/cluster-autoscaler/kustomization.yaml":    "resources: [../../../../addons/cluster-autoscaler]\ncomponents: [../../../../addons/cluster-autoscaler/cluster-facts]\n",
	"clusters/dev/apps/shop/kustomization.yaml":                    "resources: [shop.yaml]\n",
	"clusters/dev/apps/shop/shop.yaml": `apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: shop}
spec:
  replicas: 6
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
        - {name: web, image: web, resources: {requests: {cpu: 600m}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: shop, namespace: shop}
spec:
  minAvailable: 4
  selector: {matchLabels: {app: shop}}
`,
}

const (
	budget, replicas = 4, 6
	// loopSpeed divides the durations of the two programs that are stood in for; everything else takes the time it takes.
	loopSpeed = 30
)

// loop is the running story of the loop.
type loop struct {
	*story.Story
	admin *rest.Config
	kube  kubernetes.Interface
	drain *drainer
	scale *scaler
}

// TestSelfDrivingLoop breaks two nodes of a running cluster: one loses its kubelet, the kernel of the other says that a task of
// the container runtime hangs, which the real node-problem-detector reads and reports. Both are cordoned and drained, their group lets
// them go and fresh nodes come, and at no moment are fewer pods of the workload available than its budget says. The reconciler's
// daemon runs all the time and leaves the size of the group alone.
func TestSelfDrivingLoop(t *testing.T) {
	t.Parallel()
	l := startLoop(t)
	l.awaitsAutoscaler(t)
	l.actors(t)
	await(t, "the workload to be complete", func(ctx context.Context) (bool, error) {
		d, err := l.kube.AppsV1().Deployments("shop").Get(ctx, "shop", metav1.GetOptions{})
		return err == nil && d.Status.AvailableReplicas == replicas, nil
	})
	if len(l.scale.said) == 0 {
		t.Fatal("the group has not grown for the workload: the scaler proves nothing")
	}
	first := l.nodes(t)
	watched := l.watchBudget(t)
	lost, stuck := l.twoBusyNodes(t)
	detector := l.detect(t, stuck)

	l.loseKubelet(t, lost)
	awaitCondition(t, l.kube, lost, "Ready", corev1.ConditionUnknown, "")
	await(t, "the drain of the node that lost its kubelet to be planned", func(context.Context) (bool, error) {
		return slices.Contains(l.drain.turns(), lost), nil
	})
	detector.says(t, "kmsg", "INFO: task containerd-shim:4711 blocked for more than 120 seconds.")
	awaitCondition(t, l.kube, stuck, "KernelDeadlock", corev1.ConditionTrue, "RuntimeTaskHung")

	for _, node := range []string{lost, stuck} {
		await(t, node+" to be taken away", func(ctx context.Context) (bool, error) {
			nodes, err := l.kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + node})
			return err == nil && l.scale.took(node) && len(nodes.Items) == 0, nil
		})
	}
	await(t, "the workload to be complete again, on nodes that are well", func(ctx context.Context) (bool, error) {
		d, err := l.kube.AppsV1().Deployments("shop").Get(ctx, "shop", metav1.GetOptions{})
		return err == nil && d.Status.AvailableReplicas == replicas && d.Status.UnavailableReplicas == 0, nil
	})
	fresh := slices.DeleteFunc(l.nodes(t), func(name string) bool { return slices.Contains(first, name) })
	if len(fresh) < 2 {
		t.Errorf("two nodes went and only %q came", fresh)
	}
	if l.drain.turns()[0] != lost || !slices.Contains(l.drain.turns(), stuck) || len(l.drain.turns()) != 2 {
		t.Errorf("drained were %q, want %s and then %s", l.drain.turns(), lost, stuck)
	}
	if len(l.drain.failed) > 0 {
		t.Errorf("drains that failed: %q", l.drain.failed)
	}
	if lowest, story := watched(); lowest < budget {
		t.Errorf("at one moment only %d pods were available, the budget is %d:\n%s", lowest, budget, strings.Join(story, "\n"))
	}
	l.gitStands(t)
}

// watchBudget counts the available pods of the workload after each change of any of them. It returns how to end that, which
// tells the lowest count and how it came about.
func (l *loop) watchBudget(t *testing.T) func() (int, []string) {
	t.Helper()
	list, err := l.kube.CoreV1().Pods("shop").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	available := map[string]bool{}
	for i := range list.Items {
		available[list.Items[i].Name] = serves(&list.Items[i])
	}
	events, err := l.kube.CoreV1().Pods("shop").Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	lowest, done := count(available), make(chan struct{})
	var story []string
	var ended atomic.Bool // by us: a watch that is stopped may say so as an error
	go func() {
		defer close(done)
		for event := range events.ResultChan() {
			pod, ok := event.Object.(*corev1.Pod)
			if !ok && ended.Load() {
				return
			}
			if !ok {
				t.Errorf("the watch of the workload broke off: %v", event.Object)
				return
			}
			was := available[pod.Name]
			available[pod.Name] = event.Type != watch.Deleted && serves(pod)
			if now := available[pod.Name]; now != was {
				story = append(story, fmt.Sprintf("%s %d available: %s on %s serves: %t", time.Now().Format("15:04:05.000"), count(available), pod.Name, pod.Spec.NodeName, now))
			}
			lowest = min(lowest, count(available))
		}
	}()
	t.Cleanup(func() {
		ended.Store(true)
		events.Stop()
		<-done
	})
	return func() (int, []string) {
		select {
		case <-done:
			t.Error("the watch of the workload ended before the test")
		default:
		}
		ended.Store(true)
		events.Stop()
		<-done
		return lowest, story
	}
}

// serves tells whether a pod counts for the budget: it is ready and not on its way out.
func serves(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func count(available map[string]bool) int {
	n := 0
	for _, yes := range available {
		if yes {
			n++
		}
	}
	return n
}

// gitStands checks that the daemon has touched nothing of EKS since it made it, and that git and the cluster are the same.
func (l *loop) gitStands(t *testing.T) {
	t.Helper()
	await(t, "diff to be empty", func(ctx context.Context) (bool, error) {
		out, err := l.R.CLI(ctx, "diff", "clusters/dev")
		return err == nil && out.Code == 0, err
	})
	records, err := l.R.History(t.Context(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		for _, c := range r.Plan.Changes {
			for _, e := range c.Edits {
				if c.Ref.Kind == "Nodegroup" && string(c.Action) != "create" {
					t.Errorf("run %d would %s %s: %s", r.ID, c.Action, c.Ref, e.Path)
				}
			}
		}
	}
}
