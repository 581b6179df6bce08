package ec2

import (
	"context"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
)

func (s *Service) gatewayTypes() []cloudformation.ResourceType {
	return []cloudformation.ResourceType{
		{
			Name: "AWS::EC2::InternetGateway", Tagged: true,
			Provider: provider{create: s.createGatewayResource, update: s.tagsOnly, remove: func(r cloudformation.Resource) error {
				_, err := s.DeleteInternetGateway(context.Background(), s.caller(), &GatewayIDInput{InternetGatewayID: r.PhysicalID})
				return err
			}, status: func(r cloudformation.Resource) cloudformation.Status {
				if s.state.Gateways[r.PhysicalID] == nil {
					return absent()
				}
				return ready(map[string]any{"InternetGatewayId": r.PhysicalID})
			}},
			Properties: []string{"Tags"}, Attributes: []string{"InternetGatewayId"},
		},
		{
			Name: "AWS::EC2::EgressOnlyInternetGateway", Tagged: true,
			Provider: provider{create: s.createEgressResource, update: s.tagsOnly, remove: func(r cloudformation.Resource) error {
				_, err := s.DeleteEgressOnlyInternetGateway(context.Background(), s.caller(), &EgressGatewayIDInput{GatewayID: r.PhysicalID})
				return err
			}, status: func(r cloudformation.Resource) cloudformation.Status {
				if s.state.EgressGateways[r.PhysicalID] == nil {
					return absent()
				}
				return ready(map[string]any{"Id": r.PhysicalID})
			}},
			Properties: []string{"Tags", "VpcId"}, Required: []string{"VpcId"}, CreateOnly: []string{"VpcId"}, Attributes: []string{"Id"},
		},
		{
			Name:       "AWS::EC2::VPCGatewayAttachment",
			Provider:   provider{create: s.attachResource, remove: s.detachResource, status: s.attachmentStatus, update: s.reattachResource},
			Properties: []string{"InternetGatewayId", "VpcId", "VpnGatewayId"}, Required: []string{"VpcId"}, CreateOnly: []string{"VpcId"},
			Attributes: []string{"AttachmentType"},
		},
	}
}

func (s *Service) addressTypes() []cloudformation.ResourceType {
	return []cloudformation.ResourceType{
		{
			Name: "AWS::EC2::EIP", Tagged: true,
			Provider: provider{create: s.createAddressResource, update: func(r cloudformation.Resource, old map[string]any) error {
				return s.changeTags(s.addressID(r.PhysicalID), r, old)
			}, remove: func(r cloudformation.Resource) error {
				_, err := s.ReleaseAddress(context.Background(), s.caller(), &ReleaseAddressInput{AllocationID: s.addressID(r.PhysicalID)})
				return err
			}, status: func(r cloudformation.Resource) cloudformation.Status {
				id := s.addressID(r.PhysicalID)
				if id == "" {
					return absent()
				}
				return ready(map[string]any{"AllocationId": id, "PublicIp": r.PhysicalID})
			}},
			Properties: []string{"Address", "Domain", "InstanceId", "IpamPoolId", "NetworkBorderGroup", "PublicIpv4Pool", "Tags", "TransferAddress"},
			CreateOnly: []string{"NetworkBorderGroup", "TransferAddress", "IpamPoolId", "Address"}, Attributes: []string{"AllocationId", "PublicIp"},
		},
		{
			Name: "AWS::EC2::NatGateway", Tagged: true,
			Provider: provider{create: s.createNatResource, update: s.tagsOnly, remove: func(r cloudformation.Resource) error {
				_, err := s.DeleteNatGateway(context.Background(), s.caller(), &NatGatewayIDInput{NatGatewayID: r.PhysicalID})
				return err
			}, status: s.natStatus},
			Properties: []string{
				"AllocationId", "AvailabilityMode", "AvailabilityZoneAddresses", "ConnectivityType", "MaxDrainDurationSeconds", "PrivateIpAddress",
				"SecondaryAllocationIds", "SecondaryPrivateIpAddressCount", "SecondaryPrivateIpAddresses", "SubnetId", "Tags", "VpcId",
			},
			CreateOnly: []string{"VpcId", "SubnetId", "ConnectivityType", "AllocationId", "PrivateIpAddress", "AvailabilityMode"},
			Attributes: []string{"NatGatewayId", "EniId", "AutoProvisionZones", "AutoScalingIps", "RouteTableId"},
		},
	}
}

