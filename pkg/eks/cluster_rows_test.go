package eks

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// clusterCase is how a field of the cluster is changed on a live one.
type clusterCase struct {
	// was is the file that the cluster is made from: bare, where it says nothing.
	was string
	// git is what the file says then.
	git func(*rig) string
	// outside is what somebody else makes of it; nil where there is no way back.
	outside func(*rig) error
	// calls are those that the change takes, and so does taking the outside change back: UpdateClusterConfig, where it says nothing.
	calls []string
}

// says is bare with something put after it.
func says(more string) func(*rig) string { return func(*rig) string { return bare + more } }

// withMetadata is bare with a field of metadata.
func withMetadata(field string) string {
	return strings.Replace(bare, "  version:", "  "+field+"\n  version:", 1)
}

// updates is an UpdateClusterConfig of somebody else.
func updates(of func(*rig) *eks.UpdateClusterConfigInput) func(*rig) error {
	return func(r *rig) error {
		in := of(r)
		in.Name = aws.String("dev")
		_, err := r.cloud.aws.eks.UpdateClusterConfig(r.t.Context(), in)
		return err
	}
}

// updatesTo is an UpdateClusterConfig that depends on nothing.
func updatesTo(in eks.UpdateClusterConfigInput) func(*rig) error {
	return updates(func(*rig) *eks.UpdateClusterConfigInput { return &in })
}

// reaches is an update of where the API server can be reached.
func reaches(in ekstypes.VpcConfigRequest) func(*rig) error {
	return updatesTo(eks.UpdateClusterConfigInput{ResourcesVpcConfig: &in})
}

func list(ids []string) string { return "[" + strings.Join(ids, ", ") + "]" }

func (r *rig) network() *ekstypes.VpcConfigResponse { return r.cloud.world.Cluster.ResourcesVpcConfig }

