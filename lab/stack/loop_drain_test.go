package stack_test

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// condition is a word of draino's command line: a type, or TYPE=STATUS,DURATION.
type condition struct {
	kind   corev1.NodeConditionType
	status corev1.ConditionStatus
	since  time.Duration
}

// parseCondition refuses what draino crashes on or silently ignores: a status without a duration, a duration it cannot read.
func parseCondition(word string) (condition, error) {
	kind, rest, ok := strings.Cut(word, "=")
	if !ok {
		return condition{corev1.NodeConditionType(word), corev1.ConditionTrue, 0}, nil
	}
	status, since, ok := strings.Cut(rest, ",")
	d, err := time.ParseDuration(since)
	if !ok || err != nil {
		return condition{}, fmt.Errorf("draino crashes on the condition %q or ignores it: want TYPE=STATUS,DURATION", word)
	}
	return condition{corev1.NodeConditionType(kind), corev1.ConditionStatus(status), d}, nil
}

// drainer stands for draino, which cannot be built from modules. It does what internal/kubernetes of draino 450a853 does, with
// the arguments and the rights of our manifests. Durations are divided by speed, but for the time a drain may take: it bounds what the
// cluster does, which is not faster here.
type drainer struct {
	actor
	speed      int
	conditions []condition
	gate       [2]string // a label and its value
	given      map[string]string

	mu     sync.Mutex
	last   time.Time
	when   map[string]time.Time // of the drain of a node
	done   map[string]bool
	failed []string // drains that ran into their deadline, or errors
}

// newDrainer reads the arguments of our Deployment.
func newDrainer(t *testing.T, a actor, args []string, speed int) *drainer {
	t.Helper()
	d := &drainer{actor: a, speed: speed, given: map[string]string{}, when: map[string]time.Time{}, done: map[string]bool{}}
	for _, word := range checkFlags(t, "draino", args) {
		c, err := parseCondition(word)
		if err != nil {
			t.Fatal(err)
		}
		d.conditions = append(d.conditions, c)
	}
	for _, arg := range args {
		name, value, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		d.given[name] = value
	}
	gate := regexp.MustCompile(`^metadata\.labels\['([^']+)'\] == '([^']+)'$`).FindStringSubmatch(d.given["node-label-expr"])
	if gate == nil {
		t.Fatalf("the drainer here does not understand --node-label-expr=%s", d.given["node-label-expr"])
	}
	d.gate = [2]string{gate[1], gate[2]}
	return d
}

func (d *drainer) scaled(duration time.Duration) time.Duration {
	return duration / time.Duration(d.speed)
}

// flag is the value of a duration flag of ours, divided by speed.
func (d *drainer) flag(name string) time.Duration {
	duration, err := time.ParseDuration(d.given[name])
	if err != nil {
		panic(err) // checkFlags has read it
	}
	return d.scaled(duration)
}

// run looks at the nodes until ctx ends.
func (d *drainer) run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		nodes, err := d.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err == nil {
			for i := range nodes.Items {
				d.handle(ctx, &group, &nodes.Items[i])
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// handle cordons a node that has an offending condition, and drains it when its turn comes.
func (d *drainer) handle(ctx context.Context, group *sync.WaitGroup, node *corev1.Node) {
	offending := d.offending(node)
	if node.Labels[d.gate[0]] != d.gate[1] || len(offending) == 0 {
		return
	}
	if !node.Spec.Unschedulable {
		d.note(node.Name, d.cordon(ctx, node.Name, strings.Join(offending, ";")))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	when, planned := d.when[node.Name]
	if !planned {
		when = time.Now().Add(d.scaled(11 * time.Second))
		if next := d.last.Add(d.flag("drain-buffer")); next.After(when) {
			when = next
		}
		d.when[node.Name], d.last = when, when
		d.noteLocked(node.Name, d.mark(ctx, node.Name, corev1.ConditionTrue))
	}
	if time.Now().Before(when) || d.done[node.Name] {
		return
	}
	d.done[node.Name] = true
	group.Go(func() {
		d.note(node.Name, d.drain(ctx, node.Name))
		d.note(node.Name, d.mark(ctx, node.Name, corev1.ConditionFalse))
	})
}

func (d *drainer) note(node string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.noteLocked(node, err)
}

func (d *drainer) noteLocked(node string, err error) {
	if err != nil && !apierrors.IsNotFound(err) {
		d.failed = append(d.failed, node+": "+err.Error())
	}
}

func (d *drainer) offending(node *corev1.Node) []string {
	var out []string
	for _, want := range d.conditions {
		for _, c := range node.Status.Conditions {
			if c.Type == want.kind && c.Status == want.status && time.Since(c.LastTransitionTime.Time) >= d.scaled(want.since) {
				out = append(out, fmt.Sprintf("%s=%s,%s", want.kind, want.status, want.since))
			}
		}
	}
	return out
}

// cordon updates a fresh copy of the node, with the annotation that says why.
func (d *drainer) cordon(ctx context.Context, node, why string) error {
	return d.fresh(ctx, node, func(n *corev1.Node) error {
		n.Spec.Unschedulable = true
		if n.Annotations == nil {
			n.Annotations = map[string]string{}
		}
		n.Annotations["draino.planet.com/conditions"] = why
		_, err := d.CoreV1().Nodes().Update(ctx, n, metav1.UpdateOptions{})
		return err
	})
}

// mark sets the condition DrainScheduled.
func (d *drainer) mark(ctx context.Context, node string, status corev1.ConditionStatus) error {
	return d.fresh(ctx, node, func(n *corev1.Node) error {
		n.Status.Conditions = slices.DeleteFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == "DrainScheduled" })
		n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{
			Type: "DrainScheduled", Status: status, Reason: "Draino", LastTransitionTime: metav1.Now(), LastHeartbeatTime: metav1.Now(),
		})
		_, err := d.CoreV1().Nodes().UpdateStatus(ctx, n, metav1.UpdateOptions{})
		return err
	})
}

