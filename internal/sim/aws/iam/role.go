package iam

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/iam/policy"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

type role struct {
	Name, Path, ID string
	Trust          string
	Description    string
	MaxSession     int // seconds
	Boundary       string
	Created        time.Time
	Tags           world.Tags
	Inline         map[string]string
	Attached       []string // ARNs, in the order they were attached
	LinkedTo       string   // the service, of a service-linked role
	LastUsed       time.Time
	Stacked        stacked
}

func (s *Service) roleARN(r *role) string { return s.world.GlobalARN("iam", "role"+r.Path+r.Name) }

func (s *Service) roleAPI() map[string]wire.Handler {
	return map[string]wire.Handler{
		"CreateRole":                    wire.Handle(s.createRole),
		"GetRole":                       wire.Handle(s.getRole),
		"ListRoles":                     wire.Handle(s.listRoles),
		"UpdateRole":                    wire.Handle(s.updateRole),
		"DeleteRole":                    wire.Handle(s.deleteRole),
		"UpdateAssumeRolePolicy":        wire.Handle(s.updateAssumeRolePolicy),
		"PutRolePermissionsBoundary":    wire.Handle(s.putRolePermissionsBoundary),
		"DeleteRolePermissionsBoundary": wire.Handle(s.deleteRolePermissionsBoundary),
		"CreateServiceLinkedRole":       wire.Handle(s.createServiceLinkedRole),
		"TagRole":                       wire.Handle(s.tagRole),
		"UntagRole":                     wire.Handle(s.untagRole),
		"ListRoleTags":                  wire.Handle(s.listRoleTags),
	}
}

// Boundary is a permissions boundary.
type Boundary struct {
	PermissionsBoundaryType string
	PermissionsBoundaryARN  string `xml:"PermissionsBoundaryArn"`
}

// LastUsed tells when a role was last assumed.
type LastUsed struct {
	LastUsedDate *wire.Time
	Region       string `xml:",omitempty"`
}

// Role is a role on the wire.
type Role struct {
	Path                     string
	RoleName                 string
	RoleID                   string `xml:"RoleId"`
	ARN                      string `xml:"Arn"`
	CreateDate               wire.Time
	AssumeRolePolicyDocument string    `xml:",omitempty"`
	Description              string    `xml:",omitempty"`
	MaxSessionDuration       int       `xml:",omitempty"`
	PermissionsBoundary      *Boundary `xml:",omitempty"`
	Tags                     []Tag     `xml:"Tags>member,omitempty"`
	RoleLastUsed             *LastUsed
}

// showRole gives a role; lists leave out what GetRole alone tells.
func (s *Service) showRole(r *role, full bool) Role {
	out := Role{
		Path: r.Path, RoleName: r.Name, RoleID: r.ID, ARN: s.roleARN(r), CreateDate: wire.Time{Time: r.Created},
		AssumeRolePolicyDocument: encodeDocument(r.Trust), Description: r.Description, MaxSessionDuration: r.MaxSession,
	}
	if full {
		if r.Boundary != "" {
			out.PermissionsBoundary = &Boundary{PermissionsBoundaryType: "Policy", PermissionsBoundaryARN: r.Boundary}
		}
		out.Tags = showTags(r.Tags)
		out.RoleLastUsed = &LastUsed{LastUsedDate: wire.At(r.LastUsed)}
		if !r.LastUsed.IsZero() {
			out.RoleLastUsed.Region = s.world.Region
		}
	}
	return out
}

// RoleOutput is a role.
type RoleOutput struct{ Role Role }

// CreateRoleInput describes a new role.
type CreateRoleInput struct {
	Path                     string
	RoleName                 string
	AssumeRolePolicyDocument string
	Description              string
	MaxSessionDuration       *int
	PermissionsBoundary      string
	Tags                     []Tag
}

func (s *Service) createRole(_ context.Context, _ wire.Caller, in *CreateRoleInput) (*RoleOutput, error) {
	r, err := s.makeRole(*in)
	if err != nil {
		return nil, err
	}
	return &RoleOutput{Role: s.showRole(r, true)}, nil
}

