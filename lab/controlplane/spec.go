// Package controlplane runs the control plane of one cluster: etcd, kube-apiserver, kube-controller-manager and
// kube-scheduler, plus kwok in the place of all kubelets, each a process of its own.
//
// Input: a Spec. Output: a Plane that serves the Kubernetes API on loopback, with its credentials in files. Invariants: all
// state is under Spec.Dir, so that a plane stopped in whatever way starts again as it was, at the same address; nothing
// listens on other than loopback or unix sockets; no process outlives the one that started it.
package controlplane

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
)

// The programs of a control plane, as users know them, and as the executable calls them by its first argument.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Kwok              = "kwok"
)

// Programs lists them.
func Programs() []string { return []string{Etcd, APIServer, ControllerManager, Scheduler, Kwok} }

// Minors are the Kubernetes minor versions that the binary can be: its own and the three before, by emulation (KEP-4330).
func Minors() []string { return []string{"1.33", "1.34", "1.35", "1.36"} }

// Spec says what a control plane shall be.
type Spec struct {
	// Cluster names it in kubeconfigs.
	Cluster string
	// Dir keeps all state.
	Dir string
	// Version is the minor version to serve, one of Minors; empty means the newest.
	Version string
	// Issuer is the issuer of service account tokens; empty means the API server itself.
	Issuer string
	// ServiceCIDR is where ClusterIPs come from; empty means 10.100.0.0/16, EKS's default.
	ServiceCIDR string
	// UnsafeNoFsync makes etcd lose data when the machine (not the process) dies.
	UnsafeNoFsync bool
	// TokenWebhook answers TokenReviews of bearer tokens that are no service account's; empty means none.
	TokenWebhook *Webhook
	// Egress says that an HTTP CONNECT proxy listens on EgressSocket in Dir for everything that the API server calls
	// inside the cluster; without it such calls are made directly.
	Egress bool
	// Controllers are what runs of kube-controller-manager, by name; none means its own choice.
	Controllers []string
	// Audit keeps a log of what service accounts ask the API server, and what it answers: AuditLog.
	Audit bool
	// Env is the environment of the processes.
	Env []string
	// Executable is the binary that holds the components.
	Executable string
}

// EgressSocket is the name of the unix socket in Spec.Dir on which the egress proxy listens.
const EgressSocket = "egress.sock"

// Webhook is an HTTPS server that the API server asks.
type Webhook struct{ URL, CAFile string }

func (s *Spec) complete() error {
	if s.Version == "" {
		s.Version = Minors()[len(Minors())-1]
	}
	if s.ServiceCIDR == "" {
		s.ServiceCIDR = "10.100.0.0/16"
	}
	if s.Cluster == "" {
		s.Cluster = "lab"
	}
	known := false
	for _, minor := range Minors() {
		known = known || minor == s.Version
	}
	if !known {
		return fmt.Errorf("serving Kubernetes %s: this binary can be %s", s.Version, strings.Join(Minors(), ", "))
	}
	if _, err := netip.ParsePrefix(s.ServiceCIDR); err != nil {
		return fmt.Errorf("reading the service CIDR: %w", err)
	}
	return nil
}

// ipv6 says that Services and pods have IPv6 addresses, as they all have in a cluster of that family on EKS.
func (s *Spec) ipv6() bool {
	services, err := netip.ParsePrefix(s.ServiceCIDR)
	return err == nil && services.Addr().Is6()
}

// advertised is the API server's address inside the cluster, the endpoint of the Service kubernetes. It may not be a loopback
// address, and is of the Services' family; where connections to it lead is decided by the lab's egress. The networks for documentation
// (RFC 5737, RFC 3849) never are anybody's.
func (s *Spec) advertised() string {
	if s.ipv6() {
		return "2001:db8::1"
	}
	return "192.0.2.1"
}

// podCIDR is where pods' addresses come from.
func (s *Spec) podCIDR() string {
	if s.ipv6() {
		return "2001:db8:64::/64"
	}
	return "100.64.0.0/10"
}

// addressIn is the n-th address of a network: 1 is the kubernetes Service, 10 is kube-dns.
func addressIn(cidr string, n int) (string, error) {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil {
		return "", fmt.Errorf("reading the service CIDR: %w", err)
	}
	address := prefix.Masked().Addr()
	for range n {
		address = address.Next()
	}
	return address.String(), nil
}

func (s *Spec) file(parts ...string) string {
	return filepath.Join(append([]string{s.Dir}, parts...)...)
}
