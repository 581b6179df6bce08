package eks

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// concerns are what an upgrade of the control plane might break, all of it, and what is to be known of it.
func (c *Config) concerns(w *world) []gitops.Concern {
	r := c.round
	if r == nil || r.live == r.target {
		return nil
	}
	out := c.addonConcerns(w)
	if r.goal > r.live {
		out = slices.Concat(out, c.skewConcerns(w), c.insightConcerns(w), c.clusterConcerns(w), c.burdenConcerns(w))
	}
	if r.goal == r.target {
		return out
	}
	e := gitops.Errorf(gitops.UpgradeRound, "Kubernetes %s is reached in rounds: %s", minorName(r.target), c.nextRound(w))
	return append(out, gitops.Concern{Error: e.At(c.origin("metadata.version"))})
}

// nextRound says what this round does and why it ends there.
func (c *Config) nextRound(w *world) string {
	r := c.round
	skew := fmt.Sprintf("nodes at %s may be at most three minor versions behind the control plane", minorName(c.oldest(w)))
	switch {
	case r.goal < r.nodes:
		return fmt.Sprintf("%s now, because addons have to move again before it goes on; nodes follow later", minorName(r.goal))
	case r.goal == r.live:
		return fmt.Sprintf("nodes follow to %s first, because %s", minorName(r.live), skew)
	}
	return fmt.Sprintf("%s now, and nodes with it, because %s", minorName(r.goal), skew)
}

// blocked is a concern that holds an upgrade.
func (c *Config) blocked(path, try, format string, args ...any) gitops.Concern {
	e := gitops.Errorf(gitops.UpgradeBlocked, format, args...).At(c.origin(path))
	e.Try = try
	return gitops.Concern{Error: e}
}

// noted is a concern that holds nothing up.
func (c *Config) noted(format string, args ...any) gitops.Concern {
	return gitops.Concern{Error: gitops.Errorf(gitops.UpgradeNote, format, args...).At(c.origin("metadata.version"))}
}

// addonConcerns are the addons that have no way to the file's version of Kubernetes.
func (c *Config) addonConcerns(w *world) []gitops.Concern {
	var out []gitops.Concern
	target := c.round.target
	for _, u := range c.addonUpgrades(w) {
		if len(u.fitting(target, target)) > 0 {
			continue
		}
		fit := running(u.offers, target)
		switch {
		case len(fit) == 0:
			try := "wait for one, or take the addon out of git"
			if u.path == "" {
				try = "wait for one, or set addonsConfig.disableDefaultAddons and delete the addon"
			}
			out = append(out, c.blocked(cmp.Or(u.path, "metadata.version"), try, "addon %s: EKS offers no version that runs on Kubernetes %s", u.want.Name, minorName(target)))
		default:
			b := c.blocked(u.path+".version", "set it to one of those that do: "+firstOf(fit),
				"addon %s: version %s, which the file names, does not run on Kubernetes %s", u.want.Name, u.want.Version, minorName(target))
			b.Final = true
			out = append(out, b)
		}
	}
	for _, name := range c.unasked(w) {
		offers, asked := w.offered(name)
		fit, live := running(offers, target), aws.ToString(w.Addons[name].AddonVersion)
		if asked && !slices.Contains(fit, live) {
			try := "delete it"
			if len(fit) > 0 {
				try = "add it to addons, with one of the versions that do: " + firstOf(fit)
			}
			out = append(out, c.blocked("metadata.version", try, "addon %s, which is not in the file, is at %s, which does not run on Kubernetes %s", name, live, minorName(target)))
		}
	}
	return out
}

// firstOf names the first of many versions.
func firstOf(versions []string) string {
	const most = 3
	if len(versions) > most {
		return strings.Join(versions[:most], ", ") + " ..."
	}
	return strings.Join(versions, ", ")
}

// skewConcerns are the nodes that would be too far behind the control plane at the end of the round, and that nothing moves.
func (c *Config) skewConcerns(w *world) []gitops.Concern {
	least := c.round.goal - maxSkew
	behind, strays := map[string]int{}, map[int][]string{}
	late := func(name string, minor int) {
		if known, ok := behind[name]; !ok || minor < known {
			behind[name] = minor
		}
	}
	owner := map[string]string{}
	for name, g := range w.Groups {
		for _, i := range g.instances() {
			owner[i] = name
		}
		if m := g.minor(); m >= 0 && m < least && !c.movesAlong(g) {
			late(name, m)
		}
	}
	for instance, version := range w.kubelets() {
		m := minorOf(strings.TrimPrefix(version, "v"))
		name, ours := owner[instance]
		switch {
		case m < 0 || m >= least:
		case ours:
			late(name, m)
		default:
			strays[m] = append(strays[m], instance)
		}
	}
	var out []gitops.Concern
	for _, name := range slices.Sorted(maps.Keys(behind)) {
		out = append(out, c.behind(w.Groups[name], behind[name]))
	}
	for _, m := range slices.Sorted(maps.Keys(strays)) {
		slices.Sort(strays[m])
		out = append(out, c.tooOld("metadata.version", fmt.Sprintf("nodes on no nodegroup of this cluster (%s) are", firstOf(strays[m])), m,
			"have what made them make them anew from "+minorName(least)+" on"))
	}
	return out
}

func (w *world) kubelets() map[string]string {
	if w.Preflight == nil {
		return nil
	}
	return w.Preflight.Kubelets
}

