package autoscaling

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/ec2"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// Activity is a step a group took.
type Activity struct {
	ActivityID           string `xml:"ActivityId"`
	AutoScalingGroupName string
	Description          string
	Cause                string
	StartTime            wire.Time
	EndTime              wire.Time
	StatusCode           string
	StatusMessage        string `xml:"StatusMessage,omitempty"`
	Progress             int
	Details              string `xml:"Details,omitempty"`
	AutoScalingGroupARN  string
}

// maxActivities bounds what is kept of a group's past; the real service keeps six weeks.
const maxActivities = 200

func (s *Service) advance() bool {
	changed := false
	for _, name := range slices.Sorted(maps.Keys(s.state.Groups)) {
		if s.advanceGroup(s.state.Groups[name]) {
			changed = true
		}
	}
	return changed
}

func (s *Service) advanceGroup(g *Group) bool {
	changed := s.observe(g)
	if g.Deleting {
		return s.wipe(g) || changed
	}
	if !s.after(g.Changed, "autoscaling.evaluate") {
		return changed
	}
	changed = s.retireUnhealthy(g) || changed
	changed = s.advanceRefresh(g) || changed
	changed = s.advanceRolling(g) || changed
	return s.scale(g) || changed
}

// observe takes over what became of the group's instances.
func (s *Service) observe(g *Group) bool {
	changed := false
	for _, m := range g.Instances() {
		i, ok := s.ec2.Instance(m.InstanceID)
		switch {
		case !ok || i.Gone():
			s.finish(g, m.Activity, "Successful", "")
			delete(g.Members, m.InstanceID)
		case m.State == statePending && i.Running():
			s.arrive(g, m)
		case m.State == statePendingWait && s.hookOver(g, m, launching):
			s.serve(g, m)
		case m.State == stateTerminatingWait && s.hookOver(g, m, terminating):
			s.endInstance(m)
		case !m.leaving() && !i.Running() && m.State != statePending && m.State != statePendingWait:
			// Ended behind the group's back: EC2's status check fails and the group lets go of it.
			m.State, m.Health = stateTerminating, "Unhealthy"
			m.Activity = s.begin(g, "Terminating EC2 instance: "+m.InstanceID, s.cause("an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped."), m)
		default:
			continue
		}
		changed = true
	}
	return changed
}

// arrive brings a running instance into service, past a lifecycle hook if there is one.
func (s *Service) arrive(g *Group, m *Member) {
	if g.hook(launching) != nil {
		m.State, m.Waiting, m.Token = statePendingWait, s.world.Now(), s.world.UUID()
		return
	}
	s.serve(g, m)
}

func (s *Service) serve(g *Group, m *Member) {
	m.State = stateInService
	s.finish(g, m.Activity, "Successful", "")
}

func (s *Service) cause(what string) string {
	return "At " + s.world.Now().UTC().Format(time.RFC3339) + " " + what
}

// begin records an activity in progress and returns its id.
func (s *Service) begin(g *Group, description, cause string, m *Member) string {
	a := Activity{
		ActivityID: s.world.UUID(), AutoScalingGroupName: g.Name, Description: description, Cause: cause, StartTime: wire.Time{Time: s.world.Now()},
		StatusCode: "InProgress", Progress: 50, AutoScalingGroupARN: g.ARN,
	}
	if m != nil {
		a.Details = fmt.Sprintf(`{"Availability Zone":%q}`, m.Zone)
	}
	g.Activities = append([]Activity{a}, g.Activities...)
	g.Activities = g.Activities[:min(len(g.Activities), maxActivities)]
	return a.ActivityID
}

func (s *Service) finish(g *Group, id, status, message string) {
	for i := range g.Activities {
		if a := &g.Activities[i]; a.ActivityID == id && a.StatusCode == "InProgress" {
			a.StatusCode, a.StatusMessage, a.Progress, a.EndTime = status, message, 100, wire.Time{Time: s.world.Now()}
		}
	}
}

// wanted is the size the group works towards: more than desired while a rolling update keeps a minimum in service.
func (g *Group) wanted() int {
	if g.Rolling != nil {
		return g.Desired + g.Rolling.Extra
	}
	return g.Desired
}

// scale launches or ends instances until the group has its wanted size.
func (s *Service) scale(g *Group) bool {
	changed := false
	for g.active() < g.wanted() && !g.suspended("Launch") {
		if g.Trouble != "" && !s.after(g.TroubleSince, "autoscaling.retry") {
			break
		}
		why := s.cause(fmt.Sprintf("an instance was started in response to a difference between desired and actual capacity, increasing the capacity from %d to %d.", g.active(), g.wanted()))
		changed = true
		if !s.launch(g, why) {
			break
		}
	}
	for g.active() > g.wanted() && !g.suspended("Terminate") {
		m := s.victim(g)
		if m == nil {
			break
		}
		s.retire(g, m, s.cause(fmt.Sprintf("an instance was taken out of service in response to a difference between desired and actual capacity, shrinking the capacity from %d to %d.", g.active(), g.wanted())))
		changed = true
	}
	return changed
}

