package eks

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// What a self-managed nodegroup's file says of its Auto Scaling group is changed on the group that runs (Auto Scaling API reference:
// UpdateAutoScalingGroup, AttachLoadBalancerTargetGroups, AttachLoadBalancers, EnableMetricsCollection and their counterparts); its nodes,
// which are launched from a template, do not go for it. What the file does not name is left alone.

// distribution is the field that divides a group over instance types and purchase options, and instanceTypes the part of it that nodes
// are launched with: they keep it.
const (
	distribution  = "instancesDistribution"
	instanceTypes = "instanceTypes"
)

// settings are what a file may name of a self-managed group's Auto Scaling group, as it is now and in a file's words.
func (g *group) settings() gitops.Tree {
	return gitops.Tree{
		"maxInstanceLifetime":      int64(aws.ToInt32(g.Scaling.MaxInstanceLifetime)),
		"asgMetricsCollection":     metricsForm(enabled(g.Scaling)),
		"targetGroupARNs":          sortedStrings(g.Scaling.TargetGroupARNs),
		"classicLoadBalancerNames": sortedStrings(g.Scaling.LoadBalancerNames),
		distribution:               liveDistribution(g.Scaling),
	}
}

// compareSettings fills in what the file names of the settings of a self-managed group.
func (c *comparison) compareSettings(want nodegroup, g *group) {
	if g.Scaling == nil {
		keep(c, "maxInstanceLifetime", "asgMetricsCollection", "targetGroupARNs", "classicLoadBalancerNames", distribution)
		return
	}
	ng := want.self
	next := gitops.Tree{
		"maxInstanceLifetime": c.next["maxInstanceLifetime"], "asgMetricsCollection": metricsForm(wantedMetrics(ng.ASGMetricsCollection)),
		"targetGroupARNs": sortedStrings(ng.TargetGroupARNs), "classicLoadBalancerNames": sortedStrings(ng.ClassicLoadBalancerNames),
	}
	live := g.settings()
	for name := range next {
		if _, ok := c.next[name]; ok {
			c.live[name], c.next[name] = live[name], next[name]
		}
	}
	c.compareDistribution(want, g)
}

// compareDistribution compares how a group divides itself. Its nodes keep the types that they were launched with, so that other types are
// another group; their order and all else is a setting.
//
//	types of git          types it was made with     means
//	the same              -                          a setting, where the live ones differ
//	others                -                          another group
//	none, but a selector  -                          compareSelector's
//	none                  recorded                   another group
func (c *comparison) compareDistribution(want nodegroup, g *group) {
	wanted, made := gitops.TreeAt(c.next, distribution), gitops.TreeAt(g.Recorded, distribution)
	types, had := gitops.ListAt(wanted, instanceTypes), gitops.ListAt(made, instanceTypes)
	if len(had) == 0 && len(types) > 0 {
		for _, name := range g.types() {
			had = append(had, name)
		}
	}
	live := liveDistribution(g.Scaling)
	switch {
	case len(types) == 0 && len(had) > 0 && !want.selects():
		c.live[distribution] = made
		c.replaceTypes()
		return
	case wanted == nil:
		return
	case len(types) > 0 && len(had) > 0 && !sameTypes(types, had):
		live[instanceTypes] = had
		c.replaceTypes()
	case g.Scaling.MixedInstancesPolicy == nil && len(had) == 0:
		live = wanted // AWS does not tell, and nothing was recorded
	}
	c.live[distribution] = pick(live, wanted)
}

func (c *comparison) replaceTypes() {
	c.replace = append(c.replace, distribution+"."+instanceTypes+" is immutable on a self-managed nodegroup")
}

func sameTypes(a, b []any) bool {
	return equal(sortedStrings(texts(a)), sortedStrings(texts(b)))
}

