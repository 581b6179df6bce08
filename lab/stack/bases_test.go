package stack_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/lab/site"
	"github.com/eks-gitops/reconciler/lab/stack"
)

// base is a folder with a kustomization, and the components in it.
type base struct {
	path       string
	components []string
}

// bases finds every base of addons/ and apps/.
func bases(t *testing.T) []base {
	t.Helper()
	root := stack.Root(t)
	var out []base
	for _, part := range []string{"addons", "apps"} {
		found, err := filepath.Glob(filepath.Join(root, part, "*", "kustomization.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range found {
			b := base{path: part + "/" + filepath.Base(filepath.Dir(file))}
			inside, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*", "kustomization.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range inside {
				if kindOf(t, one) == "Component" {
					b.components = append(b.components, filepath.Base(filepath.Dir(one)))
				}
			}
			out = append(out, b)
		}
	}
	return out
}

func kindOf(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var head struct {
		Kind string `json:"kind"`
	}
	if err := yaml.Unmarshal(text, &head); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return head.Kind
}

// TestBases is the first proof of the content: every base applies to a real API server, becomes Ready there, has an empty second
// diff, with each of its components too, and is pruned without remains.
func TestBases(t *testing.T) {
	t.Parallel()
	// An aggregated API that is there and offers nothing; TestMonitoring runs the real one.
	custom := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"custom.metrics.k8s.io/v1beta2","resources":[]}`)
	}))
	t.Cleanup(custom.Close)
	c := stack.Start(t, stack.Options{Nodes: 6, Standins: []site.Standin{
		{Image: "aws-load-balancer-controller"}, {Image: "prometheus-adapter", Address: custom.Listener.Addr().String()},
	}})
	for _, b := range bases(t) {
		t.Run(strings.ReplaceAll(b.path, "/", "-"), func(t *testing.T) {
			t.Cleanup(func() {
				if t.Failed() {
					c.Forget(t, b.path)
				}
			})
			var always []string
			if slices.Contains(b.components, "cluster-facts") {
				always = []string{"cluster-facts"}
			}
			overlay := c.Base(t, b.path, always...)
			for _, component := range b.components {
				if component != "cluster-facts" {
					overlay = c.Base(t, b.path, append(slices.Clone(always), component)...)
				}
			}
			overlay.Remove(t)
		})
	}
}
