package cloudformation_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// account drives a whole simulator through the SDK, with the templates that eksctl 0.225.0 rendered (testdata/eksctl).
type account struct {
	*testing.T
	sim    *simtest.Sim
	cfn    *cloudformation.Client
	ec2    *ec2.Client
	scales *autoscaling.Client
	fill   *strings.Replacer
}

func newAccount(t *testing.T) *account {
	t.Helper()
	sim := simtest.Start(t, aws.Options{World: world.Options{Seed: 7}})
	c := sim.Config()
	return &account{
		T: t, sim: sim, cfn: cloudformation.NewFromConfig(c), ec2: ec2.NewFromConfig(c), scales: autoscaling.NewFromConfig(c),
		fill: strings.NewReplacer(),
	}
}

func (a *account) template(name string) *string {
	a.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "eksctl", name+".json"))
	if err != nil {
		a.Fatal(err)
	}
	text := a.fill.Replace(string(raw))
	return &text
}

func (a *account) create(stack, template string) {
	a.Helper()
	protect := true
	key, value := "alpha.eksctl.io/cluster-name", "demo"
	_, err := a.cfn.CreateStack(a.Context(), &cloudformation.CreateStackInput{
		StackName: &stack, TemplateBody: a.template(template), Capabilities: []types.Capability{types.CapabilityCapabilityIam},
		EnableTerminationProtection: &protect,
		// eksctl sends keys twice.
		Tags: []types.Tag{{Key: &key, Value: &value}, {Key: &key, Value: &value}},
	})
	if err != nil {
		a.Fatal(err)
	}
}

func (a *account) describe(stack string) types.Stack {
	a.Helper()
	out, err := a.cfn.DescribeStacks(a.Context(), &cloudformation.DescribeStacksInput{StackName: &stack})
	if err != nil {
		a.Fatal(err)
	}
	return out.Stacks[0]
}

func (a *account) settled(stack string, want types.StackStatus) types.Stack {
	a.Helper()
	var st types.Stack
	a.sim.Settle(a, 5*time.Second, 2*time.Hour, func() bool {
		st = a.describe(stack)
		return !strings.HasSuffix(string(st.StackStatus), "_IN_PROGRESS")
	})
	if st.StackStatus != want {
		events, err := a.cfn.DescribeStackEvents(a.Context(), &cloudformation.DescribeStackEventsInput{StackName: st.StackId})
		if err != nil {
			a.Fatal(err)
		}
		for _, e := range events.StackEvents {
			if e.ResourceStatusReason != nil {
				a.Logf("%s %s: %s", *e.LogicalResourceId, e.ResourceStatus, *e.ResourceStatusReason)
			}
		}
		a.Fatalf("stack %s is %s", stack, st.StackStatus)
	}
	return st
}

func outputs(st types.Stack) map[string]string {
	out := map[string]string{}
	for _, o := range st.Outputs {
		out[*o.OutputKey] = *o.OutputValue
	}
	return out
}

// cluster makes the cluster stack and prepares what nodegroup templates name.
func (a *account) cluster() types.Stack {
	a.Helper()
	a.create("eksctl-demo-cluster", "cluster")
	st := a.settled("eksctl-demo-cluster", types.StackStatusCreateComplete)
	out := outputs(st)
	parameter := "/aws/service/eks/optimized-ami/1.34/amazon-linux-2023/x86_64/standard/recommended/image_id"
	image, err := ssm.NewFromConfig(a.sim.Config()).GetParameter(a.Context(), &ssm.GetParameterInput{Name: &parameter})
	if err != nil {
		a.Fatal(err)
	}
	public := strings.Split(out["SubnetsPublic"], ",")
	a.fill = strings.NewReplacer("SUBNET_A", public[0], "SUBNET_B", public[1], "VPC_ID", out["VPC"], "AMI_ID", *image.Parameter.Value)
	return st
}

