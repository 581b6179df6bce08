package eks

import "github.com/eks-gitops/reconciler/internal/sim/aws/wire"

// API is the service on the wire.
func (s *Service) API() *wire.Service {
	api := &wire.Service{Name: "eks", Protocol: wire.RESTJSON, Version: "2017-11-01"}
	s.clusterRoutes(api)
	s.contentRoutes(api)
	s.accessRoutes(api)
	return api
}

func (s *Service) clusterRoutes(api *wire.Service) {
	api.Route("CreateCluster", "POST /clusters", wire.Handle(s.createCluster))
	api.Route("DescribeCluster", "GET /clusters/{name}", wire.Handle(s.describeCluster))
	api.Route("ListClusters", "GET /clusters", wire.Handle(s.listClusters))
	api.Route("DeleteCluster", "DELETE /clusters/{name}", wire.Handle(s.deleteCluster))
	api.Route("UpdateClusterVersion", "POST /clusters/{name}/updates", wire.Handle(s.updateClusterVersion))
	api.Route("UpdateClusterConfig", "POST /clusters/{name}/update-config", wire.Handle(s.updateClusterConfig))
	api.Route("AssociateEncryptionConfig", "POST /clusters/{name}/encryption-config/associate", wire.Handle(s.associateEncryptionConfig))
	api.Route("DescribeUpdate", "GET /clusters/{name}/updates/{updateId}", wire.Handle(s.describeUpdate))
	api.Route("ListUpdates", "GET /clusters/{name}/updates", wire.Handle(s.listUpdates))
	api.Route("CancelUpdate", "POST /clusters/{name}/updates/{updateId}/cancel-update", wire.Handle(s.cancelUpdate))
	api.Route("DescribeClusterVersions", "GET /cluster-versions", wire.Handle(s.describeClusterVersions))
	api.Route("TagResource", "POST /tags/{resourceArn}", wire.Handle(s.tagResource))
	api.Route("UntagResource", "DELETE /tags/{resourceArn}", wire.Handle(s.untagResource))
	api.Route("ListTagsForResource", "GET /tags/{resourceArn}", wire.Handle(s.listTagsForResource))
	api.Route("ListInsights", "POST /clusters/{name}/insights", wire.Handle(s.listInsights))
	api.Route("DescribeInsight", "GET /clusters/{name}/insights/{id}", wire.Handle(s.describeInsight))
	api.Route("StartInsightsRefresh", "POST /clusters/{name}/insights-refresh", wire.Handle(s.startInsightsRefresh))
	api.Route("DescribeInsightsRefresh", "GET /clusters/{name}/insights-refresh", wire.Handle(s.describeInsightsRefresh))
	api.Route("AssociateIdentityProviderConfig", "POST /clusters/{name}/identity-provider-configs/associate", wire.Handle(s.associateIdentityProviderConfig))
	api.Route("DescribeIdentityProviderConfig", "POST /clusters/{name}/identity-provider-configs/describe", wire.Handle(s.describeIdentityProviderConfig))
	api.Route("ListIdentityProviderConfigs", "GET /clusters/{name}/identity-provider-configs", wire.Handle(s.listIdentityProviderConfigs))
	api.Route("DisassociateIdentityProviderConfig", "POST /clusters/{name}/identity-provider-configs/disassociate", wire.Handle(s.disassociateIdentityProviderConfig))
}

