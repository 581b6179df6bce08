package ec2

import (
	"context"
	"slices"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// InternetGateway leads from a VPC to the internet.
type InternetGateway struct {
	Attachments       []GatewayAttachment `xml:"attachmentSet>item"`
	InternetGatewayID string              `xml:"internetGatewayId"`
	OwnerID           string              `xml:"ownerId"`
	Tags              []Tag               `xml:"tagSet>item" json:"-"`
}

// GatewayAttachment ties a gateway to a VPC.
type GatewayAttachment struct {
	State string `xml:"state"`
	VpcID string `xml:"vpcId"`
}

// EgressOnlyInternetGateway leads out of a VPC over IPv6.
type EgressOnlyInternetGateway struct {
	Attachments []GatewayAttachment `xml:"attachmentSet>item"`
	GatewayID   string              `xml:"egressOnlyInternetGatewayId"`
	Tags        []Tag               `xml:"tagSet>item" json:"-"`
}

func (s *Service) gatewayAPI() map[string]wire.Handler {
	return map[string]wire.Handler{
		"CreateInternetGateway":                handle(s.CreateInternetGateway),
		"DeleteInternetGateway":                handle(s.DeleteInternetGateway),
		"AttachInternetGateway":                handle(s.AttachInternetGateway),
		"DetachInternetGateway":                handle(s.DetachInternetGateway),
		"DescribeInternetGateways":             handle(s.DescribeInternetGateways),
		"CreateEgressOnlyInternetGateway":      handle(s.CreateEgressOnlyInternetGateway),
		"DeleteEgressOnlyInternetGateway":      handle(s.DeleteEgressOnlyInternetGateway),
		"DescribeEgressOnlyInternetGateways":   handle(s.DescribeEgressOnlyInternetGateways),
		"CreateNatGateway":                     handle(s.CreateNatGateway),
		"DeleteNatGateway":                     handle(s.DeleteNatGateway),
		"DescribeNatGateways":                  handle(s.DescribeNatGateways),
		"AllocateAddress":                      handle(s.AllocateAddress),
		"ReleaseAddress":                       handle(s.ReleaseAddress),
		"DescribeAddresses":                    handle(s.DescribeAddresses),
		"DescribeTransitGatewayVpcAttachments": handle(s.DescribeTransitGatewayVpcAttachments),
	}
}

func (s *Service) gateways() kind[InternetGateway] {
	return kind[InternetGateway]{
		all: s.state.Gateways, missing: notFound("InvalidInternetGatewayID.NotFound", "internetGateway ID"), idsParameter: "internetGatewayIds",
		values: func(g *InternetGateway, name string) ([]string, bool) {
			switch name {
			case "internet-gateway-id":
				return one(g.InternetGatewayID), true
			case "owner-id":
				return one(g.OwnerID), true
			}
			return attachmentValues(g.Attachments, name)
		},
	}
}

func attachmentValues(attachments []GatewayAttachment, name string) ([]string, bool) {
	if name != "attachment.vpc-id" && name != "attachment.state" {
		return nil, false
	}
	var out []string
	for _, a := range attachments {
		out = append(out, map[string]string{"attachment.vpc-id": a.VpcID, "attachment.state": a.State}[name])
	}
	return out, true
}

func (s *Service) gateway(id string) (*InternetGateway, error) {
	if g := s.state.Gateways[id]; g != nil {
		return g, nil
	}
	return nil, s.gateways().missing(id)
}

func (s *Service) showGateway(g *InternetGateway) InternetGateway {
	shown := *g
	shown.Tags = s.tagList(g.InternetGatewayID)
	return shown
}

// CreateInternetGatewayInput is the request of CreateInternetGateway.
type CreateInternetGatewayInput struct {
	Dry
	TagSpecifications []TagSpecification `form:"TagSpecification"`
}

// CreateInternetGatewayOutput is the answer of CreateInternetGateway.
type CreateInternetGatewayOutput struct {
	InternetGateway InternetGateway `xml:"internetGateway"`
}

// CreateInternetGateway makes a gateway that is attached to nothing.
func (s *Service) CreateInternetGateway(_ context.Context, _ wire.Caller, in *CreateInternetGatewayInput) (*CreateInternetGatewayOutput, error) {
	tags, err := specified(in.TagSpecifications, "internet-gateway")
	if err != nil {
		return nil, err
	}
	g := &InternetGateway{InternetGatewayID: s.world.ID("igw"), OwnerID: s.world.Account}
	s.state.Gateways[g.InternetGatewayID] = g
	s.SetTags(g.InternetGatewayID, tags)
	return &CreateInternetGatewayOutput{InternetGateway: s.showGateway(g)}, nil
}

// GatewayInput names a gateway and, to attach or detach it, a VPC.
type GatewayInput struct {
	Dry
	InternetGatewayID string `form:"InternetGatewayId"`
	VpcID             string `form:"VpcId"`
}

// GatewayIDInput names a gateway.
type GatewayIDInput struct {
	Dry
	InternetGatewayID string `form:"InternetGatewayId"`
}

// DeleteInternetGateway deletes a detached gateway.
func (s *Service) DeleteInternetGateway(_ context.Context, _ wire.Caller, in *GatewayIDInput) (*Return, error) {
	g, err := s.gateway(in.InternetGatewayID)
	if err != nil {
		return nil, err
	}
	if len(g.Attachments) > 0 {
		return nil, dependency("The internetGateway '%s' has dependencies and cannot be deleted.", g.InternetGatewayID)
	}
	delete(s.state.Gateways, g.InternetGatewayID)
	delete(s.state.Tags, g.InternetGatewayID)
	return done(), nil
}

// AttachInternetGateway attaches a gateway to a VPC without one.
func (s *Service) AttachInternetGateway(_ context.Context, _ wire.Caller, in *GatewayInput) (*Return, error) {
	g, err := s.gateway(in.InternetGatewayID)
	if err != nil {
		return nil, err
	}
	v, err := s.vpc(in.VpcID)
	if err != nil {
		return nil, err
	}
	if len(g.Attachments) > 0 {
		return nil, wire.Errorf("Resource.AlreadyAssociated", "resource %s is already attached to network %s", g.InternetGatewayID, g.Attachments[0].VpcID)
	}
	for _, other := range s.state.Gateways {
		if slices.ContainsFunc(other.Attachments, func(a GatewayAttachment) bool { return a.VpcID == v.VpcID }) {
			return nil, wire.Errorf("InvalidParameterValue", "Network %s already has an internet gateway attached", v.VpcID)
		}
	}
	g.Attachments = []GatewayAttachment{{State: "available", VpcID: v.VpcID}}
	return done(), nil
}

// DetachInternetGateway detaches a gateway, unless public addresses of the VPC are in use through it.
func (s *Service) DetachInternetGateway(_ context.Context, _ wire.Caller, in *GatewayInput) (*Return, error) {
	g, err := s.gateway(in.InternetGatewayID)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(g.Attachments, func(a GatewayAttachment) bool { return a.VpcID == in.VpcID }) {
		return nil, wire.Errorf("Gateway.NotAttached", "resource %s is not attached to network %s", g.InternetGatewayID, in.VpcID)
	}
	for _, i := range s.state.Interfaces {
		if i.VpcID == in.VpcID && i.PublicIP != "" {
			return nil, dependency("Network %s has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.", in.VpcID)
		}
	}
	g.Attachments = nil
	return done(), nil
}

// DescribeInternetGatewaysInput is the request of DescribeInternetGateways.
type DescribeInternetGatewaysInput struct {
	Query
	InternetGatewayIDs []string `form:"InternetGatewayId"`
}

// DescribeInternetGatewaysOutput is the answer of DescribeInternetGateways.
type DescribeInternetGatewaysOutput struct {
	InternetGateways []InternetGateway `xml:"internetGatewaySet>item"`
	NextToken        string            `xml:"nextToken,omitempty"`
}

// DescribeInternetGateways lists gateways.
func (s *Service) DescribeInternetGateways(_ context.Context, _ wire.Caller, in *DescribeInternetGatewaysInput) (*DescribeInternetGatewaysOutput, error) {
	found, next, err := find(s, s.gateways(), in.InternetGatewayIDs, in.Query)
	if err != nil {
		return nil, err
	}
	out := &DescribeInternetGatewaysOutput{NextToken: next}
	for _, g := range found {
		out.InternetGateways = append(out.InternetGateways, s.showGateway(g))
	}
	return out, nil
}

func (s *Service) egressGateways() kind[EgressOnlyInternetGateway] {
	return kind[EgressOnlyInternetGateway]{
		all: s.state.EgressGateways, missing: notFound("InvalidGatewayID.NotFound", "eigw ID"), idsParameter: "egressOnlyInternetGatewayIds",
		values: func(g *EgressOnlyInternetGateway, name string) ([]string, bool) {
			return attachmentValues(g.Attachments, name)
		},
	}
}

func (s *Service) showEgressGateway(g *EgressOnlyInternetGateway) EgressOnlyInternetGateway {
	shown := *g
	shown.Tags = s.tagList(g.GatewayID)
	return shown
}

// CreateEgressOnlyInternetGatewayInput is the request of CreateEgressOnlyInternetGateway.
type CreateEgressOnlyInternetGatewayInput struct {
	VpcIDInput
	ClientToken       string
	TagSpecifications []TagSpecification `form:"TagSpecification"`
}

// CreateEgressOnlyInternetGatewayOutput is the answer of CreateEgressOnlyInternetGateway.
type CreateEgressOnlyInternetGatewayOutput struct {
	Gateway EgressOnlyInternetGateway `xml:"egressOnlyInternetGateway"`
}

// CreateEgressOnlyInternetGateway makes a gateway attached to a VPC.
func (s *Service) CreateEgressOnlyInternetGateway(_ context.Context, _ wire.Caller, in *CreateEgressOnlyInternetGatewayInput) (*CreateEgressOnlyInternetGatewayOutput, error) {
	v, err := s.vpc(in.VpcID)
	if err != nil {
		return nil, err
	}
	tags, err := specified(in.TagSpecifications, "egress-only-internet-gateway")
	if err != nil {
		return nil, err
	}
	g := &EgressOnlyInternetGateway{GatewayID: s.world.ID("eigw"), Attachments: []GatewayAttachment{{State: "attached", VpcID: v.VpcID}}}
	s.state.EgressGateways[g.GatewayID] = g
	s.SetTags(g.GatewayID, tags)
	return &CreateEgressOnlyInternetGatewayOutput{Gateway: s.showEgressGateway(g)}, nil
}

// EgressGatewayIDInput names an egress-only gateway.
type EgressGatewayIDInput struct {
	Dry
	GatewayID string `form:"EgressOnlyInternetGatewayId"`
}

// ReturnCode answers DeleteEgressOnlyInternetGateway.
type ReturnCode struct {
	ReturnCode bool `xml:"returnCode"`
}

// DeleteEgressOnlyInternetGateway deletes a gateway.
func (s *Service) DeleteEgressOnlyInternetGateway(_ context.Context, _ wire.Caller, in *EgressGatewayIDInput) (*ReturnCode, error) {
	if s.state.EgressGateways[in.GatewayID] == nil {
		return nil, s.egressGateways().missing(in.GatewayID)
	}
	delete(s.state.EgressGateways, in.GatewayID)
	delete(s.state.Tags, in.GatewayID)
	return &ReturnCode{ReturnCode: true}, nil
}

// DescribeEgressOnlyInternetGatewaysInput is the request of DescribeEgressOnlyInternetGateways.
type DescribeEgressOnlyInternetGatewaysInput struct {
	Query
	GatewayIDs []string `form:"EgressOnlyInternetGatewayId"`
}

// DescribeEgressOnlyInternetGatewaysOutput is the answer of DescribeEgressOnlyInternetGateways.
type DescribeEgressOnlyInternetGatewaysOutput struct {
	Gateways  []EgressOnlyInternetGateway `xml:"egressOnlyInternetGatewaySet>item"`
	NextToken string                      `xml:"nextToken,omitempty"`
}

// DescribeEgressOnlyInternetGateways lists egress-only gateways.
func (s *Service) DescribeEgressOnlyInternetGateways(_ context.Context, _ wire.Caller, in *DescribeEgressOnlyInternetGatewaysInput) (*DescribeEgressOnlyInternetGatewaysOutput, error) {
	found, next, err := find(s, s.egressGateways(), in.GatewayIDs, in.Query)
	if err != nil {
		return nil, err
	}
	out := &DescribeEgressOnlyInternetGatewaysOutput{NextToken: next}
	for _, g := range found {
		out.Gateways = append(out.Gateways, s.showEgressGateway(g))
	}
	return out, nil
}
