package engine_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/engine"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// folders is a repository whose cluster folders are what a function says; nil is the world's own cluster.
type folders struct {
	git
	mu  sync.Mutex
	now func() []gitops.Cluster
}

func (f *folders) Clusters(ctx context.Context, s gitops.Snapshot) ([]gitops.Cluster, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now != nil {
		return f.now(), nil
	}
	return f.git.Clusters(ctx, s)
}

// Render renders nothing of a cluster that is ending, which has no overlays.
func (f *folders) Render(ctx context.Context, s gitops.Snapshot, c gitops.Cluster, facts gitops.Facts) (gitops.Desired, error) {
	if c.Ending {
		return gitops.Desired{Revision: s.Revision, Cluster: c.Name}, nil
	}
	return f.git.Render(ctx, s, c, facts)
}

// ends is a world with a cluster that has a nodegroup and an object, all of them live and applied from git, and its daemon.
type ends struct {
	*world
	folders *folders
	log     *bytes.Buffer
	// restart ends the daemon and starts another; stop only ends it.
	restart, stop func()
}

var (
	endingCluster = gitops.Ref{Domain: gitops.EKS, Kind: "Cluster", Namespace: "dev", Name: "dev"}
	endingGroup   = gitops.Ref{Domain: gitops.EKS, Kind: "Nodegroup", Namespace: "dev", Name: "system"}
)

func newEnds(t *testing.T) *ends {
	t.Helper()
	w := newWorld()
	w.push(configMap("a", "1"))
	e := &ends{world: w, folders: &folders{git: git{w}}, log: &bytes.Buffer{}}
	var cancel context.CancelFunc
	var done chan error
	begin := func() {
		daemon := w.engine()
		daemon.Renderer, daemon.Log = e.folders, slog.New(slog.NewTextHandler(e.log, nil))
		daemon.Connect = func(_ context.Context, c gitops.Cluster) (engine.Target, error) {
			target := w.target()
			if !c.Ending {
				target.Infra = nowhere{target.Infra}
			}
			return target, nil
		}
		var ctx context.Context
		ctx, cancel = context.WithCancel(t.Context())
		done = make(chan error, 1)
		go func() { done <- daemon.Daemon(ctx, nil) }()
	}
	e.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	e.restart = func() { e.stop(); begin() }
	begin()
	time.Sleep(time.Minute)
	w.mu.Lock()
	w.live[endingCluster], w.live[endingGroup] = gitops.Tree{"name": "dev"}, gitops.Tree{"name": "system"}
	w.mu.Unlock()
	time.Sleep(time.Hour)
	e.wantLive(t, "Cluster", "ConfigMap", "Nodegroup")
	return e
}

// nowhere is AWS in which a cluster that is not ending has nothing to change.
type nowhere struct{ engine.Side }

func (nowhere) Observe(context.Context, gitops.Desired, gitops.Inventory) (gitops.Observed, error) {
	return gitops.Observed{}, nil
}

func (e *ends) become(now func() []gitops.Cluster) {
	e.folders.mu.Lock()
	e.folders.now = now
	e.folders.mu.Unlock()
	e.push(configMap("a", "1"))
	time.Sleep(10 * time.Minute)
}

func (e *ends) wantLive(t *testing.T, kinds ...string) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	var live []string
	for r := range e.live {
		live = append(live, r.Kind)
	}
	slices.Sort(live)
	if diff := cmp.Diff(kinds, live); diff != "" {
		t.Errorf("live (-want +got):\n%s", diff)
	}
}

// held is what holds each change of the last record, by kind.
func (e *ends) held() map[string]string {
	out := map[string]string{}
	for _, c := range e.lastRecord().Plan.Changes {
		if c.Hold != nil {
			out[c.Ref.Kind] = c.Hold.Why
		}
	}
	return out
}

// tombstone is what is left of the folder when the end of the cluster is approved.
func (e *ends) tombstone(ids ...gitops.Digest) func() []gitops.Cluster {
	return func() []gitops.Cluster {
		c := e.cluster()
		c.Ending, c.Overlays, c.Policy, c.Approvals = true, nil, nil, map[gitops.Digest]gitops.Approval{}
		for _, id := range ids {
			c.Approvals[id] = gitops.Approval{Position: gitops.Position{File: "clusters/dev/approvals/teardown.yaml", Line: 5}}
		}
		return []gitops.Cluster{c}
	}
}

func nobody() []gitops.Cluster { return nil }

