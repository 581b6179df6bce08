package gitops

import (
	"cmp"
	"fmt"
	"strings"
)

// Domain says which world a Ref lives in, and so which Observer and Actor answer for it.
type Domain string

const (
	// EKS is AWS: clusters, nodegroups, addons, IAM.
	EKS Domain = "eks"
	// K8s is the API server of one cluster.
	K8s Domain = "k8s"
	// Git is what only git knows of: overlays, as something to wait for (plan.Gate). Nothing of it is observed or applied.
	Git Domain = "git"
)

// Ref names one thing that is planned and applied as a unit. It is comparable and used as a map key.
//
// In the EKS domain Group is empty, Kind is the product's word (Cluster, Nodegroup, Addon ...), Namespace is the cluster's
// name and Name may contain slashes (an IAM service account is "namespace/name").
// In the K8s domain Group is the API group ("" for core), and Namespace is empty for cluster-scoped kinds.
type Ref struct {
	Domain    Domain `json:"domain"`
	Group     string `json:"group,omitempty"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// Text forms of the empty group and the empty namespace. Neither is a legal group or namespace, so parsing is exact.
const (
	coreGroup    = "core"
	clusterScope = "-"
)

// String gives the one-line form: "eks/Nodegroup/dev/system", "k8s/apps/Deployment/shop/web", "k8s/core/Namespace/-/shop".
// ParseRef reads it back.
func (r Ref) String() string {
	if r.Domain == EKS {
		return strings.Join([]string{string(r.Domain), r.Kind, r.Namespace, r.Name}, "/")
	}
	group, namespace := r.Group, r.Namespace
	if group == "" {
		group = coreGroup
	}
	if namespace == "" {
		namespace = clusterScope
	}
	return strings.Join([]string{string(r.Domain), group, r.Kind, namespace, r.Name}, "/")
}

// Label is the short form for people: "Nodegroup system", "apps/Deployment shop/web", "Namespace shop". A ref of a whole domain, as in an
// Error about all of it, is "AWS" or "the cluster's API".
func (r Ref) Label() string {
	switch {
	case r == Ref{Domain: EKS}:
		return "AWS"
	case r == Ref{Domain: K8s}:
		return "the cluster's API"
	case r.Domain == EKS:
		return r.Kind + " " + r.Name
	}
	kind, name := r.Kind, r.Name
	if r.Group != "" {
		kind = r.Group + "/" + r.Kind
	}
	if r.Namespace != "" {
		name = r.Namespace + "/" + r.Name
	}
	return kind + " " + name
}

// IsZero reports whether r names nothing, as in an Error about a whole overlay.
func (r Ref) IsZero() bool { return r == Ref{} }

// Compare orders refs by domain, kind, group, namespace and name, so that output never depends on map order.
func (r Ref) Compare(o Ref) int {
	return cmp.Or(
		cmp.Compare(r.Domain, o.Domain), cmp.Compare(r.Kind, o.Kind), cmp.Compare(r.Group, o.Group),
		cmp.Compare(r.Namespace, o.Namespace), cmp.Compare(r.Name, o.Name),
	)
}

// ParseRef reads the text form that String writes.
func ParseRef(s string) (Ref, error) {
	domain, rest, _ := strings.Cut(s, "/")
	switch Domain(domain) {
	case EKS:
		if part := strings.SplitN(rest, "/", 3); len(part) == 3 && filled(part...) {
			return Ref{Domain: EKS, Kind: part[0], Namespace: part[1], Name: part[2]}, nil
		}
	case K8s:
		if part := strings.Split(rest, "/"); len(part) == 4 && filled(part...) {
			r := Ref{Domain: K8s, Group: part[0], Kind: part[1], Namespace: part[2], Name: part[3]}
			if r.Group == coreGroup {
				r.Group = ""
			}
			if r.Namespace == clusterScope {
				r.Namespace = ""
			}
			return r, nil
		}
	case Git: // named in plans, never by people
	}
	return Ref{}, fmt.Errorf("parsing ref %q: want eks/KIND/CLUSTER/NAME or k8s/GROUP/KIND/NAMESPACE/NAME (group %q for the core group, namespace %q for cluster-scoped kinds)", s, coreGroup, clusterScope)
}

func filled(parts ...string) bool {
	for _, p := range parts {
		if p == "" {
			return false
		}
	}
	return true
}
