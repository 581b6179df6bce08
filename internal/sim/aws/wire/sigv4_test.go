package wire

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

var signedAt = time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)

func verifier(now time.Time) Verifier {
	return Verifier{
		Keys: func(id string) (Credential, bool) {
			known := map[string]Credential{
				"AKIDEXAMPLE": {Secret: "secret", Caller: Caller{AccessKey: "AKIDEXAMPLE", ARN: "arn:aws:iam::111122223333:user/dev", Account: "111122223333"}},
				"ASIAEXAMPLE": {Secret: "secret", SessionToken: "token", Expires: signedAt.Add(time.Minute)},
			}
			c, ok := known[id]
			return c, ok
		},
		Clock: func() time.Time { return now }, Region: "us-west-2",
	}
}

// signed is a request signed by AWS's own SDK.
func signed(t *testing.T, method, target, body, key, service, region string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Spaced", "  a   b ")
	sum := sha256.Sum256([]byte(body))
	credentials := sdk.Credentials{AccessKeyID: key, SecretAccessKey: "secret"}
	if strings.HasPrefix(key, "ASIA") {
		credentials.SessionToken = "token"
	}
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, hex.EncodeToString(sum[:]), service, region, signedAt); err != nil {
		t.Fatal(err)
	}
	return r
}

func verify(r *http.Request, now time.Time) (Caller, error) {
	s, err := ParseSignature(r)
	if err != nil {
		return Caller{}, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return Caller{}, err
	}
	return verifier(now).Verify(r, s, body)
}

func TestVerifyWhatTheSDKSigns(t *testing.T) {
	t.Parallel()
	for _, target := range []string{
		"/", "/clusters/c1?maxResults=5&include=all&empty=", "/tags/arn%3Aaws%3Aeks%3Aus-west-2%3A1%3Acluster%2Fc1?tagKeys=a%20b&tagKeys=%2Fc", "/?b=2&a=1&a=0", "/a%20b/~c",
	} {
		for _, key := range []string{"AKIDEXAMPLE", "ASIAEXAMPLE"} {
			r := signed(t, http.MethodPost, target, `{"a":"b"}`, key, "eks", "us-west-2")
			if _, err := verify(r, signedAt.Add(30*time.Second)); err != nil {
				t.Errorf("%s with %s: %v", target, key, err)
			}
		}
	}
}

func TestRefusedSignatures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(r *http.Request)
		now    time.Duration
		want   Fault
	}{
		{name: "untouched", change: func(*http.Request) {}},
		{name: "no signature", change: func(r *http.Request) { r.Header.Del("Authorization") }, want: NotSigned},
		{name: "other algorithm", change: func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, want: Incomplete},
		{name: "no date", change: func(r *http.Request) { r.Header.Del("X-Amz-Date") }, want: Incomplete},
		{name: "other body", change: func(r *http.Request) { r.Body = io.NopCloser(bytes.NewReader([]byte("x"))) }, want: Mismatch},
		{name: "other path", change: func(r *http.Request) { r.URL.Path = "/other" }, want: Mismatch},
		{name: "other query", change: func(r *http.Request) { r.URL.RawQuery = "a=2" }, want: Mismatch},
		{name: "other host", change: func(r *http.Request) { r.Host = "example.org" }, want: Mismatch},
		{name: "other signed header", change: func(r *http.Request) { r.Header.Set("X-Spaced", "c") }, want: Mismatch},
		{name: "unsigned header", change: func(r *http.Request) { r.Header.Set("X-New", "c") }},
		{name: "unknown key", change: func(r *http.Request) { rewrite(r, "AKIDEXAMPLE", "AKIDOTHERXX") }, want: UnknownKey},
		{name: "other service", change: func(r *http.Request) { rewrite(r, "/eks/", "/ec2/") }, want: Mismatch},
		{name: "other region", change: func(r *http.Request) { rewrite(r, "/us-west-2/", "/eu-west-1/") }, want: WrongRegion},
		{name: "unexpected token", change: func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "x") }, want: WrongToken},
		{name: "late", change: func(*http.Request) {}, now: 16 * time.Minute, want: Stale},
		{name: "early", change: func(*http.Request) {}, now: -16 * time.Minute, want: Stale},
		{name: "just in time", change: func(*http.Request) {}, now: 15 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := signed(t, http.MethodPost, "/clusters?a=1", `{}`, "AKIDEXAMPLE", "eks", "us-west-2")
			c.change(r)
			caller, err := verify(r, signedAt.Add(c.now))
			if c.want == 0 {
				if err != nil || caller.ARN != "arn:aws:iam::111122223333:user/dev" {
					t.Fatalf("%v, %v", caller, err)
				}
				return
			}
			fault, ok := errors.AsType[*SignatureError](err)
			if !ok || fault.Fault != c.want || caller != (Caller{}) {
				t.Fatalf("%v, %v; want fault %d", caller, err, c.want)
			}
		})
	}
	r := signed(t, http.MethodPost, "/", ``, "ASIAEXAMPLE", "eks", "us-west-2")
	if fault, ok := errors.AsType[*SignatureError](second(verify(r, signedAt.Add(time.Minute)))); !ok || fault.Fault != Expired {
		t.Error("expired credentials were accepted")
	}
}

