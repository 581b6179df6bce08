package egress_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"

	"github.com/eks-gitops/reconciler/lab/egress"
	"github.com/eks-gitops/reconciler/lab/pki"
)

type dialer func(ctx context.Context, address string) (net.Conn, error)

func (d dialer) Dial(ctx context.Context, address string) (net.Conn, error) { return d(ctx, address) }

// serve runs a proxy on a unix socket, as the API server uses it, and gives the socket's path.
func serve(t *testing.T, d dialer) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		(&egress.Proxy{Dialer: d, Log: slog.New(slog.DiscardHandler)}).Serve(ctx, l)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return socket
}

// connect asks the proxy for an address and gives the tunnel and the proxy's answer.
func connect(t *testing.T, socket, address string) (net.Conn, *http.Response) {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", address, address)
	response, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), &http.Request{Method: http.MethodConnect})
	if err != nil {
		t.Fatal(err)
	}
	return conn, response
}

func TestATunnelCarriesBothWays(t *testing.T) {
	t.Parallel()
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		c, err := echo.Accept()
		if err == nil {
			text, _ := io.ReadAll(c)
			_, _ = c.Write(text)
			_ = c.Close()
		}
	}()
	socket := serve(t, func(ctx context.Context, address string) (net.Conn, error) {
		if address != "10.100.0.7:443" {
			return nil, fmt.Errorf("asked for %s", address)
		}
		var d net.Dialer
		return d.DialContext(ctx, "tcp", echo.Addr().String())
	})
	conn, response := connect(t, socket, "10.100.0.7:443")
	if response.StatusCode != http.StatusOK {
		t.Fatalf("the proxy answers %s", response.Status)
	}
	want := bytes.Repeat([]byte("there and back "), 10000)
	go func() {
		_, _ = conn.Write(want)
		_ = conn.(*net.UnixConn).CloseWrite()
	}()
	got, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes of %d, error %v", len(got), len(want), err)
	}
}

func TestARefusalSaysWhy(t *testing.T) {
	t.Parallel()
	socket := serve(t, func(context.Context, string) (net.Conn, error) { return nil, egress.ErrRefused })
	_, response := connect(t, socket, "10.0.0.9:443")
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "10.0.0.9:443") || !strings.Contains(string(body), "connection refused") {
		t.Errorf("got %s: %s", response.Status, body)
	}
}

// kubelets answers for one node with a pod of 200m and 64Mi that has run for 100 seconds. Who has the token "good" may read
// metrics and no more.
func kubelets(t *testing.T) (*egress.Kubelets, *corev1.Node) {
	t.Helper()
	authority, err := pki.OpenAuthority(t.TempDir(), "ca", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	client := fake.NewClientset()
	client.PrependReactor("create", "tokenreviews", func(a ktesting.Action) (bool, runtime.Object, error) {
		review := a.(ktesting.CreateAction).GetObject().(*authenticationv1.TokenReview)
		review.Status.Authenticated = review.Spec.Token == "good"
		review.Status.User.Username = "reader"
		return true, review, nil
	})
	client.PrependReactor("create", "subjectaccessreviews", func(a ktesting.Action) (bool, runtime.Object, error) {
		review := a.(ktesting.CreateAction).GetObject().(*authorizationv1.SubjectAccessReview)
		spec := review.Spec
		review.Status.Allowed = spec.User == "reader" && spec.ResourceAttributes.Subresource == "metrics" || spec.User == "apiserver"
		return true, review, nil
	})
	now := time.Unix(1_800_000_000, 0)
	running := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "web"}}
	running.Status.Phase, running.Status.StartTime = corev1.PodRunning, &metav1.Time{Time: now.Add(-100 * time.Second)}
	running.Spec.Containers = []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("200m"), corev1.ResourceMemory: resource.MustParse("64Mi"),
	}}}}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}}
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "192.168.0.1"}}
	return &egress.Kubelets{
		Client: client, Authority: authority, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
		PodsOn: func(string) []*corev1.Pod { return []*corev1.Pod{running, {}} },
	}, node
}

