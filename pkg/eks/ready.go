package eks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Ready looks anew at a ref and tells how far it is towards what git wants of it: Ready when it is live as wanted, Absent
// when it is not wanted and gone. Health.Step asks for another Apply.
func (c *Cloud) Ready(ctx context.Context, r gitops.Ref) (gitops.Health, error) {
	defer c.serial(r)()
	cfg, _ := c.known()
	if cfg == nil {
		return gitops.Health{}, gitops.Errorf(gitops.Internal, "looking before anything was observed").On(r)
	}
	w, err := c.see(ctx, cfg, r)
	if err != nil {
		return gitops.Health{}, failure(gitops.ObserveFailed, r, err)
	}
	if c.Teardown || !cfg.wanted(r) {
		return c.gone(cfg, w, r), nil
	}
	health, err := c.arrived(ctx, cfg, w, r)
	if err != nil {
		return gitops.Health{}, failure(gitops.ObserveFailed, r, err)
	}
	if health.Status == gitops.Ready {
		c.mu.Lock()
		delete(c.tries, r)
		delete(c.said, r)
		c.mu.Unlock()
	}
	// Whoever refuses a zone names the field that names it.
	if path := cfg.pathOf(r); health.Status == gitops.Failed && health.Reason != gitops.ZoneRefused && path != "" && !strings.HasPrefix(health.Message, path) {
		health.Message = path + ": " + health.Message
	}
	return health, nil
}

// next asks for another step.
func next(format string, args ...any) gitops.Health {
	return gitops.Health{Status: gitops.Progressing, Message: fmt.Sprintf(format, args...), Step: true}
}

func (c *Cloud) arrived(ctx context.Context, cfg *Config, w *world, r gitops.Ref) (gitops.Health, error) {
	switch r.Kind {
	case KindCluster:
		return c.clusterArrived(cfg, w)
	case KindIdentityProvider:
		if w.Provider {
			return gitops.Health{Status: gitops.Ready}, nil
		}
		return next("IAM does not know the issuer yet"), nil
	case KindAddon:
		return c.addonArrived(cfg, w, r.Name)
	case KindServiceAccount:
		return c.accountArrived(cfg, w, r.Name)
	case KindPodIdentity:
		p, written := cfg.association(r.Name)
		diff, err := cfg.compareAssociation(w, p, written)
		return c.roleArrived(cfg, w, podIdentityStack(cfg.Name, r.Name), p.RoleARN != "", diff, err)
	case KindAccessEntry:
		return c.entryArrived(cfg, w, r.Name), nil
	case KindIdentityMapping:
		return c.mappingArrived(cfg, w, r.Name)
	case KindFargateProfile:
		return c.profileArrived(cfg, w, r.Name), nil
	case KindIdentityProviderConfig:
		return c.loginArrived(cfg, w, r.Name), nil
	case KindCapability:
		return c.capabilityArrived(cfg, w, r.Name)
	case KindNodegroup:
		return c.groupArrived(ctx, cfg, w, r)
	}
	return gitops.Health{Status: gitops.Unknown, Message: "nothing is known about kind " + r.Kind}, nil
}

func (c *Cloud) accountArrived(cfg *Config, w *world, name string) (gitops.Health, error) {
	sa, written := cfg.account(name)
	diff, err := cfg.compareAccount(w, sa, written)
	if err == nil && w.Accounts[name].Err != "" {
		err = gitops.Errorf(gitops.Unreachable, "reading the service account: %s", w.Accounts[name].Err)
	}
	attached := sa.AttachRoleARN != ""
	if attached && c.ServiceAccounts == nil {
		return gitops.Health{Status: gitops.Ready}, nil
	}
	return c.roleArrived(cfg, w, irsaStack(cfg.Name, name), attached, diff, err)
}

