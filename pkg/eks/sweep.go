package eks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"golang.org/x/sync/errgroup"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// parallel bounds the calls of one sweep that are in flight at once; AWS throttles per account and region.
const parallel = 8

// sweep reads everything once; with anew even what cannot have changed by itself since the last one. Any call that fails fails the sweep: a
// world with holes would make things look absent.
func (c *Cloud) sweep(ctx context.Context, cfg *Config, anew bool) (*world, error) {
	w := newWorld()
	w.At = c.now()
	if err := c.identify(ctx, w); err != nil {
		return nil, err
	}
	g, gctx := errgroup.WithContext(ctx)
	var cluster *ekstypes.Cluster
	g.Go(func() (err error) { cluster, err = c.readCluster(gctx, cfg.Name); return err })
	g.Go(func() error { return c.readStacks(gctx, cfg, w, anew) })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	w.Cluster = cluster
	c.forgetTemplates(w)
	defer c.arrive(w)()
	if err := c.readInside(ctx, cfg, w, anew); err != nil {
		return nil, err
	}
	return w, nil
}

// inTurn sweeps when it is this cluster's turn.
func (c *Cloud) inTurn(ctx context.Context, cfg *Config, anew bool) (*world, error) {
	if c.Turns != nil {
		select {
		case c.Turns <- struct{}{}:
			defer func() { <-c.Turns }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return c.sweep(ctx, cfg, anew)
}

// identify asks once who the caller is; it does not change for a client.
func (c *Cloud) identify(ctx context.Context, w *world) error {
	c.mu.Lock()
	w.Account, w.Partition = c.account, c.partition
	c.mu.Unlock()
	if w.Account != "" {
		return nil
	}
	out, err := c.aws.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return err
	}
	w.Account = aws.ToString(out.Account)
	w.Partition = "aws"
	if part := strings.Split(aws.ToString(out.Arn), ":"); len(part) > 1 && part[1] != "" {
		w.Partition = part[1]
	}
	c.mu.Lock()
	c.account, c.partition, c.caller = w.Account, w.Partition, aws.ToString(out.Arn)
	c.mu.Unlock()
	return nil
}

// readCluster gives nil when EKS says that there is no such cluster.
func (c *Cloud) readCluster(ctx context.Context, name string) (*ekstypes.Cluster, error) {
	out, err := c.aws.eks.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: &name})
	switch {
	case absent(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return out.Cluster, nil
}

// readInside reads what a cluster has, when there is one, and what git's wishes need to know beyond that.
func (c *Cloud) readInside(ctx context.Context, cfg *Config, w *world, anew bool) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	// Each part writes to its own copy, merged below: the maps of a world are not safe for concurrent use.
	groups, addons, associations, rest := w.clone(), w.clone(), w.clone(), w.clone()
	entries, profiles, logins, capabilities, role := w.clone(), w.clone(), w.clone(), w.clone(), w.clone()
	if w.Cluster != nil {
		g.Go(func() error { return c.readGroups(gctx, cfg, groups) })
		g.Go(func() error { return c.readAddons(gctx, cfg, addons) })
		g.Go(func() error { return c.readAssociations(gctx, cfg.Name, associations) })
		g.Go(func() error { return c.readProvider(gctx, rest) })
		g.Go(func() error { return c.readEntries(gctx, cfg, entries, anew) })
		g.Go(func() error { return c.readProfiles(gctx, cfg.Name, profiles) })
		g.Go(func() error { return c.readLogins(gctx, cfg.Name, logins) })
		g.Go(func() error { return c.readCapabilities(gctx, cfg, capabilities, anew) })
		g.Go(func() error { return c.readRolePolicies(gctx, cfg, role) })
	}
	retained := *newWorld()
	g.Go(func() error { return c.readRetention(gctx, cfg, &retained) })
	offers := *newWorld()
	g.Go(func() error { return c.readVersions(gctx, cfg, w, &offers) })
	if err := g.Wait(); err != nil {
		return err
	}
	w.Groups, w.Addons, w.Latest = groups.Groups, addons.Addons, addons.Latest
	w.Associations, w.Lent, w.Provider = associations.Associations, associations.Lent, rest.Provider
	w.Entries, w.Profiles, w.Logins, w.Capabilities = entries.Entries, profiles.Profiles, logins.Logins, capabilities.Capabilities
	w.LogGroup = retained.LogGroup
	w.Retention, w.Versions, w.RolePolicies = retained.Retention, offers.Versions, role.RolePolicies
	if w.Cluster == nil {
		// Stacks of nodegroups may outlive a cluster that was deleted by hand: they are still there to be deleted.
		c.groupsOfStacks(w)
	}
	if err := c.readPlacing(ctx, cfg, w); err != nil {
		return err
	}
	if err := c.readPreflight(ctx, cfg, w); err != nil {
		return err
	}
	if err := c.readSelections(ctx, cfg.paced(w), w); err != nil {
		return err
	}
	if err := c.readBurdens(ctx, cfg.paced(w), w); err != nil {
		return err
	}
	if err := c.readRemnants(ctx, cfg, w); err != nil {
		return err
	}
	c.readUpdates(ctx, cfg, w, nil)
	c.readAuth(ctx, cfg, w)
	return c.readAccounts(ctx, cfg, w)
}