// ask sends a request to the node's kubelet, which has to prove itself as that node.
func ask(t *testing.T, k *egress.Kubelets, node *corev1.Node, path, token string, certificates ...tls.Certificate) (int, string) {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(k.Authority.PEM)
	client := &http.Client{Transport: &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return k.Connect(ctx, node) },
		TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: certificates, MinVersion: tls.VersionTLS12},
	}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://192.168.0.1:10250"+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestAKubeletAnswersWhomItMay(t *testing.T) {
	t.Parallel()
	k, node := kubelets(t)
	apiserver, err := k.Authority.Issue(pki.Leaf{CommonName: "apiserver"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, token string
		certs       []tls.Certificate
		status      int
		says        string
	}{
		{"/metrics/resource", "good", nil, http.StatusOK, `container_cpu_usage_seconds_total{container="c",namespace="apps",pod="web"} 5.000000 1800000000000`},
		{"/metrics/resource", "good", nil, http.StatusOK, `container_memory_working_set_bytes{container="c",namespace="apps",pod="web"} 33554432 `},
		{"/metrics/resource", "bad", nil, http.StatusUnauthorized, "not valid"},
		{"/metrics/resource", "", nil, http.StatusUnauthorized, "neither"},
		{"/containerLogs/apps/web/c", "good", nil, http.StatusForbidden, "reader may not get nodes/proxy"},
		{"/containerLogs/apps/web/c", "", []tls.Certificate{apiserver}, http.StatusNotImplemented, "run no containers"},
		{"/metrics/resource", "", []tls.Certificate{apiserver}, http.StatusOK, "node_cpu_usage_seconds_total"},
	} {
		status, body := ask(t, k, node, c.path, c.token, c.certs...)
		if status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s with token %q: got %d %s, want %d and %q", c.path, c.token, status, body, c.status, c.says)
		}
	}
}

func TestTheStandInAgrees(t *testing.T) {
	t.Parallel()
	authority, err := pki.OpenAuthority(t.TempDir(), "ca", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	mounted, err := authority.Issue(pki.Leaf{CommonName: "hook", Hosts: []string{"hook.apps.svc"}})
	if err != nil {
		t.Fatal(err)
	}
	admission := &egress.Admission{
		Certificate: func(context.Context, *corev1.Pod) (egress.ServingCertificate, error) { return mounted, nil }, Log: slog.New(slog.DiscardHandler),
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority.PEM)
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return admission.Connect(ctx, pod("hook", "hook"), 443)
		},
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
	}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://hook.apps.svc/validate",
		strings.NewReader(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u-1"}}`))
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var out struct {
		APIVersion, Kind string
		Response         struct {
			UID     string
			Allowed bool
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	if !out.Response.Allowed || out.Response.UID != "u-1" || out.Kind != "AdmissionReview" || out.APIVersion != "admission.k8s.io/v1" {
		t.Errorf("got %+v", out)
	}

	request, err = http.NewRequestWithContext(t.Context(), http.MethodGet, "https://hook.apps.svc/apis/custom.metrics.k8s.io/v1beta2", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err = client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var list metav1.APIResourceList
	if err := json.NewDecoder(response.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	if list.Kind != "APIResourceList" || list.GroupVersion != "custom.metrics.k8s.io/v1beta2" || len(list.APIResources) != 0 {
		t.Errorf("as an aggregated API it serves %+v", list)
	}
}

func TestMetricsServerIsToldWhereItIs(t *testing.T) {
	t.Parallel()
	got := egress.MetricsServerArgs(corev1.Container{
		Command: []string{"/metrics-server"}, Args: []string{"--secure-port=10250", "--metric-resolution=15s"},
	}, 1234, "/dir", "/kubeconfig")
	line := strings.Join(got, " ")
	if !strings.HasPrefix(line, "--secure-port=10250 --metric-resolution=15s ") || strings.LastIndex(line, "--secure-port=1234") < strings.Index(line, "--secure-port=10250") {
		t.Errorf("got %s", line)
	}
}
