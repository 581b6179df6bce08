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
	calm    map[key]calm
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

// calm is an object that was found ready and as git wants it, and what that was found of: the content, the set, the types, and the state
// of the live object.
type calm struct {
	spec         gitops.Tree
	set, types   string
	uid, version string
	overlay      string
	// digest is of the content, once somebody came back to it.
	digest gitops.Digest
	// more is there for what has any of it.
	more *remarks
}

// remarks are what few objects have: see gitops.Observation.
type remarks struct {
	skipped   []gitops.Skipped
	overruled []string
	finished  bool
}

func newMemo() *memo { return &memo{entries: map[key]entry{}, calm: map[key]calm{}} }

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
	if e.decision.noop {
		e.decision.next = bare(live.Object, true)
		if e.decision.send == nil {
			e.decision.send = w.payload
		}
	}
	if e.version == live.GetResourceVersion() {
		return e.decision, true
	}
	if e.content == "" || e.content != content(live) {
		return decision{}, false
	}
	e.version = live.GetResourceVersion()
	if e.decision.next != nil && !e.decision.noop {
		e.decision.next = withIdentity(e.decision.next, live.Object)
	}
	m.mu.Lock()
	m.entries[w.key] = slim(e, w)
	m.mu.Unlock()
	return e.decision, true
}

// keep remembers a decision.
func (m *memo) keep(w want, live *unstructured.Unstructured, types string, d decision) {
	if live == nil {
		return
	}
	e := entry{desired: w.digest, types: types, uid: string(live.GetUID()), version: live.GetResourceVersion(), decision: d}
	if !d.local {
		e.content = content(live)
	}
	m.mu.Lock()
	m.entries[w.key] = slim(e, w)
	m.mu.Unlock()
}

// slim is an entry without what find is given anew: of what is as git says, no copy of git or of the live object is kept.
func slim(e entry, w want) entry {
	if e.decision.noop {
		e.decision.next = nil
		if gitops.Identical(e.decision.send, w.payload) {
			e.decision.send = nil
		}
	}
	return e
}

// only forgets everything but what is wanted.
func (m *memo) only(wants map[key]*want) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.entries {
		if _, ok := wants[k]; !ok {
			delete(m.entries, k)
		}
	}
	for k := range m.calm {
		if _, ok := wants[k]; !ok {
			delete(m.calm, k)
		}
	}
}

// settle remembers whether what was seen is ready and as git wants it.
func (m *memo) settle(w want, live *unstructured.Unstructured, types string, o gitops.Observation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o.Err != nil || o.Live == nil || o.Progress != nil || o.Predicted || len(o.Conflicts) > 0 || !o.Owned || !same(o.Live, o.Next) {
		delete(m.calm, w.key)
		return
	}
	var digest gitops.Digest // of a new content it is computed when somebody comes back to it
	if gitops.Identical(m.calm[w.key].spec, o.Spec) {
		digest = m.calm[w.key].digest
	}
	var more *remarks
	if len(o.Skipped)+len(o.Overruled) > 0 || o.Finished {
		more = &remarks{o.Skipped, o.Overruled, o.Finished}
	}
	m.calm[w.key] = calm{
		spec: o.Spec, set: w.set, types: types, uid: string(live.GetUID()), version: live.GetResourceVersion(), overlay: w.item.From.Overlay, digest: digest, more: more,
	}
}

// calmed reports whether an object was ready and as git wants it when it was last looked at.
func (m *memo) calmed(k key) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.calm[k]
	return ok
}

// settled finds what was remembered of the very same: the content that git wants, the types, and the state of the live object.
func (m *memo) settled(w want, live *stored, types string) (gitops.Observation, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.calm[w.key]
	if !ok || live == nil || !gitops.Identical(r.spec, w.item.Spec) || r.set != w.set || r.types != types ||
		r.uid != live.uid || r.version != live.version {
		return gitops.Observation{}, false
	}
	if r.digest == "" {
		r.digest = gitops.DigestOf(r.spec)
		m.calm[w.key] = r
	}
	o := gitops.Observation{Settled: true, Owned: true, Overlay: r.overlay, Spec: r.spec, Digest: r.digest, From: w.item.From}
	if r.more != nil {
		o.Skipped, o.Overruled, o.Finished = r.more.skipped, r.more.overruled, r.more.finished
	}
	return o, true
}
