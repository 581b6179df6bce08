package eksctl_test

import (
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	awseks "github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/kris-nova/logger"
	"github.com/weaveworks/eksctl/pkg/actions/accessentry"
	"github.com/weaveworks/eksctl/pkg/actions/addon"
	"github.com/weaveworks/eksctl/pkg/actions/nodegroup"
	"github.com/weaveworks/eksctl/pkg/actions/podidentityassociation"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/cfn/manager"
	"github.com/weaveworks/eksctl/pkg/cfn/waiter"
	"github.com/weaveworks/eksctl/pkg/ctl/cmdutils"
	eksctl "github.com/weaveworks/eksctl/pkg/eks"
	"github.com/weaveworks/eksctl/pkg/fargate"
	"github.com/weaveworks/eksctl/pkg/utils/tasks"
	"github.com/weaveworks/eksctl/pkg/vpc"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
)

const file = `
apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: c1, region: us-west-2, version: "1.34", tags: {team: a}}
availabilityZones: [us-west-2a, us-west-2b]
vpc: {clusterEndpoints: {publicAccess: true, privateAccess: true}}
cloudWatch: {clusterLogging: {enableTypes: [audit]}}
accessConfig: {authenticationMode: API_AND_CONFIG_MAP}
managedNodeGroups:
- {name: mng, instanceType: m5.large, minSize: 1, maxSize: 3, desiredCapacity: 2, labels: {role: web}, taints: [{key: t, value: v, effect: NoSchedule}]}
nodeGroups:
- {name: ng, instanceType: m5.large, minSize: 1, maxSize: 2, desiredCapacity: 1}
`

// session is an eksctl that works against a simulator in which time flies.
type session struct {
	t      *testing.T
	sim    *simtest.Sim
	config *api.ClusterConfig
	ctl    *eksctl.ClusterProvider
	stacks manager.StackManager
	eks    *awseks.Client
}

// TestMain sets what is global in eksctl: its log, and how often it asks whether a stack is complete.
func TestMain(m *testing.M) {
	logger.Writer = io.Discard
	waiter.ClusterCreationNextDelay = func(int) time.Duration { return 20 * time.Millisecond }
	os.Exit(m.Run())
}

