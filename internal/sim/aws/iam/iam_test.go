package iam_test

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	simiam "github.com/eks-gitops/reconciler/internal/sim/aws/iam"
	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
)

const (
	trust   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}]}`
	grant   = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}}`
	cluster = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
)

func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, err error, want, text string) {
	t.Helper()
	if code(err) != want || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want %s (%s)", err, want, text)
	}
}

func start(t *testing.T) (*simtest.Sim, *iam.Client) {
	t.Helper()
	s := simtest.Start(t, aws.Options{})
	return s, iam.NewFromConfig(s.Config())
}

func makeRole(t *testing.T, c *iam.Client, name string) *types.Role {
	t.Helper()
	out, err := c.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: sdk.String(trust), Path: sdk.String("/team/")})
	must(t, err)
	return out.Role
}

func TestRoleLife(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	made := makeRole(t, c, "node")
	if *made.Arn != "arn:aws:iam::111122223333:role/team/node" || !strings.HasPrefix(*made.RoleId, "AROA") || len(*made.RoleId) != 21 {
		t.Errorf("%s %s", *made.Arn, *made.RoleId)
	}
	if text, err := url.QueryUnescape(*made.AssumeRolePolicyDocument); err != nil || text != trust {
		t.Errorf("trust policy %q, %v", text, err)
	}
	_, err := c.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: sdk.String("NODE"), AssumeRolePolicyDocument: sdk.String(trust)})
	refused(t, err, "EntityAlreadyExists", "NODE")
	_, err = c.AttachRolePolicy(t.Context(), &iam.AttachRolePolicyInput{RoleName: sdk.String("node"), PolicyArn: sdk.String(cluster)})
	must(t, err)
	_, err = c.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: sdk.String("node"), PolicyName: sdk.String("p"), PolicyDocument: sdk.String(grant)})
	must(t, err)
	_, err = c.CreateInstanceProfile(t.Context(), &iam.CreateInstanceProfileInput{InstanceProfileName: sdk.String("ip")})
	must(t, err)
	_, err = c.AddRoleToInstanceProfile(t.Context(), &iam.AddRoleToInstanceProfileInput{InstanceProfileName: sdk.String("ip"), RoleName: sdk.String("node")})
	must(t, err)
	remove := &iam.DeleteRoleInput{RoleName: sdk.String("node")}
	_, err = c.DeleteRole(t.Context(), remove)
	refused(t, err, "DeleteConflict", "remove roles from instance profile")
	_, err = c.DeleteInstanceProfile(t.Context(), &iam.DeleteInstanceProfileInput{InstanceProfileName: sdk.String("ip")})
	refused(t, err, "DeleteConflict", "remove roles")
	_, err = c.RemoveRoleFromInstanceProfile(t.Context(), &iam.RemoveRoleFromInstanceProfileInput{InstanceProfileName: sdk.String("ip"), RoleName: sdk.String("node")})
	must(t, err)
	_, err = c.DeleteRole(t.Context(), remove)
	refused(t, err, "DeleteConflict", "detach all policies")
	_, err = c.DetachRolePolicy(t.Context(), &iam.DetachRolePolicyInput{RoleName: sdk.String("node"), PolicyArn: sdk.String(cluster)})
	must(t, err)
	_, err = c.DeleteRole(t.Context(), remove)
	refused(t, err, "DeleteConflict", "delete policies first")
	_, err = c.DeleteRolePolicy(t.Context(), &iam.DeleteRolePolicyInput{RoleName: sdk.String("node"), PolicyName: sdk.String("p")})
	must(t, err)
	_, err = c.DeleteRole(t.Context(), remove)
	must(t, err)
	_, err = c.GetRole(t.Context(), &iam.GetRoleInput{RoleName: sdk.String("node")})
	refused(t, err, "NoSuchEntity", "The role with name node cannot be found.")
}

