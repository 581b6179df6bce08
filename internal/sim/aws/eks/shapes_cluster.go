package eks

import "github.com/eks-gitops/reconciler/internal/sim/aws/wire"

// CreateClusterInput is the request of CreateCluster.
type CreateClusterInput struct {
	Name                       string                          `json:"name,omitzero"`
	Version                    string                          `json:"version,omitzero"`
	RoleARN                    string                          `json:"roleArn,omitzero"`
	ResourcesVPCConfig         *VPCConfigRequest               `json:"resourcesVpcConfig,omitzero"`
	KubernetesNetworkConfig    *KubernetesNetworkConfigRequest `json:"kubernetesNetworkConfig,omitzero"`
	Logging                    *Logging                        `json:"logging,omitzero"`
	ClientRequestToken         string                          `json:"clientRequestToken,omitzero"`
	Tags                       map[string]string               `json:"tags,omitempty"`
	EncryptionConfig           []EncryptionConfig              `json:"encryptionConfig,omitzero"`
	OutpostConfig              *OutpostConfigRequest           `json:"outpostConfig,omitzero"`
	AccessConfig               *CreateAccessConfigRequest      `json:"accessConfig,omitzero"`
	BootstrapSelfManagedAddons *bool                           `json:"bootstrapSelfManagedAddons,omitzero"`
	UpgradePolicy              *UpgradePolicyRequest           `json:"upgradePolicy,omitzero"`
	ZonalShiftConfig           *ZonalShiftConfigRequest        `json:"zonalShiftConfig,omitzero"`
	RemoteNetworkConfig        *RemoteNetworkConfigRequest     `json:"remoteNetworkConfig,omitzero"`
	ComputeConfig              *ComputeConfigRequest           `json:"computeConfig,omitzero"`
	StorageConfig              *StorageConfigRequest           `json:"storageConfig,omitzero"`
	DeletionProtection         *bool                           `json:"deletionProtection,omitzero"`
	ControlPlaneScalingConfig  *ControlPlaneScalingConfig      `json:"controlPlaneScalingConfig,omitzero"`
}

// VPCConfigRequest is the part of a request about subnets, security groups and the endpoint.
type VPCConfigRequest struct {
	SubnetIDs              []string `json:"subnetIds,omitzero"`
	SecurityGroupIDs       []string `json:"securityGroupIds,omitzero"`
	EndpointPublicAccess   *bool    `json:"endpointPublicAccess,omitzero"`
	EndpointPrivateAccess  *bool    `json:"endpointPrivateAccess,omitzero"`
	PublicAccessCIDRs      []string `json:"publicAccessCidrs,omitzero"`
	ControlPlaneEgressMode string   `json:"controlPlaneEgressMode,omitzero"`
}

// KubernetesNetworkConfigRequest asks for the addresses of Services and for load balancing of Auto Mode.
type KubernetesNetworkConfigRequest struct {
	ServiceIPv4CIDR      string                `json:"serviceIpv4Cidr,omitzero"`
	IPFamily             string                `json:"ipFamily,omitzero"`
	ElasticLoadBalancing *ElasticLoadBalancing `json:"elasticLoadBalancing,omitzero"`
}

// ElasticLoadBalancing is the load balancing capability of Auto Mode.
type ElasticLoadBalancing struct {
	Enabled *bool `json:"enabled,omitzero"`
}

// Logging lists which control-plane logs are exported to CloudWatch Logs.
type Logging struct {
	ClusterLogging []LogSetup `json:"clusterLogging,omitzero"`
}

// LogSetup switches some log types on or off.
type LogSetup struct {
	Types   []string `json:"types,omitzero"`
	Enabled *bool    `json:"enabled,omitzero"`
}

// EncryptionConfig says which resources are encrypted with which KMS key.
type EncryptionConfig struct {
	Resources []string  `json:"resources,omitzero"`
	Provider  *Provider `json:"provider,omitzero"`
}

// Provider names a KMS key.
type Provider struct {
	KeyARN string `json:"keyArn,omitzero"`
}

