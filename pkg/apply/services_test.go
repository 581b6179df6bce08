package apply

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

const servedByOthers = aggregated + `---
apiVersion: NS.example.com/v1beta1
kind: Shelf
metadata: {name: one, namespace: NS}
spec: {boards: 3}
---
apiVersion: v1
kind: Namespace
metadata: {name: NS}
`

// An APIService and what it will serve come in one batch: the objects are predicted, and wait for the APIService. Of another version of the
// group, git has nothing that serves it.
func TestObjectsOfAnAPIServiceArePredicted(t *testing.T) {
	l := newLab(t)
	items := l.items("apps", servedByOthers)
	service, shelf := items[0], items[1]
	p := l.plan(desired(items...))
	l.unproblematic(p)
	c, ok := p.Change(shelf.Ref)
	if !ok || c.Action != plan.Create || !c.Predicted {
		t.Errorf("planned %+v, want a predicted creation", c)
	}
	if diff := cmp.Diff([]gitops.Ref{service.Ref, {Domain: gitops.K8s, Kind: "Namespace", Name: l.id}}, c.Needs); diff != "" {
		t.Errorf("needs (-want +got):\n%s", diff)
	}
	items[1] = with(shelf, l.id+".example.com/v2", "apiVersion")
	l.reasonAt(l.observe(desired(items...)), shelf.Ref, gitops.KindMissing, "no overlay holds its CustomResourceDefinition or APIService")
	l.reasonAt(l.observe(desired(shelf)), shelf.Ref, gitops.KindMissing, "no overlay holds its CustomResourceDefinition or APIService")
}

// What discovery does not show yet of a new APIService is asked of its server; that this does not answer is no "no".
func TestKindsThatDiscoveryDoesNotShowYet(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answers := map[string]string{
			"/api":         `{"kind":"APIVersions","apiVersion":"v1","versions":["v1"]}`,
			"/api/v1":      `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"v1","resources":[]}`,
			"/apis":        `{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`,
			"/openapi/v3":  `{"paths":{}}`,
			"/apis/new/v1": `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"new/v1","resources":[{"name":"shelves","kind":"Shelf","namespaced":true,"verbs":["list"]}]}`,
		}
		text, ok := answers[r.URL.Path]
		switch {
		case r.URL.Path == "/apis/down/v1":
			http.Error(w, "service unavailable", http.StatusServiceUnavailable)
		case !ok:
			http.NotFound(w, r)
		default:
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, text)
		}
	}))
	t.Cleanup(server.Close)
	c := New(Options{Access: func(context.Context) (Access, error) { return Access{Server: server.URL}, nil }, Now: time.Now})
	t.Cleanup(c.Close)
	l, _, err := c.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	shelf := func(group string) schema.GroupVersionKind {
		return schema.GroupVersionKind{Group: group, Version: "v1", Kind: "Shelf"}
	}
	if err := l.catalog.refresh(t.Context(), time.Hour, shelf("new"), shelf("down"), shelf("no")); err != nil {
		t.Fatal(err)
	}
	for group, want := range map[string]struct{ served, unknown bool }{"new": {true, false}, "down": {false, true}, "no": {false, false}} {
		k, served := l.catalog.kind(shelf(group))
		if served != want.served || l.catalog.unknown(group) != want.unknown || served && (k.Resource != "shelves" || !k.Namespaced || !k.Listable) {
			t.Errorf("%s: %+v, served %v, unknown %v", group, k, served, l.catalog.unknown(group))
		}
	}
}
