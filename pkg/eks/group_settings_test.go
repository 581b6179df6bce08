package eks

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

const (
	blueGroup  = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/blue/0123456789abcdef"
	greenGroup = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/green/0123456789abcdef"
)

// mix is a self-managed nodegroup of two instance types.
const mix = bare + `nodeGroups:
- name: batch
  minSize: 1
  maxSize: 4
  desiredCapacity: 2
  labels: {role: batch}
  instancesDistribution: {instanceTypes: [m5.large, m5a.large], onDemandBaseCapacity: 1}
`

// withMix is mix with a field more of its nodegroup.
func withMix(field string) string {
	return strings.Replace(mix, "- name: batch\n", "- name: batch\n  "+field+"\n", 1)
}

// asDistributed is mix with other settings of its instances.
func asDistributed(settings string) string {
	return strings.Replace(mix, "onDemandBaseCapacity: 1", settings, 1)
}

// scalingOfBatch is the live Auto Scaling group of batch.
func (r *rig) scalingOfBatch() astypes.AutoScalingGroup {
	r.t.Helper()
	out, err := r.cloud.aws.asg.DescribeAutoScalingGroups(r.t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{*r.scalingName("batch")}})
	r.does(err)
	return out.AutoScalingGroups[0]
}

// changes the Auto Scaling group of batch outside of git.
func (r *rig) changesScaling(in autoscaling.UpdateAutoScalingGroupInput) {
	r.t.Helper()
	in.AutoScalingGroupName = r.scalingName("batch")
	_, err := r.cloud.aws.asg.UpdateAutoScalingGroup(r.t.Context(), &in)
	r.does(err)
}

