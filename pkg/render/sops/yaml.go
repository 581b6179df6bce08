package sops

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// yamlStore reads YAML. Values are replaced where they stand, so that every line of the file stays the line that it is.
type yamlStore struct{}

// maxLeaves bounds what aliases may expand to; no manifest comes near.
const maxLeaves = 100_000

func (yamlStore) read(f *File) (meta map[string]any, failed *gitops.Error) {
	r := &yamlReader{File: f, lines: lineStarts(f.body)}
	defer func() {
		if recover() != nil {
			meta, failed = nil, nil // whoever parses it as YAML next will tell
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(f.body))
	for ; ; r.document++ {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil
		}
		root := doc.Content[0]
		own := metadataNode(root)
		switch {
		case r.document == 0 && own != nil:
			f.line = own.key.Line
			if err := own.value.Decode(&meta); err != nil {
				return nil, f.fail(f.line, "its sops metadata cannot be read")
			}
		case own != nil && meta == nil:
			return nil, f.fail(own.key.Line, "only a later document of the file has sops metadata: sops encrypts files as a whole")
		}
		if meta == nil {
			return nil, nil
		}
		if own != nil {
			f.cuts = append(f.cuts, r.block(root, own))
		}
		if failed := r.root(&doc); failed != nil {
			return nil, failed
		}
	}
	return meta, nil
}

// pair is a field of an object.
type pair struct {
	key, value *yaml.Node
	index      int
}

// metadataNode finds the metadata: a field "sops" with a mac.
func metadataNode(root *yaml.Node) *pair {
	if root.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value != "sops" || root.Content[i+1].Kind != yaml.MappingNode {
			continue
		}
		for j := 0; j+1 < len(root.Content[i+1].Content); j += 2 {
			if root.Content[i+1].Content[j].Value == "mac" {
				return &pair{root.Content[i], root.Content[i+1], i}
			}
		}
	}
	return nil
}

// yamlReader collects the leaves of a file in the order in which SOPS walks them.
type yamlReader struct {
	*File
	lines    []int
	document int
}

// lineStarts are the offsets of lines.
func lineStarts(body []byte) []int {
	out := []int{0}
	for i, c := range body {
		if c == '\n' {
			out = append(out, i+1)
		}
	}
	return out
}

// offset finds a node in the file; columns count characters.
func (r *yamlReader) offset(line, column int) int {
	if line-1 >= len(r.lines) {
		return len(r.body)
	}
	at := r.lines[line-1]
	if at == 0 && bytes.HasPrefix(r.body, []byte("\ufeff")) {
		at += len("\ufeff")
	}
	for range column - 1 {
		_, size := utf8.DecodeRune(r.body[at:])
		at += size
	}
	return at
}

// block blanks the metadata: from its key to the next field or the end of the document.
func (r *yamlReader) block(root *yaml.Node, own *pair) edit {
	start := r.offset(own.key.Line, own.key.Column)
	end := len(r.body)
	if own.index+2 < len(root.Content) {
		next := root.Content[own.index+2]
		end = r.offset(next.Line, next.Column)
	} else {
		for _, at := range r.lines[own.key.Line:] {
			if bytes.HasPrefix(r.body[at:], []byte("---")) || bytes.HasPrefix(r.body[at:], []byte("...")) {
				end = at
				break
			}
		}
	}
	return blank(r.body, start, end)
}

// note adds the comments of a node to those of a level, as leaves too.
func (r *yamlReader) note(text string, path []string, stack [][]string) {
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" {
			continue
		}
		level := len(stack) - 1
		stack[level] = append(stack[level], line[1:])
		r.leaf(leaf{path: path, comments: cloned(stack), comment: true, value: line[1:]})
	}
}

func (r *yamlReader) leaf(l leaf) {
	l.document = r.document
	if r.leaves = append(r.leaves, l); len(r.leaves) > maxLeaves {
		panic("aliases expand too far")
	}
}

// cloned copies the levels: they change while siblings are walked.
func cloned(stack [][]string) [][]string {
	out := make([][]string, len(stack))
	for i := range stack {
		out[i] = append([]string(nil), stack[i]...)
	}
	return out
}

// root walks a document. Its comments and those of its object are on one level.
func (r *yamlReader) root(doc *yaml.Node) *gitops.Error {
	stack := [][]string{nil}
	r.note(doc.HeadComment, nil, stack)
	r.note(doc.LineComment, nil, stack)
	root := doc.Content[0]
	switch {
	case root.Kind == yaml.ScalarNode && root.Tag == "!!null":
	case root.Kind != yaml.MappingNode:
		return r.fail(root.Line, "the document is no object: sops encrypts the fields of objects")
	default:
		r.note(root.HeadComment, nil, stack)
		r.note(root.LineComment, nil, stack)
		if failed := r.fields(root, nil, stack); failed != nil {
			return failed
		}
		r.note(root.FootComment, nil, stack)
	}
	r.note(doc.FootComment, nil, stack)
	return nil
}

// fields walks an object whose level of comments is the last of the stack.
func (r *yamlReader) fields(n *yaml.Node, path []string, stack [][]string) *gitops.Error {
	level := len(stack) - 1
	own := metadataNode(n)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		r.note(key.HeadComment, path, stack)
		r.note(key.LineComment, path, stack)
		if len(path) == 0 && own != nil && own.index == i {
			continue // the comments before it are the content's
		}
		single := value.Kind == yaml.ScalarNode || value.Kind == yaml.AliasNode
		if single {
			r.note(value.HeadComment, path, stack)
			r.note(value.LineComment, path, stack)
		}
		if key.Kind != yaml.ScalarNode {
			return r.fail(key.Line, "keys must be text")
		}
		inner := slices.Concat(path, []string{key.Value})
		if failed := r.value(value, inner, stack, !single); failed != nil {
			return failed
		}
		stack[level] = nil
		if single {
			r.note(value.FootComment, path, stack)
		}
		r.note(key.FootComment, path, stack)
	}
	return nil
}

