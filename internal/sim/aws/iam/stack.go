package iam

import (
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// stacked is what a stack did to an entity last.
type stacked struct {
	Ready time.Time  `json:",omitzero"`  // when CloudFormation calls it done
	Tags  world.Tags `json:",omitempty"` // those it put on the entity
}

func (s *Service) stacked(duration string, tags world.Tags) stacked {
	return stacked{Ready: s.world.Now().Add(s.world.Duration(duration)), Tags: tags}
}

// settled is the status of an entity that a stack made or changed.
func (s *Service) settled(st stacked, ref string, attributes map[string]any) cloudformation.Status {
	if s.world.Now().Before(st.Ready) {
		return cloudformation.Status{Phase: cloudformation.InProgress}
	}
	return cloudformation.Status{Phase: cloudformation.Ready, Ref: ref, Attributes: attributes}
}

func absent() (cloudformation.Status, error) {
	return cloudformation.Status{Phase: cloudformation.Absent}, nil
}

// gone forgives that what shall be deleted is not there.
func gone(err error) error {
	if wire.Code(err) == "NoSuchEntity" {
		return nil
	}
	return err
}

// stackTags are the stack's tags under the resource's own. Those of the aws: prefix stay off, since IAM refuses them (the
// registry schemas say cloudFormationSystemTags: false).
func stackTags(r cloudformation.Resource, own []Tag) []Tag {
	merged := world.Tags{}
	for k, v := range r.Tags {
		if !strings.HasPrefix(k, "aws:") {
			merged[k] = v
		}
	}
	for _, t := range own {
		merged[t.Key] = t.Value
	}
	return showTags(merged)
}

func tagMap(list []Tag) world.Tags {
	out := world.Tags{}
	for _, t := range list {
		out[t.Key] = t.Value
	}
	return out
}

// retag replaces the tags a stack put on an entity by those it puts on now, and leaves tags of others alone.
func retag(have world.Tags, before world.Tags, now []Tag) (world.Tags, error) {
	kept := have.With()
	maps.DeleteFunc(kept, func(k, _ string) bool {
		_, ours := before[k]
		return ours
	})
	return checkTags(kept, now)
}

// typed makes a Provider of functions over the decoded properties of one resource type.
type typed[P any] struct {
	create func(ctx context.Context, r cloudformation.Resource, p P) (string, error)
	update func(ctx context.Context, r cloudformation.Resource, p, old P) error
	delete func(ctx context.Context, r cloudformation.Resource, p P) error
	status func(r cloudformation.Resource) (cloudformation.Status, error)
}

func (t typed[P]) Create(ctx context.Context, r cloudformation.Resource) (string, error) {
	var p P
	if err := cloudformation.Decode(r.Properties, &p); err != nil {
		return "", err
	}
	return t.create(ctx, r, p)
}

func (t typed[P]) Update(ctx context.Context, r cloudformation.Resource, old map[string]any) error {
	var p, before P
	if err := errors.Join(cloudformation.Decode(r.Properties, &p), cloudformation.Decode(old, &before)); err != nil {
		return err
	}
	return t.update(ctx, r, p, before)
}

func (t typed[P]) Delete(ctx context.Context, r cloudformation.Resource) error {
	var p P
	if err := cloudformation.Decode(r.Properties, &p); err != nil {
		return err
	}
	return t.delete(ctx, r, p)
}

func (t typed[P]) Status(_ context.Context, r cloudformation.Resource) (cloudformation.Status, error) {
	return t.status(r)
}

// ResourceTypes are the AWS::IAM types that stacks may hold.
func (s *Service) ResourceTypes() []cloudformation.ResourceType {
	return []cloudformation.ResourceType{
		{
			Name: "AWS::IAM::Role", Provider: s.roleProvider(), Required: []string{"AssumeRolePolicyDocument"}, CreateOnly: []string{"Path", "RoleName"},
			Properties: []string{"AssumeRolePolicyDocument", "Description", "ManagedPolicyArns", "MaxSessionDuration", "Path", "PermissionsBoundary", "Policies", "RoleName", "Tags"},
			Attributes: []string{"Arn", "RoleId"}, NameProperty: "RoleName", Tagged: true,
		},
		{
			Name: "AWS::IAM::Policy", Provider: s.inlineProvider(), Required: []string{"PolicyDocument", "PolicyName"},
			Properties: []string{"Groups", "PolicyDocument", "PolicyName", "Roles", "Users"}, Attributes: []string{"Id"},
		},
		{
			Name: "AWS::IAM::RolePolicy", Provider: s.rolePolicyProvider(), Required: []string{"PolicyName", "RoleName"}, CreateOnly: []string{"PolicyName", "RoleName"},
			Properties: []string{"PolicyDocument", "PolicyName", "RoleName"}, NameProperty: "PolicyName",
		},
		{
			Name: "AWS::IAM::ManagedPolicy", Provider: s.managedProvider(), Required: []string{"PolicyDocument"}, CreateOnly: []string{"ManagedPolicyName", "Description", "Path"},
			Properties:   []string{"Description", "Groups", "ManagedPolicyName", "Path", "PolicyDocument", "Roles", "Users"},
			Attributes:   []string{"PolicyArn", "AttachmentCount", "CreateDate", "DefaultVersionId", "IsAttachable", "PermissionsBoundaryUsageCount", "PolicyId", "UpdateDate"},
			NameProperty: "ManagedPolicyName",
		},
		{
			Name: "AWS::IAM::InstanceProfile", Provider: s.profileProvider(), Required: []string{"Roles"}, CreateOnly: []string{"InstanceProfileName", "Path"},
			Properties: []string{"InstanceProfileName", "Path", "Roles"}, Attributes: []string{"Arn"}, NameProperty: "InstanceProfileName",
		},
		{
			Name: "AWS::IAM::OIDCProvider", Provider: s.oidcProvider(), CreateOnly: []string{"Url"},
			Properties: []string{"ClientIdList", "Tags", "ThumbprintList", "Url"}, Attributes: []string{"Arn"}, NameProperty: "Url", Tagged: true,
		},
	}
}
