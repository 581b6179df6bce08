package aws_test

import (
	"testing"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/modelcheck"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// TestDeclarationsAgainstModels compares every operation, route, field and resource type with AWS's own data.
func TestDeclarationsAgainstModels(t *testing.T) {
	t.Parallel()
	s, err := aws.New(aws.Options{World: world.Options{Clock: time.Now}})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.Services()); n < 9 {
		t.Fatalf("%d services", n)
	}
	modelcheck.Services(t, s.Services()...)
	modelcheck.ResourceTypes(t, s.CloudFormation.Types()...)
}
