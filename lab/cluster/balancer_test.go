package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

// recorder notes what is asked of load balancers.
type recorder struct {
	asked  []string
	refuse error
}

func (r *recorder) Ensure(_ context.Context, b Balancer) (string, error) {
	r.asked = append(r.asked, "ensure "+b.Name+" of "+b.Service)
	return b.Name + ".example", r.refuse
}

func (r *recorder) Remove(_ context.Context, name string) error {
	r.asked = append(r.asked, "remove "+name)
	return r.refuse
}

// round does one round over the Services as they are in the API.
func round(t *testing.T, c *Cluster) error {
	t.Helper()
	list, err := c.client.CoreV1().Services("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	for i := range list.Items {
		if err := indexer.Add(&list.Items[i]); err != nil {
			t.Fatal(err)
		}
	}
	c.services = corelisters.NewServiceLister(indexer)
	return c.settleBalancers(t.Context())
}

// TestABalancerGoesWithItsService: first the finalizer, then the load balancer and its address; when the Service goes or is of another type,
// first the load balancer, then the finalizer. What others serve is left alone.
func TestABalancerGoesWithItsService(t *testing.T) {
	t.Parallel()
	c, r := access(t), &recorder{}
	c.options.Balancers = r
	const name = "a0f7cb815fb6d4cc5aaf77ac9718c09b"
	class := "example.com/own"
	web := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "web", UID: types.UID("0f7cb815-fb6d-4cc5-aaf7-7ac9718c09b6")}}
	web.Spec.Type = corev1.ServiceTypeLoadBalancer
	other, plain, delegated := web.DeepCopy(), web.DeepCopy(), web.DeepCopy()
	other.Name, other.Spec.LoadBalancerClass = "other", &class
	plain.Name, plain.Spec.Type = "plain", corev1.ServiceTypeClusterIP
	delegated.Name, delegated.Annotations = "delegated", map[string]string{"service.beta.kubernetes.io/aws-load-balancer-type": "external"}
	services := c.client.CoreV1().Services("apps")
	for _, s := range []*corev1.Service{web, other, plain, delegated} {
		if _, err := services.Create(t.Context(), s, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	step := func(what string, asked []string, finalized bool, host string) {
		t.Helper()
		r.asked = nil
		if err := round(t, c); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if diff := cmp.Diff(asked, r.asked); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
		got, err := services.Get(t.Context(), "web", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		have := ""
		for _, one := range got.Status.LoadBalancer.Ingress {
			have += one.Hostname
		}
		if slices.Contains(got.Finalizers, cleanup) != finalized || have != host {
			t.Errorf("%s: finalizers %v, address %q", what, got.Finalizers, have)
		}
	}
	step("the finalizer", nil, true, "")
	step("the load balancer", []string{"ensure " + name + " of apps/web"}, true, name+".example")
	step("at rest", nil, true, name+".example")

	change := func(do func(*corev1.Service)) {
		t.Helper()
		got, err := services.Get(t.Context(), "web", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		do(got)
		if _, err := services.Update(t.Context(), got, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	change(func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeClusterIP })
	step("of another type", []string{"remove " + name}, true, "")
	step("without an address", []string{"remove " + name}, false, "")
	change(func(s *corev1.Service) {
		s.Spec.Type, s.Finalizers = corev1.ServiceTypeLoadBalancer, []string{cleanup, "example.com/stay"}
	})
	step("again", []string{"ensure " + name + " of apps/web"}, true, name+".example")

	now := metav1.Now()
	change(func(s *corev1.Service) { s.DeletionTimestamp = &now })
	r.refuse = errors.New("it is in use")
	if err := round(t, c); err == nil || !strings.Contains(err.Error(), "service apps/web: it is in use") {
		t.Errorf("a load balancer that cannot go: %v", err)
	}
	r.refuse = nil
	step("deleted", []string{"remove " + name}, false, name+".example")
}
