package eks

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// remove takes the next step of deleting a ref.
func (c *Cloud) remove(ctx context.Context, cfg *Config, w *world, r gitops.Ref) error {
	switch r.Kind {
	case KindNodegroup:
		return c.removeGroups(ctx, cfg, w, r)
	case KindAddon:
		if a := w.Addons[r.Name]; a != nil {
			if cfg.addonHealth(w, r.Name).Status == gitops.Terminating {
				return nil
			}
			return c.deleteAddon(ctx, cfg, r.Name)
		}
		return c.removeStacks(ctx, cfg, w, c.addonStacks(w, r.Name))
	case KindServiceAccount:
		return c.removeAccount(ctx, cfg, w, r)
	case KindPodIdentity:
		return c.removeAssociation(ctx, cfg, w, r.Name)
	case KindAccessEntry:
		return c.removeEntry(ctx, cfg, w, r.Name)
	case KindIdentityMapping:
		return c.removeMapping(ctx, w, r)
	case KindFargateProfile:
		return c.removeProfile(ctx, cfg, w, r.Name)
	case KindIdentityProviderConfig:
		return c.removeLogin(ctx, cfg, w, r)
	case KindCapability:
		return c.removeCapability(ctx, cfg, w, r.Name)
	case KindIdentityProvider:
		return c.removeProvider(ctx, w)
	case KindLoadBalancer, KindSecurityGroup, KindNetworkInterface, KindLogGroup:
		return c.removeRemnant(ctx, cfg, w, r)
	case KindCluster:
		return c.removeCluster(ctx, cfg, w, r)
	}
	return c.removeStacks(ctx, cfg, w, []string{r.Name})
}

func (c *Cloud) removeCluster(ctx context.Context, cfg *Config, w *world, r gitops.Ref) error {
	if over, err := c.removeRemnants(ctx, cfg, w, r); err != nil || !over {
		return err
	}
	if over, err := c.endAutoMode(ctx, cfg, w); err != nil || !over {
		return err
	}
	return c.removeStacks(ctx, cfg, w, []string{clusterStack(cfg.Name)})
}

func (c *Cloud) removeProvider(ctx context.Context, w *world) error {
	if !w.Provider {
		return nil
	}
	_, err := c.aws.iam.DeleteOpenIDConnectProvider(ctx, &iam.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: aws.String(providerARN(w))})
	if absent(err) {
		return nil
	}
	return err
}

func (c *Cloud) removeAssociation(ctx context.Context, cfg *Config, w *world, name string) error {
	if a := w.Associations[name]; a != nil {
		_, err := c.aws.eks.DeletePodIdentityAssociation(ctx, &eks.DeletePodIdentityAssociationInput{ClusterName: &cfg.Name, AssociationId: a.AssociationId})
		if err != nil && !absent(err) {
			return err
		}
	}
	return c.removeStacks(ctx, cfg, w, []string{podIdentityStack(cfg.Name, name)})
}