func newSession(t *testing.T) *session {
	t.Helper()
	o := aws.Options{}
	o.World.Seed = 11
	// What eksctl waits for by asking first and then sleeping half a minute is done at once.
	o.World.Durations = map[string]time.Duration{}
	for _, name := range []string{
		"cloudformation.start", "cloudformation.resource", "cloudformation.changeset", "iam.propagation", "iam.role.stack", "iam.profile.stack", "iam.policy.stack",
		"autoscaling.evaluate", "ec2.instance.launch", "ec2.instance.terminate",
		"eks.cluster.config", "eks.cluster.version", "eks.addon.create", "eks.addon.update", "eks.nodegroup.create", "eks.nodegroup.config",
	} {
		o.World.Durations[name] = 0
	}
	s := &session{t: t, sim: simtest.Start(t, o)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.tick(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	key := aws.DefaultKey()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": s.sim.URL, "AWS_REGION": "us-west-2", "AWS_ACCESS_KEY_ID": key.AccessKey, "AWS_SECRET_ACCESS_KEY": key.Secret,
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_PROFILE": "",
	} {
		t.Setenv(name, value)
	}
	s.eks = awseks.NewFromConfig(s.sim.Config())
	s.load(file)
	return s
}

// tick lets time pass in the world until ctx is done, an hour in a second.
func (s *session) tick(ctx context.Context) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			s.sim.Clock.Move(36 * time.Second)
			if err := s.sim.World.Advance(); err != nil {
				return err
			}
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// load reads a ClusterConfig as eksctl's commands do.
func (s *session) load(text string) {
	s.t.Helper()
	must(s.t, api.Register())
	config, err := eksctl.ParseConfig([]byte(text))
	must(s.t, err)
	if config.VPC == nil {
		config.VPC = api.NewClusterVPC(false)
	}
	if config.VPC.CIDR == nil {
		defaults := api.NewClusterVPC(false)
		defaults.ClusterEndpoints = config.VPC.ClusterEndpoints
		config.VPC = defaults
	}
	cmd := &cmdutils.Cmd{ClusterConfig: config, ProviderConfig: api.ProviderConfig{Region: "us-west-2", WaitTimeout: 2 * time.Minute}, Validate: true}
	s.ctl, err = cmd.NewCtl()
	must(s.t, err)
	s.config, s.stacks = config, s.ctl.NewStackManager(config)
}

// create makes the cluster with its node groups by eksctl's own tasks.
func (s *session) create() {
	s.t.Helper()
	ctx := s.t.Context()
	_, err := eksctl.SetAvailabilityZones(ctx, s.config, s.config.AvailabilityZones, s.ctl.AWSProvider.EC2(), "us-west-2")
	must(s.t, err)
	must(s.t, vpc.SetSubnets(s.config.VPC, s.config.AvailabilityZones, nil))
	service := eksctl.NewNodeGroupService(s.ctl.AWSProvider, nil, nil)
	must(s.t, service.Normalize(ctx, nodePools(s.config), s.config))
	creator := &accessentry.Creator{ClusterName: "c1", StackCreator: s.stacks}
	// Node groups need to know the cluster, as they do when eksctl's own tasks have waited for it.
	know := &tasks.GenericTask{Description: "know the cluster", Doer: func() error { return s.ctl.RefreshClusterStatus(ctx, s.config) }}
	tree := s.stacks.NewTasksToCreateCluster(ctx, s.config.NodeGroups, s.config.ManagedNodeGroups, s.config.AccessConfig, creator, 8, know)
	done := make(chan []error, 1)
	go func() { done <- tree.DoAllSync() }() // eksctl waits without end; this test does not
	select {
	case errs := <-done:
		if len(errs) > 0 {
			s.explain()
			s.t.Fatal(errs)
		}
	case <-time.After(time.Minute):
		s.explain()
		s.t.Fatal("the stacks are not complete after a minute")
	}
	must(s.t, s.ctl.RefreshClusterStatus(ctx, s.config))
}

func nodePools(c *api.ClusterConfig) []api.NodePool {
	var out []api.NodePool
	for _, g := range c.NodeGroups {
		out = append(out, g)
	}
	for _, g := range c.ManagedNodeGroups {
		out = append(out, g)
	}
	return out
}

// explain logs what stacks said went wrong.
func (s *session) explain() {
	client := cloudformation.NewFromConfig(s.sim.Config())
	list, err := client.DescribeStacks(s.t.Context(), &cloudformation.DescribeStacksInput{})
	must(s.t, err)
	for _, st := range list.Stacks {
		events, err := client.DescribeStackEvents(s.t.Context(), &cloudformation.DescribeStackEventsInput{StackName: st.StackId})
		must(s.t, err)
		for _, e := range events.StackEvents {
			if !strings.HasSuffix(string(e.ResourceStatus), "COMPLETE") {
				s.t.Logf("%s: %s %s %s", *st.StackName, *e.LogicalResourceId, e.ResourceStatus, sdk.ToString(e.ResourceStatusReason))
			}
		}
	}
}

func (s *session) nodegroup(name string) *ekstypes.Nodegroup {
	s.t.Helper()
	out, err := s.eks.DescribeNodegroup(s.t.Context(), &awseks.DescribeNodegroupInput{ClusterName: sdk.String("c1"), NodegroupName: &name})
	must(s.t, err)
	return out.Nodegroup
}

// running counts the instances of a node group, managed or not.
func (s *session) running(tag, name string) int {
	s.t.Helper()
	out, err := awsec2.NewFromConfig(s.sim.Config()).DescribeInstances(s.t.Context(), &awsec2.DescribeInstancesInput{})
	must(s.t, err)
	n := 0
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			for _, t := range i.Tags {
				if *t.Key == tag && *t.Value == name && i.State.Name == "running" {
					n++
				}
			}
		}
	}
	return n
}

