package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// firewall is what keeps deletions back while something is unknown (law 4: unknown is not absent).
//
//	what is not known                           what it keeps from being deleted
//	an observation of a domain                  everything in the domain
//	what an overlay renders (broken)            its own objects; those of other overlays are held, because they may have
//	                                            moved into it
//	what an overlay renders (facts pending)     its own objects
//	what the cluster's policy is                everything, and everything else is held
//	what a single ref should be (duplicates)    that ref
//	whether an overlay that renders nothing is  its objects are held: deleting the overlay's folder says so clearly
//	meant to
type firewall struct {
	desired  gitops.Desired
	problems []*gitops.Error
	// unknown are the domains in which something could not be observed, with the first cause.
	unknown map[gitops.Domain]*gitops.Error
	// lawless is why the policy of the cluster is not known: nothing is changed then, because a policy is never guessed.
	lawless *gitops.Error
	// troubled are refs that a problem is about.
	troubled map[gitops.Ref]bool
	// partial are overlays that could not be rendered whole; pending ones wait for facts, but what they want is known by name.
	partial, pending map[string]bool
	// filled are overlays that render something.
	filled map[string]bool
	// withheld are the deletions kept back, by domain.
	withheld map[gitops.Domain][]gitops.Ref
	// disowned are the notes about what was ours and is not any more.
	disowned []*gitops.Error
	// extras are live, and neither git's nor ours.
	extras []gitops.Ref
}

// raise reads from the input what is unknown.
func raise(in Input) *firewall {
	w := &firewall{
		desired: in.Desired, unknown: map[gitops.Domain]*gitops.Error{}, troubled: map[gitops.Ref]bool{},
		partial: map[string]bool{}, pending: map[string]bool{}, filled: map[string]bool{}, withheld: map[gitops.Domain][]gitops.Ref{},
	}
	for _, o := range in.Desired.Overlays {
		w.partial[o.Name], w.pending[o.Name] = !o.Complete, o.Pending
	}
	for _, p := range in.Desired.Problems {
		w.problems = append(w.problems, p)
		w.note(p)
	}
	untold := 0
	for i := range in.Desired.Items {
		item := &in.Desired.Items[i]
		w.filled[item.From.Overlay] = true
		if missing(in, item) {
			untold++
		}
	}
	if objects := in.Observed[gitops.Ref{Domain: gitops.K8s}]; objects.Err == nil && untold != objects.Still {
		w.unanswered(in)
	}
	for _, ref := range refsOf(in.Observed, func(o gitops.Observation) bool { return o.Err != nil }) {
		o := in.Observed[ref]
		switch {
		case o.Err.Reason.Note():
			// It informs, and leaves nothing unknown.
			w.problems = append(w.problems, located(o, ref))
		default:
			w.doubt(ref.Domain, located(o, ref))
		}
	}
	for _, ref := range refsOf(in.Observed, func(o gitops.Observation) bool { return len(o.Overruled) > 0 && o.Err == nil }) {
		w.problems = append(w.problems, overruled(ref, in.Observed[ref]))
	}
	slices.SortStableFunc(w.problems, func(a, b *gitops.Error) int { return a.Ref.Compare(b.Ref) })
	return w
}

// missing reports whether nothing was told of a desired object.
func missing(in Input, item *gitops.Item) bool {
	_, told := in.Observed[item.Ref]
	return !told && item.Ref.Domain == gitops.K8s
}

// unanswered doubts every object of which nothing was told, since not all of them are said to rest.
func (w *firewall) unanswered(in Input) {
	for i := range in.Desired.Items {
		if item := &in.Desired.Items[i]; missing(in, item) {
			w.doubt(gitops.K8s, gitops.Errorf(gitops.ObserveFailed, "nothing is known about its live state").On(item.Ref).At(item.From))
		}
	}
}

// located copies an observation's error with the ref and origin it lacks; the ref of an error about a whole domain is that domain.
func located(o gitops.Observation, ref gitops.Ref) *gitops.Error {
	e := *o.Err
	if e.Ref.IsZero() {
		e.Ref = ref
	}
	if e.From.File == "" {
		e.From = o.From
	}
	return &e
}

// overruled notes that the server does not do as git says.
func overruled(ref gitops.Ref, o gitops.Observation) *gitops.Error {
	return gitops.Errorf(gitops.Overruled, "the API server stores %s otherwise than git says", strings.Join(o.Overruled, ", ")).On(ref).At(o.From)
}

