package apply

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"runtime/debug"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// stands answers for a desired object that is live as git says, if that can be told without anything but the two.
func (p *pass) stands(ctx context.Context, w want) (answered bool) {
	defer p.survive(w)
	live := p.newest(w.key, p.live[w.key]).whole()
	if live == nil || live.GetDeletionTimestamp() != nil || !p.standing(w, live) {
		return false
	}
	p.store(ctx, w, live, decision{next: bare(live.Object, true), noop: true, local: true})
	return true
}

// survive makes a panic about one object, in a library that meets content nobody thought of, an error of that object.
func (p *pass) survive(w want) {
	if r := recover(); r != nil {
		p.fail(w.item, gitops.Errorf(gitops.Internal, "panic while comparing: %T", r))
		p.Log.Error("comparing", "ref", w.item.Ref.String(), "stack", string(debug.Stack()))
	}
}

// observe answers for one desired object.
func (p *pass) observe(ctx context.Context, w want) {
	defer p.survive(w)
	w = w.prepared()
	live := p.newest(w.key, p.live[w.key]).whole()
	if live == nil {
		found, answered := p.unseen(ctx, w)
		if answered {
			return
		}
		live = found
	}
	if set := live.GetLabels()[partOf]; set != "" && !p.known(set) {
		p.fail(w.item, gitops.Errorf(gitops.Foreign, "it belongs to another ApplySet (%s), which another tool keeps", set))
		return
	}
	if live.GetDeletionTimestamp() != nil {
		// Nothing can keep it, and nothing can be made of its name before it is gone: it is waited for, then made anew.
		p.store(ctx, w, live, decision{next: bare(live.Object, true)})
		return
	}
	d, live := p.decide(ctx, p, w, live)
	p.store(ctx, w, live, d)
}

// unseen answers for a desired object that is not among the labelled ones, or finds it: it is absent, or there without being
// ours, which the dry run of a creation tells, too.
func (p *pass) unseen(ctx context.Context, w want) (found *unstructured.Unstructured, answered bool) {
	if w.key.Namespace != "" && p.coming[w.key.Namespace] {
		namespace := key{namespaceKind(), "", w.key.Namespace}
		p.store(ctx, w, nil, decision{next: bare(w.payload, false), predicted: true, needs: []gitops.Ref{namespace.ref()}})
		return nil, true
	}
	if e := p.blind[w.key.GroupKind]; e != nil {
		p.fail(w.item, gitops.Errorf(e.Reason, "%w", e.Err))
		return nil, true
	}
	if p.absent[w.key] {
		p.store(ctx, w, nil, decision{next: bare(w.payload, false)})
		return nil, true
	}
	booked := p.inv[w.item.Ref]
	finished := booked.Finished && booked.Spec == gitops.DigestOf(w.item.Spec)
	var d decision
	if !finished {
		if d, _ = p.decide(ctx, p, w, nil); !d.unsure {
			p.store(ctx, w, nil, d)
			return nil, true
		}
	}
	found, err := p.link.get(ctx, w.kind, w.key)
	switch {
	case err != nil:
		p.fail(w.item, failure(err, gitops.ObserveFailed, w.secrets(nil)))
	case found != nil:
		return found, false
	case finished:
		p.mu.Lock()
		p.out[w.item.Ref] = gitops.Observation{Finished: true, Overlay: booked.Overlay, From: w.item.From, Spec: w.item.Spec}
		p.mu.Unlock()
	default:
		p.store(ctx, w, nil, d)
	}
	return nil, true
}

// settled answers for an object about which nothing moved since it was found ready and as git wants it; false when it must be
// looked at.
func (p *pass) settled(w want) bool {
	o, ok := p.memo.settled(w, p.newest(w.key, p.live[w.key]), p.link.catalog.version(w.kind.GroupVersion()))
	if ok {
		p.out[w.item.Ref] = o
	}
	return ok
}

// known reports whether a set is one of ours, live or about to be made.
func (p *pass) known(set string) bool {
	_, ok := p.parents[set]
	return ok || p.asked[set]
}

// store turns a decision into an observation.
func (p *pass) store(ctx context.Context, w want, live *unstructured.Unstructured, d decision) {
	o := gitops.Observation{
		Next: d.next, Predicted: d.predicted, Replace: d.replace, Owners: d.owners, Skipped: d.skipped, Overruled: d.overruled, Conflicts: d.conflicts,
		Keeper: d.keeper, Needs: d.needs, From: w.item.From, Spec: w.item.Spec,
	}
	if d.err != nil {
		e := *d.err
		o.Err = e.On(w.item.Ref).At(w.item.From)
	}
	if live != nil {
		o.Live = bare(live.Object, true)
		o.Overlay, o.Owned = p.owner(w.item.Ref, live)
		health := p.health(ctx, p.link, live)
		if o.Finished = health.Finished; health.Status != gitops.Ready {
			o.Progress = &health
		}
		if len(d.replace) > 0 {
			o.Data, o.Inside = p.holdsData(ctx, live)
		}
	}
	p.mu.Lock()
	p.out[w.item.Ref] = o
	p.mu.Unlock()
	p.memo.settle(w, live, p.link.catalog.version(w.kind.GroupVersion()), o)
	if d.promise != nil && !d.predicted {
		p.promises(w, d)
	}
}

