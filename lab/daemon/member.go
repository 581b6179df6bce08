package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks"
	"github.com/eks-gitops/reconciler/lab/cluster"
	"github.com/eks-gitops/reconciler/lab/controlplane"
	"github.com/eks-gitops/reconciler/lab/site"
)

const (
	startTimeout = 6 * time.Minute
	stopTimeout  = 10 * time.Second
	retryAfter   = 3 * time.Second
)

// member is one cluster of the fleet: what is wanted of it, and the goroutine that makes it so.
type member struct {
	fleet *fleet
	name  string
	dir   string
	log   *slog.Logger
	nudge chan struct{}

	mu       sync.Mutex
	wanted   eks.ControlPlane
	machines map[string]cluster.Machine
	complete bool
	removing bool
	gone     bool
	err      error
	ready    bool
	plane    *controlplane.Plane // set once opened
	within   *site.Site          // what is around the plane
}

func newMember(f *fleet, name, dir string) *member {
	return &member{fleet: f, name: name, dir: dir, log: f.log.With("cluster", name), nudge: make(chan struct{}, 1)}
}

func (m *member) want(w eks.ControlPlane) {
	m.mu.Lock()
	m.wanted = w
	m.mu.Unlock()
	m.wake()
}

func (m *member) setMachines(machines map[string]cluster.Machine, complete bool) {
	m.mu.Lock()
	m.machines, m.complete = machines, complete
	m.mu.Unlock()
	m.wake()
}

func (m *member) remove() {
	m.mu.Lock()
	m.removing = true
	m.mu.Unlock()
	m.wake()
}

func (m *member) wake() {
	select {
	case m.nudge <- struct{}{}:
	default:
	}
}

func (m *member) status() eks.PlaneStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := eks.PlaneStatus{Ready: m.ready, Err: m.err, Gone: m.gone}
	if m.plane != nil {
		s.Version, s.Endpoint, s.CAData = m.plane.Version(), m.plane.Endpoint(), encode(m.plane.CA())
	}
	return s
}

func (m *member) inside() *cluster.Cluster {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.within == nil {
		return nil
	}
	return m.within.Cluster()
}

// run makes the cluster be as wanted until ctx is over, then ends what runs. State stays on disk for the next time.
func (m *member) run(ctx context.Context) {
	for ctx.Err() == nil {
		var retry <-chan time.Time
		err := m.settle(ctx)
		if m.status().Gone {
			return
		}
		if err != nil && ctx.Err() == nil {
			m.log.Error("settling a cluster", "error", err)
			m.mu.Lock()
			m.err = err
			m.mu.Unlock()
			retry = time.After(retryAfter)
		}
		select {
		case <-ctx.Done():
		case <-m.nudge:
		case <-retry:
		}
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	m.halt(stopping)
}

func (m *member) settle(ctx context.Context) error {
	m.mu.Lock()
	wanted, removing := m.wanted, m.removing
	m.mu.Unlock()
	if removing {
		return m.destroy()
	}
	if m.plane == nil {
		if err := m.open(wanted); err != nil {
			return err
		}
	}
	if err := m.serve(ctx, wanted); err != nil {
		return err
	}
	m.tellInside(wanted)
	return nil
}

func (m *member) open(wanted eks.ControlPlane) error {
	set := m.fleet.settings
	plane, err := controlplane.Open(controlplane.Spec{
		Cluster: m.name, Dir: m.dir, Version: wanted.Version, Issuer: wanted.Issuer, ServiceCIDR: wanted.ServiceCIDR, UnsafeNoFsync: set.unsafeNoFsync,
		TokenWebhook: &controlplane.Webhook{URL: set.webhookURL + m.name, CAFile: set.webhookCA},
		Egress:       true, Env: set.env, Executable: set.executable,
	}, m.log, m.fleet.now)
	if err != nil {
		return err
	}
	if err := m.fleet.issuers.Add(wanted.ID, plane.ServiceAccountKey()); err != nil {
		return err
	}
	m.mu.Lock()
	m.plane = plane
	m.mu.Unlock()
	return nil
}

// serve makes the plane serve the wanted version.
func (m *member) serve(ctx context.Context, wanted eks.ControlPlane) error {
	if m.ready && m.plane.Version() == wanted.Version {
		return nil
	}
	begin := m.fleet.now()
	m.surround(nil)
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	set := m.fleet.settings
	within, err := site.New(site.Options{
		Plane: m.plane, Region: m.fleet.region, Env: set.env, MetricsServer: set.metricsServer, Standins: set.standins,
		Balancers: balancers{aws: m.fleet.aws, of: wanted}, Log: m.log, Now: m.fleet.now,
	})
	if err != nil {
		return err
	}
	// The API server may ask whose a token is as soon as it serves.
	m.surround(within)
	if m.plane.Version() == wanted.Version {
		err = m.plane.Start(starting)
	} else {
		err = m.plane.SetVersion(starting, wanted.Version)
	}
	if err != nil {
		return err
	}
	within.Start(ctx)
	m.mu.Lock()
	m.ready, m.err = true, nil
	m.mu.Unlock()
	m.log.Info("control plane serves", "version", wanted.Version, "endpoint", m.plane.Endpoint(), "took", m.fleet.now().Sub(begin).Round(time.Millisecond))
	m.fleet.changed()
	return nil
}

// surround notes what is around the plane, which does not serve yet; what was around it before ends.
func (m *member) surround(within *site.Site) {
	m.mu.Lock()
	before := m.within
	m.within, m.ready = within, false
	m.mu.Unlock()
	if before != nil {
		before.Stop()
	}
}

func (m *member) tellInside(wanted eks.ControlPlane) {
	software := make([]cluster.Software, 0, len(wanted.Software))
	for _, s := range wanted.Software {
		software = append(software, cluster.Software{
			Name: s.Name, Version: s.Version, Namespace: s.Namespace, RoleARN: s.RoleARN, Configuration: s.Configuration,
		})
	}
	m.mu.Lock()
	within, machines, complete := m.within, m.machines, m.complete
	m.mu.Unlock()
	within.Cluster().SetSoftware(software)
	if complete {
		within.Cluster().SetMachines(machines)
	}
}

// halt ends everything that runs and keeps the state.
func (m *member) halt(ctx context.Context) {
	m.surround(nil)
	if m.plane != nil {
		m.plane.Stop(ctx)
	}
}

// destroy ends everything and removes the state.
func (m *member) destroy() error {
	m.surround(nil)
	if m.plane != nil {
		m.plane.Kill()
	}
	m.mu.Lock()
	id := m.wanted.ID
	m.mu.Unlock()
	m.fleet.issuers.Remove(id)
	if err := removeDir(m.fleet.dir, m.dir); err != nil {
		return err
	}
	m.mu.Lock()
	m.plane, m.gone, m.err = nil, true, nil
	m.mu.Unlock()
	m.log.Info("control plane removed")
	m.fleet.changed()
	m.fleet.drop(m)
	return nil
}

// removeDir removes a cluster's folder, and nothing that is not directly in the folder of clusters.
func removeDir(parent, dir string) error {
	if filepath.Dir(dir) != filepath.Clean(parent) {
		return errors.New("removing a cluster: " + dir + " is not in " + parent)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing a cluster: %w", err)
	}
	return nil
}
