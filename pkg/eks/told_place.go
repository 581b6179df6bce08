package eks

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/cfn/outputs"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// surroundings are the subnets of the cluster that a group may be in, as the cluster's stack tells them.
type surroundings struct{ Public, Private []string }

func surroundingsOf(s cfntypes.Stack) surroundings {
	list := func(name string) []string {
		return strings.FieldsFunc(output(s, name), func(r rune) bool { return r == ',' })
	}
	return surroundings{Public: list(outputs.ClusterSubnetsPublic), Private: list(outputs.ClusterSubnetsPrivate)}
}

// tellPrivate: nodes are in private subnets when all of theirs are. eksctl says it in an output of the stack of a self-managed nodegroup.
func tellPrivate(s subject) any {
	if s.g.Stack != nil {
		if v := output(*s.g.Stack, outputs.NodeGroupFeaturePrivateNetworking); v != "" {
			return v == "true"
		}
	}
	in := func(subnets []string) bool {
		return len(s.g.subnets()) > 0 && !slices.ContainsFunc(s.g.subnets(), func(id string) bool { return !slices.Contains(subnets, id) })
	}
	private, public := s.c.subnetIDs("private", s.g.Around.Private), s.c.subnetIDs("public", s.g.Around.Public)
	if in(private) == in(public) {
		return untold{}
	}
	return in(private)
}

// subnetIDs are the cluster's subnets of one kind: those that its stack tells, or else those of the file.
func (c *Config) subnetIDs(kind string, told []string) []string {
	if len(told) > 0 {
		return told
	}
	return strings.Split(c.givenSubnets(kind), ",")
}

// tellSubnets: a file may name subnets as vpc.subnets does. Of several, eksctl takes one where efaEnabled is set, and it adds those of
// availabilityZones.
func tellSubnets(s subject) any {
	live, wanted := s.g.subnets(), s.subnetsNamed()
	switch {
	case len(live) == 0, s.next != nil && wanted == nil, len(s.want.base().AvailabilityZones) > 0:
		return untold{}
	case api.IsEnabled(s.want.base().EFAEnabled) && len(live) == 1 && slices.Contains(wanted, live[0]):
		return s.next
	case equal(sortedStrings(live), sortedStrings(wanted)):
		return s.next
	}
	return sortedStrings(live)
}

// subnetsNamed are the ids of the subnets that git names for the group; nil when one of them is not known.
func (s subject) subnetsNamed() []string {
	list, _ := s.next.([]any)
	var out []string
	for _, name := range texts(list) {
		id := name
		if !strings.HasPrefix(name, "subnet-") {
			id = s.c.subnetNamed(name)
		}
		if id == "" {
			return nil
		}
		out = append(out, id)
	}
	return out
}

func (c *Config) subnetNamed(name string) string {
	for _, kind := range []string{"public", "private"} {
		if id := gitops.StringAt(c.Written, "vpc", "subnets", kind, name, "id"); id != "" {
			return id
		}
	}
	return ""
}

// tellZones: the zones of a group are those of its subnets, unless it names these, too, or is in one of them for efaEnabled.
func tellZones(s subject) any {
	base := s.want.base()
	if s.g.Scaling == nil || len(s.g.Scaling.AvailabilityZones) == 0 || len(base.Subnets) > 0 {
		return untold{}
	}
	live := s.g.Scaling.AvailabilityZones
	list, _ := s.next.([]any)
	if api.IsEnabled(base.EFAEnabled) && len(live) == 1 && slices.Contains(texts(list), live[0]) {
		return s.next
	}
	return sortedStrings(live)
}

// tellTemplate is the launch template that a managed nodegroup was given.
func tellTemplate(s subject) any {
	switch n := s.g.Nodegroup; {
	case n == nil:
		return untold{}
	case n.LaunchTemplate == nil:
		return nil
	default:
		return gitops.Tree{"id": aws.ToString(n.LaunchTemplate.Id), "version": aws.ToString(n.LaunchTemplate.Version)}
	}
}
