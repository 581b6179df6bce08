package eks

import "github.com/eks-gitops/reconciler/internal/sim/aws/wire"

// CreateFargateProfileInput is the request of CreateFargateProfile.
type CreateFargateProfileInput struct {
	FargateProfileName  string                   `json:"fargateProfileName,omitzero"`
	ClusterName         string                   `json:"-" path:"name"`
	PodExecutionRoleARN string                   `json:"podExecutionRoleArn,omitzero"`
	Subnets             []string                 `json:"subnets,omitzero"`
	Selectors           []FargateProfileSelector `json:"selectors,omitzero"`
	ClientRequestToken  string                   `json:"clientRequestToken,omitzero"`
	Tags                map[string]string        `json:"tags,omitempty"`
}

// FargateProfileSelector selects Pods by namespace and labels.
type FargateProfileSelector struct {
	Namespace string            `json:"namespace,omitzero"`
	Labels    map[string]string `json:"labels,omitempty"`
}

// CreateFargateProfileOutput is the response of CreateFargateProfile.
type CreateFargateProfileOutput struct {
	FargateProfile *FargateProfile `json:"fargateProfile,omitzero"`
}

// FargateProfile says which Pods run on Fargate.
type FargateProfile struct {
	FargateProfileName  string                   `json:"fargateProfileName,omitzero"`
	FargateProfileARN   string                   `json:"fargateProfileArn,omitzero"`
	ClusterName         string                   `json:"clusterName,omitzero"`
	CreatedAt           wire.Time                `json:"createdAt,omitzero"`
	PodExecutionRoleARN string                   `json:"podExecutionRoleArn,omitzero"`
	Subnets             []string                 `json:"subnets,omitzero"`
	Selectors           []FargateProfileSelector `json:"selectors,omitzero"`
	Status              string                   `json:"status,omitzero"`
	Tags                map[string]string        `json:"tags,omitempty"`
	Health              *FargateProfileHealth    `json:"health,omitzero"`
}

// FargateProfileHealth lists the health issues of a Fargate profile.
type FargateProfileHealth struct {
	Issues []FargateProfileIssue `json:"issues,omitzero"`
}

// FargateProfileIssue is one health issue of a Fargate profile.
type FargateProfileIssue struct {
	Code        string   `json:"code,omitzero"`
	Message     string   `json:"message,omitzero"`
	ResourceIDs []string `json:"resourceIds,omitzero"`
}

// DescribeFargateProfileInput is the request of DescribeFargateProfile.
type DescribeFargateProfileInput struct {
	ClusterName        string `json:"-" path:"name"`
	FargateProfileName string `json:"-" path:"fargateProfileName"`
}

// DescribeFargateProfileOutput is the response of DescribeFargateProfile.
type DescribeFargateProfileOutput struct {
	FargateProfile *FargateProfile `json:"fargateProfile,omitzero"`
}

// ListFargateProfilesInput is the request of ListFargateProfiles.
type ListFargateProfilesInput struct {
	ClusterName string `json:"-" path:"name"`
	MaxResults  *int   `json:"-" query:"maxResults"`
	NextToken   string `json:"-" query:"nextToken"`
}

// ListFargateProfilesOutput is the response of ListFargateProfiles.
type ListFargateProfilesOutput struct {
	FargateProfileNames []string `json:"fargateProfileNames,omitzero"`
	NextToken           string   `json:"nextToken,omitzero"`
}

// DeleteFargateProfileInput is the request of DeleteFargateProfile.
type DeleteFargateProfileInput struct {
	ClusterName        string `json:"-" path:"name"`
	FargateProfileName string `json:"-" path:"fargateProfileName"`
}

// DeleteFargateProfileOutput is the response of DeleteFargateProfile.
type DeleteFargateProfileOutput struct {
	FargateProfile *FargateProfile `json:"fargateProfile,omitzero"`
}

// AssociateIdentityProviderConfigInput is the request of AssociateIdentityProviderConfig.
type AssociateIdentityProviderConfigInput struct {
	ClusterName        string               `json:"-" path:"name"`
	OIDC               *OIDCProviderRequest `json:"oidc,omitzero"`
	Tags               map[string]string    `json:"tags,omitempty"`
	ClientRequestToken string               `json:"clientRequestToken,omitzero"`
}

