// Package run says what happened: the events of a run as they occur, and the Record that is kept.
//
// Inputs: none; these are values made by the engine. Outputs: read by view, web, ledger, metrics and notify.
// Invariants: an Event or Record never holds object bodies or secrets; a Record replays every view of its run; a preview
// is a Record whose Outcome is Preview.
package run

import (
	"iter"
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// Outcome is how a run ended.
type Outcome string

// The outcomes.
const (
	// Converged means that live equals git and everything is ready.
	Converged Outcome = "converged"
	// Progressing means that nothing failed, but something in flight or just unblocked is left for the next run.
	Progressing Outcome = "progressing"
	// Waiting means that all that is left is held for approval.
	Waiting Outcome = "held"
	// Failed means that at least one change failed or is failing.
	Failed Outcome = "failed"
	// Unknown means that something could not be observed or rendered.
	Unknown Outcome = "unknown"
	// Preview means that nothing was meant to be applied.
	Preview Outcome = "preview"
)

// State is how far one change came.
type State string

// The states of a change in a run.
const (
	Pending     State = "pending"
	Applying    State = "applying"
	Applied     State = "applied"
	Done        State = "done"
	ChangeHeld  State = "held"
	Blocked     State = "blocked"
	Broken      State = "failed"
	Interrupted State = "interrupted"
)

// Result is what became of one change.
type Result struct {
	Change gitops.Digest `json:"change"`
	Ref    gitops.Ref    `json:"ref"`
	State  State         `json:"state"`
	Health gitops.Health `json:"health,omitzero"`
	Error  *gitops.Error `json:"error,omitempty"`
	Began  time.Time     `json:"began,omitzero"`
	Ended  time.Time     `json:"ended,omitzero"`
}

// Record is one run, whole: what was planned and what became of it.
type Record struct {
	// ID counts runs of a cluster from 1.
	ID      int       `json:"id"`
	Cluster string    `json:"cluster"`
	Cause   string    `json:"cause"`
	Plan    plan.Plan `json:"plan"`
	Results []Result  `json:"results,omitempty"`
	Outcome Outcome   `json:"outcome"`
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended,omitzero"`
	// Next is when the next run is due at the latest; zero for a one-shot run.
	Next time.Time `json:"next,omitzero"`
}

// Each are the changes of the plan, each with its result; that of a change that has none is zero.
func (r Record) Each() iter.Seq2[plan.Change, Result] {
	return func(yield func(plan.Change, Result) bool) {
		of := make(map[gitops.Digest]Result, len(r.Results))
		for _, res := range r.Results {
			of[res.Change] = res
		}
		for _, c := range r.Plan.Changes {
			if !yield(c, of[c.ID]) {
				return
			}
		}
	}
}

// Result finds the result of a change.
func (r Record) Result(id gitops.Digest) (Result, bool) {
	for _, res := range r.Results {
		if res.Change == id {
			return res, true
		}
	}
	return Result{}, false
}
