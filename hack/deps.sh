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
# The race detector needs the C library's headers, the image the root certificates.
[ -e /usr/include/stdlib.h ] || packages+=(libc6-dev)
[ -e /etc/ssl/certs/ca-certificates.crt ] || packages+=(ca-certificates)
command -v go >/dev/null 2>&1 || { echo "deps: Go 1.26 or newer is needed: https://go.dev/doc/install" >&2; exit 1; }

# The aws CLI obeys AWS_ENDPOINT_URL since 1.29 and 2.13, and knows EKS's access entries since 1.32 and 2.15. Debian 12 has 2.9, and a newer
# one in its backports.
aws_serves() {
	local version
	version=$(aws --version 2>/dev/null | sed -nE 's|^aws-cli/([0-9]+\.[0-9]+).*|\1|p')
	case "$version" in
	"") return 1 ;;
	1.*) [ "${version#*.}" -ge 32 ] ;;
	2.*) [ "${version#*.}" -ge 15 ] ;;
	esac
}
backports=
if ! aws_serves; then
	[ "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" != bookworm ] || backports=bookworm-backports
	packages+=("awscli${backports:+/$backports}")
fi

[ ${#packages[@]} -eq 0 ] && exit 0
echo "deps: installing ${packages[*]} (Debian packages)"
sudo=""
[ "$(id -u)" -eq 0 ] || sudo="sudo"
export DEBIAN_FRONTEND=noninteractive
options=()
if [ -n "$backports" ]; then
	# For this run only: the machine's own list of sources stays as it is.
	sources=$(mktemp -d)
	trap 'rm -rf "$sources"' EXIT
	mkdir -p "$sources/lists/partial"
	chmod 755 "$sources"
	cp -L /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources "$sources" 2>/dev/null || true
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $backports main" >"$sources/backports.list"
	options=(-o "Dir::Etc::SourceParts=$sources" -o "Dir::State::Lists=$sources/lists")
fi
$sudo apt-get "${options[@]}" update -qq
$sudo apt-get "${options[@]}" install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
hash -r
aws_serves || {
	echo "deps: $(command -v aws) is $(aws --version 2>&1 | cut -d' ' -f1): 2.15 or newer is needed, or 1.32:" \
		"https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html" >&2
	exit 1
}
