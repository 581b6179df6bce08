package eks

import (
	"context"
	"fmt"

	cfn "github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
)

// clusterProvider is AWS::EKS::Cluster. The physical id is the cluster's name.
type clusterProvider struct{ s *Service }

func (p clusterProvider) Create(_ context.Context, r cfn.Resource) (string, error) {
	in := &CreateClusterInput{}
	if err := decode(r.Properties, in, "Tags", "Logging", "Force"); err != nil {
		return "", err
	}
	if in.Name == "" {
		in.Name = r.GeneratedName(100)
	}
	in.Logging = stackLogging(r.Properties["Logging"])
	in.Tags, _ = resourceTags(r)
	if _, err := p.s.create(p.s.state.StackCreators[r.StackName], in); err != nil {
		return "", err
	}
	c := p.s.state.Clusters[in.Name]
	p.s.tag(c.Cluster.ARN, &c.Cluster.Tags, r)
	return in.Name, nil
}

// stackLogging converts Logging, which lists the enabled types in objects of their own.
func stackLogging(v any) *Logging {
	m, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	var in struct {
		ClusterLogging struct{ EnabledTypes []struct{ Type string } }
	}
	if err := cfn.Decode(m, &in); err != nil {
		return nil
	}
	types := []string{}
	for _, t := range in.ClusterLogging.EnabledTypes {
		types = append(types, t.Type)
	}
	return &Logging{ClusterLogging: []LogSetup{{Types: types, Enabled: new(true)}}}
}

// queued is an update that a stack wants after the running one.
type queued struct {
	Version string                    `json:",omitzero"`
	Config  *UpdateClusterConfigInput `json:",omitzero"`
}

// Update turns what changed into updates of the API, which are carried out one after the other.
func (p clusterProvider) Update(_ context.Context, r cfn.Resource, old map[string]any) error {
	c, err := p.s.cluster(r.PhysicalID)
	if err != nil {
		return err
	}
	p.s.tag(c.Cluster.ARN, &c.Cluster.Tags, r)
	want := &CreateClusterInput{}
	if err := decode(r.Properties, want, "Tags", "Logging", "Force"); err != nil {
		return err
	}
	c.Queue = nil
	if changed(old, r.Properties, "Version") && want.Version != "" && want.Version != c.Cluster.Version {
		c.Queue = append(c.Queue, queued{Version: want.Version})
	}
	for _, config := range clusterChanges(old, r.Properties, want) {
		c.Queue = append(c.Queue, queued{Config: config})
	}
	return p.s.startQueued(c)
}

// clusterChanges splits a change of properties into updates of one kind each.
func clusterChanges(old, now map[string]any, want *CreateClusterInput) (out []*UpdateClusterConfigInput) {
	add := func(property string, u UpdateClusterConfigInput) {
		if changed(old, now, property) {
			out = append(out, &u)
		}
	}
	add("Logging", UpdateClusterConfigInput{Logging: wholeLogging(now["Logging"])})
	if want.AccessConfig != nil && want.AccessConfig.AuthenticationMode != "" {
		add("AccessConfig", UpdateClusterConfigInput{AccessConfig: &UpdateAccessConfigRequest{AuthenticationMode: want.AccessConfig.AuthenticationMode}})
	}
	add("UpgradePolicy", UpdateClusterConfigInput{UpgradePolicy: want.UpgradePolicy})
	add("ZonalShiftConfig", UpdateClusterConfigInput{ZonalShiftConfig: want.ZonalShiftConfig})
	add("RemoteNetworkConfig", UpdateClusterConfigInput{RemoteNetworkConfig: want.RemoteNetworkConfig})
	add("ControlPlaneScalingConfig", UpdateClusterConfigInput{ControlPlaneScalingConfig: want.ControlPlaneScalingConfig})
	add("DeletionProtection", UpdateClusterConfigInput{DeletionProtection: new(isTrue(want.DeletionProtection))})
	if changed(old, now, "ComputeConfig", "StorageConfig", "KubernetesNetworkConfig") {
		u := &UpdateClusterConfigInput{ComputeConfig: want.ComputeConfig, StorageConfig: want.StorageConfig}
		if n := want.KubernetesNetworkConfig; n != nil && n.ElasticLoadBalancing != nil {
			u.KubernetesNetworkConfig = &KubernetesNetworkConfigRequest{ElasticLoadBalancing: n.ElasticLoadBalancing}
		}
		out = append(out, u)
	}
	before, _ := old["ResourcesVpcConfig"].(map[string]any)
	after, _ := now["ResourcesVpcConfig"].(map[string]any)
	if v := want.ResourcesVPCConfig; v != nil {
		if changed(before, after, "EndpointPublicAccess", "EndpointPrivateAccess", "PublicAccessCidrs") {
			out = append(out, &UpdateClusterConfigInput{ResourcesVPCConfig: &VPCConfigRequest{
				EndpointPublicAccess: v.EndpointPublicAccess, EndpointPrivateAccess: v.EndpointPrivateAccess, PublicAccessCIDRs: v.PublicAccessCIDRs,
			}})
		}
		if changed(before, after, "SubnetIds", "SecurityGroupIds") {
			out = append(out, &UpdateClusterConfigInput{ResourcesVPCConfig: &VPCConfigRequest{SubnetIDs: v.SubnetIDs, SecurityGroupIDs: v.SecurityGroupIDs}})
		}
	}
	return out
}