// liveDistribution is how a group divides itself, in the file's words.
func liveDistribution(a *astypes.AutoScalingGroup) gitops.Tree {
	out := gitops.Tree{"capacityRebalance": aws.ToBool(a.CapacityRebalance)}
	policy := a.MixedInstancesPolicy
	if policy == nil {
		return out
	}
	if policy.LaunchTemplate != nil {
		types := []any{}
		for _, name := range overrides(a) {
			types = append(types, name)
		}
		out[instanceTypes] = types
	}
	d := policy.InstancesDistribution
	if d == nil {
		return out
	}
	for name, n := range map[string]*int32{
		"onDemandBaseCapacity": d.OnDemandBaseCapacity, "onDemandPercentageAboveBaseCapacity": d.OnDemandPercentageAboveBaseCapacity, "spotInstancePools": d.SpotInstancePools,
	} {
		if n != nil {
			out[name] = int64(*n)
		}
	}
	if d.SpotAllocationStrategy != nil {
		out["spotAllocationStrategy"] = *d.SpotAllocationStrategy
	}
	if price, err := strconv.ParseFloat(aws.ToString(d.SpotMaxPrice), 64); err == nil {
		out["maxPrice"] = price
	}
	return out
}

// tellSettings writes the settings of a group as they are now: those that the file spoke of when it was made, or all that are set, where
// nothing recorded that.
func tellSettings(item gitops.Tree, g *group) {
	if g.Managed || g.Scaling == nil {
		return
	}
	all := g.settings()
	if len(overrides(g.Scaling)) == 0 {
		delete(all, distribution) // it divides nothing
	}
	for name, live := range all {
		made, spoken := item[name]
		delete(item, name)
		if said, isTree := made.(gitops.Tree); isTree {
			live = pick(gitops.TreeAt(all, name), said)
		}
		if (spoken || g.Recorded == nil) && !off(live) {
			item[name] = live
		}
	}
}

// mixedPolicy is the live policy with what git says of it. It is sent whole: Auto Scaling may take a part of it for all of it.
func (g *group) mixedPolicy(want *api.NodeGroupInstancesDistribution, types []string) *astypes.MixedInstancesPolicy {
	id, version := launchTemplateOf(*g)
	template := &astypes.LaunchTemplate{LaunchTemplateSpecification: &astypes.LaunchTemplateSpecification{LaunchTemplateId: &id, Version: &version}}
	out := &astypes.MixedInstancesPolicy{LaunchTemplate: template, InstancesDistribution: &astypes.InstancesDistribution{}}
	var overrides []astypes.LaunchTemplateOverrides
	if live := g.Scaling.MixedInstancesPolicy; live != nil {
		if live.LaunchTemplate != nil {
			overrides = live.LaunchTemplate.Overrides
		}
		if live.InstancesDistribution != nil {
			*out.InstancesDistribution = *live.InstancesDistribution
		}
	}
	template.Overrides = overrides
	if len(types) > 0 {
		template.Overrides = inOrder(overrides, types)
	}
	divide(out.InstancesDistribution, want)
	return out
}

// inOrder are the overrides of some instance types: those that are live as they are.
func inOrder(live []astypes.LaunchTemplateOverrides, types []string) []astypes.LaunchTemplateOverrides {
	out := make([]astypes.LaunchTemplateOverrides, 0, len(types))
	for _, name := range types {
		o := astypes.LaunchTemplateOverrides{InstanceType: &name}
		if i := slices.IndexFunc(live, func(o astypes.LaunchTemplateOverrides) bool { return aws.ToString(o.InstanceType) == name }); i >= 0 {
			o = live[i]
		}
		out = append(out, o)
	}
	return out
}

// divide sets what git names. Pools are only for the lowest price, and are refused with another strategy.
func divide(d *astypes.InstancesDistribution, want *api.NodeGroupInstancesDistribution) {
	for _, n := range []struct {
		from *int
		to   **int32
	}{
		{want.OnDemandBaseCapacity, &d.OnDemandBaseCapacity}, {want.OnDemandPercentageAboveBaseCapacity, &d.OnDemandPercentageAboveBaseCapacity},
		{want.SpotInstancePools, &d.SpotInstancePools},
	} {
		if n.from != nil {
			*n.to = size32(n.from)
		}
	}
	if want.MaxPrice != nil {
		d.SpotMaxPrice = aws.String(strconv.FormatFloat(*want.MaxPrice, 'f', -1, 64))
	}
	if want.SpotAllocationStrategy != nil {
		d.SpotAllocationStrategy = want.SpotAllocationStrategy
	}
	if s := aws.ToString(d.SpotAllocationStrategy); s != "" && s != api.SpotAllocationStrategyLowestPrice {
		d.SpotInstancePools = nil
	}
}

