package eks

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	simaws "github.com/eks-gitops/reconciler/internal/sim/aws"
	simeks "github.com/eks-gitops/reconciler/internal/sim/aws/eks"
	simfault "github.com/eks-gitops/reconciler/internal/sim/aws/fault"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// troubled is a cluster that has one of each thing that can go wrong.
const troubled = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: dev, region: eu-west-1, version: "1.34"}
iam:
  withOIDC: true
  serviceAccounts:
  - metadata: {name: s3, namespace: apps}
    attachPolicyARNs: ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]
addons:
- name: coredns
managedNodeGroups:
- name: system
  instanceType: m5.large
  desiredCapacity: 2
nodeGroups:
- name: batch
  instanceType: m5.large
  desiredCapacity: 1
`

// trouble is one kind of trouble: what git says or somebody does, what is told of it and where, and what ends it.
type trouble struct {
	// begins is what somebody does, after git was pushed.
	begins func(*rig)
	// git is what is pushed.
	git string
	// says is what is told, with the field; at is a text on the line that is named with it.
	reason gitops.Reason
	says   []string
	at     string
	// varies says that AWS's own words differ from one time to the next: the zone, the names of what it made.
	varies bool
	// moves names the nodegroups whose nodes are not to stay as they are.
	moves []string
	// ends is what somebody does about it, and then what is pushed.
	ends func(*rig)
	then string
}

// saying is the troubled cluster with some text replaced.
func saying(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(troubled) }

// more is the troubled cluster with another nodegroup of one kind.
func more(list, group string) string { return saying(list+":\n", list+":\n"+group) }

const (
	s3Policy = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
	s3Full   = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
	s3Stack  = "eksctl-dev-addon-iamserviceaccount-apps-s3"
)

// stackTroubles are the stacks that do not do as they are told.
func stackTroubles() map[string]trouble {
	const broken = "- name: broken\n  instanceType: m5.large\n"
	const nobody = broken + "  iam: {instanceRoleARN: \"arn:aws:iam::111122223333:role/nobody\"}\n"
	return map[string]trouble{
		"a nodegroup's stack in ROLLBACK_COMPLETE": {
			git: more("managedNodeGroups", nobody), reason: gitops.HealthFailed, at: "name: broken",
			says: []string{"managedNodeGroups[0]: stack eksctl-dev-nodegroup-broken is ROLLBACK_COMPLETE: ManagedNodeGroup: The role with name nobody cannot be found."},
			then: more("managedNodeGroups", broken),
		},
		"a nodegroup's stack in CREATE_FAILED": {
			begins: func(r *rig) { r.unfinished("broken") }, git: more("managedNodeGroups", broken), // what can be made is made
		},
		"a nodegroup's stack in CREATE_FAILED, and git as it was then": {
			begins: func(r *rig) { r.unfinished("broken") }, git: more("managedNodeGroups", nobody), reason: gitops.HealthFailed, at: "name: broken",
			says: []string{"managedNodeGroups[0]: stack eksctl-dev-nodegroup-broken is ROLLBACK_COMPLETE: "}, then: more("managedNodeGroups", broken),
		},
		"a nodegroup's stack in DELETE_FAILED": {
			git: saying("- name: batch", "- name: other"), reason: gitops.HealthFailed, moves: []string{"batch"},
			begins: func(r *rig) { r.policyOn(r.roleOf("eksctl-dev-nodegroup-batch"), true) },
			says:   []string{"Nodegroup batch", "stack eksctl-dev-nodegroup-batch is DELETE_FAILED: NodeInstanceRole: ", "detach all policies"},
			ends:   func(r *rig) { r.policyOn(r.roleOf("eksctl-dev-nodegroup-batch"), false) },
		},
		"an update of a role's stack that fails half way": {
			git: saying(s3Policy, s3Full), reason: gitops.HealthFailed, at: "metadata: {name: s3",
			begins: func(r *rig) { r.loseRole(r.roleOf(s3Stack)) },
			says:   []string{"iam.serviceAccounts[0]: stack " + s3Stack + " is UPDATE_ROLLBACK_COMPLETE: Role1: The role with name ", "cannot be found"},
			ends:   func(r *rig) { r.dropStack(s3Stack) },
		},
		"a role's stack in UPDATE_ROLLBACK_FAILED": {
			git: saying(s3Policy, s3Full), reason: gitops.HealthFailed, at: s3Full,
			begins: func(r *rig) { r.statuses[s3Stack] = "UPDATE_ROLLBACK_FAILED"; r.reboot() },
			says:   []string{"iam.serviceAccounts[0].attachPolicyARNs", "stack " + s3Stack + " is UPDATE_ROLLBACK_FAILED"},
			ends:   func(r *rig) { delete(r.statuses, s3Stack); r.reboot() },
		},
		"the cluster's stack in UPDATE_ROLLBACK_FAILED": {
			git: saying(`"1.34"`, `"1.34", tags: {team: x}`), reason: gitops.HealthFailed, at: "metadata:",
			begins: func(r *rig) { r.statuses["eksctl-dev-cluster"] = "UPDATE_ROLLBACK_FAILED"; r.reboot() },
			says:   []string{"metadata: stack eksctl-dev-cluster is UPDATE_ROLLBACK_FAILED"},
			ends:   func(r *rig) { delete(r.statuses, "eksctl-dev-cluster"); r.reboot() },
		},
		"the cluster's stack in CREATE_FAILED, with a cluster": {
			git: saying(`"1.34"`, `"1.34", tags: {team: x}`), reason: gitops.HealthFailed, at: "metadata:",
			begins: func(r *rig) { r.statuses["eksctl-dev-cluster"] = "CREATE_FAILED"; r.reboot() },
			says:   []string{"metadata: stack eksctl-dev-cluster is CREATE_FAILED", "its control plane works, and is not deleted"},
			ends:   func(r *rig) { delete(r.statuses, "eksctl-dev-cluster"); r.reboot() },
		},
		"the cluster's stack in DELETE_FAILED": {
			git: saying(`"1.34"`, `"1.34", tags: {team: x}`), reason: gitops.HealthFailed, at: "metadata:",
			begins: func(r *rig) { r.statuses["eksctl-dev-cluster"] = "DELETE_FAILED"; r.reboot() },
			says:   []string{"metadata: stack eksctl-dev-cluster is DELETE_FAILED"},
			ends:   func(r *rig) { delete(r.statuses, "eksctl-dev-cluster"); r.reboot() },
		},
		"a nodegroup's stack in UPDATE_ROLLBACK_FAILED": {
			git: saying("desiredCapacity: 2", "desiredCapacity: 3"), reason: gitops.HealthFailed, at: "name: system", moves: []string{"system"},
			begins: func(r *rig) { r.statuses["eksctl-dev-nodegroup-system"] = "UPDATE_ROLLBACK_FAILED"; r.reboot() },
			says:   []string{"managedNodeGroups[0]: stack eksctl-dev-nodegroup-system is UPDATE_ROLLBACK_FAILED"},
			ends:   func(r *rig) { delete(r.statuses, "eksctl-dev-nodegroup-system"); r.reboot() },
		},
	}
}

// awsTroubles are calls that AWS refuses, and what it takes on and cannot do.
func awsTroubles() map[string]trouble {
	fault := func(rule simfault.Rule) func(*rig) {
		return func(r *rig) {
			_, err := r.Faults().Add(rule)
			r.does(err)
		}
	}
	over := func(r *rig) { r.Faults().Clear("") }
	short := func(types ...string) func(*rig) {
		return func(r *rig) {
			r.does(r.World.Do(true, func() error { r.EC2.Shortage(types...); return nil }))
		}
	}
	const scarce = "- name: scarce\n  instanceType: m6i.large\n  desiredCapacity: 1\n"
	return map[string]trouble{
		"throttling": {
			begins: fault(simfault.Rule{Operation: "UpdateNodegroupConfig", Effect: simfault.Throttle}), ends: over,
			git: saying("desiredCapacity: 2", "desiredCapacity: 3"), reason: gitops.Throttled, at: "desiredCapacity: 3", moves: []string{"system"},
			says: []string{"managedNodeGroups[0].desiredCapacity, managedNodeGroups[0].maxSize: EKS:UpdateNodegroupConfig: "},
		},
		"expired credentials": {
			begins: fault(simfault.Rule{Effect: simfault.Fail, Code: "ExpiredTokenException", Message: "The security token included in the request is expired", Status: 403}), ends: over,
			git: saying("desiredCapacity: 2", "desiredCapacity: 3"), reason: gitops.AccessDenied, at: "metadata:", moves: []string{"system"},
			says: []string{"Cluster dev", "the AWS credentials are no longer valid: The security token included in the request is expired"},
		},
		"no capacity for a managed nodegroup": {
			varies: true,
			begins: short("m6i.large"), ends: short(), git: more("managedNodeGroups", scarce), reason: gitops.HealthFailed, at: "name: scarce",
			says: []string{"managedNodeGroups[0]: stack eksctl-dev-nodegroup-scarce is ROLLBACK_COMPLETE: ManagedNodeGroup: ", "We currently do not have sufficient m6i.large capacity"},
		},
		"no capacity for a self-managed nodegroup": {
			varies: true,
			begins: short("m6i.large"), ends: short(), git: more("nodeGroups", scarce), reason: gitops.HealthFailed, at: "name: scarce",
			says: []string{"nodeGroups[0]: stack eksctl-dev-nodegroup-scarce is ROLLBACK_COMPLETE: ", "We currently do not have sufficient m6i.large capacity"},
		},
		"no capacity for a successor": {
			begins: short("m6i.large"), ends: short(), git: saying("m5.large\n  desiredCapacity: 2", "m6i.large\n  desiredCapacity: 2"), reason: gitops.HealthFailed, at: "m6i.large", varies: true,
			says: []string{"We currently do not have sufficient m6i.large capacity"},
		},
		"an image that does not exist": {
			git: more("nodeGroups", "- name: imaged\n  ami: ami-0123456789abcdef0\n  amiFamily: AmazonLinux2023\n  instanceType: m5.large\n"), reason: gitops.ApplyFailed, at: "name: imaged",
			says: []string{"ami-0123456789abcdef0"}, then: troubled,
		},
		"an addon's version that does not exist": {
			git: saying("- name: coredns\n", "- name: coredns\n  version: v9.9.9-eksbuild.1\n"), reason: gitops.ConfigInvalid, at: "version: v9.9.9",
			says: []string{"addons[0].version: ", "v9.9.9-eksbuild.1"}, then: troubled,
		},
		"a new addon in a version that does not exist": {
			git: saying("- name: coredns\n", "- name: coredns\n- name: snapshot-controller\n  version: v9.9.9-eksbuild.1\n"), reason: gitops.ConfigInvalid, at: "name: snapshot-controller",
			says: []string{"addons[1]", "v9.9.9-eksbuild.1"}, then: troubled,
		},
		"a release that does not exist": {
			git: saying("desiredCapacity: 2", "desiredCapacity: 2\n  releaseVersion: 1.34.9-20990101"), reason: gitops.ApplyFailed, at: "releaseVersion",
			says: []string{"managedNodeGroups[0].releaseVersion: EKS:UpdateNodegroupVersion: "}, then: troubled,
		},
		"a version of Kubernetes that does not exist": {
			git: saying(`"1.34"`, `"1.99"`), reason: gitops.Immutable, at: "metadata:",
			says: []string{"metadata.version 1.99 is not offered by EKS (it offers 1.36, "}, then: troubled,
		},
		"a downgrade": {
			git: saying(`"1.34"`, `"1.33"`), reason: gitops.Immutable, at: "metadata:",
			says: []string{"metadata.version cannot go back: the cluster is at 1.34, and the file says 1.33"}, then: troubled,
		},
		"a nodegroup's name taken by a foreign stack": {
			begins: func(r *rig) { r.foreign("eksctl-dev-nodegroup-taken") }, git: more("managedNodeGroups", "- name: taken\n  instanceType: m5.large\n"),
			reason: gitops.Foreign, at: "name: taken", says: []string{"stack eksctl-dev-nodegroup-taken does not carry this cluster's tags"}, then: troubled,
		},
		"an update of nodes that fails half way": {
			git: saying(`"1.34"`, `"1.35"`), reason: gitops.HealthFailed, at: "metadata:", moves: []string{"system", "batch"},
			begins: func(r *rig) { r.nodes.stuck.Store(true) }, ends: func(r *rig) { r.nodes.stuck.Store(false) },
			says: []string{"metadata.version: the update VersionUpdate: Failed; PodEvictionFailure: "},
		},
	}
}

// foreign is a stack of somebody else.
func (r *rig) foreign(name string) {
	r.t.Helper()
	template := `{"Resources":{"R":{"Type":"AWS::IAM::Role","Properties":{"AssumeRolePolicyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}}}}}`
	_, err := r.cloud.aws.cfn.CreateStack(r.t.Context(), &cloudformation.CreateStackInput{StackName: &name, TemplateBody: &template, Capabilities: []cfntypes.Capability{cfntypes.CapabilityCapabilityIam}})
	r.does(err)
	r.tick()
}

// unfinished is somebody's `eksctl create nodegroup --cfn-disable-rollback` that failed: the stack stays in CREATE_FAILED.
func (r *rig) unfinished(name string) {
	r.t.Helper()
	cfg, _ := r.cloud.known()
	template := `{"Resources":{"ManagedNodeGroup":{"Type":"AWS::EKS::Nodegroup","Properties":{"ClusterName":"dev","NodegroupName":"` + name + `","NodeRole":"arn:aws:iam::111122223333:role/nobody","Subnets":["subnet-0"]}}}}`
	_, err := r.cloud.aws.cfn.CreateStack(r.t.Context(), &cloudformation.CreateStackInput{
		StackName: aws.String(nodegroupStack(cfg.Name, name)), TemplateBody: &template, DisableRollback: aws.Bool(true),
		Tags: []cfntypes.Tag{{Key: aws.String(api.ClusterNameTag), Value: &cfg.Name}, {Key: aws.String(api.NodeGroupNameTag), Value: &name}, {Key: aws.String(api.NodeGroupTypeTag), Value: aws.String("managed")}},
	})
	r.does(err)
	for range 10 {
		r.tick()
	}
	stacks, err := r.cloud.aws.cfn.DescribeStacks(r.t.Context(), &cloudformation.DescribeStacksInput{StackName: aws.String(nodegroupStack(cfg.Name, name))})
	r.does(err)
	if got := stacks.Stacks[0].StackStatus; got != cfntypes.StackStatusCreateFailed {
		r.t.Fatalf("the stack is %s", got)
	}
}

// roleOf is the IAM role that a stack made.
func (r *rig) roleOf(stack string) *string {
	r.t.Helper()
	out, err := cloudformation.NewFromConfig(r.config()).DescribeStackResources(r.t.Context(), &cloudformation.DescribeStackResourcesInput{StackName: &stack})
	r.does(err)
	for _, res := range out.StackResources {
		if aws.ToString(res.ResourceType) == "AWS::IAM::Role" {
			return res.PhysicalResourceId
		}
	}
	r.t.Fatalf("stack %s has no role", stack)
	return nil
}

// policyOn attaches a policy to a role behind its stack's back, or takes it off again.
func (r *rig) policyOn(role *string, on bool) {
	r.t.Helper()
	client := iam.NewFromConfig(r.config())
	var err error
	if on {
		_, err = client.AttachRolePolicy(r.t.Context(), &iam.AttachRolePolicyInput{RoleName: role, PolicyArn: aws.String(s3Full)})
	} else {
		_, err = client.DetachRolePolicy(r.t.Context(), &iam.DetachRolePolicyInput{RoleName: role, PolicyArn: aws.String(s3Full)})
	}
	r.does(err)
}

// dropStack deletes a stack by hand.
func (r *rig) dropStack(name string) {
	r.t.Helper()
	client := cloudformation.NewFromConfig(r.config())
	_, err := client.UpdateTerminationProtection(r.t.Context(), &cloudformation.UpdateTerminationProtectionInput{StackName: &name, EnableTerminationProtection: aws.Bool(false)})
	r.does(err)
	_, err = client.DeleteStack(r.t.Context(), &cloudformation.DeleteStackInput{StackName: &name})
	r.does(err)
	for range 10 {
		r.tick()
	}
}

// loseRole deletes a role behind its stack's back.
func (r *rig) loseRole(role *string) {
	r.t.Helper()
	client := iam.NewFromConfig(r.config())
	attached, err := client.ListAttachedRolePolicies(r.t.Context(), &iam.ListAttachedRolePoliciesInput{RoleName: role})
	r.does(err)
	for _, p := range attached.AttachedPolicies {
		_, err := client.DetachRolePolicy(r.t.Context(), &iam.DetachRolePolicyInput{RoleName: role, PolicyArn: p.PolicyArn})
		r.does(err)
	}
	_, err = client.DeleteRole(r.t.Context(), &iam.DeleteRoleInput{RoleName: role})
	r.does(err)
}

// TestLastNodegroups: a file that suddenly names no nodegroup takes none away, whatever reconcile.yaml holds; one of several goes, and so
// do all where there is something else to run on, or somebody approved it.
func TestLastNodegroups(t *testing.T) {
	t.Parallel()
	none, _, _ := strings.Cut(troubled, "managedNodeGroups")
	one, _, _ := strings.Cut(troubled, "nodeGroups:\n")
	for name, tt := range map[string]struct {
		git  string
		held int
	}{
		"none is left":      {none, 2},
		"an empty list":     {none + "managedNodeGroups: []\n", 2},
		"one is left":       {one, 0},
		"Fargate is left":   {none + "fargateProfiles: [{name: all, selectors: [{namespace: apps}]}]\n", 0},
		"Auto Mode is left": {none + "autoModeConfig: {enabled: true}\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := mustLoad(t, troubled)
			w := worldOf(t, before)
			p := build(mustLoad(t, tt.git).observe(w, false))
			held, approvals := 0, plan.Approvals{}
			for _, c := range p.Changes {
				if c.Ref.Kind == KindNodegroup && c.Action == plan.Delete && c.Hold != nil {
					held++
					approvals[c.ID] = gitops.Approval{Position: gitops.Position{File: "approval"}}
					for _, about := range c.Concerns {
						approvals[about.ID] = gitops.Approval{Most: about.Count}
					}
					if c.Hold.Reason != gitops.PruneBlocked || !strings.Contains(c.Hold.Why, "managedNodeGroups and nodeGroups: the file names no nodegroup any more") || !strings.Contains(c.Hold.Why, configFile) {
						t.Errorf("%s is held: %+v", c.Ref.Label(), c.Hold)
					}
				}
			}
			if held != tt.held || !p.Complete {
				t.Errorf("%d nodegroups are held, want %d:\n%s", held, tt.held, describe(nil, p))
			}
			for _, c := range plan.HoldKinds(nil, approvals)(p).Changes {
				if c.Ref.Kind == KindNodegroup && c.Hold != nil {
					t.Errorf("%s is held though it was approved", c.Ref.Label())
				}
			}
		})
	}
}

// TestMeanwhile: somebody changes with eksctl or the console what git is changing. The one lock that AWS has is waited for, what they did is
// taken back once, and neither is ordered twice.
func TestMeanwhile(t *testing.T) {
	t.Parallel()
	r := newRig(t, troubled)
	r.converge()
	r.git(saying("desiredCapacity: 2", "desiredCapacity: 3\n  maxSize: 5"))
	p := r.plan()
	scaled := func(n int32) error {
		_, err := eks.NewFromConfig(r.config()).UpdateNodegroupConfig(t.Context(), &eks.UpdateNodegroupConfigInput{
			ClusterName: aws.String("dev"), NodegroupName: aws.String("system"), ScalingConfig: &ekstypes.NodegroupScalingConfig{DesiredSize: &n, MaxSize: &n},
		})
		return err
	}
	r.does(scaled(4)) // between the look and the first step: the lock is theirs
	from := r.lastRequest()
	r.run(p)
	var accepted int
	for _, q := range r.Requests(from) {
		if q.Operation == "UpdateNodegroupConfig" && q.Status == 200 {
			accepted++
		}
	}
	if accepted != 1 {
		t.Errorf("%d updates were accepted, want 1", accepted)
	}
	r.settled("the change")
	r.does(scaled(6))
	for range 10 {
		r.tick()
	}
	r.cloud.touch()
	p = r.plan()
	if c := find(t, p, KindNodegroup, "system"); c.Action != plan.Update || c.From.Line != lineOf(t, troubled, "name: system") {
		t.Errorf("%s", describe(nil, p))
	}
	if wrote := r.wrote(func() { r.converge() }); !slices.Equal(wrote, []string{"UpdateNodegroupConfig"}) {
		t.Errorf("taking it back takes %v", wrote)
	}
	r.settled("theirs")
}

// TestTroubles: each kind of trouble is told with the field and the line of the file, once in the same words however long it lasts. It is
// tried again after pauses that grow and costs few calls; nothing that was there is taken away; and it is over when its cause is.
func TestTroubles(t *testing.T) {
	t.Parallel()
	all := stackTroubles()
	maps.Copy(all, awsTroubles())
	well := newRigOn(t, troubled, simaws.Options{Nodes: &drainable{}})
	well.converge()
	well.settled("creation")
	m := well.moment()
	for name, tt := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes := &drainable{}
			r := m.resume(t, troubled, nil, simaws.Options{Nodes: nodes})
			r.statuses, r.nodes = map[string]string{}, nodes
			r.settled("creation")
			had := map[string][]string{}
			for name, g := range r.cloud.world.Groups {
				had[name] = g.instances()
			}
			if tt.git != "" {
				r.git(tt.git)
			}
			if tt.begins != nil {
				tt.begins(r)
			}
			out := r.persist(time.Hour)
			t.Log(out)
			r.told(tt, out)
			for name, instances := range had {
				if g := r.cloud.world.Groups[name]; !slices.Contains(tt.moves, name) && (g == nil || !slices.Equal(g.instances(), instances)) {
					t.Errorf("the nodes of %s were %v, and are not any more", name, instances)
				}
			}
			if tt.ends != nil {
				tt.ends(r)
			}
			if tt.then != "" {
				r.git(tt.then)
			}
			r.converge()
			r.settled("the trouble")
		})
	}
}

