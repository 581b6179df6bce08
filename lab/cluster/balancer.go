package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// settleBalancers gives Services of type LoadBalancer an address, as the cloud controller does once the balancer is there. A
// Service with a class is somebody else's.
func (c *Cluster) settleBalancers(ctx context.Context) error {
	services, err := c.services.List(labels.Everything())
	if err != nil {
		return err
	}
	for _, service := range services {
		if service.Spec.Type != corev1.ServiceTypeLoadBalancer || service.Spec.LoadBalancerClass != nil ||
			service.DeletionTimestamp != nil || len(service.Status.LoadBalancer.Ingress) > 0 {
			continue
		}
		fresh := service.DeepCopy()
		fresh.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{
			// The name that Kubernetes gives to a Classic Load Balancer: "a", the UID without dashes, cut to 32.
			Hostname: fmt.Sprintf("a%.31s.%s.elb.amazonaws.com", squeeze(string(service.UID)), c.options.Region),
		}}
		_, err := c.client.CoreV1().Services(service.Namespace).UpdateStatus(ctx, fresh, metav1.UpdateOptions{})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("giving an address to service %s/%s: %w", service.Namespace, service.Name, err)
		}
	}
	return nil
}
