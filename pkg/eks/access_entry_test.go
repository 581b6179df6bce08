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
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

const (
	devs = "arn:aws:iam::111122223333:role/teams/devs"
	ops  = "arn:aws:iam::111122223333:role/ops"
)

// staffed is a cluster with one access entry.
const staffed = small + `accessConfig:
  accessEntries:
  - principalARN: ` + devs + `
    kubernetesGroups: [viewers]
    accessPolicies:
    - policyARN: arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy
      accessScope: {type: namespace, namespaces: [shop]}
`

// role makes a role that a service may assume.
func (r *rig) role(path, name, service string) {
	r.t.Helper()
	trust := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":%q},"Action":["sts:AssumeRole","sts:TagSession"]}]}`, service)
	if _, err := iam.NewFromConfig(r.config()).CreateRole(r.t.Context(), &iam.CreateRoleInput{Path: &path, RoleName: &name, AssumeRolePolicyDocument: &trust}); err != nil {
		r.t.Fatal(err)
	}
}

// teams makes the roles that the tests let in.
func (r *rig) teams() *rig {
	r.t.Helper()
	r.role("/teams/", "devs", "ec2.amazonaws.com")
	r.role("/", "ops", "ec2.amazonaws.com")
	return r
}

// wrote lists the calls that changed something while something was done.
func (r *rig) wrote(do func()) []string {
	r.t.Helper()
	before := 0
	if all := r.Requests(0); len(all) > 0 {
		before = all[len(all)-1].Seq
	}
	do()
	var out []string
	for _, q := range r.Requests(0) {
		if q.Seq > before && !q.ReadOnly && q.Service != "sts" {
			out = append(out, q.Operation)
		}
	}
	return out
}

// principals are those that the cluster has access entries for.
func (r *rig) principals() []string {
	r.t.Helper()
	out, err := r.cloud.aws.eks.ListAccessEntries(r.t.Context(), &eks.ListAccessEntriesInput{ClusterName: aws.String("dev")})
	if err != nil {
		r.t.Fatal(err)
	}
	return slices.Sorted(slices.Values(out.AccessEntries))
}

// TestAccessEntryLife makes an access entry, changes it in place and by replacement, and ends it, by a process that lives on and
// by one that is killed after every call. What EKS made for itself and for nodes stays as it is.
func TestAccessEntryLife(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart=%v", restart), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, small).teams()
			r.restart = restart
			r.converge()
			others := r.principals()
			if len(others) < 2 {
				t.Fatalf("EKS let in %v", others)
			}
			r.git(staffed)
			if calls := r.wrote(r.converge); !slices.Equal(calls, []string{"CreateStack"}) {
				t.Errorf("making it: %v", calls)
			}
			r.settled("creation")
			live := r.cloud.world.Entries[devs]
			if live.KubernetesGroups[0] != "viewers" || len(live.Policies) != 1 || r.cloud.world.Stacks[entryStack("dev", devs)].StackName == nil {
				t.Errorf("the entry is %+v", live)
			}

			changed := strings.NewReplacer("[viewers]", "[editors, viewers]\n    kubernetesUsername: dev", "AmazonEKSViewPolicy", "AmazonEKSEditPolicy").Replace(staffed)
			r.git(changed)
			if calls := r.wrote(r.converge); !slices.Equal(calls, []string{"UpdateAccessEntry", "AssociateAccessPolicy", "DisassociateAccessPolicy"}) {
				t.Errorf("changing it: %v", calls)
			}
			r.settled("changes in place")

			bare, _, _ := strings.Cut(staffed, "    kubernetesGroups")
			r.git(bare)
			if calls := r.wrote(r.converge); !slices.Equal(calls, []string{"UpdateAccessEntry", "DisassociateAccessPolicy"}) {
				t.Errorf("taking its rights: %v", calls)
			}
			r.settled("taking its rights")
			if live := r.cloud.world.Entries[devs]; len(live.KubernetesGroups)+len(live.Policies) > 0 || *live.Username != "arn:aws:sts::111122223333:assumed-role/devs/{{SessionName}}" {
				t.Errorf("the entry is %+v", live)
			}

			r.git(bare + "    type: EC2_LINUX\n")
			if c := find(t, r.plan(), KindAccessEntry, devs); c.Action != plan.Replace || !strings.Contains(c.Why, "fixed") {
				t.Errorf("%s: %s", c.Action, c.Why)
			}
			r.converge()
			r.settled("replacement")

			r.git(strings.ReplaceAll(bare, devs, ops))
			if c := find(t, r.plan(), KindAccessEntry, devs); c.Action != plan.Delete || !slices.Contains(c.Needs, ref("dev", KindAccessEntry, ops)) {
				t.Errorf("%s needs %v", c.Action, c.Needs)
			}
			r.converge()
			r.git(small)
			r.converge()
			r.settled("the end")
			if left := r.principals(); !slices.Equal(left, others) {
				t.Errorf("left are %v, want %v", left, others)
			}
		})
	}
}

