package apply

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
)

// watcher keeps the labelled objects of a changing set of kinds in memory, each kind by one filtered watch. client-go's
// reflector lists anew when the server has forgotten the watch's place (410 Gone) and backs off when it is away.
type watcher struct {
	link *link
	home *Cluster
	ctx  context.Context
	stop context.CancelFunc

	mu      sync.Mutex
	streams map[query]*stream
	running sync.WaitGroup
}

// stream is one watch.
type stream struct {
	informer cache.SharedIndexInformer
	stop     context.CancelFunc
	mu       sync.Mutex
	err      error
	failed   chan struct{}
}

// newWatcher makes a watcher without any watch. Its watches live until close, not until the end of the pass that asked first.
func newWatcher(ctx context.Context, l *link, home *Cluster) *watcher {
	w := &watcher{link: l, home: home, streams: map[query]*stream{}}
	w.ctx, w.stop = context.WithCancel(context.WithoutCancel(ctx))
	return w
}

func (w *watcher) close() {
	w.stop()
	w.running.Wait()
}

// keep ends the watches that are not asked for any more, such as of a kind whose definition is gone.
func (w *watcher) keep(queries []query) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for q, s := range w.streams {
		if !slices.Contains(queries, q) {
			s.stop()
			delete(w.streams, q)
		}
	}
}

// members waits until the kind's watch has listed once, then answers from memory.
func (w *watcher) members(ctx context.Context, q query) ([]*unstructured.Unstructured, error) {
	s := w.stream(q)
	if err := s.synced(ctx); err != nil {
		w.drop(q, s)
		return nil, err
	}
	items := s.informer.GetStore().List()
	out := make([]*unstructured.Unstructured, 0, len(items))
	for _, item := range items {
		if u, ok := item.(*unstructured.Unstructured); ok {
			out = append(out, u)
		}
	}
	return out, nil
}

// one finds an object in memory; false when its kind is not watched (any more).
func (w *watcher) one(q query, name key) (*unstructured.Unstructured, bool) {
	w.mu.Lock()
	s := w.streams[q]
	w.mu.Unlock()
	if s == nil || !s.informer.HasSynced() {
		return nil, false
	}
	path := name.Name
	if name.Namespace != "" {
		path = name.Namespace + "/" + name.Name
	}
	item, found, err := s.informer.GetStore().GetByKey(path)
	u, ok := item.(*unstructured.Unstructured)
	return u, err == nil && found && ok
}

// stream finds or starts the watch of a query.
func (w *watcher) stream(q query) *stream {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.streams[q]; s != nil {
		return s
	}
	ctx, stop := context.WithCancel(w.ctx)
	s := &stream{stop: stop, failed: make(chan struct{}, 1)}
	s.informer = dynamicinformer.NewFilteredDynamicInformer(w.link.client, q.kind.gvr(), q.namespace, 0, cache.Indexers{}, func(o *metav1.ListOptions) {
		o.LabelSelector = q.label
	}).Informer()
	// Both fail only on an informer that runs already.
	_ = s.informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) { s.fail(err) })
	_, _ = s.informer.AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(obj any, first bool) {
			if own := w.home.caughtUp(obj); !first && !own {
				w.home.nudged()
			}
		},
		UpdateFunc: w.moved,
		DeleteFunc: func(obj any) {
			w.home.gone(obj)
			w.home.nudged()
		},
	})
	w.streams[q] = s
	w.running.Go(func() { s.informer.RunWithContext(ctx) })
	return s
}

// drop ends a watch that could not start; the next look tries anew.
func (w *watcher) drop(q query, s *stream) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.streams[q] == s {
		s.stop()
		delete(w.streams, q)
	}
}

// moved nudges, unless what came is our own write or only says again what was known.
func (w *watcher) moved(before, after any) {
	if w.home.caughtUp(after) {
		return
	}
	was, ok := before.(*unstructured.Unstructured)
	now, ok2 := after.(*unstructured.Unstructured)
	if ok && ok2 && (was.GetResourceVersion() == now.GetResourceVersion() || w.home.assess(was) == w.home.assess(now) && content(was) == content(now)) {
		return
	}
	w.home.nudged()
}

func (s *stream) fail(err error) {
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	select {
	case s.failed <- struct{}{}:
	default:
	}
}

// synced waits for the first list; its error is the first that keeps it from succeeding.
func (s *stream) synced(ctx context.Context) error {
	if s.informer.HasSynced() {
		return nil
	}
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer close(done)
		cache.WaitForCacheSync(ctx.Done(), s.informer.HasSynced)
	}()
	select {
	case <-s.failed:
		cancel()
		<-done
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.err != nil && !s.informer.HasSynced() {
			return s.err
		}
		return nil
	case <-done:
		if !s.informer.HasSynced() {
			return fmt.Errorf("listing: %w", context.Cause(ctx))
		}
		return nil
	}
}

// fresh is what our own write of an object answered, until watches tell as much.
type fresh struct {
	object *unstructured.Unstructured
	at     time.Time
}

// freshness bounds how long our own write is believed more than a watch: an object that someone deleted right after our
// write, before its kind was watched, would else live on in memory.
const freshness = 10 * time.Second

// caughtUp reports whether what a watch told of an object is our own last write. The write stays believed all the same: a
// look that read the cache just before this event must not fall back to what was there before; newest ends the belief when
// it is shown something as new.
func (c *Cluster) caughtUp(event any) bool {
	u, ok := event.(*unstructured.Unstructured)
	if !ok {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.fresh[keyOf(u)]
	return ok && f.object.GetResourceVersion() == u.GetResourceVersion()
}

// gone notes that a watch told of a deletion: our write before it is not believed any more.
func (c *Cluster) gone(event any) {
	u, exact := event.(*unstructured.Unstructured)
	if unknown, ok := event.(cache.DeletedFinalStateUnknown); ok {
		u, _ = unknown.Obj.(*unstructured.Unstructured)
	}
	if u == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k := keyOf(u)
	if f, ok := c.fresh[k]; ok && (!exact || !older(u, f.object)) {
		delete(c.fresh, k)
	}
}

// newest prefers what our own write answered over what a watch has not caught up with.
func (c *Cluster) newest(k key, seen *unstructured.Unstructured) *unstructured.Unstructured {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.fresh[k]
	switch {
	case !ok:
		return seen
	case seen != nil && !older(seen, f.object), c.Now().Sub(f.at) > freshness:
		delete(c.fresh, k)
		return seen
	}
	return f.object
}

// older compares resourceVersions, which are ordered within a resource (KEP-5504).
func older(a, b *unstructured.Unstructured) bool {
	order, err := resourceversion.CompareResourceVersion(a.GetResourceVersion(), b.GetResourceVersion())
	return err == nil && order < 0
}

// remember books what our own write answered; nil forgets it.
func (c *Cluster) remember(k key, u *unstructured.Unstructured) {
	if !c.Watch {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.fresh, k)
	if u != nil {
		c.fresh[k] = fresh{u, c.Now()}
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
func (c *Cluster) written() []*unstructured.Unstructured {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]*unstructured.Unstructured, 0, len(c.fresh))
	for k, f := range c.fresh {
		if c.Now().Sub(f.at) > freshness {
			delete(c.fresh, k)
			continue
		}
		out = append(out, f.object)
	}
	return out
}
