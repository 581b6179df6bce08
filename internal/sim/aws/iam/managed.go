package iam

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/iam/policy"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// managed is a managed policy, the customer's or AWS's.
type managed struct {
	Name, Path, ID   string
	Description      string
	Created, Changed time.Time
	Tags             world.Tags
	Versions         []version // oldest first
	Default          string
	Next             int // number of the next version
	Stacked          stacked
}

type version struct {
	ID, Document string // an empty Document is one that this simulator does not carry
	Created      time.Time
}

func (s *Service) policyAPI() map[string]wire.Handler {
	return map[string]wire.Handler{
		"CreatePolicy":            wire.Handle(s.createPolicy),
		"GetPolicy":               wire.Handle(s.getPolicy),
		"ListPolicies":            wire.Handle(s.listPolicies),
		"DeletePolicy":            wire.Handle(s.deletePolicy),
		"CreatePolicyVersion":     wire.Handle(s.createPolicyVersion),
		"GetPolicyVersion":        wire.Handle(s.getPolicyVersion),
		"ListPolicyVersions":      wire.Handle(s.listPolicyVersions),
		"SetDefaultPolicyVersion": wire.Handle(s.setDefaultPolicyVersion),
		"DeletePolicyVersion":     wire.Handle(s.deletePolicyVersion),
		"ListEntitiesForPolicy":   wire.Handle(s.listEntitiesForPolicy),
		"TagPolicy":               wire.Handle(s.tagPolicy),
		"UntagPolicy":             wire.Handle(s.untagPolicy),
		"ListPolicyTags":          wire.Handle(s.listPolicyTags),
	}
}

const (
	maxVersions = 5
	maxManaged  = 6144
)

// findPolicy finds a customer's or AWS's policy.
func (s *Service) findPolicy(arn string) (*managed, bool) {
	if p, ok := s.state.Policies[arn]; ok {
		return p, true
	}
	return ofAWS(s.world.Partition, arn)
}

// findOwnPolicy finds a customer's policy for a change.
func (s *Service) findOwnPolicy(arn string) (*managed, error) {
	if arn == "" {
		return nil, missing("PolicyArn")
	}
	if p, ok := s.state.Policies[arn]; ok {
		return p, nil
	}
	if _, ok := ofAWS(s.world.Partition, arn); ok {
		return nil, wire.StatusErrorf(http.StatusForbidden, "AccessDenied", "Policy is outside your own account.")
	}
	return nil, noSuchPolicy(arn)
}

func noSuchPolicy(arn string) *wire.Error { return noSuch("Policy %s was not found.", arn) }

func (s *Service) policyARN(p *managed) string {
	return s.world.GlobalARN("iam", "policy"+p.Path+p.Name)
}

// Policy is a managed policy on the wire.
type Policy struct {
	PolicyName                    string
	PolicyID                      string `xml:"PolicyId"`
	ARN                           string `xml:"Arn"`
	Path                          string
	DefaultVersionID              string `xml:"DefaultVersionId"`
	AttachmentCount               int
	PermissionsBoundaryUsageCount int
	IsAttachable                  bool
	Description                   string `xml:",omitempty"`
	CreateDate                    wire.Time
	UpdateDate                    wire.Time
	Tags                          []Tag `xml:"Tags>member,omitempty"`
}

func (s *Service) showPolicy(arn string, p *managed, full bool) Policy {
	out := Policy{
		PolicyName: p.Name, PolicyID: p.ID, ARN: arn, Path: p.Path, DefaultVersionID: p.Default, IsAttachable: true,
		CreateDate: wire.Time{Time: p.Created}, UpdateDate: wire.Time{Time: p.Changed},
	}
	for _, r := range s.state.Roles {
		if slices.Contains(r.Attached, arn) {
			out.AttachmentCount++
		}
		if r.Boundary == arn {
			out.PermissionsBoundaryUsageCount++
		}
	}
	if full {
		out.Description, out.Tags = p.Description, showTags(p.Tags)
	}
	return out
}

// PolicyOutput is a managed policy.
type PolicyOutput struct{ Policy Policy }

// CreatePolicyInput describes a new managed policy.
type CreatePolicyInput struct {
	PolicyName, Path, PolicyDocument, Description string
	Tags                                          []Tag
}

func (s *Service) createPolicy(_ context.Context, _ wire.Caller, in *CreatePolicyInput) (*PolicyOutput, error) {
	p, err := s.makePolicy(*in)
	if err != nil {
		return nil, err
	}
	return &PolicyOutput{Policy: s.showPolicy(s.policyARN(p), p, true)}, nil
}

