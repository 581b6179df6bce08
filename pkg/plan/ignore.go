package plan

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

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

func (i Ignore) matches(r gitops.Ref) bool {
	in := func(list []string, v string) bool { return len(list) == 0 || slices.Contains(list, v) }
	return r.Domain == gitops.K8s && in(i.Kinds, r.Kind) && in(i.Namespaces, r.Namespace) && in(i.Names, r.Name)
}

func (i Ignore) trim(t gitops.Tree) gitops.Tree {
	out := gitops.Clone(t)
	for _, steps := range i.steps {
		cut(out, "", steps)
	}
	return out
}

// cut removes what the steps lead to and returns what is left of v. field is the name of the field that holds v.
func cut(v any, field string, steps []step) any {
	s, rest := steps[0], steps[1:]
	switch v := v.(type) {
	case gitops.Tree:
		for name := range v {
			if !s.every && name != s.name {
				continue
			}
			if len(rest) == 0 {
				delete(v, name)
				continue
			}
			v[name] = cut(v[name], name, rest)
		}
	case []any:
		if s.bracket {
			return cutItems(v, field, s, rest)
		}
	}
	return v
}

func cutItems(items []any, field string, s step, rest []step) []any {
	keys, _ := keyedItems(field, items, items)
	out := make([]any, 0, len(items))
	for i, item := range items {
		hit := s.every || strconv.Itoa(i) == s.name || (keys != nil && keys[i] == "["+keyText(s.name)+"]")
		switch {
		case !hit:
			out = append(out, item)
		case len(rest) > 0:
			out = append(out, cut(item, "", rest))
		}
	}
	return out
}
