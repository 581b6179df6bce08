// Package process runs programs that must not outlive the one who started them.
//
// Input: a Spec. Output: a Process that has been started, with its output in a log file and its id in a pid file.
// Invariants: a process leads its own process group; when its starter dies in whatever way, the kernel kills it; Stop ends
// exactly the group that was started, never anything found by name.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// Spec says what to run.
type Spec struct {
	Name string   // of log and pid file
	Path string   // of the executable
	Args []string // without the program's own name
	Env  []string // the whole environment
	// Dir is where NAME.log and NAME.pid are put; it exists.
	Dir string
	// WorkDir is the working directory; empty means that of the starter.
	WorkDir string
}

// Process is a program that was started.
type Process struct {
	name    string
	pid     int
	logFile string
	done    chan struct{}
	err     error // why it ended; set before done is closed
}

// Start starts a program.
func Start(s Spec) (*Process, error) {
	p := &Process{name: s.Name, logFile: filepath.Join(s.Dir, s.Name+".log"), done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(s, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", s.Name, err)
	}
	return p, nil
}

// run owns the operating-system thread for as long as the child lives: the parent whose death the kernel watches for
// (prctl PR_SET_PDEATHSIG) is the thread that forked, not the process.
func (p *Process) run(s Spec, started chan<- error) {
	runtime.LockOSThread()
	log, err := os.OpenFile(p.logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		started <- err
		return
	}
	defer func() { _ = log.Close() }()
	cmd := &exec.Cmd{Path: s.Path, Args: append([]string{s.Path}, s.Args...), Env: s.Env, Dir: s.WorkDir, Stdout: log, Stderr: log}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	p.pid = cmd.Process.Pid
	pidFile := filepath.Join(s.Dir, s.Name+".pid")
	if err := os.WriteFile(pidFile, []byte(strconv.Itoa(p.pid)+"\n"), 0o600); err != nil {
		err = errors.Join(err, cmd.Process.Kill(), cmd.Wait())
		started <- err
		return
	}
	started <- nil
	p.err = cmd.Wait()
	_ = os.Remove(pidFile)
	close(p.done)
}

// Name is the name from the Spec.
func (p *Process) Name() string { return p.name }

// PID is the id of the process and of its group.
func (p *Process) PID() int { return p.pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err tells how the process ended, with the end of its log, once Done is closed. It is nil for an exit code of 0.
func (p *Process) Err() error {
	select {
	case <-p.done:
	default:
		return nil
	}
	if p.err == nil {
		return nil
	}
	return fmt.Errorf("%s ended: %w; the end of %s:\n%s", p.name, p.err, p.logFile, Tail(p.logFile, 12))
}

// Stop asks the process to end and waits for it; when ctx is over first, it kills the process's group.
func (p *Process) Stop(ctx context.Context) {
	select {
	case <-p.done:
		return
	default:
	}
	_ = syscall.Kill(-p.pid, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-ctx.Done():
	}
	p.Kill()
}

// Kill ends the process's group at once and waits until the process is gone.
func (p *Process) Kill() {
	select {
	case <-p.done:
		return
	default:
	}
	_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	<-p.done
}

// Tail is the last lines of a file, or nothing if it cannot be read.
func Tail(path string, lines int) string {
	const most = 16 << 10
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	size, err := f.Seek(0, 2)
	if err != nil {
		return ""
	}
	buffer := make([]byte, min(size, most))
	if _, err := f.ReadAt(buffer, size-int64(len(buffer))); err != nil {
		return ""
	}
	start := len(buffer)
	for start > 0 && lines >= 0 {
		start--
		if buffer[start] == '\n' {
			lines--
		}
	}
	return string(buffer[start:])
}

// Alive tells whether a process of this id runs. It says no more than that: whose process it is, the caller must know.
func Alive(pid int) bool { return pid > 0 && syscall.Kill(pid, 0) == nil }

// ReadPID reads a pid file; 0 means that there is none.
func ReadPID(path string) int {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(string(trimSpace(b)))
	if err != nil {
		return 0
	}
	return n
}

func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == ' ') {
		b = b[:len(b)-1]
	}
	return b
}

// Poll calls check every interval until it reports true, ends with an error, or ctx is over. The error tells what the wait was for.
func Poll(ctx context.Context, interval time.Duration, what string, check func(context.Context) (bool, error)) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		done, err := check(ctx)
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// ResidentMiB is the memory that a process holds, 0 if that cannot be known.
func ResidentMiB(pid int) int {
	content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
	if err != nil {
		return 0
	}
	var size, resident int
	if _, err := fmt.Sscan(string(content), &size, &resident); err != nil {
		return 0
	}
	return resident * os.Getpagesize() >> 20
}
