package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Balancers are the load balancers of one cluster's Services, outside it. No method waits.
type Balancers interface {
	// Ensure makes a load balancer that is not there yet, and tells its host name.
	Ensure(ctx context.Context, b Balancer) (host string, err error)
	// Remove takes a load balancer away, and what was made for it alone. One that is not there is no error.
	Remove(ctx context.Context, name string) error
}

// Balancer is a load balancer as a Service asks for it.
type Balancer struct {
	// Name is the one that Kubernetes gives it: "a" and the Service's UID without dashes, cut to 32 characters.
	Name string
	// Service is "namespace/name".
	Service string
	Ports   []int32
	// Network asks for a Network Load Balancer instead of a classic one, Internal for one without public addresses.
	Network, Internal bool
}

// Annotations of Services (https://cloud-provider-aws.sigs.k8s.io/service_controller/).
const (
	balancerType     = "service.beta.kubernetes.io/aws-load-balancer-type"
	balancerInternal = "service.beta.kubernetes.io/aws-load-balancer-internal"
)

// cleanup keeps a Service until its load balancer is gone
// (https://kubernetes.io/docs/tasks/access-application-cluster/create-external-load-balancer/#garbage-collecting-load-balancers).
const cleanup = "service.kubernetes.io/load-balancer-cleanup"

// named are load balancers where there is no AWS: they are a name.
type named struct{ region string }

func (n named) Ensure(_ context.Context, b Balancer) (string, error) {
	return fmt.Sprintf("%s.%s.elb.amazonaws.com", b.Name, n.region), nil
}

func (named) Remove(context.Context, string) error { return nil }

// settleBalancers gives Services of type LoadBalancer a load balancer and its address, and takes it away with them, as the cloud provider's
// service controller does. One Service that fails does not stop the others.
func (c *Cluster) settleBalancers(ctx context.Context) error {
	services, err := c.services.List(labels.Everything())
	if err != nil {
		return err
	}
	var failed []error
	for _, service := range services {
		var err error
		switch {
		case service.DeletionTimestamp == nil && balanced(service):
			err = c.balance(ctx, service)
		case slices.Contains(service.Finalizers, cleanup):
			err = c.unbalance(ctx, service)
		}
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			failed = append(failed, fmt.Errorf("service %s/%s: %w", service.Namespace, service.Name, err))
		}
	}
	return errors.Join(failed...)
}

// balanced reports whether a Service is the cloud provider's to serve. One with a class, or with a type that the AWS Load Balancer Controller
// serves, is not.
func balanced(service *corev1.Service) bool {
	kind := service.Annotations[balancerType]
	return service.Spec.Type == corev1.ServiceTypeLoadBalancer && service.Spec.LoadBalancerClass == nil && kind != "external" && kind != "nlb-ip"
}

func balancerOf(service *corev1.Service) Balancer {
	b := Balancer{
		Name: fmt.Sprintf("a%.31s", squeeze(string(service.UID))), Service: service.Namespace + "/" + service.Name,
		Network: service.Annotations[balancerType] == "nlb", Internal: service.Annotations[balancerInternal] == "true",
	}
	for _, p := range service.Spec.Ports {
		b.Ports = append(b.Ports, p.Port)
	}
	return b
}

// balance makes the load balancer of a Service. The finalizer comes first: a Service that goes meanwhile must not leave its load balancer.
func (c *Cluster) balance(ctx context.Context, service *corev1.Service) error {
	if !slices.Contains(service.Finalizers, cleanup) {
		return c.setFinalizers(ctx, service, append(slices.Clone(service.Finalizers), cleanup))
	}
	if len(service.Status.LoadBalancer.Ingress) > 0 {
		return nil
	}
	host, err := c.options.Balancers.Ensure(ctx, balancerOf(service))
	if err != nil {
		return err
	}
	return c.setAddress(ctx, service, []corev1.LoadBalancerIngress{{Hostname: host}})
}

// unbalance takes the load balancer of a Service away that goes, or is of another type now.
func (c *Cluster) unbalance(ctx context.Context, service *corev1.Service) error {
	if err := c.options.Balancers.Remove(ctx, balancerOf(service).Name); err != nil {
		return err
	}
	if service.DeletionTimestamp == nil && len(service.Status.LoadBalancer.Ingress) > 0 {
		return c.setAddress(ctx, service, nil)
	}
	return c.setFinalizers(ctx, service, slices.DeleteFunc(slices.Clone(service.Finalizers), func(f string) bool { return f == cleanup }))
}

func (c *Cluster) setAddress(ctx context.Context, service *corev1.Service, address []corev1.LoadBalancerIngress) error {
	fresh := service.DeepCopy()
	fresh.Status.LoadBalancer.Ingress = address
	_, err := c.client.CoreV1().Services(service.Namespace).UpdateStatus(ctx, fresh, metav1.UpdateOptions{})
	return err
}

func (c *Cluster) setFinalizers(ctx context.Context, service *corev1.Service, finalizers []string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": service.ResourceVersion, "finalizers": finalizers}})
	if err != nil {
		return err
	}
	_, err = c.client.CoreV1().Services(service.Namespace).Patch(ctx, service.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}
