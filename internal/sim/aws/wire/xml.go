package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// encodeXML writes the fields of the struct v as elements, by the tags of encoding/xml. It differs from that package where
// AWS's XML does: an empty list is an empty element, a zero timestamp or nil pointer is no element, timestamps have
// milliseconds, and maps are entries of key and value.
func encodeXML(b *bytes.Buffer, v reflect.Value) error {
	for _, f := range fieldsOf(v.Type(), "xml") {
		if err := encodeField(b, f, v.FieldByIndex(f.index)); err != nil {
			return err
		}
	}
	return nil
}

func encodeField(b *bytes.Buffer, f field, v reflect.Value) error {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	} else if f.omitEmpty && emptyValue(v) {
		return nil
	}
	if zeroTime(v) {
		return nil
	}
	for _, outer := range f.wrap {
		open(b, outer)
	}
	err := encodeElements(b, f.name, v)
	for _, outer := range slices.Backward(f.wrap) {
		shut(b, outer)
	}
	return err
}

func emptyValue(v reflect.Value) bool {
	if v.Kind() == reflect.Slice || v.Kind() == reflect.Map {
		return v.Len() == 0
	}
	return v.IsZero()
}

func zeroTime(v reflect.Value) bool {
	switch t := v.Interface().(type) {
	case Time:
		return t.IsZero()
	case time.Time:
		return t.IsZero()
	}
	return false
}

// encodeElements writes v as one element, or a list as many.
func encodeElements(b *bytes.Buffer, name string, v reflect.Value) error {
	if v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8 {
		for i := range v.Len() {
			if err := encodeElements(b, name, v.Index(i)); err != nil {
				return err
			}
		}
		return nil
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	open(b, name)
	if err := encodeContent(b, v); err != nil {
		return fmt.Errorf("encoding %s: %w", name, err)
	}
	shut(b, name)
	return nil
}

func encodeContent(b *bytes.Buffer, v reflect.Value) error {
	switch t := v.Interface().(type) {
	case Time:
		b.WriteString(t.String())
		return nil
	case time.Time:
		b.WriteString(Time{t}.String())
		return nil
	case []byte:
		b.WriteString(base64.StdEncoding.EncodeToString(t))
		return nil
	}
	switch v.Kind() {
	case reflect.Struct:
		return encodeXML(b, v)
	case reflect.Map:
		return encodeMap(b, v)
	case reflect.String:
		return xml.EscapeText(b, []byte(v.String()))
	case reflect.Bool:
		b.WriteString(strconv.FormatBool(v.Bool()))
	case reflect.Int, reflect.Int32, reflect.Int64:
		b.WriteString(strconv.FormatInt(v.Int(), 10))
	case reflect.Float64:
		b.WriteString(strconv.FormatFloat(v.Float(), 'g', -1, 64))
	default:
		return fmt.Errorf("a %s has no form in XML", v.Type())
	}
	return nil
}

func encodeMap(b *bytes.Buffer, v reflect.Value) error {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(x, y reflect.Value) int { return bytes.Compare([]byte(x.String()), []byte(y.String())) })
	for _, k := range keys {
		open(b, "entry")
		if err := encodeElements(b, "key", k); err != nil {
			return err
		}
		if err := encodeElements(b, "value", v.MapIndex(k)); err != nil {
			return err
		}
		shut(b, "entry")
	}
	return nil
}

func open(b *bytes.Buffer, name string) { b.WriteString("<" + name + ">") }
func shut(b *bytes.Buffer, name string) { b.WriteString("</" + name + ">") }
