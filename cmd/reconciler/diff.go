package main

import (
	"context"
	"errors"
	"sync"

	"github.com/spf13/cobra"

	"github.com/eks-gitops/reconciler/pkg/engine"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
	"github.com/eks-gitops/reconciler/pkg/view"
)

func (a *app) diffCommand() *cobra.Command {
	return a.selecting(&cobra.Command{
		Use:   "diff [CLUSTER-FOLDER...]",
		Short: "Show what apply would change",
		Long:  "Show one plan over the EKS infrastructure and the objects of each cluster, compared with what is live now.\nNothing is changed. Exit code: 0 no difference, 1 differences, 2 could not tell.",
		RunE: func(c *cobra.Command, args []string) error {
			return a.diff(c.Context(), args)
		},
	})
}

func (a *app) diff(ctx context.Context, args []string) error {
	format, err := a.format()
	if err != nil {
		return err
	}
	a.previewing = true
	f, err := a.open(ctx, run.Sinks{}, args)
	if err != nil {
		return err
	}
	records, err := f.each(ctx, func(ctx context.Context, j engine.Job) (run.Record, error) {
		j.Preview = true
		return f.engine.RunOnce(ctx, j)
	})
	// One cluster's trouble keeps no other's plan from being shown.
	var plans []plan.Plan
	for _, r := range records {
		if r.Plan.ID != "" {
			plans = append(plans, r.Plan)
		}
	}
	text, failed := view.Plans(format, a.viewOptions(), plans...)
	_, written := a.stdout.Write(text)
	if err := errors.Join(err, failed, written); err != nil {
		return err
	}
	return code(view.Exit(plans...))
}

// code turns an exit code into the error that carries it.
func code(c int) error {
	if c == exitDone {
		return nil
	}
	return exit(c)
}

// each runs one job per selected cluster, all at once, and returns what they made in the clusters' order.
func (f *fleet) each(ctx context.Context, do func(context.Context, engine.Job) (run.Record, error)) ([]run.Record, error) {
	records, errs := make([]run.Record, len(f.clusters)), make([]error, len(f.clusters))
	var all sync.WaitGroup
	for i, cluster := range f.clusters {
		all.Go(func() {
			target, err := f.engine.Connect(ctx, cluster)
			if err != nil {
				errs[i] = err
				return
			}
			if target.Close != nil {
				defer target.Close()
			}
			records[i], errs[i] = do(ctx, engine.Job{
				Snapshot: f.snapshot, Cluster: cluster, Target: target, Policies: f.policies, Cause: "apply",
			})
		})
	}
	all.Wait()
	return records, joined(errs)
}
