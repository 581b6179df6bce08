package apply

import (
	"cmp"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// still is what a look leaves for the next one to rest on. Of ten thousand objects few move between two looks, and only those and the ones
// that were not settled are looked at again. It holds as long as git wants the same, the server serves the same, all watches are open,
// nothing is live or on the books that git does not want, and the books say of everything that rests what was found of it. When any
// of that is not so, the next look is at everything, and it is the only one that finds what is to be deleted.
type still struct {
	// whole is the look at everything; what it worked out of git is shared with those that rest on it.
	whole *pass
	// items are what git wants, served is the catalog's generation.
	items  []gitops.Item
	served int
	// kinds are what git has objects of; queries are the watches, by kind, and parents is that of the sets.
	kinds   []schema.GroupVersionKind
	queries map[schema.GroupKind]query
	parents query
	// resting are the settled things, open are the others.
	resting map[gitops.Ref]*want
	open    map[gitops.Ref]key
}

// keepStill keeps what the next look may rest on.
func (c *Cluster) keepStill(s *still) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.still = s
}

// byUs stands for the set of an object that we wrote.
const byUs = ""

// stir notes that something was told of an object, and which set it is in or stands for: the next look includes it.
func (c *Cluster) stir(seen *stored) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moved[seen.key] = cmp.Or(seen.set, seen.parent)
}

// takeStill gives what the next look may rest on, and what moved since. A look that comes to no end leaves nothing to rest on.
func (c *Cluster) takeStill() (*still, map[key]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, moved := c.still, c.moved
	c.still, c.moved = nil, map[key]string{}
	for k := range c.fresh {
		moved[k] = byUs // it is believed for a time only, which passes without a word
	}
	if len(c.fresh) == 0 {
		c.fresh = map[key]fresh{} // a map stays as large as it was
	}
	return before, moved
}

// wants reports whether git wants the very same: what was rendered is never changed.
func (s *still) wants(items []gitops.Item) bool {
	return s != nil && len(s.items) == len(items) && (len(items) == 0 || &s.items[0] == &items[0])
}

// holds reports whether a look may rest on this one.
func (s *still) holds(p *pass, moved map[key]string) bool {
	if s.whole.link != p.link || s.served != p.link.catalog.generation() || !p.watcher.open(s.parents) {
		return false
	}
	for _, q := range s.queries {
		if !p.watcher.open(q) {
			return false
		}
	}
	for k, set := range moved {
		_, wanted := s.whole.wants[k]
		switch {
		case wanted:
		case set == byUs || s.whole.known(set):
			return false
		default:
			delete(moved, k) // of another tool's set
		}
	}
	return s.booked(p.inv)
}

// booked reports whether the books have everything that rests, and nothing that git does not want.
func (s *still) booked(inv gitops.Inventory) bool {
	found := 0
	for ref, entry := range inv {
		if ref.Domain != gitops.K8s {
			continue
		}
		w, rests := s.resting[ref]
		if !rests {
			if _, open := s.open[ref]; !open {
				return false
			}
			continue
		}
		if w.written == "" {
			w.written = gitops.DigestOf(w.item.Spec)
		}
		if entry.Spec != w.written || entry.Overlay != w.item.From.Overlay || entry.Finished || len(entry.Secrets) > 0 {
			return false
		}
		found++
	}
	return found == len(s.resting)
}

// resume makes a look one at what moved, or was not settled, and gives that.
func (p *pass) resume(s *still, moved map[key]string) []want {
	w := s.whole
	p.before = s
	p.parents, p.asked, p.wants, p.crds, p.services, p.webhooks = w.parents, w.asked, w.wants, w.crds, w.services, w.webhooks
	for _, k := range s.open {
		moved[k] = byUs
	}
	out := make([]want, 0, len(moved))
	for k := range moved {
		one := *p.wants[k]
		one.hidden = len(one.item.From.Secrets)+len(p.inv[one.item.Ref].Secrets) > 0
		out = append(out, one)
		if seen, there := p.watcher.one(s.queries[k.GroupKind], k); there {
			p.live[k] = seen
		}
	}
	p.overwrite()
	return out
}

// there reports whether an object is live, as far as it is known to be ours.
func (p *pass) there(k key) bool {
	if p.live[k] != nil || p.before == nil {
		return p.live[k] != nil
	}
	w, wanted := p.wants[k]
	return wanted && p.before.resting[w.item.Ref] != nil
}

// rests reports whether what was just found of an object is settled, so that only news of it is a reason to look again.
func (p *pass) rests(w want, s *still) bool {
	o := p.out[w.item.Ref]
	_, watched := s.queries[w.key.GroupKind]
	return watched && !w.hidden && o.Err == nil && (o.Settled || o.Live != nil) && len(o.Overruled) == 0 && !o.Finished && p.memo.calmed(w.key)
}

// settle sorts what was looked at into what rests and what does not.
func (s *still) settle(p *pass, w want) {
	if !p.rests(w, s) {
		s.open[w.item.Ref] = w.key
		delete(s.resting, w.item.Ref)
		return
	}
	delete(s.open, w.item.Ref)
	s.resting[w.item.Ref] = s.whole.wants[w.key]
}

// leave gives what the next look may rest on, after one at everything; nil when there is none, as in a cluster that ends, where others'
// objects count that no watch tells of.
func (p *pass) leave(items []gitops.Item, kinds []schema.GroupVersionKind, served int) *still {
	if p.watcher == nil || p.Ending || len(p.blind) > 0 || len(p.wants) != len(items) {
		return nil
	}
	for id := range p.parents {
		if !p.asked[id] {
			return nil
		}
	}
	for k, seen := range p.live {
		if _, wanted := p.wants[k]; !wanted && p.known(seen.set) {
			return nil
		}
	}
	s := &still{
		whole: p, items: items, served: served, kinds: kinds, queries: map[schema.GroupKind]query{}, parents: p.parentsQuery(),
		resting: make(map[gitops.Ref]*want, len(p.wants)), open: map[gitops.Ref]key{},
	}
	for _, q := range p.queries() {
		s.queries[q.kind.GroupKind()] = q
	}
	for _, w := range p.wants {
		s.settle(p, *w)
	}
	// Of the look itself only what it worked out of git is of use.
	s.whole = &pass{Cluster: p.Cluster, link: p.link, parents: p.parents, asked: p.asked, wants: p.wants, crds: p.crds, services: p.services, webhooks: p.webhooks}
	return s
}
