package ec2

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// Vpc is a virtual network.
type Vpc struct {
	OwnerID         string         `xml:"ownerId"`
	InstanceTenancy string         `xml:"instanceTenancy"`
	IPv6Blocks      []VpcIPv6Block `xml:"ipv6CidrBlockAssociationSet>item"`
	Blocks          []VpcBlock     `xml:"cidrBlockAssociationSet>item"`
	IsDefault       bool           `xml:"isDefault"`
	Tags            []Tag          `xml:"tagSet>item" json:"-"`
	VpcID           string         `xml:"vpcId"`
	State           string         `xml:"state"`
	CidrBlock       string         `xml:"cidrBlock"`
	DhcpOptionsID   string         `xml:"dhcpOptionsId"`
	DNSHostnames    bool           `xml:"-"`
	DNSSupport      bool           `xml:"-"`
	MainTable       string         `xml:"-"`
	DefaultGroup    string         `xml:"-"`
	DefaultACL      string         `xml:"-"`
}

// VpcBlock is an IPv4 block of a VPC.
type VpcBlock struct {
	AssociationID string     `xml:"associationId"`
	CidrBlock     string     `xml:"cidrBlock"`
	State         BlockState `xml:"cidrBlockState"`
}

// VpcIPv6Block is an IPv6 block of a VPC.
type VpcIPv6Block struct {
	AssociationID      string     `xml:"associationId"`
	IPv6CidrBlock      string     `xml:"ipv6CidrBlock"`
	State              BlockState `xml:"ipv6CidrBlockState"`
	NetworkBorderGroup string     `xml:"networkBorderGroup,omitempty"`
	IPv6Pool           string     `xml:"ipv6Pool,omitempty"`
}

// BlockState is how far the association of a block is.
type BlockState struct {
	State string `xml:"state"`
}

func (s *Service) networkAPI() map[string]wire.Handler {
	return map[string]wire.Handler{
		"CreateVpc":                   handle(s.CreateVpc),
		"DeleteVpc":                   handle(s.DeleteVpc),
		"DescribeVpcs":                handle(s.DescribeVpcs),
		"ModifyVpcAttribute":          handle(s.ModifyVpcAttribute),
		"DescribeVpcAttribute":        handle(s.DescribeVpcAttribute),
		"AssociateVpcCidrBlock":       handle(s.AssociateVpcCidrBlock),
		"DisassociateVpcCidrBlock":    handle(s.DisassociateVpcCidrBlock),
		"CreateSubnet":                handle(s.CreateSubnet),
		"DeleteSubnet":                handle(s.DeleteSubnet),
		"DescribeSubnets":             handle(s.DescribeSubnets),
		"ModifySubnetAttribute":       handle(s.ModifySubnetAttribute),
		"CreateRouteTable":            handle(s.CreateRouteTable),
		"DeleteRouteTable":            handle(s.DeleteRouteTable),
		"DescribeRouteTables":         handle(s.DescribeRouteTables),
		"CreateRoute":                 handle(s.CreateRoute),
		"ReplaceRoute":                handle(s.ReplaceRoute),
		"DeleteRoute":                 handle(s.DeleteRoute),
		"AssociateRouteTable":         handle(s.AssociateRouteTable),
		"DisassociateRouteTable":      handle(s.DisassociateRouteTable),
		"DescribeNetworkInterfaces":   handle(s.DescribeNetworkInterfaces),
		"CreateNetworkInterface":      handle(s.CreateNetworkInterface),
		"DeleteNetworkInterface":      handle(s.DeleteNetworkInterface),
		"CreateVpcEndpoint":           handle(s.CreateVpcEndpoint),
		"DeleteVpcEndpoints":          handle(s.DeleteVpcEndpoints),
		"DescribeVpcEndpoints":        handle(s.DescribeVpcEndpoints),
		"DescribeVpcEndpointServices": handle(s.DescribeVpcEndpointServices),
	}
}

func (s *Service) vpcs() kind[Vpc] {
	return kind[Vpc]{all: s.state.Vpcs, missing: notFound("InvalidVpcID.NotFound", "vpc ID"), values: vpcValues, idsParameter: "vpcIds"}
}

func vpcValues(v *Vpc, name string) ([]string, bool) {
	switch name {
	case "vpc-id":
		return one(v.VpcID), true
	case "cidr", "cidr-block":
		return one(v.CidrBlock), true
	case "cidr-block-association.cidr-block":
		var blocks []string
		for _, b := range v.Blocks {
			blocks = append(blocks, b.CidrBlock)
		}
		return blocks, true
	case "ipv6-cidr-block-association.ipv6-cidr-block":
		var blocks []string
		for _, b := range v.IPv6Blocks {
			blocks = append(blocks, b.IPv6CidrBlock)
		}
		return blocks, true
	case "is-default", "isDefault":
		return yesNo(v.IsDefault), true
	case "owner-id":
		return one(v.OwnerID), true
	case "state":
		return one(v.State), true
	case "dhcp-options-id":
		return one(v.DhcpOptionsID), true
	}
	return nil, false
}

