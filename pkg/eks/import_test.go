package eks

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	gocmp "github.com/google/go-cmp/cmp"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"pgregory.net/rapid"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// rich is a cluster of which the file says much that only its stacks tell.
const rich = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata:
  name: dev
  region: eu-west-1
  version: "1.34"
  tags: {team: platform}
vpc:
  cidr: 10.20.0.0/16
  nat: {gateway: Disable}
iam:
  withOIDC: true
  serviceAccounts:
  - metadata: {name: dns, namespace: net}
    wellKnownPolicies: {externalDNS: true, certManager: true}
  - metadata: {name: all, namespace: net}
    subjectPattern: app-*
    roleName: all-apps
    attachPolicy:
      Version: "2012-10-17"
      Statement: [{Effect: Allow, Action: ["s3:GetObject"], Resource: "*"}]
  - metadata: {name: quiet, namespace: net}
    roleOnly: true
    attachPolicyARNs: ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]
  podIdentityAssociations:
  - namespace: apps
    serviceAccountName: queue
    permissionPolicyName: Queue
    permissionPolicy:
      Version: "2012-10-17"
      Statement: [{Effect: Allow, Action: ["sqs:*"], Resource: "*"}]
addonsConfig: {disableDefaultAddons: true}
addons:
- name: vpc-cni
- name: coredns
  configurationValues: '{"replicaCount": 3}'
- name: kube-proxy
- name: eks-pod-identity-agent
- name: aws-ebs-csi-driver
  wellKnownPolicies: {ebsCSIController: true}
managedNodeGroups:
- name: system
  instanceTypes: [m5.large, m6i.large]
  spot: true
  minSize: 1
  maxSize: 4
  privateNetworking: false
  volumeSize: 50
  labels: {role: system}
  taints: [{key: only, value: "true", effect: NoSchedule}]
  tags: {owner: ops}
  updateConfig: {maxUnavailable: 2}
nodeGroups:
- name: batch
  instanceType: m5.large
  desiredCapacity: 1
  labels: {role: batch}
`

// TestImport: a cluster that was made from a file imports to a file whose diff is empty, and importing changes nothing.
func TestImport(t *testing.T) {
	t.Parallel()
	for name, bodies := range map[string][]string{
		"bare": {bare}, "fleet": {fleet}, "rich": {rich}, "access": {admitting()}, "protected": {bare, withProtection("true")},
		"old access": {bare + "accessConfig: {authenticationMode: CONFIG_MAP}\n"},
		"auto mode":  {automatic("enabled: true, nodePools: [system]")}, "auto mode later": {bare, automatic("enabled: true")}, "auto mode without pools": {bare, automatic("enabled: true, nodePools: []")},
		"upkeep": {
			withField("web", "nodeRepairConfig: {enabled: true}"), withField("web", "nodeRepairConfig: {enabled: true, maxUnhealthyNodeThresholdCount: 3}"),
			withField("web", "asgSuspendProcesses: [AZRebalance]"),
		},
		"range": {bare + "kubernetesNetworkConfig: {serviceIPv4CIDR: 10.55.0.0/16}\n"},
		"fields": {bare, bare + "accessConfig: {authenticationMode: API}\nzonalShiftConfig: {enabled: true}\ncontrolPlaneScalingConfig: {tier: tier-xl}\n" +
			"upgradePolicy: {supportType: STANDARD}\nremoteNetworkConfig: {remoteNodeNetworks: [{cidrs: [10.90.0.0/16, 10.80.0.0/16]}]}\n" +
			"vpc: {clusterEndpoints: {publicAccess: false, privateAccess: true}}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, bodies[0]).teams()
			for _, body := range bodies {
				r.git(body)
				r.converge()
			}
			var got Imported
			if calls := r.wrote(func() { got = r.imported() }); len(calls) > 0 {
				t.Errorf("importing made %v", calls)
			}
			if len(got.Left) > 0 || len(got.Problems) > 0 || got.Adopted {
				t.Errorf("left: %+v %v\n%s", got.Left, got.Problems, got.File)
			}
			r.git(string(got.File))
			r.settledOn(got)
		})
	}
}

// imported is what a new process imports.
func (r *rig) imported() Imported {
	r.t.Helper()
	r.reboot()
	got, err := r.cloud.Import(r.t.Context(), "dev")
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

// settledOn is settled, and shows the file.
func (r *rig) settledOn(got Imported) {
	r.t.Helper()
	r.reboot()
	p := r.plan()
	for _, problem := range p.Problems {
		if !problem.Reason.Note() {
			r.t.Errorf("%v", problem)
		}
	}
	if len(p.Changes) > 0 {
		r.t.Fatalf("after importing:\n%s\n%s", describe(nil, p), got.File)
	}
}

// TestImportChanged: what changed since it was made is imported as it is now.
func TestImportChanged(t *testing.T) {
	t.Parallel()
	r := newRig(t, fleet)
	r.converge()
	r.git(edited(t, "instanceType: m5.large", "instanceType: m6i.large", "role: system", "role: core", "desiredCapacity: 2", "desiredCapacity: 3",
		"AmazonS3ReadOnlyAccess", "AmazonS3FullAccess", "logRetentionInDays: 7", "logRetentionInDays: 14"))
	r.converge()
	got := r.imported()
	for _, want := range []string{"m6i.large", "role: core", "desiredCapacity: 3", "AmazonS3FullAccess", "logRetentionInDays: 14", "name: system\n"} {
		if !strings.Contains(string(got.File), want) {
			t.Errorf("the file lacks %q", want)
		}
	}
	r.git(string(got.File))
	r.settledOn(got)
}

// TestImportUnrecorded: of nodegroups that eksctl made, whose stacks record nothing, the file says what EKS, the launch template, the
// Auto Scaling group and the stack's resources tell.
func TestImportUnrecorded(t *testing.T) {
	t.Parallel()
	r := newRig(t, bare+`managedNodeGroups:
