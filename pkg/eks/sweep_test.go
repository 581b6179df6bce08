package eks

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// large is a cluster with six nodegroups and eight addons, of the kind that lab/e2e measures.
const large = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: dev, region: eu-west-1, version: "1.34"}
iam: {withOIDC: true}
addonsConfig: {disableDefaultAddons: true}
addons:
- name: vpc-cni
- name: kube-proxy
- name: coredns
- name: eks-pod-identity-agent
- name: aws-ebs-csi-driver
- name: eks-node-monitoring-agent
- name: metrics-server
- name: snapshot-controller
managedNodeGroups:
- {name: system, instanceType: m5.large, minSize: 2, maxSize: 4, desiredCapacity: 2, labels: {role: system}}
- {name: web, instanceType: m5.large, minSize: 1, maxSize: 4, desiredCapacity: 1}
- {name: batch, instanceType: m5.large, minSize: 1, maxSize: 4, desiredCapacity: 1}
- {name: data, instanceType: m5.large, minSize: 1, maxSize: 4, desiredCapacity: 1}
nodeGroups:
- {name: edge, instanceType: m5.large, minSize: 1, maxSize: 3, desiredCapacity: 1}
- {name: jobs, instanceType: m5.large, minSize: 1, maxSize: 3, desiredCapacity: 1}
`

// TestSweepCalls: what a look at a cluster where nothing changed asks AWS, call by call. docs/performance.md has the bar of 40 for all
// of them.
func TestSweepCalls(t *testing.T) {
	t.Parallel()
	r := newRig(t, large)
	r.converge()
	r.settled("creation")
	want := map[string]int{
		"eks:DescribeCluster": 1, "cloudformation:ListStacks": 1, "autoscaling:DescribeAutoScalingGroups": 1, "iam:GetOpenIDConnectProvider": 1,
		"eks:ListNodegroups": 1, "eks:DescribeNodegroup": 4, "ec2:DescribeLaunchTemplateVersions": 2, "eks:ListAddons": 1, "eks:DescribeAddon": 8,
		"eks:ListPodIdentityAssociations": 1, "eks:ListFargateProfiles": 1, "eks:ListIdentityProviderConfigs": 1, "eks:ListAccessEntries": 1,
		"eks:DescribeAccessEntry": 1, // of who made the cluster
	}
	if diff := cmp.Diff(want, r.calls()); diff != "" {
		t.Errorf("a sweep of a cluster where nothing changed (-want +got):\n%s", diff)
	}
}

// calls counts what a look asks AWS while git and live are the same.
func (r *rig) calls() map[string]int {
	r.t.Helper()
	before := r.Requests(0)
	if p := r.plan(); !p.Empty() {
		r.t.Fatalf("the plan is not empty:\n%s", describe(nil, p))
	}
	calls := map[string]int{}
	for _, q := range r.Requests(before[len(before)-1].Seq) {
		calls[q.Service+":"+q.Operation]++
	}
	return calls
}

// TestSweepSeesStacks: a stack that others update is asked for again, and no other; so are all of them after something was done from here.
func TestSweepSeesStacks(t *testing.T) {
	t.Parallel()
	r := newRig(t, fleet)
	r.converge()
	r.settled("creation")
	if n := r.calls()["cloudformation:DescribeStacks"]; n != 0 {
		t.Errorf("%d stacks were asked for though none changed", n)
	}
	name := irsaStack("dev", "apps/s3")
	var tags []cfntypes.Tag
	for _, old := range r.cloud.world.Stacks[name].Tags {
		tags = append(tags, cfntypes.Tag{Key: old.Key, Value: old.Value})
	}
	_, err := cloudformation.NewFromConfig(r.config()).UpdateStack(t.Context(), &cloudformation.UpdateStackInput{
		StackName: &name, UsePreviousTemplate: aws.Bool(true), Capabilities: []cfntypes.Capability{cfntypes.CapabilityCapabilityIam, cfntypes.CapabilityCapabilityNamedIam},
		Tags: append(tags, cfntypes.Tag{Key: aws.String("costcenter"), Value: aws.String("7")}),
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		r.tick()
	}
	if n := r.calls()["cloudformation:DescribeStacks"]; n != 1 {
		t.Errorf("%d stacks were asked for when one changed", n)
	}
	if got := tag(r.cloud.world.Stacks[name], "costcenter"); got != "7" {
		t.Errorf("the new tag is seen as %q", got)
	}
	r.cloud.touch()
	if n, all := r.calls()["cloudformation:DescribeStacks"], len(r.cloud.world.Stacks); n != all {
		t.Errorf("%d of %d stacks were asked for when something was done", n, all)
	}
}

// TestSweepSeesEntries: the entries that EKS makes for nodes are not asked for again, but those that come later are.
func TestSweepSeesEntries(t *testing.T) {
	t.Parallel()
	r := newRig(t, fleet)
	r.converge()
	r.settled("creation")
	before := r.calls()["eks:DescribeAccessEntry"]
	roles, entries := iam.NewFromConfig(r.config()), eks.NewFromConfig(r.config())
	_, err := roles.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("ops"), AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	r.tick() // until all of IAM knows the role
	principal := "arn:aws:iam::111122223333:role/ops"
	for _, kind := range []string{"EC2_LINUX", standardEntry} {
		if _, err := entries.CreateAccessEntry(t.Context(), &eks.CreateAccessEntryInput{ClusterName: aws.String("dev"), PrincipalArn: &principal, Type: &kind}); err != nil {
			t.Fatal(err)
		}
		if n := r.calls()["eks:DescribeAccessEntry"]; n != before+1 {
			t.Errorf("%d entries were asked for when one of type %s came, want %d", n, kind, before+1)
		}
		if got := aws.ToString(r.cloud.world.Entries[principal].Type); got != kind {
			t.Errorf("an entry of type %s is seen as %s", kind, got)
		}
		if _, err := entries.DeleteAccessEntry(t.Context(), &eks.DeleteAccessEntryInput{ClusterName: aws.String("dev"), PrincipalArn: &principal}); err != nil {
			t.Fatal(err)
		}
		if n := r.calls()["eks:DescribeAccessEntry"]; n != before {
			t.Errorf("%d entries were asked for when one was gone, want %d", n, before)
		}
	}
}

// TestSweepTakesTurns: a cluster is not looked at before its turn, and gives the turn back.
func TestSweepTakesTurns(t *testing.T) {
	t.Parallel()
	r := newRig(t, fleet)
	r.cloud.Turns = make(chan struct{}, 1)
	r.cloud.Turns <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.cloud.Observe(ctx, gitops.Desired{Cluster: "dev", Items: []gitops.Item{r.item}}, r.inv); err == nil {
		t.Error("it is looked at out of turn")
	}
	if made := r.Requests(0); len(made) != 0 {
		t.Errorf("AWS was asked %d times out of turn", len(made))
	}
	<-r.cloud.Turns
	if p := r.plan(); p.Empty() || !p.Complete {
		t.Errorf("in its turn it is not seen that all is to be made:\n%s", describe(nil, p))
	}
	if len(r.cloud.Turns) != 0 {
		t.Error("the turn is not given back")
	}
}
