package apply

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

// parseAll reads objects from YAML documents.
func parseAll(t *testing.T, text string) []unstructured.Unstructured {
	t.Helper()
	var out []unstructured.Unstructured
	for _, doc := range strings.Split(text, "---\n") {
		var u unstructured.Unstructured
		body, err := yaml.YAMLToJSON([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		if err := utiljson.Unmarshal(body, &u.Object); err != nil {
			t.Fatal(err)
		}
		out = append(out, u)
	}
	return out
}

// TestExplainRefusals: whoever reads why a drain waits learns which budget it is, what that allows now, and which pods wait.
func TestExplainRefusals(t *testing.T) {
	t.Parallel()
	budgets := parseAll(t, `
metadata: {name: tight, namespace: shop, generation: 1}
spec: {minAvailable: 2, selector: {matchLabels: {app: tight}}}
status: {observedGeneration: 1, currentHealthy: 2, desiredHealthy: 2, disruptionsAllowed: 0}
---
metadata: {name: moving, namespace: shop, generation: 1}
spec: {minAvailable: 1, selector: {matchLabels: {app: moving}}}
status: {observedGeneration: 1, currentHealthy: 2, desiredHealthy: 1, disruptionsAllowed: 0, disruptedPods: {moving-1: "2026-11-21T14:00:00Z"}}
---
metadata: {name: one, namespace: shop, generation: 1}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: one}}}
status: {observedGeneration: 1, currentHealthy: 3, desiredHealthy: 2, disruptionsAllowed: 1}
---
metadata: {name: fresh, namespace: shop, generation: 2}
spec: {minAvailable: 1, selector: {matchLabels: {app: fresh}}}
status: {observedGeneration: 1, currentHealthy: 2, desiredHealthy: 1, disruptionsAllowed: 1}
---
metadata: {name: broken, namespace: shop, generation: 1}
spec: {minAvailable: 1, selector: {matchLabels: {app: broken}}}
status: {observedGeneration: 1, currentHealthy: 0, desiredHealthy: 1, disruptionsAllowed: 0}
---
metadata: {name: twin, namespace: shop, generation: 1}
spec: {minAvailable: 1, selector: {matchLabels: {twin: "yes"}}}
`)
	pods := parseAll(t, `
metadata: {name: tight-4, namespace: shop, labels: {app: tight}}
---
metadata: {name: tight-2, namespace: shop, labels: {app: tight}}
---
metadata: {name: tight-1, namespace: shop, labels: {app: tight}}
---
metadata: {name: tight-3, namespace: shop, labels: {app: tight}}
---
metadata: {name: moving-2, namespace: shop, labels: {app: moving}}
---
metadata: {name: one-1, namespace: shop, labels: {app: one}}
---
metadata: {name: fresh-1, namespace: shop, labels: {app: fresh}}
---
metadata: {name: broken-1, namespace: shop, labels: {app: broken}}
---
metadata: {name: both-1, namespace: shop, labels: {app: one, twin: "yes"}}
---
metadata: {name: free-1, namespace: shop}
`)
	var refused []refusal
	for i := range pods {
		refused = append(refused, refusal{pod: &pods[i], said: "a webhook refuses"})
	}
	want := []string{
		"PodDisruptionBudget shop/broken allows 0 disruptions now (0 healthy pods, 1 needed); waiting: broken-1",
		"PodDisruptionBudget shop/fresh allows 1 disruption now (it has just changed and is being counted anew); waiting: fresh-1",
		"PodDisruptionBudget shop/moving allows 0 disruptions now (2 healthy pods, 1 of them on the way out, 1 needed); waiting: moving-2",
		"PodDisruptionBudget shop/one allows 1 disruption now (3 healthy pods, 2 needed); waiting: one-1",
		"PodDisruptionBudget shop/tight allows 0 disruptions now (2 healthy pods, 2 needed); waiting: tight-1, tight-2, tight-3 and 1 more",
		"pod shop/both-1 has 2 PodDisruptionBudgets (one, twin), and the eviction API wants one: remove the others",
		"pod shop/free-1 may not be evicted now: a webhook refuses",
	}
	if diff := cmp.Diff(want, explainRefusals(budgets, refused)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
