package eks

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks/catalog"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// startUpdate begins an update of a cluster, unless the cluster is not in a state for it. An earlier update with the same
// token is the answer to a repeated request.
func (s *Service) startUpdate(c *clusterRecord, kind, token, duration string, params ...UpdateParam) (*updateRecord, error) {
	on := subject{cluster: c.Cluster.Name}
	if u := c.inFlight(); u != nil {
		return nil, on.inUse("Cannot %s because cluster %s currently has update %s in progress", kind, c.Cluster.Name, u.Update.ID)
	}
	if c.Cluster.Status != "ACTIVE" {
		return nil, on.inUse("Cannot %s because cluster %s is currently %s", kind, c.Cluster.Name, c.Cluster.Status)
	}
	u := s.newUpdate(kind, token, duration, params)
	c.Updates = append(c.Updates, u)
	c.Cluster.Status = "UPDATING"
	return u, nil
}

func (s *Service) newUpdate(kind, token, duration string, params []UpdateParam) *updateRecord {
	return &updateRecord{
		Update: Update{ID: s.world.UUID(), Status: "InProgress", Type: kind, Params: params, CreatedAt: s.now(), Errors: []ErrorDetail{}},
		Token:  token, Due: s.in(duration),
	}
}

func param(name string, value any) UpdateParam {
	if text, ok := value.(string); ok {
		return UpdateParam{Type: name, Value: text}
	}
	raw, err := json.Marshal(value)
	if err != nil {
		raw = fmt.Append(nil, value)
	}
	return UpdateParam{Type: name, Value: string(raw)}
}

func (s *Service) updateClusterVersion(_ context.Context, _ wire.Caller, in *UpdateClusterVersionInput) (*UpdateClusterVersionOutput, error) {
	c, err := s.cluster(in.Name)
	if err != nil {
		return nil, err
	}
	if u := c.byToken(in.ClientRequestToken); u != nil {
		return &UpdateClusterVersionOutput{Update: &u.Update}, nil
	}
	u, err := s.startVersion(c, in)
	if err != nil {
		return nil, err
	}
	return &UpdateClusterVersionOutput{Update: &u.Update}, nil
}

func (s *Service) startVersion(c *clusterRecord, in *UpdateClusterVersionInput) (*updateRecord, error) {
	if in.RollbackConfig != nil {
		return nil, wire.Unsupported("rollback of a cluster's version")
	}
	// A running update is named before anything that is wrong with the request itself.
	if c.inFlight() == nil {
		if err := s.checkVersionUpdate(c, in.Version, isTrue(in.Force)); err != nil {
			return nil, err
		}
	}
	version, _ := catalog.FindVersion(in.Version)
	u, err := s.startUpdate(c, "VersionUpdate", in.ClientRequestToken, "eks.cluster.version",
		param("Version", in.Version), param("PlatformVersion", version.Platform))
	if err != nil {
		return nil, err
	}
	u.Version = in.Version
	s.tellPlane(c)
	return u, nil
}

// checkVersionUpdate lets a control plane go up by one minor version, if its nodes are not too old for the new one
// (https://docs.aws.amazon.com/eks/latest/userguide/update-cluster.html).
func (s *Service) checkVersionUpdate(c *clusterRecord, version string, force bool) error {
	on := subject{cluster: c.Cluster.Name}
	v, ok := catalog.FindVersion(version)
	if !ok || v.Support(s.world.Now()) == catalog.Unsupported {
		return on.badParameter("unsupported Kubernetes version")
	}
	if version != catalog.Next(c.Cluster.Version) {
		return on.badParameter("Unsupported Kubernetes minor version update from %s to %s", c.Cluster.Version, version)
	}
	var old []string
	for name, g := range sorted(c.Nodegroups) {
		if catalog.Minor(version)-catalog.Minor(g.Nodegroup.Version) > maxKubeletSkew {
			old = append(old, name)
		}
	}
	if len(old) > 0 {
		return on.badRequest("Nodegroups %s must be updated to match cluster version %s before updating cluster version", strings.Join(old, ", "), c.Cluster.Version)
	}
	if !force && s.blocksUpgrade(c) {
		return on.badState("Amazon EKS detected upgrade readiness issues. Verify that all upgrade insights are passing, or override them with the force flag.")
	}
	return nil
}

// maxKubeletSkew is how many minor versions a kubelet may be behind the API server
// (https://kubernetes.io/releases/version-skew-policy/#kubelet).
const maxKubeletSkew = 3

