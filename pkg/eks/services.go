package eks

import (
	"context"
	"unsafe"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/weaveworks/eksctl/pkg/awsapi"
)

// The SDK's clients have methods for every operation of their service: 600 of EC2 alone. The linker leaves out those that nothing
// calls, but only of types that never become part of an interface value once anything that is linked calls methods by a computed
// name, as the templates of Helm charts do. So no client does: what this package hands around are the types below, with the
// operations that are used, and they hold their client where no type descriptor leads to it. That is 48 MB of the binary and 50 MB
// of resident memory (docs/performance.md); TestNothingUnusedIsLinked holds it.
//
// Where eksctl wants the interface of a whole service, the embedded one stands for the rest. It is nil: an operation that eksctl
// comes to call is added here, and calling one that is missing is a panic that guarded turns into an error.

// hidden is a pointer whose type is not found by reflection. It has no methods: the type of their results would give it away.
type hidden[T any] struct{ pointer unsafe.Pointer }

func hide[T any](p *T) hidden[T] {
	return hidden[T]{unsafe.Pointer(p)} //nolint:gosec // shown turns it back into the same type, and the field keeps it alive
}

func shown[T any](h hidden[T]) *T { return (*T)(h.pointer) }

type asgService struct {
	awsapi.ASG
	client hidden[autoscaling.Client]
}

func (s asgService) CreateOrUpdateTags(ctx context.Context, in *autoscaling.CreateOrUpdateTagsInput, o ...func(*autoscaling.Options)) (*autoscaling.CreateOrUpdateTagsOutput, error) {
	return shown(s.client).CreateOrUpdateTags(ctx, in, o...)
}

func (s asgService) DeleteTags(ctx context.Context, in *autoscaling.DeleteTagsInput, o ...func(*autoscaling.Options)) (*autoscaling.DeleteTagsOutput, error) {
	return shown(s.client).DeleteTags(ctx, in, o...)
}

func (s asgService) DescribeAutoScalingGroups(ctx context.Context, in *autoscaling.DescribeAutoScalingGroupsInput, o ...func(*autoscaling.Options)) (*autoscaling.DescribeAutoScalingGroupsOutput, error) {
	return shown(s.client).DescribeAutoScalingGroups(ctx, in, o...)
}

func (s asgService) ResumeProcesses(ctx context.Context, in *autoscaling.ResumeProcessesInput, o ...func(*autoscaling.Options)) (*autoscaling.ResumeProcessesOutput, error) {
	return shown(s.client).ResumeProcesses(ctx, in, o...)
}

func (s asgService) SuspendProcesses(ctx context.Context, in *autoscaling.SuspendProcessesInput, o ...func(*autoscaling.Options)) (*autoscaling.SuspendProcessesOutput, error) {
	return shown(s.client).SuspendProcesses(ctx, in, o...)
}

func (s asgService) UpdateAutoScalingGroup(ctx context.Context, in *autoscaling.UpdateAutoScalingGroupInput, o ...func(*autoscaling.Options)) (*autoscaling.UpdateAutoScalingGroupOutput, error) {
	return shown(s.client).UpdateAutoScalingGroup(ctx, in, o...)
}

type cfnService struct {
	awsapi.CloudFormation
	client hidden[cloudformation.Client]
}

func (s cfnService) CreateStack(ctx context.Context, in *cloudformation.CreateStackInput, o ...func(*cloudformation.Options)) (*cloudformation.CreateStackOutput, error) {
	return shown(s.client).CreateStack(ctx, in, o...)
}

func (s cfnService) DeleteStack(ctx context.Context, in *cloudformation.DeleteStackInput, o ...func(*cloudformation.Options)) (*cloudformation.DeleteStackOutput, error) {
	return shown(s.client).DeleteStack(ctx, in, o...)
}

func (s cfnService) DescribeStackEvents(ctx context.Context, in *cloudformation.DescribeStackEventsInput, o ...func(*cloudformation.Options)) (*cloudformation.DescribeStackEventsOutput, error) {
	return shown(s.client).DescribeStackEvents(ctx, in, o...)
}

