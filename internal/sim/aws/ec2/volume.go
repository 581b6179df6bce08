package ec2

import (
	"context"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// Volume is an EBS volume.
type Volume struct {
	Iops                int        `xml:"iops,omitempty"`
	Tags                []Tag      `xml:"tagSet>item" json:"-"`
	VolumeType          string     `xml:"volumeType"`
	Throughput          int        `xml:"throughput,omitempty"`
	VolumeID            string     `xml:"volumeId"`
	Size                int        `xml:"size"`
	SnapshotID          string     `xml:"snapshotId"`
	AvailabilityZone    string     `xml:"availabilityZone"`
	State               string     `xml:"status"`
	CreateTime          wire.Time  `xml:"createTime"`
	Attachments         []Attached `xml:"attachmentSet>item" json:"-"`
	Encrypted           bool       `xml:"encrypted"`
	KmsKeyID            string     `xml:"kmsKeyId,omitempty"`
	InstanceID          string     `xml:"-"`
	Device              string     `xml:"-"`
	DeleteOnTermination bool       `xml:"-"`
}

// Attached is the attachment of a volume.
type Attached struct {
	DeleteOnTermination bool      `xml:"deleteOnTermination"`
	VolumeID            string    `xml:"volumeId"`
	InstanceID          string    `xml:"instanceId"`
	Device              string    `xml:"device"`
	State               string    `xml:"status"`
	AttachTime          wire.Time `xml:"attachTime"`
}

func (s *Service) newVolume(i *Instance, b BlockDevice) *Volume {
	v := &Volume{
		VolumeID: s.world.ID("vol"), AvailabilityZone: i.Zone, State: "in-use", CreateTime: wire.Time{Time: s.world.Now()}, VolumeType: "gp3", Size: 20,
		InstanceID: i.ID, Device: b.DeviceName, DeleteOnTermination: true,
	}
	if e := b.Ebs; e != nil {
		v.Iops, v.Throughput, v.KmsKeyID, v.SnapshotID = e.Iops, e.Throughput, e.KmsKeyID, e.SnapshotID
		if e.VolumeSize > 0 {
			v.Size = e.VolumeSize
		}
		if e.VolumeType != "" {
			v.VolumeType = e.VolumeType
		}
		if e.DeleteOnTermination != nil {
			v.DeleteOnTermination = *e.DeleteOnTermination
		}
		v.Encrypted = e.Encrypted != nil && *e.Encrypted
	}
	s.state.Volumes[v.VolumeID] = v
	return v
}

// CreateVolumeInput is the request of CreateVolume.
type CreateVolumeInput struct {
	Dry
	AvailabilityZone  string
	Size              int
	VolumeType        string
	Encrypted         *bool
	SnapshotID        string `form:"SnapshotId"`
	ClientToken       string
	TagSpecifications []TagSpecification `form:"TagSpecification"`
}

// CreateVolume makes a volume that no instance has. It stays when the one that it is attached to ends.
func (s *Service) CreateVolume(_ context.Context, _ wire.Caller, in *CreateVolumeInput) (*Volume, error) {
	tags, err := specified(in.TagSpecifications, "volume")
	if err != nil {
		return nil, err
	}
	if in.Size == 0 && in.SnapshotID == "" {
		return nil, missingParameter("size/snapshot")
	}
	v := s.newVolume(&Instance{Zone: in.AvailabilityZone}, BlockDevice{Ebs: &EbsDevice{VolumeSize: in.Size, VolumeType: in.VolumeType, SnapshotID: in.SnapshotID, Encrypted: in.Encrypted}})
	v.State, v.DeleteOnTermination = "available", false
	s.SetTags(v.VolumeID, tags)
	shown := *v
	shown.State, shown.Tags = "creating", s.tagList(v.VolumeID)
	return &shown, nil
}

// VolumeIDInput names a volume.
type VolumeIDInput struct {
	Dry
	VolumeID string `form:"VolumeId"`
}

// DeleteVolume deletes a volume that no instance has.
func (s *Service) DeleteVolume(_ context.Context, _ wire.Caller, in *VolumeIDInput) (*Return, error) {
	v := s.state.Volumes[in.VolumeID]
	if v == nil {
		return nil, notFound("InvalidVolume.NotFound", "volume")(in.VolumeID)
	}
	if v.InstanceID != "" {
		return nil, wire.Errorf("VolumeInUse", "Volume %s is currently attached to %s", v.VolumeID, v.InstanceID)
	}
	delete(s.state.Volumes, v.VolumeID)
	delete(s.state.Tags, v.VolumeID)
	return done(), nil
}

// DescribeVolumesInput is the request of DescribeVolumes.
type DescribeVolumesInput struct {
	Query
	VolumeIDs []string `form:"VolumeId"`
}

// DescribeVolumesOutput is the answer of DescribeVolumes.
type DescribeVolumesOutput struct {
	NextToken string   `xml:"nextToken,omitempty"`
	Volumes   []Volume `xml:"volumeSet>item"`
}

// DescribeVolumes lists volumes.
func (s *Service) DescribeVolumes(_ context.Context, _ wire.Caller, in *DescribeVolumesInput) (*DescribeVolumesOutput, error) {
	volumes := kind[Volume]{
		all: s.state.Volumes, missing: notFound("InvalidVolume.NotFound", "volume"), idsParameter: "volumeIds",
		values: func(v *Volume, name string) ([]string, bool) {
			value, ok := map[string]string{
				"volume-id": v.VolumeID, "attachment.instance-id": v.InstanceID, "attachment.device": v.Device, "status": v.State,
				"availability-zone": v.AvailabilityZone, "volume-type": v.VolumeType, "encrypted": yesNo(v.Encrypted)[0],
			}[name]
			return one(value), ok
		},
	}
	found, next, err := find(s, volumes, in.VolumeIDs, in.Query)
	if err != nil {
		return nil, err
	}
	out := &DescribeVolumesOutput{NextToken: next}
	for _, v := range found {
		shown := *v
		shown.Tags = s.tagList(v.VolumeID)
		if v.InstanceID != "" {
			shown.Attachments = []Attached{{
				DeleteOnTermination: v.DeleteOnTermination, VolumeID: v.VolumeID, InstanceID: v.InstanceID, Device: v.Device, State: "attached", AttachTime: v.CreateTime,
			}}
		} else {
			shown.State = "available"
		}
		out.Volumes = append(out.Volumes, shown)
	}
	return out, nil
}

// DescribeInstanceStatusInput is the request of DescribeInstanceStatus.
type DescribeInstanceStatusInput struct {
	Query
	InstanceIDs         []string `form:"InstanceId"`
	IncludeAllInstances bool
}

// InstanceStatus is the health of an instance.
type InstanceStatus struct {
	AvailabilityZone string        `xml:"availabilityZone"`
	InstanceID       string        `xml:"instanceId"`
	State            InstanceState `xml:"instanceState"`
	InstanceHealth   StatusSummary `xml:"instanceStatus"`
	SystemHealth     StatusSummary `xml:"systemStatus"`
}

// StatusSummary is the result of status checks.
type StatusSummary struct {
	Status string `xml:"status"`
}

// DescribeInstanceStatusOutput is the answer of DescribeInstanceStatus.
type DescribeInstanceStatusOutput struct {
	Statuses  []InstanceStatus `xml:"instanceStatusSet>item"`
	NextToken string           `xml:"nextToken,omitempty"`
}

// DescribeInstanceStatus shows the health of running instances, or of all.
func (s *Service) DescribeInstanceStatus(_ context.Context, _ wire.Caller, in *DescribeInstanceStatusInput) (*DescribeInstanceStatusOutput, error) {
	q := in.Query
	if !in.IncludeAllInstances {
		q.Filters = append(q.Filters[:len(q.Filters):len(q.Filters)], Filter{Name: "instance-state-name", Values: []string{running}})
	}
	found, next, err := find(s, s.instances(), in.InstanceIDs, q)
	if err != nil {
		return nil, err
	}
	out := &DescribeInstanceStatusOutput{NextToken: next}
	for _, i := range found {
		health := "ok"
		if i.State != running {
			health = "not-applicable"
		} else if !s.after(i.Launched.Add(s.world.Duration("ec2.instance.launch")), "ec2.instance.boot") {
			health = "initializing"
		}
		out.Statuses = append(out.Statuses, InstanceStatus{
			AvailabilityZone: i.Zone, InstanceID: i.ID, State: stateOf(i.State), InstanceHealth: StatusSummary{Status: health}, SystemHealth: StatusSummary{Status: health},
		})
	}
	return out, nil
}

// PlacementGroup is a placement group.
type PlacementGroup struct {
	GroupID   string `xml:"groupId"`
	GroupName string `xml:"groupName"`
	GroupArn  string `xml:"groupArn"`
	State     string `xml:"state"`
	Strategy  string `xml:"strategy"`
	Tags      []Tag  `xml:"tagSet>item" json:"-"`
}

// DescribePlacementGroupsInput is the request of DescribePlacementGroups.
type DescribePlacementGroupsInput struct {
	Dry
	GroupNames []string `form:"GroupName"`
	GroupIDs   []string `form:"GroupId"`
	Filters    []Filter `form:"Filter"`
}

// DescribePlacementGroupsOutput is the answer of DescribePlacementGroups.
type DescribePlacementGroupsOutput struct {
	Groups []PlacementGroup `xml:"placementGroupSet>item"`
}

// DescribePlacementGroups lists placement groups.
func (s *Service) DescribePlacementGroups(_ context.Context, _ wire.Caller, in *DescribePlacementGroupsInput) (*DescribePlacementGroupsOutput, error) {
	groups := kind[PlacementGroup]{
		all: s.state.PlacementGroups,
		missing: func(id string) error {
			return wire.Errorf("InvalidPlacementGroup.Unknown", "The Placement Group '%s' is unknown.", id)
		},
		values: func(g *PlacementGroup, name string) ([]string, bool) {
			v, ok := map[string]string{"group-name": g.GroupName, "state": g.State, "strategy": g.Strategy, "group-arn": g.GroupArn}[name]
			return one(v), ok
		},
	}
	filters := in.Filters
	if len(in.GroupNames) > 0 {
		filters = append(filters[:len(filters):len(filters)], Filter{Name: "group-name", Values: in.GroupNames})
	}
	found, _, err := find(s, groups, in.GroupIDs, Query{Filters: filters})
	if err != nil {
		return nil, err
	}
	out := &DescribePlacementGroupsOutput{}
	for _, g := range found {
		shown := *g
		shown.Tags = s.tagList(g.GroupID)
		out.Groups = append(out.Groups, shown)
	}
	return out, nil
}