// TestAutoScalingInPlace: what Auto Scaling changes on a group that runs is changed there, one call a pass, also when the process is killed
// after every one; no node goes for it. Somebody else's change is taken back, and what leaves git is left alone.
func TestAutoScalingInPlace(t *testing.T) {
	t.Parallel()
	two := withMix("targetGroupARNs: [\"" + greenGroup + "\", \"" + blueGroup + "\"]")
	for name, tt := range map[string]struct {
		before, after string
		calls         []string
		outside       func(*rig)
		back          []string
		has           func(astypes.AutoScalingGroup) bool
	}{
		"maxInstanceLifetime": {
			after: withMix("maxInstanceLifetime: 604800"), calls: []string{"UpdateAutoScalingGroup"}, back: []string{"UpdateAutoScalingGroup"},
			outside: func(r *rig) {
				r.changesScaling(autoscaling.UpdateAutoScalingGroupInput{MaxInstanceLifetime: aws.Int32(0)})
			},
			has: func(g astypes.AutoScalingGroup) bool { return aws.ToInt32(g.MaxInstanceLifetime) == 604800 },
		},
		"instancesDistribution": {
			after: asDistributed("onDemandBaseCapacity: 0, onDemandPercentageAboveBaseCapacity: 25, spotAllocationStrategy: capacity-optimized, maxPrice: 0.0625, capacityRebalance: true"),
			calls: []string{"UpdateAutoScalingGroup"}, back: []string{"UpdateAutoScalingGroup"},
			outside: func(r *rig) {
				policy := r.scalingOfBatch().MixedInstancesPolicy
				policy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateName = nil
				policy.LaunchTemplate.Overrides = policy.LaunchTemplate.Overrides[1:]
				policy.InstancesDistribution.OnDemandPercentageAboveBaseCapacity = aws.Int32(100)
				r.changesScaling(autoscaling.UpdateAutoScalingGroupInput{MixedInstancesPolicy: policy, CapacityRebalance: aws.Bool(false)})
			},
			has: func(g astypes.AutoScalingGroup) bool {
				d, types := g.MixedInstancesPolicy.InstancesDistribution, g.MixedInstancesPolicy.LaunchTemplate.Overrides
				return *d.OnDemandBaseCapacity == 0 && *d.OnDemandPercentageAboveBaseCapacity == 25 && *d.SpotAllocationStrategy == "capacity-optimized" && *d.SpotMaxPrice == "0.0625" &&
					d.SpotInstancePools == nil && *g.CapacityRebalance && len(types) == 2 && *types[0].InstanceType == "m5.large"
			},
		},
		"order of instance types": {
			after: strings.Replace(mix, "[m5.large, m5a.large]", "[m5a.large, m5.large]", 1), calls: []string{"UpdateAutoScalingGroup"}, back: []string{"UpdateAutoScalingGroup"},
			outside: func(r *rig) {
				policy := r.scalingOfBatch().MixedInstancesPolicy
				policy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateName = nil
				slices.Reverse(policy.LaunchTemplate.Overrides)
				r.changesScaling(autoscaling.UpdateAutoScalingGroupInput{MixedInstancesPolicy: policy})
			},
			has: func(g astypes.AutoScalingGroup) bool {
				return *g.MixedInstancesPolicy.LaunchTemplate.Overrides[0].InstanceType == "m5a.large"
			},
		},
		"asgMetricsCollection": {
			after:   withMix("asgMetricsCollection: [{granularity: 1Minute, metrics: [GroupMinSize, GroupMaxSize]}]"),
			calls:   []string{"EnableMetricsCollection"},
			outside: func(r *rig) { r.meters("GroupTotalInstances"); r.unmeters("GroupMinSize") },
			back:    []string{"EnableMetricsCollection", "DisableMetricsCollection"},
			has:     func(g astypes.AutoScalingGroup) bool { return len(g.EnabledMetrics) == 2 },
		},
		"asgMetricsCollection, all": {
			after: withMix("asgMetricsCollection: [{granularity: 1Minute}]"), calls: []string{"EnableMetricsCollection"},
			outside: func(r *rig) { r.unmeters("GroupMinSize") }, back: []string{"EnableMetricsCollection"},
			has: func(g astypes.AutoScalingGroup) bool { return len(g.EnabledMetrics) == 20 },
		},
		"asgMetricsCollection, none": {
			before: withMix("asgMetricsCollection: [{granularity: 1Minute}]"), after: withMix("asgMetricsCollection: []"), calls: []string{"DisableMetricsCollection"},
			outside: func(r *rig) { r.meters("GroupMinSize") }, back: []string{"DisableMetricsCollection"},
			has: func(g astypes.AutoScalingGroup) bool { return len(g.EnabledMetrics) == 0 },
		},
		"targetGroupARNs": {
			before: withMix("targetGroupARNs: [\"" + blueGroup + "\"]"), after: withMix("targetGroupARNs: [\"" + greenGroup + "\"]"),
			calls: []string{"AttachLoadBalancerTargetGroups", "DetachLoadBalancerTargetGroups"},
			outside: func(r *rig) {
				_, err := r.cloud.aws.asg.AttachLoadBalancerTargetGroups(r.t.Context(), &autoscaling.AttachLoadBalancerTargetGroupsInput{AutoScalingGroupName: r.scalingName("batch"), TargetGroupARNs: []string{blueGroup}})
				r.does(err)
			},
			back: []string{"DetachLoadBalancerTargetGroups"},
			has:  func(g astypes.AutoScalingGroup) bool { return slices.Equal(g.TargetGroupARNs, []string{greenGroup}) },
		},
		"targetGroupARNs, none": {
			before: two, after: withMix("targetGroupARNs: []"), calls: []string{"DetachLoadBalancerTargetGroups"},
			has: func(g astypes.AutoScalingGroup) bool { return len(g.TargetGroupARNs) == 0 },
		},
		"classicLoadBalancerNames": {
			before: withMix("classicLoadBalancerNames: [old]"), after: withMix("classicLoadBalancerNames: [newer, new]"), calls: []string{"AttachLoadBalancers", "DetachLoadBalancers"},
			outside: func(r *rig) {
				_, err := r.cloud.aws.asg.DetachLoadBalancers(r.t.Context(), &autoscaling.DetachLoadBalancersInput{AutoScalingGroupName: r.scalingName("batch"), LoadBalancerNames: []string{"new"}})
				r.does(err)
			},
			back: []string{"AttachLoadBalancers"},
			has:  func(g astypes.AutoScalingGroup) bool { return len(g.LoadBalancerNames) == 2 },
		},
		"propagateASGTags": {
			after: withMix("propagateASGTags: true"), calls: []string{"CreateOrUpdateTags"}, back: []string{"CreateOrUpdateTags"},
			outside: func(r *rig) {
				_, err := r.cloud.aws.asg.DeleteTags(r.t.Context(), &autoscaling.DeleteTagsInput{Tags: []astypes.Tag{{
					ResourceId: r.scalingName("batch"), ResourceType: aws.String("auto-scaling-group"), Key: aws.String("k8s.io/cluster-autoscaler/node-template/label/role"),
				}}})
				r.does(err)
			},
			has: func(g astypes.AutoScalingGroup) bool {
				return scalingTags(&g)["k8s.io/cluster-autoscaler/node-template/label/role"] == "batch"
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, mix)
			if tt.before != "" {
				r.git(tt.before)
			}
			r.converge()
			r.settled("creation")
			nodes := r.cloud.world.Groups["batch"].instances()
			r.git(tt.after)
			r.restart = true
			if c := find(t, r.plan(), KindNodegroup, "batch"); c.Action != plan.Update || c.From.Line == 0 {
				t.Errorf("it is planned as %s %v at line %d", c.Action, c.Edits, c.From.Line)
			}
			if calls := r.wrote(r.converge); !slices.Equal(calls, tt.calls) {
				t.Errorf("the change took %v, want %v", calls, tt.calls)
			}
			r.settled("the change")
			if g := r.scalingOfBatch(); !tt.has(g) {
				t.Errorf("the group is %+v %+v", g, g.MixedInstancesPolicy)
			}
			if tt.outside != nil {
				tt.outside(r)
				for range 20 {
					r.tick()
				}
				if calls := r.wrote(r.converge); !slices.Equal(calls, tt.back) {
					t.Errorf("taking somebody else's change back took %v, want %v", calls, tt.back)
				}
				r.settled("somebody else's change")
				if g := r.scalingOfBatch(); !tt.has(g) {
					t.Errorf("the group is %+v %+v", g, g.MixedInstancesPolicy)
				}
			}
			if got := r.cloud.world.Groups["batch"].instances(); !slices.Equal(got, nodes) {
				t.Errorf("the nodes are %v, and were %v", got, nodes)
			}
			got := r.imported()
			if len(got.Problems) > 0 {
				t.Error(got.Problems)
			}
			r.git(string(got.File))
			r.settledOn(got)
			r.git(mix)
			if p := r.plan(); !p.Empty() && !strings.Contains(name, "istribution") && !strings.Contains(name, "order") {
				t.Errorf("a field that left git is not left alone:\n%s", describe(nil, p))
			}
		})
	}
}

