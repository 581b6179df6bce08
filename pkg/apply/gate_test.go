package apply

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// server answers every request after a while with what answer says, and measures.
type server struct {
	mu     sync.Mutex
	now    int
	most   int
	starts []time.Time
	// cores is how many requests are worked on at once, 10 ms each; 0 is any number.
	cores  int
	turn   chan struct{}
	answer func(n int) (code int, retryAfter string)
}

func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.now++
	s.most = max(s.most, s.now)
	s.starts = append(s.starts, time.Now())
	n := len(s.starts)
	if s.cores > 0 && s.turn == nil {
		s.turn = make(chan struct{}, s.cores)
	}
	turn := s.turn
	s.mu.Unlock()
	if turn != nil {
		turn <- struct{}{}
	}
	time.Sleep(10 * time.Millisecond)
	if turn != nil {
		<-turn
	}
	s.mu.Lock()
	s.now--
	s.mu.Unlock()
	code, after := s.answer(n)
	w := httptest.NewRecorder()
	if after != "" {
		w.Header().Set("Retry-After", after)
	}
	w.WriteHeader(code)
	return w.Result(), nil
}

func (s *server) load(t *testing.T, g *gate, n int, url string) {
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
			resp, err := g.RoundTrip(r)
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
		})
	}
	all.Wait()
}

func TestGateGrowsWithSuccessAndIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: func(int) (int, string) { return 200, "" }}
		g := newGate(s, time.Now)
		s.load(t, g, 5000, "https://x/api")
		if s.most <= gateStart || s.most > gateMax {
			t.Errorf("%d at once, started with %d, bound %d", s.most, gateStart, gateMax)
		}
		if len(g.waiting) != 0 || g.inFlight != 0 {
			t.Errorf("%d waiting, %d in flight", len(g.waiting), g.inFlight)
		}
	})
}

func TestGateFollowsLatency(t *testing.T) {
	for name, c := range map[string]struct {
		cores     int
		low, high float64
	}{
		"two cores":         {2, queueMin, queueMax + 4},
		"twenty cores":      {20, 20 + queueMin - 2, 20 + queueMax + 4},
		"more than we send": {1000, gateMax, gateMax},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{cores: c.cores, answer: func(int) (int, string) { return 200, "" }}
				g := newGate(s, time.Now)
				began := time.Now()
				const requests = 5000
				s.load(t, g, requests, "https://x/api/v1/namespaces/a/configmaps/b")
				if g.limit < c.low || g.limit > c.high {
					t.Errorf("the bound is %.1f, want %v to %v", g.limit, c.low, c.high)
				}
				// Sending fewer at once must not leave the server idle.
				if took, least := time.Since(began), requests*10*time.Millisecond/time.Duration(min(c.cores, gateMax)); took > least*13/10 {
					t.Errorf("%d requests took %s, want about %s", requests, took, least)
				}
			})
		})
	}
}

func TestGatePausesWhenAsked(t *testing.T) {
	for name, c := range map[string]struct {
		code  int
		after string
		pause time.Duration
	}{
		"429 with seconds": {429, "7", 7 * time.Second},
		"429 without":      {429, "", gatePause},
		"503 with seconds": {503, "3", 3 * time.Second},
		"429 for ever":     {429, "86400", gatePauseMax},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{answer: func(n int) (int, string) {
					if n == 1 {
						return c.code, c.after
					}
					return 200, ""
				}}
				g := newGate(s, time.Now)
				s.load(t, g, 1, "https://x/api")
				if g.limit != gateStart/2 {
					t.Errorf("the bound is %v after being asked to slow down", g.limit)
				}
				asked := time.Now()
				s.load(t, g, 40, "https://x/api")
				if got := s.starts[1].Sub(asked); got != c.pause {
					t.Errorf("the next request came after %s", got)
				}
			})
		})
	}
}

func TestGateLetsWatchesAndEvictionsPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: func(int) (int, string) { return 429, "9" }}
		g := newGate(s, time.Now)
		s.load(t, g, 100, "https://x/api/v1/pods?watch=true")
		s.load(t, g, 100, "https://x/api/v1/namespaces/a/pods/b/eviction")
		if s.most != 100 || !g.until.IsZero() {
			t.Errorf("%d at once, paused until %s", s.most, g.until)
		}
	})
}

func TestGateGivesUpWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: func(int) (int, string) { return 429, "60" }}
		g := newGate(s, time.Now)
		s.load(t, g, 1, "https://x/api")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "https://x/api", nil)
		if _, err := g.RoundTrip(r); err == nil {
			t.Error("a cancelled request is answered")
		}
		if len(g.waiting) != 0 {
			t.Error("a cancelled request still waits")
		}
	})
}
