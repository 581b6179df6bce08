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

// gate bounds the requests under way to what the server takes. The bound follows latency, as TCP Vegas does: the time that a
// request takes beyond the shortest of its kind was spent waiting behind our own others, so it rises while few of ours wait in the
// server and falls when many do. It halves when the server asks to slow down (429, or 503 with Retry-After), and during that pause
// nothing is sent. It halves, too, when the server's store does not keep up (again). Watches pass freely: they are requests without an end. Evictions do, too: their 429 is about a budget, not about
// load.
type gate struct {
	next http.RoundTripper
	now  func() time.Time

	mu       sync.Mutex
	limit    float64
	inFlight int
	until    time.Time
	waiting  []chan struct{}
	// quickest is the least time of a class. It is never forgotten: under a load that lasts, nothing else tells what is quick. When the
	// server becomes slower for good, what that costs is bounded: queueMax requests under way remain.
	quickest map[class]time.Duration
}

// class is a kind of request, within which times can be compared.
type class struct {
	verb, resource string
	dry            bool
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
	// Fewer of ours than queueMin waiting in the server may leave it idle, more than queueMax are of no use.
	queueMin, queueMax = 6, 12
)

func newGate(next http.RoundTripper, now func() time.Time) *gate {
	return &gate{next: next, now: now, limit: gateStart, quickest: map[class]time.Duration{}}
}

// RoundTrip implements http.RoundTripper.
func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if endless(r) || strings.HasSuffix(r.URL.Path, "/eviction") {
		return g.next.RoundTrip(r)
	}
	if err := g.enter(r.Context()); err != nil {
		return nil, err
	}
	began := g.now()
	resp, err := g.next.RoundTrip(r)
	g.leave(resp, classOf(r), g.now().Sub(began))
	return resp, err
}

// classOf reads the resource from the path: .../RESOURCE for a list, .../RESOURCE/NAME for an object.
func classOf(r *http.Request) class {
	c, query := class{verb: r.Method}, r.URL.Query()
	c.dry = query.Has("dryRun")
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if query.Has("limit") || query.Has("labelSelector") || len(parts) < 2 {
		c.verb, c.resource = "LIST", parts[len(parts)-1]
		return c
	}
	c.resource = parts[len(parts)-2]
	return c
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
func (g *gate) leave(resp *http.Response, c class, took time.Duration) {
	ails := resp != nil && ailing(resp) // reads the answer: not under the lock
	g.mu.Lock()
	g.inFlight--
	if pause, slow := asksToSlowDown(resp); slow {
		g.limit = max(gateMin, g.limit/2)
		if until := g.now().Add(pause); until.After(g.until) {
			g.until = until
		}
	} else if ails {
		g.limit = max(gateMin, g.limit/2)
	} else if resp != nil && resp.StatusCode < http.StatusInternalServerError {
		g.limit = g.adapted(c, took)
	}
	g.mu.Unlock()
	g.wake()
}

// adapted is the bound after a success: one more or one less per round.
func (g *gate) adapted(c class, took time.Duration) float64 {
	if least, ok := g.quickest[c]; !ok || took < least {
		g.quickest[c] = took
	}
	queued := 0.0
	if took > 0 {
		queued = g.limit * (1 - float64(g.quickest[c])/float64(took))
	}
	switch {
	case queued < queueMin:
		return min(gateMax, g.limit+1/g.limit)
	case queued > queueMax:
		return max(gateMin, g.limit-1/g.limit)
	}
	return g.limit
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
