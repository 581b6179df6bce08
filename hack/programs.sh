#!/usr/bin/env bash
# Builds the real programs that the tests of addons/ and apps/ run with our manifests, each from its own module.
set -euo pipefail
bin=$1
mkdir -p "$bin"
export CGO_ENABLED=0
what=programs
. "$(dirname "$0")/build.sh"

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
