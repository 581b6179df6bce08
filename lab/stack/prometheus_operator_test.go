package stack_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eks-gitops/reconciler/lab/labtest"
	"github.com/eks-gitops/reconciler/lab/site"
	"github.com/eks-gitops/reconciler/lab/stack"
)

// monitoring is the monitoring stack in a cluster, its real programs and where they listen on loopback.
type monitoring struct {
	*stack.Cluster
	operator, exporter, exporterSelf, prometheus, alertmanager, adapter, node string
	// alerts are what Prometheus sends.
	alerts chan sentAlert
	// web answers for the pods of the example.
	web *httptest.Server
}

const monitoringBase = "addons/kube-prometheus"

// newMonitoring applies the base to a cluster of the test's own.
func newMonitoring(t *testing.T) *monitoring {
	t.Helper()
	m := &monitoring{}
	for _, address := range []*string{&m.operator, &m.exporter, &m.exporterSelf, &m.prometheus, &m.adapter, &m.node} {
		*address = fmt.Sprintf("127.0.0.1:%d", stack.FreePort(t))
	}
	m.Cluster = stack.Start(t, stack.Options{Standins: []site.Standin{{Image: "prometheus-adapter", Address: m.adapter}}})
	m.Base(t, monitoringBase, "cluster-facts")
	return m
}

// TestPrometheusOperator runs the real prometheus-operator and the real kube-state-metrics with the rights of the base: the one makes
// servers of our objects, the other tells of all kinds, and neither is granted more than it uses.
func TestPrometheusOperator(t *testing.T) {
	t.Parallel()
	m := newMonitoring(t)
	m.runOperator(t)
	m.runStateMetrics(t)
	m.operatorUpdates(t)
	m.operatorTakesBack(t)
	m.operatorRepairs(t)
	m.operatorRights(t)
	m.LeastPrivilege(t, "monitoring/kube-state-metrics", nil)
}

// plainLists makes clients list as they do on an API server that does not stream lists: that is the right that they need there.
func plainLists() map[string]string {
	return map[string]string{"KUBE_FEATURE_WatchListClient": "false"}
}

func (m *monitoring) runOperator(t *testing.T) {
	t.Helper()
	p := m.Program(t, stack.Spec{
		Path: labtest.Tool(t, "prometheus-operator"), Workload: "Deployment monitoring/prometheus-operator", Add: []string{"--web.listen-address=" + m.operator},
		Env: plainLists(),
	})
	p.Await(t, "successfully synced all caches")
	for kind, want := range map[string]int32{"prometheus-k8s": 2, "alertmanager-main": 3} {
		stack.Await(t, "the StatefulSet "+kind, func(ctx context.Context) (bool, error) {
			set, err := m.Kube.AppsV1().StatefulSets("monitoring").Get(ctx, kind, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return false, nil
			}
			return err == nil && set.Status.ReadyReplicas == want, err
		})
	}
	m.await(t, "prometheuses", "k8s", "Available", "Reconciled")
	m.await(t, "alertmanagers", "main", "Available", "Reconciled")
	if log := p.Log(t); strings.Contains(log, "missing permission") {
		t.Errorf("the operator misses a permission:\n%s", log)
	}
}

func monitoringResource(resource string) schema.GroupVersionResource {
	version := "v1"
	if resource == "prometheusagents" {
		version = "v1alpha1"
	}
	return schema.GroupVersionResource{Group: "monitoring.coreos.com", Version: version, Resource: resource}
}

// await waits until the operator says that conditions of an object are true.
func (m *monitoring) await(t *testing.T, resource, name string, conditions ...string) {
	t.Helper()
	stack.Await(t, fmt.Sprintf("%s %s to be %v", resource, name, conditions), func(ctx context.Context) (bool, error) {
		object, err := m.Objects.Resource(monitoringResource(resource)).Namespace("monitoring").Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		return !slices.ContainsFunc(conditions, func(one string) bool { return !isTrue(object, one) }), nil
	})
}

// isTrue tells whether a condition of an object is, for what the object says now.
func isTrue(object *unstructured.Unstructured, condition string) bool {
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, one := range conditions {
		one, ok := one.(map[string]any)
		if ok && one["type"] == condition && one["status"] == "True" && one["observedGeneration"] == object.GetGeneration() {
			return true
		}
	}
	return false
}