// note reads what a problem of the desired side makes unknown.
func (w *firewall) note(p *gitops.Error) {
	if p.Reason == gitops.PolicyInvalid {
		w.lawless = p
	}
	switch {
	case p.Reason.Note() || p.Reason == gitops.FactsPending:
	case p.From.Overlay != "" && p.Ref.IsZero():
		w.partial[p.From.Overlay] = true
	case !p.Ref.IsZero() && p.Ref.Domain == gitops.K8s:
		w.troubled[p.Ref] = true
	case p.Ref.Domain == gitops.EKS || p.Reason == gitops.ConfigInvalid:
		w.unknown[gitops.EKS] = p
	default:
		w.unknown[gitops.EKS], w.unknown[gitops.K8s] = p, p
	}
}

func (w *firewall) doubt(d gitops.Domain, e *gitops.Error) {
	w.problems = append(w.problems, e)
	if w.unknown[d] == nil {
		w.unknown[d] = e
	}
}

// mayDelete reports whether a live thing of an overlay that git does not want may appear as a deletion at all.
func (w *firewall) mayDelete(ref gitops.Ref, owned bool, overlay string) bool {
	switch {
	case !owned || w.troubled[ref]:
		return false
	case w.pending[overlay]:
		return false // what it wants is known a pass later, without anybody's doing
	case w.unknown[ref.Domain] != nil, w.partial[overlay]:
		w.withheld[ref.Domain] = append(w.withheld[ref.Domain], ref)
		return false
	}
	return true
}

// hold says why the deletion of an object of an overlay must wait for a person; nil when it need not.
func (w *firewall) hold(overlay string) *Hold {
	if overlay == "" {
		return nil
	}
	var partial []string
	for _, o := range w.desired.Overlays {
		if o.Name == overlay && !w.filled[overlay] {
			return &Hold{Reason: gitops.PruneBlocked, Why: fmt.Sprintf("overlay %s renders nothing; delete its folder if that is meant", overlay)}
		}
	}
	for name, unknown := range w.partial {
		if unknown {
			partial = append(partial, name)
		}
	}
	if len(partial) == 0 {
		return nil
	}
	slices.Sort(partial)
	return &Hold{Reason: gitops.PruneBlocked, Why: "it may have moved into what cannot be rendered now: " + strings.Join(partial, ", "), Approvable: true}
}

// disown notes that a thing was ours and is not any more: it is not deleted, and not forgotten either.
func (w *firewall) disown(ref gitops.Ref, from gitops.Origin) {
	w.disowned = append(w.disowned, kept(ref, from, "somebody took the reconciler's label off"))
}

// told are the deletions that are not in the plan: because of what is unknown, or because the thing is not ours any more.
func (w *firewall) told() []*gitops.Error {
	var out []*gitops.Error
	for _, d := range []struct {
		domain gitops.Domain
		name   string
	}{{gitops.EKS, "EKS"}, {gitops.K8s, "the cluster"}} {
		if refs := w.withheld[d.domain]; len(refs) > 0 {
			kept := "is kept"
			if len(refs) > 1 {
				kept = "are kept"
			}
			e := gitops.Errorf(gitops.PruneBlocked, "%s that left git %s until everything in %s is known: %s", things(len(refs)), kept, d.name, labels(refs))
			e.Try = "solve the other problems first"
			out = append(out, e)
		}
	}
	if len(w.extras) > 0 {
		out = append(out, gitops.Errorf(gitops.Extra, "live, not in git, and left alone: %s", allLabels(w.extras)))
	}
	return append(out, w.disowned...)
}

func allLabels(refs []gitops.Ref) string {
	var out []string
	for _, r := range refs {
		out = append(out, r.Label())
	}
	return strings.Join(out, ", ")
}

// labels names the first of many refs.
func labels(refs []gitops.Ref) string {
	const most = 3
	text := allLabels(refs[:min(len(refs), most)])
	if more := len(refs) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func things(n int) string {
	if n == 1 {
		return "1 thing"
	}
	return fmt.Sprintf("%d things", n)
}

// complete reports whether nothing was left unknown: problems about order or single values do not count.
func complete(problems []*gitops.Error) bool {
	return !slices.ContainsFunc(problems, func(p *gitops.Error) bool {
		return !p.Reason.Note() && p.Reason != gitops.Cycle && p.Reason != gitops.FactsPending && !p.Reason.Holds()
	})
}
