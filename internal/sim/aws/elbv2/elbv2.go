// Package elbv2 is Elastic Load Balancing v2 of the simulator (API version 2015-12-01): application and network load balancers
// that something inside a cluster made, which eksctl looks for and waits on when it deletes the cluster.
//
// Inputs are Put, by which whoever plays the cluster's load balancer controller makes a load balancer, and the describe, tag
// and delete operations of the API; output is what exists.
//
// Invariant: names are unique; deleting what is gone is no error, as the API documents.
package elbv2

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
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

// Service is ELBv2 of one region. Its methods run under the world's lock.
type Service struct {
	// Network is where load balancers have their interfaces; without it they have none.
	Network Network
	world   *world.World
	state   state
}

type state struct{ Balancers map[string]*Balancer } // by ARN

// Balancer is a load balancer.
type Balancer struct {
	ARN, Name, VPC string
	Type           string // "application" or "network"
	Scheme         string // "internet-facing" or "internal"
	Zones          []Zone
	SecurityGroups []string
	Created        time.Time
	Tags           world.Tags
	Interfaces     []string
}

// Zone is a zone in which a load balancer has an address.
type Zone struct {
	ZoneName string
	SubnetID string `xml:"SubnetId"`
}

// New makes the service and registers it with the world.
func New(w *world.World) *Service {
	s := &Service{world: w, state: state{Balancers: map[string]*Balancer{}}}
	w.Register(world.Part{Name: "elbv2", State: &s.state, Loaded: func() error {
		if s.state.Balancers == nil {
			s.state.Balancers = map[string]*Balancer{}
		}
		return nil
	}})
	return s
}

// Put makes a load balancer and returns its ARN; one of that name is replaced and keeps its ARN.
func (s *Service) Put(b Balancer) string {
	if other, ok := s.Find(b.Name); ok {
		b.ARN, b.Created = other.ARN, other.Created
	} else {
		short := map[string]string{"application": "app", "network": "net", "gateway": "gwy"}[b.Type]
		b.ARN, b.Created = s.world.ARN("elasticloadbalancing", "loadbalancer/"+short+"/"+b.Name+"/"+s.world.Hex(16)), s.world.Now()
	}
	b.Scheme = cmp.Or(b.Scheme, "internet-facing")
	s.Remove(b.ARN)
	if s.Network != nil {
		var subnets []string
		for _, zone := range b.Zones {
			subnets = append(subnets, zone.SubnetID)
		}
		_, short, _ := strings.Cut(b.ARN, ":loadbalancer/")
		b.Interfaces = s.Network.Attach("ELB "+short, subnets, b.SecurityGroups)
	}
	s.state.Balancers[b.ARN] = &b
	return b.ARN
}

// Remove takes a load balancer away, if it is there.
func (s *Service) Remove(arn string) {
	if b := s.state.Balancers[arn]; b != nil && s.Network != nil {
		s.Network.Release(b.Interfaces)
	}
	delete(s.state.Balancers, arn)
}

// All are the load balancers that there are, by ARN.
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
		Name: "elasticloadbalancing", ID: "elbv2", Protocol: wire.Query, Version: "2015-12-01",
		Namespace: "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
	}
	api.Operation("DescribeLoadBalancers", wire.Handle(s.describeLoadBalancers))
	api.Operation("DescribeTags", wire.Handle(s.describeTags))
	api.Operation("DeleteLoadBalancer", wire.Handle(s.deleteLoadBalancer))
	return api
}

// DescribeLoadBalancersInput asks for some load balancers or for all.
type DescribeLoadBalancersInput struct {
	LoadBalancerARNs []string `form:"LoadBalancerArns"`
	Names            []string
	Marker           string
	PageSize         int
}

// State is how a load balancer is.
type State struct{ Code string }

// Description is a load balancer on the wire.
type Description struct {
	LoadBalancerARN       string `xml:"LoadBalancerArn"`
	DNSName               string
	CanonicalHostedZoneID string    `xml:"CanonicalHostedZoneId"`
	CreatedTime           wire.Time `xml:"CreatedTime"`
	LoadBalancerName      string
	Scheme                string
	VpcID                 string `xml:"VpcId"`
	State                 State
	Type                  string
	AvailabilityZones     []Zone   `xml:"AvailabilityZones>member"`
	SecurityGroups        []string `xml:"SecurityGroups>member"`
	IPAddressType         string   `xml:"IpAddressType"`
}

// DescribeLoadBalancersOutput is one page of load balancers.
type DescribeLoadBalancersOutput struct {
	LoadBalancers []Description `xml:"LoadBalancers>member"`
	NextMarker    string        `xml:",omitempty"`
}

