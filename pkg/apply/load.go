package apply

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// Load tells what draining the nodes on these instances would move, what may keep it, and what nodes of the cluster have for pods.
func (p Preflight) Load(ctx context.Context, instances []string) (plan.Load, error) {
	l, nodes, err := Nodes(p).all(ctx)
	if err != nil {
		return plan.Load{}, err
	}
	load := plan.Load{Daemons: plan.Amounts{}, Nodes: map[string]plan.Amounts{}}
	var moved []unstructured.Unstructured
	for _, node := range nodes {
		if kind := node.GetLabels()[corev1.LabelInstanceTypeStable]; kind != "" {
			if load.Nodes[kind] == nil {
				load.Nodes[kind] = plan.Amounts{}
			}
			load.Nodes[kind].Most(allocatable(node))
		}
		if !slices.Contains(instances, instanceOf(node)) {
			continue
		}
		pods, err := l.podsOn(ctx, node.GetName())
		if err != nil {
			return plan.Load{}, err
		}
		daemons := plan.Amounts{}
		for _, pod := range pods {
			if staying(pod) {
				daemons.Add(requests(specOf(pod)))
			} else {
				moved = append(moved, pod)
			}
		}
		load.Daemons.Most(daemons)
	}
	if len(moved) == 0 {
		return load, nil
	}
	zones, err := l.volumeZones(ctx, moved)
	if err != nil {
		return plan.Load{}, err
	}
	for _, pod := range moved {
		load.Pods = append(load.Pods, podOf(pod, zones))
	}
	list, err := l.client.Resource(schema.GroupVersionResource{Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"}).List(ctx, metav1.ListOptions{})
	if err != nil {
		return plan.Load{}, failure(fmt.Errorf("listing PodDisruptionBudgets: %w", err), gitops.ObserveFailed, scrubber{})
	}
	load.Budgets = slices.Concat(unmanaged(moved), tight(list.Items, moved))
	return load, nil
}

// allocatable is what a node has for pods.
func allocatable(node unstructured.Unstructured) plan.Amounts {
	var status corev1.NodeStatus
	read(node, "status", &status)
	return amounts(status.Allocatable)
}

// podOf is what a pod needs of the node that it moves to. Zones are those of volumes, by claim.
func podOf(pod unstructured.Unstructured, zones map[types.NamespacedName][]string) plan.Pod {
	spec := specOf(pod)
	out := plan.Pod{Asks: requests(spec), Needs: labelsAsked(spec), Scratch: slices.ContainsFunc(spec.Volumes, scratch)}
	for _, t := range spec.Tolerations {
		out.Tolerates = append(out.Tolerates, plan.Toleration{Key: t.Key, Operator: string(t.Operator), Value: t.Value, Effect: string(t.Effect)})
	}
	for _, claim := range claims(pod, spec) {
		if z := zones[claim]; len(z) > 0 && (out.Zones == nil || len(z) < len(out.Zones)) {
			out.Zones = z // Its volumes have a zone in common, or it would not run: the fewest say which.
		}
	}
	return out
}

// read reads a part of an object into its type. What the type does not know is left out: nothing here is more than advice.
func read(u unstructured.Unstructured, part string, into any) {
	_ = runtime.DefaultUnstructuredConverter.FromUnstructured(gitops.TreeAt(u.Object, part), into)
}

func specOf(pod unstructured.Unstructured) (spec corev1.PodSpec) {
	read(pod, "spec", &spec)
	return spec
}

// amounts are the amounts of a list of resources.
func amounts(list corev1.ResourceList) plan.Amounts {
	out := plan.Amounts{}
	for name, q := range list {
		if out[string(name)] = q.Value(); name == corev1.ResourceCPU {
			out[string(name)] = q.MilliValue()
		}
	}
	return out
}

// requests is what a pod asks for: its containers and sidecars together, or one of its init containers with the sidecars before it where that
// is more; what it says for itself in place of that; its overhead; and a place (Kubernetes documentation, "Sidecar Containers", "Pod-level
// resources", "Pod Overhead").
func requests(spec corev1.PodSpec) plan.Amounts {
	out, sidecars, first := plan.Amounts{}, plan.Amounts{}, plan.Amounts{}
	for _, c := range spec.InitContainers {
		asks := amounts(c.Resources.Requests)
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			sidecars.Add(asks)
			continue
		}
		asks.Add(sidecars)
		first.Most(asks)
	}
	out.Add(sidecars)
	for _, c := range spec.Containers {
		out.Add(amounts(c.Resources.Requests))
	}
	out.Most(first)
	if spec.Resources != nil {
		for name, n := range amounts(spec.Resources.Requests) {
			out[name] = n
		}
	}
	out.Add(amounts(spec.Overhead))
	out[string(corev1.ResourcePods)] = 1
	return out
}

// labelsAsked is what a pod asks of its node's labels: all of its nodeSelector, and all of one of the terms of its required node affinity. Terms that
// ask for nodes by name stand for nothing known.
func labelsAsked(spec corev1.PodSpec) [][]plan.Requirement {
	var all []plan.Requirement
	for name, value := range spec.NodeSelector {
		all = append(all, plan.Requirement{Key: name, Operator: string(corev1.NodeSelectorOpIn), Values: []string{value}})
	}
	slices.SortFunc(all, func(a, b plan.Requirement) int { return strings.Compare(a.Key, b.Key) })
	var terms []corev1.NodeSelectorTerm
	if spec.Affinity != nil && spec.Affinity.NodeAffinity != nil && spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		terms = spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	}
	if len(terms) == 0 && len(all) > 0 {
		return [][]plan.Requirement{all}
	}
	var out [][]plan.Requirement
	for _, term := range terms {
		list := slices.Clone(all)
		for _, r := range term.MatchExpressions {
			list = append(list, plan.Requirement{Key: r.Key, Operator: string(r.Operator), Values: r.Values})
		}
		out = append(out, list)
	}
	return out
}

