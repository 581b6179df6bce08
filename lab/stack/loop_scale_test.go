package stack_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eks-gitops/reconciler/lab/story"
)

// scaler stands for cluster-autoscaler, which cannot be built from modules. It follows the rules of its FAQ for what this loop
// needs, with the arguments and the rights of our manifests: a pod that finds no room makes a group grow, a node without pods of its
// own makes it shrink. All durations are divided by speed.
type scaler struct {
	actor
	lab   *story.Lab
	tags  []string // by which it finds its groups
	speed int
	given map[string]string

	empty map[string]time.Time // since when a node has been unneeded
	grown time.Time

	mu      sync.Mutex
	removed []string // nodes it has taken away
	said    []string // what it did, and errors
}

// newScaler reads the arguments and the environment of our Deployment.
func newScaler(t *testing.T, a actor, lab *story.Lab, template *corev1.PodTemplateSpec, speed int) *scaler {
	t.Helper()
	s := &scaler{actor: a, lab: lab, speed: speed, given: map[string]string{}, empty: map[string]time.Time{}}
	container := template.Spec.Containers[0]
	checkFlags(t, "cluster-autoscaler", container.Args)
	for _, arg := range container.Args {
		for _, variable := range container.Env {
			arg = strings.ReplaceAll(arg, "$("+variable.Name+")", variable.Value)
		}
		name, value, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		s.given[name] = value
	}
	tags, ok := strings.CutPrefix(s.given["node-group-auto-discovery"], "asg:tag=")
	if !ok {
		t.Fatalf("the scaler here does not understand --node-group-auto-discovery=%s", s.given["node-group-auto-discovery"])
	}
	s.tags = strings.Split(tags, ",")
	return s
}

// after is a duration, of a flag of ours or its default, divided by speed.
func (s *scaler) after(flag string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(s.given[flag]); err == nil {
		otherwise = d
	}
	return otherwise / time.Duration(s.speed)
}

// group is an Auto Scaling group.
type group struct {
	AutoScalingGroupName              string
	MinSize, MaxSize, DesiredCapacity int
	Instances                         []struct {
		InstanceID string `json:"InstanceId"`
	}
	Tags []struct{ Key string }
}

// groups are those that carry all the tags.
func (s *scaler) groups(ctx context.Context) ([]group, error) {
	var answer struct {
		AutoScalingGroups []group
	}
	if err := s.lab.AWS(ctx, &answer, "autoscaling", "describe-auto-scaling-groups"); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(answer.AutoScalingGroups, func(g group) bool {
		return slices.ContainsFunc(s.tags, func(tag string) bool {
			return !slices.ContainsFunc(g.Tags, func(has struct{ Key string }) bool { return has.Key == tag })
		})
	}), nil
}

// run makes one loop after the other until ctx ends.
func (s *scaler) run(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		if err := s.once(ctx); err != nil && ctx.Err() == nil {
			s.say("error: %v", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *scaler) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, time.Now().Format("15:04:05 ")+fmt.Sprintf(format, args...))
}

