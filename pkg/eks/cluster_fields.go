package eks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// clusterField is one row of the table of the cluster's own fields. What is wanted of a control plane, what is seen of it
// and what is done to it all come from this table.
type clusterField struct {
	path []string
	// seen is the member of EKS's Cluster that tells it (API reference, DescribeCluster).
	seen string
	// live reads it where a member alone does not tell, and from says where else it looks.
	live func(*Config, *world) any
	from string
	// wanted is what the file means, where that is not what it says word for word.
	wanted func(*Config) any
	// form gives both sides the one form that compares.
	form func(any) any
	// whole says that what is live and not in the file is a difference, too.
	whole bool
	// by is the step that changes it on a live cluster; without one it is fixed.
	by string
	// barred says why it cannot go from what is live to what is wanted; empty lets it go.
	barred func(w *world, live, next any) string
	// names says that the field says which cluster is meant: with another value, the file is about another one.
	names bool
	// note is what a reader should know of it.
	note string
}

// protection is where a file says whether the cluster is protected from deletion: eksctl has no field for it.
func protection() []string {
	return []string{"metadata", "annotations", "reconciler.eks-gitops.io/deletion-protection"}
}

// clusterFields is the table. Sources: EKS API reference (UpdateClusterConfig, UpdateClusterVersion,
// AssociateEncryptionConfig, TagResource), CloudWatch Logs API reference (PutRetentionPolicy).
func clusterFields() []clusterField {
	return slices.Concat([]clusterField{
		{path: []string{"metadata", "name"}, seen: "name", names: true, note: "the cluster of the old name runs on"},
		{path: []string{"metadata", "region"}, seen: "arn", live: func(_ *Config, w *world) any { return regionOf(w.Cluster) }, names: true, note: "the cluster in the old region runs on"},
		{path: []string{"metadata", "version"}, seen: "version", wanted: pinnedVersion, by: byVersion, barred: versionBarred, note: "up only, one minor version per step; without it the version is left alone"},
		{path: []string{"metadata", "tags"}, seen: "tags", live: func(c *Config, w *world) any { return c.liveTags(w) }, whole: true, by: byTags, note: "tags of others are left alone"},
		{path: protection(), seen: "deletionProtection", form: word, by: byProtection, note: `"true" or "false"; a cluster that is protected is not torn down`},
		{path: []string{"iam", "serviceRoleARN"}, seen: "roleArn"},
		{path: []string{"accessConfig", "authenticationMode"}, seen: "accessConfig.authenticationMode", by: byMode, barred: modeBarred, note: "CONFIG_MAP, API_AND_CONFIG_MAP, API: only in this order; with API, what only aws-auth lets in is locked out"},
		{path: []string{"secretsEncryption", "keyARN"}, seen: "encryptionConfig.provider.keyArn", live: liveKey, by: byKey, barred: keyBarred, note: "a key can be added, but neither changed nor removed"},
		{path: []string{"upgradePolicy", "supportType"}, seen: "upgradePolicy.supportType", by: byPolicy, note: "STANDARD only while the version is in standard support"},
		{path: []string{"controlPlaneScalingConfig", "tier"}, seen: "controlPlaneScalingConfig.tier", by: byTier},
		{path: []string{"zonalShiftConfig", "enabled"}, seen: "zonalShiftConfig.enabled", form: truth, by: byZonalShift},
		{path: []string{"cloudWatch", "clusterLogging", "enableTypes"}, seen: "logging", live: func(_ *Config, w *world) any { return loggedTypes(w.Cluster) }, wanted: wantedLogs, form: unordered, by: byLogging},
		{path: []string{"cloudWatch", "clusterLogging", "logRetentionInDays"}, from: "logs:DescribeLogGroups", live: liveRetention, wanted: wantedRetention, by: byRetention},
	}, networkFields(), madeFields(), autoModeFields())
}

