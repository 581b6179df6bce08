package egress

import (
	"context"
	"fmt"
	"net"
	"path"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Network finds out what an address of the cluster belongs to. Each answers from memory; nil means nothing.
type Network interface {
	// NodeAt finds the node with this address.
	NodeAt(ip string) *corev1.Node
	// PodAt finds the running pod with this address of its own.
	PodAt(ip string) *corev1.Pod
	// Behind finds a ready pod behind a Service, which is named by its ClusterIP or by NAME.NAMESPACE.svc, and the port there.
	Behind(host string, port int32) (*corev1.Pod, int32)
}

// Program answers in the place of a pod.
type Program interface {
	Connect(ctx context.Context, pod *corev1.Pod, port int32) (net.Conn, error)
}

// Rule says which program stands for which pods.
type Rule struct {
	// Image is a pattern (package path's Match) for the last part of a container's image without tag: "metrics-server".
	Image   string
	Program Program
}

// Router is the Dialer of a cluster.
type Router struct {
	Network Network
	// Kubelet answers on port 10250 of nodes.
	Kubelet func(ctx context.Context, node *corev1.Node) (net.Conn, error)
	Rules   []Rule
}

// Dial implements Dialer.
func (r *Router) Dial(ctx context.Context, address string) (net.Conn, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("reading the address %q: %w", address, err)
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("reading the port of %q: %w", address, err)
	}
	port := int32(number)
	if node := r.Network.NodeAt(host); node != nil {
		if port == node.Status.DaemonEndpoints.KubeletEndpoint.Port {
			return r.Kubelet(ctx, node)
		}
		return nil, ErrRefused
	}
	pod := r.Network.PodAt(host)
	if pod == nil {
		pod, port = r.Network.Behind(strings.TrimSuffix(host, "."), port)
	}
	if pod == nil {
		return nil, ErrRefused
	}
	for _, rule := range r.Rules {
		if rule.matches(pod) {
			return rule.Program.Connect(ctx, pod, port)
		}
	}
	return nil, ErrRefused
}

func (r Rule) matches(pod *corev1.Pod) bool {
	for _, container := range pod.Spec.Containers {
		if ok, err := path.Match(r.Image, imageName(container.Image)); ok && err == nil {
			return true
		}
	}
	return false
}

// imageName is the last part of an image's repository: "metrics-server" of "registry.k8s.io/metrics-server/metrics-server:v0.9.0".
func imageName(image string) string {
	image, _, _ = strings.Cut(image, "@")
	name := path.Base(image)
	name, _, _ = strings.Cut(name, ":")
	return name
}
