package eks

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	actions "github.com/weaveworks/eksctl/pkg/actions/capability"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// A capability is made by a stack of its own and, where the file names no role, works with one that another stack makes, both as eksctl
// makes them. What can change later is changed by EKS's own calls, as eksctl does; the stack still ends the capability. A cluster has one
// capability of each type at most (API reference, CreateCapability).

// capability is a live capability. Policies are those of the access entry that EKS makes for its role; they are read only of
// capabilities that git or a stack of the cluster asks for.
type capability struct {
	*ekstypes.Capability
	Policies []ekstypes.AssociatedAccessPolicy
}

// capability finds a capability of the file and the tree it is written as.
func (c *Config) capability(name string) (*api.Capability, gitops.Tree) {
	for i := range c.full.Capabilities {
		if k := &c.full.Capabilities[i]; k.Name == name {
			return k, listItem(c.Written, i, "capabilities")
		}
	}
	return nil, nil
}

// capabilityStack and capabilityRoleStack are the stacks of a capability and its role, which eksctl names after a hash of the name.
func capabilityStack(cluster, name string) string {
	return actions.MakeStackName(cluster, api.Capability{Name: name})
}

func capabilityRoleStack(cluster, name string) string {
	return actions.MakeIAMRoleStackName(cluster, &api.Capability{Name: name})
}

// checkCapabilities holds capabilities to what EKS takes, which eksctl leaves to EKS.
func (c *Config) checkCapabilities(item gitops.Item) []*gitops.Error {
	var out []*gitops.Error
	names, kinds := map[string]int{}, map[string]int{}
	for i, k := range c.full.Capabilities {
		path := at("capabilities", i)
		fail := func(format string, args ...any) {
			out = append(out, invalid(item, path, fmt.Errorf(path+": "+format, args...)))
		}
		if err := k.Validate(); err != nil {
			fail("%w", err)
			continue
		}
		if other, twice := names[k.Name]; twice {
			fail("capability %q is also defined at capabilities[%d]", k.Name, other)
		}
		if other, twice := kinds[k.Type]; twice {
			fail("EKS takes one capability of type %s per cluster, and capabilities[%d] is one", k.Type, other)
		}
		names[k.Name], kinds[k.Type] = i, i
		if fault := capabilityFault(k); fault != "" {
			fail("%s", fault)
		}
	}
	return out
}

// capabilityFault is what EKS would refuse, or what would come to nothing.
func capabilityFault(k api.Capability) string {
	switch {
	case !slices.Contains(ekstypes.CapabilityType("").Values(), ekstypes.CapabilityType(k.Type)):
		return "type must be ACK, KRO or ARGOCD"
	case k.DeletePropagationPolicy != "" && k.DeletePropagationPolicy != string(ekstypes.CapabilityDeletePropagationPolicyRetain):
		return "deletePropagationPolicy must be RETAIN"
	case k.Configuration != nil && k.Type != string(ekstypes.CapabilityTypeArgocd):
		return "configuration is for capabilities of type ARGOCD"
	case k.RoleARN != "" && (len(k.AttachPolicyARNs) > 0 || len(k.AttachPolicy) > 0 || k.PermissionsBoundary != ""):
		return "attachPolicyARNs, attachPolicy and permissionsBoundary are for the role that is made where there is no roleArn"
	}
	seen := map[string]bool{}
	for _, m := range mappingsOf(k) {
		if seen[m.Role] {
			return "configuration.argocd.rbacRoleMappings: role " + m.Role + " is mapped twice"
		}
		seen[m.Role] = true
	}
	return ""
}

func mappingsOf(k api.Capability) []api.ArgoCDRoleMapping {
	if k.Configuration == nil || k.Configuration.ArgoCD == nil {
		return nil
	}
	return k.Configuration.ArgoCD.RBACRoleMappings
}

// noCapabilities says why the cluster can have none: they work through access entries.
func (c *Config) noCapabilities() *gitops.Error {
	e := c.noEntries()
	e.Err = fmt.Errorf("capabilities: the authentication mode of cluster %s is CONFIG_MAP, in which capabilities cannot work", c.Name)
	e.Try = strings.Replace(e.Try, "the entries", "the capabilities", 1)
	return e
}

