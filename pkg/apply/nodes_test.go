package apply

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

// machine makes a node as kwok keeps alive, on an instance of its own.
func (l *lab) machine(name string) (instance string) {
	l.Helper()
	instance = "i-" + l.id + name
	u := &unstructured.Unstructured{Object: gitops.Tree{
		"apiVersion": "v1", "kind": "Node",
		"metadata": gitops.Tree{"name": l.id + "-" + name, "labels": gitops.Tree{"for": l.id}, "annotations": gitops.Tree{"kwok.x-k8s.io/node": "fake"}},
		"spec":     gitops.Tree{"providerID": "test:///eu-west-1a/" + instance, "taints": []any{gitops.Tree{"key": "for", "value": l.id, "effect": "NoSchedule"}}},
		"status": gitops.Tree{
			"allocatable": gitops.Tree{"cpu": "8", "memory": "32Gi", "pods": "50"}, "capacity": gitops.Tree{"cpu": "8", "memory": "32Gi", "pods": "50"},
		},
	}}
	l.create("test", u)
	raw := l.raw()
	l.Cleanup(func() {
		_ = raw.client.Resource(gvr("", "v1", "nodes")).Delete(l.background(), u.GetName(), metav1.DeleteOptions{})
	})
	return instance
}

const guarded = `
apiVersion: v1
kind: Namespace
metadata: {name: NS}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: NS}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {for: NS}
      tolerations: [{key: for, operator: Equal, value: NS}]
      containers: [{name: web, image: "web:1"}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: NS}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      nodeSelector: {for: NS}
      tolerations: [{key: for, operator: Equal, value: NS}]
      containers: [{name: agent, image: "agent:1"}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: NS}
spec: {minAvailable: 2, selector: {matchLabels: {app: web}}}
`

func TestDrainRespectsBudgets(t *testing.T) {
	l := newLab(t)
	one := l.machine("one")
	d := desired(l.items("apps", guarded)...)
	l.apply(d)
	l.eventually("the pods to run", func() (string, bool) {
		h, err := l.Ready(t.Context(), d.Items[1].Ref)
		if err != nil {
			t.Fatal(err)
		}
		b := l.live(gvr("policy", "v1", "poddisruptionbudgets"), "web")
		return h.Message, h.Status == gitops.Ready && number(b.Object, "status", "currentHealthy") == 2
	})
	nodes := l.Nodes()
	if n, err := nodes.ReadyNodes(t.Context(), []string{one, "i-other"}); n != 1 || err != nil {
		t.Errorf("%d ready nodes, %v", n, err)
	}
	began := time.Now()
	left, blocked, err := nodes.DrainNodes(t.Context(), []string{one}, 1)
	if err != nil || left != 2 {
		t.Errorf("%d left, %v", left, err)
	}
	if want := "PodDisruptionBudget " + l.id + "/web allows 0 disruptions now (2 healthy pods, 2 needed); waiting: web-"; !strings.HasPrefix(blocked, want) {
		t.Errorf("blocked: %q, want %q...", blocked, want)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("a step of a drain took %s: it waits", took)
	}
	if n, _ := nodes.ReadyNodes(t.Context(), []string{one}); n != 0 {
		t.Error("a cordoned node counts as ready")
	}
	// Another node gives the pods a place; the budget lets one go at a time when there is one more.
	two := l.machine("two")
	l.edit("test", deployments(), "web", gitops.Tree{"spec": gitops.Tree{"replicas": 3}})
	l.eventually("the drain to end", func() (string, bool) {
		left, blocked, err := nodes.DrainNodes(t.Context(), []string{one}, 1)
		if err != nil {
			t.Fatal(err)
		}
		return blocked, left == 0
	})
	if err := nodes.ReleaseNodes(t.Context(), []string{one, two}); err != nil {
		t.Fatal(err)
	}
	if n, err := nodes.ReadyNodes(t.Context(), []string{one, two}); n != 2 || err != nil {
		t.Errorf("%d ready nodes after the release, %v", n, err)
	}
}