// OutpostConfigRequest asks for a control plane on an Outpost.
type OutpostConfigRequest struct {
	OutpostARNs              []string                      `json:"outpostArns,omitzero"`
	ControlPlaneInstanceType string                        `json:"controlPlaneInstanceType,omitzero"`
	ControlPlanePlacement    *ControlPlanePlacementRequest `json:"controlPlanePlacement,omitzero"`
	EtcdInstanceType         string                        `json:"etcdInstanceType,omitzero"`
	EtcdPlacement            *EtcdPlacementRequest         `json:"etcdPlacement,omitzero"`
}

// ControlPlanePlacementRequest asks for a placement group of an Outpost's control plane.
type ControlPlanePlacementRequest struct {
	GroupName   string `json:"groupName,omitzero"`
	SpreadLevel string `json:"spreadLevel,omitzero"`
}

// EtcdPlacementRequest asks for the spread of an Outpost's etcd.
type EtcdPlacementRequest struct {
	SpreadLevel string `json:"spreadLevel,omitzero"`
}

// CreateAccessConfigRequest asks for an authentication mode and for admin access of the creator.
type CreateAccessConfigRequest struct {
	BootstrapClusterCreatorAdminPermissions *bool  `json:"bootstrapClusterCreatorAdminPermissions,omitzero"`
	AuthenticationMode                      string `json:"authenticationMode,omitzero"`
}

// UpgradePolicyRequest asks for a support type.
type UpgradePolicyRequest struct {
	SupportType string `json:"supportType,omitzero"`
}

// ZonalShiftConfigRequest switches zonal shift on or off.
type ZonalShiftConfigRequest struct {
	Enabled *bool `json:"enabled,omitzero"`
}

// RemoteNetworkConfigRequest asks for networks of hybrid nodes.
type RemoteNetworkConfigRequest struct {
	RemoteNodeNetworks []RemoteNodeNetwork `json:"remoteNodeNetworks,omitzero"`
	RemotePodNetworks  []RemotePodNetwork  `json:"remotePodNetworks,omitzero"`
}

// RemoteNodeNetwork lists CIDR blocks of hybrid nodes.
type RemoteNodeNetwork struct {
	CIDRs []string `json:"cidrs,omitzero"`
}

// RemotePodNetwork lists CIDR blocks of Pods on hybrid nodes.
type RemotePodNetwork struct {
	CIDRs []string `json:"cidrs,omitzero"`
}

// ComputeConfigRequest asks for the compute capability of Auto Mode.
type ComputeConfigRequest struct {
	Enabled     *bool    `json:"enabled,omitzero"`
	NodePools   []string `json:"nodePools,omitzero"`
	NodeRoleARN string   `json:"nodeRoleArn,omitzero"`
}

// StorageConfigRequest asks for the storage capability of Auto Mode.
type StorageConfigRequest struct {
	BlockStorage *BlockStorage `json:"blockStorage,omitzero"`
}

// BlockStorage is the block storage capability of Auto Mode.
type BlockStorage struct {
	Enabled *bool `json:"enabled,omitzero"`
}

// ControlPlaneScalingConfig is the scaling tier of a control plane.
type ControlPlaneScalingConfig struct {
	Tier string `json:"tier,omitzero"`
}

// CreateClusterOutput is the response of CreateCluster.
type CreateClusterOutput struct {
	Cluster *Cluster `json:"cluster,omitzero"`
}

