package stack_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eks-gitops/reconciler/lab/labtest"
	"github.com/eks-gitops/reconciler/lab/stack"
)

// TestMonitoring runs the programs of kube-prometheus together, as their pods would: with the arguments, files and service accounts of
// the base, and with the configuration that the real operator makes. What one of them tells reaches the others.
func TestMonitoring(t *testing.T) {
	t.Parallel()
	m := newMonitoring(t)
	m.web = requestsServer(t)
	m.runOperator(t)
	m.runStateMetrics(t)
	m.runNodeExporter(t)
	m.receiveAlerts(t)
	m.Overlay(t, "addons/custom-metrics-example", "resources: [../../../../"+monitoringBase+"/prometheus-adapter/example]\n")
	m.runPrometheus(t)
	t.Run("targets", m.targets)
	t.Run("alerts arrive", m.alertsArrive)
	t.Run("autoscaling", m.autoscaling)
	t.Run("queries", m.queries)
	m.LeastPrivilege(t, "monitoring/prometheus-k8s", map[string]string{
		"get nodes/metrics": "the kubelet asks on the server's behalf, and let it in: see targets",
	})
	m.LeastPrivilege(t, "monitoring/prometheus-adapter", nil)
}

// requestsServer counts what the example's pods would count: every scrape finds a hundred more requests.
func requestsServer(t *testing.T) *httptest.Server {
	t.Helper()
	var total atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "# TYPE http_requests_total counter\nhttp_requests_total{code=\"200\"} %d\n", total.Add(100))
	}))
	t.Cleanup(server.Close)
	return server
}

func (m *monitoring) runNodeExporter(t *testing.T) {
	t.Helper()
	m.Program(t, stack.Spec{
		Path: labtest.Tool(t, "node-exporter"), Workload: "DaemonSet node-exporter/node-exporter", Set: map[string]string{"--web.listen-address": m.node},
		Host: map[string]string{"/host/proc": "/proc", "/host/sys": "/sys", "/host/root": "/"},
	})
	stack.Await(t, "node-exporter to tell of the node", func(ctx context.Context) (bool, error) {
		text, err := fetch(ctx, "http://"+m.node+"/metrics")
		if err != nil {
			return false, nil //nolint:nilerr // it is starting
		}
		return strings.Contains(text, `node_cpu_seconds_total{cpu="0",mode="idle"}`), nil
	})
}

// receiveAlerts stands for Alertmanager, whose module cannot be built: it takes what Prometheus sends. The configuration that the operator
// made is amtool's to judge.
func (m *monitoring) receiveAlerts(t *testing.T) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "alertmanager.yaml")
	write(t, config, m.generated(t, "alertmanager-main-generated", "alertmanager.yaml.gz", "receiver: watchdog"))
	tool(t, "", "amtool", "check-config", config)
	m.alerts = make(chan sentAlert, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var sent []sentAlert
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil || r.URL.Path != "/api/v2/alerts" {
			http.Error(w, "alerts are expected", http.StatusBadRequest)
			return
		}
		for _, one := range sent {
			select {
			case m.alerts <- one:
			default: // nobody asks now; it comes again
			}
		}
	}))
	t.Cleanup(server.Close)
	m.alertmanager = strings.TrimPrefix(server.URL, "http://")
}

// sentAlert is one of those that Prometheus sends.
type sentAlert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func (m *monitoring) runPrometheus(t *testing.T) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	write(t, filepath.Join(root, "etc/prometheus/config_out/prometheus.env.yaml"), m.prometheusConfig(t, root))
	p := m.Program(t, stack.Spec{
		Path: labtest.Tool(t, "prometheus"), Workload: "StatefulSet monitoring/prometheus-k8s", Container: "prometheus", Root: root,
		Env: plainLists(), Add: []string{"--web.listen-address=" + m.prometheus},
	})
	p.Await(t, "Server is ready to receive web requests")
	tool(t, root, "promtool", "check", "config", "etc/prometheus/config_out/prometheus.env.yaml")
}