// fresh changes a node, again while others change it.
func (d *drainer) fresh(ctx context.Context, node string, change func(*corev1.Node) error) error {
	for {
		n, err := d.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if err := change(n); !apierrors.IsConflict(err) {
			return err
		}
	}
}

// movable are the pods of a node that a drain evicts.
func (d *drainer) movable(ctx context.Context, node string) ([]corev1.Pod, error) {
	list, err := d.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + node})
	if err != nil {
		return nil, err
	}
	var out []corev1.Pod
	for _, pod := range list.Items {
		stays, err := d.stays(ctx, &pod)
		if err != nil {
			return nil, err
		}
		if !stays {
			out = append(out, pod)
		}
	}
	return out, nil
}

// stays tells whether a pod is left alone: static ones, protected ones, those that nobody would make again, and those of a
// DaemonSet that is still there.
func (d *drainer) stays(ctx context.Context, pod *corev1.Pod) (bool, error) {
	notes := pod.Annotations
	if notes[corev1.MirrorPodAnnotationKey] != "" || notes["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false" {
		return true, nil
	}
	if _, kept := notes[d.given["protected-pod-annotation"]]; kept {
		return true, nil
	}
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		return true, nil
	}
	if owner.Kind != "DaemonSet" {
		return false, nil
	}
	_, err := d.AppsV1().DaemonSets(pod.Namespace).Get(ctx, owner.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// drain evicts all pods at once and waits for them until the deadline.
func (d *drainer) drain(ctx context.Context, node string) error {
	pods, err := d.movable(ctx, node)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(d.speed)*(d.flag("max-grace-period")+d.flag("eviction-headroom")))
	defer cancel()
	errs := make(chan error, len(pods))
	for _, pod := range pods {
		go func() { errs <- d.evict(ctx, &pod) }()
	}
	for range pods {
		if one := <-errs; one != nil && err == nil {
			err = one
		}
	}
	return err
}

// evict asks until the disruption budget allows it, and then until the pod is gone.
func (d *drainer) evict(ctx context.Context, pod *corev1.Pod) error {
	ticker := time.NewTicker(max(d.scaled(5*time.Second), 100*time.Millisecond))
	defer ticker.Stop()
	body := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}}
	asked := false
	for {
		if !asked {
			err := d.PolicyV1().Evictions(pod.Namespace).Evict(ctx, body)
			asked = err == nil
			if err != nil && !apierrors.IsTooManyRequests(err) {
				return err
			}
		} else {
			got, err := d.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) || err == nil && got.UID != pod.UID {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("timed out waiting for the eviction of %s/%s", pod.Namespace, pod.Name)
		case <-ticker.C:
		}
	}
}

// turns are the nodes that were planned to be drained, by when.
func (d *drainer) turns() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := slices.Collect(maps.Keys(d.when))
	slices.SortFunc(names, func(a, b string) int { return d.when[a].Compare(d.when[b]) })
	return names
}
