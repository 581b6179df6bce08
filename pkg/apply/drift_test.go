package apply

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	faults "github.com/eks-gitops/reconciler/internal/sim/fault"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

const web = `
apiVersion: v1
kind: Namespace
metadata: {name: NS}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: NS, annotations: {team: shop}}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: web:1
        args: [a, b]
        env: [{name: A, value: "1"}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: flags, namespace: NS}
data: {beta: "on", gamma: "off"}
`

func gvr(group, version, resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: group, Version: version, Resource: resource}
}

func deployments() schema.GroupVersionResource { return gvr("apps", "v1", "deployments") }
func configMaps() schema.GroupVersionResource  { return gvr("", "v1", "configmaps") }

// edit writes to an object as another tool would.
func (l *lab) edit(manager string, r schema.GroupVersionResource, name string, patch gitops.Tree, subresource ...string) *unstructured.Unstructured {
	l.Helper()
	body, err := json.Marshal(patch)
	if err != nil {
		l.Fatal(err)
	}
	u, err := l.raw().client.Resource(r).Namespace(l.id).Patch(l.Context(), name, types.StrategicMergePatchType, body, metav1.PatchOptions{FieldManager: manager}, subresource...)
	if err != nil {
		l.Fatalf("editing %s as %s: %v", name, manager, err)
	}
	return u
}

// raw is a connection of the test's own.
func (l *lab) raw() *link {
	l.Helper()
	raw, err := dial(l.access, Options{Manager: "test", Timeout: time.Minute, Now: time.Now})
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(raw.close)
	if err := raw.catalog.refresh(l.background(), 0); err != nil {
		l.Fatal(err)
	}
	return raw
}

func (l *lab) live(r schema.GroupVersionResource, name string) *unstructured.Unstructured {
	l.Helper()
	u, err := l.raw().client.Resource(r).Namespace(l.id).Get(l.Context(), name, metav1.GetOptions{})
	if err != nil {
		l.Fatal(err)
	}
	return u
}

// said is a plan in short: "update apps/Deployment t1/web: spec.replicas 5>3 kubectl-edit".
func said(p plan.Plan) []string {
	var out []string
	for _, c := range p.Changes {
		if c.Action == plan.Wait {
			continue
		}
		for _, e := range c.Edits {
			line := string(c.Action) + " " + c.Ref.Kind + " " + c.Ref.Name + ": " + e.Path + " " + text(e.Before) + ">" + text(e.After)
			if e.Owner != nil {
				line += " " + e.Owner.Manager
			}
			out = append(out, line)
		}
		for _, s := range c.Skipped {
			out = append(out, "skip "+c.Ref.Name+": "+s.Path+" "+s.Owner)
		}
		if c.Hold != nil {
			out = append(out, "hold "+c.Ref.Name+": "+c.Hold.Why)
		}
		if len(c.Edits) == 0 {
			out = append(out, string(c.Action)+" "+c.Ref.Kind+" "+c.Ref.Name)
		}
	}
	return out
}

func text(v any) string {
	body, _ := json.Marshal(v)
	return string(body)
}

func (l *lab) expect(d gitops.Desired, want ...string) plan.Plan {
	l.Helper()
	p := l.plan(d)
	l.unproblematic(p)
	if diff := cmp.Diff(want, said(p)); diff != "" {
		l.Errorf("plan (-want +got):\n%s", diff)
	}
	return p
}

