package eks

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	gocmp "github.com/google/go-cmp/cmp"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	simaws "github.com/eks-gitops/reconciler/internal/sim/aws"
	simfault "github.com/eks-gitops/reconciler/internal/sim/aws/fault"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// capable is a cluster with Argo CD, whose role is made for it, and kro, which has one.
const capable = withArgo + `- name: kro
  type: KRO
  roleArn: arn:aws:iam::111122223333:role/kro
`

const withArgo = small + `capabilities:
- name: cd
  type: ARGOCD
  attachPolicyARNs: ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]
  accessPolicies:
  - policyARN: arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy
    accessScope: {type: cluster}
  configuration:
    argocd:
      namespace: argocd
      awsIdc: {idcInstanceArn: "arn:aws:sso:::instance/ssoins-1"}
      networkAccess: {vpceIds: [vpce-1]}
      rbacRoleMappings:
      - {role: ADMIN, identities: [{id: ann, type: SSO_USER}, {id: ops, type: SSO_GROUP}]}
      - {role: VIEWER, identities: [{id: all, type: SSO_GROUP}]}
  tags: {team: core}
`

// capabilityIn puts a capability of the config into the world, with its stacks.
func capabilityIn(t *testing.T, w *world, cfg *Config, k *api.Capability) {
	t.Helper()
	roleARN := k.RoleARN
	if roleARN == "" {
		r, err := cfg.capabilityRole(k)
		roleIn(t, w, cfg, r, err)
		roleARN = "arn:" + r.stack
	}
	stackIn(w, cfg, capabilityStack(cfg.Name, k.Name), map[string]string{tagCapability: k.Name}, nil, nil)
	live := &capability{Capability: &ekstypes.Capability{
		CapabilityName: &k.Name, Type: ekstypes.CapabilityType(k.Type), RoleArn: &roleARN, Status: ekstypes.CapabilityStatusActive, Tags: maps.Clone(k.Tags),
		DeletePropagationPolicy: ekstypes.CapabilityDeletePropagationPolicyRetain,
	}}
	if k.Configuration != nil {
		a := k.Configuration.ArgoCD
		argo := &ekstypes.ArgoCdConfigResponse{Namespace: &a.Namespace, AwsIdc: &ekstypes.ArgoCdAwsIdcConfigResponse{IdcInstanceArn: &a.AWSIDC.IDCInstanceARN, IdcRegion: aws.String("eu-west-1")}}
		for _, m := range a.RBACRoleMappings {
			argo.RbacRoleMappings = append(argo.RbacRoleMappings, mappingOf(m.Role, m.Identities))
		}
		if a.NetworkAccess != nil {
			argo.NetworkAccess = &ekstypes.ArgoCdNetworkAccessConfigResponse{VpceIds: a.NetworkAccess.VPCEIDs}
		}
		live.Configuration = &ekstypes.CapabilityConfigurationResponse{ArgoCd: argo}
	}
	for _, p := range k.AccessPolicies {
		live.Policies = append(live.Policies, ekstypes.AssociatedAccessPolicy{
			PolicyArn: aws.String(p.PolicyARN.String()), AccessScope: &ekstypes.AccessScope{Type: p.AccessScope.Type, Namespaces: p.AccessScope.Namespaces},
		})
	}
	w.Capabilities[k.Name] = live
}

// capabilityRoles makes the roles that the tests give capabilities.
func (r *rig) capabilityRoles() *rig {
	r.t.Helper()
	for _, name := range []string{"kro", "kro2"} {
		r.role("/", name, "capabilities.eks.amazonaws.com")
	}
	r.role("/", "wrong", "ec2.amazonaws.com")
	return r
}

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

// TestCapabilityBoundary: the role of a capability has the boundary that the file gives it, which eksctl forgets.
func TestCapabilityBoundary(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, small+"capabilities: [{name: ack, type: ACK, permissionsBoundary: \"arn:aws:iam::aws:policy/PowerUserAccess\"}]\n")
	k, _ := cfg.capability("ack")
	r, err := cfg.capabilityRole(k)
	if err != nil {
		t.Fatal(err)
	}
	template, err := r.template()
	if err != nil {
		t.Fatal(err)
	}
	if got := roleView(template)["permissionsBoundary"]; got != k.PermissionsBoundary {
		t.Errorf("the boundary is %v", got)
	}
	w := worldOf(t, cfg)
	w.Templates[r.stack] = gitops.Clone(template)
	put(w.Templates[r.stack], nil, "Resources", roleOutput, "Properties", "PermissionsBoundary")
	if c := find(t, build(cfg.observe(w, false)), KindCapability, "ack"); c.Action != plan.Update {
		t.Errorf("one that eksctl made is to be %s", c.Action)
	}
}