func (s *Service) makePolicy(in CreatePolicyInput) (*managed, error) {
	path, err := checkPath(in.Path)
	if err != nil {
		return nil, err
	}
	if err := checkName("PolicyName", in.PolicyName, 128); err != nil {
		return nil, err
	}
	for arn, other := range s.state.Policies {
		if strings.EqualFold(other.Name, in.PolicyName) {
			return nil, exists("A policy called %s already exists. Duplicate names are not allowed. (%s)", in.PolicyName, arn)
		}
	}
	if err := checkManaged(in.PolicyDocument); err != nil {
		return nil, err
	}
	tags, err := checkTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	now := s.world.Now()
	p := &managed{
		Name: in.PolicyName, Path: path, ID: s.world.Unique("ANPA"), Description: in.Description, Created: now, Changed: now, Tags: tags,
		Versions: []version{{ID: "v1", Document: in.PolicyDocument, Created: now}}, Default: "v1", Next: 2,
	}
	s.state.Policies[s.policyARN(p)] = p
	return p, nil
}

func checkManaged(document string) error {
	if document == "" {
		return missing("PolicyDocument")
	}
	if _, err := policy.Parse(document, policy.Identity); err != nil {
		return wire.Errorf("MalformedPolicyDocument", "%s", err)
	}
	if size(document) > maxManaged {
		return exceeded("Cannot exceed quota for PolicySize: %d", maxManaged)
	}
	return nil
}

// PolicyInput names a managed policy.
type PolicyInput struct {
	PolicyARN string `form:"PolicyArn"`
}

func (s *Service) getPolicy(_ context.Context, _ wire.Caller, in *PolicyInput) (*PolicyOutput, error) {
	p, ok := s.findPolicy(in.PolicyARN)
	if !ok {
		return nil, noSuchPolicy(in.PolicyARN)
	}
	return &PolicyOutput{Policy: s.showPolicy(in.PolicyARN, p, true)}, nil
}

// ListPoliciesInput asks for managed policies.
type ListPoliciesInput struct {
	Scope             string // "All", "AWS" or "Local"
	OnlyAttached      bool
	PathPrefix        string
	PolicyUsageFilter string
	Page
}

// ListPoliciesOutput is one page of policies.
type ListPoliciesOutput struct {
	Policies []Policy `xml:"Policies>member"`
	More
}

func (s *Service) listPolicies(_ context.Context, _ wire.Caller, in *ListPoliciesInput) (*ListPoliciesOutput, error) {
	candidates := map[string]*managed{}
	if in.Scope != "AWS" {
		maps.Copy(candidates, s.state.Policies)
	}
	if in.Scope != "Local" {
		maps.Copy(candidates, allOfAWS(s.world.Partition))
	}
	all := []Policy{}
	for _, arn := range slices.Sorted(maps.Keys(candidates)) {
		shown := s.showPolicy(arn, candidates[arn], false)
		used := shown.AttachmentCount
		if in.PolicyUsageFilter == "PermissionsBoundary" {
			used = shown.PermissionsBoundaryUsageCount
		}
		if strings.HasPrefix(shown.Path, in.PathPrefix) && (used > 0 || !in.OnlyAttached) {
			all = append(all, shown)
		}
	}
	part, more, err := paginate(all, func(p Policy) string { return p.ARN }, in.Page)
	if err != nil {
		return nil, err
	}
	return &ListPoliciesOutput{Policies: part, More: more}, nil
}

