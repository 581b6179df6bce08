package eks

import (
	"context"
	"strings"

	cfn "github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
)

// entryProvider is AWS::EKS::AccessEntry. The physical id is PRINCIPAL|CLUSTER.
type entryProvider struct{ s *Service }

// policies reads AccessPolicies.
func policies(properties map[string]any) ([]AssociateAccessPolicyInput, error) {
	var in struct{ AccessPolicies []any }
	if err := cfn.Decode(properties, &in); err != nil {
		return nil, err
	}
	out := make([]AssociateAccessPolicyInput, 0, len(in.AccessPolicies))
	for _, e := range in.AccessPolicies {
		m, _ := e.(map[string]any)
		one := AssociateAccessPolicyInput{}
		if err := decode(m, &one); err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

func (p entryProvider) Create(ctx context.Context, r cfn.Resource) (string, error) {
	in := &CreateAccessEntryInput{}
	if err := decode(r.Properties, in, "Tags", "AccessPolicies"); err != nil {
		return "", err
	}
	want, err := policies(r.Properties)
	if err != nil {
		return "", err
	}
	in.Tags, _ = resourceTags(r)
	made, err := p.s.createAccessEntry(ctx, noCaller(), in)
	if err != nil {
		return "", err
	}
	p.s.tag(made.AccessEntry.AccessEntryARN, &made.AccessEntry.Tags, r)
	if err := p.associate(ctx, in.ClusterName, in.PrincipalARN, want); err != nil {
		_, _ = p.s.deleteAccessEntry(ctx, noCaller(), &DeleteAccessEntryInput{ClusterName: in.ClusterName, PrincipalARN: in.PrincipalARN})
		return "", err
	}
	return in.PrincipalARN + "|" + in.ClusterName, nil
}

func (p entryProvider) associate(ctx context.Context, cluster, principal string, want []AssociateAccessPolicyInput) error {
	for _, one := range want {
		one.ClusterName, one.PrincipalARN = cluster, principal
		if _, err := p.s.associateAccessPolicy(ctx, noCaller(), &one); err != nil {
			return err
		}
	}
	return nil
}

func (p entryProvider) Update(ctx context.Context, r cfn.Resource, old map[string]any) error {
	principal, cluster := split(r.PhysicalID)
	_, e, err := p.s.entry(cluster, principal)
	if err != nil {
		return err
	}
	want, err := policies(r.Properties)
	if err != nil {
		return err
	}
	p.s.tag(e.Entry.AccessEntryARN, &e.Entry.Tags, r)
	if changed(old, r.Properties, "KubernetesGroups", "Username") {
		in := &UpdateAccessEntryInput{}
		if err := decode(r.Properties, in, "Tags", "AccessPolicies", "Type"); err != nil {
			return err
		}
		in.KubernetesGroups = orEmpty(in.KubernetesGroups)
		if _, err := p.s.updateAccessEntry(ctx, noCaller(), in); err != nil {
			return err
		}
	}
	keep := map[string]bool{}
	for _, one := range want {
		keep[one.PolicyARN] = true
	}
	for arn := range sorted(e.Policies) {
		if !keep[arn] {
			delete(e.Policies, arn)
		}
	}
	return p.associate(ctx, cluster, principal, want)
}

func (p entryProvider) Delete(ctx context.Context, r cfn.Resource) error {
	principal, cluster := split(r.PhysicalID)
	_, err := p.s.deleteAccessEntry(ctx, noCaller(), &DeleteAccessEntryInput{ClusterName: cluster, PrincipalARN: principal})
	return gone(err)
}

func (p entryProvider) Status(_ context.Context, r cfn.Resource) (cfn.Status, error) {
	principal, cluster := split(r.PhysicalID)
	_, e, err := p.s.entry(cluster, principal)
	if err != nil {
		return cfn.Status{Phase: cfn.Absent}, nil //nolint:nilerr // not there is an answer
	}
	return cfn.Status{Phase: cfn.Ready, Attributes: map[string]any{"AccessEntryArn": e.Entry.AccessEntryARN}}, nil
}

// associationProvider is AWS::EKS::PodIdentityAssociation. The physical id is its ARN.
type associationProvider struct{ s *Service }

// association takes an ARN like ...:podidentityassociation/CLUSTER/ID apart.
func association(arn string) (cluster, id string) {
	parts := strings.Split(arn, "/")
	if len(parts) != 3 {
		return "", ""
	}
	return parts[1], parts[2]
}

func (p associationProvider) Create(ctx context.Context, r cfn.Resource) (string, error) {
	in := &CreatePodIdentityAssociationInput{}
	if err := decode(r.Properties, in, "Tags"); err != nil {
		return "", err
	}
	in.Tags, _ = resourceTags(r)
	made, err := p.s.createPodIdentityAssociation(ctx, noCaller(), in)
	if err != nil {
		return "", err
	}
	p.s.tag(made.Association.AssociationARN, &made.Association.Tags, r)
	return made.Association.AssociationARN, nil
}

func (p associationProvider) Update(ctx context.Context, r cfn.Resource, old map[string]any) error {
	cluster, id := association(r.PhysicalID)
	_, a, err := p.s.association(cluster, id)
	if err != nil {
		return err
	}
	p.s.tag(a.Association.AssociationARN, &a.Association.Tags, r)
	if !changed(old, r.Properties, "RoleArn", "TargetRoleArn", "DisableSessionTags", "Policy") {
		return nil
	}
	in := &UpdatePodIdentityAssociationInput{}
	if err := decode(r.Properties, in, "Tags", "Namespace", "ServiceAccount"); err != nil {
		return err
	}
	in.AssociationID = id
	_, err = p.s.updatePodIdentityAssociation(ctx, noCaller(), in)
	return err
}

func (p associationProvider) Delete(ctx context.Context, r cfn.Resource) error {
	cluster, id := association(r.PhysicalID)
	_, err := p.s.deletePodIdentityAssociation(ctx, noCaller(), &DeletePodIdentityAssociationInput{ClusterName: cluster, AssociationID: id})
	return gone(err)
}

func (p associationProvider) Status(_ context.Context, r cfn.Resource) (cfn.Status, error) {
	cluster, id := association(r.PhysicalID)
	_, a, err := p.s.association(cluster, id)
	if err != nil {
		return cfn.Status{Phase: cfn.Absent}, nil //nolint:nilerr // not there is an answer
	}
	return cfn.Status{Phase: cfn.Ready, Attributes: map[string]any{
		"AssociationArn": a.Association.AssociationARN, "AssociationId": id, "ExternalId": a.Association.ExternalID,
	}}, nil
}

// identityProvider is AWS::EKS::IdentityProviderConfig. The physical id is NAME|CLUSTER|oidc.
type identityProvider struct{ s *Service }

func (p identityProvider) Create(ctx context.Context, r cfn.Resource) (string, error) {
	in := &AssociateIdentityProviderConfigInput{ClusterName: text(r.Properties["ClusterName"]), OIDC: &OIDCProviderRequest{}}
	oidc, _ := r.Properties["Oidc"].(map[string]any)
	if err := decode(oidc, in.OIDC, "RequiredClaims"); err != nil {
		return "", err
	}
	in.OIDC.RequiredClaims = pairs(oidc["RequiredClaims"])
	in.OIDC.IdentityProviderConfigName = text(r.Properties["IdentityProviderConfigName"])
	if in.OIDC.IdentityProviderConfigName == "" {
		in.OIDC.IdentityProviderConfigName = r.GeneratedName(63)
	}
	in.Tags, _ = resourceTags(r)
	if _, err := p.s.associateIdentityProviderConfig(ctx, noCaller(), in); err != nil {
		return "", gone(err)
	}
	made := p.s.state.Clusters[in.ClusterName].Providers[in.OIDC.IdentityProviderConfigName]
	p.s.tag(made.Config.IdentityProviderConfigARN, &made.Config.Tags, r)
	return in.OIDC.IdentityProviderConfigName + "|" + in.ClusterName + "|oidc", nil
}

func (p identityProvider) find(id string) (*providerRecord, error) {
	parts := append(strings.Split(id, "|"), "", "")
	_, r, err := p.s.provider(parts[1], &IdentityProviderConfig{Type: "oidc", Name: parts[0]})
	return r, err
}

func (p identityProvider) Update(_ context.Context, r cfn.Resource, _ map[string]any) error {
	have, err := p.find(r.PhysicalID)
	if err != nil {
		return err
	}
	p.s.tag(have.Config.IdentityProviderConfigARN, &have.Config.Tags, r)
	return nil
}

func (p identityProvider) Delete(ctx context.Context, r cfn.Resource) error {
	have, err := p.find(r.PhysicalID)
	if err != nil || have.Config.Status == "DELETING" {
		return gone(err)
	}
	_, err = p.s.disassociateIdentityProviderConfig(ctx, noCaller(), &DisassociateIdentityProviderConfigInput{
		ClusterName: have.Config.ClusterName, IdentityProviderConfig: &IdentityProviderConfig{Type: "oidc", Name: have.Config.IdentityProviderConfigName},
	})
	return gone(err)
}

func (p identityProvider) Status(_ context.Context, r cfn.Resource) (cfn.Status, error) {
	have, err := p.find(r.PhysicalID)
	if err != nil {
		return cfn.Status{Phase: cfn.Absent}, nil //nolint:nilerr // not there is an answer
	}
	out := cfn.Status{Phase: cfn.InProgress, Attributes: map[string]any{"IdentityProviderConfigArn": have.Config.IdentityProviderConfigARN}}
	if have.Config.Status == "ACTIVE" {
		out.Phase = cfn.Ready
	}
	return out, nil
}
