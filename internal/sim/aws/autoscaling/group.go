package autoscaling

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/ec2"
)

// Group is an Auto Scaling group.
type Group struct {
	Name, ARN           string
	Template            *TemplateSpec
	Mixed               *MixedInstancesPolicy
	Min, Max, Desired   int
	Cooldown            int
	Subnets             []string
	HealthCheckType     string
	HealthCheckGrace    int
	Created             time.Time
	Suspended           []string
	Metrics             []string
	Tags                []GroupTag // by key
	TerminationPolicies []string
	ProtectNew          bool
	MaxLifetime         int
	CapacityRebalance   bool
	LoadBalancers       []string
	TargetGroups        []string
	Balancing           map[string]Balancing // what was attached or detached since the group was made, by name
	PlacementGroup      string
	DefaultWarmup       *int
	ServiceRole         string
	Members             map[string]*Member
	Hooks               map[string]*Hook
	Activities          []Activity // newest first
	Refreshes           []*Refresh // newest first
	Rolling             *rolling
	Deleting            bool
	// Changed is when something last asked for another size or make-up; work on it starts a little later.
	Changed time.Time
	// Trouble is why the last launch did not work, and TroubleSince when that was.
	Trouble      string
	TroubleSince time.Time
}

// Member is an instance of a group.
type Member struct {
	InstanceID, Type, Zone, ImageID   string
	TemplateID, TemplateName, Version string
	State                             string
	Health                            string
	Protected                         bool
	Launched                          time.Time
	// Waiting is since when a lifecycle hook holds the instance, and Token names that wait.
	Waiting time.Time
	Token   string
	// Activity is the id of the activity that launches or ends it.
	Activity string
}

// The lifecycle states in use.
const (
	statePending         = "Pending"
	statePendingWait     = "Pending:Wait"
	stateInService       = "InService"
	stateTerminating     = "Terminating"
	stateTerminatingWait = "Terminating:Wait"
)

func (m *Member) leaving() bool {
	return m.State == stateTerminating || m.State == stateTerminatingWait
}

// TemplateSpec names a version of a launch template.
type TemplateSpec struct {
	ID      string `form:"LaunchTemplateId" xml:"LaunchTemplateId,omitempty" cfn:"LaunchTemplateId"`
	Name    string `form:"LaunchTemplateName" xml:"LaunchTemplateName,omitempty" cfn:"LaunchTemplateName"`
	Version string `xml:"Version,omitempty"`
}

// MixedInstancesPolicy launches instances of several types and purchase options.
type MixedInstancesPolicy struct {
	LaunchTemplate        MixedTemplate
	InstancesDistribution *InstancesDistribution
}

// MixedTemplate is the template of a MixedInstancesPolicy.
type MixedTemplate struct {
	LaunchTemplateSpecification TemplateSpec
	Overrides                   []Override `xml:"Overrides>member,omitempty"`
}

// Override is an instance type to use in place of the template's.
type Override struct {
	InstanceType     string `xml:"InstanceType,omitempty"`
	WeightedCapacity string `xml:"WeightedCapacity,omitempty"`
}

// InstancesDistribution divides a group into on-demand and spot instances.
type InstancesDistribution struct {
	OnDemandAllocationStrategy          string `xml:"OnDemandAllocationStrategy,omitempty"`
	OnDemandBaseCapacity                *int   `xml:"OnDemandBaseCapacity"`
	OnDemandPercentageAboveBaseCapacity *int   `xml:"OnDemandPercentageAboveBaseCapacity"`
	SpotAllocationStrategy              string `xml:"SpotAllocationStrategy,omitempty"`
	SpotInstancePools                   *int   `xml:"SpotInstancePools"`
	SpotMaxPrice                        string `xml:"SpotMaxPrice,omitempty"`
}

// GroupTag is a tag of a group, and of its instances if it propagates.
type GroupTag struct {
	Key               string
	Value             string
	PropagateAtLaunch bool
}

// Group finds a group.
func (s *Service) Group(name string) (*Group, bool) {
	g, ok := s.state.Groups[name]
	return g, ok
}

// Instances lists a group's instances, oldest first.
func (g *Group) Instances() []*Member {
	return slices.SortedFunc(maps.Values(g.Members), func(a, b *Member) int {
		if c := a.Launched.Compare(b.Launched); c != 0 {
			return c
		}
		return strings.Compare(a.InstanceID, b.InstanceID)
	})
}

// active counts the instances that are there to stay.
func (g *Group) active() int {
	n := 0
	for _, m := range g.Members {
		if !m.leaving() {
			n++
		}
	}
	return n
}

// inService counts the instances that work.
func (g *Group) inService() int {
	n := 0
	for _, m := range g.Members {
		if m.State == stateInService {
			n++
		}
	}
	return n
}

// stable tells whether the group is as large as desired and nothing is on its way in or out.
func (g *Group) stable() bool {
	return g.inService() == g.Desired && len(g.Members) == g.Desired
}

func (g *Group) suspended(process string) bool { return slices.Contains(g.Suspended, process) }

// spec is the launch template in force: that of a running refresh, else the group's.
func (g *Group) spec() TemplateSpec {
	if r := g.refreshing(); r != nil && r.Desired != nil {
		return *r.Desired
	}
	if g.Mixed != nil {
		return g.Mixed.LaunchTemplate.LaunchTemplateSpecification
	}
	if g.Template != nil {
		return *g.Template
	}
	return TemplateSpec{}
}

// resolve finds the template in force and the number of its version.
func (s *Service) resolve(spec TemplateSpec) (*ec2.LaunchTemplate, int, ec2.TemplateData, error) {
	ref := ec2.TemplateRef{ID: spec.ID}
	if spec.ID == "" {
		ref.Name = spec.Name // a group knows both once it has found its template
	}
	t, err := s.ec2.Template(ref)
	if err != nil {
		return nil, 0, ec2.TemplateData{}, err
	}
	n, data, err := t.Version(spec.Version)
	return t, n, data, err
}

// outdated tells whether an instance was launched from another version than the one in force.
func (s *Service) outdated(g *Group, m *Member) bool {
	t, n, _, err := s.resolve(g.spec())
	return err == nil && (m.TemplateID != t.ID || m.Version != strconv.Itoa(n))
}

// zones lists the availability zones of the group's subnets.
func (s *Service) zones(g *Group) []string {
	var out []string
	for _, id := range g.Subnets {
		if zone := s.ec2.SubnetZone(id); zone != "" && !slices.Contains(out, zone) {
			out = append(out, zone)
		}
	}
	slices.Sort(out)
	return out
}

// subnet picks the subnet for the next instance: in the zone that has the fewest, the first listed one.
func (s *Service) subnet(g *Group) string {
	count := map[string]int{}
	for _, m := range g.Members {
		if !m.leaving() {
			count[m.Zone]++
		}
	}
	best := ""
	for _, id := range g.Subnets {
		zone := s.ec2.SubnetZone(id)
		if best == "" || count[zone] < count[s.ec2.SubnetZone(best)] {
			best = id
		}
	}
	return best
}
