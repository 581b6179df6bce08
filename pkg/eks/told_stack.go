package eks

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/weaveworks/eksctl/pkg/cfn/builder"
	"github.com/weaveworks/eksctl/pkg/cfn/outputs"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// stackTellers read the template of a nodegroup's stack as eksctl writes it (pkg/cfn/builder), where AWS has no nearer word.
func stackTellers() map[string]teller {
	const template = "cloudformation:GetTemplate"
	return map[string]teller{
		"iam":              {of: tellIAM, seen: template + ", eks:DescribeNodegroup"},
		"securityGroups":   {of: tellSecurity, seen: template + ", ec2:DescribeLaunchTemplateVersions", launch: true},
		"ssh":              {of: tellSSH, seen: template + ", ec2:DescribeLaunchTemplateVersions", launch: true},
		"amiFamily":        {of: tellFamily, seen: "eks:DescribeNodegroup, " + template},
		"propagateASGTags": {of: tellPropagated, seen: template},
	}
}

// resource is what a resource of the group's stack was made with; nil when the stack makes none of that name.
func (g *group) resource(name string) gitops.Tree {
	return gitops.TreeAt(g.Template, "Resources", name)
}

// property is one of a resource's properties.
func (g *group) property(resource string, path ...string) any {
	r := g.resource(resource)
	if r == nil {
		return nil
	}
	return inside(r, append([]string{"Properties"}, path...)...)
}

func inside(t gitops.Tree, path ...string) any {
	for _, key := range path[:len(path)-1] {
		below, _ := t[key].(gitops.Tree)
		t = below
	}
	return t[path[len(path)-1]]
}

// stacked says that the template of its stack is known and makes a group.
func (g *group) stacked() bool {
	return g.resource("NodeGroup") != nil || g.resource(builder.ManagedNodeGroupResourceName) != nil
}

// nodeRole is the role that the group's nodes have, which its stack may have made.
func (g *group) nodeRole() string {
	switch {
	case g.Nodegroup != nil:
		return aws.ToString(g.Nodegroup.NodeRole)
	case g.Stack != nil:
		return output(*g.Stack, outputs.NodeGroupInstanceRoleARN)
	}
	return ""
}

// rolePolicies are the policies by which eksctl gives a role the rights of withAddonPolicies (createRole and makeManagedPolicies in
// pkg/cfn/builder/iam_helper.go): resources of the stack, or managed policies.
func rolePolicies() map[string]string {
	return map[string]string{
		"autoScaler": "PolicyAutoScaling", "certManager": "PolicyCertManagerChangeSet", "externalDNS": "PolicyExternalDNSChangeSet", "appMesh": "PolicyAppMesh",
		"appMeshPreview": "PolicyAppMeshPreview", "fsx": "PolicyFSX", "efs": "PolicyEFS", "xRay": "PolicyXRay",
		"awsLoadBalancerController": "PolicyAWSLoadBalancerController", "albIngress": "PolicyAWSLoadBalancerController",
		"imageBuilder": "AmazonEC2ContainerRegistryPowerUser", "cloudWatch": "CloudWatchAgentServerPolicy", "ebs": "AmazonEBSCSIDriverPolicy",
	}
}

