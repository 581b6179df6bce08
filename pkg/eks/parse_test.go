package eks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/render"
)

// TestParse shows every kind of bad input beside the message it gives.
func TestParse(t *testing.T) {
	t.Parallel()
	goldens(t, "testdata/parse/*.txtar", "result", func(_ *testing.T, files map[string]string) string {
		cfg, problems := load([]byte(files["cluster.yaml"]))
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

// load reads a file as the product does, and parses it.
func load(body []byte) (*Config, []*gitops.Error) {
	item, problems := inGit(body)
	if len(problems) > 0 {
		return nil, problems
	}
	return Parse(item)
}

// inGit finds the ClusterConfig of a repository whose one cluster's folder has this file.
func inGit(body []byte) (gitops.Item, []*gitops.Error) {
	files := fstest.MapFS{configFile: {Data: body}}
	clusters, err := render.New(render.Options{}).Clusters(context.Background(), gitops.Snapshot{Files: files})
	if err != nil {
		return gitops.Item{}, []*gitops.Error{gitops.AsError(gitops.Internal, err)}
	}
	return clusters[0].Config, clusters[0].Problems
}

const configFile = "clusters/dev/cluster.yaml"

// TestParseNull: what a kustomization renders was not read from a file with lines, and may hold what eksctl panics on.
func TestParseNull(t *testing.T) {
	t.Parallel()
	_, problems := Parse(gitops.Item{Spec: gitops.Tree{
		"apiVersion": "eksctl.io/v1alpha5", "kind": "ClusterConfig", "metadata": gitops.Tree{"name": "dev", "region": "eu-west-1"},
		"nodeGroups": []any{nil},
	}})
	if len(problems) != 1 || problems[0].Message() != "nodeGroups[0]: is null: remove the empty list item" {
		t.Errorf("problems: %v", problems)
	}
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
		cfg, problems := load(body)
		for _, p := range problems {
			if !errors.Is(p, &gitops.Error{Reason: gitops.ConfigInvalid}) {
				t.Errorf("reason %s: %v", p.Reason, p)
			}
			if !strings.HasPrefix(configFile, p.From.File) || p.From.File == "" {
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
