package eks

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/version"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// try is the last step towards a ref: what differed then, since when and how often it was taken, and the update of EKS it
// began.
type try struct {
	diff   gitops.Digest
	since  time.Time
	count  int
	update string
}

// A step that AWS accepts may leave everything as it was for a while, because reads lag: this often, and this long.
const (
	patience = 5
	lagging  = 2 * time.Minute
)

// attempt counts a step. The error says why the update that it began failed, or that it was taken often enough to know that it does not
// work; the next plan starts anew.
func (c *Cloud) attempt(ctx context.Context, cfg *Config, r gitops.Ref, diff comparison, nodegroup string) error {
	key := gitops.DigestOf([]any{diff.live, diff.next})
	c.mu.Lock()
	t := c.tries[r]
	if t.diff != key {
		t = try{diff: key, since: c.now()}
	}
	t.count++
	c.tries[r] = t
	c.mu.Unlock()
	if t.count > 1 && t.update != "" {
		if err := c.updateFailure(ctx, cfg, r, t.update, nodegroup); err != nil {
			c.giveUp(r)
			return err
		}
	}
	if t.count > patience && c.now().Sub(t.since) > lagging {
		c.giveUp(r)
		return gitops.Errorf(gitops.ApplyFailed, "AWS accepted the change again and again, but it stays as it was")
	}
	return nil
}

// giveUp forgets the steps towards a ref.
func (c *Cloud) giveUp(r gitops.Ref) {
	c.mu.Lock()
	delete(c.tries, r)
	c.mu.Unlock()
}

// forgive takes back a step that AWS did not accept: it says nothing about what the step does.
func (c *Cloud) forgive(r gitops.Ref) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.tries[r]; ok {
		t.count, t.since = max(0, t.count-1), c.now()
		c.tries[r] = t
	}
}

// began remembers the update of EKS that a step began, to tell why it failed if it does.
func (c *Cloud) began(r gitops.Ref, u *ekstypes.Update) {
	if u == nil {
		return
	}
	c.mu.Lock()
	t := c.tries[r]
	t.update = aws.ToString(u.Id)
	c.tries[r] = t
	c.mu.Unlock()
}

// updateFailure tells why an update of EKS failed; nil when it did not.
func (c *Cloud) updateFailure(ctx context.Context, cfg *Config, r gitops.Ref, id, nodegroup string) error {
	in := &eks.DescribeUpdateInput{Name: &cfg.Name, UpdateId: &id}
	if nodegroup != "" {
		in.NodegroupName = &nodegroup
	}
	switch r.Kind {
	case KindCapability:
		in.CapabilityName = &r.Name
	case KindAddon:
		in.AddonName = &r.Name
	}
	out, err := c.aws.eks.DescribeUpdate(ctx, in)
	if absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if u := out.Update; u.Status == ekstypes.UpdateStatusFailed || u.Status == ekstypes.UpdateStatusCancelled {
		why := string(u.Status)
		for _, e := range u.Errors {
			why += fmt.Sprintf("; %s: %s", e.ErrorCode, aws.ToString(e.ErrorMessage))
		}
		return gitops.Errorf(gitops.HealthFailed, "the update %s: %s", u.Type, why)
	}
	return nil
}

// stepCluster creates the cluster's stack, or takes the next step of changing a live one. EKS takes one update of a
// cluster at a time, and one aspect per update; a version moves by one minor.
func (c *Cloud) stepCluster(ctx context.Context, cfg *Config, w *world, r gitops.Ref) error {
	if e := c.turnedAway(cfg, w); e != nil {
		return e
	}
	name := clusterStack(cfg.Name)
	s, ok := w.Stacks[name]
	switch {
	case w.Strangers[name]:
		return cfg.foreign(w)
	case !ok && w.Cluster == nil && cfg.adopted():
		return cfg.lost()
	case !ok && w.Cluster == nil:
		return c.makeCluster(ctx, cfg, w)
	case ok && c.isDismissed(aws.ToString(s.StackId)):
		return nil
	case ok && w.hopeless(s):
		return c.clearStack(ctx, cfg, w, s)
	case cfg.clusterHealth(w).Status != gitops.Ready:
		return nil
	}
	return c.alterCluster(ctx, cfg, w, r)
}

// makeCluster asks for the stack of the control plane and its network.
func (c *Cloud) makeCluster(ctx context.Context, cfg *Config, w *world) error {
	o, err := c.renderCluster(ctx, cfg, w)
	if err != nil {
		return err
	}
	return c.createStack(ctx, cfg, o)
}

// runs says that there is a control plane that works: it goes only by a change that says so, whatever became of its stack.
func (w *world) runs() bool {
	return w.Cluster != nil && (w.Cluster.Status == ekstypes.ClusterStatusActive || w.Cluster.Status == ekstypes.ClusterStatusUpdating)
}

// hopeless says that nothing can become of the cluster that a failed stack was to make: it is cleared away and made anew.
func (w *world) hopeless(s cfntypes.Stack) bool {
	return stackUseless(s) && w.Cluster == nil || stackBroken(s) && !w.runs()
}

