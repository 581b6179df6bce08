package eks

import "github.com/eks-gitops/reconciler/internal/sim/aws/wire"

// CreateNodegroupInput is the request of CreateNodegroup.
type CreateNodegroupInput struct {
	ClusterName        string                       `json:"-" path:"name"`
	NodegroupName      string                       `json:"nodegroupName,omitzero"`
	ScalingConfig      *NodegroupScalingConfig      `json:"scalingConfig,omitzero"`
	DiskSize           *int                         `json:"diskSize,omitzero"`
	Subnets            []string                     `json:"subnets,omitzero"`
	InstanceTypes      []string                     `json:"instanceTypes,omitzero"`
	AMIType            string                       `json:"amiType,omitzero"`
	RemoteAccess       *RemoteAccessConfig          `json:"remoteAccess,omitzero"`
	NodeRole           string                       `json:"nodeRole,omitzero"`
	Labels             map[string]string            `json:"labels,omitempty"`
	Taints             []Taint                      `json:"taints,omitzero"`
	Tags               map[string]string            `json:"tags,omitempty"`
	ClientRequestToken string                       `json:"clientRequestToken,omitzero"`
	LaunchTemplate     *LaunchTemplateSpecification `json:"launchTemplate,omitzero"`
	UpdateConfig       *NodegroupUpdateConfig       `json:"updateConfig,omitzero"`
	NodeRepairConfig   *NodeRepairConfig            `json:"nodeRepairConfig,omitzero"`
	CapacityType       string                       `json:"capacityType,omitzero"`
	Version            string                       `json:"version,omitzero"`
	ReleaseVersion     string                       `json:"releaseVersion,omitzero"`
	WarmPoolConfig     *WarmPoolConfig              `json:"warmPoolConfig,omitzero"`
}

// NodegroupScalingConfig holds the sizes of a node group.
type NodegroupScalingConfig struct {
	MinSize     *int `json:"minSize,omitzero"`
	MaxSize     *int `json:"maxSize,omitzero"`
	DesiredSize *int `json:"desiredSize,omitzero"`
}

// RemoteAccessConfig is SSH access to nodes.
type RemoteAccessConfig struct {
	Ec2SshKey            string   `json:"ec2SshKey,omitzero"`
	SourceSecurityGroups []string `json:"sourceSecurityGroups,omitzero"`
}

// Taint is a taint of the nodes of a node group.
type Taint struct {
	Key    string `json:"key,omitzero"`
	Value  string `json:"value,omitzero"`
	Effect string `json:"effect,omitzero"`
}

// LaunchTemplateSpecification names a launch template by id or by name.
type LaunchTemplateSpecification struct {
	Name    string `json:"name,omitzero"`
	Version string `json:"version,omitzero"`
	ID      string `json:"id,omitzero"`
}

// NodegroupUpdateConfig says how many nodes may be away during an update.
type NodegroupUpdateConfig struct {
	MaxUnavailable           *int   `json:"maxUnavailable,omitzero"`
	MaxUnavailablePercentage *int   `json:"maxUnavailablePercentage,omitzero"`
	UpdateStrategy           string `json:"updateStrategy,omitzero"`
}

// NodeRepairConfig is automatic repair of nodes.
type NodeRepairConfig struct {
	Enabled                             *bool                       `json:"enabled,omitzero"`
	MaxUnhealthyNodeThresholdCount      *int                        `json:"maxUnhealthyNodeThresholdCount,omitzero"`
	MaxUnhealthyNodeThresholdPercentage *int                        `json:"maxUnhealthyNodeThresholdPercentage,omitzero"`
	MaxParallelNodesRepairedCount       *int                        `json:"maxParallelNodesRepairedCount,omitzero"`
	MaxParallelNodesRepairedPercentage  *int                        `json:"maxParallelNodesRepairedPercentage,omitzero"`
	NodeRepairConfigOverrides           []NodeRepairConfigOverrides `json:"nodeRepairConfigOverrides,omitzero"`
}

