package template

import (
	"encoding/base64"
	"math/big"
	"net/netip"
	"strconv"
	"strings"
)

// pureFunctions are the functions of already resolved arguments.
func pureFunctions() map[string]func(*Env, any) (any, error) {
	return map[string]func(*Env, any) (any, error){
		"Fn::Join":        func(_ *Env, v any) (any, error) { return join(v) },
		"Fn::Select":      func(_ *Env, v any) (any, error) { return pick(v) },
		"Fn::Split":       func(_ *Env, v any) (any, error) { return split(v) },
		"Fn::Cidr":        func(_ *Env, v any) (any, error) { return cidr(v) },
		"Fn::Base64":      func(_ *Env, v any) (any, error) { return encode(v) },
		"Fn::FindInMap":   (*Env).find,
		"Fn::ImportValue": (*Env).imported,
		"Fn::GetAZs":      (*Env).zones,
	}
}

func join(v any) (any, error) {
	list, _ := v.([]any)
	if len(list) != 2 {
		return nil, refuse("Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined.")
	}
	delimiter, ok := list[0].(string)
	items, isList := list[1].([]any)
	if !ok || !isList {
		return nil, refuse("Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined.")
	}
	parts := make([]string, 0, len(items))
	for _, item := range items {
		part, err := Text(item)
		if err != nil {
			return nil, refuse("Template error: every Fn::Join object requires a list of strings to be joined.")
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, delimiter), nil
}

func pick(v any) (any, error) {
	list, _ := v.([]any)
	if len(list) != 2 {
		return nil, refuse("Template error: Fn::Select requires a list argument with two elements: an integer index and a list")
	}
	text, err := Text(list[0])
	if err != nil {
		return nil, refuse("Template error: Fn::Select requires a list argument with two elements: an integer index and a list")
	}
	index, err := strconv.Atoi(text)
	items, ok := list[1].([]any)
	if err != nil || !ok {
		return nil, refuse("Template error: Fn::Select requires a list argument with two elements: an integer index and a list")
	}
	if index < 0 || index >= len(items) {
		return nil, refuse("Template error: Fn::Select cannot select nonexistent value at index %d", index)
	}
	return items[index], nil
}

func split(v any) (any, error) {
	list, _ := v.([]any)
	if len(list) == 2 {
		delimiter, isText := list[0].(string)
		source, isSource := list[1].(string)
		if isText && isSource && delimiter != "" {
			parts := strings.Split(source, delimiter)
			out := make([]any, len(parts))
			for i, part := range parts {
				out[i] = part
			}
			return out, nil
		}
	}
	return nil, refuse("Template error: every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split or a function that returns a string to be split.")
}

// maxCidrs is the documented limit of the count of Fn::Cidr.
const maxCidrs = 256

// cidr cuts count blocks of 2^cidrBits addresses off the front of a block.
func cidr(v any) (any, error) {
	refused := refuse("Template error: Fn::Cidr is malformed: it requires an IP block, a count from 1 to 256 and optionally the number of subnet bits")
	list, _ := v.([]any)
	if len(list) != 2 && len(list) != 3 {
		return nil, refused
	}
	block, _ := list[0].(string)
	prefix, err := netip.ParsePrefix(block)
	count, countErr := integer(list[1])
	if err != nil || countErr != nil || count < 1 || count > maxCidrs {
		return nil, refused
	}
	bits := 8
	if prefix.Addr().Is6() {
		bits = 64
	}
	if len(list) == 3 {
		if bits, err = integer(list[2]); err != nil {
			return nil, refused
		}
	}
	length := prefix.Addr().BitLen() - bits
	if bits < 1 || length < prefix.Bits() {
		return nil, refused
	}
	if extra := length - prefix.Bits(); extra < 9 && count > 1<<extra {
		return nil, refuse("Template error: Fn::Cidr cannot fit %d blocks of %d bits into %s", count, bits, block)
	}
	size := new(big.Int).Lsh(big.NewInt(1), uint(bits))
	at := new(big.Int).SetBytes(prefix.Masked().Addr().AsSlice())
	out := make([]any, 0, count)
	for range count {
		raw := at.FillBytes(make([]byte, prefix.Addr().BitLen()/8))
		address, _ := netip.AddrFromSlice(raw)
		out = append(out, netip.PrefixFrom(address, length).String())
		at.Add(at, size)
	}
	return out, nil
}

func integer(v any) (int, error) {
	text, err := Text(v)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

func encode(v any) (any, error) {
	text, err := Text(v)
	if err != nil {
		return nil, refuse("Template error: every Fn::Base64 object must have a String-typed value.")
	}
	return base64.StdEncoding.EncodeToString([]byte(text)), nil
}

func (e *Env) find(v any) (any, error) {
	list, _ := v.([]any)
	if len(list) != 3 {
		return nil, refuse("Template error: every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return value")
	}
	keys := make([]string, 3)
	for i, item := range list {
		text, err := Text(item)
		if err != nil {
			return nil, refuse("Template error: every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return value")
		}
		keys[i] = text
	}
	if _, ok := e.Template.Mappings[keys[0]]; !ok {
		return nil, refuse("Template error: Mapping named '%s' is not present in the 'Mappings' section of template.", keys[0])
	}
	value, ok := e.Template.Mappings[keys[0]][keys[1]][keys[2]]
	if !ok {
		return nil, refuse("Template error: Unable to get mapping for %s::%s::%s", keys[0], keys[1], keys[2])
	}
	return value, nil
}

func (e *Env) imported(v any) (any, error) {
	name, ok := v.(string)
	if !ok {
		return nil, refuse("Template error: the attribute in Fn::ImportValue must be a string or a function that returns a string")
	}
	return e.Import(name)
}

func (e *Env) zones(v any) (any, error) {
	region, ok := v.(string)
	if !ok {
		return nil, refuse("Template error: every Fn::GetAZs object must have a String value.")
	}
	if region == "" {
		region, _ = e.Parameters["AWS::Region"].(string)
	}
	var out []any
	for _, zone := range e.Zones(region) {
		out = append(out, zone)
	}
	return out, nil
}
