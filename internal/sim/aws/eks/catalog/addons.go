package catalog

import "slices"

// Addon is an add-on that EKS offers.
type Addon struct {
	Name, Type, Publisher, Owner, Namespace string
	// NeedsPods says that the add-on has a Deployment, so that it is not healthy before there is a node.
	NeedsPods bool
	// Labels are those of the Pods of the Deployment.
	Labels map[string]string
	// NeedsIAM says that its Pods call AWS.
	NeedsIAM bool
	// Identities are its service accounts that call AWS, with the policies recommended for them.
	Identities []Identity
	Computes   []string
	Versions   []AddonVersion // the newest first
	// Schema is the JSON schema of its configuration values.
	Schema string
}

// Identity recommends policies for a service account.
type Identity struct {
	ServiceAccount string
	Policies       []string // names of AWS's own
}

// ARNs are the policies in a partition.
func (i Identity) ARNs(partition string) []string {
	out := make([]string, 0, len(i.Policies))
	for _, name := range i.Policies {
		out = append(out, "arn:"+partition+":iam::aws:policy/"+name)
	}
	return out
}

// AddonVersion is a version of an add-on with the clusters it runs on.
type AddonVersion struct {
	Version string
	Minors  []string
	// DefaultFor are those of Minors whose clusters get this version if they ask for none.
	DefaultFor []string
}

// Compatible says whether the version runs on a minor version of Kubernetes.
func (v AddonVersion) Compatible(minor string) bool { return slices.Contains(v.Minors, minor) }

// Addons lists the add-ons by name.
func Addons() []Addon {
	return []Addon{ebsCSI(), coredns(), nodeMonitoring(), podIdentityAgent(), kubeProxy(), metricsServer(), snapshotController(), vpcCNI()}
}

// FindAddon finds an add-on.
func FindAddon(name string) (Addon, bool) {
	all := Addons()
	i := slices.IndexFunc(all, func(a Addon) bool { return a.Name == name })
	if i < 0 {
		return Addon{}, false
	}
	return all[i], true
}

// Find finds a version of the add-on.
func (a Addon) Find(version string) (AddonVersion, bool) {
	i := slices.IndexFunc(a.Versions, func(v AddonVersion) bool { return v.Version == version })
	if i < 0 {
		return AddonVersion{}, false
	}
	return a.Versions[i], true
}

// DefaultFor is the version that a cluster gets if it asks for none.
func (a Addon) DefaultFor(minor string) (AddonVersion, bool) {
	i := slices.IndexFunc(a.Versions, func(v AddonVersion) bool { return slices.Contains(v.DefaultFor, minor) })
	if i < 0 {
		return AddonVersion{}, false
	}
	return a.Versions[i], true
}

// allMinors are those of Versions; an add-on that talks only to stable APIs runs on all of them.
func allMinors() []string { return []string{"1.36", "1.35", "1.34", "1.33"} }

func vpcCNI() Addon {
	return Addon{
		Name: "vpc-cni", Type: "networking", Publisher: "eks", Owner: "aws", Namespace: "kube-system", NeedsIAM: true,
		Identities: []Identity{{ServiceAccount: "aws-node", Policies: []string{"AmazonEKS_CNI_Policy"}}},
		Computes:   []string{"ec2"}, Schema: vpcCNISchema,
		Versions: []AddonVersion{
			{Version: "v1.23.0-eksbuild.1", Minors: allMinors()},
			{Version: "v1.22.4-eksbuild.3", Minors: allMinors(), DefaultFor: []string{"1.36"}},
			{Version: "v1.21.1-eksbuild.3", Minors: allMinors(), DefaultFor: []string{"1.35"}},
			{Version: "v1.20.4-eksbuild.1", Minors: []string{"1.35", "1.34", "1.33"}, DefaultFor: []string{"1.34", "1.33"}},
			{Version: "v1.19.5-eksbuild.1", Minors: []string{"1.34", "1.33"}},
		},
	}
}

func kubeProxy() Addon {
	return Addon{
		Name: "kube-proxy", Type: "networking", Publisher: "eks", Owner: "aws", Namespace: "kube-system",
		Computes: []string{"ec2", "hybrid"}, Schema: kubeProxySchema,
		Versions: []AddonVersion{
			{Version: "v1.36.0-eksbuild.25", Minors: []string{"1.36"}},
			{Version: "v1.36.0-eksbuild.14", Minors: []string{"1.36"}, DefaultFor: []string{"1.36"}},
			{Version: "v1.35.3-eksbuild.18", Minors: []string{"1.36", "1.35"}},
			{Version: "v1.35.3-eksbuild.5", Minors: []string{"1.36", "1.35"}, DefaultFor: []string{"1.35"}},
			{Version: "v1.34.1-eksbuild.2", Minors: []string{"1.36", "1.35", "1.34"}, DefaultFor: []string{"1.34"}},
			{Version: "v1.33.7-eksbuild.2", Minors: allMinors()},
			{Version: "v1.33.3-eksbuild.10", Minors: allMinors(), DefaultFor: []string{"1.33"}},
			{Version: "v1.33.3-eksbuild.4", Minors: allMinors()},
		},
	}
}