// updateScaling sends what differs of a group's size and settings. Sizes travel together, and only where one differs: an autoscaler may
// have changed them since they were read.
func (c *Cloud) updateScaling(ctx context.Context, want nodegroup, line lineup) error {
	g, diff := line.target, line.diff
	in := &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: g.Scaling.AutoScalingGroupName}
	if diff.differs("minSize", "maxSize", "desiredCapacity") {
		s := diff.scale(g)
		in.MinSize, in.MaxSize, in.DesiredCapacity = size(s.min), size(s.max), size(s.desired)
	}
	if diff.differs("maxInstanceLifetime") {
		in.MaxInstanceLifetime = size32(want.self.MaxInstanceLifetime)
	}
	if diff.differs(distribution) {
		wanted := gitops.TreeAt(diff.next, distribution)
		in.MixedInstancesPolicy = g.mixedPolicy(want.self.InstancesDistribution, texts(gitops.ListAt(wanted, instanceTypes)))
		if rebalance, ok := wanted["capacityRebalance"].(bool); ok {
			in.CapacityRebalance = &rebalance
		}
	}
	_, err := c.aws.asg.UpdateAutoScalingGroup(ctx, in)
	return err
}

// recycles says what Auto Scaling does by itself to nodes that a setting does not suit; empty where it does nothing.
func (c *comparison) recycles() string {
	switch {
	case c.differs(distribution):
		return fmt.Sprintf("Auto Scaling may replace nodes to match %s, without draining them", distribution)
	case c.differs("maxInstanceLifetime"):
		return "Auto Scaling replaces nodes that are older, without draining them"
	}
	return ""
}

// mostBalancers is how many load balancers or target groups one request may name (AttachLoadBalancerTargetGroups in the API reference).
const mostBalancers = 10

// balance attaches what is missing, then detaches what is not wanted, so that traffic always has a way in: one call at a time.
func (c *Cloud) balance(ctx context.Context, g *group, diff comparison) error {
	name := g.Scaling.AutoScalingGroupName
	attach, detach := diff.lacks("targetGroupARNs")
	attachClassic, detachClassic := diff.lacks("classicLoadBalancerNames")
	first := func(names []string) []string { return names[:min(len(names), mostBalancers)] }
	var err error
	switch {
	case len(attach) > 0:
		_, err = c.aws.asg.AttachLoadBalancerTargetGroups(ctx, &autoscaling.AttachLoadBalancerTargetGroupsInput{AutoScalingGroupName: name, TargetGroupARNs: first(attach)})
	case len(attachClassic) > 0:
		_, err = c.aws.asg.AttachLoadBalancers(ctx, &autoscaling.AttachLoadBalancersInput{AutoScalingGroupName: name, LoadBalancerNames: first(attachClassic)})
	case len(detach) > 0:
		_, err = c.aws.asg.DetachLoadBalancerTargetGroups(ctx, &autoscaling.DetachLoadBalancerTargetGroupsInput{AutoScalingGroupName: name, TargetGroupARNs: first(detach)})
	case len(detachClassic) > 0:
		_, err = c.aws.asg.DetachLoadBalancers(ctx, &autoscaling.DetachLoadBalancersInput{AutoScalingGroupName: name, LoadBalancerNames: first(detachClassic)})
	}
	return err
}

// lacks are the items of a list of names that are to come, and those that are to go.
func (c *comparison) lacks(field string) (come, leave []string) {
	live, next := texts(gitops.ListAt(c.live, field)), texts(gitops.ListAt(c.next, field))
	return beyond(next, live), beyond(live, next)
}

// beyond are the names that others lack.
func beyond(names, others []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(others, name) })
}

// perMinute is the only granularity (EnableMetricsCollection in the API reference).
const perMinute = "1Minute"

