package eks

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// bare is a cluster of a control plane alone; parts of it are edited by their names.
const bare = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata:
  name: dev
  region: eu-west-1
  version: "1.36"
addonsConfig: {disableDefaultAddons: true}
`

// withProtection is bare with a word on deletion protection.
func withProtection(v string) string {
	return strings.Replace(bare, "  version:", fmt.Sprintf("  annotations: {reconciler.eks-gitops.io/deletion-protection: %q}\n  version:", v), 1)
}

// changes are the calls made since a request that change the cluster itself.
func (r *rig) changes(since int) []string {
	var out []string
	for _, q := range r.Requests(since) {
		if q.Service == "eks" && !q.ReadOnly {
			out = append(out, q.Operation)
		}
	}
	return out
}

func (r *rig) lastRequest() int {
	all := r.Requests(0)
	return all[len(all)-1].Seq
}

// key makes a key of KMS.
func (r *rig) key() string {
	r.t.Helper()
	made, err := kms.NewFromConfig(r.config()).CreateKey(r.t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		r.t.Fatal(err)
	}
	return *made.KeyMetadata.Arn
}

// TestClusterFieldsTakeTurns: EKS takes one aspect at a time, and so several fields take as many updates, none of them refused;
// and a mode that is two steps away is reached by two.
func TestClusterFieldsTakeTurns(t *testing.T) {
	t.Parallel()
	r := newRig(t, bare+"accessConfig: {authenticationMode: CONFIG_MAP}\n")
	r.converge()
	r.git(withProtection("true") + "accessConfig: {authenticationMode: API}\nzonalShiftConfig: {enabled: true}\ncontrolPlaneScalingConfig: {tier: tier-xl}\n")
	since := r.lastRequest()
	r.converge()
	r.settled("four changes")
	if got := r.changes(since); len(got) != 5 {
		t.Errorf("four changes, one of two steps, took %v", got)
	}
	for _, q := range r.Requests(since) {
		if q.Status >= 400 && q.Service == "eks" && !q.ReadOnly {
			t.Errorf("%s was refused: %s", q.Operation, q.Message)
		}
	}
	r.git(withProtection("true") + "accessConfig: {authenticationMode: API_AND_CONFIG_MAP}\n")
	if p := r.plan(); p.Complete || len(p.Changes) > 0 || !errors.Is(p.Problems[0], &gitops.Error{Reason: gitops.Immutable}) || !strings.Contains(p.Problems[0].Message(), "cannot go back") {
		t.Errorf("the way back:\n%s", describe(nil, p))
	}
	r.teardown = true
	r.reboot()
	p := r.plan()
	if p.Complete || len(p.Changes) > 0 || !errors.Is(p.Problems[0], &gitops.Error{Reason: gitops.Blocked}) || !strings.Contains(p.Problems[0].Try, "deletion-protection") {
		t.Errorf("the end of a protected cluster:\n%s", describe(nil, p))
	}
}

// TestKeyOfSecrets: a key stays. Another one is an error; none is noted, and so is one that git does not know of; an alias names
// whatever key there is.
func TestKeyOfSecrets(t *testing.T) {
	t.Parallel()
	r := newRig(t, bare)
	key := r.key()
	says := func(key string) string { return bare + "secretsEncryption: {keyARN: \"" + key + "\"}\n" }
	r.git(says(key))
	r.converge()
	r.git(says(r.key()))
	if p := r.plan(); p.Complete || len(p.Changes) > 0 || !strings.Contains(p.Problems[0].Message(), "secretsEncryption.keyARN cannot be changed") {
		t.Errorf("another key:\n%s", describe(nil, p))
	}
	r.git(bare)
	if p := r.plan(); !p.Complete || len(p.Changes) > 0 || len(p.Problems) != 1 || p.Problems[0].Reason != gitops.NotManaged || !strings.Contains(p.Problems[0].Message(), key) {
		t.Errorf("no key:\n%s", describe(nil, p))
	}
	r.git(says("arn:aws:kms:eu-west-1:111122223333:alias/secrets"))
	if p := r.plan(); !p.Empty() {
		t.Errorf("an alias:\n%s", describe(nil, p))
	}
}

// TestRefusedChange: what AWS refuses does not keep other changes from being made, and is told when they are.
func TestRefusedChange(t *testing.T) {
	t.Parallel()
	r := newRig(t, bare)
	r.converge()
	r.git(bare + "remoteNetworkConfig: {remoteNodeNetworks: [{cidrs: [8.8.8.0/24]}]}\nupgradePolicy: {supportType: STANDARD}\n")
	var err error
	for range 20 {
		for _, c := range r.plan().Changes {
			err = r.apply(c)
		}
		r.tick()
	}
	if err == nil || !strings.Contains(err.Error(), "8.8.8.0/24") {
		t.Errorf("the refusal is told as %v", err)
	}
	if policy := r.cloud.world.Cluster.UpgradePolicy; policy == nil || policy.SupportType != ekstypes.SupportTypeStandard {
		t.Errorf("the upgrade policy is %v", policy)
	}
}

// TestDeletionProtectionIsAWord: anything but a plain yes or no is an error with its place.
func TestDeletionProtectionIsAWord(t *testing.T) {
	t.Parallel()
	_, problems := load([]byte(withProtection("yes")))
	if len(problems) != 1 || problems[0].Reason != gitops.ConfigInvalid || !strings.Contains(problems[0].Message(), `is "yes"`) || problems[0].From.Line == 0 {
		t.Errorf("problems: %v", problems)
	}
}
