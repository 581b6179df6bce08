package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/eks-gitops/reconciler/lab/pki"
)

// Kubelets answer for all nodes of a cluster, each with a certificate of its own. They know no containers: metrics are made up
// from requests, logs and exec are refused with the reason.
type Kubelets struct {
	Client    kubernetes.Interface
	Authority *pki.Authority
	// PodsOn lists the pods of a node.
	PodsOn func(node string) []*corev1.Pod
	Now    func() time.Time
	Log    *slog.Logger

	mu    sync.Mutex
	certs map[string]tls.Certificate
}

// Connect gives a connection to a node's kubelet. It lasts as long as ctx's parent allows the caller to use it; the kubelet
// ends with the connection.
func (k *Kubelets) Connect(_ context.Context, node *corev1.Node) (net.Conn, error) {
	config, err := k.tlsConfig(node)
	if err != nil {
		return nil, fmt.Errorf("making the certificate of %s's kubelet: %w", node.Name, err)
	}
	near, far := net.Pipe()
	server := &http.Server{
		Handler: k.handler(node.Name), ReadHeaderTimeout: connectTimeout, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(k.Log.Handler(), slog.LevelDebug),
	}
	go func() {
		_ = server.Serve(newOnce(far, config))
	}()
	return near, nil
}

func (k *Kubelets) tlsConfig(node *corev1.Node) (*tls.Config, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	cert, ok := k.certs[node.Name]
	if !ok {
		hosts := []string{node.Name}
		for _, address := range node.Status.Addresses {
			hosts = append(hosts, address.Address)
		}
		var err error
		if cert, err = k.Authority.Issue(pki.Leaf{CommonName: "system:node:" + node.Name, Organizations: []string{"system:nodes"}, Hosts: hosts}); err != nil {
			return nil, err
		}
		if k.certs == nil {
			k.certs = map[string]tls.Certificate{}
		}
		k.certs[node.Name] = cert
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(k.Authority.PEM)
	return &tls.Config{
		Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven,
	}, nil
}

func (k *Kubelets) handler(node string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics/resource", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		writeMetrics(w, k.PodsOn(node), k.Now())
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, fmt.Sprintf("the lab's nodes run no containers: %s cannot be answered", r.URL.Path), http.StatusNotImplemented)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status, err := k.allow(r, node); err != nil {
			http.Error(w, err.Error(), status)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// allow asks the API server, as a kubelet in webhook mode does
// (https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/).
func (k *Kubelets) allow(r *http.Request, node string) (int, error) {
	user, err := k.authenticate(r)
	if err != nil {
		return http.StatusUnauthorized, err
	}
	resource := "proxy"
	if strings.HasPrefix(r.URL.Path, "/metrics") {
		resource = "metrics"
	}
	verb := map[string]string{http.MethodGet: "get", http.MethodPost: "create"}[r.Method]
	review, err := k.Client.AuthorizationV1().SubjectAccessReviews().Create(r.Context(), &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user.Username, Groups: user.Groups, UID: user.UID,
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Version: "v1", Resource: "nodes", Subresource: resource, Name: node},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return http.StatusInternalServerError, fmt.Errorf("asking whether %s may %s nodes/%s: %w", user.Username, verb, resource, err)
	}
	if !review.Status.Allowed {
		return http.StatusForbidden, fmt.Errorf("%s may not %s nodes/%s of %s", user.Username, verb, resource, node)
	}
	return 0, nil
}

func (k *Kubelets) authenticate(r *http.Request) (authenticationv1.UserInfo, error) {
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		subject := r.TLS.VerifiedChains[0][0].Subject
		return authenticationv1.UserInfo{Username: subject.CommonName, Groups: subject.Organization}, nil
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return authenticationv1.UserInfo{}, fmt.Errorf("neither a client certificate nor a bearer token was given")
	}
	review, err := k.Client.AuthenticationV1().TokenReviews().Create(r.Context(),
		&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil {
		return authenticationv1.UserInfo{}, fmt.Errorf("reviewing a token: %w", err)
	}
	if !review.Status.Authenticated {
		return authenticationv1.UserInfo{}, fmt.Errorf("the token is not valid")
	}
	return review.Status.User, nil
}

// once is a listener with a single TLS connection. Accept's second call waits for that connection's end, since a server that is
// done listening would be reported as stopped.
type once struct {
	conn   net.Conn
	first  sync.Once
	closed chan struct{}
}

// newOnce puts the notice of the end below TLS: the server looks for the TLS connection itself to find the client's certificate.
func newOnce(c net.Conn, config *tls.Config) *once {
	closed := make(chan struct{})
	return &once{conn: tls.Server(&notifying{Conn: c, closed: closed}, config), closed: closed}
}

// Accept implements net.Listener.
func (o *once) Accept() (net.Conn, error) {
	var c net.Conn
	o.first.Do(func() { c = o.conn })
	if c != nil {
		return c, nil
	}
	<-o.closed
	return nil, net.ErrClosed
}

// Close implements net.Listener.
func (o *once) Close() error { return nil }

// Addr implements net.Listener.
func (o *once) Addr() net.Addr { return o.conn.LocalAddr() }

type notifying struct {
	net.Conn
	closed chan struct{}
	once   sync.Once
}

// Close implements net.Conn.
func (n *notifying) Close() error {
	n.once.Do(func() { close(n.closed) })
	return n.Conn.Close()
}
