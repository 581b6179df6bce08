package view_test

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
	"github.com/eks-gitops/reconciler/pkg/view"
)

// buffer is a stream that several goroutines may write to and read.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Silence in a long wait is broken every 30 s by a line that names what takes longest; when nothing is under way there is
// nothing to say.
func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out buffer
		p, err := view.NewProgress(view.Plain, &out, view.ProgressOptions{})
		if err != nil {
			t.Fatal(err)
		}
		head := func() run.Head { return run.Head{At: time.Now(), Cluster: "prod"} }
		system := change(plan.Update, nodegroup("system"), "", 0)
		batch := change(plan.Update, nodegroup("batch"), "", 0)
		p.Emit(run.Planned{Head: head(), Plan: plan.Plan{ID: "1234567890abcdef", Cluster: "prod", Complete: true, Changes: []plan.Change{system, batch}}})
		p.Emit(run.Started{Head: head(), Change: system})
		time.Sleep(time.Second)
		p.Emit(run.Started{Head: head(), Change: batch})
		p.Emit(run.Progressed{Head: head(), Change: system.ID, Ref: system.Ref, State: run.Applied, Health: gitops.Health{Status: gitops.Progressing, Message: "3/6 nodes"}})
		time.Sleep(70 * time.Second)
		p.Emit(run.Settled{Head: head(), Result: run.Result{Change: system.ID, Ref: system.Ref, State: run.Done, Began: time.Now().Add(-71 * time.Second), Ended: time.Now()}})
		p.Emit(run.Settled{Head: head(), Result: run.Result{Change: batch.ID, Ref: batch.Ref, State: run.Done, Began: time.Now().Add(-70 * time.Second), Ended: time.Now()}})
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		want := `00:00:00 plan 12345678 of prod   1 stage, 2 changes
00:00:00 [1/1] … ~  Nodegroup system                          updating
00:00:01 [1/1] … ~  Nodegroup batch                           updating
00:00:01 [1/1] … ~  Nodegroup system                          3/6 nodes
00:00:31 [1/1] … waiting for 2 changes: Nodegroup system 3/6 nodes, 31s
00:01:01 [1/1] … waiting for 2 changes: Nodegroup system 3/6 nodes, 1m1s
00:01:11 [1/1] ✔ ~  Nodegroup system                          1m11s
00:01:11 [1/1] ✔ ~  Nodegroup batch                           1m10s
`
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// terminal is what a terminal makes of the bytes: lines that scrolled away stay as they are.
type terminal struct {
	t     *testing.T
	rows  int
	lines []string
	// at is the line of the cursor, col its column.
	at, col int
}

var control = regexp.MustCompile("\x1b\\[([0-9;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+")

func (s *terminal) write(body []byte) {
	s.t.Helper()
	if len(s.lines) == 0 {
		s.lines = []string{""}
	}
	for _, m := range control.FindAllStringSubmatch(string(body), -1) {
		switch {
		case m[0] == "\n":
			if s.at++; s.at == len(s.lines) {
				s.lines = append(s.lines, "")
			}
			s.col = 0
		case m[0] == "\r":
			s.col = 0
		case m[2] == "A":
			n, err := strconv.Atoi(m[1])
			if err != nil || n > min(s.rows-1, s.at) {
				s.t.Fatalf("up %s lines on a screen of %d", m[1], s.rows)
			}
			s.at -= n
		case m[2] == "J":
			s.lines = append(s.lines[:s.at], "")
		case m[2] == "m":
		case m[2] != "":
			s.t.Fatalf("unexpected control %q", m[0])
		default:
			if s.lines[s.at] != "" && s.col == 0 {
				s.t.Fatalf("%q is written over %q", m[0], s.lines[s.at])
			}
			s.lines[s.at] += m[0]
			s.col += len(m[0])
		}
	}
}

