package main

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/render"
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

func approvals(t *testing.T, files fs.FS) plan.Approvals {
	t.Helper()
	all, err := render.New(render.Options{}).Clusters(t.Context(), gitops.Snapshot{Files: files})
	if err != nil || len(all) != 1 || len(all[0].Problems) > 0 {
		t.Fatalf("%v %v", err, all)
	}
	return all[0].Approvals
}
