package eks

import (
	"fmt"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// crowd is a cluster with so many of each kind of thing that a sweep asks for one by one.
func crowd(n int) string {
	var b strings.Builder
	b.WriteString(bare + "iam:\n  withOIDC: true\n  serviceAccounts:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - {metadata: {name: s%d, namespace: apps}, attachPolicyARNs: [\"arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess\"], roleOnly: true}\n", i)
	}
	b.WriteString("  podIdentityAssociations:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - {namespace: apps, serviceAccountName: p%d, permissionPolicyARNs: [\"arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess\"]}\n", i)
	}
	b.WriteString("addons: [{name: eks-pod-identity-agent}, {name: vpc-cni}, {name: kube-proxy}]\nmanagedNodeGroups:\n")
	for i := range n {
		fmt.Fprintf(&b, "- {name: m%d, instanceType: m5.large, minSize: 0, maxSize: 2, desiredCapacity: 0}\n", i)
	}
	b.WriteString("nodeGroups:\n")
	for i := range n {
		fmt.Fprintf(&b, "- {name: s%d, instanceType: m5.large, minSize: 0, maxSize: 2, desiredCapacity: 0}\n", i)
	}
	return b.String()
}

// TestSweepIsBounded: a sweep asks at most twice for each thing, beside a constant number of lists, however many there are; and not once for a
// stack in which nothing happened.
func TestSweepIsBounded(t *testing.T) {
	t.Parallel()
	const lists = 12
	for _, n := range []int{1, 3, 7} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, crowd(n))
			r.converge()
			r.settled("creation")
			sum, calls := 0, r.calls()
			for _, count := range calls {
				sum += count
			}
			things := 4*n + 3 + 1 + len(r.cloud.world.Entries)
			if sum > lists+2*things || calls["cloudformation:DescribeStacks"] != 0 || calls["cloudformation:GetTemplate"] != 0 {
				t.Errorf("%d calls for %d things, at most %d: %v", sum, things, lists+2*things, calls)
			}
		})
	}
}

// TestSweepReadsAllPages: what is on a later page of a list is seen: the cluster's stacks behind those that others made since, and entries
// that others made by hand.
func TestSweepReadsAllPages(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	r.converge()
	r.settled("creation")
	stacks := len(r.cloud.world.Stacks)
	const template = `{"Resources": {"R": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}]}}}}}`
	for i := range 130 {
		_, err := cloudformation.NewFromConfig(r.config()).CreateStack(t.Context(), &cloudformation.CreateStackInput{
			StackName: sdk.String(fmt.Sprintf("other-%d", i)), TemplateBody: sdk.String(template), Capabilities: []cfntypes.Capability{cfntypes.CapabilityCapabilityIam},
		})
		r.does(err)
		name := fmt.Sprintf("person-%d", i)
		_, err = iam.NewFromConfig(r.config()).CreateUser(t.Context(), &iam.CreateUserInput{UserName: &name})
		r.does(err)
	}
	for range 10 {
		r.tick() // until IAM's other services know them
	}
	for i := range 130 {
		name := fmt.Sprintf("person-%d", i)
		_, err := eks.NewFromConfig(r.config()).CreateAccessEntry(t.Context(), &eks.CreateAccessEntryInput{
			ClusterName: sdk.String("dev"), PrincipalArn: sdk.String("arn:aws:iam::111122223333:user/" + name),
		})
		r.does(err)
	}
	for range 5 {
		r.tick()
	}
	r.reboot()
	calls := r.calls()
	if len(r.cloud.world.Stacks) != stacks || calls["cloudformation:ListStacks"] < 2 {
		t.Errorf("%d of %d stacks are seen, with %d calls", len(r.cloud.world.Stacks), stacks, calls["cloudformation:ListStacks"])
	}
	people := 0
	for name := range r.cloud.world.Entries {
		if strings.Contains(name, "user/person-") {
			people++
		}
	}
	if people != 130 || calls["eks:ListAccessEntries"] != 2 {
		t.Errorf("%d of 130 entries are seen, with %d lists", people, calls["eks:ListAccessEntries"])
	}
}
