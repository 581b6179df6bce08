package apply

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eks-gitops/reconciler/pkg/apply/jq"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

func patterns(t *testing.T, texts ...string) []plan.Pattern {
	t.Helper()
	out := make([]plan.Pattern, 0, len(texts))
	for _, text := range texts {
		p, err := plan.ParsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// rule gives the lab the rules of a reconcile.yaml, as the next commit of it would.
func (l *lab) rule(r plan.Rules) {
	l.Helper()
	o := l.Options
	o.Rules = r
	l.Close()
	l.Cluster = New(o)
	l.Cleanup(l.Cluster.Close)
}

func ignoring(claims ...plan.Claim) plan.Rules {
	var r plan.Rules
	for _, c := range claims {
		r.Ignore = append(r.Ignore, plan.Ignore{Claim: c})
	}
	return r
}

func at(u *unstructured.Unstructured, path ...string) any {
	v, _ := gitops.At(u.Object, path...)
	return v
}

func TestIgnoredFieldsKeepWhatIsLive(t *testing.T) {
	l := newLab(t)
	rules := ignoring(plan.Claim{
		Selector: plan.Selector{Kinds: []string{"Deployment"}},
		Fields:   patterns(t, "spec.replicas", "spec.template.spec.containers[*].image", "metadata.annotations.team", "metadata.labels"),
	})
	l.rule(rules)
	d := desired(l.items("apps", web)...)
	// Git's values are for the creation.
	l.apply(d)
	l.empty(d)
	if u := l.live(deployments(), "web"); at(u, "spec", "replicas") != int64(3) || u.GetAnnotations()["team"] != "shop" {
		t.Errorf("created with %v replicas, annotations %v", at(u, "spec", "replicas"), u.GetAnnotations())
	}
	// What git says later is not spoken of, and what is live stays: ours alone before, a person's afterwards.
	d.Items[1] = with(with(d.Items[1], int64(8), "spec", "replicas"), "other", "metadata", "annotations", "team")
	l.empty(d)
	l.edit("kubectl-edit", deployments(), "web", gitops.Tree{
		"metadata": gitops.Tree{"annotations": gitops.Tree{"team": nil}, "labels": gitops.Tree{"by": "hand"}},
		"spec":     gitops.Tree{"replicas": 5, "template": gitops.Tree{"spec": gitops.Tree{"containers": []any{gitops.Tree{"name": "web", "image": "web:hot"}}}}},
	})
	l.empty(d)
	if o := l.observe(d)[d.Items[1].Ref]; len(o.Skipped)+len(o.Conflicts) > 0 {
		t.Errorf("spoken of: %+v %+v", o.Skipped, o.Conflicts)
	}
	// An apply for another reason respects all of it.
	d.Items[1] = with(d.Items[1], int64(4), "spec", "revisionHistoryLimit")
	l.expect(d, "update Deployment web: spec.revisionHistoryLimit 10>4")
	l.apply(d)
	l.empty(d)
	u := l.live(deployments(), "web")
	image := gitops.StringAt(gitops.ListAt(u.Object, "spec", "template", "spec", "containers")[0].(gitops.Tree), "image")
	if at(u, "spec", "replicas") != int64(5) || image != "web:hot" || u.GetAnnotations()["team"] != "" || u.GetLabels()["by"] != "hand" {
		t.Errorf("applied: %v replicas, image %s, annotations %v, labels %v", at(u, "spec", "replicas"), image, u.GetAnnotations(), u.GetLabels())
	}
	if u.GetLabels()[partOf] != l.parentOf("apps").id() {
		t.Errorf("the label of our set is %q", u.GetLabels()[partOf])
	}
	// Without the rule, git speaks again.
	l.rule(plan.Rules{})
	if len(said(l.plan(d))) == 0 {
		t.Error("nothing to do without the rule")
	}
	l.apply(d)
	l.empty(d)
	if u := l.live(deployments(), "web"); at(u, "spec", "replicas") != int64(8) || u.GetLabels()["by"] != "" {
		t.Errorf("without the rule: %v replicas, labels %v", at(u, "spec", "replicas"), u.GetLabels())
	}
	// A rule about what we own alone: nothing moves, though git drops the field.
	l.rule(rules)
	unstructured.RemoveNestedField(d.Items[1].Spec, "spec", "replicas")
	l.empty(d)
	if u := l.live(deployments(), "web"); at(u, "spec", "replicas") != int64(8) {
		t.Errorf("replicas are %v", at(u, "spec", "replicas"))
	}
}

func TestIgnoredManagersKeepTheirFields(t *testing.T) {
	l := newLab(t)
	l.rule(ignoring(plan.Claim{Managers: []string{"kubectl-*"}, Fields: patterns(t, "data", "spec")}))
	d := desired(l.items("apps", web)...)
	l.apply(d)
	l.edit("kubectl-edit", configMaps(), "flags", gitops.Tree{"data": gitops.Tree{"beta": "mine", "added": "too"}})
	l.edit("kubectl-edit", deployments(), "web", gitops.Tree{"spec": gitops.Tree{"template": gitops.Tree{"spec": gitops.Tree{"containers": []any{
		gitops.Tree{"name": "web", "image": "web:hot"}, gitops.Tree{"name": "debug", "image": "debug:1"},
	}}}}})
	l.empty(d)
	d.Items[2] = with(d.Items[2], "on", "data", "gamma")
	d.Items[1] = with(d.Items[1], int64(4), "spec", "replicas")
	l.expect(d, `update ConfigMap flags: data.gamma "off">"on"`, "update Deployment web: spec.replicas 3>4")
	l.apply(d)
	l.empty(d)
	if diff := cmp.Diff(map[string]string{"beta": "mine", "added": "too", "gamma": "on"}, gitops.StringsAt(l.live(configMaps(), "flags").Object, "data")); diff != "" {
		t.Error(diff)
	}
	if c := gitops.ListAt(l.live(deployments(), "web").Object, "spec", "template", "spec", "containers"); len(c) != 2 || gitops.StringAt(c[0].(gitops.Tree), "image") != "web:hot" {
		t.Errorf("containers: %v", c)
	}
}

// A part of what can only be set as a whole is ignored, too: the rest of it is still git's.
func TestIgnoredPartsOfAtomicFields(t *testing.T) {
	l := newLab(t)
	l.rule(ignoring(plan.Claim{Fields: patterns(t, "spec.template.spec.containers[web].args[0]")}))
	d := desired(l.items("apps", web)...)
	l.apply(d)
	l.edit("kubectl-edit", deployments(), "web", gitops.Tree{"spec": gitops.Tree{"template": gitops.Tree{"spec": gitops.Tree{"containers": []any{gitops.Tree{"name": "web", "args": []any{"theirs", "b"}}}}}}})
	l.empty(d)
	l.edit("kubectl-edit", deployments(), "web", gitops.Tree{"spec": gitops.Tree{"template": gitops.Tree{"spec": gitops.Tree{"containers": []any{gitops.Tree{"name": "web", "args": []any{"theirs", "not git's"}}}}}}})
	l.expect(d, `update Deployment web: spec.template.spec.containers[web].args[1] "not git's">"b" kubectl-edit`)
	l.apply(d)
	l.empty(d)
}

func TestConflictRulesDecide(t *testing.T) {
	l := newLab(t)
	d := desired(l.items("apps", web)...)
	l.apply(d)
	l.edit("some-operator", configMaps(), "flags", gitops.Tree{"data": gitops.Tree{"beta": "theirs", "gamma": "theirs"}})
	rule := func(r plan.Ruling, fields ...string) plan.Rules {
		return plan.Rules{Conflicts: []plan.Conflict{{
			Claim: plan.Claim{Selector: plan.Selector{Kinds: []string{"ConfigMap"}, Namespaces: []string{l.id}}, Managers: []string{"some-*"}, Fields: patterns(t, fields...)}, Ruling: r,
		}}}
	}
	// The built-in rules hold what an unknown manager owns.
	l.expect(d, `update ConfigMap flags: data.beta "theirs">"on" some-operator`, `update ConfigMap flags: data.gamma "theirs">"off" some-operator`,
		"hold flags: data.beta is owned by some-operator, data.gamma is owned by some-operator")
	// One field is left to them, which is shown as skipped; the other is still held.
	l.rule(rule(plan.RulingLeave, "data.beta"))
	p := l.expect(d, `update ConfigMap flags: data.gamma "theirs">"off" some-operator`, "skip flags: data.beta some-operator", "hold flags: data.gamma is owned by some-operator")
	if why := p.Changes[0].Skipped[0].Why; why != "left to it by a rule of reconcile.yaml" {
		t.Errorf("why: %s", why)
	}
	// All is left: nothing to do, twice.
	l.rule(rule(plan.RulingLeave))
	l.empty(d)
	l.empty(d)
	// Git takes them.
	l.rule(rule(plan.RulingTake))
	l.expect(d, `update ConfigMap flags: data.beta "theirs">"on" some-operator`, `update ConfigMap flags: data.gamma "theirs">"off" some-operator`)
	l.apply(d)
	l.empty(d)
	// A rule may also hold what people do; only the fields that it names.
	l.rule(plan.Rules{Conflicts: []plan.Conflict{{Claim: plan.Claim{Managers: []string{"kubectl-*"}, Fields: patterns(t, "data.beta", "data.extra")}, Ruling: plan.RulingHold}}})
	l.edit("kubectl-edit", configMaps(), "flags", gitops.Tree{"data": gitops.Tree{"beta": "mine", "gamma": "mine", "extra": "stays", "more": "goes"}})
	l.expect(d, `update ConfigMap flags: data.beta "mine">"on" kubectl-edit`, `update ConfigMap flags: data.gamma "mine">"off" kubectl-edit`, `update ConfigMap flags: data.more "goes">null kubectl-edit`,
		"hold flags: data.beta is owned by kubectl-edit")
}

func TestPatternsOfManagers(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "a/b", true}, {"kubectl-*", "kubectl-edit", true}, {"kubectl-*", "kubectl", false}, {"a*c", "abbc", true}, {"a*c", "abcd", false},
		{"*-controller", "x-controller", true}, {"[x]", "[x]", true}, {"", "x", false},
	} {
		if like(c.pattern, c.name) != c.want {
			t.Errorf("%q is like %q: %v", c.name, c.pattern, !c.want)
		}
	}
}

