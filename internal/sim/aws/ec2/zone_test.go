package ec2_test

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// TestLocalZones: local zones are there once the account has opted in to their group, with few instance types.
func TestLocalZones(t *testing.T) {
	t.Parallel()
	c := newCloud(t, aws.Options{World: world.Options{Region: "us-west-2"}})
	const lax, group = "us-west-2-lax-1a", "us-west-2-lax-1"
	local := func(all bool) []types.AvailabilityZone {
		return call(c, c.DescribeAvailabilityZones, &ec2.DescribeAvailabilityZonesInput{
			AllAvailabilityZones: &all, Filters: []types.Filter{filter("zone-type", "local-zone")},
		}).AvailabilityZones
	}
	vpc := *call(c, c.CreateVpc, &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16")}).Vpc.VpcId
	if got := local(false); len(got) != 0 {
		t.Errorf("zones that nobody opted in to: %v", got)
	}
	if got := local(true); len(got) != 2 || got[0].OptInStatus != types.AvailabilityZoneOptInStatusNotOptedIn {
		t.Errorf("all local zones: %v", got)
	}
	refused(c, "InvalidParameterValue", c.DescribeAvailabilityZones, &ec2.DescribeAvailabilityZonesInput{ZoneNames: []string{lax}})
	refused(c, "InvalidParameterValue", c.CreateSubnet, &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: new("10.0.0.0/24"), AvailabilityZone: new(lax)})

	in := func(group string, status types.ModifyAvailabilityZoneOptInStatus) *ec2.ModifyAvailabilityZoneGroupInput {
		return &ec2.ModifyAvailabilityZoneGroupInput{GroupName: &group, OptInStatus: status}
	}
	refused(c, "InvalidParameterValue", c.ModifyAvailabilityZoneGroup, in(group, types.ModifyAvailabilityZoneOptInStatusNotOptedIn))
	refused(c, "InvalidParameterValue", c.ModifyAvailabilityZoneGroup, in("us-west-2-mars-1", types.ModifyAvailabilityZoneOptInStatusOptedIn))
	call(c, c.ModifyAvailabilityZoneGroup, in(group, types.ModifyAvailabilityZoneOptInStatusOptedIn))
	got := local(false)
	if len(got) != 2 || *got[0].ZoneName != lax || *got[0].GroupName != group || *got[0].ParentZoneName != "us-west-2d" || got[0].OptInStatus != types.AvailabilityZoneOptInStatusOptedIn {
		t.Errorf("local zones are %v", got)
	}
	c.subnet(vpc, "10.0.0.0/24", lax)
	var offered []string
	for _, o := range call(c, c.DescribeInstanceTypeOfferings, &ec2.DescribeInstanceTypeOfferingsInput{
		LocationType: types.LocationTypeAvailabilityZone, Filters: []types.Filter{filter("location", lax), filter("instance-type", "m5.large", "m6i.large")},
	}).InstanceTypeOfferings {
		offered = append(offered, string(o.InstanceType))
	}
	if !slices.Equal(offered, []string{"m5.large"}) {
		t.Errorf("there are %v", offered)
	}
}
