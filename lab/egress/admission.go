package egress

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/eks-gitops/reconciler/lab/pki"
)

// ServingCertificate is what a server proves itself with.
type ServingCertificate = tls.Certificate

// Connect implements Program.
func (a *Admission) Connect(ctx context.Context, pod *corev1.Pod, _ int32) (net.Conn, error) {
	cert, err := a.Certificate(ctx, pod)
	if err != nil {
		return nil, fmt.Errorf("finding the certificate of %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	near, far := net.Pipe()
	server := &http.Server{
		Handler: agreeable(), ReadHeaderTimeout: connectTimeout, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(a.Log.Handler(), slog.LevelDebug),
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	go func() {
		_ = server.Serve(newOnce(far, config))
	}()
	return near, nil
}

// agreeable allows every admission, and serves any aggregated API without resources: enough for it to be Available.
func agreeable() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", allowEverything)
	mux.HandleFunc("GET /apis/{group}/{version}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(metav1.APIResourceList{
			TypeMeta:     metav1.TypeMeta{APIVersion: "v1", Kind: "APIResourceList"},
			GroupVersion: r.PathValue("group") + "/" + r.PathValue("version"), APIResources: []metav1.APIResource{},
		})
	})
	return mux
}

// allowEverything answers an AdmissionReview in the version it was asked in.
func allowEverything(w http.ResponseWriter, r *http.Request) {
	var review struct {
		metav1.TypeMeta `json:",inline"`
		Request         *struct {
			UID types.UID `json:"uid"`
		} `json:"request"`
	}
	const most = 16 << 20
	if err := json.NewDecoder(io.LimitReader(r.Body, most)).Decode(&review); err != nil || review.Request == nil {
		http.Error(w, "an AdmissionReview with a request is expected", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"apiVersion": review.APIVersion, "kind": review.Kind,
		"response": map[string]any{"uid": review.Request.UID, "allowed": true},
	})
}

// MountedCertificate gives the certificate in the Secret of type kubernetes.io/tls that the pod mounts, which is the one that
// the webhook's caBundle trusts; without such a Secret it is one of the lab's own authority.
func MountedCertificate(client kubernetes.Interface, authority *pki.Authority) func(context.Context, *corev1.Pod) (ServingCertificate, error) {
	return func(ctx context.Context, pod *corev1.Pod) (ServingCertificate, error) {
		for _, volume := range pod.Spec.Volumes {
			if volume.Secret == nil {
				continue
			}
			secret, err := client.CoreV1().Secrets(pod.Namespace).Get(ctx, volume.Secret.SecretName, metav1.GetOptions{})
			if err != nil {
				return tls.Certificate{}, err
			}
			if len(secret.Data[corev1.TLSCertKey]) > 0 && len(secret.Data[corev1.TLSPrivateKeyKey]) > 0 {
				return tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
			}
		}
		names := []string{}
		for _, label := range []string{"app.kubernetes.io/name", "app", "k8s-app"} {
			if name := pod.Labels[label]; name != "" {
				names = append(names, name+"."+pod.Namespace+".svc")
			}
		}
		return authority.Issue(pki.Leaf{CommonName: pod.Name, Hosts: append(names, pod.Status.PodIP)})
	}
}
