package render

import (
	"cmp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// kustomize compares every object with every other one, several times: ten times the objects take a hundred times as long.
// Where it is certain that the files of an overlay do not act on each other (cut.go says when), they are built some at a time,
// side by side, and the objects are put into kustomize's order. A part is named by all that it depends on, so the next render
// takes over what has not changed. Whatever is not surely of that kind, and all that goes wrong, is left to one build of the
// whole, whose errors are kustomize's own.

// part is some of the resource files of an overlay.
type part struct {
	files []string
	has   map[string]bool
	// virtual are the kustomizations on the way from these files, each with nothing but what concerns them.
	virtual map[string][]byte
}

// inParts renders an overlay that can be cut. Not ok is one that must be built as a whole.
func (b *builder) inParts(out *rendered) (ok bool) {
	parts := b.parts()
	if len(parts) < 2 {
		return false
	}
	results := make(map[gitops.Digest][]gitops.Item, len(parts))
	todo := map[gitops.Digest]part{}
	for _, p := range parts {
		key := p.key(b)
		if b.before != nil && b.before.parts[key] != nil {
			results[key] = b.before.parts[key]
		} else {
			todo[key] = p
		}
	}
	if !b.buildParts(todo, results) {
		return false
	}
	if out.items, ok = joined(results); ok {
		out.parts = results
	}
	return ok
}

// buildParts adds the results of all parts, or fails as a whole.
func (b *builder) buildParts(todo map[gitops.Digest]part, results map[gitops.Digest][]gitops.Item) (ok bool) {
	b.schema.RLock()
	defer b.schema.RUnlock()
	var mu sync.Mutex
	var failed atomic.Bool
	var workers sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for key, p := range todo {
		workers.Go(func() {
			slots <- struct{}{}
			defer func() {
				<-slots
				if recover() != nil {
					failed.Store(true) // the build of the whole will tell
				}
			}()
			if failed.Load() {
				return
			}
			items := b.part(p)
			if items == nil {
				failed.Store(true)
			}
			mu.Lock()
			defer mu.Unlock()
			results[key] = items
		})
	}
	workers.Wait()
	return !failed.Load()
}

// part builds one; nil when that fails. What kustomize asks about files here, the survey has asked before.
func (b *builder) part(p part) []gitops.Item {
	own := *b
	own.view = newView(b.view.files)
	own.view.secrets = b.view.secrets
	own.view.virtual = p.virtual
	resources, err := kustomize(own.view, b.folder)
	if err != nil {
		return nil
	}
	items, problems := own.items(resources)
	if len(problems) > 0 {
		return nil
	}
	if items == nil {
		items = []gitops.Item{}
	}
	return items
}

// key is what the render of a part depends on: its kustomizations, and the contents of the files.
func (p part) key(b *builder) gitops.Digest {
	var sums []string
	for _, l := range b.survey.layers {
		sums = append(sums, l.file, string(p.virtual[l.file]))
		for _, patch := range l.patches {
			if patch.file != l.file {
				sums = append(sums, b.view.ask(askRead, patch.file))
			}
		}
	}
	for _, file := range p.files {
		sums = append(sums, file, b.view.ask(askRead, file))
	}
	return gitops.DigestOf(sums)
}

// joined puts the items of parts together. Two of one name, which kustomize refuses, are not ok: it says that better.
func joined(parts map[gitops.Digest][]gitops.Item) (items []gitops.Item, ok bool) {
	seen := map[gitops.Ref]bool{}
	for _, part := range parts {
		for _, item := range part {
			ref := item.Ref
			// To kustomize, no namespace is the namespace default.
			ref.Namespace = cmp.Or(ref.Namespace, "default")
			if seen[ref] {
				return nil, false
			}
			seen[ref] = true
		}
		items = append(items, part...)
	}
	order(items)
	return items, true
}

// order sorts as `kustomize build` does where a kustomization asks for nothing else (its "legacy" order, sortOptions in
// https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/sortoptions/): some kinds first and some last, then by
// group, version and kind, namespace and name. What has no group or namespace stands where "~" does.
func order(items []gitops.Item) {
	type position struct {
		rank       int
		kind, name string
		item       gitops.Item
	}
	first, last := kindsInOrder()
	all := make([]position, len(items))
	for i, item := range items {
		p := position{item: item, name: cmp.Or(item.Ref.Namespace, "~X") + "|" + item.Ref.Name}
		if at := slices.Index(first, item.Ref.Kind); at >= 0 {
			p.rank = at - len(first)
		} else {
			p.rank = slices.Index(last, item.Ref.Kind) + 1
		}
		_, version, grouped := strings.Cut(gitops.StringAt(item.Spec, "apiVersion"), "/")
		if !grouped {
			version = gitops.StringAt(item.Spec, "apiVersion")
		}
		p.kind = cmp.Or(item.Ref.Group, "~G") + "_" + version + "_" + item.Ref.Kind
		all[i] = p
	}
	slices.SortFunc(all, func(a, b position) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), strings.Compare(a.kind, b.kind), strings.Compare(a.name, b.name))
	})
	for i := range all {
		items[i] = all[i].item
	}
}

// kindsInOrder are the kinds that the legacy order puts before and after all others.
func kindsInOrder() (first, last []string) {
	return []string{
			"Namespace", "ResourceQuota", "StorageClass", "CustomResourceDefinition", "ServiceAccount", "PodSecurityPolicy", "Role",
			"ClusterRole", "RoleBinding", "ClusterRoleBinding", "ConfigMap", "Secret", "Endpoints", "Service", "LimitRange",
			"PriorityClass", "PersistentVolume", "PersistentVolumeClaim", "Deployment", "StatefulSet", "CronJob", "PodDisruptionBudget",
		}, []string{
			"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
		}
}
