package render

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// Limits that no manifest comes near; they bound what aliases may expand to.
const (
	maxDepth = 100
	maxNodes = 100_000
)

// documents parses a file. Empty documents are left out. The error has the reason RenderFailed and the line.
func documents(file string, body []byte) (out []*yaml.Node, failed *gitops.Error) {
	defer func() {
		if r := recover(); r != nil {
			out, failed = nil, problem(gitops.RenderFailed, file, 0, "the YAML parser gave up: %v", r)
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(body))
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			line, message := yamlMessage(err)
			return out, problem(gitops.RenderFailed, file, line, "%s", message)
		}
		if len(document.Content) == 1 && document.Content[0].Tag != "!!null" {
			out = append(out, document.Content[0])
		}
	}
}

// yamlMessage moves the line out of the parser's text.
func yamlMessage(err error) (int, string) {
	line, message := 0, strings.TrimPrefix(err.Error(), "yaml: ")
	if n, scanned := fmt.Sscanf(message, "line %d:", &line); scanned == nil && n == 1 {
		_, message, _ = strings.Cut(message, ": ")
	}
	return line, message
}

func problem(reason gitops.Reason, file string, line int, format string, args ...any) *gitops.Error {
	return gitops.Errorf(reason, format, args...).At(gitops.Origin{Position: gitops.Position{File: file, Line: line}})
}

// parsed is a document as a value, with the place of every field.
type parsed struct {
	file   string
	reason gitops.Reason
	// fields maps paths (plan.Field, plan.Index) to places.
	fields   map[string]gitops.Position
	problems []*gitops.Error
	nodes    int
}

// read turns a document into a Tree. What YAML allows but a configuration does not is a problem with its line: keys given
// twice, keys that are no text, null items of lists.
func read(file string, reason gitops.Reason, n *yaml.Node) (gitops.Tree, *parsed) {
	p := &parsed{file: file, reason: reason, fields: map[string]gitops.Position{}}
	t, ok := p.value("", n, 0).(gitops.Tree)
	if !ok && len(p.problems) == 0 {
		p.fail(n, "want an object with fields, not %s", nodeKind(n))
	}
	return t, p
}

func (p *parsed) fail(n *yaml.Node, format string, args ...any) {
	p.problems = append(p.problems, problem(p.reason, p.file, n.Line, format, args...))
}

func (p *parsed) value(path string, n *yaml.Node, depth int) any {
	if p.nodes++; depth > maxDepth || p.nodes > maxNodes {
		if len(p.problems) == 0 {
			p.fail(n, "it is nested too deeply, or its aliases expand too far")
		}
		return nil
	}
	switch n.Kind {
	case yaml.AliasNode:
		return p.value(path, n.Alias, depth+1)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for i, item := range n.Content {
			at := plan.Index(path, i)
			p.fields[at] = gitops.Position{File: p.file, Line: item.Line}
			if item.Tag == "!!null" {
				p.fail(item, "%s is null: remove the empty list item", at)
			}
			list = append(list, p.value(at, item, depth+1))
		}
		return list
	case yaml.MappingNode:
		return p.object(path, n, depth)
	case yaml.ScalarNode:
		return p.scalar(path, n)
	case yaml.DocumentNode:
	}
	p.fail(n, "unexpected YAML")
	return nil
}

func (p *parsed) object(path string, n *yaml.Node, depth int) gitops.Tree {
	t := make(gitops.Tree, len(n.Content)/2)
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, v := n.Content[i], n.Content[i+1]
		switch {
		case key.Tag == "!!merge":
			merges = append(merges, v)
			continue
		case key.Kind != yaml.ScalarNode || key.Tag != "!!str":
			p.fail(key, "keys must be text: write it in quotes")
			continue
		}
		at := plan.Field(path, key.Value)
		if _, twice := t[key.Value]; twice {
			p.fail(key, "%s is given twice", at)
			continue
		}
		p.fields[at] = gitops.Position{File: p.file, Line: key.Line}
		t[key.Value] = p.value(at, v, depth+1)
	}
	// What an object says itself wins over what it merges, wherever the merge stands.
	for _, m := range merges {
		p.merge(path, t, m, depth+1)
	}
	return t
}

func (p *parsed) merge(path string, into gitops.Tree, n *yaml.Node, depth int) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if depth > maxDepth || n.Kind != yaml.MappingNode && n.Kind != yaml.SequenceNode {
		p.fail(n, "only an object can be merged")
		return
	}
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			p.merge(path, into, item, depth+1)
		}
		return
	}
	own := p.fields
	p.fields = map[string]gitops.Position{}
	for k, v := range p.object(path, n, depth+1) {
		if _, have := into[k]; !have {
			into[k] = v
		}
	}
	for at, where := range p.fields {
		if _, have := own[at]; !have {
			own[at] = where
		}
	}
	p.fields = own
}

func (p *parsed) scalar(path string, n *yaml.Node) any {
	switch n.Tag {
	case "!!null":
		return nil
	case "!!bool":
		var b bool
		if n.Decode(&b) == nil {
			return b
		}
	case "!!int":
		var i int64
		if n.Decode(&i) == nil {
			return i
		}
	case "!!float":
		var f float64
		if n.Decode(&f) == nil && f == f && f-f == 0 {
			return f
		}
	case "!!str", "!!timestamp":
		return n.Value
	}
	p.fail(n, "%s has no plain value", path)
	return nil
}

// twice finds keys that a document gives twice. YAML forbids them (specification 1.2.2, section 3.2.1.3) and leaves
// the check to whoever decodes: of two in a patch kustomize takes one without a word, and of two in an object it names no file.
func twice(file string, n *yaml.Node) (out []*gitops.Error) {
	if n.Kind == yaml.MappingNode {
		seen := make(map[string]bool, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
				continue
			}
			if seen[key.Value] {
				out = append(out, problem(gitops.RenderFailed, file, key.Line, "%s is given twice", key.Value))
			}
			seen[key.Value] = true
		}
	}
	for _, c := range n.Content {
		out = append(out, twice(file, c)...)
	}
	return out
}

func nodeKind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "an object"
	case yaml.ScalarNode, yaml.AliasNode, yaml.DocumentNode:
	}
	return "a single value"
}

// child finds the value of a key; kustomize reads keys in any case, so they are found in any case.
func child(n *yaml.Node, key string) (k, v *yaml.Node) {
	if n == nil {
		return nil, nil
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if strings.EqualFold(n.Content[i].Value, key) {
			return n.Content[i], n.Content[i+1]
		}
	}
	return nil, nil
}

// text is the scalar at a path of keys, or "".
func text(n *yaml.Node, keys ...string) string {
	for _, key := range keys {
		_, n = child(n, key)
	}
	if n == nil {
		return ""
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

// items are the entries of a list, aliases resolved; nil for anything else.
func items(n *yaml.Node) []*yaml.Node {
	if n == nil {
		return nil
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}
