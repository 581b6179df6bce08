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
		"iam.podIdentityAssociations[].permissionPolicyName":   {"*pod", `, permissionPolicy: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "s3:Get*", Resource: "*"}]}, permissionPolicyName: mine`},
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

// furnished is a cluster with nodegroups and addons.
const furnished = bare + `iam: {withOIDC: true}
addons:
- name: eks-pod-identity-agent
- {name: aws-ebs-csi-driver, version: v1.59.0-eksbuild.1*addon}
managedNodeGroups:
- {name: system, instanceType: m5.large, minSize: 1, maxSize: 3, desiredCapacity: 2*managed}
- {name: own, minSize: 1, maxSize: 3, launchTemplate: {id: lt-1, version: "1"*template}}
nodeGroups:
- {name: batch, instanceType: m5.large, minSize: 1, maxSize: 3, desiredCapacity: 2*self}
`

// furnitureRows are edits of each field of what is in furnished.
func furnitureRows() map[string][2]string {
	return map[string][2]string{
		"addons[].version":               {"v1.59.0-eksbuild.1*addon", "v1.63.1-eksbuild.1"},
		"addons[].configurationValues":   {"*addon", `, configurationValues: "controller: {replicaCount: 3}"`},
		"addons[].tags":                  {"*addon", ", tags: {cost: low}"},
		"addons[].serviceAccountRoleARN": {"*addon", `, serviceAccountRoleARN: "arn:aws:iam::111122223333:role/ebs"`},
		"addons[].attachPolicy":          {"*addon", `, attachPolicy: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "s3:Get*", Resource: "*"}]}`},
		"addons[].attachPolicyARNs":      {"*addon", `, attachPolicyARNs: ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]`},
		"addons[].wellKnownPolicies":     {"*addon", ", wellKnownPolicies: {ebsCSIController: true}"},
		"addons[].permissionsBoundary":   {"*addon", `, wellKnownPolicies: {ebsCSIController: true}, permissionsBoundary: "arn:aws:iam::111122223333:policy/most"`},
		"addons[].namespaceConfig":       {"*addon", ", namespaceConfig: {namespace: storage}"},

		"managedNodeGroups[].launchTemplate.version": {`"1"*template`, `"2"`},

		"managedNodeGroups[].minSize":             {"minSize: 1, maxSize: 3, desiredCapacity: 2*managed", "minSize: 2, maxSize: 3, desiredCapacity: 2"},
		"managedNodeGroups[].maxSize":             {"maxSize: 3, desiredCapacity: 2*managed", "maxSize: 4, desiredCapacity: 2"},
		"managedNodeGroups[].desiredCapacity":     {"desiredCapacity: 2*managed", "desiredCapacity: 3"},
		"managedNodeGroups[].labels":              {"*managed", ", labels: {role: system}"},
		"managedNodeGroups[].taints":              {"*managed", ", taints: [{key: a, value: b, effect: NoSchedule}]"},
		"managedNodeGroups[].tags":                {"*managed", ", tags: {cost: low}"},
		"managedNodeGroups[].updateConfig":        {"*managed", ", updateConfig: {maxUnavailable: 2}"},
		"managedNodeGroups[].nodeRepairConfig":    {"*managed", ", nodeRepairConfig: {enabled: true}"},
		"managedNodeGroups[].releaseVersion":      {"*managed", ", releaseVersion: 1.34.9-20990101"},
		"managedNodeGroups[].propagateASGTags":    {"*managed", ", propagateASGTags: true, labels: {role: system}"},
		"managedNodeGroups[].asgSuspendProcesses": {"*managed", ", asgSuspendProcesses: [AZRebalance]"},
		"nodeGroups[].minSize":                    {"minSize: 1, maxSize: 3, desiredCapacity: 2*self", "minSize: 2, maxSize: 3, desiredCapacity: 2"},
		"nodeGroups[].maxSize":                    {"maxSize: 3, desiredCapacity: 2*self", "maxSize: 4, desiredCapacity: 2"},
		"nodeGroups[].desiredCapacity":            {"desiredCapacity: 2*self", "desiredCapacity: 3"},
		"nodeGroups[].tags":                       {"*self", ", tags: {cost: low}"},
		"nodeGroups[].asgSuspendProcesses":        {"*self", ", asgSuspendProcesses: [AZRebalance]"},
		"nodeGroups[].propagateASGTags":           {"*self", ", propagateASGTags: true"},
		"nodeGroups[].maxInstanceLifetime":        {"*self", ", maxInstanceLifetime: 604800"},
		"nodeGroups[].asgMetricsCollection":       {"*self", ", asgMetricsCollection: [{granularity: 1Minute}]"},
		"nodeGroups[].targetGroupARNs":            {"*self", `, targetGroupARNs: ["arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/a/1"]`},
		"nodeGroups[].classicLoadBalancerNames":   {"*self", ", classicLoadBalancerNames: [old]"},
	}
}

