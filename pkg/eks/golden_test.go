package eks

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write what the tests see into their golden files")

// goldens runs one subtest per txtar file: f gets the archive's files by name and returns the content of the one file
// that is the expectation.
func goldens(t *testing.T, pattern, expectation string, f func(t *testing.T, files map[string]string) string) {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no golden files match %s (%v)", pattern, err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files := map[string]string{}
			for _, file := range archive.Files {
				files[file.Name] = string(file.Data)
			}
			got := f(t, files)
			if *update {
				archive.Files = append(archive.Files[:0:0], archive.Files...)
				found := false
				for i := range archive.Files {
					if archive.Files[i].Name == expectation {
						archive.Files[i].Data, found = []byte(got), true
					}
				}
				if !found {
					archive.Files = append(archive.Files, txtar.File{Name: expectation, Data: []byte(got)})
				}
				if err := os.WriteFile(name, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(files[expectation], got); diff != "" {
				t.Errorf("%s differs (-want +got; run with -update to accept):\n%s", expectation, diff)
			}
		})
	}
}
