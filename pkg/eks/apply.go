package eks

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// Apply takes one step towards what the change says and returns when AWS accepted it: at most one operation that holds a
// lock of AWS (cluster, nodegroup, addon, stack) per call. What to do is decided from a fresh look at the ref, so that a
// step that was done, is under way or was lost with a process is not done twice. Ready asks for further steps.
func (c *Cloud) Apply(ctx context.Context, ch plan.Change) error {
	if ch.Action == plan.Wait {
		return nil
	}
	defer c.serial(ch.Ref)()
	defer c.touch()
	cfg, _ := c.known()
	if cfg == nil {
		return gitops.Errorf(gitops.Internal, "applying before anything was observed").On(ch.Ref)
	}
	w, err := c.see(ctx, cfg, ch.Ref)
	if err != nil {
		return failure(gitops.ApplyFailed, ch.Ref, err)
	}
	if ch.Action == plan.Delete {
		if !c.Teardown && cfg.wanted(ch.Ref) {
			return gitops.Errorf(gitops.ApplyFailed, "git wants it again: the plan to delete it is out of date").On(ch.Ref)
		}
		if err := c.remove(ctx, cfg, w, ch.Ref); err != nil && !busy(err) {
			return failure(gitops.ApplyFailed, ch.Ref, err)
		}
		return nil
	}
	if c.Teardown || !cfg.wanted(ch.Ref) || gitops.DigestOf(ch.Spec) != gitops.DigestOf(cfg.spec(ch.Ref)) {
		return gitops.Errorf(gitops.ApplyFailed, "git moved on: the plan is out of date").On(ch.Ref)
	}
	err = c.converge(ctx, cfg, w, ch)
	if err == nil {
		return nil
	}
	c.forgive(ch.Ref) // AWS did not accept it, and is not to be said to have.
	if busy(err) {
		// Another operation holds the lock, one of ours that a read has not shown yet or somebody else's. Ready waits.
		return nil
	}
	return cfg.inFields(ch, failure(gitops.ApplyFailed, ch.Ref, err))
}

// wanted reports whether the file asks for a ref.
func (c *Config) wanted(r gitops.Ref) bool {
	return slices.ContainsFunc(c.wants(), func(w want) bool { return w.ref == r })
}

// spec is what Observe gives as the desired content of a ref.
func (c *Config) spec(r gitops.Ref) gitops.Tree {
	switch r.Kind {
	case KindCluster:
		return c.inRound(c.wantedCluster())
	case KindIdentityProvider:
		return wantedProvider()
	case KindAddon:
		a, _ := c.addon(r.Name)
		return c.addonSpec(a)
	case KindServiceAccount:
		_, written := c.account(r.Name)
		return written
	case KindPodIdentity:
		_, written := c.association(r.Name)
		return written
	case KindAccessEntry:
		_, written := c.entry(r.Name)
		return written
	case KindIdentityMapping:
		_, written := c.mapping(r.Name)
		return written
	case KindFargateProfile:
		_, written := c.profile(r.Name)
		return written
	case KindIdentityProviderConfig:
		_, written := c.login(r.Name)
		return written
	case KindCapability:
		_, written := c.capability(r.Name)
		return written
	}
	want, ok := c.nodegroup(r.Name)
	if !ok {
		return nil
	}
	return c.wantedGroup(want)
}

