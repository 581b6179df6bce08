package eks

import (
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/cfn/builder"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// stepEntry makes the stack of an access entry, or takes the next step of changing a live entry.
func (c *Cloud) stepEntry(ctx context.Context, cfg *Config, w *world, ch plan.Change) error {
	e, written := cfg.entry(ch.Ref.Name)
	if w.Cluster == nil {
		return gitops.Errorf(gitops.Blocked, "the cluster is not there yet")
	}
	if w.entriesOff() {
		return cfg.noEntries()
	}
	live := w.Entries[ch.Ref.Name]
	if s, ok := w.Stacks[entryStack(cfg.Name, ch.Ref.Name)]; live == nil || ok && (!stackDone(s) || c.isDismissed(aws.ToString(s.StackId))) {
		return c.makeEntry(ctx, cfg, w, e)
	}
	diff := cfg.compareEntry(w, e, written)
	if diff.same() {
		return nil
	}
	if len(diff.replace) > 0 && ch.Action != plan.Replace {
		return gitops.Errorf(gitops.ApplyFailed, "it can only be replaced now: the plan is out of date")
	}
	if err := c.attempt(ctx, cfg, ch.Ref, diff, ""); err != nil {
		return err
	}
	switch {
	case len(diff.replace) > 0:
		return c.removeEntry(ctx, cfg, w, ch.Ref.Name)
	case diff.differs("kubernetesGroups", "kubernetesUsername"):
		return c.updateEntry(ctx, cfg, e, live, diff)
	}
	return c.changePolicies(ctx, cfg, e, live)
}

// makeEntry orders the stack of an entry.
func (c *Cloud) makeEntry(ctx context.Context, cfg *Config, w *world, e *api.AccessEntry) error {
	o, err := cfg.renderEntry(e)
	if err != nil {
		return err
	}
	return c.makeByStack(ctx, cfg, w, o)
}

func (c *Config) renderEntry(e *api.AccessEntry) (out stackOrder, err error) {
	err = guarded(func() (err error) {
		set := builder.NewAccessEntryResourceSet(c.Name, *e)
		if err := set.AddAllResources(); err != nil {
			return err
		}
		out, err = order(entryStack(c.Name, e.PrincipalARN.String()), nil, set)
		return err
	})
	return out, err
}

// updateEntry sends both the groups and the name, so that nothing depends on what EKS makes of one that is missing.
func (c *Cloud) updateEntry(ctx context.Context, cfg *Config, e *api.AccessEntry, live *accessEntry, diff comparison) error {
	in := &eks.UpdateAccessEntryInput{
		ClusterName: &cfg.Name, PrincipalArn: live.PrincipalArn, KubernetesGroups: live.KubernetesGroups, Username: live.Username,
	}
	if diff.differs("kubernetesGroups") {
		in.KubernetesGroups = append([]string{}, e.KubernetesGroups...)
	}
	if diff.differs("kubernetesUsername") {
		in.Username = aws.String(gitops.StringAt(diff.next, "kubernetesUsername"))
	}
	_, err := c.aws.eks.UpdateAccessEntry(ctx, in)
	return err
}

// changePolicies gives an entry the policies of the file and takes the others; neither holds a lock.
func (c *Cloud) changePolicies(ctx context.Context, cfg *Config, e *api.AccessEntry, live *accessEntry) error {
	has := map[string]ekstypes.AccessScope{}
	for _, p := range live.Policies {
		has[aws.ToString(p.PolicyArn)] = scopeOf(p)
	}
	for _, p := range e.AccessPolicies {
		arn, scope := p.PolicyARN.String(), p.AccessScope
		had, ok := has[arn]
		delete(has, arn)
		if ok && equal(policyTree(arn, had.Type, had.Namespaces), policyTree(arn, scope.Type, scope.Namespaces)) {
			continue
		}
		if _, err := c.aws.eks.AssociateAccessPolicy(ctx, &eks.AssociateAccessPolicyInput{
			ClusterName: &cfg.Name, PrincipalArn: live.PrincipalArn, PolicyArn: &arn,
			AccessScope: &ekstypes.AccessScope{Type: scope.Type, Namespaces: scope.Namespaces},
		}); err != nil {
			return err
		}
	}
	for _, arn := range slices.Sorted(maps.Keys(has)) {
		_, err := c.aws.eks.DisassociateAccessPolicy(ctx, &eks.DisassociateAccessPolicyInput{ClusterName: &cfg.Name, PrincipalArn: live.PrincipalArn, PolicyArn: &arn})
		if err != nil && !absent(err) {
			return err
		}
	}
	return nil
}

func (c *Cloud) entryArrived(cfg *Config, w *world, principal string) gitops.Health {
	stack := entryStack(cfg.Name, principal)
	if h, failed := c.stackFailed(w, stack); failed {
		return h
	}
	if h := cfg.roleHealth(w, stack); h.Status == gitops.Progressing {
		return h
	}
	e, written := cfg.entry(principal)
	if diff := cfg.compareEntry(w, e, written); diff.live == nil || !diff.same() {
		return next("the entry is not as git says yet")
	}
	return gitops.Health{Status: gitops.Ready}
}

// removeEntry ends an entry through the stack that made it; without one it was made by something else, and taken over since.
func (c *Cloud) removeEntry(ctx context.Context, cfg *Config, w *world, principal string) error {
	if s, ok := w.Stacks[entryStack(cfg.Name, principal)]; ok {
		return c.deleteStack(ctx, cfg, s)
	}
	if w.Entries[principal] == nil {
		return nil
	}
	_, err := c.aws.eks.DeleteAccessEntry(ctx, &eks.DeleteAccessEntryInput{ClusterName: &cfg.Name, PrincipalArn: &principal})
	if absent(err) {
		return nil
	}
	return err
}
