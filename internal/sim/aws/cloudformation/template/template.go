// Package template understands CloudFormation templates: it parses JSON and YAML bodies, checks them, finds the
// dependencies between resources and resolves intrinsic functions.
//
// Inputs are template bodies, parameters and callbacks that know about live resources; outputs are plain values (string,
// float64, bool, map[string]any, []any) and errors worded as CloudFormation words them. The package is pure: no clock, no
// I/O, nothing shared between calls.
package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Error is a template that CloudFormation refuses; the message is CloudFormation's own (API code ValidationError).
type Error struct{ Message string }

func (e *Error) Error() string { return e.Message }

func refuse(format string, args ...any) error {
	return &Error{Message: fmt.Sprintf(format, args...)}
}

// Template is a parsed template. Values below Properties and the other open maps keep their intrinsic functions as maps with
// one key ("Ref", "Fn::GetAtt", ...), also when the body used YAML's short form.
type Template struct {
	FormatVersion string
	Description   string
	Metadata      map[string]any
	Parameters    map[string]Parameter
	Mappings      map[string]map[string]map[string]any
	Conditions    map[string]any
	Resources     map[string]Resource
	Outputs       map[string]Output
}

// Parameter is an input of a template.
type Parameter struct {
	Type          string
	Description   string
	Default       *string
	AllowedValues []string
	NoEcho        bool
}

// Resource is one entry of Resources.
type Resource struct {
	Type                string
	Properties          map[string]any
	DependsOn           []string
	Condition           string
	DeletionPolicy      string // Delete (default), Retain, RetainExceptOnCreate, Snapshot
	UpdateReplacePolicy string
	UpdatePolicy        map[string]any
	CreationPolicy      map[string]any
	Metadata            map[string]any
}

// Output is one entry of Outputs. Value and ExportName are unresolved.
type Output struct {
	Description string
	Value       any
	ExportName  any // nil when the output is not exported
	Condition   string
}

// Parse reads a template body, JSON when it starts with a brace and YAML otherwise. It checks the form of the sections but
// not their content; see Check.
func Parse(body string) (*Template, error) {
	root, err := decode(body)
	if err != nil {
		return nil, err
	}
	t := &Template{}
	var unknown []string
	for key, value := range root {
		parse, ok := sections()[key]
		if !ok {
			unknown = append(unknown, key)
			continue
		}
		if err := parse(t, value); err != nil {
			return nil, err
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return nil, refuse("Invalid template property or properties [%s]", strings.Join(unknown, ", "))
	}
	if len(t.Resources) == 0 {
		return nil, refuse("Template format error: At least one Resources member must be defined.")
	}
	return t, nil
}

func decode(body string) (map[string]any, error) {
	trimmed := strings.TrimSpace(body)
	if trimmed == "" {
		return nil, refuse("Template format error: unsupported structure.")
	}
	if trimmed[0] != '{' {
		return decodeYAML(body)
	}
	decoder := json.NewDecoder(strings.NewReader(body))
	var root map[string]any
	err := decoder.Decode(&root)
	if err == nil {
		if _, more := decoder.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("trailing data")
		}
	}
	if err != nil {
		line, column := position(body, decoder.InputOffset(), err)
		return nil, refuse("Template format error: JSON not well-formed. (line %d, column %d)", line, column)
	}
	return root, rejectNull("", root)
}

func rejectNull(path string, v any) error {
	switch v := v.(type) {
	case nil:
		return refuse("[%s] 'null' values are not allowed in templates", path)
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if err := rejectNull(path+"/"+key, v[key]); err != nil {
				return err
			}
		}
	case []any:
		for i, item := range v {
			if err := rejectNull(path+"/"+strconv.Itoa(i), item); err != nil {
				return err
			}
		}
	}
	return nil
}

func position(body string, offset int64, err error) (line, column int) {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		offset = syntax.Offset
	}
	before := body[:min(int(offset), len(body))]
	line = strings.Count(before, "\n") + 1
	return line, max(1, len(before)-strings.LastIndex(before, "\n")-1) // the offset is just behind the byte that is wrong
}

func sections() map[string]func(*Template, any) error {
	return map[string]func(*Template, any) error{
		"AWSTemplateFormatVersion": func(t *Template, v any) error {
			t.FormatVersion, _ = v.(string)
			if t.FormatVersion != "2010-09-09" {
				return refuse("Template format error: unsupported value for AWSTemplateFormatVersion.")
			}
			return nil
		},
		"Description": func(t *Template, v any) error {
			var ok bool
			if t.Description, ok = v.(string); !ok {
				return refuse("Template format error: Description must be a string.")
			}
			return nil
		},
		"Metadata":   func(t *Template, v any) (err error) { t.Metadata, err = object("/Metadata", v); return err },
		"Conditions": func(t *Template, v any) (err error) { t.Conditions, err = object("/Conditions", v); return err },
		"Parameters": parseParameters,
		"Mappings":   parseMappings,
		"Resources":  parseResources,
		"Outputs":    parseOutputs,
		"Rules":      func(*Template, any) error { return refuse("Template format error: Rules are not supported.") },
		"Transform":  func(*Template, any) error { return refuse("Template format error: Transforms are not supported.") },
	}
}

func object(path string, v any) (map[string]any, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, refuse("Template format error: [%s] must be a map.", path)
	}
	return m, nil
}

