package ec2

import (
	"context"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
)

func (s *Service) networkTypes() []cloudformation.ResourceType {
	return []cloudformation.ResourceType{
		{
			Name: "AWS::EC2::VPC", Tagged: true,
			Provider:   provider{create: s.createVpcResource, update: s.updateVpcResource, remove: s.deleteVpcResource, status: s.vpcStatus},
			Properties: []string{"CidrBlock", "EnableDnsHostnames", "EnableDnsSupport", "InstanceTenancy", "Ipv4IpamPoolId", "Ipv4NetmaskLength", "Tags"},
			CreateOnly: []string{"CidrBlock", "Ipv4IpamPoolId", "Ipv4NetmaskLength"},
			Replaces: func(old, desired map[string]any) bool {
				return desired["InstanceTenancy"] != old["InstanceTenancy"] && desired["InstanceTenancy"] != "default"
			},
			Attributes: []string{"CidrBlock", "CidrBlockAssociations", "DefaultNetworkAcl", "DefaultSecurityGroup", "Ipv6CidrBlocks", "VpcId"},
		},
		{
			Name: "AWS::EC2::VPCCidrBlock",
			Provider: provider{
				create: s.createVpcBlock,
				remove: func(r cloudformation.Resource) error {
					_, err := s.DisassociateVpcCidrBlock(context.Background(), s.caller(), &VpcAssociationInput{AssociationID: r.PhysicalID})
					return err
				},
				status: s.vpcBlockStatus,
			},
			Properties: []string{
				"AmazonProvidedIpv6CidrBlock", "CidrBlock", "Ipv4IpamPoolId", "Ipv4NetmaskLength", "Ipv6CidrBlock", "Ipv6CidrBlockNetworkBorderGroup",
				"Ipv6IpamPoolId", "Ipv6NetmaskLength", "Ipv6Pool", "VpcId",
			},
			Required: []string{"VpcId"},
			CreateOnly: []string{
				"Ipv6Pool", "VpcId", "AmazonProvidedIpv6CidrBlock", "Ipv6CidrBlock", "CidrBlock", "Ipv4IpamPoolId", "Ipv4NetmaskLength",
				"Ipv6IpamPoolId", "Ipv6NetmaskLength", "Ipv6CidrBlockNetworkBorderGroup",
			},
			Attributes: []string{"Id", "Ipv6AddressAttribute", "IpSource"},
		},
	}
}

func (s *Service) subnetTypes() []cloudformation.ResourceType {
	return []cloudformation.ResourceType{
		{
			Name: "AWS::EC2::Subnet", Tagged: true,
			Provider: provider{create: s.createSubnetResource, update: s.updateSubnetResource, remove: func(r cloudformation.Resource) error {
				_, err := s.DeleteSubnet(context.Background(), s.caller(), &SubnetIDInput{SubnetID: r.PhysicalID})
				return err
			}, status: s.subnetStatus},
			Properties: []string{
				"AssignIpv6AddressOnCreation", "AvailabilityZone", "AvailabilityZoneId", "CidrBlock", "EnableDns64", "EnableLniAtDeviceIndex", "Ipv4IpamPoolId",
				"Ipv4NetmaskLength", "Ipv6CidrBlock", "Ipv6IpamPoolId", "Ipv6Native", "Ipv6NetmaskLength", "MapPublicIpOnLaunch", "OutpostArn",
				"PrivateDnsNameOptionsOnLaunch", "Tags", "VpcId",
			},
			Required: []string{"VpcId"},
			CreateOnly: []string{
				"VpcId", "AvailabilityZone", "AvailabilityZoneId", "CidrBlock", "OutpostArn", "Ipv6Native", "Ipv4IpamPoolId", "Ipv4NetmaskLength",
				"Ipv6IpamPoolId", "Ipv6NetmaskLength",
			},
			Attributes: []string{"Ipv6CidrBlocks", "NetworkAclAssociationId", "SubnetId", "BlockPublicAccessStates"},
		},
		{
			Name: "AWS::EC2::SubnetCidrBlock",
			Provider: provider{
				create: s.createSubnetBlock, remove: s.deleteSubnetBlock,
				status: func(r cloudformation.Resource) cloudformation.Status {
					if n, _ := s.subnetBlockOwner(r.PhysicalID); n == nil {
						return absent()
					}
					return ready(map[string]any{"Id": r.PhysicalID})
				},
			},
			Properties: []string{"Ipv6CidrBlock", "SubnetId", "Ipv6IpamPoolId", "Ipv6NetmaskLength"}, Required: []string{"SubnetId"},
			CreateOnly: []string{"SubnetId", "Ipv6CidrBlock", "Ipv6IpamPoolId", "Ipv6NetmaskLength"}, Attributes: []string{"Id"},
		},
	}
}