func (r *rig) meters(names ...string) {
	r.t.Helper()
	_, err := r.cloud.aws.asg.EnableMetricsCollection(r.t.Context(), &autoscaling.EnableMetricsCollectionInput{AutoScalingGroupName: r.scalingName("batch"), Granularity: aws.String("1Minute"), Metrics: names})
	r.does(err)
}

func (r *rig) unmeters(names ...string) {
	r.t.Helper()
	_, err := r.cloud.aws.asg.DisableMetricsCollection(r.t.Context(), &autoscaling.DisableMetricsCollectionInput{AutoScalingGroupName: r.scalingName("batch"), Metrics: names})
	r.does(err)
}

// TestOtherInstanceTypes: nodes keep the type that they were launched with, so that other types are another group.
func TestOtherInstanceTypes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		before, after string
		recorded      bool
	}{
		"other types":                     {"[m5.large, m5a.large]", "[m5.large, m6i.large]", true},
		"another of a group not recorded": {"[m5.large, m5a.large]", "[m5.large, m6i.large]", false},
		"one type":                        {"instancesDistribution: {instanceTypes: [m5.large, m5a.large], onDemandBaseCapacity: 1}", "instanceType: m5.large", true},
	} {
		before := mustLoad(t, mix)
		w := worldOf(t, before)
		g := w.Groups["batch"]
		if !tt.recorded {
			g.Recorded = nil
		}
		if p := build(before.observe(w, false)); len(p.Changes) > 0 {
			t.Errorf("%s, before:\n%s", name, describe(nil, p))
		}
		c := find(t, build(mustLoad(t, strings.Replace(mix, tt.before, tt.after, 1)).observe(w, false)), KindNodegroup, "batch")
		if c.Action != plan.Replace || !strings.Contains(c.Why, "instancesDistribution.instanceTypes") {
			t.Errorf("%s: it is planned as %s: %s", name, c.Action, c.Why)
		}
	}
}

