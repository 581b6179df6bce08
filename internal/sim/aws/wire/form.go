package wire

import (
	"encoding"
	"encoding/base64"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// node is a form as a tree: "Tags.member.1.Key=a" is Tags > member > 1 > Key = a.
type node struct {
	value    string
	set      bool
	children map[string]*node
}

// maxFormKeys is far above what any operation takes; EC2 and the query services refuse earlier.
const maxFormKeys = 20000

// decodeForm fills the struct that out points to from a query or ec2 form.
func decodeForm(values url.Values, p Protocol, out reflect.Value) error {
	if len(values) > maxFormKeys {
		return malformed(p, "the request has too many parameters")
	}
	root := &node{}
	for key, vs := range values {
		if key == "Action" || key == "Version" || strings.HasPrefix(key, "X-Amz-") {
			continue
		}
		if len(vs) != 1 {
			return malformed(p, "parameter "+key+" is given more than once")
		}
		root.put(strings.Split(key, "."), vs[0])
	}
	d := formDecoder{protocol: p}
	return d.fields(root, out.Elem(), "")
}

func (n *node) put(path []string, value string) {
	for _, step := range path {
		if n.children == nil {
			n.children = map[string]*node{}
		}
		next := n.children[step]
		if next == nil {
			next = &node{}
			n.children[step] = next
		}
		n = next
	}
	n.value, n.set = value, true
}

type formDecoder struct{ protocol Protocol }

func (d formDecoder) fields(n *node, v reflect.Value, path string) error {
	known := map[string][]int{}
	for _, f := range fieldsOf(v.Type(), "form") {
		known[f.name] = f.index
	}
	for name, child := range n.children {
		index, ok := known[name]
		if !ok {
			return Unsupported("parameter %s", join(path, name))
		}
		if err := d.value(child, v.FieldByIndex(index), join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (d formDecoder) value(n *node, v reflect.Value, path string) error {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(n, v.Elem(), path)
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(n.value)); err != nil || !n.leaf() {
			return malformed(d.protocol, "parameter "+path+" is not a timestamp")
		}
		return nil
	}
	switch kind := v.Kind(); {
	case kind == reflect.Struct && n.set:
		return malformed(d.protocol, "parameter "+path+" has parts")
	case kind == reflect.Struct:
		return d.fields(n, v, path)
	case kind == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8:
		return d.list(n, v, path)
	case kind == reflect.Map:
		return d.entries(n, v, path)
	}
	if !n.leaf() {
		return malformed(d.protocol, "parameter "+path+" has no parts")
	}
	return d.scalar(n.value, v, path)
}

func (n *node) leaf() bool { return n.set && len(n.children) == 0 }

// list reads Name.member.N (query) or Name.N (ec2). "Name=" alone is an empty list.
func (d formDecoder) list(n *node, v reflect.Value, path string) error {
	v.Set(reflect.MakeSlice(v.Type(), 0, len(n.children)))
	if n.leaf() && n.value == "" {
		return nil
	}
	if d.protocol == Query {
		member := n.children["member"]
		if member == nil || len(n.children) != 1 {
			return malformed(d.protocol, "parameter "+path+" is a list: want "+path+".member.N")
		}
		n, path = member, path+".member"
	}
	numbers, err := d.numbers(n, path)
	if err != nil {
		return err
	}
	for _, i := range numbers {
		item := reflect.New(v.Type().Elem()).Elem()
		name := strconv.Itoa(i)
		if err := d.value(n.children[name], item, join(path, name)); err != nil {
			return err
		}
		v.Set(reflect.Append(v, item))
	}
	return nil
}

// numbers are the list positions below n, in order. Gaps are allowed, as AWS allows them.
func (d formDecoder) numbers(n *node, path string) ([]int, error) {
	if n.set {
		return nil, malformed(d.protocol, "parameter "+path+" is a list")
	}
	out := make([]int, 0, len(n.children))
	for name := range n.children {
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || strconv.Itoa(i) != name {
			return nil, malformed(d.protocol, "parameter "+join(path, name)+": "+name+" is no position in a list")
		}
		out = append(out, i)
	}
	slices.Sort(out)
	return out, nil
}

// entries reads Name.entry.N.key and Name.entry.N.value (query).
func (d formDecoder) entries(n *node, v reflect.Value, path string) error {
	v.Set(reflect.MakeMap(v.Type()))
	entry := n.children["entry"]
	if entry == nil {
		return malformed(d.protocol, "parameter "+path+" is a map: want "+path+".entry.N.key")
	}
	numbers, err := d.numbers(entry, path+".entry")
	if err != nil {
		return err
	}
	for _, i := range numbers {
		e := entry.children[strconv.Itoa(i)]
		key, value := e.children["key"], e.children["value"]
		if key == nil || value == nil {
			return malformed(d.protocol, "parameter "+path+" lacks a key or a value")
		}
		item := reflect.New(v.Type().Elem()).Elem()
		if err := d.value(value, item, path); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(key.value).Convert(v.Type().Key()), item)
	}
	return nil
}

func (d formDecoder) scalar(s string, v reflect.Value, path string) error {
	ok := true
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Bool:
		// The query protocols take any case: awscli writes true, Java clients write True.
		lower := strings.ToLower(s)
		ok = lower == "true" || lower == "false"
		v.SetBool(lower == "true")
	case reflect.Int, reflect.Int32, reflect.Int64:
		i, err := strconv.ParseInt(s, 10, v.Type().Bits())
		ok = err == nil
		v.SetInt(i)
	case reflect.Float64:
		f, err := strconv.ParseFloat(s, 64)
		ok = err == nil
		v.SetFloat(f)
	case reflect.Slice:
		b, err := base64.StdEncoding.DecodeString(s)
		ok = err == nil
		v.SetBytes(b)
	default:
		return Unsupported("decoder for %s (parameter %s)", v.Type(), path)
	}
	if !ok {
		return malformed(d.protocol, "parameter "+path+" has the value "+strconv.Quote(s)+", which is not of its type")
	}
	return nil
}

// malformed is the error for a request that cannot be understood, in the words of the protocol.
func malformed(p Protocol, text string) *Error {
	switch p {
	case EC2:
		return Errorf("InvalidParameterValue", "%s", text)
	case Query:
		return Errorf("MalformedInput", "%s", text)
	case JSON, RESTJSON:
		return Errorf("SerializationException", "%s", text)
	}
	return Errorf("MalformedInput", "%s", text)
}