// TestCapabilityRefused: what EKS does not accept is told in its words; what it would never accept is told before.
func TestCapabilityRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, small).capabilityRoles()
	r.converge()
	r.git(strings.Replace(capable, "role/kro", "role/wrong", 1))
	c := find(t, r.plan(), KindCapability, "kro")
	if err := r.cloud.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		r.tick()
	}
	h, err := r.cloud.Ready(t.Context(), c.Ref)
	if err != nil || h.Status != gitops.Failed || !strings.Contains(h.Message, "The trust policy for the provided role is invalid") {
		t.Errorf("it is %s, %v", h, err)
	}
	r.git(capable) // the right role: what failed is cleared away
	r.converge()
	r.settled("another role")

	for body, want := range map[string]string{
		"[{name: a, type: ACK}, {name: a, type: KRO}]":                                      `capability "a" is also defined at capabilities[0]`,
		"[{name: a, type: ACK}, {name: b, type: ACK}]":                                      "one capability of type ACK per cluster, and capabilities[0] is one",
		"[{name: a, type: FLUX}]":                                                           "type must be ACK, KRO or ARGOCD",
		"[{name: a, type: ARGOCD}]":                                                         "configuration is required",
		"[{name: a, type: ACK, deletePropagationPolicy: DELETE}]":                           "deletePropagationPolicy must be RETAIN",
		"[{name: a, type: ACK, configuration: {}}]":                                         "configuration is for capabilities of type ARGOCD",
		"[{name: a, type: ACK, roleArn: \"arn:aws:iam::1:role/a\", attachPolicyARNs: [x]}]": "for the role that is made where there is no roleArn",
		"[{name: a, type: ARGOCD, configuration: {argocd: {awsIdc: {idcInstanceArn: x}, rbacRoleMappings: [{role: ADMIN, identities: []}, {role: ADMIN, identities: []}]}}}]": "role ADMIN is mapped twice",
	} {
		_, problems := load([]byte(small + "capabilities: " + body + "\n"))
		if len(problems) != 1 || !strings.Contains(problems[0].Error(), want) {
			t.Errorf("%s: %v", body, problems)
		}
	}

	cfg := mustLoad(t, capable)
	w := worldOf(t, cfg)
	w.Cluster.AccessConfig.AuthenticationMode = ekstypes.AuthenticationModeConfigMap
	if e := cfg.observe(w, false)[ref("dev", KindCapability, "kro")].Err; !errors.Is(e, &gitops.Error{Reason: gitops.ConfigInvalid}) || !strings.Contains(e.Error(), "CONFIG_MAP") {
		t.Errorf("in a cluster without access entries: %v", e)
	}
}

