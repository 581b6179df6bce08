package eks

import (
	"strings"

	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// ConfigKind is the kind of the item that holds a ClusterConfig as written.
const ConfigKind = "ClusterConfig"

// Kinds of refs in the EKS domain. Namespace is always the cluster's name.
const (
	KindCluster          = "Cluster"
	KindNodegroup        = "Nodegroup"
	KindAddon            = "Addon"
	KindIdentityProvider = "IdentityProvider"
	// KindServiceAccount is an IAM role for a service account (IRSA): Name is "namespace/name".
	KindServiceAccount = "ServiceAccount"
	// KindPodIdentity is a pod identity association: Name is "namespace/serviceaccount".
	KindPodIdentity = "PodIdentityAssociation"
	// KindAccessEntry is an access entry: Name is the ARN of its principal.
	KindAccessEntry    = "AccessEntry"
	KindFargateProfile = "FargateProfile"
	// KindIdentityProviderConfig is an OpenID Connect provider that lets people into the cluster.
	KindIdentityProviderConfig = "IdentityProviderConfig"
	// KindIdentityMapping is an entry of the ConfigMap aws-auth: Name is an ARN or an account.
	KindIdentityMapping = "IdentityMapping"
	// KindCapability is an EKS Capability: ACK, kro or Argo CD, run by AWS.
	KindCapability = "Capability"
	// KindStack is any other CloudFormation stack of the cluster; it appears only in a teardown.
	KindStack = "Stack"
	// KindLoadBalancer, KindSecurityGroup and KindNetworkInterface are what others made for a cluster; they appear only in a teardown.
	// Name is that of a classic load balancer, TYPE/NAME/ID of any other, and the id of a group or an interface.
	KindLoadBalancer     = "LoadBalancer"
	KindSecurityGroup    = "SecurityGroup"
	KindNetworkInterface = "NetworkInterface"
	// KindVolume and KindRole are what stays after a cluster: they are told, and never changed.
	KindVolume = "Volume"
	KindRole   = "Role"
	// KindLogGroup is the log group of the control plane; it appears only in a teardown.
	KindLogGroup = "LogGroup"
)

// providerName is the name of the one identity provider that is managed: the cluster's own issuer in IAM.
const providerName = "oidc"

func ref(cluster, kind, name string) gitops.Ref {
	return gitops.Ref{Domain: gitops.EKS, Kind: kind, Namespace: cluster, Name: name}
}

func (c *Config) ref(kind, name string) gitops.Ref { return ref(c.Name, kind, name) }

// annotate says of each thing what its changes would hold, and how long they usually take where that is not known better.
func (c *Config) annotate(seen gitops.Observed) {
	for r, o := range seen {
		o.Lock = c.lockOf(r)
		if o.Minutes == 0 {
			o.Minutes = typicalMinutes(r.Kind, o)
		}
		seen[r] = o
	}
}

// lockOf names what AWS takes one operation at a time of, for a change of a ref (EKS API reference, ResourceInUseException of UpdateCluster*,
// UpdateNodegroup*, UpdateAddon, AssociateIdentityProviderConfig; EKS user guide, "Define which Pods use AWS Fargate": one profile of a cluster at a
// time; CloudFormation: one operation of a stack). Nothing holds one for IAM's identity provider.
func (c *Config) lockOf(r gitops.Ref) string {
	switch r.Kind {
	case KindCluster, KindIdentityProviderConfig:
		return "cluster " + c.Name
	case KindNodegroup:
		return "nodegroup " + r.Name
	case KindAddon:
		return "addon " + r.Name
	case KindFargateProfile:
		return "Fargate profiles of " + c.Name
	case KindCapability:
		return "capability " + r.Name
	case KindServiceAccount:
		return "stack " + irsaStack(c.Name, r.Name)
	case KindPodIdentity:
		return "stack " + podIdentityStack(c.Name, r.Name)
	case KindAccessEntry:
		return "stack " + entryStack(c.Name, r.Name)
	case KindIdentityMapping:
		return "ConfigMap kube-system/aws-auth"
	case KindStack:
		return "stack " + r.Name
	}
	return ""
}

// Stack and resource tags. The first group is eksctl's (facts of v0.225.0, pkg/cfn/manager); the second is this product's.
const (
	tagNodegroup   = api.NodeGroupNameTag
	tagIRSA        = api.IAMServiceAccountNameTag
	tagPodIdentity = api.PodIdentityAssociationNameTag
	tagAddon       = api.AddonNameTag

	tagCapability     = api.CapabilityNameTag
	tagCapabilityRole = api.CapabilityIAMRoleTag

	// tagUserName holds the name that the file gives a nodegroup whose own name is a generated one.
	tagUserName = "eks-gitops.io/nodegroup"
	// tagMade marks what this product made where eksctl leaves no mark of its own (EKS addons).
	tagMade = "eks-gitops.io/cluster"
)

// Names of stacks, as eksctl makes them.
func stackPrefix(cluster string) string  { return "eksctl-" + cluster + "-" }
func clusterStack(cluster string) string { return stackPrefix(cluster) + "cluster" }
func nodegroupStack(cluster, name string) string {
	return stackPrefix(cluster) + "nodegroup-" + name
}
func irsaStack(cluster, namespaced string) string {
	return stackPrefix(cluster) + "addon-iamserviceaccount-" + strings.Replace(namespaced, "/", "-", 1)
}
func podIdentityStack(cluster, namespaced string) string {
	return stackPrefix(cluster) + "podidentityrole-" + strings.Replace(namespaced, "/", "-", 1)
}
func fargateStack(cluster string) string      { return stackPrefix(cluster) + "fargate" }
func addonStack(cluster, addon string) string { return stackPrefix(cluster) + "addon-" + addon }
func addonIdentityStack(cluster, addon, account string) string {
	return addonStack(cluster, addon) + "-podidentityrole-" + account
}
