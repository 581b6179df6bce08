package eks

import (
	"context"
	"strings"

	cfn "github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// split takes a physical id of the form CLUSTER|NAME apart.
func split(id string) (cluster, name string) {
	cluster, name, _ = strings.Cut(id, "|")
	return cluster, name
}

// addonProvider is AWS::EKS::Addon. The physical id is CLUSTER|ADDON.
type addonProvider struct{ s *Service }

func (p addonProvider) Create(ctx context.Context, r cfn.Resource) (string, error) {
	in := &CreateAddonInput{}
	if err := decode(r.Properties, in, "Tags", "PreserveOnDelete"); err != nil {
		return "", err
	}
	in.Tags, _ = resourceTags(r)
	made, err := p.s.createAddon(ctx, noCaller(), in)
	if err != nil {
		return "", err
	}
	p.s.tag(made.Addon.AddonARN, &made.Addon.Tags, r)
	return in.ClusterName + "|" + in.AddonName, nil
}

func (p addonProvider) find(id string) (*clusterRecord, *addonRecord, error) {
	cluster, name := split(id)
	c, err := p.s.cluster(cluster)
	if err != nil {
		return nil, nil, err
	}
	a, err := addon(c, name)
	return c, a, err
}

func (p addonProvider) Update(ctx context.Context, r cfn.Resource, old map[string]any) error {
	_, a, err := p.find(r.PhysicalID)
	if err != nil {
		return err
	}
	p.s.tag(a.Addon.AddonARN, &a.Addon.Tags, r)
	if !changed(old, r.Properties, "AddonVersion", "ConfigurationValues", "ResolveConflicts", "ServiceAccountRoleArn", "PodIdentityAssociations") {
		return nil
	}
	in := &UpdateAddonInput{}
	if err := decode(r.Properties, in, "Tags", "PreserveOnDelete", "NamespaceConfig"); err != nil {
		return err
	}
	if changed(old, r.Properties, "PodIdentityAssociations") && in.PodIdentityAssociations == nil {
		in.PodIdentityAssociations = []AddonPodIdentityAssociations{}
	}
	_, err = p.s.updateAddon(ctx, noCaller(), in)
	return err
}

func (p addonProvider) Delete(ctx context.Context, r cfn.Resource) error {
	cluster, name := split(r.PhysicalID)
	_, err := p.s.deleteAddon(ctx, noCaller(), &DeleteAddonInput{ClusterName: cluster, AddonName: name, Preserve: new(flag(r.Properties["PreserveOnDelete"]))})
	return gone(err)
}

func (p addonProvider) Status(_ context.Context, r cfn.Resource) (cfn.Status, error) {
	c, a, err := p.find(r.PhysicalID)
	if err != nil {
		return cfn.Status{Phase: cfn.Absent}, nil //nolint:nilerr // not there is an answer
	}
	out := cfn.Status{Phase: cfn.InProgress, Attributes: map[string]any{"Arn": a.Addon.AddonARN}}
	switch a.Addon.Status {
	case "ACTIVE":
		out.Phase = cfn.Ready
		if u := c.lastOf(owner{addon: a.Addon.AddonName}); u != nil && u.Update.Status == "Failed" {
			out.Phase, out.Reason = cfn.Failed, updateReason(u)
		}
	case "CREATE_FAILED", "UPDATE_FAILED", "DELETE_FAILED", "DEGRADED":
		out.Phase, out.Reason = cfn.Failed, "Addon is in status "+a.Addon.Status
		for _, i := range a.Addon.Health.Issues {
			out.Reason += ": " + i.Message
		}
	}
	return out, nil
}

// fargateProvider is AWS::EKS::FargateProfile. The physical id is CLUSTER|PROFILE.
type fargateProvider struct{ s *Service }

func (p fargateProvider) Create(ctx context.Context, r cfn.Resource) (string, error) {
	in := &CreateFargateProfileInput{}
	if err := decode(r.Properties, in, "Tags", "Selectors"); err != nil {
		return "", err
	}
	if in.FargateProfileName == "" {
		in.FargateProfileName = r.GeneratedName(63)
	}
	selectors, _ := r.Properties["Selectors"].([]any)
	for _, e := range selectors {
		m, _ := e.(map[string]any)
		in.Selectors = append(in.Selectors, FargateProfileSelector{Namespace: text(m["Namespace"]), Labels: pairs(m["Labels"])})
	}
	in.Tags, _ = resourceTags(r)
	made, err := p.s.createFargateProfile(ctx, noCaller(), in)
	if err != nil {
		return "", busy(err)
	}
	p.s.tag(made.FargateProfile.FargateProfileARN, &made.FargateProfile.Tags, r)
	return in.ClusterName + "|" + in.FargateProfileName, nil
}

// busy lets what another operation on profiles stands in the way of be tried again.
func busy(err error) error {
	if wire.Code(err) == "ResourceInUseException" && strings.Contains(err.Error(), "currently has Fargate profile") {
		return cfn.TryAgain(err)
	}
	return err
}

func (p fargateProvider) Update(_ context.Context, r cfn.Resource, _ map[string]any) error {
	cluster, name := split(r.PhysicalID)
	_, f, err := p.s.profile(cluster, name)
	if err != nil {
		return err
	}
	p.s.tag(f.Profile.FargateProfileARN, &f.Profile.Tags, r)
	return nil
}

func (p fargateProvider) Delete(ctx context.Context, r cfn.Resource) error {
	cluster, name := split(r.PhysicalID)
	_, err := p.s.deleteFargateProfile(ctx, noCaller(), &DeleteFargateProfileInput{ClusterName: cluster, FargateProfileName: name})
	return gone(err)
}

func (p fargateProvider) Status(_ context.Context, r cfn.Resource) (cfn.Status, error) {
	cluster, name := split(r.PhysicalID)
	_, f, err := p.s.profile(cluster, name)
	if err != nil {
		return cfn.Status{Phase: cfn.Absent}, nil //nolint:nilerr // not there is an answer
	}
	out := cfn.Status{Phase: cfn.InProgress, Ref: f.Profile.FargateProfileName, Attributes: map[string]any{"Arn": f.Profile.FargateProfileARN}}
	if f.Profile.Status == "ACTIVE" {
		out.Phase = cfn.Ready
	}
	return out, nil
}

// capabilityProvider is AWS::EKS::Capability. The physical id is its ARN.
type capabilityProvider struct{ s *Service }

func (p capabilityProvider) Create(ctx context.Context, r cfn.Resource) (string, error) {
	in := &CreateCapabilityInput{}
	if err := decode(r.Properties, in, "Tags"); err != nil {
		return "", err
	}
	in.Tags, _ = resourceTags(r)
	made, err := p.s.createCapability(ctx, noCaller(), in)
	if err != nil {
		return "", err
	}
	p.s.tag(made.Capability.ARN, &made.Capability.Tags, r)
	return made.Capability.ARN, nil
}

func (p capabilityProvider) find(arn string) (*clusterRecord, *capabilityRecord, bool) {
	for _, c := range sorted(p.s.state.Clusters) {
		for _, r := range sorted(c.Capabilities) {
			if r.Capability.ARN == arn {
				return c, r, true
			}
		}
	}
	return nil, nil, false
}

func (p capabilityProvider) Update(ctx context.Context, r cfn.Resource, old map[string]any) error {
	c, k, ok := p.find(r.PhysicalID)
	if !ok {
		return subject{}.notFound("No capability found: %s", r.PhysicalID)
	}
	p.s.tag(k.Capability.ARN, &k.Capability.Tags, r)
	if !changed(old, r.Properties, "RoleArn", "Configuration", "DeletePropagationPolicy") {
		return nil
	}
	want := &CreateCapabilityInput{}
	if err := decode(r.Properties, want, "Tags"); err != nil {
		return err
	}
	in := &UpdateCapabilityInput{ClusterName: c.Cluster.Name, CapabilityName: k.Capability.CapabilityName, RoleARN: want.RoleARN, DeletePropagationPolicy: want.DeletePropagationPolicy}
	if want.Configuration != nil && want.Configuration.ArgoCd != nil {
		a := want.Configuration.ArgoCd
		mappings := &UpdateRoleMappings{AddOrUpdateRoleMappings: a.RbacRoleMappings}
		for _, have := range k.Capability.Configuration.ArgoCd.RbacRoleMappings {
			if !hasRole(a.RbacRoleMappings, have.Role) {
				mappings.RemoveRoleMappings = append(mappings.RemoveRoleMappings, have)
			}
		}
		in.Configuration = &UpdateCapabilityConfiguration{ArgoCd: &UpdateArgoCdConfig{RbacRoleMappings: mappings, NetworkAccess: a.NetworkAccess}}
	}
	_, err := p.s.updateCapability(ctx, noCaller(), in)
	return err
}

func hasRole(mappings []ArgoCdRoleMapping, role string) bool {
	for _, m := range mappings {
		if m.Role == role {
			return true
		}
	}
	return false
}

func (p capabilityProvider) Delete(ctx context.Context, r cfn.Resource) error {
	c, k, ok := p.find(r.PhysicalID)
	if !ok {
		return nil
	}
	_, err := p.s.deleteCapability(ctx, noCaller(), &DeleteCapabilityInput{ClusterName: c.Cluster.Name, CapabilityName: k.Capability.CapabilityName})
	return gone(err)
}

func (p capabilityProvider) Status(_ context.Context, r cfn.Resource) (cfn.Status, error) {
	_, k, ok := p.find(r.PhysicalID)
	if !ok {
		return cfn.Status{Phase: cfn.Absent}, nil
	}
	v := k.Capability
	out := cfn.Status{Phase: cfn.InProgress, Attributes: map[string]any{
		"Arn": v.ARN, "Status": v.Status, "Version": v.Version, "CreatedAt": v.CreatedAt.String(), "ModifiedAt": v.ModifiedAt.String(),
	}}
	if v.Configuration != nil && v.Configuration.ArgoCd != nil {
		out.Attributes["Configuration.ArgoCd.ServerUrl"] = v.Configuration.ArgoCd.ServerURL
		out.Attributes["Configuration.ArgoCd.AwsIdc.IdcManagedApplicationArn"] = v.Configuration.ArgoCd.AWSIDC.IDCManagedApplicationARN
	}
	switch v.Status {
	case "ACTIVE":
		out.Phase = cfn.Ready
	case "CREATE_FAILED", "DELETE_FAILED", "DEGRADED":
		out.Phase, out.Reason = cfn.Failed, "Capability is in status "+v.Status
		for _, i := range v.Health.Issues {
			out.Reason += ": " + i.Code + ": " + i.Message
		}
	}
	return out, nil
}
