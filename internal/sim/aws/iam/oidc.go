package iam

import (
	"context"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// provider is an OpenID Connect identity provider.
type provider struct {
	URL         string // without the scheme, as IAM shows it
	ClientIDs   []string
	Thumbprints []string
	Created     time.Time
	Stacked     stacked
	Tags        world.Tags
}

func (s *Service) providerAPI() map[string]wire.Handler {
	return map[string]wire.Handler{
		"CreateOpenIDConnectProvider":             wire.Handle(s.createProvider),
		"GetOpenIDConnectProvider":                wire.Handle(s.getProvider),
		"ListOpenIDConnectProviders":              wire.Handle(s.listProviders),
		"DeleteOpenIDConnectProvider":             wire.Handle(s.deleteProvider),
		"AddClientIDToOpenIDConnectProvider":      wire.Handle(s.addClientID),
		"RemoveClientIDFromOpenIDConnectProvider": wire.Handle(s.removeClientID),
		"UpdateOpenIDConnectProviderThumbprint":   wire.Handle(s.updateThumbprint),
		"TagOpenIDConnectProvider":                wire.Handle(s.tagProvider),
		"UntagOpenIDConnectProvider":              wire.Handle(s.untagProvider),
		"ListOpenIDConnectProviderTags":           wire.Handle(s.listProviderTags),
	}
}

var thumbprintPattern = regexp.MustCompile(`^[0-9A-Fa-f]{40}$`)

// computedThumbprint stands for the one that IAM computes from the issuer's certificate when none is given: the simulator does
// not call issuers. It is the SHA-1 of nothing.
const computedThumbprint = "da39a3ee5e6b4b0d3255bfef95601890afd80709"

// CreateOpenIDConnectProviderInput describes a new provider.
type CreateOpenIDConnectProviderInput struct {
	URL            string `form:"Url"`
	ClientIDList   []string
	ThumbprintList []string
	Tags           []Tag
}

// CreateOpenIDConnectProviderOutput is its ARN and tags.
type CreateOpenIDConnectProviderOutput struct {
	OpenIDConnectProviderARN string `xml:"OpenIDConnectProviderArn"`
	Tags                     []Tag  `xml:"Tags>member,omitempty"`
}

func (s *Service) createProvider(_ context.Context, _ wire.Caller, in *CreateOpenIDConnectProviderInput) (*CreateOpenIDConnectProviderOutput, error) {
	arn, err := s.makeProvider(*in)
	if err != nil {
		return nil, err
	}
	return &CreateOpenIDConnectProviderOutput{OpenIDConnectProviderARN: arn, Tags: showTags(s.state.Providers[arn].Tags)}, nil
}

func (s *Service) makeProvider(in CreateOpenIDConnectProviderInput) (arn string, err error) {
	if in.URL == "" {
		return "", missing("Url")
	}
	u, err := url.Parse(in.URL)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.User != nil || len(in.URL) > 255 {
		return "", wire.Errorf("ValidationError", "Invalid Open ID Connect Provider URL")
	}
	// IAM knows a provider by host and path ("the URL should not contain a port number"); eksctl leaves the port out of ARNs.
	name := u.Hostname() + strings.TrimSuffix(u.EscapedPath(), "/")
	arn = s.world.GlobalARN("iam", "oidc-provider/"+name)
	if _, ok := s.state.Providers[arn]; ok {
		return "", exists("Provider with url %s already exists.", in.URL)
	}
	thumbprints := in.ThumbprintList
	if len(thumbprints) == 0 {
		thumbprints = []string{computedThumbprint}
	}
	if err := checkThumbprints(thumbprints); err != nil {
		return "", err
	}
	if len(in.ClientIDList) > 100 {
		return "", exceeded("Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: 100")
	}
	tags, err := checkTags(nil, in.Tags)
	if err != nil {
		return "", err
	}
	s.state.Providers[arn] = &provider{
		URL: name, ClientIDs: slices.Clone(in.ClientIDList), Thumbprints: thumbprints, Created: s.world.Now(), Tags: tags,
	}
	return arn, nil
}

func checkThumbprints(list []string) error {
	if len(list) > 5 {
		return wire.Errorf("InvalidInput", "Thumbprint list must contain fewer than 5 entries.")
	}
	for _, t := range list {
		if !thumbprintPattern.MatchString(t) {
			return wire.Errorf("ValidationError", "1 validation error detected: Value '[%s]' at 'thumbprintList' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 40, Member must have length greater than or equal to 40]", t)
		}
	}
	return nil
}

func (s *Service) findProvider(arn string) (*provider, error) {
	if arn == "" {
		return nil, missing("OpenIDConnectProviderArn")
	}
	if p, ok := s.state.Providers[arn]; ok {
		return p, nil
	}
	return nil, noSuch("OpenIDConnect Provider not found for arn %s", arn)
}

// ProviderInput names a provider.
type ProviderInput struct {
	OpenIDConnectProviderARN string `form:"OpenIDConnectProviderArn"`
}

// GetOpenIDConnectProviderOutput is a provider.
type GetOpenIDConnectProviderOutput struct {
	URL            string   `xml:"Url"`
	ClientIDList   []string `xml:"ClientIDList>member"`
	ThumbprintList []string `xml:"ThumbprintList>member"`
	CreateDate     wire.Time
	Tags           []Tag `xml:"Tags>member"`
}

func (s *Service) getProvider(_ context.Context, _ wire.Caller, in *ProviderInput) (*GetOpenIDConnectProviderOutput, error) {
	p, err := s.findProvider(in.OpenIDConnectProviderARN)
	if err != nil {
		return nil, err
	}
	return &GetOpenIDConnectProviderOutput{
		URL: p.URL, ClientIDList: p.ClientIDs, ThumbprintList: p.Thumbprints, CreateDate: wire.Time{Time: p.Created}, Tags: showTags(p.Tags),
	}, nil
}

// ProviderEntry is a provider in the list.
type ProviderEntry struct {
	ARN string `xml:"Arn"`
}

// ListOpenIDConnectProvidersOutput is all providers.
type ListOpenIDConnectProvidersOutput struct {
	OpenIDConnectProviderList []ProviderEntry `xml:"OpenIDConnectProviderList>member"`
}

func (s *Service) listProviders(context.Context, wire.Caller, *Nothing) (*ListOpenIDConnectProvidersOutput, error) {
	out := &ListOpenIDConnectProvidersOutput{OpenIDConnectProviderList: []ProviderEntry{}}
	for _, arn := range slices.Sorted(maps.Keys(s.state.Providers)) {
		out.OpenIDConnectProviderList = append(out.OpenIDConnectProviderList, ProviderEntry{ARN: arn})
	}
	return out, nil
}

func (s *Service) deleteProvider(_ context.Context, _ wire.Caller, in *ProviderInput) (*Nothing, error) {
	if _, err := s.findProvider(in.OpenIDConnectProviderARN); err != nil {
		return nil, err
	}
	delete(s.state.Providers, in.OpenIDConnectProviderARN)
	return &Nothing{}, nil
}

// ClientIDInput names a client of a provider.
type ClientIDInput struct {
	OpenIDConnectProviderARN string `form:"OpenIDConnectProviderArn"`
	ClientID                 string
}

func (s *Service) addClientID(_ context.Context, _ wire.Caller, in *ClientIDInput) (*Nothing, error) {
	p, err := s.findProvider(in.OpenIDConnectProviderARN)
	if err != nil {
		return nil, err
	}
	if in.ClientID == "" {
		return nil, missing("ClientID")
	}
	if !slices.Contains(p.ClientIDs, in.ClientID) {
		p.ClientIDs = append(p.ClientIDs, in.ClientID)
	}
	return &Nothing{}, nil
}

func (s *Service) removeClientID(_ context.Context, _ wire.Caller, in *ClientIDInput) (*Nothing, error) {
	p, err := s.findProvider(in.OpenIDConnectProviderARN)
	if err != nil {
		return nil, err
	}
	p.ClientIDs = slices.DeleteFunc(p.ClientIDs, func(id string) bool { return id == in.ClientID })
	return &Nothing{}, nil
}

// UpdateThumbprintInput replaces a provider's thumbprints.
type UpdateThumbprintInput struct {
	OpenIDConnectProviderARN string `form:"OpenIDConnectProviderArn"`
	ThumbprintList           []string
}

func (s *Service) updateThumbprint(_ context.Context, _ wire.Caller, in *UpdateThumbprintInput) (*Nothing, error) {
	p, err := s.findProvider(in.OpenIDConnectProviderARN)
	if err != nil {
		return nil, err
	}
	if err := checkThumbprints(in.ThumbprintList); err != nil {
		return nil, err
	}
	p.Thumbprints = in.ThumbprintList
	return &Nothing{}, nil
}

// TagProviderInput puts tags on a provider.
type TagProviderInput struct {
	OpenIDConnectProviderARN string `form:"OpenIDConnectProviderArn"`
	Tags                     []Tag
}

func (s *Service) tagProvider(_ context.Context, _ wire.Caller, in *TagProviderInput) (*Nothing, error) {
	p, err := s.findProvider(in.OpenIDConnectProviderARN)
	if err != nil {
		return nil, err
	}
	return addTags(&p.Tags, in.Tags)
}

// UntagProviderInput takes tags off a provider.
type UntagProviderInput struct {
	OpenIDConnectProviderARN string `form:"OpenIDConnectProviderArn"`
	TagKeys                  []string
}

func (s *Service) untagProvider(_ context.Context, _ wire.Caller, in *UntagProviderInput) (*Nothing, error) {
	p, err := s.findProvider(in.OpenIDConnectProviderARN)
	if err != nil {
		return nil, err
	}
	return dropTags(&p.Tags, in.TagKeys)
}

// ListProviderTagsInput asks for a provider's tags.
type ListProviderTagsInput struct {
	OpenIDConnectProviderARN string `form:"OpenIDConnectProviderArn"`
	Page
}

func (s *Service) listProviderTags(_ context.Context, _ wire.Caller, in *ListProviderTagsInput) (*TagsOutput, error) {
	p, err := s.findProvider(in.OpenIDConnectProviderARN)
	if err != nil {
		return nil, err
	}
	return tagsPage(p.Tags, in.Page)
}
