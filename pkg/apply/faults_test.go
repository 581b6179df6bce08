package apply_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eks-gitops/reconciler/internal/sim/fault"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/run"
)

var (
	faultGoal = flag.Int("faults", 300, "how many requests to the API server go wrong before TestFaultsOfTheAPIServer lets things settle")
	faultSeed = flag.Uint64("faultseed", 1, "the seed of the first of its worlds")
)

// worlds is how many clusters live side by side: most of what a fault takes is waiting.
const worlds = 8

// TestFaultsOfTheAPIServer: engines follow a git that changes at random, while people edit what is live, and requests fail, hang, break off and
// are carried out unheard. After every pass nothing is gone that git wants, nothing was touched that is not ours; when the faults end, live,
// books and git are the same.
func TestFaultsOfTheAPIServer(t *testing.T) {
	var done, passes atomic.Int64
	effects := map[fault.Effect]int{}
	var mu sync.Mutex
	began := time.Now()
	var running sync.WaitGroup
	for i := range uint64(worlds) {
		seed := *faultSeed + i
		// All at once, however few cores there are.
		running.Go(func() {
			t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
				w := newWorld(t, seed)
				for done.Load() < int64(*faultGoal) && !t.Failed() {
					before := total(w.proxy.Count())
					w.step()
					passes.Add(1)
					done.Add(int64(total(w.proxy.Count()) - before))
				}
				w.end()
				mu.Lock()
				defer mu.Unlock()
				for e, n := range w.proxy.Count() {
					effects[e] += n
				}
			})
		})
	}
	running.Wait()
	t.Logf("%d faults in %d passes, %s: %v", total(effects), passes.Load(), time.Since(began).Round(time.Second), effects)
}

func total(count map[fault.Effect]int) int {
	sum := 0
	for e, n := range count {
		if e != fault.Slow {
			sum += n
		}
	}
	return sum
}

// world is one cluster, its git and its people.
type world struct {
	*site
	seed uint64
	rand *rand.Rand
	proc *process
	// mu guards git, which changes between passes only.
	mu  sync.Mutex
	git *history
	// seen are the wanted things that were live when last looked.
	seen map[thing]sight
	// deleted are the things that a person deleted since.
	deleted   map[thing]bool
	strangers strangers
}

// sight is what matters of a live object.
type sight struct{ uid, fixed string }

// gaveUpAfter is short, so that what hangs does not take long.
const gaveUpAfter = 2 * time.Second

func newWorld(t *testing.T, seed uint64) *world {
	id := fmt.Sprintf("w%d", seed)
	w := &world{seed: seed, rand: rand.New(rand.NewPCG(seed, 4)), git: newHistory(id, seed), seen: map[thing]sight{}, deleted: map[thing]bool{}, strangers: strangers{have: map[thing]string{}}}
	w.site = newSite(t, id, fault.Options{Wrote: w.wrote})
	first := w.start(false, time.Minute, faultPolicy)
	w.settle(first, w.git.snapshot())
	first.stop()
	w.proc = w.begin()
	t.Cleanup(func() { w.proc.stop() })
	w.look()
	w.strangers.make(w.site, thing{"ConfigMap", id, "theirs"}, nil)
	w.strangers.make(w.site, thing{"ConfigMap", id, "another-tool"}, map[string]string{partOf: "applyset-of-another-tool-v1"})
	namespace := w.get(thing{"Namespace", "", id})
	w.strangers.make(w.site, thing{"ConfigMap", id, "copied-label"}, map[string]string{partOf: namespace.GetLabels()[partOf]})
	return w
}

// begin starts a process; every other one watches.
func (w *world) begin() *process { return w.start(w.rand.IntN(2) == 0, gaveUpAfter, faultPolicy) }

// step changes git, lets a pass follow it while things go wrong and people edit, and looks what became of it.
func (w *world) step() {
	if w.rand.IntN(3) > 0 {
		w.push()
	}
	if w.rand.IntN(10) == 0 {
		w.proc.stop()
		w.proc = w.begin()
	}
	w.proxy.Decide(fault.Random(w.rand.Uint64(), 0.05+0.4*w.rand.Float64()))
	edits := w.edits()
	var people sync.WaitGroup
	people.Go(func() {
		for _, edit := range edits {
			edit()
		}
	})
	record, err := w.proc.pass(w, w.git.snapshot(), false)
	people.Wait()
	w.proxy.Settle()
	w.lawful(record, err)
	w.look()
	w.strangers.untouched(w.site)
}

