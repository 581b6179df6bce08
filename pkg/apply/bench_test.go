package apply

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/eks-gitops/reconciler/internal/labbin"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// thousand is the input of the measured baseline: 200 apps of two ConfigMaps, a ServiceAccount, a Service and a Deployment of
// no replicas.
func thousand() string {
	var b strings.Builder
	b.WriteString("apiVersion: v1\nkind: Namespace\nmetadata: {name: NS}\n")
	for i := range 200 {
		fmt.Fprintf(&b, `
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a%[1]d, namespace: NS}
data: {app: "%[1]d", mode: fast}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: b%[1]d, namespace: NS}
data: {app: "%[1]d", text: "some more text than that"}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: app%[1]d, namespace: NS}
---
apiVersion: v1
kind: Service
metadata: {name: app%[1]d, namespace: NS}
spec: {selector: {app: "app%[1]d"}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app%[1]d, namespace: NS}
spec:
  replicas: 0
  selector: {matchLabels: {app: app%[1]d}}
  template:
    metadata: {labels: {app: app%[1]d}}
    spec:
      serviceAccountName: app%[1]d
      containers:
      - {name: app, image: "registry.example/app:%[1]d", ports: [{containerPort: 8080}], env: [{name: A, value: "1"}], resources: {requests: {cpu: 50m, memory: 64Mi}}}
`, i)
	}
	return b.String()
}

// fleet is a cluster with a thousand objects applied.
func fleet(b *testing.B, watch bool) (*Cluster, gitops.Desired) {
	b.Helper()
	access := Access{Kubeconfig: labbin.ControlPlane(b)}
	id := fmt.Sprintf("bench%d", testCount.Add(1))
	c := New(Options{
		Cluster: id, Namespace: "sets-" + id, Now: time.Now, Watch: watch,
		Access: func(context.Context) (Access, error) { return access, nil },
	})
	b.Cleanup(c.Close)
	b.Cleanup(func() { wipe(b, access, id) })
	return c, desired((&lab{T: &testing.T{}, id: id}).items("apps", thousand())...)
}

// wipe removes a fleet, so that the next benchmark measures its own objects only.
func wipe(b *testing.B, access Access, namespace string) {
	b.Helper()
	raw, err := dial(access, Options{Manager: "test", Timeout: time.Minute, Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	defer raw.close()
	for _, r := range []schema.GroupVersionResource{deployments(), configMaps(), gvr("", "v1", "serviceaccounts"), gvr("", "v1", "services")} {
		if err := raw.client.Resource(r).Namespace(namespace).DeleteCollection(context.WithoutCancel(b.Context()), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

// create applies what is not there, sixteen at once, as the engine does.
func create(b *testing.B, c *Cluster, d gitops.Desired) {
	b.Helper()
	seen, err := c.Observe(b.Context(), d, nil)
	if err != nil {
		b.Fatal(err)
	}
	p := plan.Build(plan.Input{Desired: d, Observed: seen})
	put := func(i int) {
		if err := c.Apply(b.Context(), p.Changes[i]); err != nil {
			b.Error(err)
		}
	}
	for i, change := range p.Changes {
		if change.Ref.Kind == "Namespace" {
			put(i)
			p.Changes = append(p.Changes[:i], p.Changes[i+1:]...)
			break
		}
	}
	each(len(p.Changes), 16, put)
}

// settle waits until controllers have seen everything.
func settle(b *testing.B, c *Cluster, d gitops.Desired) {
	b.Helper()
	for {
		seen, err := c.Observe(b.Context(), d, nil)
		if err != nil {
			b.Fatal(err)
		}
		if plan.Build(plan.Input{Desired: d, Observed: seen}).Empty() {
			return
		}
		select {
		case <-b.Context().Done():
			b.Fatal("never settled")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func check(b *testing.B, c *Cluster, d gitops.Desired) {
	b.Helper()
	seen, err := c.Observe(b.Context(), d, nil)
	if err != nil {
		b.Fatal(err)
	}
	if p := plan.Build(plan.Input{Desired: d, Observed: seen}); !p.Empty() {
		b.Fatalf("%d changes, problems %v", len(p.Changes), p.Problems)
	}
}

// BenchmarkCreate is the first apply of 1,000 objects: look, dry runs where they are possible, and applies.
func BenchmarkCreate(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		c, d := fleet(b, false)
		b.StartTimer()
		create(b, c, d)
		b.StopTimer()
		wipe(b, Access{Kubeconfig: labbin.ControlPlane(b)}, c.Options.Cluster)
		b.StartTimer()
	}
}

// BenchmarkNoChange is a no-change check of 1,000 objects by a process that starts from nothing: discovery, types, one LIST a
// kind, comparison.
func BenchmarkNoChange(b *testing.B) {
	c, d := fleet(b, false)
	create(b, c, d)
	settle(b, c, d)
	for b.Loop() {
		cold := New(c.Options)
		check(b, cold, d)
		cold.Close()
	}
}

// BenchmarkNoChangeAgain is the same check once more in the same process: LISTs and what is remembered.
func BenchmarkNoChangeAgain(b *testing.B) {
	c, d := fleet(b, false)
	create(b, c, d)
	settle(b, c, d)
	for b.Loop() {
		check(b, c, d)
	}
}

// BenchmarkNoChangeWatched is the check in the daemon: no request at all, and a look at nothing but what moved.
func BenchmarkNoChangeWatched(b *testing.B) {
	c, d := fleet(b, true)
	create(b, c, d)
	settle(b, c, d)
	inv := onTheBooks(d)
	for range 2 {
		checkBooked(b, c, d, inv) // what was written is believed for a while, and looked at until a watch told of it
	}
	b.ReportAllocs()
	for b.Loop() {
		checkBooked(b, c, d, inv)
	}
}

// onTheBooks is the inventory that has all of it.
func onTheBooks(d gitops.Desired) gitops.Inventory {
	inv := gitops.Inventory{}
	for _, item := range d.Items {
		inv[item.Ref] = gitops.Entry{Overlay: item.From.Overlay, Spec: gitops.DigestOf(item.Spec)}
	}
	return inv
}

func checkBooked(b *testing.B, c *Cluster, d gitops.Desired, inv gitops.Inventory) {
	b.Helper()
	seen, err := c.Observe(b.Context(), d, inv)
	if err != nil {
		b.Fatal(err)
	}
	if p := plan.Build(plan.Input{Desired: d, Observed: seen, Inventory: inv}); !p.Empty() || p.Unchanged != len(d.Items) {
		b.Fatalf("%d changes, %d unchanged, problems %v", len(p.Changes), p.Unchanged, p.Problems)
	}
}
