package plan

import (
	"slices"
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Window is a time in which nothing is changed without an approval: either once (From to Until), or every week (from the
// time of day Start on each of Days to End, which is on the next day when it is not after Start).
type Window struct {
	Name        string
	From, Until time.Time
	Days        []time.Weekday
	// Start and End are times of day in Zone, as durations since midnight.
	Start, End time.Duration
	Zone       *time.Location
	// Domain limits the window to one domain; empty means both.
	Domain gitops.Domain
}

// Frozen reports whether now is inside the window, and when it ends.
func (w Window) Frozen(now time.Time) (time.Time, bool) {
	if len(w.Days) == 0 {
		return w.Until, !now.Before(w.From) && now.Before(w.Until)
	}
	local := now.In(w.Zone)
	for back := range 2 {
		// A window that began yesterday may last until today.
		y, m, d := local.AddDate(0, 0, -back).Date()
		begin := clockTime(y, m, d, w.Start, w.Zone)
		if w.End <= w.Start {
			d++
		}
		end := clockTime(y, m, d, w.End, w.Zone)
		if slices.Contains(w.Days, begin.Weekday()) && !now.Before(begin) && now.Before(end) {
			return end, true
		}
	}
	return time.Time{}, false
}

// clockTime is a time of day on a date as clocks show it, whatever daylight saving does that day.
func clockTime(y int, m time.Month, d int, since time.Duration, zone *time.Location) time.Time {
	return time.Date(y, m, d, int(since/time.Hour), int(since%time.Hour/time.Minute), 0, 0, zone)
}

// FreezeWindows holds every change while a window is open. Waiting for what is in flight goes on.
func FreezeWindows(now func() time.Time, windows []Window, a Approvals) Policy {
	return func(p Plan) Plan {
		at := now()
		return p.each(func(c Change) Change {
			if c.Hold != nil || c.Approved != nil || c.Action == Wait {
				return c
			}
			for _, w := range windows {
				until, frozen := w.Frozen(at)
				if frozen && (w.Domain == "" || w.Domain == c.Ref.Domain) {
					c.Hold = &Hold{Reason: gitops.Held, Why: "frozen by " + w.Name + " until " + until.Format("Mon 2006-01-02 15:04 MST"), Approvable: true}
					return approve(c, a)
				}
			}
			return c
		})
	}
}
