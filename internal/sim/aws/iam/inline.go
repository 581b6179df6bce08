package iam

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/iam/policy"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

func (s *Service) inlineAPI() map[string]wire.Handler {
	return map[string]wire.Handler{
		"AttachRolePolicy":         wire.Handle(s.attachRolePolicy),
		"DetachRolePolicy":         wire.Handle(s.detachRolePolicy),
		"ListAttachedRolePolicies": wire.Handle(s.listAttachedRolePolicies),
		"PutRolePolicy":            wire.Handle(s.putRolePolicy),
		"GetRolePolicy":            wire.Handle(s.getRolePolicy),
		"DeleteRolePolicy":         wire.Handle(s.deleteRolePolicy),
		"ListRolePolicies":         wire.Handle(s.listRolePolicies),
	}
}

// Default quotas of an account (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html).
const (
	maxAttached = 10
	maxInline   = 10240
)

// RolePolicyInput names a managed policy and a role.
type RolePolicyInput struct {
	RoleName  string
	PolicyARN string `form:"PolicyArn"`
}

func (s *Service) attachRolePolicy(_ context.Context, _ wire.Caller, in *RolePolicyInput) (*Nothing, error) {
	r, err := s.findOwnRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	return &Nothing{}, s.attach(r, in.PolicyARN)
}

func (s *Service) attach(r *role, arn string) error {
	if !strings.HasPrefix(arn, "arn:") {
		return wire.Errorf("ValidationError", "ARN %s is not valid.", arn)
	}
	if _, ok := s.findPolicy(arn); !ok {
		return noSuch("Policy %s does not exist or is not attachable.", arn)
	}
	if slices.Contains(r.Attached, arn) {
		return nil
	}
	if len(r.Attached) >= maxAttached {
		return exceeded("Cannot exceed quota for PoliciesPerRole: %d", maxAttached)
	}
	r.Attached = append(r.Attached, arn)
	return nil
}

func (s *Service) detachRolePolicy(_ context.Context, _ wire.Caller, in *RolePolicyInput) (*Nothing, error) {
	r, err := s.findOwnRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	i := slices.Index(r.Attached, in.PolicyARN)
	if i < 0 {
		return nil, noSuch("Policy %s was not found.", in.PolicyARN)
	}
	r.Attached = slices.Delete(r.Attached, i, i+1)
	return &Nothing{}, nil
}

// ListAttachedRolePoliciesInput asks for a role's managed policies.
type ListAttachedRolePoliciesInput struct {
	RoleName   string
	PathPrefix string
	Page
}

// AttachedPolicy is a managed policy on a role.
type AttachedPolicy struct {
	PolicyName string
	PolicyARN  string `xml:"PolicyArn"`
}

// ListAttachedRolePoliciesOutput is one page of them.
type ListAttachedRolePoliciesOutput struct {
	AttachedPolicies []AttachedPolicy `xml:"AttachedPolicies>member"`
	More
}

func (s *Service) listAttachedRolePolicies(_ context.Context, _ wire.Caller, in *ListAttachedRolePoliciesInput) (*ListAttachedRolePoliciesOutput, error) {
	r, err := s.findRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	all := []AttachedPolicy{}
	for _, arn := range r.Attached {
		if p, ok := s.findPolicy(arn); ok && strings.HasPrefix(p.Path, in.PathPrefix) {
			all = append(all, AttachedPolicy{PolicyName: p.Name, PolicyARN: arn})
		}
	}
	part, more, err := paginate(all, func(p AttachedPolicy) string { return p.PolicyARN }, in.Page)
	if err != nil {
		return nil, err
	}
	return &ListAttachedRolePoliciesOutput{AttachedPolicies: part, More: more}, nil
}

// PutRolePolicyInput is an inline policy.
type PutRolePolicyInput struct{ RoleName, PolicyName, PolicyDocument string }

func (s *Service) putRolePolicy(_ context.Context, _ wire.Caller, in *PutRolePolicyInput) (*Nothing, error) {
	r, err := s.findOwnRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	return &Nothing{}, putInline(r, in.PolicyName, in.PolicyDocument)
}

func putInline(r *role, name, document string) error {
	if err := checkName("PolicyName", name, 128); err != nil {
		return err
	}
	if document == "" {
		return missing("PolicyDocument")
	}
	if _, err := policy.Parse(document, policy.Identity); err != nil {
		return wire.Errorf("MalformedPolicyDocument", "%s", err)
	}
	total := size(document)
	for other, text := range r.Inline {
		if other != name {
			total += size(text)
		}
	}
	if total > maxInline {
		return exceeded("Maximum policy size of %d bytes exceeded for role %s", maxInline, r.Name)
	}
	r.Inline[name] = document
	return nil
}

// InlineInput names an inline policy.
type InlineInput struct{ RoleName, PolicyName string }

// GetRolePolicyOutput is an inline policy.
type GetRolePolicyOutput struct{ RoleName, PolicyName, PolicyDocument string }

func (s *Service) findInline(in *InlineInput) (*role, error) {
	r, err := s.findRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	if _, ok := r.Inline[in.PolicyName]; !ok {
		return nil, noSuch("The role policy with name %s cannot be found.", in.PolicyName)
	}
	return r, nil
}

func (s *Service) getRolePolicy(_ context.Context, _ wire.Caller, in *InlineInput) (*GetRolePolicyOutput, error) {
	r, err := s.findInline(in)
	if err != nil {
		return nil, err
	}
	return &GetRolePolicyOutput{RoleName: r.Name, PolicyName: in.PolicyName, PolicyDocument: encodeDocument(r.Inline[in.PolicyName])}, nil
}

func (s *Service) deleteRolePolicy(_ context.Context, _ wire.Caller, in *InlineInput) (*Nothing, error) {
	r, err := s.findInline(in)
	if err != nil {
		return nil, err
	}
	delete(r.Inline, in.PolicyName)
	return &Nothing{}, nil
}

// ListRolePoliciesInput asks for a role's inline policies.
type ListRolePoliciesInput struct {
	RoleName string
	Page
}

// ListRolePoliciesOutput is one page of their names.
type ListRolePoliciesOutput struct {
	PolicyNames []string `xml:"PolicyNames>member"`
	More
}

func (s *Service) listRolePolicies(_ context.Context, _ wire.Caller, in *ListRolePoliciesInput) (*ListRolePoliciesOutput, error) {
	r, err := s.findRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	part, more, err := paginate(slices.Collect(maps.Keys(r.Inline)), wire.Self, in.Page)
	if err != nil {
		return nil, err
	}
	return &ListRolePoliciesOutput{PolicyNames: part, More: more}, nil
}
