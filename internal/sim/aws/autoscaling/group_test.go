package autoscaling_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// fleet is one group of two instances over two zones, behind the wire.
type fleet struct {
	*testing.T
	*autoscaling.Client
	ec2     *ec2.Client
	sim     *simtest.Sim
	subnets []string
}

const groupName = "nodes"

func call[In, Out any](f *fleet, fn func(context.Context, *In, ...func(*autoscaling.Options)) (*Out, error), in *In) *Out {
	f.Helper()
	out, err := fn(f.Context(), in)
	if err != nil {
		f.Fatal(err)
	}
	return out
}

func refused[In, Out any](f *fleet, code, message string, fn func(context.Context, *In, ...func(*autoscaling.Options)) (*Out, error), in *In) {
	f.Helper()
	_, err := fn(f.Context(), in)
	if e, ok := errors.AsType[smithy.APIError](err); !ok || e.ErrorCode() != code || !strings.Contains(e.ErrorMessage(), message) {
		f.Errorf("error is %v, want %s with %q", err, code, message)
	}
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	sim := simtest.Start(t, aws.Options{World: world.Options{Seed: 5}})
	config := sim.Config()
	f := &fleet{T: t, Client: autoscaling.NewFromConfig(config), ec2: ec2.NewFromConfig(config), sim: sim}
	vpc, err := f.ec2.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16")})
	if err != nil {
		t.Fatal(err)
	}
	for zone, block := range map[string]string{"us-west-2a": "10.0.0.0/24", "us-west-2b": "10.0.1.0/24"} {
		subnet, err := f.ec2.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, AvailabilityZone: &zone, CidrBlock: &block})
		if err != nil {
			t.Fatal(err)
		}
		f.subnets = append(f.subnets, *subnet.Subnet.SubnetId)
	}
	f.version(ec2types.InstanceTypeM5Large)
	return f
}

// version makes the launch template, or its next version.
func (f *fleet) version(kind ec2types.InstanceType) {
	f.Helper()
	name := "/aws/service/eks/optimized-ami/1.34/amazon-linux-2023/x86_64/standard/recommended/image_id"
	image, err := ssm.NewFromConfig(f.sim.Config()).GetParameter(f.Context(), &ssm.GetParameterInput{Name: &name})
	if err != nil {
		f.Fatal(err)
	}
	data := &ec2types.RequestLaunchTemplateData{ImageId: image.Parameter.Value, InstanceType: kind}
	_, err = f.ec2.CreateLaunchTemplate(f.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: new("nodes"), LaunchTemplateData: data})
	if e, ok := errors.AsType[smithy.APIError](err); ok && strings.HasSuffix(e.ErrorCode(), "AlreadyExistsException") {
		_, err = f.ec2.CreateLaunchTemplateVersion(f.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateName: new("nodes"), LaunchTemplateData: data})
	}
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fleet) request(least, most int32) *autoscaling.CreateAutoScalingGroupInput {
	return &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: new(groupName), MinSize: &least, MaxSize: &most, VPCZoneIdentifier: new(strings.Join(f.subnets, ",")),
		LaunchTemplate: &types.LaunchTemplateSpecification{LaunchTemplateName: new("nodes"), Version: new("$Latest")},
		Tags:           []types.Tag{{Key: new("Name"), Value: new("node"), PropagateAtLaunch: new(true)}, {Key: new("quiet"), Value: new("yes"), PropagateAtLaunch: new(false)}},
	}
}

func (f *fleet) show() types.AutoScalingGroup {
	f.Helper()
	out := call(f, f.DescribeAutoScalingGroups, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{groupName}})
	if len(out.AutoScalingGroups) != 1 {
		f.Fatalf("groups are %v", out.AutoScalingGroups)
	}
	return out.AutoScalingGroups[0]
}

// stable waits until the group has exactly n instances and all are in service; it returns their ids.
func (f *fleet) stable(n int) []string {
	f.Helper()
	var ids []string
	f.sim.Settle(f, 5*time.Second, time.Hour, func() bool {
		ids = nil
		for _, i := range f.show().Instances {
			if i.LifecycleState == types.LifecycleStateInService {
				ids = append(ids, *i.InstanceId)
			}
		}
		return len(ids) == n && len(f.show().Instances) == n
	})
	slices.Sort(ids)
	return ids
}

