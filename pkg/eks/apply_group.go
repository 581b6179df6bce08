package eks

import (
	"cmp"
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// stepGroup takes the next step for a nodegroup: make it, change it in place, or go on with a replacement.
func (c *Cloud) stepGroup(ctx context.Context, cfg *Config, w *world, ch plan.Change) error {
	want, _ := cfg.nodegroup(ch.Ref.Name)
	if reason := want.refused(); reason != "" {
		return gitops.Errorf(gitops.ConfigInvalid, "%s", reason)
	}
	line := cfg.lineup(w, want)
	staying := line.staying()
	if len(line.litter) > 0 {
		return c.deleteStack(ctx, cfg, *line.litter[0].Stack)
	}
	if len(staying) > 0 && ch.Action != plan.Replace {
		return gitops.Errorf(gitops.ApplyFailed, "%s can only be replaced now: the plan is out of date", staying[0].Name)
	}
	switch {
	case line.target == nil:
		return c.makeGroup(ctx, cfg, w, want, line.name)
	case len(staying) > 0:
		return c.replaceGroup(ctx, cfg, w, line, staying[0], ch.Ref)
	case line.diff.same(), cfg.groupHealth(w, line.target).Status == gitops.Progressing && !line.stalled():
		return nil
	}
	if err := c.attempt(ctx, cfg, ch.Ref, line.diff, line.target.Name); err != nil {
		return err
	}
	if want.managed != nil {
		return c.changeManaged(ctx, cfg, want, line, ch.Ref)
	}
	return c.changeSelf(ctx, want, line)
}

// makeGroup orders the stack of a nodegroup; what stands in its way from a failed attempt goes first.
func (c *Cloud) makeGroup(ctx context.Context, cfg *Config, w *world, want nodegroup, name string) error {
	if w.Cluster == nil || w.Cluster.Status != ekstypes.ClusterStatusActive && w.Cluster.Status != ekstypes.ClusterStatusUpdating {
		return gitops.Errorf(gitops.Blocked, "the cluster is not active yet")
	}
	stack := nodegroupStack(cfg.Name, name)
	if w.Strangers[stack] {
		return gitops.Errorf(gitops.Foreign, "stack %s does not carry this cluster's tags", stack)
	}
	if s, ok := w.Stacks[stack]; ok {
		if c.isDismissed(aws.ToString(s.StackId)) {
			return nil
		}
		return c.clearStack(ctx, cfg, w, s)
	}
	o, err := c.renderGroup(ctx, cfg, w, want, name)
	if err != nil {
		return err
	}
	return c.createStack(ctx, cfg, o)
}

// replaceGroup goes on with a replacement whose successor exists: it waits for the successor's nodes, drains the old
// group, and lets it go when it is empty.
func (c *Cloud) replaceGroup(ctx context.Context, cfg *Config, w *world, line lineup, old *group, r gitops.Ref) error {
	if health := cfg.groupHealth(w, line.target); health.Status != gitops.Ready {
		if health.Status == gitops.Failed {
			return gitops.Errorf(cmp.Or(health.Reason, gitops.HealthFailed), "%s, which is to replace %s: %s", line.target.Name, old.Name, health.Message)
		}
		c.say(r, next("waiting for %s: %s", line.target.Name, health.Message))
		return nil
	}
	if c.Nodes != nil {
		instances := line.target.instances()
		if err := c.Nodes.ReleaseNodes(ctx, instances); err != nil {
			return fmt.Errorf("releasing the nodes of %s: %w", line.target.Name, err)
		}
		ready, err := c.Nodes.ReadyNodes(ctx, instances)
		if err != nil {
			return fmt.Errorf("looking at the nodes of %s: %w", line.target.Name, err)
		}
		if s, _ := line.target.scale(); int64(ready) < s.desired {
			c.say(r, next("%d of %d nodes of %s are ready", ready, s.desired, line.target.Name))
			return nil
		}
	}
	return c.dismissGroup(ctx, cfg, old, r)
}

// dismissGroup drains one live group a step further, and deletes its stack when nothing is left on its nodes.
func (c *Cloud) dismissGroup(ctx context.Context, cfg *Config, g *group, r gitops.Ref) error {
	if g.leaving() {
		return nil
	}
	if g.Stack == nil && !cfg.adopted() {
		return gitops.Errorf(gitops.Foreign, "no stack of this cluster made nodegroup %s", g.Name)
	}
	if instances := g.instances(); c.Nodes != nil && !c.Teardown && !g.failed() && len(instances) > 0 {
		left, blocked, err := c.Nodes.DrainNodes(ctx, instances, g.atOnce())
		if err != nil {
			return fmt.Errorf("draining %s: %w", g.Name, err)
		}
		if left > 0 {
			pods := "pods"
			if left == 1 {
				pods = "pod"
			}
			health := next("draining %s: %d %s left", g.Name, left, pods)
			if blocked != "" {
				health.Message += "; " + blocked
				health.Reason = gitops.DrainBlocked
			}
			c.say(r, health)
			return nil
		}
	}
	c.say(r, next("deleting %s", g.Name))
	if g.Stack == nil {
		return c.deleteGroup(ctx, cfg, g.Name)
	}
	return c.deleteStack(ctx, cfg, *g.Stack)
}

// say remembers, for Ready, what a ref waits for.
func (c *Cloud) say(r gitops.Ref, h gitops.Health) {
	c.mu.Lock()
	c.said[r] = h
	c.mu.Unlock()
}

func (c *Cloud) saying(r gitops.Ref, otherwise string) gitops.Health {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h, ok := c.said[r]; ok {
		return h
	}
	return next("%s", otherwise)
}

// changeManaged takes the first step that something differs for. Tags of labels and taints change before these do, and processes are
// suspended last: what changes before may need them.
func (c *Cloud) changeManaged(ctx context.Context, cfg *Config, want nodegroup, line lineup, r gitops.Ref) error {
	g, diff := line.target, line.diff
	suspend, resume := diff.processes()
	switch {
	case diff.differs(changedBy(byTags)...):
		return c.tagResource(ctx, aws.ToString(g.Nodegroup.NodegroupArn), gitops.TreeAt(diff.live, "tags"), gitops.TreeAt(diff.next, "tags"))
	case len(resume) > 0:
		return c.resume(ctx, g, resume)
	case diff.differs("propagateASGTags"):
		return c.tagScaling(ctx, g, gitops.TreeAt(diff.live, "propagateASGTags"), gitops.TreeAt(diff.next, "propagateASGTags"), false)
	case diff.differs(changedBy(byGroupConfig)...):
		return c.configureGroup(ctx, cfg, want, line, r)
	case diff.differs("version", "releaseVersion", "launchTemplate"):
		return c.rollGroup(ctx, cfg, want, line, r)
	case len(suspend) > 0:
		return c.suspend(ctx, g, suspend)
	}
	return gitops.Errorf(gitops.Internal, "no step is known for what differs")
}

// configureGroup sends one update of a managed group; size, labels, taints, update limits and repair travel together.
func (c *Cloud) configureGroup(ctx context.Context, cfg *Config, want nodegroup, line lineup, r gitops.Ref) error {
	g, diff := line.target, line.diff
	in := &eks.UpdateNodegroupConfigInput{ClusterName: &cfg.Name, NodegroupName: &g.Name}
	if diff.differs("minSize", "maxSize", "desiredCapacity") {
		s := diff.scale(g)
		in.ScalingConfig = &ekstypes.NodegroupScalingConfig{MinSize: size(s.min), MaxSize: size(s.max), DesiredSize: size(s.desired)}
	}
	if diff.differs("labels") {
		in.Labels = labelChange(gitops.TreeAt(diff.live, "labels"), gitops.TreeAt(diff.next, "labels"))
	}
	if diff.differs("taints") {
		in.Taints = taintChange(g.Nodegroup.Taints, want.managed.Taints)
	}
	if u := want.managed.UpdateConfig; diff.differs("updateConfig") && u != nil {
		in.UpdateConfig = &ekstypes.NodegroupUpdateConfig{MaxUnavailable: size32(u.MaxUnavailable), MaxUnavailablePercentage: size32(u.MaxUnavailablePercentage)}
	}
	if repair := want.managed.NodeRepairConfig; diff.differs("nodeRepairConfig") && repair != nil {
		in.NodeRepairConfig = repairChange(g.Nodegroup.NodeRepairConfig, repair)
	}
	out, err := c.aws.eks.UpdateNodegroupConfig(ctx, in)
	if err == nil {
		c.began(r, out.Update)
	}
	return err
}

// rollGroup gives the nodes of a managed group another version. A release that git pins goes with another version of the launch template:
// without one, EKS takes the latest.
func (c *Cloud) rollGroup(ctx context.Context, cfg *Config, want nodegroup, line lineup, r gitops.Ref) error {
	diff := line.diff
	in := &eks.UpdateNodegroupVersionInput{ClusterName: &cfg.Name, NodegroupName: &line.target.Name}
	if diff.differs("version") {
		in.Version = aws.String(gitops.StringAt(diff.next, "version"))
	}
	if release := gitops.StringAt(diff.next, "releaseVersion"); release != "" && in.Version == nil {
		in.ReleaseVersion = &release
	}
	if diff.differs("launchTemplate") {
		in.LaunchTemplate = &ekstypes.LaunchTemplateSpecification{Id: &want.managed.LaunchTemplate.ID, Version: want.managed.LaunchTemplate.Version}
	}
	out, err := c.aws.eks.UpdateNodegroupVersion(ctx, in)
	if err == nil {
		c.began(r, out.Update)
	}
	return err
}

// changeSelf changes a self-managed group through Auto Scaling: what keeps it from its size goes first, and comes last.
func (c *Cloud) changeSelf(ctx context.Context, want nodegroup, line lineup) error {
	g, diff := line.target, line.diff
	if g.Scaling == nil {
		return gitops.Errorf(gitops.HealthFailed, "its Auto Scaling group is gone")
	}
	suspend, resume := diff.processes()
	switch {
	case len(resume) > 0:
		return c.resume(ctx, g, resume)
	case diff.differs(changedBy(byScaling)...):
		return c.updateScaling(ctx, want, line)
	case diff.differs("asgMetricsCollection"):
		return c.collect(ctx, want, g)
	case diff.differs("targetGroupARNs", "classicLoadBalancerNames"):
		return c.balance(ctx, g, diff)
	case diff.differs("tags"):
		return c.tagScaling(ctx, g, gitops.TreeAt(diff.live, "tags"), gitops.TreeAt(diff.next, "tags"), true)
	case diff.differs("propagateASGTags"):
		return c.tagScaling(ctx, g, gitops.TreeAt(diff.live, "propagateASGTags"), gitops.TreeAt(diff.next, "propagateASGTags"), true)
	case len(suspend) > 0:
		return c.suspend(ctx, g, suspend)
	}
	return gitops.Errorf(gitops.Internal, "no step is known for what differs")
}

// scale is the whole size to send: what differs, over what is live.
func (c comparison) scale(g *group) scale {
	s, _ := g.scale()
	for name, to := range map[string]*int64{"minSize": &s.min, "maxSize": &s.max, "desiredCapacity": &s.desired} {
		if v, ok := c.next[name].(int64); ok {
			*to = v
		}
	}
	return s
}

func size(n int64) *int32 { return aws.Int32(int32(n)) }

func size32(n *int) *int32 {
	if n == nil {
		return nil
	}
	return size(int64(*n))
}

func labelChange(live, next gitops.Tree) *ekstypes.UpdateLabelsPayload {
	out := &ekstypes.UpdateLabelsPayload{AddOrUpdateLabels: map[string]string{}}
	for k, v := range next {
		if s, ok := v.(string); ok && live[k] != v {
			out.AddOrUpdateLabels[k] = s
		}
	}
	for k := range live {
		if _, ok := next[k]; !ok {
			out.RemoveLabels = append(out.RemoveLabels, k)
		}
	}
	return out
}

// taintChange adds and removes taints; one whose value changed is set anew, for key and effect name a taint.
func taintChange(live []ekstypes.Taint, next []api.NodeGroupTaint) *ekstypes.UpdateTaintsPayload {
	effects := map[string]ekstypes.TaintEffect{
		"NoSchedule": ekstypes.TaintEffectNoSchedule, "NoExecute": ekstypes.TaintEffectNoExecute, "PreferNoSchedule": ekstypes.TaintEffectPreferNoSchedule,
	}
	out := &ekstypes.UpdateTaintsPayload{}
	id := func(key string, effect ekstypes.TaintEffect) string { return key + "\x00" + string(effect) }
	wanted := map[string]bool{}
	had := map[string]string{}
	for _, t := range live {
		had[id(aws.ToString(t.Key), t.Effect)] = aws.ToString(t.Value)
	}
	for _, t := range next {
		effect := effects[string(t.Effect)]
		wanted[id(t.Key, effect)] = true
		if value, ok := had[id(t.Key, effect)]; ok && value == t.Value {
			continue
		}
		item := ekstypes.Taint{Key: aws.String(t.Key), Effect: effect}
		if t.Value != "" {
			item.Value = aws.String(t.Value)
		}
		out.AddOrUpdateTaints = append(out.AddOrUpdateTaints, item)
	}
	for _, t := range live {
		if !wanted[id(aws.ToString(t.Key), t.Effect)] {
			out.RemoveTaints = append(out.RemoveTaints, t)
		}
	}
	return out
}
