package modelcheck

import (
	"slices"
	"strings"
	"testing"
)

// Settable tells whether a template may set a property of a resource type ("ScalingConfig/MinSize"), be it in a list.
func Settable(t testing.TB, typeName, property string) bool {
	t.Helper()
	d := load(t)
	if d == nil || slices.Contains(newer(), typeName+"/"+property) {
		return d != nil
	}
	root, err := d.templates.schema(typeName)
	if err != nil {
		t.Fatalf("the schema of %s: %v", typeName, err)
	}
	w, at := walker{root: root}, root
	for name := range strings.SplitSeq(property, "/") {
		at = w.resolve(at.Properties[name])
		if at != nil && at.Items != nil {
			at = w.resolve(at.Items)
		}
		if at == nil {
			return false
		}
	}
	return !slices.Contains(names(root.ReadOnlyProperties), property)
}
