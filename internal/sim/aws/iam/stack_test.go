package iam_test

import (
	"context"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
)

func staticKey(id, secret string) func(context.Context) (sdk.Credentials, error) {
	return func(context.Context) (sdk.Credentials, error) {
		return sdk.Credentials{AccessKeyID: id, SecretAccessKey: secret}, nil
	}
}

const entities = `{"Resources":{
 "Role":{"Type":"AWS::IAM::Role","Properties":{
   "AssumeRolePolicyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":["ec2.amazonaws.com"]},"Action":["sts:AssumeRole"]}]},
   "ManagedPolicyArns":["arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"],"Path":"/","Tags":[{"Key":"Name","Value":"n"}],
   "Policies":[{"PolicyName":"inner","PolicyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}}]}},
 "Policy":{"Type":"AWS::IAM::Policy","Properties":{"PolicyName":"outer","Roles":[{"Ref":"Role"}],
   "PolicyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:Describe*"],"Resource":"*"}]}}},
 "Profile":{"Type":"AWS::IAM::InstanceProfile","Properties":{"Path":"/","Roles":[{"Ref":"Role"}]}},
 "Managed":{"Type":"AWS::IAM::ManagedPolicy","Properties":{"Roles":[{"Ref":"Role"}],
   "PolicyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sqs:*"],"Resource":"*"}]}}},
 "Issuer":{"Type":"AWS::IAM::OIDCProvider","Properties":{"Url":"https://issuer.example/id/A","ClientIdList":["sts.amazonaws.com"]}}},
 "Outputs":{"Role":{"Value":{"Fn::GetAtt":["Role","Arn"]}},"Profile":{"Value":{"Fn::GetAtt":["Profile","Arn"]}},"Issuer":{"Value":{"Ref":"Issuer"}},"Managed":{"Value":{"Ref":"Managed"}}}}`

type stacks struct {
	t      *testing.T
	sim    *simtest.Sim
	client *cloudformation.Client
}

func (s stacks) describe(name string) *cfntypes.Stack {
	s.t.Helper()
	out, err := s.client.DescribeStacks(s.t.Context(), &cloudformation.DescribeStacksInput{StackName: &name})
	if err != nil {
		if strings.Contains(err.Error(), "does not exist") {
			return nil
		}
		s.t.Fatal(err)
	}
	return &out.Stacks[0]
}

// settle lets time pass until the stack rests.
func (s stacks) settle(name string) *cfntypes.Stack {
	s.t.Helper()
	s.sim.Settle(s.t, time.Second, time.Hour, func() bool {
		stack := s.describe(name)
		return stack == nil || !strings.HasSuffix(string(stack.StackStatus), "_IN_PROGRESS")
	})
	return s.describe(name)
}

func (s stacks) wantStatus(stack *cfntypes.Stack, want cfntypes.StackStatus) {
	s.t.Helper()
	if stack.StackStatus == want {
		return
	}
	events, err := s.client.DescribeStackEvents(s.t.Context(), &cloudformation.DescribeStackEventsInput{StackName: stack.StackId})
	must(s.t, err)
	for _, e := range events.StackEvents {
		s.t.Logf("%s %s %s", sdk.ToString(e.LogicalResourceId), e.ResourceStatus, sdk.ToString(e.ResourceStatusReason))
	}
	s.t.Fatalf("status %s, want %s", stack.StackStatus, want)
}

func TestStackOfEntities(t *testing.T) {
	t.Parallel()
	sim, c := start(t)
	s := stacks{t: t, sim: sim, client: cloudformation.NewFromConfig(sim.Config())}
	_, err := s.client.CreateStack(t.Context(), &cloudformation.CreateStackInput{
		StackName: sdk.String("eksctl-c1-nodegroup-ng"), TemplateBody: sdk.String(entities), Capabilities: []cfntypes.Capability{cfntypes.CapabilityCapabilityIam},
		Tags: []cfntypes.Tag{{Key: sdk.String("alpha.eksctl.io/cluster-name"), Value: sdk.String("c1")}},
	})
	must(t, err)
	stack := s.settle("eksctl-c1-nodegroup-ng")
	s.wantStatus(stack, cfntypes.StackStatusCreateComplete)
	outputs := map[string]string{}
	for _, o := range stack.Outputs {
		outputs[*o.OutputKey] = *o.OutputValue
	}
	name := outputs["Role"][strings.LastIndexByte(outputs["Role"], '/')+1:]
	if !strings.HasPrefix(name, "eksctl-c1-nodegroup-ng-Role-") || len(name) > 64 {
		t.Errorf("role %q", name)
	}
	role, err := c.GetRole(t.Context(), &iam.GetRoleInput{RoleName: &name})
	must(t, err)
	tags := map[string]string{}
	for _, tag := range role.Role.Tags {
		tags[*tag.Key] = *tag.Value
	}
	if tags["Name"] != "n" || tags["alpha.eksctl.io/cluster-name"] != "c1" {
		t.Errorf("tags %v", tags)
	}
	attached, err := c.ListAttachedRolePolicies(t.Context(), &iam.ListAttachedRolePoliciesInput{RoleName: &name})
	must(t, err)
	inline, err := c.ListRolePolicies(t.Context(), &iam.ListRolePoliciesInput{RoleName: &name})
	must(t, err)
	if len(attached.AttachedPolicies) != 2 || strings.Join(inline.PolicyNames, " ") != "inner outer" {
		t.Errorf("attached %+v, inline %v", attached.AttachedPolicies, inline.PolicyNames)
	}
	profiles, err := c.ListInstanceProfilesForRole(t.Context(), &iam.ListInstanceProfilesForRoleInput{RoleName: &name})
	must(t, err)
	if len(profiles.InstanceProfiles) != 1 || *profiles.InstanceProfiles[0].Arn != outputs["Profile"] {
		t.Errorf("%+v", profiles)
	}
	s.update(t, c, name)
	_, err = s.client.DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: sdk.String("eksctl-c1-nodegroup-ng")})
	must(t, err)
	if left := s.settle("eksctl-c1-nodegroup-ng"); left != nil {
		s.wantStatus(left, cfntypes.StackStatusDeleteComplete)
	}
	roles, err := c.ListRoles(t.Context(), &iam.ListRolesInput{PathPrefix: sdk.String("/")})
	must(t, err)
	own, err := c.ListPolicies(t.Context(), &iam.ListPoliciesInput{Scope: "Local"})
	must(t, err)
	issuers, err := c.ListOpenIDConnectProviders(t.Context(), &iam.ListOpenIDConnectProvidersInput{})
	must(t, err)
	if len(own.Policies)+len(issuers.OpenIDConnectProviderList) != 0 {
		t.Errorf("left: %+v %+v", own.Policies, issuers.OpenIDConnectProviderList)
	}
	for _, r := range roles.Roles {
		if !strings.HasPrefix(*r.Path, "/aws-service-role/") {
			t.Errorf("left: %s", *r.Arn)
		}
	}
}

