package eks

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// TestParse shows every kind of bad input beside the message it gives.
func TestParse(t *testing.T) {
	t.Parallel()
	goldens(t, "testdata/parse/*.txtar", "result", func(_ *testing.T, files map[string]string) string {
		cfg, problems := load("clusters/dev/cluster.yaml", []byte(files["cluster.yaml"]))
		var out strings.Builder
		for _, p := range problems {
			fmt.Fprintln(&out, p.Error())
		}
		if cfg == nil {
			return out.String()
		}
		for _, w := range cfg.wants() {
			needs := make([]string, 0, len(w.needs))
			for _, n := range w.needs {
				needs = append(needs, n.Label())
			}
			fmt.Fprintf(&out, "%s (%s) <- %s\n", w.ref.Label(), cfg.origin(w.path).Position, strings.Join(needs, ", "))
		}
		for _, n := range cfg.Notes() {
			fmt.Fprintln(&out, n.Error())
		}
		return out.String()
	})
}

// load reads and parses a file.
func load(file string, body []byte) (*Config, []*gitops.Error) {
	item, problems := Read(file, body)
	if len(problems) > 0 {
		return nil, problems
	}
	return Parse(item)
}

// FuzzParse: whatever the bytes, the parser neither panics nor answers with anything but ConfigInvalid at a place in the
// file, and what it accepts can be taken apart and compared with an empty world.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		minimal, "", "---\n---\n", "a: &a [*a]\n", "{}", "metadata: {name: x, region: eu-west-1}\nnodeGroups: [null]\n",
		"apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: a, region: b}\naddons: [{name: x, configurationValues: '{'}]\n",
		"apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: a, region: b}\nprivateCluster: {enabled: true}\nvpc: {id: v}\n",
		"x: &x {a: 1}\ny: {<<: *x, <<: [*x, *x]}\n",
		"apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: a, region: b}\niam: {serviceAccounts: [{}], podIdentityAssociations: [{}]}\n",
		"apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: a, region: b}\nmanagedNodeGroups: [{name: a, taints: {b: c}, instanceTypes: [c]}]\nidentityProviders: [{type: oidc}]\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		cfg, problems := load("c.yaml", body)
		for _, p := range problems {
			if !errors.Is(p, &gitops.Error{Reason: gitops.ConfigInvalid}) {
				t.Errorf("reason %s: %v", p.Reason, p)
			}
			if p.From.File != "c.yaml" {
				t.Errorf("no file in %v", p)
			}
		}
		if (cfg == nil) == (len(problems) == 0) {
			t.Fatalf("config %v with problems %v", cfg, problems)
		}
		if cfg != nil {
			cfg.observe(newWorld(), false)
		}
	})
}

const minimal = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata:
  name: dev
  region: eu-west-1
  version: "1.34"
`
