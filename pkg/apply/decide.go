package apply

import (
	"context"
	"errors"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// decision is what apply would do to one object, and how it would be sent.
type decision struct {
	// next is what would be live afterwards; equal to the live object when apply is a no-op.
	next gitops.Tree
	// send is the payload less the fields that are left to their owners; force takes the fields of people.
	send  gitops.Tree
	force bool
	// takeover replaces managedFields before the apply, so that what people added is removed; nil when there is none.
	takeover  []metav1.ManagedFieldsEntry
	skipped   []gitops.Skipped
	conflicts []gitops.Conflict
	// overruled are the paths of fields that the server stores otherwise than they are sent.
	overruled []string
	// replace says why it cannot be changed in place.
	replace []string
	owners  map[string]gitops.Owner
	// keeper is another tool that applies the object, which is not ours yet.
	keeper    string
	predicted bool
	needs     []gitops.Ref
	// promise are the fields that git keeps as they would be stored: the answer to the real apply must hold the same.
	promise gitops.Tree
	fields  *fieldpath.Set
	// noop says that apply changes nothing; local that the types alone decided so, which is cheap to do again.
	noop, local bool
	// unsure says of a creation that somebody may have made the object already.
	unsure bool
	err    *gitops.Error
}

// errMoved says that the live object changed between our look at it and the server's answer.
var errMoved = errors.New("the object changed while it was being compared")

// decide asks the server what applying an object would yield; live is nil when there is none. The live object it returns is
// the one the decision is about, newer than the one given if that had moved. The answer is remembered as long as neither git
// nor what apply could depend on changes.
func (c *Cluster) decide(ctx context.Context, p *pass, w want, live *unstructured.Unstructured) (decision, *unstructured.Unstructured) {
	types := p.link.catalog.version(w.kind.GroupVersion())
	if d, ok := c.memo.find(w, live, types); ok {
		return d, live
	}
	d, live, err := c.ask(ctx, p, w, live)
	if err != nil {
		d = decision{err: failure(err, gitops.ObserveFailed, w.secrets(live))}
	}
	if d.err == nil && !d.predicted {
		c.memo.keep(w, live, types, d)
	}
	return d, live
}

// ask compares locally and asks the server when that does not settle it; again when the object moved meanwhile. That its
// controller reported status meanwhile does not count: some do so all the time.
func (c *Cluster) ask(ctx context.Context, p *pass, w want, live *unstructured.Unstructured) (decision, *unstructured.Unstructured, error) {
	const tries = 5
	for range tries {
		w, err := c.answered(w, live)
		if err != nil {
			return decision{}, live, err
		}
		var managed []manager
		if live != nil {
			managed = c.managers(w, live)
		}
		same, err := c.compare(ctx, p.link, w, live, managed)
		if _, unknown := errors.AsType[unread](err); unknown {
			return decision{}, live, err
		}
		if err != nil {
			// The types refuse what git says: the server's own words are better than ours.
			same.fields = &fieldpath.Set{}
		}
		switch {
		case same.same:
			return decision{next: bare(live.Object, true), send: same.payload, noop: true, local: len(c.ignoring(w)) == 0}, live, nil
		case live == nil:
			return c.decideCreate(ctx, p, w, same), nil, nil
		}
		d, version := c.decideUpdate(ctx, p, w, live, managed, same)
		if version == live.GetResourceVersion() || version == "" {
			return d, live, nil
		}
		fresh, err := p.link.get(ctx, w.kind, w.key)
		if err != nil {
			return d, nil, err
		}
		if fresh != nil && content(fresh) == content(live) {
			if d.next != nil {
				d.next = withIdentity(d.next, fresh.Object)
			}
			return d, fresh, nil
		}
		live = fresh
	}
	return decision{}, live, errMoved
}

// decideCreate asks for the outcome of a creation. Only our own fields of the answer are shown: the rest is generated anew by
// every dry run (addresses, suffixes) or the server's default.
func (c *Cluster) decideCreate(ctx context.Context, p *pass, w want, same comparison) decision {
	d := decision{send: w.payload}
	next, err := p.link.patch(ctx, w, w.payload, false, true)
	if err != nil {
		d.unsure = true
		if needs, ok := p.notYet(w, err); ok {
			d.next, d.predicted, d.needs = bare(w.payload, false), true, needs
			return d
		}
		d.err = failure(p.link.judge(ctx, err, w.kind, w.key, verbs(nil)...), gitops.ApplyInvalid, w.secrets(nil))
		return d
	}
	d.unsure = next.GetResourceVersion() != "" // what a dry run would create has none
	d.next = c.only(ctx, p.link, bare(next.Object, false), same.fields)
	d.promise, d.fields = d.next, same.fields
	return d
}

// decideUpdate asks for the outcome of a change of a live object, and tells at which version the server looked at it; "" when
// it did not get that far.
func (c *Cluster) decideUpdate(ctx context.Context, p *pass, w want, live *unstructured.Unstructured, managed []manager, same comparison) (decision, string) {
	d := decision{send: same.payload, fields: same.fields.Difference(same.kept), keeper: c.keeper(w, live, managed, same.fields)}
	next, err := p.link.patch(ctx, w, d.send, false, true)
	if rulings := c.rule(err, w, managed, d.keeper != ""); rulings != nil {
		d.skipped, d.conflicts, d.force = rulings.skipped, rulings.conflicts, true
		d.send, d.fields = same.without(rulings.leave), d.fields.Difference(rulings.leave)
		next, err = p.link.patch(ctx, w, d.send, true, true)
	}
	if err != nil {
		return c.refused(ctx, p, w, live, managed, same, d, err), ""
	}
	version := next.GetResourceVersion()
	if next, d.takeover, err = c.preview(ctx, p.link, w, live, managed, same, next); err != nil {
		d.err = failure(err, gitops.ObserveFailed, secrets(w.payload, live))
		return d, ""
	}
	settleGenerated(next.Object, live.Object, w.payload)
	d.next = withIdentity(next.Object, live.Object)
	d.promise = c.only(ctx, p.link, bare(next.Object, false), d.fields)
	d.overruled = c.overruled(ctx, p.link, d.send, d.next)
	switch diff := c.differing(ctx, p.link, bare(live.Object, true), d.next); {
	case diff == nil:
	case diff.IsSame() && len(d.takeover) == 0:
		d.next, d.noop, d.promise, d.fields = bare(live.Object, true), true, nil, nil
	default:
		d.owners = attribute(managed, c.Manager, diff, d.next)
	}
	return d, version
}

// refused decides what it means that the server did not take the change.
func (c *Cluster) refused(ctx context.Context, p *pass, w want, live *unstructured.Unstructured, managed []manager, same comparison, d decision, err error) decision {
	merged := c.mergeLocally(ctx, p.link, d.send, live, managed, same)
	if needs, ok := p.notYet(w, err); ok && merged != nil {
		d.next, d.predicted, d.needs = withIdentity(merged, live.Object), true, needs
		return d
	}
	if merged != nil && apierrors.IsInvalid(err) && p.link.acceptsAnew(ctx, w) {
		if stored := p.link.anew(ctx, w); stored != nil {
			// Our fields as the server would store them: with the defaults inside what we set.
			if better := c.mergeLocally(ctx, p.link, c.only(ctx, p.link, bare(stored, false), same.fields), live, managed, same); better != nil {
				merged = better
			}
		}
		next := withIdentity(merged, live.Object)
		if diff := c.differing(ctx, p.link, bare(live.Object, true), next); diff != nil && !diff.IsSame() {
			d.next, d.replace, d.owners = next, immutable(err, paths(diff)), attribute(managed, c.Manager, diff, next)
			return d
		}
	}
	d.err = failure(p.link.judge(ctx, err, w.kind, w.key, verbs(live)...), gitops.ApplyInvalid, w.secrets(live))
	return d
}

// rulings are what is done about the conflicts of an apply that was not forced.
type rulings struct {
	leave     *fieldpath.Set
	skipped   []gitops.Skipped
	conflicts []gitops.Conflict
}

// rule decides about conflicts; nil when err is not about conflicts. The server names the fields in structured causes; who
// owns them is read from managedFields, not from words. Adopting an object means taking it whole: nothing is left to who kept
// it, unless the policy says so.
func (c *Cluster) rule(err error, w want, managed []manager, adopting bool) *rulings {
	causes := conflictFields(err)
	if len(causes) == 0 {
		return nil
	}
	out := &rulings{leave: &fieldpath.Set{}}
	for _, field := range causes {
		found := false
		for _, m := range managed {
			if m.ours(c.Manager) {
				continue
			}
			path, owns := pathOf(m.fields, field)
			if !owns {
				continue
			}
			found = true
			text, ruling := pathText(path), rulingOf(c.rules, w.item.Ref, m, path)
			switch {
			case ruling.Ruling == plan.RulingTake:
			case ruling.Ruling == plan.RulingLeave && (ruling.policy || !adopting || !keeps(m)):
				out.leave.Insert(path)
				out.skipped = append(out.skipped, gitops.Skipped{Path: text, Owner: m.Manager, Why: ruling.why})
			default:
				out.conflicts = append(out.conflicts, gitops.Conflict{Path: text, Owner: m.Manager})
			}
		}
		if !found {
			out.conflicts = append(out.conflicts, gitops.Conflict{Path: strings.TrimPrefix(field, "."), Owner: "another manager"})
		}
	}
	slices.SortFunc(out.skipped, func(a, b gitops.Skipped) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(out.conflicts, func(a, b gitops.Conflict) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// conflictFields lists the fields of a 409 whose causes are field manager conflicts, each once.
func conflictFields(err error) []string {
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	var out []string
	for _, cause := range status.Status().Details.Causes {
		if cause.Type == metav1.CauseTypeFieldManagerConflict {
			out = append(out, cause.Field)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// pathOf finds the path in a set whose text form is what the server named.
func pathOf(set *fieldpath.Set, text string) (fieldpath.Path, bool) {
	var found fieldpath.Path
	set.Iterate(func(p fieldpath.Path) {
		if found == nil && p.String() == text {
			found = p.Copy()
		}
	})
	return found, found != nil
}

// immutable names the fields that cannot be changed in place: those that differ below what the server's causes name, which
// numbers list items where paths name them. A cause that names no such field says how the server found out, not what.
func immutable(err error, paths []string) []string {
	var out, elsewhere []string
	status := apierrors.APIStatus(nil)
	if errors.As(err, &status) {
		for _, cause := range causes(status.Status()) {
			found := false
			for _, p := range paths {
				if within(plainPath(p), plainPath(cause.Field)) || within(plainPath(cause.Field), plainPath(p)) {
					out, found = append(out, p), true
				}
			}
			if !found && cause.Field != "" {
				elsewhere = append(elsewhere, cause.Field)
			}
		}
	}
	if len(out) == 0 {
		out = slices.Concat(elsewhere, paths)
	}
	slices.Sort(out)
	out = slices.Compact(out)
	for i := range out {
		out[i] += " is immutable"
	}
	return out
}

// plainPath is a path without the names or numbers of list items.
func plainPath(p string) string {
	var b strings.Builder
	depth := 0
	for _, r := range p {
		switch {
		case r == '[':
			depth++
		case r == ']':
			depth--
		case depth == 0:
			b.WriteRune(r)
		}
	}
	return b.String()
}
