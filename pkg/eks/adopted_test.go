package eks

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"pgregory.net/rapid"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// adopting is bare for a cluster that eksctl did not make.
func adopting() string {
	return strings.Replace(bare, "  version:", "  annotations: {reconciler.eks-gitops.io/adopted: \"true\"}\n  version:", 1)
}

// stranger makes a cluster as something other than eksctl would, in the network of a donor: with a nodegroup, a Fargate profile, addons,
// one of which has a role, a pod identity association, and access entries.
func stranger(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, strings.Replace(bare, "name: dev", "name: donor", 1))
	for name, service := range map[string]string{
		"plane": "eks", "nodes": "ec2", "fargate": "eks-fargate-pods", "cni": "pods.eks", "queue": "pods.eks", "people": "ec2",
	} {
		r.role("/", name, service+".amazonaws.com")
	}
	r.converge()
	donor := r.cloud.world
	listed := func(name string) []string {
		return strings.Split(output(donor.Stacks[clusterStack("donor")], name), ",")
	}
	aimed := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for range 40 {
			r.tick()
		}
	}
	role := func(name string) *string { return aws.String("arn:aws:iam::111122223333:role/" + name) }
	dev, ctx, to := aws.String("dev"), t.Context(), eks.NewFromConfig(r.config())
	_, err := to.CreateCluster(ctx, &eks.CreateClusterInput{
		Name: dev, Version: aws.String("1.36"), RoleArn: role("plane"),
		ResourcesVpcConfig: &ekstypes.VpcConfigRequest{SubnetIds: donor.Cluster.ResourcesVpcConfig.SubnetIds},
		AccessConfig:       &ekstypes.CreateAccessConfigRequest{AuthenticationMode: ekstypes.AuthenticationModeApi},
	})
	aimed(err)
	_, err = to.CreateNodegroup(ctx, &eks.CreateNodegroupInput{
		ClusterName: dev, NodegroupName: aws.String("theirs"), NodeRole: role("nodes"),
		Subnets: listed("SubnetsPublic"), InstanceTypes: []string{"m5.large"}, Labels: map[string]string{"role": "web"},
		ScalingConfig: &ekstypes.NodegroupScalingConfig{MinSize: aws.Int32(1), MaxSize: aws.Int32(3), DesiredSize: aws.Int32(2)},
	})
	aimed(err)
	_, err = to.CreateFargateProfile(ctx, &eks.CreateFargateProfileInput{
		ClusterName: dev, FargateProfileName: aws.String("batch"), PodExecutionRoleArn: role("fargate"), Subnets: listed("SubnetsPrivate"),
		Selectors: []ekstypes.FargateProfileSelector{{Namespace: aws.String("batch"), Labels: map[string]string{"on": "fargate"}}},
	})
	aimed(err)
	for name, arn := range map[string]*string{"vpc-cni": role("cni"), "eks-pod-identity-agent": nil} {
		_, err = to.CreateAddon(ctx, &eks.CreateAddonInput{ClusterName: dev, AddonName: &name, ServiceAccountRoleArn: arn})
		aimed(err)
	}
	_, err = to.CreatePodIdentityAssociation(ctx, &eks.CreatePodIdentityAssociationInput{
		ClusterName: dev, Namespace: aws.String("apps"), ServiceAccount: aws.String("queue"), RoleArn: role("queue"),
	})
	aimed(err)
	for name, kind := range map[string]string{"people": "STANDARD", "plane": "EC2_LINUX"} {
		_, err = to.CreateAccessEntry(ctx, &eks.CreateAccessEntryInput{ClusterName: dev, PrincipalArn: role(name), Type: aws.String(kind)})
		aimed(err)
	}
	_, err = to.AssociateAccessPolicy(ctx, &eks.AssociateAccessPolicyInput{
		ClusterName: dev, PrincipalArn: role("people"), PolicyArn: aws.String("arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"),
		AccessScope: &ekstypes.AccessScope{Type: ekstypes.AccessScopeTypeCluster},
	})
	aimed(err)
	return r
}

