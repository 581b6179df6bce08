package stack_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/lab/stack"
)

// generated is a configuration that the operator has made, once it holds a word, as the sidecar of the first pod would unpack it.
func (m *monitoring) generated(t *testing.T, secret, key, word string) string {
	t.Helper()
	var text string
	stack.Await(t, fmt.Sprintf("the operator to make %s with %s", secret, word), func(ctx context.Context) (bool, error) {
		object, err := m.Kube.CoreV1().Secrets("monitoring").Get(ctx, secret, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		reader, err := gzip.NewReader(bytes.NewReader(object.Data[key]))
		if err != nil {
			return false, err
		}
		unpacked, err := io.ReadAll(reader)
		text = string(unpacked)
		return strings.Contains(text, word), err
	})
	return strings.NewReplacer("$(POD_NAME)", secret+"-0", "$(SHARD)", "0").Replace(text)
}

// prometheusConfig is the configuration that the operator made from all monitors, with what differs on this machine: the files of
// the pod are below root, credentials for discovery come from a kubeconfig, pods and nodes have no network of their own, and nobody wants to
// wait half a minute.
func (m *monitoring) prometheusConfig(t *testing.T, root string) string {
	t.Helper()
	text := m.generated(t, "prometheus-k8s", "prometheus.yaml.gz", "podMonitor/custom-metrics-example/web")
	for _, path := range []string{"/etc/prometheus/", "/var/run/secrets/"} {
		text = strings.ReplaceAll(text, " "+path, " "+root+path)
	}
	var config map[string]any
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	kubeconfig := m.Kubeconfig(t, "monitoring/prometheus-k8s")
	global := section(t, config, "global")
	global["scrape_interval"], global["scrape_timeout"], global["evaluation_interval"] = "2s", "2s", "5s"
	jobs := list(t, config, "scrape_configs")
	if len(jobs) < 15 {
		t.Errorf("the operator made %d jobs of the monitors of the base", len(jobs))
	}
	for _, job := range jobs {
		delete(job, "scrape_interval")
		delete(job, "scrape_timeout")
		m.discover(t, job, kubeconfig)
		m.reach(t, job)
	}
	for _, receiver := range list(t, section(t, config, "alerting"), "alertmanagers") {
		m.discover(t, receiver, kubeconfig)
		redirect(receiver, m.alertmanager)
	}
	out, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// discover lets a job find its targets with the rights of the server's service account.
func (m *monitoring) discover(t *testing.T, job map[string]any, kubeconfig string) {
	t.Helper()
	for _, discovery := range list(t, job, "kubernetes_sd_configs") {
		discovery["kubeconfig_file"] = kubeconfig
	}
}

// reach leads a job to what stands for its targets here.
func (m *monitoring) reach(t *testing.T, job map[string]any) {
	t.Helper()
	name := fmt.Sprint(job["job_name"])
	apiserver, err := url.Parse(m.Plane.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case strings.Contains(name, "kube-apiserver"), strings.Contains(name, "eks-kube"):
		redirect(job, apiserver.Host)
	case strings.Contains(name, "custom-metrics-example"):
		redirect(job, strings.TrimPrefix(m.web.URL, "http://"))
	case strings.HasSuffix(name, "/kubelet"), strings.HasSuffix(name, "/cadvisor"):
		job["proxy_url"] = "http://" + m.Site.Proxy()
	}
}

// redirect adds a last relabelling that gives all targets one address.
func redirect(job map[string]any, address string) {
	rules, _ := job["relabel_configs"].([]any)
	job["relabel_configs"] = append(rules, map[string]any{"target_label": "__address__", "replacement": address})
}

func section(t *testing.T, of map[string]any, key string) map[string]any {
	t.Helper()
	out, ok := of[key].(map[string]any)
	if !ok {
		t.Fatalf("the configuration has no %s", key)
	}
	return out
}

func list(t *testing.T, of map[string]any, key string) []map[string]any {
	t.Helper()
	entries, ok := of[key].([]any)
	if !ok {
		t.Fatalf("the configuration has no %s", key)
	}
	var out []map[string]any
	for _, one := range entries {
		entry, ok := one.(map[string]any)
		if !ok {
			t.Fatalf("%s has the entry %v", key, one)
		}
		out = append(out, entry)
	}
	return out
}

// metricLists are the files with metrics of programs that do not run in the lab, one name and its source a line.
func metricLists(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(stack.Root(t), "lab", "stack", "testdata", "metrics", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no lists of metrics: %v", err)
	}
	return files
}