func (s cfnService) DescribeStacks(ctx context.Context, in *cloudformation.DescribeStacksInput, o ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error) {
	return shown(s.client).DescribeStacks(ctx, in, o...)
}

func (s cfnService) GetTemplate(ctx context.Context, in *cloudformation.GetTemplateInput, o ...func(*cloudformation.Options)) (*cloudformation.GetTemplateOutput, error) {
	return shown(s.client).GetTemplate(ctx, in, o...)
}

func (s cfnService) ListStacks(ctx context.Context, in *cloudformation.ListStacksInput, o ...func(*cloudformation.Options)) (*cloudformation.ListStacksOutput, error) {
	return shown(s.client).ListStacks(ctx, in, o...)
}

func (s cfnService) UpdateStack(ctx context.Context, in *cloudformation.UpdateStackInput, o ...func(*cloudformation.Options)) (*cloudformation.UpdateStackOutput, error) {
	return shown(s.client).UpdateStack(ctx, in, o...)
}

func (s cfnService) UpdateTerminationProtection(ctx context.Context, in *cloudformation.UpdateTerminationProtectionInput, o ...func(*cloudformation.Options)) (*cloudformation.UpdateTerminationProtectionOutput, error) {
	return shown(s.client).UpdateTerminationProtection(ctx, in, o...)
}

type logsService struct {
	awsapi.CloudWatchLogs
	client hidden[cloudwatchlogs.Client]
}

func (s logsService) DescribeLogGroups(ctx context.Context, in *cloudwatchlogs.DescribeLogGroupsInput, o ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DescribeLogGroupsOutput, error) {
	return shown(s.client).DescribeLogGroups(ctx, in, o...)
}

func (s logsService) PutRetentionPolicy(ctx context.Context, in *cloudwatchlogs.PutRetentionPolicyInput, o ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.PutRetentionPolicyOutput, error) {
	return shown(s.client).PutRetentionPolicy(ctx, in, o...)
}

type cloudtrailService struct{ client hidden[cloudtrail.Client] }

func (s cloudtrailService) LookupEvents(ctx context.Context, in *cloudtrail.LookupEventsInput, o ...func(*cloudtrail.Options)) (*cloudtrail.LookupEventsOutput, error) {
	return shown(s.client).LookupEvents(ctx, in, o...)
}

type ec2Service struct {
	awsapi.EC2
	client hidden[ec2.Client]
}

func (s ec2Service) DescribeAvailabilityZones(ctx context.Context, in *ec2.DescribeAvailabilityZonesInput, o ...func(*ec2.Options)) (*ec2.DescribeAvailabilityZonesOutput, error) {
	return shown(s.client).DescribeAvailabilityZones(ctx, in, o...)
}

func (s ec2Service) DescribeImages(ctx context.Context, in *ec2.DescribeImagesInput, o ...func(*ec2.Options)) (*ec2.DescribeImagesOutput, error) {
	return shown(s.client).DescribeImages(ctx, in, o...)
}

func (s ec2Service) DescribeInstanceTypeOfferings(ctx context.Context, in *ec2.DescribeInstanceTypeOfferingsInput, o ...func(*ec2.Options)) (*ec2.DescribeInstanceTypeOfferingsOutput, error) {
	return shown(s.client).DescribeInstanceTypeOfferings(ctx, in, o...)
}

func (s ec2Service) DescribeInstanceTypes(ctx context.Context, in *ec2.DescribeInstanceTypesInput, o ...func(*ec2.Options)) (*ec2.DescribeInstanceTypesOutput, error) {
	return shown(s.client).DescribeInstanceTypes(ctx, in, o...)
}

func (s ec2Service) DescribeLaunchTemplateVersions(ctx context.Context, in *ec2.DescribeLaunchTemplateVersionsInput, o ...func(*ec2.Options)) (*ec2.DescribeLaunchTemplateVersionsOutput, error) {
	return shown(s.client).DescribeLaunchTemplateVersions(ctx, in, o...)
}

func (s ec2Service) DescribeRouteTables(ctx context.Context, in *ec2.DescribeRouteTablesInput, o ...func(*ec2.Options)) (*ec2.DescribeRouteTablesOutput, error) {
	return shown(s.client).DescribeRouteTables(ctx, in, o...)
}

