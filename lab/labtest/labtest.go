// Package labtest starts labs and control planes for tests.
//
// Input: the binaries that `make lab programs` builds (the folder of $LAB_BIN, else .cache/bin of the repository). Output: a running lab
// or API server that ends with the test, however the test ends. Invariant: several at once do not meet: ports and folders are
// each one's own.
package labtest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eks-gitops/reconciler/lab/daemon"
	"github.com/eks-gitops/reconciler/lab/process"
)

// startTimeout is for machines that have much else to do.
const startTimeout = 2 * time.Minute

// Options say what lab a test needs.
type Options struct {
	// Speed divides AWS's durations; 0 means 300: a cluster within two seconds beyond what its control plane takes.
	Speed float64
	// Dir is the lab's folder; empty means one of the test's own.
	Dir string
	// Args are further arguments of lab up.
	Args []string
}

// Lab is a running lab.
type Lab struct {
	Dir   string
	State daemon.State
	env   map[string]string
	proc  *process.Process
}

// Tool finds a binary that `make lab programs` builds, and ends the test if it is not there.
func Tool(t testing.TB, name string) string {
	t.Helper()
	dir := filepath.Dir(os.Getenv("LAB_BIN"))
	if os.Getenv("LAB_BIN") == "" {
		_, file, _, ok := runtime.Caller(0)
		if !ok {
			t.Fatal("cannot tell where the repository is; set LAB_BIN")
		}
		dir = filepath.Join(filepath.Dir(file), "..", "..", ".cache", "bin")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is not built; run make lab programs first: %v", name, err)
	}
	return path
}

// Start starts a lab and ends it with the test.
func Start(t testing.TB, o Options) *Lab {
	t.Helper()
	if o.Speed == 0 {
		o.Speed = 300
	}
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "lab")
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	proc, err := process.Start(process.Spec{
		Name: "lab", Path: Tool(t, "lab"), Args: append([]string{"up", "--dir", o.Dir, fmt.Sprintf("--speed=%g", o.Speed)}, o.Args...),
		Env: plainEnv(), Dir: o.Dir,
	})
	if err != nil {
		t.Fatal(err)
	}
	l := &Lab{Dir: o.Dir, proc: proc}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		proc.Stop(ctx)
		if t.Failed() {
			t.Logf("the end of the lab's log:\n%s", process.Tail(filepath.Join(o.Dir, "lab.log"), 60))
		}
	})
	l.await(t)
	return l
}

func (l *Lab) await(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	err := process.Poll(ctx, 20*time.Millisecond, "the lab to answer", func(ctx context.Context) (bool, error) {
		select {
		case <-l.proc.Done():
			return false, fmt.Errorf("the lab ended: %w", l.proc.Err())
		default:
		}
		state, err := daemon.ReadState(l.Dir)
		if err != nil || state.PID != l.proc.PID() {
			return false, nil //nolint:nilerr // not written yet
		}
		l.State = state
		_, err = l.Status(ctx)
		return err == nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if l.env, err = daemon.Env(l.Dir, l.State); err != nil {
		t.Fatal(err)
	}
}

// Kill ends the lab as a crash would, without a chance to tidy up. Its state stays, so that Start with the same Dir goes on.
func (l *Lab) Kill() { l.proc.Kill() }

// Status asks the lab what it runs.
func (l *Lab) Status(ctx context.Context) (daemon.Status, error) { return daemon.Ask(ctx, l.State) }

// Getenv is one of the variables of `lab env`.
func (l *Lab) Getenv(name string) string { return l.env[name] }

// Env is the environment of a program that shall use the lab.
func (l *Lab) Env() []string {
	env := plainEnv()
	for _, name := range slices.Sorted(maps.Keys(l.env)) {
		env = append(env, name+"="+l.env[name])
	}
	return env
}

// Kubeconfig is the file with a context per cluster, NAME by AWS token and NAME-admin by certificate.
func (l *Lab) Kubeconfig() string { return l.env["KUBECONFIG"] }

// Command prepares a program to run against the lab; its whole process group ends with the test.
func (l *Lab) Command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	command.Env = l.Env()
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = 5 * time.Second
	return command
}

// plainEnv is the environment without what could lead a tool elsewhere.
func plainEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(pair string) bool {
		return strings.HasPrefix(pair, "AWS_") || strings.HasPrefix(pair, "KUBE") || strings.HasPrefix(pair, "SSL_CERT_")
	})
}

// ControlPlane starts just a Kubernetes control plane with a node, without AWS, and gives the path of a kubeconfig with all
// rights. It takes some four seconds. Further arguments are those of lab control-plane.
func ControlPlane(t testing.TB, args ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "plane")
	command := exec.Command(Tool(t, "lab"), append([]string{"control-plane", "--dir", dir}, args...)...) //nolint:noctx // it ends with its input
	command.Env, command.Stderr = plainEnv(), os.Stderr
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = input.Close()
		_, _ = io.Copy(io.Discard, output)
		if err := command.Wait(); err != nil {
			t.Errorf("ending the control plane: %v", err)
		}
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatalf("starting a control plane: %v", err)
	}
	return strings.TrimSpace(line)
}
