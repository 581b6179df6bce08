package ec2

import (
	"context"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// Options are the service's neighbours and settings. The zero value is useful.
type Options struct {
	// Images are the machine images that exist, beside those of the built-in catalogue.
	Images []Image
	// Machines are told of instances that start and end; nil means that nobody is.
	Machines Machines
	// InstanceProfile finds the instance profile of a name or ARN; nil accepts every one.
	InstanceProfile func(nameOrARN string) (arn, id string, ok bool)
}

// Service is EC2 of one world. Its methods run under the world's lock.
type Service struct {
	world   *world.World
	options Options
	images  map[string]Image
	state   state
	booted  map[string]bool // instances that Machines knows of since this process started
	short   map[string]bool // instance types of which EC2 has none left now
}

type state struct {
	Vpcs            map[string]*Vpc
	Subnets         map[string]*Subnet
	Gateways        map[string]*InternetGateway
	EgressGateways  map[string]*EgressOnlyInternetGateway
	NatGateways     map[string]*NatGateway
	Addresses       map[string]*Address
	RouteTables     map[string]*RouteTable
	SecurityGroups  map[string]*SecurityGroup
	Rules           map[string]*SecurityGroupRule
	Templates       map[string]*LaunchTemplate
	KeyPairs        map[string]*KeyPair
	Instances       map[string]*Instance
	Interfaces      map[string]*NetworkInterface
	Volumes         map[string]*Volume
	Endpoints       map[string]*VpcEndpoint
	TransitLinks    map[string]*TransitGatewayVpcAttachment
	PlacementGroups map[string]*PlacementGroup
	ZoneGroups      map[string]bool // groups of local zones that the account has opted in to
	Propagations    map[string]*propagation
	Tags            map[string]map[string]string // by resource id
	Tokens          map[string]string            // client token -> id of what it made
}

// New makes the service and registers it with the world.
func New(w *world.World, o Options) *Service {
	s := &Service{world: w, options: o, images: map[string]Image{}, booted: map[string]bool{}}
	s.fill()
	for _, image := range o.Images {
		s.images[image.ImageID] = image
	}
	w.Register(world.Part{
		Name:    "ec2",
		State:   &s.state,
		Advance: func(now time.Time) bool { return s.advance(now) },
		Loaded: func() error {
			s.fill()
			return nil
		},
		Durations: map[string]time.Duration{
			"ec2.natgateway.create":     100 * time.Second,
			"ec2.natgateway.delete":     45 * time.Second,
			"ec2.endpoint.create":       60 * time.Second,
			"ec2.endpoint.delete":       60 * time.Second,
			"ec2.transitlink.create":    90 * time.Second,
			"ec2.transitlink.delete":    60 * time.Second,
			"ec2.instance.launch":       15 * time.Second,
			"ec2.instance.boot":         30 * time.Second, // from running to a kubelet that registers
			"ec2.instance.terminate":    40 * time.Second,
			"ec2.terminated.visibility": time.Hour,
		},
	})
	return s
}

// fill makes the maps that an empty or older state lacks.
func (s *Service) fill() {
	st := &s.state
	ensure(&st.Vpcs)
	ensure(&st.Subnets)
	ensure(&st.Gateways)
	ensure(&st.EgressGateways)
	ensure(&st.NatGateways)
	ensure(&st.Addresses)
	ensure(&st.RouteTables)
	ensure(&st.SecurityGroups)
	ensure(&st.Rules)
	ensure(&st.Templates)
	ensure(&st.KeyPairs)
	ensure(&st.Instances)
	ensure(&st.Interfaces)
	ensure(&st.Volumes)
	ensure(&st.Endpoints)
	ensure(&st.TransitLinks)
	ensure(&st.PlacementGroups)
	ensure(&st.ZoneGroups)
	ensure(&st.Propagations)
	ensure(&st.Tags)
	ensure(&st.Tokens)
}

func ensure[V any](m *map[string]V) {
	if *m == nil {
		*m = map[string]V{}
	}
}

func (s *Service) advance(now time.Time) bool {
	changed := s.advanceNatGateways(now)
	changed = s.advanceEndpoints(now) || changed
	changed = s.advanceTransitLinks(now) || changed
	return s.advanceInstances(now) || changed
}

// after tells whether the named duration since t has passed.
func (s *Service) after(t time.Time, name string) bool {
	return !s.world.Now().Before(t.Add(s.world.Duration(name)))
}

// Dry is the DryRun flag that every EC2 operation has.
type Dry struct {
	DryRun bool
}

func (d Dry) dry() bool { return d.DryRun }

// handle makes an operation, and answers dry runs: what would be allowed, since there are no policies here.
func handle[In, Out any](fn func(context.Context, wire.Caller, *In) (*Out, error)) wire.Handler {
	return wire.Handle(func(ctx context.Context, c wire.Caller, in *In) (*Out, error) {
		if d, ok := any(in).(interface{ dry() bool }); ok && d.dry() {
			return nil, wire.StatusErrorf(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
		}
		return fn(ctx, c, in)
	})
}

// Return answers operations that only say that they worked.
type Return struct {
	Return bool `xml:"return"`
}

func done() *Return { return &Return{Return: true} }

// API is the service as the wire sees it.
func (s *Service) API() *wire.Service {
	api := &wire.Service{Name: "ec2", Protocol: wire.EC2, Version: "2016-11-15", Namespace: "http://ec2.amazonaws.com/doc/2016-11-15/"}
	for _, group := range []map[string]wire.Handler{s.networkAPI(), s.gatewayAPI(), s.securityAPI(), s.computeAPI(), s.placeAPI()} {
		for name, h := range group {
			api.Operation(name, h)
		}
	}
	return api
}
