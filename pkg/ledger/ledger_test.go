package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/ledger"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// stores are all Blobs of this package, each new.
func stores(t *testing.T) map[string]ledger.Blobs {
	return map[string]ledger.Blobs{"files": ledger.Files(filepath.Join(t.TempDir(), "ledger")), "memory": ledger.Memory()}
}

func TestBlobs(t *testing.T) {
	for name, blobs := range stores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			if _, err := blobs.Get(ctx, "a/x"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("an absent blob: %v", err)
			}
			if keys, err := blobs.List(ctx, ""); err != nil || len(keys) > 0 {
				t.Errorf("an empty store: %v, %v", keys, err)
			}
			for _, key := range []string{"b/records/2", "a/records/1", "a/inventory", "ab/records/3"} {
				if err := blobs.Put(ctx, key, []byte(key)); err != nil {
					t.Fatal(err)
				}
			}
			if err := blobs.Put(ctx, "a/inventory", []byte("new")); err != nil {
				t.Fatal(err)
			}
			if body, err := blobs.Get(ctx, "a/inventory"); err != nil || string(body) != "new" {
				t.Errorf("%q, %v", body, err)
			}
			for prefix, want := range map[string][]string{
				"":           {"a/inventory", "a/records/1", "ab/records/3", "b/records/2"},
				"a":          {"a/inventory", "a/records/1", "ab/records/3"},
				"a/":         {"a/inventory", "a/records/1"},
				"a/records/": {"a/records/1"},
				"c/records/": nil,
			} {
				keys, err := blobs.List(ctx, prefix)
				if err != nil || !slices.Equal(keys, want) {
					t.Errorf("list %q: %v, %v", prefix, keys, err)
				}
			}
			if err := errors.Join(blobs.Put(ctx, "a/inventory", nil), blobs.Put(ctx, "a/inventory", nil), blobs.Put(ctx, "never/was", nil)); err != nil {
				t.Errorf("deleting: %v", err)
			}
			if _, err := blobs.Get(ctx, "a/inventory"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a deleted blob: %v", err)
			}
		})
	}
}

func TestFilesStayInTheirFolder(t *testing.T) {
	f := ledger.Files(t.TempDir())
	for _, key := range []string{"../x", "/etc/x", "a/../../x", ""} {
		if err := f.Put(t.Context(), key, []byte("x")); err == nil {
			t.Errorf("%q was written", key)
		}
		if _, err := f.Get(t.Context(), key); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q was read: %v", key, err)
		}
	}
}

func configMap(name string) gitops.Ref {
	return gitops.Ref{Domain: gitops.K8s, Kind: "ConfigMap", Namespace: "shop", Name: name}
}

// record is a run that changed one thing.
func record(cluster string, outcome run.Outcome, name string, state run.State) run.Record {
	c := plan.Change{ID: gitops.DigestOf(name), Ref: configMap(name), Action: plan.Update, Risk: plan.RiskNone, Edits: []plan.Edit{{Path: "data.x", Before: "1", After: "2"}}}
	began := time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)
	return run.Record{
		Cluster: cluster, Cause: "commit", Outcome: outcome, Began: began, Ended: began.Add(time.Minute),
		Plan:    plan.Plan{ID: "0123456789abcdef", Cluster: cluster, Revision: gitops.Revision{Hash: "4f2c9e1"}, Complete: true, Changes: []plan.Change{c}, Unchanged: 3},
		Results: []run.Result{{Change: c.ID, Ref: c.Ref, State: state, Health: gitops.Health{Status: gitops.Ready}, Began: began, Ended: began.Add(time.Second)}},
	}
}

