package ec2

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// NatGateway lets instances of private subnets reach out.
type NatGateway struct {
	CreateTime       wire.Time           `xml:"createTime"`
	DeleteTime       wire.Time           `xml:"deleteTime"`
	Addresses        []NatGatewayAddress `xml:"natGatewayAddressSet>item"`
	NatGatewayID     string              `xml:"natGatewayId"`
	State            string              `xml:"state"`
	SubnetID         string              `xml:"subnetId"`
	VpcID            string              `xml:"vpcId"`
	Tags             []Tag               `xml:"tagSet>item" json:"-"`
	ConnectivityType string              `xml:"connectivityType"`
}

// NatGatewayAddress is an address of a NAT gateway.
type NatGatewayAddress struct {
	AllocationID       string `xml:"allocationId,omitempty"`
	NetworkInterfaceID string `xml:"networkInterfaceId"`
	PrivateIP          string `xml:"privateIp"`
	PublicIP           string `xml:"publicIp,omitempty"`
	AssociationID      string `xml:"associationId,omitempty"`
	IsPrimary          bool   `xml:"isPrimary"`
	Status             string `xml:"status"`
}

// Address is an Elastic IP address.
type Address struct {
	AllocationID       string `xml:"allocationId"`
	AssociationID      string `xml:"associationId,omitempty"`
	Domain             string `xml:"domain"`
	NetworkInterfaceID string `xml:"networkInterfaceId,omitempty"`
	InterfaceOwnerID   string `xml:"networkInterfaceOwnerId,omitempty"`
	PrivateIPAddress   string `xml:"privateIpAddress,omitempty"`
	Tags               []Tag  `xml:"tagSet>item" json:"-"`
	PublicIPv4Pool     string `xml:"publicIpv4Pool"`
	NetworkBorderGroup string `xml:"networkBorderGroup"`
	InstanceID         string `xml:"instanceId,omitempty"`
	PublicIP           string `xml:"publicIp"`
}

func (s *Service) natGateways() kind[NatGateway] {
	return kind[NatGateway]{
		all: s.state.NatGateways, missing: notFound("NatGatewayNotFound", "Nat gateway"), idsParameter: "natGatewayIds",
		values: func(n *NatGateway, name string) ([]string, bool) {
			v, ok := map[string]string{"nat-gateway-id": n.NatGatewayID, "state": n.State, "subnet-id": n.SubnetID, "vpc-id": n.VpcID}[name]
			return one(v), ok
		},
	}
}

func (s *Service) natGateway(id string) (*NatGateway, error) {
	if n := s.state.NatGateways[id]; n != nil {
		return n, nil
	}
	return nil, wire.Errorf("NatGatewayNotFound", "NatGateway %s was not found", id)
}

// CreateNatGatewayInput is the request of CreateNatGateway.
type CreateNatGatewayInput struct {
	Dry
	AllocationID      string `form:"AllocationId"`
	SubnetID          string `form:"SubnetId"`
	ClientToken       string
	ConnectivityType  string
	TagSpecifications []TagSpecification `form:"TagSpecification"`
}

// CreateNatGatewayOutput is the answer of CreateNatGateway.
type CreateNatGatewayOutput struct {
	ClientToken string     `xml:"clientToken,omitempty"`
	NatGateway  NatGateway `xml:"natGateway"`
}

// CreateNatGateway starts a NAT gateway in a subnet.
func (s *Service) CreateNatGateway(_ context.Context, _ wire.Caller, in *CreateNatGatewayInput) (*CreateNatGatewayOutput, error) {
	if made := s.state.NatGateways[s.state.Tokens[in.ClientToken]]; in.ClientToken != "" && made != nil {
		return &CreateNatGatewayOutput{ClientToken: in.ClientToken, NatGateway: s.showNat(made)}, nil
	}
	n, err := s.subnet(in.SubnetID)
	if err != nil {
		return nil, err
	}
	tags, err := specified(in.TagSpecifications, "natgateway")
	if err != nil {
		return nil, err
	}
	kind := cmp.Or(in.ConnectivityType, "public")
	var address *Address
	if kind == "public" {
		if in.AllocationID == "" {
			return nil, missingParameter("AllocationId")
		}
		if address = s.state.Addresses[in.AllocationID]; address == nil {
			return nil, wire.Errorf("InvalidAllocationID.NotFound", "The allocation ID '%s' does not exist", in.AllocationID)
		}
		if address.AssociationID != "" {
			return nil, wire.Errorf("Resource.AlreadyAssociated", "Elastic IP address [%s] is already associated", in.AllocationID)
		}
	}
	g := &NatGateway{
		CreateTime: wire.Time{Time: s.world.Now()}, NatGatewayID: s.world.ID("nat"), State: "pending", SubnetID: n.SubnetID, VpcID: n.VpcID, ConnectivityType: kind,
	}
	i, err := s.newInterface(n, NetworkInterface{Description: "Interface for NAT Gateway " + g.NatGatewayID, InterfaceType: "nat_gateway", RequesterManaged: true, Status: "in-use"})
	if err != nil {
		return nil, err
	}
	a := NatGatewayAddress{NetworkInterfaceID: i.NetworkInterfaceID, PrivateIP: i.PrivateIPAddress, IsPrimary: true, Status: "associating"}
	if address != nil {
		s.associate(address, i)
		a.AllocationID, a.PublicIP, a.AssociationID = address.AllocationID, address.PublicIP, address.AssociationID
	}
	g.Addresses = []NatGatewayAddress{a}
	s.state.NatGateways[g.NatGatewayID] = g
	s.SetTags(g.NatGatewayID, tags)
	if in.ClientToken != "" {
		s.state.Tokens[in.ClientToken] = g.NatGatewayID
	}
	return &CreateNatGatewayOutput{ClientToken: in.ClientToken, NatGateway: s.showNat(g)}, nil
}

