package stack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/eks-gitops/reconciler/lab/labtest"
	"github.com/eks-gitops/reconciler/lab/stack"
	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// demoBenchmark runs the benchmark's Job with the real k6 against a server of the test's, and has it report to the real
// Pushgateway as the demo runs it.
func demoBenchmark(t *testing.T, c *stack.Cluster, items []gitops.Item) {
	address := fmt.Sprintf("127.0.0.1:%d", stack.FreePort(t))
	c.Program(t, stack.Spec{
		Path: labtest.Tool(t, "pushgateway"), Workload: "Deployment cncf-demo/pushgateway", Set: map[string]string{"--web.listen-address": address},
	})
	gateway := "http://" + address
	stack.Await(t, "the Pushgateway to be ready", func(ctx context.Context) (bool, error) {
		_, code := pageAt(ctx, gateway+"/-/ready")
		return code == http.StatusOK, nil
	})
	var asked atomic.Int64
	good := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(good.Close)
	bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	t.Cleanup(bad.Close)
	job := benchmarkJob(t, items)

	if code, out := job.run(t, good.URL, gateway, "0"); code != 0 {
		t.Fatalf("the benchmark exits %d:\n%s", code, out)
	}
	first := fetchMetrics(t, gateway)
	labels := `{instance="0",job="benchmark",node="node-a"}`
	if got, want := first["benchmark_requests"+labels], float64(asked.Load()); got != want || want == 0 {
		t.Errorf("the report tells of %v requests, the server saw %v", got, want)
	}
	if got := first["benchmark_failed_ratio"+labels]; got != 0 {
		t.Errorf("the report says that %v failed, but nothing did", got)
	}
	asks := queries(t, configMapFile(t, items, "grafana-dashboards", "benchmark.json"))
	for name := range metricsOf(t, asks) {
		if !hasMetric(first, name) {
			t.Errorf("the dashboard asks for %s, which the Pushgateway does not have", name)
		}
	}
	t.Run("shown", func(t *testing.T) { shown(t, c, items, address, asks) })

	// A later run of the same number replaces the report; one of another number stands beside it.
	if code, out := job.run(t, bad.URL, gateway, "0"); code == 0 {
		t.Errorf("a benchmark in which every request failed exits 0:\n%s", out)
	}
	if code, out := job.run(t, good.URL, gateway, "1"); code != 0 {
		t.Errorf("the second benchmark exits %d:\n%s", code, out)
	}
	last := fetchMetrics(t, gateway)
	var ratios []string
	for series := range last {
		if strings.HasPrefix(series, "benchmark_failed_ratio") {
			ratios = append(ratios, series)
		}
	}
	if last["benchmark_failed_ratio"+labels] != 1 || len(ratios) != 2 {
		t.Errorf("after three runs of two numbers the Pushgateway has %v, the failed one at %v", ratios, last["benchmark_failed_ratio"+labels])
	}
	if code, out := job.run(t, good.URL, bad.URL, "2"); code == 0 {
		t.Errorf("a benchmark whose report was refused exits 0:\n%s", out)
	}
}

