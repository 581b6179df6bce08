package eks

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	cfn "github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
)

// ResourceTypes are the AWS::EKS types for stacks, by the resource specification of CloudFormation
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_EKS.html).
func (s *Service) ResourceTypes() []cfn.ResourceType {
	return slices.Concat(s.computeTypes(), s.accessTypes())
}

func words(text string) []string { return strings.Fields(text) }

func (s *Service) computeTypes() []cfn.ResourceType {
	return []cfn.ResourceType{
		{
			Name: "AWS::EKS::Cluster", Provider: clusterProvider{s}, Tagged: true, NameProperty: "Name",
			Properties: words("AccessConfig BootstrapSelfManagedAddons ComputeConfig ControlPlaneScalingConfig DeletionProtection EncryptionConfig Force KubernetesNetworkConfig Logging Name OutpostConfig RemoteNetworkConfig ResourcesVpcConfig RoleArn StorageConfig Tags UpgradePolicy Version ZonalShiftConfig"),
			Required:   words("RoleArn ResourcesVpcConfig"),
			CreateOnly: words("OutpostConfig EncryptionConfig KubernetesNetworkConfig/IpFamily KubernetesNetworkConfig/ServiceIpv4Cidr AccessConfig/BootstrapClusterCreatorAdminPermissions Name RoleArn BootstrapSelfManagedAddons"),
			Attributes: words("Arn CertificateAuthorityData ClusterSecurityGroupId EncryptionConfigKeyArn Endpoint Id KubernetesNetworkConfig.ServiceIpv6Cidr OpenIdConnectIssuerUrl"),
		},
		{
			Name: "AWS::EKS::Nodegroup", Provider: nodegroupProvider{s}, Tagged: true, NameProperty: "NodegroupName",
			Properties: words("AmiType CapacityType ClusterName DiskSize ForceUpdateEnabled InstanceTypes Labels LaunchTemplate NodeRepairConfig NodeRole NodegroupName ReleaseVersion RemoteAccess ScalingConfig Subnets Tags Taints UpdateConfig Version"),
			Required:   words("ClusterName NodeRole Subnets"),
			CreateOnly: words("CapacityType NodegroupName RemoteAccess NodeRole ClusterName InstanceTypes DiskSize AmiType Subnets"),
			Attributes: words("Arn ClusterName Id NodegroupName"),
		},
		{
			Name: "AWS::EKS::FargateProfile", Provider: fargateProvider{s}, Tagged: true, NameProperty: "FargateProfileName",
			Properties: words("ClusterName FargateProfileName PodExecutionRoleArn Selectors Subnets Tags"),
			Required:   words("ClusterName PodExecutionRoleArn Selectors"),
			CreateOnly: words("ClusterName FargateProfileName PodExecutionRoleArn Subnets Selectors"),
			Attributes: words("Arn"),
		},
		{
			Name: "AWS::EKS::Addon", Provider: addonProvider{s}, Tagged: true,
			Properties: words("AddonName AddonVersion ClusterName ConfigurationValues NamespaceConfig PodIdentityAssociations PreserveOnDelete ResolveConflicts ServiceAccountRoleArn Tags"),
			Required:   words("ClusterName AddonName"),
			CreateOnly: words("ClusterName AddonName NamespaceConfig"),
			Attributes: words("Arn"),
		},
		{
			Name: "AWS::EKS::Capability", Provider: capabilityProvider{s}, Tagged: true, NameProperty: "CapabilityName",
			Properties: words("CapabilityName ClusterName Configuration DeletePropagationPolicy RoleArn Tags Type"),
			Required:   words("ClusterName CapabilityName Type RoleArn DeletePropagationPolicy"),
			CreateOnly: words("ClusterName CapabilityName Type Configuration/ArgoCd/Namespace Configuration/ArgoCd/AwsIdc"),
			Attributes: words("Arn CreatedAt ModifiedAt Status Version Configuration.ArgoCd.ServerUrl Configuration.ArgoCd.AwsIdc.IdcManagedApplicationArn"),
		},
	}
}

