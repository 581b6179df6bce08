package daemon

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/ec2"
	"github.com/eks-gitops/reconciler/internal/sim/aws/eks"
	"github.com/eks-gitops/reconciler/lab/cluster"
	"github.com/eks-gitops/reconciler/lab/oidc"
	"github.com/eks-gitops/reconciler/lab/site"
)

// fleet is all control planes of a lab. It implements eks.ControlPlanes, eks.Nodes, ec2.Machines and webhook.Access. What the
// simulator calls under its lock only notes what is wanted; each member does its own work.
type fleet struct {
	dir      string
	region   string
	settings planeSettings
	issuers  *oidc.Issuers
	log      *slog.Logger
	now      func() time.Time
	// changed is called when a member became ready, changed or went.
	changed func()
	// aws is set before run.
	aws *aws.Server

	mu       sync.Mutex
	base     context.Context // nil until run, and again after its end
	group    sync.WaitGroup
	members  map[string]*member
	machines map[string]map[string]ec2.Machine // by cluster and instance
	complete bool                              // whether machines names all that there are
}

// planeSettings are the same for all control planes.
type planeSettings struct {
	executable    string
	env           []string
	unsafeNoFsync bool
	webhookURL    string // the cluster's name is appended
	webhookCA     string // file
	metricsServer string // path of the program, empty if there is none
	standins      []site.Standin
}

func newFleet(dir, region string, settings planeSettings, issuers *oidc.Issuers, log *slog.Logger, now func() time.Time) *fleet {
	return &fleet{
		dir: dir, region: region, settings: settings, issuers: issuers, log: log, now: now, changed: func() {},
		members: map[string]*member{}, machines: map[string]map[string]ec2.Machine{},
	}
}

// run lets the members work until ctx is over, and then ends everything they run.
func (f *fleet) run(ctx context.Context) {
	f.mu.Lock()
	f.base = ctx
	for _, m := range f.members {
		f.group.Go(func() { m.run(ctx) })
	}
	f.mu.Unlock()
	<-ctx.Done()
	f.mu.Lock()
	f.base = nil
	f.mu.Unlock()
	f.group.Wait()
}

// Ensure implements eks.ControlPlanes.
func (f *fleet) Ensure(want eks.ControlPlane) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.members[want.Cluster]
	if m == nil || m.status().Gone {
		m = newMember(f, want.Cluster, filepath.Join(f.dir, want.Cluster))
		f.members[want.Cluster] = m
		if ctx := f.base; ctx != nil {
			f.group.Go(func() { m.run(ctx) })
		}
	}
	m.want(want)
	m.setMachines(f.nodesOf(want.Cluster), f.complete)
}

// Status implements eks.ControlPlanes.
func (f *fleet) Status(name string) eks.PlaneStatus {
	m := f.member(name)
	if m == nil {
		return eks.PlaneStatus{Gone: true}
	}
	return m.status()
}

// Delete implements eks.ControlPlanes.
func (f *fleet) Delete(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.members[name]; m != nil {
		m.remove()
	}
}

// drop forgets a member that is gone, unless a new one has its name already.
func (f *fleet) drop(m *member) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.members[m.name] == m {
		delete(f.members, m.name)
	}
}

func (f *fleet) member(name string) *member {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.members[name]
}

// list gives the members in the order of names.
func (f *fleet) list() []*member {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]*member, 0, len(f.members))
	for _, name := range slices.Sorted(maps.Keys(f.members)) {
		out = append(out, f.members[name])
	}
	return out
}

// Started implements ec2.Machines.
func (f *fleet) Started(m ec2.Machine) {
	if m.Cluster == "" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.machines[m.Cluster] == nil {
		f.machines[m.Cluster] = map[string]ec2.Machine{}
	}
	f.machines[m.Cluster][m.InstanceID] = m
	f.tellMachines(m.Cluster)
}

// Terminated implements ec2.Machines.
func (f *fleet) Terminated(m ec2.Machine) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, machines := range f.machines {
		if _, ok := machines[m.InstanceID]; ok {
			delete(machines, m.InstanceID)
			f.tellMachines(name)
		}
	}
}

// machinesComplete says that every running machine has been told of, so that nodes of others may go.
func (f *fleet) machinesComplete() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.complete = true
	for name := range f.members {
		f.tellMachines(name)
	}
}

func (f *fleet) tellMachines(name string) {
	if m := f.members[name]; m != nil {
		m.setMachines(f.nodesOf(name), f.complete)
	}
}

func (f *fleet) nodesOf(name string) map[string]cluster.Machine {
	out := map[string]cluster.Machine{}
	for id, m := range f.machines[name] {
		out[id] = nodeMachine(m)
	}
	return out
}

// Ready implements eks.Nodes.
func (f *fleet) Ready(name, instance string) bool {
	inside := f.inside(name)
	return inside != nil && inside.Ready(instance)
}

// Drain implements eks.Nodes.
func (f *fleet) Drain(name, instance string, force bool) (bool, error) {
	f.mu.Lock()
	ctx := f.base
	f.mu.Unlock()
	inside := f.inside(name)
	if inside == nil || ctx == nil {
		return false, fmt.Errorf("draining %s: the control plane of %s does not serve", instance, name)
	}
	return inside.Drain(ctx, instance, force)
}

// Count implements eks.Nodes.
func (f *fleet) Count(name string) (n int, known bool) {
	inside := f.inside(name)
	if inside == nil {
		return 0, false
	}
	return inside.Count()
}

// Mark implements eks.Nodes.
func (f *fleet) Mark(name, instance string, m eks.Marks) {
	if inside := f.inside(name); inside != nil {
		inside.Mark(instance, cluster.Marks{
			Labels: m.Labels, Taints: nodeTaints(m.Taints), DroppedLabels: m.DroppedLabels, DroppedTaints: nodeTaints(m.DroppedTaints),
		})
	}
}

func (f *fleet) inside(name string) *cluster.Cluster {
	m := f.member(name)
	if m == nil {
		return nil
	}
	return m.inside()
}

// Mapped implements webhook.Access.
func (f *fleet) Mapped(ctx context.Context, name, principal, session string) (username string, groups []string, ok bool, err error) {
	inside := f.inside(name)
	if inside == nil {
		return "", nil, false, fmt.Errorf("the control plane of %s does not serve", name)
	}
	return inside.Mapped(ctx, principal, session)
}

// Grant implements webhook.Access.
func (f *fleet) Grant(ctx context.Context, name string, grants []eks.Grant) ([]string, error) {
	inside := f.inside(name)
	if inside == nil {
		return nil, fmt.Errorf("the control plane of %s does not serve", name)
	}
	return inside.Grant(ctx, grants)
}

func encode(pem []byte) string { return base64.StdEncoding.EncodeToString(pem) }