// wantedCapability is what the file says of a capability, in the form that compares.
func wantedCapability(k *api.Capability, written gitops.Tree) gitops.Tree {
	out := gitops.Clone(written)
	if _, ok := out["accessPolicies"]; ok {
		list := make([]any, 0, len(k.AccessPolicies))
		for _, p := range k.AccessPolicies {
			list = append(list, policyTree(p.PolicyARN.String(), p.AccessScope.Type, p.AccessScope.Namespaces))
		}
		out["accessPolicies"] = sortBy(list, "policyARN")
	}
	argo := gitops.TreeAt(out, "configuration", "argocd")
	if argo == nil {
		return out
	}
	if n := k.Configuration.ArgoCD.NetworkAccess; n != nil {
		argo["networkAccess"] = gitops.Tree{"vpceIds": sortedList(n.VPCEIDs)}
	}
	if _, ok := argo["rbacRoleMappings"]; ok {
		argo["rbacRoleMappings"] = mappingTrees(mappingsOf(*k))
	}
	return out
}

func mappingTrees(mappings []api.ArgoCDRoleMapping) []any {
	list := make([]any, 0, len(mappings))
	for _, m := range mappings {
		who := make([]any, 0, len(m.Identities))
		for _, i := range m.Identities {
			who = append(who, gitops.Tree{"id": i.ID, "type": i.Type})
		}
		list = append(list, gitops.Tree{"role": m.Role, "identities": sortBy(who, "id")})
	}
	return sortBy(list, "role")
}

// argo is the live configuration of Argo CD; empty for the other types.
func (k *capability) argo() ekstypes.ArgoCdConfigResponse {
	if k.Configuration == nil || k.Configuration.ArgoCd == nil {
		return ekstypes.ArgoCdConfigResponse{}
	}
	return *k.Configuration.ArgoCd
}

// mappings are the live role mappings in eksctl's words.
func (k *capability) mappings() []api.ArgoCDRoleMapping {
	var out []api.ArgoCDRoleMapping
	for _, m := range k.argo().RbacRoleMappings {
		mapping := api.ArgoCDRoleMapping{Role: string(m.Role)}
		for _, i := range m.Identities {
			mapping.Identities = append(mapping.Identities, api.SSOIdentity{ID: aws.ToString(i.Id), Type: string(i.Type)})
		}
		out = append(out, mapping)
	}
	return out
}

// tree is the capability in the file's words, but for what its role may do.
func (k *capability) tree() gitops.Tree {
	out := gitops.Tree{
		"name": aws.ToString(k.CapabilityName), "type": string(k.Type), "roleArn": aws.ToString(k.RoleArn), "deletePropagationPolicy": string(k.DeletePropagationPolicy),
	}
	if k.Configuration == nil || k.Configuration.ArgoCd == nil {
		return out
	}
	a := k.argo()
	argo := gitops.Tree{"namespace": aws.ToString(a.Namespace), "rbacRoleMappings": mappingTrees(k.mappings()), "networkAccess": gitops.Tree{"vpceIds": []any{}}}
	if a.AwsIdc != nil {
		argo["awsIdc"] = gitops.Tree{"idcInstanceArn": aws.ToString(a.AwsIdc.IdcInstanceArn), "idcRegion": aws.ToString(a.AwsIdc.IdcRegion)}
	}
	if a.NetworkAccess != nil {
		argo["networkAccess"] = gitops.Tree{"vpceIds": sortedList(a.NetworkAccess.VpceIds)}
	}
	out["configuration"] = gitops.Tree{"argocd": argo}
	return out
}

// rights are the access policies of the capability's role, without those that EKS gives such roles by itself, unless git names them. Of a
// role that is not the capability's own, others may have a say: there only what git names counts.
func (k *capability) rights(want *api.Capability) []any {
	named := map[string]bool{}
	for _, p := range want.AccessPolicies {
		named[p.PolicyARN.String()] = true
	}
	list := []any{}
	for _, p := range k.Policies {
		arn, scope := aws.ToString(p.PolicyArn), scopeOf(p)
		if named[arn] || want.RoleARN == "" && !givenByEKS(arn) {
			list = append(list, policyTree(arn, scope.Type, scope.Namespaces))
		}
	}
	return sortBy(list, "policyARN")
}

