package autoscaling

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// group finds a group that is not being deleted.
func (s *Service) group(name string) (*Group, error) {
	if g := s.state.Groups[name]; g != nil {
		return g, nil
	}
	return nil, invalid("AutoScalingGroup name not found - AutoScalingGroup %s not found", name)
}

// templateError words what EC2 says about a launch template as Auto Scaling does.
func templateError(err error) error {
	if code := wire.Code(err); strings.Contains(code, "LaunchTemplate") {
		return invalid("You must use a valid fully-formed launch template. %s", strings.TrimPrefix(err.Error(), code+": "))
	}
	return err
}

// Settings are what creating and updating a group have in common. Nil and empty leave things as they are.
type Settings struct {
	LaunchTemplate                   *TemplateSpec
	MixedInstancesPolicy             *MixedInstancesPolicy
	MinSize                          *int
	MaxSize                          *int
	DesiredCapacity                  *int
	DefaultCooldown                  *int
	AvailabilityZones                []string
	HealthCheckType                  string
	HealthCheckGracePeriod           *int
	PlacementGroup                   string
	VPCZoneIdentifier                string
	TerminationPolicies              []string
	NewInstancesProtectedFromScaleIn *bool
	ServiceLinkedRoleARN             string
	MaxInstanceLifetime              *int
	CapacityRebalance                *bool
	DefaultInstanceWarmup            *int
}

// CreateAutoScalingGroupInput is the request of CreateAutoScalingGroup.
type CreateAutoScalingGroupInput struct {
	Settings
	AutoScalingGroupName           string
	LoadBalancerNames              []string
	TargetGroupARNs                []string
	LifecycleHookSpecificationList []HookSpecification
	Tags                           []Tag
}

// Tag is a tag of a request.
type Tag struct {
	ResourceID        string `form:"ResourceId"`
	ResourceType      string
	Key               string
	Value             string
	PropagateAtLaunch *bool
}

var groupName = regexp.MustCompile(`^[^:]{1,255}$`)

// CreateAutoScalingGroup makes a group, which then launches its instances.
func (s *Service) CreateAutoScalingGroup(ctx context.Context, c wire.Caller, in *CreateAutoScalingGroupInput) (*Nothing, error) {
	if !groupName.MatchString(in.AutoScalingGroupName) {
		return nil, invalid("1 validation error detected: Value '%s' at 'autoScalingGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern: [^:]+", in.AutoScalingGroupName)
	}
	if s.state.Groups[in.AutoScalingGroupName] != nil {
		return nil, wire.Errorf("AlreadyExists", "AutoScalingGroup by this name already exists - A group with the name %s already exists", in.AutoScalingGroupName)
	}
	if in.MinSize == nil || in.MaxSize == nil {
		return nil, invalid("Valid requests must contain the MinSize and MaxSize parameters")
	}
	if in.LaunchTemplate == nil && in.MixedInstancesPolicy == nil {
		return nil, invalid("Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.")
	}
	g := &Group{
		Name: in.AutoScalingGroupName, Created: s.world.Now(), Changed: s.world.Now(), Cooldown: 300, HealthCheckType: "EC2",
		TerminationPolicies: []string{"Default"}, Members: map[string]*Member{}, Hooks: map[string]*Hook{}, LoadBalancers: in.LoadBalancerNames,
		TargetGroups: in.TargetGroupARNs, ServiceRole: s.world.GlobalARN("iam", "role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"),
	}
	g.ARN = s.world.ARN("autoscaling", "autoScalingGroup:"+s.world.UUID()+":autoScalingGroupName/"+g.Name)
	if in.DesiredCapacity == nil {
		in.DesiredCapacity = in.MinSize
	}
	if err := s.configure(g, in.Settings); err != nil {
		return nil, err
	}
	if len(g.Subnets) == 0 {
		return nil, invalid("At least one Availability Zone or VPC Subnet is required.")
	}
	s.state.Groups[g.Name] = g
	for _, tag := range in.Tags {
		g.setTag(tag)
	}
	for _, hook := range in.LifecycleHookSpecificationList {
		if _, err := s.PutLifecycleHook(ctx, c, &PutLifecycleHookInput{HookSpecification: hook, AutoScalingGroupName: g.Name}); err != nil {
			delete(s.state.Groups, g.Name)
			return nil, err
		}
	}
	return &Nothing{}, nil
}

// dayInSeconds is the least that an instance may live at most, where that is limited (UpdateAutoScalingGroup in the API reference).
const dayInSeconds = 86400

