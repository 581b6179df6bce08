package eks

import (
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"golang.org/x/sync/errgroup"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// readGroups reads every nodegroup: those that EKS lists, and those that only a stack tells of.
func (c *Cloud) readGroups(ctx context.Context, cfg *Config, w *world) error {
	p := eks.NewListNodegroupsPaginator(c.aws.eks, &eks.ListNodegroupsInput{ClusterName: &cfg.Name})
	names, err := page(ctx, p.HasMorePages,
		func(ctx context.Context) (*eks.ListNodegroupsOutput, error) { return p.NextPage(ctx) },
		func(o *eks.ListNodegroupsOutput) []string { return o.Nodegroups })
	if err != nil {
		return err
	}
	w.Groups = map[string]*group{}
	c.groupsOfStacks(w)
	for _, name := range names {
		if w.Groups[name] == nil {
			w.Groups[name] = &group{Name: name, User: name, Managed: true}
		}
	}
	return c.fillGroups(ctx, cfg, w, slices.Sorted(maps.Keys(w.Groups)))
}

// groupsOfStacks makes a group of every nodegroup stack.
func (c *Cloud) groupsOfStacks(w *world) {
	for _, s := range w.Stacks {
		name := tag(s, tagNodegroup)
		if name == "" || tag(s, api.NodeGroupTypeTag) == "" {
			continue
		}
		g := &group{Name: name, User: name, Managed: tag(s, api.NodeGroupTypeTag) == string(api.NodeGroupTypeManaged), Stack: &s}
		if user := tag(s, tagUserName); user != "" {
			g.User = user
		}
		template := w.Templates[aws.ToString(s.StackName)]
		g.Template, g.Recorded, g.Ordered = template, gitops.TreeAt(template, "Metadata", tagUserName), orderedTypes(template)
		w.Groups[name] = g
	}
}

// refreshGroups reads some groups anew, by their own names.
func (c *Cloud) refreshGroups(ctx context.Context, cfg *Config, w *world, names []string) error {
	stacks := make([]string, 0, len(names))
	for _, name := range names {
		stacks = append(stacks, nodegroupStack(cfg.Name, name))
	}
	if err := c.refreshStacks(ctx, cfg, w, stacks...); err != nil {
		return err
	}
	fresh := w.clone()
	fresh.Groups = map[string]*group{}
	c.groupsOfStacks(fresh)
	for _, name := range names {
		delete(w.Groups, name)
		if g := fresh.Groups[name]; g != nil {
			w.Groups[name] = g
		} else {
			w.Groups[name] = &group{Name: name, User: name, Managed: true}
		}
	}
	return c.fillGroups(ctx, cfg, w, names)
}

// fillGroups completes groups with what EKS, Auto Scaling and EC2 say; a group that none of them knows, and that has no
// stack, is not there.
func (c *Cloud) fillGroups(ctx context.Context, cfg *Config, w *world, names []string) error {
	scaling, err := c.readScaling(ctx, cfg.Name)
	if err != nil {
		return err
	}
	around := surroundingsOf(w.Stacks[clusterStack(cfg.Name)])
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	filled := make([]*group, len(names))
	for i, name := range names {
		g.Go(func() (err error) {
			own := *w.Groups[name]
			own.Around = around
			if filled[i], err = c.fillGroup(gctx, cfg, own, scaling); err == nil {
				err = c.readMachines(gctx, cfg, filled[i])
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := c.readImages(ctx, filled); err != nil {
		return err
	}
	for i, name := range names {
		delete(w.Groups, name)
		if filled[i].Stack != nil || filled[i].Nodegroup != nil {
			w.Groups[name] = filled[i]
		}
	}
	return nil
}

func (c *Cloud) fillGroup(ctx context.Context, cfg *Config, g group, scaling []astypes.AutoScalingGroup) (*group, error) {
	if g.Managed {
		out, err := c.aws.eks.DescribeNodegroup(ctx, &eks.DescribeNodegroupInput{ClusterName: &cfg.Name, NodegroupName: &g.Name})
		if err != nil && !absent(err) {
			return nil, err
		}
		if err == nil {
			g.Nodegroup = out.Nodegroup
		}
	}
	g.Scaling = scalingOf(g, scaling)
	id, version := launchTemplateOf(g)
	if id == "" || (g.Managed && !cfg.asksLaunchTemplate(g.User)) {
		return &g, nil
	}
	out, err := c.aws.ec2.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &id, Versions: []string{version}})
	if err != nil && !absent(err) {
		return nil, err
	}
	if err == nil && len(out.LaunchTemplateVersions) > 0 {
		g.Launch = out.LaunchTemplateVersions[0].LaunchTemplateData
	}
	return &g, nil
}

// readScaling reads all Auto Scaling groups of the cluster, of managed and self-managed nodegroups alike: both carry the
// tag that Kubernetes' cloud provider wants.
func (c *Cloud) readScaling(ctx context.Context, cluster string) ([]astypes.AutoScalingGroup, error) {
	p := autoscaling.NewDescribeAutoScalingGroupsPaginator(c.aws.asg, &autoscaling.DescribeAutoScalingGroupsInput{
		Filters: []astypes.Filter{{Name: aws.String("tag-key"), Values: []string{"kubernetes.io/cluster/" + cluster}}},
	})
	return page(ctx, p.HasMorePages,
		func(ctx context.Context) (*autoscaling.DescribeAutoScalingGroupsOutput, error) {
			return p.NextPage(ctx)
		},
		func(o *autoscaling.DescribeAutoScalingGroupsOutput) []astypes.AutoScalingGroup {
			return o.AutoScalingGroups
		})
}

// scalingOf finds a group's Auto Scaling group: EKS names that of a managed one, CloudFormation tags that of its stack.
func scalingOf(g group, all []astypes.AutoScalingGroup) *astypes.AutoScalingGroup {
	name := ""
	if g.Nodegroup != nil && g.Nodegroup.Resources != nil && len(g.Nodegroup.Resources.AutoScalingGroups) > 0 {
		name = aws.ToString(g.Nodegroup.Resources.AutoScalingGroups[0].Name)
	}
	for _, a := range all {
		if name != "" && aws.ToString(a.AutoScalingGroupName) == name {
			return &a
		}
		if !g.Managed && g.Stack != nil && scalingTag(a, "aws:cloudformation:stack-id") == aws.ToString(g.Stack.StackId) {
			return &a
		}
	}
	return nil
}

func scalingTag(a astypes.AutoScalingGroup, key string) string {
	for _, t := range a.Tags {
		if aws.ToString(t.Key) == key {
			return aws.ToString(t.Value)
		}
	}
	return ""
}

func launchTemplateOf(g group) (id, version string) {
	if g.Nodegroup != nil && g.Nodegroup.LaunchTemplate != nil {
		return aws.ToString(g.Nodegroup.LaunchTemplate.Id), aws.ToString(g.Nodegroup.LaunchTemplate.Version)
	}
	if g.Managed || g.Scaling == nil {
		return "", ""
	}
	spec := g.Scaling.LaunchTemplate
	if spec == nil && g.Scaling.MixedInstancesPolicy != nil && g.Scaling.MixedInstancesPolicy.LaunchTemplate != nil {
		spec = g.Scaling.MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification
	}
	if spec == nil {
		return "", ""
	}
	return aws.ToString(spec.LaunchTemplateId), aws.ToString(spec.Version)
}

// healthOf sums a managed group's health issues up.
func healthOf(n *ekstypes.Nodegroup) string {
	if n == nil || n.Health == nil || len(n.Health.Issues) == 0 {
		return ""
	}
	issue := n.Health.Issues[0]
	return string(issue.Code) + ": " + aws.ToString(issue.Message)
}
