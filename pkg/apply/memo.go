package apply

import (
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// memo remembers decisions, one per object, so that what did not change is not asked again. A decision holds for the same
// desired content, the same types, and a live object of the same resourceVersion, or at least of the same content: a
// controller that only reports status does not make the server's answer another one.
type memo struct {
	mu      sync.Mutex
	entries map[key]entry
}

type entry struct {
	desired gitops.Digest
	types   string
	uid     string
	version string
	// content is computed for what the types alone could not decide.
	content  gitops.Digest
	decision decision
}

func newMemo() *memo { return &memo{entries: map[key]entry{}} }

// find gives the decision made before about the same.
func (m *memo) find(w want, live *unstructured.Unstructured, types string) (decision, bool) {
	if live == nil {
		return decision{}, false // what is absent is asked again: others may make it possible
	}
	m.mu.Lock()
	e, ok := m.entries[w.key]
	m.mu.Unlock()
	if !ok || e.desired != w.digest || e.types != types || e.uid != string(live.GetUID()) {
		return decision{}, false
	}
	if e.decision.local {
		e.decision.send = w.payload
	}
	if e.version == live.GetResourceVersion() {
		return e.decision, true
	}
	if e.content == "" || e.content != content(live) {
		return decision{}, false
	}
	e.version = live.GetResourceVersion()
	if e.decision.next != nil {
		e.decision.next = withIdentity(e.decision.next, live.Object)
	}
	m.mu.Lock()
	m.entries[w.key] = e
	m.mu.Unlock()
	return e.decision, true
}

// keep remembers a decision.
func (m *memo) keep(w want, live *unstructured.Unstructured, types string, d decision) {
	if live == nil {
		return
	}
	e := entry{desired: w.digest, types: types, uid: string(live.GetUID()), version: live.GetResourceVersion(), decision: d}
	if d.local {
		e.decision.send = nil // it is the payload, which find is given anew: no copy of git is kept for what is as git says
	} else {
		e.content = content(live)
	}
	m.mu.Lock()
	m.entries[w.key] = e
	m.mu.Unlock()
}

// only forgets everything but what is wanted.
func (m *memo) only(wants map[key]want) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.entries {
		if _, ok := wants[k]; !ok {
			delete(m.entries, k)
		}
	}
}
