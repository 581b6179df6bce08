package eks

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// placing is where a cluster is made after EKS refused zones. Zones that the file names are never exchanged for others.
type placing struct {
	// Refused is not empty, the newest first.
	Refused []refusal
	// Field is what in the file names zones, or subnets in zones; empty when zones are chosen here. Given are then those that nodegroups
	// name all the same, each with the field.
	Field string
	Given map[string]string
	// Zones are those of the file, or those that were chosen; Stuck are those of them that keep the cluster from being made for now. With
	// none chosen it cannot be made, either.
	Zones, Stuck []string
	// Again says that zones are tried that were refused before, because there are no others.
	Again bool
}

// readPlacing finds out where the cluster is to be made, when there is none and EKS refused zones.
func (c *Cloud) readPlacing(ctx context.Context, cfg *Config, w *world) error {
	w.Placing = nil
	if c.Teardown || cfg.adopted() || !cfg.unmade(w) {
		return nil
	}
	refused, err := c.refusals(ctx, cfg, w)
	if err != nil || len(refused) == 0 {
		return err
	}
	p := &placing{Refused: refused}
	if p.Field, p.Zones, err = c.namedZones(ctx, cfg); err != nil {
		return err
	}
	if p.Field == "" {
		candidates, err := c.candidates(ctx, cfg.full)
		if err != nil {
			return err
		}
		p.Given = given(cfg.full)
		p.Zones = chooseZones(cfg.Region, candidates, p.Given, refused, c.now())
	}
	since := refusedSince(refused, p.Zones)
	for _, z := range p.Zones {
		p.Again = p.Again || !since[z].IsZero()
		if p.naming(z) != "" && c.now().Sub(since[z]) < refusing {
			p.Stuck = append(p.Stuck, z)
		}
	}
	w.Placing = p
	return nil
}

// naming is the field of the file that names a zone; empty for one that was chosen here.
func (p *placing) naming(zone string) string {
	if p.Field != "" {
		return p.Field
	}
	return p.Given[zone]
}

// unmade says that there is no cluster, and nothing that makes one or is in its place.
func (c *Config) unmade(w *world) bool {
	s, ok := w.Stacks[clusterStack(c.Name)]
	return w.Cluster == nil && !w.Strangers[clusterStack(c.Name)] && (!ok || stackUseless(s) || stackLeaving(s))
}

// namedZones are the zones that the file says the control plane is in, and the field that says so; none when they are chosen here.
func (c *Cloud) namedZones(ctx context.Context, cfg *Config) (field string, zones []string, err error) {
	spec := cfg.full
	switch {
	case len(spec.VPC.ControlPlaneSubnetIDs) > 0:
		if zones, err = c.zonesOfIDs(ctx, spec.VPC.ControlPlaneSubnetIDs); err != nil {
			return "", nil, err
		}
		field = "vpc.controlPlaneSubnetIDs"
	case spec.HasAnySubnets():
		spec = c.withSubnets(ctx, spec)
		zones = append(zonesOf(spec, true), zonesOf(spec, false)...)
		field = "vpc.subnets"
	case len(spec.AvailabilityZones) > 0:
		field, zones = "availabilityZones", slices.Clone(spec.AvailabilityZones)
	}
	slices.Sort(zones)
	return field, slices.Compact(zones), nil
}

// stuck says that the cluster cannot be made for now.
func (p *placing) stuck() bool {
	return p != nil && (len(p.Stuck) > 0 || len(p.Zones) == 0 && p.Field == "")
}

// problem tells why it cannot be made for now, and what would help.
func (p *placing) problem(c *Config) *gitops.Error {
	last := p.Refused[0]
	again := last.At.Add(refusing).UTC().Format(time.RFC3339)
	if len(p.Stuck) == 0 {
		e := gitops.Errorf(gitops.ZoneRefused, "EKS refuses %s (%s), and fewer than %d other zones offer every instance type of the file",
			enumerate(p.refusedZones()), last.Words, api.MinRequiredAvailabilityZones)
		e.Try = fmt.Sprintf("use instance types that more zones offer; the same zones are tried again from %s on", again)
		return e.At(c.origin("metadata.region"))
	}
	field := p.naming(p.Stuck[0])
	e := gitops.Errorf(gitops.ZoneRefused, "%s: EKS refuses %s (%s); it offers %s", field, enumerate(p.Stuck), last.Words, enumerate(last.Offered))
	e.Try = fmt.Sprintf("name zones that EKS offers, or none; the same ones are tried again from %s on", again)
	return e.At(c.origin(field))
}

// says tells which zones are chosen instead, and why.
func (p *placing) says() string {
	why := "which EKS offers, as well as every instance type of the file"
	if p.Again {
		why = "because no other zones are left"
	}
	for _, z := range p.refusedZones() {
		if field := p.naming(z); field != "" {
			why = "because " + field + " names what was refused"
		}
	}
	return fmt.Sprintf("EKS refused %s (%s): the cluster is made in %s, %s", enumerate(p.refusedZones()), p.Refused[0].Words, enumerate(p.Zones), why)
}

func (p *placing) refusedZones() []string {
	var out []string
	for _, r := range p.Refused {
		out = append(out, r.Zone)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// enumerate is "a", "a and b", "a, b and c".
func enumerate(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// creation is the observation of a cluster that is to be made. What keeps it from being made holds it.
func (c *Config) creation(w *world, next gitops.Tree) gitops.Observation {
	o := gitops.Observation{Next: next, Spec: next, Owned: true}
	switch p := w.Placing; {
	case p.stuck():
		o.Concerns = []gitops.Concern{{Error: p.problem(c), Final: true}}
	case p != nil && p.Field == "":
		o.Concerns = []gitops.Concern{{Error: gitops.Errorf(gitops.OtherZones, "%s", p.says()).At(c.origin("metadata.region"))}}
	}
	return o
}

// tell remembers which refusal the plan to come tells of.
func (c *Cloud) tell(w *world) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = ""
	if w.Placing != nil {
		c.told = w.Placing.Refused[0].Stack
	}
}

// turnedAway is why the cluster is not made any further for now: it cannot be, or EKS refused a zone since the plan was made. That ends
// this attempt, and the next plan says what follows, before anything is cleared away.
func (c *Cloud) turnedAway(cfg *Config, w *world) *gitops.Error {
	c.mu.Lock()
	told := c.told
	c.mu.Unlock()
	s, p := w.Stacks[clusterStack(cfg.Name)], w.Placing
	switch {
	case p == nil:
	case p.stuck():
		return p.problem(cfg)
	case p.Field == "" && p.ended(s) && told != aws.ToString(s.StackId):
		return gitops.Errorf(gitops.ApplyFailed, "%s: %s", stackSays(s), p.says())
	}
	return nil
}

// ended says that the last refusal ended the creation of a stack.
func (p *placing) ended(s cfntypes.Stack) bool {
	return p != nil && p.Refused[0].Stack == aws.ToString(s.StackId)
}