func (c *Cloud) removeStacks(ctx context.Context, cfg *Config, w *world, names []string) error {
	for _, name := range names {
		if s, ok := w.Stacks[name]; ok {
			if err := c.deleteStack(ctx, cfg, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeGroups empties and deletes every generation of a nodegroup, one after the other. A teardown leaves those that no stack made.
func (c *Cloud) removeGroups(ctx context.Context, cfg *Config, w *world, r gitops.Ref) error {
	if err := c.releaseInterfaces(ctx, cfg, w, r); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(w.Groups)) {
		g := w.Groups[name]
		if g.User != r.Name || g.leaving() || c.Teardown && g.Stack == nil {
			continue
		}
		return c.dismissGroup(ctx, cfg, g, r)
	}
	return nil
}

// removeAccount deletes the role of a service account, and the service account when it still uses that role: one that
// somebody pointed elsewhere is somebody's.
func (c *Cloud) removeAccount(ctx context.Context, cfg *Config, w *world, r gitops.Ref) error {
	s, ok := w.Stacks[irsaStack(cfg.Name, r.Name)]
	if !ok {
		return nil
	}
	namespace, name, _ := strings.Cut(r.Name, "/")
	if c.ServiceAccounts != nil && !c.Teardown && w.Cluster != nil && !stackLeaving(s) {
		seen := c.readAccount(ctx, namespace, name)
		if seen.Err != "" {
			return gitops.Errorf(gitops.Unreachable, "reading the service account: %s", seen.Err)
		}
		if arn := output(s, roleOutput); seen.Found && arn != "" && seen.Annotations[api.AnnotationEKSRoleARN] == arn {
			if err := c.ServiceAccounts.DeleteServiceAccount(ctx, namespace, name); err != nil {
				return err
			}
		}
	}
	return c.deleteStack(ctx, cfg, s)
}

// addonStacks are the stacks of the roles of an addon.
func (c *Cloud) addonStacks(w *world, name string) []string {
	var out []string
	for _, stack := range slices.Sorted(maps.Keys(w.Stacks)) {
		if tag(w.Stacks[stack], tagAddon) == name {
			out = append(out, stack)
		}
	}
	return out
}

// observeEnd observes everything of a cluster as no longer wanted. What nodes need goes after the nodes; what pods need
// goes after their nodes too; the provider goes after the roles that trust it; the cluster goes last. Identity provider
// configs, and access entries without a stack, end with the cluster. Of an adopted cluster, only what is certainly ours goes.
func (c *Config) observeEnd(w *world, out gitops.Observed) {
	gone := func(kind, name string, live gitops.Tree, needs []gitops.Ref) gitops.Ref {
		r := c.ref(kind, name)
		out[r] = gitops.Observation{Live: live, Owned: true, Needs: needs}
		return r
	}
	if c.adopted() {
		w = c.spare(w, out)
	}
	var pools, roles, all []gitops.Ref
	for _, name := range slices.Sorted(maps.Keys(w.Groups)) {
		g := w.Groups[name]
		r := c.ref(KindNodegroup, g.User)
		if g.Stack == nil && !g.leaving() {
			e := gitops.Errorf(gitops.Foreign, "nodegroup %s was not made by a stack of this cluster: delete it first, the cluster cannot go before it", g.Name)
			out[r] = gitops.Observation{Err: e.On(r)}
			continue
		}
		pools = append(pools, gone(KindNodegroup, g.User, g.tree(), nil))
	}
	for _, name := range slices.Sorted(maps.Keys(w.Profiles)) {
		pools = append(pools, gone(KindFargateProfile, name, profileTree(w.Profiles[name]), nil))
	}
	pools = distinct(pools)
	for _, name := range slices.Sorted(maps.Keys(w.Addons)) {
		roles = append(roles, gone(KindAddon, name, addonTree(w.Addons[name]), pools))
	}
	for _, name := range slices.Sorted(maps.Keys(w.Associations)) {
		roles = append(roles, gone(KindPodIdentity, name, gitops.Tree{"name": name}, pools))
	}
	for _, name := range slices.Sorted(maps.Keys(w.Capabilities)) {
		roles = append(roles, gone(KindCapability, name, w.capabilityTree(name), pools))
	}
	for _, name := range slices.Sorted(maps.Keys(w.Stacks)) {
		if c.endsAlone(w, name) {
			kind, what := w.purpose(name)
			roles = append(roles, gone(kind, what, gitops.Tree{"stack": name}, pools))
		}
	}
	roles = distinct(roles)
	all = slices.Concat(pools, roles, c.observeRemnants(w, pools, out))
	if w.Provider {
		all = append(all, gone(KindIdentityProvider, providerName, gitops.Tree{"withOIDC": true}, roles))
	}
	if _, ok := w.Stacks[clusterStack(c.Name)]; ok || w.Cluster != nil {
		live := gitops.Tree{"metadata": gitops.Tree{"name": c.Name, "region": c.Region}}
		out[c.ref(KindCluster, c.Name)] = gitops.Observation{Live: live, Owned: true, Needs: all, Identity: w.identity(c.Name)}
	}
}

// identity tells a cluster from a successor of the same name. Its stack is there from its beginning to its end.
func (w *world) identity(cluster string) string {
	if s, ok := w.Stacks[clusterStack(cluster)]; ok {
		return aws.ToString(s.StackId)
	}
	return aws.ToString(w.Cluster.Arn) + " " + aws.ToTime(w.Cluster.CreatedAt).UTC().Format(time.RFC3339)
}

// endsAlone says that a stack does not go with the cluster or a nodegroup, as that of the role of Auto Mode's nodes does for as long as
// there is a cluster.
func (c *Config) endsAlone(w *world, stack string) bool {
	s := w.Stacks[stack]
	switch stack {
	case clusterStack(c.Name):
		return false
	case autoModeStack(c.Name):
		return w.Cluster == nil
	}
	return tag(s, tagNodegroup) == "" || tag(s, api.NodeGroupTypeTag) == ""
}

// purpose tells what a stack in the cluster is for.
func (w *world) purpose(stack string) (kind, name string) {
	s := w.Stacks[stack]
	switch {
	case tag(s, tagIRSA) != "":
		return KindServiceAccount, tag(s, tagIRSA)
	case tag(s, tagPodIdentity) != "":
		return KindPodIdentity, tag(s, tagPodIdentity)
	case tag(s, tagAddon) != "":
		return KindAddon, tag(s, tagAddon)
	case tag(s, tagCapability) != "":
		return KindCapability, tag(s, tagCapability)
	case tag(s, tagCapabilityRole) != "":
		return KindCapability, tag(s, tagCapabilityRole)
	case w.entryOf(stack) != "":
		return KindAccessEntry, w.entryOf(stack)
	}
	return KindStack, stack
}

// protected reports a cluster that EKS would not delete. What is in it would go first, and it would stand there empty.
func (c *Config) protected(w *world) *gitops.Error {
	if w.Cluster == nil || !aws.ToBool(w.Cluster.DeletionProtection) {
		return nil
	}
	path := protection()
	e := gitops.Errorf(gitops.Blocked, "cluster %s is protected from deletion", c.Name)
	e.Try = fmt.Sprintf("set metadata.annotations: {%s: \"false\"} in its file, let that be applied, and tear it down then", path[len(path)-1])
	return e.On(c.ref(KindCluster, c.Name)).At(c.origin("metadata.annotations"))
}

// distinct sorts refs and drops repetitions: a thing may have several stacks, and a nodegroup several generations.
func distinct(refs []gitops.Ref) []gitops.Ref {
	slices.SortFunc(refs, gitops.Ref.Compare)
	return slices.Compact(refs)
}
