package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// refusal is a pod that may not be evicted now, and what the API server said.
type refusal struct {
	pod  *unstructured.Unstructured
	said string
}

// refusals says in words what keeps pods: which PodDisruptionBudgets, what these allow now, and which pods wait for them.
func (l *link) refusals(ctx context.Context, refused []refusal) []string {
	byNamespace := map[string][]refusal{}
	for _, r := range refused {
		byNamespace[r.pod.GetNamespace()] = append(byNamespace[r.pod.GetNamespace()], r)
	}
	gvr := schema.GroupVersionResource{Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"}
	var whys []string
	for _, namespace := range slices.Sorted(maps.Keys(byNamespace)) {
		var budgets []unstructured.Unstructured
		// Without the budgets, the API server's own words must do.
		if list, err := l.client.Resource(gvr).Namespace(namespace).List(ctx, metav1.ListOptions{}); err == nil {
			budgets = list.Items
		}
		whys = append(whys, explainRefusals(budgets, byNamespace[namespace])...)
	}
	return whys
}

// explainRefusals explains the refusals of one namespace by its budgets, one text for each budget.
func explainRefusals(budgets []unstructured.Unstructured, refused []refusal) []string {
	waiting := map[int][]string{}
	var whys []string
	for _, r := range refused {
		var by []int
		var names []string
		for i, b := range budgets {
			if covers(b, r.pod) {
				by, names = append(by, i), append(names, b.GetName())
			}
		}
		switch len(by) {
		case 0:
			whys = append(whys, fmt.Sprintf("pod %s/%s may not be evicted now: %s", r.pod.GetNamespace(), r.pod.GetName(), r.said))
		case 1:
			waiting[by[0]] = append(waiting[by[0]], r.pod.GetName())
		default:
			slices.Sort(names)
			whys = append(whys, fmt.Sprintf("pod %s/%s has %d PodDisruptionBudgets (%s), and the eviction API wants one: remove the others",
				r.pod.GetNamespace(), r.pod.GetName(), len(names), strings.Join(names, ", ")))
		}
	}
	for i, pods := range waiting {
		whys = append(whys, explainBudget(budgets[i], pods))
	}
	slices.Sort(whys)
	return whys
}

// explainBudget says what a budget allows now and why, and which pods wait for it.
func explainBudget(b unstructured.Unstructured, pods []string) string {
	return allowance(b) + "; waiting: " + few(pods)
}

// allowance says what a budget allows now and why. The counts are the budget's own status.
func allowance(b unstructured.Unstructured) string {
	allowed := number(b.Object, "status", "disruptionsAllowed")
	leaving := len(gitops.TreeAt(b.Object, "status", "disruptedPods"))
	healthy, needed := number(b.Object, "status", "currentHealthy"), number(b.Object, "status", "desiredHealthy")
	counts := fmt.Sprintf("%s, %d needed", plural(healthy, "healthy pod"), needed)
	switch {
	case number(b.Object, "status", "observedGeneration") < b.GetGeneration():
		counts = "it has just changed and is being counted anew"
	case leaving > 0:
		counts = fmt.Sprintf("%s, %d of them on the way out, %d needed", plural(healthy, "healthy pod"), leaving, needed)
	}
	return fmt.Sprintf("PodDisruptionBudget %s/%s allows %s now (%s)", b.GetNamespace(), b.GetName(), plural(allowed, "disruption"), counts)
}

func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// few names the first of many.
func few(names []string) string {
	const most = 3
	slices.Sort(names)
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

func covers(budget unstructured.Unstructured, pod *unstructured.Unstructured) bool {
	body, err := json.Marshal(gitops.TreeAt(budget.Object, "spec", "selector"))
	if err != nil {
		return false
	}
	var selector metav1.LabelSelector
	if json.Unmarshal(body, &selector) != nil {
		return false
	}
	match, err := metav1.LabelSelectorAsSelector(&selector)
	return err == nil && match.Matches(labels.Set(pod.GetLabels()))
}