// written is a file with one edit, and without the stars.
func written(file string, edit [2]string) string {
	if edit[0] != "" {
		file = strings.Replace(file, edit[0], edit[1], 1)
	}
	for star := range strings.FieldsSeq("*meta *account *pod *given *entry *profile *login *addon *managed *template *self") {
		file = strings.Replace(file, star, "", 1)
	}
	return file
}

// TestRows: each field of the table that is changed by a call, or by replacing the thing, makes one change of that thing, in place or by replacing it
// as the table says. No such row is without a case: what is not here is of the cluster itself (TestClusterFields), of nodegroups and replacing
// (TestInventoryTellsTheEngine), or named below with its test.
func TestRows(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		file  string
		rows  map[string][2]string
		kinds map[string]string
		// elsewhere has a test of its own.
		elsewhere []string
	}{
		"identities": {identities, identityRows(), map[string]string{
			"iam.serviceAccounts[].": KindServiceAccount, "iam.podIdentityAssociations[].": KindPodIdentity, "accessConfig.accessEntries[].": KindAccessEntry,
			"fargateProfiles[].": KindFargateProfile, "identityProviders[].": KindIdentityProviderConfig,
		}, []string{"identityProviders[].type"}}, // which has one value
		"furniture": {furnished, furnitureRows(), map[string]string{
			"addons[].": KindAddon, "managedNodeGroups[].": KindNodegroup, "nodeGroups[].": KindNodegroup,
		}, []string{"nodeGroups[].instancesDistribution" /* TestAutoScalingInPlace */, "addons[].podIdentityAssociations[]" /* TestRightsOfPods */}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := mustLoad(t, written(tt.file, [2]string{}))
			if p := build(before.observe(worldOf(t, before), false)); len(p.Changes) > 0 {
				t.Fatalf("before:\n%s", describe(nil, p))
			}
			for _, e := range inventory(t) {
				for prefix, kind := range tt.kinds {
					replacing := e.class == replaced && kind != KindNodegroup
					if !strings.HasPrefix(e.path, prefix) || e.class != mutable && !replacing || slices.ContainsFunc(tt.elsewhere, func(path string) bool { return covers(path, e.path) }) {
						continue
					}
					edit, ok := tt.rows[e.path]
					if !ok {
						t.Errorf("%s is in the table, and has no case", e.path)
						continue
					}
					delete(tt.rows, e.path)
					p := build(mustLoad(t, written(tt.file, edit)).observe(worldOf(t, before), false))
					want := map[bool]plan.Action{true: plan.Replace, false: plan.Update}[replacing]
					if len(p.Changes) != 1 || p.Changes[0].Ref.Kind != kind || p.Changes[0].Action != want || p.Changes[0].From.Line == 0 || slices.ContainsFunc(p.Problems, func(e *gitops.Error) bool { return !e.Reason.Note() }) {
						t.Errorf("%s: want one %s of a %s:\n%s", e.path, want, kind, describe(nil, p))
					}
				}
			}
			for path := range tt.rows {
				t.Errorf("%s is no row of the table", path)
			}
		})
	}
}