// givenByEKS says that EKS gives a policy to the roles of capabilities (EKS user guide, "Security considerations for EKS Capabilities").
func givenByEKS(arn string) bool {
	return slices.Contains([]string{"AmazonEKSACKPolicy", "AmazonEKSKROPolicy", "AmazonEKSArgoCDPolicy", "AmazonEKSArgoCDClusterPolicy"}, lastPart(arn))
}

// compareCapability compares a capability and its role. A nil live tree means that there is none, or none that can stay.
func (c *Config) compareCapability(w *world, k *api.Capability, written gitops.Tree) (comparison, error) {
	out := comparison{next: wantedCapability(k, written)}
	live := w.Capabilities[k.Name]
	s, stacked := w.Stacks[capabilityStack(c.Name, k.Name)]
	if live == nil || live.Status == ekstypes.CapabilityStatusDeleting || live.broken() || stacked && (stackUseless(s) || stackLeaving(s)) {
		return out, nil
	}
	out.live = gitops.Clone(out.next)
	if err := c.compareCapabilityRole(w, k, &out); err != nil {
		return out, err
	}
	have := live.tree()
	maps.Copy(out.live, pick(have, gitops.Tree{"type": true, "roleArn": true}))
	if _, ok := out.next["deletePropagationPolicy"]; ok {
		out.live["deletePropagationPolicy"] = have["deletePropagationPolicy"]
	}
	if wanted := gitops.TreeAt(out.next, "tags"); wanted != nil {
		out.live["tags"] = pick(stringTree(live.Tags), wanted)
	}
	rights := live.rights(k)
	if _, ok := out.next["accessPolicies"]; ok || stacked && len(rights) > 0 {
		out.live["accessPolicies"] = rights
	}
	out.compareArgo(gitops.TreeAt(have, "configuration", "argocd"), stacked)
	if out.differs("type") {
		out.replace = append(out.replace, "the type of a capability is fixed")
	}
	return out, nil
}

// compareCapabilityRole adds the role that the capability works with, and what it may do where a stack makes it.
func (c *Config) compareCapabilityRole(w *world, k *api.Capability, out *comparison) error {
	if k.RoleARN != "" {
		return nil
	}
	stack := capabilityRoleStack(c.Name, k.Name)
	s, ok := w.Stacks[stack]
	if !ok || stackBroken(s) || output(s, roleOutput) == "" {
		// The capability lives on a role that is not this stack's: making the stack is the first step.
		out.next["roleArn"] = "known after apply"
		return nil
	}
	out.next["roleArn"] = output(s, roleOutput)
	r, err := c.capabilityRole(k)
	if err != nil {
		return err
	}
	return out.compareRole(w.Templates[stack], r, "attachPolicyARNs")
}

// compareArgo adds the configuration of Argo CD. What git takes back has to go where a stack of the cluster made the capability; of
// another one, only what git names is git's to say.
func (c *comparison) compareArgo(have gitops.Tree, stacked bool) {
	wanted := gitops.TreeAt(c.next, "configuration", "argocd")
	if wanted == nil || have == nil {
		return
	}
	live := pick(have, wanted)
	if idc := gitops.TreeAt(wanted, "awsIdc"); idc != nil {
		live["awsIdc"] = pick(gitops.TreeAt(have, "awsIdc"), idc)
	}
	for field, path := range map[string][]string{"rbacRoleMappings": {"rbacRoleMappings"}, "networkAccess": {"networkAccess", "vpceIds"}} {
		if _, ok := wanted[field]; !ok && stacked && len(gitops.ListAt(have, path...)) > 0 {
			live[field] = have[field]
		}
	}
	put(c.live, live, "configuration", "argocd")
	for _, field := range []string{"namespace", "awsIdc"} {
		if !equal(live[field], wanted[field]) {
			c.replace = append(c.replace, "configuration.argocd."+field+" of a capability cannot be changed")
		}
	}
}

// broken says that the capability can only be deleted.
func (k *capability) broken() bool {
	return k.Status == ekstypes.CapabilityStatusCreateFailed || k.Status == ekstypes.CapabilityStatusDeleteFailed
}

