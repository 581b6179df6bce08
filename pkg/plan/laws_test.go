package plan_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
	"github.com/eks-gitops/reconciler/pkg/view"
)

// canary is a secret value: it must be found nowhere.
const canary = "canary-5f3e"

var encoded = base64.StdEncoding.EncodeToString([]byte(canary))

// kinds are what worlds are made of; objects of them name each other freely, so that circles occur.
var kinds = []struct{ domain, group, kind string }{
	{"eks", "", "Cluster"}, {"eks", "", "Nodegroup"}, {"eks", "", "ServiceAccount"},
	{"k8s", "", "Namespace"}, {"k8s", "", "ConfigMap"}, {"k8s", "", "Secret"}, {"k8s", "", "Service"}, {"k8s", "", "ServiceAccount"},
	{"k8s", "apps", "Deployment"}, {"k8s", "rbac.authorization.k8s.io", "ClusterRoleBinding"},
	{"k8s", "apiextensions.k8s.io", "CustomResourceDefinition"}, {"k8s", "example.com", "Widget"},
	{"k8s", "admissionregistration.k8s.io", "ValidatingWebhookConfiguration"},
}

func drawRef(t *rapid.T) gitops.Ref {
	k := rapid.SampledFrom(kinds).Draw(t, "kind")
	name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name")
	r := gitops.Ref{Domain: gitops.Domain(k.domain), Group: k.group, Kind: k.kind, Namespace: "a", Name: name}
	switch {
	case r.Domain == gitops.EKS && r.Kind == "ServiceAccount":
		r.Name = "a/" + name
	case slices.Contains([]string{"Namespace", "ClusterRoleBinding", "CustomResourceDefinition", "ValidatingWebhookConfiguration"}, r.Kind):
		r.Namespace = ""
	}
	return r
}

// drawSpec is an object that may name others of the world.
func drawSpec(t *rapid.T, r gitops.Ref) gitops.Tree {
	some := func(label string) string { return rapid.SampledFrom([]string{"a", "b"}).Draw(t, label) }
	meta := gitops.Tree{"name": r.Name}
	if rapid.IntRange(0, 9).Draw(t, "annotated") == 0 {
		meta["annotations"] = gitops.Tree{
			"config.kubernetes.io/depends-on":                  "/namespaces/a/ConfigMap/" + some("dependency"),
			"kubectl.kubernetes.io/last-applied-configuration": canary,
		}
	}
	out := gitops.Tree{"metadata": meta, "size": rapid.IntRange(0, 3).Draw(t, "size")}
	switch r.Kind {
	case "Secret":
		out["data"] = gitops.Tree{"password": encoded, "x": encoded + some("value")}
		out["stringData"] = gitops.Tree{"plain": canary + some("plain")}
	case "Deployment":
		out["spec"] = gitops.Tree{"replicas": rapid.IntRange(0, 3).Draw(t, "replicas"), "template": gitops.Tree{
			"metadata": gitops.Tree{"labels": gitops.Tree{"app": some("label")}},
			"spec": gitops.Tree{"serviceAccountName": some("account"), "volumes": []any{
				gitops.Tree{"name": "v", "configMap": gitops.Tree{"name": some("volume")}}, gitops.Tree{"name": "w", "secret": gitops.Tree{"secretName": some("secret")}},
			}},
		}}
	case "Service":
		out["spec"] = gitops.Tree{"selector": gitops.Tree{"app": some("selector")}}
	case "ClusterRoleBinding":
		out["subjects"] = []any{gitops.Tree{"kind": "ServiceAccount", "namespace": "a", "name": some("subject")}}
	case "CustomResourceDefinition":
		out["spec"] = gitops.Tree{"group": "example.com", "names": gitops.Tree{"kind": "Widget", "plural": "widgets"}}
	case "ValidatingWebhookConfiguration":
		out["webhooks"] = []any{gitops.Tree{
			"clientConfig": gitops.Tree{"service": gitops.Tree{"namespace": "a", "name": some("backend")}},
			"rules":        []any{gitops.Tree{"apiGroups": []any{"", "example.com"}, "resources": []any{"services", "widgets", "configmaps"}, "operations": []any{"CREATE"}}},
		}}
	}
	return out
}