// shown runs the real Prometheus as the demo does, but for the Pushgateway's address, and puts the dashboard's questions to it.
func shown(t *testing.T, c *stack.Cluster, items []gitops.Item, pushgateway string, asks []string) {
	config := configMapFile(t, items, "prometheus", "prometheus.yml")
	for before, after := range map[string]string{"pushgateway.cncf-demo.svc:9091": pushgateway, "scrape_interval: 15s": "scrape_interval: 1s"} {
		if !strings.Contains(config, before) {
			t.Fatalf("the configuration does not say %q:\n%s", before, config)
		}
		config = strings.ReplaceAll(config, before, after)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", stack.FreePort(t))
	c.Program(t, stack.Spec{
		Path: labtest.Tool(t, "prometheus"), Workload: "StatefulSet cncf-demo/prometheus",
		Set: map[string]string{"--web.listen-address": address}, Host: map[string]string{"/etc/prometheus": dir},
	})
	for _, ask := range asks {
		stack.Await(t, "an answer to "+ask, func(ctx context.Context) (bool, error) {
			body, code := pageAt(ctx, "http://"+address+"/api/v1/query?query="+url.QueryEscape(ask))
			return code == http.StatusOK && strings.Contains(body, `"value":[`), nil
		})
	}
}

// k6Job is a Job of the demo that k6 can run here.
type k6Job struct {
	container corev1.Container
	script    string
}

func benchmarkJob(t *testing.T, items []gitops.Item) k6Job {
	t.Helper()
	var job batchv1.Job
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(specOf(t, items, "Job", "benchmark"), &job); err != nil {
		t.Fatal(err)
	}
	return k6Job{job.Spec.Template.Spec.Containers[0], configMapFile(t, items, "benchmark", "benchmark.js")}
}

// run runs it with the arguments and variables of the manifest, but for where and how long.
func (j k6Job) run(t *testing.T, target, gateway, instance string) (code int, output string) {
	t.Helper()
	dir := t.TempDir()
	set := map[string]string{
		"TARGET": target, "PUSHGATEWAY": gateway, "INSTANCE": instance, "NODE": "node-a", "USERS": "2", "DURATION": "1s", "HOME": dir,
	}
	env := map[string]string{}
	for _, variable := range j.container.Env {
		value, here := set[variable.Name]
		if !here && variable.ValueFrom != nil {
			t.Fatalf("the variable %s has no value here", variable.Name)
		}
		if !here {
			value = variable.Value
		}
		env[variable.Name] = value
		delete(set, variable.Name)
	}
	if len(set) > 0 {
		t.Fatalf("the manifest does not set %v", set)
	}
	script := filepath.Join(dir, "benchmark.js")
	if err := os.WriteFile(script, []byte(j.script), 0o600); err != nil {
		t.Fatal(err)
	}
	var args []string
	for _, arg := range j.container.Args {
		args = append(args, strings.ReplaceAll(arg, "/scripts/benchmark.js", script))
	}
	return program(t, env, labtest.Tool(t, "k6"), args...)
}

// pageAt asks for a page; code 0 says that nobody answered.
func pageAt(ctx context.Context, url string) (body string, code int) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", 0
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", 0
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", 0
	}
	return string(text), response.StatusCode
}

// fetchMetrics are the samples of a /metrics page by series.
func fetchMetrics(t *testing.T, url string) map[string]float64 {
	t.Helper()
	text, code := pageAt(t.Context(), url+"/metrics")
	if code != http.StatusOK {
		t.Fatalf("%s/metrics answers %d", url, code)
	}
	out := map[string]float64{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		cut := strings.LastIndexByte(line, ' ')
		if cut < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		value, err := strconv.ParseFloat(line[cut+1:], 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		out[line[:cut]] = value
	}
	return out
}

func hasMetric(samples map[string]float64, name string) bool {
	for series := range samples {
		if series == name || strings.HasPrefix(series, name+"{") {
			return true
		}
	}
	return false
}

var selector = regexp.MustCompile(`([a-z_]+)\{`)

// queries are what the panels of a dashboard ask for; promtool has to understand each.
func queries(t *testing.T, dashboard string) []string {
	t.Helper()
	var d struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal([]byte(dashboard), &d); err != nil {
		t.Fatal(err)
	}
	var out []string
	rules := "groups:\n- name: dashboard\n  rules:\n"
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			rules += fmt.Sprintf("  - {record: 'query:%d', expr: %q}\n", len(out), target.Expr)
			out = append(out, target.Expr)
		}
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, said := program(t, nil, labtest.Tool(t, "promtool"), "check", "rules", file); code != 0 {
		t.Errorf("promtool does not understand the dashboard:\n%s", said)
	}
	return out
}

// metricsOf are the metrics that queries name; each has to name one.
func metricsOf(t *testing.T, queries []string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, query := range queries {
		found := selector.FindAllStringSubmatch(query, -1)
		if len(found) == 0 {
			t.Errorf("a panel asks for nothing: %s", query)
		}
		for _, match := range found {
			out[match[1]] = true
		}
	}
	if len(out) == 0 {
		t.Error("the dashboard has no panels")
	}
	return out
}
