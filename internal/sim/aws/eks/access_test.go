package eks_test

import (
	"slices"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awseks "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
)

const (
	clusterAdmin = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
	viewer       = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
)

func TestCreateClusterAdmitsItsCreator(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	out, err := a.api.ListAssociatedAccessPolicies(t.Context(), &awseks.ListAssociatedAccessPoliciesInput{ClusterName: sdk.String("c1"), PrincipalArn: sdk.String(admin)})
	must(t, err)
	if len(out.AssociatedAccessPolicies) != 1 || *out.AssociatedAccessPolicies[0].PolicyArn != clusterAdmin {
		t.Errorf("the creator has %v", out.AssociatedAccessPolicies)
	}
	a.cluster("c2", func(in *awseks.CreateClusterInput) {
		in.AccessConfig.BootstrapClusterCreatorAdminPermissions = sdk.Bool(false)
	})
	entries, err := a.api.ListAccessEntries(t.Context(), &awseks.ListAccessEntriesInput{ClusterName: sdk.String("c2")})
	must(t, err)
	if len(entries.AccessEntries) != 0 {
		t.Errorf("without bootstrap permissions there are entries %v", entries.AccessEntries)
	}
}

func TestCreateAccessEntryDefaults(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	role := a.role("dev", "ec2.amazonaws.com")
	out, err := a.api.CreateAccessEntry(t.Context(), &awseks.CreateAccessEntryInput{ClusterName: sdk.String("c1"), PrincipalArn: &role})
	must(t, err)
	e := out.AccessEntry
	if *e.Type != "STANDARD" || *e.Username != "arn:aws:sts::111122223333:assumed-role/dev/{{SessionName}}" || len(e.KubernetesGroups) != 0 {
		t.Errorf("entry is %s, %s, %v", *e.Type, *e.Username, e.KubernetesGroups)
	}
	_, err = a.api.CreateAccessEntry(t.Context(), &awseks.CreateAccessEntryInput{ClusterName: sdk.String("c1"), PrincipalArn: &role})
	refused(t, err, "ResourceInUseException", "The specified access entry resource is already in use on this cluster.")
}

func TestCreateAccessEntryRefuses(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	role := a.role("dev", "ec2.amazonaws.com")
	for name, c := range map[string]struct {
		in   awseks.CreateAccessEntryInput
		text string
	}{
		"group of the system":       {awseks.CreateAccessEntryInput{KubernetesGroups: []string{"system:masters"}}, "The kubernetes group name system:masters is invalid, it cannot start with system:"},
		"user name of the system":   {awseks.CreateAccessEntryInput{Username: sdk.String("eks:me")}, "The username eks:me is invalid, it cannot start with eks:"},
		"unknown type":              {awseks.CreateAccessEntryInput{Type: sdk.String("ROBOT")}, ""},
		"groups of nodes":           {awseks.CreateAccessEntryInput{Type: sdk.String("EC2_LINUX"), KubernetesGroups: []string{"x"}}, ""},
		"user as a node":            {awseks.CreateAccessEntryInput{Type: sdk.String("EC2_LINUX"), PrincipalArn: sdk.String(admin + "x")}, ""},
		"principal that is no one":  {awseks.CreateAccessEntryInput{PrincipalArn: sdk.String("arn:aws:iam::111122223333:role/none")}, "The specified principalArn is invalid: invalid principal."},
		"session instead of a role": {awseks.CreateAccessEntryInput{PrincipalArn: sdk.String("arn:aws:sts::111122223333:assumed-role/dev/me")}, "The specified principalArn is invalid: invalid principal."},
	} {
		c.in.ClusterName = sdk.String("c1")
		if c.in.PrincipalArn == nil {
			c.in.PrincipalArn = &role
		}
		_, err := a.api.CreateAccessEntry(t.Context(), &c.in)
		t.Run(name, func(t *testing.T) { refused(t, err, "InvalidParameterException", c.text) })
	}
}

