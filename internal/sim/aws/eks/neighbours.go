package eks

import "errors"

// Neighbours are the other services of the world, as far as EKS looks into them or works through them. All are called under
// the world's lock and answer at once.
type Neighbours struct {
	Network    Network
	Templates  Templates
	Groups     Groups
	Principals Principals
	LogGroups  LogGroups
	Keys       Keys
	Parameters Parameters
	Machines   Machines
	Zones      Zones
}

func (n Neighbours) check() error {
	if n.Network == nil || n.Templates == nil || n.Groups == nil || n.Principals == nil || n.LogGroups == nil || n.Keys == nil || n.Parameters == nil || n.Machines == nil || n.Zones == nil {
		return errors.New("making EKS: a neighbour is missing")
	}
	return nil
}

// Network is EC2's network.
type Network interface {
	// Subnet finds a subnet; false means that there is none of that id.
	Subnet(id string) (Subnet, bool)
	// SecurityGroup finds the VPC of a security group.
	SecurityGroup(id string) (vpc string, ok bool)
	// Attach makes, or changes to what is wanted, the security group and network interfaces of a control plane.
	Attach(want AttachRequest, have Attachment) (Attachment, error)
	// Detach removes them. What something else still uses stays behind, as in life.
	Detach(have Attachment)
}

// Subnet is a subnet as EKS sees it.
type Subnet struct {
	ID, VPC, Zone, ZoneID string
	FreeAddresses         int
	// Public says that a route to an internet gateway leads out of it, MapPublicIP that instances get public addresses.
	Public, MapPublicIP bool
	IPv6                bool
	// VPCCIDRs are the blocks of the subnet's VPC.
	VPCCIDRs []string
}

// AttachRequest is what a control plane needs in a VPC.
type AttachRequest struct {
	Cluster          string
	VPC              string
	SubnetIDs        []string
	SecurityGroupIDs []string // beside the cluster's own
	Tags             map[string]string
}

// Templates are EC2's launch templates.
type Templates interface {
	// Resolve finds a version of a user's template.
	Resolve(spec LaunchTemplateSpecification) (Template, error)
	// Put makes a template of EKS's own from a user's, or a further version of it if own.ID is set.
	Put(own OwnTemplate) (id, version string, err error)
	Delete(id string)
}

// Template is a version of a launch template.
type Template struct {
	ID, Name, Version  string
	ImageID            string
	InstanceType       string
	KeyName            string
	UserData           string // base64
	SecurityGroupIDs   []string
	IAMInstanceProfile string
	SubnetIDs          []string
	Spot, Hibernation  bool
	DiskSize           int
}

// OwnTemplate is a launch template that EKS makes for a node group.
type OwnTemplate struct {
	ID, Name         string // ID is empty for a new one
	From             LaunchTemplateSpecification
	ImageID          string
	InstanceType     string // of the group, when there is just one
	KeyName          string
	UserData         string // base64
	SecurityGroupIDs []string
	NodeRoleARN      string
	DiskSize         int
	Tags             map[string]string // of the instances
}

// Groups are Auto Scaling groups.
type Groups interface {
	// Put makes a group or changes it.
	Put(g Group) error
	// Show tells how a group is; false means that there is none of that name.
	Show(name string) (GroupState, bool)
	// Terminate ends an instance of a group, which then wants one less if shrink is set.
	Terminate(instanceID string, shrink bool) error
	// Delete ends a group and its instances.
	Delete(name string) error
}

// Group is the Auto Scaling group of a managed node group.
type Group struct {
	Name                string
	TemplateID, Version string
	InstanceTypes       []string
	Spot                bool
	Min, Max, Desired   int
	SubnetIDs           []string
	Tags                map[string]string
}

// GroupState is what a group is at this moment.
type GroupState struct {
	Min, Max, Desired int
	Instances         []Instance
	Deleting          bool
	// Trouble is why the last launch failed, if it did.
	Trouble string
}

// Instance is an instance of a group.
type Instance struct {
	ID, Version string // Version is the launch template's
	InService   bool   // launched and healthy; else on its way in or out
	Leaving     bool
}

// Principals are IAM's users and roles.
type Principals interface {
	// Principal finds a user or a role by its ARN.
	Principal(arn string) (Principal, bool)
}

// Principal is a user or a role.
type Principal struct {
	ARN      string // IAM's own spelling
	UniqueID string
	// Trusted are the services that may assume the role, and Actions what they may do.
	Trusted []string
	Actions []string
}

// LogGroups are those of CloudWatch Logs.
type LogGroups interface {
	// Ensure makes a log group unless it exists.
	Ensure(name string) error
}

// Keys are KMS's.
type Keys interface {
	// Key finds a key by ARN: its canonical ARN and its state ("Enabled").
	Key(arn string) (canonical, state string, ok bool)
}

// Parameters are the public parameters of Systems Manager, where AWS publishes its images.
type Parameters interface {
	Parameter(name string) (value string, ok bool)
}

// Machines are EC2's instances and their types.
type Machines interface {
	// Machine finds an instance type that the region offers.
	Machine(name string) (Machine, bool)
	// Running counts the instances that run and are tagged as a cluster's.
	Running(cluster string) int
}

// Machine is an instance type.
type Machine struct {
	Arch    string // "x86_64" or "arm64"
	GPU     bool
	MaxPods int
	Zones   []string // where it is offered
}

// Zones are the availability zones of the region.
type Zones interface {
	// Zones lists them in the order of their names.
	Zones() []Zone
}

// Zone is an availability zone.
type Zone struct{ Name, ID string }
