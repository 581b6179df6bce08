package wire

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

type echoInput struct {
	Name string `json:"name"`
}

type echoOutput struct {
	Name  string   `json:"name" xml:"name"`
	Items []string `json:"items" xml:"items>item"`
}

func echo(_ context.Context, c Caller, in *echoInput) (*echoOutput, error) {
	switch in.Name {
	case "missing":
		return nil, &Error{Status: http.StatusNotFound, Code: "NoSuchThing", Message: "no <thing>", Members: map[string]any{"thing": "t"}}
	case "bug":
		return nil, errors.New("out of luck")
	}
	return &echoOutput{Name: in.Name + " for " + c.ARN}, nil
}

func endpoint() *Endpoint {
	query := &Service{Name: "lb", ID: "lb1", Protocol: Query, Version: "2012", Namespace: "urn:one"}
	second := &Service{Name: "lb", ID: "lb2", Protocol: Query, Version: "2015", Namespace: "urn:two"}
	ec2 := &Service{Name: "ec2", Protocol: EC2, Version: "2016", Namespace: "urn:ec2"}
	rest := &Service{Name: "eks", Protocol: RESTJSON}
	json := &Service{Name: "ssm", Protocol: JSON, Target: "SSM"}
	trail := &Service{Name: "trail", Protocol: JSON, Target: "com.trail.Trail_1"}
	for _, s := range []*Service{query, second, ec2, json, trail} {
		s.Operation("Echo", Handle(echo))
	}
	query.Operation("Open", Handle(echo)).Anonymous = true
	rest.Route("Echo", "POST /echo", Handle(echo))
	return &Endpoint{Services: []*Service{query, second, ec2, rest, json, trail}, Verifier: verifier(signedAt)}
}

type ask struct{ service, method, path, body, kind, target, secret string }

func (a ask) send(t *testing.T, e *Endpoint) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), a.method, a.path, strings.NewReader(a.body))
	if a.kind != "" {
		r.Header.Set("Content-Type", a.kind)
	}
	if a.target != "" {
		r.Header.Set("X-Amz-Target", a.target)
	}
	if a.secret != "" {
		sum := sha256.Sum256([]byte(a.body))
		if err := v4.NewSigner().SignHTTP(t.Context(), sdk.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: a.secret}, r, hex.EncodeToString(sum[:]), a.service, "us-west-2", signedAt); err != nil {
			t.Fatal(err)
		}
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	return w
}

const formKind = "application/x-www-form-urlencoded; charset=utf-8"

