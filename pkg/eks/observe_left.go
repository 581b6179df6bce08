package eks

import (
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// observeLeft adds what is owned and no longer wanted.
func (c *Config) observeLeft(w *world, out gitops.Observed) {
	pools := c.dnsAddons()
	for _, g := range c.nodegroups() {
		pools = append(pools, c.ref(KindNodegroup, g.name))
	}
	left := func(kind, name string, live gitops.Tree, owned bool, needs []gitops.Ref) {
		r := c.ref(kind, name)
		if _, wanted := out[r]; !wanted {
			// What is in aws-auth is inside the cluster.
			out[r] = gitops.Observation{Live: live, Owned: owned, Extra: !owned && kind != KindIdentityMapping, Needs: needs}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.Groups)) {
		// Capacity comes before it goes: a rename in git makes the new group first, and CoreDNS moves to Fargate before the last one goes.
		g := w.Groups[name]
		left(KindNodegroup, g.User, g.tree(), g.Stack != nil, pools)
	}
	c.refuseLast(w, out)
	for _, name := range slices.Sorted(maps.Keys(w.Addons)) {
		left(KindAddon, name, addonTree(w.Addons[name]), w.Addons[name].Tags[tagMade] == c.Name, nil)
	}
	for _, name := range slices.Sorted(maps.Keys(w.Stacks)) {
		s := w.Stacks[name]
		if account := tag(s, tagIRSA); account != "" {
			left(KindServiceAccount, account, roleView(w.Templates[name]), true, nil)
		}
		if account := tag(s, tagPodIdentity); account != "" {
			left(KindPodIdentity, account, roleView(w.Templates[name]), true, nil)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.Associations)) {
		a := w.Associations[name]
		left(KindPodIdentity, name, gitops.Tree{"roleARN": aws.ToString(a.RoleArn)}, a.Tags[tagMade] == c.Name, nil)
	}
	c.observeEntriesLeft(w, left)
	c.observeMappingsLeft(w, left)
	c.observeCapabilitiesLeft(w, left)
	var profiles []gitops.Ref
	for _, p := range c.full.FargateProfiles {
		profiles = append(profiles, c.ref(KindFargateProfile, p.Name))
	}
	for _, name := range slices.Sorted(maps.Keys(w.Profiles)) {
		left(KindFargateProfile, name, profileTree(w.Profiles[name]), w.Profiles[name].Tags[tagMade] == c.Name, profiles)
	}
	for _, name := range slices.Sorted(maps.Keys(w.Logins)) {
		left(KindIdentityProviderConfig, name, loginTree(w.Logins[name]), w.Logins[name].Tags[tagMade] == c.Name, nil)
	}
}