func TestUpdateAccessEntryChangesGroupsAndName(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	role := a.role("dev", "ec2.amazonaws.com")
	key := &awseks.DescribeAccessEntryInput{ClusterName: sdk.String("c1"), PrincipalArn: &role}
	_, err := a.api.DescribeAccessEntry(t.Context(), key)
	refused(t, err, "ResourceNotFoundException", "The specified principalArn could not be found. You can view your available access entries with 'list-access-entries'.")
	_, err = a.api.CreateAccessEntry(t.Context(), &awseks.CreateAccessEntryInput{ClusterName: sdk.String("c1"), PrincipalArn: &role, KubernetesGroups: []string{"a"}})
	must(t, err)
	_, err = a.api.UpdateAccessEntry(t.Context(), &awseks.UpdateAccessEntryInput{ClusterName: sdk.String("c1"), PrincipalArn: &role, Username: sdk.String("dev")})
	must(t, err)
	_, err = a.api.UpdateAccessEntry(t.Context(), &awseks.UpdateAccessEntryInput{ClusterName: sdk.String("c1"), PrincipalArn: &role, KubernetesGroups: []string{"b", "c"}})
	must(t, err)
	out, err := a.api.DescribeAccessEntry(t.Context(), key)
	must(t, err)
	if *out.AccessEntry.Username != "dev" || !slices.Equal(out.AccessEntry.KubernetesGroups, []string{"b", "c"}) {
		t.Errorf("entry is %s, %v", *out.AccessEntry.Username, out.AccessEntry.KubernetesGroups)
	}
	_, err = a.api.DeleteAccessEntry(t.Context(), &awseks.DeleteAccessEntryInput{ClusterName: sdk.String("c1"), PrincipalArn: &role})
	must(t, err)
	_, err = a.api.DeleteAccessEntry(t.Context(), &awseks.DeleteAccessEntryInput{ClusterName: sdk.String("c1"), PrincipalArn: &role})
	refused(t, err, "ResourceNotFoundException", "")
}

func TestAssociateAccessPolicyScopes(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	role, node := a.role("dev", "ec2.amazonaws.com"), a.role("node", "ec2.amazonaws.com")
	for principal, kind := range map[string]string{role: "STANDARD", node: "EC2_LINUX"} {
		_, err := a.api.CreateAccessEntry(t.Context(), &awseks.CreateAccessEntryInput{ClusterName: sdk.String("c1"), PrincipalArn: &principal, Type: &kind})
		must(t, err)
	}
	in := func(principal, policy string, kind types.AccessScopeType, namespaces ...string) *awseks.AssociateAccessPolicyInput {
		return &awseks.AssociateAccessPolicyInput{ClusterName: sdk.String("c1"), PrincipalArn: &principal, PolicyArn: &policy, AccessScope: &types.AccessScope{Type: kind, Namespaces: namespaces}}
	}
	for _, c := range []struct {
		in   *awseks.AssociateAccessPolicyInput
		code string
	}{
		{in(role, clusterAdmin+"X", "cluster"), "ResourceNotFoundException"},
		{in(role, viewer, "namespace"), "InvalidParameterException"},
		{in(role, viewer, "cluster", "default"), "InvalidParameterException"},
		{in(role, viewer, "namespace", "-dev"), "InvalidParameterException"},
		{in(role, viewer, "namespace", "dev_*"), "InvalidParameterException"},
		{in(node, viewer, "cluster"), "InvalidRequestException"},
	} {
		_, err := a.api.AssociateAccessPolicy(t.Context(), c.in)
		refused(t, err, c.code, "")
	}
	for _, namespaces := range [][]string{{"a"}, {"a", "b*", "dev-*"}} { // the second time changes the scope
		_, err := a.api.AssociateAccessPolicy(t.Context(), in(role, viewer, "namespace", namespaces...))
		must(t, err)
	}
	out, err := a.api.ListAssociatedAccessPolicies(t.Context(), &awseks.ListAssociatedAccessPoliciesInput{ClusterName: sdk.String("c1"), PrincipalArn: &role})
	must(t, err)
	if got := out.AssociatedAccessPolicies; len(got) != 1 || !slices.Equal(got[0].AccessScope.Namespaces, []string{"a", "b*", "dev-*"}) {
		t.Errorf("policies are %+v", got)
	}
	list, err := a.api.ListAccessEntries(t.Context(), &awseks.ListAccessEntriesInput{ClusterName: sdk.String("c1"), AssociatedPolicyArn: sdk.String(viewer)})
	must(t, err)
	if !slices.Equal(list.AccessEntries, []string{role}) {
		t.Errorf("entries with the policy are %v", list.AccessEntries)
	}
	gone := &awseks.DisassociateAccessPolicyInput{ClusterName: sdk.String("c1"), PrincipalArn: &role, PolicyArn: sdk.String(viewer)}
	_, err = a.api.DisassociateAccessPolicy(t.Context(), gone)
	must(t, err)
	_, err = a.api.DisassociateAccessPolicy(t.Context(), gone)
	refused(t, err, "ResourceNotFoundException", "")
}

