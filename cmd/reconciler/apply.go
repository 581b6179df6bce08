package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/eks-gitops/reconciler/pkg/engine"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/run"
	"github.com/eks-gitops/reconciler/pkg/view"
)

func (a *app) applyCommand() *cobra.Command {
	var timeout time.Duration
	c := a.progressing(a.selecting(&cobra.Command{
		Use:   "apply [CLUSTER-FOLDER...]",
		Short: "Make the clusters equal to git, once",
		Long:  "Apply the plan that diff shows and wait until everything is ready. Destructive changes are held unless a commit approves them.\nExit code: 0 converged, 1 something is left (held, failed, not ready), 2 could not tell.",
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			if timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, timeout)
				defer cancel()
			}
			return a.apply(ctx, args)
		},
	}))
	c.Flags().DurationVar(&timeout, "timeout", 0, "give up after this long; what was accepted goes on (0: never)")
	return c
}

func (a *app) apply(ctx context.Context, args []string) error {
	format, err := a.format()
	if err != nil {
		return err
	}
	mode, err := a.mode()
	if err != nil {
		return err
	}
	progress, err := view.NewProgress(mode, a.stderr, view.ProgressOptions{Options: a.viewOptions(), Size: a.size})
	if err != nil {
		return err
	}
	f, err := a.open(ctx, progress, args)
	if err != nil {
		return err
	}
	records, err := f.each(ctx, f.claimed(f.converge))
	trouble := []error{err, progress.Close()}
	worst := exitDone
	for _, r := range records {
		if r.Outcome == "" {
			continue // its trouble is told, and no other cluster's record waits for that
		}
		text, err := view.Record(format, a.viewOptions(), r)
		_, written := a.stdout.Write(text)
		trouble = append(trouble, err, written)
		worst = max(worst, outcomeCode(r.Outcome))
	}
	if err := errors.Join(trouble...); err != nil {
		return err
	}
	return code(worst)
}

// outcomeCode is the exit code of an outcome.
func outcomeCode(o run.Outcome) int {
	switch o {
	case run.Converged:
		return exitDone
	case run.Unknown:
		return exitUnknown
	case run.Progressing, run.Waiting, run.Failed, run.Preview:
	}
	return exitLeft
}

// claimed has work done while this process holds the lease of the cluster, where there is one.
func (f *fleet) claimed(work func(context.Context, engine.Job) (run.Record, error)) func(context.Context, engine.Job) (run.Record, error) {
	if f.leases == nil {
		return work
	}
	return func(ctx context.Context, j engine.Job) (record run.Record, err error) {
		held := f.leases.Claim(ctx, j.Cluster.Name, func(ctx context.Context, lost <-chan struct{}) {
			j.Lost = lost
			record, err = work(ctx, j)
		})
		return record, errors.Join(held, err)
	}
}

// tries is how often apply runs again after trouble that may pass by itself.
const tries = 4

// lookAgain is how long a pass may only wait: what it waits for may need something that went, or came, since it looked.
const lookAgain = 30 * time.Second

// converge runs passes until nothing moves any more. What depends on facts of a cluster that was just made comes in a later
// pass, and so does what has moved while a pass only waited; trouble that may pass by itself is tried again a few times.
func (f *fleet) converge(ctx context.Context, j engine.Job) (run.Record, error) {
	ctx, done := context.WithCancel(ctx)
	defer done()
	j.Yield = every(ctx, lookAgain)
	failures := 0
	for {
		record, err := f.engine.RunOnce(ctx, j)
		if err != nil {
			return record, err
		}
		if record.ID == 0 && j.Last != nil {
			record.ID = j.Last.ID // it found what that one did, and history holds only that one
		}
		pause := 50 * time.Millisecond
		switch record.Outcome {
		case run.Converged, run.Waiting:
			return record, nil
		case run.Failed, run.Unknown:
			failures++
			if failures >= tries || !passing(record) {
				return record, nil
			}
			pause = time.Second << failures
		case run.Progressing, run.Preview:
		}
		j.Last = &record
		select {
		case <-ctx.Done():
			return record, nil
		case <-time.After(pause):
		}
	}
}

// every delivers again and again, until the context ends; what nobody took is not kept twice.
func every(ctx context.Context, pause time.Duration) <-chan struct{} {
	out := make(chan struct{}, 1)
	go func() {
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			select {
			case out <- struct{}{}:
			default:
			}
		}
	}()
	return out
}

// passing reports whether all the trouble of a record is of a kind that may pass by itself.
func passing(r run.Record) bool {
	transient := func(e *gitops.Error) bool {
		switch e.Reason {
		case gitops.Throttled, gitops.Unreachable, gitops.ApplyFailed, gitops.ObserveFailed, gitops.Backoff, gitops.Blocked, gitops.Held, gitops.FactsPending, gitops.BeingDeleted:
			return true
		default:
			return e.Reason.Note()
		}
	}
	for _, p := range r.Plan.Problems {
		// An AWS that does not answer at all was asked several times already.
		away := p.Reason == gitops.Unreachable && p.Ref.Domain == gitops.EKS && len(r.Results) == 0
		if away || !transient(p) {
			return false
		}
	}
	for _, res := range r.Results {
		if res.Error != nil && !transient(res.Error) {
			return false
		}
	}
	return true
}