type vpcProperties struct {
	CidrBlock          string
	EnableDNSHostnames *bool `cfn:"EnableDnsHostnames"`
	EnableDNSSupport   *bool `cfn:"EnableDnsSupport"`
	InstanceTenancy    string
}

func (s *Service) createVpcResource(r cloudformation.Resource) (string, error) {
	var p vpcProperties
	if err := cloudformation.Decode(r.Properties, &p); err != nil {
		return "", err
	}
	out, err := s.CreateVpc(context.Background(), s.caller(), &CreateVpcInput{CidrBlock: p.CidrBlock, InstanceTenancy: p.InstanceTenancy})
	if err != nil {
		return "", err
	}
	s.setVpcDNS(out.Vpc.VpcID, p)
	return out.Vpc.VpcID, s.setWanted(out.Vpc.VpcID, r)
}

func (s *Service) setVpcDNS(id string, p vpcProperties) {
	v := s.state.Vpcs[id]
	v.DNSHostnames = p.EnableDNSHostnames != nil && *p.EnableDNSHostnames
	v.DNSSupport = p.EnableDNSSupport == nil || *p.EnableDNSSupport
}

func (s *Service) updateVpcResource(r cloudformation.Resource, old map[string]any) error {
	var p vpcProperties
	if err := cloudformation.Decode(r.Properties, &p); err != nil {
		return err
	}
	if _, err := s.vpc(r.PhysicalID); err != nil {
		return err
	}
	s.setVpcDNS(r.PhysicalID, p)
	return s.changeTags(r.PhysicalID, r, old)
}

func (s *Service) deleteVpcResource(r cloudformation.Resource) error {
	_, err := s.DeleteVpc(context.Background(), s.caller(), &VpcIDInput{VpcID: r.PhysicalID})
	return err
}

func (s *Service) vpcStatus(r cloudformation.Resource) cloudformation.Status {
	v := s.state.Vpcs[r.PhysicalID]
	if v == nil {
		return absent()
	}
	var associations, ipv6 []string
	for _, b := range v.Blocks {
		associations = append(associations, b.AssociationID)
	}
	for _, b := range v.IPv6Blocks {
		ipv6 = append(ipv6, b.IPv6CidrBlock)
	}
	return ready(map[string]any{
		"CidrBlock": v.CidrBlock, "CidrBlockAssociations": texts(associations), "DefaultNetworkAcl": v.DefaultACL,
		"DefaultSecurityGroup": v.DefaultGroup, "Ipv6CidrBlocks": texts(ipv6), "VpcId": v.VpcID,
	})
}

func (s *Service) createVpcBlock(r cloudformation.Resource) (string, error) {
	var p struct {
		VpcID     string `cfn:"VpcId"`
		CidrBlock string
		Amazon    bool `cfn:"AmazonProvidedIpv6CidrBlock"`
	}
	if err := cloudformation.Decode(r.Properties, &p); err != nil {
		return "", err
	}
	out, err := s.AssociateVpcCidrBlock(context.Background(), s.caller(), &AssociateVpcCidrBlockInput{
		VpcID: p.VpcID, CidrBlock: p.CidrBlock, AmazonProvidedIPv6CidrBlock: p.Amazon,
	})
	switch {
	case err != nil:
		return "", err
	case out.IPv6 != nil:
		return out.IPv6.AssociationID, nil
	}
	return out.IPv4.AssociationID, nil
}

func (s *Service) vpcBlockStatus(r cloudformation.Resource) cloudformation.Status {
	for _, v := range s.state.Vpcs {
		for _, b := range v.Blocks {
			if b.AssociationID == r.PhysicalID {
				return ready(map[string]any{"Id": r.PhysicalID})
			}
		}
		for _, b := range v.IPv6Blocks {
			if b.AssociationID == r.PhysicalID {
				return ready(map[string]any{"Id": r.PhysicalID})
			}
		}
	}
	return absent()
}

