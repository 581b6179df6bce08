package template

import (
	"maps"
	"slices"
	"strings"
)

// Reference is a use of a resource or parameter by an intrinsic function. Attribute is empty for Ref.
type Reference struct{ Name, Attribute string }

// References lists every Ref, Fn::GetAtt and Fn::Sub variable below v, in no particular order and possibly repeated.
// Pseudo parameters ("AWS::Region") are included.
func References(v any) []Reference {
	var found []Reference
	walk(v, func(function string, argument any) {
		switch function {
		case "Ref":
			if name, ok := argument.(string); ok {
				found = append(found, Reference{Name: name})
			}
		case "Fn::GetAtt":
			if name, attribute, ok := getAttArgument(argument); ok {
				found = append(found, Reference{Name: name, Attribute: attribute})
			}
		case "Fn::Sub":
			text, own := subArgument(argument)
			for _, name := range variables(text) {
				if _, local := own[name]; local {
					continue
				}
				name, attribute, _ := strings.Cut(name, ".")
				found = append(found, Reference{Name: name, Attribute: attribute})
			}
		}
	})
	return found
}

// Imports lists the literal export names that v imports; computed names are left out.
func Imports(v any) []string {
	var names []string
	walk(v, func(function string, argument any) {
		if name, ok := argument.(string); ok && function == "Fn::ImportValue" {
			names = append(names, name)
		}
	})
	return names
}

func walk(v any, visit func(function string, argument any)) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if len(v) == 1 {
				visit(key, v[key])
			}
			walk(v[key], visit)
		}
	case []any:
		for _, item := range v {
			walk(item, visit)
		}
	}
}

func getAttArgument(argument any) (name, attribute string, ok bool) {
	switch a := argument.(type) {
	case string:
		return strings.Cut(a, ".")
	case []any:
		if len(a) != 2 {
			return "", "", false
		}
		name, ok = a[0].(string)
		if !ok {
			return "", "", false
		}
		attribute, ok = a[1].(string)
		return name, attribute, ok
	}
	return "", "", false
}

func subArgument(argument any) (text string, own map[string]any) {
	switch a := argument.(type) {
	case string:
		return a, nil
	case []any:
		if len(a) == 2 {
			text, _ = a[0].(string)
			own, _ = a[1].(map[string]any)
		}
	}
	return text, own
}

// variables lists the names in ${...}; ${!Literal} is an escape, not a variable.
func variables(text string) []string {
	var names []string
	for {
		_, after, found := strings.Cut(text, "${")
		if !found {
			return names
		}
		name, rest, closed := strings.Cut(after, "}")
		if !closed {
			return names
		}
		if !strings.HasPrefix(name, "!") {
			names = append(names, name)
		}
		text = rest
	}
}

// Dependencies lists, sorted, the resources that must exist before the resource of that name.
func (t *Template) Dependencies(logical string) []string {
	r := t.Resources[logical]
	seen := map[string]bool{}
	for _, name := range r.DependsOn {
		seen[name] = true
	}
	for _, v := range []any{r.Properties, r.UpdatePolicy, r.CreationPolicy, r.Metadata} {
		for _, ref := range References(v) {
			if _, ok := t.Resources[ref.Name]; ok {
				seen[ref.Name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// cycle returns the resources of a dependency cycle, or nil.
func (t *Template) cycle() []string {
	remaining := map[string][]string{}
	for name := range t.Resources {
		remaining[name] = t.Dependencies(name)
	}
	for {
		removed := false
		for name, needs := range remaining {
			blocked := slices.ContainsFunc(needs, func(need string) bool { _, ok := remaining[need]; return ok })
			if !blocked {
				delete(remaining, name)
				removed = true
			}
		}
		if len(remaining) == 0 {
			return nil
		}
		if !removed {
			return slices.Sorted(maps.Keys(remaining))
		}
	}
}
