package ec2

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// provider makes a cloudformation.Provider of functions. update may be nil for types that are only ever replaced.
type provider struct {
	create func(r cloudformation.Resource) (string, error)
	update func(r cloudformation.Resource, old map[string]any) error
	remove func(r cloudformation.Resource) error
	status func(r cloudformation.Resource) cloudformation.Status
}

func (p provider) Create(_ context.Context, r cloudformation.Resource) (string, error) {
	return p.create(r)
}

func (p provider) Update(_ context.Context, r cloudformation.Resource, old map[string]any) error {
	if p.update == nil {
		return nil
	}
	return p.update(r, old)
}

func (p provider) Delete(_ context.Context, r cloudformation.Resource) error {
	if p.status(r).Phase == cloudformation.Absent {
		return nil
	}
	err := p.remove(r)
	switch code := wire.Code(err); {
	case strings.Contains(code, "NotFound"):
		return nil
	case code == "DependencyViolation" || code == "InvalidIPAddress.InUse" || code == "InvalidCidrBlock.InUse":
		// CloudFormation waits for what still uses a resource, such as interfaces of instances that are ending.
		return cloudformation.TryAgain(err)
	}
	return err
}

func (p provider) Status(_ context.Context, r cloudformation.Resource) (cloudformation.Status, error) {
	return p.status(r), nil
}

// tagged are the properties of taggable types.
type tagged struct {
	Tags []Tag
}

// wantedTags are the tags a resource shall have: the stack's under its own.
func wantedTags(r cloudformation.Resource, own []Tag) map[string]string {
	tags := maps.Clone(r.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	for _, tag := range own {
		tags[tag.Key] = tag.Value
	}
	return tags
}

// setWanted tags a new resource.
func (s *Service) setWanted(id string, r cloudformation.Resource) error {
	var t tagged
	if err := cloudformation.Decode(r.Properties, &t); err != nil {
		return err
	}
	s.SetTags(id, wantedTags(r, t.Tags))
	return nil
}

// changeTags retags a resource after an update.
func (s *Service) changeTags(id string, r cloudformation.Resource, old map[string]any) error {
	var before, after tagged
	if err := cloudformation.Decode(old, &before); err != nil {
		return err
	}
	if err := cloudformation.Decode(r.Properties, &after); err != nil {
		return err
	}
	had := map[string]string{}
	for _, tag := range before.Tags {
		had[tag.Key] = tag.Value
	}
	s.retag(id, had, wantedTags(r, after.Tags))
	return nil
}

// tagsOnly is the update of types whose only changeable property is Tags.
func (s *Service) tagsOnly(r cloudformation.Resource, old map[string]any) error {
	return s.changeTags(r.PhysicalID, r, old)
}

func ready(attributes map[string]any) cloudformation.Status {
	return cloudformation.Status{Phase: cloudformation.Ready, Attributes: attributes}
}

func absent() cloudformation.Status {
	return cloudformation.Status{Phase: cloudformation.Absent}
}

func texts(values []string) []any {
	out := make([]any, 0, len(values))
	for _, v := range values {
		out = append(out, v)
	}
	return out
}

// caller is who EC2 sees when CloudFormation calls it.
func (s *Service) caller() wire.Caller {
	return wire.Caller{Account: s.world.Account, ARN: s.world.GlobalARN("iam", "root")}
}

// Providers are the AWS::EC2 types of CloudFormation.
func Providers(s *Service) []cloudformation.ResourceType {
	return slices.Concat(
		s.networkTypes(), s.subnetTypes(), s.routeTypes(), s.associationTypes(), s.gatewayTypes(), s.addressTypes(), s.linkTypes(), s.groupTypes(),
		s.machineTypes(),
	)
}
