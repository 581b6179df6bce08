package apply

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// assess tells how far an object is, from the object alone: by the rule that the policy has for its kind, else by the built-in
// knowledge.
func (c *Cluster) assess(u *unstructured.Unstructured) gitops.Health {
	if rule, ok := c.judges[u.GroupVersionKind().GroupKind()]; ok && u.GetDeletionTimestamp() == nil {
		return rule.assess(u)
	}
	return assess(u)
}

// assess is the built-in knowledge: kstatus, corrected for the kinds that it misjudges because they do not follow the
// conventions it reads.
func assess(u *unstructured.Unstructured) gitops.Health {
	if u.GetDeletionTimestamp() != nil {
		return gitops.Health{Status: gitops.Terminating, Message: terminating(u)}
	}
	if rule := ruleFor(u.GroupVersionKind().GroupKind()); rule != nil {
		if health, decided := rule(u.Object); decided {
			return health
		}
	}
	result, err := status.Compute(u)
	if err != nil {
		return gitops.Health{Status: gitops.Unknown, Message: "its status cannot be read"}
	}
	switch result.Status {
	case status.CurrentStatus:
		return gitops.Health{Status: gitops.Ready}
	case status.FailedStatus:
		return gitops.Health{Status: gitops.Failed, Message: result.Message}
	case status.TerminatingStatus: // only with a deletionTimestamp, see above
	case status.NotFoundStatus:
		return gitops.Health{Status: gitops.Absent}
	case status.InProgressStatus:
		return gitops.Health{Status: gitops.Progressing, Message: result.Message}
	case status.UnknownStatus:
	}
	return gitops.Health{Status: gitops.Unknown, Message: result.Message}
}

// terminating says since when an object is being deleted and what it waits for. deletionTimestamp is when it shall be gone: the
// time of the request plus the grace it was given.
func terminating(u *unstructured.Unstructured) string {
	since := u.GetDeletionTimestamp().Time
	if grace := u.GetDeletionGracePeriodSeconds(); grace != nil {
		since = since.Add(-time.Duration(*grace) * time.Second)
	}
	said := "being deleted since " + since.UTC().Format(time.RFC3339)
	if f := finalizers(u); len(f) > 0 {
		said += ", waits for the finalizers " + strings.Join(f, ", ")
	}
	if u.GetKind() == "Namespace" {
		for _, c := range conditions(u.Object) {
			if c.status == "True" && strings.HasPrefix(c.kind, "Namespace") {
				said += "; " + c.message
			}
		}
	}
	return said
}

// finalizers names what an object waits for, each with who put it there: as a rule the controller that must take it off again.
func finalizers(u *unstructured.Unstructured) []string {
	managed := managers(u)
	out := slices.Clone(u.GetFinalizers())
	for i, f := range out {
		at := fieldpath.MakePathOrDie("metadata", "finalizers", value.NewValueInterface(f))
		if by := slices.IndexFunc(managed, func(m manager) bool { return m.fields.Has(at) }); by >= 0 {
			out[i] += " (of " + managed[by].Manager + ")"
		}
	}
	return out
}

// condition is one entry of status.conditions.
type condition struct{ kind, status, reason, message string }

func conditions(t gitops.Tree) []condition {
	var out []condition
	for _, v := range gitops.ListAt(t, "status", "conditions") {
		c, _ := v.(gitops.Tree)
		out = append(out, condition{gitops.StringAt(c, "type"), gitops.StringAt(c, "status"), gitops.StringAt(c, "reason"), gitops.StringAt(c, "message")})
	}
	return out
}

func conditionOf(t gitops.Tree, kind string) (condition, bool) {
	list := conditions(t)
	i := slices.IndexFunc(list, func(c condition) bool { return c.kind == kind })
	if i < 0 {
		return condition{}, false
	}
	return list[i], true
}

