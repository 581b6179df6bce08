package eks_test

import (
	"slices"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awseks "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
)

func TestFargateProfilesOneAtATime(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	name := sdk.String("c1")
	role := a.role("pods", "eks-fargate-pods.amazonaws.com")
	in := &awseks.CreateFargateProfileInput{
		ClusterName: name, FargateProfileName: sdk.String("f1"), PodExecutionRoleArn: &role, Selectors: []types.FargateProfileSelector{{Namespace: sdk.String("default")}},
	}
	public := *in
	public.Subnets = []string{a.public}
	_, err := a.api.CreateFargateProfile(t.Context(), &public)
	refused(t, err, "InvalidParameterException", "Subnet "+a.public+" provided in Fargate Profile is not a private subnet")
	untrusted := *in
	untrusted.PodExecutionRoleArn = sdk.String(a.role("wrong", "ec2.amazonaws.com"))
	_, err = a.api.CreateFargateProfile(t.Context(), &untrusted)
	refused(t, err, "InvalidParameterException", "Misconfigured PodExecutionRole Trust Policy; Please add the eks-fargate-pods.amazonaws.com Service Principal")
	made, err := a.api.CreateFargateProfile(t.Context(), in)
	must(t, err)
	if !slices.Equal(made.FargateProfile.Subnets, a.subnets) {
		t.Errorf("profile is in %v, want the private subnets of the cluster", made.FargateProfile.Subnets)
	}
	a.pass(2 * time.Minute)
	got, err := a.api.DescribeFargateProfile(t.Context(), &awseks.DescribeFargateProfileInput{ClusterName: name, FargateProfileName: in.FargateProfileName})
	must(t, err)
	if got.FargateProfile.Status != types.FargateProfileStatusActive {
		t.Errorf("profile is %s", got.FargateProfile.Status)
	}
	_, err = a.api.DeleteCluster(t.Context(), &awseks.DeleteClusterInput{Name: name})
	refused(t, err, "ResourceInUseException", "Cluster has fargate profiles attached")
	_, err = a.api.DeleteFargateProfile(t.Context(), &awseks.DeleteFargateProfileInput{ClusterName: name, FargateProfileName: in.FargateProfileName})
	must(t, err)
	a.pass(3 * time.Minute)
	list, err := a.api.ListFargateProfiles(t.Context(), &awseks.ListFargateProfilesInput{ClusterName: name})
	must(t, err)
	if len(list.FargateProfileNames) != 0 {
		t.Errorf("profiles left: %v", list.FargateProfileNames)
	}
}

func TestIdentityProviderConfigLifecycle(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	name := sdk.String("c1")
	ref := &types.IdentityProviderConfig{Type: sdk.String("oidc"), Name: sdk.String("sso")}
	in := &awseks.AssociateIdentityProviderConfigInput{ClusterName: name, Oidc: &types.OidcIdentityProviderConfigRequest{
		IdentityProviderConfigName: ref.Name, IssuerUrl: sdk.String("http://issuer.example"), ClientId: sdk.String("kubernetes"),
	}}
	_, err := a.api.AssociateIdentityProviderConfig(t.Context(), in)
	refused(t, err, "InvalidParameterException", "")
	in.Oidc.IssuerUrl = sdk.String("https://issuer.example")
	made, err := a.api.AssociateIdentityProviderConfig(t.Context(), in)
	must(t, err)
	a.pass(11 * time.Minute)
	got, err := a.api.DescribeIdentityProviderConfig(t.Context(), &awseks.DescribeIdentityProviderConfigInput{ClusterName: name, IdentityProviderConfig: ref})
	must(t, err)
	if got.IdentityProviderConfig.Oidc.Status != types.ConfigStatusActive || a.update(*made.Update.Id).Status != types.UpdateStatusSuccessful {
		t.Errorf("provider is %s", got.IdentityProviderConfig.Oidc.Status)
	}
	second := *in.Oidc
	second.IdentityProviderConfigName = sdk.String("other")
	_, err = a.api.AssociateIdentityProviderConfig(t.Context(), &awseks.AssociateIdentityProviderConfigInput{ClusterName: name, Oidc: &second})
	refused(t, err, "InvalidRequestException", "")
	_, err = a.api.DisassociateIdentityProviderConfig(t.Context(), &awseks.DisassociateIdentityProviderConfigInput{ClusterName: name, IdentityProviderConfig: ref})
	must(t, err)
	a.pass(11 * time.Minute)
	list, err := a.api.ListIdentityProviderConfigs(t.Context(), &awseks.ListIdentityProviderConfigsInput{ClusterName: name})
	must(t, err)
	if len(list.IdentityProviderConfigs) != 0 {
		t.Errorf("providers left: %v", list.IdentityProviderConfigs)
	}
}

