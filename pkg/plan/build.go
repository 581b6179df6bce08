package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Build computes the plan: one change for everything that differs, is in flight or is no longer wanted, in an order that
// can be carried out. Policies are applied left to right to the finished plan.
//
// The case analysis per Ref, after the laws about what is unknown (see firewall):
//
//	Live  Next  differs  Progress     action
//	-     tree                        Create
//	tree  tree  yes                   Update, or Replace when it cannot change in place
//	tree  tree  no       not ready    Wait
//	tree  tree  no       ready, none  none; counted as unchanged, like what is Settled
//	tree  -                           Delete when it is ours and nothing unknown could want it
//	-     -                           none; counted as unchanged when it is Finished
//
// What rests (Observation.Still) is counted as unchanged, too. Of everything else that git wants something must be known.
func Build(in Input, policies ...Policy) Plan {
	b := builder{Input: in, wall: raise(in)}
	p := Plan{Cluster: in.Desired.Cluster, Revision: in.Desired.Revision, Problems: b.wall.problems}
	moving := refsOf(in.Observed, func(o gitops.Observation) bool { return !o.Settled })
	for _, ref := range moving {
		c, ok := b.change(ref, in.Observed[ref])
		switch {
		case ok:
			p.Changes = append(p.Changes, c)
		case settled(in.Observed[ref]):
			p.Unchanged++
		}
	}
	p.Unchanged += len(in.Observed) - len(moving) + in.Observed[gitops.Ref{Domain: gitops.K8s}].Still
	p.Problems = slices.Concat(p.Problems, b.wall.told(), b.concerned())
	p.Complete = complete(p.Problems)
	b.link(&p)
	for _, policy := range policies {
		p = policy(p)
	}
	p.ID = planID(p)
	return p
}

// builder is Build's working state.
type builder struct {
	Input
	wall *firewall
}

// change decides what is to be done about one ref; false means nothing.
func (b *builder) change(ref gitops.Ref, o gitops.Observation) (Change, bool) {
	if o.Err != nil || (o.Live == nil && o.Next == nil) {
		return Change{}, false
	}
	c := Change{Ref: ref, Predicted: o.Predicted, Skipped: o.Skipped, From: o.From, Spec: o.Spec, Live: o.Live, Secrets: b.secrets(ref, o)}
	before, after := b.redacted(c, o)
	switch {
	case o.Next == nil:
		if !b.deletes(&c, o) {
			return Change{}, false
		}
	case o.Live == nil:
		c.Action, c.Edits = Create, content(ref, after)
	default:
		c.Edits = edits(ref, before, after)
		b.attribute(&c, o)
		switch {
		case len(o.Replace) > 0 && len(c.Edits) > 0:
			c.Action = Replace
		case len(c.Edits) > 0 || len(o.Conflicts) > 0:
			c.Action = Update
		case o.Progress != nil && o.Progress.Status != gitops.Ready:
			c.Action = Wait
		default:
			return Change{}, false
		}
	}
	b.hold(&c, o)
	c.Drift = b.drifted(c)
	c.Risk = risk(c, o)
	c.Why, c.Minutes, c.Lock = why(c, o), minutes(c, o), o.Lock
	hush(&c, o)
	c.ID = changeID(b.Desired.Cluster, c, b.said(c), cmp.Or(o.Identity, gitops.StringAt(o.Live, "metadata", "uid")))
	c.Concerns = b.stakes(c, o)
	return c, true
}

// deletes makes c a deletion; false means that the live thing stays.
func (b *builder) deletes(c *Change, o gitops.Observation) bool {
	c.Action, c.From, c.Spec, c.Predicted = Delete, b.deletedFrom(c.Ref, o), nil, false
	switch _, booked := b.Inventory[c.Ref]; {
	case booked && !o.Owned:
		b.wall.disown(c.Ref, c.From)
	case o.Extra && !o.Owned:
		b.wall.extras = append(b.wall.extras, c.Ref)
	}
	if !b.wall.mayDelete(c.Ref, o.Owned, c.From.Overlay) {
		return false
	}
	c.Hold = b.wall.hold(c.From.Overlay)
	return true
}

// redacted is what may be shown of an object: no value of a Secret, and none that came, or was applied, out of an encrypted file.
func (b *builder) redacted(c Change, o gitops.Observation) (before, after gitops.Tree) {
	before, after = b.Redactor.Tree(c.Ref, o.Live), b.Redactor.Tree(c.Ref, o.Next)
	return Mask(before, c.Secrets, b.mark), Mask(after, c.Secrets, b.mark)
}

// mark is what is shown in the place of a value that may not be shown.
func (b *builder) mark(v any) any {
	if gitops.IsRedacted(v) {
		return v
	}
	return b.Redactor.Value(v)
}

// secrets are the fields of an object that came out of an encrypted file, or did when they were applied.
func (b *builder) secrets(ref gitops.Ref, o gitops.Observation) []string {
	out := slices.Concat(o.From.Secrets, b.Inventory[ref].Secrets)
	slices.Sort(out)
	return slices.Compact(out)
}

