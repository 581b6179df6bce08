package ec2

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// Filter narrows a Describe operation. Values may hold the wildcards * and ?.
type Filter struct {
	Name   string
	Values []string `form:"Value"`
}

// Query is what the Describe operations have in common.
type Query struct {
	Dry
	Filters    []Filter `form:"Filter"`
	MaxResults *int
	NextToken  string
}

// kind says how resources of one sort are found.
type kind[T any] struct {
	all map[string]*T
	// missing is the error for an id that does not exist.
	missing func(id string) error
	// values are the values a filter looks at; ok is false for a filter that the sort does not have.
	values func(item *T, filter string) (values []string, ok bool)
	// idsParameter names the parameter of ids in errors.
	idsParameter string
}

// find lists the resources of the given ids (all if there are none) that pass the filters, by id, one page at a time.
func find[T any](s *Service, k kind[T], ids []string, q Query) (items []*T, next string, err error) {
	if len(ids) > 0 && q.MaxResults != nil {
		return nil, "", wire.Errorf("InvalidParameterCombination", "The parameter %s cannot be used with the parameter maxResults", k.idsParameter)
	}
	var chosen []string
	for _, id := range ids {
		if k.all[id] == nil {
			return nil, "", k.missing(id)
		}
		if !slices.Contains(chosen, id) {
			chosen = append(chosen, id)
		}
	}
	if len(ids) == 0 {
		chosen = slices.Sorted(maps.Keys(k.all))
	}
	var passing []string
	for _, id := range chosen {
		pass, err := passes(k.all[id], s.state.Tags[id], q.Filters, k.values)
		if err != nil {
			return nil, "", err
		}
		if pass {
			passing = append(passing, id)
		}
	}
	part, next, err := page(passing, wire.Self, q)
	for _, id := range part {
		items = append(items, k.all[id])
	}
	return items, next, err
}

// passes tells whether an item passes all filters.
func passes[T any](item T, tags map[string]string, filters []Filter, values func(T, string) ([]string, bool)) (bool, error) {
	for _, f := range filters {
		have, ok := tagFilter(tags, f.Name)
		if !ok {
			have, ok = values(item, f.Name)
		}
		if !ok {
			return false, wire.Errorf("InvalidParameterValue", "The filter '%s' is invalid", f.Name)
		}
		if len(f.Values) == 0 {
			return false, wire.Errorf("InvalidParameterValue", "The filter '%s' has no values", f.Name)
		}
		if !slices.ContainsFunc(have, func(v string) bool { return matchesAny(v, f.Values) }) {
			return false, nil
		}
	}
	return true, nil
}

func tagFilter(tags map[string]string, name string) ([]string, bool) {
	if key, ok := strings.CutPrefix(name, "tag:"); ok {
		if value, has := tags[key]; has {
			return []string{value}, true
		}
		return nil, true
	}
	if name == "tag-key" {
		return slices.Collect(maps.Keys(tags)), true
	}
	return nil, false
}

func matchesAny(v string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(v, p) })
}

// matches knows EC2's wildcards: * for any run of characters, ? for exactly one, a backslash before either for itself.
func matches(v, pattern string) bool {
	if pattern == "" {
		return v == ""
	}
	switch pattern[0] {
	case '*':
		for i := 0; i <= len(v); i++ {
			if matches(v[i:], pattern[1:]) {
				return true
			}
		}
		return false
	case '?':
		return v != "" && matches(v[1:], pattern[1:])
	case '\\':
		if len(pattern) > 1 && strings.ContainsRune(`*?\`, rune(pattern[1])) {
			pattern = pattern[1:]
		}
	}
	return v != "" && v[0] == pattern[0] && matches(v[1:], pattern[1:])
}

// page cuts one page out of items, in the order of their keys. Without MaxResults there is one page of everything.
func page[T any](items []T, key func(item T) string, q Query) (part []T, next string, err error) {
	size := len(items)
	if q.MaxResults != nil {
		size = *q.MaxResults
		if size < 1 {
			return nil, "", wire.Errorf("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value greater than 0.", size)
		}
	}
	part, next, ok := wire.Page(items, key, size, q.NextToken)
	if !ok {
		return nil, "", wire.Errorf("InvalidNextToken", "The token '%s' is invalid", q.NextToken)
	}
	return part, next, nil
}

// one makes the list of filter values of a single value; an absent value matches nothing.
func one(v string) []string {
	if v == "" {
		return nil
	}
	return []string{v}
}

func yesNo(b bool) []string { return []string{strconv.FormatBool(b)} }

func notFound(code, noun string) func(string) error {
	return func(id string) error {
		return wire.Errorf(code, "The %s '%s' does not exist", noun, id)
	}
}

func missingParameter(name string) error {
	return wire.Errorf("MissingParameter", "The request must contain the parameter %s", name)
}

func dependency(format string, args ...any) error {
	return wire.Errorf("DependencyViolation", format, args...)
}

// sorted lists the values of m by key.
func sorted[T any](m map[string]*T) []*T {
	out := make([]*T, 0, len(m))
	for _, id := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[id])
	}
	return out
}