func (s *Service) linkTypes() []cloudformation.ResourceType {
	return []cloudformation.ResourceType{
		{
			Name: "AWS::EC2::VPCEndpoint", Tagged: true,
			Provider: provider{create: s.createEndpointResource, update: s.updateEndpointResource, remove: func(r cloudformation.Resource) error {
				_, err := s.DeleteVpcEndpoints(context.Background(), s.caller(), &DeleteVpcEndpointsInput{VpcEndpointIDs: []string{r.PhysicalID}})
				return err
			}, status: s.endpointStatus},
			Properties: []string{
				"DnsOptions", "IpAddressType", "PolicyDocument", "PrivateDnsEnabled", "ResourceConfigurationArn", "RouteTableIds", "SecurityGroupIds",
				"ServiceName", "ServiceNetworkArn", "ServiceRegion", "SubnetIds", "Tags", "VpcEndpointType", "VpcId",
			},
			Required: []string{"VpcId"},
			CreateOnly: []string{
				"ServiceName", "VpcEndpointType", "VpcId", "ServiceNetworkArn", "ResourceConfigurationArn", "ServiceRegion",
				"DnsOptions/PrivateDnsPreference", "DnsOptions/PrivateDnsSpecifiedDomains",
			},
			Attributes: []string{"Id", "CreationTimestamp", "DnsEntries", "NetworkInterfaceIds"},
		},
		{
			Name: "AWS::EC2::TransitGatewayAttachment", Tagged: true,
			Provider: provider{create: s.createLinkResource, update: s.updateLinkResource, remove: func(r cloudformation.Resource) error {
				if l := s.state.TransitLinks[r.PhysicalID]; l.State != "deleting" {
					l.State, l.Ending = "deleting", s.world.Now()
				}
				return nil
			}, status: s.linkStatus},
			Properties: []string{"Options", "SubnetIds", "Tags", "TransitGatewayId", "VpcId"}, Required: []string{"VpcId", "SubnetIds", "TransitGatewayId"},
			CreateOnly: []string{"TransitGatewayId", "VpcId"}, Attributes: []string{"Id"},
		},
	}
}

func (s *Service) createGatewayResource(r cloudformation.Resource) (string, error) {
	out, err := s.CreateInternetGateway(context.Background(), s.caller(), &CreateInternetGatewayInput{})
	if err != nil {
		return "", err
	}
	return out.InternetGateway.InternetGatewayID, s.setWanted(out.InternetGateway.InternetGatewayID, r)
}

func (s *Service) createEgressResource(r cloudformation.Resource) (string, error) {
	var p struct {
		VpcID string `cfn:"VpcId"`
	}
	if err := cloudformation.Decode(r.Properties, &p); err != nil {
		return "", err
	}
	out, err := s.CreateEgressOnlyInternetGateway(context.Background(), s.caller(), &CreateEgressOnlyInternetGatewayInput{VpcIDInput: VpcIDInput{VpcID: p.VpcID}})
	if err != nil {
		return "", err
	}
	return out.Gateway.GatewayID, s.setWanted(out.Gateway.GatewayID, r)
}

type attachmentProperties struct {
	InternetGatewayID string `cfn:"InternetGatewayId"`
	VpnGatewayID      string `cfn:"VpnGatewayId"`
	VpcID             string `cfn:"VpcId"`
}

// attachResource attaches an internet gateway. VPN gateways belong to the network a hybrid cluster joins: attaching one says so.
func (s *Service) attachResource(r cloudformation.Resource) (string, error) {
	var p attachmentProperties
	if err := cloudformation.Decode(r.Properties, &p); err != nil {
		return "", err
	}
	if p.InternetGatewayID == "" {
		if _, err := s.vpc(p.VpcID); err != nil {
			return "", err
		}
		return "VGW|" + p.VpcID, nil
	}
	_, err := s.AttachInternetGateway(context.Background(), s.caller(), &GatewayInput{InternetGatewayID: p.InternetGatewayID, VpcID: p.VpcID})
	if err != nil {
		return "", err
	}
	return "IGW|" + p.VpcID, nil
}

func (s *Service) reattachResource(r cloudformation.Resource, _ map[string]any) error {
	if err := s.detachResource(r); err != nil {
		return err
	}
	_, err := s.attachResource(r)
	return err
}

func (s *Service) attachedGateway(vpc string) string {
	for _, g := range s.state.Gateways {
		if slices.ContainsFunc(g.Attachments, func(a GatewayAttachment) bool { return a.VpcID == vpc }) {
			return g.InternetGatewayID
		}
	}
	return ""
}

