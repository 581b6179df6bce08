package eks

import "github.com/eks-gitops/reconciler/internal/sim/aws/wire"

// UpdateClusterVersionInput is the request of UpdateClusterVersion.
type UpdateClusterVersionInput struct {
	Name               string          `json:"-" path:"name"`
	Version            string          `json:"version,omitzero"`
	ClientRequestToken string          `json:"clientRequestToken,omitzero"`
	Force              *bool           `json:"force,omitzero"`
	RollbackConfig     *RollbackConfig `json:"rollbackConfig,omitzero"`
}

// RollbackConfig configures a version rollback.
type RollbackConfig struct {
	TimeoutMinutes *int `json:"timeoutMinutes,omitzero"`
}

// UpdateClusterVersionOutput is the response of UpdateClusterVersion.
type UpdateClusterVersionOutput struct {
	Update *Update `json:"update,omitzero"`
}

// Update is an asynchronous change of a cluster, a node group, an add-on or a capability.
type Update struct {
	ID           string        `json:"id,omitzero"`
	Status       string        `json:"status,omitzero"`
	Type         string        `json:"type,omitzero"`
	Params       []UpdateParam `json:"params,omitzero"`
	CreatedAt    wire.Time     `json:"createdAt,omitzero"`
	Errors       []ErrorDetail `json:"errors,omitzero"`
	Cancellation *Cancellation `json:"cancellation,omitzero"`
}

// UpdateParam is one thing that an update changes.
type UpdateParam struct {
	Type  string `json:"type,omitzero"`
	Value string `json:"value,omitzero"`
}

// ErrorDetail is one reason why an update failed.
type ErrorDetail struct {
	ErrorCode    string   `json:"errorCode,omitzero"`
	ErrorMessage string   `json:"errorMessage,omitzero"`
	ResourceIDs  []string `json:"resourceIds,omitzero"`
}

// Cancellation tells how far a cancellation of an update is.
type Cancellation struct {
	Status string `json:"status,omitzero"`
	Reason string `json:"reason,omitzero"`
}

// UpdateClusterConfigInput is the request of UpdateClusterConfig.
type UpdateClusterConfigInput struct {
	Name                      string                          `json:"-" path:"name"`
	ResourcesVPCConfig        *VPCConfigRequest               `json:"resourcesVpcConfig,omitzero"`
	Logging                   *Logging                        `json:"logging,omitzero"`
	ClientRequestToken        string                          `json:"clientRequestToken,omitzero"`
	AccessConfig              *UpdateAccessConfigRequest      `json:"accessConfig,omitzero"`
	UpgradePolicy             *UpgradePolicyRequest           `json:"upgradePolicy,omitzero"`
	ZonalShiftConfig          *ZonalShiftConfigRequest        `json:"zonalShiftConfig,omitzero"`
	ComputeConfig             *ComputeConfigRequest           `json:"computeConfig,omitzero"`
	KubernetesNetworkConfig   *KubernetesNetworkConfigRequest `json:"kubernetesNetworkConfig,omitzero"`
	StorageConfig             *StorageConfigRequest           `json:"storageConfig,omitzero"`
	RemoteNetworkConfig       *RemoteNetworkConfigRequest     `json:"remoteNetworkConfig,omitzero"`
	DeletionProtection        *bool                           `json:"deletionProtection,omitzero"`
	ControlPlaneScalingConfig *ControlPlaneScalingConfig      `json:"controlPlaneScalingConfig,omitzero"`
}

// UpdateAccessConfigRequest asks for another authentication mode.
type UpdateAccessConfigRequest struct {
	AuthenticationMode string `json:"authenticationMode,omitzero"`
}

// UpdateClusterConfigOutput is the response of UpdateClusterConfig.
type UpdateClusterConfigOutput struct {
	Update *Update `json:"update,omitzero"`
}

// AssociateEncryptionConfigInput is the request of AssociateEncryptionConfig.
type AssociateEncryptionConfigInput struct {
	ClusterName        string             `json:"-" path:"name"`
	EncryptionConfig   []EncryptionConfig `json:"encryptionConfig,omitzero"`
	ClientRequestToken string             `json:"clientRequestToken,omitzero"`
}

// AssociateEncryptionConfigOutput is the response of AssociateEncryptionConfig.
type AssociateEncryptionConfigOutput struct {
	Update *Update `json:"update,omitzero"`
}