func TestRefusedRoles(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	for name, in := range map[string]struct {
		input iam.CreateRoleInput
		code  string
	}{
		"bad name":            {iam.CreateRoleInput{RoleName: sdk.String("a b")}, "ValidationError"},
		"long name":           {iam.CreateRoleInput{RoleName: sdk.String(strings.Repeat("a", 65))}, "ValidationError"},
		"bad path":            {iam.CreateRoleInput{Path: sdk.String("team")}, "ValidationError"},
		"service-linked path": {iam.CreateRoleInput{Path: sdk.String("/aws-service-role/x/")}, "InvalidInput"},
		"no JSON":             {iam.CreateRoleInput{AssumeRolePolicyDocument: sdk.String("{")}, "MalformedPolicyDocument"},
		"resource in trust":   {iam.CreateRoleInput{AssumeRolePolicyDocument: sdk.String(grant)}, "MalformedPolicyDocument"},
		"unknown principal":   {iam.CreateRoleInput{AssumeRolePolicyDocument: sdk.String(strings.Replace(trust, `"Service":"eks.amazonaws.com"`, `"AWS":"arn:aws:iam::111122223333:user/nobody"`, 1))}, "MalformedPolicyDocument"},
		"long trust":          {iam.CreateRoleInput{AssumeRolePolicyDocument: sdk.String(strings.Replace(trust, "eks.amazonaws.com", strings.Repeat("a", 2048)+".com", 1))}, "LimitExceeded"},
		"long session":        {iam.CreateRoleInput{MaxSessionDuration: sdk.Int32(43201)}, "ValidationError"},
		"unknown boundary":    {iam.CreateRoleInput{PermissionsBoundary: sdk.String("arn:aws:iam::aws:policy/NoSuchPolicyAnywhere")}, "NoSuchEntity"},
		"reserved tag":        {iam.CreateRoleInput{Tags: []types.Tag{{Key: sdk.String("aws:x"), Value: sdk.String("y")}}}, "InvalidInput"},
		"same tag twice":      {iam.CreateRoleInput{Tags: []types.Tag{{Key: sdk.String("a"), Value: sdk.String("1")}, {Key: sdk.String("A"), Value: sdk.String("2")}}}, "InvalidInput"},
	} {
		input := in.input
		if input.RoleName == nil {
			input.RoleName = sdk.String("r")
		}
		if input.AssumeRolePolicyDocument == nil {
			input.AssumeRolePolicyDocument = sdk.String(trust)
		}
		if _, err := c.CreateRole(t.Context(), &input); code(err) != in.code {
			t.Errorf("%s: %v, want %s", name, err, in.code)
		}
	}
	if out, err := c.ListRoles(t.Context(), &iam.ListRolesInput{}); err != nil || len(out.Roles) != 0 {
		t.Errorf("something was made: %v, %v", out, err)
	}
}

func TestManagedPolicies(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	makeRole(t, c, "r")
	made, err := c.CreatePolicy(t.Context(), &iam.CreatePolicyInput{PolicyName: sdk.String("p"), PolicyDocument: sdk.String(grant), Description: sdk.String("d")})
	must(t, err)
	arn := made.Policy.Arn
	for range 4 {
		_, err := c.CreatePolicyVersion(t.Context(), &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: sdk.String(grant), SetAsDefault: true})
		must(t, err)
	}
	_, err = c.CreatePolicyVersion(t.Context(), &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: sdk.String(grant)})
	refused(t, err, "LimitExceeded", "5 versions")
	_, err = c.DeletePolicyVersion(t.Context(), &iam.DeletePolicyVersionInput{PolicyArn: arn, VersionId: sdk.String("v5")})
	refused(t, err, "DeleteConflict", "default version")
	_, err = c.SetDefaultPolicyVersion(t.Context(), &iam.SetDefaultPolicyVersionInput{PolicyArn: arn, VersionId: sdk.String("v1")})
	must(t, err)
	_, err = c.AttachRolePolicy(t.Context(), &iam.AttachRolePolicyInput{RoleName: sdk.String("r"), PolicyArn: arn})
	must(t, err)
	got, err := c.GetPolicy(t.Context(), &iam.GetPolicyInput{PolicyArn: arn})
	must(t, err)
	if *got.Policy.DefaultVersionId != "v1" || *got.Policy.AttachmentCount != 1 || *got.Policy.Description != "d" {
		t.Errorf("%+v", got.Policy)
	}
	who, err := c.ListEntitiesForPolicy(t.Context(), &iam.ListEntitiesForPolicyInput{PolicyArn: arn})
	must(t, err)
	if len(who.PolicyRoles) != 1 || *who.PolicyRoles[0].RoleName != "r" {
		t.Errorf("%+v", who)
	}
	_, err = c.DeletePolicy(t.Context(), &iam.DeletePolicyInput{PolicyArn: arn})
	refused(t, err, "DeleteConflict", "attached")
	_, err = c.AttachRolePolicy(t.Context(), &iam.AttachRolePolicyInput{RoleName: sdk.String("r"), PolicyArn: sdk.String("arn:aws:iam::aws:policy/NoSuchPolicyAnywhere")})
	refused(t, err, "NoSuchEntity", "does not exist or is not attachable")
	_, err = c.DeletePolicy(t.Context(), &iam.DeletePolicyInput{PolicyArn: sdk.String(cluster)})
	refused(t, err, "AccessDenied", "")
	local, err := c.ListPolicies(t.Context(), &iam.ListPoliciesInput{Scope: types.PolicyScopeTypeLocal})
	must(t, err)
	attached, err := c.ListPolicies(t.Context(), &iam.ListPoliciesInput{OnlyAttached: true})
	must(t, err)
	ofAWS, err := c.ListPolicies(t.Context(), &iam.ListPoliciesInput{Scope: types.PolicyScopeTypeAws, PathPrefix: sdk.String("/service-role/")})
	must(t, err)
	if len(local.Policies) != 1 || len(attached.Policies) != 1 || len(ofAWS.Policies) < 3 {
		t.Errorf("%d local, %d attached, %d of AWS", len(local.Policies), len(attached.Policies), len(ofAWS.Policies))
	}
	known, err := c.GetPolicyVersion(t.Context(), &iam.GetPolicyVersionInput{PolicyArn: sdk.String("arn:aws:iam::aws:policy/AdministratorAccess"), VersionId: sdk.String("v1")})
	must(t, err)
	if !strings.Contains(*known.PolicyVersion.Document, "Allow") {
		t.Errorf("%s", *known.PolicyVersion.Document)
	}
	_, err = c.GetPolicyVersion(t.Context(), &iam.GetPolicyVersionInput{PolicyArn: sdk.String(cluster), VersionId: sdk.String("v1")})
	refused(t, err, "NotImplemented", "AmazonEKSClusterPolicy")
}

