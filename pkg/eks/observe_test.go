package eks

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	gocmp "github.com/google/go-cmp/cmp"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"go.yaml.in/yaml/v3"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

const issuerURL = "https://oidc.eks.eu-west-1.amazonaws.com/id/ABC"

// worldOf is a world in which everything of a config is live as the config says: what AWS would show after creation.
func worldOf(t *testing.T, cfg *Config) *world {
	t.Helper()
	w := newWorld()
	w.Account, w.Partition, w.Provider = "111122223333", "aws", api.IsEnabled(cfg.full.IAM.WithOIDC)
	version := cfg.full.Metadata.Version
	tags := map[string]string{api.ClusterNameTag: cfg.Name, "Name": "eksctl-dev-cluster/ControlPlane", "costcenter": "company"}
	for k, v := range cfg.full.Metadata.Tags {
		tags[k] = v
	}
	w.Cluster = &ekstypes.Cluster{
		Name: &cfg.Name, Arn: aws.String("arn:aws:eks:eu-west-1:111122223333:cluster/" + cfg.Name), Version: &version, Status: ekstypes.ClusterStatusActive, Tags: tags,
		Endpoint: aws.String("https://api.example"), CertificateAuthority: &ekstypes.Certificate{Data: aws.String("Q0E=")}, RoleArn: aws.String("arn:role"),
		Identity: &ekstypes.Identity{Oidc: &ekstypes.OIDC{Issuer: aws.String(issuerURL)}},
		ResourcesVpcConfig: &ekstypes.VpcConfigResponse{
			VpcId: aws.String("vpc-1"), ClusterSecurityGroupId: aws.String("sg-1"), PublicAccessCidrs: append([]string{}, orAnywhere(cfg.full.VPC.PublicAccessCIDRs)...),
			EndpointPublicAccess: aws.ToBool(cfg.full.VPC.ClusterEndpoints.PublicAccess), EndpointPrivateAccess: aws.ToBool(cfg.full.VPC.ClusterEndpoints.PrivateAccess),
		},
		KubernetesNetworkConfig: &ekstypes.KubernetesNetworkConfigResponse{IpFamily: ekstypes.IpFamilyIpv4, ServiceIpv4Cidr: aws.String("10.100.0.0/16")},
	}
	w.Cluster.AccessConfig = &ekstypes.AccessConfigResponse{AuthenticationMode: cfg.full.AccessConfig.AuthenticationMode}
	if z := cfg.full.ZonalShiftConfig; z != nil {
		w.Cluster.ZonalShiftConfig = &ekstypes.ZonalShiftConfigResponse{Enabled: z.Enabled}
	}
	if key := cfg.full.SecretsEncryption; key != nil {
		w.Cluster.EncryptionConfig = []ekstypes.EncryptionConfig{{Provider: &ekstypes.Provider{KeyArn: &key.KeyARN}}}
	}
	if cfg.full.HasClusterCloudWatchLogging() {
		w.Cluster.Logging = cfg.logging()
		w.Retention = aws.Int32(int32(cfg.retention()))
	}
	stackIn(w, cfg, clusterStack(cfg.Name), mergeTags(cfg.full.Metadata.Tags, map[string]string{api.ClusterOIDCEnabledTag: "true"}), map[string]string{
		"SubnetsPrivate": "subnet-a,subnet-b", "SubnetsPublic": "subnet-c,subnet-d",
	}, nil)
	for _, g := range cfg.nodegroups() {
		groupIn(w, cfg, g, g.name, 1)
	}
	for _, a := range cfg.addons() {
		live := &ekstypes.Addon{AddonName: aws.String(a.want.Name), AddonVersion: aws.String("v1.2.3-eksbuild.1"), Status: ekstypes.AddonStatusActive}
		live.NamespaceConfig = &ekstypes.AddonNamespaceConfigResponse{Namespace: aws.String("kube-system")}
		if a.want.Version != "" {
			live.AddonVersion = aws.String(a.want.Version)
		}
		if a.want.ConfigurationValues != "" {
			live.ConfigurationValues = aws.String(a.want.ConfigurationValues)
		}
		w.Addons[a.want.Name] = live
	}
	w.Accounts = map[string]serviceAccount{}
	for _, sa := range cfg.full.IAM.ServiceAccounts {
		r, err := cfg.accountRole(w, sa)
		roleIn(t, w, cfg, r, err)
		w.Accounts[sa.NameString()] = serviceAccount{Found: true, Annotations: map[string]string{api.AnnotationEKSRoleARN: "arn:" + r.stack}}
	}
	for i := range cfg.full.IAM.PodIdentityAssociations {
		p := &cfg.full.IAM.PodIdentityAssociations[i]
		if p.RoleARN != "" {
			w.Associations[p.NameString()] = &ekstypes.PodIdentityAssociation{Namespace: &p.Namespace, ServiceAccount: &p.ServiceAccountName, RoleArn: &p.RoleARN}
			continue
		}
		r, err := cfg.podRole(p)
		roleIn(t, w, cfg, r, err)
		w.Associations[p.NameString()] = &ekstypes.PodIdentityAssociation{Namespace: &p.Namespace, ServiceAccount: &p.ServiceAccountName, RoleArn: aws.String("arn:" + r.stack)}
	}
	accessIn(t, w, cfg)
	return w
}

