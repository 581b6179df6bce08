package eks

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/vpc"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// filterValues is how many values one filter of a request has at most here; EC2 takes 200 (EC2 user guide, "Filter your resources").
const filterValues = 100

// readMachines reads what the instance types of a live group are, where git has a selector that it was not made with.
func (c *Cloud) readMachines(ctx context.Context, cfg *Config, g *group) error {
	want, known := cfg.nodegroup(g.User)
	if !known || !want.selects() || g.madeWith(want) {
		return nil
	}
	var err error
	g.Machines, err = c.machinesOf(ctx, g.types())
	return err
}

// machinesOf are the instance types of these names, without those that EC2 does not know.
func (c *Cloud) machinesOf(ctx context.Context, types []string) (map[string]machine, error) {
	return askedOnce(ctx, &c.mu, c.machines, types, func(ctx context.Context, names []string) (map[string]machine, error) {
		return c.describeMachines(ctx, []ec2types.Filter{{Name: aws.String("instance-type"), Values: names}})
	})
}

// askedOnce gives what is known by keys, and asks EC2 for what is not and does not change, some keys at a time: by a filter, because EC2 fails a
// request that names what it does not know. Of what was not found nothing is known, and it is asked for again.
func askedOnce[V any](ctx context.Context, mu *sync.Mutex, known map[string]V, keys []string, ask func(context.Context, []string) (map[string]V, error)) (map[string]V, error) {
	var missing []string
	mu.Lock()
	for _, key := range keys {
		if _, ok := known[key]; !ok && !slices.Contains(missing, key) {
			missing = append(missing, key)
		}
	}
	mu.Unlock()
	for some := range slices.Chunk(missing, filterValues) {
		found, err := ask(ctx, some)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		maps.Copy(known, found)
		mu.Unlock()
	}
	mu.Lock()
	defer mu.Unlock()
	out := map[string]V{}
	for _, key := range keys {
		if v, ok := known[key]; ok {
			out[key] = v
		}
	}
	return out, nil
}

func (c *Cloud) describeMachines(ctx context.Context, filters []ec2types.Filter) (map[string]machine, error) {
	p := ec2.NewDescribeInstanceTypesPaginator(c.aws.ec2, &ec2.DescribeInstanceTypesInput{Filters: filters, MaxResults: aws.Int32(100)})
	infos, err := page(ctx, p.HasMorePages,
		func(ctx context.Context) (*ec2.DescribeInstanceTypesOutput, error) { return p.NextPage(ctx) },
		func(o *ec2.DescribeInstanceTypesOutput) []ec2types.InstanceTypeInfo { return o.InstanceTypes })
	if err != nil {
		return nil, err
	}
	out := make(map[string]machine, len(infos))
	for _, i := range infos {
		out[string(i.InstanceType)] = machineOf(i)
	}
	return out, nil
}

// readSelections makes the selections for the nodegroups that are to be made. Those of groups that are there were made with them.
func (c *Cloud) readSelections(ctx context.Context, cfg *Config, w *world) error {
	w.Selected = map[string]selection{}
	planned := !c.Teardown && cfg.foreign(w) == nil
	for _, want := range cfg.nodegroups() {
		if !planned || !want.selects() || cfg.lineup(w, want).target != nil {
			continue
		}
		s, err := c.selectTypes(ctx, cfg, w, want)
		if err != nil {
			return err
		}
		if s != nil {
			w.Selected[want.name] = *s
		}
	}
	return nil
}

// selectTypes selects the instance types for a nodegroup that is to be made; nil while its zones are not known.
func (c *Cloud) selectTypes(ctx context.Context, cfg *Config, w *world, want nodegroup) (*selection, error) {
	s, err := want.selector()
	if err != nil {
		return nil, gitops.AsError(gitops.ConfigInvalid, err)
	}
	zones, err := c.nodeZones(ctx, cfg, w, want)
	if err != nil || len(zones) == 0 {
		return nil, err
	}
	machines, err := c.describeMachines(ctx, s.filters())
	if err != nil {
		return nil, err
	}
	var fitting []string
	for name, m := range machines {
		if s.fits(name, m) {
			fitting = append(fitting, name)
		}
	}
	slices.Sort(fitting)
	var offered []string
	for names := range slices.Chunk(fitting, filterValues) {
		offers, err := c.offerings(ctx, names, zones)
		if err != nil {
			return nil, err
		}
		counts := map[string]int{}
		for _, o := range offers {
			counts[string(o.InstanceType)]++
		}
		offered = append(offered, slices.DeleteFunc(names, func(t string) bool { return counts[t] < len(zones) })...)
	}
	out := want.choose(offered, zones)
	return &out, nil
}

