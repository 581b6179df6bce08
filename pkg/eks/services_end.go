package eks

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// What only the end of a cluster calls. See services.go.

type elbService struct{ client hidden[elb.Client] }

type elbv2Service struct{ client hidden[elbv2.Client] }

func (s elbService) DeleteLoadBalancer(ctx context.Context, in *elb.DeleteLoadBalancerInput, o ...func(*elb.Options)) (*elb.DeleteLoadBalancerOutput, error) {
	return shown(s.client).DeleteLoadBalancer(ctx, in, o...)
}

func (s elbService) DescribeLoadBalancers(ctx context.Context, in *elb.DescribeLoadBalancersInput, o ...func(*elb.Options)) (*elb.DescribeLoadBalancersOutput, error) {
	return shown(s.client).DescribeLoadBalancers(ctx, in, o...)
}

func (s elbService) DescribeTags(ctx context.Context, in *elb.DescribeTagsInput, o ...func(*elb.Options)) (*elb.DescribeTagsOutput, error) {
	return shown(s.client).DescribeTags(ctx, in, o...)
}

func (s elbv2Service) DeleteLoadBalancer(ctx context.Context, in *elbv2.DeleteLoadBalancerInput, o ...func(*elbv2.Options)) (*elbv2.DeleteLoadBalancerOutput, error) {
	return shown(s.client).DeleteLoadBalancer(ctx, in, o...)
}

func (s elbv2Service) DescribeLoadBalancers(ctx context.Context, in *elbv2.DescribeLoadBalancersInput, o ...func(*elbv2.Options)) (*elbv2.DescribeLoadBalancersOutput, error) {
	return shown(s.client).DescribeLoadBalancers(ctx, in, o...)
}

func (s elbv2Service) DescribeTags(ctx context.Context, in *elbv2.DescribeTagsInput, o ...func(*elbv2.Options)) (*elbv2.DescribeTagsOutput, error) {
	return shown(s.client).DescribeTags(ctx, in, o...)
}

func (s ec2Service) DeleteNetworkInterface(ctx context.Context, in *ec2.DeleteNetworkInterfaceInput, o ...func(*ec2.Options)) (*ec2.DeleteNetworkInterfaceOutput, error) {
	return shown(s.client).DeleteNetworkInterface(ctx, in, o...)
}

func (s ec2Service) DeleteSecurityGroup(ctx context.Context, in *ec2.DeleteSecurityGroupInput, o ...func(*ec2.Options)) (*ec2.DeleteSecurityGroupOutput, error) {
	return shown(s.client).DeleteSecurityGroup(ctx, in, o...)
}

func (s ec2Service) DescribeNetworkInterfaces(ctx context.Context, in *ec2.DescribeNetworkInterfacesInput, o ...func(*ec2.Options)) (*ec2.DescribeNetworkInterfacesOutput, error) {
	return shown(s.client).DescribeNetworkInterfaces(ctx, in, o...)
}

func (s ec2Service) DescribeSecurityGroups(ctx context.Context, in *ec2.DescribeSecurityGroupsInput, o ...func(*ec2.Options)) (*ec2.DescribeSecurityGroupsOutput, error) {
	return shown(s.client).DescribeSecurityGroups(ctx, in, o...)
}

func (s ec2Service) DescribeVolumes(ctx context.Context, in *ec2.DescribeVolumesInput, o ...func(*ec2.Options)) (*ec2.DescribeVolumesOutput, error) {
	return shown(s.client).DescribeVolumes(ctx, in, o...)
}

func (s ec2Service) RevokeSecurityGroupIngress(ctx context.Context, in *ec2.RevokeSecurityGroupIngressInput, o ...func(*ec2.Options)) (*ec2.RevokeSecurityGroupIngressOutput, error) {
	return shown(s.client).RevokeSecurityGroupIngress(ctx, in, o...)
}

func (s iamService) ListOpenIDConnectProviderTags(ctx context.Context, in *iam.ListOpenIDConnectProviderTagsInput, o ...func(*iam.Options)) (*iam.ListOpenIDConnectProviderTagsOutput, error) {
	return shown(s.client).ListOpenIDConnectProviderTags(ctx, in, o...)
}

func (s iamService) ListOpenIDConnectProviders(ctx context.Context, in *iam.ListOpenIDConnectProvidersInput, o ...func(*iam.Options)) (*iam.ListOpenIDConnectProvidersOutput, error) {
	return shown(s.client).ListOpenIDConnectProviders(ctx, in, o...)
}

func (s iamService) ListRoleTags(ctx context.Context, in *iam.ListRoleTagsInput, o ...func(*iam.Options)) (*iam.ListRoleTagsOutput, error) {
	return shown(s.client).ListRoleTags(ctx, in, o...)
}

func (s iamService) ListRoles(ctx context.Context, in *iam.ListRolesInput, o ...func(*iam.Options)) (*iam.ListRolesOutput, error) {
	return shown(s.client).ListRoles(ctx, in, o...)
}

func (s logsService) DeleteLogGroup(ctx context.Context, in *cloudwatchlogs.DeleteLogGroupInput, o ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DeleteLogGroupOutput, error) {
	return shown(s.client).DeleteLogGroup(ctx, in, o...)
}
