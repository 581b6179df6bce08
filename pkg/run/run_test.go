package run_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

var update = flag.Bool("update", false, "rewrite golden files")

var began = time.Date(2026, 11, 21, 14, 3, 2, 0, time.UTC)

func ref(name string) gitops.Ref {
	return gitops.Ref{Domain: gitops.K8s, Group: "apps", Kind: "Deployment", Namespace: "shop", Name: name}
}

// change makes a change of one field.
func change(a plan.Action, name, path string, before, after any) plan.Change {
	c := plan.Change{ID: gitops.DigestOf([]any{a, name, path, before, after}), Ref: ref(name), Action: a, Risk: plan.RiskNone, From: gitops.Origin{Position: gitops.Position{File: "a.yaml", Line: 3}, Overlay: "a"}}
	if path != "" {
		c.Edits = []plan.Edit{{Path: path, Before: before, After: after}}
	}
	return c
}

// record is a run in which every change came to the given state.
func record(id int, state run.State, changes ...plan.Change) run.Record {
	r := run.Record{
		ID: id, Cluster: "prod", Cause: "commit", Outcome: run.Converged, Began: began, Ended: began.Add(time.Minute), Next: began.Add(time.Hour),
		Plan: plan.Plan{ID: gitops.DigestOf(id), Cluster: "prod", Revision: gitops.Revision{Hash: "4f2c9e1", Ref: "main", Author: "ana"}, Complete: true, Changes: changes, Unchanged: 7},
	}
	for _, c := range changes {
		res := run.Result{Change: c.ID, Ref: c.Ref, State: state, Began: began, Ended: began.Add(time.Second)}
		if state == run.Broken {
			res.Error = gitops.Errorf(gitops.HealthFailed, "2/5 ready").On(c.Ref).At(c.From)
			res.Health = gitops.Health{Status: gitops.Failed, Message: "2/5 ready"}
		}
		r.Results = append(r.Results, res)
	}
	return r
}

// full is a record that uses every field of its document.
func full() run.Record {
	held := change(plan.Delete, "old", "", nil, nil)
	held.Risk, held.Why, held.Hold = plan.Destructive, "no longer in git", &plan.Hold{Reason: gitops.Held, Why: "destructive", Approvable: true}
	drift := change(plan.Update, "web", "spec.replicas", 5.0, 3.0)
	drift.Drift, drift.Predicted = true, true
	drift.Edits[0].Owner = &gitops.Owner{Manager: "kubectl-edit", At: "2026-11-21T12:00:00Z"}
	drift.Edits[0].From = &gitops.Position{File: "patch.yaml", Line: 2}
	drift.Skipped = []gitops.Skipped{{Path: "spec.x", Owner: "hpa", Why: "scales it"}}
	drift.Approved = &gitops.Position{File: "approvals/a.yaml", Line: 1}
	drift.Needs = []gitops.Ref{ref("api")}
	r := record(42, run.Broken, change(plan.Create, "api", "spec", nil, map[string]any{"replicas": 1.0}), drift, held)
	r.Plan.Revision.Subject, r.Plan.Revision.At, r.Plan.Revision.Dirty = "bump", began, true
	r.Plan.Complete = false
	problem := gitops.Errorf(gitops.ObserveFailed, "forbidden").On(ref("x")).At(gitops.Origin{Position: gitops.Position{File: "x.yaml", Line: 1}, Overlay: "a"})
	problem.Try = "grant it"
	r.Plan.Problems = []*gitops.Error{problem}
	return r
}

