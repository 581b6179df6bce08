package eks

import (
	"errors"
	"strings"
	"testing"

	simfault "github.com/eks-gitops/reconciler/internal/sim/aws/fault"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// TestUpgradeApproved: the approval of an upgrade stands while what it was shown with is told in other words, or something turns up that
// loses nothing, and not when more is found that the upgrade may break.
func TestUpgradeApproved(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	r.converge()
	r.git(strings.Replace(small, `"1.34"`, `"1.35"`, 1))
	unreadable := func(message string) {
		r.Faults().Clear("")
		_, err := r.Faults().Add(simfault.Rule{Service: "eks", Operation: "ListInsights", Effect: simfault.Fail, Code: "ServerException", Message: message, Status: 500})
		r.does(err)
	}
	look := func(a plan.Approvals) plan.Change {
		r.reboot()
		p := plan.HoldDestructive(a)(r.plan())
		return find(t, p, KindCluster, "dev")
	}
	unreadable("oops")
	shown := look(nil)
	if shown.Hold == nil || len(shown.Concerns) != 1 {
		t.Fatalf("%+v", shown)
	}
	a := plan.Approvals{shown.ID: {}, shown.Concerns[0].ID: {Most: 1}}

	unreadable("not today")
	r.kube.budget = "budget shop/web allows none"
	if c := look(a); c.Hold != nil {
		t.Errorf("in other words, and with a budget: %s", c.Hold.Why)
	}
	r.kube.down = gitops.AsError(gitops.Unreachable, errors.New("connection refused"))
	if c := look(a); c.Hold == nil || !strings.Contains(c.Hold.Why, "does not cover: ") || strings.Contains(c.Hold.Why, "does not cover: EKS's upgrade insights") {
		t.Errorf("with the cluster's API unreadable: %+v", c.Hold)
	}
	r.kube.down = nil
	r.Faults().Clear("")
	if c := look(a); c.Hold != nil {
		t.Errorf("with nothing left: %s", c.Hold.Why)
	}
}
