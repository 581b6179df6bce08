#!/usr/bin/env bash
# Builds what the lab is made of: lab (Kubernetes control plane, kwok and the simulated AWS in one binary), the unmodified
# eksctl CLI, kubectl and metrics-server. Third-party programs are kept per version; lab follows its sources.
set -euo pipefail
bin=$1
mkdir -p "$bin"
export CGO_ENABLED=0

what=lab
. "$(dirname "$0")/build.sh"

kubernetes=$(go -C lab list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=${kubernetes#v1.}
base=k8s.io/component-base/version
stamp="-X $base.gitVersion=$kubernetes -X $base.gitMajor=1 -X $base.gitMinor=${minor%%.*}"

[ -x "$bin/lab" ] || echo "lab: building Kubernetes $kubernetes, etcd, kwok and the simulated AWS (minutes the first time)"
go -C lab build -ldflags "-s -w $stamp" -o "$bin/lab" .
build kubectl lab k8s.io/kubernetes k8s.io/kubernetes/cmd/kubectl "$stamp"
build eksctl lab/tools/eksctl github.com/weaveworks/eksctl github.com/weaveworks/eksctl/cmd/eksctl
build metrics-server lab/tools/metrics-server sigs.k8s.io/metrics-server sigs.k8s.io/metrics-server/cmd/metrics-server