func TestQuotas(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	makeRole(t, c, "r")
	for i := range 11 {
		made, err := c.CreatePolicy(t.Context(), &iam.CreatePolicyInput{PolicyName: sdk.String("p" + strconv.Itoa(i)), PolicyDocument: sdk.String(grant)})
		must(t, err)
		_, err = c.AttachRolePolicy(t.Context(), &iam.AttachRolePolicyInput{RoleName: sdk.String("r"), PolicyArn: made.Policy.Arn})
		if i < 10 {
			must(t, err)
		} else {
			refused(t, err, "LimitExceeded", "PoliciesPerRole")
		}
	}
	big := strings.Replace(grant, "arn:aws:s3:::b/*", "arn:aws:s3:::"+strings.Repeat("b", 6000), 1)
	_, err := c.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: sdk.String("r"), PolicyName: sdk.String("one"), PolicyDocument: &big})
	must(t, err)
	_, err = c.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: sdk.String("r"), PolicyName: sdk.String("two"), PolicyDocument: &big})
	refused(t, err, "LimitExceeded", "10240")
	_, err = c.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: sdk.String("r"), PolicyName: sdk.String("one"), PolicyDocument: &big})
	must(t, err) // in its own place it fits
}

func TestTags(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	makeRole(t, c, "r")
	for _, kv := range [][2]string{{"Team", "a"}, {"team", "b"}, {"x", "1"}} {
		_, err := c.TagRole(t.Context(), &iam.TagRoleInput{RoleName: sdk.String("r"), Tags: []types.Tag{{Key: &kv[0], Value: &kv[1]}}})
		must(t, err)
	}
	_, err := c.UntagRole(t.Context(), &iam.UntagRoleInput{RoleName: sdk.String("r"), TagKeys: []string{"x", "nothing"}})
	must(t, err)
	got, err := c.ListRoleTags(t.Context(), &iam.ListRoleTagsInput{RoleName: sdk.String("r")})
	must(t, err)
	if len(got.Tags) != 1 || *got.Tags[0].Key != "team" || *got.Tags[0].Value != "b" {
		t.Errorf("%+v", got.Tags)
	}
}

func TestOIDCProviders(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	create := func(url string, thumbprints ...string) (string, error) {
		out, err := c.CreateOpenIDConnectProvider(t.Context(), &iam.CreateOpenIDConnectProviderInput{Url: &url, ClientIDList: []string{"sts.amazonaws.com"}, ThumbprintList: thumbprints})
		if err != nil {
			return "", err
		}
		return *out.OpenIDConnectProviderArn, nil
	}
	arn, err := create("https://oidc.eks.us-west-2.amazonaws.com/id/ABC")
	must(t, err)
	if arn != "arn:aws:iam::111122223333:oidc-provider/oidc.eks.us-west-2.amazonaws.com/id/ABC" {
		t.Error(arn)
	}
	_, err = create("https://oidc.eks.us-west-2.amazonaws.com/id/ABC")
	refused(t, err, "EntityAlreadyExists", "")
	for _, bad := range []string{"http://a.example", "https://a.example?x=y", "a.example"} {
		_, err = create(bad)
		refused(t, err, "ValidationError", "")
	}
	withPort, err := create("https://127.0.0.1:4443/id/DEF", strings.Repeat("a", 40))
	must(t, err)
	if withPort != "arn:aws:iam::111122223333:oidc-provider/127.0.0.1/id/DEF" {
		t.Error(withPort)
	}
	_, err = c.AddClientIDToOpenIDConnectProvider(t.Context(), &iam.AddClientIDToOpenIDConnectProviderInput{OpenIDConnectProviderArn: &arn, ClientID: sdk.String("other")})
	must(t, err)
	got, err := c.GetOpenIDConnectProvider(t.Context(), &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: &arn})
	must(t, err)
	if diff := cmp.Diff([]string{"sts.amazonaws.com", "other"}, got.ClientIDList); diff != "" || len(got.ThumbprintList) != 1 || *got.Url != "oidc.eks.us-west-2.amazonaws.com/id/ABC" {
		t.Errorf("%s %+v", diff, got)
	}
	all, err := c.ListOpenIDConnectProviders(t.Context(), &iam.ListOpenIDConnectProvidersInput{})
	must(t, err)
	if len(all.OpenIDConnectProviderList) != 2 {
		t.Errorf("%+v", all)
	}
	_, err = c.DeleteOpenIDConnectProvider(t.Context(), &iam.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: &arn})
	must(t, err)
	_, err = c.GetOpenIDConnectProvider(t.Context(), &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: &arn})
	refused(t, err, "NoSuchEntity", arn)
}

