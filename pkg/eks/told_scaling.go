package eks

import (
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// scalingTellers read the Auto Scaling group of a self-managed nodegroup; that of a managed one is EKS's.
func scalingTellers() map[string]teller {
	out := map[string]teller{}
	for name, read := range map[string]func(*astypes.AutoScalingGroup) any{
		"targetGroupARNs":          func(a *astypes.AutoScalingGroup) any { return treeOf(a.TargetGroupARNs) },
		"classicLoadBalancerNames": func(a *astypes.AutoScalingGroup) any { return treeOf(a.LoadBalancerNames) },
		"maxInstanceLifetime":      func(a *astypes.AutoScalingGroup) any { return treeOf(a.MaxInstanceLifetime) },
		"asgMetricsCollection":     tellMetrics,
		"instancesDistribution":    tellDistribution,
	} {
		out[name] = teller{seen: "autoscaling:DescribeAutoScalingGroups", drifts: true, of: func(s subject) any {
			if s.g.Managed || s.g.Scaling == nil {
				return untold{}
			}
			return read(s.g.Scaling)
		}}
	}
	return out
}

// tellMetrics: Auto Scaling names every metric that is on; a file that names none means all of them.
func tellMetrics(a *astypes.AutoScalingGroup) any {
	if len(a.EnabledMetrics) == 0 {
		return nil
	}
	names := make([]string, 0, len(a.EnabledMetrics))
	for _, m := range a.EnabledMetrics {
		names = append(names, aws.ToString(m.Metric))
	}
	return []any{gitops.Tree{"granularity": aws.ToString(a.EnabledMetrics[0].Granularity), "metrics": sortedStrings(names)}}
}

// tellDistribution reads a mixed instances policy. The types are in their order of preference.
func tellDistribution(a *astypes.AutoScalingGroup) any {
	p := a.MixedInstancesPolicy
	if p == nil || p.LaunchTemplate == nil {
		return nil
	}
	out := gitops.Tree{"instanceTypes": exact{treeOf(overrides(a))}, "capacityRebalance": aws.ToBool(a.CapacityRebalance)}
	d := p.InstancesDistribution
	if d == nil {
		return out
	}
	for name, v := range map[string]any{
		"onDemandBaseCapacity": d.OnDemandBaseCapacity, "onDemandPercentageAboveBaseCapacity": d.OnDemandPercentageAboveBaseCapacity,
		"spotInstancePools": d.SpotInstancePools, "spotAllocationStrategy": d.SpotAllocationStrategy,
	} {
		say(out, name, treeOf(v))
	}
	if price, err := strconv.ParseFloat(aws.ToString(d.SpotMaxPrice), 64); err == nil {
		out["maxPrice"] = price
	}
	return out
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
