package eks

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	simaws "github.com/eks-gitops/reconciler/internal/sim/aws"
	simfault "github.com/eks-gitops/reconciler/internal/sim/aws/fault"
	simworld "github.com/eks-gitops/reconciler/internal/sim/aws/world"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// oregon is a cluster that names no zones, in a region that has four.
const oregon = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: dev, region: us-west-2, version: "1.34"}
managedNodeGroups:
- {name: system, instanceType: m5.large, desiredCapacity: 1}
`

func inOregon(t *testing.T, body string) *rig {
	t.Helper()
	return newRigOn(t, body, simaws.Options{World: simworld.Options{Region: "us-west-2"}})
}

// full has EKS refuse clusters in these zones, and no others.
func (r *rig) full(zones ...string) {
	r.t.Helper()
	r.does(r.World.Do(true, func() error {
		for _, z := range r.EC2.ZoneNames() {
			if err := r.EKS.FillZone(z, slices.Contains(zones, z)); err != nil {
				return err
			}
		}
		return nil
	}))
}

// once has the cluster made until that fails, and tells how.
func (r *rig) once() gitops.Health {
	r.t.Helper()
	c := find(r.t, r.plan(), KindCluster, "dev")
	r.does(r.cloud.Apply(r.t.Context(), c))
	return r.await(c, gitops.Failed)
}

// subnetZones are the zones of the cluster's subnets.
func (r *rig) subnetZones() []string {
	r.t.Helper()
	out, err := r.cloud.aws.ec2.DescribeSubnets(r.t.Context(), &ec2.DescribeSubnetsInput{SubnetIds: r.cloud.world.Cluster.ResourcesVpcConfig.SubnetIds})
	r.does(err)
	var zones []string
	for _, s := range out.Subnets {
		zones = append(zones, aws.ToString(s.AvailabilityZone))
	}
	slices.Sort(zones)
	return slices.Compact(zones)
}

// made are the zones of each stack that was ever made for the cluster, the first first.
func (r *rig) made() [][]string {
	r.t.Helper()
	out, err := r.cloud.aws.cfn.ListStacks(r.t.Context(), &cloudformation.ListStacksInput{})
	r.does(err)
	var all [][]string
	for _, s := range out.StackSummaries {
		if aws.ToString(s.StackName) != "eksctl-dev-cluster" {
			continue
		}
		template, err := r.cloud.aws.cfn.GetTemplate(r.t.Context(), &cloudformation.GetTemplateInput{StackName: s.StackId})
		r.does(err)
		zones := zonesIn(aws.ToString(template.TemplateBody), "us-west-2")
		slices.Sort(zones)
		all = append([][]string{slices.Compact(zones)}, all...)
	}
	return all
}

// note is the problem of a plan with this reason.
func note(t *testing.T, p plan.Plan, reason gitops.Reason) *gitops.Error {
	t.Helper()
	for _, e := range p.Problems {
		if e.Reason == reason {
			return e
		}
	}
	t.Fatalf("no problem %s in\n%s", reason, describe(nil, p))
	return nil
}

// TestRefusedZone: when EKS refuses a zone that was chosen here, the attempt tells so, and the next plan clears it away and makes the
// cluster in zones that EKS offers.
func TestRefusedZone(t *testing.T) {
	t.Parallel()
	r := inOregon(t, oregon)
	r.full("us-west-2a")
	planned := find(t, r.plan(), KindCluster, "dev")
	failed := r.once()
	const says = "EKS refused us-west-2a (does not currently have sufficient capacity to support the cluster): " +
		"the cluster is made in us-west-2b, us-west-2c and us-west-2d, which EKS offers, as well as every instance type of the file"
	if want := "metadata: stack eksctl-dev-cluster is ROLLBACK_IN_PROGRESS: " + says; failed.Message != want || failed.Reason != gitops.ApplyFailed {
		t.Errorf("the attempt tells %s %q,\nwant %q", failed.Reason, failed.Message, want)
	}
	for range 10 {
		r.tick()
	}
	if calls := r.wrote(func() {
		if err := r.cloud.Apply(t.Context(), planned); !errors.Is(err, &gitops.Error{Reason: gitops.ApplyFailed}) {
			t.Errorf("a plan that does not know of it is carried on: %v", err)
		}
	}); len(calls) > 0 {
		t.Errorf("no plan told of it yet, and there are %v", calls)
	}
	p := r.plan()
	if e := note(t, p, gitops.OtherZones); e.Message() != says || e.From.Line != 3 || !p.Complete || find(t, p, KindCluster, "dev").Hold != nil {
		t.Errorf("%s", describe(nil, p))
	}
	r.converge()
	r.settled("another choice")
	if diff := cmp.Diff([][]string{{"us-west-2a", "us-west-2b", "us-west-2c"}, {"us-west-2b", "us-west-2c", "us-west-2d"}}, r.made()); diff != "" {
		t.Error(diff)
	}
	if zones := r.subnetZones(); !slices.Equal(zones, []string{"us-west-2b", "us-west-2c", "us-west-2d"}) {
		t.Errorf("the cluster is in %v", zones)
	}
}

// TestRefusedZonesKilled: what a process has learned by a refusal is not lost with it, wherever it is killed: each call is made by
// another process here. Two zones refuse, one after the other, and no attempt is made in one that did.
func TestRefusedZonesKilled(t *testing.T) {
	t.Parallel()
	r := inOregon(t, oregon)
	r.restart = true
	r.full("us-west-2a")
	r.watch = func(w *world) {
		// The second one fills up once the first attempt is over, and the first one has room again: EKS offers it.
		if w.Placing != nil && w.Placing.Refused[0].Zone == "us-west-2a" {
			r.full("us-west-2b")
		}
	}
	r.converge()
	r.settled("two refusals")
	want := [][]string{{"us-west-2a", "us-west-2b", "us-west-2c"}, {"us-west-2b", "us-west-2c", "us-west-2d"}, {"us-west-2c", "us-west-2d"}}
	if diff := cmp.Diff(want, r.made()); diff != "" {
		t.Error(diff)
	}
}

// TestRefusedZoneLateListing: the refusal is known while the listing of deleted stacks does not have the attempt yet.
func TestRefusedZoneLateListing(t *testing.T) {
	t.Parallel()
	r := inOregon(t, oregon)
	r.full("us-west-2a")
	r.once()
	r.plan()
	_, err := r.Faults().Add(simfault.Rule{Service: "cloudformation", Operation: "ListStacks", Match: "DELETE_COMPLETE", Effect: simfault.Stale})
	r.does(err)
	r.converge()
	if made := r.made(); len(made) != 2 {
		t.Errorf("attempts were made in %v", made)
	}
}

// TestRefusedNamedZone: zones that the file names are not exchanged for others. The refusal is told with the field and what EKS offers,
// nothing is made anew, until git names others or an hour is over.
func TestRefusedNamedZone(t *testing.T) {
	t.Parallel()
	const named = oregon + "availabilityZones: [us-west-2a, us-west-2b]\n"
	r := inOregon(t, named)
	r.full("us-west-2b", "us-west-2d")
	err := r.refuses()
	const says = "availabilityZones: EKS refuses us-west-2b (does not currently have sufficient capacity to support the cluster); it offers us-west-2a and us-west-2c"
	if !errors.Is(err, &gitops.Error{Reason: gitops.ZoneRefused}) || !strings.Contains(err.Error(), says) {
		t.Fatalf("the attempt tells %v", err)
	}
	for range 40 {
		r.reboot()
		p := r.plan()
		hold := find(t, p, KindCluster, "dev").Hold
		if e := note(t, p, gitops.ZoneRefused); e.Message() != says || e.From.Line != 6 || !strings.Contains(e.Try, "tried again from 20") {
			t.Fatalf("%s", describe(nil, p))
		}
		if hold == nil || hold.Reason != gitops.ZoneRefused || hold.Approvable || !p.Complete {
			t.Fatalf("%s", describe(nil, p))
		}
		r.tick()
	}
	if h, err := r.cloud.Ready(t.Context(), ref("dev", KindCluster, "dev")); err != nil || h.Status != gitops.Failed || h.Reason != gitops.ZoneRefused || h.Message != says {
		t.Errorf("it is %v, %v", h, err)
	}
	t.Run("an hour later", func(t *testing.T) {
		r.Clock.Move(refusing)
		if c := find(t, r.plan(), KindCluster, "dev"); c.Hold != nil {
			t.Errorf("it is held: %s", c.Hold.Why)
		}
	})
	r.git(strings.Replace(named, "2b]", "2c]", 1))
	r.converge()
	r.settled("other zones in git")
	if zones := r.subnetZones(); !slices.Equal(zones, []string{"us-west-2a", "us-west-2c"}) {
		t.Errorf("the cluster is in %v", zones)
	}
}

// TestZoneWithoutControlPlanes: EKS has other words for a zone that never has control planes, and the file that names it is told those.
func TestZoneWithoutControlPlanes(t *testing.T) {
	t.Parallel()
	r := newRigOn(t, strings.NewReplacer("us-west-2", "us-east-1", "managedNodeGroups", "availabilityZones: [us-east-1b, us-east-1e]\nmanagedNodeGroups").Replace(oregon),
		simaws.Options{World: simworld.Options{Region: "us-east-1"}})
	err := r.refuses()
	if !errors.Is(err, &gitops.Error{Reason: gitops.ZoneRefused}) || !strings.Contains(err.Error(), "availabilityZones: EKS refuses us-east-1e "+
		"(EKS does not support creating control plane instances in us-east-1e); it offers us-east-1a, us-east-1b, us-east-1c, us-east-1d and us-east-1f") {
		t.Errorf("the attempt tells %v", err)
	}
}

// TestRefusedSubnets: subnets name zones, too, be it by their ids alone.
func TestRefusedSubnets(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ vpc, field string }{
		"zones as keys":        {"subnets: {public: {us-west-2a: {id: A}, us-west-2b: {id: B}}}", "vpc.subnets"},
		"ids alone":            {"subnets: {public: {one: {id: A}, two: {id: B}}}", "vpc.subnets"},
		"of the control plane": {"subnets: {public: {one: {id: A}, three: {id: C}}}, controlPlaneSubnetIDs: [A, B]", "vpc.controlPlaneSubnetIDs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := inOregon(t, oregon)
			r.git(oregon + "vpc: {" + r.subnets().Replace(tt.vpc) + "}\n")
			r.full("us-west-2b")
			err := r.refuses()
			if !errors.Is(err, &gitops.Error{Reason: gitops.ZoneRefused}) || !strings.Contains(err.Error(), tt.field+": EKS refuses us-west-2b (") {
				t.Errorf("the attempt tells %v", err)
			}
			if p := r.plan(); find(t, p, KindCluster, "dev").Hold == nil || note(t, p, gitops.ZoneRefused).From.Line == 0 {
				t.Errorf("%s", describe(nil, p))
			}
		})
	}
}

// subnets makes a VPC with a subnet in each of the first three zones, and puts their ids in the place of A, B and C.
func (r *rig) subnets() *strings.Replacer {
	r.t.Helper()
	client := ec2.NewFromConfig(r.config())
	vpc, err := client.CreateVpc(r.t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
	r.does(err)
	var pairs []string
	for i, zone := range []string{"us-west-2a", "us-west-2b", "us-west-2c"} {
		made, err := client.CreateSubnet(r.t.Context(), &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, AvailabilityZone: &zone, CidrBlock: aws.String(fmt.Sprintf("10.0.%d.0/24", i))})
		r.does(err)
		_, err = client.ModifySubnetAttribute(r.t.Context(), &ec2.ModifySubnetAttributeInput{SubnetId: made.Subnet.SubnetId, MapPublicIpOnLaunch: &ec2types.AttributeBooleanValue{Value: aws.Bool(true)}})
		r.does(err)
		pairs = append(pairs, string(rune('A'+i)), aws.ToString(made.Subnet.SubnetId))
	}
	return strings.NewReplacer(pairs...)
}

// refuses has the cluster made until a step of that is refused, and tells how.
func (r *rig) refuses() error {
	r.t.Helper()
	c := find(r.t, r.plan(), KindCluster, "dev")
	for range 40 {
		if err := r.cloud.Apply(r.t.Context(), c); err != nil {
			return err
		}
		r.tick()
	}
	r.t.Fatal("nothing is refused")
	return nil
}

// TestRefusedEverywhere: with too few zones left nothing is made, and it is told why; a teardown clears the attempt away.
func TestRefusedEverywhere(t *testing.T) {
	t.Parallel()
	r := inOregon(t, oregon)
	r.full("us-west-2a", "us-west-2b", "us-west-2c")
	err := r.refuses()
	if !errors.Is(err, &gitops.Error{Reason: gitops.ZoneRefused}) || !strings.Contains(err.Error(), "fewer than 2 other zones") {
		t.Errorf("the attempt tells %v", err)
	}
	if p := r.plan(); find(t, p, KindCluster, "dev").Hold == nil || note(t, p, gitops.ZoneRefused).Try == "" {
		t.Errorf("%s", describe(nil, p))
	}
	r.full()
	r.Clock.Move(refusing)
	if e := note(t, r.plan(), gitops.OtherZones); !strings.Contains(e.Message(), "the cluster is made in us-west-2a and us-west-2d, because no other zones are left") {
		t.Errorf("an hour later: %s", e.Message())
	}
	r.teardown = true
	r.reboot()
	r.converge()
	if len(r.cloud.world.Stacks) > 0 {
		t.Errorf("there are %v", r.cloud.world.Stacks)
	}
}

// TestReadRefusal: EKS has two wordings, and CloudFormation passes them on.
func TestReadRefusal(t *testing.T) {
	t.Parallel()
	const why = "does not currently have sufficient capacity to support the cluster"
	const full = "us-east-1e, the targeted availability zone, " + why
	for name, tt := range map[string]struct {
		reason string
		want   *refusal
	}{
		"full": {
			`Resource handler returned message: "Cannot create cluster 'dev' because ` + full + `. Retry and choose from these availability zones: us-east-1a, us-east-1b, us-east-1f (Service: Eks, Status Code: 400, Request ID: 2d525fed-1b2e-460c-aa8a-6c747ffad5ac)" (RequestToken: 958b48c7-6bc6-497c-8306-655de5a8b8bf, HandlerErrorCode: InvalidRequest)`,
			&refusal{Zone: "us-east-1e", Words: why, Offered: []string{"us-east-1a", "us-east-1b", "us-east-1f"}},
		},
		"never": {
			`Resource handler returned message: "Cannot create cluster 'dev' because EKS does not support creating control plane instances in us-east-1e, the targeted availability zone. Retry cluster creation using control plane subnets that span at least two of these availability zones: us-east-1a, us-east-1b. Note, post cluster creation, you can run worker nodes in separate subnets/availability zones from control plane subnets/availability zones passed during cluster creation (Service: Eks, Status Code: 400, Request ID: a03747cf)" (RequestToken: 77039cad, HandlerErrorCode: InvalidRequest)`,
			&refusal{Zone: "us-east-1e", Words: "EKS does not support creating control plane instances in us-east-1e", Offered: []string{"us-east-1a", "us-east-1b"}},
		},
		"another cluster":  {"Cannot create cluster 'prod' because " + full + ". Retry and choose from these availability zones: us-east-1a", nil},
		"something else":   {"Cannot create cluster 'dev' because it is late", nil},
		"no zone is named": {"Cannot create cluster 'dev' because of it. Retry and choose from these availability zones: us-east-1a", nil},
	} {
		got, ok := readRefusal("dev", "us-east-1", tt.reason)
		if tt.want == nil {
			tt.want = &refusal{}
		}
		if diff := cmp.Diff(*tt.want, got); diff != "" || ok != (tt.want.Zone != "") {
			t.Errorf("%s: %v %s", name, ok, diff)
		}
	}
}

// TestChooseZones: zones that refused come last, and not within the hour.
func TestChooseZones(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ago := func(zone string, d time.Duration, offered ...string) refusal {
		return refusal{Zone: zone, At: now.Add(-d), Offered: offered}
	}
	four := []string{"a", "b", "c", "d"}
	for name, tt := range map[string]struct {
		region  string
		zones   []string
		given   string
		refused []refusal
		want    []string
	}{
		"none refused":                           {"", four, "", nil, []string{"a", "b", "c"}},
		"us-east-1":                              {"us-east-1", four, "", []refusal{ago("a", 0)}, []string{"b", "c"}},
		"one":                                    {"", four, "", []refusal{ago("b", 0)}, []string{"a", "c", "d"}},
		"two":                                    {"", four, "", []refusal{ago("b", 0, "a", "c", "d"), ago("a", time.Minute, "b", "c", "d")}, []string{"c", "d"}},
		"one and another not offered":            {"", four, "", []refusal{ago("b", 0, "a", "c")}, []string{"a", "c"}},
		"the older one is not offered otherwise": {"", four, "", []refusal{ago("b", 0, "a", "c", "d"), ago("a", time.Minute, "b", "c")}, []string{"c", "d"}},
		"too few":                                {"", []string{"a", "b"}, "", []refusal{ago("a", 59*time.Minute)}, nil},
		"again after an hour":                    {"", []string{"a", "b"}, "", []refusal{ago("a", time.Hour)}, []string{"a", "b"}},
		"the longest ago":                        {"", four, "", []refusal{ago("b", time.Hour), ago("a", 2*time.Hour), ago("c", 3*time.Hour)}, []string{"c", "d"}},
		"too few zones at all":                   {"", []string{"a"}, "", nil, nil},
		"given by a nodegroup":                   {"", four, "d", nil, []string{"a", "b", "d"}},
		"more given than are wanted":             {"us-east-1", four, "b c d", nil, []string{"b", "c", "d"}},
		"given and refused":                      {"", four, "d", []refusal{ago("d", 0)}, []string{"a", "b", "d"}},
		"given and another refused":              {"", four, "d", []refusal{ago("a", 0, "b", "c", "d")}, []string{"b", "c", "d"}},
		"given and no candidate":                 {"", four, "e", nil, []string{"a", "b", "e"}},
		"given and too few others":               {"", []string{"a", "b"}, "b", []refusal{ago("a", 59*time.Minute)}, nil},
		"given and one again":                    {"", []string{"a", "b"}, "b", []refusal{ago("a", time.Hour)}, []string{"a", "b"}},
	} {
		given := map[string]string{}
		for zone := range strings.FieldsSeq(tt.given) {
			given[zone] = "field"
		}
		if diff := cmp.Diff(tt.want, chooseZones(tt.region, tt.zones, given, tt.refused, now)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