// push commits some changes.
func (w *world) push() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range 1 + w.rand.IntN(16) {
		w.git.change()
	}
	w.git.commit()
}

// edits are what people do meanwhile.
func (w *world) edits() []func() {
	var out []func()
	for range w.rand.IntN(4) {
		t, ok := w.git.any()
		if !ok {
			continue
		}
		after, way := time.Duration(w.rand.IntN(200))*time.Millisecond, w.rand.IntN(5)
		if way == 0 {
			w.deleted[t] = true
		}
		out = append(out, func() {
			time.Sleep(after) // somewhere in the pass
			w.edit(t, way)
		})
	}
	return out
}

// edit is what a person does to a thing; that it is not there, or changes meanwhile, is a person's daily life.
func (w *world) edit(t thing, way int) {
	ctx := context.WithoutCancel(w.Context())
	patch := gitops.Tree{"metadata": gitops.Tree{"labels": gitops.Tree{"version": "by-hand"}}}
	switch way {
	case 0:
		background := metav1.DeletePropagationBackground
		_ = w.at(t).Delete(ctx, t.name, metav1.DeleteOptions{PropagationPolicy: &background})
		return
	case 1:
		patch = gitops.Tree{"metadata": gitops.Tree{"annotations": gitops.Tree{"person": "was here"}}}
	case 2:
		patch = gitops.Tree{"metadata": gitops.Tree{"labels": gitops.Tree{"version": nil}}}
	}
	body, err := json.Marshal(patch)
	if err != nil {
		w.Error(err)
		return
	}
	_, _ = w.at(t).Patch(ctx, t.name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: "kubectl-edit"})
}