func parseParameters(t *Template, v any) error {
	entries, err := object("/Parameters", v)
	if err != nil {
		return err
	}
	t.Parameters = map[string]Parameter{}
	for name, raw := range entries {
		fields, err := object("/Parameters/"+name, raw)
		if err != nil {
			return err
		}
		p := Parameter{}
		if p.Type, _ = fields["Type"].(string); p.Type == "" {
			return refuse("Template format error: Every Parameters object must contain a Type member.")
		}
		p.Description, _ = fields["Description"].(string)
		if value, ok := fields["Default"]; ok {
			text, err := Text(value)
			if err != nil {
				return refuse("Template format error: Every Default member must be a string.")
			}
			p.Default = &text
		}
		p.NoEcho = fields["NoEcho"] == true || fields["NoEcho"] == "true"
		allowed, _ := fields["AllowedValues"].([]any)
		for _, value := range allowed {
			text, err := Text(value)
			if err != nil {
				return refuse("Template format error: Every AllowedValues value must be a string.")
			}
			p.AllowedValues = append(p.AllowedValues, text)
		}
		t.Parameters[name] = p
	}
	return nil
}

func parseMappings(t *Template, v any) error {
	maps, err := object("/Mappings", v)
	if err != nil {
		return err
	}
	t.Mappings = map[string]map[string]map[string]any{}
	for name, raw := range maps {
		first, err := object("/Mappings/"+name, raw)
		if err != nil {
			return err
		}
		t.Mappings[name] = map[string]map[string]any{}
		for key, raw := range first {
			second, err := object("/Mappings/"+name+"/"+key, raw)
			if err != nil {
				return refuse("Template format error: Every Mappings attribute must be a String or a List.")
			}
			t.Mappings[name][key] = second
		}
	}
	return nil
}

func parseResources(t *Template, v any) error {
	entries, err := object("/Resources", v)
	if err != nil {
		return err
	}
	t.Resources = map[string]Resource{}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		r, err := parseResource("/Resources/"+name, entries[name])
		if err != nil {
			return err
		}
		if !alphanumeric(name) {
			return refuse("Template format error: Resource name %s is non alphanumeric.", name)
		}
		t.Resources[name] = r
	}
	return nil
}

func alphanumeric(name string) bool {
	for _, c := range name {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return name != ""
}

func parseResource(path string, raw any) (Resource, error) {
	fields, ok := raw.(map[string]any)
	if !ok {
		return Resource{}, refuse("Template format error: [%s] resource definition is malformed", path)
	}
	r := Resource{}
	if r.Type, _ = fields["Type"].(string); r.Type == "" {
		return r, refuse("Template format error: [%s] Every Resources object must contain a Type member.", path)
	}
	objects := map[string]*map[string]any{"Properties": &r.Properties, "UpdatePolicy": &r.UpdatePolicy, "CreationPolicy": &r.CreationPolicy, "Metadata": &r.Metadata}
	texts := map[string]*string{"Type": &r.Type, "Condition": &r.Condition, "DeletionPolicy": &r.DeletionPolicy, "UpdateReplacePolicy": &r.UpdateReplacePolicy}
	for key, value := range fields {
		if into, ok := objects[key]; ok {
			m, ok := value.(map[string]any)
			if !ok {
				return r, refuse("Template format error: [%s/%s] must be an object.", path, key)
			}
			*into = m
			continue
		}
		if into, ok := texts[key]; ok {
			if *into, ok = value.(string); !ok {
				return r, refuse("Template format error: Every %s member must be a string.", key)
			}
			continue
		}
		if key != "DependsOn" {
			return r, refuse("Invalid template resource property '%s'", key)
		}
		names, err := stringList(value)
		if err != nil {
			return r, refuse("Template format error: DependsOn must be a string or list of strings.")
		}
		r.DependsOn = names
	}
	return r, nil
}

func stringList(v any) ([]string, error) {
	if name, ok := v.(string); ok {
		return []string{name}, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, errors.New("not a list")
	}
	names := make([]string, 0, len(list))
	for _, item := range list {
		name, ok := item.(string)
		if !ok {
			return nil, errors.New("not a string")
		}
		names = append(names, name)
	}
	return names, nil
}

func parseOutputs(t *Template, v any) error {
	entries, err := object("/Outputs", v)
	if err != nil {
		return err
	}
	t.Outputs = map[string]Output{}
	for name, raw := range entries {
		fields, ok := raw.(map[string]any)
		if !ok {
			return refuse("Template format error: Output %s is malformed.", name)
		}
		value, ok := fields["Value"]
		if !ok {
			return refuse("Template format error: Every Outputs member must contain a Value object")
		}
		out := Output{Value: value}
		out.Description, _ = fields["Description"].(string)
		out.Condition, _ = fields["Condition"].(string)
		if export, ok := fields["Export"]; ok {
			m, err := object("/Outputs/"+name+"/Export", export)
			if err != nil || m["Name"] == nil {
				return refuse("Template format error: Output %s is malformed. Export must contain a Name", name)
			}
			out.ExportName = m["Name"]
		}
		t.Outputs[name] = out
	}
	return nil
}

// Canonical is v as JSON with sorted keys: equal values have equal canonical forms.
func Canonical(v any) string {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		// Only values that Parse or Resolve made come here, and those are JSON.
		return fmt.Sprintf("%#v", v)
	}
	return strings.TrimSuffix(buffer.String(), "\n")
}
