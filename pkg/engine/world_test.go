package engine_test

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing/fstest"
	"time"

	"github.com/eks-gitops/reconciler/pkg/engine"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// world is a little universe behind the engine's ports: git, both domains and the ledger, with faults.
type world struct {
	mu sync.Mutex
	// git
	revision int
	want     map[gitops.Ref]gitops.Item
	commits  map[string]map[gitops.Ref]gitops.Item
	policy   *gitops.Item
	fetchErr error
	moved    chan struct{}
	// live
	live    map[gitops.Ref]gitops.Tree
	readyAt map[gitops.Ref]time.Time
	// takes is how long a ref takes from Apply to Ready.
	takes map[gitops.Ref]time.Duration
	// slow is how long Apply itself takes; for hangs it takes until it is cut off.
	slow  map[gitops.Ref]time.Duration
	hangs gitops.Ref
	// broken refs never become ready.
	broken map[gitops.Ref]bool
	// finishes are refs that go by themselves once they are ready.
	finishes map[gitops.Ref]bool
	// why is the reason that a ref's health gives for not being ready.
	why map[gitops.Ref]gitops.Reason
	// steps is how many times a ref must be applied before its new content is live.
	steps  map[gitops.Ref]int
	nudges map[gitops.Domain]chan struct{}
	// looked counts the looks at what was applied.
	looked      atomic.Int64
	concurrency int
	// books
	inventory gitops.Inventory
	saved     []gitops.Inventory
	records   []run.Record
	// faults
	fault func(op string, r gitops.Ref) fault
	// log of what was applied, in order of acceptance, with what was ready then
	applies []applied
	planned map[gitops.Digest]bool
	events  []run.Event
	// needsFacts makes the overlay of that name pending until facts are known.
	needsFacts string
	facts      gitops.Facts
	// infra makes the cluster itself a thing to be made.
	infra bool
	// predicts says that what is not there is predicted, and that nothing nudges about an object before a look found it.
	predicts   bool
	seen       map[gitops.Ref]bool
	observeErr map[gitops.Domain]error
	observes   int
}

type applied struct {
	change plan.Change
	ready  map[gitops.Ref]bool
	at     time.Time
}

// fault is what goes wrong with one call.
type fault int

const (
	none fault = iota
	refused
	lost // done, but the answer is an error
	panics
	hung // not done, and the caller gives up after a while
	late // done, but after the caller gave up
)

// patience is how long a caller waits for an answer.
const patience = 15 * time.Second

var errFault = errors.New("injected")

func newWorld() *world {
	return &world{
		want: map[gitops.Ref]gitops.Item{}, commits: map[string]map[gitops.Ref]gitops.Item{}, live: map[gitops.Ref]gitops.Tree{}, readyAt: map[gitops.Ref]time.Time{},
		seen: map[gitops.Ref]bool{}, steps: map[gitops.Ref]int{}, takes: map[gitops.Ref]time.Duration{}, broken: map[gitops.Ref]bool{}, finishes: map[gitops.Ref]bool{}, why: map[gitops.Ref]gitops.Reason{}, moved: make(chan struct{}, 1),
		nudges:    map[gitops.Domain]chan struct{}{gitops.EKS: make(chan struct{}, 1), gitops.K8s: make(chan struct{}, 1)},
		inventory: gitops.Inventory{}, planned: map[gitops.Digest]bool{}, observeErr: map[gitops.Domain]error{},
		fault: func(string, gitops.Ref) fault { return none },
	}
}

func configMap(name string, value any) gitops.Item {
	r := gitops.Ref{Domain: gitops.K8s, Kind: "ConfigMap", Namespace: "shop", Name: name}
	return gitops.Item{Ref: r, From: gitops.Origin{Position: gitops.Position{File: "shop/" + name + ".yaml", Line: 1}, Overlay: "shop"}, Spec: gitops.Tree{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": gitops.Tree{"name": name, "namespace": "shop"}, "data": gitops.Tree{"v": value},
	}}
}

func dependsOn(i gitops.Item, on ...string) gitops.Item {
	text := ""
	for n, name := range on {
		if n > 0 {
			text += ","
		}
		text += "/namespaces/shop/ConfigMap/" + name
	}
	gitops.TreeAt(i.Spec, "metadata")["annotations"] = gitops.Tree{"config.kubernetes.io/depends-on": text}
	return i
}

func (w *world) push(items ...gitops.Item) {
	w.mu.Lock()
	w.want = map[gitops.Ref]gitops.Item{}
	for _, i := range items {
		w.want[i.Ref] = i
	}
	w.revision++
	w.commits[w.snapshot().Revision.Hash] = w.want
	w.mu.Unlock()
	select {
	case w.moved <- struct{}{}:
	default:
	}
}