// update changes the stack's role in place and keeps what others did to it.
func (s stacks) update(t *testing.T, c *iam.Client, name string) {
	t.Helper()
	_, err := c.TagRole(t.Context(), &iam.TagRoleInput{RoleName: &name, Tags: []types.Tag{{Key: sdk.String("hand"), Value: sdk.String("made")}}})
	must(t, err)
	changed := strings.NewReplacer("AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", `"Key":"Name","Value":"n"`, `"Key":"Other","Value":"o"`, `"inner"`, `"renamed"`, "sqs:*", "sns:*").Replace(entities)
	_, err = s.client.UpdateStack(t.Context(), &cloudformation.UpdateStackInput{
		StackName: sdk.String("eksctl-c1-nodegroup-ng"), TemplateBody: &changed, Capabilities: []cfntypes.Capability{cfntypes.CapabilityCapabilityIam},
		Tags: []cfntypes.Tag{{Key: sdk.String("alpha.eksctl.io/cluster-name"), Value: sdk.String("c1")}},
	})
	must(t, err)
	s.wantStatus(s.settle("eksctl-c1-nodegroup-ng"), cfntypes.StackStatusUpdateComplete)
	role, err := c.GetRole(t.Context(), &iam.GetRoleInput{RoleName: &name})
	must(t, err)
	var keys []string
	for _, tag := range role.Role.Tags {
		keys = append(keys, *tag.Key)
	}
	if got := strings.Join(keys, " "); got != "Other alpha.eksctl.io/cluster-name hand" {
		t.Errorf("tags %s", got)
	}
	attached, err := c.ListAttachedRolePolicies(t.Context(), &iam.ListAttachedRolePoliciesInput{RoleName: &name})
	must(t, err)
	var arns []string
	for _, a := range attached.AttachedPolicies {
		arns = append(arns, *a.PolicyName)
	}
	inline, err := c.ListRolePolicies(t.Context(), &iam.ListRolePoliciesInput{RoleName: &name})
	must(t, err)
	if got := strings.Join(arns, " "); !strings.Contains(got, "AmazonEKS_CNI_Policy") || strings.Contains(got, "WorkerNode") || strings.Join(inline.PolicyNames, " ") != "outer renamed" {
		t.Errorf("attached %s, inline %v", got, inline.PolicyNames)
	}
}

func TestStackRoleRolledBack(t *testing.T) {
	t.Parallel()
	sim, c := start(t)
	s := stacks{t: t, sim: sim, client: cloudformation.NewFromConfig(sim.Config())}
	broken := strings.Replace(entities, "AmazonEKSWorkerNodePolicy", "NoSuchPolicyAnywhere", 1)
	_, err := s.client.CreateStack(t.Context(), &cloudformation.CreateStackInput{
		StackName: sdk.String("s"), TemplateBody: &broken, Capabilities: []cfntypes.Capability{cfntypes.CapabilityCapabilityIam},
	})
	must(t, err)
	s.wantStatus(s.settle("s"), cfntypes.StackStatusRollbackComplete)
	roles, err := c.ListRoles(t.Context(), &iam.ListRolesInput{})
	must(t, err)
	if len(roles.Roles) != 0 {
		t.Errorf("left: %+v", roles.Roles)
	}
}

// TestStackWaitsForStrangers proves that a role somebody else attached something to is not deleted by its stack.
func TestStackWaitsForStrangers(t *testing.T) {
	t.Parallel()
	sim, c := start(t)
	s := stacks{t: t, sim: sim, client: cloudformation.NewFromConfig(sim.Config())}
	template := `{"Resources":{"Role":{"Type":"AWS::IAM::Role","Properties":{"RoleName":"mine","AssumeRolePolicyDocument":` + trust + `}}}}`
	_, err := s.client.CreateStack(t.Context(), &cloudformation.CreateStackInput{
		StackName: sdk.String("s"), TemplateBody: &template, Capabilities: []cfntypes.Capability{cfntypes.CapabilityCapabilityNamedIam},
	})
	must(t, err)
	s.wantStatus(s.settle("s"), cfntypes.StackStatusCreateComplete)
	_, err = c.AttachRolePolicy(t.Context(), &iam.AttachRolePolicyInput{RoleName: sdk.String("mine"), PolicyArn: sdk.String(cluster)})
	must(t, err)
	_, err = s.client.DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: sdk.String("s")})
	must(t, err)
	s.wantStatus(s.settle("s"), cfntypes.StackStatusDeleteFailed)
}
