package story

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// Cluster is a cluster of the lab as people see it with their own tools.
type Cluster struct {
	Name string
	Kube kubernetes.Interface
	lab  *Lab
}

// Cluster opens a cluster through the lab's kubeconfig.
func (l *Lab) Cluster(name string) (*Cluster, error) {
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{Precedence: []string{l.Var("KUBECONFIG")}},
		&clientcmd.ConfigOverrides{CurrentContext: name + "-admin"},
	).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig of %s: %w", name, err)
	}
	config.QPS, config.Burst = 100, 200
	kube, err := kubernetes.NewForConfig(config)
	return &Cluster{Name: name, Kube: kube, lab: l}, err
}

// Nodes are the Ready nodes of a nodegroup.
func (c *Cluster) Nodes(ctx context.Context, nodegroup string) ([]corev1.Node, error) {
	list, err := c.Kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: "role=" + nodegroup})
	if err != nil {
		return nil, err
	}
	var ready []corev1.Node
	for _, n := range list.Items {
		for _, condition := range n.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
				ready = append(ready, n)
			}
		}
	}
	return ready, nil
}

// Nodegroup is what EKS says of a managed nodegroup.
type Nodegroup struct {
	Status        string
	InstanceTypes []string
	Scaling       struct {
		Desired int `json:"desiredSize"`
	} `json:"scalingConfig"`
	Name string `json:"nodegroupName"`
}

// Nodegroups are the managed nodegroups by name, as the AWS CLI reads them.
func (c *Cluster) Nodegroups(ctx context.Context) (map[string]Nodegroup, error) {
	var names struct {
		Nodegroups []string `json:"nodegroups"`
	}
	if err := c.lab.AWS(ctx, &names, "eks", "list-nodegroups", "--cluster-name", c.Name); err != nil {
		return nil, err
	}
	out := map[string]Nodegroup{}
	for _, name := range names.Nodegroups {
		var one struct {
			Nodegroup Nodegroup `json:"nodegroup"`
		}
		if err := c.lab.AWS(ctx, &one, "eks", "describe-nodegroup", "--cluster-name", c.Name, "--nodegroup-name", name); err != nil {
			return nil, err
		}
		out[name] = one.Nodegroup
	}
	return out, nil
}

// AWS asks the AWS CLI.
func (l *Lab) AWS(ctx context.Context, into any, args ...string) error {
	return l.JSON(ctx, into, "aws", append(args, "--output", "json")...)
}

// Left lists what is still there of everything AWS ever held: clusters, stacks, instances, load balancers.
func (l *Lab) Left(ctx context.Context) ([]string, error) {
	var left []string
	var clusters struct {
		Clusters []string `json:"clusters"`
	}
	if err := l.AWS(ctx, &clusters, "eks", "list-clusters"); err != nil {
		return nil, err
	}
	for _, c := range clusters.Clusters {
		left = append(left, "cluster "+c)
	}
	var stacks struct {
		Stacks []struct{ StackName, StackStatus string }
	}
	if err := l.AWS(ctx, &stacks, "cloudformation", "describe-stacks"); err != nil {
		return nil, err
	}
	for _, s := range stacks.Stacks {
		left = append(left, "stack "+s.StackName+" "+s.StackStatus)
	}
	var instances struct {
		Reservations []struct {
			Instances []struct {
				InstanceID string `json:"InstanceId"`
				State      struct{ Name string }
			}
		}
	}
	if err := l.AWS(ctx, &instances, "ec2", "describe-instances"); err != nil {
		return nil, err
	}
	for _, r := range instances.Reservations {
		for _, i := range r.Instances {
			if i.State.Name != "terminated" {
				left = append(left, "instance "+i.InstanceID+" "+i.State.Name)
			}
		}
	}
	balancers, err := l.Balancers(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range balancers {
		left = append(left, "load balancer "+name)
	}
	return left, nil
}

// Balancers lists the names of load balancers of either API.
func (l *Lab) Balancers(ctx context.Context) ([]string, error) {
	var names []string
	for api, query := range map[string]string{"elb": "LoadBalancerDescriptions[].LoadBalancerName", "elbv2": "LoadBalancers[].LoadBalancerName"} {
		var some []string
		if err := l.AWS(ctx, &some, api, "describe-load-balancers", "--query", query); err != nil {
			return nil, err
		}
		names = append(names, some...)
	}
	slices.Sort(names)
	return names, nil
}
