package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eks-gitops/reconciler/lab/story"
)

// TestBadInput gives a converged cluster trouble of every kind. Each case yields one clear message with its place, the exit
// code for "could not tell", and leaves everything else alone. The files' own mistakes are in cmd/reconciler's scripts.
func TestBadInput(t *testing.T) {
	t.Parallel()
	s := begin(t, 300)
	lean(t, s)
	push(t, s, "Run the sample fleet")
	if out := cli(t, s, 0, "apply", "clusters/dev", "--progress", "plain"); out.Code != 0 {
		return
	}
	dev, err := s.Lab.Cluster("dev")
	if err != nil {
		t.Fatal(err)
	}

	t.Run("wrong credentials", func(t *testing.T) {
		thief := *s.R
		thief.Env = append(append([]string{}, s.R.Env...), "AWS_SECRET_ACCESS_KEY=guessed")
		out, err := thief.CLI(t.Context(), "apply", "clusters/dev", "--progress", "plain")
		if err != nil {
			t.Fatal(err)
		}
		expect(t, out, 2, "AccessDenied", "clusters/dev/cluster.yaml")
		if strings.Contains(out.Stdout+out.Stderr, "guessed") {
			t.Error("the secret is in the output")
		}
	})

	t.Run("an AWS that cannot be reached", func(t *testing.T) {
		lost := *s.R
		lost.Env = append(append([]string{}, s.R.Env...), "AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_MAX_ATTEMPTS=1")
		out, err := lost.CLI(t.Context(), "diff", "clusters/dev")
		if err != nil {
			t.Fatal(err)
		}
		expect(t, out, 2, "Unreachable")
		if strings.Contains(out.Stdout, "to delete") {
			t.Errorf("unknown was taken for absent:\n%s", out.Stdout)
		}
	})

	t.Run("a custom resource without its definition blocks nothing else", func(t *testing.T) {
		folder := filepath.Join(s.Fleet.Work, "clusters/dev/addons/orphan")
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, s, "clusters/dev/addons/orphan/kustomization.yaml", "resources: [rule.yaml]\n")
		write(t, s, "clusters/dev/addons/orphan/rule.yaml", "# a rule nobody knows\napiVersion: example.com/v1\nkind: Rule\nmetadata: {name: r, namespace: default}\n")
		edit(t, s, "apps/guestbook/kustomization.yaml", "8.10.1-alpine", "8.10.2-alpine")
		push(t, s, "Add an orphan and bump redis")
		out := cli(t, s, 2, "apply", "clusters/dev", "--progress", "plain")
		expect(t, out, 2, "KindMissing", "addons/orphan/rule.yaml:2")
		wantImage(t, dev, "8.10.2-alpine")
	})

	t.Run("a broken overlay blocks nothing else and prunes nothing", func(t *testing.T) {
		if err := s.Fleet.Remove("clusters/dev/addons/orphan"); err != nil {
			t.Fatal(err)
		}
		edit(t, s, "clusters/dev/addons/metrics-server/kustomization.yaml", "../../../../addons/metrics-server", "../../../../addons/metrics-servre")
		edit(t, s, "apps/guestbook/kustomization.yaml", "8.10.2-alpine", "8.10.3-alpine")
		push(t, s, "Break metrics-server and bump redis")
		out := cli(t, s, 2, "apply", "clusters/dev", "--progress", "plain")
		expect(t, out, 2, "RenderFailed", "clusters/dev/addons/metrics-server/kustomization.yaml:4")
		wantImage(t, dev, "8.10.3-alpine")
		if _, err := dev.Kube.AppsV1().Deployments("kube-system").Get(t.Context(), "metrics-server", metav1.GetOptions{}); err != nil {
			t.Errorf("the broken overlay was pruned: %v", err)
		}
	})

	t.Run("a stack of somebody else", func(t *testing.T) {
		template := filepath.Join(s.R.State, "stack.json")
		if err := os.WriteFile(template, []byte(`{"Resources":{"Role":{"Type":"AWS::IAM::Role","Properties":{"AssumeRolePolicyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"eks.amazonaws.com"},"Action":"sts:AssumeRole"}]}}}}}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Lab.Must(t.Context(), "aws", "cloudformation", "create-stack", "--stack-name", "eksctl-other-cluster", "--template-body", "file://"+template, "--capabilities", "CAPABILITY_IAM"); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(s.Fleet.Work, "clusters/other"), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, s, "clusters/other/cluster.yaml", "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: other, region: eu-west-1}\n")
		push(t, s, "A name that is taken")
		out := cli(t, s, 2, "apply", "clusters/other", "--progress", "plain")
		expect(t, out, 2, "Foreign", "eksctl-other-cluster", "clusters/other/cluster.yaml:3")
	})
}

// cli runs a command and checks its exit code.
func cli(t *testing.T, s *story.Story, want int, args ...string) story.Output {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), story.Patience)
	defer cancel()
	out, err := s.R.CLI(ctx, args...)
	if err != nil {
		t.Fatal(err)
	}
	if out.Code != want {
		t.Errorf("reconciler %s exits %d, want %d:\n%s%s", strings.Join(args, " "), out.Code, want, out.Stdout, out.Stderr)
	}
	return out
}

// expect checks that a command ended with a code and said what it has to say.
func expect(t *testing.T, out story.Output, code int, texts ...string) {
	t.Helper()
	if out.Code != code {
		t.Errorf("exit %d, want %d:\n%s%s", out.Code, code, out.Stdout, out.Stderr)
	}
	for _, text := range texts {
		if !strings.Contains(out.Stdout+out.Stderr, text) {
			t.Errorf("the output does not say %q:\n%s%s", text, out.Stdout, out.Stderr)
		}
	}
}

func write(t *testing.T, s *story.Story, path, text string) {
	t.Helper()
	if err := s.Fleet.Write(path, text); err != nil {
		t.Fatal(err)
	}
}

func wantImage(t *testing.T, c *story.Cluster, tag string) {
	t.Helper()
	d, err := c.Kube.AppsV1().Deployments("guestbook").Get(t.Context(), "redis-leader", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if image := d.Spec.Template.Spec.Containers[0].Image; !strings.HasSuffix(image, ":"+tag) {
		t.Errorf("redis-leader runs %s, want tag %s: trouble elsewhere blocked it", image, tag)
	}
}