// behind says what keeps a nodegroup back, and what to set.
func (c *Config) behind(g *group, minor int) gitops.Concern {
	who, to := "nodegroup "+g.User+" is", minorName(c.round.goal-maxSkew)
	want, known := c.nodegroup(g.User)
	switch m := want.managed; {
	case !known:
		return c.tooOld("metadata.version", who, minor, "it is not in the file: move it with what made it, or delete it")
	case m != nil && m.ReleaseVersion != "":
		return c.tooOld(want.path+".releaseVersion", who, minor, "set releaseVersion to one of "+to+" or later, or take it out, so that the nodes follow metadata.version")
	case m != nil && m.LaunchTemplate != nil:
		return c.tooOld(want.path+".launchTemplate", who, minor, "set launchTemplate.version to one whose image is of "+to+" or later")
	case api.IsAMI(want.base().AMI):
		return c.tooOld(want.path+".ami", who, minor, "set ami to an image of "+to+" or later, or take it out, so that the nodes follow metadata.version")
	}
	return c.tooOld(want.path, "nodes of nodegroup "+g.User+" are", minor, "give the nodegroup another name, so that it is made anew")
}

// tooOld is nodes that nothing moves. No approval helps: EKS refuses the upgrade, and such nodes would stop working.
func (c *Config) tooOld(path, who string, minor int, try string) gitops.Concern {
	until := fmt.Sprintf("; until then metadata.version can be %s", minorName(max(minor+maxSkew, c.round.live)))
	b := c.blocked(path, try+until, "%s at %s, and may be at most three minor versions behind the control plane, which goes to %s", who, minorName(minor), minorName(c.round.goal))
	b.Final = true
	return b
}

// insightConcerns are what EKS itself finds. An ERROR keeps EKS from upgrading unless the file forces it; all else is advice.
func (c *Config) insightConcerns(w *world) []gitops.Concern {
	p := w.Preflight
	if p == nil {
		return nil
	}
	var out []gitops.Concern
	for _, i := range p.Insights {
		said := fmt.Sprintf("EKS insight %q is %s: %s", i.Name, i.Status, strings.TrimSuffix(i.Reason, "."))
		switch {
		case i.Status != string(ekstypes.InsightStatusValueError):
			out = append(out, c.noted("%s", said))
		case i.Minor > c.round.goal:
			out = append(out, c.noted("%s; that is about %s", said, minorName(i.Minor)))
		case aws.ToBool(c.full.Metadata.ForceUpdateVersion):
			out = append(out, c.noted("%s; metadata.forceUpdateVersion goes past it", said))
		case w.outdated(i):
			out = append(out, c.noted("%s; that was at %s, and what it is about has changed since. EKS looks anew when the upgrade begins", said, i.Refreshed.UTC().Format(time.DateTime+"Z")))
		default:
			try := strings.TrimSuffix(cmp.Or(i.Recommendation, "solve what it says"), ".")
			b := c.blocked("metadata.version", try+"; then have EKS look again: aws eks start-insights-refresh --cluster-name "+c.Name, "%s", said)
			b.About = "EKS insight " + i.Name
			out = append(out, b)
		}
	}
	if p.Blind {
		out = append(out, c.noted("EKS's upgrade insights are not looked at: eks:ListInsights and eks:DescribeInsight are not allowed"))
	}
	return out
}

// outdated says that everything that an insight found fault with changed since EKS looked. EKS looks once a day by itself.
func (w *world) outdated(i insight) bool {
	return len(i.Resources) > 0 && !slices.ContainsFunc(i.Resources, func(resource string) bool { return !w.changedAfter(resource, i.Refreshed) })
}

// changedAfter says that a resource of an insight changed. Whose node a node is, its path does not tell; skewConcerns looks at the kubelets
// as they are.
func (w *world) changedAfter(resource string, looked time.Time) bool {
	for _, g := range w.Groups {
		n := g.Nodegroup
		if n != nil && (aws.ToString(n.NodegroupArn) == resource || strings.Contains(resource, "/nodes/")) && aws.ToTime(n.ModifiedAt).After(looked) {
			return true
		}
	}
	for _, a := range w.Addons {
		if aws.ToString(a.AddonArn) == resource && aws.ToTime(a.ModifiedAt).After(looked) {
			return true
		}
	}
	return false
}

// clusterConcerns are what the cluster's API tells, and what it could not be asked.
func (c *Config) clusterConcerns(w *world) []gitops.Concern {
	p := w.Preflight
	if p == nil {
		return nil
	}
	var out []gitops.Concern
	for _, o := range p.Written {
		b := c.blocked("metadata.version", "have "+o.Manager+" "+o.Advice(c.round.target),
			"%s: %s wrote it as %s at %s, which is not served from Kubernetes %s on", o.Ref.Label(), o.Manager, o.APIVersion, o.At, minorName(o.Removed))
		b.About = fmt.Sprintf("%s as %s by %s", o.Ref.Label(), o.APIVersion, o.Manager)
		out = append(out, b)
	}
	for _, what := range p.Unknown {
		b := c.blocked("metadata.version", "make it readable, or approve the upgrade without knowing", "%s", what)
		b.About, _, _ = strings.Cut(what, ":") // what kept it from being read differs from time to time
		out = append(out, b)
	}
	return out
}
