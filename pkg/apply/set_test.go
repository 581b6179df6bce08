package apply

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"pgregory.net/rapid"
)

// What kubectl 1.32 computed for a set that it made itself: `kubectl apply --prune --applyset=configmaps/NAME -n shop`.
func TestSetIDIsKubectls(t *testing.T) {
	p := parent{Namespace: "shop", Name: "set-addons-dns-0123456789"}
	if want := "applyset-wUlSSBNLHXJpJjjqvuIlwwBn4hs-7eY6VgZBldKXCNs-v1"; p.id() != want {
		t.Errorf("the id is %s, kubectl says %s", p.id(), want)
	}
}

func TestParentsAreReadAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		overlay := rapid.String().Draw(t, "overlay")
		cluster := rapid.StringMatching(`[a-z]{1,9}`).Draw(t, "cluster")
		p := parent{Namespace: "sets", Name: parentName(cluster, overlay), overlay: overlay}
		for range rapid.IntRange(0, 5).Draw(t, "members") {
			k := key{Namespace: rapid.StringMatching(`[a-z]{0,5}`).Draw(t, "namespace"), Name: "x"}
			k.Group, k.Kind = rapid.SampledFrom([]string{"", "apps", "x.example.com"}).Draw(t, "group"), rapid.StringMatching(`[A-Z][a-z]{1,5}`).Draw(t, "kind")
			p.include(k)
		}
		if len(p.Name) > 63 || strings.Trim(p.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || p.Name[len(p.Name)-1] == '-' {
			t.Fatalf("the name %q is no label", p.Name)
		}
		u := &unstructured.Unstructured{Object: p.object(cluster, "reconciler/v1")}
		q, ok := readParent(u, cluster)
		if !ok || q.overlay != overlay || !q.covers(p) || !p.covers(q) {
			t.Fatalf("wrote %+v, read %+v (%v)", p, q, ok)
		}
		if _, ok := readParent(u, cluster+"x"); ok {
			t.Fatal("another cluster's parent is taken for ours")
		}
		u.SetLabels(map[string]string{setID: "applyset-else-v1"})
		if _, ok := readParent(u, cluster); ok {
			t.Fatal("a parent whose id is not its name's is taken")
		}
		u = &unstructured.Unstructured{Object: p.object(cluster, "kubectl/v1")}
		if _, ok := readParent(u, cluster); ok {
			t.Fatal("another tool's parent is taken for ours")
		}
	})
}
