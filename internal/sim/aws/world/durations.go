package world

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Duration is how long the named thing takes in this world: the override if there is one, else the registered real-world
// default divided by the speed. A name that no part registered is a mistake in the source, and panics.
func (w *World) Duration(name string) time.Duration {
	if d, ok := w.overrides[name]; ok {
		return d
	}
	d, ok := w.durations[name]
	if !ok {
		panic(fmt.Sprintf("no part registered the duration %q (known: %s)", name, strings.Join(w.DurationNames(), ", ")))
	}
	return w.Scale(d)
}

// Patience is how long the named wait for real programs lasts: as Duration, but never shorter than least unless it is
// overridden. No speed makes a node join or a pod leave sooner; AWS would give up on them.
func (w *World) Patience(name string, least time.Duration) time.Duration {
	d := w.Duration(name)
	if _, exact := w.overrides[name]; exact {
		return d
	}
	return max(d, least)
}

// Scale divides a real-world duration by the speed.
func (w *World) Scale(d time.Duration) time.Duration { return time.Duration(float64(d) / w.speed) }

// DurationNames are the names that can be overridden.
func (w *World) DurationNames() []string { return slices.Sorted(maps.Keys(w.durations)) }

// CheckDurations says which overrides no part knows: a misspelt override must not pass for one that works.
func (w *World) CheckDurations() error {
	var unknown []string
	for name := range w.overrides {
		if _, ok := w.durations[name]; !ok {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	return fmt.Errorf("setting durations: unknown %s (known: %s)", strings.Join(unknown, ", "), strings.Join(w.DurationNames(), ", "))
}
