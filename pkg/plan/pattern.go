package plan

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Pattern names fields of objects: a path as edits show it, in which [*] stands for every item of a list or every key of an
// object. It covers what it names and everything below.
type Pattern struct {
	text  string
	steps []step
}

// ParsePattern reads a pattern.
func ParsePattern(text string) (Pattern, error) {
	steps, err := parsePath(text)
	return Pattern{text, steps}, err
}

// String is the pattern as written.
func (p Pattern) String() string { return p.text }

// Equal compares what was written.
func (p Pattern) Equal(q Pattern) bool { return p.text == q.text }

// Covers reports whether a path, given as the names of its steps, is one that the pattern names, or below one.
func (p Pattern) Covers(path []string) bool {
	if len(p.steps) == 0 || len(path) < len(p.steps) {
		return false
	}
	for i, name := range path[:len(p.steps)] {
		if s := p.steps[i]; !s.every && s.name != name {
			return false
		}
	}
	return true
}

// Settle gives the fields of wanted that the pattern covers the values that they have in live, and takes out those that live
// does not have. An item of a list that live lacks as a whole keeps what wanted says of it, for its creation. The result may
// share structure with live.
func (p Pattern) Settle(wanted, live gitops.Tree) gitops.Tree {
	out := gitops.Clone(wanted)
	if len(p.steps) > 0 {
		settle(out, live, "", p.steps)
	}
	return out
}

// Cut takes out what the pattern covers.
func (p Pattern) Cut(t gitops.Tree) gitops.Tree {
	out := gitops.Clone(t)
	if len(p.steps) > 0 {
		cut(out, "", p.steps)
	}
	return out
}

// cut changes v and returns what is left of it.
func cut(v any, field string, steps []step) any {
	s, rest := steps[0], steps[1:]
	switch v := v.(type) {
	case gitops.Tree:
		for name := range v {
			switch {
			case !s.every && name != s.name:
			case len(rest) > 0:
				v[name] = cut(v[name], name, rest)
			default:
				delete(v, name)
			}
		}
	case []any:
		if !s.bracket {
			return v
		}
		names, _ := keyedItems(field, v, v)
		out := make([]any, 0, len(v))
		for i, item := range v {
			hit := s.every || strconv.Itoa(i) == s.name || (names != nil && names[i] == "["+keyText(s.name)+"]")
			switch {
			case !hit:
				out = append(out, item)
			case len(rest) > 0:
				out = append(out, cut(item, "", rest))
			}
		}
		return out
	}
	return v
}

// settle changes v and returns what is left of it. field is the name of the field that holds v.
func settle(v, live any, field string, steps []step) any {
	s, rest := steps[0], steps[1:]
	switch v := v.(type) {
	case gitops.Tree:
		was, _ := live.(gitops.Tree)
		for name := range v {
			value, found := was[name]
			switch {
			case !s.every && name != s.name:
			case len(rest) > 0:
				v[name] = settle(v[name], value, name, rest)
			case found:
				v[name] = value
			default:
				delete(v, name)
			}
		}
	case []any:
		if s.bracket {
			was, _ := live.([]any)
			return settleItems(v, was, field, s, rest)
		}
	}
	return v
}

func settleItems(items, live []any, field string, s step, rest []step) []any {
	names, others := keyedItems(field, items, live)
	out := make([]any, 0, len(items))
	for i, item := range items {
		at := i
		if names != nil {
			at = slices.Index(others, names[i])
		}
		found := at >= 0 && at < len(live)
		hit := s.every || strconv.Itoa(i) == s.name || (names != nil && names[i] == "["+keyText(s.name)+"]")
		switch {
		case !hit, !found && len(rest) > 0:
			out = append(out, item)
		case len(rest) > 0:
			out = append(out, settle(item, live[at], "", rest))
		case found:
			out = append(out, live[at])
		}
	}
	return out
}

// step is one step of a path: a field of an object, or in brackets an item of a list or a quoted field.
type step struct {
	name  string
	every bool
	// quoted says that the brackets held a quoted name, which "*" is then too.
	bracket bool
}

// parsePath reads the paths that Field, Keyed and Index write, plus [*] for every item.
func parsePath(path string) ([]step, error) {
	var out []step
	rest := path
	for rest != "" {
		if rest[0] == '[' {
			s, after, err := bracketStep(rest)
			if err != nil {
				return nil, fmt.Errorf("reading path %q: %w", path, err)
			}
			out, rest = append(out, s), after
			continue
		}
		if len(out) > 0 {
			var ok bool
			if rest, ok = strings.CutPrefix(rest, "."); !ok {
				return nil, fmt.Errorf("reading path %q: %q does not follow a step", path, rest)
			}
		}
		end := strings.IndexAny(rest, ".[")
		if end < 0 {
			end = len(rest)
		}
		if !plain(rest[:end]) {
			return nil, fmt.Errorf("reading path %q: %q is no field name; quote it in brackets", path, rest[:end])
		}
		out, rest = append(out, step{name: rest[:end]}), rest[end:]
	}
	if len(out) == 0 {
		return nil, errors.New("reading a path: it is empty")
	}
	return out, nil
}

func bracketStep(rest string) (step, string, error) {
	if strings.HasPrefix(rest, `["`) {
		quoted, err := strconv.QuotedPrefix(rest[1:])
		if err != nil {
			return step{}, "", errors.New("a quote is not closed")
		}
		name, err := strconv.Unquote(quoted)
		if err != nil {
			return step{}, "", fmt.Errorf("%s is not a quoted text", quoted)
		}
		after, ok := strings.CutPrefix(rest[1+len(quoted):], "]")
		if !ok {
			return step{}, "", errors.New("a bracket is not closed")
		}
		return step{name: name, bracket: true}, after, nil
	}
	end := strings.IndexByte(rest, ']')
	if end < 2 {
		return step{}, "", errors.New("a bracket is empty or not closed")
	}
	name := rest[1:end]
	if strings.ContainsAny(name, `["`) {
		return step{}, "", fmt.Errorf("%q needs quotes", name)
	}
	return step{name: name, every: name == "*", bracket: true}, rest[end+1:], nil
}

// protected reports whether a path is part of what an object is, which no rule can ignore.
func protected(steps []step) bool {
	first := steps[0].name
	switch {
	case steps[0].every || first == "apiVersion" || first == "kind":
		return true
	case first == "metadata":
		return len(steps) == 1 || steps[1].every || steps[1].name == "name" || steps[1].name == "namespace"
	}
	return false
}
