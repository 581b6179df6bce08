package main

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
	"k8s.io/kubectl/pkg/cmd/util"
	"sigs.k8s.io/cli-utils/pkg/apply"
	"sigs.k8s.io/cli-utils/pkg/apply/event"
	"sigs.k8s.io/cli-utils/pkg/common"
	"sigs.k8s.io/cli-utils/pkg/inventory"
)

// applierApply is `kapply apply --server-side` without pruning and without waiting.
func applierApply(ctx context.Context, a access, s set) (int, error) {
	flags := genericclioptions.NewConfigFlags(true).WithDeprecatedPasswordFlag()
	flags.KubeConfig = &a.kubeconfig
	// Its command takes the limit off when the server has priority and fairness.
	flags.WrapConfigFn = func(c *rest.Config) *rest.Config {
		c.QPS, c.Burst = -1, -1
		return c
	}
	factory := util.NewFactory(util.NewMatchVersionFlags(flags))
	client, err := inventory.ClusterClientFactory{StatusPolicy: inventory.StatusPolicyNone}.NewClient(factory)
	if err != nil {
		return 0, err
	}
	applier, err := apply.NewApplierBuilder().WithFactory(factory).WithInventoryClient(client).Build()
	if err != nil {
		return 0, err
	}
	parent := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": "inventory", "namespace": space, "labels": map[string]any{common.InventoryLabel: "bench"}},
	}}
	var failed error
	accepted := 0
	ctx, done := context.WithCancel(ctx)
	defer done()
	// The channel is closed when all is done. Its own end waits for Deployments, which nothing here makes ready.
	for e := range applier.Run(ctx, inventory.WrapInventoryInfoObj(parent), s.objects, apply.ApplierOptions{
		ServerSideOptions: common.ServerSideOptions{ServerSideApply: true, ForceConflicts: true, FieldManager: common.DefaultFieldManager}, NoPrune: true,
	}) {
		switch {
		case e.Type == event.ApplyType && e.ApplyEvent.Status == event.ApplySuccessful:
			if accepted++; accepted == len(s.objects) {
				done()
			}
		case e.Type == event.ErrorType && accepted < len(s.objects):
			failed = e.ErrorEvent.Err
		case e.Type == event.ApplyType && e.ApplyEvent.Status == event.ApplyFailed:
			failed = e.ApplyEvent.Error
		}
	}
	return unknown, failed
}
