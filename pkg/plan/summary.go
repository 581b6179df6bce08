package plan

import (
	"slices"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Summary counts the changes of a plan. Held and drifted changes count under their action as well.
type Summary struct {
	Create    int `json:"create"`
	Update    int `json:"update"`
	Replace   int `json:"replace"`
	Delete    int `json:"delete"`
	Waiting   int `json:"waiting"`
	Held      int `json:"held"`
	Drift     int `json:"drift"`
	Unchanged int `json:"unchanged"`
	// Kept counts what left git and stays live; it is nothing to do.
	Kept int `json:"kept,omitempty"`
}

// Summary counts the changes.
func (p Plan) Summary() Summary {
	s := Summary{Unchanged: p.Unchanged}
	for _, c := range p.Changes {
		switch c.Action {
		case Create:
			s.Create++
		case Update:
			s.Update++
		case Replace:
			s.Replace++
		case Delete:
			s.Delete++
		case Wait:
			s.Waiting++
		}
		if c.Hold != nil {
			s.Held++
		}
		if c.Drift {
			s.Drift++
		}
	}
	for _, e := range p.Problems {
		if e.Reason == gitops.Kept {
			s.Kept++
		}
	}
	return s
}

// Held are the changes that wait for a person.
func (p Plan) Held() []Change {
	return slices.DeleteFunc(slices.Clone(p.Changes), func(c Change) bool { return c.Hold == nil })
}

// Change finds the change of a ref.
func (p Plan) Change(r gitops.Ref) (Change, bool) {
	for _, c := range p.Changes {
		if c.Ref == r {
			return c, true
		}
	}
	return Change{}, false
}

// Left says what exit codes and badges say about a plan: nothing left to do, something left to do, or could not tell.
// Problems that only inform count for nothing, but for one that tells of another round.
func (p Plan) Left() Verdict {
	switch {
	case !p.Complete:
		return Unsure
	case len(p.Changes) > 0 || slices.ContainsFunc(p.Problems, func(e *gitops.Error) bool { return !e.Reason.Note() || e.Reason == gitops.UpgradeRound }):
		return Something
	}
	return Nothing
}

// Verdict is what is left to do, as the exit code that every command uses for it.
type Verdict int

// The verdicts, in rising order: the verdict about many plans is the greatest.
const (
	// Nothing is left to do.
	Nothing Verdict = iota
	// Something is left to do: a difference, drift, a hold, a failure, or something that is not ready yet.
	Something
	// Unsure means that something could not be observed or rendered.
	Unsure
)
