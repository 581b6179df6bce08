package autoscaling

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// The transitions that hooks hold up.
const (
	launching   = "autoscaling:EC2_INSTANCE_LAUNCHING"
	terminating = "autoscaling:EC2_INSTANCE_TERMINATING"
)

// Hook holds instances in a transition until somebody lets them go on or its time is over.
type Hook struct {
	LifecycleHookName     string
	AutoScalingGroupName  string
	LifecycleTransition   string
	NotificationTargetARN string `xml:"NotificationTargetARN,omitempty"`
	RoleARN               string `xml:"RoleARN,omitempty"`
	NotificationMetadata  string `xml:"NotificationMetadata,omitempty"`
	HeartbeatTimeout      int
	GlobalTimeout         int
	DefaultResult         string
}

// hook finds the group's hook of a transition.
func (g *Group) hook(transition string) *Hook {
	for _, name := range slices.Sorted(maps.Keys(g.Hooks)) {
		if g.Hooks[name].LifecycleTransition == transition {
			return g.Hooks[name]
		}
	}
	return nil
}

// hookOver tells whether nothing holds an instance any more.
func (s *Service) hookOver(g *Group, m *Member, transition string) bool {
	h := g.hook(transition)
	if h == nil || m.Token == "" {
		return true
	}
	limit := s.world.Scale(time.Duration(h.HeartbeatTimeout) * time.Second)
	return !s.world.Now().Before(m.Waiting.Add(limit))
}

// PutLifecycleHookInput is the request of PutLifecycleHook.
type PutLifecycleHookInput struct {
	HookSpecification
	AutoScalingGroupName string
}

// HookSpecification is a hook without its group.
type HookSpecification struct {
	LifecycleHookName     string
	LifecycleTransition   string
	RoleARN               string
	NotificationTargetARN string
	NotificationMetadata  string
	HeartbeatTimeout      int
	DefaultResult         string
}

// Nothing answers operations without a result.
type Nothing struct{}

const defaultHeartbeat = 3600

// PutLifecycleHook makes a hook or changes it.
func (s *Service) PutLifecycleHook(_ context.Context, _ wire.Caller, in *PutLifecycleHookInput) (*Nothing, error) {
	g, err := s.group(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	h := g.Hooks[in.LifecycleHookName]
	if h == nil {
		if in.LifecycleTransition != launching && in.LifecycleTransition != terminating {
			return nil, invalid("Valid requests must contain LifecycleTransition")
		}
		h = &Hook{LifecycleHookName: in.LifecycleHookName, AutoScalingGroupName: g.Name, HeartbeatTimeout: defaultHeartbeat, DefaultResult: "ABANDON"}
		g.Hooks[in.LifecycleHookName] = h
	}
	for _, field := range []struct {
		to   *string
		from string
	}{
		{&h.LifecycleTransition, in.LifecycleTransition}, {&h.RoleARN, in.RoleARN}, {&h.NotificationTargetARN, in.NotificationTargetARN},
		{&h.NotificationMetadata, in.NotificationMetadata}, {&h.DefaultResult, in.DefaultResult},
	} {
		if field.from != "" {
			*field.to = field.from
		}
	}
	if in.HeartbeatTimeout > 0 {
		h.HeartbeatTimeout = in.HeartbeatTimeout
	}
	h.GlobalTimeout = min(100*h.HeartbeatTimeout, 172800) // the documented rule
	return &Nothing{}, nil
}

// HookInput names a hook.
type HookInput struct {
	LifecycleHookName    string
	AutoScalingGroupName string
}

// DeleteLifecycleHook deletes a hook; what it held goes on.
func (s *Service) DeleteLifecycleHook(_ context.Context, _ wire.Caller, in *HookInput) (*Nothing, error) {
	g, err := s.group(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	if g.Hooks[in.LifecycleHookName] == nil {
		return nil, invalid("No Lifecycle Hook found")
	}
	delete(g.Hooks, in.LifecycleHookName)
	return &Nothing{}, nil
}

// DescribeLifecycleHooksInput is the request of DescribeLifecycleHooks.
type DescribeLifecycleHooksInput struct {
	AutoScalingGroupName string
	LifecycleHookNames   []string
}

// DescribeLifecycleHooksOutput is the answer of DescribeLifecycleHooks.
type DescribeLifecycleHooksOutput struct {
	LifecycleHooks []Hook `xml:"LifecycleHooks>member"`
}

// DescribeLifecycleHooks lists a group's hooks.
func (s *Service) DescribeLifecycleHooks(_ context.Context, _ wire.Caller, in *DescribeLifecycleHooksInput) (*DescribeLifecycleHooksOutput, error) {
	g, err := s.group(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	out := &DescribeLifecycleHooksOutput{}
	for _, name := range slices.Sorted(maps.Keys(g.Hooks)) {
		if len(in.LifecycleHookNames) == 0 || slices.Contains(in.LifecycleHookNames, name) {
			out.LifecycleHooks = append(out.LifecycleHooks, *g.Hooks[name])
		}
	}
	return out, nil
}

// CompleteLifecycleActionInput is the request of CompleteLifecycleAction.
type CompleteLifecycleActionInput struct {
	LifecycleHookName     string
	AutoScalingGroupName  string
	LifecycleActionToken  string
	LifecycleActionResult string
	InstanceID            string `form:"InstanceId"`
}

// CompleteLifecycleAction lets an instance go on (CONTINUE) or, while it launches, gives it up (ABANDON).
func (s *Service) CompleteLifecycleAction(_ context.Context, _ wire.Caller, in *CompleteLifecycleActionInput) (*Nothing, error) {
	g, err := s.group(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	for _, m := range g.Instances() {
		held := m.State == statePendingWait || m.State == stateTerminatingWait
		if !held || (in.InstanceID != "" && in.InstanceID != m.InstanceID) || (in.LifecycleActionToken != "" && in.LifecycleActionToken != m.Token) {
			continue
		}
		if m.State == statePendingWait && in.LifecycleActionResult == "ABANDON" {
			s.finish(g, m.Activity, "Cancelled", "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token "+m.Token+" was abandoned")
			s.retire(g, m, s.cause("a lifecycle action was abandoned."))
			return &Nothing{}, nil
		}
		m.Token = "" // observe carries the instance on
		return &Nothing{}, nil
	}
	return nil, invalid("No active Lifecycle Action found with instance ID %s", in.InstanceID)
}
