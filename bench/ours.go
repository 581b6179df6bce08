package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eks-gitops/reconciler/internal/sim/ground"
	"github.com/eks-gitops/reconciler/pkg/apply"
	"github.com/eks-gitops/reconciler/pkg/engine"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/ledger"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// newObjects is the in-cluster side: with watches as the daemon has it, or without as `reconciler diff` does.
func newObjects(a access, watch bool) *apply.Cluster {
	return apply.New(apply.Options{
		Cluster: "bench", Namespace: setsSpace, Watch: watch, Now: time.Now,
		Access: func(context.Context) (apply.Access, error) { return apply.Access{Kubeconfig: a.kubeconfig}, nil },
	})
}

// setsSpace is the namespace of our parents of sets.
const setsSpace = "bench-sets"

// desired is what git would want, rendered.
func desired(objects []*unstructured.Unstructured) gitops.Desired {
	d := gitops.Desired{Cluster: "bench", Overlays: []gitops.Overlay{{Name: "apps", Complete: true}}}
	for i, o := range objects {
		kind := o.GroupVersionKind()
		d.Items = append(d.Items, gitops.Item{
			Ref:  gitops.Ref{Domain: gitops.K8s, Group: kind.Group, Kind: kind.Kind, Namespace: o.GetNamespace(), Name: o.GetName()},
			From: gitops.Origin{Overlay: "apps", Position: gitops.Position{File: "apps.yaml", Line: i + 1}}, Spec: o.Object,
		})
	}
	return d
}

// oursCheck is `reconciler diff` without git, AWS and rendering.
func oursCheck(ctx context.Context, a access, s set) (int, error) {
	d := desired(s.objects)
	seen, err := newObjects(a, false).Observe(ctx, d, gitops.Inventory{})
	if err != nil {
		return 0, err
	}
	p := plan.Build(plan.Input{Desired: d, Observed: seen})
	for _, problem := range p.Problems {
		return 0, problem
	}
	changes := 0
	for _, c := range p.Changes {
		if c.Action != plan.Wait {
			changes++
		}
	}
	return changes, nil
}

// oursApply makes one pass of the engine, and returns when the server has accepted the last change: the pass itself would go on until
// all is ready.
func oursApply(ctx context.Context, a access, s set) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all := &accepted{Side: newObjects(a, true), done: make(chan struct{})}
	e := engine.New(engine.Options{
		Renderer: rendered{desired(s.objects)}, Ledger: ledger.New(ledger.Memory(), ledger.Options{}), Sink: all, Now: time.Now,
		Checks: plan.Checks{Zone: time.LoadLocation, Condition: apply.Condition, Message: apply.Message},
	})
	failed := make(chan error, 1)
	go func() {
		record, err := e.RunOnce(ctx, engine.Job{
			Cluster: gitops.Cluster{Name: "bench", Folder: "clusters/bench", Overlays: []string{"apps"}, Config: gitops.Item{
				Ref: gitops.Ref{Domain: gitops.EKS, Kind: "ClusterConfig", Namespace: "bench", Name: "bench"}, Spec: gitops.Tree{"kind": "ClusterConfig"},
			}},
			Cause:  "bench",
			Target: engine.Target{Infra: ground.Infra{}, Facts: ground.Infra{}, Objects: all, Redactor: gitops.Redactor{Key: []byte("bench")}},
		})
		if err == nil {
			err = fmt.Errorf("the pass ends %s before all was accepted: %v", record.Outcome, record.Plan.Problems)
		}
		failed <- err
	}()
	select {
	case <-all.done:
		return int(all.count.Load()), nil
	case err := <-failed:
		select {
		case <-all.done:
			return int(all.count.Load()), nil
		default:
			return 0, err
		}
	}
}

// accepted counts the changes that the server has accepted.
type accepted struct {
	engine.Side
	planned, count atomic.Int64
	done           chan struct{}
}

// Emit implements run.Sink.
func (a *accepted) Emit(e run.Event) {
	if p, ok := e.(run.Planned); ok {
		a.planned.Store(int64(len(p.Plan.Changes)))
	}
}

// Apply implements engine.Actor.
func (a *accepted) Apply(ctx context.Context, c plan.Change) error {
	if err := a.Side.Apply(ctx, c); err != nil {
		return err
	}
	if a.count.Add(1) == a.planned.Load() {
		close(a.done)
	}
	return nil
}

// rendered renders what it was given.
type rendered struct{ desired gitops.Desired }

func (r rendered) Clusters(context.Context, gitops.Snapshot) ([]gitops.Cluster, error) {
	return nil, nil
}

func (r rendered) Render(context.Context, gitops.Snapshot, gitops.Cluster, gitops.Facts) (gitops.Desired, error) {
	return r.desired, nil
}
