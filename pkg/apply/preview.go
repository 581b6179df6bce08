package apply

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// preview shows what remains of an object when what people added to it is taken out: a dry run of an apply cannot show that,
// because the fields would have to be ours first, so a dry run of an update does. When the server refuses it (a default that
// may not be unset, such as the class of a claim), what people added stays; when it does not answer, nothing is known.
func (c *Cluster) preview(ctx context.Context, l *link, w want, live *unstructured.Unstructured, managed []manager, same comparison, next *unstructured.Unstructured) (*unstructured.Unstructured, []metav1.ManagedFieldsEntry, error) {
	taken := takeover(live, managed, c.Manager, same.fields)
	if taken == nil {
		return next, nil, nil
	}
	extra := c.additions(managed, same.fields)
	if extra.Empty() {
		return next, nil, nil
	}
	current, err := l.catalog.typed(ctx, next.Object)
	if err != nil {
		return next, nil, nil //nolint:nilerr // it has no type: what people added cannot be told apart, and stays
	}
	t, ok := current.RemoveItems(extra).AsValue().Unstructured().(gitops.Tree)
	if !ok {
		return next, nil, nil
	}
	rest := (&unstructured.Unstructured{Object: t}).DeepCopy()
	rest.SetManagedFields(nil)
	const tries = 5
	for range tries {
		after, err := l.resource(w.kind, w.key.Namespace).Update(ctx, rest, metav1.UpdateOptions{
			DryRun: []string{metav1.DryRunAll}, FieldManager: c.Manager, FieldValidation: metav1.FieldValidationIgnore,
		})
		switch {
		case err == nil:
			return after, taken, nil
		case refuses(err):
			return next, nil, nil
		case !apierrors.IsConflict(err):
			return nil, nil, err
		}
		// Its controller may have reported status in between; whether more than that moved is seen afterwards.
		fresh, err := l.get(ctx, w.kind, w.key)
		if err != nil {
			return nil, nil, err
		}
		if fresh == nil {
			break
		}
		rest.SetResourceVersion(fresh.GetResourceVersion())
	}
	return nil, nil, errMoved
}

// refuses reports whether an answer says that the server will not do what it was asked to, however often it is asked.
func refuses(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) || apierrors.IsMethodNotSupported(err)
}

// additions are the fields that only people own and git does not have. What holds fields of others stays.
func (c *Cluster) additions(managed []manager, desired *fieldpath.Set) *fieldpath.Set {
	people, others := &fieldpath.Set{}, desired
	for _, m := range managed {
		if !m.ours(c.Manager) {
			people, others = people.Union(m.person), others.Union(m.fields.Difference(m.person))
		}
	}
	out := &fieldpath.Set{}
	people.Difference(others).Iterate(func(p fieldpath.Path) {
		if !holds(others, p) {
			out.Insert(p.Copy())
		}
	})
	return out
}

// holds reports whether a set has anything below a path.
func holds(set *fieldpath.Set, p fieldpath.Path) bool { return !below(set, p).Empty() }

// below is what a set has below a path.
func below(set *fieldpath.Set, p fieldpath.Path) *fieldpath.Set {
	for _, e := range p {
		set = set.WithPrefix(e)
	}
	return set
}

// mergeLocally is what apply would yield as far as types tell: git's fields merged in, and those of ours that git no longer
// has taken out. Nil when it cannot be told.
func (c *Cluster) mergeLocally(ctx context.Context, l *link, send gitops.Tree, live *unstructured.Unstructured, managed []manager, same comparison) gitops.Tree {
	current, desired, err := l.catalog.pair(ctx, live.Object, send)
	if err != nil {
		return nil
	}
	mine, others := &fieldpath.Set{}, same.fields
	for _, m := range managed {
		if m.ours(c.Manager) {
			mine = m.fields
		} else {
			others = others.Union(m.fields)
		}
	}
	gone := &fieldpath.Set{}
	mine.Difference(others).Iterate(func(p fieldpath.Path) {
		if !holds(others, p) {
			gone.Insert(p.Copy())
		}
	})
	merged, err := current.RemoveItems(gone).Merge(desired)
	if err != nil {
		return nil
	}
	t, _ := merged.AsValue().Unstructured().(gitops.Tree)
	return gitops.Clone(t)
}

// differing compares two objects; nil when they cannot be compared.
func (c *Cluster) differing(ctx context.Context, l *link, a, b gitops.Tree) *typed.Comparison {
	before, after, err := l.catalog.pair(ctx, a, b)
	if err != nil {
		return nil
	}
	diff, err := before.Compare(after)
	if err != nil {
		return nil
	}
	return diff
}

// paths lists the fields in which two objects differ.
func paths(diff *typed.Comparison) []string {
	var out []string
	for _, set := range []*fieldpath.Set{diff.Added, diff.Modified, diff.Removed} {
		set.Leaves().Iterate(func(p fieldpath.Path) { out = append(out, pathText(p)) })
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// settleGenerated undoes what a dry run makes up anew every time, so that the same inputs give the same plan: node ports and
// addresses of Services that neither git names nor the live object has.
func settleGenerated(next, live, payload gitops.Tree) {
	if gitops.StringAt(next, "kind") != "Service" || gitops.StringAt(next, "apiVersion") != "v1" {
		return
	}
	spec := gitops.TreeAt(next, "spec")
	for _, field := range []string{"clusterIP", "clusterIPs", "healthCheckNodePort"} {
		_, wanted := gitops.At(payload, "spec", field)
		old, had := gitops.At(live, "spec", field)
		switch {
		case wanted:
		case had:
			spec[field] = old
		default:
			delete(spec, field)
		}
	}
	given := map[any]bool{}
	for _, list := range [][]any{gitops.ListAt(live, "spec", "ports"), gitops.ListAt(payload, "spec", "ports")} {
		for _, port := range list {
			if p, ok := port.(gitops.Tree); ok && p["nodePort"] != nil {
				given[p["nodePort"]] = true
			}
		}
	}
	for _, port := range gitops.ListAt(next, "spec", "ports") {
		if p, ok := port.(gitops.Tree); ok && p["nodePort"] != nil && !given[p["nodePort"]] {
			delete(p, "nodePort")
		}
	}
}