func (m *monitoring) runStateMetrics(t *testing.T) {
	t.Helper()
	host, port, _ := strings.Cut(m.exporter, ":")
	_, self, _ := strings.Cut(m.exporterSelf, ":")
	m.Program(t, stack.Spec{
		Path: labtest.Tool(t, "kube-state-metrics"), Workload: "Deployment monitoring/kube-state-metrics",
		Set: map[string]string{"--port": port, "--telemetry-port": self}, Env: plainLists(),
		Add: []string{"--host=" + host, "--telemetry-host=" + host, "--kubeconfig=" + m.Kubeconfig(t, "monitoring/kube-state-metrics")},
	})
	// What it was refused fails the test at its end. Another error is the API server's, and no fault if the next try is no error.
	const kinds = 20
	stack.Await(t, "kube-state-metrics to list and watch all kinds, and to tell of them", func(ctx context.Context) (bool, error) {
		self, selfErr := fetch(ctx, "http://"+m.exporterSelf+"/metrics")
		objects, err := fetch(ctx, "http://"+m.exporter+"/metrics")
		if err != nil || selfErr != nil {
			return false, nil //nolint:nilerr // it is starting: either port may be the first to answer
		}
		done := grep(self, `result="success"`)
		return strings.Count(done, "kube_state_metrics_list_total{") == kinds && strings.Count(done, "kube_state_metrics_watch_total{") == kinds &&
			strings.Contains(objects, `kube_deployment_spec_replicas{namespace="monitoring",deployment="prometheus-operator"} 1`), nil
	})
}

