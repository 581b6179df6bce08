package gitops

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
)

// Tree is a JSON-shaped object: its values are nil, bool, string, int64, float64, []any and Tree (map[string]any).
type Tree = map[string]any

// Digest identifies content: the first 16 hexadecimal digits of a SHA-256 over canonical JSON.
type Digest string

// Short is the form shown to people; commands accept any unique prefix.
func (d Digest) Short() string {
	if len(d) > 8 {
		return string(d[:8])
	}
	return string(d)
}

// DigestOf hashes the canonical JSON (sorted keys) of v. It panics when v has no JSON form, which is a bug of the caller:
// trees come from parsed JSON or YAML.
func DigestOf(v any) Digest {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("gitops: value without a JSON form: %v", err))
	}
	sum := sha256.Sum256(body)
	return Digest(hex.EncodeToString(sum[:8]))
}

// Clone copies a tree deeply, so that the copy may be changed.
func Clone(t Tree) Tree {
	if t == nil {
		return nil
	}
	out := make(Tree, len(t))
	for k, v := range t {
		out[k] = cloneValue(v)
	}
	return out
}

func cloneValue(v any) any {
	switch v := v.(type) {
	case Tree:
		return Clone(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = cloneValue(v[i])
		}
		return out
	default:
		return v
	}
}

// Identical reports whether two trees are one and the same in memory, and so equal, as long as nobody changes them.
func Identical(a, b Tree) bool {
	return reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer()
}

// At returns the value at a path of object keys, and whether it is there.
func At(t Tree, path ...string) (any, bool) {
	var v any = t
	for _, key := range path {
		m, ok := v.(Tree)
		if !ok {
			return nil, false
		}
		if v, ok = m[key]; !ok {
			return nil, false
		}
	}
	return v, true
}

// StringAt returns the string at a path, or "" when there is none.
func StringAt(t Tree, path ...string) string {
	v, _ := At(t, path...)
	s, _ := v.(string)
	return s
}

// TreeAt returns the object at a path, or nil.
func TreeAt(t Tree, path ...string) Tree {
	v, _ := At(t, path...)
	m, _ := v.(Tree)
	return m
}

// ListAt returns the list at a path, or nil.
func ListAt(t Tree, path ...string) []any {
	v, _ := At(t, path...)
	l, _ := v.([]any)
	return l
}

// StringsAt returns the object at a path as a map of strings, leaving out values of other types.
func StringsAt(t Tree, path ...string) map[string]string {
	m := TreeAt(t, path...)
	out := make(map[string]string, len(m))
	for k := range maps.Keys(m) {
		if s, ok := m[k].(string); ok {
			out[k] = s
		}
	}
	return out
}
