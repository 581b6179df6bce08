package apply

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/internal/labbin"
	faults "github.com/eks-gitops/reconciler/internal/sim/fault"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

func TestMain(m *testing.M) { os.Exit(labbin.Main(m)) }

var testCount atomic.Int64

// lab is one test's use of the shared control plane: its own cluster name, parents' namespace and object namespaces.
type lab struct {
	*testing.T
	*Cluster
	access Access
	id     string
	inv    gitops.Inventory
	// overruled are the fields that a webhook of this test sets, as the plan notes them.
	overruled []string
}

func newLab(t *testing.T, change ...func(*Options)) *lab {
	t.Helper()
	access := Access{Kubeconfig: labbin.ControlPlane(t)}
	id := fmt.Sprintf("t%d", testCount.Add(1))
	o := Options{
		Cluster: id, Namespace: "sets-" + id, Now: time.Now, Version: "v1.2.3",
		Access: func(context.Context) (Access, error) { return access, nil },
	}
	for _, f := range change {
		f(&o)
	}
	c := New(o)
	t.Cleanup(c.Close)
	return &lab{T: t, Cluster: c, access: access, id: id, inv: gitops.Inventory{}}
}

// newLabBehind is a lab that reaches its server through a proxy, which can make things go wrong.
func newLabBehind(t *testing.T, change ...func(*Options)) (*lab, *faults.Proxy) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", labbin.ControlPlane(t))
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := faults.Start(faults.Options{Server: config})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	through := Access{Server: proxy.URL(), CA: proxy.CA(), Token: func(context.Context) (string, error) { return "t", nil }}
	return newLab(t, append(change, func(o *Options) {
		o.Access = func(context.Context) (Access, error) { return through, nil }
	})...), proxy
}

// items parses manifests; NS stands for the test's namespace.
func (l *lab) items(overlay, manifests string) []gitops.Item {
	l.Helper()
	var out []gitops.Item
	for i, doc := range strings.Split(strings.ReplaceAll(manifests, "NS", l.id), "\n---\n") {
		if strings.TrimSpace(doc) == "" {
			continue
		}
		u := &unstructured.Unstructured{}
		body, err := yaml.YAMLToJSON([]byte(doc))
		if err != nil {
			l.Fatalf("document %d: %v", i, err)
		}
		if err := u.UnmarshalJSON(body); err != nil {
			l.Fatalf("document %d: %v", i, err)
		}
		ref := keyOf(u).ref()
		out = append(out, gitops.Item{Ref: ref, Spec: u.Object, From: gitops.Origin{Overlay: overlay, Position: gitops.Position{File: overlay + ".yaml", Line: i + 1}}})
	}
	return out
}

func desired(items ...gitops.Item) gitops.Desired {
	d := gitops.Desired{Items: items}
	seen := map[string]bool{}
	for _, item := range items {
		if !seen[item.From.Overlay] {
			seen[item.From.Overlay] = true
			d.Overlays = append(d.Overlays, gitops.Overlay{Name: item.From.Overlay, Complete: true})
		}
	}
	return d
}

func (l *lab) observe(d gitops.Desired) gitops.Observed {
	l.Helper()
	got, err := l.Observe(l.Context(), d, l.inv)
	if err != nil {
		l.Fatalf("observing: %v", err)
	}
	return got
}

func (l *lab) plan(d gitops.Desired) plan.Plan {
	l.Helper()
	return plan.Build(plan.Input{Desired: d, Observed: l.observe(d), Inventory: l.inv})
}

// apply carries a plan out in its order, as the engine does, and returns it.
func (l *lab) apply(d gitops.Desired) plan.Plan {
	l.Helper()
	p := l.plan(d)
	l.unproblematic(p)
	for _, c := range p.Changes {
		if c.Hold != nil {
			l.Fatalf("held: %s: %s", c.Ref.Label(), c.Hold.Why)
		}
		l.carry(c)
	}
	return p
}

// carry applies one change until its goal is reached, or until what it waits for is pods, which this cluster has no nodes for.
func (l *lab) carry(c plan.Change) {
	l.Helper()
	if err := l.Cluster.Apply(l.Context(), c); err != nil {
		l.Fatalf("applying %s %s: %v", c.Action, c.Ref.Label(), err)
	}
	if c.Action == plan.Delete || c.Ref.Kind == "CustomResourceDefinition" || c.Ref.Kind == "Namespace" || c.Action == plan.Replace {
		l.await(c)
	}
	if c.Action == plan.Delete {
		delete(l.inv, c.Ref)
	} else {
		l.inv[c.Ref] = gitops.Entry{Overlay: c.From.Overlay, Spec: gitops.DigestOf(c.Spec)}
	}
}

// await looks until a change has reached its goal; Health.Step applies again.
func (l *lab) await(c plan.Change) {
	l.Helper()
	goal := gitops.Ready
	if c.Action == plan.Delete {
		goal = gitops.Absent
	}
	l.eventually(fmt.Sprintf("%s of %s", c.Action, c.Ref.Label()), func() (string, bool) {
		h, err := l.Ready(l.Context(), c.Ref)
		if err != nil {
			return err.Error(), false
		}
		if h.Step {
			if err := l.Cluster.Apply(l.Context(), c); err != nil {
				l.Fatalf("stepping %s: %v", c.Ref.Label(), err)
			}
		}
		return string(h.Status) + ": " + h.Message, h.Status == goal
	})
}

// eventually looks again and again until f is satisfied, for a bounded time.
func (l *lab) eventually(what string, f func() (string, bool)) {
	l.Helper()
	deadline := time.NewTimer(3 * time.Minute) // of patience: controllers are slow on a busy machine
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		last, ok := f()
		if ok {
			return
		}
		select {
		case <-deadline.C:
			l.Fatalf("%s: not reached; last: %s", what, last)
		case <-tick.C:
		}
	}
}

// empty asserts that nothing is left to do, whatever is still on its way.
func (l *lab) empty(d gitops.Desired) {
	l.Helper()
	p := l.plan(d)
	l.unproblematic(p)
	for _, c := range p.Changes {
		if c.Action == plan.Wait {
			continue
		}
		l.Errorf("left to do: %s %s: %+v (skipped %v)", c.Action, c.Ref.Label(), c.Edits, c.Skipped)
	}
}

// unproblematic asserts that a plan has no problems, and notes only the fields that a webhook of the test sets.
func (l *lab) unproblematic(p plan.Plan) {
	l.Helper()
	var overruled []string
	for _, problem := range p.Problems {
		switch {
		case problem.Reason == gitops.Overruled:
			overruled = append(overruled, problem.Ref.Name+": "+problem.Message())
		case !problem.Reason.Note():
			l.Errorf("problem: %v", problem)
		}
	}
	if !slices.Equal(overruled, l.overruled) {
		l.Errorf("notes of what the server sets: %q, want %q", overruled, l.overruled)
	}
}

func noCluster(context.Context) (Access, error) { return Access{}, ErrNoCluster }

func getOptions() metav1.GetOptions { return metav1.GetOptions{} }

// background outlives the test's context, for cleaning up.
func (l *lab) background() context.Context { return context.WithoutCancel(l.Context()) }
