package plan

import (
	"fmt"
	"slices"
	"strings"
)

// Load is what draining some nodes of a cluster moves, and what it tells of the nodes that it may move to.
type Load struct {
	// Pods are those that move.
	Pods []Pod
	// Budgets are, in words, what may keep them: budgets that allow none to go now, and that no controller would make some anew.
	Budgets []string
	// Daemons is what those ask for that every node has of its own (DaemonSets, and what the kubelet runs from files): the most on any node.
	Daemons Amounts
	// Nodes is what a node has for pods (status.allocatable), by instance type: the most that a node of the cluster with that type has.
	Nodes map[string]Amounts
}

// ZoneLabel is the label of nodes, and of what can be reached from some of them only, that names their zone.
const ZoneLabel = "topology.kubernetes.io/zone"

// Zonal reports whether it matters to any of the pods which zones they move to.
func (l Load) Zonal() bool {
	asks := func(r Requirement) bool { return r.Key == ZoneLabel }
	return slices.ContainsFunc(l.Pods, func(p Pod) bool {
		return len(p.Zones) > 0 || slices.ContainsFunc(p.Needs, func(all []Requirement) bool { return slices.ContainsFunc(all, asks) })
	})
}

// Scratch counts the pods that lose what they have on the disk of their node.
func (l Load) Scratch() int {
	n := 0
	for _, p := range l.Pods {
		if p.Scratch {
			n++
		}
	}
	return n
}

// Pod is what a pod needs of the node that it moves to.
type Pod struct {
	// Scratch says that it loses what it has on its node's disk (emptyDir).
	Scratch bool
	// Asks are its requests, its place as one of the node's "pods" among them.
	Asks Amounts
	// Needs are what it asks of its node's labels (nodeSelector, required node affinity): all of one of these lists. With no list it asks nothing.
	Needs [][]Requirement
	// Tolerates are the taints that it puts up with.
	Tolerates []Toleration
	// Zones are those that its volumes can be reached from; none when they can be from everywhere.
	Zones []string
}

// Amounts are amounts of resources by name: of cpu in thousandths, of any other in whole units.
type Amounts map[string]int64

// Add adds amounts.
func (a Amounts) Add(more Amounts) {
	for name, n := range more {
		a[name] += n
	}
}

// Most raises amounts to others that are more.
func (a Amounts) Most(others Amounts) {
	for name, n := range others {
		a[name] = max(a[name], n)
	}
}

// Requirement is what is asked of a label (NodeSelectorRequirement in the Kubernetes API reference).
type Requirement struct {
	Key, Operator string
	Values        []string
}

// String is the requirement as a label selector has it.
func (r Requirement) String() string {
	values := strings.Join(r.Values, ",")
	switch {
	case r.Operator == "In" && len(r.Values) == 1:
		return r.Key + "=" + values
	case r.Operator == "NotIn" && len(r.Values) == 1:
		return r.Key + "!=" + values
	case r.Operator == "In":
		return fmt.Sprintf("%s in (%s)", r.Key, values)
	case r.Operator == "NotIn":
		return fmt.Sprintf("%s notin (%s)", r.Key, values)
	case r.Operator == "DoesNotExist":
		return "!" + r.Key
	case r.Operator == "Gt":
		return r.Key + ">" + values
	case r.Operator == "Lt":
		return r.Key + "<" + values
	}
	return r.Key
}

// Toleration is what a pod puts up with (Toleration in the Kubernetes API reference).
type Toleration struct{ Key, Operator, Value, Effect string }
