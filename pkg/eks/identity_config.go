package eks

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"golang.org/x/sync/errgroup"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// An identity provider config lets people in whom an OpenID Connect provider knows. A cluster has one at most, and associating
// and disassociating are updates of the cluster that take minutes (EKS user guide, "Grant users access to Kubernetes with an
// external OIDC provider").

// login finds an identity provider of the file and the tree it is written as.
func (c *Config) login(name string) (*api.OIDCIdentityProvider, gitops.Tree) {
	for i, p := range c.full.IdentityProviders {
		if oidc, ok := p.Inner.(*api.OIDCIdentityProvider); ok && oidc.Name == name {
			return oidc, listItem(c.Written, i, "identityProviders")
		}
	}
	return nil, nil
}

// logins are the names of the identity providers of the file.
func (c *Config) logins() []string {
	out := make([]string, 0, len(c.full.IdentityProviders))
	for i := range c.full.IdentityProviders {
		out = append(out, gitops.StringAt(listItem(c.Written, i, "identityProviders"), "name"))
	}
	return out
}

func (c *Cloud) readLogins(ctx context.Context, cluster string, w *world) error {
	p := eks.NewListIdentityProviderConfigsPaginator(c.aws.eks, &eks.ListIdentityProviderConfigsInput{ClusterName: &cluster})
	list, err := page(ctx, p.HasMorePages,
		func(ctx context.Context) (*eks.ListIdentityProviderConfigsOutput, error) { return p.NextPage(ctx) },
		func(o *eks.ListIdentityProviderConfigsOutput) []ekstypes.IdentityProviderConfig {
			return o.IdentityProviderConfigs
		})
	if err != nil {
		return err
	}
	found := make([]*ekstypes.OidcIdentityProviderConfig, len(list))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i := range list {
		g.Go(func() error {
			out, err := c.aws.eks.DescribeIdentityProviderConfig(ctx, &eks.DescribeIdentityProviderConfigInput{ClusterName: &cluster, IdentityProviderConfig: &list[i]})
			if absent(err) {
				return nil
			}
			if err == nil && out.IdentityProviderConfig != nil {
				found[i] = out.IdentityProviderConfig.Oidc
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, l := range found {
		if l != nil {
			w.Logins[aws.ToString(l.IdentityProviderConfigName)] = l
		}
	}
	return nil
}

func (c *Cloud) seeLogins(ctx context.Context, cfg *Config, w *world) error {
	w.Logins = map[string]*ekstypes.OidcIdentityProviderConfig{}
	if w.Cluster == nil {
		return nil
	}
	return c.readLogins(ctx, cfg.Name, w)
}

func loginTree(l *ekstypes.OidcIdentityProviderConfig) gitops.Tree {
	return gitops.Tree{
		"type": string(api.OIDCIdentityProviderType), "name": aws.ToString(l.IdentityProviderConfigName),
		"issuerURL": aws.ToString(l.IssuerUrl), "clientID": aws.ToString(l.ClientId),
		"usernameClaim": aws.ToString(l.UsernameClaim), "usernamePrefix": aws.ToString(l.UsernamePrefix),
		"groupsClaim": aws.ToString(l.GroupsClaim), "groupsPrefix": aws.ToString(l.GroupsPrefix),
		"requiredClaims": stringTree(l.RequiredClaims),
	}
}

// compareLogin compares an identity provider config. A nil live tree means that there is none, or that it is going.
func (c *Config) compareLogin(w *world, name string) comparison {
	_, written := c.login(name)
	out := comparison{next: gitops.Clone(written)}
	live := w.Logins[name]
	if live == nil || live.Status == ekstypes.ConfigStatusDeleting {
		return out
	}
	out.live = pick(loginTree(live), out.next)
	if wanted := gitops.TreeAt(out.next, "tags"); wanted != nil {
		out.live["tags"] = pick(stringTree(live.Tags), wanted)
	}
	for _, field := range slices.Sorted(maps.Keys(out.next)) {
		if field != "tags" && out.differs(field) {
			out.replace = append(out.replace, field+" of an associated identity provider cannot be changed")
		}
	}
	return out
}

func (w *world) loginHealth(name string) gitops.Health {
	l := w.Logins[name]
	if l == nil {
		return gitops.Health{Status: gitops.Absent}
	}
	says := "the identity provider config is " + string(l.Status)
	switch l.Status {
	case ekstypes.ConfigStatusActive:
		return gitops.Health{Status: gitops.Ready}
	case ekstypes.ConfigStatusCreating:
		return gitops.Health{Status: gitops.Progressing, Message: says}
	case ekstypes.ConfigStatusDeleting:
		return gitops.Health{Status: gitops.Terminating, Message: says}
	}
	return gitops.Health{Status: gitops.Unknown, Message: says}
}

func (c *Config) observeLogin(w *world, name string) gitops.Observation {
	_, written := c.login(name)
	health := w.loginHealth(name)
	o := c.compareLogin(w, name).observation(written, &health)
	if live := w.Logins[name]; live != nil {
		o.Identity = aws.ToString(live.IdentityProviderConfigArn)
	}
	return o
}

// makeRoom lets the identity provider that git wants wait for the one that has its place. One that is not ours to
// disassociate is in the way.
func (c *Config) makeRoom(w *world, seen gitops.Observed) {
	for _, name := range c.logins() {
		r := c.ref(KindIdentityProviderConfig, name)
		o := seen[r]
		if o.Live != nil || o.Err != nil {
			continue
		}
		for _, other := range slices.Sorted(maps.Keys(w.Logins)) {
			left := c.ref(KindIdentityProviderConfig, other)
			switch {
			case other == name:
			case seen[left].Owned:
				o.Needs = append(slices.Clone(o.Needs), left)
			default:
				o.Err = gitops.Errorf(gitops.Foreign, "a cluster has one identity provider at most, and %s, which is not git's, is associated", other).On(r).At(o.From)
				o.Err.Try = fmt.Sprintf("name that one in git, or aws eks disassociate-identity-provider-config --cluster-name %s --identity-provider-config type=oidc,name=%s", c.Name, other)
			}
		}
		seen[r] = o
	}
}

// stepLogin associates an identity provider, or takes the next step of changing an associated one.
func (c *Cloud) stepLogin(ctx context.Context, cfg *Config, w *world, ch plan.Change) error {
	if w.Cluster == nil {
		return gitops.Errorf(gitops.Blocked, "the cluster is not there yet")
	}
	live := w.Logins[ch.Ref.Name]
	if live != nil && live.Status != ekstypes.ConfigStatusActive {
		return nil
	}
	diff := cfg.compareLogin(w, ch.Ref.Name)
	if live != nil && diff.same() {
		return nil
	}
	if len(diff.replace) > 0 && ch.Action != plan.Replace {
		return gitops.Errorf(gitops.ApplyFailed, "it can only be replaced now: the plan is out of date")
	}
	if err := c.attempt(ctx, cfg, ch.Ref, diff, ""); err != nil {
		return err
	}
	switch {
	case live == nil:
		return c.associateLogin(ctx, cfg, ch.Ref)
	case len(diff.replace) > 0:
		return c.removeLogin(ctx, cfg, w, ch.Ref)
	}
	return c.tagResource(ctx, aws.ToString(live.IdentityProviderConfigArn), gitops.TreeAt(diff.live, "tags"), gitops.TreeAt(diff.next, "tags"))
}

func (c *Cloud) associateLogin(ctx context.Context, cfg *Config, r gitops.Ref) error {
	p, _ := cfg.login(r.Name)
	given := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	out, err := c.aws.eks.AssociateIdentityProviderConfig(ctx, &eks.AssociateIdentityProviderConfigInput{
		ClusterName: &cfg.Name, Tags: withTag(p.Tags, tagMade, cfg.Name),
		Oidc: &ekstypes.OidcIdentityProviderConfigRequest{
			IdentityProviderConfigName: &p.Name, IssuerUrl: &p.IssuerURL, ClientId: &p.ClientID, RequiredClaims: p.RequiredClaims,
			UsernameClaim: given(p.UsernameClaim), UsernamePrefix: given(p.UsernamePrefix), GroupsClaim: given(p.GroupsClaim), GroupsPrefix: given(p.GroupsPrefix),
		},
	})
	if err == nil {
		c.began(r, out.Update)
	}
	return err
}

// removeLogin disassociates an identity provider that is not going already. EKS refuses it while the association runs.
func (c *Cloud) removeLogin(ctx context.Context, cfg *Config, w *world, r gitops.Ref) error {
	l := w.Logins[r.Name]
	if l == nil || l.Status == ekstypes.ConfigStatusDeleting {
		return nil
	}
	out, err := c.aws.eks.DisassociateIdentityProviderConfig(ctx, &eks.DisassociateIdentityProviderConfigInput{
		ClusterName:            &cfg.Name,
		IdentityProviderConfig: &ekstypes.IdentityProviderConfig{Type: aws.String(string(api.OIDCIdentityProviderType)), Name: &r.Name},
	})
	if absent(err) {
		return nil
	}
	if err == nil {
		c.began(r, out.Update)
	}
	return err
}

func (c *Cloud) loginArrived(cfg *Config, w *world, name string) gitops.Health {
	h := w.loginHealth(name)
	switch h.Status {
	case gitops.Absent, gitops.Terminating:
		return next("it waits for its turn: a cluster takes one update at a time")
	case gitops.Ready:
	default:
		return h
	}
	if !cfg.compareLogin(w, name).same() {
		return next("the identity provider config is not as git says yet")
	}
	return h
}

// loginGone tells how far the disassociation of an identity provider is.
func (w *world) loginGone(name string) gitops.Health {
	h := w.loginHealth(name)
	if h.Status == gitops.Absent || h.Status == gitops.Terminating {
		return h
	}
	return gitops.Health{Status: gitops.Terminating, Message: "it is still associated", Step: true}
}