func (s *Service) makeRole(in CreateRoleInput) (*role, error) {
	path, err := checkPath(in.Path)
	if err != nil {
		return nil, err
	}
	if err := checkName("RoleName", in.RoleName, 64); err != nil {
		return nil, err
	}
	if strings.HasPrefix(path, "/aws-service-role/") {
		return nil, wire.Errorf("InvalidInput", "The path /aws-service-role/ is reserved for service-linked roles.")
	}
	if _, ok := s.state.Roles[fold(in.RoleName)]; ok {
		return nil, exists("Role with name %s already exists.", in.RoleName)
	}
	if err := s.checkTrust(in.AssumeRolePolicyDocument); err != nil {
		return nil, err
	}
	r := &role{
		Name: in.RoleName, Path: path, ID: s.world.Unique("AROA"), Trust: in.AssumeRolePolicyDocument, MaxSession: 3600,
		Created: s.world.Now(), Inline: map[string]string{},
	}
	if err := s.describeRole(r, in.Description, in.MaxSessionDuration); err != nil {
		return nil, err
	}
	if in.PermissionsBoundary != "" {
		if err := s.checkBoundary(in.PermissionsBoundary); err != nil {
			return nil, err
		}
		r.Boundary = in.PermissionsBoundary
	}
	if r.Tags, err = checkTags(nil, in.Tags); err != nil {
		return nil, err
	}
	s.state.Roles[fold(r.Name)] = r
	return r, nil
}

func (s *Service) describeRole(r *role, description string, session *int) error {
	if len(description) > 1000 {
		return wire.Errorf("ValidationError", "1 validation error detected: Value at 'description' failed to satisfy constraint: Member must have length less than or equal to 1000")
	}
	r.Description = description
	if session == nil {
		return nil
	}
	if *session < 3600 || *session > 43200 {
		return wire.Errorf("ValidationError", "1 validation error detected: Value '%d' at 'maxSessionDuration' failed to satisfy constraint: Member must have value between 3600 and 43200", *session)
	}
	r.MaxSession = *session
	return nil
}

// checkTrust checks a trust policy: its form, its size and that the principals of this account in it exist.
func (s *Service) checkTrust(document string) error {
	if document == "" {
		return missing("AssumeRolePolicyDocument")
	}
	d, err := policy.Parse(document, policy.Trust)
	if err != nil {
		return wire.Errorf("MalformedPolicyDocument", "%s", err)
	}
	if n := size(document); n > 2048 {
		return exceeded("Cannot exceed quota for ACLSizePerRole: 2048")
	}
	for _, statement := range d.Statement {
		if statement.Principal == nil {
			continue
		}
		for _, name := range statement.Principal.ByKind["AWS"] {
			if !s.known(name) {
				return wire.Errorf("MalformedPolicyDocument", "Invalid principal in policy: \"AWS\":\"%s\"", name)
			}
		}
	}
	return nil
}

// known tells whether a principal could be one: an account, anybody, something of another account, or an entity of this one.
func (s *Service) known(name string) bool {
	own := s.world.GlobalARN("iam", "")
	rest, ours := strings.CutPrefix(name, own)
	if !ours || rest == "root" {
		return name == "*" || strings.HasPrefix(name, "arn:") || len(name) == 12 || strings.HasPrefix(name, "AROA") || strings.HasPrefix(name, "AIDA")
	}
	for _, r := range s.state.Roles {
		if s.roleARN(r) == name {
			return true
		}
	}
	for _, u := range s.state.Users {
		if s.userARN(u) == name {
			return true
		}
	}
	return false
}

func (s *Service) findRole(name string) (*role, error) {
	if name == "" {
		return nil, missing("RoleName")
	}
	if r, ok := s.state.Roles[fold(name)]; ok {
		return r, nil
	}
	return nil, noSuch("The role with name %s cannot be found.", name)
}

// findOwnRole finds a role that may be changed: service-linked ones belong to their service.
func (s *Service) findOwnRole(name string) (*role, error) {
	r, err := s.findRole(name)
	if err == nil && r.LinkedTo != "" {
		return nil, wire.Errorf("UnmodifiableEntity", "Cannot perform the operation on the protected role '%s' - this role is only modifiable by AWS", r.Name)
	}
	return r, err
}

