package cloudformation

import (
	"context"
	"maps"
	"slices"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation/template"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// GetTemplateInput is the request of GetTemplate.
type GetTemplateInput struct {
	StackName     string
	ChangeSetName string
	TemplateStage string
}

// GetTemplateOutput is the answer of GetTemplate.
type GetTemplateOutput struct {
	TemplateBody    string
	StagesAvailable []string `xml:"StagesAvailable>member"`
}

// GetTemplate gives a template back as it was sent.
func (s *Service) GetTemplate(_ context.Context, _ wire.Caller, in *GetTemplateInput) (*GetTemplateOutput, error) {
	body := ""
	if in.ChangeSetName != "" {
		cs, err := s.changeSet(&ChangeSetRef{ChangeSetName: in.ChangeSetName, StackName: in.StackName})
		if err != nil {
			return nil, err
		}
		body = cs.Want.Body
	} else {
		st, ok := s.find(in.StackName)
		if !ok {
			return nil, noStackWithID(in.StackName)
		}
		body = st.Target.Body
	}
	return &GetTemplateOutput{TemplateBody: body, StagesAvailable: []string{"Original", "Processed"}}, nil
}

// TemplateInput is the request of operations on a template alone.
type TemplateInput struct {
	TemplateBody string
	TemplateURL  string
	StackName    string
}

// TemplateParameter is a parameter that a template declares.
type TemplateParameter struct {
	ParameterKey string
	DefaultValue string `xml:"DefaultValue,omitempty"`
	NoEcho       bool   `xml:"NoEcho"`
	Description  string `xml:"Description,omitempty"`
}

// ValidateTemplateInput is the request of ValidateTemplate.
type ValidateTemplateInput struct {
	TemplateBody string
	TemplateURL  string
}

// ValidateTemplateOutput is the answer of ValidateTemplate.
type ValidateTemplateOutput struct {
	Parameters         []TemplateParameter `xml:"Parameters>member"`
	Description        string              `xml:"Description,omitempty"`
	Capabilities       []string            `xml:"Capabilities>member,omitempty"`
	CapabilitiesReason string              `xml:"CapabilitiesReason,omitempty"`
}

// ValidateTemplate checks a template.
func (s *Service) ValidateTemplate(_ context.Context, _ wire.Caller, in *ValidateTemplateInput) (*ValidateTemplateOutput, error) {
	want, err := s.bare(in.TemplateBody, in.TemplateURL)
	if err != nil {
		return nil, err
	}
	out := &ValidateTemplateOutput{Description: want.Description}
	for _, name := range slices.Sorted(maps.Keys(want.Parameters)) {
		p := want.Parameters[name]
		shown := TemplateParameter{ParameterKey: name, NoEcho: p.NoEcho, Description: p.Description}
		if p.Default != nil {
			shown.DefaultValue = *p.Default
		}
		out.Parameters = append(out.Parameters, shown)
	}
	out.Capabilities, out.CapabilitiesReason = want.Capabilities()
	return out, nil
}

func (s *Service) bare(body, url string) (*template.Template, error) {
	switch {
	case url != "":
		return nil, invalid("S3 error: Access Denied\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html")
	case body == "":
		return nil, invalid("Either Template URL or Template Body must be specified.")
	}
	return s.check(body)
}

// ParameterDeclaration is a parameter as GetTemplateSummary shows it.
type ParameterDeclaration struct {
	ParameterKey  string
	DefaultValue  string `xml:"DefaultValue,omitempty"`
	ParameterType string `xml:"ParameterType"`
	NoEcho        bool   `xml:"NoEcho"`
	Description   string `xml:"Description,omitempty"`
}

// GetTemplateSummaryOutput is the answer of GetTemplateSummary.
type GetTemplateSummaryOutput struct {
	Parameters         []ParameterDeclaration `xml:"Parameters>member"`
	Description        string                 `xml:"Description,omitempty"`
	Capabilities       []string               `xml:"Capabilities>member,omitempty"`
	CapabilitiesReason string                 `xml:"CapabilitiesReason,omitempty"`
	ResourceTypes      []string               `xml:"ResourceTypes>member"`
	Version            string                 `xml:"Version,omitempty"`
}

// GetTemplateSummary describes a template or a stack's.
func (s *Service) GetTemplateSummary(_ context.Context, _ wire.Caller, in *TemplateInput) (*GetTemplateSummaryOutput, error) {
	body := in.TemplateBody
	if in.StackName != "" {
		st, ok := s.find(in.StackName)
		if !ok {
			return nil, noStackWithID(in.StackName)
		}
		body = st.Target.Body
	}
	t, err := s.bare(body, in.TemplateURL)
	if err != nil {
		return nil, err
	}
	out := &GetTemplateSummaryOutput{Description: t.Description, Version: t.FormatVersion}
	for _, name := range slices.Sorted(maps.Keys(t.Parameters)) {
		p := t.Parameters[name]
		shown := ParameterDeclaration{ParameterKey: name, ParameterType: p.Type, NoEcho: p.NoEcho, Description: p.Description}
		if p.Default != nil {
			shown.DefaultValue = *p.Default
		}
		out.Parameters = append(out.Parameters, shown)
	}
	types := map[string]bool{}
	for _, r := range t.Resources {
		types[r.Type] = true
	}
	out.ResourceTypes = slices.Sorted(maps.Keys(types))
	out.Capabilities, out.CapabilitiesReason = t.Capabilities()
	return out, nil
}
