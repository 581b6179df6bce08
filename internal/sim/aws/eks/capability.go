package eks

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

const capabilityService = "capabilities.eks.amazonaws.com"

func capability(c *clusterRecord, name string) (*capabilityRecord, error) {
	r, ok := c.Capabilities[name]
	if !ok {
		return nil, subject{cluster: c.Cluster.Name}.notFound("No capability: %s found in cluster: %s", name, c.Cluster.Name)
	}
	return r, nil
}

func (s *Service) createCapability(_ context.Context, _ wire.Caller, in *CreateCapabilityInput) (*CreateCapabilityOutput, error) {
	on := subject{cluster: in.ClusterName}
	if _, err := s.withEntries(in.ClusterName); err != nil {
		return nil, err
	}
	c, err := s.settled(in.ClusterName, on)
	if err != nil {
		return nil, err
	}
	if have, ok := c.Capabilities[in.CapabilityName]; ok {
		if in.ClientRequestToken != "" && have.Token == in.ClientRequestToken {
			return &CreateCapabilityOutput{Capability: &have.Capability}, nil
		}
		return nil, on.inUse("Capability already exists with name: %s", in.CapabilityName)
	}
	if err := s.checkCapability(on, c, in); err != nil {
		return nil, err
	}
	r := &capabilityRecord{Token: in.ClientRequestToken, Due: s.in("eks.capability.create"), Capability: Capability{
		CapabilityName: in.CapabilityName, ClusterName: in.ClusterName, Type: in.Type, RoleARN: in.RoleARN, Status: "CREATING",
		ARN: s.world.ARN("eks", "capability/"+in.ClusterName+"/"+in.CapabilityName+"/"+s.world.UUID()), Version: capabilityVersion(in.Type),
		Configuration: s.newCapabilityConfig(in), Tags: ownTags(in.Tags), Health: &CapabilityHealth{Issues: []CapabilityIssue{}},
		CreatedAt: s.now(), ModifiedAt: s.now(), DeletePropagationPolicy: in.DeletePropagationPolicy,
	}}
	c.Capabilities[in.CapabilityName] = r
	s.admitCapability(c, r)
	return &CreateCapabilityOutput{Capability: &r.Capability}, nil
}

func capabilityVersion(kind string) string {
	switch kind {
	case "ACK":
		return "v1.2.0-eks-1"
	case "KRO":
		return "v0.8.4-eks-1"
	default:
		return "v3.2.6-eks-1"
	}
}

// checkCapability holds a capability to the rules of https://docs.aws.amazon.com/eks/latest/userguide/capabilities.html: one of
// each type in a cluster, and a role that the capability may assume.
func (s *Service) checkCapability(on subject, c *clusterRecord, in *CreateCapabilityInput) error {
	if !resourceName.MatchString(in.CapabilityName) {
		return on.badParameter("The capability name %q is not valid", in.CapabilityName)
	}
	if err := checkEnum(on, "type", in.Type, "ACK", "KRO", "ARGOCD"); err != nil || in.Type == "" {
		return on.badParameter("Invalid capability type %q", in.Type)
	}
	if err := checkEnum(on, "deletePropagationPolicy", in.DeletePropagationPolicy, "RETAIN"); err != nil {
		return err
	}
	for name, other := range sorted(c.Capabilities) {
		if other.Capability.Type == in.Type {
			return on.inUse("Cluster %s already has capability %s of type %s", c.Cluster.Name, name, in.Type)
		}
	}
	if err := s.checkCapabilityRole(on, in.RoleARN); err != nil {
		return err
	}
	argo := in.Configuration != nil && in.Configuration.ArgoCd != nil
	if argo != (in.Type == "ARGOCD") {
		return on.badParameter("The configuration argoCd is required for capabilities of type ARGOCD, and is not allowed for others")
	}
	if argo && (in.Configuration.ArgoCd.AWSIDC == nil || in.Configuration.ArgoCd.AWSIDC.IDCInstanceARN == "") {
		return on.badParameter("Missing required parameter: configuration.argoCd.awsIdc.idcInstanceArn")
	}
	return checkTags(on, in.Tags)
}

