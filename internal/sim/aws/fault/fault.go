// Package fault breaks the simulator on purpose: rules say which calls of which operation are throttled, refused, slowed,
// left hanging, answered from the past, or done without the caller ever hearing of it.
//
// Input are Rules and the calls as they come; output is a Decision for each call. The same rules, seed and calls give the
// same decisions.
//
// Invariant: at most one rule decides a call: the first, in the order they were added, that applies.
package fault

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Effect is what happens to a call.
type Effect string

// The effects.
const (
	Throttle Effect = "throttle" // refused with the protocol's own throttling error, nothing done
	Fail     Effect = "error"    // refused with Code, Message and Status, nothing done
	Latency  Effect = "latency"  // done after Delay
	Hang     Effect = "hang"     // never answered until the caller gives up, nothing done
	Drop     Effect = "drop"     // done, but the connection closes without an answer
	Stale    Effect = "stale"    // a read is answered as it was answered the last time, if it was
)

// Rule breaks some calls. The zero value of each selecting field selects all.
type Rule struct {
	// ID is given by Add.
	ID string `json:"id"`
	// Service and Operation are glob patterns (path.Match): "eks", "Create*".
	Service   string `json:"service,omitempty"`
	Operation string `json:"operation,omitempty"`
	// Match is a text that the call's method, URL or body must contain.
	Match string `json:"match,omitempty"`
	// Nth selects only the Nth matching call, counted from 1.
	Nth int `json:"nth,omitempty"`
	// Count is after how many broken calls the rule is spent; 0 means never.
	Count int `json:"count,omitempty"`
	// Probability breaks that share of the calls that are otherwise selected; 0 means all.
	Probability float64 `json:"probability,omitempty"`

	Effect  Effect   `json:"effect"`
	Code    string   `json:"code,omitempty"`
	Message string   `json:"message,omitempty"`
	Status  int      `json:"status,omitempty"`
	Delay   Duration `json:"delay,omitzero"`

	// Seen and Broken count the calls that matched and those that the rule decided.
	Seen   int `json:"seen"`
	Broken int `json:"broken"`
}

// Duration is a time.Duration written as text ("250ms") in JSON.
type Duration time.Duration

// MarshalText writes it as time.Duration prints itself.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(b []byte) error {
	parsed, err := time.ParseDuration(string(b))
	*d = Duration(parsed)
	return err
}

// Validate says what is wrong with a rule.
func (r Rule) Validate() error {
	for _, pattern := range []string{r.Service, r.Operation} {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("reading pattern %q: %w", pattern, err)
		}
	}
	switch {
	case r.Probability < 0 || r.Probability > 1:
		return fmt.Errorf("probability %v: want 0 to 1", r.Probability)
	case r.Nth < 0 || r.Count < 0 || r.Delay < 0:
		return fmt.Errorf("nth, count and delay cannot be negative")
	case r.Status != 0 && (r.Status < http.StatusBadRequest || r.Status > 599):
		return fmt.Errorf("status %d: want 400 to 599", r.Status)
	}
	return r.validateEffect()
}

func (r Rule) validateEffect() error {
	switch r.Effect {
	case Throttle, Hang, Drop, Stale:
		return nil
	case Fail:
		if r.Code == "" {
			return fmt.Errorf("effect %q needs a code", r.Effect)
		}
		return nil
	case Latency:
		if r.Delay == 0 {
			return fmt.Errorf("effect %q needs a delay", r.Effect)
		}
		return nil
	}
	return fmt.Errorf("effect %q: want throttle, error, latency, hang, drop or stale", r.Effect)
}

// Call is what rules look at.
type Call struct {
	Service, Operation string
	// Text is the call's method, URL and body.
	Text string
}

// Script is a set of rules in force. It is safe for concurrent use; the zero value is not ready, use NewScript.
type Script struct {
	mu     sync.Mutex
	random *rand.Rand
	rules  []*Rule
	next   int
}

// NewScript makes an empty script. The seed decides what rules with a probability do.
func NewScript(seed uint64) *Script {
	return &Script{random: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))}
}

// Add puts a rule in force, after those that are, and returns its id.
func (s *Script) Add(r Rule) (string, error) {
	if err := r.Validate(); err != nil {
		return "", fmt.Errorf("adding a fault: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	r.ID, r.Seen, r.Broken = "f"+strconv.Itoa(s.next), 0, 0
	s.rules = append(s.rules, &r)
	return r.ID, nil
}

// List copies the rules in force with their counters.
func (s *Script) List() []Rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Rule, 0, len(s.rules))
	for _, r := range s.rules {
		out = append(out, *r)
	}
	return out
}

// Clear removes the rule of that id, or all rules if id is empty, and tells how many it removed.
func (s *Script) Clear(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.rules[:0:0]
	for _, r := range s.rules {
		if id != "" && r.ID != id {
			kept = append(kept, r)
		}
	}
	removed := len(s.rules) - len(kept)
	s.rules = kept
	return removed
}

// Decide counts the call and returns the rule that breaks it, or nil.
func (s *Script) Decide(c Call) *Rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	var decided *Rule
	for _, r := range s.rules {
		if !r.matches(c) {
			continue
		}
		r.Seen++
		if decided == nil && s.fires(r) {
			r.Broken++
			breaking := *r
			decided = &breaking
		}
	}
	return decided
}

func (r *Rule) matches(c Call) bool {
	return glob(r.Service, c.Service) && glob(r.Operation, c.Operation) && strings.Contains(c.Text, r.Match)
}

func glob(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return pattern == "" || err == nil && ok
}

func (s *Script) fires(r *Rule) bool {
	switch {
	case r.Nth > 0 && r.Seen != r.Nth:
		return false
	case r.Count > 0 && r.Broken >= r.Count:
		return false
	case r.Probability > 0:
		return s.random.Float64() < r.Probability
	}
	return true
}

// Parse reads a rule from JSON, unknown members refused.
func Parse(raw []byte) (Rule, error) {
	var r Rule
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return Rule{}, fmt.Errorf("reading a fault: %w", err)
	}
	return r, r.Validate()
}
