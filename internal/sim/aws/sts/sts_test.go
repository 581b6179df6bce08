package sts_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
)

func refused(t *testing.T, err error, want, text string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != want || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want %s (%s)", err, want, text)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func role(t *testing.T, s *simtest.Sim, name, principal, condition string) string {
	t.Helper()
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":"sts:AssumeRole"` + condition + `}]}`
	out, err := iam.NewFromConfig(s.Config()).CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, Path: sdk.String("/p/"), AssumeRolePolicyDocument: &trust})
	must(t, err)
	return *out.Role.Arn
}

func with(s *simtest.Sim, c *types.Credentials) *sts.Client {
	config := s.Config()
	config.Credentials = credentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
	return sts.NewFromConfig(config)
}

func TestAssumeRole(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{})
	arn := role(t, s, "deploy", "arn:aws:iam::111122223333:root", "")
	c := sts.NewFromConfig(s.Config())
	out, err := c.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &arn, RoleSessionName: sdk.String("ci"), DurationSeconds: sdk.Int32(900)})
	must(t, err)
	if *out.AssumedRoleUser.Arn != "arn:aws:sts::111122223333:assumed-role/deploy/ci" || !out.Credentials.Expiration.Equal(s.Clock.Now().UTC().Add(15*time.Minute).Truncate(time.Millisecond)) {
		t.Errorf("%s until %s", *out.AssumedRoleUser.Arn, out.Credentials.Expiration)
	}
	assumed := with(s, out.Credentials)
	me, err := assumed.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	must(t, err)
	if *me.Arn != *out.AssumedRoleUser.Arn || *me.UserId != *out.AssumedRoleUser.AssumedRoleId {
		t.Errorf("%s %s", *me.Arn, *me.UserId)
	}
	_, err = assumed.GetSessionToken(t.Context(), &sts.GetSessionTokenInput{})
	refused(t, err, "AccessDenied", "session credentials")
	s.Clock.Move(15 * time.Minute)
	_, err = assumed.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	refused(t, err, "ExpiredToken", "expired")
}

func TestChaining(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{})
	first := role(t, s, "first", "arn:aws:iam::111122223333:user/admin", "")
	second := role(t, s, "second", first, "")
	out, err := sts.NewFromConfig(s.Config()).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &first, RoleSessionName: sdk.String("one")})
	must(t, err)
	c := with(s, out.Credentials)
	_, err = sts.NewFromConfig(s.Config()).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &second, RoleSessionName: sdk.String("two")})
	refused(t, err, "AccessDenied", "not authorized")
	_, err = c.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &second, RoleSessionName: sdk.String("two"), DurationSeconds: sdk.Int32(3601)})
	refused(t, err, "ValidationError", "DurationSeconds")
	_, err = c.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &second, RoleSessionName: sdk.String("two")})
	must(t, err) // although first has a path, which the session's ARN does not tell
}

func TestRefusedAssumptions(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{})
	c := sts.NewFromConfig(s.Config())
	open := role(t, s, "open", "*", "")
	guarded := role(t, s, "guarded", "*", `,"Condition":{"StringEquals":{"sts:ExternalId":"secret"}}`)
	service := "arn:aws:iam::111122223333:role/none"
	for name, in := range map[string]struct {
		input sts.AssumeRoleInput
		code  string
	}{
		"no such role":      {sts.AssumeRoleInput{RoleArn: &service}, "AccessDenied"},
		"no external id":    {sts.AssumeRoleInput{RoleArn: &guarded}, "AccessDenied"},
		"wrong external id": {sts.AssumeRoleInput{RoleArn: &guarded, ExternalId: sdk.String("guess")}, "AccessDenied"},
		"odd external id":   {sts.AssumeRoleInput{RoleArn: &guarded, ExternalId: sdk.String("not a word")}, "ValidationError"},
		"short":             {sts.AssumeRoleInput{RoleArn: &open, DurationSeconds: sdk.Int32(899)}, "ValidationError"},
		"long":              {sts.AssumeRoleInput{RoleArn: &open, DurationSeconds: sdk.Int32(3601)}, "ValidationError"},
		"name":              {sts.AssumeRoleInput{RoleArn: &open, RoleSessionName: sdk.String("a b")}, "ValidationError"},
		"session policy":    {sts.AssumeRoleInput{RoleArn: &open, Policy: sdk.String("{}")}, "NotImplemented"},
	} {
		if in.input.RoleSessionName == nil {
			in.input.RoleSessionName = sdk.String("session")
		}
		_, err := c.AssumeRole(t.Context(), &in.input)
		var e smithy.APIError
		if !errors.As(err, &e) || e.ErrorCode() != in.code {
			t.Errorf("%s: %v, want %s", name, err, in.code)
		}
	}
	_, err := c.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &guarded, RoleSessionName: sdk.String("ok"), ExternalId: sdk.String("secret")})
	must(t, err)
}

// TestPresigned asks who a presigned URL is from, as the token of a Kubernetes client does.
func TestPresigned(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{})
	signed, err := sts.NewPresignClient(sts.NewFromConfig(s.Config())).PresignGetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}, func(o *sts.PresignOptions) {
		o.ClientOptions = append(o.ClientOptions, func(c *sts.Options) { c.BaseEndpoint = &s.URL })
	})
	must(t, err)
	get := func(target string) int {
		r, err := http.NewRequestWithContext(t.Context(), signed.Method, target, nil)
		must(t, err)
		answer, err := http.DefaultClient.Do(r)
		must(t, err)
		must(t, answer.Body.Close())
		return answer.StatusCode
	}
	if status := get(signed.URL); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	u, err := url.Parse(signed.URL)
	must(t, err)
	q := u.Query()
	q.Set("X-Amz-Date", "20200101T000000Z")
	u.RawQuery = q.Encode()
	if status := get(u.String()); status != http.StatusForbidden {
		t.Errorf("a changed URL was answered with %d", status)
	}
}

func TestAccessKeyInfo(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{})
	out, err := sts.NewFromConfig(s.Config()).GetAccessKeyInfo(t.Context(), &sts.GetAccessKeyInfoInput{AccessKeyId: sdk.String(aws.DefaultKey().AccessKey)})
	must(t, err)
	if *out.Account != "111122223333" {
		t.Error(*out.Account)
	}
}
