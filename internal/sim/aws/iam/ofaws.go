package iam

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// ofAWS finds a policy of AWS. Those around EKS, its add-ons and its users' applications are known; ids, dates and version
// numbers are made up, and most documents are left out, which GetPolicyVersion says.
func ofAWS(partition, arn string) (*managed, bool) {
	rest, ok := strings.CutPrefix(arn, "arn:"+partition+":iam::aws:policy/")
	if !ok {
		return nil, false
	}
	document, known := policiesOfAWS()[rest]
	if !known {
		return nil, false
	}
	return managedOfAWS(rest, document), true
}

func allOfAWS(partition string) map[string]*managed {
	out := map[string]*managed{}
	for name, document := range policiesOfAWS() {
		out["arn:"+partition+":iam::aws:policy/"+name] = managedOfAWS(name, document)
	}
	return out
}

func managedOfAWS(pathAndName, document string) *managed {
	slash := strings.LastIndexByte(pathAndName, '/')
	path, name := "/", pathAndName
	if slash >= 0 {
		path, name = "/"+pathAndName[:slash+1], pathAndName[slash+1:]
	}
	sum := sha256.Sum256([]byte(pathAndName))
	created := time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)
	return &managed{
		Name: name, Path: path, ID: "ANPA" + strings.ToUpper(hex.EncodeToString(sum[:]))[:17], Created: created, Changed: created,
		Versions: []version{{ID: "v1", Document: document, Created: created}}, Default: "v1",
	}
}

// allow is a document that allows actions on everything.
func allow(actions ...string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["` + strings.Join(actions, `","`) + `"],"Resource":"*"}]}`
}

// policiesOfAWS are the documents by path and name; an empty one is not carried.
// Source: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html.
func policiesOfAWS() map[string]string {
	pull := []string{"ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"}
	out := map[string]string{
		"AdministratorAccess":                    allow("*"),
		"AmazonS3FullAccess":                     allow("s3:*", "s3-object-lambda:*"),
		"AmazonS3ReadOnlyAccess":                 allow("s3:Get*", "s3:List*", "s3:Describe*", "s3-object-lambda:Get*", "s3-object-lambda:List*"),
		"AmazonEC2ContainerRegistryPullOnly":     allow(append(pull, "ecr:BatchImportUpstreamImage")...),
		"AmazonEKSFargatePodExecutionRolePolicy": allow(pull...),
	}
	for _, name := range []string{
		"AmazonEKSClusterPolicy", "AmazonEKSServicePolicy", "AmazonEKSVPCResourceController", "AmazonEKSWorkerNodePolicy",
		"AmazonEKSWorkerNodeMinimalPolicy", "AmazonEKS_CNI_Policy", "AmazonEKSComputePolicy", "AmazonEKSBlockStoragePolicy",
		"AmazonEKSBlockStoragePolicyV2", "AmazonEKSLoadBalancingPolicy", "AmazonEKSNetworkingPolicy", "AmazonEKSLocalOutpostClusterPolicy",
		"AmazonEKSDashboardConsoleReadOnly", "AmazonEKSConnectorServiceRolePolicy",
		"AmazonEC2ContainerRegistryReadOnly", "AmazonEC2ContainerRegistryPowerUser", "AmazonEC2ContainerRegistryFullAccess",
		"AmazonElasticContainerRegistryPublicReadOnly", "AmazonSSMManagedInstanceCore", "AmazonSSMFullAccess", "AmazonSSMReadOnlyAccess",
		"CloudWatchAgentServerPolicy", "CloudWatchAgentAdminPolicy", "CloudWatchFullAccess", "CloudWatchFullAccessV2", "CloudWatchReadOnlyAccess",
		"CloudWatchLogsFullAccess", "CloudWatchLogsReadOnlyAccess", "AWSXRayDaemonWriteAccess", "AWSXrayWriteOnlyAccess", "AWSXrayReadOnlyAccess", "AWSXrayFullAccess",
		"AmazonPrometheusRemoteWriteAccess", "AmazonPrometheusQueryAccess", "AmazonPrometheusFullAccess",
		"AutoScalingFullAccess", "AutoScalingReadOnlyAccess", "ElasticLoadBalancingFullAccess", "ElasticLoadBalancingReadOnly",
		"AmazonEC2FullAccess", "AmazonEC2ReadOnlyAccess", "AmazonVPCFullAccess", "AmazonVPCReadOnlyAccess",
		"AmazonRoute53FullAccess", "AmazonRoute53ReadOnlyAccess", "AmazonRoute53DomainsFullAccess",
		"AmazonDynamoDBFullAccess", "AmazonDynamoDBReadOnlyAccess", "AmazonSQSFullAccess", "AmazonSQSReadOnlyAccess", "AmazonSNSFullAccess",
		"AmazonSNSReadOnlyAccess", "AmazonRDSFullAccess", "AmazonRDSReadOnlyAccess", "AmazonElastiCacheFullAccess", "AmazonElastiCacheReadOnlyAccess",
		"AmazonElasticFileSystemFullAccess", "AmazonElasticFileSystemReadOnlyAccess", "AmazonFSxFullAccess", "AmazonFSxReadOnlyAccess",
		"AWSAppMeshEnvoyAccess", "AWSAppMeshFullAccess", "AWSCloudMapFullAccess", "AWSCertificateManagerFullAccess", "AWSCertificateManagerReadOnly",
		"AWSMarketplaceMeteringFullAccess", "AWSMarketplaceMeteringRegisterUsage", "AWSStepFunctionsFullAccess", "SecretsManagerReadWrite",
		"IAMFullAccess", "IAMReadOnlyAccess", "PowerUserAccess", "ReadOnlyAccess", "SecurityAudit", "job-function/ViewOnlyAccess",
		"service-role/AmazonEBSCSIDriverPolicy", "service-role/AmazonEBSCSIDriverPolicyV2", "service-role/AmazonEFSCSIDriverPolicy", "service-role/AmazonS3FilesCSIDriverPolicy",
		"service-role/AWSLambdaBasicExecutionRole", "service-role/AmazonEC2RoleforSSM", "service-role/AmazonSageMakerHyperPodServiceRolePolicy",
		"AmazonFSxConsoleFullAccess", "AWSPrivateCAConnectorForKubernetesPolicy", "AmazonGuardDutyFullAccess", "AWSBackupFullAccess",
	} {
		out[name] = ""
	}
	return out
}
