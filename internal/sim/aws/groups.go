package aws

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/autoscaling"
	"github.com/eks-gitops/reconciler/internal/sim/aws/eks"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// groups are the Auto Scaling groups of managed node groups, made and changed through Auto Scaling's own operations.
type groups struct{ autoscaling *autoscaling.Service }

// eksCaller is who calls when EKS does something on its own.
func eksCaller() wire.Caller { return wire.Caller{ARN: "eks-nodegroup.amazonaws.com"} }

func (g groups) Put(want eks.Group) error {
	ctx := context.Background() // nothing here waits
	if _, exists := g.autoscaling.Group(want.Name); exists {
		_, err := g.autoscaling.UpdateAutoScalingGroup(ctx, eksCaller(), &autoscaling.UpdateAutoScalingGroupInput{Settings: settings(want), AutoScalingGroupName: want.Name})
		return err
	}
	propagate := true
	in := &autoscaling.CreateAutoScalingGroupInput{Settings: settings(want), AutoScalingGroupName: want.Name}
	for _, key := range slices.Sorted(maps.Keys(want.Tags)) {
		in.Tags = append(in.Tags, autoscaling.Tag{ResourceID: want.Name, ResourceType: "auto-scaling-group", Key: key, Value: want.Tags[key], PropagateAtLaunch: &propagate})
	}
	_, err := g.autoscaling.CreateAutoScalingGroup(ctx, eksCaller(), in)
	return err
}

// settings are what EKS asks of a group: a mixed instances policy over the node group's types, all on demand or all spot.
func settings(want eks.Group) autoscaling.Settings {
	template := autoscaling.TemplateSpec{ID: want.TemplateID, Version: want.Version}
	onDemand, none := 100, 0
	if want.Spot {
		onDemand = 0
	}
	mixed := &autoscaling.MixedInstancesPolicy{
		LaunchTemplate: autoscaling.MixedTemplate{LaunchTemplateSpecification: template},
		InstancesDistribution: &autoscaling.InstancesDistribution{
			OnDemandAllocationStrategy: "prioritized", OnDemandBaseCapacity: &none, OnDemandPercentageAboveBaseCapacity: &onDemand,
			SpotAllocationStrategy: "price-capacity-optimized",
		},
	}
	for _, t := range want.InstanceTypes {
		mixed.LaunchTemplate.Overrides = append(mixed.LaunchTemplate.Overrides, autoscaling.Override{InstanceType: t})
	}
	grace, rebalance := 15, want.Spot
	return autoscaling.Settings{
		MixedInstancesPolicy: mixed, MinSize: &want.Min, MaxSize: &want.Max, DesiredCapacity: &want.Desired, VPCZoneIdentifier: strings.Join(want.SubnetIDs, ","),
		HealthCheckType: "EC2", HealthCheckGracePeriod: &grace, CapacityRebalance: &rebalance,
		TerminationPolicies: []string{"AllocationStrategy", "OldestLaunchTemplate", "OldestInstance"},
	}
}

func (g groups) Show(name string) (eks.GroupState, bool) {
	have, ok := g.autoscaling.Group(name)
	if !ok {
		return eks.GroupState{}, false
	}
	out := eks.GroupState{Min: have.Min, Max: have.Max, Desired: have.Desired, Deleting: have.Deleting, Trouble: have.Trouble}
	for _, m := range have.Instances() {
		out.Instances = append(out.Instances, eks.Instance{
			ID: m.InstanceID, Version: m.Version, InService: m.State == "InService" && m.Health == "Healthy", Leaving: strings.HasPrefix(m.State, "Terminating"),
		})
	}
	return out, true
}

func (g groups) Terminate(instanceID string, shrink bool) error {
	_, err := g.autoscaling.TerminateInstanceInAutoScalingGroup(context.Background(), eksCaller(), &autoscaling.TerminateInstanceInput{
		InstanceID: instanceID, ShouldDecrementDesiredCapacity: shrink,
	})
	return err
}

func (g groups) Delete(name string) error {
	_, err := g.autoscaling.DeleteAutoScalingGroup(context.Background(), eksCaller(), &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: name, ForceDelete: true})
	return err
}
