package run

import (
	"slices"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// Count is what a run really did, by action, and what it could not do.
type Count struct {
	Create  int `json:"create"`
	Update  int `json:"update"`
	Replace int `json:"replace"`
	Delete  int `json:"delete"`
	Failed  int `json:"failed"`
	Held    int `json:"held"`
	Blocked int `json:"blocked"`
}

// Reached reports whether the change was accepted by the cluster or by AWS, whatever became of it afterwards.
func (r Result) Reached() bool {
	switch r.State {
	case Applied, Done:
		return true
	case Broken:
		return r.Error != nil && (r.Error.Reason == gitops.HealthFailed || r.Error.Reason == gitops.Deadline)
	case Pending, Applying, ChangeHeld, Blocked, Interrupted:
	}
	return false
}

// Count sums up the results.
func (r Record) Count() Count {
	var n Count
	for c, res := range r.Each() {
		if res.Reached() {
			n.did(c.Action)
		}
		switch res.State {
		case Broken:
			n.Failed++
		case ChangeHeld:
			n.Held++
		case Blocked:
			n.Blocked++
		case Pending, Applying, Applied, Done, Interrupted:
		}
	}
	return n
}

func (n *Count) did(a plan.Action) {
	switch a {
	case plan.Create:
		n.Create++
	case plan.Update:
		n.Update++
	case plan.Replace:
		n.Replace++
	case plan.Delete:
		n.Delete++
	case plan.Wait:
	}
}

// Applied counts the changes that took effect.
func (n Count) Applied() int { return n.Create + n.Update + n.Replace + n.Delete }

// Touch is one change of one thing in one run: the answer to "why is it like this".
type Touch struct {
	Run      int             `json:"run"`
	Revision gitops.Revision `json:"revision"`
	Cause    string          `json:"cause"`
	Change   plan.Change     `json:"change"`
	Result   Result          `json:"result"`
}

// Why lists the changes of a ref that took effect or failed, newest first. Records may come in any order.
func Why(records []Record, ref gitops.Ref) []Touch {
	var out []Touch
	for _, r := range records {
		c, ok := r.Plan.Change(ref)
		if !ok || c.Action == plan.Wait {
			continue
		}
		res, ok := r.Result(c.ID)
		if !ok || (!res.Reached() && res.State != Broken) {
			continue
		}
		out = append(out, Touch{Run: r.ID, Revision: r.Plan.Revision, Cause: r.Cause, Change: c, Result: res})
	}
	slices.SortStableFunc(out, func(a, b Touch) int { return b.Run - a.Run })
	return out
}
