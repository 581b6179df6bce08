package eks

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// removeRemnant deletes what others left, for one ref.
func (c *Cloud) removeRemnant(ctx context.Context, cfg *Config, w *world, r gitops.Ref) error {
	if r.Kind == KindLogGroup {
		return c.removeLogGroup(ctx, cfg, w)
	}
	m, there := w.remnant(r)
	if !there || m.Stays != "" {
		return nil
	}
	return c.deleteRemnant(ctx, cfg, w, m, r)
}

// removeRemnants deletes what came up after the plan was made; false while some of it is still there. The cluster's network cannot go
// before that, and nobody is left to delete it afterwards.
func (c *Cloud) removeRemnants(ctx context.Context, cfg *Config, w *world, r gitops.Ref) (over bool, err error) {
	left := w.going()
	for _, m := range left {
		if err := c.deleteRemnant(ctx, cfg, w, m, r); err != nil {
			return false, err
		}
	}
	return len(left) == 0, nil
}

// deleteRemnant deletes one thing. What is still in use is tried again: AWS takes minutes to release what a load balancer used.
func (c *Cloud) deleteRemnant(ctx context.Context, cfg *Config, w *world, m remnant, r gitops.Ref) error {
	c.say(r, next("deleting %s", m.What))
	var err error
	switch m.Kind {
	case KindLoadBalancer:
		err = c.deleteBalancer(ctx, m)
	case KindNetworkInterface:
		_, err = c.aws.ec2.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &m.Name})
	case KindSecurityGroup:
		err = c.deleteGroupOfBalancer(ctx, cfg, w, m.Name)
	}
	switch {
	case absent(err):
		return nil
	case errorCode(err) == "DependencyViolation":
		c.say(r, next("%s is still in use", m.What))
		return nil
	case err == nil:
		c.Log.InfoContext(ctx, "deleted what others left", "kind", m.Kind, "name", m.Name)
	}
	return err
}

func (c *Cloud) deleteBalancer(ctx context.Context, m remnant) error {
	if m.ID == "" {
		_, err := c.aws.elb.DeleteLoadBalancer(ctx, &elb.DeleteLoadBalancerInput{LoadBalancerName: &m.Name})
		return err
	}
	_, err := c.aws.elbv2.DeleteLoadBalancer(ctx, &elbv2.DeleteLoadBalancerInput{LoadBalancerArn: &m.ID})
	return err
}

// deleteGroupOfBalancer deletes a security group, and first the rules by which groups of the cluster let it in: EC2 deletes no group that a
// rule names (EC2 API reference, DeleteSecurityGroup), and the controller that made the rules is gone.
func (c *Cloud) deleteGroupOfBalancer(ctx context.Context, cfg *Config, w *world, id string) error {
	filters := []ec2types.Filter{{Name: aws.String("ip-permission.group-id"), Values: []string{id}}}
	out, err := c.aws.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: cfg.within(w, filters)})
	if err != nil {
		return err
	}
	for _, g := range out.SecurityGroups {
		if _, ours := groupOurs(cfg.Name, tagMap(g.Tags)); !ours || aws.ToString(g.GroupId) == id {
			continue
		}
		in := &ec2.RevokeSecurityGroupIngressInput{GroupId: g.GroupId, IpPermissions: letIn(g.IpPermissions, id)}
		if _, err := c.aws.ec2.RevokeSecurityGroupIngress(ctx, in); err != nil && errorCode(err) != "InvalidPermission.NotFound" {
			return err
		}
	}
	_, err = c.aws.ec2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &id})
	return err
}

// letIn is the part of permissions that lets a group in.
func letIn(permissions []ec2types.IpPermission, id string) []ec2types.IpPermission {
	var out []ec2types.IpPermission
	for _, p := range permissions {
		pairs := slices.DeleteFunc(slices.Clone(p.UserIdGroupPairs), func(u ec2types.UserIdGroupPair) bool { return aws.ToString(u.GroupId) != id })
		if len(pairs) > 0 {
			out = append(out, ec2types.IpPermission{IpProtocol: p.IpProtocol, FromPort: p.FromPort, ToPort: p.ToPort, UserIdGroupPairs: pairs})
		}
	}
	return out
}

// releaseInterfaces deletes the interfaces that nodes left: while there is one in a security group, CloudFormation cannot delete that.
func (c *Cloud) releaseInterfaces(ctx context.Context, cfg *Config, w *world, r gitops.Ref) error {
	if !c.Teardown || cfg.adopted() || w.vpc(cfg.Name) == "" {
		return nil
	}
	found, err := c.groupsAndInterfaces(ctx, cfg, w)
	if err != nil {
		return err
	}
	for _, m := range found {
		if m.Kind != KindNetworkInterface || m.Stays != "" {
			continue
		}
		if err := c.deleteRemnant(ctx, cfg, w, m, r); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cloud) removeLogGroup(ctx context.Context, cfg *Config, w *world) error {
	if w.LogGroup == "" || !c.LogGroups {
		return nil
	}
	_, err := c.aws.logs.DeleteLogGroup(ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: aws.String(logGroup(cfg.Name))})
	if absent(err) {
		return nil
	}
	return err
}