func (s *Service) updateClusterConfig(_ context.Context, _ wire.Caller, in *UpdateClusterConfigInput) (*UpdateClusterConfigOutput, error) {
	c, err := s.cluster(in.Name)
	if err != nil {
		return nil, err
	}
	if u := c.byToken(in.ClientRequestToken); u != nil {
		return &UpdateClusterConfigOutput{Update: &u.Update}, nil
	}
	u, err := s.startConfig(c, in)
	if err != nil {
		return nil, err
	}
	return &UpdateClusterConfigOutput{Update: &u.Update}, nil
}

func (s *Service) startConfig(c *clusterRecord, in *UpdateClusterConfigInput) (*updateRecord, error) {
	only, err := s.onlyAspect(c, in)
	if err != nil {
		return nil, err
	}
	if c.inFlight() == nil {
		if err := only.check(); err != nil {
			return nil, err
		}
	}
	u, err := s.startUpdate(c, only.kind, in.ClientRequestToken, "eks.cluster.config", only.params...)
	if err != nil {
		return nil, err
	}
	u.Config = in
	return u, nil
}

// aspect is the one thing that an UpdateClusterConfig changes.
type aspect struct {
	kind   string
	check  func() error
	params []UpdateParam
}

// onlyAspect finds out which update a request means. The API takes one kind at a time.
func (s *Service) onlyAspect(c *clusterRecord, in *UpdateClusterConfigInput) (aspect, error) {
	on := subject{cluster: c.Cluster.Name}
	found := slices.Concat(s.networkAspects(c, in), s.policyAspects(c, in), s.autoModeAspect(c, in))
	switch len(found) {
	case 0:
		return aspect{}, on.badParameter("Invalid type for cluster update.")
	case 1:
		return found[0], nil
	default:
		return aspect{}, on.badParameter("Only one type of update can be allowed.")
	}
}

func (s *Service) networkAspects(c *clusterRecord, in *UpdateClusterConfigInput) (out []aspect) {
	on, want := subject{cluster: c.Cluster.Name}, in.ResourcesVPCConfig
	if want != nil && (want.EndpointPublicAccess != nil || want.EndpointPrivateAccess != nil || want.PublicAccessCIDRs != nil) {
		out = append(out, aspect{kind: "EndpointAccessUpdate", check: func() error { return checkEndpointUpdate(on, c, want) }, params: endpointParams(c, want)})
	}
	if want != nil && (want.SubnetIDs != nil || want.SecurityGroupIDs != nil) {
		out = append(out, aspect{kind: "VpcConfigUpdate", check: func() error { return s.checkVPCUpdate(on, c, want) }, params: vpcParams(want)})
	}
	if want != nil && want.ControlPlaneEgressMode != "" {
		out = append(out, aspect{kind: "ControlPlaneEgressUpdate", check: func() error { return checkEndpoints(on, want, true, true) }, params: []UpdateParam{param("ControlPlaneEgressMode", want.ControlPlaneEgressMode)}})
	}
	if in.RemoteNetworkConfig != nil {
		out = append(out, aspect{kind: "RemoteNetworkConfigUpdate", check: func() error { return checkRemoteNetworks(on, in.RemoteNetworkConfig) }, params: []UpdateParam{param("RemoteNetworkConfig", in.RemoteNetworkConfig)}})
	}
	return out
}

func (s *Service) policyAspects(c *clusterRecord, in *UpdateClusterConfigInput) (out []aspect) {
	on := subject{cluster: c.Cluster.Name}
	add := func(present bool, kind, name string, value any, check func() error) {
		if present {
			out = append(out, aspect{kind: kind, check: check, params: []UpdateParam{param(name, value)}})
		}
	}
	add(in.Logging != nil, "LoggingUpdate", "ClusterLogging", in.Logging, func() error { return checkLoggingUpdate(on, c, in.Logging) })
	add(in.AccessConfig != nil, "AccessConfigUpdate", "AuthenticationMode", accessMode(in.AccessConfig), func() error { return checkModeUpdate(on, c, accessMode(in.AccessConfig)) })
	add(in.UpgradePolicy != nil, "UpgradePolicyUpdate", "UpgradePolicy", in.UpgradePolicy, func() error {
		v, _ := catalog.FindVersion(c.Cluster.Version)
		return s.checkUpgradePolicy(on, in.UpgradePolicy, v.Support(s.world.Now()))
	})
	add(in.ZonalShiftConfig != nil, "ZonalShiftConfigUpdate", "ZonalShiftConfig", in.ZonalShiftConfig, func() error {
		if in.ZonalShiftConfig.Enabled == nil {
			return on.badParameter("Missing required parameter: zonalShiftConfig.enabled")
		}
		return nil
	})
	add(in.DeletionProtection != nil, "DeletionProtectionUpdate", "DeletionProtection", in.DeletionProtection, func() error { return nil })
	if tier := in.ControlPlaneScalingConfig; tier != nil {
		out = append(out, aspect{kind: "ControlPlaneScalingConfigUpdate", check: func() error { return checkTier(on, tier) }, params: []UpdateParam{
			param("UpdatedTier", tier.Tier), param("PreviousTier", c.Cluster.ControlPlaneScalingConfig.Tier),
		}})
	}
	return out
}

