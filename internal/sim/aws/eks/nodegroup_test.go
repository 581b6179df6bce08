package eks_test

import (
	"encoding/base64"
	"maps"
	"slices"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awseks "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/ec2"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// group is a request for a node group of c1 that works.
func (a *account) group(name string, size int32) *awseks.CreateNodegroupInput {
	a.t.Helper()
	return &awseks.CreateNodegroupInput{
		ClusterName: sdk.String("c1"), NodegroupName: &name, NodeRole: sdk.String(a.role("node-"+name, "ec2.amazonaws.com")), Subnets: a.subnets,
		InstanceTypes: []string{"m5.large"},
		ScalingConfig: &types.NodegroupScalingConfig{MinSize: sdk.Int32(0), MaxSize: sdk.Int32(max(size, 1)), DesiredSize: &size},
	}
}

// nodegroup makes a node group of c1 and waits for it.
func (a *account) nodegroup(name string, size int32, change ...func(*awseks.CreateNodegroupInput)) *types.Nodegroup {
	a.t.Helper()
	in := a.group(name, size)
	for _, c := range change {
		c(in)
	}
	_, err := a.api.CreateNodegroup(a.t.Context(), in)
	must(a.t, err)
	a.pass(2 * time.Minute)
	g := a.describeGroup(name)
	if g.Status != types.NodegroupStatusActive {
		a.t.Fatalf("node group is %s: %s", g.Status, issues(g))
	}
	return g
}

func (a *account) describeGroup(name string) *types.Nodegroup {
	a.t.Helper()
	out, err := a.api.DescribeNodegroup(a.t.Context(), &awseks.DescribeNodegroupInput{ClusterName: sdk.String("c1"), NodegroupName: &name})
	must(a.t, err)
	return out.Nodegroup
}

// machines are the instances that run, as a node would see them.
func (a *account) machines() []ec2.Machine {
	a.t.Helper()
	var out []ec2.Machine
	a.within(func() {
		found, err := a.ec2.DescribeInstances(a.t.Context(), wire.Caller{}, &ec2.DescribeInstancesInput{})
		must(a.t, err)
		for _, r := range found.Reservations {
			for _, shown := range r.Instances {
				if i, _ := a.ec2.Instance(shown.InstanceID); i.Running() {
					out = append(out, a.ec2.Machine(i))
				}
			}
		}
	})
	return out
}

func TestCreateNodegroupBringsUpNodes(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	g := a.nodegroup("ng", 2, func(in *awseks.CreateNodegroupInput) {
		in.Labels = map[string]string{"role": "web"}
		in.Taints = []types.Taint{{Key: sdk.String("dedicated"), Value: sdk.String("web"), Effect: types.TaintEffectNoSchedule}}
	})
	if *g.Version != "1.34" || *g.ReleaseVersion != "1.34.10-20261106" || g.AmiType != types.AMITypesAl2023X8664Standard || g.CapacityType != types.CapacityTypesOnDemand {
		t.Errorf("node group is %s, %s, %s, %s", *g.Version, *g.ReleaseVersion, g.AmiType, g.CapacityType)
	}
	nodes := a.machines()
	if len(nodes) != 2 {
		t.Fatalf("%d instances run, want 2", len(nodes))
	}
	n := nodes[0]
	if n.Cluster != "c1" || n.Endpoint != *a.describe("c1").Endpoint || n.Version != "1.34" || n.MaxPods != 29 || n.InstanceType != "m5.large" {
		t.Errorf("node is of cluster %s at %s, version %s, %d Pods, %s", n.Cluster, n.Endpoint, n.Version, n.MaxPods, n.InstanceType)
	}
	for k, v := range map[string]string{"role": "web", "eks.amazonaws.com/nodegroup": "ng", "eks.amazonaws.com/capacityType": "ON_DEMAND", "eks.amazonaws.com/nodegroup-image": n.ImageID} {
		if n.Labels[k] != v {
			t.Errorf("label %s is %q, want %q", k, n.Labels[k], v)
		}
	}
	if len(n.Taints) != 1 || n.Taints[0] != (ec2.Taint{Key: "dedicated", Value: "web", Effect: "NoSchedule"}) {
		t.Errorf("taints are %v", n.Taints)
	}
	if n.Tags["eks:nodegroup-name"] != "ng" || n.Tags["kubernetes.io/cluster/c1"] != "owned" {
		t.Errorf("tags are %v", n.Tags)
	}
	entries, err := a.api.DescribeAccessEntry(t.Context(), &awseks.DescribeAccessEntryInput{ClusterName: sdk.String("c1"), PrincipalArn: g.NodeRole})
	must(t, err)
	if *entries.AccessEntry.Type != "EC2_LINUX" || !slices.Equal(entries.AccessEntry.KubernetesGroups, []string{"system:nodes"}) {
		t.Errorf("access entry of the nodes is %+v", entries.AccessEntry)
	}
}

// TestUsersMaxPodsStand: how many pods a node may hold is for the user's part of the user data to say.
func TestUsersMaxPodsStand(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	data := "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/node.eks.aws\r\n\r\n" +
		"apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec:\n  kubelet:\n    config:\n      maxPods: 110\n\r\n--b--\r\n"
	a.within(func() {
		_, err := a.ec2.CreateLaunchTemplate(t.Context(), wire.Caller{}, &ec2.CreateLaunchTemplateInput{
			LaunchTemplateName: "many", LaunchTemplateData: ec2.TemplateData{UserData: base64.StdEncoding.EncodeToString([]byte(data))},
		})
		must(t, err)
	})
	a.nodegroup("ng", 1, func(in *awseks.CreateNodegroupInput) {
		in.LaunchTemplate = &types.LaunchTemplateSpecification{Name: sdk.String("many")}
	})
	if n := a.machines()[0]; n.MaxPods != 110 || n.Cluster != "c1" {
		t.Errorf("a node of %s has room for %d pods, want 110 of c1", n.Cluster, n.MaxPods)
	}
}

func TestCreateNodegroupRefuses(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	a.nodegroup("there", 0)
	notNodes := a.role("not-nodes", "eks.amazonaws.com")
	good := a.group("bad", 1)
	size := func(low, want, high int32) *types.NodegroupScalingConfig {
		return &types.NodegroupScalingConfig{MinSize: &low, MaxSize: &high, DesiredSize: &want}
	}
	for name, c := range map[string]struct {
		change     func(*awseks.CreateNodegroupInput)
		code, text string
	}{
		"exists":  {func(in *awseks.CreateNodegroupInput) { in.NodegroupName = sdk.String("there") }, "ResourceInUseException", "NodeGroup already exists with name there and cluster name c1"},
		"no role": {func(in *awseks.CreateNodegroupInput) { in.NodeRole = sdk.String("arn:aws:iam::111122223333:role/none") }, "InvalidParameterException", "The role with name none cannot be found."},
		"role of another service": {func(in *awseks.CreateNodegroupInput) { in.NodeRole = &notNodes }, "InvalidParameterException",
			"Following required service principals [ec2.amazonaws.com] were not found in the trust relationships of nodeRole " + notNodes},
		"min over desired": {func(in *awseks.CreateNodegroupInput) { in.ScalingConfig = size(3, 2, 4) }, "InvalidParameterException", "Minimum capacity 3 can't be greater than desired size 2"},
		"desired over max": {func(in *awseks.CreateNodegroupInput) { in.ScalingConfig = size(1, 5, 4) }, "InvalidParameterException", "Desired capacity 5 can't be greater than max size 4"},
		"reserved label": {func(in *awseks.CreateNodegroupInput) { in.Labels = map[string]string{"eks.amazonaws.com/x": "y"} }, "InvalidParameterException",
			"Label cannot contain reserved prefixes [kubernetes.io/, k8s.io/, eks.amazonaws.com/]"},
		"instance type": {func(in *awseks.CreateNodegroupInput) { in.InstanceTypes = []string{"z9.huge"} }, "InvalidParameterException", "The following supplied instance types do not exist: [z9.huge]"},
		"architecture": {func(in *awseks.CreateNodegroupInput) {
			in.InstanceTypes, in.AmiType = []string{"m7g.large"}, types.AMITypesAl2023X8664Standard
		}, "InvalidParameterException", "[m7g.large] is not a valid instance type for requested amiType AL2023_x86_64_STANDARD"},
		"other version": {func(in *awseks.CreateNodegroupInput) { in.Version = sdk.String("1.33") }, "InvalidParameterException", "Nodegroup Kubernetes version should be equal to Cluster kubernetes version 1.34"},
		"release": {func(in *awseks.CreateNodegroupInput) { in.ReleaseVersion = sdk.String("1.34.0-20200101") }, "InvalidParameterException",
			"Requested Nodegroup release version 1.34.0-20200101 is invalid. Allowed release version is 1.34.10-20261106"},
		"both kinds of unavailable": {func(in *awseks.CreateNodegroupInput) {
			in.UpdateConfig = &types.NodegroupUpdateConfig{MaxUnavailable: sdk.Int32(1), MaxUnavailablePercentage: sdk.Int32(10)}
		}, "InvalidParameterException", ""},
		"subnet": {func(in *awseks.CreateNodegroupInput) { in.Subnets = []string{"subnet-0123"} }, "InvalidParameterException", "The subnet ID 'subnet-0123' does not exist"},
	} {
		in := *good
		c.change(&in)
		_, err := a.api.CreateNodegroup(t.Context(), &in)
		t.Run(name, func(t *testing.T) { refused(t, err, c.code, c.text) })
	}
}

func TestCreateNodegroupNeedsAnActiveCluster(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	_, err := a.api.CreateCluster(t.Context(), a.request("c1"))
	must(t, err)
	_, err = a.api.CreateNodegroup(t.Context(), a.group("ng", 1))
	refused(t, err, "InvalidRequestException", "")
}

func TestUpdateNodegroupConfigScales(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	a.nodegroup("ng", 1)
	in := &awseks.UpdateNodegroupConfigInput{ClusterName: sdk.String("c1"), NodegroupName: sdk.String("ng"), ScalingConfig: &types.NodegroupScalingConfig{DesiredSize: sdk.Int32(3), MaxSize: sdk.Int32(5)}}
	out, err := a.api.UpdateNodegroupConfig(t.Context(), in)
	must(t, err)
	in.ClientRequestToken = sdk.String("another")
	_, err = a.api.UpdateNodegroupConfig(t.Context(), in)
	refused(t, err, "ResourceInUseException", "Nodegroup cannot be updated as it is currently not in Active State")
	a.pass(2 * time.Minute)
	g := a.describeGroup("ng")
	if g.Status != types.NodegroupStatusActive || *g.ScalingConfig.DesiredSize != 3 || *g.ScalingConfig.MaxSize != 5 || len(a.machines()) != 3 {
		t.Errorf("after scaling the group is %s, %d of %d, with %d instances", g.Status, *g.ScalingConfig.DesiredSize, *g.ScalingConfig.MaxSize, len(a.machines()))
	}
	u, err := a.api.DescribeUpdate(t.Context(), &awseks.DescribeUpdateInput{Name: sdk.String("c1"), NodegroupName: sdk.String("ng"), UpdateId: out.Update.Id})
	must(t, err)
	if u.Update.Status != types.UpdateStatusSuccessful || u.Update.Type != types.UpdateTypeConfigUpdate {
		t.Errorf("update is %s, %s", u.Update.Status, u.Update.Type)
	}
	_, err = a.api.DescribeUpdate(t.Context(), &awseks.DescribeUpdateInput{Name: sdk.String("c1"), UpdateId: out.Update.Id})
	refused(t, err, "ResourceNotFoundException", "") // without nodegroupName it is not the cluster's
	in.ScalingConfig = &types.NodegroupScalingConfig{MinSize: sdk.Int32(4)}
	in.ClientRequestToken = nil
	_, err = a.api.UpdateNodegroupConfig(t.Context(), in)
	refused(t, err, "InvalidParameterException", "Minimum capacity 4 can't be greater than desired size 3")
}

func TestUpdateNodegroupConfigLabelsAndTaintsReachNodes(t *testing.T) {
	t.Parallel()
	nodes := newNodes()
	a := newAccount(t, func(o *aws.Options) { o.Nodes = nodes })
	a.cluster("c1")
	a.nodegroup("ng", 1, func(in *awseks.CreateNodegroupInput) { in.Labels = map[string]string{"old": "1", "kept": "2"} })
	_, err := a.api.UpdateNodegroupConfig(t.Context(), &awseks.UpdateNodegroupConfigInput{
		ClusterName: sdk.String("c1"), NodegroupName: sdk.String("ng"),
		Labels: &types.UpdateLabelsPayload{AddOrUpdateLabels: map[string]string{"new": "3"}, RemoveLabels: []string{"old"}},
		Taints: &types.UpdateTaintsPayload{AddOrUpdateTaints: []types.Taint{{Key: sdk.String("t"), Effect: types.TaintEffectNoExecute}}},
	})
	must(t, err)
	a.pass(time.Minute)
	want := map[string]string{"new": "3", "kept": "2"}
	if g := a.describeGroup("ng"); !maps.Equal(g.Labels, want) || len(g.Taints) != 1 {
		t.Errorf("group has labels %v and taints %v", g.Labels, g.Taints)
	}
	m := nodes.marks[a.machines()[0].InstanceID]
	if !maps.Equal(m.Labels, want) || !slices.Equal(m.DroppedLabels, []string{"old"}) || len(m.Taints) != 1 {
		t.Errorf("the node was told %+v", m)
	}
}

func TestUpdateNodegroupVersionReplacesNodesInBatches(t *testing.T) {
	t.Parallel()
	nodes := newNodes()
	a := newAccount(t, func(o *aws.Options) { o.Nodes = nodes })
	a.cluster("c1")
	a.nodegroup("ng", 3)
	before := a.machines()
	upgrade := &awseks.UpdateNodegroupVersionInput{ClusterName: sdk.String("c1"), NodegroupName: sdk.String("ng"), Version: sdk.String("1.35")}
	_, err := a.api.UpdateNodegroupVersion(t.Context(), upgrade)
	refused(t, err, "InvalidParameterException", "Nodegroup Kubernetes version should be equal to Cluster kubernetes version 1.34 or NodeGroup kubernetes version 1.34")
	a.upgrade("1.35")
	_, err = a.api.UpdateNodegroupVersion(t.Context(), upgrade)
	must(t, err)
	for range 40 {
		a.pass(15 * time.Second)
		if n := len(a.machines()); n < 3 || n > 4 {
			t.Fatalf("%d instances run during the update, want 3 and at most one more", n)
		}
	}
	g := a.describeGroup("ng")
	if g.Status != types.NodegroupStatusActive || *g.Version != "1.35" || *g.ReleaseVersion != "1.35.7-20261106" {
		t.Fatalf("afterwards the group is %s, %s, %s", g.Status, *g.Version, *g.ReleaseVersion)
	}
	after := a.machines()
	if len(after) != 3 || *g.ScalingConfig.MaxSize != 3 {
		t.Errorf("afterwards there are %d instances and the maximum is %d", len(after), *g.ScalingConfig.MaxSize)
	}
	for _, n := range after {
		if n.Version != "1.35" || slices.ContainsFunc(before, func(b ec2.Machine) bool { return b.InstanceID == n.InstanceID }) {
			t.Errorf("instance %s is of version %s", n.InstanceID, n.Version)
		}
	}
	for _, n := range before {
		if !nodes.drained[n.InstanceID] {
			t.Errorf("instance %s went without being drained", n.InstanceID)
		}
	}
}

func TestUpdateNodegroupVersionFailsWhenPodsStay(t *testing.T) {
	t.Parallel()
	nodes := newNodes()
	a := newAccount(t, func(o *aws.Options) { o.Nodes = nodes })
	a.cluster("c1")
	a.nodegroup("ng", 1)
	a.upgrade("1.35")
	old := a.machines()[0].InstanceID
	nodes.stuck[old] = true
	out, err := a.api.UpdateNodegroupVersion(t.Context(), a.newRelease("ng"))
	must(t, err)
	a.pass(20 * time.Minute)
	describe := &awseks.DescribeUpdateInput{Name: sdk.String("c1"), NodegroupName: sdk.String("ng"), UpdateId: out.Update.Id}
	u, err := a.api.DescribeUpdate(t.Context(), describe)
	must(t, err)
	if u.Update.Status != types.UpdateStatusFailed || u.Update.Errors[0].ErrorCode != types.ErrorCodePodEvictionFailure {
		t.Fatalf("update is %s: %v", u.Update.Status, u.Update.Errors)
	}
	a.pass(5 * time.Minute)
	if g := a.describeGroup("ng"); g.Status != types.NodegroupStatusActive {
		t.Errorf("after the failure the group is %s", g.Status)
	}
	in := a.newRelease("ng")
	in.Force = true
	out, err = a.api.UpdateNodegroupVersion(t.Context(), in)
	must(t, err)
	a.pass(10 * time.Minute)
	describe.UpdateId = out.Update.Id
	u, err = a.api.DescribeUpdate(t.Context(), describe)
	must(t, err)
	if u.Update.Status != types.UpdateStatusSuccessful || slices.ContainsFunc(a.machines(), func(m ec2.Machine) bool { return m.InstanceID == old }) {
		t.Errorf("forced update is %s: %v", u.Update.Status, u.Update.Errors)
	}
}

// TestUpdateNodegroupVersionWaitsForRealPods: Pods that need a while to be ready elsewhere need it at any speed of the world.
func TestUpdateNodegroupVersionWaitsForRealPods(t *testing.T) {
	t.Parallel()
	nodes := newNodes()
	a := newAccount(t, func(o *aws.Options) { o.Nodes, o.World.Speed = nodes, 300 })
	a.cluster("c1")
	a.nodegroup("ng", 1)
	a.upgrade("1.35")
	nodes.stuck[a.machines()[0].InstanceID] = true
	out, err := a.api.UpdateNodegroupVersion(t.Context(), a.newRelease("ng"))
	must(t, err)
	a.pass(4 * time.Minute)
	clear(nodes.stuck)
	a.pass(2 * time.Minute)
	u, err := a.api.DescribeUpdate(t.Context(), &awseks.DescribeUpdateInput{Name: sdk.String("c1"), NodegroupName: sdk.String("ng"), UpdateId: out.Update.Id})
	must(t, err)
	if u.Update.Status != types.UpdateStatusSuccessful {
		t.Errorf("update is %s: %+v", u.Update.Status, u.Update.Errors)
	}
}

func TestNodegroupWithoutNodesFails(t *testing.T) {
	t.Parallel()
	nodes := newNodes()
	nodes.absent = true
	a := newAccount(t, func(o *aws.Options) { o.Nodes = nodes })
	a.cluster("c1")
	_, err := a.api.CreateNodegroup(t.Context(), a.group("ng", 1))
	must(t, err)
	a.pass(26 * time.Minute)
	g := a.describeGroup("ng")
	if g.Status != types.NodegroupStatusCreateFailed || g.Health.Issues[0].Code != types.NodegroupIssueCodeNodeCreationFailure {
		t.Errorf("group is %s: %s", g.Status, issues(g))
	}
}

func TestDescribeNodegroupHealth(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	g := a.nodegroup("ng", 1)
	must(t, a.dropRole(*g.NodeRole))
	a.pass(time.Second)
	g = a.describeGroup("ng")
	if g.Status != types.NodegroupStatusDegraded || g.Health.Issues[0].Code != types.NodegroupIssueCodeIamNodeRoleNotFound {
		t.Errorf("group is %s: %s", g.Status, issues(g))
	}
}

func TestDeleteNodegroupDrainsAndTakesAwayWhatEKSMade(t *testing.T) {
	t.Parallel()
	nodes := newNodes()
	a := newAccount(t, func(o *aws.Options) { o.Nodes = nodes })
	a.cluster("c1")
	a.nodegroup("ng", 2)
	name := sdk.String("c1")
	_, err := a.api.DeleteCluster(t.Context(), &awseks.DeleteClusterInput{Name: name})
	refused(t, err, "ResourceInUseException", "Cluster has nodegroups attached")
	_, err = a.api.DeleteNodegroup(t.Context(), &awseks.DeleteNodegroupInput{ClusterName: name, NodegroupName: sdk.String("ng")})
	must(t, err)
	if got := a.describeGroup("ng").Status; got != types.NodegroupStatusDeleting {
		t.Errorf("status after DeleteNodegroup is %s", got)
	}
	a.pass(3 * time.Minute)
	_, err = a.api.DescribeNodegroup(t.Context(), &awseks.DescribeNodegroupInput{ClusterName: name, NodegroupName: sdk.String("ng")})
	refused(t, err, "ResourceNotFoundException", "No node group found for name: ng.")
	if len(a.machines()) != 0 || len(nodes.drained) != 2 {
		t.Errorf("%d instances are left, %d were drained", len(a.machines()), len(nodes.drained))
	}
	a.within(func() {
		found, err := a.ec2.DescribeLaunchTemplates(t.Context(), wire.Caller{}, &ec2.DescribeLaunchTemplatesInput{})
		must(t, err)
		if len(found.Templates) != 0 {
			t.Errorf("launch templates are left: %v", found.Templates)
		}
	})
	_, err = a.api.DeleteCluster(t.Context(), &awseks.DeleteClusterInput{Name: name})
	must(t, err)
}
