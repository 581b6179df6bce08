package template

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Env is what a template is resolved against.
type Env struct {
	Template *Template
	// Parameters are the effective values of parameters and pseudo parameters ("AWS::Region").
	Parameters map[string]any
	// Ref and GetAtt answer for resources of the template. They may answer Unknown.
	Ref    func(logical string) (any, error)
	GetAtt func(logical, attribute string) (any, error)
	// Import answers for the export of that name.
	Import func(export string) (any, error)
	// Zones lists the availability zones of a region, for Fn::GetAZs.
	Zones func(region string) []string

	conditions map[string]*bool // those evaluated; nil for one that is being evaluated
}

// Unknown is the value of something that exists only after a change was made; every function of it is Unknown too.
type Unknown struct{}

// MarshalJSON writes the words that change sets show.
func (Unknown) MarshalJSON() ([]byte, error) {
	return []byte(`"{{changeSet:KNOWN_AFTER_APPLY}}"`), nil
}

// absent is the value of AWS::NoValue: it removes the property or list item it stands for.
type absent struct{}

// Text is the string form of a scalar, as functions such as Fn::Join and outputs see it.
func Text(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case int:
		return strconv.Itoa(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	default:
		return "", fmt.Errorf("%T is not a scalar", v)
	}
}

// Resolve evaluates every intrinsic function below v. The result shares nothing with v.
func (e *Env) Resolve(v any) (any, error) {
	out, err := e.resolve(v)
	if err != nil {
		return nil, err
	}
	if _, gone := out.(absent); gone {
		return nil, nil //nolint:nilnil // a value that AWS::NoValue removed is nothing, and that is no error
	}
	return out, nil
}

// ResolveMap is Resolve for a map of properties.
func (e *Env) ResolveMap(m map[string]any) (map[string]any, error) {
	out := make(map[string]any, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		value, err := e.resolve(m[key])
		if err != nil {
			return nil, err
		}
		if _, gone := value.(absent); !gone {
			out[key] = value
		}
	}
	return out, nil
}

func (e *Env) resolve(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		// A lone "Condition" key outside of conditions is data, such as a policy statement's.
		if name, argument, ok := call(v); ok && name != "Condition" {
			return e.call(name, argument)
		}
		return e.ResolveMap(v)
	case []any:
		out := make([]any, 0, len(v))
		for _, item := range v {
			value, err := e.resolve(item)
			if err != nil {
				return nil, err
			}
			if _, gone := value.(absent); !gone {
				out = append(out, value)
			}
		}
		return out, nil
	default:
		return v, nil
	}
}

func call(m map[string]any) (name string, argument any, ok bool) {
	if len(m) != 1 {
		return "", nil, false
	}
	for name, argument = range m {
	}
	return name, argument, name == "Ref" || name == "Condition" || strings.HasPrefix(name, "Fn::")
}

func (e *Env) call(name string, argument any) (any, error) {
	switch name {
	case "Ref":
		return e.ref(argument)
	case "Fn::GetAtt":
		return e.getAtt(argument)
	case "Fn::Sub":
		return e.sub(argument)
	case "Fn::If":
		return e.choose(argument)
	case "Fn::And", "Fn::Or", "Fn::Not", "Fn::Equals":
		return e.Condition(map[string]any{name: argument})
	}
	fn, ok := pureFunctions()[name]
	if !ok {
		return nil, refuse("Template format error: Unrecognized function %s", name)
	}
	resolved, err := e.resolve(argument)
	if err != nil {
		return nil, err
	}
	if unknown(resolved) {
		return Unknown{}, nil
	}
	return fn(e, resolved)
}

func unknown(v any) bool {
	switch v := v.(type) {
	case Unknown:
		return true
	case []any:
		return slices.ContainsFunc(v, unknown)
	case map[string]any:
		for _, item := range v {
			if unknown(item) {
				return true
			}
		}
	}
	return false
}

// HasUnknown tells whether v holds something known only after a change.
func HasUnknown(v any) bool { return unknown(v) }

func (e *Env) ref(argument any) (any, error) {
	name, ok := argument.(string)
	if !ok {
		return nil, refuse("Template format error: All Ref values must be strings")
	}
	if name == "AWS::NoValue" {
		return absent{}, nil
	}
	if value, ok := e.Parameters[name]; ok {
		return value, nil
	}
	if _, ok := e.Template.Resources[name]; ok {
		return e.Ref(name)
	}
	return nil, refuse("Template format error: Unresolved resource dependencies [%s] in the Resources block of the template", name)
}

func (e *Env) getAtt(argument any) (any, error) {
	if list, ok := argument.([]any); ok && len(list) == 2 {
		attribute, err := e.resolve(list[1]) // the attribute may be a Ref to a parameter
		if err != nil {
			return nil, err
		}
		argument = []any{list[0], attribute}
	}
	name, attribute, ok := getAttArgument(argument)
	if !ok {
		return nil, refuse("Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute")
	}
	if _, ok := e.Template.Resources[name]; !ok {
		return nil, refuse("Template error: instance of Fn::GetAtt references undefined resource %s", name)
	}
	return e.GetAtt(name, attribute)
}

