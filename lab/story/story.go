package story

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/eks-gitops/reconciler/lab/process"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// Story is one telling: the lab, the fleet, the reconciler, and where the narrator speaks.
type Story struct {
	Lab   *Lab
	Fleet *Fleet
	R     *Reconciler
	// Say tells people what happens; Show prints what a tool printed.
	Say     func(format string, args ...any)
	Show    func(text string)
	commits map[string]string
}

// Step is one thing that happens, with what must be true afterwards.
type Step struct {
	Title string
	Do    func(context.Context, *Story) error
}

// Patience bounds each wait. It is an upper bound against hanging, not a measure of speed.
const Patience = 10 * time.Minute

// New prepares a story in dir: a lab at a speed, a fleet from the sample at from, a reconciler that is not started yet.
func New(ctx context.Context, p Programs, dir, from string, speed int) (*Story, error) {
	if err := os.MkdirAll(filepath.Join(dir, "state"), 0o755); err != nil {
		return nil, err
	}
	lab, err := StartLab(ctx, p, filepath.Join(dir, "lab"), speed)
	if err != nil {
		return nil, err
	}
	fleet, err := NewFleet(ctx, p, dir, from)
	if err != nil {
		return nil, err
	}
	s := &Story{Lab: lab, Fleet: fleet, Say: func(string, ...any) {}, Show: func(string) {}, commits: map[string]string{}}
	s.R = &Reconciler{Programs: lab.Programs, Fleet: fleet, State: filepath.Join(dir, "state")}
	// Git cannot tell when somebody meddles with AWS, so AWS is looked at in intervals: short ones, for an audience.
	return s, fleet.Write("clusters/dev/reconcile.yaml", "interval: 5s\n")
}

// settled waits for the cluster dev to end up as told at the fleet's newest commit.
func (s *Story) settled(ctx context.Context, outcome run.Outcome) (run.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	commit, err := s.Fleet.Head(ctx)
	if err != nil {
		return run.Record{}, err
	}
	return s.R.Settled(ctx, "dev", commit, outcome)
}

// push commits, remembers the commit under a name, and says so.
func (s *Story) push(ctx context.Context, name, message string) error {
	commit, err := s.Fleet.Push(ctx, message)
	if err != nil {
		return err
	}
	s.commits[name] = commit
	s.Say("git push  %.7s  %q", commit, message)
	return nil
}

// show runs a command of the reconciler and prints what it printed. Exit code 2 is an error: it could not tell.
func (s *Story) show(ctx context.Context, args ...string) (Output, error) {
	out, err := s.R.CLI(ctx, args...)
	if err != nil {
		return out, err
	}
	s.Show(out.Stdout)
	if out.Code == 2 {
		return out, fmt.Errorf("reconciler %v: exit 2: %s", args, out.Stderr)
	}
	return out, nil
}

// End stops the daemon, if it still runs, and the lab.
func (s *Story) End(ctx context.Context) error {
	if s.R.daemon != nil {
		s.R.daemon.Kill()
	}
	return s.Lab.Down(ctx)
}

// Forget ends what an earlier story left running in dir, when it was cut off, and removes its state.
func Forget(dir string) error {
	for _, name := range []string{filepath.Join(dir, "state", "reconciler.pid"), filepath.Join(dir, "lab", "lab.pid")} {
		if pid := process.ReadPID(name); process.Alive(pid) {
			return fmt.Errorf("a story is still going on in %s (process %d): end it first", dir, pid)
		}
	}
	return os.RemoveAll(dir)
}
