package cloudformation

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation/template"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// Service is CloudFormation of one world. Its operations run under the world's lock.
type Service struct {
	world *world.World
	state state
	types map[string]ResourceType
	zones func() []string
}

// New makes the service and registers it with the world. zones lists the availability zones of the region for Fn::GetAZs.
func New(w *world.World, zones func() []string) *Service {
	s := &Service{
		world: w,
		state: state{Stacks: map[string]*stack{}, ChangeSets: map[string]*changeSet{}},
		types: map[string]ResourceType{},
		zones: zones,
	}
	w.Register(world.Part{
		Name:    "cloudformation",
		State:   &s.state,
		Advance: func(time.Time) bool { return s.advance() },
		// The real service needs a few seconds for every step; what a resource itself needs is its own service's matter.
		Durations: map[string]time.Duration{
			"cloudformation.start":          2 * time.Second,
			"cloudformation.resource":       3 * time.Second,
			"cloudformation.resource.retry": 10 * time.Minute,
			"cloudformation.changeset":      4 * time.Second,
		},
	})
	return s
}

// Provide adds resource types. All are known before the first stack is made.
func (s *Service) Provide(types ...ResourceType) {
	for _, t := range types {
		s.types[t.Name] = t
	}
}

// Types lists what is provided, by name.
func (s *Service) Types() []ResourceType {
	out := make([]ResourceType, 0, len(s.types))
	for _, name := range slices.Sorted(maps.Keys(s.types)) {
		out = append(out, s.types[name])
	}
	return out
}

func (s *Service) attributes(name string) ([]string, bool) {
	t, ok := s.types[name]
	return t.Attributes, ok
}

// API is the service as the wire sees it.
func (s *Service) API() *wire.Service {
	api := &wire.Service{
		Name:      "cloudformation",
		Protocol:  wire.Query,
		Version:   "2010-05-15",
		Namespace: "http://cloudformation.amazonaws.com/doc/2010-05-15/",
	}
	for name, h := range map[string]wire.Handler{
		"CreateStack":                 wire.Handle(s.CreateStack),
		"UpdateStack":                 wire.Handle(s.UpdateStack),
		"DeleteStack":                 wire.Handle(s.DeleteStack),
		"CancelUpdateStack":           wire.Handle(s.CancelUpdateStack),
		"ContinueUpdateRollback":      wire.Handle(s.ContinueUpdateRollback),
		"UpdateTerminationProtection": wire.Handle(s.UpdateTerminationProtection),
		"DescribeStacks":              wire.Handle(s.DescribeStacks),
		"ListStacks":                  wire.Handle(s.ListStacks),
		"DescribeStackEvents":         wire.Handle(s.DescribeStackEvents),
		"DescribeStackResource":       wire.Handle(s.DescribeStackResource),
		"DescribeStackResources":      wire.Handle(s.DescribeStackResources),
		"ListStackResources":          wire.Handle(s.ListStackResources),
		"GetTemplate":                 wire.Handle(s.GetTemplate),
		"GetTemplateSummary":          wire.Handle(s.GetTemplateSummary),
		"GetStackPolicy":              wire.Handle(s.GetStackPolicy),
		"ValidateTemplate":            wire.Handle(s.ValidateTemplate),
		"CreateChangeSet":             wire.Handle(s.CreateChangeSet),
		"DescribeChangeSet":           wire.Handle(s.DescribeChangeSet),
		"ExecuteChangeSet":            wire.Handle(s.ExecuteChangeSet),
		"DeleteChangeSet":             wire.Handle(s.DeleteChangeSet),
		"ListChangeSets":              wire.Handle(s.ListChangeSets),
		"ListExports":                 wire.Handle(s.ListExports),
		"ListImports":                 wire.Handle(s.ListImports),
	} {
		api.Operation(name, h)
	}
	return api
}

// invalid is CloudFormation's ValidationError.
func invalid(format string, args ...any) error {
	return wire.Errorf("ValidationError", format, args...)
}

// refused turns a template's error into the API's.
func refused(err error) error {
	if e, ok := errors.AsType[*template.Error](err); ok {
		return invalid("%s", e.Message)
	}
	return err
}

// find returns the stack of that name or id. A name means the one stack of it that is not deleted; an id means that stack for
// ever.
func (s *Service) find(nameOrID string) (*stack, bool) {
	if strings.HasPrefix(nameOrID, "arn:") {
		st, ok := s.state.Stacks[nameOrID]
		return st, ok
	}
	for _, st := range s.state.Stacks {
		if st.Name == nameOrID && st.Status != "DELETE_COMPLETE" {
			return st, true
		}
	}
	return nil, false
}

// newestFirst lists all stacks in the order the API lists them.
func (s *Service) newestFirst() []*stack {
	return slices.SortedFunc(maps.Values(s.state.Stacks), func(a, b *stack) int { return strings.Compare(a.order(), b.order()) })
}

// order is the stack's key in the API's lists: the newest comes first.
func (st *stack) order() string { return wire.Key(wire.Descending(st.Created.UnixNano()), st.ID) }

// background is the context of what the engine does on its own account: nobody waits for it, so nobody can cancel it.
func background() context.Context { return context.Background() }

// page cuts one page out of items, in the order of their keys.
func page[T any](items []T, key func(item T) string, token string) (part []T, next string, err error) {
	part, next, ok := wire.Page(items, key, pageSize, token)
	if !ok {
		return nil, "", invalid("NextToken is invalid")
	}
	return part, next, nil
}

// pageNames is page for names that are their own keys.
func pageNames(names []string, token string) (part []string, next string, err error) {
	return page(names, wire.Self, token)
}
