package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/eks-gitops/reconciler/lab/process"
	"github.com/eks-gitops/reconciler/lab/story"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// checkout is the root of the repository.
func checkout(t testing.TB) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lab", "reconciler", "eksctl"} {
		if _, err := os.Stat(filepath.Join(root, ".cache", "bin", name)); err != nil {
			t.Fatalf("%v\nbuild it first: make build lab", err)
		}
	}
	return root
}

// turns bounds how many tests with a reconciler run at once, by its capacity: each has several control planes with much in them, and with
// more of them two cores are late for everybody's clocks. Tests with eksctl alone mostly wait, and need no turn.
var turns = make(chan struct{}, 2)

// begin waits for the test's turn, and prepares a story in a folder of its own.
func begin(t testing.TB, speed int) *story.Story {
	t.Helper()
	takeTurn(t)
	return prepare(t, speed)
}

// takeTurn waits for the test's turn, which ends with it.
func takeTurn(t testing.TB) {
	t.Helper()
	turns <- struct{}{}
	t.Cleanup(func() { <-turns })
}

// prepare is begin without a turn, for a test that begins with waiting.
func prepare(t testing.TB, speed int) *story.Story {
	t.Helper()
	root := checkout(t)
	dir := shortDir(t)
	p := story.Programs{Bin: filepath.Join(root, ".cache", "bin"), Env: append(os.Environ(), "XDG_CONFIG_HOME="+dir), Dir: dir}
	s, err := story.New(t.Context(), p, dir, root, speed)
	if err != nil {
		t.Fatal(err)
	}
	s.Say = t.Logf
	t.Cleanup(func() {
		if t.Failed() {
			if log, err := os.ReadFile(s.R.Log()); err == nil {
				t.Logf("the daemon's log:\n%s", ending(log))
			}
		}
		if err := s.End(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// ending is the end of a log for somebody who reads why a test failed: short, since CI shows only the end of what it printed, and what
// failed is said before.
func ending(log []byte) string {
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	lines = lines[max(0, len(lines)-25):]
	for i, line := range lines {
		if len(line) > 200 {
			lines[i] = line[:200] + " ..."
		}
	}
	return strings.Join(lines, "\n")
}

// lean leaves few overlays in the sample fleet's cluster, one of each sort: an addon, one that AWS has a part in, an application. The demo
// runs the whole of it, twice; what a test does not ask about only takes the machine from the tests beside it.
func lean(t *testing.T, s *story.Story) {
	t.Helper()
	for _, part := range []string{"addons", "apps"} {
		folder := filepath.Join("clusters/dev", part)
		overlays, err := os.ReadDir(filepath.Join(s.Fleet.Work, folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range overlays {
			if slices.Contains([]string{"metrics-server", "external-dns", "guestbook"}, o.Name()) {
				continue
			}
			if err := s.Fleet.Remove(filepath.Join(folder, o.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// shortDir is a folder whose path is short: the control plane's sockets below it must fit into 108 bytes, which t.TempDir of
// a long test name may not.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TestKilledAtAnyMoment ends the daemon with kill -9 again and again while a cluster is created, changed, and a nodegroup
// is replaced, and then after each call of an upgrade. Each time a new one continues from what is live; in the end nothing is missing and nothing is there twice.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	s := begin(t, 300)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	push(t, s, "Run the sample fleet")
	if err := s.R.Start("clusters/dev"); err != nil {
		t.Fatal(err)
	}
	torture := func(times int) {
		for range times {
			// The moment is what varies; whatever state it falls on is the test.
			moment := time.NewTimer(time.Duration(r.IntN(3000)) * time.Millisecond)
			<-moment.C
			s.R.Kill()
			if err := s.R.Start("clusters/dev"); err != nil {
				t.Fatal(err)
			}
		}
	}
	torture(12)
	settle(t, s, run.Converged)

	edit(t, s, "clusters/dev/cluster.yaml", "desiredCapacity: 2", "desiredCapacity: 3")
	edit(t, s, "apps/guestbook/kustomization.yaml", "8.10.1-alpine", "8.10.2-alpine")
	push(t, s, "Scale and bump")
	torture(3)
	settle(t, s, run.Converged)

	edit(t, s, "clusters/dev/cluster.yaml", "  - name: system\n    instanceType: m5.large", "  - name: system\n    instanceType: m6i.large")
	push(t, s, "Replace system")
	held := settle(t, s, run.Waiting)
	if _, err := s.Run(t.Context(), "approve", string(held.Plan.ID), "clusters/dev"); err != nil {
		t.Fatal(err)
	}
	push(t, s, "Approve")
	torture(8)
	settle(t, s, run.Converged)
	nothingTwice(t, s)

	upgradeKilledAtEachCall(t, s)
	nothingTwice(t, s)
}

// upgradeKilledAtEachCall raises the cluster by a minor version, and ends the daemon after every single call by which it changes something in
// AWS. What was asked for once is not asked for again, and in the end everything runs the new version.
func upgradeKilledAtEachCall(t *testing.T, s *story.Story) {
	t.Helper()
	before := awsLog(t, s, 0)
	d := &deeds{seen: before[len(before)-1].Seq}
	edit(t, s, "clusters/dev/cluster.yaml", `version: "1.34"`, `version: "1.35"`)
	push(t, s, "Upgrade to 1.35")
	held := d.killAtEach(t, s, run.Waiting)
	if _, err := s.Run(t.Context(), "approve", string(held.Plan.ID), "clusters/dev"); err != nil {
		t.Fatal(err)
	}
	push(t, s, "Approve the new nodes")
	d.killAtEach(t, s, run.Converged)
	t.Logf("killed after each of %v", d.calls)
	// The self-managed nodegroup is replaced: one stack comes, and one goes.
	for _, once := range []string{"eks:UpdateClusterVersion", "eks:UpdateNodegroupVersion", "cloudformation:CreateStack", "cloudformation:DeleteStack"} {
		if n := len(slices.DeleteFunc(slices.Clone(d.calls), func(c string) bool { return c != once })); n != 1 {
			t.Errorf("%s was called %d times; updates of system that failed: %v", once, n, failedUpdates(t, s, "system"))
		}
	}
	var cluster struct{ Cluster struct{ Version string } }
	if err := s.Lab.AWS(t.Context(), &cluster, "eks", "describe-cluster", "--name", "dev"); err != nil {
		t.Fatal(err)
	}
	if cluster.Cluster.Version != "1.35" {
		t.Errorf("the control plane is at %s", cluster.Cluster.Version)
	}
	dev, err := s.Lab.Cluster("dev")
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range []string{"system", "batch"} {
		await(t, "the nodes of "+group+" to be of 1.35", func(ctx context.Context) (bool, error) {
			nodes, err := dev.Nodes(ctx, group)
			old := slices.ContainsFunc(nodes, func(n corev1.Node) bool { return !strings.HasPrefix(n.Status.NodeInfo.KubeletVersion, "v1.35.") })
			return err == nil && len(nodes) > 0 && !old, passing(err)
		})
	}
}

// failedUpdates are the errors of a nodegroup's updates: what failed is ordered again.
func failedUpdates(t *testing.T, s *story.Story, nodegroup string) (failed []string) {
	t.Helper()
	var list struct{ UpdateIds []string }
	if err := s.Lab.AWS(t.Context(), &list, "eks", "list-updates", "--name", "dev", "--nodegroup-name", nodegroup); err != nil {
		t.Error(err)
	}
	for _, id := range list.UpdateIds {
		var out struct {
			Update struct {
				Status string
				Errors []struct{ ErrorCode, ErrorMessage string }
			}
		}
		if err := s.Lab.AWS(t.Context(), &out, "eks", "describe-update", "--name", "dev", "--nodegroup-name", nodegroup, "--update-id", id); err != nil {
			t.Error(err)
		}
		if out.Update.Status == "Failed" {
			failed = append(failed, fmt.Sprintf("%s %+v", id, out.Update.Errors))
		}
	}
	return failed
}

// deeds are the calls that changed something in AWS since a moment; seen is the number of the last call that was looked at.
type deeds struct {
	seen  int
	calls []string
}

// fresh adds those that were made since the last look, and tells whether there were any.
func (d *deeds) fresh(t *testing.T, s *story.Story) bool {
	t.Helper()
	before := len(d.calls)
	for _, c := range awsLog(t, s, d.seen) {
		d.seen = max(d.seen, c.Seq)
		if !c.ReadOnly && c.Service != "sts" && c.Status/100 == 2 {
			d.calls = append(d.calls, c.action())
		}
	}
	return len(d.calls) > before
}

// killAtEach ends the daemon with kill -9 as soon as it has changed something in AWS, and starts a new one, until the newest commit has come
// to the outcome.
func (d *deeds) killAtEach(t *testing.T, s *story.Story, outcome run.Outcome) (last run.Record) {
	t.Helper()
	commit, err := s.Fleet.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), story.Patience)
	defer cancel()
	err = process.Poll(ctx, 100*time.Millisecond, fmt.Sprintf("dev to be %s at %.7s", outcome, commit), func(ctx context.Context) (bool, error) {
		if d.fresh(t, s) {
			s.R.Kill()
			d.fresh(t, s) // what it did until it was dead
			return false, s.R.Start("clusters/dev")
		}
		records, err := s.R.History(ctx, "dev")
		if err != nil || len(records) == 0 {
			return false, err
		}
		last = records[0]
		return last.Plan.Revision.Hash == commit && last.Outcome == outcome, nil
	})
	if err != nil {
		t.Fatalf("%v; calls: %v", err, d.calls)
	}
	return last
}

// nothingTwice checks that there is exactly one of everything.
func nothingTwice(t *testing.T, s *story.Story) {
	t.Helper()
	dev, err := s.Lab.Cluster("dev")
	if err != nil {
		t.Fatal(err)
	}
	groups, err := dev.Nodegroups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(groups) != 1 {
		t.Errorf("nodegroups %v, want one", groups)
	}
	for group, want := range map[string]int{"system": 3, "batch": 1} {
		// A Node goes a while after its instance: the group itself is gone by then, and the run is over.
		await(t, fmt.Sprintf("%s to have %d nodes", group, want), func(ctx context.Context) (bool, error) {
			nodes, err := dev.Nodes(ctx, group)
			return err == nil && len(nodes) == want, passing(err)
		})
	}
	left, err := s.Lab.Left(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, thing := range left {
		if seen[thing] {
			t.Errorf("%s is there twice", thing)
		}
		seen[thing] = true
	}
	out, err := s.R.CLI(t.Context(), "diff", "clusters/dev")
	if err != nil {
		t.Fatal(err)
	}
	if out.Code != 0 {
		t.Errorf("diff exits %d:\n%s%s", out.Code, out.Stdout, out.Stderr)
	}
	records, err := s.R.History(t.Context(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(records); i++ {
		if records[i].ID != records[i-1].ID-1 {
			t.Errorf("history jumps from run %d to %d", records[i].ID, records[i-1].ID)
		}
	}
}

func push(t testing.TB, s *story.Story, message string) {
	t.Helper()
	if _, err := s.Fleet.Push(t.Context(), message); err != nil {
		t.Fatal(err)
	}
}

func edit(t testing.TB, s *story.Story, path, before, after string) {
	t.Helper()
	if err := s.Fleet.Edit(path, before, after); err != nil {
		t.Fatal(err)
	}
}

func settle(t testing.TB, s *story.Story, outcome run.Outcome) run.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), story.Patience)
	defer cancel()
	commit, err := s.Fleet.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	record, err := s.R.Settled(ctx, "dev", commit, outcome)
	if err != nil {
		t.Fatal(err)
	}
	return record
}
