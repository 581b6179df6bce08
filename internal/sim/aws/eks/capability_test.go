package eks_test

import (
	"encoding/json"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awseks "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-cmp/cmp"
)

const capabilities = "capabilities.eks.amazonaws.com"

// newCapability asks for a capability that keeps what it made.
func newCapability(name string, kind types.CapabilityType, role string) *awseks.CreateCapabilityInput {
	return &awseks.CreateCapabilityInput{
		ClusterName: sdk.String("c1"), CapabilityName: &name, Type: kind, RoleArn: &role, DeletePropagationPolicy: types.CapabilityDeletePropagationPolicyRetain,
	}
}

func (a *account) capability(name string) *types.Capability {
	a.t.Helper()
	out, err := a.api.DescribeCapability(a.t.Context(), &awseks.DescribeCapabilityInput{ClusterName: sdk.String("c1"), CapabilityName: &name})
	must(a.t, err)
	return out.Capability
}

// rights are the access policies of a role, by name; nil when it has no access entry.
func (a *account) rights(role string) map[string]string {
	a.t.Helper()
	out, err := a.api.ListAssociatedAccessPolicies(a.t.Context(), &awseks.ListAssociatedAccessPoliciesInput{ClusterName: sdk.String("c1"), PrincipalArn: &role})
	if err != nil {
		refused(a.t, err, "ResourceNotFoundException", "")
		return nil
	}
	got := map[string]string{}
	for _, p := range out.AssociatedAccessPolicies {
		got[(*p.PolicyArn)[len("arn:aws:eks::aws:cluster-access-policy/"):]] = string(p.AccessScope.Type)
	}
	return got
}

// TestCapabilityLifecycle: there is one capability of a type, it lets its role into the cluster, changes its role, and keeps the cluster
// from being deleted until it is gone.
func TestCapabilityLifecycle(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	name, role, other := sdk.String("c1"), a.role("ack", capabilities), a.role("ack2", capabilities)
	in := newCapability("ack", types.CapabilityTypeAck, role)
	_, err := a.api.CreateCapability(t.Context(), in)
	must(t, err)
	in.CapabilityName, in.ClientRequestToken = sdk.String("again"), nil
	_, err = a.api.CreateCapability(t.Context(), in)
	refused(t, err, "ResourceInUseException", "Cluster c1 already has capability ack of type ACK")
	a.pass(3 * time.Minute)
	list, err := a.api.ListCapabilities(t.Context(), &awseks.ListCapabilitiesInput{ClusterName: name})
	must(t, err)
	if len(list.Capabilities) != 1 || list.Capabilities[0].Status != types.CapabilityStatusActive {
		t.Fatalf("capabilities are %+v", list.Capabilities)
	}
	if diff := cmp.Diff(map[string]string{"AmazonEKSACKPolicy": "cluster"}, a.rights(role)); diff != "" {
		t.Errorf("its role may do (-want +got):\n%s", diff)
	}
	_, err = a.api.UpdateCapability(t.Context(), &awseks.UpdateCapabilityInput{ClusterName: name, CapabilityName: sdk.String("ack"), RoleArn: &other})
	must(t, err)
	_, err = a.api.DeleteCapability(t.Context(), &awseks.DeleteCapabilityInput{ClusterName: name, CapabilityName: sdk.String("ack")})
	refused(t, err, "ResourceInUseException", "Capability ack cannot be deleted as it is currently in UPDATING state")
	a.pass(2 * time.Minute)
	if got := a.capability("ack"); *got.RoleArn != other || got.Status != types.CapabilityStatusActive || a.rights(role) != nil || a.rights(other) == nil {
		t.Errorf("capability is %s with role %s; the rights are %v and %v", got.Status, *got.RoleArn, a.rights(role), a.rights(other))
	}
	_, err = a.api.DeleteCluster(t.Context(), &awseks.DeleteClusterInput{Name: name})
	refused(t, err, "ResourceInUseException", "Cluster has capabilities attached")
	_, err = a.api.DeleteCapability(t.Context(), &awseks.DeleteCapabilityInput{ClusterName: name, CapabilityName: sdk.String("ack")})
	must(t, err)
	a.pass(20 * time.Minute)
	_, err = a.api.DescribeCapability(t.Context(), &awseks.DescribeCapabilityInput{ClusterName: name, CapabilityName: sdk.String("ack")})
	refused(t, err, "ResourceNotFoundException", "")
	if got := a.rights(other); got != nil {
		t.Errorf("its role may still do %v", got)
	}
}

