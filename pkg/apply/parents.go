package apply

import (
	"context"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// ensureSet makes the parent of an overlay say that the set may hold a member, before the member is made: what a set contains
// is at any time a subset of what its parent says (KEP-3659), so that a crash leaves nothing that cannot be found again. The
// first change of a pass writes all that the pass will need; what the set no longer holds leaves the parent then, too.
func (c *Cluster) ensureSet(ctx context.Context, l *link, overlay string, member key) *gitops.Error {
	c.mu.Lock()
	turn := c.setting[overlay]
	if turn == nil {
		turn = &sync.Mutex{}
		c.setting[overlay] = turn
	}
	c.mu.Unlock()
	turn.Lock()
	defer turn.Unlock()

	c.mu.Lock()
	have, exists := c.sets[overlay]
	goal, planned := c.plans[overlay]
	if !planned {
		goal = c.parentOf(overlay)
	}
	goal = goal.clone()
	c.mu.Unlock()
	goal.include(member)
	if exists && have.covers(goal) && goal.covers(have) {
		return nil
	}
	if err := c.ensureNamespace(ctx, l); err != nil {
		return failure(fmt.Errorf("creating namespace %s: %w", c.Namespace, err), gitops.ApplyFailed, scrubber{})
	}
	w, e := c.internal(l, goal.object(c.Cluster, userAgent+"/"+c.Version))
	if e != nil {
		return e
	}
	after, err := l.patch(ctx, w, w.payload, true, false)
	if err != nil {
		return failure(fmt.Errorf("writing the set of overlay %s: %w", overlay, err), gitops.ApplyFailed, scrubber{})
	}
	goal.uid = string(after.GetUID())
	c.remember(w.key, after)
	c.mu.Lock()
	c.sets[overlay], c.plans[overlay] = goal, goal.clone()
	c.mu.Unlock()
	return nil
}

// internal makes an object of ours that is in no set ready to be sent.
func (c *Cluster) internal(l *link, t gitops.Tree) (want, *gitops.Error) {
	gvk := gvkOf(t)
	k, ok := l.catalog.kind(gvk)
	if !ok {
		return want{}, gitops.Errorf(gitops.KindMissing, "the API server does not serve %s", gvk)
	}
	u := &unstructured.Unstructured{Object: t}
	return want{kind: k, key: keyOf(u), payload: t}, nil
}

// ensureNamespace makes the namespace of the parents when it is not there.
func (c *Cluster) ensureNamespace(ctx context.Context, l *link) error {
	k, ok := l.catalog.kind(schema.GroupVersionKind{Version: "v1", Kind: "Namespace"})
	if !ok {
		return fmt.Errorf("the API server knows no Namespaces")
	}
	if found, err := l.get(ctx, k, key{k.GroupKind(), "", c.Namespace}); err != nil || found != nil {
		return err
	}
	u := &unstructured.Unstructured{Object: gitops.Tree{"apiVersion": "v1", "kind": "Namespace", "metadata": gitops.Tree{"name": c.Namespace}}}
	_, err := l.resource(k, "").Create(ctx, u, metav1.CreateOptions{FieldManager: c.Manager})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// retire deletes the parents of overlays that git no longer has and that have no member left. It is called when an object has left
// its set: a deletion was confirmed, or it is in another set now. Whatever it cannot do now it does after the next one.
func (c *Cluster) retire(ctx context.Context, l *link, left key) {
	c.mu.Lock()
	var idle []parent
	for overlay, members := range c.idle {
		delete(members, left)
		if set, ok := c.sets[overlay]; ok && len(members) == 0 {
			idle = append(idle, set.clone())
		}
	}
	c.mu.Unlock()
	for _, set := range idle {
		if err := c.retireSet(ctx, l, set); err != nil {
			c.Log.Debug("keeping an empty set", "overlay", set.overlay, "error", failure(err, gitops.ApplyFailed, scrubber{}))
		}
	}
}

func (c *Cluster) retireSet(ctx context.Context, l *link, set parent) error {
	for gk := range set.kinds {
		k, ok := l.catalog.serving(gk)
		if !ok {
			if l.catalog.unknown(gk.Group) {
				return nil
			}
			continue
		}
		list, err := l.resource(k, "").List(ctx, metav1.ListOptions{LabelSelector: partOf + "=" + set.id(), Limit: 1})
		if err != nil || len(list.Items) > 0 {
			return err
		}
	}
	k, ok := l.catalog.kind(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"})
	if !ok {
		return nil
	}
	uid := types.UID(set.uid)
	err := l.resource(k, set.Namespace).Delete(ctx, set.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	c.mu.Lock()
	delete(c.sets, set.overlay)
	delete(c.idle, set.overlay)
	c.mu.Unlock()
	return nil
}
