package apply

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	faults "github.com/eks-gitops/reconciler/internal/sim/fault"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// counter counts requests by verb and kind of path.
type counter struct {
	next http.RoundTripper
	mu   sync.Mutex
	seen []string
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	watch := ""
	if r.URL.Query().Get("watch") == "true" {
		watch = "WATCH "
	}
	c.seen = append(c.seen, watch+r.Method+" "+r.URL.Path)
	c.mu.Unlock()
	return c.next.RoundTrip(r)
}

func (c *counter) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.seen
	c.seen = nil
	return out
}

// count puts a counter into the connection.
func (l *lab) count() *counter {
	l.Helper()
	raw, _, err := l.connect(l.Context())
	if err != nil {
		l.Fatal(err)
	}
	c := &counter{next: raw.http.Transport}
	raw.http.Transport = c
	return c
}

// nudges waits for a nudge.
func (l *lab) nudges() {
	l.Helper()
	select {
	case <-l.Changed():
	case <-time.After(30 * time.Second):
		l.Fatal("no nudge came")
	}
}

// quiet drains nudges until there was none for a while.
func (l *lab) quiet() {
	for {
		select {
		case <-l.Changed():
		case <-time.After(300 * time.Millisecond):
			return
		}
	}
}

func TestSteadyStateCostsNoRequests(t *testing.T) {
	l := newLab(t, func(o *Options) { o.Watch = true })
	d := desired(l.items("apps", corpus)...)
	requests := l.count()
	l.apply(d)
	l.empty(d)
	l.eventually("a look without a request", func() (string, bool) {
		requests.take()
		l.empty(d)
		seen := slices.DeleteFunc(requests.take(), func(r string) bool { return strings.HasSuffix(r, "/pods") }) // of what is not ready
		return fmt.Sprint(seen), len(seen) == 0
	})
	for range 5 {
		l.empty(d)
	}
	for _, r := range requests.take() {
		if !strings.HasSuffix(r, "/pods") {
			t.Errorf("a request in steady state: %s", r)
		}
	}
}

