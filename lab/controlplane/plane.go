package controlplane

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/eks-gitops/reconciler/lab/pki"
	"github.com/eks-gitops/reconciler/lab/process"
)

// Plane is the control plane of one cluster.
type Plane struct {
	spec        Spec
	port        int
	ca, frontCA *pki.Authority
	log         *slog.Logger
	now         func() time.Time

	mu      sync.Mutex
	running map[string]*process.Process
	guard   sync.WaitGroup     // the goroutines that watch over processes
	stop    context.CancelFunc // ends the watching; nil when nothing runs
}

// saved is what a plane remembers over a restart.
type saved struct {
	Port    int    `json:"port"`
	Version string `json:"version"`
}

// Open prepares a control plane in s.Dir, or finds the one that is there. An empty s.Version means the one it had.
func Open(s Spec, log *slog.Logger, now func() time.Time) (*Plane, error) {
	dir, err := filepath.Abs(s.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening the control plane in %s: %w", s.Dir, err)
	}
	s.Dir = dir
	p := &Plane{log: log, now: now, running: map[string]*process.Process{}}
	if err := p.open(s); err != nil {
		return nil, fmt.Errorf("opening the control plane in %s: %w", s.Dir, err)
	}
	return p, nil
}

func (p *Plane) open(s Spec) error {
	if err := os.MkdirAll(filepath.Join(s.Dir, "run"), 0o700); err != nil {
		return err
	}
	memory, err := remembered(s.Dir)
	if err != nil {
		return err
	}
	if s.Version == "" {
		s.Version = memory.Version
	}
	if err := s.complete(); err != nil {
		return err
	}
	p.spec, p.port = s, memory.Port
	if p.port == 0 {
		if p.port, err = process.FreePort(); err != nil {
			return err
		}
	}
	if err := p.writeCredentials(); err != nil {
		return err
	}
	if err := p.writeStages(); err != nil {
		return err
	}
	return p.remember()
}

func remembered(dir string) (saved, error) {
	var memory saved
	content, err := os.ReadFile(filepath.Join(dir, "plane.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return memory, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &memory)
	}
	return memory, err
}

func (p *Plane) remember() error {
	content, err := json.Marshal(saved{Port: p.port, Version: p.spec.Version})
	if err != nil {
		return err
	}
	return writeFile(p.spec.file("plane.json"), string(content)+"\n")
}

// Endpoint is the URL of the API server.
func (p *Plane) Endpoint() string { return fmt.Sprintf("https://127.0.0.1:%d", p.port) }

// CA is the certificate, as PEM, of the authority behind the API server, its clients and kubelets.
func (p *Plane) CA() []byte { return p.ca.PEM }

// Authority signs for this cluster.
func (p *Plane) Authority() *pki.Authority { return p.ca }

// Version is the minor version served.
func (p *Plane) Version() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.spec.Version
}

// DNS is the ClusterIP of the Service kube-dns: the tenth of the network.
func (p *Plane) DNS() string {
	address, err := addressIn(p.spec.ServiceCIDR, 10)
	if err != nil {
		return ""
	}
	return address
}

// Kubeconfig is the file with the credentials of one of the plane's clients: "admin" or "cloud".
func (p *Plane) Kubeconfig(client string) string { return p.spec.file(client + ".kubeconfig") }

// ServiceAccountKey is the file with the private key of service account tokens.
func (p *Plane) ServiceAccountKey() string { return p.serviceAccountKey() }

// AuditLog is the file with a line of JSON (audit.k8s.io/v1 Event) for each request of a service account; with Spec.Audit.
func (p *Plane) AuditLog() string { return p.spec.file("run", "audit.log") }

// Dir keeps all state of the plane; its folder run holds logs and pid files.
func (p *Plane) Dir() string { return p.spec.Dir }

