// Package site is what the lab runs around one serving control plane: the cloud's work inside the cluster, and the way from the
// control plane to its pods.
//
// Input: a control plane and what stands for pods. Output: nodes, volumes and software in the cluster, and answers in the place
// of pods. Invariant: everything that a Site runs ends with Stop.
package site

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/eks-gitops/reconciler/lab/cluster"
	"github.com/eks-gitops/reconciler/lab/controlplane"
	"github.com/eks-gitops/reconciler/lab/egress"
)

// Options are what a site is made of.
type Options struct {
	Plane  *controlplane.Plane
	Region string
	// Env is the environment of local programs.
	Env []string
	// MetricsServer is the program that is run for pods of metrics-server; empty means that nothing is.
	MetricsServer string
	Standins      []Standin
	// Balancers makes the load balancers of Services; nil means that there are none, only names.
	Balancers cluster.Balancers
	Log       *slog.Logger
	Now       func() time.Time
}

// Site is one cluster's surroundings.
type Site struct {
	options   Options
	cluster   *cluster.Cluster
	proxy     *egress.Proxy
	listeners []net.Listener
	metrics   *egress.Local // nil if there is no metrics-server
	cancel    context.CancelFunc
	group     sync.WaitGroup
}

// Standin declares what answers for pods of an image.
type Standin struct {
	// Image is a pattern for the last part of the image's name without tag: "cert-manager-webhook".
	Image string `json:"image"`
	// Address is where a stand-in listens on this machine; empty means the one that agrees to everything: a webhook that always
	// says yes, an aggregated API without resources.
	Address string `json:"address,omitempty"`
}

// New prepares a site and listens; the control plane need not serve yet. Start does the work.
func New(o Options) (*Site, error) {
	s := &Site{options: o, cancel: func() {}}
	inside, err := cluster.New(cluster.Options{
		Kubeconfig: o.Plane.Kubeconfig("cloud"), Region: o.Region, DNS: o.Plane.DNS(), Balancers: o.Balancers, Now: o.Now, Log: o.Log,
	})
	if err != nil {
		return nil, err
	}
	s.cluster = inside
	socket, err := listenUnix(o.Plane.Dir(), controlplane.EgressSocket)
	if err != nil {
		return nil, err
	}
	s.listeners = append(s.listeners, socket)
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		s.Stop()
		return nil, fmt.Errorf("listening for programs of the cluster: %w", err)
	}
	s.listeners = append(s.listeners, tcp)
	if err := s.route(tcp.Addr().String()); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// route builds the table of who answers for whom.
func (s *Site) route(proxyAddress string) error {
	o := s.options
	config, err := clientcmd.BuildConfigFromFlags("", o.Plane.Kubeconfig("cloud"))
	if err != nil {
		return fmt.Errorf("reading the cloud's credentials: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making the cloud's client: %w", err)
	}
	kubelets := &egress.Kubelets{Client: client, Authority: o.Plane.Authority(), PodsOn: s.cluster.PodsOn, Now: o.Now, Log: o.Log}
	router := &egress.Router{Network: s.cluster, Kubelet: kubelets.Connect}
	for _, one := range o.Standins {
		rule := egress.Rule{Image: one.Image, Program: egress.Elsewhere{Address: one.Address}}
		if one.Address == "" {
			rule.Program = &egress.Admission{Certificate: egress.MountedCertificate(client, o.Plane.Authority()), Log: o.Log}
		}
		router.Rules = append(router.Rules, rule)
	}
	if path := o.MetricsServer; path != "" {
		s.metrics = &egress.Local{
			Name: "metrics-server", Path: path, Dir: filepath.Join(o.Plane.Dir(), "programs"), Args: egress.MetricsServerArgs, Log: o.Log,
			// Kubelets have addresses of the cluster's network; the API server has one of this machine, which Go never proxies.
			Env:        append(withoutProxies(o.Env), "HTTPS_PROXY=http://"+proxyAddress),
			Kubeconfig: podCredentials(client, o.Plane),
		}
		router.Rules = append(router.Rules, egress.Rule{Image: "metrics-server", Program: s.metrics})
	}
	s.proxy = &egress.Proxy{Dialer: router, Log: o.Log}
	return nil
}

// Proxy is the address of an HTTP proxy into the cluster's network, for programs that run in the place of pods.
func (s *Site) Proxy() string { return s.listeners[1].Addr().String() }

// Cluster is the inside.
func (s *Site) Cluster() *cluster.Cluster { return s.cluster }

// Start works until ctx is over or Stop.
func (s *Site) Start(ctx context.Context) {
	ctx, s.cancel = context.WithCancel(ctx)
	s.group.Go(func() { s.cluster.Run(ctx) })
	s.group.Go(func() { s.proxy.Serve(ctx, s.listeners...) })
	s.group.Go(func() { s.sweep(ctx) })
}

// sweep ends local programs whose pods are gone.
func (s *Site) sweep(ctx context.Context) {
	if s.metrics == nil {
		return
	}
	const interval = 2 * time.Second
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
			defer cancel()
			s.metrics.Stop(stopping)
			return
		case <-ticker.C:
			s.metrics.Sweep(ctx, s.cluster.Pods())
		}
	}
}

// Stop ends everything and waits for it.
func (s *Site) Stop() {
	s.cancel()
	s.group.Wait()
	for _, l := range s.listeners {
		_ = l.Close()
	}
}

// listenUnix listens on a socket in dir however long dir's name is: the kernel takes 107 bytes, and /proc shortens.
func listenUnix(dir, name string) (net.Listener, error) {
	fd, err := syscall.Open(dir, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("listening in %s: %w", dir, err)
	}
	defer func() { _ = syscall.Close(fd) }()
	if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listening in %s: %w", dir, err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fmt.Sprintf("/proc/self/fd/%d/%s", fd, name), Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listening in %s: %w", dir, err)
	}
	// By that name it could not be removed again: the descriptor is closed. The next start does it.
	l.SetUnlinkOnClose(false)
	return l, nil
}

func withoutProxies(env []string) []string {
	var out []string
	for _, pair := range env {
		name, _, _ := strings.Cut(pair, "=")
		switch strings.ToUpper(name) {
		case "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY":
		default:
			out = append(out, pair)
		}
	}
	return out
}

// stopTimeout is how long a local program may take to end.
const stopTimeout = 5 * time.Second

// tokenLifetime outlasts every lab session; a restart makes new ones.
const tokenLifetime = 30 * 24 * 3600

// podCredentials writes kubeconfigs with tokens of pods' service accounts.
func podCredentials(client kubernetes.Interface, plane *controlplane.Plane) func(context.Context, *corev1.Pod, string) error {
	return func(ctx context.Context, pod *corev1.Pod, file string) error {
		seconds := int64(tokenLifetime)
		token, err := client.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, pod.Spec.ServiceAccountName,
			&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("making a token of %s/%s: %w", pod.Namespace, pod.Spec.ServiceAccountName, err)
		}
		content := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- {name: lab, cluster: {server: %q, certificate-authority-data: %s}}
users:
- {name: pod, user: {token: %q}}
contexts:
- {name: lab, context: {cluster: lab, user: pod, namespace: %q}}
current-context: lab
`, plane.Endpoint(), base64.StdEncoding.EncodeToString(plane.CA()), token.Status.Token, pod.Namespace)
		return os.WriteFile(file, []byte(content), 0o600)
	}
}
