#!/usr/bin/env bash
# Builds the image from the locally built static binary and runs its version, with storage of its own in the cache.
set -euo pipefail
bin=$1 version=$2
work=$(mktemp -d)
storage=(--storage-driver vfs --root "$work/root" --runroot "$work/run")
trap 'buildah "${storage[@]}" rm --all >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
mkdir "$work/context"
cp "$bin/reconciler" Dockerfile /etc/ssl/certs/ca-certificates.crt "$work/context/"
buildah "${storage[@]}" build --quiet --isolation chroot -t "reconciler:$version" "$work/context" >/dev/null
container=$(buildah "${storage[@]}" from "reconciler:$version")
got=$(buildah "${storage[@]}" run --isolation chroot "$container" -- /reconciler version)
echo "image: reconciler:$version runs as $(buildah "${storage[@]}" inspect --format '{{.OCIv1.Config.User}}' "$container"): $got"
case "$got" in *"$version"*) ;; *) echo "image: version is not $version" >&2; exit 1 ;; esac
