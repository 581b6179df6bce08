package eks

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"golang.org/x/sync/errgroup"
)

// readRemnants looks for what others left in AWS for a cluster that ends. A cluster that lives is not asked about, and an adopted one stays.
func (c *Cloud) readRemnants(ctx context.Context, cfg *Config, w *world) error {
	w.Remnants = nil
	if !c.Teardown || cfg.adopted() || !w.over(cfg.Name) && w.vpc(cfg.Name) == "" {
		return nil
	}
	parts := []func(context.Context, *Config, *world) ([]remnant, error){c.classicBalancers, c.balancers, c.groupsAndInterfaces}
	if w.over(cfg.Name) {
		parts = append(parts, c.volumes, c.roles, c.providers)
	}
	found := make([][]remnant, len(parts))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, read := range parts {
		g.Go(func() (err error) { found[i], err = read(gctx, cfg, w); return err })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	w.Remnants = slices.Concat(found...)
	slices.SortFunc(w.Remnants, func(a, b remnant) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name)) })
	return nil
}

// balancer is a load balancer of either API.
type balancer struct {
	// id is what tags are asked by, vpc the network that it is in.
	id, vpc string
	remnant
}

func (c *Cloud) classicBalancers(ctx context.Context, cfg *Config, w *world) ([]remnant, error) {
	p := elb.NewDescribeLoadBalancersPaginator(c.aws.elb, &elb.DescribeLoadBalancersInput{})
	list, err := page(ctx, p.HasMorePages, func(ctx context.Context) (*elb.DescribeLoadBalancersOutput, error) { return p.NextPage(ctx) },
		func(o *elb.DescribeLoadBalancersOutput) []elbtypes.LoadBalancerDescription {
			return o.LoadBalancerDescriptions
		})
	if err != nil {
		return nil, err
	}
	var all []balancer
	for _, l := range list {
		name := aws.ToString(l.LoadBalancerName)
		all = append(all, balancer{name, aws.ToString(l.VPCId), remnant{Kind: KindLoadBalancer, Name: name, What: "classic load balancer " + name}})
	}
	return c.judgeBalancers(ctx, cfg, w, all, func(ctx context.Context, names []string) (map[string]map[string]string, error) {
		out, err := c.aws.elb.DescribeTags(ctx, &elb.DescribeTagsInput{LoadBalancerNames: names})
		if err != nil {
			return nil, err
		}
		tags := map[string]map[string]string{}
		for _, d := range out.TagDescriptions {
			tags[aws.ToString(d.LoadBalancerName)] = tagsBy(d.Tags, func(t elbtypes.Tag) (key, value *string) { return t.Key, t.Value })
		}
		return tags, nil
	})
}

// balancers are application, network and gateway load balancers. Their names here are those in their ARNs (app/NAME/ID), which a successor
// does not have.
func (c *Cloud) balancers(ctx context.Context, cfg *Config, w *world) ([]remnant, error) {
	p := elbv2.NewDescribeLoadBalancersPaginator(c.aws.elbv2, &elbv2.DescribeLoadBalancersInput{})
	list, err := page(ctx, p.HasMorePages, func(ctx context.Context) (*elbv2.DescribeLoadBalancersOutput, error) { return p.NextPage(ctx) },
		func(o *elbv2.DescribeLoadBalancersOutput) []elbv2types.LoadBalancer { return o.LoadBalancers })
	if err != nil {
		return nil, err
	}
	var all []balancer
	for _, l := range list {
		arn := aws.ToString(l.LoadBalancerArn)
		_, name, _ := strings.Cut(arn, ":loadbalancer/")
		what := fmt.Sprintf("%s load balancer %s", l.Type, aws.ToString(l.LoadBalancerName))
		all = append(all, balancer{arn, aws.ToString(l.VpcId), remnant{Kind: KindLoadBalancer, Name: name, ID: arn, What: what}})
	}
	return c.judgeBalancers(ctx, cfg, w, all, func(ctx context.Context, arns []string) (map[string]map[string]string, error) {
		out, err := c.aws.elbv2.DescribeTags(ctx, &elbv2.DescribeTagsInput{ResourceArns: arns})
		if err != nil {
			return nil, err
		}
		tags := map[string]map[string]string{}
		for _, d := range out.TagDescriptions {
			tags[aws.ToString(d.ResourceArn)] = tagsBy(d.Tags, func(t elbv2types.Tag) (key, value *string) { return t.Key, t.Value })
		}
		return tags, nil
	})
}

type tagReader func(ctx context.Context, ids []string) (map[string]map[string]string, error)

