package plan

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// edits lists the fields in which after differs from before, in the order of their paths. Both are redacted already. Fields
// that the API server alone writes are left out: they are not git's to say.
func edits(ref gitops.Ref, before, after gitops.Tree) []Edit {
	d := differ{}
	d.objects("", visible(ref, before), visible(ref, after))
	return d.found
}

// content is what a new object will hold: one edit per top-level field, whole. Its name and kind are the ref.
func content(ref gitops.Ref, after gitops.Tree) []Edit {
	shown := maps.Clone(visible(ref, after))
	if ref.Domain == gitops.K8s {
		delete(shown, "apiVersion")
		delete(shown, "kind")
		if meta, ok := shown["metadata"].(gitops.Tree); ok {
			meta = maps.Clone(meta)
			delete(meta, "name")
			delete(meta, "namespace")
			shown["metadata"] = meta
			if len(meta) == 0 {
				delete(shown, "metadata")
			}
		}
	}
	d := differ{}
	d.objects("", nil, shown)
	return d.found
}

// visible is a shallow copy of an object without what the API server writes about it: status, and the bookkeeping of
// metadata (ObjectMeta: "Populated by the system. Read-only.").
func visible(ref gitops.Ref, t gitops.Tree) gitops.Tree {
	if ref.Domain != gitops.K8s || t == nil {
		return t
	}
	out := maps.Clone(t)
	delete(out, "status")
	if meta, ok := out["metadata"].(gitops.Tree); ok {
		meta = maps.Clone(meta)
		for _, field := range []string{
			"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds",
		} {
			delete(meta, field)
		}
		out["metadata"] = meta
	}
	return out
}

// differ collects edits on a walk over two trees.
type differ struct{ found []Edit }

func (d *differ) add(path string, before, after any) {
	d.found = append(d.found, Edit{Path: path, Before: before, After: after})
}

func (d *differ) objects(path string, before, after gitops.Tree) {
	names := slices.Collect(maps.Keys(before))
	for name := range after {
		if _, ok := before[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		d.values(Field(path, name), name, before[name], after[name])
	}
}

// values compares two values at a path; null and absent are the same, as they are to the API server.
func (d *differ) values(path, field string, before, after any) {
	switch was := before.(type) {
	case gitops.Tree:
		if is, ok := after.(gitops.Tree); ok && len(was) > 0 && len(is) > 0 {
			d.objects(path, was, is)
			return
		}
	case []any:
		if is, ok := after.([]any); ok && len(was) > 0 && len(is) > 0 {
			d.lists(path, field, was, is)
			return
		}
	}
	if !same(before, after) {
		d.add(path, before, after)
	}
}

// lists compares items by key where both lists have one, else by position. A keyed list whose common items changed their
// order is an edit of its own: the order of init containers or environment variables has a meaning.
func (d *differ) lists(path, field string, before, after []any) {
	was, is := keyedItems(field, before, after)
	if was == nil {
		for i := range max(len(before), len(after)) {
			d.values(Index(path, i), "", item(before, i), item(after, i))
		}
		return
	}
	for i, key := range is {
		d.values(path+key, "", item(before, slices.Index(was, key)), after[i])
	}
	for i, key := range was {
		if !slices.Contains(is, key) {
			d.values(path+key, "", before[i], nil)
		}
	}
	stayed := common(was, is)
	if moved := common(is, was); !slices.Equal(stayed, moved) {
		d.add(path, order(stayed), order(moved))
	}
}

func item(items []any, i int) any {
	if i < 0 || i >= len(items) {
		return nil
	}
	return items[i]
}

// common lists those of a that are also in b, in a's order.
func common(a, b []string) []string {
	out := make([]string, 0, len(a))
	for _, key := range a {
		if slices.Contains(b, key) {
			out = append(out, key)
		}
	}
	return out
}

func order(keys []string) []any {
	out := make([]any, len(keys))
	for i, key := range keys {
		out[i] = key
	}
	return out
}

// same compares values as JSON does: 1 and 1.0 are the same number whatever decoded them.
func same(a, b any) bool {
	switch x := a.(type) {
	case nil:
		return b == nil
	case gitops.Tree:
		y, ok := b.(gitops.Tree)
		return ok && maps.EqualFunc(x, y, same)
	case []any:
		y, ok := b.([]any)
		return ok && slices.EqualFunc(x, y, same)
	}
	x, xok := number(a)
	y, yok := number(b)
	if xok && yok {
		return x == y
	}
	return reflect.DeepEqual(a, b)
}

// number gives the canonical text of a number, exact for integers beyond 2^53.
func number(v any) (string, bool) {
	switch n := v.(type) {
	case int:
		return strconv.Itoa(n), true
	case int32:
		return strconv.FormatInt(int64(n), 10), true
	case int64:
		return strconv.FormatInt(n, 10), true
	case uint64:
		return strconv.FormatUint(n, 10), true
	case float64:
		if n == float64(int64(n)) {
			return strconv.FormatInt(int64(n), 10), true
		}
		return strconv.FormatFloat(n, 'g', -1, 64), true
	case json.Number:
		return n.String(), true
	}
	return "", false
}
