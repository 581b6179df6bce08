package aws_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/fault"
	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	if err != nil {
		return "not an API error: " + err.Error()
	}
	return ""
}

func addFault(t *testing.T, s *simtest.Sim, r fault.Rule) {
	t.Helper()
	if _, err := s.Faults().Add(r); err != nil {
		t.Fatal(err)
	}
}

// keys counts the keys that the account really has.
func keys(t *testing.T, s *simtest.Sim) int {
	t.Helper()
	s.Faults().Clear("")
	out, err := kms.NewFromConfig(s.Config()).ListKeys(t.Context(), &kms.ListKeysInput{})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Keys)
}

// ways are the ways to a simulator: over a socket, and within its process.
func ways(s *simtest.Sim) map[string]sdk.Config {
	within := s.Config()
	within.HTTPClient = s.Client()
	return map[string]sdk.Config{"socket": s.Config(), "within": within}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule fault.Rule
		code string
		done int
	}{
		"throttle": {fault.Rule{Effect: fault.Throttle}, "ThrottlingException", 0},
		"error":    {fault.Rule{Effect: fault.Fail, Code: "KMSInternalException", Message: "broken", Status: 500}, "KMSInternalException", 0},
		"latency":  {fault.Rule{Effect: fault.Latency, Delay: fault.Duration(time.Millisecond)}, "", 1},
		"drop":     {fault.Rule{Effect: fault.Drop}, "not an API error", 1},
		"stale":    {fault.Rule{Effect: fault.Stale}, "", 1},
		"none":     {fault.Rule{Service: "iam", Effect: fault.Throttle}, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := simtest.Start(t, aws.Options{})
			want := 0
			for way, config := range ways(s) {
				addFault(t, s, c.rule)
				_, err := kms.NewFromConfig(config).CreateKey(t.Context(), &kms.CreateKeyInput{})
				if got := code(err); !strings.HasPrefix(got, c.code) || (got == "") != (c.code == "") {
					t.Errorf("%s: error %v, want %q", way, err, c.code)
				}
				want += c.done
				if n := keys(t, s); n != want {
					t.Errorf("%s: %d keys, want %d", way, n, want)
				}
			}
		})
	}
}

func TestThrottlingCodes(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{})
	addFault(t, s, fault.Rule{Effect: fault.Throttle})
	config := s.Config()
	_, query := sts.NewFromConfig(config).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	_, json := ssm.NewFromConfig(config).GetParameters(t.Context(), &ssm.GetParametersInput{Names: []string{"x"}})
	_, rest := eks.NewFromConfig(config).ListClusters(t.Context(), &eks.ListClustersInput{})
	if diff := cmp.Diff([]string{"Throttling", "ThrottlingException", "ThrottlingException"}, []string{code(query), code(json), code(rest)}); diff != "" {
		t.Error(diff)
	}
	var answer *awshttp.ResponseError
	if !errors.As(rest, &answer) || answer.HTTPStatusCode() != http.StatusTooManyRequests {
		t.Errorf("EKS throttles with %v", rest)
	}
}

func TestHang(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"socket", "within"} {
		s := simtest.Start(t, aws.Options{})
		client := kms.NewFromConfig(ways(s)[way])
		addFault(t, s, fault.Rule{Effect: fault.Hang})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := client.CreateKey(ctx, &kms.CreateKeyInput{})
			done <- err
		}()
		for len(s.Faults().List()) > 0 && s.Faults().List()[0].Broken == 0 { // until the call hangs
			select {
			case err := <-done:
				t.Fatalf("%s: answered: %v", way, err)
			default:
			}
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v", way, err)
		}
		if n := keys(t, s); n != 0 {
			t.Errorf("%s: %d keys", way, n)
		}
		// A second one ends when the server closes.
		addFault(t, s, fault.Rule{Effect: fault.Hang})
		go func() {
			_, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
			done <- err
		}()
		s.Close()
		if err := <-done; err == nil {
			t.Errorf("%s: a hanging call was answered", way)
		}
	}
}

func TestStaleRead(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{})
	client := kms.NewFromConfig(s.Config())
	count := func() int {
		out, err := client.ListKeys(t.Context(), &kms.ListKeysInput{})
		if err != nil {
			t.Fatal(err)
		}
		return len(out.Keys)
	}
	if n := count(); n != 0 {
		t.Fatalf("%d keys", n)
	}
	if _, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{}); err != nil {
		t.Fatal(err)
	}
	addFault(t, s, fault.Rule{Effect: fault.Stale, Operation: "ListKeys", Count: 1})
	if n := count(); n != 0 {
		t.Errorf("a stale read shows %d keys", n)
	}
	if n := count(); n != 1 {
		t.Errorf("a fresh read shows %d keys", n)
	}
}

