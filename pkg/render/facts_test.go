package render_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/render"
)

const factual = `
-- clusters/dev/cluster.yaml --
apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: dev}
iam:
  serviceAccounts:
    - metadata: {name: web, namespace: shop}
-- clusters/dev/web/kustomization.yaml --
resources: [web.yaml]
namePrefix: my-
namespace: shop
replacements:
  - source: {kind: ConfigMap, name: cluster-facts, fieldPath: data.vpcId}
    targets:
      - select: {kind: ConfigMap, name: web}
        fieldPaths: [data.vpc]
  - source: {kind: ConfigMap, name: cluster-facts, fieldPath: 'data.role\.shop\.web'}
    targets:
      - select: {kind: ConfigMap, name: web}
        fieldPaths: [data.role]
  - source:
      kind: ConfigMap
      name: cluster-facts
      fieldPath: data.clusterArn
      options: {delimiter: ":", index: 4}
    targets:
      - select: {kind: ConfigMap, name: web}
        fieldPaths: [data.account]
components: [../../../part]
-- clusters/dev/web/web.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data: {vpc: x, role: x, account: x, region: x}
-- clusters/dev/other/kustomization.yaml --
resources: [o.yaml]
-- clusters/dev/other/o.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
-- part/kustomization.yaml --
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
replacements:
  - path: r.yaml
-- part/r.yaml --
source: {kind: ConfigMap, name: cluster-facts, fieldPath: data.region}
targets:
  - select: {kind: ConfigMap, name: web}
    fieldPaths: [data.region]
`

func data(t *testing.T, d gitops.Desired, name string) map[string]string {
	t.Helper()
	for _, item := range d.Items {
		if item.Ref.Name == name {
			return gitops.StringsAt(item.Spec, "data")
		}
	}
	t.Fatalf("%s is not rendered: %v", name, d.Problems)
	return nil
}

func TestFactsReachOverlaysAndComponents(t *testing.T) {
	t.Parallel()
	files, r := archive(factual), render.New(render.Options{})
	known := gitops.Facts{
		"vpcId": "vpc-1", "role.shop.web": "arn:aws:iam::1:role/web", "clusterArn": "arn:aws:eks:eu-west-1:111122223333:cluster/dev",
		"region": "eu-west-1", "endpoint": "https://unused",
	}
	d := desired(t, r, files, known)
	want := map[string]string{"vpc": "vpc-1", "role": "arn:aws:iam::1:role/web", "account": "111122223333", "region": "eu-west-1"}
	if diff := cmp.Diff(want, data(t, d, "my-web")); diff != "" {
		t.Error(diff)
	}
	if len(d.Items) != 2 || len(d.Problems) != 0 {
		t.Errorf("rendered %d objects, %v; the facts themselves must not be among them", len(d.Items), d.Problems)
	}
	for _, o := range d.Overlays {
		if o.Pending || !o.Complete {
			t.Errorf("overlay %+v", o)
		}
	}
}

func TestUnknownFactsMakePredictions(t *testing.T) {
	t.Parallel()
	files, r := archive(factual), render.New(render.Options{})
	d := desired(t, r, files, gitops.Facts{"region": "eu-west-1"})
	got := data(t, d, "my-web")
	want := map[string]string{"vpc": render.Unknown("vpcId"), "role": render.Unknown("role.shop.web"), "region": "eu-west-1"}
	for key, v := range want {
		if got[key] != v {
			t.Errorf("%s is %q; want %q", key, got[key], v)
		}
	}
	if got["account"] == "x" || strings.Contains(got["account"], "111") {
		t.Errorf("a part of an unknown fact is %q", got["account"])
	}
	if diff := cmp.Diff([]gitops.Overlay{{Name: "other", Complete: true}, {Name: "web", Complete: true, Pending: true}}, d.Overlays); diff != "" {
		t.Error(diff)
	}
	if len(d.Problems) != 0 {
		t.Errorf("waiting for facts is no problem: %v", d.Problems)
	}
	// As facts become known one after the other, each render is up to date.
	facts := gitops.Facts{"region": "eu-west-1"}
	for _, step := range []struct{ fact, value, field, want string }{
		{"vpcId", "vpc-2", "vpc", "vpc-2"}, {"role.shop.web", "arn", "role", "arn"}, {"clusterArn", "a:b:c:d:e:f", "account", "e"}, {"vpcId", "vpc-3", "vpc", "vpc-3"},
	} {
		facts[step.fact] = step.value
		d := desired(t, r, files, facts)
		if got := data(t, d, "my-web")[step.field]; got != step.want {
			t.Errorf("with %s known, %s is %q; want %q", step.fact, step.field, got, step.want)
		}
		if o, _ := d.Overlay("web"); o.Pending != (len(facts) < 4) {
			t.Errorf("with %v, pending is %v", facts, o.Pending)
		}
	}
}

