package ec2

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// DescribeLaunchTemplatesInput is the request of DescribeLaunchTemplates.
type DescribeLaunchTemplatesInput struct {
	Query
	IDs   []string `form:"LaunchTemplateId"`
	Names []string `form:"LaunchTemplateName"`
}

// DescribeLaunchTemplatesOutput is the answer of DescribeLaunchTemplates.
type DescribeLaunchTemplatesOutput struct {
	Templates []LaunchTemplateInfo `xml:"launchTemplates>item"`
	NextToken string               `xml:"nextToken,omitempty"`
}

// DescribeLaunchTemplates lists templates.
func (s *Service) DescribeLaunchTemplates(_ context.Context, _ wire.Caller, in *DescribeLaunchTemplatesInput) (*DescribeLaunchTemplatesOutput, error) {
	ids := slices.Clone(in.IDs)
	for _, name := range in.Names {
		t, err := s.Template(TemplateRef{Name: name})
		if err != nil {
			return nil, wire.Errorf("InvalidLaunchTemplateName.NotFoundException", "At least one of the launch templates specified in the request does not exist.")
		}
		ids = append(ids, t.ID)
	}
	found, next, err := find(s, s.templates(), ids, in.Query)
	if err != nil {
		return nil, err
	}
	out := &DescribeLaunchTemplatesOutput{NextToken: next}
	for _, t := range found {
		out.Templates = append(out.Templates, s.showTemplate(t))
	}
	return out, nil
}

func (s *Service) templates() kind[LaunchTemplate] {
	return kind[LaunchTemplate]{
		all: s.state.Templates, idsParameter: "launchTemplateIds",
		missing: func(string) error {
			return wire.Errorf("InvalidLaunchTemplateId.NotFound", "At least one of the launch templates specified in the request does not exist.")
		},
		values: func(t *LaunchTemplate, name string) ([]string, bool) {
			v, ok := map[string]string{"launch-template-name": t.Name, "create-time": wire.Time{Time: t.Created}.String()}[name]
			return one(v), ok
		},
	}
}

// DescribeLaunchTemplateVersionsInput is the request of DescribeLaunchTemplateVersions.
type DescribeLaunchTemplateVersionsInput struct {
	Query
	TemplateRef
	Versions   []string `form:"LaunchTemplateVersion"`
	MinVersion string
	MaxVersion string
}

// DescribeLaunchTemplateVersionsOutput is the answer of DescribeLaunchTemplateVersions.
type DescribeLaunchTemplateVersionsOutput struct {
	Versions  []LaunchTemplateVersion `xml:"launchTemplateVersionSet>item"`
	NextToken string                  `xml:"nextToken,omitempty"`
}

// DescribeLaunchTemplateVersions lists versions of a template, newest first.
func (s *Service) DescribeLaunchTemplateVersions(_ context.Context, _ wire.Caller, in *DescribeLaunchTemplateVersionsInput) (*DescribeLaunchTemplateVersionsOutput, error) {
	if in.ID == "" && in.Name == "" {
		return s.versionsOfAll(in)
	}
	t, err := s.Template(in.TemplateRef)
	if err != nil {
		return nil, err
	}
	numbers := slices.Collect(maps.Keys(t.Versions))
	if len(in.Versions) > 0 {
		numbers = nil
		for _, version := range in.Versions {
			n, _, err := t.Version(version)
			if err != nil {
				return nil, err
			}
			numbers = append(numbers, n)
		}
	}
	low, high := bound(in.MinVersion, 1), bound(in.MaxVersion, t.Latest)
	numbers = slices.DeleteFunc(numbers, func(n int) bool { return n < low || n > high })
	part, next, err := page(numbers, func(n int) string { return wire.Descending(int64(n)) }, in.Query)
	if err != nil {
		return nil, err
	}
	out := &DescribeLaunchTemplateVersionsOutput{NextToken: next}
	for _, n := range part {
		out.Versions = append(out.Versions, showVersion(t, n))
	}
	return out, nil
}

// versionsOfAll answers without a template, where only $Latest and $Default make sense.
func (s *Service) versionsOfAll(in *DescribeLaunchTemplateVersionsInput) (*DescribeLaunchTemplateVersionsOutput, error) {
	if len(in.Versions) == 0 {
		return nil, missingParameter("LaunchTemplateId")
	}
	out := &DescribeLaunchTemplateVersionsOutput{}
	for _, t := range sorted(s.state.Templates) {
		for _, version := range in.Versions {
			n, _, err := t.Version(version)
			if err != nil {
				return nil, err
			}
			out.Versions = append(out.Versions, showVersion(t, n))
		}
	}
	return out, nil
}

func bound(text string, otherwise int) int {
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return otherwise
}