- {name: inner, instanceType: m5.large, privateNetworking: true, volumeSize: 50, desiredCapacity: 1}
- {name: given, instanceTypes: [m5.large, m6i.large], iam: {instanceRoleARN: "arn:aws:iam::111122223333:role/nodes"}, tags: {owner: ops}, desiredCapacity: 1}
nodeGroups:
- {name: self, instanceType: m5.large, privateNetworking: true, volumeSize: 60, desiredCapacity: 1}
`)
	r.role("/", "nodes", "ec2.amazonaws.com")
	r.converge()
	r.reboot()
	cfg, _ := blank("dev", "eu-west-1")
	w, err := r.cloud.sweep(t.Context(), cfg, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range w.Groups {
		g.Recorded = nil
	}
	d := newDraft(cfg, w)
	if err := r.cloud.lookInto(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	got, err := d.write()
	if err != nil || len(got.Left) > 0 || len(got.Problems) > 0 {
		t.Fatalf("%v %v\n%s", err, got.Problems, describe(nil, plan.Plan{Changes: got.Left}))
	}
	_, groups, _ := strings.Cut(string(got.File), "nodeGroups:\n")
	want := `  - name: self
    instanceType: m5.large
    # desiredCapacity would keep it at one number; it was 1 when this was written
    minSize: 1
    maxSize: 1
    volumeSize: 60
    privateNetworking: true
managedNodeGroups:
  - name: given
    # desiredCapacity would keep it at one number; it was 1 when this was written
    minSize: 1
    maxSize: 1
    tags:
      owner: ops
    iam:
      # instance role made outside of eksctl
      instanceRoleARN: arn:aws:iam::111122223333:role/nodes
    instanceTypes:
      - m5.large
      - m6i.large
  - name: inner
    instanceType: m5.large
    # desiredCapacity would keep it at one number; it was 1 when this was written
    minSize: 1
    maxSize: 1
    volumeSize: 50
    privateNetworking: true