func TestLag(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{Lag: map[string]time.Duration{"kms": 10 * time.Second, "*": 0}})
	client := kms.NewFromConfig(s.Config())
	count := func() int {
		out, err := client.ListKeys(t.Context(), &kms.ListKeysInput{})
		if err != nil {
			t.Fatal(err)
		}
		return len(out.Keys)
	}
	before := count()
	made, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	during := count()
	// What was never asked before is answered freshly: a lagging replica is one that was read from.
	if _, err := client.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: made.KeyMetadata.KeyId}); err != nil {
		t.Error(err)
	}
	s.Clock.Move(10 * time.Second)
	if diff := cmp.Diff([]int{0, 0, 1}, []int{before, during, count()}); diff != "" {
		t.Error(diff)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{Limits: []aws.Limit{{Service: "kms", Operations: []string{"List*"}, Burst: 2, Rate: 1}}})
	client := kms.NewFromConfig(s.Config())
	list := func() string {
		_, err := client.ListKeys(t.Context(), &kms.ListKeysInput{})
		return code(err)
	}
	got := []string{list(), list(), list()}
	s.Clock.Move(1500 * time.Millisecond)
	got = append(got, list(), list())
	if diff := cmp.Diff([]string{"", "", "ThrottlingException", "", "ThrottlingException"}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{}); err != nil {
		t.Errorf("an operation without a limit: %v", err)
	}
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{})
	for name, c := range map[string]struct {
		key, secret, token string
		query, json        string
	}{
		"good":         {aws.DefaultKey().AccessKey, aws.DefaultKey().Secret, "", "", ""},
		"wrong secret": {aws.DefaultKey().AccessKey, "wrong", "", "SignatureDoesNotMatch", "InvalidSignatureException"},
		"unknown key":  {"AKIANOBODY", "x", "", "InvalidClientTokenId", "UnrecognizedClientException"},
		"odd token":    {aws.DefaultKey().AccessKey, aws.DefaultKey().Secret, "token", "InvalidClientTokenId", "UnrecognizedClientException"},
	} {
		config := s.Config()
		config.Credentials = credentials.NewStaticCredentialsProvider(c.key, c.secret, c.token)
		_, err := sts.NewFromConfig(config).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		if code(err) != c.query {
			t.Errorf("%s by query: %v, want %q", name, err, c.query)
		}
		_, err = ssm.NewFromConfig(config).GetParameter(t.Context(), &ssm.GetParameterInput{Name: sdk.String("/aws/service/bottlerocket/aws-k8s-1.34/x86_64/latest/image_id")})
		if code(err) != c.json {
			t.Errorf("%s by json: %v, want %q", name, err, c.json)
		}
	}
	config := s.Config()
	config.Region = "eu-west-1"
	if _, err := kms.NewFromConfig(config).ListKeys(t.Context(), &kms.ListKeysInput{}); code(err) != "InvalidSignatureException" {
		t.Errorf("another region: %v", err)
	}
}

func TestRequestLog(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	s := simtest.Start(t, aws.Options{LogSize: 3, LogWriter: &lines})
	client := kms.NewFromConfig(s.Config())
	for range 4 {
		if _, err := client.ListKeys(t.Context(), &kms.ListKeysInput{}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := client.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: sdk.String("none")})
	if code(err) != "NotFoundException" {
		t.Fatal(err)
	}
	kept := s.Requests(0)
	if len(kept) != 3 || kept[0].Seq != 3 || kept[2].Seq != 5 {
		t.Fatalf("kept %+v", kept)
	}
	last := kept[2]
	if last.Service != "kms" || last.Operation != "DescribeKey" || !last.ReadOnly || last.Code != "NotFoundException" || last.Status != 400 || !strings.HasSuffix(last.Caller, ":user/admin") {
		t.Errorf("%+v", last)
	}
	if after := s.Requests(4); len(after) != 1 || after[0].Seq != 5 {
		t.Errorf("after 4: %+v", after)
	}
	if n := strings.Count(lines.String(), "\n"); n != 5 {
		t.Errorf("%d lines written", n)
	}
	var line aws.Request
	if err := json.Unmarshal([]byte(strings.SplitN(lines.String(), "\n", 2)[0]), &line); err != nil || line.Operation != "ListKeys" {
		t.Errorf("%+v, %v", line, err)
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := simtest.Start(t, aws.Options{World: world.Options{Dir: dir}})
	made, err := kms.NewFromConfig(first.Config()).CreateKey(t.Context(), &kms.CreateKeyInput{Description: sdk.String("kept")})
	if err != nil {
		t.Fatal(err)
	}
	identity, err := sts.NewFromConfig(first.Config()).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	session, err := sts.NewFromConfig(first.Config()).GetSessionToken(t.Context(), &sts.GetSessionTokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	second := simtest.Start(t, aws.Options{World: world.Options{Dir: dir}})
	config := second.Config()
	config.Credentials = credentials.NewStaticCredentialsProvider(*session.Credentials.AccessKeyId, *session.Credentials.SecretAccessKey, *session.Credentials.SessionToken)
	again, err := sts.NewFromConfig(config).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	if *again.UserId != *identity.UserId {
		t.Errorf("the user was %s and is %s", *identity.UserId, *again.UserId)
	}
	key, err := kms.NewFromConfig(config).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: made.KeyMetadata.Arn})
	if err != nil || *key.KeyMetadata.Description != "kept" || !key.KeyMetadata.CreationDate.Equal(*made.KeyMetadata.CreationDate) {
		t.Errorf("%+v, %v", key, err)
	}
	other, err := kms.NewFromConfig(config).CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil || *other.KeyMetadata.KeyId == *made.KeyMetadata.KeyId {
		t.Errorf("an id came twice, or %v", err)
	}
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]aws.Options{
		"no clock":         {},
		"unknown duration": {World: world.Options{Clock: time.Now, Durations: map[string]time.Duration{"eks.cluster.creation": 0}}},
	} {
		if _, err := aws.New(o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
