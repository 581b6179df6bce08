// Package webhook answers the API servers' question whose a bearer token is, as EKS's authenticator does: the token is a
// presigned request to STS, its principal is mapped by access entries or by the cluster's aws-auth ConfigMap.
//
// Input: TokenReviews (authentication.k8s.io/v1) at /CLUSTER. Output: the user with groups, or a refusal; a refusal is not told
// a reason, which is in the log. Invariant: what cannot be verified is not let in.
package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eks-gitops/reconciler/internal/sim/aws/eks"
)

// Authenticator verifies tokens.
type Authenticator interface {
	Authenticate(ctx context.Context, cluster, token string) (eks.Identity, error)
}

// Access is what a cluster itself knows of principals.
type Access interface {
	// Mapped finds a principal in the aws-auth ConfigMap.
	Mapped(ctx context.Context, cluster, principal, session string) (username string, groups []string, ok bool, err error)
	// Grant makes sure that there are bindings for the access policies and gives the groups that they are for.
	Grant(ctx context.Context, cluster string, grants []eks.Grant) (groups []string, err error)
}

// Handler is the webhook.
type Handler struct {
	Authenticator Authenticator
	Access        Access
	Log           *slog.Logger
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var review authenticationv1.TokenReview
	const most = 1 << 20
	if err := json.NewDecoder(io.LimitReader(r.Body, most)).Decode(&review); err != nil {
		http.Error(w, "a TokenReview is expected", http.StatusBadRequest)
		return
	}
	cluster := strings.Trim(r.URL.Path, "/")
	status := authenticationv1.TokenReviewStatus{}
	user, err := h.identify(r.Context(), cluster, review.Spec.Token)
	if err != nil {
		h.Log.Info("not letting a token in", "cluster", cluster, "error", err)
		status.Error = "unauthorized"
	} else {
		status.Authenticated, status.User = true, user
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(authenticationv1.TokenReview{
		TypeMeta: metav1.TypeMeta{APIVersion: authenticationv1.SchemeGroupVersion.String(), Kind: "TokenReview"}, Status: status,
	})
}

// errUnmapped is why an authentic principal is not let in.
var errUnmapped = errors.New("neither an access entry nor aws-auth names the principal")

func (h *Handler) identify(ctx context.Context, cluster, token string) (authenticationv1.UserInfo, error) {
	identity, err := h.Authenticator.Authenticate(ctx, cluster, token)
	if err != nil {
		return authenticationv1.UserInfo{}, err
	}
	if !identity.Mapped {
		session := strings.Join(identity.Extra["sessionName"], "")
		username, groups, ok, err := h.Access.Mapped(ctx, cluster, identity.Principal, session)
		if err != nil {
			return authenticationv1.UserInfo{}, fmt.Errorf("reading aws-auth: %w", err)
		}
		if !ok {
			return authenticationv1.UserInfo{}, fmt.Errorf("%s: %w", identity.Principal, errUnmapped)
		}
		identity.Username, identity.Groups = username, groups
	}
	granted, err := h.Access.Grant(ctx, cluster, identity.Grants)
	if err != nil {
		return authenticationv1.UserInfo{}, fmt.Errorf("granting access policies: %w", err)
	}
	extra := map[string]authenticationv1.ExtraValue{}
	for key, values := range identity.Extra {
		extra[key] = values
	}
	return authenticationv1.UserInfo{
		Username: identity.Username, UID: identity.UID, Groups: append(identity.Groups, granted...), Extra: extra,
	}, nil
}
