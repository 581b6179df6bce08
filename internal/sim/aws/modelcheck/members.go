package modelcheck

import (
	"maps"
	"slices"
	"testing"
)

// Members lists the members of a shape of a service's model that have none below them, as paths that do not show lists
// ("resourcesVpcConfig.subnetIds"); nil where the data is not beside the checkout.
func Members(t testing.TB, service, shape string) []string {
	t.Helper()
	d := load(t)
	if d == nil {
		return nil
	}
	m, err := d.find(service, "")
	if err != nil || m == nil || m.Shapes[shape] == nil {
		t.Fatalf("the model of %s has no shape %s (%v)", service, shape, err)
	}
	return m.members(shape, "")
}

func (m *model) members(name, path string) []string {
	s := m.Shapes[name]
	for s.Type == "list" {
		s = m.Shapes[s.Member.Shape]
	}
	if s.Type != "structure" {
		return []string{path}
	}
	var out []string
	for _, member := range slices.Sorted(maps.Keys(s.Members)) {
		at := member
		if path != "" {
			at = path + "." + member
		}
		out = append(out, m.members(s.Members[member].Shape, at)...)
	}
	return out
}
