// Package engine is the loop: fetch, render, observe, plan, carry out, record; once (RunOnce) or forever (Daemon).
//
// Inputs: the ports below, wired by cmd. Outputs: events to a run.Sink and Records to the Ledger.
// Invariants: level-triggered (nudges only say when to look, never what changed); what is applied is a subset of what was
// planned; a restarted process resumes from observation alone; one cluster's or overlay's trouble never delays another.
package engine

import (
	"context"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// Source yields snapshots of the repository.
type Source interface {
	// Fetch returns the newest snapshot. It is cheap when nothing moved. Errors are *gitops.Error.
	Fetch(ctx context.Context) (gitops.Snapshot, error)
	// Changed delivers a nudge (capacity one, coalesced) when Fetch may yield something new. It is never closed.
	Changed() <-chan struct{}
}

// Renderer turns a snapshot into what each cluster should be.
type Renderer interface {
	// Clusters lists the cluster folders with their ClusterConfigs, policies and approvals; it renders no overlay.
	// A broken cluster is returned with Problems; the error is for the snapshot as a whole.
	Clusters(ctx context.Context, s gitops.Snapshot) ([]gitops.Cluster, error)
	// Render renders every overlay of a cluster with the facts known so far. Items holds Kubernetes objects only.
	// Broken overlays are Problems and Overlay.Complete=false; overlays that need unknown facts are Pending.
	Render(ctx context.Context, s gitops.Snapshot, c gitops.Cluster, f gitops.Facts) (gitops.Desired, error)
}

// Observer looks at one domain of one cluster.
type Observer interface {
	// Observe answers for every desired item of its domain, for everything owned that is no longer desired, and for every
	// ref of the inventory (one that is certainly gone is the zero Observation: so a lost answer to a delete is settled).
	// Per-ref trouble is Observation.Err; the error is for the domain as a whole (nothing in it is known).
	Observe(ctx context.Context, d gitops.Desired, inv gitops.Inventory) (gitops.Observed, error)
	// Changed delivers a nudge (capacity one, coalesced) when the live state may have changed. It is never closed.
	Changed() <-chan struct{}
}

// Actor changes one domain of one cluster.
type Actor interface {
	// Apply starts a change and returns when it was accepted; it never waits for completion. It is idempotent: applying a
	// change that is done or in flight is no error. Errors are *gitops.Error.
	Apply(ctx context.Context, c plan.Change) error
	// Ready tells how far a ref is. For a deleted ref, Absent is the goal.
	Ready(ctx context.Context, r gitops.Ref) (gitops.Health, error)
}

// FactSource tells what the infrastructure offers to overlays.
type FactSource interface {
	// Facts gives what is known as of the last Observe; unknown keys are absent.
	Facts(ctx context.Context) (gitops.Facts, error)
}

// Leases share the clusters among several daemons: a cluster is worked on by the one that holds its lease.
type Leases interface {
	// Hold waits until this process holds the lease of the cluster, calls work, and gives the lease back when work has
	// returned. It returns then, or when ctx ends before the lease is held; the error says why the lease cannot be asked for.
	//
	// The context of work ends when ctx does: work then finishes or hands back what it has under way, and the lease is kept
	// meanwhile. It also ends when the lease could not be kept. Then lost is closed first, and work leaves the cluster alone
	// at once: soon another process has it.
	Hold(ctx context.Context, cluster string, work func(ctx context.Context, lost <-chan struct{})) error
}

// Ledger keeps inventory and history of clusters.
type Ledger interface {
	// Inventory loads what was applied to a cluster; an absent ledger is empty, an unreadable one an error.
	Inventory(ctx context.Context, cluster string) (gitops.Inventory, error)
	// Save stores the inventory after a run; it is called before and after anything is deleted.
	Save(ctx context.Context, cluster string, inv gitops.Inventory) error
	// Append adds a record and returns it with its ID.
	Append(ctx context.Context, r run.Record) (run.Record, error)
}
