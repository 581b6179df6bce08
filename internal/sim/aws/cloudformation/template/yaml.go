package template

import (
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxNodes bounds the size of a document after aliases are expanded; CloudFormation bodies have at most 1 MB.
const maxNodes = 1 << 18

func decodeYAML(body string) (map[string]any, error) {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(body), &document); err != nil {
		return nil, refuse("Template format error: YAML not well-formed. (%s)", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if document.Kind != yaml.DocumentNode || len(document.Content) != 1 {
		return nil, refuse("Template format error: unsupported structure.")
	}
	budget := maxNodes
	value, err := fromYAML(document.Content[0], &budget)
	if err != nil {
		return nil, err
	}
	root, ok := value.(map[string]any)
	if !ok {
		return nil, refuse("Template format error: unsupported structure.")
	}
	return root, nil
}

func fromYAML(node *yaml.Node, budget *int) (any, error) {
	if *budget--; *budget < 0 {
		return nil, refuse("Template format error: YAML aliases are not allowed in CloudFormation templates")
	}
	if node.Kind == yaml.AliasNode {
		return nil, refuse("Template format error: YAML aliases are not allowed in CloudFormation templates")
	}
	var value any
	var err error
	switch node.Kind {
	case yaml.MappingNode:
		value, err = yamlMap(node, budget)
	case yaml.SequenceNode:
		list := make([]any, 0, len(node.Content))
		for _, item := range node.Content {
			element, err := fromYAML(item, budget)
			if err != nil {
				return nil, err
			}
			list = append(list, element)
		}
		value = list
	default:
		value, err = yamlScalar(node)
	}
	if err != nil {
		return nil, err
	}
	if name, ok := shortForm(node.Tag); ok {
		return longForm(name, value), nil
	}
	return value, nil
}

func yamlMap(node *yaml.Node, budget *int) (any, error) {
	m := make(map[string]any, len(node.Content)/2)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if key.Kind != yaml.ScalarNode {
			return nil, refuse("Template format error: YAML not well-formed. (line %d, column %d)", key.Line, key.Column)
		}
		if _, dup := m[key.Value]; dup {
			return nil, refuse("Template format error: YAML not well-formed. (line %d, column %d)", key.Line, key.Column)
		}
		value, err := fromYAML(node.Content[i+1], budget)
		if err != nil {
			return nil, err
		}
		m[key.Value] = value
	}
	return m, nil
}

// yamlScalar follows CloudFormation's reading: dates stay text, numbers and booleans have their types.
func yamlScalar(node *yaml.Node) (any, error) {
	switch node.ShortTag() {
	case "!!null":
		return nil, refuse("Template format error: [/] 'null' values are not allowed in templates (line %d, column %d)", node.Line, node.Column)
	case "!!bool":
		var b bool
		if err := node.Decode(&b); err != nil {
			return nil, refuse("Template format error: YAML not well-formed. (line %d, column %d)", node.Line, node.Column)
		}
		return b, nil
	case "!!int", "!!float":
		f, err := strconv.ParseFloat(node.Value, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return node.Value, nil //nolint:nilerr // 0x1f, 1_000 and .inf are text for CloudFormation
		}
		return f, nil
	default:
		return node.Value, nil
	}
}

func shortForm(tag string) (string, bool) {
	if !strings.HasPrefix(tag, "!") || strings.HasPrefix(tag, "!!") {
		return "", false
	}
	return tag[1:], true
}

func longForm(name string, value any) any {
	switch name {
	case "Ref", "Condition":
		return map[string]any{name: value}
	case "GetAtt":
		if text, ok := value.(string); ok {
			logical, attribute, _ := strings.Cut(text, ".")
			value = []any{logical, attribute}
		}
	}
	return map[string]any{"Fn::" + name: value}
}
