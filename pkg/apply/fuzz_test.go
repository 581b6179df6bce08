package apply

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// FuzzObjects reads whatever an API server may answer: nothing of it may make us panic, and what is made of it must hold.
func FuzzObjects(f *testing.F) {
	for _, seed := range []string{
		`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x","managedFields":[{"manager":"m","operation":"Apply","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"k:{\"name\":\"a\"}":{".":{}},"v:1":{},"i:0":{}}}}]},"status":{"conditions":[{"type":"Ready"}],"containerStatuses":[{"state":{"waiting":{"reason":"X"}}}]}}`,
		`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"generation":1,"deletionTimestamp":"2026-11-21T08:00:00Z"},"spec":{"replicas":"three"},"status":{"conditions":{}}}`,
		`{"apiVersion":"v1","kind":"Service","spec":{"ports":[{"nodePort":1},null,"x"]}}`,
		`{"apiVersion":"v1","kind":"Secret","data":[],"stringData":{"a":1}}`,
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"annotations":{"applyset.kubernetes.io/tooling":"reconciler/v1","applyset.kubernetes.io/contains-group-kinds":",,a.b,"}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		u := &unstructured.Unstructured{}
		if u.UnmarshalJSON(body) != nil {
			return
		}
		before := gitops.DigestOf(u.Object)
		if h := assess(u); h.Status == "" {
			t.Error("no status")
		}
		trouble(u.Object)
		readParent(u, "c")
		managed := managers(u)
		owners(managed, "reconciler")
		for _, m := range managed {
			if v := rulingOf(builtin(), gitops.Ref{}, m, nil); v.Ruling == "" {
				t.Error("no ruling")
			}
		}
		if content(u) != content(u.DeepCopy()) {
			t.Error("content differs from that of a copy")
		}
		bare(u.Object, true)
		sent := payload(u.Object, kind{GroupVersionKind: u.GroupVersionKind(), Namespaced: true}, "ns", "set")
		if gitops.StringAt(sent, "metadata", "labels", partOf) != "set" || gitops.StringAt(sent, "metadata", "namespace") != "ns" {
			t.Errorf("sent %v", sent["metadata"])
		}
		secretFault(u.Object)
		settleGenerated(sent, u.Object, u.Object)
		if gitops.DigestOf(u.Object) != before {
			t.Error("the object was changed")
		}
	})
}
