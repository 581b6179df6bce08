package source

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watcher turns file events into nudges: one when it has been quiet for a while, and at the latest after ten times that.
// Which folders to watch is asked anew before every nudge, so that whoever reads after a nudge misses nothing that happens
// in a new folder.
type watcher struct {
	folders  func() ([]string, error)
	relevant func(path string) bool
	nudge    func()
	quiet    time.Duration
	log      *slog.Logger
}

// run watches until ctx ends. The error is for a watch that cannot be set up.
func (w watcher) run(ctx context.Context) error {
	if w.quiet <= 0 {
		w.quiet = 20 * time.Millisecond
	}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	events, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer events.Close() //nolint:errcheck // nothing is left to lose
	if err := w.follow(events); err != nil {
		return err
	}
	// What changed before the watch began was seen by nobody.
	w.nudge()
	wait := newPause(w.quiet)
	defer wait.end()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-events.Events:
			if w.counts(e) {
				wait.extend()
			}
			continue
		case err := <-events.Errors:
			// Most likely an overflow: events were lost, so everything may have changed.
			w.log.Warn("watching files", "error", err)
			wait.extend()
			continue
		case <-wait.quiet.C:
		case <-wait.limit.C:
		}
		wait.end()
		if err := w.follow(events); err != nil {
			w.log.Warn("watching files", "error", err)
			// The folder may be in the middle of being replaced.
			wait.quiet.Reset(max(w.quiet, time.Second))
		}
		w.nudge()
	}
}

// pause is the wait for quiet after events.
type pause struct {
	length       time.Duration
	quiet, limit *time.Timer
	waiting      bool
}

func newPause(length time.Duration) *pause {
	p := &pause{length: length, quiet: time.NewTimer(length), limit: time.NewTimer(length)}
	p.end()
	return p
}

// extend begins the wait, or begins it again; it ends ten lengths after it first began at the latest.
func (p *pause) extend() {
	p.quiet.Reset(p.length)
	if !p.waiting {
		p.waiting = true
		p.limit.Reset(10 * p.length)
	}
}

func (p *pause) end() {
	p.quiet.Stop()
	p.limit.Stop()
	p.waiting = false
}

// counts reports whether an event may mean new content: touched times and permissions do not.
func (w watcher) counts(e fsnotify.Event) bool {
	return e.Op != 0 && e.Op != fsnotify.Chmod && w.relevant(e.Name)
}

// follow makes the watched folders those that are there now. Watches are removed first: a moved folder is still watched under
// its old name, and removing that after adding the new one would end both.
func (w watcher) follow(events *fsnotify.Watcher) error {
	want, err := w.folders()
	if err != nil {
		return err
	}
	slices.Sort(want)
	want = slices.Compact(want)
	have := events.WatchList()
	slices.Sort(have)
	for _, folder := range have {
		if _, ok := slices.BinarySearch(want, folder); !ok {
			_ = events.Remove(folder)
		}
	}
	for _, folder := range want {
		if err := events.Add(folder); err != nil {
			return err
		}
	}
	return nil
}