func (e *Env) sub(argument any) (any, error) {
	text, own := subArgument(argument)
	locals, err := e.ResolveMap(own)
	if err != nil {
		return nil, err
	}
	if unknown(locals) {
		return Unknown{}, nil
	}
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "${")
		out.WriteString(before)
		name, rest, closed := strings.Cut(after, "}")
		if !found {
			return out.String(), nil
		}
		if !closed {
			return out.String() + "${" + after, nil
		}
		text = rest
		if literal, escaped := strings.CutPrefix(name, "!"); escaped {
			out.WriteString("${" + literal + "}")
			continue
		}
		value, ok := locals[name]
		if !ok {
			if value, err = e.variable(name); err != nil {
				return nil, err
			}
		}
		if unknown(value) {
			return Unknown{}, nil
		}
		part, err := Text(value)
		if err != nil {
			return nil, refuse("Template error: variable %s in Fn::Sub expression does not resolve to a string", name)
		}
		out.WriteString(part)
	}
}

func (e *Env) variable(name string) (any, error) {
	logical, attribute, dotted := strings.Cut(name, ".")
	if dotted {
		return e.getAtt([]any{logical, attribute})
	}
	return e.ref(name)
}

func (e *Env) choose(argument any) (any, error) {
	list, ok := argument.([]any)
	if !ok || len(list) != 3 {
		return nil, refuse("Template error: Fn::If requires a list argument with three elements")
	}
	yes, err := e.Condition(map[string]any{"Condition": list[0]})
	if err != nil {
		return nil, err
	}
	if yes {
		return e.resolve(list[1])
	}
	return e.resolve(list[2])
}

// Condition evaluates a condition function: a map of Condition, Fn::And, Fn::Or, Fn::Not or Fn::Equals.
func (e *Env) Condition(v any) (bool, error) { return e.condition(v, 0) }

// maxConditionDepth stops nesting that no template of the allowed size needs.
const maxConditionDepth = 64

// named evaluates a condition of the template once; one that refers to itself has no value.
func (e *Env) named(label string, depth int) (bool, error) {
	if known, ok := e.conditions[label]; ok {
		if known == nil {
			return false, refuse("Template format error: Circular dependency for condition %s", label)
		}
		return *known, nil
	}
	body, ok := e.Template.Conditions[label]
	if !ok {
		return false, refuse("Template format error: Unresolved condition dependency %s in the Conditions block of the template", label)
	}
	if e.conditions == nil {
		e.conditions = map[string]*bool{}
	}
	e.conditions[label] = nil
	yes, err := e.condition(body, depth+1)
	if err != nil {
		return false, err
	}
	e.conditions[label] = &yes
	return yes, nil
}

func (e *Env) condition(v any, depth int) (bool, error) {
	m, _ := v.(map[string]any)
	name, argument, ok := call(m)
	if !ok || depth > maxConditionDepth {
		return false, refuse("Template format error: Conditions can only be boolean operations on parameters and other conditions")
	}
	if name == "Condition" {
		label, _ := argument.(string)
		return e.named(label, depth)
	}
	list, _ := argument.([]any)
	switch {
	case name == "Fn::Not" && len(list) == 1:
		yes, err := e.condition(list[0], depth+1)
		return !yes, err
	case name == "Fn::Equals" && len(list) == 2:
		pair, err := e.resolve(list)
		sides, _ := pair.([]any)
		return err == nil && len(sides) == 2 && Same(sides[0], sides[1]), err
	case name == "Fn::And" || name == "Fn::Or":
		return e.connect(name, list, depth)
	}
	return false, refuse("Template error: every %s object requires a list of conditions or values of the right length", name)
}

// connect evaluates Fn::And and Fn::Or, which take two to ten conditions, up to the first that decides.
func (e *Env) connect(name string, list []any, depth int) (bool, error) {
	if len(list) < 2 || len(list) > 10 {
		return false, refuse("Template error: every %s object requires a list of 2 to 10 conditions", name)
	}
	for _, item := range list {
		yes, err := e.condition(item, depth+1)
		if err != nil || yes == (name == "Fn::Or") {
			return yes, err
		}
	}
	return name == "Fn::And", nil
}

// Same tells whether two resolved values are equal for CloudFormation, for which 1, "1", and true, "true" are the same.
func Same(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		other, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, other, Same)
	case []any:
		other, ok := b.([]any)
		return ok && slices.EqualFunc(a, other, Same)
	case Unknown:
		return false
	case nil:
		return b == nil
	}
	left, err := Text(a)
	if err != nil {
		return false
	}
	right, err := Text(b)
	return err == nil && left == right
}
