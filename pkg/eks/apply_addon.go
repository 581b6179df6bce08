package eks

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// addonRights is how an addon gets its permissions: through the cluster's issuer, through pod identities, or not at all.
type addonRights struct {
	// role is the ARN for the addon's service account.
	role string
	// pods are its pod identity associations; nil leaves them alone, empty removes them.
	pods []ekstypes.AddonPodIdentityAssociations
}

// stepAddon takes the next step for an addon: its roles first, then the addon itself.
func (c *Cloud) stepAddon(ctx context.Context, cfg *Config, w *world, r gitops.Ref) error {
	a, _ := cfg.addon(r.Name)
	if w.Cluster == nil {
		return gitops.Errorf(gitops.Blocked, "the cluster is not there yet")
	}
	live := w.Addons[r.Name]
	if live != nil && live.Status == ekstypes.AddonStatusCreateFailed {
		// eksctl makes such an addon anew; EKS wants the failed one gone first.
		return c.deleteAddon(ctx, cfg, r.Name)
	}
	if addonMoving(live) {
		return nil
	}
	found, err := c.offer(ctx, a.want.Name, cfg.addonVersion(a, live), aws.ToString(w.Cluster.Version))
	if err != nil {
		return err
	}
	a = cfg.placed(w, a)
	rights, ready, err := c.addonRights(ctx, cfg, w, a, found, live == nil)
	if err != nil || !ready {
		return err
	}
	if live == nil {
		return c.createAddon(ctx, cfg, a, found, rights)
	}
	return c.changeAddon(ctx, cfg, w, a, live, found, rights)
}

// addonMoving says that an operation of EKS on the addon is under way.
func addonMoving(live *ekstypes.Addon) bool {
	return live != nil && (live.Status == ekstypes.AddonStatusCreating || live.Status == ekstypes.AddonStatusUpdating || live.Status == ekstypes.AddonStatusDeleting)
}

func (c *Cloud) changeAddon(ctx context.Context, cfg *Config, w *world, a addon, live *ekstypes.Addon, found offer, rights addonRights) error {
	r := cfg.ref(KindAddon, a.want.Name)
	diff, err := cfg.compareAddon(w, a)
	if err != nil || diff.same() {
		return err
	}
	if len(diff.replace) > 0 {
		return c.deleteAddon(ctx, cfg, r.Name)
	}
	if err := c.attempt(ctx, cfg, r, diff, ""); err != nil {
		return err
	}
	if diff.differs("tags") {
		return c.tagResource(ctx, aws.ToString(live.AddonArn), gitops.TreeAt(diff.live, "tags"), gitops.TreeAt(diff.next, "tags"))
	}
	return c.updateAddon(ctx, cfg, a, live, found, rights, diff)
}

// addonVersion is the version that the round of an upgrade gives an addon, else the one that the file wants.
func (c *Config) addonVersion(a addon, live *ekstypes.Addon) string {
	if m, ok := c.move(a.want.Name); ok && live != nil {
		return m.version
	}
	return wantedVersion(a, live)
}

// wantedVersion is the file's word for the version; without one, a live addon keeps what it has.
func wantedVersion(a addon, live *ekstypes.Addon) string {
	if live != nil && versionMatches(aws.ToString(live.AddonVersion), a.want.Version) {
		return aws.ToString(live.AddonVersion)
	}
	return a.want.Version
}

// conflicts is the file's word for what becomes of fields that others changed, as the API spells it: eksctl's own examples are in lower case.
func (a addon) conflicts() ekstypes.ResolveConflicts {
	return ekstypes.ResolveConflicts(strings.ToUpper(string(a.want.ResolveConflicts)))
}

func (c *Cloud) createAddon(ctx context.Context, cfg *Config, a addon, o offer, rights addonRights) error {
	in := &eks.CreateAddonInput{
		ClusterName: &cfg.Name, AddonName: &a.want.Name, AddonVersion: &o.version, ResolveConflicts: a.conflicts(),
		PodIdentityAssociations: rights.pods, Tags: map[string]string{tagMade: cfg.Name},
	}
	if in.ResolveConflicts == "" {
		// As eksctl does when it creates a cluster: what the control plane brought along is taken over.
		in.ResolveConflicts = ekstypes.ResolveConflictsOverwrite
	}
	for k, v := range gitops.StringsAt(a.written, "tags") {
		in.Tags[k] = v
	}
	if rights.role != "" {
		in.ServiceAccountRoleArn = &rights.role
	}
	if a.want.ConfigurationValues != "" {
		in.ConfigurationValues = &a.want.ConfigurationValues
	}
	if n := a.want.NamespaceConfig; n != nil && n.Namespace != "" {
		in.NamespaceConfig = &ekstypes.AddonNamespaceConfigRequest{Namespace: &n.Namespace}
	}
	_, err := c.aws.eks.CreateAddon(ctx, in)
	return err
}