func (s *Service) describeLoadBalancers(_ context.Context, _ wire.Caller, in *DescribeLoadBalancersInput) (*DescribeLoadBalancersOutput, error) {
	size := in.PageSize
	if size == 0 {
		size = 400
	}
	if size < 1 || size > 400 {
		return nil, wire.Errorf("ValidationError", "PageSize must be between 1 and 400.")
	}
	wanted, err := s.wanted(in)
	if err != nil {
		return nil, err
	}
	part, next, ok := wire.Page(wanted, func(b *Balancer) string { return b.ARN }, size, in.Marker)
	if !ok {
		return nil, wire.Errorf("ValidationError", "The marker is not valid.")
	}
	out := &DescribeLoadBalancersOutput{LoadBalancers: []Description{}, NextMarker: next}
	for _, b := range part {
		out.LoadBalancers = append(out.LoadBalancers, s.show(b))
	}
	return out, nil
}

func (s *Service) wanted(in *DescribeLoadBalancersInput) ([]*Balancer, error) {
	var out []*Balancer
	for _, arn := range in.LoadBalancerARNs {
		b, ok := s.state.Balancers[arn]
		if !ok {
			return nil, wire.Errorf("LoadBalancerNotFound", "One or more load balancers not found")
		}
		out = append(out, b)
	}
	for _, name := range in.Names {
		before := len(out)
		for _, b := range s.state.Balancers {
			if b.Name == name {
				out = append(out, b)
			}
		}
		if len(out) == before {
			return nil, wire.Errorf("LoadBalancerNotFound", "Load balancers '[%s]' not found", name)
		}
	}
	if len(in.LoadBalancerARNs)+len(in.Names) > 0 {
		return out, nil
	}
	return slices.Collect(maps.Values(s.state.Balancers)), nil
}

// Find gives a load balancer by its name, if it is there.
func (s *Service) Find(name string) (Balancer, bool) {
	for _, b := range s.state.Balancers {
		if b.Name == name {
			return *b, true
		}
	}
	return Balancer{}, false
}

// Host is the name by which a load balancer is reached, if it is there.
func (s *Service) Host(name string) (host string, ok bool) {
	b, ok := s.Find(name)
	if !ok {
		return "", false
	}
	return s.host(&b), true
}

// host is the name by which a load balancer is reached: other than a classic one's, a Network Load Balancer's has a part of the ARN in it.
func (s *Service) host(b *Balancer) string {
	if b.Type == "network" {
		return b.Name + "-" + b.ARN[strings.LastIndexByte(b.ARN, '/')+1:] + ".elb." + s.world.Region + "." + s.world.DNSSuffix()
	}
	return b.Name + "-1234567890." + s.world.Region + ".elb." + s.world.DNSSuffix()
}

func (s *Service) show(b *Balancer) Description {
	return Description{
		LoadBalancerARN: b.ARN, DNSName: s.host(b), CanonicalHostedZoneID: "Z1H1FL5HABSF5",
		CreatedTime: wire.Time{Time: b.Created}, LoadBalancerName: b.Name, Scheme: b.Scheme, VpcID: b.VPC, State: State{Code: "active"}, Type: b.Type,
		AvailabilityZones: b.Zones, SecurityGroups: b.SecurityGroups, IPAddressType: "ipv4",
	}
}

// DescribeTagsInput names load balancers.
type DescribeTagsInput struct {
	ResourceARNs []string `form:"ResourceArns"`
}

// Tag is a tag.
type Tag struct{ Key, Value string }

// TagDescription is the tags of a load balancer.
type TagDescription struct {
	ResourceARN string `xml:"ResourceArn"`
	Tags        []Tag  `xml:"Tags>member,omitempty"`
}

// DescribeTagsOutput is the tags of load balancers.
type DescribeTagsOutput struct {
	TagDescriptions []TagDescription `xml:"TagDescriptions>member"`
}

func (s *Service) describeTags(_ context.Context, _ wire.Caller, in *DescribeTagsInput) (*DescribeTagsOutput, error) {
	if n := len(in.ResourceARNs); n == 0 || n > 20 {
		return nil, wire.Errorf("ValidationError", "ResourceArns must have 1 to 20 ARNs.")
	}
	out := &DescribeTagsOutput{TagDescriptions: []TagDescription{}}
	for _, arn := range in.ResourceARNs {
		b, ok := s.state.Balancers[arn]
		if !ok {
			return nil, wire.Errorf("LoadBalancerNotFound", "One or more load balancers not found")
		}
		d := TagDescription{ResourceARN: arn}
		for _, t := range b.Tags.List() {
			d.Tags = append(d.Tags, Tag(t))
		}
		out.TagDescriptions = append(out.TagDescriptions, d)
	}
	return out, nil
}

// DeleteLoadBalancerInput names a load balancer.
type DeleteLoadBalancerInput struct {
	LoadBalancerARN string `form:"LoadBalancerArn"`
}

// Nothing is an empty answer.
type Nothing struct{}

func (s *Service) deleteLoadBalancer(_ context.Context, _ wire.Caller, in *DeleteLoadBalancerInput) (*Nothing, error) {
	s.Remove(in.LoadBalancerARN)
	return &Nothing{}, nil
}
