package eks_test

import (
	"slices"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awseks "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
)

func (a *account) update(id string) *types.Update {
	a.t.Helper()
	out, err := a.api.DescribeUpdate(a.t.Context(), &awseks.DescribeUpdateInput{Name: sdk.String("c1"), UpdateId: &id})
	must(a.t, err)
	return out.Update
}

// configure makes an update of c1's configuration and waits for its success.
func (a *account) configure(in *awseks.UpdateClusterConfigInput) *types.Cluster {
	a.t.Helper()
	in.Name = sdk.String("c1")
	out, err := a.api.UpdateClusterConfig(a.t.Context(), in)
	must(a.t, err)
	if got := a.describe("c1").Status; got != types.ClusterStatusUpdating || out.Update.Status != types.UpdateStatusInProgress {
		a.t.Errorf("during %s the cluster is %s and the update %s", out.Update.Type, got, out.Update.Status)
	}
	a.pass(3 * time.Minute)
	if u := a.update(*out.Update.Id); u.Status != types.UpdateStatusSuccessful {
		a.t.Fatalf("%s is %s: %v", u.Type, u.Status, u.Errors)
	}
	return a.describe("c1")
}

func TestUpdateClusterVersionGoesUpOneMinor(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	name := sdk.String("c1")
	for version, text := range map[string]string{
		"1.36": "Unsupported Kubernetes minor version update from 1.34 to 1.36", "1.34": "Unsupported Kubernetes minor version update from 1.34 to 1.34",
		"1.33": "Unsupported Kubernetes minor version update from 1.34 to 1.33", "1.50": "unsupported Kubernetes version",
	} {
		_, err := a.api.UpdateClusterVersion(t.Context(), &awseks.UpdateClusterVersionInput{Name: name, Version: sdk.String(version)})
		refused(t, err, "InvalidParameterException", text)
	}
	out, err := a.api.UpdateClusterVersion(t.Context(), &awseks.UpdateClusterVersionInput{Name: name, Version: sdk.String("1.35")})
	must(t, err)
	if out.Update.Type != types.UpdateTypeVersionUpdate {
		t.Errorf("update is of type %s", out.Update.Type)
	}
	a.pass(5 * time.Minute)
	if c := a.describe("c1"); c.Status != types.ClusterStatusUpdating || *c.Version != "1.34" {
		t.Errorf("in between the cluster is %s at %s", c.Status, *c.Version)
	}
	a.pass(6 * time.Minute)
	if c := a.describe("c1"); c.Status != types.ClusterStatusActive || *c.Version != "1.35" || a.update(*out.Update.Id).Status != types.UpdateStatusSuccessful {
		t.Errorf("afterwards the cluster is %s at %s", c.Status, *c.Version)
	}
}

func TestUpdateOneInFlightPerCluster(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	name := sdk.String("c1")
	version := &awseks.UpdateClusterVersionInput{Name: name, Version: sdk.String("1.35"), ClientRequestToken: sdk.String("once")}
	first, err := a.api.UpdateClusterVersion(t.Context(), version)
	must(t, err)
	again, err := a.api.UpdateClusterVersion(t.Context(), version)
	must(t, err)
	if *again.Update.Id != *first.Update.Id {
		t.Errorf("a repeated request started a second update")
	}
	busy := " because cluster c1 currently has update " + *first.Update.Id + " in progress"
	_, err = a.api.UpdateClusterConfig(t.Context(), &awseks.UpdateClusterConfigInput{Name: name, ResourcesVpcConfig: &types.VpcConfigRequest{EndpointPrivateAccess: sdk.Bool(true)}})
	refused(t, err, "ResourceInUseException", "Cannot EndpointAccessUpdate"+busy)
	_, err = a.api.UpdateClusterVersion(t.Context(), &awseks.UpdateClusterVersionInput{Name: name, Version: sdk.String("1.36")})
	refused(t, err, "ResourceInUseException", "Cannot VersionUpdate"+busy)
	_, err = a.api.DeleteCluster(t.Context(), &awseks.DeleteClusterInput{Name: name})
	refused(t, err, "ResourceInUseException", "Cannot delete because cluster c1 currently has an update in progress")
	_, err = a.api.TagResource(t.Context(), &awseks.TagResourceInput{ResourceArn: a.describe("c1").Arn, Tags: map[string]string{"k": "v"}})
	must(t, err) // tags may change at any time
}

