package eks

import (
	"context"
	"net/url"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// associateIdentityProviderConfig adds the one OIDC provider that a cluster can have
// (https://docs.aws.amazon.com/eks/latest/userguide/authenticate-oidc-identity-provider.html).
func (s *Service) associateIdentityProviderConfig(_ context.Context, _ wire.Caller, in *AssociateIdentityProviderConfigInput) (*AssociateIdentityProviderConfigOutput, error) {
	c, err := s.cluster(in.ClusterName)
	if err != nil {
		return nil, err
	}
	if u := c.byToken(in.ClientRequestToken); u != nil {
		return &AssociateIdentityProviderConfigOutput{Update: &u.Update, Tags: ownTags(in.Tags)}, nil
	}
	on := subject{cluster: in.ClusterName}
	if err := checkProvider(on, c, in.OIDC, in.Tags); err != nil {
		return nil, err
	}
	name := in.OIDC.IdentityProviderConfigName
	u, err := s.startUpdate(c, "AssociateIdentityProviderConfig", in.ClientRequestToken, "eks.cluster.identity",
		param("IdentityProviderConfig", []IdentityProviderConfig{{Type: "oidc", Name: name}}))
	if err != nil {
		return nil, err
	}
	u.Provider = name
	c.Providers[name] = &providerRecord{Config: OIDCIdentityProviderConfig{
		IdentityProviderConfigName: name, ClusterName: in.ClusterName, IssuerURL: in.OIDC.IssuerURL, ClientID: in.OIDC.ClientID,
		IdentityProviderConfigARN: s.world.ARN("eks", "identityproviderconfig/"+in.ClusterName+"/oidc/"+name+"/"+s.world.UUID()),
		UsernameClaim:             in.OIDC.UsernameClaim, UsernamePrefix: in.OIDC.UsernamePrefix, GroupsClaim: in.OIDC.GroupsClaim,
		GroupsPrefix: in.OIDC.GroupsPrefix, RequiredClaims: in.OIDC.RequiredClaims, Tags: ownTags(in.Tags), Status: "CREATING",
	}}
	return &AssociateIdentityProviderConfigOutput{Update: &u.Update, Tags: ownTags(in.Tags)}, nil
}

func checkProvider(on subject, c *clusterRecord, in *OIDCProviderRequest, tags map[string]string) error {
	if in == nil || in.IdentityProviderConfigName == "" || in.IssuerURL == "" || in.ClientID == "" {
		return on.badParameter("Missing required parameter: oidc.identityProviderConfigName, oidc.issuerUrl and oidc.clientId are required")
	}
	for name := range sorted(c.Providers) {
		if name == in.IdentityProviderConfigName {
			return on.inUse("Identity provider config already exists with name: %s", name)
		}
		return on.badRequest("Cluster %s already has an identity provider config associated: only one is supported", c.Cluster.Name)
	}
	u, err := url.Parse(in.IssuerURL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return on.badParameter("Invalid issuerUrl %q: it must begin with https:// and must not contain query parameters", in.IssuerURL)
	}
	return checkTags(on, tags)
}

// provider finds an identity provider by type and name.
func (s *Service) provider(cluster string, ref *IdentityProviderConfig) (*clusterRecord, *providerRecord, error) {
	c, err := s.cluster(cluster)
	if err != nil {
		return nil, nil, err
	}
	on := subject{cluster: cluster}
	if ref == nil || ref.Type != "oidc" {
		return nil, nil, on.badParameter("Invalid identity provider config: the only supported type is oidc")
	}
	p, ok := c.Providers[ref.Name]
	if !ok {
		return nil, nil, on.notFound("No identity provider config found for name: %s.", ref.Name)
	}
	return c, p, nil
}

func (s *Service) describeIdentityProviderConfig(_ context.Context, _ wire.Caller, in *DescribeIdentityProviderConfigInput) (*DescribeIdentityProviderConfigOutput, error) {
	_, p, err := s.provider(in.ClusterName, in.IdentityProviderConfig)
	if err != nil {
		return nil, err
	}
	return &DescribeIdentityProviderConfigOutput{IdentityProviderConfig: &IdentityProviderConfigResponse{OIDC: &p.Config}}, nil
}

func (s *Service) listIdentityProviderConfigs(_ context.Context, _ wire.Caller, in *ListIdentityProviderConfigsInput) (*ListIdentityProviderConfigsOutput, error) {
	c, err := s.cluster(in.ClusterName)
	if err != nil {
		return nil, err
	}
	found, next, err := pageNames(names(c.Providers), in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &ListIdentityProviderConfigsOutput{IdentityProviderConfigs: []IdentityProviderConfig{}, NextToken: next}
	for _, name := range found {
		out.IdentityProviderConfigs = append(out.IdentityProviderConfigs, IdentityProviderConfig{Type: "oidc", Name: name})
	}
	return out, nil
}

func (s *Service) disassociateIdentityProviderConfig(_ context.Context, _ wire.Caller, in *DisassociateIdentityProviderConfigInput) (*DisassociateIdentityProviderConfigOutput, error) {
	c, p, err := s.provider(in.ClusterName, in.IdentityProviderConfig)
	if err != nil {
		return nil, err
	}
	if u := c.byToken(in.ClientRequestToken); u != nil {
		return &DisassociateIdentityProviderConfigOutput{Update: &u.Update}, nil
	}
	u, err := s.startUpdate(c, "DisassociateIdentityProviderConfig", in.ClientRequestToken, "eks.cluster.identity",
		param("IdentityProviderConfig", []IdentityProviderConfig{*in.IdentityProviderConfig}))
	if err != nil {
		return nil, err
	}
	u.Provider = in.IdentityProviderConfig.Name
	p.Config.Status = "DELETING"
	return &DisassociateIdentityProviderConfigOutput{Update: &u.Update}, nil
}

// settleProvider ends an association or a disassociation.
func (s *Service) settleProvider(c *clusterRecord, u *updateRecord) {
	if u.Update.Type == "DisassociateIdentityProviderConfig" {
		delete(c.Providers, u.Provider)
		return
	}
	if p, ok := c.Providers[u.Provider]; ok {
		p.Config.Status = "ACTIVE"
	}
}
