package eks

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks/catalog"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// endpointWanted is the endpoint configuration that an update leads to.
func endpointWanted(c *clusterRecord, want *VPCConfigRequest) (public, private bool, cidrs []string) {
	have := c.Cluster.ResourcesVPCConfig
	public, private = boolOr(want.EndpointPublicAccess, isTrue(have.EndpointPublicAccess)), boolOr(want.EndpointPrivateAccess, isTrue(have.EndpointPrivateAccess))
	cidrs = have.PublicAccessCIDRs
	if want.PublicAccessCIDRs != nil {
		cidrs = want.PublicAccessCIDRs
	}
	if !public {
		return public, private, []string{}
	}
	if len(cidrs) == 0 {
		cidrs = everywhere(c.Cluster.KubernetesNetworkConfig.IPFamily == "ipv6")
	}
	return public, private, cidrs
}

func checkEndpointUpdate(on subject, c *clusterRecord, want *VPCConfigRequest) error {
	have := c.Cluster.ResourcesVPCConfig
	if err := checkEndpoints(on, want, isTrue(have.EndpointPublicAccess), isTrue(have.EndpointPrivateAccess)); err != nil {
		return err
	}
	public, private, cidrs := endpointWanted(c, want)
	if public == isTrue(have.EndpointPublicAccess) && private == isTrue(have.EndpointPrivateAccess) && sameSet(cidrs, have.PublicAccessCIDRs) {
		return on.badParameter("Cluster is already at the desired configuration with endpointPrivateAccess: %t , endpointPublicAccess: %t, and Public Endpoint Restrictions: [%s]", private, public, strings.Join(cidrs, ", "))
	}
	return nil
}

func endpointParams(c *clusterRecord, want *VPCConfigRequest) []UpdateParam {
	public, private, cidrs := endpointWanted(c, want)
	return []UpdateParam{param("EndpointPublicAccess", public), param("EndpointPrivateAccess", private), param("PublicAccessCidrs", cidrs)}
}

func vpcParams(want *VPCConfigRequest) (out []UpdateParam) {
	if want.SubnetIDs != nil {
		out = append(out, param("Subnets", want.SubnetIDs))
	}
	if want.SecurityGroupIDs != nil {
		out = append(out, param("SecurityGroups", want.SecurityGroupIDs))
	}
	return out
}

func (s *Service) associateEncryptionConfig(_ context.Context, _ wire.Caller, in *AssociateEncryptionConfigInput) (*AssociateEncryptionConfigOutput, error) {
	c, err := s.cluster(in.ClusterName)
	if err != nil {
		return nil, err
	}
	if u := c.byToken(in.ClientRequestToken); u != nil {
		return &AssociateEncryptionConfigOutput{Update: &u.Update}, nil
	}
	on := subject{cluster: in.ClusterName}
	if len(c.Cluster.EncryptionConfig) > 0 {
		return nil, on.badRequest("Cluster %s already has encryption enabled; an encryption config can't be changed or removed", in.ClusterName)
	}
	if len(in.EncryptionConfig) == 0 {
		return nil, on.badParameter("Missing required parameter: encryptionConfig")
	}
	if err := s.checkEncryption(on, in.EncryptionConfig); err != nil {
		return nil, err
	}
	u, err := s.startUpdate(c, "AssociateEncryptionConfig", in.ClientRequestToken, "eks.cluster.encryption", param("EncryptionConfig", in.EncryptionConfig))
	if err != nil {
		return nil, err
	}
	u.Encryption = in.EncryptionConfig
	return &AssociateEncryptionConfigOutput{Update: &u.Update}, nil
}

// advanceUpdates finishes the update of the cluster whose time has come. Those of what is inside it are finished there.
func (s *Service) advanceUpdates(now time.Time, c *clusterRecord) bool {
	u := c.inFlight()
	if u == nil || !due(now, u.Due) {
		return false
	}
	if u.Version != "" {
		plane := s.planes.Status(c.Cluster.Name)
		if plane.Err != nil {
			u.fail("Unknown", plane.Err.Error(), c.Cluster.Name)
			c.Cluster.Status = "ACTIVE"
			return true
		}
		if !plane.Ready || (plane.Version != "" && plane.Version != u.Version) {
			return false
		}
	}
	if err := s.carryOut(c, u); err != nil {
		u.fail("OperationNotPermitted", err.Error(), c.Cluster.Name)
	} else {
		u.Update.Status = "Successful"
	}
	c.Cluster.Status = "ACTIVE"
	s.tellPlane(c)
	if err := s.startQueued(c); err != nil {
		s.world.Log().Warn("starting the next update of a stack", "cluster", c.Cluster.Name, "error", err)
		u.fail("OperationNotPermitted", err.Error(), c.Cluster.Name)
	}
	return true
}