func (s *Service) accessTypes() []cfn.ResourceType {
	return []cfn.ResourceType{
		{
			Name: "AWS::EKS::AccessEntry", Provider: entryProvider{s}, Tagged: true,
			Properties: words("AccessPolicies ClusterName KubernetesGroups PrincipalArn Tags Type Username"),
			Required:   words("PrincipalArn ClusterName"),
			CreateOnly: words("PrincipalArn ClusterName Type"),
			Attributes: words("AccessEntryArn"),
		},
		{
			Name: "AWS::EKS::PodIdentityAssociation", Provider: associationProvider{s}, Tagged: true,
			Properties: words("ClusterName DisableSessionTags Namespace Policy RoleArn ServiceAccount Tags TargetRoleArn"),
			Required:   words("ClusterName RoleArn Namespace ServiceAccount"),
			CreateOnly: words("ClusterName Namespace ServiceAccount"),
			Attributes: words("AssociationArn AssociationId ExternalId"),
		},
		{
			Name: "AWS::EKS::IdentityProviderConfig", Provider: identityProvider{s}, Tagged: true, NameProperty: "IdentityProviderConfigName",
			Properties: words("ClusterName IdentityProviderConfigName Oidc Tags Type"),
			Required:   words("Type ClusterName"),
			CreateOnly: words("Oidc Type IdentityProviderConfigName ClusterName"),
			Attributes: words("IdentityProviderConfigArn"),
		},
	}
}

// decode fills a request of the API from properties. CloudFormation's names are the API's with a capital; what differs more
// (tags, logging, lists of pairs) is left out here and is the caller's to convert.
func decode(properties map[string]any, into any, except ...string) error {
	rest := map[string]any{}
	for k, v := range properties {
		if !slices.Contains(except, k) {
			rest[k] = v
		}
	}
	renamed, _ := rename(rest, reflect.TypeOf(into).Elem()).(map[string]any)
	return cfn.Decode(renamed, into)
}

// rename gives the keys of properties the names of the Go fields they go into. Unknown keys stay, to be refused.
func rename(v any, t reflect.Type) any {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch v := v.(type) {
	case map[string]any:
		if t.Kind() != reflect.Struct {
			return v
		}
		out := map[string]any{}
		for k, e := range v {
			out[k] = e
			if f, ok := fieldFor(t, k); ok {
				delete(out, k)
				out[f.Name] = rename(e, f.Type)
			}
		}
		return out
	case []any:
		if t.Kind() != reflect.Slice {
			return v
		}
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = rename(e, t.Elem())
		}
		return out
	default:
		return v
	}
}

func fieldFor(t reflect.Type, property string) (reflect.StructField, bool) {
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		// A field that is part of the URL has no name in the body; its Go name differs only in case.
		if name == "-" && strings.EqualFold(f.Name, property) {
			return f, true
		}
		if strings.EqualFold(name[:1], property[:1]) && name[1:] == property[1:] {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// resourceTags are the user's tags of a resource (its own over those of its stack) and AWS's.
func resourceTags(r cfn.Resource) (user, system map[string]string) {
	user, system = map[string]string{}, map[string]string{}
	for k, v := range r.Tags {
		if strings.HasPrefix(k, "aws:") {
			system[k] = v
		} else {
			user[k] = v
		}
	}
	for k, v := range pairs(r.Properties["Tags"]) {
		user[k] = v
	}
	return user, system
}

// pairs reads a map, or a list of Key and Value.
func pairs(v any) map[string]string {
	out := map[string]string{}
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			out[k] = text(e)
		}
	case []any:
		for _, e := range v {
			if m, ok := e.(map[string]any); ok {
				out[text(m["Key"])] = text(m["Value"])
			}
		}
	}
	return out
}

// text is a property as a string.
func text(v any) string {
	var out struct{ V string }
	if err := cfn.Decode(map[string]any{"V": v}, &out); err != nil {
		return ""
	}
	return out.V
}

func flag(v any) bool { return text(v) == "true" }

// changed says whether any of the named properties differs.
func changed(old, now map[string]any, properties ...string) bool {
	return slices.ContainsFunc(properties, func(p string) bool { return !reflect.DeepEqual(old[p], now[p]) })
}

// tag puts the tags of a stack's resource on it and takes away those that the stack put there before. Tags of others stay.
func (s *Service) tag(arn string, have *map[string]string, r cfn.Resource) {
	user, system := resourceTags(r)
	if r.Type == "AWS::EKS::Addon" || r.Type == "AWS::EKS::FargateProfile" {
		system = nil // the registry says cloudFormationSystemTags: false
	}
	next := ownTags(*have)
	for _, k := range s.state.StackTags[arn] {
		delete(next, k)
	}
	maps.Copy(next, user)
	maps.Copy(next, system)
	*have = next
	s.state.StackTags[arn] = slices.Concat(names(user), names(system))
}
