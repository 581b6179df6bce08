package render

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"unique"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// lean makes values for being kept: whole numbers as int64 and others as float64, as Tree has them; names and short texts held once;
// and equal parts of what one lean made held once, because objects of one overlay are much alike (a map takes 300 bytes and more,
// whatever is in it). What Render gives must not be changed, which is why parts can be shared. The values are the parts, by
// what is in them.
type lean map[string]shared

// shared is an object or a list that was seen. Its number stands for it in what contains it.
type shared struct {
	value  any
	number int
}

// short is the length from which texts are not held once, and what contains them is not looked for: it is hardly ever alike.
const short = 64

func (l lean) tree(t gitops.Tree) gitops.Tree {
	value, _ := l.of(t, nil)
	out, _ := value.(gitops.Tree)
	return out
}

// of makes a value, and appends what is in it to the content of what contains it. No content means that it is not looked for.
func (l lean) of(v any, content []byte) (any, []byte) {
	switch v := v.(type) {
	case gitops.Tree:
		out, own := make(gitops.Tree, len(v)), []byte{'{'}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out[unique.Make(name).Value()], own = l.of(v[name], appendText(own, name))
		}
		return l.once(out, own, content)
	case []any:
		own := []byte{'['}
		for i := range v {
			v[i], own = l.of(v[i], own)
		}
		return l.once(v, own, content)
	case string:
		if len(v) > short {
			return v, nil
		}
		return unique.Make(v).Value(), appendText(content, v)
	case json.Number:
		return number(v), appendRaw(content, 'n', v.String())
	case bool:
		return v, appendRaw(content, 'b', strconv.FormatBool(v))
	}
	return v, appendRaw(content, '0', "")
}

// once is the part that was seen first with the same content.
func (l lean) once(v any, own, content []byte) (any, []byte) {
	if own == nil {
		return v, nil
	}
	known, ok := l[string(own)]
	if !ok {
		known = shared{v, len(l)}
		l[string(own)] = known
	}
	return known.value, appendRaw(content, '#', strconv.Itoa(known.number))
}

func appendText(content []byte, text string) []byte {
	return appendRaw(content, 's', strconv.Quote(text))
}

// appendRaw extends a content; what has none keeps having none.
func appendRaw(content []byte, kind byte, text string) []byte {
	if content == nil {
		return nil
	}
	return append(append(append(content, kind), text...), ',')
}

func number(v json.Number) any {
	if i, err := v.Int64(); err == nil {
		return i
	}
	if f, err := v.Float64(); err == nil {
		return f
	}
	return v.String()
}