// networkFields are the rows about where the control plane can be reached, and from where.
func networkFields() []clusterField {
	return []clusterField{
		{path: []string{"kubernetesNetworkConfig", "ipFamily"}, seen: "kubernetesNetworkConfig.ipFamily", form: family},
		{path: []string{"kubernetesNetworkConfig", "serviceIPv4CIDR"}, seen: "kubernetesNetworkConfig.serviceIpv4Cidr"},
		{path: []string{"kubernetesNetworkConfig", "serviceIPv6CIDR"}, seen: "kubernetesNetworkConfig.serviceIpv6Cidr", live: liveServiceIPv6, note: "EKS chooses it"},
		{path: []string{"remoteNetworkConfig", "remoteNodeNetworks"}, seen: "remoteNetworkConfig.remoteNodeNetworks", form: networks, by: byNetworks},
		{path: []string{"remoteNetworkConfig", "remotePodNetworks"}, seen: "remoteNetworkConfig.remotePodNetworks", form: networks, by: byNetworks},
		{path: []string{"vpc", "id"}, seen: "resourcesVpcConfig.vpcId"},
		{path: []string{"vpc", "clusterEndpoints", "publicAccess"}, seen: "resourcesVpcConfig.endpointPublicAccess", wanted: endpoint("publicAccess", false), by: byEndpoints},
		{path: []string{"vpc", "clusterEndpoints", "privateAccess"}, seen: "resourcesVpcConfig.endpointPrivateAccess", wanted: endpoint("privateAccess", true), by: byEndpoints},
		{path: []string{"vpc", "publicAccessCIDRs"}, seen: "resourcesVpcConfig.publicAccessCidrs", wanted: wantedCIDRs, form: unordered, by: byEndpoints},
		{path: []string{"vpc", "controlPlaneSubnetIDs"}, seen: "resourcesVpcConfig.subnetIds", form: unordered, by: byPlacement, note: "in the same VPC, and in two zones at least"},
		{path: []string{"vpc", "controlPlaneSecurityGroupIDs"}, seen: "resourcesVpcConfig.securityGroupIds", form: unordered, by: byPlacement},
	}
}

// written is what the file says at a path; nil when it says nothing.
func (c *Config) written(path ...string) any {
	v, _ := gitops.At(c.Written, path...)
	return v
}

// want is what the file says of the field, in the form that compares; nil when it says nothing.
func (f clusterField) want(c *Config) any {
	v := c.written(f.path...)
	if f.wanted != nil {
		v = f.wanted(c)
	}
	if empty(v) || f.form == nil {
		return v
	}
	return f.form(v)
}

// read is what AWS says of the field; told is all of DescribeCluster. A field that is fixed and that AWS does not tell is
// taken as wanted: an unknown is no reason for anything.
func (f clusterField) read(c *Config, w *world, told gitops.Tree, next any) any {
	var v any
	switch {
	case f.live != nil:
		v = f.live(c, w)
	case f.seen != "":
		v, _ = gitops.At(told, memberPath(f.seen)...)
	}
	if f.form != nil {
		v = f.form(v)
	}
	if f.by == "" && empty(v) {
		return next
	}
	return v
}

// memberPath is where a member of an API's model is in the SDK's structure, whose names begin with a capital.
func memberPath(member string) []string {
	keys := strings.Split(member, ".")
	for i, key := range keys {
		keys[i] = strings.ToUpper(key[:1]) + key[1:]
	}
	return keys
}

// class is what a difference in the field leads to.
func (f clusterField) class() class {
	switch {
	case f.names:
		return naming
	case f.by != "":
		return mutable
	case f.seen != "" || f.from != "":
		return immutable
	}
	return settled
}

// stuck says why what is live can never become what is wanted; empty when it can.
func (f clusterField) stuck(w *world, live, next any) string {
	switch {
	case equal(live, next):
		return ""
	case f.barred != nil:
		return f.barred(w, live, next)
	case f.by == "":
		return fmt.Sprintf("cannot be changed on a live cluster: it is %v, and the file says %v", live, next)
	}
	return ""
}

func pinnedVersion(c *Config) any {
	if v := gitops.StringAt(c.Written, "metadata", "version"); v != "auto" && v != latest {
		return v
	}
	return nil
}

func versionBarred(w *world, live, next any) string {
	is, wanted := fmt.Sprint(live), fmt.Sprint(next)
	if compareMinor(wanted, is) < 0 {
		return fmt.Sprintf("cannot go back: the cluster is at %s, and the file says %s", is, wanted)
	}
	if len(w.Versions) > 0 && !slices.ContainsFunc(w.Versions, func(v clusterVersion) bool { return v.Version == wanted }) {
		return fmt.Sprintf("%s is not offered by EKS (%s)", wanted, offered(w.Versions))
	}
	return ""
}

