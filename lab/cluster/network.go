package cluster

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// NodeAt finds the node with this address or name, or nil.
func (c *Cluster) NodeAt(host string) *corev1.Node {
	nodes, err := c.nodes.List(labels.Everything())
	if err != nil {
		return nil
	}
	for _, node := range nodes {
		for _, address := range node.Status.Addresses {
			if address.Address == host {
				return node
			}
		}
	}
	return nil
}

// PodAt finds the running pod with this address of its own, or nil.
func (c *Cluster) PodAt(ip string) *corev1.Pod {
	pods, err := c.pods.List(labels.Everything())
	if err != nil {
		return nil
	}
	for _, pod := range pods {
		if pod.Status.PodIP == ip && !pod.Spec.HostNetwork && pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil {
			return pod
		}
	}
	return nil
}

// PodsOn lists the pods of a node.
func (c *Cluster) PodsOn(node string) []*corev1.Pod {
	pods, err := c.podsOn(node)
	if err != nil {
		return nil
	}
	return pods
}

// Pods lists every pod.
func (c *Cluster) Pods() []*corev1.Pod {
	pods, err := c.pods.List(labels.Everything())
	if err != nil {
		return nil
	}
	return pods
}

// Behind finds a ready pod behind a Service, which is named by its ClusterIP or by NAME.NAMESPACE.svc, and the port there.
func (c *Cluster) Behind(host string, port int32) (*corev1.Pod, int32) {
	services, err := c.services.List(labels.Everything())
	if err != nil {
		return nil, 0
	}
	for _, service := range services {
		name := service.Name + "." + service.Namespace + ".svc"
		if service.Spec.ClusterIP != host && host != name && !strings.HasPrefix(host, name+".") {
			continue
		}
		for _, p := range service.Spec.Ports {
			if p.Port == port {
				return c.endpoint(service, p.Name)
			}
		}
	}
	return nil, 0
}

func (c *Cluster) endpoint(service *corev1.Service, portName string) (*corev1.Pod, int32) {
	list, err := c.slices.EndpointSlices(service.Namespace).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service.Name}))
	if err != nil {
		return nil, 0
	}
	for _, slice := range list {
		port := portOf(slice, portName)
		for _, endpoint := range slice.Endpoints {
			if port == 0 || endpoint.Conditions.Ready == nil || !*endpoint.Conditions.Ready || len(endpoint.Addresses) == 0 {
				continue
			}
			if pod := c.PodAt(endpoint.Addresses[0]); pod != nil {
				return pod, port
			}
		}
	}
	return nil, 0
}

func portOf(slice *discoveryv1.EndpointSlice, name string) int32 {
	for _, p := range slice.Ports {
		if p.Port != nil && (p.Name == nil && name == "" || p.Name != nil && *p.Name == name) {
			return *p.Port
		}
	}
	return 0
}