// Cluster is a cluster as DescribeCluster shows it.
type Cluster struct {
	Name                      string                           `json:"name,omitzero"`
	ARN                       string                           `json:"arn,omitzero"`
	CreatedAt                 wire.Time                        `json:"createdAt,omitzero"`
	Version                   string                           `json:"version,omitzero"`
	Endpoint                  string                           `json:"endpoint,omitzero"`
	RoleARN                   string                           `json:"roleArn,omitzero"`
	ResourcesVPCConfig        *VPCConfigResponse               `json:"resourcesVpcConfig,omitzero"`
	KubernetesNetworkConfig   *KubernetesNetworkConfigResponse `json:"kubernetesNetworkConfig,omitzero"`
	Logging                   *Logging                         `json:"logging,omitzero"`
	Identity                  *ClusterIdentity                 `json:"identity,omitzero"`
	Status                    string                           `json:"status,omitzero"`
	CertificateAuthority      *Certificate                     `json:"certificateAuthority,omitzero"`
	ClientRequestToken        string                           `json:"clientRequestToken,omitzero"`
	PlatformVersion           string                           `json:"platformVersion,omitzero"`
	Tags                      map[string]string                `json:"tags,omitempty"`
	EncryptionConfig          []EncryptionConfig               `json:"encryptionConfig,omitzero"`
	ConnectorConfig           *ConnectorConfigResponse         `json:"connectorConfig,omitzero"`
	ID                        string                           `json:"id,omitzero"`
	Health                    *ClusterHealth                   `json:"health,omitzero"`
	OutpostConfig             *OutpostConfigResponse           `json:"outpostConfig,omitzero"`
	AccessConfig              *AccessConfigResponse            `json:"accessConfig,omitzero"`
	UpgradePolicy             *UpgradePolicyResponse           `json:"upgradePolicy,omitzero"`
	ZonalShiftConfig          *ZonalShiftConfigResponse        `json:"zonalShiftConfig,omitzero"`
	RemoteNetworkConfig       *RemoteNetworkConfigResponse     `json:"remoteNetworkConfig,omitzero"`
	ComputeConfig             *ComputeConfigResponse           `json:"computeConfig,omitzero"`
	StorageConfig             *StorageConfigResponse           `json:"storageConfig,omitzero"`
	DeletionProtection        *bool                            `json:"deletionProtection,omitzero"`
	ControlPlaneScalingConfig *ControlPlaneScalingConfig       `json:"controlPlaneScalingConfig,omitzero"`
}

// VPCConfigResponse is the network of a cluster's control plane.
type VPCConfigResponse struct {
	SubnetIDs              []string `json:"subnetIds,omitzero"`
	SecurityGroupIDs       []string `json:"securityGroupIds,omitzero"`
	ClusterSecurityGroupID string   `json:"clusterSecurityGroupId,omitzero"`
	VPCID                  string   `json:"vpcId,omitzero"`
	EndpointPublicAccess   *bool    `json:"endpointPublicAccess,omitzero"`
	EndpointPrivateAccess  *bool    `json:"endpointPrivateAccess,omitzero"`
	PublicAccessCIDRs      []string `json:"publicAccessCidrs,omitzero"`
	ControlPlaneEgressMode string   `json:"controlPlaneEgressMode,omitzero"`
}

// KubernetesNetworkConfigResponse is the Service network of a cluster.
type KubernetesNetworkConfigResponse struct {
	ServiceIPv4CIDR      string                `json:"serviceIpv4Cidr,omitzero"`
	ServiceIPv6CIDR      string                `json:"serviceIpv6Cidr,omitzero"`
	IPFamily             string                `json:"ipFamily,omitzero"`
	ElasticLoadBalancing *ElasticLoadBalancing `json:"elasticLoadBalancing,omitzero"`
}

// ClusterIdentity tells the OIDC issuer of a cluster.
type ClusterIdentity struct {
	OIDC *OIDCIdentity `json:"oidc,omitzero"`
}

// OIDCIdentity holds the issuer URL of service account tokens.
type OIDCIdentity struct {
	Issuer string `json:"issuer,omitzero"`
}

// Certificate holds the base64 of a PEM certificate.
type Certificate struct {
	Data string `json:"data,omitzero"`
}

// ConnectorConfigResponse is the configuration of a connected cluster.
type ConnectorConfigResponse struct {
	ActivationID     string    `json:"activationId,omitzero"`
	ActivationCode   string    `json:"activationCode,omitzero"`
	ActivationExpiry wire.Time `json:"activationExpiry,omitzero"`
	Provider         string    `json:"provider,omitzero"`
	RoleARN          string    `json:"roleArn,omitzero"`
}

