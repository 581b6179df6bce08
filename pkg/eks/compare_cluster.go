package eks

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// wantedCluster is what the file says explicitly of the cluster itself, among the fields that are compared.
func (c *Config) wantedCluster() gitops.Tree {
	out := gitops.Tree{}
	for _, path := range [][]string{
		{"metadata", "name"}, {"metadata", "region"}, {"metadata", "version"}, {"metadata", "tags"},
		{"vpc", "clusterEndpoints", "publicAccess"}, {"vpc", "clusterEndpoints", "privateAccess"}, {"vpc", "publicAccessCIDRs"},
		{"vpc", "id"}, {"vpc", "cidr"}, {"kubernetesNetworkConfig", "ipFamily"}, {"kubernetesNetworkConfig", "serviceIPv4CIDR"},
		{"iam", "serviceRoleARN"},
	} {
		if v, ok := gitops.At(c.Written, path...); ok && !empty(v) {
			put(out, v, path...)
		}
	}
	if v := gitops.StringAt(out, "metadata", "version"); v == "auto" || v == latest {
		delete(gitops.TreeAt(out, "metadata"), "version")
	}
	if cidrs := gitops.ListAt(out, "vpc", "publicAccessCIDRs"); cidrs != nil {
		put(out, sortedStrings(c.full.VPC.PublicAccessCIDRs), "vpc", "publicAccessCIDRs")
	}
	if c.full.IsFullyPrivate() {
		// eksctl validates with public access on, because it needs it to create; the finished cluster has none.
		put(out, false, "vpc", "clusterEndpoints", "publicAccess")
		put(out, true, "vpc", "clusterEndpoints", "privateAccess")
	}
	if c.full.HasClusterCloudWatchLogging() {
		put(out, sortedStrings(c.full.CloudWatch.ClusterLogging.EnableTypes), "cloudWatch", "clusterLogging", "enableTypes")
	}
	if days := c.retention(); days > 0 {
		put(out, int64(days), "cloudWatch", "clusterLogging", "logRetentionInDays")
	}
	return out
}

// fixedCluster are the compared fields that cannot be changed once the cluster exists.
func fixedCluster() [][]string {
	return [][]string{
		{"metadata", "region"}, {"vpc", "id"}, {"kubernetesNetworkConfig", "ipFamily"}, {"kubernetesNetworkConfig", "serviceIPv4CIDR"},
		{"iam", "serviceRoleARN"},
	}
}

// compareCluster compares the live cluster with the file. The error is for what can never become as the file says.
func (c *Config) compareCluster(w *world) (comparison, *gitops.Error) {
	out := comparison{live: gitops.Tree{}, next: c.wantedCluster()}
	cl := w.Cluster
	show := func(v any, path ...string) {
		if _, wanted := gitops.At(out.next, path...); wanted {
			put(out.live, v, path...)
		}
	}
	show(c.Name, "metadata", "name")
	show(regionOf(cl), "metadata", "region")
	show(aws.ToString(cl.Version), "metadata", "version")
	if tags := c.liveTags(w); len(tags) > 0 || gitops.TreeAt(out.next, "metadata", "tags") != nil {
		put(out.live, tags, "metadata", "tags")
	}
	if v := cl.ResourcesVpcConfig; v != nil {
		show(v.EndpointPublicAccess, "vpc", "clusterEndpoints", "publicAccess")
		show(v.EndpointPrivateAccess, "vpc", "clusterEndpoints", "privateAccess")
		show(sortedStrings(v.PublicAccessCidrs), "vpc", "publicAccessCIDRs")
		show(aws.ToString(v.VpcId), "vpc", "id")
	}
	if cidr, ok := gitops.At(out.next, "vpc", "cidr"); ok {
		// It is fixed when the VPC is made, and the cluster's stack is the only place that compares it.
		put(out.live, cidr, "vpc", "cidr")
	}
	if n := cl.KubernetesNetworkConfig; n != nil {
		show(map[ekstypes.IpFamily]string{ekstypes.IpFamilyIpv4: api.IPV4Family, ekstypes.IpFamilyIpv6: api.IPV6Family}[n.IpFamily], "kubernetesNetworkConfig", "ipFamily")
		show(aws.ToString(n.ServiceIpv4Cidr), "kubernetesNetworkConfig", "serviceIPv4CIDR")
	}
	show(aws.ToString(cl.RoleArn), "iam", "serviceRoleARN")
	show(sortedStrings(loggedTypes(cl)), "cloudWatch", "clusterLogging", "enableTypes")
	show(int64(aws.ToInt32(w.Retention)), "cloudWatch", "clusterLogging", "logRetentionInDays")
	return out, c.immutable(out, w)
}

