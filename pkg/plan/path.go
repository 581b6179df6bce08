package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Paths name fields for people and machines: spec.template.spec.containers[web].image. List items are named by the fields
// that server-side apply merges them by (listMapKeys of the Kubernetes OpenAPI), so that the paths of field managers and of
// edits are the same; other items are named by index. Field names that would not read unambiguously are quoted:
// metadata.annotations["kubernetes.io/name"].

// Field extends a path by a field of an object.
func Field(path, name string) string {
	if !plain(name) {
		return path + "[" + strconv.Quote(name) + "]"
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// Keyed extends a path by a list item that is identified by the given fields; their values are joined in the order of the
// fields' names.
func Keyed(path string, key map[string]any) string { return path + "[" + keyText(KeyName(key)) + "]" }

// KeyName is what Keyed puts into the brackets, without quotes.
func KeyName(key map[string]any) string {
	names := make([]string, 0, len(key))
	for name := range key {
		names = append(names, name)
	}
	slices.Sort(names)
	values := make([]string, 0, len(names))
	for _, name := range names {
		values = append(values, fmt.Sprint(key[name]))
	}
	return strings.Join(values, "/")
}

// Index extends a path by a position in a list.
func Index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// keyText quotes a key that could be taken for something else.
func keyText(key string) string {
	if key == "" || strings.ContainsAny(key, `[]"`) {
		return strconv.Quote(key)
	}
	return key
}

func plain(name string) bool {
	if name == "" {
		return false
	}
	for _, r := range name {
		if r != '-' && r != '_' && r != '$' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	return true
}

// parent is the path without its last step; "" for a path of one step.
func parent(path string) string {
	if strings.HasSuffix(path, "]") {
		if open := openBracket(path); open >= 0 {
			return path[:open]
		}
	}
	return path[:max(0, strings.LastIndexByte(path, '.'))]
}

// openBracket finds the bracket that the closing one at the end of path belongs to, minding quotes.
func openBracket(path string) int {
	open, quoted := -1, false
	for i := 0; i < len(path); i++ {
		switch {
		case quoted && path[i] == '\\':
			i++
		case path[i] == '"':
			quoted = !quoted
		case !quoted && path[i] == '[':
			open = i
		}
	}
	return open
}

// listKeys are the merge keys of lists by the name of the field that holds them, where the general rule (name, else key)
// would differ from the API's own.
func listKeys(field string) [][]string {
	switch field {
	case "ports":
		return [][]string{{"containerPort", "protocol"}, {"port", "protocol"}}
	case "volumeMounts":
		return [][]string{{"mountPath"}}
	case "volumeDevices":
		return [][]string{{"devicePath"}}
	case "conditions":
		return [][]string{{"type"}}
	case "hostAliases":
		return [][]string{{"ip"}}
	case "topologySpreadConstraints":
		return [][]string{{"topologyKey", "whenUnsatisfiable"}}
	case "ownerReferences":
		return [][]string{{"uid"}}
	}
	return [][]string{{"name"}, {"key"}, {"id"}}
}

// optionalKeys have a default that the API server fills in.
func optionalKey(name string) (any, bool) {
	if name == "protocol" {
		return "TCP", true
	}
	return nil, false
}

// keyedItems names the items of both lists by the first set of keys that names all of them, each only once. Nil means that
// the lists can only be compared by position.
func keyedItems(field string, before, after []any) (was, is []string) {
	for _, keys := range listKeys(field) {
		was, okBefore := itemKeys(keys, before)
		is, okAfter := itemKeys(keys, after)
		if okBefore && okAfter {
			return was, is
		}
	}
	return nil, nil
}

// Items are the paths of the items of a list at a path, as edits have them.
func Items(path string, list []any) []string {
	names, _ := keyedItems(lastField(path), list, list)
	out := make([]string, len(list))
	for i := range list {
		if names == nil {
			out[i] = Index(path, i)
		} else {
			out[i] = path + names[i]
		}
	}
	return out
}

// lastField is the name of the field at the end of a path.
func lastField(path string) string { return strings.TrimPrefix(path[len(parent(path)):], ".") }

func itemKeys(keys []string, items []any) ([]string, bool) {
	out := make([]string, 0, len(items))
	seen := make(map[string]bool, len(items))
	for _, item := range items {
		m, ok := item.(gitops.Tree)
		if !ok {
			return nil, false
		}
		named := make(map[string]any, len(keys))
		for _, key := range keys {
			v, ok := m[key]
			if !ok {
				v, ok = optionalKey(key)
			}
			if !ok || !scalar(v) {
				return nil, false
			}
			named[key] = v
		}
		name := Keyed("", named)
		if seen[name] {
			return nil, false
		}
		seen[name] = true
		out = append(out, name)
	}
	return out, true
}

func scalar(v any) bool {
	switch v.(type) {
	case string, bool, int, int32, int64, uint64, float64, json.Number:
		return true
	}
	return false
}
