package stack_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/eks-gitops/reconciler/lab/labtest"
	"github.com/eks-gitops/reconciler/lab/site"
	"github.com/eks-gitops/reconciler/lab/stack"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// shelves is an aggregated API with everything that it needs, and an object of it.
const shelves = `apiVersion: v1
kind: Namespace
metadata: {name: library}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: library, namespace: library}
spec:
  selector: {matchLabels: {app: library}}
  template:
    metadata: {labels: {app: library}}
    spec:
      containers: [{name: api, image: "example.com/library-api:1", ports: [{containerPort: 8443}]}]
---
apiVersion: v1
kind: Service
metadata: {name: library, namespace: library}
spec:
  selector: {app: library}
  ports: [{port: 443, targetPort: 8443}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.library.example.com}
spec:
  group: library.example.com
  version: v1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {name: library, namespace: library}
---
apiVersion: library.example.com/v1
kind: Shelf
metadata: {name: one, namespace: library}
spec: {boards: BOARDS}
`

const shelfDefinition = `{
  "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "shelves.library.example.com"},
  "spec": {
    "group": "library.example.com", "scope": "Namespaced", "names": {"kind": "Shelf", "plural": "shelves", "singular": "shelf"},
    "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
      "type": "object", "properties": {"spec": {"type": "object", "properties": {"boards": {"type": "integer"}, "wood": {"type": "string", "default": "oak"}}}}
    }}}]
  }
}`

// TestAggregatedAPI applies, in one run, an APIService together with its server and with objects that only that server knows: they are
// predicted, made when it serves, changed and compared like others, and gone before it goes. What serves is an API server of its own.
func TestAggregatedAPI(t *testing.T) {
	t.Parallel()
	library, elsewhere := newLibrary(t)
	c := stack.Start(t, stack.Options{Standins: []site.Standin{{Image: "library-api", Address: library}}})
	const kustomization = "resources: [objects.yaml]\n"
	content := func(boards string) stack.File {
		return stack.File{Name: "objects.yaml", Text: strings.Replace(shelves, "BOARDS", boards, 1)}
	}
	o := c.Overlay(t, "library", kustomization, content("3"))
	predicted := map[string]bool{}
	for _, change := range o.Run.Plan.Changes {
		predicted[change.Ref.Kind] = change.Predicted
		if change.Action != plan.Create {
			t.Errorf("planned to %s %s", change.Action, change.Ref)
		}
	}
	if !predicted["Shelf"] || predicted["APIService"] {
		t.Errorf("predicted: %v", predicted)
	}
	has := func(boards int64) {
		t.Helper()
		one, err := elsewhere.Get(t.Context(), "one", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got, _, _ := unstructured.NestedInt64(one.Object, "spec", "boards"); got != boards {
			t.Errorf("the shelf has %d boards, want %d", got, boards)
		}
	}
	has(3)
	o = c.Overlay(t, "library", kustomization, content("4"))
	if n := len(o.Run.Plan.Changes); n != 1 || o.Run.Plan.Changes[0].Predicted {
		t.Errorf("planned %+v, want one change that the server has confirmed", o.Run.Plan.Changes)
	}
	has(4)
	o.Remove(t)
}

// newLibrary starts an API server that knows shelves, behind an address that serves nothing else of it. The other result is the way to
// its shelves around everything.
func newLibrary(t *testing.T) (address string, direct dynamic.ResourceInterface) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", labtest.ControlPlane(t))
	if err != nil {
		t.Fatal(err)
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	create := func(gvr schema.GroupVersionResource, text string) {
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := objects.Resource(gvr).Create(t.Context(), u, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	create(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}, shelfDefinition)
	create(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}, `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "library"}}`)
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	host, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(only("library.example.com/v1", &httputil.ReverseProxy{
		Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(host) },
	}))
	t.Cleanup(server.Close)
	shelf := schema.GroupVersionResource{Group: "library.example.com", Version: "v1", Resource: "shelves"}
	return server.Listener.Addr().String(), objects.Resource(shelf).Namespace("library")
}

// only lets through what concerns one group version, and its types alone.
func only(version string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := strings.TrimPrefix(r.URL.Path, "/"); {
		case path == "openapi/v3":
			answer := httptest.NewRecorder()
			r.Header.Set("Accept", "application/json")
			r.Header.Del("Accept-Encoding")
			r.Header.Del("If-None-Match")
			next.ServeHTTP(answer, r)
			var index struct {
				Paths map[string]any `json:"paths"`
			}
			if err := json.Unmarshal(answer.Body.Bytes(), &index); err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			index.Paths = map[string]any{"apis/" + version: index.Paths["apis/"+version]}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(index)
		case slices.ContainsFunc([]string{"apis/" + version, "openapi/v3/apis/" + version}, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") }):
			next.ServeHTTP(w, r)
		default:
			http.NotFound(w, r)
		}
	})
}
