package eks

import (
	"slices"
	"strings"
	"testing"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// identities is a cluster with one of each thing that gives or has an identity; a star marks where a field of it may be put.
const identities = bare + `iam:
  withOIDC: true
  serviceAccounts:
  - {metadata: {name: s3, namespace: apps*meta}, attachPolicyARNs: ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]*account}
  podIdentityAssociations:
  - {namespace: shop, serviceAccountName: web, permissionPolicyARNs: ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]*pod}
  - {namespace: shop, serviceAccountName: given, roleARN: "arn:aws:iam::111122223333:role/one"*given}
addons:
- name: eks-pod-identity-agent
accessConfig:
  authenticationMode: API
  accessEntries:
  - {principalARN: "arn:aws:iam::111122223333:role/ops"*entry}
fargateProfiles:
- {name: all, podExecutionRoleARN: "arn:aws:iam::111122223333:role/pods", selectors: [{namespace: apps}]*profile}
identityProviders:
- {type: oidc, name: people, issuerURL: "https://login.example", clientID: k8s*login}
`

// identityRows are edits of each field of what is in identities: what is put at a star, or else what is replaced by what.
func identityRows() map[string][2]string {
	return map[string][2]string{
		"iam.serviceAccounts[].metadata.labels":      {"*meta", ", labels: {team: shop}"},
		"iam.serviceAccounts[].metadata.annotations": {"*meta", ", annotations: {owner: ada}"},
		"iam.serviceAccounts[].attachPolicy":         {"*account", `, attachPolicy: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "s3:Get*", Resource: "*"}]}`},
		"iam.serviceAccounts[].attachPolicyARNs":     {`AmazonS3ReadOnlyAccess"]*account`, `AmazonS3FullAccess"]`},
		"iam.serviceAccounts[].wellKnownPolicies":    {"*account", ", wellKnownPolicies: {autoScaler: true}"},
		"iam.serviceAccounts[].permissionsBoundary":  {"*account", `, permissionsBoundary: "arn:aws:iam::111122223333:policy/most"`},
		"iam.serviceAccounts[].roleName":             {"*account", ", roleName: shop-s3"},
		"iam.serviceAccounts[].subjectPattern":       {"*account", `, subjectPattern: "system:serviceaccount:apps:*"`},
		"iam.serviceAccounts[].tags":                 {"*account", ", tags: {cost: low}"},
		"iam.serviceAccounts[].attachRoleARN":        {`attachPolicyARNs: ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]*account`, `attachRoleARN: "arn:aws:iam::111122223333:role/other"`},

		"iam.podIdentityAssociations[].permissionPolicy":       {"*pod", `, permissionPolicy: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "s3:Get*", Resource: "*"}]}`},
		"iam.podIdentityAssociations[].permissionPolicyARNs":   {`AmazonS3ReadOnlyAccess"]*pod`, `AmazonS3FullAccess"]`},
		"iam.podIdentityAssociations[].permissionPolicyName":   {"*pod", `, permissionPolicy: {Version: "2012-10-17", Statement: []}, permissionPolicyName: mine`},
		"iam.podIdentityAssociations[].wellKnownPolicies":      {"*pod", ", wellKnownPolicies: {autoScaler: true}"},
		"iam.podIdentityAssociations[].permissionsBoundaryARN": {"*pod", `, permissionsBoundaryARN: "arn:aws:iam::111122223333:policy/most"`},
		"iam.podIdentityAssociations[].roleName":               {"*pod", ", roleName: shop-web"},
		"iam.podIdentityAssociations[].tags":                   {"*pod", ", tags: {cost: low}"},
		"iam.podIdentityAssociations[].disableSessionTags":     {"*pod", ", disableSessionTags: true"},
		"iam.podIdentityAssociations[].policy":                 {"*given", `, disableSessionTags: true, policy: '{"Version":"2012-10-17","Statement":[]}'`},
		"iam.podIdentityAssociations[].roleARN":                {"role/one\"*given", "role/two\""},
		"iam.podIdentityAssociations[].targetRoleARN":          {"*given", `, targetRoleARN: "arn:aws:iam::444455556666:role/far"`},

		"accessConfig.accessEntries[].type":               {"*entry", ", type: EC2_LINUX"},
		"accessConfig.accessEntries[].kubernetesGroups":   {"*entry", ", kubernetesGroups: [devs]"},
		"accessConfig.accessEntries[].kubernetesUsername": {"*entry", ", kubernetesUsername: ops"},
		"accessConfig.accessEntries[].accessPolicies":     {"*entry", `, accessPolicies: [{policyARN: "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy", accessScope: {type: cluster}}]`},

		"fargateProfiles[].tags":                {"*profile", ", tags: {cost: low}"},
		"fargateProfiles[].selectors":           {"[{namespace: apps}]*profile", "[{namespace: shop}]"},
		"fargateProfiles[].subnets":             {"*profile", ", subnets: [subnet-a]"},
		"fargateProfiles[].podExecutionRoleARN": {"role/pods", "role/others"},

		"identityProviders[].tags":           {"*login", ", tags: {cost: low}"},
		"identityProviders[].issuerURL":      {"https://login.example", "https://id.example"},
		"identityProviders[].clientID":       {"k8s*login", "kube"},
		"identityProviders[].usernameClaim":  {"*login", ", usernameClaim: email"},
		"identityProviders[].usernamePrefix": {"*login", `, usernamePrefix: "oidc:"`},
		"identityProviders[].groupsClaim":    {"*login", ", groupsClaim: groups"},
		"identityProviders[].groupsPrefix":   {"*login", `, groupsPrefix: "oidc:"`},
		"identityProviders[].requiredClaims": {"*login", ", requiredClaims: {aud: k8s}"},
	}
}

// written is the file with one edit, and without the stars.
func written(edit [2]string) string {
	out := identities
	if edit[0] != "" {
		out = strings.Replace(out, edit[0], edit[1], 1)
	}
	for _, star := range []string{"*meta", "*account", "*pod", "*given", "*entry", "*profile", "*login"} {
		out = strings.Replace(out, star, "", 1)
	}
	return out
}

// TestRowsOfIdentities: each field of service accounts, pod identities, access entries, Fargate profiles and identity providers that the table
// says is changed by a call makes one change of that thing, in place or by replacing it as the table says. No such row of the table is without a
// case here.
func TestRowsOfIdentities(t *testing.T) {
	t.Parallel()
	before := mustLoad(t, written([2]string{}))
	if p := build(before.observe(worldOf(t, before), false)); len(p.Changes) > 0 {
		t.Fatalf("before:\n%s", describe(nil, p))
	}
	rows := identityRows()
	kinds := map[string]string{
		"iam.serviceAccounts[].": KindServiceAccount, "iam.podIdentityAssociations[].": KindPodIdentity, "accessConfig.accessEntries[].": KindAccessEntry,
		"fargateProfiles[].": KindFargateProfile, "identityProviders[].": KindIdentityProviderConfig,
	}
	one := []string{"identityProviders[].type"} // which has one value
	for _, e := range inventory(t) {
		for prefix, kind := range kinds {
			if !strings.HasPrefix(e.path, prefix) || e.class != mutable && e.class != replaced || slices.Contains(one, e.path) {
				continue
			}
			edit, ok := rows[e.path]
			if !ok {
				t.Errorf("%s is in the table, and has no case", e.path)
				continue
			}
			delete(rows, e.path)
			p := build(mustLoad(t, written(edit)).observe(worldOf(t, before), false))
			want := map[bool]plan.Action{true: plan.Replace, false: plan.Update}[e.class == replaced]
			if len(p.Changes) != 1 || p.Changes[0].Ref.Kind != kind || p.Changes[0].Action != want || p.Changes[0].From.Line == 0 || slices.ContainsFunc(p.Problems, func(e *gitops.Error) bool { return !e.Reason.Note() }) {
				t.Errorf("%s: want one %s of a %s:\n%s", e.path, want, kind, describe(nil, p))
			}
		}
	}
	for path := range rows {
		t.Errorf("%s is no row of the table", path)
	}
}
