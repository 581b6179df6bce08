package eks

import (
	"strings"
	"testing"

	simfault "github.com/eks-gitops/reconciler/internal/sim/aws/fault"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// TestBusy: while somebody else's operation holds the lock, a step waits its turn, however long that takes.
func TestBusy(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	r.converge()
	r.git(strings.Replace(small, "desiredCapacity: 2", "desiredCapacity: 3", 1))
	if _, err := r.Faults().Add(simfault.Rule{
		Service: "eks", Operation: "UpdateNodegroupConfig", Effect: simfault.Fail, Code: "ResourceInUseException", Message: "an update is in progress", Status: 409, Count: 20,
	}); err != nil {
		t.Fatal(err)
	}
	r.converge()
	r.settled("waiting")
}

// TestDrainBlocked: a budget holds a replacement, says so, and the old group stays until the budget gives way.
func TestDrainBlocked(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	r.converge()
	r.kube.perNode, r.kube.budget = 2, "PodDisruptionBudget shop/web allows no disruption"
	r.git(strings.Replace(small, "m5.large", "m6i.large", 1))
	c := find(t, r.plan(), KindNodegroup, "system")
	if c.Action != plan.Replace || !strings.Contains(c.Why, "instanceType is immutable on a managed nodegroup") {
		t.Fatalf("%s: %s", c.Action, c.Why)
	}
	if err := r.cloud.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	said := gitops.Health{}
	for range 100 {
		h, err := r.cloud.Ready(t.Context(), c.Ref)
		if err != nil {
			t.Fatal(err)
		}
		said = h
		if h.Step {
			if err := r.cloud.Apply(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		r.tick()
	}
	if want := "draining system: 4 pods left; PodDisruptionBudget shop/web allows no disruption"; said.Message != want || said.Reason != gitops.DrainBlocked {
		t.Errorf("it says %s %q, want DrainBlocked %q", said.Reason, said.Message, want)
	}
	// A new process finds the same change: the approval stays good.
	r.reboot()
	if again := find(t, r.plan(), KindNodegroup, "system"); again.ID != c.ID || again.Action != plan.Replace {
		t.Errorf("a new process plans %s %s, want %s", again.Action, again.ID, c.ID)
	}
	r.kube.budget = ""
	r.converge()
	r.settled("drain")
}

// TestRevert: when git goes back in the middle of a replacement, the successor goes and the old group's nodes are used again.
func TestRevert(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	r.converge()
	r.kube.perNode, r.kube.budget = 1, "not now"
	r.git(strings.Replace(small, "m5.large", "m6i.large", 1))
	c := find(t, r.plan(), KindNodegroup, "system")
	for range 30 {
		if err := r.cloud.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		r.tick()
	}
	old := r.cloud.world.Groups["system"].instances()
	if len(old) == 0 || !r.kube.cordoned[old[0]] {
		t.Fatal("the old nodes are not being drained")
	}
	r.git(small)
	r.kube.budget = ""
	r.converge()
	r.settled("going back")
	if live := r.cloud.world.generations("system"); len(live) != 1 || live[0].Name != "system" {
		t.Errorf("live: %v", live)
	}
	if r.kube.cordoned[old[0]] {
		t.Error("the old nodes are still cordoned")
	}
}
