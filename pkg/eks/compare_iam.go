package eks

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// compareAccount compares the role of a service account and the service account itself. A nil live tree means that there
// is nothing, or not enough yet, to compare.
func (c *Config) compareAccount(w *world, sa *api.ClusterIAMServiceAccount, written gitops.Tree) (comparison, error) {
	out := comparison{next: gitops.Clone(written)}
	arn := sa.AttachRoleARN
	if arn == "" {
		s, ok := w.Stacks[irsaStack(c.Name, sa.NameString())]
		if !ok || stackBroken(s) || stackLeaving(s) || output(s, roleOutput) == "" {
			return out, nil
		}
		arn = output(s, roleOutput)
		out.live = gitops.Clone(written)
		if wanted := gitops.TreeAt(out.next, "tags"); wanted != nil {
			out.live["tags"] = pick(stringTree(stackTags(s)), wanted)
		}
		if issuer(w) == "" {
			return out, nil
		}
		r, err := c.accountRole(w, sa)
		if err != nil {
			return out, err
		}
		if err := out.compareRole(w.Templates[r.stack], r, "attachPolicyARNs"); err != nil {
			return out, err
		}
	}
	switch {
	case !api.IsEnabled(sa.RoleOnly):
		out.compareMeta(w, sa, written, arn)
	case sa.AttachRoleARN != "":
		out.live = gitops.Clone(written) // there is nothing to make: the role is somebody's, and so is the service account
	}
	return out, nil
}

// compareMeta adds whether the service account names its role, and has the labels and annotations of the file.
func (c *comparison) compareMeta(w *world, sa *api.ClusterIAMServiceAccount, written gitops.Tree, arn string) {
	seen := w.Accounts[sa.NameString()]
	if sa.AttachRoleARN != "" && seen.Found {
		c.live = gitops.Clone(written)
	}
	if c.live == nil || w.Accounts == nil {
		return
	}
	for field, has := range map[string]map[string]string{"labels": seen.Labels, "annotations": seen.Annotations} {
		if wanted := gitops.TreeAt(written, "metadata", field); len(wanted) > 0 {
			put(c.live, pick(stringTree(has), wanted), "metadata", field)
		}
	}
	annotation := []string{"metadata", "annotations", api.AnnotationEKSRoleARN}
	put(c.next, arn, annotation...)
	if have := seen.Annotations[api.AnnotationEKSRoleARN]; seen.Found && have != "" {
		put(c.live, have, annotation...)
	}
}

// compareAssociation compares a pod identity association and its role.
func (c *Config) compareAssociation(w *world, p *api.PodIdentityAssociation, written gitops.Tree) (comparison, error) {
	out := comparison{next: gitops.Clone(written)}
	live := w.Associations[p.NameString()]
	if live == nil {
		return out, nil
	}
	out.live = gitops.Clone(written)
	if p.RoleARN == "" {
		stack := podIdentityStack(c.Name, p.NameString())
		s, ok := w.Stacks[stack]
		if !ok || stackBroken(s) || output(s, roleOutput) == "" {
			// The association lives on a role that is not this stack's: making the stack is the first step.
			out.live["roleARN"], out.next["roleARN"] = aws.ToString(live.RoleArn), "known after apply"
			return out, nil
		}
		r, err := c.podRole(p)
		if err != nil {
			return out, err
		}
		if err := out.compareRole(w.Templates[stack], r, "permissionPolicyARNs"); err != nil {
			return out, err
		}
		out.next["roleARN"] = output(s, roleOutput)
	}
	out.live["roleARN"] = aws.ToString(live.RoleArn)
	if _, ok := written["targetRoleARN"]; ok {
		out.live["targetRoleARN"] = aws.ToString(live.TargetRoleArn)
	}
	if _, ok := written["disableSessionTags"]; ok {
		out.live["disableSessionTags"] = aws.ToBool(live.DisableSessionTags)
	}
	if policy, ok := written["policy"].(string); ok {
		out.live["policy"], out.next["policy"] = configuration(aws.ToString(live.Policy)), configuration(policy)
	}
	if _, ok := written["tags"]; ok {
		out.live["tags"] = pick(stringTree(live.Tags), gitops.TreeAt(out.next, "tags"))
	}
	return out, nil
}
