package ec2

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// SecurityGroupRule is one rule: one protocol, port range and one source or destination.
type SecurityGroupRule struct {
	RuleID          string           `xml:"securityGroupRuleId"`
	GroupID         string           `xml:"groupId"`
	GroupOwnerID    string           `xml:"groupOwnerId"`
	IsEgress        bool             `xml:"isEgress"`
	IPProtocol      string           `xml:"ipProtocol"`
	FromPort        int              `xml:"fromPort"`
	ToPort          int              `xml:"toPort"`
	CidrIPv4        string           `xml:"cidrIpv4,omitempty"`
	CidrIPv6        string           `xml:"cidrIpv6,omitempty"`
	PrefixListID    string           `xml:"prefixListId,omitempty"`
	ReferencedGroup *ReferencedGroup `xml:"referencedGroupInfo"`
	Description     string           `xml:"description,omitempty"`
	Tags            []Tag            `xml:"tagSet>item" json:"-"`
	RuleArn         string           `xml:"securityGroupRuleArn"`
}

// ReferencedGroup is a group as the source or destination of a rule.
type ReferencedGroup struct {
	GroupID string `xml:"groupId"`
	UserID  string `xml:"userId"`
	VpcID   string `xml:"vpcId,omitempty"`
}

// IPPermission is the older form of rules: one protocol and port range with many sources.
type IPPermission struct {
	IPProtocol    string            `form:"IpProtocol" xml:"ipProtocol"`
	FromPort      *int              `xml:"fromPort"`
	ToPort        *int              `xml:"toPort"`
	Groups        []UserIDGroupPair `xml:"groups>item"`
	IPRanges      []IPRange         `form:"IpRanges" xml:"ipRanges>item"`
	IPv6Ranges    []IPv6Range       `form:"Ipv6Ranges" xml:"ipv6Ranges>item"`
	PrefixListIDs []PrefixListID    `form:"PrefixListIds" xml:"prefixListIds>item"`
}

// UserIDGroupPair is a group in an IPPermission.
type UserIDGroupPair struct {
	Description string `xml:"description,omitempty"`
	UserID      string `form:"UserId" xml:"userId,omitempty"`
	GroupName   string `xml:"groupName,omitempty"`
	GroupID     string `form:"GroupId" xml:"groupId,omitempty"`
	VpcID       string `form:"VpcId" xml:"vpcId,omitempty"`
}

// IPRange is an IPv4 block in an IPPermission.
type IPRange struct {
	CidrIP      string `form:"CidrIp" xml:"cidrIp"`
	Description string `xml:"description,omitempty"`
}

// IPv6Range is an IPv6 block in an IPPermission.
type IPv6Range struct {
	CidrIPv6    string `form:"CidrIpv6" xml:"cidrIpv6"`
	Description string `xml:"description,omitempty"`
}

// PrefixListID is a prefix list in an IPPermission.
type PrefixListID struct {
	PrefixListID string `form:"PrefixListId" xml:"prefixListId"`
	Description  string `xml:"description,omitempty"`
}

func (r *SecurityGroupRule) referenced() string {
	if r.ReferencedGroup == nil {
		return ""
	}
	return r.ReferencedGroup.GroupID
}

// same tells whether two rules allow the same; descriptions and ids do not count.
func (r *SecurityGroupRule) same(o *SecurityGroupRule) bool {
	return r.GroupID == o.GroupID && r.IsEgress == o.IsEgress && r.IPProtocol == o.IPProtocol && r.FromPort == o.FromPort && r.ToPort == o.ToPort &&
		r.CidrIPv4 == o.CidrIPv4 && r.CidrIPv6 == o.CidrIPv6 && r.PrefixListID == o.PrefixListID && r.referenced() == o.referenced()
}

func (s *Service) reference(g *SecurityGroup) *ReferencedGroup {
	return &ReferencedGroup{GroupID: g.GroupID, UserID: s.world.Account, VpcID: g.VpcID}
}

