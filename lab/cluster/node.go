package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Machine is an instance that is a node of the cluster.
type Machine struct {
	ID      string // "i-0123456789abcdef0"
	Name    string // of the Node: the instance's private DNS name
	Address string // the instance's private IP address
	Type    string // "m5.large"
	Region  string
	Zone    string
	ZoneID  string
	Arch    string // GOARCH: "amd64" or "arm64"
	OS      string // image, as the kubelet reports it
	CPU     int    // vCPUs
	Memory  int    // MiB
	MaxPods int
	Version string // of the kubelet: "v1.34.1-eks-113cf36"
	Labels  map[string]string
	Taints  []corev1.Taint
}

// node is the Node that a kubelet on the machine would register, by the rules of
// https://kubernetes.io/docs/reference/labels-annotations-taints/ and the AWS cloud provider.
func (m Machine) node() *corev1.Node {
	all := map[string]string{
		corev1.LabelArchStable: m.Arch, corev1.LabelOSStable: "linux", corev1.LabelHostname: m.Name,
		corev1.LabelInstanceTypeStable: m.Type, corev1.LabelTopologyRegion: m.Region, corev1.LabelTopologyZone: m.Zone,
		"beta.kubernetes.io/arch": m.Arch, "beta.kubernetes.io/os": "linux", "beta.kubernetes.io/instance-type": m.Type,
		"failure-domain.beta.kubernetes.io/region": m.Region, "failure-domain.beta.kubernetes.io/zone": m.Zone,
		"k8s.io/cloud-provider-aws": "lab",
	}
	if m.ZoneID != "" {
		all["topology.k8s.aws/zone-id"] = m.ZoneID
	}
	maps.Copy(all, m.Labels)
	capacity, allocatable := m.resources()
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: m.Name, Labels: all, Annotations: map[string]string{"alpha.kubernetes.io/provided-node-ip": m.Address}},
		Spec:       corev1.NodeSpec{ProviderID: "aws:///" + m.Zone + "/" + m.ID, Taints: m.Taints},
		Status: corev1.NodeStatus{
			Capacity: capacity, Allocatable: allocatable,
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: m.Address}, {Type: corev1.NodeInternalDNS, Address: m.Name}, {Type: corev1.NodeHostName, Address: m.Name},
			},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: KubeletPort}},
			NodeInfo: corev1.NodeSystemInfo{
				Architecture: m.Arch, OperatingSystem: "linux", OSImage: m.OS, KubeletVersion: m.Version,
				ContainerRuntimeVersion: "containerd://2.1.4", KernelVersion: "6.12.46-66.121.amzn2023", MachineID: strings.ReplaceAll(m.ID, "-", ""),
				SystemUUID: m.ID, BootID: m.ID,
			},
		},
	}
}

// KubeletPort is where a kubelet listens on its machine.
const KubeletPort = 10250

// resources are what EKS's AMIs leave to pods: nodeadm reserves 255 MiB + 11 MiB per pod and a falling share of the CPUs, and
// keeps 100 MiB for eviction
// (https://awslabs.github.io/amazon-eks-ami/nodeadm/, internal/kubelet/config.go of that project).
func (m Machine) resources() (capacity, allocatable corev1.ResourceList) {
	reservedMilli := 0
	for core := range m.CPU {
		switch {
		case core == 0:
			reservedMilli += 600
		case core == 1:
			reservedMilli += 100
		case core < 4:
			reservedMilli += 50
		default:
			reservedMilli += 25
		}
	}
	reservedMilli /= 10
	list := func(milliCPU, mebi int) corev1.ResourceList {
		return corev1.ResourceList{
			corev1.ResourceCPU:              *resource.NewMilliQuantity(int64(milliCPU), resource.DecimalSI),
			corev1.ResourceMemory:           *resource.NewQuantity(int64(mebi)<<20, resource.BinarySI),
			corev1.ResourcePods:             *resource.NewQuantity(int64(m.MaxPods), resource.DecimalSI),
			corev1.ResourceEphemeralStorage: *resource.NewQuantity(80<<30, resource.BinarySI),
		}
	}
	return list(m.CPU*1000, m.Memory), list(m.CPU*1000-reservedMilli, m.Memory-255-11*m.MaxPods-100)
}

// settleNodes makes the Nodes be those of the machines.
func (c *Cluster) settleNodes(ctx context.Context) error {
	c.mu.Lock()
	wanted, told := maps.Clone(c.machines), c.told
	c.mu.Unlock()
	if !told {
		return nil // who does not know the machines removes none
	}
	have, err := c.nodes.List(labels.Everything())
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, node := range have {
		id := instanceOf(node)
		if m, ok := wanted[id]; ok && m.Name == node.Name {
			names[node.Name] = true
			continue
		}
		if id == "" {
			continue // somebody's own node
		}
		if err := c.removeNode(ctx, node); err != nil {
			return fmt.Errorf("removing node %s: %w", node.Name, err)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(wanted)) {
		if m := wanted[id]; !names[m.Name] {
			if err := c.addNode(ctx, m); err != nil {
				return fmt.Errorf("adding node %s: %w", m.Name, err)
			}
		}
	}
	return nil
}

func (c *Cluster) addNode(ctx context.Context, m Machine) error {
	node := m.node()
	made, err := c.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return err
	}
	// A create ignores the status; until it is there the machine has no address.
	made.Status = node.Status
	_, err = c.client.CoreV1().Nodes().UpdateStatus(ctx, made, metav1.UpdateOptions{})
	if apierrors.IsConflict(err) {
		return c.addNodeStatus(ctx, m)
	}
	return err
}