func TestHistory(t *testing.T) {
	for name, blobs := range stores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			l := ledger.New(blobs, ledger.Options{})
			if _, ok, err := l.Last(ctx, "prod"); ok || err != nil {
				t.Errorf("an empty history: %v, %v", ok, err)
			}
			outcomes := []run.Outcome{run.Converged, run.Failed, run.Waiting}
			var want []run.Record
			for i, outcome := range outcomes {
				r, err := l.Append(ctx, record("prod", outcome, fmt.Sprint("x", i%2), run.Done))
				if err != nil || r.ID != i+1 {
					t.Fatalf("run %d: %v", r.ID, err)
				}
				want = append([]run.Record{r}, want...)
			}
			if _, err := l.Append(ctx, record("other", run.Converged, "y", run.Done)); err != nil {
				t.Fatal(err)
			}
			got, err := l.Records(ctx, "prod", 0)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			if two, err := l.Records(ctx, "prod", 2); err != nil || len(two) != 2 || two[0].ID != 3 {
				t.Errorf("the newest two: %v, %v", two, err)
			}
			if last, ok, err := l.Last(ctx, "prod"); err != nil || !ok || last.ID != 3 {
				t.Errorf("last: %d, %v, %v", last.ID, ok, err)
			}
			if good, ok, err := l.LastGood(ctx, "prod"); err != nil || !ok || good.ID != 1 {
				t.Errorf("last good: %d, %v, %v", good.ID, ok, err)
			}
			if clusters, err := l.Clusters(ctx); err != nil || !slices.Equal(clusters, []string{"other", "prod"}) {
				t.Errorf("clusters: %v, %v", clusters, err)
			}
			touches, err := l.Why(ctx, "prod", configMap("x0"))
			if err != nil || len(touches) != 2 || touches[0].Run != 3 || touches[1].Run != 1 {
				t.Errorf("why: %+v, %v", touches, err)
			}
			diff, err := l.Diff(ctx, "prod", 3, 1)
			if err != nil || diff.From.Run != 1 || diff.To.Run != 3 || len(diff.Net) != 2 || diff.Missing != 0 {
				t.Errorf("diff: %+v, %v", diff, err)
			}
			_, err = l.Record(ctx, "prod", 9)
			if e, ok := errors.AsType[*gitops.Error](err); !ok || e.Reason != gitops.LedgerUnavailable || !strings.Contains(e.Error(), "run 9 of prod is not in the history") {
				t.Errorf("a run that never was: %v", err)
			}
		})
	}
}

// Beyond Keep the oldest runs go, but never the last good one.
func TestCompaction(t *testing.T) {
	ctx := t.Context()
	l := ledger.New(ledger.Memory(), ledger.Options{Keep: 3})
	ids := func() []int {
		records, err := l.Records(ctx, "prod", 0)
		if err != nil {
			t.Fatal(err)
		}
		var out []int
		for _, r := range records {
			out = append(out, r.ID)
		}
		return out
	}
	for i, outcome := range []run.Outcome{run.Converged, run.Converged, run.Failed, run.Failed, run.Failed, run.Failed, run.Failed} {
		if _, err := l.Append(ctx, record("prod", outcome, "x", run.Done)); err != nil {
			t.Fatalf("run %d: %v", i+1, err)
		}
	}
	if got := ids(); !slices.Equal(got, []int{7, 6, 5, 2}) {
		t.Errorf("kept %v: want the newest three and run 2, the last good one", got)
	}
	if _, err := l.Append(ctx, record("prod", run.Converged, "x", run.Done)); err != nil {
		t.Fatal(err)
	}
	if got := ids(); !slices.Equal(got, []int{8, 7, 6}) {
		t.Errorf("kept %v", got)
	}
	if diff, err := l.Diff(ctx, "prod", 6, 8); err != nil || diff.Missing != 0 {
		t.Errorf("%+v, %v", diff, err)
	}
}

// dropping loses a blob as soon as it was listed, as a daemon does that appends beside a reader.
type dropping struct {
	ledger.Blobs
	key string
}

func (d dropping) List(ctx context.Context, prefix string) ([]string, error) {
	keys, err := d.Blobs.List(ctx, prefix)
	return keys, errors.Join(err, d.Put(ctx, d.key, nil))
}

// TestReadBesideAWriter: a run that a daemon dropped after it was listed is no longer kept; that is no trouble for who reads.
func TestReadBesideAWriter(t *testing.T) {
	t.Parallel()
	blobs := ledger.Memory()
	l := ledger.New(blobs, ledger.Options{})
	for range 3 {
		if _, err := l.Append(t.Context(), record("dev", run.Converged, "a", run.Done)); err != nil {
			t.Fatal(err)
		}
	}
	reader := func(id int) *ledger.Ledger {
		return ledger.New(dropping{blobs, fmt.Sprintf("dev/records/%08d", id)}, ledger.Options{})
	}
	records, err := reader(1).Records(t.Context(), "dev", 0)
	if err != nil || len(records) != 2 || records[1].ID != 2 {
		t.Errorf("beside one who drops run 1, the history is %d runs, %v; want runs 3 and 2", len(records), err)
	}
	if last, ok, err := reader(3).Last(t.Context(), "dev"); err != nil || !ok || last.ID != 2 {
		t.Errorf("beside one who drops run 3, the last is %d, %v, %v; want run 2", last.ID, ok, err)
	}
	if _, err := l.Record(t.Context(), "dev", 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("who asks for run 1 by its number is told %v", err)
	}
}