func (s *Service) addRule(g *SecurityGroup, r SecurityGroupRule) *SecurityGroupRule {
	r.RuleID, r.GroupID, r.GroupOwnerID = s.world.ID("sgr"), g.GroupID, s.world.Account
	r.RuleArn = s.world.ARN("ec2", "security-group-rule/"+r.RuleID)
	s.state.Rules[r.RuleID] = &r
	return &r
}

func (s *Service) rulesOf(group string, egress bool) []*SecurityGroupRule {
	return slices.DeleteFunc(sorted(s.state.Rules), func(r *SecurityGroupRule) bool { return r.GroupID != group || r.IsEgress != egress })
}

// permissions folds rules into the older form.
func (s *Service) permissions(group string, egress bool) []IPPermission {
	var out []IPPermission
	for _, r := range s.rulesOf(group, egress) {
		i := slices.IndexFunc(out, func(p IPPermission) bool {
			return p.IPProtocol == r.IPProtocol && (p.FromPort == nil || *p.FromPort == r.FromPort && *p.ToPort == r.ToPort)
		})
		if i < 0 {
			p := IPPermission{IPProtocol: r.IPProtocol}
			if r.IPProtocol != "-1" {
				from, to := r.FromPort, r.ToPort
				p.FromPort, p.ToPort = &from, &to
			}
			out = append(out, p)
			i = len(out) - 1
		}
		p := &out[i]
		switch {
		case r.CidrIPv4 != "":
			p.IPRanges = append(p.IPRanges, IPRange{CidrIP: r.CidrIPv4, Description: r.Description})
		case r.CidrIPv6 != "":
			p.IPv6Ranges = append(p.IPv6Ranges, IPv6Range{CidrIPv6: r.CidrIPv6, Description: r.Description})
		case r.PrefixListID != "":
			p.PrefixListIDs = append(p.PrefixListIDs, PrefixListID{PrefixListID: r.PrefixListID, Description: r.Description})
		case r.ReferencedGroup != nil:
			p.Groups = append(p.Groups, UserIDGroupPair{Description: r.Description, UserID: r.ReferencedGroup.UserID, GroupID: r.ReferencedGroup.GroupID})
		}
	}
	return out
}

// unfold makes rules of an IPPermission.
func (s *Service) unfold(g *SecurityGroup, p IPPermission, egress bool) ([]SecurityGroupRule, error) {
	base := SecurityGroupRule{GroupID: g.GroupID, IsEgress: egress, IPProtocol: protocolName(p.IPProtocol), FromPort: -1, ToPort: -1}
	if base.IPProtocol != "-1" && p.FromPort != nil && p.ToPort != nil {
		base.FromPort, base.ToPort = *p.FromPort, *p.ToPort
	}
	if err := checkPorts(base, p); err != nil {
		return nil, err
	}
	var rules []SecurityGroupRule
	for _, r := range p.IPRanges {
		block, err := netip.ParsePrefix(r.CidrIP)
		if err != nil || !block.Addr().Is4() {
			return nil, wire.Errorf("InvalidParameterValue", "CIDR block %s is malformed", r.CidrIP)
		}
		rule := base
		rule.CidrIPv4, rule.Description = block.Masked().String(), r.Description
		rules = append(rules, rule)
	}
	for _, r := range p.IPv6Ranges {
		block, err := netip.ParsePrefix(r.CidrIPv6)
		if err != nil || !block.Addr().Is6() {
			return nil, wire.Errorf("InvalidParameterValue", "CIDR block %s is malformed", r.CidrIPv6)
		}
		rule := base
		rule.CidrIPv6, rule.Description = block.Masked().String(), r.Description
		rules = append(rules, rule)
	}
	for _, r := range p.PrefixListIDs {
		rule := base
		rule.PrefixListID, rule.Description = r.PrefixListID, r.Description
		rules = append(rules, rule)
	}
	for _, r := range p.Groups {
		other := s.state.SecurityGroups[r.GroupID]
		if other == nil {
			return nil, noGroup(r.GroupID)
		}
		rule := base
		rule.ReferencedGroup, rule.Description = s.reference(other), r.Description
		rules = append(rules, rule)
	}
	if len(rules) == 0 {
		return nil, wire.Errorf("InvalidPermission.Malformed", "The request must contain at least one source or destination")
	}
	return rules, nil
}