// NodeRepairConfigOverrides is the repair action for one condition.
type NodeRepairConfigOverrides struct {
	NodeMonitoringCondition string `json:"nodeMonitoringCondition,omitzero"`
	NodeUnhealthyReason     string `json:"nodeUnhealthyReason,omitzero"`
	MinRepairWaitTimeMins   *int   `json:"minRepairWaitTimeMins,omitzero"`
	RepairAction            string `json:"repairAction,omitzero"`
}

// WarmPoolConfig is the warm pool of a node group.
type WarmPoolConfig struct {
	Enabled                  *bool  `json:"enabled,omitzero"`
	MinSize                  *int   `json:"minSize,omitzero"`
	MaxGroupPreparedCapacity *int   `json:"maxGroupPreparedCapacity,omitzero"`
	PoolState                string `json:"poolState,omitzero"`
	ReuseOnScaleIn           *bool  `json:"reuseOnScaleIn,omitzero"`
}

// CreateNodegroupOutput is the response of CreateNodegroup.
type CreateNodegroupOutput struct {
	Nodegroup *Nodegroup `json:"nodegroup,omitzero"`
}

// Nodegroup is a managed node group as DescribeNodegroup shows it.
type Nodegroup struct {
	NodegroupName    string                       `json:"nodegroupName,omitzero"`
	NodegroupARN     string                       `json:"nodegroupArn,omitzero"`
	ClusterName      string                       `json:"clusterName,omitzero"`
	Version          string                       `json:"version,omitzero"`
	ReleaseVersion   string                       `json:"releaseVersion,omitzero"`
	CreatedAt        wire.Time                    `json:"createdAt,omitzero"`
	ModifiedAt       wire.Time                    `json:"modifiedAt,omitzero"`
	Status           string                       `json:"status,omitzero"`
	CapacityType     string                       `json:"capacityType,omitzero"`
	ScalingConfig    *NodegroupScalingConfig      `json:"scalingConfig,omitzero"`
	InstanceTypes    []string                     `json:"instanceTypes,omitzero"`
	Subnets          []string                     `json:"subnets,omitzero"`
	RemoteAccess     *RemoteAccessConfig          `json:"remoteAccess,omitzero"`
	AMIType          string                       `json:"amiType,omitzero"`
	NodeRole         string                       `json:"nodeRole,omitzero"`
	Labels           map[string]string            `json:"labels,omitempty"`
	Taints           []Taint                      `json:"taints,omitzero"`
	Resources        *NodegroupResources          `json:"resources,omitzero"`
	DiskSize         *int                         `json:"diskSize,omitzero"`
	Health           *NodegroupHealth             `json:"health,omitzero"`
	UpdateConfig     *NodegroupUpdateConfig       `json:"updateConfig,omitzero"`
	NodeRepairConfig *NodeRepairConfig            `json:"nodeRepairConfig,omitzero"`
	LaunchTemplate   *LaunchTemplateSpecification `json:"launchTemplate,omitzero"`
	Tags             map[string]string            `json:"tags,omitempty"`
	WarmPoolConfig   *WarmPoolConfig              `json:"warmPoolConfig,omitzero"`
}

// NodegroupResources names what a node group is made of.
type NodegroupResources struct {
	AutoScalingGroups         []AutoScalingGroup `json:"autoScalingGroups,omitzero"`
	RemoteAccessSecurityGroup string             `json:"remoteAccessSecurityGroup,omitzero"`
}

// AutoScalingGroup names an Auto Scaling group.
type AutoScalingGroup struct {
	Name string `json:"name,omitzero"`
}

// NodegroupHealth lists the health issues of a node group.
type NodegroupHealth struct {
	Issues []NodegroupIssue `json:"issues,omitzero"`
}

// NodegroupIssue is one health issue of a node group.
type NodegroupIssue struct {
	Code        string   `json:"code,omitzero"`
	Message     string   `json:"message,omitzero"`
	ResourceIDs []string `json:"resourceIds,omitzero"`
}

