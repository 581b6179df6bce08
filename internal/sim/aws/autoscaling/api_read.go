package autoscaling

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// Paging is what paged operations have in common.
type Paging struct {
	MaxRecords *int
	NextToken  string
}

const (
	defaultRecords = 50
	maxRecords     = 100
)

// page cuts one page out of items, in the order of their keys.
func page[T any](items []T, key func(item T) string, p Paging) (part []T, next string, err error) {
	size := defaultRecords
	if p.MaxRecords != nil {
		size = min(max(1, *p.MaxRecords), maxRecords)
	}
	part, next, ok := wire.Page(items, key, size, p.NextToken)
	if !ok {
		return nil, "", wire.Errorf("InvalidNextToken", "The token '%s' is invalid.", p.NextToken)
	}
	return part, next, nil
}

// Filter narrows an operation.
type Filter struct {
	Name   string
	Values []string
}

// AutoScalingGroup is a group as the API shows it.
type AutoScalingGroup struct { //nolint:revive // the name of the shape in AWS's model
	AutoScalingGroupName             string
	AutoScalingGroupARN              string
	LaunchTemplate                   *TemplateSpec
	MixedInstancesPolicy             *MixedInstancesPolicy
	MinSize                          int
	MaxSize                          int
	DesiredCapacity                  int
	DefaultCooldown                  int
	AvailabilityZones                []string `xml:"AvailabilityZones>member"`
	LoadBalancerNames                []string `xml:"LoadBalancerNames>member"`
	TargetGroupARNs                  []string `xml:"TargetGroupARNs>member"`
	HealthCheckType                  string
	HealthCheckGracePeriod           int
	Instances                        []Instance `xml:"Instances>member"`
	CreatedTime                      wire.Time
	SuspendedProcesses               []SuspendedProcess `xml:"SuspendedProcesses>member"`
	PlacementGroup                   string             `xml:"PlacementGroup,omitempty"`
	VPCZoneIdentifier                string
	EnabledMetrics                   []EnabledMetric  `xml:"EnabledMetrics>member"`
	Status                           string           `xml:"Status,omitempty"`
	Tags                             []TagDescription `xml:"Tags>member"`
	TerminationPolicies              []string         `xml:"TerminationPolicies>member"`
	NewInstancesProtectedFromScaleIn bool
	ServiceLinkedRoleARN             string
	MaxInstanceLifetime              int `xml:"MaxInstanceLifetime,omitempty"`
	CapacityRebalance                bool
	DefaultInstanceWarmup            *int
}

// Instance is an instance of a group.
type Instance struct {
	InstanceID           string `xml:"InstanceId"`
	InstanceType         string
	AvailabilityZone     string
	LifecycleState       string
	HealthStatus         string
	LaunchTemplate       TemplateSpec
	ImageID              string `xml:"ImageId,omitempty"`
	ProtectedFromScaleIn bool
}

// SuspendedProcess is a process that is suspended.
type SuspendedProcess struct {
	ProcessName      string
	SuspensionReason string
}

// EnabledMetric is a metric that is collected.
type EnabledMetric struct {
	Metric      string
	Granularity string
}

func (m *Member) show() Instance {
	return Instance{
		InstanceID: m.InstanceID, InstanceType: m.Type, AvailabilityZone: m.Zone, LifecycleState: m.State, HealthStatus: m.Health, ImageID: m.ImageID,
		LaunchTemplate: TemplateSpec{ID: m.TemplateID, Name: m.TemplateName, Version: m.Version}, ProtectedFromScaleIn: m.Protected,
	}
}

func (s *Service) show(g *Group) AutoScalingGroup {
	shown := AutoScalingGroup{
		AutoScalingGroupName: g.Name, AutoScalingGroupARN: g.ARN, LaunchTemplate: g.Template, MixedInstancesPolicy: g.Mixed, MinSize: g.Min, MaxSize: g.Max,
		DesiredCapacity: g.Desired, DefaultCooldown: g.Cooldown, AvailabilityZones: s.zones(g), LoadBalancerNames: g.LoadBalancers, TargetGroupARNs: g.TargetGroups,
		HealthCheckType: g.HealthCheckType, HealthCheckGracePeriod: g.HealthCheckGrace, CreatedTime: wire.Time{Time: g.Created}, PlacementGroup: g.PlacementGroup,
		VPCZoneIdentifier: strings.Join(g.Subnets, ","), Tags: g.tagDescriptions(), TerminationPolicies: g.TerminationPolicies,
		NewInstancesProtectedFromScaleIn: g.ProtectNew, ServiceLinkedRoleARN: g.ServiceRole, MaxInstanceLifetime: g.MaxLifetime,
		CapacityRebalance: g.CapacityRebalance, DefaultInstanceWarmup: g.DefaultWarmup,
	}
	if g.Deleting {
		shown.Status = "Delete in progress"
	}
	for _, m := range g.Instances() {
		shown.Instances = append(shown.Instances, m.show())
	}
	for _, name := range g.Suspended {
		shown.SuspendedProcesses = append(shown.SuspendedProcesses, SuspendedProcess{ProcessName: name, SuspensionReason: "User suspended at " + wire.Time{Time: g.Changed}.String()})
	}
	for _, name := range g.Metrics {
		shown.EnabledMetrics = append(shown.EnabledMetrics, EnabledMetric{Metric: name, Granularity: "1Minute"})
	}
	return shown
}

// DescribeAutoScalingGroupsInput is the request of DescribeAutoScalingGroups.
type DescribeAutoScalingGroupsInput struct {
	Paging
	AutoScalingGroupNames []string
	IncludeInstances      *bool
	Filters               []Filter
}

