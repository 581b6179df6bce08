package ec2

import (
	"context"
	"slices"
	"strconv"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

func (s *Service) computeAPI() map[string]wire.Handler {
	return map[string]wire.Handler{
		"RunInstances":                   handle(s.RunInstances),
		"TerminateInstances":             handle(s.TerminateInstances),
		"DescribeInstances":              handle(s.DescribeInstances),
		"DescribeInstanceStatus":         handle(s.DescribeInstanceStatus),
		"CreateVolume":                   handle(s.CreateVolume),
		"DeleteVolume":                   handle(s.DeleteVolume),
		"DescribeVolumes":                handle(s.DescribeVolumes),
		"DescribeImages":                 handle(s.DescribeImages),
		"ImportKeyPair":                  handle(s.ImportKeyPair),
		"DeleteKeyPair":                  handle(s.DeleteKeyPair),
		"DescribeKeyPairs":               handle(s.DescribeKeyPairs),
		"CreateLaunchTemplate":           handle(s.CreateLaunchTemplate),
		"CreateLaunchTemplateVersion":    handle(s.CreateLaunchTemplateVersion),
		"DeleteLaunchTemplate":           handle(s.DeleteLaunchTemplate),
		"DeleteLaunchTemplateVersions":   handle(s.DeleteLaunchTemplateVersions),
		"ModifyLaunchTemplate":           handle(s.ModifyLaunchTemplate),
		"DescribeLaunchTemplates":        handle(s.DescribeLaunchTemplates),
		"DescribeLaunchTemplateVersions": handle(s.DescribeLaunchTemplateVersions),
		"DescribePlacementGroups":        handle(s.DescribePlacementGroups),
	}
}

// InstanceInfo is an instance as the API shows it.
type InstanceInfo struct {
	AmiLaunchIndex     int                 `xml:"amiLaunchIndex"`
	Architecture       string              `xml:"architecture"`
	BlockDevices       []InstanceDevice    `xml:"blockDeviceMapping>item"`
	ClientToken        string              `xml:"clientToken,omitempty"`
	EbsOptimized       bool                `xml:"ebsOptimized"`
	EnaSupport         bool                `xml:"enaSupport"`
	Hypervisor         string              `xml:"hypervisor"`
	IamInstanceProfile *ProfileInfo        `xml:"iamInstanceProfile"`
	InstanceLifecycle  string              `xml:"instanceLifecycle,omitempty"`
	NetworkInterfaces  []InstanceInterface `xml:"networkInterfaceSet>item"`
	RootDeviceName     string              `xml:"rootDeviceName"`
	RootDeviceType     string              `xml:"rootDeviceType"`
	SecurityGroups     []GroupIdentifier   `xml:"groupSet>item"`
	SourceDestCheck    bool                `xml:"sourceDestCheck"`
	StateReason        *StateReason        `xml:"stateReason"`
	Tags               []Tag               `xml:"tagSet>item"`
	VirtualizationType string              `xml:"virtualizationType"`
	MetadataOptions    MetadataOptions     `xml:"metadataOptions"`
	InstanceID         string              `xml:"instanceId"`
	ImageID            string              `xml:"imageId"`
	State              InstanceState       `xml:"instanceState"`
	PrivateDNSName     string              `xml:"privateDnsName"`
	PublicDNSName      string              `xml:"dnsName"`
	Reason             string              `xml:"reason"`
	KeyName            string              `xml:"keyName,omitempty"`
	InstanceType       string              `xml:"instanceType"`
	LaunchTime         wire.Time           `xml:"launchTime"`
	Placement          InstancePlacement   `xml:"placement"`
	Monitoring         InstanceMonitoring  `xml:"monitoring"`
	SubnetID           string              `xml:"subnetId,omitempty"`
	VpcID              string              `xml:"vpcId,omitempty"`
	PrivateIPAddress   string              `xml:"privateIpAddress,omitempty"`
	PublicIPAddress    string              `xml:"ipAddress,omitempty"`
}

// InstanceState is a state with its code.
type InstanceState struct {
	Code int    `xml:"code"`
	Name string `xml:"name"`
}

// StateReason is why an instance changed its state.
type StateReason struct {
	Code    string `xml:"code"`
	Message string `xml:"message"`
}

// ProfileInfo is an instance profile.
type ProfileInfo struct {
	Arn string `xml:"arn"`
	ID  string `xml:"id"`
}

// InstanceDevice is a volume of an instance.
type InstanceDevice struct {
	DeviceName string      `xml:"deviceName"`
	Ebs        InstanceEbs `xml:"ebs"`
}

// InstanceEbs is an attached volume.
type InstanceEbs struct {
	AttachTime          wire.Time `xml:"attachTime"`
	DeleteOnTermination bool      `xml:"deleteOnTermination"`
	Status              string    `xml:"status"`
	VolumeID            string    `xml:"volumeId"`
}

// InstanceInterface is an interface of an instance.
type InstanceInterface struct {
	Description        string             `xml:"description"`
	Groups             []GroupIdentifier  `xml:"groupSet>item"`
	MacAddress         string             `xml:"macAddress"`
	NetworkInterfaceID string             `xml:"networkInterfaceId"`
	OwnerID            string             `xml:"ownerId"`
	PrivateDNSName     string             `xml:"privateDnsName"`
	PrivateIPAddress   string             `xml:"privateIpAddress"`
	Addresses          []InterfaceAddress `xml:"privateIpAddressesSet>item"`
	SourceDestCheck    bool               `xml:"sourceDestCheck"`
	Status             string             `xml:"status"`
	SubnetID           string             `xml:"subnetId"`
	VpcID              string             `xml:"vpcId"`
	InterfaceType      string             `xml:"interfaceType"`
}

// InstancePlacement is where an instance is.
type InstancePlacement struct {
	AvailabilityZone   string `xml:"availabilityZone"`
	AvailabilityZoneID string `xml:"availabilityZoneId"`
	GroupName          string `xml:"groupName"`
	Tenancy            string `xml:"tenancy"`
}

// InstanceMonitoring is whether detailed monitoring is on.
type InstanceMonitoring struct {
	State string `xml:"state"`
}

func stateOf(name string) InstanceState {
	return InstanceState{Code: map[string]int{pending: 0, running: 16, shuttingDown: 32, terminated: 48}[name], Name: name}
}

func (s *Service) showInstance(i *Instance) InstanceInfo {
	zone, _ := s.zone(i.Zone)
	info := InstanceInfo{
		Architecture: i.Architecture, ClientToken: i.Token, EbsOptimized: i.EbsOptimized, EnaSupport: true, Hypervisor: "xen", RootDeviceName: "/dev/xvda",
		RootDeviceType: "ebs", SourceDestCheck: true, Tags: s.tagList(i.ID), VirtualizationType: "hvm", MetadataOptions: i.Metadata, InstanceID: i.ID,
		ImageID: i.ImageID, State: stateOf(i.State), Reason: i.Reason, KeyName: i.KeyName, InstanceType: i.Type, LaunchTime: wire.Time{Time: i.Launched},
		Placement:  InstancePlacement{AvailabilityZone: i.Zone, AvailabilityZoneID: zone.ID, Tenancy: "default"},
		Monitoring: InstanceMonitoring{State: map[bool]string{true: "enabled", false: "disabled"}[i.Monitoring]},
	}
	if i.Spot {
		info.InstanceLifecycle = "spot"
	}
	if i.ProfileARN != "" {
		info.IamInstanceProfile = &ProfileInfo{Arn: i.ProfileARN, ID: i.ProfileID}
	}
	if i.State == shuttingDown || i.State == terminated {
		info.StateReason = &StateReason{Code: "Client.UserInitiatedShutdown", Message: "Client.UserInitiatedShutdown: User initiated shutdown"}
	}
	if i.State == terminated {
		return info
	}
	info.SubnetID, info.VpcID, info.PrivateIPAddress, info.PublicIPAddress = i.SubnetID, i.VpcID, i.PrivateIP, i.PublicIP
	info.PrivateDNSName = s.privateDNS(i.PrivateIP)
	info.SecurityGroups = s.identify(i.Groups)
	if v := s.state.Vpcs[i.VpcID]; i.PublicIP != "" && v != nil && v.DNSHostnames {
		info.PublicDNSName = s.publicDNS(i.PublicIP)
	}
	for _, v := range i.Volumes {
		if volume := s.state.Volumes[v.VolumeID]; volume != nil {
			info.BlockDevices = append(info.BlockDevices, InstanceDevice{DeviceName: v.Device, Ebs: InstanceEbs{
				AttachTime: wire.Time{Time: i.Launched}, DeleteOnTermination: volume.DeleteOnTermination, Status: "attached", VolumeID: v.VolumeID,
			}})
		}
	}
	if nic := s.state.Interfaces[i.InterfaceID]; nic != nil {
		info.NetworkInterfaces = []InstanceInterface{{
			Description: nic.Description, Groups: nic.Groups, MacAddress: nic.MacAddress, NetworkInterfaceID: nic.NetworkInterfaceID, OwnerID: nic.OwnerID,
			PrivateDNSName: nic.PrivateDNSName, PrivateIPAddress: nic.PrivateIPAddress, Addresses: nic.Addresses, SourceDestCheck: true, Status: nic.Status,
			SubnetID: nic.SubnetID, VpcID: nic.VpcID, InterfaceType: nic.InterfaceType,
		}}
	}
	return info
}

// Running counts the instances that run and have a tag, whatever its value. EKS asks for it whenever time passes.
func (s *Service) Running(tag string) int {
	n := 0
	for id, i := range s.state.Instances {
		if _, tagged := s.state.Tags[id][tag]; tagged && i.Running() {
			n++
		}
	}
	return n
}

func (s *Service) instances() kind[Instance] {
	return kind[Instance]{
		all: s.state.Instances, values: s.instanceValues, idsParameter: "instanceIds",
		missing: func(id string) error {
			return wire.Errorf("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
		},
	}
}

func (s *Service) instanceValues(i *Instance, name string) ([]string, bool) {
	switch name {
	case "instance.group-id", "network-interface.group-id":
		return i.Groups, true
	case "instance-state-code":
		return one(strconv.Itoa(stateOf(i.State).Code)), true
	case "block-device-mapping.volume-id":
		var out []string
		for _, v := range i.Volumes {
			out = append(out, v.VolumeID)
		}
		return out, true
	}
	dns := ""
	if i.PrivateIP != "" {
		dns = s.privateDNS(i.PrivateIP)
	}
	lifecycle := ""
	if i.Spot {
		lifecycle = "spot"
	}
	v, ok := map[string]string{
		"instance-id": i.ID, "instance-state-name": i.State, "instance-type": i.Type, "image-id": i.ImageID, "subnet-id": i.SubnetID, "vpc-id": i.VpcID,
		"availability-zone": i.Zone, "private-dns-name": dns, "private-ip-address": i.PrivateIP, "ip-address": i.PublicIP, "key-name": i.KeyName,
		"architecture": i.Architecture, "reservation-id": i.ReservationID, "owner-id": s.world.Account, "iam-instance-profile.arn": i.ProfileARN,
		"client-token": i.Token, "instance-lifecycle": lifecycle, "network-interface.network-interface-id": i.InterfaceID,
	}[name]
	return one(v), ok
}

// Reservation is a launch of instances.
type Reservation struct {
	ReservationID string            `xml:"reservationId"`
	OwnerID       string            `xml:"ownerId"`
	Groups        []GroupIdentifier `xml:"groupSet>item"`
	Instances     []InstanceInfo    `xml:"instancesSet>item"`
}

// RunInstancesInput is the request of RunInstances.
type RunInstancesInput struct {
	Dry
	TemplateData
	MinCount         int
	MaxCount         int
	SubnetID         string `form:"SubnetId"`
	ClientToken      string
	PrivateIPAddress string       `form:"PrivateIpAddress"`
	LaunchTemplate   *TemplateUse `form:"LaunchTemplate"`
}

// TemplateUse names a version of a launch template.
type TemplateUse struct {
	TemplateRef
	Version string
}

// RunInstances starts instances.
func (s *Service) RunInstances(_ context.Context, _ wire.Caller, in *RunInstancesInput) (*Reservation, error) {
	if in.MinCount < 1 || in.MaxCount < in.MinCount {
		return nil, wire.Errorf("InvalidParameterValue", "Value (%d) for parameter minCount is invalid.", in.MinCount)
	}
	if in.SubnetID == "" && len(in.NetworkInterfaces) == 0 {
		return nil, wire.Errorf("VPCIdNotSpecified", "No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.")
	}
	l := Launch{Data: in.TemplateData, SubnetID: in.SubnetID, Token: in.ClientToken, Reservation: s.world.ID("r")}
	if in.LaunchTemplate != nil {
		t, err := s.Template(in.LaunchTemplate.TemplateRef)
		if err != nil {
			return nil, err
		}
		n, data, err := t.Version(in.LaunchTemplate.Version)
		if err != nil {
			return nil, err
		}
		l.Data, l.TemplateID, l.TemplateVersion = data.over(in.TemplateData), t.ID, strconv.Itoa(n)
	}
	out := &Reservation{ReservationID: l.Reservation, OwnerID: s.world.Account}
	for index := range in.MaxCount {
		i, err := s.Launch(l)
		if err != nil {
			if index >= in.MinCount {
				break
			}
			for _, made := range out.Instances {
				s.End(made.InstanceID, "")
			}
			return nil, err
		}
		info := s.showInstance(i)
		info.AmiLaunchIndex = index
		out.Instances = append(out.Instances, info)
	}
	return out, nil
}

// InstanceIDsInput names instances.
type InstanceIDsInput struct {
	Dry
	InstanceIDs []string `form:"InstanceId"`
}

// StateChange is a change of an instance's state.
type StateChange struct {
	InstanceID    string        `xml:"instanceId"`
	CurrentState  InstanceState `xml:"currentState"`
	PreviousState InstanceState `xml:"previousState"`
}

// TerminateInstancesOutput is the answer of TerminateInstances.
type TerminateInstancesOutput struct {
	Changes []StateChange `xml:"instancesSet>item"`
}

// TerminateInstances ends instances.
func (s *Service) TerminateInstances(_ context.Context, _ wire.Caller, in *InstanceIDsInput) (*TerminateInstancesOutput, error) {
	for _, id := range in.InstanceIDs {
		i := s.state.Instances[id]
		if i == nil {
			return nil, s.instances().missing(id)
		}
		if i.Protected && i.State == running {
			return nil, wire.Errorf("OperationNotPermitted", "The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.", id)
		}
	}
	out := &TerminateInstancesOutput{}
	for _, id := range in.InstanceIDs {
		i := s.state.Instances[id]
		before := stateOf(i.State)
		s.End(id, "")
		out.Changes = append(out.Changes, StateChange{InstanceID: id, CurrentState: stateOf(i.State), PreviousState: before})
	}
	return out, nil
}

// DescribeInstancesInput is the request of DescribeInstances.
type DescribeInstancesInput struct {
	Query
	InstanceIDs []string `form:"InstanceId"`
}

// DescribeInstancesOutput is the answer of DescribeInstances.
type DescribeInstancesOutput struct {
	NextToken    string        `xml:"nextToken,omitempty"`
	Reservations []Reservation `xml:"reservationSet>item"`
}

// DescribeInstances lists instances, ended ones included for an hour.
func (s *Service) DescribeInstances(_ context.Context, _ wire.Caller, in *DescribeInstancesInput) (*DescribeInstancesOutput, error) {
	found, next, err := find(s, s.instances(), in.InstanceIDs, in.Query)
	if err != nil {
		return nil, err
	}
	out := &DescribeInstancesOutput{NextToken: next}
	for _, i := range found {
		at := slices.IndexFunc(out.Reservations, func(r Reservation) bool { return r.ReservationID == i.ReservationID })
		if at < 0 {
			at = len(out.Reservations)
			out.Reservations = append(out.Reservations, Reservation{ReservationID: i.ReservationID, OwnerID: s.world.Account})
		}
		out.Reservations[at].Instances = append(out.Reservations[at].Instances, s.showInstance(i))
	}
	return out, nil
}
