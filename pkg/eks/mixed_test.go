package eks

import (
	"strings"
	"testing"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// TestMixed: "mixed" is eksctl's word for a self-managed nodegroup of several instance types. It is no type that a live one could have.
func TestMixed(t *testing.T) {
	t.Parallel()
	const body = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: dev, region: eu-west-1, version: "1.34"}
nodeGroups:
- name: named
  instanceType: mixed
  desiredCapacity: 1
  instancesDistribution: {instanceTypes: [c5.large, c6i.large]}
- name: chosen
  instanceType: mixed
  desiredCapacity: 1
  instanceSelector: {vCPUs: 2, memory: "4"}
`
	r := newRig(t, body)
	r.converge()
	r.settled("creation")
	r.git(strings.ReplaceAll(body, "  instanceType: mixed\n", ""))
	r.settled("the word is left out")
	r.git(body)
	// As versions before recorded it.
	w := r.cloud.world
	for _, g := range w.Groups {
		g.Recorded = with(g.Recorded, "instanceType", "mixed")
	}
	cfg := mustLoad(t, strings.ReplaceAll(body, "  instanceType: mixed\n", ""))
	for _, want := range cfg.nodegroups() {
		if line := cfg.lineup(w, want); line.target == nil {
			t.Errorf("%s is replaced: %v", want.name, line.before.replace)
		}
	}
	if got := gitops.StringAt(cfg.wantedGroup(cfg.nodegroups()[0]), "instanceType"); got != "" {
		t.Errorf("it wants %s", got)
	}
}
