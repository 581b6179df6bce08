package apply

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

const refusing = `
apiVersion: v1
kind: Namespace
metadata: {name: NS, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: none, namespace: NS}
spec: {hard: {services: "0"}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: NS-no-leases}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [coordination.k8s.io], apiVersions: [v1], operations: [CREATE], resources: [leases]}]}
  validations: [{expression: "false", message: leases are not for overlays, reason: Forbidden}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: NS-no-leases}
spec: {policyName: NS-no-leases, validationActions: [Deny], matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NS}}}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: NS}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: root, namespace: NS}
spec: {containers: [{name: root, image: "root:1", securityContext: {privileged: true}}]}
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: mine, namespace: NS}
spec: {holderIdentity: git}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: grants, namespace: NS}
rules: [{apiGroups: [""], resources: [secrets], verbs: [delete]}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: flags, namespace: NS}
data: {a: b}
`

// Four kinds of no, told apart: each by what the server really answers.
func TestRefusalsAreToldApart(t *testing.T) {
	l := newLab(t)
	items := l.items("apps", refusing)
	l.apply(desired(items[:4]...))
	want := map[string]struct {
		reason gitops.Reason
		says   string
	}{
		"Service": {gitops.QuotaExceeded, "quota: none"},
		"Pod":     {gitops.PodSecurityDenied, "privileged"},
		"Lease":   {gitops.AdmissionDenied, "leases are not for overlays"},
	}
	d := desired(items...)
	// Quotas and policies come into force a moment after they are stored.
	l.eventually("the refusals", func() (string, bool) {
		o, missing := l.observe(d), []string{}
		for _, item := range items[4:7] {
			w := want[item.Ref.Kind]
			if e := o[item.Ref].Err; e == nil || e.Reason != w.reason || !strings.Contains(e.Message(), w.says) {
				missing = append(missing, fmt.Sprintf("%s: %v", item.Ref.Label(), e))
			}
		}
		return strings.Join(missing, "\n"), len(missing) == 0
	})
	// The real apply says the same.
	for _, item := range items[4:7] {
		err := l.Cluster.Apply(t.Context(), plan.Change{Ref: item.Ref, Action: plan.Create, Spec: item.Spec, From: item.From})
		if e := gitops.AsError("", err); err == nil || e.Reason != want[item.Ref.Kind].reason {
			t.Errorf("applying %s: %v", item.Ref.Label(), err)
		}
	}
	if o := l.observe(d); o[items[7].Ref].Err != nil || o[items[8].Ref].Err != nil {
		t.Errorf("innocent objects: %v, %v", o[items[7].Ref].Err, o[items[8].Ref].Err)
	}
	// An identity that may read everything and write Roles and Leases: what it may not write is a matter of permission, and
	// so is to grant what it does not have.
	l.as("reader", `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NS-reader}
rules:
- {apiGroups: ["*"], resources: ["*"], verbs: [get, list, watch]}
- {apiGroups: [rbac.authorization.k8s.io, coordination.k8s.io], resources: [roles, leases], verbs: [create, patch]}
`)
	o := l.observe(d)
	l.reasonAt(o, items[8].Ref, gitops.AccessDenied, `cannot patch resource "configmaps"`)
	l.reasonAt(o, items[5].Ref, gitops.AccessDenied, `cannot patch resource "pods"`)
	l.reasonAt(o, items[6].Ref, gitops.AdmissionDenied, "leases are not for overlays")
	l.reasonAt(o, items[7].Ref, gitops.AccessDenied, "is attempting to grant RBAC permissions not currently held")
}

