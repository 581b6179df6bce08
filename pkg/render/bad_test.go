package render_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/render"
)

// TestBadInput shows what people are told: every message with its reason, place and next step. In each repository the
// overlay "good" is fine, and must be rendered whatever else is wrong.
func TestBadInput(t *testing.T) {
	cases, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil || len(cases) < 30 {
		t.Fatalf("found %d cases, %v", len(cases), err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files := archive(string(body))
			files["clusters/dev/good/kustomization.yaml"] = archive("-- a --\nresources: [x.yaml]\n")["a"]
			files["clusters/dev/good/x.yaml"] = archive("-- a --\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: good}\n")["a"]
			r := render.New(render.Options{})
			c := dev(t, r, files)
			d, err := r.Render(t.Context(), snapshot(files), c, nil)
			if err != nil {
				t.Fatal(err)
			}
			var good bool
			for _, item := range d.Items {
				good = good || item.Ref.Name == "good"
			}
			if !good {
				t.Error("the overlay that is fine is not rendered")
			}
			var b strings.Builder
			for _, p := range append(c.Problems, d.Problems...) {
				b.WriteString(tell(p))
			}
			for _, o := range d.Overlays {
				if !o.Complete {
					fmt.Fprintf(&b, "incomplete: %s\n", o.Name)
				}
			}
			if c.Config.Spec == nil {
				b.WriteString("no ClusterConfig\n")
			}
			if strings.Contains(b.String(), "hunter2") || strings.Contains(b.String(), "aHVudGVyMg") {
				t.Errorf("a secret leaks:\n%s", b.String())
			}
			golden(t, path, "want", b.String())
		})
	}
}

func tell(p *gitops.Error) string {
	text := p.Error() + "\n"
	if p.From.Overlay != "" {
		text = p.From.Overlay + ": " + text
	}
	if p.Try != "" {
		text += "  try: " + p.Try + "\n"
	}
	return text
}
