package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/ledger"
	"github.com/eks-gitops/reconciler/pkg/run"
	"github.com/eks-gitops/reconciler/pkg/view"
)

func (a *app) historyCommand() *cobra.Command {
	var cluster string
	var limit int
	c := &cobra.Command{
		Use: "history", Short: "List past runs: what changed, why, and by which commit", Args: cobra.NoArgs,
		Long: "List past runs, newest first: of one cluster, or of all that the ledger holds.",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.history(c.Context(), cluster, limit)
		},
	}
	c.PersistentFlags().StringVar(&cluster, "cluster", "", "only this cluster; show, diff and why need it when the ledger holds several")
	c.Flags().IntVarP(&limit, "limit", "n", 20, "how many runs (0: all)")
	c.AddCommand(
		a.historyLeaf(&cluster, "show RUN", "Show one run: its plan and what became of each change", 1, a.historyShow),
		a.historyLeaf(&cluster, "diff RUN RUN", "Compare two runs", 2, a.historyDiff),
		a.historyLeaf(&cluster, "why REF", "Tell which commits changed one thing", 1, a.historyWhy),
	)
	return c
}

// history lists the newest runs of the cluster, or of all clusters together. Runs that cannot be read keep no other from being
// shown.
func (a *app) history(ctx context.Context, cluster string, limit int) error {
	format, err := a.format()
	if err != nil {
		return err
	}
	if limit < 0 {
		return fmt.Errorf("reading --limit %d: want how many runs, or 0 for all", limit)
	}
	books, names, err := a.recorded(ctx, some(cluster))
	if err != nil {
		return err
	}
	var records []run.Record
	var trouble []error
	for _, name := range names {
		found, err := books.Records(ctx, name, limit)
		records, trouble = append(records, found...), append(trouble, err)
	}
	slices.SortStableFunc(records, func(a, b run.Record) int { return b.Began.Compare(a.Began) })
	if limit > 0 && len(records) > limit {
		records = records[:limit]
	}
	text, err := view.History(format, a.viewOptions(), len(names) > 1, records)
	if err != nil {
		return err
	}
	_, err = a.stdout.Write(text)
	return errors.Join(append(trouble, err)...)
}

// some is a list of one text, or none when it is empty.
func some(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

// leaf answers one question about one cluster's history.
type leaf func(ctx context.Context, books *ledger.Ledger, name string, f view.Format, args []string) ([]byte, error)

func (a *app) historyLeaf(cluster *string, use, short string, args int, answer leaf) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(args), RunE: func(c *cobra.Command, args []string) error {
		format, err := a.format()
		if err != nil {
			return err
		}
		books, names, err := a.recorded(c.Context(), some(*cluster))
		if err != nil {
			return err
		}
		if len(names) > 1 {
			return fmt.Errorf("choosing a cluster: the ledger at %s holds %s\n  try: %s %s --cluster %s",
				a.ledgerPlace(), strings.Join(names, ", "), c.CommandPath(), strings.Join(args, " "), names[0])
		}
		text, err := answer(c.Context(), books, names[0], format, args)
		if err != nil {
			return err
		}
		_, err = a.stdout.Write(text)
		return err
	}}
}

func (a *app) historyShow(ctx context.Context, books *ledger.Ledger, name string, f view.Format, args []string) ([]byte, error) {
	id, err := runID(args[0])
	if err != nil {
		return nil, err
	}
	record, err := books.Record(ctx, name, id)
	if err != nil {
		return nil, err
	}
	return view.Record(f, a.viewOptions(), record)
}

func (a *app) historyDiff(ctx context.Context, books *ledger.Ledger, name string, f view.Format, args []string) ([]byte, error) {
	from, err := runID(args[0])
	if err != nil {
		return nil, err
	}
	to, err := runID(args[1])
	if err != nil {
		return nil, err
	}
	comparison, err := books.Diff(ctx, name, from, to)
	if err != nil {
		return nil, err
	}
	return view.Compare(f, a.viewOptions(), comparison)
}

func (a *app) historyWhy(ctx context.Context, books *ledger.Ledger, name string, f view.Format, args []string) ([]byte, error) {
	ref, err := gitops.ParseRef(args[0])
	if err != nil {
		return nil, err
	}
	touches, err := books.Why(ctx, name, ref)
	if err != nil {
		return nil, err
	}
	return view.Why(f, a.viewOptions(), ref, touches)
}

func runID(text string) (int, error) {
	id, err := strconv.Atoi(text)
	if err != nil || id < 1 {
		return 0, fmt.Errorf("reading run %q: want a number as reconciler history lists it", text)
	}
	return id, nil
}