// TestCapabilityHealth: a capability tells its state in AWS's words, and one that did not come to be is planned anew.
func TestCapabilityHealth(t *testing.T) {
	t.Parallel()
	r := newRig(t, capable).capabilityRoles()
	r.converge()
	trust := func(service string) {
		t.Helper()
		document := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":["sts:AssumeRole","sts:TagSession"]}]}`
		_, err := iam.NewFromConfig(r.config()).UpdateAssumeRolePolicy(t.Context(), &iam.UpdateAssumeRolePolicyInput{RoleName: aws.String("kro"), PolicyDocument: &document})
		r.does(err)
		r.tick()
		r.tick()
	}
	trust("ec2.amazonaws.com")
	if c := find(t, r.plan(), KindCapability, "kro"); c.Action != plan.Wait || !strings.Contains(c.Why, "DEGRADED: AccessDenied: The trust policy") {
		t.Errorf("%s: %s", c.Action, c.Why)
	}
	trust("capabilities.eks.amazonaws.com")
	r.settled("the role is back")

	cfg := mustLoad(t, capable)
	w := worldOf(t, cfg)
	w.Capabilities["kro"].Status = ekstypes.CapabilityStatusCreateFailed
	if c := find(t, build(cfg.observe(w, false)), KindCapability, "kro"); c.Action != plan.Create {
		t.Errorf("one that failed is to be %s", c.Action)
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

// TestCapabilitySweep: capabilities are listed where there are some; in a cluster without, only when all is read anew, and it is no
// trouble there when AWS does not let us (regions without capabilities, rights of before).
func TestCapabilitySweep(t *testing.T) {
	t.Parallel()
	r := newRig(t, small).capabilityRoles()
	r.converge()
	r.settled("creation")
	if n := r.calls()["eks:ListCapabilities"]; n != 0 {
		t.Errorf("they were listed %d times in a cluster without", n)
	}
	rule := simfault.Rule{Operation: "ListCapabilities", Effect: simfault.Fail, Code: "AccessDeniedException", Message: "Unable to determine service/operation name to be authorized", Status: 403, Probability: 1}
	if _, err := r.Faults().Add(rule); err != nil {
		t.Fatal(err)
	}
	r.settled("a region without")
	r.git(capable)
	_, err := r.cloud.Observe(t.Context(), gitops.Desired{Cluster: "dev", Items: []gitops.Item{r.item}}, r.inv)
	if !errors.Is(err, &gitops.Error{Reason: gitops.AccessDenied}) {
		t.Errorf("git asks for some: %v", err)
	}
	r.Faults().Clear("")
	r.converge()
	r.settled("creation")
	calls := r.calls()
	got := map[string]int{}
	for _, name := range []string{"eks:ListCapabilities", "eks:DescribeCapability", "eks:ListAssociatedAccessPolicies"} {
		got[name] = calls[name]
	}
	if diff := gocmp.Diff(map[string]int{"eks:ListCapabilities": 1, "eks:DescribeCapability": 2, "eks:ListAssociatedAccessPolicies": 2}, got); diff != "" {
		t.Errorf("a sweep (-want +got):\n%s", diff)
	}
}

// TestCapabilityMappings: who has a role too many loses it, and who lacks one gets it, whatever EKS makes of a role that is given anew.
func TestCapabilityMappings(t *testing.T) {
	t.Parallel()
	people := func(role string, ids ...string) api.ArgoCDRoleMapping {
		m := api.ArgoCDRoleMapping{Role: role}
		for _, id := range ids {
			m.Identities = append(m.Identities, api.SSOIdentity{ID: id, Type: "SSO_USER"})
		}
		return m
	}
	type mappings = []api.ArgoCDRoleMapping
	for name, tt := range map[string]struct{ have, want, add, remove mappings }{
		"the same":          {have: mappings{people("ADMIN", "a", "b")}, want: mappings{people("ADMIN", "b", "a")}},
		"the first":         {want: mappings{people("ADMIN", "a")}, add: mappings{people("ADMIN", "a")}},
		"one more":          {have: mappings{people("ADMIN", "a")}, want: mappings{people("ADMIN", "a", "b")}, add: mappings{people("ADMIN", "a", "b")}},
		"one less":          {have: mappings{people("ADMIN", "a", "b")}, want: mappings{people("ADMIN", "b")}, remove: mappings{people("ADMIN", "a")}},
		"another":           {have: mappings{people("ADMIN", "a")}, want: mappings{people("ADMIN", "b")}, add: mappings{people("ADMIN", "b")}},
		"another role":      {have: mappings{people("ADMIN", "a")}, want: mappings{people("VIEWER", "a")}, add: mappings{people("VIEWER", "a")}, remove: mappings{people("ADMIN", "a")}},
		"nobody any more":   {have: mappings{people("ADMIN", "a"), people("VIEWER", "b")}, remove: mappings{people("ADMIN", "a"), people("VIEWER", "b")}},
		"kept by an update": {have: mappings{people("ADMIN", "a", "b")}, want: mappings{people("ADMIN", "b")}, remove: mappings{people("ADMIN", "a")}},
	} {
		got := changeMappings(tt.have, tt.want)
		var want *ekstypes.UpdateRoleMappings
		if len(tt.add)+len(tt.remove) > 0 {
			want = &ekstypes.UpdateRoleMappings{}
			for _, m := range tt.add {
				want.AddOrUpdateRoleMappings = append(want.AddOrUpdateRoleMappings, mappingOf(m.Role, m.Identities))
			}
			for _, m := range tt.remove {
				want.RemoveRoleMappings = append(want.RemoveRoleMappings, mappingOf(m.Role, m.Identities))
			}
		}
		if !equal(treeOf(want), treeOf(got)) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestCapabilityImported: the file says of a capability what EKS does not give it by itself, with the rights of a role that a stack of ours
// made, and with the role where it is somebody's.
func TestCapabilityImported(t *testing.T) {
	t.Parallel()
	r := newRig(t, capable).capabilityRoles()
	r.converge()
	r.ack()
	got := r.imported()
	r.git(string(got.File))
	r.settledOn(got)
	for _, want := range []string{"name: ack", "roleArn: arn:aws:iam::111122223333:role/kro", "AmazonS3ReadOnlyAccess", "AmazonEKSViewPolicy", "team: core", "vpce-1", "id: ops"} {
		if !strings.Contains(string(got.File), want) {
			t.Errorf("the file lacks %q", want)
		}
	}
	for _, not := range []string{"AmazonEKSArgoCDPolicy", "accessEntries:\n  - principalARN: arn:aws:iam::111122223333:role/kro"} {
		if strings.Contains(string(got.File), not) {
			t.Errorf("the file has %q:\n%s", not, got.File)
		}
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