func (s *Service) autoModeAspect(c *clusterRecord, in *UpdateClusterConfigInput) []aspect {
	if in.ComputeConfig == nil && in.StorageConfig == nil && in.KubernetesNetworkConfig == nil {
		return nil
	}
	on := subject{cluster: c.Cluster.Name}
	return []aspect{{
		kind: "AutoModeUpdate",
		check: func() error {
			if n := in.KubernetesNetworkConfig; n != nil && (n.ServiceIPv4CIDR != "" || n.IPFamily != "") {
				return on.badParameter("serviceIpv4Cidr and ipFamily can't be changed after the cluster is created")
			}
			if c.Cluster.AccessConfig.AuthenticationMode == "CONFIG_MAP" {
				return on.badParameter("EKS Auto Mode requires the authentication mode of the cluster to be one of [API, API_AND_CONFIG_MAP]")
			}
			if err := checkNodeRole(on, c.Cluster.ComputeConfig, in.ComputeConfig); err != nil {
				return err
			}
			return checkAutoMode(on, in.ComputeConfig, in.StorageConfig, in.KubernetesNetworkConfig)
		},
		params: []UpdateParam{
			param("ComputeConfig", in.ComputeConfig), param("StorageConfig", in.StorageConfig), param("KubernetesNetworkConfig", in.KubernetesNetworkConfig),
		},
	}}
}

func accessMode(in *UpdateAccessConfigRequest) string {
	if in == nil {
		return ""
	}
	return in.AuthenticationMode
}

// checkModeUpdate lets the authentication mode go only forward, one step at a time
// (https://docs.aws.amazon.com/eks/latest/userguide/setting-up-access-entries.html).
func checkModeUpdate(on subject, c *clusterRecord, mode string) error {
	way := []string{"CONFIG_MAP", "API_AND_CONFIG_MAP", "API"}
	if err := checkEnum(on, "accessConfig.authenticationMode", mode, way...); err != nil || mode == "" {
		return on.badParameter("Invalid authentication mode %q", mode)
	}
	have := c.Cluster.AccessConfig.AuthenticationMode
	if slices.Index(way, mode) != slices.Index(way, have)+1 {
		return on.badParameter("Unsupported authentication mode update from %s to %s", have, mode)
	}
	return nil
}

func checkLoggingUpdate(on subject, c *clusterRecord, in *Logging) error {
	if err := checkLogging(on, in); err != nil {
		return err
	}
	if slices.Equal(enabledLogs(c.Cluster.Logging), enabledLogs(mergeLogging(c.Cluster.Logging, in))) {
		return on.badParameter("No changes needed for the logging config provided")
	}
	return nil
}

func (s *Service) checkVPCUpdate(on subject, c *clusterRecord, want *VPCConfigRequest) error {
	have := c.Cluster.ResourcesVPCConfig
	subnets, groups := have.SubnetIDs, have.SecurityGroupIDs
	if want.SubnetIDs != nil {
		subnets = want.SubnetIDs
	}
	if want.SecurityGroupIDs != nil {
		groups = want.SecurityGroupIDs
	}
	if _, err := s.checkNetwork(on, subnets, groups, have.VPCID); err != nil {
		return err
	}
	if sameSet(subnets, have.SubnetIDs) && sameSet(groups, have.SecurityGroupIDs) {
		return on.badParameter("Cluster is already at the desired configuration with subnetIds: [%s] and securityGroupIds: [%s]", strings.Join(subnets, ", "), strings.Join(groups, ", "))
	}
	return nil
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
