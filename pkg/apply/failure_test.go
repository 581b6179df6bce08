package apply

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"pgregory.net/rapid"

	"github.com/eks-gitops/reconciler/internal/labbin"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

func gkOf(kind string) schema.GroupKind { return schema.GroupKind{Kind: kind} }

func TestFailuresAreTold(t *testing.T) {
	pod := gitops.Tree{"apiVersion": "v1", "kind": "Pod", "spec": gitops.Tree{"nodeName": "very-long-secret-value"}}
	secret := gitops.Tree{"apiVersion": "v1", "kind": "Secret", "data": gitops.Tree{"a": "x"}}
	f := field.NewPath("spec", "replicas")
	cases := []struct {
		name   string
		err    error
		object gitops.Tree
		reason gitops.Reason
		says   string
	}{
		{"number", apierrors.NewInvalid(gkOf("Pod"), "x", field.ErrorList{field.Invalid(f, -1, "must be greater than or equal to 0")}), pod, gitops.ApplyInvalid, "spec.replicas: Invalid value: must be greater than or equal to 0"},
		{"text", apierrors.NewInvalid(gkOf("Pod"), "x", field.ErrorList{field.Invalid(f, "s3cr:et: x", "no colons: please")}), pod, gitops.ApplyInvalid, "spec.replicas: Invalid value: no colons: please"},
		{"dump", apierrors.NewInvalid(gkOf("Pod"), "x", field.ErrorList{field.Invalid(f, map[string]string{"a": "s3cret"}, "field is immutable")}), pod, gitops.ApplyInvalid, "spec.replicas: Invalid value: field is immutable"},
		{"required", apierrors.NewInvalid(gkOf("Pod"), "x", field.ErrorList{field.Required(f, "")}), pod, gitops.ApplyInvalid, "spec.replicas: Required value"},
		{"choice", apierrors.NewInvalid(gkOf("Pod"), "x", field.ErrorList{field.NotSupported(f, "bad", []string{"A", "B"})}), pod, gitops.ApplyInvalid, `spec.replicas: Unsupported value: supported values: "A", "B"`},
		{"secret", apierrors.NewInvalid(gkOf("Secret"), "x", field.ErrorList{field.Invalid(field.NewPath("data").Key("a"), "x", "must be x")}), secret, gitops.ApplyInvalid, "data[a]: Invalid value"},
		{"secret decoding", apierrors.NewBadRequest("Secret in version v1 cannot be handled: illegal base64 data x"), secret, gitops.ApplyInvalid, "the API server answers 400 BadRequest; its words are withheld because they may hold secret values"},
		{"unknown field", apierrors.NewBadRequest(`strict decoding error: unknown field "spec.foo"`), pod, gitops.ApplyInvalid, `strict decoding error: unknown field "spec.foo"`},
		{"webhook", apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "x", errors.New("no very-long-secret-value here")), pod, gitops.AccessDenied, `pods "x" is forbidden: no … here`},
		{"quota", apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "x", errors.New("exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1")), pod, gitops.QuotaExceeded, "limited: pods=1"},
		{"quota of a subject's own words", apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "x", errors.New("a hook says: exceeded quota: q")), pod, gitops.AccessDenied, ""},
		{"quota for another object", &apierrors.StatusError{ErrStatus: metav1.Status{Code: 403, Reason: metav1.StatusReasonForbidden, Message: `pods "y" is forbidden: exceeded quota: q`, Details: &metav1.StatusDetails{Kind: "pods", Name: "x"}}}, pod, gitops.AccessDenied, ""},
		{"pod security", apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "x", errors.New(`violates PodSecurity "restricted:latest": runAsNonRoot != true`)), pod, gitops.PodSecurityDenied, "runAsNonRoot"},
		{"a token that is refused", apierrors.NewUnauthorized("Unauthorized"), secret, gitops.AccessDenied, "401 Unauthorized"},
		{"rbac", apierrors.NewForbidden(schema.GroupResource{Group: "apps", Resource: "deployments"}, "x", errors.New(`User "u" cannot patch resource "deployments" in API group "apps" in the namespace "n"`)), pod, gitops.AccessDenied, "cannot patch"},
		{"admission", fmt.Errorf("%w: %w", errAdmission, apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "x", errors.New("no"))), pod, gitops.AdmissionDenied, "no"},
		{"end of a namespace", ending("pods", "x"), pod, gitops.BeingDeleted, "is being terminated"},
		{"typed", apierrors.NewInternalError(errors.New("failed to create typed patch object (/x; /v1, Kind=Pod): .spec.x: expected string, got &value.valueUnstructured{Value:12345}")), pod, gitops.ApplyFailed, "failed to create typed patch object (/x; /v1, Kind=Pod): .spec.x: expected string, got …"},
		{"busy", apierrors.NewTooManyRequests("slow down", 1), pod, gitops.Throttled, "slow down"},
		{"many", apierrors.NewInvalid(gkOf("Pod"), "x", field.ErrorList{field.Required(f, "1"), field.Required(f, "2"), field.Required(f, "3"), field.Required(f, "4"), field.Required(f, "5"), field.Required(f, "6")}), pod, gitops.ApplyInvalid, "and 1 more"},
		{"away", &url.Error{Op: "Get", URL: "https://user:pass@host.example:6443/api?token=abc", Err: errors.New("connection refused")}, pod, gitops.Unreachable, "calling the API server host.example:6443: connection refused"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := failure(fmt.Errorf("doing: %w", c.err), gitops.ApplyInvalid, secrets(c.object, nil))
			if got.Reason != c.reason || !strings.Contains(got.Message(), c.says) {
				t.Errorf("%s: %s\nwant %s: %s", got.Reason, got.Message(), c.reason, c.says)
			}
			for _, hidden := range []string{"s3cr", "very-long", "12345", "pass", "token"} {
				if strings.Contains(got.Message(), hidden) {
					t.Errorf("%q is shown: %s", hidden, got.Message())
				}
			}
		})
	}
}

