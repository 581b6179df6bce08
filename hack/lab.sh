#!/usr/bin/env bash
# Builds what the lab is made of: lab (Kubernetes control plane, kwok and the simulated AWS in one binary), the unmodified
# eksctl CLI, kubectl and metrics-server. Third-party programs are kept per version; lab follows its sources.
set -euo pipefail
bin=$1
mkdir -p "$bin"
export CGO_ENABLED=0

# build NAME MODULE-FOLDER MODULE PACKAGE [LDFLAGS [TAGS]]: builds a pinned program once per version.
build() {
  local name=$1 folder=$2 module=$3 package=$4 flags=${5:-} tags=${6:-}
  local version
  version=$(go -C "$folder" list -m -f '{{.Version}}' "$module")
  if [ ! -x "$bin/$name-$version" ]; then
    echo "lab: building $name $version"
    go -C "$folder" build -tags "$tags" -ldflags "-s -w $flags" -o "$bin/$name-$version" "$package"
  fi
  ln -sfn "$name-$version" "$bin/$name"
}

kubernetes=$(go -C lab list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=${kubernetes#v1.}
base=k8s.io/component-base/version
stamp="-X $base.gitVersion=$kubernetes -X $base.gitMajor=1 -X $base.gitMinor=${minor%%.*}"

[ -x "$bin/lab" ] || echo "lab: building Kubernetes $kubernetes, etcd, kwok and the simulated AWS (minutes the first time)"
go -C lab build -ldflags "-s -w $stamp" -o "$bin/lab" .
build kubectl lab k8s.io/kubernetes k8s.io/kubernetes/cmd/kubectl "$stamp"
build eksctl lab/tools/eksctl github.com/weaveworks/eksctl github.com/weaveworks/eksctl/cmd/eksctl
build metrics-server lab/tools/metrics-server sigs.k8s.io/metrics-server sigs.k8s.io/metrics-server/cmd/metrics-server
build node-problem-detector lab/tools/node-problem-detector k8s.io/node-problem-detector k8s.io/node-problem-detector/cmd/nodeproblemdetector
build pushgateway lab/tools/pushgateway github.com/prometheus/pushgateway github.com/prometheus/pushgateway
build k6 lab/tools/k6 go.k6.io/k6 go.k6.io/k6
build prometheus-operator lab/tools/prometheus-operator github.com/prometheus-operator/prometheus-operator github.com/prometheus-operator/prometheus-operator/cmd/operator
build kube-state-metrics lab/tools/kube-state-metrics k8s.io/kube-state-metrics/v2 k8s.io/kube-state-metrics/v2
build node-exporter lab/tools/node-exporter github.com/prometheus/node_exporter github.com/prometheus/node_exporter
# Alertmanager itself cannot be built from its module, which lacks the pages that it embeds.
build amtool lab/tools/alertmanager github.com/prometheus/alertmanager github.com/prometheus/alertmanager/cmd/amtool
build prometheus-adapter lab/tools/prometheus-adapter sigs.k8s.io/prometheus-adapter sigs.k8s.io/prometheus-adapter/cmd/adapter
# Without the discovery of other clouds, which is most of what there is to compile.
discovery=remove_all_sd,enable_kubernetes_sd
build promtool lab/tools/prometheus github.com/prometheus/prometheus github.com/prometheus/prometheus/cmd/promtool "" "$discovery"
build prometheus lab/tools/prometheus github.com/prometheus/prometheus github.com/prometheus/prometheus/cmd/prometheus "" "$discovery"
