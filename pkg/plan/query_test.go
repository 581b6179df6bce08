package plan_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/apply/jq"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

func query(t *testing.T, program string) plan.Query {
	t.Helper()
	q, err := jq.Compile(program)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func pod(containers ...gitops.Tree) gitops.Tree {
	list := make([]any, 0, len(containers))
	for _, c := range containers {
		list = append(list, c)
	}
	return gitops.Tree{"kind": "Pod", "metadata": gitops.Tree{"name": "web", "finalizers": []any{"x/keep", "y/keep"}}, "spec": gitops.Tree{"containers": list}}
}

// TestIgnoreByQuery: what a query picks is named as edits name it, whatever the order in git and live.
func TestIgnoreByQuery(t *testing.T) {
	web := gitops.Tree{"name": "web", "image": "web:1", "args": []any{"--seed=1", "--name=web"}, "ports": []any{gitops.Tree{"containerPort": 80, "hostPort": 1}}}
	proxy := gitops.Tree{"name": "proxy", "image": "proxy:1", "args": []any{"--name=proxy", "--seed=2"}}
	wanted, live := pod(web), pod(proxy, web)
	for _, tc := range []struct {
		program string
		want    []string
	}{
		{".spec.replicas", []string{"spec.replicas"}},
		{`.spec.containers[] | select(.name == "proxy")`, []string{"spec.containers[proxy]"}},
		{`.spec.containers[] | select(.image | startswith("web")).image`, []string{"spec.containers[web].image"}},
		{`.spec.containers[-1].image`, []string{"spec.containers[web].image"}},
		{`.spec.containers[5].image`, nil},
		{`.spec.containers[].ports[]?.hostPort`, []string{"spec.containers[web].ports[80/TCP].hostPort"}},
		{`.metadata.annotations["a.b/c"]`, []string{`metadata.annotations["a.b/c"]`}},
		{`.metadata.finalizers[] | select(startswith("y"))`, []string{"metadata.finalizers[1]", "metadata.finalizers[y/keep]"}},
		// The first argument of web is in both; that of proxy is in one of them alone: what stands there elsewhere is something else.
		{`.spec.containers[] | select(.name == "web").args[] | select(startswith("--seed"))`, []string{"spec.containers[web].args[0]", "spec.containers[web].args[--seed=1]"}},
		{`.spec.containers[] | select(.name == "proxy").args[] | select(startswith("--seed"))`, []string{"spec.containers[proxy].args[--seed=2]"}},
		{".spec.volumes[]", nil},
	} {
		rule := plan.Ignore{Queries: []plan.Query{query(t, tc.program)}}
		got, picks, err := rule.Of(wanted, live)
		if err != nil {
			t.Errorf("%s: %v", tc.program, err)
		}
		var texts []string
		for _, p := range got.Fields {
			texts = append(texts, p.String())
			if again, err := plan.ParsePattern(p.String()); err != nil || fmt.Sprint(again) != fmt.Sprint(p) {
				t.Errorf("%s: %s is read as %v, %v", tc.program, p, again, err)
			}
		}
		if diff := cmp.Diff(tc.want, texts); diff != "" || picks != (tc.want != nil) {
			t.Errorf("%s picks %v (-want +got):\n%s", tc.program, picks, diff)
		}
	}
}

// A rule that picks nothing by its query never becomes one that picks everything, and one that cannot be answered is told.
func TestIgnoreByQueryRefuses(t *testing.T) {
	from := gitops.Position{File: "clusters/dev/reconcile.yaml", Line: 7}
	for program, want := range map[string]string{
		".":                           "it picks all of the object, which names the object itself and is git's",
		".metadata":                   "it picks metadata, which names the object itself and is git's",
		".metadata.name":              "it picks metadata.name, which names the object itself and is git's",
		".. | scalars":                "it picks kind, which names the object itself and is git's",
		".spec.containers[0:1]":       "it picks a range of a list: pick its items",
		".spec.containers[0].image+1": `cannot add: string ("web:1") and number (1)`,
		`error("broken")`:             "error: broken",
	} {
		rule := plan.Ignore{Claim: plan.Claim{Managers: []string{"x"}}, Queries: []plan.Query{query(t, program)}, From: from}
		_, picks, err := rule.Of(pod(gitops.Tree{"name": "web", "image": "web:1"}))
		text := "PolicyInvalid: the ignore rule of clusters/dev/reconcile.yaml:7: jq: " + program + ": " + want
		if picks || err == nil || err.Error() != text {
			t.Errorf("%s: picks %v, %v\nwant %s", program, picks, err, text)
		}
	}
}

// TestTrimByQuery: fields of a ClusterConfig, by what it says; what cannot be answered is a problem, and nothing is cut.
func TestTrimByQuery(t *testing.T) {
	config := gitops.Item{Ref: gitops.Ref{Domain: gitops.EKS, Kind: "ClusterConfig", Name: "dev"}, Spec: gitops.Tree{"managedNodeGroups": []any{
		gitops.Tree{"name": "a", "desiredCapacity": int64(3), "labels": gitops.Tree{"scaled": "yes"}}, gitops.Tree{"name": "b", "desiredCapacity": int64(4)},
	}}}
	rules := func(program string) plan.Rules {
		return plan.Rules{Ignore: []plan.Ignore{{Claim: plan.Claim{Selector: plan.Selector{Kinds: []string{"ClusterConfig"}}}, Queries: []plan.Query{query(t, program)}}}}
	}
	got := rules(`.managedNodeGroups[] | select(.labels.scaled == "yes").desiredCapacity`).Trim(gitops.Desired{Items: []gitops.Item{config}})
	if text := fmt.Sprint(got.Items[0].Spec); text != "map[managedNodeGroups:[map[labels:map[scaled:yes] name:a] map[desiredCapacity:4 name:b]]]" || len(got.Problems) > 0 {
		t.Errorf("%s, %v", text, got.Problems)
	}
	got = rules(`error("no idea")`).Trim(gitops.Desired{Items: []gitops.Item{config}})
	if !cmp.Equal(got.Items[0], config) || len(got.Problems) != 1 || got.Problems[0].Reason != gitops.PolicyInvalid {
		t.Errorf("%v, %v", got.Items[0].Spec, got.Problems)
	}
}
