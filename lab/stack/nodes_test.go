package stack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/eks-gitops/reconciler/lab/labtest"
	"github.com/eks-gitops/reconciler/lab/stack"
)

// host is what node-problem-detector looks at on a node: logs, the kubelet's port and the services' cgroups, all of this test.
type host struct {
	monitors, checks, logs, cgroups string
	kubelet                         *httptest.Server
	answer                          atomic.Int32 // of the kubelet's /healthz
}

// newHost lays out a node's files, and the configuration that the DaemonSet mounts with what differs on this machine.
func newHost(t *testing.T, kube kubernetes.Interface) *host {
	t.Helper()
	dir := t.TempDir()
	h := &host{
		monitors: filepath.Join(dir, "monitors"), checks: filepath.Join(dir, "checks"), logs: filepath.Join(dir, "logs"), cgroups: filepath.Join(dir, "cgroup"),
	}
	h.answer.Store(http.StatusOK)
	h.kubelet = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			http.NotFound(w, r)
			return
		}
		w.WriteHeader(int(h.answer.Load()))
	}))
	t.Cleanup(h.kubelet.Close)
	write(t, filepath.Join(h.cgroups, "cgroup.controllers"), "cpu memory\n")
	h.populated(t, "runtime.slice/containerd.service", true)
	h.populated(t, "system.slice/chronyd.service", true)
	for _, log := range []string{"kmsg", "journald"} {
		write(t, filepath.Join(h.logs, log), "")
	}
	set, err := kube.AppsV1().DaemonSets("kube-system").Get(t.Context(), "node-problem-detector", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, volume := range set.Spec.Template.Spec.Volumes {
		if volume.ConfigMap == nil {
			continue
		}
		config, err := kube.CoreV1().ConfigMaps("kube-system").Get(t.Context(), volume.ConfigMap.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range config.Data {
			switch volume.Name {
			case "monitors":
				write(t, filepath.Join(h.monitors, name), h.monitor(t, text))
			case "checks":
				file := filepath.Join(h.checks, name)
				write(t, file, text)
				if err := os.Chmod(file, os.FileMode(*volume.ConfigMap.DefaultMode)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return h
}

// monitor is a monitor's configuration with what differs on this machine: where its log is (files in the place of the
// kernel's device and of the journal), where the checks are, how often they run, and the kubelet's port. Conditions, rules and
// patterns are those of the base.
func (h *host) monitor(t *testing.T, text string) string {
	t.Helper()
	var config map[string]any
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	switch plugin := config["plugin"]; plugin {
	case "kmsg", "journald":
		config["plugin"], config["logPath"] = "filelog", filepath.Join(h.logs, plugin.(string))
		config["pluginConfig"] = map[string]any{"timestamp": `^\S+`, "message": `^\S+ (.*)$`, "timestampFormat": time.RFC3339}
	case "custom":
		config["pluginConfig"].(map[string]any)["invoke_interval"] = "1s"
		for _, rule := range config["rules"].([]any) {
			rule := rule.(map[string]any)
			rule["path"] = filepath.Join(h.checks, filepath.Base(rule["path"].(string)))
			if args := rule["args"].([]any); args[0] == "10248" {
				args[0] = h.kubelet.URL[strings.LastIndexByte(h.kubelet.URL, ':')+1:]
			}
		}
	default:
		t.Fatalf("a monitor of the plugin %v is not known here", plugin)
	}
	out, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// populated makes a service's cgroup have processes or none.
func (h *host) populated(t *testing.T, service string, yes bool) {
	t.Helper()
	value := map[bool]string{true: "1", false: "0"}[yes]
	write(t, filepath.Join(h.cgroups, service, "cgroup.events"), "populated "+value+"\nfrozen 0\n")
}

// says adds a line to a log.
func (h *host) says(t *testing.T, log, line string) {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(h.logs, log), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if _, err := fmt.Fprintf(file, "%s %s\n", time.Now().Format(time.RFC3339), line); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// awaitCondition waits until a Node has a condition of a status, for a reason if one is given.
func awaitCondition(t *testing.T, kube kubernetes.Interface, node, condition string, status corev1.ConditionStatus, reason string) {
	t.Helper()
	what := fmt.Sprintf("%s of %s to be %s %s", condition, node, status, reason)
	stack.Await(t, what, func(ctx context.Context) (bool, error) {
		live, err := kube.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		for _, c := range live.Status.Conditions {
			if string(c.Type) == condition {
				return c.Status == status && (reason == "" || c.Reason == reason), nil
			}
		}
		return false, nil
	})
}

// TestNodeProblemDetector runs the real program with the arguments, monitors, checks and rights of the base: what a log says, and
// what the checks find, becomes a condition of the Node.
func TestNodeProblemDetector(t *testing.T) {
	t.Parallel()
	c := stack.Start(t, stack.Options{Nodes: 1})
	c.Base(t, "addons/node-problem-detector")
	h := newHost(t, c.Kube)
	const account = "kube-system/node-problem-detector"
	p := c.Program(t, stack.Spec{
		Path:     labtest.Tool(t, "node-problem-detector"),
		Workload: "DaemonSet " + account,
		Set: map[string]string{
			"--port": fmt.Sprint(stack.FreePort(t)), "--prometheus-port": fmt.Sprint(stack.FreePort(t)), "--prometheus-address": "127.0.0.1",
		},
		Add:  []string{"--apiserver-override=" + c.Plane.Endpoint() + "?inClusterConfig=false&auth=" + c.Kubeconfig(t, account)},
		Host: map[string]string{"/monitors": h.monitors, "/checks": h.checks, "/host/cgroup": h.cgroups},
	})
	node := p.Pod.Spec.NodeName
	well := []string{
		"KernelDeadlock", "ReadonlyFilesystem", "HardwareErrorFatal", "CorruptContainerImage", "KubeletUnhealthy", "ContainerRuntimeUnhealthy", "NTPProblem",
	}
	for _, condition := range well {
		awaitCondition(t, c.Kube, node, condition, corev1.ConditionFalse, "")
	}

	h.says(t, "kmsg", "INFO: task containerd-shim:4711 blocked for more than 120 seconds.")
	awaitCondition(t, c.Kube, node, "KernelDeadlock", corev1.ConditionTrue, "RuntimeTaskHung")
	h.says(t, "kmsg", "XFS (nvme0n1p1): Log I/O Error (0x2) detected at xlog_ioend_work+0x6c/0x70 (fs/xfs/xfs_log.c:1378).  Shutting down filesystem.")
	awaitCondition(t, c.Kube, node, "ReadonlyFilesystem", corev1.ConditionTrue, "XfsHasShutDown")
	h.says(t, "journald", `level=error msg="PullImage failed" error="failed commit on ref \"layer-sha256:0a\": unexpected commit digest sha256:0b"`)
	awaitCondition(t, c.Kube, node, "CorruptContainerImage", corev1.ConditionTrue, "CorruptLayer")

	h.answer.Store(http.StatusInternalServerError)
	awaitCondition(t, c.Kube, node, "KubeletUnhealthy", corev1.ConditionTrue, "KubeletIsUnhealthy")
	h.answer.Store(http.StatusOK)
	awaitCondition(t, c.Kube, node, "KubeletUnhealthy", corev1.ConditionFalse, "KubeletIsHealthy")
	h.populated(t, "runtime.slice/containerd.service", false)
	awaitCondition(t, c.Kube, node, "ContainerRuntimeUnhealthy", corev1.ConditionTrue, "ContainerRuntimeIsDown")
	h.populated(t, "system.slice/chronyd.service", false)
	awaitCondition(t, c.Kube, node, "NTPProblem", corev1.ConditionTrue, "NTPIsDown")

	// Said twice it is one Event, counted.
	for range 2 {
		h.says(t, "kmsg", "Memory cgroup out of memory: Killed process 4242 (web) total-vm:1kB, anon-rss:1kB, file-rss:0kB, shmem-rss:0kB")
	}
	stack.Await(t, "an Event that says OOMKilling twice", func(ctx context.Context) (bool, error) {
		events, err := c.Kube.CoreV1().Events("").List(ctx, metav1.ListOptions{FieldSelector: "reason=OOMKilling,involvedObject.name=" + node})
		return err == nil && len(events.Items) == 1 && events.Items[0].Count == 2, err
	})
	c.LeastPrivilege(t, account, nil)
}
