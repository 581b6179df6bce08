package eks

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLeaves: every field of eksctl's schema that has none below it is listed with the row that speaks for it and what becomes of it. A row
// speaks for all that is below it, and so a new version of eksctl may have a field that gets a class from the row above without anybody
// having looked at it: it fails here, until somebody has, and lists it with -update.
func TestLeaves(t *testing.T) {
	t.Parallel()
	const golden = "testdata/leaves.txt"
	all := inventory(t)
	var out strings.Builder
	for _, leaf := range leaves(t) {
		e, row := speaker(all, leaf), "itself"
		if e.path != leaf {
			row = e.path
		}
		fmt.Fprintf(&out, "%s | %s | %s\n", leaf, row, e.becomes())
	}
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	body, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(body), "\n"), strings.Split(out.String(), "\n")); diff != "" {
		t.Errorf("the fields of eksctl's schema are others than %s lists (-want +got); look at each, then run with -update:\n%s", golden, diff)
	}
}