func (a *account) remove(stack string) {
	a.Helper()
	id, off := *a.describe(stack).StackId, false
	if _, err := a.cfn.UpdateTerminationProtection(a.Context(), &cloudformation.UpdateTerminationProtectionInput{StackName: &id, EnableTerminationProtection: &off}); err != nil {
		a.Fatal(err)
	}
	if _, err := a.cfn.DeleteStack(a.Context(), &cloudformation.DeleteStackInput{StackName: &id}); err != nil {
		a.Fatal(err)
	}
	a.settled(id, types.StackStatusDeleteComplete)
}

// nothingLeft checks that the account is as empty as it was.
func (a *account) nothingLeft() {
	a.Helper()
	vpcs, err := a.ec2.DescribeVpcs(a.Context(), &ec2.DescribeVpcsInput{})
	if err != nil || len(vpcs.Vpcs) != 0 {
		a.Errorf("VPCs are left: %v, %v", vpcs, err)
	}
	nics, err := a.ec2.DescribeNetworkInterfaces(a.Context(), &ec2.DescribeNetworkInterfacesInput{})
	if err != nil || len(nics.NetworkInterfaces) != 0 {
		a.Errorf("interfaces are left: %v, %v", nics, err)
	}
	addresses, err := a.ec2.DescribeAddresses(a.Context(), &ec2.DescribeAddressesInput{})
	if err != nil || len(addresses.Addresses) != 0 {
		a.Errorf("addresses are left: %v, %v", addresses, err)
	}
	templates, err := a.ec2.DescribeLaunchTemplates(a.Context(), &ec2.DescribeLaunchTemplatesInput{})
	if err != nil || len(templates.LaunchTemplates) != 0 {
		a.Errorf("launch templates are left: %v, %v", templates, err)
	}
	groups, err := a.scales.DescribeAutoScalingGroups(a.Context(), &autoscaling.DescribeAutoScalingGroupsInput{})
	if err != nil || len(groups.AutoScalingGroups) != 0 {
		a.Errorf("groups are left: %v, %v", groups, err)
	}
	volumes, err := a.ec2.DescribeVolumes(a.Context(), &ec2.DescribeVolumesInput{})
	if err != nil || len(volumes.Volumes) != 0 {
		a.Errorf("volumes are left: %v, %v", volumes, err)
	}
}

func TestEksctlClusterStack(t *testing.T) {
	t.Parallel()
	for _, template := range []string{"cluster", "cluster-ipv6", "cluster-private", "cluster-fargate"} {
		t.Run(template, func(t *testing.T) {
			t.Parallel()
			a := newAccount(t)
			a.create("eksctl-demo-cluster", template)
			st := a.settled("eksctl-demo-cluster", types.StackStatusCreateComplete)
			out := outputs(st)
			for _, key := range []string{
				"ARN", "CertificateAuthorityData", "ClusterSecurityGroupId", "ClusterStackName", "Endpoint", "FeatureNATMode", "SecurityGroup", "ServiceRoleARN",
				"SharedNodeSecurityGroup", "SubnetsPrivate", "SubnetsPublic", "VPC",
			} {
				// IPv6 and private clusters have no NAT; a private one has no public subnets either.
				optional := key == "FeatureNATMode" && template != "cluster" || key == "SubnetsPublic" && template == "cluster-private"
				if out[key] == "" && !optional {
					t.Errorf("output %s is empty", key)
				}
			}
			if len(st.Tags) != 1 || !*st.EnableTerminationProtection {
				t.Errorf("tags are %v, protection %v", st.Tags, *st.EnableTerminationProtection)
			}
			exports, err := a.cfn.ListExports(t.Context(), &cloudformation.ListExportsInput{})
			if err != nil {
				t.Fatal(err)
			}
			names := []string{}
			for _, e := range exports.Exports {
				names = append(names, *e.Name)
			}
			if !slices.Contains(names, "eksctl-demo-cluster::SharedNodeSecurityGroup") {
				t.Errorf("exports are %q", names)
			}
			subnets, err := a.ec2.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{Filters: []ec2types.Filter{filter("vpc-id", out["VPC"]), filter("tag-key", "kubernetes.io/role/elb")}})
			if err != nil || len(subnets.Subnets) != map[bool]int{true: 0, false: 2}[template == "cluster-private"] {
				t.Errorf("public subnets are %v, %v", subnets, err)
			}
			a.remove("eksctl-demo-cluster")
			a.nothingLeft()
		})
	}
}