// addNodeStatus is for when kwok was faster.
func (c *Cluster) addNodeStatus(ctx context.Context, m Machine) error {
	node, err := c.client.CoreV1().Nodes().Get(ctx, m.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	status := m.node().Status
	status.Conditions, status.Phase = node.Status.Conditions, node.Status.Phase
	node.Status = status
	_, err = c.client.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{})
	return err
}

// removeNode removes the Node of an instance that is gone, and what was on it: there is nobody left who could confirm that its
// pods have stopped.
func (c *Cluster) removeNode(ctx context.Context, node *corev1.Node) error {
	if err := c.client.CoreV1().Nodes().Delete(ctx, node.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	pods, err := c.podsOn(node.Name)
	if err != nil {
		return err
	}
	for _, pod := range pods {
		err := c.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
			GracePeriodSeconds: new(int64), Preconditions: &metav1.Preconditions{UID: &pod.UID},
		})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return err
		}
	}
	return nil
}

func (c *Cluster) podsOn(node string) ([]*corev1.Pod, error) {
	all, err := c.pods.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(all), func(p *corev1.Pod) bool { return p.Spec.NodeName != node }), nil
}

// instanceOf is the id of the instance behind a node, or empty.
func instanceOf(node *corev1.Node) string {
	id := node.Spec.ProviderID
	if !strings.HasPrefix(id, "aws:///") {
		return ""
	}
	return id[strings.LastIndexByte(id, '/')+1:]
}

func (c *Cluster) nodeOf(instance string) *corev1.Node {
	nodes, err := c.nodes.List(labels.Everything())
	if err != nil {
		return nil
	}
	for _, node := range nodes {
		if instanceOf(node) == instance {
			return node
		}
	}
	return nil
}

func isReady(node *corev1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// Ready tells whether the instance is a ready node.
func (c *Cluster) Ready(instance string) bool {
	node := c.nodeOf(instance)
	return node != nil && isReady(node)
}

// Count tells how many nodes are ready, if that is known already.
func (c *Cluster) Count() (n int, known bool) {
	c.mu.Lock()
	known = c.synced
	c.mu.Unlock()
	nodes, err := c.nodes.List(labels.Everything())
	if err != nil {
		return 0, false
	}
	for _, node := range nodes {
		if isReady(node) {
			n++
		}
	}
	return n, known
}

// Drain cordons an instance's node and evicts its pods without waiting for them; it tells whether none is left. With force it
// deletes what a disruption budget protects.
func (c *Cluster) Drain(ctx context.Context, instance string, force bool) (bool, error) {
	node := c.nodeOf(instance)
	if node == nil {
		return true, nil
	}
	pods, err := c.podsOn(node.Name)
	if err != nil {
		return false, fmt.Errorf("draining %s: %w", node.Name, err)
	}
	pods = slices.DeleteFunc(pods, staysOnDrain)
	if len(pods) == 0 && node.Spec.Unschedulable {
		return true, nil
	}
	c.mu.Lock()
	busy := c.draining[instance]
	c.draining[instance] = true
	c.mu.Unlock()
	if !busy {
		go c.evict(ctx, instance, node.Name, pods, force)
	}
	return false, nil
}

// staysOnDrain are the pods that a drain leaves: a DaemonSet would put them back, a static pod cannot be deleted by the API.
func staysOnDrain(pod *corev1.Pod) bool {
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return true
	}
	if _, static := pod.Annotations[corev1.MirrorPodAnnotationKey]; static {
		return true
	}
	owner := metav1.GetControllerOf(pod)
	return owner != nil && owner.Kind == "DaemonSet"
}

func (c *Cluster) evict(ctx context.Context, instance, node string, pods []*corev1.Pod, force bool) {
	defer func() {
		c.mu.Lock()
		delete(c.draining, instance)
		c.mu.Unlock()
	}()
	_, err := c.client.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, []byte(`{"spec":{"unschedulable":true}}`), metav1.PatchOptions{})
	if err != nil {
		c.log.Warn("cordoning a node", "node", node, "error", err)
		return
	}
	for _, pod := range pods {
		if force {
			err = c.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{})
		} else {
			err = c.client.PolicyV1().Evictions(pod.Namespace).Evict(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace}})
		}
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsTooManyRequests(err) {
			c.log.Warn("evicting a pod", "namespace", pod.Namespace, "pod", pod.Name, "error", err)
		}
	}
}
