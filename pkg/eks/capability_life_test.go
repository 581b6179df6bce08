package eks

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	gocmp "github.com/google/go-cmp/cmp"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	simaws "github.com/eks-gitops/reconciler/internal/sim/aws"
	simfault "github.com/eks-gitops/reconciler/internal/sim/aws/fault"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// TestCapabilityLife makes capabilities, changes them in place and by replacement, gives the place of one to another, and deletes them
// with the cluster, by a process that lives on and by one that is killed after every call.
func TestCapabilityLife(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart=%v", restart), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, small).capabilityRoles()
			r.restart = restart
			r.converge()
			r.git(capable)
			// The role of Argo CD, both capabilities, and the rights of Argo CD.
			if calls := r.wrote(r.converge); !slices.Equal(calls, []string{"CreateStack", "CreateStack", "CreateStack", "AssociateAccessPolicy"}) {
				t.Errorf("making them: %v", calls)
			}
			r.settled("creation")
			w := r.cloud.world
			if cd := w.Capabilities["cd"]; len(w.Capabilities) != 2 || *cd.RoleArn != output(w.Stacks[capabilityRoleStack("dev", "cd")], roleOutput) || cd.Tags["team"] != "core" {
				t.Errorf("there are %v, and stacks %v", w.Capabilities, w.Stacks)
			}

			changed := strings.NewReplacer(
				"role/kro", "role/kro2", "AmazonS3ReadOnlyAccess", "AmazonS3FullAccess", "AmazonEKSViewPolicy", "AmazonEKSEditPolicy", "vpce-1", "vpce-2, vpce-3",
				"{id: ann, type: SSO_USER}", "{id: bob, type: SSO_USER}", "{id: all, type: SSO_GROUP}", "{id: few, type: SSO_GROUP}", "team: core", "team: web",
			).Replace(capable)
			r.git(changed)
			calls := r.wrote(r.converge)
			slices.Sort(calls)
			want := []string{"AssociateAccessPolicy", "DisassociateAccessPolicy", "TagResource", "UpdateCapability", "UpdateCapability", "UpdateStack"}
			if diff := gocmp.Diff(want, calls); diff != "" {
				t.Errorf("changing them (-want +got):\n%s", diff)
			}
			r.settled("changes in place")

			// Rights that git takes back have to go.
			bare, _, _ := strings.Cut(changed, "  accessPolicies")
			bare += `  configuration:
    argocd: {namespace: argocd, awsIdc: {idcInstanceArn: "arn:aws:sso:::instance/ssoins-1"}}
`
			r.git(bare)
			calls = r.wrote(r.converge)
			slices.Sort(calls)
			if diff := gocmp.Diff([]string{"DeleteStack", "DisassociateAccessPolicy", "UpdateCapability", "UpdateTerminationProtection"}, calls); diff != "" {
				t.Errorf("taking rights back, and kro (-want +got):\n%s", diff)
			}
			r.settled("taking rights back")
			if cd := r.cloud.world.Capabilities["cd"]; len(cd.argo().RbacRoleMappings) > 0 || len(cd.argo().NetworkAccess.VpceIds) > 0 || len(r.cloud.world.Capabilities) != 1 {
				t.Errorf("it is still %+v", cd.tree())
			}

			r.git(strings.Replace(bare, "namespace: argocd", "namespace: cd", 1))
			if c := find(t, r.plan(), KindCapability, "cd"); c.Action != plan.Replace || c.Risk != plan.Destructive || !strings.Contains(c.Why, "namespace") {
				t.Errorf("%s %s: %s", c.Action, c.Risk, c.Why)
			}
			r.converge()
			r.settled("replacement")

			r.git(strings.Replace(bare, "name: cd", "name: argo", 1))
			if c := find(t, r.plan(), KindCapability, "argo"); !slices.Contains(c.Needs, ref("dev", KindCapability, "cd")) {
				t.Errorf("the new one does not wait for the place of the old one: %v", c.Needs)
			}
			r.converge()
			r.settled("a new name")
			if w := r.cloud.world; len(w.Capabilities) != 1 || w.Capabilities["argo"] == nil {
				t.Errorf("there are %v", w.Capabilities)
			}
			if _, left := r.cloud.world.Stacks[capabilityRoleStack("dev", "cd")]; left {
				t.Error("the old role is left")
			}

			r.git(capable)
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

// TestCapabilityDrift: what somebody changes is taken back, and what somebody deletes is made anew.
func TestCapabilityDrift(t *testing.T) {
	t.Parallel()
	r := newRig(t, capable).capabilityRoles()
	r.converge()
	client, cluster := r.cloud.aws.eks, aws.String("dev")
	_, err := client.UpdateCapability(t.Context(), &eks.UpdateCapabilityInput{ClusterName: cluster, CapabilityName: aws.String("cd"), Configuration: &ekstypes.UpdateCapabilityConfiguration{
		ArgoCd: &ekstypes.UpdateArgoCdConfig{RbacRoleMappings: &ekstypes.UpdateRoleMappings{AddOrUpdateRoleMappings: []ekstypes.ArgoCdRoleMapping{
			mappingOf("EDITOR", []api.SSOIdentity{{ID: "eve", Type: "SSO_USER"}}),
		}}},
	}})
	r.does(err)
	_, err = client.AssociateAccessPolicy(t.Context(), &eks.AssociateAccessPolicyInput{
		ClusterName: cluster, PrincipalArn: r.cloud.world.Capabilities["cd"].RoleArn, PolicyArn: aws.String("arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"),
		AccessScope: &ekstypes.AccessScope{Type: ekstypes.AccessScopeTypeCluster},
	})
	r.does(err)
	for range 4 {
		r.tick()
	}
	calls := r.wrote(r.converge)
	slices.Sort(calls)
	if !slices.Equal(calls, []string{"DisassociateAccessPolicy", "UpdateCapability"}) {
		t.Errorf("taking it back: %v", calls)
	}
	r.settled("drift")

	_, err = client.DeleteCapability(t.Context(), &eks.DeleteCapabilityInput{ClusterName: cluster, CapabilityName: aws.String("kro")})
	r.does(err)
	r.Clock.Move(time.Hour)
	r.tick()
	if c := find(t, r.plan(), KindCapability, "kro"); c.Action != plan.Create {
		t.Errorf("one that was deleted is to be %s", c.Action)
	}
	r.converge()
	r.settled("making it anew")
}

// ack makes a capability that no stack made, as people do by hand.
func (r *rig) ack() {
	r.t.Helper()
	_, err := eks.NewFromConfig(r.config()).CreateCapability(r.t.Context(), &eks.CreateCapabilityInput{
		ClusterName: aws.String("dev"), CapabilityName: aws.String("ack"), Type: ekstypes.CapabilityTypeAck, RoleArn: aws.String("arn:aws:iam::111122223333:role/kro"),
		DeletePropagationPolicy: ekstypes.CapabilityDeletePropagationPolicyRetain,
	})
	r.does(err)
	for range 5 {
		r.tick()
	}
}

// TestCapabilityAdopted: a capability that something else made is left alone, is in the way of another of its type, is taken over
// unchanged where git names it, and stays when git drops it, unless it was applied from here since.
func TestCapabilityAdopted(t *testing.T) {
	t.Parallel()
	r := newRig(t, small).capabilityRoles()
	r.converge()
	r.ack()
	r.reboot()
	if p := r.plan(); len(p.Changes) != 0 || r.cloud.world.Capabilities["ack"] == nil {
		t.Errorf("%s", describe(nil, p))
	}
	const theirs = small + "capabilities: [{name: ack, type: ACK, roleArn: \"arn:aws:iam::111122223333:role/kro\"}]\n"
	r.git(strings.Replace(theirs, "name: ack", "name: ours", 1))
	if p := r.plan(); len(p.Problems) == 0 || p.Problems[0].Reason != gitops.Foreign || !strings.Contains(p.Problems[0].Error(), "ack, which is not git's, is there") {
		t.Errorf("%v", p.Problems)
	}
	r.git(theirs)
	r.settled("taking over")
	r.git(strings.Replace(theirs, "role/kro", "role/kro2", 1))
	if calls := r.wrote(r.converge); !slices.Equal(calls, []string{"UpdateCapability"}) {
		t.Errorf("changing it: %v", calls)
	}
	r.git(small)
	if p := r.plan(); len(p.Changes) != 0 {
		t.Errorf("%s", describe(nil, p))
	}
	r.inv[ref("dev", KindCapability, "ack")] = gitops.Entry{}
	if calls := r.wrote(r.converge); !slices.Equal(calls, []string{"DeleteCapability"}) {
		t.Errorf("deleting it: %v", calls)
	}
	if r.cloud.world.Capabilities["ack"] != nil {
		t.Error("it is still there")
	}
}

// TestCapabilityGetsRole: one that something else made gets a role of its own where git leaves the role open. It is ours from then on.
func TestCapabilityGetsRole(t *testing.T) {
	t.Parallel()
	r := newRig(t, small).capabilityRoles()
	r.converge()
	r.ack()
	r.git(small + "capabilities: [{name: ack, type: ACK}]\n")
	if calls := r.wrote(r.converge); !slices.Equal(calls, []string{"CreateStack", "UpdateCapability"}) {
		t.Errorf("giving it a role: %v", calls)
	}
	r.settled("a role of its own")
	r.git(small)
	if c := find(t, r.plan(), KindCapability, "ack"); c.Action != plan.Delete || c.Risk != plan.Destructive {
		t.Errorf("%s %s", c.Action, c.Risk)
	}
	r.converge()
	r.settled("deletion")
	if w := r.cloud.world; len(w.Capabilities) > 0 || w.Stacks[capabilityRoleStack("dev", "ack")].StackName != nil {
		t.Errorf("left: %v %v", w.Capabilities, w.Stacks)
	}
}

// TestCapabilityBlocksTeardown: EKS deletes no cluster that has a capability, whoever made it.
func TestCapabilityBlocksTeardown(t *testing.T) {
	t.Parallel()
	r := newRig(t, small).capabilityRoles()
	r.converge()
	r.ack()
	r.teardown = true
	r.reboot()
	r.converge()
	if r.cloud.world.Cluster != nil {
		t.Errorf("left: %v", r.cloud.world.Cluster)
	}
}

// TestCapabilityFaulty: capabilities come, change and go while AWS throttles, fails, does things without the answer arriving, and goes on
// answering as before for a while.
func TestCapabilityFaulty(t *testing.T) {
	t.Parallel()
	r := newRigOn(t, small, simaws.Options{Lag: map[string]time.Duration{"*": 20 * time.Second}}).capabilityRoles()
	r.converge()
	r.tolerant = true
	for _, rule := range []simfault.Rule{
		{Operation: "*Stack", Effect: simfault.Drop, Probability: 0.3},
		{Operation: "*Capability", Effect: simfault.Drop, Probability: 0.3},
		{Operation: "Describe*", Effect: simfault.Throttle, Probability: 0.1},
		{Operation: "*", Effect: simfault.Fail, Code: "InternalFailure", Message: "try later", Status: 500, Probability: 0.1},
	} {
		if _, err := r.Faults().Add(rule); err != nil {
			t.Fatal(err)
		}
	}
	for _, body := range []string{capable, strings.NewReplacer("role/kro", "role/kro2", "vpce-1", "vpce-2", "namespace: argocd", "namespace: cd", "team: core", "team: web").Replace(capable), small} {
		r.git(body)
		r.converge()
	}
	r.Faults().Clear("")
	r.Clock.Move(time.Minute)
	r.settled("faults")
	if w := r.cloud.world; len(w.Capabilities) > 0 {
		t.Errorf("there are %v", w.Capabilities)
	}
}