// Start runs every component and returns when the API is served and the others have been started. When ctx is over first,
// everything that was started is ended.
func (p *Plane) Start(ctx context.Context) error {
	guard, stop := context.WithCancel(context.WithoutCancel(ctx))
	p.mu.Lock()
	if p.stop != nil {
		p.mu.Unlock()
		stop()
		return errors.New("starting the control plane: it runs already")
	}
	p.stop = stop
	p.mu.Unlock()
	if err := p.startAll(ctx); err != nil {
		p.Kill()
		return fmt.Errorf("starting the control plane of %s: %w", p.spec.Cluster, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, proc := range p.running {
		p.guard.Go(func() { p.watch(guard, proc) })
	}
	return nil
}

func (p *Plane) startAll(ctx context.Context) error {
	if err := os.Remove(p.spec.file(etcdSocket)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := p.launch(Etcd); err != nil {
		return err
	}
	// An API server that comes too early waits a second before it tries again, and gives up after 20; on a busy disk etcd listens long
	// before it serves.
	err := process.Poll(ctx, 10*time.Millisecond, "etcd to serve", func(ctx context.Context) (bool, error) {
		return etcdServes(ctx, p.spec.Dir), p.ended(Etcd)
	})
	if err != nil {
		return err
	}
	if err := p.launch(APIServer); err != nil {
		return err
	}
	if err := p.awaitReady(ctx); err != nil {
		return err
	}
	for _, name := range []string{ControllerManager, Scheduler, Kwok} {
		if err := p.launch(name); err != nil {
			return err
		}
	}
	return nil
}

// etcdServes asks the etcd of a folder for its health.
func etcdServes(ctx context.Context, dir string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	folder, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer func() { _ = folder.Close() }()
	// The path of a unix socket has 107 bytes at most, and the folder's may be longer.
	socket := fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), etcdSocket)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://etcd/health", http.NoBody)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode == http.StatusOK
}

func (p *Plane) launch(name string) error {
	args, err := p.argsOf(name)
	if err != nil {
		return err
	}
	proc, err := process.Start(process.Spec{
		Name: name, Path: p.spec.Executable, Args: append([]string{name}, args...),
		// Several control planes share one small machine: trade a little CPU for a heap that stays near its live size.
		Env: append(slices.Clone(p.spec.Env), "GOGC=50"),
		Dir: p.spec.file("run"), WorkDir: p.spec.Dir,
	})
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running[name] = proc
	return nil
}

// watch starts a component again that ended by itself, not faster than once a second.
func (p *Plane) watch(guard context.Context, proc *process.Process) {
	for {
		select {
		case <-guard.Done():
			return
		case <-proc.Done():
		}
		p.log.Error("a component of the control plane ended; starting it again",
			"cluster", p.spec.Cluster, "component", proc.Name(), "error", proc.Err())
		select {
		case <-guard.Done():
			return
		case <-time.After(time.Second):
		}
		if err := p.launch(proc.Name()); err != nil {
			p.log.Error("starting a component again", "cluster", p.spec.Cluster, "component", proc.Name(), "error", err)
			continue
		}
		p.mu.Lock()
		proc = p.running[proc.Name()]
		p.mu.Unlock()
	}
}

// awaitReady waits until the API server says that it is ready, or its process has ended.
func (p *Plane) awaitReady(ctx context.Context) error {
	client, err := p.healthClient()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	return process.Poll(ctx, 50*time.Millisecond, "the API server to be ready", func(ctx context.Context) (bool, error) {
		for _, name := range []string{Etcd, APIServer} {
			if err := p.ended(name); err != nil {
				return false, err
			}
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Endpoint()+"/readyz", http.NoBody)
		if err != nil {
			return false, err
		}
		response, err := client.Do(request)
		if err != nil {
			return false, nil // it does not listen yet
		}
		defer func() { _ = response.Body.Close() }()
		_, _ = io.Copy(io.Discard, response.Body)
		return response.StatusCode == http.StatusOK, nil
	})
}

func (p *Plane) ended(name string) error {
	p.mu.Lock()
	proc := p.running[name]
	p.mu.Unlock()
	select {
	case <-proc.Done():
		if err := proc.Err(); err != nil {
			return err
		}
		return fmt.Errorf("%s ended", name)
	default:
		return nil
	}
}

func (p *Plane) healthClient() (*http.Client, error) {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(p.ca.PEM)
	pair, err := tls.LoadX509KeyPair(p.spec.file("pki", "admin.crt"), p.spec.file("pki", "admin.key"))
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Timeout:   30 * time.Second, // a machine with much to do takes seconds for a handshake
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}},
	}, nil
}

// Stop ends every component in the order in which they depend on each other. When ctx is over first, the rest is killed.
func (p *Plane) Stop(ctx context.Context) {
	p.end(func(proc *process.Process) { proc.Stop(ctx) },
		[]string{Kwok, Scheduler, ControllerManager}, []string{APIServer}, []string{Etcd})
}

// Kill ends every component at once. etcd loses nothing by that.
func (p *Plane) Kill() {
	p.end((*process.Process).Kill, []string{Kwok, Scheduler, ControllerManager, APIServer, Etcd})
}

func (p *Plane) end(how func(*process.Process), order ...[]string) {
	p.mu.Lock()
	stop := p.stop
	p.stop = nil
	p.mu.Unlock()
	if stop == nil {
		return
	}
	stop()
	p.guard.Wait()
	for _, together := range order {
		var group sync.WaitGroup
		for _, name := range together {
			if proc := p.running[name]; proc != nil {
				group.Go(func() { how(proc) })
			}
		}
		group.Wait()
	}
	clear(p.running)
}

// SetVersion makes the plane serve another minor version: its programs are started again, as EKS replaces control plane
// instances. The API is away for a few seconds, which EKS with its two API servers avoids.
func (p *Plane) SetVersion(ctx context.Context, version string) error {
	p.Stop(ctx)
	p.mu.Lock()
	p.spec.Version = version
	err := p.spec.complete()
	p.mu.Unlock()
	if err == nil {
		err = p.remember()
	}
	if err == nil {
		err = p.Start(ctx)
	}
	if err != nil {
		return fmt.Errorf("changing the control plane to Kubernetes %s: %w", version, err)
	}
	return nil
}

// PIDs tells the process ids of the running components.
func (p *Plane) PIDs() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]int{}
	for name, proc := range p.running {
		out[name] = proc.PID()
	}
	return out
}
