package apply

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// standing reports whether a live object is as git says, by what the server has booked of our last apply (managedFields) alone: our
// fields are exactly those of git, and each has git's value. That is a no-op without asking, and without knowing the types: the server
// has booked the fields with them, lists item by item where items have a name, as a whole elsewhere. So it is the case that is found out
// first, and of most objects at most times it is the only thing that is. What is not found out is not said to be a change.
//
// Books of the past say nothing about types that changed since. Those of the API server's own kinds may only become finer (a list that
// was kept as a whole gets named items), which leaves a no-op a no-op; definitions may change as they like, so objects of theirs are
// compared by their types.
func (c *Cluster) standing(w want, live *unstructured.Unstructured) bool {
	if !genuine(w.kind.Group) || live.GetAPIVersion() != gitops.StringAt(w.item.Spec, "apiVersion") || len(c.ignoring(w)) > 0 {
		return false
	}
	var mine gitops.Tree
	for _, v := range gitops.ListAt(live.Object, "metadata", "managedFields") {
		e, _ := v.(gitops.Tree)
		m := booking(e)
		switch {
		case m.ours(c.Manager):
			if mine != nil || m.APIVersion != live.GetAPIVersion() || e["fieldsType"] != "FieldsV1" {
				return false
			}
			mine, _ = e["fieldsV1"].(gitops.Tree)
		case m.Subresource == "" && c.personal(m):
			return false
		}
	}
	return mine != nil && agrees(mine, owning(w), live.Object, false)
}

// genuine reports whether the API server itself brings a group.
func genuine(group string) bool {
	switch group {
	case "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "certificates.k8s.io", "coordination.k8s.io",
		"discovery.k8s.io", "flowcontrol.apiserver.k8s.io", "networking.k8s.io", "node.k8s.io", "rbac.authorization.k8s.io", "resource.k8s.io",
		"scheduling.k8s.io", "storage.k8s.io":
		return true
	}
	return !strings.Contains(group, ".")
}

// personal reports whether git may take fields back from a manager, because it is a tool in a person's hands.
func (c *Cluster) personal(m manager) bool {
	return slices.ContainsFunc(c.rules, func(r rule) bool { return r.person && by(r.Managers, m) })
}

// owning is the part of what git says that apply makes ours: see payload and unowned. It shares structure with what git says.
func owning(w want) gitops.Tree {
	spec := w.item.Spec
	if w.kind.Group == "" && w.kind.Kind == "Secret" && spec["stringData"] != nil {
		spec = payload(spec, w.kind, w.key.Namespace, w.set)
	}
	out, meta, labels := maps.Clone(spec), gitops.Tree{}, gitops.Tree{}
	for _, field := range []string{"apiVersion", "kind", "status"} {
		delete(out, field)
	}
	maps.Copy(meta, gitops.TreeAt(spec, "metadata"))
	for _, field := range append(serverFields(), "name", "namespace") {
		delete(meta, field)
	}
	maps.Copy(labels, gitops.TreeAt(meta, "labels"))
	labels[partOf] = w.set
	meta["labels"], out["metadata"] = labels, meta
	return out
}

// agrees reports whether fields (KEP-555, FieldsV1) are exactly those that git wants of a map, and each is live with git's value. Of an
// item of a list, "." says that the item itself is ours.
func agrees(fields, want, have gitops.Tree, item bool) bool {
	count := len(want)
	if item {
		count++
	}
	if len(fields) != count {
		return false
	}
	for name, v := range fields {
		if name == "." && item {
			continue
		}
		field, ok := strings.CutPrefix(name, "f:")
		wanted, live := want[field], have[field]
		if below, _ := v.(gitops.Tree); !ok || wanted == nil || live == nil || !agreesValue(below, wanted, live) {
			return false
		}
	}
	return true
}

func agreesValue(fields gitops.Tree, want, have any) bool {
	if len(fields) == 0 {
		return reflect.DeepEqual(want, have)
	}
	switch want := want.(type) {
	case gitops.Tree:
		live, ok := have.(gitops.Tree)
		return ok && agrees(fields, want, live, false)
	case []any:
		live, ok := have.([]any)
		return ok && agreesItems(fields, want, live)
	}
	return false
}

// agreesItems compares lists whose items have names or are each other's set: every item of git's is booked and live, in git's order.
func agreesItems(fields gitops.Tree, want, have []any) bool {
	if len(fields) != len(want) {
		return false
	}
	booked := make([]bookedItem, 0, len(fields))
	for name, v := range fields {
		item := bookedItem{}
		item.fields, _ = v.(gitops.Tree)
		if !item.parse(name) {
			return false
		}
		booked = append(booked, item)
	}
	after := 0
	for _, wanted := range want {
		i := slices.IndexFunc(booked, func(b bookedItem) bool { return b.names(wanted, true) })
		if i < 0 {
			return false
		}
		item := booked[i]
		booked = slices.Delete(booked, i, i+1)
		at := slices.IndexFunc(have, func(v any) bool { return item.names(v, false) })
		if at < after || slices.ContainsFunc(have[at+1:], func(v any) bool { return item.names(v, false) }) {
			return false
		}
		after = at + 1
		if item.key == nil {
			continue
		}
		inGit, ok := wanted.(gitops.Tree)
		live, ok2 := have[at].(gitops.Tree)
		if _, itself := item.fields["."]; !ok || !ok2 || !itself || !agrees(item.fields, inGit, live, true) {
			return false
		}
	}
	return true
}

// bookedItem is an item of a list as it is booked: by the fields that name it (k:), or by its value (v:).
type bookedItem struct {
	key    gitops.Tree
	value  any
	fields gitops.Tree
}

func (b *bookedItem) parse(name string) bool {
	if text, ok := strings.CutPrefix(name, "k:"); ok {
		return utiljson.Unmarshal([]byte(text), &b.key) == nil && len(b.key) > 0
	}
	text, ok := strings.CutPrefix(name, "v:")
	return ok && utiljson.Unmarshal([]byte(text), &b.value) == nil && len(b.fields) == 0
}

// names reports whether an item is the one that is booked. In git, fields that name it and have a default may be left out.
func (b *bookedItem) names(v any, git bool) bool {
	if b.key == nil {
		return reflect.DeepEqual(v, b.value)
	}
	t, ok := v.(gitops.Tree)
	if !ok {
		return false
	}
	said := 0
	for field, value := range b.key {
		switch given, there := t[field]; {
		case there && given == value:
			said++
		case there || !git:
			return false
		}
	}
	return said > 0
}
