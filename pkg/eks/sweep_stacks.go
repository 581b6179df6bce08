package eks

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"golang.org/x/sync/errgroup"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// readStacks finds every stack of the cluster: one listing for what git no longer names, and an exact question for each that the
// listing shows changed, because it carries neither tags nor outputs. Those change only with an update of the stack. Names that git
// wants are asked for even when the listing lacks them. With anew all are asked for: where something was just done, no listing that is
// behind is relied on.
func (c *Cloud) readStacks(ctx context.Context, cfg *Config, w *world, anew bool) error {
	p := cloudformation.NewListStacksPaginator(c.aws.cfn, &cloudformation.ListStacksInput{StackStatusFilter: liveStatuses()})
	listed, err := page(ctx, p.HasMorePages,
		func(ctx context.Context) (*cloudformation.ListStacksOutput, error) { return p.NextPage(ctx) },
		func(o *cloudformation.ListStacksOutput) []cfntypes.StackSummary {
			return slices.DeleteFunc(o.StackSummaries, func(s cfntypes.StackSummary) bool {
				return !strings.HasPrefix(aws.ToString(s.StackName), stackPrefix(cfg.Name))
			})
		})
	if err != nil {
		return err
	}
	names := cfg.stacks()
	var same []cfntypes.Stack
	for _, s := range listed {
		if known, ok := c.knownStack(s); ok && !anew {
			same = append(same, known)
		}
		names = append(names, aws.ToString(s.StackName))
	}
	slices.Sort(names)
	names = slices.Compact(names)
	ask := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(same, func(s cfntypes.Stack) bool { return aws.ToString(s.StackName) == name })
	})
	found, err := c.askStacks(ctx, ask)
	if err != nil {
		return err
	}
	c.forgetStacks(slices.Concat(found, same))
	return c.takeStacks(ctx, cfg, w, names, slices.Concat(found, same))
}

// knownStack is what was read before of a stack that a listing shows as it was then.
func (c *Cloud) knownStack(s cfntypes.StackSummary) (cfntypes.Stack, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.stacks[stackVersion(cfntypes.Stack{StackId: s.StackId, CreationTime: s.CreationTime, LastUpdatedTime: s.LastUpdatedTime, StackStatus: s.StackStatus})]
	return known, ok
}

// forgetStacks keeps what was read of the stacks that are there and do not move.
func (c *Cloud) forgetStacks(current []cfntypes.Stack) {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.stacks)
	for _, s := range current {
		if !stackMoving(s) {
			c.stacks[stackVersion(s)] = s
		}
	}
}

// refreshStacks asks for stacks by exact name and puts what it finds, or finds gone, into w.
func (c *Cloud) refreshStacks(ctx context.Context, cfg *Config, w *world, names ...string) error {
	found, err := c.askStacks(ctx, names)
	if err != nil {
		return err
	}
	return c.takeStacks(ctx, cfg, w, names, found)
}

