package eks

import (
	"context"
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// stepAccount brings the role of a service account to stand, then the service account to use it.
func (c *Cloud) stepAccount(ctx context.Context, cfg *Config, w *world, r gitops.Ref) error {
	sa, written := cfg.account(r.Name)
	arn := sa.AttachRoleARN
	if arn == "" {
		want, err := cfg.accountRole(w, sa)
		if err != nil {
			return err
		}
		stage, found, err := c.ensureRole(ctx, cfg, w, want)
		if err != nil || stage != standing {
			return err
		}
		arn = found
	}
	if api.IsEnabled(sa.RoleOnly) || c.ServiceAccounts == nil {
		return nil
	}
	if seen := w.Accounts[r.Name]; seen.Err != "" {
		return gitops.Errorf(gitops.Unreachable, "reading the service account: %s", seen.Err)
	}
	diff, err := cfg.compareAccount(w, sa, written)
	if err != nil || (diff.live != nil && diff.same()) {
		return err
	}
	annotations := maps.Clone(sa.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[api.AnnotationEKSRoleARN] = arn
	return c.ServiceAccounts.EnsureServiceAccount(ctx, sa.Namespace, sa.Name, sa.Labels, annotations)
}

// stepAssociation brings the role of a pod identity association to stand, then the association.
func (c *Cloud) stepAssociation(ctx context.Context, cfg *Config, w *world, r gitops.Ref) error {
	p, written := cfg.association(r.Name)
	if w.Cluster == nil {
		return gitops.Errorf(gitops.Blocked, "the cluster is not there yet")
	}
	arn := p.RoleARN
	if arn == "" {
		want, err := cfg.podRole(p)
		if err != nil {
			return err
		}
		stage, found, err := c.ensureRole(ctx, cfg, w, want)
		if err != nil || stage != standing {
			return err
		}
		arn = found
	}
	if p.CreateServiceAccount && c.ServiceAccounts != nil {
		if err := c.ServiceAccounts.EnsureServiceAccount(ctx, p.Namespace, p.ServiceAccountName, nil, nil); err != nil {
			return err
		}
	}
	live := w.Associations[r.Name]
	if live == nil {
		in := &eks.CreatePodIdentityAssociationInput{
			ClusterName: &cfg.Name, Namespace: &p.Namespace, ServiceAccount: &p.ServiceAccountName, RoleArn: &arn,
			TargetRoleArn: p.TargetRoleARN, DisableSessionTags: p.DisableSessionTags, Policy: p.Policy, Tags: withTag(p.Tags, tagMade, cfg.Name),
		}
		_, err := c.aws.eks.CreatePodIdentityAssociation(ctx, in)
		return err
	}
	diff, err := cfg.compareAssociation(w, p, written)
	if err != nil || diff.same() {
		return err
	}
	if err := c.attempt(ctx, cfg, r, diff, ""); err != nil {
		return err
	}
	if diff.differs("tags") {
		return c.tagResource(ctx, aws.ToString(live.AssociationArn), gitops.TreeAt(diff.live, "tags"), gitops.TreeAt(diff.next, "tags"))
	}
	_, err = c.aws.eks.UpdatePodIdentityAssociation(ctx, &eks.UpdatePodIdentityAssociationInput{
		ClusterName: &cfg.Name, AssociationId: live.AssociationId, RoleArn: &arn,
		TargetRoleArn: p.TargetRoleARN, DisableSessionTags: p.DisableSessionTags, Policy: p.Policy,
	})
	return err
}
