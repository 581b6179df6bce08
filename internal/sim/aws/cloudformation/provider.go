package cloudformation

import (
	"context"
	"errors"
	"strings"
)

// Provider makes, changes and removes one kind of resource for a stack. Every method returns at once: a nil error means
// "accepted", and the engine then asks Status until the resource has settled. A provider therefore never waits, and the
// engine may be stopped and started again between any two calls.
//
// An error is the resource's own error (usually *wire.Error); the engine quotes its text in the stack event. An error
// wrapped by TryAgain is retried, as CloudFormation does with dependency violations and throttling.
type Provider interface {
	// Create starts the creation of r and returns its physical id.
	Create(ctx context.Context, r Resource) (physicalID string, err error)
	// Update changes the resource in place from the old properties to r.Properties. It is never called for a change
	// of a create-only property: that is a Create of a new resource followed by a Delete of the old one.
	Update(ctx context.Context, r Resource, old map[string]any) error
	// Delete starts the removal of r. Deleting what is already gone is no error.
	Delete(ctx context.Context, r Resource) error
	// Status tells how far the resource identified by r.PhysicalID is.
	Status(ctx context.Context, r Resource) (Status, error)
}

// Resource is one resource of a stack as its provider sees it.
type Resource struct {
	Type       string
	LogicalID  string
	PhysicalID string // empty in Create
	StackName  string
	StackID    string
	// Token is twelve upper-case letters and digits, new for every physical resource; see GeneratedName.
	Token string
	// Properties are fully resolved: no intrinsic function is left. Values are string, float64, bool, map[string]any
	// and []any; scalars may arrive as strings, since CloudFormation converts between them (see Props).
	Properties map[string]any
	// Tags are those of the stack, together with aws:cloudformation:{stack-name,stack-id,logical-id}. The provider merges
	// them under the resource's own tags if its type is taggable.
	Tags map[string]string
	// UpdatePolicy and CreationPolicy are the attributes of the same name of the template's resource.
	UpdatePolicy   map[string]any
	CreationPolicy map[string]any
}

// GeneratedName is the name CloudFormation gives to a resource whose name property is absent:
// StackName-LogicalID-TOKEN, shortened to at most limit characters by cutting the stack name and the logical id.
func (r Resource) GeneratedName(limit int) string {
	stack, logical := r.StackName, r.LogicalID
	if over := len(stack) + len(logical) + len(r.Token) + 2 - limit; over > 0 {
		cut := min(over, max(0, len(stack)-(limit-len(r.Token)-2)/2))
		stack = stack[:len(stack)-cut]
		over -= cut
		logical = logical[:len(logical)-min(over, len(logical)-1)]
	}
	return strings.Join([]string{stack, logical, r.Token}, "-")
}

// Phase is where a resource is in its life.
type Phase string

// The phases a provider reports.
const (
	InProgress Phase = "in progress" // accepted, not settled yet
	Ready      Phase = "ready"       // created or updated
	Failed     Phase = "failed"      // the last create, update or delete did not work; Reason says why
	Absent     Phase = "absent"      // there is no such resource (any more)
)

// Status is what a provider knows about a resource.
type Status struct {
	Phase  Phase
	Reason string // for Failed
	// Ref is what {"Ref": LogicalID} yields; empty means the physical id.
	Ref string
	// Attributes are the values of Fn::GetAtt. Nested attributes have dotted keys ("Endpoint.Address").
	Attributes map[string]any
}

// ResourceType declares a type of resource to the engine. Paths are property names joined by slashes, relative to
// Properties ("ResourcesVpcConfig/SubnetIds").
type ResourceType struct {
	Name     string // "AWS::EC2::VPC"
	Provider Provider
	// Properties are the accepted names at the top level; anything else fails the resource as it does in life.
	Properties []string
	// Required are the properties without which creation fails.
	Required []string
	// CreateOnly are the paths whose change means replacement.
	CreateOnly []string
	// Replaces decides on replacement where the registry schema says "conditional"; nil means never.
	Replaces func(old, desired map[string]any) bool
	// Attributes are the names that Fn::GetAtt accepts.
	Attributes []string
	// NameProperty is the property holding a custom name. Replacing a resource that has one fails, since the old and the
	// new one cannot exist side by side under one name.
	NameProperty string
	// Tagged says that stack tags are put on the resource, so that a change of them is an update of it.
	Tagged bool
}

// TryAgain marks err as passing: the engine repeats the call until it works or its patience
// (duration "cloudformation.resource.retry") is over.
func TryAgain(err error) error { return &passingError{err: err} }

type passingError struct{ err error }

func (e *passingError) Error() string { return e.err.Error() }
func (e *passingError) Unwrap() error { return e.err }

func isPassing(err error) bool {
	var passing *passingError
	return errors.As(err, &passing)
}
