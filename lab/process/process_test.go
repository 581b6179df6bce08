package process_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eks-gitops/reconciler/lab/process"
)

// starterDir tells this test binary to be a starter: it starts a child in that folder and waits to be killed.
const starterDir = "PROCESS_TEST_STARTER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(starterDir); dir != "" {
		if _, err := process.Start(shell(dir, "echo started; exec sleep 300")); err != nil {
			os.Exit(3)
		}
		select {}
	}
	os.Exit(m.Run())
}

func shell(dir, script string) process.Spec {
	return process.Spec{Name: "child", Path: "/bin/sh", Args: []string{"-c", script}, Env: os.Environ(), Dir: dir, WorkDir: dir}
}

func TestStopEndsTheWholeGroup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// The grandchild ignores the polite request, the child does not wait for it.
	p, err := process.Start(shell(dir, `(trap "" TERM; echo $$ ready; exec sleep 300) & echo $! > grandchild; wait`))
	if err != nil {
		t.Fatal(err)
	}
	if got := process.ReadPID(filepath.Join(dir, "child.pid")); got != p.PID() {
		t.Errorf("the pid file says %d, the process is %d", got, p.PID())
	}
	var grandchild int
	err = process.Poll(t.Context(), 5*time.Millisecond, "the grandchild's number", func(context.Context) (bool, error) {
		grandchild = process.ReadPID(filepath.Join(dir, "grandchild"))
		return grandchild != 0, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	p.Kill()
	if process.Alive(p.PID()) {
		t.Error("the process lives")
	}
	err = process.Poll(t.Context(), 5*time.Millisecond, "the grandchild to end", func(context.Context) (bool, error) {
		return !process.Alive(grandchild), nil
	})
	if err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "child.pid")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pid file is still there: %v", err)
	}
	if err := p.Err(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the process ended with %v", err)
	}
}

func TestStopKillsWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	p, err := process.Start(shell(t.TempDir(), `trap "" TERM; while :; do sleep 0.1; done`))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	p.Stop(ctx)
	select {
	case <-p.Done():
	default:
		t.Error("the process was not ended")
	}
}

func TestErrShowsTheEndOfTheLog(t *testing.T) {
	t.Parallel()
	p, err := process.Start(shell(t.TempDir(), "echo the disk is on fire >&2; exit 7"))
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if err := p.Err(); err == nil || !strings.Contains(err.Error(), "exit status 7") || !strings.Contains(err.Error(), "the disk is on fire") {
		t.Errorf("got %v", err)
	}
}

func TestStartTellsWhatCannotBeRun(t *testing.T) {
	t.Parallel()
	_, err := process.Start(process.Spec{Name: "nothing", Path: "/does/not/exist", Dir: t.TempDir()})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestNoChildSurvivesItsStarter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	starter := exec.CommandContext(t.Context(), os.Args[0])
	starter.Env = append(os.Environ(), starterDir+"="+dir)
	if err := starter.Start(); err != nil {
		t.Fatal(err)
	}
	var child int
	wait(t, "the child to start", func() bool {
		child = process.ReadPID(filepath.Join(dir, "child.pid"))
		return child != 0 && strings.Contains(process.Tail(filepath.Join(dir, "child.log"), 5), "started")
	})
	if err := starter.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = starter.Wait()
	wait(t, "child "+strconv.Itoa(child)+" to end", func() bool { return !running(child) })
}

// running is Alive without processes that have ended and were not waited for yet by whoever inherited them.
func running(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func wait(t *testing.T, what string, check func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := process.Poll(ctx, 5*time.Millisecond, what, func(context.Context) (bool, error) { return check(), nil }); err != nil {
		t.Fatal(err)
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(file, []byte("one\ntwo\nthree\nfour\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(process.Tail(file, 2)); got != "three\nfour" {
		t.Errorf("got %q", got)
	}
	if got := process.Tail(file, 99); got != "one\ntwo\nthree\nfour\n" {
		t.Errorf("got %q", got)
	}
	if got := process.Tail(file+".none", 3); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestResidentMiB(t *testing.T) {
	t.Parallel()
	if got := process.ResidentMiB(os.Getpid()); got < 1 {
		t.Errorf("this test uses %d MiB", got)
	}
	if got := process.ResidentMiB(0); got != 0 {
		t.Errorf("nobody uses %d MiB", got)
	}
}

func TestPollTellsWhatItWaitedFor(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	refused := errors.New("refused")
	for name, check := range map[string]func(ctx context.Context) (bool, error){
		"the time is over":          func(context.Context) (bool, error) { return false, nil },
		"the check sees it is over": func(ctx context.Context) (bool, error) { return false, ctx.Err() },
		"the check fails":           func(context.Context) (bool, error) { return false, refused },
	} {
		err := process.Poll(ended, time.Millisecond, "the kettle", check)
		if err == nil || !strings.HasPrefix(err.Error(), "waiting for the kettle: ") || !errors.Is(err, refused) && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}
