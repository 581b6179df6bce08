package eks

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/weaveworks/eksctl/pkg/cfn/manager"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// createStack asks for a stack with eksctl's tags, capabilities and termination protection. A stack of that name that is
// there already was accepted before, perhaps by a process that did not live to see the answer.
func (c *Cloud) createStack(ctx context.Context, cfg *Config, o stackOrder) error {
	sm := manager.NewStackCollection(provider{c.aws}, cfg.full.DeepCopy())
	err := sm.DoCreateStackRequest(ctx, &manager.Stack{StackName: &o.name}, manager.TemplateBody(o.body), o.tags, nil, o.iam, o.named)
	if exists(err) {
		return nil
	}
	if err == nil {
		c.Log.InfoContext(ctx, "stack ordered", "stack", o.name)
	}
	return err
}

// deleteStack asks for the end of a stack that carries the cluster's tags. One that is going already is left to go.
func (c *Cloud) deleteStack(ctx context.Context, cfg *Config, s cfntypes.Stack) error {
	if stackLeaving(s) {
		return nil
	}
	if s.StackStatus == cfntypes.StackStatusRollbackInProgress {
		// CloudFormation deletes it in this state too, but its events would then hide why it failed.
		return nil
	}
	sm := manager.NewStackCollection(provider{c.aws}, cfg.full.DeepCopy())
	if _, err := sm.DeleteStackBySpec(ctx, &s); err != nil {
		if absent(err) {
			return nil
		}
		return err
	}
	c.dismiss(aws.ToString(s.StackId))
	c.Log.InfoContext(ctx, "stack dismissed", "stack", aws.ToString(s.StackName))
	return nil
}

// wrecks are the stacks of which the last operation failed, by version.
func (w *world) wrecks() map[string]bool {
	out := map[string]bool{}
	for _, s := range w.Stacks {
		if stackWrecked(s) {
			out[stackVersion(s)] = true
		}
	}
	return out
}

// stackWrecked says that the stack's last operation failed, and is over.
func stackWrecked(s cfntypes.Stack) bool {
	return !stackMoving(s) && (stackUseless(s) || strings.HasPrefix(string(s.StackStatus), "UPDATE_") && strings.Contains(string(s.StackStatus), "ROLLBACK"))
}

// fell is the health of a stack that failed since the last sweep; false when it did not. Such a failure is told before anything else is
// tried, or it would never be: the thing would be made over and over without a pause.
func (c *Cloud) fell(w *world, s cfntypes.Stack) (gitops.Health, bool) {
	c.mu.Lock()
	known := c.wrecks[stackVersion(s)]
	c.mu.Unlock()
	if known || !stackWrecked(s) {
		return gitops.Health{}, false
	}
	return w.failed(s), true
}

// clearStack deletes a failed stack, for another to be made. The pass in which it failed tells it, and the next one clears it away.
func (c *Cloud) clearStack(ctx context.Context, cfg *Config, w *world, s cfntypes.Stack) error {
	if h, fell := c.fell(w, s); fell && !w.Placing.ended(s) { // of which turnedAway tells
		return gitops.Errorf(cmp.Or(h.Reason, gitops.HealthFailed), "%s", h.Message)
	}
	return c.deleteStack(ctx, cfg, s)
}

// updateStack gives a stack a new template and the tags that the file says. It keeps the other tags: they name what it is for.
func (c *Cloud) updateStack(ctx context.Context, s cfntypes.Stack, r role) error {
	in := &cloudformation.UpdateStackInput{
		StackName: s.StackId, TemplateBody: aws.String(string(r.body)), Capabilities: []cfntypes.Capability{cfntypes.CapabilityCapabilityIam}, Tags: tagsOver(s, r.tags),
	}
	if r.named {
		in.Capabilities = []cfntypes.Capability{cfntypes.CapabilityCapabilityNamedIam}
	}
	_, err := c.aws.cfn.UpdateStack(ctx, in)
	return err
}

// tagged says that a stack has these tags.
func tagged(s cfntypes.Stack, tags map[string]string) bool {
	has := stackTags(s)
	return !slices.ContainsFunc(slices.Collect(maps.Keys(tags)), func(key string) bool { v, ok := has[key]; return !ok || v != tags[key] })
}

