package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// width bounds the decisions made at once; the gate bounds the requests they make.
const width = gateMax

// pass is one look at the cluster.
type pass struct {
	*Cluster
	link   *link
	source reader
	// watcher is source, when that watches; Cluster.watch may be taken away meanwhile.
	watcher *watcher
	inv     gitops.Inventory
	// parents are ours, by set id; asked are the ids of all sets that git asks for.
	parents map[string]parent
	asked   map[string]bool
	wants   map[key]*want
	// crds are the kinds that git defines; changing are those of them whose definition is not live as git says.
	crds     map[schema.GroupKind]key
	changing map[schema.GroupKind]bool
	// services are the APIs that git has served by others than the API server itself (APIService), by what they serve.
	services map[schema.GroupVersion]key
	// webhooks are those of wants that make the API server ask somebody.
	webhooks []gitops.Item
	// coming are the namespaces that git will make, or make anew when they are gone: nothing can be made in them yet.
	coming map[string]bool
	// live are all labelled objects of the kinds in question.
	live map[key]*stored
	// absent are objects of which it is known that they are not there, and that applying them may tell the rest.
	absent map[key]bool
	// before is the look that this one rests on; nil when it is one at everything. Of what rests nothing is in live or out.
	before *still
	// blind are kinds that could not be listed.
	blind map[schema.GroupKind]*gitops.Error

	mu  sync.Mutex
	out gitops.Observed
}

// Observe implements engine.Observer. It sends no request that writes; dry runs apart.
func (c *Cluster) Observe(ctx context.Context, d gitops.Desired, inv gitops.Inventory) (gitops.Observed, error) {
	before, moved := c.takeStill()
	p := &pass{
		Cluster: c, inv: inv, parents: map[string]parent{}, wants: map[key]*want{}, crds: map[schema.GroupKind]key{}, services: map[schema.GroupVersion]key{},
		changing: map[schema.GroupKind]bool{}, asked: map[string]bool{}, coming: map[string]bool{}, live: map[key]*stored{}, absent: map[key]bool{}, blind: map[schema.GroupKind]*gitops.Error{}, out: gitops.Observed{},
	}
	var err error
	if p.link, p.source, err = c.connect(ctx); err != nil {
		if errors.Is(err, ErrNoCluster) {
			p.predict(p.items(d))
			return p.out, nil
		}
		return nil, err
	}
	p.watcher, _ = p.source.(*watcher)
	var items []gitops.Item
	var kinds []schema.GroupVersionKind
	if before.wants(d.Items) {
		kinds = before.kinds
	} else {
		before, items = nil, p.items(d)
		kinds = kindsOf(items, func(item gitops.Item) schema.GroupVersionKind { return gvkOf(item.Spec) })
	}
	if err := p.link.catalog.refresh(ctx, catalogAge, kinds...); err != nil {
		return nil, failure(err, gitops.ObserveFailed, scrubber{mute: false})
	}
	defined := slices.DeleteFunc(slices.Clone(kinds), func(k schema.GroupVersionKind) bool { return genuine(k.Group) })
	defer p.link.catalog.learn(ctx, defined)()
	served := p.link.catalog.generation()
	if before != nil {
		if before.holds(p, moved) {
			p.again(ctx, before, moved)
			return p.out, nil
		}
		items = p.items(d)
	}
	if err := p.readParents(ctx); err != nil {
		return nil, failure(err, gitops.ObserveFailed, scrubber{})
	}
	p.survey(items)
	p.accept(items)
	p.list(ctx)
	wants := make([]want, 0, len(p.wants))
	for _, w := range p.wants {
		wants = append(wants, *w)
	}
	p.decideAll(ctx, wants)
	p.beside(ctx)
	p.leftovers(ctx)
	c.settlePass(p)
	c.keepStill(p.leave(d.Items, kinds, served))
	return p.out, nil
}

