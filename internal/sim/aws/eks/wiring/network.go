package wiring

import (
	"context"
	"fmt"
	"slices"

	"github.com/eks-gitops/reconciler/internal/sim/aws/ec2"
	"github.com/eks-gitops/reconciler/internal/sim/aws/eks"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// asEKS is the name in which EKS calls.
func asEKS() wire.Caller { return wire.Caller{ARN: "eks.amazonaws.com"} }

// quick is the context of calls in process, none of which waits.
func quick() context.Context { return context.Background() }

type network struct {
	world *world.World
	ec2   *ec2.Service
}

func (n network) Subnet(id string) (eks.Subnet, bool) {
	found, err := n.ec2.DescribeSubnets(quick(), asEKS(), &ec2.DescribeSubnetsInput{SubnetIDs: []string{id}})
	if err != nil || len(found.Subnets) != 1 {
		return eks.Subnet{}, false
	}
	s := found.Subnets[0]
	out := eks.Subnet{
		ID: s.SubnetID, VPC: s.VpcID, Zone: s.AvailabilityZone, ZoneID: s.AvailabilityZoneID, FreeAddresses: s.AvailableIPAddressCount,
		Public: n.ec2.Public(id), MapPublicIP: s.MapPublicIPOnLaunch, IPv6: len(s.IPv6Blocks) > 0,
	}
	vpcs, err := n.ec2.DescribeVpcs(quick(), asEKS(), &ec2.DescribeVpcsInput{VpcIDs: []string{s.VpcID}})
	if err == nil && len(vpcs.Vpcs) == 1 {
		for _, b := range vpcs.Vpcs[0].Blocks {
			out.VPCCIDRs = append(out.VPCCIDRs, b.CidrBlock)
		}
	}
	return out, true
}

func (n network) SecurityGroup(id string) (vpc string, ok bool) {
	found, err := n.ec2.DescribeSecurityGroups(quick(), asEKS(), &ec2.DescribeSecurityGroupsInput{GroupIDs: []string{id}})
	if err != nil || len(found.SecurityGroups) != 1 {
		return "", false
	}
	return found.SecurityGroups[0].VpcID, true
}

// Attach makes the cluster security group, which lets its members talk to each other, and one network interface in each
// subnet.
func (n network) Attach(want eks.AttachRequest, have eks.Attachment) (eks.Attachment, error) {
	out := have
	if out.SecurityGroupID == "" {
		id, err := n.clusterGroup(want)
		if err != nil {
			return have, err
		}
		out.SecurityGroupID = id
	}
	groups := append(slices.Clone(want.SecurityGroupIDs), out.SecurityGroupID)
	out.InterfaceIDs = nil
	for _, subnet := range want.SubnetIDs {
		made, err := n.ec2.CreateNetworkInterface(quick(), asEKS(), &ec2.CreateNetworkInterfaceInput{
			SubnetID: subnet, Description: "Amazon EKS " + want.Cluster, Groups: groups, RequesterID: "amazon-eks", RequesterManaged: true,
		})
		if err != nil {
			n.release(out.InterfaceIDs)
			return have, err
		}
		out.InterfaceIDs = append(out.InterfaceIDs, made.NetworkInterface.NetworkInterfaceID)
	}
	n.release(have.InterfaceIDs)
	return out, nil
}

func (n network) release(interfaces []string) {
	for _, id := range interfaces {
		n.ec2.ReleaseInterface(id)
	}
}

func (n network) clusterGroup(want eks.AttachRequest) (string, error) {
	made, err := n.ec2.CreateSecurityGroup(quick(), asEKS(), &ec2.CreateSecurityGroupInput{
		GroupName: want.Tags["Name"], VpcID: want.VPC,
		Description: "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, as well as any managed workloads.",
	})
	if err != nil {
		return "", fmt.Errorf("creating the cluster security group: %w", err)
	}
	n.ec2.SetTags(made.GroupID, want.Tags)
	_, err = n.ec2.AuthorizeSecurityGroupIngress(quick(), asEKS(), &ec2.AuthorizeInput{RulesInput: ec2.RulesInput{GroupID: made.GroupID, IPPermissions: []ec2.IPPermission{{
		IPProtocol: "-1", Groups: []ec2.UserIDGroupPair{{GroupID: made.GroupID, UserID: n.world.Account}},
	}}}})
	if err != nil {
		return "", fmt.Errorf("opening the cluster security group: %w", err)
	}
	return made.GroupID, nil
}

// Detach removes what Attach made. A group that is still in use stays, as in life.
func (n network) Detach(have eks.Attachment) {
	n.release(have.InterfaceIDs)
	if _, err := n.ec2.DeleteSecurityGroup(quick(), asEKS(), &ec2.DeleteSecurityGroupInput{GroupID: have.SecurityGroupID}); err != nil {
		n.world.Log().Info("leaving the cluster security group", "group", have.SecurityGroupID, "reason", err)
	}
}
