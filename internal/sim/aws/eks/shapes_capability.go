package eks

import "github.com/eks-gitops/reconciler/internal/sim/aws/wire"

// CreateCapabilityInput is the request of CreateCapability.
type CreateCapabilityInput struct {
	CapabilityName          string                          `json:"capabilityName,omitzero"`
	ClusterName             string                          `json:"-" path:"name"`
	ClientRequestToken      string                          `json:"clientRequestToken,omitzero"`
	Type                    string                          `json:"type,omitzero"`
	RoleARN                 string                          `json:"roleArn,omitzero"`
	Configuration           *CapabilityConfigurationRequest `json:"configuration,omitzero"`
	Tags                    map[string]string               `json:"tags,omitempty"`
	DeletePropagationPolicy string                          `json:"deletePropagationPolicy,omitzero"`
}

// CapabilityConfigurationRequest configures a capability by its type.
type CapabilityConfigurationRequest struct {
	ArgoCd *ArgoCdConfigRequest `json:"argoCd,omitzero"`
}

// ArgoCdConfigRequest configures Argo CD.
type ArgoCdConfigRequest struct {
	Namespace        string                            `json:"namespace,omitzero"`
	AWSIDC           *ArgoCdAWSIDCConfigRequest        `json:"awsIdc,omitzero"`
	RbacRoleMappings []ArgoCdRoleMapping               `json:"rbacRoleMappings,omitzero"`
	NetworkAccess    *ArgoCdNetworkAccessConfigRequest `json:"networkAccess,omitzero"`
}

// ArgoCdAWSIDCConfigRequest names an instance of IAM Identity Center.
type ArgoCdAWSIDCConfigRequest struct {
	IDCInstanceARN string `json:"idcInstanceArn,omitzero"`
	IDCRegion      string `json:"idcRegion,omitzero"`
}

// ArgoCdRoleMapping gives a role of Argo CD to identities.
type ArgoCdRoleMapping struct {
	Role       string        `json:"role,omitzero"`
	Identities []SsoIdentity `json:"identities,omitzero"`
}

// SsoIdentity is a user or group of IAM Identity Center.
type SsoIdentity struct {
	ID   string `json:"id,omitzero"`
	Type string `json:"type,omitzero"`
}

// ArgoCdNetworkAccessConfigRequest restricts access to VPC endpoints.
type ArgoCdNetworkAccessConfigRequest struct {
	VPCEIDs []string `json:"vpceIds,omitzero"`
}

// CreateCapabilityOutput is the response of CreateCapability.
type CreateCapabilityOutput struct {
	Capability *Capability `json:"capability,omitzero"`
}

// Capability is a managed capability of a cluster.
type Capability struct {
	CapabilityName          string                           `json:"capabilityName,omitzero"`
	ARN                     string                           `json:"arn,omitzero"`
	ClusterName             string                           `json:"clusterName,omitzero"`
	Type                    string                           `json:"type,omitzero"`
	RoleARN                 string                           `json:"roleArn,omitzero"`
	Status                  string                           `json:"status,omitzero"`
	Version                 string                           `json:"version,omitzero"`
	Configuration           *CapabilityConfigurationResponse `json:"configuration,omitzero"`
	Tags                    map[string]string                `json:"tags,omitempty"`
	Health                  *CapabilityHealth                `json:"health,omitzero"`
	CreatedAt               wire.Time                        `json:"createdAt,omitzero"`
	ModifiedAt              wire.Time                        `json:"modifiedAt,omitzero"`
	DeletePropagationPolicy string                           `json:"deletePropagationPolicy,omitzero"`
}

// CapabilityConfigurationResponse is the configuration of a capability.
type CapabilityConfigurationResponse struct {
	ArgoCd *ArgoCdConfigResponse `json:"argoCd,omitzero"`
}

// ArgoCdConfigResponse is the configuration of Argo CD.
type ArgoCdConfigResponse struct {
	Namespace        string                             `json:"namespace,omitzero"`
	AWSIDC           *ArgoCdAWSIDCConfigResponse        `json:"awsIdc,omitzero"`
	RbacRoleMappings []ArgoCdRoleMapping                `json:"rbacRoleMappings,omitzero"`
	NetworkAccess    *ArgoCdNetworkAccessConfigResponse `json:"networkAccess,omitzero"`
	ServerURL        string                             `json:"serverUrl,omitzero"`
}

// ArgoCdAWSIDCConfigResponse is the Identity Center instance of Argo CD.
type ArgoCdAWSIDCConfigResponse struct {
	IDCInstanceARN           string `json:"idcInstanceArn,omitzero"`
	IDCRegion                string `json:"idcRegion,omitzero"`
	IDCManagedApplicationARN string `json:"idcManagedApplicationArn,omitzero"`
}

