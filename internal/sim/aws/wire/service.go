package wire

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Protocol is how a service speaks.
type Protocol string

// The protocols of AWS's service models (metadata.protocol).
const (
	Query    Protocol = "query"
	EC2      Protocol = "ec2"
	RESTJSON Protocol = "rest-json"
	JSON     Protocol = "json"
)

// Caller is who signed a request.
type Caller struct {
	AccessKey string
	ARN       string // "arn:aws:iam::111122223333:user/dev" or an assumed role's
	Account   string
	UserID    string // AWS's unique id: "AIDA..." or "AROA...:session"
}

// Service is one AWS API: its protocol and its operations.
type Service struct {
	// Name is the SigV4 signing name: "ec2", "elasticloadbalancing".
	Name string
	// ID tells two APIs under one signing name apart and names the service to humans: "elb", "elbv2"; empty means Name.
	ID       string
	Protocol Protocol
	// Version is the API version that query and ec2 requests carry ("2016-11-15").
	Version string
	// Namespace is the XML namespace of answers.
	Namespace string
	// Target is the X-Amz-Target prefix of json services: "AmazonSSM".
	Target string

	operations map[string]*Operation
	routes     []*Operation
}

// Operation is one operation of a service, ready to be called from the wire.
type Operation struct {
	Name string
	// Route is "METHOD /path/{variable}" for rest-json, else empty.
	Route string
	// In and Out are the handler's struct types, for tests against AWS's models.
	In, Out reflect.Type

	// Anonymous operations need no signature (sts:AssumeRoleWithWebIdentity).
	Anonymous bool
	// Writes says that the operation changes something although its name does not sound so (sts:GetSessionToken).
	Writes bool
	// Data says that the call is a data event: CloudTrail records those only where a trail is told to (sqs:SendMessage).
	Data bool

	method   string
	segments []string
	call     func(ctx context.Context, c Caller, in any) (any, error)
}

// ReadOnly tells whether the operation only looks. AWS's naming is the rule CloudTrail's readOnly field follows too.
func (o *Operation) ReadOnly() bool {
	if o.Writes {
		return false
	}
	for _, prefix := range []string{"Describe", "Get", "List", "Lookup", "Validate", "Simulate", "Estimate", "BatchGet"} {
		if strings.HasPrefix(o.Name, prefix) {
			return true
		}
	}
	return false
}

// Handler is a typed function made callable; Handle makes one.
type Handler struct {
	in, out reflect.Type
	call    func(ctx context.Context, c Caller, in any) (any, error)
}

// Handle wraps a typed operation. In and Out must be structs whose fields follow the package's tag rules. The handler runs
// under the world's lock, and its answer is encoded before the lock is let go.
func Handle[In, Out any](fn func(ctx context.Context, c Caller, in *In) (*Out, error)) Handler {
	return Handler{
		in:  reflect.TypeFor[In](),
		out: reflect.TypeFor[Out](),
		call: func(ctx context.Context, c Caller, in any) (any, error) {
			out, err := fn(ctx, c, in.(*In)) //nolint:forcetypeassert // the decoder makes exactly this type
			if err != nil {
				return nil, err
			}
			return out, nil
		},
	}
}

// Pending is an answer that may wait (sqs:ReceiveMessage): with nothing to tell yet, news is closed as soon as there may be
// something, and the operation is run again; after limit the answer is given as it is. A nil news waits for nothing.
type Pending interface {
	Pending() (news <-chan struct{}, limit time.Duration)
}

// Operation registers h under an operation's name (query, ec2 and json services).
func (s *Service) Operation(name string, h Handler) *Operation {
	return s.add(&Operation{Name: name, In: h.in, Out: h.out, call: h.call})
}

// Route registers h under an operation's name and its route, "METHOD /path/{variable}" (rest-json services).
func (s *Service) Route(name, route string, h Handler) *Operation {
	method, path, _ := strings.Cut(route, " ")
	o := &Operation{Name: name, Route: route, In: h.in, Out: h.out, call: h.call, method: method, segments: strings.Split(path, "/")}
	s.routes = append(s.routes, o)
	return s.add(o)
}

// add panics on a wrong declaration: it is a mistake in the simulator's source that no input can cause or avoid.
func (s *Service) add(o *Operation) *Operation {
	if s.operations == nil {
		s.operations = map[string]*Operation{}
	}
	if _, twice := s.operations[o.Name]; twice {
		panic(fmt.Sprintf("operation %s of %s is registered twice", o.Name, s.Title()))
	}
	if o.In.Kind() != reflect.Struct || o.Out.Kind() != reflect.Struct {
		panic(fmt.Sprintf("operation %s of %s: input and output must be structs", o.Name, s.Title()))
	}
	s.operations[o.Name] = o
	return o
}

// Title is ID, or else Name.
func (s *Service) Title() string {
	if s.ID != "" {
		return s.ID
	}
	return s.Name
}

// Operations lists what is registered, by name.
func (s *Service) Operations() []*Operation {
	out := make([]*Operation, 0, len(s.operations))
	for _, name := range slices.Sorted(maps.Keys(s.operations)) {
		out = append(out, s.operations[name])
	}
	return out
}

// Find returns the operation of that name, or nil.
func (s *Service) Find(name string) *Operation { return s.operations[name] }
