package apply

import (
	"context"
	"maps"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// many is how many creations of a kind a list of its names is worth. Fewer are dry-run, each.
const many = 10

// direct finds the creations whose apply is its own check (ADR 0009): where a pass makes many objects of a kind, one list of names
// tells that they are not there, and the types tell that their content fits. Left to a dry run is what may say more: what the
// server refused before, and what it can take only when something else is there that git wants, too.
func (p *pass) direct(ctx context.Context, open []want) {
	if p.Preview {
		return
	}
	wants := map[kind][]key{}
	for _, w := range open {
		if p.newest(w.key, p.live[w.key]) == nil && p.plain(w) {
			wants[w.kind] = append(wants[w.kind], w.key)
		}
	}
	maps.DeleteFunc(wants, func(_ kind, keys []key) bool { return len(keys) < many })
	kinds := slices.Collect(maps.Keys(wants))
	var mu sync.Mutex
	each(len(kinds), width, func(i int) {
		taken, err := p.link.strangers(ctx, kinds[i], common(wants[kinds[i]]))
		if err != nil {
			return // whether they are there is left to dry runs
		}
		mu.Lock()
		defer mu.Unlock()
		for _, k := range wants[kinds[i]] {
			if !taken[k] {
				p.absent[k] = true
			}
		}
	})
}

// plain reports whether nothing is known that would make the server refuse to create an object now and take it later.
func (p *pass) plain(w want) bool {
	_, defined := p.crds[w.kind.GroupKind()]
	return !p.inv[w.item.Ref].Finished && !defined && w.kind.Listable && w.key.GroupKind != namespaceKind() && w.key.Kind != "Pod" &&
		!p.coming[w.key.Namespace] && p.blind[w.key.GroupKind] == nil && len(p.hooks(w)) == 0 && !p.declined(w.key)
}

// declined reports whether the server did not take an object that was sent without a dry run.
func (c *Cluster) declined(k key) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.declines[k]
}

// common is the namespace that all keys are in; "" when there is none.
func common(keys []key) string {
	for _, k := range keys {
		if k.Namespace != keys[0].Namespace {
			return ""
		}
	}
	return keys[0].Namespace
}

// strangers are the objects of a kind that are in nobody's set.
func (l *link) strangers(ctx context.Context, k kind, namespace string) (map[key]bool, error) {
	client := l.names.Resource(k.gvr())
	o := metav1.ListOptions{LabelSelector: "!" + partOf, Limit: page}
	out := map[key]bool{}
	for {
		list, err := client.Namespace(namespace).List(ctx, o)
		if err != nil {
			return nil, err
		}
		for _, found := range list.Items {
			out[key{k.GroupKind(), found.Namespace, found.Name}] = true
		}
		if o.Continue = list.Continue; o.Continue == "" {
			return out, nil
		}
	}
}

// create makes an object that must not be there: an apply for a resourceVersion that none has is a conflict when there is one
// (API concepts, "Resource versions": a write with a resourceVersion is refused when the object has another), and creates it when
// there is none. So nothing is taken over that somebody made since it was looked at, and nothing needs to be read before. It is not
// done when the server does not take it; the error says why.
func (c *Cluster) create(ctx context.Context, l *link, w want) (*unstructured.Unstructured, error) {
	const never = "1" // etcd counts from 1, which is the empty store
	meta := maps.Clone(gitops.TreeAt(w.payload, "metadata"))
	meta["resourceVersion"] = never
	send := maps.Clone(w.payload)
	send["metadata"] = meta
	made, err := l.patch(ctx, w, send, false, false)
	if err != nil {
		c.mu.Lock()
		c.declines[w.key] = true
		c.mu.Unlock()
	}
	return made, err
}

// contested reports whether a creation may have been refused for the resourceVersion that it was sent with.
func contested(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)
}