func TestUpdateClusterConfigTakesOneAspect(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	name := sdk.String("c1")
	private := &types.VpcConfigRequest{EndpointPrivateAccess: sdk.Bool(true)}
	audit := &types.Logging{ClusterLogging: []types.LogSetup{{Types: []types.LogType{"audit"}, Enabled: sdk.Bool(true)}}}
	_, err := a.api.UpdateClusterConfig(t.Context(), &awseks.UpdateClusterConfigInput{Name: name, ResourcesVpcConfig: private, Logging: audit})
	refused(t, err, "InvalidParameterException", "Only one type of update can be allowed.")
	_, err = a.api.UpdateClusterConfig(t.Context(), &awseks.UpdateClusterConfigInput{Name: name, ResourcesVpcConfig: &types.VpcConfigRequest{EndpointPrivateAccess: sdk.Bool(true), SubnetIds: a.subnets}})
	refused(t, err, "InvalidParameterException", "Only one type of update can be allowed.")
	_, err = a.api.UpdateClusterConfig(t.Context(), &awseks.UpdateClusterConfigInput{Name: name})
	refused(t, err, "InvalidParameterException", "Invalid type for cluster update.")
}

func TestUpdateClusterConfigEndpoints(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	c := a.configure(&awseks.UpdateClusterConfigInput{ResourcesVpcConfig: &types.VpcConfigRequest{EndpointPrivateAccess: sdk.Bool(true), PublicAccessCidrs: []string{"203.0.113.0/24"}}})
	if v := c.ResourcesVpcConfig; !v.EndpointPrivateAccess || !v.EndpointPublicAccess || !slices.Equal(v.PublicAccessCidrs, []string{"203.0.113.0/24"}) {
		t.Errorf("endpoints are %+v", v)
	}
	for text, want := range map[string]*types.VpcConfigRequest{
		"Cluster is already at the desired configuration with endpointPrivateAccess: true , endpointPublicAccess: true, and Public Endpoint Restrictions: [203.0.113.0/24]": {EndpointPrivateAccess: sdk.Bool(true)},
		"Private and public endpoint access cannot be false": {EndpointPrivateAccess: sdk.Bool(false), EndpointPublicAccess: sdk.Bool(false)},
	} {
		_, err := a.api.UpdateClusterConfig(t.Context(), &awseks.UpdateClusterConfigInput{Name: c.Name, ResourcesVpcConfig: want})
		refused(t, err, "InvalidParameterException", text)
	}
}

func TestUpdateClusterConfigSubnets(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	c := a.configure(&awseks.UpdateClusterConfigInput{ResourcesVpcConfig: &types.VpcConfigRequest{SubnetIds: a.subnets[1:]}})
	if !slices.Equal(c.ResourcesVpcConfig.SubnetIds, a.subnets[1:]) {
		t.Errorf("subnets are %v", c.ResourcesVpcConfig.SubnetIds)
	}
	_, err := a.api.UpdateClusterConfig(t.Context(), &awseks.UpdateClusterConfigInput{Name: c.Name, ResourcesVpcConfig: &types.VpcConfigRequest{SubnetIds: []string{a.subnets[0], a.public}}})
	refused(t, err, "InvalidParameterException", "Subnets specified must be in at least two different AZs")
}