// owner says which of our overlays an object belongs to, and whether it is ours at all: it carries the label of a set of ours,
// and we put the label there. Controllers copy labels of an object to what they make of it; such copies are not ours.
func (p *pass) owner(ref gitops.Ref, live *unstructured.Unstructured) (string, bool) {
	set, ok := p.parents[live.GetLabels()[partOf]]
	if !ok {
		return "", false
	}
	if _, booked := p.inv[ref]; booked {
		return set.overlay, true
	}
	for _, v := range gitops.ListAt(live.Object, "metadata", "managedFields") {
		e, _ := v.(gitops.Tree)
		if _, labelled := gitops.At(e, "fieldsV1", "f:metadata", "f:labels", "f:"+partOf); labelled && booking(e).ours(p.Manager) {
			return set.overlay, true
		}
	}
	return set.overlay, false
}

// leftovers answers for what is ours and no longer wanted, and for what the inventory knows beyond that.
func (p *pass) leftovers(ctx context.Context) {
	var gone []*unstructured.Unstructured
	for k, seen := range p.live {
		if _, wanted := p.wants[k]; wanted {
			continue
		}
		if seen = p.newest(k, seen); seen != nil {
			gone = append(gone, seen.whole())
		}
	}
	each(len(gone), width, func(i int) { p.leftover(ctx, gone[i]) })
	for gk, e := range p.blind {
		// The kind as a whole: nothing of it is known, so nothing may be concluded from what was not seen.
		ref := gitops.Ref{Domain: gitops.K8s, Group: gk.Group, Kind: gk.Kind}
		p.out[ref] = gitops.Observation{Err: e}
	}
	for ref, booked := range p.inv {
		if _, answered := p.out[ref]; answered || ref.Domain != gitops.K8s {
			continue
		}
		p.absentee(ctx, ref, booked)
	}
}

func (p *pass) leftover(ctx context.Context, u *unstructured.Unstructured) {
	ref := keyOf(u).ref()
	overlay, owned := p.owner(ref, u)
	if !owned {
		return
	}
	o := gitops.Observation{Live: bare(u.Object, true), Owned: true, Overlay: overlay}
	o.Data, o.Inside = p.holdsData(ctx, u)
	if health := p.health(ctx, p.link, u); health.Status == gitops.Terminating {
		o.Progress = &health
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, wanted := p.out[ref]; !wanted {
		p.out[ref] = o
	}
}

// absentee answers for an inventory entry that was not among the labelled objects: it is gone, or it is there and somebody
// took the label off, so that it is not ours to delete any more. It is looked up once.
func (p *pass) absentee(ctx context.Context, ref gitops.Ref, booked gitops.Entry) {
	gk := schema.GroupKind{Group: ref.Group, Kind: ref.Kind}
	if p.blind[gk] != nil {
		return
	}
	k, served := p.link.catalog.serving(gk)
	if !served || p.stray(ref) {
		p.out[ref] = gitops.Observation{Overlay: booked.Overlay}
		return
	}
	live, err := p.link.get(ctx, k, key{gk, ref.Namespace, ref.Name})
	switch {
	case err != nil:
		p.out[ref] = gitops.Observation{Err: failure(err, gitops.ObserveFailed, scrubber{mute: true}).On(ref)}
		return
	case live == nil:
		p.out[ref] = gitops.Observation{Overlay: booked.Overlay}
	default:
		p.out[ref] = gitops.Observation{Live: bare(live.Object, true), Overlay: booked.Overlay}
	}
	if p.Watch {
		p.Cluster.mu.Lock()
		p.strays[ref] = true
		p.Cluster.mu.Unlock()
	}
}

func (c *Cluster) stray(ref gitops.Ref) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.strays[ref]
}

// notYet reports whether the server refused because of something that git itself will make or change first: then the outcome
// is predicted. Needs are those things, as far as the plan would not infer them.
func (p *pass) notYet(w want, err error) ([]gitops.Ref, bool) {
	var api apierrors.APIStatus
	if !errors.As(err, &api) {
		return nil, false
	}
	status := api.Status()
	if crd, ok := p.crds[w.kind.GroupKind()]; ok && (p.changing[w.kind.GroupKind()] || routeless(status, w.kind)) {
		return []gitops.Ref{crd.ref()}, true
	}
	if status.Reason == metav1.StatusReasonNotFound || status.Reason == metav1.StatusReasonForbidden {
		if need, ok := p.named(w, status); ok {
			return []gitops.Ref{need}, true
		}
	}
	if status.Code == http.StatusInternalServerError {
		if hooks := p.hooks(w); len(hooks) > 0 {
			return hooks, true
		}
	}
	return nil, false
}