func (c *Cloud) updateAddon(ctx context.Context, cfg *Config, a addon, live *ekstypes.Addon, o offer, rights addonRights, diff comparison) error {
	in := &eks.UpdateAddonInput{
		ClusterName: &cfg.Name, AddonName: &a.want.Name, AddonVersion: &o.version, ResolveConflicts: a.conflicts(),
		ServiceAccountRoleArn: live.ServiceAccountRoleArn,
	}
	if rights.role != "" {
		in.ServiceAccountRoleArn = &rights.role
	}
	if rights.pods != nil {
		in.PodIdentityAssociations = rights.pods
	}
	if diff.differs("configurationValues") {
		values := a.want.ConfigurationValues
		if values == "" {
			values = "{}" // absent would mean: as it is
		}
		in.ConfigurationValues = &values
	}
	out, err := c.aws.eks.UpdateAddon(ctx, in)
	if err == nil {
		c.began(cfg.ref(KindAddon, a.want.Name), out.Update)
	}
	return err
}

// addonRights brings the roles of an addon to stand, after eksctl's rules (pkg/actions/addon/create.go): associations of
// the file, a role of the file, then what EKS or eksctl recommends. Recommendations are followed when the addon is made;
// later the file alone speaks.
func (c *Cloud) addonRights(ctx context.Context, cfg *Config, w *world, a addon, o offer, creating bool) (addonRights, bool, error) {
	want := a.want
	switch {
	case want.PodIdentityAssociations != nil:
		return c.podRights(ctx, cfg, w, a, *want.PodIdentityAssociations)
	case want.ServiceAccountRoleARN != "":
		return addonRights{role: want.ServiceAccountRoleARN}, true, nil
	case want.HasIRSAPoliciesSet() && api.IsEnabled(cfg.full.IAM.WithOIDC):
		return c.accountRights(ctx, cfg, w, want)
	case !creating || !o.rights || want.HasIRSAPoliciesSet():
		return addonRights{}, true, nil
	case cfg.full.AddonsConfig.AutoApplyPodIdentityAssociations || want.UseDefaultPodIdentityAssociations:
		pods, err := c.suggested(ctx, want.Name, o.version)
		if err != nil {
			return addonRights{}, false, err
		}
		if len(pods) > 0 {
			return c.podRights(ctx, cfg, w, a, pods)
		}
	}
	want = want.DeepCopy()
	if !api.IsEnabled(cfg.full.IAM.WithOIDC) || !cfg.recommended(w, want) {
		return addonRights{}, true, nil
	}
	return c.accountRights(ctx, cfg, w, want)
}

func (c *Cloud) accountRights(ctx context.Context, cfg *Config, w *world, want *api.Addon) (addonRights, bool, error) {
	r, err := cfg.addonAccountRole(w, want)
	if err != nil {
		return addonRights{}, false, err
	}
	stage, arn, err := c.ensureRole(ctx, cfg, w, r)
	return addonRights{role: arn}, err == nil && stage == standing, err
}

// podRights orders all missing roles at once: their stacks do not depend on each other.
func (c *Cloud) podRights(ctx context.Context, cfg *Config, w *world, a addon, pods []api.PodIdentityAssociation) (addonRights, bool, error) {
	out, ready := addonRights{pods: []ekstypes.AddonPodIdentityAssociations{}}, true
	for i := range pods {
		p := &pods[i]
		arn := p.RoleARN
		if arn == "" {
			r, err := cfg.addonPodRole(a.want, p)
			if err != nil {
				return out, false, err
			}
			var stage stage
			if stage, arn, err = c.ensureRole(ctx, cfg, w, r); err != nil {
				return out, false, err
			}
			ready = ready && stage == standing
		}
		out.pods = append(out.pods, ekstypes.AddonPodIdentityAssociations{RoleArn: aws.String(arn), ServiceAccount: &p.ServiceAccountName})
	}
	return out, ready, nil
}

// suggested asks EKS for the pod identities that it recommends for an addon. They are kept for the looks that follow: the roles are in
// stacks that the file does not name.
func (c *Cloud) suggested(ctx context.Context, name, version string) ([]api.PodIdentityAssociation, error) {
	out, err := c.aws.eks.DescribeAddonConfiguration(ctx, &eks.DescribeAddonConfigurationInput{AddonName: &name, AddonVersion: &version})
	if err != nil {
		return nil, err
	}
	var pods []api.PodIdentityAssociation
	for _, p := range out.PodIdentityConfiguration {
		pods = append(pods, api.PodIdentityAssociation{ServiceAccountName: aws.ToString(p.ServiceAccount), PermissionPolicyARNs: p.RecommendedManagedPolicies})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.suggestions[name] = pods
	return pods, nil
}

// podStacks are the stacks of the roles that an addon lends to its pods, those that EKS recommends included.
func (c *Cloud) podStacks(cfg *Config, a addon) []string {
	c.mu.Lock()
	pods := slices.Clone(c.suggestions[a.want.Name])
	c.mu.Unlock()
	if p := a.want.PodIdentityAssociations; p != nil {
		pods = append(pods, *p...)
	}
	var out []string
	for _, p := range pods {
		out = append(out, addonIdentityStack(cfg.Name, a.want.Name, p.ServiceAccountName))
	}
	return out
}

func (c *Cloud) deleteAddon(ctx context.Context, cfg *Config, name string) error {
	_, err := c.aws.eks.DeleteAddon(ctx, &eks.DeleteAddonInput{ClusterName: &cfg.Name, AddonName: &name})
	if absent(err) {
		return nil
	}
	return err
}