// TestSpotThatNeverComes: a group that does not come to its size for its settings gets others at once.
func TestSpotThatNeverComes(t *testing.T) {
	t.Parallel()
	before := mustLoad(t, mix)
	w := worldOf(t, before)
	g := w.Groups["batch"]
	g.Scaling.Instances = g.Scaling.Instances[:1]
	for file, want := range map[string]bool{
		mix: false, asDistributed("onDemandBaseCapacity: 2"): true, strings.Replace(mix, "desiredCapacity: 2", "desiredCapacity: 1", 1): true, withMix("targetGroupARNs: [a]"): false,
	} {
		cfg := mustLoad(t, file)
		ng, _ := cfg.nodegroup("batch")
		if got := cfg.lineup(w, ng).stalled(); got != want {
			t.Errorf("a step is taken at once: %v for\n%s", got, file)
		}
	}
}

// TestRecycling: the plan says that Auto Scaling ends nodes for a change, and the change is called disruptive.
func TestRecycling(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		withMix("maxInstanceLifetime: 86400"):    "Auto Scaling replaces nodes that are older, without draining them",
		asDistributed("onDemandBaseCapacity: 2"): "Auto Scaling may replace nodes to match instancesDistribution, without draining them",
		withMix(`targetGroupARNs: ["a"]`):        "",
	} {
		before := mustLoad(t, mix)
		c := find(t, build(mustLoad(t, file).observe(worldOf(t, before), false)), KindNodegroup, "batch")
		risk := map[bool]plan.Risk{true: plan.RiskNone, false: plan.Disruptive}[want == ""]
		if c.Action != plan.Update || c.Risk != risk || !strings.Contains(c.Why, want) {
			t.Errorf("%v: %s, risk %s, %q", gitops.DigestOf(file), c.Action, c.Risk, c.Why)
		}
	}
}

// setScaling gives an Auto Scaling group the settings of a self-managed nodegroup.
func setScaling(a *astypes.AutoScalingGroup, ng *api.NodeGroup) {
	a.MaxInstanceLifetime = size32(ng.MaxInstanceLifetime)
	a.TargetGroupARNs, a.LoadBalancerNames = ng.TargetGroupARNs, ng.ClassicLoadBalancerNames
	for _, name := range wantedMetrics(ng.ASGMetricsCollection) {
		a.EnabledMetrics = append(a.EnabledMetrics, astypes.EnabledMetric{Metric: aws.String(name), Granularity: aws.String(perMinute)})
	}
	d := ng.InstancesDistribution
	if d == nil {
		return
	}
	a.CapacityRebalance = &d.CapacityRebalance
	a.MixedInstancesPolicy = &astypes.MixedInstancesPolicy{
		InstancesDistribution: &astypes.InstancesDistribution{}, LaunchTemplate: &astypes.LaunchTemplate{Overrides: inOrder(nil, d.InstanceTypes)},
	}
	divide(a.MixedInstancesPolicy.InstancesDistribution, d)
}
