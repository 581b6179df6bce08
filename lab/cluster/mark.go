package cluster

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Marks are labels and taints to set on and to take from the node of an instance.
type Marks struct {
	Labels        map[string]string
	Taints        []corev1.Taint
	DroppedLabels []string
	DroppedTaints []corev1.Taint
}

type marking struct {
	instance string
	marks    Marks
}

// Mark changes labels and taints of an instance's node soon. Marks of one node are set in the order of the calls.
func (c *Cluster) Mark(instance string, m Marks) {
	c.mu.Lock()
	c.markings = append(c.markings, marking{instance, m})
	c.mu.Unlock()
	c.wake()
}

// settleMarks sets what is waiting; what fails is tried again in the next round.
func (c *Cluster) settleMarks(ctx context.Context) error {
	c.mu.Lock()
	waiting := c.markings
	c.markings = nil
	c.mu.Unlock()
	for i, one := range waiting {
		if err := c.mark(ctx, one); err != nil {
			c.mu.Lock()
			c.markings = append(slices.Clone(waiting[i:]), c.markings...)
			c.mu.Unlock()
			return fmt.Errorf("marking the node of %s: %w", one.instance, err)
		}
	}
	return nil
}

func (c *Cluster) mark(ctx context.Context, one marking) error {
	known := c.nodeOf(one.instance)
	if known == nil {
		return nil // it will come with its group's present labels, or is gone
	}
	node, err := c.client.CoreV1().Nodes().Get(ctx, known.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	one.marks.apply(node)
	_, err = c.client.CoreV1().Nodes().Update(ctx, node, metav1.UpdateOptions{})
	return err
}

func (m Marks) apply(node *corev1.Node) {
	for _, key := range m.DroppedLabels {
		delete(node.Labels, key)
	}
	if node.Labels == nil {
		node.Labels = map[string]string{}
	}
	for key, value := range m.Labels {
		node.Labels[key] = value
	}
	away := append(slices.Clone(m.DroppedTaints), m.Taints...)
	node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, func(t corev1.Taint) bool {
		return slices.ContainsFunc(away, func(other corev1.Taint) bool { return other.MatchTaint(&t) })
	})
	node.Spec.Taints = append(node.Spec.Taints, m.Taints...)
}
