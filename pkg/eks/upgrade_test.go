package eks

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	simfault "github.com/eks-gitops/reconciler/internal/sim/aws/fault"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// skewed says which nodes may not be beside a control plane: more than three minor versions behind it, or ahead of it.
func skewed(w *world) string {
	if w == nil || w.Cluster == nil {
		return ""
	}
	live := minorOf(aws.ToString(w.Cluster.Version))
	for _, g := range w.Groups {
		if m := g.minor(); m >= 0 && (m > live || live-m > maxSkew) {
			return fmt.Sprintf("nodegroup %s is at 1.%d, and the control plane at 1.%d", g.Name, m, live)
		}
	}
	return ""
}

// upgraded are the calls made since a request that moved something to another version, those of addons that came together sorted.
func (r *rig) upgraded(since int) []string {
	var out, addons []string
	flush := func() {
		slices.Sort(addons)
		out, addons = append(out, addons...), nil
	}
	for _, q := range r.Requests(since) {
		if q.Status != 200 {
			continue
		}
		switch q.Operation {
		case "UpdateAddon":
			addons = append(addons, "addon "+inputOf(q.Input, "addonVersion"))
		case "UpdateClusterVersion":
			flush()
			out = append(out, "control plane "+inputOf(q.Input, "version"))
		case "UpdateNodegroupVersion":
			flush()
			out = append(out, "nodes "+inputOf(q.Input, "version"))
		case "CreateStack":
			flush()
			out = append(out, "new nodes")
		}
	}
	flush()
	return out
}

// inputOf is a field of a request's input.
func inputOf(input json.RawMessage, name string) string {
	var fields map[string]any
	if json.Unmarshal(input, &fields) != nil {
		return "?"
	}
	for k, v := range fields {
		if strings.EqualFold(k, name) {
			return fmt.Sprint(v)
		}
	}
	return "?"
}