// askStacks asks for stacks by exact name; those that there are not are left out.
func (c *Cloud) askStacks(ctx context.Context, names []string) ([]cfntypes.Stack, error) {
	found := make([]*cfntypes.Stack, len(names))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, name := range names {
		g.Go(func() (err error) { found[i], err = c.readStack(gctx, name); return err })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var out []cfntypes.Stack
	for _, s := range found {
		if s != nil {
			out = append(out, *s)
		}
	}
	return out, nil
}

// takeStacks puts into w what is known of all stacks of these names.
func (c *Cloud) takeStacks(ctx context.Context, cfg *Config, w *world, names []string, found []cfntypes.Stack) error {
	for _, name := range names {
		delete(w.Stacks, name)
		delete(w.Strangers, name)
		delete(w.Failures, name)
	}
	for _, s := range found {
		if tag(s, api.ClusterNameTag) != cfg.Name && tag(s, api.OldClusterNameTag) != cfg.Name {
			w.Strangers[aws.ToString(s.StackName)] = true
			continue
		}
		w.Stacks[aws.ToString(s.StackName)] = s
	}
	return c.readTemplates(ctx, w, names)
}

// readStack gives nil when CloudFormation says that there is no such stack.
func (c *Cloud) readStack(ctx context.Context, name string) (*cfntypes.Stack, error) {
	out, err := c.aws.cfn.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	switch {
	case absent(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	for _, s := range out.Stacks {
		if s.StackStatus != cfntypes.StackStatusDeleteComplete {
			return &s, nil
		}
	}
	return nil, nil
}

// readTemplates reads the templates of the stacks whose content is compared, and the cause of failures. A template
// changes only with its stack, so it is read once per stack and update.
func (c *Cloud) readTemplates(ctx context.Context, w *world, names []string) error {
	for _, name := range names {
		s, ok := w.Stacks[name]
		if !ok {
			delete(w.Templates, name)
			continue
		}
		if stackBroken(s) || strings.HasSuffix(string(s.StackStatus), "_FAILED") || s.StackStatus == cfntypes.StackStatusUpdateRollbackComplete {
			cause, err := c.stackFailure(ctx, s)
			if err != nil {
				return err
			}
			w.Failures[name] = cause
		}
		if !worthReading(s) {
			continue
		}
		t, err := c.template(ctx, s)
		if err != nil {
			return err
		}
		w.Templates[name] = t
	}
	return nil
}

// worthReading says that the stack's template is worth reading: it makes an IAM role, it tells what a nodegroup or the cluster was
// made from, or it names the principal of an access entry.
func worthReading(s cfntypes.Stack) bool {
	return tag(s, tagNodegroup) != "" || tag(s, tagIRSA) != "" || tag(s, tagPodIdentity) != "" || tag(s, tagAddon) != "" || tag(s, tagCapabilityRole) != "" || makesEntry(s) || makesCluster(s)
}

// makesCluster says that a stack has the name of the one that makes the cluster, or the role of its nodes or of its pods on Fargate.
func makesCluster(s cfntypes.Stack) bool {
	name, cluster := aws.ToString(s.StackName), tag(s, api.ClusterNameTag)
	return name == clusterStack(cluster) || name == autoModeStack(cluster) || name == fargateStack(cluster)
}

// version of a stack: it changes whenever its template may have.
func stackVersion(s cfntypes.Stack) string {
	at := s.CreationTime
	if s.LastUpdatedTime != nil {
		at = s.LastUpdatedTime
	}
	return fmt.Sprintf("%s@%s@%s", aws.ToString(s.StackId), aws.ToTime(at).UTC(), s.StackStatus)
}

func (c *Cloud) template(ctx context.Context, s cfntypes.Stack) (gitops.Tree, error) {
	key := stackVersion(s)
	c.mu.Lock()
	t, ok := c.templates[key]
	c.mu.Unlock()
	if ok {
		return t, nil
	}
	out, err := c.aws.cfn.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: s.StackId})
	if absent(err) {
		return gitops.Tree{}, nil
	}
	if err != nil {
		return nil, err
	}
	if t, err = parseTree([]byte(aws.ToString(out.TemplateBody))); err != nil {
		return nil, fmt.Errorf("reading the template of stack %s: %w", aws.ToString(s.StackName), err)
	}
	c.mu.Lock()
	c.templates[key] = t
	c.mu.Unlock()
	return t, nil
}

// forgetTemplates drops what was read of stacks that are gone or were updated since.
func (c *Cloud) forgetTemplates(w *world) {
	current := map[string]bool{}
	for _, s := range w.Stacks {
		current[stackVersion(s)] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.templates, func(version string, _ gitops.Tree) bool { return !current[version] })
}

// stackFailure finds the first thing that went wrong in the stack's last operation.
func (c *Cloud) stackFailure(ctx context.Context, s cfntypes.Stack) (string, error) {
	out, err := c.aws.cfn.DescribeStackEvents(ctx, &cloudformation.DescribeStackEventsInput{StackName: s.StackId})
	if absent(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	cause := aws.ToString(s.StackStatusReason)
	// Events come newest first. A failure that only says that another one cancelled it is no cause.
	for _, e := range out.StackEvents {
		reason := aws.ToString(e.ResourceStatusReason)
		if strings.HasSuffix(string(e.ResourceStatus), "_FAILED") && reason != "" && !strings.Contains(reason, "cancelled") {
			cause = fmt.Sprintf("%s: %s", aws.ToString(e.LogicalResourceId), handlerSays(reason))
		}
		if aws.ToString(e.ResourceType) == "AWS::CloudFormation::Stack" && startsOperation(string(e.ResourceStatus)) && cause != "" {
			break
		}
	}
	return cause, nil
}

// handlerSays is what a failed resource's handler says and its code (CloudFormation CLI user guide, "Handler error codes"), without what
// names the request: the same trouble is told in the same words, however often it comes.
func handlerSays(reason string) string {
	text, tail, handled := strings.Cut(reason, "\" (RequestToken: ")
	if !handled {
		return reason
	}
	text = strings.TrimPrefix(text, "Resource handler returned message: \"")
	text, _, _ = strings.Cut(text, " (Service: ")
	if _, code, ok := strings.Cut(tail, "HandlerErrorCode: "); ok {
		text += " (HandlerErrorCode: " + strings.TrimSuffix(code, ")") + ")"
	}
	return text
}

func startsOperation(status string) bool {
	return status == "CREATE_IN_PROGRESS" || status == "UPDATE_IN_PROGRESS" || status == "DELETE_IN_PROGRESS"
}

// liveStatuses are all but DELETE_COMPLETE, which CloudFormation keeps listing for 90 days.
func liveStatuses() []cfntypes.StackStatus {
	all := cfntypes.StackStatus("").Values()
	return slices.DeleteFunc(slices.Clone(all), func(s cfntypes.StackStatus) bool { return s == cfntypes.StackStatusDeleteComplete })
}

// parseTree decodes JSON into a Tree with int64 for whole numbers.
func parseTree(body []byte) (gitops.Tree, error) {
	var v any
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.UseNumber()
	if err := decoder.Decode(&v); err != nil {
		return nil, err
	}
	t, ok := plain(v).(gitops.Tree)
	if !ok {
		return nil, fmt.Errorf("want an object")
	}
	return t, nil
}

// plain gives a decoded JSON value the types of a Tree.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(gitops.Tree, len(v))
		for k, item := range v {
			out[k] = plain(item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64()
		return f
	}
	return v
}

// treeOf gives a value of Go types the form of a Tree.
func treeOf(v any) any {
	body, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out any
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.UseNumber()
	if decoder.Decode(&out) != nil {
		return nil
	}
	return plain(out)
}

// foreign reports a cluster or cluster stack of this name that eksctl did not make.
func (c *Config) foreign(w *world) *gitops.Error {
	stack := clusterStack(c.Name)
	from := c.origin("metadata.name")
	r := c.ref(KindCluster, c.Name)
	if w.Strangers[stack] {
		e := gitops.Errorf(gitops.Foreign, "stack %s exists but does not carry the tags of cluster %s: it belongs to something else", stack, c.Name)
		e.Try = "choose another metadata.name, or find out whose stack it is: aws cloudformation describe-stacks --stack-name " + stack
		return e.On(r).At(from)
	}
	if _, ok := w.Stacks[stack]; w.Cluster != nil && !ok && !c.adopted() && w.Cluster.Status != ekstypes.ClusterStatusDeleting {
		e := gitops.Errorf(gitops.Foreign, "cluster %s exists, but no stack %s made it: it is not eksctl's", c.Name, stack)
		e.Try = fmt.Sprintf("choose another metadata.name or, to manage it as it is: reconciler import %s --region %s", c.Name, c.Region)
		return e.On(r).At(from)
	}
	return nil
}