// TestAdoptedCluster: a cluster that eksctl did not make is refused, until its file says that it is meant. Then it is managed: what
// others made is changed in place, new nodegroups get stacks, what was applied from here goes when git drops it, and what was not
// stays; and a teardown leaves the cluster.
func TestAdoptedCluster(t *testing.T) {
	t.Parallel()
	r := stranger(t)
	r.git(bare)
	if p := r.plan(); len(p.Changes) > 0 || len(p.Problems) != 1 || p.Problems[0].Reason != gitops.Foreign || !strings.Contains(p.Problems[0].Try, "reconciler import dev --region eu-west-1") {
		t.Fatalf("without a word:\n%s", describe(nil, p))
	}
	got := r.imported()
	if !got.Adopted || len(got.Left) > 0 || len(got.Problems) > 0 {
		t.Fatalf("%+v %v\n%s", got.Left, got.Problems, got.File)
	}
	file := string(got.File)
	r.git(file)
	r.settledOn(got)

	for _, want := range []string{
		"role: web\n", "serviceAccountRoleARN: arn:aws:iam::111122223333:role/cni\n", "podExecutionRoleARN: arn:aws:iam::111122223333:role/fargate\n",
		"roleARN: arn:aws:iam::111122223333:role/queue\n", "principalARN: arn:aws:iam::111122223333:role/people\n", "AmazonEKSViewPolicy\n",
	} {
		if !strings.Contains(file, want) {
			t.Fatalf("the file lacks %q:\n%s", want, file)
		}
	}
	changed := strings.Replace(file, "role: web", "role: shop", 1)
	grown := strings.Replace(changed, "managedNodeGroups:\n", "managedNodeGroups:\n  - name: ours\n    instanceType: m5.large\n    minSize: 1\n    maxSize: 2\n", 1)
	r.git(grown)
	r.converge()
	r.settled("growth")
	w := r.cloud.world
	if w.Groups["theirs"].Nodegroup.Labels["role"] != "shop" || w.Groups["ours"] == nil || w.Groups["ours"].Stack == nil {
		t.Errorf("theirs has %v, ours is %+v", w.Groups["theirs"].Nodegroup.Labels, w.Groups["ours"])
	}

	left, _, _ := strings.Cut(grown, "  - name: theirs")
	r.git(left)
	if p := r.plan(); len(p.Changes) > 0 {
		t.Errorf("what was never applied from here is to go:\n%s", describe(nil, p))
	}
	r.inv[ref("dev", KindNodegroup, "theirs")] = gitops.Entry{}
	if c := find(t, r.plan(), KindNodegroup, "theirs"); c.Action != plan.Delete {
		t.Errorf("%s", c.Action)
	}
	r.converge()
	if r.cloud.world.Groups["theirs"] != nil {
		t.Error("theirs is still there")
	}

	r.teardown = true
	r.reboot()
	calls := r.wrote(r.converge)
	w = r.cloud.world
	if slices.Contains(calls, "DeleteCluster") || w.Cluster == nil || len(w.Stacks) > 0 {
		t.Errorf("a teardown made %v and left %v", calls, w.Stacks)
	}
	if len(w.Profiles) != 1 || len(w.Addons) != 2 || len(w.Associations) != 1 || w.Entries["arn:aws:iam::111122223333:role/people"] == nil {
		t.Errorf("a teardown took what others made: %v", calls)
	}
}

// TestAdoptedReplaced: a nodegroup that no stack made is replaced by one that has one, and deleted by EKS's own call.
func TestAdoptedReplaced(t *testing.T) {
	t.Parallel()
	r := stranger(t)
	file := string(r.imported().File)
	r.git(strings.Replace(file, "instanceType: m5.large", "instanceType: m6i.large", 1))
	if c := find(t, r.plan(), KindNodegroup, "theirs"); c.Action != plan.Replace {
		t.Fatalf("%s %v", c.Action, c.Edits)
	}
	calls := r.wrote(r.converge)
	line := r.cloud.world.generations("theirs")
	if !slices.Contains(calls, "DeleteNodegroup") || len(line) != 1 || line[0].Stack == nil || len(r.kube.drained) != 2 {
		t.Errorf("calls %v, live %v, drained %v", calls, line, r.kube.drained)
	}
}

