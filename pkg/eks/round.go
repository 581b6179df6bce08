package eks

import (
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// maxSkew is how many minor versions a kubelet may be behind the API server
// (https://kubernetes.io/releases/version-skew-policy/#kubelet).
const maxSkew = 3

// round is one round of an upgrade of Kubernetes: how far the control plane goes before nodes have to follow, and the addons that go
// with it. It is decided from git and from what is live alone, so that a new process finds an upgrade where it was left; and once
// for a look, so that all that is planned and done after it agrees, whatever moves meanwhile.
type round struct {
	// live is the minor version of the control plane, goal the one at the end of the round, target what the file says.
	live, goal, target int
	// nodes is how far the control plane may go ahead of the nodes. They follow in the round that takes it there: where only addons
	// end a round, nodes are moved once, later.
	nodes int
	// moves are the addons that have to move for the round, by name.
	moves map[string]addonMove
}

// addonMove is a version that an addon has in a round of an upgrade.
type addonMove struct {
	version string
	// stays says that it is the live one.
	stays bool
	// before says that it runs on both sides of the control plane's step, and so comes before it.
	before bool
	// degraded says that the addon waits for nodes, of which there are none, and so nothing waits for it.
	degraded bool
}

func minorName(minor int) string { return fmt.Sprintf("1.%d", minor) }

// paced is the config in the round that a world is in.
func (c *Config) paced(w *world) *Config {
	out := *c
	out.round = c.roundOf(w)
	return &out
}

// pace makes all that is done after this look go by the round of an upgrade that it shows.
func (c *Cloud) pace(cfg *Config, w *world) *Config {
	cfg = cfg.paced(w)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.config = cfg
	return cfg
}

// nodeVersion is the Kubernetes version that nodes are wanted at now; "" when the file leaves it open, or they are not to move yet.
func (c *Config) nodeVersion() string {
	switch r := c.round; {
	case r == nil:
		return c.explicitVersion()
	case r.goal < r.nodes:
		return ""
	}
	return minorName(c.round.goal)
}

// span is from where to where the file takes a live control plane; false when it leaves that open, or wants to go back.
func (c *Config) span(w *world) (live, target int, ok bool) {
	target = minorOf(c.explicitVersion())
	if w.Cluster == nil || target < 0 {
		return 0, 0, false
	}
	live = minorOf(aws.ToString(w.Cluster.Version))
	return live, target, live >= 0 && live <= target
}

// offers says that EKS has a version of Kubernetes, as far as that was asked: towards one that it has not nothing moves.
func (w *world) offers(minor int) bool {
	return len(w.Versions) == 0 || slices.ContainsFunc(w.Versions, func(v clusterVersion) bool { return minorOf(v.Version) == minor })
}

// upgrading reports whether an upgrade is under way: the control plane is not where the file wants it, or nodes are not where the
// control plane is. Where no nodes follow the control plane nothing tells whether addons still have to.
func (c *Config) upgrading(w *world) bool {
	live, target, ok := c.span(w)
	switch {
	case !ok:
		return false
	case live < target:
		return true
	case !slices.ContainsFunc(c.nodegroups(), nodegroup.followsVersion):
		return true
	}
	oldest := c.oldest(w)
	return oldest >= 0 && oldest < live
}

// oldest is the oldest version of the nodes that move along or go, which keep a control plane from going too far ahead of them; -1 when
// there are none. Those that stay as they are do not: for them it does not go at all (skewConcerns).
func (c *Config) oldest(w *world) int {
	oldest := -1
	for _, g := range w.Groups {
		if m := g.minor(); m >= 0 && c.movesAlong(g) && (oldest < 0 || m < oldest) {
			oldest = m
		}
	}
	return oldest
}

// movesAlong says that an upgrade moves the nodes of a live group, or that git deletes them.
func (c *Config) movesAlong(g *group) bool {
	want, known := c.nodegroup(g.User)
	if known {
		return want.followsVersion() && !g.failed()
	}
	return g.Stack != nil && !g.failed()
}

// minor is the minor version of Kubernetes that a group's nodes are made for; -1 when nothing tells.
func (g *group) minor() int {
	if g.Nodegroup != nil {
		return minorOf(aws.ToString(g.Nodegroup.Version))
	}
	if g.Managed {
		return -1
	}
	return minorOf(g.madeFor())
}

// roundOf is the round that an upgrade is in; nil when none is under way.
func (c *Config) roundOf(w *world) *round {
	live, target, ok := c.span(w)
	if !ok || !c.upgrading(w) {
		return nil
	}
	r := &round{live: live, target: target, nodes: target, moves: map[string]addonMove{}}
	if oldest := c.oldest(w); oldest >= 0 {
		r.nodes = max(live, min(target, oldest+maxSkew))
	}
	if !w.offers(target) {
		r.goal, r.nodes = live, live
		return r
	}
	addons := c.addonUpgrades(w)
	r.goal = r.nodes
	for _, u := range addons {
		r.goal = min(r.goal, u.reach(live, r.nodes))
	}
	for _, u := range addons {
		if m, ok := u.move(*r); ok {
			m.degraded = u.status == ekstypes.AddonStatusDegraded && !w.hasNodes()
			r.moves[u.want.Name] = m
		}
	}
	return r
}

func (w *world) hasNodes() bool {
	for _, g := range w.Groups {
		if len(g.instances()) > 0 {
			return true
		}
	}
	return false
}

// move is the version that the round gives an addon, if any.
func (c *Config) move(addon string) (addonMove, bool) {
	if c.round == nil {
		return addonMove{}, false
	}
	m, ok := c.round.moves[addon]
	return m, ok
}

// inRound takes what the file wants of the control plane no further than the round goes.
func (c *Config) inRound(cluster gitops.Tree) gitops.Tree {
	if c.round != nil {
		put(cluster, minorName(c.round.goal), "metadata", "version")
	}
	return cluster
}

// addonSpec is what the file wants of an addon, with the version that the round gives it: what a round brings is no drift.
func (c *Config) addonSpec(a addon) gitops.Tree {
	m, ok := c.move(a.want.Name)
	if !ok {
		return a.written
	}
	out := gitops.Clone(a.written)
	out["version"] = m.version
	return out
}

// inWaves orders what a round moves:
//
//	addons whose new version runs on both sides of the control plane's step
//	-> the control plane -> addons that run only behind it -> managed nodegroups -> self-managed nodegroups -> all other addons,
//	but for those that nodes need, which keep their place before nodegroups
func (c *Config) inWaves(wants []want) []want {
	if c.round == nil {
		return wants
	}
	cluster := c.ref(KindCluster, c.Name)
	moving, before, after := map[gitops.Ref]addonMove{}, []gitops.Ref{}, []gitops.Ref{}
	for _, name := range slices.Sorted(maps.Keys(c.round.moves)) {
		m, r := c.round.moves[name], c.ref(KindAddon, name)
		if m.stays {
			continue
		}
		moving[r] = m
		switch {
		case m.degraded:
		case m.before:
			before = append(before, r)
		default:
			after = append(after, r)
		}
	}
	var managed []gitops.Ref
	for _, g := range c.full.ManagedNodeGroups {
		managed = append(managed, c.ref(KindNodegroup, g.Name))
	}
	for i := range wants {
		w := &wants[i]
		m, moves := moving[w.ref]
		switch {
		case w.ref == cluster:
			w.needs = before
		case moves && m.before:
			w.needs = nil
		case moves:
			w.needs = slices.DeleteFunc(w.needs, hosts)
		case slices.Contains(managed, w.ref):
			w.needs = slices.Concat(w.needs, after)
		case w.ref.Kind == KindNodegroup:
			w.needs = slices.Concat(w.needs, after, managed)
		}
	}
	return wants
}

// hosts says that a ref is something that pods run on.
func hosts(r gitops.Ref) bool { return r.Kind == KindNodegroup || r.Kind == KindFargateProfile }
