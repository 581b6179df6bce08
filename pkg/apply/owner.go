package apply

import (
	"path"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// Verdict says what is done about a field that git sets and another manager owns.
type Verdict string

// The verdicts.
const (
	// Take sets the field: git wins.
	Take Verdict = "take"
	// Leave keeps the other's value and shows it.
	Leave Verdict = "leave"
	// Hold keeps the whole change until a person decides.
	Hold Verdict = "hold"
)

// Rule decides about the fields of managers. The first rule that matches wins; see Rules for the built-in ones.
type Rule struct {
	// Manager is a pattern (path.Match) of the field manager's name, which managedFields tells.
	Manager string
	// Operation is "Apply", "Update" or "" for both.
	Operation string
	// Subresource is the subresource it wrote through; "*" is any, "" the object itself.
	Subresource string
	// Path is a pattern of the field's path ("spec.replicas"); "" is any.
	Path string
	// Verdict is what is done.
	Verdict Verdict
	// Person says that the manager is a tool in a person's hands. What people add to an object beyond git is taken out again.
	Person bool
}

// Rules are the built-in rules, asked after those of Options.
//
// People: the names that kubectl's commands, k9s, dashboards (browsers: "Mozilla") and Lens send, and before-first-apply, which
// is how the server books fields that nobody owned when the first server-side apply came. A restart by `kubectl rollout
// restart` is an action, not a state: undoing it would restart everything again, so what it adds stays.
// Autoscalers: whatever scales through the scale subresource, and those that write objects themselves.
func Rules() []Rule {
	rules := []Rule{{Manager: "kubectl-rollout", Subresource: "*", Verdict: Take}}
	for _, person := range []string{
		"kubectl", "kubectl-*", "k9s*", "Mozilla*", "dashboard*", "kubernetes-dashboard*", "headlamp*", "Headlamp*", "lens*", "Lens*", "OpenLens*",
		"node-fetch*", "curl*", "before-first-apply",
	} {
		rules = append(rules, Rule{Manager: person, Subresource: "*", Verdict: Take, Person: true})
	}
	for _, scaler := range []string{"vpa-*", "keda*", "goldilocks*", "cluster-autoscaler*", "karpenter*", "cluster-proportional-autoscaler*"} {
		rules = append(rules, Rule{Manager: scaler, Subresource: "*", Verdict: Leave})
	}
	return append(rules,
		Rule{Manager: accountManager, Subresource: "*", Verdict: Leave},
		Rule{Manager: "*", Subresource: "scale", Verdict: Leave},
		Rule{Manager: "*", Subresource: "status", Verdict: Leave},
		Rule{Manager: "kube-controller-manager", Subresource: "*", Verdict: Leave},
		Rule{Manager: "cainjector*", Subresource: "*", Verdict: Leave},
		Rule{Manager: "cert-manager-cainjector*", Subresource: "*", Verdict: Leave},
		Rule{Manager: "*", Operation: string(metav1.ManagedFieldsOperationApply), Subresource: "*", Verdict: Leave},
		Rule{Manager: "*", Subresource: "*", Verdict: Hold},
	)
}

// manager is one entry of managedFields, decoded.
type manager struct {
	metav1.ManagedFieldsEntry
	fields *fieldpath.Set
}

// managers decodes managedFields; entries in a form we cannot read own nothing that we know of.
func managers(u *unstructured.Unstructured) []manager {
	entries := u.GetManagedFields()
	out := make([]manager, 0, len(entries))
	for _, e := range entries {
		if e.FieldsV1 == nil || e.FieldsType != "FieldsV1" {
			continue
		}
		set := &fieldpath.Set{}
		if err := set.FromJSON(e.FieldsV1.GetRawReader()); err != nil {
			continue
		}
		out = append(out, manager{e, set})
	}
	return out
}

// ours reports whether an entry is what our own applies own.
func (m manager) ours(name string) bool {
	return m.Manager == name && m.Operation == metav1.ManagedFieldsOperationApply && m.Subresource == ""
}

// verdict finds the first rule for a field of a manager.
func verdict(rules []Rule, m manager, field string) Rule {
	for _, r := range rules {
		name, err := path.Match(r.Manager, m.Manager)
		if err != nil || !name {
			continue
		}
		if r.Operation != "" && r.Operation != string(m.Operation) || r.Subresource != "*" && r.Subresource != m.Subresource {
			continue
		}
		if r.Path != "" && r.Path != field {
			if matched, err := path.Match(r.Path, field); err != nil || !matched {
				continue
			}
		}
		return r
	}
	return Rule{Verdict: Hold}
}

// personal reports whether an entry is of a person who wrote to the object itself.
func personal(rules []Rule, m manager) bool {
	return m.Subresource == "" && verdict(rules, m, "").Person
}

// pathText is a field's path in the form that plan's edits have. Items of sets, which have no name, end it: the edit is then
// about the list.
func pathText(p fieldpath.Path) string {
	text := ""
	for _, e := range p {
		switch {
		case e.FieldName != nil:
			text = plan.Field(text, *e.FieldName)
		case e.Key != nil:
			named := map[string]any{}
			for _, f := range *e.Key {
				named[f.Name] = value.ToString(f.Value)
				if f.Value.IsString() {
					named[f.Name] = f.Value.AsString()
				}
			}
			text = plan.Keyed(text, named)
		case e.Index != nil:
			text = plan.Index(text, *e.Index)
		default:
			return text
		}
	}
	return text
}

// owners tells who set the live values, by path; of several the one who wrote last. Our own fields are left out: git is
// who set them.
func owners(managed []manager, self string) map[string]gitops.Owner {
	out := map[string]gitops.Owner{}
	slices.SortStableFunc(managed, func(a, b manager) int { return when(a).Compare(when(b)) })
	for _, m := range managed {
		if m.ours(self) || m.Subresource == "status" {
			continue
		}
		owner := gitops.Owner{Manager: m.Manager}
		if m.Time != nil {
			owner.At = m.Time.UTC().Format(time.RFC3339)
		}
		m.fields.Leaves().Iterate(func(p fieldpath.Path) { out[pathText(p)] = owner })
		// Whoever made an item of a list is its owner as a whole, for when it goes as a whole.
		m.fields.Iterate(func(p fieldpath.Path) {
			if p[len(p)-1].Key != nil {
				out[pathText(p)] = owner
			}
		})
	}
	return out
}

func when(m manager) time.Time {
	if m.Time == nil {
		return time.Time{}
	}
	return m.Time.Time
}

// attribute tells who set the live values of the fields that differ. A map that goes as a whole is attributed like the last
// of what was in it.
func attribute(managed []manager, self string, diff *typed.Comparison, next gitops.Tree) map[string]gitops.Owner {
	all, out := owners(managed, self), map[string]gitops.Owner{}
	for _, set := range []*fieldpath.Set{diff.Added, diff.Modified, diff.Removed} {
		set.Iterate(func(p fieldpath.Path) {
			for i := range p {
				path := pathText(p[:i+1])
				if owner, known := all[path]; known {
					out[path] = owner
				}
			}
		})
	}
	diff.Removed.Leaves().Iterate(func(p fieldpath.Path) {
		owner, known := all[pathText(p)]
		for i := 1; known && i < len(p); i++ {
			if above, ok := emptied(next, p[:i]); ok {
				out[above] = owner
				return
			}
		}
	})
	return out
}

// emptied reports whether a path of field names leads to nothing, or to nothing in it, and gives its text.
func emptied(t gitops.Tree, p fieldpath.Path) (string, bool) {
	names := make([]string, 0, len(p))
	for _, e := range p {
		if e.FieldName == nil {
			return "", false
		}
		names = append(names, *e.FieldName)
	}
	v, _ := gitops.At(t, names...)
	switch v := v.(type) {
	case nil:
		return pathText(p), true
	case gitops.Tree:
		return pathText(p), len(v) == 0
	case []any:
		return pathText(p), len(v) == 0
	}
	return "", false
}

// within reports whether path p is q or below it.
func within(p, q string) bool {
	rest, ok := strings.CutPrefix(p, q)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// takeover is managedFields after we took what people's tools own: their fields become ours, so that the next apply removes
// those that git does not have. Nil when there is nothing to take.
func takeover(u *unstructured.Unstructured, managed []manager, rules []Rule, self string, desired *fieldpath.Set) []metav1.ManagedFieldsEntry {
	extra := false
	union := &fieldpath.Set{}
	var version string
	for _, m := range managed {
		switch {
		case m.ours(self):
			union, version = union.Union(m.fields), m.APIVersion
		case personal(rules, m):
			extra = extra || beyond(m.fields, desired)
			union = union.Union(m.fields)
		}
	}
	if !extra {
		return nil
	}
	if version == "" {
		version = u.GetAPIVersion()
	}
	raw, err := union.ToJSON()
	if err != nil {
		return nil
	}
	mine := metav1.ManagedFieldsEntry{
		Manager: self, Operation: metav1.ManagedFieldsOperationApply, APIVersion: version, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(string(raw)),
	}
	out := []metav1.ManagedFieldsEntry{mine}
	for _, e := range u.GetManagedFields() {
		m := manager{ManagedFieldsEntry: e}
		if !m.ours(self) && !personal(rules, m) {
			out = append(out, e)
		}
	}
	return out
}

// beyond reports whether a set has leaves that the desired set does not have.
func beyond(owned, desired *fieldpath.Set) bool {
	return !owned.Leaves().Difference(desired).Empty()
}
