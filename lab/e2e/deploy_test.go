package e2e

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/eks-gitops/reconciler/internal/sim/git"
	"github.com/eks-gitops/reconciler/lab/story"
	"github.com/eks-gitops/reconciler/pkg/apply"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/ledger"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// deployed is the product as deploy/example installs it: in the cluster dev, which it reconciles itself, from a private
// repository, under an IAM role of its own.
type deployed struct {
	*story.Story
	dev *story.Cluster
	// kubeconfig is for people outside, with dev as its current context.
	kubeconfig string
	gateway    *gateway
	replicas   map[string]*container
	books      *ledger.Ledger
}

// TestDeployment installs deploy/ in a real cluster and runs what its Pods would run. It reconciles and keeps its books
// with nothing but the rights of its Role, and uses all of them; two replicas share the work, and hand it over.
func TestDeployment(t *testing.T) {
	t.Parallel()
	s := begin(t, 300)
	lean(t, s)
	push(t, s, "Run the sample fleet")
	cli(t, s, 0, "apply", "clusters/dev", "--progress", "plain") // somebody has to make the first cluster
	d := install(t, s)

	for _, name := range d.names() {
		d.replicas[name].start(t)
	}
	first := d.holder(t, "")
	d.settled(t)

	edit(t, s, "apps/guestbook/kustomization.yaml", "8.10.1-alpine", "8.10.2-alpine")
	push(t, s, "Bump redis")
	bump := d.settled(t)
	if got := d.holder(t, ""); got != first {
		t.Errorf("the lease went from %s to %s without need", first, got)
	}

	// A node dies: nothing is given back, the lease expires.
	d.replicas[first].process.Kill()
	second := d.holder(t, first)
	edit(t, s, "clusters/dev/cluster.yaml", "desiredCapacity: 2", "desiredCapacity: 3")
	push(t, s, "Scale system")
	scale := d.settled(t)

	// A Pod is replaced: what it had goes over at once, to one that was started meanwhile and reads the books in the cluster.
	d.replicas[first].start(t)
	began := time.Now()
	d.replicas[second].stop(t)
	d.holder(t, second)
	t.Logf("handed over after %s", time.Since(began).Round(time.Second/10))
	edit(t, s, "apps/guestbook/kustomization.yaml", "8.10.2-alpine", "8.10.1-alpine")
	push(t, s, "Unbump redis")
	unbump := d.settled(t)

	d.nothingTwice(t, bump, scale, unbump)
	d.readFromOutside(t, unbump)
	d.replicas[first].stop(t)
	d.usesItsRole(t)
	d.allowedByItsPolicy(t)
}

