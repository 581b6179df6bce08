package eks

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/weaveworks/eksctl/pkg/awsapi"
)

// eksService is EKS as services.go has it.
type eksService struct {
	awsapi.EKS
	client hidden[eks.Client]
}

func (s eksService) AssociateAccessPolicy(ctx context.Context, in *eks.AssociateAccessPolicyInput, o ...func(*eks.Options)) (*eks.AssociateAccessPolicyOutput, error) {
	return shown(s.client).AssociateAccessPolicy(ctx, in, o...)
}

func (s eksService) AssociateEncryptionConfig(ctx context.Context, in *eks.AssociateEncryptionConfigInput, o ...func(*eks.Options)) (*eks.AssociateEncryptionConfigOutput, error) {
	return shown(s.client).AssociateEncryptionConfig(ctx, in, o...)
}

func (s eksService) AssociateIdentityProviderConfig(ctx context.Context, in *eks.AssociateIdentityProviderConfigInput, o ...func(*eks.Options)) (*eks.AssociateIdentityProviderConfigOutput, error) {
	return shown(s.client).AssociateIdentityProviderConfig(ctx, in, o...)
}

func (s eksService) CreateAddon(ctx context.Context, in *eks.CreateAddonInput, o ...func(*eks.Options)) (*eks.CreateAddonOutput, error) {
	return shown(s.client).CreateAddon(ctx, in, o...)
}

func (s eksService) CreateFargateProfile(ctx context.Context, in *eks.CreateFargateProfileInput, o ...func(*eks.Options)) (*eks.CreateFargateProfileOutput, error) {
	return shown(s.client).CreateFargateProfile(ctx, in, o...)
}

func (s eksService) CreatePodIdentityAssociation(ctx context.Context, in *eks.CreatePodIdentityAssociationInput, o ...func(*eks.Options)) (*eks.CreatePodIdentityAssociationOutput, error) {
	return shown(s.client).CreatePodIdentityAssociation(ctx, in, o...)
}

func (s eksService) DeleteAccessEntry(ctx context.Context, in *eks.DeleteAccessEntryInput, o ...func(*eks.Options)) (*eks.DeleteAccessEntryOutput, error) {
	return shown(s.client).DeleteAccessEntry(ctx, in, o...)
}

func (s eksService) DeleteAddon(ctx context.Context, in *eks.DeleteAddonInput, o ...func(*eks.Options)) (*eks.DeleteAddonOutput, error) {
	return shown(s.client).DeleteAddon(ctx, in, o...)
}

func (s eksService) DeleteCapability(ctx context.Context, in *eks.DeleteCapabilityInput, o ...func(*eks.Options)) (*eks.DeleteCapabilityOutput, error) {
	return shown(s.client).DeleteCapability(ctx, in, o...)
}

func (s eksService) DeleteFargateProfile(ctx context.Context, in *eks.DeleteFargateProfileInput, o ...func(*eks.Options)) (*eks.DeleteFargateProfileOutput, error) {
	return shown(s.client).DeleteFargateProfile(ctx, in, o...)
}

func (s eksService) DeleteNodegroup(ctx context.Context, in *eks.DeleteNodegroupInput, o ...func(*eks.Options)) (*eks.DeleteNodegroupOutput, error) {
	return shown(s.client).DeleteNodegroup(ctx, in, o...)
}

func (s eksService) DeletePodIdentityAssociation(ctx context.Context, in *eks.DeletePodIdentityAssociationInput, o ...func(*eks.Options)) (*eks.DeletePodIdentityAssociationOutput, error) {
	return shown(s.client).DeletePodIdentityAssociation(ctx, in, o...)
}

func (s eksService) DescribeAccessEntry(ctx context.Context, in *eks.DescribeAccessEntryInput, o ...func(*eks.Options)) (*eks.DescribeAccessEntryOutput, error) {
	return shown(s.client).DescribeAccessEntry(ctx, in, o...)
}

func (s eksService) DescribeAddon(ctx context.Context, in *eks.DescribeAddonInput, o ...func(*eks.Options)) (*eks.DescribeAddonOutput, error) {
	return shown(s.client).DescribeAddon(ctx, in, o...)
}

func (s eksService) DescribeAddonConfiguration(ctx context.Context, in *eks.DescribeAddonConfigurationInput, o ...func(*eks.Options)) (*eks.DescribeAddonConfigurationOutput, error) {
	return shown(s.client).DescribeAddonConfiguration(ctx, in, o...)
}

