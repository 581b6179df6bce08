package apply

import (
	"encoding/json"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

const twoJobs = `
apiVersion: v1
kind: Namespace
metadata: {name: NS}
---
apiVersion: batch/v1
kind: Job
metadata: {name: stays, namespace: NS}
spec: {parallelism: 0, template: {spec: {restartPolicy: Never, nodeSelector: {nowhere: here}, containers: [{name: a, image: "a:1"}]}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: goes, namespace: NS}
spec: {ttlSecondsAfterFinished: 0, parallelism: 0, template: {spec: {restartPolicy: Never, nodeSelector: {nowhere: here}, containers: [{name: a, image: "a:1"}]}}}
`

// finish writes the status of a Job whose pods are done, as the Job controller does.
func (l *lab) finish(name string) {
	l.Helper()
	now := l.Now().UTC().Format("2006-01-02T15:04:05Z")
	condition := func(kind string) gitops.Tree {
		return gitops.Tree{"type": kind, "status": "True", "lastTransitionTime": now}
	}
	jobs := l.raw().client.Resource(gvr("batch", "v1", "jobs")).Namespace(l.id)
	l.eventually("the end of "+name, func() (string, bool) {
		job, err := jobs.Get(l.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err.Error(), false
		}
		// The start is the controller's to say, once.
		start := gitops.StringAt(job.Object, "status", "startTime")
		if start == "" {
			return "it has not started", false
		}
		body, err := json.Marshal(gitops.Tree{"status": gitops.Tree{
			"startTime": start, "completionTime": now, "succeeded": 1, "active": 0, "ready": 0, "uncountedTerminatedPods": gitops.Tree{},
			"conditions": []any{condition("SuccessCriteriaMet"), condition("Complete")},
		}})
		if err != nil {
			l.Fatal(err)
		}
		_, err = jobs.Patch(l.Context(), name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: "kube-controller-manager"}, "status")
		if err != nil {
			return err.Error(), false
		}
		return "", true
	})
}

// A finished Job that is as git says is done, and one that went by itself is not made again before git changes.
func TestFinishedJobsAreDone(t *testing.T) {
	l := newLab(t)
	d := desired(l.items("apps", twoJobs)...)
	stays, goes := d.Items[1].Ref, d.Items[2].Ref
	l.apply(d)
	if c, _ := l.plan(d).Change(stays); c.Action != plan.Wait || !strings.Contains(c.Why, "running") {
		t.Errorf("a Job that runs: %s %s", c.Action, c.Why)
	}
	l.finish("stays")
	l.finish("goes")
	// The TTL controller takes the one away; we made it, so we know that it has finished.
	l.eventually("the end of a Job without time to live", func() (string, bool) {
		o := l.observe(d)[goes]
		return text(o.Live), o.Live == nil
	})
	h, err := l.Ready(t.Context(), goes)
	if err != nil || h.Status != gitops.Ready || !h.Finished {
		t.Errorf("health of what has gone by itself: %+v %v", h, err)
	}
	if h, err := l.Ready(t.Context(), stays); err != nil || h.Status != gitops.Ready || h.Finished {
		t.Errorf("health of what has finished and stays: %+v %v", h, err)
	}
	// What the engine books of it survives a restart.
	booked := l.inv[goes]
	booked.Finished = h.Finished
	l.inv[goes] = booked
	l.rule(plan.Rules{})
	p := l.expect(d)
	if p.Unchanged != 3 || !p.Empty() {
		t.Errorf("%d of 3 are unchanged, %+v", p.Unchanged, p.Changes)
	}
	// Git changes: it runs again, and so does the other, in place of the old one.
	for i := 1; i <= 2; i++ {
		template := gitops.Clone(gitops.TreeAt(d.Items[i].Spec, "spec", "template"))
		gitops.ListAt(template, "spec", "containers")[0].(gitops.Tree)["image"] = "a:2"
		d.Items[i] = with(d.Items[i], template, "spec", "template")
	}
	p = l.plan(d)
	if c, _ := p.Change(goes); c.Action != plan.Create || c.Drift {
		t.Errorf("git says something else of what is gone: %s, drift %v", c.Action, c.Drift)
	}
	if c, _ := p.Change(stays); c.Action != plan.Replace || c.Hold != nil || len(c.Edits) != 1 || c.Edits[0].Path != "spec.template.spec.containers[a].image" {
		t.Errorf("git says something else of what has finished: %s %+v", c.Action, c.Edits)
	}
}

// A Job that is taken away while it runs has not finished: it is made again.
func TestJobsThatAreTakenAwayAreMadeAgain(t *testing.T) {
	l := newLab(t)
	d := desired(l.items("apps", twoJobs)...)
	l.apply(d)
	l.rule(plan.Rules{})
	policy := metav1.DeletePropagationBackground
	if err := l.raw().client.Resource(gvr("batch", "v1", "jobs")).Namespace(l.id).Delete(t.Context(), "goes", metav1.DeleteOptions{PropagationPolicy: &policy}); err != nil {
		t.Fatal(err)
	}
	l.eventually("the end of the Job", func() (string, bool) {
		o := l.observe(d)[d.Items[2].Ref]
		return text(o.Live), o.Live == nil
	})
	if c, _ := l.plan(d).Change(d.Items[2].Ref); c.Action != plan.Create || !c.Drift {
		t.Errorf("planned: %s, drift %v", c.Action, c.Drift)
	}
}
