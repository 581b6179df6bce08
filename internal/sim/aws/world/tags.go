package world

import (
	"maps"
	"slices"
)

// Tags are a resource's tags.
type Tags map[string]string

// Tag is one of them.
type Tag struct{ Key, Value string }

// List gives the tags in the order of their keys.
func (t Tags) List() []Tag {
	out := make([]Tag, 0, len(t))
	for _, k := range slices.Sorted(maps.Keys(t)) {
		out = append(out, Tag{k, t[k]})
	}
	return out
}

// With returns a copy of t with the given tags over it; the later wins.
func (t Tags) With(over ...map[string]string) Tags {
	out := maps.Clone(t)
	if out == nil {
		out = Tags{}
	}
	for _, o := range over {
		maps.Copy(out, o)
	}
	return out
}

// Without returns a copy of t lacking the given keys.
func (t Tags) Without(keys ...string) Tags {
	out := t.With()
	for _, k := range keys {
		delete(out, k)
	}
	return out
}
