package eks

import (
	"maps"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// merge takes over what seeInto changed for one ref. Everything else stays as other looks left it meanwhile.
func merge(cfg *Config, r gitops.Ref, from, into *world) {
	into.Cluster = from.Cluster
	mergeStacks(cfg, r, from, into)
	switch r.Kind {
	case KindLoadBalancer, KindSecurityGroup, KindNetworkInterface:
		into.Remnants = from.Remnants
	case KindLogGroup:
		into.LogGroup = from.LogGroup
	case KindCluster:
		copyKey(from.Updates, into.Updates, "")
		into.LogGroup = from.LogGroup
		into.Remnants = from.Remnants
		into.Retention, into.Versions, into.RolePolicies, into.Placing = from.Retention, from.Versions, from.RolePolicies, from.Placing
	case KindIdentityProvider:
		into.Provider = from.Provider
	case KindAddon:
		copyKey(from.Addons, into.Addons, r.Name)
		copyKey(from.Updates, into.Updates, addonUpdate(r.Name))
		copyKey(from.Latest, into.Latest, r.Name)
		maps.Copy(into.Lent, from.Lent)
	case KindServiceAccount:
		mergeAccount(r.Name, from, into)
	case KindPodIdentity:
		copyKey(from.Associations, into.Associations, r.Name)
	case KindAccessEntry:
		copyKey(from.Entries, into.Entries, r.Name)
	case KindIdentityMapping:
		into.Auth = from.Auth
	case KindFargateProfile:
		copyKey(from.Profiles, into.Profiles, r.Name)
	case KindIdentityProviderConfig:
		into.Logins = from.Logins
	case KindCapability:
		copyKey(from.Capabilities, into.Capabilities, r.Name)
	case KindNodegroup:
		for _, name := range slices.Concat(cfg.groupNames(from, r.Name), cfg.groupNames(into, r.Name)) {
			copyKey(from.Groups, into.Groups, name)
			copyKey(from.Updates, into.Updates, groupUpdate(name))
		}
	}
}

func mergeAccount(name string, from, into *world) {
	if from.Accounts == nil {
		return
	}
	if into.Accounts == nil {
		into.Accounts = map[string]serviceAccount{}
	}
	copyKey(from.Accounts, into.Accounts, name)
}

// mergeStacks takes over the stacks that belong to a ref, and the cluster's own.
func mergeStacks(cfg *Config, r gitops.Ref, from, into *world) {
	names := append(slices.Collect(maps.Keys(from.Stacks)), clusterStack(cfg.Name))
	names = append(names, slices.Collect(maps.Keys(into.Stacks))...)
	for _, name := range names {
		if name != clusterStack(cfg.Name) && !cfg.belongs(name, r, from, into) {
			continue
		}
		copyKey(from.Stacks, into.Stacks, name)
		copyKey(from.Strangers, into.Strangers, name)
		copyKey(from.Templates, into.Templates, name)
		copyKey(from.Failures, into.Failures, name)
	}
}

// belongs reports whether a stack is one of those that a look at a ref reads.
func (c *Config) belongs(stack string, r gitops.Ref, from, into *world) bool {
	switch r.Kind {
	case KindCluster:
		return stack == autoModeStack(c.Name)
	case KindNodegroup:
		name, ok := strings.CutPrefix(stack, nodegroupStack(c.Name, ""))
		return ok && slices.Contains(slices.Concat(c.groupNames(from, r.Name), c.groupNames(into, r.Name)), name)
	case KindServiceAccount:
		return stack == irsaStack(c.Name, r.Name)
	case KindPodIdentity:
		return stack == podIdentityStack(c.Name, r.Name)
	case KindAccessEntry:
		return stack == entryStack(c.Name, r.Name)
	case KindFargateProfile:
		return stack == fargateStack(c.Name)
	case KindCapability:
		return stack == capabilityStack(c.Name, r.Name) || stack == capabilityRoleStack(c.Name, r.Name)
	case KindAddon:
		return stack == addonStack(c.Name, r.Name) || tag(from.Stacks[stack], tagAddon) == r.Name || tag(into.Stacks[stack], tagAddon) == r.Name
	}
	return stack == r.Name
}

func copyKey[V any](from, into map[string]V, key string) {
	if v, ok := from[key]; ok {
		into[key] = v
	} else {
		delete(into, key)
	}
}
