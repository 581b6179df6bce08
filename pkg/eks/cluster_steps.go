package eks

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// The calls that change a live cluster, and of UpdateClusterConfig the one aspect that each changes.
const (
	byTags       = "eks:TagResource"
	byProtection = "eks:UpdateClusterConfig deletionProtection"
	byLogging    = "eks:UpdateClusterConfig logging"
	byEndpoints  = "eks:UpdateClusterConfig resourcesVpcConfig (endpoint)"
	byPlacement  = "eks:UpdateClusterConfig resourcesVpcConfig (subnets and security groups)"
	byMode       = "eks:UpdateClusterConfig accessConfig"
	byZonalShift = "eks:UpdateClusterConfig zonalShiftConfig"
	byTier       = "eks:UpdateClusterConfig controlPlaneScalingConfig"
	byNetworks   = "eks:UpdateClusterConfig remoteNetworkConfig"
	byKey        = "eks:AssociateEncryptionConfig"
	byRetention  = "logs:PutRetentionPolicy"
	byVersion    = "eks:UpdateClusterVersion"
	byPolicy     = "eks:UpdateClusterConfig upgradePolicy"
	byAutoMode   = "eks:UpdateClusterConfig computeConfig, kubernetesNetworkConfig, storageConfig"
	byNodeRole   = "cloudformation:UpdateStack"
)

// step changes fields of a live cluster by one call.
type step struct {
	name string
	// aspect puts the wanted fields into an UpdateClusterConfig, which takes one aspect at a time; take makes any other call.
	aspect func(*eks.UpdateClusterConfigInput, *Config, *world, comparison)
	take   func(*Cloud, context.Context, *Config, *world, comparison) (*ekstypes.Update, error)
}

// clusterSteps are the steps in the order in which they are taken. Support follows the version, because a version in extended
// support cannot be told to have standard support (API reference, UpdateClusterConfig).
func clusterSteps() []step {
	return []step{
		{name: byTags, take: (*Cloud).tagCluster},
		{name: byProtection, aspect: protect},
		{name: byLogging, aspect: func(in *eks.UpdateClusterConfigInput, c *Config, _ *world, _ comparison) { in.Logging = c.logging() }},
		{name: byEndpoints, aspect: func(in *eks.UpdateClusterConfigInput, _ *Config, _ *world, diff comparison) {
			in.ResourcesVpcConfig = access(diff.next)
		}},
		{name: byPlacement, aspect: place},
		{name: byMode, aspect: forward},
		{name: byNodeRole, take: (*Cloud).boundNodes},
		{name: byAutoMode, take: (*Cloud).autoMode},
		{name: byZonalShift, aspect: shift},
		{name: byTier, aspect: scaleUp},
		{name: byNetworks, aspect: connect},
		{name: byKey, take: (*Cloud).encrypt},
		{name: byRetention, take: (*Cloud).retain},
		{name: byVersion, take: (*Cloud).upgrade},
		{name: byPolicy, aspect: support},
	}
}

func protect(in *eks.UpdateClusterConfigInput, _ *Config, _ *world, diff comparison) {
	in.DeletionProtection = aws.Bool(gitops.StringAt(diff.next, protection()...) == "true")
}

// place says all subnets and security groups, those that the file does not name as they are (eksctl, pkg/ctl/utils/vpc_helper.go).
func place(in *eks.UpdateClusterConfigInput, _ *Config, w *world, diff comparison) {
	out := &ekstypes.VpcConfigRequest{}
	if live := w.Cluster.ResourcesVpcConfig; live != nil {
		out.SubnetIds, out.SecurityGroupIds = live.SubnetIds, live.SecurityGroupIds
	}
	if ids := texts(gitops.ListAt(diff.next, "vpc", "controlPlaneSubnetIDs")); ids != nil {
		out.SubnetIds = ids
	}
	if ids := texts(gitops.ListAt(diff.next, "vpc", "controlPlaneSecurityGroupIDs")); ids != nil {
		out.SecurityGroupIds = ids
	}
	in.ResourcesVpcConfig = out
}

// forward moves the authentication mode one step on.
func forward(in *eks.UpdateClusterConfigInput, _ *Config, _ *world, diff comparison) {
	path := []string{"accessConfig", "authenticationMode"}
	is, wanted := slices.Index(modes(), gitops.StringAt(diff.live, path...)), slices.Index(modes(), gitops.StringAt(diff.next, path...))
	in.AccessConfig = &ekstypes.UpdateAccessConfigRequest{AuthenticationMode: ekstypes.AuthenticationMode(modes()[min(is+1, wanted)])}
}

func shift(in *eks.UpdateClusterConfigInput, c *Config, _ *world, _ comparison) {
	in.ZonalShiftConfig = &ekstypes.ZonalShiftConfigRequest{Enabled: aws.Bool(c.written("zonalShiftConfig", "enabled") == true)}
}

func scaleUp(in *eks.UpdateClusterConfigInput, _ *Config, _ *world, diff comparison) {
	tier := gitops.StringAt(diff.next, "controlPlaneScalingConfig", "tier")
	in.ControlPlaneScalingConfig = &ekstypes.ControlPlaneScalingConfig{Tier: ekstypes.ProvisionedControlPlaneTier(tier)}
}

