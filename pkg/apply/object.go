package apply

import (
	"encoding/base64"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// key names a live object as the server does: a cluster-scoped one has no namespace, whatever git says.
type key struct {
	schema.GroupKind
	Namespace, Name string
}

func keyOf(u *unstructured.Unstructured) key {
	return key{u.GroupVersionKind().GroupKind(), u.GetNamespace(), u.GetName()}
}

func (k key) ref() gitops.Ref {
	return gitops.Ref{Domain: gitops.K8s, Group: k.Group, Kind: k.Kind, Namespace: k.Namespace, Name: k.Name}
}

// want is one desired object, made ready to be sent.
type want struct {
	item gitops.Item
	kind kind
	key  key
	// set is the id of the set it is to be in.
	set string
	// payload is what apply sends: the item's content and the label of its set. Like its digest, it is there once it is prepared.
	payload gitops.Tree
	digest  gitops.Digest
	// written is the digest of the item's content, as the books have it, once somebody asked for it.
	written gitops.Digest
	// ignore are the ignore rules that pick it, once they are answered for what is live (Cluster.answered).
	ignore []plan.Ignore
	// hidden says that it has, or had, values out of an encrypted file.
	hidden bool
}

// prepared is w with what is to be sent.
func (w want) prepared() want {
	w.payload = payload(w.item.Spec, w.kind, w.key.Namespace, w.set)
	w.digest = gitops.DigestOf(w.payload)
	return w
}

// gvkOf reads apiVersion and kind of a tree.
func gvkOf(t gitops.Tree) schema.GroupVersionKind {
	return schema.FromAPIVersionAndKind(gitops.StringAt(t, "apiVersion"), gitops.StringAt(t, "kind"))
}

// serverFields are those of metadata that only the server writes (ObjectMeta: "Populated by the system. Read-only."), plus
// resourceVersion and uid, which in a manifest are left-overs of an export.
func serverFields() []string {
	return []string{
		"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink",
		"deletionTimestamp", "deletionGracePeriodSeconds",
	}
}

// payload is the content of an item as apply sends it: labelled as a member of its set, without what only the server writes,
// and with stringData of Secrets as data, because a write-only field cannot be compared with what is live.
func payload(spec gitops.Tree, k kind, namespace, set string) gitops.Tree {
	out := gitops.Clone(spec)
	meta := gitops.TreeAt(out, "metadata")
	if meta == nil {
		meta = gitops.Tree{}
		out["metadata"] = meta
	}
	for _, field := range serverFields() {
		delete(meta, field)
	}
	delete(out, "status")
	delete(meta, "namespace")
	if k.Namespaced && namespace != "" {
		meta["namespace"] = namespace
	}
	labels, _ := meta["labels"].(gitops.Tree)
	if labels == nil {
		labels = gitops.Tree{}
		meta["labels"] = labels
	}
	labels[partOf] = set
	if k.Group == "" && k.Kind == "Secret" {
		encodeStringData(out)
	}
	return out
}

// encodeStringData does what the API server does on every write of a Secret: stringData overwrites data, encoded.
func encodeStringData(secret gitops.Tree) {
	text := gitops.TreeAt(secret, "stringData")
	if text == nil {
		return
	}
	data := gitops.TreeAt(secret, "data")
	if data == nil {
		data = gitops.Tree{}
	}
	for name, value := range text {
		s, ok := value.(string)
		if !ok {
			return // not valid: the server says so
		}
		data[name] = base64.StdEncoding.EncodeToString([]byte(s))
	}
	delete(secret, "stringData")
	if len(data) > 0 {
		secret["data"] = data
	}
}

// hollow reports whether there is an empty list or map in a value.
func hollow(v any) bool {
	switch v := v.(type) {
	case gitops.Tree:
		for _, inner := range v {
			if hollow(inner) {
				return true
			}
		}
		return len(v) == 0
	case []any:
		return len(v) == 0 || slices.ContainsFunc(v, hollow)
	}
	return false
}

// secretFault says what is wrong with a Secret's content, by name only: the server's own words about Secrets are withheld,
// because they repeat values.
func secretFault(t gitops.Tree) string {
	for _, field := range []string{"data", "stringData"} {
		values, isMap := t[field].(gitops.Tree)
		if t[field] != nil && !isMap {
			return field + " is not a map"
		}
		for _, name := range slices.Sorted(maps.Keys(values)) {
			s, isText := values[name].(string)
			if !isText && values[name] != nil {
				return plan.Field(field, name) + " is not a string"
			}
			if _, err := base64.StdEncoding.DecodeString(s); err != nil && field == "data" {
				return plan.Field(field, name) + " is not base64; plain text belongs into stringData"
			}
		}
	}
	return ""
}

// bare is an object without status and without what the server alone writes; with identity, uid and resourceVersion stay, as
// preconditions of what is done about the object. It shares structure with t, which must not be changed.
func bare(t gitops.Tree, identity bool) gitops.Tree {
	if t == nil {
		return nil
	}
	out := maps.Clone(t)
	delete(out, "status")
	meta, _ := out["metadata"].(gitops.Tree)
	if meta == nil {
		return out
	}
	meta = maps.Clone(meta)
	for _, field := range serverFields() {
		if identity && (field == "uid" || field == "resourceVersion") {
			continue
		}
		delete(meta, field)
	}
	out["metadata"] = meta
	return out
}

// withIdentity gives a dry run's result the identity of the live object: apply does not change it.
func withIdentity(next, live gitops.Tree) gitops.Tree {
	out := bare(next, false)
	meta, _ := out["metadata"].(gitops.Tree)
	for _, field := range []string{"uid", "resourceVersion"} {
		if v, ok := gitops.At(live, "metadata", field); ok && meta != nil {
			meta[field] = v
		}
	}
	return out
}

// content identifies what of a live object apply could depend on: everything but status, and who manages it. Objects whose
// controllers write their status all the time keep their content.
func content(u *unstructured.Unstructured) gitops.Digest {
	var owners []any
	for _, m := range u.GetManagedFields() {
		if m.Subresource == "status" || m.FieldsV1 == nil {
			continue
		}
		owners = append(owners, []any{m.Manager, m.Operation, m.APIVersion, m.Subresource, m.FieldsV1.GetRawString()})
	}
	return gitops.DigestOf([]any{bare(u.Object, false), u.GetUID(), u.GetDeletionTimestamp() != nil, owners})
}