// TestAFolderThatLeavesIsHeld: a folder that left git plans the end of its cluster, and holds it; the way on is told once, with the last
// revision that has the folder.
func TestAFolderThatLeavesIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnds(t)
		had := e.job().Snapshot.Revision.Hash
		e.become(nobody)
		e.push(configMap("a", "1"))
		time.Sleep(time.Hour)
		e.wantLive(t, "Cluster", "ConfigMap", "Nodegroup")
		const with = "it ends with cluster dev, whose end is not approved"
		want := map[string]string{"Cluster": "the folder of its cluster left git", "Nodegroup": with, "ConfigMap": with}
		if diff := cmp.Diff(want, e.held()); diff != "" {
			t.Errorf("held (-want +got):\n%s", diff)
		}
		last := e.lastRecord()
		next := "reconciler teardown clusters/dev --rev " + had + " --approval"
		if last.Outcome != run.Waiting || len(last.Plan.Problems) != 1 || last.Plan.Problems[0].Try != next || strings.Count(e.log.String(), next) != 1 {
			t.Errorf("%s with %v; want %q once in\n%s", last.Outcome, last.Plan.Problems, next, e.log)
		}
		if slices.Contains(e.told(), "trouble SourceInvalid") {
			t.Error("a daemon that holds the end of a cluster is said to have nothing to do")
		}
		for _, res := range last.Results {
			if res.State != run.ChangeHeld {
				t.Errorf("%s is %s: what is held is held for its own reason", res.Ref, res.State)
			}
		}
		e.mu.Lock()
		for _, event := range e.events {
			if s, ok := event.(run.Settled); ok && s.Result.State == run.Blocked {
				t.Errorf("%s was told as blocked: %v", s.Result.Ref, s.Result.Error)
			}
		}
		e.mu.Unlock()
		records := len(e.records)
		time.Sleep(time.Hour)
		if len(e.records) != records {
			t.Error("a hold that lasts is recorded again and again")
		}
		e.become(nil) // the folder comes back
		e.wantLive(t, "Cluster", "ConfigMap", "Nodegroup")
		if last := e.lastRecord(); last.Outcome != run.Converged || len(last.Plan.Changes) != 0 {
			t.Errorf("the folder is back, and the plan is %s: %v", last.Outcome, last.Plan.Changes)
		}
		e.stop()
	})
}

// TestAnApprovedEnd: with the approval of exactly this cluster's deletion all of it goes, what runs inside first and the cluster last;
// a process that knows of nothing goes on from the commit alone.
func TestAnApprovedEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnds(t)
		e.restart()
		e.become(e.tombstone("0123456789abcdef"))
		e.wantLive(t, "Cluster", "ConfigMap", "Nodegroup") // what is approved is something else
		var id gitops.Digest
		for _, c := range e.lastRecord().Plan.Changes {
			if c.Ref == endingCluster {
				id = c.ID
			}
		}
		e.mu.Lock()
		e.applies = nil
		e.takes[endingGroup] = time.Minute
		e.steps[endingGroup] = 1
		e.mu.Unlock()
		e.folders.mu.Lock()
		e.folders.now = e.tombstone(id)
		e.folders.mu.Unlock()
		e.push(configMap("a", "1"))
		time.Sleep(time.Second)
		e.restart() // in the middle of it
		time.Sleep(time.Hour)
		e.wantLive(t)
		if got := slices.Compact(e.order()); !slices.Equal(got, []string{"delete a", "delete system", "delete dev"}) {
			t.Errorf("order: %q", got)
		}
		if last := e.lastRecord(); last.Outcome != run.Converged {
			t.Errorf("it ends as %s", last.Outcome)
		}
		log := e.log.String()
		e.become(nobody) // and the rest of the folder goes
		if e.log.String() != log {
			t.Errorf("nothing is left to tell:\n%s", e.log)
		}
		e.stop()
	})
}

// TestAFolderThatMoves: the cluster of a folder that left git is that of another folder now, so nothing of it ends.
func TestAFolderThatMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnds(t)
		e.become(func() []gitops.Cluster {
			c := e.cluster()
			c.Folder = "clusters/development"
			return []gitops.Cluster{c}
		})
		time.Sleep(time.Hour)
		e.wantLive(t, "Cluster", "ConfigMap", "Nodegroup")
		if e.log.Len() > 0 || len(e.lastRecord().Plan.Changes) > 0 {
			t.Errorf("%v\n%s", e.lastRecord().Plan.Changes, e.log)
		}
		e.stop()
	})
}

// TestAnEndWaitsForWhatIsNotKnown: infrastructure stays while nobody knows what runs inside, and everything stays while AWS is not known.
func TestAnEndWaitsForWhatIsNotKnown(t *testing.T) {
	for _, domain := range []gitops.Domain{gitops.EKS, gitops.K8s} {
		t.Run(string(domain), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnds(t)
				e.become(e.tombstone())
				var id gitops.Digest
				for _, c := range e.lastRecord().Plan.Changes {
					if c.Ref == endingCluster {
						id = c.ID
					}
				}
				e.mu.Lock()
				e.observeErr[domain] = errFault
				e.mu.Unlock()
				e.become(e.tombstone(id))
				e.wantLive(t, "Cluster", "ConfigMap", "Nodegroup")
				e.mu.Lock()
				delete(e.observeErr, domain)
				e.mu.Unlock()
				time.Sleep(time.Hour)
				e.wantLive(t)
				e.stop()
			})
		})
	}
}