`
	if diff := gocmp.Diff(want, groups); diff != "" {
		t.Errorf("the nodegroups differ (-want +got):\n%s", diff)
	}
}

// draftOf is a draft of a world, as its stack would have been made by eksctl.
func draftOf(t testing.TB, w *world) *draft {
	t.Helper()
	cfg, problems := blank("dev", "eu-west-1")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	d := newDraft(cfg, w)
	if d.stacked {
		d.template = gitops.Tree{"Resources": gitops.Tree{"VPC": gitops.Tree{}, "ServiceRole": gitops.Tree{}}}
	}
	for name := range w.Groups {
		d.made[name] = gitops.Tree{"Resources": gitops.Tree{"NodeInstanceRole": gitops.Tree{}, "LaunchTemplate": gitops.Tree{}}}
	}
	return d
}

// TestLawImport: whatever git says, what is live as it says imports to a file whose plan is empty; and so it does when nothing
// recorded what nodegroups were made from, and when eksctl made neither them nor the cluster.
func TestLawImport(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		body := drawConfig(rt, "")
		w := worldOf(t, parsed(rt, body))
		adopted := rapid.Bool().Draw(rt, "adopted")
		if adopted {
			delete(w.Stacks, clusterStack("dev"))
		}
		for name, g := range w.Groups {
			if g.Managed && adopted && rapid.Bool().Draw(rt, "foreign "+name) {
				delete(w.Stacks, *g.Stack.StackName)
				g.Stack, g.Recorded = nil, nil
			}
			if rapid.Bool().Draw(rt, "unrecorded "+name) {
				g.Recorded = nil
			}
			if !g.Managed && g.Recorded == nil && rapid.Bool().Draw(rt, "old image "+name) {
				g.Image = "1.33"
			}
			if g.Managed && rapid.Bool().Draw(rt, "behind "+name) {
				g.Nodegroup.Version, g.Nodegroup.ReleaseVersion = aws.String("1.33"), aws.String("1.33.1-20260101")
			}
		}
		d := draftOf(t, w)
		got, err := d.write()
		if err != nil || len(got.Left) > 0 || len(got.Problems) > 0 || got.Adopted != adopted {
			rt.Fatalf("%v %v\n%s\n%s\n%s", err, got.Problems, body, got.File, describe(nil, plan.Plan{Changes: got.Left}))
		}
		if unsaid := unsaidIn(build(parsed(rt, string(got.File)).observe(w, false))); len(unsaid) > 0 {
			rt.Fatalf("the file does not say it all: %v\n%s", unsaid, got.File)
		}
		if diff := gocmp.Diff(d.out, parsed(rt, string(got.File)).Written); diff != "" {
			rt.Fatalf("the file reads as something else (-meant +read):\n%s", diff)
		}
	})
}

// TestImportWordless: a role whose policies a ClusterConfig has no words for is named by its ARN, and stays as it is.
func TestImportWordless(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, fleet)
	w := worldOf(t, cfg)
	live := w.Addons["vpc-cni"]
	r, err := cfg.addonAccountRole(w, &api.Addon{Name: "vpc-cni", AttachPolicyARNs: []string{"arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"}})
	roleIn(t, w, cfg, r, err)
	live.ServiceAccountRoleArn = aws.String("arn:" + r.stack)
	p := &api.PodIdentityAssociation{ServiceAccountName: "coredns", PermissionPolicyARNs: []string{"arn:aws:iam::aws:policy/AmazonS3FullAccess"}}
	r, err = cfg.addonPodRole(&api.Addon{Name: "coredns"}, p)
	roleIn(t, w, cfg, r, err)
	w.Addons["coredns"].PodIdentityAssociations = []string{"arn:lent"}
	w.Lent["arn:lent"] = &ekstypes.PodIdentityAssociation{Namespace: aws.String("kube-system"), ServiceAccount: &p.ServiceAccountName, RoleArn: aws.String("arn:" + r.stack)}
	for stack := range w.Templates {
		w.Templates[stack] = gitops.Clone(w.Templates[stack])
		for _, name := range []string{"Odd", "Old"} {
			put(w.Templates[stack], gitops.Tree{"Type": "AWS::IAM::Policy", "Properties": gitops.Tree{"PolicyDocument": gitops.Tree{"Id": name}}}, "Resources", name)
		}
	}
	got, err := draftOf(t, w).write()
	if err != nil || len(got.Left) > 0 || len(got.Problems) > 0 {
		t.Fatalf("%v %v\n%s\n%s", err, got.Problems, got.File, describe(nil, plan.Plan{Changes: got.Left}))
	}
	for _, want := range []string{
		"attachRoleARN: arn:eksctl-dev-addon-iamserviceaccount-apps-s3\n", "    roleARN: arn:eksctl-dev-podidentityrole-external-dns-external-dns\n",
		"serviceAccountRoleARN: arn:eksctl-dev-addon-vpc-cni\n", "roleARN: arn:eksctl-dev-addon-coredns-podidentityrole-coredns\n",
	} {
		if !strings.Contains(string(got.File), want) {
			t.Errorf("the file lacks %q:\n%s", want, got.File)
		}
	}
}

// TestImportWithoutAgent: pod identity associations need an addon in the file. Where it is not installed, those that nothing of ours
// made are left out and stay; with one of ours the file is refused, for without it the role would go.
func TestImportWithoutAgent(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, fleet)
	stack := podIdentityStack("dev", "external-dns/external-dns")
	for name, c := range map[string]struct {
		happened func(*world)
		refused  bool
	}{
		"theirs": {happened: func(w *world) { delete(w.Stacks, stack) }},
		"ours":   {happened: func(*world) {}, refused: true},
		"marked": {refused: true, happened: func(w *world) {
			delete(w.Stacks, stack)
			w.Associations["external-dns/external-dns"].Tags = map[string]string{tagMade: "dev"}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := worldOf(t, cfg)
			delete(w.Addons, api.PodIdentityAgentAddon)
			c.happened(w)
			got, err := draftOf(t, w).write()
			if err != nil || len(got.Left) > 0 {
				t.Fatalf("%v\n%s", err, describe(nil, plan.Plan{Changes: got.Left}))
			}
			if refused := len(got.Problems) > 0; refused != c.refused || refused != strings.Contains(string(got.File), "podIdentityAssociations") {
				t.Errorf("problems: %v\n%s", got.Problems, got.File)
			}
			if left := strings.Contains(strings.Join(got.Notes, "\n"), "iam.podIdentityAssociations: external-dns/external-dns is left out"); left == c.refused {
				t.Errorf("notes: %v", got.Notes)
			}
		})
	}
}

// TestImportBrokenRole: the stack of a service account's role that never came to be, or is being deleted, is no role to write down.
func TestImportBrokenRole(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, fleet)
	stack := irsaStack("dev", "apps/s3")
	for _, status := range []cfntypes.StackStatus{cfntypes.StackStatusRollbackComplete, cfntypes.StackStatusDeleteInProgress} {
		w := worldOf(t, cfg)
		s := w.Stacks[stack]
		s.StackStatus, s.Outputs = status, nil
		w.Stacks[stack] = s
		got, err := draftOf(t, w).write()
		if err != nil || strings.Contains(string(got.File), "serviceAccounts") || !strings.Contains(strings.Join(got.Notes, "\n"), "apps/s3: its stack is "+string(status)) {
			t.Errorf("%s: %v %v\n%s", status, err, got.Notes, got.File)
		}
	}
}

// TestImportGiven: what a nodegroup has that no stack of eksctl's made is written so that eksctl takes it: launch templates, keys,
// disks, families of images. One that is refused is named all the same: it would go otherwise.
func TestImportGiven(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		happened func(*ekstypes.Nodegroup)
		want     []string
		note     string
		refused  bool
	}{
		"launch template": {want: []string{"launchTemplate:\n      id: lt-1\n      version: \"3\"\n"}, happened: func(n *ekstypes.Nodegroup) {
			n.LaunchTemplate = &ekstypes.LaunchTemplateSpecification{Id: aws.String("lt-1"), Version: aws.String("3")}
			n.InstanceTypes, n.DiskSize = nil, nil
		}},
		"launch template and types": {want: []string{"id: lt-1\n", "instanceTypes:\n      - m5.large\n      - m6i.large\n"}, happened: func(n *ekstypes.Nodegroup) {
			n.LaunchTemplate = &ekstypes.LaunchTemplateSpecification{Id: aws.String("lt-1"), Version: aws.String("3")}
			n.InstanceTypes = []string{"m5.large", "m6i.large"}
		}},
		"key and disk": {want: []string{"publicKeyName: ops\n", "volumeSize: 33\n"}, happened: func(n *ekstypes.Nodegroup) {
			n.RemoteAccess, n.DiskSize = &ekstypes.RemoteAccessConfig{Ec2SshKey: aws.String("ops")}, aws.Int32(33)
		}},
		"bottlerocket": {want: []string{"amiFamily: Bottlerocket\n"}, happened: func(n *ekstypes.Nodegroup) { n.AmiType = ekstypes.AMITypesBottlerocketX8664 }},
		"windows":      {want: []string{"amiFamily: WindowsServer2022CoreContainer\n"}, refused: true, happened: func(n *ekstypes.Nodegroup) { n.AmiType = ekstypes.AMITypesWindowsCore2022X8664 }},
		"own image":    {note: "its image is of its own", happened: func(n *ekstypes.Nodegroup) { n.AmiType = ekstypes.AMITypesCustom }},
		"spot":         {want: []string{"spot: true\n"}, happened: func(n *ekstypes.Nodegroup) { n.CapacityType = ekstypes.CapacityTypesSpot }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := worldOf(t, mustLoad(t, bare+"managedNodeGroups:\n- {name: theirs, instanceType: m5.large, desiredCapacity: 1}\n"))
			g := w.Groups["theirs"]
			delete(w.Stacks, clusterStack("dev"))
			delete(w.Stacks, *g.Stack.StackName)
			g.Stack, g.Recorded, g.Launch, g.Nodegroup.LaunchTemplate = nil, nil, nil, nil
			c.happened(g.Nodegroup)
			d := draftOf(t, w)
			d.made = nil
			got, err := d.write()
			if err != nil || len(got.Left) > 0 || len(got.Problems) > 0 != c.refused {
				t.Errorf("%v %v\n%s", err, got.Problems, describe(nil, plan.Plan{Changes: got.Left}))
			}
			for _, want := range c.want {
				if !strings.Contains(string(got.File), want) {
					t.Errorf("the file lacks %q:\n%s", want, got.File)
				}
			}
			if !strings.Contains(strings.Join(got.Notes, "\n"), c.note) {
				t.Errorf("notes: %v", got.Notes)
			}
		})
	}
}

// TestImportFile shows the file and what is said beside it.
func TestImportFile(t *testing.T) {
	t.Parallel()
	goldens(t, "testdata/import/*.txtar", "import", func(t *testing.T, files map[string]string) string {
		w := worldOf(t, mustLoad(t, files["before.yaml"]))
		situation := strings.TrimSpace(files["situation"])
		if situation != "recorded" {
			for _, g := range w.Groups {
				g.Recorded = nil
			}
		}
		if situation == "adopted" {
			w.Stacks, w.Templates = nil, nil
			for _, g := range w.Groups {
				g.Stack = nil
			}
		}
		d := draftOf(t, w)
		d.offers = map[string]offer{}
		for name := range w.Addons {
			d.offers[name] = offer{namespace: "kube-system"}
		}
		if situation == "adopted" {
			d.made = nil
			for i, zone := range []string{"a", "a", "b"} {
				d.subnets = append(d.subnets, ec2types.Subnet{
					SubnetId: aws.String(fmt.Sprintf("subnet-%d", i)), AvailabilityZone: aws.String("eu-west-1" + zone), MapPublicIpOnLaunch: aws.Bool(i == 2),
				})
			}
		}
		got, err := d.write()
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		out.Write(got.File)
		for _, note := range got.Notes {
			fmt.Fprintln(&out, "#", note)
		}
		for _, p := range got.Problems {
			fmt.Fprintln(&out, "!", p)
		}
		out.WriteString(describe(nil, plan.Plan{Changes: got.Left}))
		return out.String()
	})
}

// TestImportRefused: a cluster that is not there, or not yet, and a stack of its name that is somebody else's.
func TestImportRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, bare)
	_, err := r.cloud.Import(t.Context(), "dev")
	if e, ok := errors.AsType[*gitops.Error](err); !ok || !strings.Contains(e.Error(), "there is no cluster dev in eu-west-1") || !strings.Contains(e.Try, "list-clusters") {
		t.Errorf("nothing there: %v", err)
	}
	cfg := mustLoad(t, bare)
	for want, happened := range map[string]func(*world){
		"is CREATING":        func(w *world) { w.Cluster.Status = ekstypes.ClusterStatusCreating },
		"does not carry the": func(w *world) { w.Strangers[clusterStack("dev")] = true },
	} {
		w := worldOf(t, cfg)
		happened(w)
		if err := cfg.importable(w); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestImportTellsSettings: what changes in place on the Auto Scaling group of a self-managed nodegroup is written, too, when nothing recorded it.
func TestImportTellsSettings(t *testing.T) {
	t.Parallel()
	r := newRig(t, bare+`nodeGroups:
