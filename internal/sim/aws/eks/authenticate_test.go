package eks_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awseks "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/eks"
)

// token is a bearer token as eksctl and the AWS CLI make it.
func (a *account) token(config sdk.Config, cluster string) string {
	a.t.Helper()
	presign := sts.NewPresignClient(sts.NewFromConfig(config))
	out, err := presign.PresignGetCallerIdentity(a.t.Context(), &sts.GetCallerIdentityInput{}, func(o *sts.PresignOptions) {
		o.ClientOptions = append(o.ClientOptions, func(o *sts.Options) {
			o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
				return stack.Build.Add(middleware.BuildMiddlewareFunc("cluster", func(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
					r := in.Request.(*smithyhttp.Request)
					r.Header.Set("x-k8s-aws-id", cluster)
					query := r.URL.Query()
					query.Set("X-Amz-Expires", "60")
					r.URL.RawQuery = query.Encode()
					return next.HandleBuild(ctx, in)
				}), middleware.After)
			})
		})
	})
	must(a.t, err)
	return "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(out.URL))
}

func TestAuthenticateKnowsTheCreator(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	got, err := a.EKS.Authenticate(t.Context(), "c1", a.token(a.Config(), "c1"))
	must(t, err)
	if !got.Mapped || got.Principal != admin || got.Username != admin || len(got.Grants) != 1 || got.Grants[0].Role != "cluster-admin" || len(got.Grants[0].Namespaces) != 0 {
		t.Errorf("identity is %+v", got)
	}
}

func TestAuthenticateMapsRolesThroughEntries(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	role := a.role("dev", "ec2.amazonaws.com")
	a.trustUsers("dev")
	_, err := a.api.CreateAccessEntry(t.Context(), &awseks.CreateAccessEntryInput{
		ClusterName: sdk.String("c1"), PrincipalArn: &role, KubernetesGroups: []string{"devs"}, Username: sdk.String("dev:{{SessionName}}"),
	})
	must(t, err)
	_, err = a.api.AssociateAccessPolicy(t.Context(), &awseks.AssociateAccessPolicyInput{
		ClusterName: sdk.String("c1"), PrincipalArn: &role, PolicyArn: sdk.String(viewer), AccessScope: &types.AccessScope{Type: "namespace", Namespaces: []string{"a"}},
	})
	must(t, err)
	session := a.assume(role, "me@home")
	got, err := a.EKS.Authenticate(t.Context(), "c1", a.token(session, "c1"))
	must(t, err)
	if got.Principal != role || got.Username != "dev:me-home" || !slices.Equal(got.Groups, []string{"devs"}) {
		t.Errorf("identity is %+v", got)
	}
	if len(got.Grants) != 1 || got.Grants[0].Policy != "AmazonEKSViewPolicy" || !slices.Equal(got.Grants[0].Namespaces, []string{"a"}) {
		t.Errorf("grants are %+v", got.Grants)
	}
}

func TestAuthenticateLeavesTheRestToAwsAuth(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	for name, mode := range map[string]types.AuthenticationMode{"both": "API_AND_CONFIG_MAP", "api": "API", "map": "CONFIG_MAP"} {
		a.cluster(name, func(in *awseks.CreateClusterInput) { in.AccessConfig.AuthenticationMode = mode })
	}
	role := a.role("dev", "ec2.amazonaws.com")
	a.trustUsers("dev")
	session := a.assume(role, "me")
	for _, cluster := range []string{"both", "map"} {
		got, err := a.EKS.Authenticate(t.Context(), cluster, a.token(session, cluster))
		if err != nil || got.Mapped || got.Principal != role {
			t.Errorf("cluster %s makes %+v of a stranger, %v", cluster, got, err)
		}
	}
	if _, err := a.EKS.Authenticate(t.Context(), "api", a.token(session, "api")); !errors.Is(err, eks.ErrNoAccess) {
		t.Errorf("cluster api lets a stranger in: %v", err)
	}
	creator, err := a.EKS.Authenticate(t.Context(), "map", a.token(a.Config(), "map"))
	if err != nil || !creator.Mapped || !slices.Equal(creator.Groups, []string{"system:masters"}) {
		t.Errorf("the creator of a cluster without entries is %+v, %v", creator, err)
	}
}

