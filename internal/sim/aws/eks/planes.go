package eks

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// ControlPlanes are what serves the Kubernetes API of clusters. No method waits: each only says what is wanted or tells what
// is. They are called under the world's lock and must not call back into the simulator before returning.
type ControlPlanes interface {
	// Ensure makes the control plane be as wanted. It is called when that changes and once after every start.
	Ensure(want ControlPlane)
	// Status tells how far the control plane of a cluster is.
	Status(cluster string) PlaneStatus
	// Delete takes it away. Deleting what is gone is no error; Status tells when it is.
	Delete(cluster string)
}

// ControlPlane is what a cluster's control plane shall be.
type ControlPlane struct {
	Cluster string
	ARN     string
	ID      string // the cluster's own part of endpoint and issuer
	// Version is the minor version to serve ("1.35").
	Version     string
	Issuer      string // of service account tokens
	IPFamily    string // "ipv4" or "ipv6"
	ServiceCIDR string
	// VPC is where the nodes are, SecurityGroup the one that EKS made for control plane and nodes.
	VPC, SecurityGroup string
	// AuthenticationMode says whether the aws-auth ConfigMap, access entries or both let principals in.
	AuthenticationMode string
	// Software is what EKS runs or installs in the cluster, in the order of names.
	Software []Software
}

// Software is an add-on, or the unmanaged form of one that EKS puts into a new cluster.
type Software struct {
	Name, Version, Namespace string
	Configuration            string // JSON or YAML by the add-on's schema
	RoleARN                  string // for the add-on's service account
	SelfManaged              bool
}

// PlaneStatus is what a control plane is at this moment.
type PlaneStatus struct {
	// Ready says that the API is served at Version.
	Ready   bool
	Version string
	// Endpoint is the API server's URL and CAData the base64 of the PEM certificate of who signed its certificate.
	Endpoint, CAData string
	// Err is why it cannot become what is wanted.
	Err error
	// Gone says that nothing of it is left.
	Gone bool
}

// Nodes are the Kubernetes nodes of instances. No method waits.
type Nodes interface {
	// Ready tells whether the instance has joined its cluster as a ready node.
	Ready(cluster, instanceID string) bool
	// Drain cordons the node and evicts its Pods, as far as disruption budgets allow unless force is set, and tells
	// whether it is empty.
	Drain(cluster, instanceID string, force bool) (empty bool, err error)
	// Count tells how many ready nodes a cluster has, if that is known here.
	Count(cluster string) (n int, known bool)
	// Mark gives a node the labels and taints of its node group and takes the given ones away.
	Mark(cluster, instanceID string, m Marks)
}

// Marks are labels and taints that a node group gives to its nodes.
type Marks struct {
	Labels        map[string]string
	Taints        []Taint
	DroppedLabels []string
	DroppedTaints []Taint
}

// instancesAreNodes stands for a world without Kubernetes.
type instancesAreNodes struct{}

func (instancesAreNodes) Ready(string, string) bool                { return true }
func (instancesAreNodes) Drain(string, string, bool) (bool, error) { return true, nil }
func (instancesAreNodes) Count(string) (int, bool)                 { return 0, false }
func (instancesAreNodes) Mark(string, string, Marks)               {}

// servedByNothing stands for control planes where there are none: always ready, at an address like AWS's.
type servedByNothing struct{ world *world.World }

func (servedByNothing) Ensure(ControlPlane) {}
func (servedByNothing) Delete(string)       {}

func (p servedByNothing) Status(cluster string) PlaneStatus {
	const pem = "-----BEGIN CERTIFICATE-----\nbm8gY29udHJvbCBwbGFuZSBpcyBiZWhpbmQgdGhpcyBjbHVzdGVy\n-----END CERTIFICATE-----\n"
	return PlaneStatus{
		Ready: true, Gone: true,
		Endpoint: "https://" + cluster + ".eks." + p.world.Region + "." + p.world.DNSSuffix(),
		CAData:   base64.StdEncoding.EncodeToString([]byte(pem)),
	}
}

// leaving is what a control plane is told last.
const leaving = "leaving"

// tellPlane asks the control plane to be what the cluster wants, or to go. It never changes state.
func (s *Service) tellPlane(c *clusterRecord) {
	if c.Cluster.Status == "DELETING" {
		if s.told[c.Cluster.Name] != leaving {
			s.told[c.Cluster.Name] = leaving
			s.planes.Delete(c.Cluster.Name)
		}
		return
	}
	want := s.wantedPlane(c)
	sum, err := json.Marshal(want)
	if err != nil || s.told[c.Cluster.Name] == string(sum) {
		return
	}
	s.told[c.Cluster.Name] = string(sum)
	s.planes.Ensure(want)
}

func (s *Service) wantedPlane(c *clusterRecord) ControlPlane {
	version := c.Cluster.Version
	if u := c.inFlight(); u != nil && u.Version != "" {
		version = u.Version
	}
	network := c.Cluster.KubernetesNetworkConfig
	cidr := network.ServiceIPv4CIDR
	if network.IPFamily == "ipv6" {
		cidr = network.ServiceIPv6CIDR
	}
	return ControlPlane{
		Cluster: c.Cluster.Name, ARN: c.Cluster.ARN, ID: c.ID, Version: version, Issuer: c.Cluster.Identity.OIDC.Issuer,
		IPFamily: network.IPFamily, ServiceCIDR: cidr, VPC: c.Cluster.ResourcesVPCConfig.VPCID, SecurityGroup: c.Cluster.ResourcesVPCConfig.ClusterSecurityGroupID, AuthenticationMode: c.Cluster.AccessConfig.AuthenticationMode,
		Software: c.software(),
	}
}

// software lists the add-ons in the cluster; an add-on takes the place of its unmanaged form.
func (c *clusterRecord) software() []Software {
	out := []Software{}
	for name, a := range sorted(c.Addons) {
		if a.Addon.Status == "DELETING" && !a.Preserve {
			continue
		}
		out = append(out, Software{
			Name: name, Version: a.Addon.AddonVersion, Namespace: a.Addon.NamespaceConfig.Namespace,
			Configuration: a.Addon.ConfigurationValues, RoleARN: a.Addon.ServiceAccountRoleARN,
		})
	}
	for name, kept := range sorted(c.Kept) {
		if _, managed := c.Addons[name]; !managed {
			out = append(out, kept)
		}
	}
	slices.SortFunc(out, func(a, b Software) int { return strings.Compare(a.Name, b.Name) })
	return out
}
