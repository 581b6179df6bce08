package eks

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// refusal is EKS's word that it makes no control plane in a zone (UnsupportedAvailabilityZoneException).
type refusal struct {
	// Stack is the id of the stack whose creation ended by it.
	Stack string
	Zone  string
	// Words are why, in EKS's own, and Offered the zones that it names instead.
	Words   string
	Offered []string
	At      time.Time
}

const (
	// refusing is how long a zone that refused is not tried again: EKS says "currently", and an attempt takes minutes.
	refusing = time.Hour
	// remembered is how long other zones are preferred to it.
	remembered = 7 * 24 * time.Hour
	// attempts is how many of the last attempts are looked at.
	attempts = 10
)

// readRefusal finds a refusal in the reason of an event of a cluster's stack. The resource handler passes on the exception's message and
// nothing else, so only its wording tells. EKS has one for a zone that is full (user guide, "Troubleshooting", insufficient capacity) and
// one for a zone that has no control planes at all; both name the zone before the words "these availability zones:", and others after.
func readRefusal(cluster, region, reason string) (refusal, bool) {
	_, text, ok := strings.Cut(reason, "Cannot create cluster '"+cluster+"' because ")
	if !ok {
		return refusal{}, false
	}
	at := strings.Index(strings.ToLower(text), "these availability zones:")
	if at < 0 {
		return refusal{}, false
	}
	words, _, _ := strings.Cut(text[:at], ". ")
	refused := zonesIn(words, region)
	if len(refused) == 0 {
		return refusal{}, false
	}
	words = strings.TrimPrefix(strings.Replace(words, ", the targeted availability zone", "", 1), refused[0]+", ")
	return refusal{Zone: refused[0], Words: words, Offered: zonesIn(text[at:], region)}, true
}

// zonesIn are the zones of a region that a text names.
func zonesIn(text, region string) []string {
	words := strings.FieldsFunc(text, func(r rune) bool { return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') })
	return slices.DeleteFunc(words, func(word string) bool { return len(word) != len(region)+1 || !strings.HasPrefix(word, region) })
}

// refusals are those of the last attempts to make the cluster, the newest first. They are in the events of the stacks that failed, and
// CloudFormation keeps those of deleted stacks, too, under their ids, for 90 days (API reference, DescribeStackEvents and ListStacks):
// what a process has learned by an attempt, the next one learns from there.
func (c *Cloud) refusals(ctx context.Context, cfg *Config, w *world) ([]refusal, error) {
	ids, err := c.endedStacks(ctx, clusterStack(cfg.Name))
	if err != nil {
		return nil, err
	}
	settled := true
	if s, ok := w.Stacks[clusterStack(cfg.Name)]; ok {
		ids, settled = append([]string{aws.ToString(s.StackId)}, ids...), !stackMoving(s)
	}
	var out []refusal
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			continue
		}
		r, err := c.refusalOf(ctx, cfg, id, settled || i > 0)
		if err != nil {
			return nil, err
		}
		if r != nil && c.now().Sub(r.At) < remembered {
			out = append(out, *r)
		}
	}
	slices.SortStableFunc(out, func(a, b refusal) int { return b.At.Compare(a.At) })
	return out, nil
}

// endedStacks are the ids of the deleted stacks of a name, the newest first: those that CloudFormation lists, and those whose refusal is
// known already, because a listing may be behind.
func (c *Cloud) endedStacks(ctx context.Context, name string) ([]string, error) {
	p := cloudformation.NewListStacksPaginator(c.aws.cfn, &cloudformation.ListStacksInput{StackStatusFilter: []cfntypes.StackStatus{cfntypes.StackStatusDeleteComplete}})
	oldest := c.now().Add(-remembered)
	listed, err := page(ctx, p.HasMorePages,
		func(ctx context.Context) (*cloudformation.ListStacksOutput, error) { return p.NextPage(ctx) },
		func(o *cloudformation.ListStacksOutput) []cfntypes.StackSummary {
			return slices.DeleteFunc(o.StackSummaries, func(s cfntypes.StackSummary) bool {
				return aws.ToString(s.StackName) != name || aws.ToTime(s.CreationTime).Before(oldest)
			})
		})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(listed, func(a, b cfntypes.StackSummary) int {
		return aws.ToTime(b.CreationTime).Compare(aws.ToTime(a.CreationTime))
	})
	var out []string
	for _, s := range listed[:min(attempts, len(listed))] {
		out = append(out, aws.ToString(s.StackId))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, r := range c.refused {
		if r != nil && strings.Contains(id, ":stack/"+name+"/") && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out, nil
}

// refusalOf finds the refusal that ended a stack's creation; nil when there was none. What is found does not change, and so is read once;
// that nothing is found does not change once the stack is settled.
func (c *Cloud) refusalOf(ctx context.Context, cfg *Config, id string, settled bool) (*refusal, error) {
	c.mu.Lock()
	known, ok := c.refused[id]
	c.mu.Unlock()
	if ok {
		return known, nil
	}
	p := cloudformation.NewDescribeStackEventsPaginator(c.aws.cfn, &cloudformation.DescribeStackEventsInput{StackName: &id})
	events, err := page(ctx, p.HasMorePages,
		func(ctx context.Context) (*cloudformation.DescribeStackEventsOutput, error) { return p.NextPage(ctx) },
		func(o *cloudformation.DescribeStackEventsOutput) []cfntypes.StackEvent { return o.StackEvents })
	if err != nil && !absent(err) {
		return nil, err
	}
	var found *refusal
	for _, e := range events {
		if aws.ToString(e.ResourceType) != "AWS::EKS::Cluster" || e.ResourceStatus != cfntypes.ResourceStatusCreateFailed {
			continue
		}
		if r, ok := readRefusal(cfg.Name, cfg.Region, aws.ToString(e.ResourceStatusReason)); ok {
			r.Stack, r.At = id, aws.ToTime(e.Timestamp)
			found = &r
		}
	}
	if found != nil || settled {
		c.mu.Lock()
		c.refused[id] = found
		c.mu.Unlock()
	}
	return found, nil
}

// refusedSince tells of the zones that EKS refused when it last did: those that refusals are about, and those that the newest one does
// not offer.
func refusedSince(refused []refusal, zones []string) map[string]time.Time {
	out := map[string]time.Time{}
	for _, r := range slices.Backward(refused) {
		out[r.Zone] = r.At
	}
	for _, z := range zones {
		if len(refused) > 0 && len(refused[0].Offered) > 0 && !slices.Contains(refused[0].Offered, z) {
			out[z] = refused[0].At
		}
	}
	return out
}
