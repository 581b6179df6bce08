package sops

import (
	"bytes"
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// File is an encrypted file.
type File struct {
	name  string
	body  []byte
	store store
	meta  metadata
	// line is where its metadata begins.
	line int
	// leaves are its values and comments, in the order in which the MAC covers them.
	leaves []leaf
	// cuts are the places of the metadata, which is no content.
	cuts []edit
}

// leaf is one value or comment.
type leaf struct {
	// path is the names of the keys that lead to it; items of lists have none.
	path []string
	// comments are those that stand before it at every level, for rules that go by comments.
	comments [][]string
	comment  bool
	value    any
	// line, start and end are where it is written; a comment of YAML is found by its text instead.
	line, start, end int
	document         int
}

// store is how a kind of file is read and written.
type store interface {
	// read finds the leaves, the metadata (nil when there is none) and the places of the metadata.
	read(f *File) (meta map[string]any, failed *gitops.Error)
	// quote writes a decrypted value; whole is the text that it takes the place of.
	quote(v any, whole string) string
	// plain makes of the decrypted text what `sops decrypt` prints.
	plain(p *Plain) ([]byte, error)
}

// Read reads a file. It is nil when the file is not encrypted, which is told by its content: the metadata that SOPS adds.
func Read(name string, body []byte) (*File, *gitops.Error) {
	kind := storeOf(name, body)
	if kind == nil {
		return nil, nil
	}
	f := &File{name: name, body: body, store: kind}
	meta, failed := kind.read(f)
	if failed != nil || meta == nil {
		return nil, failed
	}
	var err error
	if f.meta, err = metadataOf(meta); err != nil {
		return nil, f.fail(f.line, "its sops metadata cannot be read: %w", err)
	}
	return f, nil
}

// storeOf tells the store by the content; the name decides only between JSON and binary, which look alike.
func storeOf(name string, body []byte) store {
	if !bytes.Contains(body, []byte("sops")) || !bytes.Contains(body, []byte("mac")) {
		return nil
	}
	head := bytes.TrimLeft(body, " \t\r\n\ufeff")
	switch {
	case len(head) > 0 && head[0] == '{' && json.Valid(body):
		switch path.Ext(name) {
		case ".json", ".yaml", ".yml":
			return jsonStore{}
		}
		return binaryStore{}
	case dotenvMark.Match(body):
		return dotenvStore{}
	case iniMark.Match(body):
		return iniStore{}
	case yamlMark.Match(body):
		return yamlStore{}
	}
	return nil
}

var (
	dotenvMark = regexp.MustCompile(`(?m)^sops_mac=`)
	iniMark    = regexp.MustCompile(`(?m)^\[sops\]\s*$`)
	yamlMark   = regexp.MustCompile(`(?m)^["']?sops["']?\s*:`)
)

// Line is where the metadata begins.
func (f *File) Line() int { return f.line }

// Recipients names the keys that the file is encrypted for, in words.
func (f *File) Recipients() []string {
	var out []string
	for _, group := range f.meta.groups {
		for _, k := range group {
			out = append(out, k.String())
		}
	}
	return out
}

func (f *File) fail(line int, format string, args ...any) *gitops.Error {
	return gitops.Errorf(gitops.DecryptFailed, format, args...).At(gitops.Origin{Position: gitops.Position{File: f.name, Line: line}})
}

// edit replaces a part of a text.
type edit struct {
	start, end int
	text       string
}

// apply makes edits that are in order and do not overlap.
func apply(body []byte, edits []edit) []byte {
	var out bytes.Buffer
	at := 0
	for _, e := range edits {
		out.Write(body[at:e.start])
		out.WriteString(e.text)
		at = e.end
	}
	out.Write(body[at:])
	return out.Bytes()
}

// blank takes out a part of a text and keeps its lines.
func blank(body []byte, start, end int) edit {
	return edit{start, end, strings.Repeat("\n", bytes.Count(body[start:end], []byte("\n")))}
}

// Plain is a decrypted file.
type Plain struct {
	// Text has every value where the file has it: line by line the same, without the metadata.
	Text []byte
	// Values are the decrypted values.
	Values []Value
	store  store
	// comments are the comments of YAML that were encrypted.
	comments []string
}

// Value is one decrypted value.
type Value struct {
	// Path is the names of the keys that lead to it, and Document the number of its YAML document, from 0.
	Path     []string
	Document int
	Text     string
}

// Output is what `sops decrypt` prints: the content as an application wants it.
func (p *Plain) Output() ([]byte, error) { return p.store.plain(p) }

// Name is the file's name.
func (f *File) Name() string { return f.name }

// Placeholders is the file with something harmless in the place of every encrypted value. It needs no key and proves nothing.
func (f *File) Placeholders() *Plain {
	p := &Plain{store: f.store}
	edits := slices.Clone(f.cuts)
	for _, l := range f.leaves {
		said, _ := l.value.(string)
		m := sealed.FindStringSubmatch(said)
		if m == nil || l.comment || !f.meta.rule.encrypted(l) {
			continue
		}
		var v any = "ENCRYPTED"
		switch m[4] {
		case "comment":
			edits = append(edits, f.item(l, "ENCRYPTED"))
			continue
		case "int":
			v = 0
		case "float":
			v = 0.5
		case "bool":
			v = false
		case "time":
			v = time.Time{}
		}
		edits = append(edits, edit{l.start, l.end, f.store.quote(v, string(f.body[l.start:l.end]))})
		p.Values = append(p.Values, Value{Path: l.path, Document: l.document, Text: valueText(v)})
	}
	slices.SortFunc(edits, func(a, b edit) int { return a.start - b.start })
	p.Text = apply(f.body, edits)
	return p
}
