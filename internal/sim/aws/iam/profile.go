package iam

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

type profile struct {
	Name, Path, ID string
	Created        time.Time
	Tags           world.Tags
	Stacked        stacked
	Role           string // name; empty for none. There is room for one only.
}

func (s *Service) profileARN(p *profile) string {
	return s.world.GlobalARN("iam", "instance-profile"+p.Path+p.Name)
}

func (s *Service) profileAPI() map[string]wire.Handler {
	return map[string]wire.Handler{
		"CreateInstanceProfile":         wire.Handle(s.createInstanceProfile),
		"GetInstanceProfile":            wire.Handle(s.getInstanceProfile),
		"DeleteInstanceProfile":         wire.Handle(s.deleteInstanceProfile),
		"ListInstanceProfiles":          wire.Handle(s.listInstanceProfiles),
		"ListInstanceProfilesForRole":   wire.Handle(s.listInstanceProfilesForRole),
		"AddRoleToInstanceProfile":      wire.Handle(s.addRoleToInstanceProfile),
		"RemoveRoleFromInstanceProfile": wire.Handle(s.removeRoleFromInstanceProfile),
		"TagInstanceProfile":            wire.Handle(s.tagInstanceProfile),
		"UntagInstanceProfile":          wire.Handle(s.untagInstanceProfile),
		"ListInstanceProfileTags":       wire.Handle(s.listInstanceProfileTags),
	}
}

// InstanceProfile is an instance profile on the wire.
type InstanceProfile struct {
	Path                string
	InstanceProfileName string
	InstanceProfileID   string `xml:"InstanceProfileId"`
	ARN                 string `xml:"Arn"`
	CreateDate          wire.Time
	Roles               []Role `xml:"Roles>member"`
	Tags                []Tag  `xml:"Tags>member,omitempty"`
}

func (s *Service) showProfile(p *profile) InstanceProfile {
	out := InstanceProfile{
		Path: p.Path, InstanceProfileName: p.Name, InstanceProfileID: p.ID, ARN: s.profileARN(p), CreateDate: wire.Time{Time: p.Created},
		Roles: []Role{}, Tags: showTags(p.Tags),
	}
	if r, ok := s.state.Roles[fold(p.Role)]; ok {
		out.Roles = append(out.Roles, s.showRole(r, false))
	}
	return out
}

// InstanceProfileOutput is an instance profile.
type InstanceProfileOutput struct{ InstanceProfile InstanceProfile }

// CreateInstanceProfileInput describes a new instance profile.
type CreateInstanceProfileInput struct {
	InstanceProfileName string
	Path                string
	Tags                []Tag
}

func (s *Service) createInstanceProfile(_ context.Context, _ wire.Caller, in *CreateInstanceProfileInput) (*InstanceProfileOutput, error) {
	p, err := s.makeProfile(*in)
	if err != nil {
		return nil, err
	}
	return &InstanceProfileOutput{InstanceProfile: s.showProfile(p)}, nil
}

func (s *Service) makeProfile(in CreateInstanceProfileInput) (*profile, error) {
	path, err := checkPath(in.Path)
	if err != nil {
		return nil, err
	}
	if err := checkName("InstanceProfileName", in.InstanceProfileName, 128); err != nil {
		return nil, err
	}
	if _, ok := s.state.Profiles[fold(in.InstanceProfileName)]; ok {
		return nil, exists("Instance Profile %s already exists.", in.InstanceProfileName)
	}
	tags, err := checkTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	p := &profile{Name: in.InstanceProfileName, Path: path, ID: s.world.Unique("AIPA"), Created: s.world.Now(), Tags: tags}
	s.state.Profiles[fold(p.Name)] = p
	return p, nil
}

func (s *Service) findProfile(name string) (*profile, error) {
	if name == "" {
		return nil, missing("InstanceProfileName")
	}
	if p, ok := s.state.Profiles[fold(name)]; ok {
		return p, nil
	}
	return nil, noSuch("Instance Profile %s cannot be found.", name)
}

// InstanceProfileInput names an instance profile.
type InstanceProfileInput struct{ InstanceProfileName string }