func TestUpdateClusterConfigLogging(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	on := &types.Logging{ClusterLogging: []types.LogSetup{{Types: []types.LogType{"scheduler", "audit"}, Enabled: sdk.Bool(true)}}}
	c := a.configure(&awseks.UpdateClusterConfigInput{Logging: on})
	if got := c.Logging.ClusterLogging; !slices.Equal(got[0].Types, []types.LogType{"audit", "scheduler"}) || len(got[1].Types) != 3 || *got[1].Enabled {
		t.Errorf("logging is %+v", got)
	}
	_, err := a.api.UpdateClusterConfig(t.Context(), &awseks.UpdateClusterConfigInput{Name: c.Name, Logging: on})
	refused(t, err, "InvalidParameterException", "No changes needed for the logging config provided")
}

func TestUpdateClusterConfigAuthenticationModeGoesOneWay(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1", func(in *awseks.CreateClusterInput) { in.AccessConfig = nil })
	name := sdk.String("c1")
	_, err := a.api.ListAccessEntries(t.Context(), &awseks.ListAccessEntriesInput{ClusterName: name})
	refused(t, err, "InvalidRequestException", "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.")
	set := func(mode types.AuthenticationMode) *awseks.UpdateClusterConfigInput {
		return &awseks.UpdateClusterConfigInput{Name: name, AccessConfig: &types.UpdateAccessConfigRequest{AuthenticationMode: mode}}
	}
	_, err = a.api.UpdateClusterConfig(t.Context(), set("API"))
	refused(t, err, "InvalidParameterException", "Unsupported authentication mode update from CONFIG_MAP to API")
	a.configure(set("API_AND_CONFIG_MAP"))
	entries, err := a.api.ListAccessEntries(t.Context(), &awseks.ListAccessEntriesInput{ClusterName: name})
	must(t, err)
	if !slices.Equal(entries.AccessEntries, []string{admin}) {
		t.Errorf("entries after switching on are %v, want the creator", entries.AccessEntries)
	}
	_, err = a.api.UpdateClusterConfig(t.Context(), set("API_AND_CONFIG_MAP"))
	refused(t, err, "InvalidParameterException", "Unsupported authentication mode update from API_AND_CONFIG_MAP to API_AND_CONFIG_MAP")
	a.configure(set("API"))
	_, err = a.api.UpdateClusterConfig(t.Context(), set("CONFIG_MAP"))
	refused(t, err, "InvalidParameterException", "Unsupported authentication mode update from API to CONFIG_MAP")
}

func TestUpdateClusterConfigSmallAspects(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	c := a.configure(&awseks.UpdateClusterConfigInput{UpgradePolicy: &types.UpgradePolicyRequest{SupportType: types.SupportTypeStandard}})
	if c.UpgradePolicy.SupportType != types.SupportTypeStandard {
		t.Errorf("upgrade policy is %s", c.UpgradePolicy.SupportType)
	}
	c = a.configure(&awseks.UpdateClusterConfigInput{ZonalShiftConfig: &types.ZonalShiftConfigRequest{Enabled: sdk.Bool(true)}})
	if c.ZonalShiftConfig == nil || !*c.ZonalShiftConfig.Enabled {
		t.Errorf("zonal shift is %v", c.ZonalShiftConfig)
	}
	c = a.configure(&awseks.UpdateClusterConfigInput{ControlPlaneScalingConfig: &types.ControlPlaneScalingConfig{Tier: types.ProvisionedControlPlaneTierTierXl}})
	if c.ControlPlaneScalingConfig.Tier != types.ProvisionedControlPlaneTierTierXl {
		t.Errorf("tier is %s", c.ControlPlaneScalingConfig.Tier)
	}
}

