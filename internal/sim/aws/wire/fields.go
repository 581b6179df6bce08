package wire

import (
	"reflect"
	"strings"
)

// field is one field of a struct as one codec sees it.
type field struct {
	name      string
	wrap      []string // outer elements of an xml tag "a>b"
	index     []int
	typ       reflect.Type
	omitEmpty bool
	tagged    bool
}

// fieldsOf lists the exported fields of t under their names in the given tag, embedded structs flattened. A field tagged
// "-" is left out; an untagged one has its own name.
func fieldsOf(t reflect.Type, tag string) []field {
	var out []field
	for i := range t.NumField() {
		sf := t.Field(i)
		text, tagged := sf.Tag.Lookup(tag)
		if text == "-" || !sf.IsExported() && !sf.Anonymous {
			continue
		}
		if sf.Anonymous && !tagged && sf.Type.Kind() == reflect.Struct {
			for _, inner := range fieldsOf(sf.Type, tag) {
				inner.index = append([]int{i}, inner.index...)
				out = append(out, inner)
			}
			continue
		}
		name, options, _ := strings.Cut(text, ",")
		steps := strings.Split(name, ">")
		f := field{name: steps[len(steps)-1], wrap: steps[:len(steps)-1], index: sf.Index, typ: sf.Type, tagged: tagged}
		if f.name == "" {
			f.name = sf.Name
		}
		f.omitEmpty = strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		out = append(out, f)
	}
	return out
}

// Field is a field of a struct as the wire names it.
type Field struct {
	Name string
	// Wrap are outer elements of an xml tag "a>b".
	Wrap []string
	Type reflect.Type
	// Tagged says that the name comes from the tag and is not the field's own.
	Tagged bool
}

// Fields lists the fields of a struct under the tag "form", "xml", "json", "path" or "query", embedded structs flattened. It is
// for checks of what services declare.
func Fields(t reflect.Type, tag string) []Field {
	var out []Field
	for _, f := range fieldsOf(t, tag) {
		out = append(out, Field{Name: f.name, Wrap: f.wrap, Type: f.typ, Tagged: f.tagged})
	}
	return out
}
