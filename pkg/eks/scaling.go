package eks

import (
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/cfn/builder"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// What eksctl sets on the Auto Scaling group of a nodegroup past its stack: processes that are suspended (pkg/eks/nodegroup.go), and
// of managed nodegroups the tags that the Cluster Autoscaler reads (pkg/cfn/manager/nodegroup.go).

// compareScaling fills in what is set on the scaling group. What else is suspended is compared only where git names the list.
func (c *Config) compareScaling(out *comparison, want nodegroup, g *group) {
	if _, ok := out.next["asgSuspendProcesses"]; ok && g.Scaling != nil {
		out.live["asgSuspendProcesses"] = suspended(g.Scaling)
	} else {
		keep(out, "asgSuspendProcesses")
	}
	keep(out, "propagateASGTags")
	if api.IsEnabled(want.base().PropagateASGTags) && g.Scaling != nil {
		next := c.propagated(want)
		out.live["propagateASGTags"], out.next["propagateASGTags"] = propagatedTo(g, next), next
	}
}

func suspended(a *astypes.AutoScalingGroup) []any {
	names := make([]string, 0, len(a.SuspendedProcesses))
	for _, p := range a.SuspendedProcesses {
		names = append(names, aws.ToString(p.ProcessName))
	}
	return sortedStrings(names)
}

// propagated are the tags that propagateASGTags means: those of labels and taints, and of a managed nodegroup its own, which a self-managed
// one has in any case.
func (c *Config) propagated(want nodegroup) gitops.Tree {
	out := autoscalerTags(want.pool())
	if want.managed != nil {
		maps.Copy(out, c.tagsFor(want.written))
	}
	return out
}

// autoscalerTags tell the Cluster Autoscaler the labels and taints that new nodes of a group will have.
func autoscalerTags(np api.NodePool) gitops.Tree {
	out := gitops.Tree{}
	builder.GenerateClusterAutoscalerTags(np, func(key, value string) { out[key] = value })
	return out
}

// propagatedTo are the wanted tags as the scaling group has them, and those of labels and taints that the nodegroup still has and git
// does not: they go before the labels and taints do, since nothing would tell later whose they were. Other tags are somebody else's.
func propagatedTo(g *group, wanted gitops.Tree) gitops.Tree {
	has := stringTree(scalingTags(g.Scaling))
	out := pick(has, wanted)
	if g.Nodegroup == nil {
		return out
	}
	was := &api.ManagedNodeGroup{NodeGroupBase: &api.NodeGroupBase{Labels: map[string]string{}}}
	for key := range ownLabels(g.Nodegroup.Labels) {
		was.Labels[key] = g.Nodegroup.Labels[key]
	}
	for _, t := range g.Nodegroup.Taints {
		was.Taints = append(was.Taints, api.NodeGroupTaint{Key: aws.ToString(t.Key)})
	}
	maps.Copy(out, pick(has, autoscalerTags(was)))
	return out
}

func scalingTags(a *astypes.AutoScalingGroup) map[string]string {
	return tagsBy(a.Tags, func(t astypes.TagDescription) (key, value *string) { return t.Key, t.Value })
}

// processes are those that are to be suspended, and those to be resumed.
func (c comparison) processes() (suspend, resume []string) {
	return c.lacks("asgSuspendProcesses")
}

// stalled says that a group may never come to its size as it is, for processes that are suspended and that git wants to run, or for a size
// or settings that git has others of: nothing waits for that.
func (l lineup) stalled() bool {
	g := l.target
	if g == nil || g.Managed || g.Stack == nil || !stackDone(*g.Stack) {
		return false
	}
	_, resume := l.diff.processes()
	return len(resume) > 0 || l.diff.differs(changedBy(byScaling)...)
}

// suspend is never called without names, which would mean all processes.
func (c *Cloud) suspend(ctx context.Context, g *group, names []string) error {
	_, err := c.aws.asg.SuspendProcesses(ctx, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: g.Scaling.AutoScalingGroupName, ScalingProcesses: names})
	return err
}

func (c *Cloud) resume(ctx context.Context, g *group, names []string) error {
	_, err := c.aws.asg.ResumeProcesses(ctx, &autoscaling.ResumeProcessesInput{AutoScalingGroupName: g.Scaling.AutoScalingGroupName, ScalingProcesses: names})
	return err
}

// tagScaling sets the tags that are missing or wrong, then removes those that are not wanted: one call at a time, with as many tags
// as eksctl sends.
func (c *Cloud) tagScaling(ctx context.Context, g *group, live, next gitops.Tree, atLaunch bool) error {
	var set, drop []astypes.Tag
	named := func(key string) astypes.Tag {
		return astypes.Tag{Key: &key, ResourceId: g.Scaling.AutoScalingGroupName, ResourceType: aws.String("auto-scaling-group")}
	}
	for _, key := range slices.Sorted(maps.Keys(next)) {
		if value, ok := next[key].(string); ok && live[key] != next[key] {
			t := named(key)
			t.Value, t.PropagateAtLaunch = &value, &atLaunch
			set = append(set, t)
		}
	}
	if len(set) > 0 {
		_, err := c.aws.asg.CreateOrUpdateTags(ctx, &autoscaling.CreateOrUpdateTagsInput{Tags: set[:min(len(set), builder.MaximumCreatedTagNumberPerCall)]})
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(live)) {
		if _, wanted := next[key]; !wanted {
			drop = append(drop, named(key))
		}
	}
	_, err := c.aws.asg.DeleteTags(ctx, &autoscaling.DeleteTagsInput{Tags: drop[:min(len(drop), builder.MaximumCreatedTagNumberPerCall)]})
	return err
}
