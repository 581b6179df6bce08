// Package gitops holds the nouns of the product: what git wants (Snapshot, Cluster, Desired, Item), what is live
// (Observed, Observation), what this tool put there (Inventory), and the words every surface uses for state and
// trouble (Health, Reason, Error).
//
// Purpose: one vocabulary for the EKS side and the in-cluster side, so that one plan can hold both.
// Inputs and outputs: none; these are values. Nothing here performs I/O, reads a clock or logs.
// Invariants: a Ref is comparable and its text form parses back to itself; an Error never carries object bodies or
// credentials; secret values exist outside a Tree only as Redacted.
// Imports: the standard library only.
package gitops
