package eks

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"golang.org/x/sync/errgroup"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// Preflight is what an upgrade asks the cluster's API before it begins.
type Preflight interface {
	// Kubelets tells the version of every node's kubelet, by the node's instance.
	Kubelets(ctx context.Context) (map[string]string, error)
	// Written lists the live objects of which some manager wrote fields in versions of the API that go.
	Written(ctx context.Context, going []plan.Removal) ([]plan.Written, error)
	// Load tells what draining the nodes on these instances would move.
	Load(ctx context.Context, instances []string) (plan.Load, error)
}

// preflight is what is known about an upgrade beyond what every look tells.
type preflight struct {
	// Addons are the versions that EKS offers of the live addons, by addon.
	Addons map[string][]addonVersion
	// Insights are EKS's own, except for those that pass. Blind says that nobody may read them.
	Insights []insight
	Blind    bool
	// Kubelets are the versions of the nodes, by instance.
	Kubelets map[string]string
	// Written are objects that were written in versions of the API that go.
	Written []plan.Written
	// Unknown says what could not be found out, and why.
	Unknown []string
}

// insight is one of EKS's upgrade insights that does not pass.
type insight struct {
	Name, Status, Reason, Recommendation string
	// Minor is the version of Kubernetes that it is about.
	Minor     int
	Refreshed time.Time
	// Resources are the ARNs and paths of what it found fault with.
	Resources []string
}

