package main

import (
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// Every example of the page about policies is one that works.
func TestExamplesOfPolicies(t *testing.T) {
	body, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(body), "```yaml\n")[1:]
	for _, block := range blocks {
		text, _, _ := strings.Cut(block, "```")
		item := gitops.Item{}
		if err := yaml.Unmarshal([]byte(text), &item.Spec); err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		if _, problems := plan.DecodeRules(&item, checks()); len(problems) > 0 {
			t.Errorf("%v:\n%s", problems, text)
		}
	}
	if len(blocks) < 4 {
		t.Errorf("%d examples", len(blocks))
	}
}