func (s *Service) getInstanceProfile(_ context.Context, _ wire.Caller, in *InstanceProfileInput) (*InstanceProfileOutput, error) {
	p, err := s.findProfile(in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	return &InstanceProfileOutput{InstanceProfile: s.showProfile(p)}, nil
}

func (s *Service) deleteInstanceProfile(_ context.Context, _ wire.Caller, in *InstanceProfileInput) (*Nothing, error) {
	p, err := s.findProfile(in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	if p.Role != "" {
		return nil, conflict("Cannot delete entity, must remove roles from instance profile first.")
	}
	delete(s.state.Profiles, fold(p.Name))
	return &Nothing{}, nil
}

// ListInstanceProfilesOutput is one page of instance profiles.
type ListInstanceProfilesOutput struct {
	InstanceProfiles []InstanceProfile `xml:"InstanceProfiles>member"`
	More
}

func (s *Service) profilesPage(list []*profile, p Page) (*ListInstanceProfilesOutput, error) {
	all := []InstanceProfile{}
	for _, one := range list {
		shown := s.showProfile(one)
		shown.Tags = nil // lists do not tell tags
		all = append(all, shown)
	}
	part, more, err := paginate(all, func(p InstanceProfile) string { return fold(p.InstanceProfileName) }, p)
	if err != nil {
		return nil, err
	}
	return &ListInstanceProfilesOutput{InstanceProfiles: part, More: more}, nil
}

func (s *Service) listInstanceProfiles(_ context.Context, _ wire.Caller, in *ListInput) (*ListInstanceProfilesOutput, error) {
	var list []*profile
	for _, key := range slices.Sorted(maps.Keys(s.state.Profiles)) {
		if p := s.state.Profiles[key]; strings.HasPrefix(p.Path, in.PathPrefix) {
			list = append(list, p)
		}
	}
	return s.profilesPage(list, in.Page)
}

func (s *Service) profilesOf(r *role) []*profile {
	var out []*profile
	for _, key := range slices.Sorted(maps.Keys(s.state.Profiles)) {
		if p := s.state.Profiles[key]; strings.EqualFold(p.Role, r.Name) {
			out = append(out, p)
		}
	}
	return out
}

// ListInstanceProfilesForRoleInput asks for the instance profiles with a role.
type ListInstanceProfilesForRoleInput struct {
	RoleName string
	Page
}

func (s *Service) listInstanceProfilesForRole(_ context.Context, _ wire.Caller, in *ListInstanceProfilesForRoleInput) (*ListInstanceProfilesOutput, error) {
	r, err := s.findRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	return s.profilesPage(s.profilesOf(r), in.Page)
}

// ProfileRoleInput names a role and an instance profile.
type ProfileRoleInput struct{ InstanceProfileName, RoleName string }

func (s *Service) addRoleToInstanceProfile(_ context.Context, _ wire.Caller, in *ProfileRoleInput) (*Nothing, error) {
	p, err := s.findProfile(in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	r, err := s.findOwnRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	if p.Role != "" {
		return nil, exceeded("Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
	}
	p.Role = r.Name
	return &Nothing{}, nil
}

func (s *Service) removeRoleFromInstanceProfile(_ context.Context, _ wire.Caller, in *ProfileRoleInput) (*Nothing, error) {
	p, err := s.findProfile(in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(p.Role, in.RoleName) {
		return nil, noSuch("The role with name %s cannot be found.", in.RoleName)
	}
	p.Role = ""
	return &Nothing{}, nil
}

// TagInstanceProfileInput puts tags on an instance profile.
type TagInstanceProfileInput struct {
	InstanceProfileName string
	Tags                []Tag
}

func (s *Service) tagInstanceProfile(_ context.Context, _ wire.Caller, in *TagInstanceProfileInput) (*Nothing, error) {
	p, err := s.findProfile(in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	return addTags(&p.Tags, in.Tags)
}

// UntagInstanceProfileInput takes tags off an instance profile.
type UntagInstanceProfileInput struct {
	InstanceProfileName string
	TagKeys             []string
}

func (s *Service) untagInstanceProfile(_ context.Context, _ wire.Caller, in *UntagInstanceProfileInput) (*Nothing, error) {
	p, err := s.findProfile(in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	return dropTags(&p.Tags, in.TagKeys)
}

// ListInstanceProfileTagsInput asks for an instance profile's tags.
type ListInstanceProfileTagsInput struct {
	InstanceProfileName string
	Page
}

func (s *Service) listInstanceProfileTags(_ context.Context, _ wire.Caller, in *ListInstanceProfileTagsInput) (*TagsOutput, error) {
	p, err := s.findProfile(in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	return tagsPage(p.Tags, in.Page)
}
