package eks

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"golang.org/x/sync/errgroup"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// burden is what moving the nodes of a live group means for what runs on them.
type burden struct {
	// Counted says that the cluster told.
	Counted bool
	plan.Load
	// Short says, in words, which of the pods have no place on the nodes that they move to.
	Short []string
	// Unknown says why nothing is known of the pods.
	Unknown string
}

// Typical times in minutes. AWS promises none. Sources: the EKS user guide ("Update existing cluster to new Kubernetes version": several
// minutes; "Understand each phase of node updates": nodes one batch after the other), Kubernetes' default grace period of 30 seconds
// for a pod to stop, and what users report of eu and us regions. Budgets, slow stops and slow starts come on top.
const (
	minutesControlPlane = 10 // one minor version
	minutesAddon        = 1
	minutesStack        = 2 // to make or delete a nodegroup, beside its nodes
	minutesNode         = 3 // from launch to Ready
	minutesDrain        = 2 // the pods of a node stop, and start elsewhere
	minutesSetting      = 2 // UpdateClusterConfig
	minutesLogin        = 10
	minutesProfile      = 2
	minutesCapability   = 2  // to make one
	minutesTakenBack    = 15 // to delete one, with what it made
	minutesRole         = 1  // a stack with a role, an entry, a mapping: less than that
)

// typicalMinutes is how long what leads from the live thing to the wanted one usually takes, when nothing is known but its kind.
func typicalMinutes(kind string, o gitops.Observation) int {
	made, changed, gone := minutesRole, minutesRole, minutesRole
	switch kind {
	case KindCluster:
		made, changed, gone = minutesControlPlane+minutesStack, minutesSetting, minutesControlPlane
	case KindNodegroup:
		made, changed, gone = minutesStack+minutesNode, minutesNode, minutesStack+minutesDrain
	case KindAddon:
		made, changed, gone = minutesAddon, minutesAddon, minutesAddon
	case KindFargateProfile:
		made, changed, gone = minutesProfile, minutesRole, minutesProfile
	case KindCapability:
		made, changed, gone = minutesCapability, minutesRole, minutesTakenBack
	case KindIdentityProviderConfig:
		made, changed, gone = minutesLogin, minutesRole, minutesLogin
	}
	switch {
	case o.Live == nil:
		return made
	case o.Next == nil:
		return gone
	case len(o.Replace) > 0:
		return made + gone
	}
	return changed
}

// rolls says that the nodes of the live group that matches the file are replaced one batch after the other.
func (l lineup) rolls() bool {
	return l.target != nil && l.target.Managed && len(l.staying()) == 0 && l.diff.differs("version", "releaseVersion", "launchTemplate")
}

// move is a live group whose nodes go, be it together or in batches, and what the file has in its place.
type move struct {
	group *group
	want  nodegroup
	line  lineup
}

// moves are all of them.
func (c *Config) moves(w *world) []move {
	var out []move
	for _, want := range c.nodegroups() {
		line := c.lineup(w, want)
		going := line.staying()
		if line.rolls() {
			going = append(going, line.target)
		}
		for _, g := range going {
			out = append(out, move{g, want, line})
		}
	}
	return out
}

// readBurdens finds out what moving nodes means, for the groups whose nodes are to be moved. It is advice for people: what cannot be
// found out is told, and nothing fails for it.
func (c *Cloud) readBurdens(ctx context.Context, cfg *Config, w *world) error {
	if c.Teardown || w.Cluster == nil {
		return nil
	}
	moves := cfg.moves(w)
	found := make([]burden, len(moves))
	var free map[string]int
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	var subnets []string
	for i, m := range moves {
		subnets = append(subnets, m.group.subnets()...)
		if c.Preflight != nil && len(m.group.instances()) > 0 {
			g.Go(func() (err error) { found[i], err = c.load(gctx, cfg, w, m); return err })
		}
	}
	if len(subnets) > 0 {
		g.Go(func() error { free = c.readFree(gctx, subnets); return nil })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	w.Burdens, w.Free = map[string]burden{}, free
	for i, m := range moves {
		w.Burdens[m.group.Name] = found[i]
	}
	return nil
}

// load asks the cluster what runs on a group's nodes, and finds out whether it has a place on those that it moves to. It fails only when the
// look is called off.
func (c *Cloud) load(ctx context.Context, cfg *Config, w *world, m move) (burden, error) {
	load, err := c.Preflight.Load(ctx, m.group.instances())
	switch {
	case err == nil:
		return burden{Counted: true, Load: load, Short: c.shortages(ctx, cfg, w, m, load)}, ctx.Err()
	case ctx.Err() != nil:
		return burden{}, ctx.Err()
	}
	return burden{Unknown: gitops.AsError(gitops.Unreachable, err).Message()}, nil
}

// readFree asks how many addresses subnets have left; nil when that cannot be read.
func (c *Cloud) readFree(ctx context.Context, subnets []string) map[string]int {
	slices.Sort(subnets)
	out, err := c.aws.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: slices.Compact(subnets)})
	if err != nil {
		c.Log.InfoContext(ctx, "free addresses are not known", "error", brief(err))
		return nil
	}
	free := map[string]int{}
	for _, s := range out.Subnets {
		free[aws.ToString(s.SubnetId)] = int(aws.ToInt32(s.AvailableIpAddressCount))
	}
	return free
}

