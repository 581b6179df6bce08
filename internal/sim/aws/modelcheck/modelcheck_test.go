package modelcheck

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// recorder is a test that keeps what fails instead of failing.
type recorder struct {
	testing.TB
	mu    sync.Mutex
	fails []string
}

func (r *recorder) Helper() {}

func (r *recorder) Error(args ...any) { r.Errorf("%s", fmt.Sprint(args...)) }

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fails = append(r.fails, fmt.Sprintf(format, args...))
}

func (r *recorder) all() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.fails, "\n")
}

// checked skips nothing: without the models there is nothing that these tests could prove, and the log says so.
func checked(t *testing.T) bool {
	t.Helper()
	return load(t) != nil
}

func config(url string) sdk.Config {
	return sdk.Config{
		Region: "us-west-2", BaseEndpoint: &url, Retryer: func() sdk.Retryer { return sdk.NopRetryer{} },
		Credentials: sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
			return sdk.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, nil
		}),
	}
}

// answers what a test says, whatever is asked.
func answering(t *testing.T, r *recorder, status int, body string) string {
	t.Helper()
	s := httptest.NewServer(Wrap(r, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})))
	t.Cleanup(s.Close)
	return s.URL
}

func TestWrapSeesWrongJSON(t *testing.T) {
	t.Parallel()
	if !checked(t) {
		return
	}
	for name, c := range map[string]struct {
		status int
		body   string
		id     string
		want   string // empty: nothing is wrong
	}{
		"right":           {200, `{"KeyMetadata":{"KeyId":"k","KeyState":"Enabled","CreationDate":1.5}}`, "k", ""},
		"unknown member":  {200, `{"KeyMetadata":{"KeyId":"k","State":"Enabled"}}`, "k", "has no member State"},
		"missing member":  {200, `{"KeyMetadata":{"KeyState":"Enabled"}}`, "k", "lacks the required member KeyId"},
		"not in the enum": {200, `{"KeyMetadata":{"KeyId":"k","KeyState":"Fine"}}`, "k", `"Fine" is none of`},
		"text for time":   {200, `{"KeyMetadata":{"KeyId":"k","CreationDate":"soon"}}`, "k", "want a timestamp"},
		"text for bool":   {200, `{"KeyMetadata":{"KeyId":"k","Enabled":"yes"}}`, "k", "want a boolean"},
		"list for object": {200, `{"KeyMetadata":[]}`, "k", "want a structure"},
		"too long":        {200, `{"KeyMetadata":{"KeyId":"` + strings.Repeat("k", 2049) + `"}}`, "k", "the most is 2048"},
		"pattern":         {200, `{"KeyMetadata":{"KeyId":"k","AWSAccountId":"1"}}`, "k", ""},
		"no JSON":         {200, `<x/>`, "k", "is not JSON"},
		"bad request":     {200, `{"KeyMetadata":{"KeyId":"k"}}`, strings.Repeat("k", 2049), "accepted a request that the model forbids: input.KeyId"},
		"refused request": {400, `{"__type":"NotFoundException"}`, strings.Repeat("k", 2049), ""},
		"strange error":   {400, `{"__type":"NoSuchThing"}`, "k", "which the operation does not have"},
		"no error at all": {400, `nothing`, "k", "no readable error"},
	} {
		r := &recorder{TB: t}
		_, _ = kms.NewFromConfig(config(answering(t, r, c.status, c.body))).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &c.id}) // the check matters
		if got := r.all(); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestWrapSeesEveryNewAnswer: what was right is not judged again, and whatever differs from it is.
func TestWrapSeesEveryNewAnswer(t *testing.T) {
	t.Parallel()
	if !checked(t) {
		return
	}
	ask := func(r *recorder, status int, body, id string) {
		_, _ = kms.NewFromConfig(config(answering(t, r, status, body))).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &id}) // the check matters
	}
	const fine = `{"KeyMetadata":{"KeyId":"every-new-answer"}}`
	long := strings.Repeat("k", 2049)
	r := &recorder{TB: t}
	ask(r, 200, fine, "k")
	ask(r, 200, fine, "k")
	if got := r.all(); got != "" {
		t.Error(got)
	}
	for range 2 {
		ask(r, 200, strings.Replace(fine, "KeyId", "Id", 1), "k")
		ask(r, 200, fine, long)
	}
	for _, want := range []string{"has no member Id", "accepted a request that the model forbids"} {
		if strings.Count(r.all(), want) != 2 {
			t.Errorf("want twice: %s\n%s", want, r.all())
		}
	}
}

