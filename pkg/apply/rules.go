package apply

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// rule decides about fields of other managers. The first one that picks a field wins: those of reconcile.yaml come before the
// built-in ones.
type rule struct {
	plan.Conflict
	// operation is "Apply", "Update" or "" for both.
	operation metav1.ManagedFieldsOperationType
	// subresource is the subresource it wrote through; "*" is any, "" the object itself.
	subresource string
	// person says that the manager is a tool in a person's hands. What people add to an object beyond git is taken out again.
	person bool
	// policy says that the rule is one of reconcile.yaml.
	policy bool
	// why is what a ruling to leave is explained with.
	why string
}

// rulebook is the rules of a cluster, in the order in which they are asked.
func rulebook(conflicts []plan.Conflict) []rule {
	out := make([]rule, 0, len(conflicts))
	for _, c := range conflicts {
		out = append(out, rule{Conflict: c, subresource: "*", policy: true, why: "left to it by a rule of reconcile.yaml"})
	}
	return append(out, builtin()...)
}

// builtin are the rules that always hold.
//
// People: the names that kubectl's commands, k9s, dashboards (browsers: "Mozilla") and Lens send, and before-first-apply, which
// is how the server books fields that nobody owned when the first server-side apply came. A restart by `kubectl rollout
// restart` is an action, not a state: undoing it would restart everything again, so what it adds stays.
// Autoscalers: whatever scales through the scale subresource, and those that write objects themselves.
func builtin() []rule {
	of := func(v plan.Ruling, managers ...string) rule {
		return rule{Conflict: plan.Conflict{Claim: plan.Claim{Managers: managers}, Ruling: v}, subresource: "*", why: "owned by a controller"}
	}
	people := of(
		plan.RulingTake, "kubectl", "kubectl-*", "k9s*", "Mozilla*", "dashboard*", "kubernetes-dashboard*", "headlamp*", "Headlamp*", "lens*", "Lens*",
		"OpenLens*", "node-fetch*", "curl*", "before-first-apply",
	)
	people.person = true
	scale, status, applied := of(plan.RulingLeave), of(plan.RulingLeave), of(plan.RulingLeave)
	scale.subresource, scale.why = "scale", "set by an autoscaler through the scale subresource"
	status.subresource = "status"
	applied.operation, applied.why = metav1.ManagedFieldsOperationApply, "applied by another controller"
	return []rule{
		of(plan.RulingTake, "kubectl-rollout"),
		people,
		of(plan.RulingLeave, "vpa-*", "keda*", "goldilocks*", "cluster-autoscaler*", "karpenter*", "cluster-proportional-autoscaler*"),
		of(plan.RulingLeave, accountManager),
		scale,
		status,
		of(plan.RulingLeave, "kube-controller-manager", "cainjector*", "cert-manager-cainjector*"),
		applied,
		of(plan.RulingHold),
	}
}

// rulingOf finds the first rule for a field of an object that a manager owns; without a path, for the manager as a whole.
func rulingOf(rules []rule, ref gitops.Ref, m manager, field fieldpath.Path) rule {
	names := pathNames(field)
	for _, r := range rules {
		if r.Selects(ref) && by(r.Managers, m) && coverAny(r.Fields, names) &&
			(r.operation == "" || r.operation == m.Operation) && (r.subresource == "*" || r.subresource == m.Subresource) {
			return r
		}
	}
	return rule{Conflict: plan.Conflict{Ruling: plan.RulingHold}}
}

// by reports whether one of the patterns is of a manager; no patterns are of all.
func by(patterns []string, m manager) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return like(p, m.Manager) })
}

// coverAny reports whether one of the patterns covers a path; no patterns cover all.
func coverAny(patterns []plan.Pattern, path []string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p plan.Pattern) bool { return p.Covers(path) })
}

// like matches a name with a pattern in which * stands for any text.
func like(pattern, name string) bool {
	first, rest, more := strings.Cut(pattern, "*")
	name, ok := strings.CutPrefix(name, first)
	if !ok || !more {
		return ok && name == ""
	}
	for i := range len(name) + 1 {
		if like(rest, name[i:]) {
			return true
		}
	}
	return false
}

// managers decodes who owns what of a live object, and what of that git takes back because a person's tool set it.
func (c *Cluster) managers(w want, live *unstructured.Unstructured) []manager {
	managed := managers(live)
	ignored := c.ignored(w, managed)
	for i, m := range managed {
		if m.Subresource != "" || m.ours(c.Manager) {
			continue
		}
		taken := &fieldpath.Set{}
		m.fields.Iterate(func(p fieldpath.Path) {
			if rulingOf(c.rules, w.item.Ref, m, p).person && !ignored(p) {
				taken.Insert(p.Copy())
			}
		})
		managed[i].person = taken
	}
	return managed
}

// ignoring are the ignore rules that pick an object.
func (c *Cluster) ignoring(w want) []plan.Ignore {
	return slices.DeleteFunc(slices.Clone(c.Rules.Ignore), func(r plan.Ignore) bool { return !r.Selects(w.item.Ref) })
}

// answered is w with the ignore rules that pick it, as they are for what git says and what is live. While one of them cannot be
// answered, nothing is known about the object: its fields might be kept, or not.
func (c *Cluster) answered(w want, live *unstructured.Unstructured) (want, error) {
	w.ignore = nil
	if live == nil {
		return w, nil // git's values are for the creation
	}
	for _, r := range c.ignoring(w) {
		r, picks, err := r.Of(w.payload, live.Object)
		if err != nil {
			return w, err
		}
		if picks {
			w.ignore = append(w.ignore, r)
		}
	}
	return w, nil
}

// ignored tells which fields of an object are not git's to keep. The label of our set always is: without it the object would
// not be ours any more.
func (c *Cluster) ignored(w want, managed []manager) func(fieldpath.Path) bool {
	member := fieldpath.MakePathOrDie("metadata", "labels", partOf)
	return func(p fieldpath.Path) bool {
		if len(w.ignore) == 0 || p.Equals(member) {
			return false
		}
		names := pathNames(p)
		return slices.ContainsFunc(w.ignore, func(r plan.Ignore) bool {
			return coverAny(r.Fields, names) && (len(r.Managers) == 0 || slices.ContainsFunc(managed, func(m manager) bool {
				return !m.ours(c.Manager) && by(r.Managers, m) && m.fields.Has(p)
			}))
		})
	}
}
