package ec2

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// Instance is a virtual machine.
type Instance struct {
	ID, ReservationID       string
	Type, ImageID           string
	Architecture            string
	SubnetID, VpcID, Zone   string
	PrivateIP, PublicIP     string
	KeyName                 string
	ProfileARN, ProfileID   string
	Groups                  []string
	UserData                string // base64
	State                   string // pending, running, shutting-down, terminated
	Launched, Ended         time.Time
	Reason                  string
	Spot                    bool
	InterfaceID             string
	Volumes                 []InstanceVolume
	TemplateID, TemplateVer string
	Metadata                MetadataOptions
	Monitoring              bool
	EbsOptimized            bool
	Protected               bool
	Token                   string
}

// InstanceVolume is a volume under its device name.
type InstanceVolume struct {
	Device   string
	VolumeID string
}

const (
	pending      = "pending"
	running      = "running"
	shuttingDown = "shutting-down"
	terminated   = "terminated"
)

// Launch says what instance to start.
type Launch struct {
	Data     TemplateData
	SubnetID string
	Tags     map[string]string
	Spot     bool
	// TemplateID and TemplateVersion tell where Data came from.
	TemplateID      string
	TemplateVersion string
	Token           string
	Reservation     string
}

// subnet is where the instance goes: the template's first interface has the last word.
func (l Launch) subnet() string {
	for _, n := range l.Data.NetworkInterfaces {
		if n.DeviceIndex == 0 && n.SubnetID != "" {
			return n.SubnetID
		}
	}
	return l.SubnetID
}

// Launch starts one instance. It is RunInstances for services such as Auto Scaling.
func (s *Service) Launch(l Launch) (*Instance, error) {
	d := l.Data
	n, err := s.subnet(l.subnet())
	if err != nil {
		return nil, err
	}
	image, m, err := s.checkLaunch(d, n)
	if err != nil {
		return nil, err
	}
	i := &Instance{
		ID: s.world.ID("i"), ReservationID: l.Reservation, Type: m.Name, ImageID: image.ImageID, Architecture: image.Architecture, SubnetID: n.SubnetID,
		VpcID: n.VpcID, Zone: n.AvailabilityZone, KeyName: d.KeyName, Groups: d.groups(), UserData: d.UserData, State: pending, Launched: s.world.Now(),
		Spot: l.Spot, TemplateID: l.TemplateID, TemplateVer: l.TemplateVersion, Token: l.Token,
	}
	if i.ReservationID == "" {
		i.ReservationID = s.world.ID("r")
	}
	s.applyOptions(i, d)
	if i.ProfileARN, i.ProfileID, err = s.profile(d.IamInstanceProfile); err != nil {
		return nil, err
	}
	nic, err := s.newInterface(n, NetworkInterface{Groups: s.identify(i.Groups), Status: "in-use", Attachment: &InterfaceAttachment{
		AttachTime: wire.Time{Time: s.world.Now()}, AttachmentID: s.world.ID("eni-attach"), DeleteOnTermination: true, InstanceID: i.ID,
		InstanceOwnerID: s.world.Account, Status: "attached",
	}})
	if err != nil {
		return nil, err
	}
	i.InterfaceID, i.PrivateIP = nic.NetworkInterfaceID, nic.PrivateIPAddress
	i.Groups = nil
	for _, g := range nic.Groups {
		i.Groups = append(i.Groups, g.GroupID)
	}
	if wanted := d.publicIP(); wanted != nil && *wanted || wanted == nil && n.MapPublicIPOnLaunch {
		nic.PublicIP = s.publicIP()
		i.PublicIP = nic.PublicIP
	}
	s.attachVolumes(i, image, d)
	s.state.Instances[i.ID] = i
	s.tagLaunched(i, l)
	return i, nil
}

