package ec2_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// cloud is EC2 behind the wire.
type cloud struct {
	*testing.T
	*ec2.Client
	sim *simtest.Sim
}

func newCloud(t *testing.T, o aws.Options) *cloud {
	t.Helper()
	return cloudAt(t, simtest.NewClock(time.Now()), o)
}

func cloudAt(t *testing.T, clock *simtest.Clock, o aws.Options) *cloud {
	t.Helper()
	o.World.Seed = 3
	sim := simtest.StartAt(t, clock, o)
	return &cloud{T: t, Client: ec2.NewFromConfig(sim.Config()), sim: sim}
}

// call makes a call that has to work.
func call[In, Out any](c *cloud, fn func(context.Context, *In, ...func(*ec2.Options)) (*Out, error), in *In) *Out {
	c.Helper()
	out, err := fn(c.Context(), in)
	if err != nil {
		c.Fatal(err)
	}
	return out
}

// refused makes a call that has to fail with the code.
func refused[In, Out any](c *cloud, code string, fn func(context.Context, *In, ...func(*ec2.Options)) (*Out, error), in *In) {
	c.Helper()
	_, err := fn(c.Context(), in)
	if e, ok := errors.AsType[smithy.APIError](err); !ok || e.ErrorCode() != code {
		c.Errorf("error is %v, want %s", err, code)
	}
}

func filter(name string, values ...string) types.Filter {
	return types.Filter{Name: &name, Values: values}
}

func (c *cloud) vpc() string {
	c.Helper()
	return *call(c, c.CreateVpc, &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16")}).Vpc.VpcId
}

func (c *cloud) subnet(vpc, block, zone string) string {
	c.Helper()
	return *call(c, c.CreateSubnet, &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: &block, AvailabilityZone: &zone}).Subnet.SubnetId
}

func TestVpcLife(t *testing.T) {
	t.Parallel()
	c := newCloud(t, aws.Options{})
	refused(c, "InvalidVpc.Range", c.CreateVpc, &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/8")})
	refused(c, "InvalidVpcID.NotFound", c.DescribeVpcs, &ec2.DescribeVpcsInput{VpcIds: []string{"vpc-0"}})
	refused(c, "DryRunOperation", c.DescribeVpcs, &ec2.DescribeVpcsInput{DryRun: new(true)})
	id := c.vpc()
	groups := call(c, c.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{filter("vpc-id", id)}}).SecurityGroups
	if len(groups) != 1 || *groups[0].GroupName != "default" || *groups[0].IpPermissions[0].UserIdGroupPairs[0].GroupId != *groups[0].GroupId {
		t.Errorf("groups of a new VPC are %v", groups)
	}
	subnet := c.subnet(id, "10.0.0.0/24", "us-west-2a")
	refused(c, "InvalidSubnet.Conflict", c.CreateSubnet, &ec2.CreateSubnetInput{VpcId: &id, CidrBlock: new("10.0.0.128/25")})
	refused(c, "InvalidSubnet.Range", c.CreateSubnet, &ec2.CreateSubnetInput{VpcId: &id, CidrBlock: new("10.1.0.0/24")})
	refused(c, "InvalidParameterValue", c.CreateSubnet, &ec2.CreateSubnetInput{VpcId: &id, CidrBlock: new("10.0.1.0/24"), AvailabilityZone: new("us-west-2z")})
	refused(c, "DependencyViolation", c.DeleteVpc, &ec2.DeleteVpcInput{VpcId: &id})
	if n := call(c, c.DescribeSubnets, &ec2.DescribeSubnetsInput{SubnetIds: []string{subnet}}).Subnets[0]; *n.AvailableIpAddressCount != 251 || *n.AvailabilityZoneId != "usw2-az2" {
		t.Errorf("subnet is %v", n)
	}
	nic := call(c, c.CreateNetworkInterface, &ec2.CreateNetworkInterfaceInput{SubnetId: &subnet}).NetworkInterface
	refused(c, "DependencyViolation", c.DeleteSubnet, &ec2.DeleteSubnetInput{SubnetId: &subnet})
	if n := call(c, c.DescribeSubnets, &ec2.DescribeSubnetsInput{SubnetIds: []string{subnet}}).Subnets[0]; *n.AvailableIpAddressCount != 250 {
		t.Errorf("%d addresses are free", *n.AvailableIpAddressCount)
	}
	call(c, c.DeleteNetworkInterface, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: nic.NetworkInterfaceId})
	call(c, c.DeleteSubnet, &ec2.DeleteSubnetInput{SubnetId: &subnet})
	call(c, c.DeleteVpc, &ec2.DeleteVpcInput{VpcId: &id})
	if left := call(c, c.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{}).SecurityGroups; len(left) != 0 {
		t.Errorf("groups are left: %v", left)
	}
}

