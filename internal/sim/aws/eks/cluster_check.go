package eks

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks/catalog"
)

// logTypes are all of the control plane's, in the order in which the API shows them.
func logTypes() []string {
	return []string{"api", "audit", "authenticator", "controllerManager", "scheduler"}
}

func checkLogging(on subject, in *Logging) error {
	if in == nil {
		return nil
	}
	for _, setup := range in.ClusterLogging {
		for _, t := range setup.Types {
			if err := checkEnum(on, "logging.clusterLogging.types", t, logTypes()...); err != nil || t == "" {
				return on.badParameter("Invalid log type %q", t)
			}
		}
	}
	return nil
}

// mergeLogging switches what was asked for in what there is; types that were not named stay as they are.
func mergeLogging(have, change *Logging) *Logging {
	on := map[string]bool{}
	for _, l := range []*Logging{have, change} {
		if l == nil {
			continue
		}
		for _, setup := range l.ClusterLogging {
			for _, t := range setup.Types {
				on[t] = isTrue(setup.Enabled)
			}
		}
	}
	var enabled, disabled []string
	for _, t := range logTypes() {
		if on[t] {
			enabled = append(enabled, t)
		} else {
			disabled = append(disabled, t)
		}
	}
	out := &Logging{}
	if len(enabled) > 0 {
		out.ClusterLogging = append(out.ClusterLogging, LogSetup{Types: enabled, Enabled: new(true)})
	}
	if len(disabled) > 0 {
		out.ClusterLogging = append(out.ClusterLogging, LogSetup{Types: disabled, Enabled: new(false)})
	}
	return out
}

func enabledLogs(l *Logging) []string {
	for _, setup := range l.ClusterLogging {
		if isTrue(setup.Enabled) {
			return setup.Types
		}
	}
	return nil
}

// checkEncryption holds encryptionConfig to the rules of https://docs.aws.amazon.com/eks/latest/userguide/enable-kms.html.
func (s *Service) checkEncryption(on subject, in []EncryptionConfig) error {
	if len(in) > 1 {
		return on.badParameter("Only one encryption config can be specified")
	}
	for _, e := range in {
		if !slices.Equal(e.Resources, []string{"secrets"}) {
			return on.badParameter("The only supported value of resources in encryptionConfig is [secrets]")
		}
		if e.Provider == nil || e.Provider.KeyARN == "" {
			return on.badParameter("Missing required parameter: encryptionConfig.provider.keyArn")
		}
		_, state, ok := s.neighbours.Keys.Key(e.Provider.KeyARN)
		if !ok {
			return on.badParameter("The keyArn in encryptionConfig provider is invalid: the key %s does not exist", e.Provider.KeyARN)
		}
		if state != "Enabled" {
			return on.badParameter("The keyArn in encryptionConfig provider is invalid: the key %s is %s", e.Provider.KeyARN, state)
		}
	}
	return nil
}

// checkAutoMode holds the three parts of Auto Mode together
// (https://docs.aws.amazon.com/eks/latest/APIReference/API_ComputeConfigRequest.html).
func checkAutoMode(on subject, compute *ComputeConfigRequest, storage *StorageConfigRequest, network *KubernetesNetworkConfigRequest) error {
	parts := autoModeParts(compute, storage, network)
	if len(parts) > 0 && (len(parts) != 3 || isTrue(parts[0]) != isTrue(parts[1]) || isTrue(parts[1]) != isTrue(parts[2])) {
		return on.badParameter("For EKS Auto Mode, please ensure that all required configs, including computeConfig, kubernetesNetworkConfig, and blockStorage are all either fully enabled or fully disabled.")
	}
	if compute == nil {
		return nil
	}
	for _, pool := range compute.NodePools {
		if pool != "general-purpose" && pool != "system" {
			return on.badParameter("Invalid node pool %q: supported values are [general-purpose, system]", pool)
		}
	}
	if isTrue(compute.Enabled) && len(compute.NodePools) > 0 && !isRoleARN(compute.NodeRoleARN) {
		return on.badParameter("nodeRoleArn is required when nodePools are specified")
	}
	return nil
}

// checkNodeRole keeps the role that the nodes of Auto Mode have
// (https://docs.aws.amazon.com/eks/latest/APIReference/API_ComputeConfigRequest.html).
func checkNodeRole(on subject, have *ComputeConfigResponse, want *ComputeConfigRequest) error {
	if have == nil || want == nil || !isTrue(have.Enabled) || !isTrue(want.Enabled) {
		return nil
	}
	if have.NodeRoleARN != "" && want.NodeRoleARN != "" && have.NodeRoleARN != want.NodeRoleARN {
		return on.badParameter("nodeRoleArn can't be changed after the compute capability of EKS Auto Mode is enabled")
	}
	return nil
}

// autoModeParts are the switches of Auto Mode that a request sets.
func autoModeParts(compute *ComputeConfigRequest, storage *StorageConfigRequest, network *KubernetesNetworkConfigRequest) (parts []*bool) {
	if compute != nil {
		parts = append(parts, compute.Enabled)
	}
	if storage != nil && storage.BlockStorage != nil {
		parts = append(parts, storage.BlockStorage.Enabled)
	}
	if network != nil && network.ElasticLoadBalancing != nil {
		parts = append(parts, network.ElasticLoadBalancing.Enabled)
	}
	return parts
}

