package apply

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// settings are as many ConfigMaps as are created without a dry run.
func settings(data string) string {
	var out []string
	for i := range many {
		out = append(out, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%d, namespace: NS}\ndata: %s", i, data))
	}
	return strings.Join(out, "\n---\n")
}

// withNamespace is a lab whose namespace is there.
func withNamespace(t *testing.T, change ...func(*Options)) *lab {
	t.Helper()
	l := newLab(t, change...)
	raw, _, err := l.connect(l.Context())
	if err != nil {
		t.Fatal(err)
	}
	namespaces := raw.client.Resource(gvr("", "v1", "namespaces"))
	for _, name := range []string{l.id, l.Namespace} {
		u := &unstructured.Unstructured{Object: gitops.Tree{"apiVersion": "v1", "kind": "Namespace", "metadata": gitops.Tree{"name": name}}}
		if _, err := namespaces.Create(l.Context(), u, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// about picks the requests about single objects of a kind, in a namespace.
func (c *counter) about(namespace, resource string) map[string]int {
	out := map[string]int{}
	for _, r := range c.take() {
		if verb, rest, ok := strings.Cut(r, " /api/v1/namespaces/"+namespace+"/"+resource+"/"); ok && rest != "" {
			out[verb]++
		}
	}
	return out
}

func TestManyCreationsAreOneRequestEach(t *testing.T) {
	t.Parallel()
	l := withNamespace(t)
	d := desired(l.items("apps", settings("{a: b}"))...)
	requests := l.count()
	p := l.apply(d)
	if got := requests.about(l.id, "configmaps"); len(p.Changes) != many || got["PATCH"] != many || len(got) != 1 {
		t.Errorf("%d changes made the requests %v, want %d PATCHes only", len(p.Changes), got, many)
	}
	live, err := l.link.get(l.Context(), l.kindOf("ConfigMap"), key{schema.GroupKind{Kind: "ConfigMap"}, l.id, "c0"})
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(live.Object["metadata"]); strings.Contains(text, "f:resourceVersion") || live.GetResourceVersion() == "1" {
		t.Errorf("the precondition was stored: %s", text)
	}
	l.empty(d)
}

// TestPreviewsAskTheServer: what is only shown is confirmed, however much it is.
func TestPreviewsAskTheServer(t *testing.T) {
	t.Parallel()
	l := withNamespace(t, func(o *Options) { o.Preview = true })
	requests := l.count()
	refused := strings.Replace(settings("{a: b}"), "a: b", "a: 1", 1)
	p := l.plan(desired(l.items("apps", refused)...))
	if got := requests.about(l.id, "configmaps"); got["PATCH"] != many {
		t.Errorf("requests %v, want a dry run of each", got)
	}
	if len(p.Problems) != 1 || p.Problems[0].Reason != gitops.ApplyInvalid {
		t.Errorf("problems %v, want that one is invalid", p.Problems)
	}
}

// TestManyCreationsFindWhatIsThere: what somebody made before is adopted as the plan says, and changed by nothing else.
func TestManyCreationsFindWhatIsThere(t *testing.T) {
	t.Parallel()
	l := withNamespace(t)
	l.stranger("c3", "before")
	p := l.plan(desired(l.items("apps", settings("{a: b}"))...))
	actions := map[plan.Action]int{}
	for _, c := range p.Changes {
		actions[c.Action]++
		if c.Ref.Name == "c3" && (c.Action != plan.Update || c.Live == nil) {
			t.Errorf("%s of what is there: %+v", c.Action, c)
		}
	}
	if actions[plan.Create] != many-1 || actions[plan.Update] != 1 {
		t.Errorf("planned %v", actions)
	}
}

// TestACreationTakesNothingOver: a write with a resourceVersion is refused when the object has another one (Kubernetes API concepts,
// "Resource versions"), so what somebody made since the plan stays theirs.
func TestACreationTakesNothingOver(t *testing.T) {
	t.Parallel()
	l := withNamespace(t)
	p := l.plan(desired(l.items("apps", settings("{a: b}"))...))
	l.stranger("c3", "since")
	for _, c := range p.Changes {
		err := l.Cluster.Apply(l.Context(), c)
		switch e := gitops.AsError(gitops.Internal, err); {
		case c.Ref.Name != "c3" && err != nil:
			t.Errorf("%s: %v", c.Ref.Name, err)
		case c.Ref.Name == "c3" && (err == nil || e.Reason != gitops.ApplyConflict):
			t.Errorf("what somebody made since: %v", err)
		}
	}
	live, err := l.link.get(l.Context(), l.kindOf("ConfigMap"), key{schema.GroupKind{Kind: "ConfigMap"}, l.id, "c3"})
	if err != nil || gitops.StringAt(live.Object, "data", "who") != "since" || gitops.StringAt(live.Object, "data", "a") != "" {
		t.Errorf("what somebody made is now %v (%v)", live, err)
	}
}

// TestADeclinedCreationIsAskedAbout: what the server did not take is dry-run from then on, so that the plan says why.
func TestADeclinedCreationIsAskedAbout(t *testing.T) {
	t.Parallel()
	l := withNamespace(t)
	d := desired(l.items("apps", strings.Replace(settings("{a: b}"), "a: b", "a: 1", 1))...)
	p := l.plan(d)
	if len(p.Problems) > 0 || len(p.Changes) != many {
		t.Fatalf("problems %v of %d changes", p.Problems, len(p.Changes))
	}
	for _, c := range p.Changes {
		err := l.Cluster.Apply(l.Context(), c)
		if (err != nil) != (c.Ref.Name == "c0") {
			t.Errorf("%s: %v", c.Ref.Name, err)
		}
		if err != nil && !strings.Contains(err.Error(), ".data.a: expected string") {
			t.Errorf("refused as %v", err)
		}
	}
	p = l.plan(d)
	if !slices.ContainsFunc(p.Problems, func(e *gitops.Error) bool { return e.Ref.Name == "c0" && e.Reason == gitops.ApplyInvalid }) {
		t.Errorf("problems %v, want what the server says of c0", p.Problems)
	}
}

// kindOf is a kind of the core group.
func (l *lab) kindOf(name string) kind {
	l.Helper()
	k, ok := l.link.catalog.serving(schema.GroupKind{Kind: name})
	if !ok {
		l.Fatalf("the server knows no %s", name)
	}
	return k
}

// stranger makes a ConfigMap that is nobody's.
func (l *lab) stranger(name, who string) {
	l.Helper()
	raw, _, err := l.connect(l.Context())
	if err != nil {
		l.Fatal(err)
	}
	u := &unstructured.Unstructured{Object: gitops.Tree{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": gitops.Tree{"name": name, "namespace": l.id}, "data": gitops.Tree{"who": who},
	}}
	if _, err := raw.client.Resource(configMaps()).Namespace(l.id).Create(l.Context(), u, metav1.CreateOptions{FieldManager: "somebody"}); err != nil {
		l.Fatal(err)
	}
}