func (s *Service) associate(a *Address, i *NetworkInterface) {
	a.AssociationID, a.NetworkInterfaceID, a.InterfaceOwnerID = s.world.ID("eipassoc"), i.NetworkInterfaceID, s.world.Account
	a.PrivateIPAddress = i.PrivateIPAddress
	i.PublicIP = a.PublicIP
}

func (s *Service) showNat(g *NatGateway) NatGateway {
	shown := *g
	shown.Tags = s.tagList(g.NatGatewayID)
	return shown
}

// NatGatewayIDInput names a NAT gateway.
type NatGatewayIDInput struct {
	Dry
	NatGatewayID string `form:"NatGatewayId"`
}

// NatGatewayIDOutput is the answer of DeleteNatGateway.
type NatGatewayIDOutput struct {
	NatGatewayID string `xml:"natGatewayId"`
}

// DeleteNatGateway starts the deletion of a NAT gateway; its interface and address are in use until it is deleted.
func (s *Service) DeleteNatGateway(_ context.Context, _ wire.Caller, in *NatGatewayIDInput) (*NatGatewayIDOutput, error) {
	g, err := s.natGateway(in.NatGatewayID)
	if err != nil {
		return nil, err
	}
	if g.State != "deleting" && g.State != "deleted" {
		g.State, g.DeleteTime = "deleting", wire.Time{Time: s.world.Now()}
	}
	return &NatGatewayIDOutput{NatGatewayID: g.NatGatewayID}, nil
}

// DescribeNatGatewaysInput is the request of DescribeNatGateways; its parameter of filters is called Filter.
type DescribeNatGatewaysInput struct {
	Query
	NatGatewayIDs []string `form:"NatGatewayId"`
}

// DescribeNatGatewaysOutput is the answer of DescribeNatGateways.
type DescribeNatGatewaysOutput struct {
	NatGateways []NatGateway `xml:"natGatewaySet>item"`
	NextToken   string       `xml:"nextToken,omitempty"`
}

// DescribeNatGateways lists NAT gateways, deleted ones included for an hour.
func (s *Service) DescribeNatGateways(_ context.Context, _ wire.Caller, in *DescribeNatGatewaysInput) (*DescribeNatGatewaysOutput, error) {
	found, next, err := find(s, s.natGateways(), in.NatGatewayIDs, in.Query)
	if err != nil {
		return nil, err
	}
	out := &DescribeNatGatewaysOutput{NextToken: next}
	for _, g := range found {
		out.NatGateways = append(out.NatGateways, s.showNat(g))
	}
	return out, nil
}

func (s *Service) advanceNatGateways(time.Time) bool {
	changed := false
	for id, g := range s.state.NatGateways {
		switch {
		case g.State == "pending" && s.after(g.CreateTime.Time, "ec2.natgateway.create"):
			g.State = "available"
			g.Addresses[0].Status = "succeeded"
		case g.State == "deleting" && s.after(g.DeleteTime.Time, "ec2.natgateway.delete"):
			g.State = "deleted"
			s.dropInterface(g.Addresses[0].NetworkInterfaceID)
		case g.State == "deleted" && s.after(g.DeleteTime.Time, "ec2.terminated.visibility"):
			delete(s.state.NatGateways, id)
			delete(s.state.Tags, id)
		default:
			continue
		}
		changed = true
	}
	return changed
}

