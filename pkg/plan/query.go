package plan

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Query is a compiled program that picks fields by what an object says; pkg/apply/jq makes them.
type Query interface {
	// Paths are the fields of an object that the program picks, by names (string) and positions (int).
	Paths(object gitops.Tree) ([][]any, error)
	// String is the program.
	String() string
}

// Of is the rule for one object: what its queries pick in any of the documents (what git says, what is live) is among the
// fields. Items of lists are picked by name where they have one. By position only where all documents say so, because
// elsewhere the same position is another item. The second result is whether the rule picks anything; the error names the
// query that could not be answered.
func (i Ignore) Of(documents ...gitops.Tree) (Ignore, bool, error) {
	if len(i.Queries) == 0 {
		return i, true, nil
	}
	out := i
	out.Queries, out.Fields = nil, slices.Clone(i.Fields)
	for _, q := range i.Queries {
		picked, err := pickAll(q, documents)
		if err != nil {
			return i, false, gitops.Errorf(gitops.PolicyInvalid, "the ignore rule of %s: jq: %s: %s", i.From, q, err)
		}
		out.Fields = append(out.Fields, picked...)
	}
	return out, len(out.Fields) > 0, nil
}

func pickAll(q Query, documents []gitops.Tree) ([]Pattern, error) {
	said := map[string]int{}
	var all []spot
	for _, document := range documents {
		paths, err := q.Paths(document)
		if err != nil {
			return nil, err
		}
		once := map[string]bool{}
		for _, path := range paths {
			found, err := locate(document, path)
			if err != nil {
				return nil, err
			}
			for _, l := range found {
				if !once[l.text] {
					once[l.text] = true
					said[l.text]++
					all = append(all, l)
				}
			}
		}
	}
	var out []Pattern
	for _, l := range all {
		known := slices.ContainsFunc(out, l.Equal)
		if !known && (!l.byPosition || said[l.text] == len(documents)) {
			out = append(out, l.Pattern)
		}
	}
	return out, nil
}

// spot is a pattern without [*].
type spot struct {
	Pattern
	// byPosition says that it leads through a list whose items have no names.
	byPosition bool
}

// locate names a path of an object as edits do. Scalars of a list are named by their position and, as the items of sets are,
// by their value.
func locate(document gitops.Tree, path []any) ([]spot, error) {
	var at any = document
	out := []spot{{}}
	field := ""
	for _, v := range path {
		var next []spot
		switch v := v.(type) {
		case string:
			for _, l := range out {
				next = append(next, l.to(Field(l.text, v), step{name: v}, false))
			}
			tree, _ := at.(gitops.Tree)
			at, field = tree[v], v
		case int:
			list, _ := at.([]any)
			if v < 0 {
				v += len(list)
			}
			if v < 0 || v >= len(list) {
				return nil, nil // jq names items that are not there, too
			}
			for _, l := range out {
				next = append(next, l.items(field, list, v)...)
			}
			at, field = list[v], ""
		default:
			return nil, errors.New("it picks a range of a list: pick its items")
		}
		out = next
	}
	if len(path) == 0 || protected(out[0].steps) {
		return nil, fmt.Errorf("it picks %s, which names the object itself and is git's", orWhole(out[0].text))
	}
	return out, nil
}

func orWhole(path string) string {
	if path == "" {
		return "all of the object"
	}
	return path
}

func (l spot) to(text string, s step, byPosition bool) spot {
	return spot{Pattern{text, append(slices.Clone(l.steps), s)}, l.byPosition || byPosition}
}

// items extends a path by one item of a list, which a field holds.
func (l spot) items(field string, list []any, i int) []spot {
	if names, _ := keyedItems(field, list, list); names != nil {
		key, _, _ := bracketStep(names[i])
		return []spot{l.to(l.text+names[i], key, false)}
	}
	out := []spot{l.to(Index(l.text, i), step{name: strconv.Itoa(i), bracket: true}, true)}
	if value, ok := list[i].(string); ok {
		if _, err := strconv.Atoi(value); err != nil {
			out = append(out, l.to(Keyed(l.text, map[string]any{"": value}), step{name: value, bracket: true}, false))
		}
	}
	return out
}