// launch starts one instance and reports whether that worked.
func (s *Service) launch(g *Group, cause string) bool {
	i, m, err := s.tryLaunch(g)
	if err == nil {
		g.Trouble = ""
		g.Members[i.ID] = m
		m.Activity = s.begin(g, "Launching a new EC2 instance: "+i.ID, cause, m)
		return true
	}
	message := err.Error()
	if e, ok := errors.AsType[*wire.Error](err); ok {
		message = e.Message + " Launching EC2 instance failed."
	}
	g.Trouble, g.TroubleSince = message, s.world.Now()
	id := s.begin(g, "Launching a new EC2 instance.  Status Reason: "+message, cause, nil)
	s.finish(g, id, "Failed", message)
	return false
}

func (s *Service) tryLaunch(g *Group) (*ec2.Instance, *Member, error) {
	t, n, data, err := s.resolve(g.spec())
	if err != nil {
		return nil, nil, err
	}
	spot := s.mix(g, &data)
	tags := map[string]string{"aws:autoscaling:groupName": g.Name}
	for _, tag := range g.Tags {
		if tag.PropagateAtLaunch {
			tags[tag.Key] = tag.Value
		}
	}
	i, err := s.ec2.Launch(ec2.Launch{
		Data: data, SubnetID: s.subnet(g), Tags: tags, Spot: spot, TemplateID: t.ID, TemplateVersion: strconv.Itoa(n), Token: s.world.UUID(),
	})
	if err != nil {
		return nil, nil, err
	}
	return i, &Member{
		InstanceID: i.ID, Type: i.Type, Zone: i.Zone, ImageID: i.ImageID, TemplateID: t.ID, TemplateName: t.Name, Version: strconv.Itoa(n),
		State: statePending, Health: "Healthy", Protected: g.ProtectNew, Launched: i.Launched,
	}, nil
}

// mix applies a mixed instances policy to the next launch: its type and whether it is a spot instance.
func (s *Service) mix(g *Group, data *ec2.TemplateData) (spot bool) {
	if g.Mixed == nil {
		return false
	}
	if overrides := g.Mixed.LaunchTemplate.Overrides; len(overrides) > 0 && overrides[0].InstanceType != "" {
		data.InstanceType = overrides[0].InstanceType
	}
	d := g.Mixed.InstancesDistribution
	if d == nil {
		return false
	}
	base, percent := 0, 100
	if d.OnDemandBaseCapacity != nil {
		base = *d.OnDemandBaseCapacity
	}
	if d.OnDemandPercentageAboveBaseCapacity != nil {
		percent = *d.OnDemandPercentageAboveBaseCapacity
	}
	onDemand, above := 0, 0
	for _, m := range g.Members {
		if i, ok := s.ec2.Instance(m.InstanceID); ok && !m.leaving() && !i.Spot {
			onDemand++
		}
	}
	if onDemand < base {
		return false
	}
	above = g.active() - base + 1
	return (onDemand-base)*100 >= above*percent
}

// victim chooses an instance to end as the default termination policy does: in the zone with the most instances, the one of the
// oldest template version, then the oldest one
// (https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-termination-policies.html).
func (s *Service) victim(g *Group) *Member {
	count := map[string]int{}
	for _, m := range g.Members {
		if !m.leaving() {
			count[m.Zone]++
		}
	}
	var best *Member
	for _, m := range g.Instances() {
		if m.leaving() || m.Protected {
			continue
		}
		if best == nil || s.rather(g, m, best, count) {
			best = m
		}
	}
	return best
}

// rather tells whether a should go before b; Instances is in the order of age already.
func (s *Service) rather(g *Group, a, b *Member, count map[string]int) bool {
	if count[a.Zone] != count[b.Zone] {
		return count[a.Zone] > count[b.Zone]
	}
	if slices.Contains(g.TerminationPolicies, "NewestInstance") {
		return a.Launched.After(b.Launched)
	}
	if old, older := s.outdated(g, a), s.outdated(g, b); old != older {
		return old
	}
	return false
}

// retire starts to end an instance, past a lifecycle hook if there is one.
func (s *Service) retire(g *Group, m *Member, cause string) {
	m.Activity = s.begin(g, "Terminating EC2 instance: "+m.InstanceID, cause, m)
	if g.hook(terminating) != nil && !g.Deleting {
		m.State, m.Waiting, m.Token = stateTerminatingWait, s.world.Now(), s.world.UUID()
		return
	}
	s.endInstance(m)
}

func (s *Service) endInstance(m *Member) {
	m.State = stateTerminating
	s.ec2.End(m.InstanceID, "")
}

func (s *Service) retireUnhealthy(g *Group) bool {
	changed := false
	for _, m := range g.Instances() {
		if m.Health == "Unhealthy" && !m.leaving() && !g.suspended("ReplaceUnhealthy") {
			s.retire(g, m, s.cause("an instance was taken out of service in response to a user health-check."))
			changed = true
		}
	}
	return changed
}

// wipe ends everything of a group that is being deleted, and then the group.
func (s *Service) wipe(g *Group) bool {
	changed := false
	for _, m := range g.Instances() {
		if m.State == stateTerminating {
			continue
		}
		s.retire(g, m, s.cause("the group is being deleted."))
		changed = true
	}
	if len(g.Members) == 0 {
		delete(s.state.Groups, g.Name)
		return true
	}
	return changed
}