// ruleFor finds the correction for a kind; nil when kstatus is right about it.
func ruleFor(gk schema.GroupKind) func(gitops.Tree) (gitops.Health, bool) {
	switch gk.String() {
	case "APIService.apiregistration.k8s.io":
		return needs("Available")
	case "CustomResourceDefinition.apiextensions.k8s.io":
		return needs("Established")
	case "Job.batch":
		return job
	case "HorizontalPodAutoscaler.autoscaling":
		return autoscaler
	case "StatefulSet.apps":
		return onDelete
	case "ReplicationController":
		return replicated
	case "Service":
		return balanced
	case "Ingress.networking.k8s.io":
		return addressed
	case "Prometheus.monitoring.coreos.com", "PrometheusAgent.monitoring.coreos.com", "Alertmanager.monitoring.coreos.com", "ThanosRuler.monitoring.coreos.com":
		return operated
	}
	return nil
}

func progressing(format string, args ...any) (gitops.Health, bool) {
	return gitops.Health{Status: gitops.Progressing, Message: fmt.Sprintf(format, args...)}, true
}

func ready() (gitops.Health, bool) { return gitops.Health{Status: gitops.Ready}, true }

// needs makes a rule: ready is what one condition says. kstatus takes an object without conditions for ready, but these
// kinds serve nothing before their condition is there.
func needs(kind string) func(gitops.Tree) (gitops.Health, bool) {
	return func(t gitops.Tree) (gitops.Health, bool) {
		c, ok := conditionOf(t, kind)
		switch {
		case !ok:
			return progressing("not yet %s", kind)
		case c.status == "True":
			return ready()
		}
		return progressing("not %s: %s: %s", kind, c.reason, c.message)
	}
}

// job: kstatus takes a running Job for ready, but what needs a Job needs it done.
func job(t gitops.Tree) (gitops.Health, bool) {
	if c, ok := conditionOf(t, "Complete"); ok && c.status == "True" {
		return gitops.Health{Status: gitops.Ready, Finished: passing(t)}, true
	}
	if c, ok := conditionOf(t, "Failed"); ok && c.status == "True" {
		return gitops.Health{Status: gitops.Failed, Message: strings.TrimSuffix(c.reason+": "+c.message, ": "), Finished: passing(t)}, true
	}
	if suspended, _ := gitops.At(t, "spec", "suspend"); suspended == true {
		return ready()
	}
	return progressing("running: %d succeeded, %d failed", number(t, "status", "succeeded"), number(t, "status", "failed"))
}

// passes remembers a Job that goes by itself; passed asks for it.
func (c *Cluster) passes(w want) {
	if w.key.Kind != "Job" || w.key.Group != "batch" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if delete(c.passing, w.key); passing(w.payload) {
		c.passing[w.key] = true
	}
}

func (c *Cluster) passed(name key) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.passing[name]
}

// passing reports whether a Job goes by itself once it is finished.
func passing(t gitops.Tree) bool {
	_, ok := gitops.At(t, "spec", "ttlSecondsAfterFinished")
	return ok
}

// autoscaler: an HPA is ready when it can read its target and its metrics; kstatus knows none of its conditions.
func autoscaler(t gitops.Tree) (gitops.Health, bool) {
	able, looked := conditionOf(t, "AbleToScale")
	if looked && able.status == "False" {
		return progressing("%s: %s", able.reason, able.message)
	}
	active, measured := conditionOf(t, "ScalingActive")
	switch {
	case measured && active.status == "False" && active.reason != "ScalingDisabled":
		return progressing("%s: %s", active.reason, active.message)
	case !looked && !measured:
		return progressing("its controller has not looked at it yet")
	}
	return ready()
}