// clusterCases are the rows of the cluster's own fields that change in place, by path.
func clusterCases() map[string]clusterCase {
	const audited = "cloudWatch: {clusterLogging: {enableTypes: [audit]}}\n"
	const open = "vpc: {clusterEndpoints: {publicAccess: true, privateAccess: true}}\n"
	return map[string]clusterCase{
		"metadata.version": {
			was: strings.Replace(bare, "1.36", "1.35", 1), git: says(""), calls: []string{"UpdateClusterVersion"},
		},
		"metadata.tags": {
			git: func(*rig) string { return withMetadata("tags: {team: platform}") }, calls: []string{"TagResource"},
			outside: func(r *rig) error {
				_, err := r.cloud.aws.eks.TagResource(r.t.Context(), &eks.TagResourceInput{ResourceArn: r.cloud.world.Cluster.Arn, Tags: map[string]string{"team": "else", "theirs": "stays"}})
				return err
			},
		},
		strings.Join(protection(), "."): {
			git:     func(*rig) string { return withProtection("true") },
			outside: updatesTo(eks.UpdateClusterConfigInput{DeletionProtection: aws.Bool(false)}),
		},
		"accessConfig.authenticationMode": {git: says("accessConfig: {authenticationMode: API}\n")},
		"secretsEncryption.keyARN": {
			git:   func(r *rig) string { return bare + "secretsEncryption: {keyARN: \"" + r.key() + "\"}\n" },
			calls: []string{"AssociateEncryptionConfig"},
		},
		"upgradePolicy.supportType": {
			git:     says("upgradePolicy: {supportType: STANDARD}\n"),
			outside: updatesTo(eks.UpdateClusterConfigInput{UpgradePolicy: &ekstypes.UpgradePolicyRequest{SupportType: ekstypes.SupportTypeExtended}}),
		},
		"controlPlaneScalingConfig.tier": {
			git:     says("controlPlaneScalingConfig: {tier: tier-xl}\n"),
			outside: updatesTo(eks.UpdateClusterConfigInput{ControlPlaneScalingConfig: &ekstypes.ControlPlaneScalingConfig{Tier: ekstypes.ProvisionedControlPlaneTierStandard}}),
		},
		"zonalShiftConfig.enabled": {
			git:     says("zonalShiftConfig: {enabled: true}\n"),
			outside: updatesTo(eks.UpdateClusterConfigInput{ZonalShiftConfig: &ekstypes.ZonalShiftConfigRequest{Enabled: aws.Bool(false)}}),
		},
		"cloudWatch.clusterLogging.enableTypes": {
			was: bare + audited, git: says("cloudWatch: {clusterLogging: {enableTypes: [audit, api]}}\n"),
			outside: updatesTo(eks.UpdateClusterConfigInput{Logging: &ekstypes.Logging{ClusterLogging: []ekstypes.LogSetup{
				{Enabled: aws.Bool(false), Types: []ekstypes.LogType{ekstypes.LogTypeAudit}}, {Enabled: aws.Bool(true), Types: []ekstypes.LogType{ekstypes.LogTypeScheduler}},
			}}}),
		},
		"cloudWatch.clusterLogging.logRetentionInDays": {
			was: bare + audited, git: says("cloudWatch: {clusterLogging: {enableTypes: [audit], logRetentionInDays: 7}}\n"), calls: []string{"PutRetentionPolicy"},
			outside: func(r *rig) error {
				_, err := cloudwatchlogs.NewFromConfig(r.config()).DeleteRetentionPolicy(r.t.Context(), &cloudwatchlogs.DeleteRetentionPolicyInput{LogGroupName: aws.String(logGroup("dev"))})
				return err
			},
		},
		"remoteNetworkConfig.remoteNodeNetworks": {
			git: says("remoteNetworkConfig: {remoteNodeNetworks: [{cidrs: [10.90.0.0/16, 10.80.0.0/16]}]}\n"),
			outside: updatesTo(eks.UpdateClusterConfigInput{RemoteNetworkConfig: &ekstypes.RemoteNetworkConfigRequest{
				RemoteNodeNetworks: []ekstypes.RemoteNodeNetwork{{Cidrs: []string{"10.70.0.0/16"}}},
				RemotePodNetworks:  []ekstypes.RemotePodNetwork{{Cidrs: []string{"10.60.0.0/16"}}}, // git does not say, so it stays
			}}),
		},
		"remoteNetworkConfig.remotePodNetworks": {
			git: says("remoteNetworkConfig: {remoteNodeNetworks: [{cidrs: [10.90.0.0/16]}], remotePodNetworks: [{cidrs: [10.50.0.0/16]}]}\n"),
			outside: updatesTo(eks.UpdateClusterConfigInput{RemoteNetworkConfig: &ekstypes.RemoteNetworkConfigRequest{
				RemoteNodeNetworks: []ekstypes.RemoteNodeNetwork{{Cidrs: []string{"10.90.0.0/16"}}}, RemotePodNetworks: []ekstypes.RemotePodNetwork{{Cidrs: []string{"10.60.0.0/16"}}},
			}}),
		},
		"vpc.clusterEndpoints.publicAccess": {
			was: bare + open, git: says("vpc: {clusterEndpoints: {publicAccess: false, privateAccess: true}}\n"), outside: reaches(ekstypes.VpcConfigRequest{EndpointPublicAccess: aws.Bool(true)}),
		},
		"vpc.clusterEndpoints.privateAccess": {
			git: says(open), outside: reaches(ekstypes.VpcConfigRequest{EndpointPrivateAccess: aws.Bool(false)}),
		},
		"vpc.publicAccessCIDRs": {
			git: says("vpc: {publicAccessCIDRs: [203.0.113.0/24, 198.51.100.0/24]}\n"), outside: reaches(ekstypes.VpcConfigRequest{PublicAccessCidrs: []string{"0.0.0.0/0"}}),
		},
		"vpc.controlPlaneSubnetIDs": {
			git: func(r *rig) string {
				ids := slices.Sorted(slices.Values(r.network().SubnetIds))
				slices.Reverse(ids)
				return bare + "vpc: {controlPlaneSubnetIDs: " + list(ids[1:]) + "}\n"
			},
			outside: updates(func(r *rig) *eks.UpdateClusterConfigInput {
				ids := strings.Split(output(r.cloud.world.Stacks[clusterStack("dev")], "SubnetsPrivate"), ",")
				return &eks.UpdateClusterConfigInput{ResourcesVpcConfig: &ekstypes.VpcConfigRequest{SubnetIds: ids}}
			}),
		},
		"vpc.controlPlaneSecurityGroupIDs": {
			git: func(r *rig) string {
				shared := output(r.cloud.world.Stacks[clusterStack("dev")], "SharedNodeSecurityGroup")
				return bare + "vpc: {controlPlaneSecurityGroupIDs: " + list(append(r.network().SecurityGroupIds, shared)) + "}\n"
			},
			outside: updates(func(r *rig) *eks.UpdateClusterConfigInput {
				return &eks.UpdateClusterConfigInput{ResourcesVpcConfig: &ekstypes.VpcConfigRequest{SecurityGroupIds: r.network().SecurityGroupIds[:1]}}
			}),
		},
	}
}

