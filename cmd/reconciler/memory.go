package main

import (
	"runtime/debug"
	"time"

	"github.com/eks-gitops/reconciler/pkg/run"
)

// saveMemory has garbage collected when a quarter of what is live was added to it, instead of all of it, unless GOGC says otherwise.
// A daemon has time for that: passes over large definitions (CustomResourceDefinitions of some 100 KB each) leave much, and the more
// garbage there is between what lives, the more room cannot be given back.
func (a *app) saveMemory() {
	const percent = 25
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