// wrote judges a write of ours before it is done.
func (w *world) wrote(r *http.Request, _ []byte) {
	t, ok := thingOf(r.URL.Path)
	if !ok || t.namespace == w.id+"-sets" || t == (thing{"Namespace", "", w.id + "-sets"}) || r.Method == http.MethodPost && t.kind == "Namespace" {
		return // our own books and sets
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, frozen := w.git.things[thing{"Frozen", t.namespace, t.name}]; frozen || strings.HasPrefix(t.name, "frozen-") {
		t.kind = "Frozen"
	}
	_, wanted := w.git.things[t]
	switch {
	case !w.git.ever[t]:
		w.Errorf("seed %d: %s of %v, which git never had", w.seed, r.Method, t)
	case r.Method == http.MethodDelete && wanted && !t.replaceable():
		w.Errorf("seed %d: %v is deleted, though git wants it", w.seed, t)
	case r.Method != http.MethodDelete && !wanted:
		w.Errorf("seed %d: %s of %v, which git does not want", w.seed, r.Method, t)
	}
}

// thingOf reads the path of a request about one object.
func thingOf(path string) (thing, bool) {
	part := strings.Split(strings.Trim(path, "/"), "/")
	if part[0] == "api" {
		part = part[2:]
	} else if part = part[min(len(part), 3):]; len(part) == 0 {
		return thing{}, false
	}
	t := thing{}
	if len(part) > 2 && part[0] == "namespaces" {
		t.namespace, part = part[1], part[2:]
	}
	if len(part) > 1 {
		t.name = part[1]
	}
	all := append(slices.Clone(kinds), "Namespace", "CustomResourceDefinition", "Widget")
	for _, t.kind = range all {
		if _, _, resource := t.resource(); resource == part[0] {
			return t, true
		}
	}
	return thing{}, false
}

// lawful judges the record of a pass that was disturbed.
func (w *world) lawful(r run.Record, err error) {
	if err != nil && gitops.AsError(gitops.Internal, err).Reason == gitops.Internal {
		w.Errorf("seed %d: %v", w.seed, err)
	}
	for _, problem := range r.Plan.Problems {
		if problem.Reason == gitops.Internal || problem.Reason == gitops.DuplicateObject || problem.Reason == gitops.Cycle {
			w.Errorf("seed %d: %v", w.seed, problem)
		}
	}
	planned := map[gitops.Ref]bool{}
	for _, c := range r.Plan.Changes {
		if planned[c.Ref] {
			w.Errorf("seed %d: %s is planned twice", w.seed, c.Ref)
		}
		planned[c.Ref] = true
	}
	for _, res := range r.Results {
		if res.Error != nil && res.Error.Reason == gitops.Internal {
			w.Errorf("seed %d: %v", w.seed, res.Error)
		}
		if !planned[res.Ref] {
			w.Errorf("seed %d: %s was done and not planned", w.seed, res.Ref)
		}
	}
}

// look compares what is live with what was live when last looked: what git had and has is the same object, unless a person deleted it, or git
// changed what only another object can have.
func (w *world) look() {
	ending := map[string]bool{} // namespaces and kinds that go, and everything of them
	for _, t := range []thing{{"Namespace", "", w.id + "-x"}, w.git.definition()} {
		if u := w.get(t); u == nil || u.GetDeletionTimestamp() != nil {
			ending[t.name] = true
		}
	}
	for t, was := range w.seen {
		want, wanted := w.git.things[t]
		if !wanted {
			delete(w.seen, t)
			continue
		}
		u := w.get(t)
		due := t.replaceable() && was.fixed != fmt.Sprint(want.fixed)
		if u != nil && string(u.GetUID()) == was.uid {
			continue
		}
		if !due && !w.deleted[t] {
			w.Errorf("seed %d: %v was %v and is %v", w.seed, t, was, sightOf(t, u))
		}
		delete(w.seen, t)
	}
	for t := range w.git.things {
		group, _, _ := t.resource()
		if ending[t.namespace] || ending["widgets."+group] {
			continue
		}
		if _, known := w.seen[t]; known && !t.replaceable() {
			continue
		}
		if u := w.get(t); u != nil && u.GetDeletionTimestamp() == nil {
			w.seen[t] = sightOf(t, u)
		}
	}
	w.deleted = map[thing]bool{}
}

// sightOf reads what matters of a live object.
func sightOf(t thing, u *unstructured.Unstructured) sight {
	if u == nil {
		return sight{}
	}
	s := sight{uid: string(u.GetUID())}
	switch t.kind {
	case "Frozen":
		s.fixed = gitops.StringAt(u.Object, "data", "fixed")
	case "RoleBinding":
		s.fixed = strings.TrimPrefix(gitops.StringAt(u.Object, "roleRef", "name"), "role-")
	case "Deployment":
		s.fixed = strings.TrimPrefix(gitops.StringAt(u.Object, "spec", "selector", "matchLabels", "app"), "a")
	}
	return s
}

// end lets things settle without faults, and checks that live, books and git are the same.
func (w *world) end() {
	w.proxy.Decide(fault.Fine)
	w.settle(w.proc, w.git.snapshot())
	w.look()
	w.asGitSays(w.proc, w.git)
	w.strangers.untouched(w.site)
	w.leftovers()
	for _, p := range []*process{w.proc, w.start(false, time.Minute, faultPolicy)} {
		record, err := p.pass(w, w.git.snapshot(), true)
		if err != nil || !record.Plan.Empty() {
			w.Errorf("seed %d: the second diff: %v: %s", w.seed, err, tell(record))
		}
	}
	if w.Failed() {
		w.Logf("go test ./pkg/apply -run TestFaultsOfTheAPIServer -faultseed %d", w.seed)
	}
}

// leftovers are objects of ours that git does not want.
func (w *world) leftovers() {
	for _, kind := range append(slices.Clone(kinds), "Namespace", "CustomResourceDefinition") {
		if kind == "Frozen" {
			continue // listed as what they are
		}
		t := thing{kind: kind, namespace: w.id}
		if kind == "Namespace" || kind == "CustomResourceDefinition" {
			t.namespace = ""
		}
		list, err := w.at(t).List(w.Context(), metav1.ListOptions{LabelSelector: partOf})
		if err != nil {
			w.Fatal(err)
		}
		for i := range list.Items {
			t.name, t.kind = list.Items[i].GetName(), kind
			if strings.HasPrefix(t.name, "frozen-") {
				t.kind = "Frozen"
			}
			_, wanted := w.git.things[t]
			_, strange := w.strangers.have[t]
			if !wanted && !strange && strings.Contains(t.namespace+t.name, w.id) && !w.elsewhere(t) {
				w.Errorf("seed %d: %v is live, and git does not have it", w.seed, t)
			}
		}
	}
}

// elsewhere reports whether something cluster-wide is another world's, whose name begins with this one's.
func (w *world) elsewhere(t thing) bool {
	return t.namespace == "" && t.name != w.id && t.name != w.id+"-x" && t != w.git.definition()
}
