package eks

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// automatic is bare with a word on Auto Mode.
func automatic(says string) string { return bare + "autoModeConfig: {" + says + "}\n" }

// times is a call that is made several times.
func times(n int, call string) []string { return slices.Repeat([]string{call}, n) }

// TestAutoModeLife switches Auto Mode on, over to other node pools, to none, and off, by a process that lives on and by one that is
// killed after every call; what somebody else changes is taken back, and at the end nothing is left of it.
func TestAutoModeLife(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart=%v", restart), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, bare)
			r.converge()
			r.restart = restart
			stack, dropped := autoModeStack("dev"), []string{"UpdateTerminationProtection", "DeleteStack"}
			step := func(says string, want []string, pools ...string) {
				t.Helper()
				r.git(automatic(says))
				if calls := r.wrote(r.converge); !slices.Equal(calls, want) {
					t.Errorf("%s took %v, want %v", says, calls, want)
				}
				r.settled(says)
				cl, on := r.cloud.world.Cluster, strings.HasPrefix(says, "enabled: true")
				if *cl.ComputeConfig.Enabled != on || *cl.StorageConfig.BlockStorage.Enabled != on || *cl.KubernetesNetworkConfig.ElasticLoadBalancing.Enabled != on {
					t.Errorf("%s: Auto Mode is %v %v %v", says, *cl.ComputeConfig.Enabled, *cl.StorageConfig.BlockStorage.Enabled, *cl.KubernetesNetworkConfig.ElasticLoadBalancing.Enabled)
				}
				if !slices.Equal(slices.Sorted(slices.Values(cl.ComputeConfig.NodePools)), pools) {
					t.Errorf("%s: the node pools are %v", says, cl.ComputeConfig.NodePools)
				}
				if role := output(r.cloud.world.Stacks[stack], nodeRoleOutput); role != aws.ToString(cl.ComputeConfig.NodeRoleArn) || (role != "") != (len(pools) > 0) {
					t.Errorf("%s: the role of the nodes is %q, and that of the stack %q", says, aws.ToString(cl.ComputeConfig.NodeRoleArn), role)
				}
			}
			step("enabled: true", append(times(4, "AttachRolePolicy"), "CreateStack", "UpdateClusterConfig"), "general-purpose", "system")
			step("enabled: true, nodePools: [system]", []string{"UpdateClusterConfig"}, "system")

			cl, on := r.cloud.world.Cluster, aws.Bool(true)
			_, err := r.cloud.aws.eks.UpdateClusterConfig(t.Context(), &eks.UpdateClusterConfigInput{
				Name: aws.String("dev"), ComputeConfig: &ekstypes.ComputeConfigRequest{Enabled: on, NodePools: []string{"general-purpose"}, NodeRoleArn: cl.ComputeConfig.NodeRoleArn},
				StorageConfig:           &ekstypes.StorageConfigRequest{BlockStorage: &ekstypes.BlockStorage{Enabled: on}},
				KubernetesNetworkConfig: &ekstypes.KubernetesNetworkConfigRequest{ElasticLoadBalancing: &ekstypes.ElasticLoadBalancing{Enabled: on}},
			})
			r.does(err)
			_, err = r.cloud.aws.iam.DetachRolePolicy(t.Context(), &iam.DetachRolePolicyInput{
				RoleName: aws.String(roleName(r.cloud.world)), PolicyArn: aws.String("arn:aws:iam::aws:policy/AmazonEKSComputePolicy"),
			})
			r.does(err)
			for range 40 {
				r.tick()
			}
			if c := find(t, r.plan(), KindCluster, "dev"); c.Action != plan.Update || len(c.Edits) != 2 {
				t.Errorf("somebody else's change is planned as %s %v", c.Action, c.Edits)
			}
			if calls := r.wrote(r.converge); !slices.Equal(calls, []string{"AttachRolePolicy", "UpdateClusterConfig"}) {
				t.Errorf("taking it back took %v", calls)
			}
			r.settled("somebody else's change")

			step("enabled: true, nodePools: []", append([]string{"UpdateClusterConfig"}, dropped...))
			step("enabled: false", append([]string{"UpdateClusterConfig"}, times(4, "DetachRolePolicy")...))
			step("enabled: true, nodePools: [system]", append(times(4, "AttachRolePolicy"), "CreateStack", "UpdateClusterConfig"), "system")
			step("enabled: false", slices.Concat([]string{"UpdateClusterConfig"}, times(4, "DetachRolePolicy"), dropped))
		})
	}
}