func (s *Service) contentRoutes(api *wire.Service) {
	api.Route("CreateNodegroup", "POST /clusters/{name}/node-groups", wire.Handle(s.createNodegroup))
	api.Route("DescribeNodegroup", "GET /clusters/{name}/node-groups/{nodegroupName}", wire.Handle(s.describeNodegroup))
	api.Route("ListNodegroups", "GET /clusters/{name}/node-groups", wire.Handle(s.listNodegroups))
	api.Route("DeleteNodegroup", "DELETE /clusters/{name}/node-groups/{nodegroupName}", wire.Handle(s.deleteNodegroup))
	api.Route("UpdateNodegroupConfig", "POST /clusters/{name}/node-groups/{nodegroupName}/update-config", wire.Handle(s.updateNodegroupConfig))
	api.Route("UpdateNodegroupVersion", "POST /clusters/{name}/node-groups/{nodegroupName}/update-version", wire.Handle(s.updateNodegroupVersion))
	api.Route("CreateAddon", "POST /clusters/{name}/addons", wire.Handle(s.createAddon))
	api.Route("DescribeAddon", "GET /clusters/{name}/addons/{addonName}", wire.Handle(s.describeAddon))
	api.Route("ListAddons", "GET /clusters/{name}/addons", wire.Handle(s.listAddons))
	api.Route("DeleteAddon", "DELETE /clusters/{name}/addons/{addonName}", wire.Handle(s.deleteAddon))
	api.Route("UpdateAddon", "POST /clusters/{name}/addons/{addonName}/update", wire.Handle(s.updateAddon))
	api.Route("DescribeAddonVersions", "GET /addons/supported-versions", wire.Handle(s.describeAddonVersions))
	api.Route("DescribeAddonConfiguration", "GET /addons/configuration-schemas", wire.Handle(s.describeAddonConfiguration))
	api.Route("CreateFargateProfile", "POST /clusters/{name}/fargate-profiles", wire.Handle(s.createFargateProfile))
	api.Route("DescribeFargateProfile", "GET /clusters/{name}/fargate-profiles/{fargateProfileName}", wire.Handle(s.describeFargateProfile))
	api.Route("ListFargateProfiles", "GET /clusters/{name}/fargate-profiles", wire.Handle(s.listFargateProfiles))
	api.Route("DeleteFargateProfile", "DELETE /clusters/{name}/fargate-profiles/{fargateProfileName}", wire.Handle(s.deleteFargateProfile))
	api.Route("CreateCapability", "POST /clusters/{name}/capabilities", wire.Handle(s.createCapability))
	api.Route("DescribeCapability", "GET /clusters/{name}/capabilities/{capabilityName}", wire.Handle(s.describeCapability))
	api.Route("ListCapabilities", "GET /clusters/{name}/capabilities", wire.Handle(s.listCapabilities))
	api.Route("DeleteCapability", "DELETE /clusters/{name}/capabilities/{capabilityName}", wire.Handle(s.deleteCapability))
	api.Route("UpdateCapability", "POST /clusters/{name}/capabilities/{capabilityName}", wire.Handle(s.updateCapability))
}

func (s *Service) accessRoutes(api *wire.Service) {
	api.Route("CreateAccessEntry", "POST /clusters/{name}/access-entries", wire.Handle(s.createAccessEntry))
	api.Route("DescribeAccessEntry", "GET /clusters/{name}/access-entries/{principalArn}", wire.Handle(s.describeAccessEntry))
	api.Route("ListAccessEntries", "GET /clusters/{name}/access-entries", wire.Handle(s.listAccessEntries))
	api.Route("DeleteAccessEntry", "DELETE /clusters/{name}/access-entries/{principalArn}", wire.Handle(s.deleteAccessEntry))
	api.Route("UpdateAccessEntry", "POST /clusters/{name}/access-entries/{principalArn}", wire.Handle(s.updateAccessEntry))
	api.Route("AssociateAccessPolicy", "POST /clusters/{name}/access-entries/{principalArn}/access-policies", wire.Handle(s.associateAccessPolicy))
	api.Route("DisassociateAccessPolicy", "DELETE /clusters/{name}/access-entries/{principalArn}/access-policies/{policyArn}", wire.Handle(s.disassociateAccessPolicy))
	api.Route("ListAssociatedAccessPolicies", "GET /clusters/{name}/access-entries/{principalArn}/access-policies", wire.Handle(s.listAssociatedAccessPolicies))
	api.Route("ListAccessPolicies", "GET /access-policies", wire.Handle(s.listAccessPolicies))
	api.Route("CreatePodIdentityAssociation", "POST /clusters/{name}/pod-identity-associations", wire.Handle(s.createPodIdentityAssociation))
	api.Route("DescribePodIdentityAssociation", "GET /clusters/{name}/pod-identity-associations/{associationId}", wire.Handle(s.describePodIdentityAssociation))
	api.Route("ListPodIdentityAssociations", "GET /clusters/{name}/pod-identity-associations", wire.Handle(s.listPodIdentityAssociations))
	api.Route("DeletePodIdentityAssociation", "DELETE /clusters/{name}/pod-identity-associations/{associationId}", wire.Handle(s.deletePodIdentityAssociation))
	api.Route("UpdatePodIdentityAssociation", "POST /clusters/{name}/pod-identity-associations/{associationId}", wire.Handle(s.updatePodIdentityAssociation))
}
