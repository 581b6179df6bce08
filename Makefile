# Two commands matter: `make demo` and `make test`. Both set up what they need. `make help` lists the rest.
SHELL := /bin/bash -euo pipefail
.DEFAULT_GOAL := help
ROOT := $(CURDIR)
BIN := $(ROOT)/.cache/bin
export PATH := $(BIN):$(PATH)
export LAB_BIN := $(BIN)/lab
GO ?= go
# One set of compiled packages serves every build and the linter; only the race detector needs cgo, and so a second one.
export CGO_ENABLED := 0
# Asked once: what is built and what is expected of it must be one answer.
VERSION := $(or $(VERSION),$(shell git describe --tags --always --dirty 2>/dev/null || echo dev))
export VERSION
LDFLAGS := -s -w -X main.version=$(VERSION)

# Says at its end what a command took.
TIMED = TIMEFORMAT='$@: %0lR (user %0lU, system %0lS)'; time

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: deps
deps: ## install the Debian packages that tests and demo use
	@hack/deps.sh

.PHONY: build
build: ## build the reconciler
	@mkdir -p $(BIN)
	GOGC=400 $(GO) build -ldflags '$(LDFLAGS)' -o $(BIN)/reconciler ./cmd/reconciler

.PHONY: lab
lab: ## build the machine-local EKS: lab, eksctl CLI, metrics-server
	@hack/lab.sh $(BIN)

.PHONY: programs
programs: ## build the real programs that the tests of addons/ and apps/ run
	@hack/programs.sh $(BIN)

.PHONY: generate crds karpenter-crds
generate: crds karpenter-crds ## write what is generated: the CRDs of addons/ and the table in addons/README.md
	$(GO) -C lab test ./stack -run '^TestMatrix$$' -update

CRDS ?= $(ROOT)/addons/kube-prometheus/crds
crds:
	$(GO) -C lab/tools/controller-gen tool controller-gen crd:crdVersions=v1,maxDescLen=0 \
		paths=github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1 \
		paths=github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1 \
		output:crd:dir=$(CRDS)

KARPENTER_CRDS ?= $(ROOT)/addons/karpenter/crds
karpenter-crds:
	$(GO) -C lab/tools/karpenter-crds tool controller-gen crd:crdVersions=v1,maxDescLen=0 \
		paths=sigs.k8s.io/karpenter/pkg/apis/v1 paths=sigs.k8s.io/karpenter/pkg/apis/v1alpha1 \
		paths=github.com/aws/karpenter-provider-aws/pkg/apis/v1 \
		output:crd:dir=$(KARPENTER_CRDS)

.PHONY: demo
demo: deps build lab ## a git push becomes an EKS cluster, on this machine (CHECK=1: unattended, asserted)
	@$(if $(CHECK),$(TIMED)) $(GO) -C lab run ./demo $(if $(CHECK),--check)

.PHONY: lint
lint: ## golangci-lint with vet, and formatting
	@$(TIMED) nice -n 19 hack/lint.sh $(BIN)

# Tests side by side would each compile the same packages for the race detector. Kubernetes and etcd are not among them: tests run the
# lab's binary, they do not link it.
.PHONY: race
race: lab
	CGO_ENABLED=1 GOGC=400 $(GO) build -race ./...
	CGO_ENABLED=1 GOGC=400 $(GO) -C lab build -race $$(CGO_ENABLED=1 $(GO) -C lab list -race ./... | grep -vE '/lab(/component)?$$')

# vet is the linter's.
TEST = export TMPDIR=$$(mktemp -d -p $$(hack/scratch.sh)); trap 'rm -rf "$$TMPDIR"' EXIT; $(TIMED) env CGO_ENABLED=1 GOGC=$(1) $(GO) $(2) test -race -shuffle=on -vet=off -timeout 30m

.PHONY: unit
unit: race ## tests of the root module, race detector on, shuffled
	$(call TEST,400) ./...

.PHONY: e2e
e2e: build race ## tests of the whole product on the lab, with the eksctl CLI
	$(call TEST,100,-C lab) -parallel 12 ./e2e

.PHONY: stack
# One package at a time: each starts up to six control planes.
stack: build programs race ## tests of the lab, and of addons/ and apps/ with their real programs
	$(call TEST,100,-C lab) -p 1 -parallel 6 $$(CGO_ENABLED=1 $(GO) -C lab list -race ./... | grep -vE '/lab(/component|/e2e)?$$')

.PHONY: image
image: build ## build the container image with buildah and run its version
	@hack/image.sh $(BIN) $(VERSION)

.PHONY: test
test: deps build lab ## everything that CI runs
	@$(MAKE) --no-print-directory -j3 --output-sync=target race programs image
	@$(MAKE) --no-print-directory -j2 --output-sync=target lint rows

# One after the other, each to its end: API servers, leases and eksctl keep clocks, and two rows beside each other on two cores make them
# late. The linter has no clock and takes what is left. What failed is printed whole, and last.
.PHONY: rows
rows:
	@logs=$$(mktemp -d); trap 'rm -rf "$$logs"' EXIT; failed=; \
	for row in e2e demo unit stack; do \
		if $(MAKE) --no-print-directory $$row CHECK=1 >"$$logs/$$row" 2>&1; \
		then grep -E '^ok[[:space:]]|^[a-z0-9]+: [0-9]+m' "$$logs/$$row" || true; \
		else failed="$$failed $$row"; fi; done; \
	for row in $$failed; do cat "$$logs/$$row"; done; \
	[ -z "$$failed" ] || { cd "$$logs"; echo "failed:$$failed; what the tests said, in short:"; \
	grep -hE -A2 '^ *--- FAIL|^ +[a-z0-9_]+_test\.go:[0-9]+: ' $$failed | cut -c1-240 | tail -60; exit 1; }

.PHONY: bench
bench: build lab peers ## benchmarks: beside other tools (BENCH_OUT=FILE.json, BENCH_FLAGS), of the packages, of the whole product
	$(GO) test -run '^$$' -bench . -benchmem ./pkg/...
	$(GO) -C lab test -run '^$$' -bench . -skip 'EKSMakespan|EKSFleet' -benchtime 5x -timeout 30m ./e2e
	$(GO) -C lab test -run '^$$' -bench 'EKSMakespan|EKSFleet' -benchtime 1x -timeout 90m ./e2e

# First, so that its file is there whatever the others come to.
.PHONY: peers
peers: build lab
	$(GO) -C bench build -o $(BIN)/bench .
	cd bench && $(BIN)/bench $(if $(BENCH_OUT),--out $(abspath $(BENCH_OUT))) $(BENCH_FLAGS)

.PHONY: bench-lint
bench-lint: ## the linter and the tests of bench/
	@hack/lint.sh $(BIN) bench
	$(GO) -C bench test -vet=off ./...

.PHONY: clean
clean: ## remove built binaries and lab state
	rm -rf .cache .lab .demo
