package world

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Clock tells the time. Tests pass one that they move.
type Clock func() time.Time

// Options are the world's settings. The zero value of every field but Clock is useful.
type Options struct {
	Account   string // default "111122223333", as AWS's documentation writes account ids
	Partition string // default "aws"
	Region    string // default "us-west-2"
	// Clock is required.
	Clock Clock
	// Speed divides every default duration: at 60 a minute of AWS takes a second. 0 means 1.
	Speed float64
	// Durations override single durations exactly, not divided by Speed.
	Durations map[string]time.Duration
	// Step is how far behind the clock what is read may be; 0 means not at all. Bringing a large world to the present for each of many
	// reads is most of their cost.
	Step time.Duration
	// Seed makes ids repeatable.
	Seed uint64
	// Dir keeps the state; empty keeps it in memory only.
	Dir string
	// From is what Dump said of another world: this one begins as that was.
	From map[string]json.RawMessage
	Log  *slog.Logger
}

// Part is one service's share of the world.
type Part struct {
	// Name is unique: "ec2".
	Name string
	// State points to a JSON-serialisable value holding everything that must survive a restart.
	State any
	// Advance brings the part to the moment now and reports whether that changed its state. It runs under the lock, often
	// and with little to do; it must not assume that any particular moment is seen. Once all parts are at a moment, it is not asked again at
	// the same moment before something changes state: news of real machines come when time moves.
	Advance func(now time.Time) (changed bool)
	// Loaded, if set, runs after State was read from disk (to make nil maps, rebuild indexes, greet real machines).
	Loaded func() error
	// Durations are the real-world times this part needs, by name ("eks.cluster.create").
	Durations map[string]time.Duration
}

// World is one AWS account in one region. Make one with New, Register the parts, then Load.
type World struct {
	Account, Partition, Region string

	log       *slog.Logger
	clock     Clock
	speed     float64
	step      time.Duration
	overrides map[string]time.Duration
	from      map[string]json.RawMessage

	mu        sync.Mutex
	parts     []Part
	durations map[string]time.Duration
	ids       *ids
	store     *store
	watchers  []func(TrailEvent)
	now       time.Time // the moment of the running Do or Advance
	advanced  time.Time // when all parts were brought to the present last
	settled   bool      // nothing happened since then that could have parts change at that same moment
}

// New makes an empty world.
func New(o Options) (*World, error) {
	if o.Clock == nil {
		return nil, errors.New("making the world: a clock is needed")
	}
	w := &World{
		Account:   orDefault(o.Account, "111122223333"),
		Partition: orDefault(o.Partition, "aws"),
		Region:    orDefault(o.Region, "us-west-2"),
		log:       o.Log,
		clock:     o.Clock,
		speed:     o.Speed,
		step:      o.Step,
		overrides: o.Durations,
		from:      o.From,
		durations: map[string]time.Duration{},
		ids:       newIDs(o.Seed),
	}
	if w.speed <= 0 {
		w.speed = 1
	}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	if o.Dir != "" {
		w.store = newStore(o.Dir)
	}
	w.Register(Part{Name: "world", State: w.ids})
	return w, nil
}

func orDefault(v, def string) string {
	if v == "" {
		return def
	}
	return v
}

// Register adds a part. All parts are registered before Load.
func (w *World) Register(p Part) {
	for _, other := range w.parts {
		if other.Name == p.Name {
			panic(fmt.Sprintf("part %q is registered twice", p.Name))
		}
	}
	for name, d := range p.Durations {
		w.durations[name] = d
	}
	w.parts = append(w.parts, p)
}

// Load begins as From says, reads what an earlier process left in Dir, if anything, and starts the parts.
func (w *World) Load() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.clock()
	for _, p := range w.parts {
		if raw, ok := w.from[p.Name]; ok && p.State != nil {
			if err := json.Unmarshal(raw, p.State); err != nil {
				return fmt.Errorf("beginning %s as another world: %w", p.Name, err)
			}
		}
	}
	if w.store != nil {
		if err := w.store.load(w.parts); err != nil {
			return err
		}
	}
	for _, p := range w.parts {
		if p.Loaded == nil {
			continue
		}
		if err := p.Loaded(); err != nil {
			return fmt.Errorf("starting %s: %w", p.Name, err)
		}
	}
	return nil
}

// Do runs fn under the lock after bringing all parts to the present. mutates says that fn may change state; then what it
// did is on disk when Do returns. An error of fn is returned as it is, and what fn changed before it is kept.
func (w *World) Do(mutates bool, fn func() error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed := false
	if w.now = w.clock(); w.behind(mutates) {
		changed = w.advance()
	}
	w.settled = w.settled && !mutates
	err := fn()
	if changed || mutates {
		if saveErr := w.save(); saveErr != nil {
			return errors.Join(err, saveErr)
		}
	}
	return err
}

// behind says that what is read, or changed, must be brought to the present first. Where the clock stands still, as in tests, it mostly is
// there already.
func (w *World) behind(mutates bool) bool {
	if w.settled && w.now.Equal(w.advanced) {
		return false
	}
	return mutates || w.step == 0 || w.now.Sub(w.advanced) >= w.step
}

// Look runs fn under the lock without bringing anything to the present: for a glance at state that time does not change.
func (w *World) Look(fn func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fn()
}

// Dump encodes the state of every part, by name.
func (w *World) Dump() (map[string]json.RawMessage, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]json.RawMessage{}
	for _, p := range w.parts {
		raw, err := json.Marshal(p.State)
		if err != nil {
			return nil, fmt.Errorf("encoding state of %s: %w", p.Name, err)
		}
		out[p.Name] = raw
	}
	return out, nil
}

// Advance brings all parts to the present. A ticker calls it, and tests do after moving their clock.
func (w *World) Advance() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.advance() {
		return nil
	}
	return w.save()
}

// maxPasses bounds how often parts may set each other in motion at one moment. A chain longer than this goes on at the
// next tick, so the bound costs time but never truth.
const maxPasses = 32

func (w *World) advance() (changed bool) {
	w.now = w.clock()
	w.advanced, w.settled = w.now, false
	for range maxPasses {
		again := false
		for _, p := range w.parts {
			if p.Advance != nil && p.Advance(w.now) {
				again = true
			}
		}
		if !again {
			w.settled = true
			return changed
		}
		changed = true
	}
	return changed
}

func (w *World) save() error {
	if w.store == nil {
		return nil
	}
	return w.store.save(w.parts)
}

// Now is the moment of the running Do, Load or Advance: all that happens in one of them happens at one instant. It may only
// be called from inside them.
func (w *World) Now() time.Time { return w.now }

// Log is where parts write what an operator of the simulator should know.
func (w *World) Log() *slog.Logger { return w.log }