func (s *Service) applyOptions(i *Instance, d TemplateData) {
	i.Metadata = MetadataOptions{State: "applied", HTTPTokens: "optional", HTTPPutResponseHopLimit: 1, HTTPEndpoint: "enabled"}
	if d.MetadataOptions != nil {
		if d.MetadataOptions.HTTPTokens != "" {
			i.Metadata.HTTPTokens = d.MetadataOptions.HTTPTokens
		}
		if d.MetadataOptions.HTTPPutResponseHopLimit > 0 {
			i.Metadata.HTTPPutResponseHopLimit = d.MetadataOptions.HTTPPutResponseHopLimit
		}
	}
	if d.MarketOptions != nil && d.MarketOptions.MarketType == "spot" {
		i.Spot = true
	}
	i.Monitoring = d.Monitoring != nil && d.Monitoring.Enabled
	i.EbsOptimized = d.EbsOptimized != nil && *d.EbsOptimized
	i.Protected = d.DisableAPITermination != nil && *d.DisableAPITermination
}

// Shortage says of which instance types EC2 has none left, from now on.
func (s *Service) Shortage(types ...string) {
	s.short = map[string]bool{}
	for _, name := range types {
		s.short[name] = true
	}
}

// insufficientCapacity is how EC2 refuses a launch it has no room for (EC2 user guide, "Insufficient instance capacity").
func insufficientCapacity(name, zone string) error {
	return wire.StatusErrorf(http.StatusInternalServerError, "InsufficientInstanceCapacity", "We currently do not have sufficient %s capacity in the Availability Zone you requested (%s). Our system will be working on provisioning additional capacity.", name, zone)
}

// checkLaunch finds what RunInstances refuses.
func (s *Service) checkLaunch(d TemplateData, n *Subnet) (Image, MachineType, error) {
	image, ok := s.images[d.ImageID]
	if d.ImageID == "" {
		return image, MachineType{}, missingParameter("ImageId")
	}
	if !ok {
		return image, MachineType{}, wire.Errorf("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", d.ImageID)
	}
	m, ok := FindMachineType(d.InstanceType)
	if !ok {
		return image, m, wire.Errorf("InvalidParameterValue", "Invalid value '%s' for InstanceType.", d.InstanceType)
	}
	if !Offered(m.Name, n.AvailabilityZoneID) {
		return image, m, wire.Errorf("Unsupported", "Your requested instance type (%s) is not supported in your requested Availability Zone (%s).", m.Name, n.AvailabilityZone)
	}
	if s.short[m.Name] {
		return image, m, insufficientCapacity(m.Name, n.AvailabilityZone)
	}
	if m.Architecture != image.Architecture {
		return image, m, wire.Errorf("InvalidParameterValue", "The architecture '%s' of the specified instance type does not match the architecture '%s' of the specified AMI.", m.Architecture, image.Architecture)
	}
	if d.KeyName != "" && s.keyPair(d.KeyName) == nil {
		return image, m, wire.Errorf("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", d.KeyName)
	}
	for _, id := range d.groups() {
		g := s.state.SecurityGroups[id]
		if g == nil {
			return image, m, noGroup(id)
		}
		if g.VpcID != n.VpcID {
			return image, m, wire.Errorf("InvalidParameter", "Security group %s and subnet %s belong to different networks.", id, n.SubnetID)
		}
	}
	return image, m, nil
}

// profile finds the instance profile a launch names.
func (s *Service) profile(ref *ProfileRef) (arn, id string, err error) {
	if ref == nil || ref.Arn == "" && ref.Name == "" {
		return "", "", nil
	}
	if s.options.InstanceProfile == nil {
		return ref.Arn, "", nil
	}
	wanted := ref.Arn
	if wanted == "" {
		wanted = ref.Name
	}
	arn, id, ok := s.options.InstanceProfile(wanted)
	if !ok {
		return "", "", wire.Errorf("InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile is invalid. Invalid IAM Instance Profile", wanted)
	}
	return arn, id, nil
}

func (s *Service) attachVolumes(i *Instance, image Image, d TemplateData) {
	devices := slices.Clone(image.BlockDevices)
	for _, over := range d.BlockDeviceMappings {
		at := slices.IndexFunc(devices, func(b BlockDevice) bool { return b.DeviceName == over.DeviceName })
		switch {
		case over.Ebs == nil:
		case at < 0:
			devices = append(devices, over)
		default:
			merged := *devices[at].Ebs
			if over.Ebs.VolumeSize > 0 {
				merged.VolumeSize = over.Ebs.VolumeSize
			}
			if over.Ebs.VolumeType != "" {
				merged.VolumeType = over.Ebs.VolumeType
			}
			merged.Encrypted = first(over.Ebs.Encrypted, merged.Encrypted)
			merged.Iops, merged.Throughput, merged.KmsKeyID = over.Ebs.Iops, over.Ebs.Throughput, over.Ebs.KmsKeyID
			devices[at].Ebs = &merged
		}
	}
	for _, b := range devices {
		v := s.newVolume(i, b)
		i.Volumes = append(i.Volumes, InstanceVolume{Device: b.DeviceName, VolumeID: v.VolumeID})
	}
}

