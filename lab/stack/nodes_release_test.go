package stack_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/lab/stack"
)

// TestAutoscalerReleases checks the table that chooses cluster-autoscaler's release: each minor that EKS offers has one of the same minor, and
// a replacement that takes it for a cluster of that minor and no other.
func TestAutoscalerReleases(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(stack.Root(t), "addons/cluster-autoscaler/cluster-facts")
	var table struct {
		Data map[string]string
	}
	var component struct {
		Replacements []struct {
			Source  struct{ Name, FieldPath string }
			Targets []struct {
				Select struct{ AnnotationSelector string }
			}
		}
	}
	for name, into := range map[string]any{"releases.yaml": &table, "kustomization.yaml": &component} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(text, into); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	want := []string{"minor-33", "minor-34", "minor-35", "minor-36"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(table.Data))); diff != "" {
		t.Errorf("the minors with a release (-want +got):\n%s", diff)
	}
	var taken []string
	for _, r := range component.Replacements {
		if r.Source.Name != "cluster-autoscaler-releases" {
			continue
		}
		key := strings.TrimPrefix(r.Source.FieldPath, "data.")
		minor := strings.TrimPrefix(key, "minor-")
		taken = append(taken, key)
		if selector := "self-driving-stack/kubernetes-minor=" + minor; len(r.Targets) != 1 || r.Targets[0].Select.AnnotationSelector != selector {
			t.Errorf("%s is not taken for clusters of that minor only: %+v", key, r.Targets)
		}
		if release := table.Data[key]; !strings.HasPrefix(release, fmt.Sprintf("v1.%s.", minor)) {
			t.Errorf("the release of %s is %s", key, release)
		}
	}
	if diff := cmp.Diff(want, taken); diff != "" {
		t.Errorf("the replacements (-want +got):\n%s", diff)
	}
}