// scratch reports whether a volume is on the node's disk and goes with the pod. What is in memory goes with every restart.
func scratch(v corev1.Volume) bool {
	return v.EmptyDir != nil && v.EmptyDir.Medium != corev1.StorageMediumMemory
}

// claims are the PersistentVolumeClaims of a pod: those that it names, and those that are made for it under a name of its own (Kubernetes
// documentation, "Ephemeral Volumes": PersistentVolumeClaim naming).
func claims(pod unstructured.Unstructured, spec corev1.PodSpec) []types.NamespacedName {
	var out []types.NamespacedName
	for _, v := range spec.Volumes {
		name := ""
		switch {
		case v.PersistentVolumeClaim != nil:
			name = v.PersistentVolumeClaim.ClaimName
		case v.Ephemeral != nil:
			name = pod.GetName() + "-" + v.Name
		default:
			continue
		}
		out = append(out, types.NamespacedName{Namespace: pod.GetNamespace(), Name: name})
	}
	return out
}

// volumeZones are the zones that volumes can be reached from, by the claims that they are bound to. Of pods without claims nothing is asked.
func (l *link) volumeZones(ctx context.Context, pods []unstructured.Unstructured) (map[types.NamespacedName][]string, error) {
	if !slices.ContainsFunc(pods, func(pod unstructured.Unstructured) bool { return len(claims(pod, specOf(pod))) > 0 }) {
		return nil, nil
	}
	list, err := l.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumes"}).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, failure(fmt.Errorf("listing PersistentVolumes: %w", err), gitops.ObserveFailed, scrubber{})
	}
	out := map[types.NamespacedName][]string{}
	for _, volume := range list.Items {
		var spec corev1.PersistentVolumeSpec
		read(volume, "spec", &spec)
		if zones := zonesOf(spec); len(zones) > 0 && spec.ClaimRef != nil {
			out[types.NamespacedName{Namespace: spec.ClaimRef.Namespace, Name: spec.ClaimRef.Name}] = zones
		}
	}
	return out, nil
}

// zonesOf are the zones of a volume's node affinity; none when it can be reached from everywhere. The second label is that of the EBS CSI driver.
func zonesOf(spec corev1.PersistentVolumeSpec) []string {
	if spec.NodeAffinity == nil || spec.NodeAffinity.Required == nil {
		return nil
	}
	var out []string
	for _, term := range spec.NodeAffinity.Required.NodeSelectorTerms {
		for _, r := range term.MatchExpressions {
			if r.Operator == corev1.NodeSelectorOpIn && (r.Key == plan.ZoneLabel || r.Key == "topology.ebs.csi.aws.com/zone" || r.Key == corev1.LabelFailureDomainBetaZone) {
				out = append(out, r.Values...)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// tight says which budgets allow none of some pods to go now.
func tight(budgets, pods []unstructured.Unstructured) []string {
	var out []string
	for _, b := range budgets {
		if number(b.Object, "status", "disruptionsAllowed") > 0 {
			continue
		}
		var covered []string
		for i := range pods {
			if pods[i].GetNamespace() == b.GetNamespace() && covers(b, &pods[i]) {
				covered = append(covered, pods[i].GetName())
			}
		}
		if len(covered) > 0 {
			out = append(out, allowance(b)+", and covers "+few(covered))
		}
	}
	slices.Sort(out)
	return out
}
