package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

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
	books, names, err := a.recorded(ctx, args)
	if err != nil {
		return err
	}
	want, trouble := a.wanted(ctx)
	worst := exitDone
	var all []view.Standing
	for _, name := range names {
		s := standing(ctx, books, name)
		s.Want, s.Fetched, s.Trouble = want, a.now(), append(s.Trouble, trouble...)
		all, worst = append(all, s), max(worst, s.Exit())
	}
	text, err := view.Status(format, a.viewOptions(), all...)
	if err != nil {
		return err
	}
	if _, err := a.stdout.Write(text); err != nil {
		return err
	}
	return code(worst)
}

// standing reads how a cluster stands. What cannot be read is its trouble, and no other cluster's.
func standing(ctx context.Context, books *ledger.Ledger, name string) view.Standing {
	out := view.Standing{Cluster: name}
	last, ok, err := books.Last(ctx, name)
	if err != nil {
		out.Trouble = append(out.Trouble, gitops.AsError(gitops.LedgerUnavailable, err))
		return out
	}
	if ok {
		out.Last = &last
	}
	good, ok, err := books.LastGood(ctx, name)
	switch {
	case err != nil:
		out.Trouble = append(out.Trouble, gitops.AsError(gitops.LedgerUnavailable, err))
	case ok:
		out.Good = &good
	}
	return out
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

// recorded opens the ledger and finds the clusters that the arguments (names or folders) select, at least one.
func (a *app) recorded(ctx context.Context, args []string) (*ledger.Ledger, []string, error) {
	books, err := a.openLedger()
	if err != nil {
		return nil, nil, err
	}
	all, err := books.Clusters(ctx)
	if err != nil {
		return nil, nil, err
	}
	if len(all) == 0 {
		e := gitops.Errorf(gitops.LedgerUnavailable, "no run is recorded at %s", a.ledgerPlace())
		e.Try = "reconciler apply CLUSTER-FOLDER makes the first; --ledger names another place"
		return nil, nil, e
	}
	folders := make([]string, 0, len(all))
	for _, name := range all {
		folders = append(folders, "clusters/"+name)
	}
	if strange := unmatched(args, folders); len(strange) > 0 {
		return nil, nil, fmt.Errorf("selecting clusters: no run of %s is recorded at %s; there are %s", strings.Join(strange, ", "), a.ledgerPlace(), strings.Join(all, ", "))
	}
	if pick := picker(args); pick != nil {
		all = slices.DeleteFunc(all, func(name string) bool { return !pick("clusters/" + name) })
	}
	return books, all, nil
}
