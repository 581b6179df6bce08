package eks

import "github.com/eks-gitops/reconciler/internal/sim/aws/wire"

// CreateAccessEntryInput is the request of CreateAccessEntry.
type CreateAccessEntryInput struct {
	ClusterName        string            `json:"-" path:"name"`
	PrincipalARN       string            `json:"principalArn,omitzero"`
	KubernetesGroups   []string          `json:"kubernetesGroups,omitzero"`
	Tags               map[string]string `json:"tags,omitempty"`
	ClientRequestToken string            `json:"clientRequestToken,omitzero"`
	Username           string            `json:"username,omitzero"`
	Type               string            `json:"type,omitzero"`
}

// CreateAccessEntryOutput is the response of CreateAccessEntry.
type CreateAccessEntryOutput struct {
	AccessEntry *AccessEntry `json:"accessEntry,omitzero"`
}

// AccessEntry lets a principal of IAM into a cluster.
type AccessEntry struct {
	ClusterName      string            `json:"clusterName,omitzero"`
	PrincipalARN     string            `json:"principalArn,omitzero"`
	KubernetesGroups []string          `json:"kubernetesGroups,omitzero"`
	AccessEntryARN   string            `json:"accessEntryArn,omitzero"`
	CreatedAt        wire.Time         `json:"createdAt,omitzero"`
	ModifiedAt       wire.Time         `json:"modifiedAt,omitzero"`
	Tags             map[string]string `json:"tags,omitempty"`
	Username         string            `json:"username,omitzero"`
	Type             string            `json:"type,omitzero"`
}

// DescribeAccessEntryInput is the request of DescribeAccessEntry.
type DescribeAccessEntryInput struct {
	ClusterName  string `json:"-" path:"name"`
	PrincipalARN string `json:"-" path:"principalArn"`
}

// DescribeAccessEntryOutput is the response of DescribeAccessEntry.
type DescribeAccessEntryOutput struct {
	AccessEntry *AccessEntry `json:"accessEntry,omitzero"`
}

// ListAccessEntriesInput is the request of ListAccessEntries.
type ListAccessEntriesInput struct {
	ClusterName         string `json:"-" path:"name"`
	AssociatedPolicyARN string `json:"-" query:"associatedPolicyArn"`
	MaxResults          *int   `json:"-" query:"maxResults"`
	NextToken           string `json:"-" query:"nextToken"`
}

// ListAccessEntriesOutput is the response of ListAccessEntries.
type ListAccessEntriesOutput struct {
	AccessEntries []string `json:"accessEntries,omitzero"`
	NextToken     string   `json:"nextToken,omitzero"`
}

// DeleteAccessEntryInput is the request of DeleteAccessEntry.
type DeleteAccessEntryInput struct {
	ClusterName  string `json:"-" path:"name"`
	PrincipalARN string `json:"-" path:"principalArn"`
}

// DeleteAccessEntryOutput is the response of DeleteAccessEntry.
type DeleteAccessEntryOutput struct {
}

// UpdateAccessEntryInput is the request of UpdateAccessEntry.
type UpdateAccessEntryInput struct {
	ClusterName        string   `json:"-" path:"name"`
	PrincipalARN       string   `json:"-" path:"principalArn"`
	KubernetesGroups   []string `json:"kubernetesGroups,omitzero"`
	ClientRequestToken string   `json:"clientRequestToken,omitzero"`
	Username           string   `json:"username,omitzero"`
}

// UpdateAccessEntryOutput is the response of UpdateAccessEntry.
type UpdateAccessEntryOutput struct {
	AccessEntry *AccessEntry `json:"accessEntry,omitzero"`
}

// AssociateAccessPolicyInput is the request of AssociateAccessPolicy.
type AssociateAccessPolicyInput struct {
	ClusterName  string       `json:"-" path:"name"`
	PrincipalARN string       `json:"-" path:"principalArn"`
	PolicyARN    string       `json:"policyArn,omitzero"`
	AccessScope  *AccessScope `json:"accessScope,omitzero"`
}

