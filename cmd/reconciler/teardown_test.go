package main

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/render"
)

// TestEndingFile: what teardown writes is all that has to be left of a cluster's folder. It frees the end of that cluster, and not of another
// one of its name.
func TestEndingFile(t *testing.T) {
	t.Parallel()
	ref := gitops.Ref{Domain: gitops.EKS, Kind: "Cluster", Namespace: "dev", Name: "dev"}
	build := func(stack string, policies ...plan.Policy) plan.Plan {
		return plan.Build(plan.Input{Desired: gitops.Desired{Cluster: "dev"}, Observed: gitops.Observed{
			ref: {Live: gitops.Tree{"metadata": gitops.Tree{"name": "dev"}}, Owned: true, Identity: stack},
			{Domain: gitops.K8s, Kind: "Namespace", Name: "shop"}:                    {Live: gitops.Tree{"kind": "Namespace"}, Owned: true, Overlay: "addons/shop"},
			{Domain: gitops.K8s, Kind: "Service", Namespace: "default", Name: "web"}: {Live: gitops.Tree{"kind": "Service"}, Owned: true, Extra: true},
		}}, policies...)
	}
	shown := build("stack/1", plan.End(nil, false))
	at := 0
	for i, c := range shown.Changes {
		if c.Ref == ref {
			at = i
		}
	}
	config := gitops.Item{Spec: gitops.Tree{"metadata": gitops.Tree{"name": "dev", "region": "eu-west-1"}}}
	policy := &gitops.Item{Spec: gitops.Tree{"interval": "5m", "aws": gitops.Tree{"role": "arn:aws:iam::111122223333:role/ops", "externalID": "x-y"}}}
	file := endingFile(shown, gitops.Cluster{Name: "dev", Folder: "clusters/dev", Config: config, Policy: policy}, shown.Changes[at])
	if !strings.Contains(string(file), "it deletes 1 Cluster, 2 objects inside (1 of them made beside git).") {
		t.Errorf("the file does not say what goes:\n%s", file)
	}
	all, err := render.New(render.Options{}).Clusters(t.Context(), gitops.Snapshot{Files: fstest.MapFS{"clusters/dev/approvals/teardown.yaml": {Data: file}}})
	if err != nil || len(all) != 1 || len(all[0].Problems) > 0 || !all[0].Ending {
		t.Fatalf("%v %+v", err, all)
	}
	if region := gitops.StringAt(all[0].Config.Spec, "metadata", "region"); all[0].Name != "dev" || region != "eu-west-1" {
		t.Errorf("it is about %s in %s", all[0].Name, region)
	}
	rules, problems := plan.DecodeRules(all[0].Policy, checks())
	if len(problems) > 0 || rules.AWS.Role != "arn:aws:iam::111122223333:role/ops" || rules.AWS.ExternalID != "x-y" {
		t.Errorf("AWS is reached as %+v, %v", rules.AWS, problems)
	}
	for _, c := range build("stack/1", plan.End(all[0].Approvals, false)).Changes {
		if !c.Applies() {
			t.Errorf("%s is held: %s", c.Ref, c.Hold.Why)
		}
	}
	for _, c := range build("stack/2", plan.End(all[0].Approvals, false)).Changes {
		if c.Applies() {
			t.Errorf("%s of another cluster goes", c.Ref)
		}
	}
}
