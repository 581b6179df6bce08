package main

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/eks-gitops/reconciler/pkg/eks"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/render"
)

// TestEndingFile: what teardown writes is all that has to be left of a cluster's folder. It frees the end of that cluster, and not of another
// one of its name.
func TestEndingFile(t *testing.T) {
	t.Parallel()
	ref := gitops.Ref{Domain: gitops.EKS, Kind: "Cluster", Namespace: "dev", Name: "dev"}
	logs := gitops.Ref{Domain: gitops.EKS, Kind: eks.KindLogGroup, Namespace: "dev", Name: "/aws/eks/dev/cluster"}
	over := false
	build := func(stack string, policies ...plan.Policy) plan.Plan {
		seen := gitops.Observed{
			ref: {Live: gitops.Tree{"metadata": gitops.Tree{"name": "dev"}}, Owned: true, Identity: stack},
			{Domain: gitops.K8s, Kind: "Namespace", Name: "shop"}: {Live: gitops.Tree{"kind": "Namespace"}, Owned: true, Overlay: "addons/shop"},
			logs: {Live: gitops.Tree{"name": "logs"}, Owned: true, Identity: "logs of " + stack, Needs: []gitops.Ref{ref}},
			{Domain: gitops.K8s, Kind: "Service", Namespace: "default", Name: "web"}: {Live: gitops.Tree{"kind": "Service"}, Owned: true, Extra: true},
		}
		if over {
			seen = gitops.Observed{logs: seen[logs]}
		}
		return plan.Build(plan.Input{Desired: gitops.Desired{Cluster: "dev"}, Observed: seen}, policies...)
	}
	shown := build("stack/1", plan.End(nil, false))
	config := gitops.Item{Spec: gitops.Tree{"metadata": gitops.Tree{"name": "dev", "region": "eu-west-1"}}}
	policy := &gitops.Item{Spec: gitops.Tree{"interval": "5m", "aws": gitops.Tree{"role": "arn:aws:iam::111122223333:role/ops", "externalID": "x-y"}}}
	file := endingFile(shown, gitops.Cluster{Name: "dev", Folder: "clusters/dev", Config: config, Policy: policy, LogGroups: true})
	if !strings.Contains(string(file), "it deletes 1 Cluster, 1 LogGroup, 2 objects inside (1 of them made beside git).") {
		t.Errorf("the file does not say what goes:\n%s", file)
	}
	all, err := render.New(render.Options{}).Clusters(t.Context(), gitops.Snapshot{Files: fstest.MapFS{"clusters/dev/approvals/teardown.yaml": {Data: file}}})
	if err != nil || len(all) != 1 || len(all[0].Problems) > 0 || !all[0].Ending || !all[0].LogGroups {
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
	// A process that begins when only the logs are left knows them by their own id.
	over = true
	if p := build("stack/1", plan.End(all[0].Approvals, false)); len(p.Changes) != 1 || !p.Changes[0].Applies() {
		t.Errorf("the logs: %+v", p.Changes)
	}
}

// TestProof: the last word of a teardown says that nothing is left, or what and why, and never takes what is not known for gone.
func TestProof(t *testing.T) {
	t.Parallel()
	at := gitops.Ref{Domain: gitops.EKS, Kind: "Volume", Namespace: "dev", Name: "vol-1"}
	note := gitops.Errorf(gitops.Extra, "volume vol-1 stays: it may hold data").On(at)
	logs := gitops.Errorf(gitops.Extra, "log group /aws/eks/dev/cluster stays").On(at)
	logs.Try = "reconciler teardown --log-groups deletes it, too"
	for name, tt := range map[string]struct {
		plan plan.Plan
		want string
		code int
	}{
		"nothing": {plan.Plan{}, "✔ cluster dev and everything made for it is gone; nothing is left in AWS\n", 0},
		"things that stay": {
			plan.Plan{Problems: []*gitops.Error{note, logs}},
			"✔ cluster dev and everything made for it is gone; what stays in AWS:\n  volume vol-1 stays: it may hold data\n" +
				"  log group /aws/eks/dev/cluster stays; reconciler teardown --log-groups deletes it, too\n", 0,
		},
		"a thing that came up": {
			plan.Plan{Changes: []plan.Change{{Ref: at, Action: plan.Delete}}, Problems: []*gitops.Error{note}},
			"cluster dev is gone, but not all that was made for it is known to be:\n  Volume vol-1 is still to be deleted\n  volume vol-1 stays: it may hold data\n", 1,
		},
		"no answer": {
			plan.Plan{Problems: []*gitops.Error{gitops.Errorf(gitops.AccessDenied, "iam:ListRoles: no")}},
			"cluster dev is gone, but not all that was made for it is known to be:\n  iam:ListRoles: no\n", 2,
		},
	} {
		if text, code := proof("dev", tt.plan); text != tt.want || code != tt.code {
			t.Errorf("%s: %d\n%swant %d\n%s", name, code, text, tt.code, tt.want)
		}
	}
}

// TestWayAround: what keeps a cluster whose API does not answer from its end comes with the command that ends it all the same, unless that
// was the command.
func TestWayAround(t *testing.T) {
	t.Parallel()
	gone := gitops.Observed{{Domain: gitops.K8s}: {Err: gitops.Errorf(gitops.Unreachable, "calling the API server: no route")}}
	throttled := gitops.Observed{{Domain: gitops.EKS}: {Err: gitops.Errorf(gitops.Unreachable, "calling EKS: no route")}}
	for name, c := range map[string]struct {
		seen     gitops.Observed
		skipping bool
		want     string
	}{
		"the API server": {gone, false, "--skip-objects"}, "the API server, skipped": {gone, true, ""}, "AWS": {throttled, false, ""},
	} {
		p := plan.Build(plan.Input{Desired: gitops.Desired{Cluster: "dev"}, Observed: c.seen}, plan.End(nil, true))
		if len(p.Problems) != 1 {
			t.Fatalf("%s: the plan has the problems %v", name, p.Problems)
		}
		got := (&app{skipping: c.skipping}).wayAround(p.Problems)[0].Try
		if c.want == "" && strings.Contains(got, "skip") || !strings.Contains(got, c.want) {
			t.Errorf("%s: try %q, want %q in it", name, got, c.want)
		}
		if strings.Contains(p.Problems[0].Try, "skip") {
			t.Errorf("%s: the plan itself was changed", name)
		}
	}
}
