// Package e2e holds the end-to-end tests: the whole product and the unmodified eksctl on a lab. It has no code of its own.
//
// Inputs: the binaries that `make build lab` puts into .cache/bin. Outputs: test results.
package e2e
