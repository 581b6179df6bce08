package eks

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// wantedCluster is what the file says explicitly of the cluster itself, among the fields that are compared.
func (c *Config) wantedCluster() gitops.Tree {
	out := gitops.Tree{}
	for _, f := range clusterFields() {
		if v := f.want(c); !empty(v) {
			put(out, v, f.path...)
		}
	}
	return out
}

// compareCluster compares the live cluster with the file. The error is for what can never become as the file says.
func (c *Config) compareCluster(w *world) (comparison, *gitops.Error) {
	out := comparison{live: gitops.Tree{}, next: c.wantedCluster()}
	told, _ := treeOf(w.Cluster).(gitops.Tree)
	var problems []*gitops.Error
	for _, f := range clusterFields() {
		next, wanted := gitops.At(out.next, f.path...)
		live := f.read(c, w, told, next)
		if wanted || f.whole && !empty(live) {
			put(out.live, live, f.path...)
		}
		if why := f.stuck(w, live, next); wanted && why != "" {
			path := strings.Join(f.path, ".")
			problems = append(problems, gitops.Errorf(gitops.Immutable, "%s %s", path, why).At(c.origin(path)))
		}
	}
	if len(problems) > 0 {
		return out, first(problems)
	}
	c.inRound(out.next)
	return out, nil
}

func offered(versions []clusterVersion) string {
	names := make([]string, 0, len(versions))
	for _, v := range versions {
		names = append(names, v.Version)
	}
	return "it offers " + strings.Join(names, ", ")
}

// liveTags are the cluster's tags as far as they are git's to say: those that git names, and those that the cluster's
// stack put there when it was made. Other tags belong to whoever set them.
func (c *Config) liveTags(w *world) gitops.Tree {
	wanted := gitops.StringsAt(c.Written, "metadata", "tags")
	stack := w.Stacks[clusterStack(c.Name)]
	out := gitops.Tree{}
	for key, value := range w.Cluster.Tags {
		_, named := wanted[key]
		if named || (!reservedTag(key) && tag(stack, key) != "") {
			out[key] = value
		}
	}
	return out
}

// reservedTag says that a tag is set by a tool or by AWS, not by a file.
func reservedTag(key string) bool {
	for _, prefix := range []string{"aws:", "alpha.eksctl.io/", "eksctl.cluster.k8s.io/", "eksctl.io/", "kubernetes.io/", "k8s.io/", "eks-gitops.io/", "eks:"} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return key == "Name"
}

func regionOf(cl *ekstypes.Cluster) string {
	if part := strings.Split(aws.ToString(cl.Arn), ":"); len(part) > 3 {
		return part[3]
	}
	return ""
}

func loggedTypes(cl *ekstypes.Cluster) []string {
	var out []string
	if cl.Logging == nil {
		return nil
	}
	for _, setup := range cl.Logging.ClusterLogging {
		if aws.ToBool(setup.Enabled) {
			for _, t := range setup.Types {
				out = append(out, string(t))
			}
		}
	}
	return out
}

// sortedStrings gives a set the one form that compares.
func sortedStrings(in []string) []any {
	sorted := slices.Compact(slices.Sorted(slices.Values(in)))
	out := make([]any, 0, len(sorted))
	for _, s := range sorted {
		out = append(out, s)
	}
	return out
}

// put sets a value at a path, making the objects above it. It never changes an object that it did not make.
func put(t gitops.Tree, v any, path ...string) {
	for _, key := range path[:len(path)-1] {
		below, ok := t[key].(gitops.Tree)
		if !ok {
			below = gitops.Tree{}
			t[key] = below
		}
		t = below
	}
	t[path[len(path)-1]] = v
}
