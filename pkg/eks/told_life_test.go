package eks

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// forget takes from the stacks of the nodegroups what eksctl does not write: the record and the mark.
func (r *rig) forget() {
	r.t.Helper()
	r.reboot()
	r.plan()
	client := cloudformation.NewFromConfig(r.config())
	for _, g := range r.cloud.world.Groups {
		made, err := client.GetTemplate(r.t.Context(), &cloudformation.GetTemplateInput{StackName: g.Stack.StackName})
		r.does(err)
		var template map[string]any
		r.does(json.Unmarshal([]byte(*made.TemplateBody), &template))
		delete(template, "Metadata")
		body, err := json.Marshal(template)
		r.does(err)
		var tags []cfntypes.Tag
		for _, t := range g.Stack.Tags {
			if *t.Key != tagUserName {
				tags = append(tags, cfntypes.Tag{Key: t.Key, Value: t.Value})
			}
		}
		_, err = client.UpdateStack(r.t.Context(), &cloudformation.UpdateStackInput{
			StackName: g.Stack.StackName, TemplateBody: aws.String(string(body)), Tags: tags, Capabilities: []cfntypes.Capability{cfntypes.CapabilityCapabilityNamedIam},
		})
		r.does(err)
	}
	for range 20 {
		r.tick()
	}
	r.reboot()
	r.plan()
	for _, g := range r.cloud.world.Groups {
		if g.Recorded != nil || tag(*g.Stack, tagUserName) != "" {
			r.t.Fatalf("%s is recorded", g.Name)
		}
	}
}

// edits are what a plan would change of nodegroups.
func edits(p plan.Plan) []string {
	var out []string
	for _, c := range p.Changes {
		for _, e := range c.Edits {
			out = append(out, string(c.Action)+" "+c.Ref.Name+" "+e.Path)
		}
	}
	slices.Sort(out)
	return out
}

// TestUnrecordedActed: edits in git of nodegroups that eksctl made replace them, and then nothing is left to do.
func TestUnrecordedActed(t *testing.T) {
	t.Parallel()
	r := newRig(t, rewritten("", ""))
	r.converge()
	r.forget()
	if p := r.plan(); len(p.Changes) > 0 {
		t.Fatalf("without an edit:\n%s", describe(nil, p))
	}
	group, err := ec2.NewFromConfig(r.config()).CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{
		GroupName: aws.String("more"), Description: aws.String("more"), VpcId: r.cloud.world.Cluster.ResourcesVpcConfig.VpcId,
	})
	r.does(err)
	image := r.cloud.world.Groups["batch"].Launch.ImageId
	r.git(strings.NewReplacer(
		"instanceType: m5.large, minSize: 1, maxSize: 2}", "instanceType: m5.large, minSize: 1, maxSize: 2, maxPodsPerNode: 30, securityGroups: {attachIDs: ["+*group.GroupId+"]}}",
		"labels: {role: batch}", "amiFamily: AmazonLinux2023, ami: "+*image+", labels: {role: other}",
	).Replace(rewritten("", "")))
	r.reboot()
	want := []string{"replace batch labels.role", "replace system maxPodsPerNode", "replace system securityGroups.attachIDs"}
	if got := edits(r.plan()); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v:\n%s", got, want, describe(nil, r.plan()))
	}
	r.converge()
	r.settled("replacing")
}

// TestDriftOfGroups: what was changed of the launch template or the Auto Scaling group of a nodegroup behind our back is seen, although
// something recorded what it was made from.
func TestDriftOfGroups(t *testing.T) {
	t.Parallel()
	r := newRig(t, rewritten("*self", "instancesDistribution: {instanceTypes: [m5.large, m5a.large], onDemandBaseCapacity: 1, maxPrice: 0.05}, disableIMDSv1: true"))
	r.converge()
	r.settled("creation")
	group := r.cloud.world.Groups["batch"].Scaling
	templates, scaling := ec2.NewFromConfig(r.config()), autoscaling.NewFromConfig(r.config())
	spec := group.MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification
	made, err := templates.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateId: spec.LaunchTemplateId, SourceVersion: spec.Version,
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{MetadataOptions: &ec2types.LaunchTemplateInstanceMetadataOptionsRequest{
			HttpTokens: ec2types.LaunchTemplateHttpTokensStateOptional, HttpPutResponseHopLimit: aws.Int32(2),
		}},
	})
	r.does(err)
	policy := *group.MixedInstancesPolicy
	policy.LaunchTemplate.LaunchTemplateSpecification = &astypes.LaunchTemplateSpecification{
		LaunchTemplateId: spec.LaunchTemplateId, Version: aws.String(strconv.FormatInt(*made.LaunchTemplateVersion.VersionNumber, 10)),
	}
	policy.LaunchTemplate.Overrides = policy.LaunchTemplate.Overrides[:1]
	policy.InstancesDistribution.OnDemandBaseCapacity = aws.Int32(0)
	_, err = scaling.UpdateAutoScalingGroup(t.Context(), &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: group.AutoScalingGroupName, MixedInstancesPolicy: &policy})
	r.does(err)
	r.reboot()
	want := []string{"replace batch disableIMDSv1", "replace batch instancesDistribution.instanceTypes[1]", "replace batch instancesDistribution.onDemandBaseCapacity"}
	if got := edits(r.plan()); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v:\n%s", got, want, describe(nil, r.plan()))
	}
	r.converge()
	r.settled("replacing")
}

// TestDriftSeen: of what was recorded, too, that which AWS tells goes before the record.
func TestDriftSeen(t *testing.T) {
	t.Parallel()
	const balanced = `targetGroupARNs: ["arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/web/1"], amiFamily: AmazonLinux2023, ami: ami-1, maxInstanceLifetime: 86400`
	cfg := mustLoad(t, rewritten("*self", balanced))
	w := worldOf(t, cfg)
	batch := w.Groups["batch"]
	batch.Launch.ImageId, batch.Scaling.MaxInstanceLifetime = aws.String("ami-1"), aws.Int32(86400)
	batch.Scaling.TargetGroupARNs = []string{"arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/web/1"}
	if p := build(cfg.observe(w, false)); len(p.Changes) > 0 {
		t.Fatalf("as it was recorded:\n%s", describe(nil, p))
	}
	batch.Launch.ImageId, batch.Scaling.TargetGroupARNs, batch.Scaling.MaxInstanceLifetime = aws.String("ami-2"), nil, nil
	want := []string{"replace batch ami", "replace batch maxInstanceLifetime", "replace batch targetGroupARNs"}
	if p := build(cfg.observe(w, false)); !slices.Equal(edits(p), want) {
		t.Errorf("got %v, want %v:\n%s", edits(p), want, describe(nil, p))
	}
}

// TestUntoldNoted: what nothing live tells is taken as it should be, and noted where git says it.
func TestUntoldNoted(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, rewritten("*self", "clusterDNS: 10.100.0.53, iam: {attachPolicyARNs: [\"arn:aws:iam::aws:policy/AmazonS3FullAccess\"]}"))
	p := build(cfg.observe(forgotten(worldOf(t, cfg)), false))
	got := map[string]int{}
	for _, e := range p.Problems {
		if e.Reason == gitops.NotManaged {
			got[e.Ref.Name] = e.From.Line
		}
	}
	want := []string{"nodeGroups[0].clusterDNS", "nodeGroups[0].iam.attachPolicyARNs", "nodeGroups[0].labels", "nodeGroups[0].taints"}
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, want) || got[want[0]] == 0 || len(p.Changes) > 0 {
		t.Errorf("got %v, want %v:\n%s", got, want, describe(nil, p))
	}
}
