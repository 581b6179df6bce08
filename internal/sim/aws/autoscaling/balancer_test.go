package autoscaling_test

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

const (
	blue  = "arn:aws:elasticloadbalancing:us-west-2:111122223333:targetgroup/blue/0123456789abcdef"
	green = "arn:aws:elasticloadbalancing:us-west-2:111122223333:targetgroup/green/0123456789abcdef"
)

// states are the target groups that DescribeLoadBalancerTargetGroups knows.
func (f *fleet) states() map[string]string {
	f.Helper()
	out := map[string]string{}
	for _, g := range call(f, f.DescribeLoadBalancerTargetGroups, &autoscaling.DescribeLoadBalancerTargetGroupsInput{AutoScalingGroupName: new(groupName)}).LoadBalancerTargetGroups {
		out[*g.LoadBalancerTargetGroupARN] = *g.State
	}
	return out
}

// TestAttachLoadBalancerTargetGroupsIsAdditive: "This operation is additive and does not detach existing target groups"; what is there stays
// once. "The initial State value is Adding. The state transitions to Added after all Auto Scaling instances are registered."
func TestAttachLoadBalancerTargetGroupsIsAdditive(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	in := f.request(1, 2)
	in.TargetGroupARNs = []string{blue}
	call(f, f.CreateAutoScalingGroup, in)
	ids := f.stable(1)
	if got := f.states(); got[blue] != "Added" {
		t.Errorf("a target group of CreateAutoScalingGroup is %v", got)
	}
	for range 2 {
		call(f, f.AttachLoadBalancerTargetGroups, &autoscaling.AttachLoadBalancerTargetGroupsInput{AutoScalingGroupName: new(groupName), TargetGroupARNs: []string{green}})
	}
	if got := f.show().TargetGroupARNs; !slices.Equal(got, []string{blue, green}) {
		t.Errorf("the target groups are %v", got)
	}
	if got := f.states(); got[green] != "Adding" {
		t.Errorf("states are %v", got)
	}
	f.sim.Settle(t, 5*time.Second, 10*time.Minute, func() bool { return f.states()[green] == "Added" })
	if got := f.stable(1); !slices.Equal(got, ids) {
		t.Errorf("the instances are %v, and were %v", got, ids)
	}
	eleven := make([]string, 11)
	refused(f, "ValidationError", "10", f.AttachLoadBalancerTargetGroups, &autoscaling.AttachLoadBalancerTargetGroupsInput{AutoScalingGroupName: new(groupName), TargetGroupARNs: eleven})
}

// TestDetachLoadBalancerTargetGroupsKeepsInstances: "it enters the Removing state while deregistering the instances in the group. When all
// instances are deregistered, then you can no longer describe the target group. The instances remain running."
func TestDetachLoadBalancerTargetGroupsKeepsInstances(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	in := f.request(1, 2)
	in.TargetGroupARNs = []string{blue, green}
	call(f, f.CreateAutoScalingGroup, in)
	ids := f.stable(1)
	detach := &autoscaling.DetachLoadBalancerTargetGroupsInput{AutoScalingGroupName: new(groupName), TargetGroupARNs: []string{blue}}
	call(f, f.DetachLoadBalancerTargetGroups, detach)
	if got, states := f.show().TargetGroupARNs, f.states(); !slices.Equal(got, []string{green}) || states[blue] != "Removing" {
		t.Errorf("the target groups are %v, in states %v", got, states)
	}
	refused(f, "ValidationError", "not part of the group", f.DetachLoadBalancerTargetGroups, detach)
	f.sim.Settle(t, 5*time.Second, 10*time.Minute, func() bool { return f.states()[blue] == "" })
	if got := f.stable(1); !slices.Equal(got, ids) {
		t.Errorf("the instances are %v, and were %v", got, ids)
	}
}

// TestAttachAndDetachLoadBalancers: the same of Classic Load Balancers.
func TestAttachAndDetachLoadBalancers(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	call(f, f.CreateAutoScalingGroup, f.request(1, 2))
	ids := f.stable(1)
	for range 2 {
		call(f, f.AttachLoadBalancers, &autoscaling.AttachLoadBalancersInput{AutoScalingGroupName: new(groupName), LoadBalancerNames: []string{"old", "older"}})
	}
	if got := f.show().LoadBalancerNames; !slices.Equal(got, []string{"old", "older"}) {
		t.Errorf("the load balancers are %v", got)
	}
	f.sim.Clock.Move(5 * time.Minute)
	call(f, f.DetachLoadBalancers, &autoscaling.DetachLoadBalancersInput{AutoScalingGroupName: new(groupName), LoadBalancerNames: []string{"old"}})
	refused(f, "ValidationError", "not part of the group", f.DetachLoadBalancers, &autoscaling.DetachLoadBalancersInput{AutoScalingGroupName: new(groupName), LoadBalancerNames: []string{"old"}})
	states := map[string]string{}
	for _, b := range call(f, f.DescribeLoadBalancers, &autoscaling.DescribeLoadBalancersInput{AutoScalingGroupName: new(groupName)}).LoadBalancers {
		states[*b.LoadBalancerName] = *b.State
	}
	if got := f.show().LoadBalancerNames; !slices.Equal(got, []string{"older"}) || states["old"] != "Removing" || states["older"] != "Added" {
		t.Errorf("the load balancers are %v, in states %v", got, states)
	}
	if got := f.stable(1); !slices.Equal(got, ids) {
		t.Errorf("the instances are %v, and were %v", got, ids)
	}
}