// tellIAM reads the role that the stack makes, or the one that it was given.
func tellIAM(s subject) any {
	out := gitops.Tree{"instanceRoleARN": untold{}, "instanceRoleName": untold{}, "instanceProfileARN": untold{}}
	if role := s.g.nodeRole(); role != "" {
		out["instanceRoleARN"], out["instanceRoleName"] = s.sameRole(role), role[strings.LastIndex(role, "/")+1:]
	}
	if l := s.g.Launch; !s.g.Managed && l != nil && l.IamInstanceProfile != nil {
		out["instanceProfileARN"] = worded(l.IamInstanceProfile.Arn)
	}
	made := s.g.resource("NodeInstanceRole")
	if made != nil && s.next == nil {
		delete(out, "instanceRoleARN") // a file that names it makes none
		delete(out, "instanceProfileARN")
		out["instanceRoleName"] = s.g.property("NodeInstanceRole", "RoleName")
	}
	if made == nil {
		for _, name := range []string{"attachPolicy", "attachPolicyARNs", "instanceRolePermissionsBoundary", "withAddonPolicies"} {
			out[name] = untold{}
		}
		if s.next == nil {
			delete(out, "instanceRoleName")
		}
		return out
	}
	out["attachPolicy"] = exact{s.g.property("Policy1", "PolicyDocument")}
	out["instanceRolePermissionsBoundary"] = s.g.property("NodeInstanceRole", "PermissionsBoundary")
	out["attachPolicyARNs"], out["withAddonPolicies"] = s.g.attached()
	return out
}

// sameRole is a role as git names it: eksctl leaves out the path (NormalizeARN).
func (s subject) sameRole(role string) string {
	wanted, _ := s.next.(gitops.Tree)
	if next := gitops.StringAt(wanted, "instanceRoleARN"); builder.NormalizeARN(next) == builder.NormalizeARN(role) {
		return next
	}
	return role
}

// attached are the policies of the stack's role: those that the file named stand there as they are, and eksctl's own for any partition. One
// that the file named is not known to be of an addon, too.
func (g *group) attached() (named []any, addons gitops.Tree) {
	own := map[string]bool{}
	list, _ := g.property("NodeInstanceRole", "ManagedPolicyArns").([]any)
	for _, item := range list {
		if arn, ok := item.(string); ok {
			named = append(named, arn)
			continue
		}
		t, _ := item.(gitops.Tree)
		arn := gitops.StringAt(t, "Fn::Sub")
		own[arn[strings.LastIndex(arn, "/")+1:]] = true
	}
	addons = gitops.Tree{}
	for name, policy := range rolePolicies() {
		switch {
		case slices.ContainsFunc(texts(named), func(arn string) bool { return strings.HasSuffix(arn, "/"+policy) }):
			addons[name] = untold{}
		default:
			addons[name] = own[policy] || g.resource(policy) != nil
		}
	}
	if addons["awsLoadBalancerController"] == true {
		addons["albIngress"] = untold{} // the same policy, by its old name
	}
	return named, addons
}

// securityGroups are those that the launch template gives nodes.
func securityGroups(l *ec2types.ResponseLaunchTemplateData) []string {
	if len(l.NetworkInterfaces) > 0 {
		return l.NetworkInterfaces[0].Groups
	}
	return l.SecurityGroupIds
}

// tellSecurity: attachIDs are the security groups that nodes have and that neither the cluster nor the group's stack made. In a template
// those stand by their ids.
func tellSecurity(s subject) any {
	out := gitops.Tree{"attachIDs": untold{}, "withShared": untold{}, "withLocal": untold{}}
	if s.g.Stack != nil && !s.g.Managed {
		for name, key := range map[string]string{"withShared": outputs.NodeGroupFeatureSharedSecurityGroup, "withLocal": outputs.NodeGroupFeatureLocalSecurityGroup} {
			if v := output(*s.g.Stack, key); v != "" {
				out[name] = v == "true"
			}
		}
		if s.next == nil {
			for _, name := range []string{"withShared", "withLocal"} {
				if out[name] == true {
					delete(out, name) // as eksctl makes it
				}
			}
		}
	}
	if s.g.Launch == nil {
		return out
	}
	given := []string{s.c.full.VPC.SecurityGroup, s.c.full.VPC.SharedNodeSecurityGroup}
	attached := slices.DeleteFunc(slices.Clone(securityGroups(s.g.Launch)), func(id string) bool { return slices.Contains(given, id) })
	if s.g.stacked() {
		named := s.g.namedSecurity()
		attached = slices.DeleteFunc(attached, func(id string) bool { return !slices.Contains(named, id) })
	} else if len(given[0]) == 0 {
		return out // the cluster's own is among them, and which it is is not known
	}
	out["attachIDs"] = sortedStrings(attached)
	return out
}

