package sops

import (
	"testing"

	"go.yaml.in/yaml/v3"
)

// FuzzQuoteYAML writes any text in YAML and reads it back.
func FuzzQuoteYAML(f *testing.F) {
	for _, s := range []string{"", "a", "a\nb", `"quoted" \ back`, "\x00\x1f\x7f\u0085\u2028\ufeff\ufffe\U0010ffff😀", "\xff\xfe", "{{ x }}", "- a", "yes", "1.0", "\t"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var back string
		if err := yaml.Unmarshal([]byte("a: "+quoteYAML(s)+"\n"), &struct{ A *string }{&back}); err != nil || back != s {
			t.Errorf("%q came back as %q: %v", s, back, err)
		}
	})
}
