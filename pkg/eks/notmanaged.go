package eks

import (
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// unmanaged lists the fields of a ClusterConfig that this version does not manage. Never means that it neither makes nor
// changes what the field says; otherwise it is used when the cluster or nodegroup is created, and not changed later.
//
//nolint:gochecknoglobals // immutable table
var unmanaged = []struct {
	path  []string
	never bool
}{
	{[]string{"gitops"}, true},
	{[]string{"karpenter"}, true},
	{[]string{"capabilities"}, true},
	{[]string{"iamIdentityMappings"}, true},
	{[]string{"accessConfig", "authenticationMode"}, false},
	{[]string{"accessConfig", "bootstrapClusterCreatorAdminPermissions"}, false},
	{[]string{"upgradePolicy"}, false},
	{[]string{"controlPlaneScalingConfig"}, false},
	{[]string{"zonalShiftConfig"}, false},
	{[]string{"autoModeConfig"}, false},
	{[]string{"remoteNetworkConfig"}, false},
	{[]string{"outpost"}, false},
	{[]string{"secretsEncryption"}, false},
	{[]string{"localZones"}, false},
	{[]string{"privateCluster", "additionalEndpointServices"}, false},
	{[]string{"privateCluster", "skipEndpointCreation"}, false},
	{[]string{"vpc", "extraCIDRs"}, false},
	{[]string{"vpc", "extraIPv6CIDRs"}, false},
	{[]string{"vpc", "controlPlaneSubnetIDs"}, false},
	{[]string{"vpc", "controlPlaneSecurityGroupIDs"}, false},
	{[]string{"vpc", "hostnameType"}, false},
	{[]string{"vpc", "manageSharedNodeSecurityGroupRules"}, false},
	{[]string{"iam", "vpcResourceControllerPolicy"}, false},
	{[]string{"iam", "serviceRolePermissionsBoundary"}, false},
	{[]string{"iam", "fargatePodExecutionRolePermissionsBoundary"}, false},
}

// unmanagedPool are fields of nodegroups, of the kind named, that are not managed.
//
//nolint:gochecknoglobals // immutable table
var unmanagedPool = []struct {
	field         string
	managed, self bool
	never         bool
}{
	{"propagateASGTags", true, false, true},
	{"asgSuspendProcesses", true, true, true},
	{"nodeRepairConfig", true, false, false},
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
	for _, u := range unmanaged {
		if v, ok := gitops.At(c.Written, u.path...); !ok || empty(v) {
			continue
		}
		path := ""
		for _, key := range u.path {
			path = join(path, key)
		}
		if u.never {
			note(path, "not managed by this version: it is neither created nor changed")
		} else {
			note(path, "used when the cluster is created; later changes of it are not managed by this version")
		}
	}
	for _, g := range c.nodegroups() {
		for _, u := range unmanagedPool {
			if v, ok := g.written[u.field]; !ok || empty(v) || (g.managed != nil && !u.managed) || (g.self != nil && !u.self) {
				continue
			}
			if u.never {
				note(join(g.path, u.field), "not managed by this version: it is neither set nor changed")
			} else {
				note(join(g.path, u.field), "used when the nodegroup is created; later changes of it are not managed by this version")
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
