package ec2

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// Zone is an availability zone.
type Zone struct{ Name, ID string }

// zoneIDs are the zones of well-known regions with their ids, in the order of their names. Which id stands behind which name
// differs from account to account; these are one account's.
func zoneIDs() map[string][]string {
	return map[string][]string{
		"us-east-1":      {"use1-az1", "use1-az2", "use1-az4", "use1-az6", "use1-az3", "use1-az5"},
		"us-east-2":      {"use2-az1", "use2-az2", "use2-az3"},
		"us-west-2":      {"usw2-az2", "usw2-az1", "usw2-az3", "usw2-az4"},
		"eu-west-1":      {"euw1-az3", "euw1-az1", "euw1-az2"},
		"eu-central-1":   {"euc1-az2", "euc1-az3", "euc1-az1"},
		"eu-north-1":     {"eun1-az1", "eun1-az2", "eun1-az3"},
		"ap-northeast-1": {"apne1-az4", "apne1-az1", "apne1-az2"},
		"ap-southeast-2": {"apse2-az3", "apse2-az1", "apse2-az2"},
	}
}

// Zones lists the availability zones of the world's region.
func (s *Service) Zones() []Zone {
	region := s.world.Region
	ids, ok := zoneIDs()[region]
	if !ok {
		short := strings.ReplaceAll(region, "-", "")
		ids = []string{short + "-az1", short + "-az2", short + "-az3"}
	}
	zones := make([]Zone, len(ids))
	letters := "abcdef"
	if region == "ap-northeast-1" {
		letters = "acd"
	}
	for i, id := range ids {
		zones[i] = Zone{Name: region + string(letters[i]), ID: id}
	}
	return zones
}

// ZoneNames lists the names of the zones.
func (s *Service) ZoneNames() []string {
	var names []string
	for _, z := range s.Zones() {
		names = append(names, z.Name)
	}
	return names
}

func (s *Service) zone(nameOrID string) (Zone, bool) {
	for _, z := range s.Zones() {
		if z.Name == nameOrID || z.ID == nameOrID {
			return z, true
		}
	}
	return Zone{}, false
}

func (s *Service) placeAPI() map[string]wire.Handler {
	return map[string]wire.Handler{
		"DescribeAvailabilityZones":     handle(s.DescribeAvailabilityZones),
		"DescribeRegions":               handle(s.DescribeRegions),
		"DescribeInstanceTypes":         handle(s.DescribeInstanceTypes),
		"DescribeInstanceTypeOfferings": handle(s.DescribeInstanceTypeOfferings),
		"CreateTags":                    handle(s.CreateTags),
		"DeleteTags":                    handle(s.DeleteTags),
		"DescribeTags":                  handle(s.DescribeTags),
	}
}

// DescribeAvailabilityZonesInput is the request of DescribeAvailabilityZones.
type DescribeAvailabilityZonesInput struct {
	Dry
	ZoneNames            []string `form:"ZoneName"`
	ZoneIDs              []string `form:"ZoneId"`
	AllAvailabilityZones bool
	Filters              []Filter `form:"Filter"`
}

// AvailabilityZone is a zone as the API shows it.
type AvailabilityZone struct {
	OptInStatus        string `xml:"optInStatus"`
	RegionName         string `xml:"regionName"`
	ZoneName           string `xml:"zoneName"`
	ZoneID             string `xml:"zoneId"`
	GroupName          string `xml:"groupName"`
	NetworkBorderGroup string `xml:"networkBorderGroup"`
	ZoneType           string `xml:"zoneType"`
	State              string `xml:"zoneState"`
}

// DescribeAvailabilityZonesOutput is the answer of DescribeAvailabilityZones.
type DescribeAvailabilityZonesOutput struct {
	AvailabilityZones []AvailabilityZone `xml:"availabilityZoneInfo>item"`
}

// DescribeAvailabilityZones lists the zones of the region.
func (s *Service) DescribeAvailabilityZones(_ context.Context, _ wire.Caller, in *DescribeAvailabilityZonesInput) (*DescribeAvailabilityZonesOutput, error) {
	for _, name := range append(slices.Clone(in.ZoneNames), in.ZoneIDs...) {
		if _, ok := s.zone(name); !ok {
			return nil, wire.Errorf("InvalidParameterValue", "Invalid availability zone: [%s]", name)
		}
	}
	out := &DescribeAvailabilityZonesOutput{}
	for _, z := range s.Zones() {
		if len(in.ZoneNames) > 0 && !slices.Contains(in.ZoneNames, z.Name) || len(in.ZoneIDs) > 0 && !slices.Contains(in.ZoneIDs, z.ID) {
			continue
		}
		shown := AvailabilityZone{
			OptInStatus: "opt-in-not-required", RegionName: s.world.Region, ZoneName: z.Name, ZoneID: z.ID,
			GroupName: s.world.Region + "-zg-1", NetworkBorderGroup: s.world.Region, ZoneType: "availability-zone", State: "available",
		}
		pass, err := passes(shown, nil, in.Filters, zoneValues)
		if err != nil {
			return nil, err
		}
		if pass {
			out.AvailabilityZones = append(out.AvailabilityZones, shown)
		}
	}
	return out, nil
}

func zoneValues(z AvailabilityZone, name string) ([]string, bool) {
	v, ok := map[string]string{
		"region-name": z.RegionName, "state": z.State, "zone-type": z.ZoneType, "zone-name": z.ZoneName, "zone-id": z.ZoneID,
		"group-name": z.GroupName, "opt-in-status": z.OptInStatus, "message": "", "parent-zone-name": "", "parent-zone-id": "",
	}[name]
	return one(v), ok
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
	part, next, err := page(found, defaultPage(in.Query, 100))
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
			for _, z := range s.Zones() {
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
	part, next, err := page(found, defaultPage(in.Query, 1000))
	return &DescribeInstanceTypeOfferingsOutput{Offerings: part, NextToken: next}, err
}
