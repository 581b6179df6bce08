package eks

import (
	"context"
	"slices"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks/catalog"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// updateAddon changes an add-on (https://docs.aws.amazon.com/eks/latest/APIReference/API_UpdateAddon.html). What the request
// leaves out stays, but for the role: without one the add-on goes back to the permissions of the node.
func (s *Service) updateAddon(_ context.Context, _ wire.Caller, in *UpdateAddonInput) (*UpdateAddonOutput, error) {
	c, err := s.cluster(in.ClusterName)
	if err != nil {
		return nil, err
	}
	if u := c.byToken(in.ClientRequestToken); u != nil {
		return &UpdateAddonOutput{Update: &u.Update}, nil
	}
	r, err := addon(c, in.AddonName)
	if err != nil {
		return nil, err
	}
	on := subject{cluster: in.ClusterName, addon: in.AddonName}
	if _, err := s.settled(in.ClusterName, on); err != nil {
		return nil, err
	}
	if st := r.Addon.Status; st == "CREATING" || st == "UPDATING" || st == "DELETING" {
		return nil, on.inUse("Addon %s cannot be updated as it is currently in %s state", in.AddonName, st)
	}
	if err := s.checkAddonUpdate(on, c, r, in); err != nil {
		return nil, err
	}
	u := s.newUpdate("AddonUpdate", in.ClientRequestToken, "eks.addon.update", addonParams(in))
	u.Addon, u.AddonChange = in.AddonName, in
	c.Updates = append(c.Updates, u)
	r.Addon.Status, r.Addon.ModifiedAt = "UPDATING", s.now()
	r.Since, r.Due = s.world.Now(), u.Due
	if in.AddonVersion != "" && in.AddonVersion != r.Addon.AddonVersion || in.ConfigurationValues != "" && in.ConfigurationValues != r.Addon.ConfigurationValues {
		r.Rolled, r.OnNodes = s.world.Now(), false
	}
	if in.PodIdentityAssociations != nil {
		s.replaceIdentities(c, r, in.PodIdentityAssociations)
	}
	return &UpdateAddonOutput{Update: &u.Update}, nil
}

func (s *Service) checkAddonUpdate(on subject, c *clusterRecord, r *addonRecord, in *UpdateAddonInput) error {
	offered, _ := catalog.FindAddon(in.AddonName)
	if in.AddonVersion != "" {
		if err := checkAddonVersion(on, offered, in.AddonVersion, c.Cluster.Version); err != nil {
			return err
		}
	}
	if err := checkEnum(on, "resolveConflicts", in.ResolveConflicts, "OVERWRITE", "NONE", "PRESERVE"); err != nil {
		return err
	}
	if err := checkConfiguration(on, offered, in.ConfigurationValues); err != nil {
		return err
	}
	if err := s.checkAddonRole(on, in.ServiceAccountRoleARN); err != nil {
		return err
	}
	return s.checkAddonIdentities(on, c, in.PodIdentityAssociations, in.AddonName, r.Addon.AddonARN)
}

func addonParams(in *UpdateAddonInput) (out []UpdateParam) {
	for _, p := range []UpdateParam{
		{Type: "AddonVersion", Value: in.AddonVersion}, {Type: "ServiceAccountRoleArn", Value: in.ServiceAccountRoleARN},
		{Type: "ResolveConflicts", Value: in.ResolveConflicts}, {Type: "ConfigurationValues", Value: in.ConfigurationValues},
	} {
		if p.Value != "" {
			out = append(out, p)
		}
	}
	if in.PodIdentityAssociations != nil {
		out = append(out, param("PodIdentityAssociations", in.PodIdentityAssociations))
	}
	return out
}

// replaceIdentities makes the associations of an add-on exactly the given ones.
func (s *Service) replaceIdentities(c *clusterRecord, r *addonRecord, want []AddonPodIdentityAssociations) {
	keep := []string{}
	for _, p := range want {
		keep = append(keep, s.associateAddon(c, r, p))
	}
	s.dropIdentities(c, r, keep)
	r.Addon.PodIdentityAssociations = keep
}

func (s *Service) dropIdentities(c *clusterRecord, r *addonRecord, keep []string) {
	for _, a := range sorted(c.Associations) {
		if a.Association.OwnerARN == r.Addon.AddonARN && !slices.Contains(keep, a.Association.AssociationARN) {
			s.dissociate(c, a)
		}
	}
}

func (s *Service) deleteAddon(_ context.Context, _ wire.Caller, in *DeleteAddonInput) (*DeleteAddonOutput, error) {
	c, err := s.cluster(in.ClusterName)
	if err != nil {
		return nil, err
	}
	r, err := addon(c, in.AddonName)
	if err != nil {
		return nil, err
	}
	if st := r.Addon.Status; st == "UPDATING" {
		return nil, subject{cluster: in.ClusterName, addon: in.AddonName}.badRequest("Addon %s cannot be deleted as it is currently in %s state", in.AddonName, st)
	}
	if r.Addon.Status != "DELETING" {
		r.Addon.Status, r.Preserve = "DELETING", isTrue(in.Preserve)
		r.Due = s.in("eks.addon.delete")
		s.tellPlane(c)
	}
	return &DeleteAddonOutput{Addon: &r.Addon}, nil
}

func (s *Service) advanceAddons(now time.Time, c *clusterRecord) bool {
	changed := false
	for name, r := range sorted(c.Addons) {
		changed = s.place(now, c, r) || changed
		switch r.Addon.Status {
		case "CREATING", "UPDATING":
			changed = s.settleAddon(now, c, r) || changed
		case "ACTIVE", "DEGRADED":
			changed = s.watchAddon(c, r) || changed
		case "DELETING":
			if due(now, r.Due) {
				s.removeAddon(c, name, r)
				changed = true
			}
		}
	}
	return changed
}

// settleAddon ends a creation or an update. An add-on with a Deployment waits for nodes, and is degraded if none come.
func (s *Service) settleAddon(now time.Time, c *clusterRecord, r *addonRecord) bool {
	if !due(now, r.Due) {
		return false
	}
	if r.Addon.Status == "CREATING" && s.conflicts(c, r) {
		r.Addon.Status = "CREATE_FAILED"
		r.Addon.Health.Issues = []AddonIssue{{
			Code: "ConfigurationConflict", ResourceIDs: []string{},
			Message: "Conflicts found when trying to apply. Will not continue due to resolve conflicts mode.",
		}}
		return true
	}
	if s.starved(c, r) && now.Before(r.Since.Add(s.world.Duration("eks.addon.degraded"))) {
		return false
	}
	s.applyAddonChange(c, r)
	r.Addon.Status = "ACTIVE"
	s.watchAddon(c, r)
	delete(c.Kept, r.Addon.AddonName)
	c.finish(owner{addon: r.Addon.AddonName})
	s.tellPlane(c)
	return true
}

// conflicts says that unmanaged software of the same name is in the cluster and may not be overwritten.
func (s *Service) conflicts(c *clusterRecord, r *addonRecord) bool {
	kept, there := c.Kept[r.Addon.AddonName]
	return there && r.Resolve != "OVERWRITE" && (kept.Version != r.Addon.AddonVersion || kept.Configuration != r.Addon.ConfigurationValues)
}

func (s *Service) applyAddonChange(c *clusterRecord, r *addonRecord) {
	for _, u := range c.Updates {
		if u.Addon != r.Addon.AddonName || !u.running() || u.AddonChange == nil {
			continue
		}
		change := u.AddonChange
		if change.AddonVersion != "" {
			r.Addon.AddonVersion = change.AddonVersion
		}
		if change.ConfigurationValues != "" {
			r.Addon.ConfigurationValues = change.ConfigurationValues
		}
		r.Addon.ServiceAccountRoleARN = change.ServiceAccountRoleARN
		r.Addon.ModifiedAt = s.now()
	}
}

// watchAddon shows whether an add-on has nodes to run on.
func (s *Service) watchAddon(c *clusterRecord, r *addonRecord) bool {
	status, issues := "ACTIVE", []AddonIssue{}
	if s.starved(c, r) {
		status = "DEGRADED"
		issues = append(issues, AddonIssue{
			Code: "InsufficientNumberOfReplicas", ResourceIDs: []string{},
			Message: "The add-on is unhealthy because it doesn't have the desired number of replicas.",
		})
	}
	if status == r.Addon.Status && len(issues) == len(r.Addon.Health.Issues) {
		return false
	}
	r.Addon.Status, r.Addon.Health.Issues = status, issues
	return true
}

// removeAddon takes an add-on away; what it ran stays in the cluster if that was asked for.
func (s *Service) removeAddon(c *clusterRecord, name string, r *addonRecord) {
	s.dropIdentities(c, r, nil)
	delete(c.Addons, name)
	if r.Preserve {
		c.Kept[name] = Software{
			Name: name, Version: r.Addon.AddonVersion, Namespace: r.Addon.NamespaceConfig.Namespace, Configuration: r.Addon.ConfigurationValues,
			RoleARN: r.Addon.ServiceAccountRoleARN, SelfManaged: true,
		}
	} else {
		delete(c.Kept, name)
	}
	s.tellPlane(c)
}
