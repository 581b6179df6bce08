// Package elb is the classic Elastic Load Balancing of the simulator (API version 2012-06-01): load balancers that something
// inside a cluster made, which eksctl looks for and waits on when it deletes the cluster.
//
// Inputs are Put, by which whoever plays the cluster's cloud provider makes a load balancer, and the describe and delete
// operations of the API; output is what exists.
//
// Invariant: names are unique; deleting what is gone is no error, as the API documents.
package elb

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// Network gives load balancers their interfaces. Each has one in every subnet, which the subnet, its VPC and the load balancer's security
// groups cannot be deleted before (VPC user guide, "Requester-managed network interfaces").
type Network interface {
	Attach(description string, subnets, groups []string) (interfaces []string)
	Release(interfaces []string)
}

// Service is classic ELB of one region. Its methods run under the world's lock.
type Service struct {
	// Network is where load balancers have their interfaces; without it they have none.
	Network Network
	world   *world.World
	state   state
}

type state struct{ Balancers map[string]*Balancer }

// Balancer is a load balancer.
type Balancer struct {
	Name, VPC      string
	Scheme         string // "internet-facing" or "internal"
	Zones, Subnets []string
	SecurityGroups []string
	Created        time.Time
	Tags           world.Tags
	Interfaces     []string
}

// New makes the service and registers it with the world.
func New(w *world.World) *Service {
	s := &Service{world: w, state: state{Balancers: map[string]*Balancer{}}}
	w.Register(world.Part{Name: "elb", State: &s.state, Loaded: func() error {
		if s.state.Balancers == nil {
			s.state.Balancers = map[string]*Balancer{}
		}
		return nil
	}})
	return s
}

// Put makes a load balancer, or replaces the one of that name.
func (s *Service) Put(b Balancer) {
	if b.Created.IsZero() {
		b.Created = s.world.Now()
	}
	b.Scheme = cmp.Or(b.Scheme, "internet-facing")
	s.Remove(b.Name)
	if s.Network != nil {
		b.Interfaces = s.Network.Attach("ELB "+b.Name, b.Subnets, b.SecurityGroups)
	}
	s.state.Balancers[b.Name] = &b
}

// Remove takes a load balancer away, if it is there.
func (s *Service) Remove(name string) {
	if b := s.state.Balancers[name]; b != nil && s.Network != nil {
		s.Network.Release(b.Interfaces)
	}
	delete(s.state.Balancers, name)
}

// All are the load balancers that there are, by name.
func (s *Service) All() []Balancer {
	var out []Balancer
	for _, id := range slices.Sorted(maps.Keys(s.state.Balancers)) {
		out = append(out, *s.state.Balancers[id])
	}
	return out
}

// API is the service as the wire sees it.
func (s *Service) API() *wire.Service {
	api := &wire.Service{
		Name: "elasticloadbalancing", ID: "elb", Protocol: wire.Query, Version: "2012-06-01",
		Namespace: "http://elasticloadbalancing.amazonaws.com/doc/2012-06-01/",
	}
	api.Operation("DescribeLoadBalancers", wire.Handle(s.describeLoadBalancers))
	api.Operation("DescribeTags", wire.Handle(s.describeTags))
	api.Operation("DeleteLoadBalancer", wire.Handle(s.deleteLoadBalancer))
	return api
}

// DescribeLoadBalancersInput asks for some load balancers or for all.
type DescribeLoadBalancersInput struct {
	LoadBalancerNames []string
	Marker            string
	PageSize          int
}

// Description is a load balancer on the wire.
type Description struct {
	LoadBalancerName          string
	DNSName                   string
	CanonicalHostedZoneName   string
	CanonicalHostedZoneNameID string
	AvailabilityZones         []string `xml:"AvailabilityZones>member"`
	Subnets                   []string `xml:"Subnets>member"`
	VPCId                     string
	SecurityGroups            []string  `xml:"SecurityGroups>member"`
	CreatedTime               wire.Time `xml:"CreatedTime"`
	Scheme                    string
}

