package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// Apply implements engine.Actor. It is idempotent: what is done already, or under way, is no error.
//
//	action          live                          request
//	create          -                             apply, for an object that is not there
//	create, update  there                         apply, after taking what people added
//	replace         the planned object            delete it; Health.Step asks for the next step when it is gone
//	                -, or a successor             apply
//	delete          ours, the planned object      delete, with UID and resourceVersion as preconditions
//	                -                             none
//	                not ours any more             none: an error; in a cluster that ends, what has a load balancer is deleted
//	wait            -                             none; a replacement that was under way is for the next plan to go on with
func (c *Cluster) Apply(ctx context.Context, ch plan.Change) error {
	l, _, err := c.connect(ctx)
	if err != nil {
		return gitops.AsError(gitops.Unreachable, err)
	}
	var e *gitops.Error
	switch ch.Action {
	case plan.Delete:
		e = c.remove(ctx, l, ch)
	case plan.Replace:
		e = c.replace(ctx, l, ch)
	case plan.Create, plan.Update:
		e = c.put(ctx, l, ch)
	case plan.Wait:
		c.settle(ch.Ref)
	}
	if e != nil {
		return e.On(ch.Ref).At(ch.From)
	}
	return nil
}

// wanted makes the change's content ready to be sent.
func (c *Cluster) wanted(ctx context.Context, l *link, ch plan.Change) (want, *gitops.Error) {
	gvk := gvkOf(ch.Spec)
	if err := l.catalog.refresh(ctx, catalogAge, gvk); err != nil {
		return want{}, failure(err, gitops.ApplyFailed, scrubber{})
	}
	k, ok := l.catalog.kind(gvk)
	switch {
	case ok:
	case l.catalog.unknown(gvk.Group):
		return want{}, gitops.Errorf(gitops.Unreachable, "the server of API group %s does not answer", gvk.Group)
	default:
		return want{}, gitops.Errorf(gitops.KindMissing, "the API server does not serve %s of %s", gvk.Kind, gvk.GroupVersion())
	}
	w := want{item: gitops.Item{Ref: ch.Ref, Spec: ch.Spec, From: ch.From}, kind: k, key: key{gvk.GroupKind(), "", ch.Ref.Name}, hidden: len(ch.Secrets) > 0}
	if k.Namespaced {
		w.key.Namespace = ch.Ref.Namespace
	}
	w.set = c.parentOf(ch.From.Overlay).id()
	return w.prepared(), nil
}

// put creates or changes one object.
func (c *Cluster) put(ctx context.Context, l *link, ch plan.Change) *gitops.Error {
	w, e := c.wanted(ctx, l, ch)
	if e != nil {
		return e
	}
	if e := c.ensureSet(ctx, l, ch.From.Overlay, w.key); e != nil {
		return e
	}
	if ch.Action == plan.Create {
		after, err := c.create(ctx, l, w)
		if err == nil {
			c.remember(w.key, after)
			c.passes(w)
			c.retire(ctx, l, w.key)
			return c.kept(ctx, l, w, after)
		}
		if !contested(err) {
			return failure(l.judge(ctx, err, w.kind, w.key, verbs(nil)...), gitops.ApplyFailed, w.secrets(nil))
		}
	}
	live, err := l.get(ctx, w.kind, w.key)
	if err != nil {
		return failure(err, gitops.ApplyFailed, w.secrets(nil))
	}
	if e := c.mayPut(ch, w, live); e != nil {
		return e
	}
	d := decision{send: w.payload}
	if live != nil {
		p := &pass{Cluster: c, link: l, wants: map[key]*want{w.key: &w}}
		if d, live = c.decide(ctx, p, w, live); d.err != nil {
			return d.err
		}
		if e := allowed(ch, d); e != nil {
			return e
		}
	}
	if e := c.send(ctx, l, w, live, d); e != nil {
		return e
	}
	c.retire(ctx, l, w.key)
	return nil
}

