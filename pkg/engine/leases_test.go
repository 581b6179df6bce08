package engine_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/engine"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// office hands one lease to one daemon, and takes it away, as a test wants.
type office struct {
	grant chan chan struct{} // what is sent is closed when the lease is lost
	err   error

	mu       sync.Mutex
	returned int
}

func (o *office) Hold(ctx context.Context, cluster string, work func(context.Context, <-chan struct{})) error {
	if o.err != nil {
		return o.err
	}
	if cluster != "dev" {
		panic("asked for the lease of " + cluster)
	}
	select {
	case <-ctx.Done():
		return nil
	case lost := <-o.grant:
		working, stop := context.WithCancel(ctx)
		defer stop()
		go func() {
			select {
			case <-lost:
				stop()
			case <-working.Done():
			}
		}()
		work(working, lost)
		o.mu.Lock()
		o.returned++
		o.mu.Unlock()
		return nil
	}
}

func (o *office) ended() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.returned
}

func startLeased(t *testing.T, w *world, o *office) (stop func()) {
	t.Helper()
	e := w.engine()
	e.Leases = o
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- e.Daemon(ctx, nil) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// TestDaemonWorksOnlyWithTheLease: nothing is looked at before the lease is held; when it comes again, the newest commit is
// worked on.
func TestDaemonWorksOnlyWithTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o := newWorld(), &office{grant: make(chan chan struct{})}
		w.push(configMap("a", "1"))
		stop := startLeased(t, w, o)
		time.Sleep(time.Hour)
		if observes, records := w.counts(); observes != 0 || records != 0 {
			t.Errorf("without the lease: %d looks, %d records", observes, records)
		}
		lost := make(chan struct{})
		o.grant <- lost
		time.Sleep(time.Minute)
		wantLive(t, w, map[string]any{"a": "1"})
		close(lost)
		synctest.Wait()
		if o.ended() != 1 {
			t.Error("work goes on without the lease")
		}
		w.push(configMap("a", "2"))
		time.Sleep(time.Hour)
		wantLive(t, w, map[string]any{"a": "1"})

		lost = make(chan struct{})
		o.grant <- lost
		time.Sleep(time.Minute)
		wantLive(t, w, map[string]any{"a": "2"})
		close(lost)
		synctest.Wait()
		// No commit comes, but what another process did meanwhile has to be looked at.
		w.edit(configMap("a", "2").Ref, nil)
		o.grant <- make(chan struct{})
		time.Sleep(time.Minute)
		wantLive(t, w, map[string]any{"a": "2"})
		stop()
	})
}

// TestLostLeaseCutsOff: calls under way are cut off at once, nothing more is started, and the books stay as they are.
func TestLostLeaseCutsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o := newWorld(), &office{grant: make(chan chan struct{})}
		a := configMap("a", "1")
		w.push(a, dependsOn(configMap("b", "1"), "a"))
		w.hangs = a.Ref
		stop := startLeased(t, w, o)
		lost := make(chan struct{})
		o.grant <- lost
		time.Sleep(time.Minute)
		began := time.Now()
		close(lost)
		synctest.Wait()
		if o.ended() != 1 || time.Since(began) != 0 {
			t.Errorf("work ended %d times, %s after the lease was lost", o.ended(), time.Since(began))
		}
		if _, records := w.counts(); records != 0 || len(w.saved) != 0 {
			t.Errorf("the books were written without the lease: %d records, %d inventories", records, len(w.saved))
		}
		if diff := cmp.Diff([]string(nil), w.order()); diff != "" {
			t.Errorf("applied (-want +got):\n%s", diff)
		}
		stop()
	})
}

// TestStoppingDaemonKeepsTheLeaseUntilItIsDone: the call under way finishes and is booked before the lease is given back.
func TestStoppingDaemonKeepsTheLeaseUntilItIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o := newWorld(), &office{grant: make(chan chan struct{})}
		a := configMap("a", "1")
		w.push(a)
		w.slow = map[gitops.Ref]time.Duration{a.Ref: 10 * time.Second}
		stop := startLeased(t, w, o)
		o.grant <- make(chan struct{})
		time.Sleep(time.Second)
		began := time.Now()
		stop()
		if took := time.Since(began); took < 8*time.Second {
			t.Errorf("the daemon ended after %s, in the middle of a call", took)
		}
		wantLive(t, w, map[string]any{"a": "1"})
		if _, records := w.counts(); records != 1 || len(w.inventory) != 1 {
			t.Errorf("%d records, inventory %v", records, w.inventory)
		}
	})
}

// TestLeaseTroubleIsTold: a daemon that cannot even ask for its lease says so, and asks again.
func TestLeaseTroubleIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o := newWorld(), &office{err: gitops.Errorf(gitops.AccessDenied, "leases are forbidden")}
		w.push(configMap("a", "1"))
		stop := startLeased(t, w, o)
		time.Sleep(time.Hour)
		stop()
		told := 0
		for _, e := range w.events {
			if f, ok := e.(run.Fetched); ok && f.Cluster == "dev" && errors.Is(f.Error, o.err) {
				told++
			}
		}
		if told != 1 {
			t.Errorf("told %d times, want once", told)
		}
	})
}

var _ engine.Leases = (*office)(nil)
