package view

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/eks-gitops/reconciler/pkg/run"
)

// Mode is a way to show progress (--progress).
type Mode string

// The modes. Auto is TTY on a terminal and Plain elsewhere.
const (
	Auto      Mode = "auto"
	TTY       Mode = "tty"
	Plain     Mode = "plain"
	JSONLines Mode = "json"
	Quiet     Mode = "quiet"
)

// ParseMode reads the value of --progress.
func ParseMode(s string) (Mode, error) {
	m := Mode(s)
	if !slices.Contains([]Mode{Auto, TTY, Plain, JSONLines, Quiet}, m) {
		return "", fmt.Errorf("unknown progress mode %q: want auto, tty, plain, json or quiet", s)
	}
	return m, nil
}

// ProgressOptions tune a Progress.
type ProgressOptions struct {
	Options
	// Size asks for the terminal's columns and rows; nil means that the stream is no terminal.
	Size func() (columns, rows int)
}

// Progress is a run.Sink that shows a run as it goes. It is safe for concurrent use. Close ends what it does on its own and
// leaves the stream in order; the first error of writing is returned there.
type Progress interface {
	run.Sink
	Close() error
}

// NewProgress makes a Progress that writes to w. Asking for a terminal's display without a terminal is an error.
func NewProgress(m Mode, w io.Writer, o ProgressOptions) (Progress, error) {
	if m == Auto {
		m = Plain
		if o.Size != nil {
			m = TTY
		}
	}
	s := &stream{w: w}
	switch m {
	case JSONLines:
		return &jsonProgress{stream: s}, nil
	case Quiet:
		return newLive(s, &quiet{scene: newScene(o.Options)}, 0), nil
	case Plain:
		return newLive(s, &plain{scene: newScene(o.Options)}, time.Second), nil
	case TTY:
		if o.Size == nil {
			return nil, errors.New("--progress=tty needs a terminal; use plain or auto")
		}
		return newLive(s, &tty{scene: newScene(o.Options), size: o.Size}, 200*time.Millisecond), nil
	case Auto:
	}
	return nil, fmt.Errorf("unknown progress mode %q", m)
}

// stream writes and remembers the first error: a sink has nobody to tell it to until it is closed.
type stream struct {
	w   io.Writer
	err error
}

func (s *stream) write(b []byte) {
	if s.err == nil && len(b) > 0 {
		_, s.err = s.w.Write(b)
	}
}

// jsonProgress writes every event as a line of JSON.
type jsonProgress struct {
	mu sync.Mutex
	*stream
}

// Emit writes the event.
func (j *jsonProgress) Emit(e run.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	line, err := run.EncodeEvent(e)
	if err != nil {
		j.err = errors.Join(j.err, err)
		return
	}
	j.write(append(line, '\n'))
}

// Close tells the first error of writing.
func (j *jsonProgress) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// display turns events and the passing of time into bytes.
type display interface {
	event(e run.Event) []byte
	tick(now time.Time) []byte
	end() []byte
}

// live drives a display: events as they come, and time by a ticker of its own.
type live struct {
	mu sync.Mutex
	*stream
	display display
	stop    chan struct{}
	stopped sync.WaitGroup
	closed  sync.Once
}

func newLive(s *stream, d display, every time.Duration) *live {
	l := &live{stream: s, display: d, stop: make(chan struct{})}
	if every > 0 {
		l.stopped.Go(func() { l.run(every) })
	}
	return l
}

func (l *live) run(every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-l.stop:
			return
		case now := <-ticker.C:
			l.mu.Lock()
			l.write(l.display.tick(now))
			l.mu.Unlock()
		}
	}
}

// Emit shows the event.
func (l *live) Emit(e run.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write(l.display.event(e))
}

// Close stops the ticker and leaves the stream in order.
func (l *live) Close() error {
	l.closed.Do(func() {
		close(l.stop)
		l.stopped.Wait()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.write(l.display.end())
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
