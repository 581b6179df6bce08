package apply

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// webhook serves a mutating admission webhook and gives the configuration that an overlay holds for it. Patch is the JSON patch
// of an object.
func (l *lab) webhook(name, groups, resources string, patch func(object gitops.Tree) []gitops.Tree) gitops.Item {
	l.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review gitops.Tree
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer := gitops.Tree{"uid": gitops.StringAt(review, "request", "uid"), "allowed": true}
		if edits := patch(gitops.TreeAt(review, "request", "object")); len(edits) > 0 {
			answer["patchType"], answer["patch"] = "JSONPatch", base64.StdEncoding.EncodeToString(body(edits))
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body(gitops.Tree{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}))
	}))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	server.StartTLS()
	l.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate(server).Raw})
	item := l.items("hooks", `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: `+name+`-NS}
webhooks:
- name: `+name+`.NS.example
  admissionReviewVersions: [v1]
  sideEffects: None
  timeoutSeconds: 10
  clientConfig: {url: "`+server.URL+`"}
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NS}}
  rules: [{apiGroups: [`+groups+`], apiVersions: ["*"], operations: [CREATE, UPDATE], resources: [`+resources+`]}]
`)[0]
	client := gitops.TreeAt(gitops.ListAt(item.Spec, "webhooks")[0].(gitops.Tree), "clientConfig")
	client["caBundle"] = base64.StdEncoding.EncodeToString(ca)
	raw := l.raw()
	k, _ := raw.catalog.kind(gvkOf(item.Spec))
	l.Cleanup(func() { _ = raw.resource(k, "").Delete(l.background(), item.Ref.Name, deleteOptions()) })
	return item
}

func certificate(s *httptest.Server) *x509.Certificate { return s.Certificate() }

// What a webhook adds is the server's, like a default: the second diff is empty.
func TestWebhooksThatAdd(t *testing.T) {
	l := newLab(t)
	hook := l.webhook("add", `"", apps`, "configmaps, deployments", func(object gitops.Tree) []gitops.Tree {
		edits := []gitops.Tree{}
		if gitops.TreeAt(object, "metadata", "annotations") == nil {
			edits = append(edits, gitops.Tree{"op": "add", "path": "/metadata/annotations", "value": gitops.Tree{}})
		}
		edits = append(edits, gitops.Tree{"op": "add", "path": "/metadata/annotations/injected.example~1by", "value": "the-hook"})
		containers := gitops.ListAt(object, "spec", "template", "spec", "containers")
		if len(containers) == 1 {
			edits = append(edits, gitops.Tree{"op": "add", "path": "/spec/template/spec/containers/-", "value": gitops.Tree{"name": "sidecar", "image": "sidecar:1"}})
		}
		return edits
	})
	d := desired(append(l.items("apps", web), hook)...)
	l.apply(desired(d.Items[0], hook))
	l.injects()
	l.apply(d)
	live := l.live(deployments(), "web")
	if n := len(gitops.ListAt(live.Object, "spec", "template", "spec", "containers")); n != 2 || live.GetAnnotations()["injected.example/by"] != "the-hook" {
		t.Fatalf("the webhook did not run: %d containers, %v", n, live.GetAnnotations())
	}
	l.empty(d)
	l.empty(d)
	d.Items[1] = with(d.Items[1], int64(4), "spec", "replicas")
	l.expect(d, "update Deployment web: spec.replicas 3>4")
	l.apply(d)
	l.empty(d)
	l.edit("kubectl-edit", configMaps(), "flags", gitops.Tree{"data": gitops.Tree{"beta": "off"}})
	l.expect(d, `update ConfigMap flags: data.beta "off">"on" kubectl-edit`)
	l.apply(d)
	l.empty(d)
}

// injects waits until the API server calls the webhooks that it was told of.
func (l *lab) injects() {
	l.Helper()
	l.eventually("the webhook", func() (string, bool) {
		u := configMap(l.id, "probe-"+l.id, nil)
		u.SetName("probe")
		raw := l.raw()
		k, _ := raw.catalog.kind(u.GroupVersionKind())
		got, err := raw.resource(k, l.id).Create(l.Context(), u, dryCreate())
		if err != nil {
			return err.Error(), false
		}
		return text(got.Object), !same(got.Object["data"].(gitops.Tree), u.Object["data"].(gitops.Tree)) || len(got.GetAnnotations()) > 0
	})
}