// TestAdoptedReplacedTornDown: a teardown in the middle of that takes the successor, and leaves the group that others made.
func TestAdoptedReplacedTornDown(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, adopting()+
		"managedNodeGroups:\n- {name: theirs, instanceType: m5.large, desiredCapacity: 1}\n")
	w := worldOf(t, cfg)
	groupIn(w, cfg, cfg.nodegroups()[0], "theirs-12345", 1)
	delete(w.Stacks, *w.Groups["theirs"].Stack.StackName)
	w.Groups["theirs"].Stack = nil
	r := newRig(t, bare)
	r.cloud.Teardown = true
	calls := r.wrote(func() {
		if err := r.cloud.removeGroups(t.Context(), cfg, w, cfg.ref(KindNodegroup, "theirs")); err != nil {
			t.Error(err)
		}
	})
	if slices.Contains(calls, "DeleteNodegroup") {
		t.Errorf("calls: %v", calls)
	}
}

// TestAdoptedAddonTornDown: a teardown leaves an addon that others made with the role that it was given from here, and takes one that was
// made from here.
func TestAdoptedAddonTornDown(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, adopting()+
		"iam: {withOIDC: true}\naddons: [{name: vpc-cni, attachPolicyARNs: [\"arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy\"]}]\n")
	for _, marked := range []bool{false, true} {
		w := worldOf(t, cfg)
		delete(w.Stacks, clusterStack("dev"))
		r, err := cfg.addonAccountRole(w, cfg.full.Addons[0])
		roleIn(t, w, cfg, r, err)
		if marked {
			w.Addons["vpc-cni"].Tags = map[string]string{tagMade: "dev"}
		}
		changes := build(cfg.observe(w, true)).Changes
		if taken := len(changes) == 1 && changes[0].Ref == cfg.ref(KindAddon, "vpc-cni"); taken != marked || !marked && len(changes) > 0 {
			t.Errorf("marked: %v, and the changes are %v", marked, changes)
		}
	}
}

// TestLawAdopted: in a cluster that eksctl did not make, nothing is deleted that has neither stack nor mark, whatever git says; and
// the cluster never is.
func TestLawAdopted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := worldOf(t, parsed(rt, drawConfig(rt, "was ")))
		is := parsed(rt, strings.Replace(drawConfig(rt, "is "), "metadata:\n", "metadata:\n  annotations: {reconciler.eks-gitops.io/adopted: \"true\"}\n", 1))
		delete(w.Stacks, clusterStack("dev"))
		for _, g := range w.Groups {
			if rapid.Bool().Draw(rt, "foreign "+g.Name) {
				delete(w.Stacks, *g.Stack.StackName)
				g.Stack = nil
			}
		}
		for name, p := range w.Profiles {
			if rapid.Bool().Draw(rt, "foreign profile "+name) {
				delete(p.Tags, tagMade)
			}
		}
		for name, l := range w.Logins {
			if rapid.Bool().Draw(rt, "foreign login "+name) {
				delete(l.Tags, tagMade)
			}
		}
		for _, teardown := range []bool{false, true} {
			for _, c := range build(is.observe(w, teardown)).Changes {
				if c.Action == plan.Delete && !ours(w, c.Ref) {
					rt.Fatalf("%s %s is not ours (teardown: %v)", c.Action, c.Ref, teardown)
				}
			}
		}
	})
}

// TestAdoptedLost: an adopted cluster that is gone is not made anew.
func TestAdoptedLost(t *testing.T) {
	t.Parallel()
	r := newRig(t, adopting())
	p := r.plan()
	if len(p.Changes) > 0 || len(p.Problems) == 0 || !errors.Is(p.Problems[0], &gitops.Error{Reason: gitops.HealthFailed}) {
		t.Errorf("%s", describe(nil, p))
	}
	_, problems := load([]byte(strings.Replace(adopting(), `"true"`, `"yes"`, 1)))
	if len(problems) != 1 || problems[0].Reason != gitops.ConfigInvalid {
		t.Errorf("problems: %v", problems)
	}
}

// TestAdoptedAutoMode: an adopted cluster gets Auto Mode with a role for its nodes, and keeps both in a teardown, as it stays itself.
func TestAdoptedAutoMode(t *testing.T) {
	t.Parallel()
	r := stranger(t)
	r.git(string(r.imported().File) + "autoModeConfig: {enabled: true}\n")
	r.converge()
	r.settled("Auto Mode")
	r.teardown = true
	r.reboot()
	calls := r.wrote(r.converge)
	if w := r.cloud.world; !autoModeOn(w) || output(w.Stacks[autoModeStack("dev")], nodeRoleOutput) == "" {
		t.Errorf("a teardown made %v and left %v", calls, w.Stacks)
	}
}
