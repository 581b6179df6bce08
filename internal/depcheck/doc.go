// Package depcheck holds the tests that enforce the architecture: who may import what, one package doc each, file and
// interface budgets, no replace in the root module.
//
// Inputs: the source tree and `go list`. Output: test failures that state the rule and its reason. It has no code of its own.
package depcheck