func (s ec2Service) DescribeSubnets(ctx context.Context, in *ec2.DescribeSubnetsInput, o ...func(*ec2.Options)) (*ec2.DescribeSubnetsOutput, error) {
	return shown(s.client).DescribeSubnets(ctx, in, o...)
}

func (s ec2Service) DescribeVpcEndpointServices(ctx context.Context, in *ec2.DescribeVpcEndpointServicesInput, o ...func(*ec2.Options)) (*ec2.DescribeVpcEndpointServicesOutput, error) {
	return shown(s.client).DescribeVpcEndpointServices(ctx, in, o...)
}

func (s ec2Service) DescribeVpcs(ctx context.Context, in *ec2.DescribeVpcsInput, o ...func(*ec2.Options)) (*ec2.DescribeVpcsOutput, error) {
	return shown(s.client).DescribeVpcs(ctx, in, o...)
}

type iamService struct {
	awsapi.IAM
	client hidden[iam.Client]
}

func (s iamService) AttachRolePolicy(ctx context.Context, in *iam.AttachRolePolicyInput, o ...func(*iam.Options)) (*iam.AttachRolePolicyOutput, error) {
	return shown(s.client).AttachRolePolicy(ctx, in, o...)
}

func (s iamService) CreateOpenIDConnectProvider(ctx context.Context, in *iam.CreateOpenIDConnectProviderInput, o ...func(*iam.Options)) (*iam.CreateOpenIDConnectProviderOutput, error) {
	return shown(s.client).CreateOpenIDConnectProvider(ctx, in, o...)
}

func (s iamService) DeleteOpenIDConnectProvider(ctx context.Context, in *iam.DeleteOpenIDConnectProviderInput, o ...func(*iam.Options)) (*iam.DeleteOpenIDConnectProviderOutput, error) {
	return shown(s.client).DeleteOpenIDConnectProvider(ctx, in, o...)
}

func (s iamService) DetachRolePolicy(ctx context.Context, in *iam.DetachRolePolicyInput, o ...func(*iam.Options)) (*iam.DetachRolePolicyOutput, error) {
	return shown(s.client).DetachRolePolicy(ctx, in, o...)
}

func (s iamService) GetInstanceProfile(ctx context.Context, in *iam.GetInstanceProfileInput, o ...func(*iam.Options)) (*iam.GetInstanceProfileOutput, error) {
	return shown(s.client).GetInstanceProfile(ctx, in, o...)
}

func (s iamService) GetOpenIDConnectProvider(ctx context.Context, in *iam.GetOpenIDConnectProviderInput, o ...func(*iam.Options)) (*iam.GetOpenIDConnectProviderOutput, error) {
	return shown(s.client).GetOpenIDConnectProvider(ctx, in, o...)
}

func (s iamService) ListAttachedRolePolicies(ctx context.Context, in *iam.ListAttachedRolePoliciesInput, o ...func(*iam.Options)) (*iam.ListAttachedRolePoliciesOutput, error) {
	return shown(s.client).ListAttachedRolePolicies(ctx, in, o...)
}

func (s iamService) UpdateAssumeRolePolicy(ctx context.Context, in *iam.UpdateAssumeRolePolicyInput, o ...func(*iam.Options)) (*iam.UpdateAssumeRolePolicyOutput, error) {
	return shown(s.client).UpdateAssumeRolePolicy(ctx, in, o...)
}

type sqsService struct{ client hidden[sqs.Client] }

func (s sqsService) DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput, o ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	return shown(s.client).DeleteMessageBatch(ctx, in, o...)
}

func (s sqsService) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, o ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	return shown(s.client).ReceiveMessage(ctx, in, o...)
}

type ssmService struct {
	awsapi.SSM
	client hidden[ssm.Client]
}

func (s ssmService) GetParameter(ctx context.Context, in *ssm.GetParameterInput, o ...func(*ssm.Options)) (*ssm.GetParameterOutput, error) {
	return shown(s.client).GetParameter(ctx, in, o...)
}
