package ec2

// TemplateData is what a launch template version holds. One struct serves requests (form), answers (xml) and the properties of
// AWS::EC2::LaunchTemplate (cfn).
type TemplateData struct {
	KernelID              string             `form:"KernelId" xml:"kernelId,omitempty" cfn:"KernelId"`
	EbsOptimized          *bool              `xml:"ebsOptimized"`
	IamInstanceProfile    *ProfileRef        `xml:"iamInstanceProfile"`
	BlockDeviceMappings   []BlockDevice      `form:"BlockDeviceMapping" xml:"blockDeviceMappingSet>item,omitempty"`
	NetworkInterfaces     []TemplateNIC      `form:"NetworkInterface" xml:"networkInterfaceSet>item,omitempty"`
	ImageID               string             `form:"ImageId" xml:"imageId,omitempty" cfn:"ImageId"`
	InstanceType          string             `xml:"instanceType,omitempty"`
	KeyName               string             `xml:"keyName,omitempty"`
	Monitoring            *Enabled           `xml:"monitoring"`
	Placement             *TemplatePlacement `xml:"placement"`
	DisableAPITermination *bool              `form:"DisableApiTermination" xml:"disableApiTermination" cfn:"DisableApiTermination"`
	ShutdownBehavior      string             `form:"InstanceInitiatedShutdownBehavior" xml:"instanceInitiatedShutdownBehavior,omitempty" cfn:"InstanceInitiatedShutdownBehavior"`
	UserData              string             `xml:"userData,omitempty"`
	TagSpecifications     []TagSpecification `form:"TagSpecification" xml:"tagSpecificationSet>item,omitempty"`
	SecurityGroupIDs      []string           `form:"SecurityGroupId" xml:"securityGroupIdSet>item,omitempty" cfn:"SecurityGroupIds"`
	SecurityGroups        []string           `form:"SecurityGroup" xml:"securityGroupSet>item,omitempty"`
	MarketOptions         *MarketOptions     `form:"InstanceMarketOptions" xml:"instanceMarketOptions" cfn:"InstanceMarketOptions"`
	CreditSpecification   *CreditSpec        `xml:"creditSpecification"`
	CPUOptions            *CPUOptions        `form:"CpuOptions" xml:"cpuOptions" cfn:"CpuOptions"`
	CapacityReservation   *CapacitySpec      `form:"CapacityReservationSpecification" xml:"capacityReservationSpecification" cfn:"CapacityReservationSpecification"`
	HibernationOptions    *Hibernation       `xml:"hibernationOptions"`
	MetadataOptions       *MetadataOptions   `xml:"metadataOptions"`
	EnclaveOptions        *Enabled           `xml:"enclaveOptions"`
}

// ProfileRef names an instance profile.
type ProfileRef struct {
	Arn  string `xml:"arn,omitempty"`
	Name string `xml:"name,omitempty"`
}

// BlockDevice is a disk of an instance.
type BlockDevice struct {
	DeviceName  string     `xml:"deviceName"`
	VirtualName string     `xml:"virtualName,omitempty"`
	Ebs         *EbsDevice `xml:"ebs"`
	NoDevice    string     `xml:"noDevice,omitempty"`
}

// EbsDevice is an EBS volume to be made.
type EbsDevice struct {
	Encrypted           *bool  `xml:"encrypted"`
	DeleteOnTermination *bool  `xml:"deleteOnTermination"`
	Iops                int    `xml:"iops,omitempty"`
	KmsKeyID            string `form:"KmsKeyId" xml:"kmsKeyId,omitempty" cfn:"KmsKeyId"`
	SnapshotID          string `form:"SnapshotId" xml:"snapshotId,omitempty" cfn:"SnapshotId"`
	VolumeSize          int    `xml:"volumeSize,omitempty"`
	VolumeType          string `xml:"volumeType,omitempty"`
	Throughput          int    `xml:"throughput,omitempty"`
}

// TemplateNIC is a network interface to be made.
type TemplateNIC struct {
	AssociatePublicIP   *bool    `form:"AssociatePublicIpAddress" xml:"associatePublicIpAddress" cfn:"AssociatePublicIpAddress"`
	DeleteOnTermination *bool    `xml:"deleteOnTermination"`
	Description         string   `xml:"description,omitempty"`
	DeviceIndex         int      `xml:"deviceIndex"`
	Groups              []string `form:"SecurityGroupId" xml:"groupSet>groupId,omitempty"`
	InterfaceType       string   `xml:"interfaceType,omitempty"`
	IPv6AddressCount    int      `form:"Ipv6AddressCount" xml:"ipv6AddressCount,omitempty" cfn:"Ipv6AddressCount"`
	NetworkInterfaceID  string   `form:"NetworkInterfaceId" xml:"networkInterfaceId,omitempty" cfn:"NetworkInterfaceId"`
	PrivateIPAddress    string   `form:"PrivateIpAddress" xml:"privateIpAddress,omitempty" cfn:"PrivateIpAddress"`
	SubnetID            string   `form:"SubnetId" xml:"subnetId,omitempty" cfn:"SubnetId"`
	NetworkCardIndex    int      `xml:"networkCardIndex,omitempty"`
}

// Enabled is an option that is on or off.
type Enabled struct {
	Enabled bool `xml:"enabled"`
}

// TemplatePlacement says where instances go.
type TemplatePlacement struct {
	AvailabilityZone string `xml:"availabilityZone,omitempty"`
	Affinity         string `xml:"affinity,omitempty"`
	GroupName        string `xml:"groupName,omitempty"`
	HostID           string `form:"HostId" xml:"hostId,omitempty" cfn:"HostId"`
	Tenancy          string `xml:"tenancy,omitempty"`
	GroupID          string `form:"GroupId" xml:"groupId,omitempty" cfn:"GroupId"`
}

