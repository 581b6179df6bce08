package main

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/render"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// TestApprovalFile: the file that approve writes is read as what was shown, and holds what is added.
func TestApprovalFile(t *testing.T) {
	t.Parallel()
	legacy := gitops.Ref{Domain: gitops.K8s, Kind: "Namespace", Name: "legacy"}
	build := func(inside map[string]int, a plan.Approvals) plan.Plan {
		o := gitops.Observation{Owned: true, Overlay: "gone", Live: gitops.Tree{"metadata": gitops.Tree{"uid": "1"}}, Data: "objects inside", Inside: inside}
		return plan.Build(plan.Input{Desired: gitops.Desired{Cluster: "dev"}, Observed: gitops.Observed{legacy: o}}, plan.HoldDestructive(a))
	}
	shown := build(map[string]int{"Secret": 2, "ConfigMap": 1}, nil)
	changes, err := heldChanges(shown, nil)
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{
		"clusters/dev/cluster.yaml":     {Data: []byte("apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: dev, region: eu-west-1}\n")},
		"clusters/dev/approvals/x.yaml": {Data: approvalFile(shown, changes)},
	}
	a := approvals(t, files)
	if c := build(map[string]int{"Secret": 2}, a).Changes[0]; c.Hold != nil || c.Approved == nil || c.Approved.File != "clusters/dev/approvals/x.yaml" {
		t.Errorf("what was shown is held: %+v", c)
	}
	if c := build(map[string]int{"Secret": 3}, a).Changes[0]; c.Hold == nil || c.Hold.Why != "destructive; the approval in clusters/dev/approvals/x.yaml:5 does not cover: 3 Secret inside" {
		t.Errorf("what was not shown: %+v", c.Hold)
	}
}

// TestApproveByWhatWasShown: a plan that run told of is approved by its id also when a later run had something else to do beside it, and no
// more of it than is still held.
func TestApproveByWhatWasShown(t *testing.T) {
	t.Parallel()
	build := func(names ...string) plan.Plan {
		observed := gitops.Observed{}
		for _, name := range names {
			ref := gitops.Ref{Domain: gitops.K8s, Kind: "Namespace", Name: name}
			observed[ref] = gitops.Observation{Owned: true, Overlay: "gone", Live: gitops.Tree{"metadata": gitops.Tree{"uid": name}}, Data: "objects inside", Inside: map[string]int{"Secret": 2}}
		}
		return plan.Build(plan.Input{Desired: gitops.Desired{Cluster: "dev"}, Observed: observed}, plan.HoldDestructive(nil))
	}
	names := func(p plan.Plan) []string {
		var out []string
		for _, c := range p.Changes {
			out = append(out, c.Ref.Name)
		}
		return out
	}
	first, second, third := build("a", "b"), build("b", "c"), build("c")
	for name, tc := range map[string]struct {
		newestFirst []plan.Plan
		id          string
		want        []string
	}{
		"the newest":             {[]plan.Plan{second, first}, second.ID.Short(), []string{"b", "c"}},
		"an older one":           {[]plan.Plan{second, first}, first.ID.Short(), []string{"b"}},
		"nothing of it is held":  {[]plan.Plan{third, first}, first.ID.Short(), nil},
		"nobody told of it":      {[]plan.Plan{second, first}, "0123abcd", nil},
		"no id":                  {[]plan.Plan{second, first}, "", nil},
		"too short for an older": {[]plan.Plan{second, first}, first.ID.Short()[:3], nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var records []run.Record
			for _, p := range tc.newestFirst {
				records = append(records, run.Record{Cluster: "dev", Plan: p})
			}
			got, found := shown(records, tc.id)
			if diff := cmp.Diff(tc.want, names(got)); diff != "" || found != (len(tc.want) > 0) {
				t.Errorf("found %v, (-want +got)\n%s", found, diff)
			}
			if found && !strings.HasPrefix(string(got.ID), tc.id) {
				t.Errorf("it is %s", got.ID)
			}
		})
	}
}

func approvals(t *testing.T, files fs.FS) plan.Approvals {
	t.Helper()
	all, err := render.New(render.Options{}).Clusters(t.Context(), gitops.Snapshot{Files: files})
	if err != nil || len(all) != 1 || len(all[0].Problems) > 0 {
		t.Fatalf("%v %v", err, all)
	}
	return all[0].Approvals
}
