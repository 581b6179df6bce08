package plan

import (
	"container/heap"
	"fmt"
	"slices"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// graph says what needs what. Its nodes are everything that git wants, whether it changes or not, so that a need which goes
// through something unchanged is still found; its edges point from what needs to what is needed. An edge holds why, for
// people. Of ten thousand objects few change, so the edges that an object's own content implies are read only when somebody
// comes by (expand).
type graph struct {
	// wanted is the content that git wants, gone the live content of what is to be deleted.
	wanted, gone map[gitops.Ref]gitops.Tree
	changes      map[gitops.Ref]*Change
	edges        map[gitops.Ref]map[gitops.Ref]string
	// index is of wanted; expanded are the refs whose own edges are there.
	index    index
	expanded map[gitops.Ref]bool
	// gates are among the changes, too: their refs, edges and needs are all there is to them.
	gates []*Change
	// roles are the EKS changes that give a service account ("namespace/name") an IAM role.
	roles map[string][]gitops.Ref
}

func newGraph(in Input, p *Plan) *graph {
	g := &graph{
		gone:    map[gitops.Ref]gitops.Tree{},
		changes: map[gitops.Ref]*Change{}, edges: map[gitops.Ref]map[gitops.Ref]string{}, expanded: map[gitops.Ref]bool{},
		roles: map[string][]gitops.Ref{},
	}
	if len(p.Changes) == 0 {
		return g
	}
	g.wanted = make(map[gitops.Ref]gitops.Tree, len(in.Desired.Items))
	for i := range p.Changes {
		c := &p.Changes[i]
		g.changes[c.Ref] = c
		switch {
		case c.Ref.Kind == "ServiceAccount" && c.Ref.Domain == gitops.EKS, c.Ref.Kind == "PodIdentityAssociation" && c.Ref.Domain == gitops.EKS:
			g.roles[c.Ref.Name] = append(g.roles[c.Ref.Name], c.Ref)
		case c.Ref.Domain != gitops.K8s:
		case c.Action == Delete:
			g.gone[c.Ref] = c.Live
		default:
			g.wanted[c.Ref] = c.Spec
		}
	}
	for _, item := range in.Desired.Items {
		if item.Ref.Domain == gitops.K8s {
			g.wanted[item.Ref] = item.Spec
		}
	}
	return g
}

// need adds an edge, keeping the first reason given for it.
func (g *graph) need(from, to gitops.Ref, why string) {
	if from == to {
		return
	}
	g.expand(from)
	if g.edges[from] == nil {
		g.edges[from] = map[gitops.Ref]string{}
	}
	if _, ok := g.edges[from][to]; !ok {
		g.edges[from][to] = why
	}
}

// of are the edges of a node.
func (g *graph) of(ref gitops.Ref) map[gitops.Ref]string {
	g.expand(ref)
	return g.edges[ref]
}

// needed lists what a node needs directly, sorted.
func (g *graph) needed(from gitops.Ref) []gitops.Ref {
	edges := g.of(from)
	out := make([]gitops.Ref, 0, len(edges))
	for to := range edges {
		out = append(out, to)
	}
	slices.SortFunc(out, gitops.Ref.Compare)
	return out
}

// closure is everything that a node needs, directly or not, and the node itself.
func (g *graph) closure(of gitops.Ref) map[gitops.Ref]bool {
	seen := map[gitops.Ref]bool{}
	for stack := []gitops.Ref{of}; len(stack) > 0; {
		ref := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[ref] {
			continue
		}
		seen[ref] = true
		for to := range g.of(ref) {
			stack = append(stack, to)
		}
	}
	return seen
}

// link fills Needs of every change from the graph, explains cycles, and brings the changes into an order in which needs
// come first.
func (b *builder) link(p *Plan) {
	g := newGraph(b.Input, p)
	p.Problems = append(p.Problems, g.infer(b.Input)...)
	p.Problems = append(p.Problems, g.overlays(b.Input)...)
	for i := range p.Changes {
		c := &p.Changes[i]
		c.Needs = g.planned(c.Ref)
	}
	g.cluster(p)
	var gates []Change
	for _, gate := range g.gates {
		gate.Needs = g.planned(gate.Ref)
		p.Gates, gates = append(p.Gates, Gate{Ref: gate.Ref, Needs: gate.Needs}), append(gates, *gate)
	}
	circles := components(slices.Concat(p.Changes, gates))
	p.Problems = append(p.Problems, g.cycles(circles)...)
	p.Changes = slices.DeleteFunc(ordered(slices.Concat(p.Changes, gates), circles), func(c Change) bool { return c.Ref.Domain == gitops.Git })
}

// planned lists the changes that a change needs: the nearest ones on every way through what does not change.
func (g *graph) planned(of gitops.Ref) []gitops.Ref {
	return reach(g.needed(of), func(r gitops.Ref) bool { return g.changes[r] != nil && r != of }, g.needed)
}

// reach walks from the given refs until it meets refs that stop accepts, and returns those, sorted.
func reach(from []gitops.Ref, stop func(gitops.Ref) bool, next func(gitops.Ref) []gitops.Ref) []gitops.Ref {
	var out []gitops.Ref
	seen := map[gitops.Ref]bool{}
	for stack := slices.Clone(from); len(stack) > 0; {
		ref := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[ref] {
			continue
		}
		seen[ref] = true
		if stop(ref) {
			out = append(out, ref)
			continue
		}
		stack = append(stack, next(ref)...)
	}
	slices.SortFunc(out, gitops.Ref.Compare)
	return out
}

// ordered sorts changes so that what is needed comes first; among those that could come next, what is made comes before
// what is deleted, then by ref. Needs within a circle count for nothing, its changes are held. Otherwise a circle is as one: what any
// of its changes needs comes before all of them, and what needs any of them after all.
func ordered(changes []Change, circles [][]gitops.Ref) []Change {
	at := make(map[gitops.Ref]int, len(changes))
	for i, c := range changes {
		at[c.Ref] = i
	}
	open := make([]int, len(changes))
	users := make([][]int, len(changes))
	for i, first := range before(changes, circles) {
		for _, ref := range first {
			open[i]++
			users[at[ref]] = append(users[at[ref]], i)
		}
	}
	q := &queue{changes: changes}
	for i := range changes {
		if open[i] == 0 {
			heap.Push(q, i)
		}
	}
	out := make([]Change, 0, len(changes))
	for q.Len() > 0 {
		i := heap.Pop(q).(int)
		out = append(out, changes[i])
		for _, j := range users[i] {
			if open[j]--; open[j] == 0 {
				heap.Push(q, j)
			}
		}
	}
	return out
}

// before lists what has to come before each change, with circles as one.
func before(changes []Change, circles [][]gitops.Ref) [][]gitops.Ref {
	circle := map[gitops.Ref]int{}
	for n, refs := range circles {
		for _, ref := range refs {
			circle[ref] = n + 1
		}
	}
	needs := make([][]gitops.Ref, len(circles)+1)
	for _, c := range changes {
		if n := circle[c.Ref]; n != 0 {
			needs[n] = append(needs[n], c.Needs...)
		}
	}
	out := make([][]gitops.Ref, len(changes))
	for i, c := range changes {
		in, own := circle[c.Ref], c.Needs
		if in != 0 {
			own = needs[in]
		}
		for _, need := range own {
			switch n := circle[need]; n {
			case 0:
				out[i] = append(out[i], need)
			case in:
			default:
				out[i] = append(out[i], circles[n-1]...)
			}
		}
	}
	return out
}

// queue is a heap of changes that could come next.
type queue struct {
	changes []Change
	ready   []int
}

func (q *queue) Len() int      { return len(q.ready) }
func (q *queue) Swap(i, j int) { q.ready[i], q.ready[j] = q.ready[j], q.ready[i] }
func (q *queue) Push(x any)    { q.ready = append(q.ready, x.(int)) }

// Pop takes the last element, as container/heap asks for.
func (q *queue) Pop() any {
	last := q.ready[len(q.ready)-1]
	q.ready = q.ready[:len(q.ready)-1]
	return last
}

// Less puts what is made before what is deleted, then sorts by ref.
func (q *queue) Less(i, j int) bool {
	a, b := q.changes[q.ready[i]], q.changes[q.ready[j]]
	if (a.Action == Delete) != (b.Action == Delete) {
		return b.Action == Delete
	}
	return a.Ref.Compare(b.Ref) < 0
}

// cycles holds changes that wait for each other and explains each circle once, by its shortest path from its smallest ref.
func (g *graph) cycles(circles [][]gitops.Ref) []*gitops.Error {
	var out []*gitops.Error
	for _, circle := range circles {
		slices.SortFunc(circle, gitops.Ref.Compare)
		said := g.explain(shortest(circle[0], func(r gitops.Ref) []gitops.Ref { return g.changes[r].Needs }))
		first := slices.IndexFunc(circle, func(r gitops.Ref) bool { return r.Domain != gitops.Git })
		for _, ref := range circle {
			g.changes[ref].Hold = &Hold{Reason: gitops.Cycle, Why: said}
		}
		out = append(out, gitops.Errorf(gitops.Cycle, "%s", said).On(circle[first]).At(g.changes[circle[first]].From))
	}
	return out
}

// shortest is the shortest way from a node back to itself, first and last being that node; nil when there is none.
func shortest[N comparable](from N, next func(N) []N) []N {
	came := map[N]N{}
	for queue := []N{from}; len(queue) > 0; queue = queue[1:] {
		for _, to := range next(queue[0]) {
			if to == from {
				way := []N{from}
				for at := queue[0]; at != from; at = came[at] {
					way = append(way, at)
				}
				way = append(way, from)
				slices.Reverse(way)
				return way
			}
			if _, ok := came[to]; !ok {
				came[to] = queue[0]
				queue = append(queue, to)
			}
		}
	}
	return nil
}

// explain says a circle in words: "A needs B (its namespace), B needs A (depends-on at file:line)".
func (g *graph) explain(way []gitops.Ref) string {
	out := ""
	for i := range len(way) - 1 {
		if i > 0 {
			out += ", "
		}
		why := g.edges[way[i]][way[i+1]]
		if why == "" {
			why = "through something unchanged"
		}
		if at := g.changes[way[i]].From.Position.String(); at != "" {
			why += ", " + at
		}
		out += fmt.Sprintf("%s needs %s (%s)", way[i].Label(), way[i+1].Label(), why)
	}
	return out
}
