package ec2

import (
	"context"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
)

func (s *Service) routeTypes() []cloudformation.ResourceType {
	return []cloudformation.ResourceType{
		{
			Name: "AWS::EC2::RouteTable", Tagged: true,
			Provider: provider{
				create: func(r cloudformation.Resource) (string, error) {
					var p struct {
						VpcID string `cfn:"VpcId"`
					}
					if err := cloudformation.Decode(r.Properties, &p); err != nil {
						return "", err
					}
					out, err := s.CreateRouteTable(context.Background(), s.caller(), &CreateRouteTableInput{VpcIDInput: VpcIDInput{VpcID: p.VpcID}})
					if err != nil {
						return "", err
					}
					return out.RouteTable.RouteTableID, s.setWanted(out.RouteTable.RouteTableID, r)
				},
				update: s.tagsOnly,
				remove: func(r cloudformation.Resource) error {
					_, err := s.DeleteRouteTable(context.Background(), s.caller(), &RouteTableIDInput{RouteTableID: r.PhysicalID})
					return err
				},
				status: func(r cloudformation.Resource) cloudformation.Status {
					if s.state.RouteTables[r.PhysicalID] == nil {
						return absent()
					}
					return ready(map[string]any{"RouteTableId": r.PhysicalID})
				},
			},
			Properties: []string{"Tags", "VpcId"}, Required: []string{"VpcId"}, CreateOnly: []string{"VpcId"}, Attributes: []string{"RouteTableId"},
		},
		{
			Name:     "AWS::EC2::Route",
			Provider: provider{create: s.createRouteResource, update: s.updateRouteResource, remove: s.deleteRouteResource, status: s.routeStatus},
			Properties: []string{
				"CarrierGatewayId", "CoreNetworkArn", "DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId", "EgressOnlyInternetGatewayId",
				"GatewayId", "InstanceId", "LocalGatewayId", "NatGatewayId", "NetworkInterfaceId", "RouteTableId", "TransitGatewayId", "VpcEndpointId", "VpcPeeringConnectionId",
			},
			Required:   []string{"RouteTableId"},
			CreateOnly: []string{"RouteTableId", "DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId"},
			Attributes: []string{"CidrBlock"},
		},
	}
}

func (s *Service) associationTypes() []cloudformation.ResourceType {
	return []cloudformation.ResourceType{
		{
			Name: "AWS::EC2::SubnetRouteTableAssociation",
			Provider: provider{
				create: func(r cloudformation.Resource) (string, error) {
					var p struct {
						RouteTableID string `cfn:"RouteTableId"`
						SubnetID     string `cfn:"SubnetId"`
					}
					if err := cloudformation.Decode(r.Properties, &p); err != nil {
						return "", err
					}
					out, err := s.AssociateRouteTable(context.Background(), s.caller(), &AssociateRouteTableInput{
						RouteTableIDInput: RouteTableIDInput{RouteTableID: p.RouteTableID}, SubnetID: p.SubnetID,
					})
					if err != nil {
						return "", err
					}
					return out.AssociationID, nil
				},
				remove: func(r cloudformation.Resource) error {
					_, err := s.DisassociateRouteTable(context.Background(), s.caller(), &AssociationInput{AssociationID: r.PhysicalID})
					return err
				},
				status: func(r cloudformation.Resource) cloudformation.Status {
					for _, t := range s.state.RouteTables {
						if slices.ContainsFunc(t.Associations, func(a RouteTableAssociation) bool { return a.AssociationID == r.PhysicalID }) {
							return ready(map[string]any{"Id": r.PhysicalID})
						}
					}
					return absent()
				},
			},
			Properties: []string{"RouteTableId", "SubnetId"}, Required: []string{"RouteTableId", "SubnetId"},
			CreateOnly: []string{"SubnetId", "RouteTableId"}, Attributes: []string{"Id"},
		},
		{
			Name: "AWS::EC2::VPNGatewayRoutePropagation",
			Provider: provider{
				create: s.createPropagation, update: func(r cloudformation.Resource, _ map[string]any) error { return s.setPropagation(r.PhysicalID, r) },
				remove: s.deletePropagation,
				status: func(r cloudformation.Resource) cloudformation.Status {
					if s.state.Propagations[r.PhysicalID] == nil {
						return absent()
					}
					return ready(map[string]any{"Id": r.PhysicalID})
				},
			},
			Properties: []string{"RouteTableIds", "VpnGatewayId"}, Required: []string{"RouteTableIds", "VpnGatewayId"}, Attributes: []string{"Id"},
		},
	}
}

