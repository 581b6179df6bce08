package eks

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
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

// TestClusterFields: each field that AWS can change on a live cluster is changed by one call, also when the process is killed
// after every call, and what somebody else changes is taken back by one.
func TestClusterFields(t *testing.T) {
	t.Parallel()
	network := func(r *rig) *ekstypes.VpcConfigResponse { return r.cloud.world.Cluster.ResourcesVpcConfig }
	list := func(ids []string) string { return "[" + strings.Join(ids, ", ") + "]" }
	for name, tt := range map[string]struct {
		// git is what the file says then.
		git func(*rig) string
		// outside is what somebody else makes of it; nil where there is no way back.
		outside func(*rig) *eks.UpdateClusterConfigInput
		call    string
	}{
		"authenticationMode": {git: func(*rig) string { return bare + "accessConfig: {authenticationMode: API}\n" }},
		"upgradePolicy": {
			git: func(*rig) string { return bare + "upgradePolicy: {supportType: STANDARD}\n" },
			outside: func(*rig) *eks.UpdateClusterConfigInput {
				return &eks.UpdateClusterConfigInput{UpgradePolicy: &ekstypes.UpgradePolicyRequest{SupportType: ekstypes.SupportTypeExtended}}
			},
		},
		"controlPlaneScalingConfig": {
			git: func(*rig) string { return bare + "controlPlaneScalingConfig: {tier: tier-xl}\n" },
			outside: func(*rig) *eks.UpdateClusterConfigInput {
				return &eks.UpdateClusterConfigInput{ControlPlaneScalingConfig: &ekstypes.ControlPlaneScalingConfig{Tier: ekstypes.ProvisionedControlPlaneTierStandard}}
			},
		},
		"zonalShiftConfig": {
			git: func(*rig) string { return bare + "zonalShiftConfig: {enabled: true}\n" },
			outside: func(*rig) *eks.UpdateClusterConfigInput {
				return &eks.UpdateClusterConfigInput{ZonalShiftConfig: &ekstypes.ZonalShiftConfigRequest{Enabled: aws.Bool(false)}}
			},
		},
		"remoteNetworkConfig": {
			git: func(*rig) string {
				return bare + "remoteNetworkConfig: {remoteNodeNetworks: [{cidrs: [10.90.0.0/16, 10.80.0.0/16]}]}\n"
			},
			outside: func(*rig) *eks.UpdateClusterConfigInput {
				return &eks.UpdateClusterConfigInput{RemoteNetworkConfig: &ekstypes.RemoteNetworkConfigRequest{
					RemoteNodeNetworks: []ekstypes.RemoteNodeNetwork{{Cidrs: []string{"10.70.0.0/16"}}},
					RemotePodNetworks:  []ekstypes.RemotePodNetwork{{Cidrs: []string{"10.60.0.0/16"}}}, // git does not say, so it stays
				}}
			},
		},
		"remotePodNetworks": {
			git: func(*rig) string {
				return bare + "remoteNetworkConfig: {remoteNodeNetworks: [{cidrs: [10.90.0.0/16]}], remotePodNetworks: [{cidrs: [10.50.0.0/16]}]}\n"
			},
			outside: func(*rig) *eks.UpdateClusterConfigInput {
				return &eks.UpdateClusterConfigInput{RemoteNetworkConfig: &ekstypes.RemoteNetworkConfigRequest{
					RemoteNodeNetworks: []ekstypes.RemoteNodeNetwork{{Cidrs: []string{"10.90.0.0/16"}}}, RemotePodNetworks: []ekstypes.RemotePodNetwork{{Cidrs: []string{"10.60.0.0/16"}}},
				}}
			},
		},
		"deletionProtection": {
			git: func(*rig) string { return withProtection("true") },
			outside: func(*rig) *eks.UpdateClusterConfigInput {
				return &eks.UpdateClusterConfigInput{DeletionProtection: aws.Bool(false)}
			},
		},
		"controlPlaneSubnetIDs": {
			git: func(r *rig) string {
				ids := slices.Sorted(slices.Values(network(r).SubnetIds))
				slices.Reverse(ids)
				return bare + "vpc: {controlPlaneSubnetIDs: " + list(ids[1:]) + "}\n"
			},
			outside: func(r *rig) *eks.UpdateClusterConfigInput {
				ids := strings.Split(output(r.cloud.world.Stacks[clusterStack("dev")], "SubnetsPrivate"), ",")
				return &eks.UpdateClusterConfigInput{ResourcesVpcConfig: &ekstypes.VpcConfigRequest{SubnetIds: ids}}
			},
		},
		"controlPlaneSecurityGroupIDs": {
			git: func(r *rig) string {
				shared := output(r.cloud.world.Stacks[clusterStack("dev")], "SharedNodeSecurityGroup")
				return bare + "vpc: {controlPlaneSecurityGroupIDs: " + list(append(network(r).SecurityGroupIds, shared)) + "}\n"
			},
			outside: func(r *rig) *eks.UpdateClusterConfigInput {
				return &eks.UpdateClusterConfigInput{ResourcesVpcConfig: &ekstypes.VpcConfigRequest{SecurityGroupIds: network(r).SecurityGroupIds[:1]}}
			},
		},
		"secretsEncryption": {
			git:  func(r *rig) string { return bare + "secretsEncryption: {keyARN: \"" + r.key() + "\"}\n" },
			call: "AssociateEncryptionConfig",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := []string{"UpdateClusterConfig"}
			if tt.call != "" {
				want = []string{tt.call}
			}
			r := newRig(t, bare)
			r.converge()
			r.git(tt.git(r))
			since := r.lastRequest()
			r.restart = true
			r.converge()
			r.settled("the change")
			if got := r.changes(since); !slices.Equal(got, want) {
				t.Errorf("the change took %v, want %v", got, want)
			}
			if tt.outside == nil {
				return
			}
			in := tt.outside(r)
			in.Name = aws.String("dev")
			if _, err := r.cloud.aws.eks.UpdateClusterConfig(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			for range 20 {
				r.tick()
			}
			if c := find(t, r.plan(), KindCluster, "dev"); c.Action != plan.Update {
				t.Errorf("somebody else's change is planned as %s %v", c.Action, c.Edits)
			}
			since = r.lastRequest()
			r.converge()
			r.settled("somebody else's change")
			if got := r.changes(since); !slices.Equal(got, want) {
				t.Errorf("taking it back took %v, want %v", got, want)
			}
		})
	}
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