func (u *updateRecord) fail(code, message string, resources ...string) {
	u.Update.Status = "Failed"
	u.Update.Errors = append(u.Update.Errors, ErrorDetail{ErrorCode: code, ErrorMessage: message, ResourceIDs: resources})
}

func (s *Service) carryOut(c *clusterRecord, u *updateRecord) error {
	switch {
	case u.Version != "":
		v, _ := catalog.FindVersion(u.Version)
		c.Cluster.Version, c.Cluster.PlatformVersion = v.Minor, v.Platform
	case u.Encryption != nil:
		c.Cluster.EncryptionConfig = u.Encryption
	case u.Provider != "":
		s.settleProvider(c, u)
	case u.Config != nil:
		return s.applyConfig(c, u.Config)
	}
	return nil
}

func (s *Service) applyConfig(c *clusterRecord, in *UpdateClusterConfigInput) error {
	if in.Logging != nil {
		c.Cluster.Logging = mergeLogging(c.Cluster.Logging, in.Logging)
		if err := s.ensureLogGroup(c); err != nil {
			return err
		}
	}
	if want := in.ResourcesVPCConfig; want != nil {
		if err := s.applyVPC(c, want); err != nil {
			return err
		}
	}
	if in.AccessConfig != nil {
		c.Cluster.AccessConfig.AuthenticationMode = in.AccessConfig.AuthenticationMode
		s.admitExisting(c)
	}
	if in.DeletionProtection != nil {
		c.Cluster.DeletionProtection = in.DeletionProtection
	}
	s.applyCapabilities(&c.Cluster, in)
	return nil
}

func (s *Service) applyVPC(c *clusterRecord, want *VPCConfigRequest) error {
	have := c.Cluster.ResourcesVPCConfig
	public, private, cidrs := endpointWanted(c, want)
	have.EndpointPublicAccess, have.EndpointPrivateAccess, have.PublicAccessCIDRs = &public, &private, cidrs
	if want.ControlPlaneEgressMode != "" {
		have.ControlPlaneEgressMode = want.ControlPlaneEgressMode
	}
	if want.SubnetIDs == nil && want.SecurityGroupIDs == nil {
		return nil
	}
	if want.SubnetIDs != nil {
		have.SubnetIDs = want.SubnetIDs
	}
	if want.SecurityGroupIDs != nil {
		have.SecurityGroupIDs = want.SecurityGroupIDs
	}
	attached, err := s.neighbours.Network.Attach(s.attachRequest(c), c.Attachment)
	if err != nil {
		return err
	}
	c.Attachment = attached
	return nil
}

// applyCapabilities takes over the parts of a cluster that creation and update share.
func (s *Service) applyCapabilities(c *Cluster, in *UpdateClusterConfigInput) {
	if in.UpgradePolicy != nil && in.UpgradePolicy.SupportType != "" {
		c.UpgradePolicy = &UpgradePolicyResponse{SupportType: in.UpgradePolicy.SupportType}
	}
	if in.ZonalShiftConfig != nil {
		c.ZonalShiftConfig = &ZonalShiftConfigResponse{Enabled: new(isTrue(in.ZonalShiftConfig.Enabled))}
	}
	if in.ControlPlaneScalingConfig != nil && in.ControlPlaneScalingConfig.Tier != "" {
		c.ControlPlaneScalingConfig = in.ControlPlaneScalingConfig
	}
	if r := in.RemoteNetworkConfig; r != nil {
		c.RemoteNetworkConfig = &RemoteNetworkConfigResponse{RemoteNodeNetworks: r.RemoteNodeNetworks, RemotePodNetworks: r.RemotePodNetworks}
		if len(r.RemoteNodeNetworks) == 0 && len(r.RemotePodNetworks) == 0 {
			c.RemoteNetworkConfig = nil
		}
	}
	if p := in.ComputeConfig; p != nil {
		enabled := isTrue(p.Enabled)
		c.ComputeConfig = &ComputeConfigResponse{Enabled: &enabled, NodePools: orEmpty(slices.Clone(p.NodePools)), NodeRoleARN: p.NodeRoleARN}
		if !enabled {
			c.ComputeConfig.NodePools, c.ComputeConfig.NodeRoleARN = []string{}, ""
		}
	}
	if p := in.StorageConfig; p != nil && p.BlockStorage != nil {
		c.StorageConfig = &StorageConfigResponse{BlockStorage: &BlockStorage{Enabled: new(isTrue(p.BlockStorage.Enabled))}}
	}
	if p := in.KubernetesNetworkConfig; p != nil && p.ElasticLoadBalancing != nil {
		c.KubernetesNetworkConfig.ElasticLoadBalancing = &ElasticLoadBalancing{Enabled: new(isTrue(p.ElasticLoadBalancing.Enabled))}
	}
}