// The Record document is frozen: testdata/record.json changes only on purpose, and follows the published schema.
func TestRecordDocument(t *testing.T) {
	body, err := json.MarshalIndent(full(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/record.json", append(body, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/record.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(bytes.TrimSpace(want)), string(body)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for _, name := range []string{"plan", "record"} {
		document, err := os.ReadFile("../../docs/schema/" + name + ".schema.json")
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource("https://reconciler.eks-gitops.io/schema/"+name+".schema.json", value); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := c.Compile("https://reconciler.eks-gitops.io/schema/record.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []run.Record{full(), {Plan: plan.Plan{}, Outcome: run.Preview, Began: began}} {
		if r.Plan.ID == "" {
			r.Plan.ID = gitops.DigestOf(1)
		}
		body, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Error(err)
		}
	}
}

func TestRecordRoundTrip(t *testing.T) {
	first, err := json.Marshal(full())
	if err != nil {
		t.Fatal(err)
	}
	var back run.Record
	if err := json.Unmarshal(first, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full(), back, cmp.Comparer(func(a, b *gitops.Error) bool {
		return a == b || (a != nil && b != nil && a.Error() == b.Error() && a.Try == b.Try)
	})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{`{}`, `{"apiVersion":"reconciler.eks-gitops.io/v2","kind":"Record"}`, `{"apiVersion":"reconciler.eks-gitops.io/v1","kind":"Plan"}`, `[]`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s was read as a Record", bad)
		}
	}
}

func TestEventRoundTrip(t *testing.T) {
	head := run.Head{At: began, Cluster: "prod"}
	r := full()
	for _, e := range []run.Event{
		run.Fetched{Head: head, Revision: r.Plan.Revision}, run.Heard{Head: head, Queue: "https://sqs.eu-west-1.amazonaws.com/1/q"}, run.Planned{Head: head, Plan: r.Plan}, run.Started{Head: head, Change: r.Plan.Changes[0]},
		run.Progressed{Head: head, Change: "x", Ref: ref("web"), State: run.Applied, Health: gitops.Health{Status: gitops.Progressing, Message: "m"}},
		run.Settled{Head: head, Result: r.Results[0]}, run.Finished{Head: head, Record: r},
	} {
		line, err := run.EncodeEvent(e)
		if err != nil || bytes.ContainsRune(line, '\n') {
			t.Fatalf("%s, %v", line, err)
		}
		back, err := run.DecodeEvent(line)
		if err != nil {
			t.Fatal(err)
		}
		again, err := run.EncodeEvent(back)
		if err != nil || !bytes.Equal(line, again) {
			t.Errorf("%s became %s, %v", line, again, err)
		}
	}
	for _, bad := range []string{"", "{}", `{"event":"unheard","data":{}}`, `{"event":"planned","data":{"plan":1}}`} {
		if e, err := run.DecodeEvent([]byte(bad)); err == nil {
			t.Errorf("%q was read as %+v", bad, e)
		}
	}
}

func FuzzDecodeEvent(f *testing.F) {
	for _, e := range []run.Event{run.Planned{Plan: full().Plan}, run.Finished{Record: full()}} {
		line, err := run.EncodeEvent(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := run.DecodeEvent(line)
		if err != nil {
			return
		}
		if _, err := run.EncodeEvent(e); err != nil {
			t.Errorf("%s is read but not written: %v", line, err)
		}
	})
}

func TestCount(t *testing.T) {
	r := record(1, run.Done, change(plan.Create, "a", "", nil, nil), change(plan.Update, "b", "", nil, nil), change(plan.Replace, "c", "", nil, nil), change(plan.Delete, "d", "", nil, nil), change(plan.Wait, "e", "", nil, nil))
	for i, state := range map[int]run.State{1: run.Broken, 2: run.ChangeHeld, 3: run.Blocked} {
		r.Results[i].State = state
	}
	r.Results[1].Error = gitops.Errorf(gitops.HealthFailed, "no")
	if diff := cmp.Diff(run.Count{Create: 1, Update: 1, Failed: 1, Held: 1, Blocked: 1}, r.Count()); diff != "" {
		t.Error(diff)
	}
	r.Results[1].Error = gitops.Errorf(gitops.ApplyFailed, "refused") // never took effect
	if n := r.Count(); n.Update != 0 || n.Applied() != 1 {
		t.Errorf("%+v", n)
	}
}

func TestWhy(t *testing.T) {
	records := []run.Record{
		record(1, run.Done, change(plan.Create, "web", "spec", nil, 1)),
		record(2, run.ChangeHeld, change(plan.Update, "web", "spec", 1, 2)),
		record(3, run.Done, change(plan.Update, "api", "spec", 1, 2)),
		record(4, run.Broken, change(plan.Update, "web", "spec", 1, 3)),
		record(5, run.Done, change(plan.Wait, "web", "", nil, nil)),
	}
	var got []int
	for _, touch := range run.Why(records, ref("web")) {
		got = append(got, touch.Run)
	}
	if diff := cmp.Diff([]int{4, 1}, got); diff != "" {
		t.Errorf("runs that touched it (-want +got):\n%s", diff)
	}
}

func TestCompare(t *testing.T) {
	update := func(name string, before, after any) plan.Change { return change(plan.Update, name, "v", before, after) }
	records := []run.Record{
		record(7, run.Done, change(plan.Delete, "reborn", "", nil, nil), update("later", 2, 3)),
		record(5, run.Done, change(plan.Create, "passing", "v", nil, 1), update("back", 1, 2), update("on", 1, 2)),
		record(4, run.Done, update("before", 1, 2)),
		record(6, run.Done, change(plan.Delete, "passing", "", nil, nil), update("back", 2, 1), update("on", 2, 3), change(plan.Create, "new", "v", nil, 1)),
		record(8, run.Broken, change(plan.Replace, "moved", "v", 1, 2), change(plan.Create, "reborn", "v", nil, 1)),
		record(9, run.Done, update("after", 1, 2)),
	}
	got := run.Compare(records, records[2], records[4])
	want := []run.Net{
		{Ref: ref("later"), Action: plan.Update, Edits: []plan.Edit{{Path: "v", Before: 2, After: 3}}, Runs: []int{7}},
		{Ref: ref("moved"), Action: plan.Replace, Edits: []plan.Edit{{Path: "v", Before: 1, After: 2}}, Runs: []int{8}},
		{Ref: ref("new"), Action: plan.Create, Edits: []plan.Edit{{Path: "v", After: 1}}, Runs: []int{6}},
		{Ref: ref("on"), Action: plan.Update, Edits: []plan.Edit{{Path: "v", Before: 1, After: 3}}, Runs: []int{5, 6}},
		{Ref: ref("reborn"), Action: plan.Replace, Edits: []plan.Edit{{Path: "v", After: 1}}, Runs: []int{7, 8}},
	}
	if diff := cmp.Diff(want, got.Net); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Missing != 0 || got.From.Run != 4 || got.To.Run != 8 {
		t.Errorf("%+v", got)
	}
	if lost := run.Compare(records[1:2], records[2], records[4]); lost.Missing != 3 {
		t.Errorf("%d runs missing, want 3", lost.Missing)
	}
}
