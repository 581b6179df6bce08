// Package ledger keeps what the reconciler must not forget: per cluster the inventory (what it put there) and the history
// of Records.
//
// Purpose: deletion rights need a memory; people need to see what happened. Inputs: inventories and Records of the engine,
// and a Blobs store (in the cluster, a folder, memory). Outputs: the same values, later and in other processes.
// Invariants: what is stored holds no secrets (edits are redacted, and redacted again here); a blob that cannot be read is
// an error that names it, never an empty answer; the inventory is written whole and atomically; history keeps the newest
// Records and the last good one.
package ledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// Blobs is where a ledger is kept. Keys are slash-separated names of letters, digits, '-', '_' and '.'. It is safe for
// concurrent use.
type Blobs interface {
	// Get returns the blob of a key; errors.Is(err, fs.ErrNotExist) when there is none.
	Get(ctx context.Context, key string) ([]byte, error)
	// Put stores the blob of a key, whole or not at all. A nil blob deletes; deleting what is not there is no error.
	Put(ctx context.Context, key string, blob []byte) error
	// List returns the keys that begin with the prefix, sorted.
	List(ctx context.Context, prefix string) ([]string, error)
}

// Locker is what a Blobs store offers when several processes may write to it: between Lock and unlock no other holder of
// the same key writes.
type Locker interface {
	Lock(ctx context.Context, key string) (unlock func(), err error)
}

// Options tune a Ledger; the zero value is right.
type Options struct {
	// Keep is how many Records of a cluster are kept; zero means 200.
	Keep int
	// MaxBlob is the greatest size of a stored Record in bytes; values of its longest edits are left out to get there. Zero
	// means 700 KiB, which a ConfigMap or Secret holds in base64 (limit 1 MiB: etcd's request size).
	MaxBlob int
}

// Ledger keeps inventory and history of clusters. It is safe for concurrent use.
type Ledger struct {
	blobs Blobs
	Options
	// mu orders appends within the process; Locker orders them between processes.
	mu sync.Mutex
	// read are the inventories as last read, by cluster.
	read sync.Map
}

// reading is an inventory and the hash of the blob that it came from.
type reading struct {
	sum [sha256.Size]byte
	inv gitops.Inventory
}

// New makes a Ledger over a store.
func New(b Blobs, o Options) *Ledger {
	if o.Keep <= 0 {
		o.Keep = 200
	}
	if o.MaxBlob <= 0 {
		o.MaxBlob = 700 << 10
	}
	return &Ledger{blobs: b, Options: o}
}

const (
	inventoryName = "/inventory"
	recordsName   = "/records/"
)

func recordKey(cluster string, id int) string {
	return fmt.Sprintf("%s%s%08d", cluster, recordsName, id)
}

func recordID(key string) (int, bool) {
	id, err := strconv.Atoi(key[strings.LastIndexByte(key, '/')+1:])
	return id, err == nil && id > 0
}

// Inventory loads what was applied to a cluster. A cluster that was never saved is empty. The store is asked every time, but
// what says the same as before is not decoded again: the result is shared and must not be changed.
func (l *Ledger) Inventory(ctx context.Context, cluster string) (gitops.Inventory, error) {
	key := cluster + inventoryName
	blob, err := l.blobs.Get(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return gitops.Inventory{}, nil
	}
	if err != nil {
		return nil, unavailable("reading the inventory of %s: %w", cluster, err)
	}
	sum := sha256.Sum256(blob)
	if known, ok := l.read.Load(cluster); ok && known.(reading).sum == sum {
		return known.(reading).inv, nil
	}
	inv, err := decodeInventory(blob)
	if err != nil {
		return nil, corrupt(key, fmt.Errorf("the inventory of %s: %w", cluster, err))
	}
	l.read.Store(cluster, reading{sum, inv})
	return inv, nil
}

// Save stores the inventory of a cluster, replacing what was stored. It must not be changed afterwards: it is what Inventory gives.
func (l *Ledger) Save(ctx context.Context, cluster string, inv gitops.Inventory) error {
	blob, err := encodeInventory(cluster, inv)
	if err != nil {
		return unavailable("encoding the inventory of %s: %w", cluster, err)
	}
	if err := l.blobs.Put(ctx, cluster+inventoryName, blob); err != nil {
		return unavailable("writing the inventory of %s: %w", cluster, err)
	}
	l.read.Store(cluster, reading{sha256.Sum256(blob), inv})
	return nil
}

// Append stores a Record under the next free id and returns it with that id; then it drops the Records that are no longer
// kept.
func (l *Ledger) Append(ctx context.Context, r run.Record) (run.Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if locker, ok := l.blobs.(Locker); ok {
		unlock, err := locker.Lock(ctx, r.Cluster)
		if err != nil {
			return r, unavailable("locking the history of %s: %w", r.Cluster, err)
		}
		defer unlock()
	}
	ids, err := l.ids(ctx, r.Cluster)
	if err != nil {
		return r, err
	}
	r.ID = 1
	if len(ids) > 0 {
		r.ID = ids[0] + 1
	}
	blob, err := encodeRecord(r, l.MaxBlob)
	if err != nil {
		return r, unavailable("encoding run %d of %s: %w", r.ID, r.Cluster, err)
	}
	if err := l.blobs.Put(ctx, recordKey(r.Cluster, r.ID), blob); err != nil {
		return r, unavailable("writing run %d of %s: %w", r.ID, r.Cluster, err)
	}
	return r, l.compact(ctx, r, ids)
}

// compact deletes the oldest Records beyond Keep, sparing the last good one: it is what people go back to.
func (l *Ledger) compact(ctx context.Context, newest run.Record, older []int) error {
	if len(older) < l.Keep {
		return nil
	}
	kept, gone := older[:l.Keep-1], older[l.Keep-1:]
	good := newest.Outcome == run.Converged
	for i := 0; i < len(kept) && !good; i++ {
		r, err := l.Record(ctx, newest.Cluster, kept[i])
		good = err == nil && r.Outcome == run.Converged
	}
	for _, id := range gone {
		if !good {
			r, err := l.Record(ctx, newest.Cluster, id)
			if good = err == nil && r.Outcome == run.Converged; good {
				continue
			}
		}
		if err := l.blobs.Put(ctx, recordKey(newest.Cluster, id), nil); err != nil {
			return unavailable("dropping run %d of %s: %w", id, newest.Cluster, err)
		}
	}
	return nil
}

// ids lists the runs of a cluster, newest first.
func (l *Ledger) ids(ctx context.Context, cluster string) ([]int, error) {
	keys, err := l.blobs.List(ctx, cluster+recordsName)
	if err != nil {
		return nil, unavailable("listing the history of %s: %w", cluster, err)
	}
	ids := make([]int, 0, len(keys))
	for _, key := range keys {
		if id, ok := recordID(key); ok {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b int) int { return b - a })
	return ids, nil
}

func unavailable(format string, args ...any) *gitops.Error {
	return gitops.Errorf(gitops.LedgerUnavailable, format, args...)
}

// corrupt is the error for a blob that is there but cannot be read: it names the blob, and says what removing it means.
func corrupt(key string, err error) *gitops.Error {
	e := unavailable("blob %s is corrupt: %w", key, err)
	e.Try = "restore the blob from a backup; removing it forgets what it held"
	return e
}
