package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/run"
)

func overlay(name string, i gitops.Item) gitops.Item {
	i.From.Overlay = name
	return i
}

var shopAfterIngress = &gitops.Item{
	From: gitops.Origin{Position: gitops.Position{File: "clusters/dev/reconcile.yaml"}},
	Spec: gitops.Tree{"dependsOn": gitops.Tree{"shop": []any{"ingress"}}, "prune": gitops.Tree{"maxShare": float64(0)}},
}

// An overlay that comes after another starts when all of that is ready, and goes before it; nothing of it starts when something
// of the other is broken. The order is no change: it is neither told nor recorded.
func TestOverlaysComeInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.setPolicy(shopAfterIngress)
		slow, quick := overlay("ingress", configMap("y-slow", "1")), overlay("ingress", configMap("z-quick", "1"))
		web, api, stays := configMap("a-web", "1"), dependsOn(configMap("b-api", "1"), "a-web"), configMap("c-stays", "1")
		w.takes[slow.Ref] = 5 * time.Minute
		w.push(slow, quick, web, api, stays)
		record := once(t, w)
		if record.Outcome != run.Converged || len(record.Results) != 5 {
			t.Fatalf("outcome %s, results %+v", record.Outcome, record.Results)
		}
		for _, a := range w.applies {
			if a.change.From.Overlay == "shop" && (!a.ready[slow.Ref] || !a.ready[quick.Ref]) {
				t.Errorf("%s was applied before all of the other overlay was ready", a.change.Ref)
			}
		}
		for _, e := range w.events {
			if s, ok := e.(run.Settled); ok && s.Result.Ref.Domain == gitops.Git {
				t.Errorf("told: %+v", s)
			}
		}

		w.push(stays, quick)
		if record = once(t, w); record.Outcome != run.Converged {
			t.Fatalf("outcome %s, results %+v", record.Outcome, record.Results)
		}
		if order := w.order()[5:]; len(order) != 3 || order[2] != "delete y-slow" {
			t.Errorf("what the other overlay lost went before what comes after it: %v", order)
		}
	})
}

func TestBrokenOverlayBlocksWhatComesAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.setPolicy(shopAfterIngress)
		broken, web, free := overlay("ingress", configMap("broken", "1")), configMap("web", "1"), overlay("free", configMap("free", "1"))
		w.broken[broken.Ref] = true
		w.push(broken, web, free)
		record := once(t, w)
		got := map[string]string{}
		for _, r := range record.Results {
			got[r.Ref.Name] = string(r.State)
			if r.Error != nil {
				got[r.Ref.Name] += ": " + r.Error.Message()
			}
		}
		want := map[string]string{"broken": "failed: it is broken", "web": "blocked: needs Overlay ingress, which is blocked", "free": "done"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
