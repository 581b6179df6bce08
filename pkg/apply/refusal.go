package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// A 403 of the API server is one of these. All have the reason Forbidden and the same details, so that is all that tells:
//
//	who says no                      told by                                          our reason
//	the namespace's life cycle       the cause NamespaceTerminating                   BeingDeleted
//	a quota                          the beginning of the cause's text, see below     QuotaExceeded
//	Pod Security admission           the beginning of the cause's text, see below     PodSecurityDenied
//	authorization (RBAC)             a SelfSubjectAccessReview: we may not            AccessDenied
//	any other admission              the same review: we may                          AdmissionDenied
//
// Texts: the server words a Forbidden as `RESOURCE "NAME" is forbidden: CAUSE` (apimachinery, api/errors.NewForbidden), with
// the resource and name that are in its details. Only what CAUSE begins with is looked at, and only where nothing else tells.

// quotaCauses begin what ResourceQuota admission says (apiserver, admission/plugin/resourcequota/controller.go, CheckRequest).
func quotaCauses() []string {
	return []string{"exceeded quota: ", "failed quota: ", "status unknown for quota: ", "insufficient quota to consume: "}
}

// podSecurityCause begins what Pod Security admission says (pod-security-admission, admission/admission.go, EvaluatePod).
const podSecurityCause = `violates PodSecurity "`

// forbidden is the reason of a 403, as far as its status tells.
func forbidden(status metav1.Status) gitops.Reason {
	if slices.ContainsFunc(causes(status), func(c metav1.StatusCause) bool { return c.Type == corev1.NamespaceTerminatingCause }) {
		return gitops.BeingDeleted
	}
	said := forbiddenCause(status)
	switch {
	case slices.ContainsFunc(quotaCauses(), func(begin string) bool { return strings.HasPrefix(said, begin) }):
		return gitops.QuotaExceeded
	case strings.HasPrefix(said, podSecurityCause):
		return gitops.PodSecurityDenied
	}
	return gitops.AccessDenied
}

// forbiddenCause is the cause in a Forbidden's message; "" when the message is not worded as its details say.
func forbiddenCause(status metav1.Status) string {
	if status.Details == nil {
		return ""
	}
	resource := schema.GroupResource{Group: status.Details.Group, Resource: status.Details.Kind}
	for _, head := range []string{fmt.Sprintf("%s %q is forbidden: ", resource, status.Details.Name), fmt.Sprintf("%s is forbidden: ", resource)} {
		if said, ok := strings.CutPrefix(status.Message, head); ok {
			return said
		}
	}
	return ""
}

// errAdmission marks a refusal of something that we are allowed to do: not authorization said no, but admission.
var errAdmission = errors.New("refused by admission")

// verbs are what an apply needs to be allowed to do.
func verbs(live *unstructured.Unstructured) []string {
	if live == nil {
		return []string{"patch", "create"}
	}
	return []string{"patch"}
}

// judge finds out who refused a write, when the answer leaves that open, by asking whether we may do it at all. RBAC objects
// are left alone: to grant what one does not have is refused after authorization, yet it is a permission that is missing.
func (l *link) judge(ctx context.Context, err error, k kind, name key, verbs ...string) error {
	var api apierrors.APIStatus
	if !errors.As(err, &api) || api.Status().Reason != metav1.StatusReasonForbidden || forbidden(api.Status()) != gitops.AccessDenied || k.Group == "rbac.authorization.k8s.io" {
		return err
	}
	for _, verb := range verbs {
		if !l.may(ctx, verb, k, name) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", errAdmission, err)
}

// may asks the server whether we are allowed to do something; that it does not answer means no.
func (l *link) may(ctx context.Context, verb string, k kind, name key) bool {
	review := &unstructured.Unstructured{Object: gitops.Tree{
		"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
		"spec": gitops.Tree{"resourceAttributes": gitops.Tree{
			"verb": verb, "group": k.Group, "version": k.Version, "resource": k.Resource, "namespace": name.Namespace, "name": name.Name,
		}},
	}}
	reviews := schema.GroupVersionResource{Group: "authorization.k8s.io", Version: "v1", Resource: "selfsubjectaccessreviews"}
	answer, err := l.client.Resource(reviews).Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false
	}
	allowed, _ := gitops.At(answer.Object, "status", "allowed")
	return allowed == true
}
