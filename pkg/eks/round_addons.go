package eks

import (
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
)

// addonVersion is a version of an addon that EKS offers, with the minor versions of Kubernetes that it runs on, and those whose
// clusters get it by default.
type addonVersion struct {
	Version          string
	Minors, Defaults []int
}

// runs says that it runs on all of these minor versions.
func (v addonVersion) runs(from, to int) bool {
	for m := from; m <= to; m++ {
		if !slices.Contains(v.Minors, m) {
			return false
		}
	}
	return true
}

// addonUpgrade is one live addon of the file in an upgrade.
type addonUpgrade struct {
	addon
	live   addonVersion
	status ekstypes.AddonStatus
	offers []addonVersion
}

// addonUpgrades are the live addons of the file of which EKS told what it offers.
func (c *Config) addonUpgrades(w *world) []addonUpgrade {
	var out []addonUpgrade
	for _, a := range c.addons() {
		live := w.Addons[a.want.Name]
		if offers, asked := w.offered(a.want.Name); live != nil && asked {
			out = append(out, addonUpgrade{addon: a, live: versionAmong(offers, aws.ToString(live.AddonVersion)), status: live.Status, offers: offers})
		}
	}
	return out
}

// versionAmong is a version among those that are offered. One that is not offered any more runs on nothing.
func versionAmong(offers []addonVersion, version string) addonVersion {
	i := slices.IndexFunc(offers, func(v addonVersion) bool { return v.Version == version })
	if i < 0 {
		return addonVersion{Version: version}
	}
	return offers[i]
}

// pinned says that the file names versions.
func (u addonUpgrade) pinned() bool { return u.want.Version != "" && u.want.Version != latest }

// allowed says that the file's word stands for a version.
func (u addonUpgrade) allowed(version string) bool {
	return !u.pinned() || versionMatches(version, u.want.Version)
}

// fitting are the versions that the file allows and that run on all of these minor versions.
func (u addonUpgrade) fitting(from, to int) []addonVersion {
	return slices.DeleteFunc(slices.Clone(u.offers), func(v addonVersion) bool { return !v.runs(from, to) || !u.allowed(v.Version) })
}

// reach is how far the control plane may go before the addon has to follow: as far as the live version, or one that it can move to
// before, runs; else one step, behind which it moves.
func (u addonUpgrade) reach(live, target int) int {
	for to := target; to > live; to-- {
		if u.live.runs(live+1, to) || len(u.fitting(live, to)) > 0 {
			return to
		}
	}
	if len(u.fitting(live+1, live+1)) == 0 {
		return target // Nothing runs in between: the shorter that is, the better.
	}
	return live + 1
}

// move is the version that the addon has in a round:
//
//	the live version    git's versions                       move
//	runs                allow it                             none
//	runs                are others, which run behind it      none: it changes in its usual turn
//	runs                are others, which do not             none yet: git's turn comes in a later round
//	does not            run on both sides of the step        the best of them, before
//	does not            run behind it only                   the best of them, after
//
// Where the control plane is there already, a version that EKS offers no more stays: nothing tells that it does not run.
func (u addonUpgrade) move(r round) (addonMove, bool) {
	if r.live == r.target && len(u.live.Minors) == 0 {
		return addonMove{}, false
	}
	if u.live.runs(min(r.live+1, r.goal), r.goal) {
		waits := !u.allowed(u.live.Version) && len(u.fitting(r.goal, r.goal)) == 0
		if waits || u.want.Version == latest && r.goal > r.live {
			return addonMove{version: u.live.Version, stays: true}, true
		}
		return addonMove{}, false
	}
	if both := u.fitting(r.live, r.goal); len(both) > 0 {
		return addonMove{version: u.best(both, r.goal), before: r.goal > r.live}, true
	}
	if behind := u.fitting(r.goal, r.goal); len(behind) > 0 {
		return addonMove{version: u.best(behind, r.goal)}, true
	}
	return addonMove{}, false
}

// best is EKS's default for a minor version, if it is among these and the file does not say latest; else the newest.
func (u addonUpgrade) best(of []addonVersion, minor int) string {
	for _, v := range of {
		if u.want.Version != latest && slices.Contains(v.Defaults, minor) {
			return v.Version
		}
	}
	return newest(of)[0]
}

// newest are versions from the newest on.
func newest(of []addonVersion) []string {
	out := make([]string, 0, len(of))
	for _, v := range of {
		out = append(out, v.Version)
	}
	slices.SortFunc(out, func(a, b string) int { return compareVersions(b, a) })
	return out
}

// running are the versions of an addon that run on a minor version, from the newest on.
func running(offers []addonVersion, minor int) []string {
	return newest(slices.DeleteFunc(slices.Clone(offers), func(v addonVersion) bool { return !v.runs(minor, minor) }))
}

// offered is what EKS offers of an addon, and whether it was asked.
func (w *world) offered(addon string) (offers []addonVersion, asked bool) {
	if w.Preflight == nil {
		return nil, false
	}
	offers, asked = w.Preflight.Addons[addon]
	return offers, asked
}

// unasked are the live addons that the file does not ask for.
func (c *Config) unasked(w *world) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(w.Addons)) {
		if _, asked := c.addon(name); !asked {
			out = append(out, name)
		}
	}
	return out
}
