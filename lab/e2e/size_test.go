package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestNothingUnusedIsLinked looks for operations of EC2 in the binary: one that the product calls, and one that it never will.
// All of them are in it as soon as a client of the SDK becomes part of an interface value: Helm's templates call methods by names that
// they compute, and the linker then keeps all exported methods of such types, which doubles binary and resident memory.
// docs/performance.md says how to find the culprit.
func TestNothingUnusedIsLinked(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile(filepath.Join(checkout(t), ".cache", "bin", "reconciler"))
	if err != nil {
		t.Fatal(err)
	}
	for method, want := range map[string]bool{"DescribeLaunchTemplateVersions": true, "AcceptAddressTransfer": false} {
		if got := bytes.Contains(body, []byte("service/ec2.(*Client)."+method)); got != want {
			t.Errorf("ec2.Client.%s is linked: %t, want %t", method, got, want)
		}
	}
}
