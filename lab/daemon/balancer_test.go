package daemon

import (
	"slices"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/eks"
	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
	"github.com/eks-gitops/reconciler/lab/cluster"
)

// ground is a network with a public and a private subnet in each of two zones, and one of another cluster.
type ground struct {
	*testing.T
	ec2 *ec2.Client
	b   balancers
	ids map[string]string // of subnets, by name
}

func (g *ground) must(err error) {
	g.Helper()
	if err != nil {
		g.Fatal(err)
	}
}

func newGround(t *testing.T) (*ground, *simtest.Sim) {
	t.Helper()
	s := simtest.Start(t, aws.Options{})
	g := &ground{T: t, ec2: ec2.NewFromConfig(s.Config()), ids: map[string]string{}}
	vpc, err := g.ec2.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: sdk.String("10.0.0.0/16")})
	g.must(err)
	group, err := g.ec2.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: sdk.String("nodes"), Description: sdk.String("nodes"), VpcId: vpc.Vpc.VpcId})
	g.must(err)
	for _, n := range []struct{ name, zone, block, tag string }{
		{"public a", "us-west-2a", "10.0.0.0/24", "kubernetes.io/role/elb"}, {"private a", "us-west-2a", "10.0.1.0/24", "kubernetes.io/role/internal-elb"},
		{"public b", "us-west-2b", "10.0.2.0/24", "kubernetes.io/role/elb"}, {"private b", "us-west-2b", "10.0.3.0/24", "kubernetes.io/role/internal-elb"},
		{"other's", "us-west-2c", "10.0.4.0/24", "kubernetes.io/cluster/other"},
	} {
		made, err := g.ec2.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{
			VpcId: vpc.Vpc.VpcId, AvailabilityZone: &n.zone, CidrBlock: &n.block,
			TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeSubnet, Tags: []ec2types.Tag{{Key: &n.tag, Value: sdk.String("1")}}}},
		})
		g.must(err)
		g.ids[n.name] = *made.Subnet.SubnetId
	}
	g.b = balancers{aws: s.Server, of: eks.ControlPlane{Cluster: "dev", ARN: "arn:aws:eks:us-west-2:111122223333:cluster/dev", VPC: *vpc.Vpc.VpcId, SecurityGroup: *group.GroupId}}
	return g, s
}

// census is what there is in the network beside subnets.
func (g *ground) census() (groups, interfaces, rules int) {
	g.Helper()
	sg, err := g.ec2.DescribeSecurityGroups(g.Context(), &ec2.DescribeSecurityGroupsInput{})
	g.must(err)
	ni, err := g.ec2.DescribeNetworkInterfaces(g.Context(), &ec2.DescribeNetworkInterfacesInput{})
	g.must(err)
	sgr, err := g.ec2.DescribeSecurityGroupRules(g.Context(), &ec2.DescribeSecurityGroupRulesInput{})
	g.must(err)
	return len(sg.SecurityGroups), len(ni.NetworkInterfaces), len(sgr.SecurityGroupRules)
}

// TestBalancersAreTheCloudProviders: a classic load balancer with its security group, and a Network Load Balancer, in the subnets for them and with
// the tags by which a cluster's end finds them; made once, and gone with all that came with them.
func TestBalancersAreTheCloudProviders(t *testing.T) {
	t.Parallel()
	g, s := newGround(t)
	classic, network := elb.NewFromConfig(s.Config()), elbv2.NewFromConfig(s.Config())
	groups, interfaces, rules := g.census()

	host, err := g.b.Ensure(t.Context(), cluster.Balancer{Name: "a01", Service: "apps/web", Ports: []int32{80, 443}})
	g.must(err)
	_, err = g.b.Ensure(t.Context(), cluster.Balancer{Name: "a02", Service: "apps/inner", Network: true, Internal: true})
	g.must(err)
	again, err := g.b.Ensure(t.Context(), cluster.Balancer{Name: "a01", Service: "apps/web", Ports: []int32{80, 443}})
	g.must(err)
	if again != host {
		t.Errorf("%s became %s", host, again)
	}
	one, err := classic.DescribeLoadBalancers(t.Context(), &elb.DescribeLoadBalancersInput{})
	g.must(err)
	if len(one.LoadBalancerDescriptions) != 1 {
		t.Fatalf("classic load balancers are %+v", one.LoadBalancerDescriptions)
	}
	web := one.LoadBalancerDescriptions[0]
	if *web.DNSName != host || *web.Scheme != "internet-facing" || *web.VPCId != g.b.of.VPC || !slices.Equal(web.Subnets, []string{g.ids["public a"], g.ids["public b"]}) {
		t.Errorf("the classic load balancer is %+v of %v", web, g.ids)
	}
	tags, err := classic.DescribeTags(t.Context(), &elb.DescribeTagsInput{LoadBalancerNames: []string{"a01"}})
	g.must(err)
	has := map[string]string{}
	for _, tag := range tags.TagDescriptions[0].Tags {
		has[*tag.Key] = *tag.Value
	}
	if has["kubernetes.io/cluster/dev"] != "owned" || has["kubernetes.io/service-name"] != "apps/web" {
		t.Errorf("its tags are %v", has)
	}
	two, err := network.DescribeLoadBalancers(t.Context(), &elbv2.DescribeLoadBalancersInput{})
	g.must(err)
	if len(two.LoadBalancers) != 1 || two.LoadBalancers[0].Scheme != "internal" || two.LoadBalancers[0].Type != "network" {
		t.Fatalf("load balancers are %+v", two.LoadBalancers)
	}
	var zones []string
	for _, z := range two.LoadBalancers[0].AvailabilityZones {
		zones = append(zones, *z.SubnetId)
	}
	if !slices.Equal(zones, []string{g.ids["private a"], g.ids["private b"]}) {
		t.Errorf("the internal one is in %v of %v", zones, g.ids)
	}
	// A group and two interfaces each; the group lets everything out and two ports in, and the nodes let it in.
	if a, b, c := g.census(); a != groups+1 || b != interfaces+4 || c != rules+4 {
		t.Errorf("there are %d groups, %d interfaces, %d rules more", a-groups, b-interfaces, c-rules)
	}
	if _, err := g.ec2.DeleteSecurityGroup(t.Context(), &ec2.DeleteSecurityGroupInput{GroupId: &web.SecurityGroups[0]}); err == nil {
		t.Error("the group of a load balancer could be deleted")
	}
	for range 2 {
		for _, name := range []string{"a01", "a02"} {
			g.must(g.b.Remove(t.Context(), name))
		}
	}
	if a, b, c := g.census(); a != groups || b != interfaces || c != rules {
		t.Errorf("left are %d groups, %d interfaces, %d rules", a-groups, b-interfaces, c-rules)
	}
}

// TestABalancerNeedsASubnet: without one the cloud provider says so, and makes nothing.
func TestABalancerNeedsASubnet(t *testing.T) {
	t.Parallel()
	g, _ := newGround(t)
	for _, name := range []string{"public a", "public b"} {
		id := g.ids[name]
		_, err := g.ec2.DeleteSubnet(t.Context(), &ec2.DeleteSubnetInput{SubnetId: &id})
		g.must(err)
	}
	groups, _, _ := g.census()
	if _, err := g.b.Ensure(t.Context(), cluster.Balancer{Name: "a01", Service: "apps/web"}); err == nil || err.Error() != "could not find any suitable subnets for creating the ELB" {
		t.Errorf("got %v", err)
	}
	if after, _, _ := g.census(); after != groups {
		t.Error("a group was made")
	}
}
