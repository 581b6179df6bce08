// Package schema checks values against JSON schemas of draft-06, as EKS checks the configuration values of add-ons.
//
// Inputs are a schema and a document in JSON or YAML; outputs are complaints in the words of the service, one for each
// place that does not fit, in a stable order. It knows the keywords that add-ons' schemas use and refuses a schema with any
// other: a keyword it ignored would let through what it should not.
package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Schema is a compiled schema.
type Schema struct{ root, definitions map[string]any }

// Parse reads a schema.
func Parse(text string) (*Schema, error) {
	var root map[string]any
	if err := json.Unmarshal([]byte(text), &root); err != nil {
		return nil, fmt.Errorf("reading JSON schema: %w", err)
	}
	definitions, _ := root["definitions"].(map[string]any)
	s := &Schema{root: root, definitions: definitions}
	if err := s.known(root, "#"); err != nil {
		return nil, err
	}
	return s, nil
}

// nested says how a keyword holds further schemas.
func nested(keyword string) (kind string, ok bool) {
	switch keyword {
	case "properties", "definitions":
		return "map", true
	case "items", "additionalProperties":
		return "one", true
	case "anyOf":
		return "list", true
	case "$ref", "$schema", "type", "enum", "required", "minimum", "maximum", "minProperties", "pattern", "format", "default", "description", "title", "examples":
		return "", true
	default:
		return "", false
	}
}

func (s *Schema) known(node map[string]any, at string) error {
	for _, keyword := range slices.Sorted(maps.Keys(node)) {
		kind, ok := nested(keyword)
		if !ok {
			return fmt.Errorf("reading JSON schema: unknown keyword %q at %s", keyword, at)
		}
		if err := s.knownBelow(kind, node[keyword], at+"/"+keyword); err != nil {
			return err
		}
	}
	return nil
}

func (s *Schema) knownBelow(kind string, value any, at string) error {
	var below []any
	switch v := value.(type) {
	case map[string]any:
		switch kind {
		case "map":
			for _, name := range slices.Sorted(maps.Keys(v)) {
				below = append(below, v[name])
			}
		case "one":
			below = []any{v}
		}
	case []any:
		if kind == "list" {
			below = v
		}
	}
	for _, b := range below {
		node, ok := b.(map[string]any)
		if !ok {
			return fmt.Errorf("reading JSON schema: want an object at %s", at)
		}
		if err := s.known(node, at); err != nil {
			return err
		}
	}
	return nil
}

// Document reads a value in JSON or YAML, of which JSON is a part. Empty text is the empty object.
func Document(text string) (any, error) {
	var doc any
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, fmt.Errorf("reading configuration values: %w", err)
	}
	if doc == nil {
		return map[string]any{}, nil
	}
	return plain(doc), nil
}

// plain turns YAML's integers into JSON's numbers and its maps into maps of strings.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = plain(e)
		}
		return v
	case map[any]any:
		out := map[string]any{}
		for k, e := range v {
			out[fmt.Sprint(k)] = plain(e)
		}
		return out
	case []any:
		for i, e := range v {
			v[i] = plain(e)
		}
		return v
	case int:
		return float64(v)
	case int64:
		return float64(v)
	case uint64:
		return float64(v)
	default:
		return v
	}
}

// Check lists what does not fit.
func (s *Schema) Check(doc any) []string { return s.check(s.root, doc, "$") }

func (s *Schema) check(node map[string]any, v any, at string) []string {
	if ref, ok := node["$ref"].(string); ok {
		target, _ := s.definitions[strings.TrimPrefix(ref, "#/definitions/")].(map[string]any)
		return s.check(target, v, at)
	}
	if want := types(node["type"]); len(want) > 0 && !slices.ContainsFunc(want, func(t string) bool { return is(v, t) }) {
		return []string{fmt.Sprintf("%s: %s found, %s expected", at, typeOf(v), expected(want))}
	}
	out := s.scalar(node, v, at)
	if branches, ok := node["anyOf"].([]any); ok {
		out = append(out, s.anyOf(branches, v, at)...)
	}
	switch v := v.(type) {
	case map[string]any:
		out = append(out, s.object(node, v, at)...)
	case []any:
		if items, ok := node["items"].(map[string]any); ok {
			for i, e := range v {
				out = append(out, s.check(items, e, fmt.Sprintf("%s[%d]", at, i))...)
			}
		}
	}
	return out
}

func (s *Schema) scalar(node map[string]any, v any, at string) (out []string) {
	if enum, ok := node["enum"].([]any); ok && !slices.Contains(enum, v) {
		out = append(out, fmt.Sprintf("%s: does not have a value in the enumeration %v", at, enum))
	}
	if n, ok := v.(float64); ok {
		if low, ok := node["minimum"].(float64); ok && n < low {
			out = append(out, fmt.Sprintf("%s: must have a minimum value of %v", at, low))
		}
		if high, ok := node["maximum"].(float64); ok && n > high {
			out = append(out, fmt.Sprintf("%s: must have a maximum value of %v", at, high))
		}
	}
	if text, ok := v.(string); ok {
		if expr, ok := node["pattern"].(string); ok {
			if re, err := regexp.Compile(expr); err != nil || !re.MatchString(text) {
				out = append(out, fmt.Sprintf("%s: does not match the regex pattern %s", at, expr))
			}
		}
	}
	return out
}

// anyOf passes if one branch does; else it tells what the first one dislikes.
func (s *Schema) anyOf(branches []any, v any, at string) []string {
	var first []string
	for _, b := range branches {
		node, _ := b.(map[string]any)
		found := s.check(node, v, at)
		if len(found) == 0 {
			return nil
		}
		if first == nil {
			first = found
		}
	}
	return first
}

func (s *Schema) object(node, v map[string]any, at string) (out []string) {
	properties, _ := node["properties"].(map[string]any)
	required, _ := node["required"].([]any)
	for _, r := range required {
		if name, _ := r.(string); v[name] == nil {
			out = append(out, fmt.Sprintf("%s.%s: is missing but it is required", at, name))
		}
	}
	if low, ok := node["minProperties"].(float64); ok && len(v) < int(low) {
		out = append(out, fmt.Sprintf("%s: should have a minimum of %v properties", at, low))
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		here := at + "." + name
		if p, ok := properties[name].(map[string]any); ok {
			out = append(out, s.check(p, v[name], here)...)
			continue
		}
		switch more := node["additionalProperties"].(type) {
		case bool:
			if !more {
				out = append(out, here+": is not defined in the schema and the schema does not allow additional properties")
			}
		case map[string]any:
			out = append(out, s.check(more, v[name], here)...)
		}
	}
	return out
}

func types(t any) []string {
	switch t := t.(type) {
	case string:
		return []string{t}
	case []any:
		out := make([]string, 0, len(t))
		for _, e := range t {
			out = append(out, fmt.Sprint(e))
		}
		return out
	default:
		return nil
	}
}

func expected(want []string) string {
	if len(want) == 1 {
		return want[0]
	}
	return "[" + strings.Join(want, ", ") + "]"
}

func is(v any, want string) bool {
	got := typeOf(v)
	return got == want || (want == "number" && got == "integer")
}

func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if v == math.Trunc(v) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	default:
		return fmt.Sprintf("%T", v)
	}
}
