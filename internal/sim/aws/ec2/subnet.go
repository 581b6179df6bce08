package ec2

import (
	"context"
	"net/netip"
	"slices"
	"strconv"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// Subnet is a part of a VPC in one zone.
type Subnet struct {
	AvailabilityZoneID      string            `xml:"availabilityZoneId"`
	OwnerID                 string            `xml:"ownerId"`
	AssignIPv6OnCreation    bool              `xml:"assignIpv6AddressOnCreation"`
	IPv6Blocks              []SubnetIPv6Block `xml:"ipv6CidrBlockAssociationSet>item"`
	Tags                    []Tag             `xml:"tagSet>item" json:"-"`
	SubnetArn               string            `xml:"subnetArn"`
	EnableDNS64             bool              `xml:"enableDns64"`
	IPv6Native              bool              `xml:"ipv6Native"`
	DNSOptions              DNSNameOptions    `xml:"privateDnsNameOptionsOnLaunch"`
	SubnetID                string            `xml:"subnetId"`
	State                   string            `xml:"state"`
	VpcID                   string            `xml:"vpcId"`
	CidrBlock               string            `xml:"cidrBlock"`
	AvailableIPAddressCount int               `xml:"availableIpAddressCount"`
	AvailabilityZone        string            `xml:"availabilityZone"`
	DefaultForAz            bool              `xml:"defaultForAz"`
	MapPublicIPOnLaunch     bool              `xml:"mapPublicIpOnLaunch"`
	// Next counts the addresses given out, so that no two interfaces get the same one soon after each other.
	Next int `xml:"-"`
}

// SubnetIPv6Block is an IPv6 block of a subnet.
type SubnetIPv6Block struct {
	AssociationID string     `xml:"associationId"`
	IPv6CidrBlock string     `xml:"ipv6CidrBlock"`
	State         BlockState `xml:"ipv6CidrBlockState"`
}

// DNSNameOptions say how instances of a subnet are named.
type DNSNameOptions struct {
	HostnameType                    string `xml:"hostnameType"`
	EnableResourceNameDNSARecord    bool   `xml:"enableResourceNameDnsARecord" cfn:"EnableResourceNameDnsARecord"`
	EnableResourceNameDNSAAAARecord bool   `xml:"enableResourceNameDnsAAAARecord" cfn:"EnableResourceNameDnsAAAARecord"`
}

func (n *Subnet) ipv6Blocks() []string {
	var out []string
	for _, b := range n.IPv6Blocks {
		out = append(out, b.IPv6CidrBlock)
	}
	return out
}

func (s *Service) subnets() kind[Subnet] {
	return kind[Subnet]{all: s.state.Subnets, missing: notFound("InvalidSubnetID.NotFound", "subnet ID"), values: s.subnetValues, idsParameter: "subnetIds"}
}

func (s *Service) subnetValues(n *Subnet, name string) ([]string, bool) {
	switch name {
	case "vpc-id":
		return one(n.VpcID), true
	case "subnet-id":
		return one(n.SubnetID), true
	case "availability-zone", "availabilityZone":
		return one(n.AvailabilityZone), true
	case "availability-zone-id":
		return one(n.AvailabilityZoneID), true
	case "cidr-block", "cidr", "cidrBlock":
		return one(n.CidrBlock), true
	case "state":
		return one(n.State), true
	case "owner-id":
		return one(n.OwnerID), true
	case "subnet-arn":
		return one(n.SubnetArn), true
	case "default-for-az", "defaultForAz":
		return yesNo(n.DefaultForAz), true
	case "map-public-ip-on-launch":
		return yesNo(n.MapPublicIPOnLaunch), true
	case "ipv6-native":
		return yesNo(n.IPv6Native), true
	case "available-ip-address-count":
		return one(strconv.Itoa(s.free(n))), true
	case "ipv6-cidr-block-association.ipv6-cidr-block":
		return n.ipv6Blocks(), true
	}
	return nil, false
}

// free counts the addresses of a subnet that nothing has. AWS keeps the first four and the last of every subnet
// (https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html).
func (s *Service) free(n *Subnet) int {
	p, err := netip.ParsePrefix(n.CidrBlock)
	if err != nil {
		return 0
	}
	used := 0
	for _, i := range s.state.Interfaces {
		if i.SubnetID == n.SubnetID {
			used += max(1, len(i.Addresses))
		}
	}
	return 1<<(32-p.Bits()) - 5 - used
}

func (s *Service) subnet(id string) (*Subnet, error) {
	if n := s.state.Subnets[id]; n != nil {
		return n, nil
	}
	return nil, s.subnets().missing(id)
}

func (s *Service) showSubnet(n *Subnet) Subnet {
	shown := *n
	shown.Tags = s.tagList(n.SubnetID)
	shown.AvailableIPAddressCount = s.free(n)
	return shown
}

// CreateSubnetInput is the request of CreateSubnet.
type CreateSubnetInput struct {
	Dry
	VpcID              string `form:"VpcId"`
	AvailabilityZone   string
	AvailabilityZoneID string `form:"AvailabilityZoneId"`
	CidrBlock          string
	IPv6CidrBlock      string             `form:"Ipv6CidrBlock"`
	IPv6Native         bool               `form:"Ipv6Native"`
	TagSpecifications  []TagSpecification `form:"TagSpecification"`
}

// CreateSubnetOutput is the answer of CreateSubnet.
type CreateSubnetOutput struct {
	Subnet Subnet `xml:"subnet"`
}

// CreateSubnet makes a subnet inside its VPC's blocks.
func (s *Service) CreateSubnet(_ context.Context, _ wire.Caller, in *CreateSubnetInput) (*CreateSubnetOutput, error) {
	v, err := s.vpc(in.VpcID)
	if err != nil {
		return nil, err
	}
	tags, err := specified(in.TagSpecifications, "subnet")
	if err != nil {
		return nil, err
	}
	zone := s.Zones()[0]
	if wanted := in.AvailabilityZone + in.AvailabilityZoneID; wanted != "" {
		var ok bool
		if zone, ok = s.zone(wanted); !ok {
			return nil, wire.Errorf("InvalidParameterValue", "Value (%s) for parameter availabilityZone is invalid. Subnets can currently only be created in the following availability zones: %s.", wanted, joinNames(s.ZoneNames()))
		}
	}
	block, err := s.subnetBlock(v, in.CidrBlock)
	if err != nil {
		return nil, err
	}
	n := &Subnet{
		AvailabilityZone: zone.Name, AvailabilityZoneID: zone.ID, OwnerID: s.world.Account, SubnetID: s.world.ID("subnet"), State: "available",
		VpcID: v.VpcID, CidrBlock: block, DNSOptions: DNSNameOptions{HostnameType: "ip-name"},
	}
	if in.IPv6CidrBlock != "" {
		if err := s.addSubnetIPv6(v, n, in.IPv6CidrBlock); err != nil {
			return nil, err
		}
	}
	n.SubnetArn = s.world.ARN("ec2", "subnet/"+n.SubnetID)
	s.state.Subnets[n.SubnetID] = n
	s.SetTags(n.SubnetID, tags)
	return &CreateSubnetOutput{Subnet: s.showSubnet(n)}, nil
}

func joinNames(names []string) string {
	out := ""
	for i, name := range names {
		if i > 0 {
			out += ", "
		}
		out += name
	}
	return out
}

func (s *Service) subnetBlock(v *Vpc, text string) (string, error) {
	if text == "" {
		return "", missingParameter("cidrBlock")
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || !p.Addr().Is4() {
		return "", wire.Errorf("InvalidParameterValue", "Value (%s) for parameter cidrBlock is invalid. This is not a valid CIDR block.", text)
	}
	inside := slices.ContainsFunc(v.Blocks, func(b VpcBlock) bool {
		outer, err := netip.ParsePrefix(b.CidrBlock)
		return err == nil && outer.Contains(p.Addr()) && outer.Bits() <= p.Bits()
	})
	if !inside || p.Bits() < 16 || p.Bits() > 28 {
		return "", wire.Errorf("InvalidSubnet.Range", "The CIDR '%s' is invalid.", text)
	}
	for _, other := range s.state.Subnets {
		if o, err := netip.ParsePrefix(other.CidrBlock); err == nil && other.VpcID == v.VpcID && o.Overlaps(p) {
			return "", wire.Errorf("InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet", text)
		}
	}
	return p.Masked().String(), nil
}

func (s *Service) addSubnetIPv6(v *Vpc, n *Subnet, text string) error {
	p, err := netip.ParsePrefix(text)
	if err != nil || !p.Addr().Is6() {
		return wire.Errorf("InvalidParameterValue", "Value (%s) for parameter ipv6CidrBlock is invalid.", text)
	}
	inside := slices.ContainsFunc(v.IPv6Blocks, func(b VpcIPv6Block) bool {
		outer, err := netip.ParsePrefix(b.IPv6CidrBlock)
		return err == nil && outer.Contains(p.Addr()) && outer.Bits() <= p.Bits()
	})
	if !inside {
		return wire.Errorf("InvalidSubnet.Range", "The CIDR '%s' is invalid.", text)
	}
	n.IPv6Blocks = append(n.IPv6Blocks, SubnetIPv6Block{
		AssociationID: s.world.ID("subnet-cidr-assoc"), IPv6CidrBlock: p.Masked().String(), State: BlockState{State: "associated"},
	})
	return nil
}

// SubnetIDInput names a subnet.
type SubnetIDInput struct {
	Dry
	SubnetID string `form:"SubnetId"`
}

// DeleteSubnet deletes a subnet without interfaces.
func (s *Service) DeleteSubnet(_ context.Context, _ wire.Caller, in *SubnetIDInput) (*Return, error) {
	n, err := s.subnet(in.SubnetID)
	if err != nil {
		return nil, err
	}
	for _, i := range s.state.Interfaces {
		if i.SubnetID == n.SubnetID {
			return nil, dependency("The subnet '%s' has dependencies and cannot be deleted.", n.SubnetID)
		}
	}
	for _, t := range s.state.RouteTables {
		t.Associations = slices.DeleteFunc(t.Associations, func(a RouteTableAssociation) bool { return a.SubnetID == n.SubnetID })
	}
	delete(s.state.Subnets, n.SubnetID)
	delete(s.state.Tags, n.SubnetID)
	return done(), nil
}

// DescribeSubnetsInput is the request of DescribeSubnets.
type DescribeSubnetsInput struct {
	Query
	SubnetIDs []string `form:"SubnetId"`
}

// DescribeSubnetsOutput is the answer of DescribeSubnets.
type DescribeSubnetsOutput struct {
	NextToken string   `xml:"nextToken,omitempty"`
	Subnets   []Subnet `xml:"subnetSet>item"`
}

// DescribeSubnets lists subnets.
func (s *Service) DescribeSubnets(_ context.Context, _ wire.Caller, in *DescribeSubnetsInput) (*DescribeSubnetsOutput, error) {
	found, next, err := find(s, s.subnets(), in.SubnetIDs, in.Query)
	if err != nil {
		return nil, err
	}
	out := &DescribeSubnetsOutput{NextToken: next}
	for _, n := range found {
		out.Subnets = append(out.Subnets, s.showSubnet(n))
	}
	return out, nil
}

// ModifySubnetAttributeInput is the request of ModifySubnetAttribute; the real service takes one attribute a call.
type ModifySubnetAttributeInput struct {
	SubnetID             string         `form:"SubnetId"`
	MapPublicIPOnLaunch  *AttributeBool `form:"MapPublicIpOnLaunch"`
	AssignIPv6OnCreation *AttributeBool `form:"AssignIpv6AddressOnCreation"`
	EnableDNS64          *AttributeBool `form:"EnableDns64"`
	HostnameType         string         `form:"PrivateDnsHostnameTypeOnLaunch"`
	DNSARecord           *AttributeBool `form:"EnableResourceNameDnsARecordOnLaunch"`
	DNSAAAARecord        *AttributeBool `form:"EnableResourceNameDnsAAAARecordOnLaunch"`
}

// ModifySubnetAttribute changes what instances of a subnet get at launch.
func (s *Service) ModifySubnetAttribute(_ context.Context, _ wire.Caller, in *ModifySubnetAttributeInput) (*Return, error) {
	n, err := s.subnet(in.SubnetID)
	if err != nil {
		return nil, err
	}
	for _, change := range []struct {
		from *AttributeBool
		to   *bool
	}{
		{in.MapPublicIPOnLaunch, &n.MapPublicIPOnLaunch}, {in.AssignIPv6OnCreation, &n.AssignIPv6OnCreation}, {in.EnableDNS64, &n.EnableDNS64},
		{in.DNSARecord, &n.DNSOptions.EnableResourceNameDNSARecord}, {in.DNSAAAARecord, &n.DNSOptions.EnableResourceNameDNSAAAARecord},
	} {
		if change.from != nil {
			*change.to = change.from.Value
		}
	}
	if in.HostnameType != "" {
		n.DNSOptions.HostnameType = in.HostnameType
	}
	return done(), nil
}

// address picks a free address of the subnet.
func (s *Service) address(n *Subnet) (string, error) {
	p, err := netip.ParsePrefix(n.CidrBlock)
	if err != nil {
		return "", err
	}
	taken := map[string]bool{}
	for _, i := range s.state.Interfaces {
		for _, a := range i.Addresses {
			taken[a.PrivateIPAddress] = true
		}
	}
	size := 1 << (32 - p.Bits())
	for range size {
		n.Next++
		at := p.Addr()
		raw := at.As4()
		offset := 4 + n.Next%max(1, size-5)
		value := uint32(raw[0])<<24 | uint32(raw[1])<<16 | uint32(raw[2])<<8 | uint32(raw[3])
		value += uint32(offset) // bounded by the size of the subnet
		candidate := netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}).String()
		if !taken[candidate] {
			return candidate, nil
		}
	}
	return "", wire.Errorf("InsufficientFreeAddressesInSubnet", "There are not enough free addresses in subnet '%s' to satisfy the requested number of instances.", n.SubnetID)
}

// SubnetZone is the availability zone of a subnet, or "".
func (s *Service) SubnetZone(id string) string {
	if n := s.state.Subnets[id]; n != nil {
		return n.AvailabilityZone
	}
	return ""
}
