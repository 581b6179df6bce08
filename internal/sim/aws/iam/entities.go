package iam

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// ListEntitiesForPolicyInput asks who has a managed policy.
type ListEntitiesForPolicyInput struct {
	PolicyARN         string `form:"PolicyArn"`
	EntityFilter      string
	PathPrefix        string
	PolicyUsageFilter string
	Page
}

// PolicyRole is a role that has a policy.
type PolicyRole struct {
	RoleName string
	RoleID   string `xml:"RoleId"`
}

// PolicyUser is a user that has a policy.
type PolicyUser struct {
	UserName string
	UserID   string `xml:"UserId"`
}

// PolicyGroup is a group that has a policy.
type PolicyGroup struct {
	GroupName string
	GroupID   string `xml:"GroupId"`
}

// ListEntitiesForPolicyOutput is one page of them. There are no groups here, and users have no policies.
type ListEntitiesForPolicyOutput struct {
	PolicyGroups []PolicyGroup `xml:"PolicyGroups>member"`
	PolicyUsers  []PolicyUser  `xml:"PolicyUsers>member"`
	PolicyRoles  []PolicyRole  `xml:"PolicyRoles>member"`
	More
}

func (s *Service) listEntitiesForPolicy(_ context.Context, _ wire.Caller, in *ListEntitiesForPolicyInput) (*ListEntitiesForPolicyOutput, error) {
	if _, ok := s.findPolicy(in.PolicyARN); !ok {
		return nil, noSuchPolicy(in.PolicyARN)
	}
	all := []PolicyRole{}
	for _, key := range slices.Sorted(maps.Keys(s.state.Roles)) {
		r := s.state.Roles[key]
		has := in.PolicyUsageFilter != "PermissionsBoundary" && slices.Contains(r.Attached, in.PolicyARN) ||
			in.PolicyUsageFilter != "PermissionsPolicy" && r.Boundary == in.PolicyARN
		if has && strings.HasPrefix(r.Path, in.PathPrefix) && (in.EntityFilter == "" || in.EntityFilter == "Role") {
			all = append(all, PolicyRole{RoleName: r.Name, RoleID: r.ID})
		}
	}
	part, more, err := paginate(all, func(r PolicyRole) string { return fold(r.RoleName) }, in.Page)
	if err != nil {
		return nil, err
	}
	return &ListEntitiesForPolicyOutput{PolicyRoles: part, More: more}, nil
}

// TagPolicyInput puts tags on a managed policy.
type TagPolicyInput struct {
	PolicyARN string `form:"PolicyArn"`
	Tags      []Tag
}

func (s *Service) tagPolicy(_ context.Context, _ wire.Caller, in *TagPolicyInput) (*Nothing, error) {
	p, err := s.findOwnPolicy(in.PolicyARN)
	if err != nil {
		return nil, err
	}
	return addTags(&p.Tags, in.Tags)
}

// UntagPolicyInput takes tags off a managed policy.
type UntagPolicyInput struct {
	PolicyARN string `form:"PolicyArn"`
	TagKeys   []string
}

func (s *Service) untagPolicy(_ context.Context, _ wire.Caller, in *UntagPolicyInput) (*Nothing, error) {
	p, err := s.findOwnPolicy(in.PolicyARN)
	if err != nil {
		return nil, err
	}
	return dropTags(&p.Tags, in.TagKeys)
}

func (s *Service) listPolicyTags(_ context.Context, _ wire.Caller, in *PolicyPageInput) (*TagsOutput, error) {
	p, ok := s.findPolicy(in.PolicyARN)
	if !ok {
		return nil, noSuchPolicy(in.PolicyARN)
	}
	return tagsPage(p.Tags, in.Page)
}