// Several writers, also in several processes, never take the same id.
func TestAppendTogether(t *testing.T) {
	dir := t.TempDir()
	var wait sync.WaitGroup
	for writer := range 4 {
		l := ledger.New(ledger.Files(dir), ledger.Options{}) // a Ledger of its own, as another process has
		wait.Go(func() {
			for i := range 8 {
				if _, err := l.Append(context.WithoutCancel(t.Context()), record("prod", run.Converged, fmt.Sprintf("w%d-%d", writer, i), run.Done)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	records, err := ledger.New(ledger.Files(dir), ledger.Options{}).Records(t.Context(), "prod", 0)
	if err != nil || len(records) != 32 || records[0].ID != 32 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	seen := map[gitops.Ref]bool{}
	for _, r := range records {
		seen[r.Plan.Changes[0].Ref] = true
	}
	if len(seen) != 32 {
		t.Errorf("%d runs were kept of 32", len(seen))
	}
}

// A lock that another holds is given up with the context, not waited for without end.
func TestLockEndsWithItsContext(t *testing.T) {
	f := ledger.Files(t.TempDir())
	unlock, err := f.Lock(t.Context(), "prod")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Lock(ctx, "prod"); !errors.Is(err, context.Canceled) {
		t.Errorf("a second holder: %v", err)
	}
	unlock()
	again, err := f.Lock(t.Context(), "prod")
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestInventory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inv := gitops.Inventory{}
		for range rapid.IntRange(0, 20).Draw(t, "entries") {
			ref := gitops.Ref{Domain: gitops.K8s, Group: rapid.SampledFrom([]string{"", "apps"}).Draw(t, "group"), Kind: "K", Namespace: rapid.SampledFrom([]string{"", "n"}).Draw(t, "ns"), Name: rapid.StringN(1, 9, -1).Draw(t, "name")}
			inv[ref] = gitops.Entry{Overlay: rapid.String().Draw(t, "overlay"), Spec: gitops.DigestOf(ref), Revision: "r"}
		}
		l := ledger.New(ledger.Memory(), ledger.Options{})
		if err := l.Save(context.Background(), "prod", inv); err != nil {
			t.Fatal(err)
		}
		got, err := l.Inventory(context.Background(), "prod")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(inv, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// An absent inventory is empty; a damaged one is an error that names the blob, never an empty answer.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	ctx := t.Context()
	l := ledger.New(ledger.Files(dir), ledger.Options{})
	if inv, err := l.Inventory(ctx, "prod"); err != nil || len(inv) != 0 {
		t.Errorf("absent: %v, %v", inv, err)
	}
	for range 3 {
		if _, err := l.Append(ctx, record("prod", run.Converged, "x", run.Done)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Save(ctx, "prod", gitops.Inventory{configMap("x"): {Spec: "s"}}); err != nil {
		t.Fatal(err)
	}
	damage := func(file string, change func([]byte) []byte) {
		path := filepath.Join(dir, "prod", file)
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, change(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range map[string]func([]byte) []byte{
		"cut":     func(b []byte) []byte { return b[:len(b)/2] },
		"flipped": func(b []byte) []byte { b[len(b)/2] ^= 0x40; return b },
		"emptied": func([]byte) []byte { return nil },
		"text":    func([]byte) []byte { return []byte("{}") },
	} {
		t.Run(name, func(t *testing.T) {
			if err := l.Save(ctx, "prod", gitops.Inventory{configMap("x"): {Spec: "s"}}); err != nil {
				t.Fatal(err)
			}
			damage("inventory.gz", change)
			inv, err := l.Inventory(ctx, "prod")
			e, ok := errors.AsType[*gitops.Error](err)
			if !ok || inv != nil || e.Reason != gitops.LedgerUnavailable || !strings.Contains(e.Error(), "prod/inventory is corrupt") || e.Try == "" {
				t.Errorf("%v, %v", inv, err)
			}
		})
	}
	damage("records/00000002.gz", func(b []byte) []byte { return b[:10] })
	records, err := l.Records(ctx, "prod", 0)
	if len(records) != 2 || err == nil || !strings.Contains(err.Error(), "prod/records/00000002 is corrupt") {
		t.Errorf("%d records, %v", len(records), err)
	}
	if r, err := l.Append(ctx, record("prod", run.Converged, "x", run.Done)); err != nil || r.ID != 4 {
		t.Errorf("appending after damage: %d, %v", r.ID, err)
	}
}

// What reaches the ledger unredacted by a bug elsewhere is still not stored.
func TestSilence(t *testing.T) {
	blobs := ledger.Memory()
	l := ledger.New(blobs, ledger.Options{})
	r := record("prod", run.Converged, "x", run.Done)
	mark := gitops.Redactor{}.Value("v")
	c := &r.Plan.Changes[0]
	c.Ref.Kind, c.Spec, c.Live = "Secret", gitops.Tree{"data": "canary"}, gitops.Tree{"data": "canary"}
	c.Edits = []plan.Edit{
		{Path: "data.password", Before: "canary", After: mark}, {Path: "data", After: gitops.Tree{"a": "canary", "b": gitops.Tree{"c": "canary"}}},
		{Path: "stringData.x", After: []any{"canary"}}, {Path: "metadata.labels.a", After: "seen"},
	}
	stored, err := l.Append(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	back, err := l.Record(t.Context(), "prod", stored.ID)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(back)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(body); strings.Contains(text, "canary") || !strings.Contains(text, "seen") || !strings.Contains(text, mark) {
		t.Error(text)
	}
}

// A run whose values would not fit is stored with its longest values left out, never without its changes.
func TestLongRecordsAreShortened(t *testing.T) {
	l := ledger.New(ledger.Memory(), ledger.Options{MaxBlob: 3000})
	r := record("prod", run.Converged, "x", run.Done)
	var long strings.Builder
	for i := range 20000 {
		fmt.Fprint(&long, gitops.DigestOf(i)) // does not compress
	}
	r.Plan.Changes[0].Edits = append(r.Plan.Changes[0].Edits, plan.Edit{Path: "data.long", Before: long.String(), After: "short"})
	stored, err := l.Append(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	back, err := l.Record(t.Context(), "prod", stored.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := []plan.Edit{{Path: "data.x", Before: "1", After: "2"}, {Path: "data.long", Before: "‹too long to keep›", After: "short"}}
	if diff := cmp.Diff(want, back.Plan.Changes[0].Edits); diff != "" {
		t.Error(diff)
	}
}

func FuzzInventoryBlob(f *testing.F) {
	blobs := ledger.Memory()
	if err := ledger.New(blobs, ledger.Options{}).Save(context.Background(), "prod", gitops.Inventory{configMap("x"): {Spec: "s"}}); err != nil {
		f.Fatal(err)
	}
	whole, err := blobs.Get(context.Background(), "prod/inventory")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Fuzz(func(t *testing.T, blob []byte) {
		blobs := ledger.Memory()
		if blob == nil {
			return
		}
		if err := blobs.Put(t.Context(), "prod/inventory", blob); err != nil {
			t.Fatal(err)
		}
		inv, err := ledger.New(blobs, ledger.Options{}).Inventory(t.Context(), "prod")
		if (err == nil) == (inv == nil) {
			t.Errorf("%v, %v: neither an answer nor an error, or both", inv, err)
		}
	})
}

// TestMarkedFieldsAreNotStored has a record whose edits were not redacted, of an object with values out of an encrypted file.
func TestMarkedFieldsAreNotStored(t *testing.T) {
	t.Parallel()
	blobs := ledger.Memory()
	books := ledger.New(blobs, ledger.Options{})
	r := record("dev", run.Converged, "conf", run.Done)
	mark := gitops.Redactor{Key: []byte("key")}.Value("canary")
	r.Plan.Changes[0].Secrets = []string{"data.password", "spec.env[*].value"}
	r.Plan.Changes[0].Edits = []plan.Edit{
		{Path: "data.password", Before: "canary", After: mark}, {Path: "data.open", After: "seen"},
		{Path: "spec", After: gitops.Tree{"env": []any{gitops.Tree{"name": "a", "value": "canary"}}, "image": "web"}},
	}
	stored, err := books.Append(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := books.Record(t.Context(), "dev", stored.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := []plan.Edit{
		{Path: "data.password", Before: "‹secret:unkeyed›", After: mark}, {Path: "data.open", After: "seen"},
		{Path: "spec", After: gitops.Tree{"env": []any{gitops.Tree{"name": "a", "value": "‹secret:unkeyed›"}}, "image": "web"}},
	}
	if diff := cmp.Diff(want, got.Plan.Changes[0].Edits); diff != "" {
		t.Error(diff)
	}
}
