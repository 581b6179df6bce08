package eks

import (
	"slices"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// madeCase is a field that a cluster is made with, and what becomes of it in git later.
type madeCase struct{ path, file, was, is, says string }

func madeCases() []madeCase {
	const open = bare + `vpc: {extraCIDRs: [10.1.0.0/16, 10.2.0.0/16], hostnameType: resource-name}
iam: {serviceRolePermissionsBoundary: "arn:aws:iam::aws:policy/PowerUserAccess", vpcResourceControllerPolicy: false}
accessConfig: {bootstrapClusterCreatorAdminPermissions: false}
`
	const six = ofIPv6 + "vpc: {extraIPv6CIDRs: [\"2600:1f13:1::/48\"]}\n"
	const private = bare + "privateCluster: {enabled: true, additionalEndpointServices: [autoscaling]}\n"
	const bareless = bare + "privateCluster: {enabled: true, skipEndpointCreation: true}\n"
	const hybrid = bare + "remoteNetworkConfig: {iam: {provider: SSM}, remoteNodeNetworks: [{cidrs: [10.80.0.0/16]}]}\n"
	const fargate = bare + "iam: {fargatePodExecutionRolePermissionsBoundary: \"arn:aws:iam::aws:policy/PowerUserAccess\"}\nfargateProfiles: [{name: apps, selectors: [{namespace: apps}]}]\n"
	local := strings.Replace(bare, "eu-west-1", "us-west-2", 1) + "localZones: [us-west-2-lax-1a, us-west-2-lax-1b]\n"
	return []madeCase{
		{"vpc.extraCIDRs", open, "10.2.0.0/16", "10.3.0.0/16", "made with [10.1.0.0/16 10.2.0.0/16], and the file says [10.1.0.0/16 10.3.0.0/16]"},
		{"vpc.extraIPv6CIDRs", six, "2600:1f13:1::/48", "2600:1f13:2::/48", "made with [2600:1f13:1::/48], and"},
		{"vpc.hostnameType", open, "resource-name", "ip-name", "made with resource-name, and the file says ip-name"},
		{"vpc.manageSharedNodeSecurityGroupRules", bare, "", "vpc: {sharedNodeSecurityGroup: SHARED, manageSharedNodeSecurityGroupRules: false}", "made with true, and the file says false"},
		{"iam.serviceRolePermissionsBoundary", open, "PowerUserAccess", "ReadOnlyAccess", "made with arn:aws:iam::aws:policy/PowerUserAccess, and"},
		{"iam.serviceRolePermissionsBoundary", bare, "", "iam: {serviceRolePermissionsBoundary: \"arn:aws:iam::aws:policy/PowerUserAccess\"}", "made with none, and"},
		{"iam.vpcResourceControllerPolicy", open, "ControllerPolicy: false", "ControllerPolicy: true", "made with false, and the file says true"},
		{"iam.fargatePodExecutionRolePermissionsBoundary", fargate, "PowerUserAccess", "ReadOnlyAccess", "made with arn:aws:iam::aws:policy/PowerUserAccess, and"},
		{"accessConfig.bootstrapClusterCreatorAdminPermissions", open, "Permissions: false", "Permissions: true", "made with false, and the file says true"},
		{"privateCluster.additionalEndpointServices", private, "[autoscaling]", "[cloudformation]", "made with [autoscaling], and the file says [cloudformation]"},
		{"privateCluster.skipEndpointCreation", bareless, "Creation: true", "Creation: false", "made with true, and the file says false"},
		{"remoteNetworkConfig.iam.provider", hybrid, "provider: SSM", "provider: IRA, caBundleCert: ONE", "made with SSM, and the file says IRA"},
		{"remoteNetworkConfig.iam.provider", bare, "", "remoteNetworkConfig: {iam: {provider: SSM}, remoteNodeNetworks: [{cidrs: [10.80.0.0/16]}]}", "made with none, and the file says SSM"},
		{"remoteNetworkConfig.iam.caBundleCert", hybrid, "provider: SSM", "provider: IRA, caBundleCert: ONE", "made with none, and the file says ONE"},
		{"remoteNetworkConfig.iam.roleARN", hybrid, "provider: SSM", "roleARN: \"arn:aws:iam::111122223333:role/one\"", "made with arn:aws:iam::111122223333:role/eksctl-dev-cluster-HybridNodesSSMRole"},
		{"remoteNetworkConfig.vpcGatewayID", hybrid, "{iam:", "{vpcGatewayID: vgw-0123456789abcdef0, iam:", "made with none, and the file says vgw-0123456789abcdef0"},
		{"localZones", local, "[us-west-2-lax-1a, us-west-2-lax-1b]", "[us-west-2-lax-1a]", "made with [us-west-2-lax-1a us-west-2-lax-1b], and the file says [us-west-2-lax-1a]"},
	}
}

// TestOtherwiseMade: what a cluster is made with and nothing changes is noted, with both values and the line, once the file says something
// else; what it was made with, in another order too, and what the file does not say are no difference.
func TestOtherwiseMade(t *testing.T) {
	t.Parallel()
	rigs := map[string]*rig{}
	for _, tt := range madeCases() {
		r := rigs[tt.file]
		if r == nil {
			o := aws.Options{}
			if strings.Contains(tt.file, "us-west-2") {
				o.World.Region = "us-west-2"
			}
			r = newRigOn(t, tt.file, o)
			if o.World.Region != "" {
				_, err := ec2.NewFromConfig(r.config()).ModifyAvailabilityZoneGroup(t.Context(), &ec2.ModifyAvailabilityZoneGroupInput{
					GroupName: sdk.String("us-west-2-lax-1"), OptInStatus: ec2types.ModifyAvailabilityZoneOptInStatusOptedIn,
				})
				r.does(err)
			}
			r.converge()
			r.settled("creation")
			if p := r.plan(); len(p.Problems) > 0 {
				t.Errorf("%s: as it was made:\n%s", tt.path, describe(nil, p))
			}
			rigs[tt.file] = r
		}
		shared := output(r.cloud.world.Stacks[clusterStack("dev")], "SharedNodeSecurityGroup")
		file := strings.ReplaceAll(fixedCase{"", tt.file, tt.was, tt.is}.edited(), "SHARED", shared)
		r.git(file)
		p := r.plan()
		told := slices.DeleteFunc(slices.Clone(p.Problems), func(e *gitops.Error) bool { return !strings.HasPrefix(e.Message(), tt.path+": ") })
		if !p.Complete || len(p.Changes) > 0 && tt.file != bare || len(told) != 1 || told[0].Reason != gitops.NotManaged || !strings.Contains(told[0].Message(), tt.says) {
			t.Errorf("%s: %s:\n%s", tt.path, tt.is, describe(nil, p))
		} else if line := lineOf(t, file, strings.ReplaceAll(tt.is, "SHARED", shared)); told[0].From.Line != line {
			t.Errorf("%s is told at line %d, want %d", tt.path, told[0].From.Line, line)
		}
		r.git(tt.file)
		if p := r.plan(); !p.Empty() || len(p.Problems) > 0 {
			t.Errorf("%s: back:\n%s", tt.path, describe(nil, p))
		}
	}
	for _, f := range madeWithFields() {
		path := strings.Join(f.path, ".")
		if !slices.ContainsFunc(madeCases(), func(c madeCase) bool { return c.path == path }) {
			t.Errorf("%s is in the table, and has no case", path)
		}
	}
}

// TestRolesAnywhere: the bundle of certificates that remote nodes are known by is read from the template; the simulator has no IAM Roles Anywhere.
func TestRolesAnywhere(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, bare+"remoteNetworkConfig: {iam: {provider: IRA, caBundleCert: ONE}, remoteNodeNetworks: [{cidrs: [10.80.0.0/16]}]}\n")
	w := worldOf(t, cfg)
	anchor := gitops.Tree{}
	put(anchor, "ONE", "Properties", "Source", "SourceData", "X509CertificateData")
	w.Templates[clusterStack("dev")] = gitops.Tree{"Resources": gitops.Tree{"TrustAnchor": anchor, "HybridNodesIRARole": gitops.Tree{"Type": "AWS::IAM::Role"}}}
	if notes := cfg.otherwiseMade(w); len(notes) > 0 {
		t.Errorf("as it was made: %v", notes)
	}
	put(anchor, strings.Repeat("x", 2000), "Properties", "Source", "SourceData", "X509CertificateData")
	if notes := cfg.otherwiseMade(w); len(notes) != 1 || !strings.Contains(notes[0].Message(), "made with a text of 2000 characters, and the file says ONE") {
		t.Errorf("another bundle: %v", notes)
	}
}