func (s *Service) newCapabilityConfig(in *CreateCapabilityInput) *CapabilityConfigurationResponse {
	if in.Configuration == nil || in.Configuration.ArgoCd == nil {
		return nil
	}
	a := in.Configuration.ArgoCd
	out := &ArgoCdConfigResponse{
		Namespace: a.Namespace, RbacRoleMappings: a.RbacRoleMappings,
		ServerURL: "https://" + s.world.Hex(20) + ".eks-capabilities." + s.world.Region + "." + s.world.DNSSuffix(),
		AWSIDC: &ArgoCdAWSIDCConfigResponse{
			IDCInstanceARN: a.AWSIDC.IDCInstanceARN, IDCRegion: a.AWSIDC.IDCRegion,
			IDCManagedApplicationARN: "arn:" + s.world.Partition + ":sso::" + s.world.Account + ":application/ssoins-" + s.world.Hex(16) + "/apl-" + s.world.Hex(16),
		},
	}
	if out.Namespace == "" {
		out.Namespace = "argocd"
	}
	if out.AWSIDC.IDCRegion == "" {
		out.AWSIDC.IDCRegion = s.world.Region
	}
	if a.NetworkAccess != nil {
		out.NetworkAccess = &ArgoCdNetworkAccessConfigResponse{VPCEIDs: a.NetworkAccess.VPCEIDs}
	}
	return &CapabilityConfigurationResponse{ArgoCd: out}
}

func (s *Service) describeCapability(_ context.Context, _ wire.Caller, in *DescribeCapabilityInput) (*DescribeCapabilityOutput, error) {
	c, err := s.cluster(in.ClusterName)
	if err != nil {
		return nil, err
	}
	r, err := capability(c, in.CapabilityName)
	if err != nil {
		return nil, err
	}
	return &DescribeCapabilityOutput{Capability: &r.Capability}, nil
}