// mayPut refuses what was not planned: taking over an object that appeared, or one of another set.
func (c *Cluster) mayPut(ch plan.Change, w want, live *unstructured.Unstructured) *gitops.Error {
	if live == nil {
		return nil
	}
	set := live.GetLabels()[partOf]
	switch {
	case live.GetDeletionTimestamp() != nil:
		return gitops.Errorf(gitops.BeingDeleted, "%s", terminating(live))
	case set == gitops.StringAt(w.payload, "metadata", "labels", partOf):
		return nil
	case set == "" && ch.Action != plan.Create, set == "" && w.key.Kind == "Namespace" && w.key.Name == c.Namespace:
		return nil // its adoption is in the plan, or it is the namespace we just made for the sets
	case set == "":
		return gitops.Errorf(gitops.ApplyConflict, "it did not exist when this was planned, and now somebody else made it")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ours := range c.sets {
		if ours.id() == set {
			return nil
		}
	}
	return gitops.Errorf(gitops.Foreign, "it belongs to another ApplySet (%s), which another tool keeps", set)
}

// allowed refuses what the plan did not say.
func allowed(ch plan.Change, d decision) *gitops.Error {
	if len(d.replace) > 0 && ch.Action != plan.Replace {
		return gitops.Errorf(gitops.Immutable, "%s", d.replace[0])
	}
	if d.keeper != "" && ch.Approved == nil {
		return gitops.Errorf(gitops.Foreign, "it is kept by %s", d.keeper)
	}
	if len(d.conflicts) > 0 && ch.Approved == nil {
		return gitops.Errorf(gitops.ApplyConflict, "%s is owned by %s", d.conflicts[0].Path, d.conflicts[0].Owner)
	}
	return nil
}

// send takes what people added, applies, and checks that the server stored what it had said it would.
func (c *Cluster) send(ctx context.Context, l *link, w want, live *unstructured.Unstructured, d decision) *gitops.Error {
	if d.takeover != nil {
		if err := c.takeOver(ctx, l, w, live, d); err != nil {
			return failure(err, gitops.ApplyFailed, w.secrets(live))
		}
	}
	force := d.force || d.takeover != nil
	after, err := l.patch(ctx, w, d.send, force, false)
	if err != nil {
		return failure(l.judge(ctx, err, w.kind, w.key, verbs(live)...), gitops.ApplyFailed, w.secrets(live))
	}
	c.remember(w.key, after)
	c.passes(w)
	if e := c.kept(ctx, l, w, after); e != nil || live == nil || !hollow(d.send) {
		return e
	}
	return c.fill(ctx, l, w, after, d, force)
}

// fill applies once more when a list or map that git wants empty is not there after all: where the last of its items had to go,
// the server takes out the list with them, and adds the empty one only when it is applied to what is left.
func (c *Cluster) fill(ctx context.Context, l *link, w want, after *unstructured.Unstructured, d decision, force bool) *gitops.Error {
	sent, err := l.catalog.typed(ctx, d.send)
	if err != nil || c.mergesTo(ctx, l, after.Object, sent) {
		return nil //nolint:nilerr // what cannot be typed is for the next look
	}
	if after, err = l.patch(ctx, w, d.send, force, false); err != nil {
		return failure(l.judge(ctx, err, w.kind, w.key, "patch"), gitops.ApplyFailed, w.secrets(after))
	}
	c.remember(w.key, after)
	return nil
}

// takeOver books what people added as ours. When only status moved since it was decided, it is decided the same way again.
func (c *Cluster) takeOver(ctx context.Context, l *link, w want, live *unstructured.Unstructured, d decision) error {
	fields, was := d.takeover, content(live)
	for {
		err := l.take(ctx, w, live, fields)
		if !apierrors.IsConflict(err) && !apierrors.IsInvalid(err) {
			return err
		}
		fresh, gone := l.get(ctx, w.kind, w.key)
		if gone != nil || fresh == nil || fresh.GetResourceVersion() == live.GetResourceVersion() || content(fresh) != was {
			return err
		}
		same, bad := c.compare(ctx, l, w, nil, nil)
		if bad != nil {
			return err
		}
		live = fresh
		if w, bad = c.answered(w, live); bad != nil {
			return err
		}
		if fields = takeover(live, c.managers(w, live), c.Manager, same.fields); fields == nil {
			return nil
		}
	}
}

// kept compares our fields as stored with what the dry run promised for the same content.
func (c *Cluster) kept(ctx context.Context, l *link, w want, after *unstructured.Unstructured) *gitops.Error {
	c.mu.Lock()
	said, ok := c.promised[w.key]
	delete(c.promised, w.key)
	c.mu.Unlock()
	if !ok || said.desired != w.digest {
		return nil
	}
	stored := c.only(ctx, l, bare(after.Object, false), said.fields)
	if same(stored, said.stored) {
		return nil
	}
	if diff := c.differing(ctx, l, said.stored, stored); diff != nil && !diff.IsSame() {
		return gitops.Errorf(gitops.ApplyFailed, "the server stored %s otherwise than its dry run had said; an admission webhook may do that", paths(diff)[0])
	}
	return nil
}

// remove deletes one object of ours.
func (c *Cluster) remove(ctx context.Context, l *link, ch plan.Change) *gitops.Error {
	gk := schema.GroupKind{Group: ch.Ref.Group, Kind: ch.Ref.Kind}
	if err := l.catalog.refresh(ctx, catalogAge); err != nil {
		return failure(err, gitops.ApplyFailed, scrubber{})
	}
	k, ok := l.catalog.serving(gk)
	switch {
	case !ok && l.catalog.unknown(gk.Group):
		return gitops.Errorf(gitops.ApplyFailed, "the server of API group %s does not answer", gk.Group)
	case !ok:
		return nil // the kind is gone, and every object of it with it
	}
	return c.delete(ctx, l, k, key{gk, ch.Ref.Namespace, ch.Ref.Name}, gitops.StringAt(ch.Live, "metadata", "uid"), ch.From.Overlay)
}

// delete re-reads the object, makes sure that it is the planned one and still in the overlay's set, and deletes exactly what
// it read: UID and resourceVersion are preconditions, so that what changes in between is read again.
func (c *Cluster) delete(ctx context.Context, l *link, k kind, name key, uid, overlay string) *gitops.Error {
	const tries = 10
	for range tries {
		live, err := l.get(ctx, k, name)
		switch {
		case err != nil:
			return failure(err, gitops.ApplyFailed, scrubber{mute: true})
		case live == nil || live.GetDeletionTimestamp() != nil:
			c.forget(name)
			return nil
		case uid != "" && string(live.GetUID()) != uid:
			return gitops.Errorf(gitops.ApplyConflict, "it was made anew since this was planned")
		case live.GetLabels()[partOf] != c.parentOf(overlay).id() && !c.dismisses(name, live):
			return gitops.Errorf(gitops.Foreign, "its label %s no longer says that it is ours", partOf)
		}
		id, version, policy := live.GetUID(), live.GetResourceVersion(), propagation(name.GroupKind)
		err = l.resource(k, name.Namespace).Delete(ctx, name.Name, metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{UID: &id, ResourceVersion: &version}, PropagationPolicy: &policy,
		})
		switch {
		case err == nil || apierrors.IsNotFound(err):
			c.forget(name)
			return nil
		case !apierrors.IsConflict(err):
			return failure(l.judge(ctx, err, k, name, "delete"), gitops.ApplyFailed, scrubber{mute: true})
		}
	}
	return gitops.Errorf(gitops.ApplyFailed, "it changes all the time, so it could not be deleted as it was read")
}