// modes is the way of the authentication mode: forward, one step at a time (EKS user guide, "Change authentication mode to
// use access entries").
func modes() []string {
	return []string{string(ekstypes.AuthenticationModeConfigMap), string(ekstypes.AuthenticationModeApiAndConfigMap), string(ekstypes.AuthenticationModeApi)}
}

func modeBarred(_ *world, live, next any) string {
	is, wanted := slices.Index(modes(), fmt.Sprint(live)), slices.Index(modes(), fmt.Sprint(next))
	switch {
	case wanted < 0:
		return fmt.Sprintf("is %v, but there are only %s", next, strings.Join(modes(), ", "))
	case wanted < is:
		return fmt.Sprintf("cannot go back: the cluster is at %v, and the file says %v", live, next)
	}
	return ""
}

// liveKey is the key of the cluster's secrets. An alias names a key that only KMS could tell, so any key passes for it.
func liveKey(c *Config, w *world) any {
	key := secretsKey(w)
	if wanted := gitops.StringAt(c.Written, "secretsEncryption", "keyARN"); key != "" && strings.Contains(wanted, ":alias/") {
		return wanted
	}
	return key
}

func secretsKey(w *world) string {
	if w.Cluster == nil {
		return ""
	}
	for _, e := range w.Cluster.EncryptionConfig {
		if e.Provider != nil {
			return aws.ToString(e.Provider.KeyArn)
		}
	}
	return ""
}

func keyBarred(_ *world, live, next any) string {
	if empty(live) {
		return ""
	}
	return fmt.Sprintf("cannot be changed once secrets are encrypted: the key is %v, and the file says %v", live, next)
}

func wantedLogs(c *Config) any {
	if !c.full.HasClusterCloudWatchLogging() {
		return nil
	}
	return sortedStrings(c.full.CloudWatch.ClusterLogging.EnableTypes)
}

func wantedRetention(c *Config) any {
	if days := c.retention(); days > 0 {
		return int64(days)
	}
	return nil
}

func liveRetention(_ *Config, w *world) any { return int64(aws.ToInt32(w.Retention)) }

// endpoint is what the file says of an access to the API server. eksctl validates a fully private cluster with public
// access on, because it needs it to create; the finished cluster has none.
func endpoint(access string, private bool) func(*Config) any {
	return func(c *Config) any {
		if c.full.IsFullyPrivate() {
			return private
		}
		return c.written("vpc", "clusterEndpoints", access)
	}
}

// wantedCIDRs are the ranges of the file as eksctl normalises them.
func wantedCIDRs(c *Config) any {
	if empty(c.written("vpc", "publicAccessCIDRs")) {
		return nil
	}
	return sortedStrings(c.full.VPC.PublicAccessCIDRs)
}

// unordered is a list whose order means nothing.
func unordered(v any) any {
	var out []string
	switch list := v.(type) {
	case []string:
		out = list
	case []any:
		for _, item := range list {
			out = append(out, fmt.Sprint(item))
		}
	}
	return sortedStrings(out)
}

// truth is a switch that is off where AWS does not speak of it.
func truth(v any) any { return v == true }

// word is a switch as an annotation says it.
func word(v any) any {
	if v == nil {
		v = false
	}
	return fmt.Sprint(v)
}

// liveServiceIPv6 is the range that EKS chose; a cluster of IPv4 has none (API reference, KubernetesNetworkConfigResponse).
func liveServiceIPv6(_ *Config, w *world) any {
	switch n := w.Cluster.KubernetesNetworkConfig; {
	case n == nil:
		return nil
	case n.IpFamily == ekstypes.IpFamilyIpv4:
		return "none"
	default:
		return aws.ToString(n.ServiceIpv6Cidr)
	}
}

// family spells a family of addresses as eksctl does.
func family(v any) any {
	for _, name := range []string{api.IPV4Family, api.IPV6Family} {
		if strings.EqualFold(fmt.Sprint(v), name) {
			return name
		}
	}
	return v
}

// networks is a list of networks as the one network with all their ranges, which is what EKS takes (API reference,
// RemoteNetworkConfigRequest: one array member).
func networks(v any) any {
	var ranges []any
	list, _ := v.([]any)
	for _, item := range list {
		network, _ := item.(gitops.Tree)
		for _, key := range []string{"cidrs", "Cidrs"} {
			ranges = append(ranges, gitops.ListAt(network, key)...)
		}
	}
	if len(ranges) == 0 {
		return nil
	}
	return []any{gitops.Tree{"cidrs": unordered(ranges)}}
}
