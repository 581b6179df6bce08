package eks

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/cfn/outputs"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// The network that the cluster was made with, as the template of the cluster's stack has it. eksctl does not change it later, and so a
// file that says otherwise is told. Of a network that the stack did not make nothing is known here.

// madeFields are the rows of what is made with the cluster.
func madeFields() []clusterField {
	const template = "cloudformation:GetTemplate"
	return []clusterField{
		{path: []string{"availabilityZones"}, from: template, live: liveZones, form: unordered, note: "of the subnets that were made with the cluster; a file that names none: see above"},
		{path: []string{"vpc", "cidr"}, from: template, live: liveCIDR, wanted: wantedCIDR, note: "of a VPC that was made with the cluster"},
		{path: []string{"vpc", "nat", "gateway"}, from: template, live: liveNAT, note: "of a VPC that was made with the cluster"},
		{path: []string{"vpc", "autoAllocateIPv6"}, from: template, live: liveAllocatesIPv6, note: "of a VPC that was made with the cluster"},
		{path: []string{"vpc", "ipv6Cidr"}, from: template, live: liveIPv6("Ipv6CidrBlock"), note: "of a VPC that was made with the cluster"},
		{path: []string{"vpc", "ipv6Pool"}, from: template, live: liveIPv6("Ipv6Pool"), note: "of a VPC that was made with the cluster"},
		{path: []string{"vpc", "securityGroup"}, from: "eks:DescribeCluster resourcesVpcConfig", live: liveSecurityGroup, barred: instead("vpc.controlPlaneSecurityGroupIDs"), note: "vpc.controlPlaneSecurityGroupIDs can be changed"},
		{path: []string{"vpc", "sharedNodeSecurityGroup"}, from: "cloudformation:DescribeStacks", live: liveSharedGroup},
		{path: []string{"privateCluster", "enabled"}, from: template, live: livePrivate, barred: instead("vpc.clusterEndpoints"), note: "its network is made with the cluster; vpc.clusterEndpoints can be changed"},
	}
}

// made are the properties of the resources of a type that the cluster's stack made.
func (c *Config) made(w *world, kind string) []gitops.Tree {
	var out []gitops.Tree
	resources := gitops.TreeAt(w.Templates[clusterStack(c.Name)], "Resources")
	for _, name := range slices.Sorted(maps.Keys(resources)) {
		if gitops.StringAt(resources, name, "Type") == kind {
			out = append(out, gitops.TreeAt(resources, name, "Properties"))
		}
	}
	return out
}

// liveAllocatesIPv6 says that Amazon's range of IPv6 was added to the VPC for the asking.
func liveAllocatesIPv6(c *Config, w *world) any {
	if !c.hasOwnNetwork(w) {
		return nil
	}
	return c.resource(w, "AutoAllocatedCIDRv6") != nil
}

// amazons is a range of IPv6 that Amazon chose.
const amazons = "Amazon's"

// liveIPv6 is a property of the range of IPv6 that the VPC was made with.
func liveIPv6(member string) func(*Config, *world) any {
	return func(c *Config, w *world) any {
		blocks := c.made(w, "AWS::EC2::VPCCidrBlock")
		switch {
		case !c.hasOwnNetwork(w):
			return nil
		case len(blocks) == 0:
			return none
		case gitops.StringAt(blocks[0], member) == "":
			return amazons
		}
		return gitops.StringAt(blocks[0], member)
	}
}

// liveSecurityGroup is the file's word where the control plane has that group, be it as the one that EKS made for it: imports name that.
func liveSecurityGroup(c *Config, w *world) any {
	v := w.Cluster.ResourcesVpcConfig
	if v == nil {
		return nil
	}
	wanted := gitops.StringAt(c.Written, "vpc", "securityGroup")
	if slices.Contains(v.SecurityGroupIds, wanted) || aws.ToString(v.ClusterSecurityGroupId) == wanted {
		return wanted
	}
	return strings.Join(v.SecurityGroupIds, ", ")
}

func liveSharedGroup(c *Config, w *world) any {
	return output(w.Stacks[clusterStack(c.Name)], outputs.ClusterSharedNodeSecurityGroup)
}

