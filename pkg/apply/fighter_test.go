package apply_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eks-gitops/reconciler/internal/sim/fault"
	"github.com/eks-gitops/reconciler/pkg/engine"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// fight is a daemon and a controller that both insist on a field.
type fight struct {
	*site
	proc *process
	// ahead is how far the daemon's clock is before the real one.
	ahead atomic.Int64
	moved chan struct{}

	mu sync.Mutex
	h  *history
	// patches counts the daemon's writes by thing.
	patches map[thing]int
	told    []*gitops.Error
	ended   []run.Record
}

// Fetch implements engine.Source.
func (f *fight) Fetch(context.Context) (gitops.Snapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.h.snapshot(), nil
}

// Changed implements engine.Source.
func (f *fight) Changed() <-chan struct{} { return f.moved }

// Emit implements run.Sink.
func (f *fight) Emit(e run.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch e := e.(type) {
	case run.Settled:
		if e.Result.Error != nil && e.Result.Error.Reason == gitops.Contested {
			f.told = append(f.told, e.Result.Error)
		}
	case run.Finished:
		f.ended = append(f.ended, e.Record)
	}
}

// TestFightWithAController: a controller sets a field back whenever the daemon corrects it. It is told once, with the field and the
// controller's name; then the daemon writes once after each pause only, other objects go on, and it is over when the controller stops.
func TestFightWithAController(t *testing.T) {
	contested, other := thing{"ConfigMap", "fight", "contested"}, thing{"ConfigMap", "fight", "other"}
	f := &fight{moved: make(chan struct{}, 1), patches: map[thing]int{}, h: &history{id: "fight", things: map[thing]state{}, ever: map[thing]bool{}}}
	f.h.policy = faultPolicy + "conflicts: [{managers: [flapper], ruling: take}]\n"
	for _, want := range []thing{{"Namespace", "", "fight"}, contested, other} {
		f.h.put(want, "apps")
	}
	f.site = newSite(t, "fight", fault.Options{Wrote: f.wrote})
	f.proc = f.daemon(t)
	f.until("both to be live", func() bool { return f.value(contested) == f.wants(contested) && f.value(other) != "" })

	stop := f.flap(t, contested)
	f.until("the contest to be told", func() bool { return len(f.said()) > 0 })
	if said := f.said()[0]; said.Ref != contested.ref() || !strings.HasPrefix(said.Message(), "flapper sets data.value back again and again") {
		t.Errorf("told: %v of %s", said, said.Ref)
	}
	f.until("the controller's value", func() bool { return f.value(contested) == "theirs" })
	// What git says at first, and the corrections that are no contest yet.
	const first = 1 + 5
	f.pushed(t, other)
	if n := f.count(contested); n != first {
		t.Errorf("%d writes before the pause, want %d", n, first)
	}
	// After the pause one correction shows that the controller still insists.
	f.later(time.Minute + time.Second)
	f.pushed(t, other)
	f.until("one more correction", func() bool { return f.count(contested) > first && f.value(contested) == "theirs" })
	f.pushed(t, other)
	f.pushed(t, other)
	if n := f.count(contested); n != first+1 {
		t.Errorf("%d writes after the first pause, want %d", n, first+1)
	}
	if last := f.last(); last.Outcome != run.Failed {
		t.Errorf("meanwhile: %s", tell(last))
	}
	stop()
	f.later(2*time.Minute + time.Second)
	f.pushed(t, other)
	f.until("git's value", func() bool { return f.value(contested) == f.wants(contested) })
	f.until("the end of the contest", func() bool { return f.last().Outcome == run.Converged })
	if n := f.count(contested); n != first+2 {
		t.Errorf("%d writes in all, want %d", n, first+2)
	}
	if n := len(f.said()); n != 1 {
		t.Errorf("it was told %d times: %v", n, f.said())
	}
}

// daemon starts the daemon, whose clock the test may put forward.
func (f *fight) daemon(t *testing.T) *process {
	t.Helper()
	f.events = run.Sinks{f}
	p := f.start(true, time.Minute, f.h.policy)
	options := p.engine.Options
	options.Source, options.Now = f, func() time.Time { return time.Now().Add(time.Duration(f.ahead.Load())) }
	options.Connect = func(context.Context, gitops.Cluster) (engine.Target, error) { return p.target(), nil }
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := engine.New(options).Daemon(ctx, nil); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
		p.stop()
	})
	return p
}

// flap starts the controller; what it returns ends it.
func (f *fight) flap(t *testing.T, contested thing) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	objects := f.at(contested)
	theirs, err := json.Marshal(gitops.Tree{"data": gitops.Tree{"value": "theirs"}})
	if err != nil {
		t.Fatal(err)
	}
	insist := func() {
		if _, err := objects.Patch(ctx, contested.name, types.MergePatchType, theirs, metav1.PatchOptions{FieldManager: "flapper"}); err != nil && ctx.Err() == nil {
			t.Errorf("the controller: %v", err)
		}
	}
	events, err := objects.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + contested.name})
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for range events.ResultChan() {
			if ctx.Err() == nil && f.value(contested) != "theirs" {
				insist()
			}
		}
	})
	return func() {
		cancel()
		events.Stop()
		running.Wait()
	}
}

func (f *fight) wrote(r *http.Request, _ []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t, ok := thingOf(r.URL.Path); ok {
		f.patches[t]++
	}
}

func (f *fight) count(t thing) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.patches[t]
}

func (f *fight) said() []*gitops.Error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*gitops.Error{}, f.told...)
}

func (f *fight) last() run.Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended[len(f.ended)-1]
}

// value is what is live; "" when nothing is.
func (f *fight) value(t thing) string {
	u, err := f.at(t).Get(context.WithoutCancel(f.Context()), t.name, metav1.GetOptions{})
	if err != nil {
		return ""
	}
	return gitops.StringAt(u.Object, "data", "value")
}

// wants is what git says.
func (f *fight) wants(t thing) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return gitops.StringAt(object(f, t.manifest(f.h.things[t])), "data", "value")
}

// pushed commits another value of a thing and waits until it is live.
func (f *fight) pushed(t *testing.T, other thing) {
	t.Helper()
	f.mu.Lock()
	s := f.h.things[other]
	s.version = f.h.next()
	f.h.things[other] = s
	f.h.commit()
	f.mu.Unlock()
	select {
	case f.moved <- struct{}{}:
	default:
	}
	f.until("the other object to follow git", func() bool { return f.value(other) == f.wants(other) })
}

// later puts the daemon's clock forward.
func (f *fight) later(d time.Duration) { f.ahead.Add(int64(d)) }

// until looks again and again, for a bounded time.
func (f *fight) until(what string, done func() bool) {
	f.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline.C:
			f.Fatalf("waiting for %s; told %v", what, f.said())
		case <-tick.C:
		}
	}
}
