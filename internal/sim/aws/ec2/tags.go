package ec2

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// Tag is a tag of a resource.
type Tag struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

// TagSpecification asks for tags on what an operation makes.
type TagSpecification struct {
	ResourceType string `xml:"resourceType"`
	Tags         []Tag  `form:"Tag" xml:"tagSet>item"`
}

// resourceTypes are the types of tags, by the prefix of ids.
func resourceTypes() map[string]string {
	return map[string]string{
		"vpc": "vpc", "subnet": "subnet", "igw": "internet-gateway", "eigw": "egress-only-internet-gateway", "nat": "natgateway",
		"eipalloc": "elastic-ip", "rtb": "route-table", "sg": "security-group", "sgr": "security-group-rule", "lt": "launch-template",
		"key": "key-pair", "i": "instance", "eni": "network-interface", "vol": "volume", "vpce": "vpc-endpoint",
		"tgw-attach": "transit-gateway-attachment", "pg": "placement-group",
	}
}

func resourceType(id string) string {
	prefix := id
	if i := strings.LastIndex(id, "-"); i >= 0 {
		prefix = id[:i]
	}
	return resourceTypes()[prefix]
}

func (s *Service) exists(id string) bool {
	st := &s.state
	switch resourceType(id) {
	case "vpc":
		return st.Vpcs[id] != nil
	case "subnet":
		return st.Subnets[id] != nil
	case "internet-gateway":
		return st.Gateways[id] != nil
	case "egress-only-internet-gateway":
		return st.EgressGateways[id] != nil
	case "natgateway":
		return st.NatGateways[id] != nil
	case "elastic-ip":
		return st.Addresses[id] != nil
	case "route-table":
		return st.RouteTables[id] != nil
	case "security-group":
		return st.SecurityGroups[id] != nil
	case "security-group-rule":
		return st.Rules[id] != nil
	case "launch-template":
		return st.Templates[id] != nil
	}
	return s.machineExists(id)
}

func (s *Service) machineExists(id string) bool {
	st := &s.state
	switch resourceType(id) {
	case "key-pair":
		return st.KeyPairs[id] != nil
	case "instance":
		return st.Instances[id] != nil
	case "network-interface":
		return st.Interfaces[id] != nil
	case "volume":
		return st.Volumes[id] != nil
	case "vpc-endpoint":
		return st.Endpoints[id] != nil
	case "transit-gateway-attachment":
		return st.TransitLinks[id] != nil
	case "placement-group":
		return st.PlacementGroups[id] != nil
	}
	return false
}

// specified picks the tags meant for one type of resource out of a request.
func specified(specs []TagSpecification, types ...string) (map[string]string, error) {
	tags := map[string]string{}
	for _, spec := range specs {
		if !slices.Contains(types, spec.ResourceType) {
			return nil, wire.Errorf("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", spec.ResourceType)
		}
		if spec.ResourceType != types[0] {
			continue
		}
		for _, tag := range spec.Tags {
			if _, twice := tags[tag.Key]; twice {
				return nil, wire.Errorf("InvalidParameterValue", "Duplicate tag key '%s' specified.", tag.Key)
			}
			tags[tag.Key] = tag.Value
		}
	}
	return tags, checkTags(tags)
}

const maxTags = 50

func checkTags(tags map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		switch {
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return wire.Errorf("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
		case key == "" || len(key) > 128:
			return wire.Errorf("InvalidParameterValue", "Tag key exceeds the maximum length of 128 characters")
		case len(tags[key]) > 256:
			return wire.Errorf("InvalidParameterValue", "Tag value exceeds the maximum length of 256 characters")
		}
	}
	if len(tags) > maxTags {
		return wire.Errorf("TagLimitExceeded", "More than %d tags specified", maxTags)
	}
	return nil
}

// SetTags puts tags on a resource, over those it has. Other services use it for tags that callers may not set ("aws:...").
func (s *Service) SetTags(id string, tags map[string]string) {
	if len(tags) == 0 {
		return
	}
	if s.state.Tags[id] == nil {
		s.state.Tags[id] = map[string]string{}
	}
	maps.Copy(s.state.Tags[id], tags)
}

// TagsOf are a resource's tags.
func (s *Service) TagsOf(id string) map[string]string { return maps.Clone(s.state.Tags[id]) }