// drainable are nodes that are ready, and whose pods go unless they are stuck.
type drainable struct{ stuck atomic.Bool }

func (n *drainable) Ready(string, string) bool { return true }

func (n *drainable) Drain(string, string, bool) (bool, error) { return !n.stuck.Load(), nil }

func (n *drainable) Count(string) (int, bool) { return 0, false }

func (n *drainable) Mark(string, string, simeks.Marks) {}

// told checks what was told of a trouble, and what trying cost.
func (r *rig) told(tt trouble, out *trial) {
	r.t.Helper()
	if len(tt.says) == 0 {
		if len(out.said) > 0 {
			r.t.Errorf("something is told:\n%s", out)
		}
		return
	}
	said := slices.DeleteFunc(slices.Clone(out.said), func(e *gitops.Error) bool { return e.Reason.Note() })
	if len(said) != 1 && !tt.varies || len(said) == 0 {
		r.t.Fatalf("%d different things are told, want one:\n%s", len(said), out)
	}
	e := said[0]
	for _, text := range tt.says {
		if !strings.Contains(e.Error(), text) {
			r.t.Errorf("it does not say %q:\n%s", text, out)
		}
	}
	if e.Reason != tt.reason {
		r.t.Errorf("the reason is %s, want %s", e.Reason, tt.reason)
	}
	if tt.at != "" && (e.From.File != configFile || e.From.Line != lineOf(r.t, tt.git, tt.at)) {
		r.t.Errorf("it is told at %s, want %s:%d", e.From.Position, configFile, lineOf(r.t, tt.git, tt.at))
	}
	most := 0
	for ref, at := range out.tries {
		most = max(most, len(at))
		if n := len(at); n > 12 && at[n-1].Sub(at[n-2]) < 4*time.Minute {
			r.t.Errorf("%s is tried for the %dth time %s after the time before", ref.Label(), n, at[n-1].Sub(at[n-2]))
		}
	}
	if most > 40 || out.looks > 60 || out.writes > 6*most+20 {
		r.t.Errorf("an hour cost %d tries, %d looks and %d calls that change something", most, out.looks, out.writes)
	}
}