// install applies deploy/example, with the values that a user would fill in, and waits for its Pods.
func install(t *testing.T, s *story.Story) *deployed {
	t.Helper()
	dev, err := s.Lab.Cluster("dev")
	if err != nil {
		t.Fatal(err)
	}
	d := &deployed{Story: s, dev: dev, kubeconfig: outside(t, s), replicas: map[string]*container{}}
	host, err := git.Serve(filepath.Dir(s.Fleet.Bare), git.Options{TLS: true, User: "reconciler", Password: "token-of-the-repository"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Close)
	dir := shortDir(t)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(checkout(t), "deploy"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kustomization.yaml", "git-credentials.yaml"} {
		path := filepath.Join(dir, "example", name)
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.NewReplacer("https://example.com/fleet.git", host.URL+"/fleet.git", "change-me", "token-of-the-repository",
			"/etc/reconciler/git", filepath.Join(dir, "mounted")).Replace(string(body))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := s.Lab.Must(t.Context(), "kubectl", "--kubeconfig", d.kubeconfig, "apply", "-k", filepath.Join(dir, "example")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d.fillLedger(t)

	access := apply.Access{Kubeconfig: d.kubeconfig}
	config, err := clientcmd.BuildConfigFromFlags("", access.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	d.gateway = newGateway(t, config.Host, config.CAData)
	role := d.role(t)
	authority := filepath.Join(dir, "git-ca.crt")
	if err := os.WriteFile(authority, host.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, pod := range d.pods(t) {
		c := mount(t, dev, pod, d.gateway, filepath.Join(s.R.Bin, "reconciler"), role...)
		c.args = append(c.args, "--git-ca-file="+authority)
		d.replicas[pod.Name] = c
	}
	t.Cleanup(func() {
		for name, c := range d.replicas {
			if log, err := os.ReadFile(filepath.Join(c.dir, "reconciler.log")); err == nil && t.Failed() {
				t.Logf("the log of %s:\n%s", name, ending(log))
			}
		}
	})
	return d
}

// outside is a kubeconfig of somebody with all rights, with the context of dev as the current one.
func outside(t *testing.T, s *story.Story) string {
	t.Helper()
	text, err := s.Lab.Must(t.Context(), "kubectl", "config", "view", "--minify", "--flatten", "--raw", "--context", "dev-admin")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(shortDir(t), "kubeconfig")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// fillLedger writes as many runs as are kept, so that each further one has to drop an old one.
func (d *deployed) fillLedger(t *testing.T) {
	t.Helper()
	home := apply.New(apply.Options{Cluster: "home", Now: time.Now, Access: func(context.Context) (apply.Access, error) {
		return apply.Access{Kubeconfig: d.kubeconfig}, nil
	}})
	t.Cleanup(home.Close)
	d.books = ledger.New(home.Blobs("ledger", apply.InSecrets), ledger.Options{})
	for range 200 {
		if _, err := d.books.Append(t.Context(), run.Record{Cluster: "dev", Cause: "apply", Outcome: run.Converged, Plan: plan.Plan{Cluster: "dev"}}); err != nil {
			t.Fatal(err)
		}
	}
}

// pods waits until every replica runs: Pod Security let it in, and the scheduler found room.
func (d *deployed) pods(t *testing.T) []corev1.Pod {
	t.Helper()
	var running []corev1.Pod
	await(t, "two running Pods", func(ctx context.Context) (bool, error) {
		list, err := d.dev.Kube.CoreV1().Pods("reconciler-system").List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=reconciler"})
		if err != nil {
			return false, passing(err)
		}
		running = slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.Status.Phase != corev1.PodRunning })
		return len(running) == 2, nil
	})
	return running
}

// role makes the IAM role of deploy/README.md and lets it into dev, and gives the environment of a process that has it.
func (d *deployed) role(t *testing.T) []string {
	t.Helper()
	deploy := filepath.Join(checkout(t), "deploy")
	aws := func(into any, args ...string) {
		t.Helper()
		if err := d.Lab.AWS(t.Context(), into, args...); err != nil {
			t.Fatal(err)
		}
	}
	var role struct{ Role struct{ Arn string } }
	aws(&role, "iam", "create-role", "--role-name", "reconciler", "--assume-role-policy-document", "file://"+filepath.Join(deploy, "iam-trust.json"))
	if _, err := d.Lab.Must(t.Context(), "aws", "iam", "put-role-policy", "--role-name", "reconciler", "--policy-name", "reconciler",
		"--policy-document", "file://"+filepath.Join(deploy, "iam-policy.json")); err != nil {
		t.Fatal(err)
	}
	var ignored any
	aws(&ignored, "eks", "create-pod-identity-association", "--cluster-name", "dev", "--namespace", "reconciler-system",
		"--service-account", "reconciler", "--role-arn", role.Role.Arn)
	aws(&ignored, "eks", "create-access-entry", "--cluster-name", "dev", "--principal-arn", role.Role.Arn)
	aws(&ignored, "eks", "associate-access-policy", "--cluster-name", "dev", "--principal-arn", role.Role.Arn, "--access-scope", "type=cluster",
		"--policy-arn", "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy")
	// Nobody runs the agent on the lab's nodes. In its place, the account's administrator is trusted and takes the role.
	account := strings.Split(role.Role.Arn, ":")[4]
	if _, err := d.Lab.Must(t.Context(), "aws", "iam", "update-assume-role-policy", "--role-name", "reconciler", "--policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"`+account+`"},"Action":"sts:AssumeRole"}]}`); err != nil {
		t.Fatal(err)
	}
	var assumed struct {
		Credentials struct {
			ID      string `json:"AccessKeyId"`
			Secret  string `json:"SecretAccessKey"`
			Session string `json:"SessionToken"`
		}
	}
	aws(&assumed, "sts", "assume-role", "--role-arn", role.Role.Arn, "--role-session-name", "eks-dev-reconciler")
	key := assumed.Credentials
	return []string{
		"AWS_REGION=" + d.Lab.Var("AWS_REGION"), "AWS_ENDPOINT_URL=" + d.Lab.Var("AWS_ENDPOINT_URL"),
		"AWS_ACCESS_KEY_ID=" + key.ID, "AWS_SECRET_ACCESS_KEY=" + key.Secret, "AWS_SESSION_TOKEN=" + key.Session,
	}
}

func (d *deployed) names() []string {
	var names []string
	for name := range d.replicas {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// holder waits until a Pod other than the given one holds the lease of dev.
func (d *deployed) holder(t *testing.T, other string) string {
	t.Helper()
	holder := ""
	await(t, "a holder of the lease other than "+other, func(ctx context.Context) (bool, error) {
		var err error
		holder, err = holderOf(ctx, d.dev, "dev")
		return holder != "" && holder != other, passing(err)
	})
	return holder
}

// settled waits until the books in the cluster say that dev has converged at the newest commit.
func (d *deployed) settled(t *testing.T) string {
	t.Helper()
	commit, err := d.Fleet.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	await(t, "dev to converge at "+commit, func(ctx context.Context) (bool, error) {
		last, ok, err := d.books.Last(ctx, "dev")
		if errors.Is(err, &gitops.Error{Reason: gitops.LedgerUnavailable}) {
			return false, nil // one read of many; await tells when none succeeds
		}
		return ok && last.Plan.Revision.Hash == commit && last.Outcome == run.Converged, err
	})
	return commit
}

// readFromOutside asks as people do who have a kubeconfig and no daemon.
func (d *deployed) readFromOutside(t *testing.T, commit string) {
	t.Helper()
	p := d.Lab.Programs
	p.Env = append(slices.Clone(p.Env), "KUBECONFIG="+d.kubeconfig)
	for want, args := range map[string][]string{
		commit[:7]:  {"history", "--ledger", "kubernetes"},
		"converged": {"status", "dev", "--ledger", "kubernetes:reconciler-system"}, // prod may still be on its way
	} {
		out, err := p.Run(t.Context(), "reconciler", args...)
		if err != nil {
			t.Fatal(err)
		}
		if out.Code != 0 || !strings.Contains(out.Stdout, want) {
			t.Errorf("%v exits %d and does not tell of %q:\n%s%s", args, out.Code, want, out.Stdout, out.Stderr)
		}
	}
}

// usesItsRole compares what was asked with what deploy/base/rbac.yaml grants: nothing is refused, and nothing is granted in vain.
func (d *deployed) usesItsRole(t *testing.T) {
	t.Helper()
	role, err := d.dev.Kube.RbacV1().Roles("reconciler-system").Get(t.Context(), "reconciler", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	granted := map[string]bool{}
	for _, rule := range role.Rules {
		for _, group := range rule.APIGroups {
			if group == "" {
				group = "core"
			}
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					granted[group+" "+resource+" "+verb+" in reconciler-system"] = true
				}
			}
		}
	}
	d.gateway.mu.Lock()
	defer d.gateway.mu.Unlock()
	if diff := cmp.Diff(granted, d.gateway.asked); diff != "" {
		t.Errorf("what the Role grants and what the daemon asked for (-granted +asked):\n%s", diff)
	}
	for _, denied := range d.gateway.denied {
		t.Errorf("the API server refused: %s", denied)
	}
	for name, c := range d.replicas {
		if log := c.log(t); strings.Contains(strings.ToLower(log), "forbidden") {
			t.Errorf("%s was forbidden something:\n%s", name, log)
		}
	}
}

// allowedByItsPolicy compares every call that reached AWS with deploy/iam-policy.json. The calls of the first apply, under
// another identity, are the product's too: they made the cluster.
func (d *deployed) allowedByItsPolicy(t *testing.T) {
	t.Helper()
	allowed := readPolicy(t, filepath.Join(checkout(t), "deploy", "iam-policy.json")).actions()
	byRole := 0
	seen := map[string]bool{}
	for _, r := range awsLog(t, d.Story, 0) {
		if !strings.HasPrefix(r.Agent, "aws-sdk-go-v2/") {
			continue // the AWS CLI is not the product
		}
		if strings.Contains(r.Caller, ":assumed-role/reconciler/") {
			byRole++
		}
		action := r.action()
		if !seen[action] && allowed[action] == 0 {
			t.Errorf("the policy does not allow %s", action)
		}
		seen[action] = true
	}
	if byRole == 0 {
		t.Error("nothing was called under the role")
	}
	var stacks struct{ Stacks []struct{ StackName string } }
	if err := d.Lab.AWS(t.Context(), &stacks, "cloudformation", "describe-stacks"); err != nil {
		t.Fatal(err)
	}
	for _, stack := range stacks.Stacks {
		var resources struct {
			StackResources []struct{ ResourceType string }
		}
		if err := d.Lab.AWS(t.Context(), &resources, "cloudformation", "describe-stack-resources", "--stack-name", stack.StackName); err != nil {
			t.Fatal(err)
		}
		for _, r := range resources.StackResources {
			actions, known := handlers()[r.ResourceType]
			if !known {
				t.Errorf("stack %s has a %s: say in handlers which actions CloudFormation needs for it", stack.StackName, r.ResourceType)
			}
			for _, action := range actions {
				if allowed[action] == 0 {
					t.Errorf("the policy does not allow %s, which CloudFormation needs for a %s", action, r.ResourceType)
				}
			}
		}
	}
}
