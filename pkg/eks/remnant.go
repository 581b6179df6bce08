package eks

import (
	"cmp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// remnant is something in AWS that neither a stack nor an API of EKS takes away with the cluster: controllers inside it made it, its nodes,
// or EKS for its own.
type remnant struct {
	Kind, Name string
	// ID is what AWS deletes it by, where that is not Name.
	ID string
	// What says what it is, in words.
	What string
	// Stays says why it stays; empty for what goes with the cluster.
	Stays string
}

// Tags by which controllers mark what they make for a cluster.
const (
	tagOwned      = "kubernetes.io/cluster/"         // + the cluster's name: the cloud provider of Kubernetes, the EBS CSI driver of the EKS addon
	tagBalancer   = "elbv2.k8s.aws/cluster"          // AWS Load Balancer Controller
	tagAutoMode   = "eks:eks-cluster-name"           // EKS Auto Mode
	tagInterface  = "cluster.k8s.amazonaws.com/name" // Amazon VPC CNI
	tagVolume     = "ebs.csi.aws.com/cluster-name"   // EBS CSI driver
	tagEKSGroup   = "aws:eks:cluster-name"           // EKS, on the cluster security group
	tagStackName  = "aws:cloudformation:stack-name"  // CloudFormation
	tagClaimSpace = "kubernetes.io/created-for/pvc/namespace"
	tagClaim      = "kubernetes.io/created-for/pvc/name"
)

// markers are the keys of tags with which controllers mark what is a cluster's.
func markers(cluster string) []string {
	return []string{tagOwned + cluster, tagBalancer, tagAutoMode, tagInterface, tagVolume}
}

// claimed reports whether tags say that a thing is this cluster's, and no other's. A thing that clusters share is nobody's.
func claimed(tags map[string]string, cluster string) bool {
	ours := false
	for key, value := range tags {
		name, whole := value, true
		if rest, ok := strings.CutPrefix(key, tagOwned); ok {
			name, whole = rest, value == "owned"
		} else if !slices.Contains(markers(""), key) {
			continue
		}
		if name != cluster {
			return false
		}
		ours = ours || whole
	}
	return ours
}

// vpc is the cluster's network; "" when it is not known.
func (w *world) vpc(cluster string) string {
	if w.Cluster != nil && w.Cluster.ResourcesVpcConfig != nil && w.Cluster.ResourcesVpcConfig.VpcId != nil {
		return *w.Cluster.ResourcesVpcConfig.VpcId
	}
	return output(w.Stacks[clusterStack(cluster)], "VPC")
}

// over says that nothing is left of the cluster itself.
func (w *world) over(cluster string) bool {
	_, stacked := w.Stacks[clusterStack(cluster)]
	return w.Cluster == nil && !stacked
}

// verdict says of a thing that carries the cluster's tags why it stays. With its cluster gone, nothing tells any more in which network
// it belonged to that very cluster.
func (w *world) verdict(cluster string) string {
	if w.over(cluster) {
		return "it carries the cluster's tag, and was found after the cluster was gone: delete it by hand"
	}
	return ""
}

// judgeGroup says what is to become of a security group of the cluster's network; false for one that is not left over: stacks and EKS take
// their own away.
func (w *world) judgeGroup(cluster string, id, name string, tags map[string]string) (remnant, bool) {
	m := remnant{Kind: KindSecurityGroup, Name: id, What: "security group " + name, Stays: w.verdict(cluster)}
	switch {
	case w.over(cluster):
		return m, claimed(tags, cluster) || tags[tagEKSGroup] == cluster
	case tags[tagStackName] != "" || tags[tagEKSGroup] != "":
		return m, false
	}
	// The cloud provider tags what it made and what it was given alike, and only the name tells: eksctl, pkg/elb, Cleanup.
	made := tags[tagBalancer] != "" || tags[tagAutoMode] != "" || strings.HasPrefix(name, "k8s-elb-")
	return m, made && claimed(tags, cluster)
}

// dangling reports whether an interface that nothing uses was the cluster's: it is in a group of the cluster's stacks (eksctl, pkg/vpc,
// CleanupNetworkInterfaces), or the Amazon VPC CNI made it and left it when its instance was terminated too early (amazon-vpc-cni-k8s,
// issue 1447). ours are the groups of the cluster, and whether a stack made them.
func dangling(cluster string, i *ec2types.NetworkInterface, ours map[string]bool) bool {
	tags := tagMap(i.TagSet)
	if name := tags[tagInterface]; name != "" {
		return name == cluster
	}
	for _, g := range i.Groups {
		if stacked, known := ours[aws.ToString(g.GroupId)]; stacked || known && strings.HasPrefix(aws.ToString(i.Description), "aws-K8S-") {
			return true
		}
	}
	return claimed(tags, cluster)
}

// groupOurs says whether a security group is the cluster's, and whether one of its stacks made it.
func groupOurs(cluster string, tags map[string]string) (stacked, ours bool) {
	stacked = tags[api.ClusterNameTag] == cluster && tags[tagStackName] != ""
	return stacked, stacked || tags[tagEKSGroup] == cluster || claimed(tags, cluster)
}

func tagMap(tags []ec2types.Tag) map[string]string {
	return tagsBy(tags, func(t ec2types.Tag) (key, value *string) { return t.Key, t.Value })
}

// tagsBy are tags as each service has a type of its own for them.
func tagsBy[T any](tags []T, pair func(T) (key, value *string)) map[string]string {
	out := make(map[string]string, len(tags))
	for _, t := range tags {
		key, value := pair(t)
		out[aws.ToString(key)] = aws.ToString(value)
	}
	return out
}

// going are the remnants that are deleted, what others use after its users.
func (w *world) going() []remnant {
	var out []remnant
	for _, kind := range []string{KindLoadBalancer, KindNetworkInterface, KindSecurityGroup} {
		for _, m := range w.Remnants {
			if m.Kind == kind && m.Stays == "" {
				out = append(out, m)
			}
		}
	}
	return out
}

// remnant finds what is left by its ref.
func (w *world) remnant(r gitops.Ref) (remnant, bool) {
	i := slices.IndexFunc(w.Remnants, func(m remnant) bool { return m.Kind == r.Kind && m.Name == r.Name })
	if i < 0 {
		return remnant{}, false
	}
	return w.Remnants[i], true
}

// observeRemnants adds what goes with the cluster, and notes what stays. It gives what the cluster itself waits for: its network cannot go
// before that.
func (c *Config) observeRemnants(w *world, pools []gitops.Ref, out gitops.Observed) []gitops.Ref {
	var balancers, all []gitops.Ref
	for _, m := range w.Remnants {
		if m.Kind == KindLoadBalancer && m.Stays == "" {
			balancers = append(balancers, c.ref(m.Kind, m.Name))
		}
	}
	for _, m := range w.Remnants {
		r := c.ref(m.Kind, m.Name)
		if m.Stays != "" {
			note := gitops.Errorf(gitops.Extra, "%s stays: %s", cmp.Or(m.What, m.Name), m.Stays)
			out[r] = gitops.Observation{Err: note.On(r)}
			continue
		}
		o := gitops.Observation{Live: gitops.Tree{"name": m.Name}, Owned: true, Extra: true, Effect: m.What, Identity: cmp.Or(m.ID, m.Name)}
		switch m.Kind {
		case KindNetworkInterface:
			o.Needs = slices.Concat(pools, balancers)
		case KindSecurityGroup:
			o.Needs = balancers
		}
		out[r] = o
		all = append(all, r)
	}
	return all
}

// observeLogGroup adds the log group of the control plane, which outlives it: EKS logs to the end, and makes a group that is missing anew
// (EKS user guide, "Send control plane logs to CloudWatch Logs").
func (c *Config) observeLogGroup(w *world, wanted bool, out gitops.Observed) {
	if w.LogGroup == "" || c.adopted() {
		return
	}
	r := c.ref(KindLogGroup, logGroup(c.Name))
	if !wanted {
		e := gitops.Errorf(gitops.Extra, "log group %s stays, with what the control plane logged", r.Name)
		e.Try = "reconciler teardown --log-groups deletes it, too"
		out[r] = gitops.Observation{Err: e.On(r)}
		return
	}
	o := gitops.Observation{Live: gitops.Tree{"name": r.Name}, Owned: true, Data: "what the control plane logged", Identity: w.LogGroup}
	if cluster := c.ref(KindCluster, c.Name); out[cluster].Live != nil {
		o.Needs = []gitops.Ref{cluster}
	}
	o.Minutes = typicalMinutes(r.Kind, o)
	out[r] = o
}
