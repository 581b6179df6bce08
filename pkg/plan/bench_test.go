package plan_test

import (
	"fmt"
	"testing"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// fleet is a cluster of n applications of five objects each; every changed-th application differs from what is live.
func fleet(n, changed int) plan.Input {
	in := plan.Input{Desired: gitops.Desired{Cluster: "c", Overlays: []gitops.Overlay{{Name: "a", Complete: true}}}, Observed: gitops.Observed{}}
	add := func(group, kind, name string, live bool, spec gitops.Tree) {
		ref := gitops.Ref{Domain: gitops.K8s, Group: group, Kind: kind, Namespace: "shop", Name: name}
		spec["metadata"] = gitops.Tree{"name": name, "namespace": "shop"}
		o := gitops.Observation{Next: spec, Spec: spec, Owned: true, Overlay: "a"}
		if live {
			o.Settled, o.Next = true, nil
		}
		in.Observed[ref] = o
		in.Desired.Items = append(in.Desired.Items, gitops.Item{Ref: ref, Spec: spec, From: gitops.Origin{Overlay: "a"}})
	}
	for i := range n {
		name, live := fmt.Sprintf("app-%d", i), i%changed != 0
		add("", "ConfigMap", name, live, gitops.Tree{"data": gitops.Tree{"a": "b"}})
		add("", "Secret", name, live, gitops.Tree{"data": gitops.Tree{"a": "Yg=="}})
		add("", "ServiceAccount", name, live, gitops.Tree{})
		add("", "Service", name, live, gitops.Tree{"spec": gitops.Tree{"selector": gitops.Tree{"app": name}}})
		add("apps", "Deployment", name, live, gitops.Tree{"spec": gitops.Tree{"replicas": int64(1), "template": gitops.Tree{
			"metadata": gitops.Tree{"labels": gitops.Tree{"app": name}},
			"spec": gitops.Tree{"serviceAccountName": name, "containers": []any{gitops.Tree{"name": "web", "image": "web:1", "envFrom": []any{
				gitops.Tree{"configMapRef": gitops.Tree{"name": name}}, gitops.Tree{"secretRef": gitops.Tree{"name": name}},
			}}}},
		}}})
	}
	return in
}

func BenchmarkBuild(b *testing.B) {
	for _, bc := range []struct {
		name    string
		changed int
	}{{"five of ten thousand", 1 << 30}, {"tenth", 10}, {"all", 1}} {
		in := fleet(2000, bc.changed)
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				plan.Build(in, plan.HoldDestructive(nil))
			}
		})
	}
}

// BenchmarkBuildResting is the plan of one changed object of ten thousand, of which the others rest.
func BenchmarkBuildResting(b *testing.B) {
	in := fleet(2000, 1<<30)
	rest(&in)
	b.ReportAllocs()
	for b.Loop() {
		plan.Build(in, plan.HoldDestructive(nil))
	}
}

// rest sums up what is settled.
func rest(in *plan.Input) {
	still := 0
	for ref, o := range in.Observed {
		if o.Settled {
			delete(in.Observed, ref)
			still++
		}
	}
	in.Observed[gitops.Ref{Domain: gitops.K8s}] = gitops.Observation{Still: still}
}
