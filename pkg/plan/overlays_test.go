package plan_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// Whatever else is ordered: everything that one overlay makes or changes comes, directly or not, after all that another one
// has to do, if reconcile.yaml says so; and what the other one loses goes after what the first loses.
func TestOverlaysComeInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t, rapid.Bool().Draw(t, "trouble"))
		in.DependsOn = []plan.Dependence{{Overlay: "b", On: []string{"a"}}}
		p := plan.Build(in)
		needs := map[gitops.Ref][]gitops.Ref{}
		for _, c := range p.Changes {
			needs[c.Ref] = c.Needs
		}
		for _, g := range p.Gates {
			needs[g.Ref] = g.Needs
		}
		for _, c := range p.Changes {
			for _, other := range p.Changes {
				making := c.From.Overlay == "b" && other.From.Overlay == "a" && c.Action != plan.Wait && c.Action != plan.Delete && other.Action != plan.Delete
				ending := c.From.Overlay == "a" && other.From.Overlay == "b" && c.Action == plan.Delete && other.Action == plan.Delete
				if c.Ref.Domain == gitops.K8s && other.Ref.Domain == gitops.K8s && (making || ending) && !slices.Contains(reachable(needs, c.Ref), other.Ref) {
					t.Fatalf("%s %s does not wait for %s %s:\n%s", c.Action, c.Ref, other.Action, other.Ref, order(p))
				}
			}
		}
	})
}

func reachable(needs map[gitops.Ref][]gitops.Ref, from gitops.Ref) []gitops.Ref {
	var seen []gitops.Ref
	for stack := slices.Clone(needs[from]); len(stack) > 0; {
		ref := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if !slices.Contains(seen, ref) {
			seen = append(seen, ref)
			stack = append(stack, needs[ref]...)
		}
	}
	return seen
}

func TestCheckDependences(t *testing.T) {
	t.Parallel()
	rules := []plan.Dependence{{Overlay: "apps/shop", On: []string{"addons/ingres", "addons/dns"}, From: gitops.Position{File: "clusters/dev/reconcile.yaml", Line: 4}}}
	problems := plan.CheckDependences(rules, []string{"apps/shop", "addons/dns", "addons/ingress"})
	if len(problems) != 1 || problems[0].Error() != "PolicyInvalid: clusters/dev/reconcile.yaml:4: dependsOn names the overlay addons/ingres, which git does not hold" {
		t.Errorf("%v", problems)
	}
}

// Two overlays of a thousand objects without any order of their own are the worst case: each of the one waits for each of the other.
func BenchmarkOverlaysInOrder(b *testing.B) {
	in := gitops.Observed{}
	p := plan.Input{
		Desired:   gitops.Desired{Cluster: "c", Overlays: []gitops.Overlay{{Name: "a", Complete: true}, {Name: "b", Complete: true}}},
		Observed:  in,
		DependsOn: []plan.Dependence{{Overlay: "b", On: []string{"a"}}},
	}
	for i := range 2000 {
		ref := gitops.Ref{Domain: gitops.K8s, Kind: "ConfigMap", Namespace: "shop", Name: fmt.Sprint(i)}
		item := gitops.Item{Ref: ref, Spec: gitops.Tree{"data": gitops.Tree{}}, From: gitops.Origin{Overlay: []string{"a", "b"}[i%2]}}
		p.Desired.Items = append(p.Desired.Items, item)
		in[ref] = gitops.Observation{Next: item.Spec, Spec: item.Spec, From: item.From}
	}
	for b.Loop() {
		plan.Build(p)
	}
}
