package modelcheck

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// Wrap returns a handler that passes requests to next and reports to t what AWS's models do not allow. Without the models it
// is next itself.
func Wrap(t testing.TB, next http.Handler) http.Handler {
	t.Helper()
	d := load(t)
	if d == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		for _, fault := range d.judge(r, body, answer) {
			t.Error(fault)
		}
		for key, values := range answer.Header() {
			w.Header()[key] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()) // the client may be gone
	})
}

// judge says what is wrong with a request and its answer. Clients that wait ask the same again and again, and mostly hear the same: what was
// right once is right.
func (d *data) judge(r *http.Request, body []byte, answer *httptest.ResponseRecorder) []string {
	key := digest(r, body, answer)
	if _, known := d.right.Load(key); known {
		return nil
	}
	faults := d.faults(r, body, answer)
	if len(faults) == 0 {
		d.right.Store(key, nil)
	}
	return faults
}

// digest is the same for two exchanges that differ in nothing that is judged: signatures are not, nor are the ids that every answer has anew.
func digest(r *http.Request, body []byte, answer *httptest.ResponseRecorder) [sha256.Size]byte {
	said := answer.Body.Bytes()
	for _, tag := range []string{"<RequestId>", "<requestId>"} {
		if before, after, ok := bytes.Cut(said, []byte(tag)); ok {
			_, after, _ = bytes.Cut(after, []byte("<"))
			said = slices.Concat(before, []byte(tag), after)
		}
	}
	signed, _ := wire.ParseSignature(r)
	if signed == nil {
		signed = &wire.Signature{}
	}
	head := fmt.Sprintf("%s %s %q %q %q %d %q %d", signed.Service, r.Method, r.URL, r.Header.Get("Content-Type"), r.Header.Get("X-Amz-Target"), answer.Code, answer.Header().Get("X-Amzn-Errortype"), len(body))
	return sha256.Sum256(slices.Concat([]byte(head), body, said))
}

func (d *data) faults(r *http.Request, body []byte, answer *httptest.ResponseRecorder) []string {
	e, err := d.exchange(r, body)
	if err != nil {
		return []string{err.Error()}
	}
	if e == nil {
		return nil
	}
	about := e.model.file + " " + e.operation.Name + ": "
	var out []string
	for _, fault := range e.check(answer) {
		out = append(out, about+fault)
	}
	if template := e.form.Get("TemplateBody"); template != "" && answer.Code < http.StatusBadRequest {
		for _, fault := range d.templates.check(template) {
			out = append(out, about+"a template that the schemas forbid: "+fault)
		}
	}
	return out
}

// exchange is one request whose operation is known.
type exchange struct {
	model     *model
	operation *operation
	request   *http.Request
	body      []byte
	form      url.Values
	vars      map[string]string
}

// exchange finds what a request is about; nil if the models do not know it, which the simulator then refuses.
func (d *data) exchange(r *http.Request, body []byte) (*exchange, error) {
	form := r.URL.Query()
	if posted, err := url.ParseQuery(string(body)); err == nil && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		for k, v := range posted {
			form[k] = v
		}
	}
	signature, err := wire.ParseSignature(r)
	if err != nil {
		return nil, nil //nolint:nilerr,nilnil // an unsigned request is refused, and nothing is to be checked
	}
	e := &exchange{request: r, body: body, form: form}
	if e.model, err = d.find(signature.Service, form.Get("Version")); err != nil || e.model == nil {
		return nil, err
	}
	switch e.model.Metadata.Protocol {
	case "rest-json":
		e.operation, e.vars = e.model.route(r)
	case "json":
		_, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		if i := strings.LastIndexByte(name, '.'); i >= 0 {
			name = name[i+1:]
		}
		e.operation = e.model.Operations[name]
	default:
		e.operation = e.model.Operations[form.Get("Action")]
	}
	if e.operation == nil {
		return nil, nil //nolint:nilnil // what the model does not know, the simulator refuses
	}
	return e, nil
}

func (m *model) route(r *http.Request) (*operation, map[string]string) {
	segments := strings.Split(r.URL.EscapedPath(), "/")
	var found *operation
	var vars map[string]string
	for _, o := range m.Operations {
		if o.HTTP.Method != r.Method {
			continue
		}
		path, _, _ := strings.Cut(o.HTTP.RequestURI, "?")
		if v, ok := bind(strings.Split(path, "/"), segments); ok && (found == nil || len(v) < len(vars)) {
			found, vars = o, v
		}
	}
	return found, vars
}

