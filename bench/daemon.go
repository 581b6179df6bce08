package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
)

// Rows of the daemon.
const (
	commitToLive = "one-line commit -> live"
	driftToFixed = "drift seen -> corrected"
	steadyState  = "steady state"
)

// daemon implements part: the real `reconciler run` on a lab. First one overlay of 1,000 objects, to which commits are made; then
// ten of them, which are left alone for an interval and after that changed behind the daemon's back, one object at a time.
func daemon(ctx context.Context, o options, dir string) ([]figure, error) {
	overlay := 1000 * o.size / 100
	l, err := startLab(ctx, filepath.Join(dir, "d"), overlay)
	if err != nil {
		return nil, err
	}
	defer l.close(ctx)
	if err := l.repository(ctx); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := l.bring(ctx, 1, true); err != nil {
		return nil, err
	}
	a, err := l.access()
	if err != nil {
		return nil, err
	}
	w, err := watchConfigMaps(ctx, a)
	if err != nil {
		return nil, err
	}
	defer w.stop()
	fmt.Fprintf(os.Stderr, "bench: %d objects are live after %s\n", overlay, time.Since(began).Round(time.Second))
	lives, err := l.commits(ctx, w, o.commits)
	if err != nil {
		return nil, err
	}
	out := []figure{
		limited(commitToLive+", p50", overlay, percentile(lives, 50), 0.5, "", len(lives)),
	}
	const overlays = 10
	began = time.Now()
	if err := l.bring(ctx, overlays, false); err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "bench: %d objects are live after %s more\n", overlays*overlay, time.Since(began).Round(time.Second))
	still, err := l.idle(ctx, a, time.Duration(o.idle)*3*time.Minute, overlays*overlay, o.idle)
	if err != nil {
		return nil, err
	}
	fixed, err := l.drift(ctx, w, o.drifts)
	if err != nil {
		return nil, err
	}
	return append(append(out, still...),
		limited(driftToFixed+", p50", overlays*overlay, percentile(fixed, 50), 0.05, "", len(fixed)),
		limited(driftToFixed+", p99", overlays*overlay, percentile(fixed, 99), 0.3, "", len(fixed)),
	), nil
}

// bring commits so many overlays and waits until all of them are live.
func (l *lab) bring(ctx context.Context, overlays int, start bool) error {
	if err := l.add(overlays); err != nil {
		return err
	}
	commit, err := l.commit(ctx, fmt.Sprintf("Have %d overlays", overlays))
	if err != nil {
		return err
	}
	if err := l.publish(ctx, commit); err != nil {
		return err
	}
	if start {
		if err := l.start(ctx); err != nil {
			return err
		}
	}
	return l.converged(ctx, commit)
}

