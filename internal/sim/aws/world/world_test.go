package world

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type counter struct{ N, Ticks int }

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func start(t testing.TB, dir string, c *clock, parts ...Part) *World {
	t.Helper()
	w, err := New(Options{Clock: c.now, Dir: dir, Seed: 1, Speed: 60, Durations: map[string]time.Duration{"given": time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		w.Register(p)
	}
	if err := w.Load(); err != nil {
		t.Fatal(err)
	}
	return w
}

func newClock() *clock { return &clock{at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func TestStateSurvives(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), newClock()
	one, two := &counter{}, &counter{}
	w := start(t, dir, c, Part{Name: "one", State: one}, Part{Name: "two", State: two})
	var ids []string
	for i := range 3 {
		if err := w.Do(true, func() error {
			one.N = i
			ids = append(ids, w.UUID())
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	back := &counter{}
	w = start(t, dir, c, Part{Name: "one", State: back}, Part{Name: "two", State: &counter{}})
	if back.N != 2 {
		t.Errorf("N is %d after a restart", back.N)
	}
	if next := w.UUID(); strings.Contains(strings.Join(ids, " "), next) {
		t.Errorf("id %s was handed out twice", next)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 4 { // the manifest, world, one, two
		t.Errorf("%v, %v", files, err)
	}
}

func TestWhatFailedIsKept(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), newClock()
	one := &counter{}
	w := start(t, dir, c, Part{Name: "one", State: one})
	sentinel := errors.New("no")
	if err := w.Do(true, func() error { one.N = 7; return sentinel }); !errors.Is(err, sentinel) {
		t.Errorf("error %v", err)
	}
	back := &counter{}
	start(t, dir, c, Part{Name: "one", State: back})
	if back.N != 7 {
		t.Errorf("N is %d", back.N)
	}
}

// TestCrashBetweenWrites cuts the state folder's history at every file operation and expects one whole instant.
func TestCrashBetweenWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir, c := t.TempDir(), newClock()
		one, two := &counter{}, &counter{}
		w := start(t, dir, c, Part{Name: "one", State: one}, Part{Name: "two", State: two})
		steps := rapid.IntRange(1, 6).Draw(rt, "steps")
		for range steps {
			if err := w.Do(true, func() error { one.N++; two.N = one.N; return nil }); err != nil {
				rt.Fatal(err)
			}
		}
		// A later generation that died before its manifest was in place: files of it lie around, whole or torn.
		torn := rapid.SampledFrom([]string{"", "{", `{"N":99}`}).Draw(rt, "torn")
		for _, name := range []string{fmt.Sprintf("one.%d.json", steps+2), manifestName + ".new"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(torn), 0o600); err != nil {
				rt.Fatal(err)
			}
		}
		a, b := &counter{}, &counter{}
		w = start(t, dir, c, Part{Name: "one", State: a}, Part{Name: "two", State: b})
		if a.N != steps || b.N != steps {
			rt.Fatalf("one is at %d, two at %d, want %d", a.N, b.N, steps)
		}
		if err := w.Do(true, func() error { a.N++; return nil }); err != nil {
			rt.Fatal(err)
		}
		again := &counter{}
		start(t, dir, c, Part{Name: "one", State: again}, Part{Name: "two", State: &counter{}})
		if again.N != steps+1 {
			rt.Fatalf("one is at %d, want %d", again.N, steps+1)
		}
	})
}

func TestBrokenStateIsAnError(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{manifestName: "{", "one.1.json": "["} {
		dir := t.TempDir()
		w := start(t, dir, newClock(), Part{Name: "one", State: &counter{}})
		if err := w.Do(true, func() error { return nil }); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := New(Options{Clock: newClock().now, Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		w.Register(Part{Name: "one", State: &counter{}})
		if err := w.Load(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAdvance(t *testing.T) {
	t.Parallel()
	c := newClock()
	first, second := &counter{}, &counter{}
	due := c.at.Add(time.Minute)
	// The second part moves when the first has; the first is asked before it.
	w := start(t, t.TempDir(), c,
		Part{Name: "second", State: second, Advance: func(time.Time) bool {
			if first.N == 1 && second.N == 0 {
				second.N = 1
				return true
			}
			return false
		}},
		Part{Name: "first", State: first, Advance: func(now time.Time) bool {
			first.Ticks++
			if first.N == 0 && !now.Before(due) {
				first.N = 1
				return true
			}
			return false
		}})
	if err := w.Advance(); err != nil {
		t.Fatal(err)
	}
	if first.N != 0 || first.Ticks == 0 {
		t.Errorf("%+v", first)
	}
	c.at = due
	if err := w.Do(false, func() error {
		if second.N != 1 || !w.Now().Equal(due) {
			t.Errorf("second is %d at %s", second.N, w.Now())
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// TestSettled: what was brought to a moment is not brought there again, unless something may have happened since.
func TestSettled(t *testing.T) {
	t.Parallel()
	c, calm := newClock(), &counter{}
	w := start(t, "", c, Part{Name: "calm", State: calm, Advance: func(time.Time) bool { calm.Ticks++; return false }})
	ticks := func(mutates bool) int {
		before := calm.Ticks
		if err := w.Do(mutates, func() error { return nil }); err != nil {
			t.Fatal(err)
		}
		return calm.Ticks - before
	}
	for i, step := range []struct {
		mutates bool
		moved   time.Duration
		want    int
	}{{want: 1}, {want: 0}, {mutates: true, want: 0}, {want: 1}, {want: 0}, {moved: 1, want: 1}, {mutates: true, moved: 1, want: 1}, {mutates: true, want: 1}} {
		c.at = c.at.Add(step.moved)
		if got := ticks(step.mutates); got != step.want {
			t.Errorf("step %d: advanced %d times, want %d", i, got, step.want)
		}
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	part := Part{Name: "p", Durations: map[string]time.Duration{"given": time.Hour, "scaled": time.Hour, "short": time.Minute}}
	w := start(t, "", newClock(), part)
	if d := w.Duration("scaled"); d != time.Minute {
		t.Errorf("scaled: %s", d)
	}
	if d := w.Duration("given"); d != time.Second {
		t.Errorf("given: %s", d)
	}
	for name, want := range map[string]time.Duration{"scaled": time.Minute, "short": 30 * time.Second, "given": time.Second} {
		if d := w.Patience(name, 30*time.Second); d != want {
			t.Errorf("the patience with %s: %s, want %s", name, d, want)
		}
	}
	if err := w.CheckDurations(); err != nil {
		t.Error(err)
	}
	w = start(t, "", newClock())
	if err := w.CheckDurations(); err == nil || !strings.Contains(err.Error(), "given") {
		t.Errorf("an override that nobody knows passed: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("an unknown duration was answered")
		}
	}()
	w.Duration("nope")
}

func TestIDs(t *testing.T) {
	t.Parallel()
	w := start(t, "", newClock())
	for pattern, id := range map[string]string{
		`vpc-0XXXXXXXXXXXXXXXX`: w.ID("vpc"), `AROAXXXXXXXXXXXXXXXXX`: w.Unique("AROA"), `XXXXXXXX-XXXX-4XXX-XXXX-XXXXXXXXXXXX`: w.UUID(), `XXXXXXXX`: w.Upper(8),
	} {
		if len(id) != len(pattern) || !shaped(pattern, id) {
			t.Errorf("%s does not look like %s", id, pattern)
		}
	}
	seen := map[string]bool{}
	for range 10000 {
		id := w.ID("i")
		if seen[id] {
			t.Fatalf("%s twice", id)
		}
		seen[id] = true
		if f := w.Float(); f < 0 || f >= 1 {
			t.Fatalf("%v", f)
		}
		if n := w.Below(3); n < 0 || n > 2 {
			t.Fatalf("%d", n)
		}
	}
	if a, b := start(t, "", newClock()).UUID(), start(t, "", newClock()).UUID(); a != b {
		t.Errorf("one seed gives %s and %s", a, b)
	}
}

func shaped(pattern, id string) bool {
	for i := range pattern {
		if pattern[i] != 'X' && pattern[i] != id[i] {
			return false
		}
	}
	return true
}

func TestARNs(t *testing.T) {
	t.Parallel()
	w, err := New(Options{Clock: newClock().now, Partition: "aws-cn", Region: "cn-north-1", Account: "444455556666"})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{w.ARN("eks", "cluster/c"), w.GlobalARN("iam", "role/r"), w.DNSSuffix()}
	want := []string{"arn:aws-cn:eks:cn-north-1:444455556666:cluster/c", "arn:aws-cn:iam::444455556666:role/r", "amazonaws.com.cn"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := New(Options{}); err == nil {
		t.Error("a world without a clock")
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	base := Tags{"a": "1", "b": "2"}
	if diff := cmp.Diff(Tags{"a": "9", "b": "2", "c": "3"}, base.With(map[string]string{"a": "9", "c": "3"})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Tag{{"b", "2"}}, base.Without("a", "x").List()); diff != "" {
		t.Error(diff)
	}
	if len(base) != 2 || base["a"] != "1" {
		t.Errorf("the original changed: %v", base)
	}
	if got := Tags(nil).With(); got == nil || len(got) != 0 {
		t.Errorf("%v", got)
	}
}

func TestTrail(t *testing.T) {
	t.Parallel()
	c := newClock()
	w := start(t, "", c)
	var got []TrailEvent
	w.WatchTrail(func(e TrailEvent) { got = append(got, e) })
	if err := w.Do(true, func() error {
		w.Trail(TrailEvent{Name: "CreateCluster"})
		w.Trail(TrailEvent{Name: "Later", Time: c.at.Add(time.Second), ID: "given"})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].ID == "" || !got[0].Time.Equal(c.at) || got[1].ID != "given" {
		t.Errorf("%+v", got)
	}
}

func TestDump(t *testing.T) {
	t.Parallel()
	w := start(t, "", newClock(), Part{Name: "one", State: &counter{N: 3}})
	dump, err := w.Dump()
	if err != nil {
		t.Fatal(err)
	}
	var back counter
	if err := json.Unmarshal(dump["one"], &back); err != nil || back.N != 3 {
		t.Errorf("%s, %v", dump["one"], err)
	}
	other := &counter{}
	twin, err := New(Options{Clock: newClock().now, From: dump, Seed: 9})
	if err != nil {
		t.Fatal(err)
	}
	twin.Register(Part{Name: "one", State: other})
	if err := twin.Load(); err != nil || other.N != 3 {
		t.Errorf("N of a world that begins as another is %d, %v", other.N, err)
	}
	if a, b := w.UUID(), twin.UUID(); a != b {
		t.Errorf("the ids go on as %s and %s", a, b)
	}
}
