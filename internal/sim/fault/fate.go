package fault

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// Effect is what becomes of a request.
type Effect string

// The effects. Of a watch, only its beginning can be refused or hang; Break ends it after a while.
const (
	None        Effect = ""            // done and answered
	Slow        Effect = "slow"        // done and answered, after a moment
	Ailing      Effect = "ailing"      // 500, etcdserver: request timed out; nothing done
	Unavailable Effect = "unavailable" // 503; nothing done
	Busy        Effect = "busy"        // 429 with Retry-After, like all others of that moment; nothing done
	Conflict    Effect = "conflict"    // 409 about the object's version; nothing done
	Denied      Effect = "denied"      // 401; nothing done
	Expired     Effect = "expired"     // 410, the watch's place is forgotten
	Hang        Effect = "hang"        // never answered; nothing done
	Break       Effect = "break"       // the stream breaks; nothing done
	Cut         Effect = "cut"         // the connection breaks, under everything on it
	Lost        Effect = "lost"        // done; the stream breaks instead of an answer
	Late        Effect = "late"        // done, after the caller gave up
)

// Fate decides about a request. It is asked by one goroutine at a time.
type Fate func(r *http.Request) Effect

// Fine lets everything pass.
func Fine(*http.Request) Effect { return None }

// Random lets a share of the requests go wrong in every way there is, drawn from the seed.
func Random(seed uint64, share float64) Fate {
	d := dice{rand: rand.New(rand.NewPCG(seed, 3)), share: share}
	return d.throw
}

// weights are how often the effects come, in relation to each other; what waits for somebody's patience is rare, to save time.
var weights = []struct { //nolint:gochecknoglobals // a table
	effect Effect
	weight int
}{{Ailing, 18}, {Unavailable, 16}, {Denied, 6}, {Conflict, 12}, {Break, 14}, {Lost, 18}, {Slow, 6}, {Cut, 3}, {Hang, 2}, {Late, 3}, {Busy, 2}}

// burst is how long a busy server refuses everything, and calm how long it does not after that.
const burst, calm = 30 * time.Millisecond, 3 * time.Second

type dice struct {
	rand  *rand.Rand
	share float64
	busy  time.Time
}

func (d *dice) throw(r *http.Request) Effect {
	sum := 0
	for _, w := range weights {
		sum += w.weight
	}
	hit, at := d.rand.Float64() < d.share, d.rand.IntN(sum)
	if time.Since(d.busy) < burst && !Watches(r) {
		return Busy
	}
	if !hit {
		return None
	}
	for _, w := range weights {
		if at -= w.weight; at < 0 {
			return d.fitting(r, w.effect)
		}
	}
	return None
}

// fitting is an effect that the request can have.
func (d *dice) fitting(r *http.Request, e Effect) Effect {
	switch {
	case Watches(r):
		switch e {
		case Conflict:
			return Expired
		case Lost, Late, Slow, Busy:
			return Break
		default:
		}
	case e == Busy:
		if time.Since(d.busy) < calm {
			return Unavailable
		}
		d.busy = time.Now()
	case !Writes(r):
		switch e {
		case Conflict, Lost:
			return Ailing
		case Late:
			return Slow
		default:
		}
	}
	return e
}

// Watches reports whether a request is a watch.
func Watches(r *http.Request) bool {
	watch := r.URL.Query().Get("watch")
	return watch == "true" || watch == "1"
}

// Writes reports whether a request would change what the server stores.
func Writes(r *http.Request) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead && !r.URL.Query().Has("dryRun") && !strings.Contains(r.URL.Path, "/authorization.k8s.io/")
}