// ArgoCdNetworkAccessConfigResponse lists the VPC endpoints with access.
type ArgoCdNetworkAccessConfigResponse struct {
	VPCEIDs []string `json:"vpceIds,omitzero"`
}

// CapabilityHealth lists the health issues of a capability.
type CapabilityHealth struct {
	Issues []CapabilityIssue `json:"issues,omitzero"`
}

// CapabilityIssue is one health issue of a capability.
type CapabilityIssue struct {
	Code    string `json:"code,omitzero"`
	Message string `json:"message,omitzero"`
}

// DescribeCapabilityInput is the request of DescribeCapability.
type DescribeCapabilityInput struct {
	ClusterName    string `json:"-" path:"name"`
	CapabilityName string `json:"-" path:"capabilityName"`
}

// DescribeCapabilityOutput is the response of DescribeCapability.
type DescribeCapabilityOutput struct {
	Capability *Capability `json:"capability,omitzero"`
}

// ListCapabilitiesInput is the request of ListCapabilities.
type ListCapabilitiesInput struct {
	ClusterName string `json:"-" path:"name"`
	NextToken   string `json:"-" query:"nextToken"`
	MaxResults  *int   `json:"-" query:"maxResults"`
}

// ListCapabilitiesOutput is the response of ListCapabilities.
type ListCapabilitiesOutput struct {
	Capabilities []CapabilitySummary `json:"capabilities,omitzero"`
	NextToken    string              `json:"nextToken,omitzero"`
}

// CapabilitySummary is a capability in a list.
type CapabilitySummary struct {
	CapabilityName string    `json:"capabilityName,omitzero"`
	ARN            string    `json:"arn,omitzero"`
	Type           string    `json:"type,omitzero"`
	Status         string    `json:"status,omitzero"`
	Version        string    `json:"version,omitzero"`
	CreatedAt      wire.Time `json:"createdAt,omitzero"`
	ModifiedAt     wire.Time `json:"modifiedAt,omitzero"`
}

// DeleteCapabilityInput is the request of DeleteCapability.
type DeleteCapabilityInput struct {
	ClusterName    string `json:"-" path:"name"`
	CapabilityName string `json:"-" path:"capabilityName"`
}

// DeleteCapabilityOutput is the response of DeleteCapability.
type DeleteCapabilityOutput struct {
	Capability *Capability `json:"capability,omitzero"`
}

// UpdateCapabilityInput is the request of UpdateCapability.
type UpdateCapabilityInput struct {
	ClusterName             string                         `json:"-" path:"name"`
	CapabilityName          string                         `json:"-" path:"capabilityName"`
	RoleARN                 string                         `json:"roleArn,omitzero"`
	Configuration           *UpdateCapabilityConfiguration `json:"configuration,omitzero"`
	ClientRequestToken      string                         `json:"clientRequestToken,omitzero"`
	DeletePropagationPolicy string                         `json:"deletePropagationPolicy,omitzero"`
}

// UpdateCapabilityConfiguration changes a configuration by the capability's type.
type UpdateCapabilityConfiguration struct {
	ArgoCd *UpdateArgoCdConfig `json:"argoCd,omitzero"`
}

// UpdateArgoCdConfig changes the configuration of Argo CD.
type UpdateArgoCdConfig struct {
	RbacRoleMappings *UpdateRoleMappings               `json:"rbacRoleMappings,omitzero"`
	NetworkAccess    *ArgoCdNetworkAccessConfigRequest `json:"networkAccess,omitzero"`
}

// UpdateRoleMappings changes role mappings.
type UpdateRoleMappings struct {
	AddOrUpdateRoleMappings []ArgoCdRoleMapping `json:"addOrUpdateRoleMappings,omitzero"`
	RemoveRoleMappings      []ArgoCdRoleMapping `json:"removeRoleMappings,omitzero"`
}

// UpdateCapabilityOutput is the response of UpdateCapability.
type UpdateCapabilityOutput struct {
	Update *Update `json:"update,omitzero"`
}

// DescribeInsightInput is the request of DescribeInsight.
type DescribeInsightInput struct {
	ClusterName string `json:"-" path:"name"`
	ID          string `json:"-" path:"id"`
}

// DescribeInsightOutput is the response of DescribeInsight.
type DescribeInsightOutput struct {
	Insight *Insight `json:"insight,omitzero"`
}

