package autoscaling

import (
	"context"
	"slices"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// Refresh replaces the instances of a group a few at a time.
type Refresh struct {
	ID         string
	Status     string // Pending, InProgress, Successful, Cancelling, Cancelled
	Began      time.Time
	Ended      time.Time
	MinHealthy int // per cent
	Warmup     int // seconds
	SkipMatch  bool
	Desired    *TemplateSpec
	Total      int
	Reason     string
}

// refreshing is the refresh at work, or nil.
func (g *Group) refreshing() *Refresh {
	for _, r := range g.Refreshes {
		if r.Status == "Pending" || r.Status == "InProgress" || r.Status == "Cancelling" {
			return r
		}
	}
	return nil
}

// RefreshPreferences are the terms of a refresh.
type RefreshPreferences struct {
	MinHealthyPercentage *int  `xml:"MinHealthyPercentage"`
	MaxHealthyPercentage *int  `xml:"MaxHealthyPercentage"`
	InstanceWarmup       *int  `xml:"InstanceWarmup"`
	SkipMatching         *bool `xml:"SkipMatching"`
	AutoRollback         *bool `xml:"AutoRollback"`
}

// DesiredConfiguration is what a refresh brings the group to.
type DesiredConfiguration struct {
	LaunchTemplate *TemplateSpec
}

// StartInstanceRefreshInput is the request of StartInstanceRefresh.
type StartInstanceRefreshInput struct {
	AutoScalingGroupName string
	Strategy             string
	DesiredConfiguration *DesiredConfiguration
	Preferences          *RefreshPreferences
}

// RefreshID names a refresh.
type RefreshID struct {
	InstanceRefreshID string `xml:"InstanceRefreshId"`
}

const defaultMinHealthy = 90

// StartInstanceRefresh starts to replace instances.
func (s *Service) StartInstanceRefresh(_ context.Context, _ wire.Caller, in *StartInstanceRefreshInput) (*RefreshID, error) {
	g, err := s.group(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	if g.refreshing() != nil {
		return nil, wire.Errorf("InstanceRefreshInProgress", "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.")
	}
	r := &Refresh{ID: s.world.UUID(), Status: "Pending", Began: s.world.Now(), MinHealthy: defaultMinHealthy}
	if p := in.Preferences; p != nil {
		if p.MinHealthyPercentage != nil {
			r.MinHealthy = *p.MinHealthyPercentage
		}
		if p.InstanceWarmup != nil {
			r.Warmup = *p.InstanceWarmup
		}
		r.SkipMatch = p.SkipMatching != nil && *p.SkipMatching
	}
	if d := in.DesiredConfiguration; d != nil && d.LaunchTemplate != nil {
		if _, _, _, err := s.resolve(*d.LaunchTemplate); err != nil {
			return nil, templateError(err)
		}
		r.Desired = d.LaunchTemplate
	}
	g.Refreshes = append([]*Refresh{r}, g.Refreshes...)
	r.Total = len(s.toRefresh(g, r))
	g.Changed = s.world.Now()
	return &RefreshID{InstanceRefreshID: r.ID}, nil
}

// toRefresh lists the instances that a refresh still has to replace.
func (s *Service) toRefresh(g *Group, r *Refresh) []*Member {
	return slices.DeleteFunc(g.Instances(), func(m *Member) bool {
		return m.leaving() || m.Launched.After(r.Began) || r.SkipMatch && !s.outdated(g, m)
	})
}

// advanceRefresh takes out as many instances as leave enough healthy ones; scale launches the new ones.
func (s *Service) advanceRefresh(g *Group) bool {
	r := g.refreshing()
	if r == nil {
		return false
	}
	left := s.toRefresh(g, r)
	switch {
	case r.Status == "Cancelling":
		r.Status, r.Ended = "Cancelled", s.world.Now()
		return true
	case r.Status == "Pending":
		r.Status = "InProgress"
		return true
	case len(left) == 0 && g.stable() && s.warm(g, r):
		r.Status, r.Ended = "Successful", s.world.Now()
		if r.Desired != nil {
			g.setTemplate(*r.Desired)
		}
		return true
	case len(left) == 0 || !g.stable() || !s.warm(g, r):
		return false
	}
	keep := (g.Desired*r.MinHealthy + 99) / 100
	batch := max(1, g.inService()-keep)
	for _, m := range left[:min(batch, len(left))] {
		s.retire(g, m, s.cause("an instance was taken out of service in response to an instance refresh."))
	}
	return true
}

// warm tells whether the newest instance has been in service long enough.
func (s *Service) warm(g *Group, r *Refresh) bool {
	wait := s.world.Scale(time.Duration(r.Warmup) * time.Second)
	for _, m := range g.Members {
		if m.Launched.After(r.Began) && s.world.Now().Before(m.Launched.Add(wait)) {
			return false
		}
	}
	return true
}

func (g *Group) setTemplate(spec TemplateSpec) {
	if g.Mixed != nil {
		g.Mixed.LaunchTemplate.LaunchTemplateSpecification = spec
		return
	}
	g.Template = &spec
}

// GroupNameInput names a group.
type GroupNameInput struct {
	AutoScalingGroupName string
}

// CancelInstanceRefresh stops a refresh; what it has replaced stays replaced.
func (s *Service) CancelInstanceRefresh(_ context.Context, _ wire.Caller, in *GroupNameInput) (*RefreshID, error) {
	g, err := s.group(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	r := g.refreshing()
	if r == nil {
		return nil, wire.Errorf("ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found for Auto Scaling group %s", g.Name)
	}
	r.Status = "Cancelling"
	return &RefreshID{InstanceRefreshID: r.ID}, nil
}

// DescribeInstanceRefreshesInput is the request of DescribeInstanceRefreshes.
type DescribeInstanceRefreshesInput struct {
	Paging
	AutoScalingGroupName string
	InstanceRefreshIDs   []string `form:"InstanceRefreshIds"`
}

// InstanceRefresh is a refresh as the API shows it.
type InstanceRefresh struct {
	InstanceRefreshID    string `xml:"InstanceRefreshId"`
	AutoScalingGroupName string
	Status               string
	StatusReason         string `xml:"StatusReason,omitempty"`
	StartTime            wire.Time
	EndTime              wire.Time
	PercentageComplete   int
	InstancesToUpdate    int
	Preferences          RefreshPreferences
	DesiredConfiguration *DesiredConfiguration
}

// DescribeInstanceRefreshesOutput is the answer of DescribeInstanceRefreshes.
type DescribeInstanceRefreshesOutput struct {
	InstanceRefreshes []InstanceRefresh `xml:"InstanceRefreshes>member"`
	NextToken         string            `xml:"NextToken,omitempty"`
}

// DescribeInstanceRefreshes lists a group's refreshes, newest first.
func (s *Service) DescribeInstanceRefreshes(_ context.Context, _ wire.Caller, in *DescribeInstanceRefreshesInput) (*DescribeInstanceRefreshesOutput, error) {
	g, err := s.group(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	found := slices.Clone(g.Refreshes)
	if len(in.InstanceRefreshIDs) > 0 {
		found = slices.DeleteFunc(found, func(r *Refresh) bool { return !slices.Contains(in.InstanceRefreshIDs, r.ID) })
	}
	order := func(r *Refresh) string { return wire.Key(wire.Descending(r.Began.UnixNano()), r.ID) }
	part, next, err := page(found, order, in.Paging)
	if err != nil {
		return nil, err
	}
	out := &DescribeInstanceRefreshesOutput{NextToken: next}
	for _, r := range part {
		out.InstanceRefreshes = append(out.InstanceRefreshes, s.showRefresh(g, r))
	}
	return out, nil
}

func (s *Service) showRefresh(g *Group, r *Refresh) InstanceRefresh {
	left := 0
	if r.Ended.IsZero() {
		left = len(s.toRefresh(g, r))
	}
	percent := 100
	if r.Total > 0 {
		percent = 100 * (r.Total - left) / r.Total
	}
	shown := InstanceRefresh{
		InstanceRefreshID: r.ID, AutoScalingGroupName: g.Name, Status: r.Status, StatusReason: r.Reason, StartTime: wire.Time{Time: r.Began},
		EndTime: wire.Time{Time: r.Ended}, PercentageComplete: percent, InstancesToUpdate: left,
		Preferences: RefreshPreferences{MinHealthyPercentage: &r.MinHealthy, InstanceWarmup: &r.Warmup, SkipMatching: &r.SkipMatch},
	}
	if r.Desired != nil {
		shown.DesiredConfiguration = &DesiredConfiguration{LaunchTemplate: r.Desired}
	}
	return shown
}