func (s *Service) addresses() kind[Address] {
	return kind[Address]{
		all: s.state.Addresses, missing: notFound("InvalidAllocationID.NotFound", "allocation ID"), idsParameter: "allocationIds",
		values: func(a *Address, name string) ([]string, bool) {
			v, ok := map[string]string{
				"allocation-id": a.AllocationID, "association-id": a.AssociationID, "domain": a.Domain, "network-interface-id": a.NetworkInterfaceID,
				"private-ip-address": a.PrivateIPAddress, "public-ip": a.PublicIP, "instance-id": a.InstanceID, "network-border-group": a.NetworkBorderGroup,
				"network-interface-owner-id": a.InterfaceOwnerID,
			}[name]
			return one(v), ok
		},
	}
}

// AllocateAddressInput is the request of AllocateAddress.
type AllocateAddressInput struct {
	Dry
	Domain            string
	TagSpecifications []TagSpecification `form:"TagSpecification"`
}

// AllocateAddressOutput is the answer of AllocateAddress.
type AllocateAddressOutput struct {
	AllocationID       string `xml:"allocationId"`
	PublicIPv4Pool     string `xml:"publicIpv4Pool"`
	NetworkBorderGroup string `xml:"networkBorderGroup"`
	Domain             string `xml:"domain"`
	PublicIP           string `xml:"publicIp"`
}

// AllocateAddress gives the account an Elastic IP address out of the range reserved for documentation.
func (s *Service) AllocateAddress(_ context.Context, _ wire.Caller, in *AllocateAddressInput) (*AllocateAddressOutput, error) {
	tags, err := specified(in.TagSpecifications, "elastic-ip")
	if err != nil {
		return nil, err
	}
	a := &Address{
		AllocationID: s.world.ID("eipalloc"), Domain: "vpc", PublicIPv4Pool: "amazon", NetworkBorderGroup: s.world.Region, PublicIP: s.publicIP(),
	}
	s.state.Addresses[a.AllocationID] = a
	s.SetTags(a.AllocationID, tags)
	return &AllocateAddressOutput{
		AllocationID: a.AllocationID, PublicIPv4Pool: a.PublicIPv4Pool, NetworkBorderGroup: a.NetworkBorderGroup, Domain: a.Domain, PublicIP: a.PublicIP,
	}, nil
}

// publicIP picks an unused address of 198.18.0.0/15, the range of RFC 2544 that the internet does not route.
func (s *Service) publicIP() string {
	for {
		ip := fmt.Sprintf("198.%d.%d.%d", 18+s.world.Below(2), s.world.Below(256), 1+s.world.Below(254))
		used := false
		for _, a := range s.state.Addresses {
			used = used || a.PublicIP == ip
		}
		for _, i := range s.state.Interfaces {
			used = used || i.PublicIP == ip
		}
		if !used {
			return ip
		}
	}
}

// ReleaseAddressInput is the request of ReleaseAddress.
type ReleaseAddressInput struct {
	Dry
	AllocationID string `form:"AllocationId"`
}

// ReleaseAddress gives an address back that nothing uses.
func (s *Service) ReleaseAddress(_ context.Context, _ wire.Caller, in *ReleaseAddressInput) (*Return, error) {
	a := s.state.Addresses[in.AllocationID]
	if a == nil {
		return nil, s.addresses().missing(in.AllocationID)
	}
	if a.AssociationID != "" {
		return nil, wire.Errorf("InvalidIPAddress.InUse", "Address %s is in use.", a.PublicIP)
	}
	delete(s.state.Addresses, a.AllocationID)
	delete(s.state.Tags, a.AllocationID)
	return done(), nil
}

// DescribeAddressesInput is the request of DescribeAddresses.
type DescribeAddressesInput struct {
	Dry
	AllocationIDs []string `form:"AllocationId"`
	PublicIPs     []string `form:"PublicIp"`
	Filters       []Filter `form:"Filter"`
}

// DescribeAddressesOutput is the answer of DescribeAddresses.
type DescribeAddressesOutput struct {
	Addresses []Address `xml:"addressesSet>item"`
}

// DescribeAddresses lists Elastic IP addresses.
func (s *Service) DescribeAddresses(_ context.Context, _ wire.Caller, in *DescribeAddressesInput) (*DescribeAddressesOutput, error) {
	filters := in.Filters
	if len(in.PublicIPs) > 0 {
		filters = append(filters, Filter{Name: "public-ip", Values: in.PublicIPs})
	}
	found, _, err := find(s, s.addresses(), in.AllocationIDs, Query{Filters: filters})
	if err != nil {
		return nil, err
	}
	out := &DescribeAddressesOutput{}
	for _, a := range found {
		shown := *a
		shown.Tags = s.tagList(a.AllocationID)
		out.Addresses = append(out.Addresses, shown)
	}
	return out, nil
}