// ending is how the server refuses what would go into a namespace that is being deleted.
func ending(resource, name string) error {
	err := apierrors.NewForbidden(schema.GroupResource{Resource: resource}, name, errors.New("unable to create new content in namespace n because it is being terminated"))
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause, Message: "namespace n is being terminated", Field: "metadata.namespace"}}
	return err
}

// Wherever a value is in an object and however the server repeats it, an error does not show it.
func TestErrorsNeverShowValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		canary := "CANARY" + rapid.StringMatching(`[A-Za-z0-9"\\: {}\[\]\n]{6,24}`).Draw(t, "canary") + "END"
		kind := rapid.SampledFrom([]string{"Secret", "ConfigMap", "Pod"}).Draw(t, "kind")
		object := gitops.Tree{"apiVersion": "v1", "kind": kind}
		switch kind {
		case "Secret":
			object["stringData"] = gitops.Tree{"k": canary}
		case "ConfigMap":
			object["data"] = gitops.Tree{"k": canary}
		default:
			object["spec"] = gitops.Tree{"containers": []any{gitops.Tree{"env": []any{gitops.Tree{"name": "K", "value": canary}}}}}
		}
		path := field.NewPath("spec")
		detail := rapid.SampledFrom([]string{"field is immutable", "must be " + canary, fmt.Sprintf("not %q", canary)}).Draw(t, "detail")
		err := rapid.SampledFrom([]error{
			apierrors.NewInvalid(gkOf(kind), "x", field.ErrorList{field.Invalid(path, canary, detail)}),
			apierrors.NewInvalid(gkOf(kind), "x", field.ErrorList{field.Invalid(path, map[string]any{"k": canary}, detail)}),
			apierrors.NewInvalid(gkOf(kind), "x", field.ErrorList{field.Invalid(path, []string{canary}, detail)}),
			apierrors.NewInvalid(gkOf(kind), "x", field.ErrorList{field.Forbidden(path, detail)}),
			apierrors.NewInvalid(gkOf(kind), "x", field.ErrorList{field.NotSupported(path, canary, []string{"a"}), field.Duplicate(path, canary), field.NotFound(path, canary)}),
			apierrors.NewInvalid(gkOf(kind), "x", field.ErrorList{field.TypeInvalid(path, canary, detail), field.TooLong(path, canary, 3), field.TooMany(path, 9, 3)}),
			apierrors.NewBadRequest("cannot decode " + canary),
			apierrors.NewBadRequest(fmt.Sprintf("cannot decode %q", canary)),
			apierrors.NewInternalError(fmt.Errorf(".data.k: expected map, got &value.valueUnstructured{Value:%q}", canary)),
			apierrors.NewInternalError(fmt.Errorf("hook said %s", gitops.Tree{"k": canary})),
			apierrors.NewForbidden(schema.GroupResource{}, "x", errors.New(canary)),
			apierrors.NewConflict(schema.GroupResource{}, "x", errors.New(canary)),
		}).Draw(t, "err")
		live := &unstructured.Unstructured{Object: gitops.Tree{"data": gitops.Tree{"old": canary}}}
		said := failure(err, gitops.ApplyFailed, secrets(object, live)).Error()
		if strings.Contains(said, "CANARY") {
			t.Fatalf("%s", said)
		}
	})
}