func (s *Service) tagLaunched(i *Instance, l Launch) {
	tags := map[string]map[string]string{"instance": {}, "volume": {}, "network-interface": {}}
	for _, spec := range l.Data.TagSpecifications {
		for _, tag := range spec.Tags {
			if tags[spec.ResourceType] != nil {
				tags[spec.ResourceType][tag.Key] = tag.Value
			}
		}
	}
	maps.Copy(tags["instance"], l.Tags)
	if l.TemplateID != "" {
		tags["instance"]["aws:ec2launchtemplate:id"] = l.TemplateID
		tags["instance"]["aws:ec2launchtemplate:version"] = l.TemplateVersion
	}
	s.SetTags(i.ID, tags["instance"])
	s.SetTags(i.InterfaceID, tags["network-interface"])
	for _, v := range i.Volumes {
		s.SetTags(v.VolumeID, tags["volume"])
	}
}

// Instance finds an instance.
func (s *Service) Instance(id string) (*Instance, bool) {
	i, ok := s.state.Instances[id]
	return i, ok
}

// Running tells whether an instance has started and is not ending.
func (i *Instance) Running() bool { return i.State == running }

// Gone tells whether an instance has ended.
func (i *Instance) Gone() bool { return i.State == terminated }

// End starts the termination of an instance. Ending one that ends already is no error.
func (s *Service) End(id, reason string) {
	i := s.state.Instances[id]
	if i == nil || i.State == shuttingDown || i.State == terminated {
		return
	}
	i.State, i.Ended, i.Reason = shuttingDown, s.world.Now(), reason
}

// advanceInstances moves instances on and tells Machines. What is told is not state: after a restart it is told again.
func (s *Service) advanceInstances(time.Time) bool {
	changed := false
	for _, id := range slices.Sorted(maps.Keys(s.state.Instances)) {
		i := s.state.Instances[id]
		switch {
		case i.State == pending && s.after(i.Launched, "ec2.instance.launch"):
			i.State = running
			changed = true
		case i.State == shuttingDown && s.after(i.Ended, "ec2.instance.terminate"):
			s.terminate(i)
			changed = true
		case i.State == terminated && s.after(i.Ended, "ec2.terminated.visibility"):
			delete(s.state.Instances, id)
			delete(s.state.Tags, id)
			changed = true
		}
		s.tellMachines(i)
	}
	return changed
}

func (s *Service) tellMachines(i *Instance) {
	if s.options.Machines == nil {
		return
	}
	booted := s.after(i.Launched.Add(s.world.Duration("ec2.instance.launch")), "ec2.instance.boot")
	switch {
	case (i.State == running || i.State == shuttingDown) && booted && !s.booted[i.ID]:
		s.booted[i.ID] = true
		s.options.Machines.Started(s.Machine(i))
	case i.State == terminated && s.booted[i.ID]:
		delete(s.booted, i.ID)
		s.options.Machines.Terminated(s.Machine(i))
	}
}

func (s *Service) terminate(i *Instance) {
	i.State = terminated
	s.dropInterface(i.InterfaceID)
	i.PrivateIP, i.PublicIP = "", ""
	for _, v := range i.Volumes {
		volume := s.state.Volumes[v.VolumeID]
		if volume == nil {
			continue
		}
		if volume.DeleteOnTermination {
			delete(s.state.Volumes, v.VolumeID)
			delete(s.state.Tags, v.VolumeID)
			continue
		}
		volume.InstanceID, volume.Device = "", ""
	}
	if i.Reason == "" {
		i.Reason = "User initiated (" + strings.Replace(wire.Time{Time: i.Ended}.String(), "T", " ", 1) + ")"
	}
}
