package eks

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks/catalog"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

func (s *Service) createCluster(_ context.Context, c wire.Caller, in *CreateClusterInput) (*CreateClusterOutput, error) {
	return s.create(c.ARN, in)
}

// create makes a cluster for a principal.
func (s *Service) create(creator string, in *CreateClusterInput) (*CreateClusterOutput, error) {
	on := subject{cluster: in.Name}
	if have, ok := s.state.Clusters[in.Name]; ok {
		if in.ClientRequestToken != "" && have.Cluster.ClientRequestToken == in.ClientRequestToken {
			return &CreateClusterOutput{Cluster: &have.Cluster}, nil
		}
		return nil, on.inUse("Cluster already exists with name: %s", in.Name)
	}
	if in.Version == "" {
		in.Version = catalog.DefaultVersion().Minor
	}
	subnets, err := s.checkCreate(on, in)
	if err != nil {
		return nil, err
	}
	r := s.newRecord(creator, in, subnets)
	attached, err := s.neighbours.Network.Attach(s.attachRequest(r), Attachment{})
	if err != nil {
		return nil, on.badParameter("%v", err)
	}
	r.Attachment = attached
	r.Cluster.ResourcesVPCConfig.ClusterSecurityGroupID = attached.SecurityGroupID
	s.state.Clusters[in.Name] = r
	if err := s.ensureLogGroup(r); err != nil {
		return nil, err
	}
	out := r.Cluster
	access := *r.Cluster.AccessConfig
	access.BootstrapClusterCreatorAdminPermissions = &r.BootstrapAdmin
	out.AccessConfig = &access
	return &CreateClusterOutput{Cluster: &out}, nil
}

func (s *Service) checkCreate(on subject, in *CreateClusterInput) ([]Subnet, error) {
	if !clusterName.MatchString(in.Name) {
		return nil, on.badParameter("The cluster name '%s' doesn't match the pattern %s", in.Name, clusterName)
	}
	if in.OutpostConfig != nil {
		return nil, wire.Unsupported("Outposts")
	}
	version, ok := catalog.FindVersion(in.Version)
	support := version.Support(s.world.Now())
	if !ok || support == catalog.Unsupported {
		return nil, on.badParameter("unsupported Kubernetes version")
	}
	if err := s.checkUpgradePolicy(on, in.UpgradePolicy, support); err != nil {
		return nil, err
	}
	if err := s.checkServiceRole(on, in.RoleARN, "eks.amazonaws.com"); err != nil {
		return nil, err
	}
	for _, check := range []func() error{
		func() error { return checkTags(on, in.Tags) },
		func() error { return checkLogging(on, in.Logging) },
		func() error { return s.checkEncryption(on, in.EncryptionConfig) },
		func() error { return checkAutoMode(on, in.ComputeConfig, in.StorageConfig, in.KubernetesNetworkConfig) },
		func() error { return checkRemoteNetworks(on, in.RemoteNetworkConfig) },
		func() error { return checkTier(on, in.ControlPlaneScalingConfig) },
		func() error { return s.checkAccessAtCreate(on, in) },
	} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	if in.ResourcesVPCConfig == nil {
		return nil, on.badParameter("Missing required parameter: resourcesVpcConfig")
	}
	if err := checkEndpoints(on, in.ResourcesVPCConfig, true, false); err != nil {
		return nil, err
	}
	subnets, err := s.checkNetwork(on, in.ResourcesVPCConfig.SubnetIDs, in.ResourcesVPCConfig.SecurityGroupIDs, "")
	if err != nil {
		return nil, err
	}
	return subnets, checkServiceNetwork(on, in.KubernetesNetworkConfig, subnets[0])
}

