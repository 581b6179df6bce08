package ec2

import (
	"context"
	"strconv"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation/template"
)

func (s *Service) machineTypes() []cloudformation.ResourceType {
	return []cloudformation.ResourceType{
		{
			Name: "AWS::EC2::LaunchTemplate", NameProperty: "LaunchTemplateName",
			Provider: provider{create: s.createTemplateResource, update: s.updateTemplateResource, remove: func(r cloudformation.Resource) error {
				_, err := s.DeleteLaunchTemplate(context.Background(), s.caller(), &TemplateRefInput{TemplateRef: TemplateRef{ID: r.PhysicalID}})
				return err
			}, status: s.templateStatus},
			Properties: []string{"LaunchTemplateData", "LaunchTemplateName", "TagSpecifications", "VersionDescription"},
			Required:   []string{"LaunchTemplateData"}, CreateOnly: []string{"LaunchTemplateName"},
			Attributes: []string{"DefaultVersionNumber", "LatestVersionNumber", "LaunchTemplateId"},
		},
		{
			Name:       "AWS::EC2::PlacementGroup",
			Provider:   provider{create: s.createPlacementResource, update: s.updatePlacementResource, remove: s.deletePlacementResource, status: s.placementStatus},
			Properties: []string{"PartitionCount", "SpreadLevel", "Strategy", "Tags"}, CreateOnly: []string{"PartitionCount", "SpreadLevel", "Strategy"},
			Attributes: []string{"GroupName"}, Tagged: true,
		},
	}
}

type templateProperties struct {
	LaunchTemplateData TemplateData
	LaunchTemplateName string
	TagSpecifications  []TagSpecification
	VersionDescription string
}

func (p templateProperties) tags() map[string]string {
	tags := map[string]string{}
	for _, spec := range p.TagSpecifications {
		for _, tag := range spec.Tags {
			if spec.ResourceType == "launch-template" {
				tags[tag.Key] = tag.Value
			}
		}
	}
	return tags
}

func (s *Service) createTemplateResource(r cloudformation.Resource) (string, error) {
	var p templateProperties
	if err := cloudformation.Decode(r.Properties, &p); err != nil {
		return "", err
	}
	name := p.LaunchTemplateName
	if name == "" {
		name = r.GeneratedName(128)
	}
	out, err := s.CreateLaunchTemplate(context.Background(), s.caller(), &CreateLaunchTemplateInput{
		LaunchTemplateName: name, VersionDescription: p.VersionDescription, LaunchTemplateData: p.LaunchTemplateData, TagSpecifications: p.TagSpecifications,
	})
	if err != nil {
		return "", err
	}
	return out.LaunchTemplate.ID, nil
}

func (s *Service) updateTemplateResource(r cloudformation.Resource, old map[string]any) error {
	var p, before templateProperties
	if err := cloudformation.Decode(r.Properties, &p); err != nil {
		return err
	}
	if err := cloudformation.Decode(old, &before); err != nil {
		return err
	}
	if !template.Same(old["LaunchTemplateData"], r.Properties["LaunchTemplateData"]) || p.VersionDescription != before.VersionDescription {
		_, err := s.CreateLaunchTemplateVersion(context.Background(), s.caller(), &CreateLaunchTemplateVersionInput{
			TemplateRef: TemplateRef{ID: r.PhysicalID}, VersionDescription: p.VersionDescription, LaunchTemplateData: p.LaunchTemplateData,
		})
		if err != nil {
			return err
		}
	}
	s.retag(r.PhysicalID, before.tags(), p.tags())
	return nil
}

func (s *Service) templateStatus(r cloudformation.Resource) cloudformation.Status {
	t := s.state.Templates[r.PhysicalID]
	if t == nil {
		return absent()
	}
	return ready(map[string]any{
		"DefaultVersionNumber": strconv.Itoa(t.Default), "LatestVersionNumber": strconv.Itoa(t.Latest), "LaunchTemplateId": t.ID,
	})
}

func (s *Service) createPlacementResource(r cloudformation.Resource) (string, error) {
	var p struct{ Strategy string }
	if err := cloudformation.Decode(r.Properties, &p); err != nil {
		return "", err
	}
	if p.Strategy == "" {
		p.Strategy = "cluster"
	}
	g := &PlacementGroup{GroupID: s.world.ID("pg"), GroupName: r.GeneratedName(255), State: "available", Strategy: p.Strategy}
	g.GroupArn = s.world.ARN("ec2", "placement-group/"+g.GroupName)
	s.state.PlacementGroups[g.GroupID] = g
	return g.GroupName, s.setWanted(g.GroupID, r)
}

func (s *Service) placement(name string) *PlacementGroup {
	for _, g := range s.state.PlacementGroups {
		if g.GroupName == name {
			return g
		}
	}
	return nil
}

func (s *Service) updatePlacementResource(r cloudformation.Resource, old map[string]any) error {
	if g := s.placement(r.PhysicalID); g != nil {
		return s.changeTags(g.GroupID, r, old)
	}
	return nil
}

func (s *Service) deletePlacementResource(r cloudformation.Resource) error {
	if g := s.placement(r.PhysicalID); g != nil {
		delete(s.state.PlacementGroups, g.GroupID)
		delete(s.state.Tags, g.GroupID)
	}
	return nil
}

func (s *Service) placementStatus(r cloudformation.Resource) cloudformation.Status {
	if s.placement(r.PhysicalID) == nil {
		return absent()
	}
	return ready(map[string]any{"GroupName": r.PhysicalID})
}
