package render

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/render/sops"
)

// identifies reports whether a value is part of what an object is. That is told everywhere, and never a secret.
func identifies(v sops.Value) bool {
	switch strings.Join(v.Path, ".") {
	case "apiVersion", "kind", "metadata.name", "metadata.namespace":
		return true
	}
	return false
}

// taint finds values again, wherever kustomize put them: as they are, within others, in part, or in base64. It would rather
// take a value for a secret that is none than overlook one. Short values are words and small numbers: they are secrets in the
// field that the encrypted file has them in, in what generators make, and wherever something may have copied them.
type taint struct {
	exact map[string]bool
	// places are fields of encrypted files, with their values.
	places map[string]bool
	// long are values that are looked for within others, and the other way round; whole are only looked for within others.
	long, whole []string
	// copied are the names of fields that values may have been copied into.
	copied map[string]bool
}

// anyField stands for fields of any name.
const anyField = ""

const (
	// shortest is the length from which a value is looked for anywhere.
	shortest = 6
	// longest is the length up to which parts of a value are looked for.
	longest = 1 << 10
)

func newTaint() taint {
	return taint{exact: map[string]bool{}, places: map[string]bool{}, copied: map[string]bool{}}
}

// learn takes in the values of an encrypted file.
func (t *taint) learn(values []sops.Value) {
	for _, v := range values {
		if v.Text == "" || identifies(v) {
			continue
		}
		t.exact[v.Text] = true
		t.place(v)
		forms := append(strings.Split(v.Text, "\n"), v.Text)
		if quoted, err := json.Marshal(v.Text); err == nil {
			forms = append(forms, string(quoted[1:len(quoted)-1]))
		}
		for _, form := range forms {
			if form = strings.TrimSpace(form); len(form) >= shortest {
				t.long = append(t.long, form)
			}
		}
	}
	t.long = longestFirst(t.long)
}

// derive takes in values that were made of secrets: a hash, or a text around them. Parts of them may be harmless.
func (t *taint) derive(values []sops.Value) {
	for _, v := range values {
		if v.Text == "" || identifies(v) {
			continue
		}
		t.place(v)
		if len(v.Text) >= shortest {
			t.exact[v.Text] = true
			t.whole = append(t.whole, v.Text)
		}
	}
	t.whole = longestFirst(t.whole)
}

// place notes where a value is. An item of a List is an object by itself.
func (t *taint) place(v sops.Value) {
	t.places[placed(v.Path, v.Text)] = true
	if len(v.Path) > 1 && v.Path[0] == "items" {
		t.places[placed(v.Path[1:], v.Text)] = true
	}
}

// longestFirst sorts values so that one that contains another is found as a whole.
func longestFirst(values []string) []string {
	slices.SortFunc(values, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(values)
}

// told are the values that must not appear in messages.
func (t *taint) told() []string {
	out := slices.Concat(t.long, t.whole)
	for v := range t.exact {
		out = append(out, v)
	}
	return longestFirst(out)
}

// placed is a value at a place; items of lists are at the place of the list, as in sops.Value.
func placed(keys []string, said string) string {
	return strings.Join(append(keys[:len(keys):len(keys)], said), "\x00")
}

// marks are the fields of an object whose values came out of an encrypted file.
func (t *taint) marks(spec gitops.Tree) []string {
	if len(t.exact)+len(t.places) == 0 {
		return nil
	}
	found := map[string]bool{}
	leaves("", nil, spec, func(path string, keys []string, said string) {
		if t.holds(keys, said) {
			found[path] = true
		} else if plain, err := base64.StdEncoding.DecodeString(said); err == nil && len(plain) > 0 && t.holds(keys, string(plain)) {
			found[path] = true
		}
	})
	for _, identity := range []string{"apiVersion", "kind", "metadata.name", "metadata.namespace"} {
		delete(found, identity)
	}
	return sortedKeys(found)
}

// leaves walks the values of an object: with the path as patterns have it, and with the keys that lead there.
func leaves(path string, keys []string, v any, do func(path string, keys []string, said string)) {
	switch v := v.(type) {
	case gitops.Tree:
		for key, inner := range v {
			leaves(plan.Field(path, key), append(keys[:len(keys):len(keys)], key), inner, do)
		}
	case []any:
		for _, inner := range v {
			leaves(path+"[*]", keys, inner, do)
		}
	case nil:
	default:
		do(path, keys, scalarText(v))
	}
}

func (t *taint) holds(keys []string, said string) bool {
	if len(said) < shortest {
		generated := len(keys) == 2 && slices.Contains([]string{"data", "binaryData", "stringData"}, keys[0])
		copied := t.copied[anyField] || len(keys) > 0 && t.copied[keys[len(keys)-1]]
		return t.exact[said] && (generated || copied) || t.places[placed(keys, said)]
	}
	contained := func(secret string) bool { return strings.Contains(said, secret) }
	return t.exact[said] || slices.ContainsFunc(t.whole, contained) || slices.ContainsFunc(t.long, func(secret string) bool {
		return contained(secret) || len(secret) <= longest && strings.Contains(secret, said)
	})
}
