package run

import (
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// Event is one thing that happened. The set is sealed: Fetched, Heard, Planned, Started, Progressed, Finished, Settled.
type Event interface{ event() }

// Head is common to all events.
type Head struct {
	At      time.Time `json:"at"`
	Cluster string    `json:"cluster,omitempty"`
}

// Fetched says that the source yielded a revision, or why it did not.
type Fetched struct {
	Head
	Revision gitops.Revision `json:"revision"`
	Error    *gitops.Error   `json:"error,omitempty"`
}

// Heard says why the queue that tells what others do in AWS cannot be read, or that it can be again.
type Heard struct {
	Head
	Queue string        `json:"queue"`
	Error *gitops.Error `json:"error,omitempty"`
}

// Planned says what should change, before anything does.
type Planned struct {
	Head
	Plan plan.Plan `json:"plan"`
}

// Started says that a change is being applied.
type Started struct {
	Head
	Change plan.Change `json:"change"`
}

// Progressed says how far a change is; it is emitted when the health differs from the last, not on every look.
type Progressed struct {
	Head
	Change gitops.Digest `json:"change"`
	Ref    gitops.Ref    `json:"ref"`
	State  State         `json:"state"`
	Health gitops.Health `json:"health"`
}

// Settled says what became of a change: done, failed, held, blocked or interrupted.
type Settled struct {
	Head
	Result Result `json:"result"`
}

// Finished ends a run.
type Finished struct {
	Head
	Record Record `json:"record"`
}

func (Fetched) event()    {}
func (Heard) event()      {}
func (Planned) event()    {}
func (Started) event()    {}
func (Progressed) event() {}
func (Settled) event()    {}
func (Finished) event()   {}

// Sink receives events in the order they happen, from one goroutine per cluster. It must not block for long.
type Sink interface{ Emit(Event) }

// Sinks fans one event out to many, in order.
type Sinks []Sink

// Emit passes the event to every sink.
func (s Sinks) Emit(e Event) {
	for _, sink := range s {
		sink.Emit(e)
	}
}
