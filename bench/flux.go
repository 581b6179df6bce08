package main

import (
	"context"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	"github.com/fluxcd/cli-utils/pkg/kstatus/polling/clusterreader"
	"github.com/fluxcd/cli-utils/pkg/kstatus/polling/engine"
	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/normalize"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// newFlux is Flux's manager of objects, and makes them ready for it as kustomize-controller does.
func newFlux(a access, s set) (*ssa.ResourceManager, error) {
	c, err := client.New(a.config, client.Options{})
	if err != nil {
		return nil, err
	}
	poller := polling.NewStatusPoller(c, c.RESTMapper(), polling.Options{ClusterReaderFactory: engine.ClusterReaderFactoryFunc(clusterreader.NewDirectClusterReader)})
	m := ssa.NewResourceManager(c, poller, ssa.Owner{Field: "kustomize-controller", Group: "kustomize.toolkit.fluxcd.io"})
	m.SetConcurrency(parallel)
	if err := normalize.UnstructuredList(s.objects); err != nil {
		return nil, err
	}
	m.SetOwnerLabels(s.objects, "bench", "flux-system")
	return m, nil
}

// fluxApply is what kustomize-controller does every interval: it applies, and learns what that changed.
func fluxApply(ctx context.Context, a access, s set) (int, error) {
	m, err := newFlux(a, s)
	if err != nil {
		return 0, err
	}
	set, err := m.ApplyAllStaged(ctx, s.objects, ssa.DefaultApplyOptions())
	if err != nil {
		return 0, err
	}
	changes := 0
	for _, entry := range set.Entries {
		if entry.Action != ssa.UnchangedAction {
			changes++
		}
	}
	return changes, nil
}

// fluxDiff is what `flux diff kustomization` does after the build.
func fluxDiff(ctx context.Context, a access, s set) (int, error) {
	m, err := newFlux(a, s)
	if err != nil {
		return 0, err
	}
	changes := 0
	for _, o := range s.objects {
		entry, _, _, err := m.Diff(ctx, o, ssa.DefaultDiffOptions())
		if err != nil {
			return 0, err
		}
		if entry.Action != ssa.UnchangedAction {
			changes++
		}
	}
	return changes, nil
}