// AccessScope is where an access policy holds.
type AccessScope struct {
	Type       string   `json:"type,omitzero"`
	Namespaces []string `json:"namespaces,omitzero"`
}

// AssociateAccessPolicyOutput is the response of AssociateAccessPolicy.
type AssociateAccessPolicyOutput struct {
	ClusterName            string                  `json:"clusterName,omitzero"`
	PrincipalARN           string                  `json:"principalArn,omitzero"`
	AssociatedAccessPolicy *AssociatedAccessPolicy `json:"associatedAccessPolicy,omitzero"`
}

// AssociatedAccessPolicy is an access policy of an access entry.
type AssociatedAccessPolicy struct {
	PolicyARN    string       `json:"policyArn,omitzero"`
	AccessScope  *AccessScope `json:"accessScope,omitzero"`
	AssociatedAt wire.Time    `json:"associatedAt,omitzero"`
	ModifiedAt   wire.Time    `json:"modifiedAt,omitzero"`
}

// DisassociateAccessPolicyInput is the request of DisassociateAccessPolicy.
type DisassociateAccessPolicyInput struct {
	ClusterName  string `json:"-" path:"name"`
	PrincipalARN string `json:"-" path:"principalArn"`
	PolicyARN    string `json:"-" path:"policyArn"`
}

// DisassociateAccessPolicyOutput is the response of DisassociateAccessPolicy.
type DisassociateAccessPolicyOutput struct {
}

// ListAssociatedAccessPoliciesInput is the request of ListAssociatedAccessPolicies.
type ListAssociatedAccessPoliciesInput struct {
	ClusterName  string `json:"-" path:"name"`
	PrincipalARN string `json:"-" path:"principalArn"`
	MaxResults   *int   `json:"-" query:"maxResults"`
	NextToken    string `json:"-" query:"nextToken"`
}

// ListAssociatedAccessPoliciesOutput is the response of ListAssociatedAccessPolicies.
type ListAssociatedAccessPoliciesOutput struct {
	ClusterName              string                   `json:"clusterName,omitzero"`
	PrincipalARN             string                   `json:"principalArn,omitzero"`
	NextToken                string                   `json:"nextToken,omitzero"`
	AssociatedAccessPolicies []AssociatedAccessPolicy `json:"associatedAccessPolicies,omitzero"`
}

// ListAccessPoliciesInput is the request of ListAccessPolicies.
type ListAccessPoliciesInput struct {
	MaxResults *int   `json:"-" query:"maxResults"`
	NextToken  string `json:"-" query:"nextToken"`
}

// ListAccessPoliciesOutput is the response of ListAccessPolicies.
type ListAccessPoliciesOutput struct {
	AccessPolicies []AccessPolicy `json:"accessPolicies,omitzero"`
	NextToken      string         `json:"nextToken,omitzero"`
}

// AccessPolicy is a set of permissions that EKS defines.
type AccessPolicy struct {
	Name string `json:"name,omitzero"`
	ARN  string `json:"arn,omitzero"`
}

// CreatePodIdentityAssociationInput is the request of CreatePodIdentityAssociation.
type CreatePodIdentityAssociationInput struct {
	ClusterName        string            `json:"-" path:"name"`
	Namespace          string            `json:"namespace,omitzero"`
	ServiceAccount     string            `json:"serviceAccount,omitzero"`
	RoleARN            string            `json:"roleArn,omitzero"`
	ClientRequestToken string            `json:"clientRequestToken,omitzero"`
	Tags               map[string]string `json:"tags,omitempty"`
	DisableSessionTags *bool             `json:"disableSessionTags,omitzero"`
	TargetRoleARN      string            `json:"targetRoleArn,omitzero"`
	Policy             string            `json:"policy,omitzero"`
}

// CreatePodIdentityAssociationOutput is the response of CreatePodIdentityAssociation.
type CreatePodIdentityAssociationOutput struct {
	Association *PodIdentityAssociation `json:"association,omitzero"`
}

