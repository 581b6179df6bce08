package plan

import "github.com/eks-gitops/reconciler/pkg/gitops"

// components finds the sets of changes that wait for each other: strongly connected components of more than one ref, by
// Tarjan's algorithm without recursion (a chain of needs may be as long as the plan).
func components(changes []Change) [][]gitops.Ref {
	needs := make(map[gitops.Ref][]gitops.Ref, len(changes))
	for _, c := range changes {
		needs[c.Ref] = c.Needs
	}
	t := tarjan{needs: needs, index: map[gitops.Ref]int{}, low: map[gitops.Ref]int{}, on: map[gitops.Ref]bool{}}
	for _, c := range changes {
		if _, seen := t.index[c.Ref]; !seen {
			t.walk(c.Ref)
		}
	}
	return t.found
}

type tarjan struct {
	needs map[gitops.Ref][]gitops.Ref
	index map[gitops.Ref]int
	low   map[gitops.Ref]int
	on    map[gitops.Ref]bool
	stack []gitops.Ref
	found [][]gitops.Ref
}

// frame is one call of the recursive form: a ref and how many of its needs were visited.
type frame struct {
	ref  gitops.Ref
	next int
}

func (t *tarjan) walk(root gitops.Ref) {
	calls := []frame{t.enter(root)}
	for len(calls) > 0 {
		top := &calls[len(calls)-1]
		if top.next < len(t.needs[top.ref]) {
			to := t.needs[top.ref][top.next]
			top.next++
			if _, seen := t.index[to]; !seen {
				calls = append(calls, t.enter(to))
			} else if t.on[to] {
				t.low[top.ref] = min(t.low[top.ref], t.index[to])
			}
			continue
		}
		done := top.ref
		calls = calls[:len(calls)-1]
		if len(calls) > 0 {
			caller := calls[len(calls)-1].ref
			t.low[caller] = min(t.low[caller], t.low[done])
		}
		t.leave(done)
	}
}

func (t *tarjan) enter(ref gitops.Ref) frame {
	t.index[ref], t.low[ref] = len(t.index), len(t.index)
	t.stack, t.on[ref] = append(t.stack, ref), true
	return frame{ref: ref}
}

// leave takes a component off the stack when ref is its root.
func (t *tarjan) leave(ref gitops.Ref) {
	if t.low[ref] != t.index[ref] {
		return
	}
	for i := len(t.stack) - 1; ; i-- {
		t.on[t.stack[i]] = false
		if t.stack[i] != ref {
			continue
		}
		if circle := t.stack[i:]; len(circle) > 1 {
			t.found = append(t.found, append([]gitops.Ref(nil), circle...))
		}
		t.stack = t.stack[:i]
		return
	}
}