// value walks any value; own says that its comments are inside it and not told yet.
func (r *yamlReader) value(n *yaml.Node, path []string, stack [][]string, own bool) *gitops.Error {
	inner := slices.Concat(stack, [][]string{nil})
	switch n.Kind {
	case yaml.AliasNode:
		return r.value(n.Alias, path, stack, n.Alias.Kind != yaml.ScalarNode)
	case yaml.ScalarNode:
		return r.scalar(n, path, stack)
	case yaml.MappingNode:
		if own {
			r.note(n.HeadComment, path, inner)
			r.note(n.LineComment, path, inner)
		}
		if failed := r.fields(n, path, inner); failed != nil {
			return failed
		}
	case yaml.SequenceNode:
		if own {
			r.note(n.HeadComment, path, inner)
			r.note(n.LineComment, path, inner)
		}
		for _, item := range n.Content {
			r.note(item.HeadComment, path, inner)
			r.note(item.LineComment, path, inner)
			if failed := r.value(item, path, inner, false); failed != nil {
				return failed
			}
			inner[len(inner)-1] = nil
			r.note(item.FootComment, path, inner)
		}
	case yaml.DocumentNode:
	}
	if own {
		r.note(n.FootComment, path, inner)
	}
	return nil
}

func (r *yamlReader) scalar(n *yaml.Node, path []string, stack [][]string) *gitops.Error {
	var v any
	if err := n.Decode(&v); err != nil {
		return r.fail(n.Line, "the value of %s cannot be read", place(leaf{path: path}))
	}
	if v == nil {
		return nil // SOPS neither encrypts nor covers it
	}
	l := leaf{path: path, comments: cloned(stack), value: v, line: n.Line}
	if said, ok := v.(string); ok && sealed.MatchString(said) {
		l.start = r.offset(n.Line, n.Column)
		l.end = l.start + len(said)
		if strings.HasPrefix(string(r.body[l.start:]), `"`+said+`"`) || strings.HasPrefix(string(r.body[l.start:]), `'`+said+`'`) {
			l.end += 2
		} else if !strings.HasPrefix(string(r.body[l.start:]), said) {
			return r.fail(n.Line, "the encrypted value of %s is not on one line, as sops writes it", place(l))
		}
	}
	r.leaf(l)
	return nil
}

func (yamlStore) quote(v any, _ string) string {
	switch v := v.(type) {
	case string:
		return quoteYAML(v)
	case float64:
		body, err := yaml.Marshal(v)
		if err == nil {
			return strings.TrimSpace(string(body))
		}
	case time.Time:
		return v.Format(time.RFC3339Nano)
	}
	return valueText(v)
}

// quoteYAML writes a text in double quotes on one line.
func quoteYAML(s string) string {
	if !utf8.ValidString(s) {
		return `!!binary "` + base64.StdEncoding.EncodeToString([]byte(s)) + `"`
	}
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case r == '\n':
			out.WriteString(`\n`)
		case r >= ' ' && r < 0x7f, r >= 0xa0 && r < 0xd800 && r != 0x2028 && r != 0x2029, r >= 0xe000 && r < 0xfff0 && r != 0xfeff:
			out.WriteRune(r)
		default:
			fmt.Fprintf(&out, `\U%08x`, r)
		}
	}
	out.WriteByte('"')
	return out.String()
}

// plain writes documents in the form of SOPS: every value in its default style, an indentation of four.
func (yamlStore) plain(p *Plain) ([]byte, error) {
	var out bytes.Buffer
	decoder, encoder := yaml.NewDecoder(bytes.NewReader(p.Text)), yaml.NewEncoder(&out)
	encoder.SetIndent(4)
	for {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errors.New("the decrypted text is no YAML")
		}
		if err := p.restyle(&doc); err != nil {
			return nil, err
		}
		if err := encoder.Encode(&doc); err != nil {
			return nil, errors.New("the decrypted text cannot be written as YAML")
		}
	}
	if err := encoder.Close(); err != nil {
		return nil, errors.New("the decrypted text cannot be written as YAML")
	}
	return out.Bytes(), nil
}

func (p *Plain) restyle(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		var v any
		if err := n.Decode(&v); err != nil {
			return errors.New("the decrypted text is no YAML")
		}
		var fresh yaml.Node
		if err := fresh.Encode(v); err != nil {
			return errors.New("the decrypted text cannot be written as YAML")
		}
		n.Style, n.Tag, n.Value = fresh.Style, fresh.Tag, fresh.Value
	} else {
		n.Style = 0
	}
	for i, inner := range n.Content {
		if err := p.restyle(inner); err != nil {
			return err
		}
		// SOPS forgets of an encrypted comment that it stood beside a value, and writes it before.
		if inner.LineComment == "" || !slices.Contains(p.comments, inner.LineComment) {
			continue
		}
		before := inner
		switch {
		case n.Kind == yaml.MappingNode && i == 1:
			before = n
		case n.Kind == yaml.MappingNode:
			before = n.Content[i-i%2]
		}
		before.HeadComment = strings.TrimPrefix(before.HeadComment+"\n"+inner.LineComment, "\n")
		inner.LineComment = ""
	}
	return nil
}
