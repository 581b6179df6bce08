package apply

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// trouble is why one pod does not run, in the pod's own words: a container that waits for a reason or has ended, else the
// scheduler's, else a probe that does not pass. "" when nothing keeps it from running.
func trouble(pod gitops.Tree) string {
	for _, list := range []string{"initContainerStatuses", "containerStatuses"} {
		for _, v := range gitops.ListAt(pod, "status", list) {
			c, _ := v.(gitops.Tree)
			if why := stopped(c); why != "" {
				return why
			}
		}
	}
	if c, ok := conditionOf(pod, "PodScheduled"); ok && c.status == "False" {
		return strings.TrimSuffix(c.reason+": "+c.message, ": ")
	}
	for _, v := range gitops.ListAt(pod, "status", "containerStatuses") {
		c, _ := v.(gitops.Tree)
		if why := unproven(pod, c); why != "" {
			return why
		}
	}
	return ""
}

// stopped is why a container does not run.
func stopped(c gitops.Tree) string {
	name := gitops.StringAt(c, "name")
	waiting := gitops.TreeAt(c, "state", "waiting")
	switch reason := gitops.StringAt(waiting, "reason"); reason {
	case "", "ContainerCreating", "PodInitializing":
	case "CrashLoopBackOff":
		last := gitops.TreeAt(c, "lastState", "terminated")
		why := fmt.Sprintf("%s: container %s exited %d after %d restarts", reason, name, number(last, "exitCode"), number(c, "restartCount"))
		if ended := gitops.StringAt(last, "reason"); ended != "" && ended != "Error" && ended != "Completed" {
			why += " (" + ended + ")"
		}
		return why
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
		// The kubelet says what is missing: a Secret or ConfigMap, or a key of one, by name.
		return fmt.Sprintf("%s: container %s: %s", reason, name, scrubber{}.text(gitops.StringAt(waiting, "message")))
	default:
		return strings.TrimSuffix(fmt.Sprintf("%s: %s", reason, gitops.StringAt(c, "image")), ": ")
	}
	if ended := gitops.TreeAt(c, "state", "terminated"); number(ended, "exitCode") != 0 {
		return fmt.Sprintf("%s: container %s exited %d", gitops.StringAt(ended, "reason"), name, number(ended, "exitCode"))
	}
	return ""
}

// unproven names the probe that a running container does not pass.
func unproven(pod, c gitops.Tree) string {
	if gitops.TreeAt(c, "state", "running") == nil || c["ready"] != false {
		return ""
	}
	name := gitops.StringAt(c, "name")
	for _, v := range gitops.ListAt(pod, "spec", "containers") {
		spec, _ := v.(gitops.Tree)
		switch {
		case gitops.StringAt(spec, "name") != name:
		case spec["startupProbe"] != nil && c["started"] == false:
			return fmt.Sprintf("container %s does not pass its startup probe", name)
		case spec["readinessProbe"] != nil:
			return fmt.Sprintf("container %s does not pass its readiness probe", name)
		}
	}
	return ""
}

// replicated: kstatus does not know ReplicationControllers.
func replicated(t gitops.Tree) (gitops.Health, bool) {
	if seen, generation := number(t, "status", "observedGeneration"), number(t, "metadata", "generation"); seen < generation {
		return progressing("generation is %d, its controller has seen %d", generation, seen)
	}
	want := int64(1)
	if _, set := gitops.At(t, "spec", "replicas"); set {
		want = number(t, "spec", "replicas")
	}
	if have := number(t, "status", "readyReplicas"); have < want {
		return progressing("Ready: %d/%d", have, want)
	}
	return ready()
}

// operated: what prometheus-operator makes (prometheus-operator, Documentation: status conditions Available and Reconciled).
// kstatus knows neither condition. What no operator has reported on is left to it: where none runs, nothing would ever become ready.
func operated(t gitops.Tree) (gitops.Health, bool) {
	if len(gitops.ListAt(t, "status", "conditions")) == 0 {
		return gitops.Health{}, false
	}
	for _, v := range gitops.ListAt(t, "status", "conditions") {
		c, _ := v.(gitops.Tree)
		if seen, generation := number(c, "observedGeneration"), number(t, "metadata", "generation"); c["observedGeneration"] != nil && seen < generation {
			return progressing("generation is %d, its operator has seen %d", generation, seen)
		}
	}
	if c, ok := conditionOf(t, "Reconciled"); ok && c.status == "False" && c.reason == "ReconciliationFailed" {
		return gitops.Health{Status: gitops.Failed, Message: strings.TrimSuffix(c.reason+": "+c.message, ": ")}, true
	}
	return needs("Available")(t)
}

func runsPods(gk schema.GroupKind) bool {
	switch gk.String() {
	case "Deployment.apps", "StatefulSet.apps", "DaemonSet.apps", "ReplicaSet.apps", "Job.batch", "Pod", "ReplicationController":
		return true
	}
	return false
}

// met reports whether a workload's controller has seen what it is to run: before that there are no pods to ask about.
func met(t gitops.Tree) bool {
	seen, tells := gitops.At(t, "status", "observedGeneration")
	switch gitops.StringAt(t, "kind") {
	case "Job", "Pod":
		return true
	}
	return tells && seen == number(t, "metadata", "generation")
}

// troubles remembers for a moment why pods do not run: workloads are looked at whenever anything moves, and each question is a
// request.
type troubles struct {
	mu  sync.Mutex
	all map[types.UID]saying
}

type saying struct {
	why  string
	said time.Time
}

// of is what was said of a workload lately, or is asked now.
func (t *troubles) of(u *unstructured.Unstructured, now time.Time, ask func() string) string {
	const lately = time.Second
	t.mu.Lock()
	last, known := t.all[u.GetUID()]
	t.mu.Unlock()
	if known && now.Sub(last.said) < lately {
		return last.why
	}
	why := ask()
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.all, func(_ types.UID, s saying) bool { return now.Sub(s.said) >= lately })
	t.all[u.GetUID()] = saying{why, now}
	return why
}

// podTrouble is the most telling reason why the pods of a workload do not run: "" when none is known. The answer may come
// from the server's cache (resourceVersion 0): it is for people, and asked often while something is broken.
func (l *link) podTrouble(ctx context.Context, u *unstructured.Unstructured) string {
	if u.GetKind() == "Pod" {
		return trouble(u.Object)
	}
	var selector metav1.LabelSelector
	labelled := gitops.StringsAt(u.Object, "spec", "selector", "matchLabels")
	if u.GetKind() == "ReplicationController" {
		labelled = gitops.StringsAt(u.Object, "spec", "selector")
	}
	for name, value := range labelled {
		metav1.AddLabelToSelector(&selector, name, value)
	}
	if len(selector.MatchLabels) == 0 {
		return ""
	}
	k, ok := l.catalog.serving(schema.GroupKind{Kind: "Pod"})
	if !ok {
		return ""
	}
	const enough = 50
	pods, err := l.resource(k, u.GetNamespace()).List(ctx, metav1.ListOptions{
		LabelSelector: labels.SelectorFromSet(selector.MatchLabels).String(), ResourceVersion: "0", Limit: enough,
	})
	if err != nil {
		return ""
	}
	said := map[string]int{}
	for i := range pods.Items {
		if why := trouble(pods.Items[i].Object); why != "" {
			said[why]++
		}
	}
	best := ""
	for why, n := range said {
		if best == "" || n > said[best] || n == said[best] && why < best {
			best = why
		}
	}
	return best
}
