package eks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// ConfigKind is the kind of the item that holds a ClusterConfig as written.
const ConfigKind = "ClusterConfig"

// Read reads a file that holds one ClusterConfig. The item's From.Fields give the line of every field, so that errors
// of Parse can name them. Errors are ConfigInvalid and name file and line.
func Read(file string, body []byte) (gitops.Item, []*gitops.Error) {
	decoder := yaml.NewDecoder(bytes.NewReader(body))
	var found []*yaml.Node
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return gitops.Item{}, []*gitops.Error{yamlError(file, err)}
		}
		if len(document.Content) == 1 && document.Content[0].Tag != "!!null" {
			found = append(found, document.Content[0])
		}
	}
	switch len(found) {
	case 0:
		return gitops.Item{}, []*gitops.Error{invalidAt(file, 0, "the file is empty: want one ClusterConfig")}
	case 1:
	default:
		return gitops.Item{}, []*gitops.Error{invalidAt(file, found[1].Line,
			"a second YAML document begins here: eksctl reads only the first, so a ClusterConfig stands alone in its file")}
	}
	return readDocument(file, found[0])
}

func readDocument(file string, node *yaml.Node) (gitops.Item, []*gitops.Error) {
	from := gitops.Origin{Position: gitops.Position{File: file, Line: node.Line}, Fields: map[string]gitops.Position{}}
	r := &reader{file: file, fields: from.Fields}
	v := r.value("", node, 0)
	t, ok := v.(gitops.Tree)
	if !ok && len(r.errors) == 0 {
		return gitops.Item{}, []*gitops.Error{invalidAt(file, node.Line, "want an object with apiVersion, kind and metadata")}
	}
	name := gitops.StringAt(t, "metadata", "name")
	item := gitops.Item{Ref: gitops.Ref{Domain: gitops.EKS, Kind: ConfigKind, Namespace: name, Name: name}, Spec: t, From: from}
	return item, r.errors
}

// reader turns YAML nodes into a Tree and remembers where every field is.
type reader struct {
	file   string
	fields map[string]gitops.Position
	errors []*gitops.Error
	nodes  int
}

// Limits that no ClusterConfig comes near; they bound what aliases may expand to.
const (
	maxDepth = 64
	maxNodes = 100_000
)

func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	r.errors = append(r.errors, invalidAt(r.file, n.Line, format, args...))
}

func (r *reader) value(path string, n *yaml.Node, depth int) any {
	if r.nodes++; depth > maxDepth || r.nodes > maxNodes {
		if r.nodes <= maxNodes+1 {
			r.fail(n, "the file is nested too deeply or its aliases expand too far")
		}
		return nil
	}
	switch n.Kind {
	case yaml.AliasNode:
		return r.value(path, n.Alias, depth+1)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for i, item := range n.Content {
			at := fmt.Sprintf("%s[%d]", path, i)
			r.fields[at] = gitops.Position{File: r.file, Line: item.Line}
			list = append(list, r.value(at, item, depth+1))
		}
		return list
	case yaml.MappingNode:
		return r.object(path, n, depth)
	case yaml.ScalarNode:
		return r.scalar(n)
	case yaml.DocumentNode:
	}
	r.fail(n, "unexpected YAML")
	return nil
}

func (r *reader) object(path string, n *yaml.Node, depth int) any {
	t := gitops.Tree{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" {
			continue
		}
		if key.Kind != yaml.ScalarNode || key.Tag != "!!str" {
			r.fail(key, "keys must be text: write it in quotes")
			continue
		}
		at := join(path, key.Value)
		if _, twice := t[key.Value]; twice {
			r.fail(key, "%q is given twice", at)
			continue
		}
		r.fields[at] = gitops.Position{File: r.file, Line: key.Line}
		t[key.Value] = r.value(at, value, depth+1)
	}
	// What the object says itself wins over what it merges, wherever the merge stands.
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Tag == "!!merge" {
			r.merge(path, t, n.Content[i+1], depth)
		}
	}
	return t
}

// merge adds the fields of `<<: *anchor` that the object does not have itself.
func (r *reader) merge(path string, into gitops.Tree, n *yaml.Node, depth int) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			r.merge(path, into, item, depth+1)
		}
		return
	}
	merged, ok := r.value(path, n, depth+1).(gitops.Tree)
	if !ok {
		r.fail(n, "only an object can be merged")
		return
	}
	for key, value := range merged {
		if _, have := into[key]; !have {
			into[key] = value
		}
	}
}

func (r *reader) scalar(n *yaml.Node) any {
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
	r.fail(n, "%q is no plain value", n.Value)
	return nil
}

func invalidAt(file string, line int, format string, args ...any) *gitops.Error {
	return gitops.Errorf(gitops.ConfigInvalid, format, args...).At(gitops.Origin{Position: gitops.Position{File: file, Line: line}})
}

// yamlError moves the line out of yaml's text, where it is, into the position.
func yamlError(file string, err error) *gitops.Error {
	line, message := 0, strings.TrimPrefix(err.Error(), "yaml: ")
	if n, scanErr := fmt.Sscanf(message, "line %d:", &line); scanErr == nil && n == 1 {
		_, message, _ = strings.Cut(message, ": ")
	}
	return invalidAt(file, line, "%s", message)
}
