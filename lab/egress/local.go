package egress

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eks-gitops/reconciler/lab/process"
)

// Local runs a real program in the place of pods, one process for all pods of the same owner, started when somebody first
// connects.
type Local struct {
	Name string
	Path string // of the executable
	Dir  string // for its files, logs and pid file
	Env  []string
	// Args makes the command line from the pod's, so that the program listens on a port of loopback and finds the API.
	Args func(container corev1.Container, port int, dir, kubeconfig string) []string
	// Kubeconfig writes a file with the credentials of a pod's service account.
	Kubeconfig func(ctx context.Context, pod *corev1.Pod, file string) error
	Log        *slog.Logger

	mu      sync.Mutex
	running map[string]*local
}

type local struct {
	proc *process.Process
	port int
}

// Connect implements Program.
func (l *Local) Connect(ctx context.Context, pod *corev1.Pod, _ int32) (net.Conn, error) {
	one, err := l.ensure(ctx, pod)
	if err != nil {
		return nil, fmt.Errorf("running %s for %s/%s: %w", l.Name, pod.Namespace, pod.Name, err)
	}
	var conn net.Conn
	err = process.Poll(ctx, 50*time.Millisecond, l.Name+" to listen", func(ctx context.Context) (bool, error) {
		select {
		case <-one.proc.Done():
			return false, fmt.Errorf("it ended: %w", one.proc.Err())
		default:
		}
		var dialer net.Dialer
		c, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(one.port)))
		if err != nil {
			return false, nil //nolint:nilerr // it does not listen yet
		}
		conn = c
		return true, nil
	})
	return conn, err
}

func ownerKey(pod *corev1.Pod) string {
	if owner := metav1.GetControllerOf(pod); owner != nil {
		return string(owner.UID)
	}
	return string(pod.UID)
}

func (l *Local) ensure(ctx context.Context, pod *corev1.Pod) (*local, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := ownerKey(pod)
	if one := l.running[key]; one != nil {
		select {
		case <-one.proc.Done():
			l.Log.Warn("a program that stands for a pod ended", "program", l.Name, "error", one.proc.Err())
		default:
			return one, nil
		}
	}
	one, err := l.start(ctx, pod, key)
	if err != nil {
		return nil, err
	}
	if l.running == nil {
		l.running = map[string]*local{}
	}
	l.running[key] = one
	return one, nil
}

func (l *Local) start(ctx context.Context, pod *corev1.Pod, key string) (*local, error) {
	dir := filepath.Join(l.Dir, l.Name+"-"+key)
	if err := os.MkdirAll(dir, 0o700); err != nil { //nolint:gosec // the path is made of the folder that the user gave
		return nil, err
	}
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := l.Kubeconfig(ctx, pod, kubeconfig); err != nil {
		return nil, err
	}
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	proc, err := process.Start(process.Spec{
		Name: l.Name, Path: l.Path, Args: l.Args(pod.Spec.Containers[0], port, dir, kubeconfig), Env: l.Env, Dir: dir, WorkDir: dir,
	})
	if err != nil {
		return nil, err
	}
	return &local{proc: proc, port: port}, nil
}

// Sweep ends the processes whose pods are all gone.
func (l *Local) Sweep(ctx context.Context, pods []*corev1.Pod) {
	keep := map[string]bool{}
	for _, pod := range pods {
		keep[ownerKey(pod)] = true
	}
	l.end(ctx, func(key string) bool { return !keep[key] })
}

// Stop ends all processes.
func (l *Local) Stop(ctx context.Context) { l.end(ctx, func(string) bool { return true }) }

func (l *Local) end(ctx context.Context, which func(key string) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, one := range l.running {
		if which(key) {
			one.proc.Stop(ctx)
			delete(l.running, key)
		}
	}
}

// MetricsServerArgs are the arguments of metrics-server run as a local process: the container's own, and after them, since of
// a flag given twice the last counts, those that differ outside a pod.
func MetricsServerArgs(container corev1.Container, port int, dir, kubeconfig string) []string {
	args := make([]string, 0, len(container.Args)+8)
	for _, arg := range append(container.Command, container.Args...) {
		if len(arg) > 1 && arg[0] == '-' {
			args = append(args, arg)
		}
	}
	return append(args, "--bind-address=127.0.0.1", "--secure-port="+strconv.Itoa(port), "--cert-dir="+dir,
		"--kubeconfig="+kubeconfig, "--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig)
}

// Admission is a stand-in for webhooks that let everything pass (it answers each AdmissionReview with "allowed") and for
// aggregated APIs that have nothing to tell.
type Admission struct {
	// Certificate finds the certificate that a pod would serve with.
	Certificate func(ctx context.Context, pod *corev1.Pod) (ServingCertificate, error)
	Log         *slog.Logger
}

// Elsewhere is a stand-in that listens somewhere on this machine.
type Elsewhere struct{ Address string }

// Connect implements Program.
func (e Elsewhere) Connect(ctx context.Context, _ *corev1.Pod, _ int32) (net.Conn, error) {
	var dialer net.Dialer
	return dialer.DialContext(ctx, "tcp", e.Address)
}
