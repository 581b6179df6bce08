package wire

import (
	"encoding/json"
	"reflect"
	"strings"
)

// Parameters is an input as CloudTrail shows it in requestParameters: under the wire's names, their first letters in lower case.
func Parameters(p Protocol, in any) map[string]any {
	tags := map[Protocol][]string{RESTJSON: {"path", "query", "json"}, JSON: {"json"}, Query: {"form"}, EC2: {"form"}}[p]
	out, _ := parameter(reflect.ValueOf(in), tags).(map[string]any)
	return out
}

func parameter(v reflect.Value, tags []string) any {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return parameter(v.Elem(), tags)
	case reflect.Struct:
		if selfEncoding(v.Type()) {
			return v.Interface()
		}
		return parameterObject(v, tags)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return nil // CloudTrail keeps no content
		}
		list := make([]any, 0, v.Len())
		for i := range v.Len() {
			list = append(list, parameter(v.Index(i), tags))
		}
		return list
	default:
		return v.Interface()
	}
}

func parameterObject(v reflect.Value, tags []string) any {
	out := map[string]any{}
	for i, tag := range tags {
		for _, f := range fieldsOf(v.Type(), tag) {
			if body := i == len(tags)-1; !f.tagged && !body {
				continue // only the body has fields without a tag
			}
			if value := v.FieldByIndex(f.index); !value.IsZero() {
				out[strings.ToLower(f.name[:1])+f.name[1:]] = parameter(value, tags)
			}
		}
	}
	return out
}

func selfEncoding(t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[json.Marshaler]()) || reflect.PointerTo(t).Implements(reflect.TypeFor[json.Marshaler]())
}