// onDelete: pods of an OnDelete StatefulSet are renewed by hand, but they must run; kstatus does not look.
func onDelete(t gitops.Tree) (gitops.Health, bool) {
	if gitops.StringAt(t, "spec", "updateStrategy", "type") != "OnDelete" {
		return gitops.Health{}, false
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

// balanced: kstatus takes a Service with a cluster IP for ready, but its balancer is made after that.
func balanced(t gitops.Tree) (gitops.Health, bool) {
	if gitops.StringAt(t, "spec", "type") != "LoadBalancer" {
		return gitops.Health{}, false
	}
	return addressed(t)
}

// addressed: nobody reaches what has no address yet; names of DNS wait for it, too. A controller that never gives one needs a
// rule in the policy.
func addressed(t gitops.Tree) (gitops.Health, bool) {
	if len(gitops.ListAt(t, "status", "loadBalancer", "ingress")) == 0 {
		return progressing("no load balancer has given it an address yet")
	}
	return ready()
}

func number(t gitops.Tree, path ...string) int64 {
	v, _ := gitops.At(t, path...)
	n, _ := v.(int64)
	return n
}

// health is assess plus what other objects tell: why pods do not run, whether a claim can bind at all before it is used,
// whether a defined kind is served.
func (c *Cluster) health(ctx context.Context, l *link, u *unstructured.Unstructured) gitops.Health {
	h := c.assess(u)
	switch gk := u.GroupVersionKind().GroupKind(); {
	case gk.Kind == "CustomResourceDefinition" && h.Status == gitops.Ready:
		if missing := l.unserved(ctx, u); missing != "" {
			return gitops.Health{Status: gitops.Progressing, Message: missing + " is not served yet"}
		}
	case h.Status != gitops.Progressing && h.Status != gitops.Failed:
	case gk.Kind == "PersistentVolumeClaim" && gk.Group == "":
		if l.waitsForConsumer(ctx, u) {
			return gitops.Health{Status: gitops.Ready, Message: "binds when a pod uses it"}
		}
	case runsPods(gk) && met(u.Object):
		if why := c.troubles.of(u, c.Now(), func() string { return l.podTrouble(ctx, u) }); why != "" {
			h.Message = strings.TrimPrefix(h.Message+": "+why, ": ")
		}
	}
	return h
}

// unserved names a version of a definition that discovery does not show yet: the definition is Established a moment before
// its objects can be made.
func (l *link) unserved(ctx context.Context, crd *unstructured.Unstructured) string {
	group, kind := gitops.StringAt(crd.Object, "spec", "group"), gitops.StringAt(crd.Object, "spec", "names", "kind")
	var want []schema.GroupVersionKind
	for _, v := range gitops.ListAt(crd.Object, "spec", "versions") {
		version, _ := v.(gitops.Tree)
		if version["served"] == true {
			want = append(want, schema.GroupVersionKind{Group: group, Version: gitops.StringAt(version, "name"), Kind: kind})
		}
	}
	if err := l.catalog.refresh(ctx, catalogAge, want...); err != nil {
		return kind
	}
	for _, gvk := range want {
		if _, ok := l.catalog.kind(gvk); !ok {
			return gvk.GroupVersion().String() + " " + kind
		}
	}
	return ""
}

// waitsForConsumer reports whether a claim stays Pending by design: its class binds when a pod is scheduled that uses it
// (StorageClass.volumeBindingMode).
func (l *link) waitsForConsumer(ctx context.Context, claim *unstructured.Unstructured) bool {
	class := gitops.StringAt(claim.Object, "spec", "storageClassName")
	if class == "" || claim.GetAnnotations()["volume.kubernetes.io/selected-node"] != "" {
		return false
	}
	return l.bindingMode(ctx, class) == "WaitForFirstConsumer"
}

func (l *link) bindingMode(ctx context.Context, class string) string {
	l.mu.Lock()
	have, ok := l.classes[class]
	l.mu.Unlock()
	if ok && l.now().Sub(have.read) < catalogAge {
		return have.mode
	}
	gk := schema.GroupKind{Group: "storage.k8s.io", Kind: "StorageClass"}
	k, ok := l.catalog.serving(gk)
	if !ok {
		return ""
	}
	found, err := l.get(ctx, k, key{gk, "", class})
	if err != nil || found == nil {
		return ""
	}
	mode := gitops.StringAt(found.Object, "volumeBindingMode")
	l.mu.Lock()
	defer l.mu.Unlock()
	l.classes[class] = bindingMode{mode, l.now()}
	return mode
}
