package modelcheck

import (
	"maps"
	"slices"
	"strings"
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

// Takes lists the members of a call's request ("eks:UpdateAddon") as Members does; nil where there are no models.
func Takes(t testing.TB, call string) []string {
	t.Helper()
	d := load(t)
	if d == nil {
		return nil
	}
	service, name, _ := strings.Cut(call, ":")
	m, err := d.find(service, "")
	if err != nil || m == nil || m.Operations[name] == nil || m.Operations[name].Input == nil {
		t.Fatalf("there is no request of %s (%v)", call, err)
	}
	return m.members(m.Operations[name].Input.Shape, "")
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
