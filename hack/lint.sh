#!/usr/bin/env bash
# Formatting and golangci-lint, vet among its linters (pinned in tools/go.mod, built once per version into the cache).
set -euo pipefail
bin=$1
mkdir -p "$bin"
version=$(cd tools && go list -m -f '{{.Version}}' github.com/golangci/golangci-lint/v2)
lint=$bin/golangci-lint-$version
if [ ! -x "$lint" ]; then
  echo "lint: building golangci-lint $version"
  GOGC=400 go -C tools build -o "$lint" github.com/golangci/golangci-lint/v2/cmd/golangci-lint
fi
unformatted=$(gofmt -l $(git ls-files '*.go'))
[ -z "$unformatted" ] || { echo "lint: not formatted: $unformatted" >&2; exit 1; }
# The end-to-end tests beside it have a clock to keep.
nice "$lint" run ./...
(cd lab && nice "$lint" run --config ../.golangci.yml ./...)
