package eks

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	trailtypes "github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Bounds of attribution. CloudTrail answers two lookups a second per account and region, about events of the last minutes only
// after some minutes (https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html).
const (
	// lookups is how many things CloudTrail is asked about in one pass.
	lookups = 5
	// lookupTime is how long all lookups of a pass may take.
	lookupTime = 5 * time.Second
	// blindTime is for how long CloudTrail is not asked again after it could not be.
	blindTime = 10 * time.Minute
	// memory is how many deeds are remembered, and memoryTime for how long they explain what is found.
	memory     = 100
	memoryTime = time.Hour
)

// blame is who was found to have brought a thing to what it is.
type blame struct {
	live  gitops.Digest
	owner gitops.Owner
}

// hear takes in what somebody did to the cluster. What this program did itself is no news, but ends what others did before.
func (c *Cloud) hear(d deed) {
	c.mu.Lock()
	own := d.by(c.caller)
	c.heard = append(c.heard, d)
	c.heard = c.heard[max(0, len(c.heard)-memory):]
	c.stale = c.stale || !own
	c.mu.Unlock()
	if !own {
		nudge(c.changed)
	}
}

// scales reports whether an Auto Scaling group is one of the cluster's.
func (c *Cloud) scales(name string) bool {
	_, w := c.known()
	if w == nil {
		return false
	}
	for _, g := range w.Groups {
		if g.Scaling != nil && aws.ToString(g.Scaling.AutoScalingGroupName) == name {
			return true
		}
	}
	return false
}

// attribute names who changed what is live though git did not, in Owners. It asks CloudTrail only about what the feed did not
// tell, and what cannot be found out is left open: a plan never fails for it.
func (c *Cloud) attribute(ctx context.Context, cfg *Config, w *world, inv gitops.Inventory, seen gitops.Observed) {
	left := lookups
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	found := map[gitops.Ref]blame{}
	for _, r := range slices.SortedFunc(maps.Keys(seen), gitops.Ref.Compare) {
		o := seen[r]
		if r.Kind == KindIdentityMapping || // which CloudTrail does not know
			o.Live == nil || o.Next == nil || o.Err != nil || inv[r].Spec == "" || inv[r].Spec != gitops.DigestOf(o.Spec) {
			continue
		}
		live := gitops.DigestOf(o.Live)
		if live == gitops.DigestOf(o.Next) {
			continue
		}
		owner, ok := c.author(ctx, r, live, cfg.liveNames(w, r), &left)
		if !ok {
			continue
		}
		found[r] = blame{live: live, owner: owner}
		o.Owners = map[string]gitops.Owner{}
		for _, tree := range []gitops.Tree{o.Live, o.Next} {
			for field := range tree {
				o.Owners[field] = owner
			}
		}
		seen[r] = o
	}
	c.mu.Lock()
	c.blamed = found // what is as git says is nobody's doing any more
	c.mu.Unlock()
}

// author finds who changed a thing last: from what was found before of this very state, from what the feed told, or by asking.
func (c *Cloud) author(ctx context.Context, r gitops.Ref, live gitops.Digest, names []string, left *int) (gitops.Owner, bool) {
	c.mu.Lock()
	known, heard, since := c.blamed[r], slices.Clone(c.heard), c.now().Add(-memoryTime)
	asking := !c.now().Before(c.blind) && *left > 0
	c.mu.Unlock()
	if known.live == live {
		return known.owner, true
	}
	slices.Reverse(heard)
	heard = slices.DeleteFunc(heard, func(d deed) bool { return d.Time.Before(since) || !d.concerns(r, names) })
	if len(heard) == 0 && asking {
		*left--
		heard = c.lookup(ctx, r, names)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(heard) == 0 || heard[0].by(c.caller) {
		return gitops.Owner{}, false
	}
	return heard[0].owner(), true
}

// lookup asks CloudTrail for what was done to a thing, by the first of its names, the newest first: one page.
func (c *Cloud) lookup(ctx context.Context, r gitops.Ref, names []string) []deed {
	out, err := c.aws.cloudtrail.LookupEvents(ctx, &cloudtrail.LookupEventsInput{
		LookupAttributes: []trailtypes.LookupAttribute{{AttributeKey: trailtypes.LookupAttributeKeyResourceName, AttributeValue: &names[0]}},
	})
	if err != nil {
		c.Log.Info("asking CloudTrail who changed it", "ref", r, "error", brief(err))
		c.mu.Lock()
		c.blind = c.now().Add(blindTime)
		c.mu.Unlock()
		return nil
	}
	var found []deed
	for _, e := range out.Events {
		if d, ok := readDeed([]byte(aws.ToString(e.CloudTrailEvent))); ok && d.concerns(r, names) {
			found = append(found, d)
		}
	}
	return found
}

// liveNames are the names by which calls about a ref name it.
func (c *Config) liveNames(w *world, r gitops.Ref) []string {
	switch r.Kind {
	case KindServiceAccount:
		return []string{irsaStack(c.Name, r.Name)}
	case KindPodIdentity:
		return []string{podIdentityStack(c.Name, r.Name)}
	case KindCapability:
		return []string{r.Name, capabilityStack(c.Name, r.Name), capabilityRoleStack(c.Name, r.Name)}
	case KindNodegroup:
		line := w.generations(r.Name)
		if len(line) == 0 {
			break
		}
		g := line[len(line)-1]
		var names []string
		if g.Managed {
			names = append(names, g.Name)
		}
		if g.Scaling != nil {
			names = append(names, aws.ToString(g.Scaling.AutoScalingGroupName))
		}
		if len(names) > 0 {
			return names
		}
	}
	return []string{r.Name}
}
