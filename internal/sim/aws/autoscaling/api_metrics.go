package autoscaling

import (
	"context"
	"maps"
	"slices"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// metrics are those that can be collected (EnableMetricsCollection in the API reference).
func metrics() []string {
	return []string{
		"GroupMinSize", "GroupMaxSize", "GroupDesiredCapacity", "GroupInServiceInstances", "GroupPendingInstances", "GroupStandbyInstances",
		"GroupTerminatingInstances", "GroupTotalInstances", "GroupInServiceCapacity", "GroupPendingCapacity", "GroupStandbyCapacity",
		"GroupTerminatingCapacity", "GroupTotalCapacity", "WarmPoolDesiredCapacity", "WarmPoolWarmedCapacity", "WarmPoolPendingCapacity",
		"WarmPoolTerminatingCapacity", "WarmPoolTotalCapacity", "GroupAndWarmPoolDesiredCapacity", "GroupAndWarmPoolTotalCapacity",
	}
}

// named are the metrics that a request means: without names all.
func named(names []string) ([]string, error) {
	if len(names) == 0 {
		return metrics(), nil
	}
	for _, name := range names {
		if !slices.Contains(metrics(), name) {
			return nil, invalid("%s is not a valid metric type", name)
		}
	}
	return names, nil
}

// MetricsInput is the request of DisableMetricsCollection; without names it means all.
type MetricsInput struct {
	AutoScalingGroupName string
	Metrics              []string
}

// EnableMetricsInput is the request of EnableMetricsCollection.
type EnableMetricsInput struct {
	MetricsInput
	Granularity string
}

// EnableMetricsCollection starts to collect metrics.
func (s *Service) EnableMetricsCollection(_ context.Context, _ wire.Caller, in *EnableMetricsInput) (*Nothing, error) {
	g, err := s.group(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	if in.Granularity != "1Minute" {
		return nil, invalid("Granularity must be 1Minute")
	}
	names, err := named(in.Metrics)
	if err != nil {
		return nil, err
	}
	on := map[string]bool{}
	for _, name := range append(slices.Clone(g.Metrics), names...) {
		on[name] = true
	}
	g.Metrics = slices.Sorted(maps.Keys(on))
	return &Nothing{}, nil
}

// DisableMetricsCollection stops to collect metrics.
func (s *Service) DisableMetricsCollection(_ context.Context, _ wire.Caller, in *MetricsInput) (*Nothing, error) {
	g, err := s.group(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	names, err := named(in.Metrics)
	if err != nil {
		return nil, err
	}
	g.Metrics = slices.DeleteFunc(g.Metrics, func(name string) bool { return slices.Contains(names, name) })
	return &Nothing{}, nil
}