func TestDriftNudges(t *testing.T) {
	l := newLab(t, func(o *Options) { o.Watch = true })
	d := desired(l.items("apps", web)...)
	l.apply(d)
	l.empty(d)
	l.quiet()
	l.edit("kubectl-edit", configMaps(), "flags", gitops.Tree{"data": gitops.Tree{"beta": "off"}})
	l.nudges()
	l.expect(d, `update ConfigMap flags: data.beta "off">"on" kubectl-edit`)
	l.apply(d)
	l.empty(d)
	l.quiet()
	if err := l.raw().client.Resource(configMaps()).Namespace(l.id).Delete(t.Context(), "flags", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	l.nudges()
	p := l.plan(d)
	if len(p.Changes) == 0 || p.Changes[0].Action != plan.Create || !p.Changes[0].Drift {
		t.Errorf("after a deletion behind git's back: %v", said(p))
	}
	l.apply(d)
	l.empty(d)
	// An object that loses our label is not ours to see any more, but git still wants it.
	l.quiet()
	l.edit("kubectl-label", configMaps(), "flags", gitops.Tree{"metadata": gitops.Tree{"labels": gitops.Tree{partOf: nil}}})
	l.nudges()
	l.expect(d, `update ConfigMap flags: metadata.labels null>{"applyset.kubernetes.io/part-of":"`+l.parentOf("apps").id()+`"}`)
}

func TestStatusAloneDoesNotNudge(t *testing.T) {
	l := newLab(t, func(o *Options) { o.Watch = true })
	d := desired(l.items("apps", `
apiVersion: v1
kind: Namespace
metadata: {name: NS}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: NS}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: web}}}
`)...)
	l.apply(d)
	l.empty(d)
	l.quiet()
	l.edit("test", gvr("policy", "v1", "poddisruptionbudgets"), "web", gitops.Tree{"status": gitops.Tree{"conditions": []any{gitops.Tree{
		"type": "Note", "status": "True", "reason": "Test", "message": "", "lastTransitionTime": "2026-11-21T08:00:00Z",
	}}}}, "status")
	// What comes after it is seen, so the status had been seen, too.
	l.edit("kubectl-edit", gvr("policy", "v1", "poddisruptionbudgets"), "web", gitops.Tree{"metadata": gitops.Tree{"annotations": gitops.Tree{"x": "y"}}})
	l.nudges()
	l.expect(d, `update PodDisruptionBudget web: metadata.annotations {"x":"y"}>null kubectl-edit`)
}

// A watch that the server has forgotten (410) or that broke is listed anew; kinds that leave are not watched any more.
func TestWatchesFollowKinds(t *testing.T) {
	l := newLab(t, func(o *Options) { o.Watch = true })
	items := l.items("apps", corpus)
	l.apply(desired(items...))
	l.empty(desired(items...))
	streams := func() int {
		l.watch.mu.Lock()
		defer l.watch.mu.Unlock()
		return len(l.watch.streams)
	}
	all := streams()
	var rest []gitops.Item
	for _, item := range items {
		if item.Ref.Kind == "Namespace" {
			rest = append(rest, item)
		}
	}
	// What is left over is still watched, because the set's parent names it.
	if _, err := l.Observe(t.Context(), desired(rest...), l.inv); err != nil {
		t.Fatal(err)
	}
	if streams() != all {
		t.Errorf("%d of %d kinds are watched while their objects live", streams(), all)
	}
	other := newLab(t, func(o *Options) { o.Watch = true })
	other.apply(desired(other.items("apps", twoMaps)...))
	other.empty(desired(other.items("apps", twoMaps)...))
	other.watch.mu.Lock()
	defer other.watch.mu.Unlock()
	if n := len(other.watch.streams); n != 3 {
		t.Errorf("%d watches for sets, Namespaces and ConfigMaps", n)
	}
}

// What is in memory counts only while a watch tells what changes: when watches break and none can be opened, a look lists.
func TestAnInterruptedWatchIsNotBelieved(t *testing.T) {
	l, proxy := newLabBehind(t, func(o *Options) { o.Watch = true })
	d := desired(l.items("apps", twoMaps)...)
	l.apply(d)
	l.empty(d)
	proxy.Decide(func(r *http.Request) faults.Effect {
		if faults.Watches(r) {
			return faults.Unavailable
		}
		return faults.None
	})
	proxy.Interrupt()
	name := d.Items[len(d.Items)-1].Ref.Name
	l.edit("kubectl-edit", configMaps(), name, gitops.Tree{"data": gitops.Tree{"k": "edited"}})
	l.eventually("a plan that takes the edit back", func() (string, bool) {
		p := l.plan(d)
		return fmt.Sprint(said(p)), len(p.Changes) == 1 && p.Changes[0].Ref.Name == name
	})
	l.apply(d)
	if err := l.raw().client.Resource(configMaps()).Namespace(l.id).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	// Right after a write of ours, which is not believed either.
	if p := l.plan(d); len(p.Changes) != 1 || p.Changes[0].Action != plan.Create {
		t.Errorf("after a deletion that no watch told of: %v", said(p))
	}
	proxy.Decide(faults.Fine)
	l.apply(d)
	l.eventually("a look without a list", func() (string, bool) {
		l.watch.mu.Lock()
		defer l.watch.mu.Unlock()
		for q, s := range l.watch.streams {
			if s.interrupted() {
				return q.kind.Kind, false
			}
		}
		return "", true
	})
	l.empty(d)
}

// TestAListWithoutAWatchIsEnough: that the watch after it is refused does not take back what a list told, however long that takes to read in.
func TestAListWithoutAWatchIsEnough(t *testing.T) {
	t.Parallel()
	var list strings.Builder
	for i := range 2000 {
		if i > 0 {
			list.WriteByte(',')
		}
		fmt.Fprintf(&list, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m%d","namespace":"a","resourceVersion":"7"}}`, i)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if faults.Watches(r) {
			http.Error(w, "try later", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"apiVersion":"v1","kind":"ConfigMapList","metadata":{"resourceVersion":"9"},"items":[%s]}`, list.String())
	}))
	t.Cleanup(server.Close)
	c := New(Options{Access: func(context.Context) (Access, error) { return Access{Server: server.URL}, nil }, Watch: true, Now: time.Now})
	t.Cleanup(c.Close)
	if _, _, err := c.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	maps := query{kind: kind{GroupVersionKind: schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, Resource: "configmaps", Namespaced: true}}
	for range 10 {
		if got, err := c.watch.members(t.Context(), maps); err != nil || len(got) != 2000 {
			t.Fatalf("%d objects, %v", len(got), err)
		}
	}
}

// TestEventsWhileDisconnecting: what a watch tells while the connection goes is dealt with, not waited for with the lock that it needs.
func TestEventsWhileDisconnecting(t *testing.T) {
	access := Access{Server: "https://one.test"}
	c := New(Options{Access: func(context.Context) (Access, error) { return access, nil }, Watch: true})
	for _, ends := range []struct {
		by string
		do func() error
	}{
		{"another way to the server", func() error {
			access.Server = "https://two.test"
			_, _, err := c.connect(t.Context())
			return err
		}},
		{"close", func() error { c.Close(); return nil }},
	} {
		if _, _, err := c.connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		watch, told, ended := c.watch, make(chan struct{}), make(chan error, 1)
		watch.running.Go(func() {
			defer close(told)
			<-watch.ctx.Done()
			c.caughtUp(&stored{})
			c.gone(&stored{})
		})
		go func() { ended <- ends.do() }()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("%s: %v", ends.by, err)
			}
			<-told
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: the connection and its watch wait for each other", ends.by)
		}
	}
}

// Our own write is believed before the watch tells of it, and not longer.
func TestOwnWritesAreBelievedUntilTheWatchKnows(t *testing.T) {
	now := time.Unix(1000, 0)
	c := New(Options{Watch: true, Now: func() time.Time { return now }})
	object := func(version string) *unstructured.Unstructured {
		u := configMap("ns", "x", nil)
		u.SetResourceVersion(version)
		return u
	}
	seen := func(version string) *stored { return reference(object(version)) }
	k := keyOf(object("1"))
	c.remember(k, object("20"))
	if got := c.newest(k, seen("9")); got.version != "20" {
		t.Errorf("an old cache wins over our write: %s", got.version)
	}
	if !c.caughtUp(seen("20")) {
		t.Error("our own write is not recognised")
	}
	if got := c.newest(k, seen("9")); got.version != "20" {
		t.Errorf("a look that read the cache just before the event falls back behind our write: %s", got.version)
	}
	c.gone(seen("21"))
	if got := c.newest(k, nil); got != nil {
		t.Error("our write outlives a deletion that the watch told of")
	}
	c.remember(k, object("30"))
	if c.caughtUp(seen("29")) || c.newest(k, seen("29")).version != "30" {
		t.Error("an event from before our write counts")
	}
	if c.caughtUp(seen("31")) || c.newest(k, seen("31")).version != "31" {
		t.Error("somebody's later write is taken for ours")
	}
	c.remember(k, object("40"))
	now = now.Add(freshness + time.Second)
	if c.newest(k, nil) != nil {
		t.Error("our write is believed for ever")
	}
}