func (w *world) capabilityHealth(name string) gitops.Health {
	k := w.Capabilities[name]
	if k == nil {
		return gitops.Health{Status: gitops.Absent}
	}
	says := "the capability is " + string(k.Status)
	if k.Health != nil && len(k.Health.Issues) > 0 {
		says += fmt.Sprintf(": %s: %s", k.Health.Issues[0].Code, aws.ToString(k.Health.Issues[0].Message))
	}
	switch k.Status {
	case ekstypes.CapabilityStatusActive:
		return gitops.Health{Status: gitops.Ready}
	case ekstypes.CapabilityStatusCreating, ekstypes.CapabilityStatusUpdating:
		return gitops.Health{Status: gitops.Progressing, Message: says}
	case ekstypes.CapabilityStatusDeleting:
		return gitops.Health{Status: gitops.Terminating, Message: says}
	case ekstypes.CapabilityStatusCreateFailed, ekstypes.CapabilityStatusDeleteFailed, ekstypes.CapabilityStatusDegraded:
		return gitops.Health{Status: gitops.Failed, Message: says, Reason: limit(says)}
	}
	return gitops.Health{Status: gitops.Unknown, Message: says}
}

func (c *Config) observeCapability(w *world, name string) gitops.Observation {
	k, written := c.capability(name)
	for _, stack := range []string{capabilityStack(c.Name, name), capabilityRoleStack(c.Name, name)} {
		if w.Strangers[stack] {
			return gitops.Observation{Err: gitops.Errorf(gitops.Foreign, "stack %s does not carry this cluster's tags", stack)}
		}
	}
	// A file that names the mode moves the cluster first.
	if w.entriesOff() && gitops.StringAt(c.Written, "accessConfig", "authenticationMode") == "" {
		return gitops.Observation{Err: c.noCapabilities()}
	}
	diff, err := c.compareCapability(w, k, written)
	if err != nil {
		return problem(err)
	}
	health := w.capabilityHealth(name)
	for _, stack := range []string{capabilityRoleStack(c.Name, name), capabilityStack(c.Name, name)} {
		if h := c.roleHealth(w, stack); h.Status == gitops.Progressing && health.Status == gitops.Ready {
			health = h
		}
	}
	o := diff.observation(written, &health)
	if live := w.Capabilities[name]; live != nil {
		o.Identity = aws.ToString(live.Arn)
	}
	return o
}

// observeCapabilitiesLeft adds the capabilities that git does not ask for. Those that have a stack are ours.
func (c *Config) observeCapabilitiesLeft(w *world, left func(kind, name string, live gitops.Tree, owned bool, needs []gitops.Ref)) {
	for _, stack := range slices.Sorted(maps.Keys(w.Stacks)) {
		s := w.Stacks[stack]
		if name := cmp.Or(tag(s, tagCapability), tag(s, tagCapabilityRole)); name != "" {
			left(KindCapability, name, w.capabilityTree(name), true, nil)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.Capabilities)) {
		left(KindCapability, name, w.capabilityTree(name), false, nil)
	}
}

func (w *world) capabilityTree(name string) gitops.Tree {
	if k := w.Capabilities[name]; k != nil {
		return pick(k.tree(), gitops.Tree{"name": true, "type": true, "roleArn": true})
	}
	return gitops.Tree{"name": name}
}

// worksAs says that a capability works with a role: EKS made the role's access entry, or added to it.
func (w *world) worksAs(role string) bool {
	for _, k := range w.Capabilities {
		if aws.ToString(k.RoleArn) == role {
			return true
		}
	}
	return false
}

// makeRoomForCapabilities lets a capability that git wants wait for the one of its type that has its place. One that is not ours to
// delete is in the way.
func (c *Config) makeRoomForCapabilities(w *world, seen gitops.Observed) {
	for _, k := range c.full.Capabilities {
		r := c.ref(KindCapability, k.Name)
		o := seen[r]
		if o.Live != nil || o.Err != nil {
			continue
		}
		for _, other := range slices.Sorted(maps.Keys(w.Capabilities)) {
			left := c.ref(KindCapability, other)
			switch {
			case other == k.Name || string(w.Capabilities[other].Type) != k.Type:
			case seen[left].Owned:
				o.Needs = append(slices.Clone(o.Needs), left)
			default:
				o.Err = gitops.Errorf(gitops.Foreign, "a cluster has one capability of type %s at most, and %s, which is not git's, is there", k.Type, other).On(r).At(o.From)
				o.Err.Try = fmt.Sprintf("name that one in git, or aws eks delete-capability --cluster-name %s --capability-name %s", c.Name, other)
			}
		}
		seen[r] = o
	}
}
