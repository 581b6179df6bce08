package ec2

import (
	"context"
	"net/netip"
	"slices"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// RouteTable is a route table.
type RouteTable struct {
	Associations    []RouteTableAssociation `xml:"associationSet>item"`
	PropagatingVgws []PropagatingVgw        `xml:"propagatingVgwSet>item"`
	RouteTableID    string                  `xml:"routeTableId"`
	Routes          []Route                 `xml:"routeSet>item"`
	Tags            []Tag                   `xml:"tagSet>item" json:"-"`
	VpcID           string                  `xml:"vpcId"`
	OwnerID         string                  `xml:"ownerId"`
}

// PropagatingVgw is a gateway that adds routes to a table.
type PropagatingVgw struct {
	GatewayID string `xml:"gatewayId"`
}

// RouteTableAssociation ties a table to a subnet, or makes it a VPC's main table.
type RouteTableAssociation struct {
	Main          bool              `xml:"main"`
	AssociationID string            `xml:"routeTableAssociationId"`
	RouteTableID  string            `xml:"routeTableId"`
	SubnetID      string            `xml:"subnetId,omitempty"`
	State         *AssociationState `xml:"associationState"`
}

// AssociationState is how far an association is.
type AssociationState struct {
	State string `xml:"state"`
}

// Route is a route. Exactly one destination and one target are set.
type Route struct {
	DestinationCidrBlock     string `xml:"destinationCidrBlock,omitempty"`
	DestinationIPv6CidrBlock string `xml:"destinationIpv6CidrBlock,omitempty"`
	DestinationPrefixListID  string `xml:"destinationPrefixListId,omitempty"`
	EgressOnlyGatewayID      string `xml:"egressOnlyInternetGatewayId,omitempty"`
	GatewayID                string `xml:"gatewayId,omitempty"`
	InstanceID               string `xml:"instanceId,omitempty"`
	NatGatewayID             string `xml:"natGatewayId,omitempty"`
	TransitGatewayID         string `xml:"transitGatewayId,omitempty"`
	NetworkInterfaceID       string `xml:"networkInterfaceId,omitempty"`
	VpcPeeringConnectionID   string `xml:"vpcPeeringConnectionId,omitempty"`
	Origin                   string `xml:"origin"`
	State                    string `xml:"state"`
}

func (r Route) destination() string {
	return r.DestinationCidrBlock + r.DestinationIPv6CidrBlock + r.DestinationPrefixListID
}

func (s *Service) routeTables() kind[RouteTable] {
	return kind[RouteTable]{all: s.state.RouteTables, missing: notFound("InvalidRouteTableID.NotFound", "routeTable ID"), values: routeTableValues, idsParameter: "routeTableIds"}
}

func routeTableValues(t *RouteTable, name string) ([]string, bool) {
	each := func(get func(RouteTableAssociation) string) []string {
		var out []string
		for _, a := range t.Associations {
			out = append(out, one(get(a))...)
		}
		return out
	}
	routes := func(get func(Route) string) []string {
		var out []string
		for _, r := range t.Routes {
			out = append(out, one(get(r))...)
		}
		return out
	}
	switch name {
	case "vpc-id":
		return one(t.VpcID), true
	case "route-table-id":
		return one(t.RouteTableID), true
	case "owner-id":
		return one(t.OwnerID), true
	case "association.subnet-id":
		return each(func(a RouteTableAssociation) string { return a.SubnetID }), true
	case "association.route-table-association-id":
		return each(func(a RouteTableAssociation) string { return a.AssociationID }), true
	case "association.route-table-id":
		return each(func(a RouteTableAssociation) string { return a.RouteTableID }), true
	case "association.main":
		return each(func(a RouteTableAssociation) string { return yesNo(a.Main)[0] }), true
	case "route.destination-cidr-block":
		return routes(func(r Route) string { return r.DestinationCidrBlock }), true
	case "route.gateway-id":
		return routes(func(r Route) string { return r.GatewayID }), true
	case "route.nat-gateway-id":
		return routes(func(r Route) string { return r.NatGatewayID }), true
	}
	return nil, false
}

func (s *Service) routeTable(id string) (*RouteTable, error) {
	if t := s.state.RouteTables[id]; t != nil {
		return t, nil
	}
	return nil, s.routeTables().missing(id)
}

func (s *Service) newRouteTable(v *Vpc) *RouteTable {
	t := &RouteTable{RouteTableID: s.world.ID("rtb"), VpcID: v.VpcID, OwnerID: s.world.Account}
	s.state.RouteTables[t.RouteTableID] = t
	s.localRoutes(v)
	return t
}

// localRoutes keeps every table of a VPC having a route to each of the VPC's own blocks, and none to blocks it gave up.
func (s *Service) localRoutes(v *Vpc) {
	for _, t := range s.state.RouteTables {
		if t.VpcID != v.VpcID {
			continue
		}
		t.Routes = slices.DeleteFunc(t.Routes, func(r Route) bool { return r.GatewayID == "local" })
		var local []Route
		for _, b := range v.Blocks {
			local = append(local, Route{DestinationCidrBlock: b.CidrBlock, GatewayID: "local", Origin: "CreateRouteTable", State: "active"})
		}
		for _, b := range v.IPv6Blocks {
			local = append(local, Route{DestinationIPv6CidrBlock: b.IPv6CidrBlock, GatewayID: "local", Origin: "CreateRouteTable", State: "active"})
		}
		t.Routes = append(local, t.Routes...)
	}
}

func (s *Service) showRouteTable(t *RouteTable) RouteTable {
	shown := *t
	shown.Tags = s.tagList(t.RouteTableID)
	shown.Routes = slices.Clone(t.Routes)
	for i, r := range shown.Routes {
		if !s.targetLives(r) {
			shown.Routes[i].State = "blackhole"
		}
	}
	return shown
}

// targetLives tells whether what a route leads to is still there.
func (s *Service) targetLives(r Route) bool {
	switch {
	case r.NatGatewayID != "":
		n := s.state.NatGateways[r.NatGatewayID]
		return n != nil && n.State != "deleted" && n.State != "deleting"
	case r.EgressOnlyGatewayID != "":
		return s.state.EgressGateways[r.EgressOnlyGatewayID] != nil
	case r.GatewayID != "" && r.GatewayID != "local" && resourceType(r.GatewayID) == "internet-gateway":
		return s.state.Gateways[r.GatewayID] != nil
	}
	return true
}

// CreateRouteTableInput is the request of CreateRouteTable.
type CreateRouteTableInput struct {
	VpcIDInput
	ClientToken       string
	TagSpecifications []TagSpecification `form:"TagSpecification"`
}

// CreateRouteTableOutput is the answer of CreateRouteTable.
type CreateRouteTableOutput struct {
	RouteTable RouteTable `xml:"routeTable"`
}

// CreateRouteTable makes a route table.
func (s *Service) CreateRouteTable(_ context.Context, _ wire.Caller, in *CreateRouteTableInput) (*CreateRouteTableOutput, error) {
	v, err := s.vpc(in.VpcID)
	if err != nil {
		return nil, err
	}
	tags, err := specified(in.TagSpecifications, "route-table")
	if err != nil {
		return nil, err
	}
	t := s.newRouteTable(v)
	s.SetTags(t.RouteTableID, tags)
	return &CreateRouteTableOutput{RouteTable: s.showRouteTable(t)}, nil
}

// RouteTableIDInput names a route table.
type RouteTableIDInput struct {
	Dry
	RouteTableID string `form:"RouteTableId"`
}

// DeleteRouteTable deletes a table that no subnet uses.
func (s *Service) DeleteRouteTable(_ context.Context, _ wire.Caller, in *RouteTableIDInput) (*Return, error) {
	t, err := s.routeTable(in.RouteTableID)
	if err != nil {
		return nil, err
	}
	if len(t.Associations) > 0 {
		return nil, dependency("The routeTable '%s' has dependencies and cannot be deleted.", t.RouteTableID)
	}
	delete(s.state.RouteTables, t.RouteTableID)
	delete(s.state.Tags, t.RouteTableID)
	return done(), nil
}

// DescribeRouteTablesInput is the request of DescribeRouteTables.
type DescribeRouteTablesInput struct {
	Query
	RouteTableIDs []string `form:"RouteTableId"`
}

// DescribeRouteTablesOutput is the answer of DescribeRouteTables.
type DescribeRouteTablesOutput struct {
	NextToken   string       `xml:"nextToken,omitempty"`
	RouteTables []RouteTable `xml:"routeTableSet>item"`
}

// DescribeRouteTables lists route tables.
func (s *Service) DescribeRouteTables(_ context.Context, _ wire.Caller, in *DescribeRouteTablesInput) (*DescribeRouteTablesOutput, error) {
	found, next, err := find(s, s.routeTables(), in.RouteTableIDs, in.Query)
	if err != nil {
		return nil, err
	}
	out := &DescribeRouteTablesOutput{NextToken: next}
	for _, t := range found {
		out.RouteTables = append(out.RouteTables, s.showRouteTable(t))
	}
	return out, nil
}

// RouteInput is the request of CreateRoute and ReplaceRoute, and holds the properties of AWS::EC2::Route.
type RouteInput struct {
	Dry                      `cfn:"-"`
	RouteTableID             string `form:"RouteTableId" cfn:"RouteTableId"`
	DestinationCidrBlock     string
	DestinationIPv6CidrBlock string `form:"DestinationIpv6CidrBlock" cfn:"DestinationIpv6CidrBlock"`
	DestinationPrefixListID  string `form:"DestinationPrefixListId" cfn:"DestinationPrefixListId"`
	GatewayID                string `form:"GatewayId" cfn:"GatewayId"`
	NatGatewayID             string `form:"NatGatewayId" cfn:"NatGatewayId"`
	EgressOnlyGatewayID      string `form:"EgressOnlyInternetGatewayId" cfn:"EgressOnlyInternetGatewayId"`
	InstanceID               string `form:"InstanceId" cfn:"InstanceId"`
	NetworkInterfaceID       string `form:"NetworkInterfaceId" cfn:"NetworkInterfaceId"`
	TransitGatewayID         string `form:"TransitGatewayId" cfn:"TransitGatewayId"`
	VpcPeeringConnectionID   string `form:"VpcPeeringConnectionId" cfn:"VpcPeeringConnectionId"`
}

func (s *Service) newRoute(t *RouteTable, in *RouteInput) (Route, error) {
	r := Route{
		DestinationCidrBlock: in.DestinationCidrBlock, DestinationIPv6CidrBlock: in.DestinationIPv6CidrBlock, DestinationPrefixListID: in.DestinationPrefixListID,
		GatewayID: in.GatewayID, NatGatewayID: in.NatGatewayID, EgressOnlyGatewayID: in.EgressOnlyGatewayID, InstanceID: in.InstanceID,
		NetworkInterfaceID: in.NetworkInterfaceID, TransitGatewayID: in.TransitGatewayID, VpcPeeringConnectionID: in.VpcPeeringConnectionID,
		Origin: "CreateRoute", State: "active",
	}
	destinations, targets := 0, 0
	for _, d := range []string{r.DestinationCidrBlock, r.DestinationIPv6CidrBlock, r.DestinationPrefixListID} {
		destinations += min(1, len(d))
	}
	for _, d := range []string{r.GatewayID, r.NatGatewayID, r.EgressOnlyGatewayID, r.InstanceID, r.NetworkInterfaceID, r.TransitGatewayID, r.VpcPeeringConnectionID} {
		targets += min(1, len(d))
	}
	switch {
	case destinations == 0:
		return r, missingParameter("destinationCidrBlock")
	case destinations > 1 || targets > 1:
		return r, wire.Errorf("InvalidParameterCombination", "The parameters of a route must name exactly one destination and one target")
	case targets == 0:
		return r, missingParameter("gatewayId")
	}
	for _, block := range []string{r.DestinationCidrBlock, r.DestinationIPv6CidrBlock} {
		if _, err := netip.ParsePrefix(block); block != "" && err != nil {
			return r, wire.Errorf("InvalidParameterValue", "Value (%s) for parameter destinationCidrBlock is invalid. This is not a valid CIDR block.", block)
		}
	}
	return r, s.checkRouteTarget(t, r)
}

func (s *Service) checkRouteTarget(t *RouteTable, r Route) error {
	switch {
	case r.NatGatewayID != "" && !s.targetLives(r):
		return wire.Errorf("InvalidNatGatewayID.NotFound", "The natGateway ID '%s' does not exist", r.NatGatewayID)
	case r.EgressOnlyGatewayID != "" && !s.targetLives(r):
		return wire.Errorf("InvalidGatewayID.NotFound", "The eigw ID '%s' does not exist", r.EgressOnlyGatewayID)
	case resourceType(r.GatewayID) == "internet-gateway":
		g := s.state.Gateways[r.GatewayID]
		if g == nil {
			return wire.Errorf("InvalidGatewayID.NotFound", "The gateway ID '%s' does not exist", r.GatewayID)
		}
		if !slices.ContainsFunc(g.Attachments, func(a GatewayAttachment) bool { return a.VpcID == t.VpcID }) {
			return wire.Errorf("InvalidParameterValue", "route table %s and network gateway %s belong to different networks", t.RouteTableID, r.GatewayID)
		}
	}
	return nil
}

// CreateRoute adds a route.
func (s *Service) CreateRoute(_ context.Context, _ wire.Caller, in *RouteInput) (*Return, error) {
	t, err := s.routeTable(in.RouteTableID)
	if err != nil {
		return nil, err
	}
	r, err := s.newRoute(t, in)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(t.Routes, func(o Route) bool { return o.destination() == r.destination() }) {
		return nil, wire.Errorf("RouteAlreadyExists", "The route identified by %s already exists.", r.destination())
	}
	t.Routes = append(t.Routes, r)
	return done(), nil
}

// ReplaceRoute leads an existing route elsewhere.
func (s *Service) ReplaceRoute(_ context.Context, _ wire.Caller, in *RouteInput) (*Return, error) {
	t, err := s.routeTable(in.RouteTableID)
	if err != nil {
		return nil, err
	}
	r, err := s.newRoute(t, in)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(t.Routes, func(o Route) bool { return o.destination() == r.destination() && o.GatewayID != "local" })
	if i < 0 {
		return nil, wire.Errorf("InvalidParameterValue", "There is no route defined for '%s' in the route table. Use CreateRoute instead.", r.destination())
	}
	t.Routes[i] = r
	return done(), nil
}

// DeleteRouteInput is the request of DeleteRoute.
type DeleteRouteInput struct {
	Dry
	RouteTableID             string `form:"RouteTableId"`
	DestinationCidrBlock     string
	DestinationIPv6CidrBlock string `form:"DestinationIpv6CidrBlock"`
	DestinationPrefixListID  string `form:"DestinationPrefixListId"`
}

// DeleteRoute removes a route.
func (s *Service) DeleteRoute(_ context.Context, _ wire.Caller, in *DeleteRouteInput) (*Return, error) {
	t, err := s.routeTable(in.RouteTableID)
	if err != nil {
		return nil, err
	}
	to := in.DestinationCidrBlock + in.DestinationIPv6CidrBlock + in.DestinationPrefixListID
	i := slices.IndexFunc(t.Routes, func(o Route) bool { return o.destination() == to })
	if i < 0 {
		return nil, wire.Errorf("InvalidRoute.NotFound", "no route with destination-cidr-block %s in route table %s", to, t.RouteTableID)
	}
	if t.Routes[i].GatewayID == "local" {
		return nil, wire.Errorf("InvalidParameterValue", "cannot remove local route %s in route table %s", to, t.RouteTableID)
	}
	t.Routes = slices.Delete(t.Routes, i, i+1)
	return done(), nil
}
