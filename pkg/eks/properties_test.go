package eks

import (
	"slices"
	"strings"
)

// awsProperty says which property of CloudFormation's registry a row of the inventory sets, so that what AWS says of it can be held against
// what the inventory says.
type awsProperty struct {
	// of is the resource type and name the property in it: "ScalingConfig/MinSize". Without them none says why there is no such property.
	of, name, none string
	// member is what calls that change it name it, where that is not the property's name.
	member string
	// why says why it is replaced although AWS can change it in place.
	why string
}

// The types of resources that eksctl makes of what a file says, and their reasons.
const (
	ofNodegroup   = "AWS::EKS::Nodegroup"
	ofTemplate    = "AWS::EC2::LaunchTemplate"
	ofScaling     = "AWS::AutoScaling::AutoScalingGroup"
	ofAddon       = "AWS::EKS::Addon"
	ofAccess      = "AWS::EKS::AccessEntry"
	ofAssociation = "AWS::EKS::PodIdentityAssociation"
	ofProfile     = "AWS::EKS::FargateProfile"
	ofLogin       = "AWS::EKS::IdentityProviderConfig"
	ofRole        = "AWS::IAM::Role"

	inTemplate  = "lives in the launch template that the nodegroup's stack owns: running nodes keep it until they are replaced"
	keepsType   = "nodes keep the type that they were launched with"
	keepsName   = "instances get their name when they are launched"
	ownTemplate = "UpdateNodegroupVersion takes versions of the template that the nodegroup was made with, and no other template"
	endsNodes   = "Auto Scaling would end the nodes in subnets that leave, without draining them"
)

// properties are the properties of all rows that it has a say in, by path.
func properties() map[string]awsProperty {
	out := map[string]awsProperty{}
	add := func(prefix string, p awsProperty, table string) {
		for line := range strings.Lines(table) {
			cells := strings.Fields(line)
			if len(cells) == 0 {
				continue
			}
			one := p
			if one.none == "" {
				one.name = p.name + cells[1]
			}
			if len(cells) > 2 {
				one.member = cells[2]
			}
			out[prefix+cells[0]] = one
		}
	}
	for _, list := range []string{"managedNodeGroups[].", "nodeGroups[]."} {
		add(list, awsProperty{of: ofTemplate, name: "LaunchTemplateData/", why: inTemplate}, templateProperties)
		add(list, awsProperty{none: "a call alone suspends processes", member: "ScalingProcesses"}, "asgSuspendProcesses")
		add(list, awsProperty{of: ofScaling}, "propagateASGTags Tags")
	}
	add("managedNodeGroups[].", awsProperty{of: ofTemplate, name: "LaunchTemplateData/", why: inTemplate}, "securityGroups SecurityGroupIds \n instanceName TagSpecifications \n instancePrefix TagSpecifications")
	add("managedNodeGroups[].", awsProperty{of: ofNodegroup}, nodegroupProperties)
	add("managedNodeGroups[].", awsProperty{of: ofNodegroup, why: ownTemplate}, "launchTemplate LaunchTemplate/Id")
	add("nodeGroups[].", awsProperty{of: ofTemplate, name: "LaunchTemplateData/", why: inTemplate}, selfTemplateProperties)
	add("nodeGroups[].", awsProperty{of: ofScaling}, scalingProperties)
	add("nodeGroups[].", awsProperty{of: ofScaling, why: endsNodes}, "subnets VPCZoneIdentifier \n availabilityZones VPCZoneIdentifier \n localZones VPCZoneIdentifier \n privateNetworking VPCZoneIdentifier")
	add("nodeGroups[].", awsProperty{of: ofScaling, why: keepsName}, "instanceName Tags \n instancePrefix Tags")
	add("nodeGroups[].", awsProperty{of: ofScaling, why: keepsType}, "instanceSelector MixedInstancesPolicy/LaunchTemplate/Overrides \n instancesDistribution.instanceTypes MixedInstancesPolicy/LaunchTemplate/Overrides")
	add("nodeGroups[].", awsProperty{none: "it names the stack"}, "name")

	add("addons[].", awsProperty{of: ofAddon}, addonProperties)
	add("addons[].", awsProperty{of: ofRole}, "attachPolicy Policies \n attachPolicyARNs ManagedPolicyArns \n wellKnownPolicies Policies \n permissionsBoundary PermissionsBoundary")
	add("accessConfig.accessEntries[].", awsProperty{of: ofAccess}, "principalARN PrincipalArn \n type Type \n kubernetesGroups KubernetesGroups \n kubernetesUsername Username \n accessPolicies AccessPolicies policyArn")
	add("fargateProfiles[].", awsProperty{of: ofProfile}, "name FargateProfileName \n selectors Selectors \n subnets Subnets \n podExecutionRoleARN PodExecutionRoleArn \n tags Tags")
	add("iam.", awsProperty{of: ofProfile}, "fargatePodExecutionRoleARN PodExecutionRoleArn")
	add("identityProviders[].", awsProperty{of: ofLogin}, loginProperties)
	add("iam.podIdentityAssociations[].", awsProperty{of: ofAssociation}, associationProperties)
	for _, list := range []string{"addons[].podIdentityAssociations[].", "iam.podIdentityAssociations[]."} {
		add(list, awsProperty{of: ofRole}, podRoleProperties)
	}
	add("iam.serviceAccounts[].", awsProperty{of: ofRole}, accountProperties)
	add("iam.serviceAccounts[].", awsProperty{none: "it is the cluster's, not AWS's"}, "metadata \n metadata.annotations \n metadata.labels \n attachRoleARN")
	return out
}

