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
	"github.com/weaveworks/eksctl/pkg/cfn/outputs"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// serverless is a cluster with two Fargate profiles.
const serverless = oneProfile + `- name: batch
  selectors: [{namespace: batch}]
`

// oneProfile is a cluster with the first of them.
const oneProfile = small + `fargateProfiles:
- name: shop
  selectors: [{namespace: shop, labels: {on: fargate}}, {namespace: cart}]
  tags: {team: shop}
`

// TestFargateLife makes Fargate profiles one after the other, changes them in place and by replacement, and deletes them, by a
// process that lives on and by one that is killed after every call.
func TestFargateLife(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart=%v", restart), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, small)
			r.restart = restart
			r.converge()
			r.git(serverless)
			r.converge()
			r.settled("creation")
			w := r.cloud.world
			if len(w.Profiles) != 2 || *w.Profiles["shop"].PodExecutionRoleArn != output(w.Stacks[fargateStack("dev")], outputs.FargatePodExecutionRoleARN) {
				t.Errorf("there are %v, and stacks %v", w.Profiles, w.Stacks)
			}

			r.git(strings.Replace(serverless, "team: shop", "team: core", 1))
			if calls := r.wrote(r.converge); !slices.Equal(calls, []string{"TagResource"}) {
				t.Errorf("changing it: %v", calls)
			}
			r.settled("changes in place")

			r.git(strings.Replace(serverless, "namespace: batch", "namespace: night", 1))
			if c := find(t, r.plan(), KindFargateProfile, "batch"); c.Action != plan.Replace || c.Risk != plan.Destructive {
				t.Errorf("%s %s: %s", c.Action, c.Risk, c.Why)
			}
			r.converge()
			r.settled("replacement")

			r.git(strings.Replace(oneProfile, "name: shop", "name: store", 1))
			r.converge()
			r.settled("a new name")
			if w := r.cloud.world; len(w.Profiles) != 1 || w.Profiles["store"] == nil {
				t.Errorf("there are %v", w.Profiles)
			}

			r.git(serverless)
			r.converge()
			r.teardown = true
			r.reboot()
			r.converge()
			left, err := r.cloud.sweep(t.Context(), r.cloud.config, true)
			if err != nil {
				t.Fatal(err)
			}
			if left.Cluster != nil || len(left.Stacks) > 0 {
				t.Errorf("left: %v %v", left.Cluster, left.Stacks)
			}
		})
	}
}

// TestFargateRole: a cluster that is made with profiles has their role in its own stack, as eksctl makes it; a role that the file
// names comes before that.
func TestFargateRole(t *testing.T) {
	t.Parallel()
	r := newRig(t, serverless)
	r.role("/", "pods", "eks-fargate-pods.amazonaws.com")
	r.converge()
	w := r.cloud.world
	if role := output(w.Stacks[clusterStack("dev")], outputs.FargatePodExecutionRoleARN); role == "" || role != *w.Profiles["shop"].PodExecutionRoleArn {
		t.Errorf("the stack made %q", role)
	}
	r.git(strings.Replace(serverless, "- name: batch\n", "- name: batch\n  podExecutionRoleARN: arn:aws:iam::111122223333:role/pods\n", 1))
	if c := find(t, r.plan(), KindFargateProfile, "batch"); c.Action != plan.Replace {
		t.Errorf("%s", c.Action)
	}
	r.converge()
	r.settled("another role")
}

// TestFargateRefused: what EKS does not accept is told in its words.
func TestFargateRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	r.role("/", "wrong", "ec2.amazonaws.com")
	r.converge()
	r.git(serverless + "  podExecutionRoleARN: arn:aws:iam::111122223333:role/wrong\n")
	err := r.cloud.Apply(t.Context(), find(t, r.plan(), KindFargateProfile, "batch"))
	if !errors.Is(err, &gitops.Error{Reason: gitops.ApplyFailed}) || !strings.Contains(err.Error(), "Misconfigured PodExecutionRole") {
		t.Errorf("Apply gave %v", err)
	}
}

// TestFargateFailed: a profile that did not come to be says why, and is planned anew.
func TestFargateFailed(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, serverless)
	w := worldOf(t, cfg)
	w.Profiles["shop"].Status = ekstypes.FargateProfileStatusCreateFailed
	w.Profiles["shop"].Health = &ekstypes.FargateProfileHealth{Issues: []ekstypes.FargateProfileIssue{{Code: ekstypes.FargateProfileIssueCodeAccessDenied, Message: aws.String("no role")}}}
	if h := w.profileHealth("shop"); h.Status != gitops.Failed || !strings.Contains(h.Message, "AccessDenied: no role") {
		t.Errorf("it says %s", h)
	}
	if c := find(t, build(cfg.observe(w, false)), KindFargateProfile, "shop"); c.Action != plan.Create {
		t.Errorf("%s", c.Action)
	}
}

// TestFargateAdopted: a profile that something else made is taken over unchanged, and stays when git drops it, unless it was
// applied from here since.
func TestFargateAdopted(t *testing.T) {
	t.Parallel()
	r := newRig(t, serverless)
	r.converge()
	arn := r.cloud.world.Profiles["batch"].FargateProfileArn
	if _, err := r.cloud.aws.eks.UntagResource(t.Context(), &eks.UntagResourceInput{ResourceArn: arn, TagKeys: []string{tagMade}}); err != nil {
		t.Fatal(err)
	}
	r.settled("taking over")
	r.git(oneProfile)
	if p := r.plan(); len(p.Changes) != 0 {
		t.Errorf("%s", describe(nil, p))
	}
	r.inv[ref("dev", KindFargateProfile, "batch")] = gitops.Entry{}
	r.converge()
	if r.cloud.world.Profiles["batch"] != nil || r.cloud.world.Profiles["shop"] == nil {
		t.Errorf("there are %v", r.cloud.world.Profiles)
	}
}