func protocolName(p string) string {
	if name, ok := map[string]string{"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "all": "-1"}[strings.ToLower(p)]; ok {
		return name
	}
	return strings.ToLower(p)
}

func checkPorts(r SecurityGroupRule, p IPPermission) error {
	if r.IPProtocol == "" {
		return missingParameter("ipProtocol")
	}
	if r.IPProtocol != "tcp" && r.IPProtocol != "udp" {
		return nil
	}
	if p.FromPort == nil || p.ToPort == nil {
		return wire.Errorf("InvalidParameterValue", "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
	}
	if r.FromPort < 0 || r.ToPort > 65535 || r.FromPort > r.ToPort {
		return wire.Errorf("InvalidParameterValue", "Invalid TCP/UDP port range (%d:%d)", r.FromPort, r.ToPort)
	}
	return nil
}

// RulesInput is what the operations that authorize and revoke rules have in common.
type RulesInput struct {
	Dry
	GroupID       string `form:"GroupId"`
	IPProtocol    string `form:"IpProtocol"`
	FromPort      *int
	ToPort        *int
	CidrIP        string         `form:"CidrIp"`
	IPPermissions []IPPermission `form:"IpPermissions"`
}

// AuthorizeInput is the request of the operations that authorize rules.
type AuthorizeInput struct {
	RulesInput
	TagSpecifications []TagSpecification `form:"TagSpecification"`
}

// RevokeInput is the request of the operations that revoke rules.
type RevokeInput struct {
	RulesInput
	RuleIDs []string `form:"SecurityGroupRuleId"`
}

func (in *RulesInput) permissions() []IPPermission {
	if in.IPProtocol == "" {
		return in.IPPermissions
	}
	p := IPPermission{IPProtocol: in.IPProtocol, FromPort: in.FromPort, ToPort: in.ToPort}
	if in.CidrIP != "" {
		p.IPRanges = []IPRange{{CidrIP: in.CidrIP}}
	}
	return append(slices.Clone(in.IPPermissions), p)
}

// AuthorizeOutput is the answer of the operations that authorize rules.
type AuthorizeOutput struct {
	Return bool                `xml:"return"`
	Rules  []SecurityGroupRule `xml:"securityGroupRuleSet>item"`
}

// AuthorizeSecurityGroupIngress lets something in.
func (s *Service) AuthorizeSecurityGroupIngress(_ context.Context, _ wire.Caller, in *AuthorizeInput) (*AuthorizeOutput, error) {
	return s.authorize(in, false)
}

// AuthorizeSecurityGroupEgress lets something out.
func (s *Service) AuthorizeSecurityGroupEgress(_ context.Context, _ wire.Caller, in *AuthorizeInput) (*AuthorizeOutput, error) {
	return s.authorize(in, true)
}

func (s *Service) authorize(in *AuthorizeInput, egress bool) (*AuthorizeOutput, error) {
	g, err := s.securityGroup(in.GroupID)
	if err != nil {
		return nil, err
	}
	tags, err := specified(in.TagSpecifications, "security-group-rule")
	if err != nil {
		return nil, err
	}
	var fresh []SecurityGroupRule
	for _, p := range in.permissions() {
		rules, err := s.unfold(g, p, egress)
		if err != nil {
			return nil, err
		}
		fresh = append(fresh, rules...)
	}
	if len(fresh) == 0 {
		return nil, missingParameter("ipPermissions")
	}
	for i := range fresh {
		if s.ruleLike(&fresh[i]) != nil {
			r := fresh[i]
			return nil, wire.Errorf("InvalidPermission.Duplicate", "the specified rule \"peer: %s%s%s%s, %s, from port: %d, to port: %d, ALLOW\" already exists",
				r.CidrIPv4, r.CidrIPv6, r.PrefixListID, r.referenced(), strings.ToUpper(r.IPProtocol), r.FromPort, r.ToPort)
		}
	}
	out := &AuthorizeOutput{Return: true}
	for _, r := range fresh {
		made := s.addRule(g, r)
		s.SetTags(made.RuleID, tags)
		shown := *made
		shown.Tags = s.tagList(made.RuleID)
		out.Rules = append(out.Rules, shown)
	}
	return out, nil
}

func (s *Service) ruleLike(r *SecurityGroupRule) *SecurityGroupRule {
	for _, have := range s.state.Rules {
		if have.same(r) {
			return have
		}
	}
	return nil
}

// RevokeOutput is the answer of the operations that revoke rules.
type RevokeOutput struct {
	Return  bool           `xml:"return"`
	Unknown []IPPermission `xml:"unknownIpPermissionSet>item"`
}

// RevokeSecurityGroupIngress takes a permission back.
func (s *Service) RevokeSecurityGroupIngress(_ context.Context, _ wire.Caller, in *RevokeInput) (*RevokeOutput, error) {
	return s.revoke(in, false)
}

// RevokeSecurityGroupEgress takes a permission back.
func (s *Service) RevokeSecurityGroupEgress(_ context.Context, _ wire.Caller, in *RevokeInput) (*RevokeOutput, error) {
	return s.revoke(in, true)
}

func (s *Service) revoke(in *RevokeInput, egress bool) (*RevokeOutput, error) {
	g, err := s.securityGroup(in.GroupID)
	if err != nil {
		return nil, err
	}
	var doomed []string
	for _, id := range in.RuleIDs {
		r := s.state.Rules[id]
		if r == nil || r.GroupID != g.GroupID || r.IsEgress != egress {
			return nil, wire.Errorf("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", id)
		}
		doomed = append(doomed, id)
	}
	for _, p := range in.permissions() {
		rules, err := s.unfold(g, p, egress)
		if err != nil {
			return nil, err
		}
		for i := range rules {
			have := s.ruleLike(&rules[i])
			if have == nil {
				return nil, wire.Errorf("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
			}
			doomed = append(doomed, have.RuleID)
		}
	}
	for _, id := range doomed {
		delete(s.state.Rules, id)
		delete(s.state.Tags, id)
	}
	return &RevokeOutput{Return: true}, nil
}

// DescribeSecurityGroupRulesInput is the request of DescribeSecurityGroupRules.
type DescribeSecurityGroupRulesInput struct {
	Query
	RuleIDs []string `form:"SecurityGroupRuleId"`
}

// DescribeSecurityGroupRulesOutput is the answer of DescribeSecurityGroupRules.
type DescribeSecurityGroupRulesOutput struct {
	Rules     []SecurityGroupRule `xml:"securityGroupRuleSet>item"`
	NextToken string              `xml:"nextToken,omitempty"`
}

// DescribeSecurityGroupRules lists rules.
func (s *Service) DescribeSecurityGroupRules(_ context.Context, _ wire.Caller, in *DescribeSecurityGroupRulesInput) (*DescribeSecurityGroupRulesOutput, error) {
	rules := kind[SecurityGroupRule]{
		all: s.state.Rules, missing: notFound("InvalidSecurityGroupRuleId.NotFound", "security group rule ID"), idsParameter: "securityGroupRuleIds",
		values: func(r *SecurityGroupRule, name string) ([]string, bool) {
			v, ok := map[string]string{"group-id": r.GroupID, "security-group-rule-id": r.RuleID}[name]
			return one(v), ok
		},
	}
	found, next, err := find(s, rules, in.RuleIDs, in.Query)
	if err != nil {
		return nil, err
	}
	out := &DescribeSecurityGroupRulesOutput{NextToken: next}
	for _, r := range found {
		shown := *r
		shown.Tags = s.tagList(r.RuleID)
		out.Rules = append(out.Rules, shown)
	}
	return out, nil
}
