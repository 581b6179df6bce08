package apply

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/eks-gitops/reconciler/pkg/gitops"
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
	desired *typed.TypedValue
	fields  *fieldpath.Set
	// same says that applying is a no-op as far as types tell: our fields are exactly those of git, nobody's hand added any,
	// and merging what git says changes no value. What types do not tell (normalised values, defaults, webhooks) makes a
	// no-op look like a change, never the other way round.
	same bool
}

// compare merges the desired object into the live one, with the server's own types.
func (c *Cluster) compare(ctx context.Context, l *link, w want, live *unstructured.Unstructured, managed []manager) (comparison, error) {
	var out comparison
	var err error
	if out.desired, err = l.catalog.typed(ctx, w.payload); err != nil {
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
		case personal(c.rules, m) && beyond(m.fields, out.fields):
			return out, nil
		}
	}
	if live.GetAPIVersion() != gitops.StringAt(w.payload, "apiVersion") || !mine.Equals(out.fields) {
		return out, nil
	}
	out.same = c.mergesTo(ctx, l, live.Object, out.desired)
	return out, nil
}

// mergesTo reports whether merging a desired object into a live one changes nothing; what cannot be typed is for the server to
// decide.
func (c *Cluster) mergesTo(ctx context.Context, l *link, live gitops.Tree, desired *typed.TypedValue) bool {
	current, err := l.catalog.typed(ctx, live)
	if err != nil {
		return false
	}
	merged, err := current.Merge(desired)
	if err != nil {
		return false
	}
	diff, err := current.Compare(merged)
	return err == nil && diff.IsSame()
}

// without is the payload less some fields, which are left to their owners.
func without(w want, desired *typed.TypedValue, fields *fieldpath.Set) gitops.Tree {
	if fields == nil || fields.Empty() {
		return w.payload
	}
	if t, ok := desired.RemoveItems(fields).AsValue().Unstructured().(gitops.Tree); ok {
		return t
	}
	return w.payload
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
