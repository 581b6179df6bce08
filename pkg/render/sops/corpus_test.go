package sops_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/eks-gitops/reconciler/pkg/render/sops"
)

func read(t *testing.T, file string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// keys are key files of testdata.
func keys(t *testing.T, names ...string) sops.Keys {
	t.Helper()
	return sops.Keys{Age: func() ([]sops.KeyFile, error) {
		var out []sops.KeyFile
		for _, name := range names {
			out = append(out, sops.KeyFile{Name: name, Text: read(t, name+".agekey")})
		}
		return out, nil
	}}
}

// TestCorpus reads files that the real sops encrypted (hack/sops-fixtures.sh), and compares with what the real sops decrypts.
func TestCorpus(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir("testdata/encrypted")
	if err != nil || len(entries) < 16 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	for _, entry := range entries {
		t.Run(entry.Name(), func(t *testing.T) {
			t.Parallel()
			body := read(t, "encrypted/"+entry.Name())
			f, failed := sops.Read(entry.Name(), body)
			if failed != nil || f == nil {
				t.Fatalf("%v, %v", f, failed)
			}
			plain, failed := f.Decrypt(t.Context(), keys(t, "one", "two", "three"))
			if failed != nil {
				t.Fatal(failed)
			}
			got, err := plain.Output()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(read(t, "output/"+entry.Name())), string(got)); diff != "" {
				t.Errorf("sops decrypts it differently (-sops +ours):\n%s", diff)
			}
			if bytes.Contains(plain.Text, []byte("ENC[AES256_GCM")) {
				t.Errorf("something is still encrypted:\n%s", plain.Text)
			}
			if filepath.Ext(entry.Name()) == ".yaml" {
				sameLines(t, body, plain.Text)
			}
		})
	}
}

// sameLines compares where keys are before and after.
func sameLines(t *testing.T, before, after []byte) {
	t.Helper()
	places := func(body []byte) map[string]int {
		out := map[string]int{}
		decoder := yaml.NewDecoder(bytes.NewReader(body))
		for doc := 0; ; doc++ {
			var n yaml.Node
			if decoder.Decode(&n) != nil {
				return out
			}
			var walk func(path string, n *yaml.Node)
			walk = func(path string, n *yaml.Node) {
				for i, inner := range n.Content {
					at := path + "/" + string(rune('0'+i))
					if n.Kind == yaml.MappingNode && i%2 == 0 {
						at = path + "/" + inner.Value
						out[at] = inner.Line
					}
					if !strings.HasSuffix(path, "/sops") {
						walk(at, inner)
					}
				}
			}
			walk(string(rune('0'+doc)), &n)
		}
	}
	was, is := places(before), places(after)
	for key := range was {
		if strings.Contains(key, "sops") {
			delete(was, key)
		}
	}
	for key := range is {
		if _, ok := was[key]; !ok {
			t.Errorf("%s is new", key)
		}
	}
	for key, line := range was {
		if strings.Count(key, "/") == 2 && is[key] != line {
			t.Errorf("%s was in line %d and is in line %d", key, line, is[key])
		}
	}
}
