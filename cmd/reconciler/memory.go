package main

import (
	"runtime/debug"
	"time"

	"github.com/eks-gitops/reconciler/pkg/run"
)

// saveMemory has garbage collected when half of what is live was added to it, instead of all of it, unless GOGC says otherwise.
// A daemon has time for that, and passes over large definitions (CustomResourceDefinitions of some 100 KB each) leave much.
func (a *app) saveMemory() {
	const percent = 50
	if a.getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// calm has memory given back when nothing was told for a while: garbage is collected when more of it is made, so that what a great
// change took would else stay with a process that does nothing.
type calm struct{ timer *time.Timer }

// calmAfter is longer than what passes between the events of one change.
const calmAfter = 20 * time.Second

func newCalm(free func()) calm { return calm{time.AfterFunc(calmAfter, free)} }

// Emit implements run.Sink.
func (c calm) Emit(run.Event) { c.timer.Reset(calmAfter) }

func (c calm) stop() { c.timer.Stop() }