// PodIdentityAssociation gives the Pods of a service account a role of IAM.
type PodIdentityAssociation struct {
	ClusterName        string            `json:"clusterName,omitzero"`
	Namespace          string            `json:"namespace,omitzero"`
	ServiceAccount     string            `json:"serviceAccount,omitzero"`
	RoleARN            string            `json:"roleArn,omitzero"`
	AssociationARN     string            `json:"associationArn,omitzero"`
	AssociationID      string            `json:"associationId,omitzero"`
	Tags               map[string]string `json:"tags,omitempty"`
	CreatedAt          wire.Time         `json:"createdAt,omitzero"`
	ModifiedAt         wire.Time         `json:"modifiedAt,omitzero"`
	OwnerARN           string            `json:"ownerArn,omitzero"`
	DisableSessionTags *bool             `json:"disableSessionTags,omitzero"`
	TargetRoleARN      string            `json:"targetRoleArn,omitzero"`
	ExternalID         string            `json:"externalId,omitzero"`
	Policy             string            `json:"policy,omitzero"`
}

// DescribePodIdentityAssociationInput is the request of DescribePodIdentityAssociation.
type DescribePodIdentityAssociationInput struct {
	ClusterName   string `json:"-" path:"name"`
	AssociationID string `json:"-" path:"associationId"`
}

// DescribePodIdentityAssociationOutput is the response of DescribePodIdentityAssociation.
type DescribePodIdentityAssociationOutput struct {
	Association *PodIdentityAssociation `json:"association,omitzero"`
}

// ListPodIdentityAssociationsInput is the request of ListPodIdentityAssociations.
type ListPodIdentityAssociationsInput struct {
	ClusterName    string `json:"-" path:"name"`
	Namespace      string `json:"-" query:"namespace"`
	ServiceAccount string `json:"-" query:"serviceAccount"`
	MaxResults     *int   `json:"-" query:"maxResults"`
	NextToken      string `json:"-" query:"nextToken"`
}

// ListPodIdentityAssociationsOutput is the response of ListPodIdentityAssociations.
type ListPodIdentityAssociationsOutput struct {
	Associations []PodIdentityAssociationSummary `json:"associations,omitzero"`
	NextToken    string                          `json:"nextToken,omitzero"`
}

// PodIdentityAssociationSummary is an association in a list.
type PodIdentityAssociationSummary struct {
	ClusterName    string `json:"clusterName,omitzero"`
	Namespace      string `json:"namespace,omitzero"`
	ServiceAccount string `json:"serviceAccount,omitzero"`
	AssociationARN string `json:"associationArn,omitzero"`
	AssociationID  string `json:"associationId,omitzero"`
	OwnerARN       string `json:"ownerArn,omitzero"`
}

// DeletePodIdentityAssociationInput is the request of DeletePodIdentityAssociation.
type DeletePodIdentityAssociationInput struct {
	ClusterName   string `json:"-" path:"name"`
	AssociationID string `json:"-" path:"associationId"`
}

// DeletePodIdentityAssociationOutput is the response of DeletePodIdentityAssociation.
type DeletePodIdentityAssociationOutput struct {
	Association *PodIdentityAssociation `json:"association,omitzero"`
}

// UpdatePodIdentityAssociationInput is the request of UpdatePodIdentityAssociation.
type UpdatePodIdentityAssociationInput struct {
	ClusterName        string `json:"-" path:"name"`
	AssociationID      string `json:"-" path:"associationId"`
	RoleARN            string `json:"roleArn,omitzero"`
	ClientRequestToken string `json:"clientRequestToken,omitzero"`
	DisableSessionTags *bool  `json:"disableSessionTags,omitzero"`
	TargetRoleARN      string `json:"targetRoleArn,omitzero"`
	Policy             string `json:"policy,omitzero"`
}

// UpdatePodIdentityAssociationOutput is the response of UpdatePodIdentityAssociation.
type UpdatePodIdentityAssociationOutput struct {
	Association *PodIdentityAssociation `json:"association,omitzero"`
}