func (s *Service) checkAccessAtCreate(on subject, in *CreateClusterInput) error {
	mode := ""
	if in.AccessConfig != nil {
		mode = in.AccessConfig.AuthenticationMode
	}
	if err := checkEnum(on, "accessConfig.authenticationMode", mode, "API", "API_AND_CONFIG_MAP", "CONFIG_MAP"); err != nil {
		return err
	}
	if in.ComputeConfig != nil && isTrue(in.ComputeConfig.Enabled) {
		if mode != "API" && mode != "API_AND_CONFIG_MAP" {
			return on.badParameter("EKS Auto Mode requires the authentication mode of the cluster to be one of [API, API_AND_CONFIG_MAP]")
		}
		if boolOr(in.BootstrapSelfManagedAddons, true) {
			return on.badParameter("When EKS Auto Mode is enabled, bootstrapSelfManagedAddons must be set to false")
		}
	}
	return nil
}

// newRecord is the cluster as it is when the request has been accepted.
func (s *Service) newRecord(creator string, in *CreateClusterInput, subnets []Subnet) *clusterRecord {
	version, _ := catalog.FindVersion(in.Version)
	r := &clusterRecord{ID: s.world.Upper(32), Creator: creator, BootstrapAdmin: true, Due: s.in("eks.cluster.create")}
	fillMaps(r)
	mode := "CONFIG_MAP"
	if a := in.AccessConfig; a != nil {
		r.BootstrapAdmin = boolOr(a.BootstrapClusterCreatorAdminPermissions, true)
		if a.AuthenticationMode != "" {
			mode = a.AuthenticationMode
		}
	}
	deletionProtection := isTrue(in.DeletionProtection)
	r.Cluster = Cluster{
		Name: in.Name, ARN: s.world.ARN("eks", "cluster/"+in.Name), CreatedAt: s.now(), Version: in.Version, RoleARN: in.RoleARN,
		PlatformVersion: version.Platform, Status: "CREATING", ClientRequestToken: in.ClientRequestToken, Tags: ownTags(in.Tags),
		ResourcesVPCConfig:      newVPCConfig(in.ResourcesVPCConfig, subnets[0].VPC, in.KubernetesNetworkConfig),
		KubernetesNetworkConfig: newServiceNetwork(in.KubernetesNetworkConfig, subnets[0]),
		Logging:                 mergeLogging(nil, in.Logging), Identity: &ClusterIdentity{OIDC: &OIDCIdentity{Issuer: s.issuer(r.ID)}},
		CertificateAuthority: &Certificate{}, EncryptionConfig: in.EncryptionConfig, Health: &ClusterHealth{Issues: []ClusterIssue{}},
		AccessConfig: &AccessConfigResponse{AuthenticationMode: mode}, UpgradePolicy: &UpgradePolicyResponse{SupportType: "EXTENDED"},
		DeletionProtection: &deletionProtection, ControlPlaneScalingConfig: &ControlPlaneScalingConfig{Tier: "standard"},
	}
	s.applyCapabilities(&r.Cluster, &UpdateClusterConfigInput{
		UpgradePolicy: in.UpgradePolicy, ZonalShiftConfig: in.ZonalShiftConfig, RemoteNetworkConfig: in.RemoteNetworkConfig,
		ComputeConfig: in.ComputeConfig, StorageConfig: in.StorageConfig, KubernetesNetworkConfig: in.KubernetesNetworkConfig,
		ControlPlaneScalingConfig: in.ControlPlaneScalingConfig,
	})
	if boolOr(in.BootstrapSelfManagedAddons, true) {
		for _, name := range []string{"coredns", "kube-proxy", "vpc-cni"} {
			addon, _ := catalog.FindAddon(name)
			v, _ := addon.DefaultFor(in.Version)
			r.Kept[name] = Software{Name: name, Version: v.Version, Namespace: addon.Namespace, SelfManaged: true}
		}
	}
	return r
}

func newVPCConfig(in *VPCConfigRequest, vpc string, network *KubernetesNetworkConfigRequest) *VPCConfigResponse {
	public, private := boolOr(in.EndpointPublicAccess, true), isTrue(in.EndpointPrivateAccess)
	cidrs := in.PublicAccessCIDRs
	if len(cidrs) == 0 && public {
		cidrs = everywhere(network != nil && network.IPFamily == "ipv6")
	}
	if !public {
		cidrs = []string{}
	}
	return &VPCConfigResponse{
		SubnetIDs: in.SubnetIDs, SecurityGroupIDs: orEmpty(in.SecurityGroupIDs), VPCID: vpc, EndpointPublicAccess: &public,
		EndpointPrivateAccess: &private, PublicAccessCIDRs: cidrs, ControlPlaneEgressMode: in.ControlPlaneEgressMode,
	}
}