// tagsOver are the tags of a stack with others over them.
func tagsOver(s cfntypes.Stack, tags map[string]string) []cfntypes.Tag {
	all := stackTags(s)
	maps.Copy(all, tags)
	out := make([]cfntypes.Tag, 0, len(all))
	for _, key := range slices.Sorted(maps.Keys(all)) {
		out = append(out, cfntypes.Tag{Key: aws.String(key), Value: aws.String(all[key])})
	}
	return out
}

// stage is how far the stack of a role is.
type stage int

const (
	// underway means that something was asked for; the next step is later.
	underway stage = iota
	// standing means that the stack is as its template says.
	standing
)

// ensureStack brings a stack to stand: it makes it, or clears a failed one away first. What it was made from is not compared.
func (c *Cloud) ensureStack(ctx context.Context, cfg *Config, w *world, o stackOrder) (stage, error) {
	if w.Strangers[o.name] {
		return underway, gitops.Errorf(gitops.Foreign, "stack %s does not carry this cluster's tags", o.name)
	}
	s, ok := w.Stacks[o.name]
	switch {
	case !ok:
		return underway, c.createStack(ctx, cfg, o)
	case stackLeaving(s) || c.isDismissed(aws.ToString(s.StackId)):
		return underway, nil
	case stackUseless(s):
		return underway, c.clearStack(ctx, cfg, w, s)
	case !stackDone(s) && stackMoving(s):
		return underway, nil
	case !stackDone(s):
		h := w.failed(s)
		return underway, gitops.Errorf(cmp.Or(h.Reason, gitops.HealthFailed), "%s", h.Message)
	}
	return standing, nil
}

// makeByStack orders a thing by a stack of its own. A stack that stands without its thing, which somebody deleted, has to go first; but for
// a while after the stack is complete, a read of the thing may still be behind.
func (c *Cloud) makeByStack(ctx context.Context, cfg *Config, w *world, o stackOrder) error {
	stage, err := c.ensureStack(ctx, cfg, w, o)
	if err != nil || stage != standing {
		return err
	}
	if s := w.Stacks[o.name]; c.now().Sub(aws.ToTime(s.CreationTime)) > lagging {
		return c.deleteStack(ctx, cfg, s)
	}
	return nil
}

// ensureRole brings the stack of a role to stand as rendered: it makes it, clears a failed one away first, or updates it.
// The ARN is valid when the stage is standing.
func (c *Cloud) ensureRole(ctx context.Context, cfg *Config, w *world, r role) (stage, string, error) {
	stage, err := c.ensureStack(ctx, cfg, w, stackOrder{name: r.stack, body: r.body, tags: r.tags, iam: true, named: r.named})
	if err != nil || stage != standing {
		return stage, "", err
	}
	s := w.Stacks[r.stack]
	rendered, err := r.template()
	if err != nil {
		return underway, "", err
	}
	if !equal(roleView(w.Templates[r.stack]), roleView(rendered)) || !tagged(s, r.tags) {
		if h, fell := c.fell(w, s); fell {
			return underway, "", gitops.Errorf(cmp.Or(h.Reason, gitops.HealthFailed), "%s", h.Message)
		}
		return underway, "", c.updateStack(ctx, s, r)
	}
	arn := output(s, roleOutput)
	if arn == "" {
		return underway, "", fmt.Errorf("stack %s has no output %s", r.stack, roleOutput)
	}
	return standing, arn, nil
}

// stackFailed tells, for Ready, whether the stack of a ref failed and was not dismissed since. One that ended because EKS refused a zone
// is for turnedAway to tell of.
func (c *Cloud) stackFailed(w *world, name string) (gitops.Health, bool) {
	s, ok := w.Stacks[name]
	if !ok || c.isDismissed(aws.ToString(s.StackId)) || s.StackStatus == cfntypes.StackStatusRollbackInProgress || w.Placing.ended(s) {
		return gitops.Health{}, false
	}
	switch s.StackStatus {
	case cfntypes.StackStatusCreateFailed, cfntypes.StackStatusRollbackComplete, cfntypes.StackStatusRollbackFailed,
		cfntypes.StackStatusDeleteFailed, cfntypes.StackStatusUpdateRollbackFailed, cfntypes.StackStatusUpdateFailed:
		return w.failed(s), true
	default:
		return c.fell(w, s)
	}
}
