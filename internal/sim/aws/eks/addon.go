package eks

import (
	"context"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks/catalog"
	"github.com/eks-gitops/reconciler/internal/sim/aws/eks/schema"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

func addon(c *clusterRecord, name string) (*addonRecord, error) {
	a, ok := c.Addons[name]
	if !ok {
		return nil, subject{cluster: c.Cluster.Name, addon: name}.notFound("No addon: %s found in cluster: %s", name, c.Cluster.Name)
	}
	return a, nil
}

func (s *Service) createAddon(_ context.Context, _ wire.Caller, in *CreateAddonInput) (*CreateAddonOutput, error) {
	on := subject{cluster: in.ClusterName, addon: in.AddonName}
	c, err := s.settled(in.ClusterName, on)
	if err != nil {
		return nil, err
	}
	if have, ok := c.Addons[in.AddonName]; ok {
		if in.ClientRequestToken != "" && have.Token == in.ClientRequestToken {
			return &CreateAddonOutput{Addon: &have.Addon}, nil
		}
		return nil, on.inUse("Addon already exists.")
	}
	offered, err := s.checkAddon(on, c, in)
	if err != nil {
		return nil, err
	}
	r := s.newAddon(c, in, offered)
	c.Addons[in.AddonName] = r
	for _, p := range in.PodIdentityAssociations {
		r.Addon.PodIdentityAssociations = append(r.Addon.PodIdentityAssociations, s.associateAddon(c, r, p))
	}
	s.tellPlane(c)
	return &CreateAddonOutput{Addon: &r.Addon}, nil
}

// checkAddon holds a request to the rules of https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateAddon.html and fills
// in the default version.
func (s *Service) checkAddon(on subject, c *clusterRecord, in *CreateAddonInput) (catalog.Addon, error) {
	offered, ok := catalog.FindAddon(in.AddonName)
	if !ok {
		return offered, on.badParameter("Addon specified is not supported")
	}
	if in.AddonVersion == "" {
		v, _ := offered.DefaultFor(c.Cluster.Version)
		in.AddonVersion = v.Version
	}
	if err := checkAddonVersion(on, offered, in.AddonVersion, c.Cluster.Version); err != nil {
		return offered, err
	}
	if err := checkEnum(on, "resolveConflicts", in.ResolveConflicts, "OVERWRITE", "NONE", "PRESERVE"); err != nil {
		return offered, err
	}
	if err := checkConfiguration(on, offered, in.ConfigurationValues); err != nil {
		return offered, err
	}
	if err := s.checkAddonRole(on, in.ServiceAccountRoleARN); err != nil {
		return offered, err
	}
	if n := in.NamespaceConfig; n != nil && n.Namespace != "" && !namespaceName.MatchString(n.Namespace) {
		return offered, on.badParameter("Invalid namespace: %q", n.Namespace)
	}
	if err := s.checkAddonIdentities(on, c, in.PodIdentityAssociations, in.AddonName, ""); err != nil {
		return offered, err
	}
	return offered, checkTags(on, in.Tags)
}

func checkAddonVersion(on subject, offered catalog.Addon, version, minor string) error {
	v, ok := offered.Find(version)
	if !ok || !v.Compatible(minor) {
		return on.badParameter("Addon version specified is not supported")
	}
	return nil
}

// checkConfiguration validates values by the schema that DescribeAddonConfiguration shows.
func checkConfiguration(on subject, offered catalog.Addon, values string) error {
	if values == "" {
		return nil
	}
	compiled, err := schema.Parse(offered.Schema)
	if err != nil {
		return err
	}
	doc, err := schema.Document(values)
	if err != nil {
		return on.badParameter("ConfigurationValue provided in request is not supported: it is neither valid JSON nor valid YAML")
	}
	if found := compiled.Check(doc); len(found) > 0 {
		return on.badParameter("ConfigurationValue provided in request is not supported: Json schema validation failed with error: [%s]", strings.Join(found, ", "))
	}
	return nil
}

func (s *Service) checkAddonRole(on subject, arn string) error {
	if arn == "" {
		return nil
	}
	if _, ok := s.neighbours.Principals.Principal(arn); !isRoleARN(arn) || !ok {
		return on.badParameter("ServiceAccountRoleArn %s is not valid: the role does not exist", arn)
	}
	return nil
}

// checkAddonIdentities holds associations of an add-on to the rules of associations, and to the add-on's service accounts.
// owner is the ARN of the add-on whose own associations may be there already.
func (s *Service) checkAddonIdentities(on subject, c *clusterRecord, in []AddonPodIdentityAssociations, name, owner string) error {
	offered, _ := catalog.FindAddon(name)
	seen := map[string]bool{}
	for _, p := range in {
		if p.ServiceAccount == "" || seen[p.ServiceAccount] {
			return on.badParameter("podIdentityAssociations must have one entry for each serviceAccount")
		}
		seen[p.ServiceAccount] = true
		if !knowsAccount(offered, p.ServiceAccount) {
			return on.badParameter("Addon %s does not support pod identity for service account %s", name, p.ServiceAccount)
		}
		if err := s.checkPodRole(on, p.RoleARN); err != nil {
			return err
		}
		if have := c.associationOf(addonNamespace(c, name), p.ServiceAccount); have != nil && (owner == "" || have.Association.OwnerARN != owner) {
			return on.inUse("Association already exists: %s", have.Association.AssociationID)
		}
	}
	return nil
}

func knowsAccount(offered catalog.Addon, account string) bool {
	for _, i := range offered.Identities {
		if i.ServiceAccount == account {
			return true
		}
	}
	return false
}

func addonNamespace(c *clusterRecord, name string) string {
	if a, ok := c.Addons[name]; ok {
		return a.Addon.NamespaceConfig.Namespace
	}
	offered, _ := catalog.FindAddon(name)
	return offered.Namespace
}

func (s *Service) newAddon(c *clusterRecord, in *CreateAddonInput, offered catalog.Addon) *addonRecord {
	namespace := offered.Namespace
	if in.NamespaceConfig != nil && in.NamespaceConfig.Namespace != "" {
		namespace = in.NamespaceConfig.Namespace
	}
	resolve := in.ResolveConflicts
	if resolve == "" {
		resolve = "NONE"
	}
	return &addonRecord{Token: in.ClientRequestToken, Resolve: resolve, Since: s.world.Now(), Rolled: s.world.Now(), Due: s.in("eks.addon.create"), Addon: Addon{
		AddonName: in.AddonName, ClusterName: in.ClusterName, Status: "CREATING", AddonVersion: in.AddonVersion,
		Health: &AddonHealth{Issues: []AddonIssue{}}, CreatedAt: s.now(), ModifiedAt: s.now(),
		AddonARN:              s.world.ARN("eks", "addon/"+c.Cluster.Name+"/"+in.AddonName+"/"+s.world.UUID()),
		ServiceAccountRoleARN: in.ServiceAccountRoleARN, Tags: ownTags(in.Tags), ConfigurationValues: in.ConfigurationValues,
		NamespaceConfig: &AddonNamespaceConfigResponse{Namespace: namespace},
	}}
}

// associateAddon makes an association that belongs to an add-on, or changes the role of the one there is.
func (s *Service) associateAddon(c *clusterRecord, r *addonRecord, p AddonPodIdentityAssociations) string {
	namespace := r.Addon.NamespaceConfig.Namespace
	if have := c.associationOf(namespace, p.ServiceAccount); have != nil {
		if have.Association.RoleARN != p.RoleARN {
			have.Association.RoleARN, have.Association.ModifiedAt = p.RoleARN, s.now()
		}
		return have.Association.AssociationARN
	}
	a := s.associate(c, &CreatePodIdentityAssociationInput{Namespace: namespace, ServiceAccount: p.ServiceAccount, RoleARN: p.RoleARN}, r.Addon.AddonARN)
	return a.Association.AssociationARN
}

func (s *Service) describeAddon(_ context.Context, _ wire.Caller, in *DescribeAddonInput) (*DescribeAddonOutput, error) {
	c, err := s.cluster(in.ClusterName)
	if err != nil {
		return nil, err
	}
	a, err := addon(c, in.AddonName)
	if err != nil {
		return nil, err
	}
	return &DescribeAddonOutput{Addon: &a.Addon}, nil
}

func (s *Service) listAddons(_ context.Context, _ wire.Caller, in *ListAddonsInput) (*ListAddonsOutput, error) {
	c, err := s.cluster(in.ClusterName)
	if err != nil {
		return nil, err
	}
	found, next, err := pageNames(names(c.Addons), in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &ListAddonsOutput{Addons: found, NextToken: next}, nil
}