// On a terminal all that settled stays above, the region below never outgrows the screen, and nothing of it is left at the end.
func TestTerminal(t *testing.T) {
	const columns, rows = 72, 7
	var out bytes.Buffer
	p, err := view.NewProgress(view.TTY, &out, view.ProgressOptions{Options: view.Options{Color: true}, Size: func() (int, int) { return columns, rows }})
	if err != nil {
		t.Fatal(err)
	}
	screen := &terminal{t: t, rows: rows}
	emit := func(e run.Event) string {
		p.Emit(e)
		screen.write(out.Bytes())
		out.Reset()
		return strings.Join(screen.lines, "\n")
	}
	at := time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)
	head := run.Head{At: at, Cluster: "prod"}
	var changes []plan.Change
	for i := range 9 {
		changes = append(changes, change(plan.Update, nodegroup(fmt.Sprintf("group-%d-%s", i, strings.Repeat("x", 50))), "", 0))
	}
	emit(run.Planned{Head: head, Plan: plan.Plan{ID: "1234567890abcdef", Cluster: "prod", Changes: changes, Complete: true}})
	shown := ""
	for _, c := range changes {
		shown = emit(run.Started{Head: head, Change: c})
	}
	if !strings.Contains(shown, "… and 5 more under way") || strings.Count(shown, "\n") != 6 {
		t.Errorf("nine changes under way on %d rows:\n%s", rows, shown)
	}
	for _, line := range screen.lines[1:] {
		if n := len([]rune(line)); n >= columns {
			t.Errorf("a line of the region is %d wide: %q", n, line)
		}
	}
	for i, c := range changes {
		state, head := run.Done, run.Head{At: at.Add(time.Duration(i) * time.Second), Cluster: "prod"}
		res := run.Result{Change: c.ID, Ref: c.Ref, State: state, Began: at, Ended: head.At}
		if i == 3 {
			res.State, res.Error = run.Broken, gitops.Errorf(gitops.ApplyFailed, "%s", strings.Repeat("why ", 40))
		}
		shown = emit(run.Settled{Head: head, Result: res})
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	screen.write(out.Bytes())
	last := strings.Join(screen.lines, "\n")
	if strings.Count(last, "✔") != 8 || strings.Count(last, "✗") != 1 || !strings.Contains(last, strings.TrimSpace(strings.Repeat("why ", 40))) {
		t.Errorf("what settled does not stay whole:\n%s", last)
	}
	if strings.Contains(last, "⠋") || screen.lines[len(screen.lines)-1] != "" {
		t.Errorf("the region is left behind:\n%s", last)
	}
	if shown == "" {
		t.Error("nothing was shown")
	}
}

