package eks

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// schemaNode is the part of JSON schema that eksctl's own schema uses.
type schemaNode struct {
	Ref                  string                 `json:"$ref"`
	Type                 string                 `json:"type"`
	Required             []string               `json:"required"`
	PreferredOrder       []string               `json:"preferredOrder"`
	Properties           map[string]*schemaNode `json:"properties"`
	AdditionalProperties json.RawMessage        `json:"additionalProperties"`
	Items                *schemaNode            `json:"items"`
	OneOf                []*schemaNode          `json:"oneOf"`
	Definitions          map[string]*schemaNode `json:"definitions"`
}

// loadSchema decodes the schema that eksctl publishes for its own types.
//
//nolint:gochecknoglobals // immutable, decoded once
var loadSchema = sync.OnceValues(func() (*schemaNode, error) {
	root := &schemaNode{}
	if err := json.Unmarshal([]byte(api.SchemaJSON), root); err != nil {
		return nil, fmt.Errorf("decoding eksctl's schema: %w", err)
	}
	return root, nil
})

// fault is one thing that is wrong with a tree, at a path such as "managedNodeGroups[0].instanceType".
type fault struct{ path, message string }

// schemaCheck walks a tree beside eksctl's schema. It finds what eksctl's decoder lets through or panics on: keys in the
// wrong case (dropped silently), unknown keys below custom decoders, null list items, and numbers where text is meant.
type schemaCheck struct {
	definitions map[string]*schemaNode
	faults      []fault
}

// checkSchema reports every fault of a ClusterConfig, in the order of its paths.
func checkSchema(t gitops.Tree) ([]fault, error) {
	root, err := loadSchema()
	if err != nil {
		return nil, err
	}
	c := &schemaCheck{definitions: root.Definitions}
	c.value("", t, root)
	slices.SortStableFunc(c.faults, func(a, b fault) int { return strings.Compare(a.path, b.path) })
	return c.faults, nil
}

func (c *schemaCheck) fail(path, format string, args ...any) {
	c.faults = append(c.faults, fault{path, fmt.Sprintf(format, args...)})
}

// resolve follows references; a chain of them is short in eksctl's schema, and bounded here.
func (c *schemaCheck) resolve(n *schemaNode) *schemaNode {
	for range 8 {
		if n == nil || n.Ref == "" {
			return n
		}
		n = c.definitions[strings.TrimPrefix(n.Ref, "#/definitions/")]
	}
	return nil
}

func (c *schemaCheck) value(path string, v any, n *schemaNode) {
	n = c.resolve(n)
	if n == nil {
		return
	}
	switch v := v.(type) {
	case gitops.Tree:
		c.object(path, v, n)
	case []any:
		if n.Items == nil && (n.Type == "string" || len(n.Properties) > 0) {
			c.fail(path, "must not be a list")
			return
		}
		for i, item := range v {
			at := fmt.Sprintf("%s[%d]", path, i)
			if item == nil {
				c.fail(at, "is null: remove the empty list item")
				continue
			}
			c.value(at, item, n.Items)
		}
	case bool, int64, float64:
		c.scalar(path, v, n)
	case string:
		if n.Type == "array" || len(n.Properties) > 0 {
			c.fail(path, "must be %s, not text", article(n))
		}
	}
}

func (c *schemaCheck) scalar(path string, v any, n *schemaNode) {
	switch {
	case n.Type == "string":
		c.fail(path, "must be text: write it in quotes (%q)", fmt.Sprint(v))
	case n.Type == "array" || len(n.Properties) > 0:
		c.fail(path, "must be %s, not %v", article(n), v)
	}
}

func article(n *schemaNode) string {
	if n.Type == "array" {
		return "a list"
	}
	return "an object"
}

func (c *schemaCheck) object(path string, t gitops.Tree, n *schemaNode) {
	known := c.properties(n)
	closed := string(n.AdditionalProperties) == "false" || len(n.OneOf) > 0
	if !closed && len(known) == 0 {
		c.open(path, t, n)
		return
	}
	for _, key := range slices.Sorted(maps.Keys(t)) {
		at := join(path, key)
		if property, ok := known[key]; ok {
			c.value(at, t[key], property)
			continue
		}
		if guess := nearest(key, slices.Sorted(maps.Keys(known))); guess != "" {
			c.fail(at, "unknown field %q: did you mean %q?", key, guess)
		} else {
			c.fail(at, "unknown field %q", key)
		}
	}
	for _, key := range n.Required {
		if v, ok := t[key]; requiredHere(key) && (!ok || v == nil || v == "") {
			c.fail(path, "%q is required", key)
		}
	}
}

// requiredHere are the required fields whose absence makes eksctl panic or guess; others it validates itself.
func requiredHere(key string) bool {
	return key == "name" || key == "metadata" || key == "region" || key == "kind" || key == "apiVersion"
}

// open walks an object with free keys. Its values are checked only when the schema types them.
func (c *schemaCheck) open(path string, t gitops.Tree, n *schemaNode) {
	if n.Type == "string" || n.Type == "array" && !strings.HasSuffix(path, ".taints") {
		c.fail(path, "must not be an object")
		return
	}
	values := &schemaNode{}
	if len(n.AdditionalProperties) == 0 || json.Unmarshal(n.AdditionalProperties, values) != nil {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(t)) {
		c.value(join(path, key), t[key], values)
	}
}

func (c *schemaCheck) properties(n *schemaNode) map[string]*schemaNode {
	if len(n.OneOf) == 0 {
		return n.Properties
	}
	all := maps.Clone(n.Properties)
	for _, alternative := range n.OneOf {
		if a := c.resolve(alternative); a != nil {
			maps.Copy(all, a.Properties)
		}
	}
	return all
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// nearest finds what a mistyped key was meant to be: the same letters in another case, or few edits away.
func nearest(key string, known []string) string {
	best, bestCost := "", max(1, len(key)/4)+1
	for _, k := range known {
		if strings.EqualFold(k, key) {
			return k
		}
		if cost := editDistance(strings.ToLower(key), strings.ToLower(k)); cost < bestCost {
			best, bestCost = k, cost
		}
	}
	return best
}

// editDistance is Levenshtein's distance.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
