package stack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// kind is a kind of object that can be listed.
type kind struct {
	schema.GroupVersionResource
	name string
}

// resources are all kinds that can be listed. A kind whose server does not answer is left out: what it stands for is found by
// its own name.
func (c *Cluster) resources() ([]kind, error) {
	lists, err := c.Kube.Discovery().ServerPreferredResources()
	if _, partial := errors.AsType[*discovery.ErrGroupDiscoveryFailed](err); err != nil && !partial {
		return nil, err
	}
	var out []kind
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, one := range list.APIResources {
			if slices.Contains(one.Verbs, "list") && slices.Contains(one.Verbs, "delete") {
				out = append(out, kind{version.WithResource(one.Name), one.Kind})
			}
		}
	}
	return out, nil
}

// remains lists what is there by the names of the items, or by labels that all of them had, CRDs excepted.
func (c *Cluster) remains(ctx context.Context, items []gitops.Item, shared map[string]string) ([]string, error) {
	all, err := c.resources()
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(k kind) bool { return k.name == "CustomResourceDefinition" || k.Resource == "events" })
	left, err := c.named(ctx, all, items)
	if err != nil || len(shared) == 0 {
		return left, err
	}
	more, err := c.labelled(ctx, all, labels.SelectorFromSet(shared).String())
	return append(left, more...), err
}

// named are the items that are still there.
func (c *Cluster) named(ctx context.Context, all []kind, items []gitops.Item) ([]string, error) {
	var left []string
	for _, item := range items {
		i := slices.IndexFunc(all, func(k kind) bool { return k.Group == item.Ref.Group && k.name == item.Ref.Kind })
		if i < 0 {
			continue
		}
		_, err := c.Objects.Resource(all[i].GroupVersionResource).Namespace(item.Ref.Namespace).Get(ctx, item.Ref.Name, metav1.GetOptions{})
		switch {
		case err == nil:
			left = append(left, item.Ref.String())
		case !apierrors.IsNotFound(err):
			return nil, err
		}
	}
	return left, nil
}

// labelled are the objects that a selector finds.
func (c *Cluster) labelled(ctx context.Context, all []kind, selector string) ([]string, error) {
	var left []string
	for _, k := range all {
		list, err := c.Objects.Resource(k.GroupVersionResource).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if apierrors.IsNotFound(err) || apierrors.IsServiceUnavailable(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", k.Resource, err)
		}
		for _, object := range list.Items {
			left = append(left, strings.Join([]string{k.name, object.GetNamespace(), object.GetName()}, " "))
		}
	}
	return left, nil
}
