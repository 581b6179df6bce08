package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/eks-gitops/reconciler/pkg/ledger"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// lab is a lab with the simulated AWS, a git repository, and the daemon that brings the one to the other.
type lab struct {
	dir string
	env []string
	// overlays is how many overlays are in git; overlay is how many objects each has.
	overlays, overlay int
	daemon            *exec.Cmd
	ended             chan struct{}
}

// patience bounds every wait, so that a run that hangs ends.
const patience = 15 * time.Minute

func startLab(ctx context.Context, dir string, overlay int) (*lab, error) {
	l := &lab{dir: dir, env: append(os.Environ(), "XDG_CONFIG_HOME="+dir, "XDG_STATE_HOME="+dir, "XDG_CACHE_HOME="+dir), overlay: overlay}
	if err := os.MkdirAll(filepath.Join(dir, "fleet", "clusters", "bench"), 0o755); err != nil {
		return nil, err
	}
	if _, err := l.run(ctx, os.Getenv("LAB_BIN"), "up", "--dir", l.file("lab"), "--speed", "1000", "--region", "eu-west-1", "--unsafe-no-fsync", "--detach"); err != nil {
		return nil, err
	}
	text, err := l.run(ctx, os.Getenv("LAB_BIN"), "env", "--dir", l.file("lab"), "-o", "json")
	if err != nil {
		l.close(ctx)
		return nil, err
	}
	var env map[string]string
	if err := json.Unmarshal([]byte(text), &env); err != nil {
		l.close(ctx)
		return nil, err
	}
	for name, value := range env {
		l.env = append(l.env, name+"="+value)
	}
	return l, nil
}

// close ends the daemon and the lab.
func (l *lab) close(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	if l.daemon != nil && l.daemon.Process != nil {
		// When ctx is over, the daemon has been killed already.
		_ = l.daemon.Process.Signal(os.Interrupt)
		select {
		case <-l.ended:
		case <-time.After(30 * time.Second):
			_ = l.daemon.Process.Kill()
		}
	}
	if _, err := l.run(ctx, os.Getenv("LAB_BIN"), "down", "--dir", l.file("lab")); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
}

func (l *lab) file(parts ...string) string {
	return filepath.Join(append([]string{l.dir}, parts...)...)
}

// run runs a program to its end.
func (l *lab) run(ctx context.Context, name string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	c := exec.CommandContext(ctx, name, args...)
	c.Env, c.Stdout, c.Stderr = l.env, &stdout, &stderr
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

func (l *lab) git(ctx context.Context, folder string, args ...string) (string, error) {
	return l.run(ctx, "git", append([]string{"-C", l.file(folder), "-c", "user.name=bench", "-c", "user.email=bench@example.com"}, args...)...)
}

// repository makes the bare repository that the daemon follows and the work tree that is edited.
func (l *lab) repository(ctx context.Context) error {
	files := map[string]string{
		"cluster.yaml": "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: bench, region: eu-west-1, version: \"1.34\"}\n" +
			// They would wait for nodes, of which there are none.
			"addonsConfig: {disableDefaultAddons: true}\n",
	}
	for name, text := range files {
		if err := os.WriteFile(l.file("fleet", "clusters", "bench", name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if _, err := l.run(ctx, "git", "init", "--quiet", "--bare", "--initial-branch=main", l.file("fleet.git")); err != nil {
		return err
	}
	_, err := l.run(ctx, "git", "init", "--quiet", "--initial-branch=main", l.file("fleet"))
	return err
}

// namespaceOf is the namespace of an overlay.
func namespaceOf(overlay int) string { return fmt.Sprintf("%s-%d", space, overlay) }

// add writes overlays until there are so many, each with a namespace of its own.
func (l *lab) add(overlays int) error {
	var spaces strings.Builder
	for i := range overlays {
		fmt.Fprintf(&spaces, "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n", namespaceOf(i))
		if i < l.overlays {
			continue
		}
		if err := kustomization(l.file("fleet", "clusters", "bench", "apps", fmt.Sprint(i)), l.overlay, namespaceOf(i)); err != nil {
			return err
		}
	}
	l.overlays = overlays
	folder := l.file("fleet", "clusters", "bench", "namespaces")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "namespaces.yaml"), []byte(spaces.String()), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte("resources: [namespaces.yaml]\n"), 0o600)
}

// commit brings the work tree into the bare repository, under a name that nobody follows. The branch moves with publish.
func (l *lab) commit(ctx context.Context, message string) (string, error) {
	for _, args := range [][]string{{"add", "--all"}, {"commit", "--quiet", "-m", message}, {"push", "--quiet", l.file("fleet.git"), "HEAD:refs/staged/next", "--force"}} {
		if _, err := l.git(ctx, "fleet", args...); err != nil {
			return "", err
		}
	}
	return l.git(ctx, "fleet", "rev-parse", "HEAD")
}

// publish moves the branch that the daemon follows; that is what nudges it.
func (l *lab) publish(ctx context.Context, commit string) error {
	_, err := l.git(ctx, "fleet.git", "update-ref", "refs/heads/main", commit)
	return err
}

// start starts the daemon.
func (l *lab) start(ctx context.Context) error {
	log, err := os.Create(l.file("reconciler.log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	l.daemon = exec.CommandContext(ctx, "reconciler", "run", "--progress", "quiet", "-C", l.file("fleet.git"), "--rev", "main", "--ledger", "file:"+l.file("ledger"), "clusters/bench")
	l.daemon.Env, l.daemon.Stdout, l.daemon.Stderr = l.env, log, log
	if err := l.daemon.Start(); err != nil {
		return err
	}
	l.ended = make(chan struct{})
	go func() {
		_ = l.daemon.Wait()
		close(l.ended)
	}()
	return nil
}

// converged waits until the newest pass found or made the cluster as a commit says.
func (l *lab) converged(ctx context.Context, commit string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	books := ledger.New(ledger.Files(l.file("ledger")), ledger.Options{})
	last := "nothing"
	for {
		records, err := books.Records(ctx, "bench", 1)
		if err != nil {
			return err
		}
		if len(records) > 0 {
			r := records[0]
			if r.Plan.Revision.Hash == commit && r.Outcome == run.Converged {
				return nil
			}
			last = fmt.Sprintf("%s at %.7s %v", r.Outcome, r.Plan.Revision.Hash, r.Plan.Problems)
		}
		select {
		case <-l.ended:
			log, _ := os.ReadFile(l.file("reconciler.log"))
			return fmt.Errorf("the daemon ended: %s", log[max(0, len(log)-4096):])
		case <-ctx.Done():
			return fmt.Errorf("waiting for %.7s: %w; the last record is %s", commit, ctx.Err(), last)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// access reaches the cluster as its administrator.
func (l *lab) access() (access, error) {
	kubeconfig := ""
	for _, variable := range l.env {
		if value, ok := strings.CutPrefix(variable, "KUBECONFIG="); ok {
			kubeconfig = value
		}
	}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig}, &clientcmd.ConfigOverrides{CurrentContext: "bench-admin"},
	).ClientConfig()
	if err != nil {
		return access{}, fmt.Errorf("reading the lab's kubeconfig: %w", err)
	}
	config.QPS, config.Burst = -1, -1
	return access{kubeconfig: kubeconfig, config: config}, nil
}
