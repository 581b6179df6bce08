package apply

import (
	"context"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// unowned are the fields that the server never books in managedFields (apimachinery, managedfields: stripMeta).
func unowned() *fieldpath.Set {
	set := fieldpath.NewSet(fieldpath.MakePathOrDie("apiVersion"), fieldpath.MakePathOrDie("kind"), fieldpath.MakePathOrDie("metadata"))
	for _, field := range append(serverFields(), "name", "namespace") {
		set.Insert(fieldpath.MakePathOrDie("metadata", field))
	}
	return set
}

// ownedBy is the set of fields that applying a typed object makes ours.
func ownedBy(v *typed.TypedValue) (*fieldpath.Set, error) {
	set, err := v.ToFieldSet()
	if err != nil {
		return nil, err
	}
	return set.Difference(unowned()), nil
}

// comparison is what can be said about a desired and a live object without asking the server.
type comparison struct {
	// payload is what apply sends: what git says, less what is not git's to keep in this live object.
	payload gitops.Tree
	desired *typed.TypedValue
	// fields are those of the payload; kept are those of them that are not git's, but nobody else's either, so that they are
	// sent as they are live.
	fields, kept *fieldpath.Set
	// same says that applying is a no-op as far as types tell: our fields are exactly those of git, nobody's hand added any,
	// and merging what git says changes no value. What types do not tell (normalised values, defaults, webhooks) makes a
	// no-op look like a change, never the other way round.
	same bool
}

// compare merges the desired object into the live one, with the server's own types.
func (c *Cluster) compare(ctx context.Context, l *link, w want, live *unstructured.Unstructured, managed []manager) (comparison, error) {
	out, err := c.unignored(ctx, l, w, live, managed)
	if err != nil {
		return out, err
	}
	if out.fields, err = ownedBy(out.desired); err != nil || live == nil {
		return out, err
	}
	mine := &fieldpath.Set{}
	for _, m := range managed {
		switch {
		case m.ours(c.Manager):
			if m.APIVersion != live.GetAPIVersion() {
				return out, nil // written through another version: the server knows how they relate
			}
			mine = m.fields
		case beyond(m.person, out.fields):
			return out, nil
		}
	}
	if live.GetAPIVersion() != gitops.StringAt(w.payload, "apiVersion") || !mine.Equals(out.fields) {
		return out, nil
	}
	out.same = c.mergesTo(ctx, l, live.Object, out.desired)
	return out, nil
}

// unignored is what git says of an object less the fields that ignore rules name: this is the one place where they count, for
// what is shown and what is sent. Of a live object they are sent as they are live where they are ours alone, because leaving
// out what only we own would remove it, and are left to their owners elsewhere. An object that is not live is sent whole.
func (c *Cluster) unignored(ctx context.Context, l *link, w want, live *unstructured.Unstructured, managed []manager) (comparison, error) {
	out := comparison{payload: w.payload, kept: &fieldpath.Set{}}
	if live != nil {
		out.payload = settled(w.payload, live.Object, w.ignore)
	}
	var err error
	if out.desired, err = l.catalog.typed(ctx, out.payload); err != nil || live == nil || len(w.ignore) == 0 {
		return out, err
	}
	current, err := l.catalog.typed(ctx, live.Object)
	if err != nil {
		return out, err
	}
	ignored := c.ignored(w, managed)
	drop, err := dropped(out.desired, current, ignored)
	if err != nil {
		return out, err
	}
	out.desired = out.desired.RemoveItems(drop)
	if out.kept, err = c.alone(managed, current, ignored); err != nil {
		return out, err
	}
	if !out.kept.Empty() {
		if out.desired, err = out.desired.Merge(current.ExtractItems(out.kept, typed.WithAppendKeyFields())); err != nil {
			return out, err
		}
	}
	if t, ok := out.desired.AsValue().Unstructured().(gitops.Tree); ok {
		out.payload = t
	}
	return out, nil
}

// settled gives what the rules name by path alone the values that are live: so a part of something that can only be set as a
// whole is ignored, too. The label of our set stays as git says.
func settled(payload, live gitops.Tree, rules []plan.Ignore) gitops.Tree {
	for _, r := range rules {
		for _, p := range r.Fields {
			if len(r.Managers) > 0 {
				continue
			}
			member := gitops.StringAt(payload, "metadata", "labels", partOf)
			payload = p.Settle(payload, live)
			meta := gitops.TreeAt(payload, "metadata")
			labels := maps.Clone(gitops.TreeAt(meta, "labels"))
			if labels == nil {
				labels = gitops.Tree{}
			}
			labels[partOf] = member
			meta["labels"] = labels
		}
	}
	return payload
}

// dropped are the ignored fields of what git says that are live. An item of a list goes when all of it is ignored; what names
// an item stays as long as the item does.
func dropped(desired, current *typed.TypedValue, ignored func(fieldpath.Path) bool) (*fieldpath.Set, error) {
	wanted, err := desired.ToFieldSet()
	if err != nil {
		return nil, err
	}
	have, err := current.ToFieldSet()
	if err != nil {
		return nil, err
	}
	out := &fieldpath.Set{}
	wanted.Iterate(func(p fieldpath.Path) {
		if naming(p) || !have.Has(p) || !ignored(p) {
			return
		}
		whole := true
		below(wanted, p).Leaves().Iterate(func(q fieldpath.Path) {
			leaf := append(p.Copy(), q...)
			whole = whole && (naming(leaf) || ignored(leaf))
		})
		if whole {
			out.Insert(p.Copy())
		}
	})
	return out, nil
}

// naming reports whether a path leads to a field that names the item of the list it is in.
func naming(p fieldpath.Path) bool {
	if len(p) < 2 || p[len(p)-2].Key == nil || p[len(p)-1].FieldName == nil {
		return false
	}
	return slices.ContainsFunc(*p[len(p)-2].Key, func(f value.Field) bool { return f.Name == *p[len(p)-1].FieldName })
}

// alone are the ignored fields that we own and nobody else, as far as they are live: an empty value that we set may have been
// dropped, and an item may be gone. Of an item that is ignored as a whole what names it is kept, so that it stays.
func (c *Cluster) alone(managed []manager, current *typed.TypedValue, ignored func(fieldpath.Path) bool) (*fieldpath.Set, error) {
	have, err := current.ToFieldSet()
	if err != nil {
		return nil, err
	}
	mine, others := &fieldpath.Set{}, &fieldpath.Set{}
	for _, m := range managed {
		if m.ours(c.Manager) {
			mine = m.fields
		} else {
			others = others.Union(m.fields)
		}
	}
	mine, out := mine.Intersection(have), &fieldpath.Set{}
	mine.Leaves().Difference(others).Iterate(func(p fieldpath.Path) {
		if !naming(p) && ignored(p) {
			out.Insert(p.Copy())
		}
	})
	mine.Difference(others).Iterate(func(p fieldpath.Path) {
		last := p[len(p)-1]
		if last.Key == nil || !ignored(p) {
			return
		}
		for _, field := range *last.Key {
			out.Insert(append(p.Copy(), fieldpath.PathElement{FieldName: &field.Name}))
		}
	})
	return out, nil
}

// mergesTo reports whether merging a desired object into a live one changes nothing; what cannot be typed is for the server to
// decide.
func (c *Cluster) mergesTo(ctx context.Context, l *link, live gitops.Tree, desired *typed.TypedValue) bool {
	current, err := l.catalog.typed(ctx, live)
	if err != nil {
		return false
	}
	// What only the live object has stays; what is not there, or is there with another value, would come.
	diff, err := desired.Compare(current)
	return err == nil && diff.Removed.Empty() && diff.Modified.Empty()
}

// without is the payload less some fields, which are left to their owners.
func (s comparison) without(fields *fieldpath.Set) gitops.Tree {
	if s.desired == nil || fields.Empty() {
		return s.payload
	}
	if t, ok := s.desired.RemoveItems(fields).AsValue().Unstructured().(gitops.Tree); ok {
		return t
	}
	return s.payload
}

// only is the part of an object that a set of fields names; the whole when it cannot be typed.
func (c *Cluster) only(ctx context.Context, l *link, object gitops.Tree, fields *fieldpath.Set) gitops.Tree {
	v, err := l.catalog.typed(ctx, object)
	if err != nil {
		return object
	}
	// Identity is not owned by anyone, but it is part of what is shown.
	keep := fields.Leaves().Union(fieldpath.NewSet(
		fieldpath.MakePathOrDie("apiVersion"), fieldpath.MakePathOrDie("kind"),
		fieldpath.MakePathOrDie("metadata", "name"), fieldpath.MakePathOrDie("metadata", "namespace"),
	))
	if t, ok := v.ExtractItems(keep, typed.WithAppendKeyFields()).AsValue().Unstructured().(gitops.Tree); ok {
		return t
	}
	return object
}