// Insight is one finding about a cluster.
type Insight struct {
	ID                      string                          `json:"id,omitzero"`
	Name                    string                          `json:"name,omitzero"`
	Category                string                          `json:"category,omitzero"`
	KubernetesVersion       string                          `json:"kubernetesVersion,omitzero"`
	LastRefreshTime         wire.Time                       `json:"lastRefreshTime,omitzero"`
	LastTransitionTime      wire.Time                       `json:"lastTransitionTime,omitzero"`
	Description             string                          `json:"description,omitzero"`
	InsightStatus           *InsightStatus                  `json:"insightStatus,omitzero"`
	Recommendation          string                          `json:"recommendation,omitzero"`
	AdditionalInfo          map[string]string               `json:"additionalInfo,omitempty"`
	Resources               []InsightResourceDetail         `json:"resources,omitzero"`
	CategorySpecificSummary *InsightCategorySpecificSummary `json:"categorySpecificSummary,omitzero"`
}

// InsightStatus is the verdict of an insight.
type InsightStatus struct {
	Status string `json:"status,omitzero"`
	Reason string `json:"reason,omitzero"`
}

// InsightResourceDetail is a resource that an insight speaks of.
type InsightResourceDetail struct {
	InsightStatus         *InsightStatus `json:"insightStatus,omitzero"`
	KubernetesResourceURI string         `json:"kubernetesResourceUri,omitzero"`
	ARN                   string         `json:"arn,omitzero"`
}

// InsightCategorySpecificSummary holds details by the insight's category.
type InsightCategorySpecificSummary struct {
	DeprecationDetails        []DeprecationDetail        `json:"deprecationDetails,omitzero"`
	AddonCompatibilityDetails []AddonCompatibilityDetail `json:"addonCompatibilityDetails,omitzero"`
}

// DeprecationDetail is the use of a deprecated API.
type DeprecationDetail struct {
	Usage                          string       `json:"usage,omitzero"`
	ReplacedWith                   string       `json:"replacedWith,omitzero"`
	StopServingVersion             string       `json:"stopServingVersion,omitzero"`
	StartServingReplacementVersion string       `json:"startServingReplacementVersion,omitzero"`
	ClientStats                    []ClientStat `json:"clientStats,omitzero"`
}

// ClientStat counts requests of one client.
type ClientStat struct {
	UserAgent                  string    `json:"userAgent,omitzero"`
	NumberOfRequestsLast30Days *int      `json:"numberOfRequestsLast30Days,omitzero"`
	LastRequestTime            wire.Time `json:"lastRequestTime,omitzero"`
}

// AddonCompatibilityDetail lists compatible versions of an add-on.
type AddonCompatibilityDetail struct {
	Name               string   `json:"name,omitzero"`
	CompatibleVersions []string `json:"compatibleVersions,omitzero"`
}

// ListInsightsInput is the request of ListInsights.
type ListInsightsInput struct {
	ClusterName string          `json:"-" path:"name"`
	Filter      *InsightsFilter `json:"filter,omitzero"`
	MaxResults  *int            `json:"maxResults,omitzero"`
	NextToken   string          `json:"nextToken,omitzero"`
}

// InsightsFilter selects insights.
type InsightsFilter struct {
	Categories         []string `json:"categories,omitzero"`
	KubernetesVersions []string `json:"kubernetesVersions,omitzero"`
	Statuses           []string `json:"statuses,omitzero"`
}

// ListInsightsOutput is the response of ListInsights.
type ListInsightsOutput struct {
	Insights  []InsightSummary `json:"insights,omitzero"`
	NextToken string           `json:"nextToken,omitzero"`
}

// InsightSummary is an insight in a list.
type InsightSummary struct {
	ID                 string         `json:"id,omitzero"`
	Name               string         `json:"name,omitzero"`
	Category           string         `json:"category,omitzero"`
	KubernetesVersion  string         `json:"kubernetesVersion,omitzero"`
	LastRefreshTime    wire.Time      `json:"lastRefreshTime,omitzero"`
	LastTransitionTime wire.Time      `json:"lastTransitionTime,omitzero"`
	Description        string         `json:"description,omitzero"`
	InsightStatus      *InsightStatus `json:"insightStatus,omitzero"`
}

// StartInsightsRefreshInput is the request of StartInsightsRefresh.
type StartInsightsRefreshInput struct {
	ClusterName string `json:"-" path:"name"`
}

// StartInsightsRefreshOutput is the response of StartInsightsRefresh.
type StartInsightsRefreshOutput struct {
	Message string `json:"message,omitzero"`
	Status  string `json:"status,omitzero"`
}

// DescribeInsightsRefreshInput is the request of DescribeInsightsRefresh.
type DescribeInsightsRefreshInput struct {
	ClusterName string `json:"-" path:"name"`
}

// DescribeInsightsRefreshOutput is the response of DescribeInsightsRefresh.
type DescribeInsightsRefreshOutput struct {
	Message   string    `json:"message,omitzero"`
	Status    string    `json:"status,omitzero"`
	StartedAt wire.Time `json:"startedAt,omitzero"`
	EndedAt   wire.Time `json:"endedAt,omitzero"`
}