// TestUpgradeInWaves takes a cluster up by three minor versions, in one process and with one for every call. Addons come first, then the
// control plane one minor version at a time, then managed nodes, then self-managed ones. CoreDNS has no version that runs on all,
// and so addons and control plane take turns; nodes are moved once. No node is ever too far from its control plane.
func TestUpgradeInWaves(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		restart bool
		want    []string
	}{
		"one process": {false, []string{
			"addon v1.12.4-eksbuild.1", "control plane 1.34", "control plane 1.35",
			"addon v0.9.0-eksbuild.5", "addon v1.14.3-eksbuild.3", "addon v1.22.4-eksbuild.3", "addon v1.3.10-eksbuild.3",
			"control plane 1.36", "nodes 1.36", "new nodes",
		}},
		"killed after every call": {true, []string{
			"addon v1.12.4-eksbuild.1", "control plane 1.34",
			"addon v0.9.0-eksbuild.5", "addon v1.13.2-eksbuild.11", "addon v1.22.4-eksbuild.3", "addon v1.3.10-eksbuild.3",
			"control plane 1.35", "control plane 1.36", "nodes 1.36", "new nodes",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, edited(t, `"1.34"`, `"1.33"`))
			r.kube.perNode = 1
			r.converge()
			r.restart = tt.restart
			r.watch = func(w *world) {
				if why := skewed(w); why != "" {
					t.Fatalf("%s\nafter\n%s", why, strings.Join(r.did, "\n"))
				}
			}
			since := r.lastRequest()
			r.git(edited(t, `"1.34"`, `"1.36"`))
			p := r.plan()
			if c := find(t, p, KindCluster, "dev"); c.Edits[0].After != "1.35" || c.Minutes != 2*minutesControlPlane {
				t.Errorf("the first round: %s", describe(nil, p))
			}
			if !slices.ContainsFunc(p.Problems, func(e *gitops.Error) bool {
				return e.Reason == gitops.UpgradeRound && strings.Contains(e.Message(), "1.36 is reached in rounds: 1.35 now")
			}) {
				t.Errorf("the rounds are not told:\n%s", describe(nil, p))
			}
			r.converge()
			r.settled("the upgrade")
			if diff := cmp.Diff(tt.want, r.upgraded(since)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestUpgradeIsNoDrift: what later rounds bring was not asked for by their commit, and is no drift all the same.
func TestUpgradeIsNoDrift(t *testing.T) {
	t.Parallel()
	r := newRig(t, edited(t, `"1.34"`, `"1.33"`))
	book := func() {
		seen, err := r.cloud.Observe(t.Context(), gitops.Desired{Cluster: "dev", Items: []gitops.Item{r.item}}, r.inv)
		if err != nil {
			t.Fatal(err)
		}
		for ref, o := range seen {
			r.inv[ref] = gitops.Entry{Spec: gitops.DigestOf(o.Spec)}
		}
	}
	r.converge()
	book()
	r.git(edited(t, `"1.34"`, `"1.36"`))
	for n, goal := range []string{"1.35", "1.36"} {
		p := r.plan()
		for _, c := range p.Changes {
			if c.Drift {
				t.Errorf("round %d: %s is called drift", n+1, c.Ref)
			}
		}
		if c := find(t, p, KindCluster, "dev"); c.Edits[0].After != goal {
			t.Errorf("round %d: %v", n+1, c.Edits)
		}
		book()
		r.run(p)
	}
	r.settled("two rounds")
}

// TestUpgradeAsksOnlyWhenItComes: while nothing is to be upgraded or moved, none of what an upgrade needs to know is asked for.
func TestUpgradeAsksOnlyWhenItComes(t *testing.T) {
	t.Parallel()
	r := newRig(t, fleet)
	r.converge()
	asks := func() (out []string) {
		since, asked := r.lastRequest(), r.kube.asked
		r.reboot()
		r.plan()
		for _, q := range r.Requests(since) {
			if slices.Contains([]string{"DescribeAddonVersions", "ListInsights", "DescribeInsight", "DescribeSubnets"}, q.Operation) {
				out = append(out, q.Operation)
			}
		}
		if r.kube.asked != asked {
			out = append(out, "the cluster")
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	if got := asks(); len(got) > 0 {
		t.Errorf("a settled cluster makes it ask %v", got)
	}
	r.git(edited(t, `"1.34"`, `"1.35"`))
	if got := asks(); !slices.Equal(got, []string{"DescribeAddonVersions", "DescribeSubnets", "ListInsights", "the cluster"}) {
		t.Errorf("an upgrade makes it ask %v", got)
	}
}

// TestUpgradeWithoutInsights: that insights may not be read is a note; that they cannot be read holds the upgrade, which may be approved.
func TestUpgradeWithoutInsights(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	r.converge()
	r.git(strings.Replace(small, `"1.34"`, `"1.35"`, 1))
	for _, tt := range []struct {
		rule simfault.Rule
		held bool
		says string
	}{
		{simfault.Rule{Effect: simfault.Fail, Code: "AccessDeniedException", Message: "no", Status: 403}, false, "eks:ListInsights and eks:DescribeInsight are not allowed"},
		{simfault.Rule{Effect: simfault.Fail, Code: "ServerException", Message: "oops", Status: 500}, true, "EKS's upgrade insights could not be read: "},
	} {
		tt.rule.Service, tt.rule.Operation = "eks", "ListInsights"
		if _, err := r.Faults().Add(tt.rule); err != nil {
			t.Fatal(err)
		}
		r.reboot()
		p := r.plan()
		c := find(t, p, KindCluster, "dev")
		told := slices.ContainsFunc(p.Problems, func(e *gitops.Error) bool { return strings.Contains(e.Message(), tt.says) && e.From.Line > 0 })
		if !p.Complete || !told || (c.Hold != nil) != tt.held || tt.held && !c.Hold.Approvable {
			t.Errorf("%s:\n%s", tt.rule.Code, describe(nil, p))
		}
		r.Faults().Clear("")
	}
}

// TestUpgradeHeldByOldNodes: nodes that nothing moves are told in the plan, with the nodegroup and what to set, and EKS is not asked.
func TestUpgradeHeldByOldNodes(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	r.converge()
	instance := r.cloud.world.Groups["system"].instances()[0]
	r.kube.kubelets = map[string]string{instance: "v1.31.4-eks-1", "i-elsewhere": "v1.30.1"}
	r.git(strings.Replace(small, `"1.34"`, `"1.35"`, 1))
	p := r.plan()
	c := find(t, p, KindCluster, "dev")
	if !p.Complete || c.Hold == nil || c.Hold.Approvable {
		t.Fatalf("%s", describe(nil, p))
	}
	for _, says := range []string{"nodes of nodegroup system are at 1.31", "nodes on no nodegroup of this cluster (i-elsewhere) are at 1.30"} {
		if !slices.ContainsFunc(p.Problems, func(e *gitops.Error) bool {
			return e.Reason == gitops.UpgradeBlocked && strings.Contains(e.Message(), says) && strings.Contains(e.Try, "until then metadata.version can be 1.34") && e.From.Line > 0
		}) {
			t.Errorf("nobody says that %s:\n%s", says, describe(nil, p))
		}
	}
}

// TestMovesAreTold: what moves nodes says which, how many pods go with them, and what could keep these.
func TestMovesAreTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	r.converge()
	r.kube.perNode, r.kube.scratch, r.kube.budget = 3, 4, "PodDisruptionBudget shop/web allows 0 disruptions now"
	nodes := r.cloud.world.Groups["system"].instances()
	for _, change := range []struct{ from, to, says string }{
		{`"1.34"`, `"1.35"`, fmt.Sprintf("2 nodes (%s) are replaced, 1 at a time; 6 pods move; 4 of them may lose what they have in emptyDir volumes; may be kept waiting: %s", strings.Join(nodes, ", "), r.kube.budget)},
		{"m5.large", "m6i.large", fmt.Sprintf("its 2 nodes (%s) are drained and deleted; 6 pods move; 4 of them may lose what they have in emptyDir volumes; may be kept waiting: %s", strings.Join(nodes, ", "), r.kube.budget)},
	} {
		r.git(strings.Replace(small, change.from, change.to, 1))
		if c := find(t, r.plan(), KindNodegroup, "system"); !strings.Contains(c.Why, change.says) || c.Minutes == 0 {
			t.Errorf("%s says %q, %d minutes", change.to, c.Why, c.Minutes)
		}
	}
}

// TestDrainIsPaced: a group that goes is emptied as many nodes at once as EKS would take down in its own update of it, or a tenth of them.
func TestDrainIsPaced(t *testing.T) {
	t.Parallel()
	nodes := func(n int) *astypes.AutoScalingGroup {
		return &astypes.AutoScalingGroup{Instances: slices.Repeat([]astypes.Instance{{InstanceId: aws.String("i-1"), LifecycleState: astypes.LifecycleStateInService}}, n)}
	}
	managed := func(n int, u *ekstypes.NodegroupUpdateConfig) *group {
		return &group{Managed: true, Scaling: nodes(n), Nodegroup: &ekstypes.Nodegroup{UpdateConfig: u}}
	}
	for _, tt := range []struct {
		group *group
		want  int
	}{
		{managed(40, &ekstypes.NodegroupUpdateConfig{MaxUnavailable: aws.Int32(1)}), 1},
		{managed(40, &ekstypes.NodegroupUpdateConfig{MaxUnavailable: aws.Int32(5)}), 5},
		{managed(3, &ekstypes.NodegroupUpdateConfig{MaxUnavailable: aws.Int32(5)}), 3},
		{managed(40, &ekstypes.NodegroupUpdateConfig{MaxUnavailablePercentage: aws.Int32(25)}), 10},
		{managed(40, nil), 4},
		{&group{Scaling: nodes(3)}, 1},
		{&group{Scaling: nodes(25)}, 2},
	} {
		if got := tt.group.atOnce(); got != tt.want {
			t.Errorf("%d of %d nodes at once, want %d", got, len(tt.group.instances()), tt.want)
		}
	}
	r := newRig(t, small)
	r.converge()
	r.kube.perNode = 1
	r.git(strings.Replace(small, "m5.large", "m6i.large", 1))
	r.converge()
	if len(r.kube.pace) == 0 || slices.Max(r.kube.pace) != 1 {
		t.Errorf("nodes at once: %v", r.kube.pace)
	}
}

// TestLawSkew: wherever an upgrade begins and whatever is done first, no node is ever more than three minor versions behind its control
// plane, or ahead of it; and it ends where git says, unless nodes that nothing moves hold it.
func TestLawSkew(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		live, up := rapid.IntRange(30, 34).Draw(rt, "live"), rapid.IntRange(0, 6).Draw(rt, "up")
		pinned := rapid.Bool().Draw(rt, "pinned")
		cfg := parsed(rt, upgradable(live+up, pinned))
		w := worldOf(t, cfg)
		w.Cluster.Version = aws.String(minorName(live))
		for _, name := range []string{"a", "b", "c"} {
			at := minorName(live - rapid.IntRange(0, maxSkew).Draw(rt, "behind "+name))
			if g := w.Groups[name]; g.Nodegroup != nil {
				g.Nodegroup.Version, g.Nodegroup.ReleaseVersion = &at, aws.String("1.30.0-20250101")
			} else {
				g.Recorded = with(g.Recorded, "version", at)
			}
		}
		var p plan.Plan
		for range 100 {
			if len(p.Changes) == 0 || rapid.Bool().Draw(rt, "another process") {
				p = build(cfg.paced(w).observe(w, false))
			}
			able := startable(p)
			if len(able) == 0 {
				break
			}
			c := able[rapid.IntRange(0, len(able)-1).Draw(rt, "next")]
			if carried(w, c) {
				p.Changes = slices.DeleteFunc(slices.Clone(p.Changes), func(other plan.Change) bool { return other.Ref == c.Ref })
			}
			if why := skewed(w); why != "" {
				rt.Fatalf("%s: %s", c.Ref, why)
			}
		}
		if c, left := p.Change(ref("dev", KindCluster, "dev")); left && c.Hold != nil && pinned {
			return
		}
		if p = build(cfg.paced(w).observe(w, false)); len(p.Changes) > 0 {
			rt.Fatalf("it does not end:\n%s", describe(nil, p))
		}
	})
}

// upgradable is a cluster with two managed nodegroups, one of which may be pinned, and a self-managed one.
func upgradable(minor int, pinned bool) string {
	release := ""
	if pinned {
		release = ", releaseVersion: 1.30.0-20250101"
	}
	return fmt.Sprintf(`apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: dev, region: eu-west-1, version: "1.%d"}
managedNodeGroups:
- {name: a, instanceType: m5.large}
- {name: b, instanceType: m5.large%s}
nodeGroups:
- {name: c, instanceType: m5.large}
`, minor, release)
}

// startable are the changes that need none of the others and are not held.
func startable(p plan.Plan) []plan.Change {
	open := map[gitops.Ref]bool{}
	for _, c := range p.Changes {
		open[c.Ref] = true
	}
	return slices.DeleteFunc(slices.Clone(p.Changes), func(c plan.Change) bool {
		return c.Hold != nil || slices.ContainsFunc(c.Needs, func(n gitops.Ref) bool { return open[n] && n != c.Ref })
	})
}

// carried does to a world what a step towards a change does in AWS; true when that was the last one.
func carried(w *world, c plan.Change) bool {
	to := ""
	for _, e := range c.Edits {
		if strings.HasSuffix(e.Path, "version") {
			to = fmt.Sprint(e.After)
		}
	}
	switch g := w.Groups[c.Ref.Name]; {
	case c.Ref.Kind == KindCluster:
		next := minorOf(*w.Cluster.Version) + 1
		cluster := *w.Cluster
		cluster.Version = aws.String(minorName(next))
		w.Cluster = &cluster
		return minorName(next) == to
	case c.Ref.Kind == KindNodegroup && g.Nodegroup != nil:
		n := *g.Nodegroup
		n.Version = &to
		g.Nodegroup = &n
	case c.Ref.Kind == KindNodegroup:
		g.Recorded = with(g.Recorded, "version", *w.Cluster.Version)
	}
	return true
}