func TestScaling(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	call(f, f.CreateAutoScalingGroup, f.request(2, 4))
	refused(f, "AlreadyExists", "A group with the name nodes already exists", f.CreateAutoScalingGroup, f.request(2, 4))
	if g := f.show(); len(g.Instances) != 0 || *g.DesiredCapacity != 2 || !slices.Equal(g.AvailabilityZones, []string{"us-west-2a", "us-west-2b"}) {
		t.Errorf("a new group is %+v", g)
	}
	ids := f.stable(2)
	zones := map[string]int{}
	for _, i := range f.show().Instances {
		zones[*i.AvailabilityZone]++
		if *i.HealthStatus != "Healthy" || *i.LaunchTemplate.Version != "1" {
			t.Errorf("instance is %+v", i)
		}
	}
	if zones["us-west-2a"] != 1 || zones["us-west-2b"] != 1 {
		t.Errorf("zones are %v", zones)
	}
	described, err := f.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: ids[:1]})
	if err != nil {
		t.Fatal(err)
	}
	tags := map[string]string{}
	for _, tag := range described.Reservations[0].Instances[0].Tags {
		tags[*tag.Key] = *tag.Value
	}
	if tags["Name"] != "node" || tags["quiet"] != "" || tags["aws:autoscaling:groupName"] != groupName {
		t.Errorf("tags of an instance are %v", tags)
	}

	refused(f, "ValidationError", "above max value 4", f.SetDesiredCapacity, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: new(groupName), DesiredCapacity: new(int32(5))})
	refused(f, "ValidationError", "Desired capacity:1 must be between the specified min size:2 and max size:4", f.UpdateAutoScalingGroup, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: new(groupName), DesiredCapacity: new(int32(1))})
	refused(f, "ValidationError", "AutoScalingGroup name not found", f.UpdateAutoScalingGroup, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: new("other")})
	call(f, f.UpdateAutoScalingGroup, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: new(groupName), DesiredCapacity: new(int32(4))})
	f.stable(4)
	call(f, f.UpdateAutoScalingGroup, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: new(groupName), MinSize: new(int32(0)), DesiredCapacity: new(int32(1))})
	f.stable(1)
	activities := call(f, f.DescribeScalingActivities, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: new(groupName)}).Activities
	if len(activities) != 7 || !strings.HasPrefix(*activities[0].Description, "Terminating EC2 instance: i-") || activities[0].StatusCode != types.ScalingActivityStatusCodeSuccessful {
		t.Errorf("activities are %v", activities)
	}

	refused(f, "ResourceInUse", "there are instances", f.DeleteAutoScalingGroup, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: new(groupName)})
	call(f, f.DeleteAutoScalingGroup, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: new(groupName), ForceDelete: new(true)})
	if g := f.show(); *g.Status != "Delete in progress" {
		t.Errorf("status is %s", *g.Status)
	}
	f.sim.Settle(t, 5*time.Second, 10*time.Minute, func() bool {
		return len(call(f, f.DescribeAutoScalingGroups, &autoscaling.DescribeAutoScalingGroupsInput{}).AutoScalingGroups) == 0
	})
}

func TestReplacesWhatIsLost(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	call(f, f.CreateAutoScalingGroup, f.request(2, 4))
	ids := f.stable(2)
	// Behind the group's back.
	if _, err := f.ec2.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: ids[:1]}); err != nil {
		t.Fatal(err)
	}
	f.sim.Clock.Move(time.Second)
	second := f.stable(2)
	if slices.Contains(second, ids[0]) || !slices.Contains(second, ids[1]) {
		t.Errorf("instances went from %q to %q", ids, second)
	}
	// By a user's word on its health.
	call(f, f.SetInstanceHealth, &autoscaling.SetInstanceHealthInput{InstanceId: &second[0], HealthStatus: new("Unhealthy")})
	f.sim.Clock.Move(time.Second)
	third := f.stable(2)
	if slices.Contains(third, second[0]) {
		t.Errorf("instances went from %q to %q", second, third)
	}
	// By the group itself, with and without shrinking.
	call(f, f.TerminateInstanceInAutoScalingGroup, &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &third[0], ShouldDecrementDesiredCapacity: new(false)})
	f.sim.Clock.Move(time.Second)
	fourth := f.stable(2)
	refused(f, "ValidationError", "will violate group's min size constraint", f.TerminateInstanceInAutoScalingGroup, &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &fourth[0], ShouldDecrementDesiredCapacity: new(true)})
	refused(f, "ValidationError", "No managed instance found for instance ID: i-0", f.TerminateInstanceInAutoScalingGroup, &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: new("i-0"), ShouldDecrementDesiredCapacity: new(true)})
}

func TestSuspendedAndProtected(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	call(f, f.CreateAutoScalingGroup, f.request(1, 4))
	ids := f.stable(1)
	refused(f, "ValidationError", "Nonsense is not a valid process type", f.SuspendProcesses, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: new(groupName), ScalingProcesses: []string{"Nonsense"}})
	call(f, f.SuspendProcesses, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: new(groupName), ScalingProcesses: []string{"Launch"}})
	call(f, f.SetDesiredCapacity, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: new(groupName), DesiredCapacity: new(int32(3))})
	for range 60 {
		f.sim.Clock.Move(10 * time.Second)
		if n := len(f.show().Instances); n != 1 {
			t.Fatalf("a suspended group has %d instances", n)
		}
	}
	call(f, f.ResumeProcesses, &autoscaling.ResumeProcessesInput{AutoScalingGroupName: new(groupName)})
	f.stable(3)
	call(f, f.SetInstanceProtection, &autoscaling.SetInstanceProtectionInput{AutoScalingGroupName: new(groupName), InstanceIds: ids, ProtectedFromScaleIn: new(true)})
	call(f, f.SetDesiredCapacity, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: new(groupName), DesiredCapacity: new(int32(1))})
	if left := f.stable(1); !slices.Equal(left, ids) {
		t.Errorf("left is %q, protected was %q", left, ids)
	}
}

