package eks

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/eks-gitops/reconciler/pkg/plan"
)

// pair is a cluster with one nodegroup of each kind.
const pair = bare + `managedNodeGroups:
- name: web
  instanceType: m5.large
  minSize: 1
  maxSize: 4
  desiredCapacity: 1
  labels: {role: web, tier: front}
  taints: [{key: dedicated, value: web, effect: NoSchedule}]
  tags: {team: shop}
nodeGroups:
- name: batch
  instanceType: m5.large
  minSize: 1
  maxSize: 4
  desiredCapacity: 1
`

// withField is pair with a field more of one of its nodegroups.
func withField(group, field string) string {
	return strings.Replace(pair, "- name: "+group+"\n", "- name: "+group+"\n  "+field+"\n", 1)
}

// scalingName is the Auto Scaling group of a nodegroup.
func (r *rig) scalingName(group string) *string {
	r.t.Helper()
	g := r.cloud.world.Groups[group]
	if g == nil || g.Scaling == nil {
		r.t.Fatalf("%s has no Auto Scaling group", group)
	}
	return g.Scaling.AutoScalingGroupName
}

// does calls what must not fail.
func (r *rig) does(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) suspends(group string, names ...string) {
	r.t.Helper()
	_, err := r.cloud.aws.asg.SuspendProcesses(r.t.Context(), &autoscaling.SuspendProcessesInput{AutoScalingGroupName: r.scalingName(group), ScalingProcesses: names})
	r.does(err)
}

func (r *rig) resumes(group string, names ...string) {
	r.t.Helper()
	_, err := r.cloud.aws.asg.ResumeProcesses(r.t.Context(), &autoscaling.ResumeProcessesInput{AutoScalingGroupName: r.scalingName(group), ScalingProcesses: names})
	r.does(err)
}

// TestSettingsOfGroups: what eksctl sets on a nodegroup past its stack is set, also when the process is killed after every call, and
// taken back when somebody else changes it.
func TestSettingsOfGroups(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		group, field string
		calls        []string
		outside      func(*rig)
		back         []string
	}{
		"nodeRepairConfig": {
			group: "web", calls: []string{"UpdateNodegroupConfig"}, back: []string{"UpdateNodegroupConfig"},
			field: "nodeRepairConfig: {enabled: true, maxUnhealthyNodeThresholdPercentage: 20, nodeRepairConfigOverrides: [" +
				"{nodeMonitoringCondition: NetworkingReady, nodeUnhealthyReason: InterfaceNotUp, minRepairWaitTimeMins: 10, repairAction: Replace}, " +
				"{nodeMonitoringCondition: KernelReady, nodeUnhealthyReason: ForkFailedPIDOutOfRange, minRepairWaitTimeMins: 5, repairAction: Reboot}]}",
			outside: func(r *rig) {
				_, err := r.cloud.aws.eks.UpdateNodegroupConfig(r.t.Context(), &eks.UpdateNodegroupConfigInput{
					ClusterName: aws.String("dev"), NodegroupName: aws.String("web"),
					NodeRepairConfig: &ekstypes.NodeRepairConfig{Enabled: aws.Bool(false), MaxUnhealthyNodeThresholdCount: aws.Int32(3), MaxParallelNodesRepairedCount: aws.Int32(2)},
				})
				r.does(err)
			},
		},
		"asgSuspendProcesses of a managed group": {
			group: "web", field: "asgSuspendProcesses: [AZRebalance]", calls: []string{"SuspendProcesses"}, back: []string{"ResumeProcesses", "SuspendProcesses"},
			outside: func(r *rig) { r.suspends("web", "ReplaceUnhealthy"); r.resumes("web", "AZRebalance") },
		},
		"asgSuspendProcesses of a self-managed group": {
			group: "batch", field: "asgSuspendProcesses: [ReplaceUnhealthy, AZRebalance]", calls: []string{"SuspendProcesses"}, back: []string{"ResumeProcesses"},
			outside: func(r *rig) { r.suspends("batch", "Launch") },
		},
		"propagateASGTags": {
			group: "web", field: "propagateASGTags: true", calls: []string{"CreateOrUpdateTags"}, back: []string{"CreateOrUpdateTags"},
			outside: func(r *rig) {
				_, err := r.cloud.aws.asg.DeleteTags(r.t.Context(), &autoscaling.DeleteTagsInput{Tags: []astypes.Tag{{
					ResourceId: r.scalingName("web"), ResourceType: aws.String("auto-scaling-group"), Key: aws.String("k8s.io/cluster-autoscaler/node-template/label/role"),
				}}})
				r.does(err)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, pair)
			r.converge()
			r.git(withField(tt.group, tt.field))
			r.restart = true
			if calls := r.wrote(r.converge); !slices.Equal(calls, tt.calls) {
				t.Errorf("the change took %v, want %v", calls, tt.calls)
			}
			r.settled("the change")
			tt.outside(r)
			for range 20 {
				r.tick()
			}
			if c := find(t, r.plan(), KindNodegroup, tt.group); c.Action != plan.Update {
				t.Errorf("somebody else's change is planned as %s %v", c.Action, c.Edits)
			}
			if calls := r.wrote(r.converge); !slices.Equal(calls, tt.back) {
				t.Errorf("taking it back took %v, want %v", calls, tt.back)
			}
			r.settled("somebody else's change")
			r.git(pair)
			if p := r.plan(); !p.Empty() {
				t.Errorf("a field that left git is not left alone:\n%s", describe(nil, p))
			}
		})
	}
}