// targets checks what the servers find: every monitor of the base has targets, and those that answer here let us in.
func (m *monitoring) targets(t *testing.T) {
	type target struct {
		Pool   string            `json:"scrapePool"`
		Labels map[string]string `json:"labels"`
		Health string            `json:"health"`
		Error  string            `json:"lastError"`
	}
	found := map[string]target{}
	want := []string{
		"apiserver", "kube-scheduler", "kube-controller-manager", "kubelet", "cadvisor", "prometheus-operator", "kube-state-metrics", "prometheus-k8s",
		"alertmanager-main", "grafana", "node-exporter", "custom-metrics-example/web",
	}
	var missing []string
	defer func() {
		if len(missing) > 0 {
			t.Errorf("these have no targets, or were never asked: %v", missing)
		}
	}()
	stack.Await(t, "targets of all monitors", func(ctx context.Context) (bool, error) {
		var answer struct {
			Active []target `json:"activeTargets"`
		}
		if err := m.ask(ctx, "/api/v1/targets?state=active", &answer); err != nil {
			return false, err
		}
		for _, one := range answer.Active {
			if one.Health != "unknown" {
				found[one.Labels["job"]] = one
			}
		}
		missing = slices.DeleteFunc(slices.Clone(want), func(job string) bool {
			_, ok := found[job]
			return ok
		})
		return len(missing) == 0, nil
	})
	for _, job := range []string{"apiserver", "custom-metrics-example/web"} {
		if found[job].Health != "up" {
			t.Errorf("%s is %s: %s", job, found[job].Health, found[job].Error)
		}
	}
	// The lab's kubelets know only /metrics/resource, and EKS's API is not there: what counts is that they do not say 401 or 403.
	for _, job := range []string{"kubelet", "cadvisor", "kube-scheduler", "kube-controller-manager"} {
		if !strings.Contains(found[job].Error, "HTTP status 404") && !strings.Contains(found[job].Error, "HTTP status 501") {
			t.Errorf("%s answers %q, want that it knows no such path", job, found[job].Error)
		}
	}
}

// ask puts a question to Prometheus.
func (m *monitoring) ask(ctx context.Context, path string, into any) error {
	text, err := fetch(ctx, "http://"+m.prometheus+path)
	if err != nil {
		return err
	}
	var answer struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return fmt.Errorf("reading the answer to %s: %w", path, err)
	}
	return json.Unmarshal(answer.Data, into)
}

// alertsArrive checks that a rule's alert leaves the servers, with the cluster's name on it.
func (m *monitoring) alertsArrive(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), stack.Patience)
	defer cancel()
	for {
		select {
		case alert := <-m.alerts:
			if alert.Labels["alertname"] != "Watchdog" {
				continue
			}
			if alert.Labels["cluster"] != "lab" || alert.Annotations["runbook_url"] == "" {
				t.Errorf("the watchdog arrives as %+v", alert)
			}
			return
		case <-ctx.Done():
			t.Fatal("the watchdog does not arrive")
		}
	}
}

// autoscaling follows a counter of pods to a larger Deployment: Prometheus, prometheus-adapter, the API server, the autoscaler.
func (m *monitoring) autoscaling(t *testing.T) {
	applied := make(chan struct{})
	defer func() { <-applied }()
	go func() { // it becomes Ready only when the program below answers
		defer close(applied)
		m.Base(t, monitoringBase, "cluster-facts", "prometheus-adapter")
	}()
	stack.Await(t, "the adapter's pods", func(ctx context.Context) (bool, error) {
		if t.Failed() {
			return false, errors.New("the base could not be applied")
		}
		adapter, err := m.Kube.AppsV1().Deployments("monitoring").Get(ctx, "prometheus-adapter", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil && adapter.Status.ReadyReplicas == 2, err
	})
	_, port, _ := strings.Cut(m.adapter, ":")
	config := m.Kubeconfig(t, "monitoring/prometheus-adapter")
	m.Program(t, stack.Spec{
		Path: labtest.Tool(t, "prometheus-adapter"), Workload: "Deployment monitoring/prometheus-adapter",
		Set: map[string]string{"--prometheus-url": "http://" + m.prometheus + "/", "--secure-port": port, "--metrics-relist-interval": "5s"},
		Add: []string{
			"--bind-address=127.0.0.1", "--lister-kubeconfig=" + config, "--authentication-kubeconfig=" + config, "--authorization-kubeconfig=" + config,
		},
	})
	<-applied
	if t.Failed() {
		t.FailNow()
	}
	stack.Await(t, "the autoscaler to scale the example to its maximum", func(ctx context.Context) (bool, error) {
		web, err := m.Kube.AppsV1().Deployments("custom-metrics-example").Get(ctx, "web", metav1.GetOptions{})
		return err == nil && *web.Spec.Replicas == 10, err
	})
	var groups metav1.APIGroupList
	text, err := m.Kube.Discovery().RESTClient().Get().AbsPath("/apis").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &groups); err != nil {
		t.Fatal(err)
	}
	for _, group := range groups.Groups {
		if group.Name == "metrics.k8s.io" {
			t.Error("prometheus-adapter serves metrics.k8s.io, which is metrics-server's")
		}
	}
}