func TestFiltersTagsAndPages(t *testing.T) {
	t.Parallel()
	c := newCloud(t, aws.Options{})
	id := c.vpc()
	zones := []string{"us-west-2a", "us-west-2b", "us-west-2c"}
	var subnets []string
	for i, zone := range zones {
		subnets = append(subnets, c.subnet(id, []string{"10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"}[i], zone))
	}
	call(c, c.CreateTags, &ec2.CreateTagsInput{Resources: subnets[:2], Tags: []types.Tag{{Key: new("kubernetes.io/role/elb"), Value: new("1")}}})
	refused(c, "InvalidParameterValue", c.CreateTags, &ec2.CreateTagsInput{Resources: subnets[:1], Tags: []types.Tag{{Key: new("aws:mine"), Value: new("1")}}})
	refused(c, "InvalidID", c.CreateTags, &ec2.CreateTagsInput{Resources: []string{"subnet-0"}, Tags: []types.Tag{{Key: new("a"), Value: new("1")}}})
	for _, tt := range []struct {
		name    string
		filters []types.Filter
		want    int
	}{
		{"none", nil, 3},
		{"by VPC", []types.Filter{filter("vpc-id", id)}, 3},
		{"by another VPC", []types.Filter{filter("vpc-id", "vpc-1")}, 0},
		{"by tag", []types.Filter{filter("tag:kubernetes.io/role/elb", "1")}, 2},
		{"by tag key and zone", []types.Filter{filter("tag-key", "kubernetes.io/*"), filter("availability-zone", "us-west-2b", "us-west-2c")}, 1},
		{"by wildcard", []types.Filter{filter("availability-zone", "us-west-2?")}, 3},
	} {
		if got := len(call(c, c.DescribeSubnets, &ec2.DescribeSubnetsInput{Filters: tt.filters}).Subnets); got != tt.want {
			t.Errorf("%s: %d subnets, want %d", tt.name, got, tt.want)
		}
	}
	refused(c, "InvalidParameterValue", c.DescribeSubnets, &ec2.DescribeSubnetsInput{Filters: []types.Filter{filter("colour", "red")}})
	refused(c, "InvalidParameterCombination", c.DescribeSubnets, &ec2.DescribeSubnetsInput{SubnetIds: subnets, MaxResults: new(int32(5))})
	pages := ec2.NewDescribeTagsPaginator(c, &ec2.DescribeTagsInput{MaxResults: new(int32(5)), Filters: []types.Filter{filter("resource-type", "subnet")}})
	for n := 0; pages.HasMorePages(); n++ {
		page, err := pages.NextPage(t.Context())
		if err != nil || n > 0 || len(page.Tags) != 2 {
			t.Errorf("page %d is %v, %v", n, page, err)
		}
	}
	// Pages of instance types come one after the other and give every type once.
	seen := map[types.InstanceType]bool{}
	all := ec2.NewDescribeInstanceTypesPaginator(c, &ec2.DescribeInstanceTypesInput{MaxResults: new(int32(50))})
	for all.HasMorePages() {
		page, err := all.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range page.InstanceTypes {
			if seen[i.InstanceType] {
				t.Errorf("%s comes twice", i.InstanceType)
			}
			seen[i.InstanceType] = true
		}
	}
	if len(seen) < 100 {
		t.Errorf("%d instance types", len(seen))
	}
	call(c, c.DeleteTags, &ec2.DeleteTagsInput{Resources: subnets, Tags: []types.Tag{{Key: new("kubernetes.io/role/elb")}}})
	if left := call(c, c.DescribeTags, &ec2.DescribeTagsInput{}).Tags; len(left) != 0 {
		t.Errorf("tags are left: %v", left)
	}
}

func TestOfferings(t *testing.T) {
	t.Parallel()
	c := newCloud(t, aws.Options{World: world.Options{Region: "us-east-1"}})
	out := call(c, c.DescribeInstanceTypeOfferings, &ec2.DescribeInstanceTypeOfferingsInput{
		LocationType: types.LocationTypeAvailabilityZone, Filters: []types.Filter{filter("instance-type", "m5.large")},
	})
	var zones []string
	for _, o := range out.InstanceTypeOfferings {
		zones = append(zones, *o.Location)
	}
	if !slices.Equal(zones, []string{"us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d", "us-east-1f"}) {
		t.Errorf("m5.large is offered in %q", zones)
	}
	found := call(c, c.DescribeAvailabilityZones, &ec2.DescribeAvailabilityZonesInput{Filters: []types.Filter{
		filter("region-name", "us-east-1"), filter("state", "available"), filter("zone-type", "availability-zone"),
	}})
	if len(found.AvailabilityZones) != 6 {
		t.Errorf("zones are %v", found.AvailabilityZones)
	}
}