func TestEditsOfPeopleAreAttributedAndTakenBack(t *testing.T) {
	for _, manager := range []string{"kubectl-edit", "kubectl-patch", "k9s", "Mozilla", "dashboard", "kubectl"} {
		t.Run(manager, func(t *testing.T) {
			l := newLab(t)
			d := desired(l.items("apps", web)...)
			l.apply(d)
			l.empty(d)
			l.edit(manager, deployments(), "web", gitops.Tree{"spec": gitops.Tree{"replicas": 5, "template": gitops.Tree{"spec": gitops.Tree{"containers": []any{
				gitops.Tree{"name": "web", "image": "web:evil", "args": []any{"a", "c"}},
			}}}}})
			l.edit(manager, configMaps(), "flags", gitops.Tree{"data": gitops.Tree{"beta": "off", "gamma": nil}})
			p := l.expect(d,
				`update ConfigMap flags: data.beta "off">"on" `+manager,
				`update ConfigMap flags: data.gamma null>"off"`,
				`update Deployment web: spec.replicas 5>3 `+manager,
				`update Deployment web: spec.template.spec.containers[web].args[1] "c">"b" `+manager,
				`update Deployment web: spec.template.spec.containers[web].image "web:evil">"web:1" `+manager,
			)
			for _, c := range p.Changes {
				if c.Action != plan.Wait && !c.Drift {
					t.Errorf("%s is not known as drift", c.Ref.Label())
				}
			}
			l.apply(d)
			l.empty(d)
			if got, _ := gitops.At(l.live(deployments(), "web").Object, "spec", "replicas"); got != int64(3) {
				t.Errorf("replicas are %v", got)
			}
		})
	}
}

func TestAdditionsOfPeopleAreTakenOut(t *testing.T) {
	l := newLab(t)
	d := desired(l.items("apps", web)...)
	l.apply(d)
	l.edit("kubectl-edit", deployments(), "web", gitops.Tree{
		"metadata": gitops.Tree{"annotations": gitops.Tree{"note": "hi"}, "labels": gitops.Tree{"x": "y"}},
		"spec": gitops.Tree{"template": gitops.Tree{"spec": gitops.Tree{"containers": []any{
			gitops.Tree{"name": "web", "env": []any{gitops.Tree{"name": "B", "value": "2"}}},
			gitops.Tree{"name": "spy", "image": "spy:1"},
		}}}},
	})
	l.edit("cert-manager", deployments(), "web", gitops.Tree{"metadata": gitops.Tree{"annotations": gitops.Tree{"controller": "stays"}}})
	p := l.plan(d)
	var paths []string
	for _, c := range p.Changes {
		for _, e := range c.Edits {
			paths = append(paths, e.Path)
			if e.Owner == nil || e.Owner.Manager != "kubectl-edit" {
				t.Errorf("%s is attributed to %+v", e.Path, e.Owner)
			}
			if e.After != nil {
				t.Errorf("%s becomes %v", e.Path, e.After)
			}
		}
	}
	want := []string{
		"metadata.annotations.note", "metadata.labels.x",
		"spec.template.spec.containers[web].env[B]", "spec.template.spec.containers[spy]",
	}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("edits (-want +got):\n%s", diff)
	}
	l.apply(d)
	l.empty(d)
	live := l.live(deployments(), "web")
	if live.GetAnnotations()["controller"] != "stays" || live.GetAnnotations()["team"] != "shop" {
		t.Errorf("annotations are %v", live.GetAnnotations())
	}
	for _, m := range managers(live) {
		if m.Manager == "kubectl-edit" {
			t.Errorf("kubectl-edit still owns %s", m.fields)
		}
	}
}

func TestRestartsOfPeopleStay(t *testing.T) {
	l := newLab(t)
	d := desired(l.items("apps", web)...)
	l.apply(d)
	l.edit("kubectl-rollout", deployments(), "web", gitops.Tree{"spec": gitops.Tree{"template": gitops.Tree{"metadata": gitops.Tree{"annotations": gitops.Tree{
		"kubectl.kubernetes.io/restartedAt": "2026-11-21T08:00:00Z",
	}}}}})
	l.empty(d)
}