func TestWrapSeesWrongXML(t *testing.T) {
	t.Parallel()
	if !checked(t) {
		return
	}
	const role = `<Path>/</Path><RoleName>r</RoleName><RoleId>AROA000000000000000</RoleId><Arn>arn:aws:iam::111122223333:role/r</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate>`
	answer := func(inner string) string {
		return `<GetRoleResponse><GetRoleResult><Role>` + inner + `</Role></GetRoleResult><ResponseMetadata/></GetRoleResponse>`
	}
	failure := func(code string) string {
		return `<ErrorResponse><Error><Code>` + code + `</Code><Message>m</Message></Error></ErrorResponse>`
	}
	for name, c := range map[string]struct {
		status     int
		body, want string
	}{
		"right":          {200, answer(role + `<Tags><member><Key>a</Key><Value>b</Value></member></Tags>`), ""},
		"other item":     {200, answer(role + `<Tags><item><Key>a</Key><Value>b</Value></item></Tags>`), "has items <item>, want <member>"},
		"unknown":        {200, answer(role + `<Name>r</Name>`), "has no element <Name>"},
		"missing":        {200, answer(strings.Replace(role, "<Path>/</Path>", "", 1)), "lacks the required member Path"},
		"twice":          {200, answer(role + `<Path>/</Path>`), "more than once"},
		"no wrapper":     {200, `<GetRoleResponse><Role>` + role + `</Role></GetRoleResponse>`, "lacks <GetRoleResult>"},
		"other root":     {200, `<Response><GetRoleResult><Role>` + role + `</Role></GetRoleResult></Response>`, "want <GetRoleResponse>"},
		"no time":        {200, answer(strings.Replace(role, "2026-01-01T00:00:00Z", "soon", 1)), "want a timestamp"},
		"no XML":         {200, `{`, "is not XML"},
		"right error":    {404, failure("NoSuchEntity"), ""},
		"error's status": {400, failure("NoSuchEntity"), "the model says 404"},
	} {
		r := &recorder{TB: t}
		_, _ = iam.NewFromConfig(config(answering(t, r, c.status, c.body))).GetRole(t.Context(), &iam.GetRoleInput{RoleName: sdk.String("r")}) // the check matters
		if got := r.all(); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

type wrongInput struct {
	RoleName string
	Nonsense string
}

type wrongOutput struct {
	Role struct {
		RoleName   int
		CreateDate time.Time
		Tags       []struct{ Key, Worth string } `xml:"Tags>item"`
	}
}

func TestServicesSeesWrongDeclarations(t *testing.T) {
	t.Parallel()
	if !checked(t) {
		return
	}
	nothing := wire.Handle(func(context.Context, wire.Caller, *wrongInput) (*wrongOutput, error) { return nil, nil }) //nolint:nilnil // never called
	query := &wire.Service{Name: "iam", Protocol: wire.Query, Version: "2010-05-08"}
	query.Operation("GetRole", nothing)
	query.Operation("GetRoll", nothing)
	rest := &wire.Service{Name: "eks", Protocol: wire.RESTJSON}
	rest.Route("DescribeCluster", "GET /cluster/{name}", nothing)
	r := &recorder{TB: t}
	Services(r, query, rest, &wire.Service{Name: "nowhere"})
	for _, want := range []string{
		"iam GetRole: input: has no member Nonsense", "iam GetRole: output.Role.Tags: has items <item>, the model says <member>",
		"iam GetRole: output.Role.Tags[]: has no member Worth", "iam GetRoll: the model has no such operation",
		`eks DescribeCluster: route: is "GET /cluster/{name}", the model says "GET /clusters/{name}"`, "eks DescribeCluster: input: does not take the path variable name",
		`nowhere: there is no model of signing name "nowhere"`,
	} {
		if !strings.Contains(r.all(), want) {
			t.Errorf("not seen: %s\n%s", want, r.all())
		}
	}
}

func TestResourceTypesSeesWrongDeclarations(t *testing.T) {
	t.Parallel()
	if !checked(t) {
		return
	}
	r := &recorder{TB: t}
	ResourceTypes(r, cloudformation.ResourceType{
		Name: "AWS::IAM::Role", Properties: []string{"RoleName", "RoleId", "Nonsense"}, Required: []string{"RoleName"}, CreateOnly: []string{"Description"}, Attributes: []string{"Arn", "Name"},
	})
	for _, want := range []string{
		"property RoleId is not one that a template may set", "property Nonsense is not", "property RoleName is not required", "property AssumeRolePolicyDocument is required",
		"a change of Description does not mean replacement", "a change of RoleName means replacement", "Name is no attribute", "attribute RoleId is missing",
	} {
		if !strings.Contains(r.all(), want) {
			t.Errorf("not seen: %s\n%s", want, r.all())
		}
	}
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	if !checked(t) {
		return
	}
	d := load(t)
	for name, c := range map[string]struct{ resource, want string }{
		"right":     {`{"Type":"AWS::EC2::Subnet","Properties":{"VpcId":{"Ref":"V"},"Tags":[{"Key":"a","Value":{"Fn::Sub":"b"}}]}}`, ""},
		"unknown":   {`{"Type":"AWS::EC2::Subnet","Properties":{"VpcId":"v","Cidr":"x"}}`, "has no property Cidr"},
		"inside":    {`{"Type":"AWS::EC2::Subnet","Properties":{"VpcId":"v","Tags":[{"Key":"a","Worth":"b"}]}}`, "has no property Worth"},
		"newer":     {`{"Type":"AWS::EKS::Nodegroup","Properties":{"ClusterName":"c","NodeRole":"r","Subnets":[],"NodeRepairConfig":{"MaxUnhealthyNodeThresholdCount":1}}}`, ""},
		"no newer":  {`{"Type":"AWS::EKS::Nodegroup","Properties":{"ClusterName":"c","NodeRole":"r","Subnets":[],"NodeRepairConfig":{"Enable":true}}}`, "has no property Enable"},
		"missing":   {`{"Type":"AWS::EC2::Subnet","Properties":{}}`, "lacks the required property VpcId"},
		"read-only": {`{"Type":"AWS::EC2::Subnet","Properties":{"VpcId":"v","SubnetId":"s"}}`, "read-only property SubnetId"},
		"pattern":   {`{"Type":"AWS::EKS::Cluster","Properties":{"Name":"-","RoleArn":"r","ResourcesVpcConfig":{"SubnetIds":[]}}}`, "does not match"},
		"enum":      {`{"Type":"AWS::EKS::Cluster","Properties":{"RoleArn":"r","ResourcesVpcConfig":{"SubnetIds":[]},"AccessConfig":{"AuthenticationMode":"X"}}}`, "is none of"},
		"stranger":  {`{"Type":"Custom::Thing","Properties":{"Any":"thing"}}`, ""},
	} {
		got := strings.Join(d.templates.check(`{"Resources":{"R":`+c.resource+`}}`), "\n")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