func TestNatGatewayTakesTimeAndHoldsItsAddress(t *testing.T) {
	t.Parallel()
	c := newCloud(t, aws.Options{})
	vpc := c.vpc()
	subnet := c.subnet(vpc, "10.0.0.0/24", "us-west-2a")
	address := call(c, c.AllocateAddress, &ec2.AllocateAddressInput{Domain: types.DomainTypeVpc})
	nat := call(c, c.CreateNatGateway, &ec2.CreateNatGatewayInput{SubnetId: &subnet, AllocationId: address.AllocationId}).NatGateway
	if nat.State != types.NatGatewayStatePending {
		t.Errorf("a new NAT gateway is %s", nat.State)
	}
	state := func() types.NatGatewayState {
		return call(c, c.DescribeNatGateways, &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{*nat.NatGatewayId}}).NatGateways[0].State
	}
	c.sim.Settle(t, 10*time.Second, 5*time.Minute, func() bool { return state() == types.NatGatewayStateAvailable })
	refused(c, "Resource.AlreadyAssociated", c.CreateNatGateway, &ec2.CreateNatGatewayInput{SubnetId: &subnet, AllocationId: address.AllocationId})
	refused(c, "InvalidIPAddress.InUse", c.ReleaseAddress, &ec2.ReleaseAddressInput{AllocationId: address.AllocationId})

	table := call(c, c.CreateRouteTable, &ec2.CreateRouteTableInput{VpcId: &vpc}).RouteTable.RouteTableId
	route := &ec2.CreateRouteInput{RouteTableId: table, DestinationCidrBlock: new("0.0.0.0/0"), NatGatewayId: nat.NatGatewayId}
	call(c, c.CreateRoute, route)
	refused(c, "RouteAlreadyExists", c.CreateRoute, route)
	call(c, c.DeleteNatGateway, &ec2.DeleteNatGatewayInput{NatGatewayId: nat.NatGatewayId})
	refused(c, "DependencyViolation", c.DeleteSubnet, &ec2.DeleteSubnetInput{SubnetId: &subnet})
	c.sim.Settle(t, 10*time.Second, 5*time.Minute, func() bool { return state() == types.NatGatewayStateDeleted })
	routes := call(c, c.DescribeRouteTables, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{*table}}).RouteTables[0].Routes
	if len(routes) != 2 || routes[0].State != types.RouteStateActive || routes[1].State != types.RouteStateBlackhole {
		t.Errorf("routes are %v", routes)
	}
	call(c, c.ReleaseAddress, &ec2.ReleaseAddressInput{AllocationId: address.AllocationId})
	call(c, c.DeleteSubnet, &ec2.DeleteSubnetInput{SubnetId: &subnet})
}

func TestSecurityGroups(t *testing.T) {
	t.Parallel()
	c := newCloud(t, aws.Options{})
	vpc := c.vpc()
	group := func(name string) *string {
		return call(c, c.CreateSecurityGroup, &ec2.CreateSecurityGroupInput{GroupName: &name, Description: new("a group"), VpcId: &vpc}).GroupId
	}
	a, b := group("a"), group("b")
	refused(c, "InvalidGroup.Duplicate", c.CreateSecurityGroup, &ec2.CreateSecurityGroupInput{GroupName: new("a"), Description: new("x"), VpcId: &vpc})
	rule := &ec2.AuthorizeSecurityGroupIngressInput{GroupId: a, IpPermissions: []types.IpPermission{{
		IpProtocol: new("tcp"), FromPort: new(int32(443)), ToPort: new(int32(443)),
		UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: b, Description: new("from b")}}, IpRanges: []types.IpRange{{CidrIp: new("10.0.0.0/8")}},
	}}}
	made := call(c, c.AuthorizeSecurityGroupIngress, rule).SecurityGroupRules
	if len(made) != 2 || *made[0].CidrIpv4 != "10.0.0.0/8" || *made[1].ReferencedGroupInfo.GroupId != *b {
		t.Errorf("rules are %v", made)
	}
	refused(c, "InvalidPermission.Duplicate", c.AuthorizeSecurityGroupIngress, rule)
	refused(c, "InvalidParameterValue", c.AuthorizeSecurityGroupIngress, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: a, IpPermissions: []types.IpPermission{{
		IpProtocol: new("tcp"), IpRanges: []types.IpRange{{CidrIp: new("10.0.0.0/8")}},
	}}})
	refused(c, "DependencyViolation", c.DeleteSecurityGroup, &ec2.DeleteSecurityGroupInput{GroupId: b})
	shown := call(c, c.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{*a}}).SecurityGroups[0]
	if len(shown.IpPermissions) != 1 || len(shown.IpPermissions[0].IpRanges) != 1 || len(shown.IpPermissions[0].UserIdGroupPairs) != 1 || len(shown.IpPermissionsEgress) != 1 {
		t.Errorf("group is %v", shown)
	}
	call(c, c.RevokeSecurityGroupIngress, &ec2.RevokeSecurityGroupIngressInput{GroupId: a, SecurityGroupRuleIds: []string{*made[1].SecurityGroupRuleId}})
	refused(c, "InvalidPermission.NotFound", c.RevokeSecurityGroupIngress, &ec2.RevokeSecurityGroupIngressInput{GroupId: a, IpPermissions: rule.IpPermissions})
	call(c, c.DeleteSecurityGroup, &ec2.DeleteSecurityGroupInput{GroupId: b})
	if rules := call(c, c.DescribeSecurityGroupRules, &ec2.DescribeSecurityGroupRulesInput{Filters: []types.Filter{filter("group-id", *a)}}).SecurityGroupRules; len(rules) != 2 {
		t.Errorf("rules are %v", rules)
	}
}
