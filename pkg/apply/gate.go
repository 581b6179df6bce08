package apply

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// gate bounds the requests under way to what the server takes: the bound rises by one per round of successes and halves when
// the server asks to slow down (429, or 503 with Retry-After), during whose pause nothing is sent (AIMD, as TCP does). Watches
// pass freely: they are requests without an end. Evictions do, too: their 429 is about a budget, not about load.
type gate struct {
	next http.RoundTripper
	now  func() time.Time

	mu       sync.Mutex
	limit    float64
	inFlight int
	until    time.Time
	waiting  []chan struct{}
}

// Bounds of the gate. Sixteen in flight saturate an API server of two cores (docs: measured baseline); the minimum keeps
// things moving however busy the server is.
const (
	gateStart = 16
	gateMin   = 1
	gateMax   = 64
	// gatePause is how long to pause when the server does not say.
	gatePause = time.Second
	// gatePauseMax bounds what the server may ask for, so that a wrong header does not stop us for hours.
	gatePauseMax = time.Minute
)

func newGate(next http.RoundTripper, now func() time.Time) *gate {
	return &gate{next: next, now: now, limit: gateStart}
}

// RoundTrip implements http.RoundTripper.
func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if watch := r.URL.Query().Get("watch"); watch == "true" || watch == "1" || strings.HasSuffix(r.URL.Path, "/eviction") {
		return g.next.RoundTrip(r)
	}
	if err := g.enter(r.Context()); err != nil {
		return nil, err
	}
	resp, err := g.next.RoundTrip(r)
	g.leave(resp)
	return resp, err
}

// enter waits for a free place and for the end of a pause.
func (g *gate) enter(ctx context.Context) error {
	for {
		g.mu.Lock()
		pause := g.until.Sub(g.now())
		if pause <= 0 && g.inFlight < int(g.limit) {
			g.inFlight++
			g.mu.Unlock()
			return nil
		}
		turn := make(chan struct{}, 1)
		g.waiting = append(g.waiting, turn)
		g.mu.Unlock()
		if err := g.sleep(ctx, turn, pause); err != nil {
			return err
		}
	}
}

func (g *gate) sleep(ctx context.Context, turn <-chan struct{}, pause time.Duration) error {
	var over <-chan time.Time
	if pause > 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-ctx.Done():
		g.forget(turn)
		g.wake() // our turn may have come just now: pass it on
		return ctx.Err()
	case <-turn:
	case <-over:
		g.forget(turn)
	}
	return nil
}

// forget takes a waiter out of the queue that goes on by itself, so that no turn is given to it in vain.
func (g *gate) forget(turn <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = slices.DeleteFunc(g.waiting, func(w chan struct{}) bool { return (<-chan struct{})(w) == turn })
}

// leave frees the place and learns from the answer.
func (g *gate) leave(resp *http.Response) {
	g.mu.Lock()
	g.inFlight--
	if pause, slow := asksToSlowDown(resp); slow {
		g.limit = max(gateMin, g.limit/2)
		if until := g.now().Add(pause); until.After(g.until) {
			g.until = until
		}
	} else if resp != nil && resp.StatusCode < http.StatusInternalServerError {
		g.limit = min(gateMax, g.limit+1/g.limit)
	}
	g.mu.Unlock()
	g.wake()
}

// wake lets as many waiters look again as there are free places.
func (g *gate) wake() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for free := int(g.limit) - g.inFlight; free > 0 && len(g.waiting) > 0; free-- {
		g.waiting[0] <- struct{}{}
		g.waiting = g.waiting[1:]
	}
}

// asksToSlowDown reads RFC 9110 Retry-After in its form of seconds, which is the one kube-apiserver sends.
func asksToSlowDown(resp *http.Response) (time.Duration, bool) {
	if resp == nil {
		return 0, false
	}
	after := resp.Header.Get("Retry-After")
	busy := resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable && after != ""
	if !busy {
		return 0, false
	}
	if seconds, err := strconv.Atoi(after); err == nil && seconds > 0 {
		return min(time.Duration(seconds)*time.Second, gatePauseMax), true
	}
	return gatePause, true
}
