package eks

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
)

func (s asgService) AttachLoadBalancerTargetGroups(ctx context.Context, in *autoscaling.AttachLoadBalancerTargetGroupsInput, o ...func(*autoscaling.Options)) (*autoscaling.AttachLoadBalancerTargetGroupsOutput, error) {
	return shown(s.client).AttachLoadBalancerTargetGroups(ctx, in, o...)
}

func (s asgService) AttachLoadBalancers(ctx context.Context, in *autoscaling.AttachLoadBalancersInput, o ...func(*autoscaling.Options)) (*autoscaling.AttachLoadBalancersOutput, error) {
	return shown(s.client).AttachLoadBalancers(ctx, in, o...)
}

func (s asgService) DetachLoadBalancerTargetGroups(ctx context.Context, in *autoscaling.DetachLoadBalancerTargetGroupsInput, o ...func(*autoscaling.Options)) (*autoscaling.DetachLoadBalancerTargetGroupsOutput, error) {
	return shown(s.client).DetachLoadBalancerTargetGroups(ctx, in, o...)
}

func (s asgService) DetachLoadBalancers(ctx context.Context, in *autoscaling.DetachLoadBalancersInput, o ...func(*autoscaling.Options)) (*autoscaling.DetachLoadBalancersOutput, error) {
	return shown(s.client).DetachLoadBalancers(ctx, in, o...)
}

func (s asgService) DisableMetricsCollection(ctx context.Context, in *autoscaling.DisableMetricsCollectionInput, o ...func(*autoscaling.Options)) (*autoscaling.DisableMetricsCollectionOutput, error) {
	return shown(s.client).DisableMetricsCollection(ctx, in, o...)
}

func (s asgService) EnableMetricsCollection(ctx context.Context, in *autoscaling.EnableMetricsCollectionInput, o ...func(*autoscaling.Options)) (*autoscaling.EnableMetricsCollectionOutput, error) {
	return shown(s.client).EnableMetricsCollection(ctx, in, o...)
}