func (c *Cloud) clusterArrived(cfg *Config, w *world) (gitops.Health, error) {
	if e := c.turnedAway(cfg, w); e != nil {
		return gitops.Health{Status: gitops.Failed, Reason: e.Reason, Message: e.Message()}, nil
	}
	name := clusterStack(cfg.Name)
	for _, stack := range append([]string{name}, cfg.roleStacks()...) {
		if h, failed := c.stackFailed(w, stack); failed {
			if stackBroken(w.Stacks[name]) && w.runs() {
				h.Message += "; its control plane works, and is not deleted to make the stack whole: reconciler teardown ends it"
			}
			return h, nil
		}
	}
	switch h := cfg.clusterHealth(w); h.Status {
	case gitops.Absent:
		return next("stack %s is not there yet", name), nil
	case gitops.Terminating, gitops.Failed:
		if s, ok := w.Stacks[name]; ok && (c.isDismissed(aws.ToString(s.StackId)) || stackBroken(s) && !w.runs()) {
			return next("%s: it is cleared away before it is made anew", stackSays(s)), nil
		}
		return h, nil
	case gitops.Ready:
	default:
		return h, nil
	}
	diff, err := cfg.compareCluster(w)
	if err != nil {
		return gitops.Health{Status: gitops.Failed, Message: err.Message()}, nil
	}
	if !diff.same() {
		return next("more is to be changed"), nil
	}
	return gitops.Health{Status: gitops.Ready}, nil
}

func (c *Cloud) addonArrived(cfg *Config, w *world, name string) (gitops.Health, error) {
	for _, stack := range c.addonStacks(w, name) {
		if h, failed := c.stackFailed(w, stack); failed {
			return h, nil
		}
	}
	h := cfg.addonHealth(w, name)
	live := w.Addons[name]
	if live == nil || h.Status == gitops.Terminating {
		return next("its role or the addon itself is on its way"), nil
	}
	if live.Status == ekstypes.AddonStatusCreating || live.Status == ekstypes.AddonStatusUpdating || h.Status == gitops.Failed {
		return h, nil
	}
	a, _ := cfg.addon(name)
	diff, err := cfg.compareAddon(w, a)
	if err != nil {
		return gitops.Health{}, err
	}
	if !diff.same() {
		return next("more is to be changed"), nil
	}
	return h, nil
}

// roleArrived tells how far something is that stands on a role. given says that the role is not a stack of ours.
func (c *Cloud) roleArrived(cfg *Config, w *world, stack string, given bool, diff comparison, err error) (gitops.Health, error) {
	if err != nil {
		return gitops.Health{}, err
	}
	if !given {
		if h, failed := c.stackFailed(w, stack); failed {
			return h, nil
		}
		if h := cfg.roleHealth(w, stack); h.Status == gitops.Progressing {
			return h, nil
		}
	}
	if diff.live == nil || !diff.same() {
		return next("the role is there; what uses it is next"), nil
	}
	return gitops.Health{Status: gitops.Ready}, nil
}

func (c *Cloud) groupArrived(ctx context.Context, cfg *Config, w *world, r gitops.Ref) (gitops.Health, error) {
	want, _ := cfg.nodegroup(r.Name)
	line := cfg.lineup(w, want)
	stack := nodegroupStack(cfg.Name, line.name)
	if line.target == nil {
		if h, failed := c.stackFailed(w, stack); failed {
			return h, nil
		}
		if s, ok := w.Stacks[stack]; ok {
			return next("%s", stackSays(s)), nil
		}
		return next("stack %s is not there yet", stack), nil
	}
	h := cfg.groupHealth(w, line.target)
	switch {
	case h.Status == gitops.Failed:
		return h, nil
	case len(line.staying()) > 0:
		return c.saying(r, "replacing "+line.staying()[0].Name+" by "+line.name), nil
	case h.Status != gitops.Ready:
		h.Step = h.Step || line.stalled()
		return h, nil
	case len(line.old) > 0:
		if s := line.old[0].Stack; s != nil && s.StackStatus == cfntypes.StackStatusDeleteFailed {
			return w.failed(*s), nil
		}
		return gitops.Health{Status: gitops.Progressing, Message: line.old[0].Name + ", which it replaces, is being deleted"}, nil
	case len(line.litter) > 0:
		return next("the failed attempt %s is being cleared away", line.litter[0].Name), nil
	case !line.diff.same():
		return next("more is to be changed"), nil
	}
	return c.nodesArrived(ctx, line.target)
}