// MarketOptions ask for spot instances.
type MarketOptions struct {
	MarketType  string       `xml:"marketType,omitempty"`
	SpotOptions *SpotOptions `xml:"spotOptions"`
}

// SpotOptions are the terms of a spot request.
type SpotOptions struct {
	MaxPrice                     string `xml:"maxPrice,omitempty"`
	SpotInstanceType             string `xml:"spotInstanceType,omitempty"`
	InstanceInterruptionBehavior string `xml:"instanceInterruptionBehavior,omitempty"`
}

// CreditSpec is how burstable instances use CPU credits.
type CreditSpec struct {
	CPUCredits string `form:"CpuCredits" xml:"cpuCredits" cfn:"CpuCredits"`
}

// CPUOptions limit the CPU.
type CPUOptions struct {
	CoreCount      int `xml:"coreCount,omitempty"`
	ThreadsPerCore int `xml:"threadsPerCore,omitempty"`
}

// CapacitySpec says which capacity reservation to use.
type CapacitySpec struct {
	Preference string          `form:"CapacityReservationPreference" xml:"capacityReservationPreference,omitempty" cfn:"CapacityReservationPreference"`
	Target     *CapacityTarget `form:"CapacityReservationTarget" xml:"capacityReservationTarget" cfn:"CapacityReservationTarget"`
}

// CapacityTarget names a capacity reservation.
type CapacityTarget struct {
	ID       string `form:"CapacityReservationId" xml:"capacityReservationId,omitempty" cfn:"CapacityReservationId"`
	GroupARN string `form:"CapacityReservationResourceGroupArn" xml:"capacityReservationResourceGroupArn,omitempty" cfn:"CapacityReservationResourceGroupArn"`
}

// Hibernation says whether instances may hibernate.
type Hibernation struct {
	Configured bool `xml:"configured"`
}

// MetadataOptions are the options of the metadata service.
type MetadataOptions struct {
	State                   string `form:"-" xml:"state,omitempty" cfn:"-"`
	HTTPTokens              string `form:"HttpTokens" xml:"httpTokens,omitempty" cfn:"HttpTokens"`
	HTTPPutResponseHopLimit int    `form:"HttpPutResponseHopLimit" xml:"httpPutResponseHopLimit,omitempty" cfn:"HttpPutResponseHopLimit"`
	HTTPEndpoint            string `form:"HttpEndpoint" xml:"httpEndpoint,omitempty" cfn:"HttpEndpoint"`
	HTTPProtocolIPv6        string `form:"HttpProtocolIpv6" xml:"httpProtocolIpv6,omitempty" cfn:"HttpProtocolIpv6"`
	InstanceMetadataTags    string `xml:"instanceMetadataTags,omitempty"`
}

// groups are the security groups of the first interface, wherever the template says them.
func (d *TemplateData) groups() []string {
	for _, n := range d.NetworkInterfaces {
		if n.DeviceIndex == 0 && len(n.Groups) > 0 {
			return n.Groups
		}
	}
	return d.SecurityGroupIDs
}

// publicIP is what the template says about a public address; nil leaves it to the subnet.
func (d *TemplateData) publicIP() *bool {
	for _, n := range d.NetworkInterfaces {
		if n.DeviceIndex == 0 {
			return n.AssociatePublicIP
		}
	}
	return nil
}

// over returns d with the fields that o sets in place of its own, as a version made from a source version is.
func (d TemplateData) over(o TemplateData) TemplateData {
	for _, field := range []struct{ into, from *string }{
		{&d.KernelID, &o.KernelID}, {&d.ImageID, &o.ImageID}, {&d.InstanceType, &o.InstanceType}, {&d.KeyName, &o.KeyName},
		{&d.ShutdownBehavior, &o.ShutdownBehavior}, {&d.UserData, &o.UserData},
	} {
		if *field.from != "" {
			*field.into = *field.from
		}
	}
	d.EbsOptimized, d.IamInstanceProfile = first(o.EbsOptimized, d.EbsOptimized), first(o.IamInstanceProfile, d.IamInstanceProfile)
	d.Monitoring, d.Placement = first(o.Monitoring, d.Monitoring), first(o.Placement, d.Placement)
	d.DisableAPITermination, d.MarketOptions = first(o.DisableAPITermination, d.DisableAPITermination), first(o.MarketOptions, d.MarketOptions)
	d.CreditSpecification, d.CPUOptions = first(o.CreditSpecification, d.CreditSpecification), first(o.CPUOptions, d.CPUOptions)
	d.CapacityReservation, d.HibernationOptions = first(o.CapacityReservation, d.CapacityReservation), first(o.HibernationOptions, d.HibernationOptions)
	d.MetadataOptions, d.EnclaveOptions = first(o.MetadataOptions, d.MetadataOptions), first(o.EnclaveOptions, d.EnclaveOptions)
	d.BlockDeviceMappings = firstList(o.BlockDeviceMappings, d.BlockDeviceMappings)
	d.NetworkInterfaces = firstList(o.NetworkInterfaces, d.NetworkInterfaces)
	d.TagSpecifications = firstList(o.TagSpecifications, d.TagSpecifications)
	d.SecurityGroupIDs, d.SecurityGroups = firstList(o.SecurityGroupIDs, d.SecurityGroupIDs), firstList(o.SecurityGroups, d.SecurityGroups)
	return d
}

func first[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

func firstList[T any](a, b []T) []T {
	if len(a) > 0 {
		return a
	}
	return b
}