func filter(name string, values ...string) ec2types.Filter {
	return ec2types.Filter{Name: &name, Values: values}
}

func (a *account) group(stack string) string {
	a.Helper()
	logical := "NodeGroup"
	out, err := a.cfn.DescribeStackResource(a.Context(), &cloudformation.DescribeStackResourceInput{StackName: &stack, LogicalResourceId: &logical})
	if err != nil {
		a.Fatal(err)
	}
	return *out.StackResourceDetail.PhysicalResourceId
}

func (a *account) instances(stack string) []ec2types.Instance {
	a.Helper()
	out, err := a.ec2.DescribeInstances(a.Context(), &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{
		filter("tag:aws:cloudformation:stack-name", stack), filter("instance-state-name", "running"),
	}})
	if err != nil {
		a.Fatal(err)
	}
	var all []ec2types.Instance
	for _, r := range out.Reservations {
		all = append(all, r.Instances...)
	}
	return all
}

func TestEksctlNodegroupStacks(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster()
	for _, name := range []string{"managed", "own", "mixed"} {
		a.create("eksctl-demo-nodegroup-"+name, "nodegroup-"+name)
	}
	a.create("eksctl-demo-addon-iamserviceaccount-apps-s3", "irsa")
	a.create("eksctl-demo-podidentityrole-apps-dns", "podidentity")
	a.settled("eksctl-demo-nodegroup-managed", types.StackStatusCreateComplete)
	own := outputs(a.settled("eksctl-demo-nodegroup-own", types.StackStatusCreateComplete))
	if own["FeatureLocalSecurityGroup"] != "true" || own["FeaturePrivateNetworking"] != "false" || !strings.Contains(own["InstanceRoleARN"], ":role/eksctl-demo-nodegroup-own-NodeInstanceRole-") {
		t.Errorf("outputs are %v", own)
	}
	a.settled("eksctl-demo-nodegroup-mixed", types.StackStatusCreateComplete)
	for _, stack := range []string{"eksctl-demo-addon-iamserviceaccount-apps-s3", "eksctl-demo-podidentityrole-apps-dns"} {
		if role := outputs(a.settled(stack, types.StackStatusCreateComplete))["Role1"]; !strings.HasPrefix(role, "arn:aws:iam::111122223333:role/"+stack[:20]) {
			t.Errorf("Role1 is %s", role)
		} else {
			a.fill = strings.NewReplacer("PRINCIPAL_ARN", role)
		}
	}
	a.create("eksctl-demo-accessentry-viewer", "accessentry")
	a.settled("eksctl-demo-accessentry-viewer", types.StackStatusCreateComplete)

	running := a.instances("eksctl-demo-nodegroup-own")
	if len(running) != 2 || *running[0].Placement.AvailabilityZone == *running[1].Placement.AvailabilityZone {
		t.Errorf("instances are %v", running)
	}
	groups, err := a.scales.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{a.group("eksctl-demo-nodegroup-own")}})
	if err != nil || len(groups.AutoScalingGroups) != 1 || len(groups.AutoScalingGroups[0].Instances) != 2 {
		t.Fatalf("groups are %v, %v", groups, err)
	}
	spec := groups.AutoScalingGroups[0].LaunchTemplate
	if *spec.LaunchTemplateName != "eksctl-demo-nodegroup-own" || *spec.Version != "1" {
		t.Errorf("launch template is %v", spec)
	}

	// The cluster's stack cannot go while nodegroups import from it.
	cluster, off := "eksctl-demo-cluster", false
	if _, err := a.cfn.UpdateTerminationProtection(t.Context(), &cloudformation.UpdateTerminationProtectionInput{StackName: &cluster, EnableTerminationProtection: &off}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.cfn.DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: &cluster}); err != nil {
		t.Fatal(err)
	}
	if st := a.describe(cluster); st.StackStatus != types.StackStatusCreateComplete || !strings.Contains(*st.StackStatusReason, "cannot be deleted as it is in use by eksctl-demo-nodegroup-m") {
		t.Errorf("the cluster's stack is %s, %s", st.StackStatus, *st.StackStatusReason)
	}
	for _, stack := range []string{
		"eksctl-demo-nodegroup-managed", "eksctl-demo-nodegroup-own", "eksctl-demo-nodegroup-mixed", "eksctl-demo-addon-iamserviceaccount-apps-s3",
		"eksctl-demo-podidentityrole-apps-dns", "eksctl-demo-accessentry-viewer", cluster,
	} {
		a.remove(stack)
	}
	a.nothingLeft()
}

