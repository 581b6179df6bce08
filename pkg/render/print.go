package render

import (
	"bytes"
	"fmt"

	"sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// YAML prints the objects of a cluster, or of one overlay, as `kustomize build` does, each under a comment that tells where it
// is written. It prints Secrets as they are: it is for the terminal of whoever can read the repository anyway.
func YAML(d gitops.Desired, overlay string) ([]byte, error) {
	var out bytes.Buffer
	for _, item := range d.Items {
		if overlay != "" && item.From.Overlay != overlay {
			continue
		}
		body, err := yaml.Marshal(item.Spec)
		if err != nil {
			return nil, gitops.Errorf(gitops.Internal, "writing %s: %w", item.Ref, err)
		}
		fmt.Fprintf(&out, "---\n# %s\n%s", item.From.Position, body)
	}
	return out.Bytes(), nil
}
