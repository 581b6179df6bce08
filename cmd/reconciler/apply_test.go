package main

import (
	"context"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/ground"
	"github.com/eks-gitops/reconciler/pkg/engine"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// TestApplyLooksAgainWhileItWaits: what an apply waits for may need something that went after it had looked. It does not wait for its
// deadline then, but makes that again.
func TestApplyLooksAgainWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shop{live: map[string]bool{}}
		f := &fleet{engine: engine.New(engine.Options{Renderer: s, Ledger: s, Sink: run.Sinks{}, Now: time.Now})}
		// Somebody deletes the queue once the worker is being started.
		time.AfterFunc(10*time.Second, func() { s.set("queue", false) })
		began := time.Now()
		record, err := f.converge(t.Context(), engine.Job{
			Snapshot: gitops.Snapshot{Files: fstest.MapFS{}}, Cluster: s.cluster(), Cause: "apply",
			Target: engine.Target{Infra: ground.Infra{}, Facts: ground.Infra{}, Objects: s, Redactor: gitops.Redactor{Key: []byte("key")}},
		})
		if took := time.Since(began); err != nil || record.Outcome != run.Converged || took > 2*time.Minute {
			t.Errorf("%s after %s, %v", record.Outcome, took, err)
		}
	})
}

// shop is a cluster of a queue and a worker, which is ready half a minute after both are there.
type shop struct {
	mu    sync.Mutex
	live  map[string]bool
	since time.Time
}

func (s *shop) set(name string, there bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live[name], s.since = there, time.Now()
}

func (s *shop) cluster() gitops.Cluster {
	return gitops.Cluster{Name: "dev", Folder: "clusters/dev", Overlays: []string{"shop"}, Config: gitops.Item{
		Ref: gitops.Ref{Domain: gitops.EKS, Kind: "ClusterConfig", Name: "dev"}, Spec: gitops.Tree{"kind": "ClusterConfig"},
	}}
}

// Clusters implements engine.Renderer.
func (s *shop) Clusters(context.Context, gitops.Snapshot) ([]gitops.Cluster, error) {
	return []gitops.Cluster{s.cluster()}, nil
}

// Render implements engine.Renderer.
func (s *shop) Render(context.Context, gitops.Snapshot, gitops.Cluster, gitops.Facts) (gitops.Desired, error) {
	d := gitops.Desired{Cluster: "dev", Overlays: []gitops.Overlay{{Name: "shop", Complete: true}}}
	for _, name := range []string{"queue", "worker"} {
		d.Items = append(d.Items, gitops.Item{Ref: s.ref(name), From: gitops.Origin{Overlay: "shop"}, Spec: gitops.Tree{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": gitops.Tree{"name": name, "namespace": "shop"},
		}})
	}
	return d, nil
}

func (s *shop) ref(name string) gitops.Ref {
	return gitops.Ref{Domain: gitops.K8s, Kind: "ConfigMap", Namespace: "shop", Name: name}
}

// Changed implements engine.Actor: nothing tells of changes.
func (s *shop) Changed() <-chan struct{} { return nil }

// Observe implements engine.Observer.
func (s *shop) Observe(_ context.Context, d gitops.Desired, _ gitops.Inventory) (gitops.Observed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := gitops.Observed{}
	for _, item := range d.Items {
		o := gitops.Observation{Next: item.Spec, Spec: item.Spec, From: item.From, Owned: true, Overlay: "shop"}
		if s.live[item.Ref.Name] {
			health := s.health(item.Ref)
			o.Live, o.Progress = item.Spec, &health
		}
		out[item.Ref] = o
	}
	return out, nil
}

// Apply implements engine.Actor.
func (s *shop) Apply(_ context.Context, c plan.Change) error {
	if c.Action != plan.Wait {
		s.set(c.Ref.Name, c.Action != plan.Delete)
	}
	return nil
}

// Ready implements engine.Actor.
func (s *shop) Ready(_ context.Context, r gitops.Ref) (gitops.Health, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health(r), nil
}

func (s *shop) health(r gitops.Ref) gitops.Health {
	switch {
	case !s.live[r.Name]:
		return gitops.Health{Status: gitops.Absent}
	case r.Name == "worker" && (!s.live["queue"] || time.Since(s.since) <= 30*time.Second):
		return gitops.Health{Status: gitops.Progressing, Message: "no queue to work on"}
	}
	return gitops.Health{Status: gitops.Ready}
}

// Inventory implements engine.Ledger.
func (s *shop) Inventory(context.Context, string) (gitops.Inventory, error) {
	return gitops.Inventory{}, nil
}

// Save implements engine.Ledger.
func (s *shop) Save(context.Context, string, gitops.Inventory) error { return nil }

// Append implements engine.Ledger.
func (s *shop) Append(_ context.Context, r run.Record) (run.Record, error) { return r, nil }