func TestListAccessPoliciesPages(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	var names []string
	for p := awseks.NewListAccessPoliciesPaginator(a.api, &awseks.ListAccessPoliciesInput{MaxResults: sdk.Int32(5)}); p.HasMorePages(); {
		out, err := p.NextPage(t.Context())
		must(t, err)
		for _, policy := range out.AccessPolicies {
			names = append(names, *policy.Name)
		}
	}
	if !slices.Contains(names, "AmazonEKSClusterAdminPolicy") || !slices.IsSorted(names) || len(names) < 15 {
		t.Errorf("policies are %v", names)
	}
}

func TestPodIdentityAssociationLifecycle(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	role, other := a.role("app", "pods.eks.amazonaws.com"), a.role("other", "pods.eks.amazonaws.com")
	wrong := a.role("wrong", "ec2.amazonaws.com")
	name := sdk.String("c1")
	in := &awseks.CreatePodIdentityAssociationInput{ClusterName: name, Namespace: sdk.String("apps"), ServiceAccount: sdk.String("web"), RoleArn: &wrong}
	_, err := a.api.CreatePodIdentityAssociation(t.Context(), in)
	refused(t, err, "InvalidParameterException", "Trust policy of the role provided in the request must allow pods.eks.amazonaws.com to perform sts:AssumeRole and sts:TagSession.")
	in.RoleArn = sdk.String("arn:aws:iam::111122223333:role/none")
	_, err = a.api.CreatePodIdentityAssociation(t.Context(), in)
	refused(t, err, "InvalidParameterException", "Role provided in the request does not exist.")
	in.RoleArn = &role
	made, err := a.api.CreatePodIdentityAssociation(t.Context(), in)
	must(t, err)
	id := made.Association.AssociationId
	in.ClientRequestToken = sdk.String("another")
	_, err = a.api.CreatePodIdentityAssociation(t.Context(), in)
	refused(t, err, "ResourceInUseException", "Association already exists: "+*id)
	_, err = a.api.UpdatePodIdentityAssociation(t.Context(), &awseks.UpdatePodIdentityAssociationInput{ClusterName: name, AssociationId: id, RoleArn: &other, TargetRoleArn: &role})
	must(t, err)
	out, err := a.api.DescribePodIdentityAssociation(t.Context(), &awseks.DescribePodIdentityAssociationInput{ClusterName: name, AssociationId: id})
	must(t, err)
	if got := out.Association; *got.RoleArn != other || *got.TargetRoleArn != role || sdk.ToString(got.ExternalId) == "" {
		t.Errorf("association is %+v", got)
	}
	for namespace, want := range map[string]int{"apps": 1, "kube-system": 0} {
		list, err := a.api.ListPodIdentityAssociations(t.Context(), &awseks.ListPodIdentityAssociationsInput{ClusterName: name, Namespace: &namespace})
		must(t, err)
		if len(list.Associations) != want {
			t.Errorf("namespace %s has %d associations, want %d", namespace, len(list.Associations), want)
		}
	}
	_, err = a.api.DeletePodIdentityAssociation(t.Context(), &awseks.DeletePodIdentityAssociationInput{ClusterName: name, AssociationId: id})
	must(t, err)
	_, err = a.api.DescribePodIdentityAssociation(t.Context(), &awseks.DescribePodIdentityAssociationInput{ClusterName: name, AssociationId: id})
	refused(t, err, "ResourceNotFoundException", "")
}