// again looks at what moved since a look at everything, and at what was not settled then.
func (p *pass) again(ctx context.Context, before *still, moved map[key]string) {
	wants := p.resume(before, moved)
	p.decideAll(ctx, wants)
	for _, w := range wants {
		before.settle(p, w)
	}
	p.out[gitops.Ref{Domain: gitops.K8s}] = gitops.Observation{Still: len(p.wants) - len(wants)}
	p.keepStill(before)
}

// items are the desired Kubernetes objects; one that is there twice is an error for both.
func (p *pass) items(d gitops.Desired) []gitops.Item {
	var out []gitops.Item
	first := map[gitops.Ref]gitops.Item{}
	for _, item := range d.Items {
		if item.Ref.Domain != gitops.K8s {
			continue
		}
		if other, twice := first[item.Ref]; twice {
			p.fail(item, gitops.Errorf(gitops.DuplicateObject, "also rendered by %s", other.From.Position.String()))
			continue
		}
		first[item.Ref] = item
		out = append(out, item)
	}
	return slices.DeleteFunc(out, func(item gitops.Item) bool { return p.out[item.Ref].Err != nil })
}

func (p *pass) fail(item gitops.Item, e *gitops.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out[item.Ref] = gitops.Observation{Err: e.On(item.Ref).At(item.From), From: item.From, Spec: item.Spec}
}

// kindsOf are the kinds that something needs, each once.
func kindsOf[T any](all []T, kind func(T) schema.GroupVersionKind) []schema.GroupVersionKind {
	seen := map[schema.GroupVersionKind]bool{}
	for _, one := range all {
		seen[kind(one)] = true
	}
	return slices.Collect(maps.Keys(seen))
}

// predict answers for a cluster that does not exist: everything will be created, as git says.
func (p *pass) predict(items []gitops.Item) {
	for _, item := range items {
		next := payload(item.Spec, kind{GroupVersionKind: gvkOf(item.Spec), Namespaced: item.Ref.Namespace != ""}, item.Ref.Namespace, p.parentOf(item.From.Overlay).id())
		p.out[item.Ref] = gitops.Observation{Next: next, Predicted: true, From: item.From, Spec: item.Spec}
	}
}

// parentOf is the parent that an overlay's objects belong to.
func (c *Cluster) parentOf(overlay string) parent {
	return parent{Namespace: c.Namespace, Name: parentName(c.Cluster, overlay), overlay: overlay}
}

// readParents finds our sets.
func (p *pass) readParents(ctx context.Context) error {
	q := p.parentsQuery()
	if q.kind.Resource == "" {
		return errors.New("the API server knows no ConfigMaps")
	}
	found, err := p.source.members(ctx, q)
	if err != nil {
		return fmt.Errorf("listing the sets in namespace %s: %w", p.Namespace, err)
	}
	for _, seen := range append(found, p.written()...) {
		if seen.key.Namespace != p.Namespace || seen.parent == "" {
			continue
		}
		if seen = p.newest(seen.key, seen); seen == nil {
			continue
		}
		if set, ok := readParent(seen.whole(), p.Cluster.Cluster); ok {
			p.parents[set.id()] = set
		}
	}
	return nil
}

// survey notes the items that decide about others.
func (p *pass) survey(items []gitops.Item) {
	for _, item := range items {
		name := key{schema.GroupKind{Group: item.Ref.Group, Kind: item.Ref.Kind}, "", item.Ref.Name}
		group := gitops.StringAt(item.Spec, "spec", "group")
		switch name.GroupKind.String() {
		case "CustomResourceDefinition.apiextensions.k8s.io":
			p.crds[schema.GroupKind{Group: group, Kind: gitops.StringAt(item.Spec, "spec", "names", "kind")}] = name
		case "APIService.apiregistration.k8s.io":
			p.services[schema.GroupVersion{Group: group, Version: gitops.StringAt(item.Spec, "spec", "version")}] = name
		}
		if item.Ref.Group == "admissionregistration.k8s.io" {
			p.webhooks = append(p.webhooks, item)
		}
	}
}