// wholeLogging names every log type, since a template says all that shall be on.
func wholeLogging(v any) *Logging {
	enabled := stackLogging(v)
	all := &Logging{ClusterLogging: []LogSetup{{Types: logTypes(), Enabled: new(false)}}}
	return mergeLogging(all, enabled)
}

// startQueued starts the next update that a stack wants. One that finds nothing to do is skipped.
func (s *Service) startQueued(c *clusterRecord) error {
	for len(c.Queue) > 0 && c.inFlight() == nil {
		next := c.Queue[0]
		c.Queue = c.Queue[1:]
		if err := s.startNext(c, next); err != nil {
			c.Queue = nil
			return err
		}
	}
	return nil
}

func (s *Service) startNext(c *clusterRecord, next queued) error {
	if next.Version != "" {
		_, err := s.startVersion(c, &UpdateClusterVersionInput{Version: next.Version})
		return err
	}
	_, err := s.startConfig(c, next.Config)
	if alreadySo(err) {
		return nil
	}
	return err
}

func (p clusterProvider) Delete(ctx context.Context, r cfn.Resource) error {
	_, err := p.s.deleteCluster(ctx, noCaller(), &DeleteClusterInput{Name: r.PhysicalID})
	return gone(err)
}

func (p clusterProvider) Status(_ context.Context, r cfn.Resource) (cfn.Status, error) {
	c, ok := p.s.state.Clusters[r.PhysicalID]
	if !ok {
		return cfn.Status{Phase: cfn.Absent}, nil
	}
	out := cfn.Status{Phase: cfn.InProgress, Attributes: map[string]any{
		"Arn": c.Cluster.ARN, "Id": c.ID, "Endpoint": c.Cluster.Endpoint, "CertificateAuthorityData": c.Cluster.CertificateAuthority.Data,
		"ClusterSecurityGroupId": c.Attachment.SecurityGroupID, "OpenIdConnectIssuerUrl": c.Cluster.Identity.OIDC.Issuer, "EncryptionConfigKeyArn": "",
		"KubernetesNetworkConfig.ServiceIpv6Cidr": c.Cluster.KubernetesNetworkConfig.ServiceIPv6CIDR,
	}}
	if e := c.Cluster.EncryptionConfig; len(e) > 0 {
		out.Attributes["EncryptionConfigKeyArn"] = e[0].Provider.KeyARN
	}
	switch {
	case c.Cluster.Status == "FAILED":
		out.Phase, out.Reason = cfn.Failed, "Resource handler returned message: \"Cluster creation failed\""
		for _, i := range c.Cluster.Health.Issues {
			out.Reason = i.Message
		}
	case c.Cluster.Status == "ACTIVE" && len(c.Queue) == 0:
		out.Phase = cfn.Ready
		if u := c.lastUpdate(); u != nil && u.Update.Status == "Failed" {
			out.Phase, out.Reason = cfn.Failed, updateReason(u)
		}
	}
	return out, nil
}

// lastUpdate is the last update of the cluster itself.
func (c *clusterRecord) lastUpdate() *updateRecord {
	var last *updateRecord
	for _, u := range c.Updates {
		if u.ofCluster() {
			last = u
		}
	}
	return last
}

func updateReason(u *updateRecord) string {
	for _, e := range u.Update.Errors {
		return fmt.Sprintf("%s (ErrorCode: %s)", e.ErrorMessage, e.ErrorCode)
	}
	return "Update failed"
}