// TestAccessEntryDrift: rights that somebody gives by hand are taken back, and an entry that somebody deletes is made again.
func TestAccessEntryDrift(t *testing.T) {
	t.Parallel()
	r := newRig(t, staffed).teams()
	r.converge()
	admin := "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
	key := &eks.AssociateAccessPolicyInput{ClusterName: aws.String("dev"), PrincipalArn: aws.String(devs), PolicyArn: &admin, AccessScope: &ekstypes.AccessScope{Type: "cluster"}}
	if _, err := r.cloud.aws.eks.AssociateAccessPolicy(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	r.cloud.touch()
	if c := find(t, r.plan(), KindAccessEntry, devs); c.Action != plan.Update {
		t.Errorf("%s", c.Action)
	}
	if calls := r.wrote(r.converge); !slices.Equal(calls, []string{"DisassociateAccessPolicy"}) {
		t.Errorf("taking it back: %v", calls)
	}
	if _, err := r.cloud.aws.eks.DeleteAccessEntry(t.Context(), &eks.DeleteAccessEntryInput{ClusterName: key.ClusterName, PrincipalArn: key.PrincipalArn}); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		r.tick()
	}
	r.cloud.touch()
	r.converge()
	r.settled("drift")
	if !slices.Contains(r.principals(), devs) {
		t.Error("it was not made again")
	}
}

// TestAccessEntryAdopted: of an entry that something else made, only what git names is compared; it goes when it leaves git only
// if it was applied from here, and never when it is for nodes.
func TestAccessEntryAdopted(t *testing.T) {
	t.Parallel()
	r := newRig(t, small).teams()
	r.converge()
	for principal, in := range map[string]eks.CreateAccessEntryInput{devs: {KubernetesGroups: []string{"a"}, Username: aws.String("x")}, ops: {Type: aws.String("EC2_LINUX")}} {
		in.ClusterName, in.PrincipalArn = aws.String("dev"), &principal
		if _, err := eks.NewFromConfig(r.config()).CreateAccessEntry(t.Context(), &in); err != nil {
			t.Fatal(err)
		}
	}
	before := r.principals()
	r.cloud.touch()
	if p := r.plan(); len(p.Changes) != 0 {
		t.Errorf("%s", describe(nil, p))
	}
	wanted := small + "accessConfig:\n  accessEntries:\n  - principalARN: " + devs + "\n  - principalARN: " + ops + "\n    type: EC2_LINUX\n"
	r.git(wanted)
	r.settled("taking over")
	r.git(strings.Replace(wanted, "role/teams/devs\n", "role/teams/devs\n    kubernetesGroups: [b]\n", 1))
	if calls := r.wrote(r.converge); !slices.Equal(calls, []string{"UpdateAccessEntry"}) {
		t.Errorf("changing it: %v", calls)
	}
	if live := r.cloud.world.Entries[devs]; *live.Username != "x" {
		t.Errorf("its name is %s", *live.Username)
	}
	r.git(small)
	if p := r.plan(); len(p.Changes) != 0 {
		t.Errorf("%s", describe(nil, p))
	}
	for _, principal := range []string{devs, ops} {
		r.inv[ref("dev", KindAccessEntry, principal)] = gitops.Entry{}
	}
	if calls := r.wrote(r.converge); !slices.Equal(calls, []string{"DeleteAccessEntry"}) {
		t.Errorf("ending it: %v", calls)
	}
	if left := r.principals(); len(left) != len(before)-1 || !slices.Contains(left, ops) {
		t.Errorf("left are %v of %v", left, before)
	}
}

