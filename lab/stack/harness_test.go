package stack

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

func TestPathsOfTheContainerBecomeThoseOfThisMachine(t *testing.T) {
	t.Parallel()
	f := &files{root: "/tmp/root", mounts: []string{"/etc/app/tls", "/etc/app", "/tmp", "/"}}
	for text, want := range map[string]string{
		"--config=/etc/app/config.yaml":        "--config=/tmp/root/etc/app/config.yaml",
		"/etc/app,/etc/app/tls/ca.crt":         "/tmp/root/etc/app,/tmp/root/etc/app/tls/ca.crt",
		"file: '/tmp/x'":                       "file: '/tmp/root/tmp/x'",
		"/etc/application":                     "/etc/application",
		"https://example.com/etc/app":          "https://example.com/etc/app",
		"/host/etc/app":                        "/host/etc/app",
		"/var/lib/x":                           "/var/lib/x",
		"--a=/tmp --b=/tmp/root/etc/app/again": "--a=/tmp/root/tmp --b=/tmp/root/tmp/root/etc/app/again",
	} {
		if got := f.here(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestArgumentsDifferOnlyWhereTold(t *testing.T) {
	t.Parallel()
	f := &files{root: "/r", mounts: []string{"/etc/app"}, container: &corev1.Container{
		Command: []string{"/bin/app", "serve"}, Args: []string{"--listen=:8080", "--config", "/etc/app/c", "--verbose", "--name=$(NAME)", "--leader"},
	}}
	args := f.arguments(map[string]string{"NAME": "lab"})
	got := adapt(t, args, Spec{Workload: "Deployment a/b", Set: map[string]string{"--listen": "127.0.0.1:1"}, Drop: []string{"--leader"}, Add: []string{"--kubeconfig=k"}})
	want := []string{"serve", "--listen=127.0.0.1:1", "--config", "/r/etc/app/c", "--verbose", "--name=lab", "--kubeconfig=k"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsGrantedAndNotUsed(t *testing.T) {
	t.Parallel()
	granted := append(
		expand(rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods", "secrets"}, Verbs: []string{"list", "watch"}}, ""),
		expand(rbacv1.PolicyRule{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"update", "*"}, ResourceNames: []string{"lock"}}, "app")...,
	)
	granted = append(granted, expand(rbacv1.PolicyRule{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}, "")...)
	used := []Permission{
		{Verb: "list", Resource: "pods", Namespace: "shop"}, {Verb: "watch", Resource: "pods"}, {Verb: "list", Resource: "secrets", Group: "other"},
		{Verb: "update", Group: "coordination.k8s.io", Resource: "leases", Namespace: "app", Name: "lock"}, {Verb: "get", Path: "/metrics"},
	}
	var got []string
	for _, p := range beyond(granted, used) {
		got = append(got, p.String())
	}
	want := "list secrets;watch secrets;* leases.coordination.k8s.io:lock in app"
	if strings.Join(got, ";") != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if why := reason(map[string]string{"* leases.coordination.k8s.io": "known"}, beyond(granted, used)[2]); why != "known" {
		t.Error("an entry without a name does not stand for all")
	}
}

func TestPermissionsOfARequest(t *testing.T) {
	t.Parallel()
	ref := &auditv1.ObjectReference{Resource: "events", Namespace: "shop", Name: "web.1"}
	for _, one := range []struct {
		event auditv1.Event
		want  string
	}{
		{auditv1.Event{Verb: "get", RequestURI: "/metrics?x=1"}, "get /metrics"},
		{auditv1.Event{Verb: "create", ObjectRef: ref}, "create events in shop"},
		{auditv1.Event{Verb: "patch", Stage: auditv1.StageResponseComplete, ObjectRef: ref, ResponseStatus: &metav1.Status{Code: 200}}, "patch events:web.1 in shop"},
		{auditv1.Event{Verb: "patch", Stage: auditv1.StageResponseComplete, ObjectRef: ref, ResponseStatus: &metav1.Status{Code: 201}}, "patch events:web.1 in shop;create events in shop"},
		{auditv1.Event{Verb: "create", ObjectRef: &auditv1.ObjectReference{Resource: "pods", Subresource: "eviction", Namespace: "shop", Name: "web"}}, "create pods/eviction in shop"},
	} {
		var got []string
		for _, p := range permissionsOf(&one.event) {
			got = append(got, p.String())
		}
		if strings.Join(got, ";") != one.want {
			t.Errorf("got %q, want %q", got, one.want)
		}
	}
}