// judgeBalancers picks the load balancers that are the cluster's. Of its network only those with its tags go; another one in a network that
// the cluster's stack made keeps that from going, and is told.
func (c *Cloud) judgeBalancers(ctx context.Context, cfg *Config, w *world, all []balancer, read tagReader) ([]remnant, error) {
	vpc := w.vpc(cfg.Name)
	all = slices.DeleteFunc(all, func(b balancer) bool { return vpc != "" && b.vpc != vpc })
	tags := map[string]map[string]string{}
	for some := range slices.Chunk(all, 20) { // as many as one call takes
		if err := readTags(ctx, some, read, tags); err != nil {
			return nil, err
		}
	}
	var out []remnant
	for _, b := range all {
		has, there := tags[b.id]
		switch {
		case !there:
		case claimed(has, cfg.Name):
			b.Stays = w.verdict(cfg.Name)
			out = append(out, b.remnant)
		case vpc != "":
			stacked, err := c.stackedNetwork(ctx, cfg, vpc)
			if err != nil {
				return nil, err
			}
			if stacked {
				b.Stays = "it carries no tag of the cluster alone, but is in the network that the cluster's stack made, which cannot go before it"
				out = append(out, b.remnant)
			}
		}
	}
	return out, nil
}

// readTags asks for the tags of several; when one of them is gone meanwhile, AWS tells of none, and each is asked for alone.
func readTags(ctx context.Context, some []balancer, read tagReader, into map[string]map[string]string) error {
	ids := make([]string, 0, len(some))
	for _, b := range some {
		ids = append(ids, b.id)
	}
	found, err := read(ctx, ids)
	switch {
	case absent(err) && len(some) > 1:
		for i := range some {
			if err := readTags(ctx, some[i:i+1], read, into); err != nil {
				return err
			}
		}
		return nil
	case absent(err):
		return nil
	}
	for id, tags := range found {
		into[id] = tags
	}
	return err
}

// stackedNetwork reports whether the cluster's stack made a network.
func (c *Cloud) stackedNetwork(ctx context.Context, cfg *Config, vpc string) (bool, error) {
	out, err := c.aws.ec2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{VpcIds: []string{vpc}})
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(out.Vpcs, func(v ec2types.Vpc) bool { return tagMap(v.Tags)[tagStackName] == clusterStack(cfg.Name) }), nil
}

// groupsAndInterfaces reads the security groups of the cluster's network, and the interfaces in it that nothing uses.
func (c *Cloud) groupsAndInterfaces(ctx context.Context, cfg *Config, w *world) ([]remnant, error) {
	filters := []ec2types.Filter{{Name: aws.String("tag-key"), Values: append(markers(cfg.Name), tagEKSGroup, api.ClusterNameTag)}}
	p := ec2.NewDescribeSecurityGroupsPaginator(c.aws.ec2, &ec2.DescribeSecurityGroupsInput{Filters: cfg.within(w, filters)})
	groups, err := page(ctx, p.HasMorePages, func(ctx context.Context) (*ec2.DescribeSecurityGroupsOutput, error) { return p.NextPage(ctx) },
		func(o *ec2.DescribeSecurityGroupsOutput) []ec2types.SecurityGroup { return o.SecurityGroups })
	if err != nil {
		return nil, err
	}
	var out []remnant
	ours := map[string]bool{}
	for _, g := range groups {
		id, tags := aws.ToString(g.GroupId), tagMap(g.Tags)
		if stacked, known := groupOurs(cfg.Name, tags); known {
			ours[id] = stacked
		}
		if m, left := w.judgeGroup(cfg.Name, id, aws.ToString(g.GroupName), tags); left {
			out = append(out, m)
		}
	}
	interfaces, err := c.interfaces(ctx, cfg, w, ours)
	return append(out, interfaces...), err
}

// within narrows a question to the cluster's network, where that is known.
func (c *Config) within(w *world, filters []ec2types.Filter) []ec2types.Filter {
	if vpc := w.vpc(c.Name); vpc != "" {
		filters = append(filters, ec2types.Filter{Name: aws.String("vpc-id"), Values: []string{vpc}})
	}
	return filters
}

func (c *Cloud) interfaces(ctx context.Context, cfg *Config, w *world, ours map[string]bool) ([]remnant, error) {
	filters := []ec2types.Filter{{Name: aws.String("status"), Values: []string{string(ec2types.NetworkInterfaceStatusAvailable)}}}
	if w.over(cfg.Name) {
		filters = append(filters, ec2types.Filter{Name: aws.String("tag:" + tagInterface), Values: []string{cfg.Name}})
	}
	p := ec2.NewDescribeNetworkInterfacesPaginator(c.aws.ec2, &ec2.DescribeNetworkInterfacesInput{Filters: cfg.within(w, filters)})
	list, err := page(ctx, p.HasMorePages, func(ctx context.Context) (*ec2.DescribeNetworkInterfacesOutput, error) { return p.NextPage(ctx) },
		func(o *ec2.DescribeNetworkInterfacesOutput) []ec2types.NetworkInterface { return o.NetworkInterfaces })
	if err != nil {
		return nil, err
	}
	var out []remnant
	for i := range list {
		if dangling(cfg.Name, &list[i], ours) {
			id := aws.ToString(list[i].NetworkInterfaceId)
			out = append(out, remnant{Kind: KindNetworkInterface, Name: id, What: "network interface " + id + " that nothing uses", Stays: w.verdict(cfg.Name)})
		}
	}
	return out, nil
}