// fillTypes gives a nodegroup that is about to be made the instance types that the plan told of.
func (c *Cloud) fillTypes(ctx context.Context, cfg *Config, w *world, want, fresh nodegroup) error {
	if !want.selects() {
		return nil
	}
	selected, ok := w.Selected[want.name]
	if !ok {
		s, err := c.selectTypes(ctx, cfg, w, want)
		if err != nil {
			return err
		}
		if s == nil {
			return gitops.Errorf(gitops.ApplyFailed, "%s: nothing tells the zones of the nodegroup", selectorField)
		}
		selected = *s
	}
	if e := selected.problem(); e != nil {
		return e
	}
	if len(want.named()) == 0 {
		fresh.take(selected.Types)
	}
	return nil
}

// offerings are the pairs of these instance types and zones in which the one can be had in the other.
func (c *Cloud) offerings(ctx context.Context, types, zones []string) ([]ec2types.InstanceTypeOffering, error) {
	p := ec2.NewDescribeInstanceTypeOfferingsPaginator(c.aws.ec2, &ec2.DescribeInstanceTypeOfferingsInput{
		LocationType: ec2types.LocationTypeAvailabilityZone, MaxResults: aws.Int32(100),
		Filters: []ec2types.Filter{{Name: aws.String("instance-type"), Values: types}, {Name: aws.String("location"), Values: zones}},
	})
	return page(ctx, p.HasMorePages,
		func(ctx context.Context) (*ec2.DescribeInstanceTypeOfferingsOutput, error) { return p.NextPage(ctx) },
		func(o *ec2.DescribeInstanceTypeOfferingsOutput) []ec2types.InstanceTypeOffering {
			return o.InstanceTypeOfferings
		})
}

// nodeZones are the zones that a nodegroup's nodes are to be in: those that it names, those of the subnets that it names, or else those of
// the cluster, be it there or not. None while nothing tells.
func (c *Cloud) nodeZones(ctx context.Context, cfg *Config, w *world, want nodegroup) ([]string, error) {
	base := want.base()
	if want.self != nil && len(want.self.LocalZones) > 0 {
		return sortedNames(want.self.LocalZones), nil
	}
	if len(base.AvailabilityZones) > 0 {
		return sortedNames(base.AvailabilityZones), nil
	}
	given := c.withSubnets(ctx, cfg.full)
	switch {
	case len(base.Subnets) > 0:
		return c.zonesOfSubnets(ctx, given, base.Subnets)
	case given.HasAnySubnets():
		return zonesOf(given, base.PrivateNetworking), nil
	case w.Cluster != nil && w.Cluster.ResourcesVpcConfig != nil:
		return c.zonesOfIDs(ctx, w.Cluster.ResourcesVpcConfig.SubnetIds)
	case len(given.AvailabilityZones) > 0:
		return sortedNames(given.AvailabilityZones), nil
	}
	zones, _, err := c.chosenZones(ctx, given, w)
	return zones, err
}

// withSubnets is the file with what it does not say of its subnets and EC2 does. That they are not there is for the creation to tell.
func (c *Cloud) withSubnets(ctx context.Context, spec *api.ClusterConfig) *api.ClusterConfig {
	if !spec.HasAnySubnets() {
		return spec
	}
	imported := spec.DeepCopy()
	if err := guarded(func() error { return vpc.ImportSubnetsFromSpec(ctx, c.aws.ec2, imported) }); err != nil {
		return spec
	}
	return imported
}

// zonesOf are the zones of the file's subnets of one kind.
func zonesOf(spec *api.ClusterConfig, private bool) []string {
	mapping := spec.VPC.Subnets.Public
	if private {
		mapping = spec.VPC.Subnets.Private
	}
	var zones []string
	for _, s := range mapping {
		zones = append(zones, s.AZ)
	}
	slices.Sort(zones)
	return slices.Compact(zones)
}

// zonesOfSubnets are the zones of subnets as a nodegroup names them: by the name that the file gives them, by id, or, in a VPC of eksctl's,
// by the zone.
func (c *Cloud) zonesOfSubnets(ctx context.Context, spec *api.ClusterConfig, names []string) ([]string, error) {
	var zones, ids []string
	for _, name := range names {
		zone := name
		if spec.HasAnySubnets() {
			for _, mapping := range []api.AZSubnetMapping{spec.VPC.Subnets.Private, spec.VPC.Subnets.Public} {
				if s, ok := mapping[name]; ok {
					zone = s.AZ
				}
			}
		}
		if strings.HasPrefix(zone, "subnet-") {
			ids = append(ids, zone)
			continue
		}
		zones = append(zones, zone)
	}
	more, err := c.zonesOfIDs(ctx, ids)
	return slices.Compact(sortedNames(append(zones, more...))), err
}

// zonesOfIDs are the zones of subnets; none of those that are not there.
func (c *Cloud) zonesOfIDs(ctx context.Context, ids []string) ([]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	out, err := c.aws.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: ids})
	if err != nil && errorCode(err) == "InvalidSubnetID.NotFound" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var zones []string
	for _, s := range out.Subnets {
		zones = append(zones, aws.ToString(s.AvailabilityZone))
	}
	slices.Sort(zones)
	return slices.Compact(zones), nil
}