func (s eksService) DescribeAddonVersions(ctx context.Context, in *eks.DescribeAddonVersionsInput, o ...func(*eks.Options)) (*eks.DescribeAddonVersionsOutput, error) {
	return shown(s.client).DescribeAddonVersions(ctx, in, o...)
}

func (s eksService) DescribeCapability(ctx context.Context, in *eks.DescribeCapabilityInput, o ...func(*eks.Options)) (*eks.DescribeCapabilityOutput, error) {
	return shown(s.client).DescribeCapability(ctx, in, o...)
}

func (s eksService) DescribeCluster(ctx context.Context, in *eks.DescribeClusterInput, o ...func(*eks.Options)) (*eks.DescribeClusterOutput, error) {
	return shown(s.client).DescribeCluster(ctx, in, o...)
}

func (s eksService) DescribeClusterVersions(ctx context.Context, in *eks.DescribeClusterVersionsInput, o ...func(*eks.Options)) (*eks.DescribeClusterVersionsOutput, error) {
	return shown(s.client).DescribeClusterVersions(ctx, in, o...)
}

func (s eksService) DescribeFargateProfile(ctx context.Context, in *eks.DescribeFargateProfileInput, o ...func(*eks.Options)) (*eks.DescribeFargateProfileOutput, error) {
	return shown(s.client).DescribeFargateProfile(ctx, in, o...)
}

func (s eksService) DescribeIdentityProviderConfig(ctx context.Context, in *eks.DescribeIdentityProviderConfigInput, o ...func(*eks.Options)) (*eks.DescribeIdentityProviderConfigOutput, error) {
	return shown(s.client).DescribeIdentityProviderConfig(ctx, in, o...)
}

func (s eksService) DescribeInsight(ctx context.Context, in *eks.DescribeInsightInput, o ...func(*eks.Options)) (*eks.DescribeInsightOutput, error) {
	return shown(s.client).DescribeInsight(ctx, in, o...)
}

func (s eksService) DescribeNodegroup(ctx context.Context, in *eks.DescribeNodegroupInput, o ...func(*eks.Options)) (*eks.DescribeNodegroupOutput, error) {
	return shown(s.client).DescribeNodegroup(ctx, in, o...)
}

func (s eksService) DescribePodIdentityAssociation(ctx context.Context, in *eks.DescribePodIdentityAssociationInput, o ...func(*eks.Options)) (*eks.DescribePodIdentityAssociationOutput, error) {
	return shown(s.client).DescribePodIdentityAssociation(ctx, in, o...)
}

func (s eksService) DescribeUpdate(ctx context.Context, in *eks.DescribeUpdateInput, o ...func(*eks.Options)) (*eks.DescribeUpdateOutput, error) {
	return shown(s.client).DescribeUpdate(ctx, in, o...)
}

func (s eksService) DisassociateAccessPolicy(ctx context.Context, in *eks.DisassociateAccessPolicyInput, o ...func(*eks.Options)) (*eks.DisassociateAccessPolicyOutput, error) {
	return shown(s.client).DisassociateAccessPolicy(ctx, in, o...)
}

func (s eksService) DisassociateIdentityProviderConfig(ctx context.Context, in *eks.DisassociateIdentityProviderConfigInput, o ...func(*eks.Options)) (*eks.DisassociateIdentityProviderConfigOutput, error) {
	return shown(s.client).DisassociateIdentityProviderConfig(ctx, in, o...)
}

func (s eksService) ListAccessEntries(ctx context.Context, in *eks.ListAccessEntriesInput, o ...func(*eks.Options)) (*eks.ListAccessEntriesOutput, error) {
	return shown(s.client).ListAccessEntries(ctx, in, o...)
}

func (s eksService) ListAddons(ctx context.Context, in *eks.ListAddonsInput, o ...func(*eks.Options)) (*eks.ListAddonsOutput, error) {
	return shown(s.client).ListAddons(ctx, in, o...)
}

func (s eksService) ListAssociatedAccessPolicies(ctx context.Context, in *eks.ListAssociatedAccessPoliciesInput, o ...func(*eks.Options)) (*eks.ListAssociatedAccessPoliciesOutput, error) {
	return shown(s.client).ListAssociatedAccessPolicies(ctx, in, o...)
}

func (s eksService) ListCapabilities(ctx context.Context, in *eks.ListCapabilitiesInput, o ...func(*eks.Options)) (*eks.ListCapabilitiesOutput, error) {
	return shown(s.client).ListCapabilities(ctx, in, o...)
}

