package eks

import (
	"context"
	"slices"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

const fargateService = "eks-fargate-pods.amazonaws.com"

func (s *Service) profile(cluster, name string) (*clusterRecord, *profileRecord, error) {
	c, err := s.cluster(cluster)
	if err != nil {
		return nil, nil, err
	}
	p, ok := c.Profiles[name]
	if !ok {
		return nil, nil, subject{cluster: cluster, profile: name}.notFound("No Fargate Profile found with name: %s.", name)
	}
	return c, p, nil
}

func (s *Service) createFargateProfile(_ context.Context, _ wire.Caller, in *CreateFargateProfileInput) (*CreateFargateProfileOutput, error) {
	on := subject{cluster: in.ClusterName, profile: in.FargateProfileName}
	c, err := s.settled(in.ClusterName, on)
	if err != nil {
		return nil, err
	}
	if have, ok := c.Profiles[in.FargateProfileName]; ok {
		if in.ClientRequestToken != "" && have.Token == in.ClientRequestToken {
			return &CreateFargateProfileOutput{FargateProfile: &have.Profile}, nil
		}
		return nil, on.inUse("A Fargate Profile already exists with this name in this cluster.")
	}
	if err := c.oneProfileAtATime(on, "create", in.FargateProfileName); err != nil {
		return nil, err
	}
	if err := s.checkProfile(on, c, in); err != nil {
		return nil, err
	}
	p := &profileRecord{Token: in.ClientRequestToken, Due: s.in("eks.fargate.create"), Profile: FargateProfile{
		FargateProfileName: in.FargateProfileName, ClusterName: in.ClusterName, CreatedAt: s.now(), PodExecutionRoleARN: in.PodExecutionRoleARN,
		FargateProfileARN: s.world.ARN("eks", "fargateprofile/"+in.ClusterName+"/"+in.FargateProfileName+"/"+s.world.UUID()),
		Subnets:           in.Subnets, Selectors: in.Selectors, Status: "CREATING", Tags: ownTags(in.Tags),
		Health: &FargateProfileHealth{Issues: []FargateProfileIssue{}},
	}}
	c.Profiles[in.FargateProfileName] = p
	if c.Cluster.AccessConfig.AuthenticationMode != "CONFIG_MAP" {
		s.admit(c, in.PodExecutionRoleARN, "FARGATE_LINUX")
	}
	return &CreateFargateProfileOutput{FargateProfile: &p.Profile}, nil
}

// oneProfileAtATime refuses a second operation on Fargate profiles of a cluster
// (https://docs.aws.amazon.com/eks/latest/APIReference/API_DeleteFargateProfile.html).
func (c *clusterRecord) oneProfileAtATime(on subject, verb, name string) error {
	for other, p := range sorted(c.Profiles) {
		if st := p.Profile.Status; other != name && (st == "CREATING" || st == "DELETING") {
			return on.inUse("Cannot %s Fargate Profile %s because cluster %s currently has Fargate profile %s in status %s", verb, name, c.Cluster.Name, other, st)
		}
	}
	return nil
}

// checkProfile holds a profile to the rules of https://docs.aws.amazon.com/eks/latest/userguide/fargate-profile.html. It
// fills in the subnets of the cluster where none are asked for.
func (s *Service) checkProfile(on subject, c *clusterRecord, in *CreateFargateProfileInput) error {
	if !resourceName.MatchString(in.FargateProfileName) {
		return on.badParameter("The fargate profile name %q is not valid", in.FargateProfileName)
	}
	if p, ok := s.neighbours.Principals.Principal(in.PodExecutionRoleARN); !isRoleARN(in.PodExecutionRoleARN) || !ok || !slices.Contains(p.Trusted, fargateService) {
		return on.badParameter("Misconfigured PodExecutionRole Trust Policy; Please add the %s Service Principal", fargateService)
	}
	if len(in.Selectors) == 0 || len(in.Selectors) > 5 {
		return on.badParameter("A Fargate Profile must have between 1 and 5 selectors")
	}
	for _, sel := range in.Selectors {
		if sel.Namespace == "" {
			return on.badParameter("Each selector of a Fargate Profile must have a namespace")
		}
	}
	if len(in.Subnets) == 0 {
		in.Subnets = s.privateSubnets(c)
	}
	subnets, err := s.findSubnets(on, in.Subnets)
	if err != nil {
		return err
	}
	for _, n := range subnets {
		if n.VPC != c.Cluster.ResourcesVPCConfig.VPCID {
			return on.badParameter("Subnet %s provided in Fargate Profile is not in the VPC of the cluster", n.ID)
		}
		if n.Public {
			return on.badParameter("Subnet %s provided in Fargate Profile is not a private subnet", n.ID)
		}
	}
	return checkTags(on, in.Tags)
}

func (s *Service) privateSubnets(c *clusterRecord) []string {
	out := []string{}
	for _, id := range c.Cluster.ResourcesVPCConfig.SubnetIDs {
		if n, ok := s.neighbours.Network.Subnet(id); ok && !n.Public {
			out = append(out, id)
		}
	}
	return out
}

func (s *Service) describeFargateProfile(_ context.Context, _ wire.Caller, in *DescribeFargateProfileInput) (*DescribeFargateProfileOutput, error) {
	_, p, err := s.profile(in.ClusterName, in.FargateProfileName)
	if err != nil {
		return nil, err
	}
	return &DescribeFargateProfileOutput{FargateProfile: &p.Profile}, nil
}

func (s *Service) listFargateProfiles(_ context.Context, _ wire.Caller, in *ListFargateProfilesInput) (*ListFargateProfilesOutput, error) {
	c, err := s.cluster(in.ClusterName)
	if err != nil {
		return nil, err
	}
	found, next, err := pageNames(names(c.Profiles), in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &ListFargateProfilesOutput{FargateProfileNames: found, NextToken: next}, nil
}

func (s *Service) deleteFargateProfile(_ context.Context, _ wire.Caller, in *DeleteFargateProfileInput) (*DeleteFargateProfileOutput, error) {
	c, p, err := s.profile(in.ClusterName, in.FargateProfileName)
	if err != nil {
		return nil, err
	}
	on := subject{cluster: in.ClusterName, profile: in.FargateProfileName}
	if err := c.oneProfileAtATime(on, "delete", in.FargateProfileName); err != nil {
		return nil, err
	}
	if p.Profile.Status != "DELETING" {
		p.Profile.Status = "DELETING"
		p.Due = s.in("eks.fargate.delete")
	}
	return &DeleteFargateProfileOutput{FargateProfile: &p.Profile}, nil
}

func (s *Service) advanceProfiles(now time.Time, c *clusterRecord) bool {
	changed := false
	for name, p := range sorted(c.Profiles) {
		if !due(now, p.Due) {
			continue
		}
		switch p.Profile.Status {
		case "CREATING":
			p.Profile.Status, p.Since = "ACTIVE", now
			changed = true
		case "DELETING":
			delete(c.Profiles, name)
			c.evict(now)
			changed = true
		}
	}
	return changed
}
