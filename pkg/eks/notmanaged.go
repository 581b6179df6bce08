package eks

import (
	"strings"

	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// uncomparedField is a field of a ClusterConfig that nothing compares, outside of nodegroups.
type uncomparedField struct {
	path  []string
	class class
	note  string
}

// uncomparedFields is their table.
func uncomparedFields() []uncomparedField {
	const onceMade = "made with the cluster; eksctl does not change it later either"
	return []uncomparedField{
		{[]string{"apiVersion"}, steering, ""},
		{[]string{"kind"}, steering, ""},
		{[]string{"metadata", "annotations"}, steering, "other annotations mean nothing here"},
		{[]string{"metadata", "forceUpdateVersion"}, steering, "goes with eks:UpdateClusterVersion"},
		{[]string{"addonsConfig"}, steering, "which addons a cluster gets by default, and how they get permissions"},
		{[]string{"gitops"}, unmanaged, "Flux bootstrap"},
		{[]string{"karpenter"}, unmanaged, ""},
		{[]string{"capabilities"}, unmanaged, ""},
		{[]string{"iamIdentityMappings"}, unmanaged, "aws-auth is left alone"},
		{[]string{"accessConfig", "bootstrapClusterCreatorAdminPermissions"}, created, "EKS takes it at creation only"},
		{[]string{"autoModeConfig"}, created, ""},
		{[]string{"remoteNetworkConfig", "iam"}, created, "resources of the cluster's stack"},
		{[]string{"remoteNetworkConfig", "vpcGatewayID"}, created, "resources of the cluster's stack"},
		{[]string{"outpost"}, created, ""},
		{[]string{"availabilityZones"}, settled, onceMade},
		{[]string{"localZones"}, created, ""},
		{[]string{"privateCluster", "enabled"}, settled, "its network is made with the cluster; the endpoint access that it means is kept"},
		{[]string{"privateCluster", "additionalEndpointServices"}, created, ""},
		{[]string{"privateCluster", "skipEndpointCreation"}, created, ""},
		{[]string{"vpc", "autoAllocateIPv6"}, settled, onceMade},
		{[]string{"vpc", "extraCIDRs"}, created, "rules in the cluster's stack"},
		{[]string{"vpc", "extraIPv6CIDRs"}, created, "rules in the cluster's stack"},
		{[]string{"vpc", "hostnameType"}, created, ""},
		{[]string{"vpc", "ipv6Cidr"}, settled, onceMade},
		{[]string{"vpc", "ipv6Pool"}, settled, onceMade},
		{[]string{"vpc", "manageSharedNodeSecurityGroupRules"}, created, "rules in the cluster's stack"},
		{[]string{"vpc", "nat"}, settled, onceMade},
		{[]string{"vpc", "securityGroup"}, settled, onceMade},
		{[]string{"vpc", "sharedNodeSecurityGroup"}, settled, onceMade},
		{[]string{"vpc", "subnets"}, settled, "those of a VPC that is given; new nodegroups use them as the file has them"},
		{[]string{"iam", "vpcResourceControllerPolicy"}, created, ""},
		{[]string{"iam", "serviceRolePermissionsBoundary"}, created, ""},
		{[]string{"iam", "fargatePodExecutionRolePermissionsBoundary"}, created, "of the stack that makes the role"},
	}
}

// Notes are the fields that the file sets and this version does not manage, as NotManaged problems: they change nothing
// and keep nothing from being complete, but they are never silent.
func (c *Config) Notes() []*gitops.Error { return c.notes }

func (c *Config) notManaged() []*gitops.Error {
	var out []*gitops.Error
	note := func(path, text string) {
		from := gitops.Origin{Position: position(c.From, path)}
		out = append(out, gitops.Errorf(gitops.NotManaged, "%s: %s", path, text).On(c.ref(ConfigKind, path)).At(from))
	}
	for _, f := range uncomparedFields() {
		if empty(c.written(f.path...)) {
			continue
		}
		switch path := strings.Join(f.path, "."); f.class {
		case unmanaged:
			note(path, "not managed by this version: it is neither created nor changed")
		case created:
			note(path, "used when the cluster is created; later changes of it are not managed by this version")
		default:
		}
	}
	for _, g := range c.nodegroups() {
		for _, f := range fields() {
			if empty(g.written[f.name]) {
				continue
			}
			switch path := join(g.path, f.name); f.class(g.managed != nil) {
			case unmanaged:
				note(path, "not managed by this version: it is neither set nor changed")
			case created:
				note(path, "used when the nodegroup is created; later changes of it are not managed by this version")
			default:
			}
		}
	}
	return out
}

// refused are wishes that cannot be carried out at all by this version; the nodegroup is an error, not a silent half.
func (g nodegroup) refused() string {
	base := g.base()
	switch {
	case base.InstanceSelector != nil && !base.InstanceSelector.IsZero():
		return "instanceSelector is not managed by this version: name the instanceType"
	case base.SSH != nil && api.IsEnabled(base.SSH.Allow) && !api.IsSetAndNonEmptyString(base.SSH.PublicKeyName):
		return "ssh.publicKey and ssh.publicKeyPath are not managed by this version: import the key and set ssh.publicKeyName"
	case base.OutpostARN != "":
		return "outpostARN is not managed by this version"
	case api.IsWindowsImage(base.AMIFamily):
		return "Windows nodegroups are not managed by this version"
	}
	return ""
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case gitops.Tree:
		return len(v) == 0
	}
	return false
}
