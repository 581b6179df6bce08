package e2e

import (
	"encoding/json"
	"os"
	"testing"
)

// policy is an IAM policy document. The product's names every action, so no pattern has to be matched.
type policy struct {
	Statement []struct {
		Effect string
		Action []string
	}
}

func readPolicy(t *testing.T, path string) policy {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var p policy
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// actions are everything that the policy allows, by the number of statements that do.
func (p policy) actions() map[string]int {
	out := map[string]int{}
	for _, s := range p.Statement {
		for _, action := range s.Action {
			if s.Effect == "Allow" {
				out[action]++
			}
		}
	}
	return out
}

// handlers tells what CloudFormation does, under the identity of whoever gave it the stack, for each type of resource in the
// product's stacks (the handlers' permissions in the CloudFormation registry, as far as the product's templates use them).
func handlers() map[string][]string {
	return map[string][]string{
		"AWS::AutoScaling::AutoScalingGroup": {
			"autoscaling:CreateAutoScalingGroup", "autoscaling:CreateOrUpdateTags", "autoscaling:DeleteAutoScalingGroup",
			"autoscaling:DeleteTags", "autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeScalingActivities",
			"autoscaling:UpdateAutoScalingGroup", "ec2:RunInstances", "iam:CreateServiceLinkedRole", "iam:PassRole",
		},
		"AWS::EC2::EIP": {
			"ec2:AllocateAddress", "ec2:CreateTags", "ec2:DescribeAddresses", "ec2:ReleaseAddress",
		},
		"AWS::EC2::EgressOnlyInternetGateway": {
			"ec2:CreateEgressOnlyInternetGateway", "ec2:DeleteEgressOnlyInternetGateway", "ec2:DescribeEgressOnlyInternetGateways",
		},
		"AWS::EC2::InternetGateway": {
			"ec2:CreateInternetGateway", "ec2:CreateTags", "ec2:DeleteInternetGateway", "ec2:DescribeInternetGateways",
		},
		"AWS::EC2::LaunchTemplate": {
			"ec2:CreateLaunchTemplate", "ec2:CreateLaunchTemplateVersion", "ec2:CreateTags", "ec2:DeleteLaunchTemplate",
			"ec2:DescribeLaunchTemplateVersions", "ec2:DescribeLaunchTemplates", "ec2:ModifyLaunchTemplate",
		},
		"AWS::EC2::NatGateway": {
			"ec2:CreateNatGateway", "ec2:CreateTags", "ec2:DeleteNatGateway", "ec2:DescribeNatGateways",
		},
		"AWS::EC2::Route": {
			"ec2:CreateRoute", "ec2:DeleteRoute", "ec2:DescribeRouteTables", "ec2:ReplaceRoute",
		},
		"AWS::EC2::RouteTable": {
			"ec2:CreateRouteTable", "ec2:CreateTags", "ec2:DeleteRouteTable", "ec2:DescribeRouteTables",
		},
		"AWS::EC2::SecurityGroup": {
			"ec2:CreateSecurityGroup", "ec2:CreateTags", "ec2:DeleteSecurityGroup", "ec2:DescribeSecurityGroups",
		},
		"AWS::EC2::SecurityGroupEgress": {
			"ec2:AuthorizeSecurityGroupEgress", "ec2:DescribeSecurityGroupRules", "ec2:RevokeSecurityGroupEgress",
		},
		"AWS::EC2::SecurityGroupIngress": {
			"ec2:AuthorizeSecurityGroupIngress", "ec2:DescribeSecurityGroupRules", "ec2:RevokeSecurityGroupIngress",
		},
		"AWS::EC2::Subnet": {
			"ec2:CreateSubnet", "ec2:CreateTags", "ec2:DeleteSubnet", "ec2:DescribeSubnets", "ec2:ModifySubnetAttribute",
		},
		"AWS::EC2::SubnetRouteTableAssociation": {
			"ec2:AssociateRouteTable", "ec2:DescribeRouteTables", "ec2:DisassociateRouteTable",
		},
		"AWS::EC2::VPC": {
			"ec2:CreateTags", "ec2:CreateVpc", "ec2:DeleteVpc", "ec2:DescribeVpcAttribute", "ec2:DescribeVpcs",
			"ec2:ModifyVpcAttribute",
		},
		"AWS::EC2::VPCCidrBlock": {
			"ec2:AssociateVpcCidrBlock", "ec2:DescribeVpcs", "ec2:DisassociateVpcCidrBlock",
		},
		"AWS::EC2::VPCEndpoint": {
			"ec2:CreateTags", "ec2:CreateVpcEndpoint", "ec2:DeleteVpcEndpoints", "ec2:DescribeVpcEndpoints",
			"ec2:ModifyVpcEndpoint",
		},
		"AWS::EC2::VPCGatewayAttachment": {
			"ec2:AttachInternetGateway", "ec2:DescribeInternetGateways", "ec2:DetachInternetGateway",
		},
		"AWS::EKS::AccessEntry": {
			"eks:AssociateAccessPolicy", "eks:CreateAccessEntry", "eks:DeleteAccessEntry", "eks:DescribeAccessEntry",
			"eks:DisassociateAccessPolicy", "eks:ListAssociatedAccessPolicies", "eks:TagResource", "eks:UpdateAccessEntry",
		},
		"AWS::EKS::Capability": {
			"eks:CreateCapability", "eks:DeleteCapability", "eks:DescribeCapability", "eks:TagResource", "iam:PassRole",
		},
		"AWS::EKS::Cluster": {
			"eks:CreateCluster", "eks:DeleteCluster", "eks:DescribeCluster", "eks:TagResource", "iam:CreateServiceLinkedRole",
			"iam:PassRole",
		},
		"AWS::EKS::Nodegroup": {
			"eks:CreateNodegroup", "eks:DeleteNodegroup", "eks:DescribeNodegroup", "eks:TagResource", "iam:CreateServiceLinkedRole",
			"iam:PassRole",
		},
		"AWS::IAM::InstanceProfile": {
			"iam:AddRoleToInstanceProfile", "iam:CreateInstanceProfile", "iam:DeleteInstanceProfile", "iam:GetInstanceProfile",
			"iam:RemoveRoleFromInstanceProfile",
		},
		"AWS::IAM::Policy": {
			"iam:DeleteRolePolicy", "iam:GetRolePolicy", "iam:PutRolePolicy",
		},
		"AWS::IAM::Role": {
			"iam:AttachRolePolicy", "iam:CreateRole", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy",
			"iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:PutRolePolicy",
			"iam:TagRole", "iam:UntagRole", "iam:UpdateAssumeRolePolicy",
		},
	}
}