// accept makes items ready to be compared, or says why they cannot be.
func (p *pass) accept(items []gitops.Item) {
	sets := map[string]string{}
	for _, item := range items {
		gvk := gvkOf(item.Spec)
		k, known := p.link.catalog.kind(gvk)
		switch {
		case !known:
			p.unserved(item, gvk)
			continue
		case item.Ref.Name == "":
			p.fail(item, gitops.Errorf(gitops.ApplyInvalid, "%s needs metadata.name", gvk.Kind))
			continue
		case k.Namespaced && item.Ref.Namespace == "":
			p.fail(item, gitops.Errorf(gitops.ApplyInvalid, "%s needs metadata.namespace: set `namespace` in the kustomization", gvk.Kind))
			continue
		}
		if gvk.Group == "" && gvk.Kind == "Secret" {
			if fault := secretFault(item.Spec); fault != "" {
				p.fail(item, gitops.Errorf(gitops.ApplyInvalid, "%s", fault))
				continue
			}
		}
		w := want{item: item, kind: k, key: key{gvk.GroupKind(), "", item.Ref.Name}}
		w.hidden = len(item.From.Secrets)+len(p.inv[item.Ref].Secrets) > 0
		if k.Namespaced {
			w.key.Namespace = item.Ref.Namespace
		}
		if sets[item.From.Overlay] == "" {
			sets[item.From.Overlay] = p.parentOf(item.From.Overlay).id()
			p.asked[sets[item.From.Overlay]] = true
		}
		w.set = sets[item.From.Overlay]
		if other, twice := p.wants[w.key]; twice {
			p.fail(item, gitops.Errorf(gitops.DuplicateObject, "the server knows it as the same object as %s of %s", other.item.Ref.Label(), other.item.From.Position.String()))
			continue
		}
		p.wants[w.key] = &w
	}
}

// unserved decides about an item whose kind the server does not know (yet).
func (p *pass) unserved(item gitops.Item, gvk schema.GroupVersionKind) {
	by, comes := p.crds[gvk.GroupKind()]
	if !comes && !p.link.catalog.unknown(gvk.Group) && !p.link.catalog.serves(gvk.GroupVersion()) {
		by, comes = p.services[gvk.GroupVersion()]
	}
	switch {
	case comes:
		next := payload(item.Spec, kind{GroupVersionKind: gvk, Namespaced: item.Ref.Namespace != ""}, item.Ref.Namespace, p.parentOf(item.From.Overlay).id())
		p.out[item.Ref] = gitops.Observation{Next: next, Predicted: true, From: item.From, Spec: item.Spec, Needs: []gitops.Ref{by.ref()}}
	case p.link.catalog.unknown(gvk.Group):
		p.fail(item, gitops.Errorf(gitops.ObserveFailed, "the server of API group %s does not answer", gvk.Group))
	default:
		if k, ok := p.link.catalog.serving(gvk.GroupKind()); ok {
			p.fail(item, gitops.Errorf(gitops.KindMissing, "the API server does not serve %s of %s; it serves %s", gvk.Kind, gvk.GroupVersion(), k.GroupVersion()))
			return
		}
		p.fail(item, gitops.Errorf(gitops.KindMissing, "the API server does not serve %s of %s, and no overlay holds its CustomResourceDefinition or APIService", gvk.Kind, gvk.GroupVersion()))
	}
}

// list reads all labelled objects of every kind that git, our sets or the inventory name: one request a kind, or none with
// watches.
func (p *pass) list(ctx context.Context) {
	queries := p.queries()
	var mu sync.Mutex
	each(len(queries), width, func(i int) {
		found, err := p.source.members(ctx, queries[i])
		mu.Lock()
		defer mu.Unlock()
		gk := queries[i].kind.GroupKind()
		if err != nil && !apierrors.IsNotFound(err) {
			p.blind[gk] = failure(fmt.Errorf("listing %s: %w", gk, err), gitops.ObserveFailed, scrubber{})
			return
		}
		for _, seen := range found {
			p.live[seen.key] = seen
		}
	})
	p.overwrite()
	p.source.keep(append([]query{p.parentsQuery()}, queries...))
}

