package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// Bounds of a contest (docs/policy.md).
const (
	// contestLimit is how often a field is set back within contestWindow before that is a contest.
	contestLimit  = 5
	contestWindow = time.Minute
	// contestPause is the first pause in which git's value is not set; it doubles up to contestPauseMax.
	contestPause    = time.Minute
	contestPauseMax = time.Hour
)

// Contests remembers what was corrected lately, to find out who sets it back every time: two who both insist would write for
// ever, and neither would get what it wants. It belongs to one cluster's goroutine; a nil *Contests never holds anything back.
//
//	corrections within a minute   set back again     then
//	up to contestLimit            yes                corrected at once
//	contestLimit                  yes                a contest: left alone for a pause, the drift stays shown
//	one, after the pause          within a minute    left alone for twice the pause
//	one, after the pause          later, or never    no contest any more
type Contests struct {
	fields map[contested]*contest
	swept  time.Time
}

// NewContests remembers nothing.
func NewContests() *Contests { return &Contests{fields: map[contested]*contest{}} }

// contested is a field of a thing; the thing itself, which is deleted again and again, has no path.
type contested struct {
	ref  gitops.Ref
	path string
}

// contest is what is remembered of one field.
type contest struct {
	// wanted is what git wanted of the thing: a correction to something else is a change of git.
	wanted gitops.Digest
	// manager is who set the value that was corrected; "" when the server does not tell, as of a field that was taken out.
	manager string
	// seen is when it was set last, and at are the corrections of the minute before; a change of git is none.
	seen time.Time
	at   []time.Time
	// pauses counts the pauses of a contest that goes on; zero is no contest.
	pauses int
	until  time.Time
}

// fieldsOf are what a change sets, with who had set it.
func fieldsOf(c plan.Change) map[contested]string {
	out := map[contested]string{}
	switch c.Action {
	case plan.Create:
		out[contested{ref: c.Ref}] = ""
	case plan.Update, plan.Replace:
		for _, e := range c.Edits {
			manager := ""
			if e.Owner != nil {
				manager = e.Owner.Manager
			}
			out[contested{c.Ref, e.Path}] = manager
		}
	case plan.Delete, plan.Wait:
	}
	return out
}

// Corrected remembers that a change was carried out.
func (s *Contests) Corrected(c plan.Change, now time.Time) {
	if s == nil {
		return
	}
	wanted := gitops.DigestOf(c.Spec)
	for field, manager := range fieldsOf(c) {
		k := s.fields[field]
		if k == nil || k.wanted != wanted || k.manager != manager {
			k = &contest{wanted: wanted, manager: manager}
			s.fields[field] = k
			if !c.Drift {
				k.seen = now
				continue
			}
		}
		k.seen, k.at = now, append(recent(k.at, now), now)
	}
	s.sweep(now)
}

// sweep forgets, once a minute, what was left alone since.
func (s *Contests) sweep(now time.Time) {
	if now.Sub(s.swept) <= contestWindow {
		return
	}
	s.swept = now
	for field, k := range s.fields {
		if now.Sub(k.seen) > contestWindow && now.Sub(k.until) > contestWindow {
			delete(s.fields, field)
		}
	}
}

// Wait says why a change must wait for the end of a pause; nil when it may go. First says that this begins a contest, which is
// the time to tell people.
func (s *Contests) Wait(c plan.Change, now time.Time) (why *gitops.Error, first bool) {
	if s == nil {
		return nil, false
	}
	wanted := gitops.DigestOf(c.Spec)
	var said []string
	for field, manager := range fieldsOf(c) {
		k := s.fields[field]
		if k == nil || k.wanted != wanted || k.manager != manager {
			continue
		}
		begins, paused := k.judge(now)
		if paused {
			said = append(said, k.words(field))
		}
		first = first || begins
	}
	if len(said) == 0 {
		return nil, false
	}
	slices.Sort(said)
	return gitops.Errorf(gitops.Contested, "%s, more than %d times within a minute; git's value is set again after a pause that grows", strings.Join(said, ", "), contestLimit), first
}

// judge decides about a field that differs from git again.
func (k *contest) judge(now time.Time) (begins, paused bool) {
	k.at = recent(k.at, now)
	switch {
	case now.Before(k.until):
		return false, true
	case k.pauses == 0 && len(k.at) < contestLimit, k.pauses > 0 && k.seen.Before(k.until):
		return false, false
	case now.Sub(k.seen) > contestWindow:
		k.pauses = 0 // it has held for long enough
		return false, false
	}
	k.until = now.Add(min(contestPause<<min(k.pauses, 16), contestPauseMax))
	k.pauses++
	return k.pauses == 1, true
}

func (k *contest) words(field contested) string {
	switch {
	case field.path == "":
		return "somebody deletes it again and again"
	case k.manager == "":
		return fmt.Sprintf("somebody takes %s out again and again", field.path)
	}
	return fmt.Sprintf("%s sets %s back again and again", k.manager, field.path)
}

// recent are the times that lie less than a minute back.
func recent(at []time.Time, now time.Time) []time.Time {
	return slices.DeleteFunc(at, func(t time.Time) bool { return now.Sub(t) > contestWindow })
}

// Next is the earliest end of a pause after now; zero when there is none.
func (s *Contests) Next(now time.Time) time.Time {
	var next time.Time
	if s == nil {
		return next
	}
	for _, k := range s.fields {
		if k.until.After(now) && (next.IsZero() || k.until.Before(next)) {
			next = k.until
		}
	}
	return next
}
