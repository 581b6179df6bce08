package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	web "github.com/go-git/go-git/v5/plumbing/transport/http"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// server is a repository behind https or http.
type server struct {
	url     *url.URL
	user    *url.Userinfo
	options Options

	mu sync.Mutex
	// client keeps connections open between polls; it is made anew when the authorities change.
	client    transport.Transport
	transport *http.Transport
	roots     string
}

func newWeb(u *url.URL, user *url.Userinfo, o Options) *server {
	return &server{url: u, user: user, options: o}
}

func (s *server) connect(context.Context) (exchange, error) {
	login, err := s.options.Credentials.web(s.user)
	if err != nil {
		return nil, err
	}
	client, err := s.dial()
	if err != nil {
		return nil, err
	}
	endpoint, err := transport.NewEndpoint(s.url.String())
	if err != nil {
		return nil, gitops.Errorf(gitops.SourceInvalid, "reading the URL: %w", err)
	}
	var auth transport.AuthMethod
	switch {
	case login.token != "":
		auth = &web.TokenAuth{Token: login.token}
	case login.user != "" || login.password != "":
		auth = &web.BasicAuth{Username: login.user, Password: login.password}
	}
	up, err := client.NewUploadPackSession(endpoint, auth)
	if err != nil {
		return nil, login.scrub(err)
	}
	return &wire{session: hushed{up, login}}, nil
}

// dial gives the client for the authorities that are in force now.
func (s *server) dial() (transport.Transport, error) {
	roots, err := s.options.Credentials.read("the certificate authorities", s.options.Credentials.CAFile)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil && s.roots == roots {
		return s.client, nil
	}
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if roots != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM([]byte(roots)) {
			return nil, gitops.Errorf(gitops.SourceDenied, "reading the certificate authorities in %s: there is no PEM certificate", s.options.Credentials.CAFile)
		}
		secure.RootCAs = pool
	}
	if s.transport != nil {
		s.transport.CloseIdleConnections()
	}
	s.transport = &http.Transport{
		Proxy: s.options.Proxy, TLSClientConfig: secure, ForceAttemptHTTP2: true, MaxIdleConns: 2,
		IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: s.options.Timeout,
	}
	s.client, s.roots = web.NewClient(&http.Client{Transport: s.transport}), roots
	return s.client, nil
}

func (s *server) watch(context.Context, func()) bool { return false }

// hushed keeps a login's secrets out of what a session says.
type hushed struct {
	session
	login login
}

func (h hushed) AdvertisedReferencesContext(ctx context.Context) (*packp.AdvRefs, error) {
	adv, err := h.session.AdvertisedReferencesContext(ctx)
	return adv, h.login.scrub(err)
}

func (h hushed) UploadPack(ctx context.Context, r *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	response, err := h.session.UploadPack(ctx, r)
	return response, h.login.scrub(err)
}