// fill puts secrets where no kind says that there are any: they came out of an encrypted file.
func fill(t *rapid.T, into gitops.Tree) {
	some := func() string { return canary + rapid.SampledFrom([]string{"-a", "-b"}).Draw(t, "hidden") }
	into["hidden"] = gitops.Tree{"a.b/c": some(), "list": []any{gitops.Tree{"name": "n", "value": some()}, gitops.Tree{"name": some(), "value": "seen"}}}
	if rapid.Bool().Draw(t, "another shape") {
		into["hidden"] = gitops.Tree{"a.b/c": gitops.Tree{some(): some()}, "list": some()}
	}
}

// filled is where fill puts them.
func filled() []string {
	return []string{`hidden["a.b/c"]`, "hidden.list[*].name", "hidden.list[*].value"}
}

// drawInput is a world: some of it wanted, some live, some in trouble.
func drawInput(t *rapid.T, trouble bool) plan.Input {
	in := plan.Input{
		Desired:  gitops.Desired{Cluster: "c", Overlays: []gitops.Overlay{{Name: "a", Complete: true}, {Name: "b", Complete: true}}},
		Observed: gitops.Observed{}, Inventory: gitops.Inventory{}, Redactor: gitops.Redactor{Key: []byte("k")},
	}
	if rapid.IntRange(0, 3).Draw(t, "ordered") == 0 {
		in.DependsOn = []plan.Dependence{{Overlay: "b", On: []string{"a"}, From: gitops.Position{File: "clusters/c/reconcile.yaml", Line: 1}}}
	}
	for range rapid.IntRange(0, 14).Draw(t, "things") {
		ref := drawRef(t)
		if _, ok := in.Observed[ref]; ok {
			continue
		}
		overlay := rapid.SampledFrom([]string{"a", "b", "gone"}).Draw(t, "overlay")
		o := gitops.Observation{Owned: true, Overlay: overlay}
		encrypted := rapid.IntRange(0, 2).Draw(t, "encrypted") == 0
		still := encrypted && rapid.Bool().Draw(t, "still encrypted")
		if rapid.Bool().Draw(t, "live") {
			o.Live = drawSpec(t, ref)
			if encrypted {
				fill(t, o.Live)
				in.Inventory[ref] = gitops.Entry{Overlay: overlay, Secrets: filled()}
			}
		}
		if overlay != "gone" && rapid.Bool().Draw(t, "wanted") {
			o.Next = drawSpec(t, ref)
			if still {
				fill(t, o.Next)
			}
			if o.Live != nil && rapid.Bool().Draw(t, "equal") {
				o.Live = gitops.Clone(o.Next)
			}
			o.Spec, o.From = o.Next, gitops.Origin{Position: gitops.Position{File: overlay + "/x.yaml", Line: 1}, Overlay: overlay}
			if still {
				o.From.Secrets = filled()
			}
			if ref.Domain == gitops.K8s {
				in.Desired.Items = append(in.Desired.Items, gitops.Item{Ref: ref, Spec: o.Spec, From: o.From})
			}
			if rapid.Bool().Draw(t, "applied before") {
				in.Inventory[ref] = gitops.Entry{Spec: gitops.DigestOf(o.Spec), Overlay: overlay, Secrets: in.Inventory[ref].Secrets}
			}
		}
		if o.Live != nil && rapid.IntRange(0, 3).Draw(t, "progress") == 0 {
			o.Progress = &gitops.Health{Status: gitops.Progressing, Message: "on its way" + gitops.StringAt(o.Live, "hidden", "a.b/c")}
			if len(o.Replace) == 0 && o.Next != nil && encrypted {
				o.Replace = []string{"cannot become " + gitops.StringAt(o.Next, "hidden", "a.b/c")}
			}
		}
		if rapid.IntRange(0, 3).Draw(t, "needs") == 0 {
			o.Needs = []gitops.Ref{drawRef(t)}
		}
		if trouble && rapid.IntRange(0, 4).Draw(t, "trouble") == 0 {
			o.Err = gitops.Errorf(gitops.ObserveFailed, "it cannot be read")
		}
		in.Observed[ref] = o
	}
	if trouble && rapid.Bool().Draw(t, "broken") {
		in.Desired.Overlays[1].Complete = false
		e := gitops.Errorf(gitops.RenderFailed, "broken")
		e.From.Overlay = "b"
		in.Desired.Problems = append(in.Desired.Problems, e)
	}
	return in
}