func coredns() Addon {
	return Addon{
		Name: "coredns", Type: "networking", Publisher: "eks", Owner: "aws", Namespace: "kube-system", NeedsPods: true,
		Labels:   map[string]string{"eks.amazonaws.com/component": "coredns", "k8s-app": "kube-dns"},
		Computes: []string{"ec2", "fargate", "hybrid", "auto"}, Schema: corednsSchema,
		Versions: []AddonVersion{
			{Version: "v1.14.3-eksbuild.16", Minors: []string{"1.36", "1.35"}},
			{Version: "v1.14.3-eksbuild.3", Minors: []string{"1.36", "1.35"}, DefaultFor: []string{"1.36"}},
			{Version: "v1.13.2-eksbuild.11", Minors: []string{"1.36", "1.35", "1.34"}},
			{Version: "v1.13.2-eksbuild.1", Minors: []string{"1.36", "1.35", "1.34"}, DefaultFor: []string{"1.35"}},
			{Version: "v1.12.4-eksbuild.1", Minors: []string{"1.35", "1.34", "1.33"}, DefaultFor: []string{"1.34"}},
			{Version: "v1.12.2-eksbuild.4", Minors: []string{"1.34", "1.33"}, DefaultFor: []string{"1.33"}},
		},
	}
}

func metricsServer() Addon {
	return Addon{
		Name: "metrics-server", Type: "observability", Publisher: "eks", Owner: "community", Namespace: "kube-system", NeedsPods: true,
		Computes: []string{"ec2", "fargate", "hybrid", "auto"}, Schema: metricsServerSchema,
		Versions: []AddonVersion{
			{Version: "v0.9.0-eksbuild.11", Minors: allMinors()},
			{Version: "v0.9.0-eksbuild.5", Minors: allMinors(), DefaultFor: []string{"1.36"}},
			{Version: "v0.8.1-eksbuild.4", Minors: allMinors(), DefaultFor: []string{"1.35"}},
			{Version: "v0.8.0-eksbuild.2", Minors: []string{"1.35", "1.34", "1.33"}, DefaultFor: []string{"1.34", "1.33"}},
		},
	}
}

func podIdentityAgent() Addon {
	return Addon{
		Name: "eks-pod-identity-agent", Type: "security", Publisher: "eks", Owner: "aws", Namespace: "kube-system",
		Computes: []string{"ec2", "hybrid"}, Schema: podIdentityAgentSchema,
		Versions: []AddonVersion{
			{Version: "v1.4.0-eksbuild.1", Minors: allMinors()},
			{Version: "v1.3.10-eksbuild.3", Minors: allMinors(), DefaultFor: []string{"1.36", "1.35"}},
			{Version: "v1.3.10-eksbuild.2", Minors: []string{"1.35", "1.34", "1.33"}, DefaultFor: []string{"1.34", "1.33"}},
			{Version: "v1.3.8-eksbuild.2", Minors: []string{"1.34", "1.33"}},
		},
	}
}

func ebsCSI() Addon {
	return Addon{
		Name: "aws-ebs-csi-driver", Type: "storage", Publisher: "eks", Owner: "aws", Namespace: "kube-system", NeedsPods: true, NeedsIAM: true,
		Identities: []Identity{{ServiceAccount: "ebs-csi-controller-sa", Policies: []string{"service-role/AmazonEBSCSIDriverPolicy"}}},
		Computes:   []string{"ec2"}, Schema: ebsCSISchema,
		Versions: []AddonVersion{
			{Version: "v1.63.1-eksbuild.1", Minors: allMinors(), DefaultFor: []string{"1.36"}},
			{Version: "v1.59.0-eksbuild.1", Minors: allMinors(), DefaultFor: []string{"1.35"}},
			{Version: "v1.54.0-eksbuild.1", Minors: []string{"1.35", "1.34", "1.33"}, DefaultFor: []string{"1.34", "1.33"}},
			{Version: "v1.48.0-eksbuild.1", Minors: []string{"1.34", "1.33"}},
		},
	}
}

// snapshotController needs no permissions (https://docs.aws.amazon.com/eks/latest/userguide/addons-csi-snapshot-controller.html).
func snapshotController() Addon {
	return Addon{
		Name: "snapshot-controller", Type: "storage", Publisher: "eks", Owner: "aws", Namespace: "kube-system", NeedsPods: true,
		Computes: []string{"ec2", "fargate", "hybrid", "auto"}, Schema: snapshotControllerSchema,
		Versions: []AddonVersion{
			{Version: "v8.3.0-eksbuild.1", Minors: allMinors(), DefaultFor: allMinors()},
			{Version: "v8.2.0-eksbuild.1", Minors: []string{"1.33"}},
		},
	}
}

func nodeMonitoring() Addon {
	return Addon{
		Name: "eks-node-monitoring-agent", Type: "observability", Publisher: "eks", Owner: "aws", Namespace: "kube-system",
		Computes: []string{"ec2", "hybrid"}, Schema: nodeMonitoringSchema,
		Versions: []AddonVersion{
			{Version: "v1.7.2-eksbuild.1", Minors: allMinors()},
			{Version: "v1.6.4-eksbuild.1", Minors: allMinors(), DefaultFor: []string{"1.36", "1.35"}},
			{Version: "v1.4.2-eksbuild.1", Minors: []string{"1.35", "1.34", "1.33"}, DefaultFor: []string{"1.34", "1.33"}},
			{Version: "v1.4.0-eksbuild.2", Minors: []string{"1.34", "1.33"}},
		},
	}
}
