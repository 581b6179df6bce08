package eks

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

const podIdentityService = "pods.eks.amazonaws.com"

func (s *Service) association(cluster, id string) (*clusterRecord, *associationRecord, error) {
	c, err := s.cluster(cluster)
	if err != nil {
		return nil, nil, err
	}
	a, ok := c.Associations[id]
	if !ok {
		return nil, nil, subject{cluster: cluster}.notFound("Association not found: %s", id)
	}
	return c, a, nil
}

func (s *Service) createPodIdentityAssociation(_ context.Context, _ wire.Caller, in *CreatePodIdentityAssociationInput) (*CreatePodIdentityAssociationOutput, error) {
	on := subject{cluster: in.ClusterName}
	c, err := s.settled(in.ClusterName, on)
	if err != nil {
		return nil, err
	}
	if have := c.associationOf(in.Namespace, in.ServiceAccount); have != nil {
		if in.ClientRequestToken != "" && have.Token == in.ClientRequestToken {
			return &CreatePodIdentityAssociationOutput{Association: &have.Association}, nil
		}
		return nil, on.inUse("Association already exists: %s", have.Association.AssociationID)
	}
	if err := s.checkAssociation(on, in); err != nil {
		return nil, err
	}
	a := s.associate(c, in, "")
	return &CreatePodIdentityAssociationOutput{Association: &a.Association}, nil
}

func (c *clusterRecord) associationOf(namespace, account string) *associationRecord {
	for _, a := range sorted(c.Associations) {
		if a.Association.Namespace == namespace && a.Association.ServiceAccount == account {
			return a
		}
	}
	return nil
}

// checkAssociation holds an association to the rules of
// https://docs.aws.amazon.com/eks/latest/userguide/pod-id-association.html.
func (s *Service) checkAssociation(on subject, in *CreatePodIdentityAssociationInput) error {
	if !namespaceName.MatchString(in.Namespace) {
		return on.badParameter("Invalid namespace: %q", in.Namespace)
	}
	if in.ServiceAccount == "" || len(in.ServiceAccount) > 253 {
		return on.badParameter("Invalid serviceAccount: %q", in.ServiceAccount)
	}
	if err := s.checkPodRole(on, in.RoleARN); err != nil {
		return err
	}
	if in.TargetRoleARN != "" && !isRoleARN(in.TargetRoleARN) {
		return on.badParameter("Invalid targetRoleArn: %q", in.TargetRoleARN)
	}
	if err := checkSessionPolicy(on, in.Policy, in.DisableSessionTags); err != nil {
		return err
	}
	return checkTags(on, in.Tags)
}

func (s *Service) checkPodRole(on subject, arn string) error {
	p, ok := s.neighbours.Principals.Principal(arn)
	if !isRoleARN(arn) || !ok {
		return on.badParameter("Role provided in the request does not exist.")
	}
	if !slices.Contains(p.Trusted, podIdentityService) || !allows(p.Actions, "sts:AssumeRole") || !allows(p.Actions, "sts:TagSession") {
		return on.badParameter("Trust policy of the role provided in the request must allow %s to perform sts:AssumeRole and sts:TagSession.", podIdentityService)
	}
	return nil
}

func allows(actions []string, action string) bool {
	return slices.ContainsFunc(actions, func(a string) bool { return a == "*" || a == "sts:*" || strings.EqualFold(a, action) })
}

func checkSessionPolicy(on subject, policy string, withoutTags *bool) error {
	if policy == "" {
		return nil
	}
	if !json.Valid([]byte(policy)) {
		return on.badParameter("Invalid policy: it is not valid JSON")
	}
	if !isTrue(withoutTags) {
		return on.badParameter("disableSessionTags must be true when a policy is specified")
	}
	return nil
}

// associate makes an association; owner is the ARN of the add-on it belongs to, if any.
func (s *Service) associate(c *clusterRecord, in *CreatePodIdentityAssociationInput, owner string) *associationRecord {
	id := "a-" + strings.ToLower(s.world.Upper(17))
	a := &associationRecord{Token: in.ClientRequestToken, Association: PodIdentityAssociation{
		ClusterName: c.Cluster.Name, Namespace: in.Namespace, ServiceAccount: in.ServiceAccount, RoleARN: in.RoleARN,
		AssociationARN: s.world.ARN("eks", "podidentityassociation/"+c.Cluster.Name+"/"+id), AssociationID: id, Tags: ownTags(in.Tags),
		CreatedAt: s.now(), ModifiedAt: s.now(), OwnerARN: owner, DisableSessionTags: new(isTrue(in.DisableSessionTags)),
		TargetRoleARN: in.TargetRoleARN, Policy: in.Policy,
	}}
	if in.TargetRoleARN != "" {
		a.Association.ExternalID = s.externalID(c, a)
	}
	c.Associations[id] = a
	return a
}

