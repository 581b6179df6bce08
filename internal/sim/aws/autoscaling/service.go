package autoscaling

import (
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/ec2"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// Service is Auto Scaling of one world. Its methods run under the world's lock.
type Service struct {
	world *world.World
	ec2   *ec2.Service
	state state
}

type state struct {
	Groups map[string]*Group
}

// New makes the service and registers it with the world.
func New(w *world.World, machines *ec2.Service) *Service {
	s := &Service{world: w, ec2: machines, state: state{Groups: map[string]*Group{}}}
	w.Register(world.Part{
		Name:    "autoscaling",
		State:   &s.state,
		Advance: func(time.Time) bool { return s.advance() },
		Durations: map[string]time.Duration{
			"autoscaling.evaluate":  5 * time.Second,  // from a change to the first step
			"autoscaling.retry":     time.Minute,      // after a launch that did not work
			"autoscaling.stabilize": 60 * time.Minute, // how long CloudFormation waits for a group
			"autoscaling.register":  30 * time.Second, // of instances with a load balancer, and out of it
			"autoscaling.pause":     0,                // between batches of a rolling update, beside the policy's PauseTime
		},
	})
	return s
}

func (s *Service) after(t time.Time, name string) bool {
	return !s.world.Now().Before(t.Add(s.world.Duration(name)))
}

// API is the service as the wire sees it.
func (s *Service) API() *wire.Service {
	api := &wire.Service{
		Name: "autoscaling", Protocol: wire.Query, Version: "2011-01-01", Namespace: "http://autoscaling.amazonaws.com/doc/2011-01-01/",
	}
	for name, h := range map[string]wire.Handler{
		"CreateAutoScalingGroup":              wire.Handle(s.CreateAutoScalingGroup),
		"UpdateAutoScalingGroup":              wire.Handle(s.UpdateAutoScalingGroup),
		"DeleteAutoScalingGroup":              wire.Handle(s.DeleteAutoScalingGroup),
		"DescribeAutoScalingGroups":           wire.Handle(s.DescribeAutoScalingGroups),
		"DescribeAutoScalingInstances":        wire.Handle(s.DescribeAutoScalingInstances),
		"DescribeScalingActivities":           wire.Handle(s.DescribeScalingActivities),
		"SetDesiredCapacity":                  wire.Handle(s.SetDesiredCapacity),
		"TerminateInstanceInAutoScalingGroup": wire.Handle(s.TerminateInstanceInAutoScalingGroup),
		"SetInstanceProtection":               wire.Handle(s.SetInstanceProtection),
		"SetInstanceHealth":                   wire.Handle(s.SetInstanceHealth),
		"SuspendProcesses":                    wire.Handle(s.SuspendProcesses),
		"ResumeProcesses":                     wire.Handle(s.ResumeProcesses),
		"AttachLoadBalancers":                 wire.Handle(s.AttachLoadBalancers),
		"DetachLoadBalancers":                 wire.Handle(s.DetachLoadBalancers),
		"DescribeLoadBalancers":               wire.Handle(s.DescribeLoadBalancers),
		"AttachLoadBalancerTargetGroups":      wire.Handle(s.AttachLoadBalancerTargetGroups),
		"DetachLoadBalancerTargetGroups":      wire.Handle(s.DetachLoadBalancerTargetGroups),
		"DescribeLoadBalancerTargetGroups":    wire.Handle(s.DescribeLoadBalancerTargetGroups),
		"EnableMetricsCollection":             wire.Handle(s.EnableMetricsCollection),
		"DisableMetricsCollection":            wire.Handle(s.DisableMetricsCollection),
		"CreateOrUpdateTags":                  wire.Handle(s.CreateOrUpdateTags),
		"DeleteTags":                          wire.Handle(s.DeleteTags),
		"DescribeTags":                        wire.Handle(s.DescribeTags),
		"StartInstanceRefresh":                wire.Handle(s.StartInstanceRefresh),
		"CancelInstanceRefresh":               wire.Handle(s.CancelInstanceRefresh),
		"DescribeInstanceRefreshes":           wire.Handle(s.DescribeInstanceRefreshes),
		"PutLifecycleHook":                    wire.Handle(s.PutLifecycleHook),
		"DeleteLifecycleHook":                 wire.Handle(s.DeleteLifecycleHook),
		"DescribeLifecycleHooks":              wire.Handle(s.DescribeLifecycleHooks),
		"CompleteLifecycleAction":             wire.Handle(s.CompleteLifecycleAction),
	} {
		api.Operation(name, h)
	}
	return api
}

func invalid(format string, args ...any) error {
	return wire.Errorf("ValidationError", format, args...)
}
