package eks

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/cfn/builder"
	"github.com/weaveworks/eksctl/pkg/vpc"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// stackOrder is everything a stack is created from.
type stackOrder struct {
	name       string
	body       []byte
	tags       map[string]string
	iam, named bool
}

// resourceSet is what eksctl's builders have in common.
type resourceSet interface {
	RenderJSON() ([]byte, error)
	WithIAM() bool
	WithNamedIAM() bool
}

func order(name string, tags map[string]string, s resourceSet) (stackOrder, error) {
	body, err := s.RenderJSON()
	return stackOrder{name: name, body: body, tags: tags, iam: s.WithIAM(), named: s.WithNamedIAM()}, err
}

// renderCluster renders the stack of the control plane and its network.
func (c *Cloud) renderCluster(ctx context.Context, cfg *Config, w *world) (stackOrder, error) {
	spec := cfg.full.DeepCopy()
	first, err := cfg.firstVersion(w)
	if err != nil {
		return stackOrder{}, err
	}
	spec.Metadata.Version = first
	spec.Metadata.AccountID = w.Account // without it, eksctl leaves out the role of Fargate profiles
	if spec.HasAnySubnets() {
		if err := guarded(func() error { return vpc.ImportSubnetsFromSpec(ctx, c.aws.ec2, spec) }); err != nil {
			return stackOrder{}, fmt.Errorf("importing the subnets of the file: %w", err)
		}
	} else {
		if len(spec.AvailabilityZones) == 0 {
			zones, err := c.zones(ctx, spec)
			if err != nil {
				return stackOrder{}, fmt.Errorf("choosing availability zones: %w", err)
			}
			spec.AvailabilityZones = zones
		}
		if err := vpc.SetSubnets(spec.VPC, spec.AvailabilityZones, spec.LocalZones); err != nil {
			return stackOrder{}, fmt.Errorf("dividing the VPC into subnets: %w", err)
		}
	}
	var out stackOrder
	err = guarded(func() (err error) {
		rs := builder.NewClusterResourceSet(c.aws.ec2, c.aws.sts, cfg.Region, spec, nil, false)
		if err := rs.AddAllResources(ctx); err != nil {
			return err
		}
		tags := map[string]string{api.ClusterOIDCEnabledTag: strconv.FormatBool(api.IsEnabled(spec.IAM.WithOIDC))}
		out, err = order(clusterStack(cfg.Name), tags, rs)
		return err
	})
	return out, err
}

// firstVersion is the Kubernetes version a new cluster gets: the file's, or the one EKS gives by default.
func (c *Config) firstVersion(w *world) (string, error) {
	wanted := c.full.Metadata.Version
	if wanted != "" && wanted != "auto" && wanted != latest {
		return wanted, nil
	}
	if len(w.Versions) == 0 {
		return "", fmt.Errorf("EKS offers no Kubernetes version")
	}
	if i := slices.IndexFunc(w.Versions, func(v clusterVersion) bool { return v.Default }); i >= 0 && wanted != latest {
		return w.Versions[i].Version, nil
	}
	return w.Versions[0].Version, nil
}

// avoided are zones that EKS does not support for control planes (EKS user guide, "VPC and subnet requirements").
func avoided() []string { return []string{"use1-az3", "usw1-az2", "cac1-az3"} }

// zones chooses the zones of a new VPC: the first three (two in us-east-1, as eksctl does) of those that offer every
// instance type of the file. eksctl draws lots; a choice that is always the same keeps plans the same.
func (c *Cloud) zones(ctx context.Context, spec *api.ClusterConfig) ([]string, error) {
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
	if names, err = c.offering(ctx, spec, names); err != nil {
		return nil, err
	}
	if len(names) < api.MinRequiredAvailabilityZones {
		return nil, fmt.Errorf("only %v offer every instance type of the file; at least %d are needed", names, api.MinRequiredAvailabilityZones)
	}
	count := api.RecommendedAvailabilityZones
	if spec.Metadata.Region == api.RegionUSEast1 {
		count = api.MinRequiredAvailabilityZones
	}
	return names[:min(count, len(names))], nil
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
	types = slices.DeleteFunc(types, func(t string) bool { return t == "" || t == "mixed" })
	slices.Sort(types)
	if types = slices.Compact(types); len(types) == 0 {
		return zones, nil
	}
	p := ec2.NewDescribeInstanceTypeOfferingsPaginator(c.aws.ec2, &ec2.DescribeInstanceTypeOfferingsInput{
		LocationType: ec2types.LocationTypeAvailabilityZone, MaxResults: aws.Int32(100),
		Filters: []ec2types.Filter{{Name: aws.String("instance-type"), Values: types}, {Name: aws.String("location"), Values: zones}},
	})
	offers, err := page(ctx, p.HasMorePages,
		func(ctx context.Context) (*ec2.DescribeInstanceTypeOfferingsOutput, error) { return p.NextPage(ctx) },
		func(o *ec2.DescribeInstanceTypeOfferingsOutput) []ec2types.InstanceTypeOffering {
			return o.InstanceTypeOfferings
		})
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, o := range offers {
		counts[aws.ToString(o.Location)]++
	}
	return slices.DeleteFunc(zones, func(z string) bool { return counts[z] < len(types) }), nil
}

// record writes into a template what it was made from, so that the next observation can tell what the file said then.
// CloudFormation keeps Metadata and ignores it (user guide, "Template anatomy"), and so does eksctl.
func record(body []byte, written gitops.Tree) ([]byte, error) {
	var template map[string]json.RawMessage
	if err := json.Unmarshal(body, &template); err != nil {
		return nil, err
	}
	metadata, err := json.Marshal(gitops.Tree{tagUserName: written})
	if err != nil {
		return nil, err
	}
	template["Metadata"] = metadata
	return json.Marshal(template)
}
