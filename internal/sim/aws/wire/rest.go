package wire

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
)

// match finds the operation of a rest-json request and the values of its path variables. Segments are compared before
// they are unescaped, so that a resource ARN with its slashes escaped is one segment.
func (s *Service) match(r *http.Request) (*Operation, map[string]string) {
	segments := strings.Split(r.URL.EscapedPath(), "/")
	var found *Operation
	var vars map[string]string
	for _, o := range s.routes {
		if o.method != r.Method {
			continue
		}
		// A literal segment wins over a variable: /clusters/{name}/updates against /clusters/{name}/{other}.
		if v, ok := o.bind(segments); ok && (found == nil || len(v) < len(vars)) {
			found, vars = o, v
		}
	}
	return found, vars
}

func (o *Operation) bind(segments []string) (map[string]string, bool) {
	if len(segments) != len(o.segments) {
		return nil, false
	}
	vars := map[string]string{}
	for i, want := range o.segments {
		name, ok := strings.CutPrefix(want, "{")
		if !ok {
			if segments[i] != want {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(segments[i])
		if err != nil || value == "" {
			return nil, false
		}
		vars[strings.TrimSuffix(name, "}")] = value
	}
	return vars, true
}

// decodeREST fills out from path variables, query string and body.
func decodeREST(r *http.Request, vars map[string]string, body []byte, out reflect.Value) error {
	if err := decodeJSON(body, out); err != nil {
		return err
	}
	v := out.Elem()
	for _, f := range fieldsOf(v.Type(), "path") {
		if value, ok := vars[f.name]; ok && f.tagged {
			if err := (formDecoder{protocol: RESTJSON}).value(&node{value: value, set: true}, v.FieldByIndex(f.index), f.name); err != nil {
				return err
			}
		}
	}
	known := map[string]field{}
	for _, f := range fieldsOf(v.Type(), "query") {
		if f.tagged {
			known[f.name] = f
		}
	}
	for name, values := range r.URL.Query() {
		if strings.HasPrefix(name, "X-Amz-") {
			continue
		}
		f, ok := known[name]
		if !ok {
			return Unsupported("query parameter %s", name)
		}
		if err := setQuery(v.FieldByIndex(f.index), values, name); err != nil {
			return err
		}
	}
	return nil
}

func setQuery(v reflect.Value, values []string, name string) error {
	d := formDecoder{protocol: RESTJSON}
	if v.Kind() != reflect.Slice {
		if len(values) != 1 {
			return malformed(RESTJSON, "query parameter "+name+" is given more than once")
		}
		return d.value(&node{value: values[0], set: true}, v, name)
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, len(values)))
	for _, value := range values {
		item := reflect.New(v.Type().Elem()).Elem()
		if err := d.value(&node{value: value, set: true}, item, name); err != nil {
			return err
		}
		v.Set(reflect.Append(v, item))
	}
	return nil
}