func (s *Service) vpc(id string) (*Vpc, error) {
	if v := s.state.Vpcs[id]; v != nil {
		return v, nil
	}
	return nil, s.vpcs().missing(id)
}

func (s *Service) showVpc(v *Vpc) Vpc {
	shown := *v
	shown.Tags = s.tagList(v.VpcID)
	return shown
}

// CreateVpcInput is the request of CreateVpc.
type CreateVpcInput struct {
	Dry
	CidrBlock                   string
	InstanceTenancy             string
	AmazonProvidedIPv6CidrBlock bool               `form:"AmazonProvidedIpv6CidrBlock"`
	TagSpecifications           []TagSpecification `form:"TagSpecification"`
}

// CreateVpcOutput is the answer of CreateVpc.
type CreateVpcOutput struct {
	Vpc Vpc `xml:"vpc"`
}

// parseBlock reads a network and insists on its own form and a size between the given prefix lengths.
func parseBlock(text string, shortest, longest int) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil || !p.Addr().Is4() {
		return p, wire.Errorf("InvalidParameterValue", "Value (%s) for parameter cidrBlock is invalid. This is not a valid CIDR block.", text)
	}
	if p.Bits() < shortest || p.Bits() > longest {
		return p, wire.Errorf("InvalidVpc.Range", "The CIDR '%s' is invalid.", text)
	}
	return p.Masked(), nil
}

// CreateVpc makes a VPC with its main route table and default security group.
func (s *Service) CreateVpc(_ context.Context, _ wire.Caller, in *CreateVpcInput) (*CreateVpcOutput, error) {
	if in.CidrBlock == "" {
		return nil, missingParameter("cidrBlock")
	}
	block, err := parseBlock(in.CidrBlock, 16, 28)
	if err != nil {
		return nil, err
	}
	tags, err := specified(in.TagSpecifications, "vpc")
	if err != nil {
		return nil, err
	}
	v := &Vpc{
		OwnerID: s.world.Account, InstanceTenancy: "default", VpcID: s.world.ID("vpc"), State: "available", CidrBlock: block.String(),
		DhcpOptionsID: "dopt-0" + s.world.Account + "abcd", DNSSupport: true, DefaultACL: s.world.ID("acl"),
	}
	if in.InstanceTenancy != "" {
		v.InstanceTenancy = in.InstanceTenancy
	}
	v.Blocks = []VpcBlock{{AssociationID: s.world.ID("vpc-cidr-assoc"), CidrBlock: v.CidrBlock, State: BlockState{State: "associated"}}}
	s.state.Vpcs[v.VpcID] = v
	s.SetTags(v.VpcID, tags)
	if in.AmazonProvidedIPv6CidrBlock {
		s.giveIPv6(v)
	}
	table := s.newRouteTable(v)
	table.Associations = []RouteTableAssociation{{
		Main: true, AssociationID: s.world.ID("rtbassoc"), RouteTableID: table.RouteTableID, State: &AssociationState{State: "associated"},
	}}
	v.MainTable = table.RouteTableID
	group := s.newSecurityGroup(v.VpcID, "default", "default VPC security group")
	v.DefaultGroup = group.GroupID
	s.addRule(group, SecurityGroupRule{IPProtocol: "-1", FromPort: -1, ToPort: -1, ReferencedGroup: s.reference(group)})
	return &CreateVpcOutput{Vpc: s.showVpc(v)}, nil
}

// giveIPv6 associates one of Amazon's blocks: a /56, as AWS gives them.
func (s *Service) giveIPv6(v *Vpc) VpcIPv6Block {
	block := VpcIPv6Block{
		AssociationID: s.world.ID("vpc-cidr-assoc"), IPv6CidrBlock: fmt.Sprintf("2600:1f%s:%s:%s00::/56", s.world.Hex(2), s.world.Hex(4), s.world.Hex(2)),
		State: BlockState{State: "associated"}, NetworkBorderGroup: s.world.Region, IPv6Pool: "Amazon",
	}
	if p, err := netip.ParsePrefix(block.IPv6CidrBlock); err == nil {
		block.IPv6CidrBlock = p.Masked().String()
	}
	v.IPv6Blocks = append(v.IPv6Blocks, block)
	s.localRoutes(v)
	return block
}

// VpcIDInput names a VPC.
type VpcIDInput struct {
	Dry
	VpcID string `form:"VpcId"`
}

