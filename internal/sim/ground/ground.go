// Package ground is the infrastructure of a cluster that has none, for tests and benchmarks of what is inside a cluster.
//
// Inputs: the facts that overlays are to be rendered with. Outputs: what engine.Target wants of its infrastructure.
// Invariants: nothing is there and nothing can be made, so a plan over it has no change of AWS.
package ground

import (
	"context"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// Infra implements the engine's ports for the infrastructure.
type Infra struct{ Known gitops.Facts }

// Observe implements engine.Observer.
func (Infra) Observe(context.Context, gitops.Desired, gitops.Inventory) (gitops.Observed, error) {
	return gitops.Observed{}, nil
}

// Changed implements engine.Observer: nothing ever does.
func (Infra) Changed() <-chan struct{} { return nil }

// Apply implements engine.Actor.
func (Infra) Apply(_ context.Context, c plan.Change) error {
	return gitops.Errorf(gitops.ApplyFailed, "there is no AWS here").On(c.Ref)
}

// Ready implements engine.Actor.
func (Infra) Ready(context.Context, gitops.Ref) (gitops.Health, error) {
	return gitops.Health{Status: gitops.Absent}, nil
}

// Facts implements engine.FactSource.
func (i Infra) Facts(context.Context) (gitops.Facts, error) { return i.Known, nil }
