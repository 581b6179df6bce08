package eks

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// steeringCase is a field that says how something is done: what is seen when the file has it, and when it has not.
type steeringCase struct {
	// was is the file before, where the field steers a change.
	was string
	// file has a star where the field is put.
	file, field string
	// seen is what came of it.
	seen func(*rig) string
	// with and without are what is to be seen.
	with, without string
}

// sent is a field of the last request of an operation; "none", where there was no request.
func sent(operation, field string) func(*rig) string {
	return func(r *rig) string {
		out := "none"
		for _, q := range r.Requests(0) {
			if q.Operation == operation {
				out = inputOf(q.Input, field)
			}
		}
		return out
	}
}

// accountThere says whether a service account was made.
func accountThere(name string) func(*rig) string {
	return func(r *rig) string {
		_, ok := r.kube.accounts[name]
		return fmt.Sprint(ok)
	}
}

// lent are the service accounts that the pod identity associations of vpc-cni are for.
func lent(r *rig) string {
	var out []string
	for _, p := range r.cloud.world.Lent {
		out = append(out, *p.ServiceAccount)
	}
	return strings.Join(out, " ")
}

func steeringCases() map[string]steeringCase {
	const agent = "addons:\n- name: eks-pod-identity-agent\n"
	const cni = bare + "addons:\n- {name: vpc-cni, version: v1.22.4-eksbuild.3*}\n"
	withAgent := strings.Replace(cni, "addons:\n", agent, 1)
	return map[string]steeringCase{
		"metadata.forceUpdateVersion": {
			was: strings.Replace(bare, "1.36", "1.35", 1), file: withMetadata("*"), field: "forceUpdateVersion: true",
			seen: sent("UpdateClusterVersion", "force"), with: "true", without: "?",
		},
		"addons[].resolveConflicts (creation)": {
			file: cni, field: ", resolveConflicts: preserve", seen: sent("CreateAddon", "resolveConflicts"), with: "PRESERVE", without: "OVERWRITE",
		},
		"addons[].resolveConflicts": {
			was: strings.Replace(cni, "v1.22.4-eksbuild.3*", "v1.21.1-eksbuild.3", 1), file: cni, field: ", resolveConflicts: preserve",
			seen: sent("UpdateAddon", "resolveConflicts"), with: "PRESERVE", without: "?",
		},
		"addons[].useDefaultPodIdentityAssociations": {file: withAgent, field: ", useDefaultPodIdentityAssociations: true", seen: lent, with: "aws-node"},
		"addonsConfig.autoApplyPodIdentityAssociations": {
			file: strings.Replace(strings.Replace(withAgent, "*", "", 1), "addonsConfig: {", "addonsConfig: {*", 1), field: "autoApplyPodIdentityAssociations: true, ", seen: lent, with: "aws-node",
		},
		"addonsConfig.disableDefaultAddons": {
			file: strings.Replace(bare, "disableDefaultAddons: true", "*", 1) + "managedNodeGroups: [{name: system, instanceType: m5.large, desiredCapacity: 1}]\n", field: "disableDefaultAddons: true",
			seen: func(r *rig) string { return strings.Join(slices.Sorted(maps.Keys(r.cloud.world.Addons)), " ") }, without: "coredns kube-proxy metrics-server vpc-cni",
		},
		"iam.serviceAccounts[].roleOnly": {
			file:  bare + "iam:\n  withOIDC: true\n  serviceAccounts: [{metadata: {name: s3, namespace: apps}, attachPolicyARNs: [\"arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess\"]*}]\n",
			field: ", roleOnly: true", seen: accountThere("apps/s3"), with: "false", without: "true",
		},
		"iam.podIdentityAssociations[].createServiceAccount": {
			file: bare + agent + "iam: {podIdentityAssociations: [{namespace: shop, serviceAccountName: web, wellKnownPolicies: {externalDNS: true}*}]}\n", field: ", createServiceAccount: true",
			seen: accountThere("shop/web"), with: "true", without: "false",
		},
	}
}

// TestSteering: a field that is no state of anything is seen in the request that is sent, or in what follows.
func TestSteering(t *testing.T) {
	t.Parallel()
	for path, tt := range steeringCases() {
		for _, field := range []string{tt.field, ""} {
			t.Run(fmt.Sprintf("%s=%v", path, field != ""), func(t *testing.T) {
				t.Parallel()
				file := strings.Replace(tt.file, "*", field, 1)
				first := tt.was
				if first == "" {
					first = file
				}
				r := newRig(t, first)
				r.converge()
				r.git(file)
				r.converge()
				r.settled("it")
				want := tt.without
				if field != "" {
					want = tt.with
				}
				if got := tt.seen(r); got != want {
					t.Errorf("seen: %q, want %q", got, want)
				}
			})
		}
	}
}

// TestSteeringRowsHaveCases: no instruction is without a test.
func TestSteeringRowsHaveCases(t *testing.T) {
	t.Parallel()
	elsewhere := map[string]string{
		strings.Join(adoption(), "."):           "TestAdoptedCluster",
		"metadata.annotations":                  "means nothing but for the two that have rows of their own",
		"apiVersion":                            "TestParse: one value",
		"kind":                                  "TestParse: one value",
		"iam.serviceAccounts[].status":          "written by eksctl",
		"fargateProfiles[].status":              "written by eksctl",
		"iamIdentityMappings[].namespace":       "TestIdentityMappingCheck",
		"iamIdentityMappings[].noDuplicateARNs": "TestIdentityMappingLife: nothing differs with it",
		"addons[].publishers":                   "eksctl's own listing",
		"addons[].types":                        "eksctl's own listing",
		"addons[].owners":                       "eksctl's own listing",
	}
	cases := steeringCases()
	for _, e := range inventory(t) {
		if _, ok := cases[e.path]; e.class == steering && !ok && elsewhere[e.path] == "" {
			t.Errorf("%s is an instruction that no test gives", e.path)
		}
	}
}
