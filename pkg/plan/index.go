package plan

import (
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// groupKind is a kind of Kubernetes object.
type groupKind struct{ group, kind string }

func kindOfRef(r gitops.Ref) groupKind {
	if r.Domain != gitops.K8s {
		return groupKind{}
	}
	return groupKind{r.Group, r.Kind}
}

// index finds objects by what they are for.
type index struct {
	// definitions are the CustomResourceDefinitions by the kind they define, plurals the names of kinds in webhook rules.
	definitions map[groupKind]gitops.Ref
	plurals     map[groupKind]string
	// apis are the APIServices by the apiVersion that they serve.
	apis map[string]gitops.Ref
	// bindings are the RBAC bindings by the service account they grant rights to.
	bindings map[gitops.Ref][]gitops.Ref
	// workloads are what runs pods, hooks the configurations of webhooks, sorted.
	workloads, hooks []gitops.Ref
}

func newIndex(objects map[gitops.Ref]gitops.Tree) index {
	idx := index{definitions: map[groupKind]gitops.Ref{}, plurals: map[groupKind]string{}, apis: map[string]gitops.Ref{}, bindings: map[gitops.Ref][]gitops.Ref{}}
	var found []gitops.Ref
	for ref := range objects {
		switch {
		case workload(ref):
			idx.workloads = append(idx.workloads, ref)
		case isHook(ref):
			idx.hooks = append(idx.hooks, ref)
		case isDefinition(ref), isAPIService(ref), isBinding(ref):
			found = append(found, ref)
		}
	}
	for _, list := range [][]gitops.Ref{found, idx.workloads, idx.hooks} {
		slices.SortFunc(list, gitops.Ref.Compare)
	}
	for _, ref := range found {
		t := objects[ref]
		switch {
		case isDefinition(ref):
			kind := groupKind{gitops.StringAt(t, "spec", "group"), gitops.StringAt(t, "spec", "names", "kind")}
			idx.definitions[kind], idx.plurals[kind] = ref, gitops.StringAt(t, "spec", "names", "plural")
		case isAPIService(ref):
			idx.apis[gitops.StringAt(t, "spec", "group")+"/"+gitops.StringAt(t, "spec", "version")] = ref
		case isBinding(ref):
			for _, subject := range trees(t, "subjects") {
				if gitops.StringAt(subject, "kind") == "ServiceAccount" {
					account := object("", "ServiceAccount", gitops.StringAt(subject, "namespace"), gitops.StringAt(subject, "name"))
					idx.bindings[account] = append(idx.bindings[account], ref)
				}
			}
		}
	}
	return idx
}

func isDefinition(r gitops.Ref) bool {
	return r.Group == "apiextensions.k8s.io" && r.Kind == "CustomResourceDefinition"
}

func isAPIService(r gitops.Ref) bool {
	return r.Group == "apiregistration.k8s.io" && r.Kind == "APIService"
}

func isBinding(r gitops.Ref) bool {
	return r.Group == "rbac.authorization.k8s.io" && strings.HasSuffix(r.Kind, "Binding")
}

func isHook(r gitops.Ref) bool {
	return r.Group == "admissionregistration.k8s.io" && strings.HasSuffix(r.Kind, "WebhookConfiguration")
}

// behind lists the workloads whose pods a Service selects.
func (x index) behind(service gitops.Ref, objects map[gitops.Ref]gitops.Tree) []gitops.Ref {
	selector := gitops.StringsAt(objects[service], "spec", "selector")
	if len(selector) == 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(x.workloads), func(w gitops.Ref) bool {
		labels := podLabels(w, objects[w])
		if w.Namespace != service.Namespace {
			return true
		}
		for name, value := range selector {
			if labels[name] != value {
				return true
			}
		}
		return false
	})
}

// plural is the name of a kind in webhook rules: what its definition says, else by the rules that the built-in kinds follow.
func (x index) plural(k groupKind) string {
	if name := x.plurals[k]; name != "" {
		return name
	}
	name := strings.ToLower(k.kind)
	switch {
	case strings.HasSuffix(name, "endpoints"):
		return name
	case strings.HasSuffix(name, "s"), strings.HasSuffix(name, "x"):
		return name + "es"
	case strings.HasSuffix(name, "y") && !strings.HasSuffix(name, "ey"):
		return name[:len(name)-1] + "ies"
	}
	return name + "s"
}

// matchRule is what one rule of a webhook matches by name.
type matchRule struct{ groups, resources []string }

// matchRules are the rules by which a webhook configuration stops writes while its backend does not answer. Rules that
// match everything in a group or all groups are left out: one policy engine in trouble must not keep a whole cluster from
// being brought up, and its retries are cheap.
func matchRules(r gitops.Ref, t gitops.Tree) []matchRule {
	if !isHook(r) {
		return nil
	}
	var out []matchRule
	for _, hook := range trees(t, "webhooks") {
		if gitops.StringAt(hook, "failurePolicy") == "Ignore" || gitops.TreeAt(hook, "clientConfig", "service") == nil {
			continue
		}
		for _, rule := range trees(hook, "rules") {
			m := matchRule{stringsOf(rule["apiGroups"]), stringsOf(rule["resources"])}
			operations := stringsOf(rule["operations"])
			writes := slices.ContainsFunc(operations, func(op string) bool { return op == "CREATE" || op == "UPDATE" || op == "*" })
			if writes && !slices.Contains(m.groups, "*") {
				out = append(out, m)
			}
		}
	}
	return out
}

func (m matchRule) matches(k groupKind, idx index) bool {
	return slices.Contains(m.groups, k.group) && slices.Contains(m.resources, idx.plural(k))
}

func stringsOf(v any) []string {
	list, _ := v.([]any)
	out := make([]string, 0, len(list))
	for _, item := range list {
		if s, ok := item.(string); ok {
			out = append(out, s)
		}
	}
	return out
}
