package apply

import (
	"context"
	"fmt"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// watcher keeps the labelled objects of a changing set of kinds in memory, each kind by one filtered watch. client-go's
// reflector lists anew when the server has forgotten the watch's place (410 Gone) and backs off when it is away, for up to half a
// minute. What is in memory is believed only while its watch is open: a look in between starts over with a list.
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
	failed   chan struct{}

	mu    sync.Mutex
	err   error
	tells *opened
	// broken: there was a watch, or a try, and now there is none.
	broken bool
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
func (w *watcher) members(ctx context.Context, q query) ([]*stored, error) {
	w.mu.Lock()
	s := w.streams[q]
	w.mu.Unlock()
	if s != nil && s.interrupted() {
		w.drop(q, s)
		w.home.doubt(q.kind.GroupKind())
	}
	s = w.stream(q)
	if err := s.synced(ctx); err != nil {
		w.drop(q, s)
		return nil, err
	}
	items := s.informer.GetStore().List()
	out := make([]*stored, 0, len(items))
	for _, item := range items {
		if s, ok := item.(*stored); ok {
			out = append(out, s)
		}
	}
	return out, nil
}

// open reports whether what is in memory of a query is what is live.
func (w *watcher) open(q query) bool {
	w.mu.Lock()
	s := w.streams[q]
	w.mu.Unlock()
	return s != nil && s.informer.HasSynced() && !s.interrupted()
}

// one finds an object in memory; false when its kind is not watched (any more).
func (w *watcher) one(q query, name key) (*stored, bool) {
	w.mu.Lock()
	s := w.streams[q]
	w.mu.Unlock()
	if s == nil || !s.informer.HasSynced() || s.interrupted() {
		return nil, false
	}
	path := name.Name
	if name.Namespace != "" {
		path = name.Namespace + "/" + name.Name
	}
	item, found, err := s.informer.GetStore().GetByKey(path)
	seen, ok := item.(*stored)
	return seen, err == nil && found && ok
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
	s.informer = cache.NewSharedIndexInformerWithOptions(s.source(w.link, q), &unstructured.Unstructured{}, cache.SharedIndexInformerOptions{})
	// All fail only on an informer that runs already.
	_ = s.informer.SetTransform(func(obj any) (any, error) {
		if u, ok := obj.(*unstructured.Unstructured); ok {
			return pack(u)
		}
		return obj, nil // packed before: the informer may ask twice
	})
	_ = s.informer.SetWatchErrorHandlerWithContext(func(_ context.Context, r *cache.Reflector, err error) {
		// After a list, what fails is the watch: source notes that, and what the list told is true.
		if r.LastSyncResourceVersion() == "" {
			s.fail(err)
		}
	})
	_, _ = s.informer.AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(obj any, first bool) {
			if !first {
				w.told(obj) // the look that opened the watch has seen the first ones
			}
			if own := w.home.caughtUp(obj); !first && !own {
				w.home.nudged()
			}
		},
		UpdateFunc: w.moved,
		DeleteFunc: func(obj any) {
			w.told(obj)
			w.home.gone(obj)
			w.home.nudged()
		},
	})
	w.streams[q] = s
	w.running.Go(func() { s.informer.RunWithContext(ctx) })
	return s
}

// source lists and watches what a query asks for, and notes whether a watch is open.
func (s *stream) source(l *link, q query) cache.ListerWatcher {
	from := l.client.Resource(q.kind.gvr()).Namespace(q.namespace)
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = q.label
			if o.ResourceVersion == "0" {
				o.ResourceVersion = "" // what is live now, not what a replica of the API server remembers
			}
			return from.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = q.label
			w, err := from.Watch(ctx, o)
			if err != nil {
				s.open(nil)
				return nil, err
			}
			tells := &opened{Interface: w, stream: s}
			s.open(tells)
			return tells, nil
		},
	}, l.client)
}

// opened is a watch of a stream; the reflector stops it when it ends, for whatever reason.
type opened struct {
	watch.Interface
	stream *stream
}

// Stop implements watch.Interface.
func (o *opened) Stop() {
	o.Interface.Stop()
	o.stream.closed(o)
}

// open notes what a try to watch came to.
func (s *stream) open(w *opened) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tells, s.broken = w, w == nil
}

func (s *stream) closed(w *opened) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tells == w {
		s.tells, s.broken = nil, true
	}
}

// interrupted reports whether something may have changed that no watch tells.
func (s *stream) interrupted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// drop ends a watch that could not start or was interrupted; the next look tries anew.
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
	w.told(after)
	if w.home.caughtUp(after) {
		return
	}
	was, ok := before.(*stored)
	now, ok2 := after.(*stored)
	if ok && ok2 && (was.version == now.version || w.home.alike(was.whole(), now.whole())) {
		return
	}
	w.home.nudged()
}

// told notes what an event is about.
func (w *watcher) told(event any) {
	if unknown, ok := event.(cache.DeletedFinalStateUnknown); ok {
		event = unknown.Obj
	}
	if seen, ok := event.(*stored); ok {
		w.home.stir(seen)
	}
}

// alike reports whether two states of an object are the same to us.
func (c *Cluster) alike(was, now *unstructured.Unstructured) bool {
	return c.assess(was) == c.assess(now) && content(was) == content(now)
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
	select {
	case <-s.informer.HasSyncedChecker().Done():
		return nil
	case <-s.failed:
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.err != nil && !s.informer.HasSynced() {
			return s.err
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("listing: %w", context.Cause(ctx))
	}
}
