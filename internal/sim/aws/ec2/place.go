package ec2

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

func (s *Service) placeAPI() map[string]wire.Handler {
	return map[string]wire.Handler{
		"DescribeAvailabilityZones":     handle(s.DescribeAvailabilityZones),
		"ModifyAvailabilityZoneGroup":   handle(s.ModifyAvailabilityZoneGroup),
		"DescribeRegions":               handle(s.DescribeRegions),
		"DescribeInstanceTypes":         handle(s.DescribeInstanceTypes),
		"DescribeInstanceTypeOfferings": handle(s.DescribeInstanceTypeOfferings),
		"CreateTags":                    handle(s.CreateTags),
		"DeleteTags":                    handle(s.DeleteTags),
		"DescribeTags":                  handle(s.DescribeTags),
	}
}

// DescribeRegionsInput is the request of DescribeRegions.
type DescribeRegionsInput struct {
	Dry
	RegionNames []string `form:"RegionName"`
	AllRegions  bool
	Filters     []Filter `form:"Filter"`
}

// Region is a region as the API shows it.
type Region struct {
	OptInStatus string `xml:"optInStatus"`
	RegionName  string `xml:"regionName"`
	Endpoint    string `xml:"regionEndpoint"`
}

// DescribeRegionsOutput is the answer of DescribeRegions.
type DescribeRegionsOutput struct {
	Regions []Region `xml:"regionInfo>item"`
}

// DescribeRegions lists the known regions; the world lives in one of them.
func (s *Service) DescribeRegions(_ context.Context, _ wire.Caller, in *DescribeRegionsInput) (*DescribeRegionsOutput, error) {
	names := []string{s.world.Region}
	for name := range zoneIDs() {
		if name != s.world.Region {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	out := &DescribeRegionsOutput{}
	for _, name := range names {
		if len(in.RegionNames) > 0 && !slices.Contains(in.RegionNames, name) {
			continue
		}
		r := Region{OptInStatus: "opt-in-not-required", RegionName: name, Endpoint: "ec2." + name + "." + s.world.DNSSuffix()}
		pass, err := passes(r, nil, in.Filters, func(r Region, filter string) ([]string, bool) {
			v, ok := map[string]string{"region-name": r.RegionName, "opt-in-status": r.OptInStatus, "endpoint": r.Endpoint}[filter]
			return one(v), ok
		})
		if err != nil {
			return nil, err
		}
		if pass {
			out.Regions = append(out.Regions, r)
		}
	}
	return out, nil
}

// DescribeInstanceTypesInput is the request of DescribeInstanceTypes.
type DescribeInstanceTypesInput struct {
	Query
	InstanceTypes []string `form:"InstanceType"`
}

// DescribeInstanceTypesOutput is the answer of DescribeInstanceTypes.
type DescribeInstanceTypesOutput struct {
	InstanceTypes []InstanceTypeInfo `xml:"instanceTypeSet>item"`
	NextToken     string             `xml:"nextToken,omitempty"`
}

// DescribeInstanceTypes describes machine types.
func (s *Service) DescribeInstanceTypes(_ context.Context, _ wire.Caller, in *DescribeInstanceTypesInput) (*DescribeInstanceTypesOutput, error) {
	var unknown []string
	for _, name := range in.InstanceTypes {
		if _, ok := FindMachineType(name); !ok {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		return nil, wire.Errorf("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", strings.Join(unknown, ", "))
	}
	var found []InstanceTypeInfo
	for _, m := range MachineTypes() {
		if len(in.InstanceTypes) > 0 && !slices.Contains(in.InstanceTypes, m.Name) {
			continue
		}
		info := m.info()
		pass, err := passes(info, nil, in.Filters, instanceTypeValues)
		if err != nil {
			return nil, err
		}
		if pass {
			found = append(found, info)
		}
	}
	part, next, err := page(found, func(i InstanceTypeInfo) string { return i.InstanceType }, defaultPage(in.Query, 100))
	return &DescribeInstanceTypesOutput{InstanceTypes: part, NextToken: next}, err
}

// defaultPage limits the pages of operations that the real service pages even when it is not asked to.
func defaultPage(q Query, size int) Query {
	if q.MaxResults == nil || *q.MaxResults > size {
		q.MaxResults = &size
	}
	return q
}

// DescribeInstanceTypeOfferingsInput is the request of DescribeInstanceTypeOfferings.
type DescribeInstanceTypeOfferingsInput struct {
	Query
	LocationType string
}

// InstanceTypeOffering says that a type can be had at a place.
type InstanceTypeOffering struct {
	InstanceType string `xml:"instanceType"`
	LocationType string `xml:"locationType"`
	Location     string `xml:"location"`
}

// DescribeInstanceTypeOfferingsOutput is the answer of DescribeInstanceTypeOfferings.
type DescribeInstanceTypeOfferingsOutput struct {
	Offerings []InstanceTypeOffering `xml:"instanceTypeOfferingSet>item"`
	NextToken string                 `xml:"nextToken,omitempty"`
}

// DescribeInstanceTypeOfferings tells which types can be had where.
func (s *Service) DescribeInstanceTypeOfferings(_ context.Context, _ wire.Caller, in *DescribeInstanceTypeOfferingsInput) (*DescribeInstanceTypeOfferingsOutput, error) {
	at := cmp.Or(in.LocationType, "region")
	var found []InstanceTypeOffering
	for _, m := range MachineTypes() {
		places := []string{s.world.Region}
		if at != "region" {
			places = nil
			for _, z := range slices.Concat(s.Zones(), s.localZones()) {
				if Offered(m.Name, z.ID) {
					places = append(places, map[string]string{"availability-zone": z.Name, "availability-zone-id": z.ID}[at])
				}
			}
		}
		for _, place := range places {
			o := InstanceTypeOffering{InstanceType: m.Name, LocationType: at, Location: place}
			pass, err := passes(o, nil, in.Filters, func(o InstanceTypeOffering, name string) ([]string, bool) {
				v, ok := map[string]string{"instance-type": o.InstanceType, "location": o.Location}[name]
				return one(v), ok
			})
			if err != nil {
				return nil, err
			}
			if pass {
				found = append(found, o)
			}
		}
	}
	part, next, err := page(found, func(o InstanceTypeOffering) string { return wire.Key(o.InstanceType, o.Location) }, defaultPage(in.Query, 1000))
	return &DescribeInstanceTypeOfferingsOutput{Offerings: part, NextToken: next}, err
}