// ClusterHealth lists the health issues of a cluster.
type ClusterHealth struct {
	Issues []ClusterIssue `json:"issues,omitzero"`
}

// ClusterIssue is one health issue of a cluster.
type ClusterIssue struct {
	Code        string   `json:"code,omitzero"`
	Message     string   `json:"message,omitzero"`
	ResourceIDs []string `json:"resourceIds,omitzero"`
}

// OutpostConfigResponse is the placement of a control plane on an Outpost.
type OutpostConfigResponse struct {
	OutpostARNs              []string                       `json:"outpostArns,omitzero"`
	ControlPlaneInstanceType string                         `json:"controlPlaneInstanceType,omitzero"`
	ControlPlanePlacement    *ControlPlanePlacementResponse `json:"controlPlanePlacement,omitzero"`
	EtcdInstanceType         string                         `json:"etcdInstanceType,omitzero"`
	EtcdPlacement            *EtcdPlacementResponse         `json:"etcdPlacement,omitzero"`
}

// ControlPlanePlacementResponse is the placement group of an Outpost's control plane.
type ControlPlanePlacementResponse struct {
	GroupName   string `json:"groupName,omitzero"`
	SpreadLevel string `json:"spreadLevel,omitzero"`
}

// EtcdPlacementResponse is the spread of an Outpost's etcd.
type EtcdPlacementResponse struct {
	SpreadLevel string `json:"spreadLevel,omitzero"`
}

// AccessConfigResponse tells how principals of IAM are let into the cluster.
type AccessConfigResponse struct {
	BootstrapClusterCreatorAdminPermissions *bool  `json:"bootstrapClusterCreatorAdminPermissions,omitzero"`
	AuthenticationMode                      string `json:"authenticationMode,omitzero"`
}

// UpgradePolicyResponse says what happens at the end of standard support.
type UpgradePolicyResponse struct {
	SupportType string `json:"supportType,omitzero"`
}

// ZonalShiftConfigResponse says whether zonal shift is on.
type ZonalShiftConfigResponse struct {
	Enabled *bool `json:"enabled,omitzero"`
}

// RemoteNetworkConfigResponse lists the networks of hybrid nodes.
type RemoteNetworkConfigResponse struct {
	RemoteNodeNetworks []RemoteNodeNetwork `json:"remoteNodeNetworks,omitzero"`
	RemotePodNetworks  []RemotePodNetwork  `json:"remotePodNetworks,omitzero"`
}

// ComputeConfigResponse is the compute capability of Auto Mode.
type ComputeConfigResponse struct {
	Enabled     *bool    `json:"enabled,omitzero"`
	NodePools   []string `json:"nodePools,omitzero"`
	NodeRoleARN string   `json:"nodeRoleArn,omitzero"`
}

// StorageConfigResponse is the storage capability of Auto Mode.
type StorageConfigResponse struct {
	BlockStorage *BlockStorage `json:"blockStorage,omitzero"`
}

// DescribeClusterInput is the request of DescribeCluster.
type DescribeClusterInput struct {
	Name string `json:"-" path:"name"`
}

// DescribeClusterOutput is the response of DescribeCluster.
type DescribeClusterOutput struct {
	Cluster *Cluster `json:"cluster,omitzero"`
}

// ListClustersInput is the request of ListClusters.
type ListClustersInput struct {
	MaxResults *int     `json:"-" query:"maxResults"`
	NextToken  string   `json:"-" query:"nextToken"`
	Include    []string `json:"-" query:"include"`
}

// ListClustersOutput is the response of ListClusters.
type ListClustersOutput struct {
	Clusters  []string `json:"clusters,omitzero"`
	NextToken string   `json:"nextToken,omitzero"`
}

// DeleteClusterInput is the request of DeleteCluster.
type DeleteClusterInput struct {
	Name string `json:"-" path:"name"`
}

// DeleteClusterOutput is the response of DeleteCluster.
type DeleteClusterOutput struct {
	Cluster *Cluster `json:"cluster,omitzero"`
}
