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
		policies := make(chan *gitops.Item, 8)
		e := w.engine()
		e.Connect = func(_ context.Context, c gitops.Cluster) (engine.Target, error) {
			policies <- c.Policy
			return w.target(), nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Daemon(ctx, nil) }()
		time.Sleep(time.Second)
		w.push(configMap("a", "2"))
		time.Sleep(time.Second)
		if first := <-policies; first != nil || len(policies) != 0 {
			t.Fatalf("connected with the policy %v, and %d times more before it changed", first, len(policies))
		}
		w.setPolicy(&gitops.Item{Spec: gitops.Tree{"interval": "1m"}})
		w.push(configMap("a", "3"))
		time.Sleep(time.Second)
		if len(policies) != 1 || <-policies == nil {
			t.Error("not connected with the new policy")
		}
		w.setPolicy(&gitops.Item{Spec: gitops.Tree{"interval": "1m", "aws": gitops.Tree{"role": "arn:aws:iam::111122223333:role/other"}}})
		w.push(configMap("a", "3"))
		time.Sleep(time.Second)
		if len(policies) != 1 || gitops.StringAt((<-policies).Spec, "aws", "role") == "" {
			t.Error("not connected as the new role")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
