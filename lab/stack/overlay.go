package stack

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// Overlay is what was applied from one folder of the cluster.
type Overlay struct {
	Name string
	// Items are its objects as rendered.
	Items []gitops.Item
	// Run is the pass that applied it.
	Run     run.Record
	cluster *Cluster
}

// File is one more file of an overlay.
type File struct{ Name, Text string }

// Base applies a base ("addons/external-dns") with components of it ("cluster-facts"), waits until everything is Ready and
// checks that the second diff is empty. Called again for the same base it changes the components.
func (c *Cluster) Base(t testing.TB, base string, components ...string) *Overlay {
	t.Helper()
	return c.Overlay(t, base, including(base, components))
}

// Overlay applies a kustomization with the files beside it as clusters/lab/NAME, waits until everything is Ready and checks that the second diff is
// empty. Bases are reached as "../../../../addons/NAME" from a name of two parts.
func (c *Cluster) Overlay(t testing.TB, name, kustomization string, beside ...File) *Overlay {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.repository.write(t, clusterFolder+"/"+name+"/kustomization.yaml", kustomization)
	for _, f := range beside {
		c.repository.write(t, clusterFolder+"/"+name+"/"+f.Name, f.Text)
	}
	o := &Overlay{Name: name, cluster: c, Items: c.repository.rendered(t, name)}
	if len(o.Items) == 0 {
		t.Fatalf("%s renders nothing", name)
	}
	o.Run = c.converge(t, name)
	c.unchanged(t, name)
	return o
}

// converge makes a pass that has to end with everything applied and Ready.
func (c *Cluster) converge(t testing.TB, name string) run.Record {
	t.Helper()
	record := c.repository.reconcile(t, false)
	if left := leftovers(record); len(left) > 0 {
		t.Fatalf("%s did not become what git says (%s):\n%s", name, record.Outcome, strings.Join(left, "\n"))
	}
	return record
}

// unchanged checks that a diff shows nothing. What the cluster does by itself once everything is there, such as an autoscaler that takes a
// Deployment to its minimum, is waited for.
func (c *Cluster) unchanged(t testing.TB, name string) {
	t.Helper()
	var settling []string
	err := poll(t, name+" to come to rest", func(context.Context) (bool, error) {
		var changed []string
		changed, settling = difference(c.repository.reconcile(t, true))
		if len(changed) > 0 {
			return false, fmt.Errorf("the second diff is not empty:\n%s", strings.Join(changed, "\n"))
		}
		return len(settling) == 0, nil
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(settling, "\n"))
	}
}

// difference lists what a preview would change, and what it would only wait for.
func difference(r run.Record) (changed, settling []string) {
	for _, change := range r.Plan.Changes {
		line := fmt.Sprintf("%s %s: %s", change.Action, change.Ref, change.Why)
		switch {
		case heldDefinition(change):
			continue
		case change.Action == plan.Wait:
			settling = append(settling, line)
			continue
		}
		changed = append(changed, line)
		for _, e := range change.Edits {
			changed = append(changed, fmt.Sprintf("    %s: %v -> %v", e.Path, e.Before, e.After))
		}
	}
	for _, p := range r.Plan.Problems {
		changed = append(changed, p.Error())
	}
	return changed, settling
}

// heldDefinition tells a CRD that left git: it is held, because its objects would go with it.
func heldDefinition(c plan.Change) bool {
	return c.Action == plan.Delete && c.Hold != nil && c.Ref.Kind == "CustomResourceDefinition"
}

// leftovers lists what a pass did not bring to its end, CRDs that are held apart.
func leftovers(r run.Record) []string {
	var lines []string
	for _, p := range r.Plan.Problems {
		lines = append(lines, p.Error())
	}
	for _, change := range r.Plan.Changes {
		result, ok := r.Result(change.ID)
		if ok && result.State == run.Done || heldDefinition(change) {
			continue
		}
		line := fmt.Sprintf("%s %s: %s %s", change.Action, change.Ref, result.State, result.Health.Message)
		if result.Error != nil {
			line += ": " + result.Error.Error()
		}
		if change.Hold != nil {
			line += ": held: " + change.Hold.Why
		}
		lines = append(lines, line)
	}
	return lines
}

// Remove removes the overlay from git, approves what is held for that (CRDs excepted), and checks that nothing of it is left.
func (o *Overlay) Remove(t testing.TB) {
	t.Helper()
	c := o.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	shared := o.labels()
	c.repository.remove(t, clusterFolder+"/"+o.Name)
	approval := clusterFolder + "/approvals/removal.yaml"
	preview := c.repository.reconcile(t, true)
	var approved, concerns []string
	for _, change := range preview.Plan.Changes {
		if change.Hold == nil || !change.Hold.Approvable || heldDefinition(change) {
			continue
		}
		approved = append(approved, fmt.Sprintf("%q", change.ID))
		for _, about := range change.Concerns {
			concerns = append(concerns, fmt.Sprintf("%q: %d", about.ID, about.Count))
		}
	}
	if len(approved) > 0 {
		c.repository.write(t, approval, fmt.Sprintf("plan: %q\nchanges: [%s]\nconcerns: {%s}\n", preview.Plan.ID, strings.Join(approved, ", "), strings.Join(concerns, ", ")))
	}
	c.converge(t, "removing "+o.Name)
	c.repository.remove(t, approval)
	c.unchanged(t, "removing "+o.Name)
	var left []string
	err := poll(t, "the last of "+o.Name+" to go", func(ctx context.Context) (bool, error) {
		var err error
		left, err = c.remains(ctx, o.Items, shared)
		return len(left) == 0, err
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(left, "\n"))
	}
}

// Forget takes an overlay out of git and lets the cluster follow as far as it does, so that what failed of one is not in the way of
// the next.
func (c *Cluster) Forget(t testing.TB, name string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.repository.remove(t, clusterFolder+"/"+name)
	c.repository.reconcile(t, false)
}

// wholeStack is the part-of label that all addons share.
const wholeStack = "self-driving-stack"

// labels are those that all objects of the overlay have, if they tell it from others.
func (o *Overlay) labels() map[string]string {
	var shared map[string]string
	for _, item := range o.Items {
		labels := gitops.StringsAt(item.Spec, "metadata", "labels")
		if shared == nil {
			shared = labels
			continue
		}
		for key, value := range shared {
			if labels[key] != value {
				delete(shared, key)
			}
		}
	}
	whole := shared["app.kubernetes.io/part-of"]
	if shared["app.kubernetes.io/name"] == "" && (whole == "" || whole == wholeStack) {
		return nil
	}
	return shared
}
