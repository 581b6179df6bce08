package wire

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
)

// Exchange is one request that was understood: who wants which operation with what.
type Exchange struct {
	Service   *Service
	Operation *Operation
	Caller    Caller
	// In points to the decoded input struct.
	In        any
	RequestID string
	// Key is the same for two requests of one caller that ask the same: operation and input.
	Key string
	// Request is the HTTP request, its body already read.
	Request *http.Request
	Body    []byte
}

// Reply is an encoded answer.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
	// Out is what the handler returned, before encoding; nil in a reply that no handler made.
	Out any
}

// ErrAbort closes the connection without an answer when Around returns it.
var ErrAbort = errors.New("connection closed without an answer")

// Endpoint is an http.Handler that serves all services at one address, telling them apart by the scope of the signature as
// AWS's own clients write it, whatever host name they were given.
type Endpoint struct {
	Services []*Service
	Verifier Verifier
	// Around runs every operation: it calls next, which runs the handler and encodes its answer, or answers itself. Nil
	// just calls next.
	Around func(ctx context.Context, x *Exchange, next func(context.Context) (*Reply, error)) (*Reply, error)
	// Refused, if set, hears of requests that never became an Exchange.
	Refused func(r *http.Request, requestID string, err *Error)
}

const maxBody = 4 << 20

func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := requestID()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		e.refuse(w, r, nil, id, StatusErrorf(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "reading the request: %v", err))
		return
	}
	x, service, refusal := e.understand(r, body, id)
	if refusal != nil {
		e.refuse(w, r, service, id, refusal)
		return
	}
	reply, err := e.run(r.Context(), x)
	switch {
	case errors.Is(err, ErrAbort):
		panic(http.ErrAbortHandler) // net/http's way to drop a connection
	case err != nil:
		writeError(w, x.Service, id, asError(err))
	default:
		writeReply(w, x.Service, id, reply)
	}
}

func (e *Endpoint) refuse(w http.ResponseWriter, r *http.Request, s *Service, id string, err *Error) {
	if e.Refused != nil {
		e.Refused(r, id, err)
	}
	writeError(w, s, id, err)
}

func (e *Endpoint) run(ctx context.Context, x *Exchange) (*Reply, error) {
	next := func(ctx context.Context) (*Reply, error) {
		out, err := x.Operation.call(ctx, x.Caller, x.In)
		if err != nil {
			return nil, err
		}
		return encode(x, out)
	}
	if e.Around == nil {
		return next(ctx)
	}
	return e.Around(ctx, x, next)
}

// understand authenticates r and decodes it. The service is returned even with an error, as soon as it is known, since
// the error must be written in its protocol.
func (e *Endpoint) understand(r *http.Request, body []byte, id string) (*Exchange, *Service, *Error) {
	values, err := form(r, body)
	if err != nil {
		return nil, nil, malformed(Query, "the form cannot be read: "+err.Error())
	}
	signature, sigErr := ParseSignature(r)
	service := e.service(signature, values, r)
	if service == nil {
		if sigErr != nil {
			return nil, nil, refusal(sigErr, Query)
		}
		return nil, nil, StatusErrorf(http.StatusNotImplemented, "NotImplemented", "the simulator has no service %q (version %q)", signature.Service, values.Get("Version"))
	}
	operation, vars := service.operation(r, values)
	var caller Caller
	if operation == nil || !operation.Anonymous {
		if sigErr == nil {
			caller, sigErr = e.Verifier.Verify(r, signature, body)
		}
		if sigErr != nil {
			return nil, service, refusal(sigErr, service.Protocol)
		}
	}
	if operation == nil {
		return nil, service, Unsupported("operation %s of %s", asked(r, values), service.Title())
	}
	in := reflect.New(operation.In)
	if err := service.decode(r, values, vars, body, in); err != nil {
		return nil, service, asError(err)
	}
	key := service.Title() + "\n" + operation.Name + "\n" + caller.AccessKey + "\n" + r.Method + " " + r.URL.Path + "?" + canonicalQuery(unsigned(r.URL.Query())) + "\n" + string(body)
	return &Exchange{Service: service, Operation: operation, Caller: caller, In: in.Interface(), RequestID: id, Key: key, Request: r, Body: body}, service, nil
}

