package apply

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// overruled lists the fields that are sent and that the server stores with another meaning: a mutating webhook or policy sets them, and
// will do so every time. What is only written in another form (1000m as 1, 1h as 1h0m0s, an empty value left out) is none of that.
func (c *Cluster) overruled(ctx context.Context, l *link, send, next gitops.Tree) []string {
	sent, stored, err := l.catalog.pair(ctx, send, next)
	if err != nil {
		return nil
	}
	merged, err := stored.Merge(sent)
	if err != nil {
		return nil
	}
	diff, err := stored.Compare(merged)
	if err != nil {
		return nil
	}
	var out []string
	diff.Modified.Union(diff.Added).Leaves().Iterate(func(p fieldpath.Path) {
		if !conveys(plainAt(stored.AsValue(), p), plainAt(merged.AsValue(), p)) {
			out = append(out, pathText(p))
		}
	})
	slices.Sort(out)
	return slices.Compact(out)
}

// plainAt is what a path leads to; nil when it leads nowhere.
func plainAt(v value.Value, p fieldpath.Path) any {
	for _, e := range p {
		if v == nil || v.IsNull() {
			return nil
		}
		switch {
		case e.FieldName != nil && v.IsMap():
			v, _ = v.AsMap().Get(*e.FieldName)
		case e.Key != nil && v.IsList():
			v = keyed(v.AsList(), *e.Key)
		case e.Index != nil && v.IsList() && *e.Index < v.AsList().Length():
			v = v.AsList().At(*e.Index)
		case e.Value != nil && v.IsList():
			v = member(v.AsList(), *e.Value)
		default:
			return nil
		}
	}
	if v == nil {
		return nil
	}
	return v.Unstructured()
}

func keyed(list value.List, key value.FieldList) value.Value {
	for i := range list.Length() {
		item := list.At(i)
		if !item.IsMap() {
			continue
		}
		if !slices.ContainsFunc(key, func(f value.Field) bool {
			v, ok := item.AsMap().Get(f.Name)
			return !ok || !value.Equals(v, f.Value)
		}) {
			return item
		}
	}
	return nil
}

func member(list value.List, wanted value.Value) value.Value {
	for i := range list.Length() {
		if item := list.At(i); value.Equals(item, wanted) {
			return item
		}
	}
	return nil
}

// conveys reports whether a stored value says all that a sent one says.
func conveys(stored, sent any) bool {
	switch sent := sent.(type) {
	case map[string]any:
		have, _ := stored.(map[string]any)
		for k, v := range sent {
			if !conveys(have[k], v) {
				return false
			}
		}
		return true
	case []any:
		have, _ := stored.([]any)
		if len(have) != len(sent) {
			return false
		}
		for i := range sent {
			if !conveys(have[i], sent[i]) {
				return false
			}
		}
		return true
	}
	switch sent {
	case nil, "", false, int64(0), float64(0):
		return stored == nil || stored == sent || fmt.Sprint(stored) == fmt.Sprint(sent)
	}
	return stored != nil && alike(fmt.Sprint(stored), fmt.Sprint(sent))
}

// alike reports whether two texts are forms of the same value, as the API's types read them.
func alike(a, b string) bool {
	if strings.Join(strings.Fields(a), "") == strings.Join(strings.Fields(b), "") {
		return true
	}
	p, bad := resource.ParseQuantity(a)
	q, bad2 := resource.ParseQuantity(b)
	if bad == nil && bad2 == nil {
		return p.Cmp(q) == 0
	}
	d, bad := time.ParseDuration(a)
	e, bad2 := time.ParseDuration(b)
	if bad == nil && bad2 == nil {
		return d == e
	}
	t, bad := time.Parse(time.RFC3339, a)
	u, bad2 := time.Parse(time.RFC3339, b)
	return bad == nil && bad2 == nil && t.Equal(u)
}
