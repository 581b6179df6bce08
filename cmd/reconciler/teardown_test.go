package main

import (
	"testing"
	"time"

	"github.com/eks-gitops/reconciler/pkg/engine"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// A cluster whose policy says that nothing is pruned can still be torn down: else teardown would find nothing to do and say
// that all is gone.
func TestTeardownIsNotBoundByThePolicy(t *testing.T) {
	t.Parallel()
	policy := &gitops.Item{Spec: gitops.Tree{
		"prune":  gitops.Tree{"enabled": false},
		"freeze": []any{gitops.Tree{"name": "always", "from": "2020-01-01T00:00:00Z", "until": "2040-01-01T00:00:00Z"}},
	}}
	ref := gitops.Ref{Domain: gitops.K8s, Kind: "Namespace", Name: "shop"}
	job := ending(engine.Job{Cluster: gitops.Cluster{Name: "dev", Policy: policy}}, gitops.K8s)
	rules, problems := plan.DecodeRules(job.Cluster.Policy, checks())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	p := plan.Build(plan.Input{Desired: gitops.Desired{Cluster: "dev"}, Observed: gitops.Observed{
		ref: {Live: gitops.Tree{"kind": "Namespace"}, Owned: true, Overlay: "addons/shop"},
	}}, append(rules.Policies(time.Now, nil), job.Policies...)...)
	if len(p.Changes) != 1 || !p.Changes[0].Applies() {
		t.Errorf("want one deletion that is not held: %+v", p.Changes)
	}
}
