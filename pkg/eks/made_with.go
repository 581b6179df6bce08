package eks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/cfn/outputs"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// madeField is a field that a cluster is made with and that nothing changes later, neither here nor by eksctl. Where the file says something
// else by now, every plan tells it.
type madeField struct {
	path []string
	from string
	// live is what the cluster was made with; nil where nothing tells.
	live func(*Config, *world) any
	// wanted is what the file means, where that is not what it says word for word.
	wanted func(*Config) any
	note   string
}

// none stands for what a cluster was made without.
const none = "none"

// madeWithFields is the table of such fields. The names of resources are eksctl's (pkg/cfn/builder).
func madeWithFields() []madeField {
	const template, stacks = "cloudformation:GetTemplate", "cloudformation:DescribeStacks"
	return []madeField{
		{path: []string{"accessConfig", "bootstrapClusterCreatorAdminPermissions"}, from: "eks:DescribeCluster accessConfig.bootstrapClusterCreatorAdminPermissions", live: liveBootstrap, note: "EKS takes it at creation only; give and take the rights by accessConfig.accessEntries"},
		{path: []string{"iam", "fargatePodExecutionRolePermissionsBoundary"}, from: template, live: liveFargateBoundary, note: "of the stack that makes the role"},
		{path: []string{"iam", "serviceRolePermissionsBoundary"}, from: template, live: liveServiceBoundary},
		{path: []string{"iam", "vpcResourceControllerPolicy"}, from: template, live: liveResourceController},
		{path: []string{"localZones"}, from: template, live: liveLocalZones, wanted: func(c *Config) any { return unordered(c.written("localZones")) }},
		{path: []string{"privateCluster", "additionalEndpointServices"}, from: template, live: liveEndpointServices, wanted: func(c *Config) any { return unordered(c.written("privateCluster", "additionalEndpointServices")) }},
		{path: []string{"privateCluster", "skipEndpointCreation"}, from: template, live: liveSkipsEndpoints},
		{path: []string{"remoteNetworkConfig", "iam", "caBundleCert"}, from: template, live: liveBundle},
		{path: []string{"remoteNetworkConfig", "iam", "provider"}, from: template, live: liveRemoteProvider, wanted: func(c *Config) any {
			return strings.ToUpper(gitops.StringAt(c.Written, "remoteNetworkConfig", "iam", "provider"))
		}},
		{path: []string{"remoteNetworkConfig", "iam", "roleARN"}, from: stacks, live: liveRemoteRole},
		{path: []string{"remoteNetworkConfig", "vpcGatewayID"}, from: template, live: liveGateway, note: "of a VPC that was made with the cluster"},
		{path: []string{"vpc", "extraCIDRs"}, from: template, live: liveExtra("IngressControlPlaneExtraCIDR", "CidrIp"), wanted: func(c *Config) any { return unordered(c.full.VPC.ExtraCIDRs) }, note: "rules of the security group that was made with the cluster"},
		{path: []string{"vpc", "extraIPv6CIDRs"}, from: template, live: liveExtra("IngressControlPlaneExtraIPv6CIDR", "CidrIpv6"), wanted: func(c *Config) any { return unordered(c.full.VPC.ExtraIPv6CIDRs) }, note: "rules of the security group that was made with the cluster"},
		{path: []string{"vpc", "hostnameType"}, from: template, live: liveHostnames, note: "of the subnets that were made with the cluster"},
		{path: []string{"vpc", "manageSharedNodeSecurityGroupRules"}, from: template, live: func(c *Config, w *world) any { return c.resource(w, "IngressDefaultClusterToNodeSG") != nil }},
	}
}

// otherwiseMade are the notes about what the file says otherwise than the cluster was made.
func (c *Config) otherwiseMade(w *world) []*gitops.Error {
	if w.Cluster == nil {
		return nil
	}
	var out []*gitops.Error
	for _, f := range madeWithFields() {
		if empty(c.written(f.path...)) {
			continue
		}
		wanted, path := c.written(f.path...), strings.Join(f.path, ".")
		if f.wanted != nil {
			wanted = f.wanted(c)
		}
		var live any
		if len(w.Templates[clusterStack(c.Name)]) > 0 || strings.HasPrefix(f.from, "eks:") {
			live = f.live(c, w)
		}
		if equal(live, wanted) {
			continue
		}
		text := fmt.Sprintf("the cluster was made with %s, and the file says %s; nothing changes that later", inWords(live), inWords(wanted))
		if live == nil {
			text = "used when a cluster is made; what this one was made with is not known, and nothing changes it later"
		}
		out = append(out, gitops.Errorf(gitops.NotManaged, "%s: %s", path, text).On(c.ref(ConfigKind, path)).At(c.origin(path)))
	}
	return out
}

// inWords is a value as a note has room for it.
func inWords(v any) string {
	text := fmt.Sprint(v)
	if list, ok := v.([]any); ok && len(list) == 0 {
		text = none
	}
	if len(text) > 100 {
		return fmt.Sprintf("a text of %d characters", len(text))
	}
	return text
}

// resource is a resource of the template that the cluster was made from; nil when it has none of that name.
func (c *Config) resource(w *world, name string) gitops.Tree {
	return gitops.TreeAt(w.Templates[clusterStack(c.Name)], "Resources", name)
}