// OIDCProviderRequest asks for an OIDC identity provider.
type OIDCProviderRequest struct {
	IdentityProviderConfigName string            `json:"identityProviderConfigName,omitzero"`
	IssuerURL                  string            `json:"issuerUrl,omitzero"`
	ClientID                   string            `json:"clientId,omitzero"`
	UsernameClaim              string            `json:"usernameClaim,omitzero"`
	UsernamePrefix             string            `json:"usernamePrefix,omitzero"`
	GroupsClaim                string            `json:"groupsClaim,omitzero"`
	GroupsPrefix               string            `json:"groupsPrefix,omitzero"`
	RequiredClaims             map[string]string `json:"requiredClaims,omitempty"`
}

// AssociateIdentityProviderConfigOutput is the response of AssociateIdentityProviderConfig.
type AssociateIdentityProviderConfigOutput struct {
	Update *Update           `json:"update,omitzero"`
	Tags   map[string]string `json:"tags,omitempty"`
}

// DescribeIdentityProviderConfigInput is the request of DescribeIdentityProviderConfig.
type DescribeIdentityProviderConfigInput struct {
	ClusterName            string                  `json:"-" path:"name"`
	IdentityProviderConfig *IdentityProviderConfig `json:"identityProviderConfig,omitzero"`
}

// IdentityProviderConfig names an identity provider.
type IdentityProviderConfig struct {
	Type string `json:"type,omitzero"`
	Name string `json:"name,omitzero"`
}

// DescribeIdentityProviderConfigOutput is the response of DescribeIdentityProviderConfig.
type DescribeIdentityProviderConfigOutput struct {
	IdentityProviderConfig *IdentityProviderConfigResponse `json:"identityProviderConfig,omitzero"`
}

// IdentityProviderConfigResponse wraps an identity provider by its type.
type IdentityProviderConfigResponse struct {
	OIDC *OIDCIdentityProviderConfig `json:"oidc,omitzero"`
}

// OIDCIdentityProviderConfig is an OIDC identity provider of a cluster.
type OIDCIdentityProviderConfig struct {
	IdentityProviderConfigName string            `json:"identityProviderConfigName,omitzero"`
	IdentityProviderConfigARN  string            `json:"identityProviderConfigArn,omitzero"`
	ClusterName                string            `json:"clusterName,omitzero"`
	IssuerURL                  string            `json:"issuerUrl,omitzero"`
	ClientID                   string            `json:"clientId,omitzero"`
	UsernameClaim              string            `json:"usernameClaim,omitzero"`
	UsernamePrefix             string            `json:"usernamePrefix,omitzero"`
	GroupsClaim                string            `json:"groupsClaim,omitzero"`
	GroupsPrefix               string            `json:"groupsPrefix,omitzero"`
	RequiredClaims             map[string]string `json:"requiredClaims,omitempty"`
	Tags                       map[string]string `json:"tags,omitempty"`
	Status                     string            `json:"status,omitzero"`
}

// ListIdentityProviderConfigsInput is the request of ListIdentityProviderConfigs.
type ListIdentityProviderConfigsInput struct {
	ClusterName string `json:"-" path:"name"`
	MaxResults  *int   `json:"-" query:"maxResults"`
	NextToken   string `json:"-" query:"nextToken"`
}

// ListIdentityProviderConfigsOutput is the response of ListIdentityProviderConfigs.
type ListIdentityProviderConfigsOutput struct {
	IdentityProviderConfigs []IdentityProviderConfig `json:"identityProviderConfigs,omitzero"`
	NextToken               string                   `json:"nextToken,omitzero"`
}

// DisassociateIdentityProviderConfigInput is the request of DisassociateIdentityProviderConfig.
type DisassociateIdentityProviderConfigInput struct {
	ClusterName            string                  `json:"-" path:"name"`
	IdentityProviderConfig *IdentityProviderConfig `json:"identityProviderConfig,omitzero"`
	ClientRequestToken     string                  `json:"clientRequestToken,omitzero"`
}

// DisassociateIdentityProviderConfigOutput is the response of DisassociateIdentityProviderConfig.
type DisassociateIdentityProviderConfigOutput struct {
	Update *Update `json:"update,omitzero"`
}