// immutable finds what the file wants and AWS cannot do to a live cluster.
func (c *Config) immutable(out comparison, w *world) *gitops.Error {
	fail := func(path, format string, args ...any) *gitops.Error {
		return gitops.Errorf(gitops.Immutable, path+" "+format, args...).At(c.origin(path))
	}
	for _, path := range fixedCluster() {
		live, _ := gitops.At(out.live, path...)
		next, wanted := gitops.At(out.next, path...)
		if wanted && !equalFold(live, next) {
			return fail(strings.Join(path, "."), "cannot be changed on a live cluster: it is %v, and the file says %v", live, next)
		}
		if wanted {
			put(out.live, next, path...)
		}
	}
	version := gitops.StringAt(out.next, "metadata", "version")
	if version != "" && compareMinor(version, aws.ToString(w.Cluster.Version)) < 0 {
		return fail("metadata.version", "cannot go back: the cluster is at %s, and the file says %s", aws.ToString(w.Cluster.Version), version)
	}
	if len(w.Versions) > 0 && version != "" && !slices.ContainsFunc(w.Versions, func(v clusterVersion) bool { return v.Version == version }) {
		return fail("metadata.version", "%s is not offered by EKS (%s)", version, offered(w.Versions))
	}
	return nil
}

func equalFold(a, b any) bool {
	x, xok := a.(string)
	y, yok := b.(string)
	if xok && yok {
		return strings.EqualFold(x, y)
	}
	return equal(a, b)
}

func offered(versions []clusterVersion) string {
	names := make([]string, 0, len(versions))
	for _, v := range versions {
		names = append(names, v.Version)
	}
	return "it offers " + strings.Join(names, ", ")
}

// liveTags are the cluster's tags as far as they are git's to say: those that git names, and those that the cluster's
// stack put there when it was made. Other tags belong to whoever set them.
func (c *Config) liveTags(w *world) gitops.Tree {
	wanted := gitops.StringsAt(c.Written, "metadata", "tags")
	stack := w.Stacks[clusterStack(c.Name)]
	out := gitops.Tree{}
	for key, value := range w.Cluster.Tags {
		_, named := wanted[key]
		if named || (!reservedTag(key) && tag(stack, key) != "") {
			out[key] = value
		}
	}
	return out
}

// reservedTag says that a tag is set by a tool or by AWS, not by a file.
func reservedTag(key string) bool {
	for _, prefix := range []string{"aws:", "alpha.eksctl.io/", "eksctl.cluster.k8s.io/", "eksctl.io/", "kubernetes.io/", "k8s.io/", "eks-gitops.io/", "eks:"} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return key == "Name"
}

func regionOf(cl *ekstypes.Cluster) string {
	if part := strings.Split(aws.ToString(cl.Arn), ":"); len(part) > 3 {
		return part[3]
	}
	return ""
}

func loggedTypes(cl *ekstypes.Cluster) []string {
	var out []string
	if cl.Logging == nil {
		return nil
	}
	for _, setup := range cl.Logging.ClusterLogging {
		if aws.ToBool(setup.Enabled) {
			for _, t := range setup.Types {
				out = append(out, string(t))
			}
		}
	}
	return out
}

// sortedStrings gives a set the one form that compares.
func sortedStrings(in []string) []any {
	sorted := slices.Compact(slices.Sorted(slices.Values(in)))
	out := make([]any, 0, len(sorted))
	for _, s := range sorted {
		out = append(out, s)
	}
	return out
}

// put sets a value at a path, making the objects above it. It never changes an object that it did not make.
func put(t gitops.Tree, v any, path ...string) {
	for _, key := range path[:len(path)-1] {
		below, ok := t[key].(gitops.Tree)
		if !ok {
			below = gitops.Tree{}
			t[key] = below
		}
		t = below
	}
	t[path[len(path)-1]] = v
}