// commits changes one line of one file, again and again, and tells how long after the branch moved the change was live.
func (l *lab) commits(ctx context.Context, w *observer, count int) ([]float64, error) {
	var out []float64
	file := l.file("fleet", "clusters", "bench", "apps", "0", "app0.yaml")
	for i := range count {
		value := fmt.Sprintf("edit%d", i)
		if err := os.WriteFile(file, []byte(strings.Replace(app(0), "mode: fast", "mode: "+value, 1)), 0o600); err != nil {
			return nil, err
		}
		commit, err := l.commit(ctx, "Edit "+value)
		if err != nil {
			return nil, err
		}
		// The commit came under another name, which nudges the daemon, too: let that pass.
		if err := pause(ctx, time.Second); err != nil {
			return nil, err
		}
		began := time.Now()
		if err := l.publish(ctx, commit); err != nil {
			return nil, err
		}
		at, err := w.sees(ctx, namespaceOf(0), "a0", value)
		if err != nil {
			return nil, err
		}
		out = append(out, at.Sub(began).Seconds())
		if err := l.converged(ctx, commit); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// drift changes objects behind the daemon's back, and tells how long after it was seen each was as git says again. Both are as an
// independent watch saw them.
func (l *lab) drift(ctx context.Context, w *observer, count int) ([]float64, error) {
	var out []float64
	pick := rand.New(rand.NewPCG(1, 2))
	for range count {
		namespace, name := namespaceOf(pick.IntN(l.overlays)), fmt.Sprintf("a%d", 1+pick.IntN(l.overlay/perApp-1))
		if err := w.edit(ctx, namespace, name); err != nil {
			return nil, err
		}
		seen, err := w.sees(ctx, namespace, name, drifted)
		if err != nil {
			return nil, err
		}
		fixed, err := w.sees(ctx, namespace, name, "fast")
		if err != nil {
			return nil, err
		}
		out = append(out, fixed.Sub(seen).Seconds())
		if err := pause(ctx, 300*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// idle watches the daemon doing nothing.
func (l *lab) idle(ctx context.Context, a access, window time.Duration, objects, intervals int) ([]figure, error) {
	// What the last change set in motion comes to rest first.
	if err := pause(ctx, 30*time.Second); err != nil {
		return nil, err
	}
	pid := l.daemon.Process.Pid
	before, err := usageOf(pid)
	if err != nil {
		return nil, err
	}
	asked, err := countRequests(ctx, a)
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, window); err != nil {
		return nil, err
	}
	after, err := usageOf(pid)
	if err != nil {
		return nil, err
	}
	answered, err := countRequests(ctx, a)
	if err != nil {
		return nil, err
	}
	count := 0
	for verb, n := range answered.since(asked) {
		if verb != "WATCH" {
			count += n
		}
	}
	fmt.Fprintf(os.Stderr, "bench: idle for %s: %d requests about objects by everybody %v, peak of memory %.0f MB\n", window, count, answered.since(asked), after.peak)
	// The server does not tell who asked, and the control plane asks a few times: fewer than one request per thousand objects are none.
	perObject := float64(int(1000*float64(count)/float64(objects*intervals))) / 1000
	return []figure{
		limited(steadyState+": requests per object and interval", objects, perObject, 0, "requests", 1),
		limited(steadyState+": processor", objects, 100*(after.cpu-before.cpu).Seconds()/window.Seconds(), 1, "% of a core", 1),
		limited(steadyState+": resident memory", objects, after.resident, 150, "MB", 1),
	}, nil
}

// usage is what a process uses: resident memory now and at its peak, in MB, and processor time so far.
type usage struct {
	resident, peak float64
	cpu            time.Duration
}

// usageOf reads /proc (proc_pid_status(5), proc_pid_stat(5)).
func usageOf(pid int) (usage, error) {
	var u usage
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(status)) {
		var kb float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kb); err == nil {
			u.resident = kb * 1024 / 1e6
		}
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &kb); err == nil {
			u.peak = kb * 1024 / 1e6
		}
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	// After the name in parentheses come the fields from the third on; the 14th and 15th are ticks, of which there are 100 a second.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for _, field := range fields[11:13] {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			return u, err
		}
		u.cpu += time.Duration(ticks) * time.Second / 100
	}
	return u, nil
}

// drifted is the value that an object drifts to.
const drifted = "drifted"

// observer watches ConfigMaps beside the daemon, and notes when each event came.
type observer struct {
	all    dynamic.NamespaceableResourceInterface
	watch  watch.Interface
	events chan sighting
}

// sighting is one event of the watch.
type sighting struct {
	at              time.Time
	namespace, name string
	mode            string
}

func watchConfigMaps(ctx context.Context, a access) (*observer, error) {
	client, err := dynamic.NewForConfig(a.config)
	if err != nil {
		return nil, err
	}
	all := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"})
	list, err := all.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	seconds := int64((10 * patience).Seconds())
	w, err := all.Watch(ctx, metav1.ListOptions{ResourceVersion: list.GetResourceVersion(), TimeoutSeconds: &seconds})
	if err != nil {
		return nil, err
	}
	// There is room for all events that come while nobody waits for one.
	o := &observer{all: all, watch: w, events: make(chan sighting, 1<<17)}
	go func() {
		defer close(o.events)
		for e := range w.ResultChan() {
			if u, ok := e.Object.(*unstructured.Unstructured); ok {
				mode, _, _ := unstructured.NestedString(u.Object, "data", "mode")
				o.events <- sighting{time.Now(), u.GetNamespace(), u.GetName(), mode}
			}
		}
	}()
	return o, nil
}

func (w *observer) stop() { w.watch.Stop() }

// edit is what a person does with kubectl edit.
func (w *observer) edit(ctx context.Context, namespace, name string) error {
	body := []byte(`{"data":{"mode":"` + drifted + `"}}`)
	_, err := w.all.Namespace(namespace).Patch(ctx, name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: "kubectl-edit"})
	return err
}

// sees waits for an object to have a value of data.mode, and tells when it had.
func (w *observer) sees(ctx context.Context, namespace, name, value string) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("waiting for %s in %s/%s: %w", value, namespace, name, ctx.Err())
		case e, open := <-w.events:
			if !open {
				return time.Time{}, fmt.Errorf("waiting for %s in %s/%s: the watch ended", value, namespace, name)
			}
			if e.namespace == namespace && e.name == name && e.mode == value {
				return e.at, nil
			}
		}
	}
}