// externalID is what the target role's trust policy asks for.
func (s *Service) externalID(c *clusterRecord, a *associationRecord) string {
	return strings.Join([]string{s.world.Region, s.world.Account, c.Cluster.Name, a.Association.Namespace, a.Association.ServiceAccount, s.world.Hex(8)}, "/")
}

func (s *Service) describePodIdentityAssociation(_ context.Context, _ wire.Caller, in *DescribePodIdentityAssociationInput) (*DescribePodIdentityAssociationOutput, error) {
	_, a, err := s.association(in.ClusterName, in.AssociationID)
	if err != nil {
		return nil, err
	}
	return &DescribePodIdentityAssociationOutput{Association: &a.Association}, nil
}

func (s *Service) listPodIdentityAssociations(_ context.Context, _ wire.Caller, in *ListPodIdentityAssociationsInput) (*ListPodIdentityAssociationsOutput, error) {
	c, err := s.cluster(in.ClusterName)
	if err != nil {
		return nil, err
	}
	all := []PodIdentityAssociationSummary{}
	for _, id := range slices.Sorted(maps.Keys(c.Associations)) {
		a := c.Associations[id].Association
		if (in.Namespace != "" && a.Namespace != in.Namespace) || (in.ServiceAccount != "" && a.ServiceAccount != in.ServiceAccount) {
			continue
		}
		all = append(all, PodIdentityAssociationSummary{
			ClusterName: a.ClusterName, Namespace: a.Namespace, ServiceAccount: a.ServiceAccount,
			AssociationARN: a.AssociationARN, AssociationID: a.AssociationID, OwnerARN: a.OwnerARN,
		})
	}
	found, next, err := page(all, func(a PodIdentityAssociationSummary) string { return a.AssociationID }, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &ListPodIdentityAssociationsOutput{Associations: found, NextToken: next}, nil
}

func (s *Service) updatePodIdentityAssociation(_ context.Context, _ wire.Caller, in *UpdatePodIdentityAssociationInput) (*UpdatePodIdentityAssociationOutput, error) {
	c, a, err := s.association(in.ClusterName, in.AssociationID)
	if err != nil {
		return nil, err
	}
	on := subject{cluster: in.ClusterName}
	if in.RoleARN != "" {
		if err := s.checkPodRole(on, in.RoleARN); err != nil {
			return nil, err
		}
	}
	next := a.Association
	if in.DisableSessionTags != nil {
		next.DisableSessionTags = in.DisableSessionTags
	}
	if in.Policy != "" {
		next.Policy = in.Policy
	}
	if err := checkSessionPolicy(on, next.Policy, next.DisableSessionTags); err != nil {
		return nil, err
	}
	if in.RoleARN != "" {
		next.RoleARN = in.RoleARN
	}
	if in.TargetRoleARN != "" {
		next.TargetRoleARN = in.TargetRoleARN
		if next.ExternalID == "" {
			next.ExternalID = s.externalID(c, a)
		}
	}
	next.ModifiedAt = s.now()
	a.Association = next
	return &UpdatePodIdentityAssociationOutput{Association: &a.Association}, nil
}

func (s *Service) deletePodIdentityAssociation(_ context.Context, _ wire.Caller, in *DeletePodIdentityAssociationInput) (*DeletePodIdentityAssociationOutput, error) {
	c, a, err := s.association(in.ClusterName, in.AssociationID)
	if err != nil {
		return nil, err
	}
	s.dissociate(c, a)
	return &DeletePodIdentityAssociationOutput{Association: &a.Association}, nil
}

// dissociate removes an association, also from the add-on that it belongs to.
func (s *Service) dissociate(c *clusterRecord, a *associationRecord) {
	delete(c.Associations, a.Association.AssociationID)
	for _, addon := range sorted(c.Addons) {
		addon.Addon.PodIdentityAssociations = slices.DeleteFunc(addon.Addon.PodIdentityAssociations, func(arn string) bool { return arn == a.Association.AssociationARN })
	}
}
