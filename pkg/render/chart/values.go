package chart

import (
	"bytes"
	"fmt"

	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
	"sigs.k8s.io/kustomize/kyaml/yaml/merge2"
	"sigs.k8s.io/yaml"
)

// How inline values and those of the values file go together (valuesMerge of a helmCharts entry).
const (
	// Override lets inline values win; it is the default.
	Override = "override"
	// Merge lets the file win.
	Merge = "merge"
	// Replace uses inline values alone.
	Replace = "replace"
)

// MergeValues puts inline values and a values file together as kustomize does.
func MergeValues(file []byte, inline map[string]any, how string) ([]byte, error) {
	if len(inline) == 0 {
		return file, nil
	}
	if how == Replace || len(bytes.TrimSpace(file)) == 0 {
		return yaml.Marshal(inline)
	}
	ofFile, err := kyaml.Parse(string(file))
	if err != nil {
		return nil, fmt.Errorf("reading the values file: %w", err)
	}
	own, err := kyaml.FromMap(inline)
	if err != nil {
		return nil, fmt.Errorf("reading valuesInline: %w", err)
	}
	winner, other := own, ofFile
	if how == Merge {
		winner, other = ofFile, own
	}
	merged, err := merge2.Merge(winner, other.Copy(), kyaml.MergeOptions{})
	if err != nil {
		return nil, fmt.Errorf("merging values: %w", err)
	}
	values, err := merged.Map()
	if err != nil {
		return nil, fmt.Errorf("merging values: %w", err)
	}
	return yaml.Marshal(values)
}
