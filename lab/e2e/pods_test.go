package e2e

import (
	"cmp"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/rest"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"

	"github.com/eks-gitops/reconciler/lab/process"
	"github.com/eks-gitops/reconciler/lab/story"
)

// gateway stands before an API server, as KUBERNETES_SERVICE_HOST does, and keeps a list of what was asked through it.
type gateway struct {
	*httptest.Server

	mu     sync.Mutex
	asked  map[string]bool
	denied []string
}

func newGateway(t *testing.T, server string, ca []byte) *gateway {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(&rest.Config{Host: server, TLSClientConfig: rest.TLSClientConfig{CAData: ca}})
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{asked: map[string]bool{}}
	g.Server = httptest.NewTLSServer(&httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:      transport,
		ModifyResponse: func(r *http.Response) error { g.note(t, r); return nil },
	})
	t.Cleanup(g.Close)
	return g
}

// note books a request as the API server itself reads it. An apply that created also needed the right to create.
func (g *gateway) note(t *testing.T, r *http.Response) {
	reader := request.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}
	info, err := reader.NewRequestInfo(r.Request)
	if err != nil {
		t.Error(err)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.StatusCode == http.StatusForbidden || r.StatusCode == http.StatusUnauthorized {
		g.denied = append(g.denied, fmt.Sprintf("%d %s %s", r.StatusCode, r.Request.Method, r.Request.URL.Path))
	}
	if !info.IsResourceRequest {
		return // the API's own description, which everybody may read
	}
	what := cmp.Or(info.APIGroup, "core") + " " + info.Resource
	g.asked[what+" "+info.Verb+" in "+info.Namespace] = true
	if info.Verb == "patch" && r.StatusCode == http.StatusCreated {
		g.asked[what+" create in "+info.Namespace] = true
	}
}

// ca is the certificate that clients must trust, in PEM.
func (g *gateway) ca() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.Certificate().Raw})
}

// container runs the process of a Pod as the kubelet would: the arguments and environment of its container, its Secrets and its
// ServiceAccount's token in files, its API server's address in the environment. The token's folder is not where Pods have it,
// since this machine has only one such place.
type container struct {
	pod     corev1.Pod
	gateway *gateway
	dir     string
	program string
	env     []string
	args    []string
	// address is where its probes are answered. Every Pod has port 8080 to itself; here the ports differ.
	address string
	process *process.Process
}

// mount prepares a container: what the kubelet does before it starts one.
func mount(t *testing.T, dev *story.Cluster, pod corev1.Pod, g *gateway, program string, more ...string) *container {
	t.Helper()
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	c := &container{pod: pod, gateway: g, dir: filepath.Join(shortDir(t), "pod"), program: program, address: fmt.Sprintf("127.0.0.1:%d", port)}
	spec := pod.Spec.Containers[0]
	token, err := dev.Kube.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(t.Context(), pod.Spec.ServiceAccountName, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	account := filepath.Join(c.dir, "serviceaccount")
	files := map[string][]byte{"token": []byte(token.Status.Token), "ca.crt": g.ca(), "namespace": []byte(pod.Namespace)}
	writeAll(t, account, files)
	for _, v := range pod.Spec.Volumes {
		if v.Secret == nil {
			continue
		}
		secret, err := dev.Kube.CoreV1().Secrets(pod.Namespace).Get(t.Context(), v.Secret.SecretName, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(spec.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == v.Name })
		writeAll(t, spec.VolumeMounts[at].MountPath, secret.Data)
	}
	api, err := url.Parse(g.URL)
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"HOSTNAME": pod.Name, "HOME": "/", "TMPDIR": c.dir, "KUBERNETES_SERVICE_HOST": api.Hostname(), "KUBERNETES_SERVICE_PORT": api.Port(),
		"RECONCILER_SERVICE_ACCOUNT": account,
	}
	for _, v := range spec.Env {
		env[v.Name] = v.Value
	}
	for name, value := range env {
		c.env = append(c.env, name+"="+value)
	}
	c.env = append(c.env, more...)
	for _, arg := range spec.Args {
		c.args = append(c.args, expansion.Expand(arg, expansion.MappingFuncFor(env)))
	}
	c.args = append(c.args, "--listen="+c.address, "--poll=500ms")
	return c
}

func writeAll(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// start starts the process and waits until the Deployment's probes are answered.
func (c *container) start(t *testing.T) {
	t.Helper()
	var err error
	if c.process, err = process.Start(process.Spec{Name: "reconciler", Path: c.program, Args: c.args, Env: c.env, Dir: c.dir, WorkDir: c.dir}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.process.Kill)
	spec := c.pod.Spec.Containers[0]
	for _, probe := range []*corev1.Probe{spec.LivenessProbe, spec.ReadinessProbe} {
		await(t, "the probe "+probe.HTTPGet.Path, func(ctx context.Context) (bool, error) {
			select {
			case <-c.process.Done():
				return false, fmt.Errorf("%s ended: %w", c.pod.Name, c.process.Err())
			default:
			}
			return answers(ctx, "http://"+c.address+probe.HTTPGet.Path), nil
		})
	}
}

func answers(ctx context.Context, address string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// stop ends the process as the kubelet does, which kills it when its grace period is over.
func (c *container) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(*c.pod.Spec.TerminationGracePeriodSeconds)*time.Second)
	defer cancel()
	c.process.Stop(ctx)
	if err := c.process.Err(); ctx.Err() != nil || err != nil {
		t.Errorf("%s did not end in good order within its grace period: %v", c.pod.Name, err)
	}
}

// log is what the process said in all its lives.
func (c *container) log(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.dir, "reconciler.log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// await polls until a condition holds; it fails the test when it never does.
func await(t *testing.T, what string, check func(context.Context) (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), story.Patience)
	defer cancel()
	if err := process.Poll(ctx, 200*time.Millisecond, what, check); err != nil {
		t.Fatal(err)
	}
}

// passing is nil for an error of one look of many: an API server that is busy answers the next one.
func passing(err error) error {
	if _, answered := err.(apierrors.APIStatus); answered {
		return err
	}
	return nil
}

// holderOf is the Pod whose process holds the Lease of a cluster; empty when nobody does.
func holderOf(ctx context.Context, dev *story.Cluster, cluster string) (string, error) {
	leases, err := dev.Kube.CoordinationV1().Leases("reconciler-system").List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	for _, l := range leases.Items {
		if l.Annotations["reconciler.eks-gitops.io/cluster"] == cluster && l.Spec.HolderIdentity != nil {
			pod, _, _ := strings.Cut(*l.Spec.HolderIdentity, "_")
			return pod, nil
		}
	}
	return "", nil
}
