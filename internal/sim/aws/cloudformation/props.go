package cloudformation

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation/template"
)

// Decode fills the struct that into points to from resolved properties. A field takes the property named by its cfn tag, or
// by its own name; cfn:"-" leaves it alone. Scalars convert as CloudFormation converts them: "3" is a number where a number is
// due, and true is "true" where text is due. Properties without a field are ignored, since the engine has checked the top
// level; unknown ones further down are refused.
func Decode(properties map[string]any, into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("decoding properties into %T: want a pointer to a struct", into)
	}
	return decodeStruct("", properties, v.Elem(), false)
}

func decodeStruct(path string, m map[string]any, v reflect.Value, strict bool) error {
	known := map[string]bool{}
	if err := decodeFields(path, m, v, known); err != nil {
		return err
	}
	if !strict {
		return nil
	}
	for name := range m {
		if !known[name] {
			return fmt.Errorf("Encountered unsupported property %s", name) //nolint:staticcheck // AWS's words
		}
	}
	return nil
}

func decodeFields(path string, m map[string]any, v reflect.Value, known map[string]bool) error {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, tagged := field.Tag.Lookup("cfn")
		if name == "-" || !field.IsExported() {
			continue
		}
		if field.Anonymous && !tagged && field.Type.Kind() == reflect.Struct {
			if err := decodeFields(path, m, v.Field(i), known); err != nil {
				return err
			}
			continue
		}
		if name == "" {
			name = field.Name
		}
		known[name] = true
		value, ok := m[name]
		if !ok || value == nil {
			continue
		}
		if err := decodeValue(path+"/"+name, value, v.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

func decodeValue(path string, value any, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return decodeValue(path, value, v.Elem())
	case reflect.Interface:
		v.Set(reflect.ValueOf(value))
		return nil
	case reflect.Struct:
		m, ok := value.(map[string]any)
		if !ok {
			return wrongType(path, "JSONObject", value)
		}
		return decodeStruct(path, m, v, true)
	case reflect.Slice:
		return decodeList(path, value, v)
	case reflect.Map:
		return decodeMap(path, value, v)
	default:
		return decodeScalar(path, value, v)
	}
}

func decodeList(path string, value any, v reflect.Value) error {
	list, ok := value.([]any)
	if !ok {
		list = []any{value} // a single value stands for a list of one
	}
	out := reflect.MakeSlice(v.Type(), len(list), len(list))
	for i, item := range list {
		if err := decodeValue(path+"/"+strconv.Itoa(i), item, out.Index(i)); err != nil {
			return err
		}
	}
	v.Set(out)
	return nil
}

func decodeMap(path string, value any, v reflect.Value) error {
	m, ok := value.(map[string]any)
	if !ok {
		return wrongType(path, "JSONObject", value)
	}
	out := reflect.MakeMapWithSize(v.Type(), len(m))
	for key, item := range m {
		element := reflect.New(v.Type().Elem()).Elem()
		if err := decodeValue(path+"/"+key, item, element); err != nil {
			return err
		}
		out.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), element)
	}
	v.Set(out)
	return nil
}

func decodeScalar(path string, value any, v reflect.Value) error {
	text, err := template.Text(value)
	if err != nil {
		if v.Kind() == reflect.String { // a policy document where its text is wanted
			raw, err := json.Marshal(value)
			if err != nil {
				return wrongType(path, "String", value)
			}
			v.SetString(string(raw))
			return nil
		}
		return wrongType(path, v.Kind().String(), value)
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(strings.ToLower(text))
		if err != nil {
			return wrongType(path, "Boolean", value)
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int32, reflect.Int64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			return wrongType(path, "Integer", value)
		}
		v.SetInt(int64(f))
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return wrongType(path, "Number", value)
		}
		v.SetFloat(f)
	default:
		return fmt.Errorf("decoding %s: no way to fill a %s", path, v.Type())
	}
	return nil
}

func wrongType(path, want string, value any) error {
	return fmt.Errorf("Model validation failed (#%s: expected type: %s, found: %T)", path, want, value) //nolint:staticcheck // AWS's words
}
