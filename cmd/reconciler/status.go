package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/ledger"
	"github.com/eks-gitops/reconciler/pkg/run"
	"github.com/eks-gitops/reconciler/pkg/view"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status [CLUSTER...]",
		Short: "Tell whether clusters equal git, and what does not and why",
		Long:  "Tell, from the ledger, which revision each cluster is at, whether it converged, what is not ready and why, and what happens next.\nExit code: 0 all converged, 1 not, 2 could not tell.",
		RunE: func(c *cobra.Command, args []string) error {
			return a.status(c.Context(), args)
		},
	}
}

func (a *app) status(ctx context.Context, args []string) error {
	format, err := a.format()
	if err != nil {
		return err
	}
	books, err := a.openLedger()
	if err != nil {
		return err
	}
	want, trouble := a.wanted(ctx)
	names, err := clusterNames(ctx, books, args)
	if err != nil {
		return err
	}
	worst := exitDone
	if len(names) == 0 {
		a.complain(gitops.Errorf(gitops.LedgerUnavailable, "no run is recorded at %s", a.ledgerPlace()))
		worst = exitUnknown
	}
	for _, name := range names {
		standing, code, err := standing(ctx, books, name)
		if err != nil {
			return err
		}
		standing.Want, standing.Fetched, standing.Trouble = want, a.now(), trouble
		text, err := view.Status(format, a.viewOptions(), standing)
		if err != nil {
			return err
		}
		if _, err := a.stdout.Write(text); err != nil {
			return err
		}
		worst = max(worst, code)
	}
	if len(trouble) > 0 {
		worst = exitUnknown
	}
	return code(worst)
}

// standing reads how a cluster stands.
func standing(ctx context.Context, books *ledger.Ledger, name string) (view.Standing, int, error) {
	out, status := view.Standing{Cluster: name}, exitUnknown
	last, ok, err := books.Last(ctx, name)
	if err != nil {
		return out, status, gitops.AsError(gitops.LedgerUnavailable, err)
	}
	if ok {
		out.Last, status = &last, outcomeCode(last.Outcome)
	}
	good, ok, err := books.LastGood(ctx, name)
	if err != nil {
		return out, status, gitops.AsError(gitops.LedgerUnavailable, err)
	}
	if ok {
		out.Good = &good
	}
	return out, status, nil
}

// wanted is the newest revision of the repository, when there is one around.
func (a *app) wanted(ctx context.Context) (gitops.Revision, []*gitops.Error) {
	if _, err := a.location(); err != nil {
		return gitops.Revision{}, nil
	}
	f, err := a.connect(ctx, run.Sinks{})
	if err != nil {
		return gitops.Revision{}, []*gitops.Error{gitops.AsError(gitops.SourceUnreachable, err)}
	}
	snapshot, err := f.engine.Source.Fetch(ctx)
	if err != nil {
		return gitops.Revision{}, []*gitops.Error{gitops.AsError(gitops.SourceUnreachable, err)}
	}
	return snapshot.Revision, nil
}

// clusterNames are the recorded clusters that the arguments (names or folders) select.
func clusterNames(ctx context.Context, books *ledger.Ledger, args []string) ([]string, error) {
	names, err := books.Clusters(ctx)
	if err != nil {
		return nil, gitops.AsError(gitops.LedgerUnavailable, err)
	}
	if pick := picker(args); pick != nil {
		names = slices.DeleteFunc(names, func(name string) bool { return !pick(name) && !pick("clusters/"+name) })
	}
	return names, nil
}
