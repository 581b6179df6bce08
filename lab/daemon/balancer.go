package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/ec2"
	"github.com/eks-gitops/reconciler/internal/sim/aws/eks"
	"github.com/eks-gitops/reconciler/internal/sim/aws/elb"
	"github.com/eks-gitops/reconciler/internal/sim/aws/elbv2"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
	"github.com/eks-gitops/reconciler/lab/cluster"
)

// balancers are the load balancers that Kubernetes' cloud provider makes in the simulated AWS for the Services of one cluster, with its names and
// tags (https://github.com/kubernetes/cloud-provider-aws, pkg/providers/v1: EnsureLoadBalancer and EnsureLoadBalancerDeleted).
type balancers struct {
	aws *aws.Server
	of  eks.ControlPlane
}

// provider is who asks EC2: the cloud provider runs with the control plane, as the cluster's role.
func (b balancers) provider() wire.Caller { return wire.Caller{ARN: b.of.ARN} }

func (b balancers) tagKey() string { return "kubernetes.io/cluster/" + b.of.Cluster }

// Ensure implements cluster.Balancers.
func (b balancers) Ensure(ctx context.Context, want cluster.Balancer) (host string, err error) {
	err = b.aws.World.Do(true, func() error {
		host, err = b.ensure(ctx, want)
		return err
	})
	return host, err
}

func (b balancers) ensure(ctx context.Context, want cluster.Balancer) (string, error) {
	if host, ok := b.aws.ELB.Host(want.Name); ok {
		return host, nil
	}
	if host, ok := b.aws.ELBv2.Host(want.Name); ok {
		return host, nil
	}
	subnets, err := b.subnets(ctx, want.Internal)
	if err != nil {
		return "", err
	}
	tags := world.Tags{b.tagKey(): "owned", "kubernetes.io/service-name": want.Service}
	scheme := "internet-facing"
	if want.Internal {
		scheme = "internal"
	}
	if want.Network {
		made := elbv2.Balancer{Name: want.Name, Type: "network", VPC: b.of.VPC, Scheme: scheme, Tags: tags}
		for _, n := range subnets {
			made.Zones = append(made.Zones, elbv2.Zone{ZoneName: n.AvailabilityZone, SubnetID: n.SubnetID})
		}
		b.aws.ELBv2.Put(made)
		host, _ := b.aws.ELBv2.Host(want.Name)
		return host, nil
	}
	group, err := b.group(ctx, want)
	if err != nil {
		return "", err
	}
	made := elb.Balancer{Name: want.Name, VPC: b.of.VPC, Scheme: scheme, SecurityGroups: []string{group}, Tags: tags}
	for _, n := range subnets {
		made.Zones, made.Subnets = append(made.Zones, n.AvailabilityZone), append(made.Subnets, n.SubnetID)
	}
	b.aws.ELB.Put(made)
	host, _ := b.aws.ELB.Host(want.Name)
	return host, nil
}

// subnets are the best ones for a load balancer, one of each zone.
func (b balancers) subnets(ctx context.Context, internal bool) ([]ec2.Subnet, error) {
	out, err := b.aws.EC2.DescribeSubnets(ctx, b.provider(), &ec2.DescribeSubnetsInput{Query: within(b.of.VPC)})
	if err != nil {
		return nil, err
	}
	best := map[string]ec2.Subnet{}
	for _, n := range out.Subnets {
		if rank := b.rank(n, internal); rank > 0 && rank > b.rank(best[n.AvailabilityZone], internal) {
			best[n.AvailabilityZone] = n
		}
	}
	if len(best) == 0 {
		return nil, errors.New("could not find any suitable subnets for creating the ELB")
	}
	return slices.SortedFunc(maps.Values(best), func(a, b ec2.Subnet) int { return cmp.Compare(a.AvailabilityZone, b.AvailabilityZone) }), nil
}

// rank is how well a subnet is for a load balancer: 2 for one that is tagged for its sort, 1 for one that does, 0 for one that does not, or is
// another cluster's (https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html#network-requirements-subnets).
func (b balancers) rank(n ec2.Subnet, internal bool) int {
	role := "kubernetes.io/role/elb"
	if internal {
		role = "kubernetes.io/role/internal-elb"
	}
	tagged := func(is func(key string) bool) bool {
		return slices.ContainsFunc(n.Tags, func(t ec2.Tag) bool { return is(t.Key) })
	}
	ours := tagged(func(key string) bool { return key == b.tagKey() })
	switch {
	case tagged(func(key string) bool { return key == role }):
		return 2
	case !ours && tagged(func(key string) bool { return strings.HasPrefix(key, "kubernetes.io/cluster/") }):
		return 0
	case n.MapPublicIPOnLaunch, internal && n.SubnetID != "":
		return 1
	}
	return 0
}