// TestDrainLeavesBarePods: a drain does as `kubectl drain` does without --force: pods that no controller would make anew stay, and are named,
// until somebody deletes them; those of a DaemonSet do not count, and those that are done neither.
func TestDrainLeavesBarePods(t *testing.T) {
	l := newLab(t)
	one := l.machine("one")
	const bare = `
apiVersion: v1
kind: Pod
metadata: {name: bare, namespace: NS}
spec:
  nodeSelector: {for: NS}
  tolerations: [{key: for, operator: Equal, value: NS}]
  containers: [{name: bare, image: "bare:1"}]
  volumes: [{name: cache, emptyDir: {}}, {name: fast, emptyDir: {medium: Memory}}]
`
	d := desired(l.items("apps", strings.ReplaceAll(guarded, "minAvailable: 2", "minAvailable: 0")+"---"+bare)...)
	l.apply(d)
	pod := d.Items[len(d.Items)-1].Ref
	for _, ref := range []gitops.Ref{d.Items[1].Ref, pod} {
		l.eventually("the pods to run", func() (string, bool) {
			h, err := l.Ready(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			return h.Message, h.Status == gitops.Ready
		})
	}
	want := "1 pod without a controller, which nothing would make anew, to be deleted by hand: " + l.id + "/bare"
	if load, err := l.Preflight().Load(t.Context(), []string{one}); err != nil || len(load.Pods) != 3 || load.Scratch() != 1 || !slices.Contains(load.Budgets, want) {
		t.Errorf("before: %+v, %v", load, err)
	}
	l.eventually("all pods but one to go", func() (string, bool) {
		left, blocked, err := l.Nodes().DrainNodes(t.Context(), []string{one}, 1)
		if err != nil {
			t.Fatal(err)
		}
		return blocked, left == 1 && blocked == want
	})
	raw := l.raw()
	if err := raw.client.Resource(gvr("", "v1", "pods")).Namespace(l.id).Delete(t.Context(), "bare", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	l.eventually("the drain to end", func() (string, bool) {
		left, blocked, err := l.Nodes().DrainNodes(t.Context(), []string{one}, 1)
		if err != nil {
			t.Fatal(err)
		}
		return blocked, left == 0 && blocked == ""
	})
}

// TestDrainGoesNodeByNode: every node is cordoned, and the pods of so many at once go; a node whose pods a budget keeps holds up no other.
func TestDrainGoesNodeByNode(t *testing.T) {
	l := newLab(t)
	const kept = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: kept, namespace: NS}
spec:
  replicas: 1
  selector: {matchLabels: {app: kept}}
  template:
    metadata: {labels: {app: kept}}
    spec:
      nodeSelector: {for: NS, kubernetes.io/hostname: a}
      tolerations: [{key: for, operator: Equal, value: NS}]
      containers: [{name: kept, image: "kept:1"}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: kept, namespace: NS}
spec: {minAvailable: 1, selector: {matchLabels: {app: kept}}}
`
	instances := []string{l.machine("a")}
	raw := l.raw()
	label := func(node, key string) {
		patch := []byte(`{"metadata":{"labels":{"` + key + `":"` + node + `"}}}`)
		if _, err := raw.client.Resource(gvr("", "v1", "nodes")).Patch(t.Context(), l.id+"-"+node, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	label("a", "kubernetes.io/hostname")
	d := desired(l.items("apps", strings.ReplaceAll(guarded, "minAvailable: 2", "minAvailable: 0")+"---"+kept)...)
	for i := range d.Items {
		if d.Items[i].Ref.Name == "web" && d.Items[i].Ref.Kind == "Deployment" {
			gitops.TreeAt(d.Items[i].Spec, "spec")["replicas"] = int64(6)
			gitops.TreeAt(d.Items[i].Spec, "spec", "template", "spec")["topologySpreadConstraints"] = []any{gitops.Tree{
				"maxSkew": int64(1), "topologyKey": "for-host", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": gitops.Tree{"matchLabels": gitops.Tree{"app": "web"}},
			}}
		}
	}
	for _, name := range []string{"b", "c", "d"} {
		instances = append(instances, l.machine(name))
		label(name, "for-host")
	}
	l.apply(d)
	pods := func() map[string]int { // by node, those that are not on their way out
		list, err := raw.client.Resource(gvr("", "v1", "pods")).Namespace(l.id).List(t.Context(), metav1.ListOptions{LabelSelector: "app in (web, kept)"})
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]int{}
		for _, pod := range list.Items {
			if pod.GetDeletionTimestamp() == nil && gitops.StringAt(pod.Object, "status", "phase") == "Running" {
				out[strings.TrimPrefix(gitops.StringAt(pod.Object, "spec", "nodeName"), l.id+"-")]++
			}
		}
		return out
	}
	l.eventually("the pods to run", func() (string, bool) {
		b := l.live(gvr("policy", "v1", "poddisruptionbudgets"), "kept")
		return "", maps.Equal(pods(), map[string]int{"a": 1, "b": 2, "c": 2, "d": 2}) && number(b.Object, "status", "currentHealthy") == 1
	})
	left, blocked, err := l.Nodes().DrainNodes(t.Context(), instances, 1)
	if err != nil || left != 7 || !strings.Contains(blocked, l.id+"/kept") {
		t.Errorf("%d left, %q, %v", left, blocked, err)
	}
	if got := pods(); got["a"] != 1 || got["b"] != 0 || got["c"] != 2 || got["d"] != 2 {
		t.Errorf("after a step: %v", got)
	}
	for _, name := range []string{"a", "b", "c", "d"} {
		node, err := raw.client.Resource(gvr("", "v1", "nodes")).Get(t.Context(), l.id+"-"+name, metav1.GetOptions{})
		if err != nil || !unschedulable(*node) {
			t.Errorf("node %s takes new pods: %v", name, err)
		}
	}
	l.eventually("all but the kept pod to go", func() (string, bool) {
		left, blocked, err := l.Nodes().DrainNodes(t.Context(), instances, 2)
		if err != nil {
			t.Fatal(err)
		}
		return blocked, left == 1
	})
}

func TestReleaseLeavesTheCordonsOfOthers(t *testing.T) {
	l := newLab(t)
	one := l.machine("one")
	raw := l.raw()
	if _, err := raw.client.Resource(gvr("", "v1", "nodes")).Patch(t.Context(), l.id+"-one", "application/merge-patch+json", []byte(`{"spec":{"unschedulable":true}}`), metav1.PatchOptions{FieldManager: "kubectl-cordon"}); err != nil {
		t.Fatal(err)
	}
	if left, blocked, err := l.Nodes().DrainNodes(t.Context(), []string{one}, 1); left != 0 || blocked != "" || err != nil {
		t.Errorf("draining an empty node: %d %q %v", left, blocked, err)
	}
	if err := l.Nodes().ReleaseNodes(t.Context(), []string{one}); err != nil {
		t.Fatal(err)
	}
	u, err := raw.client.Resource(gvr("", "v1", "nodes")).Get(t.Context(), l.id+"-one", getOptions())
	if err != nil || !unschedulable(*u) {
		t.Errorf("somebody's cordon was undone (%v)", err)
	}
}

func TestBlobs(t *testing.T) {
	for _, kind := range []string{InSecrets, InConfigMaps} {
		t.Run(kind, func(t *testing.T) {
			l := newLab(t)
			b := l.Blobs("ledger", kind)
			if _, err := b.Get(t.Context(), "a/b"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("an absent blob: %v", err)
			}
			if err := b.Put(t.Context(), "a/b", nil); err != nil {
				t.Errorf("deleting what is not there: %v", err)
			}
			big := bytes.Repeat([]byte{0, 255, 'x'}, 200_000)
			blobs := map[string][]byte{"a/b": []byte("1"), "a/B": {}, "a/B!": big, "c": []byte("4"), "a/0000000001": []byte("5")}
			for key, blob := range blobs {
				if err := b.Put(t.Context(), key, blob); err != nil {
					t.Fatalf("storing %s: %v", key, err)
				}
			}
			blobs["a/b"] = []byte("1 again")
			if err := b.Put(t.Context(), "a/b", blobs["a/b"]); err != nil {
				t.Fatal(err)
			}
			for key, blob := range blobs {
				if got, err := b.Get(t.Context(), key); err != nil || !bytes.Equal(got, blob) {
					t.Errorf("%s: %d bytes, want %d, %v", key, len(got), len(blob), err)
				}
			}
			if err := l.Blobs("other", kind).Put(t.Context(), "a/x", []byte("x")); err != nil {
				t.Fatal(err)
			}
			got, err := b.List(t.Context(), "a/")
			if diff := cmp.Diff([]string{"a/0000000001", "a/B", "a/B!", "a/b"}, got); diff != "" || err != nil {
				t.Errorf("list: %v (-want +got):\n%s", err, diff)
			}
			if err := b.Put(t.Context(), "c", nil); err != nil {
				t.Fatal(err)
			}
			if got, err := b.List(t.Context(), "c"); len(got) != 0 || err != nil {
				t.Errorf("after a deletion: %v %v", got, err)
			}
			if err := b.Put(t.Context(), "huge", bytes.Repeat([]byte("x"), 2<<20)); err == nil {
				t.Error("a blob beyond the limit is taken")
			}
		})
	}
}

func TestAccounts(t *testing.T) {
	l := newLab(t)
	a := l.Accounts()
	if _, _, found, err := a.ServiceAccountMeta(t.Context(), l.id, "dns"); found || err != nil {
		t.Errorf("an absent account: %v %v", found, err)
	}
	role := map[string]string{"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/x"}
	if err := a.EnsureServiceAccount(t.Context(), l.id, "dns", map[string]string{"l": "1"}, role); err != nil {
		t.Fatal(err)
	}
	if labels, got, found, err := a.ServiceAccountMeta(t.Context(), l.id, "dns"); !found || err != nil || !cmp.Equal(got, role) || labels["l"] != "1" {
		t.Errorf("annotations: %v %v %v", got, found, err)
	}
	if err := a.EnsureServiceAccount(t.Context(), l.id, "dns", nil, map[string]string{"other": "2"}); err != nil {
		t.Fatal(err)
	}
	if _, got, _, _ := a.ServiceAccountMeta(t.Context(), l.id, "dns"); len(got) != 2 {
		t.Errorf("annotations: %v", got)
	}
	// An overlay that has the same account adopts it and leaves the role to us.
	d := desired(l.items("apps", `
apiVersion: v1
kind: Namespace
metadata: {name: NS}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: dns, namespace: NS, annotations: {eks.amazonaws.com/role-arn: wrong, mine: "3"}}
`)...)
	l.apply(d)
	l.empty(d)
	if _, got, _, _ := a.ServiceAccountMeta(t.Context(), l.id, "dns"); got["eks.amazonaws.com/role-arn"] != role["eks.amazonaws.com/role-arn"] || got["mine"] != "3" || got["other"] != "2" {
		t.Errorf("annotations: %v", got)
	}
	for range 2 {
		if err := a.DeleteServiceAccount(t.Context(), l.id, "dns"); err != nil {
			t.Fatal(err)
		}
	}
}

// Who wrote in a version of the API, and when last: not the API server itself, whose own objects keep the version that made them.
func TestWriters(t *testing.T) {
	early, late := metav1.NewTime(time.Unix(0, 0)), metav1.NewTime(time.Unix(60, 0))
	got := writers([]metav1.ManagedFieldsEntry{
		{Manager: "helm", APIVersion: "a/v1beta1", Time: &late}, {Manager: "helm", APIVersion: "a/v1beta1", Subresource: "status", Time: &early},
		{Manager: "kubectl", APIVersion: "a/v1", Time: &late}, {Manager: "old", APIVersion: "a/v1beta1"},
		{Manager: "api-priority-and-fairness-config-producer-v1", APIVersion: "a/v1beta1", Time: &early},
	}, "a/v1beta1")
	if want := map[string]string{"helm": "1970-01-01T00:01:00Z", "old": ""}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// What an upgrade asks before it begins: the kubelets, who writes in a version of the API, and what a drain would move.
func TestPreflight(t *testing.T) {
	l := newLab(t)
	one := l.machine("one")
	d := desired(l.items("apps", guarded)...)
	l.apply(d)
	l.eventually("the pods to run", func() (string, bool) {
		b := l.live(gvr("policy", "v1", "poddisruptionbudgets"), "web")
		return "", number(b.Object, "status", "currentHealthy") == 2
	})
	ask := l.Preflight()
	kubelets, err := ask.Kubelets(t.Context())
	if _, known := kubelets[one]; !known || err != nil {
		t.Errorf("the kubelets are %v, %v", kubelets, err)
	}
	load, err := ask.Load(t.Context(), []string{one})
	if err != nil || len(load.Pods) != 2 || len(load.Budgets) != 1 || !contains(load.Budgets[0], "PodDisruptionBudget "+l.id+"/web allows 0 disruptions now (2 healthy pods, 2 needed), and covers web-") {
		t.Errorf("%+v, %v", load, err)
	}
	if load, err := ask.Load(t.Context(), []string{"i-other"}); len(load.Pods) != 0 || len(load.Budgets) != 0 || err != nil {
		t.Errorf("elsewhere: %+v, %v", load, err)
	}
	written, err := ask.Written(t.Context(), []plan.Removal{
		{APIVersion: "apps/v1", Kinds: []string{"DaemonSet", "NoSuchKind"}, Removed: 99}, {APIVersion: "apps/v1beta1", Kinds: []string{"DaemonSet"}, Removed: 16},
	})
	found := slices.ContainsFunc(written, func(o plan.Written) bool {
		return o.Ref.Namespace == l.id && o.Ref.Name == "agent" && o.Ref.Kind == "DaemonSet" && o.Manager == "reconciler" && o.At != "" && o.Removed == 99
	})
	if err != nil || !found {
		t.Errorf("written: %+v, %v", written, err)
	}
}
