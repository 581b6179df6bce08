package eks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// encoder writes a ClusterConfig as YAML, its fields in the order of eksctl's schema, with remarks above them.
type encoder struct {
	schema  schemaCheck
	remarks map[string]string
}

// fileHead is the beginning of the file.
const fileHead = "# Written by reconciler import, from what is live. What is eksctl's default, or EKS's own choice, is not said.\n"

func encode(t gitops.Tree, remarks map[string]string) ([]byte, error) {
	root, err := loadSchema()
	if err != nil {
		return nil, err
	}
	e := encoder{schema: schemaCheck{definitions: root.Definitions}, remarks: remarks}
	node, err := e.node("", t, root)
	if err != nil {
		return nil, fmt.Errorf("writing the ClusterConfig: %w", err)
	}
	var out bytes.Buffer
	out.WriteString(fileHead)
	to := yaml.NewEncoder(&out)
	to.SetIndent(2)
	if err := errors.Join(to.Encode(node), to.Close()); err != nil {
		return nil, fmt.Errorf("writing the ClusterConfig: %w", err)
	}
	return out.Bytes(), nil
}

func (e encoder) node(path string, v any, n *schemaNode) (*yaml.Node, error) {
	n = e.schema.resolve(n)
	switch v := v.(type) {
	case gitops.Tree:
		return e.object(path, v, n)
	case []any:
		out := &yaml.Node{Kind: yaml.SequenceNode}
		for i, item := range v {
			var below *schemaNode
			if n != nil {
				below = n.Items
			}
			node, err := e.node(at(path, i), item, below)
			if err != nil {
				return nil, err
			}
			node.HeadComment = e.remarks[at(path, i)]
			out.Content = append(out.Content, node)
		}
		return out, nil
	}
	out := &yaml.Node{}
	return out, out.Encode(v)
}

func (e encoder) object(path string, t gitops.Tree, n *schemaNode) (*yaml.Node, error) {
	order := e.order(n)
	place := func(key string) int {
		if i := slices.Index(order, key); i >= 0 {
			return i
		}
		return len(order)
	}
	keys := slices.SortedFunc(maps.Keys(t), func(a, b string) int {
		if c := place(a) - place(b); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	out := &yaml.Node{Kind: yaml.MappingNode}
	for _, key := range keys {
		name, below := &yaml.Node{}, join(path, key)
		if err := name.Encode(key); err != nil {
			return nil, err
		}
		name.HeadComment = e.remarks[below]
		value, err := e.node(below, t[key], e.below(n, key))
		if err != nil {
			return nil, err
		}
		out.Content = append(out.Content, name, value)
	}
	return out, nil
}

// order is eksctl's order of an object's fields, but for the one that everybody writes first.
func (e encoder) order(n *schemaNode) []string {
	out := []string{"apiVersion"}
	if n == nil {
		return out
	}
	out = append(out, n.PreferredOrder...)
	for _, alternative := range n.OneOf {
		if a := e.schema.resolve(alternative); a != nil {
			out = append(out, a.PreferredOrder...)
		}
	}
	return out
}

// below is the schema of an object's field; nil where it says nothing.
func (e encoder) below(n *schemaNode, key string) *schemaNode {
	if n == nil {
		return nil
	}
	if property, ok := e.schema.properties(n)[key]; ok {
		return property
	}
	values := &schemaNode{}
	if len(n.AdditionalProperties) == 0 || json.Unmarshal(n.AdditionalProperties, values) != nil {
		return nil
	}
	return values
}