func (s *Service) listCapabilities(_ context.Context, _ wire.Caller, in *ListCapabilitiesInput) (*ListCapabilitiesOutput, error) {
	c, err := s.cluster(in.ClusterName)
	if err != nil {
		return nil, err
	}
	all := []CapabilitySummary{}
	for _, r := range sorted(c.Capabilities) {
		k := r.Capability
		all = append(all, CapabilitySummary{
			CapabilityName: k.CapabilityName, ARN: k.ARN, Type: k.Type, Status: k.Status, Version: k.Version, CreatedAt: k.CreatedAt, ModifiedAt: k.ModifiedAt,
		})
	}
	found, next, err := page(all, func(k CapabilitySummary) string { return k.CapabilityName }, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &ListCapabilitiesOutput{Capabilities: found, NextToken: next}, nil
}

func (s *Service) updateCapability(_ context.Context, _ wire.Caller, in *UpdateCapabilityInput) (*UpdateCapabilityOutput, error) {
	c, err := s.cluster(in.ClusterName)
	if err != nil {
		return nil, err
	}
	if u := c.byToken(in.ClientRequestToken); u != nil {
		return &UpdateCapabilityOutput{Update: &u.Update}, nil
	}
	r, err := capability(c, in.CapabilityName)
	if err != nil {
		return nil, err
	}
	on := subject{cluster: in.ClusterName}
	if r.Capability.Status != "ACTIVE" && r.Capability.Status != "DEGRADED" {
		return nil, on.inUse("Capability %s cannot be updated as it is currently in %s state", in.CapabilityName, r.Capability.Status)
	}
	if in.RoleARN != "" {
		if err := s.checkCapabilityRole(on, in.RoleARN); err != nil {
			return nil, err
		}
	}
	argo := in.Configuration != nil && in.Configuration.ArgoCd != nil
	if argo && r.Capability.Type != "ARGOCD" {
		return nil, on.badParameter("The configuration argoCd is not allowed for capabilities of type %s", r.Capability.Type)
	}
	u := s.newUpdate("CapabilityUpdate", in.ClientRequestToken, "eks.capability.update", capabilityParams(in))
	u.Capability = in.CapabilityName
	c.Updates = append(c.Updates, u)
	s.applyCapabilityUpdate(c, r, in)
	r.Due = u.Due
	return &UpdateCapabilityOutput{Update: &u.Update}, nil
}

func capabilityParams(in *UpdateCapabilityInput) (out []UpdateParam) {
	if in.RoleARN != "" {
		out = append(out, param("RoleArn", in.RoleARN))
	}
	if in.Configuration != nil && in.Configuration.ArgoCd != nil {
		if m := in.Configuration.ArgoCd.RbacRoleMappings; m != nil {
			out = append(out, param("RoleMappingsToAddOrUpdate", m.AddOrUpdateRoleMappings), param("RoleMappingsToRemove", m.RemoveRoleMappings))
		}
		if n := in.Configuration.ArgoCd.NetworkAccess; n != nil {
			out = append(out, param("NetworkAccess", n))
		}
	}
	return out
}

func (s *Service) applyCapabilityUpdate(c *clusterRecord, r *capabilityRecord, in *UpdateCapabilityInput) {
	r.Capability.Status = "UPDATING"
	r.Capability.ModifiedAt = s.now()
	if in.RoleARN != "" && in.RoleARN != r.Capability.RoleARN {
		s.dropCapability(c, r)
		r.Capability.RoleARN = in.RoleARN
		s.admitCapability(c, r)
	}
	if in.DeletePropagationPolicy != "" {
		r.Capability.DeletePropagationPolicy = in.DeletePropagationPolicy
	}
	if in.Configuration == nil || in.Configuration.ArgoCd == nil {
		return
	}
	have := r.Capability.Configuration.ArgoCd
	if m := in.Configuration.ArgoCd.RbacRoleMappings; m != nil {
		have.RbacRoleMappings = changeMappings(have.RbacRoleMappings, m)
	}
	if n := in.Configuration.ArgoCd.NetworkAccess; n != nil {
		have.NetworkAccess = &ArgoCdNetworkAccessConfigResponse{VPCEIDs: n.VPCEIDs}
	}
}

// changeMappings gives the roles that are added or updated their new identities, and takes from others those that are named: a role
// that has none left is mapped no more (API reference, UpdateRoleMappings).
func changeMappings(have []ArgoCdRoleMapping, change *UpdateRoleMappings) []ArgoCdRoleMapping {
	out := slices.Clone(change.AddOrUpdateRoleMappings)
	for _, old := range have {
		if hasRole(change.AddOrUpdateRoleMappings, old.Role) {
			continue
		}
		left := slices.DeleteFunc(slices.Clone(old.Identities), func(i SsoIdentity) bool {
			return slices.ContainsFunc(change.RemoveRoleMappings, func(m ArgoCdRoleMapping) bool { return m.Role == old.Role && slices.Contains(m.Identities, i) })
		})
		if len(left) > 0 {
			out = append(out, ArgoCdRoleMapping{Role: old.Role, Identities: left})
		}
	}
	return out
}

func (s *Service) deleteCapability(_ context.Context, _ wire.Caller, in *DeleteCapabilityInput) (*DeleteCapabilityOutput, error) {
	c, err := s.cluster(in.ClusterName)
	if err != nil {
		return nil, err
	}
	r, err := capability(c, in.CapabilityName)
	if err != nil {
		return nil, err
	}
	if r.Capability.Status == "UPDATING" {
		return nil, subject{cluster: in.ClusterName}.inUse("Capability %s cannot be deleted as it is currently in UPDATING state", in.CapabilityName)
	}
	if r.Capability.Status != "DELETING" {
		r.Capability.Status = "DELETING"
		r.Due = s.in("eks.capability.delete")
	}
	return &DeleteCapabilityOutput{Capability: &r.Capability}, nil
}

func (s *Service) advanceCapabilities(now time.Time, c *clusterRecord) bool {
	changed := false
	for name, r := range sorted(c.Capabilities) {
		if !due(now, r.Due) {
			continue
		}
		changed = s.settleCapability(c, name, r) || changed
	}
	return changed
}

// settleCapability ends what a capability is in the middle of. One whose role nobody lets it assume any more does not come to be, or
// is DEGRADED until that is put right, with the issue AccessDenied (API reference, CapabilityIssue).
func (s *Service) settleCapability(c *clusterRecord, name string, r *capabilityRecord) bool {
	k := &r.Capability
	trouble := s.checkCapabilityRole(subject{cluster: c.Cluster.Name}, k.RoleARN)
	next := "ACTIVE"
	if trouble != nil {
		next = "DEGRADED"
	}
	switch k.Status {
	case "DELETING":
		s.dropCapability(c, r)
		delete(c.Capabilities, name)
		return true
	case "CREATING":
		if trouble != nil {
			next = "CREATE_FAILED"
		}
	case "UPDATING":
		c.finish(owner{capability: name})
	case "ACTIVE", "DEGRADED":
	default:
		return false
	}
	if k.Status == next {
		return false
	}
	k.Status, k.Health = next, &CapabilityHealth{Issues: []CapabilityIssue{}}
	if trouble != nil {
		_, text, _ := strings.Cut(trouble.Error(), ": ") // without the code of an error of the API
		k.Health.Issues = append(k.Health.Issues, CapabilityIssue{Code: "AccessDenied", Message: text})
	}
	return true
}

// finish marks the running update of something in a cluster as successful.
func (c *clusterRecord) finish(o owner) {
	for _, u := range c.Updates {
		if u.of(o) && u.running() {
			u.Update.Status = "Successful"
		}
	}
}