func bind(pattern, segments []string) (map[string]string, bool) {
	if len(pattern) != len(segments) {
		return nil, false
	}
	vars := map[string]string{}
	for i, p := range pattern {
		if !strings.HasPrefix(p, "{") {
			if p != segments[i] {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(segments[i])
		if err != nil {
			return nil, false
		}
		vars[strings.Trim(p, "{}+")] = value
	}
	return vars, true
}

func (e *exchange) checker() *checker {
	c := &checker{model: e.model, wireName: jsonName}
	if e.model.Metadata.Protocol == "ec2" {
		c.wireName = queryName
	}
	return c
}

func (e *exchange) check(answer *httptest.ResponseRecorder) []string {
	if answer.Code >= http.StatusBadRequest {
		return e.checkError(answer)
	}
	request, response := e.checker(), e.checker()
	e.checkInput(request)
	e.checkOutput(response, answer)
	out := []string{}
	for _, f := range request.faults {
		out = append(out, "accepted a request that the model forbids: "+f)
	}
	for _, f := range response.faults {
		out = append(out, "answered what the model does not allow: "+f)
	}
	return out
}

func (e *exchange) checkInput(c *checker) {
	if e.operation.Input == nil {
		return
	}
	name := e.operation.Input.Shape
	switch e.model.Metadata.Protocol {
	case "rest-json", "json":
		v, err := decodeNumbers(e.body)
		if err != nil {
			c.fault("body", "is not JSON: %v", err)
			return
		}
		tree, _ := c.fromJSON(name, v, "input").(map[string]any)
		if tree == nil {
			tree = map[string]any{}
		}
		e.addLocated(c, tree)
		c.value(name, tree, "input")
	default:
		c.value(name, c.fromForm(name, e.form, ""), "input")
	}
}

// addLocated adds what rest-json carries outside the body.
func (e *exchange) addLocated(c *checker, tree map[string]any) {
	s := e.model.Shapes[e.operation.Input.Shape]
	query := e.request.URL.Query()
	for name, r := range s.Members {
		switch r.Location {
		case "uri":
			tree[name] = e.vars[r.LocationName]
		case "querystring":
			values, ok := query[r.LocationName]
			if !ok {
				continue
			}
			if c.model.Shapes[r.Shape].Type != "list" {
				tree[name] = values[0]
				continue
			}
			list := []any{}
			for _, v := range values {
				list = append(list, v)
			}
			tree[name] = list
		}
	}
}

func (e *exchange) checkOutput(c *checker, answer *httptest.ResponseRecorder) {
	if e.operation.Output == nil {
		return
	}
	name, raw := e.operation.Output.Shape, answer.Body.Bytes()
	if p := e.model.Metadata.Protocol; p == "rest-json" || p == "json" {
		v, err := decodeNumbers(raw)
		if err != nil {
			c.fault("body", "is not JSON: %v", err)
			return
		}
		c.value(name, c.fromJSON(name, v, "output"), "output")
		return
	}
	root, err := parseXML(raw)
	if err != nil {
		c.fault("body", "is not XML: %v", err)
		return
	}
	if want := e.operation.Name + "Response"; root.name != want {
		c.fault("body", "is <%s>, want <%s>", root.name, want)
	}
	if wrapper := e.operation.Output.ResultWrapper; wrapper != "" {
		if root = root.child(wrapper); root == nil {
			c.fault("body", "lacks <%s>", wrapper)
			return
		}
	} else {
		root.children = slices.DeleteFunc(root.children, func(x *element) bool { return x.name == "requestId" })
	}
	c.value(name, c.fromXML(name, root, "output"), "output")
}

// common are codes that every operation may answer with: the services' "Common Errors" pages, signature faults, the
// simulator's own refusal, and what AWS's front end says of requests it cannot read.
func common() []string {
	return []string{
		"AccessDenied", "AccessDeniedException", "AuthFailure", "DryRunOperation", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature",
		"IncompleteSignatureException", "InternalFailure", "InvalidClientTokenId", "InvalidSignatureException", "MalformedInput",
		"MissingAuthenticationToken", "MissingAuthenticationTokenException", "NotImplemented", "RequestExpired", "RequestLimitExceeded",
		"SerializationException", "ServiceUnavailable", "SignatureDoesNotMatch", "Throttling", "ThrottlingException", "UnrecognizedClientException",
		"ValidationError", "ValidationException", "InvalidParameterValue", "MissingParameter",
	}
}

func (e *exchange) checkError(answer *httptest.ResponseRecorder) []string {
	code, err := e.code(answer)
	if err != nil {
		return []string{fmt.Sprintf("answered status %d with no readable error: %v", answer.Code, err)}
	}
	for _, r := range e.operation.Errors {
		s := e.model.Shapes[r.Shape]
		name, status := r.Shape, 0
		if s.Error != nil {
			status = s.Error.HTTPStatusCode
			if s.Error.Code != "" {
				name = s.Error.Code
			}
		}
		if name != code {
			continue
		}
		if status != 0 && status != answer.Code {
			return []string{fmt.Sprintf("answered %s with status %d, the model says %d", code, answer.Code, status)}
		}
		return nil
	}
	// EC2's and CloudFormation's models, and others in part, leave errors out.
	if slices.Contains(common(), code) || unlisted()[e.operation.Name] == code || len(e.operation.Errors) == 0 || e.model.Metadata.Protocol == "query" {
		return nil
	}
	return []string{fmt.Sprintf("answered %s, which the operation does not have", code)}
}

// unlisted are errors that AWS gives though its model does not list them. Of Fargate profiles one at a time is made or deleted,
// and a name is taken once: eksctl handles the code (pkg/eks/fargate.go), and people meet it (eksctl issue 5652).
func unlisted() map[string]string {
	return map[string]string{"CreateFargateProfile": "ResourceInUseException", "DeleteFargateProfile": "ResourceInUseException"}
}

func (e *exchange) code(answer *httptest.ResponseRecorder) (string, error) {
	switch e.model.Metadata.Protocol {
	case "rest-json", "json":
		v, err := decodeNumbers(answer.Body.Bytes())
		if err != nil {
			return "", err
		}
		code := answer.Header().Get("X-Amzn-Errortype")
		if m, ok := v.(map[string]any); code == "" && ok {
			code, _ = m["__type"].(string)
		}
		return code, nil
	}
	root, err := parseXML(answer.Body.Bytes())
	if err != nil {
		return "", err
	}
	at := root.child("Error")
	if errs := root.child("Errors"); errs != nil {
		at = errs.child("Error")
	}
	if at == nil || at.child("Code") == nil {
		return "", fmt.Errorf("no Error element in <%s>", root.name)
	}
	return at.child("Code").text, nil
}