// DescribeUpdateInput is the request of DescribeUpdate.
type DescribeUpdateInput struct {
	Name           string `json:"-" path:"name"`
	UpdateID       string `json:"-" path:"updateId"`
	NodegroupName  string `json:"-" query:"nodegroupName"`
	AddonName      string `json:"-" query:"addonName"`
	CapabilityName string `json:"-" query:"capabilityName"`
}

// DescribeUpdateOutput is the response of DescribeUpdate.
type DescribeUpdateOutput struct {
	Update *Update `json:"update,omitzero"`
}

// ListUpdatesInput is the request of ListUpdates.
type ListUpdatesInput struct {
	Name           string `json:"-" path:"name"`
	NodegroupName  string `json:"-" query:"nodegroupName"`
	AddonName      string `json:"-" query:"addonName"`
	CapabilityName string `json:"-" query:"capabilityName"`
	NextToken      string `json:"-" query:"nextToken"`
	MaxResults     *int   `json:"-" query:"maxResults"`
}

// ListUpdatesOutput is the response of ListUpdates.
type ListUpdatesOutput struct {
	UpdateIDs []string `json:"updateIds,omitzero"`
	NextToken string   `json:"nextToken,omitzero"`
}

// CancelUpdateInput is the request of CancelUpdate.
type CancelUpdateInput struct {
	Name               string `json:"-" path:"name"`
	UpdateID           string `json:"-" path:"updateId"`
	ClientRequestToken string `json:"clientRequestToken,omitzero"`
}

// CancelUpdateOutput is the response of CancelUpdate.
type CancelUpdateOutput struct {
	Update *Update `json:"update,omitzero"`
}

// TagResourceInput is the request of TagResource.
type TagResourceInput struct {
	ResourceARN string            `json:"-" path:"resourceArn"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// TagResourceOutput is the response of TagResource.
type TagResourceOutput struct {
}

// UntagResourceInput is the request of UntagResource.
type UntagResourceInput struct {
	ResourceARN string   `json:"-" path:"resourceArn"`
	TagKeys     []string `json:"-" query:"tagKeys"`
}

// UntagResourceOutput is the response of UntagResource.
type UntagResourceOutput struct {
}

// ListTagsForResourceInput is the request of ListTagsForResource.
type ListTagsForResourceInput struct {
	ResourceARN string `json:"-" path:"resourceArn"`
}

// ListTagsForResourceOutput is the response of ListTagsForResource.
type ListTagsForResourceOutput struct {
	Tags map[string]string `json:"tags,omitempty"`
}

// DescribeClusterVersionsInput is the request of DescribeClusterVersions.
type DescribeClusterVersionsInput struct {
	ClusterType     string   `json:"-" query:"clusterType"`
	MaxResults      *int     `json:"-" query:"maxResults"`
	NextToken       string   `json:"-" query:"nextToken"`
	DefaultOnly     *bool    `json:"-" query:"defaultOnly"`
	IncludeAll      *bool    `json:"-" query:"includeAll"`
	ClusterVersions []string `json:"-" query:"clusterVersions"`
	Status          string   `json:"-" query:"status"`
	VersionStatus   string   `json:"-" query:"versionStatus"`
}

// DescribeClusterVersionsOutput is the response of DescribeClusterVersions.
type DescribeClusterVersionsOutput struct {
	NextToken       string                      `json:"nextToken,omitzero"`
	ClusterVersions []ClusterVersionInformation `json:"clusterVersions,omitzero"`
}

// ClusterVersionInformation describes a Kubernetes version that EKS offers or offered.
type ClusterVersionInformation struct {
	ClusterVersion           string    `json:"clusterVersion,omitzero"`
	ClusterType              string    `json:"clusterType,omitzero"`
	DefaultPlatformVersion   string    `json:"defaultPlatformVersion,omitzero"`
	DefaultVersion           *bool     `json:"defaultVersion,omitzero"`
	ReleaseDate              wire.Time `json:"releaseDate,omitzero"`
	EndOfStandardSupportDate wire.Time `json:"endOfStandardSupportDate,omitzero"`
	EndOfExtendedSupportDate wire.Time `json:"endOfExtendedSupportDate,omitzero"`
	Status                   string    `json:"status,omitzero"`
	VersionStatus            string    `json:"versionStatus,omitzero"`
	KubernetesPatchVersion   string    `json:"kubernetesPatchVersion,omitzero"`
}