func (c *Cloud) converge(ctx context.Context, cfg *Config, w *world, ch plan.Change) error {
	switch ch.Ref.Kind {
	case KindCluster:
		return c.stepCluster(ctx, cfg, w, ch.Ref)
	case KindIdentityProvider:
		return c.stepProvider(ctx, cfg, w)
	case KindAddon:
		return c.stepAddon(ctx, cfg, w, ch.Ref)
	case KindServiceAccount:
		return c.stepAccount(ctx, cfg, w, ch.Ref)
	case KindPodIdentity:
		return c.stepAssociation(ctx, cfg, w, ch.Ref)
	case KindAccessEntry:
		return c.stepEntry(ctx, cfg, w, ch)
	case KindIdentityMapping:
		return c.stepMapping(ctx, cfg, w, ch.Ref)
	case KindFargateProfile:
		return c.stepProfile(ctx, cfg, w, ch)
	case KindIdentityProviderConfig:
		return c.stepLogin(ctx, cfg, w, ch)
	case KindCapability:
		return c.stepCapability(ctx, cfg, w, ch)
	case KindNodegroup:
		return c.stepGroup(ctx, cfg, w, ch)
	}
	return gitops.Errorf(gitops.Internal, "nothing is known about kind %s", ch.Ref.Kind)
}

// see looks anew at what concerns one ref.
func (c *Cloud) see(ctx context.Context, cfg *Config, r gitops.Ref) (*world, error) {
	read := func(w *world) error {
		if err := c.seeInto(ctx, cfg, r, w); err != nil {
			return err
		}
		c.readUpdates(ctx, cfg, w, &r)
		return nil
	}
	return c.refresh(read, func(from, into *world) { merge(cfg, r, from, into) })
}

// seeAround looks at what everything needs.
func (c *Cloud) seeAround(ctx context.Context, cfg *Config, r gitops.Ref, w *world) error {
	if w.Account == "" {
		if err := c.identify(ctx, w); err != nil {
			return err
		}
	}
	if r.Kind == KindCluster || !cfg.standing(w) {
		return c.seeControlPlane(ctx, cfg, w)
	}
	return nil
}

func (c *Cloud) seeInto(ctx context.Context, cfg *Config, r gitops.Ref, w *world) error {
	if err := c.seeAround(ctx, cfg, r, w); err != nil {
		return err
	}
	switch r.Kind {
	case KindCluster:
		return c.seeCluster(ctx, cfg, w)
	case KindIdentityProvider:
		w.Provider = false
		return c.readProvider(ctx, w)
	case KindAddon:
		return c.seeAddon(ctx, cfg, w, r.Name)
	case KindServiceAccount:
		return c.seeAccount(ctx, cfg, w, r.Name)
	case KindPodIdentity:
		return c.seeAssociation(ctx, cfg, w, r.Name)
	case KindAccessEntry:
		return c.seeEntry(ctx, cfg, w, r.Name)
	case KindIdentityMapping:
		c.readAuth(ctx, cfg, w)
		return nil
	case KindFargateProfile:
		return c.seeProfile(ctx, cfg, w, r.Name)
	case KindIdentityProviderConfig:
		return c.seeLogins(ctx, cfg, w)
	case KindCapability:
		return c.seeCapability(ctx, cfg, w, r.Name)
	case KindLoadBalancer, KindSecurityGroup, KindNetworkInterface:
		return c.readRemnants(ctx, cfg, w)
	case KindLogGroup:
		return c.readRetention(ctx, cfg, w)
	case KindNodegroup:
		return c.refreshGroups(ctx, cfg, w, cfg.groupNames(w, r.Name))
	}
	return c.refreshStacks(ctx, cfg, w, r.Name)
}

// standing says that the cluster was there, whole, when last seen: what is inside can be asked for without it.
func (c *Config) standing(w *world) bool {
	s, ok := w.Stacks[clusterStack(c.Name)]
	return ok && stackDone(s) && w.Cluster != nil && w.Cluster.Status != ekstypes.ClusterStatusCreating
}

func (c *Cloud) seeControlPlane(ctx context.Context, cfg *Config, w *world) (err error) {
	if w.Cluster, err = c.readCluster(ctx, cfg.Name); err != nil {
		return err
	}
	return c.refreshStacks(ctx, cfg, w, clusterStack(cfg.Name))
}

