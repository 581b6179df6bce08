package eks

import (
	"errors"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// Options are what EKS needs from around it. World and Neighbours are required.
type Options struct {
	World      *world.World
	Neighbours Neighbours
	// Planes are the control planes behind the clusters; nil means that every cluster is served by nothing and is ready
	// when its time has come.
	Planes ControlPlanes
	// Nodes are the Kubernetes nodes of instances; nil means that an instance in service is a ready node.
	Nodes Nodes
	// Verifier proves who signed a token. It is used outside the world's lock.
	Verifier wire.Verifier
	// Issuer gives the OIDC issuer URL of a cluster by the cluster's id; nil means AWS's own.
	Issuer func(id string) string
}

// Service is EKS in one region of one account.
type Service struct {
	world      *world.World
	neighbours Neighbours
	planes     ControlPlanes
	nodes      Nodes
	verifier   wire.Verifier
	issuer     func(id string) string
	state      *state
	// told remembers what each control plane was last asked to be, so that it is told again only when that changes. A
	// restarted process has told nobody yet.
	told map[string]string
}

// New makes the service and registers it as a part of the world.
func New(o Options) (*Service, error) {
	if o.World == nil {
		return nil, errors.New("making EKS: a world is needed")
	}
	if err := o.Neighbours.check(); err != nil {
		return nil, err
	}
	s := &Service{
		world: o.World, neighbours: o.Neighbours, planes: o.Planes, nodes: o.Nodes, verifier: o.Verifier, issuer: o.Issuer,
		state: newState(), told: map[string]string{},
	}
	if s.planes == nil {
		s.planes = servedByNothing{world: o.World}
	}
	if s.nodes == nil {
		s.nodes = instancesAreNodes{}
	}
	if s.issuer == nil {
		s.issuer = func(id string) string {
			return "https://oidc.eks." + o.World.Region + "." + o.World.DNSSuffix() + "/id/" + id
		}
	}
	o.World.WatchTrail(s.watchStacks)
	o.World.Register(world.Part{Name: "eks", State: s.state, Advance: s.advance, Loaded: s.loaded, Durations: durations()})
	return s, nil
}

// What real nodes and pods are given at least, whatever the world's speed: a machine that has much else to do is late with a node, and AWS would
// give up on it. Pods that a budget keeps while nodes are replaced wait for others elsewhere to become ready; those of a node group that is
// deleted may have nowhere to go, and what is left of them goes with the nodes.
const (
	joinTime  = 5 * time.Minute
	moveTime  = 5 * time.Minute
	leaveTime = time.Minute
)

// durations are what things take in the real world, as the user guide and the experience of its readers tell.
func durations() map[string]time.Duration {
	return map[string]time.Duration{
		"eks.cluster.create":          9 * time.Minute,
		"eks.cluster.delete":          3 * time.Minute,
		"eks.cluster.version":         10 * time.Minute,
		"eks.cluster.config":          2 * time.Minute,
		"eks.cluster.encryption":      15 * time.Minute,
		"eks.cluster.identity":        10 * time.Minute,
		"eks.nodegroup.create":        40 * time.Second, // beyond what the group's instances take
		"eks.nodegroup.delete":        30 * time.Second, // likewise
		"eks.nodegroup.config":        10 * time.Second,
		"eks.nodegroup.drain.timeout": 15 * time.Minute,
		"eks.nodegroup.node.timeout":  25 * time.Minute,
		"eks.addon.create":            45 * time.Second,
		"eks.addon.update":            30 * time.Second,
		"eks.addon.delete":            15 * time.Second,
		"eks.addon.degraded":          15 * time.Minute, // without nodes to run on
		"eks.fargate.create":          90 * time.Second,
		"eks.fargate.delete":          2 * time.Minute,
		"eks.capability.create":       2 * time.Minute,
		"eks.capability.update":       1 * time.Minute,
		"eks.capability.delete":       15 * time.Minute, // https://github.com/aws-samples/appmod-blueprints/pull/881
		"eks.insights.refresh":        2 * time.Minute,
		"eks.insights.interval":       24 * time.Hour,
	}
}

// loaded completes the state that an older process left.
func (s *Service) loaded() error {
	fill(&s.state.Clusters)
	fill(&s.state.StackCreators)
	fill(&s.state.StackTags)
	fill(&s.state.FullZones)
	for _, c := range s.state.Clusters {
		fillMaps(c)
	}
	return nil
}

func fillMaps(c *clusterRecord) {
	fill(&c.Kept)
	fill(&c.Nodegroups)
	fill(&c.Addons)
	fill(&c.Entries)
	fill(&c.Associations)
	fill(&c.Profiles)
	fill(&c.Providers)
	fill(&c.Capabilities)
	fill(&c.Shown)
}

func fill[V any](m *map[string]V) {
	if *m == nil {
		*m = map[string]V{}
	}
}

// advance settles every status whose time has come.
func (s *Service) advance(now time.Time) bool {
	changed := false
	for _, c := range sorted(s.state.Clusters) {
		changed = s.advanceCluster(now, c) || changed
	}
	return changed
}

func (s *Service) advanceCluster(now time.Time, c *clusterRecord) bool {
	s.tellPlane(c)
	changed := false
	for _, step := range []func(time.Time, *clusterRecord) bool{
		s.advanceStatus, s.advanceUpdates, s.advanceNodegroups, s.advanceAddons, s.advanceProfiles, s.advanceCapabilities, s.advanceInsights,
	} {
		changed = step(now, c) || changed
	}
	return changed
}

func (s *Service) now() wire.Time { return wire.Time{Time: s.world.Now()} }

// in is the moment at which something started now is done.
func (s *Service) in(duration string) time.Time {
	return s.world.Now().Add(s.world.Duration(duration))
}

func due(now, at time.Time) bool { return !now.Before(at) }