func support(in *eks.UpdateClusterConfigInput, _ *Config, _ *world, diff comparison) {
	kind := gitops.StringAt(diff.next, "upgradePolicy", "supportType")
	in.UpgradePolicy = &ekstypes.UpgradePolicyRequest{SupportType: ekstypes.SupportType(kind)}
}

// connect says all remote networks, those that the file does not name as they are: what a request leaves out might be removed.
func connect(in *eks.UpdateClusterConfigInput, _ *Config, w *world, diff comparison) {
	out := &ekstypes.RemoteNetworkConfigRequest{}
	if live := w.Cluster.RemoteNetworkConfig; live != nil {
		out.RemoteNodeNetworks, out.RemotePodNetworks = live.RemoteNodeNetworks, live.RemotePodNetworks
	}
	if ranges := rangesAt(diff.next, "remoteNodeNetworks"); ranges != nil {
		out.RemoteNodeNetworks = []ekstypes.RemoteNodeNetwork{{Cidrs: ranges}}
	}
	if ranges := rangesAt(diff.next, "remotePodNetworks"); ranges != nil {
		out.RemotePodNetworks = []ekstypes.RemotePodNetwork{{Cidrs: ranges}}
	}
	in.RemoteNetworkConfig = out
}

func rangesAt(next gitops.Tree, kind string) []string {
	var out []string
	for _, item := range gitops.ListAt(next, "remoteNetworkConfig", kind) {
		network, _ := item.(gitops.Tree)
		out = append(out, texts(gitops.ListAt(network, "cidrs"))...)
	}
	return out
}

func texts(list []any) []string {
	var out []string
	for _, item := range list {
		if s, ok := item.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// logging names every type, because EKS leaves alone those that a request does not name.
func (c *Config) logging() *ekstypes.Logging {
	on := c.full.CloudWatch.ClusterLogging.EnableTypes
	var enable, disable []ekstypes.LogType
	for _, t := range api.SupportedCloudWatchClusterLogTypes() {
		if slices.Contains(on, t) {
			enable = append(enable, ekstypes.LogType(t))
		} else {
			disable = append(disable, ekstypes.LogType(t))
		}
	}
	out := &ekstypes.Logging{}
	if len(enable) > 0 {
		out.ClusterLogging = append(out.ClusterLogging, ekstypes.LogSetup{Enabled: aws.Bool(true), Types: enable})
	}
	if len(disable) > 0 {
		out.ClusterLogging = append(out.ClusterLogging, ekstypes.LogSetup{Enabled: aws.Bool(false), Types: disable})
	}
	return out
}

// access is what the file says of the endpoint; what it does not say stays.
func access(next gitops.Tree) *ekstypes.VpcConfigRequest {
	out := &ekstypes.VpcConfigRequest{PublicAccessCidrs: texts(gitops.ListAt(next, "vpc", "publicAccessCIDRs"))}
	if v, ok := gitops.At(next, "vpc", "clusterEndpoints", "publicAccess"); ok {
		out.EndpointPublicAccess = aws.Bool(v == true)
	}
	if v, ok := gitops.At(next, "vpc", "clusterEndpoints", "privateAccess"); ok {
		out.EndpointPrivateAccess = aws.Bool(v == true)
	}
	return out
}

// encrypt gives the cluster's secrets a key of KMS, which cannot be taken back.
func (c *Cloud) encrypt(ctx context.Context, cfg *Config, _ *world, diff comparison) (*ekstypes.Update, error) {
	out, err := c.aws.eks.AssociateEncryptionConfig(ctx, &eks.AssociateEncryptionConfigInput{
		ClusterName: &cfg.Name, EncryptionConfig: []ekstypes.EncryptionConfig{{
			Resources: []string{"secrets"}, Provider: &ekstypes.Provider{KeyArn: aws.String(gitops.StringAt(diff.next, "secretsEncryption", "keyARN"))},
		}},
	})
	if err != nil {
		return nil, err
	}
	return out.Update, nil
}

// retain says how long the control plane's logs are kept.
func (c *Cloud) retain(ctx context.Context, cfg *Config, _ *world, _ comparison) (*ekstypes.Update, error) {
	_, err := c.aws.logs.PutRetentionPolicy(ctx, &cloudwatchlogs.PutRetentionPolicyInput{
		LogGroupName: aws.String(logGroup(cfg.Name)), RetentionInDays: aws.Int32(int32(cfg.retention())),
	})
	if absent(err) {
		return nil, nil // EKS makes the log group a while after logging was enabled.
	}
	return nil, err
}

func (c *Cloud) tagCluster(ctx context.Context, _ *Config, w *world, diff comparison) (*ekstypes.Update, error) {
	return nil, c.tagResource(ctx, aws.ToString(w.Cluster.Arn), gitops.TreeAt(diff.live, "metadata", "tags"), gitops.TreeAt(diff.next, "metadata", "tags"))
}
