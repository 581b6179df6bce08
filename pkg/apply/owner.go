package apply

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// manager is one entry of managedFields, decoded: FieldsV1 is fields.
type manager struct {
	metav1.ManagedFieldsEntry
	fields *fieldpath.Set
	// person are those of the fields that git takes back, because a tool in a person's hands set them; see Cluster.managers.
	person *fieldpath.Set
}

// managers decodes managedFields; entries in a form we cannot read own nothing that we know of. It reads the object as it is: the typed
// form would write every set of fields as JSON, to be parsed again.
func managers(u *unstructured.Unstructured) []manager {
	entries := gitops.ListAt(u.Object, "metadata", "managedFields")
	out := make([]manager, 0, len(entries))
	for _, v := range entries {
		e, _ := v.(gitops.Tree)
		fields, _ := e["fieldsV1"].(gitops.Tree)
		set := &fieldpath.Set{}
		if fields == nil || e["fieldsType"] != "FieldsV1" || fill(set, fields) != nil {
			continue
		}
		m := booking(e)
		m.fields, m.person = set, &fieldpath.Set{}
		if at, err := time.Parse(time.RFC3339, gitops.StringAt(e, "time")); err == nil {
			m.Time = &metav1.Time{Time: at}
		}
		out = append(out, m)
	}
	return out
}

// booking is who an entry of managedFields is about.
func booking(e gitops.Tree) manager {
	m := manager{}
	m.Manager, m.Subresource, m.APIVersion = gitops.StringAt(e, "manager"), gitops.StringAt(e, "subresource"), gitops.StringAt(e, "apiVersion")
	m.Operation = metav1.ManagedFieldsOperationType(gitops.StringAt(e, "operation"))
	return m
}

// fill reads a set of fields (KEP-555, FieldsV1): keys are path elements, "." says that the field itself is in the set. Elements of
// kinds that are not known yet are passed over, as the server does.
func fill(set *fieldpath.Set, fields gitops.Tree) error {
	for name, v := range fields {
		if name == "." {
			continue
		}
		element, err := fieldpath.DeserializePathElement(name)
		if errors.Is(err, fieldpath.ErrUnknownPathElementType) {
			continue
		}
		if err != nil {
			return err
		}
		below, _ := v.(gitops.Tree)
		_, itself := below["."]
		if itself || len(below) == 0 {
			set.Members.Insert(element)
		}
		if len(below) == 0 || itself && len(below) == 1 {
			continue
		}
		if err := fill(set.Children.Descend(element), below); err != nil {
			return err
		}
	}
	return nil
}

// ours reports whether an entry is what our own applies own.
func (m manager) ours(name string) bool {
	return m.Manager == name && m.Operation == metav1.ManagedFieldsOperationApply && m.Subresource == ""
}

// pathText is a field's path in the form that plan's edits have. Items of sets, which have no name, end it: the edit is then
// about the list.
func pathText(p fieldpath.Path) string {
	text := ""
	for _, e := range p {
		switch {
		case e.FieldName != nil:
			text = plan.Field(text, *e.FieldName)
		case e.Key != nil:
			text = plan.Keyed(text, named(*e.Key))
		case e.Index != nil:
			text = plan.Index(text, *e.Index)
		default:
			return text
		}
	}
	return text
}

// named is the key of a list item, by the names of its fields.
func named(key value.FieldList) map[string]any {
	out := make(map[string]any, len(key))
	for _, f := range key {
		out[f.Name] = plainValue(f.Value)
	}
	return out
}

func plainValue(v value.Value) string {
	if v.IsString() {
		return v.AsString()
	}
	return value.ToString(v)
}

// pathNames are the steps of a path as patterns name them.
func pathNames(p fieldpath.Path) []string {
	out := make([]string, 0, len(p))
	for _, e := range p {
		switch {
		case e.FieldName != nil:
			out = append(out, *e.FieldName)
		case e.Key != nil:
			out = append(out, plan.KeyName(named(*e.Key)))
		case e.Value != nil:
			out = append(out, plainValue(*e.Value))
		case e.Index != nil:
			out = append(out, strconv.Itoa(*e.Index))
		}
	}
	return out
}

