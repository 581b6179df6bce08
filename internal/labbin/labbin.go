// Package labbin gives tests of the root module a real Kubernetes control plane, by running the lab's binary.
//
// Inputs: the lab binary at .cache/bin/lab (`make lab` builds it, here too when it is missing). Outputs: the path of a kubeconfig with
// all rights.
// Invariants: one control plane per test binary, started when first asked for; it ends with the test binary, even when that is
// killed, because it watches its standard input; a test never skips for lack of it.
package labbin

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// plane is the control plane of this process.
type plane struct {
	once       sync.Once
	kubeconfig string
	err        error
	dir        string
	command    *exec.Cmd
	input      io.Closer
}

var shared plane //nolint:gochecknoglobals // one control plane per test process is the point

// Main runs the tests of a package that uses ControlPlane and ends what it started: func TestMain(m *testing.M) { os.Exit(labbin.Main(m)) }.
func Main(m *testing.M) int {
	code := m.Run()
	shared.stop()
	return code
}

// ControlPlane gives the kubeconfig of this test binary's control plane, and starts that when it does not run yet. Tests share
// it, so each uses namespaces and names of its own.
func ControlPlane(t testing.TB) string {
	t.Helper()
	shared.once.Do(func() { shared.err = shared.start() })
	if shared.err != nil {
		t.Fatalf("starting a control plane: %v", shared.err)
	}
	return shared.kubeconfig
}

func (p *plane) start() error {
	binary, err := Binary()
	if err != nil {
		return err
	}
	if p.dir, err = os.MkdirTemp("", "labbin-"); err != nil {
		return err
	}
	p.command = exec.Command(binary, "control-plane", "--dir", p.dir, "--unsafe-no-fsync")
	var said bytes.Buffer
	p.command.Stderr = &said
	stdin, err := p.command.StdinPipe()
	if err != nil {
		return err
	}
	p.input = stdin
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.command.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if p.kubeconfig = strings.TrimSpace(line); err != nil || p.kubeconfig == "" {
		p.stop()
		return fmt.Errorf("lab control-plane ended before it was ready: %w\n%s", err, said.String())
	}
	return nil
}

// patience is how long the control plane may take to end by itself.
const patience = 20 * time.Second

func (p *plane) stop() {
	if p.command == nil || p.command.Process == nil {
		return
	}
	_ = p.input.Close()
	late := time.AfterFunc(patience, func() { _ = p.command.Process.Kill() })
	_ = p.command.Wait()
	late.Stop()
	p.command = nil
	_ = os.RemoveAll(p.dir)
}

// Binary finds the lab's binary and builds it when it is missing.
func Binary() (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(root, ".cache", "bin", "lab")
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	build := exec.Command("make", "-C", root, "lab")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the lab: %w\n%s", err, out)
	}
	return binary, nil
}

// Root finds the module's root folder from the test's working directory.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "lab", "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("finding the repository's root: no lab/go.mod above %s", dir)
		}
		dir = parent
	}
}