func (s *scaler) once(ctx context.Context) error {
	if err := s.reports(ctx, "Running"); err != nil {
		return err
	}
	groups, err := s.groups(ctx)
	if err != nil {
		return err
	}
	nodes, err := s.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	pods, err := s.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, g := range groups {
		members := slices.DeleteFunc(slices.Clone(nodes.Items), func(n corev1.Node) bool {
			return !slices.ContainsFunc(g.Instances, func(i struct {
				InstanceID string `json:"InstanceId"`
			}) bool {
				return strings.HasSuffix(n.Spec.ProviderID, "/"+i.InstanceID)
			})
		})
		grew, err := s.grow(ctx, g, members, pods.Items)
		if err == nil && !grew {
			err = s.shrink(ctx, g, members, pods.Items)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// grow asks for one node more when a pod has found no room, unless one is on its way.
func (s *scaler) grow(ctx context.Context, g group, members []corev1.Node, pods []corev1.Pod) (bool, error) {
	waiting := slices.ContainsFunc(pods, func(p corev1.Pod) bool {
		return p.Spec.NodeName == "" && p.DeletionTimestamp == nil && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable
		})
	})
	if !waiting || g.DesiredCapacity >= g.MaxSize || len(members) < g.DesiredCapacity || slices.ContainsFunc(members, func(n corev1.Node) bool { return starting(&n) }) {
		return false, nil
	}
	s.say("group %s: %d -> %d, a pod finds no room", g.AutoScalingGroupName, g.DesiredCapacity, g.DesiredCapacity+1)
	s.grown = time.Now()
	_, err := s.lab.Must(ctx, "aws", "autoscaling", "set-desired-capacity", "--auto-scaling-group-name", g.AutoScalingGroupName,
		"--desired-capacity", fmt.Sprint(g.DesiredCapacity+1), "--no-honor-cooldown")
	return true, err
}

// starting tells a node that has not been ready yet.
func starting(n *corev1.Node) bool {
	return !ready(n) && time.Since(n.CreationTimestamp.Time) < 20*time.Second
}

func ready(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

// shrink takes a node away that has had nothing to do for long enough, one a loop. Pods that are being deleted on a node that is
// not ready never will be: nobody is there to confirm it.
func (s *scaler) shrink(ctx context.Context, g group, members []corev1.Node, pods []corev1.Pod) error {
	if g.DesiredCapacity <= g.MinSize || time.Since(s.grown) < s.after("scale-down-delay-after-add", 10*time.Minute) {
		return nil
	}
	for i := range members {
		n := &members[i]
		busy := slices.ContainsFunc(pods, func(p corev1.Pod) bool {
			owner := metav1.GetControllerOf(&p)
			gone := p.DeletionTimestamp != nil && !ready(n)
			return p.Spec.NodeName == n.Name && !gone && (owner == nil || owner.Kind != "DaemonSet") && p.Annotations[corev1.MirrorPodAnnotationKey] == ""
		})
		if busy {
			delete(s.empty, n.Name)
			continue
		}
		since, known := s.empty[n.Name]
		if !known {
			s.empty[n.Name] = time.Now()
			continue
		}
		patience := s.after("scale-down-unneeded-time", 10*time.Minute)
		if !ready(n) {
			patience = s.after("scale-down-unready-time", 20*time.Minute)
		}
		if time.Since(since) >= patience {
			return s.remove(ctx, g, n)
		}
	}
	return nil
}

// remove taints a node, so that nothing comes to it, and ends its instance with one fewer wanted.
func (s *scaler) remove(ctx context.Context, g group, n *corev1.Node) error {
	fresh, err := s.CoreV1().Nodes().Get(ctx, n.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(fresh.Spec.Taints, func(t corev1.Taint) bool { return t.Key == toBeDeleted }) {
		fresh.Spec.Taints = append(fresh.Spec.Taints, corev1.Taint{Key: toBeDeleted, Value: fmt.Sprint(time.Now().Unix()), Effect: corev1.TaintEffectNoSchedule})
		if _, err := s.CoreV1().Nodes().Update(ctx, fresh, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	id := n.Spec.ProviderID[strings.LastIndexByte(n.Spec.ProviderID, '/')+1:]
	if _, err := s.lab.Must(ctx, "aws", "autoscaling", "terminate-instance-in-auto-scaling-group", "--instance-id", id, "--should-decrement-desired-capacity"); err != nil {
		return err
	}
	s.say("group %s: %d -> %d, %s (%s) is unneeded", g.AutoScalingGroupName, g.DesiredCapacity, g.DesiredCapacity-1, n.Name, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed = append(s.removed, n.Name)
	delete(s.empty, n.Name)
	return nil
}

const toBeDeleted = "ToBeDeletedByClusterAutoscaler"

func (s *scaler) took(node string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.removed, node)
}