// accessIn puts the access entries, identity mappings, Fargate profiles and identity providers of the config into the world.
func accessIn(t *testing.T, w *world, cfg *Config) {
	t.Helper()
	w.Auth = &authState{Data: map[string]string{}}
	for _, m := range cfg.full.IAMIdentityMappings {
		l := listOf(mappingName(m))
		err := l.edit(w.Auth.Data, func(list *yaml.Node) error {
			l.set(list, mappingName(m), m.Username, m.Groups)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range cfg.full.AccessConfig.AccessEntries {
		e := &cfg.full.AccessConfig.AccessEntries[i]
		o, err := cfg.renderEntry(e)
		if err != nil {
			t.Fatal(err)
		}
		template, err := parseTree(o.body)
		if err != nil {
			t.Fatal(err)
		}
		principal := e.PrincipalARN.String()
		stackIn(w, cfg, o.name, nil, nil, template)
		live := &accessEntry{AccessEntry: &ekstypes.AccessEntry{
			PrincipalArn: &principal, Type: aws.String(cmp.Or(e.Type, standardEntry)), KubernetesGroups: e.KubernetesGroups,
			Username: aws.String(cmp.Or(e.KubernetesUsername, defaultUsername(e.PrincipalARN))),
		}}
		for _, p := range e.AccessPolicies {
			live.Policies = append(live.Policies, ekstypes.AssociatedAccessPolicy{
				PolicyArn: aws.String(p.PolicyARN.String()), AccessScope: &ekstypes.AccessScope{Type: p.AccessScope.Type, Namespaces: p.AccessScope.Namespaces},
			})
		}
		w.Entries[principal] = live
	}
	for _, p := range cfg.full.FargateProfiles {
		live := &ekstypes.FargateProfile{
			FargateProfileName: &p.Name, Status: ekstypes.FargateProfileStatusActive, PodExecutionRoleArn: aws.String(cmp.Or(cfg.profileRole(p), "arn:pods")),
			Subnets: append([]string{}, p.Subnets...), Tags: withTag(p.Tags, tagMade, cfg.Name),
		}
		for _, s := range p.Selectors {
			live.Selectors = append(live.Selectors, ekstypes.FargateProfileSelector{Namespace: &s.Namespace, Labels: s.Labels})
		}
		w.Profiles[p.Name] = live
	}
	for i := range cfg.full.Capabilities {
		capabilityIn(t, w, cfg, &cfg.full.Capabilities[i])
	}
	for _, name := range cfg.logins() {
		p, _ := cfg.login(name)
		w.Logins[name] = &ekstypes.OidcIdentityProviderConfig{
			IdentityProviderConfigName: &p.Name, Status: ekstypes.ConfigStatusActive, IssuerUrl: &p.IssuerURL, ClientId: &p.ClientID,
			RequiredClaims: p.RequiredClaims, Tags: withTag(p.Tags, tagMade, cfg.Name),
		}
	}
}

func orAnywhere(cidrs []string) []string {
	if len(cidrs) == 0 {
		return []string{"0.0.0.0/0"}
	}
	return cidrs
}

func mergeTags(maps ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, m := range maps {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

func stackIn(w *world, cfg *Config, name string, tags, outputs map[string]string, template gitops.Tree) *cfntypes.Stack {
	s := cfntypes.Stack{StackName: &name, StackId: aws.String("arn:stack/" + name), StackStatus: cfntypes.StackStatusCreateComplete, CreationTime: aws.Time(time.Unix(1_700_000_000+int64(len(w.Stacks)), 0))}
	for k, v := range mergeTags(tags, map[string]string{api.ClusterNameTag: cfg.Name}) {
		s.Tags = append(s.Tags, cfntypes.Tag{Key: aws.String(k), Value: aws.String(v)})
	}
	for k, v := range outputs {
		s.Outputs = append(s.Outputs, cfntypes.Output{OutputKey: aws.String(k), OutputValue: aws.String(v)})
	}
	w.Stacks[name] = s
	if template != nil {
		w.Templates[name] = template
	}
	return &s
}

func roleIn(t *testing.T, w *world, cfg *Config, r role, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	template, err := r.template()
	if err != nil {
		t.Fatal(err)
	}
	stackIn(w, cfg, r.stack, r.tags, map[string]string{roleOutput: "arn:" + r.stack}, template)
}

// groupIn puts a nodegroup of the config into the world under a name of its own, with nodes in service.
func groupIn(w *world, cfg *Config, g nodegroup, name string, size int32) *group {
	base := g.base()
	if base.DesiredCapacity != nil {
		size = int32(*base.DesiredCapacity)
	}
	lo, hi, now := size, size, size
	for _, s := range []struct {
		from *int
		to   *int32
	}{{base.MinSize, &lo}, {base.MaxSize, &hi}, {base.DesiredCapacity, &now}} {
		if s.from != nil {
			*s.to = int32(*s.from)
		}
	}
	kind := api.NodeGroupTypeManaged
	if g.self != nil {
		kind = api.NodeGroupTypeUnmanaged
	}
	recorded := cfg.wantedGroup(g)
	stack := stackIn(w, cfg, nodegroupStack(cfg.Name, name), map[string]string{
		tagNodegroup: name, tagUserName: g.name, api.NodeGroupTypeTag: string(kind),
	}, nil, gitops.Tree{"Metadata": gitops.Tree{tagUserName: recorded}})
	scaling := &astypes.AutoScalingGroup{AutoScalingGroupName: aws.String("asg-" + name), MinSize: &lo, MaxSize: &hi, DesiredCapacity: &now}
	for i := range now {
		scaling.Instances = append(scaling.Instances, astypes.Instance{InstanceId: aws.String(fmt.Sprintf("i-%s-%d", name, i)), LifecycleState: astypes.LifecycleStateInService})
	}
	for k, v := range gitops.StringsAt(recorded, "tags") {
		scaling.Tags = append(scaling.Tags, astypes.TagDescription{Key: aws.String(k), Value: aws.String(v)})
	}
	small := machine{VCPUs: 2, MemoryMiB: 8192, Architectures: []string{"x86_64"}}
	out := &group{
		Name: name, User: g.name, Managed: g.managed != nil, Stack: stack, Scaling: scaling, Recorded: recorded,
		Machines: map[string]machine{"m5.large": small, "c6i.large": small},
	}
	kindOf := base.InstanceType
	if kindOf == "" {
		kindOf = api.DefaultNodeType
	}
	if g.managed != nil {
		out.Nodegroup = &ekstypes.Nodegroup{
			NodegroupName: aws.String(name), NodegroupArn: aws.String("arn:ng/" + name), Status: ekstypes.NodegroupStatusActive, Version: w.Cluster.Version,
			InstanceTypes: g.managed.InstanceTypeList(), AmiType: ekstypes.AMITypesAl2023X8664Standard, CapacityType: ekstypes.CapacityTypesOnDemand,
			ScalingConfig: &ekstypes.NodegroupScalingConfig{MinSize: &lo, MaxSize: &hi, DesiredSize: &now}, Labels: mergeTags(base.Labels), Tags: mergeTags(base.Tags, cfg.full.Metadata.Tags),
		}
		if out.Nodegroup.InstanceTypes == nil || out.Nodegroup.InstanceTypes[0] == "" {
			out.Nodegroup.InstanceTypes = []string{kindOf}
		}
		if template := g.managed.LaunchTemplate; template != nil {
			out.Nodegroup.LaunchTemplate = &ekstypes.LaunchTemplateSpecification{Id: &template.ID, Version: template.Version}
		}
		for _, taint := range g.managed.Taints {
			out.Nodegroup.Taints = append(out.Nodegroup.Taints, ekstypes.Taint{Key: aws.String(taint.Key), Value: aws.String(taint.Value), Effect: ekstypes.TaintEffectNoSchedule})
		}
	} else {
		setScaling(scaling, g.self)
		out.Launch = &ec2types.ResponseLaunchTemplateData{InstanceType: ec2types.InstanceType(kindOf)}
	}
	w.Groups[name] = out
	return out
}

// situations are what may have happened to a world that was as git says; the golden files bring the git that is compared.
func situations() map[string]func(*Config, *world) {
	return map[string]func(*Config, *world){
		"converged": func(*Config, *world) {},
		"nothing-there": func(_ *Config, w *world) {
			*w = *newWorld()
		},
		"drift": func(_ *Config, w *world) {
			w.Groups["system"].Nodegroup.ScalingConfig.DesiredSize = aws.Int32(9)
			w.Groups["system"].Nodegroup.ScalingConfig.MaxSize = aws.Int32(9)
			w.Groups["system"].Nodegroup.Labels["surprise"] = "x"
			w.Groups["batch"].Scaling.DesiredCapacity = aws.Int32(0)
			w.Cluster.ResourcesVpcConfig.PublicAccessCidrs = []string{"0.0.0.0/0"}
			w.Cluster.Tags["team"] = "other"
			w.Addons["coredns"].ConfigurationValues = aws.String(`{"replicaCount": 1}`)
			delete(w.Addons, "metrics-server")
			w.Provider = false
			delete(w.Associations, "external-dns/external-dns")
			w.Accounts["apps/s3"] = serviceAccount{Found: true, Annotations: map[string]string{api.AnnotationEKSRoleARN: "arn:elsewhere"}}
		},
		"adopted": func(_ *Config, w *world) {
			// What eksctl made carries no mark of ours, and its stacks record nothing.
			for name, g := range w.Groups {
				g.Recorded = nil
				s := *g.Stack
				s.Tags = slices.DeleteFunc(slices.Clone(s.Tags), func(t cfntypes.Tag) bool { return *t.Key == tagUserName })
				g.Stack = &s
				w.Stacks["eksctl-dev-nodegroup-"+name] = s
			}
		},
		"litter": func(cfg *Config, w *world) {
			want, _ := cfg.nodegroup("system")
			groupIn(w, cfg, want, "system-12345", 1).Stack.StackStatus = cfntypes.StackStatusRollbackComplete
		},
		"git-changed": func(*Config, *world) {},
		"replace":     func(*Config, *world) {},
		"to-self":     func(*Config, *world) {},
		"upgrade":     func(*Config, *world) {},
		"upgrade-rounds": func(_ *Config, w *world) {
			w.Groups["system"].Nodegroup.Version = aws.String("1.32")
			w.Groups["batch"].Recorded = with(w.Groups["batch"].Recorded, "version", "1.33")
		},
		"upgrade-nodes-first": func(_ *Config, w *world) { w.Groups["system"].Nodegroup.Version = aws.String("1.31") },
		"upgrade-blocked":     blockUpgrade,
		"downgrade":           func(*Config, *world) {},
		"removed":             func(_ *Config, w *world) { w.Addons["aws-ebs-csi-driver"].Tags = map[string]string{tagMade: "dev"} },
		"foreign-stack": func(cfg *Config, w *world) {
			delete(w.Stacks, clusterStack(cfg.Name))
			w.Strangers[clusterStack(cfg.Name)] = true
		},
		"foreign-made": func(cfg *Config, w *world) { delete(w.Stacks, clusterStack(cfg.Name)) },
		"foreign-group": func(_ *Config, w *world) {
			w.Groups["system"].Stack = nil
			delete(w.Stacks, "eksctl-dev-nodegroup-system")
		},
		"immutable":       func(*Config, *world) {},
		"launch-template": func(*Config, *world) {},
		"cluster-coming": func(cfg *Config, w *world) {
			stack := w.Stacks[clusterStack(cfg.Name)]
			stack.StackStatus = cfntypes.StackStatusCreateInProgress
			*w = *newWorld()
			w.Stacks[clusterStack(cfg.Name)] = stack
		},
		"stack-failed": func(cfg *Config, w *world) {
			stack := w.Stacks[clusterStack(cfg.Name)]
			stack.StackStatus = cfntypes.StackStatusRollbackComplete
			*w = *newWorld()
			w.Stacks[clusterStack(cfg.Name)] = stack
		},
		"cluster-lost": func(_ *Config, w *world) { w.Cluster = nil },
		"replacing":    nil, "reverted": nil, "old-leaving": nil, "teardown": nil,
	}
}

// with is a tree with another value for a field.
func with(t gitops.Tree, field string, v any) gitops.Tree {
	out := gitops.Clone(t)
	out[field] = v
	return out
}

// blockUpgrade brings everything that may stand against an upgrade.
func blockUpgrade(_ *Config, w *world) {
	looked := time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC)
	old := w.Groups["system"].Nodegroup
	old.Version, old.ReleaseVersion, old.ModifiedAt = aws.String("1.32"), aws.String("1.32.5-20250101"), aws.Time(looked.Add(time.Hour))
	w.Addons["snapshot-controller"] = &ekstypes.Addon{AddonName: aws.String("snapshot-controller"), AddonVersion: aws.String("v8.0.0-eksbuild.1"), Status: ekstypes.AddonStatusActive}
	w.Burdens = map[string]burden{"batch": {Counted: true, Load: plan.Load{Pods: make([]plan.Pod, 12), Budgets: []string{"PodDisruptionBudget shop/web allows 0 disruptions now (2 healthy pods, 2 needed), and covers web-1, web-2"}}}}
	w.Free = map[string]int{}
	w.Preflight = &preflight{
		Addons: map[string][]addonVersion{
			"coredns":             {{Version: "v1.2.3-eksbuild.1", Minors: []int{34, 35}}, {Version: "v1.3.0-eksbuild.1", Minors: []int{34, 35, 36}}, {Version: "v1.4.0-eksbuild.1", Minors: []int{36}, Defaults: []int{36}}},
			"aws-ebs-csi-driver":  {{Version: "v1.50.1-eksbuild.1", Minors: []int{34}}, {Version: "v1.60.0-eksbuild.1", Minors: []int{35, 36}}, {Version: "v1.61.0-eksbuild.1", Minors: []int{36}}},
			"snapshot-controller": {{Version: "v8.0.0-eksbuild.1", Minors: []int{34}}, {Version: "v8.2.0-eksbuild.1", Minors: []int{35, 36}}},
			"metrics-server":      {{Version: "v1.2.3-eksbuild.1", Minors: []int{34}}},
		},
		Insights: []insight{
			{Name: "Cluster health issues", Status: "ERROR", Reason: "It is not healthy.", Recommendation: "Make it healthy.", Minor: 35, Refreshed: looked},
			{Name: "Deprecated APIs removed in Kubernetes v1.38", Status: "ERROR", Reason: "Clients use it.", Minor: 38, Refreshed: looked},
			{Name: "EKS add-on version compatibility", Status: "WARNING", Reason: "Some do not fit.", Minor: 35, Refreshed: looked},
			{Name: "Kubelet version skew", Status: "ERROR", Reason: "Nodes are too old.", Minor: 35, Refreshed: looked, Resources: []string{"arn:ng/system"}},
			{Name: "kube-proxy version skew", Status: "ERROR", Reason: "Two are too old.", Minor: 35, Refreshed: looked, Resources: []string{"arn:ng/system", "arn:other"}},
		},
		Kubelets: map[string]string{"i-system-0": "v1.32.5-eks-1", "i-batch-0": "v1.34.1-eks-1", "i-karpenter": "v1.31.0-eks-1"},
		Written: []plan.Written{{
			Removal: plan.Removal{APIVersion: "storagemigration.k8s.io/v1alpha1", Removed: 36, Instead: "storagemigration.k8s.io/v1beta1", Since: 35},
			Ref:     gitops.Ref{Domain: gitops.K8s, Group: "storagemigration.k8s.io", Kind: "StorageVersionMigration", Name: "all"}, Manager: "helm", At: "2026-10-01T08:00:00Z",
		}},
		Unknown: []string{"what nobody could read could not be read: forbidden"},
	}
}

// TestObserve compares git with worlds, and shows the plan that comes of it. Every file has the ClusterConfig that was
// applied (before.yaml) and, where git changed since, the one that is compared (after.yaml).
func TestObserve(t *testing.T) {
	t.Parallel()
	goldens(t, "testdata/observe/*.txtar", "plan", func(t *testing.T, files map[string]string) string {
		before := mustLoad(t, files["before.yaml"])
		after := before
		if body, ok := files["after.yaml"]; ok {
			after = mustLoad(t, body)
		}
		w := worldOf(t, before)
		name := strings.TrimSpace(files["situation"])
		switch name {
		case "replacing", "reverted", "old-leaving":
			want, _ := after.nodegroup("system")
			successor := after.nextName(w, want, []*group{w.Groups["system"]})
			groupIn(w, after, want, successor, 1)
			if name == "old-leaving" {
				w.Groups["system"].Stack.StackStatus = cfntypes.StackStatusDeleteInProgress
			}
			if name == "reverted" {
				after = before
			}
		case "teardown":
		default:
			happened, ok := situations()[name]
			if !ok {
				t.Fatalf("situation %q is not known", name)
			}
			happened(before, w)
		}
		after = after.paced(w)
		seen := after.observe(w, name == "teardown")
		return describe(seen, plan.Build(plan.Input{Desired: gitops.Desired{Cluster: after.Name}, Observed: seen}))
	})
}

func mustLoad(t testing.TB, body string) *Config {
	t.Helper()
	cfg, problems := load([]byte(body))
	for _, p := range problems {
		t.Error(p)
	}
	if cfg == nil {
		t.FailNow()
	}
	return cfg
}

// describe shows a plan as lines: action, ref, position, why, the observation's needs, then its edits.
func describe(seen gitops.Observed, p plan.Plan) string {
	var out strings.Builder
	for _, problem := range p.Problems {
		fmt.Fprintln(&out, "!", problem.Error())
		if problem.Reason == gitops.UpgradeBlocked {
			fmt.Fprintln(&out, "    try:", problem.Try)
		}
	}
	changes := slices.Clone(p.Changes)
	slices.SortFunc(changes, func(a, b plan.Change) int { return a.Ref.Compare(b.Ref) })
	for _, c := range changes {
		fmt.Fprintf(&out, "%s %s (%s)", c.Action.Symbol(), c.Ref.Label(), c.From.Position)
		if c.Why != "" {
			fmt.Fprintf(&out, " # %s", c.Why)
		}
		if c.Hold != nil {
			fmt.Fprintf(&out, " held: %s (approvable: %v)", c.Hold.Why, c.Hold.Approvable)
		}
		fmt.Fprintln(&out)
		if c.Action == plan.Delete {
			for _, n := range seen[c.Ref].Needs {
				fmt.Fprintf(&out, "    after %s\n", n.Label())
			}
		}
		for _, e := range c.Edits {
			fmt.Fprintf(&out, "    %s: %s -> %s\n", e.Path, compact(e.Before), compact(e.After))
		}
	}
	fmt.Fprintf(&out, "%d unchanged\n", p.Unchanged)
	return out.String()
}

func compact(v any) string {
	body, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

// TestAttachedRoleOnly: nothing is to be made for a role of others that no service account is to be pointed at.
func TestAttachedRoleOnly(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, bare+`iam:
  withOIDC: true
  serviceAccounts: [{metadata: {name: s3, namespace: apps}, attachRoleARN: "arn:aws:iam::111122223333:role/s3", roleOnly: true}]
`)
	if p := build(cfg.observe(worldOf(t, cfg), false)); len(p.Changes) > 0 || !p.Complete {
		t.Errorf("%s", describe(nil, p))
	}
}

// TestLocks: each change says what takes one operation at a time; what shares a lock with another is of the same cluster.
func TestLocks(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, fleet+"fargateProfiles: [{name: all, selectors: [{namespace: apps}]}]\n")
	got := map[string]string{}
	for _, c := range build(cfg.observe(newWorld(), false)).Changes {
		got[c.Ref.Label()] = c.Lock
	}
	want := map[string]string{
		"Cluster dev": "cluster dev", "IdentityProvider oidc": "", "Nodegroup system": "nodegroup system", "Nodegroup batch": "nodegroup batch",
		"Addon vpc-cni": "addon vpc-cni", "Addon coredns": "addon coredns", "Addon kube-proxy": "addon kube-proxy", "Addon metrics-server": "addon metrics-server",
		"Addon eks-pod-identity-agent": "addon eks-pod-identity-agent", "FargateProfile all": "Fargate profiles of dev",
		"ServiceAccount apps/s3":                           "stack eksctl-dev-addon-iamserviceaccount-apps-s3",
		"PodIdentityAssociation external-dns/external-dns": "stack eksctl-dev-podidentityrole-external-dns-external-dns",
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for kind, want := range map[string]string{
		KindIdentityProviderConfig: "cluster dev", KindIdentityMapping: "ConfigMap kube-system/aws-auth", KindStack: "stack x", KindCapability: "capability x", KindAccessEntry: "stack " + entryStack("dev", "x"),
	} {
		if lock := cfg.lockOf(cfg.ref(kind, "x")); lock != want {
			t.Errorf("%s: %q, want %q", kind, lock, want)
		}
	}
}

// TestMinutes: every change says how long such changes usually take, whatever it does.
func TestMinutes(t *testing.T) {
	t.Parallel()
	before := mustLoad(t, fleet+"fargateProfiles: [{name: all, selectors: [{namespace: apps}]}]\n")
	got := map[string]int{}
	told := func(p plan.Plan) {
		for _, c := range p.Changes {
			if c.Minutes == 0 {
				t.Errorf("%s %s says no time", c.Action, c.Ref.Label())
			}
			got[string(c.Action)+" "+c.Ref.Kind] = c.Minutes
		}
	}
	told(build(before.observe(newWorld(), false)))
	told(build(before.observe(worldOf(t, before), true)))
	told(build(mustLoad(t, strings.Replace(fleet, "desiredCapacity: 2", "desiredCapacity: 3", 1)).observe(worldOf(t, mustLoad(t, fleet)), false)))
	want := map[string]int{
		"create Cluster": 12, "delete Cluster": 10, "create Nodegroup": 5, "delete Nodegroup": 4, "update Nodegroup": 3, "create Addon": 1, "delete Addon": 1,
		"create FargateProfile": 2, "delete FargateProfile": 2, "create ServiceAccount": 1, "delete ServiceAccount": 1,
		"create PodIdentityAssociation": 1, "delete PodIdentityAssociation": 1, "create IdentityProvider": 1, "delete IdentityProvider": 1,
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
