package ledger

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// Record loads one run of a cluster.
func (l *Ledger) Record(ctx context.Context, cluster string, id int) (run.Record, error) {
	key := recordKey(cluster, id)
	blob, err := l.blobs.Get(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		e := unavailable("run %d of %s is not in the history: %w", id, cluster, err)
		e.Try = "reconciler history lists the runs that are kept"
		return run.Record{}, e
	}
	if err != nil {
		return run.Record{}, unavailable("reading run %d of %s: %w", id, cluster, err)
	}
	r, err := decodeRecord(blob)
	if err != nil {
		return run.Record{}, corrupt(key, err)
	}
	return r, nil
}

// Records loads the newest runs of a cluster, newest first; a limit of zero loads all. When some cannot be read, the others
// come with the error.
func (l *Ledger) Records(ctx context.Context, cluster string, limit int) ([]run.Record, error) {
	ids, err := l.ids(ctx, cluster)
	if err != nil {
		return nil, err
	}
	if limit > 0 && len(ids) > limit {
		ids = ids[:limit]
	}
	return l.load(ctx, cluster, ids)
}

func (l *Ledger) load(ctx context.Context, cluster string, ids []int) ([]run.Record, error) {
	records := make([]run.Record, 0, len(ids))
	var errs []error
	for _, id := range ids {
		r, err := l.Record(ctx, cluster, id)
		if errors.Is(err, fs.ErrNotExist) {
			continue // who appends has dropped it since it was listed
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		records = append(records, r)
	}
	return records, errors.Join(errs...)
}

// Last loads the newest run; false means that there is none yet.
func (l *Ledger) Last(ctx context.Context, cluster string) (run.Record, bool, error) {
	return l.newest(ctx, cluster, func(run.Record) bool { return true })
}

// LastGood loads the newest run that converged; false means that none is kept.
func (l *Ledger) LastGood(ctx context.Context, cluster string) (run.Record, bool, error) {
	return l.newest(ctx, cluster, func(r run.Record) bool { return r.Outcome == run.Converged })
}

func (l *Ledger) newest(ctx context.Context, cluster string, wanted func(run.Record) bool) (run.Record, bool, error) {
	ids, err := l.ids(ctx, cluster)
	if err != nil {
		return run.Record{}, false, err
	}
	for _, id := range ids {
		r, err := l.Record(ctx, cluster, id)
		if errors.Is(err, fs.ErrNotExist) {
			continue // who appends has dropped it since it was listed
		}
		if err != nil {
			return run.Record{}, false, err
		}
		if wanted(r) {
			return r, true, nil
		}
	}
	return run.Record{}, false, nil
}

// Why lists the changes of a ref in the runs that are kept, newest first.
func (l *Ledger) Why(ctx context.Context, cluster string, ref gitops.Ref) ([]run.Touch, error) {
	records, err := l.Records(ctx, cluster, 0)
	return run.Why(records, ref), err
}

// Diff tells what the runs after from, up to and including to, did together. The order of the two does not matter.
func (l *Ledger) Diff(ctx context.Context, cluster string, from, to int) (run.Comparison, error) {
	from, to = min(from, to), max(from, to)
	first, err := l.Record(ctx, cluster, from)
	if err != nil {
		return run.Comparison{}, err
	}
	last, err := l.Record(ctx, cluster, to)
	if err != nil {
		return run.Comparison{}, err
	}
	ids, err := l.ids(ctx, cluster)
	if err != nil {
		return run.Comparison{}, err
	}
	ids = slices.DeleteFunc(ids, func(id int) bool { return id <= from || id > to })
	records, err := l.load(ctx, cluster, ids)
	return run.Compare(records, first, last), err
}

// Clusters lists the clusters that the ledger knows, sorted.
func (l *Ledger) Clusters(ctx context.Context) ([]string, error) {
	keys, err := l.blobs.List(ctx, "")
	if err != nil {
		return nil, unavailable("listing the clusters: %w", err)
	}
	var out []string
	for _, key := range keys {
		if cluster, _, ok := strings.Cut(key, "/"); ok {
			out = append(out, cluster)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
