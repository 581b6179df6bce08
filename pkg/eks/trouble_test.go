package eks

import (
	"context"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	simaws "github.com/eks-gitops/reconciler/internal/sim/aws"
	simeks "github.com/eks-gitops/reconciler/internal/sim/aws/eks"
	simfault "github.com/eks-gitops/reconciler/internal/sim/aws/fault"
	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// small is a cluster of one managed nodegroup.
const small = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: dev, region: eu-west-1, version: "1.34"}
managedNodeGroups:
- name: system
  instanceType: m5.large
  minSize: 1
  maxSize: 4
  desiredCapacity: 2
`

// find is the change of a ref in a plan.
func find(t *testing.T, p plan.Plan, kind, name string) plan.Change {
	t.Helper()
	for _, c := range p.Changes {
		if c.Ref.Kind == kind && c.Ref.Name == name {
			return c
		}
	}
	t.Fatalf("no change of %s %s in\n%s", kind, name, describe(nil, p))
	return plan.Change{}
}

// TestUnreadable: when AWS cannot be read, the reason says why, and nothing is said about anything.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		rule simfault.Rule
		want gitops.Reason
	}{
		{"denied", simfault.Rule{Service: "eks", Operation: "DescribeCluster", Effect: simfault.Fail, Code: "AccessDeniedException", Message: "no", Status: 403}, gitops.AccessDenied},
		{"throttled", simfault.Rule{Service: "cloudformation", Operation: "ListStacks", Effect: simfault.Throttle}, gitops.Throttled},
		{"broken", simfault.Rule{Service: "sts", Effect: simfault.Fail, Code: "InternalFailure", Message: "oops", Status: 500}, gitops.ObserveFailed},
		{"cut off", simfault.Rule{Service: "eks", Effect: simfault.Drop}, gitops.Unreachable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, small)
			if _, err := r.Faults().Add(tt.rule); err != nil {
				t.Fatal(err)
			}
			seen, err := r.cloud.Observe(t.Context(), gitops.Desired{Cluster: "dev", Items: []gitops.Item{r.item}}, nil)
			if !errors.Is(err, &gitops.Error{Reason: tt.want}) || seen != nil {
				t.Errorf("Observe gave %v and %v, want %s", seen, err, tt.want)
			}
			r.Faults().Clear("")
			if p := r.plan(); !p.Complete || len(p.Changes) == 0 {
				t.Errorf("afterwards: %s", describe(nil, p))
			}
		})
	}
}

// TestWrongCredentials: AWS's refusal of a signature is AccessDenied.
func TestWrongCredentials(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	cfg := r.config()
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "wrong"}, nil
	})
	cloud := New(Options{AWS: cfg, Now: r.Clock.Now})
	_, err := cloud.Observe(t.Context(), gitops.Desired{Items: []gitops.Item{r.item}}, nil)
	if !errors.Is(err, &gitops.Error{Reason: gitops.AccessDenied}) {
		t.Errorf("Observe gave %v", err)
	}
	if strings.Contains(err.Error(), "https response") {
		t.Errorf("the message has the SDK's wrapping: %v", err)
	}
	if _, err := cloud.Access(); err == nil || errors.Is(err, ErrNoCluster) {
		t.Errorf("not knowing is taken for knowing that there is none: %v", err)
	}
}

// TestForeignStack: a stack of the cluster's name that is somebody else's stops everything, and stays as it is.
func TestForeignStack(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	template := `{"Resources":{"R":{"Type":"AWS::IAM::Role","Properties":{"AssumeRolePolicyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}}}}}`
	if _, err := r.cloud.aws.cfn.CreateStack(t.Context(), &cloudformation.CreateStackInput{
		StackName: aws.String("eksctl-dev-cluster"), TemplateBody: &template, Capabilities: []cfntypes.Capability{cfntypes.CapabilityCapabilityIam},
	}); err != nil {
		t.Fatal(err)
	}
	r.tick()
	p := r.plan()
	if p.Complete || len(p.Changes) != 0 || len(p.Problems) != 1 || p.Problems[0].Reason != gitops.Foreign {
		t.Errorf("%s", describe(nil, p))
	}
	if p.Problems[0].From.Line == 0 || p.Problems[0].Try == "" {
		t.Errorf("the problem has no place or no advice: %+v", p.Problems[0])
	}
	r.teardown = true
	if p := r.plan(); len(p.Changes) != 0 {
		t.Errorf("a teardown would delete it:\n%s", describe(nil, p))
	}
}

// TestDrift: what somebody changes behind git's back is found by the next look and put right.
func TestDrift(t *testing.T) {
	t.Parallel()
	r := newRig(t, fleet)
	r.converge()
	ctx, c := t.Context(), r.cloud.aws
	if _, err := c.eks.UpdateNodegroupConfig(ctx, &eks.UpdateNodegroupConfigInput{
		ClusterName: aws.String("dev"), NodegroupName: aws.String("system"), ScalingConfig: &ekstypes.NodegroupScalingConfig{DesiredSize: aws.Int32(4)},
		Labels: &ekstypes.UpdateLabelsPayload{AddOrUpdateLabels: map[string]string{"surprise": "x"}},
	}); err != nil {
		t.Fatal(err)
	}
	batch := r.cloud.world.Groups["batch"].Scaling.AutoScalingGroupName
	if _, err := c.asg.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: batch, MaxSize: aws.Int32(9)}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.eks.DeleteAddon(ctx, &eks.DeleteAddonInput{ClusterName: aws.String("dev"), AddonName: aws.String("metrics-server")}); err != nil {
		t.Fatal(err)
	}
	r.kube.accounts["apps/s3"] = map[string]string{"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/other"}
	for range 20 {
		r.tick()
	}
	r.cloud.touch()
	p := r.plan()
	system := find(t, p, KindNodegroup, "system")
	if system.Action != plan.Update || len(system.Edits) != 2 {
		t.Errorf("%s", describe(nil, p))
	}
	find(t, p, KindNodegroup, "batch")
	find(t, p, KindServiceAccount, "apps/s3")
	if a := find(t, p, KindAddon, "metrics-server"); a.Action != plan.Create {
		t.Errorf("metrics-server: %s", a.Action)
	}
	r.converge()
	r.settled("drift")
}

// TestRollback: a stack that fails tells its first cause, and is cleared away before the next attempt, once per pass.
func TestRollback(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	r.converge()
	r.git(small + "- name: broken\n  instanceType: m5.large\n  iam: {instanceRoleARN: \"arn:aws:iam::111122223333:role/nobody\"}\n")
	c := find(t, r.plan(), KindNodegroup, "broken")
	if err := r.cloud.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	failed := r.await(c, gitops.Failed)
	if !strings.Contains(failed.Message, "ManagedNodeGroup") {
		t.Errorf("the cause is not told: %s", failed.Message)
	}
	again := find(t, r.plan(), KindNodegroup, "broken")
	if again.Action != plan.Create || again.ID != c.ID {
		t.Errorf("the next plan has %s %s", again.Action, again.ID)
	}
	r.git(small + "- name: broken\n  instanceType: m5.large\n")
	r.converge()
	r.settled("repair")
}

// TestQuota: a used up quota of the account has a reason of its own, whoever tells of it.
func TestQuota(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	r.converge()
	r.git(small + "- name: more\n  instanceType: m5.large\n")
	c := find(t, r.plan(), KindNodegroup, "more")
	if _, err := r.Faults().Add(simfault.Rule{Service: "cloudformation", Operation: "CreateStack", Effect: simfault.Fail, Code: "LimitExceededException", Message: "no more stacks", Status: 400}); err != nil {
		t.Fatal(err)
	}
	if err := r.cloud.Apply(t.Context(), c); !errors.Is(err, &gitops.Error{Reason: gitops.QuotaExceeded}) || !strings.Contains(err.Error(), "no more stacks") {
		t.Errorf("the refused call: %v", err)
	}
	issue := ekstypes.Issue{Code: ekstypes.NodegroupIssueCodeInstanceLimitExceeded, Message: aws.String("5 of 5 are used")}
	group := &ekstypes.Nodegroup{Status: ekstypes.NodegroupStatusCreateFailed, Health: &ekstypes.NodegroupHealth{Issues: []ekstypes.Issue{issue}}}
	if h := managedHealth(group, ""); h.Reason != gitops.QuotaExceeded || !strings.Contains(h.Message, "5 of 5") {
		t.Errorf("the nodegroup: %s", h)
	}
	w := &world{Failures: map[string]string{"a": "VPC: \"The maximum number of VPCs has been reached.\" (HandlerErrorCode: ServiceLimitExceeded)", "b": "RequestLimitExceeded: slow down", "c": "the limit is exceeded"}}
	for name, want := range map[string]gitops.Reason{"a": gitops.QuotaExceeded, "b": "", "c": ""} {
		if h := w.failed(cfntypes.Stack{StackName: &name}); h.Reason != want {
			t.Errorf("stack %s: %s", name, h)
		}
	}
}

// TestFailedSuccessor: when a successor cannot be made and git goes back, what is left of the attempt is cleared away, and
// the old group stays untouched.
func TestFailedSuccessor(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	r.converge()
	r.git(small + "  iam: {instanceRoleARN: \"arn:aws:iam::111122223333:role/nobody\"}\n")
	c := find(t, r.plan(), KindNodegroup, "system")
	if c.Action != plan.Replace {
		t.Fatalf("%s", describe(nil, r.plan()))
	}
	if err := r.cloud.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	r.await(c, gitops.Failed)
	r.git(small)
	if back := find(t, r.plan(), KindNodegroup, "system"); back.Action != plan.Update || len(back.Edits) != 1 || back.Edits[0].Path != "failed" {
		t.Errorf("%s", describe(nil, r.plan()))
	}
	r.converge()
	r.settled("going back")
	if len(r.kube.drained) > 0 || len(r.cloud.world.Stacks) != 2 {
		t.Errorf("drained %v; stacks %v", r.kube.drained, r.cloud.world.Stacks)
	}
}

// TestNoEffect: an update that AWS accepts and does not carry out ends in an error, not in an endless row of calls.
func TestNoEffect(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	r.converge()
	r.git(strings.Replace(small, "desiredCapacity: 2", "desiredCapacity: 3", 1))
	c := find(t, r.plan(), KindNodegroup, "system")
	if _, err := r.Faults().Add(simfault.Rule{Service: "eks", Operation: "DescribeNodegroup", Effect: simfault.Stale}); err != nil {
		t.Fatal(err)
	}
	var err error
	calls := 0
	for ; err == nil && calls < 50; calls++ {
		err = r.cloud.Apply(t.Context(), c)
		r.tick()
	}
	if !errors.Is(err, &gitops.Error{Reason: gitops.ApplyFailed}) || calls > 20 {
		t.Errorf("after %d calls: %v", calls, err)
	}
}

// TestFailedUpdate: an update that EKS began and could not finish is told with EKS's reason, once; the next plan orders it anew.
func TestFailedUpdate(t *testing.T) {
	t.Parallel()
	planes := &simtest.ControlPlanes{}
	r := newRigOn(t, small, simaws.Options{ControlPlanes: planes})
	r.converge()
	r.git(strings.Replace(small, `"1.34"`, `"1.35"`, 1))
	planes.Set("dev", simeks.PlaneStatus{Err: errors.New("no capacity for the API server")})
	c := find(t, r.plan(), KindCluster, "dev")
	var err error
	for calls := 0; err == nil && calls < 100; calls++ {
		err = r.cloud.Apply(t.Context(), c)
		r.tick()
	}
	if !errors.Is(err, &gitops.Error{Reason: gitops.HealthFailed}) || !strings.Contains(err.Error(), "no capacity for the API server") {
		t.Fatalf("the failed update: %v", err)
	}
	planes.Set("dev", simeks.PlaneStatus{Ready: true, Version: "1.35", Endpoint: "https://127.0.0.1:1/dev", CAData: "Y2E="})
	r.converge()
	r.settled("the second try")
}

// await carries one change on until it has a status.
func (r *rig) await(c plan.Change, want gitops.Status) gitops.Health {
	r.t.Helper()
	for range 400 {
		h, err := r.cloud.Ready(r.t.Context(), c.Ref)
		if err != nil {
			r.t.Fatal(err)
		}
		if h.Status == want {
			return h
		}
		if h.Step {
			if err := r.cloud.Apply(r.t.Context(), c); err != nil {
				r.t.Fatal(err)
			}
		}
		r.tick()
	}
	r.t.Fatalf("%s does not become %s", c.Ref, want)
	return gitops.Health{}
}

// TestStale: a plan that git has left behind changes nothing.
func TestStale(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	c := find(t, r.plan(), KindCluster, "dev")
	r.git(strings.Replace(small, `"1.34"`, `"1.35"`, 1))
	r.plan()
	if err := r.cloud.Apply(t.Context(), c); !errors.Is(err, &gitops.Error{Reason: gitops.ApplyFailed}) {
		t.Errorf("Apply gave %v", err)
	}
	stacks, err := r.cloud.aws.cfn.ListStacks(t.Context(), &cloudformation.ListStacksInput{})
	if err != nil || len(stacks.StackSummaries) != 0 {
		t.Errorf("there are stacks: %v %v", stacks, err)
	}
}

// TestNotOffered: a version that EKS does not offer is told before anything is made.
func TestNotOffered(t *testing.T) {
	t.Parallel()
	r := newRig(t, strings.Replace(small, `"1.34"`, `"1.99"`, 1))
	p := r.plan()
	if p.Complete || p.Problems[0].Reason != gitops.ConfigInvalid || !strings.Contains(p.Problems[0].Message(), "1.36") {
		t.Errorf("%s", describe(nil, p))
	}
}

// TestClusterAPIDown: when the cluster's API cannot be asked, only what needs it is unknown.
func TestClusterAPIDown(t *testing.T) {
	t.Parallel()
	r := newRig(t, fleet)
	r.converge()
	r.kube.down = errors.New("connection refused")
	r.reboot()
	p := r.plan()
	if p.Complete || len(p.Problems) != 1 || p.Problems[0].Ref.Kind != KindServiceAccount || p.Problems[0].Reason != gitops.Unreachable {
		t.Errorf("%s", describe(nil, p))
	}
}

// TestAdopted: an addon that eksctl made bears no mark. It stays when git drops it, unless it was applied from here since.
func TestAdopted(t *testing.T) {
	t.Parallel()
	r := newRig(t, small+"addons:\n- name: eks-pod-identity-agent\n")
	r.converge()
	arn := r.cloud.world.Addons["eks-pod-identity-agent"].AddonArn
	if _, err := r.cloud.aws.eks.UntagResource(t.Context(), &eks.UntagResourceInput{ResourceArn: arn, TagKeys: []string{tagMade}}); err != nil {
		t.Fatal(err)
	}
	r.git(small)
	if p := r.plan(); len(p.Changes) != 0 {
		t.Errorf("%s", describe(nil, p))
	}
	r.inv[ref("dev", KindAddon, "eks-pod-identity-agent")] = gitops.Entry{}
	r.inv[ref("dev", KindNodegroup, "long-gone")] = gitops.Entry{}
	if c := find(t, r.plan(), KindAddon, "eks-pod-identity-agent"); c.Action != plan.Delete {
		t.Errorf("%s", c.Action)
	}
	r.converge()
	if _, ok := r.cloud.world.Addons["eks-pod-identity-agent"]; ok {
		t.Error("it is still there")
	}
}

// TestQuiet: while nothing moves, looking within the freshness makes no call to AWS, and beyond it a bounded number.
func TestQuiet(t *testing.T) {
	t.Parallel()
	r := newRig(t, fleet)
	r.converge()
	cloud := New(Options{AWS: r.config(), Nodes: r.kube, ServiceAccounts: r.kube, Now: r.Clock.Now, Fresh: 3 * time.Minute})
	look := func() int {
		before := len(r.Requests(0))
		if _, err := cloud.Observe(t.Context(), gitops.Desired{Items: []gitops.Item{r.item}}, nil); err != nil {
			t.Fatal(err)
		}
		return len(r.Requests(0)) - before
	}
	first := look()
	if again := look(); again != 0 {
		t.Errorf("a second look makes %d calls", again)
	}
	r.Clock.Move(4 * time.Minute)
	// One per nodegroup, addon, association and stack, and a dozen for the rest; templates are not read again.
	if later := look(); later > first-4 || later > 40 {
		t.Errorf("a later look makes %d calls, the first made %d", later, first)
	}
	cloud.touch()
	if after := look(); after == 0 {
		t.Error("after an apply, a look is served from memory")
	}
}

// TestAccess: the token is what aws-iam-authenticator reads: a presigned GetCallerIdentity that names the cluster.
func TestAccess(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	r.plan()
	if _, err := r.cloud.Access(); !errors.Is(err, ErrNoCluster) {
		t.Errorf("without a cluster: %v", err)
	}
	r.converge()
	access, err := r.cloud.Access()
	if err != nil || access.Server == "" || len(access.CA) == 0 {
		t.Fatalf("%+v %v", access, err)
	}
	token, err := access.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	encoded, ok := strings.CutPrefix(token, "k8s-aws-v1.")
	body, err := base64.RawURLEncoding.DecodeString(encoded)
	if !ok || err != nil {
		t.Fatalf("%q: %v", token, err)
	}
	signed, err := url.Parse(string(body))
	if err != nil {
		t.Fatal(err)
	}
	q := signed.Query()
	if q.Get("Action") != "GetCallerIdentity" || q.Get("X-Amz-Expires") != "60" || !strings.Contains(q.Get("X-Amz-SignedHeaders"), "x-k8s-aws-id") {
		t.Errorf("%s", signed)
	}
}
