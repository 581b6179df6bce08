package ec2

import (
	"context"
	"slices"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// AssociateRouteTableInput is the request of AssociateRouteTable.
type AssociateRouteTableInput struct {
	RouteTableIDInput
	SubnetID string `form:"SubnetId"`
}

// AssociateRouteTableOutput is the answer of AssociateRouteTable.
type AssociateRouteTableOutput struct {
	AssociationID string           `xml:"associationId"`
	State         AssociationState `xml:"associationState"`
}

// AssociateRouteTable gives a subnet a route table of its own.
func (s *Service) AssociateRouteTable(_ context.Context, _ wire.Caller, in *AssociateRouteTableInput) (*AssociateRouteTableOutput, error) {
	t, err := s.routeTable(in.RouteTableID)
	if err != nil {
		return nil, err
	}
	n, err := s.subnet(in.SubnetID)
	if err != nil {
		return nil, err
	}
	if n.VpcID != t.VpcID {
		return nil, wire.Errorf("InvalidParameterValue", "route table %s and subnet %s belong to different networks", t.RouteTableID, n.SubnetID)
	}
	for _, other := range s.state.RouteTables {
		for _, a := range other.Associations {
			if a.SubnetID == n.SubnetID {
				return nil, wire.Errorf("Resource.AlreadyAssociated", "the specified association for route table %s conflicts with an existing association", t.RouteTableID)
			}
		}
	}
	a := RouteTableAssociation{
		AssociationID: s.world.ID("rtbassoc"), RouteTableID: t.RouteTableID, SubnetID: n.SubnetID, State: &AssociationState{State: "associated"},
	}
	t.Associations = append(t.Associations, a)
	return &AssociateRouteTableOutput{AssociationID: a.AssociationID, State: *a.State}, nil
}

// DisassociateRouteTable returns a subnet to its VPC's main table.
func (s *Service) DisassociateRouteTable(_ context.Context, _ wire.Caller, in *AssociationInput) (*Return, error) {
	for _, t := range s.state.RouteTables {
		for i, a := range t.Associations {
			if a.AssociationID != in.AssociationID {
				continue
			}
			if a.Main {
				return nil, wire.Errorf("InvalidParameterValue", "cannot disassociate the main route table association %s", a.AssociationID)
			}
			t.Associations = slices.Delete(t.Associations, i, i+1)
			return done(), nil
		}
	}
	return nil, wire.Errorf("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", in.AssociationID)
}

// tableOf is the route table in force for a subnet.
func (s *Service) tableOf(n *Subnet) *RouteTable {
	for _, t := range s.state.RouteTables {
		if slices.ContainsFunc(t.Associations, func(a RouteTableAssociation) bool { return a.SubnetID == n.SubnetID }) {
			return t
		}
	}
	if v := s.state.Vpcs[n.VpcID]; v != nil {
		return s.state.RouteTables[v.MainTable]
	}
	return nil
}

// Public tells whether a route leads from the subnet to an internet gateway.
func (s *Service) Public(subnetID string) bool {
	n := s.state.Subnets[subnetID]
	if n == nil {
		return false
	}
	t := s.tableOf(n)
	return t != nil && slices.ContainsFunc(t.Routes, func(r Route) bool {
		return resourceType(r.GatewayID) == "internet-gateway" && s.targetLives(r)
	})
}