// owners tells who set the live values, by path; of several the one who wrote last. Our own fields are left out: git is
// who set them.
func owners(managed []manager, self string) map[string]gitops.Owner {
	out := map[string]gitops.Owner{}
	slices.SortStableFunc(managed, func(a, b manager) int { return when(a).Compare(when(b)) })
	for _, m := range managed {
		if m.ours(self) || m.Subresource == "status" {
			continue
		}
		owner := gitops.Owner{Manager: m.Manager}
		if m.Time != nil {
			owner.At = m.Time.UTC().Format(time.RFC3339)
		}
		m.fields.Leaves().Iterate(func(p fieldpath.Path) { out[pathText(p)] = owner })
		// Whoever made an item of a list is its owner as a whole, for when it goes as a whole.
		m.fields.Iterate(func(p fieldpath.Path) {
			if p[len(p)-1].Key != nil {
				out[pathText(p)] = owner
			}
		})
	}
	return out
}

func when(m manager) time.Time {
	if m.Time == nil {
		return time.Time{}
	}
	return m.Time.Time
}

// attribute tells who set the live values of the fields that differ. A map that goes as a whole is attributed like the last
// of what was in it.
func attribute(managed []manager, self string, diff *typed.Comparison, next gitops.Tree) map[string]gitops.Owner {
	all, out := owners(managed, self), map[string]gitops.Owner{}
	for _, set := range []*fieldpath.Set{diff.Added, diff.Modified, diff.Removed} {
		set.Iterate(func(p fieldpath.Path) {
			for i := range p {
				path := pathText(p[:i+1])
				if owner, known := all[path]; known {
					out[path] = owner
				}
			}
		})
	}
	diff.Removed.Leaves().Iterate(func(p fieldpath.Path) {
		owner, known := all[pathText(p)]
		for i := 1; known && i < len(p); i++ {
			if above, ok := emptied(next, p[:i]); ok {
				out[above] = owner
				return
			}
		}
	})
	return out
}

// emptied reports whether a path of field names leads to nothing, or to nothing in it, and gives its text.
func emptied(t gitops.Tree, p fieldpath.Path) (string, bool) {
	names := make([]string, 0, len(p))
	for _, e := range p {
		if e.FieldName == nil {
			return "", false
		}
		names = append(names, *e.FieldName)
	}
	v, _ := gitops.At(t, names...)
	switch v := v.(type) {
	case nil:
		return pathText(p), true
	case gitops.Tree:
		return pathText(p), len(v) == 0
	case []any:
		return pathText(p), len(v) == 0
	}
	return "", false
}

// within reports whether path p is q or below it.
func within(p, q string) bool {
	rest, ok := strings.CutPrefix(p, q)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// takeover is managedFields after we took what people's tools own: their fields become ours, so that the next apply removes
// those that git does not have. Nil when there is nothing to take.
func takeover(u *unstructured.Unstructured, managed []manager, self string, desired *fieldpath.Set) []metav1.ManagedFieldsEntry {
	extra := false
	union := &fieldpath.Set{}
	version := u.GetAPIVersion()
	for _, m := range managed {
		if m.ours(self) {
			union, version = union.Union(m.fields), m.APIVersion
		}
		union, extra = union.Union(m.person), extra || beyond(m.person, desired)
	}
	if !extra {
		return nil
	}
	raw, err := union.ToJSON()
	if err != nil {
		return nil
	}
	mine := metav1.ManagedFieldsEntry{
		Manager: self, Operation: metav1.ManagedFieldsOperationApply, APIVersion: version, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(string(raw)),
	}
	out := []metav1.ManagedFieldsEntry{mine}
	for _, e := range u.GetManagedFields() {
		if (manager{ManagedFieldsEntry: e}).ours(self) {
			continue
		}
		if left, ok := remainder(e, managed); ok {
			out = append(out, left)
		}
	}
	return out
}

// remainder is an entry less what a person's tool owns in it; false when nothing is left.
func remainder(e metav1.ManagedFieldsEntry, managed []manager) (metav1.ManagedFieldsEntry, bool) {
	i := slices.IndexFunc(managed, func(m manager) bool {
		return m.Manager == e.Manager && m.Operation == e.Operation && m.Subresource == e.Subresource && m.APIVersion == e.APIVersion
	})
	if i < 0 || managed[i].person.Empty() {
		return e, true
	}
	left := managed[i].fields.Difference(managed[i].person)
	raw, err := left.ToJSON()
	if left.Empty() || err != nil {
		return e, false
	}
	e.FieldsV1 = metav1.NewFieldsV1(string(raw))
	return e, true
}

// beyond reports whether a set has leaves that the desired set does not have.
func beyond(owned, desired *fieldpath.Set) bool {
	return !owned.Leaves().Difference(desired).Empty()
}