// TestAutoModeFromTheStart: a cluster that was made with Auto Mode has the role of its nodes in its own stack, and keeps it there.
func TestAutoModeFromTheStart(t *testing.T) {
	t.Parallel()
	r := newRig(t, automatic("enabled: true"))
	r.converge()
	r.settled("creation")
	r.git(bare)
	if p := r.plan(); !p.Empty() {
		t.Errorf("what git does not say is planned:\n%s", describe(nil, p))
	}
	r.git(automatic("enabled: false"))
	if calls := r.wrote(r.converge); !slices.Equal(calls, append([]string{"UpdateClusterConfig"}, times(4, "DetachRolePolicy")...)) {
		t.Errorf("off took %v", calls)
	}
	r.settled("off")
	r.git(automatic("enabled: true"))
	if calls := r.wrote(r.converge); !slices.Equal(calls, append(times(4, "AttachRolePolicy"), "UpdateClusterConfig")) {
		t.Errorf("on took %v", calls)
	}
	r.settled("on")
	r.git(automatic("enabled: true, permissionsBoundaryARN: \"arn:aws:iam::aws:policy/PowerUserAccess\""))
	if p := r.plan(); p.Complete || !errors.Is(p.Problems[0], &gitops.Error{Reason: gitops.Immutable}) || !strings.Contains(p.Problems[0].Message(), "no stack of its own") {
		t.Errorf("a boundary:\n%s", describe(nil, p))
	}
	r.git(automatic("enabled: true"))
	r.teardown = true
	r.reboot()
	r.converge()
}

// TestAutoModeRole: the role of the nodes is the file's where it names one, and then it is fixed.
func TestAutoModeRole(t *testing.T) {
	t.Parallel()
	r := newRig(t, bare)
	r.role("/", "one", "ec2.amazonaws.com")
	r.role("/", "other", "ec2.amazonaws.com")
	r.converge()
	says := func(name string) string {
		return automatic("enabled: true, nodeRoleARN: \"arn:aws:iam::111122223333:role/" + name + "\"")
	}
	r.git(says("one"))
	r.converge()
	r.settled("the role of the file")
	if got := aws.ToString(r.cloud.world.Cluster.ComputeConfig.NodeRoleArn); !strings.HasSuffix(got, ":role/one") || r.cloud.world.Stacks[autoModeStack("dev")].StackName != nil {
		t.Errorf("the role is %s", got)
	}
	r.git(says("other"))
	if p := r.plan(); p.Complete || !errors.Is(p.Problems[0], &gitops.Error{Reason: gitops.Immutable}) || !strings.Contains(p.Problems[0].Message(), "while Auto Mode is on") {
		t.Errorf("another role:\n%s", describe(nil, p))
	}
}

// TestAutoModeBoundary: the role of the nodes has the permissions boundary of the file, and gets another one in place.
func TestAutoModeBoundary(t *testing.T) {
	t.Parallel()
	r := newRig(t, bare)
	r.converge()
	says := func(policy string) string {
		return automatic("enabled: true, permissionsBoundaryARN: \"arn:aws:iam::aws:policy/" + policy + "\"")
	}
	r.git(says("PowerUserAccess"))
	if calls := r.wrote(r.converge); !slices.Contains(calls, "CreateStack") || slices.Contains(calls, "UpdateStack") {
		t.Errorf("making it took %v", calls)
	}
	r.settled("a boundary")
	r.git(says("ReadOnlyAccess"))
	if calls := r.wrote(r.converge); !slices.Equal(calls, []string{"UpdateStack"}) {
		t.Errorf("another boundary took %v", calls)
	}
	r.settled("another boundary")
}

// TestAutoModeTeardown: a cluster on which Auto Mode was switched on later can be deleted, whether git speaks of that or not: what its
// role was given goes first, and Auto Mode before that.
func TestAutoModeTeardown(t *testing.T) {
	t.Parallel()
	for says, pools := range map[string]string{automatic("enabled: true"): "", bare: "", automatic("enabled: true, nodePools: []"): ", nodePools: []"} {
		for _, restart := range []bool{false, true} {
			r := newRig(t, bare)
			r.converge()
			r.git(automatic("enabled: true" + pools))
			r.converge()
			r.git(says)
			r.teardown, r.restart = true, restart
			r.reboot()
			calls := r.wrote(r.converge)
			off, end := slices.Index(calls, "UpdateClusterConfig"), slices.Index(calls, "DeleteStack")
			if off != 0 || end < 0 || slices.Index(calls, "DetachRolePolicy") != 1 {
				t.Errorf("it took %v", calls)
			}
		}
	}
}

// TestAutoModeTogether renders what Auto Mode needs for many clusters at once, as the daemon of a fleet does. The race detector is its
// judge; without one, Go ends the process where it sees two writers of eksctl's map.
func TestAutoModeTogether(t *testing.T) {
	t.Parallel()
	r := newRig(t, automatic("enabled: true"))
	r.plan()
	cfg, w := mustParse(t, r.item), r.cloud.world
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if o, err := r.cloud.renderCluster(t.Context(), cfg, w); err != nil || !strings.Contains(string(o.body), "AutoModeNodeRole") {
				t.Errorf("the stack of the cluster is rendered without a role for nodes (%v)", err)
			}
		})
		all.Go(func() {
			if body, err := renderNodeRole(api.ARN{}); err != nil || !strings.Contains(string(body), "AutoModeNodeRole") {
				t.Errorf("the stack of the role is rendered without it (%v)", err)
			}
		})
	}
	all.Wait()
}
