package eks

import (
	"context"
	"errors"
	"slices"

	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Observe answers for everything the ClusterConfig asks for and for everything owned that it no longer asks for. The
// desired items must hold one ClusterConfig. The error is for the domain as a whole: the config is invalid, or AWS cannot
// be read.
func (c *Cloud) Observe(ctx context.Context, d gitops.Desired, inv gitops.Inventory) (gitops.Observed, error) {
	cfg, err := c.adopt(d)
	if err != nil {
		return nil, err
	}
	c.book(inv)
	w, err := c.look(ctx, cfg)
	if err != nil {
		e := failure(gitops.ObserveFailed, cfg.ref(KindCluster, cfg.Name), err)
		if e.From.File == "" {
			e.From = cfg.origin("metadata")
		}
		return nil, e
	}
	cfg = c.pace(cfg, w)
	c.tell(w)
	seen := cfg.observe(w, c.Teardown)
	if c.Teardown && cfg.foreign(w) == nil && cfg.protected(w) == nil {
		cfg.observeLogGroup(w, c.LogGroups, seen)
	}
	if cfg.foreign(w) == nil && !c.Teardown {
		cfg.doubtMappings(w, inv, seen)
	}
	if moving(seen) {
		c.touch()
	}
	if cfg.foreign(w) == nil {
		cfg.confirm(inv, seen)
		if !c.Teardown {
			cfg.makeRoom(w, seen)
			cfg.makeRoomForCapabilities(w, seen)
			c.keepWayIn(cfg, seen)
		}
	}
	c.attribute(ctx, cfg, w, inv, seen)
	return seen, nil
}

// confirm answers for what the inventory remembers: what nothing showed is certainly gone, for the sweep was whole; and what
// bears no mark of ours is ours all the same when it was applied from here, as an adopted addon is. Of the kinds that are
// adopted without a stack, that is: nodegroups are so in adopted clusters.
func (c *Config) confirm(inv gitops.Inventory, seen gitops.Observed) {
	kinds := []string{KindAddon, KindPodIdentity, KindAccessEntry, KindFargateProfile, KindIdentityProviderConfig, KindIdentityMapping, KindCapability}
	if c.adopted() {
		kinds = append(kinds, KindNodegroup)
	}
	for r := range inv {
		if r.Domain != gitops.EKS || r.Namespace != c.Name {
			continue
		}
		o := seen[r]
		if o.Next == nil && o.Live != nil && slices.Contains(kinds, r.Kind) {
			o.Owned, o.Extra = true, false
		}
		seen[r] = o
	}
}

// adopt takes the ClusterConfig out of the desired items and parses it, unless it is the one already known.
func (c *Cloud) adopt(d gitops.Desired) (*Config, error) {
	var item *gitops.Item
	for i := range d.Items {
		if d.Items[i].Ref.Domain == gitops.EKS && d.Items[i].Ref.Kind == ConfigKind {
			item = &d.Items[i]
		}
	}
	if item == nil {
		return nil, gitops.Errorf(gitops.ConfigInvalid, "no ClusterConfig is desired: nothing can be said about cluster %q", d.Cluster)
	}
	digest := gitops.DigestOf([]any{item.Spec, item.From.Position, item.From.Fields})
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.config != nil && c.parsed == digest {
		return c.config, nil
	}
	cfg, problems := Parse(*item)
	if len(problems) > 0 {
		return nil, first(problems)
	}
	if region := c.aws.config.Region; region != cfg.Region {
		return nil, gitops.Errorf(gitops.ConfigInvalid, "metadata.region: the file says %s, but AWS is reached in %s", cfg.Region, region).At(cfg.origin("metadata.region"))
	}
	if c.config != nil && c.config.Name != cfg.Name {
		c.world = nil
	}
	c.config, c.parsed, c.stale = cfg, digest, true
	return cfg, nil
}

// first is the first of several problems; its text tells how many there are.
func first(problems []*gitops.Error) *gitops.Error {
	if len(problems) == 1 {
		return problems[0]
	}
	e := *problems[0]
	all := make([]error, 0, len(problems))
	for _, p := range problems {
		all = append(all, errors.New(p.From.Position.String()+": "+p.Message()))
	}
	e.Err = errors.Join(all...)
	return &e
}

func (c *Config) origin(path string) gitops.Origin {
	out := c.From
	out.Position, out.Fields = position(c.From, path), nil
	return out
}

// look sweeps, or serves the last sweep while it is fresh.
func (c *Cloud) look(ctx context.Context, cfg *Config) (*world, error) {
	c.mu.Lock()
	last, stale := c.world, c.stale
	c.stale = false
	c.mu.Unlock()
	if last != nil && !stale && c.now().Sub(last.At) < c.Fresh {
		return last, nil
	}
	w, err := c.inTurn(ctx, cfg, stale)
	if err != nil {
		c.touch()
		return nil, err
	}
	c.mu.Lock()
	c.world, c.wrecks = w, w.wrecks()
	c.mu.Unlock()
	return w, nil
}

// moving reports whether something is in flight: then the next look must be a new one.
func moving(seen gitops.Observed) bool {
	for _, o := range seen {
		if o.Progress != nil || (o.Err != nil && !o.Err.Reason.Note()) {
			return true
		}
	}
	return false
}

// observe is the pure part: what git wants beside what is live.
func (c *Config) observe(w *world, teardown bool) gitops.Observed {
	out := gitops.Observed{}
	defer c.annotate(out)
	problem := c.foreign(w)
	if problem == nil && teardown {
		problem = c.protected(w)
	}
	if problem != nil {
		// Nothing inside somebody else's cluster is planned at all, and nothing is torn down around one that stays.
		out[problem.Ref] = gitops.Observation{Err: problem, From: problem.From}
		return out
	}
	if teardown {
		c.observeEnd(w, out)
		return out
	}
	for _, n := range c.notes {
		out[n.Ref] = gitops.Observation{Err: n, From: n.From}
	}
	for _, want := range c.wants() {
		o := c.observeWant(w, want)
		o.From, o.Needs = c.origin(want.path), want.needs
		if o.Err != nil {
			if o.Err.From.File == "" {
				o.Err.From = o.From
			}
			o.Err = o.Err.On(want.ref)
		}
		out[want.ref] = o
	}
	if w.Provider && !api.IsEnabled(c.full.IAM.WithOIDC) {
		r := c.ref(ConfigKind, "iam.withOIDC")
		note := gitops.Errorf(gitops.NotManaged, "iam.withOIDC: IAM trusts the cluster's issuer, and that is left alone: every role that relies on it would break")
		out[r] = gitops.Observation{Err: note.On(r).At(c.origin("iam.withOIDC"))}
	}
	if key := secretsKey(w); key != "" && empty(c.written("secretsEncryption", "keyARN")) {
		r := c.ref(ConfigKind, "secretsEncryption")
		note := gitops.Errorf(gitops.NotManaged, "secretsEncryption: secrets are encrypted with %s, which the file does not say; that cannot be removed", key)
		out[r] = gitops.Observation{Err: note.On(r).At(c.origin("secretsEncryption"))}
	}
	c.observeUnrecorded(w, out)
	for _, note := range append(c.otherwiseMade(w), c.otherSubnets(w)...) {
		out[note.Ref] = gitops.Observation{Err: note, From: note.From}
	}
	c.observeLeft(w, out)
	return out
}

// observeWant compares one wanted ref.
func (c *Config) observeWant(w *world, want want) gitops.Observation {
	switch want.ref.Kind {
	case KindCluster:
		return c.observeCluster(w)
	case KindIdentityProvider:
		return c.observeProvider(w)
	case KindAddon:
		return c.observeAddon(w, want.ref.Name)
	case KindServiceAccount:
		return c.observeAccount(w, want.ref.Name)
	case KindPodIdentity:
		return c.observeAssociation(w, want.ref.Name)
	case KindAccessEntry:
		return c.observeEntry(w, want.ref.Name)
	case KindIdentityMapping:
		return c.observeMapping(w, want.ref.Name)
	case KindFargateProfile:
		return c.observeProfile(w, want.ref.Name)
	case KindIdentityProviderConfig:
		return c.observeLogin(w, want.ref.Name)
	case KindCapability:
		return c.observeCapability(w, want.ref.Name)
	default:
		return c.observeNodegroup(w, want.ref.Name)
	}
}

// observation is what a comparison amounts to.
func (c comparison) observation(spec gitops.Tree, health *gitops.Health) gitops.Observation {
	o := gitops.Observation{Live: c.live, Next: c.next, Replace: c.replace, Owned: true, Spec: spec}
	if o.Live != nil && health != nil && health.Status != gitops.Ready {
		o.Progress = health
	}
	return o
}

func problem(err error) gitops.Observation {
	return gitops.Observation{Err: gitops.AsError(gitops.ObserveFailed, err)}
}

func (c *Config) observeCluster(w *world) gitops.Observation {
	next := c.wantedCluster()
	health := c.clusterHealth(w)
	if w.Cluster == nil || health.Status == gitops.Absent {
		if v := gitops.StringAt(next, "metadata", "version"); len(w.Versions) > 0 && v != "" && !slices.ContainsFunc(w.Versions, func(o clusterVersion) bool { return o.Version == v }) {
			return gitops.Observation{Err: gitops.Errorf(gitops.ConfigInvalid, "metadata.version: EKS does not offer %s (%s)", v, offered(w.Versions))}
		}
		s, ok := w.Stacks[clusterStack(c.Name)]
		if ok && stackDone(s) {
			e := gitops.Errorf(gitops.HealthFailed, "%s, but EKS does not know the cluster: it was deleted outside git", stackSays(s))
			e.Try = "reconciler teardown removes what is left of it; the next run then makes it anew"
			return gitops.Observation{Err: e}
		}
		if !ok && c.adopted() {
			return gitops.Observation{Err: c.lost()}
		}
		if ok && stackMoving(s) && !stackLeaving(s) && !stackBroken(s) {
			// It is on its way; what cannot be seen yet is as the stack will make it.
			return comparison{live: next, next: next}.observation(next, &health)
		}
		return c.creation(w, next)
	}
	out, err := c.compareCluster(w)
	if err != nil {
		return gitops.Observation{Err: err}
	}
	o := out.observation(c.inRound(next), &health)
	o.Concerns, o.Minutes = c.concerns(w), c.upgradeMinutes()
	return o
}

func wantedProvider() gitops.Tree { return gitops.Tree{"withOIDC": true} }

func (c *Config) observeProvider(w *world) gitops.Observation {
	next := wantedProvider()
	if w.Provider {
		return gitops.Observation{Live: next, Next: next, Spec: next, Owned: true}
	}
	return gitops.Observation{Next: next, Spec: next, Owned: true}
}

func (c *Config) observeAddon(w *world, name string) gitops.Observation {
	a, _ := c.addon(name)
	out, err := c.compareAddon(w, a)
	if err != nil {
		return problem(err)
	}
	health := c.addonHealth(w, name)
	if health.Status == gitops.Absent || health.Status == gitops.Terminating {
		out.live = nil
	}
	o := out.observation(c.addonSpec(a), &health)
	if out.differs("version") {
		o.Minutes = minutesAddon
	}
	return o
}

func (c *Config) observeAccount(w *world, name string) gitops.Observation {
	sa, written := c.account(name)
	if w.Strangers[irsaStack(c.Name, name)] {
		return gitops.Observation{Err: gitops.Errorf(gitops.Foreign, "stack %s does not carry this cluster's tags", irsaStack(c.Name, name))}
	}
	if seen := w.Accounts[name]; seen.Err != "" {
		return gitops.Observation{Err: gitops.Errorf(gitops.Unreachable, "reading the service account: %s", seen.Err)}
	}
	out, err := c.compareAccount(w, sa, written)
	if err != nil {
		return problem(err)
	}
	health := c.roleHealth(w, irsaStack(c.Name, name))
	if sa.AttachRoleARN != "" {
		health = gitops.Health{Status: gitops.Ready}
	}
	return out.observation(written, &health)
}

func (c *Config) observeAssociation(w *world, name string) gitops.Observation {
	p, written := c.association(name)
	if w.Strangers[podIdentityStack(c.Name, name)] {
		return gitops.Observation{Err: gitops.Errorf(gitops.Foreign, "stack %s does not carry this cluster's tags", podIdentityStack(c.Name, name))}
	}
	out, err := c.compareAssociation(w, p, written)
	if err != nil {
		return problem(err)
	}
	health := gitops.Health{Status: gitops.Ready}
	if p.RoleARN == "" {
		health = c.roleHealth(w, podIdentityStack(c.Name, name))
	}
	return out.observation(written, &health)
}