// operatorUpdates makes the operator change what it made, and refuse a rule.
func (m *monitoring) operatorUpdates(t *testing.T) {
	servers := m.Objects.Resource(monitoringResource("prometheuses")).Namespace("monitoring")
	if _, err := servers.Patch(t.Context(), "k8s", types.MergePatchType, []byte(`{"spec":{"logLevel":"warn"}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	stack.Await(t, "the operator to change the servers' arguments", func(ctx context.Context) (bool, error) {
		set, err := m.Kube.AppsV1().StatefulSets("monitoring").Get(ctx, "prometheus-k8s", metav1.GetOptions{})
		return err == nil && strings.Contains(fmt.Sprint(set.Spec.Template.Spec.Containers[0].Args), "log.level=warn"), err
	})
	m.create(t, "prometheusrules", "default", map[string]any{"metadata": map[string]any{"name": "good"}, "spec": ruleSpec("vector(1)")})
	m.create(t, "prometheusrules", "default", map[string]any{"metadata": map[string]any{"name": "bad"}, "spec": ruleSpec("sum(")})
	m.create(t, "thanosrulers", "monitoring", map[string]any{"metadata": map[string]any{"name": "other"}, "spec": map[string]any{
		"queryEndpoints": []any{"http://prometheus-k8s:9090"}, "ruleSelector": map[string]any{},
		"storage": map[string]any{"volumeClaimTemplate": map[string]any{"spec": map[string]any{
			"storageClassName": "gp2", "resources": map[string]any{"requests": map[string]any{"storage": "1Gi"}},
		}}},
	}})
	m.create(t, "prometheusagents", "monitoring", map[string]any{"metadata": map[string]any{"name": "other"}, "spec": map[string]any{
		"replicas": int64(1), "podMonitorSelector": map[string]any{}, "podManagementPolicy": "OrderedReady",
		"securityContext": map[string]any{"runAsNonRoot": true, "runAsUser": int64(1000), "seccompProfile": map[string]any{"type": "RuntimeDefault"}},
	}})
	m.await(t, "thanosrulers", "other", "Reconciled")
	m.await(t, "prometheusagents", "other", "Reconciled")
	stack.Await(t, "an event about the bad rule, and the good one among the servers' rules", func(ctx context.Context) (bool, error) {
		events, err := m.Kube.EventsV1().Events("default").List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		told := slices.ContainsFunc(events.Items, func(e eventsv1.Event) bool { return e.Regarding.Name == "bad" && e.Type == corev1.EventTypeWarning })
		rules, err := m.Kube.CoreV1().ConfigMaps("monitoring").Get(ctx, "prometheus-k8s-rulefiles-0", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		loaded := slices.ContainsFunc(slices.Collect(maps.Keys(rules.Data)), func(name string) bool { return strings.HasPrefix(name, "default-good-") })
		return told && loaded, nil
	})
}

// operatorTakesBack hides a StatefulSet from the operator, which labels it again. That is what it does, too, when its cache is late and it
// makes one twice: on a busy machine it may happen at any time, here it happens for certain.
func (m *monitoring) operatorTakesBack(t *testing.T) {
	t.Helper()
	const label, name = "app.kubernetes.io/managed-by", "alertmanager-main"
	sets := m.Kube.AppsV1().StatefulSets("monitoring")
	if _, err := sets.Patch(t.Context(), name, types.MergePatchType, []byte(`{"metadata":{"labels":{"`+label+`":null}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	stack.Await(t, "the operator to label "+name, func(ctx context.Context) (bool, error) {
		set, err := sets.Get(ctx, name, metav1.GetOptions{})
		return err == nil && set.Labels[label] != "", err
	})
}

// operatorRepairs takes back a change with which no pod can run. A StatefulSet that makes one pod after the other waits for the pod of
// that revision for ever (kubernetes/kubernetes#67250): the operator evicts it. It does so, too, when its cache is late in a rollout.
func (m *monitoring) operatorRepairs(t *testing.T) {
	t.Helper()
	const place = "nowhere"
	for _, value := range []string{`"true"`, "null"} {
		patch := []byte(`{"spec":{"nodeSelector":{"` + place + `":` + value + `}}}`)
		agents := m.Objects.Resource(monitoringResource("prometheusagents")).Namespace("monitoring")
		if _, err := agents.Patch(t.Context(), "other", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		stack.Await(t, "the agent's pod to have the node selector "+value, func(ctx context.Context) (bool, error) {
			pod, err := m.Kube.CoreV1().Pods("monitoring").Get(ctx, "prom-agent-other-0", metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return false, nil
			}
			stuck := err == nil && pod.Spec.NodeSelector[place] != ""
			return err == nil && pod.DeletionTimestamp == nil && stuck == (value != "null") && isReady(pod) != stuck, err
		})
	}
}

// create makes an object of the operator's API.
func (m *monitoring) create(t *testing.T, resource, namespace string, object map[string]any) {
	t.Helper()
	gvr := monitoringResource(resource)
	kind := map[string]string{"prometheusrules": "PrometheusRule", "thanosrulers": "ThanosRuler", "prometheusagents": "PrometheusAgent"}[resource]
	object["apiVersion"], object["kind"] = gvr.GroupVersion().String(), kind
	if _, err := m.Objects.Resource(gvr).Namespace(namespace).Create(t.Context(), &unstructured.Unstructured{Object: object}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func ruleSpec(expr string) map[string]any {
	return map[string]any{"groups": []any{map[string]any{"name": "test", "rules": []any{map[string]any{"record": "test", "expr": expr}}}}}
}

// operatorRights are used but for some, which have their reasons.
func (m *monitoring) operatorRights(t *testing.T) {
	t.Helper()
	const asked = "it asks whether it has this right before it starts the controller"
	m.LeastPrivilege(t, "monitoring/prometheus-operator", map[string]string{
		"get scrapeconfigs.monitoring.coreos.com":              asked,
		"get prometheuses.monitoring.coreos.com":               asked,
		"get prometheusagents.monitoring.coreos.com":           asked,
		"get alertmanagers.monitoring.coreos.com":              asked,
		"get thanosrulers.monitoring.coreos.com":               asked,
		"update prometheuses.monitoring.coreos.com/status":     asked,
		"update prometheusagents.monitoring.coreos.com/status": asked,
		"update alertmanagers.monitoring.coreos.com/status":    asked,
		"update thanosrulers.monitoring.coreos.com/status":     asked,
		"delete configmaps":                                    "only when the rules fit into fewer ConfigMaps than before",
		"delete statefulsets.apps":                             "only when a field changes that cannot be changed, or there are fewer shards",
	})
}

// fetch gets a page.
func fetch(ctx context.Context, address string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %s", address, response.Status, text)
	}
	return string(text), err
}

// grep are the lines of a text that hold a word.
func grep(text, word string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			out.WriteString(line)
		}
	}
	return out.String()
}
