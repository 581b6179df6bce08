package eks

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// latest is the version that means "the newest there is".
const latest = "latest"

// want is one ref that the file asks for.
type want struct {
	ref gitops.Ref
	// path is where the file asks for it; empty for what eksctl adds by default.
	path string
	// needs are the wanted refs that must be ready first.
	needs []gitops.Ref
}

// wants takes a ClusterConfig apart. The order of needs is eksctl's order of creation:
//
//	Cluster -> IdentityProvider -> addons that nodes need (pod identity agent, vpc-cni, kube-proxy, coredns)
//	        -> roles of service accounts and pods, access entries, Fargate profiles, identity providers
//	        -> nodegroups -> all other addons
//
// Capabilities run outside of the cluster, and need nothing of it but its API.
// Addons whose pods get their rights from the pod identity agent come after it, and no others. CoreDNS is created before the
// nodegroups but becomes active only on nodes, so nothing waits for it; where it runs on Fargate it comes after its profiles
// (fargate_dns.go). An upgrade of Kubernetes has an order of its own (inWaves).
func (c *Config) wants() []want {
	cluster := c.ref(KindCluster, c.Name)
	out := []want{{ref: cluster, path: "metadata"}}
	var provider []gitops.Ref
	if api.IsEnabled(c.full.IAM.WithOIDC) {
		provider = []gitops.Ref{c.ref(KindIdentityProvider, providerName)}
		out = append(out, want{ref: provider[0], path: "iam.withOIDC", needs: []gitops.Ref{cluster}})
	}
	base := append([]gitops.Ref{cluster}, provider...)
	var early, pools, agent []gitops.Ref
	addons := c.addons()
	for _, a := range addons {
		if a.want.CanonicalName() == api.PodIdentityAgentAddon {
			agent = []gitops.Ref{c.ref(KindAddon, a.want.Name)}
		}
		if a.early() && !a.isDNS() {
			early = append(early, c.ref(KindAddon, a.want.Name))
		}
	}
	for _, g := range c.nodegroups() {
		pools = append(pools, c.ref(KindNodegroup, g.name))
	}
	for _, p := range c.full.FargateProfiles {
		pools = append(pools, c.ref(KindFargateProfile, p.Name))
	}
	for _, a := range addons {
		w := want{ref: c.ref(KindAddon, a.want.Name), path: a.path, needs: slices.Clone(base)}
		if c.usesPodIdentity(a.want) && !slices.Contains(agent, w.ref) {
			w.needs = append(w.needs, agent...)
		}
		w.needs = append(w.needs, c.hostsOf(a, pools)...)
		out = append(out, w)
	}
	for i, sa := range c.full.IAM.ServiceAccounts {
		out = append(out, want{ref: c.ref(KindServiceAccount, sa.NameString()), path: fmt.Sprintf("iam.serviceAccounts[%d]", i), needs: base})
	}
	for i, p := range c.full.IAM.PodIdentityAssociations {
		out = append(out, want{
			ref: c.ref(KindPodIdentity, p.NameString()), path: fmt.Sprintf("iam.podIdentityAssociations[%d]", i),
			needs: slices.Concat([]gitops.Ref{cluster}, agent),
		})
	}
	access, admitted := c.wantsAccess(cluster)
	out = append(out, access...)
	for _, g := range c.nodegroups() {
		out = append(out, want{ref: c.ref(KindNodegroup, g.name), path: g.path, needs: slices.Concat(base, early, admitted)})
	}
	return c.inWaves(out)
}

// hostsOf are the nodegroups and profiles that an addon comes after: all of them, or none for what nodes need.
func (c *Config) hostsOf(a addon, pools []gitops.Ref) []gitops.Ref {
	switch {
	case !a.early():
		return pools
	case a.isDNS():
		return c.dnsProfiles()
	}
	return nil
}

// wantsAccess are what lets people, nodes and pods in: access entries, identity mappings, identity providers and Fargate profiles, and the
// capabilities, which come in by themselves.
// Nodes are admitted by the entries and mappings for nodes.
func (c *Config) wantsAccess(cluster gitops.Ref) (out []want, admitted []gitops.Ref) {
	add := func(kind, name, path string, i int) gitops.Ref {
		r := c.ref(kind, name)
		out = append(out, want{ref: r, path: fmt.Sprintf("%s[%d]", path, i), needs: []gitops.Ref{cluster}})
		return r
	}
	for i, e := range c.full.AccessConfig.AccessEntries {
		r := add(KindAccessEntry, e.PrincipalARN.String(), "accessConfig.accessEntries", i)
		if e.Type != "" && e.Type != standardEntry {
			admitted = append(admitted, r)
		}
	}
	for i, m := range c.full.IAMIdentityMappings {
		if m.ServiceName != "" {
			continue
		}
		r := add(KindIdentityMapping, mappingName(m), "iamIdentityMappings", i)
		if slices.Contains(m.Groups, nodeGroup) {
			admitted = append(admitted, r)
		}
	}
	for i, p := range c.full.FargateProfiles {
		add(KindFargateProfile, p.Name, "fargateProfiles", i)
	}
	for i, name := range c.logins() {
		add(KindIdentityProviderConfig, name, "identityProviders", i)
	}
	for i, k := range c.full.Capabilities {
		add(KindCapability, k.Name, "capabilities", i)
	}
	return out, admitted
}