// nodesArrived asks the cluster whether the group's nodes have joined.
func (c *Cloud) nodesArrived(ctx context.Context, g *group) (gitops.Health, error) {
	s, known := g.scale()
	if c.Nodes == nil || !known || s.desired == 0 {
		return gitops.Health{Status: gitops.Ready}, nil
	}
	ready, err := c.Nodes.ReadyNodes(ctx, g.instances())
	if err != nil {
		return gitops.Health{}, fmt.Errorf("looking at the nodes of %s: %w", g.Name, err)
	}
	if int64(ready) < s.desired {
		return gitops.Health{Status: gitops.Progressing, Message: fmt.Sprintf("%d of %d nodes are ready", ready, s.desired)}, nil
	}
	return gitops.Health{Status: gitops.Ready}, nil
}

// gone tells how far the deletion of a ref is.
func (c *Cloud) gone(cfg *Config, w *world, r gitops.Ref) gitops.Health {
	switch r.Kind {
	case KindIdentityMapping:
		return w.mappingGone(r.Name)
	case KindFargateProfile:
		return w.profileGone(r.Name)
	case KindIdentityProviderConfig:
		return w.loginGone(r.Name)
	}
	stacks, there := c.remains(cfg, w, r)
	slices.Sort(stacks)
	for _, name := range stacks {
		s, ok := w.Stacks[name]
		switch {
		case !ok:
			continue
		case s.StackStatus == cfntypes.StackStatusDeleteFailed:
			return w.failed(s)
		case stackLeaving(s) || c.isDismissed(aws.ToString(s.StackId)):
			return gitops.Health{Status: gitops.Terminating, Message: stackSays(s), Step: len(stacks) > 1 || c.Teardown && r.Kind == KindNodegroup}
		}
		return c.saying(r, stackSays(s))
	}
	if there {
		h := c.saying(r, "it is still there")
		h.Status = gitops.Terminating
		return h
	}
	return gitops.Health{Status: gitops.Absent}
}

// remains names the stacks that a ref may have, and says whether the thing itself is there.
func (c *Cloud) remains(cfg *Config, w *world, r gitops.Ref) (stacks []string, there bool) {
	switch r.Kind {
	case KindCluster:
		stacks, there = []string{clusterStack(cfg.Name)}, w.Cluster != nil
	case KindIdentityProvider:
		there = w.Provider
	case KindAddon:
		stacks, there = c.addonStacks(w, r.Name), w.Addons[r.Name] != nil
	case KindServiceAccount:
		stacks = []string{irsaStack(cfg.Name, r.Name)}
	case KindPodIdentity:
		stacks, there = []string{podIdentityStack(cfg.Name, r.Name)}, w.Associations[r.Name] != nil
	case KindAccessEntry:
		stacks, there = []string{entryStack(cfg.Name, r.Name)}, w.Entries[r.Name] != nil
	case KindCapability:
		stacks, there = []string{capabilityStack(cfg.Name, r.Name), capabilityRoleStack(cfg.Name, r.Name)}, w.Capabilities[r.Name] != nil
	case KindLoadBalancer, KindSecurityGroup, KindNetworkInterface:
		_, there = w.remnant(r)
	case KindLogGroup:
		there = w.LogGroup != ""
	case KindNodegroup:
		for _, g := range w.Groups {
			if g.User == r.Name {
				there = true
				stacks = append(stacks, nodegroupStack(cfg.Name, g.Name))
			}
		}
	default:
		stacks = []string{r.Name}
	}
	return stacks, there
}