func TestUpdateClusterConfigAutoModeMovesTogether(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	role := a.role("auto", "ec2.amazonaws.com")
	compute := &types.ComputeConfigRequest{Enabled: sdk.Bool(true), NodePools: []string{"system"}, NodeRoleArn: &role}
	storage := &types.StorageConfigRequest{BlockStorage: &types.BlockStorage{Enabled: sdk.Bool(true)}}
	network := &types.KubernetesNetworkConfigRequest{ElasticLoadBalancing: &types.ElasticLoadBalancing{Enabled: sdk.Bool(true)}}
	_, err := a.api.UpdateClusterConfig(t.Context(), &awseks.UpdateClusterConfigInput{Name: sdk.String("c1"), ComputeConfig: compute, StorageConfig: storage})
	refused(t, err, "InvalidParameterException", "")
	c := a.configure(&awseks.UpdateClusterConfigInput{ComputeConfig: compute, StorageConfig: storage, KubernetesNetworkConfig: network})
	if !*c.ComputeConfig.Enabled || !*c.StorageConfig.BlockStorage.Enabled || !*c.KubernetesNetworkConfig.ElasticLoadBalancing.Enabled {
		t.Errorf("Auto Mode is %v %v %v", c.ComputeConfig, c.StorageConfig, c.KubernetesNetworkConfig)
	}
}

func TestNodeRoleOfAutoModeIsFixed(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	in := func(enabled bool, role string) *awseks.UpdateClusterConfigInput {
		out := &awseks.UpdateClusterConfigInput{
			Name: sdk.String("c1"), ComputeConfig: &types.ComputeConfigRequest{Enabled: &enabled},
			StorageConfig:           &types.StorageConfigRequest{BlockStorage: &types.BlockStorage{Enabled: &enabled}},
			KubernetesNetworkConfig: &types.KubernetesNetworkConfigRequest{ElasticLoadBalancing: &types.ElasticLoadBalancing{Enabled: &enabled}},
		}
		if enabled {
			out.ComputeConfig.NodePools, out.ComputeConfig.NodeRoleArn = []string{"system"}, &role
		}
		return out
	}
	one, other := a.role("one", "ec2.amazonaws.com"), a.role("other", "ec2.amazonaws.com")
	a.configure(in(true, one))
	_, err := a.api.UpdateClusterConfig(t.Context(), in(true, other))
	refused(t, err, "InvalidParameterException", "")
	a.configure(in(false, ""))
	if c := a.configure(in(true, other)); *c.ComputeConfig.NodeRoleArn != other {
		t.Errorf("the role is %s", *c.ComputeConfig.NodeRoleArn)
	}
}

func TestAssociateEncryptionConfigOnce(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	made, err := kms.NewFromConfig(a.Config()).CreateKey(t.Context(), &kms.CreateKeyInput{})
	must(t, err)
	key := *made.KeyMetadata.Arn
	in := &awseks.AssociateEncryptionConfigInput{ClusterName: sdk.String("c1"), EncryptionConfig: []types.EncryptionConfig{{
		Resources: []string{"secrets"}, Provider: &types.Provider{KeyArn: &key},
	}}}
	out, err := a.api.AssociateEncryptionConfig(t.Context(), in)
	must(t, err)
	a.pass(16 * time.Minute)
	if u := a.update(*out.Update.Id); u.Status != types.UpdateStatusSuccessful || *a.describe("c1").EncryptionConfig[0].Provider.KeyArn != key {
		t.Errorf("update is %s", u.Status)
	}
	in.ClientRequestToken = sdk.String("again")
	_, err = a.api.AssociateEncryptionConfig(t.Context(), in)
	refused(t, err, "InvalidRequestException", "")
}

func TestListUpdatesAndDescribeUpdate(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	a.configure(&awseks.UpdateClusterConfigInput{DeletionProtection: sdk.Bool(true)})
	a.configure(&awseks.UpdateClusterConfigInput{DeletionProtection: sdk.Bool(false)})
	out, err := a.api.ListUpdates(t.Context(), &awseks.ListUpdatesInput{Name: sdk.String("c1"), MaxResults: sdk.Int32(1)})
	must(t, err)
	if len(out.UpdateIds) != 1 || out.NextToken == nil {
		t.Errorf("first page is %v, %v", out.UpdateIds, out.NextToken)
	}
	_, err = a.api.DescribeUpdate(t.Context(), &awseks.DescribeUpdateInput{Name: sdk.String("c1"), UpdateId: sdk.String("none")})
	refused(t, err, "ResourceNotFoundException", "No update found for id: none")
}
