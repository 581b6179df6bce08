package view_test

import (
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// now is when the screens are looked at.
var now = time.Date(2026, 11, 21, 14, 2, 11, 0, time.UTC)

var revision = gitops.Revision{Ref: "main", Hash: "4f2c9e1a0b5c", Subject: "bump karpenter, retire legacy ns", Author: "ana", At: now.Add(-12 * time.Minute)}

var redactor = gitops.Redactor{Key: []byte("key of the fixture")}

func nodegroup(name string) gitops.Ref {
	return gitops.Ref{Domain: gitops.EKS, Kind: "Nodegroup", Namespace: "prod", Name: name}
}

func object(group, kind, namespace, name string) gitops.Ref {
	return gitops.Ref{Domain: gitops.K8s, Group: group, Kind: kind, Namespace: namespace, Name: name}
}

// change fills in what the fixture's changes have in common.
func change(a plan.Action, ref gitops.Ref, file string, line int, edits ...plan.Edit) plan.Change {
	return plan.Change{ID: gitops.DigestOf([]any{a, ref}), Ref: ref, Action: a, Risk: plan.RiskNone, Edits: edits, From: gitops.Origin{Position: gitops.Position{File: file, Line: line}, Overlay: "addons/shop"}}
}

// fleetPlan is the plan of the screens: something of everything.
func fleetPlan() plan.Plan {
	batch := change(plan.Replace, nodegroup("batch"), "clusters/prod/cluster.yaml", 44, plan.Edit{Path: "instanceTypes[0]", Before: "m6i.large", After: "m7i.large"})
	batch.Why, batch.Risk, batch.Hold = "instanceTypes is immutable", plan.Destructive, &plan.Hold{Reason: gitops.Held, Why: "destructive", Approvable: true}
	legacy := change(plan.Delete, object("", "Namespace", "", "legacy"), "", 0)
	legacy.Why, legacy.Risk, legacy.Hold = "no longer in git; 17 objects inside", plan.Destructive, &plan.Hold{Reason: gitops.Held, Why: "destructive", Approvable: true}
	web := change(plan.Update, object("apps", "Deployment", "shop", "web"), "addons/shop/web.yaml", 14,
		plan.Edit{Path: "spec.template.spec.containers[web].image", Before: "web:1.4.1", After: "web:1.4.2"},
		plan.Edit{Path: "spec.template.spec.containers[web].env[MODE].value", After: "fast", From: &gitops.Position{File: "clusters/prod/addons/shop/patch.yaml", Line: 7}},
		plan.Edit{Path: "metadata.annotations[\"example.com/motd\"]", Before: "hello\nworld\n", After: "hello\nnew world\n"},
		plan.Edit{Path: "spec.minReadySeconds", Before: int64(5), After: int64(10)},
	)
	web.Risk = plan.Disruptive
	web.Skipped = []gitops.Skipped{{Path: "spec.replicas", Owner: "horizontal-pod-autoscaler", Why: "it scales this"}}
	flags := change(plan.Update, object("", "ConfigMap", "shop", "flags"), "addons/shop/flags.yaml", 3, plan.Edit{Path: "data.beta", Before: "off", After: "on", Owner: &gitops.Owner{Manager: "kubectl-edit", At: now.Add(-2 * time.Hour).Format(time.RFC3339)}})
	flags.Drift, flags.Why = true, "changed by kubectl-edit"
	api := change(plan.Wait, object("apps", "Deployment", "shop", "api"), "addons/shop/api.yaml", 1)
	api.Why = "progressing: 1/2 ready"
	changes := []plan.Change{
		change(plan.Update, nodegroup("system"), "clusters/prod/cluster.yaml", 31, plan.Edit{Path: "scaling.maxSize", Before: 6.0, After: 9.0}), batch,
	}
	namespace := change(plan.Create, object("", "Namespace", "", "karpenter"), "addons/karpenter/namespace.yaml", 1)
	changes = append(changes, namespace)
	for _, name := range []string{"ServiceAccount", "Service", "ConfigMap", "PodDisruptionBudget"} {
		c := change(plan.Create, object("", name, "karpenter", "karpenter"), "addons/karpenter/"+name+".yaml", 1, plan.Edit{Path: "metadata.labels", After: gitops.Tree{"app": "karpenter", "tier": int64(1)}})
		c.From.Overlay, c.Needs = "addons/karpenter", []gitops.Ref{namespace.Ref}
		changes = append(changes, c)
	}
	changes = append(changes, api, web,
		change(plan.Update, object("", "Secret", "shop", "db"), "addons/shop/db.yaml", 2, plan.Edit{Path: "data.password", Before: redactor.Value("a"), After: redactor.Value("b")}),
		flags, legacy,
	)
	return plan.Plan{ID: "9c1e77d2aa00bb11", Cluster: "prod", Revision: revision, Complete: true, Changes: changes, Unchanged: 214}
}

// incompletePlan has problems of every shape.
func incompletePlan() plan.Plan {
	forbidden := gitops.Errorf(gitops.AccessDenied, "secrets is forbidden: cannot list in namespace shop").On(object("", "Secret", "shop", "db")).At(gitops.Origin{Position: gitops.Position{File: "addons/shop/db.yaml", Line: 2}})
	forbidden.Try = "kubectl auth can-i list secrets -n shop"
	broken := gitops.Errorf(gitops.RenderFailed, "no such file: deployment.yml").At(gitops.Origin{Position: gitops.Position{File: "clusters/prod/addons/dns/kustomization.yaml", Line: 3}, Overlay: "addons/dns"})
	ignored := gitops.Errorf(gitops.NotManaged, "cloudWatch is neither observed nor changed").At(gitops.Origin{Position: gitops.Position{File: "clusters/prod/cluster.yaml", Line: 60}})
	return plan.Plan{ID: "00aa11bb22cc33dd", Cluster: "prod", Revision: revision, Problems: []*gitops.Error{broken, forbidden, ignored}, Unchanged: 120}
}

// failedRun is run 42: it applied, failed, held and blocked.
func failedRun() run.Record {
	p := fleetPlan()
	began := time.Date(2026, 11, 21, 14, 3, 2, 0, time.UTC)
	r := run.Record{ID: 42, Cluster: "prod", Cause: "commit", Plan: p, Outcome: run.Failed, Began: began, Ended: began.Add(7*time.Minute + 10*time.Second), Next: began.Add(12 * time.Minute)}
	for i, c := range p.Changes {
		res := run.Result{Change: c.ID, Ref: c.Ref, State: run.Done, Health: gitops.Health{Status: gitops.Ready}, Began: began.Add(time.Duration(i) * time.Second), Ended: began.Add(time.Duration(i)*time.Second + 1500*time.Millisecond)}
		switch {
		case c.Hold != nil:
			res = run.Result{Change: c.ID, Ref: c.Ref, State: run.ChangeHeld, Error: gitops.Errorf(c.Hold.Reason, "%s", c.Hold.Why), Ended: began}
		case c.Ref.Name == "web":
			res.State, res.Began, res.Ended = run.Broken, began.Add(2*time.Minute), r.Ended
			res.Health = gitops.Health{Status: gitops.Failed, Message: "2/5 ready, ImagePullBackOff web:1.4.2"}
			res.Error = gitops.Errorf(gitops.HealthFailed, "%s", res.Health.Message).On(c.Ref).At(c.From)
		case c.Ref.Name == "system":
			res.Ended = res.Began.Add(6*time.Minute + 37*time.Second)
		case c.Action == plan.Wait:
			res.Ended, res.State, res.Health = time.Time{}, run.Applied, gitops.Health{Status: gitops.Progressing, Message: "1/2 ready"}
		}
		r.Results = append(r.Results, res)
	}
	return r
}

// goodRun is run 41, three hours before.
func goodRun() run.Record {
	began := now.Add(-3 * time.Hour)
	c := change(plan.Update, object("apps", "Deployment", "shop", "web"), "addons/shop/web.yaml", 14, plan.Edit{Path: "spec.template.spec.containers[web].image", Before: "web:1.4.0", After: "web:1.4.1"})
	return run.Record{
		ID: 41, Cluster: "prod", Cause: "commit", Outcome: run.Converged, Began: began, Ended: began.Add(41 * time.Second), Next: began.Add(3 * time.Minute),
		Plan:    plan.Plan{ID: "1111111111111111", Cluster: "prod", Revision: gitops.Revision{Ref: "main", Hash: "a81d002f", Subject: "image bump", Author: "bo", At: began.Add(-time.Minute)}, Complete: true, Changes: []plan.Change{c}, Unchanged: 220},
		Results: []run.Result{{Change: c.ID, Ref: c.Ref, State: run.Done, Began: began, Ended: began.Add(40 * time.Second)}},
	}
}

// driftRun is run 40, the day before: it restored what somebody edited.
func driftRun() run.Record {
	began := now.Add(-27 * time.Hour)
	c := change(plan.Update, object("", "ConfigMap", "shop", "flags"), "addons/shop/flags.yaml", 3, plan.Edit{Path: "data.beta", Before: "off", After: "on", Owner: &gitops.Owner{Manager: "kubectl-edit"}})
	c.Drift = true
	return run.Record{
		ID: 40, Cluster: "prod", Cause: "drift", Outcome: run.Converged, Began: began, Ended: began.Add(3 * time.Second),
		Plan:    plan.Plan{ID: "2222222222222222", Cluster: "prod", Revision: gitops.Revision{Ref: "main", Hash: "77d0c1e"}, Complete: true, Changes: []plan.Change{c}, Unchanged: 220},
		Results: []run.Result{{Change: c.ID, Ref: c.Ref, State: run.Done, Began: began, Ended: began.Add(2 * time.Second)}},
	}
}

// events replays failedRun as it happened.
func events() []run.Event {
	r := failedRun()
	head := func(at time.Time) run.Head { return run.Head{At: at, Cluster: "prod"} }
	out := []run.Event{run.Fetched{Head: head(r.Began.Add(-time.Second)), Revision: revision}, run.Planned{Head: head(r.Began), Plan: r.Plan}}
	for i, c := range r.Plan.Changes {
		res := r.Results[i]
		if c.Hold != nil {
			out = append(out, run.Settled{Head: head(r.Began), Result: res})
		}
	}
	for i, c := range r.Plan.Changes {
		res := r.Results[i]
		if c.Hold != nil || res.Ended.IsZero() || c.Ref.Name == "system" || c.Ref.Name == "web" {
			continue
		}
		out = append(out, run.Started{Head: head(res.Began), Change: c}, run.Settled{Head: head(res.Ended), Result: res})
	}
	system, _ := r.Result(r.Plan.Changes[0].ID)
	webChange, _ := r.Plan.Change(object("apps", "Deployment", "shop", "web"))
	web, _ := r.Result(webChange.ID)
	return append(out,
		run.Started{Head: head(system.Began.Add(20 * time.Second)), Change: r.Plan.Changes[0]},
		run.Progressed{Head: head(system.Began.Add(25 * time.Second)), Change: system.Change, Ref: system.Ref, State: run.Applied, Health: gitops.Health{Status: gitops.Progressing, Message: "updating, 3 of 6 nodes"}},
		run.Started{Head: head(web.Began), Change: webChange},
		run.Settled{Head: head(system.Ended), Result: system},
		run.Settled{Head: head(web.Ended), Result: web},
		run.Finished{Head: head(r.Ended), Record: r},
	)
}

// fleetRuns are the newest runs of two clusters, as history mixes them.
func fleetRuns() []run.Record {
	held := goodRun()
	held.ID, held.Cluster, held.Outcome = 7, "dev", run.Waiting
	held.Began, held.Ended = held.Began.Add(2*time.Hour), held.Ended.Add(2*time.Hour)
	held.Plan.Cluster, held.Results = "dev", []run.Result{{Change: held.Plan.Changes[0].ID, Ref: held.Plan.Changes[0].Ref, State: run.ChangeHeld}}
	return []run.Record{failedRun(), held, goodRun(), driftRun()}
}

// keptPlan is the plan of a cluster whose policy prunes nothing.
func keptPlan() plan.Plan {
	note := func(ref gitops.Ref, why string) *gitops.Error {
		return gitops.Errorf(gitops.Kept, "%s", why).On(ref).At(gitops.Origin{Overlay: "addons/legacy"})
	}
	return plan.Plan{ID: "5e5e5e5e00000000", Cluster: "prod", Revision: revision, Complete: true, Unchanged: 214, Problems: []*gitops.Error{
		note(object("apps", "Deployment", "legacy", "web"), "prune is off in reconcile.yaml"),
		note(object("", "Service", "legacy", "web"), "somebody took the reconciler's label off"),
	}}
}

// overruledPlan is the plan of a cluster in which a webhook sets what git says otherwise.
func overruledPlan() plan.Plan {
	return plan.Plan{ID: "5e5e5e5e00000000", Cluster: "prod", Revision: revision, Complete: true, Unchanged: 214, Problems: []*gitops.Error{
		gitops.Errorf(gitops.Overruled, "the API server stores spec.replicas otherwise than git says").On(object("apps", "Deployment", "shop", "web")).
			At(gitops.Origin{Position: gitops.Position{File: "addons/shop/web.yaml", Line: 14}}),
	}}
}

// waitingEvents are three passes: a commit, a rollout that goes on by itself, and what is held after that.
func waitingEvents() []run.Event {
	at := time.Date(2026, 11, 21, 14, 20, 0, 0, time.UTC)
	head := func(after time.Duration) run.Head { return run.Head{At: at.Add(after), Cluster: "prod"} }
	update := change(plan.Update, object("apps", "Deployment", "shop", "web"), "addons/shop/web.yaml", 14)
	wait := change(plan.Wait, update.Ref, "addons/shop/web.yaml", 14)
	hold := change(plan.Delete, object("", "Namespace", "", "legacy"), "", 0)
	hold.Hold = &plan.Hold{Reason: gitops.Held, Why: "destructive", Approvable: true}
	plans := []plan.Plan{
		{ID: "aaaaaaaa00000000", Cluster: "prod", Revision: revision, Complete: true, Changes: []plan.Change{update}, Unchanged: 213},
		{ID: "bbbbbbbb00000000", Cluster: "prod", Revision: revision, Complete: true, Changes: []plan.Change{wait}, Unchanged: 213},
		{ID: "cccccccc00000000", Cluster: "prod", Revision: revision, Complete: true, Changes: []plan.Change{hold}, Unchanged: 214},
	}
	moving := gitops.Health{Status: gitops.Progressing, Message: "1/2 ready"}
	first := run.Result{Change: update.ID, Ref: update.Ref, State: run.Applied, Health: moving, Began: at.Add(time.Second)}
	second := run.Result{Change: wait.ID, Ref: wait.Ref, State: run.Done, Began: first.Began, Ended: at.Add(40 * time.Second)}
	third := run.Result{Change: hold.ID, Ref: hold.Ref, State: run.ChangeHeld, Error: gitops.Errorf(gitops.Held, "destructive"), Ended: at.Add(70 * time.Second)}
	return []run.Event{
		run.Planned{Head: head(time.Second), Plan: plans[0]},
		run.Started{Head: head(time.Second), Change: update},
		run.Progressed{Head: head(2 * time.Second), Change: update.ID, Ref: update.Ref, State: run.Applied, Health: moving},
		run.Finished{Head: head(4 * time.Second), Record: run.Record{ID: 43, Cluster: "prod", Plan: plans[0], Results: []run.Result{first}, Outcome: run.Progressing}},
		run.Planned{Head: head(5 * time.Second), Plan: plans[1]},
		run.Settled{Head: head(40 * time.Second), Result: second},
		run.Finished{Head: head(40 * time.Second), Record: run.Record{Cluster: "prod", Plan: plans[1], Results: []run.Result{second}, Outcome: run.Converged}},
		run.Planned{Head: head(70 * time.Second), Plan: plans[2]},
		run.Settled{Head: head(70 * time.Second), Result: third},
		run.Finished{Head: head(70 * time.Second), Record: run.Record{ID: 44, Cluster: "prod", Plan: plans[2], Results: []run.Result{third}, Outcome: run.Waiting}},
	}
}
