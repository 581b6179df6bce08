package wire

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
)

// decodeJSON fills the struct that out points to from a JSON body. Names are compared exactly and every member must be
// known: encoding/json alone would match names of another case, which AWS does not.
func decodeJSON(body []byte, out reflect.Value) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	var tree any
	if err := d.Decode(&tree); err != nil {
		return malformed(JSON, "the body is not JSON: "+err.Error())
	}
	if _, err := d.Token(); err != io.EOF {
		return malformed(JSON, "the body is more than one JSON value")
	}
	if _, ok := tree.(map[string]any); !ok {
		return malformed(JSON, "the body is not a JSON object")
	}
	if err := checkMembers(tree, out.Elem().Type(), ""); err != nil {
		return err
	}
	if err := json.Unmarshal(body, out.Interface()); err != nil {
		return malformed(JSON, err.Error())
	}
	return nil
}

// checkMembers finds members of tree that t does not have.
func checkMembers(tree any, t reflect.Type, path string) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if selfDecoding(t) {
		return nil
	}
	switch value := tree.(type) {
	case map[string]any:
		return checkObject(value, t, path)
	case []any:
		if t.Kind() != reflect.Slice {
			return nil // json.Unmarshal words the error
		}
		for i, item := range value {
			if err := checkMembers(item, t.Elem(), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkObject(value map[string]any, t reflect.Type, path string) error {
	known := map[string]reflect.Type{}
	if t.Kind() == reflect.Struct {
		for _, f := range fieldsOf(t, "json") {
			known[f.name] = f.typ
		}
	}
	for k, item := range value {
		child, ok := known[k]
		switch {
		case t.Kind() == reflect.Map:
			child = t.Elem()
		case t.Kind() != reflect.Struct: // json.Unmarshal words the error
			return nil
		case !ok:
			return Unsupported("member %s", join(path, k))
		}
		if err := checkMembers(item, child, join(path, k)); err != nil {
			return err
		}
	}
	return nil
}

func selfDecoding(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[json.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding the answer: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
