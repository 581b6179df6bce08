package events

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// pattern is an event pattern: for each field an object, or the list of what its value may be
// (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html). Of the operators there are
// prefix, suffix, wildcard, anything-but, exists and $or.
type pattern map[string]any

func invalid(why string) error {
	return wire.Errorf("InvalidEventPatternException", "Event pattern is not valid. Reason: %s", why)
}

// parse reads and checks a pattern.
func parse(text string) (pattern, error) {
	var p pattern
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return nil, invalid("not a JSON object")
	}
	return p, p.check()
}

func (p pattern) check() error {
	if len(p) == 0 {
		return invalid("an empty object")
	}
	for key, want := range p {
		if err := checkField(key, want); err != nil {
			return err
		}
	}
	return nil
}

func checkField(key string, want any) error {
	switch want := want.(type) {
	case map[string]any:
		return pattern(want).check()
	case []any:
		if len(want) == 0 {
			return invalid("an empty list for " + key)
		}
		for _, one := range want {
			operator, ok := one.(map[string]any)
			switch {
			case ok && key == "$or":
				if err := pattern(operator).check(); err != nil {
					return err
				}
			case ok:
				if err := checkOperator(operator); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return invalid("\"" + key + "\" must be an object or an array")
}

func checkOperator(operator map[string]any) error {
	for name := range operator {
		if !slices.Contains([]string{"prefix", "suffix", "wildcard", "anything-but", "exists"}, name) {
			return wire.Unsupported("operator %s of event patterns", name)
		}
	}
	if len(operator) != 1 {
		return invalid("an operator must be one of a kind")
	}
	return nil
}

// matches tells whether an event has everything that the pattern asks for.
func (p pattern) matches(event map[string]any) bool {
	for key, want := range p {
		switch want := want.(type) {
		case map[string]any:
			inner, _ := event[key].(map[string]any)
			if !pattern(want).matches(inner) {
				return false
			}
		case []any:
			value, present := event[key]
			if !slices.ContainsFunc(want, func(one any) bool {
				if key == "$or" {
					branch, _ := one.(map[string]any)
					return pattern(branch).matches(event)
				}
				return admits(one, value, present)
			}) {
				return false
			}
		}
	}
	return true
}

// admits judges one value, or any of a list.
func admits(want, value any, present bool) bool {
	if list, ok := value.([]any); ok {
		return slices.ContainsFunc(list, func(item any) bool { return admits(want, item, true) })
	}
	operator, ok := want.(map[string]any)
	if !ok {
		return present && reflect.DeepEqual(want, value)
	}
	text, _ := value.(string)
	for name, operand := range operator {
		given, _ := operand.(string)
		switch name {
		case "exists":
			return operand == present
		case "prefix":
			return present && strings.HasPrefix(text, given)
		case "suffix":
			return present && strings.HasSuffix(text, given)
		case "wildcard":
			return present && wildcard(given, text)
		case "anything-but":
			list, ok := operand.([]any)
			if !ok {
				list = []any{operand}
			}
			return present && !slices.Contains(list, value)
		}
	}
	return false
}

// wildcard matches *, which stands for any text.
func wildcard(pattern, text string) bool {
	head, rest, more := strings.Cut(pattern, "*")
	text, ok := strings.CutPrefix(text, head)
	if !ok || !more {
		return ok && text == ""
	}
	for from := 0; from <= len(text); from++ {
		if wildcard(rest, text[from:]) {
			return true
		}
	}
	return false
}