// fixedCase is a field of the cluster that nothing can change, and an edit of the file that it was made from.
type fixedCase struct{ path, file, was, is string }

// ofIPv6 is a cluster whose pods and services have addresses of IPv6.
const ofIPv6 = bare + `iam: {withOIDC: true}
kubernetesNetworkConfig: {ipFamily: IPv6}
addons: [{name: vpc-cni}, {name: coredns}, {name: kube-proxy}]
managedNodeGroups: [{name: system, instanceType: m5.large, desiredCapacity: 1}]
`

// fixedCases are the rows of the cluster's own fields that cannot change.
func fixedCases() []fixedCase {
	const made = bare + "availabilityZones: [eu-west-1b, eu-west-1a]\nvpc: {cidr: 10.20.0.0/16, nat: {gateway: HighlyAvailable}}\n"
	return []fixedCase{
		{"iam.serviceRoleARN", bare, "", "iam: {serviceRoleARN: \"arn:aws:iam::111122223333:role/another\"}"},
		{"kubernetesNetworkConfig.ipFamily", ofIPv6, "ipFamily: IPv6", "ipFamily: IPv4"},
		{"kubernetesNetworkConfig.serviceIPv4CIDR", bare, "", "kubernetesNetworkConfig: {serviceIPv4CIDR: 172.30.0.0/16}"},
		{"kubernetesNetworkConfig.serviceIPv6CIDR", ofIPv6, "ipFamily: IPv6", "ipFamily: IPv6, serviceIPv6CIDR: \"fd00:1234::/108\""},
		{"kubernetesNetworkConfig.serviceIPv6CIDR", bare, "", "kubernetesNetworkConfig: {serviceIPv6CIDR: \"fd00:1234::/108\"}"},
		{"vpc.id", bare, "", "vpc: {id: vpc-0123456789abcdef0, subnets: {private: {eu-west-1a: {id: subnet-1}, eu-west-1b: {id: subnet-2}}}}"},
		{"vpc.cidr", made, "10.20.0.0/16", "10.30.0.0/16"},
		{"vpc.nat.gateway", made, "HighlyAvailable", "Single"},
		{"vpc.nat.gateway", made, "HighlyAvailable", "Disable"},
		{"vpc.autoAllocateIPv6", made, "vpc: {", "vpc: {autoAllocateIPv6: true, "},
		{"vpc.ipv6Cidr", ofIPv6, "addons:", "vpc: {ipv6Cidr: \"2600:1f13:1:2::/56\", ipv6Pool: ipv6pool-ec2-1}\naddons:"},
		{"vpc.ipv6Pool", ofIPv6, "addons:", "vpc: {ipv6Cidr: \"2600:1f13:1:2::/56\", ipv6Pool: ipv6pool-ec2-1}\naddons:"},
		{"vpc.securityGroup", bare, "", "vpc: {securityGroup: sg-0123456789abcdef0}"},
		{"vpc.sharedNodeSecurityGroup", bare, "", "vpc: {sharedNodeSecurityGroup: sg-0123456789abcdef0}"},
		{"privateCluster.enabled", bare, "", "privateCluster: {enabled: true}"},
		{"availabilityZones", made, "[eu-west-1b, eu-west-1a]", "[eu-west-1b, eu-west-1c]"},
	}
}

// edited is the file then: what is put in place of nothing stands at its end.
func (c fixedCase) edited() string {
	if c.was == "" {
		return c.file + c.is + "\n"
	}
	return strings.Replace(c.file, c.was, c.is, 1)
}

