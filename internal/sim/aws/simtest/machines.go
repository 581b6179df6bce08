package simtest

import (
	"maps"
	"slices"
	"sync"

	"github.com/eks-gitops/reconciler/internal/sim/aws/ec2"
	"github.com/eks-gitops/reconciler/internal/sim/aws/eks"
)

// Machines remembers which instances are up. The zero value is ready; it is safe for concurrent use.
type Machines struct {
	mu sync.Mutex
	up map[string]ec2.Machine
}

// Started notes an instance.
func (m *Machines) Started(machine ec2.Machine) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.up == nil {
		m.up = map[string]ec2.Machine{}
	}
	m.up[machine.InstanceID] = machine
}

// Terminated forgets an instance.
func (m *Machines) Terminated(machine ec2.Machine) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.up, machine.InstanceID)
}

// Up lists the instances that are up, by id.
func (m *Machines) Up() []ec2.Machine {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]ec2.Machine, 0, len(m.up))
	for _, id := range slices.Sorted(maps.Keys(m.up)) {
		out = append(out, m.up[id])
	}
	return out
}

// ControlPlanes are control planes that are what the test says. The zero value makes every plane ready at once; it is safe for
// concurrent use.
type ControlPlanes struct {
	mu     sync.Mutex
	wanted map[string]eks.ControlPlane
	status map[string]eks.PlaneStatus
}

// Ensure notes what is wanted.
func (p *ControlPlanes) Ensure(want eks.ControlPlane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wanted == nil {
		p.wanted = map[string]eks.ControlPlane{}
	}
	p.wanted[want.Cluster] = want
}

// Status is what Set said, or else ready as wanted.
func (p *ControlPlanes) Status(cluster string) eks.PlaneStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.status[cluster]; ok {
		return s
	}
	want, ok := p.wanted[cluster]
	if !ok {
		return eks.PlaneStatus{Gone: true}
	}
	return eks.PlaneStatus{Ready: true, Version: want.Version, Endpoint: "https://127.0.0.1:1/" + cluster, CAData: "Y2E="}
}

// Delete forgets a plane and what Set said of it.
func (p *ControlPlanes) Delete(cluster string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.wanted, cluster)
	delete(p.status, cluster)
}

// Set fixes the status of a cluster's plane until it is deleted.
func (p *ControlPlanes) Set(cluster string, s eks.PlaneStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status == nil {
		p.status = map[string]eks.PlaneStatus{}
	}
	p.status[cluster] = s
}

// Wanted is what a cluster's plane was last asked to be.
func (p *ControlPlanes) Wanted(cluster string) (eks.ControlPlane, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	want, ok := p.wanted[cluster]
	return want, ok
}