func everywhere(ipv6 bool) []string {
	if ipv6 {
		return []string{"0.0.0.0/0", "::/0"}
	}
	return []string{"0.0.0.0/0"}
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// newServiceNetwork picks the Service addresses: what was asked for, else one of EKS's two blocks that the VPC does not use.
func newServiceNetwork(in *KubernetesNetworkConfigRequest, subnet Subnet) *KubernetesNetworkConfigResponse {
	off := false
	out := &KubernetesNetworkConfigResponse{IPFamily: "ipv4", ElasticLoadBalancing: &ElasticLoadBalancing{Enabled: &off}}
	if in != nil && in.IPFamily == "ipv6" {
		out.IPFamily, out.ServiceIPv6CIDR = "ipv6", "fd30:1c53:5f8a::/108"
		return out
	}
	if in != nil && in.ServiceIPv4CIDR != "" {
		out.ServiceIPv4CIDR = in.ServiceIPv4CIDR
		return out
	}
	out.ServiceIPv4CIDR = "10.100.0.0/16"
	if slices.ContainsFunc(subnet.VPCCIDRs, func(c string) bool { return strings.HasPrefix(c, "10.") }) {
		out.ServiceIPv4CIDR = "172.20.0.0/16"
	}
	return out
}

// checkServiceNetwork holds serviceIpv4Cidr to the rules of KubernetesNetworkConfigRequest.
func checkServiceNetwork(on subject, in *KubernetesNetworkConfigRequest, subnet Subnet) error {
	if in == nil {
		return nil
	}
	if err := checkEnum(on, "kubernetesNetworkConfig.ipFamily", in.IPFamily, "ipv4", "ipv6"); err != nil {
		return err
	}
	if in.IPFamily == "ipv6" && !subnet.IPv6 {
		return on.badParameter("Subnets must have an IPv6 CIDR block for a cluster whose ipFamily is ipv6")
	}
	if in.ServiceIPv4CIDR == "" {
		return nil
	}
	if in.IPFamily == "ipv6" {
		return on.badParameter("serviceIpv4Cidr can't be specified when ipFamily is ipv6")
	}
	return checkServiceBlock(on, in.ServiceIPv4CIDR, subnet.VPCCIDRs)
}

func checkServiceBlock(on subject, cidr string, vpc []string) error {
	block, err := netip.ParsePrefix(cidr)
	if err != nil || !block.Addr().Is4() || block.Masked() != block {
		return on.badParameter("Invalid serviceIpv4Cidr: %s", cidr)
	}
	if block.Bits() < 12 || block.Bits() > 24 {
		return on.badParameter("serviceIpv4Cidr must be between /24 and /12")
	}
	private := []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"}
	if !slices.ContainsFunc(private, func(p string) bool { return netip.MustParsePrefix(p).Contains(block.Addr()) }) {
		return on.badParameter("serviceIpv4Cidr must be within one of the private IP address blocks %s", strings.Join(private, ", "))
	}
	for _, c := range vpc {
		if p, err := netip.ParsePrefix(c); err == nil && p.Overlaps(block) {
			return on.badParameter("serviceIpv4Cidr %s overlaps with CIDR block %s of the VPC", cidr, c)
		}
	}
	return nil
}

func (s *Service) attachRequest(r *clusterRecord) AttachRequest {
	tags := map[string]string{"Name": "eks-cluster-sg-" + r.Cluster.Name + "-" + r.ID[:8], "kubernetes.io/cluster/" + r.Cluster.Name: "owned", "aws:eks:cluster-name": r.Cluster.Name}
	return AttachRequest{
		Cluster: r.Cluster.Name, VPC: r.Cluster.ResourcesVPCConfig.VPCID, SubnetIDs: r.Cluster.ResourcesVPCConfig.SubnetIDs,
		SecurityGroupIDs: r.Cluster.ResourcesVPCConfig.SecurityGroupIDs, Tags: tags,
	}
}
