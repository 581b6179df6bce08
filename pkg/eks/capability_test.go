package eks

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	gocmp "github.com/google/go-cmp/cmp"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

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
	look := func(why string, inv gitops.Inventory) {
		t.Helper()
		_, err := r.cloud.Observe(t.Context(), gitops.Desired{Cluster: "dev", Items: []gitops.Item{r.item}}, inv)
		if !errors.Is(err, &gitops.Error{Reason: gitops.AccessDenied}) {
			t.Errorf("%s: %v", why, err)
		}
	}
	look("one was applied from here", gitops.Inventory{ref("dev", KindCapability, "kro"): gitops.Entry{}})
	r.reboot()
	r.git(capable)
	look("git asks for some", r.inv)
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
