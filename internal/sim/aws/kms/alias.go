package kms

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// CreateAliasInput names a key by an alias.
type CreateAliasInput struct {
	AliasName   string
	TargetKeyID string `json:"TargetKeyId"`
}

func (s *Service) createAlias(_ context.Context, _ wire.Caller, in *CreateAliasInput) (*Nothing, error) {
	name, ok := strings.CutPrefix(in.AliasName, "alias/")
	if !ok || name == "" || strings.HasPrefix(name, "aws/") {
		return nil, wire.Errorf("InvalidAliasNameException", "Alias must start with the prefix \"alias/\" and cannot begin with \"alias/aws/\".")
	}
	if _, taken := s.state.Aliases[in.AliasName]; taken {
		return nil, wire.Errorf("AlreadyExistsException", "An alias with the name %s already exists", s.world.ARN("kms", in.AliasName))
	}
	k, err := s.findLiving(in.TargetKeyID)
	if err != nil {
		return nil, err
	}
	now := s.world.Now()
	s.state.Aliases[in.AliasName] = alias{Target: k.ID, Created: now, Changed: now}
	return &Nothing{}, nil
}

// DeleteAliasInput names an alias.
type DeleteAliasInput struct{ AliasName string }

func (s *Service) deleteAlias(_ context.Context, _ wire.Caller, in *DeleteAliasInput) (*Nothing, error) {
	if _, ok := s.state.Aliases[in.AliasName]; !ok {
		return nil, wire.Errorf("NotFoundException", "Alias %s is not found.", s.world.ARN("kms", in.AliasName))
	}
	delete(s.state.Aliases, in.AliasName)
	return &Nothing{}, nil
}

// ListAliasesInput asks for aliases, of one key if it is named.
type ListAliasesInput struct {
	KeyID string `json:"KeyId"`
	Page
}

// AliasEntry is an alias in a list.
type AliasEntry struct {
	AliasName       string
	AliasARN        string     `json:"AliasArn"`
	TargetKeyID     string     `json:"TargetKeyId"`
	CreationDate    *wire.Time `json:",omitempty"`
	LastUpdatedDate *wire.Time `json:",omitempty"`
}

// ListAliasesOutput is one page of aliases.
type ListAliasesOutput struct {
	Aliases    []AliasEntry
	NextMarker string `json:",omitempty"`
	Truncated  bool
}

func (s *Service) listAliases(_ context.Context, _ wire.Caller, in *ListAliasesInput) (*ListAliasesOutput, error) {
	only := ""
	if in.KeyID != "" {
		k, err := s.find(in.KeyID)
		if err != nil {
			return nil, err
		}
		only = k.ID
	}
	var names []string
	for name, a := range s.state.Aliases {
		if only == "" || a.Target == only {
			names = append(names, name)
		}
	}
	names, next, err := page(names, in.Page, 50)
	if err != nil {
		return nil, err
	}
	out := &ListAliasesOutput{Aliases: []AliasEntry{}, NextMarker: next, Truncated: next != ""}
	for _, name := range names {
		a := s.state.Aliases[name]
		out.Aliases = append(out.Aliases, AliasEntry{
			AliasName: name, AliasARN: s.world.ARN("kms", name), TargetKeyID: a.Target, CreationDate: wire.At(a.Created), LastUpdatedDate: wire.At(a.Changed),
		})
	}
	return out, nil
}

// Tag is a tag in KMS's words.
type Tag struct{ TagKey, TagValue string }

func tags(list []Tag) world.Tags {
	out := world.Tags{}
	for _, t := range list {
		out[t.TagKey] = t.TagValue
	}
	return out
}

// TagResourceInput puts tags on a key.
type TagResourceInput struct {
	KeyID string `json:"KeyId"`
	Tags  []Tag
}

func (s *Service) tagResource(_ context.Context, _ wire.Caller, in *TagResourceInput) (*Nothing, error) {
	k, err := s.findLiving(in.KeyID)
	if err != nil {
		return nil, err
	}
	k.Tags = k.Tags.With(tags(in.Tags))
	return &Nothing{}, nil
}

// UntagResourceInput takes tags off a key.
type UntagResourceInput struct {
	KeyID   string `json:"KeyId"`
	TagKeys []string
}

func (s *Service) untagResource(_ context.Context, _ wire.Caller, in *UntagResourceInput) (*Nothing, error) {
	k, err := s.findLiving(in.KeyID)
	if err != nil {
		return nil, err
	}
	k.Tags = k.Tags.Without(in.TagKeys...)
	return &Nothing{}, nil
}

// ListResourceTagsInput asks for a key's tags.
type ListResourceTagsInput struct {
	KeyID string `json:"KeyId"`
	Page
}

// ListResourceTagsOutput is one page of tags.
type ListResourceTagsOutput struct {
	Tags       []Tag
	NextMarker string `json:",omitempty"`
	Truncated  bool
}

func (s *Service) listResourceTags(_ context.Context, _ wire.Caller, in *ListResourceTagsInput) (*ListResourceTagsOutput, error) {
	k, err := s.find(in.KeyID)
	if err != nil {
		return nil, err
	}
	keys, next, err := page(slices.Collect(maps.Keys(k.Tags)), in.Page, 50)
	if err != nil {
		return nil, err
	}
	out := &ListResourceTagsOutput{Tags: []Tag{}, NextMarker: next, Truncated: next != ""}
	for _, name := range keys {
		out.Tags = append(out.Tags, Tag{TagKey: name, TagValue: k.Tags[name]})
	}
	return out, nil
}