// JSON lines are the events themselves.
func TestJSONLines(t *testing.T) {
	var got []run.Event
	for line := range strings.Lines(replay(t, view.JSONLines, nil)) {
		e, err := run.DecodeEvent([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	want := events()
	if len(got) != len(want) {
		t.Fatalf("%d events of %d", len(got), len(want))
	}
	for i := range want {
		a, err1 := run.EncodeEvent(want[i])
		b, err2 := run.EncodeEvent(got[i])
		if err := errors.Join(err1, err2); err != nil || !bytes.Equal(a, b) {
			t.Errorf("event %d: %s, %s, %v", i, a, b, err)
		}
	}
}

// Quiet says only what failed, and only at the end.
func TestQuiet(t *testing.T) {
	want := `✗ HealthFailed  apps/Deployment shop/web  2/5 ready, ImagePullBackOff web:1.4.2   addons/shop/web.yaml:14
  try: reconciler status names the cause · reconciler explain HealthFailed
`
	if diff := cmp.Diff(want, replay(t, view.Quiet, nil)); diff != "" {
		t.Error(diff)
	}
}

// Several clusters in one stream: every line says whose it is.
func TestSeveralClusters(t *testing.T) {
	var out bytes.Buffer
	p, err := view.NewProgress(view.Plain, &out, view.ProgressOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, cluster := range []string{"dev", "prod"} {
		p.Emit(run.Planned{Head: run.Head{At: now, Cluster: cluster}, Plan: plan.Plan{ID: "1234567890abcdef", Cluster: cluster, Complete: true}})
	}
	p.Emit(run.Settled{Head: run.Head{At: now, Cluster: "dev"}, Result: run.Result{Change: "x", Ref: nodegroup("a"), State: run.Blocked, Error: gitops.Errorf(gitops.Blocked, "needs b")}})
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "14:02:11 dev [1/1] ◌") {
		t.Error(out.String())
	}
}

func TestModes(t *testing.T) {
	if _, err := view.NewProgress(view.TTY, &bytes.Buffer{}, view.ProgressOptions{}); err == nil {
		t.Error("a terminal's display without a terminal")
	}
	if _, err := view.ParseMode("fancy"); err == nil {
		t.Error("fancy is a mode")
	}
	for _, s := range []string{"auto", "tty", "plain", "json", "quiet"} {
		if m, err := view.ParseMode(s); err != nil || string(m) != s {
			t.Errorf("%s: %v, %v", s, m, err)
		}
	}
	if auto := replay(t, view.Auto, nil); auto != replay(t, view.Plain, nil) {
		t.Error("auto without a terminal is not plain")
	}
}

// broken is a stream that fails.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("pipe closed") }

func TestWriteErrorsAreTold(t *testing.T) {
	for _, m := range []view.Mode{view.Plain, view.JSONLines} {
		p, err := view.NewProgress(m, broken{}, view.ProgressOptions{})
		if err != nil {
			t.Fatal(err)
		}
		p.Emit(run.Fetched{Head: run.Head{At: now}, Revision: revision})
		if err := p.Close(); err == nil || !strings.Contains(err.Error(), "pipe closed") {
			t.Errorf("%s: %v", m, err)
		}
	}
}

// TestManyHeldAreCounted: a reason that holds many changes is told with the first of them, and with how many more there are.
func TestManyHeldAreCounted(t *testing.T) {
	t.Parallel()
	var out buffer
	p, err := view.NewProgress(view.Plain, &out, view.ProgressOptions{})
	if err != nil {
		t.Fatal(err)
	}
	settle := func(cluster string, i int, why string) {
		c := change(plan.Delete, object("", "ConfigMap", "shop", "c"+strconv.Itoa(i)), "", 0)
		e := gitops.Errorf(gitops.Held, "%s", why)
		p.Emit(run.Settled{Head: run.Head{Cluster: cluster}, Result: run.Result{Change: c.ID, Ref: c.Ref, State: run.ChangeHeld, Error: e}})
	}
	finish := func(cluster string) {
		p.Emit(run.Finished{Head: run.Head{Cluster: cluster}, Record: run.Record{Cluster: cluster}})
	}
	for i := range 8 {
		settle("dev", i, "too many at once")
	}
	settle("dev", 8, "destructive")
	settle("prod", 9, "too many at once")
	finish("dev")
	settle("dev", 0, "too many at once")
	finish("prod")
	finish("dev")
	text := out.String()
	if n := strings.Count(text, "held  too many at once"); n != 5+1+1+1 || strings.Count(text, "3 more changes held  too many at once") != 1 || strings.Count(text, "held  destructive") != 1 {
		t.Errorf("%d lines:\n%s", n, text)
	}
}

// A queue that cannot be read is told, and that it can be again.
func TestHeardIsTold(t *testing.T) {
	t.Parallel()
	for mode, want := range map[view.Mode][]string{
		view.Plain:     {"✗ ObserveFailed", "the queue https://sqs.eu-west-1.amazonaws.com/1/q can be read again"},
		view.Quiet:     {"ObserveFailed", "reading the queue"},
		view.JSONLines: {`{"event":"heard","data":{"at":`, `"queue":"https://sqs.eu-west-1.amazonaws.com/1/q"`},
	} {
		var b strings.Builder
		p, err := view.NewProgress(mode, &b, view.ProgressOptions{})
		if err != nil {
			t.Fatal(err)
		}
		heard := run.Heard{Head: run.Head{At: now}, Queue: "https://sqs.eu-west-1.amazonaws.com/1/q", Error: gitops.Errorf(gitops.ObserveFailed, "reading the queue: no")}
		p.Emit(heard)
		heard.Error = nil
		p.Emit(heard)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		for _, text := range want {
			if !strings.Contains(b.String(), text) {
				t.Errorf("%s lacks %q:\n%s", mode, text, b.String())
			}
		}
	}
}