// DescribeLoadBalancersOutput is one page of load balancers.
type DescribeLoadBalancersOutput struct {
	LoadBalancerDescriptions []Description `xml:"LoadBalancerDescriptions>member"`
	NextMarker               string        `xml:",omitempty"`
}

func (s *Service) describeLoadBalancers(_ context.Context, _ wire.Caller, in *DescribeLoadBalancersInput) (*DescribeLoadBalancersOutput, error) {
	size := in.PageSize
	if size == 0 {
		size = 400
	}
	if size < 1 || size > 400 {
		return nil, wire.Errorf("ValidationError", "PageSize must be between 1 and 400.")
	}
	names := in.LoadBalancerNames
	if len(names) == 0 {
		names = slices.Collect(maps.Keys(s.state.Balancers))
	}
	for _, name := range names {
		if s.state.Balancers[name] == nil {
			return nil, notFound(name)
		}
	}
	part, next, ok := wire.Page(names, wire.Self, size, in.Marker)
	if !ok {
		return nil, wire.Errorf("ValidationError", "The marker is not valid.")
	}
	out := &DescribeLoadBalancersOutput{LoadBalancerDescriptions: []Description{}, NextMarker: next}
	for _, name := range part {
		out.LoadBalancerDescriptions = append(out.LoadBalancerDescriptions, s.show(s.state.Balancers[name]))
	}
	return out, nil
}

func notFound(name string) *wire.Error {
	return wire.Errorf("LoadBalancerNotFound", "There is no ACTIVE Load Balancer named '%s'", name)
}

// Host is the name by which a load balancer is reached, if it is there.
func (s *Service) Host(name string) (host string, ok bool) {
	_, ok = s.state.Balancers[name]
	return s.host(name), ok
}

func (s *Service) host(name string) string {
	return name + "-1234567890." + s.world.Region + ".elb." + s.world.DNSSuffix()
}

func (s *Service) show(b *Balancer) Description {
	dns := s.host(b.Name)
	return Description{
		LoadBalancerName: b.Name, DNSName: dns, CanonicalHostedZoneName: dns, CanonicalHostedZoneNameID: "Z1H1FL5HABSF5",
		AvailabilityZones: b.Zones, Subnets: b.Subnets, VPCId: b.VPC, SecurityGroups: b.SecurityGroups, CreatedTime: wire.Time{Time: b.Created}, Scheme: b.Scheme,
	}
}

// DescribeTagsInput names load balancers.
type DescribeTagsInput struct{ LoadBalancerNames []string }

// Tag is a tag.
type Tag struct{ Key, Value string }

// TagDescription is the tags of a load balancer.
type TagDescription struct {
	LoadBalancerName string
	Tags             []Tag `xml:"Tags>member,omitempty"`
}

// DescribeTagsOutput is the tags of load balancers.
type DescribeTagsOutput struct {
	TagDescriptions []TagDescription `xml:"TagDescriptions>member"`
}

func (s *Service) describeTags(_ context.Context, _ wire.Caller, in *DescribeTagsInput) (*DescribeTagsOutput, error) {
	if n := len(in.LoadBalancerNames); n == 0 || n > 20 {
		return nil, wire.Errorf("ValidationError", "LoadBalancerNames must have 1 to 20 names.")
	}
	out := &DescribeTagsOutput{TagDescriptions: []TagDescription{}}
	for _, name := range in.LoadBalancerNames {
		b, ok := s.state.Balancers[name]
		if !ok {
			return nil, notFound(name)
		}
		d := TagDescription{LoadBalancerName: name}
		for _, t := range b.Tags.List() {
			d.Tags = append(d.Tags, Tag(t))
		}
		out.TagDescriptions = append(out.TagDescriptions, d)
	}
	return out, nil
}

// DeleteLoadBalancerInput names a load balancer.
type DeleteLoadBalancerInput struct{ LoadBalancerName string }

// Nothing is an empty answer.
type Nothing struct{}

func (s *Service) deleteLoadBalancer(_ context.Context, _ wire.Caller, in *DeleteLoadBalancerInput) (*Nothing, error) {
	s.Remove(in.LoadBalancerName)
	return &Nothing{}, nil
}
