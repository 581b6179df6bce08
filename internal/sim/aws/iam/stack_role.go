package iam

import (
	"context"
	"slices"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// roleProperties are those of AWS::IAM::Role.
type roleProperties struct {
	AssumeRolePolicyDocument string
	Description              string
	ManagedPolicyArns        []string
	MaxSessionDuration       *int
	Path                     string
	PermissionsBoundary      string
	Policies                 []struct{ PolicyName, PolicyDocument string }
	RoleName                 string
	Tags                     []Tag
}

func (p roleProperties) inline() map[string]string {
	out := map[string]string{}
	for _, one := range p.Policies {
		out[one.PolicyName] = one.PolicyDocument
	}
	return out
}

func (s *Service) roleProvider() cloudformation.Provider {
	return typed[roleProperties]{create: s.createRoleResource, update: s.updateRoleResource, delete: s.deleteRoleResource, status: s.roleStatus}
}

func (s *Service) createRoleResource(_ context.Context, res cloudformation.Resource, p roleProperties) (string, error) {
	name := p.RoleName
	if name == "" {
		name = res.GeneratedName(64)
	}
	tags := stackTags(res, p.Tags)
	r, err := s.makeRole(CreateRoleInput{
		Path: p.Path, RoleName: name, AssumeRolePolicyDocument: p.AssumeRolePolicyDocument, Description: p.Description,
		MaxSessionDuration: p.MaxSessionDuration, PermissionsBoundary: p.PermissionsBoundary, Tags: tags,
	})
	if err != nil {
		return "", err
	}
	if err := s.grant(r, p, roleProperties{}); err != nil {
		delete(s.state.Roles, fold(r.Name)) // what CloudFormation could not finish it takes back
		return "", err
	}
	r.Stacked = s.stacked("iam.role.stack", tagMap(tags))
	return r.Name, nil
}

// grant gives a role the policies of p and takes those of old that are no longer wanted.
func (s *Service) grant(r *role, p, old roleProperties) error {
	for _, arn := range old.ManagedPolicyArns {
		if !slices.Contains(p.ManagedPolicyArns, arn) {
			r.Attached = slices.DeleteFunc(r.Attached, func(a string) bool { return a == arn })
		}
	}
	for _, arn := range p.ManagedPolicyArns {
		if err := s.attach(r, arn); err != nil {
			return err
		}
	}
	wanted := p.inline()
	for name := range old.inline() {
		if _, still := wanted[name]; !still {
			delete(r.Inline, name)
		}
	}
	for _, one := range p.Policies {
		if err := putInline(r, one.PolicyName, one.PolicyDocument); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) updateRoleResource(_ context.Context, res cloudformation.Resource, p, old roleProperties) error {
	r, err := s.findOwnRole(res.PhysicalID)
	if err != nil {
		return err
	}
	if err := s.checkTrust(p.AssumeRolePolicyDocument); err != nil {
		return err
	}
	session := 3600
	if p.MaxSessionDuration != nil {
		session = *p.MaxSessionDuration
	}
	if p.PermissionsBoundary != "" {
		if err := s.checkBoundary(p.PermissionsBoundary); err != nil {
			return err
		}
	}
	if err := s.describeRole(r, p.Description, &session); err != nil {
		return err
	}
	r.Trust, r.Boundary = p.AssumeRolePolicyDocument, p.PermissionsBoundary
	if err := s.grant(r, p, old); err != nil {
		return err
	}
	tags := stackTags(res, p.Tags)
	if r.Tags, err = retag(r.Tags, r.Stacked.Tags, tags); err != nil {
		return err
	}
	r.Stacked = s.stacked("iam.role.stack", tagMap(tags))
	return nil
}

func (s *Service) deleteRoleResource(_ context.Context, res cloudformation.Resource, p roleProperties) error {
	r, err := s.findRole(res.PhysicalID)
	if err != nil {
		return gone(err)
	}
	if err := s.grant(r, roleProperties{}, p); err != nil {
		return err
	}
	return s.removeRole(r)
}

func (s *Service) roleStatus(res cloudformation.Resource) (cloudformation.Status, error) {
	r, err := s.findRole(res.PhysicalID)
	if err != nil {
		return absent()
	}
	return s.settled(r.Stacked, r.Name, map[string]any{"Arn": s.roleARN(r), "RoleId": r.ID}), nil
}

// profileProperties are those of AWS::IAM::InstanceProfile.
type profileProperties struct {
	InstanceProfileName string
	Path                string
	Roles               []string
}

func (s *Service) profileProvider() cloudformation.Provider {
	return typed[profileProperties]{create: s.createProfileResource, update: s.updateProfileResource, delete: s.deleteProfileResource, status: s.profileStatus}
}

func (s *Service) createProfileResource(_ context.Context, res cloudformation.Resource, p profileProperties) (string, error) {
	name := p.InstanceProfileName
	if name == "" {
		name = res.GeneratedName(128)
	}
	role, err := s.onlyRole(p.Roles)
	if err != nil {
		return "", err
	}
	made, err := s.makeProfile(CreateInstanceProfileInput{InstanceProfileName: name, Path: p.Path})
	if err != nil {
		return "", err
	}
	made.Role, made.Stacked = role, s.stacked("iam.profile.stack", nil)
	return made.Name, nil
}

// onlyRole is the one role an instance profile has room for.
func (s *Service) onlyRole(names []string) (string, error) {
	if len(names) != 1 {
		return "", wire.Errorf("ValidationError", "Property Roles must have exactly one role.")
	}
	r, err := s.findOwnRole(names[0])
	if err != nil {
		return "", err
	}
	return r.Name, nil
}

func (s *Service) updateProfileResource(_ context.Context, res cloudformation.Resource, p, _ profileProperties) error {
	have, err := s.findProfile(res.PhysicalID)
	if err != nil {
		return err
	}
	role, err := s.onlyRole(p.Roles)
	if err != nil {
		return err
	}
	have.Role, have.Stacked = role, s.stacked("iam.profile.stack", nil)
	return nil
}

func (s *Service) deleteProfileResource(_ context.Context, res cloudformation.Resource, _ profileProperties) error {
	have, err := s.findProfile(res.PhysicalID)
	if err != nil {
		return gone(err)
	}
	delete(s.state.Profiles, fold(have.Name))
	return nil
}

func (s *Service) profileStatus(res cloudformation.Resource) (cloudformation.Status, error) {
	have, err := s.findProfile(res.PhysicalID)
	if err != nil {
		return absent()
	}
	return s.settled(have.Stacked, have.Name, map[string]any{"Arn": s.profileARN(have)}), nil
}
