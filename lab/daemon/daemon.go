// Package daemon is the lab that runs: the simulated AWS behind one endpoint, and for each EKS cluster in it a control plane with
// everything around it.
//
// Input: Options and a folder. Output: servers on loopback, files in the folder that tell where they are, control planes that
// come and go with the simulated clusters. Invariants: all state is in the folder, so that a daemon that ended in whatever way
// goes on when it is started again, with the same addresses; one daemon works in a folder at a time; what it starts ends with it.
package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
	"github.com/eks-gitops/reconciler/lab/oidc"
	"github.com/eks-gitops/reconciler/lab/pki"
	"github.com/eks-gitops/reconciler/lab/site"
	"github.com/eks-gitops/reconciler/lab/webhook"
)

// Options are what a lab is started with.
type Options struct {
	// Dir keeps all state.
	Dir string
	// Speed divides AWS's durations; 0 means what Dir had, else DefaultSpeed.
	Speed float64
	// Port of the AWS endpoint; 0 means what Dir had, else a free one.
	Port int
	// UnsafeNoFsync makes etcd lose data when the machine dies.
	UnsafeNoFsync bool
	// Region that is simulated; empty means what Dir had, else us-west-2.
	Region string
	// Standins declares what answers for pods of the clusters.
	Standins []site.Standin
	// Executable is the binary of the components, MetricsServer that of metrics-server if there is one.
	Executable, MetricsServer string
	Env                       []string
	Log                       *slog.Logger
	Now                       func() time.Time
}

// DefaultSpeed makes a cluster take 20 seconds where AWS takes ten minutes.
const DefaultSpeed = 30

// advanceEvery is how often the world looks at the clock by itself.
const advanceEvery = 100 * time.Millisecond

// Daemon is a lab.
type Daemon struct {
	options Options
	state   State
	lock    *os.File
	ca      *pki.Authority
	aws     *aws.Server
	fleet   *fleet
	issuers *oidc.Issuers
	plain   net.Listener // AWS and administration
	secure  net.Listener // issuers and the token webhook

	kubeconfig sync.Mutex // guards the file
}

// New takes the folder, listens, and loads the world; Run serves. The addresses are State's from here on.
func New(o Options) (*Daemon, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening the lab in %s: %w", o.Dir, err)
	}
	o.Dir = dir
	d := &Daemon{options: o}
	if err := d.open(); err != nil {
		d.release()
		return nil, fmt.Errorf("opening the lab in %s: %w", o.Dir, err)
	}
	return d, nil
}

func (d *Daemon) open() error {
	for _, sub := range []string{"", "aws", "clusters", "pki"} {
		if err := os.MkdirAll(d.file(sub), 0o700); err != nil {
			return err
		}
	}
	if err := d.take(); err != nil {
		return err
	}
	if err := d.settle(); err != nil {
		return err
	}
	if err := d.listen(); err != nil {
		return err
	}
	if err := d.assemble(); err != nil {
		return err
	}
	if err := writeBundle(d.ca.PEM, d.file(bundleFile)); err != nil {
		return err
	}
	return d.state.write(d.options.Dir)
}

// take makes sure that no other daemon works in the folder. The kernel lets go of the lock when this process ends.
func (d *Daemon) take() error {
	f, err := os.OpenFile(d.file("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	d.lock = f
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return ErrRunning
	}
	return nil
}

// ErrRunning says that a daemon works in the folder already.
var ErrRunning = errors.New("a lab is running there already")

// settle completes the options by what an earlier daemon used.
func (d *Daemon) settle() error {
	before, err := ReadState(d.options.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	o := &d.options
	if o.Port == 0 {
		o.Port = before.Port
	}
	if o.Speed == 0 {
		o.Speed = before.Speed
	}
	if o.Speed == 0 {
		o.Speed = DefaultSpeed
	}
	if o.Region == "" {
		o.Region = before.Region
	}
	if o.Region == "" {
		o.Region = "us-west-2"
	}
	if before.Region != "" && before.Region != o.Region {
		return fmt.Errorf("the lab there is in region %s", before.Region)
	}
	d.state = State{
		PID: os.Getpid(), Port: o.Port, SecurePort: before.SecurePort, Speed: o.Speed, Region: o.Region, Started: o.Now().UTC(),
	}
	d.ca, err = pki.OpenAuthority(d.file("pki"), "lab-ca", o.Now)
	return err
}

func (d *Daemon) listen() error {
	var err error
	if d.plain, d.state.Port, err = listenOn(d.state.Port); err != nil {
		return fmt.Errorf("listening for AWS requests: %w", err)
	}
	if d.secure, d.state.SecurePort, err = listenOn(d.state.SecurePort); err != nil {
		return fmt.Errorf("listening for issuers and tokens: %w", err)
	}
	cert, err := d.ca.Issue(pki.Leaf{CommonName: "lab", Hosts: []string{"127.0.0.1", "localhost"}})
	if err != nil {
		return err
	}
	// The authority is sent along: eksctl makes the provider's thumbprint of the last certificate in the chain.
	chain, err := tls.X509KeyPair(d.ca.PEM, mustRead(d.ca.KeyFile))
	if err != nil {
		return err
	}
	cert.Certificate = append(cert.Certificate, chain.Certificate...)
	d.secure = tls.NewListener(d.secure, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}})
	return nil
}

