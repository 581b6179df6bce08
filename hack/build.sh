# Sourced: how pinned third-party programs are built, once per version.
# shellcheck shell=bash

# The compiler collects garbage less often: a tenth of its time.
export GOGC=400

# build NAME MODULE-FOLDER MODULE PACKAGE [LDFLAGS [TAGS]]
build() {
  local name=$1 folder=$2 module=$3 package=$4 flags=${5:-} tags=${6:-}
  local version
  version=$(go -C "$folder" list -m -f '{{.Version}}' "$module")
  if [ ! -x "$bin/$name-$version" ]; then
    echo "$what: building $name $version"
    go -C "$folder" build -tags "$tags" -ldflags "-s -w $flags" -o "$bin/$name-$version" "$package"
  fi
  ln -sfn "$name-$version" "$bin/$name"
}
