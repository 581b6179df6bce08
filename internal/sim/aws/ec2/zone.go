package ec2

import (
	"context"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// Zone is an availability zone, or a local zone: those have a group, which an account opts in to, and a parent.
type Zone struct {
	Name, ID string
	Group    string
	Parent   string
}

// knownLocalZones are local zones of well-known regions (https://docs.aws.amazon.com/local-zones/latest/ug/available-local-zones.html).
func knownLocalZones() []Zone {
	return []Zone{
		{Name: "us-west-2-lax-1a", ID: "usw2-lax1-az1", Group: "us-west-2-lax-1", Parent: "us-west-2d"},
		{Name: "us-west-2-lax-1b", ID: "usw2-lax1-az2", Group: "us-west-2-lax-1", Parent: "us-west-2d"},
	}
}

// localZones are the local zones of the world's region that the account has opted in to.
func (s *Service) localZones() []Zone {
	return slices.DeleteFunc(s.allLocalZones(), func(z Zone) bool { return !s.state.ZoneGroups[z.Group] })
}

func (s *Service) allLocalZones() []Zone {
	return slices.DeleteFunc(knownLocalZones(), func(z Zone) bool { return !strings.HasPrefix(z.Name, s.world.Region+"-") })
}

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
	for _, z := range slices.Concat(s.Zones(), s.localZones()) {
		if z.Name == nameOrID || z.ID == nameOrID {
			return z, true
		}
	}
	return Zone{}, false
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
	ParentZoneName     string `xml:"parentZoneName,omitempty"`
	ParentZoneID       string `xml:"parentZoneId,omitempty"`
}

// DescribeAvailabilityZonesOutput is the answer of DescribeAvailabilityZones.
type DescribeAvailabilityZonesOutput struct {
	AvailabilityZones []AvailabilityZone `xml:"availabilityZoneInfo>item"`
}

// DescribeAvailabilityZones lists the zones of the region: of local zones, those that the account has opted in to, or all.
func (s *Service) DescribeAvailabilityZones(_ context.Context, _ wire.Caller, in *DescribeAvailabilityZonesInput) (*DescribeAvailabilityZonesOutput, error) {
	zones := slices.Concat(s.Zones(), s.localZones())
	if in.AllAvailabilityZones {
		zones = slices.Concat(s.Zones(), s.allLocalZones())
	}
	for _, name := range append(slices.Clone(in.ZoneNames), in.ZoneIDs...) {
		if !slices.ContainsFunc(zones, func(z Zone) bool { return z.Name == name || z.ID == name }) {
			return nil, wire.Errorf("InvalidParameterValue", "Invalid availability zone: [%s]", name)
		}
	}
	out := &DescribeAvailabilityZonesOutput{}
	for _, z := range zones {
		if len(in.ZoneNames) > 0 && !slices.Contains(in.ZoneNames, z.Name) || len(in.ZoneIDs) > 0 && !slices.Contains(in.ZoneIDs, z.ID) {
			continue
		}
		shown := s.showZone(z)
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

func (s *Service) showZone(z Zone) AvailabilityZone {
	out := AvailabilityZone{
		OptInStatus: "opt-in-not-required", RegionName: s.world.Region, ZoneName: z.Name, ZoneID: z.ID,
		GroupName: s.world.Region + "-zg-1", NetworkBorderGroup: s.world.Region, ZoneType: "availability-zone", State: "available",
	}
	if z.Group == "" {
		return out
	}
	out.GroupName, out.NetworkBorderGroup, out.ZoneType, out.OptInStatus = z.Group, z.Group, "local-zone", "not-opted-in"
	if s.state.ZoneGroups[z.Group] {
		out.OptInStatus = "opted-in"
	}
	if parent, ok := s.zone(z.Parent); ok {
		out.ParentZoneName, out.ParentZoneID = parent.Name, parent.ID
	}
	return out
}

func zoneValues(z AvailabilityZone, name string) ([]string, bool) {
	v, ok := map[string]string{
		"region-name": z.RegionName, "state": z.State, "zone-type": z.ZoneType, "zone-name": z.ZoneName, "zone-id": z.ZoneID,
		"group-name": z.GroupName, "opt-in-status": z.OptInStatus, "message": "", "parent-zone-name": z.ParentZoneName, "parent-zone-id": z.ParentZoneID,
	}[name]
	return one(v), ok
}

// ModifyAvailabilityZoneGroupInput is the request of ModifyAvailabilityZoneGroup.
type ModifyAvailabilityZoneGroupInput struct {
	Dry
	GroupName   string
	OptInStatus string
}

// ModifyAvailabilityZoneGroup opts in to a group of local zones. Only AWS Support opts out.
func (s *Service) ModifyAvailabilityZoneGroup(_ context.Context, _ wire.Caller, in *ModifyAvailabilityZoneGroupInput) (*Return, error) {
	if in.OptInStatus != "opted-in" {
		return nil, wire.Errorf("InvalidParameterValue", "Value (%s) for parameter optInStatus is invalid.", in.OptInStatus)
	}
	if !slices.ContainsFunc(s.allLocalZones(), func(z Zone) bool { return z.Group == in.GroupName }) {
		return nil, wire.Errorf("InvalidParameterValue", "Value (%s) for parameter groupName is invalid.", in.GroupName)
	}
	s.state.ZoneGroups[in.GroupName] = true
	return done(), nil
}
