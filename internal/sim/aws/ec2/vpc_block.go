package ec2

import (
	"context"
	"net/netip"
	"slices"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// AssociateVpcCidrBlockInput is the request of AssociateVpcCidrBlock.
type AssociateVpcCidrBlockInput struct {
	VpcID                       string `form:"VpcId"`
	CidrBlock                   string
	AmazonProvidedIPv6CidrBlock bool `form:"AmazonProvidedIpv6CidrBlock"`
}

// VpcBlockOutput is the answer of AssociateVpcCidrBlock and DisassociateVpcCidrBlock.
type VpcBlockOutput struct {
	VpcID string        `xml:"vpcId"`
	IPv6  *VpcIPv6Block `xml:"ipv6CidrBlockAssociation"`
	IPv4  *VpcBlock     `xml:"cidrBlockAssociation"`
}

// AssociateVpcCidrBlock adds a block to a VPC.
func (s *Service) AssociateVpcCidrBlock(_ context.Context, _ wire.Caller, in *AssociateVpcCidrBlockInput) (*VpcBlockOutput, error) {
	v, err := s.vpc(in.VpcID)
	if err != nil {
		return nil, err
	}
	out := &VpcBlockOutput{VpcID: v.VpcID}
	if in.AmazonProvidedIPv6CidrBlock {
		block := s.giveIPv6(v)
		out.IPv6 = &block
		return out, nil
	}
	p, err := parseBlock(in.CidrBlock, 16, 28)
	if err != nil {
		return nil, err
	}
	for _, b := range v.Blocks {
		if other, err := netip.ParsePrefix(b.CidrBlock); err == nil && other.Overlaps(p) {
			return nil, wire.Errorf("InvalidVpc.Range", "The CIDR '%s' conflicts with another subnet", p)
		}
	}
	block := VpcBlock{AssociationID: s.world.ID("vpc-cidr-assoc"), CidrBlock: p.String(), State: BlockState{State: "associated"}}
	v.Blocks = append(v.Blocks, block)
	s.localRoutes(v)
	out.IPv4 = &block
	return out, nil
}

// AssociationInput names an association.
type AssociationInput struct {
	Dry
	AssociationID string `form:"AssociationId"`
}

// VpcAssociationInput names the association of a block with a VPC.
type VpcAssociationInput struct {
	AssociationID string `form:"AssociationId"`
}

// DisassociateVpcCidrBlock takes a block that no subnet uses off its VPC.
func (s *Service) DisassociateVpcCidrBlock(_ context.Context, _ wire.Caller, in *VpcAssociationInput) (*VpcBlockOutput, error) {
	for _, v := range sorted(s.state.Vpcs) {
		for i, b := range v.IPv6Blocks {
			if b.AssociationID != in.AssociationID {
				continue
			}
			if s.blockUsed(v.VpcID, b.IPv6CidrBlock) {
				return nil, wire.Errorf("InvalidCidrBlock.InUse", "The vpc %s currently has a subnet within CIDR block %s", v.VpcID, b.IPv6CidrBlock)
			}
			v.IPv6Blocks = slices.Delete(v.IPv6Blocks, i, i+1)
			s.localRoutes(v)
			b.State.State = "disassociated"
			return &VpcBlockOutput{VpcID: v.VpcID, IPv6: &b}, nil
		}
		for i, b := range v.Blocks {
			if b.AssociationID != in.AssociationID {
				continue
			}
			if i == 0 {
				return nil, wire.Errorf("OperationNotPermitted", "The vpc CIDR block with association ID %s may not be disassociated. It is the primary IPv4 CIDR block of the VPC", b.AssociationID)
			}
			if s.blockUsed(v.VpcID, b.CidrBlock) {
				return nil, wire.Errorf("InvalidCidrBlock.InUse", "The vpc %s currently has a subnet within CIDR block %s", v.VpcID, b.CidrBlock)
			}
			v.Blocks = slices.Delete(v.Blocks, i, i+1)
			s.localRoutes(v)
			b.State.State = "disassociated"
			return &VpcBlockOutput{VpcID: v.VpcID, IPv4: &b}, nil
		}
	}
	return nil, wire.Errorf("InvalidVpcCidrBlockAssociationID.NotFound", "The vpc CIDR block association ID '%s' does not exist", in.AssociationID)
}

func (s *Service) blockUsed(vpc, block string) bool {
	p, err := netip.ParsePrefix(block)
	if err != nil {
		return false
	}
	for _, n := range s.state.Subnets {
		if n.VpcID != vpc {
			continue
		}
		for _, text := range append(n.ipv6Blocks(), n.CidrBlock) {
			if own, err := netip.ParsePrefix(text); err == nil && p.Overlaps(own) {
				return true
			}
		}
	}
	return false
}
