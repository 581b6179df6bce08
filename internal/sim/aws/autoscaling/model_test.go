package autoscaling_test

import (
	"testing"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/autoscaling"
	"github.com/eks-gitops/reconciler/internal/sim/aws/ec2"
	"github.com/eks-gitops/reconciler/internal/sim/aws/modelcheck"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// TestDeclarationsAgainstModels compares operations, fields and resource types with AWS's own data.
func TestDeclarationsAgainstModels(t *testing.T) {
	t.Parallel()
	w, err := world.New(world.Options{Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	machines := ec2.New(w, ec2.Options{})
	groups := autoscaling.New(w, machines)
	modelcheck.Services(t, machines.API(), groups.API())
	modelcheck.ResourceTypes(t, append(ec2.Providers(machines), autoscaling.Providers(groups)...)...)
}
