package run

import (
	"reflect"
	"slices"
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// Point is a run as a comparison names it.
type Point struct {
	Run      int             `json:"run"`
	Revision gitops.Revision `json:"revision"`
	Outcome  Outcome         `json:"outcome"`
	Ended    time.Time       `json:"ended,omitzero"`
}

// Comparison is what the runs after From, up to and including To, did to a cluster, taken together.
type Comparison struct {
	Cluster string `json:"cluster"`
	From    Point  `json:"from"`
	To      Point  `json:"to"`
	// Net is sorted by ref. What was changed and changed back is not in it.
	Net []Net `json:"net"`
	// Missing counts runs between the two that are no longer kept: what they did is not in Net.
	Missing int `json:"missing,omitempty"`
}

// Net is what became of one thing over several runs.
type Net struct {
	Ref    gitops.Ref  `json:"ref"`
	Action plan.Action `json:"action"`
	Edits  []plan.Edit `json:"edits,omitempty"`
	// Runs are the runs that touched it, oldest first.
	Runs []int `json:"runs"`
}

// Compare sums up the runs after from, up to and including to. The records may come in any order and may hold others.
func Compare(records []Record, from, to Record) Comparison {
	c := Comparison{Cluster: to.Cluster, From: point(from), To: point(to), Net: []Net{}}
	between := slices.DeleteFunc(slices.Clone(records), func(r Record) bool { return r.ID <= from.ID || r.ID > to.ID })
	slices.SortFunc(between, func(a, b Record) int { return a.ID - b.ID })
	between = slices.CompactFunc(between, func(a, b Record) bool { return a.ID == b.ID })
	c.Missing = max(0, to.ID-from.ID) - len(between)
	courses := map[gitops.Ref]*course{}
	for _, r := range between {
		for change, res := range r.Each() {
			if !res.Reached() || change.Action == plan.Wait {
				continue
			}
			if courses[change.Ref] == nil {
				courses[change.Ref] = &course{born: change.Action == plan.Create}
			}
			courses[change.Ref].add(r.ID, change)
		}
	}
	for ref, course := range courses {
		if net, ok := course.net(ref); ok {
			c.Net = append(c.Net, net)
		}
	}
	slices.SortFunc(c.Net, func(a, b Net) int { return a.Ref.Compare(b.Ref) })
	return c
}

func point(r Record) Point {
	return Point{Run: r.ID, Revision: r.Plan.Revision, Outcome: r.Outcome, Ended: r.Ended}
}

// course is one thing's way through several runs.
type course struct {
	// born says that it was not there before, gone that it is not there now, reborn that it was made anew between.
	born, gone, reborn bool
	edits              []plan.Edit
	runs               []int
}

func (c *course) add(run int, change plan.Change) {
	c.runs = append(c.runs, run)
	switch change.Action {
	case plan.Delete:
		c.gone = true
		return
	case plan.Replace:
		c.reborn = true
	case plan.Create:
		c.reborn = c.reborn || c.gone
		c.gone = false
	case plan.Update, plan.Wait:
	}
	for _, e := range change.Edits {
		if i := slices.IndexFunc(c.edits, func(have plan.Edit) bool { return have.Path == e.Path }); i >= 0 {
			c.edits[i].After, c.edits[i].Owner = e.After, nil
			continue
		}
		c.edits = append(c.edits, plan.Edit{Path: e.Path, Before: e.Before, After: e.After})
	}
}

func (c *course) net(ref gitops.Ref) (Net, bool) {
	n := Net{Ref: ref, Runs: c.runs}
	switch {
	case c.born && c.gone:
		return Net{}, false
	case c.gone:
		n.Action = plan.Delete
		return n, true
	case c.born:
		n.Action = plan.Create
	case c.reborn:
		n.Action = plan.Replace
	default:
		n.Action = plan.Update
	}
	n.Edits = slices.DeleteFunc(c.edits, func(e plan.Edit) bool { return reflect.DeepEqual(e.Before, e.After) })
	return n, n.Action != plan.Update || len(n.Edits) > 0
}
