package eks

import (
	"slices"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/eks-gitops/reconciler/pkg/plan"
)

// around makes what the rows name and nobody here makes: roles and a policy.
func (r *rig) around() {
	r.t.Helper()
	for name, service := range map[string]string{
		"one": "pods.eks.amazonaws.com", "two": "pods.eks.amazonaws.com", "ops": "ec2.amazonaws.com", "pods": "eks-fargate-pods.amazonaws.com", "ebs": "ec2.amazonaws.com",
	} {
		r.role("/", name, service)
	}
	_, err := iam.NewFromConfig(r.config()).CreatePolicy(r.t.Context(), &iam.CreatePolicyInput{
		PolicyName: sdk.String("most"), PolicyDocument: sdk.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`),
	})
	r.does(err)
}

// TestRowsActed: each field that is changed by a call is one change in a plan, and once that is carried out nothing is left to do; and so is
// the way back. All rows of a file have one cluster, one after the other.
func TestRowsActed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		file  string
		rows  map[string][2]string
		kinds map[string]string
	}{
		"identities": {identities, identityRows(), map[string]string{
			"iam.serviceAccounts[].": KindServiceAccount, "iam.podIdentityAssociations[].": KindPodIdentity, "accessConfig.accessEntries[].": KindAccessEntry,
			"fargateProfiles[].": KindFargateProfile, "identityProviders[].": KindIdentityProviderConfig,
		}},
		"furniture": {furnished, furnitureRows(), map[string]string{
			"addons[].": KindAddon, "managedNodeGroups[].": KindNodegroup, "nodeGroups[].": KindNodegroup,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, bare)
			r.around()
			file := strings.Replace(tt.file, "lt-1", r.template("own", "m5.large", "m6i.large"), 1)
			before := written(file, [2]string{})
			r.git(before)
			r.converge()
			r.settled("creation")
			for _, e := range inventory(t) {
				edit, ok := tt.rows[e.path]
				if !ok || e.class != mutable || e.path == "managedNodeGroups[].releaseVersion" { // AWS has one release of each minor here
					continue
				}
				kind := ""
				for prefix, k := range tt.kinds {
					if strings.HasPrefix(e.path, prefix) {
						kind = k
					}
				}
				r.git(written(file, edit))
				if p := r.plan(); len(p.Changes) != 1 || p.Changes[0].Ref.Kind != kind || p.Changes[0].Action != plan.Update {
					t.Errorf("%s: want one update of a %s:\n%s", e.path, kind, describe(nil, p))
				}
				calls := r.wrote(r.converge)
				if _, call, ofAWS := strings.Cut(e.by, ":"); ofAWS && !slices.Contains(calls, strings.Fields(call)[0]) {
					t.Errorf("%s is changed by %v, and the table says %s", e.path, calls, e.by)
				}
				r.settled(e.path)
				r.git(before)
				r.converge()
				r.settled(e.path + " and back")
			}
		})
	}
}
