package stack_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eks-gitops/reconciler/lab/stack"
)

// TestAPodIsNotForgotten: kwok gives a pod up whose status it could not write once; the lab has it look again.
func TestAPodIsNotForgotten(t *testing.T) {
	t.Parallel()
	c := stack.Start(t, stack.Options{Nodes: 1})
	const space = "refusing"
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: space}}
	if _, err := c.Kube.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	stack.Await(t, "the service account", func(ctx context.Context) (bool, error) {
		_, err := c.Kube.CoreV1().ServiceAccounts(space).Get(ctx, "default", metav1.GetOptions{})
		return err == nil, nil
	})
	refuseStatus(t, c, space)
	pods := c.Kube.CoreV1().Pods(space)
	pod := func(name string, gates ...corev1.PodSchedulingGate) *corev1.Pod {
		made, err := pods.Create(t.Context(), &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       corev1.PodSpec{SchedulingGates: gates, Containers: []corev1.Container{{Name: "c", Image: "c"}}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	gated := pod("gated", corev1.PodSchedulingGate{Name: "lab/never"})
	stack.Await(t, "statuses to be refused", func(ctx context.Context) (bool, error) {
		_, err := pods.UpdateStatus(ctx, gated, metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
		return err != nil && strings.Contains(err.Error(), "not now"), nil
	})
	pod("forgotten")
	stack.Await(t, "kwok to be refused", func(context.Context) (bool, error) {
		log, err := os.ReadFile(filepath.Join(c.Plane.Dir(), "run", "kwok.log"))
		return strings.Contains(string(log), "failed to patch pod forgotten"), err
	})
	if err := c.Kube.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Delete(t.Context(), space, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	stack.Await(t, "the pod to be ready", func(ctx context.Context) (bool, error) {
		now, err := pods.Get(ctx, "forgotten", metav1.GetOptions{})
		return err == nil && slices.ContainsFunc(now.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		}), err
	})
}

// refuseStatus has the API server refuse what anybody says of the status of pods in a namespace.
func refuseStatus(t *testing.T, c *stack.Cluster, namespace string) {
	t.Helper()
	policies := c.Kube.AdmissionregistrationV1()
	_, err := policies.ValidatingAdmissionPolicies().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
				ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Update},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods/status"}},
				}}},
			},
			Validations: []admissionv1.Validation{{Expression: "false", Message: "not now"}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = policies.ValidatingAdmissionPolicyBindings().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec:       admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: namespace, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}
