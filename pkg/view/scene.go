package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// scene is what the displays know of the runs going on: one act per cluster, built from events alone.
type scene struct {
	Options
	acts map[string]*act
	now  time.Time
}

func newScene(o Options) scene { return scene{Options: o, acts: map[string]*act{}, now: o.Now} }

// act is the run of one cluster.
type act struct {
	cluster string
	plan    plan.Plan
	changes map[gitops.Digest]plan.Change
	// stage of a change is one more than the greatest of its needs, from 1.
	stage  map[gitops.Digest]int
	stages int
	// moving is by ref: what one pass began to change, the next one waits for.
	moving map[gitops.Ref]*moving
}

// moving is a change under way.
type moving struct {
	change plan.Change
	began  time.Time
	health gitops.Health
}

// act finds or begins the act of a cluster.
func (s *scene) act(cluster string) *act {
	a := s.acts[cluster]
	if a == nil {
		a = &act{cluster: cluster, moving: map[gitops.Ref]*moving{}}
		a.open(plan.Plan{Cluster: cluster})
		s.acts[cluster] = a
	}
	return a
}

// several reports whether rows must say which cluster they are about.
func (s *scene) several() bool { return len(s.acts) > 1 }

func (a *act) open(p plan.Plan) {
	a.plan, a.stages = p, 0
	a.changes = make(map[gitops.Digest]plan.Change, len(p.Changes))
	a.stage = make(map[gitops.Digest]int, len(p.Changes))
	at := make(map[gitops.Ref]int, len(p.Changes))
	gates := make(map[gitops.Ref][]gitops.Ref, len(p.Gates))
	for _, g := range p.Gates {
		gates[g.Ref] = g.Needs
	}
	// Changes come in an order in which needs precede, so that one pass finds every stage.
	for _, c := range p.Changes {
		stage := 1
		for _, need := range c.Needs {
			if _, known := at[need]; !known {
				for _, of := range gates[need] {
					at[need] = max(at[need], at[of])
				}
			}
			stage = max(stage, at[need]+1)
		}
		a.changes[c.ID], a.stage[c.ID], at[c.Ref] = c, stage, stage
		a.stages = max(a.stages, stage)
	}
	a.rest(func(r gitops.Ref) bool { _, ok := at[r]; return ok })
}

// rest forgets what is no longer under way.
func (a *act) rest(still func(gitops.Ref) bool) {
	for r := range a.moving {
		if !still(r) {
			delete(a.moving, r)
		}
	}
}

// take books an event.
func (s *scene) take(e run.Event) {
	switch e := e.(type) {
	case run.Fetched:
		s.see(e.At)
	case run.Heard:
		s.see(e.At)
	case run.Planned:
		s.see(e.At)
		s.act(e.Cluster).open(e.Plan)
	case run.Started:
		s.see(e.At)
		a := s.act(e.Cluster)
		a.changes[e.Change.ID] = e.Change
		a.moving[e.Change.Ref] = &moving{change: e.Change, began: e.At}
	case run.Progressed:
		s.see(e.At)
		a := s.act(e.Cluster)
		m := a.moving[e.Ref]
		if m == nil {
			m = &moving{change: a.change(run.Result{Change: e.Change, Ref: e.Ref}), began: e.At}
			a.moving[e.Ref] = m
		}
		m.health = e.Health
	case run.Settled:
		s.see(e.At)
		delete(s.act(e.Cluster).moving, e.Result.Ref)
	case run.Finished:
		s.see(e.At)
		flying := inFlight(e.Record)
		s.act(e.Cluster).rest(func(r gitops.Ref) bool { return slices.Contains(flying, r) })
	}
}

func (s *scene) see(at time.Time) {
	if at.After(s.now) {
		s.now = at
	}
}

// slow lists what is under way, the oldest first.
func (a *act) slow() []*moving {
	out := make([]*moving, 0, len(a.moving))
	for _, m := range a.moving {
		out = append(out, m)
	}
	slices.SortFunc(out, func(x, y *moving) int {
		return cmp.Or(x.began.Compare(y.began), x.change.Ref.Compare(y.change.Ref))
	})
	return out
}

func (a *act) change(r run.Result) plan.Change {
	if c, ok := a.changes[r.Change]; ok {
		return c
	}
	return plan.Change{ID: r.Change, Ref: r.Ref, Action: plan.Wait}
}

// place is "[2/3]": the stage of a change among all.
func (a *act) place(id gitops.Digest) string {
	return fmt.Sprintf("[%d/%d]", max(1, a.stage[id]), max(1, a.stages))
}

// opening is the line about a plan.
func (a *act) opening(of string) string {
	s := a.plan.Summary()
	var parts []string
	if n := len(a.plan.Changes) - s.Waiting; n > 0 {
		parts = append(parts, count(a.stages, "stage", "stages"), count(n, "change", "changes"))
	}
	if s.Waiting > 0 {
		parts = append(parts, fmt.Sprintf("%d in flight", s.Waiting))
	}
	if s.Held > 0 {
		parts = append(parts, fmt.Sprintf("%d held", s.Held))
	}
	if len(parts) == 0 {
		parts = append(parts, "nothing to change")
	}
	if !a.plan.Complete {
		parts = append(parts, "incomplete")
	}
	head := "plan " + a.plan.ID.Short()
	if of != "" {
		head += " of " + of
	}
	return head + "   " + strings.Join(parts, ", ")
}

// closing is the line about a run that ended.
func closing(o Options, r run.Record) string {
	line := string(r.Outcome) + "  " + totals(r)
	if r.ID > 0 {
		line += fmt.Sprintf("        run %d", r.ID)
	}
	// Of these outcomes only does something wait for the next pass; others go on by themselves or wait for a person.
	if failed := r.Outcome == run.Failed || r.Outcome == run.Unknown; failed && !r.Next.IsZero() {
		line += "     next try " + o.clock(r.Next, "15:04:05")
	}
	switch {
	case r.ID == 0 || r.Outcome == run.Converged:
	case r.Outcome == run.Waiting && approvable(r.Plan) > 0:
		line += " · reconciler approve " + r.Plan.ID.Short()
	default:
		line += fmt.Sprintf(" · reconciler history show %d --cluster %s", r.ID, clean(r.Cluster))
	}
	return line
}

// inFlight are the refs that were accepted and are not ready yet.
func inFlight(r run.Record) []gitops.Ref {
	var out []gitops.Ref
	for _, res := range r.Results {
		if res.State == run.Applied || res.State == run.Applying {
			out = append(out, res.Ref)
		}
	}
	return out
}

// troubles are the failures of a run, repeated at its end where people look.
func troubles(r run.Record) []*gitops.Error {
	var out []*gitops.Error
	for _, res := range r.Results {
		if res.State == run.Broken && res.Error != nil {
			out = append(out, res.Error)
		}
	}
	return append(out, pressing(r.Plan.Problems)...)
}