func TestInsightsTellOfUpgradeReadiness(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	name := sdk.String("c1")
	a.addon("coredns", func(in *awseks.CreateAddonInput) { in.AddonVersion = sdk.String("v1.12.2-eksbuild.4") })
	_, err := a.api.StartInsightsRefresh(t.Context(), &awseks.StartInsightsRefreshInput{ClusterName: name})
	must(t, err)
	a.pass(3 * time.Minute)
	done, err := a.api.DescribeInsightsRefresh(t.Context(), &awseks.DescribeInsightsRefreshInput{ClusterName: name})
	must(t, err)
	if done.Status != types.InsightsRefreshStatusCompleted {
		t.Errorf("refresh is %s", done.Status)
	}
	list, err := a.api.ListInsights(t.Context(), &awseks.ListInsightsInput{ClusterName: name, Filter: &types.InsightsFilter{Statuses: []types.InsightStatusValue{types.InsightStatusValueWarning}}})
	must(t, err)
	if len(list.Insights) != 1 || *list.Insights[0].Name != "EKS add-on version compatibility" || *list.Insights[0].KubernetesVersion != "1.35" {
		t.Fatalf("warnings are %+v", list.Insights)
	}
	got, err := a.api.DescribeInsight(t.Context(), &awseks.DescribeInsightInput{ClusterName: name, Id: list.Insights[0].Id})
	must(t, err)
	if len(got.Insight.Resources) != 1 {
		t.Errorf("insight is about %+v", got.Insight.Resources)
	}
	_, err = a.api.DescribeInsight(t.Context(), &awseks.DescribeInsightInput{ClusterName: name, Id: sdk.String("none")})
	refused(t, err, "ResourceNotFoundException", "")
}

func TestTagResource(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	arns := []*string{a.describe("c1").Arn, a.nodegroup("ng", 0).NodegroupArn, a.addon("vpc-cni").AddonArn}
	for _, arn := range arns {
		_, err := a.api.TagResource(t.Context(), &awseks.TagResourceInput{ResourceArn: arn, Tags: map[string]string{"a": "1", "b": "2"}})
		must(t, err)
		_, err = a.api.UntagResource(t.Context(), &awseks.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"a", "never"}})
		must(t, err)
		out, err := a.api.ListTagsForResource(t.Context(), &awseks.ListTagsForResourceInput{ResourceArn: arn})
		must(t, err)
		if len(out.Tags) != 1 || out.Tags["b"] != "2" {
			t.Errorf("tags of %s are %v", *arn, out.Tags)
		}
	}
	_, err := a.api.TagResource(t.Context(), &awseks.TagResourceInput{ResourceArn: arns[0], Tags: map[string]string{"aws:a": "1"}})
	refused(t, err, "BadRequestException", "")
	_, err = a.api.ListTagsForResource(t.Context(), &awseks.ListTagsForResourceInput{ResourceArn: sdk.String("arn:aws:eks:us-west-2:111122223333:cluster/none")})
	refused(t, err, "NotFoundException", "")
}
