package eks

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"golang.org/x/sync/errgroup"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// updateLog knows updates of one cluster: those under way by what they change, and those that have ended, which stay as they are.
type updateLog struct {
	running map[string]string
	ended   map[string]bool
}

// asked bounds how many updates one look asks EKS about for one thing: an old cluster has many, and EKS lists them in no order.
const asked = 10

// readUpdates asks which update is under way of what EKS calls UPDATING: of everything, or of one ref. One was begun from here, by a process
// before this one, or by somebody else. Nothing is decided by it, so that a failure only leaves the words away.
func (c *Cloud) readUpdates(ctx context.Context, cfg *Config, w *world, only *gitops.Ref) {
	var all errgroup.Group
	all.SetLimit(parallel)
	var mu sync.Mutex
	w.Updates = map[string]string{}
	ask := func(moving bool, r gitops.Ref, in eks.ListUpdatesInput) {
		if !moving || only != nil && *only != r {
			return
		}
		in.Name = &cfg.Name
		all.Go(func() error {
			says := c.underWay(ctx, in)
			mu.Lock()
			defer mu.Unlock()
			w.Updates[updated(in)] = says
			return nil
		})
	}
	ask(w.Cluster != nil && w.Cluster.Status == ekstypes.ClusterStatusUpdating, cfg.ref(KindCluster, cfg.Name), eks.ListUpdatesInput{})
	for name, a := range w.Addons {
		ask(a.Status == ekstypes.AddonStatusUpdating, cfg.ref(KindAddon, name), eks.ListUpdatesInput{AddonName: &name})
	}
	for name, g := range w.Groups {
		ask(g.Nodegroup != nil && g.Nodegroup.Status == ekstypes.NodegroupStatusUpdating, cfg.ref(KindNodegroup, g.User), eks.ListUpdatesInput{NodegroupName: &name})
	}
	_ = all.Wait() // nothing in it fails
}

// underWay names the update that a thing is in, as text; "" when it is not known. What was found is asked for by its id the next time.
func (c *Cloud) underWay(ctx context.Context, in eks.ListUpdatesInput) string {
	thing := updated(in)
	c.mu.Lock()
	ids := []string{c.updates.running[thing]}
	c.mu.Unlock()
	if ids[0] == "" {
		ids = c.recent(ctx, in)
	}
	for _, id := range ids {
		out, err := c.aws.eks.DescribeUpdate(ctx, &eks.DescribeUpdateInput{Name: in.Name, AddonName: in.AddonName, NodegroupName: in.NodegroupName, UpdateId: &id})
		if err != nil || out.Update == nil {
			return ""
		}
		runs := out.Update.Status == ekstypes.UpdateStatusInProgress
		c.mu.Lock()
		delete(c.updates.running, thing)
		if runs {
			c.updates.running[thing] = id
		} else {
			c.updates.ended[id] = true
		}
		c.mu.Unlock()
		if runs {
			return sayUpdate(out.Update)
		}
	}
	return ""
}

// updated names what updates are asked for of, as world.Updates does: nothing for the cluster itself.
func updated(of eks.ListUpdatesInput) string {
	switch {
	case of.AddonName != nil:
		return addonUpdate(*of.AddonName)
	case of.NodegroupName != nil:
		return groupUpdate(*of.NodegroupName)
	}
	return ""
}

// addonUpdate and groupUpdate are keys of world.Updates.
func addonUpdate(name string) string { return "addon " + name }
func groupUpdate(name string) string { return "nodegroup " + name }

// recent lists updates of a thing that are not known to have ended.
func (c *Cloud) recent(ctx context.Context, in eks.ListUpdatesInput) []string {
	p := eks.NewListUpdatesPaginator(c.aws.eks, &in)
	ids, err := page(ctx, p.HasMorePages, func(ctx context.Context) (*eks.ListUpdatesOutput, error) { return p.NextPage(ctx) },
		func(o *eks.ListUpdatesOutput) []string { return o.UpdateIds })
	if err != nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	ids = slices.DeleteFunc(ids, func(id string) bool { return c.updates.ended[id] })
	return ids[max(0, len(ids)-asked):]
}

// sayUpdate is an update in words. Values that are documents, such as a launch template or a list of log types, are left out.
func sayUpdate(u *ekstypes.Update) string {
	var with []string
	for _, p := range u.Params {
		if v := aws.ToString(p.Value); v != "" && len(v) <= 40 && !strings.ContainsAny(v, "{[") {
			with = append(with, string(p.Type)+" "+v)
		}
	}
	text := string(u.Type)
	if len(with) > 0 {
		text += " (" + strings.Join(with, ", ") + ")"
	}
	return fmt.Sprintf("%s since %s", text, aws.ToTime(u.CreatedAt).UTC().Format("15:04 UTC"))
}

// during is what EKS says of a thing, with its update.
func during(says, update string) string {
	if update == "" {
		return says
	}
	return says + ": " + update
}
