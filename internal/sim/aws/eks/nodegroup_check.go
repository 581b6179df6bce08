package eks

import (
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks/catalog"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// checkNodegroup holds a request to the rules of https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateNodegroup.html
// and https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html.
func (s *Service) checkNodegroup(on subject, c *clusterRecord, in *CreateNodegroupInput, user *Template) error {
	if !resourceName.MatchString(in.NodegroupName) {
		return on.badParameter("The nodegroup name %q doesn't match the pattern %s", in.NodegroupName, resourceName)
	}
	if in.RemoteAccess != nil && in.LaunchTemplate == nil {
		return wire.Unsupported("remote access of node groups without a launch template")
	}
	if in.WarmPoolConfig != nil {
		return wire.Unsupported("warm pools of node groups")
	}
	for _, check := range []func() error{
		func() error { return s.checkNodeRole(on, in.NodeRole) },
		func() error { return s.checkNodeSubnets(on, c, in.Subnets) },
		func() error { return checkSizes(on, in.ScalingConfig, true) },
		func() error { return checkLabels(on, in.Labels) },
		func() error { return checkTaints(on, in.Taints) },
		func() error { return checkUpdateConfig(on, in.UpdateConfig) },
		func() error { return checkRepair(on, in.NodeRepairConfig) },
		func() error {
			return checkEnum(on, "capacityType", in.CapacityType, "ON_DEMAND", "SPOT", "CAPACITY_BLOCK")
		},
		func() error { return checkTemplate(on, in, user) },
		func() error { return s.checkMachines(on, in, user) },
		func() error { return s.checkCreateVersion(on, c, in, user) },
		func() error { return checkTags(on, in.Tags) },
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// checkNodeRole takes a role that instances may have: in China, EC2 goes by ec2.amazonaws.com.cn, too (IAM user guide, "AWS service
// principals"; eksctl, ServicePrincipalPartitionMap).
func (s *Service) checkNodeRole(on subject, arn string) error {
	p, ok := s.neighbours.Principals.Principal(arn)
	if !isRoleARN(arn) || !ok {
		return on.badParameter("The role with name %s cannot be found.", roleName(arn))
	}
	if !slices.Contains(p.Trusted, "ec2.amazonaws.com") && !slices.Contains(p.Trusted, "ec2."+s.world.DNSSuffix()) {
		return on.badParameter("Following required service principals [ec2.amazonaws.com] were not found in the trust relationships of nodeRole %s", arn)
	}
	return nil
}

func (s *Service) checkNodeSubnets(on subject, c *clusterRecord, ids []string) error {
	if len(ids) == 0 {
		return on.badParameter("Missing required parameter: subnets")
	}
	subnets, err := s.findSubnets(on, ids)
	if err != nil {
		return err
	}
	for _, n := range subnets {
		if n.VPC != c.Cluster.ResourcesVPCConfig.VPCID {
			return on.badParameter("Subnets are not tagged with the required tag or are not in the VPC of the cluster: %s is in %s", n.ID, n.VPC)
		}
	}
	return nil
}

// checkSizes holds sizes together. A new group needs all of them or none.
func checkSizes(on subject, in *NodegroupScalingConfig, all bool) error {
	if in == nil {
		return nil
	}
	if all && (in.MinSize == nil || in.MaxSize == nil || in.DesiredSize == nil) {
		return on.badParameter("scalingConfig must have all or none of minSize, maxSize and desiredSize")
	}
	low, high, want := intOr(in.MinSize, 0), intOr(in.MaxSize, 1), intOr(in.DesiredSize, 0)
	switch {
	case low < 0 || want < 0:
		return on.badParameter("Sizes of a node group must not be negative")
	case high < 1:
		return on.badParameter("maxSize must be greater than 0")
	case high > 450:
		return on.limit("The maximum number of nodes of a managed node group is 450")
	case low > want:
		return on.badParameter("Minimum capacity %d can't be greater than desired size %d", low, want)
	case want > high:
		return on.badParameter("Desired capacity %d can't be greater than max size %d", want, high)
	}
	return nil
}

func checkLabels(on subject, labels map[string]string) error {
	for k, v := range sorted(labels) {
		prefix, _, hasPrefix := strings.Cut(k, "/")
		if hasPrefix && reservedLabel(prefix) {
			return on.badParameter("Label cannot contain reserved prefixes [kubernetes.io/, k8s.io/, eks.amazonaws.com/]")
		}
		if !labelName.MatchString(k) || !labelValue.MatchString(v) || len(v) > 63 {
			return on.badParameter("Invalid label %s=%s", k, v)
		}
	}
	return nil
}

// reservedLabel follows what Kubernetes lets a kubelet set on itself: node.kubernetes.io and node-role apart, nothing of
// kubernetes.io and k8s.io.
func reservedLabel(prefix string) bool {
	return prefix == "kubernetes.io" || prefix == "k8s.io" || prefix == "eks.amazonaws.com"
}

func checkTaints(on subject, taints []Taint) error {
	if len(taints) > 50 {
		return on.badParameter("A node group can have at most 50 taints")
	}
	for _, t := range taints {
		if !labelName.MatchString(t.Key) || len(t.Key) > 63 || !labelValue.MatchString(t.Value) || len(t.Value) > 63 {
			return on.badParameter("Invalid taint %s=%s", t.Key, t.Value)
		}
		if err := checkEnum(on, "taints.effect", t.Effect, "NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE"); err != nil || t.Effect == "" {
			return on.badParameter("Invalid effect %q of taint %s", t.Effect, t.Key)
		}
	}
	return nil
}

func checkUpdateConfig(on subject, in *NodegroupUpdateConfig) error {
	if in == nil {
		return nil
	}
	if in.MaxUnavailable != nil && in.MaxUnavailablePercentage != nil {
		return on.badParameter("Only one of maxUnavailable and maxUnavailablePercentage can be specified in updateConfig")
	}
	if n := in.MaxUnavailable; n != nil && (*n < 1 || *n > 100) {
		return on.badParameter("maxUnavailable must be between 1 and 100")
	}
	if n := in.MaxUnavailablePercentage; n != nil && (*n < 1 || *n > 100) {
		return on.badParameter("maxUnavailablePercentage must be between 1 and 100")
	}
	return checkEnum(on, "updateConfig.updateStrategy", in.UpdateStrategy, "DEFAULT", "MINIMAL")
}

func checkRepair(on subject, in *NodeRepairConfig) error {
	if in == nil {
		return nil
	}
	if in.MaxUnhealthyNodeThresholdCount != nil && in.MaxUnhealthyNodeThresholdPercentage != nil {
		return on.badParameter("Only one of maxUnhealthyNodeThresholdCount and maxUnhealthyNodeThresholdPercentage can be specified in nodeRepairConfig")
	}
	if in.MaxParallelNodesRepairedCount != nil && in.MaxParallelNodesRepairedPercentage != nil {
		return on.badParameter("Only one of maxParallelNodesRepairedCount and maxParallelNodesRepairedPercentage can be specified in nodeRepairConfig")
	}
	for _, o := range in.NodeRepairConfigOverrides {
		if err := checkEnum(on, "nodeRepairConfigOverrides.repairAction", o.RepairAction, "Replace", "Reboot", "NoAction"); err != nil {
			return err
		}
	}
	return nil
}

// checkTemplate keeps apart what a launch template and the request say.
func checkTemplate(on subject, in *CreateNodegroupInput, user *Template) error {
	if user == nil {
		return nil
	}
	switch {
	case in.DiskSize != nil:
		return on.badParameter("Disk size must be specified within the launch template.")
	case in.RemoteAccess != nil:
		return on.badParameter("Remote access configuration cannot be specified with a launch template.")
	case user.InstanceType != "" && len(in.InstanceTypes) > 0:
		return on.badParameter("Instance types cannot be specified in both the launch template and the node group request.")
	case user.IAMInstanceProfile != "":
		return on.badParameter("Launch template %s should not specify an instance profile. The noderole in your request will be used to construct an instance profile.", user.Name)
	case len(user.SubnetIDs) > 0:
		return on.badParameter("Launch template %s should not specify subnets; specify them in the node group request.", user.Name)
	case user.Spot:
		return on.badParameter("Launch template %s should not request spot instances; use the capacityType of the node group.", user.Name)
	case user.Hibernation:
		return on.badParameter("Launch template %s should not have hibernation options.", user.Name)
	case user.ImageID != "" && in.AMIType != "CUSTOM":
		return on.badParameter("You cannot specify the field amiType when using custom AMIs.")
	case user.ImageID == "" && in.AMIType == "CUSTOM":
		return on.badParameter("AMI type CUSTOM needs a launch template that specifies an image.")
	}
	return nil
}

func (s *Service) checkMachines(on subject, in *CreateNodegroupInput, user *Template) error {
	if user == nil && in.AMIType == "CUSTOM" {
		return on.badParameter("AMI type CUSTOM needs a launch template that specifies an image.")
	}
	kind, known := catalog.FindImage(in.AMIType)
	if !known && in.AMIType != "CUSTOM" {
		return on.badParameter("AMI type %s is not supported", in.AMIType)
	}
	types := in.InstanceTypes
	if len(types) == 0 && user != nil {
		types = []string{user.InstanceType}
	}
	if len(types) > 20 {
		return on.badParameter("A node group can have at most 20 instance types")
	}
	for _, t := range types {
		m, ok := s.neighbours.Machines.Machine(t)
		if !ok {
			return on.badParameter("The following supplied instance types do not exist: [%s]", t)
		}
		if known && m.Arch != kind.Arch {
			return on.badParameter("[%s] is not a valid instance type for requested amiType %s", t, in.AMIType)
		}
	}
	return nil
}

func (s *Service) checkCreateVersion(on subject, c *clusterRecord, in *CreateNodegroupInput, user *Template) error {
	if user != nil && user.ImageID != "" {
		return checkCustomImage(on, in.Version, in.ReleaseVersion)
	}
	if in.Version != "" && in.Version != c.Cluster.Version {
		return on.badParameter("Nodegroup Kubernetes version should be equal to Cluster kubernetes version %s", c.Cluster.Version)
	}
	_, _, err := s.image(in.AMIType, c.Cluster.Version, in.ReleaseVersion)
	return err
}

func checkCustomImage(on subject, version, release string) error {
	if version != "" {
		return on.badParameter("You cannot specify the field kubernetesVersion when using custom AMIs.")
	}
	if release != "" {
		return on.badParameter("You cannot specify the field releaseVersion when using custom AMIs.")
	}
	return nil
}
