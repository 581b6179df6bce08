package eks

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
)

// avoided are zones that EKS does not support for control planes (EKS user guide, "VPC and subnet requirements").
func avoided() []string { return []string{"use1-az3", "usw1-az2", "cac1-az3"} }

// zones are the zones of a new VPC, for a file that names none for the cluster: those that were chosen after EKS refused some, or else those
// that nodegroups name and the first others that offer every instance type of the file.
func (c *Cloud) zones(ctx context.Context, spec *api.ClusterConfig, w *world) ([]string, error) {
	zones, names, err := c.chosenZones(ctx, spec, w)
	if err == nil && zones == nil {
		return nil, fmt.Errorf("only %v offer every instance type of the file; at least %d are needed", names, api.MinRequiredAvailabilityZones)
	}
	return zones, err
}

// chosenZones are those that are chosen, none where too few would do, and those that would.
func (c *Cloud) chosenZones(ctx context.Context, spec *api.ClusterConfig, w *world) (zones, candidates []string, err error) {
	if w.Placing != nil && w.Placing.Field == "" {
		return w.Placing.Zones, nil, nil
	}
	candidates, err = c.candidates(ctx, spec)
	if err != nil {
		return nil, nil, err
	}
	return chooseZones(spec.Metadata.Region, candidates, given(spec), nil, c.now()), candidates, nil
}

// given are the zones that nodegroups name, each with the first field that does. A cluster's VPC has subnets for nodes in its own zones
// only, so they have to be among those.
func given(spec *api.ClusterConfig) map[string]string {
	out := map[string]string{}
	for _, g := range (&Config{full: spec}).nodegroups() {
		for _, z := range g.base().AvailabilityZones {
			if out[z] == "" {
				out[z] = join(g.path, "availabilityZones")
			}
		}
	}
	return out
}

// candidates are the zones of the region that offer every instance type of the file, by name.
func (c *Cloud) candidates(ctx context.Context, spec *api.ClusterConfig) ([]string, error) {
	out, err := c.aws.ec2.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{Filters: []ec2types.Filter{
		{Name: aws.String("region-name"), Values: []string{spec.Metadata.Region}},
		{Name: aws.String("state"), Values: []string{string(ec2types.AvailabilityZoneStateAvailable)}},
		{Name: aws.String("zone-type"), Values: []string{"availability-zone"}},
	}})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, z := range out.AvailabilityZones {
		if !slices.Contains(avoided(), aws.ToString(z.ZoneId)) {
			names = append(names, aws.ToString(z.ZoneName))
		}
	}
	slices.Sort(names)
	return c.offering(ctx, spec, names)
}

// chooseZones takes the zones that are given and the first others that EKS did not refuse, up to three (two in us-east-1, as eksctl does).
// eksctl draws lots; a choice that is always the same keeps plans the same. Where fewer than a cluster needs are left, those make up for it
// that were refused the longest ago, once they may be tried again; none are taken when that does not do either.
func chooseZones(region string, zones []string, given map[string]string, refused []refusal, now time.Time) []string {
	since := refusedSince(refused, zones)
	others := slices.DeleteFunc(slices.Clone(zones), func(z string) bool { return given[z] != "" })
	chosen := slices.Sorted(maps.Keys(given))
	count := api.RecommendedAvailabilityZones
	if region == api.RegionUSEast1 {
		count = api.MinRequiredAvailabilityZones
	}
	good := slices.DeleteFunc(slices.Clone(others), func(z string) bool { return !since[z].IsZero() })
	chosen = append(chosen, good[:min(max(count-len(chosen), 0), len(good))]...)
	if len(chosen) < api.MinRequiredAvailabilityZones {
		again := slices.DeleteFunc(others, func(z string) bool { return since[z].IsZero() || now.Sub(since[z]) < refusing })
		slices.SortStableFunc(again, func(a, b string) int { return since[a].Compare(since[b]) })
		if chosen = append(chosen, again...); len(chosen) < api.MinRequiredAvailabilityZones {
			return nil
		}
		chosen = chosen[:api.MinRequiredAvailabilityZones]
	}
	slices.Sort(chosen)
	return chosen
}

// offering keeps the zones that offer every instance type of the file.
func (c *Cloud) offering(ctx context.Context, spec *api.ClusterConfig, zones []string) ([]string, error) {
	var types []string
	for _, ng := range spec.ManagedNodeGroups {
		types = append(types, ng.InstanceTypeList()...)
	}
	for _, ng := range spec.NodeGroups {
		types = append(types, ng.InstanceTypeList()...)
	}
	types = slices.DeleteFunc(types, func(t string) bool { return t == "" || t == mixed })
	slices.Sort(types)
	if types = slices.Compact(types); len(types) == 0 {
		return zones, nil
	}
	offers, err := c.offerings(ctx, types, zones)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, o := range offers {
		counts[aws.ToString(o.Location)]++
	}
	return slices.DeleteFunc(zones, func(z string) bool { return counts[z] < len(types) }), nil
}
