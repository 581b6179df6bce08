package apply

import (
	"context"
	"fmt"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// AuthMap is the cluster's ConfigMap aws-auth as the infrastructure side needs it: EKS reads there whom to let in.
type AuthMap struct{ accounts Accounts }

// AuthMap gives the port through which identity mappings are written.
func (c *Cluster) AuthMap() AuthMap { return AuthMap{c.Accounts()} }

const (
	authNamespace, authName = "kube-system", "aws-auth"
	// editTries bounds how often an edit begins anew. Each time, somebody else wrote meanwhile.
	editTries = 50
)

func (a AuthMap) connect(ctx context.Context) (dynamic.ResourceInterface, error) {
	l, err := a.accounts.connect(ctx)
	if err != nil {
		return nil, err
	}
	return l.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(authNamespace), nil
}

// AuthMap reads the data; of an absent ConfigMap there are none.
func (a AuthMap) AuthMap(ctx context.Context) (map[string]string, error) {
	all, err := a.connect(ctx)
	if err != nil {
		return nil, err
	}
	_, data, err := readAuth(ctx, all)
	if err != nil {
		return nil, failure(fmt.Errorf("reading ConfigMap %s/%s: %w", authNamespace, authName, err), gitops.ObserveFailed, scrubber{})
	}
	return data, nil
}

// readAuth gives a nil object where there is none.
func readAuth(ctx context.Context, all dynamic.ResourceInterface) (*unstructured.Unstructured, map[string]string, error) {
	u, err := all.Get(ctx, authName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil, nil
	case err != nil:
		return nil, nil, err
	}
	data, _, err := unstructured.NestedStringMap(u.Object, "data")
	return u, data, err
}

// EditAuthMap lets edit change the data and writes them, unless somebody else wrote meanwhile: then edit is called again with what is
// there now. It makes the ConfigMap where that is absent, and writes nothing where edit changes nothing or fails.
func (a AuthMap) EditAuthMap(ctx context.Context, edit func(data map[string]string) error) error {
	all, err := a.connect(ctx)
	if err != nil {
		return err
	}
	for range editTries {
		if err = editAuth(ctx, all, edit); !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			break
		}
	}
	if err != nil {
		return failure(fmt.Errorf("writing ConfigMap %s/%s: %w", authNamespace, authName, err), gitops.ApplyFailed, scrubber{})
	}
	return nil
}

// editAuth tries once. The version that was read goes along, so that the API server refuses what was changed since.
func editAuth(ctx context.Context, all dynamic.ResourceInterface, edit func(data map[string]string) error) error {
	u, before, err := readAuth(ctx, all)
	if err != nil {
		return err
	}
	data := map[string]string{}
	maps.Copy(data, before)
	if err := edit(data); err != nil || maps.Equal(before, data) {
		return err
	}
	if u == nil {
		u = &unstructured.Unstructured{Object: gitops.Tree{"apiVersion": "v1", "kind": "ConfigMap", "metadata": gitops.Tree{"name": authName}, "data": texts(data)}}
		_, err = all.Create(ctx, u, metav1.CreateOptions{FieldManager: accountManager})
		return err
	}
	u.Object["data"] = texts(data)
	_, err = all.Update(ctx, u, metav1.UpdateOptions{FieldManager: accountManager})
	return err
}
