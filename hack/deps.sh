#!/usr/bin/env bash
# Installs the Debian packages that tests and demo use, and says which. Does nothing where they are there already.
set -euo pipefail
packages=()
need() { command -v "$1" >/dev/null 2>&1 || packages+=("$2"); }
need git git
need gcc gcc
need ssh-keygen openssh-client
need /usr/sbin/sshd openssh-server
need buildah buildah
need aws awscli
# The race detector needs the C library's headers, the image the root certificates.
[ -e /usr/include/stdlib.h ] || packages+=(libc6-dev)
[ -e /etc/ssl/certs/ca-certificates.crt ] || packages+=(ca-certificates)
command -v go >/dev/null 2>&1 || { echo "deps: Go 1.26 or newer is needed: https://go.dev/doc/install" >&2; exit 1; }
[ ${#packages[@]} -eq 0 ] && exit 0
echo "deps: installing ${packages[*]} (Debian packages)"
sudo=""
[ "$(id -u)" -eq 0 ] || sudo="sudo"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
