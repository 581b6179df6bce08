package autoscaling

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation/template"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// Providers are the AWS::AutoScaling types of CloudFormation.
func Providers(s *Service) []cloudformation.ResourceType {
	return []cloudformation.ResourceType{
		{
			Name: "AWS::AutoScaling::AutoScalingGroup", Provider: groupProvider{s}, Tagged: true, NameProperty: "AutoScalingGroupName",
			Properties: []string{
				"AutoScalingGroupName", "AvailabilityZones", "CapacityRebalance", "Cooldown", "DefaultInstanceWarmup", "DesiredCapacity", "HealthCheckGracePeriod",
				"HealthCheckType", "LaunchTemplate", "LifecycleHookSpecificationList", "LoadBalancerNames", "MaxInstanceLifetime", "MaxSize", "MetricsCollection",
				"MinSize", "MixedInstancesPolicy", "NewInstancesProtectedFromScaleIn", "PlacementGroup", "ServiceLinkedRoleARN", "Tags", "TargetGroupARNs",
				"TerminationPolicies", "VPCZoneIdentifier",
			},
			Required: []string{"MinSize", "MaxSize"},
			// InstanceId is create-only too, but groups made after an instance are not supported. The conditional properties of the
			// schema replace a group only under AutoScalingReplacingUpdate, which is not supported either.
			CreateOnly: []string{"AutoScalingGroupName", "InstanceId"},
			Attributes: []string{"AutoScalingGroupARN"},
		},
		{
			Name: "AWS::AutoScaling::LifecycleHook", Provider: hookProvider{s}, NameProperty: "LifecycleHookName",
			Properties: []string{
				"AutoScalingGroupName", "DefaultResult", "HeartbeatTimeout", "LifecycleHookName", "LifecycleTransition", "NotificationMetadata",
				"NotificationTargetARN", "RoleARN",
			},
			Required: []string{"AutoScalingGroupName", "LifecycleTransition"}, CreateOnly: []string{"AutoScalingGroupName", "LifecycleHookName"},
		},
	}
}

type groupProvider struct{ service *Service }

type groupProperties struct {
	AutoScalingGroupName             string
	LaunchTemplate                   *TemplateSpec
	MixedInstancesPolicy             *MixedInstancesPolicy
	MinSize                          *int
	MaxSize                          *int
	DesiredCapacity                  *int
	Cooldown                         *int
	AvailabilityZones                []string
	HealthCheckType                  string
	HealthCheckGracePeriod           *int
	PlacementGroup                   string
	VPCZoneIdentifier                []string
	TerminationPolicies              []string
	NewInstancesProtectedFromScaleIn *bool
	ServiceLinkedRoleARN             string
	MaxInstanceLifetime              *int
	CapacityRebalance                *bool
	DefaultInstanceWarmup            *int
	LoadBalancerNames                []string
	TargetGroupARNs                  []string
	LifecycleHookSpecificationList   []HookSpecification
	MetricsCollection                []struct {
		Granularity string
		Metrics     []string
	}
	Tags []GroupTag
}

func (p groupProperties) settings() Settings {
	return Settings{
		LaunchTemplate: p.LaunchTemplate, MixedInstancesPolicy: p.MixedInstancesPolicy, MinSize: p.MinSize, MaxSize: p.MaxSize, DesiredCapacity: p.DesiredCapacity,
		DefaultCooldown: p.Cooldown, AvailabilityZones: p.AvailabilityZones, HealthCheckType: p.HealthCheckType, HealthCheckGracePeriod: p.HealthCheckGracePeriod,
		PlacementGroup: p.PlacementGroup, VPCZoneIdentifier: strings.Join(p.VPCZoneIdentifier, ","), TerminationPolicies: p.TerminationPolicies,
		NewInstancesProtectedFromScaleIn: p.NewInstancesProtectedFromScaleIn, ServiceLinkedRoleARN: p.ServiceLinkedRoleARN,
		MaxInstanceLifetime: p.MaxInstanceLifetime, CapacityRebalance: p.CapacityRebalance, DefaultInstanceWarmup: p.DefaultInstanceWarmup,
	}
}

func (p groupProvider) Create(ctx context.Context, r cloudformation.Resource) (string, error) {
	var want groupProperties
	if err := cloudformation.Decode(r.Properties, &want); err != nil {
		return "", err
	}
	name := want.AutoScalingGroupName
	if name == "" {
		name = r.GeneratedName(255)
	}
	_, err := p.service.CreateAutoScalingGroup(ctx, wire.Caller{}, &CreateAutoScalingGroupInput{
		Settings: want.settings(), AutoScalingGroupName: name, LoadBalancerNames: want.LoadBalancerNames, TargetGroupARNs: want.TargetGroupARNs,
		LifecycleHookSpecificationList: want.LifecycleHookSpecificationList,
	})
	if err != nil {
		return "", err
	}
	g := p.service.state.Groups[name]
	g.setWanted(r, want)
	return name, nil
}

// setWanted puts the tags and metrics that the properties list on the group.
func (g *Group) setWanted(r cloudformation.Resource, want groupProperties) {
	yes := true
	for _, key := range slices.Sorted(maps.Keys(r.Tags)) {
		g.setTag(Tag{Key: key, Value: r.Tags[key], PropagateAtLaunch: &yes})
	}
	for _, tag := range want.Tags {
		g.setTag(Tag{Key: tag.Key, Value: tag.Value, PropagateAtLaunch: &tag.PropagateAtLaunch})
	}
	g.Metrics = nil
	for _, collection := range want.MetricsCollection {
		names := collection.Metrics
		if len(names) == 0 {
			names = metrics()
		}
		g.Metrics = append(g.Metrics, names...)
	}
}

