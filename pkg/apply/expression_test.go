package apply

import (
	"encoding/json"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

func TestExpressionsThatDoNotCompile(t *testing.T) {
	for _, c := range []struct {
		name, text, want string
		check            func(string) error
	}{
		{"unknown name", "objct.status.phase == 'Up'", "column 1: undeclared reference to 'objct' (in container '')", Condition},
		{"syntax", "object.status.", "column 15: Syntax error", Condition},
		{"second line", "object.status.phase == 'Up' &&\nobjct.x", "line 2, column 1: undeclared reference", Condition},
		{"no condition", "'yes'", "it yields string, not bool", Condition},
		{"no text", "1 + 2", "it yields int, not string", Message},
		{"words without quotes", "still baking", "column 7: Syntax error", Message},
	} {
		if err := c.check(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	for _, text := range []string{"true", "object.status.phase == 'Up'", "object.?status.?phase.orValue('') == 'Up'", "object.status.conditions.exists(c, c.type == 'Ready')"} {
		if err := Condition(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestHealthRules(t *testing.T) {
	c := New(Options{Rules: plan.Rules{Health: []plan.HealthRule{
		{
			Group: "x.example", Kind: "Thing", Ready: "object.status.phase == 'Up' && object.status.count >= 2", Failed: "object.status.phase == 'Down'",
			Message: "'phase ' + object.status.phase", From: gitops.Position{File: "reconcile.yaml", Line: 3},
		},
		{Group: "apps", Kind: "Deployment", Ready: "object.status.readyReplicas >= 1"},
		{Kind: "ConfigMap", Ready: "object.data.ok", From: gitops.Position{File: "reconcile.yaml", Line: 9}},
		{Kind: "Service", Ready: "[1, 2, 3].all(a, range.exists(b, a == b))"},
	}}})
	for _, tc := range []struct {
		name, object string
		want         gitops.Health
	}{
		{"ready", `{apiVersion: x.example/v1, kind: Thing, status: {phase: Up, count: 2}}`, gitops.Health{Status: gitops.Ready}},
		{"progressing", `{apiVersion: x.example/v1, kind: Thing, status: {phase: Up, count: 1}}`, gitops.Health{Status: gitops.Progressing, Message: "phase Up"}},
		{"failed", `{apiVersion: x.example/v1, kind: Thing, status: {phase: Down}}`, gitops.Health{Status: gitops.Failed, Message: "phase Down"}},
		{"no status yet", `{apiVersion: x.example/v1, kind: Thing}`, gitops.Health{Status: gitops.Progressing, Message: "the health rule at reconcile.yaml:3 cannot tell yet: no such key: status"}},
		{"old status", `{apiVersion: x.example/v1, kind: Thing, metadata: {generation: 3}, status: {phase: Up, count: 2, observedGeneration: 2}}`, gitops.Health{Status: gitops.Progressing, Message: "generation is 3, its controller has seen 2"}},
		{"being deleted", `{apiVersion: x.example/v1, kind: Thing, metadata: {deletionTimestamp: "2026-11-21T08:00:00Z"}, status: {phase: Up, count: 2}}`, gitops.Health{Status: gitops.Terminating, Message: "being deleted since 2026-11-21T08:00:00Z"}},
		{"instead of the built-in knowledge", `{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 3}, status: {readyReplicas: 1}}`, gitops.Health{Status: gitops.Ready}},
		{"no truth", `{apiVersion: v1, kind: ConfigMap, data: {ok: "yes"}}`, gitops.Health{Status: gitops.Progressing, Message: "the health rule at reconcile.yaml:9 cannot tell yet: it yields string, not true or false"}},
		{"no rule", `{apiVersion: x.example/v1, kind: Other, status: {conditions: [{type: Ready, status: "False", message: still baking}]}}`, gitops.Health{Status: gitops.Progressing, Message: "still baking"}},
		{"a rule that does not compile", `{apiVersion: v1, kind: Service}`, gitops.Health{Status: gitops.Unknown, Message: "the health rule at  does not compile: column 18: undeclared reference to 'range' (in container '')"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := c.assess(parse(t, tc.object)); got != tc.want {
				t.Errorf("got %+v\nwant %+v", got, tc.want)
			}
		})
	}
}

// An expression that would run for ever is cut off and decides nothing.
func TestExpressionsAreBounded(t *testing.T) {
	loop := "object.l.all(a, object.l.all(b, object.l.all(c, object.l.all(d, object.l.all(e, a + b + c + d + e > 0)))))"
	c := New(Options{Rules: plan.Rules{Health: []plan.HealthRule{{Kind: "ConfigMap", Ready: loop}}}})
	u := parse(t, `{apiVersion: v1, kind: ConfigMap, l: [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}`)
	if h := c.assess(u); h.Status != gitops.Progressing || !strings.Contains(h.Message, "cost limit") {
		t.Errorf("%+v", h)
	}
}

const oven = `
apiVersion: v1
kind: Namespace
metadata: {name: NS}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ovens.NS.example}
spec:
  group: NS.example
  scope: Namespaced
  names: {plural: ovens, singular: oven, kind: Oven}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, x-kubernetes-preserve-unknown-fields: true}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
---
apiVersion: NS.example/v1
kind: Oven
metadata: {name: bread, namespace: NS}
spec: {degrees: 220}
`

func TestHealthRulesOfACustomResource(t *testing.T) {
	l := newLab(t)
	l.rule(plan.Rules{Health: []plan.HealthRule{{
		Group: l.id + ".example", Kind: "Oven", Ready: "object.status.degrees >= object.spec.degrees", Failed: "object.status.?broken.orValue(false)",
		Message: "string(object.status.degrees) + ' degrees'",
	}}})
	d := desired(l.items("apps", oven)...)
	l.apply(d)
	ref := d.Items[2].Ref
	report := func(status gitops.Tree) gitops.Health {
		t.Helper()
		body, err := json.Marshal(gitops.Tree{"status": status})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.raw().client.Resource(gvr(l.id+".example", "v1", "ovens")).Namespace(l.id).Patch(t.Context(), "bread", types.MergePatchType, body, metav1.PatchOptions{FieldManager: "oven-controller"}, "status"); err != nil {
			t.Fatal(err)
		}
		h, err := l.Ready(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	if o := l.observe(d)[ref]; o.Progress == nil || o.Progress.Status != gitops.Progressing {
		t.Errorf("before any status: %+v", o.Progress)
	}
	if h := report(gitops.Tree{"degrees": 100}); h != (gitops.Health{Status: gitops.Progressing, Message: "100 degrees"}) {
		t.Errorf("warming up: %+v", h)
	}
	if h := report(gitops.Tree{"broken": true}); h != (gitops.Health{Status: gitops.Failed, Message: "100 degrees"}) {
		t.Errorf("broken: %+v", h)
	}
	if o := l.observe(d)[ref]; o.Progress == nil || o.Progress.Status != gitops.Failed {
		t.Errorf("observed as %+v", o.Progress)
	}
	if h := report(gitops.Tree{"broken": false, "degrees": 220}); h != (gitops.Health{Status: gitops.Ready}) {
		t.Errorf("hot: %+v", h)
	}
	l.empty(d)
}
