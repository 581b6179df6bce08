package render

import (
	"cmp"
	"maps"
	"path"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"sigs.k8s.io/kustomize/api/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// kustomize compares every object with every other one, several times: ten times the objects take a hundred times as long. A
// plain kustomization (files of objects, and only transformers that look at one object at a time) comes to the same when its
// files are built some at a time and the objects are put into kustomize's order, as is done here. Whatever is not surely of that kind, and all
// that goes wrong, is left to one build of the whole, whose errors are kustomize's own.

// part is some of the files of a plain kustomization.
type part struct {
	// resources are entries of the kustomization; files are what they name.
	resources, files []string
}

// inParts renders a plain kustomization. Not ok is one that must be built as a whole.
func (b *builder) inParts(out *rendered) (ok bool) {
	parts := b.parts()
	if len(parts) < 2 {
		return false
	}
	top := b.survey.layers[0]
	body, err := b.view.ReadFile(top.file)
	if err != nil {
		return false
	}
	b.schema.RLock()
	defer b.schema.RUnlock()
	keys, results := make([]gitops.Digest, len(parts)), make([][]gitops.Item, len(parts))
	views := make([]*view, len(parts))
	var failed atomic.Bool
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(parts)) {
		workers.Go(func() {
			defer func() {
				if recover() != nil {
					failed.Store(true) // the build of the whole will tell
				}
			}()
			for i := int(next.Add(1)) - 1; i < len(parts) && !failed.Load(); i = int(next.Add(1)) - 1 {
				views[i] = newView(b.view.files)
				keys[i] = parts[i].key(views[i], body)
				if results[i] = b.before[keys[i]]; results[i] != nil {
					continue
				}
				if results[i] = b.part(views[i], top, body, parts[i]); results[i] == nil {
					failed.Store(true)
				}
			}
		})
	}
	workers.Wait()
	if failed.Load() {
		return false
	}
	seen := map[gitops.Ref]bool{}
	parted := map[gitops.Digest][]gitops.Item{}
	var items []gitops.Item
	for i := range parts {
		parted[keys[i]] = results[i]
		for _, item := range results[i] {
			if seen[item.Ref] {
				return false // kustomize refuses that, and says it better
			}
			seen[item.Ref] = true
			items = append(items, item)
		}
		maps.Copy(b.view.asked, views[i].asked)
	}
	order(items)
	out.items, out.parts = items, parted
	return true
}

// order sorts as `kustomize build` does where a kustomization asks for nothing else (its "legacy" order, sortOptions in
// https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/sortoptions/): some kinds first, then by group, version
// and kind, namespace and name. What has no group or namespace stands where "~" does.
func order(items []gitops.Item) {
	first := []string{
		"ResourceQuota", "ServiceAccount", "Role", "ClusterRole", "ConfigMap", "Secret", "Service", "LimitRange", "PersistentVolumeClaim",
		"Deployment", "StatefulSet", "CronJob", "PodDisruptionBudget",
	}
	rank := func(i gitops.Item) int {
		if at := slices.Index(first, i.Ref.Kind); at >= 0 {
			return at
		}
		return len(first)
	}
	kind := func(i gitops.Item) string {
		_, version, grouped := strings.Cut(gitops.StringAt(i.Spec, "apiVersion"), "/")
		if !grouped {
			version = gitops.StringAt(i.Spec, "apiVersion")
		}
		return cmp.Or(i.Ref.Group, "~G") + "_" + version + "_" + i.Ref.Kind
	}
	slices.SortFunc(items, func(a, b gitops.Item) int {
		return cmp.Or(
			cmp.Compare(rank(a), rank(b)), strings.Compare(kind(a), kind(b)),
			strings.Compare(cmp.Or(a.Ref.Namespace, "~X")+"|"+a.Ref.Name, cmp.Or(b.Ref.Namespace, "~X")+"|"+b.Ref.Name),
		)
	})
}

// key is what the render of a part depends on: the kustomization, positions in it included, and the contents of the files.
func (p part) key(v *view, kustomization []byte) gitops.Digest {
	sums := make([]string, len(p.files))
	for i, file := range p.files {
		sums[i] = v.ask(askRead, file)
	}
	return gitops.DigestOf([]any{string(kustomization), p.resources, sums})
}

// part builds one; nil when that fails.
func (b *builder) part(v *view, top *layer, body []byte, p part) []gitops.Item {
	own := *b
	own.view = v
	subset, err := withAdditions(body, nil, p.resources)
	if err != nil {
		return nil
	}
	v.virtual = map[string][]byte{top.file: subset}
	defer func() { v.virtual = nil }()
	resources, err := kustomize(v, b.folder)
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

// parts cuts a plain kustomization; nil for any other.
func (b *builder) parts() []part {
	s := b.survey
	if b.configOnly || len(s.layers) != 1 || s.schema || s.facts.all || len(s.facts.keys) > 0 {
		return nil
	}
	top := s.layers[0]
	if !plain(top.spec) {
		return nil
	}
	var out []part
	size := b.portion
	namespaces := map[string]bool{}
	for _, entry := range top.spec.Resources {
		file := b.real(path.Join(b.folder, entry))
		objects, ok := s.objects[file]
		if !ok {
			return nil
		}
		for _, o := range objects {
			if !alone(o) {
				return nil
			}
			namespaces[o.namespace] = true
		}
		if size >= b.portion {
			out, size = append(out, part{}), 0
		}
		last := &out[len(out)-1]
		last.resources, last.files = append(last.resources, entry), append(last.files, file)
		size += len(objects)
	}
	if top.spec.Namespace == "" && len(namespaces) > 1 {
		return nil // a name may stand for one of several objects, which kustomize decides by looking at all
	}
	return out
}

// plain reports whether a kustomization has nothing but files and transformers of single objects.
func plain(k types.Kustomization) bool {
	k.TypeMeta, k.MetaData, k.Resources, k.BuildMetadata = types.TypeMeta{}, nil, nil, nil
	k.Namespace, k.Labels, k.CommonAnnotations, k.Images = "", nil, nil, nil
	return reflect.DeepEqual(k, types.Kustomization{})
}

// alone reports whether an object is of a kind that refers to others by names of its own namespace only. As names do not change
// in a plain kustomization, such references do not either; kinds that name a namespace beside a name (bindings, webhooks,
// APIServices), and Namespaces, whose name follows the kustomization's, are not among them.
func alone(o *object) bool {
	return slices.Contains([]string{
		"v1 ConfigMap", "v1 Secret", "v1 ServiceAccount", "v1 Service", "v1 Pod", "v1 ReplicationController", "v1 PersistentVolumeClaim",
		"v1 LimitRange", "v1 ResourceQuota", "apps/v1 Deployment", "apps/v1 StatefulSet", "apps/v1 DaemonSet", "apps/v1 ReplicaSet",
		"batch/v1 Job", "batch/v1 CronJob", "autoscaling/v2 HorizontalPodAutoscaler", "policy/v1 PodDisruptionBudget",
		"networking.k8s.io/v1 Ingress", "networking.k8s.io/v1 NetworkPolicy", "rbac.authorization.k8s.io/v1 Role",
		"rbac.authorization.k8s.io/v1 ClusterRole", "coordination.k8s.io/v1 Lease",
	}, o.apiVersion+" "+o.kind)
}