func asJSON(t interface{ Fatal(...any) }, v any) string {
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// Law 1: the same inputs give the same plan, in whatever order they come.
func TestLawDeterminism(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t, true)
		first := plan.Build(in, plan.HoldDestructive(nil), plan.PruneBudget(0.5, 3, nil))
		items := slices.Clone(in.Desired.Items)
		rand.New(rand.NewSource(int64(len(items)))).Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
		slices.Reverse(in.Desired.Overlays)
		in.Desired.Items = items
		second := plan.Build(in, plan.HoldDestructive(nil), plan.PruneBudget(0.5, 3, nil))
		if first.ID != second.ID {
			t.Fatalf("ids %s and %s", first.ID, second.ID)
		}
		if diff := cmp.Diff(asJSON(t, first), asJSON(t, second)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// Law 3: once a plan is carried out there is nothing left to plan.
func TestLawConvergence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t, false)
		p := plan.Build(in)
		for _, c := range p.Changes {
			o := in.Observed[c.Ref]
			o.Live, o.Progress = o.Next, nil
			in.Observed[c.Ref] = o
		}
		if again := plan.Build(in); len(again.Changes) > 0 {
			t.Fatalf("second plan: %s", order(again))
		}
	})
}

// Law 4: unknown is not absent.
func TestLawUnknownIsNotAbsent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t, true)
		p := plan.Build(in)
		unknown := map[gitops.Domain]bool{}
		for ref, o := range in.Observed {
			unknown[ref.Domain] = unknown[ref.Domain] || o.Err != nil
		}
		broken := !in.Desired.Overlays[1].Complete
		if (unknown[gitops.EKS] || unknown[gitops.K8s] || broken) == p.Complete {
			t.Fatalf("complete is %v", p.Complete)
		}
		for _, c := range p.Changes {
			if c.Action != plan.Delete {
				continue
			}
			if unknown[c.Ref.Domain] {
				t.Fatalf("%s is deleted though something in its domain is unknown", c.Ref)
			}
			if broken && c.Ref.Domain == gitops.K8s && (c.From.Overlay == "b" || c.Hold == nil) {
				t.Fatalf("%s of overlay %s goes though overlay b cannot be rendered", c.Ref, c.From.Overlay)
			}
		}
	})
}

// Law 5, the plan's part: whatever is ours, live and not wanted is planned to go, whether the inventory knows it or not,
// until it is gone; and nothing that is not ours ever is.
func TestLawDeletesAreNotForgotten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t, false)
		foreign := map[gitops.Ref]bool{}
		for ref, o := range in.Observed {
			if o.Next == nil && rapid.Bool().Draw(t, "foreign") {
				o.Owned, foreign[ref] = false, true
				in.Observed[ref] = o
			}
		}
		full := map[string]bool{"gone": true}
		for _, item := range in.Desired.Items {
			full[item.From.Overlay] = true
		}
		p := plan.Build(in)
		for ref, o := range in.Observed {
			c, ok := p.Change(ref)
			deleted := ok && c.Action == plan.Delete
			if want := o.Live != nil && o.Next == nil && !foreign[ref]; deleted != want {
				t.Fatalf("%s: deleted %v, want %v", ref, deleted, want)
			}
			if deleted && c.Hold == nil && !full[o.Overlay] {
				t.Fatalf("%s of the empty overlay %s is not held", ref, o.Overlay)
			}
		}
	})
}

