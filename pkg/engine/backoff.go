package engine

import (
	"cmp"
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// Backoff remembers what failed and when it may be tried again. The wait grows per scope (an overlay, or one
// infrastructure ref), so one broken overlay never slows another; within the scope only what failed waits, and a change of
// what git wants of it ends the wait at once. A nil *Backoff never waits. It belongs to one cluster's goroutine.
type Backoff struct {
	// First and Max bound the wait, which doubles with every failure.
	First, Max time.Duration
	// Jitter returns a value in [0, 1) that spreads the waits.
	Jitter func() float64

	scopes map[string]*wait
}

type wait struct {
	failures int
	until    time.Time
	// wanted are the digests of the failed changes: when git wants something else of one, the wait is over.
	wanted map[gitops.Ref]gitops.Digest
}

// NewBackoff waits from 2 s to 5 min.
func NewBackoff(jitter func() float64) *Backoff {
	return &Backoff{First: 2 * time.Second, Max: 5 * time.Minute, Jitter: jitter, scopes: map[string]*wait{}}
}

// Bound sets the bounds of the waits to come; zero bounds change nothing.
func (b *Backoff) Bound(r plan.Retry) {
	if b == nil {
		return
	}
	b.First, b.Max = cmp.Or(r.First, b.First), cmp.Or(r.Max, b.Max)
}

func scope(c plan.Change) string {
	if c.Ref.Domain == gitops.K8s {
		return "overlay " + c.From.Overlay
	}
	return c.Ref.String()
}

// Wait tells until when a change must wait; false means that it may go now.
func (b *Backoff) Wait(c plan.Change, now time.Time) (time.Time, bool) {
	if b == nil {
		return time.Time{}, false
	}
	w := b.scopes[scope(c)]
	if w == nil || !now.Before(w.until) {
		return time.Time{}, false
	}
	if failed, ok := w.wanted[c.Ref]; !ok || failed != gitops.DigestOf(c.Spec) {
		return time.Time{}, false
	}
	return w.until, true
}

// Failed lengthens the wait of the change's scope. Failures within one wait count once.
func (b *Backoff) Failed(c plan.Change, now time.Time) {
	if b == nil {
		return
	}
	w := b.scopes[scope(c)]
	if w == nil {
		w = &wait{wanted: map[gitops.Ref]gitops.Digest{}}
		b.scopes[scope(c)] = w
	}
	w.wanted[c.Ref] = gitops.DigestOf(c.Spec)
	if now.Before(w.until) {
		return
	}
	pause := min(b.First<<min(w.failures, 16), b.Max)
	w.failures++
	w.until = now.Add(pause + time.Duration(b.Jitter()*float64(pause)/4))
}

// Forget ends the wait of the change's scope: it worked.
func (b *Backoff) Forget(c plan.Change) {
	if b == nil {
		return
	}
	if w := b.scopes[scope(c)]; w != nil {
		delete(w.wanted, c.Ref)
		if len(w.wanted) == 0 {
			delete(b.scopes, scope(c))
		}
	}
}

// Next is the earliest end of a wait after a moment; zero when nothing waits. A wait that ended before a pass began was over for that pass:
// what it was for was tried again then, or is not wanted any more.
func (b *Backoff) Next(after time.Time) time.Time {
	var next time.Time
	if b == nil {
		return next
	}
	for _, w := range b.scopes {
		if w.until.After(after) && (next.IsZero() || w.until.Before(next)) {
			next = w.until
		}
	}
	return next
}