func (s *Service) deletePolicy(_ context.Context, _ wire.Caller, in *PolicyInput) (*Nothing, error) {
	p, err := s.findOwnPolicy(in.PolicyARN)
	if err != nil {
		return nil, err
	}
	shown := s.showPolicy(in.PolicyARN, p, false)
	switch {
	case shown.AttachmentCount+shown.PermissionsBoundaryUsageCount > 0:
		return nil, conflict("Cannot delete a policy attached to entities.")
	case len(p.Versions) > 1:
		return nil, conflict("This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
	}
	delete(s.state.Policies, in.PolicyARN)
	return &Nothing{}, nil
}

// PolicyVersion is a version of a managed policy on the wire.
type PolicyVersion struct {
	Document         string `xml:",omitempty"`
	VersionID        string `xml:"VersionId"`
	IsDefaultVersion bool
	CreateDate       wire.Time
}

func showVersion(p *managed, v version, full bool) PolicyVersion {
	out := PolicyVersion{VersionID: v.ID, IsDefaultVersion: v.ID == p.Default, CreateDate: wire.Time{Time: v.Created}}
	if full {
		out.Document = encodeDocument(v.Document)
	}
	return out
}

// order is the version's key in lists: the newest comes first, v10 before v9.
func (v PolicyVersion) order() string {
	number, _ := strconv.ParseInt(strings.TrimPrefix(v.VersionID, "v"), 10, 64) // every id is made so
	return wire.Descending(number)
}

// PolicyVersionOutput is a version of a managed policy.
type PolicyVersionOutput struct{ PolicyVersion PolicyVersion }

// CreatePolicyVersionInput is a new version of a managed policy.
type CreatePolicyVersionInput struct {
	PolicyARN      string `form:"PolicyArn"`
	PolicyDocument string
	SetAsDefault   bool
}

func (s *Service) createPolicyVersion(_ context.Context, _ wire.Caller, in *CreatePolicyVersionInput) (*PolicyVersionOutput, error) {
	p, err := s.findOwnPolicy(in.PolicyARN)
	if err != nil {
		return nil, err
	}
	v, err := s.addVersion(p, in.PolicyDocument, in.SetAsDefault)
	if err != nil {
		return nil, err
	}
	return &PolicyVersionOutput{PolicyVersion: showVersion(p, v, false)}, nil
}

func (s *Service) addVersion(p *managed, document string, byDefault bool) (version, error) {
	if err := checkManaged(document); err != nil {
		return version{}, err
	}
	if len(p.Versions) >= maxVersions {
		return version{}, exceeded("A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", maxVersions)
	}
	v := version{ID: "v" + strconv.Itoa(p.Next), Document: document, Created: s.world.Now()}
	p.Next++
	p.Versions = append(p.Versions, v)
	p.Changed = v.Created
	if byDefault {
		p.Default = v.ID
	}
	return v, nil
}

// VersionInput names a version of a managed policy.
type VersionInput struct {
	PolicyARN string `form:"PolicyArn"`
	VersionID string `form:"VersionId"`
}

func findVersion(p *managed, arn, id string) (int, error) {
	i := slices.IndexFunc(p.Versions, func(v version) bool { return v.ID == id })
	if i < 0 {
		return 0, noSuch("Policy %s version %s does not exist or is not attachable.", arn, id)
	}
	return i, nil
}

func (s *Service) getPolicyVersion(_ context.Context, _ wire.Caller, in *VersionInput) (*PolicyVersionOutput, error) {
	p, ok := s.findPolicy(in.PolicyARN)
	if !ok {
		return nil, noSuchPolicy(in.PolicyARN)
	}
	i, err := findVersion(p, in.PolicyARN, in.VersionID)
	if err != nil {
		return nil, err
	}
	if p.Versions[i].Document == "" {
		return nil, wire.Unsupported("copy of the document of %s", in.PolicyARN)
	}
	return &PolicyVersionOutput{PolicyVersion: showVersion(p, p.Versions[i], true)}, nil
}

// PolicyPageInput asks for a part of what belongs to a managed policy.
type PolicyPageInput struct {
	PolicyARN string `form:"PolicyArn"`
	Page
}

// ListPolicyVersionsOutput is one page of versions.
type ListPolicyVersionsOutput struct {
	Versions []PolicyVersion `xml:"Versions>member"`
	More
}

func (s *Service) listPolicyVersions(_ context.Context, _ wire.Caller, in *PolicyPageInput) (*ListPolicyVersionsOutput, error) {
	p, ok := s.findPolicy(in.PolicyARN)
	if !ok {
		return nil, noSuchPolicy(in.PolicyARN)
	}
	all := []PolicyVersion{}
	for _, v := range p.Versions {
		all = append(all, showVersion(p, v, false))
	}
	part, more, err := paginate(all, PolicyVersion.order, in.Page)
	if err != nil {
		return nil, err
	}
	return &ListPolicyVersionsOutput{Versions: part, More: more}, nil
}

func (s *Service) setDefaultPolicyVersion(_ context.Context, _ wire.Caller, in *VersionInput) (*Nothing, error) {
	p, err := s.findOwnPolicy(in.PolicyARN)
	if err != nil {
		return nil, err
	}
	if _, err := findVersion(p, in.PolicyARN, in.VersionID); err != nil {
		return nil, err
	}
	p.Default, p.Changed = in.VersionID, s.world.Now()
	return &Nothing{}, nil
}

func (s *Service) deletePolicyVersion(_ context.Context, _ wire.Caller, in *VersionInput) (*Nothing, error) {
	p, err := s.findOwnPolicy(in.PolicyARN)
	if err != nil {
		return nil, err
	}
	i, err := findVersion(p, in.PolicyARN, in.VersionID)
	if err != nil {
		return nil, err
	}
	if p.Default == in.VersionID {
		return nil, conflict("Cannot delete the default version of a policy.")
	}
	p.Versions = slices.Delete(p.Versions, i, i+1)
	return &Nothing{}, nil
}