func TestProtocols(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:iam::111122223333:user/dev"
	form := func(name, version string) string { return "Action=Echo&Version=" + version + "&Name=" + name }
	for _, c := range []struct {
		name   string
		ask    ask
		status int
		kind   string
		want   []string
	}{
		{"query", ask{"lb", "POST", "/", form("a", "2012"), formKind, "", "secret"}, 200, "text/xml", []string{`<EchoResponse xmlns="urn:one"><EchoResult><name>a for ` + arn + `</name><items></items></EchoResult><ResponseMetadata><RequestId>`}},
		{"query of the other version", ask{"lb", "POST", "/", form("a", "2015"), formKind, "", "secret"}, 200, "text/xml", []string{`xmlns="urn:two"`}},
		{"query by GET", ask{"lb", "GET", "/?" + form("a", "2012"), "", "", "", "secret"}, 200, "text/xml", []string{"<name>a for"}},
		{"query error", ask{"lb", "POST", "/", form("missing", "2012"), formKind, "", "secret"}, 404, "text/xml", []string{`<ErrorResponse xmlns="urn:one"><Error><Type>Sender</Type><Code>NoSuchThing</Code><Message>no &lt;thing&gt;</Message></Error><RequestId>`}},
		{"query bug", ask{"lb", "POST", "/", form("bug", "2012"), formKind, "", "secret"}, 500, "text/xml", []string{"<Type>Receiver</Type><Code>InternalFailure</Code><Message>out of luck"}},
		{"query unknown operation", ask{"lb", "POST", "/", "Action=Nope&Version=2012", formKind, "", "secret"}, 501, "text/xml", []string{"NotImplemented", "operation Nope of lb1"}},
		{"query unknown version", ask{"lb", "POST", "/", "Action=Echo&Version=2000", formKind, "", "secret"}, 501, "text/xml", []string{"NotImplemented"}},
		{"query wrong secret", ask{"lb", "POST", "/", form("a", "2012"), formKind, "", "other"}, 403, "text/xml", []string{"<Code>SignatureDoesNotMatch</Code>"}},
		{"query unsigned", ask{"lb", "POST", "/", form("a", "2012"), formKind, "", ""}, 403, "text/xml", []string{"<Code>MissingAuthenticationToken</Code>"}},
		{"anonymous", ask{"lb", "POST", "/", "Action=Open&Version=2012&Name=a", formKind, "", ""}, 200, "text/xml", []string{"<name>a for </name>"}},
		{"ec2", ask{"ec2", "POST", "/", form("a", "2016"), formKind, "", "secret"}, 200, "text/xml;charset=UTF-8", []string{`<EchoResponse xmlns="urn:ec2"><requestId>`, `</requestId><name>a for ` + arn + `</name>`}},
		{"ec2 error", ask{"ec2", "POST", "/", form("missing", "2016"), formKind, "", "secret"}, 404, "text/xml;charset=UTF-8", []string{`<Response><Errors><Error><Code>NoSuchThing</Code><Message>no &lt;thing&gt;</Message></Error></Errors><RequestID>`}},
		{"ec2 wrong secret", ask{"ec2", "POST", "/", form("a", "2016"), formKind, "", "other"}, 401, "text/xml;charset=UTF-8", []string{"AuthFailure", "AWS was not able to validate the provided access credentials"}},
		{"rest", ask{"eks", "POST", "/echo", `{"name":"a"}`, "application/json", "", "secret"}, 200, "application/json", []string{`{"name":"a for ` + arn + `","items":null}`}},
		{"rest error", ask{"eks", "POST", "/echo", `{"name":"missing"}`, "application/json", "", "secret"}, 404, "application/json", []string{`"message":"no <thing>"`, `"thing":"t"`}},
		{"rest unknown route", ask{"eks", "GET", "/nope", "", "", "", "secret"}, 501, "application/json", []string{"operation GET /nope of eks"}},
		{"rest wrong secret", ask{"eks", "POST", "/echo", `{}`, "application/json", "", "other"}, 403, "application/json", []string{"signature we calculated"}},
		{"json", ask{"ssm", "POST", "/", `{"name":"a"}`, "application/x-amz-json-1.1", "SSM.Echo", "secret"}, 200, "application/x-amz-json-1.1", []string{`"name":"a for`}},
		{"json error", ask{"ssm", "POST", "/", `{"name":"missing"}`, "application/x-amz-json-1.1", "SSM.Echo", "secret"}, 404, "application/x-amz-json-1.1", []string{`"__type":"NoSuchThing"`}},
		{"json unknown member", ask{"ssm", "POST", "/", `{"nome":"a"}`, "application/x-amz-json-1.1", "SSM.Echo", "secret"}, 501, "application/x-amz-json-1.1", []string{"member nome"}},
		{"json short target", ask{"trail", "POST", "/", `{"name":"a"}`, "application/x-amz-json-1.1", "Trail_1.Echo", "secret"}, 200, "application/x-amz-json-1.1", []string{`"name":"a for`}},
		{"json long target", ask{"trail", "POST", "/", `{"name":"a"}`, "application/x-amz-json-1.1", "com.trail.Trail_1.Echo", "secret"}, 200, "application/x-amz-json-1.1", []string{`"name":"a for`}},
		{"json other target", ask{"trail", "POST", "/", `{"name":"a"}`, "application/x-amz-json-1.1", "Rail_1.Echo", "secret"}, 501, "application/x-amz-json-1.1", []string{`"__type":"NotImplemented"`, "Rail_1.Echo"}},
		{"json wrong secret", ask{"ssm", "POST", "/", `{}`, "application/x-amz-json-1.1", "SSM.Echo", "other"}, 400, "application/x-amz-json-1.1", []string{"InvalidSignatureException"}},
		{"no service", ask{"s3", "GET", "/", "", "", "", "secret"}, 501, "text/xml", []string{"NotImplemented"}},
		{"nothing", ask{"", "GET", "/", "", "", "", ""}, 403, "text/xml", []string{"MissingAuthenticationToken"}},
		{"broken form", ask{"lb", "POST", "/", "%zz", formKind, "", "secret"}, 400, "text/xml", []string{"MalformedInput"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := c.ask.send(t, endpoint())
			if w.Code != c.status || w.Header().Get("Content-Type") != c.kind || w.Header().Get("X-Amzn-Requestid") == "" {
				t.Errorf("status %d, type %q; want %d, %q\n%s", w.Code, w.Header().Get("Content-Type"), c.status, c.kind, w.Body)
			}
			for _, want := range c.want {
				if !strings.Contains(w.Body.String(), want) {
					t.Errorf("the answer lacks %q:\n%s", want, w.Body)
				}
			}
		})
	}
}

