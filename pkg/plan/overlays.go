package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Dependence says that one overlay comes after others: what it makes or changes waits until everything of theirs is ready,
// and what they lose waits until what it loses is gone.
type Dependence struct {
	Overlay string
	On      []string
	From    gitops.Position
}

// dependences reads dependsOn: overlays by name, each with those it comes after.
func (d *decoder) dependences(rules *Rules) func(string, any) {
	return func(path string, v any) {
		m, ok := v.(gitops.Tree)
		if !ok {
			d.problem(path, "want overlays with lists of overlays, such as apps/shop: [addons/ingress], not %s", kindOf(v))
			return
		}
		for _, name := range slices.Sorted(maps.Keys(m)) {
			at := Field(path, name)
			rule := Dependence{Overlay: name, From: d.from.Position}
			if from, ok := nearest(d.from.Fields, at); ok {
				rule.From = from
			}
			before := len(d.problems)
			if d.texts(&rule.On)(at, m[name]); len(d.problems) == before {
				rules.DependsOn = append(rules.DependsOn, rule)
			}
		}
		if circle := circular(rules.DependsOn); circle != nil {
			d.problem(Field(path, circle[0]), "the overlays wait for each other: %s", strings.Join(circle, " -> "))
		}
	}
}

// circular finds overlays that come after themselves: the way from the first in order back to itself, or nil.
func circular(rules []Dependence) []string {
	on := map[string][]string{}
	for _, rule := range rules {
		on[rule.Overlay] = rule.On
	}
	for _, rule := range rules {
		if way := shortest(rule.Overlay, func(name string) []string { return on[name] }); way != nil {
			return way
		}
	}
	return nil
}

// CheckDependences reports overlays that dependsOn names and git does not hold.
func CheckDependences(rules []Dependence, overlays []string) []*gitops.Error {
	var out []*gitops.Error
	for _, rule := range rules {
		for _, name := range append([]string{rule.Overlay}, rule.On...) {
			if !slices.Contains(overlays, name) {
				e := gitops.Errorf(gitops.PolicyInvalid, "dependsOn names the overlay %s, which git does not hold", name).At(gitops.Origin{Position: rule.From})
				e.Try = "name folders below the cluster's folder, such as addons/external-dns"
				out = append(out, e)
			}
		}
	}
	return out
}

// overlays adds the order that reconcile.yaml asks for. What comes after an overlay that git does not hold, or of which not
// everything is known, is held: unknown is not ready.
func (g *graph) overlays(in Input) []*gitops.Error {
	if len(in.DependsOn) == 0 {
		return nil
	}
	var names []string
	unknown := map[string]string{}
	for _, o := range in.Desired.Overlays {
		names = append(names, o.Name)
		if !o.Complete {
			unknown[o.Name] = "could not be rendered"
		}
	}
	for _, item := range in.Desired.Items {
		if in.Observed[item.Ref].Err != nil && unknown[item.From.Overlay] == "" {
			unknown[item.From.Overlay] = "could not be observed"
		}
	}
	made, gone := map[string][]gitops.Ref{}, map[string][]gitops.Ref{}
	for ref, c := range g.changes {
		switch {
		case ref.Domain != gitops.K8s:
		case c.Action == Delete:
			gone[c.From.Overlay] = append(gone[c.From.Overlay], ref)
		default:
			made[c.From.Overlay] = append(made[c.From.Overlay], ref)
		}
	}
	for _, rule := range in.DependsOn {
		own := slices.DeleteFunc(slices.Clone(made[rule.Overlay]), func(r gitops.Ref) bool { return g.changes[r].Action == Wait })
		for _, on := range rule.On {
			switch {
			case !slices.Contains(names, on):
				g.withhold(own, gitops.PolicyInvalid, fmt.Sprintf("its overlay comes after %s (dependsOn, %s), which git does not hold", on, rule.From))
			case unknown[on] != "":
				g.withhold(own, gitops.Blocked, fmt.Sprintf("its overlay comes after %s (dependsOn, %s), which %s", on, rule.From, unknown[on]))
			}
			why := fmt.Sprintf("dependsOn, %s", rule.From)
			g.gate(gitops.Ref{Domain: gitops.Git, Kind: "Overlay", Name: on}, own, made[on], why)
			g.gate(gitops.Ref{Domain: gitops.Git, Kind: "OverlayRemoval", Name: rule.Overlay}, gone[on], gone[rule.Overlay], why)
		}
	}
	return CheckDependences(in.DependsOn, names)
}

// gate makes all of some changes wait for all of others. The last ones cover the others, so the gate needs no more.
func (g *graph) gate(ref gitops.Ref, these, others []gitops.Ref, why string) {
	if len(these) == 0 || len(others) == 0 {
		return
	}
	if g.changes[ref] == nil {
		g.changes[ref] = &Change{Ref: ref}
		g.gates = append(g.gates, g.changes[ref])
		// What is in flight waits for nothing, so it covers nothing but itself.
		waits := func(r gitops.Ref) bool { return g.changes[r].Action == Wait }
		for _, other := range others {
			if waits(other) {
				g.need(ref, other, "part of it")
			}
		}
		for _, other := range g.last(slices.DeleteFunc(slices.Clone(others), waits)) {
			g.need(ref, other, "part of it")
		}
	}
	for _, this := range these {
		g.need(this, ref, why)
	}
}

func (g *graph) withhold(refs []gitops.Ref, reason gitops.Reason, why string) {
	for _, ref := range refs {
		if c := g.changes[ref]; c.Hold == nil {
			c.Hold = &Hold{Reason: reason, Why: why}
		}
	}
}
