package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eks-gitops/reconciler/lab/story"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// TestEksctlMadeIsAdopted creates the cluster of the sample fleet with the unmodified eksctl, from the very file in git. The
// reconciler then has nothing to do to it: diff exits 0, apply brings in the overlays without touching EKS, and teardown leaves nothing.
func TestEksctlMadeIsAdopted(t *testing.T) {
	t.Parallel()
	s := prepare(t, 300)
	lean(t, s)
	push(t, s, "Run the sample fleet")
	file := filepath.Join(s.Fleet.Work, "clusters/dev/cluster.yaml")
	began := time.Now()
	out, err := s.Lab.Run(t.Context(), "eksctl", "create", "cluster", "-f", file, "--kubeconfig", filepath.Join(s.R.State, "eksctl.kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	if out.Code != 0 {
		t.Fatalf("eksctl create cluster exits %d:\n%s%s", out.Code, out.Stdout, out.Stderr)
	}
	t.Logf("eksctl took %s", time.Since(began).Round(time.Second))
	takeTurn(t)

	diff, err := s.R.CLI(t.Context(), "diff", "clusters/dev", "--only", "infra")
	if err != nil {
		t.Fatal(err)
	}
	if diff.Code != 0 {
		t.Errorf("diff of what eksctl made exits %d, want 0:\n%s%s", diff.Code, diff.Stdout, diff.Stderr)
	}
	apply, err := s.R.CLI(t.Context(), "apply", "clusters/dev", "--progress", "plain")
	if err != nil {
		t.Fatal(err)
	}
	if apply.Code != 0 {
		t.Fatalf("apply exits %d:\n%s%s", apply.Code, apply.Stdout, apply.Stderr)
	}
	records, err := s.R.History(t.Context(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	if records[0].Outcome != run.Converged {
		t.Errorf("apply is recorded as %s", records[0].Outcome)
	}
	for _, r := range records {
		for _, c := range r.Plan.Changes {
			if c.Ref.Domain == "eks" {
				t.Errorf("apply wants to %s %s of a cluster that eksctl made from the same file", c.Action, c.Ref)
			}
		}
	}
	again, err := s.R.CLI(t.Context(), "diff", "clusters/dev")
	if err != nil {
		t.Fatal(err)
	}
	if again.Code != 0 {
		t.Errorf("diff after apply exits %d:\n%s", again.Code, again.Stdout)
	}
	balancersGo(t, s)
}

// balancersGo ends a cluster with load balancers in it: one of an application of git, and two that git does not know. Teardown names these, and
// leaves nothing.
func balancersGo(t *testing.T, s *story.Story) {
	t.Helper()
	kubectl := func(args ...string) {
		t.Helper()
		if _, err := s.Lab.Must(t.Context(), "kubectl", append([]string{"--context", "dev-admin"}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
	kubectl("create", "service", "loadbalancer", "beside", "--tcp=80")
	kubectl("create", "service", "clusterip", "network", "--tcp=80")
	kubectl("annotate", "service", "network", "service.beta.kubernetes.io/aws-load-balancer-type=nlb")
	kubectl("patch", "service", "network", "-p", `{"spec":{"type":"LoadBalancer"}}`)
	awaitBalancers(t, s, 3)
	out, err := s.R.CLI(t.Context(), "teardown", "clusters/dev", "--yes", "--progress", "plain")
	if err != nil {
		t.Fatal(err)
	}
	if out.Code != 0 {
		t.Fatalf("teardown exits %d:\n%s%s", out.Code, out.Stdout, out.Stderr)
	}
	for _, name := range []string{"beside", "network"} {
		if !strings.Contains(out.Stderr, "Service default/"+name+" ") {
			t.Errorf("teardown does not name the Service %s:\n%s", name, out.Stderr)
		}
	}
	left, err := s.Lab.Left(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("teardown left %v", left)
	}
}

// awaitBalancers waits until so many Services have their load balancers.
func awaitBalancers(t *testing.T, s *story.Story, want int) {
	t.Helper()
	await(t, fmt.Sprintf("%d load balancers", want), func(ctx context.Context) (bool, error) {
		have, err := s.Lab.Balancers(ctx)
		return err == nil && len(have) == want, passing(err)
	})
}

// TestEksctlManagesWhatTheReconcilerMade is the other way round: the unmodified eksctl lists, scales and deletes what
// apply made.
func TestEksctlManagesWhatTheReconcilerMade(t *testing.T) {
	t.Parallel()
	s := begin(t, 300)
	lean(t, s)
	push(t, s, "Run the sample fleet")
	apply, err := s.R.CLI(t.Context(), "apply", "clusters/dev", "--progress", "plain")
	if err != nil {
		t.Fatal(err)
	}
	if apply.Code != 0 {
		t.Fatalf("apply exits %d:\n%s%s", apply.Code, apply.Stdout, apply.Stderr)
	}
	eksctl := func(args ...string) string {
		t.Helper()
		text, err := s.Lab.Must(t.Context(), "eksctl", args...)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if text := eksctl("get", "cluster"); !strings.Contains(text, "dev") || !strings.Contains(text, "True") {
		t.Errorf("eksctl get cluster does not see dev as its own:\n%s", text)
	}
	groups := eksctl("get", "nodegroup", "--cluster", "dev")
	for _, want := range []string{"system", "batch"} {
		if !strings.Contains(groups, want) {
			t.Errorf("eksctl get nodegroup does not list %s:\n%s", want, groups)
		}
	}
	if text := eksctl("get", "iamserviceaccount", "--cluster", "dev"); !strings.Contains(text, "guestbook") {
		t.Errorf("eksctl get iamserviceaccount does not list guestbook:\n%s", text)
	}
	if text := eksctl("get", "podidentityassociation", "--cluster", "dev"); !strings.Contains(text, "external-dns") {
		t.Errorf("eksctl get podidentityassociation does not list external-dns:\n%s", text)
	}
	eksctl("scale", "nodegroup", "--cluster", "dev", "--name", "batch", "--nodes", "2")
	awaitBalancers(t, s, 1)
	eksctl("delete", "cluster", "--name", "dev", "--wait", "--disable-nodegroup-eviction")
	left, err := s.Lab.Left(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("eksctl delete cluster left %v", left)
	}
}
