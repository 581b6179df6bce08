package autoscaling

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// Balancing is a load balancer or target group that a group's instances are registered with, or are being taken out of. Load balancers
// themselves are not part of this: any name is taken as that of one.
type Balancing struct {
	Since    time.Time
	Removing bool
}

// mostBalancers is how many one request may name (AttachLoadBalancers, AttachLoadBalancerTargetGroups in the API reference).
const mostBalancers = 10

// attach registers the group with what names say. It is additive: what is there stays.
func (s *Service) attach(group string, names []string, list func(*Group) *[]string) (*Nothing, error) {
	g, err := s.balanced(group, names)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if to := list(g); !slices.Contains(*to, name) {
			*to = append(*to, name)
			g.balance(name, Balancing{Since: s.world.Now()})
		}
	}
	return &Nothing{}, nil
}

// detach takes the group out, all or none. The instances stay.
func (s *Service) detach(group, what string, names []string, list func(*Group) *[]string) (*Nothing, error) {
	g, err := s.balanced(group, names)
	if err != nil {
		return nil, err
	}
	from := list(g)
	strange := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(*from, name) })
	if len(strange) > 0 {
		return nil, invalid("Trying to remove %s that are not part of the group: %s", what, strings.Join(strange, ", "))
	}
	for _, name := range names {
		*from = slices.DeleteFunc(*from, func(have string) bool { return have == name })
		g.balance(name, Balancing{Since: s.world.Now(), Removing: true})
	}
	return &Nothing{}, nil
}

func (s *Service) balanced(group string, names []string) (*Group, error) {
	if len(names) > mostBalancers {
		return nil, invalid("You can specify up to %d load balancers or target groups in one request.", mostBalancers)
	}
	return s.group(group)
}

func (g *Group) balance(name string, b Balancing) {
	if g.Balancing == nil {
		g.Balancing = map[string]Balancing{}
	}
	g.Balancing[name] = b
}

// balancings are the states of what is attached and of what is on its way out, in that order.
func (s *Service) balancings(g *Group, attached []string, ours func(name string) bool) []string {
	out := slices.Clone(attached)
	var leaving []string
	for name, b := range g.Balancing {
		if b.Removing && ours(name) && !s.after(b.Since, "autoscaling.register") {
			leaving = append(leaving, name)
		}
	}
	slices.Sort(leaving)
	return append(out, leaving...)
}

func (s *Service) balancingState(g *Group, name string) string {
	b, known := g.Balancing[name]
	switch {
	case known && b.Removing:
		return "Removing"
	case known && !s.after(b.Since, "autoscaling.register"):
		return "Adding"
	}
	return "Added"
}

func classics(g *Group) *[]string     { return &g.LoadBalancers }
func targetGroups(g *Group) *[]string { return &g.TargetGroups }

func isTargetGroup(name string) bool { return strings.HasPrefix(name, "arn:") }
func isClassic(name string) bool     { return !isTargetGroup(name) }

// BalancersInput is the request of AttachLoadBalancers and DetachLoadBalancers.
type BalancersInput struct {
	AutoScalingGroupName string
	LoadBalancerNames    []string
}

// TargetGroupsInput is the request of AttachLoadBalancerTargetGroups and DetachLoadBalancerTargetGroups.
type TargetGroupsInput struct {
	AutoScalingGroupName string
	TargetGroupARNs      []string
}

// AttachLoadBalancers attaches Classic Load Balancers.
func (s *Service) AttachLoadBalancers(_ context.Context, _ wire.Caller, in *BalancersInput) (*Nothing, error) {
	return s.attach(in.AutoScalingGroupName, in.LoadBalancerNames, classics)
}

// DetachLoadBalancers detaches Classic Load Balancers.
func (s *Service) DetachLoadBalancers(_ context.Context, _ wire.Caller, in *BalancersInput) (*Nothing, error) {
	return s.detach(in.AutoScalingGroupName, "Load Balancers", in.LoadBalancerNames, classics)
}

// AttachLoadBalancerTargetGroups attaches target groups.
func (s *Service) AttachLoadBalancerTargetGroups(_ context.Context, _ wire.Caller, in *TargetGroupsInput) (*Nothing, error) {
	return s.attach(in.AutoScalingGroupName, in.TargetGroupARNs, targetGroups)
}

// DetachLoadBalancerTargetGroups detaches target groups.
func (s *Service) DetachLoadBalancerTargetGroups(_ context.Context, _ wire.Caller, in *TargetGroupsInput) (*Nothing, error) {
	return s.detach(in.AutoScalingGroupName, "Target Groups", in.TargetGroupARNs, targetGroups)
}

// DescribeBalancersInput is the request of DescribeLoadBalancers and DescribeLoadBalancerTargetGroups.
type DescribeBalancersInput struct {
	Paging
	AutoScalingGroupName string
}

// BalancerState is a Classic Load Balancer of a group.
type BalancerState struct{ LoadBalancerName, State string }

// DescribeBalancersOutput is the answer of DescribeLoadBalancers.
type DescribeBalancersOutput struct {
	LoadBalancers []BalancerState `xml:"LoadBalancers>member"`
	NextToken     string          `xml:"NextToken,omitempty"`
}

// DescribeLoadBalancers lists the Classic Load Balancers of a group with their states.
func (s *Service) DescribeLoadBalancers(_ context.Context, _ wire.Caller, in *DescribeBalancersInput) (*DescribeBalancersOutput, error) {
	g, err := s.group(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	part, next, err := page(s.balancings(g, g.LoadBalancers, isClassic), wire.Self, in.Paging)
	out := &DescribeBalancersOutput{NextToken: next}
	for _, name := range part {
		out.LoadBalancers = append(out.LoadBalancers, BalancerState{LoadBalancerName: name, State: s.balancingState(g, name)})
	}
	return out, err
}

// TargetGroupState is a target group of a group.
type TargetGroupState struct {
	LoadBalancerTargetGroupARN string
	State                      string
}

// DescribeTargetGroupsOutput is the answer of DescribeLoadBalancerTargetGroups.
type DescribeTargetGroupsOutput struct {
	LoadBalancerTargetGroups []TargetGroupState `xml:"LoadBalancerTargetGroups>member"`
	NextToken                string             `xml:"NextToken,omitempty"`
}

// DescribeLoadBalancerTargetGroups lists the target groups of a group with their states.
func (s *Service) DescribeLoadBalancerTargetGroups(_ context.Context, _ wire.Caller, in *DescribeBalancersInput) (*DescribeTargetGroupsOutput, error) {
	g, err := s.group(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	part, next, err := page(s.balancings(g, g.TargetGroups, isTargetGroup), wire.Self, in.Paging)
	out := &DescribeTargetGroupsOutput{NextToken: next}
	for _, arn := range part {
		out.LoadBalancerTargetGroups = append(out.LoadBalancerTargetGroups, TargetGroupState{LoadBalancerTargetGroupARN: arn, State: s.balancingState(g, arn)})
	}
	return out, err
}
