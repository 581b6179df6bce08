package eks_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	awseks "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
)

type m = map[string]any

func template(resources m, outputs ...string) *string {
	out := m{}
	for _, o := range outputs {
		logical, attribute, _ := strings.Cut(o, ".")
		out[strings.ReplaceAll(o, ".", "")] = m{"Value": m{"Fn::GetAtt": []any{logical, attribute}}}
	}
	t := m{"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}
	if len(out) > 0 {
		t["Outputs"] = out
	}
	raw, err := json.Marshal(t)
	if err != nil {
		panic(err)
	}
	return sdk.String(string(raw))
}

func (a *account) stacks() *cloudformation.Client { return cloudformation.NewFromConfig(a.Config()) }

// stack makes or updates a stack and waits; it gives the status and the outputs.
func (a *account) stack(name string, body *string, wait time.Duration) (cfntypes.StackStatus, map[string]string) {
	a.t.Helper()
	ctx := a.t.Context()
	if _, err := a.stacks().DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name}); err != nil {
		_, err := a.stacks().CreateStack(ctx, &cloudformation.CreateStackInput{StackName: &name, TemplateBody: body, Tags: []cfntypes.Tag{{Key: sdk.String("team"), Value: sdk.String("a")}}})
		must(a.t, err)
	} else {
		_, err := a.stacks().UpdateStack(ctx, &cloudformation.UpdateStackInput{StackName: &name, TemplateBody: body, Tags: []cfntypes.Tag{{Key: sdk.String("team"), Value: sdk.String("a")}}})
		must(a.t, err)
	}
	a.pass(wait)
	out, err := a.stacks().DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	must(a.t, err)
	outputs := map[string]string{}
	for _, o := range out.Stacks[0].Outputs {
		outputs[*o.OutputKey] = *o.OutputValue
	}
	return out.Stacks[0].StackStatus, outputs
}

// complete fails the test with the stack's events unless the status is as wanted.
func (a *account) complete(name string, got, want cfntypes.StackStatus) {
	a.t.Helper()
	if got == want {
		return
	}
	out, err := a.stacks().DescribeStackEvents(a.t.Context(), &cloudformation.DescribeStackEventsInput{StackName: &name})
	must(a.t, err)
	for _, e := range out.StackEvents {
		a.t.Logf("%s %s %s", *e.LogicalResourceId, e.ResourceStatus, sdk.ToString(e.ResourceStatusReason))
	}
	a.t.Fatalf("stack %s is %s, want %s", name, got, want)
}

func (a *account) clusterResource(version string, change m) m {
	properties := m{
		"Name": "c1", "Version": version, "RoleArn": a.role("service", "eks.amazonaws.com"),
		"ResourcesVpcConfig": m{"SubnetIds": a.subnets, "EndpointPublicAccess": true, "EndpointPrivateAccess": false},
		"AccessConfig":       m{"AuthenticationMode": "API_AND_CONFIG_MAP", "BootstrapClusterCreatorAdminPermissions": true},
		"Logging":            m{"ClusterLogging": m{"EnabledTypes": []any{m{"Type": "audit"}}}},
		"Tags":               []any{m{"Key": "Name", "Value": "x/ControlPlane"}},
	}
	maps.Copy(properties, change)
	return m{"Type": "AWS::EKS::Cluster", "Properties": properties}
}

func TestStackMakesAClusterForWhoStartedIt(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.network()
	status, outputs := a.stack("eksctl-c1-cluster", template(m{"ControlPlane": a.clusterResource("1.34", nil)},
		"ControlPlane.Arn", "ControlPlane.Endpoint", "ControlPlane.CertificateAuthorityData", "ControlPlane.ClusterSecurityGroupId"), 12*time.Minute)
	a.complete("eksctl-c1-cluster", status, cfntypes.StackStatusCreateComplete)
	c := a.describe("c1")
	want := map[string]string{
		"ControlPlaneArn": *c.Arn, "ControlPlaneEndpoint": *c.Endpoint, "ControlPlaneCertificateAuthorityData": *c.CertificateAuthority.Data,
		"ControlPlaneClusterSecurityGroupId": *c.ResourcesVpcConfig.ClusterSecurityGroupId,
	}
	if !maps.Equal(outputs, want) {
		t.Errorf("outputs are %v, want %v", outputs, want)
	}
	if c.Tags["team"] != "a" || c.Tags["Name"] != "x/ControlPlane" || c.Tags["aws:cloudformation:stack-name"] != "eksctl-c1-cluster" {
		t.Errorf("tags are %v", c.Tags)
	}
	if got := c.Logging.ClusterLogging[0]; !slices.Equal(got.Types, []types.LogType{"audit"}) {
		t.Errorf("logging is %+v", c.Logging)
	}
	entries, err := a.api.ListAccessEntries(t.Context(), &awseks.ListAccessEntriesInput{ClusterName: sdk.String("c1")})
	must(t, err)
	if !slices.Equal(entries.AccessEntries, []string{admin}) {
		t.Errorf("entries are %v, want that of the stack's creator", entries.AccessEntries)
	}
	_, err = a.stacks().DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: sdk.String("eksctl-c1-cluster")})
	must(t, err)
	a.pass(5 * time.Minute)
	_, err = a.api.DescribeCluster(t.Context(), &awseks.DescribeClusterInput{Name: sdk.String("c1")})
	refused(t, err, "ResourceNotFoundException", "")
}

