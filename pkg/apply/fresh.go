package apply

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/tools/cache"
)

// fresh is what our own write of an object answered, until watches tell as much.
type fresh struct {
	object *stored
	at     time.Time
}

// freshness bounds how long our own write is believed more than a watch: an object that someone deleted right after our
// write, before its kind was watched, would else live on in memory.
const freshness = 10 * time.Second

// caughtUp reports whether what a watch told of an object is our own last write. The write stays believed all the same: a
// look that read the cache just before this event must not fall back to what was there before; newest ends the belief when
// it is shown something as new.
func (c *Cluster) caughtUp(event any) bool {
	seen, ok := event.(*stored)
	if !ok {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.fresh[seen.key]
	return ok && f.object.version == seen.version
}

// gone notes that a watch told of a deletion: our write before it is not believed any more.
func (c *Cluster) gone(event any) {
	seen, exact := event.(*stored)
	if unknown, ok := event.(cache.DeletedFinalStateUnknown); ok {
		seen, _ = unknown.Obj.(*stored)
	}
	if seen == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.fresh[seen.key]; ok && (!exact || !older(seen, f.object)) {
		delete(c.fresh, seen.key)
	}
}

// doubt ends the belief in our own writes of a kind, of which a list is about to tell.
func (c *Cluster) doubt(of schema.GroupKind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.still = nil
	for k := range c.fresh {
		if k.GroupKind == of {
			delete(c.fresh, k)
		}
	}
}

// newest prefers what our own write answered over what a watch has not caught up with.
func (c *Cluster) newest(k key, seen *stored) *stored {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.fresh[k]
	switch {
	case !ok:
		return seen
	case seen != nil && seen.uid == f.object.uid && seen.version == f.object.version:
		delete(c.fresh, k) // the watch has caught up; this one needs no decoding
	case seen != nil && !older(seen, f.object), c.Now().Sub(f.at) > freshness:
		delete(c.fresh, k)
		return seen
	}
	return f.object
}

// older compares resourceVersions, which are ordered within a resource (KEP-5504).
func older(a, b *stored) bool {
	order, err := resourceversion.CompareResourceVersion(a.version, b.version)
	return err == nil && order < 0
}

// remember books what our own write answered; nil forgets it.
func (c *Cluster) remember(k key, u *unstructured.Unstructured) {
	if !c.Watch {
		return
	}
	var wrote *stored
	if u != nil {
		var err error
		if wrote, err = pack(u); err != nil { // what was decoded is not encoded again, but it does for now
			wrote = reference(u)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.fresh, k)
	c.moved[k] = byUs
	if wrote != nil {
		c.fresh[k] = fresh{wrote, c.Now()}
	}
}

// forget drops what we know of an object that we deleted.
func (c *Cluster) forget(k key) {
	c.remember(k, nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.passing, k)
}

// written are the objects that we wrote and that watches may not have told of yet.
func (c *Cluster) written() []*stored {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]*stored, 0, len(c.fresh))
	for k, f := range c.fresh {
		if c.Now().Sub(f.at) > freshness {
			delete(c.fresh, k)
			continue
		}
		out = append(out, f.object)
	}
	return out
}