func TestErrorTypeHeader(t *testing.T) {
	t.Parallel()
	w := ask{"eks", "POST", "/echo", `{"name":"missing"}`, "application/json", "", "secret"}.send(t, endpoint())
	if got := w.Header().Get("X-Amzn-Errortype"); got != "NoSuchThing" {
		t.Errorf("X-Amzn-Errortype %q", got)
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	var refused *Error
	e := endpoint()
	e.Refused = func(_ *http.Request, _ string, err *Error) { refused = err }
	w := ask{"eks", "POST", "/echo", strings.Repeat("x", maxBody+1), "application/json", "", "secret"}.send(t, e)
	if w.Code != http.StatusRequestEntityTooLarge || refused == nil || refused.Code != "RequestEntityTooLarge" {
		t.Errorf("status %d, refused %v", w.Code, refused)
	}
}

func TestAround(t *testing.T) {
	t.Parallel()
	e := endpoint()
	var key string
	e.Around = func(ctx context.Context, x *Exchange, next func(context.Context) (*Reply, error)) (*Reply, error) {
		key = x.Key
		if x.In.(*echoInput).Name == "dropped" { //nolint:forcetypeassert // Echo's input
			return nil, ErrAbort
		}
		return next(ctx)
	}
	a := ask{"eks", "POST", "/echo", `{"name":"a"}`, "application/json", "", "secret"}
	a.send(t, e)
	first := key
	a.body = `{"name":"b"}`
	a.send(t, e)
	if first == "" || first == key {
		t.Errorf("keys %q and %q", first, key)
	}
	defer func() {
		if r := recover(); r != http.ErrAbortHandler { //nolint:errorlint // a panic's value is compared as net/http does
			t.Errorf("the connection was not dropped: %v", r)
		}
	}()
	a.body = `{"name":"dropped"}`
	a.send(t, e)
}

func TestDeclarations(t *testing.T) {
	t.Parallel()
	s := &Service{Name: "x", Protocol: JSON}
	s.Operation("DescribeThing", Handle(echo))
	s.Operation("GetToken", Handle(echo)).Writes = true
	for name, want := range map[string]bool{"DescribeThing": true, "GetToken": false} {
		if got := s.Find(name).ReadOnly(); got != want {
			t.Errorf("%s: read only %v", name, got)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("an operation was registered twice")
		}
	}()
	s.Operation("GetToken", Handle(echo))
}
