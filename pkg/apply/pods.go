package apply

import (
	"fmt"
	"strings"

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
