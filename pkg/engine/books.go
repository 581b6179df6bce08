package engine

import (
	"maps"
	"reflect"
	"slices"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// books is an inventory that a run writes to. The one that it was read as stays as it is: it is shared.
type books struct {
	now gitops.Inventory
	// changed says that now holds what is not stored yet.
	changed bool
}

func (b *books) put(ref gitops.Ref, e gitops.Entry) {
	if have, booked := b.now[ref]; !booked || !have.Equal(e) {
		b.write()
		b.now[ref] = e
	}
}

func (b *books) drop(ref gitops.Ref) {
	if _, booked := b.now[ref]; booked {
		b.write()
		delete(b.now, ref)
	}
}

// write makes a copy that may be written to.
func (b *books) write() {
	if !b.changed {
		fresh := make(gitops.Inventory, len(b.now)+1)
		maps.Copy(fresh, b.now)
		b.now, b.changed = fresh, true
	}
}

// ahead books what must not be forgotten when a run does not end: everything that is about to be deleted is on the books (law 5), and
// fields that are about to get secrets are known to hold them.
func (b *books) ahead(p plan.Plan) {
	for _, c := range p.Changes {
		have, booked := b.now[c.Ref]
		switch {
		case c.Action == plan.Delete && !booked:
			b.put(c.Ref, gitops.Entry{Overlay: c.From.Overlay})
		case booked && c.Applies() && len(c.From.Secrets) > 0:
			have.Secrets = union(have.Secrets, c.From.Secrets)
			b.put(c.Ref, have)
		}
	}
}

// settle books what came of a run: what was applied or found equal is in it, what was confirmed gone is not.
func (b *books) settle(o gitops.Observed, r run.Record) {
	for c, res := range r.Each() {
		b.change(c, res, r.Plan.Revision)
	}
	for ref, seen := range o {
		b.seen(ref, seen, r.Plan.Revision)
	}
	for c, res := range r.Each() {
		// What was waited for was as git says when it was looked at, and may have finished since.
		if have := b.now[c.Ref]; c.Action == plan.Wait && res.Health.Finished && have.Spec == gitops.DigestOf(c.Spec) {
			have.Finished = true
			b.put(c.Ref, have)
		}
	}
}

// change books what became of a change.
func (b *books) change(c plan.Change, res run.Result, at gitops.Revision) {
	switch {
	case c.Action == plan.Delete && res.State == run.Done:
		b.drop(c.Ref)
	case c.Action == plan.Delete || c.Action == plan.Wait || !res.Reached():
	case res.State == run.Done, res.Health.Finished:
		// What ran and failed is as git says, too, and running it again is for git to say.
		done := entry(b.now[c.Ref], gitops.Entry{Overlay: c.From.Overlay, Spec: gitops.DigestOf(c.Spec), Revision: at.Hash, Secrets: c.From.Secrets})
		done.Finished = res.Health.Finished
		b.put(c.Ref, done)
	default:
		// Accepted, but not there yet: it is on the books, and still a change of git and not drift while it takes its
		// further steps.
		have := b.now[c.Ref]
		have.Overlay = c.From.Overlay
		have.Secrets = union(have.Secrets, c.From.Secrets)
		b.put(c.Ref, have)
	}
}

// seen books what was seen before anything was changed.
func (b *books) seen(ref gitops.Ref, seen gitops.Observation, at gitops.Revision) {
	switch {
	case seen.Err != nil:
	case seen.Settled, seen.Spec != nil && seen.Live != nil && reflect.DeepEqual(seen.Live, seen.Next):
		digest := seen.Digest
		if digest == "" {
			digest = gitops.DigestOf(seen.Spec)
		}
		b.put(ref, entry(b.now[ref], gitops.Entry{
			Overlay: seen.From.Overlay, Spec: digest, Revision: at.Hash, Finished: seen.Finished, Secrets: seen.From.Secrets,
		}))
	case seen.Live == nil && seen.Finished:
		// It did its work and went: the books are what keeps it from being made again.
	case seen.Live == nil && seen.Next == nil:
		// Certainly gone: the delete worked although its answer was lost, or somebody else did it.
		b.drop(ref)
	}
}

// entry keeps the entry that is there when the new one says the same of the content, so that Revision stays the commit that
// last changed it.
func entry(have, found gitops.Entry) gitops.Entry {
	if have.Spec == found.Spec && have.Overlay == found.Overlay && slices.Equal(have.Secrets, found.Secrets) {
		have.Finished = have.Finished || found.Finished
		return have
	}
	return found
}

// union is both lists, sorted.
func union(a, b []string) []string {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

// states are those that the results of a run are in.
type states struct{ failed, moving, held, blocked bool }

func statesOf(results []run.Result) states {
	var out states
	for _, res := range results {
		switch res.State {
		case run.Broken:
			out.failed = true
		case run.ChangeHeld:
			out.held = true
		case run.Done:
		case run.Blocked:
			switch reasonOf(res) {
			case gitops.Backoff, gitops.Contested:
				// Waiting for the next try of something that failed is still failing, and so is what another manager insists on.
				out.failed = true
			case gitops.Blocked:
				out.blocked = true // it shares the fate of what it needs
			default:
				out.moving = true
			}
		case run.Pending, run.Applying, run.Applied, run.Interrupted:
			out.moving = true
		}
	}
	return out
}

func reasonOf(res run.Result) gitops.Reason {
	if res.Error == nil {
		return ""
	}
	return res.Error.Reason
}

// outcome sums a run up: the worst word wins, and waiting for a person counts only when nothing else is left but what waits for that.
func outcome(r run.Record) run.Outcome {
	is := statesOf(r.Results)
	switch {
	case is.failed:
		return run.Failed
	case !r.Plan.Complete || troubled(r.Plan):
		return run.Unknown
	case is.moving, is.blocked && !is.held:
		return run.Progressing
	case is.held:
		return run.Waiting
	case unfinished(r.Plan) && len(r.Results) > 0:
		return run.Progressing
	case unfinished(r.Plan):
		return run.Waiting
	}
	return run.Converged
}

// noteworthy reports whether history should hold a run: it changed something, or it ended differently from the one before.
func noteworthy(r run.Record, last *run.Record) bool {
	switch {
	case last == nil, last.Outcome != r.Outcome, last.Plan.Revision.Hash != r.Plan.Revision.Hash:
		return true
	case r.Outcome != run.Converged && last.Plan.ID != r.Plan.ID:
		return true
	}
	for c, res := range r.Each() {
		if c.Action != plan.Wait && res.Reached() {
			return true
		}
	}
	return false
}

// troubled reports whether a plan has problems. What holds a change is the hold's to say.
func troubled(p plan.Plan) bool {
	for _, problem := range p.Problems {
		if !problem.Reason.Note() && !problem.Reason.Holds() {
			return true
		}
	}
	return false
}

// unfinished reports whether the next pass goes on where a plan ends.
func unfinished(p plan.Plan) bool {
	return slices.ContainsFunc(p.Problems, func(e *gitops.Error) bool { return e.Reason == gitops.UpgradeRound })
}