func (s eksService) ListFargateProfiles(ctx context.Context, in *eks.ListFargateProfilesInput, o ...func(*eks.Options)) (*eks.ListFargateProfilesOutput, error) {
	return shown(s.client).ListFargateProfiles(ctx, in, o...)
}

func (s eksService) ListIdentityProviderConfigs(ctx context.Context, in *eks.ListIdentityProviderConfigsInput, o ...func(*eks.Options)) (*eks.ListIdentityProviderConfigsOutput, error) {
	return shown(s.client).ListIdentityProviderConfigs(ctx, in, o...)
}

func (s eksService) ListInsights(ctx context.Context, in *eks.ListInsightsInput, o ...func(*eks.Options)) (*eks.ListInsightsOutput, error) {
	return shown(s.client).ListInsights(ctx, in, o...)
}

func (s eksService) ListNodegroups(ctx context.Context, in *eks.ListNodegroupsInput, o ...func(*eks.Options)) (*eks.ListNodegroupsOutput, error) {
	return shown(s.client).ListNodegroups(ctx, in, o...)
}

func (s eksService) ListPodIdentityAssociations(ctx context.Context, in *eks.ListPodIdentityAssociationsInput, o ...func(*eks.Options)) (*eks.ListPodIdentityAssociationsOutput, error) {
	return shown(s.client).ListPodIdentityAssociations(ctx, in, o...)
}

func (s eksService) ListUpdates(ctx context.Context, in *eks.ListUpdatesInput, o ...func(*eks.Options)) (*eks.ListUpdatesOutput, error) {
	return shown(s.client).ListUpdates(ctx, in, o...)
}

func (s eksService) TagResource(ctx context.Context, in *eks.TagResourceInput, o ...func(*eks.Options)) (*eks.TagResourceOutput, error) {
	return shown(s.client).TagResource(ctx, in, o...)
}

func (s eksService) UntagResource(ctx context.Context, in *eks.UntagResourceInput, o ...func(*eks.Options)) (*eks.UntagResourceOutput, error) {
	return shown(s.client).UntagResource(ctx, in, o...)
}

func (s eksService) UpdateAccessEntry(ctx context.Context, in *eks.UpdateAccessEntryInput, o ...func(*eks.Options)) (*eks.UpdateAccessEntryOutput, error) {
	return shown(s.client).UpdateAccessEntry(ctx, in, o...)
}

func (s eksService) UpdateAddon(ctx context.Context, in *eks.UpdateAddonInput, o ...func(*eks.Options)) (*eks.UpdateAddonOutput, error) {
	return shown(s.client).UpdateAddon(ctx, in, o...)
}

func (s eksService) UpdateCapability(ctx context.Context, in *eks.UpdateCapabilityInput, o ...func(*eks.Options)) (*eks.UpdateCapabilityOutput, error) {
	return shown(s.client).UpdateCapability(ctx, in, o...)
}

func (s eksService) UpdateClusterConfig(ctx context.Context, in *eks.UpdateClusterConfigInput, o ...func(*eks.Options)) (*eks.UpdateClusterConfigOutput, error) {
	return shown(s.client).UpdateClusterConfig(ctx, in, o...)
}

func (s eksService) UpdateClusterVersion(ctx context.Context, in *eks.UpdateClusterVersionInput, o ...func(*eks.Options)) (*eks.UpdateClusterVersionOutput, error) {
	return shown(s.client).UpdateClusterVersion(ctx, in, o...)
}

func (s eksService) UpdateNodegroupConfig(ctx context.Context, in *eks.UpdateNodegroupConfigInput, o ...func(*eks.Options)) (*eks.UpdateNodegroupConfigOutput, error) {
	return shown(s.client).UpdateNodegroupConfig(ctx, in, o...)
}

func (s eksService) UpdateNodegroupVersion(ctx context.Context, in *eks.UpdateNodegroupVersionInput, o ...func(*eks.Options)) (*eks.UpdateNodegroupVersionOutput, error) {
	return shown(s.client).UpdateNodegroupVersion(ctx, in, o...)
}

func (s eksService) UpdatePodIdentityAssociation(ctx context.Context, in *eks.UpdatePodIdentityAssociationInput, o ...func(*eks.Options)) (*eks.UpdatePodIdentityAssociationOutput, error) {
	return shown(s.client).UpdatePodIdentityAssociation(ctx, in, o...)
}