// configure checks settings and takes them over, all or none.
func (s *Service) configure(g *Group, in Settings) error {
	next := *g
	if err := s.chooseTemplate(&next, in); err != nil {
		return err
	}
	if err := s.chooseSubnets(&next, in); err != nil {
		return err
	}
	if err := chooseSize(&next, in); err != nil {
		return err
	}
	if n := in.MaxInstanceLifetime; n != nil && *n != 0 && *n < dayInSeconds {
		return invalid("MaxInstanceLifetime must be 0 or at least %d seconds", dayInSeconds)
	}
	for _, field := range []struct{ to, from *int }{
		{&next.Cooldown, in.DefaultCooldown}, {&next.HealthCheckGrace, in.HealthCheckGracePeriod}, {&next.MaxLifetime, in.MaxInstanceLifetime},
	} {
		if field.from != nil {
			*field.to = *field.from
		}
	}
	for _, field := range []struct{ to, from *bool }{{&next.ProtectNew, in.NewInstancesProtectedFromScaleIn}, {&next.CapacityRebalance, in.CapacityRebalance}} {
		if field.from != nil {
			*field.to = *field.from
		}
	}
	for _, field := range []struct {
		to   *string
		from string
	}{{&next.HealthCheckType, in.HealthCheckType}, {&next.PlacementGroup, in.PlacementGroup}, {&next.ServiceRole, in.ServiceLinkedRoleARN}} {
		if field.from != "" {
			*field.to = field.from
		}
	}
	if len(in.TerminationPolicies) > 0 {
		next.TerminationPolicies = in.TerminationPolicies
	}
	if in.DefaultInstanceWarmup != nil {
		next.DefaultWarmup = in.DefaultInstanceWarmup
	}
	next.Changed = s.world.Now()
	next.Trouble = ""
	*g = next
	return nil
}

func (s *Service) chooseTemplate(g *Group, in Settings) error {
	switch {
	case in.LaunchTemplate != nil && in.MixedInstancesPolicy != nil:
		return invalid("Valid requests must contain either LaunchTemplate or MixedInstancesPolicy, not both.")
	case in.LaunchTemplate != nil:
		own := *in.LaunchTemplate
		g.Template, g.Mixed = &own, nil
	case in.MixedInstancesPolicy != nil:
		own := *in.MixedInstancesPolicy
		g.Template, g.Mixed = nil, &own
	default:
		return nil
	}
	spec := g.Template
	if g.Mixed != nil {
		spec = &g.Mixed.LaunchTemplate.LaunchTemplateSpecification
	}
	if spec.ID != "" && spec.Name != "" {
		return invalid("Valid requests must contain either launchTemplateId or LaunchTemplateName")
	}
	t, _, _, err := s.resolve(*spec)
	if err != nil {
		return templateError(err)
	}
	spec.ID, spec.Name = t.ID, t.Name
	return nil
}

func (s *Service) chooseSubnets(g *Group, in Settings) error {
	if in.VPCZoneIdentifier == "" {
		return nil
	}
	g.Subnets = nil
	for id := range strings.SplitSeq(in.VPCZoneIdentifier, ",") {
		id = strings.TrimSpace(id)
		zone := s.ec2.SubnetZone(id)
		if zone == "" {
			return invalid("The subnet ID '%s' does not exist", id)
		}
		if len(in.AvailabilityZones) > 0 && !slices.Contains(in.AvailabilityZones, zone) {
			return invalid("The availability zones of the specified subnets and the Auto Scaling group do not match")
		}
		g.Subnets = append(g.Subnets, id)
	}
	return nil
}

// chooseSize follows UpdateAutoScalingGroup's rules: a new minimum or maximum moves the desired capacity along, but a desired
// capacity that was asked for must fit.
func chooseSize(g *Group, in Settings) error {
	if in.MinSize != nil {
		g.Min = *in.MinSize
	}
	if in.MaxSize != nil {
		g.Max = *in.MaxSize
	}
	if g.Min > g.Max {
		return invalid("Max bound, %d, must be greater than or equal to min bound, %d", g.Max, g.Min)
	}
	if in.DesiredCapacity == nil {
		g.Desired = min(max(g.Desired, g.Min), g.Max)
		return nil
	}
	if *in.DesiredCapacity < g.Min || *in.DesiredCapacity > g.Max {
		return invalid("Desired capacity:%d must be between the specified min size:%d and max size:%d", *in.DesiredCapacity, g.Min, g.Max)
	}
	g.Desired = *in.DesiredCapacity
	return nil
}

// UpdateAutoScalingGroupInput is the request of UpdateAutoScalingGroup.
type UpdateAutoScalingGroupInput struct {
	Settings
	AutoScalingGroupName string
}

