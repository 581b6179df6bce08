package plan

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// The table is whole: every line has versions in their order, and no kind goes twice.
func TestRemovalsAreWhole(t *testing.T) {
	table := Removals()
	if len(table) < 60 {
		t.Fatalf("%d removals", len(table))
	}
	version := regexp.MustCompile(`^([a-z0-9.-]+/)?v[0-9]+((alpha|beta)[0-9]+)?( [A-Z][A-Za-z]+)?$`)
	kind := regexp.MustCompile(`^[A-Z][A-Za-z]+$`)
	seen := map[string]bool{}
	for _, r := range table {
		if !version.MatchString(r.APIVersion) || r.Instead != "" && !version.MatchString(r.Instead) {
			t.Errorf("%+v: not a version of an API", r)
		}
		if r.Removed == 0 || r.Deprecated >= r.Removed || (r.Instead == "") != (r.Since == 0) {
			t.Errorf("%+v: the versions do not fit", r)
		}
		for _, k := range r.Kinds {
			if id := r.APIVersion + " " + k; !kind.MatchString(k) || seen[id] {
				t.Errorf("%s: no kind, or there twice", id)
			} else {
				seen[id] = true
			}
		}
	}
}

// The table says what the API server's own code says, as far as that still knows the kinds.
func TestRemovalsAreTheServers(t *testing.T) {
	table := map[string]Removal{}
	for _, r := range Removals() {
		for _, kind := range r.Kinds {
			table[r.APIVersion+" "+kind] = r
		}
	}
	// They are bodies of subresources, or wrap lists.
	inNoManifest := []string{"Scale", "Eviction", "JobTemplate"}
	compared := 0
	for gvk, typ := range scheme.Scheme.AllKnownTypes() {
		life, ok := reflect.New(typ).Interface().(interface {
			APILifecycleRemoved() (major, minor int)
			APILifecycleDeprecated() (major, minor int)
		})
		if !ok || strings.HasSuffix(gvk.Kind, "List") || slices.Contains(inNoManifest, gvk.Kind) {
			continue
		}
		version, kind := gvk.ToAPIVersionAndKind()
		r, known := table[version+" "+kind]
		_, removed := life.APILifecycleRemoved()
		_, deprecated := life.APILifecycleDeprecated()
		if !known || r.Removed != removed || r.Deprecated != deprecated {
			t.Errorf("%s %s: removed in 1.%d, deprecated in 1.%d; the table has %+v", version, kind, removed, deprecated, r)
		}
		compared++
	}
	if compared < 40 {
		t.Errorf("only %d kinds were compared", compared)
	}
}

func TestMinor(t *testing.T) {
	for text, want := range map[string]int{"1.36": 36, "v1.36": 36, "1.36.3": 36, "v1.22.0-eks-1": 22, "": -1, "2.1": -1, "1.x": -1, "latest": -1, "1.-3": -1} {
		got, ok := Minor(text)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}

// What a version does not serve is an error at its line with what to write; what a later one will not serve is a note.
func TestUnserved(t *testing.T) {
	var items []gitops.Item
	for i, manifest := range []string{
		"rbac.authorization.k8s.io/v1beta1 Role", "extensions/v1beta1 Ingress", "extensions/v1beta1 Deployment", "policy/v1beta1 PodSecurityPolicy", "policy/v1beta1 PodDisruptionBudget",
		"flowcontrol.apiserver.k8s.io/v1beta3 FlowSchema", "apps/v1alpha1 PetSet", "resource.k8s.io/v1beta1 ResourceClaim", "apps/v1 Deployment", "v1 ConfigMap", "monitoring.coreos.com/v1alpha1 AlertmanagerConfig",
	} {
		version, kind, _ := strings.Cut(manifest, " ")
		items = append(items, gitops.Item{
			Ref:  gitops.Ref{Domain: gitops.K8s, Kind: kind, Name: "x"},
			Spec: gitops.Tree{"apiVersion": version, "kind": kind},
			From: gitops.Origin{Position: gitops.Position{File: "a.yaml", Line: i + 1}},
		})
	}
	items = append(items, gitops.Item{Ref: gitops.Ref{Domain: gitops.EKS, Kind: "Role"}, Spec: gitops.Tree{"apiVersion": "rbac.authorization.k8s.io/v1beta1", "kind": "Role"}})
	for _, tc := range []struct {
		minor int
		want  []string
	}{
		{8, []string{
			"a.yaml:3 Deprecated: extensions/v1beta1 Deployment is not served from Kubernetes 1.16 on: write apiVersion: apps/v1, which is served from 1.9 on; spec.selector is required and cannot be changed; progressDeadlineSeconds is 600, revisionHistoryLimit 10, maxSurge and maxUnavailable 25% unless set",
			"a.yaml:7 KindMissing: apps/v1alpha1 PetSet is not served from Kubernetes 1.5 on: write apiVersion: apps/v1, kind: StatefulSet, which is served from 1.9 on",
		}},
		{36, []string{
			"a.yaml:1 KindMissing: rbac.authorization.k8s.io/v1beta1 Role is not served from Kubernetes 1.22 on: write apiVersion: rbac.authorization.k8s.io/v1",
			"a.yaml:2 KindMissing: extensions/v1beta1 Ingress is not served from Kubernetes 1.22 on: write apiVersion: networking.k8s.io/v1; pathType is required; backends are service.name with service.port.number or name",
			"a.yaml:3 KindMissing: extensions/v1beta1 Deployment is not served from Kubernetes 1.16 on: write apiVersion: apps/v1; spec.selector is required and cannot be changed; progressDeadlineSeconds is 600, revisionHistoryLimit 10, maxSurge and maxUnavailable 25% unless set",
			"a.yaml:4 KindMissing: policy/v1beta1 PodSecurityPolicy is not served from Kubernetes 1.25 on: remove it; Pod Security admission does its work: labels pod-security.kubernetes.io/enforce on namespaces",
			"a.yaml:5 KindMissing: policy/v1beta1 PodDisruptionBudget is not served from Kubernetes 1.25 on: write apiVersion: policy/v1; an empty selector selects all pods of the namespace",
			"a.yaml:6 KindMissing: flowcontrol.apiserver.k8s.io/v1beta3 FlowSchema is not served from Kubernetes 1.32 on: write apiVersion: flowcontrol.apiserver.k8s.io/v1; nominalConcurrencyShares of 0 stays 0",
			"a.yaml:7 KindMissing: apps/v1alpha1 PetSet is not served from Kubernetes 1.5 on: write apiVersion: apps/v1, kind: StatefulSet",
			"a.yaml:8 Deprecated: resource.k8s.io/v1beta1 ResourceClaim is not served from Kubernetes 1.38 on: write apiVersion: resource.k8s.io/v1",
		}},
	} {
		var got []string
		for _, e := range Unserved(items, tc.minor) {
			got = append(got, e.From.Position.String()+" "+string(e.Reason)+": "+e.Message()+": "+e.Try)
			if e.Ref.Kind == "" {
				t.Errorf("%v names no object", e)
			}
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("1.%d (-want +got):\n%s", tc.minor, diff)
		}
	}
}