// TestCapabilityRole: a role that cannot be assumed is refused; one that cannot any more is told as an issue, until it can again.
func TestCapabilityRole(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	_, err := a.api.CreateCapability(t.Context(), newCapability("kro", types.CapabilityTypeKro, a.role("wrong", "ec2.amazonaws.com")))
	refused(t, err, "InvalidParameterException", "The trust policy for the provided role is invalid. The policy must include sts:AssumeRole and sts:TagSession actions granting access to the AWS service "+capabilities)
	role := a.role("kro", capabilities)
	trust := func(service string) {
		t.Helper()
		document, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
			"Effect": "Allow", "Principal": map[string]any{"Service": service}, "Action": []string{"sts:AssumeRole", "sts:TagSession"},
		}}})
		must(t, err)
		_, err = a.roles.UpdateAssumeRolePolicy(t.Context(), &iam.UpdateAssumeRolePolicyInput{RoleName: sdk.String("kro"), PolicyDocument: sdk.String(string(document))})
		must(t, err)
		a.pass(3 * time.Minute)
	}
	status := func(want types.CapabilityStatus, issues int) {
		t.Helper()
		if got := a.capability("kro"); got.Status != want || len(got.Health.Issues) != issues || issues > 0 && got.Health.Issues[0].Code != types.CapabilityIssueCodeAccessDenied {
			t.Errorf("capability is %s: %+v", got.Status, got.Health)
		}
	}
	_, err = a.api.CreateCapability(t.Context(), newCapability("kro", types.CapabilityTypeKro, role))
	must(t, err)
	trust("ec2.amazonaws.com")
	status(types.CapabilityStatusCreateFailed, 1)
	_, err = a.api.DeleteCapability(t.Context(), &awseks.DeleteCapabilityInput{ClusterName: sdk.String("c1"), CapabilityName: sdk.String("kro")})
	must(t, err)
	a.pass(20 * time.Minute)
	trust(capabilities)
	_, err = a.api.CreateCapability(t.Context(), newCapability("kro", types.CapabilityTypeKro, role))
	must(t, err)
	a.pass(3 * time.Minute)
	status(types.CapabilityStatusActive, 0)
	trust("ec2.amazonaws.com")
	status(types.CapabilityStatusDegraded, 1)
	trust(capabilities)
	status(types.CapabilityStatusActive, 0)
}

// TestCapabilityMappings: an update gives roles of Argo CD other identities, or takes some from them.
func TestCapabilityMappings(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	people := func(role types.ArgoCdRole, ids ...string) types.ArgoCdRoleMapping {
		m := types.ArgoCdRoleMapping{Role: role}
		for _, id := range ids {
			m.Identities = append(m.Identities, types.SsoIdentity{Id: sdk.String(id), Type: types.SsoIdentityTypeSsoUser})
		}
		return m
	}
	in := newCapability("cd", types.CapabilityTypeArgocd, a.role("cd", capabilities))
	in.Configuration = &types.CapabilityConfigurationRequest{ArgoCd: &types.ArgoCdConfigRequest{
		AwsIdc:           &types.ArgoCdAwsIdcConfigRequest{IdcInstanceArn: sdk.String("arn:aws:sso:::instance/ssoins-1")},
		RbacRoleMappings: []types.ArgoCdRoleMapping{people("ADMIN", "a", "b"), people("EDITOR", "c"), people("VIEWER", "d", "e")},
	}}
	_, err := a.api.CreateCapability(t.Context(), in)
	must(t, err)
	a.pass(3 * time.Minute)
	_, err = a.api.UpdateCapability(t.Context(), &awseks.UpdateCapabilityInput{ClusterName: in.ClusterName, CapabilityName: in.CapabilityName, Configuration: &types.UpdateCapabilityConfiguration{
		ArgoCd: &types.UpdateArgoCdConfig{RbacRoleMappings: &types.UpdateRoleMappings{
			AddOrUpdateRoleMappings: []types.ArgoCdRoleMapping{people("ADMIN", "b", "f")},
			RemoveRoleMappings:      []types.ArgoCdRoleMapping{people("EDITOR", "c"), people("VIEWER", "d")},
		}},
	}})
	must(t, err)
	a.pass(2 * time.Minute)
	got := map[types.ArgoCdRole][]string{}
	for _, m := range a.capability("cd").Configuration.ArgoCd.RbacRoleMappings {
		for _, i := range m.Identities {
			got[m.Role] = append(got[m.Role], *i.Id)
		}
	}
	if diff := cmp.Diff(map[types.ArgoCdRole][]string{"ADMIN": {"b", "f"}, "VIEWER": {"e"}}, got); diff != "" {
		t.Errorf("the mappings (-want +got):\n%s", diff)
	}
}
