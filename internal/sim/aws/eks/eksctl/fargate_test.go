package eksctl_test

import (
	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// fargateRole makes a role for Pods on Fargate.
func (s *session) fargateRole() string {
	s.t.Helper()
	out, err := iam.NewFromConfig(s.sim.Config()).CreateRole(s.t.Context(), &iam.CreateRoleInput{
		RoleName:                 sdk.String("pods"),
		AssumeRolePolicyDocument: sdk.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"eks-fargate-pods.amazonaws.com"},"Action":"sts:AssumeRole"}]}`),
	})
	must(s.t, err)
	return *out.Role.Arn
}