type subnetProperties struct {
	VpcID              string `cfn:"VpcId"`
	AvailabilityZone   string
	AvailabilityZoneID string `cfn:"AvailabilityZoneId"`
	CidrBlock          string
	IPv6CidrBlock      string          `cfn:"Ipv6CidrBlock"`
	IPv6Native         bool            `cfn:"Ipv6Native"`
	MapPublicIP        bool            `cfn:"MapPublicIpOnLaunch"`
	AssignIPv6         bool            `cfn:"AssignIpv6AddressOnCreation"`
	EnableDNS64        bool            `cfn:"EnableDns64"`
	DNSOptions         *DNSNameOptions `cfn:"PrivateDnsNameOptionsOnLaunch"`
}

func (s *Service) createSubnetResource(r cloudformation.Resource) (string, error) {
	var p subnetProperties
	if err := cloudformation.Decode(r.Properties, &p); err != nil {
		return "", err
	}
	out, err := s.CreateSubnet(context.Background(), s.caller(), &CreateSubnetInput{
		VpcID: p.VpcID, AvailabilityZone: p.AvailabilityZone, AvailabilityZoneID: p.AvailabilityZoneID, CidrBlock: p.CidrBlock,
		IPv6CidrBlock: p.IPv6CidrBlock, IPv6Native: p.IPv6Native,
	})
	if err != nil {
		return "", err
	}
	s.setSubnet(s.state.Subnets[out.Subnet.SubnetID], p)
	return out.Subnet.SubnetID, s.setWanted(out.Subnet.SubnetID, r)
}

func (s *Service) setSubnet(n *Subnet, p subnetProperties) {
	n.MapPublicIPOnLaunch, n.AssignIPv6OnCreation, n.EnableDNS64 = p.MapPublicIP, p.AssignIPv6, p.EnableDNS64
	if p.DNSOptions == nil {
		return
	}
	hostname := n.DNSOptions.HostnameType
	n.DNSOptions = *p.DNSOptions
	if n.DNSOptions.HostnameType == "" {
		n.DNSOptions.HostnameType = hostname
	}
}

func (s *Service) updateSubnetResource(r cloudformation.Resource, old map[string]any) error {
	var p, before subnetProperties
	if err := cloudformation.Decode(r.Properties, &p); err != nil {
		return err
	}
	if err := cloudformation.Decode(old, &before); err != nil {
		return err
	}
	n, err := s.subnet(r.PhysicalID)
	if err != nil {
		return err
	}
	if p.IPv6CidrBlock != before.IPv6CidrBlock {
		n.IPv6Blocks = nil
		if p.IPv6CidrBlock != "" {
			if err := s.addSubnetIPv6(s.state.Vpcs[n.VpcID], n, p.IPv6CidrBlock); err != nil {
				return err
			}
		}
	}
	s.setSubnet(n, p)
	return s.changeTags(n.SubnetID, r, old)
}

func (s *Service) subnetStatus(r cloudformation.Resource) cloudformation.Status {
	n := s.state.Subnets[r.PhysicalID]
	if n == nil {
		return absent()
	}
	return ready(map[string]any{
		"Ipv6CidrBlocks": texts(n.ipv6Blocks()), "NetworkAclAssociationId": "aclassoc-" + n.SubnetID[len("subnet-"):],
		"SubnetId": n.SubnetID, "BlockPublicAccessStates": map[string]any{"InternetGatewayBlockMode": "off"},
	})
}

func (s *Service) createSubnetBlock(r cloudformation.Resource) (string, error) {
	var p struct {
		SubnetID      string `cfn:"SubnetId"`
		IPv6CidrBlock string `cfn:"Ipv6CidrBlock"`
	}
	if err := cloudformation.Decode(r.Properties, &p); err != nil {
		return "", err
	}
	n, err := s.subnet(p.SubnetID)
	if err != nil {
		return "", err
	}
	if err := s.addSubnetIPv6(s.state.Vpcs[n.VpcID], n, p.IPv6CidrBlock); err != nil {
		return "", err
	}
	return n.IPv6Blocks[len(n.IPv6Blocks)-1].AssociationID, nil
}

func (s *Service) subnetBlockOwner(association string) (*Subnet, int) {
	for _, n := range s.state.Subnets {
		for i, b := range n.IPv6Blocks {
			if b.AssociationID == association {
				return n, i
			}
		}
	}
	return nil, 0
}

func (s *Service) deleteSubnetBlock(r cloudformation.Resource) error {
	if n, i := s.subnetBlockOwner(r.PhysicalID); n != nil {
		n.IPv6Blocks = append(n.IPv6Blocks[:i:i], n.IPv6Blocks[i+1:]...)
	}
	return nil
}
