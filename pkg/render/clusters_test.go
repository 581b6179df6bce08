package render_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/render"
)

func TestClusters(t *testing.T) {
	t.Parallel()
	files := archive(`
-- clusters/dev/any-name.yml --
# A comment.
---
apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: &meta
  name: development
  version: "1.34"
  tags: {"a.b/c": d}
nodeGroups:
  - name: a
    labels: *labels0
    ` + "\n" + `-- clusters/dev/notes.txt --
apiVersion: eksctl.io/v1alpha5
-- README.md --
`)
	files["clusters/dev/any-name.yml"].Data = []byte(strings.Replace(string(files["clusters/dev/any-name.yml"].Data), "    labels: *labels0\n    \n", "    maxSize: 3\n", 1))
	files["clusters/dev/reconcile.yaml"] = archive("-- x --\n# policy\ninterval: 5m\nprune:\n  maxCount: 3\n")["x"]
	files["clusters/dev/approvals/one.yaml"] = archive("-- x --\nplan: abc\nchanges:\n  - 1234567890123456\n  - \"0123456789abcdef\" # ~ Nodegroup a\nconcerns:\n  \"00000000000000aa\": 5 # objects inside\n  \"1234567890123457\": 1\n")["x"]
	files["clusters/dev/approvals/two.yml"] = archive("-- x --\n{changes: [12e4567890123456], concerns: {\"1234567890123457\": 2}}\n")["x"]
	files["clusters/dev/approvals/README.md"] = archive("-- x --\nnot an approval\n")["x"]
	files["clusters/dev/addons/b/kustomization.yaml"] = archive("-- x --\nresources: []\n")["x"]
	files["clusters/dev/addons/a/Kustomization"] = archive("-- x --\nresources: []\n")["x"]
	files["clusters/_shared/kustomization.yaml"] = archive("-- x --\nresources: []\n")["x"]
	files["clusters/.hidden/x.yaml"] = archive("-- x --\nx: y\n")["x"]
	all := clusters(t, render.New(render.Options{}), files)
	if len(all) != 1 {
		t.Fatalf("found %d clusters", len(all))
	}
	c := all[0]
	at := func(file string, line int) gitops.Position { return gitops.Position{File: file, Line: line} }
	const config = "clusters/dev/any-name.yml"
	want := gitops.Cluster{
		Name: "development", Folder: "clusters/dev", Overlays: []string{"addons/a", "addons/b"},
		Config: gitops.Item{
			Ref: gitops.Ref{Domain: gitops.EKS, Kind: "ClusterConfig", Namespace: "development", Name: "development"},
			Spec: gitops.Tree{
				"apiVersion": "eksctl.io/v1alpha5", "kind": "ClusterConfig",
				"metadata":   gitops.Tree{"name": "development", "version": "1.34", "tags": gitops.Tree{"a.b/c": "d"}},
				"nodeGroups": []any{gitops.Tree{"name": "a", "maxSize": int64(3)}},
			},
			From: gitops.Origin{Position: at(config, 3), Fields: map[string]gitops.Position{
				"apiVersion": at(config, 3), "kind": at(config, 4), "metadata": at(config, 5), "metadata.name": at(config, 6), "metadata.version": at(config, 7),
				"metadata.tags": at(config, 8), `metadata.tags["a.b/c"]`: at(config, 8), "nodeGroups": at(config, 9), "nodeGroups[0]": at(config, 10),
				"nodeGroups[0].name": at(config, 10), "nodeGroups[0].maxSize": at(config, 11),
			}},
		},
		Policy: &gitops.Item{
			Ref:  gitops.Ref{Domain: gitops.EKS, Kind: "Policy", Namespace: "development", Name: "development"},
			Spec: gitops.Tree{"interval": "5m", "prune": gitops.Tree{"maxCount": int64(3)}},
			From: gitops.Origin{Position: at("clusters/dev/reconcile.yaml", 2), Fields: map[string]gitops.Position{
				"interval": at("clusters/dev/reconcile.yaml", 2), "prune": at("clusters/dev/reconcile.yaml", 3), "prune.maxCount": at("clusters/dev/reconcile.yaml", 4),
			}},
		},
		Approvals: map[gitops.Digest]gitops.Approval{
			"1234567890123456": {Position: at("clusters/dev/approvals/one.yaml", 3)}, "0123456789abcdef": {Position: at("clusters/dev/approvals/one.yaml", 4)},
			"12e4567890123456": {Position: at("clusters/dev/approvals/two.yml", 1)},
			"00000000000000aa": {Position: at("clusters/dev/approvals/one.yaml", 6), Most: 5}, "1234567890123457": {Position: at("clusters/dev/approvals/two.yml", 1), Most: 2},
		},
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
}

// TestTheEndOfACluster: a folder that has only an approval which says which cluster ends is that cluster, ending; beside a ClusterConfig,
// such an approval is one like any other.
func TestTheEndOfACluster(t *testing.T) {
	t.Parallel()
	const approval = "plan: abc\ncluster:\n  name: development\n  region: eu-west-1\nchanges: [1234567890123456]\n"
	files := fstest.MapFS{
		"clusters/dev/approvals/teardown.yaml": {Data: []byte(approval)},
		"clusters/dev/approvals/again.yaml":    {Data: []byte(approval)},
		"clusters/dev/README.md":               {Data: []byte("It was a good cluster.")},
		"clusters/dev/reconcile.yaml":          {Data: []byte("retry: {max: 1m}\n")},
	}
	at := func(line int) gitops.Position {
		return gitops.Position{File: "clusters/dev/approvals/again.yaml", Line: line}
	}
	read := func() gitops.Cluster {
		all := clusters(t, render.New(render.Options{}), files)
		if len(all) != 1 || len(all[0].Problems) > 0 {
			t.Fatalf("%+v", all)
		}
		return all[0]
	}
	c := read()
	want := gitops.Item{
		Ref:  gitops.Ref{Domain: gitops.EKS, Kind: "ClusterConfig", Namespace: "development", Name: "development"},
		Spec: gitops.Tree{"apiVersion": "eksctl.io/v1alpha5", "kind": "ClusterConfig", "metadata": gitops.Tree{"name": "development", "region": "eu-west-1"}},
		From: gitops.Origin{Position: at(2), Fields: map[string]gitops.Position{"metadata": at(2), "metadata.name": at(3), "metadata.region": at(4)}},
	}
	if diff := cmp.Diff(want, c.Config); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, approved := c.Approvals["1234567890123456"]; !c.Ending || c.Name != "development" || c.Policy == nil || c.Policy.Ref.Name != "development" || !approved {
		t.Errorf("%+v", c)
	}
	if c.LogGroups {
		t.Error("its logs go, though nobody said so")
	}
	files["clusters/dev/approvals/teardown.yaml"].Data = []byte(strings.Replace(approval, "cluster:\n", "cluster:\n  logGroups: true\n", 1))
	if c := read(); !c.Ending || !c.LogGroups {
		t.Errorf("an end that takes the logs: %+v", c)
	} else if diff := cmp.Diff(want, c.Config); diff != "" {
		t.Errorf("with logs (-want +got):\n%s", diff)
	}
	// How its AWS is reached may be said along with it: reconcile.yaml left with the folder.
	delete(files, "clusters/dev/reconcile.yaml")
	for _, name := range []string{"again", "teardown"} {
		files["clusters/dev/approvals/"+name+".yaml"].Data = []byte(strings.Replace(approval, "changes:", "  aws:\n    role: arn:aws:iam::1:role/x\nchanges:", 1))
	}
	policy := &gitops.Item{
		Ref:  gitops.Ref{Domain: gitops.EKS, Kind: "Policy", Namespace: "development", Name: "development"},
		Spec: gitops.Tree{"aws": gitops.Tree{"role": "arn:aws:iam::1:role/x"}},
		From: gitops.Origin{Position: at(2), Fields: map[string]gitops.Position{"aws": at(5), "aws.role": at(6)}},
	}
	if diff := cmp.Diff(policy, read().Policy); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	files["clusters/dev/cluster.yaml"] = &fstest.MapFile{Data: []byte("apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: other, region: eu-west-1}\n")}
	if c := read(); c.Ending || c.Name != "other" {
		t.Errorf("a cluster with a ClusterConfig: %+v", c)
	}
}

// TestAnEndThatIsNotClear: a cluster whose end is not said in one way, and only, does not end.
func TestAnEndThatIsNotClear(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ files, want string }{
		"overlays are left": {
			"-- clusters/dev/addons/dns/kustomization.yaml --\nresources: []\n-- clusters/dev/approvals/a.yaml --\nchanges: [1234567890123456]\ncluster: {name: dev, region: eu-west-1}\n",
			"clusters/dev/approvals/a.yaml:2: the end of cluster dev is approved, but its folder has more than that: addons/dns",
		},
		"two clusters": {
			"-- clusters/dev/approvals/a.yaml --\nchanges: [1234567890123456]\ncluster: {name: dev, region: eu-west-1}\n-- clusters/dev/approvals/b.yaml --\ncluster: {name: dev, region: eu-north-1}\nchanges: [1234567890123456]\n",
			"clusters/dev/approvals/b.yaml:1: another approval in the folder is about another cluster: clusters/dev/approvals/a.yaml:2",
		},
		"only other approvals": {
			"-- clusters/dev/approvals/a.yaml --\nchanges: [1234567890123456]\n",
			"clusters/dev: the folder has no ClusterConfig: want one YAML file with apiVersion: eksctl.io/v1alpha5 and kind: ClusterConfig",
		},
		"the ClusterConfig was emptied": {
			"-- clusters/dev/cluster.yaml --\n# nothing\n-- clusters/dev/approvals/a.yaml --\ncluster: {name: dev, region: eu-west-1}\nchanges: [1234567890123456]\n",
			"clusters/dev/cluster.yaml:1: the file is empty, and the folder has no ClusterConfig: want apiVersion: eksctl.io/v1alpha5 and kind: ClusterConfig",
		},
		"the approval cannot be read": {
			"-- clusters/dev/approvals/a.yaml --\ncluster: {name: dev, region: eu-west-1}\nchanges: [1]\n",
			"clusters/dev/approvals/a.yaml:2: an id has 16 hexadecimal digits; a shorter one is not unique\nclusters/dev: the folder has no ClusterConfig: want one YAML file with apiVersion: eksctl.io/v1alpha5 and kind: ClusterConfig",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := archive(tt.files)
			if !strings.Contains(tt.files, "cluster.yaml") {
				delete(files, "clusters/dev/cluster.yaml")
			}
			all := clusters(t, render.New(render.Options{}), files)
			if len(all) != 1 || all[0].Ending || all[0].Config.Spec != nil {
				t.Fatalf("%+v", all)
			}
			var said []string
			for _, p := range all[0].Problems {
				said = append(said, p.From.Position.String()+": "+p.Message())
			}
			if diff := cmp.Diff(tt.want, strings.Join(said, "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAClusterConfigOutOfAKustomization(t *testing.T) {
	t.Parallel()
	files := archive(`
-- base/kustomization.yaml --
resources: [cluster.yaml]
-- base/cluster.yaml --
apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata:
  name: base
  region: eu-west-1
managedNodeGroups:
  - name: system
    minSize: 1
    maxSize: 3
-- clusters/dev/kustomization.yaml --
resources: [../../base, local]
patches:
  - path: patch.yaml
    target: {kind: ClusterConfig}
  - target: {kind: ClusterConfig}
    patch: |-
      - op: replace
        path: /managedNodeGroups/0/maxSize
        value: 5
-- clusters/dev/patch.yaml --
apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata:
  name: base
  region: eu-north-1
cloudWatch:
  clusterLogging: {enableTypes: [api]}
-- clusters/dev/local/kustomization.yaml --
resources: []
configMapGenerator: []
namePrefix: unused-
-- clusters/dev/web/kustomization.yaml --
resources: [x.yaml]
-- clusters/dev/web/x.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: x}
`)
	c := dev(t, render.New(render.Options{}), files)
	if len(c.Problems) > 0 {
		t.Fatal(c.Problems)
	}
	want := gitops.Tree{
		"apiVersion": "eksctl.io/v1alpha5", "kind": "ClusterConfig", "metadata": gitops.Tree{"name": "base", "region": "eu-north-1"},
		"managedNodeGroups": []any{gitops.Tree{"name": "system", "minSize": int64(1), "maxSize": int64(5)}},
		"cloudWatch":        gitops.Tree{"clusterLogging": gitops.Tree{"enableTypes": []any{"api"}}},
	}
	if diff := cmp.Diff(want, c.Config.Spec); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"web"}, c.Overlays); diff != "" {
		t.Error("what the cluster's own kustomization includes is no overlay:", diff)
	}
	for path, where := range map[string]gitops.Position{
		"metadata.name":                         {File: "base/cluster.yaml", Line: 4},
		"metadata.region":                       {File: "clusters/dev/patch.yaml", Line: 5},
		"managedNodeGroups[0].minSize":          {File: "base/cluster.yaml", Line: 8},
		"managedNodeGroups[0].maxSize":          {File: "clusters/dev/kustomization.yaml", Line: 8},
		"cloudWatch.clusterLogging.enableTypes": {File: "clusters/dev/patch.yaml", Line: 7},
	} {
		if got := c.Config.From.Fields[path]; got != where {
			t.Errorf("%s is said to be set at %v; want %v", path, got, where)
		}
	}
	if got := c.Config.From.Position; got != (gitops.Position{File: "base/cluster.yaml", Line: 1}) {
		t.Errorf("the ClusterConfig is said to be at %v", got)
	}
}

func TestTwoClustersOfOneName(t *testing.T) {
	t.Parallel()
	files := archive("-- clusters/dev/c.yaml --\n" + config + "-- clusters/stage/c.yaml --\n" + config + "-- clusters/prod/c.yaml --\n" + strings.Replace(config, "name: dev", "name: prod", 1))
	for _, c := range clusters(t, render.New(render.Options{}), files) {
		if alone := c.Folder == "clusters/prod"; alone != (c.Config.Spec != nil) || alone != (len(c.Problems) == 0) {
			t.Errorf("%s: %v, %v", c.Folder, c.Config.Spec, c.Problems)
		}
	}
}

func TestARepositoryWithoutClusters(t *testing.T) {
	t.Parallel()
	_, err := render.New(render.Options{}).Clusters(t.Context(), snapshot(fstest.MapFS{"README.md": {}}))
	if e := gitops.AsError("none", err); e == nil || e.Reason != gitops.ConfigInvalid {
		t.Errorf("got %v", err)
	}
}

func TestRenderingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	files, r := archive(factual), render.New(render.Options{Concurrency: 1})
	c := dev(t, r, files)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Render(ctx, snapshot(files), c, nil); !errors.Is(err, context.Canceled) || gitops.AsError("none", err).Reason != gitops.Interrupted {
		t.Errorf("got %v", err)
	}
	if d := desired(t, r, files, nil); len(d.Items) != 2 {
		t.Errorf("afterwards, %d objects are rendered", len(d.Items))
	}
}
