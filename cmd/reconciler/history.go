package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/ledger"
	"github.com/eks-gitops/reconciler/pkg/view"
)

func (a *app) historyCommand() *cobra.Command {
	var cluster string
	var limit int
	c := &cobra.Command{
		Use: "history", Short: "List past runs: what changed, why, and by which commit", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.book(c.Context(), cluster, func(books *ledger.Ledger, name string, f view.Format) ([]byte, error) {
				records, err := books.Records(c.Context(), name, limit)
				if err != nil {
					return nil, err
				}
				return view.History(f, a.viewOptions(), records)
			})
		},
	}
	c.PersistentFlags().StringVar(&cluster, "cluster", "", "cluster, when the ledger holds more than one")
	c.Flags().IntVarP(&limit, "limit", "n", 20, "how many runs (0: all)")
	c.AddCommand(
		a.historyLeaf(&cluster, "show RUN", "Show one run: its plan and what became of each change", 1, a.historyShow),
		a.historyLeaf(&cluster, "diff RUN RUN", "Compare two runs", 2, a.historyDiff),
		a.historyLeaf(&cluster, "why REF", "Tell which commits changed one thing", 1, a.historyWhy),
	)
	return c
}

// leaf answers one question about one cluster's history.
type leaf func(ctx context.Context, books *ledger.Ledger, name string, f view.Format, args []string) ([]byte, error)

func (a *app) historyLeaf(cluster *string, use, short string, args int, answer leaf) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(args), RunE: func(c *cobra.Command, args []string) error {
		return a.book(c.Context(), *cluster, func(books *ledger.Ledger, name string, f view.Format) ([]byte, error) {
			return answer(c.Context(), books, name, f, args)
		})
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

// book opens the ledger, finds the one cluster that is meant, and prints what the question yields.
func (a *app) book(ctx context.Context, cluster string, ask func(*ledger.Ledger, string, view.Format) ([]byte, error)) error {
	format, err := a.format()
	if err != nil {
		return err
	}
	books, err := a.openLedger()
	if err != nil {
		return err
	}
	var args []string
	if cluster != "" {
		args = []string{cluster}
	}
	names, err := clusterNames(ctx, books, args)
	if err != nil {
		return err
	}
	if len(names) != 1 {
		return fmt.Errorf("choosing a cluster: the ledger at %s holds %d that match: %s\n  try: reconciler history --cluster NAME", a.ledgerPlace(), len(names), strings.Join(names, ", "))
	}
	text, err := ask(books, names[0], format)
	if err != nil {
		return gitops.AsError(gitops.LedgerUnavailable, err)
	}
	_, err = a.stdout.Write(text)
	return err
}

func runID(text string) (int, error) {
	id, err := strconv.Atoi(text)
	if err != nil || id < 1 {
		return 0, fmt.Errorf("reading run %q: want a number as reconciler history lists it", text)
	}
	return id, nil
}