// livePrivate says that the cluster was made without a way to the internet.
func livePrivate(c *Config, w *world) any {
	stack := clusterStack(c.Name)
	switch {
	case len(w.Templates[stack]) == 0:
		return nil
	case c.hasOwnNetwork(w):
		return len(c.made(w, "AWS::EC2::InternetGateway")) == 0
	}
	return output(w.Stacks[stack], outputs.ClusterFullyPrivate) != ""
}

// instead says of a fixed field which one can be changed.
func instead(path string) func(*world, any, any) string {
	return func(_ *world, live, next any) string {
		return fmt.Sprintf("cannot be changed on a live cluster: it is %v, and the file says %v; change %s instead", live, next, path)
	}
}

func wantedCIDR(c *Config) any {
	if c.written("vpc", "cidr") == nil || c.full.VPC.CIDR == nil {
		return nil
	}
	return c.full.VPC.CIDR.String()
}

func liveCIDR(c *Config, w *world) any {
	for _, vpc := range c.made(w, "AWS::EC2::VPC") {
		return gitops.StringAt(vpc, "CidrBlock")
	}
	return nil
}

// liveNAT tells the mode of NAT by the number of gateways. Fully private clusters have none, whatever their file says.
func liveNAT(c *Config, w *world) any {
	if len(c.made(w, "AWS::EC2::VPC")) == 0 || c.full.IsFullyPrivate() {
		return nil
	}
	switch len(c.made(w, "AWS::EC2::NatGateway")) {
	case 0:
		return api.ClusterDisableNAT
	case 1:
		return api.ClusterSingleNAT
	}
	return api.ClusterHighlyAvailableNAT
}

// liveZones are the zones of the subnets; a local zone has a longer name than the zones of a region.
func liveZones(c *Config, w *world) any {
	var out []string
	for _, subnet := range c.made(w, "AWS::EC2::Subnet") {
		if zone := gitops.StringAt(subnet, "AvailabilityZone"); len(zone) == len(c.Region)+1 {
			out = append(out, zone)
		}
	}
	return out
}

// otherSubnets notes subnets of the file that are not those that the cluster was made with: new nodegroups use them, and that is all.
func (c *Config) otherSubnets(w *world) []*gitops.Error {
	stack, ok := w.Stacks[clusterStack(c.Name)]
	if !ok || c.written("vpc", "subnets") == nil || c.full.VPC.Subnets == nil {
		return nil
	}
	var ranges []string
	for _, subnet := range c.made(w, "AWS::EC2::Subnet") {
		ranges = append(ranges, gitops.StringAt(subnet, "CidrBlock"))
	}
	var differ []string
	for _, of := range []struct {
		kind, output string
		subnets      api.AZSubnetMapping
	}{{"private", "SubnetsPrivate", c.full.VPC.Subnets.Private}, {"public", "SubnetsPublic", c.full.VPC.Subnets.Public}} {
		if !sameSubnets(of.subnets, output(stack, of.output), ranges) {
			differ = append(differ, "vpc.subnets."+of.kind)
		}
	}
	if len(differ) == 0 {
		return nil
	}
	r := c.ref(ConfigKind, "vpc.subnets")
	note := gitops.Errorf(gitops.NotManaged, "%s: not what the cluster was made with: nodegroups that are made from now on use it, and nothing else does", strings.Join(differ, ", "))
	note.Try = fmt.Sprintf("the subnets of the control plane are vpc.controlPlaneSubnetIDs: aws eks describe-cluster --name %s --query cluster.resourcesVpcConfig.subnetIds", c.Name)
	return []*gitops.Error{note.On(r).At(c.origin("vpc.subnets"))}
}

// sameSubnets compares subnets of the file, which name ids or ranges, with those of the stack; what the stack does not tell passes.
func sameSubnets(subnets api.AZSubnetMapping, ids string, ranges []string) bool {
	made := strings.Split(ids, ",")
	named := 0
	for _, s := range subnets {
		switch {
		case s.ID != "":
			named++
			if ids != "" && !slices.Contains(made, s.ID) {
				return false
			}
		case s.CIDR != nil && len(ranges) > 0 && !slices.Contains(ranges, s.CIDR.String()):
			return false
		}
	}
	return ids == "" || named == 0 || named == len(made)
}
