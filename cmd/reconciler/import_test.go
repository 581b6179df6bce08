package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

// TestImportAsARole: the cluster is read as the role, and reconcile.yaml beside the file says so; one that is there is left as it is.
func TestImportAsARole(t *testing.T) {
	s := simulated(t, "team")
	const role = "arn:aws:iam::111122223333:role/team"
	var said bytes.Buffer
	got := execute(t.Context(), []string{"import", "dev", "--role", role, "--external-id", "fleet-7"}, host{
		stdin: &bytes.Buffer{}, stdout: &said, stderr: &said, getenv: os.Getenv, now: time.Now,
	})
	if got != exitUnknown || !strings.Contains(said.String(), "there is no cluster dev in eu-west-1") {
		t.Errorf("exit %d:\n%s", got, &said)
	}
	for _, r := range s.Requests(0) {
		if r.Operation == "DescribeCluster" && r.Caller != "arn:aws:sts::111122223333:assumed-role/team/reconciler-dev" {
			t.Errorf("asked as %s", r.Caller)
		}
	}
	for text, as := range map[string]plan.AWS{
		"aws.role: want the ARN of an IAM role": {Role: "team"},
		"aws: role is missing":                  {ExternalID: "fleet-7"},
	} {
		if _, err := policyOf(as); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%+v: %v, want %s", as, err, text)
		}
	}
	policy, err := policyOf(plan.AWS{Role: role, ExternalID: "fleet-7"})
	if err != nil {
		t.Fatal(err)
	}
	said.Reset()
	a := &app{host: host{stdout: &said, stderr: &said}}
	file := filepath.Join(t.TempDir(), "cluster.yaml")
	want := "aws:\n  externalID: fleet-7\n  role: " + role + "\n"
	if err := a.deliverPolicy(policy, file); err != nil || said.Len() > 0 {
		t.Errorf("%q, %v", &said, err)
	}
	if body, err := os.ReadFile(filepath.Join(filepath.Dir(file), "reconcile.yaml")); err != nil || string(body) != want {
		t.Errorf("the policy is\n%s%v", body, err)
	}
	for _, place := range []string{file, ""} {
		said.Reset()
		if err := a.deliverPolicy(policy, place); err != nil || said.String() != "Let reconcile.yaml beside it say:\n"+want {
			t.Errorf("%q, %v", &said, err)
		}
	}
}