func unsigned(q url.Values) url.Values {
	for name := range q {
		if strings.HasPrefix(name, "X-Amz-") {
			delete(q, name)
		}
	}
	return q
}

// form is the parameters of a query or ec2 request, from its body or its URL; other requests have none in their body.
func form(r *http.Request, body []byte) (url.Values, error) {
	values := r.URL.Query()
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return values, nil
	}
	posted, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	for k, vs := range posted {
		values[k] = append(values[k], vs...)
	}
	return values, nil
}

// service picks by signing name, then by what the protocol says: API version or target. An unsigned request has only the
// latter. A signing name that one service alone has is enough, so that a wrong version is refused in the right protocol.
func (e *Endpoint) service(s *Signature, values url.Values, r *http.Request) *Service {
	var named []*Service
	for _, candidate := range e.Services {
		if s != nil && s.Service != candidate.Name {
			continue
		}
		if candidate.speaks(r, values, s != nil) {
			return candidate
		}
		named = append(named, candidate)
	}
	if s != nil && len(named) == 1 {
		return named[0]
	}
	return nil
}

func (s *Service) speaks(r *http.Request, values url.Values, signed bool) bool {
	switch s.Protocol {
	case Query, EC2:
		return values.Get("Version") == s.Version
	case JSON:
		_, ok := s.targeted(r)
		return ok
	case RESTJSON:
	}
	return signed
}

// targeted takes the operation's name from X-Amz-Target. Its prefix may leave out the leading part of a service's target:
// some clients say com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents, others just the last two names.
func (s *Service) targeted(r *http.Request) (name string, ok bool) {
	target := r.Header.Get("X-Amz-Target")
	dot := strings.LastIndexByte(target, '.')
	if dot <= 0 {
		return "", false
	}
	return target[dot+1:], s.Target == target[:dot] || strings.HasSuffix(s.Target, "."+target[:dot])
}

func (s *Service) operation(r *http.Request, values url.Values) (*Operation, map[string]string) {
	switch s.Protocol {
	case RESTJSON:
		return s.match(r)
	case JSON:
		name, ok := s.targeted(r)
		if !ok {
			return nil, nil
		}
		return s.operations[name], nil
	case Query, EC2:
	}
	if values.Get("Version") != s.Version {
		return nil, nil
	}
	return s.operations[values.Get("Action")], nil
}

func asked(r *http.Request, values url.Values) string {
	for _, name := range []string{values.Get("Action"), r.Header.Get("X-Amz-Target")} {
		if name != "" {
			return name
		}
	}
	return r.Method + " " + r.URL.Path
}

func (s *Service) decode(r *http.Request, values url.Values, vars map[string]string, body []byte, in reflect.Value) error {
	switch s.Protocol {
	case RESTJSON:
		return decodeREST(r, vars, body, in)
	case JSON:
		return decodeJSON(body, in)
	case Query, EC2:
	}
	return decodeForm(values, s.Protocol, in)
}

func encode(x *Exchange, out any) (*Reply, error) {
	reply := &Reply{Status: http.StatusOK, Header: http.Header{}, Out: out}
	var err error
	switch x.Service.Protocol {
	case Query, EC2:
		reply.Body, err = encodeAnswer(x, out)
	case JSON, RESTJSON:
		reply.Body, err = encodeJSON(out)
	}
	return reply, err
}

func encodeAnswer(x *Exchange, out any) ([]byte, error) {
	var b bytes.Buffer
	name := x.Operation.Name
	fmt.Fprintf(&b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<%sResponse xmlns=%q>", name, x.Service.Namespace)
	v := reflect.ValueOf(out).Elem()
	if x.Service.Protocol == EC2 {
		b.WriteString("<requestId>" + x.RequestID + "</requestId>")
		if err := encodeXML(&b, v); err != nil {
			return nil, err
		}
	} else {
		open(&b, name+"Result")
		if err := encodeXML(&b, v); err != nil {
			return nil, err
		}
		shut(&b, name+"Result")
		b.WriteString("<ResponseMetadata><RequestId>" + x.RequestID + "</RequestId></ResponseMetadata>")
	}
	shut(&b, name+"Response")
	return b.Bytes(), nil
}

// requestID makes one as AWS's look. It is not drawn from the world: a request that is refused must not move the ids of
// those that follow.
func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