// Law 6: a secret appears on no surface.
func TestLawSilence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := plan.Build(drawInput(t, true), plan.HoldDestructive(nil))
		r := run.Record{ID: 1, Cluster: "c", Plan: p, Outcome: run.Failed}
		for _, c := range p.Changes {
			r.Results = append(r.Results, run.Result{Change: c.ID, Ref: c.Ref, State: run.Broken, Error: gitops.Errorf(gitops.ApplyFailed, "no")})
		}
		for _, f := range []view.Format{view.Text, view.JSON, view.YAML, view.Markdown} {
			for _, verbose := range []bool{false, true} {
				o := view.Options{Verbose: verbose, Now: testNow}
				plans, err1 := view.Plans(f, o, p)
				record, err2 := view.Record(f, o, r)
				history, err3 := view.History(f, o, false, []run.Record{r})
				compared, err4 := view.Compare(f, o, run.Compare([]run.Record{r}, run.Record{}, r))
				if err := errors.Join(err1, err2, err3, err4); err != nil {
					t.Fatal(err)
				}
				silent(t, string(f), plans, record, history, compared)
			}
		}
		for _, e := range []run.Event{run.Planned{Plan: p}, run.Finished{Record: r}} {
			line, err := run.EncodeEvent(e)
			if err != nil {
				t.Fatal(err)
			}
			silent(t, "event", line)
		}
		for _, c := range p.Changes {
			silent(t, "change", []byte(asJSON(t, c)), []byte(fmt.Sprintf("%v", c.Edits)))
		}
	})
}

func silent(t *rapid.T, where string, bodies ...[]byte) {
	for _, body := range bodies {
		if strings.Contains(string(body), canary) || strings.Contains(string(body), encoded) {
			t.Fatalf("%s tells a secret: %s", where, body)
		}
	}
}

// The graph: needs are in the plan and come first, except in circles, which are held.
func TestNeedsComeFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t, true)
		full := plan.Build(in)
		part := plan.Build(in, plan.OnlyDomain(rapid.SampledFrom([]gitops.Domain{gitops.K8s, gitops.EKS}).Draw(t, "domain")))
		for _, p := range []plan.Plan{full, part} {
			at := map[gitops.Ref]int{}
			for i, c := range p.Changes {
				at[c.Ref] = i
			}
			gates := map[gitops.Ref][]gitops.Ref{}
			for _, g := range p.Gates {
				gates[g.Ref] = g.Needs
			}
			for i, c := range p.Changes {
				var needs []gitops.Ref
				for _, need := range c.Needs {
					if through, ok := gates[need]; ok {
						needs = append(needs, through...)
					} else {
						needs = append(needs, need)
					}
				}
				for _, need := range needs {
					j, ok := at[need]
					// Where only one change of a circle is in the plan, it leads back to it through a gate.
					if !ok || need == c.Ref && (!held(c) || slices.Contains(c.Needs, need)) {
						t.Fatalf("%s needs %s, which is not another change of the plan", c.Ref, need)
					}
					circular := held(c) && held(p.Changes[j])
					if j > i && !circular {
						t.Fatalf("%s comes before %s, which it needs:\n%s\nin all:\n%s", c.Ref, need, order(p), order(full))
					}
				}
			}
		}
	})
}

func held(c plan.Change) bool { return c.Hold != nil && c.Hold.Reason == gitops.Cycle }

// Documents: what is written is read back as it was, apart from what is never written.
func TestPlanRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := plan.Build(drawInput(t, true), plan.HoldDestructive(nil))
		var back plan.Plan
		first := asJSON(t, p)
		if err := json.Unmarshal([]byte(first), &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, asJSON(t, back)); diff != "" {
			t.Fatal(diff)
		}
		if back.ID != p.ID || len(back.Changes) != len(p.Changes) || back.Unchanged != p.Unchanged || back.Complete != p.Complete {
			t.Fatal("the plan that came back differs")
		}
	})
}

// What an observer calls settled makes no other plan than looking at it again would.
func TestSettledIsUnchanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t, true)
		whole := asJSON(t, plan.Build(in))
		for ref, o := range in.Observed {
			if o.Err == nil && o.Progress == nil && o.Live != nil && cmp.Equal(o.Live, o.Next) && len(o.Conflicts) == 0 {
				in.Observed[ref] = gitops.Observation{Settled: true, Owned: true, Overlay: o.Overlay, From: o.From, Spec: o.Spec}
			}
		}
		if diff := cmp.Diff(whole, asJSON(t, plan.Build(in))); diff != "" {
			t.Fatal(diff)
		}
	})
}
