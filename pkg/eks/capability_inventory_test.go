package eks

import (
	"slices"
	"strings"
	"testing"

	"github.com/eks-gitops/reconciler/internal/sim/aws/modelcheck"
)

// byCapability is the call that changes capabilities.
const byCapability = "eks:UpdateCapability"

// capabilityEntries are the rows of capabilities.
func capabilityEntries() []entry {
	const capability, live, stack = "capabilities[].", "eks:DescribeCapability", "cloudformation:GetTemplate"
	const argo = capability + "configuration.argocd."
	return []entry{
		{path: capability + "name", class: naming},
		{capability + "type", replaced, live, "", "a cluster has one capability of each type at most"},
		{capability + "roleArn", mutable, live, byCapability, "without it a stack makes the role"},
		{capability + "deletePropagationPolicy", mutable, live, byCapability, "EKS knows RETAIN alone, which is also what it is without this"},
		{argo + "namespace", replaced, live, "", ""},
		{argo + "awsIdc", replaced, live, "", ""},
		{argo + "networkAccess", mutable, live, byCapability, ""},
		{argo + "rbacRoleMappings", mutable, live, byCapability, ""},
		{capability + "tags", mutable, live, byTags, "tags of others are left alone"},
		{capability + "accessPolicies", mutable, "eks:ListAssociatedAccessPolicies", "eks:AssociateAccessPolicy", "what EKS gives such a role by itself stays; of a role named by `roleArn`, policies that git does not name stay, too"},
		{capability + "attachPolicy", mutable, stack, byStack, ""},
		{capability + "attachPolicyARNs", mutable, stack, byStack, ""},
		{capability + "permissionsBoundary", mutable, stack, byStack, "eksctl forgets it"},
	}
}

// TestCapabilityFieldsAgainstModel holds the rows to EKS's own model and to CloudFormation's: what UpdateCapability takes is changed by it,
// what is fixed at creation is replaced, and EKS tells all of it.
func TestCapabilityFieldsAgainstModel(t *testing.T) {
	t.Parallel()
	told, taken := modelcheck.Members(t, "eks", "Capability"), modelcheck.Members(t, "eks", "UpdateCapabilityRequest")
	if told == nil {
		return // there are no models, as the log says
	}
	member := func(e entry) string {
		name := strings.ReplaceAll(strings.TrimPrefix(e.path, "capabilities[]."), "argocd", "argoCd")
		if name == "name" {
			return "capabilityName"
		}
		return name
	}
	rows := slices.DeleteFunc(capabilityEntries(), func(e entry) bool { return e.class != naming && e.seen != "eks:DescribeCapability" })
	for _, e := range rows {
		if !slices.ContainsFunc(told, func(m string) bool { return covers(member(e), m) }) {
			t.Errorf("EKS does not tell %s", member(e))
		}
		takes := e.class != naming && slices.ContainsFunc(taken, func(m string) bool { return covers(member(e), m) })
		if takes != (e.by == byCapability) {
			t.Errorf("UpdateCapability takes %s: %v, and the inventory says %q", member(e), takes, e.by)
		}
	}
	for _, m := range taken {
		if !slices.ContainsFunc(rows, func(e entry) bool { return covers(member(e), m) }) && m != "clusterName" && m != "clientRequestToken" {
			t.Errorf("UpdateCapability takes %s, and nothing says what that is", m)
		}
	}
	fixed := modelcheck.CreateOnly(t, "AWS::EKS::Capability")
	for _, e := range rows {
		var property []string
		for part := range strings.SplitSeq(member(e), ".") {
			property = append(property, strings.ToUpper(part[:1])+part[1:])
		}
		if is := slices.Contains(fixed, strings.Join(property, "/")); is != (e.class == replaced || e.class == naming) {
			t.Errorf("CloudFormation calls %v create-only: %v, and the inventory says otherwise", property, is)
		}
	}
}
