package render

import (
	"sigs.k8s.io/kustomize/kyaml/openapi"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// scope makes refs name what the API server will: objects of namespaced kinds without a namespace are in "default", and
// objects of cluster-scoped kinds are in none. Kinds are looked up in Kubernetes' own schema and in the
// CustomResourceDefinitions of the same cluster; what is in neither stays as written.
func scope(items []gitops.Item) {
	namespaced := map[[2]string]bool{}
	for _, item := range items {
		if item.Ref.Group == "apiextensions.k8s.io" && item.Ref.Kind == "CustomResourceDefinition" {
			key := [2]string{gitops.StringAt(item.Spec, "spec", "group"), gitops.StringAt(item.Spec, "spec", "names", "kind")}
			namespaced[key] = gitops.StringAt(item.Spec, "spec", "scope") != "Cluster"
		}
	}
	for i := range items {
		ref := &items[i].Ref
		in, known := namespaced[[2]string{ref.Group, ref.Kind}]
		if !known {
			in, known = builtin(gitops.StringAt(items[i].Spec, "apiVersion"), *ref)
		}
		switch {
		case known && in && ref.Namespace == "":
			ref.Namespace = "default"
		case known && !in:
			ref.Namespace = ""
		}
	}
}

// builtin looks a kind up in Kubernetes' own schema. Versions that are gone from it have the scope of the one that is left.
func builtin(apiVersion string, ref gitops.Ref) (namespaced, known bool) {
	if namespaced, known = openapi.IsNamespaceScoped(yaml.TypeMeta{APIVersion: apiVersion, Kind: ref.Kind}); known || ref.Group == "" {
		return namespaced, known
	}
	return openapi.IsNamespaceScoped(yaml.TypeMeta{APIVersion: ref.Group + "/v1", Kind: ref.Kind})
}