// DescribeAutoScalingGroupsOutput is the answer of DescribeAutoScalingGroups.
type DescribeAutoScalingGroupsOutput struct {
	AutoScalingGroups []AutoScalingGroup `xml:"AutoScalingGroups>member"`
	NextToken         string             `xml:"NextToken,omitempty"`
}

// DescribeAutoScalingGroups lists groups by name; names that do not exist are left out.
func (s *Service) DescribeAutoScalingGroups(_ context.Context, _ wire.Caller, in *DescribeAutoScalingGroupsInput) (*DescribeAutoScalingGroupsOutput, error) {
	var found []*Group
	for _, name := range slices.Sorted(maps.Keys(s.state.Groups)) {
		g := s.state.Groups[name]
		if len(in.AutoScalingGroupNames) > 0 && !slices.Contains(in.AutoScalingGroupNames, name) {
			continue
		}
		pass, err := g.passes(in.Filters)
		if err != nil {
			return nil, err
		}
		if pass {
			found = append(found, g)
		}
	}
	part, next, err := page(found, func(g *Group) string { return g.Name }, in.Paging)
	if err != nil {
		return nil, err
	}
	out := &DescribeAutoScalingGroupsOutput{NextToken: next}
	for _, g := range part {
		shown := s.show(g)
		if in.IncludeInstances != nil && !*in.IncludeInstances {
			shown.Instances = nil
		}
		out.AutoScalingGroups = append(out.AutoScalingGroups, shown)
	}
	return out, nil
}

// passes tells whether a group has the tags that filters ask for.
func (g *Group) passes(filters []Filter) (bool, error) {
	for _, f := range filters {
		var match func(GroupTag) bool
		key, byKey := strings.CutPrefix(f.Name, "tag:")
		switch {
		case f.Name == "tag-key":
			match = func(t GroupTag) bool { return slices.Contains(f.Values, t.Key) }
		case f.Name == "tag-value":
			match = func(t GroupTag) bool { return slices.Contains(f.Values, t.Value) }
		case byKey:
			match = func(t GroupTag) bool { return t.Key == key && slices.Contains(f.Values, t.Value) }
		default:
			return false, invalid("Filter type %s is not correct. Allowed Filter types are: tag-key tag-value tag:<key>", f.Name)
		}
		if !slices.ContainsFunc(g.Tags, match) {
			return false, nil
		}
	}
	return true, nil
}

// DescribeAutoScalingInstancesInput is the request of DescribeAutoScalingInstances.
type DescribeAutoScalingInstancesInput struct {
	Paging
	InstanceIDs []string `form:"InstanceIds"`
}

// InstanceDetails is an instance together with its group.
type InstanceDetails struct {
	Instance
	AutoScalingGroupName string
}

// DescribeAutoScalingInstancesOutput is the answer of DescribeAutoScalingInstances.
type DescribeAutoScalingInstancesOutput struct {
	Instances []InstanceDetails `xml:"AutoScalingInstances>member"`
	NextToken string            `xml:"NextToken,omitempty"`
}

// DescribeAutoScalingInstances lists instances of all groups.
func (s *Service) DescribeAutoScalingInstances(_ context.Context, _ wire.Caller, in *DescribeAutoScalingInstancesInput) (*DescribeAutoScalingInstancesOutput, error) {
	var found []InstanceDetails
	for _, name := range slices.Sorted(maps.Keys(s.state.Groups)) {
		for _, m := range s.state.Groups[name].Instances() {
			if len(in.InstanceIDs) == 0 || slices.Contains(in.InstanceIDs, m.InstanceID) {
				found = append(found, InstanceDetails{Instance: m.show(), AutoScalingGroupName: name})
			}
		}
	}
	part, next, err := page(found, func(i InstanceDetails) string { return i.InstanceID }, in.Paging)
	return &DescribeAutoScalingInstancesOutput{Instances: part, NextToken: next}, err
}

// DescribeScalingActivitiesInput is the request of DescribeScalingActivities.
type DescribeScalingActivitiesInput struct {
	Paging
	ActivityIDs          []string `form:"ActivityIds"`
	AutoScalingGroupName string
	IncludeDeletedGroups bool
}

// DescribeScalingActivitiesOutput is the answer of DescribeScalingActivities.
type DescribeScalingActivitiesOutput struct {
	Activities []Activity `xml:"Activities>member"`
	NextToken  string     `xml:"NextToken,omitempty"`
}

// DescribeScalingActivities lists activities, newest first.
func (s *Service) DescribeScalingActivities(_ context.Context, _ wire.Caller, in *DescribeScalingActivitiesInput) (*DescribeScalingActivitiesOutput, error) {
	var found []Activity
	if in.AutoScalingGroupName != "" {
		g, err := s.group(in.AutoScalingGroupName)
		if err != nil {
			return nil, err
		}
		found = slices.Clone(g.Activities)
	} else {
		for _, g := range s.state.Groups {
			found = append(found, g.Activities...)
		}
	}
	if len(in.ActivityIDs) > 0 {
		found = slices.DeleteFunc(found, func(a Activity) bool { return !slices.Contains(in.ActivityIDs, a.ActivityID) })
	}
	// Milliseconds, since a restart keeps no more of the time that goes over the wire.
	order := func(a Activity) string { return wire.Key(wire.Descending(a.StartTime.UnixMilli()), a.ActivityID) }
	part, next, err := page(found, order, in.Paging)
	return &DescribeScalingActivitiesOutput{Activities: part, NextToken: next}, err
}
