package modelcheck

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// checker compares values with shapes and collects what is wrong.
type checker struct {
	model *model
	// member names a structure's members on the wire.
	wireName func(name string, r ref) string
	faults   []string
}

func (c *checker) fault(path, format string, args ...any) {
	c.faults = append(c.faults, path+": "+fmt.Sprintf(format, args...))
}

// value checks v, a tree of map[string]any, []any, string, json.Number and bool whose map keys are the model's member names.
// Texts stand for all scalars in XML and forms.
func (c *checker) value(shapeName string, v any, path string) {
	s := c.model.Shapes[shapeName]
	if v == nil || s == nil {
		return
	}
	switch s.Type {
	case "structure":
		c.structure(s, v, path)
	case "list":
		list, ok := v.([]any)
		if !ok {
			c.fault(path, "want a list, have %T", v)
			return
		}
		c.bounds(s, float64(len(list)), path, "items")
		for i, item := range list {
			c.value(s.Member.Shape, item, fmt.Sprintf("%s[%d]", path, i))
		}
	case "map":
		m, ok := v.(map[string]any)
		if !ok {
			c.fault(path, "want a map, have %T", v)
			return
		}
		c.bounds(s, float64(len(m)), path, "entries")
		for k, item := range m {
			c.value(s.Key.Shape, k, path+"{key}")
			c.value(s.Value.Shape, item, path+"{"+k+"}")
		}
	default:
		c.scalar(s, v, path)
	}
}

func (c *checker) structure(s *shape, v any, path string) {
	m, ok := v.(map[string]any)
	if !ok {
		c.fault(path, "want a structure, have %T", v)
		return
	}
	for name, item := range m {
		r, known := s.Members[name]
		if !known {
			c.fault(path, "has no member %s", name)
			continue
		}
		c.value(r.Shape, item, path+"."+name)
	}
	for _, name := range s.Required {
		if m[name] == nil {
			c.fault(path, "lacks the required member %s", name)
		}
	}
}

func (c *checker) bounds(s *shape, n float64, path, what string) {
	if s.Min != nil && n < *s.Min {
		c.fault(path, "has %v %s, the least is %v", n, what, *s.Min)
	}
	if s.Max != nil && n > *s.Max {
		c.fault(path, "has %v %s, the most is %v", n, what, *s.Max)
	}
}

func (c *checker) scalar(s *shape, v any, path string) {
	text, isText := v.(string)
	number, isNumber := v.(json.Number)
	_, isBool := v.(bool)
	switch s.Type {
	case "string":
		if !isText {
			c.fault(path, "want text, have %T", v)
			return
		}
		c.text(s, text, path)
	case "boolean":
		if !isBool && text != "true" && text != "false" {
			c.fault(path, "want a boolean, have %v", v)
		}
	case "integer", "long", "float", "double":
		if isText {
			number, isNumber = json.Number(text), true
		}
		f, err := number.Float64()
		if !isNumber || err != nil {
			c.fault(path, "want a number, have %v", v)
			return
		}
		c.bounds(s, f, path, "as value")
	case "timestamp":
		if isNumber {
			return
		}
		if _, err := time.Parse(time.RFC3339, text); err != nil {
			c.fault(path, "want a timestamp, have %v", v)
		}
	}
}

// ofStack says that a status is one that a stack has and no resource: events of the stack itself carry it where the model has the statuses
// of resources (CloudFormation user guide, "Stack status codes").
func ofStack(path, status string) bool {
	return strings.HasSuffix(path, ".ResourceStatus") && strings.HasSuffix(status, "_CLEANUP_IN_PROGRESS")
}

func (c *checker) text(s *shape, text, path string) {
	c.bounds(s, float64(len([]rune(text))), path, "characters")
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, text) && !ofStack(path, text) {
		c.fault(path, "%q is none of %s", text, strings.Join(s.Enum, ", "))
	}
	if s.Pattern == "" {
		return
	}
	// A pattern in Java's dialect that Go cannot read is not checked.
	if re, err := regexp.Compile("^(?:" + javaEscapes(s.Pattern) + ")$"); err == nil && !re.MatchString(text) {
		c.fault(path, "%q does not match %s", text, s.Pattern)
	}
}

var unicodeEscape = regexp.MustCompile(`\\u([0-9A-Fa-f]{4})`)

func javaEscapes(pattern string) string { return unicodeEscape.ReplaceAllString(pattern, `\x{$1}`) }