// TestClusterFields: each field that AWS can change on a live cluster is changed by one call, also when the process is killed
// after every call, and what somebody else changes is taken back by one.
func TestClusterFields(t *testing.T) {
	t.Parallel()
	for path, tt := range clusterCases() {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			if tt.calls == nil {
				tt.calls = []string{"UpdateClusterConfig"}
			}
			if tt.was == "" {
				tt.was = bare
			}
			r := newRig(t, tt.was)
			r.converge()
			r.git(tt.git(r))
			if c := find(t, r.plan(), KindCluster, "dev"); c.Action != plan.Update || c.From.Line == 0 || !slices.ContainsFunc(c.Edits, func(e plan.Edit) bool { return strings.Contains(e.Path, path[strings.LastIndex(path, ".")+1:]) }) {
				t.Errorf("it is planned as %s %v", c.Action, c.Edits)
			}
			r.restart = true
			if got := r.wrote(r.converge); !slices.Equal(got, tt.calls) {
				t.Errorf("the change took %v, want %v", got, tt.calls)
			}
			r.settled("the change")
			if tt.outside == nil {
				return
			}
			r.does(tt.outside(r))
			for range 20 {
				r.tick()
			}
			if c := find(t, r.plan(), KindCluster, "dev"); c.Action != plan.Update {
				t.Errorf("somebody else's change is planned as %s %v", c.Action, c.Edits)
			}
			if got := r.wrote(r.converge); !slices.Equal(got, tt.calls) {
				t.Errorf("taking it back took %v, want %v", got, tt.calls)
			}
			r.settled("somebody else's change")
		})
	}
}

// TestFixedClusterFields: what cannot change is an error at its line, and nothing else is planned then.
func TestFixedClusterFields(t *testing.T) {
	t.Parallel()
	rigs := map[string]*rig{}
	for _, tt := range fixedCases() {
		r := rigs[tt.file]
		if r == nil {
			r = newRig(t, tt.file)
			r.converge()
			r.settled("creation")
			rigs[tt.file] = r
		}
		r.git(tt.edited())
		p := r.plan()
		told := slices.DeleteFunc(slices.Clone(p.Problems), func(e *gitops.Error) bool { return e.Reason.Note() })
		if p.Complete || len(p.Changes) > 0 || len(told) != 1 || told[0].Reason != gitops.Immutable || !strings.Contains(told[0].Message(), tt.path+" cannot be changed on a live cluster: it is ") {
			t.Errorf("%s: %s:\n%s", tt.path, tt.is, describe(nil, p))
		} else if line := lineOf(t, tt.edited(), strings.Split(tt.is, "\n")[0]); told[0].From.Line != line {
			t.Errorf("%s is told at line %d, want %d", tt.path, told[0].From.Line, line)
		}
	}
}

// TestClusterRowsHaveCases: no row of the table of the cluster's own fields is without a test.
func TestClusterRowsHaveCases(t *testing.T) {
	t.Parallel()
	elsewhere := map[string]string{
		"autoModeConfig.enabled":                "TestAutoModeLife",
		"autoModeConfig.nodePools":              "TestAutoModeLife",
		"autoModeConfig.nodeRoleARN":            "TestAutoModeRole",
		"autoModeConfig.permissionsBoundaryARN": "TestAutoModeBoundary",
	}
	changed, fixed := clusterCases(), map[string]bool{}
	for _, tt := range fixedCases() {
		fixed[tt.path] = true
	}
	for _, f := range clusterFields() {
		path := strings.Join(f.path, ".")
		_, changes := changed[path]
		switch f.class() {
		case mutable:
			if !changes && elsewhere[path] == "" {
				t.Errorf("%s is changed by %s, and no case changes it", path, f.by)
			}
		case immutable:
			if !fixed[path] {
				t.Errorf("%s cannot change, and no case tries", path)
			}
		case naming: // another one is another cluster
		default:
			t.Errorf("%s is of a class that no test is for", path)
		}
		delete(changed, path)
		delete(fixed, path)
		delete(elsewhere, path)
	}
	if len(changed)+len(fixed)+len(elsewhere) > 0 {
		t.Errorf("these are no rows of the table: %v %v %v", changed, fixed, elsewhere)
	}
}