func (s *Service) detachResource(r cloudformation.Resource) error {
	kind, vpc, _ := strings.Cut(r.PhysicalID, "|")
	if kind == "VGW" {
		return nil
	}
	_, err := s.DetachInternetGateway(context.Background(), s.caller(), &GatewayInput{InternetGatewayID: s.attachedGateway(vpc), VpcID: vpc})
	return err
}

func (s *Service) attachmentStatus(r cloudformation.Resource) cloudformation.Status {
	kind, vpc, _ := strings.Cut(r.PhysicalID, "|")
	if s.state.Vpcs[vpc] == nil || kind == "IGW" && s.attachedGateway(vpc) == "" {
		return absent()
	}
	return ready(map[string]any{"AttachmentType": kind})
}

func (s *Service) createAddressResource(r cloudformation.Resource) (string, error) {
	out, err := s.AllocateAddress(context.Background(), s.caller(), &AllocateAddressInput{Domain: "vpc"})
	if err != nil {
		return "", err
	}
	return out.PublicIP, s.setWanted(out.AllocationID, r)
}

func (s *Service) addressID(ip string) string {
	for _, a := range s.state.Addresses {
		if a.PublicIP == ip {
			return a.AllocationID
		}
	}
	return ""
}

func (s *Service) createNatResource(r cloudformation.Resource) (string, error) {
	var p struct {
		AllocationID     string `cfn:"AllocationId"`
		SubnetID         string `cfn:"SubnetId"`
		ConnectivityType string
	}
	if err := cloudformation.Decode(r.Properties, &p); err != nil {
		return "", err
	}
	out, err := s.CreateNatGateway(context.Background(), s.caller(), &CreateNatGatewayInput{AllocationID: p.AllocationID, SubnetID: p.SubnetID, ConnectivityType: p.ConnectivityType})
	if err != nil {
		return "", err
	}
	return out.NatGateway.NatGatewayID, s.setWanted(out.NatGateway.NatGatewayID, r)
}

func (s *Service) natStatus(r cloudformation.Resource) cloudformation.Status {
	g := s.state.NatGateways[r.PhysicalID]
	switch {
	case g == nil || g.State == "deleted":
		return absent()
	case g.State != "available":
		return cloudformation.Status{Phase: cloudformation.InProgress}
	}
	return ready(map[string]any{"NatGatewayId": g.NatGatewayID, "EniId": g.Addresses[0].NetworkInterfaceID, "AutoProvisionZones": "", "AutoScalingIps": "", "RouteTableId": ""})
}

func (s *Service) createEndpointResource(r cloudformation.Resource) (string, error) {
	in := &VpcEndpointInput{}
	if err := cloudformation.Decode(r.Properties, in); err != nil {
		return "", err
	}
	out, err := s.CreateVpcEndpoint(context.Background(), s.caller(), in)
	if err != nil {
		return "", err
	}
	return out.VpcEndpoint.VpcEndpointID, s.setWanted(out.VpcEndpoint.VpcEndpointID, r)
}

func (s *Service) updateEndpointResource(r cloudformation.Resource, old map[string]any) error {
	in := &VpcEndpointInput{}
	if err := cloudformation.Decode(r.Properties, in); err != nil {
		return err
	}
	e := s.state.Endpoints[r.PhysicalID]
	if e == nil {
		return s.endpoints().missing(r.PhysicalID)
	}
	if !slices.Equal(e.SubnetIDs, in.SubnetIDs) {
		for _, id := range e.NetworkInterfaceIDs {
			s.dropInterface(id)
		}
		e.SubnetIDs, e.NetworkInterfaceIDs = nil, nil
		if err := s.placeEndpoint(e, in); err != nil {
			return err
		}
	}
	e.RouteTableIDs, e.Groups, e.PolicyDocument = in.RouteTableIDs, s.identify(in.SecurityGroupIDs), in.PolicyDocument
	e.PrivateDNSEnabled = e.VpcEndpointType == "Interface" && (in.PrivateDNSEnabled == nil || *in.PrivateDNSEnabled)
	return s.changeTags(e.VpcEndpointID, r, old)
}

func (s *Service) endpointStatus(r cloudformation.Resource) cloudformation.Status {
	e := s.state.Endpoints[r.PhysicalID]
	switch {
	case e == nil:
		return absent()
	case e.State != "available":
		return cloudformation.Status{Phase: cloudformation.InProgress}
	}
	return ready(map[string]any{
		"Id": e.VpcEndpointID, "CreationTimestamp": e.CreationTimestamp.String(), "DnsEntries": []any{}, "NetworkInterfaceIds": texts(e.NetworkInterfaceIDs),
	})
}