// subnets are where its nodes are.
func (g *group) subnets() []string {
	if g.Nodegroup != nil {
		return slices.Clone(g.Nodegroup.Subnets)
	}
	if g.Scaling == nil || aws.ToString(g.Scaling.VPCZoneIdentifier) == "" {
		return nil
	}
	return strings.Split(*g.Scaling.VPCZoneIdentifier, ",")
}

// batch is how many nodes EKS replaces at a time: one, unless the file or else the group says otherwise.
func batch(want nodegroup, g *group, nodes int) int {
	if u := want.managed.UpdateConfig; u != nil {
		return portion(toInt(u.MaxUnavailable), toInt(u.MaxUnavailablePercentage), nodes)
	}
	return g.batch(nodes)
}

// batch is how many of its nodes EKS takes down at a time, as the live group says.
func (g *group) batch(nodes int) int {
	u := g.Nodegroup.UpdateConfig
	if u == nil {
		return portion(0, 0, nodes)
	}
	return portion(int(aws.ToInt32(u.MaxUnavailable)), int(aws.ToInt32(u.MaxUnavailablePercentage)), nodes)
}

// portion is a number or a share of nodes: at least one, and no more than there are.
func portion(count, percent, nodes int) int { return min(max(1, count, nodes*percent/100), nodes) }

// atOnce is how many of a group's nodes are emptied at once before it goes: as many as EKS takes down at once in its own updates of the group
// (updateConfig), and of a self-managed one a tenth.
func (g *group) atOnce() int {
	nodes := len(g.instances())
	if g.Nodegroup != nil && g.Nodegroup.UpdateConfig != nil {
		return g.batch(nodes)
	}
	return max(1, nodes/10)
}

// batches is what replacing nodes in batches does, and how long it usually takes.
func (w *world) batches(want nodegroup, g *group) (effect string, minutes int) {
	nodes := g.instances()
	if len(nodes) == 0 {
		return "", minutesStack
	}
	size := batch(want, g, len(nodes))
	b := w.Burdens[g.Name]
	said := []string{fmt.Sprintf("%s replaced, %d at a time", theNodes(nodes), size)}
	said = append(said, b.says()...)
	said = append(said, w.room(g, size, len(b.Pods)*size/len(nodes))...)
	rounds := (len(nodes) + size - 1) / size
	return strings.Join(said, "; "), minutesStack + rounds*(minutesNode+minutesDrain)
}

// whole is what replacing a group does, beyond that its nodes go, and how long it usually takes.
func (w *world) whole(want nodegroup, g *group) (effect string, minutes int) {
	nodes := g.instances()
	b := w.Burdens[g.Name]
	said := b.says()
	start, most := want.sizes()
	if most < len(nodes) {
		said = append(said, fmt.Sprintf("what replaces it may have %d of these %d nodes (maxSize)", most, len(nodes)))
	}
	said = append(said, w.room(g, start, len(b.Pods))...)
	return strings.Join(said, "; "), 2*minutesStack + minutesNode + minutesDrain
}

// upgradeMinutes is how long the control plane's part of a round usually takes.
func (c *Config) upgradeMinutes() int {
	if c.round == nil {
		return 0
	}
	return (c.round.goal - c.round.live) * minutesControlPlane
}

func toInt(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

func theNodes(instances []string) string {
	switch len(instances) {
	case 0:
		return "0 nodes are"
	case 1:
		return "1 node (" + instances[0] + ") is"
	}
	return fmt.Sprintf("%d nodes (%s) are", len(instances), firstOf(instances))
}

// says tells what moves, what could keep it, and what has no place to go.
func (b burden) says() []string {
	var said []string
	switch {
	case b.Unknown != "":
		return []string{"what runs on them could not be read: " + b.Unknown}
	case !b.Counted:
		return nil
	case len(b.Pods) == 1:
		said = append(said, "1 pod moves")
	default:
		said = append(said, fmt.Sprintf("%d pods move", len(b.Pods)))
	}
	if n := b.Scratch(); n > 0 {
		said = append(said, fmt.Sprintf("%d of them may lose what they have in emptyDir volumes", n))
	}
	for _, budget := range b.Budgets {
		said = append(said, "may be kept waiting: "+budget)
	}
	return append(said, b.Short...)
}

// room says whether the subnets have too few addresses for more nodes and pods beside those that are there. Pods of a cluster with IPv6
// take none of them.
func (w *world) room(g *group, nodes, pods int) []string {
	if w.Burdens == nil {
		return nil
	}
	if w.Free == nil {
		return []string{"the free addresses of its subnets are not known"}
	}
	free := 0
	for _, id := range g.subnets() {
		free += w.Free[id]
	}
	if n := w.Cluster.KubernetesNetworkConfig; n != nil && n.IpFamily == ekstypes.IpFamilyIpv6 {
		pods = 0
	}
	if free >= nodes+pods {
		return nil
	}
	return []string{fmt.Sprintf("its subnets have %d free addresses, and new nodes and pods may need %d", free, nodes+pods)}
}

// burdenConcerns name what may keep an upgrade's nodes from moving.
func (c *Config) burdenConcerns(w *world) []gitops.Concern {
	var out []gitops.Concern
	for _, name := range slices.Sorted(maps.Keys(w.Burdens)) {
		for _, budget := range w.Burdens[name].Budgets {
			out = append(out, c.noted("the nodes of nodegroup %s may be kept waiting: %s", w.Groups[name].User, budget))
		}
	}
	return out
}
