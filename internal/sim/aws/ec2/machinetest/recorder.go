// Package machinetest has machines for tests: they do nothing and remember what they were told.
//
// Inputs are the calls of ec2.Machines; outputs are those calls as lines of text and the machines as they were last described.
package machinetest

import (
	"slices"
	"sync"

	"github.com/eks-gitops/reconciler/internal/sim/aws/ec2"
)

// Recorder implements ec2.Machines. The zero value is ready, and it is safe for concurrent use.
type Recorder struct {
	mu       sync.Mutex
	events   []string
	machines map[string]ec2.Machine
}

// Started notes that a machine runs.
func (r *Recorder) Started(m ec2.Machine) { r.note("started ", m) }

// Terminated notes that a machine is gone.
func (r *Recorder) Terminated(m ec2.Machine) { r.note("terminated ", m) }

func (r *Recorder) note(verb string, m ec2.Machine) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.machines == nil {
		r.machines = map[string]ec2.Machine{}
	}
	r.events = append(r.events, verb+m.InstanceID)
	r.machines[m.InstanceID] = m
}

// Events lists the calls so far: "started i-1", "terminated i-1".
func (r *Recorder) Events() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// Machine is a machine as it was last described.
func (r *Recorder) Machine(id string) (ec2.Machine, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.machines[id]
	return m, ok
}