func TestAutoscalersKeepTheirFields(t *testing.T) {
	l := newLab(t)
	d := desired(l.items("apps", web)...)
	l.apply(d)
	scale := func(manager string, n int) {
		body, _ := json.Marshal(gitops.Tree{"spec": gitops.Tree{"replicas": n}})
		if _, err := l.raw().client.Resource(deployments()).Namespace(l.id).Patch(t.Context(), "web", types.MergePatchType, body, metav1.PatchOptions{FieldManager: manager}, "scale"); err != nil {
			t.Fatal(err)
		}
	}
	scale("kube-controller-manager", 7)
	l.empty(d)
	o := l.observe(d)[d.Items[1].Ref]
	if want := []gitops.Skipped{{Path: "spec.replicas", Owner: "kube-controller-manager", Why: "set by an autoscaler through the scale subresource"}}; !cmp.Equal(want, o.Skipped) {
		t.Errorf("skipped: %+v", o.Skipped)
	}
	// Git changes something else: the autoscaler's value survives the apply.
	d.Items[1].Spec = gitops.Clone(d.Items[1].Spec)
	gitops.TreeAt(d.Items[1].Spec, "metadata", "annotations")["team"] = "other"
	p := l.expect(d, `update Deployment web: metadata.annotations.team "shop">"other"`, "skip web: spec.replicas kube-controller-manager")
	l.carry(p.Changes[slices.IndexFunc(p.Changes, func(c plan.Change) bool { return c.Ref.Kind == "Deployment" })])
	if got, _ := gitops.At(l.live(deployments(), "web").Object, "spec", "replicas"); got != int64(7) {
		t.Errorf("replicas are %v, the autoscaler had set 7", got)
	}
	l.empty(d)
	// A person scales: taken back.
	scale("kubectl", 9)
	l.expect(d, `update Deployment web: spec.replicas 9>3 kubectl`)
}

func TestFieldsOfUnknownManagersHold(t *testing.T) {
	l := newLab(t)
	d := desired(l.items("apps", web)...)
	l.apply(d)
	l.edit("some-operator", configMaps(), "flags", gitops.Tree{"data": gitops.Tree{"beta": "off"}})
	p := l.expect(d, `update ConfigMap flags: data.beta "off">"on" some-operator`, "hold flags: data.beta is owned by some-operator")
	c := p.Changes[0]
	err := l.Cluster.Apply(t.Context(), c)
	if e := gitops.AsError("", err); err == nil || e.Reason != gitops.ApplyConflict || !strings.Contains(e.Message(), "data.beta") {
		t.Errorf("applying what is held: %v", err)
	}
	c.Approved, c.Hold = &gitops.Position{File: "approvals/x.yaml"}, nil
	l.carry(c)
	l.empty(d)
	// A rule of the cluster's policy decides otherwise.
	l.edit("some-operator", configMaps(), "flags", gitops.Tree{"data": gitops.Tree{"beta": "off"}})
	l.rules = rulebook([]plan.Conflict{{Claim: plan.Claim{Managers: []string{"some-*"}, Fields: patterns(t, "data[*]")}, Ruling: plan.RulingLeave}})
	l.memo = newMemo()
	l.empty(d)
}

func TestOtherAppliersKeepTheirFields(t *testing.T) {
	l := newLab(t)
	d := desired(l.items("apps", web)...)
	l.apply(d)
	force := true
	body, _ := json.Marshal(gitops.Tree{"apiVersion": "v1", "kind": "ConfigMap", "metadata": gitops.Tree{"name": "flags"}, "data": gitops.Tree{"beta": "theirs"}})
	if _, err := l.raw().client.Resource(configMaps()).Namespace(l.id).Patch(t.Context(), "flags", types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: "other-tool", Force: &force}); err != nil {
		t.Fatal(err)
	}
	l.empty(d)
	if o := l.observe(d)[d.Items[2].Ref]; len(o.Skipped) != 1 || o.Skipped[0].Owner != "other-tool" {
		t.Errorf("skipped: %+v", o.Skipped)
	}
}