func TestStackUpdatesAClusterOneAspectAfterTheOther(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.network()
	resource := a.clusterResource("1.34", nil)
	status, _ := a.stack("s", template(m{"ControlPlane": resource}), 12*time.Minute)
	a.complete("s", status, cfntypes.StackStatusCreateComplete)
	p := resource["Properties"].(m)
	p["Version"], p["Logging"] = "1.35", m{"ClusterLogging": m{"EnabledTypes": []any{m{"Type": "api"}}}}
	p["ResourcesVpcConfig"] = m{"SubnetIds": a.subnets, "EndpointPublicAccess": true, "EndpointPrivateAccess": true}
	status, _ = a.stack("s", template(m{"ControlPlane": resource}), 20*time.Minute)
	a.complete("s", status, cfntypes.StackStatusUpdateComplete)
	c := a.describe("c1")
	if *c.Version != "1.35" || !c.ResourcesVpcConfig.EndpointPrivateAccess || !slices.Equal(c.Logging.ClusterLogging[0].Types, []types.LogType{"api"}) {
		t.Errorf("cluster is %s, private %t, %+v", *c.Version, c.ResourcesVpcConfig.EndpointPrivateAccess, c.Logging.ClusterLogging)
	}
}

func TestStackRefusesVersionWithOtherChangesOfANodegroup(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	properties := m{
		"ClusterName": "c1", "NodegroupName": "ng", "NodeRole": a.role("node", "ec2.amazonaws.com"), "Subnets": a.subnets, "InstanceTypes": []any{"m5.large"},
		"ScalingConfig": m{"MinSize": 1, "MaxSize": 2, "DesiredSize": 1}, "Labels": m{"a": "1", "b": "2"},
	}
	body := func() *string {
		return template(m{"ManagedNodeGroup": m{"Type": "AWS::EKS::Nodegroup", "Properties": properties}})
	}
	status, _ := a.stack("s", body(), 4*time.Minute)
	a.complete("s", status, cfntypes.StackStatusCreateComplete)
	properties["Labels"] = m{"a": "1", "c": "3"}
	status, _ = a.stack("s", body(), 4*time.Minute)
	a.complete("s", status, cfntypes.StackStatusUpdateComplete)
	if got := a.describeGroup("ng").Labels; !maps.Equal(got, map[string]string{"a": "1", "c": "3"}) {
		t.Errorf("labels are %v", got)
	}
	a.upgrade("1.35")
	properties["Version"], properties["Labels"] = "1.35", m{}
	status, _ = a.stack("s", body(), 4*time.Minute)
	a.complete("s", status, cfntypes.StackStatusUpdateRollbackComplete)
	properties["Labels"], properties["ForceUpdateEnabled"] = m{"a": "1", "c": "3"}, true
	status, _ = a.stack("s", body(), 20*time.Minute)
	a.complete("s", status, cfntypes.StackStatusUpdateComplete)
	if got := a.describeGroup("ng"); *got.Version != "1.35" {
		t.Errorf("version is %s", *got.Version)
	}
	_, err := a.stacks().DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: sdk.String("s")})
	must(t, err)
	a.pass(5 * time.Minute)
	_, err = a.api.DescribeNodegroup(t.Context(), &awseks.DescribeNodegroupInput{ClusterName: sdk.String("c1"), NodegroupName: sdk.String("ng")})
	refused(t, err, "ResourceNotFoundException", "")
}