// An update of the launch template rolls through a self-managed nodegroup, since eksctl's template says so.
func TestEksctlRollingUpdate(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster()
	stack := "eksctl-demo-nodegroup-own"
	a.create(stack, "nodegroup-own")
	a.settled(stack, types.StackStatusCreateComplete)
	group, before := a.group(stack), a.instances(stack)

	name, body := "bigger", strings.ReplaceAll(*a.template("nodegroup-own"), "m5.large", "m5.xlarge")
	set := &cloudformation.CreateChangeSetInput{
		StackName: &stack, ChangeSetName: &name, TemplateBody: &body, ChangeSetType: types.ChangeSetTypeUpdate, Capabilities: []types.Capability{types.CapabilityCapabilityIam},
	}
	if _, err := a.cfn.CreateChangeSet(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	var seen *cloudformation.DescribeChangeSetOutput
	a.sim.Settle(t, time.Second, time.Minute, func() (done bool) {
		var err error
		if seen, err = a.cfn.DescribeChangeSet(t.Context(), &cloudformation.DescribeChangeSetInput{StackName: &stack, ChangeSetName: &name}); err != nil {
			t.Fatal(err)
		}
		return seen.Status == types.ChangeSetStatusCreateComplete
	})
	var changed []string
	for _, c := range seen.Changes {
		changed = append(changed, *c.ResourceChange.LogicalResourceId+" "+string(c.ResourceChange.Replacement))
	}
	if !slices.Equal(changed, []string{"NodeGroup False", "NodeGroupLaunchTemplate False"}) {
		t.Errorf("changes are %q", changed)
	}
	if _, err := a.cfn.ExecuteChangeSet(t.Context(), &cloudformation.ExecuteChangeSetInput{StackName: &stack, ChangeSetName: &name}); err != nil {
		t.Fatal(err)
	}
	a.settled(stack, types.StackStatusUpdateComplete)
	after := a.instances(stack)
	if len(after) != 2 || a.group(stack) != group {
		t.Fatalf("instances are %v", after)
	}
	for _, i := range after {
		if i.InstanceType != ec2types.InstanceTypeM5Xlarge || slices.ContainsFunc(before, func(o ec2types.Instance) bool { return *o.InstanceId == *i.InstanceId }) {
			t.Errorf("instance %s is a %s", *i.InstanceId, i.InstanceType)
		}
	}

	// The same template once more is no update.
	_, err := a.cfn.UpdateStack(t.Context(), &cloudformation.UpdateStackInput{StackName: &stack, TemplateBody: &body, Capabilities: []types.Capability{types.CapabilityCapabilityIam}})
	if apiErr, ok := errors.AsType[smithy.APIError](err); !ok || apiErr.ErrorCode() != "ValidationError" || apiErr.ErrorMessage() != "No updates are to be performed." {
		t.Errorf("error is %v", err)
	}
	// Instances that cannot run the image fail the group, and the update is taken back.
	worse := strings.ReplaceAll(body, "m5.xlarge", "m6g.xlarge")
	if _, err := a.cfn.UpdateStack(t.Context(), &cloudformation.UpdateStackInput{StackName: &stack, TemplateBody: &worse, Capabilities: []types.Capability{types.CapabilityCapabilityIam}}); err != nil {
		t.Fatal(err)
	}
	a.settled(stack, types.StackStatusUpdateRollbackComplete)
	for _, i := range a.instances(stack) {
		if i.InstanceType != ec2types.InstanceTypeM5Xlarge {
			t.Errorf("instance %s is a %s", *i.InstanceId, i.InstanceType)
		}
	}
}