func (c *Cloud) seeCluster(ctx context.Context, cfg *Config, w *world) error {
	if err := c.readRemnants(ctx, cfg, w); err != nil {
		return err
	}
	if err := c.readRetention(ctx, cfg, w); err != nil {
		return err
	}
	if err := c.refreshStacks(ctx, cfg, w, cfg.roleStacks()...); err != nil {
		return err
	}
	if err := c.readRolePolicies(ctx, cfg, w); err != nil {
		return err
	}
	if err := c.readPlacing(ctx, cfg, w); err != nil {
		return err
	}
	if len(w.Versions) > 0 {
		return nil
	}
	return c.readVersions(ctx, cfg, w, w)
}

func (c *Cloud) seeAssociation(ctx context.Context, cfg *Config, w *world, name string) error {
	if err := c.refreshStacks(ctx, cfg, w, podIdentityStack(cfg.Name, name)); err != nil || w.Cluster == nil {
		return err
	}
	w.Associations, w.Lent = map[string]*ekstypes.PodIdentityAssociation{}, map[string]*ekstypes.PodIdentityAssociation{}
	return c.readAssociations(ctx, cfg.Name, w)
}

func (c *Cloud) seeAddon(ctx context.Context, cfg *Config, w *world, name string) error {
	names := []string{addonStack(cfg.Name, name)}
	for stack, s := range w.Stacks {
		if tag(s, tagAddon) == name {
			names = append(names, stack)
		}
	}
	a, wanted := cfg.addon(name)
	if wanted {
		names = append(names, c.podStacks(cfg, a)...)
	}
	slices.Sort(names)
	if err := c.refreshStacks(ctx, cfg, w, slices.Compact(names)...); err != nil || w.Cluster == nil {
		return err
	}
	if wanted {
		if err := c.readLatest(ctx, w, a); err != nil {
			return err
		}
	}
	live, err := c.readAddon(ctx, cfg.Name, name)
	if err != nil {
		return err
	}
	delete(w.Addons, name)
	if live == nil {
		return nil
	}
	w.Addons[name] = live
	return c.seeLent(ctx, cfg, w, live)
}

// seeLent reads the pod identities of an addon.
func (c *Cloud) seeLent(ctx context.Context, cfg *Config, w *world, live *ekstypes.Addon) error {
	for _, arn := range live.PodIdentityAssociations {
		id := lastPart(arn)
		out, err := c.aws.eks.DescribePodIdentityAssociation(ctx, &eks.DescribePodIdentityAssociationInput{ClusterName: &cfg.Name, AssociationId: &id})
		if err != nil && !absent(err) {
			return err
		}
		if err == nil {
			w.Lent[aws.ToString(out.Association.AssociationArn)] = out.Association
		}
	}
	return nil
}

// lastPart is what comes after the last slash of an ARN, the name or id of what it is of.
func lastPart(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

func (c *Cloud) seeAccount(ctx context.Context, cfg *Config, w *world, name string) error {
	if err := c.refreshStacks(ctx, cfg, w, irsaStack(cfg.Name, name)); err != nil {
		return err
	}
	if c.ServiceAccounts == nil || w.Cluster == nil || w.Cluster.Status != ekstypes.ClusterStatusActive || c.Teardown {
		return nil
	}
	sa, _ := cfg.account(name)
	if sa == nil {
		return nil
	}
	if w.Accounts == nil {
		w.Accounts = map[string]serviceAccount{}
	}
	w.Accounts[name] = c.readAccount(ctx, sa.Namespace, sa.Name)
	return nil
}

// groupNames are the names under which a nodegroup of the file may be live: its own, those of its known generations, and
// the one that its next generation has or would get.
func (c *Config) groupNames(w *world, user string) []string {
	names := []string{user}
	for _, g := range w.Groups {
		if g.User == user {
			names = append(names, g.Name)
		}
	}
	if want, ok := c.nodegroup(user); ok {
		names = append(names, c.lineup(w, want).name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
