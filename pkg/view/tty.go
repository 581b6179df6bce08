package view

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/pkg/run"
)

// tty prints what settled as lines that stay, and below them a region of what is under way that is drawn anew in place.
// Nothing but the region is ever erased, so scrollback keeps the whole story.
type tty struct {
	scene
	size func() (columns, rows int)
	// drawn is the number of lines of the region on the screen.
	drawn int
	turn  int
}

func (d *tty) event(e run.Event) []byte {
	if p, ok := e.(run.Progressed); ok {
		d.take(p)
		return d.redraw(nil)
	}
	// Lasting lines are not cut: a terminal wraps them, and what failed must be readable whole.
	lasting := &plain{scene: d.scene}
	var said []byte
	if _, ok := e.(run.Started); ok {
		d.take(e)
	} else {
		said = lasting.event(e)
	}
	d.now = maxTime(d.now, lasting.now)
	return d.redraw(said)
}

func (d *tty) tick(now time.Time) []byte {
	d.see(now)
	d.turn++
	if d.drawn == 0 {
		return nil
	}
	return d.redraw(nil)
}

// end leaves the lines that stay and nothing else.
func (d *tty) end() []byte {
	var b bytes.Buffer
	d.erase(&b)
	return b.Bytes()
}

// erase removes the region: up to its first line, then all below.
func (d *tty) erase(b *bytes.Buffer) {
	if d.drawn > 0 {
		fmt.Fprintf(b, "\x1b[%dA\r\x1b[J", d.drawn)
	}
	d.drawn = 0
}

// redraw prints the lasting lines above the region and the region below them, in one write, so that nothing flickers.
func (d *tty) redraw(lasting []byte) []byte {
	var b bytes.Buffer
	d.erase(&b)
	b.Write(lasting)
	columns, rows := d.size()
	lines := d.region(columns)
	// The region must fit on the screen, else going up would stop at its top.
	if room := max(1, rows-2); len(lines) > room {
		hidden := len(lines) - room + 1
		lines = append(lines[:room-1:room-1], d.paint(inkFaint, fmt.Sprintf("  … and %d more under way", hidden)))
	}
	for _, line := range lines {
		b.WriteString(cutTo(line, max(1, columns-1)) + "\n")
	}
	d.drawn = len(lines)
	return b.Bytes()
}

// region is one line for each change under way, the oldest first.
func (d *tty) region(columns int) []string {
	var lines []string
	spinner := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")[d.turn%10]
	for _, cluster := range sortedKeys(d.acts) {
		a := d.acts[cluster]
		for _, m := range a.slow() {
			said := m.health.String()
			if said == "" {
				said = verb(m.change.Action)
			}
			name := clean(m.change.Ref.Label())
			if d.several() {
				name = clean(cluster) + "  " + name
			}
			head := fmt.Sprintf("%s %s %s  %s  %s", a.place(m.change.ID), d.paint(inkMove, string(spinner)), d.paint(inkOf(m.change.Action), m.change.Action.Symbol()), pad(name, min(40, columns/2)), clean(said))
			lines = append(lines, strings.TrimRight(head, " ")+" · "+span(d.now.Sub(m.began).Truncate(time.Second)))
		}
	}
	return lines
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
