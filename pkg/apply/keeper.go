package apply

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// keeper tells which other tool applies an object that is not ours yet and owns fields that git sets, too; empty when there
// is none. Two appliers of one object would take turns at best: whoever adds fields of its own only is no keeper, nor is a person, nor who a rule of
// the policy decides about.
func (c *Cluster) keeper(w want, live *unstructured.Unstructured, managed []manager, desired *fieldpath.Set) string {
	if live.GetLabels()[partOf] != "" {
		return ""
	}
	for _, m := range managed {
		ruling := rulingOf(c.rules, w.item.Ref, m, nil)
		if keeps(m) && !m.ours(c.Manager) && !ruling.person && !ruling.policy && !m.fields.Intersection(desired).Leaves().Empty() {
			return applier(m.Manager)
		}
	}
	return ""
}

// keeps reports whether an entry is of somebody who applies whole objects. What we write about identities is git's, too.
func keeps(m manager) bool {
	return m.Operation == metav1.ManagedFieldsOperationApply && m.Subresource == "" && m.Manager != accountManager
}

// applier says who a field manager is. EKS installs its addons as "eks".
func applier(manager string) string {
	switch manager {
	case "eks":
		return "an EKS addon (field manager eks): remove the addon from the ClusterConfig, or this object from git"
	default:
		return "another tool (field manager " + manager + "): stop one of the two"
	}
}
