package aws_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/fault"
	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// account is a simulator that can be killed and started again on its state.
type account struct {
	t        *testing.T
	dir      string
	clock    *simtest.Clock
	sim      *simtest.Sim
	machines *simtest.Machines
	planes   *simtest.ControlPlanes
	starts   int
}

func newAccount(t *testing.T) *account {
	t.Helper()
	a := &account{t: t, dir: t.TempDir(), clock: simtest.NewClock(time.Now()), machines: &simtest.Machines{}, planes: &simtest.ControlPlanes{}}
	a.restart()
	return a
}

func (a *account) restart() {
	a.t.Helper()
	a.starts++
	a.sim = simtest.StartAt(a.t, a.clock, aws.Options{World: world.Options{Dir: a.dir, Seed: 1}, Machines: a.machines, ControlPlanes: a.planes})
}

func (a *account) stacks() *cloudformation.Client {
	return cloudformation.NewFromConfig(a.sim.Config())
}
func (a *account) clusters() *eks.Client { return eks.NewFromConfig(a.sim.Config()) }

func (a *account) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

func (a *account) create(stack, file string, parameters map[string]string) {
	a.t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", file))
	a.must(err)
	a.createBody(stack, string(body), parameters)
}

func (a *account) createBody(stack, body string, parameters map[string]string) {
	a.t.Helper()
	in := &cloudformation.CreateStackInput{
		StackName: &stack, TemplateBody: &body, Capabilities: []types.Capability{types.CapabilityCapabilityIam},
		Tags: []types.Tag{{Key: sdk.String("team"), Value: sdk.String("a")}},
	}
	for k, v := range parameters {
		in.Parameters = append(in.Parameters, types.Parameter{ParameterKey: &k, ParameterValue: &v})
	}
	_, err := a.stacks().CreateStack(a.t.Context(), in)
	a.must(err)
}

// status is a stack's status, or "" if there is no such stack.
func (a *account) status(stack string) types.StackStatus {
	a.t.Helper()
	out, err := a.stacks().DescribeStacks(a.t.Context(), &cloudformation.DescribeStacksInput{StackName: &stack})
	if err != nil && strings.Contains(err.Error(), "does not exist") {
		return ""
	}
	a.must(err)
	return out.Stacks[0].StackStatus
}

// settle lets time pass, a step at a time, until the stack rests; every so many steps the process is killed.
func (a *account) settle(stack string, kills int, want types.StackStatus) {
	a.t.Helper()
	steps := 0
	for strings.HasSuffix(string(a.status(stack)), "_IN_PROGRESS") {
		if steps++; steps > 2000 {
			a.t.Fatalf("stack %s is still %s", stack, a.status(stack))
		}
		a.clock.Move(2 * time.Second)
		a.must(a.sim.World.Advance())
		if kills > 0 && steps%kills == 0 {
			a.restart()
		}
	}
	if got := a.status(stack); got != want {
		events, err := a.stacks().DescribeStackEvents(a.t.Context(), &cloudformation.DescribeStackEventsInput{StackName: &stack})
		a.must(err)
		for _, e := range events.StackEvents {
			if e.ResourceStatusReason != nil {
				a.t.Logf("%s %s: %s", *e.LogicalResourceId, e.ResourceStatus, *e.ResourceStatusReason)
			}
		}
		a.t.Fatalf("stack %s is %q, want %q", stack, got, want)
	}
}

func (a *account) remove(stack string, kills int) {
	a.t.Helper()
	_, err := a.stacks().DeleteStack(a.t.Context(), &cloudformation.DeleteStackInput{StackName: &stack})
	a.must(err)
	a.settle(stack, kills, "")
}

func (a *account) image() string {
	a.t.Helper()
	out, err := ssm.NewFromConfig(a.sim.Config()).GetParameter(a.t.Context(), &ssm.GetParameterInput{Name: sdk.String("/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/x86_64/standard/recommended/image_id")})
	a.must(err)
	return *out.Parameter.Value
}

// remains lists what the parts of the world still hold, by part.
func (a *account) remains() map[string]string {
	a.t.Helper()
	dump, err := a.sim.World.Dump()
	a.must(err)
	out := map[string]string{}
	for _, part := range []string{"ec2", "autoscaling"} {
		out[part] = string(dump[part])
	}
	var clusters struct{ Clusters json.RawMessage } // beside its clusters EKS remembers who made stacks
	a.must(json.Unmarshal(dump["eks"], &clusters))
	out["eks"] = string(clusters.Clusters)
	return out
}

// TestWholeCluster makes a cluster with managed and self-managed nodes and takes it away again, once in one go and once
// killed over and over. Both must end in the same place and leave nothing.
func TestWholeCluster(t *testing.T) {
	t.Parallel()
	for name, kills := range map[string]int{"in one go": 0, "killed at every third step": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAccount(t)
			empty := a.remains()
			a.create("whole", "cluster.json", nil)
			a.settle("whole", kills, types.StackStatusCreateComplete)
			a.create("whole-nodes", "nodes.json", map[string]string{"Image": a.image()})
			a.settle("whole-nodes", kills, types.StackStatusCreateComplete)
			cluster, err := a.clusters().DescribeCluster(t.Context(), &eks.DescribeClusterInput{Name: sdk.String("whole")})
			a.must(err)
			if *cluster.Cluster.Endpoint != "https://127.0.0.1:1/whole" || cluster.Cluster.Tags["team"] != "a" {
				t.Errorf("%+v", cluster.Cluster)
			}
			a.settleMachines(4)
			byGroup := map[string]int{}
			for _, m := range a.machines.Up() {
				byGroup[m.Cluster+" "+m.Version]++
			}
			// The self-managed nodes have no user data here, and so know of no cluster.
			if diff := cmp.Diff(map[string]int{"whole 1.35": 2, " 1.35": 2}, byGroup); diff != "" {
				t.Error(diff)
			}
			// What another stack imports stays: CloudFormation cancels the deletion.
			_, err = a.stacks().DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: sdk.String("whole")})
			a.must(err)
			a.settle("whole", kills, types.StackStatusCreateComplete)
			a.remove("whole-nodes", kills)
			a.remove("whole", kills)
			a.settleMachines(0)
			a.clock.Move(2 * time.Hour) // terminated instances stay visible for an hour
			a.must(a.sim.World.Advance())
			if diff := cmp.Diff(empty, a.remains()); diff != "" {
				t.Errorf("left behind: %s", diff)
			}
			if kills > 0 && a.starts < 10 {
				t.Errorf("only %d starts", a.starts)
			}
		})
	}
}

// settleMachines lets time pass until so many machines are up.
func (a *account) settleMachines(n int) {
	a.t.Helper()
	a.sim.Settle(a.t, 2*time.Second, time.Hour, func() bool { return len(a.machines.Up()) == n })
}

// TestWholeClusterThroughFaults does the same while the clients are throttled and answered from the past.
func TestWholeClusterThroughFaults(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.create("whole", "cluster.json", nil)
	addFault(t, a.sim, fault.Rule{Operation: "DescribeStacks", Effect: fault.Stale, Probability: 0.5})
	a.settle("whole", 0, types.StackStatusCreateComplete)
	addFault(t, a.sim, fault.Rule{Service: "eks", Effect: fault.Throttle, Count: 2})
	for i := range 3 {
		_, err := a.clusters().DescribeCluster(t.Context(), &eks.DescribeClusterInput{Name: sdk.String("whole")})
		if want := []string{"ThrottlingException", "ThrottlingException", ""}[i]; code(err) != want {
			t.Errorf("call %d: %v, want %q", i+1, err, want)
		}
	}
}