// A Deployment that `kubectl apply` made by client-side apply is adopted; what git does not have goes.
func TestClientSideApplyIsMigrated(t *testing.T) {
	l := newLab(t)
	d := desired(l.items("apps", web)...)
	raw := l.raw()
	for _, item := range d.Items {
		u := (&unstructured.Unstructured{Object: gitops.Clone(item.Spec)})
		k, _ := raw.catalog.kind(u.GroupVersionKind())
		if item.Ref.Kind == "ConfigMap" {
			gitops.TreeAt(u.Object, "data")["old"] = "from before"
			u.SetAnnotations(map[string]string{"kubectl.kubernetes.io/last-applied-configuration": `{"data":{"old":"from before"}}`})
		}
		if _, err := raw.resource(k, u.GetNamespace()).Create(t.Context(), u, metav1.CreateOptions{FieldManager: "kubectl-client-side-apply"}); err != nil {
			t.Fatal(err)
		}
	}
	p := l.plan(d)
	label := `metadata.labels["applyset.kubernetes.io/part-of"] null>"` + l.parentOf("apps").id() + `"`
	want := []string{
		`update ConfigMap flags: data.old "from before">null kubectl-client-side-apply`,
		`update ConfigMap flags: metadata.annotations {"kubectl.kubernetes.io/last-applied-configuration":"‹secret:7d173b38a8c87671›"}>null kubectl-client-side-apply`,
		`update ConfigMap flags: metadata.labels null>{"applyset.kubernetes.io/part-of":"` + l.parentOf("apps").id() + `"}`,
		`update Deployment web: metadata.labels null>{"applyset.kubernetes.io/part-of":"` + l.parentOf("apps").id() + `"}`,
		`update Namespace ` + l.id + `: ` + label,
	}
	got := said(p)
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	for ref, o := range l.observe(d) {
		if o.Owned {
			t.Errorf("%s is taken for ours before it is adopted", ref.Label())
		}
	}
	l.apply(d)
	l.empty(d)
	if data := gitops.StringsAt(l.live(configMaps(), "flags").Object, "data"); !cmp.Equal(data, map[string]string{"beta": "on", "gamma": "off"}) {
		t.Errorf("data is %v", data)
	}
	// From now on a field that git drops goes, too.
	d.Items[2].Spec = gitops.Clone(d.Items[2].Spec)
	delete(gitops.TreeAt(d.Items[2].Spec, "data"), "gamma")
	l.expect(d, `update ConfigMap flags: data.gamma "off">null`)
	l.apply(d)
	l.empty(d)
}

// What `kubectl create` booked as its own includes defaults that may not be unset (the class of a claim): such an object is
// adopted in place, not replaced.
func TestObjectsMadeByKubectlAreAdoptedInPlace(t *testing.T) {
	l := newLab(t)
	items := l.items("apps", corpus)
	d := desired(items...)
	for _, item := range items {
		if item.Ref.Kind == "Widget" || item.Ref.Kind == "CustomResourceDefinition" {
			continue
		}
		u := &unstructured.Unstructured{Object: gitops.Clone(item.Spec)}
		l.create("kubectl-create", u)
	}
	p := l.plan(d)
	for _, problem := range p.Problems {
		t.Errorf("problem: %v", problem)
	}
	for _, c := range p.Changes {
		if c.Ref.Kind == "Widget" || c.Ref.Kind == "CustomResourceDefinition" || c.Action == plan.Wait {
			continue
		}
		if c.Action != plan.Update || len(c.Edits) != 1 || !strings.HasPrefix(c.Edits[0].Path, "metadata.labels") {
			t.Errorf("%s %s: %+v", c.Action, c.Ref.Label(), c.Edits)
		}
	}
	l.apply(d)
	l.empty(d)
}

// That the server does not answer says nothing about the object: neither that what a person added stays nor that the types do not fit. It is
// an error, and forgotten as soon as the server answers.
func TestAnUnansweredQuestionIsNoAnswer(t *testing.T) {
	for name, trouble := range map[string]faults.Fate{
		"whether what a person added can go": func(r *http.Request) faults.Effect {
			if r.Method == http.MethodPut {
				return faults.Conflict
			}
			return faults.None
		},
		"the types": func(r *http.Request) faults.Effect {
			if strings.HasPrefix(r.URL.Path, "/openapi/v3/") {
				return faults.Expired
			}
			return faults.None
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, proxy := newLabBehind(t)
			d := desired(l.items("apps", twoMaps)...)
			l.apply(d)
			l.edit("kubectl-edit", configMaps(), "b", gitops.Tree{"metadata": gitops.Tree{"annotations": gitops.Tree{"person": "was here"}}})
			proxy.Decide(trouble)
			l.Cluster.Close() // nothing is known any more
			l.reasonAt(l.observe(d), d.Items[2].Ref, gitops.ObserveFailed, "")
			proxy.Decide(faults.Fine)
			l.expect(d, `update ConfigMap b: metadata.annotations {"person":"was here"}>null kubectl-edit`)
		})
	}
}
