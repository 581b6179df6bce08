package ec2

import (
	"context"
	"encoding/base64"
	"regexp"
	"strconv"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// LaunchTemplate is a launch template with its versions.
type LaunchTemplate struct {
	ID       string
	Name     string
	Created  time.Time
	Creator  string
	Default  int
	Latest   int
	Versions map[int]TemplateVersion
}

// TemplateVersion is a stored version of a launch template.
type TemplateVersion struct {
	Description string
	Created     time.Time
	Creator     string
	Data        TemplateData
}

// LaunchTemplateInfo is a template as the API shows it.
type LaunchTemplateInfo struct {
	ID      string    `xml:"launchTemplateId"`
	Name    string    `xml:"launchTemplateName"`
	Created wire.Time `xml:"createTime"`
	Creator string    `xml:"createdBy"`
	Default int       `xml:"defaultVersionNumber"`
	Latest  int       `xml:"latestVersionNumber"`
	Tags    []Tag     `xml:"tagSet>item,omitempty"`
}

// LaunchTemplateVersion is a version as the API shows it.
type LaunchTemplateVersion struct {
	ID          string       `xml:"launchTemplateId"`
	Name        string       `xml:"launchTemplateName"`
	Number      int          `xml:"versionNumber"`
	Description string       `xml:"versionDescription,omitempty"`
	Created     wire.Time    `xml:"createTime"`
	Creator     string       `xml:"createdBy"`
	IsDefault   bool         `xml:"defaultVersion"`
	Data        TemplateData `xml:"launchTemplateData"`
}

// TemplateRef names a launch template by id or by name.
type TemplateRef struct {
	ID   string `form:"LaunchTemplateId"`
	Name string `form:"LaunchTemplateName"`
}

func (s *Service) showTemplate(t *LaunchTemplate) LaunchTemplateInfo {
	return LaunchTemplateInfo{
		ID: t.ID, Name: t.Name, Created: wire.Time{Time: t.Created}, Creator: t.Creator, Default: t.Default, Latest: t.Latest, Tags: s.tagList(t.ID),
	}
}

func showVersion(t *LaunchTemplate, n int) LaunchTemplateVersion {
	v := t.Versions[n]
	return LaunchTemplateVersion{
		ID: t.ID, Name: t.Name, Number: n, Description: v.Description, Created: wire.Time{Time: v.Created}, Creator: v.Creator,
		IsDefault: n == t.Default, Data: v.Data,
	}
}

// Template finds a launch template by id or name.
func (s *Service) Template(ref TemplateRef) (*LaunchTemplate, error) {
	switch {
	case ref.ID != "" && ref.Name != "":
		return nil, wire.Errorf("InvalidParameterCombination", "Launch template id and launch template name cannot be specified together")
	case ref.ID != "":
		if t := s.state.Templates[ref.ID]; t != nil {
			return t, nil
		}
		return nil, wire.Errorf("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", ref.ID)
	case ref.Name == "":
		return nil, missingParameter("LaunchTemplateId")
	}
	for _, t := range s.state.Templates {
		if t.Name == ref.Name {
			return t, nil
		}
	}
	return nil, wire.Errorf("InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name %s, does not exist.", ref.Name)
}

// Version finds a version of a template: a number, "$Latest" or "$Default"; empty means the default version.
func (t *LaunchTemplate) Version(version string) (int, TemplateData, error) {
	n := t.Default
	switch version {
	case "$Latest":
		n = t.Latest
	case "", "$Default":
	default:
		var err error
		if n, err = strconv.Atoi(version); err != nil {
			return 0, TemplateData{}, wire.Errorf("InvalidLaunchTemplateId.VersionMalformed", "Invalid launch template version: %s", version)
		}
	}
	v, ok := t.Versions[n]
	if !ok {
		return 0, TemplateData{}, wire.Errorf("InvalidLaunchTemplateId.VersionNotFound", "Could not find the specified version %s for the launch template with ID %s.", version, t.ID)
	}
	return n, v.Data, nil
}

var templateName = regexp.MustCompile(`^[a-zA-Z0-9().\-/_]{3,128}$`)

// CreateLaunchTemplateInput is the request of CreateLaunchTemplate.
type CreateLaunchTemplateInput struct {
	Dry
	ClientToken        string
	LaunchTemplateName string
	VersionDescription string
	LaunchTemplateData TemplateData
	TagSpecifications  []TagSpecification `form:"TagSpecification"`
}

// TemplateOutput answers operations on a template.
type TemplateOutput struct {
	LaunchTemplate LaunchTemplateInfo `xml:"launchTemplate"`
}

// CreateLaunchTemplate makes a template with version 1.
func (s *Service) CreateLaunchTemplate(_ context.Context, c wire.Caller, in *CreateLaunchTemplateInput) (*TemplateOutput, error) {
	if !templateName.MatchString(in.LaunchTemplateName) {
		return nil, wire.Errorf("InvalidLaunchTemplateName.MalformedException", "The specified launch template name '%s' is not valid.", in.LaunchTemplateName)
	}
	if _, err := s.Template(TemplateRef{Name: in.LaunchTemplateName}); err == nil {
		return nil, wire.Errorf("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
	}
	tags, err := specified(in.TagSpecifications, "launch-template")
	if err != nil {
		return nil, err
	}
	if err := checkTemplateData(in.LaunchTemplateData); err != nil {
		return nil, err
	}
	t := &LaunchTemplate{
		ID: s.world.ID("lt"), Name: in.LaunchTemplateName, Created: s.world.Now(), Creator: c.ARN, Default: 1, Latest: 1,
		Versions: map[int]TemplateVersion{1: {Description: in.VersionDescription, Created: s.world.Now(), Creator: c.ARN, Data: in.LaunchTemplateData}},
	}
	s.state.Templates[t.ID] = t
	s.SetTags(t.ID, tags)
	return &TemplateOutput{LaunchTemplate: s.showTemplate(t)}, nil
}

// maxUserData is the documented limit, before base64.
const maxUserData = 16384

func checkTemplateData(d TemplateData) error {
	raw, err := base64.StdEncoding.DecodeString(d.UserData)
	if err != nil {
		return wire.Errorf("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data")
	}
	if len(raw) > maxUserData {
		return wire.Errorf("InvalidParameterValue", "User data is limited to %d bytes", maxUserData)
	}
	if len(d.NetworkInterfaces) > 0 && len(d.SecurityGroupIDs) > 0 {
		return wire.Errorf("InvalidParameterCombination", "Network interfaces and an instance-level security groups may not be specified on the same request")
	}
	for _, spec := range d.TagSpecifications {
		tags := map[string]string{}
		for _, tag := range spec.Tags {
			tags[tag.Key] = tag.Value
		}
		if err := checkTags(tags); err != nil {
			return err
		}
	}
	return nil
}

// CreateLaunchTemplateVersionInput is the request of CreateLaunchTemplateVersion.
type CreateLaunchTemplateVersionInput struct {
	Dry
	TemplateRef
	ClientToken        string
	SourceVersion      string
	VersionDescription string
	LaunchTemplateData TemplateData
}

// VersionOutput is the answer of CreateLaunchTemplateVersion.
type VersionOutput struct {
	Version LaunchTemplateVersion `xml:"launchTemplateVersion"`
}

// CreateLaunchTemplateVersion adds a version to a template.
func (s *Service) CreateLaunchTemplateVersion(_ context.Context, c wire.Caller, in *CreateLaunchTemplateVersionInput) (*VersionOutput, error) {
	t, err := s.Template(in.TemplateRef)
	if err != nil {
		return nil, err
	}
	data := in.LaunchTemplateData
	if in.SourceVersion != "" {
		_, source, err := t.Version(in.SourceVersion)
		if err != nil {
			return nil, err
		}
		data = source.over(data)
	}
	if err := checkTemplateData(data); err != nil {
		return nil, err
	}
	t.Latest++
	t.Versions[t.Latest] = TemplateVersion{Description: in.VersionDescription, Created: s.world.Now(), Creator: c.ARN, Data: data}
	return &VersionOutput{Version: showVersion(t, t.Latest)}, nil
}

// TemplateRefInput names a template.
type TemplateRefInput struct {
	Dry
	TemplateRef
}

// DeleteLaunchTemplate deletes a template with all versions.
func (s *Service) DeleteLaunchTemplate(_ context.Context, _ wire.Caller, in *TemplateRefInput) (*TemplateOutput, error) {
	t, err := s.Template(in.TemplateRef)
	if err != nil {
		return nil, err
	}
	out := &TemplateOutput{LaunchTemplate: s.showTemplate(t)}
	delete(s.state.Templates, t.ID)
	delete(s.state.Tags, t.ID)
	return out, nil
}

// DeleteLaunchTemplateVersionsInput is the request of DeleteLaunchTemplateVersions.
type DeleteLaunchTemplateVersionsInput struct {
	Dry
	TemplateRef
	Versions []string `form:"LaunchTemplateVersion"`
}

// DeletedVersion is a version that was deleted.
type DeletedVersion struct {
	ID     string `xml:"launchTemplateId"`
	Name   string `xml:"launchTemplateName"`
	Number int    `xml:"versionNumber"`
}

// DeleteLaunchTemplateVersionsOutput is the answer of DeleteLaunchTemplateVersions.
type DeleteLaunchTemplateVersionsOutput struct {
	Deleted []DeletedVersion `xml:"successfullyDeletedLaunchTemplateVersionSet>item"`
}

// DeleteLaunchTemplateVersions deletes versions; the default version stays.
func (s *Service) DeleteLaunchTemplateVersions(_ context.Context, _ wire.Caller, in *DeleteLaunchTemplateVersionsInput) (*DeleteLaunchTemplateVersionsOutput, error) {
	t, err := s.Template(in.TemplateRef)
	if err != nil {
		return nil, err
	}
	out := &DeleteLaunchTemplateVersionsOutput{}
	for _, version := range in.Versions {
		n, _, err := t.Version(version)
		if err != nil {
			return nil, err
		}
		if n == t.Default {
			return nil, wire.Errorf("InvalidLaunchTemplateId.VersionInUse", "The default version of the launch template %s cannot be deleted", t.ID)
		}
		delete(t.Versions, n)
		out.Deleted = append(out.Deleted, DeletedVersion{ID: t.ID, Name: t.Name, Number: n})
	}
	return out, nil
}

// ModifyLaunchTemplateInput is the request of ModifyLaunchTemplate.
type ModifyLaunchTemplateInput struct {
	Dry
	TemplateRef
	ClientToken    string
	DefaultVersion string `form:"SetDefaultVersion"`
}

// ModifyLaunchTemplate chooses the default version.
func (s *Service) ModifyLaunchTemplate(_ context.Context, _ wire.Caller, in *ModifyLaunchTemplateInput) (*TemplateOutput, error) {
	t, err := s.Template(in.TemplateRef)
	if err != nil {
		return nil, err
	}
	n, _, err := t.Version(in.DefaultVersion)
	if err != nil {
		return nil, err
	}
	t.Default = n
	return &TemplateOutput{LaunchTemplate: s.showTemplate(t)}, nil
}