// TestNodeRepairKeepsTheRest: what the file does not say of node repair stays, but a count and a percentage exclude each other.
func TestNodeRepairKeepsTheRest(t *testing.T) {
	t.Parallel()
	r := newRig(t, withField("web", "nodeRepairConfig: {enabled: true}"))
	r.converge()
	r.git(withField("web", "nodeRepairConfig: {maxUnhealthyNodeThresholdCount: 3, maxParallelNodesRepairedCount: 2}"))
	r.converge()
	r.git(withField("web", "nodeRepairConfig: {maxUnhealthyNodeThresholdPercentage: 20}"))
	r.converge()
	r.settled("the change")
	live := r.cloud.world.Groups["web"].Nodegroup.NodeRepairConfig
	if !aws.ToBool(live.Enabled) || live.MaxUnhealthyNodeThresholdCount != nil || aws.ToInt32(live.MaxUnhealthyNodeThresholdPercentage) != 20 || aws.ToInt32(live.MaxParallelNodesRepairedCount) != 2 {
		t.Errorf("node repair is %+v", live)
	}
}

// TestPropagatedTags: tags of labels and taints that leave git go before the labels do, in one call each, and nobody else's tags do.
func TestPropagatedTags(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		r := newRig(t, withField("web", "propagateASGTags: true"))
		r.converge()
		r.settled("creation")
		const template = "k8s.io/cluster-autoscaler/node-template/"
		has := func() map[string]string { return scalingTags(r.cloud.world.Groups["web"].Scaling) }
		for key, want := range map[string]string{template + "label/role": "web", template + "label/tier": "front", template + "taint/dedicated": "web", "team": "shop"} {
			if got := has()[key]; got != want {
				t.Errorf("tag %s is %q, want %q", key, got, want)
			}
		}
		_, err := r.cloud.aws.asg.CreateOrUpdateTags(t.Context(), &autoscaling.CreateOrUpdateTagsInput{Tags: []astypes.Tag{{
			ResourceId: r.scalingName("web"), ResourceType: aws.String("auto-scaling-group"), Key: aws.String(template + "label/zone"), Value: aws.String("a"), PropagateAtLaunch: aws.Bool(false),
		}}})
		r.does(err)
		r.git(strings.NewReplacer("{role: web, tier: front}", "{role: shop}", "  taints: [{key: dedicated, value: web, effect: NoSchedule}]\n", "").Replace(withField("web", "propagateASGTags: true")))
		r.restart = restart
		if calls := r.wrote(r.converge); !slices.Equal(calls, []string{"CreateOrUpdateTags", "DeleteTags", "UpdateNodegroupConfig"}) {
			t.Errorf("the change took %v", calls)
		}
		r.settled("the change")
		tags := has()
		_, tier := tags[template+"label/tier"]
		_, taint := tags[template+"taint/dedicated"]
		if tier || taint || tags[template+"label/role"] != "shop" || tags[template+"label/zone"] != "a" {
			t.Errorf("the tags are %v", tags)
		}
	}
}

// TestSuspendedByOthers: what somebody else suspends is compared only where git names the list; and where it does, a group that
// cannot come to its size for it is not waited for.
func TestSuspendedByOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t, pair)
	r.converge()
	r.suspends("batch", "Launch", "AZRebalance")
	if p := r.plan(); !p.Empty() {
		t.Errorf("what git does not name is planned:\n%s", describe(nil, p))
	}
	name := r.scalingName("batch")
	_, err := r.cloud.aws.asg.UpdateAutoScalingGroup(t.Context(), &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: name, DesiredCapacity: aws.Int32(3)})
	r.does(err)
	r.git(strings.Replace(withField("batch", "asgSuspendProcesses: []"), "  desiredCapacity: 1\n", "", 2))
	if calls := r.wrote(r.converge); !slices.Equal(calls, []string{"ResumeProcesses"}) {
		t.Errorf("resuming took %v", calls)
	}
	r.settled("resuming")
	if got := len(r.cloud.world.Groups["batch"].instances()); got != 3 {
		t.Errorf("%d nodes", got)
	}
}
