package eks

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"

	simelb "github.com/eks-gitops/reconciler/internal/sim/aws/elb"
	simelbv2 "github.com/eks-gitops/reconciler/internal/sim/aws/elbv2"
	simfault "github.com/eks-gitops/reconciler/internal/sim/aws/fault"
	simworld "github.com/eks-gitops/reconciler/internal/sim/aws/world"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// leavings are what controllers and nodes made in AWS for a rig's cluster, and what others have there.
type leavings struct {
	*rig
	client      *ec2.Client
	vpc, subnet string
	// groups and interfaces are ids by the names that tests give them.
	ids map[string]string
}

func (l *leavings) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// balance is what controllers do to load balancers.
func (l *leavings) balance(do func()) {
	l.t.Helper()
	l.must(l.World.Do(true, func() error { do(); return nil }))
}

func specify(of ec2types.ResourceType, tags map[string]string) []ec2types.TagSpecification {
	spec := ec2types.TagSpecification{ResourceType: of}
	for k, v := range tags {
		spec.Tags = append(spec.Tags, ec2types.Tag{Key: sdk.String(k), Value: sdk.String(v)})
	}
	if len(tags) == 0 {
		return nil
	}
	return []ec2types.TagSpecification{spec}
}

func (l *leavings) group(name string, tags map[string]string) string {
	l.t.Helper()
	out, err := l.client.CreateSecurityGroup(l.t.Context(), &ec2.CreateSecurityGroupInput{
		GroupName: &name, Description: sdk.String("of a test"), VpcId: &l.vpc, TagSpecifications: specify(ec2types.ResourceTypeSecurityGroup, tags),
	})
	l.must(err)
	l.ids[name] = *out.GroupId
	return *out.GroupId
}

func (l *leavings) nic(name, description string, tags map[string]string, groups ...string) {
	l.t.Helper()
	out, err := l.client.CreateNetworkInterface(l.t.Context(), &ec2.CreateNetworkInterfaceInput{
		SubnetId: &l.subnet, Description: &description, Groups: groups, TagSpecifications: specify(ec2types.ResourceTypeNetworkInterface, tags),
	})
	l.must(err)
	l.ids[name] = *out.NetworkInterface.NetworkInterfaceId
}

// newLeavings is a live cluster with everything around it that its end has to tell apart.
func newLeavings(t *testing.T) *leavings {
	t.Helper()
	r := newRig(t, lonely)
	r.converge()
	w := r.cloud.world
	l := &leavings{rig: r, client: ec2.NewFromConfig(r.Config()), vpc: w.vpc("dev"), subnet: w.Cluster.ResourcesVpcConfig.SubnetIds[0], ids: map[string]string{}}
	own := map[string]string{"kubernetes.io/cluster/dev": "owned"}
	clusterGroup := *w.Cluster.ResourcesVpcConfig.ClusterSecurityGroupId
	classic := l.group("k8s-elb-a0123", own)
	shared := l.group("k8s-traffic-dev-0123", map[string]string{"elbv2.k8s.aws/cluster": "dev"})
	l.group("given", own) // the cloud provider tags what a person gave it to use, too
	l.group("k8s-elb-b0123", map[string]string{"kubernetes.io/cluster/other": "owned"})
	for _, id := range []string{classic, shared} {
		_, err := l.client.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &clusterGroup, IpPermissions: []ec2types.IpPermission{{
			IpProtocol: sdk.String("tcp"), FromPort: sdk.Int32(8080), ToPort: sdk.Int32(8080), UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: sdk.String(id)}},
		}}})
		l.must(err)
	}
	l.nic("cni", "aws-K8S-i-0123", map[string]string{"cluster.k8s.amazonaws.com/name": "dev", "node.k8s.amazonaws.com/instance_id": "i-0123"}, clusterGroup)
	l.nic("old cni", "aws-K8S-i-0124", nil, clusterGroup)
	l.nic("other cni", "aws-K8S-i-0125", map[string]string{"cluster.k8s.amazonaws.com/name": "other"}, l.ids["given"])
	l.nic("person", "of a person", nil, l.ids["given"])
	l.balance(func() {
		r.ELB.Put(simelb.Balancer{Name: "a0123", VPC: l.vpc, Subnets: []string{l.subnet}, SecurityGroups: []string{classic}, Tags: own})
		r.ELBv2.Put(simelbv2.Balancer{Name: "k8s-shop", Type: "application", VPC: l.vpc, Zones: []simelbv2.Zone{{SubnetID: l.subnet}}, SecurityGroups: []string{shared}, Tags: simworld.Tags{"elbv2.k8s.aws/cluster": "dev"}})
		r.ELBv2.Put(simelbv2.Balancer{Name: "elsewhere", Type: "network", VPC: "vpc-0123", Tags: own})
		r.ELBv2.Put(simelbv2.Balancer{Name: "others", Type: "network", VPC: l.vpc, Tags: simworld.Tags{"elbv2.k8s.aws/cluster": "other"}})
		for i := range 25 {
			r.ELB.Put(simelb.Balancer{Name: fmt.Sprintf("web-%02d", i), VPC: "vpc-0123"})
		}
	})
	return l
}

