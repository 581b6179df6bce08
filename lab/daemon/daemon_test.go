package daemon_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eks-gitops/reconciler/lab/labtest"
	"github.com/eks-gitops/reconciler/lab/process"
)

// world is a lab and the tools against it.
type world struct {
	lab          *labtest.Lab
	aws, kubectl string
}

func newWorld(t *testing.T, o labtest.Options) *world {
	t.Helper()
	w := &world{lab: labtest.Start(t, o)}
	for name, path := range map[string]*string{"aws": &w.aws, "kubectl": &w.kubectl} {
		found, err := exec.LookPath(name)
		if err != nil {
			t.Fatalf("%s is needed (make deps installs it): %v", name, err)
		}
		*path = found
	}
	return w
}

func (w *world) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := w.try(t, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return out
}

func (w *world) try(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	out, err := w.lab.Command(t, name, args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (w *world) text(t *testing.T, args ...string) string {
	t.Helper()
	return w.run(t, w.aws, append(args, "--output", "text")...)
}

// createCluster creates a cluster by the API alone and waits until it is active.
func (w *world) createCluster(t *testing.T, name string) {
	t.Helper()
	role := w.text(t, "iam", "create-role", "--role-name", name, "--query", "Role.Arn", "--assume-role-policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}]}`)
	w.text(t, "iam", "attach-role-policy", "--role-name", name, "--policy-arn", "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy")
	vpc := w.text(t, "ec2", "create-vpc", "--cidr-block", "10.0.0.0/16", "--query", "Vpc.VpcId")
	var subnets []string
	for i, zone := range []string{"us-west-2a", "us-west-2b"} {
		subnets = append(subnets, w.text(t, "ec2", "create-subnet", "--vpc-id", vpc, "--availability-zone", zone,
			"--cidr-block", fmt.Sprintf("10.0.%d.0/24", i), "--query", "Subnet.SubnetId"))
	}
	w.text(t, "eks", "create-cluster", "--name", name, "--role-arn", role, "--kubernetes-version", "1.34", "--resources-vpc-config", "subnetIds="+strings.Join(subnets, ","))
	w.await(t, "the cluster to be active", func() bool {
		return w.text(t, "eks", "describe-cluster", "--name", name, "--query", "cluster.status") == "ACTIVE"
	})
}

func (w *world) await(t *testing.T, what string, check func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := process.Poll(ctx, 200*time.Millisecond, what, func(context.Context) (bool, error) { return check(), nil }); err != nil {
		t.Fatal(err)
	}
}

func (w *world) pids(t *testing.T) []int {
	t.Helper()
	status, err := w.lab.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, c := range status.Clusters {
		for _, pid := range c.PIDs {
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestALabGoesOnAfterACrash creates a cluster, kills the lab, starts it again and deletes the cluster.
func TestALabGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "lab")
	w := newWorld(t, labtest.Options{Dir: dir})
	w.createCluster(t, "crash")
	endpoint := w.text(t, "eks", "describe-cluster", "--name", "crash", "--query", "cluster.endpoint")
	w.run(t, w.kubectl, "--context", "crash", "create", "configmap", "kept")
	onlyTokensForTheClusterAreGood(t, w)

	pids := w.pids(t)
	if len(pids) != 5 {
		t.Fatalf("the control plane has the processes %v", pids)
	}
	w.lab.Kill()
	w.await(t, "the control plane to end with the lab", func() bool { return !slices.ContainsFunc(pids, process.Alive) })

	w.lab = labtest.Start(t, labtest.Options{Dir: dir})
	w.await(t, "the control plane to come back", func() bool {
		status, err := w.lab.Status(t.Context())
		return err == nil && len(status.Clusters) == 1 && status.Clusters[0].Ready
	})
	if got := w.text(t, "eks", "describe-cluster", "--name", "crash", "--query", "cluster.[status,endpoint]"); got != "ACTIVE\t"+endpoint {
		t.Errorf("the cluster came back as %s", got)
	}
	w.run(t, w.kubectl, "--context", "crash", "get", "configmap", "kept")

	pids = w.pids(t)
	w.text(t, "eks", "delete-cluster", "--name", "crash")
	w.await(t, "the cluster to go", func() bool {
		out, err := w.try(t, w.aws, "eks", "describe-cluster", "--name", "crash")
		return err != nil && strings.Contains(out, "ResourceNotFoundException")
	})
	w.await(t, "its control plane to go", func() bool {
		left, err := os.ReadDir(filepath.Join(dir, "clusters"))
		return err == nil && len(left) == 0 && !slices.ContainsFunc(pids, process.Alive)
	})
	w.await(t, "the lab to forget it", func() bool {
		status, err := w.lab.Status(t.Context())
		return err == nil && len(status.Clusters) == 0
	})
	if got := w.run(t, w.kubectl, "config", "get-contexts", "-o", "name"); got != "" {
		t.Errorf("contexts left: %s", got)
	}
}

// onlyTokensForTheClusterAreGood: the principal that made the cluster is its administrator; a token made for another cluster, or
// signed by nobody's key, is none.
func onlyTokensForTheClusterAreGood(t *testing.T, w *world) {
	t.Helper()
	if got := w.run(t, w.kubectl, "--context", "crash", "auth", "can-i", "*", "*"); !strings.HasSuffix(got, "yes") {
		t.Errorf("the creator may do everything: %s", got)
	}
	config := w.lab.Kubeconfig()
	server := w.run(t, w.kubectl, "config", "view", "--raw", "-o", `jsonpath={.clusters[?(@.name=="crash")].cluster.server}`)
	for name, c := range map[string]struct {
		cluster string
		env     []string
		good    bool
	}{
		"for the cluster": {"crash", nil, true}, "for another": {"other", nil, false},
		"by a wrong key": {"crash", []string{"AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=wrong"}, false},
	} {
		command := w.lab.Command(t, labtest.Tool(t, "lab"), "token", "--dir", w.lab.Dir, c.cluster)
		command.Env = append(command.Env, c.env...)
		out, err := command.Output()
		if err != nil {
			t.Fatal(err)
		}
		var credential struct{ Status struct{ Token string } }
		if err := json.Unmarshal(out, &credential); err != nil {
			t.Fatal(err)
		}
		_, err = w.try(t, w.kubectl, "--kubeconfig", "/dev/null", "--server", server, "--certificate-authority", caOf(t, w, config), "--token", credential.Status.Token, "get", "namespaces")
		if (err == nil) != c.good {
			t.Errorf("a token %s: %v", name, err)
		}
	}
}

// caOf writes the authority of the cluster to a file.
func caOf(t *testing.T, w *world, config string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.crt")
	data := w.run(t, w.kubectl, "--kubeconfig", config, "config", "view", "--raw", "-o", `go-template={{range .clusters}}{{if eq .name "crash"}}{{index .cluster "certificate-authority-data" | base64decode}}{{end}}{{end}}`)
	if err := os.WriteFile(file, []byte(data+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTwoLabsDoNotShareAFolder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, labtest.Options{})
	out, err := w.try(t, labtest.Tool(t, "lab"), "up", "--dir", w.lab.Dir)
	if err == nil || !strings.Contains(out, "running there already") {
		t.Errorf("got %v: %s", err, out)
	}
}

func TestFaultsAreScripted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, labtest.Options{})
	lab := labtest.Tool(t, "lab")
	w.run(t, lab, "fault", "--dir", w.lab.Dir, "list")
	w.run(t, lab, "--dir", w.lab.Dir, "fault", "add", "service=eks", "operation=ListClusters", "effect=error", "code=ServerException", "status=500", "count=99")
	if out, err := w.try(t, w.aws, "eks", "list-clusters"); err == nil || !strings.Contains(out, "ServerException") {
		t.Errorf("got %v: %s", err, out)
	}
	if out := w.run(t, lab, "--dir", w.lab.Dir, "fault", "list"); !strings.Contains(out, "ListClusters") {
		t.Errorf("the rule is not listed: %s", out)
	}
	w.run(t, lab, "--dir", w.lab.Dir, "fault", "clear")
	w.run(t, w.aws, "eks", "list-clusters")
	if out, err := w.try(t, lab, "--dir", w.lab.Dir, "fault", "add", "effect=nonsense"); err == nil || !strings.Contains(out, "refuses") {
		t.Errorf("got %v: %s", err, out)
	}
}
