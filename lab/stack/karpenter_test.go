package stack_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/lab/stack"
)

// TestKarpenterDefinitionsAreGenerated: the CRDs that are committed are those of the API types of the very version that the image is.
func TestKarpenterDefinitionsAreGenerated(t *testing.T) {
	t.Parallel()
	root, dir := stack.Root(t), t.TempDir()
	command := exec.CommandContext(t.Context(), "make", "-C", root, "karpenter-crds", "KARPENTER_CRDS="+dir)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("make karpenter-crds: %v\n%s", err, out)
	}
	read := func(folder string) map[string]string {
		out := map[string]string{}
		files, err := filepath.Glob(filepath.Join(folder, "karpenter*.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			out[filepath.Base(file)] = string(text)
		}
		return out
	}
	generated := read(dir)
	if len(generated) != 4 {
		t.Errorf("%d definitions were generated, want 4", len(generated))
	}
	if diff := cmp.Diff(generated, read(filepath.Join(root, "addons", "karpenter", "crds"))); diff != "" {
		t.Errorf("run make generate and commit; generated (-) and committed (+) differ:\n%s", diff)
	}
	version := required(t, root, "karpenter-crds", "github.com/aws/karpenter-provider-aws")
	base, err := os.ReadFile(filepath.Join(root, "addons", "karpenter", "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(base), "newTag: "+version+"\n") {
		t.Errorf("the image is not version %s, of which the CRDs are", version)
	}
}
