package eks

import (
	"context"
	"maps"
	"slices"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks/catalog"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// updatable finds a node group that an update may start on: one at a time, and only of an active group.
func (s *Service) updatable(cluster, name string) (*clusterRecord, *nodegroupRecord, error) {
	c, err := s.cluster(cluster)
	if err != nil {
		return nil, nil, err
	}
	g, err := nodegroup(c, name)
	if err != nil {
		return nil, nil, err
	}
	if c.nodegroupUpdate(name) != nil || g.Nodegroup.Status != "ACTIVE" && g.Nodegroup.Status != "DEGRADED" {
		return nil, nil, subject{cluster: cluster, nodegroup: name}.inUse("Nodegroup cannot be updated as it is currently not in Active State")
	}
	return c, g, nil
}

// repeated is the update that an earlier request with the same token started.
func (s *Service) repeated(cluster, token string) *Update {
	if c, ok := s.state.Clusters[cluster]; ok {
		if u := c.byToken(token); u != nil {
			return &u.Update
		}
	}
	return nil
}

func (s *Service) updateNodegroupConfig(_ context.Context, _ wire.Caller, in *UpdateNodegroupConfigInput) (*UpdateNodegroupConfigOutput, error) {
	if u := s.repeated(in.ClusterName, in.ClientRequestToken); u != nil {
		return &UpdateNodegroupConfigOutput{Update: u}, nil
	}
	c, g, err := s.updatable(in.ClusterName, in.NodegroupName)
	if err != nil {
		return nil, err
	}
	on := subject{cluster: in.ClusterName, nodegroup: in.NodegroupName}
	if in.WarmPoolConfig != nil {
		return nil, wire.Unsupported("warm pools of node groups")
	}
	next, marks := g.Nodegroup, Marks{}
	if err := configChange(on, &next, &marks, in); err != nil {
		return nil, err
	}
	u := s.newUpdate("ConfigUpdate", in.ClientRequestToken, "eks.nodegroup.config", configParams(in))
	next.Status, next.ModifiedAt = "UPDATING", s.now()
	before := g.Nodegroup
	g.Nodegroup = next
	if err := s.applyNodegroupConfig(c, g, in, marks); err != nil {
		g.Nodegroup = before
		return nil, on.badRequest("%v", err)
	}
	u.Nodegroup = in.NodegroupName
	c.Updates = append(c.Updates, u)
	return &UpdateNodegroupConfigOutput{Update: &u.Update}, nil
}

// configChange works out what a node group becomes, and refuses what it may not.
func configChange(on subject, g *Nodegroup, marks *Marks, in *UpdateNodegroupConfigInput) error {
	if in.ScalingConfig == nil && in.Labels == nil && in.Taints == nil && in.UpdateConfig == nil && in.NodeRepairConfig == nil {
		return on.badParameter("At least one of scalingConfig, labels, taints, updateConfig or nodeRepairConfig must be specified")
	}
	if want := in.ScalingConfig; want != nil {
		size := *g.ScalingConfig
		size.MinSize, size.MaxSize, size.DesiredSize = over(size.MinSize, want.MinSize), over(size.MaxSize, want.MaxSize), over(size.DesiredSize, want.DesiredSize)
		if err := checkSizes(on, &size, true); err != nil {
			return err
		}
		g.ScalingConfig = &size
	}
	if err := checkUpdateConfig(on, in.UpdateConfig); err != nil {
		return err
	}
	g.UpdateConfig = mergeUpdateConfig(g.UpdateConfig, in.UpdateConfig)
	if in.NodeRepairConfig != nil {
		if err := checkRepair(on, in.NodeRepairConfig); err != nil {
			return err
		}
		g.NodeRepairConfig = in.NodeRepairConfig
	}
	if err := labelChange(on, g, marks, in.Labels); err != nil {
		return err
	}
	return taintChange(on, g, marks, in.Taints)
}

func mergeUpdateConfig(have, want *NodegroupUpdateConfig) *NodegroupUpdateConfig {
	if want == nil {
		return have
	}
	merged := *have
	if want.MaxUnavailable != nil || want.MaxUnavailablePercentage != nil {
		merged.MaxUnavailable, merged.MaxUnavailablePercentage = want.MaxUnavailable, want.MaxUnavailablePercentage
	}
	if want.UpdateStrategy != "" {
		merged.UpdateStrategy = want.UpdateStrategy
	}
	return &merged
}

func over(have, want *int) *int {
	if want != nil {
		return want
	}
	return have
}

func labelChange(on subject, g *Nodegroup, marks *Marks, in *UpdateLabelsPayload) error {
	labels := maps.Clone(g.Labels)
	if in != nil {
		if err := checkLabels(on, in.AddOrUpdateLabels); err != nil {
			return err
		}
		if labels == nil {
			labels = map[string]string{}
		}
		for _, k := range in.RemoveLabels {
			if _, both := in.AddOrUpdateLabels[k]; both {
				return on.badParameter("Label %s can't be both updated and removed", k)
			}
			delete(labels, k)
		}
		maps.Copy(labels, in.AddOrUpdateLabels)
		marks.DroppedLabels = in.RemoveLabels
	}
	g.Labels, marks.Labels = labels, labels
	return nil
}

func taintChange(on subject, g *Nodegroup, marks *Marks, in *UpdateTaintsPayload) error {
	taints := slices.Clone(g.Taints)
	if in != nil {
		if err := checkTaints(on, in.AddOrUpdateTaints); err != nil {
			return err
		}
		same := func(a, b Taint) bool { return a.Key == b.Key && a.Effect == b.Effect }
		drop := slices.Concat(in.RemoveTaints, in.AddOrUpdateTaints)
		taints = slices.DeleteFunc(taints, func(t Taint) bool {
			return slices.ContainsFunc(drop, func(d Taint) bool { return same(d, t) })
		})
		taints = append(taints, in.AddOrUpdateTaints...)
		marks.DroppedTaints = in.RemoveTaints
	}
	g.Taints, marks.Taints = taints, taints
	return nil
}

func configParams(in *UpdateNodegroupConfigInput) (out []UpdateParam) {
	number := func(name string, n *int) {
		if n != nil {
			out = append(out, param(name, *n))
		}
	}
	if c := in.ScalingConfig; c != nil {
		number("MinSize", c.MinSize)
		number("MaxSize", c.MaxSize)
		number("DesiredSize", c.DesiredSize)
	}
	if c := in.UpdateConfig; c != nil {
		number("MaxUnavailable", c.MaxUnavailable)
		number("MaxUnavailablePercentage", c.MaxUnavailablePercentage)
		if c.UpdateStrategy != "" {
			out = append(out, param("UpdateStrategy", c.UpdateStrategy))
		}
	}
	if l := in.Labels; l != nil {
		if len(l.AddOrUpdateLabels) > 0 {
			out = append(out, param("LabelsToAdd", l.AddOrUpdateLabels))
		}
		if len(l.RemoveLabels) > 0 {
			out = append(out, param("LabelsToRemove", l.RemoveLabels))
		}
	}
	if t := in.Taints; t != nil {
		if len(t.AddOrUpdateTaints) > 0 {
			out = append(out, param("TaintsToAdd", t.AddOrUpdateTaints))
		}
		if len(t.RemoveTaints) > 0 {
			out = append(out, param("TaintsToRemove", t.RemoveTaints))
		}
	}
	if in.NodeRepairConfig != nil {
		out = append(out, param("NodeRepairConfig", in.NodeRepairConfig))
	}
	return out
}

// applyNodegroupConfig carries a change to the group, to the template of future nodes and to the nodes there are.
func (s *Service) applyNodegroupConfig(c *clusterRecord, g *nodegroupRecord, in *UpdateNodegroupConfigInput, marks Marks) error {
	if in.Labels != nil || in.Taints != nil {
		if err := s.putTemplate(c, g); err != nil {
			return err
		}
	}
	size := g.Nodegroup.ScalingConfig
	if err := s.neighbours.Groups.Put(s.group(c, g, *size.MinSize, *size.MaxSize, *size.DesiredSize)); err != nil {
		return err
	}
	if in.Labels != nil || in.Taints != nil {
		state, _ := s.neighbours.Groups.Show(g.Group)
		for _, i := range state.Instances {
			s.nodes.Mark(c.Cluster.Name, i.ID, marks)
		}
	}
	return nil
}

func (s *Service) updateNodegroupVersion(_ context.Context, _ wire.Caller, in *UpdateNodegroupVersionInput) (*UpdateNodegroupVersionOutput, error) {
	if u := s.repeated(in.ClusterName, in.ClientRequestToken); u != nil {
		return &UpdateNodegroupVersionOutput{Update: u}, nil
	}
	u, err := s.startNodegroupVersion(in)
	if err != nil {
		return nil, err
	}
	return &UpdateNodegroupVersionOutput{Update: &u.Update}, nil
}

func (s *Service) startNodegroupVersion(in *UpdateNodegroupVersionInput) (*updateRecord, error) {
	c, g, err := s.updatable(in.ClusterName, in.NodegroupName)
	if err != nil {
		return nil, err
	}
	on := subject{cluster: in.ClusterName, nodegroup: in.NodegroupName}
	user, err := s.newTemplate(on, g, in)
	if err != nil {
		return nil, err
	}
	r, err := s.target(on, c, g, in, user)
	if err != nil {
		return nil, err
	}
	u := s.newUpdate("VersionUpdate", in.ClientRequestToken, "eks.nodegroup.config", versionParams(r, in))
	u.Nodegroup = in.NodegroupName
	if r.changes(g) {
		if err := s.startRoll(c, g, r); err != nil {
			return nil, on.badRequest("%v", err)
		}
		u.Roll = r
	}
	c.Updates = append(c.Updates, u)
	g.Nodegroup.Status, g.Nodegroup.ModifiedAt = "UPDATING", s.now()
	return u, nil
}

// changes says whether the nodes become anything else than they are.
func (r *roll) changes(g *nodegroupRecord) bool {
	same := r.User == nil && g.Nodegroup.LaunchTemplate == nil ||
		r.User != nil && g.Nodegroup.LaunchTemplate != nil && *r.User == *g.Nodegroup.LaunchTemplate
	return !same || r.Version != g.Nodegroup.Version || r.Release != g.Nodegroup.ReleaseVersion || r.ImageID != g.ImageID
}

func versionParams(r *roll, in *UpdateNodegroupVersionInput) []UpdateParam {
	var out []UpdateParam
	if r.Version != "" {
		out = append(out, param("Version", r.Version), param("ReleaseVersion", r.Release))
	}
	if in.LaunchTemplate != nil {
		out = append(out, param("LaunchTemplateName", r.User.Name), param("LaunchTemplateVersion", r.User.Version))
	}
	return out
}

// newTemplate finds the version of the user's template that a group shall use. It must be the template that the group was
// created with.
func (s *Service) newTemplate(on subject, g *nodegroupRecord, in *UpdateNodegroupVersionInput) (*Template, error) {
	have, want := g.Nodegroup.LaunchTemplate, in.LaunchTemplate
	if want == nil {
		return nil, nil //nolint:nilnil // no template asked for is an ordinary case
	}
	if have == nil {
		return nil, on.badParameter("You cannot specify a launch template for a node group that was created without one.")
	}
	user, err := s.resolveTemplate(on, want)
	if err != nil {
		return nil, err
	}
	if user.ID != have.ID {
		return nil, on.badParameter("You cannot specify a different launch template than the one that the node group was created with: %s", have.Name)
	}
	if (user.ImageID != "") != g.CustomImage {
		return nil, on.badParameter("You cannot switch between a custom AMI and an EKS optimized AMI.")
	}
	return user, nil
}

// target works out what the nodes shall become (https://docs.aws.amazon.com/eks/latest/APIReference/API_UpdateNodegroupVersion.html).
func (s *Service) target(on subject, c *clusterRecord, g *nodegroupRecord, in *UpdateNodegroupVersionInput, user *Template) (*roll, error) {
	r := &roll{User: g.Nodegroup.LaunchTemplate, Force: isTrue(in.Force), Version: g.Nodegroup.Version, Release: g.Nodegroup.ReleaseVersion, ImageID: g.ImageID}
	if user != nil {
		r.User = &LaunchTemplateSpecification{ID: user.ID, Name: user.Name, Version: user.Version}
	}
	if g.CustomImage {
		if err := checkCustomImage(on, in.Version, in.ReleaseVersion); err != nil {
			return nil, err
		}
		if user != nil {
			r.ImageID, r.Release, r.Version = user.ImageID, user.ImageID, c.Cluster.Version
		}
		return r, nil
	}
	// A new version of the template alone leaves the image as it is; otherwise the newest image is meant.
	if user != nil && in.Version == "" && in.ReleaseVersion == "" {
		return r, nil
	}
	r.Version = wantedMinor(c, g, in)
	if r.Version != c.Cluster.Version && r.Version != g.Nodegroup.Version || catalog.Minor(r.Version) < catalog.Minor(g.Nodegroup.Version) {
		return nil, on.badParameter("Nodegroup Kubernetes version should be equal to Cluster kubernetes version %s or NodeGroup kubernetes version %s", c.Cluster.Version, g.Nodegroup.Version)
	}
	image, release, err := s.image(g.Nodegroup.AMIType, r.Version, in.ReleaseVersion)
	if err != nil {
		return nil, err
	}
	r.ImageID, r.Release = image, release
	return r, nil
}

// wantedMinor is the minor version that a request means: that of the cluster, unless it says one or names a release.
func wantedMinor(c *clusterRecord, g *nodegroupRecord, in *UpdateNodegroupVersionInput) string {
	switch {
	case in.Version != "":
		return in.Version
	case in.ReleaseVersion != "":
		return minorOf(g, in.ReleaseVersion)
	default:
		return c.Cluster.Version
	}
}

// minorOf is the minor version that a release belongs to, where a release tells; else that of the group.
func minorOf(g *nodegroupRecord, release string) string {
	kind, _ := catalog.FindImage(g.Nodegroup.AMIType)
	if n := catalog.Minor(release); kind.UserData == catalog.NodeConfig && n > 0 {
		return catalog.Next("1." + itoa(n-1))
	}
	return g.Nodegroup.Version
}