- {name: plain, instanceType: m5.large, desiredCapacity: 1}
- {name: several, desiredCapacity: 1, maxInstanceLifetime: 86400, asgMetricsCollection: [{granularity: 1Minute, metrics: [GroupMinSize]}], instancesDistribution: {instanceTypes: [m6i.large, m5.large], onDemandBaseCapacity: 1, onDemandPercentageAboveBaseCapacity: 0}}
`)
	r.converge()
	r.reboot()
	cfg, _ := blank("dev", "eu-west-1")
	w, err := r.cloud.sweep(t.Context(), cfg, true)
	r.does(err)
	w = forgotten(w)
	d := newDraft(cfg, w)
	r.does(r.cloud.lookInto(t.Context(), d))
	got, err := d.write()
	if err != nil || len(got.Left) > 0 || len(got.Problems) > 0 {
		t.Fatalf("%v %v\n%s", err, got.Problems, describe(nil, plan.Plan{Changes: got.Left}))
	}
	_, groups, _ := strings.Cut(string(got.File), "name: several\n")
	for _, want := range []string{"maxInstanceLifetime: 86400", "metrics:\n          - GroupMinSize", "instanceTypes:\n        - m6i.large\n        - m5.large", "onDemandBaseCapacity: 1", "onDemandPercentageAboveBaseCapacity: 0"} {
		if !strings.Contains(groups, want) {
			t.Errorf("want %q in\n%s", want, groups)
		}
	}
	if plain, _, _ := strings.Cut(string(got.File), "name: several\n"); strings.Contains(plain, "maxInstanceLifetime") || strings.Contains(plain, "asgMetrics") || strings.Contains(plain, distribution) {
		t.Errorf("a group without settings has some:\n%s", plain)
	}
}
