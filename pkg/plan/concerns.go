package plan

import (
	"fmt"
	"slices"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// concerns are what is to be known of a change before it begins: what the observer found, and the objects of git that are not served
// after an upgrade. These would be live and work on, and could not be changed or made anew; an upgrade cannot be taken back.
func (b *builder) concerns(ref gitops.Ref, o gitops.Observation) []gitops.Concern {
	out := slices.Clone(o.Concerns)
	minor, upgrades := upgradesTo(o)
	if ref.Domain != gitops.EKS || !upgrades {
		return out
	}
	for _, lost := range Unserved(b.Desired.Items, minor) {
		if lost.Reason.Note() {
			continue
		}
		e := gitops.Errorf(gitops.UpgradeBlocked, "%s: %s", lost.Ref.Label(), lost.Message()).At(lost.From)
		e.Try = lost.Try
		out = append(out, gitops.Concern{Error: e})
	}
	return out
}

// upgradesTo is the minor version of Kubernetes that a live cluster is to be moved to.
func upgradesTo(o gitops.Observation) (int, bool) {
	before, after := gitops.StringAt(o.Live, "metadata", "version"), gitops.StringAt(o.Next, "metadata", "version")
	minor, known := Minor(after)
	return minor, known && before != "" && before != after
}

// concerned tells the concerns about every change, in the order of refs.
func (b *builder) concerned() []*gitops.Error {
	var out []*gitops.Error
	concerning := func(o gitops.Observation) bool {
		_, upgrades := upgradesTo(o)
		return o.Err == nil && (upgrades || len(o.Concerns) > 0)
	}
	for _, ref := range refsOf(b.Observed, concerning) {
		for _, c := range b.concerns(ref, b.Observed[ref]) {
			e := *c.Error
			e.Ref = ref
			out = append(out, &e)
		}
	}
	return out
}

// concernHold holds what a concern that is more than a note is about. An approval releases it unless one of them is final.
func concernHold(concerns []gitops.Concern) *Hold {
	blocking := slices.DeleteFunc(slices.Clone(concerns), func(c gitops.Concern) bool { return c.Reason.Note() })
	if len(blocking) == 0 {
		return nil
	}
	first := blocking[0]
	why := first.Message()
	if at := first.From.Position.String(); at != "" {
		why = fmt.Sprintf("%s (%s)", why, at)
	}
	if first.Try != "" {
		why += ": " + first.Try
	}
	if more := len(blocking) - 1; more > 0 {
		why += fmt.Sprintf("; and %d more, see Problems", more)
	}
	final := slices.ContainsFunc(blocking, func(c gitops.Concern) bool { return c.Final })
	return &Hold{Reason: first.Reason, Why: why, Approvable: !final}
}
