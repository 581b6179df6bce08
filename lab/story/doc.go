// Package story drives the whole product on a lab, as people would: a fleet in a git repository, the reconciler's daemon
// and CLI, commits, and meddling behind git's back. The demo tells it, the end-to-end tests assert it.
//
// Inputs: the built binaries (lab, reconciler, eksctl, aws) and a folder. Outputs: a running lab and what the tools print.
// Invariants: every program is started by path and ended by the pid that was started; waiting is on conditions read from the
// product's own records, never on time alone.
package story
