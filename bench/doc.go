// Command bench measures the engine beside its peers, by their own libraries as their own tools use them, in one run and on one API
// server of the lab; and the daemon on a lab with the simulated AWS.
//
// Inputs: the programs that `make build lab` makes, and the sets of objects of sets.go. Outputs: a table on standard output, every row with
// its bar and whether it is reached; with --out also a JSON list of {"name","objects","ours_s","peer","peer_s","ratio", ...}: medians in
// seconds, peak resident memory in 10^6 bytes.
//
// Invariants: each figure is of a process of its own, which has parsed the same file of objects and starts from nothing else: clients,
// discovery and types are in the time, the start of the process and the parsing are not. Contenders take turns, so that what else the
// machine does falls on all of them. The API server has come to rest before anything is timed, and a set-up is never part of a figure. A
// run that ends otherwise than its row says (a change where there is none) is an error and no figure.
//
// The API server has no controllers but that of namespaces: what Deployments and Services set off there costs the server twice as
// much as applying them, and would fall on whoever is next.
//
// We are pkg/engine, pkg/plan and pkg/apply without git and AWS: a look and a plan, as `reconciler diff` makes them after rendering, and for
// the cold apply a whole pass of the daemon, until the server has accepted the last object.
//
// The contenders, all without a limit of requests per second unless their tool has one:
//
//   - raw bound: bare server-side applies, sixteen at once; one LIST per kind. It knows the kinds' resources without asking and compares nothing.
//   - flux ssa: fluxcd/pkg/ssa as kustomize-controller has it: normalized objects, owner labels, ApplyAllStaged with a status poller, the
//     client-side limit off because the server has priority and fairness. Sixteen at once where the controller's default is four. Diff is one
//     object after the other, as in `flux diff`.
//   - kubectl: the commands apply and diff, server-side, with kubectl's own client settings; diff as shipped, and with 16 at once.
//   - cli-utils: the applier of sigs.k8s.io/cli-utils as its own command has it (kpt and Config Sync build on it), not pruning and not waiting.
//     It has no diff: its no-change check is to apply again.
//   - kustomize: `kustomize build` from disk, for rendering.
package main
