package iam

import (
	"context"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// CreateServiceLinkedRoleInput names the service that wants its role.
type CreateServiceLinkedRoleInput struct {
	AWSServiceName string
	Description    string
	CustomSuffix   string
}

func (s *Service) createServiceLinkedRole(_ context.Context, _ wire.Caller, in *CreateServiceLinkedRoleInput) (*RoleOutput, error) {
	name, ok := linkedNames()[in.AWSServiceName]
	if !ok {
		return nil, wire.Errorf("InvalidInput", "Service name %s is not known to support service-linked roles here.", in.AWSServiceName)
	}
	if in.CustomSuffix != "" {
		name += "_" + in.CustomSuffix
	}
	if _, taken := s.state.Roles[fold(name)]; taken {
		return nil, wire.Errorf("InvalidInput", "Service role name %s has been taken in this account, please try a different suffix.", name)
	}
	r := s.makeLinked(name, in.AWSServiceName)
	r.Description = in.Description
	return &RoleOutput{Role: s.showRole(r, true)}, nil
}

// linkedNames are the service-linked roles around EKS
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html).
func linkedNames() map[string]string {
	return map[string]string{
		"eks.amazonaws.com":                  "AWSServiceRoleForAmazonEKS",
		"eks-nodegroup.amazonaws.com":        "AWSServiceRoleForAmazonEKSNodegroup",
		"eks-fargate.amazonaws.com":          "AWSServiceRoleForAmazonEKSForFargate",
		"eks-connector.amazonaws.com":        "AWSServiceRoleForAmazonEKSConnector",
		"eks-local-outpost.amazonaws.com":    "AWSServiceRoleForAmazonEKSLocalOutpost",
		"autoscaling.amazonaws.com":          "AWSServiceRoleForAutoScaling",
		"elasticloadbalancing.amazonaws.com": "AWSServiceRoleForElasticLoadBalancing",
		"spot.amazonaws.com":                 "AWSServiceRoleForEC2Spot",
		"transitgateway.amazonaws.com":       "AWSServiceRoleForVPCTransitGateway",
	}
}

func (s *Service) makeLinked(name, service string) *role {
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole"}]}`
	r := &role{
		Name: name, Path: "/aws-service-role/" + service + "/", ID: s.world.Unique("AROA"), Trust: trust, MaxSession: 3600,
		Created: s.world.Now(), Inline: map[string]string{}, LinkedTo: service,
	}
	s.state.Roles[fold(name)] = r
	return r
}
