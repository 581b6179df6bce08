#!/usr/bin/env bash
# Formatting and golangci-lint, vet among its linters (pinned in tools/go.mod, built once per version into the cache). After the folder
# of programs come the modules; without any, those that CI tests. bench/ is not among them: for it, three other tools would have to be
# compiled first, which takes minutes; `make bench-lint` does that.
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
config=$PWD/.golangci.yml
shift
[ $# -gt 0 ] || set -- . lab
for module in "$@"; do
  # The end-to-end tests beside it have a clock to keep.
  (cd "$module" && nice "$lint" run --config "$config" ./...)
done