// DescribeNodegroupInput is the request of DescribeNodegroup.
type DescribeNodegroupInput struct {
	ClusterName   string `json:"-" path:"name"`
	NodegroupName string `json:"-" path:"nodegroupName"`
}

// DescribeNodegroupOutput is the response of DescribeNodegroup.
type DescribeNodegroupOutput struct {
	Nodegroup *Nodegroup `json:"nodegroup,omitzero"`
}

// ListNodegroupsInput is the request of ListNodegroups.
type ListNodegroupsInput struct {
	ClusterName string `json:"-" path:"name"`
	MaxResults  *int   `json:"-" query:"maxResults"`
	NextToken   string `json:"-" query:"nextToken"`
}

// ListNodegroupsOutput is the response of ListNodegroups.
type ListNodegroupsOutput struct {
	Nodegroups []string `json:"nodegroups,omitzero"`
	NextToken  string   `json:"nextToken,omitzero"`
}

// DeleteNodegroupInput is the request of DeleteNodegroup.
type DeleteNodegroupInput struct {
	ClusterName   string `json:"-" path:"name"`
	NodegroupName string `json:"-" path:"nodegroupName"`
}

// DeleteNodegroupOutput is the response of DeleteNodegroup.
type DeleteNodegroupOutput struct {
	Nodegroup *Nodegroup `json:"nodegroup,omitzero"`
}

// UpdateNodegroupConfigInput is the request of UpdateNodegroupConfig.
type UpdateNodegroupConfigInput struct {
	ClusterName        string                  `json:"-" path:"name"`
	NodegroupName      string                  `json:"-" path:"nodegroupName"`
	Labels             *UpdateLabelsPayload    `json:"labels,omitzero"`
	Taints             *UpdateTaintsPayload    `json:"taints,omitzero"`
	ScalingConfig      *NodegroupScalingConfig `json:"scalingConfig,omitzero"`
	UpdateConfig       *NodegroupUpdateConfig  `json:"updateConfig,omitzero"`
	NodeRepairConfig   *NodeRepairConfig       `json:"nodeRepairConfig,omitzero"`
	WarmPoolConfig     *WarmPoolConfig         `json:"warmPoolConfig,omitzero"`
	ClientRequestToken string                  `json:"clientRequestToken,omitzero"`
}

// UpdateLabelsPayload changes labels.
type UpdateLabelsPayload struct {
	AddOrUpdateLabels map[string]string `json:"addOrUpdateLabels,omitempty"`
	RemoveLabels      []string          `json:"removeLabels,omitzero"`
}

// UpdateTaintsPayload changes taints.
type UpdateTaintsPayload struct {
	AddOrUpdateTaints []Taint `json:"addOrUpdateTaints,omitzero"`
	RemoveTaints      []Taint `json:"removeTaints,omitzero"`
}

// UpdateNodegroupConfigOutput is the response of UpdateNodegroupConfig.
type UpdateNodegroupConfigOutput struct {
	Update *Update `json:"update,omitzero"`
}

// UpdateNodegroupVersionInput is the request of UpdateNodegroupVersion.
type UpdateNodegroupVersionInput struct {
	ClusterName        string                       `json:"-" path:"name"`
	NodegroupName      string                       `json:"-" path:"nodegroupName"`
	Version            string                       `json:"version,omitzero"`
	ReleaseVersion     string                       `json:"releaseVersion,omitzero"`
	LaunchTemplate     *LaunchTemplateSpecification `json:"launchTemplate,omitzero"`
	Force              *bool                        `json:"force,omitzero"`
	ClientRequestToken string                       `json:"clientRequestToken,omitzero"`
}

// UpdateNodegroupVersionOutput is the response of UpdateNodegroupVersion.
type UpdateNodegroupVersionOutput struct {
	Update *Update `json:"update,omitzero"`
}
