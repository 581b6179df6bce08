package autoscaling

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// TagDescription is a tag as the API shows it.
type TagDescription struct {
	ResourceID        string `xml:"ResourceId"`
	ResourceType      string
	Key               string
	Value             string
	PropagateAtLaunch bool
}

func (g *Group) setTag(tag Tag) {
	fresh := GroupTag{Key: tag.Key, Value: tag.Value, PropagateAtLaunch: tag.PropagateAtLaunch != nil && *tag.PropagateAtLaunch}
	if i := slices.IndexFunc(g.Tags, func(t GroupTag) bool { return t.Key == tag.Key }); i >= 0 {
		g.Tags[i] = fresh
		return
	}
	g.Tags = append(g.Tags, fresh)
	slices.SortFunc(g.Tags, func(a, b GroupTag) int { return strings.Compare(a.Key, b.Key) })
}

func (g *Group) dropTag(key string) {
	g.Tags = slices.DeleteFunc(g.Tags, func(t GroupTag) bool { return t.Key == key })
}

func (g *Group) tagDescriptions() []TagDescription {
	out := make([]TagDescription, 0, len(g.Tags))
	for _, t := range g.Tags {
		out = append(out, TagDescription{ResourceID: g.Name, ResourceType: "auto-scaling-group", Key: t.Key, Value: t.Value, PropagateAtLaunch: t.PropagateAtLaunch})
	}
	return out
}

// TagsInput is the request of CreateOrUpdateTags and DeleteTags.
type TagsInput struct {
	Tags []Tag
}

const maxTags = 50

// CreateOrUpdateTags sets tags of groups. Instances that run do not get them.
func (s *Service) CreateOrUpdateTags(_ context.Context, _ wire.Caller, in *TagsInput) (*Nothing, error) {
	for _, tag := range in.Tags {
		g, err := s.taggable(tag)
		if err != nil {
			return nil, err
		}
		if len(g.Tags) >= maxTags && !slices.ContainsFunc(g.Tags, func(t GroupTag) bool { return t.Key == tag.Key }) {
			return nil, wire.Errorf("LimitExceeded", "The number of tags exceeds the limit of %d", maxTags)
		}
	}
	for _, tag := range in.Tags {
		s.state.Groups[tag.ResourceID].setTag(tag)
	}
	return &Nothing{}, nil
}

func (s *Service) taggable(tag Tag) (*Group, error) {
	if tag.ResourceType != "" && tag.ResourceType != "auto-scaling-group" {
		return nil, invalid("Tag resource type '%s' is not supported.", tag.ResourceType)
	}
	if strings.HasPrefix(strings.ToLower(tag.Key), "aws:") {
		return nil, invalid("The tag key prefix 'aws:' is reserved and cannot be used")
	}
	return s.group(tag.ResourceID)
}

// DeleteTags removes tags from groups.
func (s *Service) DeleteTags(_ context.Context, _ wire.Caller, in *TagsInput) (*Nothing, error) {
	for _, tag := range in.Tags {
		if _, err := s.taggable(tag); err != nil {
			return nil, err
		}
	}
	for _, tag := range in.Tags {
		s.state.Groups[tag.ResourceID].dropTag(tag.Key)
	}
	return &Nothing{}, nil
}

// DescribeTagsInput is the request of DescribeTags.
type DescribeTagsInput struct {
	Paging
	Filters []Filter
}

// DescribeTagsOutput is the answer of DescribeTags.
type DescribeTagsOutput struct {
	Tags      []TagDescription `xml:"Tags>member"`
	NextToken string           `xml:"NextToken,omitempty"`
}

// DescribeTags lists tags of all groups.
func (s *Service) DescribeTags(_ context.Context, _ wire.Caller, in *DescribeTagsInput) (*DescribeTagsOutput, error) {
	var found []TagDescription
	for _, name := range slices.Sorted(maps.Keys(s.state.Groups)) {
		for _, t := range s.state.Groups[name].tagDescriptions() {
			pass := true
			for _, f := range in.Filters {
				v, ok := map[string]string{"auto-scaling-group": t.ResourceID, "key": t.Key, "value": t.Value, "propagate-at-launch": map[bool]string{true: "true", false: "false"}[t.PropagateAtLaunch]}[f.Name]
				if !ok {
					return nil, invalid("Filter type %s is not correct. Allowed Filter types are: auto-scaling-group key value propagate-at-launch", f.Name)
				}
				pass = pass && slices.Contains(f.Values, v)
			}
			if pass {
				found = append(found, t)
			}
		}
	}
	part, next, err := page(found, func(t TagDescription) string { return wire.Key(t.ResourceID, t.Key) }, in.Paging)
	return &DescribeTagsOutput{Tags: part, NextToken: next}, err
}

// processes are those that can be suspended.
func processes() []string {
	return []string{
		"AddToLoadBalancer", "AlarmNotification", "AZRebalance", "HealthCheck", "InstanceRefresh", "Launch", "ReplaceUnhealthy", "ScheduledActions", "Terminate",
	}
}

// ProcessesInput is the request of SuspendProcesses and ResumeProcesses; without names it means all.
type ProcessesInput struct {
	AutoScalingGroupName string
	ScalingProcesses     []string
}

func (s *Service) processes(in *ProcessesInput) (*Group, []string, error) {
	g, err := s.group(in.AutoScalingGroupName)
	if err != nil {
		return nil, nil, err
	}
	names := in.ScalingProcesses
	if len(names) == 0 {
		names = processes()
	}
	for _, name := range names {
		if !slices.Contains(processes(), name) {
			return nil, nil, invalid("%s is not a valid process type", name)
		}
	}
	return g, names, nil
}

// SuspendProcesses stops some of what a group does by itself.
func (s *Service) SuspendProcesses(_ context.Context, _ wire.Caller, in *ProcessesInput) (*Nothing, error) {
	g, names, err := s.processes(in)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !g.suspended(name) {
			g.Suspended = append(g.Suspended, name)
		}
	}
	return &Nothing{}, nil
}

// ResumeProcesses lets a group do by itself what was suspended.
func (s *Service) ResumeProcesses(_ context.Context, _ wire.Caller, in *ProcessesInput) (*Nothing, error) {
	g, names, err := s.processes(in)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		g.resume(name)
	}
	return &Nothing{}, nil
}