func rewrite(r *http.Request, old, with string) {
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, with, 1))
}

func second(_ Caller, err error) error { return err }

func presigned(ctx context.Context, t *testing.T, seconds string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://sts.example/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires="+seconds, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("x-k8s-aws-id", "c1")
	empty := sha256.Sum256(nil)
	signedURL, headers, err := v4.NewSigner().PresignHTTP(ctx, sdk.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret"}, r, hex.EncodeToString(empty[:]), "sts", "us-west-2", signedAt)
	if err != nil {
		t.Fatal(err)
	}
	out := httptest.NewRequestWithContext(ctx, http.MethodGet, signedURL, nil)
	out.Header = headers
	return out
}

func TestPresigned(t *testing.T) {
	t.Parallel()
	r := presigned(t.Context(), t, "60")
	if caller, err := verify(r, signedAt.Add(time.Minute)); err != nil || caller.AccessKey != "AKIDEXAMPLE" {
		t.Fatalf("%v, %v", caller, err)
	}
	if _, err := verify(presigned(t.Context(), t, "60"), signedAt.Add(61*time.Second)); err == nil {
		t.Error("an expired URL was accepted")
	}
	r.Header.Set("x-k8s-aws-id", "c2")
	if _, err := verify(r, signedAt); err == nil {
		t.Error("a token of another cluster was accepted")
	}
	for _, bad := range []string{"-1", "x", "604801"} {
		if _, err := ParseSignature(presigned(t.Context(), t, bad)); err == nil {
			t.Errorf("X-Amz-Expires=%s was accepted", bad)
		}
	}
}

func FuzzParseSignature(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260506/us-west-2/eks/aws4_request, SignedHeaders=host;x-amz-date, Signature=00", "20260506T070809Z", "")
	f.Add("", "", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/20260506/r/s/aws4_request&X-Amz-Date=20260506T070809Z&X-Amz-SignedHeaders=host&X-Amz-Signature=0")
	f.Fuzz(func(t *testing.T, header, date, query string) {
		r := &http.Request{Method: http.MethodGet, Host: "h", Header: http.Header{"Authorization": {header}, "X-Amz-Date": {date}}, URL: &url.URL{Path: "/", RawQuery: query}}
		s, err := ParseSignature(r)
		if err != nil {
			if _, ok := errors.AsType[*SignatureError](err); !ok {
				t.Fatalf("%v is no signature error", err)
			}
			return
		}
		if _, err := verifier(signedAt).Verify(r, s, nil); err == nil {
			t.Fatalf("a made-up signature was accepted: %q %q", header, query)
		}
	})
}