func (p groupProvider) Update(ctx context.Context, r cloudformation.Resource, old map[string]any) error {
	var want, had groupProperties
	if err := cloudformation.Decode(r.Properties, &want); err != nil {
		return err
	}
	if err := cloudformation.Decode(old, &had); err != nil {
		return err
	}
	g, err := p.service.group(r.PhysicalID)
	if err != nil {
		return err
	}
	policy, roll, err := rollingPolicy(r.UpdatePolicy)
	if err != nil {
		return err
	}
	if _, err := p.service.UpdateAutoScalingGroup(ctx, wire.Caller{}, &UpdateAutoScalingGroupInput{Settings: want.settings(), AutoScalingGroupName: g.Name}); err != nil {
		return err
	}
	for _, tag := range had.Tags {
		g.dropTag(tag.Key)
	}
	g.setWanted(r, want)
	g.LoadBalancers, g.TargetGroups = want.LoadBalancerNames, want.TargetGroupARNs
	remade := !template.Same(old["LaunchTemplate"], r.Properties["LaunchTemplate"]) || !template.Same(old["MixedInstancesPolicy"], r.Properties["MixedInstancesPolicy"])
	if roll && remade {
		p.service.startRolling(g, policy)
	}
	return nil
}

func (p groupProvider) Delete(ctx context.Context, r cloudformation.Resource) error {
	if _, ok := p.service.Group(r.PhysicalID); !ok {
		return nil
	}
	_, err := p.service.DeleteAutoScalingGroup(ctx, wire.Caller{}, &DeleteAutoScalingGroupInput{AutoScalingGroupName: r.PhysicalID, ForceDelete: true})
	return err
}

func (p groupProvider) Status(_ context.Context, r cloudformation.Resource) (cloudformation.Status, error) {
	g, ok := p.service.Group(r.PhysicalID)
	switch {
	case !ok:
		return cloudformation.Status{Phase: cloudformation.Absent}, nil
	case g.Deleting:
		return cloudformation.Status{Phase: cloudformation.InProgress}, nil
	case g.Rolling == nil && (g.stable() || g.suspended("Launch")):
		return cloudformation.Status{Phase: cloudformation.Ready, Attributes: map[string]any{"AutoScalingGroupARN": g.ARN}}, nil
	case p.service.after(g.Changed, "autoscaling.stabilize"):
		reason := "Group did not stabilize."
		if len(g.Activities) > 0 {
			reason += " Last scaling activity: " + g.Activities[0].Description
		}
		return cloudformation.Status{Phase: cloudformation.Failed, Reason: reason}, nil
	}
	return cloudformation.Status{Phase: cloudformation.InProgress}, nil
}

// rollingPolicy reads UpdatePolicy.AutoScalingRollingUpdate; ok is false if there is none.
func rollingPolicy(policies map[string]any) (r rolling, ok bool, err error) {
	raw, ok := policies["AutoScalingRollingUpdate"].(map[string]any)
	if !ok {
		return r, false, nil
	}
	var p struct {
		MaxBatchSize                  int
		MinInstancesInService         int
		MinActiveInstancesPercent     int
		MinSuccessfulInstancesPercent int
		PauseTime                     string
		SuspendProcesses              []string
		WaitOnResourceSignals         bool
	}
	if err := cloudformation.Decode(raw, &p); err != nil {
		return r, false, err
	}
	pause, err := isoDuration(p.PauseTime)
	if err != nil {
		return r, false, err
	}
	return rolling{Batch: max(1, p.MaxBatchSize), MinInService: p.MinInstancesInService, Pause: pause, Suspend: p.SuspendProcesses}, true, nil
}

var isoTime = regexp.MustCompile(`^PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?$`)

// isoDuration reads an ISO 8601 duration of hours, minutes and seconds ("PT5M30S").
func isoDuration(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	m := isoTime.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("Invalid PauseTime: %s", text) //nolint:staticcheck // AWS's words
	}
	total := time.Duration(0)
	for i, unit := range []time.Duration{time.Hour, time.Minute, time.Second} {
		if n, err := strconv.Atoi(m[i+1]); err == nil {
			total += time.Duration(n) * unit
		}
	}
	return total, nil
}

type hookProvider struct{ service *Service }

func (p hookProvider) put(ctx context.Context, r cloudformation.Resource, name string) error {
	in := &PutLifecycleHookInput{}
	if err := cloudformation.Decode(r.Properties, in); err != nil {
		return err
	}
	in.LifecycleHookName = name
	_, err := p.service.PutLifecycleHook(ctx, wire.Caller{}, in)
	return err
}

func (p hookProvider) Create(ctx context.Context, r cloudformation.Resource) (string, error) {
	name, _ := r.Properties["LifecycleHookName"].(string)
	if name == "" {
		name = r.GeneratedName(255)
	}
	return name, p.put(ctx, r, name)
}

func (p hookProvider) Update(ctx context.Context, r cloudformation.Resource, _ map[string]any) error {
	return p.put(ctx, r, r.PhysicalID)
}

func (p hookProvider) find(r cloudformation.Resource) (*Group, *Hook) {
	name, _ := r.Properties["AutoScalingGroupName"].(string)
	g, ok := p.service.Group(name)
	if !ok {
		return nil, nil
	}
	return g, g.Hooks[r.PhysicalID]
}

func (p hookProvider) Delete(_ context.Context, r cloudformation.Resource) error {
	if g, h := p.find(r); h != nil {
		delete(g.Hooks, h.LifecycleHookName)
	}
	return nil
}

func (p hookProvider) Status(_ context.Context, r cloudformation.Resource) (cloudformation.Status, error) {
	if _, h := p.find(r); h == nil {
		return cloudformation.Status{Phase: cloudformation.Absent}, nil
	}
	return cloudformation.Status{Phase: cloudformation.Ready}, nil
}