// propagation: the end of a workload is the end of its pods, so its deletion is done when they are gone; for other kinds it is
// the garbage collector's business.
func propagation(gk schema.GroupKind) metav1.DeletionPropagation {
	if gk.Group == "apps" || gk.Group == "batch" {
		return metav1.DeletePropagationForeground
	}
	return metav1.DeletePropagationBackground
}

// replace deletes the planned object, and applies when it is gone.
func (c *Cluster) replace(ctx context.Context, l *link, ch plan.Change) *gitops.Error {
	w, e := c.wanted(ctx, l, ch)
	if e != nil {
		return e
	}
	live, err := l.get(ctx, w.kind, w.key)
	if err != nil {
		return failure(err, gitops.ApplyFailed, w.secrets(nil))
	}
	planned := gitops.StringAt(ch.Live, "metadata", "uid")
	if live == nil || planned == "" || string(live.GetUID()) != planned {
		c.mu.Lock()
		delete(c.replacing, w.key)
		delete(c.promised, w.key)
		c.mu.Unlock()
		return c.put(ctx, l, ch)
	}
	c.mu.Lock()
	c.replacing[w.key] = planned
	c.mu.Unlock()
	overlay := ch.From.Overlay
	if moved, ok := c.setOf(live); ok {
		overlay = moved
	}
	return c.delete(ctx, l, w.kind, w.key, planned, overlay)
}