// hush takes secrets out of what is said of a change: paths name items of lists by their values, and controllers repeat what they
// read.
func hush(c *Change, o gitops.Observation) {
	if len(c.Secrets) == 0 {
		return
	}
	quiet := func(text string) string { return Hush(text, c.Secrets, o.Live, o.Next, o.Spec) }
	c.Why = quiet(c.Why)
	if c.Hold != nil {
		hold := *c.Hold
		hold.Why = quiet(hold.Why)
		c.Hold = &hold
	}
	c.Skipped = slices.Clone(c.Skipped)
	for i := range c.Skipped {
		c.Skipped[i].Path = quiet(c.Skipped[i].Path)
	}
}

// hold holds what nobody may apply now: all of a cluster whose policy is not known, things that another tool keeps, fields that others
// own, and what concerns were found about.
func (b *builder) hold(c *Change, o gitops.Observation) {
	switch {
	case b.wall.lawless != nil && c.Action != Wait:
		c.Hold = &Hold{Reason: gitops.PolicyInvalid, Why: "the policy or an approval of the cluster cannot be read"}
	case c.Hold == nil && o.Keeper != "":
		c.Hold = &Hold{Reason: gitops.Foreign, Why: "it is kept by " + o.Keeper, Approvable: true}
	case c.Hold == nil && len(o.Conflicts) > 0:
		c.Hold = conflictHold(o.Conflicts)
	case c.Hold == nil:
		c.Hold = concernHold(b.concerns(c.Ref, o))
	}
}

// drifted reports whether the live thing changed though git did not: what git says now is what was last applied.
func (b *builder) drifted(c Change) bool {
	if c.Action == Delete || c.Action == Wait || c.Spec == nil {
		return false
	}
	last, ok := b.Inventory[c.Ref]
	return ok && last.Spec != "" && last.Spec == gitops.DigestOf(c.Spec)
}

// deletedFrom says whose the thing was: git no longer says, so its label or the inventory does.
func (b *builder) deletedFrom(ref gitops.Ref, o gitops.Observation) gitops.Origin {
	from := o.From
	from.Overlay = cmp.Or(o.Overlay, b.Inventory[ref].Overlay, from.Overlay)
	return from
}

// attribute adds to each edit who set the live value and where git sets the new one.
func (b *builder) attribute(c *Change, o gitops.Observation) {
	fields := o.From.Fields
	if fields == nil && b.Desired.Fields != nil && len(c.Edits) > 0 {
		fields = b.Desired.Fields(c.Ref)
	}
	for i := range c.Edits {
		e := &c.Edits[i]
		if owner, ok := nearest(o.Owners, e.Path); ok {
			e.Owner = &owner
		}
		if from, ok := nearest(fields, e.Path); ok && from != o.From.Position {
			e.From = &from
		}
	}
}

// nearest finds the entry of a path or of its closest ancestor.
func nearest[V any](m map[string]V, path string) (V, bool) {
	for path != "" && len(m) > 0 {
		if v, ok := m[path]; ok {
			return v, true
		}
		path = parent(path)
	}
	var none V
	return none, false
}

// settled reports whether an observation that yields no change counts as unchanged: it is wanted, live and as wanted, or has
// done what was wanted of it and is gone.
func settled(o gitops.Observation) bool {
	return o.Err == nil && (o.Live != nil && o.Next != nil || o.Live == nil && o.Finished)
}

func conflictHold(conflicts []gitops.Conflict) *Hold {
	if len(conflicts) == 0 {
		return nil
	}
	said := make([]string, 0, len(conflicts))
	for _, c := range conflicts {
		said = append(said, fmt.Sprintf("%s is owned by %s", c.Path, c.Owner))
	}
	slices.Sort(said)
	return &Hold{Reason: gitops.ApplyConflict, Why: strings.Join(slices.Compact(said), ", "), Approvable: true}
}

// changeID hashes what a change does, so that an approval covers exactly that. For deletes and replacements the identity of
// the live object is part of it: approving the end of one object does not approve the end of its successor of the same name.
func changeID(cluster string, c Change, said any, identity string) gitops.Digest {
	if c.Action != Delete && c.Action != Replace {
		identity = ""
	}
	return gitops.DigestOf([]any{cluster, c.Ref.String(), c.Action, said, identity})
}

// said is what a change does, without who did what before. An object is created with what git says of it, whatever the server adds;
// so what is approved before the server was asked is approved afterwards.
func (b *builder) said(c Change) any {
	if c.Action == Create && c.Ref.Domain == gitops.K8s && c.Spec != nil {
		return Mask(b.Redactor.Tree(c.Ref, c.Spec), c.Secrets, b.mark)
	}
	type edit struct {
		Path          string
		Before, After any
	}
	said := make([]edit, 0, len(c.Edits))
	for _, e := range c.Edits {
		said = append(said, edit{e.Path, e.Before, e.After})
	}
	return said
}

// planID hashes the changes a plan holds, in order, each with its concerns: whoever approves a plan by its id approves what was shown.
func planID(p Plan) gitops.Digest {
	ids := make([]any, 0, len(p.Changes))
	for _, c := range p.Changes {
		ids = append(ids, c.ID)
		for _, about := range c.Concerns {
			ids = append(ids, []any{about.ID, about.Count})
		}
	}
	return gitops.DigestOf([]any{p.Cluster, ids})
}

// refsOf lists the refs whose observations are picked, sorted.
func refsOf(o gitops.Observed, pick func(gitops.Observation) bool) []gitops.Ref {
	var refs []gitops.Ref
	for ref, seen := range o {
		if pick(seen) {
			refs = append(refs, ref)
		}
	}
	slices.SortFunc(refs, gitops.Ref.Compare)
	return refs
}
