#!/usr/bin/env bash
# Makes the goldens of pkg/render/testdata/charts again: kustomize with a real helm, built from the version in go.mod in a scratch
# folder. It takes minutes, and is run by hand when that version or the charts in testdata change; CI only compares.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
version=$(go list -m -f '{{.Version}}' helm.sh/helm/v4)
GOBIN=$scratch CGO_ENABLED=0 go install "helm.sh/helm/v4/cmd/helm@$version"
go test ./pkg/render -count 1 -run '^TestRendersChartsAsHelmDoes$' -helm "$scratch/helm" -update