func within(vpc string) ec2.Query {
	return ec2.Query{Filters: []ec2.Filter{{Name: "vpc-id", Values: []string{vpc}}}}
}

// group makes the security group of a classic load balancer, and lets it reach the nodes.
func (b balancers) group(ctx context.Context, want cluster.Balancer) (string, error) {
	id, err := b.groupOf(ctx, want.Name)
	if err != nil {
		return "", err
	}
	if id == "" {
		made, err := b.aws.EC2.CreateSecurityGroup(ctx, b.provider(), &ec2.CreateSecurityGroupInput{
			GroupName: "k8s-elb-" + want.Name, VpcID: b.of.VPC, Description: fmt.Sprintf("Security group for Kubernetes ELB %s (%s)", want.Name, want.Service),
			TagSpecifications: []ec2.TagSpecification{{ResourceType: "security-group", Tags: []ec2.Tag{{Key: b.tagKey(), Value: "owned"}}}},
		})
		if err != nil {
			return "", err
		}
		id = made.GroupID
	}
	var open []ec2.IPPermission
	for _, p := range want.Ports {
		port := int(p)
		open = append(open, ec2.IPPermission{IPProtocol: "tcp", FromPort: &port, ToPort: &port, IPRanges: []ec2.IPRange{{CidrIP: "0.0.0.0/0"}}})
	}
	if err := b.allow(ctx, id, open); err != nil {
		return "", err
	}
	return id, b.allow(ctx, b.of.SecurityGroup, everythingFrom(id))
}

func everythingFrom(group string) []ec2.IPPermission {
	return []ec2.IPPermission{{IPProtocol: "-1", Groups: []ec2.UserIDGroupPair{{GroupID: group}}}}
}

// groupOf finds the security group of a load balancer, "" if there is none.
func (b balancers) groupOf(ctx context.Context, balancer string) (string, error) {
	query := within(b.of.VPC)
	query.Filters = append(query.Filters, ec2.Filter{Name: "group-name", Values: []string{"k8s-elb-" + balancer}})
	out, err := b.aws.EC2.DescribeSecurityGroups(ctx, b.provider(), &ec2.DescribeSecurityGroupsInput{Query: query})
	if err != nil || len(out.SecurityGroups) == 0 {
		return "", err
	}
	return out.SecurityGroups[0].GroupID, nil
}

func (b balancers) allow(ctx context.Context, group string, what []ec2.IPPermission) error {
	_, err := b.aws.EC2.AuthorizeSecurityGroupIngress(ctx, b.provider(), &ec2.AuthorizeInput{
		RulesInput: ec2.RulesInput{GroupID: group, IPPermissions: what},
	})
	return unless(err, "InvalidPermission.Duplicate")
}

// Remove implements cluster.Balancers.
func (b balancers) Remove(ctx context.Context, name string) error {
	return b.aws.World.Do(true, func() error {
		b.aws.ELB.Remove(name)
		if found, ok := b.aws.ELBv2.Find(name); ok {
			b.aws.ELBv2.Remove(found.ARN)
		}
		group, err := b.groupOf(ctx, name)
		if err != nil || group == "" {
			return err
		}
		_, err = b.aws.EC2.RevokeSecurityGroupIngress(ctx, b.provider(), &ec2.RevokeInput{
			RulesInput: ec2.RulesInput{GroupID: b.of.SecurityGroup, IPPermissions: everythingFrom(group)},
		})
		if err := unless(err, "InvalidPermission.NotFound"); err != nil {
			return err
		}
		_, err = b.aws.EC2.DeleteSecurityGroup(ctx, b.provider(), &ec2.DeleteSecurityGroupInput{GroupID: group})
		return err
	})
}

// unless forgets an error of AWS that says that something is as it should be.
func unless(err error, code string) error {
	if e, ok := errors.AsType[*wire.Error](err); ok && e.Code == code {
		return nil
	}
	return err
}