// UpdateAutoScalingGroup changes a group. Instances that run keep what they were launched with.
func (s *Service) UpdateAutoScalingGroup(_ context.Context, _ wire.Caller, in *UpdateAutoScalingGroupInput) (*Nothing, error) {
	g, err := s.group(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	if g.Deleting {
		return nil, wire.Errorf("ScalingActivityInProgress", "AutoScalingGroup %s is being deleted", g.Name)
	}
	return &Nothing{}, s.configure(g, in.Settings)
}

// DeleteAutoScalingGroupInput is the request of DeleteAutoScalingGroup.
type DeleteAutoScalingGroupInput struct {
	AutoScalingGroupName string
	ForceDelete          bool
}

// DeleteAutoScalingGroup deletes a group without instances, or with force ends them first.
func (s *Service) DeleteAutoScalingGroup(_ context.Context, _ wire.Caller, in *DeleteAutoScalingGroupInput) (*Nothing, error) {
	g, err := s.group(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	if !in.ForceDelete && (g.Desired > 0 || len(g.Members) > 0) {
		return nil, wire.Errorf("ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")
	}
	g.Deleting, g.Desired, g.Min = true, 0, 0
	return &Nothing{}, nil
}

// SetDesiredCapacityInput is the request of SetDesiredCapacity.
type SetDesiredCapacityInput struct {
	AutoScalingGroupName string
	DesiredCapacity      int
	HonorCooldown        bool
}

// SetDesiredCapacity changes a group's size within its bounds.
func (s *Service) SetDesiredCapacity(_ context.Context, _ wire.Caller, in *SetDesiredCapacityInput) (*Nothing, error) {
	g, err := s.group(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	switch {
	case g.Deleting:
		return nil, wire.Errorf("ScalingActivityInProgress", "AutoScalingGroup %s is being deleted", g.Name)
	case in.DesiredCapacity > g.Max:
		return nil, invalid("New SetDesiredCapacity value %d is above max value %d for the AutoScalingGroup.", in.DesiredCapacity, g.Max)
	case in.DesiredCapacity < g.Min:
		return nil, invalid("New SetDesiredCapacity value %d is below min value %d for the AutoScalingGroup.", in.DesiredCapacity, g.Min)
	}
	g.Desired, g.Changed, g.Trouble = in.DesiredCapacity, s.world.Now(), ""
	return &Nothing{}, nil
}

// TerminateInstanceInput is the request of TerminateInstanceInAutoScalingGroup.
type TerminateInstanceInput struct {
	InstanceID                     string `form:"InstanceId"`
	ShouldDecrementDesiredCapacity bool
}

// TerminateInstanceOutput is the answer of TerminateInstanceInAutoScalingGroup.
type TerminateInstanceOutput struct {
	Activity Activity
}

// TerminateInstanceInAutoScalingGroup ends an instance and, unless the group shall shrink, has it replaced.
func (s *Service) TerminateInstanceInAutoScalingGroup(_ context.Context, _ wire.Caller, in *TerminateInstanceInput) (*TerminateInstanceOutput, error) {
	g, m := s.member(in.InstanceID)
	if m == nil {
		return nil, invalid("Instance Id not found - No managed instance found for instance ID: %s", in.InstanceID)
	}
	if in.ShouldDecrementDesiredCapacity {
		if g.Desired-1 < g.Min {
			return nil, invalid("Currently, desiredSize equals minSize (%d). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.", g.Min)
		}
		g.Desired--
	}
	if !m.leaving() {
		s.retire(g, m, s.cause("instance "+m.InstanceID+" was taken out of service in response to a user request."))
	}
	return &TerminateInstanceOutput{Activity: g.Activities[0]}, nil
}

func (s *Service) member(instance string) (*Group, *Member) {
	for _, g := range s.state.Groups {
		if m := g.Members[instance]; m != nil {
			return g, m
		}
	}
	return nil, nil
}

// SetInstanceProtectionInput is the request of SetInstanceProtection.
type SetInstanceProtectionInput struct {
	AutoScalingGroupName string
	InstanceIDs          []string `form:"InstanceIds"`
	ProtectedFromScaleIn bool
}

// SetInstanceProtection protects instances from scaling in.
func (s *Service) SetInstanceProtection(_ context.Context, _ wire.Caller, in *SetInstanceProtectionInput) (*Nothing, error) {
	g, err := s.group(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	for _, id := range in.InstanceIDs {
		if g.Members[id] == nil {
			return nil, invalid("The instance %s is not part of Auto Scaling group %s.", id, g.Name)
		}
	}
	for _, id := range in.InstanceIDs {
		g.Members[id].Protected = in.ProtectedFromScaleIn
	}
	return &Nothing{}, nil
}

// SetInstanceHealthInput is the request of SetInstanceHealth.
type SetInstanceHealthInput struct {
	InstanceID               string `form:"InstanceId"`
	HealthStatus             string
	ShouldRespectGracePeriod *bool
}

// SetInstanceHealth tells how an instance is; an unhealthy one is replaced.
func (s *Service) SetInstanceHealth(_ context.Context, _ wire.Caller, in *SetInstanceHealthInput) (*Nothing, error) {
	_, m := s.member(in.InstanceID)
	if m == nil {
		return nil, invalid("Instance Id not found - No managed instance found for instance ID %s", in.InstanceID)
	}
	m.Health = in.HealthStatus
	return &Nothing{}, nil
}