// templateProperties are in the launch template of nodegroups of both kinds: each field with its property.
const templateProperties = `
	additionalVolumes        BlockDeviceMappings
	ami                      ImageId
	bottlerocket             UserData
	capacityReservation      CapacityReservationSpecification
	disableIMDSv1            MetadataOptions/HttpTokens
	disablePodIMDS           MetadataOptions/HttpPutResponseHopLimit
	ebsOptimized             EbsOptimized
	efaEnabled               NetworkInterfaces/InterfaceType
	enableDetailedMonitoring Monitoring/Enabled
	instanceMarketOptions    InstanceMarketOptions
	maxPodsPerNode           UserData
	overrideBootstrapCommand UserData
	placement                Placement
	preBootstrapCommands     UserData
	ssh                      KeyName
	volumeEncrypted          BlockDeviceMappings/Ebs/Encrypted
	volumeIOPS               BlockDeviceMappings/Ebs/Iops
	volumeKmsKeyID           BlockDeviceMappings/Ebs/KmsKeyId
	volumeName               BlockDeviceMappings/DeviceName
	volumeSize               BlockDeviceMappings/Ebs/VolumeSize
	volumeThroughput         BlockDeviceMappings/Ebs/Throughput
	volumeType               BlockDeviceMappings/Ebs/VolumeType
`

// selfTemplateProperties are in the launch template of self-managed nodegroups alone.
const selfTemplateProperties = `
	amiFamily           ImageId
	clusterDNS          UserData
	containerRuntime    UserData
	cpuCredits          CreditSpecification/CpuCredits
	enclaveEnabled      EnclaveOptions/Enabled
	iam                 IamInstanceProfile
	instanceType        InstanceType
	kubeletExtraConfig  UserData
	labels              UserData
	securityGroups      NetworkInterfaces/Groups
	taints              UserData
`

const nodegroupProperties = `
	name                   NodegroupName
	amiFamily              AmiType
	availabilityZones      Subnets
	desiredCapacity        ScalingConfig/DesiredSize
	iam                    NodeRole
	instanceSelector       InstanceTypes
	instanceType           InstanceTypes
	instanceTypes          InstanceTypes
	labels                 Labels
	launchTemplate.version LaunchTemplate/Version
	maxSize                ScalingConfig/MaxSize
	minSize                ScalingConfig/MinSize
	nodeRepairConfig       NodeRepairConfig
	privateNetworking      Subnets
	releaseVersion         ReleaseVersion
	spot                   CapacityType
	subnets                Subnets
	tags                   Tags
	taints                 Taints
	updateConfig           UpdateConfig
`

const scalingProperties = `
	asgMetricsCollection     MetricsCollection Metrics
	classicLoadBalancerNames LoadBalancerNames
	desiredCapacity          DesiredCapacity
	instancesDistribution    MixedInstancesPolicy/InstancesDistribution
	maxInstanceLifetime      MaxInstanceLifetime
	maxSize                  MaxSize
	minSize                  MinSize
	tags                     Tags
	targetGroupARNs          TargetGroupARNs
`

const addonProperties = `
	name                                         AddonName
	version                                      AddonVersion
	configurationValues                          ConfigurationValues
	serviceAccountRoleARN                        ServiceAccountRoleArn
	tags                                         Tags
	namespaceConfig                              NamespaceConfig
	podIdentityAssociations[].serviceAccountName PodIdentityAssociations/ServiceAccount
	podIdentityAssociations[].roleARN            PodIdentityAssociations/RoleArn
`

const loginProperties = `
	name           IdentityProviderConfigName
	type           Type
	issuerURL      Oidc/IssuerUrl
	clientID       Oidc/ClientId
	usernameClaim  Oidc/UsernameClaim
	usernamePrefix Oidc/UsernamePrefix
	groupsClaim    Oidc/GroupsClaim
	groupsPrefix   Oidc/GroupsPrefix
	requiredClaims Oidc/RequiredClaims
	tags           Tags
`

const associationProperties = `
	namespace          Namespace
	serviceAccountName ServiceAccount
	roleARN            RoleArn
	targetRoleARN      TargetRoleArn
	disableSessionTags DisableSessionTags
	policy             Policy
	tags               Tags
`

const podRoleProperties = `
	permissionPolicy       Policies
	permissionPolicyARNs   ManagedPolicyArns
	permissionPolicyName   Policies/PolicyName
	permissionsBoundaryARN PermissionsBoundary
	roleName               RoleName
	wellKnownPolicies      Policies
`

const accountProperties = `
	attachPolicy        Policies
	attachPolicyARNs    ManagedPolicyArns
	permissionsBoundary PermissionsBoundary
	roleName            RoleName
	subjectPattern      AssumeRolePolicyDocument
	tags                Tags
	wellKnownPolicies   Policies
`

// remarks is an entry's note, with the reason why it is replaced although AWS can change it in place.
func (e entry) remarks() string {
	said := []string{e.note, properties()[e.path].why}
	return strings.Join(slices.DeleteFunc(said, func(s string) bool { return s == "" }), "; ")
}
