package engine_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eks-gitops/reconciler/pkg/engine"
	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// A target is made from the cluster's policy (the interval paces sweeps), so a changed policy makes it anew; nothing else does.
func TestDaemonConnectsAnewForAChangedPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.push(configMap("a", "1"))
		var policies []*gitops.Item
		e := w.engine()
		e.Connect = func(_ context.Context, c gitops.Cluster) (engine.Target, error) {
			policies = append(policies, c.Policy)
			return w.target(), nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Daemon(ctx, nil) }()
		time.Sleep(time.Second)
		w.push(configMap("a", "2"))
		time.Sleep(time.Second)
		if len(policies) != 1 {
			t.Fatalf("connected %d times before the policy changed", len(policies))
		}
		w.setPolicy(&gitops.Item{Spec: gitops.Tree{"interval": "1m"}})
		w.push(configMap("a", "3"))
		time.Sleep(time.Second)
		if len(policies) != 2 || policies[1] == nil {
			t.Errorf("connected with the policies %v", policies)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
