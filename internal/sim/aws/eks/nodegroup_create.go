package eks

import (
	"context"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks/catalog"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

func (s *Service) createNodegroup(_ context.Context, _ wire.Caller, in *CreateNodegroupInput) (*CreateNodegroupOutput, error) {
	on := subject{cluster: in.ClusterName, nodegroup: in.NodegroupName}
	c, err := s.settled(in.ClusterName, on)
	if err != nil {
		return nil, err
	}
	if have, ok := c.Nodegroups[in.NodegroupName]; ok {
		if in.ClientRequestToken != "" && have.Token == in.ClientRequestToken {
			return &CreateNodegroupOutput{Nodegroup: &have.Nodegroup}, nil
		}
		return nil, on.inUse("NodeGroup already exists with name %s and cluster name %s", in.NodegroupName, in.ClusterName)
	}
	if len(c.Nodegroups) >= 30 {
		return nil, on.limit("The maximum number of node groups of a cluster is 30")
	}
	user, err := s.resolveTemplate(on, in.LaunchTemplate)
	if err != nil {
		return nil, err
	}
	s.defaultNodegroup(in, user)
	if err := s.checkNodegroup(on, c, in, user); err != nil {
		return nil, err
	}
	g, err := s.newNodegroup(c, in, user)
	if err != nil {
		return nil, err
	}
	if err := s.launch(c, g); err != nil {
		return nil, on.badRequest("%v", err)
	}
	c.Nodegroups[in.NodegroupName] = g
	s.admitNodes(c, in.NodeRole, in.AMIType)
	return &CreateNodegroupOutput{Nodegroup: &g.Nodegroup}, nil
}

// resolveTemplate finds the user's launch template, if there is one.
func (s *Service) resolveTemplate(on subject, spec *LaunchTemplateSpecification) (*Template, error) {
	if spec == nil {
		return nil, nil //nolint:nilnil // no template asked for is an ordinary case
	}
	if (spec.ID == "") == (spec.Name == "") {
		return nil, on.badParameter("You must specify either the launch template ID or the launch template name in the request, but not both.")
	}
	t, err := s.neighbours.Templates.Resolve(*spec)
	if err != nil {
		return nil, on.badParameter("Launch template %s%s does not exist: %v", spec.ID, spec.Name, err)
	}
	return &t, nil
}

// defaultNodegroup fills in what CreateNodegroup documents as defaults.
func (s *Service) defaultNodegroup(in *CreateNodegroupInput, user *Template) {
	if in.ScalingConfig == nil {
		in.ScalingConfig = &NodegroupScalingConfig{MinSize: new(1), MaxSize: new(2), DesiredSize: new(2)}
	}
	if in.CapacityType == "" {
		in.CapacityType = "ON_DEMAND"
	}
	if in.UpdateConfig == nil {
		in.UpdateConfig = &NodegroupUpdateConfig{MaxUnavailable: new(1)}
	}
	if user != nil && user.ImageID != "" {
		if in.AMIType == "" {
			in.AMIType = "CUSTOM"
		}
	} else if in.AMIType == "" {
		in.AMIType = s.defaultAMIType(in.InstanceTypes)
	}
	if user == nil || user.InstanceType == "" {
		if len(in.InstanceTypes) == 0 {
			in.InstanceTypes = []string{"t3.medium"}
		}
	}
	if user == nil && in.DiskSize == nil {
		in.DiskSize = new(20)
	}
}

func (s *Service) defaultAMIType(types []string) string {
	if len(types) > 0 {
		m, _ := s.neighbours.Machines.Machine(types[0])
		switch {
		case m.Arch == "arm64" && m.GPU:
			return "AL2023_ARM_64_NVIDIA"
		case m.Arch == "arm64":
			return "AL2023_ARM_64_STANDARD"
		case m.GPU:
			return "AL2023_x86_64_NVIDIA"
		}
	}
	return "AL2023_x86_64_STANDARD"
}

// newNodegroup is the group as it is when the request has been accepted.
func (s *Service) newNodegroup(c *clusterRecord, in *CreateNodegroupInput, user *Template) (*nodegroupRecord, error) {
	uuid := s.world.UUID()
	version := in.Version
	if version == "" {
		version = c.Cluster.Version
	}
	g := &nodegroupRecord{
		Token: in.ClientRequestToken, Group: "eks-" + in.NodegroupName + "-" + uuid, Since: s.world.Now(), Due: s.in("eks.nodegroup.create"),
		CustomImage: user != nil && user.ImageID != "",
		Nodegroup: Nodegroup{
			NodegroupName: in.NodegroupName, ClusterName: in.ClusterName, Version: version, ReleaseVersion: in.ReleaseVersion,
			NodegroupARN: s.world.ARN("eks", "nodegroup/"+in.ClusterName+"/"+in.NodegroupName+"/"+uuid),
			CreatedAt:    s.now(), ModifiedAt: s.now(), Status: "CREATING", CapacityType: in.CapacityType, ScalingConfig: in.ScalingConfig,
			InstanceTypes: in.InstanceTypes, Subnets: in.Subnets, AMIType: in.AMIType, NodeRole: in.NodeRole, Labels: in.Labels,
			Taints: in.Taints, DiskSize: in.DiskSize, Health: &NodegroupHealth{Issues: []NodegroupIssue{}}, UpdateConfig: in.UpdateConfig,
			NodeRepairConfig: in.NodeRepairConfig, Tags: ownTags(in.Tags),
		},
	}
	g.Nodegroup.Resources = &NodegroupResources{AutoScalingGroups: []AutoScalingGroup{{Name: g.Group}}}
	if user != nil {
		g.Nodegroup.LaunchTemplate = &LaunchTemplateSpecification{ID: user.ID, Name: user.Name, Version: user.Version}
	}
	if g.CustomImage {
		g.ImageID, g.Nodegroup.Version, g.Nodegroup.ReleaseVersion = user.ImageID, c.Cluster.Version, user.ImageID
		return g, nil
	}
	image, release, err := s.image(in.AMIType, version, in.ReleaseVersion)
	if err != nil {
		return nil, err
	}
	g.ImageID, g.Nodegroup.ReleaseVersion = image, release
	return g, nil
}

// image finds the image of a release, or the recommended one.
func (s *Service) image(amiType, minor, release string) (id, found string, err error) {
	recommended, newest, err := s.recommended(amiType, minor)
	if err != nil || release == "" || release == newest {
		return recommended, newest, err
	}
	kind, _ := catalog.FindImage(amiType)
	if name := kind.ReleaseImageParameter(minor, release); name != "" && strings.HasPrefix(release, minor+".") == (kind.UserData == catalog.NodeConfig) {
		if id, ok := s.neighbours.Parameters.Parameter(name); ok {
			return id, release, nil
		}
	}
	return "", "", subject{}.badParameter("Requested Nodegroup release version %s is invalid. Allowed release version is %s", release, newest)
}

// recommended is the image that AWS recommends for a kind of node and a minor version of Kubernetes.
func (s *Service) recommended(amiType, minor string) (image, release string, err error) {
	on := subject{}
	kind, ok := catalog.FindImage(amiType)
	if !ok {
		return "", "", on.badParameter("AMI type %s is not supported", amiType)
	}
	image, ok = s.neighbours.Parameters.Parameter(kind.ImageParameter(minor))
	if !ok {
		return "", "", on.badParameter("AMI type %s is not supported for Kubernetes version %s", amiType, minor)
	}
	release, ok = s.neighbours.Parameters.Parameter(kind.ReleaseParameter(minor))
	if !ok {
		return "", "", on.badParameter("AMI type %s has no release for Kubernetes version %s", amiType, minor)
	}
	return image, release, nil
}

// launch makes EKS's own launch template and Auto Scaling group, which then bring up the nodes.
func (s *Service) launch(c *clusterRecord, g *nodegroupRecord) error {
	if err := s.putTemplate(c, g); err != nil {
		return err
	}
	size := g.Nodegroup.ScalingConfig
	if err := s.neighbours.Groups.Put(s.group(c, g, intOr(size.MinSize, 0), intOr(size.MaxSize, 1), intOr(size.DesiredSize, 0))); err != nil {
		s.neighbours.Templates.Delete(g.TemplateID)
		return err
	}
	return nil
}

func (s *Service) putTemplate(c *clusterRecord, g *nodegroupRecord) error {
	own := OwnTemplate{
		ID: g.TemplateID, Name: strings.TrimPrefix(g.Group, "eks-"+g.Nodegroup.NodegroupName+"-"), ImageID: g.ImageID,
		NodeRoleARN: g.Nodegroup.NodeRole, DiskSize: intOr(g.Nodegroup.DiskSize, 0),
		Tags: map[string]string{
			"eks:cluster-name": c.Cluster.Name, "eks:nodegroup-name": g.Nodegroup.NodegroupName, "kubernetes.io/cluster/" + c.Cluster.Name: "owned",
		},
	}
	own.Name = "eks-" + own.Name
	if len(g.Nodegroup.InstanceTypes) > 0 {
		own.InstanceType = g.Nodegroup.InstanceTypes[0]
	}
	var user Template
	if g.Nodegroup.LaunchTemplate != nil {
		own.From = *g.Nodegroup.LaunchTemplate
		resolved, err := s.neighbours.Templates.Resolve(own.From)
		if err != nil {
			return err
		}
		user = resolved
	}
	if len(user.SecurityGroupIDs) == 0 {
		own.SecurityGroupIDs = []string{c.Attachment.SecurityGroupID}
	}
	if !g.CustomImage {
		data, err := s.userData(c, g, own, user)
		if err != nil {
			return err
		}
		own.UserData = data
	}
	id, version, err := s.neighbours.Templates.Put(own)
	if err != nil {
		return err
	}
	g.TemplateID, g.TemplateVersion = id, version
	return nil
}

func (s *Service) group(c *clusterRecord, g *nodegroupRecord, low, high, desired int) Group {
	types := g.Nodegroup.InstanceTypes
	if len(types) == 1 && g.Nodegroup.CapacityType != "SPOT" {
		types = nil // the launch template says it
	}
	return Group{
		Name: g.Group, TemplateID: g.TemplateID, Version: g.TemplateVersion, InstanceTypes: slices.Clone(types),
		Spot: g.Nodegroup.CapacityType == "SPOT", Min: low, Max: high, Desired: desired, SubnetIDs: g.Nodegroup.Subnets,
		Tags: map[string]string{
			"eks:cluster-name": c.Cluster.Name, "eks:nodegroup-name": g.Nodegroup.NodegroupName, "kubernetes.io/cluster/" + c.Cluster.Name: "owned",
			"k8s.io/cluster-autoscaler/enabled": "true", "k8s.io/cluster-autoscaler/" + c.Cluster.Name: "owned",
		},
	}
}