// edit changes the live world behind git's back.
func (w *world) edit(r gitops.Ref, t gitops.Tree) {
	w.mu.Lock()
	if t == nil {
		delete(w.live, r)
	} else {
		w.live[r] = t
	}
	watched := !w.predicts || w.seen[r]
	w.mu.Unlock()
	if watched {
		w.nudge(r.Domain)
	}
}

func (w *world) nudge(d gitops.Domain) {
	select {
	case w.nudges[d] <- struct{}{}:
	default:
	}
}

func (w *world) cluster() gitops.Cluster {
	return gitops.Cluster{Name: "dev", Folder: "clusters/dev", Overlays: []string{"shop"}, Policy: w.policy, Config: gitops.Item{
		Ref: gitops.Ref{Domain: gitops.EKS, Kind: "ClusterConfig", Namespace: "dev", Name: "dev"}, Spec: gitops.Tree{"kind": "ClusterConfig"},
	}}
}

func (w *world) snapshot() gitops.Snapshot {
	return gitops.Snapshot{Revision: gitops.Revision{Hash: string(gitops.DigestOf(w.revision))}, Files: fstest.MapFS{}}
}

// Source and Renderer.

type git struct{ *world }

func (g git) Changed() <-chan struct{} { return g.moved }

func (g git) Fetch(context.Context) (gitops.Snapshot, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.snapshot(), g.fetchErr
}

func (g git) Clusters(context.Context, gitops.Snapshot) ([]gitops.Cluster, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return []gitops.Cluster{g.cluster()}, nil
}

func (g git) Render(_ context.Context, s gitops.Snapshot, _ gitops.Cluster, f gitops.Facts) (gitops.Desired, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := gitops.Desired{Revision: s.Revision, Cluster: "dev"}
	d.Overlays = []gitops.Overlay{{Name: "shop", Complete: true, Pending: g.needsFacts == "shop" && len(f) == 0}}
	want := g.commits[s.Revision.Hash]
	for _, r := range slices.SortedFunc(maps.Keys(want), gitops.Ref.Compare) {
		d.Items = append(d.Items, want[r])
		if name := want[r].From.Overlay; !slices.ContainsFunc(d.Overlays, func(o gitops.Overlay) bool { return o.Name == name }) {
			d.Overlays = append(d.Overlays, gitops.Overlay{Name: name, Complete: true})
		}
	}
	return d, nil
}

// side is one domain.
type side struct {
	*world
	domain gitops.Domain
}

func (s side) Changed() <-chan struct{} { return s.nudges[s.domain] }

func (s side) Facts(context.Context) (gitops.Facts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.facts, nil
}

func (s side) Observe(_ context.Context, d gitops.Desired, inv gitops.Inventory) (gitops.Observed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observes++
	if err := s.observeErr[s.domain]; err != nil {
		return nil, err
	}
	if s.fault("observe", gitops.Ref{Domain: s.domain}) != none {
		return nil, errFault
	}
	out := gitops.Observed{}
	for r := range inv {
		if r.Domain == s.domain {
			out[r] = gitops.Observation{}
		}
	}
	wanted := map[gitops.Ref]bool{}
	for _, item := range d.Items {
		r := item.Ref
		if booked := inv[r]; s.live[r] == nil && booked.Finished && booked.Spec == gitops.DigestOf(item.Spec) {
			out[r] = gitops.Observation{Finished: true, Spec: item.Spec, From: item.From}
			continue
		}
		if s.domain == gitops.K8s || s.infra {
			wanted[r] = true
			s.seen[r] = s.live[r] != nil
			out[r] = gitops.Observation{Predicted: s.predicts && s.live[r] == nil, Live: s.live[r], Next: item.Spec, Spec: item.Spec, From: item.From, Owned: true, Overlay: item.From.Overlay, Progress: s.progress(r)}
		}
	}
	for r, live := range s.live {
		if !wanted[r] && r.Domain == s.domain {
			out[r] = gitops.Observation{Live: live, Owned: true, Overlay: cmp.Or(inv[r].Overlay, "shop")}
		}
	}
	return out, nil
}

func (s side) progress(r gitops.Ref) *gitops.Health {
	if s.live[r] == nil {
		return nil
	}
	if h := s.health(r); h.Status != gitops.Ready {
		return &h
	}
	return nil
}

func (s side) health(r gitops.Ref) gitops.Health {
	switch {
	case s.live[r] == nil:
		return gitops.Health{Status: gitops.Absent}
	case s.broken[r]:
		return gitops.Health{Status: gitops.Failed, Message: "it is broken", Reason: s.why[r]}
	case time.Now().Before(s.readyAt[r]):
		return gitops.Health{Status: gitops.Progressing, Message: "on its way", Reason: s.why[r]}
	}
	return gitops.Health{Status: gitops.Ready, Finished: s.finishes[r]}
}

