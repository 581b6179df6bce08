package eks

import "github.com/eks-gitops/reconciler/internal/sim/aws/wire"

// CreateAddonInput is the request of CreateAddon.
type CreateAddonInput struct {
	ClusterName             string                         `json:"-" path:"name"`
	AddonName               string                         `json:"addonName,omitzero"`
	AddonVersion            string                         `json:"addonVersion,omitzero"`
	ServiceAccountRoleARN   string                         `json:"serviceAccountRoleArn,omitzero"`
	ResolveConflicts        string                         `json:"resolveConflicts,omitzero"`
	ClientRequestToken      string                         `json:"clientRequestToken,omitzero"`
	Tags                    map[string]string              `json:"tags,omitempty"`
	ConfigurationValues     string                         `json:"configurationValues,omitzero"`
	PodIdentityAssociations []AddonPodIdentityAssociations `json:"podIdentityAssociations,omitzero"`
	NamespaceConfig         *AddonNamespaceConfigRequest   `json:"namespaceConfig,omitzero"`
}

// AddonPodIdentityAssociations asks for a role of one of an add-on's service accounts.
type AddonPodIdentityAssociations struct {
	ServiceAccount string `json:"serviceAccount,omitzero"`
	RoleARN        string `json:"roleArn,omitzero"`
}

// AddonNamespaceConfigRequest asks for a namespace of an add-on.
type AddonNamespaceConfigRequest struct {
	Namespace string `json:"namespace,omitzero"`
}

// CreateAddonOutput is the response of CreateAddon.
type CreateAddonOutput struct {
	Addon *Addon `json:"addon,omitzero"`
}

// Addon is an add-on as DescribeAddon shows it.
type Addon struct {
	AddonName               string                        `json:"addonName,omitzero"`
	ClusterName             string                        `json:"clusterName,omitzero"`
	Status                  string                        `json:"status,omitzero"`
	AddonVersion            string                        `json:"addonVersion,omitzero"`
	Health                  *AddonHealth                  `json:"health,omitzero"`
	AddonARN                string                        `json:"addonArn,omitzero"`
	CreatedAt               wire.Time                     `json:"createdAt,omitzero"`
	ModifiedAt              wire.Time                     `json:"modifiedAt,omitzero"`
	ServiceAccountRoleARN   string                        `json:"serviceAccountRoleArn,omitzero"`
	Tags                    map[string]string             `json:"tags,omitempty"`
	Publisher               string                        `json:"publisher,omitzero"`
	Owner                   string                        `json:"owner,omitzero"`
	MarketplaceInformation  *MarketplaceInformation       `json:"marketplaceInformation,omitzero"`
	ConfigurationValues     string                        `json:"configurationValues,omitzero"`
	PodIdentityAssociations []string                      `json:"podIdentityAssociations,omitzero"`
	NamespaceConfig         *AddonNamespaceConfigResponse `json:"namespaceConfig,omitzero"`
}

// AddonHealth lists the health issues of an add-on.
type AddonHealth struct {
	Issues []AddonIssue `json:"issues,omitzero"`
}

// AddonIssue is one health issue of an add-on.
type AddonIssue struct {
	Code        string   `json:"code,omitzero"`
	Message     string   `json:"message,omitzero"`
	ResourceIDs []string `json:"resourceIds,omitzero"`
}

// MarketplaceInformation is where a Marketplace add-on is sold.
type MarketplaceInformation struct {
	ProductID  string `json:"productId,omitzero"`
	ProductURL string `json:"productUrl,omitzero"`
}

// AddonNamespaceConfigResponse is the namespace of an add-on.
type AddonNamespaceConfigResponse struct {
	Namespace string `json:"namespace,omitzero"`
}

// DescribeAddonInput is the request of DescribeAddon.
type DescribeAddonInput struct {
	ClusterName string `json:"-" path:"name"`
	AddonName   string `json:"-" path:"addonName"`
}

// DescribeAddonOutput is the response of DescribeAddon.
type DescribeAddonOutput struct {
	Addon *Addon `json:"addon,omitzero"`
}

// ListAddonsInput is the request of ListAddons.
type ListAddonsInput struct {
	ClusterName string `json:"-" path:"name"`
	MaxResults  *int   `json:"-" query:"maxResults"`
	NextToken   string `json:"-" query:"nextToken"`
}

// ListAddonsOutput is the response of ListAddons.
type ListAddonsOutput struct {
	Addons    []string `json:"addons,omitzero"`
	NextToken string   `json:"nextToken,omitzero"`
}