func checkRemoteNetworks(on subject, in *RemoteNetworkConfigRequest) error {
	if in == nil {
		return nil
	}
	var cidrs []string
	for _, n := range in.RemoteNodeNetworks {
		cidrs = append(cidrs, n.CIDRs...)
	}
	for _, n := range in.RemotePodNetworks {
		cidrs = append(cidrs, n.CIDRs...)
	}
	for _, c := range cidrs {
		if p, err := netip.ParsePrefix(c); err != nil || !p.Addr().IsPrivate() {
			return on.badParameter("Invalid CIDR %q in remoteNetworkConfig: must be a private IPv4 range", c)
		}
	}
	return nil
}

func checkTier(on subject, in *ControlPlaneScalingConfig) error {
	if in == nil {
		return nil
	}
	return checkEnum(on, "controlPlaneScalingConfig.tier", in.Tier, "standard", "tier-xl", "tier-2xl", "tier-4xl", "tier-8xl")
}

func (s *Service) checkUpgradePolicy(on subject, in *UpgradePolicyRequest, support catalog.Support) error {
	if in == nil {
		return nil
	}
	if err := checkEnum(on, "upgradePolicy.supportType", in.SupportType, "STANDARD", "EXTENDED"); err != nil {
		return err
	}
	if in.SupportType == "STANDARD" && support == catalog.Extended {
		return on.badParameter("The upgrade policy STANDARD is not supported for a Kubernetes version in extended support")
	}
	return nil
}

// checkServiceRole says whether a service may assume a role.
func (s *Service) checkServiceRole(on subject, arn, service string) error {
	p, ok := s.neighbours.Principals.Principal(arn)
	if !isRoleARN(arn) || !ok || !slices.Contains(p.Trusted, service) {
		return on.badParameter("Role with arn: %s, could not be assumed because it does not exist or the trusted entity is not correct", arn)
	}
	return nil
}

// checkEndpoints holds endpoint access to the rules of
// https://docs.aws.amazon.com/eks/latest/userguide/cluster-endpoint.html; public and private are what holds where the
// request says nothing.
func checkEndpoints(on subject, in *VPCConfigRequest, public, private bool) error {
	public, private = boolOr(in.EndpointPublicAccess, public), boolOr(in.EndpointPrivateAccess, private)
	if !public && !private {
		return on.badParameter("Private and public endpoint access cannot be false")
	}
	if !public && len(in.PublicAccessCIDRs) > 0 {
		return on.badParameter("publicAccessCidrs can't be specified when endpointPublicAccess is false")
	}
	if len(in.PublicAccessCIDRs) > 40 {
		return on.limit("The number of publicAccessCidrs exceeds the limit of 40")
	}
	var wrong []string
	for _, c := range in.PublicAccessCIDRs {
		p, err := netip.ParsePrefix(c)
		if err != nil || (p.Bits() > 0 && (p.Addr().IsPrivate() || p.Addr().IsLoopback() || p.Addr().IsMulticast() || p.Addr().IsLinkLocalUnicast())) {
			wrong = append(wrong, c)
		}
	}
	if len(wrong) > 0 {
		return on.badParameter("The following CIDRs are invalid in publicAccessCidrs: [%s]", strings.Join(wrong, ", "))
	}
	return checkEnum(on, "resourcesVpcConfig.controlPlaneEgressMode", in.ControlPlaneEgressMode, "AWS_MANAGED", "CUSTOMER_ROUTED", "CUSTOMER_ISOLATED")
}

// checkNetwork holds subnets and security groups to the rules of
// https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html. vpc is where they must be, if that is fixed already: that of a
// cluster that is there.
func (s *Service) checkNetwork(on subject, subnetIDs, groupIDs []string, vpc string) ([]Subnet, error) {
	subnets, err := s.findSubnets(on, subnetIDs)
	if err != nil {
		return nil, err
	}
	if err := s.checkZones(on, subnets, vpc == ""); err != nil {
		return nil, err
	}
	if vpc == "" {
		vpc = subnets[0].VPC
	}
	for _, n := range subnets {
		if n.VPC != vpc {
			return nil, on.badParameter("Provided subnets belong to different VPCs: subnet %s is in %s, not in %s", n.ID, n.VPC, vpc)
		}
	}
	if len(groupIDs) > 4 {
		return nil, on.limit("The maximum number of security groups of a cluster is 4")
	}
	for _, id := range groupIDs {
		in, ok := s.neighbours.Network.SecurityGroup(id)
		if !ok {
			return nil, on.badParameter("The security group '%s' does not exist", id)
		}
		if in != vpc {
			return nil, on.badParameter("Security group(s) [%s] are not in the same VPC as the subnets.", id)
		}
	}
	return subnets, nil
}

func (s *Service) findSubnets(on subject, ids []string) ([]Subnet, error) {
	if len(ids) == 0 {
		return nil, on.badParameter("Subnets specified must be in at least two different AZs")
	}
	out := make([]Subnet, 0, len(ids))
	for _, id := range ids {
		n, ok := s.neighbours.Network.Subnet(id)
		if !ok {
			return nil, on.badParameter("The subnet ID '%s' does not exist", id)
		}
		out = append(out, n)
	}
	return out, nil
}
