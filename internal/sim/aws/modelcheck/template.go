package modelcheck

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// node is a part of a resource schema.
type node struct {
	Ref                  string `json:"$ref"`
	Properties           map[string]*node
	AdditionalProperties any
	PatternProperties    map[string]*node
	Items                *node
	Required             []string
	Enum                 []any
	Pattern              string
	OneOf, AnyOf, AllOf  []*node
	ReadOnlyProperties   []string
	Definitions          map[string]*node
}

// templates checks CloudFormation templates against the resource schemas.
type templates struct{ dir string }

// Template reports what is wrong with a template in JSON: properties that a resource type does not have or that are missing,
// and literal values that the schema does not allow. What intrinsic functions will yield is not known and not judged.
func (x templates) check(body string) []string {
	var t struct {
		Resources map[string]struct {
			Type       string
			Properties map[string]any
		}
	}
	if err := json.Unmarshal([]byte(body), &t); err != nil {
		return nil // YAML, or what the simulator refuses by itself
	}
	var out []string
	for _, id := range slices.Sorted(maps.Keys(t.Resources)) {
		r := t.Resources[id]
		root, err := x.schema(r.Type)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return []string{err.Error()}
		}
		w := walker{root: root}
		properties := r.Properties
		if properties == nil {
			properties = map[string]any{}
		}
		w.walk(root, properties, id+" ("+r.Type+")")
		for name := range properties {
			if slices.Contains(root.ReadOnlyProperties, "/properties/"+name) {
				w.fault(id, "sets the read-only property %s", name)
			}
		}
		out = append(out, w.faults...)
	}
	return out
}

func (x templates) schema(resource string) (*node, error) {
	file := strings.ToLower(strings.ReplaceAll(resource, "::", "-")) + ".json"
	raw, err := os.ReadFile(filepath.Join(x.dir, "cloudformation-resources", file))
	if err != nil {
		return nil, err
	}
	root := &node{}
	if err := json.Unmarshal(raw, root); err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	return root, nil
}

type walker struct {
	root   *node
	faults []string
}

func (w *walker) fault(path, format string, args ...any) {
	w.faults = append(w.faults, path+": "+fmt.Sprintf(format, args...))
}

func (w *walker) resolve(n *node) *node {
	for n != nil && n.Ref != "" {
		n = w.root.Definitions[strings.TrimPrefix(n.Ref, "#/definitions/")]
	}
	return n
}

func (w *walker) walk(n *node, v any, path string) {
	n = w.resolve(n)
	if n == nil || intrinsic(v) {
		return
	}
	switch value := v.(type) {
	case map[string]any:
		w.object(n, value, path)
	case []any:
		for i, item := range value {
			w.walk(n.Items, item, fmt.Sprintf("%s[%d]", path, i))
		}
	case string:
		w.text(n, value, path)
	}
}

func intrinsic(v any) bool {
	m, ok := v.(map[string]any)
	if !ok || len(m) != 1 {
		return false
	}
	for key := range m {
		return key == "Ref" || strings.HasPrefix(key, "Fn::")
	}
	return false
}

func (w *walker) object(n *node, value map[string]any, path string) {
	if len(n.Properties) == 0 {
		return // a free-form object such as a policy document
	}
	for name, item := range value {
		child, ok := n.Properties[name]
		if !ok {
			_, at, _ := strings.Cut(path, " (")
			known := slices.Contains(newer(), strings.NewReplacer(")", "", ".", "/").Replace(at)+"/"+name)
			if closed, isBool := n.AdditionalProperties.(bool); isBool && !closed && len(n.PatternProperties) == 0 && !known {
				w.fault(path, "has no property %s", name)
			}
			continue
		}
		w.walk(child, item, path+"."+name)
	}
	for _, name := range n.Required {
		if _, ok := value[name]; !ok {
			w.fault(path, "lacks the required property %s", name)
		}
	}
}

func (w *walker) text(n *node, value, path string) {
	if len(n.Enum) > 0 && !slices.Contains(n.Enum, any(value)) {
		w.fault(path, "%q is none of %v", value, n.Enum)
	}
	if n.Pattern == "" {
		return
	}
	// Schemas' patterns are JavaScript's: they match anywhere unless anchored. One that Go cannot read is not checked.
	if re, err := regexp.Compile(n.Pattern); err == nil && !re.MatchString(value) {
		w.fault(path, "%q does not match %s", value, n.Pattern)
	}
}
