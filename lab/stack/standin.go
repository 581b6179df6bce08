package stack

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eks-gitops/reconciler/lab/site"
)

// EmptyAPI stands for pods of an image that serve an aggregated API: it says that the API is there and has nothing in it, which is what
// an APIService needs to be Available. A test of what such a program does runs the program itself.
func EmptyAPI(t testing.TB, image string) site.Standin {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		version, ok := strings.CutPrefix(r.URL.Path, "/apis/")
		if !ok || strings.Count(version, "/") != 1 {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(metav1.APIResourceList{
			TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: version, APIResources: []metav1.APIResource{},
		})
	}))
	t.Cleanup(server.Close)
	return site.Standin{Image: image, Address: server.Listener.Addr().String()}
}