// An ignored value that is empty, so that the server does not keep it, is ours and not live: what it is part of stays.
func TestIgnoredEmptyValuesStay(t *testing.T) {
	l := newLab(t)
	l.rule(ignoring(plan.Claim{Fields: patterns(t, "spec.template.spec.containers[*].env")}))
	d := desired(l.items("apps", strings.Replace(web, `[{name: A, value: "1"}]`, `[{name: A, value: "1"}, {name: B, value: ""}]`, 1))...)
	l.apply(d)
	l.empty(d)
	d.Items[1] = with(d.Items[1], int64(4), "spec", "replicas")
	l.expect(d, "update Deployment web: spec.replicas 3>4")
	l.apply(d)
	l.empty(d)
	c := gitops.ListAt(l.live(deployments(), "web").Object, "spec", "template", "spec", "containers")
	if diff := cmp.Diff([]any{gitops.Tree{"name": "A", "value": "1"}, gitops.Tree{"name": "B"}}, gitops.ListAt(c[0].(gitops.Tree), "env")); diff != "" {
		t.Errorf("env (-want +got):\n%s", diff)
	}
}

// A rule by jq ignores a field by what else the object says, and counts anew whenever that changes.
func TestIgnoredByQuery(t *testing.T) {
	l := newLab(t)
	byQuery := func(programs ...string) plan.Rules {
		rule := plan.Ignore{Claim: plan.Claim{Selector: plan.Selector{Kinds: []string{"ConfigMap", "Deployment"}}}, From: gitops.Position{File: "clusters/dev/reconcile.yaml", Line: 4}}
		for _, program := range programs {
			rule.Queries = append(rule.Queries, jqQuery(t, program))
		}
		return plan.Rules{Ignore: []plan.Ignore{rule}}
	}
	l.rule(byQuery(`select(.metadata.annotations.tuned == "yes").data.beta`, `.spec.template.spec.containers[]? | select(.name == "web").args[0]`))
	d := desired(l.items("apps", web)...)
	l.apply(d)
	l.empty(d)
	tuned := func(value any, beta string) gitops.Tree {
		return gitops.Tree{"metadata": gitops.Tree{"annotations": gitops.Tree{"tuned": value}}, "data": gitops.Tree{"beta": beta}}
	}
	l.edit("tuner", configMaps(), "flags", tuned("yes", "tuned"))
	l.edit("kubectl-edit", deployments(), "web", gitops.Tree{"spec": gitops.Tree{"template": gitops.Tree{"spec": gitops.Tree{"containers": []any{gitops.Tree{"name": "web", "args": []any{"theirs", "b"}}}}}}})
	l.empty(d)
	// An apply for another reason respects it.
	d.Items[2] = with(d.Items[2], "on", "data", "gamma")
	l.expect(d, `update ConfigMap flags: data.gamma "off">"on"`)
	l.apply(d)
	l.empty(d)
	if beta := at(l.live(configMaps(), "flags"), "data", "beta"); beta != "tuned" {
		t.Errorf("applied: data.beta is %v", beta)
	}
	// The other manager's word is gone: git speaks again.
	l.edit("tuner", configMaps(), "flags", tuned("no", "tuned"))
	l.expect(d, `update ConfigMap flags: data.beta "tuned">"on" tuner`, "hold flags: data.beta is owned by tuner")
	// A query that cannot be answered leaves the object alone, and says where it is.
	l.rule(byQuery(`select(.kind == "ConfigMap") | error("no idea")`))
	d.Items[2] = with(d.Items[2], "other", "data", "gamma")
	p := l.plan(d)
	var told []string
	for _, problem := range p.Problems {
		told = append(told, problem.Error())
	}
	if len(p.Problems) != 1 || p.Problems[0].Reason != gitops.PolicyInvalid || !strings.Contains(told[0], `the ignore rule of clusters/dev/reconcile.yaml:4: jq: select(.kind == "ConfigMap") | error("no idea"): error: no idea`) {
		t.Errorf("problems: %q", told)
	}
	for _, change := range p.Changes {
		if change.Ref == d.Items[2].Ref {
			t.Errorf("changed though a rule about it cannot be answered: %+v", change)
		}
	}
}

func jqQuery(t *testing.T, program string) plan.Query {
	t.Helper()
	q, err := jq.Compile(program)
	if err != nil {
		t.Fatal(err)
	}
	return q
}
