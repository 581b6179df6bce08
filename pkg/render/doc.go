// Package render turns a snapshot of the repository into what each cluster should be.
//
// Inputs: gitops.Snapshot and gitops.Facts. Outputs: gitops.Cluster (what a cluster's folder says) and gitops.Desired (the
// Kubernetes objects of its overlays), with file and line for everything.
// Files that SOPS encrypted are read decrypted, in memory; what came out of them is marked in the objects (Origin.Secrets).
// Invariants: the objects of an overlay are those of `kustomize build`; what is rendered comes from the snapshot alone, and from Helm
// charts of exact versions: remote bases and plugins are refused before kustomize runs; a broken overlay is a problem and never hides another one;
// equal files and facts give equal objects; errors never contain object bodies.
//
// # A cluster's folder
//
// Every folder below clusters/ is one cluster, except those whose names begin with "." or "_". It holds exactly one eksctl
// ClusterConfig (eksctl.io/v1alpha5), either alone in a YAML file of any name, or as the one thing that the folder's own
// kustomization renders; optionally reconcile.yaml, the policy; and approvals:
//
//	# clusters/NAME/approvals/ANY-NAME.yaml
//	plan: 1c0ffee4d15ea5e0           # the plan that was approved; for people, not checked
//	changes: [5eed5eed5eed5eed]      # ids of the approved changes: 16 hexadecimal digits each
//	concerns: {0ddba11c0ffee000: 5}  # ids of their concerns, and how many each may be about
//
// Every topmost folder with a kustomization below the cluster's folder is one overlay. A Component is none: it is there to be
// included.
package render
