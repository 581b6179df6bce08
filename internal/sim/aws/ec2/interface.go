package ec2

import (
	"context"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// NetworkInterface is an elastic network interface.
type NetworkInterface struct {
	Association        *InterfaceAssociation `xml:"association" json:"-"`
	Attachment         *InterfaceAttachment  `xml:"attachment"`
	AvailabilityZone   string                `xml:"availabilityZone"`
	Description        string                `xml:"description"`
	Groups             []GroupIdentifier     `xml:"groupSet>item"`
	InterfaceType      string                `xml:"interfaceType"`
	MacAddress         string                `xml:"macAddress"`
	NetworkInterfaceID string                `xml:"networkInterfaceId"`
	OwnerID            string                `xml:"ownerId"`
	PrivateDNSName     string                `xml:"privateDnsName"`
	PrivateIPAddress   string                `xml:"privateIpAddress"`
	Addresses          []InterfaceAddress    `xml:"privateIpAddressesSet>item"`
	RequesterID        string                `xml:"requesterId,omitempty"`
	RequesterManaged   bool                  `xml:"requesterManaged"`
	SourceDestCheck    bool                  `xml:"sourceDestCheck"`
	Status             string                `xml:"status"`
	SubnetID           string                `xml:"subnetId"`
	Tags               []Tag                 `xml:"tagSet>item" json:"-"`
	VpcID              string                `xml:"vpcId"`
	PublicIP           string                `xml:"-"`
}

// InterfaceAddress is an address of an interface.
type InterfaceAddress struct {
	Primary          bool   `xml:"primary"`
	PrivateDNSName   string `xml:"privateDnsName,omitempty"`
	PrivateIPAddress string `xml:"privateIpAddress"`
}

// InterfaceAssociation is the public address of an interface.
type InterfaceAssociation struct {
	IPOwnerID     string `xml:"ipOwnerId"`
	PublicDNSName string `xml:"publicDnsName"`
	PublicIP      string `xml:"publicIp"`
}

// InterfaceAttachment ties an interface to an instance.
type InterfaceAttachment struct {
	AttachTime          wire.Time `xml:"attachTime"`
	AttachmentID        string    `xml:"attachmentId"`
	DeleteOnTermination bool      `xml:"deleteOnTermination"`
	DeviceIndex         int       `xml:"deviceIndex"`
	InstanceID          string    `xml:"instanceId,omitempty"`
	InstanceOwnerID     string    `xml:"instanceOwnerId"`
	Status              string    `xml:"status"`
}

func (s *Service) interfaces() kind[NetworkInterface] {
	return kind[NetworkInterface]{
		all: s.state.Interfaces, missing: noInterface, values: interfaceValues, idsParameter: "networkInterfaceIds",
	}
}

func noInterface(id string) error {
	return wire.Errorf("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist", id)
}

func interfaceValues(i *NetworkInterface, name string) ([]string, bool) {
	if name == "group-id" || name == "group-name" {
		var out []string
		for _, g := range i.Groups {
			out = append(out, map[string]string{"group-id": g.GroupID, "group-name": g.GroupName}[name])
		}
		return out, true
	}
	attached := InterfaceAttachment{}
	if i.Attachment != nil {
		attached = *i.Attachment
	}
	v, ok := map[string]string{
		"network-interface-id": i.NetworkInterfaceID, "vpc-id": i.VpcID, "subnet-id": i.SubnetID, "status": i.Status, "description": i.Description,
		"availability-zone": i.AvailabilityZone, "private-ip-address": i.PrivateIPAddress, "interface-type": i.InterfaceType, "owner-id": i.OwnerID,
		"requester-id": i.RequesterID, "private-dns-name": i.PrivateDNSName, "mac-address": i.MacAddress, "association.public-ip": i.PublicIP,
		"attachment.instance-id": attached.InstanceID, "attachment.attachment-id": attached.AttachmentID, "attachment.status": attached.Status,
		"requester-managed": yesNo(i.RequesterManaged)[0],
	}[name]
	return one(v), ok
}

// newInterface makes an interface with a free address of the subnet; the fields of i that are set are kept.
func (s *Service) newInterface(n *Subnet, i NetworkInterface) (*NetworkInterface, error) {
	if i.PrivateIPAddress == "" {
		ip, err := s.address(n)
		if err != nil {
			return nil, err
		}
		i.PrivateIPAddress = ip
	}
	if len(i.Groups) == 0 && i.InterfaceType != "nat_gateway" {
		if v := s.state.Vpcs[n.VpcID]; v != nil {
			i.Groups = s.identify([]string{v.DefaultGroup})
		}
	}
	if i.InterfaceType == "" {
		i.InterfaceType = "interface"
	}
	if i.Status == "" {
		i.Status = "available"
	}
	i.NetworkInterfaceID, i.OwnerID, i.SubnetID, i.VpcID, i.AvailabilityZone = s.world.ID("eni"), s.world.Account, n.SubnetID, n.VpcID, n.AvailabilityZone
	i.MacAddress = "02:" + s.world.Hex(2) + ":" + s.world.Hex(2) + ":" + s.world.Hex(2) + ":" + s.world.Hex(2) + ":" + s.world.Hex(2)
	i.PrivateDNSName = s.privateDNS(i.PrivateIPAddress)
	i.SourceDestCheck = i.InterfaceType != "nat_gateway"
	i.Addresses = []InterfaceAddress{{Primary: true, PrivateDNSName: i.PrivateDNSName, PrivateIPAddress: i.PrivateIPAddress}}
	s.state.Interfaces[i.NetworkInterfaceID] = &i
	return &i, nil
}

// privateDNS is the name by address: ip-10-0-1-2.REGION.compute.internal, and ec2.internal in us-east-1
// (https://docs.aws.amazon.com/vpc/latest/userguide/vpc-dns.html).
func (s *Service) privateDNS(ip string) string {
	name := "ip-" + strings.ReplaceAll(ip, ".", "-")
	if s.world.Region == "us-east-1" {
		return name + ".ec2.internal"
	}
	return name + "." + s.world.Region + ".compute.internal"
}

func (s *Service) publicDNS(ip string) string {
	name := "ec2-" + strings.ReplaceAll(ip, ".", "-")
	if s.world.Region == "us-east-1" {
		return name + ".compute-1." + s.world.DNSSuffix()
	}
	return name + "." + s.world.Region + ".compute." + s.world.DNSSuffix()
}

// identify gives groups their names.
func (s *Service) identify(ids []string) []GroupIdentifier {
	out := make([]GroupIdentifier, 0, len(ids))
	for _, id := range ids {
		g := GroupIdentifier{GroupID: id}
		if known := s.state.SecurityGroups[id]; known != nil {
			g.GroupName = known.GroupName
		}
		out = append(out, g)
	}
	return out
}

// dropInterface removes an interface and lets go of its Elastic IP address.
func (s *Service) dropInterface(id string) {
	for _, a := range s.state.Addresses {
		if a.NetworkInterfaceID == id {
			a.AssociationID, a.NetworkInterfaceID, a.InterfaceOwnerID, a.PrivateIPAddress, a.InstanceID = "", "", "", "", ""
		}
	}
	delete(s.state.Interfaces, id)
	delete(s.state.Tags, id)
}

func (s *Service) showInterface(i *NetworkInterface) NetworkInterface {
	shown := *i
	shown.Tags = s.tagList(i.NetworkInterfaceID)
	if i.PublicIP != "" {
		shown.Association = &InterfaceAssociation{IPOwnerID: s.world.Account, PublicDNSName: s.publicDNS(i.PublicIP), PublicIP: i.PublicIP}
	}
	return shown
}

// CreateNetworkInterfaceInput is the request of CreateNetworkInterface.
type CreateNetworkInterfaceInput struct {
	Dry
	SubnetID          string `form:"SubnetId"`
	Description       string
	PrivateIPAddress  string   `form:"PrivateIpAddress"`
	Groups            []string `form:"SecurityGroupId"`
	InterfaceType     string
	ClientToken       string
	TagSpecifications []TagSpecification `form:"TagSpecification"`
	// RequesterID and RequesterManaged are set by services that make interfaces for themselves.
	RequesterID      string `form:"-"`
	RequesterManaged bool   `form:"-"`
}

// CreateNetworkInterfaceOutput is the answer of CreateNetworkInterface.
type CreateNetworkInterfaceOutput struct {
	NetworkInterface NetworkInterface `xml:"networkInterface"`
	ClientToken      string           `xml:"clientToken,omitempty"`
}

// CreateNetworkInterface makes an interface.
func (s *Service) CreateNetworkInterface(_ context.Context, _ wire.Caller, in *CreateNetworkInterfaceInput) (*CreateNetworkInterfaceOutput, error) {
	n, err := s.subnet(in.SubnetID)
	if err != nil {
		return nil, err
	}
	for _, id := range in.Groups {
		if s.state.SecurityGroups[id] == nil {
			return nil, noGroup(id)
		}
	}
	tags, err := specified(in.TagSpecifications, "network-interface")
	if err != nil {
		return nil, err
	}
	made := NetworkInterface{
		Description: in.Description, PrivateIPAddress: in.PrivateIPAddress, InterfaceType: in.InterfaceType, RequesterID: in.RequesterID,
		RequesterManaged: in.RequesterManaged, Groups: s.identify(in.Groups),
	}
	if in.RequesterManaged {
		made.Status = "in-use"
		made.Attachment = &InterfaceAttachment{AttachTime: wire.Time{Time: s.world.Now()}, AttachmentID: s.world.ID("ela-attach"), DeviceIndex: 1, InstanceOwnerID: "amazon-aws", Status: "attached"}
	}
	i, err := s.newInterface(n, made)
	if err != nil {
		return nil, err
	}
	s.SetTags(i.NetworkInterfaceID, tags)
	return &CreateNetworkInterfaceOutput{NetworkInterface: s.showInterface(i), ClientToken: in.ClientToken}, nil
}

// InterfaceIDInput names an interface.
type InterfaceIDInput struct {
	Dry
	NetworkInterfaceID string `form:"NetworkInterfaceId"`
}

// DeleteNetworkInterface deletes an interface that is not in use.
func (s *Service) DeleteNetworkInterface(_ context.Context, _ wire.Caller, in *InterfaceIDInput) (*Return, error) {
	i := s.state.Interfaces[in.NetworkInterfaceID]
	if i == nil {
		return nil, noInterface(in.NetworkInterfaceID)
	}
	if i.Status == "in-use" {
		return nil, wire.Errorf("InvalidParameterValue", "Network interface '%s' is currently in use.", i.NetworkInterfaceID)
	}
	s.dropInterface(i.NetworkInterfaceID)
	return done(), nil
}

// ReleaseInterface removes an interface that a service made for itself.
func (s *Service) ReleaseInterface(id string) { s.dropInterface(id) }

// SetInterfaceGroups changes the security groups of an interface.
func (s *Service) SetInterfaceGroups(id string, groups []string) {
	if i := s.state.Interfaces[id]; i != nil {
		i.Groups = s.identify(slices.Clone(groups))
	}
}

// DescribeNetworkInterfacesInput is the request of DescribeNetworkInterfaces.
type DescribeNetworkInterfacesInput struct {
	Query
	NetworkInterfaceIDs []string `form:"NetworkInterfaceId"`
}

// DescribeNetworkInterfacesOutput is the answer of DescribeNetworkInterfaces.
type DescribeNetworkInterfacesOutput struct {
	NetworkInterfaces []NetworkInterface `xml:"networkInterfaceSet>item"`
	NextToken         string             `xml:"nextToken,omitempty"`
}

// DescribeNetworkInterfaces lists interfaces.
func (s *Service) DescribeNetworkInterfaces(_ context.Context, _ wire.Caller, in *DescribeNetworkInterfacesInput) (*DescribeNetworkInterfacesOutput, error) {
	found, next, err := find(s, s.interfaces(), in.NetworkInterfaceIDs, in.Query)
	if err != nil {
		return nil, err
	}
	out := &DescribeNetworkInterfacesOutput{NextToken: next}
	for _, i := range found {
		out.NetworkInterfaces = append(out.NetworkInterfaces, s.showInterface(i))
	}
	return out, nil
}
