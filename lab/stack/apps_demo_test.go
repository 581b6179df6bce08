package stack_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/lab/labtest"
	"github.com/eks-gitops/reconciler/lab/stack"
	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// demoPrometheus: promtool understands the configuration of what remembers the results.
func demoPrometheus(t *testing.T, items []gitops.Item) {
	file := filepath.Join(t.TempDir(), "prometheus.yml")
	if err := os.WriteFile(file, []byte(configMapFile(t, items, "prometheus", "prometheus.yml")), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, said := program(t, nil, labtest.Tool(t, "promtool"), "check", "config", file); code != 0 {
		t.Errorf("promtool does not understand the configuration:\n%s", said)
	}
}

var address = regexp.MustCompile(`([a-z0-9.-]+)\.cncf-demo\.svc(?::([0-9]+))?`)

// demoAddresses: every address that a script, a configuration or a variable names is that of a Service, port and all.
func demoAddresses(t *testing.T, items []gitops.Item) {
	ports := map[string][]string{}
	for _, item := range items {
		if item.Ref.Kind != "Service" {
			continue
		}
		for _, one := range gitops.ListAt(item.Spec, "spec", "ports") {
			port, _ := one.(gitops.Tree)
			ports[item.Ref.Name] = append(ports[item.Ref.Name], fmt.Sprint(port["port"]))
		}
	}
	asked := map[string]bool{}
	for _, item := range items {
		text, err := json.Marshal(item.Spec)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range address.FindAllStringSubmatch(string(text), -1) {
			service := match[1][strings.LastIndexByte(match[1], '.')+1:] // of POD.SERVICE
			asked[service] = true
			if !slices.Contains(ports[service], cmp.Or(match[2], "80")) {
				t.Errorf("%s asks %s, but Service %s has ports %v", item.Ref, match[0], service, ports[service])
			}
		}
	}
	if len(asked) < 8 {
		t.Errorf("only %v are asked for anything", asked)
	}
}

// demoDatabase runs the scripts of the init Jobs as their Jobs would, in k6's JavaScript engine and against a stand-in for MongoDB
// (testdata/mongodb.js), because neither mongosh nor mongod can be built here. Run twice they change nothing the second time.
func demoDatabase(t *testing.T, items []gitops.Item) {
	run := func(t *testing.T, script string, runs ...map[string]string) []string {
		t.Helper()
		file := filepath.Join(t.TempDir(), script)
		if err := os.WriteFile(file, []byte(configMapFile(t, items, "mongodb-init", script)), 0o600); err != nil {
			t.Fatal(err)
		}
		standIn, err := filepath.Abs("testdata/mongodb.js")
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(runs)
		if err != nil {
			t.Fatal(err)
		}
		code, out := program(t, map[string]string{"SCRIPT": file, "RUNS": string(body), "HOME": t.TempDir()},
			labtest.Tool(t, "k6"), "run", "--quiet", "--no-usage-report", "--address=", "--summary-mode=disabled", "--log-format=raw", standIn)
		if code != 0 {
			t.Fatalf("the script of %s exits %d:\n%s", script, code, out)
		}
		return strings.Split(strings.TrimSpace(out), "\n")
	}
	three := map[string]string{"REPLICA_SET": "shard-a", "ROLE": "shardsvr", "MEMBERS": "a:1,b:1,c:1"}
	five := maps.Clone(three)
	five["MEMBERS"] += ",d:1,e:1"
	t.Run("replica set", func(t *testing.T) {
		want := []string{"replSetInitiate a:1,b:1,c:1", "end", "end", "replSetReconfig a:1,b:1,c:1,d:1", "replSetReconfig a:1,b:1,c:1,d:1,e:1", "end", "end"}
		if diff := gocmp.Diff(want, run(t, "replica-set.js", three, three, five, five)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("config servers", func(t *testing.T) {
		config := map[string]string{"REPLICA_SET": "config", "ROLE": "configsvr", "MEMBERS": "a:1"}
		if diff := gocmp.Diff([]string{"replSetInitiate configsvr a:1", "end"}, run(t, "replica-set.js", config)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("shards", func(t *testing.T) {
		one := map[string]string{"MONGOS": "mongos:1", "SHARDS": "shard-a/a:1"}
		both := map[string]string{"MONGOS": "mongos:1", "SHARDS": "shard-a/a:1\nshard-b/b:1\n"}
		want := []string{"addShard shard-a/a:1", "end", "addShard shard-b/b:1", "end", "end"}
		if diff := gocmp.Diff(want, run(t, "shards.js", one, both, both)); diff != "" {
			t.Error(diff)
		}
	})
}

// demoBackground: the background work fills what is left over, and pods of any other kind still find room, because it
// goes. Nothing else goes for them. Its arithmetic is right, too.
func demoBackground(t *testing.T, c *stack.Cluster, items []gitops.Item) {
	script := filepath.Join(t.TempDir(), "primes.sh")
	if err := os.WriteFile(script, []byte(configMapFile(t, items, "background", "primes.sh")), 0o600); err != nil {
		t.Fatal(err)
	}
	for index, want := range map[string]string{"0": "168 primes", "1": "135 primes"} {
		code, out := program(t, map[string]string{"JOB_COMPLETION_INDEX": index, "SIZE": "1000"}, "sh", script)
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("counting the primes of the thousand %s: exit %d, want %s:\n%s", index, code, want, out)
		}
	}

	var job batchv1.CronJob
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(specOf(t, items, "CronJob", "background"), &job); err != nil {
		t.Fatal(err)
	}
	// The lab ends pods of Jobs at once, so a Deployment of the very pods stands for them.
	work := job.Spec.JobTemplate.Spec.Template
	work.Spec.RestartPolicy = corev1.RestartPolicyAlways
	others := running(t, c, "app.kubernetes.io/name in (mongodb, countly, pushgateway, grafana)")
	deploy(t, c, "background", 120, work)
	stack.Await(t, "the background to fill the nodes", func(ctx context.Context) (bool, error) {
		pods, err := c.Kube.CoreV1().Pods("cncf-demo").List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=background"})
		if err != nil || len(pods.Items) < 120 {
			return false, err
		}
		waiting := 0
		for i := range pods.Items {
			switch {
			case unschedulable(&pods.Items[i]):
				waiting++
			case !isReady(&pods.Items[i]):
				return false, nil
			}
		}
		return waiting > 0, nil
	})
	before := running(t, c, "app.kubernetes.io/name=background")

	labels := map[string]string{"app.kubernetes.io/name": "foreground"}
	urgent := work.DeepCopy()
	urgent.Labels, urgent.Spec.PriorityClassName = labels, ""
	urgent.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = resource.MustParse("2")
	deploy(t, c, "foreground", 3, *urgent)
	awaitPods(t, c, "cncf-demo", "app.kubernetes.io/name=foreground", 3)
	gone := 0
	after := running(t, c, "app.kubernetes.io/name=background")
	for uid := range before {
		if !after[uid] {
			gone++
		}
	}
	if gone == 0 {
		t.Error("no background pod gave way")
	}
	if diff := gocmp.Diff(others, running(t, c, "app.kubernetes.io/name in (mongodb, countly, pushgateway, grafana)")); diff != "" {
		t.Errorf("something else gave way:\n%s", diff)
	}
}

func unschedulable(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled {
			return condition.Status == corev1.ConditionFalse && condition.Reason == corev1.PodReasonUnschedulable
		}
	}
	return false
}

func deploy(t *testing.T, c *stack.Cluster, name string, replicas int32, template corev1.PodTemplateSpec) {
	t.Helper()
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "cncf-demo"},
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: template.Labels}, Template: template},
	}
	if _, err := c.Kube.AppsV1().Deployments("cncf-demo").Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if err := c.Kube.AppsV1().Deployments("cncf-demo").Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
}

// running are the ready pods by UID.
func running(t *testing.T, c *stack.Cluster, selector string) map[string]bool {
	t.Helper()
	pods, err := c.Kube.CoreV1().Pods("cncf-demo").List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for i := range pods.Items {
		if pods.Items[i].DeletionTimestamp == nil && isReady(&pods.Items[i]) {
			out[string(pods.Items[i].UID)] = true
		}
	}
	return out
}