func routeProperties(r cloudformation.Resource) (*RouteInput, error) {
	in := &RouteInput{}
	return in, cloudformation.Decode(r.Properties, in)
}

func (s *Service) createRouteResource(r cloudformation.Resource) (string, error) {
	in, err := routeProperties(r)
	if err != nil {
		return "", err
	}
	if _, err := s.CreateRoute(context.Background(), s.caller(), in); err != nil {
		return "", err
	}
	return in.RouteTableID + "|" + in.DestinationCidrBlock + in.DestinationIPv6CidrBlock + in.DestinationPrefixListID, nil
}

func (s *Service) updateRouteResource(r cloudformation.Resource, _ map[string]any) error {
	in, err := routeProperties(r)
	if err != nil {
		return err
	}
	_, err = s.ReplaceRoute(context.Background(), s.caller(), in)
	return err
}

func (s *Service) deleteRouteResource(r cloudformation.Resource) error {
	table, to, _ := strings.Cut(r.PhysicalID, "|")
	in := &DeleteRouteInput{RouteTableID: table, DestinationCidrBlock: to}
	_, err := s.DeleteRoute(context.Background(), s.caller(), in)
	return err
}

func (s *Service) routeStatus(r cloudformation.Resource) cloudformation.Status {
	table, to, _ := strings.Cut(r.PhysicalID, "|")
	t := s.state.RouteTables[table]
	if t == nil || !slices.ContainsFunc(t.Routes, func(o Route) bool { return o.destination() == to }) {
		return absent()
	}
	return ready(map[string]any{"CidrBlock": to})
}

func (s *Service) createPropagation(r cloudformation.Resource) (string, error) {
	id := r.GeneratedName(255)
	return id, s.setPropagation(id, r)
}

func (s *Service) setPropagation(id string, r cloudformation.Resource) error {
	var p struct {
		RouteTableIDs []string `cfn:"RouteTableIds"`
		VpnGatewayID  string   `cfn:"VpnGatewayId"`
	}
	if err := cloudformation.Decode(r.Properties, &p); err != nil {
		return err
	}
	for _, table := range p.RouteTableIDs {
		if _, err := s.routeTable(table); err != nil {
			return err
		}
	}
	s.dropPropagation(id)
	for _, table := range p.RouteTableIDs {
		t := s.state.RouteTables[table]
		t.PropagatingVgws = append(t.PropagatingVgws, PropagatingVgw{GatewayID: p.VpnGatewayID})
	}
	s.state.Propagations[id] = &propagation{GatewayID: p.VpnGatewayID, RouteTableIDs: p.RouteTableIDs}
	return nil
}

func (s *Service) dropPropagation(id string) {
	p := s.state.Propagations[id]
	if p == nil {
		return
	}
	for _, table := range p.RouteTableIDs {
		if t := s.state.RouteTables[table]; t != nil {
			t.PropagatingVgws = slices.DeleteFunc(t.PropagatingVgws, func(v PropagatingVgw) bool { return v.GatewayID == p.GatewayID })
		}
	}
	delete(s.state.Propagations, id)
}

func (s *Service) deletePropagation(r cloudformation.Resource) error {
	s.dropPropagation(r.PhysicalID)
	return nil
}