// The same against a real server, whose messages nobody has to imagine.
func TestServersErrorsNeverShowSecrets(t *testing.T) {
	l := newLab(t)
	const canary = "CANARY-c4n4ry-value"
	items := l.items("apps", `
apiVersion: v1
kind: Namespace
metadata: {name: NS}
---
apiVersion: v1
kind: Secret
metadata: {name: bad-data, namespace: NS}
data: {k: "`+canary+`"}
---
apiVersion: v1
kind: Secret
metadata: {name: bad-key, namespace: NS}
stringData: {"a b": "`+canary+`"}
---
apiVersion: v1
kind: Secret
metadata: {name: bad-type, namespace: NS}
stringData: {k: [`+canary+`]}
---
apiVersion: v1
kind: Secret
metadata: {name: bad-json, namespace: NS}
type: kubernetes.io/dockerconfigjson
stringData: {.dockerconfigjson: "`+canary+`"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: bad-map, namespace: NS}
data: `+canary+`
---
apiVersion: v1
kind: Pod
metadata: {name: bad-env, namespace: NS}
spec: {containers: [{name: a, image: b, env: [{name: "X=`+canary+`", value: `+canary+`}], imagePullPolicy: `+canary+`}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: bad-replicas, namespace: NS}
spec: {replicas: `+canary+`}
`)
	l.apply(desired(items[0]))
	// Without the namespace's account, which is made a moment later, a pod is refused for that.
	l.eventually("the account of pods", func() (string, bool) {
		_, err := l.raw().client.Resource(accounts()).Namespace(l.id).Get(t.Context(), "default", getOptions())
		return fmt.Sprint(err), err == nil
	})
	o := l.observe(desired(items...))
	for _, item := range items[1:] {
		seen := o[item.Ref]
		if seen.Err == nil {
			t.Errorf("%s is taken", item.Ref.Label())
			continue
		}
		if strings.Contains(seen.Err.Error(), "CANARY") || strings.Contains(seen.Err.Error(), "c4n4ry") {
			t.Errorf("%s: %v", item.Ref.Label(), seen.Err)
		}
		if seen.Err.Reason != gitops.ApplyInvalid {
			t.Errorf("%s: %v", item.Ref.Label(), seen.Err)
		}
		err := l.Cluster.Apply(t.Context(), plan.Change{Ref: item.Ref, Action: plan.Create, Spec: item.Spec, From: item.From})
		if err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("applying %s: %v", item.Ref.Label(), err)
		}
	}
	var words []string
	for _, item := range items[1:] {
		words = append(words, item.Ref.Name+": "+o[item.Ref].Err.Message())
	}
	t.Log(strings.Join(words, "\n"))
}

func TestUnreachableServer(t *testing.T) {
	c := New(Options{Cluster: "x", Now: time.Now, Access: func(context.Context) (Access, error) {
		return Access{Server: "https://127.0.0.1:1", Token: func(context.Context) (string, error) { return "t0ken", nil }}, nil
	}})
	t.Cleanup(c.Close)
	_, err := c.Observe(t.Context(), gitops.Desired{}, nil)
	if e := gitops.AsError("", err); err == nil || e.Reason != gitops.Unreachable || !strings.Contains(e.Message(), "127.0.0.1:1") {
		t.Errorf("observing: %v", err)
	}
	denied := errors.New("no credentials")
	c = New(Options{Cluster: "x", Now: time.Now, Access: func(context.Context) (Access, error) { return Access{}, denied }})
	if _, err := c.Observe(t.Context(), gitops.Desired{}, nil); !errors.Is(err, denied) {
		t.Errorf("observing: %v", err)
	}
}

func TestAccessSaysWhatIsWrong(t *testing.T) {
	for _, a := range []Access{{}, {Kubeconfig: "/nowhere/kubeconfig"}, {Kubeconfig: labbin.ControlPlane(t), Context: "nobody"}} {
		c := New(Options{Cluster: "x", Now: time.Now, Access: func(context.Context) (Access, error) { return a, nil }})
		_, err := c.Observe(t.Context(), gitops.Desired{}, nil)
		if e := gitops.AsError("", err); err == nil || e.Reason != gitops.Unreachable {
			t.Errorf("%+v: %v", a, err)
		}
	}
}
