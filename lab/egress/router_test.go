package egress_test

import (
	"context"
	"errors"
	"net"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eks-gitops/reconciler/lab/egress"
)

// network has the node 192.168.0.1, the pod 10.0.0.1 behind the Service 10.100.0.7:443 and hook.apps.svc:443, and the pod
// 10.0.0.2 that nobody stands for.
type network struct{}

func pod(name, image string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: name},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Image: image}}},
	}
}

func (network) NodeAt(ip string) *corev1.Node {
	if ip != "192.168.0.1" {
		return nil
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = 10250
	return node
}

func (network) PodAt(ip string) *corev1.Pod {
	switch ip {
	case "10.0.0.1":
		return pod("hook", "registry.example:5000/team/hook:v1@sha256:abc")
	case "10.0.0.2":
		return pod("web", "nginx")
	}
	return nil
}

func (n network) Behind(host string, port int32) (*corev1.Pod, int32) {
	if (host == "10.100.0.7" || host == "hook.apps.svc") && port == 443 {
		return n.PodAt("10.0.0.1"), 8443
	}
	return nil, 0
}

// errReached tells by its text who was reached.
type errReached string

func (e errReached) Error() string { return string(e) }

type program struct{}

func (program) Connect(_ context.Context, p *corev1.Pod, port int32) (net.Conn, error) {
	if port == 8443 {
		return nil, errReached("program of " + p.Name + " by Service")
	}
	return nil, errReached("program of " + p.Name)
}

func TestWhoAnswersForWhichAddress(t *testing.T) {
	t.Parallel()
	router := &egress.Router{
		Network: network{},
		Kubelet: func(_ context.Context, n *corev1.Node) (net.Conn, error) {
			return nil, errReached("kubelet of " + n.Name)
		},
		Rules: []egress.Rule{{Image: "ho?k", Program: program{}}},
	}
	refused := egress.ErrRefused.Error()
	for address, want := range map[string]string{
		"192.168.0.1:10250":   "kubelet of node",
		"192.168.0.1:22":      refused,
		"10.0.0.1:9443":       "program of hook",
		"10.0.0.2:80":         refused,
		"10.100.0.7:443":      "program of hook by Service",
		"10.100.0.7:80":       refused,
		"hook.apps.svc:443":   "program of hook by Service",
		"hook.apps.svc.:443":  "program of hook by Service",
		"127.0.0.1:22":        refused,
		"169.254.169.254:80":  refused,
		"example.com:443":     refused,
		"[::1]:22":            refused,
		"192.168.0.1:99999":   "",
		"without-port":        "",
		"10.0.0.1:0x50":       "",
		"10.0.0.1:-1":         "",
		"hook.apps.svc:https": "",
	} {
		conn, err := router.Dial(t.Context(), address)
		if conn != nil || err == nil {
			t.Errorf("%s: got a connection", address)
			continue
		}
		if want != "" && err.Error() != want {
			t.Errorf("%s: got %v, want %s", address, err, want)
		}
		if _, reached := errors.AsType[errReached](err); want == "" && (reached || errors.Is(err, egress.ErrRefused)) {
			t.Errorf("%s: got %v, want a complaint about the address", address, err)
		}
	}
}

func FuzzDial(f *testing.F) {
	f.Add("10.0.0.1:443")
	f.Add("[fe80::1%eth0]:443")
	router := &egress.Router{
		Network: network{}, Kubelet: func(context.Context, *corev1.Node) (net.Conn, error) { return nil, errReached("kubelet") },
		Rules: []egress.Rule{{Image: "hook", Program: program{}}},
	}
	f.Fuzz(func(t *testing.T, address string) {
		if conn, err := router.Dial(t.Context(), address); conn != nil || err == nil {
			t.Errorf("%q led somewhere", address)
		}
	})
}
