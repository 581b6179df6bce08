// Package ssm is AWS Systems Manager's Parameter Store of the simulator, as far as it publishes machine images: the public
// parameters below /aws/service that say which image a node of some Kubernetes version should run.
//
// Inputs are parameter names; outputs are parameters and the images they point to (Images), which EC2 shows.
//
// Invariant: every image id that a parameter holds is an image of Images, for the same region.
package ssm

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// Service is Parameter Store of one region. It has no state.
type Service struct {
	world  *world.World
	values map[string]string
	names  []string // sorted
}

// New makes the service.
func New(w *world.World) *Service {
	s := &Service{world: w, values: map[string]string{}}
	for _, i := range Images(w.Region) {
		maps.Copy(s.values, i.parameters)
	}
	s.names = slices.Sorted(maps.Keys(s.values))
	return s
}

// API is the service as the wire sees it.
func (s *Service) API() *wire.Service {
	api := &wire.Service{Name: "ssm", Protocol: wire.JSON, Target: "AmazonSSM"}
	api.Operation("GetParameter", wire.Handle(s.getParameter))
	api.Operation("GetParameters", wire.Handle(s.getParameters))
	api.Operation("GetParametersByPath", wire.Handle(s.getParametersByPath))
	return api
}

// Parameter is the value of a public parameter.
func (s *Service) Parameter(name string) (value string, ok bool) {
	value, ok = s.values[name]
	return value, ok
}

// Parameter is one on the wire.
type Parameter struct {
	Name             string
	Type             string
	Value            string
	Version          int64
	Selector         string     `json:",omitempty"`
	LastModifiedDate *wire.Time `json:",omitempty"`
	ARN              string
	DataType         string
}

func (s *Service) show(name string) Parameter {
	// Public parameters have no account in their ARN.
	arn := "arn:" + s.world.Partition + ":ssm:" + s.world.Region + "::parameter" + name
	return Parameter{Name: name, Type: "String", Value: s.values[name], Version: 1, LastModifiedDate: wire.At(released()), ARN: arn, DataType: "text"}
}

// find resolves a name with an optional version selector ("name:1"), or an ARN.
func (s *Service) find(given string) (Parameter, error) {
	name := given
	if strings.HasPrefix(name, "arn:") {
		_, rest, _ := strings.Cut(name, ":parameter")
		name = rest
	}
	name, selector, selected := strings.Cut(name, ":")
	if _, ok := s.values[name]; !ok {
		return Parameter{}, wire.Errorf("ParameterNotFound", "")
	}
	p := s.show(name)
	if selected {
		if version, err := strconv.Atoi(selector); err != nil || version != int(p.Version) {
			return Parameter{}, wire.Errorf("ParameterVersionNotFound", "Systems Manager could not find version %s of %s.", selector, name)
		}
		p.Selector = ":" + selector
	}
	return p, nil
}

// GetParameterInput names one parameter.
type GetParameterInput struct {
	Name           string
	WithDecryption bool
}

// GetParameterOutput is one parameter.
type GetParameterOutput struct{ Parameter Parameter }

func (s *Service) getParameter(_ context.Context, _ wire.Caller, in *GetParameterInput) (*GetParameterOutput, error) {
	if in.Name == "" {
		return nil, wire.Errorf("ValidationException", "1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must not be null")
	}
	p, err := s.find(in.Name)
	if err != nil {
		return nil, err
	}
	return &GetParameterOutput{Parameter: p}, nil
}

// GetParametersInput names up to ten parameters.
type GetParametersInput struct {
	Names          []string
	WithDecryption bool
}

// GetParametersOutput is those that exist, and the names of those that do not.
type GetParametersOutput struct {
	Parameters        []Parameter
	InvalidParameters []string
}

func (s *Service) getParameters(_ context.Context, _ wire.Caller, in *GetParametersInput) (*GetParametersOutput, error) {
	if n := len(in.Names); n == 0 || n > 10 {
		return nil, wire.Errorf("ValidationException", "1 validation error detected: Value at 'names' failed to satisfy constraint: Member must have length less than or equal to 10 and greater than or equal to 1")
	}
	out := &GetParametersOutput{Parameters: []Parameter{}, InvalidParameters: []string{}}
	for _, name := range in.Names {
		if p, err := s.find(name); err == nil {
			out.Parameters = append(out.Parameters, p)
		} else {
			out.InvalidParameters = append(out.InvalidParameters, name)
		}
	}
	return out, nil
}

// GetParametersByPathInput asks for what is below a path.
type GetParametersByPathInput struct {
	Path           string
	Recursive      bool
	WithDecryption bool
	MaxResults     int
	NextToken      string
}

// GetParametersByPathOutput is one page of it.
type GetParametersByPathOutput struct {
	Parameters []Parameter
	NextToken  string `json:",omitempty"`
}

func (s *Service) getParametersByPath(_ context.Context, _ wire.Caller, in *GetParametersByPathInput) (*GetParametersByPathOutput, error) {
	size := in.MaxResults
	if size == 0 {
		size = 10
	}
	if !strings.HasPrefix(in.Path, "/") || size < 1 || size > 10 {
		return nil, wire.Errorf("ValidationException", "Path must begin with a slash, and MaxResults is 1 to 10.")
	}
	prefix := strings.TrimSuffix(in.Path, "/") + "/"
	var found []string
	for _, name := range s.names {
		if rest, below := strings.CutPrefix(name, prefix); below && (in.Recursive || !strings.Contains(rest, "/")) {
			found = append(found, name)
		}
	}
	part, next, ok := wire.Page(found, wire.Self, size, in.NextToken)
	if !ok {
		return nil, wire.Errorf("InvalidNextToken", "The specified token isn't valid.")
	}
	out := &GetParametersByPathOutput{Parameters: []Parameter{}, NextToken: next}
	for _, name := range part {
		out.Parameters = append(out.Parameters, s.show(name))
	}
	return out, nil
}
