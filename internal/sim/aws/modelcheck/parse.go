package modelcheck

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"strconv"
	"strings"
)

// fromJSON renames a JSON tree's members from the wire to the model.
func (c *checker) fromJSON(shapeName string, v any, path string) any {
	s := c.model.Shapes[shapeName]
	switch {
	case s == nil || v == nil:
		return v
	case s.Type == "structure":
		m, ok := v.(map[string]any)
		if !ok {
			return v
		}
		out := map[string]any{}
		for key, item := range m {
			name, r, ok := memberBy(s, key, jsonName)
			if !ok {
				c.fault(path, "has no member %s", key)
				continue
			}
			out[name] = c.fromJSON(r.Shape, item, path+"."+name)
		}
		return out
	case s.Type == "list":
		list, ok := v.([]any)
		if !ok {
			return v
		}
		out := make([]any, len(list))
		for i, item := range list {
			out[i] = c.fromJSON(s.Member.Shape, item, path)
		}
		return out
	}
	return v
}

func memberBy(s *shape, wireName string, naming func(string, ref) string) (string, ref, bool) {
	for name, r := range s.Members {
		if naming(name, r) == wireName {
			return name, r, true
		}
	}
	return "", ref{}, false
}

func jsonName(name string, r ref) string {
	if r.LocationName != "" {
		return r.LocationName
	}
	return name
}

// queryName is how ec2 names a member in a request.
func queryName(name string, r ref) string {
	switch {
	case r.QueryName != "":
		return r.QueryName
	case r.LocationName != "":
		name = r.LocationName
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

func decodeNumbers(raw []byte) (any, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return map[string]any{}, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

// element is an XML element.
type element struct {
	name     string
	text     string
	children []*element
}

func parseXML(raw []byte) (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(raw))
	root := &element{}
	stack := []*element{root}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		top := stack[len(stack)-1]
		switch t := token.(type) {
		case xml.StartElement:
			e := &element{name: t.Name.Local}
			top.children = append(top.children, e)
			stack = append(stack, e)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.text += string(t)
		}
	}
	if len(root.children) == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return root.children[0], nil
}

func (e *element) child(name string) *element {
	for _, c := range e.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// fromXML turns an element into a tree under the model's names.
func (c *checker) fromXML(shapeName string, e *element, path string) any {
	s := c.model.Shapes[shapeName]
	switch s.Type {
	case "structure":
		return c.structFromXML(s, e, path)
	case "list":
		out := []any{}
		want := "member"
		if s.Member.LocationName != "" {
			want = s.Member.LocationName
		}
		for _, item := range e.children {
			if item.name != want {
				c.fault(path, "has items <%s>, want <%s>", item.name, want)
				continue
			}
			out = append(out, c.fromXML(s.Member.Shape, item, path))
		}
		return out
	case "map":
		out := map[string]any{}
		for _, entry := range e.children {
			key, value := entry.child("key"), entry.child("value")
			if entry.name != "entry" || key == nil || value == nil {
				c.fault(path, "has <%s>, want <entry><key/><value/></entry>", entry.name)
				continue
			}
			out[key.text] = c.fromXML(s.Value.Shape, value, path)
		}
		return out
	}
	return e.text
}

func (c *checker) structFromXML(s *shape, e *element, path string) any {
	out := map[string]any{}
	for _, child := range e.children {
		name, r, ok := memberBy(s, child.name, jsonName)
		if !ok {
			c.fault(path, "has no element <%s>", child.name)
			continue
		}
		target := c.model.Shapes[r.Shape]
		if target.Type == "list" && (target.Flattened || r.Flattened) {
			list, _ := out[name].([]any)
			out[name] = append(list, c.fromXML(target.Member.Shape, child, path+"."+name))
			continue
		}
		if _, twice := out[name]; twice {
			c.fault(path, "has <%s> more than once", child.name)
		}
		out[name] = c.fromXML(r.Shape, child, path+"."+name)
	}
	return out
}

// fromForm turns the form below prefix into a tree under the model's names.
func (c *checker) fromForm(shapeName string, form url.Values, prefix string) any {
	s := c.model.Shapes[shapeName]
	switch s.Type {
	case "structure":
		out := map[string]any{}
		for name, r := range s.Members {
			at := dotted(prefix, c.wireName(name, r))
			if present(form, at) {
				out[name] = c.fromForm(r.Shape, form, at)
			}
		}
		return out
	case "list":
		return c.listFromForm(s, form, prefix)
	case "map":
		out := map[string]any{}
		for i := 1; present(form, dotted(prefix, "entry", strconv.Itoa(i))); i++ {
			at := dotted(prefix, "entry", strconv.Itoa(i))
			out[form.Get(at+".key")] = c.fromForm(s.Value.Shape, form, at+".value")
		}
		return out
	}
	return form.Get(prefix)
}

func (c *checker) listFromForm(s *shape, form url.Values, prefix string) any {
	out := []any{}
	if c.model.Metadata.Protocol == "query" && !s.Flattened {
		name := "member"
		if s.Member.LocationName != "" {
			name = s.Member.LocationName
		}
		prefix = dotted(prefix, name)
	}
	for i := 1; present(form, dotted(prefix, strconv.Itoa(i))); i++ {
		out = append(out, c.fromForm(s.Member.Shape, form, dotted(prefix, strconv.Itoa(i))))
	}
	return out
}

func dotted(parts ...string) string {
	if parts[0] == "" {
		parts = parts[1:]
	}
	return strings.Join(parts, ".")
}

func present(form url.Values, at string) bool {
	for key := range form {
		if key == at || strings.HasPrefix(key, at+".") {
			return true
		}
	}
	return false
}