// TestAccessEntryRefused: what EKS does not accept is told in its words, and goes when git takes it back.
func TestAccessEntryRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	r.converge()
	r.git(staffed)
	c := find(t, r.plan(), KindAccessEntry, devs)
	if err := r.cloud.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if h := r.await(c, gitops.Failed); !strings.Contains(h.Message, "invalid principal") {
		t.Errorf("it says %s", h.Message)
	}
	if again := find(t, r.plan(), KindAccessEntry, devs); again.Action != plan.Create || again.ID != c.ID {
		t.Errorf("the next plan has %s %s", again.Action, again.ID)
	}
	r.git(small)
	r.converge()
	r.settled("taking it back")
	if _, ok := r.cloud.world.Stacks[entryStack("dev", devs)]; ok {
		t.Error("its stack is still there")
	}
}

// TestAccessEntriesOff: a cluster that knows nobody but aws-auth says so, with what to do about it.
func TestAccessEntriesOff(t *testing.T) {
	t.Parallel()
	mode := "accessConfig:\n  authenticationMode: CONFIG_MAP\n"
	r := newRig(t, small+mode).teams()
	r.converge()
	r.git(staffed)
	p := r.plan()
	i := slices.IndexFunc(p.Problems, func(e *gitops.Error) bool { return e.Reason == gitops.ConfigInvalid })
	if p.Complete || i < 0 || p.Problems[i].Ref.Kind != KindAccessEntry || p.Problems[i].From.Line == 0 || !strings.Contains(p.Problems[i].Try, "API_AND_CONFIG_MAP") {
		t.Errorf("%s", describe(nil, p))
	}
	r.git(strings.Replace(staffed, "accessConfig:\n", "accessConfig:\n  authenticationMode: API_AND_CONFIG_MAP\n", 1))
	c := find(t, r.plan(), KindAccessEntry, devs)
	if err := r.cloud.Apply(t.Context(), c); !errors.Is(err, &gitops.Error{Reason: gitops.ConfigInvalid}) {
		t.Errorf("Apply gave %v", err)
	}
}

// TestOwnWayIn: the entry by which the reconciler itself comes in is not deleted for not being in git; another one is.
func TestOwnWayIn(t *testing.T) {
	t.Parallel()
	r := newRig(t, staffed).teams()
	r.converge()
	r.git(small)
	r.cloud.caller = "arn:aws:sts::111122223333:assumed-role/devs/me"
	p := r.plan()
	if len(p.Changes) != 0 || !p.Complete || !slices.ContainsFunc(p.Problems, func(e *gitops.Error) bool {
		return e.Reason == gitops.NotManaged && strings.Contains(e.Error(), devs) && e.Try != ""
	}) {
		t.Errorf("%s", describe(nil, p))
	}
	r.cloud.caller = "arn:aws:sts::111122223333:assumed-role/ops/devs"
	if c := find(t, r.plan(), KindAccessEntry, devs); c.Action != plan.Delete {
		t.Errorf("planned to %s it", c.Action)
	}
	for _, tt := range []struct {
		caller, principal string
		want              bool
	}{
		{"arn:aws:iam::111122223333:user/a", "arn:aws:iam::111122223333:user/a", true},
		{"arn:aws:sts::111122223333:assumed-role/devs/x", devs, true},
		{"arn:aws:sts::111122223333:assumed-role/dev/x", devs, false},
		{"arn:aws:sts::444455556666:assumed-role/devs/x", devs, false},
		{"arn:aws:sts::111122223333:federated-user/devs", devs, false},
		{"", devs, false},
	} {
		if got := calls(tt.caller, tt.principal); got != tt.want {
			t.Errorf("%s calls as %s: %v", tt.caller, tt.principal, got)
		}
	}
}
