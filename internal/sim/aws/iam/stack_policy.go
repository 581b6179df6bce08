package iam

import (
	"context"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// inlineProperties are those of AWS::IAM::Policy.
type inlineProperties struct {
	PolicyName, PolicyDocument string
	Roles, Users, Groups       []string
}

func (s *Service) inlineProvider() cloudformation.Provider {
	return typed[inlineProperties]{
		create: func(_ context.Context, res cloudformation.Resource, p inlineProperties) (string, error) {
			return res.GeneratedName(32), s.putOnRoles(p, inlineProperties{})
		},
		update: func(_ context.Context, _ cloudformation.Resource, p, old inlineProperties) error {
			return s.putOnRoles(p, old)
		},
		delete: func(_ context.Context, _ cloudformation.Resource, p inlineProperties) error {
			return s.takeOffRoles(p, inlineProperties{})
		},
		status: func(res cloudformation.Resource) (cloudformation.Status, error) { return s.inlineStatus(res) },
	}
}

// putOnRoles puts an inline policy on its roles and takes it off those of old that are no longer named.
func (s *Service) putOnRoles(p, old inlineProperties) error {
	if len(p.Users)+len(p.Groups) > 0 {
		return wire.Unsupported("inline policy of users and groups")
	}
	if len(p.Roles) == 0 {
		return wire.Errorf("ValidationError", "At least one of [Groups,Roles,Users] must be non-empty.")
	}
	for _, name := range p.Roles {
		r, err := s.findOwnRole(name)
		if err != nil {
			return err
		}
		if err := putInline(r, p.PolicyName, p.PolicyDocument); err != nil {
			return err
		}
	}
	return s.takeOffRoles(old, p)
}

// takeOffRoles removes p from its roles, except where keep still wants a policy of that name.
func (s *Service) takeOffRoles(p, keep inlineProperties) error {
	for _, name := range p.Roles {
		if keep.PolicyName == p.PolicyName && slices.Contains(keep.Roles, name) {
			continue
		}
		r, err := s.findRole(name)
		if err == nil {
			delete(r.Inline, p.PolicyName)
		}
		if err = gone(err); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) inlineStatus(res cloudformation.Resource) (cloudformation.Status, error) {
	var p inlineProperties
	if err := cloudformation.Decode(res.Properties, &p); err != nil {
		return cloudformation.Status{}, err
	}
	for _, name := range p.Roles {
		if r, err := s.findRole(name); err == nil {
			if _, ok := r.Inline[p.PolicyName]; ok {
				return cloudformation.Status{Phase: cloudformation.Ready, Ref: res.PhysicalID, Attributes: map[string]any{"Id": res.PhysicalID}}, nil
			}
		}
	}
	return absent()
}

// rolePolicyProperties are those of AWS::IAM::RolePolicy.
type rolePolicyProperties struct{ PolicyName, PolicyDocument, RoleName string }

func (p rolePolicyProperties) inline() inlineProperties {
	return inlineProperties{PolicyName: p.PolicyName, PolicyDocument: p.PolicyDocument, Roles: []string{p.RoleName}}
}

func (s *Service) rolePolicyProvider() cloudformation.Provider {
	return typed[rolePolicyProperties]{
		create: func(_ context.Context, _ cloudformation.Resource, p rolePolicyProperties) (string, error) {
			if r, err := s.findRole(p.RoleName); err == nil {
				if _, taken := r.Inline[p.PolicyName]; taken {
					return "", exists("Resource of type 'AWS::IAM::RolePolicy' with identifier '%s|%s' already exists.", p.PolicyName, p.RoleName)
				}
			}
			return p.PolicyName + "|" + p.RoleName, s.putOnRoles(p.inline(), inlineProperties{})
		},
		update: func(_ context.Context, _ cloudformation.Resource, p, old rolePolicyProperties) error {
			return s.putOnRoles(p.inline(), old.inline())
		},
		delete: func(_ context.Context, _ cloudformation.Resource, p rolePolicyProperties) error {
			return s.takeOffRoles(p.inline(), inlineProperties{})
		},
		status: func(res cloudformation.Resource) (cloudformation.Status, error) {
			name, role, _ := strings.Cut(res.PhysicalID, "|")
			if r, err := s.findRole(role); err == nil {
				if _, ok := r.Inline[name]; ok {
					return cloudformation.Status{Phase: cloudformation.Ready}, nil
				}
			}
			return absent()
		},
	}
}

// managedProperties are those of AWS::IAM::ManagedPolicy.
type managedProperties struct {
	Description, ManagedPolicyName, Path, PolicyDocument string
	Roles, Users, Groups                                 []string
}

func (s *Service) managedProvider() cloudformation.Provider {
	return typed[managedProperties]{create: s.createManagedResource, update: s.updateManagedResource, delete: s.deleteManagedResource, status: s.managedStatus}
}

func (s *Service) createManagedResource(_ context.Context, res cloudformation.Resource, p managedProperties) (string, error) {
	name := p.ManagedPolicyName
	if name == "" {
		name = res.GeneratedName(128)
	}
	made, err := s.makePolicy(CreatePolicyInput{PolicyName: name, Path: p.Path, PolicyDocument: p.PolicyDocument, Description: p.Description})
	if err != nil {
		return "", err
	}
	arn := s.policyARN(made)
	if err := s.attachTo(arn, p, managedProperties{}); err != nil {
		s.detachAll(arn)
		delete(s.state.Policies, arn)
		return "", err
	}
	made.Stacked = s.stacked("iam.policy.stack", nil)
	return arn, nil
}

func (s *Service) attachTo(arn string, p, old managedProperties) error {
	if len(p.Users)+len(p.Groups) > 0 {
		return wire.Unsupported("managed policy of users and groups")
	}
	for _, name := range p.Roles {
		r, err := s.findOwnRole(name)
		if err != nil {
			return err
		}
		if err := s.attach(r, arn); err != nil {
			return err
		}
	}
	for _, name := range old.Roles {
		if r, err := s.findRole(name); err == nil && !slices.Contains(p.Roles, name) {
			r.Attached = slices.DeleteFunc(r.Attached, func(a string) bool { return a == arn })
		}
	}
	return nil
}

func (s *Service) detachAll(arn string) {
	for _, r := range s.state.Roles {
		r.Attached = slices.DeleteFunc(r.Attached, func(a string) bool { return a == arn })
	}
}

func (s *Service) updateManagedResource(_ context.Context, res cloudformation.Resource, p, old managedProperties) error {
	have, err := s.findOwnPolicy(res.PhysicalID)
	if err != nil {
		return err
	}
	if p.PolicyDocument != old.PolicyDocument {
		// CloudFormation makes room for the new version by removing the oldest one that is not the default.
		if i := slices.IndexFunc(have.Versions, func(v version) bool { return v.ID != have.Default }); len(have.Versions) >= maxVersions && i >= 0 {
			have.Versions = slices.Delete(have.Versions, i, i+1)
		}
		if _, err := s.addVersion(have, p.PolicyDocument, true); err != nil {
			return err
		}
	}
	if err := s.attachTo(res.PhysicalID, p, old); err != nil {
		return err
	}
	have.Stacked = s.stacked("iam.policy.stack", nil)
	return nil
}

func (s *Service) deleteManagedResource(_ context.Context, res cloudformation.Resource, p managedProperties) error {
	have, err := s.findOwnPolicy(res.PhysicalID)
	if err != nil {
		return gone(err)
	}
	if err := s.attachTo(res.PhysicalID, managedProperties{}, p); err != nil {
		return err
	}
	shown := s.showPolicy(res.PhysicalID, have, false)
	if shown.AttachmentCount+shown.PermissionsBoundaryUsageCount > 0 {
		return conflict("Cannot delete a policy attached to entities.")
	}
	delete(s.state.Policies, res.PhysicalID)
	return nil
}

func (s *Service) managedStatus(res cloudformation.Resource) (cloudformation.Status, error) {
	have, err := s.findOwnPolicy(res.PhysicalID)
	if err != nil {
		return absent()
	}
	shown := s.showPolicy(res.PhysicalID, have, false)
	return s.settled(have.Stacked, res.PhysicalID, map[string]any{
		"PolicyArn": res.PhysicalID, "PolicyId": have.ID, "DefaultVersionId": have.Default, "IsAttachable": true,
		"AttachmentCount": float64(shown.AttachmentCount), "PermissionsBoundaryUsageCount": float64(shown.PermissionsBoundaryUsageCount),
		"CreateDate": wire.Time{Time: have.Created}.String(), "UpdateDate": wire.Time{Time: have.Changed}.String(),
	}), nil
}

// oidcProperties are those of AWS::IAM::OIDCProvider.
type oidcProperties struct {
	ClientIdList   []string //nolint:revive // the property's own name
	ThumbprintList []string
	Url            string //nolint:revive // the property's own name
	Tags           []Tag
}

func (s *Service) oidcProvider() cloudformation.Provider {
	return typed[oidcProperties]{
		create: func(_ context.Context, res cloudformation.Resource, p oidcProperties) (string, error) {
			tags := stackTags(res, p.Tags)
			arn, err := s.makeProvider(CreateOpenIDConnectProviderInput{URL: p.Url, ClientIDList: p.ClientIdList, ThumbprintList: p.ThumbprintList, Tags: tags})
			if err != nil {
				return "", err
			}
			s.state.Providers[arn].Stacked = s.stacked("iam.policy.stack", tagMap(tags))
			return arn, nil
		},
		update: s.updateProviderResource,
		delete: func(_ context.Context, res cloudformation.Resource, _ oidcProperties) error {
			delete(s.state.Providers, res.PhysicalID)
			return nil
		},
		status: func(res cloudformation.Resource) (cloudformation.Status, error) {
			p, err := s.findProvider(res.PhysicalID)
			if err != nil {
				return absent()
			}
			return s.settled(p.Stacked, res.PhysicalID, map[string]any{"Arn": res.PhysicalID}), nil
		},
	}
}

func (s *Service) updateProviderResource(_ context.Context, res cloudformation.Resource, p, _ oidcProperties) error {
	have, err := s.findProvider(res.PhysicalID)
	if err != nil {
		return err
	}
	if err := checkThumbprints(p.ThumbprintList); err != nil {
		return err
	}
	tags := stackTags(res, p.Tags)
	if have.Tags, err = retag(have.Tags, have.Stacked.Tags, tags); err != nil {
		return err
	}
	have.ClientIDs = slices.Clone(p.ClientIdList)
	if len(p.ThumbprintList) > 0 {
		have.Thumbprints = p.ThumbprintList
	}
	have.Stacked = s.stacked("iam.policy.stack", tagMap(tags))
	return nil
}
