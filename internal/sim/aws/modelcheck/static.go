package modelcheck

import (
	"reflect"
	"testing"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// Services reports operations, routes and fields that AWS's models do not have.
func Services(t testing.TB, services ...*wire.Service) {
	t.Helper()
	d := load(t)
	if d == nil {
		return
	}
	for _, s := range services {
		m, err := d.find(s.Name, s.Version)
		if err != nil {
			t.Error(err)
			continue
		}
		if m == nil {
			t.Errorf("%s: there is no model of signing name %q and version %q", s.Title(), s.Name, s.Version)
			continue
		}
		for _, o := range s.Operations() {
			for _, fault := range m.compare(s, o) {
				t.Errorf("%s %s: %s", s.Title(), o.Name, fault)
			}
		}
	}
}

func (m *model) compare(s *wire.Service, o *wire.Operation) []string {
	c := &checker{model: m}
	want := m.Operations[o.Name]
	if want == nil {
		return []string{"the model has no such operation"}
	}
	in, out := "form", "xml"
	c.wireName = jsonName
	switch s.Protocol {
	case wire.RESTJSON:
		in, out = "json", "json"
		if route := want.HTTP.Method + " " + want.HTTP.RequestURI; route != o.Route {
			c.fault("route", "is %q, the model says %q", o.Route, route)
		}
	case wire.JSON:
		in, out = "json", "json"
	case wire.EC2:
		c.wireName = queryName
	case wire.Query:
	}
	c.side(want.Input, o.In, in, "input")
	if s.Protocol == wire.RESTJSON {
		c.located(want.Input, o.In)
	}
	c.wireName = jsonName
	c.side(want.Output, o.Out, out, "output")
	return c.faults
}

// located compares the fields that come from the URL.
func (c *checker) located(want *ref, t reflect.Type) {
	have := map[string]string{}
	for tag, location := range map[string]string{"path": "uri", "query": "querystring"} {
		for _, f := range wire.Fields(t, tag) {
			if f.Tagged {
				have[f.Name] = location
			}
		}
	}
	known := map[string]string{}
	if want != nil {
		for _, r := range c.model.Shapes[want.Shape].Members {
			if r.Location != "" {
				known[r.LocationName] = r.Location
			}
		}
	}
	for name, location := range have {
		if known[name] != location {
			c.fault("input", "takes %s from the %s, the model has it in %q", name, location, known[name])
		}
	}
	for name, location := range known {
		if location == "uri" && have[name] == "" {
			c.fault("input", "does not take the path variable %s", name)
		}
	}
}

func (c *checker) side(want *ref, t reflect.Type, tag, path string) {
	if want == nil {
		for _, f := range wire.Fields(t, tag) {
			if tag != "xml" || f.Name != "return" { // EC2 answers <return>true</return> where its model has nothing
				c.fault(path, "has %s, the model has nothing", f.Name)
			}
		}
		return
	}
	c.fields(want.Shape, t, tag, path, map[seen]bool{})
}

type seen struct {
	shape string
	typ   reflect.Type
}

// fields compares a struct type with a shape.
func (c *checker) fields(shapeName string, t reflect.Type, tag, path string, done map[seen]bool) {
	s := c.model.Shapes[shapeName]
	if done[seen{shapeName, t}] {
		return
	}
	done[seen{shapeName, t}] = true
	for _, f := range wire.Fields(t, tag) {
		wireName, inner := f.Name, ""
		if len(f.Wrap) > 0 {
			wireName, inner = f.Wrap[0], f.Name
		}
		name, r, ok := memberBy(s, wireName, c.wireName)
		if !ok {
			c.fault(path, "has no member %s", wireName)
			continue
		}
		if r.Location != "" && tag == "json" {
			continue
		}
		c.typ(r, f.Type, tag, inner, path+"."+name, done)
	}
}

// typ compares a field's type with a shape. inner is the name of a list's items in XML, empty where the list is flat.
func (c *checker) typ(r ref, t reflect.Type, tag, inner, path string, done map[seen]bool) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 || t.Kind() == reflect.Interface {
		return
	}
	s := c.model.Shapes[r.Shape]
	if have, want := kindOf(t), shapeKind(s); have != want {
		c.fault(path, "is a %s, the model says %s", t, s.Type)
		return
	}
	switch s.Type {
	case "structure":
		c.fields(r.Shape, t, tag, path, done)
	case "list":
		if tag == "xml" && !s.Flattened && !r.Flattened {
			c.items(s, inner, path)
		}
		c.typ(*s.Member, t.Elem(), tag, "", path+"[]", done)
	case "map":
		c.typ(*s.Value, t.Elem(), tag, "", path+"{}", done)
	}
}

func (c *checker) items(s *shape, have, path string) {
	want := "member"
	if s.Member.LocationName != "" {
		want = s.Member.LocationName
	}
	if have != want {
		c.fault(path, "has items <%s>, the model says <%s>", have, want)
	}
}

// kindOf is what a Go type can carry, in the model's words; "" is a scalar.
func kindOf(t reflect.Type) string {
	if t == reflect.TypeFor[wire.Time]() || t == reflect.TypeFor[time.Time]() {
		return "timestamp"
	}
	return map[reflect.Kind]string{reflect.Struct: "structure", reflect.Slice: "list", reflect.Map: "map"}[t.Kind()]
}

func shapeKind(s *shape) string {
	switch s.Type {
	case "structure", "list", "map", "timestamp":
		return s.Type
	}
	return ""
}