// A webhook that sets a field of git's otherwise cannot be corrected: the plan shows what the server will make of it, nothing is tried
// again, and every plan notes the field, of what is unchanged, too.
func TestWebhooksThatInsist(t *testing.T) {
	l := newLab(t)
	hook := l.webhook("insist", `""`, "configmaps", func(object gitops.Tree) []gitops.Tree {
		if gitops.StringAt(object, "data", "beta") == "" && gitops.StringAt(object, "data", "k") == "" {
			return nil
		}
		return []gitops.Tree{{"op": "add", "path": "/data/beta", "value": "hooked"}}
	})
	d := desired(append(l.items("apps", web), hook)...)
	l.apply(desired(d.Items[0], hook))
	l.injects()
	c, _ := l.plan(d).Change(d.Items[2].Ref)
	if len(c.Edits) == 0 || text(c.Edits[0].After) != `{"beta":"hooked","gamma":"off"}` {
		t.Errorf("planned: %+v", c.Edits)
	}
	for _, ch := range l.plan(d).Changes {
		l.carry(ch)
	}
	l.overruled = []string{"flags: the API server stores data.beta otherwise than git says"}
	l.empty(d)
	version := l.live(configMaps(), "flags").GetResourceVersion()
	l.apply(d)
	l.empty(d)
	l.empty(d)
	if c, changes := l.plan(d).Change(d.Items[2].Ref); changes {
		t.Errorf("it does not count as unchanged: %+v", c)
	}
	if now := l.live(configMaps(), "flags").GetResourceVersion(); now != version {
		t.Error("it is written to again")
	}
	d.Items[2] = with(d.Items[2], "on", "data", "gamma")
	l.expect(d, `update ConfigMap flags: data.gamma "off">"on"`)
	l.apply(d)
	l.empty(d)
}

const ruled = `
apiVersion: v1
kind: Namespace
metadata: {name: NS}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ruled.NS.example}
spec:
  group: NS.example
  scope: Namespaced
  names: {plural: ruled, singular: rule, kind: Ruled, listKind: RuledList}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            x-kubernetes-validations: [{rule: "self.min <= self.max", message: min is above max}]
            properties:
              min: {type: integer, default: 0}
              max: {type: integer}
              class: {type: string, x-kubernetes-validations: [{rule: self == oldSelf, message: class is fixed}]}
---
apiVersion: NS.example/v1
kind: Ruled
metadata: {name: one, namespace: NS}
spec: {max: 3, class: a}
`

// Rules of a definition decide beforehand: what is never valid is an error, what only may not change is a replacement.
func TestRulesOfADefinition(t *testing.T) {
	l := newLab(t)
	d := desired(l.items("apps", ruled)...)
	first := l.apply(d)
	if c, _ := first.Change(d.Items[2].Ref); !c.Predicted {
		t.Error("what the server cannot know yet is not marked as predicted")
	}
	l.empty(d)
	one := d.Items[2]
	d.Items[2] = with(one, int64(9), "spec", "min")
	l.reasonAt(l.observe(d), one.Ref, gitops.ApplyInvalid, "spec: Invalid value: min is above max")
	d.Items[2] = with(one, "b", "spec", "class")
	p := l.expect(d, `replace Ruled one: spec.class "a">"b"`)
	if c, _ := p.Change(one.Ref); c.Why != "spec.class is immutable" || c.Risk != plan.Disruptive {
		t.Errorf("why: %s, risk %s", c.Why, c.Risk)
	}
	for _, c := range p.Changes {
		if c.Action == plan.Replace {
			l.carry(c)
		}
	}
	l.empty(d)
}

// Definitions over 256 KB cannot be kept by client-side apply, whose annotation may not be larger.
func TestLargeDefinitions(t *testing.T) {
	l := newLab(t)
	d := desired(l.items("apps", ruled)...)
	properties := gitops.Tree{}
	for i := range 800 {
		properties["field"+strings.Repeat("x", i%7)+text(i)] = gitops.Tree{"type": "string", "description": strings.Repeat("long words ", 35)}
	}
	version := gitops.ListAt(d.Items[1].Spec, "spec", "versions")[0].(gitops.Tree)
	gitops.TreeAt(version, "schema", "openAPIV3Schema", "properties")["status"] = gitops.Tree{"type": "object", "properties": properties}
	if n := len(text(d.Items[1].Spec)); n < 256<<10 {
		t.Fatalf("only %d bytes", n)
	}
	l.apply(d)
	l.empty(d)
	l.empty(d)
}

// Another controller writes the caBundle of webhooks and conversions that git leaves out.
func TestInjectedBundlesStay(t *testing.T) {
	l := newLab(t)
	d := desired(l.items("apps", corpus)...)
	l.apply(d)
	for _, item := range d.Items {
		if item.Ref.Kind != "ValidatingWebhookConfiguration" {
			continue
		}
		raw := l.raw()
		k, _ := raw.catalog.kind(gvkOf(item.Spec))
		live, err := raw.get(t.Context(), k, key{k.GroupKind(), "", item.Ref.Name})
		if err != nil {
			t.Fatal(err)
		}
		live = live.DeepCopy()
		gitops.TreeAt(gitops.ListAt(live.Object, "webhooks")[0].(gitops.Tree), "clientConfig")["caBundle"] = base64.StdEncoding.EncodeToString([]byte(bundle))
		if _, err := raw.resource(k, "").Update(t.Context(), &unstructured.Unstructured{Object: live.Object}, injectorUpdate()); err != nil {
			t.Fatal(err)
		}
	}
	l.empty(d)
	l.empty(d)
}

// bundle is a certificate, as an injector writes it.
var bundle = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate(httptest.NewTLSServer(nil)).Raw}))

func deleteOptions() metav1.DeleteOptions { return metav1.DeleteOptions{} }
func dryCreate() metav1.CreateOptions {
	return metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldManager: "probe"}
}
func injectorUpdate() metav1.UpdateOptions {
	return metav1.UpdateOptions{FieldManager: "cert-manager-cainjector"}
}
