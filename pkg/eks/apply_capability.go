package eks

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/cfn/builder"
	"golang.org/x/sync/errgroup"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// asksCapabilities says that the cluster has capabilities as far as git and its stacks tell.
func (c *Config) asksCapabilities(w *world) bool {
	if len(c.full.Capabilities) > 0 {
		return true
	}
	for _, s := range w.Stacks {
		if tag(s, tagCapability) != "" || tag(s, tagCapabilityRole) != "" {
			return true
		}
	}
	return false
}

// readCapabilities lists the capabilities of the cluster where there are some to be expected, and otherwise when all is read anew: most
// clusters have none, and only a plan that says what others made, and a teardown, need to know of those. There, regions that have no
// capabilities (eksctl-io/eksctl#8630), and rights from before there were any, are none.
func (c *Cloud) readCapabilities(ctx context.Context, cfg *Config, w *world, anew bool) error {
	c.mu.Lock()
	had := c.capable
	c.mu.Unlock()
	asked := had || cfg.asksCapabilities(w)
	if !asked && !anew && !c.Teardown {
		return nil
	}
	p := eks.NewListCapabilitiesPaginator(c.aws.eks, &eks.ListCapabilitiesInput{ClusterName: &cfg.Name})
	list, err := page(ctx, p.HasMorePages, func(ctx context.Context) (*eks.ListCapabilitiesOutput, error) { return p.NextPage(ctx) },
		func(o *eks.ListCapabilitiesOutput) []ekstypes.CapabilitySummary { return o.Capabilities })
	if err != nil && !asked && denied(errorCode(err)) {
		return nil
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.capable = len(list) > 0
	c.mu.Unlock()
	found := make([]*capability, len(list))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i := range list {
		g.Go(func() (err error) {
			found[i], err = c.readCapability(ctx, cfg, w, aws.ToString(list[i].CapabilityName))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, k := range found {
		if k != nil {
			w.Capabilities[aws.ToString(k.CapabilityName)] = k
		}
	}
	return nil
}

// readCapability gives nil when EKS says that there is no such capability.
func (c *Cloud) readCapability(ctx context.Context, cfg *Config, w *world, name string) (*capability, error) {
	out, err := c.aws.eks.DescribeCapability(ctx, &eks.DescribeCapabilityInput{ClusterName: &cfg.Name, CapabilityName: &name})
	switch {
	case absent(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	k := &capability{Capability: out.Capability}
	wanted, _ := cfg.capability(name)
	if _, stacked := w.Stacks[capabilityStack(cfg.Name, name)]; wanted == nil && !stacked && !cfg.whole || w.entriesOff() {
		return k, nil
	}
	k.Policies, err = c.readPolicies(ctx, cfg.Name, aws.ToString(k.RoleArn))
	if absent(err) {
		return k, nil // EKS has not made the entry yet
	}
	return k, err
}

func (c *Cloud) seeCapability(ctx context.Context, cfg *Config, w *world, name string) error {
	if err := c.refreshStacks(ctx, cfg, w, capabilityStack(cfg.Name, name), capabilityRoleStack(cfg.Name, name)); err != nil {
		return err
	}
	delete(w.Capabilities, name)
	if w.Cluster == nil {
		return nil
	}
	live, err := c.readCapability(ctx, cfg, w, name)
	if live != nil {
		w.Capabilities[name] = live
	}
	return err
}

// capabilityRole renders the role of a capability. eksctl forgets the boundary (pkg/cfn/builder/iam.go, NewIAMRoleResourceSetForCapability).
func (c *Config) capabilityRole(k *api.Capability) (role, error) {
	k = k.DeepCopy()
	r, err := renderRole(capabilityRoleStack(c.Name, k.Name), withTag(k.Tags, tagCapabilityRole, k.Name), builder.NewIAMRoleResourceSetForCapability(k))
	if err != nil || k.PermissionsBoundary == "" {
		return r, err
	}
	t, err := r.template()
	if err != nil {
		return role{}, err
	}
	put(t, k.PermissionsBoundary, "Resources", roleOutput, "Properties", "PermissionsBoundary")
	r.body, err = json.Marshal(t)
	return r, err
}

func (c *Config) renderCapability(k *api.Capability, roleARN string) (out stackOrder, err error) {
	spec := *k.DeepCopy()
	spec.RoleARN = roleARN
	// EKS wants it said, and there is one value.
	spec.DeletePropagationPolicy = cmp.Or(spec.DeletePropagationPolicy, string(ekstypes.CapabilityDeletePropagationPolicyRetain))
	err = guarded(func() (err error) {
		set := builder.NewCapabilityResourceSet(c.Name, spec)
		if err := set.AddAllResources(); err != nil {
			return err
		}
		out, err = order(capabilityStack(c.Name, k.Name), withTag(k.Tags, tagCapability, k.Name), set)
		return err
	})
	return out, err
}

// stepCapability brings the role of a capability to stand, then makes the capability, or takes the next step of changing a live one.
func (c *Cloud) stepCapability(ctx context.Context, cfg *Config, w *world, ch plan.Change) error {
	k, _ := cfg.capability(ch.Ref.Name)
	if w.Cluster == nil {
		return gitops.Errorf(gitops.Blocked, "the cluster is not there yet")
	}
	if w.entriesOff() {
		return cfg.noCapabilities()
	}
	roleARN, err := c.ensureCapabilityRole(ctx, cfg, w, k)
	if err != nil || roleARN == "" {
		return err
	}
	live := w.Capabilities[k.Name]
	switch s, stacked := w.Stacks[capabilityStack(cfg.Name, k.Name)]; {
	case live == nil, stacked && (!stackDone(s) || c.isDismissed(aws.ToString(s.StackId))):
		return c.makeCapability(ctx, cfg, w, k, roleARN)
	case live.broken():
		return c.endCapability(ctx, cfg, w, k.Name)
	case live.Status == ekstypes.CapabilityStatusActive, live.Status == ekstypes.CapabilityStatusDegraded:
		return c.moveCapability(ctx, cfg, w, ch, live)
	}
	return nil
}

// moveCapability takes the next step from a live capability to what git says.
func (c *Cloud) moveCapability(ctx context.Context, cfg *Config, w *world, ch plan.Change, live *capability) error {
	k, written := cfg.capability(ch.Ref.Name)
	diff, err := cfg.compareCapability(w, k, written)
	if err != nil || diff.same() {
		return err
	}
	if len(diff.replace) > 0 && ch.Action != plan.Replace {
		return gitops.Errorf(gitops.ApplyFailed, "it can only be replaced now: the plan is out of date")
	}
	if err := c.attempt(ctx, cfg, ch.Ref, diff, ""); err != nil {
		return err
	}
	switch {
	case len(diff.replace) > 0:
		return c.endCapability(ctx, cfg, w, k.Name)
	case diff.differs("roleArn", "deletePropagationPolicy", "configuration"):
		return c.updateCapability(ctx, cfg, ch.Ref, k, live, diff)
	case diff.differs("tags"):
		return c.tagResource(ctx, aws.ToString(live.Arn), gitops.TreeAt(diff.live, "tags"), gitops.TreeAt(diff.next, "tags"))
	}
	return c.changeRights(ctx, cfg, k, live)
}

// ensureCapabilityRole finds the role of a capability: the file's, or that of a stack, which it brings to stand. It is empty while that is
// under way.
func (c *Cloud) ensureCapabilityRole(ctx context.Context, cfg *Config, w *world, k *api.Capability) (string, error) {
	if k.RoleARN != "" {
		return k.RoleARN, nil
	}
	want, err := cfg.capabilityRole(k)
	if err != nil {
		return "", err
	}
	stage, arn, err := c.ensureRole(ctx, cfg, w, want)
	if err != nil || stage != standing {
		return "", err
	}
	return arn, nil
}

// makeCapability orders the stack of a capability.
func (c *Cloud) makeCapability(ctx context.Context, cfg *Config, w *world, k *api.Capability, roleARN string) error {
	o, err := cfg.renderCapability(k, roleARN)
	if err != nil {
		return err
	}
	return c.makeByStack(ctx, cfg, w, o)
}

// updateCapability changes what EKS changes in place, all at once.
func (c *Cloud) updateCapability(ctx context.Context, cfg *Config, r gitops.Ref, k *api.Capability, live *capability, diff comparison) error {
	in := &eks.UpdateCapabilityInput{ClusterName: &cfg.Name, CapabilityName: &k.Name}
	if diff.differs("roleArn") {
		in.RoleArn = aws.String(gitops.StringAt(diff.next, "roleArn"))
	}
	if diff.differs("deletePropagationPolicy") {
		in.DeletePropagationPolicy = ekstypes.CapabilityDeletePropagationPolicy(k.DeletePropagationPolicy)
	}
	if diff.differs("configuration") {
		change := &ekstypes.UpdateArgoCdConfig{RbacRoleMappings: changeMappings(live.mappings(), mappingsOf(*k))}
		path := []string{"configuration", "argocd", "networkAccess"}
		if !equal(gitops.TreeAt(diff.live, path...), gitops.TreeAt(diff.next, path...)) {
			change.NetworkAccess = &ekstypes.ArgoCdNetworkAccessConfigRequest{VpceIds: []string{}}
			if n := k.Configuration.ArgoCD.NetworkAccess; n != nil {
				change.NetworkAccess.VpceIds = append(change.NetworkAccess.VpceIds, n.VPCEIDs...)
			}
		}
		in.Configuration = &ekstypes.UpdateCapabilityConfiguration{ArgoCd: change}
	}
	out, err := c.aws.eks.UpdateCapability(ctx, in)
	if err == nil {
		c.began(r, out.Update)
	}
	return err
}

// changeMappings is what brings the role mappings of Argo CD to those of the file; nil when they are. A role that lacks somebody is given
// anew, and others lose who is too many. Should a role that is given anew keep who had it before, that is for the next step.
func changeMappings(have, want []api.ArgoCDRoleMapping) *ekstypes.UpdateRoleMappings {
	out, anew := &ekstypes.UpdateRoleMappings{}, map[string]bool{}
	for _, m := range want {
		if lack := without(m.Identities, held(have, m.Role)); len(lack) > 0 {
			anew[m.Role] = true
			out.AddOrUpdateRoleMappings = append(out.AddOrUpdateRoleMappings, mappingOf(m.Role, m.Identities))
		}
	}
	for _, m := range have {
		if many := without(m.Identities, held(want, m.Role)); len(many) > 0 && !anew[m.Role] {
			out.RemoveRoleMappings = append(out.RemoveRoleMappings, mappingOf(m.Role, many))
		}
	}
	if len(out.AddOrUpdateRoleMappings)+len(out.RemoveRoleMappings) == 0 {
		return nil
	}
	return out
}

// held are the identities that have a role.
func held(mappings []api.ArgoCDRoleMapping, role string) (out []api.SSOIdentity) {
	for _, m := range mappings {
		if m.Role == role {
			out = append(out, m.Identities...)
		}
	}
	return out
}

func without(list, less []api.SSOIdentity) []api.SSOIdentity {
	return slices.DeleteFunc(slices.Clone(list), func(i api.SSOIdentity) bool { return slices.Contains(less, i) })
}

func mappingOf(role string, identities []api.SSOIdentity) ekstypes.ArgoCdRoleMapping {
	out := ekstypes.ArgoCdRoleMapping{Role: ekstypes.ArgoCdRole(role)}
	for _, i := range identities {
		out.Identities = append(out.Identities, ekstypes.SsoIdentity{Id: aws.String(i.ID), Type: ekstypes.SsoIdentityType(i.Type)})
	}
	return out
}

// changeRights gives the access entry of the capability's role the policies of the file, and takes those that are git's to take. EKS makes
// the entry with the capability.
func (c *Cloud) changeRights(ctx context.Context, cfg *Config, k *api.Capability, live *capability) error {
	var counted []ekstypes.AssociatedAccessPolicy
	for _, p := range live.Policies {
		arn := aws.ToString(p.PolicyArn)
		if slices.ContainsFunc(live.rights(k), func(v any) bool { t, _ := v.(gitops.Tree); return gitops.StringAt(t, "policyARN") == arn }) {
			counted = append(counted, p)
		}
	}
	entry := &accessEntry{AccessEntry: &ekstypes.AccessEntry{PrincipalArn: live.RoleArn}, Policies: counted}
	return c.changePolicies(ctx, cfg, &api.AccessEntry{AccessPolicies: k.AccessPolicies}, entry)
}

// endCapability deletes a capability that is not going already, through the stack that made it; without one it was made by something
// else. EKS refuses it during an update. What the capability made in the cluster stays.
func (c *Cloud) endCapability(ctx context.Context, cfg *Config, w *world, name string) error {
	live := w.Capabilities[name]
	if live != nil && live.Status == ekstypes.CapabilityStatusUpdating {
		return nil
	}
	if s, ok := w.Stacks[capabilityStack(cfg.Name, name)]; ok {
		return c.deleteStack(ctx, cfg, s)
	}
	if live == nil || live.Status == ekstypes.CapabilityStatusDeleting {
		return nil
	}
	_, err := c.aws.eks.DeleteCapability(ctx, &eks.DeleteCapabilityInput{ClusterName: &cfg.Name, CapabilityName: &name})
	if absent(err) {
		return nil
	}
	return err
}

// removeCapability ends a capability, and then its role, which it needs to the end.
func (c *Cloud) removeCapability(ctx context.Context, cfg *Config, w *world, name string) error {
	if _, stacked := w.Stacks[capabilityStack(cfg.Name, name)]; stacked || w.Capabilities[name] != nil {
		return c.endCapability(ctx, cfg, w, name)
	}
	return c.removeStacks(ctx, cfg, w, []string{capabilityRoleStack(cfg.Name, name)})
}

func (c *Cloud) capabilityArrived(cfg *Config, w *world, name string) (gitops.Health, error) {
	for _, stack := range []string{capabilityRoleStack(cfg.Name, name), capabilityStack(cfg.Name, name)} {
		if h, failed := c.stackFailed(w, stack); failed {
			return h, nil
		}
		if h := cfg.roleHealth(w, stack); h.Status == gitops.Progressing {
			return h, nil
		}
	}
	h := w.capabilityHealth(name)
	switch {
	case h.Status == gitops.Absent || h.Status == gitops.Terminating:
		return next("it waits for its role, or for the one before it to go"), nil
	case w.Capabilities[name].broken(), h.Status == gitops.Progressing:
		return h, nil
	}
	k, written := cfg.capability(name)
	diff, err := cfg.compareCapability(w, k, written)
	if err != nil {
		return gitops.Health{}, err
	}
	if diff.live == nil || !diff.same() {
		return next("the capability is not as git says yet"), nil
	}
	return h, nil
}