// eventually waits for what the world settles by itself.
func (s *session) eventually(what string, done func() bool) {
	s.t.Helper()
	deadline := time.After(30 * time.Second)
	for !done() {
		select {
		case <-deadline:
			s.t.Fatalf("%s does not come about", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// TestEksctl is the life of a cluster, step by step.
func TestEksctl(t *testing.T) {
	s := newSession(t)
	for _, step := range []struct {
		name string
		run  func()
	}{
		{"creates a cluster", s.createsCluster},
		{"scales node groups", s.scalesNodegroups},
		{"configures the cluster one aspect at a time", s.configures},
		{"manages add-ons", s.managesAddons},
		{"manages access entries", s.managesEntries},
		{"manages pod identity associations", s.managesAssociations},
		{"manages Fargate profiles", s.managesProfiles},
		{"upgrades the control plane", s.upgrades},
		{"upgrades a node group", s.upgradesNodegroup},
		{"deletes everything", s.deletesAll},
	} {
		if !t.Run(step.name, func(t *testing.T) {
			before := s.t
			s.t = t
			defer func() { s.t = before }()
			step.run()
		}) {
			return // what comes after builds on this step
		}
	}
}

func (s *session) createsCluster() {
	t := s.t
	s.create()
	c := s.ctl.Status.ClusterInfo.Cluster
	if c.Status != ekstypes.ClusterStatusActive || *c.Version != "1.34" || c.Tags["team"] != "a" || !c.ResourcesVpcConfig.EndpointPrivateAccess {
		t.Errorf("cluster is %s at %s, tags %v", c.Status, *c.Version, c.Tags)
	}
	g := s.nodegroup("mng")
	if g.Status != ekstypes.NodegroupStatusActive || g.Labels["role"] != "web" || g.Labels["alpha.eksctl.io/nodegroup-name"] != "mng" || len(g.Taints) != 1 || g.LaunchTemplate == nil {
		t.Errorf("node group is %s, labels %v", g.Status, g.Labels)
	}
	s.eventually("2 managed nodes", func() bool { return s.running("eks:nodegroup-name", "mng") == 2 })
	s.eventually("1 self-managed node", func() bool { return s.running("alpha.eksctl.io/nodegroup-name", "ng") == 1 })
	entries, err := s.eks.ListAccessEntries(t.Context(), &awseks.ListAccessEntriesInput{ClusterName: sdk.String("c1")})
	must(t, err)
	if len(entries.AccessEntries) != 3 {
		t.Errorf("access entries are %v, want the creator's and those of both node roles", entries.AccessEntries)
	}
}

// deletesAll deletes every stack in the order in which eksctl does, and sees that nothing is left.
func (s *session) deletesAll() {
	s.t.Helper()
	ctx := s.t.Context()
	all, err := s.stacks.ListStacks(ctx)
	must(s.t, err)
	slices.SortStableFunc(all, func(a, b *cfntypes.Stack) int {
		last := func(st *cfntypes.Stack) int {
			if strings.HasSuffix(*st.StackName, "-cluster") {
				return 1
			}
			return 0
		}
		return last(a) - last(b)
	})
	for _, st := range all {
		errs := make(chan error, 1)
		go func() { errs <- s.stacks.DeleteStackBySpecSync(ctx, st, make(chan error, 1)) }()
		must(s.t, <-errs)
		s.eventually("the end of stack "+*st.StackName, func() bool {
			found, err := s.stacks.ListStacks(ctx)
			must(s.t, err)
			return !slices.ContainsFunc(found, func(o *cfntypes.Stack) bool { return *o.StackId == *st.StackId })
		})
	}
	clusters, err := s.eks.ListClusters(ctx, &awseks.ListClustersInput{})
	must(s.t, err)
	machines := awsec2.NewFromConfig(s.sim.Config())
	interfaces, err := machines.DescribeNetworkInterfaces(ctx, &awsec2.DescribeNetworkInterfacesInput{})
	must(s.t, err)
	vpcs, err := machines.DescribeVpcs(ctx, &awsec2.DescribeVpcsInput{})
	must(s.t, err)
	if len(clusters.Clusters) != 0 || len(interfaces.NetworkInterfaces) != 0 || len(vpcs.Vpcs) != 0 {
		s.t.Errorf("left: clusters %v, %d network interfaces, %d VPCs", clusters.Clusters, len(interfaces.NetworkInterfaces), len(vpcs.Vpcs))
	}
}

func (s *session) scalesNodegroups() {
	t := s.t
	m := nodegroup.New(s.config, s.ctl, nil, nil)
	must(t, m.Scale(t.Context(), &api.NodeGroupBase{Name: "mng", ScalingConfig: &api.ScalingConfig{DesiredCapacity: sdk.Int(3)}}, false))
	s.eventually("3 managed nodes", func() bool { return s.running("eks:nodegroup-name", "mng") == 3 })
	must(t, m.Scale(t.Context(), &api.NodeGroupBase{Name: "ng", ScalingConfig: &api.ScalingConfig{DesiredCapacity: sdk.Int(2), MaxSize: sdk.Int(4)}}, false))
	s.eventually("2 self-managed nodes", func() bool { return s.running("alpha.eksctl.io/nodegroup-name", "ng") == 2 })
}

func (s *session) upgrades() {
	t := s.t
	s.config.Metadata.Version = "1.35"
	update, err := s.ctl.UpdateClusterVersion(t.Context(), s.config)
	must(t, err)
	s.eventually("version 1.35", func() bool {
		out, err := s.eks.DescribeUpdate(t.Context(), &awseks.DescribeUpdateInput{Name: sdk.String("c1"), UpdateId: update.Id})
		must(t, err)
		return out.Update.Status == ekstypes.UpdateStatusSuccessful
	})
	if c := s.cluster(); *c.Version != "1.35" || c.Status != ekstypes.ClusterStatusActive {
		t.Errorf("cluster is %s at %s", c.Status, *c.Version)
	}
}

func (s *session) upgradesNodegroup() {
	t := s.t
	must(t, s.ctl.RefreshClusterStatus(t.Context(), s.config))
	m := nodegroup.New(s.config, s.ctl, nil, nil)
	if err := m.Upgrade(t.Context(), nodegroup.UpgradeOptions{NodegroupName: "mng", KubernetesVersion: "1.35", Wait: true}); err != nil {
		s.explain()
		t.Fatal(err)
	}
	if g := s.nodegroup("mng"); *g.Version != "1.35" || g.Status != ekstypes.NodegroupStatusActive {
		t.Errorf("node group is %s at %s", g.Status, *g.Version)
	}
}

func (s *session) cluster() *ekstypes.Cluster {
	s.t.Helper()
	out, err := s.eks.DescribeCluster(s.t.Context(), &awseks.DescribeClusterInput{Name: sdk.String("c1")})
	must(s.t, err)
	return out.Cluster
}

func (s *session) configures() {
	t := s.t
	ctx := t.Context()
	s.config.CloudWatch.ClusterLogging.EnableTypes = []string{"api", "scheduler"}
	must(t, s.ctl.UpdateClusterConfigForLogging(ctx, s.config))
	s.config.VPC.ClusterEndpoints.PrivateAccess = api.Disabled()
	must(t, s.ctl.UpdateClusterConfigForEndpoints(ctx, s.config))
	s.config.VPC.PublicAccessCIDRs = []string{"203.0.113.0/24"}
	must(t, s.ctl.UpdatePublicAccessCIDRs(ctx, s.config))
	c := s.cluster()
	network := c.ResourcesVpcConfig
	if on := c.Logging.ClusterLogging[0].Types; !slices.Equal(on, []ekstypes.LogType{"api", "scheduler"}) || network.EndpointPrivateAccess || !slices.Equal(network.PublicAccessCidrs, []string{"203.0.113.0/24"}) {
		t.Errorf("logging is %v, private access %t, CIDRs %v", on, network.EndpointPrivateAccess, network.PublicAccessCidrs)
	}
}

func (s *session) managesAddons() {
	t := s.t
	ctx := t.Context()
	m, err := addon.New(s.config, s.ctl.AWSProvider.EKS(), s.stacks, false, nil, nil)
	must(t, err)
	m.DisableAWSNodePatch = true
	for _, name := range []string{api.VPCCNIAddon, api.KubeProxyAddon, api.CoreDNSAddon} {
		must(t, m.Create(ctx, &api.Addon{Name: name, ResolveConflicts: ekstypes.ResolveConflictsOverwrite}, nil, time.Minute))
	}
	all, err := m.GetAll(ctx)
	must(t, err)
	if len(all) != 3 || slices.ContainsFunc(all, func(a addon.Summary) bool { return a.Status != "ACTIVE" }) {
		t.Fatalf("add-ons are %+v", all)
	}
	must(t, m.Update(ctx, &api.Addon{Name: api.CoreDNSAddon, Version: "v1.13.2-eksbuild.1", ConfigurationValues: `{"replicaCount":3}`}, nil, time.Minute))
	got, err := m.Get(ctx, &api.Addon{Name: api.CoreDNSAddon})
	must(t, err)
	if got.Version != "v1.13.2-eksbuild.1" || got.ConfigurationValues != `{"replicaCount":3}` {
		t.Errorf("add-on is %+v", got)
	}
	must(t, m.Delete(ctx, &api.Addon{Name: api.KubeProxyAddon}))
	// Not by GetAll, which describes what it listed and fails when one of those has gone in between.
	s.eventually("the end of kube-proxy", func() bool {
		out, err := s.eks.ListAddons(ctx, &awseks.ListAddonsInput{ClusterName: sdk.String("c1")})
		must(t, err)
		return len(out.Addons) == 2
	})
}

func (s *session) managesAssociations() {
	t := s.t
	ctx := t.Context()
	association := api.PodIdentityAssociation{Namespace: "apps", ServiceAccountName: "web", PermissionPolicyARNs: []string{"arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}}
	must(t, podidentityassociation.NewCreator("c1", s.stacks, s.ctl.AWSProvider.EKS(), nil).CreatePodIdentityAssociations(ctx, []api.PodIdentityAssociation{association}))
	found, err := podidentityassociation.NewGetter("c1", s.ctl.AWSProvider.EKS()).GetPodIdentityAssociations(ctx, "", "")
	must(t, err)
	if len(found) != 1 || found[0].ServiceAccountName != "web" || !strings.Contains(found[0].RoleARN, "eksctl-c1-podidentityrole-apps-web") {
		t.Errorf("associations are %+v", found)
	}
	deleter := podidentityassociation.NewDeleter("c1", s.stacks, s.ctl.AWSProvider.EKS(), fake.NewClientset())
	must(t, deleter.Delete(ctx, []podidentityassociation.Identifier{{Namespace: "apps", ServiceAccountName: "web"}}))
	found, err = podidentityassociation.NewGetter("c1", s.ctl.AWSProvider.EKS()).GetPodIdentityAssociations(ctx, "", "")
	must(t, err)
	if len(found) != 0 {
		t.Errorf("associations left: %+v", found)
	}
}

func (s *session) managesEntries() {
	t, ctx := s.t, s.t.Context()
	role := api.MustParseARN(*s.nodegroup("mng").NodeRole)
	getter := accessentry.NewGetter("c1", s.ctl.AWSProvider.EKS())
	list, err := getter.Get(ctx, role)
	must(t, err)
	if len(list) != 1 || !slices.Equal(list[0].KubernetesGroups, []string{"system:nodes"}) {
		t.Errorf("entry of the nodes is %+v", list)
	}
	user := api.MustParseARN("arn:aws:iam::111122223333:user/admin")
	must(t, accessentry.NewRemover("c1", s.stacks, s.ctl.AWSProvider.EKS()).Delete(ctx, []api.AccessEntry{{PrincipalARN: user}}))
	creator := &accessentry.Creator{ClusterName: "c1", StackCreator: s.stacks}
	policy := api.MustParseARN("arn:aws:eks::aws:cluster-access-policy/AmazonEKSAdminPolicy")
	must(t, creator.Create(ctx, []api.AccessEntry{{PrincipalARN: user, Type: "STANDARD", KubernetesGroups: []string{"ops"}, AccessPolicies: []api.AccessPolicy{
		{PolicyARN: policy, AccessScope: api.AccessScope{Type: ekstypes.AccessScopeTypeNamespace, Namespaces: []string{"apps"}}},
	}}}))
	list, err = getter.Get(ctx, user)
	must(t, err)
	if len(list) != 1 || !slices.Equal(list[0].KubernetesGroups, []string{"ops"}) || len(list[0].AccessPolicies) != 1 {
		t.Errorf("entry of the user is %+v", list)
	}
}

func (s *session) managesProfiles() {
	t := s.t
	role := s.fargateRole()
	client := fargate.NewFromProvider("c1", s.ctl.AWSProvider, s.stacks)
	profile := &api.FargateProfile{Name: "fp", PodExecutionRoleARN: role, Selectors: []api.FargateProfileSelector{{Namespace: "default"}}}
	must(t, client.CreateProfile(t.Context(), profile, false))
	s.eventually("an active profile", func() bool {
		found, err := client.ReadProfile(t.Context(), "fp")
		must(t, err)
		return found.Status == "ACTIVE"
	})
	must(t, client.DeleteProfile(t.Context(), "fp", false))
	s.eventually("the end of the profile", func() bool {
		names, err := client.ListProfiles(t.Context())
		must(t, err)
		return len(names) == 0
	})
}
