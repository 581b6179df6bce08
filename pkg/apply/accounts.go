package apply

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Accounts is the cluster's ServiceAccounts as the infrastructure side needs them: to carry the roles they may assume.
type Accounts struct{ cluster *Cluster }

// Accounts gives the port through which roles are written on ServiceAccounts.
func (c *Cluster) Accounts() Accounts { return Accounts{c} }

// accountManager is the field manager of what is written here; the overlays' applies leave its fields alone, since both are git.
const accountManager = "reconciler-iam"

func accounts() schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}
}

func (a Accounts) connect(ctx context.Context) (*link, error) {
	l, _, err := a.cluster.connect(ctx)
	if err != nil {
		return nil, gitops.AsError(gitops.Unreachable, err)
	}
	return l, nil
}

// ServiceAccountMeta reads a service account.
func (a Accounts) ServiceAccountMeta(ctx context.Context, namespace, name string) (labels, annotations map[string]string, found bool, err error) {
	l, err := a.connect(ctx)
	if err != nil {
		return nil, nil, false, err
	}
	u, err := l.client.Resource(accounts()).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil, false, nil
	case err != nil:
		return nil, nil, false, failure(fmt.Errorf("reading ServiceAccount %s/%s: %w", namespace, name, err), gitops.ObserveFailed, scrubber{})
	}
	return u.GetLabels(), u.GetAnnotations(), true, nil
}

// EnsureServiceAccount makes the service account, and its namespace, where they are absent, and sets these labels and
// annotations on it; it removes none.
func (a Accounts) EnsureServiceAccount(ctx context.Context, namespace, name string, labels, annotations map[string]string) error {
	l, err := a.connect(ctx)
	if err != nil {
		return err
	}
	wrong := func(err error) error {
		return failure(fmt.Errorf("writing ServiceAccount %s/%s: %w", namespace, name, err), gitops.ApplyFailed, scrubber{})
	}
	meta := gitops.Tree{"labels": texts(labels), "annotations": texts(annotations)}
	body, err := json.Marshal(gitops.Tree{"metadata": meta})
	if err != nil {
		return err
	}
	all := l.client.Resource(accounts()).Namespace(namespace)
	set := func() error {
		_, err := all.Patch(ctx, name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: accountManager})
		return err
	}
	if err := set(); !apierrors.IsNotFound(err) {
		if err != nil {
			return wrong(err)
		}
		return nil
	}
	ns := &unstructured.Unstructured{Object: gitops.Tree{"apiVersion": "v1", "kind": "Namespace", "metadata": gitops.Tree{"name": namespace}}}
	_, err = l.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).Create(ctx, ns, metav1.CreateOptions{FieldManager: accountManager})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return wrong(err)
	}
	meta["name"] = name
	_, err = all.Create(ctx, &unstructured.Unstructured{Object: gitops.Tree{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}}, metav1.CreateOptions{FieldManager: accountManager})
	if apierrors.IsAlreadyExists(err) {
		err = set() // somebody was faster
	}
	if err != nil {
		return wrong(err)
	}
	return nil
}

// DeleteServiceAccount deletes it; an absent one is no error.
func (a Accounts) DeleteServiceAccount(ctx context.Context, namespace, name string) error {
	l, err := a.connect(ctx)
	if err != nil {
		return err
	}
	err = l.client.Resource(accounts()).Namespace(namespace).Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return failure(fmt.Errorf("deleting ServiceAccount %s/%s: %w", namespace, name, err), gitops.ApplyFailed, scrubber{})
	}
	return nil
}

func texts(m map[string]string) gitops.Tree {
	out := make(gitops.Tree, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}