// allMetrics are those that a collection without names means (EnableMetricsCollection in the API reference).
func allMetrics() []string {
	return []string{
		"GroupMinSize", "GroupMaxSize", "GroupDesiredCapacity", "GroupInServiceInstances", "GroupPendingInstances", "GroupStandbyInstances",
		"GroupTerminatingInstances", "GroupTotalInstances", "GroupInServiceCapacity", "GroupPendingCapacity", "GroupStandbyCapacity",
		"GroupTerminatingCapacity", "GroupTotalCapacity", "WarmPoolDesiredCapacity", "WarmPoolWarmedCapacity", "WarmPoolPendingCapacity",
		"WarmPoolTerminatingCapacity", "WarmPoolTotalCapacity", "GroupAndWarmPoolDesiredCapacity", "GroupAndWarmPoolTotalCapacity",
	}
}

func wantedMetrics(collections []api.MetricsCollection) []string {
	var out []string
	for _, m := range collections {
		if len(m.Metrics) == 0 {
			return allMetrics()
		}
		out = append(out, m.Metrics...)
	}
	return out
}

func enabled(a *astypes.AutoScalingGroup) []string {
	var out []string
	for _, m := range a.EnabledMetrics {
		out = append(out, aws.ToString(m.Metric))
	}
	return out
}

// metricsForm says metrics as a file does: without names where it is all of them.
func metricsForm(names []string) []any {
	switch {
	case len(names) == 0:
		return []any{}
	case len(beyond(allMetrics(), names)) == 0:
		return []any{gitops.Tree{"granularity": perMinute}}
	}
	return []any{gitops.Tree{"granularity": perMinute, "metrics": sortedStrings(names)}}
}

// collect has metrics collected that are missing, then ends the collection of others. It never asks without names, which would mean all.
func (c *Cloud) collect(ctx context.Context, want nodegroup, g *group) error {
	live, next := enabled(g.Scaling), wantedMetrics(want.self.ASGMetricsCollection)
	if missing := beyond(next, live); len(missing) > 0 {
		_, err := c.aws.asg.EnableMetricsCollection(ctx, &autoscaling.EnableMetricsCollectionInput{
			AutoScalingGroupName: g.Scaling.AutoScalingGroupName, Granularity: aws.String(perMinute), Metrics: missing,
		})
		return err
	}
	_, err := c.aws.asg.DisableMetricsCollection(ctx, &autoscaling.DisableMetricsCollectionInput{
		AutoScalingGroupName: g.Scaling.AutoScalingGroupName, Metrics: beyond(live, next),
	})
	return err
}

// compareSelf fills in what differs for self-managed groups: labels and taints are baked in, tags are the scaling group's.
func (c *Config) compareSelf(out *comparison, want nodegroup, g *group) {
	for _, name := range []string{"labels", "taints"} {
		live := g.Recorded[name]
		if _, wanted := out.next[name]; g.Recorded == nil {
			live = row(name).told(subject{c: c, want: want, g: g, next: out.next[name]})
			if _, unknown := live.(untold); unknown && !wanted {
				continue
			}
			live = settle(name, out.next[name], live, out.doubt)
		}
		set(out, name, live)
	}
	if v, ok := out.next["version"].(string); ok {
		out.live["version"] = v
		if made := g.madeFor(); made != "" && compareMinor(made, v) < 0 {
			out.live["version"] = made
			out.replace = append(out.replace, "version is immutable on a self-managed nodegroup")
		}
	}
	if g.Scaling == nil {
		keep(out, "tags")
		return
	}
	compareTags(out, scalingTags(g.Scaling))
}

// overrides are the instance types of a mixed instances policy.
func overrides(a *astypes.AutoScalingGroup) []string {
	if a.MixedInstancesPolicy == nil || a.MixedInstancesPolicy.LaunchTemplate == nil {
		return nil
	}
	var out []string
	for _, o := range a.MixedInstancesPolicy.LaunchTemplate.Overrides {
		if o.InstanceType != nil {
			out = append(out, *o.InstanceType)
		}
	}
	return out
}