// namedSecurity are the security groups that stand in the template of the group's stack by their ids.
func (g *group) namedSecurity() []string {
	var out []string
	for _, resource := range []string{"LaunchTemplate", "NodeGroupLaunchTemplate"} {
		list, _ := g.property(resource, "LaunchTemplateData", "SecurityGroupIds").([]any)
		out = append(out, texts(list)...)
		interfaces, _ := g.property(resource, "LaunchTemplateData", "NetworkInterfaces").([]any)
		for _, i := range interfaces {
			t, _ := i.(gitops.Tree)
			out = append(out, texts(gitops.ListAt(t, "Groups"))...)
		}
	}
	return out
}

// tellSSH reads the key of the launch template, or of a managed nodegroup without one, and the rules for port 22 of the security group that
// the stack makes. SSM is always on.
func tellSSH(s subject) any {
	out := gitops.Tree{"allow": untold{}, "publicKeyName": untold{}, "sourceSecurityGroupIds": untold{}, "enableSsm": untold{}}
	if wanted, _ := s.next.(gitops.Tree); wanted["enableSsm"] == true || s.next == nil {
		out["enableSsm"] = wanted["enableSsm"]
	}
	if n := s.g.Nodegroup; n != nil && n.RemoteAccess != nil {
		out["allow"], out["publicKeyName"] = true, worded(n.RemoteAccess.Ec2SshKey)
		out["sourceSecurityGroupIds"] = sortedStrings(n.RemoteAccess.SourceSecurityGroups)
		return out
	}
	if s.g.Launch != nil {
		out["publicKeyName"] = worded(s.g.Launch.KeyName)
	}
	group := map[bool]string{true: "SSH", false: "SG"}[s.g.Managed]
	if !s.g.stacked() || !s.g.Managed && s.g.resource(group) == nil {
		return out
	}
	open, sources := s.g.sshRules(group)
	out["allow"], out["sourceSecurityGroupIds"] = open, sortedStrings(sources)
	if s.next == nil && out["publicKeyName"] != nil && !open {
		return exact{gitops.Tree{"publicKeyName": out["publicKeyName"], "allow": false}} // a key alone means that it is allowed
	}
	return out
}

// sshRules are those of a security group of the stack that let SSH in, and from which groups.
func (g *group) sshRules(group string) (open bool, sources []string) {
	rules, _ := g.property(group, "SecurityGroupIngress").([]any)
	for _, r := range rules {
		rule, _ := r.(gitops.Tree)
		if !alike(rule["FromPort"], int64(22)) && rule["FromPort"] != "22" {
			continue
		}
		open = true
		if id, ok := rule["SourceSecurityGroupId"].(string); ok {
			sources = append(sources, id)
		}
	}
	return open, sources
}

// tellFamily: eksctl says the family of a self-managed nodegroup in the description of its template.
func tellFamily(s subject) any {
	_, after, ok := strings.Cut(gitops.StringAt(s.g.Template, "Description"), "(AMI family: ")
	family, _, _ := strings.Cut(after, ",")
	if s.g.Managed || !ok {
		return untold{}
	}
	return family
}

// tellPropagated: eksctl always has labels of its own to propagate.
func tellPropagated(s subject) any {
	if s.g.Managed || s.g.resource("NodeGroup") == nil {
		return untold{}
	}
	list, _ := s.g.property("NodeGroup", "Tags").([]any)
	return slices.ContainsFunc(list, func(item any) bool {
		t, _ := item.(gitops.Tree)
		return strings.HasPrefix(gitops.StringAt(t, "Key"), "k8s.io/cluster-autoscaler/node-template/")
	})
}