func mustRead(file string) []byte {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return content
}

func listenOn(port int) (net.Listener, int, error) {
	l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, port, err
	}
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return nil, port, fmt.Errorf("%s is no TCP address", l.Addr())
	}
	return l, address.Port, nil
}

func (d *Daemon) assemble() error {
	o := d.options
	base := fmt.Sprintf("https://127.0.0.1:%d", d.state.SecurePort)
	d.issuers = oidc.New(base)
	d.fleet = newFleet(d.file("clusters"), o.Region, planeSettings{
		executable: o.Executable, env: o.Env, unsafeNoFsync: o.UnsafeNoFsync,
		webhookURL: base + "/authenticate/", webhookCA: d.ca.CertFile, metricsServer: o.MetricsServer, standins: o.Standins,
	}, d.issuers, o.Log, o.Now)
	d.fleet.changed = func() {
		if err := d.writeKubeconfig(); err != nil {
			o.Log.Error("writing the kubeconfig", "error", err)
		}
	}
	var err error
	d.aws, err = aws.New(aws.Options{
		World:         world.Options{Region: o.Region, Clock: o.Now, Speed: o.Speed, Dir: d.file("aws"), Log: o.Log, Seed: uint64(o.Now().UnixNano())},
		ControlPlanes: d.fleet, Nodes: d.fleet, Machines: d.fleet, Issuer: d.issuers.URL,
	})
	if err != nil {
		return fmt.Errorf("making the simulated AWS: %w", err)
	}
	d.fleet.aws = d.aws
	return nil
}

func (d *Daemon) file(parts ...string) string {
	return filepath.Join(append([]string{d.options.Dir}, parts...)...)
}

// State tells where the lab is served.
func (d *Daemon) State() State { return d.state }

// Run serves until ctx is over, and then ends what it started. The state of everything stays in the folder.
func (d *Daemon) Run(ctx context.Context) error {
	defer d.release()
	var group sync.WaitGroup
	plain := &http.Server{Handler: d.plainHandler(), ReadHeaderTimeout: time.Minute}
	secure := &http.Server{Handler: d.secureHandler(), ReadHeaderTimeout: time.Minute}
	failed := make(chan error, 2)
	for _, one := range []struct {
		server   *http.Server
		listener net.Listener
	}{{plain, d.plain}, {secure, d.secure}} {
		group.Go(func() {
			if err := one.server.Serve(one.listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	// The first advance tells the fleet of every cluster and machine that a former daemon left.
	err := d.aws.World.Advance()
	if err == nil {
		d.fleet.machinesComplete()
		err = d.work(ctx, failed)
	}
	d.aws.Close()
	_ = plain.Close()
	_ = secure.Close()
	group.Wait()
	return err
}

func (d *Daemon) work(ctx context.Context, failed <-chan error) error {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { d.fleet.run(ctx) })
	advanced := make(chan error, 1)
	group.Go(func() { advanced <- d.aws.Run(ctx, advanceEvery) })
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	case err = <-advanced:
	}
	cancel()
	group.Wait()
	return err
}

// release gives the folder back.
func (d *Daemon) release() {
	for _, l := range []net.Listener{d.plain, d.secure} {
		if l != nil {
			_ = l.Close()
		}
	}
	if d.lock != nil {
		_ = d.lock.Close()
	}
}

func (d *Daemon) plainHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", d.aws)
	mux.HandleFunc("GET "+statusPath, d.serveStatus)
	return mux
}

func (d *Daemon) secureHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/id/", d.issuers)
	mux.Handle("POST /authenticate/", http.StripPrefix("/authenticate", &webhook.Handler{
		Authenticator: d.aws.EKS, Access: d.fleet, Log: d.options.Log,
	}))
	return mux
}