// strike asks what goes wrong with a call, without holding up others.
func (w *world) strike(op string, r gitops.Ref) fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fault(op, r)
}

func (s side) Apply(ctx context.Context, c plan.Change) error {
	if c.Ref == s.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	time.Sleep(s.slow[c.Ref])
	f := s.strike("apply", c.Ref)
	if f == hung || f == late {
		time.Sleep(patience)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch f {
	case refused:
		return errFault
	case panics:
		panic("injected")
	case hung:
		return errFault
	case none, lost, late:
	}
	ready := map[gitops.Ref]bool{}
	for r := range s.live {
		ready[r] = s.health(r).Status == gitops.Ready
	}
	s.applies = append(s.applies, applied{change: c, ready: ready, at: time.Now()})
	if s.steps[c.Ref] > 0 {
		s.steps[c.Ref]--
		return nil
	}
	if c.Action == plan.Delete {
		delete(s.live, c.Ref)
	} else {
		s.live[c.Ref] = c.Spec
		s.readyAt[c.Ref] = time.Now().Add(s.takes[c.Ref])
	}
	if f == lost || f == late {
		return errFault
	}
	return nil
}

func (s side) Ready(_ context.Context, r gitops.Ref) (gitops.Health, error) {
	s.looked.Add(1)
	if f := s.strike("ready", r); f != none {
		if f == hung {
			time.Sleep(patience)
		}
		return gitops.Health{}, errFault
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.steps[r] > 0 {
		return gitops.Health{Status: gitops.Progressing, Message: "one more step", Step: true}, nil
	}
	return s.health(r), nil
}

// Ledger and Sink.

func (w *world) Inventory(context.Context, string) (gitops.Inventory, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.inventory), nil
}

func (w *world) Save(_ context.Context, _ string, inv gitops.Inventory) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fault("save", gitops.Ref{}) != none {
		return errFault
	}
	w.inventory = maps.Clone(inv)
	w.saved = append(w.saved, maps.Clone(inv))
	return nil
}

func (w *world) Append(_ context.Context, r run.Record) (run.Record, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.ID = len(w.records) + 1
	w.records = append(w.records, r)
	return r, nil
}

func (w *world) Emit(e run.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
	if p, ok := e.(run.Planned); ok {
		for _, c := range p.Plan.Changes {
			w.planned[c.ID] = true
		}
	}
}

func (w *world) setPolicy(p *gitops.Item) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.policy = p
}

// engine wires an Engine on the world.
func (w *world) engine() *engine.Engine {
	return engine.New(engine.Options{
		Source: git{w}, Renderer: git{w}, Ledger: w, Sink: w, Now: time.Now, Concurrency: w.concurrency,
		Connect: func(context.Context, gitops.Cluster) (engine.Target, error) { return w.target(), nil },
	})
}

func (w *world) target() engine.Target {
	infra := side{w, gitops.EKS}
	return engine.Target{Infra: infra, Facts: infra, Objects: side{w, gitops.K8s}, Redactor: gitops.Redactor{Key: []byte("k")}}
}

func (w *world) job() engine.Job {
	w.mu.Lock()
	defer w.mu.Unlock()
	return engine.Job{Snapshot: w.snapshot(), Cluster: w.cluster(), Target: w.target(), Cause: "test"}
}

// order is the names of what was applied, in order.
func (w *world) order() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, a := range w.applies {
		out = append(out, string(a.change.Action)+" "+a.change.Ref.Name)
	}
	return out
}

// lastRecord is the newest record.
func (w *world) looks() int64 { return w.looked.Load() }

func (w *world) lastRecord() run.Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.records[len(w.records)-1]
}

// counts are how many domains were observed and how many records were kept.
func (w *world) counts() (observes, records int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.observes, len(w.records)
}

// flaky makes calls fail in every way with the given share, from a seed, and counts.
type flaky struct {
	seed  uint64
	share float64

	mu   sync.Mutex
	rand *rand.Rand
	done int
}

func (f *flaky) fault(op string, _ gitops.Ref) fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rand == nil {
		f.rand = rand.New(rand.NewPCG(f.seed, 1))
	}
	if f.rand.Float64() >= f.share {
		return none
	}
	f.done++
	kinds := []fault{refused, lost, panics, hung, late}
	switch op {
	case "ready":
		kinds = []fault{refused, hung}
	case "save", "observe":
		kinds = []fault{refused}
	}
	return kinds[f.rand.IntN(len(kinds))]
}
