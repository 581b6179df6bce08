package ec2

import (
	"context"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
)

func (s *Service) groupTypes() []cloudformation.ResourceType {
	return []cloudformation.ResourceType{
		{
			Name: "AWS::EC2::SecurityGroup", Tagged: true, NameProperty: "GroupName",
			Provider: provider{create: s.createGroupResource, update: s.updateGroupResource, remove: func(r cloudformation.Resource) error {
				_, err := s.DeleteSecurityGroup(context.Background(), s.caller(), &DeleteSecurityGroupInput{GroupID: r.PhysicalID})
				return err
			}, status: func(r cloudformation.Resource) cloudformation.Status {
				g := s.state.SecurityGroups[r.PhysicalID]
				if g == nil {
					return absent()
				}
				return ready(map[string]any{"Id": g.GroupID, "GroupId": g.GroupID})
			}},
			Properties: []string{"GroupDescription", "GroupName", "SecurityGroupEgress", "SecurityGroupIngress", "Tags", "VpcId"},
			Required:   []string{"GroupDescription"}, CreateOnly: []string{"GroupDescription", "GroupName", "VpcId"},
			Attributes: []string{"Id", "GroupId"},
		},
		{
			Name:     "AWS::EC2::SecurityGroupIngress",
			Provider: s.ruleProvider(false),
			Properties: []string{
				"CidrIp", "CidrIpv6", "Description", "FromPort", "GroupId", "GroupName", "IpProtocol", "SourcePrefixListId", "SourceSecurityGroupId",
				"SourceSecurityGroupName", "SourceSecurityGroupOwnerId", "ToPort",
			},
			Required: []string{"IpProtocol"},
			CreateOnly: []string{
				"GroupName", "IpProtocol", "SourceSecurityGroupId", "SourcePrefixListId", "ToPort", "CidrIp", "SourceSecurityGroupName",
				"SourceSecurityGroupOwnerId", "FromPort", "GroupId", "CidrIpv6",
			},
			Attributes: []string{"Id"},
		},
		{
			Name:     "AWS::EC2::SecurityGroupEgress",
			Provider: s.ruleProvider(true),
			Properties: []string{
				"CidrIp", "CidrIpv6", "Description", "DestinationPrefixListId", "DestinationSecurityGroupId", "FromPort", "GroupId", "IpProtocol", "ToPort",
			},
			Required: []string{"GroupId", "IpProtocol"},
			CreateOnly: []string{
				"IpProtocol", "DestinationSecurityGroupId", "ToPort", "CidrIp", "FromPort", "GroupId", "CidrIpv6", "DestinationPrefixListId",
			},
			Attributes: []string{"Id"},
		},
	}
}

// ruleProperties are a rule as a resource of its own or inline in its group.
type ruleProperties struct {
	CidrIP           string `cfn:"CidrIp"`
	CidrIPv6         string `cfn:"CidrIpv6"`
	Description      string
	FromPort         *int
	ToPort           *int
	GroupID          string `cfn:"GroupId"`
	IPProtocol       string `cfn:"IpProtocol"`
	SourceGroup      string `cfn:"SourceSecurityGroupId"`
	SourceOwner      string `cfn:"SourceSecurityGroupOwnerId"`
	DestinationGroup string `cfn:"DestinationSecurityGroupId"`
	SourceList       string `cfn:"SourcePrefixListId"`
	DestinationList  string `cfn:"DestinationPrefixListId"`
}

// request makes the API's request of a rule. CloudFormation lets -1 stand for "no port".
func (p ruleProperties) request(group string) RulesInput {
	permission := IPPermission{IPProtocol: p.IPProtocol, FromPort: p.FromPort, ToPort: p.ToPort}
	if p.CidrIP != "" {
		permission.IPRanges = []IPRange{{CidrIP: p.CidrIP, Description: p.Description}}
	}
	if p.CidrIPv6 != "" {
		permission.IPv6Ranges = []IPv6Range{{CidrIPv6: p.CidrIPv6, Description: p.Description}}
	}
	if list := p.SourceList + p.DestinationList; list != "" {
		permission.PrefixListIDs = []PrefixListID{{PrefixListID: list, Description: p.Description}}
	}
	if peer := p.SourceGroup + p.DestinationGroup; peer != "" {
		permission.Groups = []UserIDGroupPair{{GroupID: peer, Description: p.Description}}
	}
	return RulesInput{GroupID: group, IPPermissions: []IPPermission{permission}}
}