func TestStackMakesWhatIsInACluster(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1", func(in *awseks.CreateClusterInput) { in.BootstrapSelfManagedAddons = sdk.Bool(false) })
	dev, app := a.role("dev", "ec2.amazonaws.com"), a.role("app", "pods.eks.amazonaws.com")
	resources := m{
		"Entry": m{"Type": "AWS::EKS::AccessEntry", "Properties": m{
			"ClusterName": "c1", "PrincipalArn": dev, "KubernetesGroups": []any{"devs"},
			"AccessPolicies": []any{m{"PolicyArn": viewer, "AccessScope": m{"Type": "namespace", "Namespaces": []any{"a"}}}},
		}},
		"Addon":       m{"Type": "AWS::EKS::Addon", "Properties": m{"ClusterName": "c1", "AddonName": "vpc-cni", "ConfigurationValues": "{}"}},
		"Association": m{"Type": "AWS::EKS::PodIdentityAssociation", "Properties": m{"ClusterName": "c1", "Namespace": "apps", "ServiceAccount": "web", "RoleArn": app}},
		"Profile": m{"Type": "AWS::EKS::FargateProfile", "Properties": m{
			"ClusterName": "c1", "FargateProfileName": "f", "PodExecutionRoleArn": a.role("pods", "eks-fargate-pods.amazonaws.com"),
			"Selectors": []any{m{"Namespace": "default", "Labels": []any{m{"Key": "k", "Value": "v"}}}},
		}},
		"Identity": m{"Type": "AWS::EKS::IdentityProviderConfig", "Properties": m{
			"ClusterName": "c1", "Type": "oidc", "IdentityProviderConfigName": "sso", "Oidc": m{"IssuerUrl": "https://issuer.example", "ClientId": "k"},
		}},
		"Capability": m{"Type": "AWS::EKS::Capability", "Properties": m{
			"ClusterName": "c1", "CapabilityName": "kro", "Type": "KRO", "RoleArn": a.role("kro", "capabilities.eks.amazonaws.com"), "DeletePropagationPolicy": "RETAIN",
		}},
	}
	status, outputs := a.stack("s", template(resources, "Entry.AccessEntryArn", "Addon.Arn", "Association.AssociationId", "Profile.Arn", "Identity.IdentityProviderConfigArn", "Capability.Arn"), 20*time.Minute)
	a.complete("s", status, cfntypes.StackStatusCreateComplete)
	if len(outputs) != 6 || slices.Contains(slices.Collect(maps.Values(outputs)), "") {
		t.Errorf("outputs are %v", outputs)
	}
	entry := resources["Entry"].(m)["Properties"].(m)
	entry["KubernetesGroups"], entry["AccessPolicies"] = []any{"ops"}, []any{}
	status, _ = a.stack("s", template(resources), 5*time.Minute)
	a.complete("s", status, cfntypes.StackStatusUpdateComplete)
	got, err := a.api.DescribeAccessEntry(t.Context(), &awseks.DescribeAccessEntryInput{ClusterName: sdk.String("c1"), PrincipalArn: &dev})
	must(t, err)
	policies, err := a.api.ListAssociatedAccessPolicies(t.Context(), &awseks.ListAssociatedAccessPoliciesInput{ClusterName: sdk.String("c1"), PrincipalArn: &dev})
	must(t, err)
	if !slices.Equal(got.AccessEntry.KubernetesGroups, []string{"ops"}) || len(policies.AssociatedAccessPolicies) != 0 {
		t.Errorf("entry has groups %v and policies %v", got.AccessEntry.KubernetesGroups, policies.AssociatedAccessPolicies)
	}
	_, err = a.stacks().DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: sdk.String("s")})
	must(t, err)
	a.pass(30 * time.Minute)
	_, err = a.stacks().DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: sdk.String("s")})
	refused(t, err, "ValidationError", "Stack with id s does not exist")
	_, err = a.api.DeleteCluster(t.Context(), &awseks.DeleteClusterInput{Name: sdk.String("c1")})
	must(t, err) // nothing is left that stands in the way
}

func TestStackFailsWithEKSOwnWords(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	body := template(m{"Addon": m{"Type": "AWS::EKS::Addon", "Properties": m{"ClusterName": "c1", "AddonName": "nothing"}}})
	_, err := a.stacks().CreateStack(t.Context(), &cloudformation.CreateStackInput{StackName: sdk.String("s"), TemplateBody: body})
	must(t, err)
	a.pass(2 * time.Minute)
	out, err := a.stacks().DescribeStackEvents(t.Context(), &cloudformation.DescribeStackEventsInput{StackName: sdk.String("s")})
	must(t, err)
	if !slices.ContainsFunc(out.StackEvents, func(e cfntypes.StackEvent) bool {
		return e.ResourceStatus == cfntypes.ResourceStatusCreateFailed && strings.Contains(sdk.ToString(e.ResourceStatusReason), "Addon specified is not supported")
	}) {
		t.Errorf("events do not tell why: %d of them", len(out.StackEvents))
	}
}

func TestStateSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	nodes := newNodes()
	a := newAccount(t, func(o *aws.Options) { o.World.Dir, o.Nodes = dir, nodes })
	a.cluster("c1")
	a.nodegroup("ng", 2)
	a.addon("vpc-cni")
	a.upgrade("1.35")
	out, err := a.api.UpdateNodegroupVersion(t.Context(), a.newRelease("ng"))
	must(t, err)
	for range 12 { // the update goes on over restarts at any moment
		a.pass(20 * time.Second)
		a.start()
	}
	a.pass(10 * time.Minute)
	u, err := a.api.DescribeUpdate(t.Context(), &awseks.DescribeUpdateInput{Name: sdk.String("c1"), NodegroupName: sdk.String("ng"), UpdateId: out.Update.Id})
	must(t, err)
	if g := a.describeGroup("ng"); u.Update.Status != types.UpdateStatusSuccessful || *g.Version != "1.35" || len(a.machines()) != 2 {
		t.Errorf("update is %s, group at %s with %d instances", u.Update.Status, *g.Version, len(a.machines()))
	}
	if got := a.describeAddon("vpc-cni").Status; got != types.AddonStatusActive {
		t.Errorf("add-on is %s", got)
	}
}
