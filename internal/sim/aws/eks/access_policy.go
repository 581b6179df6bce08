package eks

import (
	"context"
	"regexp"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks/catalog"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

func (s *Service) listAccessPolicies(_ context.Context, _ wire.Caller, in *ListAccessPoliciesInput) (*ListAccessPoliciesOutput, error) {
	all := []AccessPolicy{}
	for _, p := range catalog.AccessPolicies() {
		all = append(all, AccessPolicy{Name: p.Name, ARN: p.ARN(s.world.Partition)})
	}
	found, next, err := page(all, func(p AccessPolicy) string { return p.Name }, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &ListAccessPoliciesOutput{AccessPolicies: found, NextToken: next}, nil
}

// associateAccessPolicy gives an entry a policy, or changes where it holds
// (https://docs.aws.amazon.com/eks/latest/userguide/access-policies.html).
func (s *Service) associateAccessPolicy(_ context.Context, _ wire.Caller, in *AssociateAccessPolicyInput) (*AssociateAccessPolicyOutput, error) {
	_, e, err := s.entry(in.ClusterName, in.PrincipalARN)
	if err != nil {
		return nil, err
	}
	on := subject{cluster: in.ClusterName}
	if e.Entry.Type != "STANDARD" && e.Entry.Type != "EC2" {
		return nil, on.badRequest("Access policies can't be associated with access entries of type %s", e.Entry.Type)
	}
	if _, ok := catalog.FindAccessPolicy(s.world.Partition, in.PolicyARN); !ok {
		return nil, on.notFound("The specified policyArn could not be found: %s. You can view the available policies with 'list-access-policies'.", in.PolicyARN)
	}
	if err := checkScope(on, in.AccessScope); err != nil {
		return nil, err
	}
	p := AssociatedAccessPolicy{
		PolicyARN: in.PolicyARN, AssociatedAt: s.now(), ModifiedAt: s.now(),
		AccessScope: &AccessScope{Type: in.AccessScope.Type, Namespaces: orEmpty(in.AccessScope.Namespaces)},
	}
	if have, ok := e.Policies[in.PolicyARN]; ok {
		p.AssociatedAt = have.AssociatedAt
	}
	e.Policies[in.PolicyARN] = p
	return &AssociateAccessPolicyOutput{ClusterName: in.ClusterName, PrincipalARN: in.PrincipalARN, AssociatedAccessPolicy: &p}, nil
}

// scopeNamespace is the name of a namespace, or one with wildcards such as dev-*
// (https://docs.aws.amazon.com/eks/latest/userguide/access-policies.html).
var scopeNamespace = regexp.MustCompile(`^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?$`)

func checkScope(on subject, in *AccessScope) error {
	if in == nil || in.Type == "" {
		return on.badParameter("Missing required parameter: accessScope.type")
	}
	if err := checkEnum(on, "accessScope.type", in.Type, "cluster", "namespace"); err != nil {
		return err
	}
	if in.Type == "namespace" && len(in.Namespaces) == 0 {
		return on.badParameter("The namespaces parameter is required when the type of accessScope is namespace")
	}
	if in.Type == "cluster" && len(in.Namespaces) > 0 {
		return on.badParameter("The namespaces parameter is not allowed when the type of accessScope is cluster")
	}
	for _, n := range in.Namespaces {
		if !scopeNamespace.MatchString(n) {
			return on.badParameter("Invalid namespace %q in accessScope", n)
		}
	}
	return nil
}

func (s *Service) disassociateAccessPolicy(_ context.Context, _ wire.Caller, in *DisassociateAccessPolicyInput) (*DisassociateAccessPolicyOutput, error) {
	_, e, err := s.entry(in.ClusterName, in.PrincipalARN)
	if err != nil {
		return nil, err
	}
	if _, ok := e.Policies[in.PolicyARN]; !ok {
		return nil, subject{cluster: in.ClusterName}.notFound("The specified policyArn is not associated with the access entry: %s", in.PolicyARN)
	}
	delete(e.Policies, in.PolicyARN)
	return &DisassociateAccessPolicyOutput{}, nil
}

func (s *Service) listAssociatedAccessPolicies(_ context.Context, _ wire.Caller, in *ListAssociatedAccessPoliciesInput) (*ListAssociatedAccessPoliciesOutput, error) {
	_, e, err := s.entry(in.ClusterName, in.PrincipalARN)
	if err != nil {
		return nil, err
	}
	found, next, err := page(sortedPolicies(e), func(p AssociatedAccessPolicy) string { return p.PolicyARN }, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &ListAssociatedAccessPoliciesOutput{ClusterName: in.ClusterName, PrincipalARN: in.PrincipalARN, AssociatedAccessPolicies: found, NextToken: next}, nil
}