// TestEnableMetricsCollectionWithoutNames: "If you specify Granularity and don't specify any metrics, all metrics are enabled." "The only valid
// value is 1Minute." DisableMetricsCollection: "If you omit this property, all metrics are disabled."
func TestEnableMetricsCollectionWithoutNames(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	call(f, f.CreateAutoScalingGroup, f.request(0, 2))
	enable := &autoscaling.EnableMetricsCollectionInput{AutoScalingGroupName: new(groupName), Granularity: new("1Minute")}
	refused(f, "ValidationError", "Granularity", f.EnableMetricsCollection, &autoscaling.EnableMetricsCollectionInput{AutoScalingGroupName: new(groupName), Granularity: new("5Minutes")})
	enable.Metrics = []string{"Nonsense"}
	refused(f, "ValidationError", "Nonsense", f.EnableMetricsCollection, enable)
	enable.Metrics = nil
	call(f, f.EnableMetricsCollection, enable)
	if got := f.show().EnabledMetrics; len(got) != 20 || !slices.ContainsFunc(got, func(m types.EnabledMetric) bool {
		return *m.Metric == "WarmPoolTotalCapacity" && *m.Granularity == "1Minute"
	}) {
		t.Errorf("the metrics are %v", got)
	}
	call(f, f.DisableMetricsCollection, &autoscaling.DisableMetricsCollectionInput{AutoScalingGroupName: new(groupName), Metrics: []string{"GroupMinSize"}})
	if got := len(f.show().EnabledMetrics); got != 19 {
		t.Errorf("%d metrics", got)
	}
	call(f, f.DisableMetricsCollection, &autoscaling.DisableMetricsCollectionInput{AutoScalingGroupName: new(groupName)})
	if got := f.show().EnabledMetrics; len(got) > 0 {
		t.Errorf("the metrics are %v", got)
	}
}

// TestUpdateAutoScalingGroupKeepsWhatItDoesNotName: "Any properties that you don't specify are not changed by this update request." "To clear a
// previously set value, specify a new value of 0."; "the value must be either 0 or a number equal to or greater than 86,400 seconds".
func TestUpdateAutoScalingGroupKeepsWhatItDoesNotName(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	in := f.request(1, 2)
	in.MixedInstancesPolicy = &types.MixedInstancesPolicy{LaunchTemplate: &types.LaunchTemplate{
		LaunchTemplateSpecification: in.LaunchTemplate, Overrides: []types.LaunchTemplateOverrides{{InstanceType: new("m5.large")}, {InstanceType: new("m5a.large")}},
	}}
	in.LaunchTemplate, in.TargetGroupARNs = nil, []string{blue}
	call(f, f.CreateAutoScalingGroup, in)
	ids := f.stable(1)
	update := func(in autoscaling.UpdateAutoScalingGroupInput) types.AutoScalingGroup {
		t.Helper()
		in.AutoScalingGroupName = new(groupName)
		call(f, f.UpdateAutoScalingGroup, &in)
		return f.show()
	}
	if g := update(autoscaling.UpdateAutoScalingGroupInput{MaxInstanceLifetime: new(int32(86400))}); *g.MaxInstanceLifetime != 86400 || *g.MaxSize != 2 || g.MixedInstancesPolicy == nil || len(g.TargetGroupARNs) != 1 {
		t.Errorf("the group is %+v", g)
	}
	refused(f, "ValidationError", "86400", f.UpdateAutoScalingGroup, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: new(groupName), MaxInstanceLifetime: new(int32(60))})
	if g := update(autoscaling.UpdateAutoScalingGroupInput{MaxInstanceLifetime: new(int32(0))}); g.MaxInstanceLifetime != nil {
		t.Errorf("the lifetime is %d", *g.MaxInstanceLifetime)
	}
	policy := f.show().MixedInstancesPolicy
	policy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateName = nil
	policy.InstancesDistribution = &types.InstancesDistribution{OnDemandBaseCapacity: new(int32(1)), OnDemandPercentageAboveBaseCapacity: new(int32(0)), SpotMaxPrice: new("0.05")}
	g := update(autoscaling.UpdateAutoScalingGroupInput{MixedInstancesPolicy: policy, CapacityRebalance: new(true)})
	if d := g.MixedInstancesPolicy.InstancesDistribution; *d.OnDemandBaseCapacity != 1 || *d.SpotMaxPrice != "0.05" || !*g.CapacityRebalance || len(g.MixedInstancesPolicy.LaunchTemplate.Overrides) != 2 {
		t.Errorf("the group is %+v", g)
	}
	if got := f.stable(1); !slices.Equal(got, ids) {
		t.Errorf("the instances are %v, and were %v", got, ids)
	}
	both := types.LaunchTemplateSpecification{LaunchTemplateId: g.MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateId, LaunchTemplateName: new("nodes"), Version: new("1")}
	refused(f, "ValidationError", "launchTemplateId or LaunchTemplateName", f.UpdateAutoScalingGroup, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: new(groupName), LaunchTemplate: &both})
}