func (s *Service) tagList(id string) []Tag {
	tags := s.state.Tags[id]
	out := make([]Tag, 0, len(tags))
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, Tag{Key: key, Value: tags[key]})
	}
	return out
}

// TagsInput is the request of CreateTags and DeleteTags.
type TagsInput struct {
	Dry
	Resources []string    `form:"ResourceId"`
	Tags      []TagChange `form:"Tag"`
}

// TagChange is a tag to set or delete; when deleting, a value makes the deletion conditional on it.
type TagChange struct {
	Key   string
	Value *string
}

// CreateTags sets tags on resources.
func (s *Service) CreateTags(_ context.Context, _ wire.Caller, in *TagsInput) (*Return, error) {
	if len(in.Resources) == 0 {
		return nil, missingParameter("resourceIdSet")
	}
	tags := map[string]string{}
	for _, tag := range in.Tags {
		tags[tag.Key] = ""
		if tag.Value != nil {
			tags[tag.Key] = *tag.Value
		}
	}
	if err := checkTags(tags); err != nil {
		return nil, err
	}
	for _, id := range in.Resources {
		if !s.exists(id) {
			return nil, wire.Errorf("InvalidID", "The ID '%s' is not valid", id)
		}
		if len(s.state.Tags[id])+len(tags) > maxTags {
			return nil, wire.Errorf("TagLimitExceeded", "More than %d tags specified", maxTags)
		}
	}
	for _, id := range in.Resources {
		s.SetTags(id, tags)
	}
	return done(), nil
}

// DeleteTags removes tags from resources; without tags, all that are not AWS's own.
func (s *Service) DeleteTags(_ context.Context, _ wire.Caller, in *TagsInput) (*Return, error) {
	for _, id := range in.Resources {
		if !s.exists(id) {
			return nil, wire.Errorf("InvalidID", "The ID '%s' is not valid", id)
		}
	}
	for _, id := range in.Resources {
		maps.DeleteFunc(s.state.Tags[id], func(key, value string) bool {
			if len(in.Tags) == 0 {
				return !strings.HasPrefix(key, "aws:")
			}
			return slices.ContainsFunc(in.Tags, func(t TagChange) bool {
				return t.Key == key && (t.Value == nil || *t.Value == value) && !strings.HasPrefix(key, "aws:")
			})
		})
	}
	return done(), nil
}

// TagDescription is a tag together with what carries it.
type TagDescription struct {
	Key          string `xml:"key"`
	ResourceID   string `xml:"resourceId"`
	ResourceType string `xml:"resourceType"`
	Value        string `xml:"value"`
}

// DescribeTagsOutput is the answer of DescribeTags.
type DescribeTagsOutput struct {
	NextToken string           `xml:"nextToken,omitempty"`
	Tags      []TagDescription `xml:"tagSet>item"`
}

// DescribeTags lists tags of all resources.
func (s *Service) DescribeTags(_ context.Context, _ wire.Caller, in *Query) (*DescribeTagsOutput, error) {
	var found []TagDescription
	for _, id := range slices.Sorted(maps.Keys(s.state.Tags)) {
		for _, tag := range s.tagList(id) {
			d := TagDescription{Key: tag.Key, Value: tag.Value, ResourceID: id, ResourceType: resourceType(id)}
			pass, err := passes(d, nil, in.Filters, func(d TagDescription, name string) ([]string, bool) {
				v, ok := map[string]string{"key": d.Key, "value": d.Value, "resource-id": d.ResourceID, "resource-type": d.ResourceType}[name]
				return []string{v}, ok
			})
			if err != nil {
				return nil, err
			}
			if pass {
				found = append(found, d)
			}
		}
	}
	part, next, err := page(found, func(d TagDescription) string { return wire.Key(d.ResourceID, d.Key) }, *in)
	return &DescribeTagsOutput{Tags: part, NextToken: next}, err
}

// retag makes a resource's tags what a CloudFormation resource wants, keeping those that others put there.
func (s *Service) retag(id string, old, want map[string]string) {
	for key := range old {
		if _, stays := want[key]; !stays {
			delete(s.state.Tags[id], key)
		}
	}
	s.SetTags(id, want)
}