// as makes the lab go on as a service account that has one ClusterRole.
func (l *lab) as(name, role string) {
	l.Helper()
	u := &unstructured.Unstructured{Object: l.items("", role)[0].Spec}
	l.create("test", u)
	account := &unstructured.Unstructured{Object: gitops.Tree{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": gitops.Tree{"name": name, "namespace": l.id}}}
	l.create("test", account)
	l.create("test", &unstructured.Unstructured{Object: gitops.Tree{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": gitops.Tree{"name": l.id + "-" + name},
		"roleRef":  gitops.Tree{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": u.GetName()},
		"subjects": []any{gitops.Tree{"kind": "ServiceAccount", "name": name, "namespace": l.id}},
	}})
	request := &unstructured.Unstructured{Object: gitops.Tree{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": gitops.Tree{"name": name}, "spec": gitops.Tree{"expirationSeconds": int64(3600)}}}
	answer, err := l.raw().client.Resource(accounts()).Namespace(l.id).Create(l.Context(), request, metav1.CreateOptions{}, "token")
	if err != nil {
		l.Fatal(err)
	}
	token := gitops.StringAt(answer.Object, "status", "token")
	config, err := l.access.config()
	if err != nil {
		l.Fatal(err)
	}
	ca := config.CAData
	if len(ca) == 0 {
		if ca, err = os.ReadFile(config.CAFile); err != nil {
			l.Fatal(err)
		}
	}
	o := l.Options
	o.Access = func(context.Context) (Access, error) {
		return Access{Server: config.Host, CA: ca, Token: func(context.Context) (string, error) { return token, nil }}, nil
	}
	l.Close()
	l.Cluster = New(o)
	l.Cleanup(l.Cluster.Close)
	// The authorizer learns of a role a moment after it is stored.
	l.eventually("the role", func() (string, bool) {
		_, err := l.Observe(l.Context(), gitops.Desired{}, nil)
		return fmt.Sprint(err), err == nil
	})
}

// What git wants and what is being deleted is waited for: no writes, no "ready", and made anew when it is gone.
func TestWhatIsBeingDeletedIsWaitedFor(t *testing.T) {
	l := newLab(t)
	d := desired(l.items("apps", web)...)
	l.apply(d)
	d.Items[2] = with(d.Items[2], "new", "data", "beta")
	ref := d.Items[2].Ref
	late := l.expect(d, `update ConfigMap flags: data.beta "on">"new"`).Changes[0]
	l.edit("some-controller", configMaps(), "flags", gitops.Tree{"metadata": gitops.Tree{"finalizers": []any{"example.com/keep"}}})
	before := time.Now().Add(-2 * time.Second)
	if err := l.raw().client.Resource(configMaps()).Namespace(l.id).Delete(t.Context(), "flags", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	version := l.live(configMaps(), "flags").GetResourceVersion()
	err := l.Cluster.Apply(t.Context(), late)
	if e := gitops.AsError("", err); err == nil || e.Reason != gitops.BeingDeleted || !strings.Contains(e.Message(), "example.com/keep") {
		t.Errorf("applying what was planned before: %v", err)
	}
	for range 2 {
		p := l.plan(d)
		c, ok := p.Change(ref)
		if !ok || c.Action != plan.Wait || len(c.Edits) > 0 || len(p.Problems) > 0 {
			t.Fatalf("planned: %+v, %v", c, p.Problems)
		}
		since, rest, _ := strings.Cut(strings.TrimPrefix(c.Why, "terminating: being deleted since "), ",")
		if at, err := time.Parse(time.RFC3339, since); err != nil || at.Before(before) || at.After(time.Now()) || rest != " waits for the finalizers example.com/keep (of some-controller)" {
			t.Errorf("why: %s", c.Why)
		}
		if err := l.Cluster.Apply(t.Context(), c); err != nil {
			t.Error(err)
		}
		if h, err := l.Ready(t.Context(), ref); err != nil || h.Status != gitops.Terminating || h.Step {
			t.Errorf("health: %+v %v", h, err)
		}
	}
	if now := l.live(configMaps(), "flags").GetResourceVersion(); now != version {
		t.Error("it was written to")
	}
	l.edit("some-controller", configMaps(), "flags", gitops.Tree{"metadata": gitops.Tree{"finalizers": nil}})
	if h, err := l.Ready(t.Context(), ref); err != nil || h.Status != gitops.Absent {
		t.Errorf("health when it is gone: %+v %v", h, err)
	}
	if c, _ := l.plan(d).Change(ref); c.Action != plan.Create {
		t.Errorf("planned when it is gone: %+v", c)
	}
	l.apply(d)
	l.empty(d)
	if data := gitops.StringsAt(l.live(configMaps(), "flags").Object, "data"); data["beta"] != "new" {
		t.Errorf("made anew: %v", data)
	}
}

// The same of a whole namespace: what was in it comes back when the namespace does.
func TestANamespaceThatIsBeingDeletedIsWaitedFor(t *testing.T) {
	l := newLab(t)
	d := desired(l.items("apps", web)...)
	l.apply(d)
	l.edit("some-controller", configMaps(), "flags", gitops.Tree{"metadata": gitops.Tree{"finalizers": []any{"example.com/keep"}}})
	if err := l.raw().client.Resource(gvr("", "v1", "namespaces")).Delete(t.Context(), l.id, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	l.eventually("the end of the Deployment", func() (string, bool) {
		p := l.plan(d)
		namespace, _ := p.Change(d.Items[0].Ref)
		kept, _ := p.Change(d.Items[2].Ref)
		lost, _ := p.Change(d.Items[1].Ref)
		waits := namespace.Action == plan.Wait && strings.Contains(namespace.Why, "example.com/keep in 1 resource instances")
		return strings.Join([]string{namespace.Why, string(kept.Action), string(lost.Action), fmt.Sprint(p.Problems)}, "\n"),
			waits && kept.Action == plan.Wait && lost.Action == plan.Create && lost.Predicted && len(p.Problems) == 0
	})
	l.edit("some-controller", configMaps(), "flags", gitops.Tree{"metadata": gitops.Tree{"finalizers": nil}})
	// What the namespace controller does when it finds the namespace empty; here it would also wait for the API groups of other
	// tests.
	namespaces := l.raw().client.Resource(gvr("", "v1", "namespaces"))
	l.eventually("the end of the namespace", func() (string, bool) {
		ns, err := namespaces.Get(t.Context(), l.id, metav1.GetOptions{})
		if err == nil {
			unstructured.RemoveNestedField(ns.Object, "spec", "finalizers")
			_, err = namespaces.Update(t.Context(), ns, metav1.UpdateOptions{}, "finalize")
		}
		h, bad := l.Ready(t.Context(), d.Items[0].Ref)
		return fmt.Sprint(h, err, bad), h.Status == gitops.Absent
	})
	l.apply(d)
	l.empty(d)
}