func TestFailedLaunchIsToldAndRetried(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.version(ec2types.InstanceTypeM6gLarge) // an arm64 type for an x86_64 image
	call(f, f.CreateAutoScalingGroup, f.request(1, 4))
	failed := func() int {
		n := 0
		for _, a := range call(f, f.DescribeScalingActivities, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: new(groupName)}).Activities {
			if a.StatusCode == types.ScalingActivityStatusCodeFailed && strings.Contains(*a.StatusMessage, "does not match the architecture 'x86_64' of the specified AMI. Launching EC2 instance failed.") {
				n++
			}
		}
		return n
	}
	f.sim.Settle(t, 5*time.Second, 10*time.Minute, func() bool { return failed() == 2 })
	f.version(ec2types.InstanceTypeM5Large)
	f.stable(1)
}

func TestInstanceRefresh(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	call(f, f.CreateAutoScalingGroup, f.request(4, 4))
	before := f.stable(4)
	f.version(ec2types.InstanceTypeM5Xlarge)
	start := &autoscaling.StartInstanceRefreshInput{AutoScalingGroupName: new(groupName), Preferences: &types.RefreshPreferences{MinHealthyPercentage: new(int32(50)), SkipMatching: new(true)}}
	id := call(f, f.StartInstanceRefresh, start).InstanceRefreshId
	refused(f, "InstanceRefreshInProgress", "already in progress", f.StartInstanceRefresh, start)
	least := 4
	var refresh types.InstanceRefresh
	f.sim.Settle(t, 5*time.Second, time.Hour, func() bool {
		inService := 0
		for _, i := range f.show().Instances {
			if i.LifecycleState == types.LifecycleStateInService {
				inService++
			}
		}
		least = min(least, inService)
		refresh = call(f, f.DescribeInstanceRefreshes, &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: new(groupName)}).InstanceRefreshes[0]
		return refresh.Status == types.InstanceRefreshStatusSuccessful
	})
	if least != 2 || *refresh.InstanceRefreshId != *id || *refresh.PercentageComplete != 100 {
		t.Errorf("at least %d were in service; refresh is %+v", least, refresh)
	}
	for _, i := range f.show().Instances {
		if *i.InstanceType != "m5.xlarge" || slices.Contains(before, *i.InstanceId) {
			t.Errorf("instance %s is a %s", *i.InstanceId, *i.InstanceType)
		}
	}
	refused(f, "ActiveInstanceRefreshNotFound", "No in progress", f.CancelInstanceRefresh, &autoscaling.CancelInstanceRefreshInput{AutoScalingGroupName: new(groupName)})
}

func TestTagsAndHooks(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	call(f, f.CreateAutoScalingGroup, f.request(1, 2))
	tag := types.Tag{ResourceId: new(groupName), ResourceType: new("auto-scaling-group"), Key: new("k8s.io/cluster-autoscaler/enabled"), Value: new("true"), PropagateAtLaunch: new(false)}
	call(f, f.CreateOrUpdateTags, &autoscaling.CreateOrUpdateTagsInput{Tags: []types.Tag{tag}})
	found := call(f, f.DescribeAutoScalingGroups, &autoscaling.DescribeAutoScalingGroupsInput{Filters: []types.Filter{{Name: new("tag:k8s.io/cluster-autoscaler/enabled"), Values: []string{"true"}}}})
	if len(found.AutoScalingGroups) != 1 || len(found.AutoScalingGroups[0].Tags) != 3 {
		t.Errorf("groups are %v", found.AutoScalingGroups)
	}
	call(f, f.DeleteTags, &autoscaling.DeleteTagsInput{Tags: []types.Tag{tag}})
	if n := len(call(f, f.DescribeTags, &autoscaling.DescribeTagsInput{}).Tags); n != 2 {
		t.Errorf("%d tags", n)
	}
	call(f, f.PutLifecycleHook, &autoscaling.PutLifecycleHookInput{
		AutoScalingGroupName: new(groupName), LifecycleHookName: new("drain"), LifecycleTransition: new("autoscaling:EC2_INSTANCE_TERMINATING"), HeartbeatTimeout: new(int32(1800)),
	})
	ids := f.stable(1)
	call(f, f.TerminateInstanceInAutoScalingGroup, &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &ids[0], ShouldDecrementDesiredCapacity: new(false)})
	for range 30 {
		f.sim.Clock.Move(10 * time.Second)
		if g := f.show(); !slices.ContainsFunc(g.Instances, func(i types.Instance) bool { return i.LifecycleState == types.LifecycleStateTerminatingWait }) {
			t.Fatalf("the hook let go: %v", g.Instances)
		}
	}
	call(f, f.CompleteLifecycleAction, &autoscaling.CompleteLifecycleActionInput{
		AutoScalingGroupName: new(groupName), LifecycleHookName: new("drain"), InstanceId: &ids[0], LifecycleActionResult: new("CONTINUE"),
	})
	if left := f.stable(1); slices.Equal(left, ids) {
		t.Errorf("left is %q", left)
	}
}
