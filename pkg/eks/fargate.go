package eks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/cfn/builder"
	"github.com/weaveworks/eksctl/pkg/cfn/outputs"
	"golang.org/x/sync/errgroup"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// EKS makes and deletes one Fargate profile of a cluster at a time and refuses others meanwhile (API reference,
// CreateFargateProfile, DeleteFargateProfile): a refused step is asked for again until the turn comes.

// profile finds a Fargate profile of the file and the tree it is written as.
func (c *Config) profile(name string) (*api.FargateProfile, gitops.Tree) {
	for i, p := range c.full.FargateProfiles {
		if p.Name == name {
			return p, listItem(c.Written, i, "fargateProfiles")
		}
	}
	return nil, nil
}

// profileRole is the role that the file gives the pods of a profile; empty when it leaves that to eksctl's stacks.
func (c *Config) profileRole(p *api.FargateProfile) string {
	if p.PodExecutionRoleARN != "" {
		return p.PodExecutionRoleARN
	}
	return aws.ToString(c.full.IAM.FargatePodExecutionRoleARN)
}

func (c *Cloud) readProfiles(ctx context.Context, cluster string, w *world) error {
	p := eks.NewListFargateProfilesPaginator(c.aws.eks, &eks.ListFargateProfilesInput{ClusterName: &cluster})
	names, err := page(ctx, p.HasMorePages, func(ctx context.Context) (*eks.ListFargateProfilesOutput, error) { return p.NextPage(ctx) },
		func(o *eks.ListFargateProfilesOutput) []string { return o.FargateProfileNames })
	if err != nil {
		return err
	}
	found := make([]*ekstypes.FargateProfile, len(names))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, name := range names {
		g.Go(func() (err error) { found[i], err = c.readProfile(ctx, cluster, name); return err })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, name := range names {
		if found[i] != nil {
			w.Profiles[name] = found[i]
		}
	}
	return nil
}

// readProfile gives nil when EKS says that there is no such profile.
func (c *Cloud) readProfile(ctx context.Context, cluster, name string) (*ekstypes.FargateProfile, error) {
	out, err := c.aws.eks.DescribeFargateProfile(ctx, &eks.DescribeFargateProfileInput{ClusterName: &cluster, FargateProfileName: &name})
	switch {
	case absent(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return out.FargateProfile, nil
}

func (c *Cloud) seeProfile(ctx context.Context, cfg *Config, w *world, name string) error {
	if err := c.refreshStacks(ctx, cfg, w, fargateStack(cfg.Name)); err != nil {
		return err
	}
	delete(w.Profiles, name)
	if w.Cluster == nil {
		return nil
	}
	live, err := c.readProfile(ctx, cfg.Name, name)
	if live != nil {
		w.Profiles[name] = live
	}
	return err
}

// wantedProfile is what the file says of a profile, in the form that compares.
func (c *Config) wantedProfile(p *api.FargateProfile, written gitops.Tree) gitops.Tree {
	out := gitops.Clone(written)
	delete(out, "status") // eksctl's own note of what it saw
	selectors := make([]any, 0, len(p.Selectors))
	for _, s := range p.Selectors {
		selectors = append(selectors, selectorTree(s.Namespace, s.Labels))
	}
	out["selectors"] = sortSelectors(selectors)
	if _, ok := out["subnets"]; ok {
		out["subnets"] = sortedList(p.Subnets)
	}
	if role := c.profileRole(p); role != "" {
		out["podExecutionRoleARN"] = role
	}
	return out
}

func profileTree(p *ekstypes.FargateProfile) gitops.Tree {
	selectors := make([]any, 0, len(p.Selectors))
	for _, s := range p.Selectors {
		selectors = append(selectors, selectorTree(aws.ToString(s.Namespace), s.Labels))
	}
	return gitops.Tree{
		"name": aws.ToString(p.FargateProfileName), "podExecutionRoleARN": aws.ToString(p.PodExecutionRoleArn),
		"selectors": sortSelectors(selectors), "subnets": sortedList(p.Subnets),
	}
}

func selectorTree(namespace string, labels map[string]string) gitops.Tree {
	out := gitops.Tree{"namespace": namespace}
	if len(labels) > 0 {
		out["labels"] = stringTree(labels)
	}
	return out
}

// sortSelectors brings the selectors, which have no order, into one.
func sortSelectors(list []any) []any {
	slices.SortFunc(list, func(a, b any) int { return strings.Compare(string(gitops.DigestOf(a)), string(gitops.DigestOf(b))) })
	return list
}

// compareProfile compares a Fargate profile. A nil live tree means that there is none, or none that can stay.
func (c *Config) compareProfile(w *world, p *api.FargateProfile, written gitops.Tree) comparison {
	out := comparison{next: c.wantedProfile(p, written)}
	live := w.Profiles[p.Name]
	if live == nil || live.Status == ekstypes.FargateProfileStatusDeleting || profileBroken(live) {
		return out
	}
	out.live = pick(profileTree(live), out.next)
	if wanted := gitops.TreeAt(out.next, "tags"); wanted != nil {
		out.live["tags"] = pick(stringTree(live.Tags), wanted)
	}
	for _, field := range []string{"selectors", "subnets", "podExecutionRoleARN"} {
		if out.differs(field) {
			out.replace = append(out.replace, field+" of a Fargate profile cannot be changed")
		}
	}
	return out
}

// profileBroken says that the profile can only be deleted.
func profileBroken(p *ekstypes.FargateProfile) bool {
	return p.Status == ekstypes.FargateProfileStatusCreateFailed || p.Status == ekstypes.FargateProfileStatusDeleteFailed
}

func (w *world) profileHealth(name string) gitops.Health {
	p := w.Profiles[name]
	if p == nil {
		return gitops.Health{Status: gitops.Absent}
	}
	says := "the Fargate profile is " + string(p.Status)
	if p.Health != nil && len(p.Health.Issues) > 0 {
		says += fmt.Sprintf(": %s: %s", p.Health.Issues[0].Code, aws.ToString(p.Health.Issues[0].Message))
	}
	switch p.Status {
	case ekstypes.FargateProfileStatusActive:
		return gitops.Health{Status: gitops.Ready}
	case ekstypes.FargateProfileStatusCreating:
		return gitops.Health{Status: gitops.Progressing, Message: says}
	case ekstypes.FargateProfileStatusDeleting:
		return gitops.Health{Status: gitops.Terminating, Message: says}
	case ekstypes.FargateProfileStatusCreateFailed, ekstypes.FargateProfileStatusDeleteFailed:
		return gitops.Health{Status: gitops.Failed, Message: says, Reason: limit(says)}
	}
	return gitops.Health{Status: gitops.Unknown, Message: says}
}

func (c *Config) observeProfile(w *world, name string) gitops.Observation {
	p, written := c.profile(name)
	health := w.profileHealth(name)
	o := c.compareProfile(w, p, written).observation(written, &health)
	if live := w.Profiles[name]; live != nil {
		o.Identity = aws.ToString(live.FargateProfileArn)
	}
	return o
}

// stepProfile makes a profile, or takes the next step of changing a live one.
func (c *Cloud) stepProfile(ctx context.Context, cfg *Config, w *world, ch plan.Change) error {
	p, written := cfg.profile(ch.Ref.Name)
	if w.Cluster == nil {
		return gitops.Errorf(gitops.Blocked, "the cluster is not there yet")
	}
	live := w.Profiles[p.Name]
	switch {
	case live == nil:
		return c.createProfile(ctx, cfg, w, p)
	case profileBroken(live):
		return c.deleteProfile(ctx, cfg, p.Name)
	case live.Status != ekstypes.FargateProfileStatusActive:
		return nil
	}
	diff := cfg.compareProfile(w, p, written)
	if diff.same() {
		return nil
	}
	if len(diff.replace) > 0 && ch.Action != plan.Replace {
		return gitops.Errorf(gitops.ApplyFailed, "it can only be replaced now: the plan is out of date")
	}
	if err := c.attempt(ctx, cfg, ch.Ref, diff, ""); err != nil {
		return err
	}
	if len(diff.replace) > 0 {
		return c.deleteProfile(ctx, cfg, p.Name)
	}
	return c.tagResource(ctx, aws.ToString(live.FargateProfileArn), gitops.TreeAt(diff.live, "tags"), gitops.TreeAt(diff.next, "tags"))
}

func (c *Cloud) createProfile(ctx context.Context, cfg *Config, w *world, p *api.FargateProfile) error {
	role, err := c.ensureProfileRole(ctx, cfg, w, p)
	if err != nil || role == "" {
		return err
	}
	in := &eks.CreateFargateProfileInput{
		ClusterName: &cfg.Name, FargateProfileName: &p.Name, PodExecutionRoleArn: &role, Subnets: p.Subnets, Tags: withTag(p.Tags, tagMade, cfg.Name),
	}
	for _, s := range p.Selectors {
		in.Selectors = append(in.Selectors, ekstypes.FargateProfileSelector{Namespace: &s.Namespace, Labels: s.Labels})
	}
	_, err = c.aws.eks.CreateFargateProfile(ctx, in)
	return err
}

// ensureProfileRole finds the role of a profile as eksctl does: the file's, the one that the cluster's stack made, or that of a
// stack that all profiles share and that stays until the cluster goes. It is empty while that stack is being made.
func (c *Cloud) ensureProfileRole(ctx context.Context, cfg *Config, w *world, p *api.FargateProfile) (string, error) {
	if role := cfg.profileRole(p); role != "" {
		return role, nil
	}
	if role := output(w.Stacks[clusterStack(cfg.Name)], outputs.FargatePodExecutionRoleARN); role != "" {
		return role, nil
	}
	o, err := cfg.renderProfileRole(w)
	if err != nil {
		return "", err
	}
	stage, err := c.ensureStack(ctx, cfg, w, o)
	if err != nil || stage != standing {
		return "", err
	}
	role := output(w.Stacks[o.name], outputs.FargatePodExecutionRoleARN)
	if role == "" {
		return "", fmt.Errorf("stack %s has no output %s", o.name, outputs.FargatePodExecutionRoleARN)
	}
	return role, nil
}

func (c *Config) renderProfileRole(w *world) (out stackOrder, err error) {
	spec := c.full.DeepCopy()
	spec.Metadata.AccountID = w.Account
	err = guarded(func() (err error) {
		set := builder.NewFargateResourceSet(spec)
		if err := set.AddAllResources(); err != nil {
			return err
		}
		out, err = order(fargateStack(c.Name), nil, set)
		return err
	})
	return out, err
}

func (c *Cloud) deleteProfile(ctx context.Context, cfg *Config, name string) error {
	_, err := c.aws.eks.DeleteFargateProfile(ctx, &eks.DeleteFargateProfileInput{ClusterName: &cfg.Name, FargateProfileName: &name})
	if absent(err) {
		return nil
	}
	return err
}

// removeProfile deletes a profile that is not going already.
func (c *Cloud) removeProfile(ctx context.Context, cfg *Config, w *world, name string) error {
	if p := w.Profiles[name]; p == nil || p.Status == ekstypes.FargateProfileStatusDeleting {
		return nil
	}
	return c.deleteProfile(ctx, cfg, name)
}

func (c *Cloud) profileArrived(cfg *Config, w *world, name string) gitops.Health {
	if h, failed := c.stackFailed(w, fargateStack(cfg.Name)); failed && w.Profiles[name] == nil {
		return h
	}
	h := w.profileHealth(name)
	switch h.Status {
	case gitops.Absent, gitops.Terminating:
		return next("it waits for its role, or for another Fargate profile that is being made or deleted")
	case gitops.Ready:
	default:
		return h
	}
	p, written := cfg.profile(name)
	if !cfg.compareProfile(w, p, written).same() {
		return next("the profile is not as git says yet")
	}
	return h
}

// profileGone tells how far the deletion of a profile is.
func (w *world) profileGone(name string) gitops.Health {
	h := w.profileHealth(name)
	stuck := h.Status == gitops.Failed && w.Profiles[name].Status == ekstypes.FargateProfileStatusDeleteFailed
	if h.Status == gitops.Absent || h.Status == gitops.Terminating || stuck {
		return h
	}
	return gitops.Health{Status: gitops.Terminating, Message: "it is still there", Step: true}
}
