package apply

import (
	"fmt"
	"math/rand/v2"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// TestALookAtWhatMovedTellsAll: whatever happens to objects, to sets and to the books, a daemon that looks at what moved plans what a
// process plans that looks at everything.
func TestALookAtWhatMovedTellsAll(t *testing.T) {
	l := newLab(t, func(o *Options) { o.Watch = true })
	const count = 20
	manifests := web
	for i := range count {
		manifests += fmt.Sprintf("\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%d, namespace: NS}\ndata: {mode: fast}\n", i)
	}
	d := desired(l.items("apps", manifests)...)
	l.apply(d)
	for _, item := range d.Items {
		l.inv[item.Ref] = gitops.Entry{Overlay: "apps", Spec: gitops.DigestOf(item.Spec)}
	}
	l.same(d)
	objects := l.raw().client.Resource(configMaps()).Namespace(l.id)
	pick := rand.New(rand.NewPCG(3, 7))
	set := l.parentOf("apps").id()
	resting := 0
	for turn := range 60 {
		before := l.still
		name := fmt.Sprintf("c%d", pick.IntN(count))
		ref := gitops.Ref{Domain: gitops.K8s, Kind: "ConfigMap", Namespace: l.id, Name: name}
		var err error
		did := pick.IntN(9)
		switch did {
		case 0, 1:
			l.edit("kubectl-edit", configMaps(), name, gitops.Tree{"data": gitops.Tree{"mode": fmt.Sprint("turn", turn)}})
		case 2:
			err = objects.Delete(t.Context(), name, metav1.DeleteOptions{})
		case 3:
			l.edit("somebody", configMaps(), name, gitops.Tree{"metadata": gitops.Tree{"labels": gitops.Tree{partOf: nil}}})
		case 4:
			l.edit("somebody", configMaps(), name, gitops.Tree{"metadata": gitops.Tree{"annotations": gitops.Tree{"turn": fmt.Sprint(turn)}}})
		case 5:
			u := &unstructured.Unstructured{Object: gitops.Tree{"apiVersion": "v1", "kind": "ConfigMap"}}
			u.SetName(fmt.Sprint("stray", turn))
			u.SetLabels(map[string]string{partOf: set})
			_, err = objects.Create(t.Context(), u, metav1.CreateOptions{FieldManager: "reconciler"})
		case 6:
			delete(l.inv, ref)
		case 7:
			l.inv[gitops.Ref{Domain: gitops.K8s, Kind: "ConfigMap", Namespace: l.id, Name: fmt.Sprint("gone", turn)}] = gitops.Entry{Overlay: "apps"}
		case 8: // nothing moves
		}
		if err != nil {
			t.Fatal(err)
		}
		l.same(d)
		if did < 5 && before != nil && l.still != nil && before.whole == l.still.whole {
			resting++
		}
		if did == 5 {
			if err := objects.Delete(t.Context(), fmt.Sprint("stray", turn), metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			l.same(d)
		}
		if l.mend(d); t.Failed() {
			t.Fatalf("in turn %d, after %d", turn, did)
		}
	}
	if resting < 5 {
		t.Errorf("%d looks rested on the one before; there is nothing to see here", resting)
	}
}

// same looks until the watches have told what a look at everything sees, and once more.
func (l *lab) same(d gitops.Desired) {
	l.Helper()
	tell := func(c *Cluster) string {
		seen, err := c.Observe(l.Context(), d, l.inv)
		if err != nil {
			return err.Error()
		}
		p := plan.Build(plan.Input{Desired: d, Observed: seen, Inventory: l.inv})
		said := fmt.Sprintf("%d unchanged\n", p.Unchanged)
		for _, problem := range p.Problems {
			said += problem.Error() + "\n"
		}
		for _, change := range p.Changes {
			said += fmt.Sprintf("%s %s %v\n", change.Action, change.Ref, change.Hold)
			for _, e := range change.Edits {
				said += fmt.Sprintf("  %s: %v > %v\n", e.Path, e.Before, e.After)
			}
		}
		return said
	}
	o := l.Options
	o.Watch = false
	everything := New(o)
	defer everything.Close()
	equal := func() (string, bool) {
		want, got := tell(everything), tell(l.Cluster)
		return "moved: " + got + "\nall: " + want, got == want
	}
	l.eventually("the same plan", equal)
	l.eventually("the same plan once more", equal) // when nothing moved since
}

// mend applies what is planned and books it, as the engine does.
func (l *lab) mend(d gitops.Desired) {
	l.Helper()
	l.apply(d)
	for ref := range l.inv {
		delete(l.inv, ref)
	}
	for _, item := range d.Items {
		l.inv[item.Ref] = gitops.Entry{Overlay: "apps", Spec: gitops.DigestOf(item.Spec)}
	}
}
