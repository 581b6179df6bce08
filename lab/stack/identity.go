package stack

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// split reads "namespace/name".
func split(t testing.TB, account string) (namespace, name string) {
	t.Helper()
	namespace, name, ok := strings.Cut(account, "/")
	if !ok {
		t.Fatalf("%q is no service account: want NAMESPACE/NAME", account)
	}
	return namespace, name
}

// token is one of the API server's own for a service account ("namespace/name"), good for the length of a test.
func (c *Cluster) token(t testing.TB, account string) string {
	t.Helper()
	namespace, name := split(t, account)
	seconds := int64(3600)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	answer, err := c.Kube.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), name, request, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("getting a token of %s: %v", account, err)
	}
	return answer.Status.Token
}

// Config is a client's configuration with the rights of a service account ("namespace/name"), and no others.
func (c *Cluster) Config(t testing.TB, account string) *rest.Config {
	t.Helper()
	config := rest.AnonymousClientConfig(c.Admin)
	config.BearerToken, config.QPS = c.token(t, account), -1
	config.WarningHandler = rest.NoWarnings{}
	return config
}

// Kubeconfig writes a kubeconfig with the rights of a service account ("namespace/name"), and gives its path.
func (c *Cluster) Kubeconfig(t testing.TB, account string) string {
	t.Helper()
	namespace, _ := split(t, account)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- {name: lab, cluster: {server: %q, certificate-authority-data: %s}}
users:
- {name: account, user: {token: %q}}
contexts:
- {name: lab, context: {cluster: lab, user: account, namespace: %q}}
current-context: lab
`, c.Plane.Endpoint(), base64.StdEncoding.EncodeToString(c.Plane.CA()), c.token(t, account), namespace)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Account is a service account ("namespace/name") as it is in the cluster.
func (c *Cluster) Account(t testing.TB, account string) *corev1.ServiceAccount {
	t.Helper()
	namespace, name := split(t, account)
	object, err := c.Kube.CoreV1().ServiceAccounts(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return object
}

// May asks the API server whether a service account may do something: "list deployments.apps", "create pods/exec".
func (c *Cluster) May(t testing.TB, account, what string) bool {
	t.Helper()
	namespace, name := split(t, account)
	verb, resource, _ := strings.Cut(what, " ")
	resource, sub, _ := strings.Cut(resource, "/")
	resource, group, _ := strings.Cut(resource, ".")
	answer, err := c.Kube.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "system:serviceaccount:" + namespace + ":" + name, Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"},
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Group: group, Resource: resource, Subresource: sub},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status.Allowed
}