// RoleInput names a role.
type RoleInput struct{ RoleName string }

func (s *Service) getRole(_ context.Context, _ wire.Caller, in *RoleInput) (*RoleOutput, error) {
	r, err := s.findRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	return &RoleOutput{Role: s.showRole(r, true)}, nil
}

// ListInput asks for entities below a path.
type ListInput struct {
	PathPrefix string
	Page
}

// ListRolesOutput is one page of roles.
type ListRolesOutput struct {
	Roles []Role `xml:"Roles>member"`
	More
}

func (s *Service) listRoles(_ context.Context, _ wire.Caller, in *ListInput) (*ListRolesOutput, error) {
	all := []Role{}
	for _, key := range slices.Sorted(maps.Keys(s.state.Roles)) {
		if r := s.state.Roles[key]; strings.HasPrefix(r.Path, in.PathPrefix) {
			all = append(all, s.showRole(r, false))
		}
	}
	part, more, err := paginate(all, func(r Role) string { return fold(r.RoleName) }, in.Page)
	if err != nil {
		return nil, err
	}
	return &ListRolesOutput{Roles: part, More: more}, nil
}

// UpdateRoleInput changes a role's description and session length.
type UpdateRoleInput struct {
	RoleName           string
	Description        *string
	MaxSessionDuration *int
}

func (s *Service) updateRole(_ context.Context, _ wire.Caller, in *UpdateRoleInput) (*Nothing, error) {
	r, err := s.findOwnRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	description := r.Description
	if in.Description != nil {
		description = *in.Description
	}
	return &Nothing{}, s.describeRole(r, description, in.MaxSessionDuration)
}

func (s *Service) deleteRole(_ context.Context, _ wire.Caller, in *RoleInput) (*Nothing, error) {
	r, err := s.findOwnRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	return &Nothing{}, s.removeRole(r)
}

func (s *Service) removeRole(r *role) error {
	switch {
	case len(s.profilesOf(r)) > 0:
		return conflict("Cannot delete entity, must remove roles from instance profile first.")
	case len(r.Attached) > 0:
		return conflict("Cannot delete entity, must detach all policies first.")
	case len(r.Inline) > 0:
		return conflict("Cannot delete entity, must delete policies first.")
	}
	delete(s.state.Roles, fold(r.Name))
	return nil
}

// UpdateAssumeRolePolicyInput replaces a role's trust policy.
type UpdateAssumeRolePolicyInput struct{ RoleName, PolicyDocument string }

func (s *Service) updateAssumeRolePolicy(_ context.Context, _ wire.Caller, in *UpdateAssumeRolePolicyInput) (*Nothing, error) {
	r, err := s.findOwnRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	if err := s.checkTrust(in.PolicyDocument); err != nil {
		return nil, err
	}
	r.Trust = in.PolicyDocument
	return &Nothing{}, nil
}

// PutRolePermissionsBoundaryInput sets a role's boundary.
type PutRolePermissionsBoundaryInput struct{ RoleName, PermissionsBoundary string }

func (s *Service) putRolePermissionsBoundary(_ context.Context, _ wire.Caller, in *PutRolePermissionsBoundaryInput) (*Nothing, error) {
	r, err := s.findOwnRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	if err := s.checkBoundary(in.PermissionsBoundary); err != nil {
		return nil, err
	}
	r.Boundary = in.PermissionsBoundary
	return &Nothing{}, nil
}

func (s *Service) checkBoundary(arn string) error {
	if _, ok := s.findPolicy(arn); !ok {
		return noSuch("Scope ARN: %s does not exist or is not attachable.", arn)
	}
	return nil
}

func (s *Service) deleteRolePermissionsBoundary(_ context.Context, _ wire.Caller, in *RoleInput) (*Nothing, error) {
	r, err := s.findOwnRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	if r.Boundary == "" {
		return nil, noSuch("The role %s does not have a permissions boundary.", r.Name)
	}
	r.Boundary = ""
	return &Nothing{}, nil
}
