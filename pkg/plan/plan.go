// Package plan says what should change.
//
// Purpose: compute ONE honest plan over EKS and the cluster, as a value that every surface prints and the engine carries out.
// Inputs: gitops.Desired (git), gitops.Observed (the live world and what apply would make of it), gitops.Inventory (what
// was applied last) and policies. Output: a Plan.
// Invariants: pure and deterministic (the same inputs give the same Plan.ID); an observation error in a domain means no
// deletes there and Complete=false; secret values appear only redacted; no context, clock, I/O or logging here.
package plan

import (
	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Action is what a change does.
type Action string

// The actions. Wait applies nothing: something is in flight or live but not ready, and others may need it.
const (
	Create  Action = "create"
	Update  Action = "update"
	Replace Action = "replace"
	Delete  Action = "delete"
	Wait    Action = "wait"
)

// Symbol is the one-character form used on every surface beside the word.
func (a Action) Symbol() string {
	switch a {
	case Create:
		return "+"
	case Update:
		return "~"
	case Replace:
		return "±"
	case Delete:
		return "-"
	case Wait:
		return "…"
	}
	return "?"
}

// Risk says what a change may cost.
type Risk string

// The risks, in rising order.
const (
	// RiskNone changes nothing that runs.
	RiskNone Risk = "none"
	// Disruptive restarts or moves workloads.
	Disruptive Risk = "disruptive"
	// Destructive deletes data, capacity or anything that cannot be made again from git alone.
	Destructive Risk = "destructive"
)

// Edit is one field that changes. Before or After is nil where the field is absent. Secret values are redacted marks.
type Edit struct {
	Path   string `json:"path"`
	Before any    `json:"before,omitempty"`
	After  any    `json:"after,omitempty"`
	// Owner is who set the live value, where known.
	Owner *gitops.Owner `json:"owner,omitempty"`
	// From is where git sets the field when that is not the item's own origin.
	From *gitops.Position `json:"from,omitempty"`
}

// Hold keeps a change from being applied until a person acts.
type Hold struct {
	Reason gitops.Reason `json:"reason"`
	Why    string        `json:"why"`
	// Approvable says that an approval in git releases it; otherwise only a change of git or of the live state does.
	Approvable bool `json:"approvable"`
}

// Change is one thing that should change.
type Change struct {
	// ID is a hash of ref, action and edits: an approval of it is void as soon as that very change differs. It has to name the concerns, too.
	ID     gitops.Digest `json:"id"`
	Ref    gitops.Ref    `json:"ref"`
	Action Action        `json:"action"`
	// Why is for people and never drives behaviour.
	Why  string `json:"why,omitempty"`
	Risk Risk   `json:"risk"`
	// Minutes is how long such changes usually take; 0 when nothing is known of that, as of objects.
	Minutes int `json:"minutes,omitempty"`
	// Lock names what takes one operation at a time ("cluster dev", "nodegroup system"): of the changes with one lock, the infrastructure's
	// side carries out one after the other.
	Lock  string `json:"lock,omitempty"`
	Edits []Edit `json:"edits,omitempty"`
	// Drift says that git did not change: the live thing did.
	Drift bool `json:"drift,omitempty"`
	// Predicted says that the server could not confirm the outcome yet.
	Predicted bool             `json:"predicted,omitempty"`
	Skipped   []gitops.Skipped `json:"skipped,omitempty"`
	Hold      *Hold            `json:"hold,omitempty"`
	Concerns  []Concern        `json:"concerns,omitempty"`
	// Approved is the file that approves a change that would be held.
	Approved *gitops.Position `json:"approved,omitempty"`
	// Needs are the changes and gates of this plan that must be done first.
	Needs []gitops.Ref  `json:"needs,omitempty"`
	From  gitops.Origin `json:"from"`

	// Spec is the desired content that Actor.Apply sends; nil for deletions. It may hold secrets and is never encoded.
	Spec gitops.Tree `json:"-"`
	// Live is what was observed, for the Actor's preconditions. It may hold secrets and is never encoded.
	Live gitops.Tree `json:"-"`
	// Secrets are the fields of Spec and Live whose values came out of encrypted files (gitops.Origin.Secrets).
	Secrets []string `json:"-"`
}

// Applies reports whether the change is to be carried out, now or after its needs: it is not held and not merely waited for.
func (c Change) Applies() bool { return c.Hold == nil && c.Action != Wait }

// Plan is everything that should change in one cluster, in the order it can be carried out.
type Plan struct {
	ID       gitops.Digest   `json:"id"`
	Cluster  string          `json:"cluster"`
	Revision gitops.Revision `json:"revision"`
	// Complete is false when something could not be observed or rendered: the plan is true in what it says, but may lack changes.
	Complete bool     `json:"complete"`
	Changes  []Change `json:"changes"`
	// Gates are what changes may need besides other changes.
	Gates    []Gate          `json:"gates,omitempty"`
	Problems []*gitops.Error `json:"problems,omitempty"`
	// Unchanged counts the observed things that need nothing.
	Unchanged int `json:"unchanged"`
}

// Empty reports whether nothing is left to do: no change, no wait, no hold, and nothing unknown.
func (p Plan) Empty() bool { return p.Left() == Nothing }

// Gate stands for many changes, so that what waits for all of them needs one thing: it opens when its needs are done, and never
// when one of them fails. Ref is in domain git: an Overlay, for everything that is made or changed of it, or an
// OverlayRemoval, for everything that is deleted of it.
type Gate struct {
	Ref   gitops.Ref   `json:"ref"`
	Needs []gitops.Ref `json:"needs"`
}

// Policy rewrites a plan: drops, holds or orders changes. Policies compose left to right and never add changes.
type Policy func(Plan) Plan

// Input is what Build computes from.
type Input struct {
	Desired   gitops.Desired
	Observed  gitops.Observed
	Inventory gitops.Inventory
	Redactor  gitops.Redactor
	// DependsOn orders overlays, as reconcile.yaml says.
	DependsOn []Dependence
}