func TestAuthenticateRefuses(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.cluster("c1")
	a.cluster("c2")
	good := a.token(a.Config(), "c1")
	forged := a.Config()
	forged.Credentials = credentials.NewStaticCredentialsProvider(aws.DefaultKey().AccessKey, "guessed", "")
	unknown := a.Config()
	unknown.Credentials = credentials.NewStaticCredentialsProvider("AKIANOBODY", "x", "")
	edit := func(from, to string) string {
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(good, "k8s-aws-v1."))
		must(t, err)
		return "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(raw), from, to, 1)))
	}
	for name, c := range map[string]struct{ cluster, token string }{
		"of another cluster":  {"c2", good},
		"forged":              {"c1", a.token(forged, "c1")},
		"of an unknown key":   {"c1", a.token(unknown, "c1")},
		"without the prefix":  {"c1", strings.TrimPrefix(good, "k8s-aws-v1.")},
		"not base64":          {"c1", "k8s-aws-v1.%%%"},
		"empty":               {"c1", ""},
		"too long":            {"c1", good + strings.Repeat("A", 5000)},
		"another action":      {"c1", edit("GetCallerIdentity", "GetSessionToken")},
		"a further parameter": {"c1", edit("Action=", "Next=1&Action=")},
		"twice the action":    {"c1", edit("Action=", "Action=x&Action=")},
		"a path":              {"c1", edit("/?", "/x?")},
		"long validity":       {"c1", edit("X-Amz-Expires=60", "X-Amz-Expires=86400")},
		"header not signed":   {"c1", a.plain()},
	} {
		if got, err := a.EKS.Authenticate(t.Context(), c.cluster, c.token); err == nil || got.Mapped {
			t.Errorf("a token %s is taken for %+v", name, got)
		}
	}
}

// plain is a presigned request that does not sign the cluster's header.
func (a *account) plain() string {
	a.t.Helper()
	out, err := sts.NewPresignClient(sts.NewFromConfig(a.Config())).PresignGetCallerIdentity(a.t.Context(), &sts.GetCallerIdentityInput{})
	must(a.t, err)
	return "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(out.URL))
}

func TestAuthenticateExpires(t *testing.T) {
	t.Parallel()
	at := time.Now()
	a := newAccount(t, func(o *aws.Options) { o.SignClock = func() time.Time { return at } })
	a.cluster("c1")
	token := a.tokenAt("c1", at)
	for _, c := range []struct {
		age time.Duration
		ok  bool
	}{{14 * time.Minute, true}, {16 * time.Minute, false}} {
		later := a.tokenAt("c1", at.Add(-c.age))
		if _, err := a.EKS.Authenticate(t.Context(), "c1", later); (err == nil) != c.ok {
			t.Errorf("a token of age %s gives %v", c.age, err)
		}
	}
	if _, err := a.EKS.Authenticate(t.Context(), "c1", token); err != nil {
		t.Error(err)
	}
}

// tokenAt signs a token at a moment.
func (a *account) tokenAt(cluster string, at time.Time) string {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), http.MethodGet, a.URL+"/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=60", nil)
	must(a.t, err)
	r.Header.Set("x-k8s-aws-id", cluster)
	key := aws.DefaultKey()
	empty := "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	url, _, err := v4.NewSigner().PresignHTTP(a.t.Context(), sdk.Credentials{AccessKeyID: key.AccessKey, SecretAccessKey: key.Secret}, r, empty, "sts", a.World.Region, at)
	must(a.t, err)
	return "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(url))
}

// trustUsers lets the account's users assume a role.
func (a *account) trustUsers(role string) {
	a.t.Helper()
	a.trust(role, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole"}]}`)
}

func (a *account) assume(role, session string) sdk.Config {
	a.t.Helper()
	out, err := sts.NewFromConfig(a.Config()).AssumeRole(a.t.Context(), &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: &session})
	must(a.t, err)
	config := a.Config()
	config.Credentials = credentials.NewStaticCredentialsProvider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
	return config
}

func FuzzAuthenticate(f *testing.F) {
	f.Add("k8s-aws-v1.")
	f.Add("k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte("https://sts.us-west-2.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/b/c/sts/aws4_request&X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id&X-Amz-Signature=0")))
	server, err := aws.New(aws.Options{})
	if err == nil {
		f.Fatal("a world without a clock is accepted")
	}
	o := aws.Options{}
	o.World.Clock = time.Now
	if server, err = aws.New(o); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if got, err := server.EKS.Authenticate(t.Context(), "c1", token); err == nil {
			t.Errorf("%q is taken for %+v", token, got)
		}
	})
}
