package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks"
	"github.com/eks-gitops/reconciler/lab/webhook"
)

// sim authenticates the token "good:CLUSTER" as what identity says.
type sim struct{ identity eks.Identity }

func (s sim) Authenticate(_ context.Context, cluster, token string) (eks.Identity, error) {
	if token != "good:"+cluster {
		return eks.Identity{}, errors.New("the signature is wrong: secret detail")
	}
	return s.identity, nil
}

type access struct{ mapped map[string][]string }

func (a access) Mapped(_ context.Context, _, principal, _ string) (string, []string, bool, error) {
	groups, ok := a.mapped[principal]
	return "from-aws-auth", groups, ok, nil
}

func (a access) Grant(_ context.Context, _ string, grants []eks.Grant) ([]string, error) {
	var groups []string
	for _, g := range grants {
		if g.Policy == "broken" {
			return nil, errors.New("the cluster is away")
		}
		groups = append(groups, "policy:"+g.Policy)
	}
	return groups, nil
}

func review(t *testing.T, h http.Handler, path, token string) authenticationv1.TokenReviewStatus {
	t.Helper()
	body, err := json.Marshal(authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}})
	if err != nil {
		t.Fatal(err)
	}
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, bytes.NewReader(body)))
	var out authenticationv1.TokenReview
	if err := json.Unmarshal(recorder.Body.Bytes(), &out); err != nil {
		t.Fatalf("%v in %q", err, recorder.Body.String())
	}
	if out.Kind != "TokenReview" || out.APIVersion != "authentication.k8s.io/v1" {
		t.Errorf("the answer is a %s %s", out.APIVersion, out.Kind)
	}
	return out.Status
}

func TestWhoIsLetIn(t *testing.T) {
	t.Parallel()
	const role = "arn:aws:iam::111122223333:role/dev"
	byEntry := eks.Identity{Principal: role, Mapped: true, Username: "dev", Groups: []string{"devs"}, Grants: []eks.Grant{{Policy: "AmazonEKSViewPolicy", Role: "view"}}}
	for name, c := range map[string]struct {
		identity eks.Identity
		path     string
		token    string
		user     string // empty for nobody
		groups   []string
	}{
		"by access entry":                  {byEntry, "/a", "good:a", "dev", []string{"devs", "policy:AmazonEKSViewPolicy"}},
		"a token for another cluster":      {byEntry, "/b", "good:a", "", nil},
		"by aws-auth":                      {eks.Identity{Principal: role}, "/a", "good:a", "from-aws-auth", []string{"admins"}},
		"by nothing":                       {eks.Identity{Principal: "arn:aws:iam::111122223333:user/x"}, "/a", "good:a", "", nil},
		"when policies cannot be granted":  {eks.Identity{Principal: role, Mapped: true, Username: "dev", Grants: []eks.Grant{{Policy: "broken"}}}, "/a", "good:a", "", nil},
		"a token that cannot be verified":  {byEntry, "/a", "bad", "", nil},
		"a cluster that nobody asks about": {byEntry, "/", "good:a", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &webhook.Handler{Authenticator: sim{c.identity}, Access: access{map[string][]string{role: {"admins"}}}, Log: slog.New(slog.DiscardHandler)}
			got := review(t, h, c.path, c.token)
			if got.Authenticated != (c.user != "") || got.User.Username != c.user || !slices.Equal(got.User.Groups, c.groups) {
				t.Errorf("got %+v", got)
			}
			if strings.Contains(got.Error, "secret") {
				t.Errorf("the refusal tells too much: %q", got.Error)
			}
		})
	}
}

func TestNoReviewNoAnswer(t *testing.T) {
	t.Parallel()
	recorder := httptest.NewRecorder()
	h := &webhook.Handler{Log: slog.New(slog.DiscardHandler)}
	h.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/a", strings.NewReader("nonsense")))
	if recorder.Code != http.StatusBadRequest {
		t.Errorf("got %d", recorder.Code)
	}
}
