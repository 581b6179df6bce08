// Package apply observes and changes the objects of one cluster through its API server.
//
// Purpose: the in-cluster half of the product: engine.Observer and engine.Actor over client-go, with server-side apply, an
// ApplySet (KEP-3659) as inventory and kstatus as the base of readiness. Besides, the cluster as a store (Blobs, used by the
// ledger) and as a place where nodes are drained and ServiceAccounts are annotated (Nodes, Accounts: used for EKS changes).
//
// Inputs: gitops.Desired of Kubernetes objects, gitops.Inventory, plan.Change. Outputs: gitops.Observed, gitops.Health, and
// writes to the API server.
//
// Invariants:
//
//   - Observe never writes; every write request of it is a dry run, or a question about what we are allowed to do.
//
//   - Only members of our own sets are deleted: the live label is read again right before, and UID and resourceVersion are
//     preconditions of the delete.
//
//   - Fields that controllers own are never taken by force; edits by people are taken back.
//
//   - What apply would do is the server's own answer to a dry run, except where something it needs does not exist yet; such
//     answers are marked as predicted. Of many creations that are made at once, the apply itself is the answer (ADR 0009).
//
//   - With watches, a look rests on the one before: it is at what moved, unless anything else changed (ADR 0010). Deletions are found by
//     looks at everything only.
//
//   - Errors hold no object bodies: what the server says is reduced to reasons, field paths and words that are not values.
//
//   - What is ignored, who wins a conflict and what ready means is decided in one place for what is shown and what is done.
//
// It is the only package that imports client-go, kstatus and cel-go.
package apply
