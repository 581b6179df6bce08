package plan

import (
	"fmt"
	"slices"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// NoPrune turns deletions into notes: what left git stays live and is listed as kept.
func NoPrune() Policy {
	return func(p Plan) Plan {
		p.Problems = slices.Clone(p.Problems)
		for _, c := range p.Changes {
			if c.Action == Delete {
				p.Problems = append(p.Problems, kept(c.Ref, c.From, "prune is off in reconcile.yaml"))
			}
		}
		return p.keep(func(c Change) bool { return c.Action != Delete })
	}
}

// kept is the note about a live thing that left git and that nothing deletes.
func kept(ref gitops.Ref, from gitops.Origin, why string) *gitops.Error {
	return gitops.Errorf(gitops.Kept, "%s", why).On(ref).At(from)
}

// HoldDestructive holds every destructive change that no approval covers, and releases conflicts that one does.
func HoldDestructive(a Approvals) Policy {
	return func(p Plan) Plan {
		return p.each(func(c Change) Change {
			if c.Hold == nil && c.Risk == Destructive {
				c.Hold = &Hold{Reason: gitops.Held, Why: "destructive", Approvable: true}
			}
			return approve(c, a)
		})
	}
}

// HoldKinds holds deletions and replacements of further kinds, by kind name.
func HoldKinds(kinds []string, a Approvals) Policy {
	return func(p Plan) Plan {
		return p.each(func(c Change) Change {
			if c.Hold == nil && c.Approved == nil && (c.Action == Delete || c.Action == Replace) && slices.Contains(kinds, c.Ref.Kind) {
				c.Hold = &Hold{Reason: gitops.Held, Why: "reconcile.yaml holds " + c.Ref.Kind, Approvable: true}
			}
			return approve(c, a)
		})
	}
}

// PruneBudget holds all deletions of a plan when more than count, or more than the given share (0..1) of everything live,
// would go at once: that is more often a mistake than a wish. Zero means no bound. Deletions that are approved one by one
// neither count nor are held.
func PruneBudget(share float64, count int, a Approvals) Policy {
	return func(p Plan) Plan {
		gone, live := 0, p.Unchanged
		for _, c := range p.Changes {
			if c.Action != Create {
				live++
			}
			if c.Action == Delete && c.Hold == nil && !approved(c, a) {
				gone++
			}
		}
		why := ""
		switch {
		case count > 0 && gone > count:
			why = fmt.Sprintf("%s would be deleted at once, the budget is %d", things(gone), count)
		case share > 0 && float64(gone) > share*float64(live):
			why = fmt.Sprintf("%s of %d would be deleted at once, the budget is %.4g %%", things(gone), live, 100*share)
		default:
			return p
		}
		return p.each(func(c Change) Change {
			if c.Action == Delete && c.Hold == nil && c.Approved == nil {
				c.Hold = &Hold{Reason: gitops.PruneBlocked, Why: why, Approvable: true}
			}
			return approve(c, a)
		})
	}
}

// OnlyDomain keeps the changes and problems of one domain; problems about neither stay.
func OnlyDomain(d gitops.Domain) Policy {
	return func(p Plan) Plan {
		p = p.keep(func(c Change) bool { return c.Ref.Domain == d })
		p.Problems = slices.DeleteFunc(slices.Clone(p.Problems), func(e *gitops.Error) bool {
			of := domainOf(e)
			return of != "" && of != d
		})
		p.Complete = complete(p.Problems)
		return p
	}
}

// OnlyRefs keeps the changes of the named refs, and the problems about them or about nothing in particular.
func OnlyRefs(refs ...gitops.Ref) Policy {
	return func(p Plan) Plan {
		p = p.keep(func(c Change) bool { return slices.Contains(refs, c.Ref) })
		p.Problems = slices.DeleteFunc(slices.Clone(p.Problems), func(e *gitops.Error) bool {
			return !e.Ref.IsZero() && !slices.Contains(refs, e.Ref)
		})
		p.Complete = complete(p.Problems)
		return p
	}
}

// domainOf is the domain a problem is about; "" when it is about both or neither.
func domainOf(e *gitops.Error) gitops.Domain {
	switch {
	case e.Ref.Domain != "":
		return e.Ref.Domain
	case e.From.Overlay != "":
		return gitops.K8s
	case e.Reason == gitops.ConfigInvalid:
		return gitops.EKS
	}
	return ""
}

// each rewrites every change, leaving the plan that was handed in as it was.
func (p Plan) each(f func(Change) Change) Plan {
	changes := make([]Change, 0, len(p.Changes))
	for _, c := range p.Changes {
		changes = append(changes, f(c))
	}
	p.Changes = changes
	return p
}

// keep drops the changes that f refuses. What needed a dropped change needs what that one needed; a dropped deletion or
// wait leaves a live thing as it is.
func (p Plan) keep(f func(Change) bool) Plan {
	kept := make(map[gitops.Ref]bool, len(p.Changes))
	needs := make(map[gitops.Ref][]gitops.Ref, len(p.Changes))
	for _, c := range p.Changes {
		kept[c.Ref], needs[c.Ref] = f(c), c.Needs
	}
	nearest := func(ref gitops.Ref) []gitops.Ref {
		return reach(needs[ref], func(r gitops.Ref) bool { return kept[r] && r != ref }, func(r gitops.Ref) []gitops.Ref { return needs[r] })
	}
	var gates []Gate
	for _, gate := range p.Gates {
		needs[gate.Ref] = gate.Needs
	}
	for _, gate := range p.Gates {
		if gate.Needs = nearest(gate.Ref); len(gate.Needs) > 0 {
			gates = append(gates, gate)
		}
	}
	for _, gate := range gates {
		kept[gate.Ref] = true
	}
	changes := make([]Change, 0, len(p.Changes))
	for _, c := range p.Changes {
		if !kept[c.Ref] {
			continue
		}
		c.Needs = nearest(c.Ref)
		changes = append(changes, c)
	}
	p.Changes, p.Gates = changes, gates
	return p
}