// routeless reports whether the server does not answer for a kind at all, though discovery shows it: of several API servers one
// may not have heard of a definition yet. An apply makes what is not there, so nothing else says that the object is not found.
func routeless(status metav1.Status, k kind) bool {
	return status.Reason == metav1.StatusReasonNotFound && status.Details != nil && status.Details.Kind == k.Resource
}

// named finds the desired object that an answer is about, when it is not the object that was sent: a namespace, a role, a
// service account that git will make.
func (p *pass) named(w want, status metav1.Status) (gitops.Ref, bool) {
	if slices.ContainsFunc(causes(status), func(c metav1.StatusCause) bool { return c.Type == "NamespaceTerminating" }) {
		return gitops.Ref{Domain: gitops.K8s, Kind: "Namespace", Name: w.key.Namespace}, true
	}
	account := key{schema.GroupKind{Kind: "ServiceAccount"}, w.key.Namespace, gitops.StringAt(w.payload, "spec", "serviceAccountName")}
	if other, wanted := p.wants[account]; wanted && w.key.Kind == "Pod" && !p.there(account) {
		return other.item.Ref, true
	}
	details := status.Details
	if status.Reason != metav1.StatusReasonNotFound || details == nil {
		return gitops.Ref{}, false
	}
	for k, other := range p.wants {
		if other.kind.Resource == details.Kind && k.Name == details.Name && k.Group == details.Group && k != w.key {
			return other.item.Ref, true
		}
	}
	return gitops.Ref{}, false
}

func causes(status metav1.Status) []metav1.StatusCause {
	if status.Details == nil {
		return nil
	}
	return status.Details.Causes
}

// hooks are the admission webhooks of git that see objects of this kind: while what answers them is not there, the server
// cannot even try.
func (p *pass) hooks(w want) []gitops.Ref {
	var out []gitops.Ref
	for _, hook := range p.webhooks {
		for _, webhook := range gitops.ListAt(hook.Spec, "webhooks") {
			t, _ := webhook.(gitops.Tree)
			for _, rule := range gitops.ListAt(t, "rules") {
				r, _ := rule.(gitops.Tree)
				if lists(r, "apiGroups", w.kind.Group) && lists(r, "resources", w.kind.Resource) {
					out = append(out, hook.Ref)
				}
			}
		}
	}
	slices.SortFunc(out, gitops.Ref.Compare)
	return slices.Compact(out)
}

// lists reports whether a list of strings names a value, or everything.
func lists(t gitops.Tree, field, value string) bool {
	return slices.ContainsFunc(gitops.ListAt(t, field), func(v any) bool { return v == value || v == "*" || v == "*/*" })
}

// same compares trees that came out of the same decoder.
func same(a, b gitops.Tree) bool { return reflect.DeepEqual(a, b) }

// settlePass keeps what applying needs to know of what was seen.
func (c *Cluster) settlePass(p *pass) {
	c.memo.only(p.wants)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sets, c.plans, c.idle = map[string]parent{}, map[string]parent{}, map[string]map[key]bool{}
	for id, set := range p.parents {
		c.sets[set.overlay] = set
		if !p.asked[id] {
			c.idle[set.overlay] = map[key]bool{}
		}
	}
	plan := func(overlay string, k key) {
		set, ok := c.plans[overlay]
		if !ok {
			set = c.parentOf(overlay)
		}
		set.include(k)
		c.plans[overlay] = set
	}
	for k, w := range p.wants {
		plan(w.item.From.Overlay, k)
	}
	for k, seen := range p.live {
		if set, ok := p.parents[seen.set]; ok {
			plan(set.overlay, k)
			if members := c.idle[set.overlay]; members != nil {
				members[k] = true
			}
		}
	}
	for _, set := range p.parents {
		for gk := range p.blind {
			if set.kinds[gk] {
				plan(set.overlay, key{GroupKind: gk}) // members that were not seen must stay findable
			}
		}
	}
	maps.DeleteFunc(c.promised, func(k key, _ promise) bool { _, wanted := p.wants[k]; return !wanted })
	maps.DeleteFunc(c.declines, func(k key, _ bool) bool { _, wanted := p.wants[k]; return !wanted })
	for ref := range c.strays {
		if _, booked := p.inv[ref]; !booked {
			delete(c.strays, ref)
		}
	}
}

// promise is what a dry run said about the fields that git keeps, for one desired content.
type promise struct {
	desired gitops.Digest
	fields  *fieldpath.Set
	stored  gitops.Tree
}

func (p *pass) promises(w want, d decision) {
	p.Cluster.mu.Lock()
	defer p.Cluster.mu.Unlock()
	p.promised[w.key] = promise{w.digest, d.fields, d.promise}
}