// alterCluster takes the next step of changing a live cluster, if anything differs.
func (c *Cloud) alterCluster(ctx context.Context, cfg *Config, w *world, r gitops.Ref) error {
	diff, err := cfg.compareCluster(w)
	if err != nil {
		return err
	}
	if diff.same() {
		return nil
	}
	if err := c.attempt(ctx, cfg, r, diff, ""); err != nil {
		return err
	}
	return c.changeCluster(ctx, cfg, w, r, diff)
}

// changeCluster takes the first step that something differs for. A change that is refused does not keep the others from being
// made: its error is for the pass in which nothing else is left.
func (c *Cloud) changeCluster(ctx context.Context, cfg *Config, w *world, r gitops.Ref, diff comparison) error {
	var refusal error
	for _, s := range clusterSteps() {
		if !s.due(diff) {
			continue
		}
		u, err := c.takeStep(ctx, cfg, w, s, diff)
		if err == nil {
			c.began(r, u)
			return nil
		}
		if !turnedDown(err) {
			return err
		}
		refusal = cmp.Or(refusal, err)
	}
	if refusal != nil {
		return refusal
	}
	return gitops.Errorf(gitops.Internal, "no step is known for what differs")
}

// due says that a field which the step changes differs.
func (s step) due(diff comparison) bool {
	return slices.ContainsFunc(clusterFields(), func(f clusterField) bool {
		live, _ := gitops.At(diff.live, f.path...)
		next, _ := gitops.At(diff.next, f.path...)
		return f.by == s.name && !equal(live, next)
	})
}

func (c *Cloud) takeStep(ctx context.Context, cfg *Config, w *world, s step, diff comparison) (*ekstypes.Update, error) {
	if s.take != nil {
		return s.take(c, ctx, cfg, w, diff)
	}
	in := &eks.UpdateClusterConfigInput{Name: &cfg.Name}
	s.aspect(in, cfg, w, diff)
	out, err := c.aws.eks.UpdateClusterConfig(ctx, in)
	if err != nil {
		return nil, err
	}
	return out.Update, nil
}

// upgrade moves the control plane up by one minor version, unless that would leave nodes too far behind: a kubelet may be
// three minors older than the API server (Kubernetes version skew policy).
func (c *Cloud) upgrade(ctx context.Context, cfg *Config, w *world, _ comparison) (*ekstypes.Update, error) {
	next := minorOf(aws.ToString(w.Cluster.Version)) + 1
	for _, name := range slices.Sorted(maps.Keys(w.Groups)) {
		g := w.Groups[name]
		if m := g.minor(); m >= 0 && next-m > maxSkew {
			return nil, gitops.Errorf(gitops.Blocked, "nodegroup %s is at 1.%d, and its nodes may be at most three minor versions behind 1.%d: set metadata.version to 1.%d first", g.User, m, next, m+3)
		}
	}
	in := &eks.UpdateClusterVersionInput{Name: &cfg.Name, Version: aws.String(fmt.Sprintf("1.%d", next))}
	if cfg.full.Metadata.ForceUpdateVersion != nil {
		in.Force = *cfg.full.Metadata.ForceUpdateVersion
	}
	out, err := c.aws.eks.UpdateClusterVersion(ctx, in)
	if err != nil {
		return nil, err
	}
	c.Log.InfoContext(ctx, "control plane upgrade ordered", "version", aws.ToString(in.Version))
	return out.Update, nil
}

// tagResource sets and removes tags of a resource of EKS; it takes effect at once and holds no lock.
func (c *Cloud) tagResource(ctx context.Context, arn string, live, next gitops.Tree) error {
	add, remove := map[string]string{}, []string{}
	for k, v := range next {
		if s, ok := v.(string); ok && live[k] != v {
			add[k] = s
		}
	}
	for _, k := range slices.Sorted(maps.Keys(live)) {
		if _, ok := next[k]; !ok {
			remove = append(remove, k)
		}
	}
	if len(add) > 0 {
		if _, err := c.aws.eks.TagResource(ctx, &eks.TagResourceInput{ResourceArn: &arn, Tags: add}); err != nil {
			return err
		}
	}
	if len(remove) == 0 {
		return nil
	}
	_, err := c.aws.eks.UntagResource(ctx, &eks.UntagResourceInput{ResourceArn: &arn, TagKeys: remove})
	return err
}

// stepProvider makes IAM trust the cluster's issuer. No thumbprint is sent: IAM computes it, and nothing here needs to
// reach the issuer (IAM API reference, CreateOpenIDConnectProvider).
func (c *Cloud) stepProvider(ctx context.Context, cfg *Config, w *world) error {
	if w.Provider {
		return nil
	}
	url := issuer(w)
	if url == "" {
		return gitops.Errorf(gitops.Blocked, "the cluster has no issuer yet")
	}
	_, err := c.aws.iam.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{
		Url: &url, ClientIDList: []string{"sts.amazonaws.com"},
		Tags: []iamtypes.Tag{
			{Key: aws.String(api.ClusterNameTag), Value: &cfg.Name},
			{Key: aws.String(api.EksctlVersionTag), Value: aws.String(version.GetVersion())},
		},
	})
	if exists(err) {
		return nil
	}
	return err
}