// DeleteVpc deletes a VPC that nothing uses any more.
func (s *Service) DeleteVpc(_ context.Context, _ wire.Caller, in *VpcIDInput) (*Return, error) {
	v, err := s.vpc(in.VpcID)
	if err != nil {
		return nil, err
	}
	if s.vpcUsed(v) {
		return nil, dependency("The vpc '%s' has dependencies and cannot be deleted.", v.VpcID)
	}
	delete(s.state.Vpcs, v.VpcID)
	delete(s.state.RouteTables, v.MainTable)
	s.forgetGroup(v.DefaultGroup)
	for _, id := range []string{v.VpcID, v.MainTable, v.DefaultGroup} {
		delete(s.state.Tags, id)
	}
	return done(), nil
}

func (s *Service) vpcUsed(v *Vpc) bool {
	for _, n := range s.state.Subnets {
		if n.VpcID == v.VpcID {
			return true
		}
	}
	for _, g := range s.state.SecurityGroups {
		if g.VpcID == v.VpcID && g.GroupID != v.DefaultGroup {
			return true
		}
	}
	for _, t := range s.state.RouteTables {
		if t.VpcID == v.VpcID && t.RouteTableID != v.MainTable {
			return true
		}
	}
	return s.vpcAttached(v)
}

func (s *Service) vpcAttached(v *Vpc) bool {
	for _, g := range s.state.Gateways {
		if slices.ContainsFunc(g.Attachments, func(a GatewayAttachment) bool { return a.VpcID == v.VpcID }) {
			return true
		}
	}
	for _, g := range s.state.EgressGateways {
		if slices.ContainsFunc(g.Attachments, func(a GatewayAttachment) bool { return a.VpcID == v.VpcID }) {
			return true
		}
	}
	for _, e := range s.state.Endpoints {
		if e.VpcID == v.VpcID {
			return true
		}
	}
	return false
}

// DescribeVpcsInput is the request of DescribeVpcs.
type DescribeVpcsInput struct {
	Query
	VpcIDs []string `form:"VpcId"`
}

// DescribeVpcsOutput is the answer of DescribeVpcs.
type DescribeVpcsOutput struct {
	NextToken string `xml:"nextToken,omitempty"`
	Vpcs      []Vpc  `xml:"vpcSet>item"`
}

// DescribeVpcs lists VPCs.
func (s *Service) DescribeVpcs(_ context.Context, _ wire.Caller, in *DescribeVpcsInput) (*DescribeVpcsOutput, error) {
	found, next, err := find(s, s.vpcs(), in.VpcIDs, in.Query)
	if err != nil {
		return nil, err
	}
	out := &DescribeVpcsOutput{NextToken: next}
	for _, v := range found {
		out.Vpcs = append(out.Vpcs, s.showVpc(v))
	}
	return out, nil
}

// AttributeBool is a boolean attribute.
type AttributeBool struct {
	Value bool `xml:"value"`
}

// ModifyVpcAttributeInput is the request of ModifyVpcAttribute.
type ModifyVpcAttributeInput struct {
	VpcID              string         `form:"VpcId"`
	EnableDNSHostnames *AttributeBool `form:"EnableDnsHostnames"`
	EnableDNSSupport   *AttributeBool `form:"EnableDnsSupport"`
}

// ModifyVpcAttribute switches DNS of a VPC.
func (s *Service) ModifyVpcAttribute(_ context.Context, _ wire.Caller, in *ModifyVpcAttributeInput) (*Return, error) {
	v, err := s.vpc(in.VpcID)
	if err != nil {
		return nil, err
	}
	if in.EnableDNSHostnames != nil {
		v.DNSHostnames = in.EnableDNSHostnames.Value
	}
	if in.EnableDNSSupport != nil {
		v.DNSSupport = in.EnableDNSSupport.Value
	}
	return done(), nil
}

// DescribeVpcAttributeInput is the request of DescribeVpcAttribute.
type DescribeVpcAttributeInput struct {
	Dry
	VpcID     string `form:"VpcId"`
	Attribute string
}

// DescribeVpcAttributeOutput is the answer of DescribeVpcAttribute.
type DescribeVpcAttributeOutput struct {
	VpcID              string         `xml:"vpcId"`
	EnableDNSHostnames *AttributeBool `xml:"enableDnsHostnames"`
	EnableDNSSupport   *AttributeBool `xml:"enableDnsSupport"`
}

// DescribeVpcAttribute shows one attribute.
func (s *Service) DescribeVpcAttribute(_ context.Context, _ wire.Caller, in *DescribeVpcAttributeInput) (*DescribeVpcAttributeOutput, error) {
	v, err := s.vpc(in.VpcID)
	if err != nil {
		return nil, err
	}
	out := &DescribeVpcAttributeOutput{VpcID: v.VpcID}
	switch in.Attribute {
	case "enableDnsHostnames":
		out.EnableDNSHostnames = &AttributeBool{Value: v.DNSHostnames}
	case "enableDnsSupport":
		out.EnableDNSSupport = &AttributeBool{Value: v.DNSSupport}
	default:
		return nil, wire.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", in.Attribute)
	}
	return out, nil
}