// readPreflight finds out what an upgrade needs to know. While no upgrade is under way it makes no call.
func (c *Cloud) readPreflight(ctx context.Context, cfg *Config, w *world) error {
	live, target, _ := cfg.span(w)
	if c.Teardown || !cfg.upgrading(w) {
		return nil
	}
	p := &preflight{Addons: map[string][]addonVersion{}}
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, name := range slices.Sorted(maps.Keys(w.Addons)) {
		g.Go(func() error {
			offers, err := c.readOffers(gctx, name)
			mu.Lock()
			defer mu.Unlock()
			p.Addons[name] = offers
			return err
		})
	}
	if live < target {
		g.Go(func() error {
			found := c.readInsights(gctx, cfg.Name)
			mu.Lock()
			defer mu.Unlock()
			p.Insights, p.Blind, p.Unknown = found.Insights, found.Blind, append(p.Unknown, found.Unknown...)
			return nil
		})
		g.Go(func() error {
			found := c.askCluster(gctx, live, target)
			mu.Lock()
			defer mu.Unlock()
			p.Kubelets, p.Written, p.Unknown = found.Kubelets, found.Written, append(p.Unknown, found.Unknown...)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	slices.Sort(p.Unknown)
	w.Preflight = p
	return nil
}

// catalogAge is for how long the offered versions of an addon are taken as still the same.
const catalogAge = time.Hour

// catalog is what EKS offered of an addon, and when.
type catalog struct {
	at     time.Time
	offers []addonVersion
}

// readOffers asks which versions of an addon there are, and what they run on.
func (c *Cloud) readOffers(ctx context.Context, addon string) ([]addonVersion, error) {
	c.mu.Lock()
	known, ok := c.catalogs[addon]
	c.mu.Unlock()
	if ok && c.now().Sub(known.at) < catalogAge {
		return known.offers, nil
	}
	p := eks.NewDescribeAddonVersionsPaginator(c.aws.eks, &eks.DescribeAddonVersionsInput{AddonName: &addon})
	infos, err := page(ctx, p.HasMorePages,
		func(ctx context.Context) (*eks.DescribeAddonVersionsOutput, error) { return p.NextPage(ctx) },
		func(o *eks.DescribeAddonVersionsOutput) []ekstypes.AddonInfo { return o.Addons })
	if err != nil {
		return nil, err
	}
	var out []addonVersion
	for _, info := range infos {
		for _, v := range info.AddonVersions {
			out = append(out, addonVersionOf(v))
		}
	}
	c.mu.Lock()
	c.catalogs[addon] = catalog{at: c.now(), offers: out}
	c.mu.Unlock()
	return out, nil
}

func addonVersionOf(v ekstypes.AddonVersionInfo) addonVersion {
	out := addonVersion{Version: aws.ToString(v.AddonVersion)}
	for _, on := range v.Compatibilities {
		minor := minorOf(aws.ToString(on.ClusterVersion))
		out.Minors = append(out.Minors, minor)
		if on.DefaultVersion {
			out.Defaults = append(out.Defaults, minor)
		}
	}
	return out
}

// readInsights reads EKS's insights about an upgrade. They are advice: that they cannot be read is told, and nothing fails for it.
func (c *Cloud) readInsights(ctx context.Context, cluster string) preflight {
	found, err := c.listInsights(ctx, cluster)
	switch {
	case err == nil:
		return preflight{Insights: found}
	case denied(errorCode(err)):
		return preflight{Blind: true}
	}
	return preflight{Unknown: []string{fmt.Sprintf("EKS's upgrade insights could not be read: %v", brief(err))}}
}

func (c *Cloud) listInsights(ctx context.Context, cluster string) ([]insight, error) {
	p := eks.NewListInsightsPaginator(c.aws.eks, &eks.ListInsightsInput{ClusterName: &cluster, Filter: &ekstypes.InsightsFilter{
		Categories: []ekstypes.Category{ekstypes.CategoryUpgradeReadiness},
		Statuses:   []ekstypes.InsightStatusValue{ekstypes.InsightStatusValueError, ekstypes.InsightStatusValueWarning, ekstypes.InsightStatusValueUnknown},
	}})
	list, err := page(ctx, p.HasMorePages, func(ctx context.Context) (*eks.ListInsightsOutput, error) { return p.NextPage(ctx) },
		func(o *eks.ListInsightsOutput) []ekstypes.InsightSummary { return o.Insights })
	if err != nil {
		return nil, err
	}
	var out []insight
	for _, s := range list {
		i := insight{Name: aws.ToString(s.Name), Minor: minorOf(aws.ToString(s.KubernetesVersion)), Refreshed: aws.ToTime(s.LastRefreshTime)}
		if s.InsightStatus != nil {
			i.Status, i.Reason = string(s.InsightStatus.Status), aws.ToString(s.InsightStatus.Reason)
		}
		if i.Status == string(ekstypes.InsightStatusValueError) {
			if err := c.detail(ctx, cluster, s.Id, &i); err != nil {
				return nil, err
			}
		}
		out = append(out, i)
	}
	slices.SortFunc(out, func(a, b insight) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// detail adds what only DescribeInsight tells.
func (c *Cloud) detail(ctx context.Context, cluster string, id *string, i *insight) error {
	out, err := c.aws.eks.DescribeInsight(ctx, &eks.DescribeInsightInput{ClusterName: &cluster, Id: id})
	if absent(err) || denied(errorCode(err)) {
		return nil // It was refreshed in between, or nobody may read more; what is known of it stands.
	}
	if err != nil {
		return err
	}
	i.Recommendation = aws.ToString(out.Insight.Recommendation)
	for _, r := range out.Insight.Resources {
		i.Resources = append(i.Resources, aws.ToString(r.Arn)+aws.ToString(r.KubernetesResourceUri))
	}
	return nil
}

// askCluster asks the cluster's API what an upgrade would break.
func (c *Cloud) askCluster(ctx context.Context, live, target int) preflight {
	out := preflight{}
	if c.Preflight == nil {
		return out
	}
	unknown := func(what string, err error) {
		if err != nil {
			out.Unknown = append(out.Unknown, fmt.Sprintf("%s could not be read: %s", what, gitops.AsError(gitops.Unreachable, err).Message()))
		}
	}
	var err error
	out.Kubelets, err = c.Preflight.Kubelets(ctx)
	unknown("the versions of the nodes", err)
	going := slices.DeleteFunc(plan.Removals(), func(r plan.Removal) bool { return r.Removed <= live || r.Removed > target })
	if len(going) > 0 {
		out.Written, err = c.Preflight.Written(ctx, going)
		unknown("what writes in versions of the API that go", err)
	}
	return out
}