func (s *Service) ruleProvider(egress bool) provider {
	return provider{
		create: func(r cloudformation.Resource) (string, error) {
			var p ruleProperties
			if err := cloudformation.Decode(r.Properties, &p); err != nil {
				return "", err
			}
			out, err := s.authorize(&AuthorizeInput{RulesInput: p.request(p.GroupID)}, egress)
			if err != nil {
				return "", err
			}
			return out.Rules[0].RuleID, nil
		},
		update: func(r cloudformation.Resource, _ map[string]any) error {
			var p ruleProperties
			if err := cloudformation.Decode(r.Properties, &p); err != nil {
				return err
			}
			rule := s.state.Rules[r.PhysicalID]
			if rule == nil {
				return noGroup(p.GroupID)
			}
			rule.Description = p.Description
			return nil
		},
		remove: func(r cloudformation.Resource) error {
			_, err := s.revoke(&RevokeInput{RulesInput: RulesInput{GroupID: s.state.Rules[r.PhysicalID].GroupID}, RuleIDs: []string{r.PhysicalID}}, egress)
			return err
		},
		status: func(r cloudformation.Resource) cloudformation.Status {
			if s.state.Rules[r.PhysicalID] == nil {
				return absent()
			}
			return ready(map[string]any{"Id": r.PhysicalID})
		},
	}
}

type groupProperties struct {
	GroupDescription     string
	GroupName            string
	VpcID                string `cfn:"VpcId"`
	SecurityGroupIngress []ruleProperties
	SecurityGroupEgress  []ruleProperties
}

func (s *Service) createGroupResource(r cloudformation.Resource) (string, error) {
	var p groupProperties
	if err := cloudformation.Decode(r.Properties, &p); err != nil {
		return "", err
	}
	name := p.GroupName
	if name == "" {
		name = r.GeneratedName(255)
	}
	out, err := s.CreateSecurityGroup(context.Background(), s.caller(), &CreateSecurityGroupInput{Description: p.GroupDescription, GroupName: name, VpcID: p.VpcID})
	if err != nil {
		return "", err
	}
	if err := s.setInlineRules(out.GroupID, p, false); err != nil {
		return out.GroupID, err
	}
	if len(p.SecurityGroupEgress) > 0 {
		if err := s.setInlineRules(out.GroupID, p, true); err != nil {
			return out.GroupID, err
		}
	}
	return out.GroupID, s.setWanted(out.GroupID, r)
}

// setInlineRules adds the rules that a group's properties list. Egress rules take the place of the default one, which lets
// everything out.
func (s *Service) setInlineRules(group string, p groupProperties, egress bool) error {
	rules := p.SecurityGroupIngress
	if egress {
		rules = p.SecurityGroupEgress
		for _, r := range s.rulesOf(group, true) {
			if r.IPProtocol == "-1" && r.CidrIPv4 == "0.0.0.0/0" {
				delete(s.state.Rules, r.RuleID)
			}
		}
	}
	for _, rule := range rules {
		if _, err := s.authorize(&AuthorizeInput{RulesInput: rule.request(group)}, egress); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) updateGroupResource(r cloudformation.Resource, old map[string]any) error {
	var p, before groupProperties
	if err := cloudformation.Decode(r.Properties, &p); err != nil {
		return err
	}
	if err := cloudformation.Decode(old, &before); err != nil {
		return err
	}
	for _, side := range []struct {
		had    []ruleProperties
		egress bool
	}{{before.SecurityGroupIngress, false}, {before.SecurityGroupEgress, true}} {
		for _, rule := range side.had {
			if _, err := s.revoke(&RevokeInput{RulesInput: rule.request(r.PhysicalID)}, side.egress); err != nil {
				return err
			}
		}
	}
	if err := s.setInlineRules(r.PhysicalID, p, false); err != nil {
		return err
	}
	if len(p.SecurityGroupEgress) > 0 {
		if err := s.setInlineRules(r.PhysicalID, p, true); err != nil {
			return err
		}
	}
	return s.changeTags(r.PhysicalID, r, old)
}