// DeleteAddonInput is the request of DeleteAddon.
type DeleteAddonInput struct {
	ClusterName string `json:"-" path:"name"`
	AddonName   string `json:"-" path:"addonName"`
	Preserve    *bool  `json:"-" query:"preserve"`
}

// DeleteAddonOutput is the response of DeleteAddon.
type DeleteAddonOutput struct {
	Addon *Addon `json:"addon,omitzero"`
}

// UpdateAddonInput is the request of UpdateAddon.
type UpdateAddonInput struct {
	ClusterName             string                         `json:"-" path:"name"`
	AddonName               string                         `json:"-" path:"addonName"`
	AddonVersion            string                         `json:"addonVersion,omitzero"`
	ServiceAccountRoleARN   string                         `json:"serviceAccountRoleArn,omitzero"`
	ResolveConflicts        string                         `json:"resolveConflicts,omitzero"`
	ClientRequestToken      string                         `json:"clientRequestToken,omitzero"`
	ConfigurationValues     string                         `json:"configurationValues,omitzero"`
	PodIdentityAssociations []AddonPodIdentityAssociations `json:"podIdentityAssociations,omitzero"`
}

// UpdateAddonOutput is the response of UpdateAddon.
type UpdateAddonOutput struct {
	Update *Update `json:"update,omitzero"`
}

// DescribeAddonVersionsInput is the request of DescribeAddonVersions.
type DescribeAddonVersionsInput struct {
	KubernetesVersion string   `json:"-" query:"kubernetesVersion"`
	MaxResults        *int     `json:"-" query:"maxResults"`
	NextToken         string   `json:"-" query:"nextToken"`
	AddonName         string   `json:"-" query:"addonName"`
	Types             []string `json:"-" query:"types"`
	Publishers        []string `json:"-" query:"publishers"`
	Owners            []string `json:"-" query:"owners"`
}

// DescribeAddonVersionsOutput is the response of DescribeAddonVersions.
type DescribeAddonVersionsOutput struct {
	Addons    []AddonInfo `json:"addons,omitzero"`
	NextToken string      `json:"nextToken,omitzero"`
}

// AddonInfo describes an add-on that EKS offers.
type AddonInfo struct {
	AddonName              string                  `json:"addonName,omitzero"`
	Type                   string                  `json:"type,omitzero"`
	AddonVersions          []AddonVersionInfo      `json:"addonVersions,omitzero"`
	Publisher              string                  `json:"publisher,omitzero"`
	Owner                  string                  `json:"owner,omitzero"`
	MarketplaceInformation *MarketplaceInformation `json:"marketplaceInformation,omitzero"`
	DefaultNamespace       string                  `json:"defaultNamespace,omitzero"`
}

// AddonVersionInfo describes a version of an add-on.
type AddonVersionInfo struct {
	AddonVersion           string          `json:"addonVersion,omitzero"`
	Architecture           []string        `json:"architecture,omitzero"`
	ComputeTypes           []string        `json:"computeTypes,omitzero"`
	Compatibilities        []Compatibility `json:"compatibilities,omitzero"`
	RequiresConfiguration  *bool           `json:"requiresConfiguration,omitzero"`
	RequiresIamPermissions *bool           `json:"requiresIamPermissions,omitzero"`
}

// Compatibility is a cluster version that an add-on version runs on.
type Compatibility struct {
	ClusterVersion   string   `json:"clusterVersion,omitzero"`
	PlatformVersions []string `json:"platformVersions,omitzero"`
	DefaultVersion   *bool    `json:"defaultVersion,omitzero"`
}

// DescribeAddonConfigurationInput is the request of DescribeAddonConfiguration.
type DescribeAddonConfigurationInput struct {
	AddonName    string `json:"-" query:"addonName"`
	AddonVersion string `json:"-" query:"addonVersion"`
}

// DescribeAddonConfigurationOutput is the response of DescribeAddonConfiguration.
type DescribeAddonConfigurationOutput struct {
	AddonName                string                          `json:"addonName,omitzero"`
	AddonVersion             string                          `json:"addonVersion,omitzero"`
	ConfigurationSchema      string                          `json:"configurationSchema,omitzero"`
	PodIdentityConfiguration []AddonPodIdentityConfiguration `json:"podIdentityConfiguration,omitzero"`
}

// AddonPodIdentityConfiguration recommends policies for a service account of an add-on.
type AddonPodIdentityConfiguration struct {
	ServiceAccount             string   `json:"serviceAccount,omitzero"`
	RecommendedManagedPolicies []string `json:"recommendedManagedPolicies,omitzero"`
}