const lonely = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: dev, region: eu-west-1, version: "1.34"}
iam: {withOIDC: true}
addonsConfig: {disableDefaultAddons: true}
managedNodeGroups:
- {name: system, instanceType: m5.large, minSize: 1, maxSize: 2, desiredCapacity: 1}
`

// ends is a process that ends the cluster.
func (r *rig) ends() {
	r.teardown = true
	r.reboot()
}

// named makes ids readable.
func (l *leavings) named(text string) string {
	for name, id := range l.ids {
		text = strings.ReplaceAll(text, id, "<"+name+">")
	}
	return text
}

// TestTeardownPlansWhatOthersLeft: load balancers, their security groups and interfaces that nothing uses are lines of the plan, by the tags of
// this cluster alone, in its own network alone; the cluster waits for them.
func TestTeardownPlansWhatOthersLeft(t *testing.T) {
	t.Parallel()
	l := newLeavings(t)
	before := l.Requests(0)
	if p := l.plan(); !p.Empty() {
		t.Fatalf("the living cluster:\n%s", describe(nil, p))
	}
	for _, q := range l.Requests(before[len(before)-1].Seq) {
		if q.Service == "elasticloadbalancing" || q.Service == "ec2" && q.Operation != "DescribeLaunchTemplateVersions" {
			t.Errorf("a look at a cluster that lives calls %s:%s", q.Service, q.Operation)
		}
	}
	l.ends()
	p := l.plan()
	var got []string
	for _, c := range p.Changes {
		switch c.Ref.Kind {
		case KindLoadBalancer, KindSecurityGroup, KindNetworkInterface:
			name, _, _ := strings.Cut(c.Ref.Name, "k8s-shop/")
			got = append(got, l.named(fmt.Sprintf("%s %s: %s (%s, %d min)", c.Ref.Kind, name, c.Why, c.Risk, c.Minutes)))
		case KindCluster:
			for _, kind := range []string{KindSecurityGroup, KindNetworkInterface} {
				if !slices.ContainsFunc(c.Needs, func(r gitops.Ref) bool { return r.Kind == kind }) {
					t.Errorf("the cluster does not wait for a %s: %v", kind, c.Needs)
				}
			}
		}
	}
	slices.Sort(got)
	want := []string{
		"LoadBalancer a0123: made beside git; classic load balancer a0123 (disruptive, 1 min)",
		"LoadBalancer app/: made beside git; application load balancer k8s-shop (disruptive, 1 min)",
		"NetworkInterface <cni>: made beside git; network interface <cni> that nothing uses (disruptive, 1 min)",
		"NetworkInterface <old cni>: made beside git; network interface <old cni> that nothing uses (disruptive, 1 min)",
		"SecurityGroup <k8s-elb-a0123>: made beside git; security group k8s-elb-a0123 (disruptive, 1 min)",
		"SecurityGroup <k8s-traffic-dev-0123>: made beside git; security group k8s-traffic-dev-0123 (disruptive, 1 min)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("planned\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var told []string
	for _, problem := range p.Problems {
		told = append(told, string(problem.Reason)+": "+problem.Message())
	}
	note := "Extra: network load balancer others stays: it carries no tag of the cluster alone, but is in the network that the cluster's stack made, which cannot go before it"
	if !slices.Equal(told, []string{note}) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(told, "\n"), note)
	}
}

// clear takes away what keeps the network and is not the cluster's.
func (l *leavings) clear() {
	l.t.Helper()
	for _, name := range []string{"other cni", "person"} {
		_, err := l.client.DeleteNetworkInterface(l.t.Context(), &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: sdk.String(l.ids[name])})
		l.must(err)
	}
	for _, name := range []string{"given", "k8s-elb-b0123"} {
		_, err := l.client.DeleteSecurityGroup(l.t.Context(), &ec2.DeleteSecurityGroupInput{GroupId: sdk.String(l.ids[name])})
		l.must(err)
	}
	l.balance(func() {
		l.ELBv2.Remove(l.arn("others"))
	})
}

func (l *leavings) arn(name string) string {
	for _, b := range l.ELBv2.All() {
		if b.Name == name {
			return b.ARN
		}
	}
	l.t.Fatalf("no load balancer %s", name)
	return ""
}

// standingBalancers are the load balancers that are there.
func (l *leavings) standingBalancers() []string {
	var out []string
	l.World.Look(func() {
		for _, b := range l.ELB.All() {
			if !strings.HasPrefix(b.Name, "web-") {
				out = append(out, b.Name)
			}
		}
		for _, b := range l.ELBv2.All() {
			out = append(out, b.Name)
		}
	})
	slices.Sort(out)
	return out
}

// TestTeardownDeletesWhatOthersLeft: the cluster's stack could not delete its network before (VPC user guide, "Delete your VPC": load balancers
// and security groups first), so nothing of it may be left; what is not the cluster's stays.
func TestTeardownDeletesWhatOthersLeft(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart=%v", restart), func(t *testing.T) {
			t.Parallel()
			l := newLeavings(t)
			l.clear()
			l.restart = restart
			l.ends()
			l.converge()
			if got := l.standingBalancers(); !slices.Equal(got, []string{"elsewhere"}) {
				t.Errorf("load balancers that are left: %v", got)
			}
			vpcs, err := l.client.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{VpcIds: []string{l.vpc}})
			if err == nil {
				t.Errorf("the network is still there: %v", vpcs.Vpcs)
			}
		})
	}
}

// TestTeardownDeletesWhatNodesLeaveMeanwhile: interfaces of the VPC CNI dangle only after their nodes went, which is after the plan; CloudFormation
// deletes no security group that one of them is in (amazon-vpc-cni-k8s, issue 1447).
func TestTeardownDeletesWhatNodesLeaveMeanwhile(t *testing.T) {
	t.Parallel()
	l := newLeavings(t)
	l.clear()
	l.ends()
	p := l.plan()
	group := *l.cloud.world.Cluster.ResourcesVpcConfig.ClusterSecurityGroupId
	l.nic("late", "aws-K8S-i-0126", map[string]string{"cluster.k8s.amazonaws.com/name": "dev"}, group)
	l.balance(func() {
		l.ELBv2.Put(simelbv2.Balancer{Name: "late", Type: "network", VPC: l.vpc, Zones: []simelbv2.Zone{{SubnetID: l.subnet}}, Tags: simworld.Tags{"kubernetes.io/cluster/dev": "owned"}})
	})
	l.run(p)
	l.converge()
	if got := l.standingBalancers(); !slices.Equal(got, []string{"elsewhere"}) {
		t.Errorf("load balancers that are left: %v", got)
	}
}

// TestAdoptedKeepsItsLoadBalancers: a cluster that stays keeps what others made for it.
func TestAdoptedKeepsItsLoadBalancers(t *testing.T) {
	t.Parallel()
	l := newLeavings(t)
	l.git(strings.Replace(lonely, "metadata: {name: dev,", `metadata: {annotations: {reconciler.eks-gitops.io/adopted: "true"}, name: dev,`, 1))
	l.ends()
	for _, c := range l.plan().Changes {
		if c.Ref.Kind == KindLoadBalancer || c.Ref.Kind == KindSecurityGroup || c.Ref.Kind == KindNetworkInterface {
			t.Errorf("planned: %s %s", c.Action, c.Ref)
		}
	}
}

// TestTeardownWithoutRights: a look that AWS refuses is no proof that nothing is there.
func TestTeardownWithoutRights(t *testing.T) {
	t.Parallel()
	l := newLeavings(t)
	l.ends()
	_, err := l.Faults().Add(simfault.Rule{Operation: "DescribeLoadBalancers", Effect: simfault.Fail, Code: "AccessDenied", Message: "no", Status: 403})
	l.must(err)
	_, err = l.cloud.Observe(t.Context(), gitops.Desired{Cluster: "dev", Items: []gitops.Item{l.item}}, l.inv)
	if e := gitops.AsError("", err); err == nil || e.Reason != gitops.AccessDenied {
		t.Errorf("observing: %v, want %s", err, gitops.AccessDenied)
	}
}

// TestTeardownOfLogs: the log group of the control plane outlives a cluster (EKS user guide, "Send control plane logs to CloudWatch Logs"), so it
// goes only where that was asked for, and after the cluster. The plan tells of one that stays.
func TestTeardownOfLogs(t *testing.T) {
	t.Parallel()
	for _, asked := range []bool{false, true} {
		t.Run(fmt.Sprintf("asked=%v", asked), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, lonely+"cloudWatch: {clusterLogging: {enableTypes: [audit]}}\n")
			r.converge()
			r.logGroups = asked
			r.ends()
			p := r.plan()
			told := slices.ContainsFunc(p.Problems, func(e *gitops.Error) bool {
				return e.Reason == gitops.Extra && e.Message() == "log group /aws/eks/dev/cluster stays, with what the control plane logged"
			})
			i := slices.IndexFunc(p.Changes, func(c plan.Change) bool { return c.Ref.Kind == KindLogGroup })
			if told == asked || i >= 0 != asked {
				t.Fatalf("told %v, planned at %d:\n%s", told, i, describe(nil, p))
			}
			if asked {
				if c := p.Changes[i]; c.Risk != plan.Destructive || c.Minutes == 0 || !slices.ContainsFunc(c.Needs, func(r gitops.Ref) bool { return r.Kind == KindCluster }) {
					t.Errorf("%+v", c)
				}
			}
			r.restart = asked
			r.converge()
			out, err := cloudwatchlogs.NewFromConfig(r.Config()).DescribeLogGroups(t.Context(), &cloudwatchlogs.DescribeLogGroupsInput{})
			if err != nil || len(out.LogGroups) == 0 != asked {
				t.Errorf("log groups that are left: %v %v", out.LogGroups, err)
			}
		})
	}
}

// TestTeardownProvesWhatIsLeft: after the end, a look of somebody who knows nothing of it tells what still carries the cluster's tags, and only
// that.
func TestTeardownProvesWhatIsLeft(t *testing.T) {
	t.Parallel()
	l := newLeavings(t)
	l.clear()
	for name, tags := range map[string]map[string]string{
		"data":  {"kubernetes.io/cluster/dev": "owned", "kubernetes.io/created-for/pvc/namespace": "shop", "kubernetes.io/created-for/pvc/name": "db"},
		"other": {"kubernetes.io/cluster/other": "owned"},
	} {
		out, err := l.client.CreateVolume(t.Context(), &ec2.CreateVolumeInput{
			AvailabilityZone: sdk.String("eu-west-1a"), Size: sdk.Int32(8), TagSpecifications: specify(ec2types.ResourceTypeVolume, tags),
		})
		l.must(err)
		l.ids[name] = *out.VolumeId
	}
	of := func(cluster string) []iamtypes.Tag {
		return []iamtypes.Tag{{Key: sdk.String("alpha.eksctl.io/cluster-name"), Value: &cluster}}
	}
	access := iam.NewFromConfig(l.Config())
	for name, cluster := range map[string]string{"eksctl-dev-nodegroup-old": "dev", "eksctl-dev-2-cluster-ServiceRole": "dev-2"} {
		trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
		_, err := access.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust, Tags: of(cluster)})
		l.must(err)
	}
	for host, cluster := range map[string]string{"one.example.org": "dev", "two.example.org": "dev-2"} {
		_, err := access.CreateOpenIDConnectProvider(t.Context(), &iam.CreateOpenIDConnectProviderInput{
			Url: sdk.String("https://" + host), ClientIDList: []string{"sts.amazonaws.com"}, Tags: of(cluster),
		})
		l.must(err)
	}
	l.ends()
	for _, problem := range l.plan().Problems {
		t.Errorf("told before the end, when it may be in use: %v", problem)
	}
	l.converge()
	l.reboot()
	p := l.plan()
	var told []string
	for _, problem := range p.Problems {
		told = append(told, l.named(problem.Message()))
	}
	slices.Sort(told)
	want := []string{
		"IAM role eksctl-dev-nodegroup-old stays: the stack that made it did not delete it",
		"identity provider one.example.org stays: it was found after the cluster was gone: delete it by hand",
		"network load balancer elsewhere stays: it carries the cluster's tag, and was found after the cluster was gone: delete it by hand",
		"volume <data> of 8 GiB, made for the claim shop/db, stays: it may hold data; delete it when nobody needs that",
	}
	if !slices.Equal(told, want) || len(p.Changes) > 0 || !p.Complete {
		t.Errorf("left\n%s\nwant\n%s\nplanned: %s", strings.Join(told, "\n"), strings.Join(want, "\n"), describe(nil, p))
	}
}
