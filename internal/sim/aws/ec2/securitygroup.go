package ec2

import (
	"context"
	"maps"
	"regexp"
	"slices"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// SecurityGroup is a security group. Its rules are kept apart, since each has an id of its own.
type SecurityGroup struct {
	GroupID             string         `xml:"groupId"`
	IPPermissionsEgress []IPPermission `xml:"ipPermissionsEgress>item" json:"-"`
	Tags                []Tag          `xml:"tagSet>item" json:"-"`
	VpcID               string         `xml:"vpcId"`
	SecurityGroupArn    string         `xml:"securityGroupArn"`
	OwnerID             string         `xml:"ownerId"`
	GroupName           string         `xml:"groupName"`
	Description         string         `xml:"groupDescription"`
	IPPermissions       []IPPermission `xml:"ipPermissions>item" json:"-"`
}

// GroupIdentifier names a security group.
type GroupIdentifier struct {
	GroupID   string `xml:"groupId"`
	GroupName string `xml:"groupName"`
}

func (s *Service) securityAPI() map[string]wire.Handler {
	return map[string]wire.Handler{
		"CreateSecurityGroup":           handle(s.CreateSecurityGroup),
		"DeleteSecurityGroup":           handle(s.DeleteSecurityGroup),
		"DescribeSecurityGroups":        handle(s.DescribeSecurityGroups),
		"AuthorizeSecurityGroupIngress": handle(s.AuthorizeSecurityGroupIngress),
		"AuthorizeSecurityGroupEgress":  handle(s.AuthorizeSecurityGroupEgress),
		"RevokeSecurityGroupIngress":    handle(s.RevokeSecurityGroupIngress),
		"RevokeSecurityGroupEgress":     handle(s.RevokeSecurityGroupEgress),
		"DescribeSecurityGroupRules":    handle(s.DescribeSecurityGroupRules),
	}
}

func (s *Service) securityGroups() kind[SecurityGroup] {
	return kind[SecurityGroup]{all: s.state.SecurityGroups, missing: noGroup, values: s.groupValues, idsParameter: "groupIds"}
}

func noGroup(id string) error {
	return wire.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
}

func (s *Service) groupValues(g *SecurityGroup, name string) ([]string, bool) {
	plain, ok := map[string]string{
		"group-id": g.GroupID, "group-name": g.GroupName, "description": g.Description, "vpc-id": g.VpcID, "owner-id": g.OwnerID,
	}[name]
	if ok {
		return one(plain), true
	}
	get, ok := map[string]func(*SecurityGroupRule) string{
		"ip-permission.cidr":            func(r *SecurityGroupRule) string { return r.CidrIPv4 },
		"ip-permission.ipv6-cidr":       func(r *SecurityGroupRule) string { return r.CidrIPv6 },
		"ip-permission.protocol":        func(r *SecurityGroupRule) string { return r.IPProtocol },
		"ip-permission.group-id":        (*SecurityGroupRule).referenced,
		"egress.ip-permission.cidr":     func(r *SecurityGroupRule) string { return r.CidrIPv4 },
		"egress.ip-permission.group-id": (*SecurityGroupRule).referenced,
	}[name]
	if !ok {
		return nil, false
	}
	var out []string
	for _, r := range s.rulesOf(g.GroupID, name[:6] == "egress") {
		out = append(out, one(get(r))...)
	}
	return out, true
}

func (s *Service) securityGroup(id string) (*SecurityGroup, error) {
	if g := s.state.SecurityGroups[id]; g != nil {
		return g, nil
	}
	return nil, noGroup(id)
}

// newSecurityGroup makes a group that lets everything out, as every new group does.
func (s *Service) newSecurityGroup(vpc, name, description string) *SecurityGroup {
	g := &SecurityGroup{GroupID: s.world.ID("sg"), VpcID: vpc, OwnerID: s.world.Account, GroupName: name, Description: description}
	g.SecurityGroupArn = s.world.ARN("ec2", "security-group/"+g.GroupID)
	s.state.SecurityGroups[g.GroupID] = g
	s.addRule(g, SecurityGroupRule{IsEgress: true, IPProtocol: "-1", FromPort: -1, ToPort: -1, CidrIPv4: "0.0.0.0/0"})
	return g
}

func (s *Service) showGroup(g *SecurityGroup) SecurityGroup {
	shown := *g
	shown.Tags = s.tagList(g.GroupID)
	shown.IPPermissions = s.permissions(g.GroupID, false)
	shown.IPPermissionsEgress = s.permissions(g.GroupID, true)
	return shown
}

// CreateSecurityGroupInput is the request of CreateSecurityGroup.
type CreateSecurityGroupInput struct {
	Dry
	Description       string `form:"GroupDescription"`
	GroupName         string
	VpcID             string             `form:"VpcId"`
	TagSpecifications []TagSpecification `form:"TagSpecification"`
}

// CreateSecurityGroupOutput is the answer of CreateSecurityGroup.
type CreateSecurityGroupOutput struct {
	GroupID          string `xml:"groupId"`
	Tags             []Tag  `xml:"tagSet>item"`
	SecurityGroupArn string `xml:"securityGroupArn"`
}

var groupText = regexp.MustCompile(`^[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}$`)

// CreateSecurityGroup makes a group.
func (s *Service) CreateSecurityGroup(_ context.Context, _ wire.Caller, in *CreateSecurityGroupInput) (*CreateSecurityGroupOutput, error) {
	v, err := s.vpc(in.VpcID)
	if err != nil {
		return nil, err
	}
	if !groupText.MatchString(in.GroupName) || len(in.GroupName) > 2 && in.GroupName[:3] == "sg-" {
		return nil, wire.Errorf("InvalidParameterValue", "Value (%s) for parameter GroupName is invalid. Character sets beyond ASCII are not supported.", in.GroupName)
	}
	if !groupText.MatchString(in.Description) {
		return nil, wire.Errorf("InvalidParameterValue", "Value (%s) for parameter GroupDescription is invalid. Character sets beyond ASCII are not supported.", in.Description)
	}
	tags, err := specified(in.TagSpecifications, "security-group")
	if err != nil {
		return nil, err
	}
	for _, g := range s.state.SecurityGroups {
		if g.VpcID == v.VpcID && g.GroupName == in.GroupName {
			return nil, wire.Errorf("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", in.GroupName, v.VpcID)
		}
	}
	g := s.newSecurityGroup(v.VpcID, in.GroupName, in.Description)
	s.SetTags(g.GroupID, tags)
	return &CreateSecurityGroupOutput{GroupID: g.GroupID, Tags: s.tagList(g.GroupID), SecurityGroupArn: g.SecurityGroupArn}, nil
}

// DeleteSecurityGroupInput is the request of DeleteSecurityGroup.
type DeleteSecurityGroupInput struct {
	Dry
	GroupID string `form:"GroupId"`
}

// DeleteSecurityGroupOutput is the answer of DeleteSecurityGroup.
type DeleteSecurityGroupOutput struct {
	Return  bool   `xml:"return"`
	GroupID string `xml:"groupId"`
}

// DeleteSecurityGroup deletes a group that no interface and no other group's rule uses.
func (s *Service) DeleteSecurityGroup(_ context.Context, _ wire.Caller, in *DeleteSecurityGroupInput) (*DeleteSecurityGroupOutput, error) {
	g, err := s.securityGroup(in.GroupID)
	if err != nil {
		return nil, err
	}
	if v := s.state.Vpcs[g.VpcID]; v != nil && v.DefaultGroup == g.GroupID {
		return nil, wire.Errorf("CannotDelete", "the specified group: \"%s\" name: \"%s\" cannot be deleted by a user", g.GroupID, g.GroupName)
	}
	for _, i := range s.state.Interfaces {
		if slices.ContainsFunc(i.Groups, func(o GroupIdentifier) bool { return o.GroupID == g.GroupID }) {
			return nil, dependency("resource %s has a dependent object", g.GroupID)
		}
	}
	for _, r := range s.state.Rules {
		if r.GroupID != g.GroupID && r.referenced() == g.GroupID {
			return nil, dependency("resource %s has a dependent object", g.GroupID)
		}
	}
	s.forgetGroup(g.GroupID)
	return &DeleteSecurityGroupOutput{Return: true, GroupID: g.GroupID}, nil
}

func (s *Service) forgetGroup(id string) {
	maps.DeleteFunc(s.state.Rules, func(rule string, r *SecurityGroupRule) bool {
		if r.GroupID == id {
			delete(s.state.Tags, rule)
			return true
		}
		return false
	})
	delete(s.state.SecurityGroups, id)
	delete(s.state.Tags, id)
}

// DescribeSecurityGroupsInput is the request of DescribeSecurityGroups.
type DescribeSecurityGroupsInput struct {
	Query
	GroupIDs   []string `form:"GroupId"`
	GroupNames []string `form:"GroupName"`
}

// DescribeSecurityGroupsOutput is the answer of DescribeSecurityGroups.
type DescribeSecurityGroupsOutput struct {
	NextToken      string          `xml:"nextToken,omitempty"`
	SecurityGroups []SecurityGroup `xml:"securityGroupInfo>item"`
}

// DescribeSecurityGroups lists groups.
func (s *Service) DescribeSecurityGroups(_ context.Context, _ wire.Caller, in *DescribeSecurityGroupsInput) (*DescribeSecurityGroupsOutput, error) {
	q := in.Query
	if len(in.GroupNames) > 0 {
		q.Filters = append(slices.Clone(q.Filters), Filter{Name: "group-name", Values: in.GroupNames})
	}
	found, next, err := find(s, s.securityGroups(), in.GroupIDs, q)
	if err != nil {
		return nil, err
	}
	out := &DescribeSecurityGroupsOutput{NextToken: next}
	for _, g := range found {
		out.SecurityGroups = append(out.SecurityGroups, s.showGroup(g))
	}
	return out, nil
}