// property is a property of such a resource; none where the resource does not say it.
func property(resource gitops.Tree, path ...string) any {
	v, ok := gitops.At(resource, append([]string{"Properties"}, path...)...)
	if !ok || empty(v) {
		return none
	}
	return v
}

// hasOwnNetwork says that the VPC was made with the cluster.
func (c *Config) hasOwnNetwork(w *world) bool { return len(c.made(w, "AWS::EC2::VPC")) > 0 }

func liveBootstrap(c *Config, w *world) any {
	if a := w.Cluster.AccessConfig; a != nil && a.BootstrapClusterCreatorAdminPermissions != nil {
		return aws.ToBool(a.BootstrapClusterCreatorAdminPermissions)
	}
	v, _ := gitops.At(c.resource(w, "ControlPlane"), "Properties", "AccessConfig", "BootstrapClusterCreatorAdminPermissions")
	return v
}

// liveFargateBoundary is of the role that the first profiles were made with, or of the one in a stack of its own. Without either it is
// still to be made.
func liveFargateBoundary(c *Config, w *world) any {
	const role = "FargatePodExecutionRole"
	for _, stack := range []string{clusterStack(c.Name), fargateStack(c.Name)} {
		if r := gitops.TreeAt(w.Templates[stack], "Resources", role); r != nil {
			return property(r, "PermissionsBoundary")
		}
	}
	return c.written("iam", "fargatePodExecutionRolePermissionsBoundary")
}

func liveServiceBoundary(c *Config, w *world) any {
	r := c.resource(w, "ServiceRole")
	if r == nil {
		return nil
	}
	return property(r, "PermissionsBoundary")
}

func liveResourceController(c *Config, w *world) any {
	r := c.resource(w, "ServiceRole")
	if r == nil {
		return nil
	}
	return strings.Contains(fmt.Sprint(property(r, "ManagedPolicyArns")), "AmazonEKSVPCResourceController")
}

// liveLocalZones are the zones of the subnets that have longer names than the zones of a region.
func liveLocalZones(c *Config, w *world) any {
	if !c.hasOwnNetwork(w) {
		return nil
	}
	var out []string
	for _, subnet := range c.made(w, "AWS::EC2::Subnet") {
		if zone := gitops.StringAt(subnet, "AvailabilityZone"); len(zone) > len(c.Region)+1 {
			out = append(out, zone)
		}
	}
	return unordered(out)
}

// liveEndpointServices are the optional services among those that have an endpoint in the VPC. eksctl adds the one for logs by itself when
// the control plane writes some.
func liveEndpointServices(c *Config, w *world) any {
	var out []string
	for _, e := range c.made(w, "AWS::EC2::VPCEndpoint") {
		_, name, _ := strings.Cut(gitops.StringAt(e, "ServiceName"), "."+c.Region+".")
		byItself := name == api.EndpointServiceCloudWatch.Name && !slices.Contains(c.full.PrivateCluster.AdditionalEndpointServices, name)
		optional := slices.ContainsFunc(api.EndpointServices, func(s api.EndpointService) bool { return s.Name == name && s.Optional })
		if optional && !byItself {
			out = append(out, name)
		}
	}
	return unordered(out)
}

func liveSkipsEndpoints(c *Config, w *world) any {
	return livePrivate(c, w) == true && len(c.made(w, "AWS::EC2::VPCEndpoint")) == 0
}

func liveRemoteProvider(c *Config, w *world) any {
	switch {
	case c.resource(w, "HybridNodesSSMRole") != nil:
		return "SSM"
	case c.resource(w, "HybridNodesIRARole") != nil:
		return "IRA"
	}
	return none
}

func liveRemoteRole(c *Config, w *world) any {
	if arn := output(w.Stacks[clusterStack(c.Name)], outputs.RemoteNodesRoleARN); arn != "" {
		return arn
	}
	return none
}

func liveBundle(c *Config, w *world) any {
	return property(c.resource(w, "TrustAnchor"), "Source", "SourceData", "X509CertificateData")
}

// liveGateway is what connects the VPC with the networks of remote nodes.
func liveGateway(c *Config, w *world) any {
	if !c.hasOwnNetwork(w) {
		return nil
	}
	if r := c.resource(w, "VirtualPrivateGatewayAttachment"); r != nil {
		return property(r, "VpnGatewayId")
	}
	return property(c.resource(w, "TransitGatewayAttachment"), "TransitGatewayId")
}

// liveExtra are the ranges that rules of the control plane's security group let in, by the names of the rules.
func liveExtra(prefix, member string) func(*Config, *world) any {
	return func(c *Config, w *world) any {
		var out []string
		for name := range gitops.TreeAt(w.Templates[clusterStack(c.Name)], "Resources") {
			if strings.HasPrefix(name, prefix) {
				out = append(out, fmt.Sprint(property(c.resource(w, name), member)))
			}
		}
		return unordered(out)
	}
}

func liveHostnames(c *Config, w *world) any {
	if !c.hasOwnNetwork(w) {
		return nil
	}
	for _, subnet := range c.made(w, "AWS::EC2::Subnet") {
		if kind := gitops.StringAt(subnet, "PrivateDnsNameOptionsOnLaunch", "HostnameType"); kind != "" {
			return kind
		}
	}
	return none
}
