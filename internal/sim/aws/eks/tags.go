package eks

import (
	"context"
	"maps"
	"net/http"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// tagsOf finds the tags of whatever in the service has an ARN.
func (s *Service) tagsOf(arn string) (*map[string]string, error) {
	for _, c := range sorted(s.state.Clusters) {
		if c.Cluster.ARN == arn {
			return &c.Cluster.Tags, nil
		}
		if found := c.tagsOf(arn); found != nil {
			return found, nil
		}
	}
	return nil, wire.StatusErrorf(http.StatusNotFound, "NotFoundException", "No resource found for ARN: %s", arn)
}

func (c *clusterRecord) tagsOf(arn string) *map[string]string {
	for _, r := range sorted(c.Nodegroups) {
		if r.Nodegroup.NodegroupARN == arn {
			return &r.Nodegroup.Tags
		}
	}
	for _, r := range sorted(c.Addons) {
		if r.Addon.AddonARN == arn {
			return &r.Addon.Tags
		}
	}
	for _, r := range sorted(c.Entries) {
		if r.Entry.AccessEntryARN == arn {
			return &r.Entry.Tags
		}
	}
	for _, r := range sorted(c.Associations) {
		if r.Association.AssociationARN == arn {
			return &r.Association.Tags
		}
	}
	for _, r := range sorted(c.Profiles) {
		if r.Profile.FargateProfileARN == arn {
			return &r.Profile.Tags
		}
	}
	for _, r := range sorted(c.Providers) {
		if r.Config.IdentityProviderConfigARN == arn {
			return &r.Config.Tags
		}
	}
	for _, r := range sorted(c.Capabilities) {
		if r.Capability.ARN == arn {
			return &r.Capability.Tags
		}
	}
	return nil
}

func (s *Service) tagResource(_ context.Context, _ wire.Caller, in *TagResourceInput) (*TagResourceOutput, error) {
	have, err := s.tagsOf(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	next := maps.Clone(*have)
	if next == nil {
		next = map[string]string{}
	}
	maps.Copy(next, in.Tags)
	if problem := tagProblem(in.Tags); problem != "" {
		return nil, wire.Errorf("BadRequestException", "%s", problem)
	}
	if len(next) > maxTags {
		return nil, wire.Errorf("BadRequestException", "Too many tags: a resource can have at most 50 tags")
	}
	*have = next
	return &TagResourceOutput{}, nil
}

func (s *Service) untagResource(_ context.Context, _ wire.Caller, in *UntagResourceInput) (*UntagResourceOutput, error) {
	have, err := s.tagsOf(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	if len(in.TagKeys) == 0 {
		return nil, wire.Errorf("BadRequestException", "Missing required parameter: tagKeys")
	}
	next := maps.Clone(*have)
	for _, k := range in.TagKeys {
		delete(next, k)
	}
	*have = next
	return &UntagResourceOutput{}, nil
}

func (s *Service) listTagsForResource(_ context.Context, _ wire.Caller, in *ListTagsForResourceInput) (*ListTagsForResourceOutput, error) {
	have, err := s.tagsOf(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	return &ListTagsForResourceOutput{Tags: *have}, nil
}