func TestOnlyWhatChangedIsRenderedAgain(t *testing.T) {
	t.Parallel()
	text := "-- base/kustomization.yaml --\nresources: [x.yaml]\n-- base/x.yaml --\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {v: '1'}\n-- unrelated.txt --\n1\n"
	for i := range 3 {
		base := "../../../base, "
		if i == 2 {
			base = ""
		}
		text += fmt.Sprintf("-- clusters/dev/o%d/kustomization.yaml --\nresources: [%sown.yaml]\nnamePrefix: o%d-\n", i, base, i)
		text += fmt.Sprintf("-- clusters/dev/o%d/own.yaml --\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\n", i)
	}
	r := render.New(render.Options{})
	mutate := func(name, content string) func() {
		return func() { text = strings.Replace(text, name, content, 1) }
	}
	for _, step := range []struct {
		name     string
		change   func()
		rendered []string
	}{
		{"at first", func() {}, []string{"o0", "o1", "o2"}},
		{"nothing", func() {}, nil},
		{"an unrelated file", mutate("-- unrelated.txt --\n1", "-- unrelated.txt --\n2"), nil},
		{"the base", mutate("{v: '1'}", "{v: '2'}"), []string{"o0", "o1"}},
		{"one overlay", mutate("namePrefix: o1-", "namePrefix: o9-"), []string{"o1"}},
		{"a second kustomization appears", func() { text += "-- clusters/dev/o2/kustomization.yml --\nresources: []\n" }, nil},
		{"and goes", mutate("-- clusters/dev/o2/kustomization.yml --\nresources: []\n", ""), []string{"o2"}},
	} {
		step.change()
		files := newReadFiles(archive(text))
		desired(t, r, files, nil)
		if diff := cmp.Diff(step.rendered, files.overlaysRead()); diff != "" {
			t.Errorf("%s: rendered again: %s", step.name, diff)
		}
	}
	// What is remembered is the very same in memory: that is how observers know without looking that git did not change.
	first, second := desired(t, r, archive(text), nil), desired(t, r, archive(text), nil)
	for i, item := range second.Items {
		if !gitops.Identical(item.Spec, first.Items[i].Spec) {
			t.Errorf("%s was made anew", item.Ref)
		}
	}
}

func TestTroubleIsNotRememberedLongerThanItLasts(t *testing.T) {
	t.Parallel()
	r := render.New(render.Options{})
	const k = "-- clusters/dev/web/kustomization.yaml --\nresources: [x.yaml, ../../../base]\n"
	const x = "-- clusters/dev/web/x.yaml --\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"
	const base = "-- base/kustomization.yaml --\nresources: [y.yaml]\n-- base/y.yaml --\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: y}\n"
	const second = "-- clusters/dev/web/kustomization.yml --\nresources: [x.yaml]\n"
	for i, step := range []struct {
		text string
		ok   bool
	}{{k, false}, {k + x, false}, {k + x + base, true}, {k + x + base + second, false}, {k + x + base, true}, {k + base, false}, {k + x + base, true}} {
		d := desired(t, r, archive(step.text), nil)
		if (len(d.Problems) == 0) != step.ok || step.ok && len(d.Items) != 2 || d.Overlays[0].Complete != step.ok {
			t.Errorf("step %d: %d objects, %v", i, len(d.Items), d.Problems)
		}
	}
}