// addon is one addon of the file, or one that eksctl adds to every cluster.
type addon struct {
	want *api.Addon
	path string
	// written is the addon as the file has it; only its name for a default one.
	written gitops.Tree
}

// usesPodIdentity says that the pods of an addon may get their rights from the pod identity agent.
func (c *Config) usesPodIdentity(a *api.Addon) bool {
	return a.PodIdentityAssociations != nil || a.UseDefaultPodIdentityAssociations || c.full.AddonsConfig.AutoApplyPodIdentityAssociations
}

// early says that nodes need it.
func (a addon) early() bool { return api.KnownAddons[a.want.CanonicalName()].CreateBeforeNodeGroup }

// addons are the addons of the file and eksctl's default ones (pkg/actions/addon/tasks.go), which are created unless
// addonsConfig.disableDefaultAddons says otherwise, and are never changed or deleted for not being in the file.
func (c *Config) addons() []addon {
	var out []addon
	named := map[string]bool{}
	for i, a := range c.full.Addons {
		out = append(out, addon{want: a, path: fmt.Sprintf("addons[%d]", i), written: listItem(c.Written, i, "addons")})
		named[a.CanonicalName()] = true
	}
	if c.full.AddonsConfig.DisableDefaultAddons {
		return out
	}
	for _, name := range slices.Sorted(maps.Keys(api.KnownAddons)) {
		known := api.KnownAddons[name]
		if !known.IsDefault || named[name] || slices.Contains(known.ExcludedRegions, c.Region) || (c.full.IsAutoModeEnabled() && !known.IsDefaultAutoMode) {
			continue
		}
		out = append(out, addon{want: &api.Addon{Name: name}, written: gitops.Tree{"name": name}})
	}
	return out
}

func (c *Config) addon(name string) (addon, bool) {
	for _, a := range c.addons() {
		if a.want.Name == name {
			return a, true
		}
	}
	return addon{}, false
}

// account finds a service account role of the file and the tree it is written as.
func (c *Config) account(name string) (*api.ClusterIAMServiceAccount, gitops.Tree) {
	for i, sa := range c.full.IAM.ServiceAccounts {
		if sa.NameString() == name {
			return sa, listItem(c.Written, i, "iam", "serviceAccounts")
		}
	}
	return nil, nil
}

func (c *Config) association(name string) (*api.PodIdentityAssociation, gitops.Tree) {
	for i := range c.full.IAM.PodIdentityAssociations {
		if p := &c.full.IAM.PodIdentityAssociations[i]; p.NameString() == name {
			return p, listItem(c.Written, i, "iam", "podIdentityAssociations")
		}
	}
	return nil, nil
}

// stacks are the names of the stacks that the file may ask for.
func (c *Config) stacks() []string {
	out := []string{clusterStack(c.Name)}
	for _, g := range c.nodegroups() {
		out = append(out, nodegroupStack(c.Name, g.name))
	}
	for _, sa := range c.full.IAM.ServiceAccounts {
		out = append(out, irsaStack(c.Name, sa.NameString()))
	}
	for _, p := range c.full.IAM.PodIdentityAssociations {
		if p.RoleARN == "" {
			out = append(out, podIdentityStack(c.Name, p.NameString()))
		}
	}
	for _, e := range c.full.AccessConfig.AccessEntries {
		out = append(out, entryStack(c.Name, e.PrincipalARN.String()))
	}
	if len(c.full.FargateProfiles) > 0 {
		out = append(out, fargateStack(c.Name))
	}
	for _, k := range c.full.Capabilities {
		out = append(out, capabilityStack(c.Name, k.Name), capabilityRoleStack(c.Name, k.Name))
	}
	return append(out, c.roleStacks()...)
}

// retention is the wanted retention of the control plane's logs in days; 0 when the file does not say.
func (c *Config) retention() int {
	if c.full.CloudWatch == nil || c.full.CloudWatch.ClusterLogging == nil {
		return 0
	}
	return c.full.CloudWatch.ClusterLogging.LogRetentionInDays
}

// asksLaunchTemplate says that a nodegroup of the file sets a field that only its launch template tells.
func (c *Config) asksLaunchTemplate(name string) bool {
	g, ok := c.nodegroup(name)
	if !ok {
		return c.whole
	}
	return slices.ContainsFunc(launchFields(), func(f string) bool { _, set := g.written[f]; return set })
}

// compareMinor orders Kubernetes versions such as "1.9" and "1.10".
func compareMinor(a, b string) int {
	return minorOf(a) - minorOf(b)
}

// minorOf is 35 for "1.35"; -1 for what is no such version.
func minorOf(v string) int {
	minor := -1
	if rest, ok := strings.CutPrefix(v, "1."); ok {
		if _, err := fmt.Sscanf(rest, "%d", &minor); err != nil {
			return -1
		}
	}
	return minor
}
