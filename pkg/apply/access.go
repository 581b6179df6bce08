package apply

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// ErrNoCluster is what Options.Access returns while the cluster does not exist: every desired object is then a predicted
// creation, without an error.
var ErrNoCluster = errors.New("the cluster does not exist yet")

// Access says how to reach an API server: by address and token, or by a kubeconfig.
type Access struct {
	// Server is the https URL of the API server. Empty means that Kubeconfig says it.
	Server string
	// CA is the PEM bundle that signed the server's certificate; empty means the system's roots.
	CA []byte
	// Token gives the bearer token for a request. It is asked for every request, so it should cache.
	Token func(ctx context.Context) (string, error)
	// Kubeconfig is the path of a kubeconfig file, or several as KUBECONFIG lists them; Context names a context in them (empty:
	// the current one).
	Kubeconfig string
	Context    string
}

// identity tells whether two Accesses reach the same server in the same way; tokens change without a new connection.
func (a Access) identity() gitops.Digest {
	return gitops.DigestOf([]any{a.Server, string(a.CA), a.Kubeconfig, a.Context})
}

// config is the client-go form. The client's own rate limit is off: the server's fairness and the gate bound the load.
func (a Access) config() (*rest.Config, error) {
	config := &rest.Config{Host: a.Server, TLSClientConfig: rest.TLSClientConfig{CAData: a.CA}}
	switch {
	case a.Server != "":
	case a.Kubeconfig == "":
		return nil, errors.New("neither an API server nor a kubeconfig is given")
	default:
		rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: a.Kubeconfig} // it must exist
		if files := filepath.SplitList(a.Kubeconfig); len(files) > 1 {
			rules = &clientcmd.ClientConfigLoadingRules{Precedence: files}
		}
		loaded, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
			rules,
			&clientcmd.ConfigOverrides{CurrentContext: a.Context},
		).ClientConfig()
		if err != nil {
			return nil, fmt.Errorf("reading kubeconfig %s: %w", a.Kubeconfig, err)
		}
		config = loaded
	}
	config.QPS = -1
	config.UserAgent = userAgent
	// Warnings of the server are about content, not about us; they would go to stderr past the log.
	config.WarningHandler = rest.NoWarnings{}
	return config, nil
}

const userAgent = "reconciler"

// bearer adds the token to every request.
type bearer struct {
	token func(ctx context.Context) (string, error)
	next  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := b.token(r.Context())
	if err != nil {
		return nil, fmt.Errorf("getting a token: %w", err)
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	return b.next.RoundTrip(r)
}