func (c *Cloud) readAddons(ctx context.Context, cfg *Config, w *world) error {
	p := eks.NewListAddonsPaginator(c.aws.eks, &eks.ListAddonsInput{ClusterName: &cfg.Name})
	names, err := page(ctx, p.HasMorePages, func(ctx context.Context) (*eks.ListAddonsOutput, error) { return p.NextPage(ctx) },
		func(o *eks.ListAddonsOutput) []string { return o.Addons })
	if err != nil {
		return err
	}
	found := make([]*ekstypes.Addon, len(names))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, name := range names {
		g.Go(func() (err error) { found[i], err = c.readAddon(gctx, cfg.Name, name); return err })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, a := range found {
		if a != nil {
			w.Addons[aws.ToString(a.AddonName)] = a
		}
	}
	for _, a := range cfg.addons() {
		if err := c.readLatest(ctx, w, a); err != nil {
			return err
		}
	}
	return nil
}

// readLatest finds what "latest" stands for, where the file says so of an addon.
func (c *Cloud) readLatest(ctx context.Context, w *world, a addon) error {
	if a.want.Version != latest || w.Cluster == nil {
		return nil
	}
	found, err := c.offer(ctx, a.want.Name, latest, aws.ToString(w.Cluster.Version))
	if err == nil {
		w.Latest[a.want.Name] = found.version
	}
	return err
}

func (c *Cloud) readAddon(ctx context.Context, cluster, name string) (*ekstypes.Addon, error) {
	out, err := c.aws.eks.DescribeAddon(ctx, &eks.DescribeAddonInput{ClusterName: &cluster, AddonName: &name})
	switch {
	case absent(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return out.Addon, nil
}

func (c *Cloud) readAssociations(ctx context.Context, cluster string, w *world) error {
	p := eks.NewListPodIdentityAssociationsPaginator(c.aws.eks, &eks.ListPodIdentityAssociationsInput{ClusterName: &cluster})
	list, err := page(ctx, p.HasMorePages,
		func(ctx context.Context) (*eks.ListPodIdentityAssociationsOutput, error) { return p.NextPage(ctx) },
		func(o *eks.ListPodIdentityAssociationsOutput) []ekstypes.PodIdentityAssociationSummary {
			return o.Associations
		})
	if err != nil {
		return err
	}
	found := make([]*ekstypes.PodIdentityAssociation, len(list))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, s := range list {
		g.Go(func() error {
			out, err := c.aws.eks.DescribePodIdentityAssociation(ctx, &eks.DescribePodIdentityAssociationInput{ClusterName: &cluster, AssociationId: s.AssociationId})
			if absent(err) {
				return nil
			}
			if err == nil {
				found[i] = out.Association
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, a := range found {
		switch {
		case a == nil:
		case aws.ToString(a.OwnerArn) != "":
			// It belongs to an addon and is changed through it.
			w.Lent[aws.ToString(a.AssociationArn)] = a
		default:
			w.Associations[aws.ToString(a.Namespace)+"/"+aws.ToString(a.ServiceAccount)] = a
		}
	}
	return nil
}

// readProvider asks IAM for the cluster's issuer.
func (c *Cloud) readProvider(ctx context.Context, w *world) error {
	arn := providerARN(w)
	if arn == "" {
		return nil
	}
	_, err := c.aws.iam.GetOpenIDConnectProvider(ctx, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: &arn})
	if absent(err) {
		return nil
	}
	w.Provider = err == nil
	return err
}

// issuer is the URL of the cluster's identity provider.
func issuer(w *world) string {
	if w.Cluster == nil || w.Cluster.Identity == nil || w.Cluster.Identity.Oidc == nil {
		return ""
	}
	return aws.ToString(w.Cluster.Identity.Oidc.Issuer)
}

// providerARN is the name IAM gives the issuer: its host, without port, and path (IAM user guide, OIDC providers).
func providerARN(w *world) string {
	host, path, _ := strings.Cut(strings.TrimPrefix(issuer(w), "https://"), "/")
	if host == "" {
		return ""
	}
	host, _, _ = strings.Cut(host, ":")
	return fmt.Sprintf("arn:%s:iam::%s:oidc-provider/%s", w.Partition, w.Account, strings.TrimSuffix(host+"/"+path, "/"))
}

func logGroup(cluster string) string { return "/aws/eks/" + cluster + "/cluster" }

func (c *Cloud) readRetention(ctx context.Context, cfg *Config, w *world) error {
	w.LogGroup = ""
	if cfg.retention() == 0 && !cfg.whole && !c.Teardown {
		return nil
	}
	name := logGroup(cfg.Name)
	out, err := c.aws.logs.DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: &name})
	if err != nil {
		return err
	}
	for _, g := range out.LogGroups {
		if aws.ToString(g.LogGroupName) == name {
			w.Retention = aws.Int32(aws.ToInt32(g.RetentionInDays))
			w.LogGroup = fmt.Sprintf("%s %d", aws.ToString(g.Arn), aws.ToInt64(g.CreationTime))
		}
	}
	return nil
}

// readVersions asks what EKS offers, when the file's version is to be created or moved to.
func (c *Cloud) readVersions(ctx context.Context, cfg *Config, seen, w *world) error {
	wanted := cfg.full.Metadata.Version
	if seen.Cluster != nil && (wanted == "" || wanted == "auto" || wanted == aws.ToString(seen.Cluster.Version)) {
		return nil
	}
	p := eks.NewDescribeClusterVersionsPaginator(c.aws.eks, &eks.DescribeClusterVersionsInput{})
	list, err := page(ctx, p.HasMorePages,
		func(ctx context.Context) (*eks.DescribeClusterVersionsOutput, error) { return p.NextPage(ctx) },
		func(o *eks.DescribeClusterVersionsOutput) []ekstypes.ClusterVersionInformation {
			return o.ClusterVersions
		})
	if err != nil {
		return err
	}
	for _, v := range list {
		if v.VersionStatus != ekstypes.VersionStatusUnsupported && string(v.Status) != "unsupported" {
			w.Versions = append(w.Versions, clusterVersion{Version: aws.ToString(v.ClusterVersion), Default: v.DefaultVersion})
		}
	}
	slices.SortFunc(w.Versions, func(a, b clusterVersion) int { return compareMinor(b.Version, a.Version) })
	return nil
}

// readAccounts asks the cluster's API about the service accounts that IAM roles are for.
func (c *Cloud) readAccounts(ctx context.Context, cfg *Config, w *world) error {
	w.Accounts = nil
	if c.ServiceAccounts == nil || w.Cluster == nil || w.Cluster.Status != ekstypes.ClusterStatusActive || c.Teardown {
		return nil
	}
	w.Accounts = map[string]serviceAccount{}
	for _, sa := range cfg.full.IAM.ServiceAccounts {
		if api.IsEnabled(sa.RoleOnly) {
			continue
		}
		w.Accounts[sa.NameString()] = c.readAccount(ctx, sa.Namespace, sa.Name)
	}
	return nil
}

func (c *Cloud) readAccount(ctx context.Context, namespace, name string) serviceAccount {
	labels, annotations, found, err := c.ServiceAccounts.ServiceAccountMeta(ctx, namespace, name)
	if err != nil {
		return serviceAccount{Err: gitops.AsError(gitops.Unreachable, err).Message()}
	}
	return serviceAccount{Found: found, Labels: labels, Annotations: annotations}
}
