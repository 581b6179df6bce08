package apply

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// holdsData says, in words, what goes with an object besides itself when it is deleted: "" when nothing does.
func (p *pass) holdsData(ctx context.Context, u *unstructured.Unstructured) (data string, counts map[string]int) {
	switch u.GroupVersionKind().GroupKind().String() {
	case "Namespace":
		return p.inNamespace(ctx, u.GetName())
	case "CustomResourceDefinition.apiextensions.k8s.io":
		return p.ofKind(ctx, u)
	}
	return ownData(u), nil
}

// ownData says what an object that has nothing inside holds itself.
func ownData(u *unstructured.Unstructured) string {
	switch u.GroupVersionKind().GroupKind().String() {
	case "PersistentVolumeClaim":
		if volume := gitops.StringAt(u.Object, "spec", "volumeName"); volume != "" {
			return fmt.Sprintf("its volume %s of %s", volume, gitops.StringAt(u.Object, "status", "capacity", "storage"))
		}
	case "PersistentVolume":
		if gitops.StringAt(u.Object, "spec", "persistentVolumeReclaimPolicy") != "Retain" {
			return "the volume of " + gitops.StringAt(u.Object, "spec", "capacity", "storage")
		}
	case "StatefulSet.apps":
		if gitops.StringAt(u.Object, "spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted") == "Delete" {
			return "the claims of its pods"
		}
	}
	return ""
}

// inNamespace counts what a namespace holds that this plan does not delete by itself: everything but what Kubernetes puts in
// every namespace, what belongs to a controller, and our own objects that git no longer wants.
func (p *pass) inNamespace(ctx context.Context, namespace string) (string, map[string]int) {
	kinds := slices.DeleteFunc(p.link.catalog.namespaced(), func(k kind) bool {
		switch k.GroupKind().String() {
		case "Event", "Event.events.k8s.io", "Lease.coordination.k8s.io", "EndpointSlice.discovery.k8s.io", "Endpoints":
			return true
		}
		return k.Group == "metrics.k8s.io"
	})
	counts, blind := map[string]int{}, 0
	var mu sync.Mutex
	each(len(kinds), width, func(i int) {
		items, err := p.metadata(ctx, kinds[i], namespace)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			blind++
			return
		}
		if n := p.beyond(kinds[i].GroupKind(), items); n > 0 {
			counts[kinds[i].Kind] += n
		}
	})
	if blind > 0 && len(counts) == 0 {
		return fmt.Sprintf("unknown content: %d kinds in it cannot be listed", blind), nil
	}
	return inside(counts), counts
}

// ofKind counts the objects of a definition that this plan does not delete by itself.
func (p *pass) ofKind(ctx context.Context, crd *unstructured.Unstructured) (string, map[string]int) {
	gk := schema.GroupKind{Group: gitops.StringAt(crd.Object, "spec", "group"), Kind: gitops.StringAt(crd.Object, "spec", "names", "kind")}
	k, served := p.link.catalog.serving(gk)
	if !served {
		return "", nil
	}
	items, err := p.metadata(ctx, k, "")
	if err != nil {
		return "unknown objects: they cannot be listed", nil
	}
	n := p.beyond(gk, items)
	if n == 0 {
		return "", nil
	}
	counts := map[string]int{gk.Kind: n}
	return inside(counts), counts
}

// metadata lists the objects of a kind, without their content.
func (p *pass) metadata(ctx context.Context, k kind, namespace string) ([]metav1.PartialObjectMetadata, error) {
	var out []metav1.PartialObjectMetadata
	o := metav1.ListOptions{Limit: page}
	for {
		list, err := p.link.names.Resource(k.gvr()).Namespace(namespace).List(ctx, o)
		if err != nil {
			return nil, err
		}
		out = append(out, list.Items...)
		if o.Continue = list.GetContinue(); o.Continue == "" {
			return out, nil
		}
	}
}

// beyond counts the objects that would be lost without a line of their own in the plan.
func (p *pass) beyond(gk schema.GroupKind, items []metav1.PartialObjectMetadata) int {
	n := 0
	for i := range items {
		u := &items[i]
		k := key{gk, u.Namespace, u.Name}
		_, listed := p.live[k]
		_, wanted := p.wants[k]
		switch {
		case metav1.GetControllerOf(u) != nil:
		case gk.Group == "" && gk.Kind == "ServiceAccount" && u.Name == "default":
		case gk.Group == "" && gk.Kind == "ConfigMap" && u.Name == "kube-root-ca.crt":
		case gk.Group == "" && gk.Kind == "Secret" && u.Annotations["kubernetes.io/service-account.uid"] != "":
		case listed && !wanted:
		default:
			n++
		}
	}
	return n
}

// inside words counts by kind: "17 objects inside (12 ConfigMap, 5 Secret)".
func inside(counts map[string]int) string {
	total := 0
	said := make([]string, 0, len(counts))
	for kind, n := range counts {
		total += n
		said = append(said, fmt.Sprintf("%d %s", n, kind))
	}
	switch slices.Sort(said); total {
	case 0:
		return ""
	case 1:
		return "1 object inside (" + said[0] + ")"
	}
	return fmt.Sprintf("%d objects inside (%s)", total, strings.Join(said, ", "))
}