// overwrite adds what we wrote and no watch has told of yet.
func (p *pass) overwrite() {
	for _, seen := range p.written() {
		if seen.set != "" && p.live[seen.key] == nil && p.newest(seen.key, nil) != nil {
			p.live[seen.key] = seen
		}
	}
}

// parentsQuery is for our sets.
func (p *pass) parentsQuery() query {
	configMaps, _ := p.link.catalog.kind(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"})
	return query{kind: configMaps, namespace: p.Namespace, label: setID}
}

// queries are one per kind, in the version that git uses, so that what is live reads in the same words.
func (p *pass) queries() []query {
	kinds := map[schema.GroupKind]kind{}
	add := func(gk schema.GroupKind) {
		if _, ok := kinds[gk]; ok {
			return
		}
		if k, ok := p.link.catalog.serving(gk); ok {
			kinds[gk] = k
		} else if p.link.catalog.unknown(gk.Group) {
			p.blind[gk] = gitops.Errorf(gitops.ObserveFailed, "the server of API group %s does not answer", gk.Group)
		}
	}
	for _, w := range p.wants {
		kinds[w.kind.GroupKind()] = w.kind
	}
	for _, set := range p.parents {
		for gk := range set.kinds {
			add(gk)
		}
	}
	for ref := range p.inv {
		if ref.Domain == gitops.K8s {
			add(schema.GroupKind{Group: ref.Group, Kind: ref.Kind})
		}
	}
	out := make([]query, 0, len(kinds))
	for _, k := range kinds {
		if k.Listable {
			out = append(out, query{kind: k, label: partOf})
		}
	}
	slices.SortFunc(out, func(a, b query) int {
		return slices.Compare([]string{a.kind.Group, a.kind.Kind}, []string{b.kind.Group, b.kind.Kind})
	})
	return out
}

// decideAll compares desired objects: definitions and namespaces first, because they decide about what is of their kinds
// and in them.
func (p *pass) decideAll(ctx context.Context, wants []want) {
	var first, rest []want
	for _, w := range wants {
		if w.item.Ref.Kind == "CustomResourceDefinition" || w.key.GroupKind == namespaceKind() {
			first = append(first, w)
		} else {
			rest = append(rest, w)
		}
	}
	p.observeAll(ctx, first)
	for gk, crd := range p.crds {
		w, accepted := p.wants[crd]
		if !accepted {
			continue
		}
		// What was not looked at rests.
		if o, looked := p.out[w.item.Ref]; looked && (o.Live == nil || !same(o.Live, o.Next)) {
			p.changing[gk] = true
		}
	}
	for _, w := range first {
		o := p.out[w.item.Ref]
		ends := o.Progress != nil && o.Progress.Status == gitops.Terminating
		if w.key.GroupKind == namespaceKind() && o.Err == nil && (o.Live == nil || ends) {
			p.coming[w.key.Name] = true
		}
	}
	p.observeAll(ctx, slices.DeleteFunc(rest, p.settled))
}

// observeAll answers for desired objects. Types are read only for what does not stand as it is, of all their kinds at the same time.
func (p *pass) observeAll(ctx context.Context, wants []want) {
	stands := make([]bool, len(wants))
	each(len(wants), width, func(i int) { stands[i] = p.stands(ctx, wants[i]) })
	var open []want
	for i, w := range wants {
		if !stands[i] {
			open = append(open, w)
		}
	}
	p.direct(ctx, open)
	asked := slices.DeleteFunc(slices.Clone(open), func(w want) bool { return p.absent[w.key] })
	defer p.link.catalog.learn(ctx, kindsOf(asked, func(w want) schema.GroupVersionKind { return w.kind.GroupVersionKind }))()
	each(len(open), width, func(i int) { p.observe(ctx, open[i]) })
}

func namespaceKind() schema.GroupKind { return schema.GroupKind{Kind: "Namespace"} }
