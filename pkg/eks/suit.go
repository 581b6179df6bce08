package eks

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/eks-gitops/reconciler/pkg/plan"
)

// refuses says which pods do not go on the nodes, however much room these have: by labels, taints and zones, as the scheduler has it (Kubernetes
// documentation, "Assigning Pods to Nodes", "Taints and Tolerations").
func (s successor) refuses(pods []plan.Pod) []string {
	why := map[string]int{} // the end of a sentence, and how many pods it is about
	for _, p := range pods {
		for _, reason := range []string{s.mismatch(p), s.repels(p), s.unreached(p)} {
			if reason != "" {
				why[reason]++
			}
		}
	}
	var said []string
	for _, reason := range slices.Sorted(maps.Keys(why)) {
		said = append(said, thatMany(why[reason], reason))
	}
	slices.Sort(said)
	return said
}

// thatMany begins a sentence whose verb is written for many.
func thatMany(n int, rest string) string {
	if n > 1 {
		return fmt.Sprintf("%d pods %s", n, rest)
	}
	verb, rest, _ := strings.Cut(rest, " ")
	one := map[string]string{"need": "needs", "do": "does", "have": "has"}
	return fmt.Sprintf("1 pod %s %s", one[verb], rest)
}

// mismatch says which labels a pod asks for in vain.
func (s successor) mismatch(p plan.Pod) string {
	var missed []string
	for _, all := range p.Needs {
		i := slices.IndexFunc(all, func(r plan.Requirement) bool { return !s.meets(r) })
		if i < 0 {
			return ""
		}
		missed = append(missed, all[i].String())
	}
	if len(missed) == 0 {
		return ""
	}
	return fmt.Sprintf("need a node that matches %s, and the new nodes do not", strings.Join(slices.Compact(missed), " or "))
}

// meets says that the nodes may meet a requirement: that nothing known speaks against it.
func (s successor) meets(r plan.Requirement) bool {
	values, told := s.labels[r.Key]
	switch {
	case told && len(values) == 0, !told && (s.opaque || othersLabel(r.Key)):
		return true // not known
	case !told:
		return r.Operator != "In" && r.Operator != "Exists" && r.Operator != "Gt" && r.Operator != "Lt"
	}
	return slices.ContainsFunc(values, func(value string) bool { return allows(r, value) })
}

// allows says that a label may have the value. What is not understood allows any.
func allows(r plan.Requirement, value string) bool {
	switch r.Operator {
	case "In":
		return slices.Contains(r.Values, value)
	case "NotIn":
		return !slices.Contains(r.Values, value)
	case "DoesNotExist":
		return false
	case "Gt", "Lt":
		have, err := strconv.Atoi(value)
		if err != nil || len(r.Values) != 1 {
			return false
		}
		bound, err := strconv.Atoi(r.Values[0])
		return err == nil && (r.Operator == "Gt" && have > bound || r.Operator == "Lt" && have < bound)
	}
	return true
}

// othersLabel says that a label is one that Kubernetes, AWS or what finds out about devices sets on nodes, in place of their nodegroup.
func othersLabel(key string) bool {
	domain, _, prefixed := strings.Cut(key, "/")
	return prefixed && slices.ContainsFunc([]string{"kubernetes.io", "k8s.io", "k8s.aws", "amazonaws.com", "amazon.com", "nvidia.com", "amd.com", "intel.com"}, func(owner string) bool {
		return domain == owner || strings.HasSuffix(domain, "."+owner)
	})
}

// repels names a taint of the nodes that a pod does not tolerate.
func (s successor) repels(p plan.Pod) string {
	for _, taint := range s.taints {
		tolerated := func(t plan.Toleration) bool {
			equal := t.Value == taint.Value || t.Operator != "" && t.Operator != "Equal"
			return (t.Key == "" || t.Key == taint.Key) && (t.Effect == "" || t.Effect == string(taint.Effect)) && equal
		}
		if taint.Effect != corev1.TaintEffectPreferNoSchedule && !slices.ContainsFunc(p.Tolerates, tolerated) {
			return fmt.Sprintf("do not tolerate the taint %s=%s:%s of the new nodes", taint.Key, taint.Value, taint.Effect)
		}
	}
	return ""
}

// unreached names the zones of a pod's volume when none of the nodes will be in one of them.
func (s successor) unreached(p plan.Pod) string {
	if len(p.Zones) == 0 || len(s.zones) == 0 || slices.ContainsFunc(p.Zones, func(z string) bool { return slices.Contains(s.zones, z) }) {
		return ""
	}
	return fmt.Sprintf("have a volume in %s, and the new nodes are in %s", strings.Join(p.Zones, " or "), enumerate(s.zones))
}
