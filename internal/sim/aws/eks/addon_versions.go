package eks

import (
	"context"
	"slices"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks/catalog"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

func (s *Service) describeAddonVersions(_ context.Context, _ wire.Caller, in *DescribeAddonVersionsInput) (*DescribeAddonVersionsOutput, error) {
	if in.KubernetesVersion != "" {
		if _, ok := catalog.FindVersion(in.KubernetesVersion); !ok {
			return nil, subject{}.badParameter("Unsupported Kubernetes version: %s", in.KubernetesVersion)
		}
	}
	all := []AddonInfo{}
	for _, a := range catalog.Addons() {
		if !selected(in, a) {
			continue
		}
		if info := addonInfo(a, in.KubernetesVersion); len(info.AddonVersions) > 0 {
			all = append(all, info)
		}
	}
	found, next, err := page(all, func(a AddonInfo) string { return a.AddonName }, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &DescribeAddonVersionsOutput{Addons: found, NextToken: next}, nil
}

func selected(in *DescribeAddonVersionsInput, a catalog.Addon) bool {
	return (in.AddonName == "" || in.AddonName == a.Name) &&
		(len(in.Types) == 0 || slices.Contains(in.Types, a.Type)) &&
		(len(in.Publishers) == 0 || slices.Contains(in.Publishers, a.Publisher)) &&
		(len(in.Owners) == 0 || slices.Contains(in.Owners, a.Owner))
}

// addonInfo describes an add-on, for one minor version of Kubernetes or for all.
func addonInfo(a catalog.Addon, minor string) AddonInfo {
	out := AddonInfo{AddonName: a.Name, Type: a.Type, Publisher: a.Publisher, Owner: a.Owner, DefaultNamespace: a.Namespace}
	for _, v := range a.Versions {
		if minor != "" && !v.Compatible(minor) {
			continue
		}
		info := AddonVersionInfo{
			AddonVersion: v.Version, Architecture: []string{"amd64", "arm64"}, ComputeTypes: a.Computes,
			RequiresConfiguration: new(false), RequiresIamPermissions: new(a.NeedsIAM),
		}
		for _, m := range v.Minors {
			if minor == "" || m == minor {
				info.Compatibilities = append(info.Compatibilities, Compatibility{
					ClusterVersion: m, PlatformVersions: []string{"*"}, DefaultVersion: new(slices.Contains(v.DefaultFor, m)),
				})
			}
		}
		out.AddonVersions = append(out.AddonVersions, info)
	}
	return out
}

func (s *Service) describeAddonConfiguration(_ context.Context, _ wire.Caller, in *DescribeAddonConfigurationInput) (*DescribeAddonConfigurationOutput, error) {
	on := subject{addon: in.AddonName}
	a, ok := catalog.FindAddon(in.AddonName)
	if !ok {
		return nil, on.notFound("No configuration found for addon: %s", in.AddonName)
	}
	if _, ok := a.Find(in.AddonVersion); !ok {
		return nil, on.notFound("No configuration found for addon: %s version: %s", in.AddonName, in.AddonVersion)
	}
	out := &DescribeAddonConfigurationOutput{AddonName: a.Name, AddonVersion: in.AddonVersion, ConfigurationSchema: a.Schema, PodIdentityConfiguration: []AddonPodIdentityConfiguration{}}
	for _, i := range a.Identities {
		out.PodIdentityConfiguration = append(out.PodIdentityConfiguration, AddonPodIdentityConfiguration{ServiceAccount: i.ServiceAccount, RecommendedManagedPolicies: i.ARNs(s.world.Partition)})
	}
	return out, nil
}
