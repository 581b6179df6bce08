package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eks-gitops/reconciler/pkg/eks"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// TestImportTells: the file goes to stdout or to a new file, everything else to stderr, with the next command.
func TestImportTells(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	a := &app{host: host{stdout: &stdout, stderr: &stderr}}
	got := eks.Imported{
		File: []byte("kind: ClusterConfig\n"), Adopted: true, Notes: []string{"aws-auth is in the cluster"},
		Left: []plan.Change{{Action: plan.Update, Ref: gitops.Ref{Domain: gitops.EKS, Kind: "Nodegroup", Namespace: "dev", Name: "system"}, Edits: []plan.Edit{{Path: "labels.role"}}}},
	}
	if err := a.deliver(got.File, ""); err != nil || stdout.String() != "kind: ClusterConfig\n" {
		t.Errorf("stdout has %q: %v", &stdout, err)
	}
	a.remark("dev", "", got)
	for _, want := range []string{
		"eksctl did not make cluster dev", "Not in the file:\n  aws-auth is in the cluster", "all the same:\n  ~ Nodegroup system  labels.role",
		"clusters/dev/cluster.yaml", "reconciler diff clusters/dev\n",
	} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("stderr lacks %q:\n%s", want, &stderr)
		}
	}
	file := filepath.Join(t.TempDir(), "clusters", "dev", "cluster.yaml")
	if err := a.deliver(got.File, file); err != nil {
		t.Fatal(err)
	}
	if body, err := os.ReadFile(file); err != nil || !bytes.Equal(body, got.File) {
		t.Errorf("the file has %q: %v", body, err)
	}
	if err := a.deliver([]byte("kind: Other\n"), file); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("writing it again: %v", err)
	}
	if body, err := os.ReadFile(file); err != nil || !bytes.Equal(body, got.File) {
		t.Errorf("then the file has %q: %v", body, err)
	}
}
