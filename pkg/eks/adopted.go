package eks

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/vpc"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// An adopted cluster is one that eksctl did not make: it has no stack. It is managed only when its file says so, and it is
// neither made nor deleted from here (docs/adr/0008-adopted-clusters.md).

// adoption is where a file says that the cluster is adopted.
func adoption() []string {
	return []string{"metadata", "annotations", "reconciler.eks-gitops.io/adopted"}
}

// Adopted says that a ClusterConfig is for a cluster that eksctl did not make.
func Adopted(item gitops.Item) bool { return gitops.StringAt(item.Spec, adoption()...) == "true" }

func (c *Config) adopted() bool { return gitops.StringAt(c.Written, adoption()...) == "true" }

// lost is the problem of an adopted cluster that EKS does not know.
func (c *Config) lost() *gitops.Error {
	path := adoption()
	e := gitops.Errorf(gitops.HealthFailed, "EKS does not know cluster %s, and its file says that eksctl did not make it: such a cluster is not made from here", c.Name)
	e.Try = "make it as it was made before, or remove the annotation " + path[len(path)-1] + " to have one made with eksctl's stacks"
	return e.On(c.ref(KindCluster, c.Name)).At(c.origin("metadata.annotations"))
}

// spare notes that a teardown leaves the cluster, and gives what is left of the world then. Identity providers do not end with the
// cluster here.
func (c *Config) spare(w *world, out gitops.Observed) *world {
	at := c.ref(ConfigKind, "metadata.annotations")
	e := gitops.Errorf(gitops.NotManaged, "cluster %s stays, and so does what no stack of it and no mark of ours names: eksctl did not make it", c.Name)
	e.Try = "delete it as it was made"
	out[at] = gitops.Observation{Err: e.On(at).At(c.origin("metadata.annotations"))}
	w = w.owned(c.Name)
	for name, l := range w.Logins {
		out[c.ref(KindIdentityProviderConfig, name)] = gitops.Observation{Live: loginTree(l), Owned: true}
	}
	return w
}

// owned is what of a world is certainly ours: what has a stack of the cluster, or a mark. An addon that stays keeps the role that was
// made for it, and so do nodes of Auto Mode.
func (w *world) owned(cluster string) *world {
	out := w.clone()
	out.Cluster, out.Provider = nil, false
	delete(out.Stacks, clusterStack(cluster))
	if autoModeOn(w) {
		delete(out.Stacks, autoModeStack(cluster))
	}
	maps.DeleteFunc(out.Groups, func(_ string, g *group) bool { return g.Stack == nil })
	maps.DeleteFunc(out.Stacks, func(_ string, s cfntypes.Stack) bool {
		a := w.Addons[tag(s, tagAddon)]
		return a != nil && a.Tags[tagMade] != cluster
	})
	maps.DeleteFunc(out.Addons, func(_ string, a *ekstypes.Addon) bool { return a.Tags[tagMade] != cluster })
	maps.DeleteFunc(out.Profiles, func(_ string, p *ekstypes.FargateProfile) bool { return p.Tags[tagMade] != cluster })
	maps.DeleteFunc(out.Capabilities, func(name string, _ *capability) bool {
		_, stacked := w.Stacks[capabilityStack(cluster, name)]
		return !stacked
	})
	maps.DeleteFunc(out.Logins, func(_ string, l *ekstypes.OidcIdentityProviderConfig) bool { return l.Tags[tagMade] != cluster })
	maps.DeleteFunc(out.Associations, func(name string, _ *ekstypes.PodIdentityAssociation) bool { return !w.ownsAssociation(cluster, name) })
	return out
}

// ownsAssociation says that a pod identity association has a stack of the cluster, or a mark.
func (w *world) ownsAssociation(cluster, name string) bool {
	_, stacked := w.Stacks[podIdentityStack(cluster, name)]
	return stacked || w.Associations[name].Tags[tagMade] == cluster
}

// importer tells a nodegroup's stack the cluster's network: the outputs of the cluster's stack or, in a cluster without one, what
// the file says.
func (c *Config) importer(w *world, spec *api.ClusterConfig) vpc.Importer {
	if _, ok := w.Stacks[clusterStack(c.Name)]; ok || w.Cluster.ResourcesVpcConfig == nil {
		return vpc.NewStackConfigImporter(clusterStack(c.Name))
	}
	return vpc.NewSpecConfigImporter(aws.ToString(w.Cluster.ResourcesVpcConfig.ClusterSecurityGroupId), spec.VPC)
}

// givenSubnets are the subnets of one kind that the file names by their ids.
func (c *Config) givenSubnets(kind string) string {
	var ids []string
	for _, item := range gitops.TreeAt(c.Written, "vpc", "subnets", kind) {
		if subnet, ok := item.(gitops.Tree); ok && gitops.StringAt(subnet, "id") != "" {
			ids = append(ids, gitops.StringAt(subnet, "id"))
		}
	}
	slices.Sort(ids)
	return strings.Join(ids, ",")
}

// networkGiven reports what the file lacks to make nodegroups in a cluster without a stack (eksctl, pkg/actions/nodegroup/create.go).
func (c *Config) networkGiven() error {
	if v := c.full.VPC; v.ID == "" || v.SecurityGroup == "" || !c.full.HasAnySubnets() {
		return gitops.Errorf(gitops.ConfigInvalid, "vpc: eksctl did not make cluster %s, so new nodegroups need vpc.id, vpc.securityGroup and vpc.subnets", c.Name).At(c.origin("vpc"))
	}
	return nil
}

// deleteGroup deletes a managed nodegroup that no stack made.
func (c *Cloud) deleteGroup(ctx context.Context, cfg *Config, name string) error {
	_, err := c.aws.eks.DeleteNodegroup(ctx, &eks.DeleteNodegroupInput{ClusterName: &cfg.Name, NodegroupName: &name})
	if absent(err) {
		return nil
	}
	return err
}