// settle forgets a replacement that an earlier plan had begun.
func (c *Cluster) settle(ref gitops.Ref) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.replacing, func(k key, _ string) bool {
		return k.Group == ref.Group && k.Kind == ref.Kind && k.Name == ref.Name && (k.Namespace == "" || k.Namespace == ref.Namespace)
	})
}

// setOf finds the overlay whose set an object is in.
func (c *Cluster) setOf(live *unstructured.Unstructured) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for overlay, set := range c.sets {
		if set.id() == live.GetLabels()[partOf] {
			return overlay, true
		}
	}
	return "", false
}

// Ready implements engine.Actor: how far an object is. For a deleted one, Absent is the goal.
func (c *Cluster) Ready(ctx context.Context, r gitops.Ref) (gitops.Health, error) {
	l, _, err := c.connect(ctx)
	if errors.Is(err, ErrNoCluster) {
		return gitops.Health{Status: gitops.Absent}, nil
	}
	if err != nil {
		return gitops.Health{}, gitops.AsError(gitops.Unreachable, err)
	}
	gk := schema.GroupKind{Group: r.Group, Kind: r.Kind}
	k, ok, err := l.served(ctx, gk)
	switch {
	case err != nil:
		return gitops.Health{}, failure(err, gitops.ObserveFailed, scrubber{}).On(r)
	case !ok:
		return gitops.Health{Status: gitops.Absent}, nil
	}
	name := key{gk, "", r.Name}
	if k.Namespaced {
		name.Namespace = r.Namespace
	}
	live, err := c.look(ctx, l, k, name)
	if err != nil {
		return gitops.Health{}, failure(fmt.Errorf("reading it: %w", err), gitops.ObserveFailed, scrubber{mute: true}).On(r)
	}
	c.mu.Lock()
	old, replacing := c.replacing[name]
	c.mu.Unlock()
	switch {
	case replacing && (live == nil || string(live.GetUID()) == old):
		return gitops.Health{Status: gitops.Progressing, Message: "being replaced: the old object goes first", Step: true}, nil
	case live != nil && c.succeeds(name, live):
		return gitops.Health{Status: gitops.Absent}, nil
	case live == nil && c.passed(name):
		return gitops.Health{Status: gitops.Ready, Finished: true}, nil
	case live == nil:
		c.retire(ctx, l, name)
		return gitops.Health{Status: gitops.Absent}, nil
	}
	return c.health(ctx, l, live), nil
}

// look reads an object from memory where a watch keeps it there, or will as soon as it has caught up with our own write, else from the
// server. That it is not in memory proves nothing: it may be there without our label.
func (c *Cluster) look(ctx context.Context, l *link, k kind, name key) (*unstructured.Unstructured, error) {
	c.mu.Lock()
	w := c.watch
	c.mu.Unlock()
	if w != nil {
		seen, ok := w.one(query{kind: k, label: partOf}, name)
		if newest := c.newest(name, seen); ok || newest != nil {
			return newest.whole(), nil
		}
	}
	return l.get(ctx, k, name)
}