func TestServiceLinkedRoles(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	out, err := c.CreateServiceLinkedRole(t.Context(), &iam.CreateServiceLinkedRoleInput{AWSServiceName: sdk.String("eks-nodegroup.amazonaws.com")})
	must(t, err)
	if *out.Role.Arn != "arn:aws:iam::111122223333:role/aws-service-role/eks-nodegroup.amazonaws.com/AWSServiceRoleForAmazonEKSNodegroup" {
		t.Error(*out.Role.Arn)
	}
	_, err = c.CreateServiceLinkedRole(t.Context(), &iam.CreateServiceLinkedRoleInput{AWSServiceName: sdk.String("eks-nodegroup.amazonaws.com")})
	refused(t, err, "InvalidInput", "taken")
	_, err = c.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: out.Role.RoleName})
	refused(t, err, "UnmodifiableEntity", "only modifiable by AWS")
	_, err = c.AttachRolePolicy(t.Context(), &iam.AttachRolePolicyInput{RoleName: out.Role.RoleName, PolicyArn: sdk.String(cluster)})
	refused(t, err, "UnmodifiableEntity", "")
}

func TestUsers(t *testing.T) {
	t.Parallel()
	s, c := start(t)
	_, err := c.CreateUser(t.Context(), &iam.CreateUserInput{UserName: sdk.String("dev")})
	must(t, err)
	key, err := c.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: sdk.String("dev")})
	must(t, err)
	config := s.Config()
	config.Credentials = sdk.CredentialsProviderFunc(staticKey(*key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey))
	dev := iam.NewFromConfig(config)
	me, err := dev.GetUser(t.Context(), &iam.GetUserInput{})
	must(t, err)
	if *me.User.Arn != "arn:aws:iam::111122223333:user/dev" {
		t.Error(*me.User.Arn)
	}
	_, err = c.UpdateAccessKey(t.Context(), &iam.UpdateAccessKeyInput{UserName: sdk.String("dev"), AccessKeyId: key.AccessKey.AccessKeyId, Status: types.StatusTypeInactive})
	must(t, err)
	_, err = dev.GetUser(t.Context(), &iam.GetUserInput{})
	refused(t, err, "InvalidClientTokenId", "")
	_, err = c.DeleteUser(t.Context(), &iam.DeleteUserInput{UserName: sdk.String("dev")})
	refused(t, err, "DeleteConflict", "access keys")
	_, err = c.DeleteAccessKey(t.Context(), &iam.DeleteAccessKeyInput{UserName: sdk.String("dev"), AccessKeyId: key.AccessKey.AccessKeyId})
	must(t, err)
	_, err = c.DeleteUser(t.Context(), &iam.DeleteUserInput{UserName: sdk.String("dev")})
	must(t, err)
}

// TestSpreading proves that other services see a role only after a while, as in life.
func TestSpreading(t *testing.T) {
	t.Parallel()
	s, c := start(t)
	arn := *makeRole(t, c, "r").Arn
	see := func() (p simiam.Principal, ok bool) {
		must(t, s.World.Do(false, func() error {
			p, ok = s.IAM.Principal(arn)
			return nil
		}))
		return p, ok
	}
	if _, ok := see(); ok {
		t.Error("a role is seen at once")
	}
	s.Clock.Move(5 * time.Second)
	p, ok := see()
	if diff := cmp.Diff(simiam.Principal{ARN: arn, UniqueID: p.UniqueID, Trusted: []string{"eks.amazonaws.com"}, Actions: []string{"sts:AssumeRole", "sts:TagSession"}}, p); !ok || diff != "" {
		t.Errorf("%v %s", ok, diff)
	}
}
