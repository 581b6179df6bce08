package iam

import (
	"context"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// TagRoleInput puts tags on a role.
type TagRoleInput struct {
	RoleName string
	Tags     []Tag
}

func (s *Service) tagRole(_ context.Context, _ wire.Caller, in *TagRoleInput) (*Nothing, error) {
	r, err := s.findRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	return addTags(&r.Tags, in.Tags)
}

// UntagRoleInput takes tags off a role.
type UntagRoleInput struct {
	RoleName string
	TagKeys  []string
}

func (s *Service) untagRole(_ context.Context, _ wire.Caller, in *UntagRoleInput) (*Nothing, error) {
	r, err := s.findRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	return dropTags(&r.Tags, in.TagKeys)
}

// ListRoleTagsInput asks for a role's tags.
type ListRoleTagsInput struct {
	RoleName string
	Page
}

// TagsOutput is one page of tags.
type TagsOutput struct {
	Tags []Tag `xml:"Tags>member"`
	More
}

func (s *Service) listRoleTags(_ context.Context, _ wire.Caller, in *ListRoleTagsInput) (*TagsOutput, error) {
	r, err := s.findRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	return tagsPage(r.Tags, in.Page)
}

// addTags and dropTags are the end of every tag operation: AWS changes all of the tags that were asked for, or none.
func addTags(tags *world.Tags, add []Tag) (*Nothing, error) {
	next, err := checkTags(*tags, add)
	if err != nil {
		return nil, err
	}
	*tags = next
	return &Nothing{}, nil
}

func dropTags(tags *world.Tags, keys []string) (*Nothing, error) {
	*tags = tags.Without(keys...)
	return &Nothing{}, nil
}

func tagsPage(tags world.Tags, p Page) (*TagsOutput, error) {
	part, more, err := paginate(showTags(tags), func(t Tag) string { return t.Key }, p)
	if err != nil {
		return nil, err
	}
	return &TagsOutput{Tags: part, More: more}, nil
}
